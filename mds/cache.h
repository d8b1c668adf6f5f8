/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes in memory, as they are in the store: most requests need no lookup in RocksDB for them.
 *
 * Inodes are only ever changed by batches; when a batch is durable its inodes take the place of the
 * old ones here. While a commit is under way the cache has the state before it. Belongs to the
 * owner's thread.
 */
#ifndef WEFT_MDS_CACHE_H
#define WEFT_MDS_CACHE_H

#include "mds/store.h"
#include "mds/table.h"

#define MDS_CACHE_INODES 65536u /* some 15 MiB */

struct mds_cached;

/**
 * struct mds_cache - the inodes of a target that were used last
 * @table: by number
 * @first: the one that was used last
 * @last: the next to go
 * @max: so many are kept
 * @hits: found
 * @misses: not found
 */
struct mds_cache {
	struct mds_table table;
	struct mds_cached *first, *last;
	u32 max;
	u64 hits, misses;
};

/**
 * mds_cache_init() - make an empty cache
 * @c: the cache
 * @max: so many inodes at most, at least 1
 *
 * Return: 0 or -ENOMEM.
 */
int mds_cache_init(struct mds_cache *c, u32 max);

/**
 * mds_cache_fini() - free a cache
 * @c: the cache; also one that was never made (all zero)
 */
void mds_cache_fini(struct mds_cache *c);

/**
 * mds_cache_find() - look for an inode
 * @c: the cache
 * @ino: its number
 *
 * Return: the inode, until the next call; or NULL.
 */
const struct mds_inode *mds_cache_find(struct mds_cache *c, u64 ino);

/**
 * mds_cache_put() - remember an inode as the store has it; without memory it is forgotten
 * @c: the cache
 * @i: the inode
 */
void mds_cache_put(struct mds_cache *c, const struct mds_inode *i);

/**
 * mds_cache_drop() - forget an inode
 * @c: the cache
 * @ino: its number
 */
void mds_cache_drop(struct mds_cache *c, u64 ino);

#endif
