// SPDX-License-Identifier: Apache-2.0
/*
 * Sessions of libweft at the metadata groups.
 *
 *	CLOSED -> OPENING	an op needs the session: SESSION_OPEN is sent
 *	OPENING -> OPEN		its answer; with RECLAIM, after all open files have been told
 *	OPENING -> OPENING	anything went wrong: again after a pause
 *	OPEN -> CLOSED		an answer WEFT_S_BAD_SESSION
 *
 * An open session is kept by KEEPALIVE every third of its lease. Nothing is cached here: a recall
 * of the lease is acknowledged at once.
 *
 * Belongs to the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/client/impl.h"
#include "common/log.h"
#include "common/status.h"

#define REOPEN_MS 100
#define RECLAIM_PAIRS 500

static uint64_t lease_third(const struct client_group *g)
{
	return g->lease_ms / 3 * WEFT_NS_PER_MS;
}

/* Sends a request of the session itself; its owner frees it. */
static struct client_op *session_send(struct client_group *g, uint16_t opcode,
				      void (*done)(struct weft_rpc_call *call), const void *body,
				      size_t body_len, const void *tail, size_t tail_len)
{
	struct weft_map *m = weft_router_map(g->c->router);
	struct client_op *op = calloc(1, sizeof(*op));
	struct weft_rpc_peer *peer;

	if (!op)
		return NULL;
	op->group = g;
	op->c = g->c;
	op->call.opcode = opcode;
	op->call.epoch = m->epoch;
	op->call.group = g->id;
	op->call.timeout_ms = WEFT_LEASE_MS;
	op->call.done = done;
	op->call.arg = op;
	if (weft_router_group(g->c->router, g->id, &peer) ||
	    weft_rpc_call_start(peer, &op->call, body, body_len, tail, tail_len)) {
		free(op);
		return NULL;
	}
	return op;
}

static void session_again(struct client_group *g)
{
	weft_timer_start(g->c->env, &g->timer, REOPEN_MS * WEFT_NS_PER_MS);
}

static void session_is_open(struct client_group *g)
{
	g->session = SESSION_OPEN;
	g->session_gen++;
	weft_timer_start(g->c->env, &g->timer, lease_third(g));
	client_group_wake(g);
}

static bool in_group(struct client_group *g, const struct weft_file *f)
{
	struct weft_map *m = weft_router_map(g->c->router);

	return weft_map_shard_group(&m->view, __atomic_load_n(&f->ino, __ATOMIC_RELAXED)) == g->id;
}

static void reclaim_next(struct client_group *g);

static void reclaimed(struct weft_rpc_call *call)
{
	struct client_op *op = call->arg;
	struct client_group *g = op->group;
	const struct weft_opens_rep *rep = call->rep;
	int ret = weft_rpc_err(call);
	bool more = op->ino; /* there is another part */

	if (!ret && rep->lost)
		weft_warn("open files were lost", "group=%u files=%u", g->id,
			  le32_to_cpu(rep->lost));
	weft_rpc_call_fini(call);
	free(op);
	g->op = NULL;
	if (g->c->closing)
		return;
	if (ret)
		session_again(g);
	else if (more)
		reclaim_next(g);
	else
		session_is_open(g);
}

/* Tells the next open files; the last part says that it is the last. */
static void reclaim_next(struct client_group *g)
{
	struct weft_open_pair pairs[RECLAIM_PAIRS];
	struct weft_opens_req rq = { 0 };
	struct weft_file *f;
	uint32_t n = 0;

	for (f = g->c->files; f && n < RECLAIM_PAIRS; f = f->next) {
		if (!in_group(g, f) || f->told == g->telling)
			continue;
		f->told = g->telling;
		pairs[n].ino = cpu_to_le64(__atomic_load_n(&f->ino, __ATOMIC_RELAXED));
		pairs[n++].open_id = cpu_to_le64(f->open_id);
	}
	rq.count = cpu_to_le32(n);
	rq.flags = cpu_to_le32(f ? 0 : WEFT_RECLAIM_DONE);
	g->op = session_send(g, WEFT_OP_RECLAIM, reclaimed, &rq, sizeof(rq), pairs,
			     n * sizeof(pairs[0]));
	if (g->op)
		g->op->ino = f != NULL;
	else
		session_again(g);
}

static void take_grant(struct client_group *g, const struct weft_session_open_rep *rep)
{
	unsigned int n = le16_to_cpu(rep->slots);

	g->nslots = n < 1 ? 1 : n > WEFT_SLOTS_MAX ? WEFT_SLOTS_MAX : n;
	g->lease_ms = le32_to_cpu(rep->lease_ms);
	if (g->lease_ms < 300)
		g->lease_ms = 300;
	if (le32_to_cpu(rep->flags) & WEFT_SESSION_NEW) {
		g->slots_gen++;
		memset(g->seq, 0, sizeof(g->seq));
	}
}

