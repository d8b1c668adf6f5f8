/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that would have to be read from the disk are read by the thread pool: the owner goes on.
 */
#ifndef WEFT_MDS_WARM_H
#define WEFT_MDS_WARM_H

#include "common/env.h"
#include "mds/batch.h"

#define MDS_WARM_MAX 16u /* keys that an op waits for; then it reads by itself */

/**
 * struct mds_warm - a key that is read for an op
 * @next: in mds.warms
 * @prev: link that points here
 * @m: the target
 * @op: what runs again afterwards; NULL: the target is gone
 * @work: reads it
 * @cf: column family
 * @klen: length of @key
 * @key: the key
 */
struct mds_warm {
	struct mds_warm *next, **prev;
	struct mds *m;
	struct mds_op *op;
	struct weft_kv *kv;
	struct weft_work work;
	u8 cf;
	u32 klen;
	char key[];
};

/**
 * mds_warm_get() - read a key for an op, if that needs no disk or cannot be waited for
 * @tx: the transaction of the op
 * @b: see its changes too, or NULL
 * @cf: column family
 * @key: the key
 * @klen: its length
 * @val: the value
 *
 * Return: as weft_kv_get(), or MDS_PARKED: tx->warm says what is to be read first.
 */
int mds_warm_get(struct mds_tx *tx, struct weft_kv_batch *b, enum mds_cf cf, const void *key,
		 size_t klen, struct weft_kv_val *val);

/* mds_warm_may() - may this op wait in the middle of its run? */
bool mds_warm_may(const struct mds_op *op);

/**
 * mds_warm_start() - read a key in the pool, then run the op again
 * @w: the key, taken from the op's transaction
 * @op: the op, whose run ended with MDS_PARKED
 */
void mds_warm_start(struct mds_warm *w, struct mds_op *op);

/* mds_warm_fini() - the target goes: what is being read belongs to nobody */
void mds_warm_fini(struct mds *m);

#endif
