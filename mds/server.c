// SPDX-License-Identifier: Apache-2.0
/*
 * Requests in, replies out, see server.h.
 *
 * Each request becomes an op that points into it; bulk is copied into one piece, since values of
 * the store are one piece. A reply that finds its connection gone is dropped by the rpc layer; the
 * client asks again with the same slot.
 *
 * ADMIN carries a line of text: "stats" (answered by JSON), "log LEVEL", "fault SPEC"; not for
 * clients.
 */
#include "mds/server.h"

#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"

#define ADMIN_LINE 1024

struct mds_server {
	struct weft_pool *pool;
	struct mds *m;
	struct weft_rpc_service *svc;
};

static u32 wire_status(const struct mds_op *op)
{
	if (op->status == -ESHUTDOWN)
		return WEFT_S_RECOVERY;
	/* EUCLEAN would be taken for a message of the transport's own. */
	return op->status < 0 ? -op->status : op->status;
}

static int reply_bulk(struct mds_server *s, struct weft_rpc_req *req, const struct mds_op *op)
{
	int ret;

	if (!op->data_len)
		return 0;
	ret = weft_sg_alloc(&req->rep_bulk, s->pool, op->data_len);
	if (!ret)
		weft_sg_write(&req->rep_bulk, 0, op->data, op->data_len);
	return ret;
}

struct request {
	struct mds_op op;
	struct mds_server *server;
	struct weft_rpc_req *req;
};

static void reply(struct mds_op *op)
{
	struct request *r = (struct request *)op;
	struct weft_rpc_req *req = r->req;
	u32 status = wire_status(op);
	bool lookup = op->opcode == WEFT_OP_LOOKUP || op->opcode == WEFT_OP_OPEN;
	size_t len = !status || (status == ENOENT && lookup) ? op->rep_len : 0;

	if (op->status == -EBADMSG) {
		weft_rpc_malformed(req, "body of a metadata request");
	} else if (!status && reply_bulk(r->server, req, op)) {
		/* Nothing is lost: the same request finds the stored reply. */
		weft_rpc_reply_err(req, WEFT_S_RECOVERY);
	} else {
		if (req->conn && r->server->m->map)
			weft_rpc_service_set_epoch(r->server->svc, r->server->m->map->epoch);
		weft_rpc_reply(req, status, len ? &op->rep : NULL, len,
			       status ? NULL : op->rep_tail, status ? 0 : op->rep_tail_len);
	}
	mds_op_fini(op);
	free(r);
}

static int copy_bulk(struct mds_op *op, const struct weft_sg *sg)
{
	if (!sg->len)
		return 0;
	op->bulk = malloc(sg->len);
	if (!op->bulk)
		return -ENOMEM;
	op->bulk_len = weft_sg_read(sg, 0, op->bulk, sg->len);
	return 0;
}

static void handle(void *arg, struct weft_rpc_req *req)
{
	const struct mds_op_desc *desc = mds_op_desc(req->opcode);
	struct mds_server *s = arg;
	struct request *r = malloc(sizeof(*r));
	struct mds_op *op = &r->op;

	if (!r || !desc) {
		free(r);
		weft_rpc_reply_err(req, r ? -EOPNOTSUPP : WEFT_S_RECOVERY);
		return;
	}
	mds_op_init(op, s->m, desc);
	r->server = s;
	r->req = req;
	op->session_id = req->session;
	op->epoch = req->epoch;
	op->group = req->group;
	op->server = weft_rpc_conn_role(req->conn) == WEFT_ROLE_SERVER;
	if (req->flags & WEFT_MF_SLOT) {
		op->slot = req->slot;
		op->slot_seq = req->slot_seq;
	}
	op->body = req->body;
	op->body_len = req->body_len;
	op->tail = req->tail;
	op->tail_len = req->tail_len;
	op->bulk_max = req->bulk_max;
	op->conn = req->conn;
	op->reply = reply;
	if (copy_bulk(op, &req->bulk)) {
		mds_op_fini(op);
		free(r);
		weft_rpc_reply_err(req, WEFT_S_RECOVERY);
		return;
	}
	mds_request(op);
}

