// SPDX-License-Identifier: Apache-2.0
/*
 * Changes of segments: write, punch, allocate, cut.
 *
 * Each change of an operation in one segment is a part:
 *
 *	begin	with the segment's lock: decide what happens to each block (plan)
 *	edges	blocks that are covered in part are read and verified
 *	fill	their bytes are merged, the memory of all blocks is found
 *	assign	new space is taken, the new record is made, blocks are written
 *	join	the record becomes the segment's @cur, the lock goes to the next change, and the
 *		part waits in the open commit group (commit.c), which ends it
 *
 * Written blocks are never overwritten: new bytes go to new space or into unwritten blocks, which
 * nobody reads, or beside the record (small.c). So a crash before the commit leaves the old bytes.
 *
 * A part can fail at each step; it then gives back the blocks it took and the lock, and the
 * segment is as before. -ENOSPC is given only when no commit or read that is under way will free
 * space; until then the part waits (space_waiters) with the lock held. A part that shrinks or
 * keeps the size of its segment may take the allocator's reserve, so that deleting and
 * overwriting works on a full target.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/crc32c.h"
#include "common/fault.h"
#include "oss/internal.h"

static void part_fill(struct oss_part *p);
static void part_assign(struct oss_part *p);

/* --- operations */

void oss_op_start(struct oss_store *s, struct oss_op *op)
{
	op->store = s;
	op->pending = 1;
	op->err = 0;
	op->more = false;
	op->parts = NULL;
	op->bytes_delta = 0;
	op->r_found = false;
	op->r_len = 0;
	s->nops++;
}

void oss_op_put(struct oss_op *op, int err)
{
	struct oss_store *s = op->store;

	if (err && !op->err)
		op->err = err;
	if (--op->pending)
		return;
	if (op->more && !op->err) {
		oss_truncate_step(op);
		return;
	}
	s->nops--;
	s->stats.ops[op->kind]++;
	if (!op->err && op->kind == OSS_WRITE)
		s->stats.bytes_written += op->len;
	if (op->err == -ENOSPC)
		s->stats.no_space++;
	op->done(op, op->err);
}

int oss_part_new(struct oss_store *s, struct oss_op *op, const struct oss_key *key, uint32_t off,
		 uint32_t len, struct oss_part **out)
{
	struct oss_part *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	err = oss_seg_get(s, key, &p->seg);
	if (err) {
		free(p);
		return err;
	}
	p->store = s;
	p->op = op;
	p->off = off;
	p->len = len;
	*out = p;
	return 0;
}

int oss_part_add(struct oss_store *s, struct oss_op *op, const struct oss_key *key, uint32_t off,
		 uint32_t len, size_t bulk_off)
{
	struct oss_part *p;
	int err = oss_part_new(s, op, key, off, len, &p);

	if (err)
		return err;
	p->bulk_off = bulk_off;
	op->pending++;
	oss_seg_lock(s, p);
	return 0;
}

void oss_change_submit(struct oss_store *s, struct oss_op *op)
{
	struct oss_key key = { op->ino, op->chunk, op->off >> OSS_SEG_SHIFT };
	uint32_t pos = op->off, end = op->off + op->len;
	int err = 0;

	oss_op_start(s, op);
	while (pos < end && !err) {
		uint32_t off = pos % OSS_SEG;
		uint32_t len = OSS_SEG - off < end - pos ? OSS_SEG - off : end - pos;

		err = oss_part_add(s, op, &key, off, len, pos - op->off);
		pos += len;
		key.seg++;
	}
	oss_op_put(op, err);
}

/* --- the end of a part */

static void put_buffers(struct oss_part *p)
{
	unsigned int i;

	for (i = 0; i < p->nedges; i++)
		weft_buf_put(p->edges[i].buf);
	p->nedges = 0;
	weft_buf_put(p->bounce);
	p->bounce = NULL;
}

void oss_part_free(struct oss_part *p)
{
	struct oss_store *s = p->store;

	put_buffers(p);
	oss_journal_release(p);
	oss_runs_fini(&p->alloced);
	oss_runs_fini(&p->freed);
	oss_rec_put(s, p->rec);
	oss_rec_put(s, p->base);
	oss_small_queue(s, p->seg);
	oss_seg_put(s, p->seg);
	free(p);
}

