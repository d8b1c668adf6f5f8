// SPDX-License-Identifier: GPL-2.0
/*
 * Inline bulk that the device takes from where it lies, instead of out of the send buffer.
 *
 * Normal course: when a message goes in one frame and its bulk lies in a few pieces, these are
 * mapped for the device and follow the send buffer in the list of the SEND. They stay mapped, and
 * the request is not ended, until the SEND has completed: until then the device may send them
 * again. The reply nearly always comes after the completion; if it is the other way round it
 * waits.
 *
 * How it can fail: too many pieces, or pages that cannot be mapped: the bulk is copied. A SEND that
 * fails ends the connection, which gives everything back when the queue pair is drained.
 *
 * A send buffer has one struct wrdma_gather. tx_mutex protects it until the SEND is posted,
 * rx_mutex (that is, the connection's work) afterwards; @rpc is changed under c->lock.
 */
#include "kmod/rdma/rdma.h"

static struct wrdma_gather *gather_of(struct wrdma *c, const struct wrdma_buf *b)
{
	return &c->sends.gather[b - c->sends.buf];
}

static void gather_unmap(struct wrdma *c, struct wrdma_gather *g)
{
	atomic_long_sub(g->n, &wrdma_counters.pages);
	for (; g->n; g->n--)
		ib_dma_unmap_page(c->id->device, g->sge[g->n].addr, g->sge[g->n].length,
				  DMA_TO_DEVICE);
}

static int gather_add(struct wrdma *c, struct wrdma_gather *g, struct page *page, size_t off,
		      size_t len)
{
	struct ib_sge *sge = &g->sge[g->n + 1];

	sge->addr = ib_dma_map_page(c->id->device, page, off, len, DMA_TO_DEVICE);
	if (ib_dma_mapping_error(c->id->device, sge->addr))
		return -EIO;
	sge->length = len;
	sge->lkey = c->pd->local_dma_lkey;
	g->n++;
	atomic_long_inc(&wrdma_counters.pages);
	return 0;
}

static int gather_map(struct wrdma *c, struct wrdma_gather *g, struct iov_iter it)
{
	struct page *pages[WRDMA_GATHER];
	ssize_t left;
	size_t off;
	unsigned int i;
	int ret = 0;

	while (!ret && iov_iter_count(&it)) {
		if (g->n == c->gather_max)
			return -EMSGSIZE;
		left = wrdma_next_pages(&it, pages, c->gather_max - g->n, &off);
		if (left < 0)
			return left;
		for (i = 0; !ret && left > 0; i++, off = 0) {
			size_t len = min_t(size_t, left, PAGE_SIZE - off);

			ret = gather_add(c, g, pages[i], off, len);
			left -= len;
		}
	}
	return ret;
}

/**
 * wrdma_gather() - let a SEND take a request's bulk from where it lies
 * @c: the connection
 * @b: the send buffer
 * @rpc: the request; a reference is taken
 *
 * Return: what to post, its first element being the send buffer's; NULL: copy the bulk.
 * Context: tx_mutex is held.
 */
struct wrdma_gather *wrdma_gather(struct wrdma *c, struct wrdma_buf *b, struct weft_rpc *rpc)
{
	struct wrdma_gather *g = gather_of(c, b);

	if (gather_map(c, g, rpc->out)) {
		gather_unmap(c, g);
		return NULL;
	}
	g->replied = false;
	weft_rpc_get(rpc);
	spin_lock(&c->lock);
	g->rpc = rpc;
	spin_unlock(&c->lock);
	atomic64_add(iov_iter_count(&rpc->out), &wrdma_counters.gathered_bytes);
	return g;
}

/* The buffer whose SEND takes this request's bulk, or NULL; c->lock is held. */
static struct wrdma_buf *gather_find(struct wrdma *c, const struct weft_rpc *rpc)
{
	unsigned int i;

	for (i = 0; i < c->sends.n; i++)
		if (c->sends.gather[i].rpc == rpc)
			return &c->sends.buf[i];
	return NULL;
}

/* Somebody waits for the completion: that it was put aside (wrdma_done()) must not last. */
static void gather_hurry(struct wrdma *c, struct wrdma_buf *b)
{
	WRITE_ONCE(b->ev.lazy, false);
	smp_mb(); /* before looking at the list; pairs with llist_add() */
	if (!c->closed && !llist_empty(&c->events))
		queue_work(wrdma_wq, &c->work);
}

/**
 * wrdma_gather_replied() - the reply to a request is here; may it be ended?
 * @c: the connection
 * @rpc: the request
 * @hdr: the reply's header
 *
 * Return: false: yes. true: its memory is still being sent; wrdma_gather_end() gives it back.
 * Context: the connection's work.
 */
bool wrdma_gather_replied(struct wrdma *c, struct weft_rpc *rpc, const struct weft_hdr *hdr)
{
	struct wrdma_buf *b;

	spin_lock(&c->lock);
	b = gather_find(c, rpc);
	if (b) {
		gather_of(c, b)->hdr = *hdr;
		gather_of(c, b)->replied = true;
		gather_hurry(c, b);
	}
	spin_unlock(&c->lock);
	return b;
}

/**
 * wrdma_gather_busy() - is the device still sending memory of this request?
 * @c: the connection
 * @rpc: the request, which somebody waits for if it is
 */
bool wrdma_gather_busy(struct wrdma *c, const struct weft_rpc *rpc)
{
	struct wrdma_buf *b;

	spin_lock(&c->lock);
	b = gather_find(c, rpc);
	if (b)
		gather_hurry(c, b);
	spin_unlock(&c->lock);
	return b;
}

/**
 * wrdma_gather_end() - the device has finished with a send buffer
 * @c: the connection
 * @b: the buffer; its SEND has completed, or the queue pair is drained
 * @hdr: out: the header of the reply that has waited for this
 *
 * Return: the request whose reply has waited, with the reference of its message; or NULL.
 */
struct weft_rpc *wrdma_gather_end(struct wrdma *c, struct wrdma_buf *b, struct weft_hdr *hdr)
{
	struct wrdma_gather *g = gather_of(c, b);
	struct weft_rpc *rpc = g->rpc;
	bool replied = rpc && g->replied;

	if (!rpc)
		return NULL;
	if (replied)
		*hdr = g->hdr;
	gather_unmap(c, g);
	spin_lock(&c->lock);
	g->rpc = NULL;
	spin_unlock(&c->lock);
	wake_up_all(&c->wait);
	weft_rpc_put(rpc);
	return replied ? rpc : NULL;
}
