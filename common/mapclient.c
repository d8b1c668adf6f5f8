// SPDX-License-Identifier: Apache-2.0
/*
 * The link to management.
 *
 * Happy path: a call goes to the server that answered last. The map is fetched when somebody asks,
 * when a push tells of a newer epoch, and every 10 s (which also renews the subscription after a
 * reconnect).
 *
 * Failures: a server that cannot be reached, does not answer in time or does not lead makes the
 * call go to the next one, with a pause after each round, until the call's deadline. A server that
 * refuses the handshake for good (version, file system, secret) ends the call with that status. A
 * map that does not decode is logged and not used.
 *
 * Belongs to the rpc client's loop, except the holder of the map, which has a lock.
 */
#include "common/mapclient.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/log.h"
#include "proto/mgmtops.h"

#define SERVERS_MAX 8
#define POLL_MS 10000
#define BEHIND_MS 200
#define ATTEMPT_MS 10000
#define ROUND_PAUSE_MS 200

struct weft_mapclient {
	struct weft_mapclient_cfg cfg;
	struct weft_rpc_peer *peers[SERVERS_MAX];
	unsigned int npeers;
	unsigned int cur;
	struct weft_mapref map;
	struct weft_timer poll;
	struct fetch *fetch; /* under way */
	bool again;
	uint64_t want; /* an epoch known to exist */
	struct weft_mgmt_call *calls;
};

/* Fetching the map; lives on its own, because it may end after the link is gone. */
struct fetch {
	struct weft_mgmt_call mcall;
	struct weft_mapclient *mc;
};

static int add_server(struct weft_mapclient *mc, const char *text)
{
	struct weft_rpc_addr addr = { .port = WEFT_DEFAULT_PORT };
	int ret;

	if (mc->npeers == SERVERS_MAX)
		return -EINVAL;
	ret = weft_parse_hostport(text, addr.host, sizeof(addr.host), &addr.port);
	if (!ret)
		ret = weft_rpc_peer_create(mc->cfg.rpc, 0, 1, &addr, 1, mc,
					   &mc->peers[mc->npeers]);
	if (!ret)
		mc->npeers++;
	return ret;
}

static void peers_free(struct weft_mapclient *mc)
{
	while (mc->npeers)
		weft_rpc_peer_destroy(mc->peers[--mc->npeers]);
}

static void poll_fired(void *arg)
{
	weft_mapclient_refresh(arg, 0);
}

int weft_mapclient_create(const struct weft_mapclient_cfg *cfg, struct weft_mapclient **out)
{
	struct weft_mapclient *mc = calloc(1, sizeof(*mc));
	const char *list = cfg->servers;
	char text[WEFT_RPC_HOST_MAX + 8];
	int ret;

	if (!mc)
		return -ENOMEM;
	mc->cfg = *cfg;
	while ((ret = weft_config_split(&list, text, sizeof(text))) > 0) {
		ret = add_server(mc, text);
		if (ret)
			break;
	}
	if (!ret && !mc->npeers)
		ret = -EINVAL;
	if (ret) {
		peers_free(mc);
		free(mc);
		return ret == -ENAMETOOLONG ? -EINVAL : ret;
	}
	weft_mapref_init(&mc->map);
	weft_timer_init(&mc->poll, poll_fired, mc);
	*out = mc;
	return 0;
}

static void mcall_unlink(struct weft_mgmt_call *m)
{
	if (m->prev)
		m->prev->next = m->next;
	else
		m->mc->calls = m->next;
	if (m->next)
		m->next->prev = m->prev;
	weft_timer_stop(m->mc->cfg.env, &m->timer);
	m->mc = NULL;
}

static void mcall_end(struct weft_mgmt_call *m)
{
	weft_sg_fini(&m->bulk);
	free(m->body);
	m->body = NULL;
	m->done(m);
}

static void mcall_cancelled(void *arg)
{
	struct weft_mgmt_call *m = arg;

	m->call.err = -ECANCELED;
	mcall_end(m);
}

