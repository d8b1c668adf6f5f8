/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From group to peer: the rpc peers of the targets that the present map names, made at first use
 * and moved when the map says so.
 *
 * Protection: belongs to the loop of its rpc client.
 */
#ifndef WEFT_COMMON_ROUTER_H
#define WEFT_COMMON_ROUTER_H

#include "common/mapview.h"

struct weft_router;

/**
 * weft_router_create() - make a router without a map
 * @rpc: the client its peers belong to
 * @nconns: connections to each target
 * @out: the router
 *
 * Return: 0 or -ENOMEM.
 */
int weft_router_create(struct weft_rpc_client *rpc, unsigned int nconns, struct weft_router **out);

/**
 * weft_router_destroy() - free the router and its peers
 * @r: the router or NULL
 */
void weft_router_destroy(struct weft_router *r);

/**
 * weft_router_set_map() - use this map from now on
 * @r: the router
 * @m: the map; a reference is taken
 *
 * Peers whose node moved reconnect and replay. Peers of targets that are gone are destroyed: their
 * calls end with -ECANCELED.
 */
void weft_router_set_map(struct weft_router *r, struct weft_map *m);

/**
 * weft_router_map() - the map in use
 * @r: the router
 *
 * Return: the map, without a reference; NULL before the first.
 */
struct weft_map *weft_router_map(const struct weft_router *r);

/**
 * weft_router_target() - peer of a target
 * @r: the router
 * @target: target id
 * @out: the peer, owned by the router; its arg is the router
 *
 * Return: 0, -ENOENT for an unknown target or one without address, or -ENOMEM.
 */
int weft_router_target(struct weft_router *r, uint32_t target, struct weft_rpc_peer **out);

/**
 * weft_router_group() - peer of the target that leads a group
 * @r: the router
 * @group: group id
 * @out: the peer
 *
 * Return: 0, -ENOENT or -ENOMEM.
 */
int weft_router_group(struct weft_router *r, uint32_t group, struct weft_rpc_peer **out);

#endif
