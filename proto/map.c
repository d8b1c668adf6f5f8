// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Checking and reading the cluster map. Compiled into the kernel module and into libweft.
 *
 * weft_map_check() walks the tables once and verifies every reference; after that lookups are
 * plain array accesses. It fails with -EBADMSG on anything inconsistent and changes nothing. No
 * locks: a map is immutable once checked.
 */
#include "proto/map.h"
#include "proto/meta.h"
#include "proto/placement.h"

/* Lays the tables out behind the header; all counts are bounded by the length. */
static int map_tables(struct weft_map_view *v, const u8 *buf, size_t len)
{
	const struct weft_map_hdr *h = v->hdr;
	struct weft_cursor c;

	v->nnodes = le32_to_cpu(h->nnodes);
	v->nrails = le32_to_cpu(h->nrails);
	v->ntargets = le32_to_cpu(h->ntargets);
	v->ngroups = le32_to_cpu(h->ngroups);
	v->nmembers = le32_to_cpu(h->nmembers);
	v->nshards = le32_to_cpu(h->nshards);
	v->npools = le32_to_cpu(h->npools);
	v->npool_groups = le32_to_cpu(h->npool_groups);
	if (v->nnodes > len || v->nrails > len || v->ntargets > len || v->ngroups > len ||
	    v->nmembers > len || v->nshards > WEFT_SHARDS_MAX || v->npools > len ||
	    v->npool_groups > len)
		return -EBADMSG;

	weft_cur_init(&c, buf + sizeof(*h), len - sizeof(*h));
	v->nodes = weft_cur_take(&c, (size_t)v->nnodes * sizeof(*v->nodes));
	v->rails = weft_cur_take(&c, (size_t)v->nrails * sizeof(*v->rails));
	v->targets = weft_cur_take(&c, (size_t)v->ntargets * sizeof(*v->targets));
	v->groups = weft_cur_take(&c, (size_t)v->ngroups * sizeof(*v->groups));
	v->members = weft_cur_take(&c, (size_t)v->nmembers * sizeof(*v->members));
	v->shards = weft_cur_take(&c, (size_t)v->nshards * sizeof(*v->shards));
	v->pools = weft_cur_take(&c, (size_t)v->npools * sizeof(*v->pools));
	v->pool_groups = weft_cur_take(&c, (size_t)v->npool_groups * sizeof(*v->pool_groups));
	return weft_cur_done(&c) ? 0 : -EBADMSG;
}

static bool range_ok(u32 first, u32 count, u32 total)
{
	return first <= total && count <= total - first;
}

/* Every reference from one table to another must hit. */
static int map_references(const struct weft_map_view *v)
{
	const struct weft_map_group *g;
	u32 i;

	for (i = 0; i < v->nnodes; i++)
		if (!range_ok(le32_to_cpu(v->nodes[i].first_rail),
			      le16_to_cpu(v->nodes[i].nrails), v->nrails))
			return -EBADMSG;
	for (i = 0; i < v->ntargets; i++)
		if (!weft_map_node(v, le32_to_cpu(v->targets[i].node)))
			return -EBADMSG;
	for (i = 0; i < v->ngroups; i++)
		if (!range_ok(le32_to_cpu(v->groups[i].first_member),
			      le16_to_cpu(v->groups[i].nmembers), v->nmembers))
			return -EBADMSG;
	for (i = 0; i < v->nmembers; i++)
		if (!weft_map_target(v, le32_to_cpu(v->members[i].target)))
			return -EBADMSG;
	for (i = 0; i < v->nshards; i++) {
		if (!v->shards[i])
			continue;
		g = weft_map_group(v, le32_to_cpu(v->shards[i]));
		if (!g || g->kind != WEFT_MDT)
			return -EBADMSG;
	}
	for (i = 0; i < v->npools; i++)
		if (!range_ok(le32_to_cpu(v->pools[i].first_group),
			      le32_to_cpu(v->pools[i].ngroups), v->npool_groups))
			return -EBADMSG;
	for (i = 0; i < v->npool_groups; i++) {
		g = weft_map_group(v, le32_to_cpu(v->pool_groups[i]));
		if (!g || g->kind != WEFT_OST)
			return -EBADMSG;
	}
	return 0;
}

