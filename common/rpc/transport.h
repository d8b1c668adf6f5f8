/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport interface: connections that carry weft messages (proto/wire.h). TCP today
 * (common/rpc/tcp.c), RDMA beside it later; the rpc layer above knows only this header.
 *
 * A connection sends and receives struct weft_msg: header, text (body, tail and segments in one
 * piece) and bulk. Messages are sent in the order of weft_xprt_send(). The transport checks
 * magic and lengths; what is inside the text is the rpc layer's business.
 *
 * Protection: a connection belongs to the loop of its env. No callback comes from inside a call,
 * except sent(), which may come from inside weft_xprt_send() and weft_xprt_close().
 */
#ifndef WEFT_COMMON_RPC_TRANSPORT_H
#define WEFT_COMMON_RPC_TRANSPORT_H

#include "common/buf.h"
#include "common/env.h"
#include "proto/wire.h"

struct weft_xprt;

/**
 * struct weft_msg - one message, in or out
 * @next: link of the send queue, private while it is being sent
 * @hdr: header in wire order, directly followed in memory by the text
 * @text: body, tail and segments: hdr.len - sizeof(hdr) bytes, 8 byte aligned
 * @text_len: how many
 * @bulk: bulk bytes
 * @owner: for whoever sends it
 *
 * Allocated by weft_msg_alloc() and freed by weft_msg_free().
 */
struct weft_msg {
	struct weft_msg *next;
	struct weft_sg bulk;
	size_t text_len;
	char *text;
	void *owner;
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
 * struct weft_xprt_cb - what a connection tells its owner
 * @connected: the outcome of connecting: 0 or a negative errno (then close it)
 * @place: header and text of a message with bulk have come: say where its bulk goes by filling
 *	m->bulk with hdr.bulk_len bytes. Return 0; -ENOMEM to be asked again soon (nothing is read
 *	meanwhile); another negative errno breaks the connection.
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
 * struct weft_xprt_ops - one kind of transport
 * @name: "tcp" or "rdma"
 *
 * The functions are those documented below.
 */
struct weft_xprt_ops {
	const char *name;
	int (*connect)(struct weft_env *env, const char *host, uint16_t port,
		       const struct weft_xprt_cb *cb, void *arg, struct weft_xprt **out);
	int (*attach)(struct weft_env *env, int fd, const struct weft_xprt_cb *cb, void *arg,
		      struct weft_xprt **out);
	int (*detach)(struct weft_xprt *x);
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

/**
 * weft_xprt_detach() - take the descriptor out, to attach it on another loop
 * @x: the connection, idle: all sent, nothing half received; it is freed
 *
 * Return: the descriptor or a negative errno (freed all the same).
 */
static inline int weft_xprt_detach(struct weft_xprt *x)
{
	return x->ops->detach(x);
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
