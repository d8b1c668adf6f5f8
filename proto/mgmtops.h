/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bodies of the fixed-layout operations that management serves to everybody, the kernel included.
 * Everything else that management does is protobuf inside ADMIN (proto/mgmt.proto).
 */
#ifndef WEFT_PROTO_MGMTOPS_H
#define WEFT_PROTO_MGMTOPS_H

#include "proto/wire.h"

/*
 * MAP_GET: the map (proto/map.h) in bulk if it is newer than @have_epoch, else no bulk.
 * SUBSCRIBE: from now on MAP_PUSH tells of each new epoch; the receiver then fetches it.
 *
 * A client (hdr.session is its id) that subscribes also says what carries its requests to metadata
 * and data servers now, and asks again when that changes: management shows the last it heard for
 * as long as the connection lives.
 */
struct weft_map_get_req {
	__le64 have_epoch;
	__le32 flags;	  /* WEFT_MAP_* */
	__le32 fallbacks; /* of the client, from RDMA to TCP, since its mount */
};
WEFT_ASSERT_SIZE(struct weft_map_get_req, 16);
#define WEFT_MAP_SUBSCRIBE 0x0001
#define WEFT_MAP_BY_TCP 0x0002	  /* it has connections of TCP */
#define WEFT_MAP_BY_RDMA 0x0004	  /* and of RDMA */
#define WEFT_MAP_FALLEN_BACK 0x0008 /* by TCP where RDMA was preferred, and does not work */
#define WEFT_MAP_TRANSPORT (WEFT_MAP_BY_TCP | WEFT_MAP_BY_RDMA | WEFT_MAP_FALLEN_BACK)

/* @map_len: bytes of the whole map; if hdr.bulk_max was smaller, nothing is sent. */
struct weft_map_get_rep {
	__le64 epoch;
	__le32 map_len;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_map_get_rep, 16);

struct weft_map_push {
	__le64 epoch;
};
WEFT_ASSERT_SIZE(struct weft_map_push, 8);

/* CLIENT_REGISTER: a new client id; the host name (name_len bytes) is in the tail. */
struct weft_client_reg_req {
	__le64 incarnation; /* random; the same one gets the same id again (a lost reply) */
	__le16 name_len;
	__le16 reserved[3];
};
WEFT_ASSERT_SIZE(struct weft_client_reg_req, 16);

struct weft_client_reg_rep {
	__le64 session;
};
WEFT_ASSERT_SIZE(struct weft_client_reg_rep, 8);

struct weft_statfs_req {
	__le32 pool; /* 0: the whole file system */
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_statfs_req, 8);

/* From the servers' last heartbeats. */
struct weft_statfs_rep {
	__le64 bytes_total, bytes_free;
	__le64 inodes_total, inodes_free;
};
WEFT_ASSERT_SIZE(struct weft_statfs_rep, 32);

#endif
