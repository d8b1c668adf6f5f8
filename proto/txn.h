/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bodies of the operations between metadata groups: the logged two-phase commit that makes
 * mkdir, rmdir, rename, link and unlink over two or more groups atomic.
 *
 * The group of the request's directory coordinates. A transaction is named by its coordinator
 * and a number that the coordinator never uses again. PREPARE carries sub-operations (struct
 * weft_txn_sub, each followed by its name, padded to 8) in bulk; the answer carries a struct
 * weft_txn_result for each in bulk. An unknown transaction is aborted ("presumed abort").
 */
#ifndef WEFT_PROTO_TXN_H
#define WEFT_PROTO_TXN_H

#include "proto/meta.h"

struct weft_txn_id {
	__le32 group; /* coordinator */
	__le32 reserved;
	__le64 seq;
};
WEFT_ASSERT_SIZE(struct weft_txn_id, 16);

struct weft_txn_prepare_req {
	struct weft_txn_id id;
	struct weft_creds creds; /* groups in the tail */
	__le32 nsubs;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_txn_prepare_req, 40);

struct weft_txn_prepare_rep {
	__le32 nresults;
	__le32 failed; /* index of the sub-operation that hdr.status is about */
};
WEFT_ASSERT_SIZE(struct weft_txn_prepare_rep, 8);

struct weft_txn_req {
	struct weft_txn_id id;
};
WEFT_ASSERT_SIZE(struct weft_txn_req, 16);

enum weft_txn_state {
	WEFT_TXN_UNKNOWN = 0, /* never heard of, or aborted: drop it */
	WEFT_TXN_RUNNING = 1, /* not decided: ask again */
	WEFT_TXN_COMMITTED = 2,
};

struct weft_txn_rep {
	__le32 state; /* enum weft_txn_state */
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_txn_rep, 8);

/* RENAME_LOCK and UNLOCK at the group that owns shard 0; @id names the holder. */
struct weft_rename_lock_req {
	struct weft_txn_id id;
};
WEFT_ASSERT_SIZE(struct weft_rename_lock_req, 16);

#endif
