/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster map in user space: a checked, immutable, counted copy of the encoding of
 * proto/map.h, and a holder whose map can be replaced while others read it.
 *
 * Protection: a map never changes after weft_map_decode(); its count is atomic. A holder has a
 * lock.
 */
#ifndef WEFT_COMMON_MAPVIEW_H
#define WEFT_COMMON_MAPVIEW_H

#include <pthread.h>

#include "common/rpc/client.h"
#include "proto/map.h"

/**
 * struct weft_map - a map
 * @refs: private
 * @epoch: its epoch
 * @view: its tables, for the functions of proto/map.h
 * @len: bytes of the encoding
 */
struct weft_map {
	int refs;
	uint64_t epoch;
	struct weft_map_view view;
	size_t len;
	uint64_t data[];
};

/**
 * weft_map_decode() - check an encoded map and copy it
 * @buf: the encoding
 * @len: its length
 * @out: the map, with one reference
 *
 * Return: 0, -EBADMSG, -EPROTONOSUPPORT or -ENOMEM.
 */
int weft_map_decode(const void *buf, size_t len, struct weft_map **out);

/**
 * weft_map_get() - take one more reference
 * @m: the map
 *
 * Return: @m.
 */
struct weft_map *weft_map_get(struct weft_map *m);

/**
 * weft_map_put() - drop a reference
 * @m: the map or NULL
 */
void weft_map_put(struct weft_map *m);

/**
 * weft_map_group_target() - where requests for a group go
 * @m: the map
 * @group: group id
 *
 * Return: id of the target that leads the group, 0 when there is none.
 */
uint32_t weft_map_group_target(const struct weft_map *m, uint32_t group);

/* Which rails user space takes to metadata and data servers. */
enum weft_net { WEFT_NET_TCP, WEFT_NET_RDMA, WEFT_NET_AUTO };

/**
 * weft_net_set() - choose the rails that this process takes
 * @name: "tcp" (so it begins), "rdma" only, or "auto": rdma first, tcp when those fail
 *
 * Return: 0 or -EINVAL.
 * Context: any thread; connections that are made later follow it.
 */
int weft_net_set(const char *name);

/**
 * weft_map_target_addrs() - where a target is
 * @m: the map
 * @target: target id
 * @addrs: filled with the rails of its node that weft_net_set() allows, the preferred ones first
 *
 * Return: how many, at most WEFT_RPC_ADDRS_MAX; 0 for an unknown target.
 */
unsigned int weft_map_target_addrs(const struct weft_map *m, uint32_t target,
				   struct weft_rpc_addr addrs[WEFT_RPC_ADDRS_MAX]);

/**
 * struct weft_mapref - a holder of the present map
 */
struct weft_mapref {
	pthread_mutex_t lock;
	struct weft_map *map;
};

/**
 * weft_mapref_init() - make an empty holder
 * @r: the holder
 */
void weft_mapref_init(struct weft_mapref *r);

/**
 * weft_mapref_fini() - drop its map
 * @r: the holder
 */
void weft_mapref_fini(struct weft_mapref *r);

/**
 * weft_mapref_get() - the present map
 * @r: the holder
 *
 * Return: the map with a reference for the caller, or NULL.
 * Context: any thread.
 */
struct weft_map *weft_mapref_get(struct weft_mapref *r);

/**
 * weft_mapref_set() - replace the map unless the present one is newer
 * @r: the holder
 * @m: the new map; the holder takes a reference of its own
 *
 * Return: true when it was replaced (another epoch than before).
 * Context: any thread.
 */
bool weft_mapref_set(struct weft_mapref *r, struct weft_map *m);

#endif
