// SPDX-License-Identifier: Apache-2.0
/*
 * The service of one target: connections handed over by the server, requests, replies, pushes.
 *
 * Happy path: a message is checked against the table of operations, becomes a struct
 * weft_rpc_req, and the handler of its opcode answers it, at once or later. A connection that has
 * more requests running than its credits is not read from until some are answered; nor one that
 * has OWED_MAX bytes of bulk to get, in replies that are not sent yet and by requests that run: a
 * peer that asks fast and reads slowly must not take the memory of all others.
 *
 * Failures: a message that breaks the rules is logged and its connection closed; bulk that was
 * damaged is answered by WEFT_S_CRC; lack of memory closes the connection, and the client replays.
 * A reply to a connection that is gone is dropped. A peer that does not take its replies is
 * disconnected, however slowly it trickles.
 *
 * Everything belongs to the service's loop; a connection lives as long as it is open or a request
 * of it is running.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/log.h"
#include "common/rpc/impl.h"
#include "common/status.h"
#include "proto/ops.h"

#define OWED_MAX (16u << 20)
#define STALL_MS 30000u

struct weft_rpc_service {
	struct weft_rpc_service_cfg cfg;
	uint64_t epoch;
	struct weft_rpc_conn *conns;
	void (*fn[WEFT_OP_LIMIT])(void *arg, struct weft_rpc_req *req);
	struct weft_rpc_op_stats stats[WEFT_OP_LIMIT];
};

struct weft_rpc_conn {
	struct weft_rpc_conn *next, **link;
	struct weft_rpc_service *svc;
	struct weft_xprt *xprt; /* NULL: closed */
	int refs;
	unsigned int running;
	size_t owed; /* bulk: what running requests may get at most, and what is not sent */
	uint64_t queued, sent; /* messages, in this order */
	uint64_t mark; /* so many were queued when @stall was started */
	struct weft_timer stall;
	enum weft_role role;
	bool condemned; /* closed when the reply that says why is sent */
	void *priv;
	char peer[80];
};

int weft_rpc_service_create(const struct weft_rpc_service_cfg *cfg, struct weft_rpc_service **out)
{
	const struct weft_rpc_handler *h;
	struct weft_rpc_service *svc;

	for (h = cfg->handlers; h->fn; h++)
		if (!weft_op_info(h->opcode))
			return -EINVAL;
	svc = calloc(1, sizeof(*svc));
	if (!svc)
		return -ENOMEM;
	svc->cfg = *cfg;
	if (!svc->cfg.credits)
		svc->cfg.credits = RPC_CREDITS_DEFAULT;
	if (!svc->cfg.stall_ms)
		svc->cfg.stall_ms = STALL_MS;
	for (h = cfg->handlers; h->fn; h++)
		svc->fn[h->opcode] = h->fn;
	*out = svc;
	return 0;
}

void weft_rpc_service_destroy(struct weft_rpc_service *svc)
{
	if (!svc)
		return;
	while (svc->conns)
		weft_rpc_conn_close(svc->conns);
	free(svc);
}

void weft_rpc_service_set_epoch(struct weft_rpc_service *svc, uint64_t epoch)
{
	svc->epoch = epoch;
}

const struct weft_rpc_op_stats *weft_rpc_service_stats(struct weft_rpc_service *svc,
						       uint16_t opcode)
{
	static const struct weft_rpc_op_stats none;

	return opcode < WEFT_OP_LIMIT ? &svc->stats[opcode] : &none;
}

uint32_t rpc_service_target(const struct weft_rpc_service *svc)
{
	return svc->cfg.target;
}

uint16_t rpc_service_credits(const struct weft_rpc_service *svc)
{
	return svc->cfg.credits;
}

struct weft_rpc_conn *weft_rpc_conn_get(struct weft_rpc_conn *conn)
{
	conn->refs++;
	return conn;
}

void weft_rpc_conn_put(struct weft_rpc_conn *conn)
{
	if (conn && !--conn->refs)
		free(conn);
}

void weft_rpc_conn_close(struct weft_rpc_conn *conn)
{
	struct weft_rpc_service *svc = conn->svc;
	struct weft_xprt *x = conn->xprt;

	if (!x)
		return;
	conn->xprt = NULL;
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	weft_timer_stop(svc->cfg.env, &conn->stall);
	weft_xprt_close(x);
	if (svc->cfg.closed)
		svc->cfg.closed(svc->cfg.arg, conn);
	weft_rpc_conn_put(conn);
}

bool weft_rpc_conn_alive(const struct weft_rpc_conn *conn)
{
	return conn->xprt != NULL;
}

