// SPDX-License-Identifier: GPL-2.0
/*
 * Inodes: their cache, and attributes that come and are asked for.
 *
 * Every reply that carries attributes goes through weft_attr_apply(). Replies may overtake each
 * other: one with an older change counter than what is known is ignored, so that attributes never
 * go backwards. What this client has changed and not yet told the server (size, times) stays as it
 * is here. Content that others changed (another data_version than the one our own operation
 * started from) marks the page cache stale; it is dropped at the next use, see file.c.
 *
 * Attributes with the present stamp are used without asking; others are fetched by GETATTR where
 * they matter (stat, access, chdir), while open and lookup get them with their own replies.
 *
 * An inode stays in memory while writes or a COMMIT of it are in flight: they hold a reference, so
 * that eviction, which memory reclaim may have begun in any process, has no server to wait for.
 * What is dirty is known to the VFS (I_DIRTY) or in flight, at any time. Only eviction that did not
 * come from reclaim may meet requests: of a file without names that is closed, and of unmount.
 *
 * Protection: wi->lock.
 */
#include <linux/sched/task_stack.h>
#include "internal.h"

/* A path walk and what it is for are no further apart. */
#define WEFT_FRESH_MAX HZ

static struct kmem_cache *weft_inode_cache;
static struct workqueue_struct *weft_inode_wq;

static void weft_unpin_work(struct work_struct *work);

static void weft_inode_once(void *obj)
{
	struct weft_inode *wi = obj;

	spin_lock_init(&wi->lock);
	INIT_LIST_HEAD(&wi->open_link);
	inode_init_once(&wi->vfs);
}

int weft_inode_cache_init(void)
{
	weft_inode_cache = kmem_cache_create("weft_inode", sizeof(struct weft_inode), 0,
					     SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, weft_inode_once);
	if (!weft_inode_cache)
		return -ENOMEM;
	weft_inode_wq = alloc_workqueue("weft_inode", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!weft_inode_wq) {
		kmem_cache_destroy(weft_inode_cache);
		return -ENOMEM;
	}
	return 0;
}

void weft_inode_cache_exit(void)
{
	destroy_workqueue(weft_inode_wq);
	rcu_barrier();
	kmem_cache_destroy(weft_inode_cache);
}

struct inode *weft_alloc_inode(struct super_block *sb)
{
	struct weft_inode *wi = alloc_inode_sb(sb, weft_inode_cache, GFP_KERNEL);

	if (!wi)
		return NULL;
	wi->change = 0;
	wi->data_version = 0;
	wi->stamp = 0;
	wi->fresh_for = NULL;
	wi->parent = 0;
	wi->complete = 0;
	wi->prunes = 0;
	wi->bytes_used = 0;
	wi->btime = (struct timespec64){};
	memset(&wi->layout, 0, sizeof(wi->layout));
	wi->server_size = 0;
	wi->commit_size = 0;
	wi->bytes_delta = 0;
	wi->inflight = 0;
	wi->pinned = false;
	wi->commit_error = 0;
	INIT_WORK(&wi->unpin, weft_unpin_work);
	wi->ranges = 0;
	wi->flags = 0;
	wi->open_count = 0;
	wi->registered = false;
	wi->open_id = 0;
	wi->outgrown = 0;
	return &wi->vfs;
}

void weft_free_inode(struct inode *inode)
{
	/* i_link shares its place with i_dir_seq and i_pipe. */
	if (S_ISLNK(inode->i_mode))
		kfree(inode->i_link);
	kmem_cache_free(weft_inode_cache, WEFT_I(inode));
}

/**
 * weft_inode_pin() - keep an inode in memory
 * @inode: the inode; it may have no reference, but cannot be freed at this moment
 *
 * Return: true if weft_inode_unpin() has to follow; false if it is being evicted or unmounted:
 * eviction waits then.
 */
bool weft_inode_pin(struct inode *inode)
{
	struct weft_sb *wsb = weft_isb(inode);

	weft_async_get(wsb);
	smp_mb__after_atomic(); /* either we see unmount, or it sees and awaits us */
	if (!READ_ONCE(wsb->dying) && igrab(inode))
		return true;
	weft_async_put(wsb);
	return false;
}

