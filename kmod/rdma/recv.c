// SPDX-License-Identifier: GPL-2.0
/*
 * Receiving: completions, frames, messages, replies whose memory has to be taken back first.
 *
 * Normal course: the completion of a receive queues the work. It checks the frame, takes the
 * credits, puts messages together (nearly all come in one frame and are read where they lie),
 * finds the request, copies inline bulk to its memory, and posts the receive again. The reply to
 * a request with segments ends it only when all of its regions are invalid: the key that came with
 * SEND_WITH_INV must be one of them, the others are invalidated here, and the completion of that
 * passes the reply on.
 *
 * How it can fail: lengths that do not fit, credits out of range, a key that is not of this
 * request, a reply to nothing with bulk: -EPROTO or -EBADMSG, the connection is given up, with a
 * line in the log (weft_link_broken()). So is one whose work requests fail.
 *
 * rx_mutex is held by the work all the time, over upcalls as well; see rdma.h.
 */
#include <linux/sched/mm.h>
#include "kmod/rdma/rdma.h"
#include "proto/ops.h"

#define REPOST 8u /* receives that are posted together */

static int post_chain(struct wrdma *c, struct ib_recv_wr *first, unsigned int n)
{
	int ret = n ? ib_post_recv(c->id->qp, first, NULL) : 0;

	if (!ret)
		WRITE_ONCE(c->reposted, c->reposted + n);
	return ret;
}

static void recv_prepare(struct wrdma *c, struct wrdma_buf *b, struct ib_recv_wr *next)
{
	ib_dma_sync_single_for_device(c->id->device, b->sge.addr, b->sge.length, DMA_FROM_DEVICE);
	b->recv.next = next;
	b->recv.wr_cqe = &b->ev.cqe;
	b->recv.sg_list = &b->sge;
	b->recv.num_sge = 1;
}

/* wrdma_post_recvs() - post all receives of a new connection. Return: 0 or a negative errno. */
int wrdma_post_recvs(struct wrdma *c)
{
	struct ib_recv_wr *first = NULL;
	unsigned int i;

	for (i = 0; i < c->recvs.n; i++) {
		recv_prepare(c, &c->recvs.buf[i], first);
		first = &c->recvs.buf[i].recv;
	}
	return ib_post_recv(c->id->qp, first, NULL);
}

/* The request's memory is its own again: pass the reply on, if it is here. */
static int bulk_end(struct wrdma *c, struct wrdma_bulk *bulk)
{
	struct weft_rpc *rpc = bulk->rpc;
	struct weft_hdr hdr;

	wrdma_bulk_unmap(c, bulk);
	if (!bulk->replied) {
		bulk->invalidating = false;
		return 0; /* its caller has left; the reply may come */
	}
	hdr = bulk->hdr;
	wrdma_bulk_free(c, bulk);
	return weft_link_received(c->base.link, rpc, &hdr);
}

/* The peer says that it has invalidated one region. */
static int bulk_invalidated(struct wrdma_bulk *bulk, u32 rkey)
{
	struct wrdma_mr *m;

	list_for_each_entry(m, &bulk->mrs, node)
		if (m->mr->rkey == rkey) {
			m->valid = false;
			atomic64_inc(&wrdma_counters.remote_invs);
			return 0;
		}
	/* A region that was given up by its caller is no longer here. */
	return list_empty(&bulk->mrs) ? 0 : -EPROTO;
}

/* The reply to a request with segments is here. */
static int bulk_replied(struct wrdma *c, struct wrdma_bulk *bulk, const struct weft_hdr *hdr)
{
	struct wrdma_mr *m;
	bool valid = false;
	int ret = 0;

	mutex_lock(&c->tx_mutex);
	if (c->rx.inv)
		ret = bulk_invalidated(bulk, c->rx.inv_rkey);
	list_for_each_entry(m, &bulk->mrs, node)
		valid = valid || m->valid;
	if (!ret) {
		bulk->hdr = *hdr;
		bulk->replied = true; /* and the reference of the message is the bulk's */
		if (valid && !bulk->invalidating)
			ret = wrdma_post_inv(c, bulk);
	}
	valid = valid || bulk->invalidating;
	mutex_unlock(&c->tx_mutex);
	if (ret && !bulk->replied)
		weft_rpc_put(bulk->rpc);
	return ret || valid ? ret : bulk_end(c, bulk);
}

/* All of a message is here. */
static int rx_done(struct wrdma *c, const struct weft_hdr *hdr)
{
	struct wrdma_rx *rx = &c->rx;
	struct weft_rpc *rpc = rx->rpc;
	struct wrdma_bulk *bulk = NULL;
	int ret = 0;

	rx->rpc = NULL;
	rx->in_bulk = false;
	rx->have = 0;
	if (rpc) {
		spin_lock(&c->lock);
		bulk = wrdma_bulk_find(c, rpc);
		spin_unlock(&c->lock);
	}
	if (bulk) {
		ret = bulk_replied(c, bulk, hdr);
	} else if (rx->inv) {
		weft_rpc_put(rpc);
		ret = -EPROTO;
	} else if (rpc && !wrdma_gather_replied(c, rpc, hdr)) {
		ret = weft_link_received(c->base.link, rpc, hdr);
	}
	rx->inv = false;
	return ret;
}

