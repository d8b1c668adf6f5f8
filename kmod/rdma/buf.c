// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for sends and receives.
 *
 * A connection's buffers all have the size of a frame. They are cut from pieces of 32 KiB, each
 * mapped for the device once, when the connection is opened, and unmapped when it has been closed
 * and the queue pair drained. Nothing is shared; nothing here needs a lock.
 *
 * How it can fail: without memory, or without space in the device's address translation.
 */
#include <linux/gfp.h>
#include <linux/slab.h>
#include "kmod/rdma/rdma.h"

#define PIECE_ORDER 3
#define PIECE_BYTES (PAGE_SIZE << PIECE_ORDER)

struct wrdma_piece {
	void *mem;
	u64 dma;
};

static int piece_init(struct wrdma *c, struct wrdma_piece *p, enum dma_data_direction dir)
{
	p->mem = (void *)__get_free_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, PIECE_ORDER);
	if (!p->mem)
		return -ENOMEM;
	p->dma = ib_dma_map_single(c->id->device, p->mem, PIECE_BYTES, dir);
	if (ib_dma_mapping_error(c->id->device, p->dma)) {
		free_pages((unsigned long)p->mem, PIECE_ORDER);
		return -EIO;
	}
	return 0;
}

/**
 * wrdma_bufs_init() - make a set of buffers
 * @c: the connection, bound to a device, with its protection domain
 * @set: zeroed; wrdma_bufs_fini() has to follow, also after an error
 * @n: how many
 * @size: of each, at most WRDMA_FRAME_MAX
 * @dir: who writes them
 *
 * Return: 0 or a negative errno.
 */
int wrdma_bufs_init(struct wrdma *c, struct wrdma_bufs *set, unsigned int n, unsigned int size,
		    enum dma_data_direction dir)
{
	unsigned int stride = ALIGN(size, 64), each = PIECE_BYTES / stride, i;
	int ret;

	BUILD_BUG_ON(WRDMA_FRAME_MAX > PIECE_BYTES);
	set->n = n;
	set->size = size;
	set->dir = dir;
	set->buf = kcalloc(n, sizeof(*set->buf), GFP_KERNEL);
	set->piece = kcalloc(DIV_ROUND_UP(n, each), sizeof(*set->piece), GFP_KERNEL);
	if (dir == DMA_TO_DEVICE)
		set->gather = kcalloc(n, sizeof(*set->gather), GFP_KERNEL);
	if (!set->buf || !set->piece || (dir == DMA_TO_DEVICE && !set->gather))
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct wrdma_buf *b = &set->buf[i];

		if (i % each == 0) {
			ret = piece_init(c, &set->piece[set->pieces], dir);
			if (ret)
				return ret;
			set->pieces++;
		}
		b->data = set->piece[i / each].mem + i % each * stride;
		b->sge.addr = set->piece[i / each].dma + i % each * stride;
		b->sge.length = size;
		b->sge.lkey = c->pd->local_dma_lkey;
		wrdma_event_init(c, &b->ev,
				 dir == DMA_FROM_DEVICE ? WRDMA_EV_RECV : WRDMA_EV_SEND);
		atomic_inc(&wrdma_counters.bufs);
	}
	return 0;
}

/* wrdma_bufs_fini() - free them; the device does not know them any more */
void wrdma_bufs_fini(struct wrdma *c, struct wrdma_bufs *set)
{
	unsigned int i;

	for (i = 0; i < set->pieces; i++) {
		ib_dma_unmap_single(c->id->device, set->piece[i].dma, PIECE_BYTES, set->dir);
		free_pages((unsigned long)set->piece[i].mem, PIECE_ORDER);
	}
	for (i = 0; set->buf && i < set->n; i++)
		if (set->buf[i].data)
			atomic_dec(&wrdma_counters.bufs);
	kfree(set->piece);
	kfree(set->gather);
	kfree(set->buf);
	memset(set, 0, sizeof(*set));
}
