// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of inodes that lost their last name.
 *
 * Happy path: nobody has it open: the inode goes with the name, and a purge record stays if it may
 * have objects. Purges begin in the background a moment later, many at a time, so that the data
 * servers sync once for many; the records of those that all groups have deleted are removed
 * together, so that a removed file costs no second sync of its own. Somebody has it open, or the
 * open files are not known yet after a restart: the inode stays as an orphan (a record 'O') and
 * goes at the last close, or at the end of the grace.
 *
 * Purge records are numbered, so that they are worked through in order and each only once per
 * start. A group that does not answer within SILENT_MS is silent: purges go on without it, and
 * their records stay (deferred). It is asked again by one purge after pauses that grow; when it
 * answers, all records from the first that it left out are worked through once more.
 *
 * Fault points: mds.purge.begin, mds.purge.cut.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "mds/mds.h"

#define PURGES_MAX 64u
#define TOGETHER 32u /* as many are enough to begin, or to remove their records */
#define LINGER_MS 50u
#define RETRY_MS 1000u
#define SILENT_MS 5000u
#define PAUSE_MIN_MS 5000u
#define PAUSE_MAX_MS 160000u

/* A group that did not answer. */
struct mds_silent {
	struct mds_silent *next;
	u32 group, pause_ms;
	u64 nr;	     /* the first record that it left out */
	u64 probe;   /* the record whose purge asks it now, 0: none */
	u64 next_at; /* env time of the next such purge */
};

struct mds_purge_run {
	struct mds_purge_run *next, **prev;
	struct mds *m;
	u64 nr;
	bool cut;	 /* its objects are gone */
	bool forgetting; /* the op under way deletes its record */
	struct mds_trim trim;
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

static void purge_end(struct mds_purge_run *p)
{
	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	if (p->cut)
		p->m->purge.cut--;
	else
		p->m->purge.running--;
	mds_trim_fini(&p->trim);
	free(p);
}

static int forget_run(struct mds_op *op)
{
	struct mds_purge_run *p;
	char key[MDS_KEY_MAX];
	int ret = 0;

	for (p = op->m->purge.runs; p && !ret; p = p->next) {
		p->forgetting = p->cut;
		if (p->cut)
			ret = mds_tx_del(&op->tx, MDS_CF_META, key,
					 mds_key_meta(key, 'P', p->nr));
	}
	return ret;
}

static void forgotten(struct mds_op *op)
{
	struct mds_purge *pu = &op->m->purge;
	struct mds_purge_run *p, *next;

	pu->forgetting = false;
	if (op->status == -ESHUTDOWN)
		return;
	for (p = pu->runs; p && !op->status; p = next) {
		next = p->next;
		if (!p->forgetting)
			continue;
		op->m->stats.purged++;
		purge_end(p);
	}
	if (pu->cut)
		weft_timer_start(op->m->env, &pu->forget_timer,
				 (op->status ? RETRY_MS : LINGER_MS) * WEFT_NS_PER_MS);
	mds_purge_kick(op->m);
}

static void forget(void *arg)
{
	struct mds *m = arg;
	struct mds_purge *pu = &m->purge;

	if (pu->forgetting || !pu->cut)
		return;
	pu->forgetting = true;
	if (!mds_internal(m, forget_run, forgotten, NULL))
		return;
	pu->forgetting = false;
	weft_timer_start(m->env, &pu->forget_timer, RETRY_MS * WEFT_NS_PER_MS);
}

static struct mds_silent **silent_find(struct mds *m, u32 group)
{
	struct mds_silent **at = &m->purge.silent;

	while (*at && (*at)->group != group)
		at = &(*at)->next;
	return at;
}

static void silent_left(struct mds_silent *s, u64 nr)
{
	if (nr < s->nr)
		s->nr = nr;
}

static bool purge_skips(struct mds_trim *t, u32 group)
{
	struct mds_purge_run *p = t->arg;
	struct mds_silent *s = *silent_find(p->m, group);

	if (!s || s->probe == p->nr)
		return false;
	silent_left(s, p->nr);
	return true;
}

/* The next time that a silent group is asked. */
static void probe_schedule(struct mds *m)
{
	u64 now = weft_env_now(m->env), at = ~0ull;
	struct mds_silent *s;

	for (s = m->purge.silent; s; s = s->next)
		if (!s->probe && s->next_at < at)
			at = s->next_at;
	if (at != ~0ull)
		weft_timer_start(m->env, &m->purge.probe_timer, at > now ? at - now : 0);
}

static void group_silent(struct mds_purge_run *p, u32 group)
{
	struct mds_silent **at = silent_find(p->m, group), *s = *at;

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s) /* its record is there at the next start; others ask it as well */
			return;
		*at = s;
		s->group = group;
		s->nr = p->nr;
		s->pause_ms = PAUSE_MIN_MS;
		s->next_at = weft_env_now(p->m->env) + s->pause_ms * WEFT_NS_PER_MS;
		weft_warn("a data server is silent: deleting goes on without it", "group=%u",
			  group);
	} else if (s->probe == p->nr) {
		s->probe = 0;
		s->pause_ms = 2 * s->pause_ms < PAUSE_MAX_MS ? 2 * s->pause_ms : PAUSE_MAX_MS;
		s->next_at = weft_env_now(p->m->env) + s->pause_ms * WEFT_NS_PER_MS;
	}
	silent_left(s, p->nr);
	probe_schedule(p->m);
}

