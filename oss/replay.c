// SPDX-License-Identifier: Apache-2.0
/*
 * Opening the journal of small writes (journal.c): what it has is finished, so that the store
 * begins with nothing but records and the data file.
 *
 * The deltas are applied to the records of their segments in memory, in their order; a delta whose
 * version the record has already only brings bytes, for blocks that the record still calls small.
 * Then these blocks are written to their places, and after a sync the records to the RocksDB.
 * Then both logs begin anew. All of it can be done again, so a crash in between changes nothing.
 *
 * A delta that was made on a change that is not there is left out: the change was in the RocksDB's
 * part of the same group, which was never acknowledged.
 *
 * Failures: a log that is damaged, or does not follow the other one, stops the opening with a
 * sentence: what it had was acknowledged. A segment whose record is damaged, or of which bytes
 * are missing, is left as it is; the scan refuses it.
 *
 * Protection: the store is being opened; nobody else uses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/kvlog.h"
#include "common/log.h"
#include "oss/delta.h"
#include "oss/internal.h"

#define BUCKETS 4096
#define BATCH_RECORDS 256

/* A segment that the journal has something of. */
struct replayed {
	struct oss_key key;
	struct oss_rec *rec;
	bool damaged;
	bool changed;
	struct replayed *hash_next, *next;
};

struct replay {
	struct oss_store *s;
	struct replayed *hash[BUCKETS];
	struct replayed *all;
	unsigned long deltas, left_out;
};

/* What is in one log. */
struct turn {
	unsigned int n;
	uint64_t first, last;
};

/* --- the deltas */

static int load(struct replay *r, struct replayed *e)
{
	struct weft_kv_val val = { 0 };
	uint8_t kbuf[OSS_KEY_LEN];
	int err;

	oss_key_encode(&e->key, kbuf);
	err = weft_kv_get(r->s->kv, OSS_CF_CHUNKS, kbuf, sizeof(kbuf), &val);
	if (err)
		return err == -ENOENT ? 0 : err;
	e->damaged = oss_rec_decode(val.data, val.len, r->s->alloc.nblocks, e->rec) != 0;
	e->rec->nsmall = 0; /* their bytes are yet to come */
	weft_kv_val_fini(&val);
	return 0;
}

static int get(struct replay *r, const struct oss_key *key, struct replayed **out)
{
	struct replayed **bucket = &r->hash[oss_key_hash(key) % BUCKETS], *e;

	for (e = *bucket; e; e = e->hash_next)
		if (oss_key_same(&e->key, key))
			break;
	*out = e;
	if (e)
		return 0;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->key = *key;
	e->hash_next = *bucket;
	*bucket = e;
	e->next = r->all;
	r->all = e;
	e->rec = oss_rec_alloc(NULL);
	*out = e;
	return e->rec ? load(r, e) : -ENOMEM;
}

static int apply_block(struct replay *r, struct replayed *e, const struct oss_delta *d, uint32_t i)
{
	uint32_t b = d->blk[i].index;
	struct oss_rec *rec = e->rec;

	if (d->version <= rec->version &&
	    (rec->blk[b] != (d->blk[i].block | OSS_SMALL) || rec->crc[b] != d->blk[i].crc))
		return 0;
	oss_small_set(rec, b, NULL);
	rec->mapped += !rec->blk[b];
	rec->blk[b] = d->blk[i].block;
	rec->crc[b] = d->blk[i].crc;
	return oss_small_copy(r->s, rec, b, d->blk[i].bytes);
}

static int apply_delta(struct replay *r, const struct oss_delta *d)
{
	struct replayed *e;
	struct oss_rec *rec;
	uint32_t i;
	int err;

	err = get(r, &d->key, &e);
	if (err || e->damaged)
		return err;
	rec = e->rec;
	r->deltas++;
	if (d->version > rec->version && d->base != (rec->mapped ? rec->version : 0)) {
		r->left_out++;
		return 0;
	}
	for (i = 0; i < d->n && !err; i++)
		err = apply_block(r, e, d, i);
	if (d->version > rec->version) {
		rec->version = d->version;
		rec->len = d->len;
		e->changed = true;
	}
	return err;
}

static int apply(void *arg, uint64_t end, const void *data, size_t len)
{
	struct replay *r = arg;
	struct oss_delta d;
	struct weft_cursor c;
	int err = 0;

	(void)end;
	weft_cur_init(&c, data, len);
	while (!err && c.left) {
		err = oss_delta_decode(&c, r->s->alloc.nblocks, &d);
		if (!err)
			err = apply_delta(r, &d);
	}
	return err;
}

/* --- the logs */

static int note(void *arg, uint64_t end, const void *data, size_t len)
{
	struct turn *t = arg;

	(void)data;
	(void)len;
	if (!t->n++)
		t->first = end;
	t->last = end;
	return 0;
}

/* Of a log without records nothing may be left that is whole. */
static int look(struct weft_kvlog *log, struct turn *t)
{
	int ret = weft_kvlog_replay(log, UINT64_MAX - 1, note, t);

	if (!ret)
		ret = weft_kvlog_replay(log, 0, note, t);
	return ret < 0 ? ret : 0;
}

