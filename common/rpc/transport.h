/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport interface: connections that carry weft messages (proto/wire.h), over TCP
 * (common/rpc/tcp.c) or RDMA (common/rpc/rdma*.c); the rpc layer above knows only this header.
 *
 * A connection sends and receives struct weft_msg: header, text (body and tail in one piece) and
 * bulk. Messages are sent in the order of weft_xprt_send() (RDMA: a request waits for memory for
 * its reply, those behind it pass). The transport checks magic and lengths; what is inside the
 * text is the rpc layer's business. Segments are the transport's: they are neither in the text that
 * is given to it nor in the text that it gives.
 *
 * Protection: a connection belongs to the loop of its env. No callback comes from inside a call,
 * except sent(), which may come from inside weft_xprt_send() and weft_xprt_close().
 */
#ifndef WEFT_COMMON_RPC_TRANSPORT_H
#define WEFT_COMMON_RPC_TRANSPORT_H

#include "common/buf.h"
#include "common/env.h"
#include "proto/map.h"
#include "proto/wire.h"

struct weft_xprt;

/**
 * struct weft_msg - one message, in or out
 * @next: link of the send queue, private while it is being sent
 * @hdr: header in wire order, directly followed in memory by the text
 * @text: body, tail and segments: hdr.len - sizeof(hdr) bytes, 8 byte aligned
 * @text_len: how many
 * @bulk: bulk bytes
 * @in: request to be sent: where the bulk of its reply shall go; empty: anywhere in the pool
 * @owner: for whoever sends it
 * @lazy: a message without bulk whose sent() may come as soon as the transport has a copy of it; of
 *	others it says that the peer's side has it (RDMA), or the kernel (TCP)
 * @xreq: the transport's record of a request, see weft_msg_answers()
 *
 * Allocated by weft_msg_alloc() and freed by weft_msg_free().
 */
struct weft_msg {
	struct weft_msg *next;
	struct weft_sg bulk;
	struct weft_sg in;
	size_t text_len;
	char *text;
	void *owner;
	bool lazy;
	void *xreq;
	struct weft_hdr hdr;
};

/**
 * weft_msg_alloc() - make a message
 * @text_len: bytes of text
 *
 * Return: the message, header zeroed except magic, version and len; or NULL.
 */
struct weft_msg *weft_msg_alloc(size_t text_len);

/**
 * weft_msg_free() - free a message and drop its bulk
 * @m: the message or NULL
 */
void weft_msg_free(struct weft_msg *m);

/**
 * weft_msg_answers() - a message is the reply to a request
 * @m: the reply
 * @req: the request as it was received; what the transport remembers of it goes to the reply
 */
void weft_msg_answers(struct weft_msg *m, struct weft_msg *req);

/**
 * struct weft_xprt_cb - what a connection tells its owner
 * @connected: the outcome of connecting: 0 or a negative errno (then close it)
 * @place: header and text of a message with bulk have come: say where its bulk goes by filling
 *	m->bulk with hdr.bulk_len bytes. Return 0; -ENOMEM to be asked again soon (TCP reads
 *	nothing meanwhile); another negative errno breaks the connection.
 * @received: a whole message has come; the owner has it now
 * @sent: a message given to weft_xprt_send() is no longer needed by the transport (it was
 *	sent, or the connection is closed); the owner has it back
 * @broken: the connection failed (-EPIPE: the peer closed it, -EPROTO: not our protocol);
 *	the owner closes it
 */
struct weft_xprt_cb {
	void (*connected)(void *arg, int err);
	int (*place)(void *arg, struct weft_msg *m);
	void (*received)(void *arg, struct weft_msg *m);
	void (*sent)(void *arg, struct weft_msg *m);
	void (*broken)(void *arg, int err);
};

/**
 * struct weft_xprt_handle - a connection that belongs to no loop, on its way to another
 * @ops: its kind
 * @fd: tcp: the descriptor
 * @conn: rdma: the connection
 */
struct weft_xprt_handle {
	const struct weft_xprt_ops *ops;
	int fd;
	void *conn;
};

/**
 * struct weft_xprt_listener - a listening address; transports embed it
 * @ops: its kind
 */
struct weft_xprt_listener {
	const struct weft_xprt_ops *ops;
};

/* A connection was accepted: the callee attaches or discards the handle. */
typedef void (*weft_xprt_accepted)(void *arg, const struct weft_xprt_handle *h);

