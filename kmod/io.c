// SPDX-License-Identifier: GPL-2.0
/*
 * Moving contiguous pieces of a file to and from servers.
 *
 * A struct weft_io is split at the borders of chunks into one request each, all of which are on
 * their way at the same time; when the last one has ended, @done is called with the first error.
 * What a data server did not send of a range that was read are zeros. Inline data is one request
 * to the metadata server.
 *
 * It comes from a pool, and requests come from theirs, so that writeback makes progress without
 * memory. No locks: the counters are atomic, the rest belongs to the submitter until it has
 * submitted and to @done afterwards.
 */
#include "internal.h"

#define WEFT_IO_POOL 64

static mempool_t *weft_io_pool;
struct workqueue_struct *weft_dio_wq; /* ends of direct writes, which may wait for writeback */

int weft_io_init(void)
{
	weft_io_pool = mempool_create_kmalloc_pool(WEFT_IO_POOL, sizeof(struct weft_io));
	weft_dio_wq = alloc_workqueue("weft_dio", WQ_UNBOUND, 0);
	if (weft_io_pool && weft_dio_wq)
		return 0;
	weft_io_exit();
	return -ENOMEM;
}

void weft_io_exit(void)
{
	/* What it runs may be just returning from the end of the last file's last write. */
	if (weft_dio_wq)
		destroy_workqueue(weft_dio_wq);
	mempool_destroy(weft_io_pool);
}

/**
 * weft_io_alloc() - begin a piece
 * @inode: the file
 * @opcode: WEFT_OP_OBJ_READ, WEFT_OP_OBJ_WRITE or WEFT_OP_WRITE_INLINE
 * @pos: first byte
 * @gfp: if it allows sleeping this does not fail
 *
 * Return: the piece, of length 0; set @len, @iter and @done before it is submitted.
 */
struct weft_io *weft_io_alloc(struct inode *inode, u16 opcode, loff_t pos, gfp_t gfp)
{
	struct weft_io *io = mempool_alloc(weft_io_pool, gfp);

	if (!io)
		return NULL;
	memset(io, 0, sizeof(*io));
	io->inode = inode;
	io->opcode = opcode;
	io->pos = pos;
	atomic_set(&io->pending, 1);
	return io;
}

void weft_io_free(struct weft_io *io)
{
	mempool_free(io, weft_io_pool);
}

static void weft_io_fail(struct weft_io *io, int error)
{
	cmpxchg(&io->error, 0, error);
}

static void weft_io_put(struct weft_io *io)
{
	if (atomic_dec_and_test(&io->pending))
		io->done(io);
}

static void weft_io_rpc_done(struct weft_rpc *rpc)
{
	struct weft_io *io = rpc->priv;
	const struct weft_obj_rep *rep;
	struct iov_iter rest;

	if (rpc->error) {
		weft_io_fail(io, rpc->error);
	} else if (io->opcode == WEFT_OP_OBJ_READ) {
		rest = rpc->in;
		iov_iter_advance(&rest, rpc->in_len);
		iov_iter_zero(iov_iter_count(&rest), &rest);
	} else {
		rep = weft_rpc_reply(rpc);
		atomic64_add((s64)le64_to_cpu(rep->bytes_delta), &io->delta);
	}
	weft_io_put(io);
}