const char *weft_rpc_conn_peer(const struct weft_rpc_conn *conn)
{
	return conn->peer;
}

enum weft_role weft_rpc_conn_role(const struct weft_rpc_conn *conn)
{
	return conn->role;
}

void **weft_rpc_conn_priv(struct weft_rpc_conn *conn)
{
	return &conn->priv;
}

static void update_reading(struct weft_rpc_conn *conn)
{
	if (conn->xprt)
		weft_xprt_stop_reading(conn->xprt, conn->running >= conn->svc->cfg.credits ||
							   conn->owed >= OWED_MAX ||
							   conn->condemned);
}

static void stall_start(struct weft_rpc_conn *conn)
{
	const struct weft_rpc_service_cfg *cfg = &conn->svc->cfg;

	conn->mark = conn->queued;
	weft_timer_start(cfg->env, &conn->stall, cfg->stall_ms / 2 * WEFT_NS_PER_MS);
}

static void stall_check(void *arg)
{
	struct weft_rpc_conn *conn = arg;
	const struct weft_rpc_service_cfg *cfg = &conn->svc->cfg;
	/* Much later than asked for: it was this loop that did not run. */
	bool away = weft_env_now(cfg->env) - conn->stall.expires >
		    cfg->stall_ms / 4 * WEFT_NS_PER_MS;

	if (conn->sent < conn->mark && !away) {
		weft_warn_peer("the peer does not take its replies, connection closed",
			       "peer=%s unsent=%llu", conn->peer,
			       (unsigned long long)(conn->queued - conn->sent));
		weft_rpc_conn_close(conn);
	} else if (conn->sent < conn->queued) {
		stall_start(conn);
	}
}

static void conn_send(struct weft_rpc_conn *conn, struct weft_msg *m)
{
	m->lazy = !m->bulk.len && !m->owner;
	conn->owed += m->bulk.len;
	conn->queued++;
	if (conn->stall.pos < 0)
		stall_start(conn);
	weft_xprt_send(conn->xprt, m);
}

static void msg_sent(void *arg, struct weft_msg *m)
{
	struct weft_rpc_conn *conn = arg;
	bool last = m->owner != NULL;

	conn->owed -= m->bulk.len;
	conn->sent++;
	weft_msg_free(m);
	if (last)
		weft_rpc_conn_close(conn);
	else
		update_reading(conn);
}

static void conn_broken(void *arg, int err)
{
	struct weft_rpc_conn *conn = arg;

	weft_debug("connection ended", "peer=%s err=%d", conn->peer, -err);
	weft_rpc_conn_close(conn);
}

/* What is wrong with the header of a request; NULL: nothing. */
static const char *request_fault(const struct weft_hdr *h)
{
	const struct weft_op_info *op = weft_op_info(le16_to_cpu(h->opcode));
	uint32_t opcode = le16_to_cpu(h->opcode), flags = le16_to_cpu(h->flags);

	if (flags & (WEFT_MF_REPLY | WEFT_MF_PUSH))
		return "not a request";
	if (opcode == WEFT_OP_INIT || opcode == WEFT_OP_AUTH || (op->flags & WEFT_OF_PUSH))
		return "unexpected operation";
	if (h->bulk_len && !(op->flags & WEFT_OF_BULK_OUT))
		return "bulk where none belongs";
	if (h->bulk_max && !(op->flags & WEFT_OF_BULK_IN))
		return "bulk wanted where there is none";
	if ((flags & WEFT_MF_SLOT) && le32_to_cpu(h->slot) >= WEFT_SLOTS_MAX)
		return "slot out of range";
	/* OPEN has a slot only when it changes something; its handler knows. */
	if (!(flags & WEFT_MF_SLOT) && (op->flags & WEFT_OF_SLOT) && opcode != WEFT_OP_OPEN)
		return "no slot";
	return NULL;
}

static bool refuse(struct weft_rpc_conn *conn, const struct weft_hdr *h, const char *what)
{
	if (!what)
		return false;
	weft_warn_peer("malformed request, connection closed", "peer=%s op=%s id=%llu why=%s",
		       conn->peer, weft_op_name(le16_to_cpu(h->opcode)),
		       (unsigned long long)le64_to_cpu(h->request_id), what);
	return true;
}

static int conn_place(void *arg, struct weft_msg *m)
{
	struct weft_rpc_conn *conn = arg;

	if (refuse(conn, &m->hdr, request_fault(&m->hdr)))
		return -EPROTO;
	return weft_sg_alloc(&m->bulk, conn->svc->cfg.pool, le32_to_cpu(m->hdr.bulk_len));
}

