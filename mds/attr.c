// SPDX-License-Identifier: Apache-2.0
/*
 * GETATTR and SETATTR: attributes, with the rules of chmod, chown, utimensat and truncate.
 *
 * A new size of a file in chunks is carried out on the data servers first (cut.c), also a larger
 * one: nothing that lies behind the old end may come to light. The op runs twice, with the inode
 * locked between; all checks are made in the first run.
 */
#include <string.h>
#include <sys/stat.h>

#include "mds/names.h"

#define SET_TIMES                                                                                  \
	(WEFT_SET_ATIME | WEFT_SET_MTIME | WEFT_SET_ATIME_NOW | WEFT_SET_MTIME_NOW)

int mds_run_getattr(struct mds_op *op)
{
	struct mds_inode i;
	int ret;

	ret = mds_read_inode(&op->tx, op->ino, &i);
	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	if (op->flags & WEFT_NS_WANT_DATA) {
		ret = mds_fill_data(op, &i);
		if (ret)
			return ret;
	}
	mds_inode_attr(&i, &op->rep.attr.attr);
	op->rep.attr.prev_change = cpu_to_le64(i.change);
	op->rep.attr.prev_data = cpu_to_le64(i.data_version);
	op->rep_len = sizeof(op->rep.attr);
	return 0;
}

void mds_reply_attr(struct mds_op *op, const struct mds_node *n)
{
	mds_node_result(n, &op->rep.attr);
	op->rep_len = sizeof(op->rep.attr);
}

static int check_owner(const struct mds_creds *c, const struct mds_inode *i,
		       const struct weft_setattr_req *req, u32 valid)
{
	u32 uid = le32_to_cpu(req->uid), gid = le32_to_cpu(req->gid);
	bool chown_cap = mds_capable(c, WEFT_CAP_CHOWN);

	if ((valid & WEFT_SET_UID) && !chown_cap && (c->uid != i->uid || uid != i->uid))
		return -EPERM;
	if ((valid & WEFT_SET_GID) && !chown_cap &&
	    (c->uid != i->uid || (gid != i->gid && !mds_in_group(c, gid))))
		return -EPERM;
	return 0;
}

/* chown takes the privileges of a program away; the client may say so by a mode that lacks them. */
static bool only_drops_priv(const struct mds_inode *i, const struct weft_setattr_req *req)
{
	u32 mode = le32_to_cpu(req->mode) & 07777;

	return (mode | S_ISUID | S_ISGID) == ((i->mode & 07777) | S_ISUID | S_ISGID) &&
	       !(mode & ~i->mode & (S_ISUID | S_ISGID));
}

static int check_times(struct mds_op *op, const struct mds_inode *i, u32 valid)
{
	/* A client that keeps access times of open files sends them late, for whoever read. */
	if ((op->flags & WEFT_NS_BY_HANDLE) && (valid & SET_TIMES) == WEFT_SET_ATIME)
		return 0;
	if (mds_owner_or_capable(&op->creds, i))
		return 0;
	if (valid & (WEFT_SET_ATIME | WEFT_SET_MTIME))
		return -EPERM;
	return mds_permission(&op->creds, i, MDS_MAY_WRITE);
}

static int check_size(struct mds_op *op, const struct mds_inode *i,
		      const struct weft_setattr_req *req)
{
	if (mds_is_dir(i->mode))
		return -EISDIR;
	if (!mds_is_reg(i->mode))
		return -EINVAL;
	if (le64_to_cpu(req->size) > WEFT_FILE_SIZE_MAX)
		return -EFBIG;
	if (op->flags & WEFT_NS_BY_HANDLE)
		return 0;
	return mds_permission(&op->creds, i, MDS_MAY_WRITE);
}

