// SPDX-License-Identifier: Apache-2.0
/*
 * The inode cache, see cache.h: a hash table and a list in the order of use.
 *
 * Nothing here fails for the caller: an inode that cannot be remembered is read from the store
 * again, and one whose new state cannot be remembered is forgotten.
 */
#include "mds/cache.h"

#include <stdlib.h>

struct mds_cached {
	struct mds_link link;
	struct mds_cached *newer, *older;
	struct mds_inode i;
};

int mds_cache_init(struct mds_cache *c, u32 max)
{
	c->max = max;
	return mds_table_init(&c->table);
}

static void unlist(struct mds_cache *c, struct mds_cached *e)
{
	*(e->newer ? &e->newer->older : &c->first) = e->older;
	*(e->older ? &e->older->newer : &c->last) = e->newer;
}

static void list_first(struct mds_cache *c, struct mds_cached *e)
{
	e->newer = NULL;
	e->older = c->first;
	*(c->first ? &c->first->newer : &c->last) = e;
	c->first = e;
}

static void forget(struct mds_cache *c, struct mds_cached *e)
{
	mds_table_del(&c->table, &e->link);
	unlist(c, e);
	free(e);
}

void mds_cache_fini(struct mds_cache *c)
{
	while (c->first)
		forget(c, c->first);
	if (c->table.buckets)
		mds_table_fini(&c->table);
}

static struct mds_cached *find(struct mds_cache *c, u64 ino)
{
	struct mds_link *l;

	for (l = mds_table_find(&c->table, mds_mix(ino)); l; l = mds_table_more(l))
		if (((struct mds_cached *)l)->i.ino == ino)
			return (struct mds_cached *)l;
	return NULL;
}

const struct mds_inode *mds_cache_find(struct mds_cache *c, u64 ino)
{
	struct mds_cached *e = find(c, ino);

	if (!e) {
		c->misses++;
		return NULL;
	}
	c->hits++;
	if (e != c->first) {
		unlist(c, e);
		list_first(c, e);
	}
	return &e->i;
}

void mds_cache_put(struct mds_cache *c, const struct mds_inode *i)
{
	struct mds_cached *e = find(c, i->ino);

	if (e) {
		e->i = *i;
		return;
	}
	e = malloc(sizeof(*e));
	if (!e)
		return;
	e->i = *i;
	mds_table_add(&c->table, &e->link, mds_mix(i->ino));
	list_first(c, e);
	if (c->table.count > c->max)
		forget(c, c->last);
}

void mds_cache_drop(struct mds_cache *c, u64 ino)
{
	struct mds_cached *e = find(c, ino);

	if (e)
		forget(c, e);
}
