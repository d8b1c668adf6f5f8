// SPDX-License-Identifier: Apache-2.0
/*
 * Batches: one sync for many ops, failures that leave nothing, commits that fail; and torture: a
 * script of changes runs again and again, and in run N allocation N fails.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fault.h"
#include "common/log.h"
#include "tests/unit/mds/sim.h"

#define ROOT WEFT_INO_ROOT

static struct sim sim;
static struct sim_client client;

/* --- failing allocations of the core, see batch_test.ldflags */

static unsigned int countdown, failures;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static bool fails(void)
{
	if (!countdown || sim_exempt || --countdown)
		return false;
	failures++;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

static void begin(u32 nservers)
{
	sim_start(&sim, nservers);
	sim_client(&sim, &client);
	sim_run(&sim, 100);
}

static struct sim_request create_request(struct weft_create_req *req, const char *name, u32 seq)
{
	*req = (struct weft_create_req){ .mode = cpu_to_le32(S_IFREG | 0600) };
	return (struct sim_request){ .opcode = WEFT_OP_CREATE, .ino = ROOT, .name = name,
				     .body = req, .body_len = sizeof(*req), .seq = seq };
}

struct sender {
	struct sim_client c;
	struct weft_create_req req;
	char name[16];
};

static void test_one_sync(void)
{
	static struct sender who[6];
	struct weft_kv_stats before, after;
	struct sim_request r;
	u32 k;

	begin(1);
	for (k = 0; k < 6; k++)
		sim_client(&sim, &who[k].c);
	weft_kv_stats(sim.servers[0].kv, &before);
	for (k = 0; k < 6; k++) {
		snprintf(who[k].name, sizeof(who[k].name), "n%u", k / 2); /* each name twice */
		r = create_request(&who[k].req, who[k].name, 1);
		sim.me = &who[k].c;
		sim_begin(&sim, &r);
	}
	sim_run(&sim, 50);
	weft_kv_stats(sim.servers[0].kv, &after);
	CU_ASSERT_EQUAL(after.syncs - before.syncs, 1);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.batch_max, 6);
	sim.me = &client;
	CU_ASSERT_EQUAL(sim_getattr(&sim, ROOT, NULL), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.attr.attr.size), 3);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* One round: the first @n send a request each, at once or one after the other; all are answered. */
static void round_of(struct sender *who, u32 n, u32 nr, bool at_once)
{
	struct sim_request r;
	u32 k;

	for (k = 0; k < n; k++) {
		snprintf(who[k].name, sizeof(who[k].name), "r%u.%u", nr, k);
		r = create_request(&who[k].req, who[k].name, nr);
		sim.me = &who[k].c;
		sim_begin(&sim, &r);
		/* The first one's batch would go alone if it did not wait. */
		if (!at_once)
			sim_step(&sim);
	}
	while (sim.servers[0].m->ops)
		CU_ASSERT_FATAL(sim_step_until(&sim, sim.now + 100 * WEFT_NS_PER_MS));
}

/* Where others were under way a batch waits for them; alone nobody waits. */
static void test_company(void)
{
	static struct sender who[4];
	struct mds_stats *st;
	u64 start;
	u32 k, waits;

	begin(1);
	for (k = 0; k < 4; k++)
		sim_client(&sim, &who[k].c);
	sim.commit_ns = 4 * WEFT_NS_PER_MS;
	st = &sim.servers[0].m->stats;
	/* Alone: a sync for each, and no time but that of the commits. */
	for (k = 1; k <= 8; k++) {
		u64 batches = st->batches;

		start = sim.now;
		round_of(who, 1, k, false);
		CU_ASSERT_EQUAL(st->batches - batches, 1);
		CU_ASSERT(sim.now - start < sim.commit_ns + WEFT_NS_PER_MS);
	}
	CU_ASSERT_EQUAL(st->batch_waits, 0);
	/* Four: once it is known that there are four, all go together, without the whole wait. */
	round_of(who, 4, k++, true);
	for (; k <= 16; k++) {
		u64 batches = st->batches;

		start = sim.now;
		round_of(who, 4, k, false);
		CU_ASSERT_EQUAL(st->batches - batches, 1);
		CU_ASSERT(sim.now - start < sim.commit_ns + WEFT_NS_PER_MS);
	}
	/* The others are gone: one wait, as long as a commit, then none. */
	waits = st->batch_waits;
	for (; k <= 20; k++)
		round_of(who, 1, k, false);
	CU_ASSERT_EQUAL(st->batch_waits - waits, 1);
	CU_ASSERT_EQUAL(sim.fatal, 0);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* What fails, or changes nothing, costs no sync; reading goes on while a commit is under way. */
static void test_no_sync(void)
{
	struct weft_create_req req;
	struct sim_request r, g = { .opcode = WEFT_OP_GETATTR, .ino = ROOT };
	struct weft_kv_stats before, after;

	begin(1);
	CU_ASSERT_EQUAL(sim_create(&sim, ROOT, "a", S_IFREG | 0600, NULL), 0);
	weft_kv_stats(sim.servers[0].kv, &before);
	CU_ASSERT_EQUAL(sim_create(&sim, ROOT, "a", S_IFREG | 0600, NULL), -EEXIST);
	CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, "b"), -ENOENT);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "a", WEFT_OPEN_READ, 0, NULL, NULL), 0);
	weft_kv_stats(sim.servers[0].kv, &after);
	CU_ASSERT_EQUAL(after.syncs, before.syncs);
	r = create_request(&req, "c", 0);
	sim_begin(&sim, &r);
	while (sim.servers[0].m->batch.state != MDS_COMMIT && sim_step(&sim))
		;
	CU_ASSERT_EQUAL(sim.servers[0].m->batch.state, MDS_COMMIT);
	sim_begin(&sim, &g);
	CU_ASSERT(sim.replied);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.attr.attr.size), 1); /* the state before */
	sim_run(&sim, 50);
	sim_stop(&sim);
}

