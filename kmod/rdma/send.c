// SPDX-License-Identifier: GPL-2.0
/*
 * Sending: frames with credits, registrations in front of them; and taking memory back.
 *
 * Normal course: wrdma_send() appends the request to a list; whoever gets tx_mutex sends what is
 * there, usually the submitter himself. Bulk that both sides take inline follows the text, from
 * where it lies (gather.c) or copied into send buffers; other bulk is registered (mr.c), its
 * segments end the text, and registrations and the first frame are posted together. A message is
 * begun only when there is a credit, a send buffer, and room in the send queue; requests that
 * find no free region let others go first.
 *
 * Each work request has a number; a SEND after every 16 of them, one that gathers, and each
 * invalidation, is signaled, and its completion retires all work requests up to its number.
 * mrs_max places of the queue are kept for invalidations, so that these can always be posted.
 *
 * How it can fail: what the device refuses to take breaks the connection. A killed caller's memory
 * is taken back in wrdma_detach(): after a moment for the reply to come by itself, by LOCAL_INV
 * (after which the peer's access is an error that ends the connection), and if even that does not
 * complete, by ending the connection: at most WAIT_REPLY + WAIT_INV, and draining the queue.
 *
 * Locks: see rdma.h.
 */
#include <linux/sched/mm.h>
#include "kmod/rdma/rdma.h"

#define SIGNAL_EVERY 16u /* work requests; a stalled sender must have a signaled one under way */
#define WAIT_REPLY HZ
#define WAIT_INV (2 * HZ)

/* Send buffers that are free again, counted by what has been retired. Return: is there one? */
static bool tx_have_buf(struct wrdma *c)
{
	u32 retired = smp_load_acquire(&c->retired);

	while (c->send_tail != c->send_head &&
	       (s32)(retired - c->sends.buf[c->send_tail % c->sends.n].ev.stamp) >= 0)
		c->send_tail++;
	return c->send_head - c->send_tail < c->sends.n;
}

/* May a frame be sent, with @regs registrations in front? The last credits are for credits. */
static bool tx_room(struct wrdma *c, unsigned int regs, bool message)
{
	u32 credits = c->peer_depth - (message ? WEFT_RDMA_CONTROL : 0);

	return c->sent - READ_ONCE(c->seen) < credits && tx_have_buf(c) &&
	       c->posted - c->retired + regs + 1 <= c->sq_depth - c->mrs_max;
}

static int tx_copy(struct wrdma_tx *tx, u8 *to, size_t n)
{
	while (n) {
		size_t off = tx->off, len;
		const u8 *from;

		if (off < sizeof(tx->hdr)) {
			from = (const u8 *)&tx->hdr + off;
			len = sizeof(tx->hdr) - off;
		} else if (off < tx->text) {
			from = (const u8 *)tx->rpc->msg + off;
			len = tx->text - off;
		} else if (off < tx->text + tx->segs_len) {
			from = (const u8 *)tx->segs + off - tx->text;
			len = tx->text + tx->segs_len - off;
		} else {
			tx->off += n;
			atomic64_add(n, &wrdma_counters.inline_bytes);
			return copy_from_iter(to, n, &tx->bulk) == n ? 0 : -EFAULT;
		}
		len = min(len, n);
		memcpy(to, from, len);
		to += len;
		n -= len;
		tx->off += len;
	}
	return 0;
}

/*
 * Posts the next send buffer, with @len bytes of a message in it and those that @g gathers behind
 * it, behind the registrations.
 */
