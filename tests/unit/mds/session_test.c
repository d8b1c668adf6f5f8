// SPDX-License-Identifier: Apache-2.0
/* Sessions, request slots, the SOLE lease. */
#include <CUnit/Basic.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

#define ROOT WEFT_INO_ROOT

static struct sim sim;
static struct sim_client one, two;

static void begin(void)
{
	sim_start(&sim, 1);
	sim_client(&sim, &one);
}

static int keepalive(struct sim_client *c)
{
	struct sim_request r = { .opcode = WEFT_OP_KEEPALIVE, .no_ns = true, .once = true };

	sim.me = c;
	return sim_request(&sim, &r);
}

static int create_seq(const char *name, u32 seq)
{
	struct weft_create_req req = { .mode = cpu_to_le32(S_IFREG | 0600) };
	struct sim_request r = { .opcode = WEFT_OP_CREATE, .ino = ROOT, .name = name, .body = &req,
				 .body_len = sizeof(req), .seq = seq };

	return sim_request(&sim, &r);
}

static void test_slots(void)
{
	u64 ino;

	begin();
	CU_ASSERT_EQUAL(create_seq("a", 1), 0);
	ino = le64_to_cpu(sim.rep.entry.attr.ino);
	/* the same request again has the same answer */
	CU_ASSERT_EQUAL(create_seq("a", 1), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.entry.attr.ino), ino);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.replayed, 1);
	/* a failure leaves nothing and may be tried again */
	CU_ASSERT_EQUAL(create_seq("a", 2), -EEXIST);
	CU_ASSERT_EQUAL(create_seq("a", 2), -EEXIST);
	CU_ASSERT_EQUAL(create_seq("b", 3), 0);
	CU_ASSERT_EQUAL(create_seq("a", 1), WEFT_S_SLOT_OLD);
	/* also after a restart */
	sim_crash(&sim, 0);
	sim_restart(&sim, 0);
	CU_ASSERT_EQUAL(create_seq("b", 3), 0);
	CU_ASSERT_EQUAL(create_seq("a", 1), WEFT_S_SLOT_OLD);
	CU_ASSERT_EQUAL(create_seq("c", 4), 0);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* A second copy of a request that still runs gets the same answer; it runs once. */
static void test_join(void)
{
	struct weft_create_req req = { .mode = cpu_to_le32(S_IFREG | 0600) };
	struct sim_request r = { .opcode = WEFT_OP_CREATE, .ino = ROOT, .name = "x", .body = &req,
				 .body_len = sizeof(req), .seq = 1 };

	begin();
	sim_begin(&sim, &r);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.batches, 3); /* root, session, create */
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_exactly_once(void)
{
	char name[16];
	u64 k, first, took = 1;

	begin();
	for (k = 1; k <= took; k++) {
		snprintf(name, sizeof(name), "n%llu", (unsigned long long)k);
		first = sim.steps;
		sim.crash_at = first + k;
		CU_ASSERT_EQUAL(sim_create(&sim, ROOT, name, S_IFREG | 0600, NULL), 0);
		took = sim.steps - first;
		sim.crash_at = 0;
		CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, name), 0);
	}
	CU_ASSERT(k > 2);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_unknown(void)
{
	struct sim_request r = { .opcode = WEFT_OP_GETATTR, .ino = ROOT, .once = true };
	struct sim_client stranger = { .id = 99 };
	struct weft_session_open_req mixed = { .incarnation = 1, .slots = cpu_to_le16(1) };
	struct sim_request o = { .opcode = WEFT_OP_SESSION_OPEN, .no_ns = true, .body = &mixed,
				 .body_len = sizeof(mixed), .once = true };

	begin();
	sim.me = &stranger;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), WEFT_S_BAD_SESSION);
	sim.me = &one;
	CU_ASSERT_EQUAL(sim_request(&sim, &o), -EPERM);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	o.tail = "x";
	o.tail_len = 1;
	CU_ASSERT_EQUAL(sim_request(&sim, &o), -EBADMSG);
	sim_stop(&sim);
}

static void test_close_and_expire(void)
{
	struct sim_request r = { .opcode = WEFT_OP_SESSION_CLOSE, .no_ns = true, .once = true };
	struct sim_request g = { .opcode = WEFT_OP_GETATTR, .ino = ROOT, .once = true };
	u64 f;

	begin();
	sim_open(&sim, ROOT, "f", WEFT_OPEN_READ | WEFT_OPEN_CREATE, 0600, &f, NULL);
	sim_unlink(&sim, ROOT, "f");
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(sim_request(&sim, &g), WEFT_S_BAD_SESSION);
	sim_client(&sim, &two);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), -ESTALE); /* its last opener has gone */
	/* silent: not live, but remembered; then forgotten */
	sim_open(&sim, ROOT, "f", WEFT_OPEN_READ | WEFT_OPEN_CREATE, 0600, &f, NULL);
	sim_run(&sim, 1500);
	CU_ASSERT_EQUAL(sim_request(&sim, &g), WEFT_S_BAD_SESSION);
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
	CU_ASSERT_EQUAL(two.session_flags, 0);
	sim_unlink(&sim, ROOT, "f");
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), 0);
	sim_run(&sim, 30000);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.sessions_expired, 1);
	CU_ASSERT_EQUAL(sim.servers[0].m->sessions.table.count, 0);
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
	CU_ASSERT_EQUAL(two.session_flags, WEFT_SESSION_NEW);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), -ESTALE);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* There is a limit; who is known comes back all the same, and room that becomes free is used. */
