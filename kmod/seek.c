// SPDX-License-Identifier: GPL-2.0
/*
 * SEEK_DATA and SEEK_HOLE.
 *
 * Dirty pages are written first, then the data servers know. For data every group that has chunks
 * of the file is asked for its first byte at or behind the position, and the smallest answer
 * counts; for a hole chunk after chunk is asked. The end of the file is a hole; an inline file is
 * data to its end.
 *
 * Protection: i_rwsem (shared) keeps the size.
 */
#include "internal.h"

/* OBJ_SEEK. Return: position, LLONG_MAX if nothing was found, or an error. */
static loff_t weft_seek_ask(struct inode *inode, const struct weft_layout *layout, u32 group,
			    u32 flags, loff_t pos)
{
	struct weft_sb *wsb = weft_isb(inode);
	const struct weft_obj_rep *rep;
	struct weft_obj_req *req;
	struct weft_rpc *rpc;
	u32 mask = (1u << layout->chunk_shift) - 1;
	loff_t found;

	if (!group)
		return -EIO;
	rpc = weft_rpc_alloc(wsb->fs, WEFT_OP_OBJ_SEEK, 0, GFP_KERNEL);
	if (!rpc)
		return -ENOMEM;
	weft_rpc_to_group(rpc, group);
	req = rpc->body;
	req->ino = cpu_to_le64(inode->i_ino);
	req->chunk = cpu_to_le64(pos >> layout->chunk_shift);
	req->off = cpu_to_le32(pos & mask);
	req->flags = cpu_to_le32(flags);
	req->chunk_shift = layout->chunk_shift;
	found = weft_rpc_call(rpc);
	if (found)
		goto out_put;
	rep = weft_rpc_reply(rpc);
	found = LLONG_MAX;
	if (le32_to_cpu(rep->flags) & WEFT_OBJ_REP_FOUND)
		found = (le64_to_cpu(rep->chunk) << layout->chunk_shift) + le32_to_cpu(rep->off);
	if (found < pos)
		found = -EPROTO;
out_put:
	weft_rpc_put(rpc);
	return found;
}

/* The first data at or behind @pos. */
static loff_t weft_seek_data(struct inode *inode, const struct weft_layout *layout, loff_t pos)
{
	struct weft_fs *fs = weft_isb(inode)->fs;
	u64 first = pos >> layout->chunk_shift, chunk;
	u32 group, first_group = weft_fs_chunk_group(fs, layout, first);
	loff_t best = LLONG_MAX, found;

	/* Chunks go round the groups: when the first one comes again, all have been asked. */
	for (chunk = first; chunk - first < U16_MAX; chunk++) {
		group = weft_fs_chunk_group(fs, layout, chunk);
		if (chunk != first && group == first_group)
			break;
		found = weft_seek_ask(inode, layout, group, WEFT_OBJ_DATA, pos);
		if (found < 0)
			return found;
		best = min(best, found);
		if (best >> layout->chunk_shift == first)
			break;
	}
	return best;
}

/* The first hole at or behind @pos. */
static loff_t weft_seek_hole(struct inode *inode, const struct weft_layout *layout, loff_t pos,
			     loff_t size)
{
	struct weft_fs *fs = weft_isb(inode)->fs;
	loff_t next, found;

	for (; pos < size; pos = next) {
		next = ((pos >> layout->chunk_shift) + 1) << layout->chunk_shift;
		found = weft_seek_ask(inode, layout,
				      weft_fs_chunk_group(fs, layout, pos >> layout->chunk_shift),
				      WEFT_OBJ_HOLE, pos);
		if (found < 0 || found < next)
			return found;
	}
	return size;
}

static loff_t weft_seek_sparse(struct file *file, loff_t pos, int whence)
{
	struct inode *inode = file_inode(file);
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_layout layout = wi->layout;
	loff_t size = i_size_read(inode), found;
	int ret;

	if (pos < 0 || pos >= size)
		return -ENXIO;
	if (weft_is_inline(wi))
		return whence == SEEK_DATA ? pos : size;
	if (layout.chunk_shift < WEFT_CHUNK_SHIFT_MIN || layout.chunk_shift > WEFT_CHUNK_SHIFT_MAX)
		return -EIO;
	ret = weft_write_range(inode, 0, LLONG_MAX);
	if (ret)
		return ret;
	if (whence == SEEK_HOLE) {
		found = weft_seek_hole(inode, &layout, pos, size);
		return found < 0 ? found : min(found, size);
	}
	found = weft_seek_data(inode, &layout, pos);
	return found >= size ? -ENXIO : found;
}

loff_t weft_llseek(struct file *file, loff_t off, int whence)
{
	struct inode *inode = file_inode(file);
	loff_t ret;

	if (whence == SEEK_END && !weft_attr_valid(inode)) {
		ret = weft_attr_fetch(inode);
		if (ret)
			return ret;
	}
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, off, whence);
	ret = weft_io_check(inode);
	if (ret)
		return ret;
	if (down_read_killable(&inode->i_rwsem))
		return -EINTR;
	ret = weft_seek_sparse(file, off, whence);
	inode_unlock_shared(inode);
	if (ret < 0)
		return ret;
	return vfs_setpos(file, ret, inode->i_sb->s_maxbytes);
}