static void group_answers(struct mds *m, u32 group)
{
	struct mds_silent **at = silent_find(m, group), *s = *at;

	if (!s)
		return;
	*at = s->next;
	if (s->nr < m->purge.scan_nr)
		m->purge.scan_nr = s->nr;
	weft_info("a data server answers again: deleting what it left out", "group=%u", group);
	free(s);
}

static void purge_heard(struct mds_trim *t, u32 group, int err)
{
	struct mds_purge_run *p = t->arg;

	if (err)
		group_silent(p, group);
	else
		group_answers(p->m, group);
}

/* Some groups were left out: the record stays for the next time. */
static void purge_defer(struct mds_purge_run *p)
{
	struct mds *m = p->m;

	m->purge.deferred++;
	purge_end(p);
	mds_purge_kick(m);
}

static void purge_trimmed(struct mds_trim *t)
{
	struct mds_purge_run *p = t->arg;
	struct mds_purge *pu = &p->m->purge;

	if (t->left) {
		purge_defer(p);
		return;
	}
	WEFT_FAULT("mds.purge.cut");
	p->cut = true;
	pu->running--;
	if (++pu->cut >= TOGETHER)
		forget(p->m);
	else if (pu->cut == 1)
		weft_timer_start(p->m->env, &pu->forget_timer, LINGER_MS * WEFT_NS_PER_MS);
	mds_purge_kick(p->m);
}

static int purge_begin(struct mds *m, u64 nr, const struct mds_purge_rec *rec)
{
	struct mds_purge_run *p;

	for (p = m->purge.runs; p; p = p->next)
		if (p->nr == nr)
			return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	WEFT_FAULT("mds.purge.begin");
	if (nr < m->purge.high_nr)
		m->purge.deferred--;
	else
		m->purge.high_nr = nr + 1;
	p->m = m;
	p->nr = nr;
	p->trim = (struct mds_trim){ .m = m, .ino = le64_to_cpu(rec->ino), .layout = rec->layout,
				     .timeout_ms = SILENT_MS, .skip = purge_skips,
				     .heard = purge_heard, .done = purge_trimmed, .arg = p };
	weft_timer_init(&p->trim.timer, NULL, NULL);
	p->next = m->purge.runs;
	if (p->next)
		p->next->prev = &p->next;
	p->prev = &m->purge.runs;
	m->purge.runs = p;
	m->purge.running++;
	mds_trim_start(&p->trim);
	return 0;
}

/* One purge asks a silent group. */
static int probe_one(struct mds *m, struct mds_silent *s)
{
	struct weft_kv_val val = { 0 };
	struct mds_purge_rec rec;
	char key[MDS_KEY_MAX];
	int ret;

	ret = weft_kv_get(m->kv, MDS_CF_META, key, mds_key_meta(key, 'P', s->nr), &val);
	if (!ret && val.len != sizeof(rec))
		ret = -ENOENT;
	if (!ret)
		memcpy(&rec, val.data, sizeof(rec));
	weft_kv_val_fini(&val);
	if (ret == -ENOENT) { /* nobody needs it any more at this place */
		group_answers(m, s->group);
		return 0;
	}
	s->probe = s->nr;
	if (!ret)
		ret = purge_begin(m, s->nr, &rec);
	if (ret)
		s->probe = 0;
	return ret;
}

static void probe_silent(void *arg)
{
	struct mds *m = arg;
	u64 now = weft_env_now(m->env);
	struct mds_silent *s, *next;

	if (m->failed || m->draining)
		return;
	for (s = m->purge.silent; s; s = next) {
		next = s->next;
		if (!s->probe && s->next_at <= now && probe_one(m, s))
			s->next_at = now + s->pause_ms * WEFT_NS_PER_MS;
	}
	probe_schedule(m);
	mds_purge_kick(m);
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
		m->purge.scan_nr = m->purge.high_nr = m->purge.next_nr;
	weft_kv_iter_free(it);
	return ret;
}

/* Begins as many as may run. */
static void purge_more(void *arg)
{
	struct mds *m = arg;

	if (m->failed || !m->serving || m->draining || m->purge.running >= PURGES_MAX)
		return;
	if (purge_next(m))
		weft_timer_start(m->env, &m->purge.timer, RETRY_MS * WEFT_NS_PER_MS);
}

void mds_purge_kick(struct mds *m)
{
	struct mds_purge *pu = &m->purge;
	u64 waiting = pu->next_nr - pu->scan_nr;

	if (m->failed || !m->serving || m->draining || pu->running >= PURGES_MAX || !waiting)
		return;
	if (waiting >= TOGETHER && PURGES_MAX - pu->running >= TOGETHER)
		purge_more(m);
	else if (pu->timer.pos < 0)
		weft_timer_start(m->env, &pu->timer, LINGER_MS * WEFT_NS_PER_MS);
}

void mds_purge_init(struct mds *m)
{
	weft_timer_init(&m->purge.timer, purge_more, m);
	weft_timer_init(&m->purge.forget_timer, forget, m);
	weft_timer_init(&m->purge.probe_timer, probe_silent, m);
}

void mds_purge_fini(struct mds *m)
{
	struct mds_silent *s;

	weft_timer_stop(m->env, &m->purge.timer);
	weft_timer_stop(m->env, &m->purge.forget_timer);
	weft_timer_stop(m->env, &m->purge.probe_timer);
	while (m->purge.runs)
		purge_end(m->purge.runs);
	while ((s = m->purge.silent)) {
		m->purge.silent = s->next;
		free(s);
	}
}

int mds_purge_load(struct mds *m)
{
	struct weft_kv_iter *it;
	size_t klen;
	int ret;

	m->purge.scan_nr = m->purge.next_nr = m->purge.high_nr = 1;
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
