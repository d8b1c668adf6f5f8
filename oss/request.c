// SPDX-License-Identifier: Apache-2.0
/*
 * Checks of request bodies: whatever a peer sends, the operation that comes out lies within one
 * chunk of at most 64 MiB, and a write's length is that of its bulk. Pure; no state.
 */
#include "oss/request.h"

#include <errno.h>

#include "proto/data.h"

#define CHUNK_SHIFT_MIN 16
#define CHUNK_SHIFT_MAX 26

static const char *check(const struct weft_rpc_req *req, const struct weft_obj_req *b)
{
	uint64_t off = le32_to_cpu(b->off), len = le32_to_cpu(b->len);

	if (!b->ino)
		return "inode 0";
	if (b->chunk_shift < CHUNK_SHIFT_MIN || b->chunk_shift > CHUNK_SHIFT_MAX)
		return "chunk size";
	if (req->opcode == WEFT_OP_OBJ_TRUNCATE || req->opcode == WEFT_OP_OBJ_SEEK)
		len = 0;
	if (off + len > 1ull << b->chunk_shift)
		return "range outside the chunk";
	if (req->opcode == WEFT_OP_OBJ_WRITE && len != req->bulk.len)
		return "length of the bulk";
	if (req->opcode == WEFT_OP_OBJ_READ && (len > req->bulk_max || len > WEFT_BULK_MAX))
		return "more wanted than may be sent";
	return NULL;
}

/* Returns the kind of operation or a negative errno. */
static int op_kind(uint16_t opcode, uint32_t flags)
{
	switch (opcode) {
	case WEFT_OP_OBJ_READ:
		return OSS_READ;
	case WEFT_OP_OBJ_WRITE:
		return OSS_WRITE;
	case WEFT_OP_OBJ_TRUNCATE:
		return OSS_TRUNCATE;
	case WEFT_OP_OBJ_ZERO:
		if (flags == WEFT_OBJ_PUNCH)
			return OSS_PUNCH;
		return flags == WEFT_OBJ_ALLOC ? OSS_ALLOC : -EOPNOTSUPP;
	case WEFT_OP_OBJ_SEEK:
		if (flags == WEFT_OBJ_DATA)
			return OSS_SEEK_DATA;
		return flags == WEFT_OBJ_HOLE ? OSS_SEEK_HOLE : -EOPNOTSUPP;
	default:
		return -EOPNOTSUPP;
	}
}

int oss_request_decode(const struct weft_rpc_req *req, struct oss_op *op, const char **what)
{
	const struct weft_obj_req *b = req->body;
	int kind;

	*what = check(req, b);
	if (*what)
		return -EINVAL;
	kind = op_kind(req->opcode, le32_to_cpu(b->flags));
	if (kind < 0)
		return kind;
	op->kind = kind;
	op->ino = le64_to_cpu(b->ino);
	op->chunk = le64_to_cpu(b->chunk);
	op->off = le32_to_cpu(b->off);
	op->len = le32_to_cpu(b->len);
	return 0;
}
