// SPDX-License-Identifier: GPL-2.0
/*
 * Memory regions: how the peer gets at the pages of one request, and at nothing else.
 *
 * A connection has a pool of regions (fast registration work requests, IB_MR_TYPE_MEM_REG). A
 * request with bulk that does not go inline takes as many as its pages need, each for REMOTE_READ
 * or for REMOTE_WRITE, never both; the registrations are posted together with the send that
 * tells the peer their keys (send.c). When the reply is here and all are invalid again they
 * go back (recv.c), and each registration gets another key.
 *
 * When the pool is empty requests wait (mr_wait) and the pool is doubled by a work, up to mrs_max.
 * Regions are destroyed with the connection only.
 *
 * How it can fail: no memory for more regions: those that are there serve all, one after another.
 * The device cannot map pages: the connection is given up and the request goes over the next one.
 *
 * c->lock protects the lists. A bulk belongs to who took it off a list, or found it active under
 * tx_mutex (invalidation) or in the work (reply).
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "kmod/rdma/rdma.h"

#define BATCH 16 /* pages looked up in one go */

static void mr_free(struct wrdma_mr *m)
{
	if (!IS_ERR_OR_NULL(m->mr)) {
		ib_dereg_mr(m->mr);
		atomic_dec(&wrdma_counters.mrs);
	}
	kvfree(m->sg);
	kfree(m);
}

static struct wrdma_mr *mr_alloc(struct wrdma *c)
{
	struct wrdma_mr *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return NULL;
	m->sg = kvcalloc(c->mr_pages, sizeof(*m->sg), GFP_KERNEL);
	if (!m->sg)
		goto out_free;
	m->mr = ib_alloc_mr(c->pd, IB_MR_TYPE_MEM_REG, c->mr_pages);
	if (IS_ERR(m->mr))
		goto out_free;
	atomic_inc(&wrdma_counters.mrs);
	wrdma_event_init(c, &m->reg_ev, WRDMA_EV_REG);
	wrdma_event_init(c, &m->inv_ev, WRDMA_EV_INV);
	return m;

out_free:
	mr_free(m);
	return NULL;
}

/* Adds regions, each with the record of a bulk. Return: 0 or -ENOMEM, having added fewer. */
static int mrs_add(struct wrdma *c, unsigned int n)
{
	while (n--) {
		struct wrdma_bulk *bulk = kzalloc(sizeof(*bulk), GFP_KERNEL);
		struct wrdma_mr *m = bulk ? mr_alloc(c) : NULL;

		if (!m) {
			kfree(bulk);
			return -ENOMEM;
		}
		INIT_LIST_HEAD(&bulk->mrs);
		spin_lock(&c->lock);
		list_add(&bulk->node, &c->free_bulks);
		list_add(&m->node, &c->free_mrs);
		list_add(&m->all, &c->all_mrs);
		c->nmrs++;
		spin_unlock(&c->lock);
	}
	return 0;
}

static void mrs_grow(struct work_struct *work)
{
	struct wrdma *c = container_of(work, struct wrdma, grow);
	unsigned int nofs = memalloc_nofs_save();

	if (!READ_ONCE(c->error))
		mrs_add(c, min(c->nmrs, c->mrs_max - c->nmrs));
	memalloc_nofs_restore(nofs);
	wrdma_tx(c);
}

/* wrdma_mrs_prepare() - an empty pool, for a connection that has no device yet */
void wrdma_mrs_prepare(struct wrdma *c)
{
	INIT_LIST_HEAD(&c->active);
	INIT_LIST_HEAD(&c->free_bulks);
	INIT_LIST_HEAD(&c->free_mrs);
	INIT_LIST_HEAD(&c->all_mrs);
	INIT_WORK(&c->grow, mrs_grow);
}

/**
 * wrdma_mrs_init() - fill the pool of a new connection
 * @c: the connection, with its protection domain, mr_pages and mrs_max
 *
 * Return: 0 or -ENOMEM; wrdma_mrs_fini() has to follow in any case.
 */
