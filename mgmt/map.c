// SPDX-License-Identifier: Apache-2.0
/*
 * Encoding the map: sizes first, then table after table into one zeroed buffer, the checksum last.
 *
 * It fails when memory is short; a state that came through the state machine or a checked
 * snapshot always encodes, which weft_map_check() confirms before anybody sees the result.
 */
#include "mgmt/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "proto/map.h"

/* Takes room for a table out of the buffer. */
static void *take(char **pos, size_t size)
{
	void *p = *pos;

	*pos += size;
	return p;
}

static void put_name(void *field, size_t size, const char *s)
{
	memcpy(field, s, strnlen(s, size - 1));
}

static void put_nodes(const Weft__Snapshot *s, char **pos, size_t nrails)
{
	struct weft_map_node *node = take(pos, s->n_nodes * sizeof(*node));
	struct weft_map_rail *rail = take(pos, nrails * sizeof(*rail));
	uint32_t first = 0;
	size_t i, j;

	for (i = 0; i < s->n_nodes; i++, node++) {
		const Weft__Node *n = s->nodes[i];

		node->id = cpu_to_le32(n->id);
		node->first_rail = cpu_to_le32(first);
		node->nrails = cpu_to_le16(n->n_rails);
		node->state = n->up ? WEFT_UP : WEFT_DOWN;
		memcpy(node->uuid, n->uuid.data, sizeof(node->uuid));
		put_name(node->name, sizeof(node->name), n->name);
		put_name(node->domain, sizeof(node->domain), n->domain);
		first += n->n_rails;
		for (j = 0; j < n->n_rails; j++, rail++) {
			rail->kind = n->rails[j]->kind;
			rail->port = cpu_to_le16(n->rails[j]->port);
			memcpy(rail->addr, n->rails[j]->addr.data, sizeof(rail->addr));
		}
	}
}

static void put_targets(const Weft__Snapshot *s, char **pos)
{
	struct weft_map_target *t = take(pos, s->n_targets * sizeof(*t));
	size_t i;

	for (i = 0; i < s->n_targets; i++, t++) {
		t->id = cpu_to_le32(s->targets[i]->id);
		t->node = cpu_to_le32(s->targets[i]->node);
		t->kind = s->targets[i]->kind;
		t->state = s->targets[i]->up ? WEFT_UP : WEFT_DOWN;
		t->pool = cpu_to_le32(s->targets[i]->pool);
		t->capacity = cpu_to_le64(s->targets[i]->capacity);
		memcpy(t->uuid, s->targets[i]->uuid.data, sizeof(t->uuid));
	}
}

static void put_groups(const Weft__Snapshot *s, char **pos, size_t nmembers)
{
	struct weft_map_group *g = take(pos, s->n_groups * sizeof(*g));
	struct weft_map_member *m = take(pos, nmembers * sizeof(*m));
	uint32_t first = 0;
	size_t i, j;

	for (i = 0; i < s->n_groups; i++, g++) {
		g->id = cpu_to_le32(s->groups[i]->id);
		g->epoch = cpu_to_le32(s->groups[i]->epoch);
		g->first_member = cpu_to_le32(first);
		g->nmembers = cpu_to_le16(s->groups[i]->n_members);
		g->kind = s->groups[i]->kind;
		first += s->groups[i]->n_members;
		for (j = 0; j < s->groups[i]->n_members; j++, m++) {
			m->target = cpu_to_le32(s->groups[i]->members[j]->target);
			m->state = s->groups[i]->members[j]->state;
		}
	}
}

static void put_shards(const Weft__Snapshot *s, char **pos)
{
	__le32 *shard = take(pos, s->n_shards * sizeof(*shard));
	size_t i;

	for (i = 0; i < s->n_shards; i++)
		shard[i] = cpu_to_le32(s->shards[i]);
}

