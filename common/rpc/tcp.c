// SPDX-License-Identifier: Apache-2.0
/*
 * Messages over a TCP stream.
 *
 * Happy path: header and text are read through a small buffer, many messages by one system call;
 * bulk is read straight into the memory that place() named, with the small buffer behind it for
 * the messages that follow. Sending gathers header, text and bulk of several messages in one
 * system call.
 *
 * Failures: a header that weft_hdr_check() refuses, or a broken stream, ends the connection by
 * broken(), once. When place() has no memory, reading pauses for a moment.
 *
 * Belongs to one loop. The connection may be closed inside any of its callbacks: @depth keeps the
 * memory until the outermost function is left.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/rpc/transport.h"
#include "proto/ops.h"

#define RBUF_LEN 32768
#define TX_IOV 64
#define RX_IOV 64
#define RX_ROUNDS 8 /* reads per event, so that one peer cannot keep the loop */
#define PLACE_RETRY_MS 2

enum rx_state { RX_HDR, RX_TEXT, RX_PLACE, RX_BULK };

struct tcp_xprt {
	struct weft_xprt x;
	struct weft_env *env;
	struct weft_stream *stream;
	struct weft_xprt_cb cb;
	void *arg;
	struct weft_timer retry; /* of place(), and of reading after a stop */
	struct weft_timer hold; /* sending is delayed by a fault point */
	struct weft_timer fail; /* tells of @err outside of send() */
	int err;
	int depth;
	bool up, closed, told, stopped;

	struct weft_msg *tx;
	struct weft_msg **tx_tail;
	size_t tx_off; /* bytes of the first one that are sent */

	enum rx_state state;
	struct weft_hdr hdr;
	struct weft_msg *rx;
	size_t rx_off; /* bytes of the present part */
	size_t rpos, rlen;
	char rbuf[RBUF_LEN];
};

static size_t msg_size(const struct weft_msg *m)
{
	return sizeof(m->hdr) + m->text_len + m->bulk.len;
}

static void enter(struct tcp_xprt *t)
{
	t->depth++;
}

static void leave(struct tcp_xprt *t)
{
	if (!--t->depth && t->closed)
		free(t);
}

/* Tells of the end, once, on behalf of a callback of the loop. */
static void tell_broken(struct tcp_xprt *t, int err)
{
	if (t->told || t->closed)
		return;
	t->told = true;
	weft_stream_want(t->stream, 0);
	t->cb.broken(t->arg, err);
}

static void fail_fired(void *arg)
{
	struct tcp_xprt *t = arg;

	enter(t);
	tell_broken(t, t->err);
	leave(t);
}

/* Remembers an error that is told later. */
static void fail_later(struct tcp_xprt *t, int err)
{
	if (t->err)
		return;
	t->err = err;
	weft_timer_start(t->env, &t->fail, 0);
}

static bool rx_paused(struct tcp_xprt *t)
{
	return t->stopped || t->state == RX_PLACE;
}

static void update_want(struct tcp_xprt *t)
{
	unsigned int want = 0;

	if (!t->up || t->closed || t->told)
		return;
	if (!rx_paused(t))
		want |= WEFT_STREAM_IN;
	if (t->tx && t->hold.pos < 0)
		want |= WEFT_STREAM_OUT;
	weft_stream_want(t->stream, want);
}

static int tx_iov(struct tcp_xprt *t, struct iovec *iov)
{
	size_t off = t->tx_off, text;
	struct weft_msg *m;
	int n = 0;

	for (m = t->tx; m && n < TX_IOV; m = m->next, off = 0) {
		text = sizeof(m->hdr) + m->text_len;
		if (off < text) {
			iov[n].iov_base = (char *)&m->hdr + off;
			iov[n++].iov_len = text - off;
			off = text;
		}
		n += weft_sg_iov(&m->bulk, off - text, iov + n, TX_IOV - n);
	}
	return n;
}

/* The first n bytes are sent: gives back the messages that are whole. */
static void tx_advance(struct tcp_xprt *t, size_t n)
{
	struct weft_msg *m;

	t->tx_off += n;
	while ((m = t->tx) && t->tx_off >= msg_size(m)) {
		t->tx_off -= msg_size(m);
		t->tx = m->next;
		if (!t->tx)
			t->tx_tail = &t->tx;
		t->cb.sent(t->arg, m);
		if (t->closed)
			return;
	}
}

