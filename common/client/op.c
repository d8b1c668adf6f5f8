// SPDX-License-Identifier: Apache-2.0
/*
 * Requests of libweft with their retries.
 *
 * Happy path: a thread of the program hands ops to the loop and sleeps; each op finds its group by
 * the map, waits for the group's session and a slot, is sent, and its reply ends it.
 *
 * Failures: answers that say "not now" or "not here" (stale map, not primary, busy, recovery,
 * unknown session, damaged bulk) lead to another attempt with the same slot and number, after a
 * pause; other answers end the op. With a limit of time it ends with -ETIMEDOUT.
 *
 * All ops belong to the loop from client_run() until the batch is told to be over, under the lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/client/impl.h"
#include "common/status.h"

#define PAUSE_MIN_MS 5
#define PAUSE_MAX_MS 200

struct client_batch {
	struct weft_post post;
	struct weft_client *c;
	struct client_op *ops;
	unsigned int n;
	unsigned int left;
	bool over;
};

struct client_group *client_group_get(struct weft_client *c, uint32_t id, bool data)
{
	struct client_group *g;

	for (g = c->groups; g && g->id != id; g = g->next)
		;
	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->c = c;
	g->id = id;
	g->data = data;
	g->nslots = CLIENT_SLOTS;
	weft_timer_init(&g->timer, client_session_timer, g);
	g->next = c->groups;
	c->groups = g;
	return g;
}

/* The group that an op goes to now. Return: its id, 0 when the map has none. */
static uint32_t route(const struct client_op *op, const struct weft_map *m)
{
	if (op->layout)
		return weft_map_chunk_group(&m->view, op->layout, op->chunk);
	return weft_map_shard_group(&m->view, op->ino);
}

static void wait_in_group(struct client_op *op)
{
	struct client_op **at = &op->group->waiting;

	while (*at)
		at = &(*at)->next;
	op->next = NULL;
	op->waiting = true;
	*at = op;
}

static void leave_group(struct client_op *op)
{
	struct client_op **at = &op->group->waiting;

	if (!op->waiting)
		return;
	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	op->waiting = false;
}

void client_group_wake(struct client_group *g)
{
	struct client_op *op, *list = g->waiting;

	g->waiting = NULL;
	while ((op = list)) {
		list = op->next;
		op->waiting = false;
		client_op_start(op);
	}
}

static void slot_put(struct client_op *op)
{
	struct client_group *g = op->group;

	if (op->slot_nr < 0)
		return;
	g->busy[op->slot_nr] = false;
	op->slot_nr = -1;
	if (g->waiting)
		client_group_wake(g);
}

/* Return: false when all slots are in use. */
static bool slot_get(struct client_op *op)
{
	struct client_group *g = op->group;
	unsigned int i;

	if (op->slot_nr >= 0 && op->slots_gen == g->slots_gen)
		return true;
	for (i = 0; op->slot_nr < 0 && i < g->nslots; i++)
		if (!g->busy[i])
			op->slot_nr = i;
	if (op->slot_nr < 0)
		return false;
	g->busy[op->slot_nr] = true;
	op->slots_gen = g->slots_gen;
	g->seq[op->slot_nr] = weft_slot_next(g->seq[op->slot_nr]);
	op->slot_seq = g->seq[op->slot_nr];
	return true;
}

void client_op_finish(struct client_op *op, int ret)
{
	struct weft_client *c = op->c;

	op->ret = ret;
	weft_timer_stop(c->env, &op->timer);
	weft_timer_stop(c->env, &op->expire);
	if (op->group) {
		leave_group(op);
		slot_put(op);
	}
	op->done(op);
}

static void op_pause(struct client_op *op)
{
	unsigned int n = op->pauses++;
	uint32_t ms = PAUSE_MIN_MS << (n < 6 ? n : 6), jitter;

	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	op->c->retries++;
	weft_env_random(op->c->env, &jitter, sizeof(jitter));
	ms = ms / 2 + jitter % (ms / 2 + 1);
	weft_timer_start(op->c->env, &op->timer, ms * WEFT_NS_PER_MS);
}

static void op_done(struct weft_rpc_call *call)
{
	struct client_op *op = call->arg;
	struct weft_client *c = op->c;
	int ret = weft_rpc_err(call);

	op->running = false;
	if (op->expired || c->closing) {
		client_op_finish(op, op->expired ? -ETIMEDOUT : ret);
		return;
	}
	switch (ret) {
	case WEFT_S_STALE_MAP:
	case WEFT_S_NOT_PRIMARY:
	case WEFT_S_NO_TARGET:
	case -ECANCELED: /* the target is gone from the map */
		weft_mapclient_refresh(c->mc, call->rep_epoch);
		break;
	case WEFT_S_BAD_SESSION:
		client_session_bad(op->group, op->session_gen);
		break;
	case WEFT_S_BUSY:
	case WEFT_S_RECOVERY:
	case WEFT_S_CRC:
		break;
	default:
		client_op_finish(op, ret);
		return;
	}
	op_pause(op);
}

