/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPC client side: calls to targets of other nodes.
 *
 * A weft_rpc_client holds what all its peers share. A weft_rpc_peer is one target reached through
 * the addresses (rails) of its node by several connections. A call stays with its peer until it is
 * answered, its deadline has passed, or it is cancelled: when a connection breaks, its outstanding
 * calls are sent again with the same request id, marked WEFT_MF_REPLAY; connecting is tried again
 * with growing pauses (50 ms to 2 s, jittered), address after address.
 *
 * Statuses other than 0 are given to the caller as they are: retrying after WEFT_S_STALE_MAP and
 * the like is the caller's business.
 *
 * A refused handshake (WEFT_S_VERSION, WEFT_S_FSID, WEFT_S_AUTH) ends all calls of the peer with
 * that status; WEFT_S_NO_TARGET is waited for like an unreachable server.
 *
 * Protection: everything belongs to the client's loop. done() is never called from inside
 * weft_rpc_call_start() or weft_rpc_cancel().
 */
#ifndef WEFT_COMMON_RPC_CLIENT_H
#define WEFT_COMMON_RPC_CLIENT_H

#include "common/buf.h"
#include "common/env.h"
#include "proto/wire.h"

struct weft_rpc_client;
struct weft_rpc_peer;
struct weft_rpc_link;
struct weft_msg;

#define WEFT_RPC_ADDRS_MAX 8
#define WEFT_RPC_HOST_MAX 64

/**
 * struct weft_rpc_addr - an address of a node
 * @host: numeric address or (TCP) name
 * @port: port
 * @kind: enum weft_rail_kind; 0: TCP
 */
struct weft_rpc_addr {
	char host[WEFT_RPC_HOST_MAX];
	uint16_t port;
	uint8_t kind;
};

/**
 * struct weft_rpc_client_cfg - a client
 * @env: its loop
 * @pool: memory for bulk of replies
 * @role: enum weft_role
 * @fsid: file system id, all zero: not known yet
 * @secret: shared secret or NULL
 * @secret_len: its length
 * @session: client id put into every request
 * @return_ms: after a fallback to another kind of rail: time between attempts to go back, 0: 15 s
 * @push: a one-way message came from a peer; body and tail are valid during the call; or NULL
 * @arg: first argument of @push
 */
struct weft_rpc_client_cfg {
	struct weft_env *env;
	struct weft_pool *pool;
	enum weft_role role;
	uint8_t fsid[16];
	const void *secret;
	size_t secret_len;
	uint64_t session;
	uint32_t return_ms;
	void (*push)(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		     size_t body_len, const void *tail, size_t tail_len);
	void *arg;
};

/* Flags of a call. */
#define WEFT_CALL_NO_WAIT 1u /* fail with -ENOTCONN when no address can be connected */
#define WEFT_CALL_SLOT 2u /* slot and slot_seq are valid */
#define WEFT_CALL_CRC 4u /* protect bulk in both directions by crc32c */

/**
 * struct weft_rpc_call - one call, embedded by its owner and zeroed before use
 * @opcode: enum weft_op
 * @flags: WEFT_CALL_*
 * @epoch: map epoch it was computed from
 * @group: group it is meant for
 * @slot: slot
 * @slot_seq: sequence number in the slot
 * @timeout_ms: 0: waits for ever
 * @bulk_out: bulk to send; emptied when the call is over
 * @bulk_in: where the reply's bulk shall go: pieces given by the caller, cut to what came; when
 *	empty and bulk_max is set, memory of the pool is put here. Owner calls weft_sg_fini().
 * @bulk_max: most bulk bytes accepted (0 with pieces in @bulk_in: their length)
 * @done: called when it is over
 * @arg: for the owner
 * @err: 0 when a reply came; -ETIMEDOUT, -ENOTCONN, -ECANCELED (client or peer went), -ENOMEM,
 *	-EPROTO (the reply was malformed)
 * @status: the reply's status when @err is 0
 * @rep_epoch: the server's map epoch
 * @rep: body of the reply, valid until weft_rpc_call_fini()
 * @rep_len: its length
 * @rep_tail: tail of the reply
 * @rep_tail_len: its length
 * @boot: number of the server process that answered
 *
 * On success the reply's body is at least as long as the table says.
 */
struct weft_rpc_call {
	uint16_t opcode;
	unsigned int flags;
	uint64_t epoch;
	uint32_t group;
	uint32_t slot;
	uint32_t slot_seq;
	uint32_t timeout_ms;
	struct weft_sg bulk_out;
	struct weft_sg bulk_in;
	uint32_t bulk_max;
	void (*done)(struct weft_rpc_call *call);
	void *arg;

	int err;
	uint32_t status;
	uint64_t rep_epoch;
	const void *rep;
	size_t rep_len;
	const void *rep_tail;
	size_t rep_tail_len;
	uint64_t boot;

