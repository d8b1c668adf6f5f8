// SPDX-License-Identifier: Apache-2.0
/*
 * The journal of small writes: two logs (common/kvlog.h) beside the RocksDB, used in turn.
 *
 * A group of changes that are all small is durable with one record in the journal, the deltas of
 * its changes (delta.h), and nothing goes to the RocksDB. Other groups have their records in the
 * RocksDB; small changes among them are in the journal as well, which is written first. So a
 * segment's state is its record in the RocksDB and the deltas with a higher version, in their
 * order. Versions are numbers of changes of the whole store: they ascend in each segment.
 *
 * When a log is full the other one goes on, and all small blocks there are now are settled
 * (small.c): their records, in the RocksDB, have higher versions than the deltas in the full log.
 * When that is done nobody needs that log (it is drained), and it can take its turn. A change is
 * small only when its delta will find room: in the log in use, or in a drained one.
 *
 * The first record of a log's turn has no deltas: it is one block that no crash can tear, so a log
 * that was ever used and has no first record is damaged. Records of both logs have consecutive
 * numbers. What a start does with them is in replay.c.
 *
 * A segment that was deleted has no record, so no version: deltas that one of the logs still has
 * would make it again. So the segments that have deltas there are known (struct oss_jseg), and when
 * one of them is deleted its record stays, empty, until the logs have no more of it.
 *
 * Fault points: oss.journal.begun, oss.journal.written, oss.journal.cancel.
 *
 * Failures: a group that failed is taken back from the log; when that fails too, it may be there
 * after a restart, and the repair (commit.c) tries it again before changes are accepted. Without
 * memory or room a change is not small.
 *
 * Protection: oss_journal_write() and oss_journal_cancel() run on the worker that commits the
 * group, everything else on the store's loop; while a group is committed that touches neither the
 * logs nor what the worker fills in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/kvlog.h"
#include "oss/delta.h"
#include "oss/internal.h"

#define GROUP_MAX (1u << 20) /* deltas of one record */
#define SPARE 8192 /* of a log: its first record, and what the last one leaves unused */

static void refresh_room(struct oss_journal *j)
{
	if (j->drained)
		j->room = weft_kvlog_room(j->log[!j->cur], true) - SPARE;
	else
		j->room = weft_kvlog_room(j->log[j->cur], false);
}

static int open_one(struct oss_journal *j, unsigned int i, const char *path, bool create)
{
	int err = weft_kvlog_open(path, false, &j->log[i]);

	if (err != -ENOENT)
		return err;
	if (!create && access(path, F_OK))
		return -ENODATA;
	err = weft_kvlog_create(path);
	return err ? err : weft_kvlog_open(path, false, &j->log[i]);
}

int oss_journal_open(struct oss_store *s, const char *dir, bool create, char err[OSS_ERR_MAX])
{
	struct oss_journal *j = &s->journal;
	char path[OSS_ERR_MAX - 128];
	unsigned int i;
	int res = 0;

	j->buf = malloc(GROUP_MAX);
	if (!j->buf)
		return -ENOMEM;
	for (i = 0; i < 2 && !res; i++) {
		if (snprintf(path, sizeof(path), "%s/small-%u", dir, i) >= (int)sizeof(path))
			res = -ENAMETOOLONG;
		else
			res = open_one(j, i, path, create);
	}
	j->turn[0] = 1;
	j->drained = true;
	if (!res)
		refresh_room(j);
	else if (res == -ENODATA)
		snprintf(err, OSS_ERR_MAX, "%s: missing, and acknowledged writes may be only there: "
			 "put it back, or an empty file to go on without them", path);
	else
		snprintf(err, OSS_ERR_MAX, "%s: %s", path, strerror(-res));
	return res == -ENODATA ? -EUCLEAN : res;
}

static struct oss_jseg **bucket(struct oss_journal *j, const struct oss_key *key)
{
	return &j->segs[oss_key_hash(key) % OSS_JOURNAL_BUCKETS];
}

static struct oss_jseg *find(struct oss_journal *j, const struct oss_key *key)
{
	struct oss_jseg *js;

	for (js = *bucket(j, key); js; js = js->next)
		if (oss_key_same(&js->key, key))
			return js;
	return NULL;
}

static bool has_deltas(const struct oss_journal *j, const struct oss_jseg *js)
{
	return (js->turn[0] && js->turn[0] >= j->turn[0]) ||
	       (js->turn[1] && js->turn[1] >= j->turn[1]);
}

static void free_list(struct oss_jseg *js)
{
	struct oss_jseg *next;

	for (; js; js = next) {
		next = js->next;
		free(js);
	}
}

void oss_journal_fini(struct oss_store *s)
{
	struct oss_journal *j = &s->journal;
	unsigned int i;

	for (i = 0; i < OSS_JOURNAL_BUCKETS; i++)
		free_list(j->segs[i]);
	free_list(j->gone);
	weft_kvlog_close(j->log[0]);
	weft_kvlog_close(j->log[1]);
	free(j->buf);
}

/* --- before a change is committed */

/* A delta and its share of the padding and the head of its record. */
static size_t reserved(unsigned int nblocks)
{
	return (nblocks + 1) * (size_t)OSS_BLOCK;
}

