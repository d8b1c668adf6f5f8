// SPDX-License-Identifier: Apache-2.0
/* Sequence numbers of slots: duplicates, late duplicates, the wrap from 0xffffffff to 1. */
#include <CUnit/Basic.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

static struct sim sim;
static struct sim_client client;

static int make(const char *name, u32 seq)
{
	struct weft_create_req req = { .mode = cpu_to_le32(S_IFREG | 0644) };
	struct sim_request r = { .opcode = WEFT_OP_CREATE, .ino = WEFT_INO_ROOT, .name = name,
				 .body = &req, .body_len = sizeof(req), .seq = seq };

	return sim_request(&sim, &r);
}

static bool there(const char *name)
{
	return !sim_lookup(&sim, WEFT_INO_ROOT, name, NULL);
}

static void test_order(void)
{
	sim_start(&sim, 1);
	sim_client(&sim, &client);
	CU_ASSERT_EQUAL(make("a", 5), 0);
	CU_ASSERT_EQUAL(make("a", 5), 0); /* the stored answer */
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.replayed, 1);
	CU_ASSERT_EQUAL(make("b", 4), WEFT_S_SLOT_OLD);
	CU_ASSERT_FALSE(there("b"));
	sim_stop(&sim);
}

static void test_wrap(void)
{
	sim_start(&sim, 1);
	sim_client(&sim, &client);
	CU_ASSERT_EQUAL(make("a", 0xfffffffe), 0); /* the first number may be any */
	CU_ASSERT_EQUAL(make("b", 0xffffffff), 0);
	CU_ASSERT_EQUAL(weft_slot_next(0xffffffff), 1);
	CU_ASSERT_EQUAL(make("c", 1), 0);
	CU_ASSERT(there("c"));
	CU_ASSERT_EQUAL(make("d", 0xffffffff), WEFT_S_SLOT_OLD);
	sim_crash(&sim, 0);
	sim_restart(&sim, 0);
	CU_ASSERT_EQUAL(make("d", 0xffffffff), WEFT_S_SLOT_OLD);
	CU_ASSERT_FALSE(there("d"));
	CU_ASSERT_EQUAL(make("c", 1), 0);
	CU_ASSERT_EQUAL(make("d", 2), 0);
	sim_stop(&sim);
}

static void test_numbers(void)
{
	CU_ASSERT_EQUAL(weft_slot_next(0), 1);
	CU_ASSERT_EQUAL(weft_slot_next(1), 2);
	CU_ASSERT_EQUAL(weft_slot_next(0xfffffffe), 0xffffffff);
	CU_ASSERT_FALSE(weft_slot_older(1, 0));
	CU_ASSERT_FALSE(weft_slot_older(0xffffffff, 0));
	CU_ASSERT_FALSE(weft_slot_older(7, 7));
	CU_ASSERT(weft_slot_older(6, 7));
	CU_ASSERT_FALSE(weft_slot_older(1, 0xffffffff));
	CU_ASSERT(weft_slot_older(0xffffffff, 1));
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/slots", NULL, NULL);
	CU_add_test(s, "numbers", test_numbers);
	CU_add_test(s, "duplicates", test_order);
	CU_add_test(s, "the wrap", test_wrap);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
