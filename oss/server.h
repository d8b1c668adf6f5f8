/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service of one object storage target: from requests to operations of its chunk store.
 *
 * Protection: belongs to the target's loop.
 */
#ifndef WEFT_OSS_SERVER_H
#define WEFT_OSS_SERVER_H

#include "common/mapview.h"
#include "common/rpc/server.h"
#include "oss/store.h"

struct oss_server;

/**
 * struct oss_server_cfg - a service
 * @env: the target's loop
 * @pool: memory for bulk
 * @store: its store
 * @map: the present map, with a reference; called on the target's loop; NULL when there is none
 * @refresh: a peer knows a newer epoch; called on the target's loop
 * @arg: first argument of the callbacks
 */
struct oss_server_cfg {
	struct weft_env *env;
	struct weft_pool *pool;
	struct oss_store *store;
	struct weft_map *(*map)(void *arg);
	void (*refresh)(void *arg, uint64_t epoch);
	void *arg;
};

/**
 * oss_server_create() - make the service of a target
 * @cfg: its configuration, copied
 * @target: target id
 * @out: the service
 *
 * Return: 0 or -ENOMEM.
 * Context: any thread, before oss_server_service() is added to a server.
 */
int oss_server_create(const struct oss_server_cfg *cfg, uint32_t target, struct oss_server **out);

/**
 * oss_server_service() - what is added to the rpc server
 * @os: the service
 *
 * Return: the rpc service.
 */
struct weft_rpc_service *oss_server_service(struct oss_server *os);

/**
 * oss_server_drain() - answer what has come, refuse what comes
 * @os: the service
 * @drained: called when no request is left, possibly at once
 * @arg: argument of @drained
 */
void oss_server_drain(struct oss_server *os, void (*drained)(void *arg), void *arg);

/**
 * oss_server_destroy() - close the connections and free it
 * @os: the service or NULL; drained
 */
void oss_server_destroy(struct oss_server *os);

#endif
