// SPDX-License-Identifier: Apache-2.0
/*
 * OPEN and CLOSE, and the table of open files.
 *
 * Happy path: OPEN finds or makes the file, checks the access, registers (session, open_id) so that
 * the inode outlives its last name, and puts inline data into the reply: open and read in one.
 * CLOSE takes registrations away; the last one of an inode without names deletes it.
 *
 * The table lives in memory; after a restart clients tell it again (session.c). An OPEN that
 * changes nothing runs at once, unless the commit under way may take the inode away.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mds/names.h"

static struct mds_open *open_find(struct mds_session *s, u64 ino, u64 open_id)
{
	struct mds_link *l;

	for (l = mds_table_find(&s->m->sessions.opens, mds_mix(ino)); l; l = mds_table_more(l)) {
		struct mds_open *o = (struct mds_open *)l;

		if (o->ino == ino && o->session == s && o->open_id == open_id)
			return o;
	}
	return NULL;
}

static void open_link(struct mds_open *o)
{
	struct mds_session *s = o->session;

	o->next = s->opens;
	if (o->next)
		o->next->prev = &o->next;
	o->prev = &s->opens;
	s->opens = o;
	mds_table_add(&s->m->sessions.opens, &o->link, mds_mix(o->ino));
}

int mds_open_add(struct mds_session *s, u64 ino, u64 open_id)
{
	struct mds_open *o;

	/* Nobody would take away what a session that is gone registers. */
	if (s->gone || open_find(s, ino, open_id))
		return 0;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->session = s;
	o->ino = ino;
	o->open_id = open_id;
	open_link(o);
	return 0;
}

int mds_open_prepare(struct mds_tx *tx, struct mds_session *s, u64 ino, u64 open_id)
{
	struct mds_open *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->session = mds_session_get(s);
	o->ino = ino;
	o->open_id = open_id;
	o->next = tx->opens;
	tx->opens = o;
	return 0;
}

void mds_open_apply(struct mds_open **list)
{
	struct mds_session *s;
	struct mds_open *o;

	while ((o = *list)) {
		*list = o->next;
		s = o->session;
		if (s->gone || open_find(s, o->ino, o->open_id))
			free(o);
		else
			open_link(o);
		mds_session_put(s);
	}
}

void mds_open_forget(struct mds_open **list)
{
	struct mds_open *o;

	while ((o = *list)) {
		*list = o->next;
		mds_session_put(o->session);
		free(o);
	}
}

static void open_free(struct mds_open *o)
{
	mds_table_del(&o->session->m->sessions.opens, &o->link);
	*o->prev = o->next;
	if (o->next)
		o->next->prev = o->prev;
	free(o);
}

bool mds_open_del(struct mds_session *s, u64 ino, u64 open_id)
{
	struct mds_open *o = open_find(s, ino, open_id);

	if (o)
		open_free(o);
	return o;
}

u64 mds_open_drop(struct mds_session *s)
{
	u64 ino = s->opens ? s->opens->ino : 0;

	if (ino)
		open_free(s->opens);
	return ino;
}

bool mds_is_open(struct mds *m, u64 ino)
{
	struct mds_link *l;

	for (l = mds_table_find(&m->sessions.opens, mds_mix(ino)); l; l = mds_table_more(l))
		if (((struct mds_open *)l)->ino == ino)
			return true;
	return false;
}

bool mds_open_elsewhere(const struct mds_session *s, u64 ino)
{
	struct mds_link *l;

	if (mds_in_grace(s->m))
		return true;
	for (l = mds_table_find(&s->m->sessions.opens, mds_mix(ino)); l; l = mds_table_more(l)) {
		struct mds_open *o = (struct mds_open *)l;

		/* Also one that is silent: what it wrote may still be told by its COMMIT. */
		if (o->ino == ino && o->session != s)
			return true;
	}
	return false;
}

int mds_run_close(struct mds_op *op)
{
	const struct weft_opens_req *req = op->body;
	u32 k, count = le32_to_cpu(req->count);
	struct weft_open_pair p;

	if (op->tail_len != (u64)count * sizeof(p) || req->flags)
		return -EBADMSG;
	for (k = 0; k < count; k++) {
		memcpy(&p, (const char *)op->tail + k * sizeof(p), sizeof(p));
		if (mds_open_del(op->session, le64_to_cpu(p.ino), le64_to_cpu(p.open_id)))
			mds_orphan_check(op->m, le64_to_cpu(p.ino));
	}
	return 0;
}

static int register_open(struct mds_op *op, u64 ino)
{
	const struct weft_ns_req *ns = op->body;
	int ret = 0;

	if (ns->open_id)
		ret = mds_open_add(op->session, ino, le64_to_cpu(ns->open_id));
	if (!ret)
		op->rep.entry.open_id = ns->open_id;
	return ret;
}

static int check_access(struct mds_op *op, const struct mds_inode *i, u32 flags)
{
	u32 mask = 0;

	if (flags & WEFT_OPEN_READ)
		mask |= MDS_MAY_READ;
	if (flags & (WEFT_OPEN_WRITE | WEFT_OPEN_TRUNC))
		mask |= MDS_MAY_WRITE;
	if (flags & WEFT_OPEN_EXEC)
		mask |= MDS_MAY_EXEC;
	return mds_permission(&op->creds, i, mask);
}

