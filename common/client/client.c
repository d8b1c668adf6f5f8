// SPDX-License-Identifier: Apache-2.0
/*
 * Opening and closing a client of libweft.
 *
 * Happy path: a thread with a loop is started; it registers with management, which gives the client
 * its id, and fetches the cluster map; then the client is open. Closing ends the sessions at the
 * metadata groups, with a limit of 2 s each, and stops the loop.
 *
 * Failures: what management refuses for good is returned; what may change is waited for, up to
 * the limit of the options.
 *
 * The loop owns all but what weft_client.lock protects.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/client/impl.h"
#include "common/status.h"

#define POOL_BYTES (256u << 20)
#define CLOSE_MS 2000

static void signal_opened(struct weft_client *c, int err)
{
	weft_timer_stop(c->env, &c->limit);
	pthread_mutex_lock(&c->lock);
	if (!c->opened) {
		c->opened = true;
		c->open_err = err;
	}
	pthread_cond_broadcast(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

static void check_opened(struct weft_client *c)
{
	struct weft_map *m = weft_router_map(c->router);

	if (c->session && m && (le16_to_cpu(m->view.hdr->flags) & WEFT_MAP_F_ACTIVE))
		signal_opened(c, 0);
}

static void map_changed(void *arg, struct weft_map *m)
{
	struct weft_client *c = arg;

	weft_rpc_client_set_fsid(c->rpc, m->view.hdr->fsid);
	weft_router_set_map(c->router, m);
	check_opened(c);
}

static void pushed(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		   size_t body_len, const void *tail, size_t tail_len)
{
	struct weft_client *c = arg;

	(void)peer;
	(void)tail;
	(void)tail_len;
	if (opcode == WEFT_OP_MAP_PUSH)
		weft_mapclient_push(c->mc, body, body_len);
	else
		client_session_push(c, opcode, body, body_len);
}

static void registered(struct weft_mgmt_call *mcall)
{
	struct weft_client *c = mcall->arg;
	const struct weft_client_reg_rep *rep = mcall->call.rep;
	int ret = weft_rpc_err(&mcall->call);

	if (!ret) {
		c->session = le64_to_cpu(rep->session);
		weft_rpc_client_set_session(c->rpc, c->session);
		check_opened(c);
	} else {
		signal_opened(c, ret > 0 ? weft_status_errno(ret) : ret);
	}
	weft_rpc_call_fini(&mcall->call);
}

static void limit_over(void *arg)
{
	signal_opened(arg, -ETIMEDOUT);
}

static int open_parts(struct weft_client *c)
{
	struct weft_rpc_client_cfg rc = { .env = c->env, .pool = c->pool,
					  .role = WEFT_ROLE_CLIENT, .secret = c->opts.secret,
					  .secret_len = c->opts.secret_len, .push = pushed,
					  .arg = c };
	struct weft_mapclient_cfg mc = { .env = c->env, .servers = c->opts.mgmt,
					 .subscribe = true, .changed = map_changed, .arg = c };
	int ret;

	ret = weft_rpc_client_create(&rc, &c->rpc);
	if (ret)
		return ret;
	ret = weft_router_create(c->rpc, c->opts.conns ? c->opts.conns : 2, &c->router);
	if (ret)
		return ret;
	mc.rpc = c->rpc;
	return weft_mapclient_create(&mc, &c->mc);
}

static void open_on_loop(void *arg)
{
	struct weft_client *c = arg;
	struct weft_client_reg_req rq = { .name_len = cpu_to_le16(strlen(c->host)) };
	int ret = open_parts(c);

	weft_timer_init(&c->limit, limit_over, c);
	if (ret) {
		signal_opened(c, ret);
		return;
	}
	weft_env_random(c->env, &c->incarnation, sizeof(c->incarnation));
	rq.incarnation = cpu_to_le64(c->incarnation);
	c->reg.call.opcode = WEFT_OP_CLIENT_REGISTER;
	c->reg.call.timeout_ms = c->opts.timeout_ms;
	c->reg.done = registered;
	c->reg.arg = c;
	if (c->opts.timeout_ms)
		weft_timer_start(c->env, &c->limit, c->opts.timeout_ms * WEFT_NS_PER_MS);
	ret = weft_mapclient_call(c->mc, &c->reg, &rq, sizeof(rq), c->host, strlen(c->host));
	if (ret)
		signal_opened(c, ret);
	weft_mapclient_refresh(c->mc, 0);
}

static void session_closed(struct weft_rpc_call *call)
{
	struct client_op *op = call->arg;
	struct weft_client *c = op->c;

	weft_rpc_call_fini(call);
	free(op);
	pthread_mutex_lock(&c->lock);
	c->closes--;
	pthread_cond_broadcast(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

static void close_session(struct client_group *g)
{
	struct weft_client *c = g->c;
	struct weft_rpc_peer *peer;
	struct client_op *op;

	weft_timer_stop(c->env, &g->timer);
	if (g->data || g->session != SESSION_OPEN)
		return;
	op = calloc(1, sizeof(*op));
	if (!op)
		return; /* the session will expire */
	op->c = c;
	op->call.opcode = WEFT_OP_SESSION_CLOSE;
	op->call.epoch = weft_router_map(c->router)->epoch;
	op->call.group = g->id;
	op->call.timeout_ms = CLOSE_MS;
	op->call.flags = WEFT_CALL_NO_WAIT;
	op->call.done = session_closed;
	op->call.arg = op;
	if (weft_router_group(c->router, g->id, &peer) ||
	    weft_rpc_call_start(peer, &op->call, NULL, 0, NULL, 0)) {
		free(op);
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->closes++;
	pthread_mutex_unlock(&c->lock);
}

