// SPDX-License-Identifier: Apache-2.0
/*
 * What a group that takes part in another's transaction owes its own clients: the SOLE holder is
 * asked to step back first; a busy directory is got in the end; what a refused change would have
 * registered as open is not.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "proto/placement.h"
#include "tests/unit/mds/sim.h"

#define LEASE 1000u /* ms, of the simulation */
#define BUSY_CLIENTS 4

static struct sim sim;
static struct sim_client holder, guest, busy[BUSY_CLIENTS];
static u64 home[SIM_SERVERS];

static void begin(u32 nservers)
{
	char name[32];
	u32 k;

	sim_start(&sim, nservers);
	sim_client(&sim, &holder);
	for (k = 0; k < nservers; k++)
		home[k] = sim_dir_on(&sim, WEFT_INO_ROOT, k, name);
}

static int keepalive(struct sim_client *c, u32 server)
{
	struct sim_request r = { .opcode = WEFT_OP_KEEPALIVE, .no_ns = true, .server = server,
				 .once = true };

	sim.me = c;
	return sim_request(&sim, &r);
}

/* A client that has a session at the first server only. */
static void begin_guest(void)
{
	memset(&guest, 0, sizeof(guest));
	guest.id = ++sim.nclients;
	sim.clients[sim.nclients - 1] = &guest;
	sim.me = &guest;
	sim_root(&sim);
	CU_ASSERT_EQUAL(sim_open_session(&sim, 0), 0);
}

static void test_recall(void)
{
	struct mds *m;
	u32 k;

	begin(2);
	m = sim.servers[1].m;
	CU_ASSERT_EQUAL(sim_create(&sim, home[0], "f", S_IFREG | 0644, NULL), 0);
	begin_guest();
	CU_ASSERT_EQUAL(m->stats.recalls, 0);
	CU_ASSERT_EQUAL(keepalive(&holder, 1), 0);
	CU_ASSERT_EQUAL(holder.lease[1], WEFT_LEASE_SOLE);
	sim.me = &guest;
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], "f", home[1], "g", 0), 0);
	CU_ASSERT_EQUAL(m->stats.recalls, 1);
	CU_ASSERT_EQUAL(holder.lease[1], WEFT_LEASE_NONE);
	/* It is alone again when the guest was quiet for a lease. */
	for (k = 0; k < 2 * LEASE / 200; k++) {
		CU_ASSERT_EQUAL(keepalive(&holder, 1), 0);
		if (k < LEASE / 200 - 1)
			CU_ASSERT_PTR_NULL(m->sessions.sole);
		sim_run(&sim, 200);
	}
	CU_ASSERT_EQUAL(keepalive(&holder, 1), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.keepalive.lease), WEFT_LEASE_SOLE);
	/* Its own changes that another group coordinates cost it nothing. */
	CU_ASSERT_EQUAL(sim_create(&sim, home[0], "h", S_IFREG | 0644, NULL), 0);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], "h", home[1], "i", 0), 0);
	CU_ASSERT_EQUAL(m->stats.recalls, 1);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void leave(struct sim_client *c, u32 server)
{
	struct sim_request r = { .opcode = WEFT_OP_SESSION_CLOSE, .no_ns = true, .server = server };

	sim.me = c;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
}

/* Who comes to a group that he changed through another is alone there, if nobody else did so. */
static void newcomer(bool another)
{
	begin(2);
	CU_ASSERT_EQUAL(sim_create(&sim, home[0], "e", S_IFREG | 0644, NULL), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, home[0], "f", S_IFREG | 0644, NULL), 0);
	leave(&holder, 1);
	if (another)
		CU_ASSERT_EQUAL(sim_rename(&sim, home[0], "e", home[1], "d", 0), 0);
	leave(&holder, 0);
	begin_guest();
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], "f", home[1], "g", 0), 0);
	CU_ASSERT_EQUAL(sim_open_session(&sim, 1), 0);
	CU_ASSERT_EQUAL(guest.lease[1], another ? WEFT_LEASE_NONE : WEFT_LEASE_SOLE);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_newcomer(void)
{
	newcomer(false);
	newcomer(true);
}

/* A holder that does not answer keeps the change waiting for a lease, and no longer. */
static void test_silent_holder(void)
{
	u64 start;

	begin(2);
	CU_ASSERT_EQUAL(sim_create(&sim, home[0], "f", S_IFREG | 0644, NULL), 0);
	begin_guest();
	CU_ASSERT_EQUAL(keepalive(&holder, 1), 0);
	holder.no_ack = true;
	start = sim.now;
	sim.me = &guest;
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], "f", home[1], "g", 0), 0);
	CU_ASSERT(sim.now - start >= LEASE * WEFT_NS_PER_MS);
	CU_ASSERT(sim.now - start < 3 * LEASE * WEFT_NS_PER_MS);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* After a restart the former holder may still cache: the change waits for it. */
