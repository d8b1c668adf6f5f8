// SPDX-License-Identifier: Apache-2.0
/*
 * Snapshots: the state packed, and its check when it comes back.
 *
 * raft's checksums protect a snapshot on disk; what is checked here is that it makes sense to this
 * program: ids dense, references hit, fixed lengths right, no fields of a newer version (they would
 * be lost or misread). A snapshot that does not is refused with -EBADMSG and the state stays what
 * it was.
 */
#include <errno.h>
#include <string.h>

#include "mgmt/internal.h"
#include "proto/map.h"

#define SNAPSHOT_VERSION 1

void *mgmt_state_pack(const struct mgmt_state *st, void *(*alloc)(size_t size), size_t *len)
{
	void *buf;

	*len = weft__snapshot__get_packed_size(st->s);
	buf = alloc(*len);
	if (buf)
		weft__snapshot__pack(st->s, buf);
	return buf;
}

static bool has_unknown(const void *message)
{
	return ((const ProtobufCMessage *)message)->n_unknown_fields;
}

static bool nodes_ok(const Weft__Snapshot *s)
{
	size_t i, j;

	if (s->n_nodes > MGMT_NODES_MAX)
		return false;
	for (i = 0; i < s->n_nodes; i++) {
		const Weft__Node *n = s->nodes[i];

		if (has_unknown(n) || n->id != i + 1 || n->uuid.len != 16 || strlen(n->name) > 63 ||
		    strlen(n->domain) > 63 || n->n_rails > MGMT_RAILS_MAX)
			return false;
		for (j = 0; j < n->n_rails; j++)
			if (has_unknown(n->rails[j]) || n->rails[j]->addr.len != 16 ||
			    n->rails[j]->port > 65535)
				return false;
	}
	return true;
}

static bool targets_ok(const Weft__Snapshot *s)
{
	size_t i;

	if (s->n_targets > MGMT_TARGETS_MAX)
		return false;
	for (i = 0; i < s->n_targets; i++) {
		const Weft__Target *t = s->targets[i];

		if (has_unknown(t) || t->id != i + 1 || t->uuid.len != 16 || !t->node ||
		    t->node > s->n_nodes || (t->kind != WEFT_MDT && t->kind != WEFT_OST) ||
		    t->pool > s->n_pools)
			return false;
	}
	return true;
}

static bool group_is(const Weft__Snapshot *s, uint32_t id, uint32_t kind)
{
	return id && id <= s->n_groups && s->groups[id - 1]->kind == kind;
}

static bool groups_ok(const Weft__Snapshot *s)
{
	size_t i, j;

	if (s->n_groups > MGMT_TARGETS_MAX)
		return false;
	for (i = 0; i < s->n_groups; i++) {
		const Weft__Group *g = s->groups[i];

		if (has_unknown(g) || g->id != i + 1 || g->n_members > 16)
			return false;
		for (j = 0; j < g->n_members; j++)
			if (has_unknown(g->members[j]) || !g->members[j]->target ||
			    g->members[j]->target > s->n_targets ||
			    s->targets[g->members[j]->target - 1]->kind != g->kind ||
			    g->members[j]->state > WEFT_LAST)
				return false;
	}
	if (s->n_shards > WEFT_SHARDS_MAX)
		return false;
	for (i = 0; i < s->n_shards; i++)
		if (!group_is(s, s->shards[i], WEFT_MDT))
			return false;
	return true;
}

static bool pools_ok(const Weft__Snapshot *s)
{
	size_t i, j;

	for (i = 0; i < s->n_pools; i++) {
		const Weft__Pool *p = s->pools[i];

		if (has_unknown(p) || p->id != i + 1 || strlen(p->name) > 31 ||
		    p->chunk_shift > 31 || p->k > 255 || p->m > 255)
			return false;
		for (j = 0; j < p->n_groups; j++)
			if (!group_is(s, p->groups[j], WEFT_OST))
				return false;
	}
	return true;
}

static bool clients_ok(const Weft__Snapshot *s)
{
	size_t i;

	for (i = 0; i < s->n_clients; i++)
		if (has_unknown(s->clients[i]))
			return false;
	return s->n_clients <= MGMT_CLIENTS_KEPT;
}

int mgmt_state_restore(struct mgmt_state *st, const void *buf, size_t len)
{
	Weft__Snapshot *s = weft__snapshot__unpack(NULL, len, buf);
	int ret = -EBADMSG;

	if (!s)
		return -EBADMSG;
	if (s->version != SNAPSHOT_VERSION) {
		ret = -EPROTONOSUPPORT;
		goto out_free;
	}
	if (!(s->flags & WEFT_MAP_F_ACTIVE) && (s->n_groups || s->n_shards || s->n_pools))
		goto out_free;
	if (has_unknown(s) || (s->fsid.len && s->fsid.len != 16) || strlen(s->name) > 31 ||
	    !nodes_ok(s) || !targets_ok(s) || !groups_ok(s) || !pools_ok(s) || !clients_ok(s))
		goto out_free;
	mgmt_state_fini(st);
	st->s = s;
	return 0;
out_free:
	weft__snapshot__free_unpacked(s, NULL);
	return ret;
}
