// SPDX-License-Identifier: Apache-2.0
/*
 * Where the objects of a file in chunks are cut when its size changes, that bytes behind the old
 * end do not come to light, and what an intent does that is found after a crash.
 */
#include <CUnit/Basic.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

static struct sim sim;
static struct sim_client client;
static u64 file;

static struct weft_attr attr(void)
{
	struct weft_attr a = { 0 };

	CU_ASSERT_EQUAL(sim_getattr(&sim, file, &a), 0);
	return a;
}

static u64 size(void)
{
	return le64_to_cpu(attr().size);
}

/* A file in chunks, empty. */
static void begin(void)
{
	sim_start(&sim, 1);
	sim_client(&sim, &client);
	sim_create(&sim, WEFT_INO_ROOT, "f", S_IFREG | 0644, &file);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, WEFT_WRITE_SPILL_BEGIN | WEFT_WRITE_SPILL_DONE, 0),
			0);
}

static u64 cut_at(void)
{
	return sim.trim_chunk << attr().layout.chunk_shift | sim.trim_off;
}

static void test_growth(void)
{
	begin();
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 1000), 0);
	CU_ASSERT_EQUAL(sim.trims, 0); /* nothing was ever there */
	CU_ASSERT_EQUAL(size(), 1000);
	CU_ASSERT_EQUAL(sim_commit(&sim, file, 70000, 73728), 0);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 200000), 0);
	CU_ASSERT_EQUAL(sim.trims, 1);
	CU_ASSERT_EQUAL(cut_at(), 70000);
	CU_ASSERT_EQUAL(size(), 200000);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 100), 0);
	CU_ASSERT_EQUAL(cut_at(), 100);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 100), 0); /* bytes behind it go as well */
	CU_ASSERT_EQUAL(sim.trims, 3);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* What another client has written and not committed is its own to tell. */
static void test_growth_shared(void)
{
	struct sim_client other;
	u64 id;

	begin();
	CU_ASSERT_EQUAL(sim_commit(&sim, file, 70000, 73728), 0);
	sim_client(&sim, &other);
	CU_ASSERT_EQUAL(sim_open(&sim, WEFT_INO_ROOT, "f", WEFT_OPEN_WRITE, 0, NULL, &id), 0);
	sim.me = &client;
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 200000), 0);
	CU_ASSERT_EQUAL(sim.trims, 0);
	CU_ASSERT_EQUAL(size(), 200000);
	sim.me = &other;
	CU_ASSERT_EQUAL(sim_close(&sim, file, id), 0);
	sim.me = &client;
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 300000), 0);
	CU_ASSERT_EQUAL(sim.trims, 1);
	CU_ASSERT_EQUAL(cut_at(), 200000);
	CU_ASSERT_EQUAL(sim_open(&sim, WEFT_INO_ROOT, "f", WEFT_OPEN_WRITE | WEFT_OPEN_TRUNC, 0,
				 NULL, NULL), 0);
	CU_ASSERT_EQUAL(sim.trims, 2);
	CU_ASSERT_EQUAL(cut_at(), 0);
	sim_stop(&sim);
}

static void begin_truncate(u64 to)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(WEFT_SET_SIZE),
					.size = cpu_to_le64(to) };
	struct sim_request r = { .opcode = WEFT_OP_SETATTR, .ino = file, .body = &req,
				 .body_len = sizeof(req) };

	sim_begin(&sim, &r);
}

/* The server dies before each step of a truncation whose client never comes again. */
static void redo(u64 to, u64 at, u64 bytes)
{
	u32 k, cut = 0;

	for (k = 1; k < 12; k++) {
		begin();
		CU_ASSERT_EQUAL(sim_commit(&sim, file, 70000, 73728), 0);
		sim.trim_delta = -8192;
		sim.crash_at = sim.steps + k;
		begin_truncate(to);
		sim_run(&sim, 5000);
		sim.crash_at = 0;
		if (size() == to) {
			cut++;
			CU_ASSERT_EQUAL(cut_at(), at);
			CU_ASSERT_EQUAL(le64_to_cpu(attr().bytes_used), bytes);
		} else {
			CU_ASSERT_EQUAL(size(), 70000);
			CU_ASSERT_EQUAL(le64_to_cpu(attr().bytes_used), 73728);
			CU_ASSERT_EQUAL(sim.trims, 0);
		}
		CU_ASSERT(sim_consistent(&sim));
		sim_stop(&sim);
	}
	CU_ASSERT(cut > 3);
}

static void test_redo(void)
{
	redo(60000, 60000, 65536);
	redo(200000, 70000, 65536);
	redo(0, 0, 0); /* all is gone, whatever the cut before the crash has counted */
}

/* An intent about a file that is still inline: its bytes are cut as well. */
static void test_redo_inline(void)
{
	struct mds_cut_rec rec = { .version = cpu_to_le32(MDS_REC_VERSION),
				   .kind = cpu_to_le32(MDS_CUT_TRUNCATE),
				   .size = cpu_to_le64(2) };
	struct sim_request r = { .opcode = WEFT_OP_READ_INLINE, .bulk_max = 65536 };
	char key[MDS_KEY_MAX];
	struct weft_kv_batch *b;
	struct weft_kv *kv;

	begin();
	sim_create(&sim, WEFT_INO_ROOT, "g", S_IFREG | 0644, &file);
	CU_ASSERT_EQUAL(sim_write(&sim, file, 0, "abcd", 4), 0);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, WEFT_WRITE_SPILL_BEGIN, 0), 0);
	rec.layout = attr().layout;
	sim_crash(&sim, 0);
	kv = sim.servers[0].kv;
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	weft_kv_put(b, MDS_CF_META, key, mds_key_meta(key, 'U', file), &rec, sizeof(rec));
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), 0);
	weft_kv_batch_free(b);
	sim_restart(&sim, 0);
	sim_run(&sim, 100);
	r.ino = file;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(sim.data_len, 2);
	CU_ASSERT_EQUAL(size(), 2);
	CU_ASSERT_EQUAL(le64_to_cpu(attr().bytes_used), 512);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 10), 0);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(sim.data_len, 2); /* zeros follow */
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/cut", NULL, NULL);
	CU_add_test(s, "growth", test_growth);
	CU_add_test(s, "growth of a file that others have open", test_growth_shared);
	CU_add_test(s, "intents after a crash", test_redo);
	CU_add_test(s, "an intent about an inline file", test_redo_inline);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
