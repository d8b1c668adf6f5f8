/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the RDMA transport share; nobody else includes this.
 *
 *	rdma_wire.c	arithmetic of frames, credits, segments (pure)
 *	rdma_dev.c	devices, protection domains, registered memory
 *	rdma_cm.c	listening, connecting, the connection manager's events
 *	rdma_conn.c	a connection: queue pair, attaching and detaching, its end
 *	rdma_io.c	completions, frames in and out
 *	rdma_serve.c	requests that have come: READ of their bulk, WRITE of the reply's
 *	rdma_call.c	requests that are sent: memory that is offered to the server
 *
 * Life of a connection: made by rdma_cm.c (accepted or connecting), attached to a loop by its
 * owner, detached, attached to another loop, closed. It belongs to the loop that it is attached
 * to; device and slab registrations are shared by all loops under a lock (rdma_dev.c).
 */
#ifndef WEFT_COMMON_RPC_RDMA_H
#define WEFT_COMMON_RPC_RDMA_H

#include <rdma/rdma_cma.h>

#include "common/rpc/rdma_stats.h"
#include "common/rpc/rdma_wire.h"

#define RDMA_RECV_DEPTH 32u
#define RDMA_SEND_SLOTS 16u
#define RDMA_SQ_DEPTH 128u
#define RDMA_SQ_SIGNAL 32u /* an unsignaled run is not longer */
#define RDMA_READS_MAX 16u
#define RDMA_PLACED_MAX (16u << 20) /* pool memory of a connection whose bulk is not here yet */
#define RDMA_REQS_MAX 128u /* requests of a connection that wait for memory or READs */
#define RDMA_SGE_MAX 8u
#define RDMA_SQ_KEEP 8u /* room that READs and WRITEs leave to SENDs */
#define RDMA_POLL_BATCH 16u
#define RDMA_POLL_ROUNDS 8u /* batches per event, so that one peer cannot keep the loop */
#define RDMA_RETRY_MS 2
#define RDMA_ALIVE_MS 5000
#define RDMA_EMBRYOS_MAX 256u /* connections that a listener has not finished making */

/* --- rdma_dev.c */

/**
 * struct rdma_dev - a device of this process, never freed
 * @index: of its registration in struct weft_slab's priv
 * @reads_out: most READs that a queue pair of it may have outstanding
 * @reads_in: most READs that it answers at a time
 * @can_inv: it can SEND_WITH_INV
 */
struct rdma_dev {
	struct ibv_context *verbs;
	struct ibv_pd *pd;
	unsigned int index;
	unsigned int max_sge;
	unsigned int max_sge_rd;
	unsigned int reads_out, reads_in;
	bool can_inv;
};

/* Finds or opens. Return: 0 or a negative errno. Context: any thread. */
int rdma_dev_find(struct ibv_context *verbs, struct rdma_dev **out);

/* Key of a buffer's slab, registered on first use. Return: 0 or a negative errno. Any thread. */
int rdma_slab_lkey(struct rdma_dev *dev, struct weft_slab *slab, uint32_t *lkey);

/* Registers memory; says why when it fails (limits of locked memory). */
struct ibv_mr *rdma_reg(struct rdma_dev *dev, void *mem, size_t len, int access, const char *what);
void rdma_unreg(struct ibv_mr *mr);

/* --- requests */

/*
 * Life of a request at the server. Each state but the last has one thing that it waits for:
 *
 *	NEW		its text is being looked at
 *	NEED_BUF	pool memory for its bulk
 *	READ_WAIT	a READ slot or room in the send queue
 *	READING		its READs
 *	EXECUTING	the handler; the record travels with the request
 *	WRITING		room in the send queue for the WRITEs of its reply
 *	REPLYING	credits, send slots, the device's word that all is sent
 *	DONE		freed
 */
enum rdma_req_state {
	RDMA_REQ_NEW,
	RDMA_REQ_NEED_BUF,
	RDMA_REQ_READ_WAIT,
	RDMA_REQ_READING,
	RDMA_REQ_EXECUTING,
	RDMA_REQ_WRITING,
	RDMA_REQ_REPLYING,
	RDMA_REQ_DONE,
};

/**
 * struct rdma_req - a request at the server
 * @m: the request, until it is handed up
 * @nread: segments to be read
 * @nwrite: segments behind them, to be written
 * @seg: segment where moving goes on, and @seg_off in it
 * @e: piece of local memory where it goes on, and @e_off in it
 * @off: bytes of bulk that are moved
 * @pending: READs that are posted and not complete
 */
struct rdma_req {
	struct rdma_req *next;
	enum rdma_req_state state;
	struct weft_msg *m;
	unsigned int nread, nwrite;
	unsigned int seg;
	uint32_t seg_off;
	unsigned int e;
	size_t e_off;
	size_t off;
	unsigned int pending;
	struct rdma_seg segs[];
};

struct rdma_req_list {
	struct rdma_req *first, *last;
};

struct rdma_msg_list {
	struct weft_msg *first, *last;
};

