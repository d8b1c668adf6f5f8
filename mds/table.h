/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An intrusive hash table that grows: links live in the objects, the caller compares keys.
 *
 * Growing is best effort: when memory is short the table goes on with longer chains. Nothing here
 * fails after mds_table_init(). Belongs to one thread.
 */
#ifndef WEFT_MDS_TABLE_H
#define WEFT_MDS_TABLE_H

#include "proto/types.h"

struct mds_link {
	struct mds_link *next;
	u64 hash;
};

struct mds_table {
	struct mds_link **buckets;
	u32 mask;
	u32 count;
};

/**
 * mds_table_init() - make an empty table
 * @t: the table
 *
 * Return: 0 or -ENOMEM.
 */
int mds_table_init(struct mds_table *t);

/**
 * mds_table_fini() - free a table; what was in it is the caller's
 * @t: the table
 */
void mds_table_fini(struct mds_table *t);

/**
 * mds_table_add() - add an object
 * @t: the table
 * @l: its link
 * @hash: hash of its key
 */
void mds_table_add(struct mds_table *t, struct mds_link *l, u64 hash);

/**
 * mds_table_del() - take an object out
 * @t: the table
 * @l: its link
 */
void mds_table_del(struct mds_table *t, struct mds_link *l);

/**
 * mds_table_find() - first object with a hash
 * @t: the table
 * @hash: the hash
 *
 * Return: its link or NULL; mds_table_more() gives the next one with the same hash.
 */
struct mds_link *mds_table_find(const struct mds_table *t, u64 hash);

/**
 * mds_table_more() - next object with the same hash
 * @l: link of the one before
 *
 * Return: its link or NULL.
 */
struct mds_link *mds_table_more(const struct mds_link *l);

/**
 * mds_table_each() - go through all objects
 * @t: the table, not changed meanwhile
 * @l: NULL at first, then the link before
 *
 * Return: the next link or NULL.
 */
struct mds_link *mds_table_each(const struct mds_table *t, const struct mds_link *l);

/* mds_mix() - spread a number over 64 bits */
static inline u64 mds_mix(u64 x)
{
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15ull;
	return x ^ (x >> 29);
}

#endif
