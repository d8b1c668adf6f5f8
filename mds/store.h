/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a metadata target keeps on disk: column families, keys, records.
 *
 *	meta	'V'			struct mds_super_rec
 *		'C' be64 shard		__le64: first inode counter of the shard not given out
 *		'T'			__le64: incarnation of the target, one more at each start
 *		'E'			__le64: session that may have the SOLE lease, 0: none
 *		'S' be64 session	struct mds_session_rec, host name
 *		'O' be64 ino		nothing: an inode without names that may be open
 *		'P' be64 number		struct mds_purge_rec: objects to delete
 *		'U' be64 ino		struct mds_cut_rec: objects to cut (truncate under way)
 *		'L'			struct weft_txn_id: holder of the cluster's rename lock
 *	inode	be64 ino		struct mds_inode_rec
 *	dentry	be64 dir, be64 name hash, name	struct mds_dentry_rec
 *	xattr	be64 ino, name		value
 *	inline	be64 ino		bytes of a small file (may be shorter than its size: zeros
 *					follow) or the target of a symbolic link
 *	slots	be64 session, be32 slot	struct mds_slot_rec, body of the reply
 *	txn	'P' be32 group, be64 seq	prepared transaction, see txn_log.c
 *		'D' be64 seq		decision: __le32 ids of groups that have not confirmed it
 *
 * Keys are big endian so that their order is that of the numbers; values are little endian and
 * open with a version.
 */
#ifndef WEFT_MDS_STORE_H
#define WEFT_MDS_STORE_H

#include "common/kv.h"
#include "proto/meta.h"
#include "proto/txn.h"

enum mds_cf {
	MDS_CF_META,
	MDS_CF_INODE,
	MDS_CF_DENTRY,
	MDS_CF_XATTR,
	MDS_CF_INLINE,
	MDS_CF_SLOTS,
	MDS_CF_TXN,
	MDS_NCF
};

#define MDS_STORE_VERSION 1
#define MDS_REC_VERSION 1
#define MDS_KEY_MAX (16 + WEFT_NAME_MAX)

struct mds_super_rec {
	__le32 version;
	__le32 reserved;
	__u8 fsid[16];
	__u8 uuid[16];
};
WEFT_ASSERT_SIZE(struct mds_super_rec, 40);

struct mds_inode_rec {
	__le32 version;
	__le32 flags; /* MDS_INO_* */
	__le64 spill_session;
	struct weft_attr attr;
};
WEFT_ASSERT_SIZE(struct mds_inode_rec, 168);

#define MDS_INO_XATTR 0x0001	/* has or had extended attributes */
#define MDS_INO_LINKABLE 0x0002 /* O_TMPFILE: no name yet, but one may be given */
#define MDS_INO_DATA 0x0004	/* has or had a record in MDS_CF_INLINE */
#define MDS_INO_KNOWN 0x0007

struct mds_dentry_rec {
	__u8 version;
	__u8 type; /* S_IFMT of the mode >> 12 */
	__u8 reserved[6];
	__le64 ino;
};
WEFT_ASSERT_SIZE(struct mds_dentry_rec, 16);

struct mds_session_rec {
	__le32 version;
	__le16 slots;
	__le16 name_len;
	__le64 incarnation;
};
WEFT_ASSERT_SIZE(struct mds_session_rec, 16);

struct mds_slot_rec {
	__le32 version;
	__le32 seq;
	__le32 status;
	__le16 opcode;
	__le16 body_len;
};
WEFT_ASSERT_SIZE(struct mds_slot_rec, 16);

struct mds_purge_rec {
	__le32 version;
	__le32 reserved;
	__le64 ino;
	struct weft_layout layout;
};
WEFT_ASSERT_SIZE(struct mds_purge_rec, 32);

/*
 * With a slot the body of the reply follows; it begins with the attributes, as they are in @after.
 * Bytes that are freed by the cut are not taken off in either.
 */
