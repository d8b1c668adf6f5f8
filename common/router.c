// SPDX-License-Identifier: Apache-2.0
/*
 * Peers of the targets that the map names: a table by target id, filled at first use.
 *
 * Failures: an unknown group or target, or one without a TCP address, is -ENOENT: the caller
 * waits for a newer map. Belongs to the rpc client's loop.
 */
#include "common/router.h"

#include <errno.h>
#include <stdlib.h>

struct route {
	struct route *next;
	uint32_t target;
	struct weft_rpc_peer *peer;
};

struct weft_router {
	struct weft_rpc_client *rpc;
	unsigned int nconns;
	struct weft_map *map;
	struct route *routes;
};

int weft_router_create(struct weft_rpc_client *rpc, unsigned int nconns, struct weft_router **out)
{
	struct weft_router *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->rpc = rpc;
	r->nconns = nconns;
	*out = r;
	return 0;
}

static void route_free(struct route **at)
{
	struct route *rt = *at;

	*at = rt->next;
	weft_rpc_peer_destroy(rt->peer);
	free(rt);
}

void weft_router_destroy(struct weft_router *r)
{
	if (!r)
		return;
	while (r->routes)
		route_free(&r->routes);
	weft_map_put(r->map);
	free(r);
}

void weft_router_set_map(struct weft_router *r, struct weft_map *m)
{
	struct weft_rpc_addr addrs[WEFT_RPC_ADDRS_MAX];
	struct weft_map *old = r->map;
	struct route **at = &r->routes;
	unsigned int n;

	r->map = weft_map_get(m);
	weft_map_put(old);
	while (*at) {
		n = weft_map_target_addrs(m, (*at)->target, addrs);
		if (!n || weft_rpc_peer_set_addrs((*at)->peer, addrs, n))
			route_free(at);
		else
			at = &(*at)->next;
	}
}

struct weft_map *weft_router_map(const struct weft_router *r)
{
	return r->map;
}

int weft_router_target(struct weft_router *r, uint32_t target, struct weft_rpc_peer **out)
{
	struct weft_rpc_addr addrs[WEFT_RPC_ADDRS_MAX];
	struct route *rt;
	unsigned int n;
	int ret;

	for (rt = r->routes; rt && rt->target != target; rt = rt->next)
		;
	if (!rt) {
		n = r->map ? weft_map_target_addrs(r->map, target, addrs) : 0;
		if (!n)
			return -ENOENT;
		rt = calloc(1, sizeof(*rt));
		if (!rt)
			return -ENOMEM;
		ret = weft_rpc_peer_create(r->rpc, target, r->nconns, addrs, n, r, &rt->peer);
		if (ret) {
			free(rt);
			return ret;
		}
		rt->target = target;
		rt->next = r->routes;
		r->routes = rt;
	}
	*out = rt->peer;
	return 0;
}

int weft_router_group(struct weft_router *r, uint32_t group, struct weft_rpc_peer **out)
{
	uint32_t target = r->map ? weft_map_group_target(r->map, group) : 0;

	return target ? weft_router_target(r, target, out) : -ENOENT;
}