static void weft_unpin_work(struct work_struct *work)
{
	struct weft_inode *wi = container_of(work, struct weft_inode, unpin);
	struct weft_sb *wsb = weft_isb(&wi->vfs);

	iput(&wi->vfs);
	weft_async_put(wsb);
}

/**
 * weft_inode_unpin() - take a weft_inode_pin() back; does not wait
 * @inode: the inode, perhaps gone when this returns
 */
void weft_inode_unpin(struct inode *inode)
{
	struct weft_sb *wsb = weft_isb(inode);

	/* The last one may evict it. The work keeps the reference until then, so there is one. */
	if (atomic_add_unless(&inode->i_count, -1, 1))
		weft_async_put(wsb);
	else
		queue_work(weft_inode_wq, &WEFT_I(inode)->unpin);
}

/* weft_busy() - a write or a COMMIT of the inode begins; wi->lock is held */
void weft_busy(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	lockdep_assert_held(&wi->lock);
	if (!wi->pinned)
		wi->pinned = weft_inode_pin(inode);
}

/**
 * weft_idle() - a write or a COMMIT of the inode has ended
 * @inode: the inode, wi->lock held; without the pin it may go away when that is released
 *
 * Return: true if nothing is in flight any more and the pin is the caller's to drop.
 */
bool weft_idle(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	lockdep_assert_held(&wi->lock);
	if (!wi->pinned || wi->inflight || test_bit(WEFT_I_COMMITTING, &wi->flags))
		return false;
	wi->pinned = false;
	return true;
}

void weft_evict_inode(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	u64 open_id;

	truncate_inode_pages_final(&inode->i_data);
	inode_dio_wait(inode); /* of callers that were killed */
	wait_var_event(&wi->inflight, !READ_ONCE(wi->inflight));
	/* The last chance: the COMMIT that should have told it may have failed. */
	if (S_ISREG(inode->i_mode) && inode->i_nlink)
		weft_commit_start(inode);
	wait_on_bit(&wi->flags, WEFT_I_COMMITTING, TASK_UNINTERRUPTIBLE);
	clear_inode(inode);
	open_id = weft_close_take(inode);
	if (open_id)
		weft_close_queue(weft_isb(inode), inode->i_ino, open_id);
}

static void weft_apply_size(struct inode *inode, u64 size)
{
	struct weft_inode *wi = WEFT_I(inode);

	wi->server_size = size;
	if (test_bit(WEFT_I_RESIZING, &wi->flags))
		return;
	if (!S_ISREG(inode->i_mode) || !test_bit(WEFT_I_SIZE_DIRTY, &wi->flags)) {
		i_size_write(inode, size);
	} else if (size >= i_size_read(inode)) {
		i_size_write(inode, size);
		clear_bit(WEFT_I_SIZE_DIRTY, &wi->flags);
	}
}

static void weft_apply_times(struct inode *inode, const struct weft_attr *attr)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct timespec64 ctime = weft_time_get(&attr->ctime), now;

	if (!test_bit(WEFT_I_ATIME_DIRTY, &wi->flags))
		inode_set_atime_to_ts(inode, weft_time_get(&attr->atime));
	wi->btime = weft_time_get(&attr->btime);
	if (!test_bit(WEFT_I_META_DIRTY, &wi->flags)) {
		inode_set_mtime_to_ts(inode, weft_time_get(&attr->mtime));
		inode_set_ctime_to_ts(inode, ctime);
	} else {
		now = inode_get_ctime(inode);
		if (timespec64_compare(&ctime, &now) > 0)
			inode_set_ctime_to_ts(inode, ctime);
	}
}

