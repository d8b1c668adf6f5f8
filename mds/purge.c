// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of inodes that lost their last name.
 *
 * Happy path: nobody has it open: the inode goes with the name, and a purge record stays if it may
 * have objects; a few purges run at a time in the background, each record is removed when all
 * groups have deleted. Somebody has it open, or the open files are not known yet after a restart:
 * the inode stays as an orphan (a record 'O') and goes at the last close, or at the end of the
 * grace.
 *
 * Purge records are numbered, so that they are worked through in order and each only once per
 * start.
 *
 * Fault points: mds.purge.begin, mds.purge.cut.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "mds/mds.h"

#define PURGES_MAX 16u
#define RETRY_MS 1000u

struct mds_purge_run {
	struct mds_purge_run *next, **prev;
	struct mds *m;
	u64 nr;
	struct mds_trim trim;
	struct weft_timer timer;
};

int mds_purge_add(struct mds_tx *tx, const struct mds_inode *i)
{
	struct mds_purge_rec rec = { .version = cpu_to_le32(MDS_REC_VERSION),
				     .ino = cpu_to_le64(i->ino) };
	struct mds *m = tx->m;
	char key[MDS_KEY_MAX];

	/* A file that was never anything but inline has no objects. */
	if ((i->lflags & (WEFT_LAYOUT_INLINE | WEFT_LAYOUT_SPILLING)) == WEFT_LAYOUT_INLINE)
		return 0;
	mds_inode_layout(i, &rec.layout);
	return mds_tx_put(tx, MDS_CF_META, key, mds_key_meta(key, 'P', m->purge.next_nr++), &rec,
			  sizeof(rec));
}

static int purged_run(struct mds_op *op)
{
	struct mds_purge_run *p = op->priv;
	char key[MDS_KEY_MAX];

	return mds_tx_del(&op->tx, MDS_CF_META, key, mds_key_meta(key, 'P', p->nr));
}

static void purge_end(struct mds_purge_run *p)
{
	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->m->purge.running--;
	weft_timer_stop(p->m->env, &p->timer);
	mds_trim_fini(&p->trim);
	free(p);
}

static void purge_forget(void *arg);

static void purged(struct mds_op *op)
{
	struct mds_purge_run *p = op->priv;

	if (op->status == -ESHUTDOWN)
		return;
	if (op->status) {
		weft_timer_start(op->m->env, &p->timer, RETRY_MS * WEFT_NS_PER_MS);
		return;
	}
	op->m->stats.purged++;
	purge_end(p);
	mds_purge_kick(op->m);
}

static void purge_forget(void *arg)
{
	struct mds_purge_run *p = arg;

	if (mds_internal(p->m, purged_run, purged, p))
		weft_timer_start(p->m->env, &p->timer, RETRY_MS * WEFT_NS_PER_MS);
}

static void purge_trimmed(struct mds_trim *t)
{
	WEFT_FAULT("mds.purge.cut");
	purge_forget(t->arg);
}

static int purge_begin(struct mds *m, u64 nr, const struct mds_purge_rec *rec)
{
	struct mds_purge_run *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return -ENOMEM;
	WEFT_FAULT("mds.purge.begin");
	p->m = m;
	p->nr = nr;
	weft_timer_init(&p->timer, purge_forget, p);
	p->trim = (struct mds_trim){ .m = m, .ino = le64_to_cpu(rec->ino), .layout = rec->layout,
				     .done = purge_trimmed, .arg = p };
	weft_timer_init(&p->trim.timer, NULL, NULL);
	p->next = m->purge.runs;
	if (p->next)
		p->next->prev = &p->next;
	p->prev = &m->purge.runs;
	m->purge.runs = p;
	m->purge.running++;
	ret = mds_trim_start(&p->trim);
	if (ret)
		purge_end(p);
	return ret;
}

