/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests: what the VFS half asks of the cluster.
 *
 *	rpc = weft_rpc_alloc_ns(fs, WEFT_OP_LOOKUP, cred, dir, name, NULL, GFP_KERNEL);
 *	ret = weft_rpc_call(rpc);
 *	rep = weft_rpc_reply(rpc);		(NULL if the reply has no complete body)
 *	weft_rpc_put(rpc);
 *
 * The request is routed by the map of the moment to the primary of its group, gets a session and,
 * if it modifies, a request slot, and waits for its reply. Everything that can be overcome is
 * overcome below this interface, once for all: a newer map, a moved group, a closed or unknown
 * session, a busy or recovering server, a lost connection (the request is sent again with the same
 * id and slot, so that it is applied exactly once). The caller sees a result, or -EINTR if it was
 * killed, or -EIO after weft_fs_abort().
 *
 * Results: 0, or the server's errno negated; WEFT_ELAYOUT (WEFT_S_LAYOUT: the layout changed,
 * fetch attributes and begin again). -EPROTO: the peer does not understand us or we not it. -EIO:
 * aborted, or a session ran out while it was not known whether the request had been carried out.
 *
 * Bulk: @out and @in are iterators over memory that stays valid until the result (bvec, kvec or
 * xarray; never user addresses: pin the pages). A request in writeback must be allocated with
 * GFP_NOFS; the pool behind it guarantees progress as long as other requests come to an end.
 */
#ifndef WEFT_KMOD_RPC_H
#define WEFT_KMOD_RPC_H

#include <linux/completion.h>
#include <linux/refcount.h>
#include <linux/uio.h>
#include <linux/workqueue.h>
#include "proto/ops.h"

struct cred;
struct qstr;
struct weft_fs;
struct weft_link;
struct weft_peer;
struct weft_session;
struct weft_slots;

#define WEFT_ELAYOUT EREMCHG

/* Where a request is; protected by fs->lock. */
enum weft_rpc_place {
	WEFT_RPC_IDLE,	  /* being built */
	WEFT_RPC_PARKED,  /* waits for a map that has a primary for it */
	WEFT_RPC_DELAYED, /* waits for its pause to end (BUSY, RECOVERY) */
	WEFT_RPC_GATED,	  /* waits for its session to open */
	WEFT_RPC_SLOTTED, /* waits for a free slot */
	WEFT_RPC_QUEUED,  /* waits for a connection with credit */
	WEFT_RPC_SENT,	  /* given to a connection */
	WEFT_RPC_DONE,
};

/**
 * struct weft_rpc - one request
 * @body: the fixed body of the request, zeroed, to be filled in by the caller
 * @out: bulk to send, or of length 0
 * @in: where bulk of the reply goes, or of length 0; left as the caller set it
 * @in_len: bytes of bulk that came
 * @error: the result (also returned by weft_rpc_call())
 * @status: the reply's status as it came, 0 or errno or WEFT_S_*
 * @done: weft_rpc_submit(): called once with the result in @error, in process context on a
 *	workqueue; may submit other requests, must not wait for any. It inherits no reference.
 *	weft_rpc_call(), optional: called in the same way when a request ends whose caller was
 *	killed after it had been sent; the reply is gone by then.
 * @priv: for the caller
 *
 * The rest is private to the lower half and is protected by fs->lock unless noted.
 */
struct weft_rpc {
	void *body;
	struct iov_iter out;
	struct iov_iter in;
	size_t in_len;
	int error;
	u32 status;
	void (*done)(struct weft_rpc *rpc);
	void *priv;

	/* private: fixed once submitted */
	struct weft_fs *fs;
	const struct weft_op_info *op;
	refcount_t ref;
	u16 opcode;
	u16 route; /* enum weft_route */
	u32 flags; /* WEFT_RPC_F_* */
	u32 group;
	u64 ino;
	u64 id;
	pid_t pid;
	ktime_t start;

	/* private: the message; @msg is the header followed by body and tail */
	struct weft_hdr *msg;
	u32 msg_max, tail_len;
	void *rep; /* body, then tail of the reply */
	u32 rep_len, rep_tail_len, rep_tail_max;

	/* private: state */
	enum weft_rpc_place place;
	bool detached;	/* its caller was killed: it only ends properly */
	bool ambiguous; /* was sent and lost: may have been carried out */
	bool forgotten; /* sent into a session that its server has no record of any more */
	bool sent_all;	/* set by the transport: all of it is with the network stack */
	u8 crc_tries;
	u32 replays;
	u32 out_crc;
	u32 delay_ms;
	u32 generation; /* of @session when it was sent */
	u32 slot, slot_seq;
	struct weft_slots *slots; /* where it has a slot */
	struct weft_peer *peer;
	struct weft_link *link;
	struct weft_session *session;
	u64 epoch;		   /* of the map it was routed by */
	u64 want_epoch;		   /* of the map it waits for */
	u64 sent_at;		   /* boot time in ns when it was first sent */
	struct list_head node;	   /* in the list that @place names */
	struct list_head all_node; /* fs->all */
	struct list_head xmit;	   /* the transport's send list, protected by the transport */
	struct delayed_work retry;
	struct work_struct done_work;
	struct completion finished;
	void *bulk_copy; /* of a detached request's @out */
	struct kvec copy_vec;
};