static void put_pools(const Weft__Snapshot *s, char **pos, size_t npool_groups)
{
	struct weft_map_pool *p = take(pos, s->n_pools * sizeof(*p));
	__le32 *group = take(pos, npool_groups * sizeof(*group));
	uint32_t first = 0;
	size_t i, j;

	for (i = 0; i < s->n_pools; i++, p++) {
		p->id = cpu_to_le32(s->pools[i]->id);
		p->first_group = cpu_to_le32(first);
		p->ngroups = cpu_to_le32(s->pools[i]->n_groups);
		p->redundancy = s->pools[i]->redundancy;
		p->k = s->pools[i]->k;
		p->m = s->pools[i]->m;
		p->chunk_shift = s->pools[i]->chunk_shift;
		put_name(p->name, sizeof(p->name), s->pools[i]->name);
		first += s->pools[i]->n_groups;
		for (j = 0; j < s->pools[i]->n_groups; j++)
			*group++ = cpu_to_le32(s->pools[i]->groups[j]);
	}
}

struct counts {
	size_t rails, members, pool_groups;
};

static size_t count(const Weft__Snapshot *s, struct counts *c)
{
	size_t i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < s->n_nodes; i++)
		c->rails += s->nodes[i]->n_rails;
	for (i = 0; i < s->n_groups; i++)
		c->members += s->groups[i]->n_members;
	for (i = 0; i < s->n_pools; i++)
		c->pool_groups += s->pools[i]->n_groups;
	return sizeof(struct weft_map_hdr) + s->n_nodes * sizeof(struct weft_map_node) +
	       c->rails * sizeof(struct weft_map_rail) +
	       s->n_targets * sizeof(struct weft_map_target) +
	       s->n_groups * sizeof(struct weft_map_group) +
	       c->members * sizeof(struct weft_map_member) + s->n_shards * sizeof(__le32) +
	       s->n_pools * sizeof(struct weft_map_pool) + c->pool_groups * sizeof(__le32);
}

static void put_header(const Weft__Snapshot *s, const struct counts *c, struct weft_map_hdr *h,
		       size_t len)
{
	h->len = cpu_to_le32(len);
	h->version = cpu_to_le16(WEFT_MAP_VERSION);
	h->flags = cpu_to_le16(s->flags);
	h->magic = cpu_to_le32(WEFT_MAP_MAGIC);
	if (s->fsid.len == sizeof(h->fsid))
		memcpy(h->fsid, s->fsid.data, sizeof(h->fsid));
	h->epoch = cpu_to_le64(s->epoch);
	h->nnodes = cpu_to_le32(s->n_nodes);
	h->nrails = cpu_to_le32(c->rails);
	h->ntargets = cpu_to_le32(s->n_targets);
	h->ngroups = cpu_to_le32(s->n_groups);
	h->nmembers = cpu_to_le32(c->members);
	h->nshards = cpu_to_le32(s->n_shards);
	h->npools = cpu_to_le32(s->n_pools);
	h->npool_groups = cpu_to_le32(c->pool_groups);
	put_name(h->name, sizeof(h->name), s->name);
}

int mgmt_map_encode(const struct mgmt_state *st, void **map, size_t *len)
{
	const Weft__Snapshot *s = st->s;
	struct weft_map_view view;
	struct weft_map_hdr *h;
	struct counts c;
	char *pos;
	int ret;

	*len = count(s, &c);
	h = calloc(1, *len);
	if (!h)
		return -ENOMEM;
	pos = (char *)(h + 1);
	put_header(s, &c, h, *len);
	put_nodes(s, &pos, c.rails);
	put_targets(s, &pos);
	put_groups(s, &pos, c.members);
	put_shards(s, &pos);
	put_pools(s, &pos, c.pool_groups);
	h->crc = cpu_to_le32(weft_crc32c(0, h, *len));
	ret = weft_map_check(&view, h, *len, weft_crc32c_raw);
	if (ret) {
		free(h);
		return ret;
	}
	*map = h;
	return 0;
}
