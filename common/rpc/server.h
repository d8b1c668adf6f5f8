/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPC server side.
 *
 * A weft_rpc_server (one per daemon, on its main loop) listens, negotiates INIT and AUTH, and hands
 * each connection to the weft_rpc_service of the target that INIT named, on that target's loop.
 * A service decodes requests, calls the handler of the opcode, and sends the one reply.
 *
 * What the service has checked before a handler runs: magic, version, flags, lengths (body at least
 * as long as proto/wire.h says, bulk only where the table allows it and at most WEFT_BULK_MAX),
 * slot present where the table demands it and below WEFT_SLOTS_MAX, crc of the bulk. The content of
 * body and tail is the handler's to check; weft_rpc_malformed() is the answer to nonsense.
 *
 * A malformed message gets a log line (rate limited) and the connection is closed.
 */
#ifndef WEFT_COMMON_RPC_SERVER_H
#define WEFT_COMMON_RPC_SERVER_H

#include "common/buf.h"
#include "common/env.h"
#include "common/rpc/client.h"
#include "proto/wire.h"

struct weft_rpc_server;
struct weft_rpc_service;
struct weft_rpc_conn;
struct weft_msg;

/**
 * struct weft_rpc_req - a request that is being served (all numbers in CPU order)
 * @conn: where it came from
 * @opcode: enum weft_op
 * @flags: WEFT_MF_*
 * @request_id: its id
 * @session: client id
 * @epoch: map epoch of the requester
 * @group: group it is meant for
 * @slot: slot, with WEFT_MF_SLOT
 * @slot_seq: sequence number in the slot
 * @body: fixed body, 8 byte aligned, at least as long as the table's struct
 * @body_len: its length
 * @tail: what follows the body, of any alignment
 * @tail_len: its length
 * @bulk: bulk that came with the request
 * @bulk_max: most bulk bytes that the reply may carry
 * @rep_bulk: the handler puts the reply's bulk here
 * @start_ns: monotonic time of its arrival
 * @next: for the handler's own queues
 * @priv: for the handler
 */
struct weft_rpc_req {
	struct weft_rpc_conn *conn;
	uint16_t opcode;
	uint16_t flags;
	uint64_t request_id;
	uint64_t session;
	uint64_t epoch;
	uint32_t group;
	uint32_t slot;
	uint32_t slot_seq;
	const void *body;
	size_t body_len;
	const void *tail;
	size_t tail_len;
	struct weft_sg bulk;
	uint32_t bulk_max;
	struct weft_sg rep_bulk;
	uint64_t start_ns;
	struct weft_rpc_req *next;
	void *priv;
	struct weft_msg *in; /* private */
};

/**
 * struct weft_rpc_handler - one operation that a service offers
 * @opcode: enum weft_op
 * @fn: called on the service's loop; it, or something it starts, calls weft_rpc_reply() once
 */
struct weft_rpc_handler {
	uint16_t opcode;
	void (*fn)(void *arg, struct weft_rpc_req *req);
};

/**
 * struct weft_rpc_service_cfg - a service
 * @env: its loop
 * @pool: memory for bulk
 * @target: target id that INIT names to reach it, 0: the node itself
 * @handlers: its operations, ended by an entry with fn NULL; PING is built in
 * @arg: first argument of the callbacks
 * @opened: a connection was handed over; or NULL
 * @closed: a connection is gone (its requests may still be running: their replies go
 *	nowhere); or NULL
 * @credits: requests that a connection may have outstanding, 0: 64
 * @stall_ms: a connection whose oldest reply is not taken by the peer for so long is closed (at the
 *	earliest after half of it; time in which this loop did not run does not count), 0: 30 s
 */
struct weft_rpc_service_cfg {
	struct weft_env *env;
	struct weft_pool *pool;
	uint32_t target;
	const struct weft_rpc_handler *handlers;
	void *arg;
	void (*opened)(void *arg, struct weft_rpc_conn *conn);
	void (*closed)(void *arg, struct weft_rpc_conn *conn);
	uint16_t credits;
	uint32_t stall_ms;
};

/**
 * weft_rpc_service_create() - make a service
 * @cfg: its configuration, copied
 * @out: the service
 *
 * Return: 0, -EINVAL for a handler of an unknown opcode, or -ENOMEM.
 * Context: any thread, before it is added to a server.
 */
int weft_rpc_service_create(const struct weft_rpc_service_cfg *cfg, struct weft_rpc_service **out);

/**
 * weft_rpc_service_destroy() - close its connections and free it
 * @svc: the service or NULL, removed from its server; every request has been replied to
 *
 * Context: its loop (or any thread when the loop has ended).
 */
void weft_rpc_service_destroy(struct weft_rpc_service *svc);

/**
 * weft_rpc_service_set_epoch() - map epoch told in every reply
 * @svc: the service
 * @epoch: the epoch
 */
void weft_rpc_service_set_epoch(struct weft_rpc_service *svc, uint64_t epoch);

/**
 * struct weft_rpc_op_stats - counters of one opcode
 * @calls: requests
 * @errors: replies with a status other than 0
 * @bytes_in: bulk received
 * @bytes_out: bulk sent
 * @ns: time from arrival to reply, summed
 */
struct weft_rpc_op_stats {
	uint64_t calls;
	uint64_t errors;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t ns;
};

/**
 * weft_rpc_service_stats() - counters of an opcode
 * @svc: the service
 * @opcode: the opcode
 *
 * Return: the counters (all zero for an unknown opcode).
 */
