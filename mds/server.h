/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rpc service of a metadata target: requests of the network become ops of the core, their
 * answers replies. Belongs to the target's loop.
 */
#ifndef WEFT_MDS_SERVER_H
#define WEFT_MDS_SERVER_H

#include "common/rpc/server.h"
#include "mds/mds.h"

struct mds_server;

/**
 * mds_server_create() - make the service
 * @env: the loop
 * @pool: memory for bulk
 * @m: the core
 * @target: target id
 * @out: the service
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
int mds_server_create(struct weft_env *env, struct weft_pool *pool, struct mds *m, u32 target,
		      struct mds_server **out);

/* mds_server_service() - for weft_rpc_server_add() */
struct weft_rpc_service *mds_server_service(struct mds_server *s);

/* mds_server_push() - one-way message on a connection. Return: false when it is gone. */
bool mds_server_push(void *conn, u16 opcode, const void *body, size_t len);

/* mds_server_destroy() - free the service; the core is destroyed already */
void mds_server_destroy(struct mds_server *s);

#endif
