// SPDX-License-Identifier: Apache-2.0
/*
 * Laying a file system out: groups, virtual shards, the default pool; and extending it.
 *
 * Every target that is up and in no group becomes a group of its own (one copy). Targets are taken
 * in an order that goes round the fault domains, level by level: the pool's neighbours, and the
 * shards of neighbouring directories, lie on different rows, racks and nodes as far as there are
 * different ones.
 *
 * Extending makes groups of the object targets that came since, and another generation of the
 * pool: of the same name, with the groups of the one before and the new ones. The generation
 * before stays as it is: the place of a chunk depends on the pool's list of groups, and files keep
 * the pool that they were made in.
 *
 * It is refused, with nothing changed, when a kind of target is missing or a number is out
 * of range.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/internal.h"
#include "proto/map.h"

#define CHUNK_SHIFT_MIN 16
#define CHUNK_SHIFT_MAX 26
#define CHUNK_SHIFT_DEFAULT 20
#define POOL_GROUPS_MAX 262144 /* listed by all pools: 1 MiB of the map */

struct candidate {
	const char *path[8]; /* components of the fault domain, then the node's name */
	size_t len[8];
	uint32_t target;
};

/* Takes the domain path of a node apart; its name is the last component. */
static void split_domain(struct candidate *c, const Weft__Node *n)
{
	const char *p = n->domain;
	size_t i = 0, len;

	while (*p && i < 7) {
		len = strcspn(p, "/");
		if (len) {
			c->path[i] = p;
			c->len[i++] = len;
		}
		p += len + (p[len] == '/');
	}
	c->path[i] = n->name;
	c->len[i] = strlen(n->name);
}

static int cmp_part(const struct candidate *a, const struct candidate *b, size_t level)
{
	size_t n = a->len[level] < b->len[level] ? a->len[level] : b->len[level];
	int d = n ? memcmp(a->path[level], b->path[level], n) : 0;

	if (d)
		return d;
	return (a->len[level] > b->len[level]) - (a->len[level] < b->len[level]);
}

static int cmp_candidate(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;
	size_t level;
	int d;

	for (level = 0; level < 8; level++) {
		d = cmp_part(a, b, level);
		if (d)
			return d;
	}
	return (a->target > b->target) - (a->target < b->target);
}

/*
 * Puts a sorted run of candidates in round-robin order of the domains of @level, each domain's own
 * ones being in such an order of the levels below. @tmp has room for as many.
 */
static void interleave(struct candidate *c, size_t n, size_t level, struct candidate *tmp)
{
	size_t i, end, taken = 0, round;

	if (level == 8 || n < 2)
		return;
	for (i = 0; i < n; i = end) {
		for (end = i + 1; end < n && !cmp_part(&c[i], &c[end], level); end++)
			;
		interleave(c + i, end - i, level + 1, tmp + i);
	}
	for (round = 0; taken < n; round++) {
		for (i = 0; i < n; i = end) {
			for (end = i + 1; end < n && !cmp_part(&c[i], &c[end], level); end++)
				;
			if (i + round < end)
				tmp[taken++] = c[i + round];
		}
	}
	memcpy(c, tmp, n * sizeof(*c));
}

static void mark_members(const struct mgmt_state *st, bool *member)
{
	size_t i, j;

	for (i = 0; i < st->s->n_groups; i++)
		for (j = 0; j < st->s->groups[i]->n_members; j++)
			member[st->s->groups[i]->members[j]->target - 1] = true;
}

/* The targets of a kind that are up and in no group, in the order in which they become groups. */
static int order_targets(const struct mgmt_state *st, uint32_t kind, struct candidate **out,
			 size_t *n)
{
	size_t max = st->s->n_targets ? st->s->n_targets : 1, i;
	struct candidate *c = calloc(2 * max, sizeof(*c));
	bool *member = calloc(max, sizeof(*member));

	*n = 0;
	*out = c;
	if (!c || !member) {
		free(member);
		return -ENOMEM;
	}
	mark_members(st, member);
	for (i = 0; i < st->s->n_targets; i++) {
		const Weft__Target *t = st->s->targets[i];

		if (t->kind != kind || !t->up || member[i])
			continue;
		c[*n].target = t->id;
		split_domain(&c[(*n)++], mgmt_state_node(st, t->node));
	}
	free(member);
	qsort(c, *n, sizeof(*c), cmp_candidate);
	interleave(c, *n, 0, c + max);
	return 0;
}

static int add_group(struct mgmt_state *st, uint32_t kind, uint32_t target)
{
	Weft__Group *g = malloc(sizeof(*g));
	Weft__Member *m = malloc(sizeof(*m));

	if (!g || !m)
		goto out_free;
	weft__group__init(g);
	weft__member__init(m);
	g->id = st->s->n_groups + 1;
	g->epoch = 1;
	g->kind = kind;
	m->target = target;
	m->state = WEFT_IN_SYNC;
	if (mgmt_grow(&g->members, &g->n_members, m))
		goto out_free;
	if (!mgmt_grow(&st->s->groups, &st->s->n_groups, g))
		return 0;
	free(g->members);
out_free:
	free(m);
	free(g);
	return -ENOMEM;
}

/* Groups of one kind; their ids follow each other from *first. */
static int form_groups(struct mgmt_state *st, uint32_t kind, uint32_t *first, size_t *n)
{
	struct candidate *c;
	size_t i;
	int ret = order_targets(st, kind, &c, n);

	*first = st->s->n_groups + 1;
	for (i = 0; i < *n && !ret; i++)
		ret = add_group(st, kind, c[i].target);
	free(c);
	return ret;
}

