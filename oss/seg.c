// SPDX-License-Identifier: Apache-2.0
/*
 * Segments in memory: a hash table with the ones in use and, in LRU order, the ones used last;
 * their records and their locks.
 *
 * A record does not change once it is published. When one takes the place of another, the old one
 * keeps the blocks that are no longer used until its last reader is gone, and holds a reference to
 * its successor, so that blocks are given back in the order of the changes: no block is reused
 * while somebody may still read it.
 *
 * A record that cannot be read or decoded, or was refused before (damage.c), is an error of the
 * operation that wanted it (-EIO, logged); nothing of it is cached.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "oss/internal.h"

static void list_init(struct oss_seg *head)
{
	head->prev = head->next = head;
}

static void list_del(struct oss_seg *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
}

static void list_add_tail(struct oss_seg *head, struct oss_seg *e)
{
	e->prev = head->prev;
	e->next = head;
	head->prev->next = e;
	head->prev = e;
}

int oss_segs_init(struct oss_store *s, unsigned int max_cached)
{
	uint32_t size = 1024;

	while (size < max_cached)
		size *= 2;
	s->hash = calloc(size, sizeof(*s->hash));
	if (!s->hash)
		return -ENOMEM;
	s->hash_mask = size - 1;
	s->max_cached = max_cached;
	list_init(&s->lru);
	list_init(&s->active);
	return 0;
}

static struct oss_seg **bucket(struct oss_store *s, const struct oss_key *key)
{
	return &s->hash[oss_key_hash(key) & s->hash_mask];
}

static void seg_free(struct oss_store *s, struct oss_seg *seg)
{
	struct oss_seg **pos = bucket(s, &seg->key);

	while (*pos != seg)
		pos = &(*pos)->hash_next;
	*pos = seg->hash_next;
	list_del(seg);
	oss_rec_put(s, seg->cur);
	oss_rec_put(s, seg->stable);
	free(seg);
}

void oss_segs_fini(struct oss_store *s)
{
	if (!s->hash)
		return;
	while (s->lru.next != &s->lru)
		seg_free(s, s->lru.next);
	free(s->hash);
}

struct oss_rec *oss_rec_alloc(const struct oss_rec *from)
{
	struct oss_rec *r = malloc(sizeof(*r));
	uint32_t b;

	if (!r)
		return NULL;
	if (from)
		*r = *from;
	else
		memset(r, 0, sizeof(*r));
	r->refs = 1;
	r->next = NULL;
	r->freed = (struct oss_runs){ 0 };
	r->small = NULL;
	r->nsmall = 0;
	if (!from || !from->nsmall)
		return r;
	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		if (!(from->blk[b] & OSS_SMALL))
			continue;
		if (oss_small_set(r, b, weft_buf_ref(from->small[b]))) {
			oss_rec_free(r);
			return NULL;
		}
	}
	return r;
}

void oss_rec_free(struct oss_rec *r)
{
	uint32_t b;

	for (b = 0; r->small && b < OSS_SEG_BLOCKS; b++)
		weft_buf_put(r->small[b]);
	free(r->small);
	free(r);
}

struct oss_rec *oss_rec_get(struct oss_rec *r)
{
	r->refs++;
	return r;
}

void oss_rec_put(struct oss_store *s, struct oss_rec *r)
{
	while (r && !--r->refs) {
		struct oss_rec *next = r->next;

		s->pending_free -= r->freed.blocks;
		oss_alloc_release(&s->alloc, &r->freed);
		oss_rec_free(r);
		r = next;
	}
}

void oss_rec_supersede(struct oss_store *s, struct oss_seg *seg, struct oss_rec *rec,
		       struct oss_runs *freed)
{
	struct oss_rec *old = seg->stable;

	old->freed = *freed;
	*freed = (struct oss_runs){ 0 };
	old->next = oss_rec_get(rec);
	seg->stable = oss_rec_get(rec);
	oss_rec_put(s, old);
}

/* The stored record of a segment; an empty one when there is none. */
static int load(struct oss_store *s, const struct oss_key *key, struct oss_rec **out)
{
	struct weft_kv_val val = { 0 };
	uint8_t buf[OSS_KEY_LEN];
	struct oss_rec *r;
	int err;

	r = oss_rec_alloc(NULL);
	if (!r)
		return -ENOMEM;
	oss_key_encode(key, buf);
	err = weft_kv_get(s->kv, OSS_CF_CHUNKS, buf, sizeof(buf), &val);
	if (!err && oss_damage_has(s, key)) {
		err = -EUCLEAN;
	} else if (!err) {
		err = oss_rec_decode(val.data, val.len, s->alloc.nblocks, r);
		if (err == -EUCLEAN && oss_damage_add(s, key, "it is damaged") == -ENOMEM)
			err = -ENOMEM;
	} else if (err == -ENOENT) {
		err = 0;
	}
	weft_kv_val_fini(&val);
	if (!err && r->nsmall)
		err = -EUCLEAN; /* a segment with small blocks is in memory */
	if (err) {
		weft_err("chunk record cannot be read", "ino=%llx chunk=%llu segment=%u err=%d",
			 (unsigned long long)key->ino, (unsigned long long)key->chunk, key->seg,
			 err);
		oss_rec_free(r);
		return err == -ENOMEM || err == -EAGAIN ? err : -EIO;
	}
	*out = r;
	return 0;
}

