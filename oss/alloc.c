// SPDX-License-Identifier: Apache-2.0
/*
 * Allocator: a bitmap of the data file in memory and a count of free blocks per group of 32768.
 *
 * It is not stored: opening a store scans the chunk records and marks what they use, so that the
 * records are the only truth and a crash leaks nothing. A search starts where the last one
 * ended, skips full groups and full words, and takes the first run that is long enough among the
 * blocks that were in use before; else what has never been used; else the longest of the TRY_RUNS
 * shorter ones that it has seen, so that a fragmented file costs bounded time per request.
 *
 * It fails with -ENOSPC when fewer blocks are free than wanted, less the reserve.
 *
 * Protection: belongs to the loop of its store; only @free is read by others.
 */
#include "oss/alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_BLOCKS 32768u
#define GROUP_WORDS (GROUP_BLOCKS / 64)
#define TRY_RUNS 64

int oss_runs_add(struct oss_runs *r, uint64_t start, uint32_t count)
{
	struct oss_run *last = r->n ? &r->e[r->n - 1] : NULL;
	struct oss_run *e;
	uint32_t cap;

	if (last && last->start + last->count == start) {
		last->count += count;
		r->blocks += count;
		return 0;
	}
	if (r->n == r->cap) {
		cap = r->cap ? 2 * r->cap : 4;
		e = realloc(r->e, cap * sizeof(*e));
		if (!e)
			return -ENOMEM;
		r->e = e;
		r->cap = cap;
	}
	r->e[r->n++] = (struct oss_run){ start, count };
	r->blocks += count;
	return 0;
}

int oss_runs_append(struct oss_runs *r, const struct oss_runs *from)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < from->n && !err; i++)
		err = oss_runs_add(r, from->e[i].start, from->e[i].count);
	return err;
}

void oss_runs_fini(struct oss_runs *r)
{
	free(r->e);
	*r = (struct oss_runs){ 0 };
}

int oss_alloc_init(struct oss_alloc *a, uint64_t nblocks, uint64_t reserve)
{
	uint64_t i, end;

	*a = (struct oss_alloc){ .nblocks = nblocks, .reserve = reserve };
	a->ngroups = (nblocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;
	a->map = calloc(a->ngroups, GROUP_WORDS * sizeof(*a->map));
	a->group_free = calloc(a->ngroups, sizeof(*a->group_free));
	if (!a->map || !a->group_free) {
		oss_alloc_fini(a);
		return -ENOMEM;
	}
	for (i = 0; i < a->ngroups; i++)
		a->group_free[i] = GROUP_BLOCKS;
	a->free = nblocks;
	/* What lies behind the end of the file is never free. */
	end = a->ngroups * GROUP_BLOCKS;
	for (i = nblocks; i < end; i++)
		a->map[i / 64] |= 1ull << (i % 64);
	a->group_free[a->ngroups - 1] -= end - nblocks;
	a->cursor = 1;
	return oss_alloc_mark(a, 0, 1);
}

void oss_alloc_fini(struct oss_alloc *a)
{
	free(a->map);
	free(a->group_free);
	*a = (struct oss_alloc){ 0 };
}

static bool in_use(const struct oss_alloc *a, uint64_t b)
{
	return a->map[b / 64] >> (b % 64) & 1;
}

/* Flip @count blocks from @start, a word at a time. */
static void flip(struct oss_alloc *a, uint64_t start, uint64_t count, bool use)
{
	while (count) {
		uint64_t bit = start % 64;
		uint64_t n = 64 - bit < count ? 64 - bit : count;
		uint64_t mask = (n == 64 ? ~0ull : (1ull << n) - 1) << bit;

		if (use) {
			if (start + n > a->top)
				a->top = start + n;
			a->map[start / 64] |= mask;
			a->group_free[start / GROUP_BLOCKS] -= n;
			a->free -= n;
		} else {
			a->map[start / 64] &= ~mask;
			a->group_free[start / GROUP_BLOCKS] += n;
			a->free += n;
		}
		start += n;
		count -= n;
	}
}

int oss_alloc_mark(struct oss_alloc *a, uint64_t start, uint32_t count)
{
	uint64_t b;

	if (start >= a->nblocks || count > a->nblocks - start)
		return -ERANGE;
	for (b = start; b < start + count; b++)
		if (in_use(a, b))
			return -EEXIST;
	flip(a, start, count, true);
	return 0;
}

/* First free block at or behind @b and before @end; @end when there is none. */
static uint64_t next_free(const struct oss_alloc *a, uint64_t b, uint64_t end)
{
	while (b < end) {
		uint64_t word;

		if (b % GROUP_BLOCKS == 0 && !a->group_free[b / GROUP_BLOCKS]) {
			b += GROUP_BLOCKS;
			continue;
		}
		word = ~a->map[b / 64] >> (b % 64);
		if (word) {
			b += __builtin_ctzll(word);
			break;
		}
		b = (b / 64 + 1) * 64;
	}
	return b < end ? b : end;
}

/* Free blocks in a row from @b, at most @max. */
static uint32_t run_length(const struct oss_alloc *a, uint64_t b, uint32_t max)
{
	uint32_t n = 0;

	while (n < max && b + n < a->nblocks) {
		uint64_t pos = b + n;
		uint64_t word = a->map[pos / 64] >> (pos % 64);

		if (word)
			return n + __builtin_ctzll(word) < max ? n + __builtin_ctzll(word) : max;
		n += 64 - pos % 64;
	}
	if (b + n > a->nblocks)
		n = a->nblocks - b;
	return n < max ? n : max;
}

/* The run to take next, for a request that still needs @want blocks; there is a free block. */
static struct oss_run find_run(struct oss_alloc *a, uint32_t want)
{
	uint64_t b = a->cursor < a->top ? a->cursor : 0;
	struct oss_run best = { 0, 0 };
	bool wrapped = false;
	int tries = 0;

	while (tries < TRY_RUNS) {
		uint32_t len;

		b = next_free(a, b, a->top);
		if (b == a->top) {
			if (wrapped)
				break;
			wrapped = true;
			b = 0;
			continue;
		}
		len = run_length(a, b, want);
		if (len > best.count)
			best = (struct oss_run){ b, len };
		if (len == want)
			return best;
		b = b + len < a->top ? b + len : a->top;
		tries++;
	}
	if (a->top < a->nblocks) {
		uint32_t len = run_length(a, a->top, want);

		if (len > best.count)
			best = (struct oss_run){ a->top, len };
	}
	return best;
}

int oss_alloc_take(struct oss_alloc *a, uint32_t count, unsigned int flags, struct oss_runs *runs)
{
	uint64_t keep = flags & OSS_ALLOC_RESERVE ? 0 : a->reserve;
	struct oss_runs got = { 0 };
	int err;

	if (a->free < keep || a->free - keep < count)
		return -ENOSPC;
	while (count) {
		struct oss_run r = find_run(a, count);

		assert(r.count);
		err = oss_runs_add(&got, r.start, r.count);
		if (err)
			goto out_release;
		flip(a, r.start, r.count, true);
		a->cursor = r.start + r.count;
		count -= r.count;
	}
	err = oss_runs_append(runs, &got);
	if (err)
		goto out_release;
	oss_runs_fini(&got);
	return 0;

out_release:
	oss_alloc_release(a, &got);
	return err;
}

void oss_alloc_release(struct oss_alloc *a, struct oss_runs *runs)
{
	uint32_t i;

	for (i = 0; i < runs->n; i++)
		flip(a, runs->e[i].start, runs->e[i].count, false);
	oss_runs_fini(runs);
}
