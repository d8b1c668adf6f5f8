/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Transports: what moves messages. TCP is built in (tcp.c); others are modules that register
 * themselves. Nothing above this header knows which one carries a request.
 *
 * A link (link.c) opens one struct weft_xprt at a time: open() connects, then the link does INIT
 * and AUTH through it like any other requests, then requests flow. A transport calls up only
 * through the four functions at the end of this file, in process context.
 *
 * How it can fail: a transport that finds anything wrong calls weft_link_broken() once and goes
 * silent; the link closes it and sends what was outstanding again through another one.
 */
#ifndef WEFT_KMOD_TRANSPORT_H
#define WEFT_KMOD_TRANSPORT_H

#include <linux/kref.h>
#include <linux/module.h>
#include <linux/socket.h>
#include "proto/map.h"
#include "proto/wire.h"

struct weft_link;
struct weft_rpc;
struct weft_xprt;

/**
 * struct weft_xprt_ops - one kind of transport; const, registered by its module
 * @name: "tcp", "rdma": the mount option's word
 * @rail: the kind of address in the map that it can connect to
 * @owner: its module
 * @open: connect to @addr in the name of @link. May sleep up to the connect timeout, but must
 *	return early when weft_link_stopping() turns true (weft_link_wait() is woken then).
 * @send: send a request: rpc->msg (whole) and rpc->out. Called in process context by whoever
 *	submits; must not block for the network. Takes a reference for as long as it needs the
 *	request and sets rpc->sent_all (with release) when the last byte was handed on. On a closed
 *	transport it does nothing, without touching the request.
 * @settle: wait until a send of this request that is just going on has returned
 * @detach: after its return the memory behind rpc->in, and behind rpc->out unless @copy, is not
 *	touched any more; the rest of a half-sent request is taken from @copy
 * @probe: see whether the peer is there, though nothing is asked of it; one that is not breaks the
 *	link. NULL: the transport does that of its own accord.
 * @close: no upcall comes after its return and no request is on its lists; sleeps. The last
 *	weft_xprt_put() then frees it.
 * @free: frees the memory
 */
struct weft_xprt_ops {
	const char *name;
	enum weft_rail_kind rail;
	struct module *owner;
	int (*open)(struct weft_link *link, const struct sockaddr_storage *addr,
		    struct weft_xprt **out);
	void (*send)(struct weft_xprt *x, struct weft_rpc *rpc);
	void (*settle)(struct weft_xprt *x, struct weft_rpc *rpc);
	void (*detach)(struct weft_xprt *x, struct weft_rpc *rpc, const void *copy);
	void (*probe)(struct weft_xprt *x);
	void (*close)(struct weft_xprt *x);
	void (*free)(struct weft_xprt *x);
};

/* A connection; transports embed it. */
struct weft_xprt {
	const struct weft_xprt_ops *ops;
	struct weft_link *link;
	struct kref ref;
};

void weft_xprt_init(struct weft_xprt *x, const struct weft_xprt_ops *ops, struct weft_link *link);
void weft_xprt_get(struct weft_xprt *x);
void weft_xprt_put(struct weft_xprt *x);

/* weft_xprt_register() - offer a transport. Return: 0 or -EEXIST. */
int weft_xprt_register(const struct weft_xprt_ops *ops);
void weft_xprt_unregister(const struct weft_xprt_ops *ops);

/* weft_xprt_find() - by name, loading module weft_<name> if need be; NULL: there is none.
 * The module stays until weft_xprt_release(). */
const struct weft_xprt_ops *weft_xprt_find(const char *name);
void weft_xprt_release(const struct weft_xprt_ops *ops);

extern const struct weft_xprt_ops weft_tcp_ops;

/* For open(): namespace to connect in; is the link going away; what to sleep on meanwhile. */
struct net *weft_link_net(struct weft_link *link);
bool weft_link_stopping(struct weft_link *link);
wait_queue_head_t *weft_link_wait(struct weft_link *link);

/**
 * weft_link_message() - a message has come: header and text; its bulk has not been read yet
 * @link: the link
 * @hdr: the header, already checked with weft_hdr_check(), followed by the text
 *
 * Return: the request that it answers, with a reference: its bulk (hdr->bulk_len, known to fit)
 * goes to rpc->in, then weft_link_received() must be called. NULL: bulk, if any, is thrown away
 * (a push, or nobody waits any more). ERR_PTR: break the connection.
 */
struct weft_rpc *weft_link_message(struct weft_link *link, const struct weft_hdr *hdr);

/**
 * weft_link_received() - the reply is complete
 * @link: the link
 * @rpc: as returned by weft_link_message(); the reference is consumed
 * @hdr: the reply's header
 *
 * Return: 0, or a negative errno: break the connection.
 */
int weft_link_received(struct weft_link *link, struct weft_rpc *rpc, const struct weft_hdr *hdr);

/* weft_link_alive() - something was heard of the peer */
void weft_link_alive(struct weft_link *link);

/**
 * weft_link_broken() - the connection failed
 * @link: the link
 * @err: -EBADMSG and -EPROTO: the peer sent nonsense (logged); others: it is gone
 *
 * Context: process.
 */
void weft_link_broken(struct weft_link *link, int err);

#endif
