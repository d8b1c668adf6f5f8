// SPDX-License-Identifier: Apache-2.0
/* The hash table against an array: growing, removing, equal hashes. */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "mds/table.h"

#define N 5000u

struct item {
	struct mds_link link;
	u32 nr;
	bool in;
};

static struct item items[N];

/* Three objects share each hash. */
static u64 hash_of(u32 nr)
{
	return mds_mix(nr / 3);
}

static bool has(struct mds_table *t, u32 nr)
{
	struct mds_link *l;

	for (l = mds_table_find(t, hash_of(nr)); l; l = mds_table_more(l))
		if (((struct item *)l)->nr == nr)
			return true;
	return false;
}

static void test_table(void)
{
	struct mds_table t;
	struct mds_link *l;
	u32 k, step, count = 0, seen = 0;

	CU_ASSERT_EQUAL_FATAL(mds_table_init(&t), 0);
	srandom(1);
	for (step = 0; step < 4 * N; step++) {
		struct item *i = &items[random() % N];

		i->nr = i - items;
		CU_ASSERT_EQUAL(has(&t, i->nr), i->in);
		if (i->in) {
			mds_table_del(&t, &i->link);
			count--;
		} else {
			mds_table_add(&t, &i->link, hash_of(i->nr));
			count++;
		}
		i->in = !i->in;
		CU_ASSERT_EQUAL(t.count, count);
	}
	for (l = mds_table_each(&t, NULL); l; l = mds_table_each(&t, l), seen++)
		CU_ASSERT(((struct item *)l)->in);
	CU_ASSERT_EQUAL(seen, count);
	for (k = 0; k < N; k++)
		CU_ASSERT_EQUAL(has(&t, k), items[k].in);
	mds_table_fini(&t);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/table", NULL, NULL);
	CU_add_test(s, "against an array", test_table);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