void oss_journal_admit(struct oss_part *p, unsigned int nblocks)
{
	struct oss_journal *j = &p->store->journal;
	size_t need = j->admitted + reserved(nblocks);
	struct oss_jseg *js, **pos;

	if (need > j->room || need > GROUP_MAX)
		return;
	js = find(j, &p->seg->key);
	if (!js) {
		js = calloc(1, sizeof(*js));
		if (!js)
			return;
		js->key = p->seg->key;
		pos = bucket(j, &js->key);
		js->next = *pos;
		*pos = js;
	}
	js->users++;
	j->admitted = need;
	p->jseg = js;
	p->nsmall = nblocks;
}

void oss_journal_release(struct oss_part *p)
{
	if (!p->jseg)
		return;
	p->jseg->users--;
	p->store->journal.admitted -= reserved(p->nsmall);
	p->jseg = NULL;
}

/* --- a group */

void oss_journal_build(struct oss_store *s, struct oss_part *head)
{
	struct oss_journal *j = &s->journal;
	struct oss_part *p;
	unsigned int to;

	j->len = 0;
	for (p = head; p; p = p->next)
		if (p->jseg)
			j->len += oss_delta_size(p->nsmall);
	if (!j->len)
		return;
	j->begin |= !weft_kvlog_fits(j->log[j->cur], j->len);
	to = j->begin ? !j->cur : j->cur;
	for (p = head; p; p = p->next)
		if (p->jseg)
			p->jseg->turn[to] = j->turn[to] + j->begin;
}

bool oss_journal_keeps(struct oss_store *s, const struct oss_key *key, bool empty)
{
	struct oss_jseg *js = find(&s->journal, key);
	bool live = js && has_deltas(&s->journal, js);

	if (js)
		js->empty = empty && live;
	return live;
}

void oss_journal_clean(struct oss_store *s, struct weft_kv_batch *batch)
{
	const struct oss_jseg *js;
	uint8_t kbuf[OSS_KEY_LEN];

	for (js = s->journal.gone; js; js = js->next) {
		oss_key_encode(&js->key, kbuf);
		weft_kv_delete(batch, OSS_CF_CHUNKS, kbuf, sizeof(kbuf));
	}
}

static size_t encode(const struct oss_part *p, uint8_t *buf)
{
	const struct oss_rec *r = p->rec;
	struct oss_delta d = {
		.key = p->seg->key,
		.len = r->len,
		.version = r->version,
		.base = p->base->mapped ? p->base->version : 0,
	};
	uint32_t b;

	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		if (p->act[b] != OSS_PUT)
			continue;
		d.blk[d.n].block = oss_rec_block(r, b);
		d.blk[d.n].index = b;
		d.blk[d.n].crc = r->crc[b];
		d.blk[d.n].bytes = r->small[b]->data;
		d.n++;
	}
	return oss_delta_encode(&d, buf);
}

static int append(struct oss_store *s, unsigned int i, size_t len)
{
	struct oss_journal *j = &s->journal;
	int err = weft_kvlog_append(j->log[i], j->seq, 1, j->buf, len);

	s->stats.journal_syncs++;
	s->stats.journal_bytes += len;
	return err;
}

/*
 * The other log's turn. When this fails its first record may be there or not, and must be the next
 * thing that is written.
 */
static int begin_turn(struct oss_store *s)
{
	struct oss_journal *j = &s->journal;
	unsigned int to = !j->cur;
	int err;

	weft_kvlog_rewind(j->log[to]);
	err = append(s, to, 0);
	if (err)
		return err;
	j->seq++;
	j->cur = to;
	j->begin = false;
	j->begun = true;
	return WEFT_FAULT("oss.journal.begun");
}

int oss_journal_write(struct oss_store *s, struct oss_part *head)
{
	struct oss_journal *j = &s->journal;
	struct oss_part *p;
	size_t len = 0;
	int err;

	if (!j->len)
		return 0;
	err = j->begin ? begin_turn(s) : 0;
	if (err)
		return err;
	for (p = head; p; p = p->next)
		if (p->jseg)
			len += encode(p, j->buf + len);
	j->uncertain = true;
	err = append(s, j->cur, len);
	return err ? err : WEFT_FAULT("oss.journal.written");
}

int oss_journal_cancel(struct oss_store *s)
{
	struct oss_journal *j = &s->journal;
	int err;

	if (!j->uncertain)
		return 0;
	err = WEFT_FAULT("oss.journal.cancel");
	if (!err)
		err = weft_kvlog_cancel(j->log[j->cur]);
	if (!err)
		j->uncertain = false;
	return err;
}

/* Nobody knows of segments any more that only the log had whose place was taken. */
static void sweep(struct oss_journal *j)
{
	struct oss_jseg *js, **pos;
	unsigned int i;

	for (i = 0; i < OSS_JOURNAL_BUCKETS; i++) {
		for (pos = &j->segs[i]; (js = *pos);) {
			if (js->users || has_deltas(j, js)) {
				pos = &js->next;
				continue;
			}
			*pos = js->next;
			if (js->empty) {
				js->next = j->gone;
				j->gone = js;
			} else {
				free(js);
			}
		}
	}
}

void oss_journal_done(struct oss_store *s, int err)
{
	struct oss_journal *j = &s->journal;

	if (!err) {
		j->seq += j->uncertain;
		j->uncertain = false;
		free_list(j->gone);
		j->gone = NULL;
	}
	if (j->begun) {
		j->begun = false;
		j->turn[j->cur]++;
		j->drained = false;
		sweep(j);
		oss_small_drain(s);
	}
	refresh_room(j);
}

void oss_journal_drained(struct oss_store *s)
{
	s->journal.drained = true;
	if (!s->commits.busy)
		refresh_room(&s->journal);
}