void oss_part_end(struct oss_part *p, int err)
{
	struct oss_op *op = p->op;

	if (!err)
		op->bytes_delta += (int64_t)p->delta * OSS_BLOCK;
	oss_part_free(p);
	oss_op_put(op, err);
}

/* It failed before it joined a commit group: nothing has happened. */
static void part_fail(struct oss_part *p, int err)
{
	struct oss_store *s = p->store;

	oss_alloc_release(&s->alloc, &p->alloced);
	s->pending_free -= p->freed.blocks;
	oss_seg_unlock(s, p);
	oss_part_end(p, err);
	oss_space_wake(s);
}

/* --- begin */

static uint32_t block_start(uint32_t b)
{
	return b << OSS_BLOCK_SHIFT;
}

/* Does the part cover all of a block that matters? Behind the record's length there are zeros. */
static bool covers(const struct oss_part *p, uint32_t b)
{
	uint32_t end = p->off + p->len;

	if (p->off > block_start(b))
		return false;
	if (end >= block_start(b) + OSS_BLOCK)
		return true;
	return p->op->kind != OSS_WRITE && oss_rec_written(p->base, b) && end >= p->base->len;
}

static enum oss_act act_on(const struct oss_part *p, uint32_t b)
{
	switch (p->op->kind) {
	case OSS_WRITE:
		return OSS_PUT;
	case OSS_ALLOC:
		return p->base->blk[b] ? OSS_KEEP : OSS_RESERVE;
	case OSS_SETTLE:
		return p->base->blk[b] & OSS_SMALL ? OSS_MOVE : OSS_KEEP;
	default: /* OSS_PUNCH, OSS_TRUNCATE */
		if (!p->base->blk[b])
			return OSS_KEEP;
		if (covers(p, b))
			return OSS_DROP;
		if (!oss_rec_written(p->base, b) || p->off >= p->base->len)
			return OSS_KEEP;
		return OSS_PUT;
	}
}

static void add_edge(struct oss_part *p, uint32_t b)
{
	struct oss_edge *e = &p->edges[p->nedges++];
	uint32_t end = p->off + p->len - block_start(b);

	e->blk = b;
	e->from = p->off > block_start(b) ? p->off - block_start(b) : 0;
	e->to = end < OSS_BLOCK ? end : OSS_BLOCK;
	e->read = oss_rec_written(p->base, b) &&
		  (e->from || block_start(b) + e->to < p->base->len);
}

/* Decides what happens to each block. Returns false when nothing changes. */
static bool plan(struct oss_part *p)
{
	uint32_t b, first = p->off >> OSS_BLOCK_SHIFT;
	uint32_t end = (p->off + p->len + OSS_BLOCK - 1) >> OSS_BLOCK_SHIFT;
	uint32_t len = p->base->len;
	bool any = false;

	for (b = first; b < end; b++) {
		p->act[b] = act_on(p, b);
		if (p->act[b] == OSS_PUT && !covers(p, b))
			add_edge(p, b);
		any |= p->act[b] != OSS_KEEP;
	}
	if (p->op->kind == OSS_WRITE && p->off + p->len > len)
		len = p->off + p->len;
	else if (p->op->kind == OSS_TRUNCATE && p->off < len)
		len = p->off;
	p->rec->len = len;
	return any || len != p->base->len;
}

/*
 * A truncate that cuts through a damaged block leaves it as it is: whoever asked for the truncate
 * repeats it until it works, and holds others off meanwhile. With a checksum that is wrong for the
 * right bytes too, nothing of the block can come back. Other changes fail.
 */
static int keep_damaged(struct oss_part *p)
{
	uint32_t b = p->edges[0].blk;

	if (p->op->kind != OSS_TRUNCATE)
		return -EIO;
	p->act[b] = OSS_KEEP;
	p->mem[b] = NULL;
	p->rec->crc[b] = ~p->base->crc[b];
	put_buffers(p);
	return 0;
}

static void edges_read(struct oss_part *p, int err)
{
	if (!err && p->gen != p->seg->gen)
		err = -EIO;
	if (!err && oss_part_verify(p, p->base))
		err = keep_damaged(p);
	if (err)
		part_fail(p, err);
	else
		part_fill(p);
}

