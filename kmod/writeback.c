// SPDX-License-Identifier: GPL-2.0
/*
 * Writing dirty folios back.
 *
 * Contiguous dirty folios are collected into pieces that end at the borders of chunks; each piece
 * is sent at once and several are in flight. An inline file is one WRITE_INLINE, which also tells
 * size and mtime; for the others COMMIT follows (commit.c). A piece never reaches behind the file's
 * size as it is when it is sent; truncation waits for the folios that are in flight.
 *
 * A failed piece is lost as on any file system: its error is kept for fsync, close and sync. After
 * ENOSPC the file is written through until that works again. If the server says that the file is
 * not inline any more (another client moved it to chunks), the folios stay dirty until the new
 * layout is known.
 *
 * Waits are killable: nothing waits for the network with a folio locked, and who needs folios to be
 * written waits for them by weft_wait_folios() before the page cache's functions, which cannot be
 * killed, find nothing left to wait for.
 *
 * Protection: folio locks and the writeback flag; wi->inflight under wi->lock. Folios under
 * writeback, @inflight and WEFT_I_COMMITTING keep the inode in memory, see weft_busy().
 */
#include <linux/pagevec.h>
#include <linux/rcupdate_wait.h>
#include "internal.h"

/* Pieces of one file in flight at most. */
#define WEFT_INFLIGHT_MAX 32

/* struct weft_wb - one call of writepages */
struct weft_wb {
	struct inode *inode;
	struct writeback_control *wbc;
	struct weft_io *io; /* being collected */
	u32 chunk;	    /* bytes, 0: inline */
};

/* How often folios are waited for before readers are kept away. */
#define WEFT_QUIET_TRIES 4

/* Why a folio that was found dirty is left out. */
#define WEFT_WB_SKIP 1

/* weft_write_started() - count a write in flight */
void weft_write_started(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	weft_async_get(weft_isb(inode));
	spin_lock(&wi->lock);
	wi->inflight++;
	weft_busy(inode);
	spin_unlock(&wi->lock);
}

/**
 * weft_now_idle() - what follows a weft_idle() that was true; wi->lock is released
 * @inode: the file; may be gone when this returns
 * @untold: there is something that the metadata server does not know
 */
void weft_now_idle(struct inode *inode, bool untold)
{
	/* From here on only the VFS keeps it in memory. */
	if (untold && inode->i_nlink)
		mark_inode_dirty_sync(inode);
	weft_inode_unpin(inode);
}

/**
 * weft_write_ended() - a write has ended; begins COMMIT after the last one
 * @inode: the file; may be gone when this returns
 * @end: behind its last byte; 0 if the data server holds no new bytes
 * @delta: change of allocated bytes
 * @error: how it ended
 * @tell: begin the COMMIT; else it is left to fsync, close and the kernel's writeback
 */
void weft_write_ended(struct inode *inode, loff_t end, s64 delta, int error, bool tell)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	bool commit, idle, untold;

	spin_lock(&wi->lock);
	if (!error && (end || delta)) {
		wi->commit_size = max_t(u64, wi->commit_size, end);
		wi->bytes_delta += delta;
		set_bit(WEFT_I_META_DIRTY, &wi->flags);
	}
	commit = tell && wi->inflight == 1 && !error &&
		 !mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) &&
		 weft_commit_claim(inode);
	wi->inflight--;
	idle = weft_idle(inode);
	untold = test_bit(WEFT_I_META_DIRTY, &wi->flags);
	spin_unlock(&wi->lock);
	/* Without the claim or a pin the inode may go away from here on. */
	wake_up_var(&wi->inflight);
	if (commit)
		weft_commit_send(inode);
	if (idle)
		weft_now_idle(inode, untold);
	weft_async_put(wsb);
}

/**
 * weft_writeback_error() - remember an error for fsync, close and sync
 * @inode: the file
 * @error: what happened
 *
 * That the file is gone is no error when nobody has it open.
 */
