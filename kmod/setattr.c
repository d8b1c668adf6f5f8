// SPDX-License-Identifier: GPL-2.0
/*
 * Changing attributes: chmod, chown, utimes, truncate; and times that use leaves behind.
 *
 * Every change that was asked for is a SETATTR that is durable when the call returns. A new size
 * cuts the page cache first, while faults and writers are kept out (invalidate_lock, i_rwsem), so
 * that no page is in flight behind the new end when the server cuts the objects; if the server
 * refuses, the old size is asked for again.
 *
 * Times of writes are told with the next COMMIT or WRITE_INLINE. Access times are kept here and
 * sent late, as with lazytime: with sync, when the inode leaves the cache, or after a day. A
 * limited number of them is on its way at a time; the kernel's writeback comes back for the others.
 */
#include "internal.h"

/* Access times on their way at most: each is a request of some 2 KiB. */
#define WEFT_ATIMES_MAX 512

/* Fill in what @attr asks for. Return: WEFT_SET_*, 0 if nothing is left to ask for. */
static u32 weft_setattr_fill(struct mnt_idmap *idmap, struct inode *inode,
			     const struct iattr *attr, struct weft_setattr_req *req)
{
	u32 valid = 0;

	/* A write or truncate takes suid and sgid away, whoever may write: that is not a chmod. */
	if ((attr->ia_valid & ATTR_FORCE) && (attr->ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID))) {
		valid |= WEFT_SET_KILL_PRIV;
	} else if (attr->ia_valid & ATTR_MODE) {
		valid |= WEFT_SET_MODE;
		req->mode = cpu_to_le32(attr->ia_mode);
	}
	if (attr->ia_valid & ATTR_UID) {
		valid |= WEFT_SET_UID;
		req->uid = cpu_to_le32(from_kuid(&init_user_ns, attr->ia_uid));
	}
	if (attr->ia_valid & ATTR_GID) {
		valid |= WEFT_SET_GID;
		req->gid = cpu_to_le32(from_kgid(&init_user_ns, attr->ia_gid));
	}
	if (attr->ia_valid & ATTR_SIZE) {
		valid |= WEFT_SET_SIZE;
		req->size = cpu_to_le64(attr->ia_size);
	}
	if (attr->ia_valid & ATTR_ATIME_SET) {
		valid |= WEFT_SET_ATIME;
		weft_time_put(&req->atime, attr->ia_atime);
	} else if (attr->ia_valid & ATTR_ATIME) {
		valid |= WEFT_SET_ATIME_NOW;
	}
	if (attr->ia_valid & ATTR_MTIME_SET) {
		valid |= WEFT_SET_MTIME;
		weft_time_put(&req->mtime, attr->ia_mtime);
	} else if (attr->ia_valid & ATTR_MTIME) {
		valid |= WEFT_SET_MTIME_NOW;
	}
	return valid;
}

/* What was set is the server's word now, whatever is dirty here. */
static void weft_setattr_settle(struct inode *inode, u32 valid, const struct weft_attr *attr)
{
	struct weft_inode *wi = WEFT_I(inode);

	spin_lock(&wi->lock);
	if (valid & (WEFT_SET_ATIME | WEFT_SET_ATIME_NOW)) {
		clear_bit(WEFT_I_ATIME_DIRTY, &wi->flags);
		inode_set_atime_to_ts(inode, weft_time_get(&attr->atime));
	}
	if (valid & (WEFT_SET_MTIME | WEFT_SET_MTIME_NOW | WEFT_SET_SIZE))
		inode_set_mtime_to_ts(inode, weft_time_get(&attr->mtime));
	inode_set_ctime_to_ts(inode, weft_time_get(&attr->ctime));
	spin_unlock(&wi->lock);
}

