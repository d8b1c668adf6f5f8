// SPDX-License-Identifier: Apache-2.0
/*
 * Group commit: changes whose data is on its way become durable together.
 *
 * One group runs at a time; changes that join meanwhile form the next one. A group syncs the
 * data file once (when a change of it wrote there), then writes the deltas of its small changes to
 * the journal (journal.c), then commits the records of all others in one synced RocksDB batch; the
 * last two on a worker. Then the records become the stable ones and the operations are answered.
 * Because a change joins only after its data was written, the sync covers it. A group of small
 * changes has one sync, that of the journal.
 *
 * When a group fails, all its changes and those of the open group fail, and their segments fall
 * back to the stable records. Its deltas are taken back from the journal. RocksDB does not say
 * whether a failed batch will be there after a restart, so the stored records are uncertain now:
 * changes are refused with the error, blocks that the lost records may name stay allocated (limbo),
 * and a timer tries to write the stable records again. When that works (space is back) changes are
 * accepted again. Reads go on all the time. The repair also waits for changes that still write to
 * the segments they began with, so that no block is given back while somebody may write to it.
 *
 * Fault points: oss.commit.before_sync, oss.commit.before_kv, oss.commit.after_kv.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/fault.h"
#include "common/log.h"
#include "oss/internal.h"

#define REPAIR_FIRST_NS (10 * WEFT_NS_PER_MS)
#define REPAIR_NS (500 * WEFT_NS_PER_MS)

void oss_record_put(struct oss_store *s, struct weft_kv_batch *batch, const struct oss_key *key,
		    const struct oss_rec *rec)
{
	uint8_t kbuf[OSS_KEY_LEN], rbuf[OSS_REC_MAX];

	oss_key_encode(key, kbuf);
	if (oss_journal_keeps(s, key, !rec->mapped) || rec->mapped)
		weft_kv_put(batch, OSS_CF_CHUNKS, kbuf, sizeof(kbuf), rbuf,
			    oss_rec_encode(rec, rbuf));
	else
		weft_kv_delete(batch, OSS_CF_CHUNKS, kbuf, sizeof(kbuf));
}

/* --- failure and repair */

static void group_fail(struct oss_store *s, struct oss_part *p, int err)
{
	struct oss_commits *c = &s->commits;
	struct oss_part *next;

	for (; p; p = next) {
		struct oss_seg *seg = p->seg;

		next = p->next;
		if (seg->cur != seg->stable) {
			oss_rec_put(s, seg->cur);
			seg->cur = oss_rec_get(seg->stable);
			seg->gen++;
		}
		if (!seg->is_broken) {
			seg->is_broken = true;
			seg->refs++;
			seg->broken = c->broken;
			c->broken = seg;
		}
		/* Without memory to remember them the blocks stay allocated until a restart. */
		if (oss_runs_append(&c->limbo, &p->alloced))
			weft_err("blocks are lost until a restart", "count=%llu",
				 (unsigned long long)p->alloced.blocks);
		s->pending_free -= p->freed.blocks;
		oss_part_end(p, err);
	}
}

static void commit_failed(struct oss_store *s, int err)
{
	struct oss_commits *c = &s->commits;
	struct oss_part *running = c->running.head, *open = c->open.head;

	weft_err("commit failed, changes are refused until it is repaired", "err=%d", err);
	s->stats.failed_commits++;
	c->failed = err;
	oss_list_init(&c->running);
	oss_list_init(&c->open);
	weft_timer_start(s->env, &c->timer, REPAIR_FIRST_NS);
	group_fail(s, running, err);
	group_fail(s, open, err);
	oss_space_wake(s);
}

static void repaired(struct oss_store *s)
{
	struct oss_commits *c = &s->commits;
	struct oss_seg *seg = c->broken, *next;

	weft_info("commits work again", "%s", "");
	c->failed = 0;
	c->broken = NULL;
	oss_alloc_release(&s->alloc, &c->limbo);
	for (; seg; seg = next) {
		next = seg->broken;
		seg->is_broken = false;
		oss_seg_put(s, seg);
	}
}

static void repair_fn(void *arg)
{
	struct oss_store *s = arg;
	struct oss_commits *c = &s->commits;

	c->err = oss_journal_cancel(s);
	if (!c->err)
		c->err = weft_kv_commit(c->batch, true);
}

static void repair_done(void *arg)
{
	struct oss_store *s = arg;
	struct oss_commits *c = &s->commits;

	c->busy = false;
	if (c->err)
		weft_timer_start(s->env, &c->timer, REPAIR_NS);
	else
		repaired(s);
}

/* Some change began with a record that is void now and may still be writing. */
static bool stale_writer(const struct oss_commits *c)
{
	const struct oss_seg *seg;

	for (seg = c->broken; seg; seg = seg->broken)
		if (seg->owner)
			return true;
	return false;
}