const struct weft_rpc_op_stats *weft_rpc_service_stats(struct weft_rpc_service *svc,
						       uint16_t opcode);

/**
 * weft_rpc_reply() - answer a request; it is freed
 * @req: the request; its rep_bulk goes along
 * @status: 0, an errno (positive) or WEFT_S_*
 * @body: fixed body or NULL
 * @body_len: its length
 * @tail: tail or NULL
 * @tail_len: its length
 *
 * When the connection is gone meanwhile the reply is dropped. A reply that does not fit (text over
 * WEFT_MSG_MAX or bulk over bulk_max) is a bug here: logged, and EIO is sent.
 */
void weft_rpc_reply(struct weft_rpc_req *req, uint32_t status, const void *body, size_t body_len,
		    const void *tail, size_t tail_len);

/**
 * weft_rpc_reply_err() - answer with a status only
 * @req: the request
 * @err: 0, a negative errno, or WEFT_S_*
 */
void weft_rpc_reply_err(struct weft_rpc_req *req, int err);

/**
 * weft_rpc_malformed() - a request's content makes no sense: log, refuse, and close the connection
 *	when the refusal is sent
 * @req: the request; it is freed
 * @what: the field or rule
 */
void weft_rpc_malformed(struct weft_rpc_req *req, const char *what);

/**
 * weft_rpc_push() - send a one-way message to the other side of a connection
 * @conn: the connection
 * @opcode: an operation with WEFT_OF_PUSH
 * @body: body
 * @body_len: its length
 * @tail: tail or NULL
 * @tail_len: its length
 *
 * Return: 0, -ENOTCONN or -ENOMEM.
 */
int weft_rpc_push(struct weft_rpc_conn *conn, uint16_t opcode, const void *body, size_t body_len,
		  const void *tail, size_t tail_len);

/**
 * weft_rpc_conn_get() - keep a connection object
 * @conn: the connection
 *
 * Return: @conn.
 */
struct weft_rpc_conn *weft_rpc_conn_get(struct weft_rpc_conn *conn);

/**
 * weft_rpc_conn_put() - drop a reference
 * @conn: the connection or NULL
 */
void weft_rpc_conn_put(struct weft_rpc_conn *conn);

/**
 * weft_rpc_conn_close() - close a connection
 * @conn: the connection; closed() is called before this returns
 */
void weft_rpc_conn_close(struct weft_rpc_conn *conn);

/**
 * weft_rpc_conn_alive() - can something still be sent?
 * @conn: the connection
 *
 * Return: false when it is closed.
 */
bool weft_rpc_conn_alive(const struct weft_rpc_conn *conn);

/**
 * weft_rpc_conn_peer() - the peer's address
 * @conn: the connection
 *
 * Return: "host:port".
 */
const char *weft_rpc_conn_peer(const struct weft_rpc_conn *conn);

/**
 * weft_rpc_conn_role() - what the peer said it is
 * @conn: the connection
 *
 * Return: enum weft_role.
 */
enum weft_role weft_rpc_conn_role(const struct weft_rpc_conn *conn);

/**
 * weft_rpc_conn_priv() - a pointer of the service's owner, NULL at first
 * @conn: the connection
 *
 * Return: where it is kept.
 */
void **weft_rpc_conn_priv(struct weft_rpc_conn *conn);

/**
 * struct weft_rpc_server_cfg - a server
 * @env: the main loop
 * @node: id of this node (0: management)
 * @fsid: file system id; all zero: any is accepted (management before the file system exists)
 * @secret: shared secret, or NULL for none
 * @secret_len: its length
 * @boot: random number of this process; 0: chosen here
 */
struct weft_rpc_server_cfg {
	struct weft_env *env;
	uint32_t node;
	uint8_t fsid[16];
	const void *secret;
	size_t secret_len;
	uint64_t boot;
};

/**
 * weft_rpc_server_create() - make a server that does not listen yet
 * @cfg: its configuration, copied
 * @out: the server
 *
 * Return: 0 or -ENOMEM.
 */
int weft_rpc_server_create(const struct weft_rpc_server_cfg *cfg, struct weft_rpc_server **out);

/**
 * weft_rpc_server_listen() - listen on one more address
 * @srv: the server
 * @addr: kind, numeric address and port, 0: a free one
 *
 * Return: the port or a negative errno.
 */
int weft_rpc_server_listen(struct weft_rpc_server *srv, const struct weft_rpc_addr *addr);

/**
 * weft_rpc_server_set_fsid() - the file system id is known now
 * @srv: the server
 * @fsid: the id
 */
void weft_rpc_server_set_fsid(struct weft_rpc_server *srv, const uint8_t fsid[16]);

/**
 * weft_rpc_server_add() - offer a service
 * @srv: the server
 * @svc: the service
 *
 * Return: 0, -EEXIST when its target is served already, or -ENOMEM.
 */
int weft_rpc_server_add(struct weft_rpc_server *srv, struct weft_rpc_service *svc);

/**
 * weft_rpc_server_remove() - stop handing connections to a service
 * @srv: the server
 * @svc: the service; post to its loop after this to destroy it there
 */
void weft_rpc_server_remove(struct weft_rpc_server *srv, struct weft_rpc_service *svc);

/**
 * weft_rpc_server_destroy() - stop listening, close unfinished handshakes, free it
 * @srv: the server or NULL
 *
 * Context: the main loop, or any thread when the loop has ended.
 */
void weft_rpc_server_destroy(struct weft_rpc_server *srv);

#endif
