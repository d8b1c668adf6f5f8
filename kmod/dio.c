// SPDX-License-Identifier: GPL-2.0
/*
 * O_DIRECT: reads and writes of files in chunks around the page cache, at any offset and length.
 *
 * The caller's pages are taken in pieces of up to WEFT_DIO_PIECE bytes, all of which are in flight
 * at once. What the page cache holds of the range is written before, and dropped before and after
 * a write. A write is durable on the data servers when it returns; size and times go with the
 * next COMMIT. Asynchronous callers (AIO, io_uring) get the result by ki_complete(), except that a
 * write that makes the file larger is waited for.
 *
 * A killed caller returns -EINTR at once; its pages stay pinned until the requests have ended.
 * After an error nothing is said about which bytes were transferred.
 *
 * Protection: writers hold i_rwsem until their requests are sent; inode_dio_begin() keeps
 * truncation and punching back until they have ended. struct weft_dio counts its pieces, the
 * submitter and the waiter.
 */
#include <linux/uio.h>
#include "internal.h"

#define WEFT_DIO_PIECE (1u << 20)
#define WEFT_DIO_PAGES (WEFT_DIO_PIECE / PAGE_SIZE + 1)

/**
 * struct weft_dio - one direct read or write
 * @ref: pieces in flight, the submitter, and a caller that waits
 * @pending: pieces in flight and the submitter
 * @iocb: of an asynchronous caller, NULL if it waits
 * @inode: the file
 * @pos: first byte
 * @bytes: sent
 * @write: direction
 * @pinned: pages have to be put back
 * @user: they are a process's: mark them dirty after a read
 * @held: a read keeps the inode in memory by a pin of its own
 * @error: first error
 * @ended: for a caller that waits
 * @work: to end an asynchronous write where it may sleep
 */
struct weft_dio {
	refcount_t ref;
	atomic_t pending;
	struct kiocb *iocb;
	struct inode *inode;
	loff_t pos;
	size_t bytes;
	bool write;
	bool pinned;
	bool user;
	bool held;
	int error;
	struct completion ended;
	struct work_struct work;
};

/* struct weft_dio_piece - pages of one weft_io */
struct weft_dio_piece {
	struct weft_dio *dio;
	unsigned int npages;
	struct bio_vec vecs[];
};

static void weft_dio_put(struct weft_dio *dio)
{
	if (refcount_dec_and_test(&dio->ref))
		kfree(dio);
}

static void weft_dio_invalidate(struct weft_dio *dio)
{
	if (dio->inode->i_mapping->nrpages)
		invalidate_inode_pages2_range(dio->inode->i_mapping, dio->pos >> PAGE_SHIFT,
					      (dio->pos + dio->bytes - 1) >> PAGE_SHIFT);
}

static void weft_dio_complete(struct weft_dio *dio)
{
	struct inode *inode = dio->inode;
	struct kiocb *iocb = dio->iocb;
	ssize_t ret = dio->error ?: dio->bytes;

	if (dio->write && dio->bytes)
		weft_dio_invalidate(dio);
	if (iocb && ret > 0)
		iocb->ki_pos += ret;
	if (dio->write) {
		mark_inode_dirty(inode);
		weft_write_ended(inode, dio->error ? 0 : dio->pos + dio->bytes, 0, 0, false);
	}
	inode_dio_end(inode);
	wake_up_var(&inode->i_dio_count);
	/* The inode of a caller that was killed may go away from here on. */
	if (dio->held)
		weft_inode_unpin(inode);
	if (iocb)
		iocb->ki_complete(iocb, ret);
	complete(&dio->ended);
	weft_dio_put(dio);
}

static void weft_dio_work(struct work_struct *work)
{
	weft_dio_complete(container_of(work, struct weft_dio, work));
}

