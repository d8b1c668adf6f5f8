/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The weft message: header, opcodes, statuses, INIT negotiation.
 *
 * A message is a fixed header, a fixed body and a variable tail; bulk data is described by the
 * header (bulk_len, bulk_max, segments) and never embedded in the message:
 *
 *	| weft_hdr (96) | body (body_len) | tail | nsegs * weft_seg |  then, on TCP, bulk_len bytes
 *	|<------------------------ hdr.len ------------------------>|
 *
 * On TCP nsegs is 0 and bulk follows the message on the stream. On RDMA the requester describes
 * its memory in segments and the server moves the bytes with RDMA READ or RDMA WRITE.
 *
 * All integers are little endian. A peer's value is an input, never an invariant: whoever decodes
 * checks lengths with proto/cursor.h and refuses what it does not know.
 *
 * Changelog of the wire version:
 *   1  first version
 */
#ifndef WEFT_PROTO_WIRE_H
#define WEFT_PROTO_WIRE_H

#include "proto/types.h"

#define WEFT_MAGIC 0x54464557u /* "WEFT" on the wire */
#define WEFT_WIRE_VERSION 1
#define WEFT_WIRE_VERSION_MIN 1
#define WEFT_DEFAULT_PORT 7420

#define WEFT_NAME_MAX 255	  /* bytes in one name */
#define WEFT_SYMLINK_MAX 4095	  /* bytes in a symbolic link's target */
#define WEFT_XATTR_VALUE_MAX 65536 /* bytes in one extended attribute */
#define WEFT_XATTR_LIST_MAX 65536
#define WEFT_GROUPS_MAX 1024	  /* supplementary groups in one request */
#define WEFT_MSG_MAX 16384	  /* header + body + tail + segments */
#define WEFT_BULK_MAX (4u << 20)  /* bulk bytes of one request or reply */
#define WEFT_SEGS_MAX 64
#define WEFT_SLOTS_MAX 256	  /* request slots of one session at one group */
#define WEFT_LEASE_MS 15000	  /* default lease of a session */

/*
 * Sequence numbers of a slot count from 1 and wrap: behind 0xffffffff comes 1, since 0 means "none".
 * They are compared modulo 2^32.
 */

/* weft_slot_next() - the number of a slot's next request. @seq: of its last one, 0: none yet */
static inline u32 weft_slot_next(u32 seq)
{
	return seq + 1 ? seq + 1 : 1;
}

/* weft_slot_older() - is @seq older than @last, the slot's last one (0: none yet)? */
static inline int weft_slot_older(u32 seq, u32 last)
{
	return last && (s32)(seq - last) < 0;
}

/* Flags of a message. */
#define WEFT_MF_REPLY 0x0001	/* answers the request with the same request_id */
#define WEFT_MF_PUSH 0x0002	/* server to client, no reply is sent for it */
#define WEFT_MF_REPLAY 0x0004	/* may have been sent before (after a reconnect) */
#define WEFT_MF_SLOT 0x0008	/* slot and slot_seq are valid */
#define WEFT_MF_BULK_CRC 0x0010 /* bulk_crc holds crc32c of the bulk; a reply should carry it too */
#define WEFT_MF_KNOWN 0x001f

/**
 * struct weft_hdr - opens every message
 * @len: bytes of header, body, tail and segments together; bulk is not counted
 * @version: wire version that INIT agreed upon (INIT itself: the sender's newest)
 * @flags: WEFT_MF_*
 * @magic: WEFT_MAGIC
 * @opcode: enum weft_op
 * @body_len: bytes of the fixed body; a newer peer may send a longer body than we know
 * @request_id: chosen by the requester, unique per client incarnation, kept over replays
 * @session: client id (0: none yet; servers: a number with WEFT_SESSION_SERVER)
 * @epoch: map epoch that the request was computed from; in replies: the server's epoch
 * @group: group that the request is meant for (0: the node or target itself)
 * @slot: request slot, valid with WEFT_MF_SLOT
 * @slot_seq: sequence number within the slot, starts at 1, 1 more for each new request
 * @status: replies: 0, an errno (Linux numbers) or WEFT_S_*; requests: 0
 * @bulk_len: bytes of bulk that go with this message
 * @bulk_max: requests: the most bulk bytes that the reply may carry
 * @bulk_crc: crc32c of the bulk, valid with WEFT_MF_BULK_CRC
 * @credits: replies: how many requests beyond the ones outstanding may now be sent
 * @nsegs: number of struct weft_seg at the end of the message
 * @reserved: 0
 */
