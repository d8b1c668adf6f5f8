// SPDX-License-Identifier: Apache-2.0
/*
 * Requests that this side sends: memory is offered to the server until the reply has come.
 *
 * Bulk of up to the inline limits goes behind the text. More is described by segments, each a
 * piece of memory registered for this one request, for exactly its bytes and for reading or for
 * writing, never both. A slab's own registration is not offered: its key would open 4 MiB of
 * everybody's buffers until the pool ends. Registering costs two system calls a request, which
 * tools, tests and servers that talk to servers can pay; the kernel client has fast registration.
 *
 * Happy path: prepare registers, the frames go out, the reply comes, the registrations are dropped
 * (from then on the device refuses the keys), the request is told as sent and the reply is
 * handed up.
 *
 * Failures: no pool memory for a reply: the request waits, others pass it. No registration: the
 * connection ends. A request that its owner gives up while its memory is offered breaks the
 * connection (its message is not told as sent before the reply), and closing drops the keys.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/rdma.h"

#define PIECES_MAX (WEFT_SEGS_MAX / 2) /* of each direction; more are copied together */

static void call_free(struct rdma_call *k)
{
	unsigned int i;

	for (i = 0; i < k->nsegs; i++)
		rdma_unreg(k->mrs[i]);
	weft_sg_fini(&k->out);
	weft_sg_fini(&k->in);
	free(k);
}

/* Registers the pieces of a list. */
static int offer(struct rdma_conn *c, struct rdma_call *k, const struct weft_sg *sg, int access)
{
	unsigned int i;

	for (i = 0; i < sg->n; i++) {
		struct ibv_mr *mr = rdma_reg(c->dev, sg->e[i].ptr, sg->e[i].len, access, "bulk");

		if (!mr)
			return -EIO;
		k->mrs[k->nsegs] = mr;
		k->segs[k->nsegs++] = (struct weft_seg){
			.addr = cpu_to_le64((uintptr_t)sg->e[i].ptr),
			.len = cpu_to_le32(sg->e[i].len),
			.rkey = cpu_to_le32(mr->rkey),
		};
	}
	return 0;
}

static void copy(const struct weft_sg *to, const struct weft_sg *from, size_t len)
{
	size_t off = 0, n;
	unsigned int i;

	for (i = 0; i < to->n && off < len; i++) {
		n = to->e[i].len < len - off ? to->e[i].len : len - off;
		off += weft_sg_read(from, off, to->e[i].ptr, n);
	}
	WEFT_RDMA_COUNT(copied, len);
}

static int offer_out(struct rdma_conn *c, struct rdma_call *k, struct weft_msg *m)
{
	const struct weft_sg *sg = &m->bulk;
	int ret;

	if (sg->n > PIECES_MAX) {
		ret = weft_sg_alloc(&k->out, c->pool, sg->len);
		if (ret)
			return ret;
		copy(&k->out, sg, sg->len);
		sg = &k->out;
	}
	ret = offer(c, k, sg, IBV_ACCESS_REMOTE_READ);
	k->nread = k->nsegs;
	return ret;
}

static int offer_in(struct rdma_conn *c, struct rdma_call *k, struct weft_msg *m)
{
	size_t len = le32_to_cpu(m->hdr.bulk_max);
	int ret;

	k->bounced = m->in.n > PIECES_MAX;
	if (m->in.len && !k->bounced)
		ret = weft_sg_slice(&k->in, &m->in, 0, len);
	else
		ret = weft_sg_alloc(&k->in, c->pool, len);
	if (ret)
		return ret;
	return offer(c, k, &k->in, IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_LOCAL_WRITE);
}

int rdma_call_prepare(struct rdma_conn *c, struct weft_msg *m)
{
	bool in = le32_to_cpu(m->hdr.bulk_max) > c->own.inline_max;
	struct rdma_call *k;
	int ret = 0;

	if (!in && m->bulk.len <= c->peer.inline_max)
		return 0;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	if (m->bulk.len)
		ret = offer_out(c, k, m);
	if (!ret && in)
		ret = offer_in(c, k, m);
	if (ret) {
		call_free(k);
		return ret;
	}
	k->m = m;
	m->xreq = k;
	k->next = c->calls;
	c->calls = k;
	return 0;
}

void rdma_call_retry(struct rdma_conn *c)
{
	struct weft_msg *m;
	int ret = 0;

	while (!c->err && !ret && (m = c->call_wait.first)) {
		ret = rdma_call_prepare(c, m);
		if (!ret)
			rdma_msg_add(&c->tx, rdma_msg_take(&c->call_wait));
	}
	if (ret == -ENOMEM)
		weft_timer_start(c->env, &c->retry, RDMA_RETRY_MS * WEFT_NS_PER_MS);
	else if (ret)
		rdma_conn_fail(c, ret);
}

/* The request that a reply answers, if it has segments. */
static struct rdma_call **find(struct rdma_conn *c, const struct weft_hdr *h)
{
	struct rdma_call **at = &c->calls;

	while (*at && !((*at)->posted && (*at)->m->hdr.request_id == h->request_id))
		at = &(*at)->next;
	return at;
}

ssize_t rdma_call_inline(struct rdma_conn *c, const struct weft_hdr *h)
{
	uint32_t len = le32_to_cpu(h->bulk_len);
	const struct rdma_call *k = NULL;

	if (h->nsegs)
		return -EPROTO;
	if (le16_to_cpu(h->flags) & WEFT_MF_REPLY)
		k = *find(c, h);
	if (k && k->nsegs > k->nread)
		return len <= k->in.len ? 0 : -EPROTO;
	return len <= c->own.inline_max ? (ssize_t)len : -EPROTO;
}

/* The reply's bulk lies where the server was told to write it. */
static int take_bulk(struct rdma_call *k, struct weft_msg *m)
{
	size_t len = le32_to_cpu(m->hdr.bulk_len);

	if (!k->bounced)
		return weft_sg_slice(&m->bulk, &k->in, 0, len);
	copy(&k->m->in, &k->in, len);
	return weft_sg_slice(&m->bulk, &k->m->in, 0, len);
}

int rdma_call_replied(struct rdma_conn *c, struct weft_msg *m)
{
	struct rdma_call **at = &c->calls, *k = NULL;
	struct weft_msg *out;
	int ret = 0;

	if (le16_to_cpu(m->hdr.flags) & WEFT_MF_REPLY) {
		at = find(c, &m->hdr);
		k = *at;
	}
	if (k) {
		out = k->m;
		*at = k->next;
		if (k->nsegs > k->nread)
			ret = take_bulk(k, m);
		call_free(k);
		out->xreq = NULL;
		c->cb.sent(c->arg, out);
	}
	if (ret || c->closed) {
		weft_msg_free(m);
		return ret;
	}
	rdma_received(c, m);
	return 0;
}

void rdma_call_drop_all(struct rdma_conn *c)
{
	struct rdma_call *k, *next;

	for (k = c->calls; k; k = next) {
		next = k->next;
		k->m->xreq = NULL;
		if (k->posted) /* otherwise it is still among the messages to be sent */
			rdma_msg_add(&c->done, k->m);
		call_free(k);
	}
	c->calls = NULL;
}
