// SPDX-License-Identifier: GPL-2.0
/*
 * SEEK_DATA and SEEK_HOLE.
 *
 * Dirty pages are written first, then the data servers know. For data every group that has chunks
 * of the file is asked for its first byte at or behind the position, and the smallest answer
 * counts; for a hole each chunk is asked. The first question is alone, for it often is enough; then
 * many are under way at the same time. Allocated bytes say nothing about holes: space that is
 * reserved and not written is one. The end of the file is a hole; an inline file is data to its
 * end.
 *
 * Who waits can be killed; the answers to what is under way then go nowhere.
 *
 * Protection: i_rwsem (shared) keeps the size. A question belongs to its request's @done while it
 * is under way, then to who asks.
 */
#include "internal.h"

/* Requests that are under way at the same time. */
#define WEFT_SEEK_MANY 16

/* struct weft_seek_one - a question */
struct weft_seek_one {
	struct weft_seek *seek;
	loff_t pos;
	loff_t found; /* position, LLONG_MAX if nothing was found, or an error */
};

/**
 * struct weft_seek - questions that are asked together
 * @ref: questions under way and who asks
 * @flying: questions under way
 * @wsb: the mount
 * @layout: of the file
 * @flags: WEFT_OBJ_DATA or WEFT_OBJ_HOLE
 * @n: how many are asked
 * @one: the questions
 */
struct weft_seek {
	refcount_t ref;
	atomic_t flying;
	struct weft_sb *wsb;
	struct weft_layout layout;
	u32 flags;
	unsigned int n;
	struct weft_seek_one one[WEFT_SEEK_MANY];
};

static void weft_seek_put(struct weft_seek *seek)
{
	if (refcount_dec_and_test(&seek->ref))
		kfree(seek);
}

static loff_t weft_seek_result(struct weft_rpc *rpc, const struct weft_seek_one *one)
{
	const struct weft_obj_rep *rep;
	loff_t found;

	if (rpc->error)
		return rpc->error;
	rep = weft_rpc_reply(rpc);
	if (!(le32_to_cpu(rep->flags) & WEFT_OBJ_REP_FOUND))
		return LLONG_MAX;
	found = (le64_to_cpu(rep->chunk) << one->seek->layout.chunk_shift) + le32_to_cpu(rep->off);
	return found < one->pos ? -EPROTO : found;
}

static void weft_seek_done(struct weft_rpc *rpc)
{
	struct weft_seek_one *one = rpc->priv;
	struct weft_seek *seek = one->seek;

	one->found = weft_seek_result(rpc, one);
	atomic_dec(&seek->flying);
	wake_up_var(&seek->flying);
	weft_async_put(seek->wsb);
	weft_seek_put(seek);
}

/* One more OBJ_SEEK, for what is at or behind @pos on a group. Return: 0 or a negative errno. */
static int weft_seek_send(struct weft_seek *seek, u64 ino, u32 group, loff_t pos)
{
	u32 shift = seek->layout.chunk_shift;
	struct weft_seek_one *one = &seek->one[seek->n];
	struct weft_obj_req *req;
	struct weft_rpc *rpc;

	if (!group)
		return -EIO;
	rpc = weft_rpc_alloc(seek->wsb->fs, WEFT_OP_OBJ_SEEK, 0, GFP_KERNEL);
	if (!rpc)
		return -ENOMEM;
	weft_rpc_to_group(rpc, group);
	req = rpc->body;
	req->ino = cpu_to_le64(ino);
	req->chunk = cpu_to_le64(pos >> shift);
	req->off = cpu_to_le32(pos & ((1u << shift) - 1));
	req->flags = cpu_to_le32(seek->flags);
	req->chunk_shift = shift;
	one->seek = seek;
	one->pos = pos;
	seek->n++;
	rpc->done = weft_seek_done;
	rpc->priv = one;
	refcount_inc(&seek->ref);
	atomic_inc(&seek->flying);
	weft_async_get(seek->wsb);
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
	return 0;
}

static int weft_seek_wait(struct weft_seek *seek)
{
	return wait_var_event_killable(&seek->flying, !atomic_read(&seek->flying)) ? -EINTR : 0;
}

/*
 * The first data at or behind @pos. Chunks go round the groups: when the first one comes again, all
 * have been asked. Most often the first one has the answer.
 */
static loff_t weft_seek_data(struct weft_seek *seek, u64 ino, loff_t pos)
{
	struct weft_fs *fs = seek->wsb->fs;
	u64 first = pos >> seek->layout.chunk_shift, chunk = first;
	u32 group, first_group = weft_fs_chunk_group(fs, &seek->layout, first);
	unsigned int i, many = 1;
	loff_t best = LLONG_MAX;
	bool round = false;
	int ret;

	while (!round) {
		for (seek->n = 0; seek->n < many; chunk++) {
			group = weft_fs_chunk_group(fs, &seek->layout, chunk);
			round = chunk != first &&
				(group == first_group || chunk - first >= U16_MAX);
			if (round)
				break;
			ret = weft_seek_send(seek, ino, group, pos);
			if (ret)
				return ret;
		}
		ret = weft_seek_wait(seek);
		if (ret)
			return ret;
		for (i = 0; i < seek->n; i++)
			best = min(best, seek->one[i].found);
		if (best < 0 || best >> seek->layout.chunk_shift == first)
			break;
		many = WEFT_SEEK_MANY;
	}
	return best;
}

/* The first hole at or behind @pos; each chunk is asked for its own. */
static loff_t weft_seek_hole(struct weft_seek *seek, u64 ino, loff_t pos, loff_t size)
{
	u32 shift = seek->layout.chunk_shift;
	unsigned int i, many = 1;
	loff_t next;
	u32 group;
	int ret;

	while (pos < size) {
		for (seek->n = 0; seek->n < many && pos < size; pos = next) {
			next = ((pos >> shift) + 1) << shift;
			group = weft_fs_chunk_group(seek->wsb->fs, &seek->layout, pos >> shift);
			ret = weft_seek_send(seek, ino, group, pos);
			if (ret)
				return ret;
		}
		ret = weft_seek_wait(seek);
		if (ret)
			return ret;
		for (i = 0; i < seek->n; i++) {
			next = ((seek->one[i].pos >> shift) + 1) << shift;
			if (seek->one[i].found < next)
				return seek->one[i].found;
		}
		many = WEFT_SEEK_MANY;
	}
	return size;
}

static loff_t weft_seek_sparse(struct file *file, loff_t pos, int whence)
{
	struct inode *inode = file_inode(file);
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_layout layout = wi->layout;
	loff_t size = i_size_read(inode), found;
	struct weft_seek *seek;
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
	seek = kzalloc(sizeof(*seek), GFP_KERNEL);
	if (!seek)
		return -ENOMEM;
	refcount_set(&seek->ref, 1);
	seek->wsb = weft_isb(inode);
	seek->layout = layout;
	seek->flags = whence == SEEK_HOLE ? WEFT_OBJ_HOLE : WEFT_OBJ_DATA;
	if (whence == SEEK_HOLE) {
		found = min(weft_seek_hole(seek, inode->i_ino, pos, size), size);
	} else {
		found = weft_seek_data(seek, inode->i_ino, pos);
		if (found >= size)
			found = -ENXIO;
	}
	weft_seek_put(seek);
	return found;
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