static int tx_post(struct wrdma *c, size_t len, struct wrdma_bulk *bulk, struct wrdma_gather *g)
{
	struct wrdma_buf *b = &c->sends.buf[c->send_head % c->sends.n];
	struct weft_rdma_frame *frame = b->data;
	struct ib_send_wr *first = &b->send;
	struct wrdma_mr *m;
	u32 regs = 0, gathered = 0, i;

	for (i = 1; g && i <= g->n; i++)
		gathered += g->sge[i].length;
	frame->len = cpu_to_le32(len + gathered);
	c->told = READ_ONCE(c->reposted);
	frame->recvs = cpu_to_le32(c->told);
	b->sge.length = sizeof(*frame) + len;
	ib_dma_sync_single_for_device(c->id->device, b->sge.addr, b->sge.length, DMA_TO_DEVICE);
	memset(&b->send, 0, sizeof(b->send));
	b->send.wr_cqe = &b->ev.cqe;
	b->send.opcode = IB_WR_SEND;
	b->send.sg_list = &b->sge;
	b->send.num_sge = 1;
	if (g) {
		g->sge[0] = b->sge;
		b->send.sg_list = g->sge;
		b->send.num_sge = 1 + g->n;
	}
	if (bulk)
		list_for_each_entry_reverse(m, &bulk->mrs, node) {
			m->reg.wr.next = first;
			first = &m->reg.wr;
			m->valid = true;
			regs++;
		}
	c->unsignaled += regs + 1;
	if (g || c->unsignaled >= min(SIGNAL_EVERY, c->sends.n / 2)) {
		b->send.send_flags = IB_SEND_SIGNALED;
		c->unsignaled = 0;
	}
	c->posted += regs + 1;
	b->ev.stamp = c->posted;
	b->ev.lazy = true;
	c->send_head++;
	WRITE_ONCE(c->sent, c->sent + 1);
	atomic64_inc(&wrdma_counters.frames_sent);
	return ib_post_send(c->id->qp, first, NULL);
}

/* Posts the rest of the present message, as far as there is room. Return: 0, -EAGAIN, or worse. */
static int tx_frames(struct wrdma *c, struct wrdma_bulk *bulk)
{
	struct wrdma_tx *tx = &c->tx;
	size_t text = tx->text + tx->segs_len, len;
	int ret;

	while (tx->off < tx->total) {
		struct wrdma_gather *g = NULL;
		struct wrdma_buf *b;

		if (!bulk && !tx_room(c, 0, true))
			return -EAGAIN;
		b = &c->sends.buf[c->send_head % c->sends.n];
		len = min_t(size_t, tx->total - tx->off,
			    c->send_size - sizeof(struct weft_rdma_frame));
		if (len == tx->total && len > text)
			g = wrdma_gather(c, b, tx->rpc);
		if (g)
			len = text;
		ib_dma_sync_single_for_cpu(c->id->device, b->sge.addr, c->sends.size,
					   DMA_TO_DEVICE);
		ret = tx_copy(tx, b->data + sizeof(struct weft_rdma_frame), len);
		if (!ret)
			ret = tx_post(c, len, bulk, g);
		if (ret)
			return ret;
		if (g)
			tx->off = tx->total;
		bulk = NULL;
	}
	smp_store_release(&tx->rpc->sent_all, true);
	weft_rpc_put(tx->rpc);
	tx->rpc = NULL;
	return 0;
}

/*
 * Makes a request the present message. Return: 0; -EAGAIN: it has to wait for regions; or another
 * negative errno. Its reference becomes that of the message.
 */
static int tx_prepare(struct wrdma *c, struct weft_rpc *rpc, struct wrdma_bulk **bulk)
{
	size_t out = iov_iter_count(&rpc->out), in;
	struct wrdma_tx *tx = &c->tx;
	int ret;

	*bulk = NULL;
	tx->hdr = *rpc->msg;
	/* Whoever detaches it from now on waits for tx_mutex, and finds its bulk then. */
	if (READ_ONCE(rpc->detached))
		tx->hdr.bulk_max = 0;
	in = le32_to_cpu(tx->hdr.bulk_max);
	tx->text = le32_to_cpu(tx->hdr.len);
	tx->segs_len = 0;
	if (out > c->inline_out || in >= WRDMA_REG_IN) {
		if (in < WRDMA_REG_IN)
			in = 0; /* comes inline */
		ret = wrdma_bulk_map(c, rpc, out, in, tx, bulk);
		if (ret)
			return ret;
		tx->segs_len = (*bulk)->nsegs * sizeof(struct weft_seg);
		tx->hdr.nsegs = cpu_to_le16((*bulk)->nsegs);
		tx->hdr.len = cpu_to_le32(tx->text + tx->segs_len);
		out = 0;
	}
	tx->rpc = rpc;
	tx->off = 0;
	tx->total = tx->text + tx->segs_len + out;
	tx->bulk = rpc->out;
	return 0;
}

