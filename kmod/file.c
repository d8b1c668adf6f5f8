// SPDX-License-Identifier: GPL-2.0
/*
 * Operations of regular files.
 *
 * Reads and writes go through the page cache, or around it with O_DIRECT for files in chunks.
 * Under the SOLE lease close(2) does not wait, but starts writing chunks back. Without it data is
 * close-to-open: close(2) makes everything durable and known, open(2) drops what others changed.
 * fsync(2) is that in any case. Locks (fcntl, flock, OFD) are the VFS's, among the processes of
 * this client.
 *
 * A new file is inline until it outgrows that, which takes a request (spill.c). Where the last few
 * files that were made in a directory have all outgrown it, the next one is made in chunks at once.
 *
 * Errors of writeback reach fsync, close, and the writes themselves after ENOSPC (write through).
 *
 * Protection: i_rwsem for writers; invalidate_lock keeps faults from what is being cut.
 */
#include <linux/mm.h>
#include "internal.h"

/**
 * weft_data_revalidate() - drop page cache that others have made stale
 * @inode: the file
 *
 * Return: 0 or the error of writing our own dirty pages first.
 */
int weft_data_revalidate(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	u64 version = READ_ONCE(wi->data_version);
	int ret = 0;

	if (!test_bit(WEFT_I_DATA_STALE, &wi->flags))
		return 0;
	if (inode->i_mapping->nrpages) {
		ret = weft_write_range(inode, 0, LLONG_MAX);
		if (ret == -EINTR || weft_drop_folios(inode, 0, LLONG_MAX) == -EINTR)
			return -EINTR;
	}
	/* Only now: whoever comes meanwhile must not take the old pages for the new content. */
	spin_lock(&wi->lock);
	if (wi->data_version == version)
		clear_bit(WEFT_I_DATA_STALE, &wi->flags);
	spin_unlock(&wi->lock);
	return ret;
}

/* So many files in a row must have been large before the next one is expected to be. */
#define WEFT_OUTGROWN_MIN 4

/* weft_outgrown() - is the next file of this directory expected to be too large for inline? */
bool weft_outgrown(const struct inode *dir)
{
	return READ_ONCE(WEFT_I(dir)->outgrown) >= WEFT_OUTGROWN_MIN;
}

/**
 * weft_outgrown_note() - learn from a file that is being closed for the last time
 * @inode: the file
 * @file: counts when it made the file and could write to it
 *
 * Files that are made at the same time may be counted twice or missed: it is only a guess.
 */
void weft_outgrown_note(struct inode *inode, struct file *file)
{
	fmode_t made = FMODE_CREATED | FMODE_WRITE;
	struct weft_inode *dir;
	struct dentry *parent;

	if ((file->f_mode & made) != made)
		return;
	parent = dget_parent(file->f_path.dentry);
	dir = WEFT_I(d_inode(parent));
	if (i_size_read(inode) <= le32_to_cpu(READ_ONCE(WEFT_I(inode)->layout.inline_max)))
		WRITE_ONCE(dir->outgrown, 0);
	else if (READ_ONCE(dir->outgrown) < WEFT_OUTGROWN_MIN)
		WRITE_ONCE(dir->outgrown, dir->outgrown + 1);
	dput(parent);
}

static ssize_t weft_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	ret = weft_io_check(inode);
	if (!ret)
		ret = weft_data_revalidate(inode);
	if (ret)
		return ret;
	if ((iocb->ki_flags & IOCB_DIRECT) && !weft_is_inline(WEFT_I(inode)))
		return weft_direct_read(iocb, to);
	return filemap_read(iocb, to, 0);
}

/* Before a write, i_rwsem held. Return: bytes to write, or an error. */
static ssize_t weft_write_prepare(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct weft_inode *wi = WEFT_I(inode);
	ssize_t count;
	int ret;

	ret = weft_io_check(inode);
	if (!ret)
		ret = weft_ranges_wait(inode);
	if (!ret && (iocb->ki_flags & IOCB_APPEND) && !weft_attr_valid(inode))
		ret = weft_attr_fetch(inode);
	if (!ret)
		ret = weft_data_revalidate(inode);
	if (ret)
		return ret;
	count = generic_write_checks(iocb, from);
	if (count <= 0)
		return count;
	ret = file_modified(iocb->ki_filp);
	if (!ret && weft_is_inline(wi) &&
	    iocb->ki_pos + count > le32_to_cpu(wi->layout.inline_max))
		ret = weft_spill(inode);
	return ret ?: count;
}