/* One piece less. The callback that ends a piece must not wait, dropping page cache may. */
static void weft_dio_ended(struct weft_dio *dio)
{
	if (!atomic_dec_and_test(&dio->pending))
		return;
	INIT_WORK(&dio->work, weft_dio_work);
	if (dio->write)
		queue_work(weft_dio_wq, &dio->work);
	else
		weft_dio_complete(dio);
}

static void weft_dio_pages_put(struct weft_dio *dio, struct weft_dio_piece *piece)
{
	unsigned int i;

	for (i = 0; i < piece->npages; i++) {
		if (!dio->write && dio->user)
			set_page_dirty_lock(piece->vecs[i].bv_page);
		if (dio->pinned)
			unpin_user_page(piece->vecs[i].bv_page);
	}
	kvfree(piece);
}

static void weft_dio_piece_done(struct weft_io *io)
{
	struct weft_dio_piece *piece = io->priv;
	struct weft_dio *dio = piece->dio;
	s64 delta = atomic64_read(&io->delta);
	struct weft_inode *wi = WEFT_I(dio->inode);

	if (io->error)
		cmpxchg(&dio->error, 0, io->error);
	if (delta) {
		spin_lock(&wi->lock);
		wi->bytes_delta += delta;
		set_bit(WEFT_I_META_DIRTY, &wi->flags);
		spin_unlock(&wi->lock);
	}
	weft_dio_pages_put(dio, piece);
	weft_io_free(io);
	weft_dio_ended(dio);
}

/* Take the next pages of the caller. Return: their bytes or an error. */
static ssize_t weft_dio_extract(struct weft_dio *dio, struct iov_iter *iter, size_t max,
				struct weft_dio_piece *piece, struct page **pages, int npages)
{
	size_t off, left, n;
	ssize_t len;
	unsigned int i;

	len = iov_iter_extract_pages(iter, &pages, max, npages, 0, &off);
	if (len <= 0)
		return len ?: -EFAULT;
	for (i = 0, left = len; left; i++, left -= n, off = 0) {
		n = min_t(size_t, left, PAGE_SIZE - off);
		piece->vecs[i] = (struct bio_vec){ .bv_page = pages[i], .bv_len = n,
						   .bv_offset = off };
	}
	piece->npages = i;
	return len;
}

static ssize_t weft_dio_piece(struct weft_dio *dio, struct iov_iter *iter, size_t max)
{
	struct weft_dio_piece *piece;
	struct page **pages;
	struct weft_io *io;
	ssize_t len = -ENOMEM;
	int npages = iov_iter_npages(iter, WEFT_DIO_PAGES);

	pages = kvmalloc_array(npages, sizeof(*pages), GFP_KERNEL);
	piece = kvmalloc(struct_size(piece, vecs, npages), GFP_KERNEL);
	if (!pages || !piece)
		goto out_free;
	piece->dio = dio;
	len = weft_dio_extract(dio, iter, min_t(size_t, max, WEFT_DIO_PIECE), piece, pages,
			       npages);
	if (len < 0)
		goto out_free;
	kvfree(pages);
	io = weft_io_alloc(dio->inode, dio->write ? WEFT_OP_OBJ_WRITE : WEFT_OP_OBJ_READ,
			   dio->pos + dio->bytes, GFP_KERNEL);
	io->len = len;
	io->priv = piece;
	io->done = weft_dio_piece_done;
	iov_iter_bvec(&io->iter, dio->write ? ITER_SOURCE : ITER_DEST, piece->vecs, piece->npages,
		      len);
	dio->bytes += len;
	atomic_inc(&dio->pending);
	weft_io_submit(io);
	return len;

out_free:
	kvfree(pages);
	kvfree(piece);
	return len;
}

static struct weft_dio *weft_dio_alloc(struct kiocb *iocb, struct iov_iter *iter, bool write,
				       bool wait)
{
	struct weft_dio *dio = kzalloc(sizeof(*dio), GFP_KERNEL);

	if (!dio)
		return NULL;
	refcount_set(&dio->ref, 2);
	atomic_set(&dio->pending, 1);
	dio->iocb = wait ? NULL : iocb;
	dio->inode = file_inode(iocb->ki_filp);
	dio->pos = iocb->ki_pos;
	dio->write = write;
	dio->pinned = iov_iter_extract_will_pin(iter);
	dio->user = user_backed_iter(iter);
	init_completion(&dio->ended);
	return dio;
}

