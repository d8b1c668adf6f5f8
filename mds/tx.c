// SPDX-License-Identifier: Apache-2.0
/*
 * What one op changes: copies of inodes and a list of key writes that only the op itself sees until
 * mds_tx_apply() moves them into the batch, which cannot fail. mds_tx_drop() forgets them.
 *
 * Reading looks at the op's own inodes, then (while a batch is built) at the batch, then at the
 * cache of inodes and the store; own key writes are not seen. Whoever reads or changes something
 * that another op has locked, or reads what has to come from the disk first (warm.h), gets
 * MDS_PARKED.
 */
#include <stdlib.h>
#include <string.h>

#include "mds/mds.h"
#include "mds/warm.h"

void mds_tx_init(struct mds_tx *tx, struct mds *m, const void *owner)
{
	memset(tx, 0, sizeof(*tx));
	tx->m = m;
	tx->owner = owner;
	tx->wtail = &tx->writes;
}

void mds_tx_drop(struct mds_tx *tx)
{
	struct mds_node *n;
	struct mds_write *w;

	while ((n = tx->nodes)) {
		tx->nodes = n->next;
		free(n);
	}
	while ((w = tx->writes)) {
		tx->writes = w->next;
		free(w);
	}
	tx->wtail = &tx->writes;
	mds_open_forget(&tx->opens);
	free(tx->warm);
	tx->warm = NULL;
}

static struct mds_node *batch_node(struct mds *m, u64 ino)
{
	struct mds_link *l;

	for (l = mds_table_find(&m->batch.nodes, mds_mix(ino)); l; l = mds_table_more(l))
		if (((struct mds_node *)l)->i.ino == ino)
			return (struct mds_node *)l;
	return NULL;
}

void mds_tx_apply(struct mds_tx *tx)
{
	struct mds_batch *b = &tx->m->batch;
	struct mds_node *n, *old;
	struct mds_write *w;

	while ((n = tx->nodes)) {
		tx->nodes = n->next;
		old = batch_node(tx->m, n->i.ino);
		if (old) {
			mds_table_del(&b->nodes, &old->link);
			free(old);
		}
		mds_table_add(&b->nodes, &n->link, mds_mix(n->i.ino));
		b->bytes += sizeof(struct mds_inode_rec);
	}
	while ((w = tx->writes)) {
		tx->writes = w->next;
		if (w->del) {
			weft_kv_delete(b->kvb, w->cf, w->buf, w->klen);
		} else {
			weft_kv_put(b->kvb, w->cf, w->buf, w->klen, w->buf + w->klen, w->vlen);
		}
		b->bytes += w->klen + w->vlen;
		free(w);
	}
	tx->wtail = &tx->writes;
	mds_open_apply(&tx->opens);
}

static int tx_write(struct mds_tx *tx, enum mds_cf cf, const void *key, size_t klen,
		    const void *val, size_t vlen, bool del)
{
	struct mds_write *w = malloc(sizeof(*w) + klen + vlen);

	if (!w)
		return -ENOMEM;
	w->next = NULL;
	w->cf = cf;
	w->del = del;
	w->klen = klen;
	w->vlen = vlen;
	memcpy(w->buf, key, klen);
	if (vlen)
		memcpy(w->buf + klen, val, vlen);
	*tx->wtail = w;
	tx->wtail = &w->next;
	return 0;
}

int mds_tx_put(struct mds_tx *tx, enum mds_cf cf, const void *key, size_t klen, const void *val,
	       size_t vlen)
{
	return tx_write(tx, cf, key, klen, val, vlen, false);
}

int mds_tx_del(struct mds_tx *tx, enum mds_cf cf, const void *key, size_t klen)
{
	return tx_write(tx, cf, key, klen, NULL, 0, true);
}

int mds_tx_del_prefix(struct mds_tx *tx, enum mds_cf cf, const void *prefix, size_t len)
{
	struct mds_batch *b = &tx->m->batch;
	struct weft_kv_iter *it;
	size_t klen;
	int ret;

	ret = weft_kv_iter_prefix(tx->m->kv, b->state == MDS_BUILD ? b->kvb : NULL, cf, prefix,
				  len, &it);
	if (ret)
		return ret;
	for (weft_kv_iter_first(it); !ret && weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const void *key = weft_kv_iter_key(it, &klen);

		ret = mds_tx_del(tx, cf, key, klen);
	}
	if (!ret)
		ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return ret;
}

