// SPDX-License-Identifier: Apache-2.0
/*
 * The allocator gives out each block once, takes contiguous space where there is some, keeps its
 * reserve, and counts right, against a plain table of blocks.
 */
#include "oss/alloc.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define N 70000

static uint8_t used[N];

static uint32_t rnd_state = 7;
static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (uint64_t)(rnd_state >> 4) * n >> 28;
}

static void note(const struct oss_runs *r, bool use)
{
	uint32_t i, k;

	for (i = 0; i < r->n; i++) {
		for (k = 0; k < r->e[i].count; k++) {
			uint64_t b = r->e[i].start + k;

			CU_ASSERT_FATAL(b > 0 && b < N && used[b] != use);
			used[b] = use;
		}
	}
}

static void test_random(void)
{
	static struct oss_runs held[500];
	struct oss_alloc a;
	uint64_t free = N - 1, i, k;

	memset(used, 0, sizeof(used));
	CU_ASSERT_EQUAL_FATAL(oss_alloc_init(&a, N, 10), 0);
	for (i = 0; i < 20000; i++) {
		struct oss_runs *r = &held[rnd(500)];
		uint32_t want = 1 + rnd(rnd(2) ? 4 : 400);
		int err;

		if (r->n) {
			note(r, false);
			free += r->blocks;
			oss_alloc_release(&a, r);
			continue;
		}
		err = oss_alloc_take(&a, want, 0, r);
		CU_ASSERT_EQUAL_FATAL(err, want + 10 > free ? -ENOSPC : 0);
		note(r, true);
		CU_ASSERT_EQUAL(r->blocks, err ? 0 : want);
		free -= r->blocks;
		CU_ASSERT_EQUAL_FATAL(a.free, free);
	}
	for (i = 0, k = 1; i < N; i++)
		k += !used[i];
	CU_ASSERT_EQUAL(k - 2, free);
	for (i = 0; i < 500; i++)
		oss_alloc_release(&a, &held[i]);
	CU_ASSERT_EQUAL(a.free, N - 1);
	oss_alloc_fini(&a);
}

static void test_full(void)
{
	struct oss_runs r = { 0 }, s = { 0 };
	struct oss_alloc a;

	CU_ASSERT_EQUAL_FATAL(oss_alloc_init(&a, 1000, 100), 0);
	CU_ASSERT_EQUAL(oss_alloc_take(&a, 900, 0, &r), -ENOSPC);
	CU_ASSERT_EQUAL(oss_alloc_take(&a, 899, 0, &r), 0);
	CU_ASSERT_EQUAL(r.n, 1);
	CU_ASSERT_EQUAL(oss_alloc_take(&a, 1, 0, &s), -ENOSPC);
	CU_ASSERT_EQUAL(oss_alloc_take(&a, 100, OSS_ALLOC_RESERVE, &s), 0);
	CU_ASSERT_EQUAL(oss_alloc_take(&a, 1, OSS_ALLOC_RESERVE, &s), -ENOSPC);
	CU_ASSERT_EQUAL(a.free, 0);
	oss_alloc_release(&a, &s);
	CU_ASSERT_EQUAL(a.free, 100);
	oss_alloc_release(&a, &r);
	oss_alloc_fini(&a);
}

/* Only every second block is free, but for one place. */
static void test_fragments(void)
{
	struct oss_runs r = { 0 };
	struct oss_alloc a;
	uint64_t b;

	CU_ASSERT_EQUAL_FATAL(oss_alloc_init(&a, 40000, 0), 0);
	for (b = 2; b < 40000; b += 2)
		if (b < 100 || b > 140)
			CU_ASSERT_EQUAL_FATAL(oss_alloc_mark(&a, b, 1), 0);
	CU_ASSERT_EQUAL(oss_alloc_take(&a, 30, 0, &r), 0);
	CU_ASSERT_EQUAL(r.n, 1);
	CU_ASSERT_EQUAL(r.e[0].start, 99);
	oss_alloc_release(&a, &r);
	CU_ASSERT_EQUAL(oss_alloc_take(&a, 300, 0, &r), 0);
	CU_ASSERT(r.n > 100);
	oss_alloc_release(&a, &r);
	oss_alloc_fini(&a);
}

/* What was in use before is used again before the rest of the file is. */
static void test_again(void)
{
	struct oss_runs r[4] = { 0 };
	struct oss_alloc a;
	uint64_t start;
	int i;

	CU_ASSERT_EQUAL_FATAL(oss_alloc_init(&a, N, 0), 0);
	for (i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(oss_alloc_take(&a, 256, 0, &r[i]), 0);
	CU_ASSERT_EQUAL(a.top, 1 + 4 * 256);
	start = r[1].e[0].start;
	oss_alloc_release(&a, &r[1]);
	CU_ASSERT_EQUAL_FATAL(oss_alloc_take(&a, 256, 0, &r[1]), 0);
	CU_ASSERT_EQUAL(r[1].e[0].start, start);
	oss_alloc_release(&a, &r[2]);
	/* It does not fit there. */
	CU_ASSERT_EQUAL_FATAL(oss_alloc_take(&a, 300, 0, &r[2]), 0);
	CU_ASSERT_EQUAL(r[2].n, 1);
	CU_ASSERT_EQUAL(r[2].e[0].start, 1 + 4 * 256);
	for (i = 0; i < 4; i++)
		oss_alloc_release(&a, &r[i]);
	CU_ASSERT_EQUAL(a.free, N - 1);
	oss_alloc_fini(&a);
}

static void test_mark(void)
{
	struct oss_alloc a;

	CU_ASSERT_EQUAL_FATAL(oss_alloc_init(&a, 100, 0), 0);
	CU_ASSERT_EQUAL(oss_alloc_mark(&a, 10, 80), 0);
	CU_ASSERT_EQUAL(oss_alloc_mark(&a, 5, 6), -EEXIST);
	CU_ASSERT_EQUAL(oss_alloc_mark(&a, 5, 5), 0);
	CU_ASSERT_EQUAL(oss_alloc_mark(&a, 0, 1), -EEXIST);
	CU_ASSERT_EQUAL(oss_alloc_mark(&a, 95, 6), -ERANGE);
	CU_ASSERT_EQUAL(oss_alloc_mark(&a, ~0ull, 1), -ERANGE);
	CU_ASSERT_EQUAL(a.free, 99 - 85);
	oss_alloc_fini(&a);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("oss/alloc", NULL, NULL);
	CU_add_test(s, "random", test_random);
	CU_add_test(s, "full and reserve", test_full);
	CU_add_test(s, "fragments", test_fragments);
	CU_add_test(s, "again", test_again);
	CU_add_test(s, "mark", test_mark);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
