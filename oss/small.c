// SPDX-License-Identifier: Apache-2.0
/*
 * Small writes: a change of a few blocks, when few operations are under way, is committed together
 * with its bytes in the RocksDB: one sync instead of two. Each such block has its place in the
 * data file already; the bytes go there later.
 *
 * The bytes of a small block are in the column family "small" and, as long as its segment is in
 * memory, in a buffer of its record; so readers need no RocksDB. A timer makes an operation
 * OSS_SETTLE over the segments in the list: it writes the bytes to their place and commits records
 * without the mark, and deletes the bytes in the RocksDB in the same batch. That is done at once
 * when there are many, or when a segment may have no more: each further write would be two syncs.
 * What is not settled when the store is closed or killed is found by the scan.
 *
 * A place of a small block is written by nobody else, and read by nobody until the mark is gone.
 * So a small block may be overwritten in place by a change that is not small.
 *
 * When a settle fails the segments are in the list again when its parts end.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "oss/internal.h"

#define SMALL_BLOCKS 5	/* in one change: 16 KiB of any alignment */
#define SMALL_DEPTH 4	/* operations under way; with more a group has a data sync anyway */
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

/* The scan has found a record with small blocks. */
int oss_small_found(struct oss_store *s, const struct oss_key *key)
{
	struct oss_smalls *m = &s->smalls;
	struct oss_key *more;

	if (!(m->nfound & (m->nfound - 1))) {
		more = realloc(m->found, (m->nfound ? 2 * m->nfound : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		m->found = more;
	}
	m->found[m->nfound++] = *key;
	return 0;
}

/* Put them into the list. One that cannot be read now stays as it is until somebody uses it. */
void oss_small_load(struct oss_store *s)
{
	struct oss_smalls *m = &s->smalls;
	struct oss_seg *seg;
	size_t i;

	for (i = 0; i < m->nfound; i++) {
		if (oss_seg_get(s, &m->found[i], &seg))
			continue;
		oss_small_queue(s, seg);
		oss_seg_put(s, seg);
	}
	free(m->found);
	m->found = NULL;
	m->nfound = 0;
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
	free(m->found);
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

static void settled(struct oss_op *op, int err)
{
	struct oss_store *s = op->store;
	struct oss_smalls *m = &s->smalls;

	if (err)
		weft_warn("small blocks are not settled", "segments=%u err=%d", m->count, err);
	m->busy = false;
	if (m->head)
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
		weft_timer_start(s->env, &m->timer, m->wait_ns);
		return;
	}
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

/* May the blocks that a change writes be small ones? */
bool oss_small_fits(const struct oss_part *p)
{
	const struct oss_store *s = p->store;
	uint32_t b, n = 0;

	if (s->smalls.off || s->nops > SMALL_DEPTH || p->base->nsmall >= SEG_SMALL_MAX ||
	    s->smalls.count >= SEGS_MAX)
		return false;
	for (b = 0; b < OSS_SEG_BLOCKS; b++)
		n += p->act[b] == OSS_PUT;
	return n && n <= SMALL_BLOCKS;
}

/* A block becomes small, with the reference @buf, or (NULL) is no longer. */
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

static void small_key(const struct oss_key *key, uint32_t b, uint8_t buf[OSS_SMALL_KEY_LEN])
{
	oss_key_encode(key, buf);
	buf[OSS_KEY_LEN] = b;
}

/* The bytes of the small blocks of a record that was just decoded. */
int oss_small_read(struct oss_store *s, const struct oss_key *key, struct oss_rec *r)
{
	uint8_t kbuf[OSS_SMALL_KEY_LEN];
	struct weft_kv_val val = { 0 };
	struct weft_buf *buf;
	uint32_t b;
	int err = 0;

	r->nsmall = 0;
	for (b = 0; b < OSS_SEG_BLOCKS && !err; b++) {
		if (!(r->blk[b] & OSS_SMALL))
			continue;
		small_key(key, b, kbuf);
		err = weft_kv_get(s->kv, OSS_CF_SMALL, kbuf, sizeof(kbuf), &val);
		if (err)
			break;
		buf = weft_buf_get(s->pool, OSS_BLOCK);
		if (!buf)
			err = -EAGAIN;
		else if (val.len != OSS_BLOCK)
			err = -EUCLEAN;
		if (!err)
			memcpy(buf->data, val.data, OSS_BLOCK);
		weft_kv_val_fini(&val);
		if (err)
			weft_buf_put(buf);
		else
			err = oss_small_set(r, b, buf);
	}
	return err;
}

/* What a change does to the small blocks of the store. */
void oss_small_store(struct oss_part *p, struct weft_kv_batch *batch)
{
	uint8_t kbuf[OSS_SMALL_KEY_LEN];
	uint32_t b;

	if (!p->rec->nsmall && !p->base->nsmall)
		return;
	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		if (p->act[b] == OSS_KEEP || !((p->rec->blk[b] | p->base->blk[b]) & OSS_SMALL))
			continue;
		small_key(&p->seg->key, b, kbuf);
		if (p->rec->blk[b] & OSS_SMALL)
			weft_kv_put(batch, OSS_CF_SMALL, kbuf, sizeof(kbuf),
				    p->rec->small[b]->data, OSS_BLOCK);
		else
			weft_kv_delete(batch, OSS_CF_SMALL, kbuf, sizeof(kbuf));
	}
}

/* After a failed commit: the stored small blocks are those of the stable record again. */
void oss_small_restore(struct oss_seg *seg, struct weft_kv_batch *batch)
{
	uint8_t kbuf[OSS_SMALL_KEY_LEN];
	uint32_t b;

	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		small_key(&seg->key, b, kbuf);
		if (seg->stable->blk[b] & OSS_SMALL)
			weft_kv_put(batch, OSS_CF_SMALL, kbuf, sizeof(kbuf),
				    seg->stable->small[b]->data, OSS_BLOCK);
		else
			weft_kv_delete(batch, OSS_CF_SMALL, kbuf, sizeof(kbuf));
	}
}
