// SPDX-License-Identifier: Apache-2.0
/*
 * Truncation of files in chunks: a change that is half on the data servers.
 *
 * Happy path of an op that cuts: its first run makes the change and the reply, logs both as an
 * intent, leaves the inode as it was and locks it; when the batch is durable the objects are cut
 * (trim.c); then the op runs again, drops the intent and makes the change in one batch, and is
 * answered.
 *
 * After a crash the intents are found in the store: their inodes are locked before the first
 * request is served, the objects are cut (again), and one batch makes the change and stores the
 * reply. When the client's request comes again it is not run again (somebody may have written
 * behind the cut meanwhile): it waits for that reply, or finds it. A spill that is to begin is
 * only made possible again: its request has no reply stored and runs anew.
 *
 * Fault points: mds.cut.logged, mds.cut.sent.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "mds/mds.h"

#define CUT_VERSION 2

static void cut_done(struct mds_trim *t)
{
	struct mds_op *op = t->arg;

	WEFT_FAULT("mds.cut.sent");
	op->cut_done = true;
	mds_submit(op);
}

static void cut_start(struct mds_op *op)
{
	WEFT_FAULT("mds.cut.logged");
	op->trim.done = cut_done;
	op->trim.arg = op;
	mds_trim_start(&op->trim);
}

/* Where the objects end. Bytes behind the old size are of a client that died before COMMIT. */
static u64 cut_at(const struct mds_inode *i, enum mds_cut_kind kind, u64 size)
{
	return kind == MDS_CUT_SPILL ? 0 : size < i->size ? size : i->size;
}

/* Allocated bytes after the cut. Chunks of a file that is still inline were never counted. */
static void cut_bytes(struct mds_inode *i, const struct mds_trim *t)
{
	s64 left = (s64)i->bytes_used + t->bytes_delta;

	if (!(i->lflags & WEFT_LAYOUT_INLINE))
		i->bytes_used = t->size && left > 0 ? left : 0;
}

int mds_cut_end(struct mds_op *op, struct mds_node *n)
{
	char key[MDS_KEY_MAX];

	cut_bytes(&n->i, &op->trim);
	return mds_tx_del(&op->tx, MDS_CF_META, key, mds_key_meta(key, 'U', n->i.ino));
}

static int log_intent(struct mds_op *op, enum mds_cut_kind kind, const struct mds_inode *after)
{
	struct mds_cut_rec rec = { .version = cpu_to_le32(CUT_VERSION),
				   .kind = cpu_to_le32(kind) };
	char buf[sizeof(rec) + sizeof(op->rep)], key[MDS_KEY_MAX];
	size_t len = sizeof(rec);

	if (kind != MDS_CUT_SPILL && op->slot_seq && op->session) {
		rec.session = cpu_to_le64(op->session_id);
		rec.slot = cpu_to_le32(op->slot);
		rec.slot_seq = cpu_to_le32(op->slot_seq);
		rec.opcode = cpu_to_le16(op->opcode);
		rec.body_len = cpu_to_le16(op->rep_len);
		memcpy(buf + len, &op->rep, op->rep_len);
		len += op->rep_len;
	}
	mds_inode_encode(after, &rec.after);
	memcpy(buf, &rec, sizeof(rec));
	return mds_tx_put(&op->tx, MDS_CF_META, key, mds_key_meta(key, 'U', after->ino), buf, len);
}

int mds_cut(struct mds_op *op, struct mds_node *n, enum mds_cut_kind kind,
	    const struct mds_inode *before)
{
	struct mds *m = op->m;
	int ret;

	op->tx.blocked = mds_lock_blocks(m, mds_lock_inode(n->i.ino), op, true);
	if (op->tx.blocked)
		return MDS_PARKED;
	ret = log_intent(op, kind, kind == MDS_CUT_SPILL ? before : &n->i);
	if (!ret)
		ret = mds_lock_take(m, mds_lock_inode(n->i.ino), op, MDS_LOCK_EXCL, &op->holds);
	if (ret)
		return ret;
	m->stats.cuts++;
	op->trim.m = m;
	op->trim.ino = n->i.ino;
	op->trim.size = cut_at(before, kind, n->i.size);
	mds_inode_layout(before, &op->trim.layout);
	n->i = *before;
	op->after = cut_start;
	op->interim = true;
	return 0;
}

/* An intent that was found after a restart. */
struct mds_redo {
	struct mds_redo *next, **prev;
	struct mds *m;
	struct mds_trim trim;
	struct mds_hold *holds;
	struct mds_session *session; /* NULL: nobody will ask for the reply */
	struct mds_oplist waiting;   /* the request came again */
	struct mds_inode after;
	u32 slot, slot_seq;
	u16 opcode, body_len;
	union mds_rep rep;
	struct weft_timer timer;
};

static void redo_free(struct mds_redo *r)
{
	struct mds_op *op;

	*r->prev = r->next;
	if (r->next)
		r->next->prev = r->prev;
	weft_timer_stop(r->m->env, &r->timer);
	mds_lock_drop(r->m, &r->holds);
	mds_trim_fini(&r->trim);
	if (r->session) {
		r->session->slots[r->slot].redo = NULL;
		mds_session_put(r->session);
	}
	/* At the end of the target its ops are gone before its redos. */
	while (!r->m->closing && (op = mds_oplist_pop(&r->waiting)))
		mds_dispatch(op);
	free(r);
}

void mds_cut_wait(struct mds_redo *r, struct mds_op *op)
{
	mds_oplist_add(&r->waiting, op);
}

