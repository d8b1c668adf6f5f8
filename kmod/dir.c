// SPDX-License-Identifier: GPL-2.0
/*
 * Looking up and opening names; revalidation of cached ones.
 *
 * With the SOLE lease of a directory's group, names and absent names that carry the present stamp
 * (dentry->d_time) are used without a request. Without it each use is a LOOKUP, and open(2) of a
 * name that is not cached is one OPEN: lookup, creation, registration and the bytes of a small file
 * in one request. Under the lease opening an existing file is a LOOKUP that brings the bytes and
 * registers nothing.
 *
 * A directory is complete while all of its entries are in the dcache: from its creation, or from a
 * whole listing, until one of them leaves the dcache (d_prune). Then a name that is not cached is
 * absent.
 *
 * An error of a lookup is passed on and nothing is cached; ENOENT makes an absent name.
 *
 * Protection: the VFS holds the directory's i_rwsem, except in d_revalidate, which changes nothing
 * but the stamp.
 */
#include <linux/namei.h>
#include "internal.h"

/* Inline bytes that are asked for together with a lookup. */
#define WEFT_OPEN_DATA WEFT_INLINE_DEFAULT

static void weft_apply_dir(struct weft_nsop *op, const struct weft_attr *attr)
{
	if (le64_to_cpu(attr->ino) == op->dir->i_ino)
		weft_attr_apply(op->dir, attr, le64_to_cpu(attr->data_version), op->stamp);
}

/* What came in bulk: a symlink's target, or the bytes of a small file. */
static void weft_take_data(struct weft_nsop *op, const struct weft_attr *attr)
{
	size_t len = op->rpc->in_len;

	if (!len || (op->reply_flags & WEFT_ENTRY_REMOTE) || le64_to_cpu(attr->size) < len)
		return;
	if (S_ISLNK(op->inode->i_mode))
		weft_symlink_cache(op->inode, op->data.iov_base, len);
	else if (S_ISREG(op->inode->i_mode) && (attr->layout.flags & WEFT_LAYOUT_INLINE))
		weft_inline_fill(op->inode, op->data.iov_base, len, le64_to_cpu(attr->size),
				 le64_to_cpu(attr->data_version));
}

static int weft_lookup_success(struct weft_nsop *op, const void *reply)
{
	const struct weft_entry_rep *rep = reply;
	struct inode *inode;

	op->reply_flags = le32_to_cpu(rep->flags);
	weft_apply_dir(op, &rep->dir);
	inode = weft_iget_entry(op->dir->i_sb, &rep->attr, op->reply_flags, op->stamp);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	op->inode = inode;
	weft_take_data(op, &rep->attr);
	return 0;
}

static void weft_lookup_failed(struct weft_nsop *op)
{
	const struct weft_entry_rep *rep;

	if (op->error != -ENOENT || !op->rpc)
		return;
	rep = weft_rpc_reply(op->rpc);
	if (rep)
		weft_apply_dir(op, &rep->dir);
}

static u32 weft_want_data(struct weft_nsop *op)
{
	if (!op->data.iov_base)
		return 0;
	iov_iter_kvec(&op->rpc->in, ITER_DEST, &op->data, 1, op->data.iov_len);
	return WEFT_NS_WANT_DATA;
}

static int weft_lookup_issue(struct weft_nsop *op)
{
	struct weft_sb *wsb = weft_isb(op->dir);
	struct weft_ns_req *req;

	op->rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_LOOKUP, current_cred(), op->dir->i_ino,
				    op->name, NULL, GFP_KERNEL);
	if (IS_ERR(op->rpc))
		return PTR_ERR(op->rpc);
	req = op->rpc->body;
	req->flags = cpu_to_le32(weft_want_data(op));
	return 0;
}

static const struct weft_nsop_type weft_lookup_type = {
	.issue = weft_lookup_issue,
	.success = weft_lookup_success,
	.failed = weft_lookup_failed,
};

