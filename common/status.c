// SPDX-License-Identifier: Apache-2.0
/*
 * Words and errnos for the statuses of proto/wire.h. Constant tables; nothing can fail.
 */
#include "common/status.h"

#include <errno.h>
#include <string.h>

#include "proto/ops.h"

struct status_row {
	uint32_t status;
	int err;
	const char *words;
};

static const struct status_row rows[] = {
	{ WEFT_S_STALE_MAP, ESTALE, "the server knows a newer cluster map" },
	{ WEFT_S_NOT_PRIMARY, EHOSTDOWN, "the target does not lead that group" },
	{ WEFT_S_BAD_SESSION, EBADR, "the server does not know this session" },
	{ WEFT_S_BUSY, EBUSY, "a conflicting operation is under way" },
	{ WEFT_S_SLOT_OLD, EALREADY, "late duplicate of an older request" },
	{ WEFT_S_LAYOUT, EUCLEAN, "the layout of the file has changed" },
	{ WEFT_S_VERSION, EPROTONOSUPPORT, "no common version of the protocol" },
	{ WEFT_S_FSID, EXDEV, "the peer belongs to another file system" },
	{ WEFT_S_NO_TARGET, ENODEV, "the target is not served there" },
	{ WEFT_S_AUTH, EKEYREJECTED, "authentication is missing or wrong" },
	{ WEFT_S_MALFORMED, EPROTO, "the message could not be decoded" },
	{ WEFT_S_RECOVERY, EAGAIN, "the server is recovering" },
	{ WEFT_S_CRC, EBADMSG, "bulk data was damaged on the way" },
	{ WEFT_S_NOT_LEADER, EREMCHG, "this management server does not lead" },
};

static const struct status_row *find(uint32_t status)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status)
			return &rows[i];
	return NULL;
}

const char *weft_strstatus(uint32_t status)
{
	const struct status_row *r = find(status);
	const char *words;

	if (r)
		return r->words;
	words = status ? strerrordesc_np(status) : "success";
	return words ? words : "unknown status";
}

int weft_status_errno(uint32_t status)
{
	const struct status_row *r = find(status);

	if (r)
		return -r->err;
	return status < WEFT_S_STALE_MAP ? -(int)status : -EREMOTEIO;
}

const char *weft_op_name(uint32_t opcode)
{
	const struct weft_op_info *op = weft_op_info(opcode);

	return op ? op->name : "?";
}