static void tx_flush(struct tcp_xprt *t)
{
	struct iovec iov[TX_IOV];
	ssize_t n;

	if (!t->up || t->err || t->hold.pos >= 0)
		return;
	while (t->tx && !t->closed) {
		n = weft_stream_writev(t->stream, iov, tx_iov(t, iov));
		if (n == -EAGAIN)
			break;
		if (n < 0) {
			fail_later(t, n);
			break;
		}
		tx_advance(t, n);
	}
	update_want(t);
}

static void hold_fired(void *arg)
{
	struct tcp_xprt *t = arg;

	enter(t);
	tx_flush(t);
	leave(t);
}

/* Return: true when the message is taken care of. */
static bool tx_fault(struct tcp_xprt *t, struct weft_msg *m)
{
	uint32_t ms = 0;
	int ret = WEFT_FAULT_ASYNC("rpc.send", &ms);

	if (ms)
		weft_timer_start(t->env, &t->hold, ms * WEFT_NS_PER_MS);
	if (ret < 0)
		fail_later(t, ret);
	if (!ret)
		return false;
	t->cb.sent(t->arg, m);
	return true;
}

static void tcp_send(struct weft_xprt *x, struct weft_msg *m)
{
	struct tcp_xprt *t = (struct tcp_xprt *)x;
	bool idle = !t->tx;

	enter(t);
	if (!tx_fault(t, m)) {
		m->next = NULL;
		*t->tx_tail = m;
		t->tx_tail = &m->next;
		/* Inside a callback of reading, answers are gathered; it flushes when it ends. */
		if (idle && t->depth == 1)
			tx_flush(t);
	}
	leave(t);
}

static void rx_deliver(struct tcp_xprt *t)
{
	struct weft_msg *m = t->rx;
	int ret = WEFT_FAULT("rpc.recv");

	t->rx = NULL;
	t->rx_off = 0;
	t->state = RX_HDR;
	if (ret) {
		weft_msg_free(m);
		if (ret < 0)
			fail_later(t, ret);
		return;
	}
	t->cb.received(t->arg, m);
}

/* The header is here. Return: 0 or -EPROTO. */
static int rx_header(struct tcp_xprt *t)
{
	int ret = weft_hdr_check(&t->hdr);
	char peer[80];

	if (!ret && t->hdr.nsegs)
		ret = -EBADMSG;
	if (ret) {
		weft_stream_name(t->stream, peer, sizeof(peer));
		weft_warn_peer("malformed message, connection closed",
			       "peer=%s err=%d magic=%x opcode=%u len=%u body=%u bulk=%u", peer,
			       -ret, le32_to_cpu(t->hdr.magic), le16_to_cpu(t->hdr.opcode),
			       le32_to_cpu(t->hdr.len), le16_to_cpu(t->hdr.body_len),
			       le32_to_cpu(t->hdr.bulk_len));
		return -EPROTO;
	}
	t->rx = weft_msg_alloc(le32_to_cpu(t->hdr.len) - sizeof(t->hdr));
	if (!t->rx)
		return -ENOMEM;
	t->rx->hdr = t->hdr;
	t->rx_off = 0;
	t->state = RX_TEXT;
	return 0;
}

/* Header and text are here. Return: 0 or a negative errno that ends the connection. */
static int rx_place(struct tcp_xprt *t)
{
	size_t len = le32_to_cpu(t->rx->hdr.bulk_len);
	int ret;

	t->rx_off = 0;
	if (!len) {
		rx_deliver(t);
		return 0;
	}
	t->state = RX_PLACE;
	ret = t->cb.place(t->arg, t->rx);
	if (ret == -ENOMEM) {
		weft_timer_start(t->env, &t->retry, PLACE_RETRY_MS * WEFT_NS_PER_MS);
		return 0;
	}
	if (!ret && t->rx->bulk.len != len)
		ret = -EPROTO;
	if (!ret)
		t->state = RX_BULK;
	return ret;
}

/* Copies from the small buffer. Return: true when @want bytes of the part are there. */
static bool rx_take(struct tcp_xprt *t, void *dst, size_t want)
{
	size_t n = t->rlen - t->rpos, need = want - t->rx_off;

	if (n > need)
		n = need;
	memcpy((char *)dst + t->rx_off, t->rbuf + t->rpos, n);
	t->rpos += n;
	t->rx_off += n;
	return t->rx_off == want;
}

static void rx_take_bulk(struct tcp_xprt *t)
{
	size_t n = weft_sg_write(&t->rx->bulk, t->rx_off, t->rbuf + t->rpos, t->rlen - t->rpos);

	t->rpos += n;
	t->rx_off += n;
	if (t->rx_off == t->rx->bulk.len)
		rx_deliver(t);
}

