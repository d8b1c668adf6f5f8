// SPDX-License-Identifier: GPL-2.0
/*
 * Operations that change directories: each is one request and a const table (see nsop.c).
 *
 * The reply brings the attributes of what changed, so that nothing has to be asked afterwards. If
 * the server refuses, nothing changes here; names that turn out to be different from what is
 * cached are found out at their next use, because a failed operation leaves its dentry unstamped.
 *
 * The last name of a file that is open here is removed with a registration that keeps the file
 * (see open.c).
 *
 * Protection: the VFS holds i_rwsem of the directories and of removed inodes.
 */
#include <linux/namei.h>
#include "internal.h"

static void weft_apply(struct inode *inode, const struct weft_attr *attr, u64 stamp)
{
	if (le64_to_cpu(attr->ino) == inode->i_ino)
		weft_attr_apply(inode, attr, le64_to_cpu(attr->data_version), stamp);
}

/* What is cached about this name did not hold: ask at the next use. */
static void weft_name_failed(struct weft_nsop *op)
{
	WRITE_ONCE(op->dentry->d_time, 0);
	if (op->dentry2)
		WRITE_ONCE(op->dentry2->d_time, 0);
}

/* --- mkdir, symlink, mknod, create */

static int weft_create_issue(struct weft_nsop *op)
{
	struct qstr target = QSTR_INIT(op->target, op->target ? strlen(op->target) : 0);
	struct weft_create_req *req;

	op->rpc = weft_rpc_alloc_ns(weft_isb(op->dir)->fs, WEFT_OP_CREATE, current_cred(),
				    op->dir->i_ino, op->name, op->target ? &target : NULL,
				    GFP_KERNEL);
	if (IS_ERR(op->rpc))
		return PTR_ERR(op->rpc);
	req = op->rpc->body;
	req->mode = cpu_to_le32(op->mode);
	req->rdev_major = cpu_to_le32(MAJOR(op->rdev));
	req->rdev_minor = cpu_to_le32(MINOR(op->rdev));
	return 0;
}

static int weft_create_success(struct weft_nsop *op, const void *reply)
{
	const struct weft_entry_rep *rep = reply;
	struct inode *inode;

	weft_apply(op->dir, &rep->dir, op->stamp);
	inode = weft_iget_entry(op->dir->i_sb, &rep->attr, le32_to_cpu(rep->flags), op->stamp);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	if (S_ISREG(inode->i_mode))
		set_bit(WEFT_I_NO_CAPS, &WEFT_I(inode)->flags);
	if (op->target)
		weft_symlink_cache(inode, op->target, strlen(op->target));
	op->inode = inode;
	return 0;
}

static const struct weft_nsop_type weft_create_type = {
	.issue = weft_create_issue,
	.success = weft_create_success,
	.failed = weft_name_failed,
};

/* Return: NULL, a dentry to be used instead of @dentry, or an error. */
static struct dentry *weft_do_create(struct inode *dir, struct dentry *dentry, umode_t mode,
				     dev_t rdev, const char *target)
{
	struct weft_nsop op = { .type = &weft_create_type, .dir = dir, .dentry = dentry,
				.mode = mode, .rdev = rdev, .target = target };
	int ret;

	if (dentry->d_name.len > WEFT_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	ret = weft_nsop_run(&op);
	if (ret)
		return ERR_PTR(ret);
	if (!S_ISDIR(mode)) {
		WRITE_ONCE(dentry->d_time, op.stamp);
		d_instantiate(dentry, op.inode);
		return NULL;
	}
	/* It is empty, if it is new since the lease came. */
	WRITE_ONCE(WEFT_I(op.inode)->complete, READ_ONCE(WEFT_I(op.inode)->stamp));
	return weft_splice(op.inode, dentry, op.stamp);
}

static int weft_create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		       umode_t mode, bool excl)
{
	return PTR_ERR_OR_ZERO(weft_do_create(dir, dentry, mode | S_IFREG, 0, NULL));
}

static int weft_mknod(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		      umode_t mode, dev_t rdev)
{
	return PTR_ERR_OR_ZERO(weft_do_create(dir, dentry, mode, rdev, NULL));
}

