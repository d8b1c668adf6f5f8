/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core's way to other servers: struct mds_net_ops on the rpc client and router of the target's
 * loop. Belongs to that loop.
 */
#ifndef WEFT_MDS_NET_H
#define WEFT_MDS_NET_H

#include "common/router.h"
#include "mds/mds.h"

/**
 * struct mds_net - connections of one target to others
 * @env: its loop
 * @pool: memory for bulk
 * @rpc: its client
 * @router: its peers
 * @need_map: a newer map is known to exist
 * @arg: argument of @need_map
 */
struct mds_net {
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_rpc_client *rpc;
	struct weft_router *router;
	void (*need_map)(void *arg, u64 epoch);
	void *arg;
	u32 calls;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/**
 * mds_net_open() - make client and router
 * @n: env, pool, need_map and arg filled in
 * @fsid: file system
 * @target: own target id
 * @secret: shared secret or NULL
 * @secret_len: its length
 *
 * Return: 0 or -ENOMEM.
 */
int mds_net_open(struct mds_net *n, const u8 fsid[16], u32 target, const void *secret,
		 size_t secret_len);

/* mds_net_set_map() - route by this map from now on */
void mds_net_set_map(struct mds_net *n, struct weft_map *map);

/* mds_net_call() - see struct mds_net_ops */
void mds_net_call(struct mds_net *n, struct mds_call *call);

/**
 * mds_net_close() - end all calls with -ECANCELED, free client and router
 * @n: the connections
 * @closed: called on the loop when all is gone
 * @arg: its argument
 */
void mds_net_close(struct mds_net *n, void (*closed)(void *arg), void *arg);

#endif
