// SPDX-License-Identifier: Apache-2.0
/*
 * Keys that are not in memory: every op runs again until they are, and does the same as ever.
 */
#include <CUnit/Basic.h>
#include <sys/stat.h>

#include "common/fault.h"
#include "common/log.h"
#include "tests/unit/mds/sim.h"

#define ROOT WEFT_INO_ROOT

static struct sim sim;
static struct sim_client client;

static void script(void)
{
	struct weft_attr a;
	u64 f, d;

	CU_ASSERT_EQUAL(sim_create(&sim, ROOT, "d", S_IFDIR | 0755, &d), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "f", S_IFREG | 0600, &f), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "f", S_IFREG | 0600, NULL), -EEXIST);
	CU_ASSERT_EQUAL(sim_lookup(&sim, d, "f", &a), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(a.ino), f);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 0, "abc", 3), 0);
	CU_ASSERT_EQUAL(sim_rename(&sim, d, "f", ROOT, "g", 0), 0);
	CU_ASSERT_EQUAL(sim_link(&sim, f, d, "h"), 0);
	CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, "g"), 0);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, &a), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(a.nlink), 1);
	CU_ASSERT_EQUAL(sim_unlink(&sim, d, "h"), 0);
	CU_ASSERT_EQUAL(sim_rmdir(&sim, ROOT, "d"), 0);
	CU_ASSERT_EQUAL(sim_lookup(&sim, ROOT, "d", NULL), -ENOENT);
	sim_run(&sim, 1000);
}

static void run(u32 nservers, const char *fault, bool cold)
{
	sim_start(&sim, nservers);
	sim_client(&sim, &client);
	sim_run(&sim, 100);
	sim.servers[0].m->cache.max = 1;
	script();
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.cold, 0);
	CU_ASSERT_EQUAL_FATAL(weft_fault_set(fault), 0);
	script();
	weft_fault_set("");
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.cold > 0, cold);
	CU_ASSERT_PTR_NULL(sim.servers[0].m->warms);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_some(void)
{
	run(1, "kv.peek=error(EAGAIN):20", true);
	run(1, "kv.peek=error(EAGAIN):0.5", true);
	run(2, "kv.peek=error(EAGAIN):0.5", true);
}

/* Blocks that never stay: in the end an op reads by itself. */
static void test_always(void)
{
	run(1, "kv.peek=error(EAGAIN)", true);
	run(2, "kv.peek=error(EAGAIN)", true);
}

static void test_never(void)
{
	run(1, "", false);
}

/* A crash while a key is being read. */
static void test_crash(void)
{
	struct sim_request g = { .opcode = WEFT_OP_LOOKUP, .ino = ROOT, .name = "x" };

	sim_start(&sim, 1);
	sim_client(&sim, &client);
	sim_run(&sim, 100);
	CU_ASSERT_EQUAL_FATAL(weft_fault_set("kv.peek=error(EAGAIN):1"), 0);
	sim_begin(&sim, &g);
	CU_ASSERT_PTR_NOT_NULL(sim.servers[0].m->warms);
	CU_ASSERT_FALSE(sim.replied);
	weft_fault_set("");
	sim_crash(&sim, 0);
	CU_ASSERT_EQUAL(sim.status, WEFT_S_RECOVERY);
	sim_restart(&sim, 0);
	sim_run(&sim, 100);
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
	CU_ASSERT_EQUAL(sim_lookup(&sim, ROOT, "x", NULL), -ENOENT);
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/warm", NULL, NULL);
	CU_add_test(s, "some keys are cold", test_some);
	CU_add_test(s, "all keys are cold", test_always);
	CU_add_test(s, "no key is cold", test_never);
	CU_add_test(s, "a crash meanwhile", test_crash);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