static struct weft_rpc *tx_pop(struct wrdma *c, struct list_head *list)
{
	struct weft_rpc *rpc;

	spin_lock(&c->lock);
	rpc = list_first_entry_or_null(list, struct weft_rpc, xmit);
	if (rpc)
		list_del_init(&rpc->xmit);
	spin_unlock(&c->lock);
	return rpc;
}

/* It waits for regions: in front if it was the first of those before. */
static void tx_wait_mrs(struct wrdma *c, struct weft_rpc *rpc, bool first)
{
	spin_lock(&c->lock);
	if (first)
		list_add(&rpc->xmit, &c->mr_wait);
	else
		list_add_tail(&rpc->xmit, &c->mr_wait);
	spin_unlock(&c->lock);
}

static bool tx_needs_mrs(const struct wrdma *c, const struct weft_rpc *rpc)
{
	return iov_iter_count(&rpc->out) > c->inline_out ||
	       le32_to_cpu(rpc->msg->bulk_max) >= WRDMA_REG_IN;
}

/* Begins the next message that can be sent. Return: 0, -EAGAIN: there is none; or an error. */
static int tx_next(struct wrdma *c, struct wrdma_bulk **bulk)
{
	struct weft_rpc *rpc;
	int ret = -EAGAIN;

	if (!tx_room(c, min_t(unsigned int, c->mrs_max, WEFT_SEGS_MAX), true))
		return -EAGAIN;
	rpc = tx_pop(c, &c->mr_wait);
	if (rpc) {
		ret = tx_prepare(c, rpc, bulk);
		if (ret == -EAGAIN)
			tx_wait_mrs(c, rpc, true);
	}
	while (ret == -EAGAIN && (rpc = tx_pop(c, &c->xmit))) {
		if (!list_empty_careful(&c->mr_wait) && tx_needs_mrs(c, rpc)) {
			tx_wait_mrs(c, rpc, false);
			continue;
		}
		ret = tx_prepare(c, rpc, bulk);
		if (ret == -EAGAIN)
			tx_wait_mrs(c, rpc, false);
	}
	if (ret && ret != -EAGAIN)
		weft_rpc_put(rpc); /* the link sends it again elsewhere */
	return ret;
}

/* Sends until nothing is left or nothing more may be sent. Return: 0 or what broke. */
static int tx_all(struct wrdma *c)
{
	struct wrdma_bulk *bulk = NULL;
	int ret = 0;

	while (!ret) {
		if (!c->tx.rpc)
			ret = tx_next(c, &bulk);
		if (!ret)
			ret = tx_frames(c, bulk);
		bulk = NULL;
	}
	if (ret != -EAGAIN)
		return ret;
	if (READ_ONCE(c->reposted) - c->told < WRDMA_RECV_DEPTH / 2 || !tx_room(c, 0, false))
		return 0;
	atomic64_inc(&wrdma_counters.credit_frames);
	return tx_post(c, 0, NULL, NULL);
}

/*
 * Notes whether something waits for room in the send queue, for send buffers or credits. If so each
 * completion is looked at at once: also those that were put aside (wrdma_done()).
 */
static void tx_note_full(struct wrdma *c)
{
	bool full = c->tx.rpc || !list_empty_careful(&c->xmit) ||
		    !list_empty_careful(&c->mr_wait) ||
		    READ_ONCE(c->reposted) - c->told >= WRDMA_RECV_DEPTH / 2;

	WRITE_ONCE(c->tx_full, full);
	smp_mb(); /* before looking at the list; pairs with llist_add() */
	if (full && !llist_empty(&c->events))
		queue_work(wrdma_wq, &c->work);
}