static struct oss_seg *lookup(struct oss_store *s, const struct oss_key *key)
{
	struct oss_seg *seg;

	for (seg = *bucket(s, key); seg; seg = seg->hash_next)
		if (oss_key_same(&seg->key, key))
			return seg;
	return NULL;
}

static int seg_load(struct oss_store *s, const struct oss_key *key, struct oss_seg **out)
{
	struct oss_seg **pos = bucket(s, key);
	struct oss_seg *seg;
	int err;

	seg = calloc(1, sizeof(*seg));
	if (!seg)
		return -ENOMEM;
	err = load(s, key, &seg->stable);
	if (err) {
		free(seg);
		return err;
	}
	seg->cur = oss_rec_get(seg->stable);
	seg->key = *key;
	seg->queue_tail = &seg->queue;
	seg->hash_next = *pos;
	*pos = seg;
	*out = seg;
	return 0;
}

int oss_seg_get(struct oss_store *s, const struct oss_key *key, struct oss_seg **out)
{
	struct oss_seg *seg = lookup(s, key);
	int err;

	if (!seg) {
		err = seg_load(s, key, &seg);
		if (err)
			return err;
	} else if (!seg->refs) {
		list_del(seg);
		s->ncached--;
	}
	if (!seg->refs++)
		list_add_tail(&s->active, seg);
	*out = seg;
	return 0;
}

void oss_seg_put(struct oss_store *s, struct oss_seg *seg)
{
	if (--seg->refs)
		return;
	list_del(seg);
	list_add_tail(&s->lru, seg);
	s->ncached++;
	while (s->ncached > s->max_cached) {
		seg_free(s, s->lru.next);
		s->ncached--;
	}
}

/* Start the changes that can start now; a loop, because they may end at once. */
static void seg_run(struct oss_store *s, struct oss_seg *seg)
{
	if (seg->running)
		return;
	seg->running = true;
	seg->refs++;
	while (!seg->owner && seg->queue) {
		struct oss_part *p = seg->queue;

		seg->queue = p->next;
		if (!seg->queue)
			seg->queue_tail = &seg->queue;
		seg->owner = p;
		oss_part_begin(p);
	}
	seg->running = false;
	oss_seg_put(s, seg);
}

void oss_seg_lock(struct oss_store *s, struct oss_part *p)
{
	struct oss_seg *seg = p->seg;

	p->next = NULL;
	*seg->queue_tail = p;
	seg->queue_tail = &p->next;
	seg_run(s, seg);
}

void oss_seg_unlock(struct oss_store *s, struct oss_part *p)
{
	p->seg->owner = NULL;
	seg_run(s, p->seg);
}