void weft_writeback_error(struct inode *inode, int error)
{
	if (error != -ESTALE || READ_ONCE(WEFT_I(inode)->open_count))
		mapping_set_error(inode->i_mapping, error);
}

/* --- one piece */

static void weft_wb_end_folios(struct weft_io *io, bool redirty)
{
	struct address_space *mapping = io->inode->i_mapping;
	XA_STATE(xas, &mapping->i_pages, io->pos / PAGE_SIZE);
	pgoff_t last = (io->pos + io->span - 1) / PAGE_SIZE;
	struct folio *folio;

	rcu_read_lock();
	xas_for_each(&xas, folio, last) {
		if (xas_retry(&xas, folio))
			continue;
		if (redirty) {
			xas_pause(&xas);
			rcu_read_unlock();
			filemap_dirty_folio(mapping, folio);
			folio_end_writeback(folio);
			rcu_read_lock();
		} else {
			folio_end_writeback(folio);
		}
	}
	rcu_read_unlock();
}

static void weft_layout_done(struct weft_rpc *rpc)
{
	struct inode *inode = rpc->priv;
	const struct weft_attr_rep *rep;

	if (!rpc->error) {
		rep = weft_rpc_reply(rpc);
		weft_attr_apply(inode, &rep->attr, le64_to_cpu(rep->attr.data_version), 0);
	}
	/* Refused although inline: it does not fit. */
	if (rpc->error || weft_is_inline(WEFT_I(inode)))
		mapping_set_error(inode->i_mapping, rpc->error ?: -EIO);
	clear_bit(WEFT_I_LAYOUT_OLD, &WEFT_I(inode)->flags);
	weft_write_ended(inode, 0, 0, rpc->error, true);
}

/* The file is not inline any more: find out how it is. Counts as a write in flight. */
static void weft_layout_ask(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_rpc *rpc;

	if (test_and_set_bit(WEFT_I_LAYOUT_OLD, &wi->flags))
		return;
	rpc = weft_rpc_alloc_ns(weft_isb(inode)->fs, WEFT_OP_GETATTR, NULL, inode->i_ino, NULL,
				NULL, GFP_NOFS);
	if (IS_ERR(rpc)) {
		clear_bit(WEFT_I_LAYOUT_OLD, &wi->flags);
		return;
	}
	weft_write_started(inode);
	rpc->done = weft_layout_done;
	rpc->priv = inode;
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
}

static void weft_wb_done(struct weft_io *io)
{
	struct inode *inode = io->inode;
	struct weft_inode *wi = WEFT_I(inode);
	bool chunks = io->opcode == WEFT_OP_OBJ_WRITE;
	bool redirty = io->error == -WEFT_ELAYOUT;

	if (redirty) {
		weft_layout_ask(inode);
	} else if (io->error) {
		weft_writeback_error(inode, io->error);
		if (io->error == -ENOSPC || io->error == -EDQUOT)
			set_bit(WEFT_I_SYNC, &wi->flags);
	}
	weft_wb_end_folios(io, redirty);
	weft_write_ended(inode, chunks ? io->pos + io->len : 0,
			 atomic64_read(&io->delta), io->error, true);
	weft_io_free(io);
}

static void weft_wb_submit(struct weft_wb *wb)
{
	struct weft_io *io = wb->io;
	struct inode *inode = wb->inode;
	struct weft_inode *wi = WEFT_I(inode);
	loff_t size = i_size_read(inode);

	wb->io = NULL;
	io->len = io->pos < size ? min_t(loff_t, io->span, size - io->pos) : 0;
	io->done = weft_wb_done;
	iov_iter_xarray(&io->iter, ITER_SOURCE, &inode->i_mapping->i_pages, io->pos, io->len);
	if (!wb->chunk && test_and_clear_bit(WEFT_I_CLOSE_NEXT, &wi->flags))
		io->close_id = weft_close_take(inode);
	weft_write_started(inode);
	if (io->len)
		weft_io_submit(io);
	else
		weft_wb_done(io);
}

