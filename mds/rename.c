// SPDX-License-Identifier: Apache-2.0
/*
 * RENAME: the group of the old directory coordinates.
 *
 * Happy path within one group: find both entries, check, do it. When the new directory is elsewhere
 * its entry is looked up there first; the transaction then insists that it is still the same.
 *
 * A directory that moves to another parent must not become its own descendant. With one metadata
 * group the way to the root is walked at once. With several, the cluster's rename lock
 * (rename_lock.c) is taken first, so that no other directory moves meanwhile; then the walk asks
 * other groups. The run comes again after each answer; struct rename keeps what was learned.
 *
 * Fault points: mds.rename.locked, mds.rename.walked.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fault.h"
#include "mds/names.h"

#define DEPTH_MAX 65536u

struct rename {
	struct mds_call call;
	struct mds_op *op;
	/* the entry in a remote directory, as of try number @tries */
	bool resolved;
	u32 tries;
	u64 dst_ino;
	u32 dst_type, dir_mode, dir_uid;
	/* the lock and the walk */
	u64 lock_seq;
	bool locked;
	u32 walks; /* done, for these two: */
	u64 walk_src, walk_dst;
	u64 at;	   /* next directory to look at, 0: walk not begun */
	u32 depth;
	int err; /* of a call */
};

/* What one run found. */
struct found {
	struct mds_inode old_dir, new_dir;
	u64 src, dst;
	u32 src_type, dst_type;
	u32 flags;
	u64 new_ino;
	bool moves; /* to another directory */
};

struct unlock {
	struct mds_call call;
};

static void unlocked(struct mds_call *call)
{
	free(call->arg);
}

static void unlock(struct mds *m, u64 seq)
{
	struct weft_rename_lock_req req = { .id = { .group = cpu_to_le32(m->group),
						    .seq = cpu_to_le64(seq) } };
	struct mds_rename_lock *rl = &m->rename_lock;
	struct unlock *u;
	u32 k;

	for (k = 0; k < rl->nheld; k++)
		if (rl->held[k] == seq)
			rl->held[k--] = rl->held[--rl->nheld];
	u = m->closing ? NULL : calloc(1, sizeof(*u));
	if (!u)
		return; /* the lock's server asks when somebody waits for it */
	u->call = (struct mds_call){ .group = mds_group_of(m, WEFT_INO_ROOT),
				     .opcode = WEFT_OP_RENAME_UNLOCK, .body = &req,
				     .body_len = sizeof(req), .done = unlocked, .arg = u };
	m->cfg.net->call(m->cfg.net_arg, &u->call);
}

static void rename_fini(struct mds_op *op)
{
	struct rename *r = op->priv;

	if (r && r->lock_seq)
		unlock(op->m, r->lock_seq);
	free(r);
}

static struct rename *rename_state(struct mds_op *op)
{
	struct rename *r = op->priv;

	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return NULL;
		r->op = op;
		op->priv = r;
		op->fini = rename_fini;
	}
	return r;
}

/* --- asking other groups */

static int ask(struct rename *r, u32 group, u16 opcode, const void *body, size_t len,
	       const char *name, u32 name_len, void (*done)(struct mds_call *call))
{
	struct mds *m = r->op->m;

	if (!group)
		return -ESTALE;
	r->call = (struct mds_call){ .group = group, .opcode = opcode, .body = body,
				     .body_len = len, .tail = name, .tail_len = name_len,
				     .done = done, .arg = r };
	m->cfg.net->call(m->cfg.net_arg, &r->call);
	return MDS_ASYNC;
}

static void answered(struct rename *r, int err)
{
	struct mds_op *op = r->op;

	if (err == WEFT_S_BUSY || err == -ECANCELED || err == -ENOMEM)
		mds_retry(op, 20);
	else if (err)
		mds_finish(op, err);
	else
		mds_submit(op);
}

static struct weft_ns_req ask_ns(u64 ino, u32 name_len)
{
	return (struct weft_ns_req){ .creds = { .caps = cpu_to_le32(WEFT_CAP_ALL) },
				     .ino = cpu_to_le64(ino),
				     .name_len = cpu_to_le16(name_len) };
}

static void resolve_done(struct mds_call *call)
{
	struct rename *r = call->arg;
	const struct weft_entry_rep *rep = call->rep;
	bool absent = call->err == -ENOENT;

	if ((!call->err || absent) && call->rep_len >= sizeof(*rep)) {
		r->resolved = true;
		r->tries = r->op->tries;
		r->dst_ino = absent ? 0 : le64_to_cpu(rep->attr.ino);
		r->dst_type = absent ? 0 : mds_type(le32_to_cpu(rep->attr.mode));
		r->dir_mode = le32_to_cpu(rep->dir.mode);
		r->dir_uid = le32_to_cpu(rep->dir.uid);
		answered(r, 0);
		return;
	}
	answered(r, call->err ? call->err : -EPROTO);
}

