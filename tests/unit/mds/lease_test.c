// SPDX-License-Identifier: Apache-2.0
/*
 * Who is let in after a restart: a client that is new must not change what the former holder of
 * the SOLE lease may still have cached.
 */
#include <CUnit/Basic.h>
#include <string.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

#define LEASE 1000u /* ms, of the simulation */

static struct sim sim;
static struct sim_client holder, late, other;

/* A client that asks for a session, and does not wait for it. */
static void ask(struct sim_client *c, u64 id)
{
	struct weft_session_open_req req = { .incarnation = cpu_to_le64(id * 77),
					     .slots = cpu_to_le16(4),
					     .name_len = cpu_to_le16(3) };
	struct sim_request r = { .opcode = WEFT_OP_SESSION_OPEN, .no_ns = true, .body = &req,
				 .body_len = sizeof(req), .tail = "new", .tail_len = 3 };

	c->id = id;
	sim.me = c;
	sim_begin(&sim, &r);
}

static void restart(void)
{
	sim_crash(&sim, 0);
	sim_restart(&sim, 0);
	sim_run(&sim, 10);
}

static void begin(void)
{
	sim_start(&sim, 1);
	memset(&late, 0, sizeof(late));
	sim_client(&sim, &holder);
	CU_ASSERT_EQUAL(holder.lease[0], WEFT_LEASE_SOLE);
}

/* Nobody was there: nobody is waited for. */
static void test_fresh(void)
{
	sim_start(&sim, 1);
	memset(&late, 0, sizeof(late));
	restart();
	ask(&late, 9);
	sim_run(&sim, 1);
	CU_ASSERT(sim.replied);
	CU_ASSERT_EQUAL(sim.status, 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.session.lease), WEFT_LEASE_SOLE);
	sim_stop(&sim);
}

/* The holder stays away: its lease is waited for, and no longer. */
static void test_silent(void)
{
	begin();
	restart();
	ask(&late, 9);
	sim_run(&sim, LEASE - 100);
	CU_ASSERT_FALSE(sim.replied);
	sim_run(&sim, 300);
	CU_ASSERT(sim.replied);
	CU_ASSERT_EQUAL(sim.status, 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.session.lease), WEFT_LEASE_NONE); /* still grace */
	/* One that comes later does not wait either. */
	ask(&late, 10);
	sim_run(&sim, 1);
	CU_ASSERT(sim.replied);
	sim_stop(&sim);
}

/* The holder comes back: from then on both are known. */
static void test_back(void)
{
	begin();
	restart();
	ask(&late, 9);
	sim_run(&sim, 100);
	CU_ASSERT_FALSE(sim.replied);
	sim.me = &holder;
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0); /* at once, and it tells its files */
	CU_ASSERT(holder.session_flags & WEFT_SESSION_RECLAIM);
	sim_run(&sim, 1);
	CU_ASSERT(mds_session_find(sim.servers[0].m, 9)->live);
	CU_ASSERT_FALSE(mds_in_grace(sim.servers[0].m));
	CU_ASSERT_EQUAL(sim.servers[0].m->sessions.waiting.count, 0);
	CU_ASSERT_PTR_NULL(sim.servers[0].m->sessions.sole);
	sim_stop(&sim);
}

/* The holder had said that it goes: nobody is waited for. */
static void test_closed(void)
{
	struct sim_request r = { .opcode = WEFT_OP_SESSION_CLOSE, .no_ns = true };

	begin();
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	restart();
	ask(&late, 9);
	sim_run(&sim, 1);
	CU_ASSERT(sim.replied);
	CU_ASSERT_EQUAL(sim.status, 0);
	sim_stop(&sim);
}

/* It says so while another waits for it. */
static void test_closes(void)
{
	struct sim_request r = { .opcode = WEFT_OP_SESSION_CLOSE, .no_ns = true };

	begin();
	restart();
	ask(&late, 9);
	sim.me = &holder;
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	sim_run(&sim, 200);
	CU_ASSERT(mds_session_find(sim.servers[0].m, 9)->live);
	CU_ASSERT_PTR_EQUAL(sim.servers[0].m->sessions.sole,
			    mds_session_find(sim.servers[0].m, 9));
	sim_stop(&sim);
}

static int keepalive(struct sim_client *c)
{
	struct sim_request r = { .opcode = WEFT_OP_KEEPALIVE, .no_ns = true, .once = true };

	sim.me = c;
	return sim_request(&sim, &r);
}

/*
 * One that is stored, but had lost its lease before the crash, is no better than a new one: the
 * holder got the lease after that.
 */
static void test_lapsed(void)
{
	u32 k;

	begin();
	sim_client(&sim, &late);
	for (k = 0; k < 2 * LEASE / 200; k++) { /* it falls silent */
		CU_ASSERT_EQUAL(keepalive(&holder), 0);
		sim_run(&sim, 200);
	}
	CU_ASSERT_EQUAL(keepalive(&holder), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.keepalive.lease), WEFT_LEASE_SOLE);
	restart();
	ask(&late, late.id);
	sim_run(&sim, 200);
	CU_ASSERT_FALSE(sim.replied);
	sim.me = &holder;
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
	sim_run(&sim, 10);
	CU_ASSERT(mds_session_find(sim.servers[0].m, late.id)->live);
	sim_stop(&sim);
}

/* Nobody had the lease: nobody is waited for, though none of them has come back. */
static void test_nobody_sole(void)
{
	begin();
	sim_client(&sim, &late);
	CU_ASSERT_EQUAL(late.lease[0], WEFT_LEASE_NONE);
	restart();
	sim_open_session(&sim, 0);
	CU_ASSERT(mds_session_find(sim.servers[0].m, late.id)->live);
	ask(&other, 10);
	sim_run(&sim, 1);
	CU_ASSERT(sim.replied);
	CU_ASSERT_EQUAL(sim.status, 0);
	sim_stop(&sim);
}

/* A lease that is pushed is stored before; a crash before any step of that leaves no doubt. */
static void test_granted(void)
{
	struct sim_request r = { .opcode = WEFT_OP_SESSION_CLOSE, .no_ns = true };
	u32 k, told = 0;

	for (k = 1; k < 8; k++) {
		begin();
		sim_client(&sim, &late);
		sim.me = &late;
		CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
		CU_ASSERT_EQUAL(keepalive(&holder), 0);
		holder.npushes = 0;
		sim.crash_at = sim.steps + k;
		sim_run(&sim, 300);
		if (!sim.crash_at || sim.steps < sim.crash_at)
			restart();
		sim.crash_at = 0;
		ask(&other, 10);
		sim_run(&sim, 1);
		/* It was told that it is alone: then the new one waits. */
		CU_ASSERT_EQUAL(holder.npushes > 0, !sim.replied);
		told += holder.npushes;
		sim_stop(&sim);
	}
	CU_ASSERT(told > 0);
	CU_ASSERT(told < k - 1);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/lease", NULL, NULL);
	CU_add_test(s, "a fresh server", test_fresh);
	CU_add_test(s, "the former holder stays away", test_silent);
	CU_add_test(s, "the former holder comes back", test_back);
	CU_add_test(s, "the former holder had closed", test_closed);
	CU_add_test(s, "the former holder closes", test_closes);
	CU_add_test(s, "one that had lost its lease comes first", test_lapsed);
	CU_add_test(s, "nobody had the lease", test_nobody_sole);
	CU_add_test(s, "a lease that was pushed", test_granted);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
