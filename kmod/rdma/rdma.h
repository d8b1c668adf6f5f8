/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects of weft_rdma.ko and what its files offer each other.
 *
 *	struct wrdma		a connection: rdma_cm id, queue pair, credits (cm.c)
 *		-> wrdma_bufs	memory of sends and receives, mapped for the device once (buf.c)
 *		-> wrdma_mr	a memory region, registered for one request at a time (mr.c)
 *		-> wrdma_bulk	the bulk of one request under way: its regions (mr.c)
 *		-> wrdma_gather	inline bulk that is sent from where it lies (gather.c)
 *
 * Contexts: completions come in softirq; they only put their event on a list and queue the
 * connection's work. The work (recv.c) looks at all events in their order, and alone calls up into
 * weft.ko. Whoever submits a request sends it himself (send.c).
 *
 * Locks: rx_mutex: receiving, @rx; held over upcalls. tx_mutex: the send queue, @tx, and everything
 * that is posted to it; taken inside rx_mutex. lock, a spinlock of process context: the lists of
 * waiting requests, of free and active regions, and @closed; nests in both.
 */
#ifndef WEFT_KMOD_RDMA_H
#define WEFT_KMOD_RDMA_H

#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>
#include "kmod/rpc.h"
#include "kmod/transport.h"
#include "proto/rdma.h"

#define WRDMA_RECV_DEPTH 64
#define WRDMA_SENDS_MAX 32     /* send buffers */
#define WRDMA_GATHER 4	       /* pieces of inline bulk that are sent from where they lie */
#define WRDMA_REG_IN 512       /* bulk of replies that is registered; less is copied */
#define WRDMA_MR_PAGES 257u    /* 1 MiB that begins anywhere in a page */
#define WRDMA_MRS_MIN 8u       /* regions of a new connection; it gets more when they run out */
#define WRDMA_MRS_MAX 64u
#define WRDMA_FRAME_MAX (sizeof(struct weft_rdma_frame) + WEFT_MSG_MAX + WEFT_RDMA_INLINE_MAX)

struct wrdma;

enum wrdma_event_kind {
	WRDMA_EV_RECV,
	WRDMA_EV_SEND,
	WRDMA_EV_REG,
	WRDMA_EV_INV,
	WRDMA_EV_ALIVE, /* wrdma_probe() */
};

/**
 * struct wrdma_event - what a completion leaves for the work
 * @stamp: number of the work request in the send queue; its completion retires all up to it
 * @lazy: a completion without error may wait until the work has something else to do
 */
struct wrdma_event {
	struct ib_cqe cqe;
	struct llist_node node;
	struct wrdma *conn;
	enum wrdma_event_kind kind;
	enum ib_wc_status status;
	u32 byte_len, inv_rkey;
	bool inv, lazy;
	u32 stamp;
};

/* One SEND's or RECEIVE's memory. */
struct wrdma_buf {
	struct wrdma_event ev;
	void *data;
	struct ib_sge sge;
	union {
		struct ib_recv_wr recv;
		struct ib_send_wr send;
	};
};

/**
 * struct wrdma_gather - inline bulk of a request that a SEND takes from where it lies
 * @rpc: the request, with a reference, until the SEND has completed; NULL: there is none
 * @sge: what the SEND is made of: the send buffer, then the pieces
 * @n: number of pieces, which are mapped for the device
 * @replied: the reply is here (@hdr), it waits for the completion
 */
struct wrdma_gather {
	struct weft_rpc *rpc;
	struct ib_sge sge[1 + WRDMA_GATHER];
	unsigned int n;
	bool replied;
	struct weft_hdr hdr;
};

/* A set of them, carved from pieces of several pages; for sends, with a gather for each. */
struct wrdma_bufs {
	struct wrdma_buf *buf;
	struct wrdma_gather *gather;
	unsigned int n, size, pieces;
	enum dma_data_direction dir;
	struct wrdma_piece *piece;
};

/**
 * struct wrdma_mr - a memory region
 * @node: in the connection's free list or in its bulk's list
 * @valid: the device lets the peer at it
 * @sg, @nents: the pages, mapped for the device while it belongs to a bulk
 */
struct wrdma_mr {
	struct list_head node, all;
	struct ib_mr *mr;
	struct wrdma_bulk *bulk;
	struct scatterlist *sg;
	int nents;
	enum dma_data_direction dir;
	bool valid;
	struct ib_reg_wr reg;
	struct ib_send_wr inv;
	struct wrdma_event reg_ev, inv_ev;
};

/**
 * struct wrdma_bulk - a request whose bulk the peer moves
 * @rpc: the request, with a reference
 * @mrs: its regions, those that the peer reads first
 * @nsegs: their number when it was sent
 * @in: the peer was given segments to write to
 * @replied: the reply is here (@hdr), it waits for invalidation
 * @invalidating: a LOCAL_INV is under way
 */
struct wrdma_bulk {
	struct list_head node;
	struct weft_rpc *rpc;
	struct list_head mrs;
	unsigned int nsegs;
	bool in, replied, invalidating;
	struct weft_hdr hdr;
};

/* The message that is being sent: header copy, rest of the text, segments, inline bulk. */
struct wrdma_tx {
	struct weft_rpc *rpc; /* with a reference */
	struct weft_hdr hdr;
	struct weft_seg segs[WEFT_SEGS_MAX];
	size_t text, segs_len; /* bytes of header + body + tail, and of the segments */
	size_t off, total;
	struct iov_iter bulk;
};

/**
 * struct wrdma_rx - the message that is being received
 * @text: where a text is put together that does not come in one frame
 * @hdr: of the message whose inline bulk is still coming
 * @discard: nobody wants its bulk
 */