/* Content and layout. @own: the change of content is this client's. */
static void weft_apply_data(struct inode *inode, const struct weft_attr *attr, bool own)
{
	struct weft_inode *wi = WEFT_I(inode);
	u64 version = le64_to_cpu(attr->data_version);

	if (version != wi->data_version) {
		if (!own && wi->data_version)
			set_bit(WEFT_I_DATA_STALE, &wi->flags);
		wi->data_version = version;
	}
	wi->layout = attr->layout;
	if (!(attr->layout.flags & WEFT_LAYOUT_INLINE))
		clear_bit(WEFT_I_SPILLED, &wi->flags);
	wi->bytes_used = le64_to_cpu(attr->bytes_used);
	inode->i_blocks = DIV_ROUND_UP_ULL(wi->bytes_used, 512);
}

/**
 * weft_attr_apply() - take over attributes from a reply
 * @inode: the inode
 * @attr: its attributes
 * @prev_data: content counter before the operation; attr->data_version if it changed nothing
 * @stamp: weft_stamp() before the request was sent
 */
void weft_attr_apply(struct inode *inode, const struct weft_attr *attr, u64 prev_data, u64 stamp)
{
	struct weft_inode *wi = WEFT_I(inode);
	u64 change = le64_to_cpu(attr->change);
	u32 mode = le32_to_cpu(attr->mode);
	bool own;

	spin_lock(&wi->lock);
	if (!change || change < wi->change || (mode & S_IFMT) != (inode->i_mode & S_IFMT)) {
		/* Only the number and the type came (it lives elsewhere), or it is old. */
		if (!change)
			wi->stamp = 0;
		spin_unlock(&wi->lock);
		return;
	}
	if (change != wi->change && !stamp) {
		clear_bit(WEFT_I_NO_CAPS, &wi->flags);
		inode->i_flags &= ~S_NOSEC;
	}
	wi->change = change;
	wi->stamp = stamp;
	inode->i_mode = mode;
	i_uid_write(inode, le32_to_cpu(attr->uid));
	i_gid_write(inode, le32_to_cpu(attr->gid));
	set_nlink(inode, le32_to_cpu(attr->nlink));
	wi->parent = le64_to_cpu(attr->parent);
	/* Under a lease that is held still, nobody else has changed content. */
	own = stamp && stamp == weft_stamp(weft_isb(inode), inode->i_ino);
	weft_apply_data(inode, attr, own || prev_data == wi->data_version);
	weft_apply_size(inode, le64_to_cpu(attr->size));
	weft_apply_times(inode, attr);
	spin_unlock(&wi->lock);
}

/* A new inode in the cache gets its type and operations. */
static void weft_inode_setup(struct inode *inode, const struct weft_attr *attr)
{
	u32 mode = le32_to_cpu(attr->mode);

	inode->i_mode = mode;
	switch (mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &weft_file_iops;
		inode->i_fop = &weft_file_fops;
		inode->i_mapping->a_ops = &weft_aops;
		mapping_set_large_folios(inode->i_mapping);
		break;
	case S_IFDIR:
		inode->i_op = &weft_dir_iops;
		inode->i_fop = &weft_dir_fops;
		break;
	case S_IFLNK:
		inode->i_op = &weft_symlink_iops;
		inode_nohighmem(inode);
		break;
	default:
		inode->i_op = &weft_special_iops;
		init_special_inode(inode, mode, MKDEV(le32_to_cpu(attr->rdev_major),
						      le32_to_cpu(attr->rdev_minor)));
	}
}

static bool weft_type_known(u32 type)
{
	return S_ISREG(type) || S_ISDIR(type) || S_ISLNK(type) || S_ISCHR(type) ||
	       S_ISBLK(type) || S_ISFIFO(type) || S_ISSOCK(type);
}

/**
 * weft_iget() - the inode that attributes belong to
 * @sb: super block
 * @attr: from a reply
 * @stamp: weft_stamp() before the request was sent
 *
 * Return: the inode with a reference; -EIO if the server says nonsense; -ENOMEM.
 */
struct inode *weft_iget(struct super_block *sb, const struct weft_attr *attr, u64 stamp)
{
	u64 ino = le64_to_cpu(attr->ino);
	u32 type = le32_to_cpu(attr->mode) & S_IFMT;
	struct inode *inode;