/* Nobody hears of a commit that failed; after a restart the request is done once. */
static void test_commit_fails(void)
{
	struct weft_create_req req;
	struct sim_request r;
	static const char *const points[] = { "kv.commit.before=error(EIO):1",
					      "kv.commit.after=error(EIO):1" };
	char name[8];
	u32 k;

	begin(1);
	for (k = 0; k < 2; k++) {
		snprintf(name, sizeof(name), "n%u", k);
		r = create_request(&req, name, k + 1);
		sim.fatal = 0;
		CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
		CU_ASSERT_EQUAL_FATAL(weft_fault_set(points[k]), 0);
		sim_begin(&sim, &r);
		sim_run(&sim, 100);
		CU_ASSERT_EQUAL(sim.fatal, -EIO);
		CU_ASSERT_FALSE(sim.replied);
		weft_fault_set("");
		sim_crash(&sim, 0);
		CU_ASSERT_EQUAL(sim.status, WEFT_S_RECOVERY);
		sim_restart(&sim, 0);
		CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
		CU_ASSERT(sim_consistent(&sim));
	}
	sim_stop(&sim);
}

/* Whatever is refused for lack of memory is tried again by the client; nothing must be lost. */
static int again(int ret)
{
	return ret == -ENOMEM;
}

#define TRY(call)                                                                                  \
	do {                                                                                       \
		int tries_ = 0;                                                                    \
		while (again(ret = (call)) && tries_++ < 3)                                        \
			;                                                                          \
		CU_ASSERT_EQUAL(ret, 0);                                                           \
	} while (0)

static void script(u64 home, u64 away)
{
	char buf[64];
	u64 f, d, id;
	int ret;

	TRY(sim_open(&sim, home, "f", WEFT_OPEN_CREATE | WEFT_OPEN_WRITE, 0600, &f, &id));
	TRY(sim_write(&sim, f, 0, "some bytes", 10));
	TRY(sim_setxattr(&sim, f, "user.a", "b", 0));
	TRY(sim_create(&sim, home, "d", S_IFDIR | 0755, &d));
	TRY(sim_rename(&sim, home, "d", away, "e", 0));
	TRY(sim_link(&sim, f, away, "g"));
	TRY(sim_rename(&sim, home, "f", away, "h", 0));
	TRY(sim_spill(&sim, f, WEFT_WRITE_SPILL_BEGIN, 0));
	TRY(sim_spill(&sim, f, WEFT_WRITE_SPILL_DONE, 100000));
	TRY(sim_truncate(&sim, f, 70000));
	ret = sim_getxattr(&sim, f, "user.a", buf, sizeof(buf));
	CU_ASSERT(ret == 1 || ret == -ENOMEM);
	TRY(sim_unlink(&sim, away, "g"));
	TRY(sim_unlink(&sim, away, "h"));
	TRY(sim_close(&sim, f, id));
	TRY(sim_rmdir(&sim, away, "e"));
	sim_run(&sim, 3000);
	countdown = 0;
	while (client.nfiles)
		sim_close(&sim, le64_to_cpu(client.files[0].ino),
			  le64_to_cpu(client.files[0].open_id));
	sim_run(&sim, 3000);
}

static void test_memory(void)
{
	char name[32];
	unsigned int before = CU_get_number_of_failures();
	u64 home, away;
	u32 run;

	begin(2);
	home = sim_dir_on(&sim, ROOT, 0, name);
	away = sim_dir_on(&sim, ROOT, 1, name);
	for (run = 1, failures = 1; failures && run < 3000; run++) {
		failures = 0;
		sim_open_session(&sim, 0);
		sim_open_session(&sim, 1);
		countdown = run;
		script(home, away);
		if (run % 16 == 0 || !failures)
			CU_ASSERT(sim_consistent(&sim));
		if (CU_get_number_of_failures() > before) {
			fprintf(stderr, "allocation %u\n", run);
			break;
		}
	}
	CU_ASSERT(run > 100 && run < 3000);
	CU_ASSERT_EQUAL(sim.fatal, 0);
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/batch", NULL, NULL);
	CU_add_test(s, "one sync for many", test_one_sync);
	CU_add_test(s, "waiting for company", test_company);
	CU_add_test(s, "no sync for nothing", test_no_sync);
	CU_add_test(s, "commits fail", test_commit_fails);
	CU_add_test(s, "memory fails", test_memory);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
