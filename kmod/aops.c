// SPDX-License-Identifier: GPL-2.0
/*
 * Reading into the page cache.
 *
 * Files in chunks: the locked folios of a readahead window (large, on page faults as well) are cut
 * into pieces at the borders of chunks and asked for all at once; the folios are unlocked when
 * their piece is complete. Inline files: one READ_INLINE fills all folios that are asked for; most
 * often the bytes have come with open or lookup already (weft_inline_fill()).
 *
 * If it fails the folios are unlocked without being up to date, and the VFS tries each of them
 * once more or reports EIO.
 *
 * Protection: folio locks; the folios under I/O are locked, so they stay in the page cache and
 * keep the inode alive.
 */
#include "internal.h"

static void weft_read_done(struct weft_io *io)
{
	struct address_space *mapping = io->inode->i_mapping;
	XA_STATE(xas, &mapping->i_pages, io->pos / PAGE_SIZE);
	pgoff_t last = (io->pos + io->span - 1) / PAGE_SIZE;
	struct iov_iter rest;
	struct folio *folio;

	if (!io->error && io->span > io->len) {
		iov_iter_xarray(&rest, ITER_DEST, &mapping->i_pages, io->pos + io->len,
				io->span - io->len);
		iov_iter_zero(io->span - io->len, &rest);
	}
	rcu_read_lock();
	xas_for_each(&xas, folio, last) {
		if (xas_retry(&xas, folio))
			continue;
		if (!io->error)
			folio_mark_uptodate(folio);
		folio_unlock(folio);
	}
	rcu_read_unlock();
	weft_io_free(io);
}

/* Read what of the piece is inside the file; all its folios are in @io->span. */
static void weft_read_submit(struct weft_io *io)
{
	struct inode *inode = io->inode;
	loff_t size = i_size_read(inode);

	io->len = io->pos < size ? min_t(loff_t, io->span, size - io->pos) : 0;
	io->done = weft_read_done;
	iov_iter_xarray(&io->iter, ITER_DEST, &inode->i_mapping->i_pages, io->pos, io->len);
	weft_io_submit(io);
}

/* --- inline files */

/**
 * weft_inline_fetch() - read an inline file whole
 * @inode: the file
 * @data: out: its bytes, to be freed with kvfree(); empty if it is in chunks by now
 *
 * Return: 0 or a negative errno.
 */
int weft_inline_fetch(struct inode *inode, struct kvec *data)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	const struct weft_attr_rep *rep;
	struct weft_rpc *rpc;
	u64 stamp = weft_stamp(wsb, inode->i_ino);
	int ret;

	data->iov_len = clamp_t(u32, le32_to_cpu(wi->layout.inline_max), PAGE_SIZE,
				WEFT_INLINE_MAX);
	data->iov_base = kvmalloc(data->iov_len, GFP_KERNEL);
	if (!data->iov_base)
		return -ENOMEM;
	rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_READ_INLINE, NULL, inode->i_ino, NULL, NULL,
				GFP_KERNEL);
	ret = PTR_ERR_OR_ZERO(rpc);
	if (ret)
		goto out_free;
	iov_iter_kvec(&rpc->in, ITER_DEST, data, 1, data->iov_len);
	ret = weft_rpc_call(rpc);
	data->iov_len = ret ? 0 : rpc->in_len;
	rep = ret ? NULL : weft_rpc_reply(rpc);
	if (rep)
		weft_attr_apply(inode, &rep->attr, le64_to_cpu(rep->attr.data_version), stamp);
	weft_rpc_put(rpc);
	if (ret != -WEFT_ELAYOUT)
		goto out_free;
	ret = weft_attr_fetch(inode);
	data->iov_len = 0;
out_free:
	if (ret || !data->iov_len) {
		kvfree(data->iov_base);
		data->iov_base = NULL;
	}
	return ret;
}

/* Copy the part of @data that belongs into a locked folio; the rest of it is zero. */
static void weft_inline_copy(struct folio *folio, const struct kvec *data)
{
	size_t pos = folio_pos(folio), size = folio_size(folio), n, off;

	n = pos < data->iov_len ? min(size, data->iov_len - pos) : 0;
	for (off = 0; off < n; off += PAGE_SIZE)
		memcpy_to_page(folio_page(folio, off / PAGE_SIZE), 0, data->iov_base + pos + off,
			       min(n - off, PAGE_SIZE));
	if (n < size)
		folio_zero_segment(folio, n, size);
	folio_mark_uptodate(folio);
}

/**
 * weft_inline_fill() - put inline data that came with a reply into the page cache
 * @inode: the file
 * @data: all of its bytes
 * @len: their number; zeros follow up to @size
 * @size: size of the file
 * @data_version: which content they are
 *
 * Does nothing where the page cache knows better.
 */