/* One request: @len bytes at @pos, within one chunk. */
static int weft_io_chunk(struct weft_io *io, const struct weft_layout *layout, loff_t pos,
			 size_t len, const struct iov_iter *iter)
{
	u32 group = weft_fs_chunk_group(weft_isb(io->inode)->fs, layout,
					pos >> layout->chunk_shift);
	struct weft_obj_req *req;
	struct weft_rpc *rpc;
	struct iov_iter *bulk;

	if (!group)
		return -EIO;
	rpc = weft_rpc_alloc(weft_isb(io->inode)->fs, io->opcode, 0, GFP_NOFS);
	if (!rpc)
		return -ENOMEM;
	weft_rpc_to_group(rpc, group);
	req = rpc->body;
	req->ino = cpu_to_le64(io->inode->i_ino);
	req->chunk = cpu_to_le64(pos >> layout->chunk_shift);
	req->off = cpu_to_le32(pos & ((1u << layout->chunk_shift) - 1));
	req->len = cpu_to_le32(len);
	req->chunk_shift = layout->chunk_shift;
	bulk = io->opcode == WEFT_OP_OBJ_READ ? &rpc->in : &rpc->out;
	*bulk = *iter;
	iov_iter_truncate(bulk, len);
	rpc->done = weft_io_rpc_done;
	rpc->priv = io;
	atomic_inc(&io->pending);
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
	return 0;
}

static void weft_inline_rpc_done(struct weft_rpc *rpc)
{
	struct weft_io *io = rpc->priv;
	struct weft_inode *wi = WEFT_I(io->inode);
	const struct weft_attr_rep *rep;

	if (rpc->error) {
		weft_io_fail(io, rpc->error);
		set_bit(WEFT_I_META_DIRTY, &wi->flags);
	} else {
		rep = weft_rpc_reply(rpc);
		weft_attr_apply(io->inode, &rep->attr, le64_to_cpu(rep->prev_data), io->stamp);
	}
	weft_io_put(io);
}

static int weft_io_inline(struct weft_io *io)
{
	struct weft_inode *wi = WEFT_I(io->inode);
	struct weft_write_req *req;
	struct weft_rpc *rpc;
	u32 flags = WEFT_WRITE_MTIME;

	rpc = weft_rpc_alloc_ns(weft_isb(io->inode)->fs, WEFT_OP_WRITE_INLINE, NULL,
				io->inode->i_ino, NULL, NULL, GFP_NOFS);
	if (IS_ERR(rpc))
		return PTR_ERR(rpc);
	io->stamp = weft_stamp(weft_isb(io->inode), io->inode->i_ino);
	req = rpc->body;
	req->offset = cpu_to_le64(io->pos);
	spin_lock(&wi->lock);
	clear_bit(WEFT_I_META_DIRTY, &wi->flags);
	weft_time_put(&req->mtime, inode_get_mtime(io->inode));
	spin_unlock(&wi->lock);
	if (io->close_id) {
		flags |= WEFT_WRITE_CLOSE;
		req->ns.open_id = cpu_to_le64(io->close_id);
	}
	req->flags = cpu_to_le32(flags);
	rpc->out = io->iter;
	rpc->done = weft_inline_rpc_done;
	rpc->priv = io;
	atomic_inc(&io->pending);
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
	return 0;
}

/**
 * weft_io_submit() - send a piece; @io->done is called, perhaps before this returns
 * @io: the piece
 *
 * Context: process; may wait for memory, not for the network.
 */
void weft_io_submit(struct weft_io *io)
{
	struct weft_inode *wi = WEFT_I(io->inode);
	struct iov_iter iter = io->iter;
	struct weft_layout layout;
	size_t left = io->len, len;
	loff_t pos = io->pos;
	int ret = 0;

	spin_lock(&wi->lock);
	layout = wi->layout;
	spin_unlock(&wi->lock);
	if (io->opcode == WEFT_OP_WRITE_INLINE) {
		ret = weft_io_inline(io);
		left = 0;
	} else if (layout.chunk_shift < WEFT_CHUNK_SHIFT_MIN ||
		   layout.chunk_shift > WEFT_CHUNK_SHIFT_MAX) {
		ret = -EIO;
	}
	for (; !ret && left; left -= len, pos += len) {
		len = (1u << layout.chunk_shift) - (pos & ((1u << layout.chunk_shift) - 1));
		len = min3(len, left, (size_t)WEFT_IO_MAX);
		ret = weft_io_chunk(io, &layout, pos, len, &iter);
		iov_iter_advance(&iter, len);
	}
	if (ret)
		weft_io_fail(io, ret);
	weft_io_put(io);
}
