// SPDX-License-Identifier: Apache-2.0
/*
 * Completions, frames in and frames out.
 *
 * Happy path: the completion channel wakes the loop; completions are taken in batches and only
 * noted down (receives in a ring, sent messages and requests with their bulk in lists); then,
 * with nothing of the device in hand, the owner is called back, frames become messages, and
 * what may be sent is sent. Interrupts are asked for before the last look, so that none is lost.
 *
 * What may be sent: a frame needs a credit of the peer, a send slot and room in the send queue. A
 * completion gives the room and the slots of all work requests up to its own back. Each one wakes
 * the loop once more, so they are asked for only where somebody waits (READs, a reply behind
 * WRITEs of pool memory), and so often that neither queue nor slots can be used up without one
 * under way. A reply with up to 4 KiB of bulk keeps it until then, or until rdma_alive(). Posting
 * is a system call on some devices: the last WRITE of a reply is posted together with its SEND.
 *
 * Failures: a failed completion, or a frame that breaks a rule, is remembered in c->err and told
 * when everything that had come before it is handed up.
 */
#include <errno.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/rpc/rdma.h"

static char *recv_mem(const struct rdma_conn *c, unsigned int slot)
{
	return c->mem + slot * WEFT_RDMA_RECV_SIZE;
}

static char *send_mem(const struct rdma_conn *c, unsigned int slot)
{
	return recv_mem(c, RDMA_RECV_DEPTH + slot);
}

/* --- receives */

static int post_recv(struct rdma_conn *c, unsigned int slot)
{
	struct ibv_sge sge = { .addr = (uintptr_t)recv_mem(c, slot),
			       .length = WEFT_RDMA_RECV_SIZE, .lkey = c->mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = RDMA_WR_RECV | slot << 3, .sg_list = &sge,
				  .num_sge = 1 }, *bad;

	return -ibv_post_recv(c->id->qp, &wr, &bad);
}

int rdma_post_recvs(struct rdma_conn *c)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < RDMA_RECV_DEPTH && !ret; i++)
		ret = post_recv(c, i);
	return ret;
}

static void repost(struct rdma_conn *c, unsigned int slot)
{
	int ret = post_recv(c, slot);

	if (ret)
		rdma_conn_fail(c, ret);
	else
		c->credits.posted++;
}

static void recv_done(struct rdma_conn *c, unsigned int slot, uint32_t len)
{
	uint32_t payload;
	const char *why = rdma_frame_got(&c->credits, recv_mem(c, slot), len, &payload);

	if (why) {
		rdma_conn_rule(c, why);
		return;
	}
	WEFT_RDMA_COUNT(frames_in, 1);
	if (!payload) {
		WEFT_RDMA_COUNT(control_in, 1);
		repost(c, slot);
		return;
	}
	c->rx_len[slot] = payload;
	c->rx_ring[(c->rx_head + c->rx_count++) % RDMA_RECV_DEPTH] = slot;
}

static ssize_t rx_inline_len(void *arg, const struct weft_hdr *h)
{
	struct rdma_conn *c = arg;
	uint32_t len = le32_to_cpu(h->bulk_len);

	if (!c->server)
		return rdma_call_inline(c, h);
	if (h->nsegs)
		return 0;
	return len <= c->own.inline_max ? (ssize_t)len : -EPROTO;
}

static int rx_place(void *arg, struct weft_msg *m)
{
	struct rdma_conn *c = arg;
	int ret = c->cb.place(c->arg, m);

	if (!ret)
		WEFT_RDMA_COUNT(inline_in, m->bulk.len);
	return ret;
}

void rdma_received(struct rdma_conn *c, struct weft_msg *m)
{
	int ret = WEFT_FAULT("rpc.recv");

	if (!ret) {
		c->cb.received(c->arg, m);
		return;
	}
	weft_msg_free(m);
	if (ret < 0)
		rdma_conn_fail(c, ret);
}

static int rx_deliver(void *arg, struct weft_msg *m)
{
	struct rdma_conn *c = arg;
	int ret = 0;

	if (c->server)
		rdma_req_new(c, m);
	else
		ret = rdma_call_replied(c, m);
	return c->closed ? -ECANCELED : ret;
}

const struct rdma_rx_ops rdma_rx_ops = {
	.inline_len = rx_inline_len,
	.place = rx_place,
	.deliver = rx_deliver,
};