void weft_mapclient_destroy(struct weft_mapclient *mc)
{
	struct weft_mgmt_call *m;

	if (!mc)
		return;
	while ((m = mc->calls)) {
		bool pausing = m->timer.pos >= 0;

		mcall_unlink(m);
		if (pausing) { /* no rpc is under way that would end it */
			m->call.post.cb = mcall_cancelled;
			m->call.post.arg = m;
			weft_env_post(mc->cfg.env, &m->call.post);
		}
	}
	if (mc->fetch)
		mc->fetch->mc = NULL;
	peers_free(mc);
	weft_timer_stop(mc->cfg.env, &mc->poll);
	weft_mapref_fini(&mc->map);
	free(mc);
}

static void attempt(struct weft_mgmt_call *m);

static void attempt_fired(void *arg)
{
	attempt(arg);
}

static bool worth_retrying(const struct weft_mgmt_call *m)
{
	switch (weft_rpc_err(&m->call)) {
	case -ENOTCONN:
	case -ETIMEDOUT:
	case -EPROTO:
	case WEFT_S_NOT_LEADER:
	case WEFT_S_NO_TARGET:
	case WEFT_S_RECOVERY:
		return true;
	}
	return false;
}

/* Milliseconds until the deadline; UINT32_MAX without one. */
static uint32_t time_left(const struct weft_mgmt_call *m)
{
	uint64_t now = weft_env_now(m->mc->cfg.env);

	if (!m->deadline)
		return UINT32_MAX;
	return m->deadline > now ? (m->deadline - now) / WEFT_NS_PER_MS : 0;
}

static void finish(struct weft_mgmt_call *m)
{
	mcall_unlink(m);
	mcall_end(m);
}

static void mcall_done(struct weft_rpc_call *call)
{
	struct weft_mgmt_call *m = call->arg;
	struct weft_mapclient *mc = m->mc;
	uint32_t pause = 0;

	if (!mc) { /* the link is gone */
		mcall_end(m);
		return;
	}
	if (!worth_retrying(m)) {
		finish(m);
		return;
	}
	if (mc->cur == m->server) /* nobody else has moved on meanwhile */
		mc->cur = (mc->cur + 1) % mc->npeers;
	if (++m->tries % mc->npeers == 0)
		pause = ROUND_PAUSE_MS;
	if (time_left(m) <= pause)
		finish(m);
	else
		weft_timer_start(mc->cfg.env, &m->timer, pause * WEFT_NS_PER_MS);
}

/* Sends it to the present server. */
static void attempt(struct weft_mgmt_call *m)
{
	struct weft_rpc_call *c = &m->call;
	struct weft_mapclient *mc = m->mc;
	uint32_t left = time_left(m);
	int ret;

	weft_rpc_call_fini(c);
	c->timeout_ms = left < ATTEMPT_MS ? left + 1 : ATTEMPT_MS;
	c->flags |= WEFT_CALL_NO_WAIT;
	c->done = mcall_done;
	c->arg = m;
	m->server = mc->cur;
	ret = weft_sg_slice(&c->bulk_out, &m->bulk, 0, m->bulk.len);
	if (!ret)
		ret = weft_rpc_call_start(mc->peers[mc->cur], c, m->body, m->body_len, m->tail,
					  m->tail_len);
	if (ret) {
		c->err = ret;
		finish(m);
	}
}

int weft_mapclient_call(struct weft_mapclient *mc, struct weft_mgmt_call *m, const void *body,
			size_t body_len, const void *tail, size_t tail_len)
{
	m->body = malloc(body_len + tail_len + 1);
	if (!m->body)
		return -ENOMEM;
	if (body_len)
		memcpy(m->body, body, body_len);
	if (tail_len)
		memcpy((char *)m->body + body_len, tail, tail_len);
	m->body_len = body_len;
	m->tail = (char *)m->body + body_len;
	m->tail_len = tail_len;
	m->mc = mc;
	m->tries = 0;
	m->deadline = 0;
	if (m->call.timeout_ms)
		m->deadline = weft_env_now(mc->cfg.env) + m->call.timeout_ms * WEFT_NS_PER_MS;
	weft_sg_move(&m->bulk, &m->call.bulk_out);
	m->prev = NULL;
	m->next = mc->calls;
	if (m->next)
		m->next->prev = m;
	mc->calls = m;
	/* Even the first attempt is made on the loop: its failure must not come from in here. */
	weft_timer_init(&m->timer, attempt_fired, m);
	weft_timer_start(mc->cfg.env, &m->timer, 0);
	return 0;
}