/* Does the piece that is being collected end before this folio? */
static bool weft_wb_breaks(const struct weft_wb *wb, struct folio *folio)
{
	loff_t pos = folio_pos(folio);
	const struct weft_io *io = wb->io;

	return io->pos + io->span != pos || io->span >= WEFT_IO_MAX ||
	       (wb->chunk && !(pos & (wb->chunk - 1)));
}

/* Add a locked folio whose dirty flag has been cleared. */
static void weft_wb_add(struct weft_wb *wb, struct folio *folio)
{
	if (!wb->io)
		wb->io = weft_io_alloc(wb->inode,
				       wb->chunk ? WEFT_OP_OBJ_WRITE : WEFT_OP_WRITE_INLINE,
				       folio_pos(folio), GFP_NOFS);
	wb->io->span += folio_size(folio);
	folio_start_writeback(folio);
}

/* --- writepages */

/*
 * Lock a folio; if it is dirty, when it is not under writeback. Whether it is dirty is only seen
 * with the lock: another round may be just taking it. Whoever is waited for here may be waiting for
 * the piece that is being collected, so that is sent before. Return: 0, WEFT_WB_SKIP, or -EINTR.
 */
static int weft_wb_lock(struct weft_wb *wb, struct folio *folio)
{
	for (;;) {
		if (!folio_trylock(folio)) {
			if (wb->io)
				weft_wb_submit(wb);
			if (folio_lock_killable(folio))
				return -EINTR;
		}
		if (!folio_test_writeback(folio) || !folio_test_dirty(folio))
			return 0;
		folio_unlock(folio);
		if (wb->wbc->sync_mode != WB_SYNC_ALL)
			return WEFT_WB_SKIP;
		if (wb->io)
			weft_wb_submit(wb);
		if (folio_wait_writeback_killable(folio))
			return -EINTR;
	}
}

/* Take one folio found dirty. It may not be ours, or not dirty, any more. */
static int weft_wb_folio(struct weft_wb *wb, struct folio *folio)
{
	struct weft_inode *wi = WEFT_I(wb->inode);
	int ret;

	if (wb->io && weft_wb_breaks(wb, folio))
		weft_wb_submit(wb);
	if (!wb->io && wait_var_event_killable(&wi->inflight,
					       READ_ONCE(wi->inflight) < WEFT_INFLIGHT_MAX))
		return -EINTR;
	ret = weft_wb_lock(wb, folio);
	if (ret)
		return ret == WEFT_WB_SKIP ? 0 : ret;
	if (folio->mapping == wb->inode->i_mapping && folio_clear_dirty_for_io(folio)) {
		if (folio_pos(folio) < i_size_read(wb->inode))
			weft_wb_add(wb, folio);
		wb->wbc->nr_to_write -= folio_nr_pages(folio);
	}
	folio_unlock(folio);
	return 0;
}

static int weft_wb_range(struct weft_wb *wb, pgoff_t start, pgoff_t end)
{
	struct writeback_control *wbc = wb->wbc;
	struct address_space *mapping = wb->inode->i_mapping;
	xa_mark_t tag = PAGECACHE_TAG_DIRTY;
	struct folio_batch batch;
	unsigned int i, n;
	int ret = 0;

	if (wbc->sync_mode == WB_SYNC_ALL || wbc->tagged_writepages) {
		tag = PAGECACHE_TAG_TOWRITE;
		tag_pages_for_writeback(mapping, start, end);
	}
	folio_batch_init(&batch);
	while (!ret && start <= end &&
	       (n = filemap_get_folios_tag(mapping, &start, end, tag, &batch))) {
		for (i = 0; !ret && i < n; i++)
			ret = weft_wb_folio(wb, batch.folios[i]);
		folio_batch_release(&batch);
		if (wbc->sync_mode == WB_SYNC_NONE && wbc->nr_to_write <= 0)
			break;
		cond_resched();
	}
	return ret;
}

