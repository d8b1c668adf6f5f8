/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata server's core: one struct mds is one metadata target.
 *
 * The core does no I/O of its own: clock, timers, work and random numbers come from struct
 * weft_env, the store from common/kv.h, other servers and clients through struct mds_net_ops.
 *
 * Protection: everything belongs to the one thread that runs the env (the owner). Only the commit
 * of a batch runs on a worker, and touches nothing but the sealed batch.
 *
 * How a request runs: it becomes a struct mds_op. One that only reads runs at once against the
 * store. One that changes waits in a queue until no commit is under way; then the whole queue runs,
 * each op against the store plus the batch so far (struct mds_tx gathers what the op changes;
 * a failed op leaves nothing), and the batch is committed with one sync; then all are answered.
 */
#ifndef WEFT_MDS_MDS_H
#define WEFT_MDS_MDS_H

#include "common/mapview.h"
#include "mds/cache.h"
#include "mds/call.h"
#include "mds/op.h"
#include "mds/table.h"

/* Counters of a target. */
struct mds_stats {
	u64 ops_read, ops_write, ops_internal;
	u64 batches, batch_ops, batch_max, batch_waits;
	u64 parked, deferred, replayed;
	u64 txn_started, txn_committed, txn_aborted, txn_busy, txn_prepared;
	u64 purged, cuts, cold;
	u64 recalls, sessions_expired;
};

/**
 * struct mds_cfg - a metadata target
 * @env: its loop
 * @kv: its store, from mds_store_open()
 * @target: its target id
 * @net: the world outside
 * @net_arg: first argument of @net
 * @lease_ms: lease of a session, 0: WEFT_LEASE_MS
 * @expire_ms: a session that was silent for so long is forgotten, 0: 20 leases. Until then what it
 *	has open keeps its inode, and its slots the answers: a client that comes back goes on.
 * @sessions_max: sessions that may be open, 0: 65536
 */
struct mds_cfg {
	struct weft_env *env;
	struct weft_kv *kv;
	u32 target;
	const struct mds_net_ops *net;
	void *net_arg;
	u32 lease_ms;
	u32 expire_ms;
	u32 sessions_max;
};

struct mds {
	struct mds_cfg cfg;
	struct weft_env *env;
	struct weft_kv *kv;
	struct weft_map *map;
	u64 pools_epoch; /* clients with an older map do not know all pools that files may have */
	u32 group; /* 0: not in the map yet */
	u32 local_shards;
	bool root_there, root_making, serving, failed, draining, closing;
	struct mds_batch batch;
	struct mds_cache cache;
	struct mds_warm *warms; /* keys that are being read */
	struct mds_table locks;
	struct mds_counters counters;
	struct mds_txns txns;
	struct mds_sessions sessions;
	struct mds_purge purge;
	struct mds_rename_lock rename_lock;
	struct mds_stats stats;
	u32 trim_seq[256]; /* slots of our requests to data servers */
	u64 trim_busy[4];
	struct mds_op *all_ops; /* that are not answered */
	u32 ops;
	struct mds_redo *redos; /* truncations taken up after a restart */
	void (*drained)(void *arg);
	void *drained_arg;
	struct weft_timer drain_timer;
};

/**
 * mds_create() - make a target and load what must be in memory
 * @cfg: its configuration, copied
 * @out: the target; it answers WEFT_S_RECOVERY until it has a map that names it
 *
 * Return: 0, -ENOMEM, -EUCLEAN, -EIO.
 */
int mds_create(const struct mds_cfg *cfg, struct mds **out);

/**
 * mds_drain() - answer what is under way, begin nothing new
 * @m: the target
 * @drained: called when all is answered
 * @arg: its argument
 */
void mds_drain(struct mds *m, void (*drained)(void *arg), void *arg);

/**
 * mds_destroy() - free a target
 * @m: the target or NULL; drained, or its ops are gone with the process
 */
void mds_destroy(struct mds *m);

/**
 * mds_fail() - this target cannot go on
 * @m: the target
 * @err: negative errno
 * @why: a sentence
 */
void mds_fail(struct mds *m, int err, const char *why);

/* mds_time() - the wall clock */
struct mds_time mds_time(struct mds *m);

/* mds_stats_text() - counters as JSON. Return: malloced text or NULL. */
char *mds_stats_text(struct mds *m, size_t *len);

#endif
