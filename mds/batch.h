/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an op changes (tx.c), and the batch that the changes of many ops become (batch.c).
 */
#ifndef WEFT_MDS_BATCH_H
#define WEFT_MDS_BATCH_H

#include "common/env.h"
#include "mds/gather.h"
#include "mds/store.h"
#include "mds/table.h"

struct mds;
struct mds_op;
struct mds_lock;
struct mds_warm;
struct mds_open;

/* Outcomes of a run besides 0, -errno and WEFT_S_*. */
enum mds_run {
	MDS_PARKED = 1, /* waits for a lock or a key; runs again from the beginning */
	MDS_DEFER = 2,	/* runs again when the commit under way is over */
	MDS_ASYNC = 3,	/* somebody holds the op and will submit or finish it */
};

#define MDS_BATCH_OPS 512u
#define MDS_BATCH_BYTES (16u << 20)

/* An inode that an op or the batch has changed. */
struct mds_node {
	struct mds_link link; /* in mds_batch.nodes, by inode number */
	struct mds_node *next; /* in mds_tx.nodes */
	struct mds_inode i;
	u64 prev_change, prev_data;
	bool dead; /* the inode goes away */
};

/* A key that an op has changed. */
struct mds_write {
	struct mds_write *next;
	u8 cf;
	bool del;
	u16 klen;
	u32 vlen;
	char buf[]; /* key, value */
};

#define MDS_TX_SEEN 2

/* An entry that an op has read; its name belongs to the op. */
struct mds_seen {
	u64 dir, ino;
	const char *name;
	u32 len, type;
	bool absent;
};

/**
 * struct mds_tx - what one op changes, invisible until mds_tx_apply()
 * @m: the target
 * @owner: whose locks are its own
 * @nodes: changed inodes
 * @writes: changed keys, in order
 * @wtail: where the next one is linked
 * @opens: files that the change registers as open
 * @blocked: with MDS_PARKED: the lock that was met
 * @warm: with MDS_PARKED and no @blocked: the key that has to be read from the disk
 * @may_wait: the op may be parked for such a key
 * @seen: entries that were read last
 * @nseen: how many were read
 * @prepare: part of a transaction that is not decided
 */
struct mds_tx {
	struct mds *m;
	const void *owner;
	struct mds_node *nodes;
	struct mds_write *writes;
	struct mds_write **wtail;
	struct mds_open *opens;
	struct mds_lock *blocked;
	struct mds_warm *warm;
	bool may_wait;
	struct mds_seen seen[MDS_TX_SEEN];
	u32 nseen;
	bool prepare; /* only prepared: an inode without names is kept until the commit */
};

enum mds_batch_state { MDS_IDLE, MDS_BUILD, MDS_COMMIT };

struct mds_oplist {
	struct mds_op *head, **tail;
	u32 count;
	u32 requests; /* of others; the rest is our own work */
};

struct mds_batch {
	enum mds_batch_state state;
	struct weft_kv_batch *kvb;
	struct mds_table nodes;
	struct mds_oplist queue;    /* changing ops that wait for their batch */
	struct mds_oplist ops;	    /* ran in this batch, wait for its commit */
	struct mds_oplist deferred; /* wait for the end of the commit under way */
	struct weft_post post;
	struct weft_work work;
	bool posted;
	struct mds_gather gather;
	struct weft_timer timer; /* the wait for company ends */
	bool waiting;
	u64 commit_ns; /* env time of the commit's begin */
	int err;
	size_t bytes;
};

int mds_batch_init(struct mds *m);
void mds_batch_fini(struct mds *m);

/**
 * mds_submit() - run an op, now or with the next batch
 * @op: the op; also one that was parked, deferred or asynchronous before
 */
void mds_submit(struct mds_op *op);

/**
 * mds_finish() - an op is over: store nothing, answer
 * @op: the op
 * @status: 0, -errno or WEFT_S_*
 */
void mds_finish(struct mds_op *op, int status);

/* mds_inflight() - is the inode part of the commit under way? */
bool mds_inflight(struct mds *m, u64 ino);

void mds_oplist_init(struct mds_oplist *l);
void mds_oplist_add(struct mds_oplist *l, struct mds_op *op);
struct mds_op *mds_oplist_pop(struct mds_oplist *l);

void mds_tx_init(struct mds_tx *tx, struct mds *m, const void *owner);
void mds_tx_drop(struct mds_tx *tx);
void mds_tx_apply(struct mds_tx *tx);

/**
 * mds_tx_inode() - take an inode to change it
 * @tx: the transaction
 * @ino: its number
 * @n: the copy that belongs to @tx
 *
 * Return: 0, -ENOENT, MDS_PARKED (locked by another), -ENOMEM or -EIO and the like.
 */
int mds_tx_inode(struct mds_tx *tx, u64 ino, struct mds_node **n);

/* mds_tx_new() - add an inode that does not exist yet. Return: 0 or -ENOMEM. */
int mds_tx_new(struct mds_tx *tx, u64 ino, struct mds_node **n);

int mds_tx_put(struct mds_tx *tx, enum mds_cf cf, const void *key, size_t klen, const void *val,
	       size_t vlen);
int mds_tx_del(struct mds_tx *tx, enum mds_cf cf, const void *key, size_t klen);
/* mds_tx_del_prefix() - delete all keys that begin with @prefix, as they are now */
int mds_tx_del_prefix(struct mds_tx *tx, enum mds_cf cf, const void *prefix, size_t len);

/**
 * mds_read_inode() - read an inode
 * @tx: transaction of the op that reads (its own changes are seen)
 * @ino: its number
 * @i: filled in
 *
 * Return: as mds_tx_inode().
 */
int mds_read_inode(struct mds_tx *tx, u64 ino, struct mds_inode *i);

/* mds_read_key() - read any key through the batch that is being built */
int mds_read_key(struct mds *m, enum mds_cf cf, const void *key, size_t klen,
		 struct weft_kv_val *val);

/**
 * mds_read_dentry() - read an entry of a directory
 * @tx: transaction of the op that reads
 * @dir: directory
 * @name: name
 * @len: its length
 * @ino: out
 * @type: out: S_IFMT
 *
 * Return: 0, -ENOENT, MDS_PARKED, or another negative errno.
 */
int mds_read_dentry(struct mds_tx *tx, u64 dir, const char *name, size_t len, u64 *ino,
		    u32 *type);

#endif
