/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A metadata target of the running daemon: its superblock, thread, store, core and service.
 *
 * Protection: the functions are called by the main thread; what they start runs on the target's
 * own.
 */
#ifndef WEFT_MDS_TARGET_H
#define WEFT_MDS_TARGET_H

#include "common/env_uv.h"
#include "common/rpc/server.h"
#include "common/target.h"
#include "mds/mds.h"

/**
 * struct mds_target_cfg - a target and how it tells the daemon what happens; the callbacks come on
 * the target's thread
 * @name: name of its configuration section
 * @path: its directory
 * @secret: shared secret or NULL
 * @secret_len: its length
 * @expire_ms: as in struct mds_cfg
 * @lease_ms: lease of sessions, 0: the default
 * @cache: bytes of the store's block cache, 0: a sixteenth of the memory
 * @root_made: the root directory is durable
 * @need_map: a newer map is known to exist
 * @fatal: the target cannot go on
 * @arg: their first argument
 */
struct mds_target_cfg {
	const char *name;
	const char *path;
	const void *secret;
	size_t secret_len;
	u32 lease_ms;
	u32 expire_ms;
	u64 cache;
	void (*root_made)(void *arg);
	void (*need_map)(void *arg, u64 epoch);
	void (*fatal)(void *arg, int err, const char *why);
	void *arg;
};

struct mds_target;

/**
 * mds_target_start() - open a target: superblock, store, thread
 * @cfg: the target; its strings are kept
 * @fsid: the file system it must belong to, NULL: any
 * @out: the target
 * @err: a sentence when it fails
 *
 * Return: 0 or a negative errno.
 */
int mds_target_start(const struct mds_target_cfg *cfg, const u8 *fsid, struct mds_target **out,
		     char err[WEFT_TARGET_ERR_MAX]);

/* mds_target_super() - its superblock */
const struct weft_target *mds_target_super(const struct mds_target *t);

/**
 * mds_target_usage() - how full it is
 * @t: the target
 * @total: bytes of its file system
 * @used: of these, used ones
 * @inodes: inodes it has, an estimate
 */
void mds_target_usage(const struct mds_target *t, u64 *total, u64 *used, u64 *inodes);

/**
 * mds_target_serve() - management has named it: offer its service
 * @t: the target
 * @srv: the rpc server
 * @id: target id
 *
 * Return: 0 (also when it is served already) or a negative errno.
 */
int mds_target_serve(struct mds_target *t, struct weft_rpc_server *srv, u32 id);

/* mds_target_set_map() - a new map for the target. Return: 0 or -ENOMEM. */
int mds_target_set_map(struct mds_target *t, struct weft_map *map);

/**
 * mds_target_drain() - answer what is under way, close core, service and store
 * @t: the target
 * @srv: the rpc server
 * @env: the main loop
 * @drained: called on the main loop when it is closed
 * @arg: argument of @drained
 */
void mds_target_drain(struct mds_target *t, struct weft_rpc_server *srv, struct weft_env *env,
		      void (*drained)(void *arg), void *arg);

/* mds_target_stop() - end its thread and free it; drained, or never served */
void mds_target_stop(struct mds_target *t);

#endif