static int weft_open_issue(struct weft_nsop *op)
{
	struct weft_sb *wsb = weft_isb(op->dir);
	struct weft_open_req *req;

	op->rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_OPEN, current_cred(), op->dir->i_ino,
				    op->name, NULL, GFP_KERNEL);
	if (IS_ERR(op->rpc))
		return PTR_ERR(op->rpc);
	req = op->rpc->body;
	req->ns.open_id = cpu_to_le64(op->open_id);
	req->ns.flags = cpu_to_le32(weft_want_data(op));
	req->flags = cpu_to_le32(op->flags);
	req->mode = cpu_to_le32(op->mode & 07777);
	return 0;
}

static int weft_open_success(struct weft_nsop *op, const void *reply)
{
	const struct weft_entry_rep *rep = reply;
	int ret = weft_lookup_success(op, reply);

	if (ret)
		return ret;
	op->open_id = le64_to_cpu(rep->open_id);
	if (op->reply_flags & WEFT_ENTRY_CREATED)
		set_bit(WEFT_I_NO_CAPS, &WEFT_I(op->inode)->flags);
	return 0;
}

static const struct weft_nsop_type weft_open_type = {
	.issue = weft_open_issue,
	.success = weft_open_success,
	.failed = weft_lookup_failed,
};

/**
 * weft_splice() - connect an inode, or absence, to a dentry
 * @inode: inode, its reference is consumed; or NULL
 * @dentry: negative dentry
 * @stamp: of the directory's group, before the request was sent
 *
 * Return: NULL, or another dentry that is to be used instead, or an error.
 */
struct dentry *weft_splice(struct inode *inode, struct dentry *dentry, u64 stamp)
{
	struct dentry *res;

	if (!d_in_lookup(dentry) && !d_unhashed(dentry))
		d_drop(dentry);
	WRITE_ONCE(dentry->d_time, stamp);
	res = d_splice_alias(inode, dentry);
	if (!IS_ERR_OR_NULL(res))
		WRITE_ONCE(res->d_time, stamp);
	return res;
}

/* weft_dir_incomplete() - an entry may exist that is not in the dcache */
void weft_dir_incomplete(struct inode *dir)
{
	struct weft_inode *wi = WEFT_I(dir);

	WRITE_ONCE(wi->prunes, READ_ONCE(wi->prunes) + 1);
	WRITE_ONCE(wi->complete, 0);
}

static void weft_d_prune(struct dentry *dentry)
{
	struct dentry *parent = dentry->d_parent;

	/* Before it is unhashed: whoever does not find it then finds the directory incomplete. */
	if (parent != dentry && !d_unhashed(dentry) && d_really_is_positive(dentry))
		weft_dir_incomplete(d_inode(parent));
	smp_mb();
}

/* Is a name that has no dentry absent? Then @stamp says since when. */
static bool weft_known_absent(struct inode *dir, u64 *stamp)
{
	*stamp = weft_stamp(weft_isb(dir), dir->i_ino);
	return *stamp && READ_ONCE(WEFT_I(dir)->complete) == *stamp;
}

/* The operation that follows (mkdir, link, ...) finds out whether the name exists. */
static bool weft_lookup_needless(struct inode *dir, unsigned int flags)
{
	const unsigned int excl = LOOKUP_CREATE | LOOKUP_EXCL;

	return (flags & excl) == excl && !(flags & LOOKUP_RENAME_TARGET) &&
	       !IS_RDONLY(dir) && !inode_permission(&nop_mnt_idmap, dir, MAY_WRITE | MAY_EXEC);
}

struct dentry *weft_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct weft_nsop op = { .type = &weft_lookup_type, .dir = dir, .dentry = dentry };
	u64 stamp;
	int ret;

	if (dentry->d_name.len > WEFT_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	if (weft_known_absent(dir, &stamp))
		return weft_splice(NULL, dentry, stamp);
	if (weft_lookup_needless(dir, flags))
		return weft_splice(NULL, dentry, 0);
	ret = weft_nsop_run(&op);
	if (ret && ret != -ENOENT)
		return ERR_PTR(ret);
	if (op.inode)
		weft_attr_fresh(op.inode);
	return weft_splice(op.inode, dentry, op.stamp);
}