int weft_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct inode *inode = mapping->host;
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_wb wb = { .inode = inode, .wbc = wbc };
	pgoff_t start = 0, end = -1;
	int ret;

	if (test_bit(WEFT_I_LAYOUT_OLD, &wi->flags))
		return 0; /* stays dirty, see weft_flush_inode() */
	if (!weft_is_inline(wi))
		wb.chunk = 1u << clamp_t(u8, wi->layout.chunk_shift, WEFT_CHUNK_SHIFT_MIN,
					 WEFT_CHUNK_SHIFT_MAX);
	if (!wbc->range_cyclic) {
		start = wbc->range_start >> PAGE_SHIFT;
		end = wbc->range_end >> PAGE_SHIFT;
	}
	ret = weft_wb_range(&wb, start, end);
	if (wb.io)
		weft_wb_submit(&wb);
	return ret;
}

/* --- ranges */

/**
 * weft_wait_folios() - wait, killable, for folios under writeback
 * @inode: the file
 * @start: first byte
 * @end: last byte
 *
 * Return: 0 or -EINTR.
 */
int weft_wait_folios(struct inode *inode, loff_t start, loff_t end)
{
	pgoff_t index = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT;
	struct folio_batch batch;
	unsigned int i, n;
	int ret = 0;

	folio_batch_init(&batch);
	while (!ret && index <= last &&
	       (n = filemap_get_folios_tag(inode->i_mapping, &index, last,
					   PAGECACHE_TAG_WRITEBACK, &batch))) {
		for (i = 0; !ret && i < n; i++)
			ret = folio_wait_writeback_killable(batch.folios[i]);
		folio_batch_release(&batch);
		cond_resched();
	}
	return ret;
}

/* The first folio from @index to @last that is locked (being read, mostly) or under writeback. */
static bool weft_folio_busy(struct address_space *mapping, pgoff_t *index, pgoff_t last)
{
	XA_STATE(xas, &mapping->i_pages, *index);
	struct folio *folio;
	bool busy = false;

	rcu_read_lock();
	xas_for_each(&xas, folio, last) {
		if (xas_retry(&xas, folio) || xa_is_value(folio))
			continue;
		busy = folio_test_locked(folio) || folio_test_writeback(folio);
		if (busy) {
			*index = xas.xa_index;
			break;
		}
		if (need_resched()) {
			xas_pause(&xas);
			cond_resched_rcu();
		}
	}
	rcu_read_unlock();
	return busy;
}

/* Wait, killable, for each of them once. */
static int weft_wait_busy(struct address_space *mapping, pgoff_t index, pgoff_t last)
{
	struct folio *folio;
	int ret = 0;

	for (; !ret && weft_folio_busy(mapping, &index, last); index++) {
		folio = filemap_get_folio(mapping, index);
		if (IS_ERR_OR_NULL(folio))
			continue;
		ret = folio_wait_locked_killable(folio);
		if (!ret)
			ret = folio_wait_writeback_killable(folio);
		folio_put(folio);
	}
	return ret;
}

/**
 * weft_invalidate_lock() - take invalidate_lock to drop folios that no server is waited for
 * @inode: the file
 * @start: first byte
 * @end: last byte
 *
 * Who drops folios waits for those that are being read or written, and who waits for the lock
 * meanwhile (a page fault, a read) waits as well; neither could be killed. So this waits before,
 * without the lock, until there are none when it has the lock, which keeps new reads away. If
 * readers do not cease it waits with the lock at last: they go on when this is killed.
 *
 * Return: 0 with the lock held, or -EINTR.
 */
int weft_invalidate_lock(struct inode *inode, loff_t start, loff_t end)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t first = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT, index;
	int tries, ret;

	for (tries = 0; tries < WEFT_QUIET_TRIES; tries++) {
		ret = weft_wait_busy(mapping, first, last);
		if (ret)
			return ret;
		filemap_invalidate_lock(mapping);
		index = first;
		if (!weft_folio_busy(mapping, &index, last))
			return 0;
		filemap_invalidate_unlock(mapping);
	}
	filemap_invalidate_lock(mapping);
	ret = weft_wait_busy(mapping, first, last);
	if (ret)
		filemap_invalidate_unlock(mapping);
	return ret;
}

