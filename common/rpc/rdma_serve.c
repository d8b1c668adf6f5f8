// SPDX-License-Identifier: Apache-2.0
/*
 * Requests at the server: their bulk is read from the requester's memory, that of their replies
 * written there.
 *
 * Happy path, by states (rdma.h): NEW, the segments are checked and taken off the text;
 * NEED_BUF, the owner names pool memory; READ_WAIT and READING, the device fetches the bulk into
 * it; EXECUTING, the request is handed up and the record goes with it; the reply brings the
 * record back: WRITING, the device puts its bulk into the requester's memory; REPLYING, its
 * frames. The bytes go from the requester's pages to the buffers that the disk is written from,
 * and back, and no processor touches them here.
 *
 * Failures: no memory: the request waits, later ones without bulk pass it. No READ slot and no room
 * in the send queue: it waits in its order. Segments that break a rule, or that the device
 * refuses: the connection ends. The record of a request whose connection ended goes with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rpc/rdma.h"

static void list_add(struct rdma_req_list *l, struct rdma_req *r)
{
	r->next = NULL;
	if (l->first)
		l->last->next = r;
	else
		l->first = r;
	l->last = r;
}

static struct rdma_req *list_take(struct rdma_req_list *l)
{
	struct rdma_req *r = l->first;

	l->first = r->next;
	return r;
}

/* --- moving bulk */

static void rewind_to(struct rdma_req *r, unsigned int seg)
{
	r->seg = seg;
	r->seg_off = 0;
	r->e = 0;
	r->e_off = 0;
	r->off = 0;
}

/* Gathers local pieces for at most @max bytes. Return: bytes, or a negative errno. */
static ssize_t gather(struct rdma_conn *c, struct rdma_req *r, const struct weft_sg *sg, size_t max,
		      struct ibv_sge *sge, unsigned int cap, int *n)
{
	size_t len = 0, take;
	int ret;

	for (*n = 0; len < max && *n < (int)cap; (*n)++) {
		const struct weft_sge *e = &sg->e[r->e];

		take = e->len - r->e_off < max - len ? e->len - r->e_off : max - len;
		ret = e->buf ? rdma_slab_lkey(c->dev, e->buf->slab, &sge[*n].lkey) : -EFAULT;
		if (ret)
			return ret;
		sge[*n].addr = (uintptr_t)e->ptr + r->e_off;
		sge[*n].length = take;
		len += take;
		r->e_off += take;
		if (r->e_off == e->len) {
			r->e++;
			r->e_off = 0;
		}
	}
	return len;
}

int rdma_gather(struct rdma_conn *c, const struct weft_sg *sg, struct ibv_sge *sge,
		unsigned int max)
{
	unsigned int i;
	int ret;

	if (sg->n > max)
		return -E2BIG;
	for (i = 0; i < sg->n; i++) {
		if (!sg->e[i].buf)
			return -EFAULT;
		ret = rdma_slab_lkey(c->dev, sg->e[i].buf->slab, &sge[i].lkey);
		if (ret)
			return ret;
		sge[i].addr = (uintptr_t)sg->e[i].ptr;
		sge[i].length = sg->e[i].len;
	}
	return i;
}

/* Posts one READ or WRITE and moves on. @end: bytes of bulk; @last: it ends a batch of READs */
static int move_some(struct rdma_conn *c, struct rdma_req *r, const struct weft_sg *sg, size_t end,
		     bool read, bool last)
{
	const struct rdma_seg *s = &r->segs[r->seg];
	size_t max = s->len - r->seg_off < end - r->off ? s->len - r->seg_off : end - r->off;
	struct ibv_sge sge[RDMA_SGE_MAX];
	struct ibv_send_wr wr = {
		.sg_list = sge,
		.opcode = read ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE,
		.wr.rdma = { .remote_addr = s->addr + r->seg_off, .rkey = s->rkey },
	};
	ssize_t len = gather(c, r, sg, max, sge, read ? c->dev->max_sge_rd : c->dev->max_sge,
			     &wr.num_sge);

	if (len < 0)
		return len;
	r->off += len;
	r->seg_off += len;
	if (r->seg_off == s->len) {
		r->seg++;
		r->seg_off = 0;
	}
	if (read) {
		last = last || r->off == end;
		WEFT_RDMA_COUNT(reads, 1);
		WEFT_RDMA_COUNT(read_bytes, len);
		return rdma_post(c, &wr, last ? RDMA_WR_READ : RDMA_WR_ROOM, last);
	}
	WEFT_RDMA_COUNT(writes, 1);
	WEFT_RDMA_COUNT(write_bytes, len);
	return rdma_post_write(c, &wr);
}