/* Ask for the name and compare. Return: 1 valid, 0 not, or an error. */
static int weft_revalidate_ask(struct inode *dir, const struct qstr *name, struct dentry *dentry)
{
	struct weft_nsop op = { .type = &weft_lookup_type, .dir = dir, .name = name };
	int ret = weft_nsop_run(&op);

	if (ret && ret != -ENOENT)
		return ret == -ESTALE ? 0 : ret;
	ret = op.inode == d_inode(dentry);
	if (ret)
		WRITE_ONCE(dentry->d_time, op.stamp);
	else
		weft_dir_incomplete(dir);
	if (ret && op.inode)
		weft_attr_fresh(op.inode);
	iput(op.inode);
	return ret;
}

static int weft_d_revalidate(struct inode *dir, const struct qstr *name, struct dentry *dentry,
			     unsigned int flags)
{
	u64 stamp = weft_stamp(weft_isb(dir), dir->i_ino);
	struct inode *inode = d_inode_rcu(dentry);
	int ret;

	if (inode && !READ_ONCE(inode->i_nlink)) /* its removal is about to reach the dcache */
		return flags & LOOKUP_RCU ? -ECHILD : 0;
	if (stamp && READ_ONCE(dentry->d_time) == stamp) {
		if (!inode || READ_ONCE(WEFT_I(inode)->change))
			return 1;
		/* From a listing, its attributes are on another group. */
		if (flags & LOOKUP_RCU)
			return -ECHILD;
		ret = weft_attr_fetch(inode);
		if (ret == -ESTALE)
			weft_dir_incomplete(dir);
		return ret == -ESTALE ? 0 : ret ?: 1;
	}
	if (flags & LOOKUP_RCU)
		return -ECHILD;
	/* lookup and atomic_open find out themselves. */
	if (!inode && (flags & (LOOKUP_CREATE | LOOKUP_RENAME_TARGET | LOOKUP_OPEN)))
		return 0;
	return weft_revalidate_ask(dir, name, dentry);
}
WEFT_WRAP_D_REVALIDATE(weft_d_revalidate)

/* A walk ends at an inode without asking for a name: ".", "..", an open file. */
static int weft_d_weak_revalidate(struct dentry *dentry, unsigned int flags)
{
	if (d_really_is_positive(dentry))
		weft_attr_take_fresh(d_inode(dentry));
	return 1;
}

const struct dentry_operations weft_dentry_ops = {
	.d_revalidate = WEFT_OP_D_REVALIDATE(weft_d_revalidate),
	.d_weak_revalidate = weft_d_weak_revalidate,
	.d_prune = weft_d_prune,
};

/* The name has been looked up or made, op->inode is it: open it if it is a regular file. */
static int weft_finish_open(struct weft_nsop *op, struct file *file)
{
	struct inode *inode = op->inode;
	struct dentry *dentry = op->dentry, *res;
	bool known = !(op->reply_flags & WEFT_ENTRY_REMOTE);
	int ret = 0;

	if (S_ISREG(inode->i_mode) && known) {
		ret = weft_open_get(inode);
		if (ret) {
			if (op->open_id)
				weft_close_queue(weft_isb(inode), inode->i_ino, op->open_id);
			weft_dir_incomplete(op->dir);
			iput(inode);
			return ret;
		}
		if (op->open_id)
			weft_open_registered(inode, op->open_id);
		ihold(inode);
	}
	if (op->reply_flags & WEFT_ENTRY_CREATED)
		file->f_mode |= FMODE_CREATED;
	res = weft_splice(inode, dentry, op->stamp);
	if (!S_ISREG(inode->i_mode) || !known)
		return finish_no_open(file, res);
	if (IS_ERR(res)) {
		ret = PTR_ERR(res);
	} else {
		ret = finish_open(file, res ?: dentry, weft_open_known);
		dput(res);
	}
	if (ret)
		weft_open_put(inode);
	iput(inode);
	return ret;
}