static int setattr_check(struct mds_op *op, const struct mds_inode *i, u32 valid)
{
	const struct weft_setattr_req *req = op->body;
	int ret = 0;

	if (valid & ~WEFT_SET_KNOWN)
		return -EINVAL;
	if (le32_to_cpu(req->atime.nsec) >= 1000000000 ||
	    le32_to_cpu(req->mtime.nsec) >= 1000000000)
		return -EINVAL;
	if (valid & WEFT_SET_SIZE)
		ret = check_size(op, i, req);
	if (!ret)
		ret = check_owner(&op->creds, i, req, valid);
	if (!ret && (valid & WEFT_SET_MODE) && !mds_owner_or_capable(&op->creds, i) &&
	    !((valid & (WEFT_SET_UID | WEFT_SET_GID)) && only_drops_priv(i, req)))
		ret = -EPERM;
	if (!ret && (valid & SET_TIMES) && !(valid & WEFT_SET_SIZE))
		ret = check_times(op, i, valid);
	return ret;
}

static struct mds_time time_of(struct weft_time t)
{
	return (struct mds_time){ .sec = le64_to_cpu(t.sec), .nsec = le32_to_cpu(t.nsec) };
}

static void setattr_apply(struct mds_op *op, struct mds_inode *i, u32 valid)
{
	const struct weft_setattr_req *req = op->body;

	if (valid & WEFT_SET_UID)
		i->uid = le32_to_cpu(req->uid);
	if (valid & WEFT_SET_GID)
		i->gid = le32_to_cpu(req->gid);
	if (valid & WEFT_SET_MODE)
		i->mode = mds_type(i->mode) |
			  mds_strip_sgid(&op->creds, le32_to_cpu(req->mode) & 07777, i->gid);
	else if ((valid & (WEFT_SET_UID | WEFT_SET_GID)) && !mds_is_dir(i->mode))
		i->mode = mds_kill_priv(i->mode);
	if (valid & WEFT_SET_KILL_PRIV)
		i->mode = mds_strip_sgid(&op->creds, mds_kill_priv(i->mode), i->gid);
	if (valid & WEFT_SET_SIZE) {
		i->mtime = op->now;
		i->data_version++;
	}
	if (valid & (WEFT_SET_ATIME | WEFT_SET_ATIME_NOW))
		i->atime = valid & WEFT_SET_ATIME ? time_of(req->atime) : op->now;
	if (valid & (WEFT_SET_MTIME | WEFT_SET_MTIME_NOW))
		i->mtime = valid & WEFT_SET_MTIME ? time_of(req->mtime) : op->now;
	if (valid != WEFT_SET_ATIME || !(op->flags & WEFT_NS_BY_HANDLE))
		i->ctime = op->now;
	i->change++;
}

/*
 * The file grows: must bytes behind its end be cut, that a client wrote and died before COMMIT? Not
 * while another client has it open, whose bytes they may be; COMMIT is to follow. An empty file may
 * have such bytes too.
 */
static bool stale_behind(const struct mds_op *op, const struct mds_inode *i)
{
	return !mds_open_elsewhere(op->session, i->ino);
}

/* @cut: must objects be cut before the new size may be seen? */
static int set_size(struct mds_op *op, struct mds_node *n, u64 size, bool *cut)
{
	int ret = 0;

	if (n->i.lflags & WEFT_LAYOUT_INLINE)
		return mds_truncate_inline(op, n, size);
	if (op->cut_done)
		ret = mds_cut_end(op, n);
	else
		*cut = size <= n->i.size || stale_behind(op, &n->i);
	n->i.size = size;
	return ret;
}

int mds_run_setattr(struct mds_op *op)
{
	const struct weft_setattr_req *req = op->body;
	u32 valid = le32_to_cpu(req->valid);
	struct mds_inode before;
	struct mds_node *n;
	bool cut = false;
	int ret;

	ret = mds_tx_inode(&op->tx, op->ino, &n);
	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	before = n->i;
	ret = setattr_check(op, &n->i, valid);
	if (ret)
		return ret;
	if (valid & WEFT_SET_SIZE) {
		ret = set_size(op, n, le64_to_cpu(req->size), &cut);
		if (ret)
			return ret;
	}
	setattr_apply(op, &n->i, valid);
	mds_reply_attr(op, n);
	return cut ? mds_cut(op, n, MDS_CUT_TRUNCATE, &before) : 0;
}
