// SPDX-License-Identifier: Apache-2.0
/*
 * Locks on inodes and directory entries that outlive a batch: held by transactions over several
 * groups and by truncations that wait for data servers. Ops of one batch need none.
 *
 * Happy path: there are none, and asking costs one comparison. An op that meets a lock is parked
 * at it and submitted again when it is released. A coordinator takes all its own locks at once and
 * holds none while it waits. A participant of a transaction (whose coordinator holds some) waits a
 * moment only, then answers WEFT_S_BUSY: so there are no deadlocks that last. While it waits it
 * wants the lock: coordinators take no new shared locks there, else a directory in which others
 * are always at work would never be free for it.
 *
 * Two names of equal hash share a lock, which costs a wait and nothing else.
 */
#include <stdlib.h>

#include "mds/mds.h"
#include "proto/hash.h"

struct mds_lock {
	struct mds_link link;
	struct mds_lock_key key;
	const void *excl;
	u32 shared, wanted;
	struct mds_oplist waiting;
};

int mds_lock_init(struct mds *m)
{
	return mds_table_init(&m->locks);
}

void mds_lock_fini(struct mds *m)
{
	struct mds_link *l;

	if (!m->locks.buckets)
		return;
	while ((l = mds_table_each(&m->locks, NULL))) {
		mds_table_del(&m->locks, l);
		free(l);
	}
	mds_table_fini(&m->locks);
}

struct mds_lock_key mds_lock_inode(u64 ino)
{
	return (struct mds_lock_key){ .ino = ino };
}

struct mds_lock_key mds_lock_entry(u64 dir, const char *name, size_t len)
{
	return (struct mds_lock_key){ .ino = dir, .hash = weft_name_hash(name, len) };
}

static u64 key_hash(struct mds_lock_key key)
{
	return mds_mix(key.ino ^ mds_mix(key.hash));
}

static struct mds_lock *lock_find(struct mds *m, struct mds_lock_key key)
{
	struct mds_link *l;

	for (l = mds_table_find(&m->locks, key_hash(key)); l; l = mds_table_more(l)) {
		struct mds_lock *lock = (struct mds_lock *)l;

		if (lock->key.ino == key.ino && lock->key.hash == key.hash)
			return lock;
	}
	return NULL;
}

struct mds_lock *mds_lock_blocks(struct mds *m, struct mds_lock_key key, const void *owner,
				 bool remove)
{
	struct mds_lock *l;

	if (!m->locks.count)
		return NULL;
	l = lock_find(m, key);
	if (!l || l->excl == owner)
		return NULL;
	return l->excl || (remove && l->shared) ? l : NULL;
}

struct mds_lock *mds_lock_wanted(struct mds *m, struct mds_lock_key key)
{
	struct mds_lock *l = m->locks.count ? lock_find(m, key) : NULL;

	return l && l->wanted ? l : NULL;
}

int mds_lock_want(struct mds *m, struct mds_lock *l, struct mds_hold **holds)
{
	return mds_lock_take(m, l->key, NULL, MDS_LOCK_WANT, holds);
}

static bool already_held(const struct mds_hold *holds, const struct mds_lock *l)
{
	for (; holds; holds = holds->next)
		if (holds->lock == l)
			return true;
	return false;
}

int mds_lock_take(struct mds *m, struct mds_lock_key key, const void *owner,
		  enum mds_lock_mode mode, struct mds_hold **holds)
{
	struct mds_lock *l = lock_find(m, key);
	struct mds_hold *h;

	if (l && already_held(*holds, l))
		return 0;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l) {
			free(h);
			return -ENOMEM;
		}
		l->key = key;
		mds_oplist_init(&l->waiting);
		mds_table_add(&m->locks, &l->link, key_hash(key));
	}
	if (mode == MDS_LOCK_EXCL)
		l->excl = owner;
	else if (mode == MDS_LOCK_SHARED)
		l->shared++;
	else
		l->wanted++;
	h->lock = l;
	h->mode = mode;
	h->next = *holds;
	*holds = h;
	return 0;
}

void mds_lock_drop(struct mds *m, struct mds_hold **holds)
{
	struct mds_oplist wake;
	struct mds_hold *h;
	struct mds_op *op;

	mds_oplist_init(&wake);
	while ((h = *holds)) {
		struct mds_lock *l = h->lock;

		*holds = h->next;
		if (h->mode == MDS_LOCK_EXCL)
			l->excl = NULL;
		else if (h->mode == MDS_LOCK_SHARED)
			l->shared--;
		else
			l->wanted--;
		/* At the end of the target its ops are gone before its locks. */
		while (!m->closing && (op = mds_oplist_pop(&l->waiting)))
			mds_oplist_add(&wake, op);
		if (!l->excl && !l->shared && !l->wanted) {
			mds_table_del(&m->locks, &l->link);
			free(l);
		}
		free(h);
	}
	while ((op = mds_oplist_pop(&wake)))
		mds_submit(op);
}

void mds_lock_wait(struct mds_lock *l, struct mds_op *op)
{
	mds_oplist_add(&l->waiting, op);
}
