// SPDX-License-Identifier: Apache-2.0
/*
 * Request slots in memory: a hash table of sessions, each with its slots in use.
 *
 * Sequence numbers are compared modulo 2^32, so that they may wrap. Only lack of memory can fail.
 * No locks: belongs to one loop.
 */
#include "common/slots.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "proto/wire.h"

#define BUCKETS_MIN 64

struct slot {
	uint32_t seq; /* 0: never used */
	bool running;
	bool kept;
	uint64_t result;
};

struct session {
	struct session *next;
	uint64_t id;
	uint64_t used_ns;
	unsigned int running;
	unsigned int nslots;
	struct slot *slots;
};

struct weft_slots {
	struct session **buckets;
	unsigned int nbuckets;
	unsigned int nsessions;
};

static struct session **bucket(struct weft_slots *t, uint64_t id)
{
	return &t->buckets[(id * 0x9e3779b97f4a7c15ull >> 32) & (t->nbuckets - 1)];
}

int weft_slots_create(struct weft_slots **out)
{
	struct weft_slots *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->nbuckets = BUCKETS_MIN;
	t->buckets = calloc(t->nbuckets, sizeof(*t->buckets));
	if (!t->buckets) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

static void session_free(struct weft_slots *t, struct session **at)
{
	struct session *s = *at;

	*at = s->next;
	free(s->slots);
	free(s);
	t->nsessions--;
}

void weft_slots_free(struct weft_slots *t)
{
	unsigned int i;

	if (!t)
		return;
	for (i = 0; i < t->nbuckets; i++)
		while (t->buckets[i])
			session_free(t, &t->buckets[i]);
	free(t->buckets);
	free(t);
}

static struct session **find(struct weft_slots *t, uint64_t id)
{
	struct session **at = bucket(t, id);

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

/* More buckets when chains get long; without memory the chains stay long. */
static void grow(struct weft_slots *t)
{
	unsigned int i, old = t->nbuckets;
	struct session **buckets = t->buckets, **more, *s;

	more = calloc(2 * old, sizeof(*more));
	if (!more)
		return;
	t->buckets = more;
	t->nbuckets = 2 * old;
	for (i = 0; i < old; i++) {
		while ((s = buckets[i])) {
			buckets[i] = s->next;
			s->next = *bucket(t, s->id);
			*bucket(t, s->id) = s;
		}
	}
	free(buckets);
}

static struct session *get_session(struct weft_slots *t, uint64_t id)
{
	struct session **at = find(t, id), *s = *at;

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->id = id;
	*at = s;
	if (++t->nsessions > 4 * t->nbuckets)
		grow(t);
	return s;
}

static struct slot *get_slot(struct session *s, uint32_t slot)
{
	unsigned int n = s->nslots ? s->nslots : 8;
	struct slot *more;

	if (slot < s->nslots)
		return &s->slots[slot];
	while (n <= slot)
		n *= 2;
	more = realloc(s->slots, n * sizeof(*more));
	if (!more)
		return NULL;
	for (s->slots = more; s->nslots < n; s->nslots++)
		more[s->nslots] = (struct slot){ 0 };
	return &more[slot];
}

int weft_slots_begin(struct weft_slots *t, uint64_t session, uint32_t slot, uint32_t seq,
		     uint64_t now)
{
	int verdict = WEFT_SLOT_NEW;
	struct session *s;
	struct slot *sl;

	if (slot >= WEFT_SLOTS_MAX)
		return -EINVAL;
	s = get_session(t, session);
	sl = s ? get_slot(s, slot) : NULL;
	if (!sl)
		return -ENOMEM;
	s->used_ns = now;
	if (weft_slot_older(seq, sl->seq))
		return WEFT_SLOT_OLD;
	if (sl->running)
		return WEFT_SLOT_RUNNING;
	if (sl->seq == seq)
		verdict = WEFT_SLOT_AGAIN;
	else
		sl->kept = false;
	sl->seq = seq;
	sl->running = true;
	s->running++;
	return verdict;
}

void weft_slots_end(struct weft_slots *t, uint64_t session, uint32_t slot, uint32_t seq)
{
	struct session *s = *find(t, session);

	if (!s || slot >= s->nslots || !s->slots[slot].running || s->slots[slot].seq != seq)
		return;
	s->slots[slot].running = false;
	s->running--;
}

void weft_slots_keep(struct weft_slots *t, uint64_t session, uint32_t slot, uint64_t result)
{
	struct session *s = *find(t, session);

	if (!s || slot >= s->nslots)
		return;
	s->slots[slot].kept = true;
	s->slots[slot].result = result;
}

bool weft_slots_kept(struct weft_slots *t, uint64_t session, uint32_t slot, uint64_t *result)
{
	struct session *s = *find(t, session);

	if (!s || slot >= s->nslots || !s->slots[slot].kept)
		return false;
	*result = s->slots[slot].result;
	return true;
}

void weft_slots_drop(struct weft_slots *t, uint64_t session)
{
	struct session **at = find(t, session);

	if (*at)
		session_free(t, at);
}

unsigned int weft_slots_expire(struct weft_slots *t, uint64_t before)
{
	unsigned int i, n = t->nsessions;
	struct session **at;

	for (i = 0; i < t->nbuckets; i++) {
		for (at = &t->buckets[i]; *at;) {
			if (!(*at)->running && (*at)->used_ns < before)
				session_free(t, at);
			else
				at = &(*at)->next;
		}
	}
	return n - t->nsessions;
}

unsigned int weft_slots_sessions(const struct weft_slots *t)
{
	return t->nsessions;
}
