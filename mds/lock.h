/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that outlive a batch (lock.c): transactions over groups, truncation. The owner's loop only.
 */
#ifndef WEFT_MDS_LOCK_H
#define WEFT_MDS_LOCK_H

#include "proto/types.h"

struct mds;
struct mds_op;
struct mds_lock;

enum mds_lock_mode {
	MDS_LOCK_SHARED, /* directory stays, its entries may change */
	MDS_LOCK_EXCL,	 /* nobody else reads or changes it */
	MDS_LOCK_WANT,	 /* no lock: an exclusive one is waited for, new shared ones stand back */
};

struct mds_lock_key {
	u64 ino;
	u64 hash; /* 0: the inode; else an entry of directory ino with this name hash */
};

/* One lock held by an owner; embedded in a list of its owner. */
struct mds_hold {
	struct mds_hold *next;
	struct mds_lock *lock;
	enum mds_lock_mode mode;
};

int mds_lock_init(struct mds *m);
void mds_lock_fini(struct mds *m);

struct mds_lock_key mds_lock_inode(u64 ino);
struct mds_lock_key mds_lock_entry(u64 dir, const char *name, size_t len);

/**
 * mds_lock_blocks() - does a lock of somebody else stand in the way?
 * @m: the target
 * @key: what is to be read or changed
 * @owner: who asks
 * @remove: the inode itself shall go or be locked exclusively: shared locks count as well
 *
 * Return: the lock or NULL.
 */
struct mds_lock *mds_lock_blocks(struct mds *m, struct mds_lock_key key, const void *owner,
				 bool remove);

/**
 * mds_lock_take() - lock; mds_lock_blocks() has said that nothing is in the way
 * @m: the target
 * @key: what
 * @owner: for whom
 * @mode: how
 * @holds: list of the owner's locks; a lock that it has already is not taken twice
 *
 * Return: 0 or -ENOMEM.
 */
int mds_lock_take(struct mds *m, struct mds_lock_key key, const void *owner,
		  enum mds_lock_mode mode, struct mds_hold **holds);

/**
 * mds_lock_want() - keep new shared holders away from a lock that is waited for
 * @m: the target
 * @l: the lock
 * @holds: list of the waiter's locks
 *
 * Return: 0 or -ENOMEM.
 */
int mds_lock_want(struct mds *m, struct mds_lock *l, struct mds_hold **holds);

/* mds_lock_wanted() - the lock, if somebody waits for it by mds_lock_want(); or NULL */
struct mds_lock *mds_lock_wanted(struct mds *m, struct mds_lock_key key);

/* mds_lock_drop() - release all locks of a list; ops that waited are submitted again */
void mds_lock_drop(struct mds *m, struct mds_hold **holds);

/* mds_lock_wait() - park an op until a lock is released */
void mds_lock_wait(struct mds_lock *l, struct mds_op *op);

#endif
