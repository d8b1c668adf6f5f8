// SPDX-License-Identifier: Apache-2.0
/*
 * Finding data and holes: a worker walks the stored records, once they have what the journal has.
 *
 * Unwritten blocks and the bytes behind a record's length are holes. A record that cannot be
 * decoded is -EIO: neither data nor a hole.
 */
#include <errno.h>

#include "common/log.h"
#include "oss/internal.h"

/* First byte of written data at or behind @off; OSS_SEG when there is none. */
static uint32_t find_data(const struct oss_rec *r, uint32_t off)
{
	uint32_t b;

	for (b = off >> OSS_BLOCK_SHIFT; b < OSS_SEG_BLOCKS; b++) {
		uint32_t pos = b << OSS_BLOCK_SHIFT;

		if (pos < off)
			pos = off;
		if (oss_rec_written(r, b))
			return pos < r->len ? pos : OSS_SEG;
	}
	return OSS_SEG;
}

/* First byte at or behind @off that is not stored; OSS_SEG when there is none. */
static uint32_t find_hole(const struct oss_rec *r, uint32_t off)
{
	uint32_t b, pos = off;

	for (b = off >> OSS_BLOCK_SHIFT; b < OSS_SEG_BLOCKS && oss_rec_written(r, b); b++)
		pos = (b + 1) << OSS_BLOCK_SHIFT;
	if (pos > r->len)
		pos = r->len;
	return pos > off ? pos : off;
}

static int decode(struct oss_store *s, struct weft_kv_iter *it, struct oss_key *key,
		  struct oss_rec *rec)
{
	size_t klen, vlen;
	const void *k = weft_kv_iter_key(it, &klen);
	const void *v = weft_kv_iter_val(it, &vlen);
	int err;

	err = oss_key_decode(k, klen, key);
	if (!err)
		err = oss_rec_decode(v, vlen, s->alloc.nblocks, rec);
	if (!err)
		return 0;
	weft_err("chunk record is damaged", "ino=%llx chunk=%llu segment=%u",
		 (unsigned long long)key->ino, (unsigned long long)key->chunk, key->seg);
	return -EIO;
}

static int seek_data(struct oss_op *op, struct weft_kv_iter *it)
{
	struct oss_rec rec;
	struct oss_key key = op->pos;
	uint32_t off;
	int err;

	for (; weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		err = decode(op->store, it, &key, &rec);
		if (err)
			return err;
		off = 0;
		if (key.chunk == op->pos.chunk && key.seg == op->pos.seg)
			off = op->off % OSS_SEG;
		off = find_data(&rec, off);
		if (off == OSS_SEG)
			continue;
		op->r_found = true;
		op->r_chunk = key.chunk;
		op->r_off = (key.seg << OSS_SEG_SHIFT) + off;
		return 0;
	}
	return weft_kv_iter_error(it);
}

static int seek_hole(struct oss_op *op, struct weft_kv_iter *it)
{
	struct oss_rec rec;
	struct oss_key key = op->pos;
	uint32_t seg = op->pos.seg, off = op->off % OSS_SEG;
	int err;

	for (; weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		err = decode(op->store, it, &key, &rec);
		if (err)
			return err;
		if (key.seg != seg)
			break;
		off = find_hole(&rec, off);
		if (off < OSS_SEG)
			break;
		off = 0;
		seg++;
	}
	err = weft_kv_iter_error(it);
	if (err)
		return err;
	op->r_found = true;
	op->r_chunk = op->chunk;
	op->r_off = (seg << OSS_SEG_SHIFT) + off;
	return 0;
}

static void seek_fn(void *arg)
{
	struct oss_op *op = arg;
	bool hole = op->kind == OSS_SEEK_HOLE;
	uint8_t from[OSS_KEY_LEN];
	struct weft_kv_iter *it;

	oss_key_encode(&op->pos, from);
	op->err = weft_kv_iter_prefix(op->store->kv, NULL, OSS_CF_CHUNKS, from, hole ? 16 : 8, &it);
	if (op->err)
		return;
	weft_kv_iter_seek(it, from, sizeof(from));
	op->err = hole ? seek_hole(op, it) : seek_data(op, it);
	weft_kv_iter_free(it);
}

static void seek_done(void *arg)
{
	oss_op_put(arg, 0);
}

static void seek_start(struct oss_op *op, int err)
{
	if (err) {
		oss_op_put(op, err);
		return;
	}
	op->work.fn = seek_fn;
	op->work.done = seek_done;
	op->work.arg = op;
	weft_env_work(op->store->env, &op->work);
}

void oss_seek_submit(struct oss_store *s, struct oss_op *op)
{
	oss_op_start(s, op);
	op->pos = (struct oss_key){ op->ino, op->chunk, op->off >> OSS_SEG_SHIFT };
	op->settled = seek_start;
	if (!oss_small_wait(s, op))
		seek_start(op, 0);
}