int wrdma_mrs_init(struct wrdma *c)
{
	return mrs_add(c, min(WRDMA_MRS_MIN, c->mrs_max));
}

/* wrdma_mrs_fini() - destroy the pool; no bulk is active and the queue pair does not work */
void wrdma_mrs_fini(struct wrdma *c)
{
	struct wrdma_bulk *bulk, *btmp;
	struct wrdma_mr *m, *tmp;

	list_for_each_entry_safe(m, tmp, &c->all_mrs, all)
		mr_free(m);
	list_for_each_entry_safe(bulk, btmp, &c->free_bulks, node)
		kfree(bulk);
	INIT_LIST_HEAD(&c->all_mrs);
	INIT_LIST_HEAD(&c->free_mrs);
	INIT_LIST_HEAD(&c->free_bulks);
}

static struct page *kernel_page(const void *p)
{
	return is_vmalloc_addr(p) ? vmalloc_to_page(p) : virt_to_page(p);
}

/**
 * wrdma_next_pages() - the next pages of an iterator, which moves on
 * @it: bulk of a request, not at its end
 * @pages: out: they need no reference, whoever made the request keeps them
 * @max: how many
 * @off: out: where in the first of them it begins
 *
 * Return: bytes in them, or a negative errno.
 */
ssize_t wrdma_next_pages(struct iov_iter *it, struct page **pages, unsigned int max, size_t *off)
{
	const struct kvec *kv = it->kvec;
	size_t len, i;
	ssize_t got;
	u8 *p;

	if (!iov_iter_is_kvec(it)) {
		got = iov_iter_extract_pages(it, &pages, (size_t)max << PAGE_SHIFT, max, 0, off);
		if (got > 0 && iov_iter_extract_will_pin(it))
			for (i = 0; i < DIV_ROUND_UP(*off + got, PAGE_SIZE); i++)
				unpin_user_page(pages[i]);
		return got ?: -EFAULT;
	}
	p = kv->iov_base + it->iov_offset;
	*off = offset_in_page(p);
	len = min_t(size_t, kv->iov_len - it->iov_offset, ((size_t)max << PAGE_SHIFT) - *off);
	len = min(len, iov_iter_count(it));
	for (i = 0; i < DIV_ROUND_UP(*off + len, PAGE_SIZE); i++)
		pages[i] = kernel_page(p - *off + i * PAGE_SIZE);
	iov_iter_advance(it, len);
	return len ?: -EFAULT;
}

/*
 * Fills the region's list with pages of @it, up to its end or to where a page is not whole: a
 * region is whole pages but for its beginning and end. Return: bytes or a negative errno.
 */
static ssize_t mr_collect(struct wrdma *c, struct wrdma_mr *m, struct iov_iter *it)
{
	struct page *pages[BATCH];
	size_t off, end = 0, sum = 0;
	ssize_t got, left;
	unsigned int i;

	/* Not the whole list: that would be 8 KiB to clear for each page that is read. */
	sg_init_table(m->sg, max(iov_iter_npages(it, c->mr_pages), 1));
	m->nents = 0;
	while (iov_iter_count(it) && m->nents < c->mr_pages && !end) {
		got = wrdma_next_pages(it, pages,
				       min_t(unsigned int, BATCH, c->mr_pages - m->nents), &off);
		if (got < 0)
			return got;
		if (m->nents && off) {
			iov_iter_revert(it, got);
			break;
		}
		sum += got;
		end = offset_in_page(off + got);
		for (i = 0, left = got; left > 0; i++, off = 0) {
			unsigned int len = min_t(size_t, left, PAGE_SIZE - off);

			sg_set_page(&m->sg[m->nents++], pages[i], len, off);
			left -= len;
		}
	}
	sg_mark_end(&m->sg[m->nents - 1]);
	return sum;
}