/* --- requests come */

/* Takes the segments off the text and checks them. Return: NULL, or the rule they break. */
static const char *take_segs(struct rdma_conn *c, struct weft_msg *m)
{
	unsigned int n = le16_to_cpu(m->hdr.nsegs), nread;
	struct rdma_req *r = NULL;
	struct rdma_seg none;
	const char *why;

	if (n) {
		r = calloc(1, sizeof(*r) + n * sizeof(r->segs[0]));
		if (!r)
			return "no memory for its request";
	}
	m->xreq = r; /* freed with the message */
	why = rdma_segs_check(&m->hdr, m->text + m->text_len - n * sizeof(struct weft_seg),
			      r ? r->segs : &none, c->own.inline_max, c->peer.inline_max, &nread);
	if (why || !r)
		return why;
	r->nread = nread;
	r->nwrite = n - nread;
	m->text_len -= n * sizeof(struct weft_seg);
	m->hdr.len = cpu_to_le32(sizeof(m->hdr) + m->text_len);
	m->hdr.nsegs = 0;
	return NULL;
}

static void hand_up(struct rdma_conn *c, struct weft_msg *m)
{
	struct rdma_req *r = m->xreq;

	if (r)
		r->state = RDMA_REQ_EXECUTING;
	rdma_received(c, m);
}

void rdma_req_new(struct rdma_conn *c, struct weft_msg *m)
{
	const char *why = take_segs(c, m);
	struct rdma_req *r = m->xreq;

	if (why) {
		rdma_conn_rule(c, why);
		weft_msg_free(m);
		return;
	}
	if (!r || !r->nread) {
		hand_up(c, m);
		return;
	}
	r->m = m;
	r->state = RDMA_REQ_NEED_BUF;
	list_add(&c->need_buf, r);
	c->nreqs++;
}

/* Finds memory for those that need it, in their order. */
static void run_need_buf(struct rdma_conn *c)
{
	struct rdma_req *r;
	int ret;

	while ((r = c->need_buf.first)) {
		/* A peer that answers READs slowly must not hold the memory of all others. */
		if (c->placed && c->placed + le32_to_cpu(r->m->hdr.bulk_len) > RDMA_PLACED_MAX)
			return;
		ret = c->cb.place(c->arg, r->m);
		if (ret == -ENOMEM) {
			WEFT_RDMA_COUNT(wait_buf, 1);
			weft_timer_start(c->env, &c->retry, RDMA_RETRY_MS * WEFT_NS_PER_MS);
			return;
		}
		if (!ret && r->m->bulk.len != le32_to_cpu(r->m->hdr.bulk_len))
			ret = -EPROTO;
		if (ret) {
			rdma_conn_fail(c, ret);
			return;
		}
		list_take(&c->need_buf);
		c->placed += r->m->bulk.len;
		rewind_to(r, 0);
		r->state = RDMA_REQ_READ_WAIT;
		list_add(&c->read_wait, r);
	}
}

/* Posts READs of a request as far as there is room; the last of them is signaled. */
static int post_reads(struct rdma_conn *c, struct rdma_req *r)
{
	size_t end = r->m->bulk.len;
	bool last = false;
	int ret;

	while (r->off < end && !last) {
		last = c->reads_free == 1 || c->sq_free == RDMA_SQ_KEEP + 1;
		ret = move_some(c, r, &r->m->bulk, end, true, last);
		if (ret)
			return ret;
		r->pending++;
		c->reads_free--;
	}
	return 0;
}

