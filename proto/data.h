/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bodies of the operations on object storage servers.
 *
 * Objects are keyed (ino, chunk); one request stays within one chunk. hdr.group is the data
 * group. Modifying requests carry a slot: replays are answered, late duplicates refused.
 */
#ifndef WEFT_PROTO_DATA_H
#define WEFT_PROTO_DATA_H

#include "proto/meta.h"

/*
 * OBJ_READ: @len bytes at @off; bulk holds the bytes up to the last stored one, the rest of the
 *   range is zero and not sent (rep.len says how many bytes were sent).
 * OBJ_WRITE: bulk goes to @off; durable when the reply arrives. The switch from old to new bytes
 *   is atomic per 1 MiB segment of a chunk.
 * OBJ_TRUNCATE: drops all bytes of @ino at (@chunk, @off) and behind, in all its chunks of this
 *   group; (0, 0) deletes the object entirely.
 * OBJ_ZERO: @flags PUNCH: [off, off + len) reads as zeros and its space is freed. ALLOC: space is
 *   reserved where there is none; it reads as zeros.
 * OBJ_SEEK: first data byte at or behind (@chunk, @off) among all chunks of @ino in this group
 *   (@flags DATA), or first hole at or behind @off within @chunk alone (HOLE; the end of the
 *   chunk's stored data counts as a hole).
 */
struct weft_obj_req {
	__le64 ino;
	__le64 chunk;
	__le32 off;
	__le32 len; /* OBJ_WRITE: equals hdr.bulk_len */
	__le32 flags; /* WEFT_OBJ_* */
	__u8 chunk_shift;
	__u8 reserved[3];
};
WEFT_ASSERT_SIZE(struct weft_obj_req, 32);

#define WEFT_OBJ_PUNCH 0x0001
#define WEFT_OBJ_ALLOC 0x0002
#define WEFT_OBJ_DATA 0x0004
#define WEFT_OBJ_HOLE 0x0008

struct weft_obj_rep {
	__le64 bytes_delta; /* signed change of allocated bytes */
	__le64 chunk;	    /* OBJ_SEEK: where (found) */
	__le32 off;
	__le32 len;   /* OBJ_READ: bytes sent */
	__le32 flags; /* WEFT_OBJ_REP_* */
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_obj_rep, 32);

#define WEFT_OBJ_REP_FOUND 0x0001 /* OBJ_SEEK */

#endif
