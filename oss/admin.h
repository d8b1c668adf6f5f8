/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADMIN requests to an object storage target. Bulk is one line of text, the answer is text:
 *
 *   stats          counters as one JSON object
 *   log LEVEL      err, warn, info or debug
 *   fault SPEC     fault points as in common/fault.h
 */
#ifndef WEFT_OSS_ADMIN_H
#define WEFT_OSS_ADMIN_H

#include "common/rpc/server.h"
#include "oss/store.h"

/**
 * oss_admin() - answer an ADMIN request
 * @s: the target's store
 * @svc: its service
 * @pool: memory for the answer
 * @req: the request
 */
void oss_admin(struct oss_store *s, struct weft_rpc_service *svc, struct weft_pool *pool,
	       struct weft_rpc_req *req);

/**
 * oss_stats_text() - the counters as a JSON object
 * @s: the store
 * @svc: the service, NULL: without the counters of requests
 * @buf: filled in
 * @len: its size
 *
 * Return: length of the text, as snprintf().
 */
size_t oss_stats_text(struct oss_store *s, struct weft_rpc_service *svc, char *buf, size_t len);

#endif
