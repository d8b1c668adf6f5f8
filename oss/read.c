// SPDX-License-Identifier: Apache-2.0
/*
 * Reads: the stable records of the segments are pinned, their blocks are read into buffers of the
 * pool and verified, holes and unwritten blocks are zeroed. What is behind the last stored byte of
 * the range is not sent.
 *
 * A read takes no lock: its records and their blocks stay as they are until it is over (seg.c). A
 * damaged block or an error of the disk fails the whole read; -EAGAIN when the pool is empty.
 */
#include <errno.h>
#include <stdlib.h>

#include "oss/internal.h"

/* End of the stored bytes of a part's range within its segment; p->off when there are none. */
static uint32_t stored_end(const struct oss_part *p)
{
	const struct oss_rec *r = p->rec;
	uint32_t end = p->off + p->len;
	uint32_t b = (end - 1) >> OSS_BLOCK_SHIFT, first = p->off >> OSS_BLOCK_SHIFT;
	uint32_t stop;

	while (!oss_rec_written(r, b)) {
		if (b == first)
			return p->off;
		b--;
	}
	stop = (b + 1) << OSS_BLOCK_SHIFT;
	if (end > stop)
		end = stop;
	if (end > r->len)
		end = r->len;
	return end > p->off ? end : p->off;
}

static int add_part(struct oss_store *s, struct oss_op *op, const struct oss_key *key,
		    uint32_t off, uint32_t len, struct oss_part **out)
{
	int err = oss_part_new(s, op, key, off, len, out);

	if (!err)
		(*out)->rec = oss_rec_get((*out)->seg->stable);
	return err;
}

static void free_parts(struct oss_part *p)
{
	struct oss_part *next;

	for (; p; p = next) {
		next = p->sibling;
		oss_part_free(p);
	}
}

/* Parts for all segments of the range, cut at the last stored byte. */
static int collect(struct oss_store *s, struct oss_op *op)
{
	struct oss_key key = { op->ino, op->chunk, op->off >> OSS_SEG_SHIFT };
	struct oss_part **tail = &op->parts, **stop = &op->parts;
	uint32_t pos = op->off, end = op->off + op->len;
	int err;

	while (pos < end) {
		uint32_t off = pos % OSS_SEG;
		uint32_t len = OSS_SEG - off < end - pos ? OSS_SEG - off : end - pos;
		struct oss_part *p;
		uint32_t stored;

		err = add_part(s, op, &key, off, len, tail);
		if (err)
			return err;
		p = *tail;
		tail = &p->sibling;
		stored = stored_end(p);
		if (stored > off) {
			op->r_len = pos - op->off + stored - off;
			stop = tail;
		}
		pos += len;
		key.seg++;
	}
	free_parts(*stop);
	*stop = NULL;
	return 0;
}

static int get_memory(struct oss_part *p)
{
	uint32_t first = p->off >> OSS_BLOCK_SHIFT;
	uint32_t end = (p->off + p->len + OSS_BLOCK - 1) >> OSS_BLOCK_SHIFT;
	uint32_t b;

	p->bounce = weft_buf_get(p->store->pool, (end - first) << OSS_BLOCK_SHIFT);
	if (!p->bounce)
		return -EAGAIN;
	for (b = first; b < end; b++) {
		p->mem[b] = p->bounce->data + ((b - first) << OSS_BLOCK_SHIFT);
		if (!oss_rec_written(p->rec, b))
			memset(p->mem[b], 0, OSS_BLOCK);
		else if (p->rec->blk[b] & OSS_SMALL)
			memcpy(p->mem[b], p->rec->small[b]->data, OSS_BLOCK);
	}
	return 0;
}

/* All blocks are there. */
static int assemble(struct oss_op *op)
{
	struct oss_part *p;
	uint32_t left = op->r_len;
	int err = 0, bad;

	for (p = op->parts; p; p = p->sibling) {
		bad = oss_part_verify(p, p->rec);
		if (bad)
			err = bad;
	}
	for (p = op->parts; p && !err; p = p->sibling) {
		uint32_t len = p->len < left ? p->len : left;

		err = weft_sg_add(op->bulk, p->bounce, p->bounce->data + p->off % OSS_BLOCK, len);
		left -= len;
	}
	return err;
}

/* One of the reasons to wait is gone; the last one but that of oss_op_start() ends the read. */
static void read_put(struct oss_op *op, int err)
{
	struct oss_store *s = op->store;

	if (err && !op->err)
		op->err = err;
	if (--op->pending > 1)
		return;
	if (!op->err)
		op->err = assemble(op);
	if (op->err)
		op->r_len = 0;
	s->stats.bytes_read += op->r_len;
	free_parts(op->parts);
	oss_space_wake(s);
	oss_op_put(op, 0);
}

static void read_done(struct oss_part *p, int err)
{
	read_put(p->op, err);
}

void oss_read_submit(struct oss_store *s, struct oss_op *op)
{
	struct oss_part *p;
	int err, n;

	oss_op_start(s, op);
	op->pending++;
	err = collect(s, op);
	for (p = op->parts; p && !err; p = p->sibling)
		err = get_memory(p);
	for (p = op->parts; p && !err; p = p->sibling) {
		op->pending++;
		n = oss_part_io(p, WEFT_IO_READ, p->rec, read_done);
		if (n <= 0)
			op->pending--;
		err = n < 0 ? n : 0;
	}
	read_put(op, err);
}