static struct weft_rpc_req *request_of(struct weft_rpc_conn *conn, struct weft_msg *m)
{
	const struct weft_hdr *h = &m->hdr;
	struct weft_rpc_req *req = calloc(1, sizeof(*req));

	if (!req)
		return NULL;
	req->conn = weft_rpc_conn_get(conn);
	req->opcode = le16_to_cpu(h->opcode);
	req->flags = le16_to_cpu(h->flags);
	req->request_id = le64_to_cpu(h->request_id);
	req->session = le64_to_cpu(h->session);
	req->epoch = le64_to_cpu(h->epoch);
	req->group = le32_to_cpu(h->group);
	req->slot = le32_to_cpu(h->slot);
	req->slot_seq = le32_to_cpu(h->slot_seq);
	req->body = m->text;
	req->body_len = le16_to_cpu(h->body_len);
	req->tail = m->text + req->body_len;
	req->tail_len = m->text_len - req->body_len;
	weft_sg_move(&req->bulk, &m->bulk);
	req->bulk_max = le32_to_cpu(h->bulk_max);
	req->start_ns = weft_env_now(conn->svc->cfg.env);
	req->in = m;
	return req;
}

static bool crc_wrong(const struct weft_rpc_req *req)
{
	return (req->flags & WEFT_MF_BULK_CRC) && req->bulk.len &&
	       weft_crc32c_sg(&req->bulk) != le32_to_cpu(req->in->hdr.bulk_crc);
}

static void dispatch(struct weft_rpc_service *svc, struct weft_rpc_req *req)
{
	if (req->opcode == WEFT_OP_PING)
		weft_rpc_reply(req, 0, NULL, 0, NULL, 0);
	else if (!svc->fn[req->opcode])
		weft_rpc_reply(req, EOPNOTSUPP, NULL, 0, NULL, 0);
	else if (crc_wrong(req))
		weft_rpc_reply(req, WEFT_S_CRC, NULL, 0, NULL, 0);
	else
		svc->fn[req->opcode](svc->cfg.arg, req);
}

static void conn_received(void *arg, struct weft_msg *m)
{
	struct weft_rpc_conn *conn = arg;
	struct weft_rpc_service *svc = conn->svc;
	struct weft_rpc_req *req;

	if (refuse(conn, &m->hdr, request_fault(&m->hdr)))
		goto out_close;
	req = request_of(conn, m);
	if (!req) {
		weft_warn_peer("no memory for a request, connection closed", "peer=%s",
			       conn->peer);
		goto out_close;
	}
	svc->stats[req->opcode].calls++;
	svc->stats[req->opcode].bytes_in += req->bulk.len;
	conn->running++;
	conn->owed += req->bulk_max;
	update_reading(conn);
	dispatch(svc, req);
	return;

out_close:
	weft_msg_free(m);
	weft_rpc_conn_close(conn);
}

static const struct weft_xprt_cb conn_cb = {
	.place = conn_place,
	.received = conn_received,
	.sent = msg_sent,
	.broken = conn_broken,
};

static void conn_attach(struct weft_rpc_service *svc, const struct rpc_handover *h)
{
	struct weft_rpc_conn *conn = calloc(1, sizeof(*conn));
	int ret = -ENOMEM;

	if (conn)
		ret = weft_xprt_attach(svc->cfg.env, &h->xprt, svc->cfg.pool, &conn_cb, conn,
				       &conn->xprt);
	if (ret) {
		weft_warn_peer("connection refused", "peer=%s err=%d", h->peer, -ret);
		weft_xprt_discard(&h->xprt);
		free(conn);
		return;
	}
	conn->svc = svc;
	weft_timer_init(&conn->stall, stall_check, conn);
	conn->refs = 1;
	conn->role = h->role;
	memcpy(conn->peer, h->peer, sizeof(conn->peer));
	conn->next = svc->conns;
	conn->link = &svc->conns;
	if (conn->next)
		conn->next->link = &conn->next;
	svc->conns = conn;
	if (svc->cfg.opened)
		svc->cfg.opened(svc->cfg.arg, conn);
}

static void handed_over(void *arg)
{
	struct rpc_handover *h = arg;

	conn_attach(h->svc, h);
	free(h);
}

void rpc_service_hand_over(struct weft_rpc_service *svc, struct rpc_handover *h)
{
	h->svc = svc;
	h->post.cb = handed_over;
	h->post.arg = h;
	weft_env_post(svc->cfg.env, &h->post);
}

static void request_free(struct weft_rpc_req *req)
{
	weft_sg_fini(&req->bulk);
	weft_sg_fini(&req->rep_bulk);
	weft_msg_free(req->in);
	weft_rpc_conn_put(req->conn);
	free(req);
}

