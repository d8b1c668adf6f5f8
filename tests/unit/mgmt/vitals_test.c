// SPDX-License-Identifier: Apache-2.0
/*
 * Leases and usage under a clock of the test's own: who is taken for dead and when, and what
 * statfs sums up.
 */
#include <errno.h>
#include <string.h>

#include "mgmt/vitals.h"
#include "tests/unit/mgmt/commands.h"

#define LEASE 1000ull
#define TICK 100ull

static struct mgmt_state st;
static struct mgmt_vitals v;

static void setup(void)
{
	cmd_cluster(&st, 1, 2);
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 8, 0, 0), 0);
	mgmt_vitals_init(&v, LEASE, TICK);
	mgmt_vitals_reset(&v, 5000);
}

static void teardown(void)
{
	mgmt_vitals_fini(&v);
	mgmt_state_fini(&st);
}

/* Lets time pass in ticks; nodes of @alive send heartbeats. Return: nodes expired at the end. */
static size_t pass(uint64_t *now, uint64_t until, unsigned int alive, uint32_t *ids)
{
	size_t n = 0;
	uint32_t id;

	while (*now < until) {
		*now += TICK;
		for (id = 1; id <= 3; id++)
			if (alive & 1u << id)
				CU_ASSERT_EQUAL(mgmt_vitals_heard(&v, &st, id, *now), 0);
		n = mgmt_vitals_expired(&v, &st, *now, ids, 8);
	}
	return n;
}

static void expiry(void)
{
	uint64_t now = 5000;
	uint32_t ids[8];

	setup();
	/* never heard: dead a quarter after the lease that everybody had at the beginning */
	CU_ASSERT_EQUAL(pass(&now, 6200, 0x6, ids), 0);
	CU_ASSERT_EQUAL_FATAL(pass(&now, 6300, 0x6, ids), 1);
	CU_ASSERT_EQUAL(ids[0], 3);
	CU_ASSERT_EQUAL(cmd_liveness(&st, 3, false), 0);
	CU_ASSERT_EQUAL(pass(&now, 9000, 0x6, ids), 0); /* told once it is set down */
	CU_ASSERT_EQUAL(mgmt_vitals_silence(&v, 3, now), 4000);
	CU_ASSERT_EQUAL(mgmt_vitals_silence(&v, 1, now), 0);
	CU_ASSERT_EQUAL(pass(&now, 11000, 0, ids), 2);
	teardown();
}

static void asleep(void)
{
	uint64_t now = 5000;
	uint32_t ids[8];

	setup();
	CU_ASSERT_EQUAL(pass(&now, 6000, 0xe, ids), 0);
	/* the process itself did not run: nobody is blamed, everybody has a full term again */
	now += 50000;
	CU_ASSERT_EQUAL(mgmt_vitals_expired(&v, &st, now, ids, 8), 0);
	CU_ASSERT_EQUAL(pass(&now, now + 1200, 0, ids), 0);
	CU_ASSERT_EQUAL(pass(&now, now + 200, 0, ids), 3);
	teardown();
}

static void tell(uint32_t node, uint32_t target, uint64_t total, uint64_t used, uint64_t inodes,
		 uint64_t inodes_used)
{
	Weft__TargetUsage u = WEFT__TARGET_USAGE__INIT;

	u.target = target;
	u.bytes_total = total;
	u.bytes_used = used;
	u.inodes_total = inodes;
	u.inodes_used = inodes_used;
	mgmt_vitals_usage(&v, &st, node, &u);
}

static void space(void)
{
	struct weft_statfs_rep r;
	uint32_t id;

	setup();
	CU_ASSERT_EQUAL(mgmt_vitals_statfs(&v, &st, 0, 5001, &r), -EAGAIN); /* nobody reported */
	CU_ASSERT_EQUAL(mgmt_vitals_statfs(&v, &st, 7, 5001, &r), -ENOENT);
	for (id = 1; id <= 3; id++)
		CU_ASSERT_EQUAL(mgmt_vitals_heard(&v, &st, id, 5001), 0);
	tell(1, 1, 500, 100, 1000, 10);
	tell(2, 2, 4000, 1000, 0, 0);
	CU_ASSERT_EQUAL(mgmt_vitals_statfs(&v, &st, 0, 5001, &r), -EAGAIN);
	CU_ASSERT_EQUAL(mgmt_vitals_statfs(&v, &st, 0, 5000 + LEASE, &r), 0); /* waited enough */
	CU_ASSERT_EQUAL(le64_to_cpu(r.bytes_total), 4000);
	tell(2, 3, 9, 9, 9, 9); /* not its target */
	CU_ASSERT_EQUAL(mgmt_vitals_statfs(&v, &st, 0, 5001, &r), -EAGAIN);
	tell(3, 3, 6000, 6500, 0, 0); /* more used than there is */
	tell(3, 99, 1, 1, 1, 1);
	CU_ASSERT_EQUAL(mgmt_vitals_statfs(&v, &st, 0, 5001, &r), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(r.bytes_total), 10000);
	CU_ASSERT_EQUAL(le64_to_cpu(r.bytes_free), 3000);
	CU_ASSERT_EQUAL(le64_to_cpu(r.inodes_total), 1000);
	CU_ASSERT_EQUAL(le64_to_cpu(r.inodes_free), 990);
	CU_ASSERT_EQUAL(mgmt_vitals_statfs(&v, &st, 1, 5001, &r), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(r.bytes_total), 10000);
	/* an impossible number does not overflow the sum */
	tell(2, 2, UINT64_MAX, UINT64_MAX, 0, 0);
	tell(3, 3, UINT64_MAX, 0, 0, 0);
	CU_ASSERT_EQUAL(mgmt_vitals_statfs(&v, &st, 0, 5001, &r), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(r.bytes_total), 2 * le64_to_cpu(r.bytes_free));
	teardown();
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mgmt/vitals", NULL, NULL);
	CU_add_test(s, "silent nodes", expiry);
	CU_add_test(s, "a sleep of our own", asleep);
	CU_add_test(s, "space", space);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