	/* private */
	uint64_t id;
	struct weft_rpc_peer *peer;
	struct weft_rpc_link *link;
	struct weft_rpc_call *next, *prev;
	struct weft_msg *out, *in;
	struct weft_timer timer;
	struct weft_post post;
	unsigned int state;
};

/**
 * weft_rpc_client_create() - make a client without peers
 * @cfg: its configuration, copied
 * @out: the client
 *
 * Return: 0 or -ENOMEM.
 */
int weft_rpc_client_create(const struct weft_rpc_client_cfg *cfg, struct weft_rpc_client **out);

/**
 * weft_rpc_client_destroy() - free a client
 * @c: the client or NULL; its peers were destroyed before it, each by who made it
 */
void weft_rpc_client_destroy(struct weft_rpc_client *c);

/**
 * weft_rpc_client_set_session() - client id for the requests from now on
 * @c: the client
 * @session: the id
 */
void weft_rpc_client_set_session(struct weft_rpc_client *c, uint64_t session);

/**
 * weft_rpc_client_set_fsid() - file system id for the connections from now on
 * @c: the client
 * @fsid: the id
 */
void weft_rpc_client_set_fsid(struct weft_rpc_client *c, const uint8_t fsid[16]);

/**
 * weft_rpc_peer_create() - name a target and where it is
 * @c: the client
 * @target: target id, 0: the node itself
 * @nconns: connections, 1 to 8
 * @addrs: its addresses
 * @naddrs: how many, at most WEFT_RPC_ADDRS_MAX
 * @arg: for the owner, see weft_rpc_peer_arg()
 * @out: the peer; connections are made when the first call comes
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
int weft_rpc_peer_create(struct weft_rpc_client *c, uint32_t target, unsigned int nconns,
			 const struct weft_rpc_addr *addrs, unsigned int naddrs, void *arg,
			 struct weft_rpc_peer **out);

/**
 * weft_rpc_peer_destroy() - forget a peer
 * @p: the peer or NULL; its outstanding calls end with -ECANCELED, later on the loop
 */
void weft_rpc_peer_destroy(struct weft_rpc_peer *p);

/**
 * weft_rpc_peer_set_addrs() - the target has moved
 * @p: the peer
 * @addrs: addresses; when they differ the connections are made anew and calls replayed
 * @naddrs: how many
 *
 * Return: 0 or -EINVAL.
 */
int weft_rpc_peer_set_addrs(struct weft_rpc_peer *p, const struct weft_rpc_addr *addrs,
			    unsigned int naddrs);

/**
 * weft_rpc_peer_arg() - the owner's pointer
 * @p: the peer
 *
 * Return: what was given to weft_rpc_peer_create().
 */
void *weft_rpc_peer_arg(const struct weft_rpc_peer *p);

/**
 * weft_rpc_peer_target() - the target id
 * @p: the peer
 *
 * Return: the id.
 */
uint32_t weft_rpc_peer_target(const struct weft_rpc_peer *p);

/**
 * struct weft_rpc_peer_stats - counters of a peer
 * @calls: calls made
 * @replays: requests sent again after a reconnect
 * @connects: connections made
 * @breaks: connections lost
 * @fallbacks: connections made to an address of another kind than the first one
 * @returns: connections of these that went back to one of the first kind
 * @up: connections there now
 * @outstanding: calls not answered yet
 */
struct weft_rpc_peer_stats {
	uint64_t calls;
	uint64_t replays;
	uint64_t connects;
	uint64_t breaks;
	uint64_t fallbacks;
	uint64_t returns;
	uint32_t up;
	uint32_t outstanding;
};

/**
 * weft_rpc_peer_stats() - read the counters
 * @p: the peer
 *
 * Return: the counters.
 */
const struct weft_rpc_peer_stats *weft_rpc_peer_stats(const struct weft_rpc_peer *p);

/**
 * weft_rpc_call_start() - begin a call
 * @p: the peer
 * @call: the call; kept by its owner until done()
 * @body: request body, copied
 * @body_len: its length
 * @tail: request tail, copied; or NULL
 * @tail_len: its length
 *
 * Return: 0, or -ENOMEM, -EMSGSIZE (then done() is not called).
 */
int weft_rpc_call_start(struct weft_rpc_peer *p, struct weft_rpc_call *call, const void *body,
			size_t body_len, const void *tail, size_t tail_len);

/**
 * weft_rpc_cancel() - end a call now with -ECANCELED (done() comes soon, on the loop)
 * @call: the call
 */
void weft_rpc_cancel(struct weft_rpc_call *call);

/**
 * weft_rpc_call_fini() - free what a finished call holds (reply, bulk)
 * @call: the call; may be used again after zeroing
 */
void weft_rpc_call_fini(struct weft_rpc_call *call);

/**
 * weft_rpc_err() - outcome of a call as one number
 * @call: a finished call
 *
 * Return: 0; a negative errno of the transport or of the server's status; or a status
 * WEFT_S_* as it is (positive).
 */
int weft_rpc_err(const struct weft_rpc_call *call);

#endif
