/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a metadata target asks of the world outside: calls to other servers, pushes to clients,
 * words to the daemon. The daemon has one (net.c, target.c), the tests simulate another.
 */
#ifndef WEFT_MDS_CALL_H
#define WEFT_MDS_CALL_H

#include "common/env.h"
#include "proto/wire.h"

/**
 * struct mds_call - a request to another server, embedded by its owner
 * @group: group it goes to
 * @opcode: enum weft_op
 * @body: fixed body, copied when the call starts
 * @body_len: its length
 * @tail: tail or NULL, copied
 * @tail_len: its length
 * @bulk: bulk to send or NULL, copied
 * @bulk_len: its length
 * @bulk_max: most bulk that may come back
 * @slot: slot, when @slot_seq is not 0
 * @slot_seq: sequence number in the slot
 * @timeout_ms: 0: waits for ever
 * @done: called when it is over, never from inside the call
 * @arg: for the owner
 * @err: 0, negative errno, or WEFT_S_*
 * @rep: body of the reply, valid during done()
 * @rep_len: its length
 * @data: bulk of the reply, valid during done()
 * @data_len: its length
 * @post: private to the implementation
 */
struct mds_call {
	u32 group;
	u16 opcode;
	const void *body;
	size_t body_len;
	const void *tail;
	size_t tail_len;
	const void *bulk;
	size_t bulk_len;
	u32 bulk_max;
	u32 slot, slot_seq;
	u32 timeout_ms;
	void (*done)(struct mds_call *call);
	void *arg;

	int err;
	const void *rep;
	size_t rep_len;
	const void *data;
	size_t data_len;
	struct weft_post post;
};

/**
 * struct mds_net_ops - what the core asks of the world
 * @call: begin a call (see struct mds_call); retries through map changes by itself
 * @push: one-way message on a client's connection; false when it is gone
 * @root_made: the root directory is durable: tell management
 * @need_map: somebody used a newer map than ours
 * @fatal: this target cannot go on (a commit failed): the daemon ends
 */
struct mds_net_ops {
	void (*call)(void *arg, struct mds_call *call);
	bool (*push)(void *arg, void *conn, u16 opcode, const void *body, size_t len);
	void (*root_made)(void *arg);
	void (*need_map)(void *arg, u64 epoch);
	void (*fatal)(void *arg, int err, const char *why);
};

#endif