/* Is the bulk of this reply already where it belongs, written by the peer? */
static bool rx_written(struct wrdma *c, const struct weft_rpc *rpc)
{
	struct wrdma_bulk *bulk;
	bool written;

	spin_lock(&c->lock);
	bulk = wrdma_bulk_find(c, rpc);
	written = bulk && bulk->in;
	spin_unlock(&c->lock);
	return written;
}

/* The text is complete: whose is it, and is its bulk still to come? */
static int rx_text_done(struct wrdma *c, const struct weft_hdr *hdr)
{
	struct wrdma_rx *rx = &c->rx;
	size_t bulk = le32_to_cpu(hdr->bulk_len);
	struct weft_rpc *rpc;

	rpc = weft_link_message(c->base.link, hdr);
	if (IS_ERR(rpc))
		return PTR_ERR(rpc);
	rx->rpc = rpc;
	if (rpc && rx_written(c, rpc))
		bulk = 0;
	if (bulk > WEFT_RDMA_INLINE_MAX || (bulk && !rpc))
		return -EPROTO;
	/* Whoever detaches it from now on waits for rx_mutex. */
	rx->discard = rpc && READ_ONCE(rpc->detached);
	if (rpc && !rx->discard)
		rx->bulk = rpc->in;
	rx->bulk_left = bulk;
	if (!bulk)
		return rx_done(c, hdr);
	rx->hdr = *hdr;
	rx->in_bulk = true;
	return 0;
}

/* Takes the bytes of a frame that belong to the text. Return: how many, or a negative errno. */
static ssize_t rx_text(struct wrdma *c, const u8 *data, size_t len)
{
	const struct weft_hdr *hdr = (const struct weft_hdr *)data;
	struct wrdma_rx *rx = &c->rx;
	size_t n;
	int ret;

	if (!rx->have) {
		if (len < sizeof(*hdr))
			return -EBADMSG;
		ret = weft_hdr_check(hdr);
		if (ret)
			return ret;
		rx->want = le32_to_cpu(hdr->len);
		if (rx->want <= len) { /* whole: read where it lies */
			n = rx->want;
			ret = rx_text_done(c, hdr);
			return ret ?: n;
		}
	}
	n = min(len, rx->want - rx->have);
	memcpy(rx->text + rx->have, data, n);
	rx->have += n;
	if (rx->have < rx->want)
		return n;
	ret = rx_text_done(c, (const struct weft_hdr *)rx->text);
	return ret ?: n;
}

static int rx_bulk(struct wrdma *c, const u8 *data, size_t len)
{
	struct wrdma_rx *rx = &c->rx;

	if (len > rx->bulk_left)
		return -EPROTO;
	if (!rx->discard && copy_to_iter(data, len, &rx->bulk) != len)
		return -EFAULT;
	atomic64_add(len, &wrdma_counters.inline_bytes);
	rx->bulk_left -= len;
	return rx->bulk_left ? 0 : rx_done(c, &rx->hdr);
}

/* The bytes of a message in a frame. */
static int rx_message(struct wrdma *c, const u8 *data, size_t len, bool full)
{
	struct wrdma_rx *rx = &c->rx;
	ssize_t used = 0;
	int ret = 0;

	if (!rx->in_bulk) {
		used = rx_text(c, data, len);
		if (used < 0)
			return used;
	}
	if (used < len)
		ret = rx->in_bulk ? rx_bulk(c, data + used, len - used) : -EPROTO;
	if (!ret && (rx->in_bulk || rx->have) && !full)
		ret = -EPROTO; /* only the last frame of a message is not full */
	return ret;
}

static int rx_credits(struct wrdma *c, u32 recvs)
{
	u32 seen = c->seen;

	if (recvs - seen > READ_ONCE(c->sent) - seen)
		return -EPROTO;
	WRITE_ONCE(c->seen, recvs);
	return 0;
}

static int rx_frame(struct wrdma *c, struct wrdma_buf *b)
{
	const struct weft_rdma_frame *frame = b->data;
	u32 got = b->ev.byte_len, len;
	int ret;

	ib_dma_sync_single_for_cpu(c->id->device, b->sge.addr, b->sge.length, DMA_FROM_DEVICE);
	atomic64_inc(&wrdma_counters.frames_received);
	if (got < sizeof(*frame) || got > c->recvs.size)
		return -EBADMSG;
	len = le32_to_cpu(frame->len);
	if (len != got - sizeof(*frame))
		return -EBADMSG;
	ret = rx_credits(c, le32_to_cpu(frame->recvs));
	if (ret)
		return ret;
	if (b->ev.inv) {
		if (!len || c->rx.inv)
			return -EPROTO;
		c->rx.inv = true;
		c->rx.inv_rkey = b->ev.inv_rkey;
	}
	if (!len) {
		weft_link_alive(c->base.link);
		return 0;
	}
	return rx_message(c, b->data + sizeof(*frame), len, got == c->recvs.size);
}