/* Unless the link has closed it meanwhile: its work may not be queued any more then. */
static void tx_fail(struct wrdma *c, int err)
{
	spin_lock(&c->lock);
	if (!c->closed)
		wrdma_fail(c, err);
	spin_unlock(&c->lock);
}

/**
 * wrdma_tx() - send what can be sent
 * @c: the connection
 *
 * Who fails to get the mutex may leave: the holder looks again.
 * Context: process; does not wait for the network.
 */
void wrdma_tx(struct wrdma *c)
{
	unsigned int nofs = memalloc_nofs_save();
	int ret;

	set_bit(WRDMA_TX_WANTED, &c->tx_flags);
	smp_mb__after_atomic(); /* before looking at the mutex; pairs with the one below */
	while (test_bit(WRDMA_TX_WANTED, &c->tx_flags) && mutex_trylock(&c->tx_mutex)) {
		clear_bit(WRDMA_TX_WANTED, &c->tx_flags);
		smp_mb__after_atomic(); /* before looking at the lists */
		ret = 0;
		if (!READ_ONCE(c->closed) && !READ_ONCE(c->error) && READ_ONCE(c->opened)) {
			ret = tx_all(c);
			tx_note_full(c);
		}
		mutex_unlock(&c->tx_mutex);
		if (ret)
			tx_fail(c, ret);
		smp_mb(); /* the mutex is free before the bit is looked at */
	}
	memalloc_nofs_restore(nofs);
}

/**
 * wrdma_post_inv() - make all regions of a bulk invalid
 * @c: the connection
 * @bulk: active; at least one region is valid; the event of the last one's completion tells
 *
 * Return: 0 or a negative errno: the connection has to be given up.
 * Context: tx_mutex is held.
 */
int wrdma_post_inv(struct wrdma *c, struct wrdma_bulk *bulk)
{
	struct ib_send_wr *first = NULL, **next = &first;
	struct wrdma_mr *m, *last = NULL;

	list_for_each_entry(m, &bulk->mrs, node) {
		if (!m->valid)
			continue;
		memset(&m->inv, 0, sizeof(m->inv));
		m->inv.opcode = IB_WR_LOCAL_INV;
		m->inv.wr_cqe = &m->inv_ev.cqe;
		m->inv.ex.invalidate_rkey = m->mr->rkey;
		*next = &m->inv;
		next = &m->inv.next;
		c->posted++;
		last = m;
		atomic64_inc(&wrdma_counters.local_invs);
	}
	if (WARN_ON_ONCE(!last))
		return -EINVAL;
	last->inv.send_flags = IB_SEND_SIGNALED;
	last->inv_ev.stamp = c->posted;
	c->unsignaled = 0;
	bulk->invalidating = true;
	return ib_post_send(c->id->qp, first, NULL);
}

void wrdma_send(struct weft_xprt *x, struct weft_rpc *rpc)
{
	struct wrdma *c = container_of(x, struct wrdma, base);

	spin_lock(&c->lock);
	if (c->closed) {
		spin_unlock(&c->lock);
		return;
	}
	weft_rpc_get(rpc);
	list_add_tail(&rpc->xmit, &c->xmit);
	spin_unlock(&c->lock);
	wrdma_tx(c);
}

void wrdma_settle(struct weft_xprt *x, struct weft_rpc *rpc)
{
	struct wrdma *c = container_of(x, struct wrdma, base);

	mutex_lock(&c->tx_mutex);
	mutex_unlock(&c->tx_mutex);
	wrdma_tx(c);
}

/* Nobody reads rpc->out, nor copies to rpc->in, after this; the device may still. */
static void detach_copies(struct wrdma *c, struct weft_rpc *rpc, const void *copy)
{
	size_t len = iov_iter_count(&rpc->out), sent;

	mutex_lock(&c->tx_mutex);
	if (copy) {
		rpc->copy_vec.iov_base = (void *)copy;
		rpc->copy_vec.iov_len = len;
		iov_iter_kvec(&rpc->out, ITER_SOURCE, &rpc->copy_vec, 1, len);
		if (c->tx.rpc == rpc) {
			sent = len - iov_iter_count(&c->tx.bulk);
			c->tx.bulk = rpc->out;
			iov_iter_advance(&c->tx.bulk, sent);
		}
	}
	mutex_unlock(&c->tx_mutex);
	mutex_lock(&c->rx_mutex);
	if (c->rx.rpc == rpc)
		c->rx.discard = true;
	mutex_unlock(&c->rx_mutex);
	wrdma_tx(c);
}