static int get_edges(struct oss_part *p)
{
	unsigned int i;

	for (i = 0; i < p->nedges; i++) {
		struct oss_edge *e = &p->edges[i];

		e->buf = weft_buf_get(p->store->pool, OSS_BLOCK);
		if (!e->buf)
			return -EAGAIN;
		if (!e->read) {
			memset(e->buf->data, 0, OSS_BLOCK);
			continue;
		}
		p->mem[e->blk] = e->buf->data;
		p->store->stats.edge_reads++;
		if (p->base->blk[e->blk] & OSS_SMALL)
			memcpy(e->buf->data, p->base->small[e->blk]->data, OSS_BLOCK);
	}
	return 0;
}

void oss_part_begin(struct oss_part *p)
{
	struct oss_store *s = p->store;
	struct oss_seg *seg = p->seg;
	int err = s->commits.failed;

	if (err)
		goto out_fail;
	p->gen = seg->gen;
	p->base = oss_rec_get(seg->cur);
	p->rec = oss_rec_alloc(p->base);
	err = -ENOMEM;
	if (!p->rec)
		goto out_fail;
	p->rec->version = ++s->version;
	if (!plan(p) && seg->cur == seg->stable) {
		/* Nothing to do, and nothing that somebody else did has yet to become durable. */
		oss_seg_unlock(s, p);
		oss_part_end(p, 0);
		return;
	}
	err = get_edges(p);
	if (err)
		goto out_fail;
	err = oss_part_io(p, WEFT_IO_READ, p->base, edges_read);
	if (err < 0)
		goto out_fail;
	if (!err)
		part_fill(p);
	return;

out_fail:
	part_fail(p, err);
}

/* --- fill */

static void merge_edge(struct oss_part *p, struct oss_edge *e)
{
	char *to = e->buf->data + e->from;
	size_t len = e->to - e->from;

	if (p->op->kind == OSS_WRITE)
		weft_sg_read(p->op->bulk, p->bulk_off + block_start(e->blk) + e->from - p->off, to,
			     len);
	else
		memset(to, 0, len);
	p->mem[e->blk] = e->buf->data;
}

/*
 * Point to the whole blocks of the bulk where it lies, from block @b on. Returns false when some
 * block is not aligned or not in one piece.
 */
static bool map_bulk(struct oss_part *p, uint32_t b, uint32_t end)
{
	size_t skip = p->bulk_off + block_start(b) - p->off;
	const struct weft_sg *sg = p->op->bulk;
	unsigned int i;

	for (i = 0; i < sg->n && b < end; i++) {
		size_t len = sg->e[i].len;
		char *ptr = sg->e[i].ptr;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		ptr += skip;
		len -= skip;
		skip = 0;
		if ((uintptr_t)ptr % WEFT_BUF_ALIGN)
			return false;
		for (; len >= OSS_BLOCK && b < end; ptr += OSS_BLOCK, len -= OSS_BLOCK)
			p->mem[b++] = ptr;
		if (len && b < end)
			return false;
	}
	return b == end;
}

static int find_memory(struct oss_part *p)
{
	uint32_t first = (p->off + OSS_BLOCK - 1) >> OSS_BLOCK_SHIFT;
	uint32_t end = (p->off + p->len) >> OSS_BLOCK_SHIFT;
	uint32_t b;

	if (first >= end || map_bulk(p, first, end))
		return 0;
	p->bounce = weft_buf_get(p->store->pool, block_start(end - first));
	if (!p->bounce)
		return -EAGAIN;
	weft_sg_read(p->op->bulk, p->bulk_off + block_start(first) - p->off, p->bounce->data,
		     block_start(end - first));
	for (b = first; b < end; b++)
		p->mem[b] = p->bounce->data + block_start(b - first);
	return 0;
}

static void part_fill(struct oss_part *p)
{
	unsigned int i;
	uint32_t b;
	int err = 0;

	for (b = 0; p->op->kind == OSS_SETTLE && b < OSS_SEG_BLOCKS; b++)
		if (p->act[b] == OSS_MOVE)
			p->mem[b] = p->base->small[b]->data;

	if (p->op->kind == OSS_WRITE)
		err = find_memory(p);
	if (err) {
		part_fail(p, err);
		return;
	}
	for (i = 0; i < p->nedges; i++)
		merge_edge(p, &p->edges[i]);
	part_assign(p);
}

/* --- assign */

