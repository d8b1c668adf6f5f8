/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocator of the data file's 4 KiB blocks.
 */
#ifndef WEFT_OSS_ALLOC_H
#define WEFT_OSS_ALLOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of blocks of the data file. */
struct oss_run {
	uint64_t start;
	uint32_t count;
};

/* A list of runs that grows. */
struct oss_runs {
	struct oss_run *e;
	uint32_t n;
	uint32_t cap;
	uint64_t blocks; /* of all runs together */
};

/**
 * oss_runs_add() - append blocks, merged with the last run when they follow it
 * @r: the list
 * @start: first block
 * @count: how many
 *
 * Return: 0 or -ENOMEM.
 */
int oss_runs_add(struct oss_runs *r, uint64_t start, uint32_t count);

/**
 * oss_runs_append() - append all runs of another list
 * @r: the list
 * @from: the other list, unchanged
 *
 * Return: 0 or -ENOMEM (@r may have some of them).
 */
int oss_runs_append(struct oss_runs *r, const struct oss_runs *from);

/**
 * oss_runs_fini() - free a list; it is empty afterwards
 * @r: the list
 */
void oss_runs_fini(struct oss_runs *r);

/**
 * struct oss_alloc - which blocks are in use
 * @nblocks: blocks of the data file; block 0 is never given away: it stands for a hole
 * @reserve: blocks that only callers with OSS_ALLOC_RESERVE may take
 * @free: blocks not in use; other threads read it
 * @cursor: where the next search begins
 * @top: behind the last block that was in use since the start; what follows may have no space in
 *	a data file yet, for which the file system below would have to write its journal
 */
struct oss_alloc {
	uint64_t nblocks;
	uint64_t reserve;
	_Atomic uint64_t free;
	uint64_t cursor;
	uint64_t top;
	uint64_t *map;
	uint32_t *group_free;
	uint64_t ngroups;
};

#define OSS_ALLOC_RESERVE 1u /* the last blocks may be taken, too */

/**
 * oss_alloc_init() - make an allocator with all blocks free but block 0
 * @a: the allocator
 * @nblocks: blocks of the data file, at least 2
 * @reserve: blocks kept back
 *
 * Return: 0 or -ENOMEM.
 */
int oss_alloc_init(struct oss_alloc *a, uint64_t nblocks, uint64_t reserve);

/**
 * oss_alloc_fini() - free its memory
 * @a: the allocator
 */
void oss_alloc_fini(struct oss_alloc *a);

/**
 * oss_alloc_mark() - blocks are in use (while records are scanned at the start)
 * @a: the allocator
 * @start: first block
 * @count: how many
 *
 * Return: 0, -ERANGE when they are not inside the file, -EEXIST when one is in use already
 * (nothing is marked then).
 */
int oss_alloc_mark(struct oss_alloc *a, uint64_t start, uint32_t count);

/**
 * oss_alloc_take() - allocate blocks in as few runs as are easily found
 * @a: the allocator
 * @count: how many
 * @flags: OSS_ALLOC_*
 * @runs: the runs are appended
 *
 * Return: 0, -ENOSPC or -ENOMEM (nothing is allocated then).
 */
int oss_alloc_take(struct oss_alloc *a, uint32_t count, unsigned int flags, struct oss_runs *runs);

/**
 * oss_alloc_release() - give runs back
 * @a: the allocator
 * @runs: blocks that are in use; the list is emptied
 */
void oss_alloc_release(struct oss_alloc *a, struct oss_runs *runs);

#endif
