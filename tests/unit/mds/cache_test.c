// SPDX-License-Identifier: Apache-2.0
/*
 * The inode cache: what is found, what goes first; and that a server with a tiny one sees the same
 * as one with a large one.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mds/cache.h"
#include "tests/unit/mds/sim.h"

static void put(struct mds_cache *c, u64 ino, u64 size)
{
	struct mds_inode i = { .ino = ino, .size = size };

	mds_cache_put(c, &i);
}

static u64 size_of(struct mds_cache *c, u64 ino)
{
	const struct mds_inode *i = mds_cache_find(c, ino);

	return i ? i->size : 0;
}

static void test_order(void)
{
	struct mds_cache c = { 0 };
	u64 k;

	mds_cache_fini(&c);
	CU_ASSERT_EQUAL_FATAL(mds_cache_init(&c, 3), 0);
	CU_ASSERT_PTR_NULL(mds_cache_find(&c, 1));
	for (k = 1; k <= 3; k++)
		put(&c, k, 10 * k);
	CU_ASSERT_EQUAL(size_of(&c, 1), 10);
	put(&c, 4, 40); /* 2 was not used for the longest time */
	CU_ASSERT_EQUAL(size_of(&c, 2), 0);
	CU_ASSERT_EQUAL(size_of(&c, 1), 10);
	put(&c, 1, 11);
	CU_ASSERT_EQUAL(size_of(&c, 1), 11);
	mds_cache_drop(&c, 3);
	mds_cache_drop(&c, 3);
	CU_ASSERT_EQUAL(size_of(&c, 3), 0);
	CU_ASSERT_EQUAL(size_of(&c, 4), 40);
	CU_ASSERT_EQUAL(c.table.count, 2);
	for (k = 5; k < 1000; k++)
		put(&c, k, k);
	CU_ASSERT_EQUAL(c.table.count, 3);
	CU_ASSERT_EQUAL(c.hits, 4);
	CU_ASSERT_EQUAL(c.misses, 3);
	mds_cache_fini(&c);
}

/* Changes, failures and crashes; what a server says is what its store has, whatever its cache. */
static void test_server(u32 max)
{
	static struct sim sim;
	static struct sim_client client;
	struct weft_attr a;
	char name[16];
	u64 f, d, k;

	sim_start(&sim, 1);
	sim_client(&sim, &client);
	sim_run(&sim, 100);
	sim.servers[0].m->cache.max = max;
	CU_ASSERT_EQUAL(sim_create(&sim, WEFT_INO_ROOT, "d", S_IFDIR | 0755, &d), 0);
	for (k = 0; k < 20; k++) {
		snprintf(name, sizeof(name), "f%u", (u32)k);
		CU_ASSERT_EQUAL(sim_create(&sim, d, name, S_IFREG | 0600, &f), 0);
		CU_ASSERT_EQUAL(sim_chmod(&sim, f, 0640), 0);
		CU_ASSERT_EQUAL(sim_getattr(&sim, f, &a), 0);
		CU_ASSERT_EQUAL(le32_to_cpu(a.mode), S_IFREG | 0640);
		CU_ASSERT_EQUAL(sim_create(&sim, d, name, S_IFREG | 0600, NULL), -EEXIST);
		CU_ASSERT_EQUAL(sim_getattr(&sim, d, &a), 0);
		CU_ASSERT_EQUAL(le64_to_cpu(a.size), 1 + k / 2);
		if (k % 2)
			continue;
		CU_ASSERT_EQUAL(sim_rename(&sim, d, name, WEFT_INO_ROOT, "g", 0), 0);
		CU_ASSERT_EQUAL(sim_getattr(&sim, f, &a), 0);
		CU_ASSERT_EQUAL(sim_unlink(&sim, WEFT_INO_ROOT, "g"), 0);
		CU_ASSERT_EQUAL(sim_getattr(&sim, f, &a), -ESTALE);
		CU_ASSERT_EQUAL(sim_lookup(&sim, d, name, NULL), -ENOENT);
	}
	CU_ASSERT(sim.servers[0].m->cache.table.count <= max);
	sim_crash(&sim, 0);
	sim_restart(&sim, 0);
	sim_open_session(&sim, 0);
	CU_ASSERT_EQUAL(sim_getattr(&sim, d, &a), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(a.size), 10);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_tiny(void)
{
	test_server(1);
}

static void test_large(void)
{
	test_server(MDS_CACHE_INODES);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/cache", NULL, NULL);
	CU_add_test(s, "order", test_order);
	CU_add_test(s, "a server with a tiny one", test_tiny);
	CU_add_test(s, "a server with a large one", test_large);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