static int weft_symlink(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			const char *target)
{
	if (strlen(target) > WEFT_SYMLINK_MAX)
		return -ENAMETOOLONG;
	return PTR_ERR_OR_ZERO(weft_do_create(dir, dentry, S_IFLNK | 0777, 0, target));
}

static struct dentry *weft_mkdir(struct mnt_idmap *idmap, struct inode *dir,
				 struct dentry *dentry, umode_t mode)
{
	return weft_do_create(dir, dentry, mode | S_IFDIR, 0, NULL);
}
WEFT_WRAP_MKDIR(weft_mkdir)

/* --- link */

static int weft_link_issue(struct weft_nsop *op)
{
	struct weft_link_req *req;

	op->rpc = weft_rpc_alloc_ns(weft_isb(op->dir)->fs, WEFT_OP_LINK, current_cred(),
				    op->dir->i_ino, op->name, NULL, GFP_KERNEL);
	if (IS_ERR(op->rpc))
		return PTR_ERR(op->rpc);
	op->stamp_inode = weft_stamp(weft_isb(op->dir), op->inode->i_ino);
	req = op->rpc->body;
	req->target = cpu_to_le64(op->inode->i_ino);
	return 0;
}

static int weft_link_success(struct weft_nsop *op, const void *reply)
{
	const struct weft_entry_rep *rep = reply;

	weft_apply(op->dir, &rep->dir, op->stamp);
	if (!rep->attr.change) /* it lives on another group */
		inc_nlink(op->inode);
	weft_apply(op->inode, &rep->attr, op->stamp_inode);
	return 0;
}

static const struct weft_nsop_type weft_link_type = {
	.issue = weft_link_issue,
	.success = weft_link_success,
	.failed = weft_name_failed,
};

static int weft_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	struct weft_nsop op = { .type = &weft_link_type, .dir = dir, .dentry = dentry,
				.inode = inode };
	int ret;

	if (dentry->d_name.len > WEFT_NAME_MAX)
		return -ENAMETOOLONG;
	ret = weft_nsop_run(&op);
	if (ret)
		return ret;
	ihold(inode);
	WRITE_ONCE(dentry->d_time, op.stamp);
	d_instantiate(dentry, inode);
	return 0;
}

/* --- unlink, rmdir */

static int weft_remove_issue(struct weft_nsop *op)
{
	bool dir = S_ISDIR(op->inode->i_mode);
	struct weft_ns_req *req;

	op->rpc = weft_rpc_alloc_ns(weft_isb(op->dir)->fs, dir ? WEFT_OP_RMDIR : WEFT_OP_UNLINK,
				    current_cred(), op->dir->i_ino, op->name, NULL, GFP_KERNEL);
	if (IS_ERR(op->rpc))
		return PTR_ERR(op->rpc);
	req = op->rpc->body;
	if (op->open_id) {
		req->flags = cpu_to_le32(WEFT_NS_VICTIM_OPEN);
		req->open_id = cpu_to_le64(op->open_id);
	}
	return 0;
}

/* @inode has lost a name; @attr is of it, or of an inode that somebody put in its place. */
static void weft_lost_name(struct inode *inode, const struct weft_attr *attr, u64 stamp)
{
	if (le64_to_cpu(attr->ino) != inode->i_ino || !attr->change) {
		/* It is on another group (or is another one): count here, ask when used. */
		WRITE_ONCE(WEFT_I(inode)->stamp, 0);
		if (S_ISDIR(inode->i_mode))
			clear_nlink(inode);
		else if (inode->i_nlink)
			drop_nlink(inode);
		return;
	}
	weft_attr_apply(inode, attr, le64_to_cpu(attr->data_version), stamp);
	if (S_ISDIR(inode->i_mode))
		clear_nlink(inode);
}

static int weft_remove_success(struct weft_nsop *op, const void *reply)
{
	const struct weft_entry_rep *rep = reply;

	weft_apply(op->dir, &rep->dir, op->stamp);
	weft_lost_name(op->inode, &rep->attr, op->stamp);
	WRITE_ONCE(op->dentry->d_time, op->stamp);
	return 0;
}

static const struct weft_nsop_type weft_remove_type = {
	.issue = weft_remove_issue,
	.success = weft_remove_success,
	.failed = weft_name_failed,
};

