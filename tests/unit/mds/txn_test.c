// SPDX-License-Identifier: Apache-2.0
/*
 * Changes over two and three metadata servers: their outcome, and what remains of them when one of
 * them crashes before any step. For every step N: the change is begun, server S crashes before step
 * N and comes back, the client tries again as clients do. The change must have happened exactly
 * once, and the stores must agree.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

static struct sim sim;
static struct sim_client client;
static u64 home[SIM_SERVERS];
static u32 serial, crashes;

struct names {
	char a[32], b[32];
	u64 ia, ib;
};

static u64 ino_of(u64 dir, const char *name)
{
	struct weft_attr a;

	return sim_lookup(&sim, dir, name, &a) ? 0 : le64_to_cpu(a.ino);
}

static u32 nlink_of(u64 ino)
{
	struct weft_attr a;

	return sim_getattr(&sim, ino, &a) ? 0 : le32_to_cpu(a.nlink);
}

static u64 parent_of(u64 ino)
{
	struct weft_attr a;

	return sim_getattr(&sim, ino, &a) ? 0 : le64_to_cpu(a.parent);
}

static void new_file(u64 dir, char *name, u64 *ino)
{
	sprintf(name, "f%u", ++serial);
	CU_ASSERT_EQUAL(sim_create(&sim, dir, name, S_IFREG | 0644, ino), 0);
}

/* --- the changes; server 0 coordinates */

static void mkdir_setup(struct names *n)
{
	/* A name whose directory goes to the other server: one that did before. */
	sim_dir_on(&sim, home[0], 1, n->a);
	CU_ASSERT_EQUAL(sim_rmdir(&sim, home[0], n->a), 0);
}

static int mkdir_run(struct names *n)
{
	return sim_create(&sim, home[0], n->a, S_IFDIR | 0755, &n->ia);
}

static bool mkdir_check(struct names *n)
{
	return ino_of(home[0], n->a) == n->ia && sim_server_of(&sim, n->ia) == 1 &&
	       parent_of(n->ia) == home[0];
}

static void rmdir_setup(struct names *n)
{
	n->ia = sim_dir_on(&sim, home[0], 1, n->a);
}

static int rmdir_run(struct names *n)
{
	return sim_rmdir(&sim, home[0], n->a);
}

static bool rmdir_check(struct names *n)
{
	return !ino_of(home[0], n->a) && sim_getattr(&sim, n->ia, NULL) == -ESTALE;
}

static void link_setup(struct names *n)
{
	new_file(home[1], n->a, &n->ia);
	sprintf(n->b, "l%u", ++serial);
}

static int link_run(struct names *n)
{
	return sim_link(&sim, n->ia, home[0], n->b);
}

static bool link_check(struct names *n)
{
	return ino_of(home[0], n->b) == n->ia && nlink_of(n->ia) == 2;
}

static void unlink_setup(struct names *n)
{
	link_setup(n);
	CU_ASSERT_EQUAL(link_run(n), 0);
	CU_ASSERT_EQUAL(sim_unlink(&sim, home[1], n->a), 0);
}

static int unlink_run(struct names *n)
{
	return sim_unlink(&sim, home[0], n->b);
}

static bool unlink_check(struct names *n)
{
	return !ino_of(home[0], n->b) && !nlink_of(n->ia);
}

static void move_setup(struct names *n)
{
	new_file(home[0], n->a, &n->ia);
	sprintf(n->b, "m%u", ++serial);
}

static int move_run(struct names *n)
{
	return sim_rename(&sim, home[0], n->a, home[1], n->b, 0);
}

static bool move_check(struct names *n)
{
	return !ino_of(home[0], n->a) && ino_of(home[1], n->b) == n->ia && nlink_of(n->ia) == 1;
}

static void over_setup(struct names *n)
{
	new_file(home[0], n->a, &n->ia);
	new_file(home[1], n->b, &n->ib);
}

static bool over_check(struct names *n)
{
	return move_check(n) && !nlink_of(n->ib);
}

static void movedir_setup(struct names *n)
{
	n->ia = sim_dir_on(&sim, home[0], 0, n->a);
	sprintf(n->b, "m%u", ++serial);
}

static bool movedir_check(struct names *n)
{
	return !ino_of(home[0], n->a) && ino_of(home[1], n->b) == n->ia &&
	       parent_of(n->ia) == home[1];
}

