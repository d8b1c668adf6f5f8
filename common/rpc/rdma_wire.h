/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of proto/rdma.h: connection data, credits, segments, frames to messages.
 *
 * Pure functions on memory: no device, no loop, so that tests and a fuzzer can try every value.
 * Whatever a peer says comes through here before it is believed. Internal to the rpc layer.
 */
#ifndef WEFT_COMMON_RPC_RDMA_WIRE_H
#define WEFT_COMMON_RPC_RDMA_WIRE_H

#include <stdbool.h>

#include "common/rpc/transport.h"
#include "proto/rdma.h"

/**
 * struct rdma_side - what one side says when the connection is made
 * @recv_size: bytes of each of its receives
 * @recv_depth: how many it keeps posted
 * @inline_max: most bulk bytes that it takes inline
 * @inv: it likes its key invalidated
 */
struct rdma_side {
	uint32_t recv_size;
	uint16_t recv_depth;
	uint16_t inline_max;
	bool inv;
};

/**
 * rdma_cm_fill() - make private data
 * @cm: filled in
 * @own: this side
 * @status: why it is refused, 0: it is not
 */
void rdma_cm_fill(struct weft_rdma_cm *cm, const struct rdma_side *own, uint32_t status);

/**
 * rdma_cm_read() - check private data
 * @data: what came
 * @len: its length
 * @peer: filled in when it is accepted
 *
 * Return: 0, or the status to refuse it with: WEFT_S_VERSION, WEFT_S_MALFORMED.
 */
uint32_t rdma_cm_read(const void *data, size_t len, struct rdma_side *peer);

/**
 * struct rdma_credits - who may send how much
 * @own_depth: receives that we keep posted
 * @peer_depth: receives that the peer keeps posted
 * @sent: frames that we have sent
 * @seen: of these, how many the peer says to have posted again
 * @got: frames that have come
 * @posted: of these, how many we have posted again
 * @told: of these, how many the peer has been told of
 *
 * All count from the beginning of the connection, modulo 2^32.
 */
struct rdma_credits {
	uint32_t own_depth, peer_depth;
	uint32_t sent, seen;
	uint32_t got, posted, told;
};

/* rdma_may_send() - is there a credit for a frame; @control: one without a message */
bool rdma_may_send(const struct rdma_credits *c, bool control);

/* rdma_must_tell() - has so much been posted again that the peer should hear of it? */
bool rdma_must_tell(const struct rdma_credits *c);

/**
 * rdma_frame_sent() - account for a frame that is being sent
 * @c: credits
 * @f: its first bytes, filled in
 * @len: bytes of message in it
 */
void rdma_frame_sent(struct rdma_credits *c, struct weft_rdma_frame *f, uint32_t len);

/**
 * rdma_frame_got() - check and account for a frame that has come
 * @c: credits
 * @data: content of the receive
 * @len: its length
 * @payload: bytes of message in it, 0: only credits
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *rdma_frame_got(struct rdma_credits *c, const void *data, size_t len, uint32_t *payload);

/**
 * struct rdma_seg - a piece of the peer's memory
 */
struct rdma_seg {
	uint64_t addr;
	uint32_t len;
	uint32_t rkey;
};

/**
 * rdma_segs_check() - check the segments of a request
 * @h: its header, accepted by weft_hdr_check()
 * @wire: its segments, of any alignment
 * @segs: filled with hdr.nsegs segments
 * @inline_max: what we take inline
 * @peer_inline_max: what the peer takes inline
 * @nread: how many are to be read; those behind them are to be written
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *rdma_segs_check(const struct weft_hdr *h, const void *wire, struct rdma_seg *segs,
			    uint32_t inline_max, uint32_t peer_inline_max, unsigned int *nread);

/**
 * struct rdma_rx_ops - what a struct rdma_rx asks its owner
 * @inline_len: bytes of bulk that follow the text, of a message with this header, or -EPROTO
 * @place: memory for them, as in struct weft_xprt_cb
 * @deliver: the message is whole, the owner has it; a return other than 0 ends the work
 */
struct rdma_rx_ops {
	ssize_t (*inline_len)(void *arg, const struct weft_hdr *hdr);
	int (*place)(void *arg, struct weft_msg *m);
	int (*deliver)(void *arg, struct weft_msg *m);
};

enum rdma_rx_state { RDMA_RX_HDR, RDMA_RX_TEXT, RDMA_RX_PLACE, RDMA_RX_BULK };

/**
 * struct rdma_rx - makes messages of frames
 * @ops: its owner
 * @arg: argument of @ops
 * @frame_max: most bytes of message in a frame
 * @why: the rule that was broken, after -EPROTO
 */
struct rdma_rx {
	const struct rdma_rx_ops *ops;
	void *arg;
	uint32_t frame_max;
	const char *why;
	/* private */
	enum rdma_rx_state state;
	struct weft_msg *m;
	size_t off;
	size_t inline_len;
};

/**
 * rdma_rx_frame() - work through the content of a frame
 * @rx: zeroed at first, with ops, arg and frame_max filled in
 * @data: the message's bytes in it
 * @len: how many
 * @used: how many are worked through; 0 at first, kept when it is called again
 *
 * Return: 0 the frame is done; -ENOMEM call again later with the same frame; -EPROTO the peer
 * broke a rule, see rx->why; what deliver() returned.
 */
int rdma_rx_frame(struct rdma_rx *rx, const char *data, size_t len, size_t *used);

/* rdma_rx_fini() - drop a message that is not whole */
void rdma_rx_fini(struct rdma_rx *rx);

/**
 * struct rdma_tx - a message as it goes out in frames
 * @hdr: its header, with the segments counted in
 * @m: the message: its text and, with @inline_len, its bulk
 * @segs: segments, in wire order
 * @segs_len: their bytes
 * @inline_len: bytes of bulk behind the text
 * @total: bytes of all together
 * @off: bytes that are sent
 */
struct rdma_tx {
	struct weft_hdr hdr;
	const struct weft_msg *m;
	const struct weft_seg *segs;
	size_t segs_len;
	size_t inline_len;
	size_t total;
	size_t off;
};

/**
 * rdma_tx_init() - begin with a message
 * @tx: filled in
 * @m: the message
 * @segs: its segments
 * @nsegs: how many
 * @bulk_inline: its bulk goes behind its text
 */
void rdma_tx_init(struct rdma_tx *tx, const struct weft_msg *m, const struct weft_seg *segs,
		  unsigned int nsegs, bool bulk_inline);

/**
 * rdma_tx_fill() - copy what comes next into a frame
 * @tx: the message
 * @dst: the frame's content
 * @max: its room
 *
 * Return: bytes copied, all of the room but in the last frame.
 */
size_t rdma_tx_fill(struct rdma_tx *tx, char *dst, size_t max);

#endif
