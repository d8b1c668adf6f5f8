/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon tells management: who it is, that it lives, how full its targets are.
 *
 * A weft_mgmt_node registers the node and its targets (again and again until management answers),
 * learns their ids, and then sends heartbeats. The answer to a heartbeat renews the node's lease,
 * counted from the moment when the heartbeat was sent; management counts longer, so that a node
 * knows of the end of its lease before anybody acts on it. When management has forgotten the node
 * or took it for dead, it is registered again by itself.
 *
 * A refusal that will not go away (a target of another file system, a name that another running
 * server has) is told by failed() once; the daemon ends.
 *
 * Tools use common/mgmt_client_admin.h.
 *
 * Protection: belongs to the loop of its mapclient. No callback comes from inside a call.
 */
#ifndef WEFT_COMMON_MGMT_CLIENT_H
#define WEFT_COMMON_MGMT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/mapclient.h"

struct weft_mgmt_node;

#define WEFT_NODE_TARGETS_MAX 64

/**
 * struct weft_node_target - a target of this node
 * @kind: WEFT_MDT or WEFT_OST
 * @uuid: from its superblock
 * @fsid: from its superblock
 * @capacity: bytes
 */
struct weft_node_target {
	int kind;
	uint8_t uuid[16];
	uint8_t fsid[16];
	uint64_t capacity;
};

/**
 * struct weft_node_usage - how full a target is now
 * @bytes_total: usable bytes
 * @bytes_used: used ones
 * @inodes_total: MDT: inodes that fit, an estimate; OST: 0
 * @inodes_used: MDT: inodes there are; OST: 0
 */
struct weft_node_usage {
	uint64_t bytes_total, bytes_used;
	uint64_t inodes_total, inodes_used;
};

/**
 * struct weft_mgmt_node_cfg - this node
 * @env: the loop
 * @mc: link to management
 * @name: unique name of the node, at most 63 bytes ([node] name)
 * @domain: fault domain path such as "row1/rack2"; NULL or "": the node is a domain of its own
 * @rails: addresses that others can reach it at; host must be numeric
 * @nrails: how many
 * @targets: its targets, copied
 * @ntargets: how many, at most WEFT_NODE_TARGETS_MAX
 * @boot: random number of this process, as in weft_rpc_server_cfg; not 0
 * @registered: management knows the node: its id and the ids of the targets in their order.
 *	Called again when it was registered anew (the ids are the same).
 * @failed: registration is refused for good: a negative errno and a sentence
 * @usage: asked for each target before each heartbeat
 * @arg: first argument of the callbacks
 */
struct weft_mgmt_node_cfg {
	struct weft_env *env;
	struct weft_mapclient *mc;
	const char *name;
	const char *domain;
	const struct weft_rpc_addr *rails;
	unsigned int nrails;
	const struct weft_node_target *targets;
	unsigned int ntargets;
	uint64_t boot;
	void (*registered)(void *arg, uint32_t node, const uint32_t *target_ids);
	void (*failed)(void *arg, int err, const char *sentence);
	void (*usage)(void *arg, unsigned int target, struct weft_node_usage *u);
	void *arg;
};

/**
 * weft_mgmt_node_start() - begin to register
 * @cfg: configuration, copied (strings and tables too)
 * @out: the node
 *
 * Return: 0, -EINVAL for a wrong name, domain or rail, or -ENOMEM.
 */
int weft_mgmt_node_start(const struct weft_mgmt_node_cfg *cfg, struct weft_mgmt_node **out);

/**
 * weft_mgmt_node_lease_until() - end of the node's lease
 * @n: the node
 *
 * Return: weft_env_now() at which the lease ends, 0 when there was none yet.
 * Context: any thread.
 */
uint64_t weft_mgmt_node_lease_until(const struct weft_mgmt_node *n);

/**
 * weft_mgmt_node_root_made() - tell management that the root directory exists
 * @n: the node, registered
 *
 * For the metadata server that owns shard 0, after the root is durable. It is repeated until
 * management has answered; then a map without WEFT_MAP_F_ROOT_PENDING comes. Harmless to repeat.
 */
void weft_mgmt_node_root_made(struct weft_mgmt_node *n);

/**
 * weft_mgmt_node_stop() - the node goes away cleanly
 * @n: the node
 * @done: called when management has taken note or after @timeout_ms
 * @arg: argument of @done
 * @timeout_ms: how long to wait for management
 *
 * Heartbeats end at once. weft_mgmt_node_destroy() may be called from @done.
 */
void weft_mgmt_node_stop(struct weft_mgmt_node *n, void (*done)(void *arg), void *arg,
			 uint32_t timeout_ms);

/**
 * weft_mgmt_node_destroy() - free the node
 * @n: the node or NULL; its mapclient is destroyed already (which ends its calls), or it was
 *	stopped
 */
void weft_mgmt_node_destroy(struct weft_mgmt_node *n);

#endif
