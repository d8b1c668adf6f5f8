// SPDX-License-Identifier: Apache-2.0
/*
 * Laying a file system out: groups in the order of fault domains, shards evenly spread, the default
 * pool, and what is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/mgmt/commands.h"

static void simple(void)
{
	unsigned int count[4] = { 0 }, i;
	struct mgmt_state st;

	cmd_cluster(&st, 3, 2);
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(st.s->flags, WEFT_MAP_F_ACTIVE | WEFT_MAP_F_ROOT_PENDING);
	CU_ASSERT_EQUAL_FATAL(st.s->n_groups, 5);
	CU_ASSERT_EQUAL_FATAL(st.s->n_shards, WEFT_SHARDS_DEFAULT);
	for (i = 0; i < st.s->n_shards; i++) {
		CU_ASSERT_FATAL(st.s->shards[i] >= 1 && st.s->shards[i] <= 3);
		count[st.s->shards[i]]++;
	}
	for (i = 1; i <= 3; i++)
		CU_ASSERT(count[i] == 1365 || count[i] == 1366);
	CU_ASSERT_EQUAL_FATAL(st.s->n_pools, 1);
	CU_ASSERT_STRING_EQUAL(st.s->pools[0]->name, "default");
	CU_ASSERT_EQUAL(st.s->pools[0]->chunk_shift, 20);
	CU_ASSERT_EQUAL_FATAL(st.s->pools[0]->n_groups, 2);
	for (i = 0; i < 2; i++) {
		uint32_t group = st.s->pools[0]->groups[i];

		CU_ASSERT_EQUAL(st.s->groups[group - 1]->kind, WEFT_OST);
		CU_ASSERT_EQUAL(st.s->groups[group - 1]->epoch, 1);
	}
	for (i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(st.s->groups[i]->n_members, 1);
		CU_ASSERT_EQUAL(st.s->groups[i]->members[0]->state, WEFT_IN_SYNC);
		CU_ASSERT_EQUAL(st.s->targets[i]->pool, st.s->targets[i]->kind == WEFT_OST);
	}
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 0, 0, 0), -EEXIST);
	mgmt_state_fini(&st);
}

/* Node of the i-th group of the pool. */
static const char *pool_node(const struct mgmt_state *st, size_t i)
{
	uint32_t group = st->s->pools[0]->groups[i];
	uint32_t target = st->s->groups[group - 1]->members[0]->target;

	return st->s->nodes[st->s->targets[target - 1]->node - 1]->name;
}

static void domains(void)
{
	/* registered rack by rack, two servers of two targets in rack a1 */
	static const struct {
		const char *name, *domain;
		unsigned int targets;
	} nodes[] = { { "a1x", "a/a1", 2 }, { "a1y", "a/a1", 2 }, { "a2x", "a/a2", 1 },
		      { "b1x", "b/b1", 1 }, { "lone", "", 1 } };
	/* rows a and b and the lone one take turns; in row a the racks; in rack a1 the servers */
	static const char *const want[] = { "a1x", "b1x", "lone", "a2x", "a1y", "a1x", "a1y" };
	struct mgmt_result res;
	struct mgmt_state st;
	unsigned int i, j;
	uint8_t id = 10;

	cmd_cluster(&st, 1, 0);
	for (i = 0; i < 5; i++) {
		struct cmd_node n = cmd_node(nodes[i].name, WEFT_OST, id);

		n.domain = nodes[i].domain;
		n.ntargets = nodes[i].targets;
		for (j = 0; j < n.ntargets; j++) {
			n.targets[j] = n.targets[0];
			n.targets[j].uuid[0] = id++;
		}
		CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	}
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 16, 1 << 16, 1), 0);
	CU_ASSERT_EQUAL(st.s->pools[0]->chunk_shift, 16);
	CU_ASSERT_EQUAL_FATAL(st.s->pools[0]->n_groups, 7);
	for (i = 0; i < 7; i++)
		CU_ASSERT_STRING_EQUAL(pool_node(&st, i), want[i]);
	mgmt_state_fini(&st);
}

static void only_what_is_up(void)
{
	struct mgmt_state st;

	cmd_cluster(&st, 1, 2);
	CU_ASSERT_EQUAL(cmd_liveness(&st, 2, false), 0);
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(st.s->n_groups, 2);
	CU_ASSERT_EQUAL(st.s->groups[1]->members[0]->target, 3);
	mgmt_state_fini(&st);
}

