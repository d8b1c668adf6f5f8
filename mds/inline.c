// SPDX-License-Identifier: Apache-2.0
/*
 * Data of small files in the metadata group: READ_INLINE, WRITE_INLINE, and the way out of it
 * (SPILL); COMMIT of what was written to chunks.
 *
 * The stored bytes may be shorter than the file's size: zeros follow. They are replaced as a whole:
 * at most inline_max bytes, one key.
 *
 * SPILL: BEGIN marks the file as SPILLING by one session, DONE ends it. Until then the bytes here
 * are the truth; who changes them meanwhile makes the spill void, and DONE is refused. When a
 * client dies or gives up between BEGIN and DONE, the next BEGIN cuts the objects it may have left,
 * and only then marks the file again. Another live session's spill is waited for (WEFT_S_BUSY).
 */
#include <stdlib.h>
#include <string.h>

#include "mds/names.h"

static u64 used_bytes(size_t len)
{
	return (len + 511) & ~511ull;
}

static int read_data(struct mds_op *op, const struct mds_inode *i, struct weft_kv_val *val)
{
	char key[MDS_KEY_MAX];
	int ret;

	val->data = NULL;
	val->len = 0;
	if (!(i->flags & MDS_INO_DATA))
		return 0;
	ret = mds_read_key(op->m, MDS_CF_INLINE, key, mds_key_ino(key, i->ino), val);
	return ret == -ENOENT ? 0 : ret;
}

int mds_fill_data(struct mds_op *op, const struct mds_inode *i)
{
	struct weft_kv_val val;
	int ret;

	if (!mds_is_lnk(i->mode) && !(i->lflags & WEFT_LAYOUT_INLINE))
		return 0;
	/* Attributes and bytes must be of the same moment. */
	if (mds_inflight(op->m, i->ino))
		return MDS_DEFER;
	ret = read_data(op, i, &val);
	if (ret)
		return ret;
	if (val.len > op->bulk_max) {
		weft_kv_val_fini(&val);
		return 0;
	}
	free(op->data);
	op->data = val.data;
	op->data_len = val.len;
	return 0;
}

int mds_run_read_inline(struct mds_op *op)
{
	struct mds_inode i;
	int ret;

	ret = mds_read_inode(&op->tx, op->ino, &i);
	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	if (!(i.lflags & WEFT_LAYOUT_INLINE) && !mds_is_lnk(i.mode))
		return WEFT_S_LAYOUT;
	ret = mds_fill_data(op, &i);
	if (ret)
		return ret;
	mds_inode_attr(&i, &op->rep.attr.attr);
	op->rep.attr.prev_change = cpu_to_le64(i.change);
	op->rep.attr.prev_data = cpu_to_le64(i.data_version);
	op->rep_len = sizeof(op->rep.attr);
	return 0;
}

static int put_data(struct mds_op *op, struct mds_node *n, const void *data, size_t len)
{
	char key[MDS_KEY_MAX];
	size_t klen = mds_key_ino(key, n->i.ino);

	n->i.bytes_used = used_bytes(len);
	if (!len)
		return n->i.flags & MDS_INO_DATA ? mds_tx_del(&op->tx, MDS_CF_INLINE, key, klen) :
						   0;
	n->i.flags |= MDS_INO_DATA;
	return mds_tx_put(&op->tx, MDS_CF_INLINE, key, klen, data, len);
}

/* What a spill under way has moved is not the content any more. */
static void void_spill(struct mds_inode *i)
{
	if (i->lflags & WEFT_LAYOUT_SPILLING)
		i->lflags |= WEFT_LAYOUT_SPILL_VOID;
}

int mds_truncate_inline(struct mds_op *op, struct mds_node *n, u64 size)
{
	struct weft_kv_val val;
	int ret;

	ret = read_data(op, &n->i, &val);
	if (ret)
		return ret;
	if (size < val.len)
		ret = put_data(op, n, val.data, size);
	weft_kv_val_fini(&val);
	n->i.size = size;
	void_spill(&n->i);
	return ret;
}

static int take_file(struct mds_op *op, struct mds_node **n)
{
	const struct weft_write_req *req = op->body;
	int ret;

	if ((le32_to_cpu(req->flags) & ~WEFT_WRITE_KNOWN) ||
	    le32_to_cpu(req->mtime.nsec) >= 1000000000)
		return -EINVAL;
	if (le64_to_cpu(req->size) > WEFT_FILE_SIZE_MAX ||
	    le64_to_cpu(req->offset) > WEFT_FILE_SIZE_MAX)
		return -EFBIG;
	ret = mds_tx_inode(&op->tx, op->ino, n);
	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	return mds_is_reg((*n)->i.mode) ? 0 : -EINVAL;
}

static void close_written(struct mds_op *op)
{
	const struct weft_ns_req *ns = op->body;

	if (mds_open_del(op->session, op->ino, le64_to_cpu(ns->open_id)))
		mds_orphan_check(op->m, op->ino);
	mds_finish(op, 0);
}

/* The content has changed: times, versions, privileges; the reply; close on request. */
static int written(struct mds_op *op, struct mds_node *n)
{
	const struct weft_write_req *req = op->body;
	u32 flags = le32_to_cpu(req->flags);

	n->i.mtime = n->i.ctime = op->now;
	if (flags & WEFT_WRITE_MTIME)
		n->i.mtime = (struct mds_time){ .sec = le64_to_cpu(req->mtime.sec),
						.nsec = le32_to_cpu(req->mtime.nsec) };
	n->i.change++;
	n->i.data_version++;
	if (!mds_capable(&op->creds, WEFT_CAP_FSETID))
		n->i.mode = mds_kill_priv(n->i.mode);
	mds_reply_attr(op, n);
	if (flags & WEFT_WRITE_CLOSE)
		op->after = close_written;
	return 0;
}

