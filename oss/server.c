// SPDX-License-Identifier: Apache-2.0
/*
 * Dispatch of the object operations.
 *
 * A request is checked (map, limits of its body), made an operation of the store, and answered
 * when that ends. A request of an older map epoch gets WEFT_S_STALE_MAP; one for a group that this
 * target does not lead WEFT_S_NOT_PRIMARY. Changes carry a slot: a duplicate waits for a request
 * that is running and is answered with its outcome, a late one gets WEFT_S_SLOT_OLD. After a
 * restart of the server a duplicate runs again: the bytes come out the same, the change of space
 * is that of the second run.
 *
 * -EAGAIN of the store (no buffers just now) is answered with WEFT_S_BUSY. What cannot be meant
 * by any client (a range outside the chunk, bulk of another length) is answered with EINVAL and a
 * line in the log; closing the connection would only make the peer send it again.
 */
#include "oss/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/slots.h"
#include "oss/admin.h"
#include "oss/request.h"
#include "proto/data.h"

#define SLOT_LIFE_NS (600 * WEFT_NS_PER_S)
#define EXPIRE_NS (60 * WEFT_NS_PER_S)
#define DRAIN_NS (10 * WEFT_NS_PER_MS)

struct oss_server {
	struct oss_server_cfg cfg;
	struct weft_rpc_service *svc;
	struct weft_slots *slots;
	struct weft_timer expire;
	uint32_t target;
	uint64_t epoch;
	unsigned int calls; /* requests that are not answered */
	struct weft_rpc_req *waiting; /* for an earlier request of their slot */
	bool draining;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* A request on its way through the store. */
struct call {
	struct oss_op op;
	struct oss_server *os;
	struct weft_rpc_req *req;
};

static void dispatch(void *arg, struct weft_rpc_req *req);

/* --- answers */

static void check_drained(struct oss_server *os)
{
	if (!os->draining || os->calls || os->waiting || !oss_store_idle(os->cfg.store))
		return;
	os->draining = false;
	weft_timer_stop(os->cfg.env, &os->expire);
	os->drained(os->drained_arg);
}

/* Run what waited for a slot. */
static void wake_slot(struct oss_server *os, uint64_t session, uint32_t slot)
{
	struct weft_rpc_req *req = os->waiting, *next;
	struct weft_rpc_req *run = NULL, **run_tail = &run, **keep = &os->waiting;

	for (; req; req = next) {
		next = req->next;
		req->next = NULL;
		if (req->session == session && req->slot == slot) {
			*run_tail = req;
			run_tail = &req->next;
		} else {
			*keep = req;
			keep = &req->next;
		}
	}
	*keep = NULL;
	for (req = run; req; req = next) {
		next = req->next;
		dispatch(os, req);
	}
}

static void answer(struct call *c, int err)
{
	struct weft_rpc_req *req = c->req;
	struct weft_obj_rep rep = {
		.bytes_delta = cpu_to_le64(c->op.bytes_delta),
		.chunk = cpu_to_le64(c->op.r_chunk),
		.off = cpu_to_le32(c->op.r_off),
		.len = cpu_to_le32(c->op.r_len),
		.flags = cpu_to_le32(c->op.r_found ? WEFT_OBJ_REP_FOUND : 0),
	};

	if (err == -EAGAIN)
		weft_rpc_reply_err(req, WEFT_S_BUSY);
	else if (err)
		weft_rpc_reply_err(req, err);
	else
		weft_rpc_reply(req, 0, &rep, sizeof(rep), NULL, 0);
}

static void call_done(struct oss_op *op, int err)
{
	struct call *c = (struct call *)op;
	struct oss_server *os = c->os;
	bool slot = c->req->flags & WEFT_MF_SLOT;
	uint64_t session = c->req->session;
	uint32_t nr = c->req->slot;

	if (slot && !err)
		weft_slots_keep(os->slots, session, nr, op->bytes_delta);
	if (slot)
		weft_slots_end(os->slots, session, nr, c->req->slot_seq);
	answer(c, err);
	free(c);
	os->calls--;
	if (slot && os->waiting)
		wake_slot(os, session, nr);
	check_drained(os);
}

/* --- checks */

/* Is this target the one to ask, by the same map? Returns 0 or a status. */
static int check_map(struct oss_server *os, const struct weft_rpc_req *req)
{
	struct weft_map *m = os->cfg.map(os->cfg.arg);
	int status = 0;

	if (!m)
		return WEFT_S_RECOVERY;
	if (m->epoch != os->epoch) {
		os->epoch = m->epoch;
		weft_rpc_service_set_epoch(os->svc, m->epoch);
	}
	if (req->epoch > m->epoch)
		os->cfg.refresh(os->cfg.arg, req->epoch);
	if (req->epoch < m->epoch)
		status = WEFT_S_STALE_MAP;
	else if (weft_map_group_target(m, req->group) != os->target)
		status = WEFT_S_NOT_PRIMARY;
	weft_map_put(m);
	return status;
}

static void refuse(struct weft_rpc_req *req, const char *what)
{
	weft_warn_peer("request refused", "peer=%s op=%u session=%llx why=\"%s\"",
		       weft_rpc_conn_peer(req->conn), req->opcode,
		       (unsigned long long)req->session, what);
	weft_rpc_reply_err(req, -EINVAL);
}

/* --- requests */

static void run(struct oss_server *os, struct weft_rpc_req *req, struct call *c)
{
	c->os = os;
	c->req = req;
	c->op.bulk = c->op.kind == OSS_WRITE ? &req->bulk : &req->rep_bulk;
	c->op.done = call_done;
	os->calls++;
	oss_store_submit(os->cfg.store, &c->op);
}

/* A request that was done already is answered with what it did. */
static bool again(struct oss_server *os, struct weft_rpc_req *req, struct call *c)
{
	uint64_t delta;

	if (!weft_slots_kept(os->slots, req->session, req->slot, &delta))
		return false;
	weft_slots_end(os->slots, req->session, req->slot, req->slot_seq);
	c->op.bytes_delta = delta;
	c->req = req;
	answer(c, 0);
	return true;
}

static void start(struct oss_server *os, struct weft_rpc_req *req, struct call *c)
{
	int verdict = WEFT_SLOT_NEW;

	if (req->flags & WEFT_MF_SLOT)
		verdict = weft_slots_begin(os->slots, req->session, req->slot, req->slot_seq,
					   weft_env_now(os->cfg.env));
	switch (verdict) {
	case WEFT_SLOT_AGAIN:
		if (again(os, req, c))
			break;
		/* It failed the first time. */
		__attribute__((fallthrough));
	case WEFT_SLOT_NEW:
		run(os, req, c);
		return;
	case WEFT_SLOT_RUNNING:
		req->next = os->waiting;
		os->waiting = req;
		break;
	case WEFT_SLOT_OLD:
		weft_rpc_reply_err(req, WEFT_S_SLOT_OLD);
		break;
	case -EINVAL:
		refuse(req, "slot");
		break;
	default:
		weft_rpc_reply_err(req, WEFT_S_BUSY);
	}
	free(c);
}

static void dispatch(void *arg, struct weft_rpc_req *req)
{
	struct oss_server *os = arg;
	const char *what;
	struct call *c;
	int res;

	res = os->draining ? WEFT_S_BUSY : check_map(os, req);
	if (res) {
		weft_rpc_reply_err(req, res);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		weft_rpc_reply_err(req, WEFT_S_BUSY);
		return;
	}
	res = oss_request_decode(req, &c->op, &what);
	if (!res) {
		start(os, req, c);
		return;
	}
	free(c);
	if (res == -EINVAL)
		refuse(req, what);
	else
		weft_rpc_reply_err(req, res);
}

static void admin(void *arg, struct weft_rpc_req *req)
{
	struct oss_server *os = arg;

	oss_admin(os->cfg.store, os->svc, os->cfg.pool, req);
}

static const struct weft_rpc_handler handlers[] = {
	{ WEFT_OP_OBJ_READ, dispatch },
	{ WEFT_OP_OBJ_WRITE, dispatch },
	{ WEFT_OP_OBJ_TRUNCATE, dispatch },
	{ WEFT_OP_OBJ_ZERO, dispatch },
	{ WEFT_OP_OBJ_SEEK, dispatch },
	{ WEFT_OP_ADMIN, admin },
	{ 0, NULL },
};

static void expire(void *arg)
{
	struct oss_server *os = arg;
	uint64_t now = weft_env_now(os->cfg.env);

	if (os->draining) {
		/* The store may be repairing its records, which ends without an answer. */
		weft_timer_start(os->cfg.env, &os->expire, DRAIN_NS);
		check_drained(os);
		return;
	}
	if (now > SLOT_LIFE_NS)
		weft_slots_expire(os->slots, now - SLOT_LIFE_NS);
	weft_timer_start(os->cfg.env, &os->expire, EXPIRE_NS);
}

static void opened(void *arg, struct weft_rpc_conn *conn)
{
	struct oss_server *os = arg;

	(void)conn;
	if (os->expire.pos < 0 && !os->draining)
		weft_timer_start(os->cfg.env, &os->expire, EXPIRE_NS);
}

int oss_server_create(const struct oss_server_cfg *cfg, uint32_t target, struct oss_server **out)
{
	struct oss_server *os = calloc(1, sizeof(*os));
	struct weft_rpc_service_cfg svc = {
		.env = cfg->env,
		.pool = cfg->pool,
		.target = target,
		.handlers = handlers,
		.arg = os,
		.opened = opened,
	};
	int err;

	if (!os)
		return -ENOMEM;
	os->cfg = *cfg;
	os->target = target;
	weft_timer_init(&os->expire, expire, os);
	err = weft_slots_create(&os->slots);
	if (err)
		goto out_free;
	err = weft_rpc_service_create(&svc, &os->svc);
	if (err)
		goto out_slots;
	*out = os;
	return 0;

out_slots:
	weft_slots_free(os->slots);
out_free:
	free(os);
	return err;
}

struct weft_rpc_service *oss_server_service(struct oss_server *os)
{
	return os->svc;
}

void oss_server_drain(struct oss_server *os, void (*drained)(void *arg), void *arg)
{
	os->draining = true;
	os->drained = drained;
	os->drained_arg = arg;
	weft_timer_start(os->cfg.env, &os->expire, DRAIN_NS);
	check_drained(os);
}

void oss_server_destroy(struct oss_server *os)
{
	if (!os)
		return;
	weft_timer_stop(os->cfg.env, &os->expire);
	weft_rpc_service_destroy(os->svc);
	weft_slots_free(os->slots);
	free(os);
}