static int admin_stats(struct mds_server *s, struct weft_rpc_req *req)
{
	size_t len;
	char *text = mds_stats_text(s->m, &len);
	int ret = -ENOMEM;

	if (text && len > req->bulk_max)
		ret = -EMSGSIZE;
	else if (text)
		ret = weft_sg_alloc(&req->rep_bulk, s->pool, len);
	if (!ret)
		weft_sg_write(&req->rep_bulk, 0, text, len);
	free(text);
	return ret;
}

static void admin(void *arg, struct weft_rpc_req *req)
{
	struct mds_server *s = arg;
	char line[ADMIN_LINE];
	int ret = -EINVAL;

	line[weft_sg_read(&req->bulk, 0, line, sizeof(line) - 1)] = 0;
	if (weft_rpc_conn_role(req->conn) == WEFT_ROLE_CLIENT) {
		ret = -EPERM;
	} else if (req->bulk.len >= sizeof(line)) {
		ret = -EMSGSIZE;
	} else if (!strcmp(line, "stats")) {
		ret = admin_stats(s, req);
	} else if (!strncmp(line, "log ", 4)) {
		ret = weft_log_parse_level(line + 4);
		if (ret >= 0) {
			weft_log_set_level(ret);
			ret = 0;
		}
	} else if (!strncmp(line, "fault ", 6)) {
		ret = weft_fault_set(line + 6);
	}
	weft_rpc_reply_err(req, ret);
}

static void conn_closed(void *arg, struct weft_rpc_conn *conn)
{
	struct mds_server *s = arg;

	if (s->m)
		mds_session_conn_gone(s->m, conn);
}

bool mds_server_push(void *conn, u16 opcode, const void *body, size_t len)
{
	return !weft_rpc_push(conn, opcode, body, len, NULL, 0);
}

/* The service's table: every operation of the core, and ADMIN. */
static const struct weft_rpc_handler handlers[] = {
	{ WEFT_OP_ADMIN, admin },
	{ WEFT_OP_SESSION_OPEN, handle },
	{ WEFT_OP_SESSION_CLOSE, handle },
	{ WEFT_OP_KEEPALIVE, handle },
	{ WEFT_OP_RECLAIM, handle },
	{ WEFT_OP_LEASE_ACK, handle },
	{ WEFT_OP_LOOKUP, handle },
	{ WEFT_OP_GETATTR, handle },
	{ WEFT_OP_SETATTR, handle },
	{ WEFT_OP_OPEN, handle },
	{ WEFT_OP_CLOSE, handle },
	{ WEFT_OP_CREATE, handle },
	{ WEFT_OP_UNLINK, handle },
	{ WEFT_OP_RMDIR, handle },
	{ WEFT_OP_LINK, handle },
	{ WEFT_OP_RENAME, handle },
	{ WEFT_OP_READDIR, handle },
	{ WEFT_OP_GETXATTR, handle },
	{ WEFT_OP_SETXATTR, handle },
	{ WEFT_OP_LISTXATTR, handle },
	{ WEFT_OP_READ_INLINE, handle },
	{ WEFT_OP_WRITE_INLINE, handle },
	{ WEFT_OP_COMMIT, handle },
	{ WEFT_OP_SPILL, handle },
	{ WEFT_OP_TXN_PREPARE, handle },
	{ WEFT_OP_TXN_COMMIT, handle },
	{ WEFT_OP_TXN_ABORT, handle },
	{ WEFT_OP_TXN_STATUS, handle },
	{ WEFT_OP_RENAME_LOCK, handle },
	{ WEFT_OP_RENAME_UNLOCK, handle },
	{ 0, NULL },
};

int mds_server_create(struct weft_env *env, struct weft_pool *pool, struct mds *m, u32 target,
		      struct mds_server **out)
{
	struct mds_server *s = calloc(1, sizeof(*s));
	struct weft_rpc_service_cfg cfg = { .env = env, .pool = pool, .target = target,
					    .handlers = handlers, .arg = s,
					    .closed = conn_closed };
	int ret;

	if (!s)
		return -ENOMEM;
	s->pool = pool;
	s->m = m;
	ret = weft_rpc_service_create(&cfg, &s->svc);
	if (ret)
		free(s);
	else
		*out = s;
	return ret;
}

struct weft_rpc_service *mds_server_service(struct mds_server *s)
{
	return s->svc;
}

void mds_server_destroy(struct mds_server *s)
{
	if (!s)
		return;
	s->m = NULL;
	weft_rpc_service_destroy(s->svc);
	free(s);
}
