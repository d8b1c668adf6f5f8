// SPDX-License-Identifier: Apache-2.0
/*
 * Object requests of any content: what is accepted lies within one chunk and within its bulk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "oss/request.h"
#include "proto/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct weft_obj_req body;
	struct weft_rpc_req req = { .body = &body, .body_len = sizeof(body) };
	const char *what;
	struct oss_op op;
	uint32_t n[2];
	int err;

	if (len < 1 + sizeof(n) + sizeof(body))
		return 0;
	req.opcode = WEFT_OP_OBJ_READ + data[0] % 5;
	memcpy(n, data + 1, sizeof(n));
	memcpy(&body, data + 1 + sizeof(n), sizeof(body));
	req.bulk_max = n[0];
	req.bulk.len = n[1] % 4 ? n[1] : le32_to_cpu(body.len);
	err = oss_request_decode(&req, &op, &what);
	if (err == -EINVAL && !what)
		abort();
	if (err)
		return 0;
	if (!op.ino || op.off > OSS_CHUNK_MAX)
		abort();
	if (op.kind == OSS_WRITE && op.len != req.bulk.len)
		abort();
	if (op.kind == OSS_READ && op.len > req.bulk_max)
		abort();
	if ((op.kind == OSS_READ || op.kind == OSS_WRITE || op.kind == OSS_PUNCH ||
	     op.kind == OSS_ALLOC) &&
	    (uint64_t)op.off + op.len > OSS_CHUNK_MAX)
		abort();
	return 0;
}
