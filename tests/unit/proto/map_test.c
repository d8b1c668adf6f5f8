// SPDX-License-Identifier: Apache-2.0
/*
 * weft_map_check() accepts a good map and refuses every map in which one field is wrong; lookups
 * and placement on a checked map give what the tables say.
 */
#include <CUnit/Basic.h>
#include <stdlib.h>

#include "proto/map.h"
#include "proto/meta.h"
#include "proto/placement.h"

/* Two nodes with a rail each; an MDT and three OSTs; a group each; 8 shards; one pool. */
struct test_map {
	struct weft_map_hdr h;
	struct weft_map_node nodes[2];
	struct weft_map_rail rails[2];
	struct weft_map_target targets[4];
	struct weft_map_group groups[4];
	struct weft_map_member members[4];
	__le32 shards[8];
	struct weft_map_pool pools[1];
	__le32 pool_groups[3];
	__le32 end;
} __attribute__((aligned(8)));

#define MAP_LEN offsetof(struct test_map, end)

/* A bitwise crc32c, only for this test: the map's users bring their own. */
static u32 crc32c_slow(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static void seal(struct test_map *m)
{
	m->h.crc = 0;
	m->h.crc = cpu_to_le32(~crc32c_slow(~0u, m, MAP_LEN));
}

static void make(struct test_map *m)
{
	memset(m, 0, sizeof(*m));
	m->h = (struct weft_map_hdr){
		.len = cpu_to_le32(MAP_LEN), .version = cpu_to_le16(WEFT_MAP_VERSION),
		.magic = cpu_to_le32(WEFT_MAP_MAGIC), .epoch = cpu_to_le64(9),
		.nnodes = cpu_to_le32(2), .nrails = cpu_to_le32(2), .ntargets = cpu_to_le32(4),
		.ngroups = cpu_to_le32(4), .nmembers = cpu_to_le32(4),
		.nshards = cpu_to_le32(8), .npools = cpu_to_le32(1),
		.npool_groups = cpu_to_le32(3),
	};
	for (u32 i = 0; i < 2; i++) {
		m->nodes[i].id = cpu_to_le32(i + 1);
		m->nodes[i].first_rail = cpu_to_le32(i);
		m->nodes[i].nrails = cpu_to_le16(1);
	}
	for (u32 i = 0; i < 4; i++) {
		m->targets[i].id = cpu_to_le32(i + 1);
		m->targets[i].node = cpu_to_le32(1 + i % 2);
		m->targets[i].kind = i ? WEFT_OST : WEFT_MDT;
		m->groups[i].id = cpu_to_le32(i + 1);
		m->groups[i].kind = m->targets[i].kind;
		m->groups[i].first_member = cpu_to_le32(i);
		m->groups[i].nmembers = cpu_to_le16(1);
		m->members[i].target = cpu_to_le32(i + 1);
		m->members[i].state = WEFT_IN_SYNC;
	}
	for (u32 i = 0; i < 8; i++)
		m->shards[i] = cpu_to_le32(1);
	m->pools[0].id = cpu_to_le32(1);
	m->pools[0].ngroups = cpu_to_le32(3);
	for (u32 i = 0; i < 3; i++)
		m->pool_groups[i] = cpu_to_le32(i + 2);
	seal(m);
}

static int check(const struct test_map *m)
{
	struct weft_map_view v;

	return weft_map_check(&v, m, MAP_LEN, crc32c_slow);
}

static void good_map(void)
{
	struct weft_layout lay = { .pool = cpu_to_le32(1), .seed = cpu_to_le32(5) };
	struct weft_map_view v;
	struct test_map m;

	make(&m);
	CU_ASSERT_EQUAL_FATAL(weft_map_check(&v, &m, MAP_LEN, crc32c_slow), 0);
	CU_ASSERT_PTR_EQUAL(weft_map_node(&v, 2), v.nodes + 1);
	CU_ASSERT_PTR_NULL(weft_map_node(&v, 0));
	CU_ASSERT_PTR_NULL(weft_map_target(&v, 5));
	CU_ASSERT_EQUAL(weft_map_shard_group(&v, WEFT_INO_MAKE(7, 1)), 1);
	CU_ASSERT_EQUAL(weft_map_shard_group(&v, WEFT_INO_MAKE(8, 1)), 0);
	CU_ASSERT_EQUAL(weft_map_primary(&v, weft_map_group(&v, 3)), 3);
	for (u64 c = 0; c < 6; c++)
		CU_ASSERT_EQUAL(weft_map_chunk_group(&v, &lay, c),
				2 + weft_place_chunk(3, 0, 5, c));
	lay.pool = cpu_to_le32(2);
	CU_ASSERT_EQUAL(weft_map_chunk_group(&v, &lay, 0), 0);
}

static void no_primary(void)
{
	struct weft_map_view v;
	struct test_map m;

	make(&m);
	m.members[2].state = WEFT_LAST;
	seal(&m);
	CU_ASSERT_EQUAL_FATAL(weft_map_check(&v, &m, MAP_LEN, crc32c_slow), 0);
	CU_ASSERT_EQUAL(weft_map_primary(&v, weft_map_group(&v, 3)), 0);
}

/* Each line breaks one thing; the checksum is made right again so that only that is wrong. */
#define REFUSED(what, err) \
	do { \
		struct test_map m; \
		make(&m); \
		m.what; \
		seal(&m); \
		CU_ASSERT_EQUAL(check(&m), err); \
	} while (0)

static void bad_maps(void)
{
	struct test_map m;

	make(&m);
	m.nodes[0].name[0] ^= 1;
	CU_ASSERT_EQUAL(check(&m), -EBADMSG); /* checksum */
	REFUSED(h.magic = 1, -EBADMSG);
	REFUSED(h.len = cpu_to_le32(MAP_LEN - 1), -EBADMSG);
	REFUSED(h.version = cpu_to_le16(2), -EPROTONOSUPPORT);
	REFUSED(h.nnodes = cpu_to_le32(3), -EBADMSG);
	REFUSED(h.nnodes = cpu_to_le32(0xffffffff), -EBADMSG);
	REFUSED(h.nshards = cpu_to_le32(0x40000000), -EBADMSG);
	REFUSED(nodes[1].first_rail = cpu_to_le32(2), -EBADMSG);
	REFUSED(nodes[1].first_rail = cpu_to_le32(0xffffffff), -EBADMSG);
	REFUSED(targets[0].node = cpu_to_le32(3), -EBADMSG);
	REFUSED(groups[0].first_member = cpu_to_le32(4), -EBADMSG);
	REFUSED(groups[0].nmembers = cpu_to_le16(5), -EBADMSG);
	REFUSED(members[3].target = cpu_to_le32(9), -EBADMSG);
	REFUSED(shards[7] = cpu_to_le32(2), -EBADMSG);
	REFUSED(shards[0] = cpu_to_le32(77), -EBADMSG);
	REFUSED(pools[0].first_group = cpu_to_le32(1), -EBADMSG);
	REFUSED(pool_groups[1] = cpu_to_le32(1), -EBADMSG);
}

static void short_buffers(void)
{
	struct weft_map_view v;
	struct test_map m;

	make(&m);
	for (size_t len = 0; len < MAP_LEN; len++) {
		u8 *copy = malloc(len + 1); /* exact size: a sanitizer sees any overrun */

		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, &m, len);
		CU_ASSERT_EQUAL(weft_map_check(&v, copy, len, NULL), -EBADMSG);
		free(copy);
	}
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("proto/map", NULL, NULL);
	CU_add_test(s, "a good map answers", good_map);
	CU_add_test(s, "a group without an in-sync member has no primary", no_primary);
	CU_add_test(s, "each broken field is refused", bad_maps);
	CU_add_test(s, "every truncation is refused", short_buffers);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
