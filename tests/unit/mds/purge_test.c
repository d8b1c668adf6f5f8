// SPDX-License-Identifier: Apache-2.0
/*
 * Deleting objects while a data server is silent: what the others have goes, the rest when it
 * answers again; nobody waits for it.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

#define NEW 200
#define OLD 10

static struct sim sim;
static struct sim_client client;

/* Makes a file in chunks. */
static void make(const char *name)
{
	u64 ino;

	CU_ASSERT_EQUAL(sim_create(&sim, WEFT_INO_ROOT, name, S_IFREG | 0644, &ino), 0);
	CU_ASSERT_EQUAL(sim_spill(&sim, ino, WEFT_WRITE_SPILL_BEGIN | WEFT_WRITE_SPILL_DONE, 9), 0);
}

static const struct mds_purge *purge(void)
{
	return &sim.servers[0].m->purge;
}

/* Files on the first data group, and then on both; keeps the session alive meanwhile. */
static void begin(void)
{
	char name[16];
	u32 k;

	sim_start(&sim, 1);
	sim_client(&sim, &client);
	for (k = 0; k < OLD; k++) {
		sprintf(name, "old%u", k);
		make(name);
	}
	sim_extend(&sim);
	for (k = 0; k < NEW; k++) {
		sprintf(name, "new%u", k);
		make(name);
	}
	sim.silent_group = SIM_OST2_GROUP;
	sim.trims = sim.trims2 = 0;
	for (k = 0; k < NEW; k++) {
		sprintf(name, "new%u", k);
		CU_ASSERT_EQUAL(sim_unlink(&sim, WEFT_INO_ROOT, name), 0);
	}
	for (k = 0; k < OLD; k++) {
		sprintf(name, "old%u", k);
		CU_ASSERT_EQUAL(sim_unlink(&sim, WEFT_INO_ROOT, name), 0);
	}
}

static void test_silent(void)
{
	begin();
	sim_run(&sim, 8000);
	/* All that the first one has is gone, the old files whole. */
	CU_ASSERT_EQUAL(sim.trims, NEW + OLD);
	CU_ASSERT_EQUAL(sim.trims2, 0);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.purged, OLD);
	CU_ASSERT_EQUAL(purge()->running + purge()->deferred, NEW);
	/* It is asked by one at a time, less and less often. */
	sim_run(&sim, 60000);
	CU_ASSERT(sim.trims < NEW + OLD + 20);
	CU_ASSERT(purge()->running <= 1);
	sim.silent_group = 0;
	sim_run(&sim, 170000);
	CU_ASSERT_EQUAL(sim.trims2, NEW);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.purged, NEW + OLD);
	CU_ASSERT_EQUAL(purge()->deferred, 0);
	CU_ASSERT_EQUAL(purge()->running + purge()->cut, 0);
	CU_ASSERT_PTR_NULL(purge()->silent);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* A restart forgets who was silent, not what is to be deleted. */
static void test_restart(void)
{
	begin();
	sim_run(&sim, 8000);
	sim_crash(&sim, 0);
	sim_restart(&sim, 0);
	sim_run(&sim, 8000);
	CU_ASSERT_EQUAL(sim.trims2, 0);
	sim.silent_group = 0;
	sim_run(&sim, 60000);
	CU_ASSERT_EQUAL(sim.trims2, NEW);
	CU_ASSERT_EQUAL(purge()->deferred, 0);
	CU_ASSERT_EQUAL(purge()->running + purge()->cut, 0);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* A truncate waits for it, however long; deleting does not take its place. */
static void test_truncate(void)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(WEFT_SET_SIZE) };
	struct sim_request r = { .opcode = WEFT_OP_SETATTR, .body = &req,
				 .body_len = sizeof(req) };

	begin();
	CU_ASSERT_EQUAL(sim_create(&sim, WEFT_INO_ROOT, "t", S_IFREG | 0644, &r.ino), 0);
	CU_ASSERT_EQUAL(sim_spill(&sim, r.ino, WEFT_WRITE_SPILL_BEGIN | WEFT_WRITE_SPILL_DONE, 9),
			0);
	sim_begin(&sim, &r);
	sim_run(&sim, 20000);
	CU_ASSERT_FALSE(sim.replied);
	sim.silent_group = 0;
	sim_run(&sim, 200);
	CU_ASSERT(sim.replied);
	CU_ASSERT_EQUAL(sim.status, 0);
	sim_stop(&sim);
}

/* A pool that the map does not have: the objects are not forgotten. */
static void test_no_pool(void)
{
	struct mds_purge_rec rec = { .version = cpu_to_le32(MDS_REC_VERSION),
				     .ino = cpu_to_le64(4711),
				     .layout = { .pool = cpu_to_le32(2), .chunk_shift = 16 } };
	char key[MDS_KEY_MAX];
	struct weft_kv_batch *b;
	struct weft_kv *kv;

	sim_start(&sim, 1);
	sim_crash(&sim, 0);
	kv = sim.servers[0].kv;
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	weft_kv_put(b, MDS_CF_META, key, mds_key_meta(key, 'P', 5), &rec, sizeof(rec));
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), 0);
	weft_kv_batch_free(b);
	sim_restart(&sim, 0);
	sim_run(&sim, 5000);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.purged, 0);
	CU_ASSERT_EQUAL(sim.trims, 0);
	sim_extend(&sim);
	sim_run(&sim, 2000);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.purged, 1);
	CU_ASSERT_EQUAL(sim.trims, 2);
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/purge", NULL, NULL);
	CU_add_test(s, "a silent data server", test_silent);
	CU_add_test(s, "and a restart", test_restart);
	CU_add_test(s, "and a truncate", test_truncate);
	CU_add_test(s, "a pool that the map does not have", test_no_pool);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