/* The new directory and its entry. */
static int find_new(struct mds_op *op, struct rename *r, struct found *f)
{
	struct weft_ns_req ns;
	int ret;

	if (mds_is_local(op->m, f->new_ino)) {
		ret = mds_get_dir(op, f->new_ino, &f->new_dir);
		if (ret)
			return ret;
		ret = mds_find_entry(op, &f->new_dir, op->name2, op->name2_len, &f->dst,
				     &f->dst_type);
		return ret == -ENOENT ? 0 : ret;
	}
	if (!r->resolved || r->tries != op->tries) {
		ns = ask_ns(f->new_ino, op->name2_len);
		return ask(r, mds_group_of(op->m, f->new_ino), WEFT_OP_LOOKUP, &ns, sizeof(ns),
			   op->name2, op->name2_len, resolve_done);
	}
	f->new_dir = (struct mds_inode){ .ino = f->new_ino, .mode = r->dir_mode,
					 .uid = r->dir_uid, .nlink = 2 };
	f->dst = r->dst_ino;
	f->dst_type = r->dst_type;
	return 0;
}

/* --- no loops */

static void lock_done(struct mds_call *call)
{
	struct rename *r = call->arg;

	if (!call->err) {
		WEFT_FAULT("mds.rename.locked");
		r->locked = true;
	}
	answered(r, call->err);
}

static int take_lock(struct mds_op *op, struct rename *r)
{
	struct mds_rename_lock *rl = &op->m->rename_lock;
	struct weft_rename_lock_req req = { .id = { .group = cpu_to_le32(op->m->group) } };

	if (!r->lock_seq) {
		if (rl->nheld == sizeof(rl->held) / sizeof(rl->held[0]))
			return WEFT_S_BUSY;
		r->lock_seq = mds_txn_next(op->m);
		rl->held[rl->nheld++] = r->lock_seq;
	}
	req.id.seq = cpu_to_le64(r->lock_seq);
	return ask(r, mds_group_of(op->m, WEFT_INO_ROOT), WEFT_OP_RENAME_LOCK, &req, sizeof(req),
		   NULL, 0, lock_done);
}

static void walk_done(struct mds_call *call)
{
	struct rename *r = call->arg;
	const struct weft_attr_rep *rep = call->rep;

	if (!call->err && !mds_is_dir(le32_to_cpu(rep->attr.mode)))
		call->err = -ESTALE;
	if (!call->err)
		r->at = le64_to_cpu(rep->attr.parent);
	answered(r, call->err);
}

/* From @start up to the root; @not must not be on the way. */
static int walk(struct mds_op *op, struct rename *r, u64 start, u64 not)
{
	struct mds_inode i;
	struct weft_ns_req ns;
	int ret;

	if (!r->at) {
		r->at = start;
		r->depth = 0;
	}
	while (r->at != WEFT_INO_ROOT) {
		if (r->at == not)
			return -EINVAL;
		if (r->depth++ > DEPTH_MAX)
			return -ELOOP;
		if (!mds_is_local(op->m, r->at)) {
			ns = ask_ns(r->at, 0);
			return ask(r, mds_group_of(op->m, r->at), WEFT_OP_GETATTR, &ns,
				   sizeof(ns), NULL, 0, walk_done);
		}
		ret = mds_read_inode(&op->tx, r->at, &i);
		if (ret)
			return ret == -ENOENT ? -ESTALE : ret;
		r->at = i.parent;
	}
	r->at = 0;
	return 0;
}

static int check_loop(struct mds_op *op, struct rename *r, const struct found *f)
{
	bool both = (f->flags & WEFT_RENAME_EXCHANGE) && mds_is_dir(f->dst_type);
	int ret;

	if (!f->moves || !(mds_is_dir(f->src_type) || both))
		return 0;
	if (!mds_all_local(op->m) && !r->locked)
		return take_lock(op, r);
	/*
	 * The names may stand for other directories than in the last run: renames within one parent
	 * do not take the lock. With all here everything may have changed; a walk costs little.
	 */
	if (mds_all_local(op->m) || r->walk_src != f->src || r->walk_dst != f->dst) {
		r->walk_src = f->src;
		r->walk_dst = f->dst;
		r->walks = 0;
		r->at = 0;
	}
	if (r->walks == 0) {
		ret = mds_is_dir(f->src_type) ? walk(op, r, f->new_ino, f->src) : 0;
		if (ret)
			return ret;
		r->walks = 1;
	}
	if (r->walks == 1 && both) {
		ret = walk(op, r, op->ino, f->dst);
		if (ret)
			return ret;
	}
	r->walks = 2;
	WEFT_FAULT("mds.rename.walked");
	return 0;
}

/* --- doing it */

