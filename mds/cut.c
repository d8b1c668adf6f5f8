// SPDX-License-Identifier: Apache-2.0
/*
 * Truncation of files in chunks: a change that is half on the data servers.
 *
 * Happy path of an op that cuts: its first run logs the intent and locks the inode; when the batch
 * is durable the objects are cut (trim.c); then the op runs again, drops the intent and sets the
 * size in one batch, and is answered.
 *
 * After a crash the intents are found in the store: their inodes are locked before the first
 * request is served, the objects are cut (again), the size is set. The client's request comes again
 * and finds it done; cutting twice is harmless while nobody can write behind the cut.
 *
 * Fault points: mds.cut.logged, mds.cut.sent.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "mds/mds.h"

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
	if (mds_trim_start(&op->trim)) {
		/* Without memory now: begin again; the intent is logged, twice is harmless. */
		mds_retry(op, 50);
	}
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

int mds_cut(struct mds_op *op, struct mds_node *n, enum mds_cut_kind kind, u64 size)
{
	struct mds *m = op->m;
	struct mds_cut_rec rec = { .version = cpu_to_le32(MDS_REC_VERSION),
				   .kind = cpu_to_le32(kind), .size = cpu_to_le64(size) };
	char key[MDS_KEY_MAX];
	size_t klen = mds_key_meta(key, 'U', n->i.ino);
	int ret;

	if (op->cut_done) {
		cut_bytes(&n->i, &op->trim);
		ret = mds_tx_del(&op->tx, MDS_CF_META, key, klen);
		return ret ? ret : MDS_CUT_DONE;
	}
	op->tx.blocked = mds_lock_blocks(m, mds_lock_inode(n->i.ino), op, true);
	if (op->tx.blocked)
		return MDS_PARKED;
	mds_inode_layout(&n->i, &rec.layout);
	ret = mds_tx_put(&op->tx, MDS_CF_META, key, klen, &rec, sizeof(rec));
	if (!ret)
		ret = mds_lock_take(m, mds_lock_inode(n->i.ino), op, MDS_LOCK_EXCL, &op->holds);
	if (ret)
		return ret;
	m->stats.cuts++;
	op->trim.m = m;
	op->trim.ino = n->i.ino;
	op->trim.size = cut_at(&n->i, kind, size);
	op->trim.layout = rec.layout;
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
	enum mds_cut_kind kind;
	u64 ino, size;
	struct weft_timer timer;
};

static void redo_free(struct mds_redo *r)
{
	*r->prev = r->next;
	if (r->next)
		r->next->prev = r->prev;
	weft_timer_stop(r->m->env, &r->timer);
	mds_lock_drop(r->m, &r->holds);
	mds_trim_fini(&r->trim);
	free(r);
}

void mds_cut_fini(struct mds *m)
{
	while (m->redos)
		redo_free(m->redos);
}

static int redo_run(struct mds_op *op)
{
	struct mds_redo *r = op->priv;
	char key[MDS_KEY_MAX];
	struct mds_node *n;
	int ret;

	op->tx.owner = r;
	ret = mds_tx_inode(&op->tx, r->ino, &n);
	if (ret)
		return ret;
	cut_bytes(&n->i, &r->trim);
	if (r->kind != MDS_CUT_SPILL) {
		if (n->i.lflags & WEFT_LAYOUT_INLINE) {
			ret = mds_truncate_inline(op, n, r->size);
			if (ret)
				return ret;
		}
		n->i.size = r->size;
		n->i.mtime = n->i.ctime = op->now;
		n->i.change++;
		n->i.data_version++;
	}
	return mds_tx_del(&op->tx, MDS_CF_META, key, mds_key_meta(key, 'U', r->ino));
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

static int redo_one(struct mds *m, u64 ino, const char *val, size_t len)
{
	struct mds_cut_rec rec;
	struct mds_redo *r;
	struct mds_inode i;
	int ret;

	if (len != sizeof(rec))
		return -EUCLEAN;
	memcpy(&rec, val, sizeof(rec));
	ret = read_stored(m, ino, &i);
	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->m = m;
	r->next = m->redos;
	if (r->next)
		r->next->prev = &r->next;
	r->prev = &m->redos;
	m->redos = r;
	weft_timer_init(&r->timer, redo_submit, r);
	r->ino = ino;
	r->kind = le32_to_cpu(rec.kind);
	r->size = le64_to_cpu(rec.size);
	r->trim = (struct mds_trim){ .m = m, .ino = ino, .layout = rec.layout,
				     .size = cut_at(&i, r->kind, r->size), .done = redo_trimmed,
				     .arg = r };
	weft_timer_init(&r->trim.timer, NULL, NULL);
	ret = mds_lock_take(m, mds_lock_inode(ino), r, MDS_LOCK_EXCL, &r->holds);
	if (!ret)
		ret = mds_trim_start(&r->trim);
	if (ret)
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
