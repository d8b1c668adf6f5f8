// SPDX-License-Identifier: Apache-2.0
/*
 * Inode numbers, never used twice: a counter per shard. (Transaction numbers: txn.c.)
 *
 * Happy path: a block of numbers is reserved by a record that goes into the batch of the op that
 * takes the first of them; the others cost nothing. After a crash the rest of a block is lost.
 * The reservation is written even if that op fails, since later ops of the batch may use the block.
 */
#include <stdlib.h>
#include <string.h>

#include "mds/mds.h"

#define COUNTER_LIMIT ((1ull << WEFT_INO_SHARD_SHIFT) - 1)

int mds_counters_init(struct mds *m)
{
	return mds_table_init(&m->counters.table);
}

void mds_counters_fini(struct mds *m)
{
	struct mds_link *l;

	if (!m->counters.table.buckets)
		return;
	while ((l = mds_table_each(&m->counters.table, NULL))) {
		mds_table_del(&m->counters.table, l);
		free(l);
	}
	mds_table_fini(&m->counters.table);
}

static int counter_load(struct mds *m, struct mds_counter *c)
{
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	__le64 v;
	int ret;

	/* Counter 1 of shard 0 is the root directory. */
	c->next = c->tag == 'C' && !c->nr ? 2 : 1;
	ret = weft_kv_get(m->kv, MDS_CF_META, key, mds_key_meta(key, c->tag, c->nr), &val);
	if (ret == -ENOENT)
		ret = 0;
	else if (!ret) {
		ret = val.len == sizeof(v) ? 0 : -EUCLEAN;
		if (!ret) {
			memcpy(&v, val.data, sizeof(v));
			c->next = le64_to_cpu(v);
		}
		weft_kv_val_fini(&val);
	}
	c->limit = c->next;
	return ret;
}

static int counter_get(struct mds *m, char tag, u32 nr, struct mds_counter **out)
{
	u64 hash = mds_mix(((u64)tag << 32) | nr);
	struct mds_counter *c;
	struct mds_link *l;
	int ret;

	for (l = mds_table_find(&m->counters.table, hash); l; l = mds_table_more(l)) {
		c = (struct mds_counter *)l;
		if (c->tag == tag && c->nr == nr) {
			*out = c;
			return 0;
		}
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->tag = tag;
	c->nr = nr;
	ret = counter_load(m, c);
	if (ret) {
		free(c);
		return ret;
	}
	mds_table_add(&m->counters.table, &c->link, hash);
	*out = c;
	return 0;
}

int mds_counter_next(struct mds *m, char tag, u32 nr, u64 *out)
{
	struct mds_counter *c;
	int ret;

	ret = counter_get(m, tag, nr, &c);
	if (ret)
		return ret;
	if (c->next >= COUNTER_LIMIT)
		return -ENOSPC;
	if (c->next >= c->limit) {
		c->limit = c->next + MDS_INO_BLOCK;
		if (!c->dirty) {
			c->dirty = true;
			c->next_dirty = m->counters.dirty;
			m->counters.dirty = c;
		}
	}
	*out = c->next++;
	return 0;
}

void mds_counters_write(struct mds *m)
{
	struct mds_counter *c;
	char key[MDS_KEY_MAX];

	while ((c = m->counters.dirty)) {
		__le64 v = cpu_to_le64(c->limit);

		m->counters.dirty = c->next_dirty;
		c->dirty = false;
		weft_kv_put(m->batch.kvb, MDS_CF_META, key, mds_key_meta(key, c->tag, c->nr), &v,
			    sizeof(v));
	}
}
