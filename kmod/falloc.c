// SPDX-License-Identifier: GPL-2.0
/*
 * fallocate: reserving space, punching holes, zeroing ranges.
 *
 * Files in chunks: dirty pages of the range are written, its page cache is dropped, and the data
 * servers are told chunk by chunk. Inline files: a hole is zeros written through the page cache;
 * space needs no reserving while the file stays inline, and it moves to chunks if it does not. A
 * failure in the middle leaves the chunks before it done.
 *
 * Protection: i_rwsem; invalidate_lock keeps faults away while data is dropped.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/mm.h>
#include "internal.h"

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
