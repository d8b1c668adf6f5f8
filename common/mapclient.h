/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link to management: fetches the cluster map, subscribes to new epochs, fetches again when
 * somebody answered WEFT_S_STALE_MAP, and carries calls to the management server that leads.
 *
 * All management addresses are tried in turn: an unreachable server or WEFT_S_NOT_LEADER leads to
 * the next, with pauses after each round. The map is polled every 10 s besides the pushes.
 *
 * Protection: belongs to the loop of its rpc client.
 */
#ifndef WEFT_COMMON_MAPCLIENT_H
#define WEFT_COMMON_MAPCLIENT_H

#include "common/mapview.h"

struct weft_mapclient;

/**
 * struct weft_mapclient_cfg - a link to management
 * @env: the loop
 * @rpc: the rpc client; its push callback passes WEFT_OP_MAP_PUSH on to weft_mapclient_push()
 * @servers: addresses, "host[:port],host[:port]..."
 * @subscribe: ask for pushes
 * @changed: a new map is there (called on the loop); or NULL
 * @arg: first argument of @changed
 */
struct weft_mapclient_cfg {
	struct weft_env *env;
	struct weft_rpc_client *rpc;
	const char *servers;
	bool subscribe;
	void (*changed)(void *arg, struct weft_map *m);
	void *arg;
};

/**
 * weft_mapclient_create() - make the link; nothing is fetched yet
 * @cfg: its configuration, copied
 * @out: the link
 *
 * Return: 0, -EINVAL for a wrong server list, or -ENOMEM.
 */
int weft_mapclient_create(const struct weft_mapclient_cfg *cfg, struct weft_mapclient **out);

/**
 * weft_mapclient_destroy() - free the link
 * @mc: the link or NULL; its calls end with -ECANCELED, later on the loop
 */
void weft_mapclient_destroy(struct weft_mapclient *mc);

/**
 * weft_mapclient_refresh() - fetch the map now
 * @mc: the link
 * @epoch: a newer one than the present is known to exist when this is larger; else it is
 *	only asked for once
 *
 * The outcome is told by changed().
 */
void weft_mapclient_refresh(struct weft_mapclient *mc, uint64_t epoch);

/**
 * weft_mapclient_push() - a WEFT_OP_MAP_PUSH came
 * @mc: the link
 * @body: its body
 * @len: length of the body
 */
void weft_mapclient_push(struct weft_mapclient *mc, const void *body, size_t len);

/**
 * weft_mapclient_map() - the present map
 * @mc: the link
 *
 * Return: the map with a reference for the caller, or NULL.
 * Context: any thread.
 */
struct weft_map *weft_mapclient_map(struct weft_mapclient *mc);

/**
 * struct weft_mgmt_call - a call to the leading management server, embedded by its owner
 * @call: opcode, bulk_out, bulk_max and timeout_ms (for the whole) filled in by the owner; holds
 *	the reply, its bulk in memory of the pool (weft_rpc_call_fini() frees it)
 * @done: called when it is over
 * @arg: for the owner
 */
struct weft_mgmt_call {
	struct weft_rpc_call call;
	void (*done)(struct weft_mgmt_call *mcall);
	void *arg;
	/* private */
	struct weft_mapclient *mc;
	struct weft_mgmt_call *next, *prev;
	struct weft_timer timer;
	void *body;
	size_t body_len;
	const void *tail;
	size_t tail_len;
	struct weft_sg bulk;
	uint64_t deadline;
	unsigned int tries;
	unsigned int server;
};

/**
 * weft_mapclient_call() - begin a call to the leader
 * @mc: the link
 * @mcall: the call; kept by its owner until done()
 * @body: request body, copied
 * @body_len: its length
 * @tail: tail, copied; or NULL
 * @tail_len: its length
 *
 * The server may see it more than once when a leader is lost: such requests are idempotent.
 *
 * Return: 0 or -ENOMEM.
 */
int weft_mapclient_call(struct weft_mapclient *mc, struct weft_mgmt_call *mcall, const void *body,
			size_t body_len, const void *tail, size_t tail_len);

#endif