int mds_run_write_inline(struct mds_op *op)
{
	const struct weft_write_req *req = op->body;
	u64 off = le64_to_cpu(req->offset), end = off + op->bulk_len;
	struct weft_kv_val val;
	struct mds_node *n;
	char *data;
	int ret;

	ret = take_file(op, &n);
	if (ret)
		return ret;
	if (!(n->i.lflags & WEFT_LAYOUT_INLINE) || end > n->i.inline_max)
		return WEFT_S_LAYOUT;
	ret = read_data(op, &n->i, &val);
	if (ret)
		return ret;
	data = calloc(1, (end > val.len ? end : val.len) + 1);
	if (!data) {
		weft_kv_val_fini(&val);
		return -ENOMEM;
	}
	if (val.len)
		memcpy(data, val.data, val.len);
	if (op->bulk_len)
		memcpy(data + off, op->bulk, op->bulk_len);
	ret = put_data(op, n, data, end > val.len ? end : val.len);
	free(data);
	weft_kv_val_fini(&val);
	if (end > n->i.size)
		n->i.size = end;
	void_spill(&n->i);
	return ret ? ret : written(op, n);
}

static void add_bytes(struct mds_inode *i, s64 delta)
{
	if (delta < 0 && (u64)-delta > i->bytes_used)
		i->bytes_used = 0;
	else
		i->bytes_used += delta;
}

int mds_run_commit(struct mds_op *op)
{
	const struct weft_write_req *req = op->body;
	struct mds_node *n;
	int ret;

	ret = take_file(op, &n);
	if (ret)
		return ret;
	if (n->i.lflags & WEFT_LAYOUT_INLINE)
		return WEFT_S_LAYOUT;
	if (le64_to_cpu(req->size) > n->i.size)
		n->i.size = le64_to_cpu(req->size);
	add_bytes(&n->i, le64_to_cpu(req->bytes_delta));
	return written(op, n);
}

static int spill_begin(struct mds_op *op, struct mds_node *n)
{
	struct mds_inode before = n->i;
	struct mds_session *s;
	bool cut = false;
	int ret;

	if (op->cut_done) {
		ret = mds_cut_end(op, n);
		if (ret)
			return ret;
	} else if (n->i.lflags & WEFT_LAYOUT_SPILLING) {
		s = mds_session_find(op->m, n->i.spill_session);
		if (s && s->live && s != op->session)
			return WEFT_S_BUSY;
		cut = true;
	}
	n->i.lflags |= WEFT_LAYOUT_SPILLING;
	n->i.lflags &= ~WEFT_LAYOUT_SPILL_VOID;
	n->i.spill_session = op->session_id;
	n->i.change++;
	mds_reply_attr(op, n);
	return cut ? mds_cut(op, n, MDS_CUT_SPILL, &before) : 0;
}

/* Is it this session that moves the file? */
static bool spills(const struct mds_op *op, const struct mds_node *n)
{
	return (n->i.lflags & WEFT_LAYOUT_SPILLING) && n->i.spill_session == op->session_id;
}

static int spill_abort(struct mds_op *op, struct mds_node *n)
{
	if (!spills(op, n))
		return WEFT_S_LAYOUT;
	n->i.lflags |= WEFT_LAYOUT_SPILL_VOID;
	n->i.spill_session = 0;
	n->i.change++;
	mds_reply_attr(op, n);
	return 0;
}

static int spill_done(struct mds_op *op, struct mds_node *n)
{
	const struct weft_write_req *req = op->body;
	int ret;

	if (!spills(op, n) || (n->i.lflags & WEFT_LAYOUT_SPILL_VOID))
		return WEFT_S_LAYOUT;
	ret = put_data(op, n, NULL, 0);
	if (ret)
		return ret;
	n->i.flags &= ~MDS_INO_DATA;
	n->i.lflags &= ~(WEFT_LAYOUT_INLINE | WEFT_LAYOUT_SPILLING);
	n->i.spill_session = 0;
	if (le64_to_cpu(req->size) > n->i.size)
		n->i.size = le64_to_cpu(req->size);
	add_bytes(&n->i, le64_to_cpu(req->bytes_delta));
	return written(op, n);
}

int mds_run_spill(struct mds_op *op)
{
	const struct weft_write_req *req = op->body;
	u32 step = le32_to_cpu(req->flags) & (WEFT_WRITE_SPILL_BEGIN | WEFT_WRITE_SPILL_DONE |
					      WEFT_WRITE_SPILL_ABORT);
	struct mds_node *n;
	int ret;

	ret = take_file(op, &n);
	if (ret)
		return ret;
	if (!(n->i.lflags & WEFT_LAYOUT_INLINE))
		return WEFT_S_LAYOUT;
	if (step == WEFT_WRITE_SPILL_BEGIN)
		return spill_begin(op, n);
	if (step == (WEFT_WRITE_SPILL_BEGIN | WEFT_WRITE_SPILL_DONE)) {
		if (n->i.size || (n->i.lflags & WEFT_LAYOUT_SPILLING))
			return -EINVAL;
		ret = spill_begin(op, n);
		return ret ? ret : spill_done(op, n);
	}
	if (step == WEFT_WRITE_SPILL_ABORT)
		return spill_abort(op, n);
	return step == WEFT_WRITE_SPILL_DONE ? spill_done(op, n) : -EINVAL;
}
