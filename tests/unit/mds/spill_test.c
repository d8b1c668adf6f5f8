// SPDX-License-Identifier: Apache-2.0
/*
 * SPILL: until it is done the inline bytes are the truth, whoever changes them meanwhile and
 * whoever dies; a spill that became void is refused and begun again.
 */
#include <CUnit/Basic.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

#define BEGIN WEFT_WRITE_SPILL_BEGIN
#define DONE WEFT_WRITE_SPILL_DONE
#define ABORT WEFT_WRITE_SPILL_ABORT
#define INLINE WEFT_LAYOUT_INLINE
#define SPILLING WEFT_LAYOUT_SPILLING
#define VOID WEFT_LAYOUT_SPILL_VOID

static struct sim sim;
static struct sim_client client;
static u64 file;

/* A file of four bytes that is being moved. */
static void begin(void)
{
	sim_start(&sim, 1);
	sim_client(&sim, &client);
	sim_create(&sim, WEFT_INO_ROOT, "f", S_IFREG | 0644, &file);
	CU_ASSERT_EQUAL(sim_write(&sim, file, 0, "abcd", 4), 0);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, BEGIN, 0), 0);
}

static struct weft_attr attr(void)
{
	struct weft_attr a = { 0 };

	CU_ASSERT_EQUAL(sim_getattr(&sim, file, &a), 0);
	return a;
}

static u8 layout(void)
{
	return attr().layout.flags;
}

static bool content_is(const char *want)
{
	struct sim_request r = { .opcode = WEFT_OP_READ_INLINE, .ino = file, .bulk_max = 65536 };

	return !sim_request(&sim, &r) && sim.data_len == strlen(want) &&
	       !memcmp(sim.data, want, sim.data_len);
}

static void test_write_while_spilling(void)
{
	begin();
	CU_ASSERT_EQUAL(layout(), INLINE | SPILLING);
	CU_ASSERT_EQUAL(sim_write(&sim, file, 2, "XYZ", 3), 0);
	CU_ASSERT_EQUAL(layout(), INLINE | SPILLING | VOID);
	CU_ASSERT(content_is("abXYZ"));
	CU_ASSERT_EQUAL(sim_spill(&sim, file, DONE, 5), WEFT_S_LAYOUT);
	CU_ASSERT(content_is("abXYZ"));
	CU_ASSERT_EQUAL(sim.trims, 0);
	sim.trim_delta = -4096;
	CU_ASSERT_EQUAL(sim_spill(&sim, file, BEGIN, 0), 0);
	CU_ASSERT_EQUAL(sim.trims, 1);
	CU_ASSERT_EQUAL(sim.trim_chunk, 0);
	CU_ASSERT_EQUAL(sim.trim_off, 0);
	CU_ASSERT_EQUAL(layout(), INLINE | SPILLING);
	CU_ASSERT_EQUAL(le64_to_cpu(attr().bytes_used), 512); /* the inline bytes are still there */
	CU_ASSERT_EQUAL(sim_spill(&sim, file, DONE, 5), 0);
	CU_ASSERT_EQUAL(layout(), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(attr().size), 5);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_truncate_while_spilling(void)
{
	begin();
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 2), 0);
	CU_ASSERT_EQUAL(sim.trims, 0);
	CU_ASSERT_EQUAL(layout(), INLINE | SPILLING | VOID);
	CU_ASSERT(content_is("ab"));
	CU_ASSERT_EQUAL(sim_spill(&sim, file, DONE, 4), WEFT_S_LAYOUT);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, BEGIN, 0), 0);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 9000), 0);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, DONE, 4), WEFT_S_LAYOUT);
	CU_ASSERT_EQUAL(le64_to_cpu(attr().size), 9000);
	CU_ASSERT(content_is("ab"));
	CU_ASSERT_EQUAL(sim_spill(&sim, file, BEGIN, 0), 0);
	CU_ASSERT_EQUAL(sim_open(&sim, WEFT_INO_ROOT, "f", WEFT_OPEN_WRITE | WEFT_OPEN_TRUNC, 0,
				 NULL, NULL), 0);
	CU_ASSERT_EQUAL(layout(), INLINE | SPILLING | VOID);
	CU_ASSERT_EQUAL(le64_to_cpu(attr().size), 0);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, DONE, 4), WEFT_S_LAYOUT);
	/* Nothing to move, but objects may exist: not in one step. */
	CU_ASSERT_EQUAL(sim_spill(&sim, file, BEGIN | DONE, 0), -EINVAL);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, WEFT_XATTR_LAYOUT, "inline=0", 0), -EBUSY);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* The client that moved the file is gone; the file goes on as a small one. */
static void test_dead_spiller(void)
{
	struct sim_client other;

	begin();
	sim_client(&sim, &other);
	CU_ASSERT_EQUAL(sim_write(&sim, file, 4, "efgh", 4), 0);
	CU_ASSERT(content_is("abcdefgh"));
	sim_run(&sim, 3000); /* three leases */
	sim_crash(&sim, 0);
	sim_restart(&sim, 0);
	CU_ASSERT_EQUAL(layout(), INLINE | SPILLING | VOID);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, BEGIN, 0), 0);
	CU_ASSERT_EQUAL(sim.trims, 1);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, DONE, 8), 0);
	CU_ASSERT_EQUAL(layout(), 0);
	sim_stop(&sim);
}

/* A live client gives up: others need not wait for its end. */
static void test_abort(void)
{
	struct weft_write_req req = { .flags = cpu_to_le32(BEGIN) };
	struct sim_request r = { .opcode = WEFT_OP_SPILL, .body = &req, .body_len = sizeof(req),
				 .once = true };
	struct sim_client other;

	begin();
	r.ino = file;
	sim_client(&sim, &other);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), WEFT_S_BUSY);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, ABORT, 0), WEFT_S_LAYOUT); /* not its own */
	sim.me = &client;
	CU_ASSERT_EQUAL(sim_spill(&sim, file, BEGIN | ABORT, 0), -EINVAL);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, ABORT, 0), 0);
	CU_ASSERT_EQUAL(layout(), INLINE | SPILLING | VOID);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, DONE, 4), WEFT_S_LAYOUT);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, ABORT, 0), WEFT_S_LAYOUT);
	sim.me = &other;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(sim.trims, 1);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, DONE, 4), 0);
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/spill", NULL, NULL);
	CU_add_test(s, "a small write during a spill", test_write_while_spilling);
	CU_add_test(s, "truncation during a spill", test_truncate_while_spilling);
	CU_add_test(s, "the spiller is gone", test_dead_spiller);
	CU_add_test(s, "the spiller gives up", test_abort);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
