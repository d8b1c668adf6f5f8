// SPDX-License-Identifier: Apache-2.0
/*
 * Truncating and deleting objects: every segment of the inode at or behind a position is cut.
 *
 * It goes in steps of STEP_SEGS segments, each step one or a few commits, so that deleting a huge
 * object neither needs unbounded memory nor blocks the loop. A crash in between leaves a front
 * part of the work done; whoever asked repeats the request, which is idempotent.
 *
 * Segments are found in the RocksDB and among the ones in use, since a change that came before the
 * truncate may not be stored yet. The block that is cut in part is rewritten with zeros behind the
 * cut (part.c), so that the bytes never come back when the object grows again.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "oss/internal.h"

#define STEP_SEGS 128

/*
 * A record that cannot be read need not be read to be deleted. Which blocks it had is not known;
 * they are free after the next start.
 */
static int drop_damaged(struct oss_store *s, const struct oss_key *key)
{
	struct weft_kv_batch *batch;
	struct oss_rec *empty;
	int err;

	weft_warn("damaged chunk record deleted, its blocks are free after a restart",
		  "ino=%llx chunk=%llu segment=%u", (unsigned long long)key->ino,
		  (unsigned long long)key->chunk, key->seg);
	empty = oss_rec_alloc(NULL);
	if (!empty)
		return -ENOMEM;
	empty->version = ++s->version;
	err = weft_kv_batch_create(s->kv, &batch);
	if (err)
		goto out_rec;
	oss_record_put(s, batch, key, empty);
	err = weft_kv_commit(batch, true);
	if (!err)
		oss_damage_del(s, key);
	weft_kv_batch_free(batch);
out_rec:
	oss_rec_free(empty);
	return err;
}

static int cut(struct oss_store *s, struct oss_op *op, const struct oss_key *key)
{
	uint32_t off = 0;
	int err;

	if (key->chunk == op->chunk && key->seg == op->off >> OSS_SEG_SHIFT)
		off = op->off % OSS_SEG;
	err = oss_part_add(s, op, key, off, OSS_SEG - off, 0);
	if (err == -EIO && !off)
		return drop_damaged(s, key);
	/* Whoever asked repeats a truncate until it works; these bytes nobody gets to see. */
	return err == -EIO && oss_damage_has(s, key) ? 0 : err;
}

static bool behind(const struct oss_op *op, const struct oss_key *k)
{
	return k->ino == op->ino && (k->chunk > op->chunk ||
	       (k->chunk == op->chunk && k->seg >= op->off >> OSS_SEG_SHIFT));
}

static int cut_active(struct oss_store *s, struct oss_op *op)
{
	struct oss_key *keys;
	struct oss_seg *seg;
	size_t i, n = 0;
	int err = 0;

	for (seg = s->active.next; seg != &s->active; seg = seg->next)
		n += behind(op, &seg->key);
	if (!n)
		return 0;
	keys = malloc(n * sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	n = 0;
	for (seg = s->active.next; seg != &s->active; seg = seg->next)
		if (behind(op, &seg->key))
			keys[n++] = seg->key;
	for (i = 0; i < n && !err; i++)
		err = cut(s, op, &keys[i]);
	free(keys);
	return err;
}

static int collect(struct oss_store *s, struct oss_op *op, struct oss_key *keys, unsigned int *n)
{
	uint8_t from[OSS_KEY_LEN];
	struct weft_kv_iter *it;
	size_t len;
	int err;

	oss_key_encode(&op->pos, from);
	err = weft_kv_iter_prefix(s->kv, NULL, OSS_CF_CHUNKS, from, 8, &it);
	if (err)
		return err;
	for (weft_kv_iter_seek(it, from, sizeof(from)); *n < STEP_SEGS && weft_kv_iter_valid(it);
	     weft_kv_iter_next(it)) {
		const void *key = weft_kv_iter_key(it, &len);

		err = oss_key_decode(key, len, &keys[(*n)++]);
		if (err)
			break;
	}
	if (!err)
		err = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return err;
}

void oss_truncate_step(struct oss_op *op)
{
	struct oss_store *s = op->store;
	struct oss_key keys[STEP_SEGS];
	unsigned int i, n = 0;
	int err;

	op->pending = 1;
	err = collect(s, op, keys, &n);
	op->more = n == STEP_SEGS;
	for (i = 0; i < n && !err; i++)
		err = cut(s, op, &keys[i]);
	if (n) {
		op->pos = keys[n - 1];
		op->pos.seg++;
	}
	oss_op_put(op, err);
}

void oss_truncate_submit(struct oss_store *s, struct oss_op *op)
{
	int err;

	oss_op_start(s, op);
	op->pos = (struct oss_key){ op->ino, op->chunk, op->off >> OSS_SEG_SHIFT };
	op->more = true;
	err = cut_active(s, op);
	oss_op_put(op, err);
}