	if (!ino || ino != (unsigned long)ino || !weft_type_known(type))
		goto out_nonsense;
	inode = iget_locked(sb, ino);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (inode_state_read_once(inode) & I_NEW) {
		weft_inode_setup(inode, attr);
		weft_attr_apply(inode, attr, le64_to_cpu(attr->data_version), stamp);
		unlock_new_inode(inode);
		return inode;
	}
	if (type != (inode->i_mode & S_IFMT)) {
		iput(inode);
		goto out_nonsense;
	}
	weft_attr_apply(inode, attr, le64_to_cpu(attr->data_version), stamp);
	return inode;

out_nonsense:
	pr_warn_ratelimited("weft: server sent inode %llu of type %o, which cannot be\n", ino, type);
	return ERR_PTR(-EIO);
}

/* GETATTR of @ino. Return: the request to put, its reply is complete; or ERR_PTR. */
static struct weft_rpc *weft_getattr_call(struct weft_sb *wsb, u64 ino)
{
	struct weft_rpc *rpc;
	int ret;

	rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_GETATTR, current_cred(), ino, NULL, NULL,
				GFP_KERNEL);
	if (IS_ERR(rpc))
		return rpc;
	ret = weft_rpc_call(rpc);
	if (!ret)
		return rpc;
	weft_rpc_put(rpc);
	return ERR_PTR(ret);
}

/**
 * weft_iget_ino() - the inode of this number
 * @sb: super block
 * @ino: inode number; any number, it may come from a file handle
 *
 * Return: the inode with a reference, -ESTALE if there is none, or another error.
 */
struct inode *weft_iget_ino(struct super_block *sb, u64 ino)
{
	struct weft_sb *wsb = WEFT_SB(sb);
	const struct weft_attr_rep *rep;
	struct inode *inode;
	struct weft_rpc *rpc;
	u64 stamp;

	if (!ino || ino != (unsigned long)ino)
		return ERR_PTR(-ESTALE);
	inode = ilookup(sb, ino);
	if (inode && weft_attr_valid(inode))
		return inode;
	iput(inode);
	stamp = weft_stamp(wsb, ino);
	rpc = weft_getattr_call(wsb, ino);
	if (IS_ERR(rpc))
		return rpc == ERR_PTR(-ENOENT) ? ERR_PTR(-ESTALE) : ERR_CAST(rpc);
	rep = weft_rpc_reply(rpc);
	if (le64_to_cpu(rep->attr.ino) == ino)
		inode = weft_iget(sb, &rep->attr, stamp);
	else
		inode = ERR_PTR(-EIO);
	weft_rpc_put(rpc);
	return inode;
}

/**
 * weft_iget_entry() - the inode that a directory's entry names
 * @sb: super block
 * @attr: from the reply about the entry
 * @flags: WEFT_ENTRY_*: with REMOTE the inode's own group is asked
 * @stamp: of the directory's group
 *
 * Return: the inode with a reference, or an error.
 */
struct inode *weft_iget_entry(struct super_block *sb, const struct weft_attr *attr, u32 flags,
			      u64 stamp)
{
	u64 ino = le64_to_cpu(attr->ino);

	if (flags & WEFT_ENTRY_REMOTE)
		return weft_iget_ino(sb, ino);
	return weft_iget(sb, attr, stamp);
}

/* weft_attr_valid() - may the attributes be used without asking? */
bool weft_attr_valid(const struct inode *inode)
{
	u64 stamp = weft_stamp(weft_isb(inode), inode->i_ino);

	return stamp && READ_ONCE(WEFT_I(inode)->stamp) == stamp;
}

/**
 * weft_attr_fresh() - the present process has just asked for a name, which brought the attributes
 * @inode: what the name stands for
 *
 * Without the lease stat(2) and access(2) would ask once more for what their path walk has
 * brought. They take the mark instead, which is good for the system call that made it: a later one
 * that takes one walks again, and so makes its own, or passes d_weak_revalidate(), which removes
 * it. Kernel threads (an NFS server) use handles of earlier walks, and get no mark. A file system
 * stacked on this one may take a mark of at most WEFT_FRESH_MAX ago.
 */
