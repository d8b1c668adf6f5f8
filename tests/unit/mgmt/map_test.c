// SPDX-License-Identifier: Apache-2.0
/*
 * The encoded map says what the state says, and passes the check that everybody makes.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "mgmt/map.h"
#include "tests/unit/mgmt/commands.h"

static void *encode(const struct mgmt_state *st, struct weft_map_view *v)
{
	void *map = NULL;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(mgmt_map_encode(st, &map, &len), 0);
	CU_ASSERT_EQUAL_FATAL(weft_map_check(v, map, len, weft_crc32c_raw), 0);
	return map;
}

static void empty(void)
{
	struct weft_map_view v;
	struct mgmt_state st;

	CU_ASSERT_EQUAL_FATAL(mgmt_state_init(&st), 0);
	free(encode(&st, &v));
	CU_ASSERT_EQUAL(cmd_bootstrap(&st), 0);
	free(encode(&st, &v));
	mgmt_state_fini(&st);
}

static void full(void)
{
	const struct weft_map_target *t;
	const struct weft_map_group *g;
	const struct weft_map_node *n;
	struct weft_map_view v;
	struct mgmt_state st;
	uint32_t i;
	void *map;

	cmd_cluster(&st, 2, 3);
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 64, 1 << 16, 0), 0);
	CU_ASSERT_EQUAL(cmd_liveness(&st, 4, false), 0);
	map = encode(&st, &v);
	CU_ASSERT_EQUAL(le64_to_cpu(v.hdr->epoch), st.s->epoch);
	CU_ASSERT_EQUAL(le16_to_cpu(v.hdr->flags), WEFT_MAP_F_ACTIVE | WEFT_MAP_F_ROOT_PENDING);
	CU_ASSERT_EQUAL(memcmp(v.hdr->fsid, cmd_fsid, 16), 0);
	CU_ASSERT_STRING_EQUAL((char *)v.hdr->name, "test");
	CU_ASSERT_EQUAL(v.nnodes, 5);
	CU_ASSERT_EQUAL(v.ntargets, 5);
	CU_ASSERT_EQUAL(v.ngroups, 5);
	CU_ASSERT_EQUAL(v.nshards, 64);
	for (i = 1; i <= 5; i++) {
		n = weft_map_node(&v, i);
		t = weft_map_target(&v, i);
		CU_ASSERT_FATAL(n && t);
		CU_ASSERT_STRING_EQUAL((char *)n->name, st.s->nodes[i - 1]->name);
		CU_ASSERT_EQUAL(n->state, i == 4 ? WEFT_DOWN : WEFT_UP);
		CU_ASSERT_EQUAL(t->state, i == 4 ? WEFT_DOWN : WEFT_UP);
		CU_ASSERT_EQUAL(le32_to_cpu(t->node), i);
		CU_ASSERT_EQUAL(t->uuid[0], i);
		CU_ASSERT_EQUAL(le64_to_cpu(t->capacity), 1000);
		CU_ASSERT_EQUAL(le16_to_cpu(v.rails[le32_to_cpu(n->first_rail)].port), 7000 + i);
	}
	for (i = 0; i < 64; i++) {
		g = weft_map_group(&v, weft_map_shard_group(&v, (uint64_t)i << 48));
		CU_ASSERT_PTR_NOT_NULL_FATAL(g);
		CU_ASSERT_EQUAL(g->kind, WEFT_MDT);
		CU_ASSERT_EQUAL(weft_map_primary(&v, g), 1 + i % 2);
	}
	CU_ASSERT_EQUAL(v.npools, 1);
	CU_ASSERT_EQUAL(v.pools[0].chunk_shift, 16);
	CU_ASSERT_EQUAL(le32_to_cpu(v.pools[0].ngroups), 3);
	free(map);
	mgmt_state_fini(&st);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mgmt/map", NULL, NULL);
	CU_add_test(s, "a map without anything", empty);
	CU_add_test(s, "everything is where it belongs", full);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
