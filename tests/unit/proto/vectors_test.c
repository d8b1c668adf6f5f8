// SPDX-License-Identifier: Apache-2.0
/* Runs the placement vectors and checks the properties that placement promises. */
#include <CUnit/Basic.h>

#include "proto/placement.h"
#include "proto/vectors.h"

static void vectors(void)
{
	CU_ASSERT_PTR_NULL(weft_vectors_check());
}

/* All chunks of one round over the width land on different groups. */
static void chunks_spread(void)
{
	for (u32 n = 1; n < 40; n++) {
		for (u32 seed = 0; seed < 50; seed++) {
			u64 seen = 0;

			for (u64 c = 0; c < n; c++) {
				u32 p = weft_place_chunk(n, 0, seed, c);

				CU_ASSERT_FATAL(p < n);
				seen |= 1ull << p;
			}
			CU_ASSERT_EQUAL(seen, (1ull << n) - 1);
		}
	}
}

/* Over many seeds every group gets its share of first chunks, within a quarter. */
static void seeds_balance(void)
{
	u32 count[12] = { 0 };

	for (u32 seed = 0; seed < 12000; seed++)
		count[weft_place_chunk(12, 0, seed, 0)]++;
	for (u32 i = 0; i < 12; i++)
		CU_ASSERT(count[i] > 750 && count[i] < 1250);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("proto/vectors", NULL, NULL);
	CU_add_test(s, "vectors agree", vectors);
	CU_add_test(s, "chunks of a round are on different groups", chunks_spread);
	CU_add_test(s, "seeds balance", seeds_balance);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
