// SPDX-License-Identifier: Apache-2.0
/*
 * When a batch waits for company, and how long.
 */
#include <CUnit/Basic.h>

#include "mds/gather.h"

#define MS 1000000ull

static void test_alone(void)
{
	struct mds_gather g = { 0 };

	CU_ASSERT_EQUAL(mds_gather_wait(&g, 1, 0), 0);
	mds_gather_done(&g, 5 * MS, 1, 0);
	CU_ASSERT_EQUAL(mds_gather_wait(&g, 1, 0), 0);
}

static void test_together(void)
{
	struct mds_gather g = { 0 };

	/* One was committed, three came meanwhile: four are likely to come. */
	mds_gather_done(&g, 4 * MS, 1, 3);
	g.begun_ns = 100 * MS;
	CU_ASSERT_EQUAL(mds_gather_wait(&g, 3, 100 * MS), 4 * MS);
	CU_ASSERT_EQUAL(mds_gather_wait(&g, 3, 101 * MS), 3 * MS);
	CU_ASSERT_EQUAL(mds_gather_wait(&g, 4, 101 * MS), 0);
	CU_ASSERT_EQUAL(mds_gather_wait(&g, 3, 104 * MS), 0);
	CU_ASSERT_EQUAL(mds_gather_wait(&g, 3, 200 * MS), 0);
}

static void test_bounds(void)
{
	struct mds_gather g = { 0 };

	mds_gather_done(&g, 1000 * MS, 2, 2);
	CU_ASSERT_EQUAL(mds_gather_wait(&g, 1, 0), MDS_GATHER_MAX_NS);
	g = (struct mds_gather){ 0 };
	mds_gather_done(&g, MDS_GATHER_MIN_NS - 1, 2, 2);
	CU_ASSERT_EQUAL(mds_gather_wait(&g, 1, 0), 0);
	mds_gather_done(&g, 5 * MDS_GATHER_MIN_NS, 2, 2);
	CU_ASSERT_EQUAL(g.avg_ns, (8 * MDS_GATHER_MIN_NS - 3) / 4);
	CU_ASSERT_EQUAL(mds_gather_wait(&g, 1, 0), g.avg_ns);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/gather", NULL, NULL);
	CU_add_test(s, "alone", test_alone);
	CU_add_test(s, "together", test_together);
	CU_add_test(s, "bounds", test_bounds);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
