// SPDX-License-Identifier: GPL-2.0
/*
 * What happens when leases come and go.
 *
 * A lease that is lost: from now on weft_stamp() is 0 for the group and every stamp given out
 * before is worthless, so names and attributes are asked for again. Then open files are registered
 * and dirty data of the group is written back; after that the lower half gives the lease up and
 * the other client may go on. An open that began before sees either the lease (then it is in the
 * list that is registered here) or its absence (then it registers by itself).
 *
 * Writing back may fail as any writeback may: the error is kept for fsync and close.
 *
 * Protection: wsb->flush_lock keeps unmount from tearing inodes down meanwhile.
 */
#include "internal.h"

/* Inodes that are looked at while a spinlock is held. */
#define WEFT_WALK_MAX 1024

/**
 * weft_stamp() - may what is known of an inode's group be trusted, and since when
 * @wsb: the mount
 * @ino: an inode of the group
 *
 * Return: 0 without the SOLE lease; else the present generation of leases.
 * Context: any, lockless.
 */
u64 weft_stamp(struct weft_sb *wsb, u64 ino)
{
	u64 gen = atomic64_read(&wsb->lease_gen);

	smp_rmb(); /* generation before lease: see weft_lease_lost() */
	return weft_fs_lease(wsb->fs, ino) == WEFT_LEASE_SOLE ? gen : 0;
}

/*
 * The next inode behind @prev, whose reference is dropped, that @want likes. Or another: the lock
 * is not held for all of a long list.
 */
static struct inode *weft_next_inode(struct weft_sb *wsb, struct inode *prev,
				     bool (*want)(struct inode *))
{
	struct super_block *sb = wsb->sb;
	struct inode *inode, *found = NULL;
	unsigned int passed = 0;

	spin_lock(&sb->s_inode_list_lock);
	inode = prev ? list_next_entry(prev, i_sb_list) :
		       list_first_entry(&sb->s_inodes, struct inode, i_sb_list);
	list_for_each_entry_from(inode, &sb->s_inodes, i_sb_list) {
		if (!want(inode) && ++passed < WEFT_WALK_MAX)
			continue;
		found = igrab(inode);
		if (found)
			break;
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(prev);
	return found;
}

/**
 * weft_each_inode() - do something with inodes in memory
 * @wsb: the mount
 * @group: metadata group they are of, 0: any
 * @want: is it one of them? Called under a spinlock
 * @use: what to do; may wait; not 0: the walk ends
 *
 * Inodes that come into memory meanwhile are left out.
 *
 * Return: 0 or what @use has returned.
 */
int weft_each_inode(struct weft_sb *wsb, u32 group, bool (*want)(struct inode *),
		    int (*use)(struct inode *))
{
	struct inode *inode = NULL;
	int ret;

	while ((inode = weft_next_inode(wsb, inode, want))) {
		cond_resched();
		if (!want(inode) || (group && weft_fs_group(wsb->fs, inode->i_ino) != group))
			continue;
		ret = use(inode);
		if (ret) {
			iput(inode);
			return ret;
		}
	}
	return 0;
}

static bool weft_flush_wanted(struct inode *inode)
{
	return S_ISREG(inode->i_mode) && weft_needs_flush(inode);
}

static int weft_flush_begin(struct inode *inode)
{
	filemap_flush(inode->i_mapping);
	return 0;
}

static int weft_flush_end(struct inode *inode)
{
	return weft_flush_inode(inode) == -EINTR && fatal_signal_pending(current) ? -EINTR : 0;
}

/**
 * weft_flush_group() - make all files of a group durable
 * @wsb: the mount
 * @group: metadata group, 0: all of them
 *
 * Errors are kept for fsync and close of each file.
 *
 * Return: 0, or -EINTR if the caller was killed.
 */
int weft_flush_group(struct weft_sb *wsb, u32 group)
{
	/* Somebody waits: everything is on its way before anything is waited for. */
	weft_each_inode(wsb, group, weft_flush_wanted, weft_flush_begin);
	return weft_each_inode(wsb, group, weft_flush_wanted, weft_flush_end);
}

static void weft_lease_lost(void *priv, u32 group, struct weft_reclaim *r)
{
	struct weft_sb *wsb = priv;

	/* The lease is gone already: whoever reads the new generation finds none. */
	atomic64_inc_return(&wsb->lease_gen);
	weft_reclaim_all(wsb, group, r);
}

static void weft_lease_flush(void *priv, u32 group)
{
	struct weft_sb *wsb = priv;

	down_read(&wsb->flush_lock);
	if (!wsb->dying)
		weft_flush_group(wsb, group);
	up_read(&wsb->flush_lock);
}

static void weft_lease_granted(void *priv, u32 group)
{
	struct weft_sb *wsb = priv;

	atomic64_inc(&wsb->lease_gen);
}

static void weft_reclaim_group(void *priv, u32 group, struct weft_reclaim *r)
{
	struct weft_sb *wsb = priv;

	weft_reclaim_all(wsb, group, r);
}

static void weft_reclaim_told(void *priv, u32 group)
{
	weft_reclaim_over(priv);
}

static void weft_opens_lost(void *priv, u32 group, const u64 *inos, unsigned int count)
{
	struct weft_sb *wsb = priv;
	struct inode *inode;

	for (; count; count--, inos++) {
		inode = ilookup(wsb->sb, *inos);
		if (!inode)
			continue;
		set_bit(WEFT_I_LOST, &WEFT_I(inode)->flags);
		iput(inode);
	}
}

const struct weft_fs_ops weft_lease_ops = {
	.lease_lost = weft_lease_lost,
	.flush = weft_lease_flush,
	.lease_granted = weft_lease_granted,
	.reclaim = weft_reclaim_group,
	.reclaimed = weft_reclaim_told,
	.opens_lost = weft_opens_lost,
};