void weft_attr_fresh(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	if (current->flags & PF_KTHREAD)
		return;
	WRITE_ONCE(wi->fresh_at, jiffies);
	smp_store_release(&wi->fresh_for, current);
}

/* weft_attr_take_fresh() - take the mark. Return: true if it was the present process's. */
bool weft_attr_take_fresh(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	return READ_ONCE(wi->fresh_for) == current &&
	       cmpxchg(&wi->fresh_for, current, NULL) == current &&
	       time_before(jiffies, READ_ONCE(wi->fresh_at) + WEFT_FRESH_MAX);
}

/**
 * weft_attr_fetch() - ask for the attributes
 * @inode: the inode
 *
 * Of a directory that this mount has removed nothing changes any more, and no server knows it.
 *
 * Return: 0; -ESTALE if it is gone; another error.
 */
int weft_attr_fetch(struct inode *inode)
{
	struct weft_sb *wsb = weft_isb(inode);
	const struct weft_attr_rep *rep;
	struct weft_rpc *rpc;
	u64 stamp = weft_stamp(wsb, inode->i_ino);

	if (IS_DEADDIR(inode))
		return 0;
	rpc = weft_getattr_call(wsb, inode->i_ino);
	if (IS_ERR(rpc))
		return rpc == ERR_PTR(-ENOENT) ? -ESTALE : PTR_ERR(rpc);
	rep = weft_rpc_reply(rpc);
	weft_attr_apply(inode, &rep->attr, le64_to_cpu(rep->attr.data_version), stamp);
	weft_rpc_put(rpc);
	return 0;
}

/*
 * Without a lease walking through a directory and opening use what is known: the server checks as
 * well. A refusal is only believed after asking.
 */
int weft_permission(struct mnt_idmap *idmap, struct inode *inode, int mask)
{
	bool valid = weft_attr_valid(inode);
	int ret;

	if (!valid && (mask & MAY_NOT_BLOCK))
		return -ECHILD;
	if (!valid && (mask & MAY_ACCESS))
		valid = weft_attr_take_fresh(inode);
	if (!valid && ((mask & (MAY_ACCESS | MAY_CHDIR)) || !WEFT_I(inode)->change ||
		       weft_stamp(weft_isb(inode), inode->i_ino))) {
		ret = weft_attr_fetch(inode);
		if (ret)
			return ret;
		valid = true;
	}
	ret = generic_permission(idmap, inode, mask);
	if (ret == -EACCES && !valid) {
		ret = weft_attr_fetch(inode);
		if (!ret)
			ret = generic_permission(idmap, inode, mask);
	}
	return ret;
}

int weft_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat, u32 mask,
		 unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct weft_inode *wi = WEFT_I(inode);
	int ret;

	if ((flags & AT_STATX_DONT_SYNC) && wi->change)
		goto out_fill;
	/* Of an open file (fstat) the path is not the caller's own, which it has walked. */
	if (!weft_attr_valid(inode) &&
	    !(object_is_on_stack(path) && weft_attr_take_fresh(inode))) {
		ret = weft_attr_fetch(inode);
		if (ret)
			return ret;
	}
out_fill:
	generic_fillattr(idmap, mask, inode, stat);
	stat->btime = wi->btime;
	stat->result_mask |= STATX_BTIME;
	return 0;
}

const struct inode_operations weft_special_iops = {
	.permission = weft_permission,
	.getattr = weft_getattr,
	.setattr = weft_setattr,
	.listxattr = weft_listxattr,
	.update_time = WEFT_OP_UPDATE_TIME(weft_update_time),
};

const struct inode_operations weft_file_iops = {
	.permission = weft_permission,
	.getattr = weft_getattr,
	.setattr = weft_setattr,
	.listxattr = weft_listxattr,
	.update_time = WEFT_OP_UPDATE_TIME(weft_update_time),
};