struct wrdma_rx {
	u8 *text;
	size_t have, want;
	struct weft_hdr hdr;
	bool in_bulk, discard;
	struct weft_rpc *rpc;
	struct iov_iter bulk;
	size_t bulk_left;
	bool inv;
	u32 inv_rkey;
};

enum wrdma_state { WRDMA_NEW, WRDMA_ADDR, WRDMA_ROUTE, WRDMA_UP };

struct wrdma {
	struct weft_xprt base;
	struct rdma_cm_id *id;
	struct ib_pd *pd;
	struct ib_cq *cq;
	unsigned int cqes;
	struct ib_event_handler port_events;
	enum wrdma_state state;
	int error;     /* the first thing that went wrong */
	bool opened;   /* open() has returned it */
	bool reported; /* to the link; belongs to the work */
	struct weft_rdma_cm peer;

	struct llist_head events;
	struct work_struct work;
	wait_queue_head_t wait; /* for the end of a bulk */

	struct mutex tx_mutex;
	unsigned long tx_flags;
	struct wrdma_tx tx;
	struct wrdma_bufs sends;
	struct ib_rdma_wr alive; /* of wrdma_probe(), one at a time */
	struct wrdma_event alive_ev;
	u32 send_head, send_tail; /* send buffers used, and free again */
	u32 sq_depth, posted, retired, unsignaled;
	u32 sent, seen; /* frames sent; of them received, as the peer says */
	u32 send_size, peer_depth, inline_out;
	unsigned int gather_max; /* pieces of a SEND behind the send buffer */
	bool tx_full;		 /* something waits for room: completions are wanted at once */

	struct mutex rx_mutex;
	struct wrdma_rx rx;
	struct wrdma_bufs recvs;
	u32 reposted, told; /* receives posted again; as the peer was told */

	spinlock_t lock;
	bool closed;
	struct list_head xmit;	  /* requests to be sent */
	struct list_head mr_wait; /* those that wait for regions */
	struct list_head active;  /* wrdma_bulk */
	struct list_head free_bulks, free_mrs;
	struct list_head all_mrs; /* grown by open and @grow */
	unsigned int mr_pages, nmrs, mrs_max;
	struct work_struct grow;
};

#define WRDMA_TX_WANTED 0 /* bit of tx_flags: somebody wants the send queue looked at */

/* What the device's memory is used for; shown in debugfs, all 0 when no connection is left. */
struct wrdma_counters {
	atomic_t connections, qps, mrs, mrs_used, bufs;
	atomic_long_t pages;
	/* These only grow. */
	atomic64_t opened, broken, removals, frames_sent, frames_received, credit_frames;
	atomic64_t read_bytes, write_bytes, inline_bytes, gathered_bytes;
	atomic64_t remote_invs, local_invs, mr_waits, detaches;
};

extern struct wrdma_counters wrdma_counters;
extern struct workqueue_struct *wrdma_wq;
extern const struct weft_xprt_ops wrdma_ops;

/* main.c */
void wrdma_event_init(struct wrdma *c, struct wrdma_event *ev, enum wrdma_event_kind kind);

/* cm.c */
void wrdma_fail(struct wrdma *c, int err);

/* buf.c */
int wrdma_bufs_init(struct wrdma *c, struct wrdma_bufs *set, unsigned int n, unsigned int size,
		    enum dma_data_direction dir);
void wrdma_bufs_fini(struct wrdma *c, struct wrdma_bufs *set);

/* mr.c */
ssize_t wrdma_next_pages(struct iov_iter *it, struct page **pages, unsigned int max, size_t *off);
void wrdma_mrs_prepare(struct wrdma *c);
int wrdma_mrs_init(struct wrdma *c);
void wrdma_mrs_fini(struct wrdma *c);
int wrdma_bulk_map(struct wrdma *c, struct weft_rpc *rpc, size_t out, size_t in,
		   struct wrdma_tx *tx, struct wrdma_bulk **bulk);
struct wrdma_bulk *wrdma_bulk_find(struct wrdma *c, const struct weft_rpc *rpc);
bool wrdma_bulk_busy(struct wrdma *c, const struct weft_rpc *rpc);
void wrdma_bulk_unmap(struct wrdma *c, struct wrdma_bulk *bulk);
void wrdma_bulk_free(struct wrdma *c, struct wrdma_bulk *bulk);

/* gather.c */
struct wrdma_gather *wrdma_gather(struct wrdma *c, struct wrdma_buf *b, struct weft_rpc *rpc);
bool wrdma_gather_replied(struct wrdma *c, struct weft_rpc *rpc, const struct weft_hdr *hdr);
bool wrdma_gather_busy(struct wrdma *c, const struct weft_rpc *rpc);
struct weft_rpc *wrdma_gather_end(struct wrdma *c, struct wrdma_buf *b, struct weft_hdr *hdr);

/* send.c */
void wrdma_tx(struct wrdma *c);
int wrdma_post_inv(struct wrdma *c, struct wrdma_bulk *bulk);
void wrdma_send(struct weft_xprt *x, struct weft_rpc *rpc);
void wrdma_settle(struct weft_xprt *x, struct weft_rpc *rpc);
void wrdma_detach(struct weft_xprt *x, struct weft_rpc *rpc, const void *copy);
void wrdma_probe(struct weft_xprt *x);
void wrdma_tx_drop(struct wrdma *c);

/* recv.c */
int wrdma_post_recvs(struct wrdma *c);
void wrdma_work(struct work_struct *work);
void wrdma_rx_drop(struct wrdma *c);

#endif
