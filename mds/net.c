// SPDX-License-Identifier: Apache-2.0
/*
 * Calls to other metadata and object servers, see net.h.
 *
 * Happy path: the router finds the target that leads the group, the call goes there, the answer
 * comes back. A call follows its group: when the map says that it is led by another target now, or
 * when the target answers that it has a newer map, is recovering or not there yet, it is begun
 * again after a pause, until its own deadline if it has one.
 */
#include "mds/net.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_NS (100 * WEFT_NS_PER_MS)

struct net_call {
	struct weft_rpc_call rpc;
	struct mds_net *n;
	struct mds_call *call;
	struct weft_timer timer;
	u64 deadline;
	char *data;
	char *copy; /* body, tail, bulk */
};

static void net_check_closed(struct mds_net *n)
{
	void (*closed)(void *arg) = n->closed;

	if (!n->closing || n->calls || !closed)
		return;
	n->closed = NULL;
	closed(n->closed_arg);
}

static void call_end(struct net_call *nc, int err)
{
	struct mds_call *call = nc->call;
	struct mds_net *n = nc->n;

	call->err = err;
	call->rep = nc->rpc.rep;
	call->rep_len = nc->rpc.rep_len;
	call->data = NULL;
	call->data_len = nc->rpc.bulk_in.len;
	if (!err && call->data_len) {
		nc->data = malloc(call->data_len);
		if (!nc->data)
			call->err = -ENOMEM;
		else
			weft_sg_read(&nc->rpc.bulk_in, 0, nc->data, call->data_len);
		call->data = nc->data;
	}
	call->done(call);
	weft_rpc_call_fini(&nc->rpc);
	weft_sg_fini(&nc->rpc.bulk_in);
	free(nc->data);
	free(nc->copy);
	free(nc);
	n->calls--;
	net_check_closed(n);
}

static void call_try(void *arg);

/* Begin again after a pause, unless time is up. */
static void call_again(struct net_call *nc, int err)
{
	if (nc->n->closing)
		err = -ECANCELED;
	else if (nc->deadline && weft_env_now(nc->n->env) + RETRY_NS > nc->deadline)
		err = -ETIMEDOUT;
	else
		err = 0;
	if (err) {
		call_end(nc, err);
		return;
	}
	weft_rpc_call_fini(&nc->rpc);
	weft_sg_fini(&nc->rpc.bulk_in);
	weft_timer_start(nc->n->env, &nc->timer, RETRY_NS);
}

static void call_done(struct weft_rpc_call *rpc)
{
	struct net_call *nc = rpc->arg;
	int err = weft_rpc_err(rpc);

	switch (err) {
	case WEFT_S_STALE_MAP:
	case WEFT_S_NOT_PRIMARY:
		nc->n->need_map(nc->n->arg, rpc->rep_epoch);
		call_again(nc, err);
		break;
	case WEFT_S_RECOVERY:
	case WEFT_S_NO_TARGET:
	case WEFT_S_CRC:
	case -ECANCELED:
	case -ENOTCONN:
	case -EPROTO:
		call_again(nc, err);
		break;
	default:
		call_end(nc, err);
	}
}

static int call_bulk(struct net_call *nc, const void *bulk)
{
	struct mds_call *call = nc->call;
	int ret;

	if (!call->bulk_len)
		return 0;
	ret = weft_sg_alloc(&nc->rpc.bulk_out, nc->n->pool, call->bulk_len);
	if (!ret)
		weft_sg_write(&nc->rpc.bulk_out, 0, bulk, call->bulk_len);
	return ret;
}