static void op_send(struct client_op *op, struct weft_rpc_peer *peer)
{
	struct weft_rpc_call *call = &op->call;
	struct weft_map *m = weft_router_map(op->c->router);
	int ret;

	weft_rpc_call_fini(call);
	memset(call, 0, sizeof(*call));
	call->opcode = op->opcode;
	call->epoch = m->epoch;
	call->group = op->group->id;
	call->bulk_max = op->in_max;
	call->done = op_done;
	call->arg = op;
	if (op->layout)
		call->flags |= WEFT_CALL_CRC;
	if (op->slot) {
		call->flags |= WEFT_CALL_SLOT;
		call->slot = op->slot_nr;
		call->slot_seq = op->slot_seq;
	}
	op->session_gen = op->group->session_gen;
	ret = weft_sg_slice(&call->bulk_out, &op->out, 0, op->out.len);
	if (!ret)
		ret = weft_sg_slice(&call->bulk_in, &op->in, 0, op->in.len);
	if (!ret)
		ret = weft_rpc_call_start(peer, call, op->body, op->body_len, op->tail,
					  op->tail_len);
	if (ret)
		client_op_finish(op, ret);
	else
		op->running = true;
}

void client_op_start(struct client_op *op)
{
	struct weft_client *c = op->c;
	struct weft_map *m = weft_router_map(c->router);
	struct weft_rpc_peer *peer;
	struct client_group *g;
	uint32_t id = route(op, m);

	if (!id) { /* no such shard, or a pool without groups */
		client_op_finish(op, op->layout ? -ENODEV : -ESTALE);
		return;
	}
	g = client_group_get(c, id, op->layout != NULL);
	if (!g) {
		client_op_finish(op, -ENOMEM);
		return;
	}
	if (op->group && op->group != g)
		slot_put(op);
	op->group = g;
	if (!g->data && !op->no_session && g->session != SESSION_OPEN) {
		wait_in_group(op);
		client_session_open(g);
	} else if (op->slot && !slot_get(op)) {
		wait_in_group(op);
	} else if (weft_router_group(c->router, id, &peer)) {
		weft_mapclient_refresh(c->mc, 0);
		op_pause(op);
	} else {
		op_send(op, peer);
	}
}

static void pause_over(void *arg)
{
	client_op_start(arg);
}

static void op_expired(void *arg)
{
	struct client_op *op = arg;

	op->expired = true;
	if (op->running)
		weft_rpc_cancel(&op->call);
	else
		client_op_finish(op, -ETIMEDOUT);
}

static void batch_op_done(struct client_op *op)
{
	struct client_batch *b = op->batch;
	struct weft_client *c = b->c;

	if (--b->left)
		return;
	pthread_mutex_lock(&c->lock);
	b->over = true;
	pthread_cond_broadcast(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

static void batch_start(void *arg)
{
	struct client_batch *b = arg;
	struct weft_client *c = b->c;
	unsigned int i, n = b->n;
	struct client_op *ops = b->ops;

	for (i = 0; i < n; i++) {
		struct client_op *op = &ops[i];

		weft_timer_init(&op->timer, pause_over, op);
		weft_timer_init(&op->expire, op_expired, op);
		if (c->opts.timeout_ms)
			weft_timer_start(c->env, &op->expire,
					 c->opts.timeout_ms * WEFT_NS_PER_MS);
	}
	/* The last one may end the batch at once: nothing of it is touched after that. */
	for (i = 0; i < n; i++)
		client_op_start(&ops[i]);
}

void client_run(struct weft_client *c, struct client_op *ops, unsigned int n)
{
	struct client_batch b = { .c = c, .ops = ops, .n = n, .left = n };
	unsigned int i;

	if (!n)
		return;
	for (i = 0; i < n; i++) {
		ops[i].c = c;
		ops[i].batch = &b;
		ops[i].done = ops[i].done ? ops[i].done : batch_op_done;
		ops[i].slot_nr = -1;
	}
	b.post.cb = batch_start;
	b.post.arg = &b;
	weft_env_post(c->env, &b.post);
	pthread_mutex_lock(&c->lock);
	while (!b.over)
		pthread_cond_wait(&c->cond, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

void client_op_fini(struct client_op *op)
{
	weft_rpc_call_fini(&op->call);
	weft_sg_fini(&op->out);
	weft_sg_fini(&op->in);
}

struct loop_call {
	struct weft_post post;
	struct weft_client *c;
	void (*fn)(void *arg);
	void *arg;
	bool over;
};

static void loop_call_run(void *arg)
{
	struct loop_call *l = arg;
	struct weft_client *c = l->c;

	l->fn(l->arg);
	pthread_mutex_lock(&c->lock);
	l->over = true;
	pthread_cond_broadcast(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

void client_on_loop(struct weft_client *c, void (*fn)(void *arg), void *arg)
{
	struct loop_call l = { .c = c, .fn = fn, .arg = arg };

	l.post.cb = loop_call_run;
	l.post.arg = &l;
	weft_env_post(c->env, &l.post);
	pthread_mutex_lock(&c->lock);
	while (!l.over)
		pthread_cond_wait(&c->cond, &c->lock);
	pthread_mutex_unlock(&c->lock);
}