struct weft_hdr {
	__le32 len;
	__le16 version;
	__le16 flags;
	__le32 magic;
	__le16 opcode;
	__le16 body_len;
	__le64 request_id;
	__le64 session;
	__le64 epoch;
	__le32 group;
	__le32 slot;
	__le32 slot_seq;
	__le32 status;
	__le32 bulk_len;
	__le32 bulk_max;
	__le32 bulk_crc;
	__le16 credits;
	__le16 nsegs;
	__u8 reserved[24];
};
WEFT_ASSERT_SIZE(struct weft_hdr, 96);
WEFT_ASSERT_OFFSET(struct weft_hdr, request_id, 16);
WEFT_ASSERT_OFFSET(struct weft_hdr, status, 52);

#define WEFT_SESSION_SERVER (1ull << 63) /* session ids of servers that act as clients */

/* A piece of the requester's memory (RDMA only). */
struct weft_seg {
	__le64 addr;
	__le32 len;
	__le32 rkey;
};
WEFT_ASSERT_SIZE(struct weft_seg, 16);

/* weft's own statuses; below 1000 a status is a Linux errno. */
enum weft_status {
	WEFT_S_STALE_MAP = 1000, /* the server knows a newer map: refetch, retry */
	WEFT_S_NOT_PRIMARY,	 /* this target does not lead that group now: refetch, retry */
	WEFT_S_BAD_SESSION,	 /* session unknown here: open it (again) and retry */
	WEFT_S_BUSY,		 /* a conflicting operation is under way: retry after a pause */
	WEFT_S_SLOT_OLD,	 /* slot_seq is older than the slot's last: a late duplicate */
	WEFT_S_LAYOUT,		 /* the file's layout changed (spilled): refetch attributes */
	WEFT_S_VERSION,		 /* no common wire version */
	WEFT_S_FSID,		 /* peer belongs to another file system */
	WEFT_S_NO_TARGET,	 /* INIT named a target that is not here */
	WEFT_S_AUTH,		 /* authentication missing or wrong */
	WEFT_S_MALFORMED,	 /* the request could not be decoded; the connection is closed */
	WEFT_S_RECOVERY,	 /* server is recovering (sessions reclaim): retry after a pause */
	WEFT_S_CRC,		 /* bulk_crc did not match: send again */
	WEFT_S_NOT_LEADER,	 /* management: this one does not lead (reply body says who does) */
};

/* Who serves an operation. */
#define WEFT_OC_ANY 0x0001
#define WEFT_OC_MGMT 0x0002
#define WEFT_OC_MDS 0x0004
#define WEFT_OC_OSS 0x0008
#define WEFT_OC_CLIENT 0x0010 /* pushes */
/* What kind of operation it is. */
#define WEFT_OF_SLOT 0x0100	/* modifies: must carry a slot; applied exactly once */
#define WEFT_OF_BULK_OUT 0x0200 /* the request may carry bulk */
#define WEFT_OF_BULK_IN 0x0400	/* the reply may carry bulk */
#define WEFT_OF_PUSH 0x0800	/* one way, server to client */

/*
 * The table of operations: X(NAME, number, request body, reply body, flags).
 * Numbers are never reused. struct weft_none means: no body.
 */
#define WEFT_OPS(X) \
	X(INIT, 1, struct weft_init_req, struct weft_init_rep, WEFT_OC_ANY) \
	X(AUTH, 2, struct weft_auth_req, struct weft_none, WEFT_OC_ANY) \
	X(PING, 3, struct weft_none, struct weft_none, WEFT_OC_ANY) \
	X(ADMIN, 4, struct weft_admin_req, struct weft_none, \
	  WEFT_OC_ANY | WEFT_OF_BULK_OUT | WEFT_OF_BULK_IN) \
\
	X(MAP_GET, 16, struct weft_map_get_req, struct weft_map_get_rep, \
	  WEFT_OC_MGMT | WEFT_OF_BULK_IN) \
	X(MAP_PUSH, 17, struct weft_map_push, struct weft_none, WEFT_OC_CLIENT | WEFT_OF_PUSH) \
	X(CLIENT_REGISTER, 18, struct weft_client_reg_req, struct weft_client_reg_rep, \
	  WEFT_OC_MGMT) \
	X(STATFS, 19, struct weft_statfs_req, struct weft_statfs_rep, WEFT_OC_MGMT) \