static int form_shards(struct mgmt_state *st, uint32_t shards, uint32_t first, size_t ngroups)
{
	uint32_t i;

	st->s->shards = malloc(shards * sizeof(*st->s->shards));
	if (!st->s->shards)
		return -ENOMEM;
	st->s->n_shards = shards;
	for (i = 0; i < shards; i++)
		st->s->shards[i] = first + i % ngroups;
	return 0;
}

/* A pool of the groups of @before (or NULL) and @ngroups from @first on. */
static int form_pool(struct mgmt_state *st, const Weft__Pool *before, uint32_t chunk_shift,
		     uint32_t first, size_t ngroups)
{
	size_t i, old = before ? before->n_groups : 0;
	Weft__Pool *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	weft__pool__init(p);
	p->id = st->s->n_pools + 1;
	p->redundancy = WEFT_REPLICA;
	p->k = 1;
	p->chunk_shift = chunk_shift;
	p->groups = malloc((old + ngroups) * sizeof(*p->groups));
	if (!p->groups || mgmt_string(&p->name, before ? before->name : "default") ||
	    mgmt_grow(&st->s->pools, &st->s->n_pools, p)) {
		weft__pool__free_unpacked(p, NULL);
		return -ENOMEM;
	}
	p->n_groups = old + ngroups;
	for (i = 0; i < p->n_groups; i++) {
		p->groups[i] = i < old ? before->groups[i] : first + i - old;
		mgmt_state_target(st, st->s->groups[p->groups[i] - 1]->members[0]->target)->pool =
			p->id;
	}
	return 0;
}

static size_t count_up(const struct mgmt_state *st, uint32_t kind)
{
	size_t i, n = 0;

	for (i = 0; i < st->s->n_targets; i++)
		n += st->s->targets[i]->kind == kind && st->s->targets[i]->up;
	return n;
}

static bool may_create(const struct mgmt_state *st, const Weft__FsCreate *req, uint32_t shards,
		       int chunk_shift, struct mgmt_result *res)
{
	if (st->s->flags & WEFT_MAP_F_ACTIVE)
		mgmt_refuse(res, -EEXIST, "file system %s is laid out already", st->s->name);
	else if (req->replicas > 1)
		mgmt_refuse(res, -EOPNOTSUPP,
			    "%u copies were asked for; this version keeps one, replication comes "
			    "later",
			    req->replicas);
	else if (!count_up(st, WEFT_MDT))
		mgmt_refuse(res, -ENODEV, "no metadata target is up");
	else if (!count_up(st, WEFT_OST))
		mgmt_refuse(res, -ENODEV, "no object target is up");
	else if (shards > WEFT_SHARDS_MAX || shards < count_up(st, WEFT_MDT))
		mgmt_refuse(res, -EINVAL,
			    "%u virtual shards: at most %u, and one for each metadata target",
			    shards, WEFT_SHARDS_MAX);
	else if (chunk_shift < CHUNK_SHIFT_MIN || chunk_shift > CHUNK_SHIFT_MAX)
		mgmt_refuse(res, -EINVAL,
			    "chunk size %u: a power of two from 64 KiB to 64 MiB is needed",
			    req->chunk_size);
	return !res->err;
}

/* log2 of a power of two, -1 for something else. */
static int shift_of(uint32_t size)
{
	return size && !(size & (size - 1)) ? __builtin_ctz(size) : -1;
}

int mgmt_apply_fs_create(struct mgmt_state *st, const Weft__FsCreate *req,
			 struct mgmt_result *res)
{
	uint32_t shards = req->shards ? req->shards : WEFT_SHARDS_DEFAULT, mdt, ost;
	int shift = req->chunk_size ? shift_of(req->chunk_size) : CHUNK_SHIFT_DEFAULT;
	size_t nmdt, nost;
	int ret;

	if (!may_create(st, req, shards, shift, res))
		return 0;
	ret = form_groups(st, WEFT_MDT, &mdt, &nmdt);
	if (!ret)
		ret = form_groups(st, WEFT_OST, &ost, &nost);
	if (!ret)
		ret = form_shards(st, shards, mdt, nmdt);
	if (!ret)
		ret = form_pool(st, NULL, shift, ost, nost);
	st->s->flags |= WEFT_MAP_F_ACTIVE | WEFT_MAP_F_ROOT_PENDING;
	st->s->epoch++;
	return ret;
}

static size_t count_free(const struct mgmt_state *st, int *err)
{
	struct candidate *c;
	size_t n;

	*err = order_targets(st, WEFT_OST, &c, &n);
	free(c);
	return n;
}

int mgmt_apply_fs_extend(struct mgmt_state *st, struct mgmt_result *res)
{
	const Weft__Pool *last = mgmt_state_pool(st, st->s->n_pools);
	size_t n, i, listed = 0;
	uint32_t first;
	int ret;

	n = count_free(st, &ret);
	if (ret)
		return ret;
	for (i = 0; i < st->s->n_pools; i++)
		listed += st->s->pools[i]->n_groups;
	if (!(st->s->flags & WEFT_MAP_F_ACTIVE) || !last)
		mgmt_refuse(res, -ENODEV, "the file system is not laid out yet");
	else if (!n)
		mgmt_refuse(res, -ENODEV, "no object target that is up waits to be used");
	else if (listed + last->n_groups + n > POOL_GROUPS_MAX)
		mgmt_refuse(res, -ENOSPC, "the file system was extended too often");
	if (res->err)
		return 0;
	ret = form_groups(st, WEFT_OST, &first, &n);
	if (!ret)
		ret = form_pool(st, last, last->chunk_shift, first, n);
	st->s->epoch++;
	return ret;
}
