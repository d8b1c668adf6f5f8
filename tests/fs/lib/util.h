/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs under tests/fs and tests/bench share: dying with a sentence, a seeded
 * random source, clocks, a content hash, removing a tree, dropping the page cache.
 *
 * Everything works on plain system calls and relative paths, so that the programs run on any
 * mounted file system. Nothing here keeps state: callers may use it from any thread.
 */
#ifndef WEFT_TESTS_FS_UTIL_H
#define WEFT_TESTS_FS_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct rng - seeded random source (splitmix64); one per thread */
struct rng {
	uint64_t state;
};

/**
 * rng_next() - next 64 random bits
 * @r: the source
 *
 * Return: a number that depends only on the seed and on how many were drawn before.
 */
static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/**
 * rng_below() - random number in [0, n)
 * @r: the source
 * @n: the bound; 0 gives 0
 *
 * Return: the number.
 */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return n ? rng_next(r) % n : 0;
}

/**
 * die() - print a sentence and exit with status 2 (the test could not run)
 * @fmt: printf format
 */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/**
 * now_ns() - monotonic time
 *
 * Return: nanoseconds.
 */
uint64_t now_ns(void);

/**
 * hash_bytes() - 64 bit content hash (FNV-1a over words, then mixed)
 * @seed: start value, or the result of the call before
 * @p: bytes
 * @n: how many
 *
 * Return: the hash.
 */
uint64_t hash_bytes(uint64_t seed, const void *p, size_t n);

/**
 * parse_size() - a number with an optional suffix k, m, g (binary)
 * @s: text; anything else ends the program with a sentence
 *
 * Return: the number.
 */
uint64_t parse_size(const char *s);

/**
 * remove_tree() - remove a name and all that is below it
 * @dirfd: directory the name is in
 * @name: the name; a missing one is no error
 *
 * Return: 0 or -errno of the first failure.
 */
int remove_tree(int dirfd, const char *name);

/**
 * drop_caches() - sync, then drop page cache, dentries and inodes of this machine
 *
 * Return: 0 or -errno (-EACCES when not root).
 */
int drop_caches(void);

/**
 * write_full() - write all bytes
 * @fd: where to
 * @p: bytes
 * @n: how many
 *
 * Return: 0 or -errno.
 */
int write_full(int fd, const void *p, size_t n);

#endif