/* A work request failed. Flushed ones only follow something else. */
static int event_failed(struct wrdma *c, const struct wrdma_event *ev)
{
	static const char *const kinds[] = { "receive", "send", "registration", "invalidation",
					     "probe" };

	if (ev->status == IB_WC_WR_FLUSH_ERR)
		return -ECONNRESET;
	pr_warn_ratelimited("weft_rdma: %s to %pISpc failed: %s\n", kinds[ev->kind],
			    &c->id->route.addr.dst_addr, ib_wc_status_msg(ev->status));
	return ev->status == IB_WC_RETRY_EXC_ERR ? -ETIMEDOUT : -ECONNRESET;
}

/* A SEND has completed: the memory that it took is its owner's again. */
static int send_done(struct wrdma *c, struct wrdma_buf *b)
{
	struct weft_rpc *rpc;
	struct weft_hdr hdr;

	rpc = wrdma_gather_end(c, b, &hdr);
	smp_store_release(&c->retired, b->ev.stamp); /* the buffer may be used again from here on */
	return rpc ? weft_link_received(c->base.link, rpc, &hdr) : 0;
}

/* What a completion means. @b: a receive that is to be posted again. */
static int event_handle(struct wrdma *c, struct wrdma_event *ev, struct wrdma_buf **b)
{
	struct wrdma_mr *m;

	if (ev->status != IB_WC_SUCCESS)
		return event_failed(c, ev);
	switch (ev->kind) {
	case WRDMA_EV_RECV:
		*b = container_of(ev, struct wrdma_buf, ev);
		return rx_frame(c, *b);
	case WRDMA_EV_SEND:
		return send_done(c, container_of(ev, struct wrdma_buf, ev));
	case WRDMA_EV_ALIVE:
		smp_store_release(&c->retired, ev->stamp);
		return 0;
	case WRDMA_EV_INV:
		smp_store_release(&c->retired, ev->stamp);
		m = container_of(ev, struct wrdma_mr, inv_ev);
		return bulk_end(c, m->bulk);
	default:
		return 0; /* registrations succeed silently */
	}
}

/* All events that are there, in their order. Return: 0 or why the connection is to be given up. */
static int work_events(struct wrdma *c)
{
	struct ib_recv_wr *first = NULL;
	struct wrdma_event *ev, *tmp;
	struct llist_node *list;
	unsigned int n = 0;
	int ret = 0, err;

	if (c->closed) /* the events' memory may have gone */
		return 0;
	list = llist_reverse_order(llist_del_all(&c->events));
	llist_for_each_entry_safe(ev, tmp, list, node) {
		struct wrdma_buf *b = NULL;

		if (ret || READ_ONCE(c->error) || c->closed)
			continue;
		ret = event_handle(c, ev, &b);
		if (ret || !b)
			continue;
		recv_prepare(c, b, first);
		first = &b->recv;
		if (++n < REPOST)
			continue;
		ret = post_chain(c, first, n);
		first = NULL;
		n = 0;
	}
	err = ret ? 0 : post_chain(c, first, n);
	return ret ?: err;
}

/**
 * wrdma_work() - look at what has happened to a connection
 * @work: of the connection
 */
void wrdma_work(struct work_struct *work)
{
	struct wrdma *c = container_of(work, struct wrdma, work);
	unsigned int nofs = memalloc_nofs_save();
	bool report;
	int ret;

	if (!READ_ONCE(c->opened)) { /* open() looks at @error itself, and queues this again */
		memalloc_nofs_restore(nofs);
		return;
	}
	mutex_lock(&c->rx_mutex);
	ret = work_events(c);
	if (ret)
		cmpxchg(&c->error, 0, ret);
	report = c->error && !c->reported && !c->closed;
	if (report)
		c->reported = true;
	mutex_unlock(&c->rx_mutex);
	memalloc_nofs_restore(nofs);
	if (report) {
		atomic64_inc(&wrdma_counters.broken);
		weft_link_broken(c->base.link, c->error);
	} else {
		wrdma_tx(c);
	}
}

/* wrdma_rx_drop() - forget what was being received; the queue pair is drained */
void wrdma_rx_drop(struct wrdma *c)
{
	struct wrdma_bulk *bulk;
	struct weft_hdr hdr;
	unsigned int i;

	mutex_lock(&c->rx_mutex);
	weft_rpc_put(c->rx.rpc);
	c->rx.rpc = NULL;
	mutex_unlock(&c->rx_mutex);
	for (i = 0; i < c->sends.n; i++)
		weft_rpc_put(wrdma_gather_end(c, &c->sends.buf[i], &hdr));
	for (;;) {
		spin_lock(&c->lock);
		bulk = list_first_entry_or_null(&c->active, struct wrdma_bulk, node);
		spin_unlock(&c->lock);
		if (!bulk)
			break;
		wrdma_bulk_unmap(c, bulk);
		if (bulk->replied)
			weft_rpc_put(bulk->rpc);
		wrdma_bulk_free(c, bulk);
	}
	wake_up_all(&c->wait);
}
