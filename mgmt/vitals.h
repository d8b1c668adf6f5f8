/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What heartbeats tell: who lives and how full the targets are. Soft state of the leader, never
 * stored.
 *
 * A node's lease runs lease_ns from the moment when it sent its heartbeat; management waits a
 * quarter longer, from the moment when the heartbeat came, before it takes the node for dead. When
 * leadership begins, and when this process itself was asleep, every node gets a full term anew.
 *
 * Protection: belongs to the loop of the management server.
 */
#ifndef WEFT_MGMT_VITALS_H
#define WEFT_MGMT_VITALS_H

#include "mgmt/state.h"
#include "proto/mgmtops.h"

/**
 * struct mgmt_usage - how full a target is
 * @known: something was heard since leadership began
 */
struct mgmt_usage {
	bool known;
	uint64_t bytes_total, bytes_used, inodes_total, inodes_used;
};

/**
 * struct mgmt_vitals - all nodes and targets
 * @lease_ns: a node's lease
 * @tick_ns: how often mgmt_vitals_expired() is called
 * @since: leadership began
 * @checked: last call of mgmt_vitals_expired()
 * @heard: last heartbeat of each node, 0: none
 * @nnodes: entries of @heard
 * @usage: of each target
 * @ntargets: entries of @usage
 */
struct mgmt_vitals {
	uint64_t lease_ns;
	uint64_t tick_ns;
	uint64_t since;
	uint64_t checked;
	uint64_t *heard;
	size_t nnodes;
	struct mgmt_usage *usage;
	size_t ntargets;
};

/* mgmt_vitals_init() - nothing heard yet. mgmt_vitals_fini() - free it. */
void mgmt_vitals_init(struct mgmt_vitals *v, uint64_t lease_ns, uint64_t tick_ns);
void mgmt_vitals_fini(struct mgmt_vitals *v);

/**
 * mgmt_vitals_reset() - leadership begins: every node has a full lease
 * @v: the vitals
 * @now: monotonic time
 */
void mgmt_vitals_reset(struct mgmt_vitals *v, uint64_t now);

/**
 * mgmt_vitals_heard() - a node has shown that it lives
 * @v: the vitals
 * @st: the state
 * @node: node id, known to @st
 * @now: monotonic time
 *
 * Return: 0 or -ENOMEM.
 */
int mgmt_vitals_heard(struct mgmt_vitals *v, const struct mgmt_state *st, uint32_t node,
		      uint64_t now);

/**
 * mgmt_vitals_usage() - take what a heartbeat says about a target
 * @v: the vitals, after mgmt_vitals_heard()
 * @st: the state
 * @node: the node that says so
 * @u: what it says; ignored when the target is not on the node
 */
void mgmt_vitals_usage(struct mgmt_vitals *v, const struct mgmt_state *st, uint32_t node,
		       const Weft__TargetUsage *u);

/**
 * mgmt_vitals_expired() - nodes that are up in the state and silent for too long
 * @v: the vitals
 * @st: the state
 * @now: monotonic time
 * @ids: filled with node ids
 * @max: room in @ids
 *
 * Return: how many.
 */
size_t mgmt_vitals_expired(struct mgmt_vitals *v, const struct mgmt_state *st, uint64_t now,
			   uint32_t *ids, size_t max);

/**
 * mgmt_vitals_silence() - time since a node was heard
 * @v: the vitals
 * @node: node id
 * @now: monotonic time
 *
 * Return: nanoseconds; since leadership began when it was not heard.
 */
uint64_t mgmt_vitals_silence(const struct mgmt_vitals *v, uint32_t node, uint64_t now);

/**
 * mgmt_vitals_statfs() - space and inodes of a pool or of the whole file system
 * @v: the vitals
 * @st: the state
 * @pool: pool id, 0: all of them
 * @now: monotonic time
 * @rep: filled in, in wire order
 *
 * Return: 0, -ENOENT for an unknown pool, -EAGAIN while servers that are up have not reported
 * since leadership began and may still do so.
 */
int mgmt_vitals_statfs(const struct mgmt_vitals *v, const struct mgmt_state *st, uint32_t pool,
		       uint64_t now, struct weft_statfs_rep *rep);

#endif