static void call_try(void *arg)
{
	struct net_call *nc = arg;
	struct mds_call *call = nc->call;
	const char *tail = nc->copy + call->body_len;
	struct weft_rpc_peer *peer;
	u64 now = weft_env_now(nc->n->env);
	struct weft_map *map;
	int ret;

	if (nc->n->closing) {
		call_end(nc, -ECANCELED);
		return;
	}
	map = weft_router_map(nc->n->router);
	memset(&nc->rpc, 0, sizeof(nc->rpc));
	nc->rpc.opcode = call->opcode;
	nc->rpc.epoch = map ? map->epoch : 0;
	nc->rpc.group = call->group;
	nc->rpc.bulk_max = call->bulk_max;
	nc->rpc.done = call_done;
	nc->rpc.arg = nc;
	if (call->slot_seq) {
		nc->rpc.flags = WEFT_CALL_SLOT;
		nc->rpc.slot = call->slot;
		nc->rpc.slot_seq = call->slot_seq;
	}
	if (nc->deadline)
		nc->rpc.timeout_ms = now < nc->deadline ?
					     (nc->deadline - now) / WEFT_NS_PER_MS + 1 :
					     1;
	ret = weft_router_group(nc->n->router, call->group, &peer);
	if (!ret)
		ret = call_bulk(nc, tail + call->tail_len);
	if (!ret)
		ret = weft_rpc_call_start(peer, &nc->rpc, nc->copy, call->body_len,
					  call->tail_len ? tail : NULL, call->tail_len);
	if (ret) {
		weft_sg_fini(&nc->rpc.bulk_out);
		call_again(nc, ret);
	}
}

static void call_refused(void *arg)
{
	struct mds_call *call = arg;

	call->err = -ENOMEM;
	call->done(call);
}

void mds_net_call(struct mds_net *n, struct mds_call *call)
{
	struct net_call *nc = calloc(1, sizeof(*nc));
	char *copy = malloc(call->body_len + call->tail_len + call->bulk_len + 1);

	if (!nc || !copy) {
		free(nc);
		free(copy);
		call->post = (struct weft_post){ .cb = call_refused, .arg = call };
		weft_env_post(n->env, &call->post);
		return;
	}
	memcpy(copy, call->body, call->body_len);
	if (call->tail_len)
		memcpy(copy + call->body_len, call->tail, call->tail_len);
	if (call->bulk_len)
		memcpy(copy + call->body_len + call->tail_len, call->bulk, call->bulk_len);
	nc->n = n;
	nc->call = call;
	nc->copy = copy;
	if (call->timeout_ms)
		nc->deadline = weft_env_now(n->env) + call->timeout_ms * WEFT_NS_PER_MS;
	weft_timer_init(&nc->timer, call_try, nc);
	n->calls++;
	weft_timer_start(n->env, &nc->timer, 0);
}

int mds_net_open(struct mds_net *n, const u8 fsid[16], u32 target, const void *secret,
		 size_t secret_len)
{
	struct weft_rpc_client_cfg cfg = { .env = n->env, .pool = n->pool,
					   .role = WEFT_ROLE_SERVER, .secret = secret,
					   .secret_len = secret_len };
	u32 nonce;
	int ret;

	/* A new session each time: data servers may remember the slots of the one before. */
	weft_env_random(n->env, &nonce, sizeof(nonce));
	cfg.session = WEFT_SESSION_SERVER | (u64)(nonce & 0x7fffffff) << 32 | target;
	memcpy(cfg.fsid, fsid, 16);
	ret = weft_rpc_client_create(&cfg, &n->rpc);
	if (ret)
		return ret;
	ret = weft_router_create(n->rpc, 2, &n->router);
	if (ret) {
		weft_rpc_client_destroy(n->rpc);
		n->rpc = NULL;
	}
	return ret;
}

void mds_net_set_map(struct mds_net *n, struct weft_map *map)
{
	weft_router_set_map(n->router, map);
}

void mds_net_close(struct mds_net *n, void (*closed)(void *arg), void *arg)
{
	n->closing = true;
	n->closed = closed;
	n->closed_arg = arg;
	weft_router_destroy(n->router);
	n->router = NULL;
	net_check_closed(n);
}