void weft_inline_fill(struct inode *inode, const void *data, size_t len, u64 size,
		      u64 data_version)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct kvec kv = { .iov_base = (void *)data, .iov_len = len };
	struct folio *folio;
	loff_t pos;

	/* Directories are locked here: nothing that is being written is waited for. */
	if (mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) ||
	    mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK) ||
	    weft_data_revalidate(inode))
		return;
	for (pos = 0; pos < size; pos = folio_pos(folio) + folio_size(folio), folio_put(folio)) {
		folio = __filemap_get_folio(inode->i_mapping, pos / PAGE_SIZE,
					    FGP_LOCK | FGP_CREAT | FGP_NOWAIT,
					    mapping_gfp_mask(inode->i_mapping));
		if (IS_ERR_OR_NULL(folio))
			return;
		/* Whoever changes this folio needs its lock, and then changes the counter. */
		if (!folio_test_uptodate(folio) && weft_is_inline(wi) &&
		    READ_ONCE(wi->data_version) == data_version && i_size_read(inode) == size)
			weft_inline_copy(folio, &kv);
		folio_unlock(folio);
	}
}

static int weft_read_inline_folio(struct inode *inode, struct folio *folio)
{
	struct kvec data;
	int ret = weft_inline_fetch(inode, &data);

	if (!ret && (data.iov_base || weft_is_inline(WEFT_I(inode)))) {
		weft_inline_copy(folio, &data);
		kvfree(data.iov_base);
		return 1;
	}
	return ret;
}

static void weft_readahead_inline(struct readahead_control *rac)
{
	struct folio *folio;
	struct kvec data;
	int ret;

	ret = weft_inline_fetch(rac->mapping->host, &data);
	if (!ret && !data.iov_base && !weft_is_inline(WEFT_I(rac->mapping->host)))
		ret = -EAGAIN; /* in chunks by now: each folio will be read by itself */
	while ((folio = readahead_folio(rac))) {
		if (!ret)
			weft_inline_copy(folio, &data);
		folio_unlock(folio);
	}
	if (!ret)
		kvfree(data.iov_base);
}

/* --- the address space operations */

static int weft_read_folio(struct file *file, struct folio *folio)
{
	struct inode *inode = folio->mapping->host;
	struct weft_io *io;
	int ret = weft_io_check(inode);

	if (!ret && weft_is_inline(WEFT_I(inode)))
		ret = weft_read_inline_folio(inode, folio);
	if (ret) {
		folio_unlock(folio);
		return min(ret, 0);
	}
	io = weft_io_alloc(inode, WEFT_OP_OBJ_READ, folio_pos(folio), GFP_NOFS);
	io->span = folio_size(folio);
	weft_read_submit(io);
	return 0;
}

/**
 * weft_read_locked() - bring a folio up to date
 * @inode: the file
 * @folio: locked, not up to date; stays locked if this succeeds and is unlocked if not
 *
 * Return: 0; -EAGAIN if it was taken out of the page cache meanwhile; -EIO, -EINTR, ...
 */
int weft_read_locked(struct inode *inode, struct folio *folio)
{
	int ret = weft_read_folio(NULL, folio);

	if (!ret)
		ret = folio_lock_killable(folio);
	if (ret)
		return ret;
	if (folio->mapping != inode->i_mapping)
		ret = -EAGAIN;
	else if (!folio_test_uptodate(folio))
		ret = -EIO;
	if (ret)
		folio_unlock(folio);
	return ret;
}

static void weft_readahead(struct readahead_control *rac)
{
	struct inode *inode = rac->mapping->host;
	struct weft_inode *wi = WEFT_I(inode);
	u32 chunk = 1u << clamp_t(u8, wi->layout.chunk_shift, WEFT_CHUNK_SHIFT_MIN,
				  WEFT_CHUNK_SHIFT_MAX);
	struct weft_io *io = NULL;
	struct folio *folio;

	if (weft_io_check(inode))
		return; /* the VFS unlocks what was not taken */
	if (weft_is_inline(wi)) {
		weft_readahead_inline(rac);
		return;
	}
	while ((folio = readahead_folio(rac))) {
		if (io && (!(folio_pos(folio) & (chunk - 1)) || io->span >= WEFT_IO_MAX)) {
			weft_read_submit(io);
			io = NULL;
		}
		if (!io)
			io = weft_io_alloc(inode, WEFT_OP_OBJ_READ, folio_pos(folio), GFP_NOFS);
		io->span += folio_size(folio);
	}
	if (io)
		weft_read_submit(io);
}

const struct address_space_operations weft_aops = {
	.read_folio = weft_read_folio,
	.readahead = weft_readahead,
	.writepages = weft_writepages,
	.dirty_folio = filemap_dirty_folio,
	.migrate_folio = filemap_migrate_folio,
};