static int purge_next(struct mds *m)
{
	struct mds_purge_rec rec;
	struct weft_kv_iter *it;
	char key[MDS_KEY_MAX];
	size_t klen, vlen;
	int ret;

	ret = weft_kv_iter_prefix(m->kv, NULL, MDS_CF_META, "P", 1, &it);
	if (ret)
		return ret;
	weft_kv_iter_seek(it, key, mds_key_meta(key, 'P', m->purge.scan_nr));
	while (m->purge.running < PURGES_MAX && !ret && weft_kv_iter_valid(it)) {
		const char *k = weft_kv_iter_key(it, &klen);
		const void *v = weft_kv_iter_val(it, &vlen);
		u64 nr = klen == 9 ? mds_be64(k + 1) : 0;

		if (klen != 9 || vlen != sizeof(rec)) {
			weft_err("a purge record is damaged; its objects stay", "nr=%llu",
				 (unsigned long long)nr);
			m->purge.scan_nr = nr + 1;
		} else {
			memcpy(&rec, v, sizeof(rec));
			ret = purge_begin(m, nr, &rec);
			if (!ret)
				m->purge.scan_nr = nr + 1;
		}
		weft_kv_iter_next(it);
	}
	if (!ret)
		ret = weft_kv_iter_error(it);
	/* Numbers of ops that failed have no record. */
	if (!ret && !weft_kv_iter_valid(it) && m->batch.state == MDS_IDLE)
		m->purge.scan_nr = m->purge.next_nr;
	weft_kv_iter_free(it);
	return ret;
}

static void purge_retry(void *arg)
{
	mds_purge_kick(arg);
}

void mds_purge_kick(struct mds *m)
{
	m->stats.purge_backlog = m->purge.next_nr - m->purge.scan_nr + m->purge.running;
	if (m->failed || !m->serving || m->draining || m->purge.running >= PURGES_MAX ||
	    m->purge.scan_nr >= m->purge.next_nr)
		return;
	if (purge_next(m))
		weft_timer_start(m->env, &m->purge.timer, RETRY_MS * WEFT_NS_PER_MS);
}

void mds_purge_init(struct mds *m)
{
	weft_timer_init(&m->purge.timer, purge_retry, m);
}

void mds_purge_fini(struct mds *m)
{
	weft_timer_stop(m->env, &m->purge.timer);
	while (m->purge.runs)
		purge_end(m->purge.runs);
}

int mds_purge_load(struct mds *m)
{
	struct weft_kv_iter *it;
	size_t klen;
	int ret;

	m->purge.scan_nr = m->purge.next_nr = 1;
	ret = weft_kv_iter_prefix(m->kv, NULL, MDS_CF_META, "P", 1, &it);
	if (ret)
		return ret;
	for (weft_kv_iter_first(it); weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &klen);

		if (klen == 9)
			m->purge.next_nr = mds_be64(k + 1) + 1;
	}
	ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return ret;
}

static int orphan_run(struct mds_op *op)
{
	u64 ino = (u64)(uintptr_t)op->priv;
	char key[MDS_KEY_MAX];
	struct mds_node *n;
	int ret;

	if (mds_in_grace(op->m) || mds_is_open(op->m, ino))
		return 0;
	ret = mds_tx_inode(&op->tx, ino, &n);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	if (n->i.nlink) {
		mds_tx_drop(&op->tx);
		return 0;
	}
	ret = mds_inode_gone(&op->tx, n, false);
	return ret ? ret : mds_tx_del(&op->tx, MDS_CF_META, key, mds_key_meta(key, 'O', ino));
}

void mds_orphan_check(struct mds *m, u64 ino)
{
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	int ret;

	if (m->failed || mds_in_grace(m) || mds_is_open(m, ino))
		return;
	/* What the batch under way does to it is not in the store yet. */
	if (m->batch.state == MDS_IDLE || (m->batch.state == MDS_COMMIT && !mds_inflight(m, ino))) {
		ret = weft_kv_get(m->kv, MDS_CF_META, key, mds_key_meta(key, 'O', ino), &val);
		if (ret == -ENOENT)
			return;
		if (!ret)
			weft_kv_val_fini(&val);
	}
	/* Without memory the orphan stays until the next start looks for it. */
	if (mds_internal(m, orphan_run, NULL, (void *)(uintptr_t)ino))
		weft_warn("an unlinked file stays until the next start: no memory", "ino=%#llx",
			  (unsigned long long)ino);
}

void mds_orphan_scan(struct mds *m)
{
	struct weft_kv_iter *it;
	size_t klen;

	if (weft_kv_iter_prefix(m->kv, NULL, MDS_CF_META, "O", 1, &it))
		return;
	for (weft_kv_iter_first(it); weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &klen);

		if (klen == 9)
			mds_orphan_check(m, mds_be64(k + 1));
	}
	weft_kv_iter_free(it);
}
