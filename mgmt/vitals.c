// SPDX-License-Identifier: Apache-2.0
/*
 * Heartbeats in memory: two tables that grow with the state's nodes and targets.
 *
 * Time comes in as an argument. Growing a table may fail: the heartbeat is then refused and sent
 * again by the node. Numbers of a heartbeat are clamped, so that sums cannot overflow.
 */
#include "mgmt/vitals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/map.h"

#define BYTES_MAX (1ull << 49) /* times MGMT_TARGETS_MAX fits */

void mgmt_vitals_init(struct mgmt_vitals *v, uint64_t lease_ns, uint64_t tick_ns)
{
	memset(v, 0, sizeof(*v));
	v->tick_ns = tick_ns;
	v->lease_ns = lease_ns;
}

void mgmt_vitals_fini(struct mgmt_vitals *v)
{
	free(v->heard);
	free(v->usage);
	memset(v, 0, sizeof(*v));
}

void mgmt_vitals_reset(struct mgmt_vitals *v, uint64_t now)
{
	uint64_t lease_ns = v->lease_ns, tick_ns = v->tick_ns;

	mgmt_vitals_fini(v);
	mgmt_vitals_init(v, lease_ns, tick_ns);
	v->since = now;
	v->checked = now;
}

static int grow(void *table, size_t *have, size_t need, size_t size)
{
	char *old, *p;

	if (need <= *have)
		return 0;
	memcpy(&old, table, sizeof(old));
	p = realloc(old, need * size);
	if (!p)
		return -ENOMEM;
	memset(p + *have * size, 0, (need - *have) * size);
	memcpy(table, &p, sizeof(p));
	*have = need;
	return 0;
}

int mgmt_vitals_heard(struct mgmt_vitals *v, const struct mgmt_state *st, uint32_t node,
		      uint64_t now)
{
	int ret = grow(&v->heard, &v->nnodes, st->s->n_nodes, sizeof(*v->heard));

	if (!ret)
		ret = grow(&v->usage, &v->ntargets, st->s->n_targets, sizeof(*v->usage));
	if (!ret)
		v->heard[node - 1] = now;
	return ret;
}

static uint64_t clamp(uint64_t x)
{
	return x < BYTES_MAX ? x : BYTES_MAX;
}

void mgmt_vitals_usage(struct mgmt_vitals *v, const struct mgmt_state *st, uint32_t node,
		       const Weft__TargetUsage *u)
{
	const Weft__Target *t = mgmt_state_target(st, u->target);
	struct mgmt_usage *mine;

	if (!t || t->node != node || t->id > v->ntargets)
		return;
	mine = &v->usage[t->id - 1];
	mine->known = true;
	mine->bytes_total = clamp(u->bytes_total);
	mine->bytes_used = clamp(u->bytes_used);
	mine->inodes_total = clamp(u->inodes_total);
	mine->inodes_used = clamp(u->inodes_used);
}

uint64_t mgmt_vitals_silence(const struct mgmt_vitals *v, uint32_t node, uint64_t now)
{
	uint64_t last = node <= v->nnodes ? v->heard[node - 1] : 0;

	if (last < v->since)
		last = v->since;
	return now > last ? now - last : 0;
}

size_t mgmt_vitals_expired(struct mgmt_vitals *v, const struct mgmt_state *st, uint64_t now,
			   uint32_t *ids, size_t max)
{
	uint64_t limit = v->lease_ns + v->lease_ns / 4;
	size_t i, n = 0;

	/* Asleep ourselves: heartbeats may lie unread in our sockets. */
	if (now - v->checked > v->lease_ns / 4 && now - v->checked > 4 * v->tick_ns)
		v->since = now;
	v->checked = now;
	for (i = 0; i < st->s->n_nodes && n < max; i++)
		if (st->s->nodes[i]->up && mgmt_vitals_silence(v, i + 1, now) > limit)
			ids[n++] = i + 1;
	return n;
}

/* Does a target count for a pool (0: for the file system)? */
static bool counts(const struct mgmt_state *st, const Weft__Group *g, uint32_t pool)
{
	const Weft__Pool *p = mgmt_state_pool(st, pool);
	size_t i;

	for (i = 0; p && i < p->n_groups; i++)
		if (p->groups[i] == g->id)
			return true;
	return g->kind == WEFT_MDT || !pool;
}

int mgmt_vitals_statfs(const struct mgmt_vitals *v, const struct mgmt_state *st, uint32_t pool,
		       uint64_t now, struct weft_statfs_rep *rep)
{
	uint64_t total = 0, used = 0, inodes = 0, inodes_used = 0;
	const struct mgmt_usage *u;
	const Weft__Target *t;
	const Weft__Group *g;
	size_t i;

	if (pool && !mgmt_state_pool(st, pool))
		return -ENOENT;
	for (i = 0; i < st->s->n_groups; i++) {
		g = st->s->groups[i];
		if (!g->n_members || !counts(st, g, pool))
			continue;
		t = mgmt_state_target(st, g->members[0]->target);
		u = t->id <= v->ntargets ? &v->usage[t->id - 1] : NULL;
		if ((!u || !u->known) && t->up && now - v->since < v->lease_ns / 2)
			return -EAGAIN;
		if (!u || !u->known)
			continue;
		inodes += u->inodes_total;
		inodes_used += u->inodes_used;
		if (g->kind == WEFT_OST) {
			total += u->bytes_total;
			used += u->bytes_used < u->bytes_total ? u->bytes_used : u->bytes_total;
		}
	}
	rep->bytes_total = cpu_to_le64(total);
	rep->bytes_free = cpu_to_le64(total - used);
	rep->inodes_total = cpu_to_le64(inodes);
	rep->inodes_free = cpu_to_le64(inodes > inodes_used ? inodes - inodes_used : 0);
	return 0;
}