static bool map_crc_ok(const struct weft_map_hdr *h, size_t len, weft_crc32c_fn crc32c)
{
	const size_t at = offsetof(struct weft_map_hdr, crc);
	const u8 *buf = (const u8 *)h;
	const __le32 zero = 0;
	u32 crc = ~0u;

	crc = crc32c(crc, buf, at);
	crc = crc32c(crc, &zero, sizeof(zero));
	crc = crc32c(crc, buf + at + sizeof(zero), len - at - sizeof(zero));
	return ~crc == le32_to_cpu(h->crc);
}

int weft_map_check(struct weft_map_view *v, const void *buf, size_t len, weft_crc32c_fn crc32c)
{
	const struct weft_map_hdr *h = buf;
	int ret;

	if (len < sizeof(*h) || len > WEFT_MAP_LEN_MAX)
		return -EBADMSG;
	if (le32_to_cpu(h->magic) != WEFT_MAP_MAGIC || le32_to_cpu(h->len) != len)
		return -EBADMSG;
	if (le16_to_cpu(h->version) != WEFT_MAP_VERSION)
		return -EPROTONOSUPPORT;
	if (crc32c && !map_crc_ok(h, len, crc32c))
		return -EBADMSG;
	v->hdr = h;
	ret = map_tables(v, buf, len);
	if (ret)
		return ret;
	return map_references(v);
}

/* Ids are handed out densely from 1, so the guess nearly always hits; removals leave gaps. */
#define MAP_FIND(table, count, id) \
	do { \
		u32 i; \
		if ((id) && (id) <= (count) && le32_to_cpu((table)[(id) - 1].id) == (id)) \
			return &(table)[(id) - 1]; \
		for (i = 0; i < (count); i++) \
			if ((id) && le32_to_cpu((table)[i].id) == (id)) \
				return &(table)[i]; \
		return NULL; \
	} while (0)

const struct weft_map_node *weft_map_node(const struct weft_map_view *v, u32 id)
{
	MAP_FIND(v->nodes, v->nnodes, id);
}

const struct weft_map_target *weft_map_target(const struct weft_map_view *v, u32 id)
{
	MAP_FIND(v->targets, v->ntargets, id);
}

const struct weft_map_group *weft_map_group(const struct weft_map_view *v, u32 id)
{
	MAP_FIND(v->groups, v->ngroups, id);
}

const struct weft_map_pool *weft_map_pool(const struct weft_map_view *v, u32 id)
{
	MAP_FIND(v->pools, v->npools, id);
}

u32 weft_map_shard_group(const struct weft_map_view *v, u64 ino)
{
	u32 shard = WEFT_INO_SHARD(ino);

	return shard < v->nshards ? le32_to_cpu(v->shards[shard]) : 0;
}

u32 weft_map_primary(const struct weft_map_view *v, const struct weft_map_group *g)
{
	u32 i, first = le32_to_cpu(g->first_member);

	for (i = 0; i < le16_to_cpu(g->nmembers); i++)
		if (v->members[first + i].state == WEFT_IN_SYNC)
			return le32_to_cpu(v->members[first + i].target);
	return 0;
}

u32 weft_map_chunk_group(const struct weft_map_view *v, const struct weft_layout *layout,
			 u64 chunk)
{
	const struct weft_map_pool *p = weft_map_pool(v, le32_to_cpu(layout->pool));
	u32 n = p ? le32_to_cpu(p->ngroups) : 0;

	if (!n)
		return 0;
	n = weft_place_chunk(n, le16_to_cpu(layout->width), le32_to_cpu(layout->seed), chunk);
	return le32_to_cpu(v->pool_groups[le32_to_cpu(p->first_group) + n]);
}