static void overdir_setup(struct names *n)
{
	n->ia = sim_dir_on(&sim, home[0], 1, n->a);
	n->ib = sim_dir_on(&sim, home[1], 0, n->b);
}

static bool overdir_check(struct names *n)
{
	return movedir_check(n) && sim_getattr(&sim, n->ib, NULL) == -ESTALE;
}

static void exchange_setup(struct names *n)
{
	n->ia = sim_dir_on(&sim, home[0], 0, n->a);
	new_file(home[1], n->b, &n->ib);
}

static int exchange_run(struct names *n)
{
	return sim_rename(&sim, home[0], n->a, home[1], n->b, WEFT_RENAME_EXCHANGE);
}

static bool exchange_check(struct names *n)
{
	return ino_of(home[0], n->a) == n->ib && ino_of(home[1], n->b) == n->ia &&
	       parent_of(n->ia) == home[1];
}

/* What moves lives on the second server, what it replaces on the third. */
static void three_setup(struct names *n)
{
	char name[32];

	new_file(home[1], name, &n->ia);
	sprintf(n->a, "a%u", ++serial);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[1], name, home[0], n->a, 0), 0);
	new_file(home[2], name, &n->ib);
	sprintf(n->b, "b%u", ++serial);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[2], name, home[1], n->b, 0), 0);
}

static void threedir_setup(struct names *n)
{
	n->ia = sim_dir_on(&sim, home[0], 2, n->a);
	n->ib = sim_dir_on(&sim, home[1], 2, n->b);
}

struct change {
	void (*setup)(struct names *n);
	int (*run)(struct names *n);
	bool (*check)(struct names *n);
};

static const struct change changes[] = {
	{ mkdir_setup, mkdir_run, mkdir_check },
	{ rmdir_setup, rmdir_run, rmdir_check },
	{ link_setup, link_run, link_check },
	{ unlink_setup, unlink_run, unlink_check },
	{ move_setup, move_run, move_check },
	{ over_setup, move_run, over_check },
	{ movedir_setup, move_run, movedir_check },
	{ overdir_setup, move_run, overdir_check },
	{ exchange_setup, exchange_run, exchange_check },
	/* over three servers */
	{ three_setup, move_run, over_check },
	{ threedir_setup, move_run, overdir_check },
	{ threedir_setup, exchange_run, exchange_check },
};

#define NCHANGES (sizeof(changes) / sizeof(changes[0]))
#define FIRST_OF_THREE 9

static void begin(u32 nservers)
{
	char name[32];
	u32 k;

	sim_start(&sim, nservers);
	sim_client(&sim, &client);
	for (k = 0; k < nservers; k++)
		home[k] = sim_dir_on(&sim, WEFT_INO_ROOT, k, name);
}

static void test_outcome(void)
{
	struct names n;
	size_t k;

	begin(3);
	for (k = 0; k < NCHANGES; k++) {
		memset(&n, 0, sizeof(n));
		changes[k].setup(&n);
		CU_ASSERT_EQUAL(changes[k].run(&n), 0);
		CU_ASSERT(changes[k].check(&n));
	}
	CU_ASSERT(sim_consistent(&sim));
	CU_ASSERT(sim.servers[0].m->stats.txn_committed >= NCHANGES - 2);
	for (k = 0; k < 3; k++)
		CU_ASSERT_EQUAL(sim.servers[k].m->locks.count, 0);
	sim_stop(&sim);
}

/* Crash @who before each step of the change and of what follows it in the background. */
static void crash_everywhere(const struct change *c, u32 who)
{
	struct names n;
	u64 k, first, took = 1;
	int ret;

	for (k = 1; k <= took; k++) {
		memset(&n, 0, sizeof(n));
		c->setup(&n);
		sim_run(&sim, 4000);
		sim.crash_who = who;
		first = sim.steps;
		sim.crash_at = first + k;
		ret = c->run(&n);
		sim_run(&sim, 100);
		took = sim.steps - first;
		sim.crash_at = 0;
		if (ret || !c->check(&n) || !sim_consistent(&sim)) {
			fprintf(stderr, "change %zu, server %u, step %llu: %d\n",
				(size_t)(c - changes), who, (unsigned long long)k, ret);
			CU_FAIL("a crash was not survived");
			return;
		}
		crashes++;
	}
	CU_ASSERT(k > 12);
}