static void test_former_holder(void)
{
	u64 start;

	begin(2);
	CU_ASSERT_EQUAL(sim_create(&sim, home[0], "f", S_IFREG | 0644, NULL), 0);
	begin_guest();
	sim_crash(&sim, 1);
	sim_restart(&sim, 1);
	start = sim.now;
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], "f", home[1], "g", 0), 0);
	CU_ASSERT(sim.now - start >= LEASE * WEFT_NS_PER_MS);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* Does a request of the client run at a server? */
static bool runs(const struct sim_client *c, u32 server)
{
	struct mds_session *s = mds_session_find(sim.servers[server].m, c->id);

	return s && s->slots[0].running;
}

/* Clients that make directories on the first server in the second's, always some under way. */
static void test_no_starvation(void)
{
	struct weft_rename_req mv = { .new_dir = cpu_to_le64(0) };
	struct weft_create_req mk = { .mode = cpu_to_le32(S_IFDIR | 0755) };
	struct sim_request r = { .opcode = WEFT_OP_RENAME, .name = "f", .name2 = "g", .body = &mv,
				 .body_len = sizeof(mv) };
	struct sim_request c = { .opcode = WEFT_OP_CREATE, .body = &mk, .body_len = sizeof(mk) };
	char name[32];
	u32 k, made = 0, n = 0;
	u64 until;

	begin(2);
	CU_ASSERT_EQUAL(sim_create(&sim, home[0], "f", S_IFREG | 0644, NULL), 0);
	for (k = 0; k < BUSY_CLIENTS; k++)
		sim_client(&sim, &busy[k]);
	mv.new_dir = cpu_to_le64(home[1]);
	r.ino = home[0];
	c.ino = home[1];
	c.name = name;
	until = sim.now + LEASE * WEFT_NS_PER_MS / 2;
	for (k = 0; sim.now < until && made < 20000; k = (k + 1) % BUSY_CLIENTS) {
		if (made == 100) {
			sim.me = &holder;
			sim_begin(&sim, &r);
		} else if (made > 100 && !runs(&holder, 0)) {
			break;
		}
		while (runs(&busy[k], 1)) /* the others go on meanwhile */
			if (!sim_step_until(&sim, until))
				break;
		do {
			sprintf(name, "d%u", n++);
		} while (weft_place_dir(SIM_SHARDS, home[1], name, strlen(name)) % 2);
		sim.me = &busy[k];
		sim_begin(&sim, &c);
		made++;
	}
	CU_ASSERT(made > 100);
	CU_ASSERT_FALSE(runs(&holder, 0));
	/* Not by waiting for a quiet moment: they were there all the time. */
	CU_ASSERT(runs(&busy[0], 1) || runs(&busy[1], 1) || runs(&busy[2], 1) ||
		  runs(&busy[3], 1));
	sim.me = &holder;
	CU_ASSERT_EQUAL(sim_lookup(&sim, home[1], "g", NULL), 0);
	CU_ASSERT(sim_consistent(&sim));
	CU_ASSERT_EQUAL(sim.servers[1].m->locks.count, 0);
	sim_stop(&sim);
}

static int rename_over(u64 open_id)
{
	struct weft_rename_req mv = { .new_dir = cpu_to_le64(home[2]) };
	struct sim_request r = { .opcode = WEFT_OP_RENAME, .ino = home[0], .name = "f",
				 .name2 = "g", .body = &mv, .body_len = sizeof(mv),
				 .flags = WEFT_NS_VICTIM_OPEN, .open_id = open_id };

	return sim_request(&sim, &r);
}

/* The victim of a rename is open, and lives on @server; the third server refuses. */
static void victim(u32 server)
{
	struct mds_session *s;
	u64 f;

	begin(3);
	CU_ASSERT_EQUAL(sim_create(&sim, home[0], "f", S_IFREG | 0644, NULL), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, home[server], "v", S_IFREG | 0644, &f), 0);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[server], "v", home[2], "g", 0), 0);
	CU_ASSERT_EQUAL(sim_chmod(&sim, home[0], 0777), 0);
	s = mds_session_find(sim.servers[server].m, holder.id);
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(rename_over(77), -EACCES);
	sim_run(&sim, 100);
	CU_ASSERT_FALSE(mds_is_open(sim.servers[server].m, f));
	sim_root(&sim);
	CU_ASSERT_EQUAL(rename_over(78), 0);
	sim_run(&sim, 100);
	CU_ASSERT(mds_is_open(sim.servers[server].m, f));
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), 0); /* it has lost its name only */
	CU_ASSERT(mds_open_del(s, f, 78));
	CU_ASSERT_FALSE(mds_is_open(sim.servers[server].m, f));
	mds_orphan_check(sim.servers[server].m, f);
	sim_run(&sim, 100);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), -ESTALE);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_victim(void)
{
	victim(0); /* the coordinator's own */
	victim(1);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/txn_part", NULL, NULL);
	CU_add_test(s, "the sole holder steps back", test_recall);
	CU_add_test(s, "who came through another group first", test_newcomer);
	CU_add_test(s, "a silent holder", test_silent_holder);
	CU_add_test(s, "the holder of before a restart", test_former_holder);
	CU_add_test(s, "a rename into a busy directory", test_no_starvation);
	CU_add_test(s, "victims that are open", test_victim);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