\
	X(SESSION_OPEN, 32, struct weft_session_open_req, struct weft_session_open_rep, \
	  WEFT_OC_MDS) \
	X(SESSION_CLOSE, 33, struct weft_none, struct weft_none, WEFT_OC_MDS) \
	X(KEEPALIVE, 34, struct weft_none, struct weft_keepalive_rep, WEFT_OC_MDS) \
	X(RECLAIM, 35, struct weft_opens_req, struct weft_opens_rep, WEFT_OC_MDS) \
	X(LEASE_RECALL, 36, struct weft_lease_push, struct weft_none, \
	  WEFT_OC_CLIENT | WEFT_OF_PUSH) \
	X(LEASE_GRANT, 37, struct weft_lease_push, struct weft_none, \
	  WEFT_OC_CLIENT | WEFT_OF_PUSH) \
	X(LEASE_ACK, 38, struct weft_lease_ack_req, struct weft_none, WEFT_OC_MDS) \
\
	X(LOOKUP, 64, struct weft_ns_req, struct weft_entry_rep, \
	  WEFT_OC_MDS | WEFT_OF_BULK_IN) \
	X(GETATTR, 65, struct weft_ns_req, struct weft_attr_rep, \
	  WEFT_OC_MDS | WEFT_OF_BULK_IN) \
	X(SETATTR, 66, struct weft_setattr_req, struct weft_attr_rep, WEFT_OC_MDS | WEFT_OF_SLOT) \
	X(OPEN, 67, struct weft_open_req, struct weft_entry_rep, \
	  WEFT_OC_MDS | WEFT_OF_SLOT | WEFT_OF_BULK_IN) \
	X(CLOSE, 68, struct weft_opens_req, struct weft_none, WEFT_OC_MDS) \
	X(CREATE, 69, struct weft_create_req, struct weft_entry_rep, WEFT_OC_MDS | WEFT_OF_SLOT) \
	X(UNLINK, 70, struct weft_ns_req, struct weft_entry_rep, WEFT_OC_MDS | WEFT_OF_SLOT) \
	X(RMDIR, 71, struct weft_ns_req, struct weft_entry_rep, WEFT_OC_MDS | WEFT_OF_SLOT) \
	X(LINK, 72, struct weft_link_req, struct weft_entry_rep, WEFT_OC_MDS | WEFT_OF_SLOT) \
	X(RENAME, 73, struct weft_rename_req, struct weft_rename_rep, \
	  WEFT_OC_MDS | WEFT_OF_SLOT) \
	X(READDIR, 74, struct weft_readdir_req, struct weft_readdir_rep, \
	  WEFT_OC_MDS | WEFT_OF_BULK_IN) \
	X(GETXATTR, 75, struct weft_xattr_req, struct weft_xattr_rep, \
	  WEFT_OC_MDS | WEFT_OF_BULK_IN) \
	X(SETXATTR, 76, struct weft_xattr_req, struct weft_attr_rep, \
	  WEFT_OC_MDS | WEFT_OF_SLOT | WEFT_OF_BULK_OUT) \
	X(LISTXATTR, 77, struct weft_xattr_req, struct weft_xattr_rep, \
	  WEFT_OC_MDS | WEFT_OF_BULK_IN) \
	X(READ_INLINE, 78, struct weft_ns_req, struct weft_attr_rep, \
	  WEFT_OC_MDS | WEFT_OF_BULK_IN) \
	X(WRITE_INLINE, 79, struct weft_write_req, struct weft_attr_rep, \
	  WEFT_OC_MDS | WEFT_OF_SLOT | WEFT_OF_BULK_OUT) \
	X(COMMIT, 80, struct weft_write_req, struct weft_attr_rep, WEFT_OC_MDS | WEFT_OF_SLOT) \
	X(SPILL, 81, struct weft_write_req, struct weft_attr_rep, WEFT_OC_MDS | WEFT_OF_SLOT) \
\
	X(TXN_PREPARE, 112, struct weft_txn_prepare_req, struct weft_txn_prepare_rep, \
	  WEFT_OC_MDS | WEFT_OF_BULK_OUT | WEFT_OF_BULK_IN) \
	X(TXN_COMMIT, 113, struct weft_txn_req, struct weft_txn_rep, WEFT_OC_MDS) \
	X(TXN_ABORT, 114, struct weft_txn_req, struct weft_txn_rep, WEFT_OC_MDS) \
	X(TXN_STATUS, 115, struct weft_txn_req, struct weft_txn_rep, WEFT_OC_MDS) \
	X(RENAME_LOCK, 116, struct weft_rename_lock_req, struct weft_none, WEFT_OC_MDS) \
	X(RENAME_UNLOCK, 117, struct weft_rename_lock_req, struct weft_none, WEFT_OC_MDS) \