/* Send @count bytes; wait for them unless the caller is asynchronous. */
static ssize_t weft_dio_run(struct weft_dio *dio, struct kiocb *iocb, struct iov_iter *iter,
			    size_t count)
{
	bool wait = !dio->iocb;
	ssize_t ret = 0;

	inode_dio_begin(dio->inode);
	if (dio->write)
		weft_write_started(dio->inode);
	else
		dio->held = weft_inode_pin(dio->inode);
	while (count) {
		ret = weft_dio_piece(dio, iter, count);
		if (ret < 0)
			break;
		count -= ret;
	}
	/* A shorter transfer is a result; none at all is an error. */
	if (ret < 0 && !dio->bytes)
		cmpxchg(&dio->error, 0, (int)ret);
	weft_dio_ended(dio);
	if (!wait) {
		ret = -EIOCBQUEUED;
	} else if (wait_for_completion_killable(&dio->ended)) {
		ret = -EINTR;
	} else {
		ret = dio->error ?: dio->bytes;
		if (ret > 0)
			iocb->ki_pos += ret;
	}
	weft_dio_put(dio);
	return ret;
}

/**
 * weft_direct_wait() - wait, killable, until no direct read or write is in flight
 * @inode: the file, i_rwsem held
 *
 * Return: 0 or -EINTR.
 */
int weft_direct_wait(struct inode *inode)
{
	return wait_var_event_killable(&inode->i_dio_count, !atomic_read(&inode->i_dio_count)) ?
		       -EINTR : 0;
}

/**
 * weft_direct_read() - read around the page cache
 * @iocb: position
 * @to: where to
 *
 * Return: bytes read, 0 at the end of the file, -EIOCBQUEUED, or an error.
 */
ssize_t weft_direct_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t size = i_size_read(inode);
	struct weft_dio *dio;
	size_t count;
	ssize_t ret;

	if (iocb->ki_pos >= size || !iov_iter_count(to))
		return 0;
	count = min_t(loff_t, iov_iter_count(to), size - iocb->ki_pos);
	ret = weft_write_range(inode, iocb->ki_pos, iocb->ki_pos + count - 1);
	if (ret)
		return ret;
	file_accessed(iocb->ki_filp);
	dio = weft_dio_alloc(iocb, to, false, is_sync_kiocb(iocb));
	return dio ? weft_dio_run(dio, iocb, to, count) : -ENOMEM;
}

/**
 * weft_direct_write() - write around the page cache
 * @iocb: position
 * @from: bytes
 *
 * Return: bytes written, -EIOCBQUEUED, or an error.
 * Context: i_rwsem held.
 */
ssize_t weft_direct_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	size_t count = iov_iter_count(from);
	loff_t pos = iocb->ki_pos;
	bool grows = pos + count > i_size_read(inode);
	struct weft_dio *dio;
	ssize_t ret;

	ret = weft_write_range(inode, pos, pos + count - 1);
	if (ret)
		return ret;
	ret = weft_drop_folios(inode, pos, pos + count - 1);
	if (ret == -EINTR)
		return ret;
	if (ret) /* a page cannot be dropped: write it through instead */
		return weft_buffered_write(iocb, from);
	if (pos > i_size_read(inode))
		weft_zero_tail(inode, i_size_read(inode));
	dio = weft_dio_alloc(iocb, from, true, grows || is_sync_kiocb(iocb));
	if (!dio)
		return -ENOMEM;
	ret = weft_dio_run(dio, iocb, from, count);
	if (ret > 0)
		weft_size_grow(inode, pos + ret);
	return ret;
}