/* Works through the frames that have come. */
static void rx_run(struct rdma_conn *c)
{
	unsigned int slot;
	int ret;

	while (c->rx_count && !c->stopped && c->nreqs < RDMA_REQS_MAX) {
		/* What came before the peer went still counts; what it sent wrongly does not. */
		if (c->err && c->err != -EPIPE)
			return;
		slot = c->rx_ring[c->rx_head];
		ret = rdma_rx_frame(&c->rx, recv_mem(c, slot) + sizeof(struct weft_rdma_frame),
				    c->rx_len[slot], &c->rx_used);
		if (c->closed)
			return;
		if (ret == -ENOMEM) {
			weft_timer_start(c->env, &c->retry, RDMA_RETRY_MS * WEFT_NS_PER_MS);
			return;
		}
		if (ret == -EPROTO && c->rx.why)
			rdma_conn_rule(c, c->rx.why);
		else if (ret)
			rdma_conn_fail(c, ret);
		if (ret)
			return;
		c->rx_used = 0;
		c->rx_head = (c->rx_head + 1) % RDMA_RECV_DEPTH;
		c->rx_count--;
		repost(c, slot);
	}
}

/* --- sends */

/* Accounts for a work request. @signal: its completion is wanted; that of others may be too. */
static void wr_count(struct rdma_conn *c, struct ibv_send_wr *wr, enum rdma_wr kind, bool signal)
{
	c->sq_run++;
	c->sq_posted++;
	c->sq_free--;
	wr->wr_id = kind | (uint64_t)c->sq_run << 32;
	if (signal || c->sq_run >= RDMA_SQ_SIGNAL) {
		wr->send_flags |= IBV_SEND_SIGNALED;
		c->sq_run = 0;
	}
}

/* Posts what is held back, if anything, and behind it @wr, if there is one. */
static int wr_post(struct rdma_conn *c, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *first = c->holding ? &c->held : wr, *bad;
	int ret;

	c->held.next = wr;
	c->holding = false;
	ret = first ? -ibv_post_send(c->id->qp, first, &bad) : 0;
	if (ret)
		rdma_conn_fail(c, ret);
	return ret;
}

int rdma_post(struct rdma_conn *c, struct ibv_send_wr *wr, enum rdma_wr kind, bool signal)
{
	wr_count(c, wr, kind, signal);
	return wr_post(c, wr);
}

int rdma_post_write(struct rdma_conn *c, struct ibv_send_wr *wr)
{
	int ret = wr_post(c, NULL);

	wr_count(c, wr, RDMA_WR_ROOM, false);
	c->held = *wr;
	memcpy(c->held_sge, wr->sg_list, wr->num_sge * sizeof(*wr->sg_list));
	c->held.sg_list = c->held_sge;
	c->holding = true;
	return ret;
}

/* The slot whose turn it is. */
static unsigned int next_slot(const struct rdma_conn *c)
{
	return c->slot_head % RDMA_SEND_SLOTS;
}

/*
 * Whose message is told as sent when the slot's SEND is complete. A requester's ends by its reply,
 * and nobody waits for a lazy one, which the device has a copy of.
 */
static void slot_owner(struct rdma_conn *c, unsigned int slot, struct weft_msg *m)
{
	c->slot_msg[slot] = c->server && m && !m->lazy ? m : NULL;
	if (c->server && m && m->lazy)
		rdma_msg_add(&c->done, m);
}

/* Bulk whose memory nobody misses until a later completion comes. */
static bool little_bulk(const struct weft_msg *m)
{
	return m->bulk.len && m->bulk.len <= WEFT_RDMA_INLINE_MAX;
}

/*
 * Sends the content of a slot. @m: the message that ends with it; @gather: its bulk goes behind it,
 * straight from where it lies.
 */
static int post_frame(struct rdma_conn *c, uint32_t len, struct weft_msg *m, bool gather)
{
	unsigned int slot = next_slot(c);
	char *mem = send_mem(c, slot);
	struct ibv_sge sge[RDMA_SGE_MAX] = { { .addr = (uintptr_t)mem,
					       .length = sizeof(struct weft_rdma_frame) + len,
					       .lkey = c->mr->lkey } };
	struct ibv_send_wr wr = { .sg_list = sge, .num_sge = 1, .opcode = IBV_WR_SEND };
	const struct rdma_req *r = c->server && m ? m->xreq : NULL;
	unsigned int used;
	bool signal;
	int ret;

	slot_owner(c, slot, m);
	if (gather) {
		ret = rdma_gather(c, &m->bulk, sge + 1, c->dev->max_sge - 1);
		if (ret < 0)
			return ret;
		wr.num_sge += ret;
		len += m->bulk.len;
	}
	rdma_frame_sent(&c->credits, (struct weft_rdma_frame *)mem, len);
	if (r && c->inv) {
		wr.opcode = IBV_WR_SEND_WITH_INV;
		wr.invalidate_rkey = r->segs[0].rkey;
		/* Where libsiw looks for it; nothing else uses this with a SEND. */
		wr.wr.rdma.rkey = r->segs[0].rkey;
		WEFT_RDMA_COUNT(invs, 1);
	}
	WEFT_RDMA_COUNT(frames_out, 1);
	used = ++c->slot_head - c->slot_tail;
	signal = (c->slot_msg[slot] && !little_bulk(m)) || used >= RDMA_SEND_SLOTS / 2;
	ret = rdma_post(c, &wr, RDMA_WR_ROOM, signal);
	c->slot_seq[slot] = c->sq_posted;
	return ret;
}