/**
 * struct weft_xprt_ops - one kind of transport
 * @name: "tcp" or "rdma"
 * @listen: accept connections at a numeric address (port 0: a free one); accepted() is called
 *	for each
 * @connect: begin to connect; @pool: memory for bulk that the owner names no place for
 *
 * The other functions are those documented below.
 */
struct weft_xprt_ops {
	const char *name;
	int (*listen)(struct weft_env *env, const char *host, uint16_t port,
		      weft_xprt_accepted accepted, void *arg, struct weft_xprt_listener **out);
	uint16_t (*listen_port)(struct weft_xprt_listener *l);
	void (*listen_close)(struct weft_xprt_listener *l);
	int (*connect)(struct weft_env *env, const char *host, uint16_t port,
		       struct weft_pool *pool, const struct weft_xprt_cb *cb, void *arg,
		       struct weft_xprt **out);
	int (*attach)(struct weft_env *env, const struct weft_xprt_handle *h,
		      struct weft_pool *pool, const struct weft_xprt_cb *cb, void *arg,
		      struct weft_xprt **out);
	int (*detach)(struct weft_xprt *x, struct weft_xprt_handle *h);
	void (*discard)(const struct weft_xprt_handle *h);
	void (*send)(struct weft_xprt *x, struct weft_msg *m);
	void (*stop_reading)(struct weft_xprt *x, bool stop);
	void (*close)(struct weft_xprt *x);
	void (*peer)(struct weft_xprt *x, char *buf, size_t len);
};

/**
 * struct weft_xprt - a connection; transports embed it
 * @ops: its kind
 */
struct weft_xprt {
	const struct weft_xprt_ops *ops;
};

extern const struct weft_xprt_ops weft_xprt_tcp;
extern const struct weft_xprt_ops weft_xprt_rdma;

/**
 * weft_xprt_kind() - the transport of an address
 * @kind: enum weft_rail_kind; 0: tcp
 *
 * Return: the transport.
 */
static inline const struct weft_xprt_ops *weft_xprt_kind(unsigned int kind)
{
	return kind == WEFT_RAIL_RDMA ? &weft_xprt_rdma : &weft_xprt_tcp;
}

/**
 * weft_xprt_attach() - serve a connection on a loop
 * @env: the loop
 * @h: of accepted() or weft_xprt_detach(); the caller's again when this fails
 * @pool: memory for bulk; NULL where there is none
 * @cb: callbacks
 * @arg: argument of the callbacks
 * @out: the connection, reading
 *
 * Return: 0 or a negative errno.
 */
static inline int weft_xprt_attach(struct weft_env *env, const struct weft_xprt_handle *h,
				   struct weft_pool *pool, const struct weft_xprt_cb *cb, void *arg,
				   struct weft_xprt **out)
{
	return h->ops->attach(env, h, pool, cb, arg, out);
}

/**
 * weft_xprt_detach() - take a connection off its loop, to attach it to another
 * @x: the connection, idle: all sent, nothing half received; it is freed
 * @h: filled in
 *
 * Return: 0 or a negative errno (freed all the same, there is no handle).
 */
static inline int weft_xprt_detach(struct weft_xprt *x, struct weft_xprt_handle *h)
{
	return x->ops->detach(x, h);
}

/**
 * weft_xprt_discard() - close a connection that is on its way
 * @h: the handle
 */
static inline void weft_xprt_discard(const struct weft_xprt_handle *h)
{
	h->ops->discard(h);
}

/**
 * weft_xprt_send() - send a message
 * @x: the connection
 * @m: the message; the transport has it until sent()
 *
 * Fault points: rpc.send (drop, delay, error = disconnect).
 */
static inline void weft_xprt_send(struct weft_xprt *x, struct weft_msg *m)
{
	x->ops->send(x, m);
}

/**
 * weft_xprt_stop_reading() - let the peer wait (true), or go on reading (false)
 * @x: the connection
 * @stop: what to do
 */
static inline void weft_xprt_stop_reading(struct weft_xprt *x, bool stop)
{
	x->ops->stop_reading(x, stop);
}

/**
 * weft_xprt_close() - close and free a connection
 * @x: the connection; sent() is called for messages that are still queued, inside this call
 */
static inline void weft_xprt_close(struct weft_xprt *x)
{
	x->ops->close(x);
}

/**
 * weft_xprt_peer() - the peer's address for messages
 * @x: the connection
 * @buf: filled with "host:port"
 * @len: size of @buf
 */
static inline void weft_xprt_peer(struct weft_xprt *x, char *buf, size_t len)
{
	x->ops->peer(x, buf, len);
}

#endif