/**
 * weft_drop_folios() - take folios out of the page cache
 * @inode: the file
 * @start: first byte
 * @end: last byte
 *
 * Return: 0, -EINTR, or -EBUSY if one is dirty or in use; the others have gone.
 */
int weft_drop_folios(struct inode *inode, loff_t start, loff_t end)
{
	struct address_space *mapping = inode->i_mapping;
	int ret;

	if (!mapping->nrpages)
		return 0;
	ret = weft_invalidate_lock(inode, start, end);
	if (ret)
		return ret;
	ret = invalidate_inode_pages2_range(mapping, start >> PAGE_SHIFT, end >> PAGE_SHIFT);
	filemap_invalidate_unlock(mapping);
	return ret;
}

/**
 * weft_write_range() - write dirty pages and wait, killable, until data servers have them
 * @inode: the file
 * @start: first byte
 * @end: last byte
 *
 * Return: 0, -EINTR, or an error of writeback that was not reported yet.
 */
int weft_write_range(struct inode *inode, loff_t start, loff_t end)
{
	struct address_space *mapping = inode->i_mapping;
	int ret = 0;

	if (mapping->nrpages) {
		ret = filemap_fdatawrite_range(mapping, start, end);
		if (!ret)
			ret = weft_wait_folios(inode, start, end);
	}
	return ret ?: filemap_check_errors(mapping);
}

/* --- the whole inode */

/* weft_wait_writes() - wait, killable, until no write of the file is in flight */
int weft_wait_writes(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	return wait_var_event_killable(&wi->inflight, !READ_ONCE(wi->inflight)) ? -EINTR : 0;
}

/* weft_needs_flush() - is there anything that the servers do not know? */
bool weft_needs_flush(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);

	return READ_ONCE(wi->inflight) || test_bit(WEFT_I_META_DIRTY, &wi->flags) ||
	       test_bit(WEFT_I_COMMITTING, &wi->flags) ||
	       mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) ||
	       mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK);
}

/**
 * weft_flush_inode() - make everything of a file durable
 * @inode: the file
 *
 * Return: 0, -EINTR, or the error of COMMIT. Errors of data are in the mapping's errseq.
 */
int weft_flush_inode(struct inode *inode)
{
	int tries = 0, ret;

	if (!weft_needs_flush(inode))
		return 0;
	do {
		/* Also for a layout that is being asked for: until it is known nothing is sent. */
		ret = weft_wait_writes(inode);
		if (!ret)
			ret = filemap_fdatawrite(inode->i_mapping);
		if (ret == -EINTR)
			return ret;
		/* Another round may have taken folios that it has not sent yet. */
		ret = weft_wait_folios(inode, 0, LLONG_MAX);
		if (!ret)
			ret = weft_wait_writes(inode);
		/* Still dirty: the layout had changed, or somebody goes on writing. */
	} while (!ret && mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) && ++tries < 3);
	return ret ?: weft_commit_wait(inode);
}

/* The kernel's writeback: times and sizes that no data in flight is going to tell. */
int weft_write_inode(struct inode *inode, struct writeback_control *wbc)
{
	struct weft_inode *wi = WEFT_I(inode);
	bool send = false, later;

	if (weft_atime_send(inode))
		mark_inode_dirty_sync(inode);
	if (!S_ISREG(inode->i_mode) || !test_bit(WEFT_I_META_DIRTY, &wi->flags))
		return 0;
	spin_lock(&wi->lock);
	if (!wi->inflight || wi->commit_size > wi->server_size)
		send = weft_commit_claim(inode);
	later = test_bit(WEFT_I_SPILLED, &wi->flags);
	spin_unlock(&wi->lock);
	if (send)
		weft_commit_send(inode);
	else if (later) /* others that could not be sent are remembered by what is in flight */
		mark_inode_dirty_sync(inode);
	return 0;
}