/**
 * struct rdma_call - a request that was sent and has segments, until its reply
 * @m: the request
 * @out: copy of the request's bulk, when it lies in too many pieces
 * @in: where the server writes the reply's bulk
 * @bounced: @in is copied to the place that the requester named, which is in too many pieces
 * @posted: all frames of the request are; no reply is believed before
 * @mrs: registrations, one for each segment
 * @nread: segments that the server reads
 */
struct rdma_call {
	struct rdma_call *next;
	struct weft_msg *m;
	struct weft_sg out, in;
	bool bounced, posted;
	struct ibv_mr *mrs[WEFT_SEGS_MAX];
	struct weft_seg segs[WEFT_SEGS_MAX];
	unsigned int nsegs, nread;
};

/* --- connections */

struct rdma_listener;

enum rdma_conn_state { RDMA_CONNECTING, RDMA_UP, RDMA_BROKEN };

/* What a completion says; the lowest bits of wr_id. ROOM: only that what is before it is sent. */
enum rdma_wr { RDMA_WR_RECV, RDMA_WR_READ, RDMA_WR_ROOM, RDMA_WR_ALIVE };

/**
 * struct rdma_conn - a connection
 * @env: the loop that it is attached to
 * @listener: who makes it, until it is accepted
 * @kick: look at completions again soon
 * @retry: look for memory again
 * @hold: sending is delayed by a fault point
 * @fail: tell of @err outside of a call
 * @alive: see whether a silent peer is still there
 * @mem: receives, then send slots
 * @rx_ring: receives that hold frames not worked through, from @rx_head, @rx_count of them
 * @rx_used: bytes of the first one that are worked through
 * @slot_msg: messages that end with the SEND of a slot
 * @slot_seq: @sq_posted after the SEND of a slot
 * @slot_head: slots used, one after the other
 * @slot_tail: of these, how many are free again
 * @sq_free: room in the send queue
 * @sq_run: work requests posted since the last signaled one
 * @sq_posted: all of them
 * @holding: @held was counted but not posted yet
 * @reads_free: READs that may still be posted
 * @need_buf: requests without memory
 * @read_wait: requests with READs to post
 * @reading: requests with READs posted, in their order
 * @arrived: requests whose bulk is here
 * @nreqs: requests in these lists
 * @placed: bytes of pool memory that they hold
 * @tx: messages to send; the first is in progress when @tx_on, its bulk gathered with @gather
 * @done: messages that are sent, to be told
 * @calls: requests with segments that wait for their replies
 * @call_wait: requests that wait for memory for their replies
 */
struct rdma_conn {
	struct weft_xprt x;
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_xprt_cb cb;
	void *arg;
	struct rdma_listener *listener;
	struct rdma_conn *embryo_next, **embryo_link;

	struct rdma_dev *dev;
	struct rdma_event_channel *chan;
	struct rdma_cm_id *id;
	struct ibv_comp_channel *comp;
	struct ibv_cq *cq;
	struct weft_watch *cm_watch, *cq_watch;
	struct weft_timer kick, retry, hold, fail, alive;
	enum rdma_conn_state state;
	int err;
	int depth;
	bool server, inv, closed, told, stopped, busy;
	char peer_name[80];

	struct rdma_side own, peer;
	struct rdma_credits credits;
	char *mem;
	size_t mem_len;
	struct ibv_mr *mr;
	uint32_t send_size;

	uint16_t rx_ring[RDMA_RECV_DEPTH];
	uint32_t rx_len[RDMA_RECV_DEPTH];
	unsigned int rx_head, rx_count;
	size_t rx_used;
	struct rdma_rx rx;
	uint64_t heard;

	struct weft_msg *slot_msg[RDMA_SEND_SLOTS];
	uint32_t slot_seq[RDMA_SEND_SLOTS];
	uint32_t slot_head, slot_tail;
	unsigned int sq_free, sq_run;
	uint32_t sq_posted;
	unsigned int reads_max, reads_free;
	bool alive_sent, holding;
	struct ibv_send_wr held;
	struct ibv_sge held_sge[RDMA_SGE_MAX];

	struct rdma_req_list need_buf, read_wait, reading, arrived;
	unsigned int nreqs;
	size_t placed;
	struct rdma_msg_list tx, done;
	struct rdma_tx cur;
	bool tx_on, gather;
	struct rdma_call *calls;
	struct rdma_msg_list call_wait;
};

static inline void rdma_msg_add(struct rdma_msg_list *l, struct weft_msg *m)
{
	m->next = NULL;
	if (l->first)
		l->last->next = m;
	else
		l->first = m;
	l->last = m;
}

static inline struct weft_msg *rdma_msg_take(struct rdma_msg_list *l)
{
	struct weft_msg *m = l->first;

	if (m)
		l->first = m->next;
	return m;
}

static inline void rdma_enter(struct rdma_conn *c)
{
	c->depth++;
}

/* rdma_conn.c */