static void run_read_wait(struct rdma_conn *c)
{
	struct rdma_req *r;
	int ret;

	while ((r = c->read_wait.first)) {
		if (!c->reads_free || c->sq_free <= RDMA_SQ_KEEP) {
			WEFT_RDMA_COUNT(wait_read, 1);
			return;
		}
		ret = post_reads(c, r);
		if (ret) {
			rdma_conn_fail(c, ret);
			return;
		}
		list_take(&c->read_wait);
		r->state = RDMA_REQ_READING;
		list_add(&c->reading, r);
	}
}

void rdma_req_run(struct rdma_conn *c)
{
	if (!c->err)
		run_need_buf(c);
	if (!c->err)
		run_read_wait(c);
}

void rdma_req_read_done(struct rdma_conn *c)
{
	struct rdma_req *r = list_take(&c->reading);

	c->reads_free += r->pending;
	r->pending = 0;
	if (r->off == r->m->bulk.len) {
		list_add(&c->arrived, r);
		return;
	}
	r->state = RDMA_REQ_READ_WAIT;
	r->next = c->read_wait.first; /* it goes on before those that have not begun */
	if (!r->next)
		c->read_wait.last = r;
	c->read_wait.first = r;
}

void rdma_req_hand_up(struct rdma_conn *c)
{
	struct weft_msg *m;

	while (!c->closed && !c->stopped && c->arrived.first) {
		m = list_take(&c->arrived)->m;
		c->nreqs--;
		c->placed -= m->bulk.len;
		hand_up(c, m);
	}
}

/* --- replies go */

/* Bulk that lies anywhere is copied to where the device can read it. */
static int to_pool(struct rdma_conn *c, struct weft_msg *m)
{
	struct weft_sg sg = WEFT_SG_INIT;
	size_t off = 0;
	unsigned int i;
	int ret = c->pool ? weft_sg_alloc(&sg, c->pool, m->bulk.len) : -ENOMEM;

	if (ret)
		return ret;
	for (i = 0; i < m->bulk.n; off += m->bulk.e[i++].len)
		weft_sg_write(&sg, off, m->bulk.e[i].ptr, m->bulk.e[i].len);
	WEFT_RDMA_COUNT(copied, m->bulk.len);
	weft_sg_fini(&m->bulk);
	weft_sg_move(&m->bulk, &sg);
	return 0;
}

int rdma_reply_prepare(struct rdma_conn *c, struct weft_msg *m)
{
	struct rdma_req *r = m->xreq;
	unsigned int i;

	if (!r)
		return 0;
	r->state = RDMA_REQ_WRITING;
	rewind_to(r, r->nread);
	for (i = 0; r->nwrite && i < m->bulk.n; i++)
		if (!m->bulk.e[i].buf)
			return to_pool(c, m);
	return 0;
}

int rdma_reply_write(struct rdma_conn *c, struct weft_msg *m)
{
	struct rdma_req *r = m->xreq;
	int ret;

	if (!r)
		return 0;
	while (r->nwrite && r->off < m->bulk.len) {
		if (c->sq_free <= RDMA_SQ_KEEP) {
			WEFT_RDMA_COUNT(wait_slot, 1);
			return -EAGAIN;
		}
		ret = move_some(c, r, &m->bulk, m->bulk.len, false, false);
		if (ret)
			return ret;
	}
	r->state = RDMA_REQ_REPLYING;
	return 0;
}

static void drop(struct rdma_req_list *l)
{
	while (l->first)
		weft_msg_free(list_take(l)->m); /* and the record with it */
}

void rdma_req_drop_all(struct rdma_conn *c)
{
	drop(&c->need_buf);
	drop(&c->read_wait);
	drop(&c->reading);
	drop(&c->arrived);
	c->nreqs = 0;
	c->placed = 0;
}
