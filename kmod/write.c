// SPDX-License-Identifier: GPL-2.0
/*
 * Writing into the page cache.
 *
 * Each page is copied under its folio's lock. A folio that is not up to date is only read if bytes
 * of it that are in the file stay: not when it is overwritten whole, begins behind the end of the
 * file, or all of it that is in the file is overwritten. What a page holds behind the end of the
 * file (a mapping may have written there) is zeroed when the file grows over it.
 *
 * Protection: the caller holds i_rwsem; i_size changes under wi->lock.
 */
#include <linux/uio.h>
#include "internal.h"

/**
 * weft_zero_tail() - zero what the page cache holds behind the end of the file
 * @inode: the file, which is about to grow
 * @size: its present size
 */
void weft_zero_tail(struct inode *inode, loff_t size)
{
	struct folio *folio;

	if (!(size & (PAGE_SIZE - 1)))
		return;
	folio = filemap_lock_folio(inode->i_mapping, size >> PAGE_SHIFT);
	if (IS_ERR_OR_NULL(folio))
		return;
	if (folio_test_uptodate(folio))
		folio_zero_segment(folio, offset_in_folio(folio, size), folio_size(folio));
	folio_unlock(folio);
	folio_put(folio);
}

/**
 * weft_size_grow() - data was written up to here
 * @inode: the file
 * @size: behind the last byte written
 */
void weft_size_grow(struct inode *inode, loff_t size)
{
	struct weft_inode *wi = WEFT_I(inode);
	bool grown = false;

	spin_lock(&wi->lock);
	if (size > i_size_read(inode)) {
		i_size_write(inode, size);
		set_bit(WEFT_I_SIZE_DIRTY, &wi->flags);
		grown = !test_and_set_bit(WEFT_I_META_DIRTY, &wi->flags);
	}
	spin_unlock(&wi->lock);
	if (grown)
		mark_inode_dirty(inode);
}

/* Does a write of [pos, pos + len) leave bytes of the folio that are in the file? */
static bool weft_write_keeps(struct inode *inode, struct folio *folio, loff_t pos, size_t len)
{
	loff_t start = folio_pos(folio), size = i_size_read(inode);

	if (start >= size)
		return false;
	return pos > start || pos + len < min_t(loff_t, size, start + folio_size(folio));
}

/* What the lookup of a folio waits for without being killable is waited for before. */
static int weft_write_wait(struct inode *inode, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(inode->i_mapping, index);
	int ret;

	if (IS_ERR_OR_NULL(folio))
		return 0;
	ret = folio_wait_locked_killable(folio);
	if (!ret && (inode->i_sb->s_iflags & SB_I_STABLE_WRITES))
		ret = folio_wait_writeback_killable(folio);
	folio_put(folio);
	return ret;
}

/* The locked folio for a write within one page; -EAGAIN: begin again. */
static struct folio *weft_write_folio(struct inode *inode, loff_t pos, size_t len)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio;
	size_t off;
	int ret;

	ret = weft_write_wait(inode, pos >> PAGE_SHIFT);
	if (ret)
		return ERR_PTR(ret);
	folio = __filemap_get_folio(mapping, pos >> PAGE_SHIFT,
				    FGP_LOCK | FGP_WRITE | FGP_CREAT | FGP_STABLE,
				    mapping_gfp_mask(mapping) & ~__GFP_FS);
	if (IS_ERR_OR_NULL(folio))
		return folio ?: ERR_PTR(-ENOMEM);
	if (folio_test_uptodate(folio))
		return folio;
	if (weft_write_keeps(inode, folio, pos, len)) {
		ret = weft_read_locked(inode, folio);
		if (ret) {
			folio_put(folio);
			return ERR_PTR(ret);
		}
		return folio;
	}
	off = offset_in_folio(folio, pos);
	folio_zero_segments(folio, 0, off, off + len, folio_size(folio));
	return folio;
}

/* Copy within one page. Return: bytes copied (0: fault in and try again), or an error. */
static ssize_t weft_write_page(struct inode *inode, loff_t pos, size_t len, struct iov_iter *from)
{
	struct folio *folio = weft_write_folio(inode, pos, len);
	size_t copied;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	copied = copy_folio_from_iter_atomic(folio, offset_in_folio(folio, pos), len, from);
	flush_dcache_folio(folio);
	if (!folio_test_uptodate(folio)) {
		if (copied == len) {
			folio_mark_uptodate(folio);
		} else {
			iov_iter_revert(from, copied);
			copied = 0;
		}
	}
	if (copied) {
		weft_size_grow(inode, pos + copied);
		folio_mark_dirty(folio);
	}
	folio_unlock(folio);
	folio_put(folio);
	return copied;
}

/**
 * weft_buffered_write() - copy into the page cache
 * @iocb: position
 * @from: bytes
 *
 * Return: bytes written, which may be fewer than asked for, or an error if there are none.
 */
ssize_t weft_buffered_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t pos = iocb->ki_pos;
	ssize_t written = 0, ret = 0;
	size_t len;

	if (pos > i_size_read(inode))
		weft_zero_tail(inode, i_size_read(inode));
	while (iov_iter_count(from)) {
		len = min_t(size_t, PAGE_SIZE - offset_in_page(pos), iov_iter_count(from));
		ret = -EFAULT;
		if (fault_in_iov_iter_readable(from, len) == len)
			break;
		ret = -EINTR;
		if (fatal_signal_pending(current))
			break;
		ret = weft_write_page(inode, pos, len, from);
		if (ret == 0 || ret == -EAGAIN) {
			cond_resched();
			continue;
		}
		if (ret < 0)
			break;
		pos += ret;
		written += ret;
		balance_dirty_pages_ratelimited(inode->i_mapping);
		cond_resched();
	}
	iocb->ki_pos = pos;
	return written ?: ret;
}
