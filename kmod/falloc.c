// SPDX-License-Identifier: GPL-2.0
/*
 * fallocate: reserving space, punching holes, zeroing ranges.
 *
 * Files in chunks: dirty pages of the range are written, its page cache is dropped, and the data
 * servers are told, one request for each chunk, many of them at the same time. Inline files: a hole
 * is zeros written through the page cache; space needs no reserving while the file stays inline,
 * and it moves to chunks if it does not. A failure in the middle leaves some chunks done.
 *
 * Who waits for the requests can be killed. They go on then, and what comes next on this file waits
 * for them (weft_ranges_wait(), weft_direct_wait()), so that none undoes a later write.
 *
 * Protection: i_rwsem; invalidate_lock keeps faults away while data is dropped. Requests in flight
 * count as one write in flight, which keeps the inode in memory.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/mm.h>
#include "internal.h"

/* Requests of one call in flight at most. */
#define WEFT_RANGE_FLYING 32

/**
 * struct weft_range - OBJ_ZERO over a range of bytes
 * @ref: requests in flight and the caller
 * @flying: requests in flight
 * @inode: the file, kept in memory by wi->inflight
 * @left: its caller was killed; counted in wi->ranges
 * @error: first error
 * @delta: change of allocated bytes
 */
struct weft_range {
	refcount_t ref;
	atomic_t flying;
	struct inode *inode;
	bool left;
	int error;
	atomic64_t delta;
};

static struct weft_range *weft_range_get(struct inode *inode)
{
	struct weft_range *range = kzalloc(sizeof(*range), GFP_KERNEL);

	if (!range)
		return NULL;
	refcount_set(&range->ref, 1);
	range->inode = inode;
	inode_dio_begin(inode);
	weft_write_started(inode);
	return range;
}

static void weft_range_put(struct weft_range *range)
{
	struct inode *inode = range->inode;
	struct weft_inode *wi = WEFT_I(inode);

	if (!refcount_dec_and_test(&range->ref))
		return;
	spin_lock(&wi->lock);
	wi->ranges -= range->left;
	spin_unlock(&wi->lock);
	wake_up_var(&wi->ranges);
	inode_dio_end(inode);
	wake_up_var(&inode->i_dio_count);
	weft_write_ended(inode, 0, atomic64_read(&range->delta), 0, true);
	kfree(range);
}

static void weft_range_done(struct weft_rpc *rpc)
{
	struct weft_range *range = rpc->priv;
	const struct weft_obj_rep *rep;

	if (rpc->error) {
		cmpxchg(&range->error, 0, rpc->error);
	} else {
		rep = weft_rpc_reply(rpc);
		atomic64_add((s64)le64_to_cpu(rep->bytes_delta), &range->delta);
	}
	atomic_dec(&range->flying);
	wake_up_var(&range->flying);
	weft_range_put(range);
}

/* One request: @len bytes at @pos, within one chunk. */
static int weft_range_send(struct weft_range *range, const struct weft_layout *layout, u32 flags,
			   loff_t pos, u32 len)
{
	struct weft_sb *wsb = weft_isb(range->inode);
	u32 group = weft_fs_chunk_group(wsb->fs, layout, pos >> layout->chunk_shift);
	struct weft_obj_req *req;
	struct weft_rpc *rpc;

	if (!group)
		return -EIO;
	rpc = weft_rpc_alloc(wsb->fs, WEFT_OP_OBJ_ZERO, 0, GFP_KERNEL);
	if (!rpc)
		return -ENOMEM;
	weft_rpc_to_group(rpc, group);
	req = rpc->body;
	req->ino = cpu_to_le64(range->inode->i_ino);
	req->chunk = cpu_to_le64(pos >> layout->chunk_shift);
	req->off = cpu_to_le32(pos & ((1u << layout->chunk_shift) - 1));
	req->len = cpu_to_le32(len);
	req->flags = cpu_to_le32(flags);
	req->chunk_shift = layout->chunk_shift;
	rpc->done = weft_range_done;
	rpc->priv = range;
	refcount_inc(&range->ref);
	atomic_inc(&range->flying);
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
	return 0;
}

/* Wait, killable, until fewer than @most requests are in flight. */
static int weft_range_wait(struct weft_range *range, int most)
{
	return wait_var_event_killable(&range->flying, atomic_read(&range->flying) < most) ?
		       -EINTR : 0;
}

/* The caller was killed, and lets go of the locks. */
static void weft_range_leave(struct weft_range *range)
{
	struct weft_inode *wi = WEFT_I(range->inode);

	range->left = true;
	spin_lock(&wi->lock);
	wi->ranges++;
	spin_unlock(&wi->lock);
}

/* PUNCH or ALLOC the bytes of a file in chunks. Return: 0 or a negative errno. */
static int weft_chunk_range(struct inode *inode, u32 flags, loff_t pos, loff_t len)
{
	struct weft_layout layout = WEFT_I(inode)->layout;
	struct weft_range *range;
	u32 n, chunk;
	int ret = 0, err;

	if (layout.chunk_shift < WEFT_CHUNK_SHIFT_MIN || layout.chunk_shift > WEFT_CHUNK_SHIFT_MAX)
		return -EIO;
	range = weft_range_get(inode);
	if (!range)
		return -ENOMEM;
	chunk = 1u << layout.chunk_shift;
	for (; !ret && len && !READ_ONCE(range->error); pos += n, len -= n) {
		n = min_t(u64, len, chunk - (pos & (chunk - 1)));
		ret = weft_range_wait(range, WEFT_RANGE_FLYING);
		if (!ret)
			ret = weft_range_send(range, &layout, flags, pos, n);
	}
	err = weft_range_wait(range, 1);
	if (err)
		weft_range_leave(range);
	ret = ret ?: err ?: READ_ONCE(range->error);
	weft_range_put(range);
	return ret;
}

