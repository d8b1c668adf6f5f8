// SPDX-License-Identifier: Apache-2.0
/*
 * Operations on names: LOOKUP, CREATE, UNLINK, RMDIR, LINK. RENAME is in rename.c, OPEN in open.c.
 *
 * Each checks what its own group can check, builds the list of sub-operations (sub.c), and lets
 * mds_change() do them, here alone or as a transaction with other groups. Then the reply is made
 * of the results. A run may come again from its beginning (after a wait, or to decide a
 * transaction); it keeps nothing between.
 */
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mds/names.h"

int mds_get_dir(struct mds_op *op, u64 ino, struct mds_inode *dir)
{
	int ret = mds_read_inode(&op->tx, ino, dir);

	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	return mds_is_dir(dir->mode) ? 0 : -ENOTDIR;
}

int mds_find_entry(struct mds_op *op, struct mds_inode *dir, const char *name, u32 len, u64 *ino,
		   u32 *type)
{
	int ret;

	*ino = 0;
	*type = 0;
	ret = mds_permission(&op->creds, dir, MDS_MAY_EXEC);
	return ret ? ret : mds_read_dentry(&op->tx, dir->ino, name, len, ino, type);
}

void mds_entry_reply(struct mds_op *op, const struct weft_attr_rep *child,
		     const struct weft_attr_rep *dir)
{
	struct weft_entry_rep *r = &op->rep.entry;

	memset(r, 0, sizeof(*r));
	if (child) {
		r->attr = child->attr;
		r->prev_data = child->prev_data;
	}
	r->dir = dir->attr;
	r->prev_dir_change = dir->prev_change;
	op->rep_len = sizeof(*r);
}

void mds_inode_result(const struct mds_inode *i, struct weft_attr_rep *r)
{
	mds_inode_attr(i, &r->attr);
	r->prev_change = cpu_to_le64(i->change);
	r->prev_data = cpu_to_le64(i->data_version);
}

void mds_absent_reply(struct mds_op *op, const struct mds_inode *dir)
{
	struct weft_attr_rep d;

	mds_inode_result(dir, &d);
	mds_entry_reply(op, NULL, &d);
}

int mds_found_reply(struct mds_op *op, const struct mds_inode *dir, u64 ino, u32 type)
{
	struct weft_attr_rep child = { 0 }, d;
	struct mds_inode i;
	int ret;

	mds_inode_result(dir, &d);
	if (!mds_is_local(op->m, ino)) {
		child.attr.ino = cpu_to_le64(ino);
		child.attr.mode = cpu_to_le32(type);
		mds_entry_reply(op, &child, &d);
		op->rep.entry.flags = cpu_to_le32(WEFT_ENTRY_REMOTE);
		return 0;
	}
	ret = mds_read_inode(&op->tx, ino, &i);
	if (ret)
		return ret == -ENOENT ? MDS_DEFER : ret;
	if (op->flags & WEFT_NS_WANT_DATA) {
		ret = mds_fill_data(op, &i);
		if (ret)
			return ret;
	}
	mds_inode_result(&i, &child);
	mds_entry_reply(op, &child, &d);
	return 0;
}

/* The parent of a directory, for "..". */
static int lookup_parent(struct mds_op *op, struct mds_inode *dir)
{
	if (op->name_len)
		return -EINVAL;
	return mds_found_reply(op, dir, dir->parent, S_IFDIR);
}

int mds_run_lookup(struct mds_op *op)
{
	struct mds_inode dir;
	u32 type;
	u64 ino;
	int ret;

	ret = mds_get_dir(op, op->ino, &dir);
	if (ret)
		return ret;
	if (op->flags & WEFT_NS_PARENT)
		return lookup_parent(op, &dir);
	if (!op->name_len)
		return -EINVAL;
	ret = mds_find_entry(op, &dir, op->name, op->name_len, &ino, &type);
	if (ret == -ENOENT)
		mds_absent_reply(op, &dir);
	return ret ? ret : mds_found_reply(op, &dir, ino, type);
}

void mds_prepare_make(struct mds_op *op, const struct mds_inode *dir, u32 mode, struct mds_sub *s)
{
	*s = (struct mds_sub){ .kind = WEFT_SUB_MAKE, .uid = op->creds.uid, .gid = op->creds.gid,
			       .nlink = 1, .parent = dir->ino,
			       .shard = WEFT_INO_SHARD(dir->ino) };
	if (dir->mode & S_ISGID) {
		s->gid = dir->gid;
		if (mds_is_dir(mode))
			mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
			mode = mds_strip_sgid(&op->creds, mode, dir->gid);
	}
	s->mode = mode;
	if (mds_is_dir(mode))
		mds_inode_layout(dir, &s->layout);
	else if (mds_is_reg(mode))
		mds_new_layout(op->m, dir, &s->layout);
}

void mds_prepare_entry(struct mds_sub *s, u64 dir, const char *name, u32 len, u64 old_ino,
		       u64 new_ino, u32 type)
{
	*s = (struct mds_sub){ .kind = WEFT_SUB_ENTRY, .ino = dir, .name = name, .name_len = len,
			       .old_ino = old_ino, .new_ino = new_ino, .mode = type };
}