/* How a request finds its server. */
enum weft_route {
	WEFT_ROUTE_NONE,
	WEFT_ROUTE_INO,	  /* metadata group of an inode */
	WEFT_ROUTE_GROUP, /* this group, metadata or data */
	WEFT_ROUTE_MGMT,  /* management's leader */
	WEFT_ROUTE_LINK,  /* this very connection (handshake, ping) */
};

#define WEFT_RPC_F_SESSION 0x0001 /* works on a session that is not open */
#define WEFT_RPC_F_SLOT 0x0002	  /* modifies: needs a slot */
#define WEFT_RPC_F_ASYNC 0x0004	  /* @done is called */
#define WEFT_RPC_F_URGENT 0x0008  /* goes first: keepalive, handshake */
#define WEFT_RPC_F_ONCE 0x0010	  /* fails with the connection instead of being sent again */

/**
 * weft_rpc_alloc() - make a request
 * @fs: the cluster
 * @opcode: enum weft_op
 * @tail_max: most bytes that will be added as tail
 * @gfp: GFP_KERNEL or GFP_NOFS
 *
 * Route it (weft_rpc_to_*) before it is called or submitted.
 *
 * Return: the request with one reference, its body zeroed; or NULL (without memory, or when the
 * message would be longer than WEFT_MSG_MAX).
 */
struct weft_rpc *weft_rpc_alloc(struct weft_fs *fs, u16 opcode, size_t tail_max, gfp_t gfp);

/**
 * weft_rpc_alloc_ns() - make a metadata request whose body opens with struct weft_ns_req
 * @fs: the cluster
 * @opcode: enum weft_op
 * @cred: who asks, or NULL: root with all capabilities (writeback)
 * @ino: the directory or inode that it is about; the request is routed to its group
 * @name: first name or NULL
 * @name2: second name or NULL
 * @gfp: GFP_KERNEL or GFP_NOFS
 *
 * Credentials, supplementary groups and names are filled in; other fields are zero.
 *
 * Return: the request, or ERR_PTR: -ENOMEM, -ENAMETOOLONG (a name over WEFT_NAME_MAX, a symlink's
 * target in @name2 over WEFT_SYMLINK_MAX), -E2BIG (more than WEFT_GROUPS_MAX groups).
 */
struct weft_rpc *weft_rpc_alloc_ns(struct weft_fs *fs, u16 opcode, const struct cred *cred,
				   u64 ino, const struct qstr *name, const struct qstr *name2,
				   gfp_t gfp);

/**
 * weft_rpc_add_tail() - append to the request's tail
 * @rpc: the request
 * @data: bytes, copied
 * @len: how many
 *
 * Return: 0, or -EMSGSIZE if it exceeds the tail_max of weft_rpc_alloc().
 */
int weft_rpc_add_tail(struct weft_rpc *rpc, const void *data, size_t len);

void weft_rpc_get(struct weft_rpc *rpc);

/* weft_rpc_put() - drop a reference; NULL and ERR_PTR are fine */
void weft_rpc_put(struct weft_rpc *rpc);

/* Routing: by inode (its metadata group), by group (data or metadata), to management. */
void weft_rpc_to_ino(struct weft_rpc *rpc, u64 ino);
void weft_rpc_to_group(struct weft_rpc *rpc, u32 group);
void weft_rpc_to_mgmt(struct weft_rpc *rpc);

/**
 * weft_rpc_call() - send a request and wait for its result
 * @rpc: the request; it is used once
 *
 * The wait is killable. After -EINTR the request's bulk memory is not touched any more; a
 * modifying request that was already sent is brought to its end in the background.
 *
 * Return: 0, -EINTR, or another negative errno (see above).
 * Context: process, sleeps. Not in writeback or reclaim: use weft_rpc_submit() there.
 */
int weft_rpc_call(struct weft_rpc *rpc);

/**
 * weft_rpc_submit() - send a request, @rpc->done is called with its result
 * @rpc: the request; a reference is taken until @done has returned
 *
 * @done may be called before this returns (never inside it).
 * Context: process; does not wait for the network.
 */
void weft_rpc_submit(struct weft_rpc *rpc);

/**
 * weft_rpc_wait() - wait for a submitted request, without being killable
 * @rpc: the request
 *
 * Return: the result; @done may still be running.
 */
int weft_rpc_wait(struct weft_rpc *rpc);

/**
 * weft_rpc_reply() - the fixed body of the reply
 * @rpc: the request, after its end
 *
 * Return: the body, at least as long as proto/wire.h says for the opcode, 8-byte aligned, valid
 * until the last reference is put; NULL if the (failed) reply had none.
 */
const void *weft_rpc_reply(const struct weft_rpc *rpc);

/**
 * weft_rpc_reply_tail() - what followed the body of the reply
 * @rpc: the request, after its end
 * @len: out: bytes
 *
 * Return: the tail (of any alignment), cut to what the request has room for.
 */
const void *weft_rpc_reply_tail(const struct weft_rpc *rpc, size_t *len);

#endif
