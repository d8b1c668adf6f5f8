// SPDX-License-Identifier: Apache-2.0
/*
 * A connection over RDMA: its queue pair and memory, the loop it is on, its end.
 *
 * Each connection has a completion queue of its own, because the loop that serves it is known only
 * when INIT has named a target, and a queue pair cannot change its completion queue. Its event
 * channel and completion channel are descriptors, which one loop gives up and another watches.
 *
 * Happy path: setup registers receives and send slots as one piece, makes the queue pair and posts
 * the receives; the loop's callbacks do the rest.
 *
 * Failures: whatever goes wrong is told by broken(), once, after what had come before it was handed
 * up. Closing destroys the queue pair first: when that has returned the device touches no memory
 * of ours any more, flushed or not, and messages and their buffers can be given back.
 *
 * Belongs to one loop. It may be closed or detached inside any callback: @depth keeps the memory
 * until the outermost function is left. Detaching moves it to another struct, so that the functions
 * that are just being left on the old loop have nothing in common with the new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/rpc/rdma.h"

static void conn_free(struct rdma_conn *c)
{
	if (c->cq)
		ibv_destroy_cq(c->cq);
	if (c->comp)
		ibv_destroy_comp_channel(c->comp);
	if (c->mr)
		rdma_unreg(c->mr);
	free(c->mem);
	if (c->id)
		rdma_destroy_id(c->id);
	if (c->chan)
		rdma_destroy_event_channel(c->chan);
	free(c);
}

void rdma_leave(struct rdma_conn *c)
{
	if (!--c->depth && c->closed)
		conn_free(c);
}

void rdma_conn_fail(struct rdma_conn *c, int err)
{
	if (c->err)
		return;
	c->err = err;
	if (c->env)
		weft_timer_start(c->env, &c->fail, 0);
}

void rdma_conn_rule(struct rdma_conn *c, const char *why)
{
	if (c->err)
		return;
	WEFT_RDMA_COUNT(bad_peers, 1);
	weft_warn_peer("a peer broke a rule of RDMA, connection closed", "peer=%s why=\"%s\"",
		       c->peer_name, why);
	rdma_conn_fail(c, -EPROTO);
}

void rdma_conn_tell(struct rdma_conn *c, int err)
{
	if (c->told || c->closed)
		return;
	c->told = true;
	c->state = RDMA_BROKEN;
	WEFT_RDMA_COUNT(broken, 1);
	if (c->listener) { /* nobody knows of it yet */
		rdma_conn_close(c);
		return;
	}
	c->cb.broken(c->arg, err);
}

static void fail_fired(void *arg)
{
	struct rdma_conn *c = arg;

	rdma_enter(c);
	rdma_conn_tell(c, c->err);
	rdma_leave(c);
}

static void run_fired(void *arg)
{
	struct rdma_conn *c = arg;

	rdma_enter(c);
	rdma_call_retry(c);
	rdma_run(c);
	rdma_leave(c);
}

static void alive_fired(void *arg)
{
	struct rdma_conn *c = arg;

	weft_timer_start(c->env, &c->alive, RDMA_ALIVE_MS * WEFT_NS_PER_MS);
	rdma_alive(c);
}

struct rdma_conn *rdma_conn_alloc(bool server)
{
	struct rdma_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->x.ops = &weft_xprt_rdma;
	c->server = server;
	c->own = (struct rdma_side){ .recv_size = WEFT_RDMA_RECV_SIZE,
				     .recv_depth = RDMA_RECV_DEPTH,
				     .inline_max = WEFT_RDMA_INLINE_MAX };
	c->sq_free = RDMA_SQ_DEPTH;
	return c;
}

static int conn_memory(struct rdma_conn *c)
{
	c->mem_len = (RDMA_RECV_DEPTH + RDMA_SEND_SLOTS) * WEFT_RDMA_RECV_SIZE;
	if (posix_memalign((void **)&c->mem, WEFT_BUF_ALIGN, c->mem_len))
		return -ENOMEM;
	c->mr = rdma_reg(c->dev, c->mem, c->mem_len, IBV_ACCESS_LOCAL_WRITE, "frames");
	return c->mr ? 0 : -ENOMEM;
}

