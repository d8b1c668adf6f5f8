/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects on the data servers: cutting them (cut.c, trim.c), deleting them and the inodes that lost
 * their last name (purge.c).
 */
#ifndef WEFT_MDS_OBJECTS_H
#define WEFT_MDS_OBJECTS_H

#include "common/env.h"
#include "mds/batch.h"

struct mds;
struct mds_op;
struct mds_trim_call;
struct mds_purge_run;
struct mds_redo;
struct mds_silent;

enum mds_cut_kind { MDS_CUT_TRUNCATE = 1, MDS_CUT_OPEN_TRUNC = 2, MDS_CUT_SPILL = 3 };

/* Cutting the objects of one inode in all its groups. */
struct mds_trim {
	struct mds *m;
	u64 ino;
	struct weft_layout layout;
	u64 size;
	u32 timeout_ms;
	u32 pending, ngroups;
	u32 left; /* groups that did not do it; 0 unless @timeout_ms is set */
	s64 bytes_delta;
	int err;
	struct weft_timer timer;
	bool (*skip)(struct mds_trim *t, u32 group);
	void (*heard)(struct mds_trim *t, u32 group, int err);
	void (*done)(struct mds_trim *t);
	void *arg;
	struct mds_trim_call *calls;
};

/**
 * mds_trim_start() - drop all bytes of an inode's objects at @size and behind
 * @t: filled in: m, ino, layout, size, done, arg
 *
 * It is tried until it succeeds; done() gets the change of allocated bytes. With a time-out set, a
 * group that does not answer in time, or that skip() says is not worth asking, is left out;
 * heard() is told of each that was asked: 0 or -ETIMEDOUT.
 */
void mds_trim_start(struct mds_trim *t);
/* mds_trim_fini() - free what a trim holds; no call is under way */
void mds_trim_fini(struct mds_trim *t);

/**
 * mds_cut() - from run(): the objects of an inode must be cut before its change may be seen
 * @op: the op; op->rep is the reply that it will have
 * @n: the inode in op->tx, changed as it shall be
 * @kind: why
 * @before: the inode before the change, which stays until the cut is done
 *
 * The objects are cut at the smaller of the old and the new size, for a spill at 0. Logs the
 * intent with the change and the reply, locks the inode; after the commit the objects are cut and
 * the op runs again, with op->cut_done.
 *
 * Return: 0, MDS_PARKED or a negative errno.
 */
int mds_cut(struct mds_op *op, struct mds_node *n, enum mds_cut_kind kind,
	    const struct mds_inode *before);

/**
 * mds_cut_end() - from run() with op->cut_done: count what was freed, drop the intent
 * @op: the op
 * @n: the inode in op->tx
 *
 * Return: 0 or -ENOMEM.
 */
int mds_cut_end(struct mds_op *op, struct mds_node *n);

/* mds_cut_wait() - a request that a cut of before the restart will answer waits for it */
void mds_cut_wait(struct mds_redo *r, struct mds_op *op);
int mds_cut_recover(struct mds *m);
void mds_cut_fini(struct mds *m);

struct mds_purge {
	struct mds_purge_run *runs;
	u64 next_nr;  /* number of the next record */
	u64 scan_nr;  /* where to look for the next one to begin */
	u64 high_nr;  /* all below were begun once: what is there and does not run is deferred */
	u32 deferred; /* until a silent group answers */
	u32 running;  /* whose objects are being deleted */
	u32 cut;      /* whose objects are deleted, but the record is there */
	bool forgetting; /* an op deletes records */
	struct weft_timer timer;	/* begins the next ones */
	struct weft_timer probe_timer;	/* asks silent groups */
	struct mds_silent *silent;
	struct weft_timer forget_timer; /* deletes the records of those that are done */
};

void mds_purge_init(struct mds *m);
void mds_purge_fini(struct mds *m);
int mds_purge_load(struct mds *m);
int mds_purge_add(struct mds_tx *tx, const struct mds_inode *i);
void mds_purge_kick(struct mds *m);
/* mds_orphan_check() - an inode was closed or its grace is over: delete it if nobody has it */
void mds_orphan_check(struct mds *m, u64 ino);
void mds_orphan_scan(struct mds *m);

#endif