/* Works through what the small buffer holds. Return: 0 or a negative errno. */
static int rx_consume(struct tcp_xprt *t)
{
	int ret = 0;

	while (!ret && !t->closed && !t->err && !rx_paused(t)) {
		/* A part of length 0 is complete without any byte. */
		if (t->state == RX_TEXT && rx_take(t, t->rx->text, t->rx->text_len)) {
			ret = rx_place(t);
			continue;
		}
		if (t->rpos == t->rlen)
			break;
		if (t->state == RX_HDR && rx_take(t, &t->hdr, sizeof(t->hdr)))
			ret = rx_header(t);
		else if (t->state == RX_BULK)
			rx_take_bulk(t);
	}
	if (t->rpos == t->rlen)
		t->rpos = t->rlen = 0;
	return ret;
}

/* One read: into the rest of the bulk, if that is what comes, and the small buffer behind it. */
static ssize_t rx_read(struct tcp_xprt *t, size_t *asked)
{
	struct iovec iov[RX_IOV];
	size_t bulk = 0;
	int n = 0, i;
	ssize_t got;

	if (t->state == RX_BULK)
		n = weft_sg_iov(&t->rx->bulk, t->rx_off, iov, RX_IOV - 1);
	for (i = 0; i < n; i++)
		bulk += iov[i].iov_len;
	if (t->state != RX_BULK || t->rx_off + bulk == t->rx->bulk.len) {
		iov[n].iov_base = t->rbuf;
		iov[n++].iov_len = RBUF_LEN;
	}
	*asked = bulk + RBUF_LEN;
	got = weft_stream_readv(t->stream, iov, n);
	if (got <= 0)
		return got ? got : -EPIPE;
	if ((size_t)got > bulk)
		t->rlen = got - bulk;
	if (t->state == RX_BULK) {
		t->rx_off += (size_t)got < bulk ? (size_t)got : bulk;
		if (t->rx_off == t->rx->bulk.len)
			rx_deliver(t);
	}
	return got;
}

static void rx_run(struct tcp_xprt *t)
{
	ssize_t ret = rx_consume(t);
	size_t asked;
	int round;

	for (round = 0; round < RX_ROUNDS && !ret; round++) {
		if (t->closed || t->err || rx_paused(t))
			break;
		ret = rx_read(t, &asked);
		if (ret == -EAGAIN || t->closed) {
			ret = 0;
			break;
		}
		if (ret > 0) {
			bool drained = (size_t)ret < asked;

			ret = rx_consume(t);
			if (drained)
				break;
		}
	}
	if (t->closed)
		return;
	tx_flush(t);
	if (ret < 0)
		tell_broken(t, ret);
	else
		update_want(t);
}

static void retry_fired(void *arg)
{
	struct tcp_xprt *t = arg;
	int ret;

	enter(t);
	ret = t->state == RX_PLACE ? rx_place(t) : 0;
	if (ret)
		tell_broken(t, ret);
	else
		rx_run(t);
	leave(t);
}

static void stream_ready(void *arg, unsigned int events)
{
	struct tcp_xprt *t = arg;

	enter(t);
	if (events & WEFT_STREAM_OUT)
		tx_flush(t);
	if (!t->closed && (events & WEFT_STREAM_IN))
		rx_run(t);
	leave(t);
}

static void stream_connected(void *arg, int err)
{
	struct tcp_xprt *t = arg;

	enter(t);
	t->up = !err;
	if (err)
		t->told = true;
	t->cb.connected(t->arg, err);
	if (!t->closed && !err)
		tx_flush(t);
	leave(t);
}

static const struct weft_stream_cb stream_cb = {
	.connected = stream_connected,
	.ready = stream_ready,
};

static struct tcp_xprt *tcp_alloc(struct weft_env *env, const struct weft_xprt_cb *cb, void *arg)
{
	struct tcp_xprt *t = malloc(sizeof(*t));

	if (!t)
		return NULL;
	memset(t, 0, offsetof(struct tcp_xprt, rbuf));
	t->x.ops = &weft_xprt_tcp;
	t->env = env;
	t->cb = *cb;
	t->arg = arg;
	t->tx_tail = &t->tx;
	weft_timer_init(&t->retry, retry_fired, t);
	weft_timer_init(&t->hold, hold_fired, t);
	weft_timer_init(&t->fail, fail_fired, t);
	return t;
}

struct tcp_listener {
	struct weft_xprt_listener l;
	struct weft_listener *sock;
	weft_xprt_accepted accepted;
	void *arg;
};

static void tcp_accepted(void *arg, int fd)
{
	struct weft_xprt_handle h = { .ops = &weft_xprt_tcp, .fd = fd };
	struct tcp_listener *l = arg;

	l->accepted(l->arg, &h);
}

