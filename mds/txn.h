/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes over several groups: as coordinator (txn.c), as participant (txn_part.c), the record of
 * what is prepared (txn_log.c), and the cluster's rename lock (rename_lock.c).
 */
#ifndef WEFT_MDS_TXN_H
#define WEFT_MDS_TXN_H

#include "mds/call.h"
#include "mds/lock.h"
#include "mds/sub.h"
#include "proto/txn.h"

struct mds_txn;

enum mds_txn_state { MDS_TXN_PREPARING, MDS_TXN_PREPARED, MDS_TXN_COMMITTED, MDS_TXN_ABORTING };

#define MDS_TXN_GROUPS_MAX 4

/* A group that takes part in a transaction of ours. */
struct mds_member {
	struct mds_txn *txn;
	struct mds_call call;
	u32 group;
	bool done; /* answered the present round */
};

/* A transaction that this target coordinates. */
struct mds_txn {
	struct mds_link link;
	struct mds *m;
	struct mds_op *op; /* NULL once it is answered */
	u64 seq;
	enum mds_txn_state state;
	struct mds_sub subs[WEFT_TXN_SUBS_MAX];
	u32 nsubs;
	struct mds_member members[MDS_TXN_GROUPS_MAX];
	u32 nmembers;
	u32 pending; /* calls without an answer */
	int err;
	struct mds_hold *holds;
	struct weft_timer timer;
	struct mds_time now;
};

/* A transaction of another coordinator that is prepared here. */
struct mds_part {
	struct mds_link link;
	struct mds *m;
	u32 group;
	u64 seq;
	char *log; /* the record in MDS_CF_TXN */
	size_t log_len;
	struct mds_hold *holds;
	struct mds_open *opens; /* that COMMIT registers; after a restart their clients tell them */
	struct weft_timer timer; /* asks the coordinator when it stays silent */
	struct mds_call call;
	bool deciding, asking, gone;
};

#define MDS_ENDED 256u

/* @ended: the last transactions of others that were decided here: their PREPARE may come late */
struct mds_txns {
	struct mds_table own;
	struct mds_table parts;
	struct {
		u32 group;
		u64 seq;
	} ended[MDS_ENDED];
	u32 nended;
	u64 next; /* transaction number: incarnation of the target << 32 | count */
};

int mds_txn_init(struct mds *m);
void mds_txn_fini(struct mds *m);

/* mds_txn_recover() - take up what was prepared or decided before the restart */
int mds_txn_recover(struct mds *m);

/**
 * mds_change() - do a list of sub-operations atomically on all groups that they are for
 * @op: the op whose run() calls this
 * @subs: what to do; results are filled in when it returns 0
 * @n: how many
 *
 * When all are for this group they are done in op->tx. Else a transaction begins and MDS_ASYNC is
 * returned; when all groups are prepared op's run() is called again, builds the same list (its keys
 * are locked) and calls this again, which then decides with op's batch.
 *
 * Return: 0, -errno, WEFT_S_*, MDS_PARKED or MDS_ASYNC.
 */
int mds_change(struct mds_op *op, struct mds_sub *subs, u32 n);

/* mds_txn_abandon() - op's run failed although all were prepared: abort */
void mds_txn_abandon(struct mds_op *op);

/* mds_txn_state() - what became of a transaction of ours */
enum weft_txn_state mds_txn_state(struct mds *m, u64 seq);

/* mds_txn_next() - a number for a transaction, never used before */
u64 mds_txn_next(struct mds *m);

void mds_part_fini(struct mds *m);
int mds_part_recover(struct mds *m);
int mds_run_prepare(struct mds_op *op);
int mds_run_decide(struct mds_op *op);
int mds_run_txn_status(struct mds_op *op);

/* txn_log.c: a prepared transaction as a record: results and the writes that COMMIT makes */
int mds_log_encode(const struct mds_tx *tx, const struct mds_sub *subs, u32 n, char **log,
		   size_t *len);
/* mds_log_results() - results in a record. Return: bytes of struct weft_attr_rep, or NULL. */
const char *mds_log_results(const char *log, size_t len, size_t *bytes);
/* mds_log_replay() - the writes of a record into a transaction. Return: 0, -EUCLEAN, -ENOMEM. */
int mds_log_replay(struct mds_tx *tx, const char *log, size_t len);

/* rename_lock.c: one lock for the cluster, at the group of shard 0 */
struct mds_rename_lock {
	u32 group; /* holder: 0: free */
	u64 seq;
	struct mds_oplist waiting;
	struct weft_timer timer;
	struct mds_call call;
	bool asking;
	u32 asked_group; /* numbers of different groups may be equal */
	u64 asked_seq;
	u64 held[64]; /* numbers by which renames of ours hold it or wait for it */
	u32 nheld;
};

void mds_rename_lock_init(struct mds *m);
void mds_rename_lock_fini(struct mds *m);
int mds_rename_lock_load(struct mds *m);

#endif
