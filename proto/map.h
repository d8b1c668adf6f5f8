/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The cluster map: one versioned object that everybody has.
 *
 * One encoding for kernel and user space: a header, then the tables in this order, each packed
 * without gaps: nodes, rails, targets, groups, members, shards (__le32 group id per virtual
 * shard), pools, pool groups (__le32 group id each). weft_map_check() verifies everything that
 * can be verified without knowing more (lengths, counts, every index in range, checksum), so
 * that users of a checked map need no further bounds checks.
 */
#ifndef WEFT_PROTO_MAP_H
#define WEFT_PROTO_MAP_H

#include "proto/types.h"

#define WEFT_MAP_MAGIC 0x50414d57u /* "WMAP" */
#define WEFT_MAP_VERSION 1
#define WEFT_MAP_LEN_MAX (4u << 20)
#define WEFT_SHARDS_MAX 65536
#define WEFT_SHARDS_DEFAULT 4096

struct weft_map_hdr {
	__le32 len; /* of the whole map */
	__le16 version;
	__le16 flags; /* WEFT_MAP_F_* */
	__le32 magic;
	__le32 crc; /* crc32c of the map with this field 0 */
	__u8 fsid[16];
	__le64 epoch;
	__le32 nnodes, nrails, ntargets, ngroups, nmembers, nshards, npools, npool_groups;
	__u8 name[32]; /* file system name, NUL padded */
};
WEFT_ASSERT_SIZE(struct weft_map_hdr, 104);

/* The root directory has not been made yet: the group that owns shard 0 makes it, tells. */
#define WEFT_MAP_F_ROOT_PENDING 0x0001
/* Groups and shards are laid out: the file system can be mounted. */
#define WEFT_MAP_F_ACTIVE 0x0002

enum weft_state { WEFT_DOWN = 0, WEFT_UP = 1 };

struct weft_map_node {
	__le32 id; /* 1.. */
	__le32 first_rail;
	__le16 nrails;
	__u8 state; /* enum weft_state */
	__u8 reserved[5];
	__u8 uuid[16];
	__u8 name[64];	 /* NUL padded */
	__u8 domain[64]; /* fault domain path such as "row1/rack2/node3", NUL padded */
};
WEFT_ASSERT_SIZE(struct weft_map_node, 160);

enum weft_rail_kind { WEFT_RAIL_TCP = 1, WEFT_RAIL_RDMA = 2 };

struct weft_map_rail {
	__u8 kind; /* enum weft_rail_kind */
	__u8 reserved;
	__le16 port;
	__le32 reserved2;
	__u8 addr[16]; /* IPv6, or IPv4-mapped (::ffff:a.b.c.d) */
};
WEFT_ASSERT_SIZE(struct weft_map_rail, 24);

enum weft_target_kind { WEFT_MDT = 1, WEFT_OST = 2 };

struct weft_map_target {
	__le32 id; /* 1.. */
	__le32 node; /* node id */
	__u8 kind; /* enum weft_target_kind */
	__u8 state; /* enum weft_state */
	__le16 reserved;
	__le32 pool; /* 0: none */
	__le64 capacity; /* bytes */
	__u8 uuid[16];
};
WEFT_ASSERT_SIZE(struct weft_map_target, 40);

struct weft_map_group {
	__le32 id; /* 1.. */
	__le32 epoch;
	__le32 first_member;
	__le16 nmembers;
	__u8 kind; /* enum weft_target_kind */
	__u8 reserved;
};
WEFT_ASSERT_SIZE(struct weft_map_group, 16);

enum weft_member_state {
	WEFT_OFFLINE = 0,
	WEFT_IN_SYNC = 1, /* the first one in sync is the primary */
	WEFT_SYNCING = 2,
	WEFT_LAST = 3, /* down, and the last one that was in sync */
};

struct weft_map_member {
	__le32 target; /* target id */
	__u8 state; /* enum weft_member_state */
	__u8 reserved[3];
};
WEFT_ASSERT_SIZE(struct weft_map_member, 8);

enum weft_redundancy { WEFT_REPLICA = 1, WEFT_EC = 2 };

struct weft_map_pool {
	__le32 id; /* 1..; 1 is the default pool */
	__le32 first_group; /* index into the pool groups */
	__le32 ngroups;
	__u8 redundancy; /* enum weft_redundancy */
	__u8 k, m;	 /* REPLICA: k copies, m = 0 */
	__u8 chunk_shift;
	__u8 name[32];
};
WEFT_ASSERT_SIZE(struct weft_map_pool, 48);

/**
 * struct weft_map_view - pointers into a checked map
 * @hdr: the map itself; the owner keeps it alive and 8-byte aligned
 */
struct weft_map_view {
	const struct weft_map_hdr *hdr;
	const struct weft_map_node *nodes;
	const struct weft_map_rail *rails;
	const struct weft_map_target *targets;
	const struct weft_map_group *groups;
	const struct weft_map_member *members;
	const __le32 *shards;
	const struct weft_map_pool *pools;
	const __le32 *pool_groups;
	u32 nnodes, nrails, ntargets, ngroups, nmembers, nshards, npools, npool_groups;
};

/* crc32c(seed, data, len) of the environment: seed ~0, result inverted by the caller. */
typedef u32 (*weft_crc32c_fn)(u32 crc, const void *data, size_t len);

/**
 * weft_map_check() - verify an encoded map and find its tables
 * @v: out: view into @buf
 * @buf: the map, 8-byte aligned
 * @len: bytes in @buf
 * @crc32c: raw crc32c update function, or NULL to leave the checksum unchecked (the encoder)
 *
 * Return: 0, -EBADMSG if it is not a well-formed map, -EPROTONOSUPPORT for an unknown version.
 */
int weft_map_check(struct weft_map_view *v, const void *buf, size_t len, weft_crc32c_fn crc32c);

/* Each returns NULL if there is no such id. O(1) where ids are dense, O(n) at worst. */
const struct weft_map_node *weft_map_node(const struct weft_map_view *v, u32 id);
const struct weft_map_target *weft_map_target(const struct weft_map_view *v, u32 id);
const struct weft_map_group *weft_map_group(const struct weft_map_view *v, u32 id);
const struct weft_map_pool *weft_map_pool(const struct weft_map_view *v, u32 id);

/* weft_map_shard_group() - id of the metadata group that has the shard of @ino; 0: none */
u32 weft_map_shard_group(const struct weft_map_view *v, u64 ino);

/* weft_map_primary() - target id of a group's first in-sync member; 0: none */
u32 weft_map_primary(const struct weft_map_view *v, const struct weft_map_group *g);

struct weft_layout;

/**
 * weft_map_chunk_group() - the data group of a chunk
 * @v: checked map
 * @layout: the file's layout
 * @chunk: index of the chunk
 *
 * Return: group id, or 0 if the pool does not exist or has no groups.
 */
u32 weft_map_chunk_group(const struct weft_map_view *v, const struct weft_layout *layout,
			 u64 chunk);

#endif