static int weft_remove(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	struct weft_nsop op = { .type = &weft_remove_type, .dir = dir, .dentry = dentry,
				.inode = inode };
	int ret;

	op.open_id = weft_victim_begin(inode);
	ret = weft_nsop_run(&op);
	/* Killed: the server may carry it out still. A registration too many is taken back, too. */
	weft_victim_end(inode, op.open_id, !ret || ret == -EINTR);
	return ret;
}

/* --- rename */

static int weft_rename_issue(struct weft_nsop *op)
{
	struct inode *victim = d_inode(op->dentry2);
	struct weft_sb *wsb = weft_isb(op->dir);
	struct weft_rename_req *req;

	op->rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_RENAME, current_cred(), op->dir->i_ino,
				    op->name, &op->dentry2->d_name, GFP_KERNEL);
	if (IS_ERR(op->rpc))
		return PTR_ERR(op->rpc);
	op->stamp_inode = weft_stamp(wsb, d_inode(op->dentry)->i_ino);
	if (victim)
		op->stamp_victim = weft_stamp(wsb, victim->i_ino);
	req = op->rpc->body;
	req->new_dir = cpu_to_le64(op->dir2->i_ino);
	req->flags = cpu_to_le32(op->flags);
	if (op->open_id) {
		req->ns.flags = cpu_to_le32(WEFT_NS_VICTIM_OPEN);
		req->ns.open_id = cpu_to_le64(op->open_id);
	}
	return 0;
}

static int weft_rename_success(struct weft_nsop *op, const void *reply)
{
	struct inode *moved = d_inode(op->dentry), *victim = d_inode(op->dentry2);
	const struct weft_rename_rep *rep = reply;

	weft_apply(op->dir, &rep->old_dir, op->stamp);
	weft_apply(op->dir2, &rep->new_dir, op->stamp2);
	weft_apply(moved, &rep->moved, op->stamp_inode);
	if (victim && (op->flags & WEFT_RENAME_EXCHANGE))
		weft_apply(victim, &rep->victim, op->stamp_victim);
	else if (victim)
		weft_lost_name(victim, &rep->victim, op->stamp_victim);

	WRITE_ONCE(op->dentry->d_time, op->stamp2);
	WRITE_ONCE(op->dentry2->d_time, op->stamp);
	return 0; /* the VFS moves the dentries */
}

static const struct weft_nsop_type weft_rename_type = {
	.issue = weft_rename_issue,
	.success = weft_rename_success,
	.failed = weft_name_failed,
};

static int weft_rename(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		       struct inode *dir2, struct dentry *dentry2, unsigned int flags)
{
	struct inode *victim = flags & RENAME_EXCHANGE ? NULL : d_inode(dentry2);
	struct weft_nsop op = { .type = &weft_rename_type, .dir = dir, .dentry = dentry,
				.dir2 = dir2, .dentry2 = dentry2 };
	int ret;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (dentry2->d_name.len > WEFT_NAME_MAX)
		return -ENAMETOOLONG;
	if (flags & RENAME_NOREPLACE)
		op.flags |= WEFT_RENAME_NOREPLACE;
	if (flags & RENAME_EXCHANGE)
		op.flags |= WEFT_RENAME_EXCHANGE;
	if (victim)
		op.open_id = weft_victim_begin(victim);
	ret = weft_nsop_run(&op);
	if (victim)
		weft_victim_end(victim, op.open_id, !ret || ret == -EINTR);
	return ret;
}

const struct inode_operations weft_dir_iops = {
	.lookup = weft_lookup,
	.atomic_open = weft_atomic_open,
	.create = weft_create,
	.link = weft_link,
	.unlink = weft_remove,
	.symlink = weft_symlink,
	.mkdir = WEFT_OP_MKDIR(weft_mkdir),
	.rmdir = weft_remove,
	.mknod = weft_mknod,
	.rename = weft_rename,
	.tmpfile = weft_tmpfile,
	.permission = weft_permission,
	.getattr = weft_getattr,
	.setattr = weft_setattr,
	.listxattr = weft_listxattr,
	.update_time = WEFT_OP_UPDATE_TIME(weft_update_time),
};