static void close_sessions(void *arg)
{
	struct weft_client *c = arg;
	struct client_group *g;

	c->closing = true;
	weft_timer_stop(c->env, &c->limit);
	for (g = c->groups; g; g = g->next)
		close_session(g);
}

/* Calls that are still under way end by posts, which run before the loop is freed. */
static void close_parts(void *arg)
{
	struct weft_client *c = arg;

	weft_mapclient_destroy(c->mc);
	weft_router_destroy(c->router);
}

static void client_free(struct weft_client *c)
{
	struct client_group *g;

	if (c->thread)
		weft_env_thread_stop(c->thread);
	while ((g = c->groups)) {
		c->groups = g->next;
		free(g);
	}
	weft_rpc_client_destroy(c->rpc);
	weft_pool_destroy(c->pool);
	pthread_cond_destroy(&c->cond);
	pthread_mutex_destroy(&c->lock);
	free(c->creds.groups);
	free((char *)c->opts.mgmt);
	free(c);
}

void weft_client_close(struct weft_client *c)
{
	if (!c)
		return;
	client_on_loop(c, close_sessions, c);
	pthread_mutex_lock(&c->lock);
	while (c->closes)
		pthread_cond_wait(&c->cond, &c->lock);
	pthread_mutex_unlock(&c->lock);
	client_on_loop(c, close_parts, c);
	client_free(c);
}

int weft_client_open(const struct weft_client_opts *o, struct weft_client **out)
{
	struct weft_client *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->cond, NULL);
	c->creds.caps = WEFT_CAP_ALL;
	c->opts = *o;
	c->opts.mgmt = strdup(o->mgmt);
	gethostname(c->host, sizeof(c->host) - 1);
	ret = c->opts.mgmt ? weft_pool_create(POOL_BYTES, &c->pool) : -ENOMEM;
	if (!ret)
		ret = weft_env_thread_start("client", &c->thread);
	if (ret) {
		client_free(c);
		return ret;
	}
	c->env = weft_env_thread_env(c->thread);
	client_on_loop(c, open_on_loop, c);
	pthread_mutex_lock(&c->lock);
	while (!c->opened)
		pthread_cond_wait(&c->cond, &c->lock);
	ret = c->open_err;
	pthread_mutex_unlock(&c->lock);
	if (ret) {
		weft_client_close(c);
		return ret;
	}
	*out = c;
	return 0;
}

int weft_client_set_creds(struct weft_client *c, uint32_t uid, uint32_t gid, uint32_t caps,
			  const uint32_t *groups, uint32_t ngroups)
{
	__le32 *copy, *old;
	uint32_t i;

	if (ngroups > WEFT_GROUPS_MAX)
		return -EINVAL;
	copy = calloc(ngroups + 1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (i = 0; i < ngroups; i++)
		copy[i] = cpu_to_le32(groups[i]);
	pthread_mutex_lock(&c->lock);
	old = c->creds.groups;
	c->creds = (struct client_creds){ uid, gid, caps, ngroups, copy };
	pthread_mutex_unlock(&c->lock);
	free(old);
	return 0;
}

uint64_t weft_client_session(struct weft_client *c)
{
	return c->session;
}

struct stats_arg {
	struct weft_client *c;
	struct weft_client_stats *s;
};

static void add_peer(struct weft_client_stats *s, const struct weft_rpc_peer *p)
{
	const struct weft_rpc_peer_stats *ps = weft_rpc_peer_stats(p);

	s->rpcs += ps->calls;
	s->replays += ps->replays;
}

static void stats_on_loop(void *arg)
{
	struct stats_arg *a = arg;
	struct weft_rpc_peer *peer;
	struct client_group *g;

	a->s->retries = a->c->retries;
	for (g = a->c->groups; g; g = g->next)
		if (!weft_router_group(a->c->router, g->id, &peer))
			add_peer(a->s, peer);
}

void weft_client_stats(struct weft_client *c, struct weft_client_stats *s)
{
	struct stats_arg a = { c, s };

	memset(s, 0, sizeof(*s));
	client_on_loop(c, stats_on_loop, &a);
}

struct statfs_arg {
	struct weft_mgmt_call mcall;
	struct weft_client *c;
	struct weft_statfs_rep *st;
	bool over;
	int ret;
};

static void statfs_done(struct weft_mgmt_call *mcall)
{
	struct statfs_arg *a = (struct statfs_arg *)mcall;
	struct weft_client *c = a->c;

	a->ret = weft_rpc_err(&mcall->call);
	if (!a->ret)
		memcpy(a->st, mcall->call.rep, sizeof(*a->st));
	weft_rpc_call_fini(&mcall->call);
	pthread_mutex_lock(&c->lock);
	a->over = true;
	pthread_cond_broadcast(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

static void statfs_on_loop(void *arg)
{
	struct weft_statfs_req rq = { 0 };
	struct statfs_arg *a = arg;
	int ret;

	a->mcall.call.opcode = WEFT_OP_STATFS;
	a->mcall.call.timeout_ms = a->c->opts.timeout_ms;
	a->mcall.done = statfs_done;
	ret = weft_mapclient_call(a->c->mc, &a->mcall, &rq, sizeof(rq), NULL, 0);
	if (ret) {
		a->ret = ret;
		a->over = true;
	}
}

int weft_client_statfs(struct weft_client *c, struct weft_statfs_rep *st)
{
	struct statfs_arg a = { .c = c, .st = st };

	client_on_loop(c, statfs_on_loop, &a);
	pthread_mutex_lock(&c->lock);
	while (!a.over)
		pthread_cond_wait(&c->cond, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return a.ret > 0 ? weft_status_errno(a.ret) : a.ret;
}