/* Return: true when a frame may be posted now. */
static bool tx_room(struct rdma_conn *c, bool control)
{
	if (!rdma_may_send(&c->credits, control)) {
		WEFT_RDMA_COUNT(wait_credit, !control);
		return false;
	}
	if (c->slot_head - c->slot_tail == RDMA_SEND_SLOTS || !c->sq_free) {
		WEFT_RDMA_COUNT(wait_slot, 1);
		return false;
	}
	return true;
}

/*
 * A server's message whose bulk goes inline, in its only frame, out of a few pieces of slabs: the
 * device gathers it, nothing is copied. (A requester's bulk is not in registered memory.)
 */
static bool can_gather(struct rdma_conn *c, const struct weft_msg *m)
{
	struct ibv_sge sge[RDMA_SGE_MAX];

	return c->server && c->cur.inline_len &&
	       c->cur.total <= c->send_size - sizeof(struct weft_rdma_frame) &&
	       rdma_gather(c, &m->bulk, sge, c->dev->max_sge - 1) > 0;
}

/* The message at the head begins. Return: 0, -EAGAIN, or an error. */
static int tx_begin(struct rdma_conn *c, struct weft_msg *m)
{
	const struct rdma_call *call = c->server ? NULL : m->xreq;
	const struct rdma_req *r = c->server ? m->xreq : NULL;
	bool inl = call ? !call->nread : !r || !r->nwrite;
	int ret = c->server ? rdma_reply_write(c, m) : 0;

	if (ret)
		return ret;
	rdma_tx_init(&c->cur, m, call ? call->segs : NULL, call ? call->nsegs : 0, inl);
	c->gather = can_gather(c, m);
	WEFT_RDMA_COUNT(inline_out, c->cur.inline_len);
	WEFT_RDMA_COUNT(inline_copied, c->gather ? 0 : c->cur.inline_len);
	if (c->gather) {
		c->cur.total -= c->cur.inline_len;
		c->cur.inline_len = 0;
	}
	c->tx_on = true;
	return 0;
}

/* All frames of the message at the head are posted. */
static void tx_end(struct rdma_conn *c)
{
	struct weft_msg *m = rdma_msg_take(&c->tx);
	struct rdma_call *k = c->server ? NULL : m->xreq;

	c->tx_on = false;
	if (k)
		k->posted = true;
	/* The device works on a copy of a request; one with segments ends by its reply. */
	else if (!c->server)
		rdma_msg_add(&c->done, m);
}

/* Return: 0, -EAGAIN, or an error. */
static int tx_frames(struct rdma_conn *c)
{
	struct weft_msg *m = c->tx.first;
	size_t max = c->send_size - sizeof(struct weft_rdma_frame), n;
	unsigned int slot;
	bool last;
	int ret;

	while (c->cur.off < c->cur.total) {
		if (!tx_room(c, false))
			return -EAGAIN;
		slot = next_slot(c);
		n = rdma_tx_fill(&c->cur, send_mem(c, slot) + sizeof(struct weft_rdma_frame), max);
		last = c->cur.off == c->cur.total;
		if (last)
			tx_end(c);
		ret = post_frame(c, n, last ? m : NULL, c->gather);
		if (ret || last)
			return ret;
	}
	return 0;
}

/* Tells the peer of receives that are posted again when nothing else does. */
static void tx_control(struct rdma_conn *c)
{
	if (!rdma_must_tell(&c->credits) || !tx_room(c, true))
		return;
	WEFT_RDMA_COUNT(control_out, 1);
	post_frame(c, 0, NULL, false);
}

void rdma_tx_run(struct rdma_conn *c)
{
	int ret = 0;

	if (c->state != RDMA_UP || c->hold.pos >= 0)
		return;
	while (!ret && !c->err && c->tx.first) {
		if (!c->tx_on)
			ret = tx_begin(c, c->tx.first);
		if (!ret)
			ret = tx_frames(c);
	}
	if (ret && ret != -EAGAIN)
		rdma_conn_fail(c, ret);
	if (!c->err)
		wr_post(c, NULL); /* WRITEs whose SEND has to wait */
	if (!c->err)
		tx_control(c);
}

void rdma_tell_sent(struct rdma_conn *c)
{
	struct weft_msg *m;

	while (!c->closed && (m = rdma_msg_take(&c->done)))
		c->cb.sent(c->arg, m);
}