/* Object targets that came later: another generation of the pool; the one before stays. */
static void extend(void)
{
	struct cmd_node n = cmd_node("late1", WEFT_OST, 40);
	struct mgmt_result res;
	struct mgmt_state st;
	uint64_t epoch;
	size_t i;

	cmd_cluster(&st, 1, 2);
	CU_ASSERT_EQUAL(cmd_fs_extend(&st), -ENODEV); /* not laid out */
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 0, 1 << 17, 0), 0);
	epoch = st.s->epoch;
	CU_ASSERT_EQUAL(cmd_fs_extend(&st), -ENODEV); /* nobody waits */
	CU_ASSERT_EQUAL(st.s->epoch, epoch);
	n.targets[1] = n.targets[0];
	n.targets[1].uuid[0] = 41;
	n.ntargets = 2;
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	n = cmd_node("late2", WEFT_MDT, 50);
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0); /* metadata targets stay unused */
	n = cmd_node("late3", WEFT_OST, 60);
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT_EQUAL(cmd_liveness(&st, res.id, false), 0); /* one that is down does, too */
	epoch = st.s->epoch;
	CU_ASSERT_EQUAL(cmd_fs_extend(&st), 0);
	CU_ASSERT_EQUAL(st.s->epoch, epoch + 1);
	CU_ASSERT_EQUAL_FATAL(st.s->n_groups, 5);
	CU_ASSERT_EQUAL_FATAL(st.s->n_pools, 2);
	CU_ASSERT_EQUAL_FATAL(st.s->pools[0]->n_groups, 2);
	CU_ASSERT_EQUAL_FATAL(st.s->pools[1]->n_groups, 4);
	CU_ASSERT_EQUAL(st.s->pools[1]->id, 2);
	CU_ASSERT_STRING_EQUAL(st.s->pools[1]->name, "default");
	CU_ASSERT_EQUAL(st.s->pools[1]->chunk_shift, 17);
	for (i = 0; i < 4; i++) {
		uint32_t group = st.s->pools[1]->groups[i];

		CU_ASSERT_EQUAL(group, 2 + i);
		CU_ASSERT_EQUAL(st.s->groups[group - 1]->kind, WEFT_OST);
		CU_ASSERT_EQUAL(mgmt_state_target(&st, st.s->groups[group - 1]->members[0]->target)
					->pool, 2);
		if (i < 2)
			CU_ASSERT_EQUAL(st.s->pools[0]->groups[i], group);
	}
	CU_ASSERT_EQUAL(cmd_fs_extend(&st), -ENODEV);
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT_EQUAL(cmd_fs_extend(&st), 0);
	CU_ASSERT_EQUAL(st.s->n_pools, 3);
	CU_ASSERT_EQUAL(st.s->pools[2]->n_groups, 5);
	mgmt_state_fini(&st);
}

static void refused(void)
{
	static const struct {
		uint32_t shards, chunk, replicas;
		int err;
	} wrong[] = {
		{ 0, 0, 2, -EOPNOTSUPP },	  { 1, 0, 0, -EINVAL },
		{ WEFT_SHARDS_MAX + 1, 0, 0, -EINVAL }, { 0, 1 << 15, 0, -EINVAL },
		{ 0, 1 << 27, 0, -EINVAL },	  { 0, 3 << 20, 0, -EINVAL },
	};
	struct mgmt_state st;
	uint64_t epoch;
	size_t i;

	cmd_cluster(&st, 0, 2);
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 0, 0, 0), -ENODEV);
	mgmt_state_fini(&st);
	cmd_cluster(&st, 2, 0);
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 0, 0, 0), -ENODEV);
	mgmt_state_fini(&st);
	cmd_cluster(&st, 2, 2);
	epoch = st.s->epoch;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_EQUAL(cmd_fs_create(&st, wrong[i].shards, wrong[i].chunk,
					      wrong[i].replicas),
				wrong[i].err);
	CU_ASSERT_EQUAL(st.s->epoch, epoch);
	CU_ASSERT_EQUAL(st.s->n_groups + st.s->n_shards + st.s->n_pools + st.s->flags, 0);
	mgmt_state_fini(&st);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mgmt/form", NULL, NULL);
	CU_add_test(s, "extending it", extend);
	CU_add_test(s, "groups, shards and the default pool", simple);
	CU_add_test(s, "fault domains take turns at every level", domains);
	CU_add_test(s, "targets that are down are left out", only_what_is_up);
	CU_add_test(s, "wrong requests are refused and change nothing", refused);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
