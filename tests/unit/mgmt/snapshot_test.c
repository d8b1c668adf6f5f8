// SPDX-License-Identifier: Apache-2.0
/*
 * Snapshots: a restored state is the state that was packed, and goes on as it would have; what
 * makes no sense is refused and leaves the state alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/mgmt/commands.h"

static void make(struct mgmt_state *st)
{
	uint64_t id;

	cmd_cluster(st, 2, 3);
	CU_ASSERT_EQUAL(cmd_fs_create(st, 64, 0, 0), 0);
	CU_ASSERT_EQUAL(cmd_client(st, 5, &id), 0);
	CU_ASSERT_EQUAL(cmd_liveness(st, 3, false), 0);
}

static bool same(const struct mgmt_state *a, const struct mgmt_state *b)
{
	size_t la, lb;
	void *pa = mgmt_state_pack(a, malloc, &la), *pb = mgmt_state_pack(b, malloc, &lb);
	bool equal = pa && pb && la == lb && !memcmp(pa, pb, la);

	free(pa);
	free(pb);
	return equal;
}

static void round_trip(void)
{
	struct cmd_node n = cmd_node("oss9", WEFT_OST, 9);
	struct mgmt_state a, b;
	struct mgmt_result res;
	uint64_t ia, ib;
	size_t len;
	void *buf;

	make(&a);
	CU_ASSERT_EQUAL_FATAL(mgmt_state_init(&b), 0);
	buf = mgmt_state_pack(&a, malloc, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	CU_ASSERT_EQUAL(mgmt_state_restore(&b, buf, len), 0);
	free(buf);
	CU_ASSERT(same(&a, &b));
	/* both go on alike */
	CU_ASSERT_EQUAL(cmd_register(&a, &n, &res), 0);
	CU_ASSERT_EQUAL(cmd_register(&b, &n, &res), 0);
	CU_ASSERT_EQUAL(cmd_client(&a, 6, &ia), 0);
	CU_ASSERT_EQUAL(cmd_client(&b, 6, &ib), 0);
	CU_ASSERT_EQUAL(ia, ib);
	CU_ASSERT_EQUAL(cmd_client(&b, 5, &ib), 0);
	CU_ASSERT_EQUAL(ib, 1);
	CU_ASSERT_EQUAL(cmd_root_made(&a, 1), 0);
	CU_ASSERT_EQUAL(cmd_root_made(&b, 1), 0);
	CU_ASSERT(same(&a, &b));
	mgmt_state_fini(&a);
	mgmt_state_fini(&b);
}

static void break_version(Weft__Snapshot *s)
{
	s->version = 2;
}
static void break_fsid(Weft__Snapshot *s)
{
	s->fsid.len = 15;
}
static void break_node_id(Weft__Snapshot *s)
{
	s->nodes[1]->id = 7;
}
static void break_node_uuid(Weft__Snapshot *s)
{
	s->nodes[1]->uuid.len = 3;
}
static void break_rail(Weft__Snapshot *s)
{
	s->nodes[0]->rails[0]->addr.len = 4;
}
static void break_port(Weft__Snapshot *s)
{
	s->nodes[0]->rails[0]->port = 70000;
}
static void break_target_node(Weft__Snapshot *s)
{
	s->targets[0]->node = 99;
}
static void break_target_kind(Weft__Snapshot *s)
{
	s->targets[0]->kind = 0;
}
static void break_target_pool(Weft__Snapshot *s)
{
	s->targets[0]->pool = 2;
}
static void break_member(Weft__Snapshot *s)
{
	s->groups[0]->members[0]->target = 0;
}
static void break_member_kind(Weft__Snapshot *s)
{
	s->groups[0]->members[0]->target = 5;
}
static void break_member_state(Weft__Snapshot *s)
{
	s->groups[0]->members[0]->state = 9;
}
static void break_shard(Weft__Snapshot *s)
{
	s->shards[63] = 4; /* a data group */
}
static void break_pool_group(Weft__Snapshot *s)
{
	s->pools[0]->groups[0] = 1; /* a metadata group */
}
static void break_chunk(Weft__Snapshot *s)
{
	s->pools[0]->chunk_shift = 200;
}

static void refused(void)
{
	static void (*const breaks[])(Weft__Snapshot *s) = {
		break_fsid, break_node_id, break_node_uuid, break_rail, break_port,
		break_target_node, break_target_kind, break_target_pool, break_member,
		break_member_kind, break_member_state, break_shard, break_pool_group, break_chunk,
	};
	struct mgmt_state good, bad, st;
	size_t i, len;
	void *buf;

	make(&good);
	make(&st);
	for (i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		make(&bad);
		breaks[i](bad.s);
		buf = mgmt_state_pack(&bad, malloc, &len);
		CU_ASSERT_EQUAL(mgmt_state_restore(&st, buf, len), -EBADMSG);
		free(buf);
		mgmt_state_fini(&bad);
	}
	make(&bad);
	break_version(bad.s);
	buf = mgmt_state_pack(&bad, malloc, &len);
	CU_ASSERT_EQUAL(mgmt_state_restore(&st, buf, len), -EPROTONOSUPPORT);
	free(buf);
	mgmt_state_fini(&bad);
	CU_ASSERT(same(&good, &st));
	mgmt_state_fini(&good);
	mgmt_state_fini(&st);
}

static void truncated(void)
{
	struct mgmt_state a, st;
	size_t len, cut, taken = 0;
	void *buf, *copy;

	make(&a);
	buf = mgmt_state_pack(&a, malloc, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	for (cut = 0; cut < len; cut++) {
		CU_ASSERT_EQUAL_FATAL(mgmt_state_init(&st), 0);
		copy = malloc(cut + 1);
		memcpy(copy, buf, cut);
		/* A cut between fields may still make sense; it must then be usable. */
		if (!mgmt_state_restore(&st, copy, cut)) {
			taken++;
			CU_ASSERT(!same(&a, &st));
		}
		free(copy);
		mgmt_state_fini(&st);
	}
	CU_ASSERT(taken < len / 4);
	free(buf);
	mgmt_state_fini(&a);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mgmt/snapshot", NULL, NULL);
	CU_add_test(s, "pack and restore", round_trip);
	CU_add_test(s, "each broken field is refused", refused);
	CU_add_test(s, "truncations do no harm", truncated);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