static uint16_t credits_now(const struct weft_rpc_conn *conn)
{
	uint16_t all = conn->svc->cfg.credits;

	return conn->running < all ? all - conn->running : 0;
}

static struct weft_msg *reply_msg(struct weft_rpc_req *req, uint32_t status, const void *body,
				  size_t body_len, const void *tail, size_t tail_len)
{
	struct weft_msg *m = weft_msg_alloc(body_len + tail_len);
	const struct weft_hdr *in = &req->in->hdr;
	uint16_t flags = WEFT_MF_REPLY | (req->flags & WEFT_MF_SLOT);

	if (!m)
		return NULL;
	if (body_len)
		memcpy(m->text, body, body_len);
	if (tail_len)
		memcpy(m->text + body_len, tail, tail_len);
	weft_sg_move(&m->bulk, &req->rep_bulk);
	weft_msg_answers(m, req->in);
	if ((req->flags & WEFT_MF_BULK_CRC) && m->bulk.len) {
		flags |= WEFT_MF_BULK_CRC;
		m->hdr.bulk_crc = cpu_to_le32(weft_crc32c_sg(&m->bulk));
	}
	m->hdr.flags = cpu_to_le16(flags);
	m->hdr.opcode = in->opcode;
	m->hdr.body_len = cpu_to_le16(body_len);
	m->hdr.request_id = in->request_id;
	m->hdr.session = in->session;
	m->hdr.epoch = cpu_to_le64(req->conn->svc->epoch);
	m->hdr.group = in->group;
	m->hdr.slot = in->slot;
	m->hdr.slot_seq = in->slot_seq;
	m->hdr.status = cpu_to_le32(status);
	m->hdr.bulk_len = cpu_to_le32(m->bulk.len);
	m->hdr.credits = cpu_to_le16(credits_now(req->conn));
	return m;
}

static void count_reply(struct weft_rpc_service *svc, struct weft_rpc_req *req, uint32_t status)
{
	struct weft_rpc_op_stats *st = &svc->stats[req->opcode];

	st->errors += status != 0;
	st->bytes_out += req->rep_bulk.len;
	st->ns += weft_env_now(svc->cfg.env) - req->start_ns;
}

void weft_rpc_reply(struct weft_rpc_req *req, uint32_t status, const void *body, size_t body_len,
		    const void *tail, size_t tail_len)
{
	struct weft_rpc_conn *conn = req->conn;
	struct weft_msg *m;

	if (sizeof(struct weft_hdr) + body_len + tail_len > WEFT_MSG_MAX ||
	    req->rep_bulk.len > req->bulk_max) {
		weft_err("reply does not fit", "op=%s text=%zu bulk=%zu bulk_max=%u",
			 weft_op_name(req->opcode), body_len + tail_len, req->rep_bulk.len,
			 req->bulk_max);
		status = EIO;
		body_len = tail_len = 0;
		weft_sg_fini(&req->rep_bulk);
	}
	count_reply(conn->svc, req, status);
	conn->running--;
	conn->owed -= req->bulk_max;
	if (conn->xprt) {
		m = reply_msg(req, status, body, body_len, tail, tail_len);
		if (m && conn->condemned)
			m->owner = conn;
		if (m)
			conn_send(conn, m);
		else
			weft_rpc_conn_close(conn); /* the client will ask again */
	}
	update_reading(conn);
	request_free(req);
}

void weft_rpc_reply_err(struct weft_rpc_req *req, int err)
{
	weft_rpc_reply(req, err < 0 ? -err : err, NULL, 0, NULL, 0);
}

void weft_rpc_malformed(struct weft_rpc_req *req, const char *what)
{
	struct weft_rpc_conn *conn = req->conn;

	refuse(conn, &req->in->hdr, what);
	conn->condemned = true;
	weft_rpc_reply(req, WEFT_S_MALFORMED, NULL, 0, NULL, 0);
}

int weft_rpc_push(struct weft_rpc_conn *conn, uint16_t opcode, const void *body, size_t body_len,
		  const void *tail, size_t tail_len)
{
	struct weft_msg *m;

	if (!conn->xprt || conn->condemned)
		return -ENOTCONN;
	m = weft_msg_alloc(body_len + tail_len);
	if (!m)
		return -ENOMEM;
	memcpy(m->text, body, body_len);
	if (tail_len)
		memcpy(m->text + body_len, tail, tail_len);
	m->hdr.flags = cpu_to_le16(WEFT_MF_PUSH);
	m->hdr.opcode = cpu_to_le16(opcode);
	m->hdr.body_len = cpu_to_le16(body_len);
	m->hdr.epoch = cpu_to_le64(conn->svc->epoch);
	conn_send(conn, m);
	return 0;
}