struct mds_cut_rec {
	__le32 version;
	__le32 kind; /* enum mds_cut_kind */
	__le64 session;
	__le32 slot, slot_seq; /* slot_seq 0: no reply */
	__le16 opcode;
	__le16 body_len;
	__le32 reserved;
	struct mds_inode_rec after; /* the inode when all is done */
};
WEFT_ASSERT_SIZE(struct mds_cut_rec, 200);

struct mds_time {
	s64 sec;
	u32 nsec;
};

/* An inode in memory. */
struct mds_inode {
	u64 ino;
	u64 size; /* directories: number of entries */
	u64 bytes_used;
	u64 change;
	u64 data_version;
	u64 parent;
	struct mds_time atime, mtime, ctime, btime;
	u32 mode, uid, gid, nlink;
	u32 rdev_major, rdev_minor;
	u32 pool;
	u8 chunk_shift;
	u8 lflags; /* WEFT_LAYOUT_* */
	u16 width;
	u32 seed;
	u32 inline_max;
	u32 flags; /* MDS_INO_* */
	u64 spill_session; /* with WEFT_LAYOUT_SPILLING: who writes the chunks */
};

/**
 * mds_store_open() - open or make the store of a target
 * @path: directory of the store
 * @fsid: file system that the target belongs to
 * @uuid: the target's own id
 * @create: make it; else it must be there
 * @cache: bytes of its block cache, 0: a sixteenth of the memory
 * @out: the store
 * @err: a sentence when it fails
 *
 * Return: 0; -EXDEV (a store of another target), -EPROTONOSUPPORT (newer format), -EUCLEAN
 * (corrupt), or another negative errno.
 */
int mds_store_open(const char *path, const u8 fsid[16], const u8 uuid[16], bool create,
		   size_t cache, struct weft_kv **out, char err[WEFT_KV_ERR_MAX]);

/**
 * mds_store_read() - open a store to look at it
 * @path: directory of the store
 * @out: the store
 * @err: a sentence when it fails
 *
 * Return: 0 or a negative errno.
 */
int mds_store_read(const char *path, struct weft_kv **out, char err[WEFT_KV_ERR_MAX]);

/* Keys: each fills @buf (at least MDS_KEY_MAX bytes) and returns the length. */
size_t mds_key_meta(char *buf, char tag, u64 nr);
size_t mds_key_ino(char *buf, u64 ino);
size_t mds_key_name(char *buf, u64 ino, const char *name, size_t len);
size_t mds_key_dentry(char *buf, u64 dir, const char *name, size_t len);
size_t mds_key_slot(char *buf, u64 session, u32 slot);
size_t mds_key_prepared(char *buf, u32 group, u64 seq);

/* mds_be64() - read a big-endian number out of a key */
u64 mds_be64(const void *p);
u32 mds_be32(const void *p);
void mds_put_be64(void *p, u64 v);

/* mds_inode_attr() - an inode as clients see it */
void mds_inode_attr(const struct mds_inode *i, struct weft_attr *a);

/* mds_inode_layout() - its layout as clients see it */
void mds_inode_layout(const struct mds_inode *i, struct weft_layout *l);

/* mds_inode_encode() - an inode as it is stored */
void mds_inode_encode(const struct mds_inode *i, struct mds_inode_rec *r);

/**
 * mds_inode_decode() - read a stored inode
 * @ino: its number
 * @buf: the record
 * @len: its length
 * @i: filled in
 *
 * Return: 0 or -EUCLEAN.
 */
int mds_inode_decode(u64 ino, const void *buf, size_t len, struct mds_inode *i);

/* mds_dentry_decode() - read a stored entry. Return: 0 or -EUCLEAN. */
int mds_dentry_decode(const void *buf, size_t len, u64 *ino, u32 *type);

static inline u32 mds_type(u32 mode)
{
	return mode & 0170000;
}

static inline bool mds_is_dir(u32 mode)
{
	return mds_type(mode) == 0040000;
}

static inline bool mds_is_reg(u32 mode)
{
	return mds_type(mode) == 0100000;
}

static inline bool mds_is_lnk(u32 mode)
{
	return mds_type(mode) == 0120000;
}

#endif
