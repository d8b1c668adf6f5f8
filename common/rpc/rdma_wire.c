// SPDX-License-Identifier: Apache-2.0
/*
 * The arithmetic of proto/rdma.h, on memory alone.
 *
 * Happy path: numbers of the peer are within their limits and are taken over. Failures: a number
 * that is not makes the function say which rule it breaks, and the connection ends. Nothing is
 * shared; whoever owns the connection owns these structs.
 */
#include "common/rpc/rdma_wire.h"

#include <errno.h>
#include <string.h>

#include "proto/ops.h"

void rdma_cm_fill(struct weft_rdma_cm *cm, const struct rdma_side *own, uint32_t status)
{
	*cm = (struct weft_rdma_cm){
		.magic = cpu_to_le32(WEFT_MAGIC),
		.version = cpu_to_le16(WEFT_RDMA_VERSION),
		.flags = cpu_to_le16(own->inv ? WEFT_RDMA_INV : 0),
		.recv_size = cpu_to_le32(own->recv_size),
		.recv_depth = cpu_to_le16(own->recv_depth),
		.inline_max = cpu_to_le16(own->inline_max),
		.status = cpu_to_le32(status),
	};
}

uint32_t rdma_cm_read(const void *data, size_t len, struct rdma_side *peer)
{
	struct weft_rdma_cm cm;

	if (!data || len < sizeof(cm))
		return WEFT_S_MALFORMED;
	memcpy(&cm, data, sizeof(cm));
	if (le32_to_cpu(cm.magic) != WEFT_MAGIC)
		return WEFT_S_MALFORMED;
	if (le16_to_cpu(cm.version) != WEFT_RDMA_VERSION)
		return WEFT_S_VERSION;
	if (cm.status)
		return le32_to_cpu(cm.status);
	*peer = (struct rdma_side){
		.recv_size = le32_to_cpu(cm.recv_size),
		.recv_depth = le16_to_cpu(cm.recv_depth),
		.inline_max = le16_to_cpu(cm.inline_max),
		.inv = le16_to_cpu(cm.flags) & WEFT_RDMA_INV,
	};
	if (peer->recv_size < WEFT_RDMA_RECV_SIZE_MIN ||
	    peer->recv_size > WEFT_RDMA_RECV_SIZE_MAX ||
	    peer->recv_depth < WEFT_RDMA_RECV_DEPTH_MIN)
		return WEFT_S_MALFORMED;
	return 0;
}

bool rdma_may_send(const struct rdma_credits *c, bool control)
{
	uint32_t room = c->peer_depth - (control ? 0 : WEFT_RDMA_CONTROL);

	return c->sent - c->seen < room;
}

bool rdma_must_tell(const struct rdma_credits *c)
{
	return c->posted - c->told >= c->own_depth / 2;
}

void rdma_frame_sent(struct rdma_credits *c, struct weft_rdma_frame *f, uint32_t len)
{
	c->sent++;
	c->told = c->posted;
	f->len = cpu_to_le32(len);
	f->recvs = cpu_to_le32(c->posted);
}

const char *rdma_frame_got(struct rdma_credits *c, const void *data, size_t len, uint32_t *payload)
{
	struct weft_rdma_frame f;
	uint32_t recvs, room;

	if (len < sizeof(f))
		return "a frame shorter than its header";
	memcpy(&f, data, sizeof(f));
	*payload = le32_to_cpu(f.len);
	recvs = le32_to_cpu(f.recvs);
	if (*payload != len - sizeof(f))
		return "a frame's length is not that of its content";
	room = c->own_depth - (*payload ? WEFT_RDMA_CONTROL : 0);
	if (c->got - c->told >= room)
		return "more frames than credits";
	if (recvs - c->seen > c->sent - c->seen)
		return "credits for frames that were not sent";
	c->got++;
	c->seen = recvs;
	return NULL;
}

const char *rdma_segs_check(const struct weft_hdr *h, const void *wire, struct rdma_seg *segs,
			    uint32_t inline_max, uint32_t peer_inline_max, unsigned int *nread)
{
	uint64_t bulk = le32_to_cpu(h->bulk_len), max = le32_to_cpu(h->bulk_max);
	unsigned int n = le16_to_cpu(h->nsegs), i;
	uint64_t reads = 0, writes = 0;
	struct weft_seg s;

	*nread = 0;
	for (i = 0; i < n; i++) {
		memcpy(&s, (const char *)wire + i * sizeof(s), sizeof(s));
		segs[i] = (struct rdma_seg){ .addr = le64_to_cpu(s.addr),
					     .len = le32_to_cpu(s.len),
					     .rkey = le32_to_cpu(s.rkey) };
		if (!segs[i].len || segs[i].len > WEFT_BULK_MAX)
			return "length of a segment";
		if (segs[i].addr + segs[i].len < segs[i].addr)
			return "a segment beyond the end of memory";
		if (reads < bulk) {
			reads += segs[i].len;
			*nread = i + 1;
		} else {
			writes += segs[i].len;
		}
	}
	if (n ? reads != bulk : bulk > inline_max)
		return "segments do not hold the bulk";
	if (*nread < n ? writes < max : max > peer_inline_max)
		return "segments cannot take the reply's bulk";
	return NULL;
}

/* --- frames to messages */

static int rx_break(struct rdma_rx *rx, const char *why)
{
	rx->why = why;
	return -EPROTO;
}

