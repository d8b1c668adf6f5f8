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
	CU_ASSERT_EQUAL(sim.trims, 1); /* of a client that died before its first COMMIT */
	CU_ASSERT_EQUAL(cut_at(), 0);
	CU_ASSERT_EQUAL(size(), 1000);
	CU_ASSERT_EQUAL(sim_commit(&sim, file, 70000, 73728), 0);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 200000), 0);
	CU_ASSERT_EQUAL(sim.trims, 2);
	CU_ASSERT_EQUAL(cut_at(), 70000);
	CU_ASSERT_EQUAL(size(), 200000);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 100), 0);
	CU_ASSERT_EQUAL(cut_at(), 100);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 100), 0); /* bytes behind it go as well */
	CU_ASSERT_EQUAL(sim.trims, 4);
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

/* The server dies when the objects are cut, and comes back. */
static void crash_in_cut(void)
{
	u32 trims = sim.trims;

	while (sim.trims == trims && sim_step(&sim))
		;
	CU_ASSERT_EQUAL(sim.trims, trims + 1);
	sim_crash(&sim, 0);
	sim_restart(&sim, 0);
}

/*
 * The server finishes a truncation after a crash; another client writes; then the request of the
 * first one comes again: it is answered, and nothing is cut a second time.
 */
static void replay(struct sim_request *r, bool early)
{
	static struct sim_client other;
	u64 id;

	begin();
	CU_ASSERT_EQUAL(sim_commit(&sim, file, 70000, 73728), 0);
	sim_client(&sim, &other);
	CU_ASSERT_EQUAL(sim_open(&sim, WEFT_INO_ROOT, "f", WEFT_OPEN_WRITE, 0, NULL, &id), 0);
	sim.me = &client;
	r->seq = client.seq[0] + 1;
	r->ino = r->name ? WEFT_INO_ROOT : file;
	sim_begin(&sim, r);
	crash_in_cut();
	if (early) { /* while the data servers do not answer */
		sim.trim_err = -EIO;
		CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
		sim_begin(&sim, r);
		sim_run(&sim, 100);
		CU_ASSERT_FALSE(sim.replied);
		sim_run(&sim, 1500);
		CU_ASSERT(sim.replied);
		CU_ASSERT_EQUAL(sim.status, 0);
		sim.trims--;
	}
	sim_run(&sim, 100);
	CU_ASSERT_EQUAL(sim.trims, 2);
	sim.me = &other;
	CU_ASSERT_EQUAL(sim_commit(&sim, file, 50000, 53248), 0);
	sim.me = &client;
	CU_ASSERT_EQUAL(sim_request(&sim, r), 0);
	CU_ASSERT_EQUAL(sim.trims, 2);
	client.seq[0]++;
}

static void test_replay(void)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(WEFT_SET_SIZE | WEFT_SET_MODE |
							     WEFT_SET_ATIME),
					.size = cpu_to_le64(100), .mode = cpu_to_le32(0600),
					.atime = { .sec = cpu_to_le64(77) } };
	struct sim_request r = { .opcode = WEFT_OP_SETATTR, .body = &req,
				 .body_len = sizeof(req) };
	u32 early;

	for (early = 0; early < 2; early++) {
		replay(&r, early);
		CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.attr.attr.size), 100);
		CU_ASSERT_EQUAL(size(), 50000);
		CU_ASSERT_EQUAL(le32_to_cpu(attr().mode), S_IFREG | 0600);
		CU_ASSERT_EQUAL(le64_to_cpu(attr().atime.sec), 77);
		CU_ASSERT(sim_consistent(&sim));
		sim_stop(&sim);
	}
}

static void test_replay_open(void)
{
	struct weft_open_req req = { .flags = cpu_to_le32(WEFT_OPEN_WRITE | WEFT_OPEN_TRUNC) };
	struct sim_request r = { .opcode = WEFT_OP_OPEN, .name = "f", .body = &req,
				 .body_len = sizeof(req), .open_id = 4711 };

	replay(&r, false);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.entry.open_id), 4711);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.entry.attr.size), 0);
	CU_ASSERT_EQUAL(size(), 50000);
	CU_ASSERT_EQUAL(sim_unlink(&sim, WEFT_INO_ROOT, "f"), 0);
	CU_ASSERT(mds_open_del(mds_session_find(sim.servers[0].m, client.id), file, 4711));
	sim_stop(&sim);
}

/* Whoever asked is gone: all of the change is made, not the size alone. */
static void test_redo_whole(void)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(WEFT_SET_SIZE | WEFT_SET_UID),
					.size = cpu_to_le64(100), .uid = cpu_to_le32(5) };
	struct sim_request r = { .opcode = WEFT_OP_SETATTR, .body = &req,
				 .body_len = sizeof(req) };

	begin();
	CU_ASSERT_EQUAL(sim_commit(&sim, file, 70000, 73728), 0);
	r.ino = file;
	sim_begin(&sim, &r);
	crash_in_cut();
	sim_run(&sim, 100);
	CU_ASSERT_EQUAL(size(), 100);
	CU_ASSERT_EQUAL(le32_to_cpu(attr().uid), 5);
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
	CU_add_test(s, "an intent makes the whole change", test_redo_whole);
	CU_add_test(s, "a truncation comes again after a crash", test_replay);
	CU_add_test(s, "an open with O_TRUNC comes again", test_replay_open);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