static void test_limit(void)
{
	struct sim_request r = { .opcode = WEFT_OP_SESSION_CLOSE, .no_ns = true, .once = true };
	struct sim_client three = { .id = 33 };

	begin();
	sim_client(&sim, &two);
	sim.servers[0].m->cfg.sessions_max = 2;
	sim.me = &three;
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), -EUSERS);
	CU_ASSERT_EQUAL(sim.servers[0].m->sessions.table.count, 2);
	sim.me = &two;
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	sim.me = &three;
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
	sim_stop(&sim);
}

static void test_sole(void)
{
	begin();
	CU_ASSERT_EQUAL(one.lease[0], WEFT_LEASE_SOLE);
	/* a second client waits until the first has stepped back */
	sim_client(&sim, &two);
	CU_ASSERT_EQUAL(two.lease[0], WEFT_LEASE_NONE);
	CU_ASSERT_EQUAL(one.lease[0], WEFT_LEASE_NONE);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.recalls, 1);
	CU_ASSERT_EQUAL(keepalive(&one), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.keepalive.lease), WEFT_LEASE_NONE);
	/* one goes: the other has it again */
	{
		struct sim_request r = { .opcode = WEFT_OP_SESSION_CLOSE, .no_ns = true,
					 .once = true };

		CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	}
	sim_run(&sim, 500);
	CU_ASSERT_EQUAL(keepalive(&two), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.keepalive.lease), WEFT_LEASE_SOLE);
	CU_ASSERT_EQUAL(two.pushes[two.npushes - 1].opcode, WEFT_OP_LEASE_GRANT);
	sim_stop(&sim);
}

/* Who does not step back is evicted after a lease, and let in again when it asks. */
static void test_evict(void)
{
	struct sim_request g = { .opcode = WEFT_OP_GETATTR, .ino = ROOT, .once = true };
	u64 start;

	begin();
	one.no_ack = true;
	start = sim.now;
	sim_client(&sim, &two);
	CU_ASSERT(sim.now - start >= 1000 * WEFT_NS_PER_MS);
	CU_ASSERT_EQUAL(two.lease[0], WEFT_LEASE_SOLE);
	sim.me = &one;
	CU_ASSERT_EQUAL(sim_request(&sim, &g), WEFT_S_BAD_SESSION);
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
	CU_ASSERT_EQUAL(sim_request(&sim, &g), 0);
	CU_ASSERT_EQUAL(one.lease[0], WEFT_LEASE_NONE);
	sim_stop(&sim);
}

/* After a restart nobody is alone until all who were there have spoken or had the time to. */
static void test_grace(void)
{
	begin();
	sim_client(&sim, &two);
	sim_crash(&sim, 0);
	sim_restart(&sim, 0);
	CU_ASSERT(mds_in_grace(sim.servers[0].m));
	sim.me = &one;
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
	CU_ASSERT_EQUAL(one.session_flags, WEFT_SESSION_RECLAIM);
	CU_ASSERT_EQUAL(one.lease[0], WEFT_LEASE_NONE);
	CU_ASSERT(mds_in_grace(sim.servers[0].m));
	sim_run(&sim, 900);
	keepalive(&one);
	sim_run(&sim, 900);
	keepalive(&one);
	sim_run(&sim, 500);
	CU_ASSERT_FALSE(mds_in_grace(sim.servers[0].m));
	CU_ASSERT_EQUAL(keepalive(&one), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.keepalive.lease), WEFT_LEASE_SOLE);
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/session", NULL, NULL);
	CU_add_test(s, "slots", test_slots);
	CU_add_test(s, "a request that comes while it runs", test_join);
	CU_add_test(s, "exactly once, with a crash before every step", test_exactly_once);
	CU_add_test(s, "unknown sessions", test_unknown);
	CU_add_test(s, "close and expire", test_close_and_expire);
	CU_add_test(s, "too many sessions", test_limit);
	CU_add_test(s, "the sole client", test_sole);
	CU_add_test(s, "eviction", test_evict);
	CU_add_test(s, "grace", test_grace);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