int rdma_conn_setup(struct rdma_conn *c)
{
	static unsigned int vector;
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = RDMA_SQ_DEPTH, .max_recv_wr = RDMA_RECV_DEPTH,
			 .max_recv_sge = 1 },
	};
	int ret = rdma_dev_find(c->id->verbs, &c->dev);

	if (ret)
		return ret;
	ret = conn_memory(c);
	if (ret)
		return ret;
	c->comp = ibv_create_comp_channel(c->id->verbs);
	if (!c->comp)
		return -errno;
	c->cq = ibv_create_cq(c->id->verbs, RDMA_SQ_DEPTH + RDMA_RECV_DEPTH, NULL, c->comp,
			      __atomic_fetch_add(&vector, 1, __ATOMIC_RELAXED) %
				      c->id->verbs->num_comp_vectors);
	if (!c->cq)
		return -errno;
	attr.send_cq = c->cq;
	attr.recv_cq = c->cq;
	attr.cap.max_send_sge = c->dev->max_sge;
	if (rdma_create_qp(c->id, c->dev->pd, &attr))
		return -errno;
	WEFT_RDMA_COUNT(qps, 1);
	ret = -ibv_req_notify_cq(c->cq, 0);
	return ret ? ret : rdma_post_recvs(c);
}

void rdma_conn_up(struct rdma_conn *c, const struct rdma_side *peer, unsigned int reads)
{
	c->peer = *peer;
	c->inv = peer->inv && c->dev->can_inv;
	c->credits.own_depth = c->own.recv_depth;
	c->credits.peer_depth = peer->recv_depth;
	c->send_size = peer->recv_size < WEFT_RDMA_RECV_SIZE ? peer->recv_size
							     : WEFT_RDMA_RECV_SIZE;
	c->rx.frame_max = c->own.recv_size - sizeof(struct weft_rdma_frame);
	c->reads_max = reads < c->dev->reads_out ? reads : c->dev->reads_out;
	c->reads_free = c->reads_max;
	c->state = RDMA_UP;
	rdma_cm_name(c->id, c->peer_name, sizeof(c->peer_name));
}

