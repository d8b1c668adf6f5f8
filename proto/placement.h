/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Placement: integer-only, specified to the bit, pinned by proto/vectors.h.
 *
 * Chunk i of a file lies on groups[perm((seed + i) mod width)] of the pool's group list, where
 * perm(x) = (a * x + b) mod n is a permutation of the n groups chosen by the file's seed: b =
 * hash mod n, a = the first number >= 1 + (hash / n) mod n, counted cyclically within 1..n, that
 * has no common factor with n.
 */
#ifndef WEFT_PROTO_PLACEMENT_H
#define WEFT_PROTO_PLACEMENT_H

#include "proto/hash.h"

/* Remainder and quotient of a u64 by a u32, on 32-bit kernels as well. */
#ifdef __KERNEL__
#include <linux/math64.h>
static inline u32 weft_divmod(u64 *n, u32 d)
{
	u32 rem;

	*n = div_u64_rem(*n, d, &rem);
	return rem;
}
#else
static inline u32 weft_divmod(u64 *n, u32 d)
{
	u32 rem = *n % d;

	*n /= d;
	return rem;
}
#endif

static inline u32 weft_gcd32(u32 a, u32 b)
{
	while (b) {
		u32 t = a % b;

		a = b;
		b = t;
	}
	return a;
}

/**
 * weft_place_chunk() - index of a chunk's group within its pool's group list
 * @ngroups: groups in the pool, at least 1
 * @width: groups that the file uses; 0 or more than @ngroups: all
 * @seed: the file's seed
 * @chunk: the chunk's index
 *
 * Return: a number below @ngroups.
 */
static inline u32 weft_place_chunk(u32 ngroups, u32 width, u32 seed, u64 chunk)
{
	u64 h = weft_hash64(0x706c6163, NULL, 0);
	u64 i = chunk + seed;
	u32 a, b, x;

	if (!width || width > ngroups)
		width = ngroups;
	h = weft_hash_mix(h, seed);
	h ^= h >> 47;
	b = weft_divmod(&h, ngroups);
	a = 1 + weft_divmod(&h, ngroups);
	while (weft_gcd32(a, ngroups) != 1)
		a = a % ngroups + 1;
	x = weft_divmod(&i, width);
	i = (u64)a * x + b;
	return weft_divmod(&i, ngroups);
}

/**
 * weft_place_dir() - virtual shard of a new directory
 * @nshards: virtual shards of the file system, at least 1
 * @parent: inode number of the parent directory
 * @name: name of the new directory
 * @len: length of @name in bytes
 */
static inline u32 weft_place_dir(u32 nshards, u64 parent, const char *name, size_t len)
{
	u64 h = weft_hash64(parent, name, len);

	return weft_divmod(&h, nshards);
}

#endif