/* Editing an inode that loses or changes its name in a sticky directory is for owners only. */
void mds_prepare_edit(struct mds_sub *s, const struct mds_inode *dir, u64 ino, s32 nlink,
		      u32 flags)
{
	*s = (struct mds_sub){ .kind = WEFT_SUB_EDIT, .ino = ino, .nlink = nlink, .flags = flags };
	if (dir && (dir->mode & S_ISVTX)) {
		s->flags |= WEFT_SUB_STICKY;
		s->uid = dir->uid;
	}
}

void mds_prepare_victim_open(struct mds_op *op, struct mds_sub *s)
{
	const struct weft_ns_req *ns = op->body;

	if (!(op->flags & WEFT_NS_VICTIM_OPEN))
		return;
	s->flags |= WEFT_SUB_OPEN;
	s->open_id = le64_to_cpu(ns->open_id);
}

static int create_check(struct mds_op *op, u32 mode)
{
	switch (mds_type(mode)) {
	case S_IFLNK:
		return op->name2_len ? 0 : -ENOENT;
	case S_IFCHR:
	case S_IFBLK:
		return mds_capable(&op->creds, WEFT_CAP_MKNOD) ? 0 : -EPERM;
	case S_IFREG:
	case S_IFDIR:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	}
	return -EINVAL;
}

int mds_run_create(struct mds_op *op)
{
	const struct weft_create_req *req = op->body;
	u32 mode = le32_to_cpu(req->mode) & (S_IFMT | 07777), type;
	struct mds_sub subs[2];
	struct mds_inode dir;
	u64 ino;
	int ret;

	ret = mds_get_dir(op, op->ino, &dir);
	if (ret)
		return ret;
	ret = mds_find_entry(op, &dir, op->name, op->name_len, &ino, &type);
	if (ret != -ENOENT)
		return ret ? ret : -EEXIST;
	ret = mds_dir_writable(&op->creds, &dir);
	if (!ret)
		ret = create_check(op, mode);
	if (ret)
		return ret;
	mds_prepare_make(op, &dir, mode, &subs[0]);
	subs[0].rdev_major = le32_to_cpu(req->rdev_major);
	subs[0].rdev_minor = le32_to_cpu(req->rdev_minor);
	if (mds_is_lnk(mode)) {
		subs[0].mode = S_IFLNK | 0777;
		subs[0].target = op->name2;
		subs[0].target_len = op->name2_len;
	}
	if (mds_is_dir(mode))
		subs[0].shard = mds_place_dir(op->m, dir.ino, op->name, op->name_len);
	mds_prepare_entry(&subs[1], dir.ino, op->name, op->name_len, 0, MDS_MADE_INO, mode);
	ret = mds_change(op, subs, 2);
	if (!ret)
		mds_entry_reply(op, &subs[0].result, &subs[1].result);
	return ret;
}

static int remove_name(struct mds_op *op, bool isdir)
{
	struct mds_sub subs[2];
	struct mds_inode dir;
	u32 type;
	u64 ino;
	int ret;

	ret = mds_get_dir(op, op->ino, &dir);
	if (ret)
		return ret;
	ret = mds_find_entry(op, &dir, op->name, op->name_len, &ino, &type);
	if (!ret)
		ret = mds_dir_writable(&op->creds, &dir);
	if (ret)
		return ret;
	if (isdir != mds_is_dir(type))
		return isdir ? -ENOTDIR : -EISDIR;
	mds_prepare_edit(&subs[0], &dir, ino, -1, isdir ? WEFT_SUB_MUST_DIR : WEFT_SUB_NOT_DIR);
	if (!isdir)
		mds_prepare_victim_open(op, &subs[0]);
	mds_prepare_entry(&subs[1], dir.ino, op->name, op->name_len, ino, 0, 0);
	ret = mds_change(op, subs, 2);
	if (!ret)
		mds_entry_reply(op, &subs[0].result, &subs[1].result);
	return ret == -EUCLEAN ? mds_damaged(op, ino) : ret;
}

int mds_damaged(struct mds_op *op, u64 ino)
{
	weft_err("metadata is damaged: entry and inode do not agree", "dir=%#llx ino=%#llx",
		 (unsigned long long)op->ino, (unsigned long long)ino);
	return -EUCLEAN;
}

int mds_run_unlink(struct mds_op *op)
{
	return remove_name(op, false);
}

int mds_run_rmdir(struct mds_op *op)
{
	return remove_name(op, true);
}

int mds_run_link(struct mds_op *op)
{
	const struct weft_link_req *req = op->body;
	u64 ino, target = le64_to_cpu(req->target);
	struct mds_sub subs[2];
	struct mds_inode dir;
	u32 type;
	int ret;

	if (!mds_group_of(op->m, target))
		return -ESTALE;
	ret = mds_get_dir(op, op->ino, &dir);
	if (ret)
		return ret;
	ret = mds_find_entry(op, &dir, op->name, op->name_len, &ino, &type);
	if (ret != -ENOENT)
		return ret ? ret : -EEXIST;
	ret = mds_dir_writable(&op->creds, &dir);
	if (ret)
		return ret;
	mds_prepare_edit(&subs[0], NULL, target, 1, WEFT_SUB_NOT_DIR);
	mds_prepare_entry(&subs[1], dir.ino, op->name, op->name_len, 0, target, 0);
	ret = mds_change(op, subs, 2);
	if (!ret)
		mds_entry_reply(op, &subs[0].result, &subs[1].result);
	return ret;
}