/* O_TRUNC. @cut: must objects be cut before this may be seen? */
static int truncate_open(struct mds_op *op, u64 ino, struct mds_node **n, bool *cut)
{
	int ret;

	ret = mds_tx_inode(&op->tx, ino, n);
	if (ret)
		return ret;
	if ((*n)->i.lflags & WEFT_LAYOUT_INLINE)
		ret = mds_truncate_inline(op, *n, 0);
	else if (op->cut_done)
		ret = mds_cut_end(op, *n);
	else
		*cut = true;
	if (ret)
		return ret;
	(*n)->i.size = 0;
	(*n)->i.mtime = (*n)->i.ctime = op->now;
	if (!mds_capable(&op->creds, WEFT_CAP_FSETID))
		(*n)->i.mode = mds_kill_priv((*n)->i.mode);
	(*n)->i.change++;
	(*n)->i.data_version++;
	return 0;
}

/* Open an inode of this group; @dir is NULL when it was named by its number. */
static int open_inode(struct mds_op *op, const struct mds_inode *dir, u64 ino)
{
	const struct weft_open_req *req = op->body;
	u32 flags = le32_to_cpu(req->flags);
	struct weft_attr_rep child, d = { 0 };
	struct mds_node *n = NULL;
	struct mds_inode i, before;
	bool cut = false;
	int ret;

	ret = mds_read_inode(&op->tx, ino, &i);
	if (ret)
		return ret != -ENOENT ? ret : dir ? MDS_DEFER : -ESTALE;
	before = i;
	if (mds_is_reg(i.mode) && !op->cut_done) {
		ret = check_access(op, &i, flags);
		if (ret)
			return ret;
	}
	if (mds_inflight(op->m, ino))
		return MDS_DEFER;
	if (mds_is_reg(i.mode) && (flags & WEFT_OPEN_TRUNC)) {
		ret = truncate_open(op, ino, &n, &cut);
		if (ret)
			return ret;
		i = n->i;
	} else if (op->flags & WEFT_NS_WANT_DATA) {
		ret = mds_fill_data(op, &i);
		if (ret)
			return ret;
	}
	if (n)
		mds_node_result(n, &child);
	else
		mds_inode_result(&i, &child);
	if (dir)
		mds_inode_result(dir, &d);
	mds_entry_reply(op, &child, &d);
	if (cut) {
		op->rep.entry.open_id = req->ns.open_id;
		return mds_cut(op, n, MDS_CUT_OPEN_TRUNC, &before);
	}
	return mds_is_reg(i.mode) ? register_open(op, ino) : 0;
}

static int open_create(struct mds_op *op, const struct mds_inode *dir, bool tmpfile)
{
	const struct weft_open_req *req = op->body;
	struct mds_sub subs[2];
	int ret;

	ret = mds_dir_writable(&op->creds, dir);
	if (ret)
		return ret;
	mds_prepare_make(op, dir, S_IFREG | (le32_to_cpu(req->mode) & 07777), &subs[0]);
	if (le32_to_cpu(req->flags) & WEFT_OPEN_CHUNKED)
		subs[0].layout.flags &= ~WEFT_LAYOUT_INLINE;
	if (tmpfile)
		subs[0].nlink = 0;
	else
		mds_prepare_entry(&subs[1], dir->ino, op->name, op->name_len, 0, MDS_MADE_INO,
				  S_IFREG);
	ret = mds_change(op, subs, tmpfile ? 1 : 2);
	if (ret)
		return ret;
	if (tmpfile)
		mds_inode_result(dir, &subs[1].result);
	mds_entry_reply(op, &subs[0].result, &subs[1].result);
	op->rep.entry.flags = cpu_to_le32(WEFT_ENTRY_CREATED);
	return register_open(op, subs[0].ino);
}

static int open_name(struct mds_op *op, struct mds_inode *dir, u32 flags)
{
	u32 type;
	u64 ino;
	int ret;

	ret = mds_find_entry(op, dir, op->name, op->name_len, &ino, &type);
	if (ret == -ENOENT && (flags & WEFT_OPEN_CREATE))
		return open_create(op, dir, false);
	if (ret == -ENOENT)
		mds_absent_reply(op, dir);
	if (ret)
		return ret;
	if ((flags & (WEFT_OPEN_CREATE | WEFT_OPEN_EXCL)) == (WEFT_OPEN_CREATE | WEFT_OPEN_EXCL))
		return -EEXIST;
	if (!mds_is_reg(type) || !mds_is_local(op->m, ino))
		return mds_found_reply(op, dir, ino, type);
	return open_inode(op, dir, ino);
}

int mds_run_open(struct mds_op *op)
{
	const struct weft_open_req *req = op->body;
	u32 flags = le32_to_cpu(req->flags);
	struct mds_inode dir;
	int ret;

	if ((flags & ~WEFT_OPEN_KNOWN) ||
	    ((flags & (WEFT_OPEN_CREATE | WEFT_OPEN_TRUNC)) && !op->slot_seq))
		return -EINVAL;
	if (op->cut_done && op->trim.ino == op->ino && !op->name_len)
		return open_inode(op, NULL, op->ino);
	if (!op->name_len && !(flags & WEFT_OPEN_TMPFILE))
		return flags & WEFT_OPEN_CREATE ? -EINVAL : open_inode(op, NULL, op->ino);
	ret = mds_get_dir(op, op->ino, &dir);
	if (ret)
		return ret;
	if (flags & WEFT_OPEN_TMPFILE)
		return op->name_len || !(flags & WEFT_OPEN_CREATE) ? -EINVAL :
								    open_create(op, &dir, true);
	/* The inode was found, checked and cut in the first run. */
	if (op->cut_done)
		return open_inode(op, &dir, op->trim.ino);
	return open_name(op, &dir, flags);
}