static void repair(void *arg)
{
	struct oss_store *s = arg;
	struct oss_commits *c = &s->commits;
	struct oss_seg *seg;

	if (stale_writer(c)) {
		weft_timer_start(s->env, &c->timer, REPAIR_FIRST_NS);
		return;
	}
	weft_kv_batch_clear(c->batch);
	for (seg = c->broken; seg; seg = seg->broken)
		oss_record_put(s, c->batch, &seg->key, seg->stable);
	c->busy = true;
	c->work.fn = repair_fn;
	c->work.done = repair_done;
	weft_env_work(s->env, &c->work);
}

/* --- a group that works */

static void commit_ok(struct oss_store *s)
{
	struct oss_commits *c = &s->commits;
	struct oss_part *p = c->running.head, *next;

	oss_list_init(&c->running);
	s->stats.commits++;
	for (; p; p = next) {
		next = p->next;
		oss_rec_supersede(s, p->seg, p->rec, &p->freed);
		s->stats.changes++;
		oss_part_end(p, 0);
	}
	oss_space_wake(s);
}

static void kv_fn(void *arg)
{
	struct oss_store *s = arg;
	struct oss_commits *c = &s->commits;

	c->err = WEFT_FAULT("oss.commit.before_kv");
	if (!c->err)
		c->err = oss_journal_write(s, c->running.head);
	if (!c->err && weft_kv_batch_count(c->batch))
		c->err = weft_kv_commit(c->batch, true);
	if (!c->err)
		c->err = WEFT_FAULT("oss.commit.after_kv");
	if (c->err)
		oss_journal_cancel(s);
}

static void kv_done(void *arg)
{
	struct oss_store *s = arg;
	struct oss_commits *c = &s->commits;

	c->busy = false;
	oss_journal_done(s, c->err);
	if (c->err)
		commit_failed(s, c->err);
	else
		commit_ok(s);
	oss_commit_kick(s);
}

static void kv_begin(struct oss_store *s)
{
	s->commits.work.fn = kv_fn;
	s->commits.work.done = kv_done;
	weft_env_work(s->env, &s->commits.work);
}

static void synced(struct weft_io *io, ssize_t res)
{
	struct oss_store *s = io->arg;

	if (res < 0) {
		s->commits.busy = false;
		s->commits.lost_syncs++;
		commit_failed(s, res);
		return;
	}
	s->stats.data_syncs++;
	kv_begin(s);
}

/*
 * Fills the batch: the last record of each segment that has changes which are not small. Returns
 * whether the data file needs a sync.
 */
static bool build(struct oss_store *s)
{
	struct oss_commits *c = &s->commits;
	struct oss_part *p;
	bool data = false;

	weft_kv_batch_clear(c->batch);
	oss_journal_build(s, c->running.head);
	oss_journal_clean(s, c->batch);
	for (p = c->running.head; p; p = p->next) {
		p->seg->last = p;
		p->seg->put |= !p->jseg;
		data |= p->data;
	}
	for (p = c->running.head; p; p = p->next) {
		if (p->seg->last != p)
			continue;
		if (p->seg->put)
			oss_record_put(s, c->batch, &p->seg->key, p->rec);
		p->seg->put = false;
	}
	return data;
}

void oss_commit_kick(struct oss_store *s)
{
	struct oss_commits *c = &s->commits;
	int err;

	if (c->busy || c->failed || !c->open.head)
		return;
	c->busy = true;
	c->running.head = c->open.head;
	c->running.tail = c->open.tail;
	oss_list_init(&c->open);
	if (!build(s)) {
		kv_begin(s);
		return;
	}
	err = WEFT_FAULT("oss.commit.before_sync");
	if (err) {
		c->busy = false;
		commit_failed(s, err);
		return;
	}
	c->sync = (struct weft_io){ .op = WEFT_IO_FDATASYNC, .done = synced, .arg = s };
	weft_disk_submit(s->disk, &c->sync);
}

void oss_commit_add(struct oss_store *s, struct oss_part *p)
{
	oss_list_add(&s->commits.open, p);
}

bool oss_commits_idle(const struct oss_store *s)
{
	return !s->commits.busy && !s->commits.open.head;
}

int oss_commits_init(struct oss_store *s)
{
	struct oss_commits *c = &s->commits;

	oss_list_init(&c->open);
	oss_list_init(&c->running);
	weft_timer_init(&c->timer, repair, s);
	c->work.arg = s;
	return weft_kv_batch_create(s->kv, &c->batch);
}

void oss_commits_fini(struct oss_store *s)
{
	struct oss_commits *c = &s->commits;
	struct oss_seg *seg;

	weft_timer_stop(s->env, &c->timer);
	while (c->broken) {
		seg = c->broken;
		c->broken = seg->broken;
		oss_seg_put(s, seg);
	}
	oss_runs_fini(&c->limbo);
	weft_kv_batch_free(c->batch);
}
