// SPDX-License-Identifier: GPL-2.0
/*
 * COMMIT: telling the metadata server what was written to data servers.
 *
 * Data servers acknowledge only what is durable. When no write of a file is in flight any more,
 * and at each round of the kernel's writeback, one COMMIT per inode tells size, mtime and the
 * change of allocated bytes. The size that it tells is the end of what is durable, never that of
 * pages still dirty. It is sent without waiting; fsync waits for it.
 *
 * If it fails everything it told counts as untold again and the error goes to fsync and close; the
 * kernel's writeback tries again.
 *
 * Protection: wi->lock for what is told; WEFT_I_COMMITTING is set under it and keeps a second one
 * away, truncation back, and (weft_busy()) the inode in memory.
 */
#include "internal.h"

/* struct weft_commit - what a COMMIT in flight has taken from the inode */
struct weft_commit {
	struct inode *inode;
	s64 delta;
	u64 stamp;
};

/**
 * weft_commit_claim() - take the right to send a COMMIT
 * @inode: the file, wi->lock held
 *
 * Return: true if there is something to tell; then call weft_commit_send() without the lock.
 */
bool weft_commit_claim(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	lockdep_assert_held(&wi->lock);
	if (!test_bit(WEFT_I_META_DIRTY, &wi->flags) ||
	    test_bit(WEFT_I_COMMITTING, &wi->flags) || test_bit(WEFT_I_SPILLED, &wi->flags))
		return false;
	set_bit(WEFT_I_COMMITTING, &wi->flags);
	weft_busy(inode);
	return true;
}

static void weft_commit_end(struct inode *inode, s64 delta, int error)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	bool again, idle, untold;

	if (error && inode->i_nlink)
		weft_writeback_error(inode, error);
	spin_lock(&wi->lock);
	wi->commit_error = error;
	if (error == -ESTALE) {
		/* Another client has removed it: nothing is left to tell, now or later. */
		clear_bit(WEFT_I_META_DIRTY, &wi->flags);
	} else if (error) {
		wi->bytes_delta += delta;
		set_bit(WEFT_I_META_DIRTY, &wi->flags);
	}
	untold = test_bit(WEFT_I_META_DIRTY, &wi->flags);
	/* Writes that ended meanwhile were kept from sending their own. */
	again = untold && !error && !wi->inflight && !test_bit(WEFT_I_SPILLED, &wi->flags) &&
		!mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY);
	if (!again)
		clear_bit_unlock(WEFT_I_COMMITTING, &wi->flags);
	idle = weft_idle(inode);
	spin_unlock(&wi->lock);
	if (again) {
		weft_commit_send(inode);
		weft_async_put(wsb);
		return;
	}
	/* Without a pin the inode may be gone. */
	smp_mb();
	wake_up_bit(&wi->flags, WEFT_I_COMMITTING);
	if (idle)
		weft_now_idle(inode, untold);
	weft_async_put(wsb);
}

static void weft_commit_done(struct weft_rpc *rpc)
{
	struct weft_commit *c = rpc->priv;
	const struct weft_attr_rep *rep;

	if (!rpc->error) {
		rep = weft_rpc_reply(rpc);
		weft_attr_apply(c->inode, &rep->attr, le64_to_cpu(rep->prev_data), c->stamp);
	}
	weft_commit_end(c->inode, c->delta, rpc->error);
	kfree(c);
}

static void weft_commit_fill(struct inode *inode, struct weft_write_req *req, s64 delta)
{
	req->size = cpu_to_le64(min_t(u64, WEFT_I(inode)->commit_size, i_size_read(inode)));
	req->bytes_delta = cpu_to_le64(delta);
	req->flags = cpu_to_le32(WEFT_WRITE_MTIME);
	weft_time_put(&req->mtime, inode_get_mtime(inode));
}

/* An inline file has no COMMIT: WRITE_INLINE tells everything, except times without new data. */
static void weft_mtime_fill(struct inode *inode, struct weft_setattr_req *req)
{
	req->valid = cpu_to_le32(WEFT_SET_MTIME);
	weft_time_put(&req->mtime, inode_get_mtime(inode));
}

/* weft_commit_send() - send the COMMIT that weft_commit_claim() allowed */
void weft_commit_send(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	struct weft_commit *c = kmalloc(sizeof(*c), GFP_NOFS | __GFP_NOFAIL);
	bool chunks = !weft_is_inline(wi);
	struct weft_rpc *rpc;

	weft_async_get(wsb);
	rpc = weft_rpc_alloc_ns(wsb->fs, chunks ? WEFT_OP_COMMIT : WEFT_OP_SETATTR, NULL,
				inode->i_ino, NULL, NULL, GFP_NOFS);
	if (IS_ERR(rpc)) {
		kfree(c);
		weft_commit_end(inode, 0, PTR_ERR(rpc));
		return;
	}
	c->inode = inode;
	c->stamp = weft_stamp(wsb, inode->i_ino);
	spin_lock(&wi->lock);
	clear_bit(WEFT_I_META_DIRTY, &wi->flags);
	c->delta = chunks ? wi->bytes_delta : 0;
	wi->bytes_delta -= c->delta;
	if (chunks)
		weft_commit_fill(inode, rpc->body, c->delta);
	else
		weft_mtime_fill(inode, rpc->body);
	spin_unlock(&wi->lock);
	rpc->done = weft_commit_done;
	rpc->priv = c;
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
}

/* weft_commit_start() - send a COMMIT if there is something to tell and none is in flight */
void weft_commit_start(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	bool send;

	spin_lock(&wi->lock);
	send = weft_commit_claim(inode);
	spin_unlock(&wi->lock);
	if (send)
		weft_commit_send(inode);
}

/* weft_commit_wait_inflight() - wait, killable, until no COMMIT is in flight */
int weft_commit_wait_inflight(struct inode *inode)
{
	return wait_on_bit(&WEFT_I(inode)->flags, WEFT_I_COMMITTING, TASK_KILLABLE) ? -EINTR : 0;
}

/**
 * weft_commit_wait() - make sure that the metadata server knows size and times
 * @inode: the file; data that is to be told about is durable already
 *
 * Return: 0, -EINTR, or why the last COMMIT failed.
 */
int weft_commit_wait(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	for (;;) {
		if (weft_commit_wait_inflight(inode))
			return -EINTR;
		if (!test_bit(WEFT_I_META_DIRTY, &wi->flags))
			return 0;
		if (!test_bit(WEFT_I_SPILLED, &wi->flags))
			break;
		/* A writer moves the file to chunks: nothing can be told before the end of that. */
		if (down_read_killable(&inode->i_rwsem))
			return -EINTR;
		up_read(&inode->i_rwsem);
	}
	/* If another sends one at this moment, that has everything as well: one round is enough. */
	weft_commit_start(inode);
	if (weft_commit_wait_inflight(inode))
		return -EINTR;
	return test_bit(WEFT_I_META_DIRTY, &wi->flags) ? wi->commit_error : 0;
}