\
	X(OBJ_READ, 160, struct weft_obj_req, struct weft_obj_rep, \
	  WEFT_OC_OSS | WEFT_OF_BULK_IN) \
	X(OBJ_WRITE, 161, struct weft_obj_req, struct weft_obj_rep, \
	  WEFT_OC_OSS | WEFT_OF_SLOT | WEFT_OF_BULK_OUT) \
	X(OBJ_TRUNCATE, 162, struct weft_obj_req, struct weft_obj_rep, \
	  WEFT_OC_OSS | WEFT_OF_SLOT) \
	X(OBJ_ZERO, 163, struct weft_obj_req, struct weft_obj_rep, WEFT_OC_OSS | WEFT_OF_SLOT) \
	X(OBJ_SEEK, 164, struct weft_obj_req, struct weft_obj_rep, WEFT_OC_OSS)

#define WEFT_OP_ENUM(name, nr, req, rep, flags) WEFT_OP_##name = (nr),
enum weft_op { WEFT_OPS(WEFT_OP_ENUM) WEFT_OP_LIMIT = 256 };
#undef WEFT_OP_ENUM

/* A message without a body has body_len 0; this only stands in the table. */
struct weft_none {
	__le64 reserved;
};

/* Roles of the side that opens a connection. */
enum weft_role { WEFT_ROLE_CLIENT = 1, WEFT_ROLE_SERVER = 2, WEFT_ROLE_TOOL = 3 };

/* Features that INIT negotiates: the reply carries the ones that both sides have. */
#define WEFT_FEAT_BULK_CRC 0x0001ull
#define WEFT_FEAT_ALL WEFT_FEAT_BULK_CRC

#define WEFT_AUTH_NONCE 32
#define WEFT_AUTH_MAC 32 /* HMAC-SHA256 */

/**
 * struct weft_init_req - first message on each connection
 * @version_min: oldest wire version that the sender speaks
 * @version_max: newest wire version that the sender speaks
 * @role: enum weft_role
 * @features: WEFT_FEAT_* that the sender has
 * @fsid: file system id; all zero: not known yet (first contact with management)
 * @target: target id that this connection is for; 0: the node itself (management)
 * @nonce: random; with a secret the server proves in the reply that it knows it as well
 */
struct weft_init_req {
	__le16 version_min;
	__le16 version_max;
	__le16 role;
	__le16 reserved;
	__le64 features;
	__u8 fsid[16];
	__le32 target;
	__le32 reserved2;
	__u8 nonce[WEFT_AUTH_NONCE];
};
WEFT_ASSERT_SIZE(struct weft_init_req, 72);

/**
 * struct weft_init_rep - answers INIT
 * @version: the version that both sides use from now on
 * @flags: WEFT_INIT_*
 * @credits: requests that may be outstanding on this connection
 * @features: common features
 * @fsid: the server's file system id
 * @node: id of the server's node (0: management)
 * @boot: random number of this server process; a new one tells of a restart
 * @nonce: with WEFT_INIT_AUTH: the client must send AUTH with a MAC over both nonces next
 * @mac: with WEFT_INIT_AUTH: HMAC-SHA256(secret, "weft-server" | client nonce | server nonce)
 */
struct weft_init_rep {
	__le16 version;
	__le16 flags;
	__le16 credits;
	__le16 reserved;
	__le64 features;
	__u8 fsid[16];
	__le32 node;
	__le32 reserved2;
	__le64 boot;
	__u8 nonce[WEFT_AUTH_NONCE];
	__u8 mac[WEFT_AUTH_MAC];
};
WEFT_ASSERT_SIZE(struct weft_init_rep, 112);

#define WEFT_INIT_AUTH 0x0001 /* the server wants AUTH before anything else */

/* AUTH: @mac is HMAC-SHA256(secret, "weft-client" | server nonce | client nonce). */
struct weft_auth_req {
	__u8 mac[WEFT_AUTH_MAC];
};
WEFT_ASSERT_SIZE(struct weft_auth_req, 32);

/*
 * ADMIN to management: a protobuf request in bulk (proto/mgmt.proto), its answer in the reply's
 * bulk. To metadata and data servers: a line of text in bulk ("stats", "log LEVEL", "fault SPEC").
 */
struct weft_admin_req {
	__le32 reserved[2];
};
WEFT_ASSERT_SIZE(struct weft_admin_req, 8);

#endif