/**
 * weft_ranges_wait() - wait, killable, for what a killed fallocate has left in flight
 * @inode: the file
 *
 * Return: 0 or -EINTR.
 */
int weft_ranges_wait(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	if (likely(!READ_ONCE(wi->ranges)))
		return 0;
	return wait_var_event_killable(&wi->ranges, !READ_ONCE(wi->ranges)) ? -EINTR : 0;
}

/* Zeros over [pos, end) of an inline file, as far as it reaches. */
static int weft_inline_zero(struct inode *inode, loff_t pos, loff_t end)
{
	struct folio *folio;
	loff_t next;

	for (end = min(end, i_size_read(inode)); pos < end; pos = next) {
		folio = read_mapping_folio(inode->i_mapping, pos >> PAGE_SHIFT, NULL);
		if (IS_ERR(folio))
			return PTR_ERR(folio);
		folio_lock(folio);
		next = min_t(loff_t, end, folio_pos(folio) + folio_size(folio));
		if (folio->mapping != inode->i_mapping) {
			next = pos; /* taken out meanwhile: again */
		} else {
			folio_zero_segment(folio, offset_in_folio(folio, pos),
					   offset_in_folio(folio, next - 1) + 1);
			folio_mark_dirty(folio);
		}
		folio_unlock(folio);
		folio_put(folio);
	}
	return 0;
}

static int weft_chunks_zero(struct inode *inode, int mode, loff_t pos, loff_t len)
{
	struct address_space *mapping = inode->i_mapping;
	int ret;

	ret = weft_write_range(inode, pos, pos + len - 1);
	if (ret)
		return ret;
	ret = weft_invalidate_lock(inode, pos, pos + len - 1);
	if (ret)
		return ret;
	/* Whole pages and the parts at both ends: all of it is on the servers. */
	unmap_mapping_range(mapping, round_down(pos, PAGE_SIZE),
			    round_up(pos + len, PAGE_SIZE) - round_down(pos, PAGE_SIZE), 0);
	ret = weft_write_range(inode, pos, pos + len - 1);
	if (!ret)
		ret = invalidate_inode_pages2_range(mapping, pos >> PAGE_SHIFT,
						    (pos + len - 1) >> PAGE_SHIFT);
	if (!ret)
		ret = weft_chunk_range(inode, WEFT_OBJ_PUNCH, pos, len);
	filemap_invalidate_unlock(mapping);
	if (!ret && (mode & FALLOC_FL_ZERO_RANGE))
		ret = weft_chunk_range(inode, WEFT_OBJ_ALLOC, pos, len);
	return ret;
}

/*
 * The file grows first: that cuts what lies behind its old end, also space that was reserved there.
 * It shrinks again if there is no space.
 */
static int weft_chunks_fallocate(struct inode *inode, int mode, loff_t pos, loff_t len, bool grows)
{
	loff_t old = i_size_read(inode);
	int ret = 0;

	if (grows)
		ret = weft_set_size(inode, pos + len);
	if (ret)
		return ret;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		ret = weft_chunks_zero(inode, mode, pos, len);
	else
		ret = weft_chunk_range(inode, WEFT_OBJ_ALLOC, pos, len);
	if (ret && grows && weft_set_size(inode, old))
		pr_warn_ratelimited("weft: inode %#lx keeps the size of a failed fallocate\n",
				    inode->i_ino);
	return ret;
}

static int weft_do_fallocate(struct file *file, int mode, loff_t pos, loff_t len)
{
	struct inode *inode = file_inode(file);
	struct weft_inode *wi = WEFT_I(inode);
	bool grows = !(mode & FALLOC_FL_KEEP_SIZE) && pos + len > i_size_read(inode);
	bool zero = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	int ret;

	if (grows) {
		ret = inode_newsize_ok(inode, pos + len);
		if (ret)
			return ret;
	}
	ret = file_modified(file);
	if (!ret && weft_is_inline(wi) && !(mode & FALLOC_FL_PUNCH_HOLE) &&
	    pos + len > le32_to_cpu(wi->layout.inline_max))
		ret = weft_spill(inode);
	if (!ret)
		ret = weft_direct_wait(inode);
	if (ret)
		return ret;
	if (!weft_is_inline(wi))
		return weft_chunks_fallocate(inode, mode, pos, len, grows);
	if (zero)
		ret = weft_inline_zero(inode, pos, pos + len);
	if (!ret && grows)
		ret = weft_set_size(inode, pos + len);
	return ret;
}

long weft_fallocate(struct file *file, int mode, loff_t pos, loff_t len)
{
	struct inode *inode = file_inode(file);
	long ret;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (!S_ISREG(inode->i_mode))
		return -ENODEV;
	ret = weft_io_check(inode);
	if (ret)
		return ret;
	if (down_write_killable(&inode->i_rwsem))
		return -EINTR;
	ret = weft_do_fallocate(file, mode, pos, len);
	inode_unlock(inode);
	return ret;
}
