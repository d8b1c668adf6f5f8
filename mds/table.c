// SPDX-License-Identifier: Apache-2.0
/*
 * Intrusive hash table, see table.h. Buckets are chains; the table doubles when there are more
 * objects than buckets.
 */
#include "mds/table.h"

#include <stdlib.h>

#define FIRST_SIZE 64u

int mds_table_init(struct mds_table *t)
{
	t->buckets = calloc(FIRST_SIZE, sizeof(*t->buckets));
	t->mask = FIRST_SIZE - 1;
	t->count = 0;
	return t->buckets ? 0 : -ENOMEM;
}

void mds_table_fini(struct mds_table *t)
{
	free(t->buckets);
	t->buckets = NULL;
}

static void table_grow(struct mds_table *t)
{
	u32 i, mask = t->mask * 2 + 1;
	struct mds_link **to = calloc((size_t)mask + 1, sizeof(*to));
	struct mds_link *l;

	if (!to)
		return;
	for (i = 0; i <= t->mask; i++) {
		while ((l = t->buckets[i])) {
			t->buckets[i] = l->next;
			l->next = to[l->hash & mask];
			to[l->hash & mask] = l;
		}
	}
	free(t->buckets);
	t->buckets = to;
	t->mask = mask;
}

void mds_table_add(struct mds_table *t, struct mds_link *l, u64 hash)
{
	if (t->count > t->mask)
		table_grow(t);
	l->hash = hash;
	l->next = t->buckets[hash & t->mask];
	t->buckets[hash & t->mask] = l;
	t->count++;
}

void mds_table_del(struct mds_table *t, struct mds_link *l)
{
	struct mds_link **p = &t->buckets[l->hash & t->mask];

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	t->count--;
}

struct mds_link *mds_table_find(const struct mds_table *t, u64 hash)
{
	struct mds_link *l = t->buckets[hash & t->mask];

	while (l && l->hash != hash)
		l = l->next;
	return l;
}

struct mds_link *mds_table_more(const struct mds_link *l)
{
	u64 hash = l->hash;

	do {
		l = l->next;
	} while (l && l->hash != hash);
	return (struct mds_link *)l;
}

struct mds_link *mds_table_each(const struct mds_table *t, const struct mds_link *l)
{
	u32 i = 0;

	if (l) {
		if (l->next)
			return l->next;
		i = (l->hash & t->mask) + 1;
	}
	for (; i <= t->mask; i++)
		if (t->buckets[i])
			return t->buckets[i];
	return NULL;
}
