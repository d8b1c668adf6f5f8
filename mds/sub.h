/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every change of the namespace consists of: who may (perm.c), the sub-operations (sub.c), and
 * inode numbers that are never used twice (ino.c).
 */
#ifndef WEFT_MDS_SUB_H
#define WEFT_MDS_SUB_H

#include "mds/batch.h"
#include "proto/ops.h"

#define MDS_LINK_MAX 65000u
#define MDS_INO_BLOCK 1024u

/* --- perm.c */

#define MDS_MAY_EXEC 1u
#define MDS_MAY_WRITE 2u
#define MDS_MAY_READ 4u

struct mds_creds {
	u32 uid, gid, caps, ngroups;
	const char *groups; /* ngroups little endian numbers, of any alignment */
};

bool mds_in_group(const struct mds_creds *c, u32 gid);
bool mds_capable(const struct mds_creds *c, u32 cap);

/* mds_permission() - may these credentials do this? Return: 0 or -EACCES. */
int mds_permission(const struct mds_creds *c, const struct mds_inode *i, u32 mask);

/* mds_owner_or_capable() - owner of the inode, or CAP_FOWNER */
bool mds_owner_or_capable(const struct mds_creds *c, const struct mds_inode *i);

/* mds_strip_sgid() - mode of a new file in a set-group-id directory, or after chmod, chown */
u32 mds_strip_sgid(const struct mds_creds *c, u32 mode, u32 gid);

/* mds_kill_priv() - mode after a write or chown */
u32 mds_kill_priv(u32 mode);

/* --- sub.c: the sub-operations that every change of the namespace consists of */

/* struct weft_txn_sub in CPU order. */
struct mds_sub {
	u8 kind;
	u32 flags;
	u64 ino, old_ino, new_ino, parent;
	u64 session, open_id;
	u32 shard, mode, uid, gid;
	u32 rdev_major, rdev_minor; /* local only */
	s32 nlink;
	struct weft_layout layout;
	const char *name;
	u32 name_len;
	const char *target; /* symbolic link, local only */
	u32 target_len;
	u32 group; /* who does it */
	struct weft_attr_rep result;
};

/**
 * mds_sub_run() - check and do a sub-operation within a transaction
 * @tx: the transaction
 * @creds: on whose behalf
 * @now: time of the change
 * @s: what; its result is filled in (MAKE: ino as well)
 *
 * Return: 0, -errno, WEFT_S_BUSY (an entry is not what was expected) or MDS_PARKED.
 */
int mds_sub_run(struct mds_tx *tx, const struct mds_creds *creds, struct mds_time now,
		struct mds_sub *s);

/* mds_node_result() - a changed inode as replies show it */
void mds_node_result(const struct mds_node *n, struct weft_attr_rep *r);

/* mds_inode_gone() - an inode lost its last name: keep it as an orphan, or delete it */
int mds_inode_gone(struct mds_tx *tx, struct mds_node *n, bool keep);

/* mds_new_layout() - layout of a new file in a directory */
void mds_new_layout(struct mds *m, const struct mds_inode *dir, struct weft_layout *l);

/* --- ino.c: inode numbers, never used twice */

struct mds_counter {
	struct mds_link link;
	struct mds_counter *next_dirty;
	u64 next, limit;
	char tag;
	u32 nr;
	bool dirty;
};

struct mds_counters {
	struct mds_table table;
	struct mds_counter *dirty;
};

int mds_counters_init(struct mds *m);
void mds_counters_fini(struct mds *m);

/**
 * mds_counter_next() - take a number; its block is reserved by the batch under construction
 * @m: the target
 * @tag: 'C' (inodes of shard @nr)
 * @nr: shard
 * @out: the number
 *
 * Return: 0, -ENOMEM, -ENOSPC (48 bits used up), or an error of the store.
 */
int mds_counter_next(struct mds *m, char tag, u32 nr, u64 *out);

/* mds_counters_write() - put the reservations that changed into the batch */
void mds_counters_write(struct mds *m);

#endif
