// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Test vectors of the name hash and of placement.
 *
 * The expected values were computed by an independent implementation (arbitrary-precision
 * integers) of what proto/hash.h and proto/placement.h specify. Unit tests run them in user
 * space; the kernel module runs them when it is loaded and refuses to load if one differs, since
 * it would look for names and chunks in the wrong places.
 */
#include "proto/vectors.h"
#include "proto/hash.h"
#include "proto/placement.h"

struct name_vector {
	const char *name;
	u32 len;
	u64 hash;
	u32 shard_in_root; /* of 4096, in directory 1 */
	u32 shard_in_other; /* of 4096, in directory 7 << 48 | 12345 */
};

struct chunk_vector {
	u32 ngroups, width, seed;
	u64 chunk;
	u32 place;
};

#define X5 "xxxxx"
#define X51 X5 X5 X5 X5 X5 X5 X5 X5 X5 X5 "x"
#define NAME_255 X51 X51 X51 X51 X51

static const struct name_vector names[] = {
	{ "a", 1, 0x50cbb20b5996a452ull, 2858, 3799 },
	{ ".", 1, 0x103497b1ab82e668ull, 674, 598 },
	{ "Makefile", 8, 0x2fe4dae49753e2b6ull, 590, 3878 },
	{ "weights-00001-of-00042.safetensors", 34, 0x6909edc0d1c760d5ull, 3527, 1799 },
	{ "\303\251t\303\251", 5, 0x7847ae5292614e1eull, 79, 2543 },
	{ NAME_255, 255, 0x52bc5f083549d5f2ull, 2830, 3936 },
};

static const struct chunk_vector chunks[] = {
	{ 1, 0, 0u, 0x0ull, 0 },
	{ 1, 0, 0u, 0x1ull, 0 },
	{ 1, 0, 0u, 0x7ull, 0 },
	{ 1, 0, 0u, 0xffffffffull, 0 },
	{ 1, 0, 0u, 0x10000000003ull, 0 },
	{ 3, 0, 1u, 0x0ull, 1 },
	{ 3, 0, 1u, 0x1ull, 2 },
	{ 3, 0, 1u, 0x7ull, 2 },
	{ 3, 0, 1u, 0xffffffffull, 1 },
	{ 3, 0, 1u, 0x10000000003ull, 2 },
	{ 3, 2, 77u, 0x0ull, 2 },
	{ 3, 2, 77u, 0x1ull, 1 },
	{ 3, 2, 77u, 0x7ull, 1 },
	{ 3, 2, 77u, 0xffffffffull, 1 },
	{ 3, 2, 77u, 0x10000000003ull, 1 },
	{ 8, 0, 3735928559u, 0x0ull, 6 },
	{ 8, 0, 3735928559u, 0x1ull, 1 },
	{ 8, 0, 3735928559u, 0x7ull, 3 },
	{ 8, 0, 3735928559u, 0xffffffffull, 3 },
	{ 8, 0, 3735928559u, 0x10000000003ull, 7 },
	{ 12, 4, 5u, 0x0ull, 1 },
	{ 12, 4, 5u, 0x1ull, 8 },
	{ 12, 4, 5u, 0x7ull, 6 },
	{ 12, 4, 5u, 0xffffffffull, 6 },
	{ 12, 4, 5u, 0x10000000003ull, 6 },
	{ 97, 0, 123456789u, 0x0ull, 16 },
	{ 97, 0, 123456789u, 0x1ull, 37 },
	{ 97, 0, 123456789u, 0x7ull, 66 },
	{ 97, 0, 123456789u, 0xffffffffull, 51 },
	{ 97, 0, 123456789u, 0x10000000003ull, 59 },
	{ 1000, 16, 42u, 0x0ull, 639 },
	{ 1000, 16, 42u, 0x1ull, 278 },
	{ 1000, 16, 42u, 0x7ull, 888 },
	{ 1000, 16, 42u, 0xffffffffull, 0 },
	{ 1000, 16, 42u, 0x10000000003ull, 556 },
};

const char *weft_vectors_check(void)
{
	const u64 other = (7ull << 48) | 12345;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct name_vector *v = &names[i];

		if (weft_name_hash(v->name, v->len) != v->hash)
			return "name hash";
		if (weft_place_dir(4096, 1, v->name, v->len) != v->shard_in_root ||
		    weft_place_dir(4096, other, v->name, v->len) != v->shard_in_other)
			return "directory placement";
	}
	for (i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		const struct chunk_vector *v = &chunks[i];

		if (weft_place_chunk(v->ngroups, v->width, v->seed, v->chunk) != v->place)
			return "chunk placement";
	}
	return NULL;
}
