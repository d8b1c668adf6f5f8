// SPDX-License-Identifier: Apache-2.0
/*
 * Small writes: a write of a few blocks, when few operations are under way, is committed together
 * with its bytes in the journal (journal.c): one sync instead of two, and no work of the RocksDB.
 * Each such block has its place in the data file already; the bytes go there later.
 *
 * The bytes of small blocks are in buffers of their segment's record, which therefore stays in
 * memory; readers take them from there. A timer makes an operation OSS_SETTLE over the segments in
 * the list: it writes the bytes to their place and commits records without the mark. That is done
 * at once when there are many, when a segment may have no more, or when a log of the journal is
 * full. What is not settled when the store is closed or killed is found in the journal.
 *
 * A place of a small block is written by nobody else, and read by nobody until the mark is gone.
 * So a small block may be overwritten in place by a change that is not small.
 *
 * Who reads stored records instead of segments waits for a settle that begins afterwards.
 *
 * When a settle fails the segments are in the list again when its parts end.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "oss/delta.h"
#include "oss/internal.h"

#define SMALL_DEPTH 16	/* operations under way; with more a group has a data sync anyway */
#define SEG_SMALL_MAX 32 /* blocks of one segment */
#define SEGS_MAX 256	/* segments in the list: at most 32 MiB of buffers */
#define SETTLE_SOON 64	/* segments in the list that are settled at once */
#define WAIT_NS (300 * WEFT_NS_PER_MS)

static void settle(void *arg);
static void settled(struct oss_op *op, int err);

void oss_small_init(struct oss_store *s, bool off, uint64_t wait_ns)
{
	struct oss_smalls *m = &s->smalls;

	m->off = off;
	m->wait_ns = wait_ns ? wait_ns : WAIT_NS;
	m->tail = &m->head;
	m->op.kind = OSS_SETTLE;
	m->op.done = settled;
	weft_timer_init(&m->timer, settle, s);
}

static struct oss_seg *pop(struct oss_smalls *m)
{
	struct oss_seg *seg = m->head;

	m->head = seg->small_next;
	if (!m->head)
		m->tail = &m->head;
	m->count--;
	seg->is_small = false;
	return seg;
}

void oss_small_fini(struct oss_store *s)
{
	struct oss_smalls *m = &s->smalls;

	weft_timer_stop(s->env, &m->timer);
	while (m->head)
		oss_seg_put(s, pop(m));
}

static void push(struct oss_smalls *m, struct oss_seg *seg)
{
	seg->is_small = true;
	seg->refs++;
	seg->small_next = NULL;
	*m->tail = seg;
	m->tail = &seg->small_next;
	m->count++;
}

/* A part has ended or a segment was loaded: has it small blocks that nobody cares for? */
void oss_small_queue(struct oss_store *s, struct oss_seg *seg)
{
	struct oss_smalls *m = &s->smalls;

	if (!seg->stable->nsmall)
		return;
	if (!seg->is_small)
		push(m, seg);
	m->full |= seg->stable->nsmall >= SEG_SMALL_MAX;
	if (m->busy)
		return;
	if ((m->full || m->count >= SETTLE_SOON) && !s->commits.failed)
		weft_timer_start(s->env, &m->timer, 0);
	else if (m->timer.pos < 0)
		weft_timer_start(s->env, &m->timer, m->wait_ns);
}

/* Of those who wait, the ones that a round was enough for, or (@err) all of them. */
static void wake(struct oss_smalls *m, int err)
{
	struct oss_op *op = m->waiters, *next;

	m->waiters = NULL;
	for (; op; op = next) {
		next = op->next;
		if (err || op->round <= m->round) {
			op->settled(op, err ? -EAGAIN : 0);
			continue;
		}
		op->next = m->waiters;
		m->waiters = op;
	}
}

static void settled(struct oss_op *op, int err)
{
	struct oss_store *s = op->store;
	struct oss_smalls *m = &s->smalls;

	if (err)
		weft_warn("small blocks are not settled", "segments=%u err=%d", m->count, err);
	m->busy = false;
	if (!err && m->drain && m->drain <= m->round) {
		m->drain = 0;
		oss_journal_drained(s);
	}
	m->full |= m->drain != 0;
	wake(m, err);
	m->full |= m->waiters != NULL;
	if (m->head || m->drain || m->waiters)
		weft_timer_start(s->env, &m->timer,
				 (m->full || m->count >= SETTLE_SOON) && !err ? 0 : m->wait_ns);
}

static void settle(void *arg)
{
	struct oss_store *s = arg;
	struct oss_smalls *m = &s->smalls;
	unsigned int i, n = m->count;
	int err = 0, res;

	if (s->commits.failed) {
		wake(m, s->commits.failed);
		weft_timer_start(s->env, &m->timer, m->wait_ns);
		return;
	}
	m->round++;
	m->busy = true;
	m->full = false;
	oss_op_start(s, &m->op);
	for (i = 0; i < n; i++) {
		struct oss_seg *seg = pop(m);

		res = oss_part_add(s, &m->op, &seg->key, 0, OSS_SEG, 0);
		if (res) {
			err = res;
			oss_small_queue(s, seg);
		}
		oss_seg_put(s, seg);
	}
	oss_op_put(&m->op, err);
}

static void settle_soon(struct oss_store *s)
{
	struct oss_smalls *m = &s->smalls;

	m->full = true;
	if (!m->busy)
		weft_timer_start(s->env, &m->timer, 0);
}

void oss_small_drain(struct oss_store *s)
{
	s->smalls.drain = s->smalls.round + 1;
	settle_soon(s);
}

bool oss_small_wait(struct oss_store *s, struct oss_op *op)
{
	struct oss_smalls *m = &s->smalls;
	const struct oss_seg *seg = m->head;

	while (seg && seg->key.ino != op->ino)
		seg = seg->small_next;
	if (!seg && !m->busy)
		return false;
	op->round = m->round + (seg != NULL);
	op->next = m->waiters;
	m->waiters = op;
	if (seg)
		settle_soon(s);
	return true;
}

void oss_small_admit(struct oss_part *p)
{
	const struct oss_store *s = p->store;
	uint32_t b, n = 0;

	if (s->smalls.off || p->op->kind != OSS_WRITE || s->nops > SMALL_DEPTH ||
	    p->base->nsmall >= SEG_SMALL_MAX || s->smalls.count >= SEGS_MAX)
		return;
	for (b = 0; b < OSS_SEG_BLOCKS; b++)
		n += p->act[b] == OSS_PUT;
	if (n <= OSS_DELTA_BLOCKS)
		oss_journal_admit(p, n);
}

int oss_small_set(struct oss_rec *r, uint32_t b, struct weft_buf *buf)
{
	if (!buf) {
		if (!r->small || !r->small[b])
			return 0;
		weft_buf_put(r->small[b]);
		r->small[b] = NULL;
		r->blk[b] &= ~OSS_SMALL;
		r->nsmall--;
		return 0;
	}
	if (!r->small)
		r->small = calloc(OSS_SEG_BLOCKS, sizeof(*r->small));
	if (!r->small) {
		weft_buf_put(buf);
		return -ENOMEM;
	}
	r->small[b] = buf;
	r->blk[b] |= OSS_SMALL;
	r->nsmall++;
	return 0;
}

int oss_small_copy(struct oss_store *s, struct oss_rec *r, uint32_t b, const void *bytes)
{
	struct weft_buf *buf = weft_buf_get(s->pool, OSS_BLOCK);

	if (!buf)
		return -EAGAIN;
	memcpy(buf->data, bytes, OSS_BLOCK);
	return oss_small_set(r, b, buf);
}
