/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * How weft messages travel over RDMA: connection data, frames, credits, segments.
 *
 * A connection is one reliable queue pair made by the connection manager (RDMA_PS_TCP) between an
 * address and an rdma rail's port. Both sides put a struct weft_rdma_cm into the private data of
 * CONNECT and ACCEPT (a refusal carries it as well, with the reason in @status). After that the
 * messages of proto/wire.h flow, INIT first, as on TCP.
 *
 * Frames. A message (header, body, tail, segments, then its inline bulk, if any) is sent as one or
 * more frames, each the content of one SEND: a struct weft_rdma_frame and up to
 * recv_size - sizeof(frame) bytes of the message. A message begins with a frame of its own; its
 * header says how long it is, so that the receiver knows which frame is the last. Every frame of a
 * message but the last is full.
 *
 *	| weft_rdma_frame | bytes of the message |   <= recv_size of the receiver
 *
 * Credits. Each side says in its private data how many receives it has posted (recv_depth) and of
 * what size (recv_size). frame.recvs is the number of received frames, counted from the beginning
 * of the connection modulo 2^32, whose buffers the sender of the frame has posted again. A
 * side may send while the number of frames that it has sent minus the newest recvs it has seen is
 * less than the peer's recv_depth; the last WEFT_RDMA_CONTROL of them are for frames with len 0
 * only. Such a frame says nothing but recvs; it is sent when half of recv_depth has been posted
 * again and nothing told the peer. So no SEND meets an empty receive queue (iWARP has no
 * receiver-not-ready, and on InfiniBand it would stall the whole queue pair).
 *
 * Bulk. A requester either sends bulk inline, right behind the text (nsegs = 0, at most the
 * receiver's inline_max bytes), or describes its own memory in segments and the *server* moves it:
 * RDMA READ for the bulk of a request, RDMA WRITE for that of a reply. The segments at the end of
 * the request are first those to be read, of bulk_len bytes together, then those to be written, of
 * bulk_max bytes together or more; a segment belongs to one kind only, and is registered for
 * exactly that kind of access. Bulk that is sent inline needs no segments, and with no segment
 * to write, the reply's bulk comes inline: a requester leaves them out only if bulk_max is not more
 * than its own inline_max. Replies and pushes have no segments.
 *
 * Order. The server posts the RDMA WRITEs of a reply before its SEND on the same queue pair, so
 * that when the reply is there the bulk is there. The server's READs have ended before the request
 * is executed. The reply is the promise that the server has finished with the segments: it goes
 * as SEND_WITH_INV of the first segment's key (any one of its frames) when the peer said
 * WEFT_RDMA_INV; the requester checks which key came and invalidates the others itself before it
 * releases the memory.
 *
 * How it can fail: whatever breaks these rules (lengths, segments out of range or in excess, more
 * frames than credits, a key that the device refuses) ends the connection, with a line in the log.
 * The rpc layer connects again and replays.
 */
#ifndef WEFT_PROTO_RDMA_H
#define WEFT_PROTO_RDMA_H

#include "proto/wire.h"

#define WEFT_RDMA_VERSION 1
#define WEFT_RDMA_CONTROL 2		/* credits that are for frames without a message */
#define WEFT_RDMA_RECV_SIZE_MIN 1024u	/* a peer may not post smaller receives */
#define WEFT_RDMA_RECV_SIZE_MAX 65536u
#define WEFT_RDMA_RECV_DEPTH_MIN 8u	/* nor fewer */
#define WEFT_RDMA_RECV_SIZE 4608u	/* frame, header, a typical body and 4 KiB of inline bulk */
#define WEFT_RDMA_INLINE_MAX 4096u	/* bulk that is sent inline unless the peer wants less */

#define WEFT_RDMA_INV 0x0001 /* flags: this side likes its key invalidated by SEND_WITH_INV */

/**
 * struct weft_rdma_cm - private data of the connection manager's CONNECT, ACCEPT and REJECT
 * @magic: WEFT_MAGIC
 * @version: WEFT_RDMA_VERSION
 * @flags: WEFT_RDMA_INV
 * @recv_size: bytes of each receive that this side posts
 * @recv_depth: receives that it keeps posted
 * @inline_max: most bytes of bulk that it takes inline
 * @status: REJECT: why (WEFT_S_VERSION, WEFT_S_MALFORMED, WEFT_S_BUSY); otherwise 0
 * @reserved: 0
 *
 * 24 bytes: InfiniBand leaves 56 for the private data of a CONNECT.
 */
struct weft_rdma_cm {
	__le32 magic;
	__le16 version;
	__le16 flags;
	__le32 recv_size;
	__le16 recv_depth;
	__le16 inline_max;
	__le32 status;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_rdma_cm, 24);

/**
 * struct weft_rdma_frame - opens the content of every SEND
 * @len: bytes of the message that follow, 0: only credits
 * @recvs: receives that the sender of this frame has posted again since the beginning
 */
struct weft_rdma_frame {
	__le32 len;
	__le32 recvs;
};
WEFT_ASSERT_SIZE(struct weft_rdma_frame, 8);

#endif
