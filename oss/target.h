/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target of the running daemon: its superblock, thread, store and service.
 *
 * Protection: the functions are called by the main thread; what they start runs on the target's
 * own.
 */
#ifndef WEFT_OSS_TARGET_H
#define WEFT_OSS_TARGET_H

#include "common/env_uv.h"
#include "common/target.h"
#include "oss/server.h"

/**
 * struct oss_target_cfg - a target
 * @name: name of its configuration section
 * @path: its directory
 * @cache_segs: records kept in memory, 0: the default
 * @pool_bytes: memory for bulk, 0: the default
 * @no_small: as in struct oss_store_cfg
 */
struct oss_target_cfg {
	const char *name;
	const char *path;
	unsigned int cache_segs;
	uint64_t pool_bytes;
	bool no_small;
};

struct oss_target;

/**
 * oss_target_start() - open a target's superblock and begin to open its store on a new thread
 * @cfg: the target; its strings are kept
 * @fsid: the file system it must belong to, NULL: any
 * @out: the target
 * @err: a sentence when it fails
 *
 * Return: 0 or a negative errno.
 */
int oss_target_start(const struct oss_target_cfg *cfg, const uint8_t *fsid,
		     struct oss_target **out, char err[WEFT_TARGET_ERR_MAX]);

/**
 * oss_target_wait() - wait until its store is open
 * @t: the target
 * @err: a sentence when it failed
 *
 * Return: 0 or a negative errno.
 */
int oss_target_wait(struct oss_target *t, char err[WEFT_TARGET_ERR_MAX]);

/**
 * oss_target_super() - its superblock
 * @t: the target
 *
 * Return: the superblock.
 */
const struct weft_target *oss_target_super(const struct oss_target *t);

/**
 * oss_target_space() - how full it is
 * @t: the target, open
 * @total: bytes
 * @free: of these, free ones
 */
void oss_target_space(const struct oss_target *t, uint64_t *total, uint64_t *free);

/**
 * oss_target_serve() - management has named it: offer its service
 * @t: the target, open
 * @srv: the rpc server
 * @id: target id
 * @map: as in struct oss_server_cfg
 * @refresh: as in struct oss_server_cfg
 * @arg: their first argument
 *
 * Return: 0 (also when it is served already) or a negative errno.
 */
int oss_target_serve(struct oss_target *t, struct weft_rpc_server *srv, uint32_t id,
		     struct weft_map *(*map)(void *arg),
		     void (*refresh)(void *arg, uint64_t epoch), void *arg);

/**
 * oss_target_drain() - answer what has come and close the store
 * @t: the target
 * @srv: the rpc server
 * @env: the main loop
 * @drained: called on the main loop when the store is closed
 * @arg: argument of @drained
 */
void oss_target_drain(struct oss_target *t, struct weft_rpc_server *srv, struct weft_env *env,
		      void (*drained)(void *arg), void *arg);

/**
 * oss_target_stop() - end its thread and free it
 * @t: the target or NULL; drained, or never served
 */
void oss_target_stop(struct oss_target *t);

#endif