void mds_cut_fini(struct mds *m)
{
	while (m->redos)
		redo_free(m->redos);
}

/* The reply tells the inode as it is in the end. */
static int redo_reply(struct mds_op *op, struct mds_redo *r, const struct mds_inode *i)
{
	struct weft_attr attr;

	if (!r->session || r->session->gone)
		return 0;
	mds_inode_attr(i, &attr);
	memcpy(&r->rep, &attr, sizeof(attr));
	return mds_slot_put(&op->tx, r->session->id, r->slot, r->slot_seq, r->opcode, &r->rep,
			    r->body_len);
}

static int redo_run(struct mds_op *op)
{
	struct mds_redo *r = op->priv;
	char key[MDS_KEY_MAX];
	struct mds_node *n;
	int ret;

	op->tx.owner = r;
	ret = mds_tx_inode(&op->tx, r->after.ino, &n);
	if (ret)
		return ret;
	n->i = r->after;
	cut_bytes(&n->i, &r->trim);
	ret = redo_reply(op, r, &n->i);
	return ret ? ret :
		     mds_tx_del(&op->tx, MDS_CF_META, key, mds_key_meta(key, 'U', n->i.ino));
}

static void redo_submit(void *arg);

static void redo_after(struct mds_op *op)
{
	struct mds_redo *r = op->priv;

	if (op->status == -ESHUTDOWN)
		return;
	if (op->status) {
		weft_timer_start(r->m->env, &r->timer, 100 * WEFT_NS_PER_MS);
		return;
	}
	redo_free(r);
}

static void redo_submit(void *arg)
{
	struct mds_redo *r = arg;

	if (mds_internal(r->m, redo_run, redo_after, r))
		weft_timer_start(r->m->env, &r->timer, 100 * WEFT_NS_PER_MS);
}

static void redo_trimmed(struct mds_trim *t)
{
	redo_submit(t->arg);
}

/* The inode of an intent, with its old size. An intent without inode does not exist. */
static int read_stored(struct mds *m, u64 ino, struct mds_inode *i)
{
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	int ret;

	ret = weft_kv_get(m->kv, MDS_CF_INODE, key, mds_key_ino(key, ino), &val);
	if (ret)
		return ret == -ENOENT ? -EUCLEAN : ret;
	ret = mds_inode_decode(ino, val.data, val.len, i);
	weft_kv_val_fini(&val);
	return ret;
}

static int decode(struct mds_redo *r, u64 ino, const char *val, size_t len, u32 *kind)
{
	struct mds_session *s;
	struct mds_cut_rec rec;

	if (len < sizeof(rec))
		return -EUCLEAN;
	memcpy(&rec, val, sizeof(rec));
	r->body_len = le16_to_cpu(rec.body_len);
	*kind = le32_to_cpu(rec.kind);
	if (le32_to_cpu(rec.version) != CUT_VERSION || len != sizeof(rec) + r->body_len ||
	    r->body_len > sizeof(r->rep) || !*kind || *kind > MDS_CUT_SPILL)
		return -EUCLEAN;
	memcpy(&r->rep, val + sizeof(rec), r->body_len);
	r->slot = le32_to_cpu(rec.slot);
	r->slot_seq = le32_to_cpu(rec.slot_seq);
	r->opcode = le16_to_cpu(rec.opcode);
	s = r->slot_seq ? mds_session_find(r->m, le64_to_cpu(rec.session)) : NULL;
	if (s && (r->slot >= s->nslots || r->body_len < sizeof(struct weft_attr)))
		return -EUCLEAN;
	if (s) {
		r->session = mds_session_get(s);
		s->slots[r->slot].seq = r->slot_seq;
		s->slots[r->slot].redo = r;
	}
	return mds_inode_decode(ino, &rec.after, sizeof(rec.after), &r->after);
}

static int redo_one(struct mds *m, u64 ino, const char *val, size_t len)
{
	struct mds_inode i;
	struct mds_redo *r;
	u32 kind;
	int ret;

	ret = read_stored(m, ino, &i);
	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->m = m;
	mds_oplist_init(&r->waiting);
	r->next = m->redos;
	if (r->next)
		r->next->prev = &r->next;
	r->prev = &m->redos;
	m->redos = r;
	weft_timer_init(&r->timer, redo_submit, r);
	weft_timer_init(&r->trim.timer, NULL, NULL);
	ret = decode(r, ino, val, len, &kind);
	if (ret)
		goto out_free;
	r->trim = (struct mds_trim){ .m = m, .ino = ino, .size = cut_at(&i, kind, r->after.size),
				     .done = redo_trimmed, .arg = r };
	mds_inode_layout(&i, &r->trim.layout);
	weft_timer_init(&r->trim.timer, NULL, NULL);
	ret = mds_lock_take(m, mds_lock_inode(ino), r, MDS_LOCK_EXCL, &r->holds);
	if (ret)
		goto out_free;
	mds_trim_start(&r->trim);
	return 0;

out_free:
	redo_free(r);
	return ret;
}

int mds_cut_recover(struct mds *m)
{
	struct weft_kv_iter *it;
	size_t klen, vlen;
	int ret;

	ret = weft_kv_iter_prefix(m->kv, NULL, MDS_CF_META, "U", 1, &it);
	if (ret)
		return ret;
	for (weft_kv_iter_first(it); !ret && weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &klen);
		const char *v = weft_kv_iter_val(it, &vlen);

		ret = klen == 9 ? redo_one(m, mds_be64(k + 1), v, vlen) : -EUCLEAN;
	}
	if (!ret)
		ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return ret;
}
