/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bodies of the operations between metadata groups: the logged two-phase commit that makes
 * mkdir, rmdir, rename, link and unlink over two or more groups atomic.
 *
 * The group of the request's directory coordinates. A transaction is named by its coordinator
 * and a number that the coordinator never uses again. PREPARE carries sub-operations (struct
 * weft_txn_sub, each followed by its name, padded to 8) in bulk; the answer carries a struct
 * weft_attr_rep for each in bulk: the inode changed as it will be. An unknown transaction is
 * aborted ("presumed abort").
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

/* @now: time of the change, the same for all inodes that it touches */
struct weft_txn_prepare_req {
	struct weft_txn_id id;
	struct weft_creds creds; /* groups in the tail */
	struct weft_time now;
	__le32 nsubs;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_txn_prepare_req, 56);

/*
 * Every change of the namespace is a list of these:
 * ENTRY: in directory @ino the name stands for @old_ino (0: nothing) and shall stand for @new_ino
 *   (0: nothing) of type @mode. Anything else found there: WEFT_S_BUSY, look again.
 * MAKE: a new inode on @shard; only directories are made on another group than their entry's.
 * EDIT: @nlink (signed) is added to the links of @ino; at 0 it goes. A directory goes at -1.
 */
enum weft_sub_kind { WEFT_SUB_ENTRY = 1, WEFT_SUB_MAKE = 2, WEFT_SUB_EDIT = 3 };

#define WEFT_SUB_STICKY 0x0001	   /* EDIT: for the inode's owner, user @uid, or CAP_FOWNER */
#define WEFT_SUB_MUST_DIR 0x0002   /* EDIT: ENOTDIR if it is none */
#define WEFT_SUB_NOT_DIR 0x0004	   /* EDIT: EISDIR if it is one */
#define WEFT_SUB_MUST_WRITE 0x0008 /* EDIT: write permission on the inode (moved directory) */
#define WEFT_SUB_SET_PARENT 0x0010 /* EDIT: a directory's parent becomes @parent */
#define WEFT_SUB_OPEN 0x0020	   /* EDIT: @session has it open as @open_id */
#define WEFT_SUB_KNOWN 0x003f

#define WEFT_TXN_SUBS_MAX 8

struct weft_txn_sub {
	__u8 kind; /* enum weft_sub_kind */
	__u8 reserved;
	__le16 name_len; /* ENTRY; the name follows, padded to 8 */
	__le32 flags; /* WEFT_SUB_* */
	__le64 ino;
	__le64 old_ino, new_ino;
	__le64 parent;
	__le64 session; /* the client on whose behalf */
	__le64 open_id;
	__le32 shard;
	__le32 mode;
	__le32 uid, gid;
	__le32 nlink;
	__le32 reserved2;
	struct weft_layout layout; /* MAKE */
};
WEFT_ASSERT_SIZE(struct weft_txn_sub, 96);

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