/* After ENOSPC: write(2) itself tells. */
static ssize_t weft_write_through(struct inode *inode, loff_t end, ssize_t written)
{
	struct weft_inode *wi = WEFT_I(inode);
	int ret;

	clear_bit(WEFT_I_SYNC, &wi->flags);
	ret = weft_write_range(inode, end - written, end - 1);
	if (ret)
		set_bit(WEFT_I_SYNC, &wi->flags);
	return ret ?: written;
}

static ssize_t weft_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct weft_inode *wi = WEFT_I(inode);
	bool direct = iocb->ki_flags & IOCB_DIRECT;
	ssize_t ret;

	if (down_write_killable(&inode->i_rwsem))
		return -EINTR;
	ret = weft_write_prepare(iocb, from);
	if (ret <= 0)
		goto out_unlock;
	if (direct && !weft_is_inline(wi))
		ret = weft_direct_write(iocb, from);
	else
		ret = weft_buffered_write(iocb, from);
out_unlock:
	inode_unlock(inode);
	if (ret <= 0)
		return ret;
	if (test_bit(WEFT_I_SYNC, &wi->flags) || (direct && weft_is_inline(wi)))
		ret = weft_write_through(inode, iocb->ki_pos, ret);
	return ret > 0 ? generic_write_sync(iocb, ret) : ret;
}

static vm_fault_t weft_page_mkwrite(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	struct folio *folio = page_folio(vmf->page);
	vm_fault_t ret = VM_FAULT_LOCKED;

	if (weft_io_check(inode))
		return VM_FAULT_SIGBUS;
	sb_start_pagefault(inode->i_sb);
	file_update_time(vmf->vma->vm_file);
	filemap_invalidate_lock_shared(inode->i_mapping);
	if (weft_ranges_wait(inode) || folio_lock_killable(folio)) {
		ret = VM_FAULT_SIGBUS;
		goto out;
	}
	if (folio->mapping != inode->i_mapping || folio_pos(folio) >= i_size_read(inode)) {
		folio_unlock(folio);
		ret = VM_FAULT_NOPAGE;
	} else if ((inode->i_sb->s_iflags & SB_I_STABLE_WRITES) &&
		   folio_wait_writeback_killable(folio)) {
		folio_unlock(folio);
		ret = VM_FAULT_SIGBUS;
	} else {
		folio_mark_dirty(folio);
	}
out:
	filemap_invalidate_unlock_shared(inode->i_mapping);
	sb_end_pagefault(inode->i_sb);
	return ret;
}

static const struct vm_operations_struct weft_vm_ops = {
	.fault = filemap_fault,
	.map_pages = filemap_map_pages,
	.page_mkwrite = weft_page_mkwrite,
};

static int weft_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);
	int ret;

	ret = weft_io_check(inode);
	if (!ret)
		ret = weft_data_revalidate(inode);
	if (ret)
		return ret;
	file_accessed(file);
	vma->vm_ops = &weft_vm_ops;
	return 0;
}

static int weft_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct inode *inode = file_inode(file);
	int ret = weft_flush_inode(inode);
	int err = file_check_and_advance_wb_err(file);

	return ret == -EINTR ? ret : err ?: ret;
}

/* The last use of a registration, with all its data in one request, takes it back. */
static void weft_flush_last(struct file *file)
{
	struct inode *inode = file_inode(file);
	struct weft_inode *wi = WEFT_I(inode);

	if (weft_is_inline(wi) && wi->registered && wi->open_count == 1 &&
	    file_count(file) == 1 && mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY))
		set_bit(WEFT_I_CLOSE_NEXT, &wi->flags);
}

static int weft_flush(struct file *file, fl_owner_t id)
{
	struct inode *inode = file_inode(file);
	int ret = 0;

	if (!(file->f_mode & FMODE_WRITE))
		return 0;
	if (weft_stamp(weft_isb(inode), inode->i_ino)) {
		if (!weft_is_inline(WEFT_I(inode)))
			filemap_flush(inode->i_mapping);
	} else {
		weft_flush_last(file);
		ret = weft_flush_inode(inode);
		clear_bit(WEFT_I_CLOSE_NEXT, &WEFT_I(inode)->flags);
	}
	return ret ?: errseq_check(&inode->i_mapping->wb_err, READ_ONCE(file->f_wb_err));
}

const struct file_operations weft_file_fops = {
	.open = weft_open,
	.release = weft_release,
	.flush = weft_flush,
	.read_iter = weft_read_iter,
	.write_iter = weft_write_iter,
	.mmap = weft_mmap,
	.fsync = weft_fsync,
	.llseek = weft_llseek,
	.fallocate = weft_fallocate,
	.splice_read = filemap_splice_read,
	.splice_write = iter_file_splice_write,
	.setlease = simple_nosetlease,
};