/* Maps what the list holds for the device and makes the registration. */
static int mr_map(struct wrdma *c, struct wrdma_mr *m, enum dma_data_direction dir)
{
	struct ib_device *dev = c->id->device;
	int n;

	m->dir = dir;
	n = ib_dma_map_sg(dev, m->sg, m->nents, dir);
	if (!n)
		return -EIO;
	if (ib_map_mr_sg(m->mr, m->sg, n, NULL, PAGE_SIZE) != n) {
		ib_dma_unmap_sg(dev, m->sg, m->nents, dir);
		return -EIO;
	}
	atomic_long_add(m->nents, &wrdma_counters.pages);
	ib_update_fast_reg_key(m->mr, ib_inc_rkey(m->mr->rkey));
	memset(&m->reg, 0, sizeof(m->reg));
	m->reg.wr.opcode = IB_WR_REG_MR;
	m->reg.wr.wr_cqe = &m->reg_ev.cqe;
	m->reg.mr = m->mr;
	m->reg.key = m->mr->rkey;
	m->reg.access = dir == DMA_TO_DEVICE ? IB_ACCESS_REMOTE_READ :
					       IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE;
	return 0;
}

static void mr_put(struct wrdma *c, struct wrdma_mr *m)
{
	m->bulk = NULL;
	m->valid = false;
	atomic_dec(&wrdma_counters.mrs_used);
	spin_lock(&c->lock);
	list_move(&m->node, &c->free_mrs);
	spin_unlock(&c->lock);
}

static struct wrdma_mr *mr_get(struct wrdma *c, struct wrdma_bulk *bulk)
{
	struct wrdma_mr *m;

	spin_lock(&c->lock);
	m = list_first_entry_or_null(&c->free_mrs, struct wrdma_mr, node);
	if (m)
		list_move_tail(&m->node, &bulk->mrs);
	spin_unlock(&c->lock);
	if (!m)
		return NULL;
	m->bulk = bulk;
	atomic_inc(&wrdma_counters.mrs_used);
	return m;
}

/* Registers @len bytes of @it. Return: 0, -EAGAIN: no region is free; or another negative errno. */
static int bulk_add(struct wrdma *c, struct wrdma_bulk *bulk, struct iov_iter it, size_t len,
		    enum dma_data_direction dir, struct weft_seg *segs)
{
	struct wrdma_mr *m;
	ssize_t got;
	int ret;

	iov_iter_truncate(&it, len);
	while (iov_iter_count(&it)) {
		if (WARN_ON_ONCE(bulk->nsegs == min_t(unsigned int, c->mrs_max, WEFT_SEGS_MAX)))
			return -EMSGSIZE; /* nobody makes requests of so many pieces */
		m = mr_get(c, bulk);
		if (!m)
			return -EAGAIN;
		got = mr_collect(c, m, &it);
		ret = got < 0 ? got : mr_map(c, m, dir);
		if (ret) {
			mr_put(c, m);
			return ret;
		}
		segs[bulk->nsegs].addr = cpu_to_le64(m->mr->iova);
		segs[bulk->nsegs].len = cpu_to_le32(got);
		segs[bulk->nsegs].rkey = cpu_to_le32(m->mr->rkey);
		bulk->nsegs++;
	}
	return 0;
}

/**
 * wrdma_bulk_map() - give the peer access to a request's bulk
 * @c: the connection
 * @rpc: the request; a reference is taken
 * @out: bytes of rpc->out that the peer is to read
 * @in: bytes of rpc->in that it may write
 * @tx: its segments are filled in
 * @out_bulk: out: the bulk, active; the caller posts the registrations (m->reg) at once
 *
 * Return: 0; -EAGAIN: not enough regions are free now, more are being made if there may be more; or
 * another negative errno.
 * Context: tx_mutex is held.
 */