/* An RDMA WRITE of nothing: the peer need not do anything for it, its device must be there. */
void rdma_alive(struct rdma_conn *c)
{
	struct ibv_send_wr wr = { .opcode = IBV_WR_RDMA_WRITE };
	uint64_t silent = weft_env_now(c->env) - c->heard;

	/* What is signaled and under way says the same. */
	if (c->state != RDMA_UP || c->err || c->alive_sent ||
	    RDMA_SQ_DEPTH - c->sq_free != c->sq_run ||
	    silent < RDMA_ALIVE_MS * WEFT_NS_PER_MS / 2)
		return;
	c->alive_sent = !rdma_post(c, &wr, RDMA_WR_ALIVE, true);
}

/* --- completions */

/* The last @n work requests that were not complete are; so are the slots that went with them. */
static void sends_done(struct rdma_conn *c, unsigned int n)
{
	unsigned int slot;
	uint32_t done;

	c->sq_free += n;
	done = c->sq_posted - (RDMA_SQ_DEPTH - c->sq_free);
	for (; c->slot_tail != c->slot_head; c->slot_tail++) {
		slot = c->slot_tail % RDMA_SEND_SLOTS;
		if ((int32_t)(done - c->slot_seq[slot]) < 0)
			break;
		if (c->slot_msg[slot])
			rdma_msg_add(&c->done, c->slot_msg[slot]);
		c->slot_msg[slot] = NULL;
	}
}

static void wc_failed(struct rdma_conn *c, const struct ibv_wc *wc)
{
	bool key = wc->status == IBV_WC_REM_ACCESS_ERR || wc->status == IBV_WC_REM_INV_REQ_ERR ||
		   wc->status == IBV_WC_REM_OP_ERR;

	if (wc->status == IBV_WC_WR_FLUSH_ERR || c->err) {
		rdma_conn_fail(c, -EPIPE); /* it has ended; the reason is elsewhere */
		return;
	}
	WEFT_RDMA_COUNT(bad_peers, key);
	weft_warn_peer(key ? "the peer's device refuses its key or segment, connection closed"
			   : "RDMA connection broke", "peer=%s status=\"%s\"",
		       c->peer_name, ibv_wc_status_str(wc->status));
	rdma_conn_fail(c, key ? -EPROTO : -EPIPE);
}

/* Notes a completion down; no upcalls. */
static void wc_done(struct rdma_conn *c, const struct ibv_wc *wc)
{
	unsigned int kind = wc->wr_id & 7, slot = (wc->wr_id >> 3) & 0xffff;

	if (wc->status) {
		wc_failed(c, wc);
		return;
	}
	if (kind == RDMA_WR_RECV) {
		recv_done(c, slot, wc->byte_len);
		return;
	}
	sends_done(c, wc->wr_id >> 32);
	if (kind == RDMA_WR_READ)
		rdma_req_read_done(c);
	else if (kind == RDMA_WR_ALIVE)
		c->alive_sent = false;
}

/* Return: false when there is none left. */
static bool poll_some(struct rdma_conn *c)
{
	struct ibv_wc wc[RDMA_POLL_BATCH];
	int n = ibv_poll_cq(c->cq, RDMA_POLL_BATCH, wc), i;

	if (n < 0) {
		rdma_conn_fail(c, -EIO);
		return false;
	}
	if (n)
		c->heard = weft_env_now(c->env);
	for (i = 0; i < n; i++)
		wc_done(c, &wc[i]);
	return n == (int)RDMA_POLL_BATCH;
}

/* What was noted down goes up; what may be sent goes out. */
static void work(struct rdma_conn *c)
{
	rdma_tell_sent(c);
	if (!c->closed)
		rdma_req_hand_up(c);
	if (!c->closed)
		rx_run(c);
	if (c->closed)
		return;
	rdma_req_run(c);
	rdma_tx_run(c);
	rdma_tell_sent(c);
}

void rdma_run(struct rdma_conn *c)
{
	unsigned int round;
	bool more = c->state == RDMA_UP;

	for (round = 0; more && round < RDMA_POLL_ROUNDS; round++) {
		more = poll_some(c);
		work(c);
		if (c->closed)
			return;
	}
	if (more)
		weft_timer_start(c->env, &c->kick, 0);
	else if (c->err)
		rdma_conn_tell(c, c->err);
}

void rdma_cq_ready(void *arg)
{
	struct rdma_conn *c = arg;
	struct ibv_cq *cq;
	void *ctx;

	rdma_enter(c);
	/* One at most: the next one is asked for here. */
	if (!ibv_get_cq_event(c->comp, &cq, &ctx)) {
		WEFT_RDMA_COUNT(wakes, 1);
		ibv_ack_cq_events(c->cq, 1);
		if (ibv_req_notify_cq(c->cq, 0))
			rdma_conn_fail(c, -EIO);
		rdma_run(c);
	}
	rdma_leave(c);
}