static int weft_setattr_send(struct mnt_idmap *idmap, struct inode *inode,
			     const struct iattr *attr)
{
	struct weft_sb *wsb = weft_isb(inode);
	const struct weft_attr_rep *rep;
	struct weft_setattr_req *req;
	struct weft_rpc *rpc;
	u64 stamp = weft_stamp(wsb, inode->i_ino);
	u32 valid;
	int ret = 0;

	rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_SETATTR, current_cred(), inode->i_ino, NULL, NULL,
				GFP_KERNEL);
	if (IS_ERR(rpc))
		return PTR_ERR(rpc);
	req = rpc->body;
	valid = weft_setattr_fill(idmap, inode, attr, req);
	if (!valid)
		goto out_put;
	req->valid = cpu_to_le32(valid);
	if ((attr->ia_valid & ATTR_SIZE) && (attr->ia_valid & (ATTR_FILE | ATTR_OPEN)))
		req->ns.flags = cpu_to_le32(WEFT_NS_BY_HANDLE);
	ret = weft_modify(wsb, rpc);
	if (!ret) {
		rep = weft_rpc_reply(rpc);
		clear_bit(WEFT_I_RESIZING, &WEFT_I(inode)->flags);
		weft_attr_apply(inode, &rep->attr, le64_to_cpu(rep->prev_data), stamp);
		weft_setattr_settle(inode, valid, &rep->attr);
	}
out_put:
	weft_rpc_put(rpc);
	return ret == -ENOENT ? -ESTALE : ret;
}

/*
 * The server cuts at the smaller of the size that it knows and the new one: what was written behind
 * the former must be told before.
 */
static int weft_commit_behind(struct inode *inode, loff_t size)
{
	struct weft_inode *wi = WEFT_I(inode);

	if (!size || weft_is_inline(wi))
		return 0;
	/* Without the lease the server's size may be another by now. */
	if (size <= wi->server_size && weft_stamp(weft_isb(inode), inode->i_ino))
		return 0;
	return weft_flush_inode(inode);
}

/* Take the page cache to the new size; afterwards nothing behind it is in flight. */
static void weft_cut_pages(struct inode *inode, loff_t size)
{
	struct weft_inode *wi = WEFT_I(inode);
	loff_t old = i_size_read(inode);

	if (size > old) {
		weft_zero_tail(inode, old);
		return;
	}
	truncate_setsize(inode, size);
	spin_lock(&wi->lock);
	clear_bit(WEFT_I_SIZE_DIRTY, &wi->flags);
	wi->commit_size = min_t(u64, wi->commit_size, size);
	spin_unlock(&wi->lock);
}

/* Cut the page cache; from then on replies leave the size alone. No server is waited for. */
static int weft_cut_begin(struct inode *inode, loff_t size)
{
	int ret = weft_invalidate_lock(inode, size, LLONG_MAX);

	if (ret)
		return ret;
	set_bit(WEFT_I_RESIZING, &WEFT_I(inode)->flags);
	weft_cut_pages(inode, size);
	filemap_invalidate_unlock(inode->i_mapping);
	return 0;
}

static int weft_setattr_size(struct mnt_idmap *idmap, struct inode *inode, struct iattr *attr)
{
	struct weft_inode *wi = WEFT_I(inode);
	int ret;

	ret = weft_io_check(inode);
	if (!ret)
		ret = inode_newsize_ok(inode, attr->ia_size);
	if (!ret && weft_is_inline(wi) && attr->ia_size > le32_to_cpu(wi->layout.inline_max))
		ret = weft_spill(inode);
	if (ret)
		return ret;

	ret = weft_direct_wait(inode);
	if (!ret)
		ret = weft_commit_behind(inode, attr->ia_size);
	if (ret)
		return ret;
	ret = weft_cut_begin(inode, attr->ia_size);
	if (ret)
		return ret;
	/* A COMMIT with the larger old size must not arrive behind the cut. */
	ret = weft_commit_wait_inflight(inode);
	if (!ret)
		ret = weft_setattr_send(idmap, inode, attr);
	if (!ret && attr->ia_size != i_size_read(inode)) {
		filemap_invalidate_lock(inode->i_mapping);
		truncate_setsize(inode, attr->ia_size);
		filemap_invalidate_unlock(inode->i_mapping);
	}
	clear_bit(WEFT_I_RESIZING, &wi->flags);
	if (ret)
		WRITE_ONCE(wi->stamp, 0);
	return ret;
}

int weft_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int ret = 0;

	if (!weft_attr_valid(inode))
		ret = weft_attr_fetch(inode);
	if (!ret)
		ret = setattr_prepare(idmap, dentry, attr);
	if (ret)
		return ret;
	if (S_ISREG(inode->i_mode) && (attr->ia_valid & ATTR_SIZE))
		return weft_setattr_size(idmap, inode, attr);
	return weft_setattr_send(idmap, inode, attr);
}

/**
 * weft_set_size() - make a file larger without writing
 * @inode: the file, i_rwsem held
 * @size: new size
 */