int weft_atomic_open(struct inode *dir, struct dentry *dentry, struct file *file,
		     unsigned int open_flags, umode_t mode)
{
	struct weft_sb *wsb = weft_isb(dir);
	struct weft_nsop op = { .type = &weft_open_type, .dir = dir, .dentry = dentry,
				.mode = mode };
	bool sole = weft_stamp(wsb, dir->i_ino);
	u64 stamp;
	int ret;

	if (dentry->d_name.len > WEFT_NAME_MAX)
		return -ENAMETOOLONG;
	if (open_flags & O_DIRECTORY)
		return finish_no_open(file, d_in_lookup(dentry) ? weft_lookup(dir, dentry, 0) :
								  NULL);
	if (!(open_flags & O_CREAT) && d_in_lookup(dentry) && weft_known_absent(dir, &stamp))
		return finish_no_open(file, weft_splice(NULL, dentry, stamp));
	op.flags = weft_open_flags(file->f_flags);
	if (open_flags & O_CREAT)
		op.flags |= WEFT_OPEN_CREATE | (open_flags & O_EXCL ? WEFT_OPEN_EXCL : 0) |
			    (weft_outgrown(dir) ? WEFT_OPEN_CHUNKED : 0);
	else if (sole)
		op.type = &weft_lookup_type;
	if (!sole)
		op.open_id = weft_open_id_new(wsb);
	if (!(open_flags & (O_CREAT | O_TRUNC | O_DIRECT))) {
		op.data.iov_base = kvmalloc(WEFT_OPEN_DATA, GFP_KERNEL);
		op.data.iov_len = op.data.iov_base ? WEFT_OPEN_DATA : 0;
	}
	ret = weft_nsop_run(&op);
	kvfree(op.data.iov_base);
	if (!ret)
		return weft_finish_open(&op, file);
	if (ret == -ENOENT && !(open_flags & O_CREAT))
		return finish_no_open(file, weft_splice(NULL, dentry, op.stamp));
	return ret;
}

int weft_tmpfile(struct mnt_idmap *idmap, struct inode *dir, struct file *file, umode_t mode)
{
	static const struct qstr none;
	struct weft_nsop op = { .type = &weft_open_type, .dir = dir, .name = &none, .mode = mode };
	int ret;

	op.open_id = weft_open_id_new(weft_isb(dir));
	op.flags = weft_open_flags(file->f_flags) | WEFT_OPEN_CREATE | WEFT_OPEN_TMPFILE;
	ret = weft_nsop_run(&op);
	if (ret)
		return ret;
	set_nlink(op.inode, 1); /* d_tmpfile() takes it away */
	ret = weft_open_get(op.inode);
	if (ret) {
		iput(op.inode);
		return ret;
	}
	weft_open_registered(op.inode, op.open_id);
	d_tmpfile(file, op.inode);
	ret = finish_open(file, file->f_path.dentry, weft_open_known);
	if (ret)
		weft_open_put(op.inode);
	return ret;
}

/* One component of a path, without dentries. */
static int weft_lookup_component(struct inode *dir, const char *name, size_t len,
				 struct inode **out)
{
	struct qstr q = QSTR_INIT(name, len);
	struct weft_nsop op = { .type = &weft_lookup_type, .dir = dir, .name = &q };
	int ret;

	if (!S_ISDIR(dir->i_mode))
		return -ENOTDIR;
	if (len > WEFT_NAME_MAX)
		return -ENAMETOOLONG;
	ret = weft_nsop_run(&op);
	*out = op.inode;
	return ret;
}

/**
 * weft_lookup_path() - find the directory that is to be mounted
 * @sb: super block
 * @path: names separated by slashes, "" for the root
 * @out: its inode, with a reference
 *
 * Return: 0, -ENOENT, -ENOTDIR, or another error.
 */
int weft_lookup_path(struct super_block *sb, const char *path, struct inode **out)
{
	struct inode *dir = weft_iget_ino(sb, WEFT_INO_ROOT), *next;
	size_t len;
	int ret;

	if (IS_ERR(dir))
		return PTR_ERR(dir);
	for (; *path; path += len) {
		len = strcspn(path, "/");
		if (!len) {
			len = 1;
			continue;
		}
		next = NULL;
		ret = weft_lookup_component(dir, path, len, &next);
		iput(dir);
		if (ret)
			return ret;
		dir = next;
	}
	if (!S_ISDIR(dir->i_mode)) {
		iput(dir);
		return -ENOTDIR;
	}
	*out = dir;
	return 0;
}