/* Takes a map out of a reply. Return: 0 or a negative errno. */
static int take_map(struct weft_mapclient *mc, const struct weft_sg *bulk)
{
	struct weft_map *m;
	char *flat;
	int ret;

	if (!bulk->len)
		return 0;
	flat = malloc(bulk->len);
	if (!flat)
		return -ENOMEM;
	weft_sg_read(bulk, 0, flat, bulk->len);
	ret = weft_map_decode(flat, bulk->len, &m);
	free(flat);
	if (ret)
		return ret;
	if (weft_mapref_set(&mc->map, m)) {
		weft_debug("cluster map", "epoch=%llu", (unsigned long long)m->epoch);
		if (mc->cfg.changed)
			mc->cfg.changed(mc->cfg.arg, m);
	}
	weft_map_put(m);
	return 0;
}

static uint64_t present_epoch(struct weft_mapclient *mc)
{
	struct weft_map *m = weft_mapref_get(&mc->map);
	uint64_t epoch = m ? m->epoch : 0;

	weft_map_put(m);
	return epoch;
}

static void fetched(struct weft_mgmt_call *mcall)
{
	struct fetch *f = (struct fetch *)mcall;
	struct weft_mapclient *mc = f->mc;
	int ret = weft_rpc_err(&mcall->call);

	if (mc && !ret)
		ret = take_map(mc, &mcall->call.bulk_in);
	mc = f->mc; /* changed() may have ended the link */
	weft_rpc_call_fini(&mcall->call);
	free(f);
	if (!mc)
		return;
	mc->fetch = NULL;
	weft_timer_start(mc->cfg.env, &mc->poll, POLL_MS * WEFT_NS_PER_MS);
	if (ret)
		weft_warn_peer("cannot fetch the cluster map", "err=%d", ret);
	if (mc->again)
		weft_mapclient_refresh(mc, 0);
	else if (ret || present_epoch(mc) < mc->want)
		weft_timer_start(mc->cfg.env, &mc->poll, BEHIND_MS * WEFT_NS_PER_MS);
}

void weft_mapclient_refresh(struct weft_mapclient *mc, uint64_t epoch)
{
	struct weft_map_get_req rq = { 0 };
	struct fetch *f;

	if (epoch > mc->want)
		mc->want = epoch;
	if (mc->fetch) {
		/* What is under way may have been answered before the new epoch. */
		mc->again = true;
		return;
	}
	mc->again = false;
	f = calloc(1, sizeof(*f));
	if (!f)
		goto out_later;
	f->mc = mc;
	f->mcall.call.opcode = WEFT_OP_MAP_GET;
	f->mcall.call.bulk_max = WEFT_MAP_LEN_MAX;
	f->mcall.done = fetched;
	rq.have_epoch = cpu_to_le64(present_epoch(mc));
	rq.flags = cpu_to_le32(mc->cfg.subscribe ? WEFT_MAP_SUBSCRIBE : 0);
	if (weft_mapclient_call(mc, &f->mcall, &rq, sizeof(rq), NULL, 0)) {
		free(f);
		goto out_later;
	}
	mc->fetch = f;
	return;

out_later:
	weft_timer_start(mc->cfg.env, &mc->poll, BEHIND_MS * WEFT_NS_PER_MS);
}

void weft_mapclient_push(struct weft_mapclient *mc, const void *body, size_t len)
{
	struct weft_map_push push;
	uint64_t epoch;

	if (len < sizeof(push))
		return;
	memcpy(&push, body, sizeof(push));
	epoch = le64_to_cpu(push.epoch);
	if (epoch > present_epoch(mc))
		weft_mapclient_refresh(mc, epoch);
}

struct weft_map *weft_mapclient_map(struct weft_mapclient *mc)
{
	return weft_mapref_get(&mc->map);
}