/* Allocates. @server: it was accepted. */
struct rdma_conn *rdma_conn_alloc(bool server);
/* Makes the queue pair for c->id and posts the receives. Return: 0 or a negative errno. */
int rdma_conn_setup(struct rdma_conn *c);
/* It is established. @reads: READs that the peer answers at a time. */
void rdma_conn_up(struct rdma_conn *c, const struct rdma_side *peer, unsigned int reads);
/* Watches its descriptors on a loop. Return: 0 or a negative errno. */
int rdma_conn_watch(struct rdma_conn *c, struct weft_env *env);
/* Takes an idle connection off its loop. Return: it, at another address; NULL: it is closed. */
struct rdma_conn *rdma_conn_move(struct rdma_conn *c);
/* Leaves a function that may have closed it. */
void rdma_leave(struct rdma_conn *c);
/* Destroys the queue pair, gives back all messages, frees when nobody is inside. */
void rdma_conn_close(struct rdma_conn *c);
/* Tells of the end, once, from a callback of the loop. */
void rdma_conn_tell(struct rdma_conn *c, int err);
/* Remembers an error that is told later. */
void rdma_conn_fail(struct rdma_conn *c, int err);
/* A peer broke a rule: a line in the log, and the end. */
void rdma_conn_rule(struct rdma_conn *c, const char *why);

/* rdma_cm.c */

void rdma_cm_ready(void *arg);
/* The name of a peer for messages. */
void rdma_cm_name(struct rdma_cm_id *id, char *buf, size_t len);

int rdma_xprt_listen(struct weft_env *env, const char *host, uint16_t port,
		     weft_xprt_accepted accepted, void *arg, struct weft_xprt_listener **out);
uint16_t rdma_xprt_listen_port(struct weft_xprt_listener *l);
void rdma_xprt_listen_close(struct weft_xprt_listener *l);
int rdma_xprt_connect(struct weft_env *env, const char *host, uint16_t port,
		      struct weft_pool *pool, const struct weft_xprt_cb *cb, void *arg,
		      struct weft_xprt **out);
/* A connection that was being accepted is no longer. */
void rdma_embryo_end(struct rdma_conn *c);

/* rdma_io.c */

void rdma_cq_ready(void *arg);
/* Works through completions and frames, sends what can be sent. */
void rdma_run(struct rdma_conn *c);
/* Posts all receives at the beginning. */
int rdma_post_recvs(struct rdma_conn *c);
/* Sends what credits, slots and the send queue allow; without upcalls. */
void rdma_tx_run(struct rdma_conn *c);
/* Tells of messages that are sent. */
void rdma_tell_sent(struct rdma_conn *c);
/* Sees whether a silent peer is still there. */
void rdma_alive(struct rdma_conn *c);
/* Posts one work request and accounts for it. @signal: a completion is wanted. */
int rdma_post(struct rdma_conn *c, struct ibv_send_wr *wr, enum rdma_wr kind, bool signal);
/* The same for a WRITE; the last one is held back for a SEND, or until rdma_tx_run() returns. */
int rdma_post_write(struct rdma_conn *c, struct ibv_send_wr *wr);
extern const struct rdma_rx_ops rdma_rx_ops;

/* rdma_serve.c */

/* A request has come whole. */
void rdma_req_new(struct rdma_conn *c, struct weft_msg *m);
/* Goes on with requests that wait for memory, READ slots or the send queue. */
void rdma_req_run(struct rdma_conn *c);
/* The READs posted first are complete; without upcalls. */
void rdma_req_read_done(struct rdma_conn *c);
/* Hands up the requests whose bulk is here. */
void rdma_req_hand_up(struct rdma_conn *c);
/* Before a reply is sent: its bulk must lie in slabs. Return: 0 or -ENOMEM. */
int rdma_reply_prepare(struct rdma_conn *c, struct weft_msg *m);
/* WRITEs of the reply at the head. Return: 0 all are posted, -EAGAIN, or an error. */
int rdma_reply_write(struct rdma_conn *c, struct weft_msg *m);
void rdma_req_drop_all(struct rdma_conn *c);
/* Adds the pieces of a list to a work request. Return: how many, or a negative errno. */
int rdma_gather(struct rdma_conn *c, const struct weft_sg *sg, struct ibv_sge *sge,
		unsigned int max);

/* rdma_call.c */

/* Before a request is sent: offers memory. Return: 0, -ENOMEM try again, or an error. */
int rdma_call_prepare(struct rdma_conn *c, struct weft_msg *m);
/* Sends the requests that waited for memory. */
void rdma_call_retry(struct rdma_conn *c);
/* How many bytes of bulk follow a reply's text. */
ssize_t rdma_call_inline(struct rdma_conn *c, const struct weft_hdr *h);
/* A reply has come: the memory of its request is ours again. Return: 0 or a negative errno. */
int rdma_call_replied(struct rdma_conn *c, struct weft_msg *m);
/* A message has come that the rest of the transport has no part in: hand it up. */
void rdma_received(struct rdma_conn *c, struct weft_msg *m);
void rdma_call_drop_all(struct rdma_conn *c);

#endif