static int check_rename(struct mds_op *op, const struct found *f)
{
	bool exchange = f->flags & WEFT_RENAME_EXCHANGE;
	int ret;

	if (f->dst && (f->flags & WEFT_RENAME_NOREPLACE))
		return -EEXIST;
	if (!f->dst && exchange)
		return -ENOENT;
	if (f->src == f->new_ino || (exchange && f->dst == op->ino))
		return -EINVAL;
	if (f->dst == op->ino)
		return -ENOTEMPTY; /* it holds what would take its place */
	ret = mds_dir_writable(&op->creds, &f->old_dir);
	if (!ret && mds_is_local(op->m, f->new_ino))
		ret = mds_dir_writable(&op->creds, &f->new_dir);
	if (ret || exchange || !f->dst || f->dst == f->src)
		return ret;
	if (mds_is_dir(f->src_type) && !mds_is_dir(f->dst_type))
		return -ENOTDIR;
	return !mds_is_dir(f->src_type) && mds_is_dir(f->dst_type) ? -EISDIR : 0;
}

static u32 move_flags(const struct found *f, u32 type)
{
	return f->moves && mds_is_dir(type) ? WEFT_SUB_SET_PARENT | WEFT_SUB_MUST_WRITE : 0;
}

static u32 build(struct mds_op *op, const struct found *f, struct mds_sub *subs)
{
	bool exchange = f->flags & WEFT_RENAME_EXCHANGE;
	u32 n = 0;

	mds_prepare_edit(&subs[n], &f->old_dir, f->src, 0, move_flags(f, f->src_type));
	subs[n++].parent = f->new_ino;
	mds_prepare_entry(&subs[n++], op->ino, op->name, op->name_len, f->src,
			  exchange ? f->dst : 0, exchange ? f->dst_type : 0);
	mds_prepare_entry(&subs[n++], f->new_ino, op->name2, op->name2_len, f->dst, f->src,
			  f->src_type);
	if (!f->dst)
		return n;
	if (exchange) {
		mds_prepare_edit(&subs[n], &f->new_dir, f->dst, 0, move_flags(f, f->dst_type));
		subs[n].parent = op->ino;
	} else {
		mds_prepare_edit(&subs[n], &f->new_dir, f->dst, -1,
				 mds_is_dir(f->dst_type) ? WEFT_SUB_MUST_DIR : WEFT_SUB_NOT_DIR);
		mds_prepare_victim_open(op, &subs[n]);
	}
	return n + 1;
}

static void rename_reply(struct mds_op *op, const struct found *f, const struct mds_sub *subs,
			 u32 n)
{
	struct weft_rename_rep *rep = &op->rep.rename;

	memset(rep, 0, sizeof(*rep));
	rep->moved = subs[0].result.attr;
	rep->old_dir = subs[f->moves ? 1 : 2].result.attr;
	rep->new_dir = subs[2].result.attr;
	rep->prev_old_dir_change = subs[1].result.prev_change;
	rep->prev_new_dir_change = subs[2].result.prev_change;
	if (n > 3)
		rep->victim = subs[3].result.attr;
	op->rep_len = sizeof(*rep);
}

/* Two names of one inode: nothing happens. */
static int same_inode(struct mds_op *op, const struct found *f)
{
	struct weft_rename_rep *rep = &op->rep.rename;
	struct mds_inode i;
	int ret;

	memset(rep, 0, sizeof(*rep));
	op->rep_len = sizeof(*rep);
	rep->moved.ino = cpu_to_le64(f->src);
	rep->moved.mode = cpu_to_le32(f->src_type);
	if (mds_is_local(op->m, f->src)) {
		ret = mds_read_inode(&op->tx, f->src, &i);
		if (ret)
			return ret;
		mds_inode_attr(&i, &rep->moved);
	}
	mds_inode_attr(&f->old_dir, &rep->old_dir);
	rep->prev_old_dir_change = cpu_to_le64(f->old_dir.change);
	if (mds_is_local(op->m, f->new_ino)) {
		mds_inode_attr(&f->new_dir, &rep->new_dir);
		rep->prev_new_dir_change = cpu_to_le64(f->new_dir.change);
	}
	return 0;
}

static int find_both(struct mds_op *op, struct rename *r, struct found *f)
{
	int ret;

	ret = mds_get_dir(op, op->ino, &f->old_dir);
	if (!ret)
		ret = mds_find_entry(op, &f->old_dir, op->name, op->name_len, &f->src,
				     &f->src_type);
	return ret ? ret : find_new(op, r, f);
}

int mds_run_rename(struct mds_op *op)
{
	const struct weft_rename_req *req = op->body;
	struct found f = { .flags = le32_to_cpu(req->flags),
			   .new_ino = le64_to_cpu(req->new_dir) };
	struct mds_sub subs[4];
	struct rename *r;
	u32 n;
	int ret;

	if ((f.flags & ~WEFT_RENAME_KNOWN) || f.flags == WEFT_RENAME_KNOWN)
		return -EINVAL;
	r = rename_state(op);
	if (!r)
		return -ENOMEM;
	f.moves = f.new_ino != op->ino;
	ret = find_both(op, r, &f);
	if (!ret)
		ret = check_rename(op, &f);
	if (ret)
		return ret;
	if (f.src == f.dst)
		return same_inode(op, &f);
	ret = check_loop(op, r, &f);
	if (ret)
		return ret;
	n = build(op, &f, subs);
	ret = mds_change(op, subs, n);
	if (!ret)
		rename_reply(op, &f, subs, n);
	return ret;
}