static int tcp_listen(struct weft_env *env, const char *host, uint16_t port,
		      weft_xprt_accepted accepted, void *arg, struct weft_xprt_listener **out)
{
	struct tcp_listener *l = malloc(sizeof(*l));
	int ret;

	if (!l)
		return -ENOMEM;
	*l = (struct tcp_listener){ .l.ops = &weft_xprt_tcp, .accepted = accepted, .arg = arg };
	ret = weft_env_listen(env, host, port, tcp_accepted, l, &l->sock);
	if (ret) {
		free(l);
		return ret;
	}
	*out = &l->l;
	return 0;
}

static uint16_t tcp_listen_port(struct weft_xprt_listener *l)
{
	return weft_listen_port(((struct tcp_listener *)l)->sock);
}

static void tcp_listen_close(struct weft_xprt_listener *l)
{
	weft_listen_close(((struct tcp_listener *)l)->sock);
	free(l);
}

static int tcp_connect(struct weft_env *env, const char *host, uint16_t port,
		       struct weft_pool *pool, const struct weft_xprt_cb *cb, void *arg,
		       struct weft_xprt **out)
{
	struct tcp_xprt *t = tcp_alloc(env, cb, arg);
	int ret;

	(void)pool; /* place() names memory for everything */
	if (!t)
		return -ENOMEM;
	ret = weft_stream_connect(env, host, port, &stream_cb, t, &t->stream);
	if (ret) {
		free(t);
		return ret;
	}
	*out = &t->x;
	return 0;
}

static int tcp_attach(struct weft_env *env, const struct weft_xprt_handle *h,
		      struct weft_pool *pool, const struct weft_xprt_cb *cb, void *arg,
		      struct weft_xprt **out)
{
	struct tcp_xprt *t = tcp_alloc(env, cb, arg);
	int ret;

	(void)pool;
	if (!t)
		return -ENOMEM;
	ret = weft_stream_attach(env, h->fd, &stream_cb, t, &t->stream);
	if (ret) {
		free(t);
		return ret;
	}
	t->up = true;
	update_want(t);
	*out = &t->x;
	return 0;
}

/* Gives back what is queued and half received, and frees when nobody is inside. */
static void tcp_end(struct tcp_xprt *t)
{
	struct weft_msg *m;

	t->closed = true;
	weft_timer_stop(t->env, &t->retry);
	weft_timer_stop(t->env, &t->hold);
	weft_timer_stop(t->env, &t->fail);
	weft_msg_free(t->rx);
	t->rx = NULL;
	enter(t);
	while ((m = t->tx)) {
		t->tx = m->next;
		t->cb.sent(t->arg, m);
	}
	leave(t);
}

static int tcp_detach(struct weft_xprt *x, struct weft_xprt_handle *h)
{
	struct tcp_xprt *t = (struct tcp_xprt *)x;
	bool idle = !t->tx && t->state == RX_HDR && !t->rx_off && t->rpos == t->rlen;
	int fd = weft_stream_detach(t->stream);

	if (fd >= 0 && (!idle || t->err)) {
		close(fd);
		fd = t->err ? t->err : -EPROTO;
	}
	tcp_end(t);
	*h = (struct weft_xprt_handle){ .ops = &weft_xprt_tcp, .fd = fd };
	return fd < 0 ? fd : 0;
}

static void tcp_discard(const struct weft_xprt_handle *h)
{
	close(h->fd);
}

static void tcp_stop_reading(struct weft_xprt *x, bool stop)
{
	struct tcp_xprt *t = (struct tcp_xprt *)x;

	if (t->stopped == stop)
		return;
	t->stopped = stop;
	/* What the small buffer still holds is worked through on the loop. */
	if (!stop)
		weft_timer_start(t->env, &t->retry, 0);
	update_want(t);
}

static void tcp_close(struct weft_xprt *x)
{
	struct tcp_xprt *t = (struct tcp_xprt *)x;

	weft_stream_close(t->stream);
	tcp_end(t);
}

static void tcp_peer(struct weft_xprt *x, char *buf, size_t len)
{
	weft_stream_name(((struct tcp_xprt *)x)->stream, buf, len);
}

const struct weft_xprt_ops weft_xprt_tcp = {
	.name = "tcp",
	.listen = tcp_listen,
	.listen_port = tcp_listen_port,
	.listen_close = tcp_listen_close,
	.connect = tcp_connect,
	.attach = tcp_attach,
	.detach = tcp_detach,
	.discard = tcp_discard,
	.send = tcp_send,
	.stop_reading = tcp_stop_reading,
	.close = tcp_close,
	.peer = tcp_peer,
};