/* Does the change of a block need a new one? */
static bool needs_new(const struct oss_part *p, uint32_t b)
{
	return p->act[b] == OSS_RESERVE || (p->act[b] == OSS_PUT && !(p->base->blk[b] & OSS_FLAGS));
}

static int take_space(struct oss_part *p)
{
	unsigned int flags = 0;
	uint32_t b, need = 0;
	int err;

	p->delta = 0;
	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		bool old = p->base->blk[b];

		need += needs_new(p, b);
		p->delta += (p->act[b] == OSS_RESERVE) + (p->act[b] == OSS_PUT && !old) -
			    (p->act[b] == OSS_DROP);
	}
	if (!need)
		return 0;
	if (p->delta <= 0)
		flags = OSS_ALLOC_RESERVE;
	err = WEFT_FAULT("oss.alloc");
	return err ? err : oss_alloc_take(&p->store->alloc, need, flags, &p->alloced);
}

/* The bytes of a block that was changed: in the data file, or small. */
static int set_bytes(struct oss_part *p, uint32_t b)
{
	int err;

	p->rec->crc[b] = weft_crc32c(0, p->mem[b], OSS_BLOCK);
	if (!p->jseg)
		return 0;
	err = oss_small_copy(p->store, p->rec, b, p->mem[b]);
	p->store->stats.small_blocks += !err;
	return err;
}

/* Makes the new record; the blocks in @p->alloced are used up in their order. */
static int make_record(struct oss_part *p)
{
	struct oss_rec *r = p->rec;
	uint32_t b, used = 0, run = 0;
	int err = 0;

	oss_small_admit(p);
	for (b = 0; b < OSS_SEG_BLOCKS && !err; b++) {
		uint64_t old = oss_rec_block(p->base, b);

		if (p->act[b] == OSS_KEEP)
			continue;
		oss_small_set(r, b, NULL);
		if (needs_new(p, b)) {
			assert(run < p->alloced.n);
			r->blk[b] = p->alloced.e[run].start + used;
			if (++used == p->alloced.e[run].count) {
				used = 0;
				run++;
			}
			if (p->act[b] == OSS_RESERVE)
				r->blk[b] |= OSS_UNWRITTEN;
			if (old)
				err = oss_runs_add(&p->freed, old, 1);
		} else if (p->act[b] == OSS_DROP) {
			r->blk[b] = 0;
			err = oss_runs_add(&p->freed, old, 1);
		} else {
			r->blk[b] = old;
		}
		if (p->act[b] == OSS_PUT && !err)
			err = set_bytes(p, b);
	}
	r->mapped += p->delta;
	p->store->pending_free += p->freed.blocks;
	return err;
}

static void part_join(struct oss_part *p)
{
	struct oss_store *s = p->store;
	struct oss_seg *seg = p->seg;

	put_buffers(p);
	oss_rec_put(s, seg->cur);
	seg->cur = oss_rec_get(p->rec);
	oss_commit_add(s, p);
	oss_seg_unlock(s, p);
	oss_commit_kick(s);
}

static void written(struct oss_part *p, int err)
{
	if (!err)
		err = WEFT_FAULT("oss.write.data_done");
	if (!err)
		err = p->store->commits.failed;
	if (!err && (p->gen != p->seg->gen || p->lost_syncs != p->store->commits.lost_syncs))
		err = -EIO;
	if (err)
		part_fail(p, err);
	else
		part_join(p);
}

static void part_assign(struct oss_part *p)
{
	struct oss_store *s = p->store;
	int err = s->commits.failed;

	if (!err && p->gen != p->seg->gen)
		err = -EIO;
	if (!err)
		err = take_space(p);
	if (err == -ENOSPC && s->pending_free) {
		oss_list_add(&s->space_waiters, p);
		return;
	}
	if (!err)
		err = make_record(p);
	if (!err)
		err = WEFT_FAULT("oss.write.start");
	p->lost_syncs = s->commits.lost_syncs;
	if (!err)
		err = oss_part_io(p, WEFT_IO_WRITE, p->rec, written);
	p->data = err > 0;
	if (err < 0)
		part_fail(p, err);
	else if (!err)
		part_join(p);
}

void oss_space_wake(struct oss_store *s)
{
	struct oss_part *p = s->space_waiters.head, *next;

	oss_list_init(&s->space_waiters);
	for (; p; p = next) {
		next = p->next;
		part_assign(p);
	}
}