int weft_set_size(struct inode *inode, loff_t size)
{
	struct iattr attr = { .ia_valid = ATTR_SIZE | ATTR_FILE, .ia_size = size };

	return weft_setattr_size(&nop_mnt_idmap, inode, &attr);
}

/**
 * weft_update_time() - a read or write changes times
 * @inode: the inode
 * @flags: S_ATIME, S_MTIME, S_CTIME
 *
 * Return: 0.
 */
int weft_update_time(struct inode *inode, int flags)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct timespec64 now, ctime;

	/* Servers stamp by the fine clock: by the coarse one a change could precede the last. */
	ktime_get_real_ts64(&now);
	spin_lock(&wi->lock);
	ctime = inode_get_ctime(inode);
	if (timespec64_compare(&now, &ctime) < 0)
		now = ctime;
	if (flags & S_ATIME) {
		inode_set_atime_to_ts(inode, now);
		set_bit(WEFT_I_ATIME_DIRTY, &wi->flags);
	}
	if (flags & S_MTIME)
		inode_set_mtime_to_ts(inode, now);
	if (flags & S_CTIME)
		inode_set_ctime_to_ts(inode, now);
	if (flags & (S_MTIME | S_CTIME))
		set_bit(WEFT_I_META_DIRTY, &wi->flags);
	spin_unlock(&wi->lock);
	__mark_inode_dirty(inode, flags & (S_MTIME | S_CTIME) ? I_DIRTY_SYNC : I_DIRTY_TIME);
	return 0;
}

/* --- access times */

static void weft_atime_put(struct weft_sb *wsb)
{
	atomic_dec(&wsb->atimes);
	wake_up_var(&wsb->atimes);
}

static void weft_atime_done(struct weft_rpc *rpc)
{
	struct weft_sb *wsb = rpc->priv;

	weft_atime_put(wsb);
	weft_async_put(wsb);
}

static void weft_atime_tell(struct inode *inode)
{
	struct weft_sb *wsb = weft_isb(inode);
	struct weft_setattr_req *req;
	struct weft_rpc *rpc;

	rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_SETATTR, NULL, inode->i_ino, NULL, NULL, GFP_NOFS);
	if (IS_ERR(rpc)) {
		weft_atime_put(wsb);
		return;
	}
	req = rpc->body;
	req->valid = cpu_to_le32(WEFT_SET_ATIME);
	req->ns.flags = cpu_to_le32(WEFT_NS_BY_HANDLE);
	weft_time_put(&req->atime, inode_get_atime(inode));
	rpc->done = weft_atime_done;
	rpc->priv = wsb;
	weft_async_get(wsb);
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
}

/**
 * weft_atime_send() - tell the server the access time, without waiting
 * @inode: the inode
 *
 * Nothing is repeated if it fails: the time is then that of the last access told.
 *
 * Return: 0; -EAGAIN if too many are on their way.
 */
int weft_atime_send(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);

	if (!inode->i_nlink || !test_bit(WEFT_I_ATIME_DIRTY, &wi->flags))
		return 0;
	if (atomic_inc_return(&wsb->atimes) > WEFT_ATIMES_MAX) {
		weft_atime_put(wsb);
		return -EAGAIN;
	}
	if (test_and_clear_bit(WEFT_I_ATIME_DIRTY, &wi->flags))
		weft_atime_tell(inode);
	else
		weft_atime_put(wsb);
	return 0;
}

static bool weft_atime_wanted(struct inode *inode)
{
	return test_bit(WEFT_I_ATIME_DIRTY, &WEFT_I(inode)->flags);
}

static int weft_atime_send_wait(struct inode *inode)
{
	struct weft_sb *wsb = weft_isb(inode);

	while (weft_atime_send(inode))
		if (wait_var_event_killable(&wsb->atimes,
					    atomic_read(&wsb->atimes) < WEFT_ATIMES_MAX))
			return -EINTR;
	return 0;
}

/**
 * weft_atime_sync() - have the servers know all access times
 * @wsb: the mount
 *
 * Return: 0, or -EINTR if the caller was killed.
 */
int weft_atime_sync(struct weft_sb *wsb)
{
	int ret = weft_each_inode(wsb, 0, weft_atime_wanted, weft_atime_send_wait);

	if (!ret && wait_var_event_killable(&wsb->atimes, !atomic_read(&wsb->atimes)))
		ret = -EINTR;
	return ret;
}
