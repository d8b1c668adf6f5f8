// SPDX-License-Identifier: Apache-2.0
/*
 * ADMIN requests: counters, log level, fault points.
 *
 * Wrong requests are answered with EINVAL; only tools and servers may ask (EPERM). No state here.
 */
#include "oss/admin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/rpc/rdma_stats.h"
#include "common/status.h"

#define LINE_MAX_LEN 1024

static size_t add_ops(struct weft_rpc_service *svc, char *buf, size_t len, size_t pos)
{
	uint16_t op;

	for (op = WEFT_OP_OBJ_READ; svc && op <= WEFT_OP_OBJ_SEEK; op++) {
		const struct weft_rpc_op_stats *st = weft_rpc_service_stats(svc, op);

		pos += snprintf(buf + pos, pos < len ? len - pos : 0,
				",\"%s\":{\"calls\":%llu,\"errors\":%llu,\"bytes_in\":%llu,"
				"\"bytes_out\":%llu,\"ns\":%llu}",
				weft_op_name(op), (unsigned long long)st->calls,
				(unsigned long long)st->errors, (unsigned long long)st->bytes_in,
				(unsigned long long)st->bytes_out, (unsigned long long)st->ns);
		if (pos >= len)
			break;
	}
	return pos;
}

size_t oss_stats_text(struct oss_store *s, struct weft_rpc_service *svc, char *buf, size_t len)
{
	const struct oss_store_stats *st = oss_store_stats(s);
	uint64_t total, avail, ops = 0;
	struct weft_kv_stats kv;
	size_t pos;
	int kind;

	for (kind = 0; kind < OSS_SETTLE; kind++)
		ops += st->ops[kind];
	oss_store_space(s, &total, &avail);
	oss_store_kv_stats(s, &kv);
	pos = snprintf(buf, len,
		       "{\"ops\":%llu,\"bytes_total\":%llu,\"bytes_free\":%llu,\"bytes_read\":%llu,"
		       "\"bytes_written\":%llu,\"commits\":%llu,\"changes\":%llu,"
		       "\"data_syncs\":%llu,\"data_bytes\":%llu,\"journal_syncs\":%llu,"
		       "\"journal_bytes\":%llu,\"kv_syncs\":%llu,\"kv_bytes\":%llu,\"crc_errors\":%llu,"
		       "\"no_space\":%llu,\"failed_commits\":%llu,\"edge_reads\":%llu,"
		       "\"small_blocks\":%llu,\"damaged_records\":%llu",
		       (unsigned long long)ops, (unsigned long long)total,
		       (unsigned long long)avail,
		       (unsigned long long)st->bytes_read, (unsigned long long)st->bytes_written,
		       (unsigned long long)st->commits, (unsigned long long)st->changes,
		       (unsigned long long)st->data_syncs, (unsigned long long)st->data_bytes,
		       (unsigned long long)st->journal_syncs,
		       (unsigned long long)st->journal_bytes,
		       (unsigned long long)kv.syncs, (unsigned long long)kv.bytes,
		       (unsigned long long)st->crc_errors, (unsigned long long)st->no_space,
		       (unsigned long long)st->failed_commits,
		       (unsigned long long)st->edge_reads,
		       (unsigned long long)st->small_blocks,
		       (unsigned long long)st->damaged_records);
	if (pos < len)
		pos = add_ops(svc, buf, len, pos);
	if (pos < len)
		pos += weft_rdma_stats_json(buf + pos, len - pos);
	if (pos < len)
		pos += snprintf(buf + pos, len - pos, "}");
	return pos;
}

static int send_stats(struct oss_store *s, struct weft_rpc_service *svc, struct weft_pool *pool,
		      struct weft_rpc_req *req)
{
	struct weft_buf *b = weft_buf_get(pool, WEFT_BUF_ALIGN);
	size_t len;
	int err;

	if (!b)
		return -ENOMEM;
	len = oss_stats_text(s, svc, b->data, b->size);
	if (len >= b->size || len > req->bulk_max)
		err = -EMSGSIZE;
	else
		err = weft_sg_add(&req->rep_bulk, b, b->data, len);
	weft_buf_put(b);
	return err;
}

void oss_admin(struct oss_store *s, struct weft_rpc_service *svc, struct weft_pool *pool,
	       struct weft_rpc_req *req)
{
	char line[LINE_MAX_LEN];
	size_t len;
	int err = -EINVAL;

	len = weft_sg_read(&req->bulk, 0, line, sizeof(line) - 1);
	line[len] = 0;
	if (weft_rpc_conn_role(req->conn) == WEFT_ROLE_CLIENT) {
		err = -EPERM;
	} else if (req->bulk.len >= sizeof(line)) {
		err = -EMSGSIZE;
	} else if (!strcmp(line, "stats")) {
		err = send_stats(s, svc, pool, req);
	} else if (!strncmp(line, "log ", 4)) {
		err = weft_log_parse_level(line + 4);
		if (err >= 0) {
			weft_log_set_level(err);
			err = 0;
		}
	} else if (!strncmp(line, "fault ", 6)) {
		err = weft_fault_set(line + 6);
	}
	weft_rpc_reply_err(req, err);
}