int wrdma_bulk_map(struct wrdma *c, struct weft_rpc *rpc, size_t out, size_t in,
		   struct wrdma_tx *tx, struct wrdma_bulk **out_bulk)
{
	struct wrdma_bulk *bulk;
	int ret;

	spin_lock(&c->lock);
	bulk = list_first_entry_or_null(&c->free_bulks, struct wrdma_bulk, node);
	if (bulk)
		list_del_init(&bulk->node);
	spin_unlock(&c->lock);
	if (!bulk)
		goto out_again;

	bulk->nsegs = 0;
	bulk->in = in;
	bulk->replied = false;
	bulk->invalidating = false;
	ret = bulk_add(c, bulk, rpc->out, out, DMA_TO_DEVICE, tx->segs);
	if (!ret)
		ret = bulk_add(c, bulk, rpc->in, in, DMA_FROM_DEVICE, tx->segs);
	if (ret) {
		wrdma_bulk_unmap(c, bulk);
		spin_lock(&c->lock);
		list_add(&bulk->node, &c->free_bulks);
		spin_unlock(&c->lock);
		if (ret == -EAGAIN)
			goto out_again;
		return ret;
	}
	weft_rpc_get(rpc);
	bulk->rpc = rpc;
	spin_lock(&c->lock);
	list_add_tail(&bulk->node, &c->active);
	spin_unlock(&c->lock);
	atomic64_add(out, &wrdma_counters.read_bytes);
	atomic64_add(in, &wrdma_counters.write_bytes);
	*out_bulk = bulk;
	return 0;

out_again:
	atomic64_inc(&wrdma_counters.mr_waits);
	if (c->nmrs < c->mrs_max)
		queue_work(wrdma_wq, &c->grow);
	return -EAGAIN;
}

/* wrdma_bulk_find() - the active bulk of a request or NULL; c->lock is held */
struct wrdma_bulk *wrdma_bulk_find(struct wrdma *c, const struct weft_rpc *rpc)
{
	struct wrdma_bulk *bulk;

	list_for_each_entry(bulk, &c->active, node)
		if (bulk->rpc == rpc)
			return bulk;
	return NULL;
}

/* wrdma_bulk_busy() - may the peer still touch the memory of this request? */
bool wrdma_bulk_busy(struct wrdma *c, const struct weft_rpc *rpc)
{
	struct wrdma_bulk *bulk;
	bool busy;

	spin_lock(&c->lock);
	bulk = wrdma_bulk_find(c, rpc);
	busy = bulk && !list_empty(&bulk->mrs);
	spin_unlock(&c->lock);
	return busy;
}

/**
 * wrdma_bulk_unmap() - the memory of a request is its own again
 * @c: the connection
 * @bulk: its bulk; all regions are invalid, or were never posted, or the queue pair is drained
 */
void wrdma_bulk_unmap(struct wrdma *c, struct wrdma_bulk *bulk)
{
	struct wrdma_mr *m, *tmp;
	LIST_HEAD(mrs);

	list_for_each_entry(m, &bulk->mrs, node) {
		ib_dma_unmap_sg(c->id->device, m->sg, m->nents, m->dir);
		atomic_long_sub(m->nents, &wrdma_counters.pages);
	}
	spin_lock(&c->lock);
	list_splice_init(&bulk->mrs, &mrs);
	spin_unlock(&c->lock);
	list_for_each_entry_safe(m, tmp, &mrs, node)
		mr_put(c, m);
	wake_up_all(&c->wait);
}

/* wrdma_bulk_free() - forget an active bulk that has been unmapped, and its request */
void wrdma_bulk_free(struct wrdma *c, struct wrdma_bulk *bulk)
{
	struct weft_rpc *rpc = bulk->rpc;

	spin_lock(&c->lock);
	bulk->rpc = NULL;
	list_move(&bulk->node, &c->free_bulks);
	spin_unlock(&c->lock);
	weft_rpc_put(rpc);
}