static int detach_invalidate(struct wrdma *c, struct weft_rpc *rpc)
{
	struct wrdma_bulk *bulk;
	int ret = 0;

	mutex_lock(&c->tx_mutex);
	spin_lock(&c->lock);
	bulk = c->closed ? NULL : wrdma_bulk_find(c, rpc);
	spin_unlock(&c->lock);
	/* A reply has its regions invalidated by itself. */
	if (bulk && !list_empty(&bulk->mrs) && !bulk->replied && !bulk->invalidating)
		ret = wrdma_post_inv(c, bulk);
	mutex_unlock(&c->tx_mutex);
	return ret;
}

/* May the device still touch the memory of this request? */
static bool tx_busy(struct wrdma *c, const struct weft_rpc *rpc)
{
	return wrdma_bulk_busy(c, rpc) || wrdma_gather_busy(c, rpc);
}

void wrdma_detach(struct weft_xprt *x, struct weft_rpc *rpc, const void *copy)
{
	struct wrdma *c = container_of(x, struct wrdma, base);
	int ret;

	detach_copies(c, rpc, copy);
	if (wait_event_timeout(c->wait, !tx_busy(c, rpc), WAIT_REPLY))
		return;
	atomic64_inc(&wrdma_counters.detaches);
	ret = detach_invalidate(c, rpc);
	if (!ret && wait_event_timeout(c->wait, !tx_busy(c, rpc), WAIT_INV))
		return;
	/* The link closes it: the queue pair is drained then, and all memory unmapped. */
	tx_fail(c, ret ?: -ETIMEDOUT);
	wait_event(c->wait, !tx_busy(c, rpc));
}

/* Posts the WRITE, unless the last one is still under way. Return: 0 or a negative errno. */
static int tx_alive(struct wrdma *c)
{
	struct ib_send_wr *wr = &c->alive.wr;
	u32 retired = smp_load_acquire(&c->retired);

	if ((s32)(retired - c->alive_ev.stamp) < 0 ||
	    c->posted - retired + 1 > c->sq_depth - c->mrs_max)
		return 0;
	memset(&c->alive, 0, sizeof(c->alive));
	wr->opcode = IB_WR_RDMA_WRITE;
	wr->wr_cqe = &c->alive_ev.cqe;
	wr->send_flags = IB_SEND_SIGNALED;
	c->unsignaled = 0;
	c->alive_ev.stamp = ++c->posted;
	return ib_post_send(c->id->qp, wr, NULL);
}

/**
 * wrdma_probe() - an RDMA WRITE of nothing: no work for the peer, but its device must be there
 * @x: the connection
 */
void wrdma_probe(struct weft_xprt *x)
{
	struct wrdma *c = container_of(x, struct wrdma, base);
	int ret = 0;

	mutex_lock(&c->tx_mutex);
	if (!READ_ONCE(c->closed) && !READ_ONCE(c->error) && READ_ONCE(c->opened))
		ret = tx_alive(c);
	mutex_unlock(&c->tx_mutex);
	if (ret)
		tx_fail(c, ret);
	wrdma_tx(c); /* what came while the mutex was held */
}

/* wrdma_tx_drop() - forget what waits to be sent; the connection is marked as closed */
void wrdma_tx_drop(struct wrdma *c)
{
	struct weft_rpc *rpc;

	/* Waits for submitters that are just sending; later ones see @closed. */
	mutex_lock(&c->tx_mutex);
	weft_rpc_put(c->tx.rpc);
	c->tx.rpc = NULL;
	while ((rpc = tx_pop(c, &c->mr_wait)) || (rpc = tx_pop(c, &c->xmit)))
		weft_rpc_put(rpc);
	mutex_unlock(&c->tx_mutex);
}