static void session_opened(struct weft_rpc_call *call)
{
	struct client_op *op = call->arg;
	struct client_group *g = op->group;
	const struct weft_session_open_rep *rep = call->rep;
	int ret = weft_rpc_err(call);
	bool reclaim = false;

	if (!ret) {
		take_grant(g, rep);
		reclaim = le32_to_cpu(rep->flags) & WEFT_SESSION_RECLAIM;
	} else if (ret == WEFT_S_STALE_MAP || ret == WEFT_S_NOT_PRIMARY) {
		weft_mapclient_refresh(g->c->mc, call->rep_epoch);
	} else if (ret != WEFT_S_RECOVERY) {
		weft_warn_peer("cannot open the session", "group=%u err=%d why=%s", g->id, ret,
			       ret > 0 ? weft_strstatus(ret) : strerror(-ret));
	}
	weft_rpc_call_fini(call);
	free(op);
	g->op = NULL;
	if (g->c->closing)
		return;
	g->telling++;
	if (ret)
		session_again(g);
	else if (reclaim)
		reclaim_next(g);
	else
		session_is_open(g);
}

static void session_try(struct client_group *g)
{
	struct weft_client *c = g->c;
	struct weft_session_open_req rq = {
		.incarnation = cpu_to_le64(c->incarnation),
		.slots = cpu_to_le16(CLIENT_SLOTS),
		.name_len = cpu_to_le16(strlen(c->host)),
	};

	g->op = session_send(g, WEFT_OP_SESSION_OPEN, session_opened, &rq, sizeof(rq), c->host,
			     strlen(c->host));
	if (!g->op) {
		weft_mapclient_refresh(c->mc, 0);
		session_again(g);
	}
}

void client_session_open(struct client_group *g)
{
	if (g->session != SESSION_CLOSED)
		return;
	g->session = SESSION_OPENING;
	weft_timer_stop(g->c->env, &g->timer);
	if (!g->op) /* a keepalive under way goes first */
		session_try(g);
	else
		session_again(g);
}

void client_session_bad(struct client_group *g, uint32_t gen)
{
	if (g->session != SESSION_OPEN || g->session_gen != gen)
		return;
	g->session = SESSION_CLOSED;
	client_session_open(g);
}

static void acked(struct weft_rpc_call *call)
{
	struct client_op *op = call->arg;

	op->group->ack = NULL;
	weft_rpc_call_fini(call);
	free(op);
}

static void send_ack(struct client_group *g, uint64_t seq)
{
	struct weft_lease_ack_req rq = { .lease_seq = cpu_to_le64(seq) };

	/* One at a time: a newer recall is seen by the next keepalive. */
	if (!g->ack)
		g->ack = session_send(g, WEFT_OP_LEASE_ACK, acked, &rq, sizeof(rq), NULL, 0);
}

static void kept(struct weft_rpc_call *call)
{
	struct client_op *op = call->arg;
	struct client_group *g = op->group;
	const struct weft_keepalive_rep *rep = call->rep;
	int ret = weft_rpc_err(call);

	if (!ret && le32_to_cpu(rep->lease) == WEFT_LEASE_NONE)
		send_ack(g, le64_to_cpu(rep->lease_seq));
	weft_rpc_call_fini(call);
	free(op);
	g->op = NULL;
	if (g->c->closing || g->session != SESSION_OPEN)
		return;
	weft_timer_start(g->c->env, &g->timer, lease_third(g));
	if (ret == WEFT_S_BAD_SESSION)
		client_session_bad(g, g->session_gen);
}

void client_session_timer(void *arg)
{
	struct client_group *g = arg;

	if (g->session == SESSION_OPENING) {
		if (g->op)
			session_again(g);
		else
			session_try(g);
		return;
	}
	if (!g->op)
		g->op = session_send(g, WEFT_OP_KEEPALIVE, kept, NULL, 0, NULL, 0);
	if (!g->op)
		weft_timer_start(g->c->env, &g->timer, lease_third(g));
}

void client_session_push(struct weft_client *c, uint16_t opcode, const void *body, size_t len)
{
	struct weft_lease_push push;
	struct client_group *g;

	if (opcode != WEFT_OP_LEASE_RECALL || len < sizeof(push))
		return;
	memcpy(&push, body, sizeof(push));
	for (g = c->groups; g && g->id != le32_to_cpu(push.group); g = g->next)
		;
	if (g && !g->data)
		send_ack(g, le64_to_cpu(push.lease_seq));
}