/* The log that was in use ends with the highest number; the other one ends where it began. */
static int order(struct oss_store *s, struct turn t[2])
{
	struct oss_journal *j = &s->journal;
	unsigned int i;
	int err = 0;

	for (i = 0; i < 2 && !err; i++)
		err = look(j->log[i], &t[i]);
	if (err)
		return err;
	j->cur = t[1].last > t[0].last;
	j->seq = t[j->cur].last;
	if (t[!j->cur].n && t[!j->cur].last + 1 != t[j->cur].first)
		return -EUCLEAN;
	return 0;
}

/* --- the end */

/* Are the bytes of all small blocks there, and right? */
static bool complete(const struct replayed *e)
{
	const struct oss_rec *rec = e->rec;
	uint32_t b;

	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		if (!(rec->blk[b] & OSS_SMALL))
			continue;
		if (!rec->small || !rec->small[b] ||
		    weft_crc32c(0, rec->small[b]->data, OSS_BLOCK) != rec->crc[b])
			return false;
	}
	return true;
}

static int write_blocks(struct replay *r, struct replayed *e, int fd)
{
	struct oss_rec *rec = e->rec;
	uint32_t b;
	ssize_t n;

	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		if (!(rec->blk[b] & OSS_SMALL))
			continue;
		n = pwrite(fd, rec->small[b]->data, OSS_BLOCK,
			   r->s->data_offset + (oss_rec_block(rec, b) << OSS_BLOCK_SHIFT));
		if (n != OSS_BLOCK)
			return n < 0 ? -errno : -EIO;
		oss_small_set(rec, b, NULL);
		e->changed = true;
	}
	return 0;
}

static int write_data(struct replay *r, const char *path)
{
	struct replayed *e;
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	for (e = r->all; e && !err; e = e->next) {
		if (!e->damaged && !complete(e))
			e->damaged = true;
		if (!e->damaged)
			err = write_blocks(r, e, fd);
	}
	if (!err && fdatasync(fd))
		err = -errno;
	close(fd);
	return err;
}

static int write_records(struct replay *r)
{
	struct weft_kv_batch *batch;
	struct replayed *e;
	int err;

	err = weft_kv_batch_create(r->s->kv, &batch);
	if (err)
		return err;
	for (e = r->all; e && !err; e = e->next) {
		if (e->damaged || !e->changed)
			continue;
		oss_record_put(r->s, batch, &e->key, e->rec);
		if (weft_kv_batch_count(batch) < BATCH_RECORDS && e->next)
			continue;
		err = weft_kv_commit(batch, true);
		weft_kv_batch_clear(batch);
	}
	if (!err && weft_kv_batch_count(batch))
		err = weft_kv_commit(batch, true);
	weft_kv_batch_free(batch);
	return err;
}

/* The older one first: their numbers follow each other at any moment. */
static int begin_logs(struct oss_store *s)
{
	struct oss_journal *j = &s->journal;
	int err = weft_kvlog_append(j->log[!j->cur], j->seq, 1, NULL, 0);

	if (err)
		return err;
	err = weft_kvlog_append(j->log[j->cur], j->seq + 1, 1, NULL, 0);
	j->seq += 2;
	j->turn[j->cur] = 1;
	j->turn[!j->cur] = 0;
	return err;
}

static void replay_free(struct replay *r)
{
	struct replayed *e = r->all, *next;

	for (; e; e = next) {
		next = e->next;
		if (e->rec)
			oss_rec_free(e->rec);
		free(e);
	}
	free(r);
}

static int replay_logs(struct replay *r, const char **what)
{
	struct oss_journal *j = &r->s->journal;
	struct turn t[2] = { 0 };
	unsigned int i;
	int err;

	*what = "damaged, acknowledged writes may be missing";
	err = order(r->s, t);
	for (i = 0; i < 2 && !err; i++) {
		err = weft_kvlog_replay(j->log[i ^ !j->cur], UINT64_MAX - 1, apply, r);
		err = err < 0 ? err : 0;
	}
	if (err != -EUCLEAN)
		*what = strerror(-err);
	return err;
}

int oss_journal_replay(struct oss_store *s, const char *data_path, char err[OSS_ERR_MAX])
{
	struct replay *r = calloc(1, sizeof(*r));
	const char *what;
	int res;

	if (!r)
		return -ENOMEM;
	r->s = s;
	res = replay_logs(r, &what);
	if (res) {
		snprintf(err, OSS_ERR_MAX, "%s/small-*: the journal of small writes: %s",
			 weft_kv_path(s->kv), what);
		goto out;
	}
	res = write_data(r, data_path);
	if (res)
		snprintf(err, OSS_ERR_MAX, "%s: cannot be written: %s", data_path, strerror(-res));
	if (!res)
		res = write_records(r);
	if (!res && s->journal.seq)
		res = begin_logs(s);
	if (!res && r->deltas)
		weft_info("small writes moved from the journal", "store=%s deltas=%lu left_out=%lu",
			  weft_kv_path(s->kv), r->deltas, r->left_out);
out:
	replay_free(r);
	return res;
}
