/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Hashes that decide where things are: bit-exact, integer only, the same everywhere.
 *
 * weft_hash64() is Austin Appleby's MurmurHash64A with input bytes read in little endian order.
 * Changing anything here moves every name and chunk of every existing file system; the vectors in
 * proto/vectors.h, which kernel and user space both run, pin the results.
 */
#ifndef WEFT_PROTO_HASH_H
#define WEFT_PROTO_HASH_H

#include "proto/types.h"

#define WEFT_HASH_M 0xc6a4a7935bd1e995ull

static inline u64 weft_hash_mix(u64 h, u64 k)
{
	k *= WEFT_HASH_M;
	k ^= k >> 47;
	k *= WEFT_HASH_M;
	return (h ^ k) * WEFT_HASH_M;
}

/**
 * weft_hash64() - hash bytes to 64 bits
 * @seed: start value; different seeds give independent hashes
 * @data: bytes, of any alignment
 * @len: number of bytes
 */
static inline u64 weft_hash64(u64 seed, const void *data, size_t len)
{
	const u8 *p = data;
	u64 h = seed ^ (len * WEFT_HASH_M);
	u64 k;
	size_t i;

	for (; len >= 8; len -= 8, p += 8) {
		for (k = 0, i = 0; i < 8; i++)
			k |= (u64)p[i] << (8 * i);
		h = weft_hash_mix(h, k);
	}
	if (len) {
		for (k = 0, i = 0; i < len; i++)
			k |= (u64)p[i] << (8 * i);
		h = (h ^ k) * WEFT_HASH_M;
	}
	h ^= h >> 47;
	h *= WEFT_HASH_M;
	h ^= h >> 47;
	return h;
}

/* Readdir cookies are name hashes; the small ones stand for "." and ".." and the beginning. */
#define WEFT_COOKIE_FIRST 16ull
#define WEFT_COOKIE_END 0x7fffffffffffffffull

/**
 * weft_name_hash() - hash of a name within a directory, also its readdir cookie
 * @name: the name, not terminated
 * @len: its length in bytes
 *
 * Return: a number between WEFT_COOKIE_FIRST and WEFT_COOKIE_END - 1, so that it is a valid
 * positive file offset.
 */
static inline u64 weft_name_hash(const char *name, size_t len)
{
	u64 h = weft_hash64(0x77656674, name, len) >> 1;

	if (h < WEFT_COOKIE_FIRST)
		h += WEFT_COOKIE_FIRST;
	if (h >= WEFT_COOKIE_END)
		h = WEFT_COOKIE_END - 1;
	return h;
}

#endif