/* A message begins: its header is in its first frame whole. */
static int rx_header(struct rdma_rx *rx, const char *data, size_t len, size_t *used)
{
	struct weft_hdr hdr;
	ssize_t bulk;

	if (*used || len < sizeof(hdr))
		return rx_break(rx, *used ? "bytes behind the end of a message"
					  : "a message shorter than its header");
	memcpy(&hdr, data, sizeof(hdr));
	if (weft_hdr_check(&hdr))
		return rx_break(rx, "header");
	bulk = rx->ops->inline_len(rx->arg, &hdr);
	if (bulk < 0)
		return rx_break(rx, "bulk inline");
	rx->m = weft_msg_alloc(le32_to_cpu(hdr.len) - sizeof(hdr));
	if (!rx->m)
		return -ENOMEM;
	rx->m->hdr = hdr;
	rx->inline_len = bulk;
	rx->off = 0;
	rx->state = RDMA_RX_TEXT;
	*used = sizeof(hdr);
	return 0;
}

static void rx_text(struct rdma_rx *rx, const char *data, size_t len, size_t *used)
{
	size_t n = rx->m->text_len - rx->off;

	if (n > len - *used)
		n = len - *used;
	memcpy(rx->m->text + rx->off, data + *used, n);
	rx->off += n;
	*used += n;
}

static int rx_place(struct rdma_rx *rx)
{
	int ret = rx->ops->place(rx->arg, rx->m);

	if (!ret && rx->m->bulk.len != rx->inline_len)
		ret = -EPROTO;
	if (ret)
		return ret == -ENOMEM ? ret : rx_break(rx, "bulk that nobody wants");
	rx->off = 0;
	rx->state = RDMA_RX_BULK;
	return 0;
}

static void rx_bulk(struct rdma_rx *rx, const char *data, size_t len, size_t *used)
{
	size_t n = weft_sg_write(&rx->m->bulk, rx->off, data + *used, len - *used);

	rx->off += n;
	*used += n;
}

static int rx_deliver(struct rdma_rx *rx)
{
	struct weft_msg *m = rx->m;

	rx->m = NULL;
	rx->state = RDMA_RX_HDR;
	return rx->ops->deliver(rx->arg, m);
}

/* Goes on in the present state. Return: 1 the message is whole, 0, or a negative errno. */
static int rx_step(struct rdma_rx *rx, const char *data, size_t len, size_t *used)
{
	switch (rx->state) {
	case RDMA_RX_HDR:
		return rx_header(rx, data, len, used);
	case RDMA_RX_TEXT:
		rx_text(rx, data, len, used);
		if (rx->off < rx->m->text_len)
			return 0;
		if (!rx->inline_len)
			return 1;
		rx->state = RDMA_RX_PLACE;
		return 0;
	case RDMA_RX_PLACE:
		return rx_place(rx);
	case RDMA_RX_BULK:
		rx_bulk(rx, data, len, used);
		return rx->off == rx->inline_len;
	}
	return 0;
}

int rdma_rx_frame(struct rdma_rx *rx, const char *data, size_t len, size_t *used)
{
	int ret;

	if (len > rx->frame_max)
		return rx_break(rx, "a frame longer than it may be");
	for (;;) {
		ret = rx_step(rx, data, len, used);
		if (ret < 0)
			return ret;
		if (ret)
			return *used == len ? rx_deliver(rx)
					    : rx_break(rx, "bytes behind the end of a message");
		/* PLACE needs no bytes, and a text of no length is whole without any. */
		if (*used == len && rx->state != RDMA_RX_PLACE &&
		    !(rx->state == RDMA_RX_TEXT && rx->off == rx->m->text_len))
			return len == rx->frame_max
				       ? 0
				       : rx_break(rx, "a frame that is not full");
	}
}

void rdma_rx_fini(struct rdma_rx *rx)
{
	weft_msg_free(rx->m);
	rx->m = NULL;
	rx->state = RDMA_RX_HDR;
}

/* --- messages to frames */

void rdma_tx_init(struct rdma_tx *tx, const struct weft_msg *m, const struct weft_seg *segs,
		  unsigned int nsegs, bool bulk_inline)
{
	tx->hdr = m->hdr;
	tx->m = m;
	tx->segs = segs;
	tx->segs_len = nsegs * sizeof(*segs);
	tx->inline_len = bulk_inline ? m->bulk.len : 0;
	tx->hdr.len = cpu_to_le32(sizeof(tx->hdr) + m->text_len + tx->segs_len);
	tx->hdr.nsegs = cpu_to_le16(nsegs);
	tx->total = le32_to_cpu(tx->hdr.len) + tx->inline_len;
	tx->off = 0;
}

/* Copies the part of @src, which lies at *at of the message, that belongs at tx->off. */
static void tx_copy(struct rdma_tx *tx, size_t *at, const void *src, size_t len, char *dst,
		    size_t *n, size_t max)
{
	size_t off = tx->off - *at, take;

	if (tx->off < *at + len && *n < max) {
		take = len - off < max - *n ? len - off : max - *n;
		memcpy(dst + *n, (const char *)src + off, take);
		*n += take;
		tx->off += take;
	}
	*at += len;
}

size_t rdma_tx_fill(struct rdma_tx *tx, char *dst, size_t max)
{
	size_t at = 0, n = 0, got;

	tx_copy(tx, &at, &tx->hdr, sizeof(tx->hdr), dst, &n, max);
	tx_copy(tx, &at, tx->m->text, tx->m->text_len, dst, &n, max);
	tx_copy(tx, &at, tx->segs, tx->segs_len, dst, &n, max);
	if (tx->inline_len && tx->off >= at) {
		got = weft_sg_read(&tx->m->bulk, tx->off - at, dst + n, max - n);
		n += got;
		tx->off += got;
	}
	return n;
}
