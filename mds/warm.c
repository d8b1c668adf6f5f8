// SPDX-License-Identifier: Apache-2.0
/*
 * Cold keys, see warm.h.
 *
 * Happy path: nearly all keys are in memory (RocksDB's memtables and block cache), and looking for
 * them there is the read itself. A key that is not makes the run end; the pool reads it, which puts
 * its block into the cache, and the op runs again from its beginning. Other ops go on meanwhile.
 *
 * An op waits so MDS_WARM_MAX times at most, in case its blocks go before it comes back. Work of
 * the server itself, other servers' requests and listings read the disk in place.
 *
 * Protection: the pool touches nothing but the store, whose end waits for it (mds_drain()).
 */
#include "mds/warm.h"

#include <stdlib.h>
#include <string.h>

#include "mds/mds.h"

bool mds_warm_may(const struct mds_op *op)
{
	return (op->desc->flags & MDS_OPF_NS) && !op->server && op->opcode != WEFT_OP_READDIR &&
	       op->warmed < MDS_WARM_MAX;
}

int mds_warm_get(struct mds_tx *tx, struct weft_kv_batch *b, enum mds_cf cf, const void *key,
		 size_t klen, struct weft_kv_val *val)
{
	struct mds_warm *w;
	int ret;

	if (tx->may_wait) {
		ret = weft_kv_peek(tx->m->kv, b, cf, key, klen, val);
		if (ret != -EAGAIN)
			return ret;
		w = malloc(sizeof(*w) + klen);
		if (w) {
			w->m = tx->m;
			w->kv = tx->m->kv;
			w->cf = cf;
			w->klen = klen;
			memcpy(w->key, key, klen);
			free(tx->warm);
			tx->warm = w;
			tx->blocked = NULL;
			return MDS_PARKED;
		}
	}
	return b ? weft_kv_batch_get(b, cf, key, klen, val) :
		   weft_kv_get(tx->m->kv, cf, key, klen, val);
}

static void warm_read(void *arg)
{
	struct mds_warm *w = arg;
	struct weft_kv_val val;

	/* An error is met again, and told, by the op. */
	if (!weft_kv_get(w->kv, w->cf, w->key, w->klen, &val))
		weft_kv_val_fini(&val);
}

static void warm_unlink(struct mds_warm *w)
{
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
}

static void warm_done(void *arg)
{
	struct mds_warm *w = arg;

	if (w->op) {
		warm_unlink(w);
		mds_submit(w->op);
	}
	free(w);
}

void mds_warm_start(struct mds_warm *w, struct mds_op *op)
{
	struct mds *m = op->m;

	op->warmed++;
	m->stats.cold++;
	w->op = op;
	w->next = m->warms;
	if (w->next)
		w->next->prev = &w->next;
	w->prev = &m->warms;
	m->warms = w;
	w->work.fn = warm_read;
	w->work.done = warm_done;
	w->work.arg = w;
	weft_env_work(m->env, &w->work);
}

void mds_warm_fini(struct mds *m)
{
	while (m->warms) {
		struct mds_warm *w = m->warms;

		warm_unlink(w);
		w->op = NULL;
	}
}