static void test_crashes(void)
{
	size_t k;
	u32 who;

	begin(2);
	for (k = 0; k < FIRST_OF_THREE; k++)
		for (who = 0; who < 2; who++)
			crash_everywhere(&changes[k], who);
	sim_stop(&sim);
	begin(3);
	for (; k < NCHANGES; k++)
		for (who = 0; who < 3; who++)
			crash_everywhere(&changes[k], who);
	sim_stop(&sim);
	printf("%u crashes ", crashes);
}

static void test_refusals(void)
{
	char a[32], b[32], c[32];
	u64 da, db, f;

	begin(2);
	da = sim_dir_on(&sim, home[0], 1, a);
	db = sim_dir_on(&sim, da, 0, b);
	/* not empty, on another server */
	CU_ASSERT_EQUAL(sim_rmdir(&sim, home[0], a), -ENOTEMPTY);
	/* into itself, over two servers */
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], a, db, "x", 0), -EINVAL);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], a, da, "x", 0), -EINVAL);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, b, home[0], a, WEFT_RENAME_EXCHANGE), -EINVAL);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, b, home[0], a, 0), -ENOTEMPTY);
	/* types */
	new_file(home[0], c, &f);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], c, da, b, 0), -EISDIR);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, b, home[0], c, 0), -ENOTDIR);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], c, da, b, WEFT_RENAME_NOREPLACE), -EEXIST);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], c, da, "no", WEFT_RENAME_EXCHANGE), -ENOENT);
	CU_ASSERT_EQUAL(sim_link(&sim, da, home[0], "hard"), -EPERM);
	CU_ASSERT_EQUAL(sim_link(&sim, WEFT_INO_MAKE(1ull, 9999), home[0], "hard"), -ENOENT);
	/* permissions of the other server */
	sim_user(&sim, 1000, 1000);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], c, home[1], "x", 0), -EACCES);
	sim_root(&sim);
	CU_ASSERT_EQUAL(sim_chmod(&sim, home[0], 01777), 0);
	CU_ASSERT_EQUAL(sim_chmod(&sim, home[1], 01777), 0);
	sim_user(&sim, 1000, 1000);
	CU_ASSERT_EQUAL(sim_rename(&sim, home[0], c, home[1], "x", 0), -EPERM);
	CU_ASSERT_EQUAL(sim_rmdir(&sim, home[0], a), -EPERM);
	sim_root(&sim);
	CU_ASSERT(sim_consistent(&sim));
	CU_ASSERT_EQUAL(sim.servers[0].m->locks.count, 0);
	CU_ASSERT_EQUAL(sim.servers[1].m->locks.count, 0);
	sim_stop(&sim);
}

/* Two moves that together would make a loop: one of them must fail. */
static void test_no_loop(void)
{
	struct sim_client other;
	struct weft_rename_req r1, r2;
	struct sim_request q1 = { .opcode = WEFT_OP_RENAME }, q2 = q1;
	char a[32], b[32];
	u64 da, db;

	begin(2);
	da = sim_dir_on(&sim, home[0], 0, a);
	db = sim_dir_on(&sim, home[1], 1, b);
	sim_client(&sim, &other);
	memset(&r1, 0, sizeof(r1));
	r2 = r1;
	r1.new_dir = cpu_to_le64(db);
	r2.new_dir = cpu_to_le64(da);
	q1.ino = home[0];
	q1.name = a;
	q1.name2 = "in";
	q1.body = &r1;
	q1.body_len = sizeof(r1);
	q2.ino = home[1];
	q2.name = b;
	q2.name2 = "in";
	q2.body = &r2;
	q2.body_len = sizeof(r2);
	sim_begin(&sim, &q1);
	sim.me = &client;
	sim_begin(&sim, &q2);
	sim_run(&sim, 5000);
	CU_ASSERT(sim.replied);
	CU_ASSERT((ino_of(home[0], a) != 0) != (ino_of(home[1], b) != 0));
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/txn", NULL, NULL);
	CU_add_test(s, "each change over two servers", test_outcome);
	CU_add_test(s, "refusals leave nothing", test_refusals);
	CU_add_test(s, "two moves make no loop", test_no_loop);
	CU_add_test(s, "a crash before every step", test_crashes);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