static void conn_unwatch(struct rdma_conn *c)
{
	struct weft_timer *timers[] = { &c->kick, &c->retry, &c->hold, &c->fail, &c->alive };
	unsigned int i;

	if (!c->env)
		return;
	if (c->cm_watch)
		weft_watch_close(c->cm_watch);
	if (c->cq_watch)
		weft_watch_close(c->cq_watch);
	c->cm_watch = c->cq_watch = NULL;
	for (i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		weft_timer_stop(c->env, timers[i]);
	c->env = NULL;
}

int rdma_conn_watch(struct rdma_conn *c, struct weft_env *env)
{
	int ret = 0;

	if (!c->env) {
		weft_timer_init(&c->kick, run_fired, c);
		weft_timer_init(&c->retry, run_fired, c);
		weft_timer_init(&c->hold, run_fired, c);
		weft_timer_init(&c->fail, fail_fired, c);
		weft_timer_init(&c->alive, alive_fired, c);
		c->rx.ops = &rdma_rx_ops;
		c->rx.arg = c;
		c->env = env;
	}
	if (!c->cm_watch)
		ret = weft_env_watch(env, c->chan->fd, rdma_cm_ready, c, &c->cm_watch);
	if (!ret && c->comp && !c->cq_watch)
		ret = weft_env_watch(env, c->comp->fd, rdma_cq_ready, c, &c->cq_watch);
	return ret;
}

/* Everything of it that is under way is told as over. */
static void conn_drop(struct rdma_conn *c)
{
	struct weft_msg *m;
	unsigned int i;

	rdma_req_drop_all(c);
	rdma_call_drop_all(c);
	rdma_rx_fini(&c->rx);
	for (i = 0; i < RDMA_SEND_SLOTS; i++)
		if (c->slot_msg[i])
			rdma_msg_add(&c->done, c->slot_msg[i]);
	while ((m = rdma_msg_take(&c->tx)))
		rdma_msg_add(&c->done, m);
	while ((m = rdma_msg_take(&c->call_wait)))
		rdma_msg_add(&c->done, m);
	while ((m = rdma_msg_take(&c->done)))
		c->cb.sent(c->arg, m);
}

void rdma_conn_close(struct rdma_conn *c)
{
	if (c->closed)
		return;
	rdma_enter(c);
	c->closed = true;
	rdma_embryo_end(c);
	conn_unwatch(c);
	if (c->id && c->id->qp) {
		rdma_disconnect(c->id);
		rdma_destroy_qp(c->id);
		WEFT_RDMA_COUNT(qps, -1);
	}
	conn_drop(c);
	rdma_leave(c);
}

static bool conn_idle(const struct rdma_conn *c)
{
	return c->state == RDMA_UP && !c->err && !c->tx.first && !c->done.first && !c->nreqs &&
	       !c->calls && !c->call_wait.first && c->slot_tail == c->slot_head && !c->rx.m &&
	       !c->rx_used;
}

struct rdma_conn *rdma_conn_move(struct rdma_conn *c)
{
	struct rdma_conn *n = conn_idle(c) ? malloc(sizeof(*n)) : NULL;

	if (!n) {
		rdma_conn_close(c);
		return NULL;
	}
	rdma_embryo_end(c);
	conn_unwatch(c);
	*n = *c;
	n->depth = 0;
	n->stopped = false;
	rdma_enter(c);
	c->closed = true;
	c->cq = NULL;
	c->comp = NULL;
	c->mr = NULL;
	c->mem = NULL;
	c->id = NULL;
	c->chan = NULL;
	rdma_leave(c);
	return n;
}

/* --- the transport's functions */

static int xprt_attach(struct weft_env *env, const struct weft_xprt_handle *h,
		       struct weft_pool *pool, const struct weft_xprt_cb *cb, void *arg,
		       struct weft_xprt **out)
{
	struct rdma_conn *c = h->conn;
	int ret = rdma_conn_watch(c, env);

	if (ret) {
		conn_unwatch(c);
		return ret;
	}
	c->pool = pool;
	c->cb = *cb;
	c->arg = arg;
	/* What has come while nobody watched. */
	weft_timer_start(env, &c->kick, 0);
	weft_timer_start(env, &c->alive, RDMA_ALIVE_MS * WEFT_NS_PER_MS);
	*out = &c->x;
	return 0;
}

static int xprt_detach(struct weft_xprt *x, struct weft_xprt_handle *h)
{
	struct rdma_conn *c = (struct rdma_conn *)x;
	int err = c->err ? c->err : -EPROTO;

	*h = (struct weft_xprt_handle){ .ops = &weft_xprt_rdma, .conn = rdma_conn_move(c) };
	return h->conn ? 0 : err;
}

static void xprt_discard(const struct weft_xprt_handle *h)
{
	rdma_conn_close(h->conn);
}

/* Return: true when the message is taken care of. */
static bool send_fault(struct rdma_conn *c, struct weft_msg *m)
{
	uint32_t ms = 0;
	int ret = WEFT_FAULT_ASYNC("rpc.send", &ms);

	if (ms)
		weft_timer_start(c->env, &c->hold, ms * WEFT_NS_PER_MS);
	if (ret < 0)
		rdma_conn_fail(c, ret);
	if (ret)
		rdma_msg_add(&c->done, m);
	return ret != 0;
}

static void xprt_send(struct weft_xprt *x, struct weft_msg *m)
{
	struct rdma_conn *c = (struct rdma_conn *)x;
	int ret = 0;

	rdma_enter(c);
	if (!send_fault(c, m)) {
		ret = c->server ? rdma_reply_prepare(c, m) : rdma_call_prepare(c, m);
		if (!ret) {
			rdma_msg_add(&c->tx, m);
		} else if (ret == -ENOMEM && !c->server) {
			rdma_msg_add(&c->call_wait, m);
			weft_timer_start(c->env, &c->retry, RDMA_RETRY_MS * WEFT_NS_PER_MS);
		} else {
			rdma_msg_add(&c->done, m);
			rdma_conn_fail(c, ret);
		}
	}
	/* Inside a callback, messages are gathered; the function that called back sends them. */
	if (c->depth == 1) {
		rdma_tx_run(c);
		rdma_tell_sent(c);
	}
	rdma_leave(c);
}

static void xprt_stop_reading(struct weft_xprt *x, bool stop)
{
	struct rdma_conn *c = (struct rdma_conn *)x;

	if (c->stopped == stop)
		return;
	c->stopped = stop;
	if (!stop)
		weft_timer_start(c->env, &c->kick, 0);
}

static void xprt_close(struct weft_xprt *x)
{
	rdma_conn_close((struct rdma_conn *)x);
}

static void xprt_peer(struct weft_xprt *x, char *buf, size_t len)
{
	strncpy(buf, ((struct rdma_conn *)x)->peer_name, len);
	buf[len - 1] = 0;
}

const struct weft_xprt_ops weft_xprt_rdma = {
	.name = "rdma",
	.listen = rdma_xprt_listen,
	.listen_port = rdma_xprt_listen_port,
	.listen_close = rdma_xprt_listen_close,
	.connect = rdma_xprt_connect,
	.attach = xprt_attach,
	.detach = xprt_detach,
	.discard = xprt_discard,
	.send = xprt_send,
	.stop_reading = xprt_stop_reading,
	.close = xprt_close,
	.peer = xprt_peer,
};
