/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operations on names (names.c, open.c, rename.c) share: finding entries, preparing
 * sub-operations, and making replies. The owner's loop only.
 */
#ifndef WEFT_MDS_NAMES_H
#define WEFT_MDS_NAMES_H

#include "mds/mds.h"

/* In an ENTRY sub-operation: the inode that the list's MAKE makes. */
#define MDS_MADE_INO (~0ull)

/* mds_get_dir() - read a directory. Return: 0, -ESTALE (gone), -ENOTDIR, MDS_PARKED, ... */
int mds_get_dir(struct mds_op *op, u64 ino, struct mds_inode *dir);

/**
 * mds_find_entry() - find a name in a directory that may be searched
 * @op: the op
 * @dir: the directory
 * @name: name
 * @len: its length
 * @ino: out, 0 if there is none
 * @type: out
 *
 * Return: 0, -ENOENT, -EACCES, MDS_PARKED, ...
 */
int mds_find_entry(struct mds_op *op, struct mds_inode *dir, const char *name, u32 len, u64 *ino,
		   u32 *type);

/* mds_entry_reply() - reply about an inode (or NULL) and its directory */
void mds_entry_reply(struct mds_op *op, const struct weft_attr_rep *child,
		     const struct weft_attr_rep *dir);

/* mds_inode_result() - an unchanged inode as a result */
void mds_inode_result(const struct mds_inode *i, struct weft_attr_rep *r);

/* mds_absent_reply() - reply that goes with -ENOENT: the directory */
void mds_absent_reply(struct mds_op *op, const struct mds_inode *dir);

/* mds_found_reply() - reply about an entry that exists. Return: 0 or as a run. */
int mds_found_reply(struct mds_op *op, const struct mds_inode *dir, u64 ino, u32 type);

void mds_prepare_entry(struct mds_sub *s, u64 dir, const char *name, u32 len, u64 old_ino,
		       u64 new_ino, u32 type);
void mds_prepare_edit(struct mds_sub *s, const struct mds_inode *dir, u64 ino, s32 nlink,
		      u32 flags);
void mds_prepare_victim_open(struct mds_op *op, struct mds_sub *s);

/* mds_damaged() - log that entry and inode disagree. Return: -EUCLEAN. */
int mds_damaged(struct mds_op *op, u64 ino);

#endif