int mds_read_key(struct mds *m, enum mds_cf cf, const void *key, size_t klen,
		 struct weft_kv_val *val)
{
	if (m->batch.state == MDS_BUILD)
		return weft_kv_batch_get(m->batch.kvb, cf, key, klen, val);
	return weft_kv_get(m->kv, cf, key, klen, val);
}

/* An inode as the batch so far and the store have it. */
static int load_inode(struct mds_tx *tx, u64 ino, struct mds_inode *i)
{
	struct mds *m = tx->m;
	const struct mds_inode *cached;
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	struct mds_node *n;
	int ret;

	if (m->batch.state == MDS_BUILD && (n = batch_node(m, ino))) {
		*i = n->i;
		return n->dead ? -ENOENT : 0;
	}
	cached = mds_cache_find(&m->cache, ino);
	if (cached) {
		*i = *cached;
		return 0;
	}
	ret = mds_warm_get(tx, NULL, MDS_CF_INODE, key, mds_key_ino(key, ino), &val);
	if (ret)
		return ret;
	ret = mds_inode_decode(ino, val.data, val.len, i);
	weft_kv_val_fini(&val);
	if (!ret)
		mds_cache_put(&m->cache, i);
	return ret;
}

static int check_lock(struct mds_tx *tx, struct mds_lock_key key)
{
	tx->blocked = mds_lock_blocks(tx->m, key, tx->owner, false);
	return tx->blocked ? MDS_PARKED : 0;
}

static struct mds_node *tx_node(struct mds_tx *tx, u64 ino)
{
	struct mds_node *n;

	for (n = tx->nodes; n; n = n->next)
		if (n->i.ino == ino)
			return n;
	return NULL;
}

int mds_read_inode(struct mds_tx *tx, u64 ino, struct mds_inode *i)
{
	struct mds_node *n = tx_node(tx, ino);
	int ret;

	if (n) {
		*i = n->i;
		return n->dead ? -ENOENT : 0;
	}
	ret = check_lock(tx, mds_lock_inode(ino));
	return ret ? ret : load_inode(tx, ino, i);
}

int mds_tx_new(struct mds_tx *tx, u64 ino, struct mds_node **n)
{
	*n = calloc(1, sizeof(**n));
	if (!*n)
		return -ENOMEM;
	(*n)->i.ino = ino;
	(*n)->next = tx->nodes;
	tx->nodes = *n;
	return 0;
}

int mds_tx_inode(struct mds_tx *tx, u64 ino, struct mds_node **n)
{
	struct mds_inode i;
	int ret;

	*n = tx_node(tx, ino);
	if (*n)
		return (*n)->dead ? -ENOENT : 0;
	ret = mds_read_inode(tx, ino, &i);
	if (ret)
		return ret;
	ret = mds_tx_new(tx, ino, n);
	if (ret)
		return ret;
	(*n)->i = i;
	(*n)->prev_change = i.change;
	(*n)->prev_data = i.data_version;
	return 0;
}

/* The op has read this entry before; nothing changes while it runs. Else MDS_DEFER. */
static int seen_entry(const struct mds_tx *tx, u64 dir, const char *name, size_t len, u64 *ino,
		      u32 *type)
{
	u32 k, n = tx->nseen < MDS_TX_SEEN ? tx->nseen : MDS_TX_SEEN;

	for (k = 0; k < n; k++) {
		const struct mds_seen *s = &tx->seen[k];

		if (s->dir != dir || s->len != len || memcmp(s->name, name, len))
			continue;
		if (s->absent)
			return -ENOENT;
		*ino = s->ino;
		*type = s->type;
		return 0;
	}
	return MDS_DEFER;
}

int mds_read_dentry(struct mds_tx *tx, u64 dir, const char *name, size_t len, u64 *ino, u32 *type)
{
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	int ret;

	ret = check_lock(tx, mds_lock_entry(dir, name, len));
	if (ret)
		return ret;
	ret = seen_entry(tx, dir, name, len, ino, type);
	if (ret != MDS_DEFER)
		return ret;
	ret = mds_warm_get(tx, tx->m->batch.state == MDS_BUILD ? tx->m->batch.kvb : NULL,
			   MDS_CF_DENTRY, key, mds_key_dentry(key, dir, name, len), &val);
	if (!ret) {
		ret = mds_dentry_decode(val.data, val.len, ino, type);
		weft_kv_val_fini(&val);
	}
	if (!ret || ret == -ENOENT)
		tx->seen[tx->nseen++ % MDS_TX_SEEN] = (struct mds_seen){
			.dir = dir, .name = name, .len = len, .absent = ret != 0,
			.ino = ret ? 0 : *ino, .type = ret ? 0 : *type };
	return ret;
}
