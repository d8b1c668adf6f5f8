// SPDX-License-Identifier: GPL-2.0
/*
 * The TCP transport: messages on a kernel socket, bulk behind them on the stream.
 *
 * Sending: wtcp_send() appends the request to the send list; whoever gets tx_mutex sends what is
 * there without waiting, usually the submitter itself. When the socket is full the write_space
 * callback lets tx_work go on. Bulk in pages is handed to the network by reference, where the
 * kernel can do that.
 *
 * Receiving: data_ready queues rx_work, which reads headers and texts through a small buffer, and
 * bulk straight into the memory of the request that waits for it.
 *
 * How it can fail: the peer closes, resets, or sends what is not a message; its host is silent:
 * for 10 s when nothing is under way (keepalive), for 8 s when it does not acknowledge what was
 * sent (wtcp_probe(), every 5 s). A host acknowledges what its server does not read, so a slow
 * server is no silent host; when its receive queue is full nothing is sent, and link.c's PING
 * decides. rx_work then reports it once, through weft_link_broken(), and nothing is read any more;
 * errors of sending also come to light there, as the socket is shut down.
 *
 * Locks: tx_mutex: the socket's sending side, @tx. rx_mutex: the receiving side, @rx. lock: the
 * send list and @closed. Order: rx_mutex, tx_mutex, fs->lock; tx_mutex, lock. Memory for sending is
 * allocated without recursion into file systems.
 */
#include <linux/in6.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tcp_states.h>
#include "kmod/net.h"
#include "proto/ops.h"

#define CONNECT_TIMEOUT (5 * HZ)
#define KEEPALIVE_IDLE 4 /* s; then KEEPALIVE_COUNT probes, each KEEPALIVE_EACH s after the last */
#define KEEPALIVE_EACH 2
#define KEEPALIVE_COUNT 3
#define UNACKED_MAX (8 * HZ)
#define RX_AHEAD 1024	   /* read with a header at most, so that bulk is not copied twice */
#define RX_BUF (WEFT_MSG_MAX + 4096) /* a message, and room to throw bulk away */
#define RX_BUDGET (8 << 20) /* bytes read in one go before others get their turn */

struct wtcp_tx {
	struct weft_rpc *rpc; /* being sent, with a reference */
	size_t msg_left;
	struct iov_iter bulk; /* what is left of it */
};

struct tcp_rx {
	u8 *buf; /* RX_BUF bytes */
	size_t have;
	struct weft_hdr *hdr;  /* in @buf while bulk is being read, else NULL */
	struct weft_rpc *rpc;  /* that the message answers, with a reference, or NULL */
	bool discard;	       /* nobody waits for the bulk */
	struct iov_iter bulk;
	size_t bulk_left;
	bool dead; /* reported as broken, or closed */
};

struct weft_tcp {
	struct weft_xprt base;
	struct socket *sock;

	struct mutex tx_mutex;
	struct wtcp_tx tx;
	bool tx_full;
	struct work_struct tx_work;

	spinlock_t lock;
	struct list_head xmit;
	bool closed;

	struct mutex rx_mutex;
	struct tcp_rx rx;
	struct work_struct rx_work;
	bool unacked; /* found by wtcp_probe() */

	void (*old_data_ready)(struct sock *sk);
	void (*old_state_change)(struct sock *sk);
	void (*old_write_space)(struct sock *sk);
};

static struct weft_tcp *wtcp_of(struct weft_xprt *x)
{
	return container_of(x, struct weft_tcp, base);
}

/* --- socket callbacks, in softirq */

static void wtcp_data_ready(struct sock *sk)
{
	struct weft_tcp *t;

	read_lock_bh(&sk->sk_callback_lock);
	t = sk->sk_user_data;
	if (t)
		queue_work(weft_io_wq, &t->rx_work);
	read_unlock_bh(&sk->sk_callback_lock);
}

static void wtcp_write_space(struct sock *sk)
{
	struct weft_tcp *t;

	read_lock_bh(&sk->sk_callback_lock);
	t = sk->sk_user_data;
	if (t && sk_stream_is_writeable(sk)) {
		clear_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		queue_work(weft_io_wq, &t->tx_work);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

static void wtcp_state_change(struct sock *sk)
{
	struct weft_tcp *t;

	read_lock_bh(&sk->sk_callback_lock);
	t = sk->sk_user_data;
	if (t) {
		wake_up_all(weft_link_wait(t->base.link));
		queue_work(weft_io_wq, &t->rx_work);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

/* --- sending */

/* Return: bytes sent or a negative errno; never waits for the network. */
static int wtcp_send_msg(struct weft_tcp *t, struct msghdr *msg, int flags)
{
	msg->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL | flags;
	return sock_sendmsg(t->sock, msg);
}

/* Takes the next request to be sent. */
static bool wtcp_tx_next(struct weft_tcp *t)
{
	struct weft_rpc *rpc;

	spin_lock(&t->lock);
	rpc = list_first_entry_or_null(&t->xmit, struct weft_rpc, xmit);
	if (rpc)
		list_del_init(&rpc->xmit);
	spin_unlock(&t->lock);
	t->tx.rpc = rpc;
	if (!rpc)
		return false;
	t->tx.msg_left = le32_to_cpu(rpc->msg->len);
	t->tx.bulk = rpc->out;
	return true;
}

static int wtcp_tx_text(struct weft_tcp *t, bool more)
{
	struct weft_rpc *rpc = t->tx.rpc;
	size_t len = le32_to_cpu(rpc->msg->len);
	struct kvec vec = {
		.iov_base = (u8 *)rpc->msg + len - t->tx.msg_left,
		.iov_len = t->tx.msg_left,
	};
	struct msghdr msg = { };
	int ret;

	iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, &vec, 1, vec.iov_len);
	ret = wtcp_send_msg(t, &msg, more ? MSG_MORE : 0);
	if (ret > 0)
		t->tx.msg_left -= ret;
	return ret;
}

static int wtcp_tx_bulk(struct weft_tcp *t)
{
	size_t left = iov_iter_count(&t->tx.bulk);
	struct msghdr msg = { .msg_iter = t->tx.bulk };
	int ret;

	ret = wtcp_send_msg(t, &msg, iov_iter_is_kvec(&t->tx.bulk) ? 0 : MSG_SPLICE_PAGES);
	if (ret > 0)
		iov_iter_advance(&t->tx.bulk, min_t(size_t, ret, left));
	return ret;
}

/* Sends until nothing is left or the socket is full. Return: 0, -EAGAIN, or what broke. */
static int wtcp_tx_all(struct weft_tcp *t)
{
	int ret;

	while (t->tx.rpc || wtcp_tx_next(t)) {
		if (t->tx.msg_left)
			ret = wtcp_tx_text(t, iov_iter_count(&t->tx.bulk));
		else if (iov_iter_count(&t->tx.bulk))
			ret = wtcp_tx_bulk(t);
		else
			ret = 1;
		if (ret <= 0)
			return ret ?: -EPIPE;
		if (t->tx.msg_left || iov_iter_count(&t->tx.bulk))
			continue;
		smp_store_release(&t->tx.rpc->sent_all, true);
		weft_rpc_put(t->tx.rpc);
		t->tx.rpc = NULL;
	}
	return 0;
}

/* Who fails to get the mutex may leave: the holder looks at the list again. */
static void wtcp_tx(struct weft_tcp *t)
{
	unsigned int nofs;
	int ret = 0;

	nofs = memalloc_nofs_save();
	do {
		if (!mutex_trylock(&t->tx_mutex))
			break;
		if (!t->tx_full && !READ_ONCE(t->closed))
			ret = wtcp_tx_all(t);
		t->tx_full = t->tx_full || ret == -EAGAIN;
		if (ret && ret != -EAGAIN) {
			kernel_sock_shutdown(t->sock, SHUT_RDWR);
			queue_work(weft_io_wq, &t->rx_work); /* finds the end of the stream */
		}
		mutex_unlock(&t->tx_mutex);
	} while (!ret && !READ_ONCE(t->tx_full) && !READ_ONCE(t->closed) &&
		 !list_empty_careful(&t->xmit));
	memalloc_nofs_restore(nofs);
}

static void wtcp_tx_work(struct work_struct *work)
{
	struct weft_tcp *t = container_of(work, struct weft_tcp, tx_work);

	mutex_lock(&t->tx_mutex);
	t->tx_full = false;
	mutex_unlock(&t->tx_mutex);
	wtcp_tx(t);
}

static void wtcp_send(struct weft_xprt *x, struct weft_rpc *rpc)
{
	struct weft_tcp *t = wtcp_of(x);

	spin_lock(&t->lock);
	if (t->closed) {
		spin_unlock(&t->lock);
		return;
	}
	weft_rpc_get(rpc);
	list_add_tail(&rpc->xmit, &t->xmit);
	spin_unlock(&t->lock);
	wtcp_tx(t);
}

static void wtcp_settle(struct weft_xprt *x, struct weft_rpc *rpc)
{
	struct weft_tcp *t = wtcp_of(x);

	mutex_lock(&t->tx_mutex);
	mutex_unlock(&t->tx_mutex);
}

/* The rest of a half-sent request comes from the copy, and its reply goes nowhere. */
static void wtcp_detach(struct weft_xprt *x, struct weft_rpc *rpc, const void *copy)
{
	size_t len = iov_iter_count(&rpc->out), sent;
	struct weft_tcp *t = wtcp_of(x);

	mutex_lock(&t->tx_mutex);
	if (copy) {
		rpc->copy_vec.iov_base = (void *)copy;
		rpc->copy_vec.iov_len = len;
		iov_iter_kvec(&rpc->out, ITER_SOURCE, &rpc->copy_vec, 1, len);
		if (t->tx.rpc == rpc) {
			sent = len - iov_iter_count(&t->tx.bulk);
			t->tx.bulk = rpc->out;
			iov_iter_advance(&t->tx.bulk, sent);
		}
	}
	mutex_unlock(&t->tx_mutex);

	mutex_lock(&t->rx_mutex);
	if (t->rx.rpc == rpc)
		t->rx.discard = true;
	mutex_unlock(&t->rx_mutex);
}

/* --- receiving, under rx_mutex */

/* Return: bytes read, 0 at the end of the stream, or a negative errno. */
static int wtcp_read(struct weft_tcp *t, struct iov_iter *iter, size_t len)
{
	struct msghdr msg = { .msg_iter = *iter };
	int ret;

	iov_iter_truncate(&msg.msg_iter, len);
	ret = sock_recvmsg(t->sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	return ret ?: -EPIPE;
}

static int wtcp_read_buf(struct weft_tcp *t, u8 *buf, size_t len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, len);
	return wtcp_read(t, &iter, len);
}

/* The first @n bytes of the buffer are done with. */
static void wtcp_rx_drop(struct tcp_rx *rx, size_t n)
{
	rx->have -= n;
	memmove(rx->buf, rx->buf + n, rx->have);
}

static int wtcp_rx_done(struct weft_tcp *t, struct weft_hdr *hdr)
{
	struct weft_rpc *rpc = t->rx.rpc;

	t->rx.rpc = NULL;
	t->rx.hdr = NULL;
	return rpc ? weft_link_received(t->base.link, rpc, hdr) : 0;
}

/* Bytes of bulk that came along with the text are already in the buffer. */
static int wtcp_rx_bulk_buffered(struct weft_tcp *t, size_t text)
{
	struct tcp_rx *rx = &t->rx;
	size_t n = min(rx->have - text, rx->bulk_left);

	if (!rx->discard && copy_to_iter(rx->buf + text, n, &rx->bulk) != n)
		return -EFAULT;
	rx->bulk_left -= n;
	/* The header stays in front until the message is complete. */
	rx->have -= n;
	memmove(rx->buf + text, rx->buf + text + n, rx->have - text);
	return 0;
}

/*
 * Looks at what is in the buffer. Return: 1 a message was taken, or its bulk is to be read now;
 * 0 more bytes are needed; or a negative errno.
 */
static int wtcp_rx_parse(struct weft_tcp *t)
{
	struct weft_hdr *hdr = (struct weft_hdr *)t->rx.buf;
	struct tcp_rx *rx = &t->rx;
	struct weft_rpc *rpc;
	size_t text;
	int ret;

	if (rx->have < sizeof(*hdr))
		return 0;
	ret = weft_hdr_check(hdr);
	if (ret)
		return ret;
	text = le32_to_cpu(hdr->len);
	if (rx->have < text)
		return 0;
	rpc = weft_link_message(t->base.link, hdr);
	if (IS_ERR(rpc))
		return PTR_ERR(rpc);
	rx->rpc = rpc;
	rx->hdr = hdr;
	rx->bulk_left = le32_to_cpu(hdr->bulk_len);
	/* Whoever detaches it from now on waits for rx_mutex. */
	rx->discard = !rpc || READ_ONCE(rpc->detached);
	if (!rx->discard)
		rx->bulk = rpc->in;
	ret = wtcp_rx_bulk_buffered(t, text);
	if (ret || rx->bulk_left)
		return ret ?: 1;
	ret = wtcp_rx_done(t, hdr);
	wtcp_rx_drop(rx, text);
	return ret ?: 1;
}

static int wtcp_rx_text(struct weft_tcp *t)
{
	struct weft_hdr *hdr = (struct weft_hdr *)t->rx.buf;
	struct tcp_rx *rx = &t->rx;
	size_t want = RX_AHEAD;
	int ret;

	if (rx->have >= sizeof(*hdr))
		want = max_t(size_t, le32_to_cpu(hdr->len), want);
	ret = wtcp_read_buf(t, rx->buf + rx->have, min_t(size_t, want, WEFT_MSG_MAX) - rx->have);
	if (ret > 0)
		rx->have += ret;
	return ret;
}

/* The text of the message, and only that, is in the buffer; the rest of its bulk is on the way. */
static int wtcp_rx_bulk(struct weft_tcp *t)
{
	struct tcp_rx *rx = &t->rx;
	u8 *scratch = rx->buf + rx->have;
	int ret, err;

	if (!rx->discard) {
		ret = wtcp_read(t, &rx->bulk, rx->bulk_left);
		if (ret > 0)
			iov_iter_advance(&rx->bulk, ret);
	} else {
		ret = wtcp_read_buf(t, scratch,
				   min_t(size_t, rx->bulk_left, RX_BUF - rx->have));
	}
	if (ret <= 0)
		return ret;
	weft_link_alive(t->base.link);
	rx->bulk_left -= ret;
	if (rx->bulk_left)
		return ret;
	err = wtcp_rx_done(t, (struct weft_hdr *)rx->buf);
	rx->have = 0;
	return err ?: ret;
}

/* Reads one piece. Return: bytes read, -EAGAIN if there is none, or what broke. */
static int wtcp_rx_step(struct weft_tcp *t)
{
	int ret, got;

	if (t->rx.hdr)
		return wtcp_rx_bulk(t);
	got = wtcp_rx_text(t);
	if (got <= 0)
		return got;
	do
		ret = wtcp_rx_parse(t);
	while (ret > 0 && !t->rx.hdr);
	return ret < 0 ? ret : got;
}

static void wtcp_rx_work(struct work_struct *work)
{
	struct weft_tcp *t = container_of(work, struct weft_tcp, rx_work);
	unsigned int nofs = memalloc_nofs_save();
	size_t done = 0;
	int ret = 0;

	mutex_lock(&t->rx_mutex);
	while (!t->rx.dead && done < RX_BUDGET) {
		ret = wtcp_rx_step(t);
		if (ret < 0)
			break;
		done += ret;
	}
	if (done)
		WRITE_ONCE(t->unacked, false);
	else if (ret == -EAGAIN && READ_ONCE(t->unacked))
		ret = -ETIMEDOUT;
	if (ret < 0 && ret != -EAGAIN)
		t->rx.dead = true;
	else
		ret = 0;
	mutex_unlock(&t->rx_mutex);
	memalloc_nofs_restore(nofs);
	if (ret)
		weft_link_broken(t->base.link, ret);
	else if (done >= RX_BUDGET)
		queue_work(weft_io_wq, &t->rx_work);
}

/* --- opening and closing */

static void wtcp_set_callbacks(struct weft_tcp *t)
{
	struct sock *sk = t->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	t->old_data_ready = sk->sk_data_ready;
	t->old_state_change = sk->sk_state_change;
	t->old_write_space = sk->sk_write_space;
	sk->sk_user_data = t;
	sk->sk_data_ready = wtcp_data_ready;
	sk->sk_state_change = wtcp_state_change;
	sk->sk_write_space = wtcp_write_space;
	write_unlock_bh(&sk->sk_callback_lock);
}

static void wtcp_restore_callbacks(struct weft_tcp *t)
{
	struct sock *sk = t->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = NULL;
	sk->sk_data_ready = t->old_data_ready;
	sk->sk_state_change = t->old_state_change;
	sk->sk_write_space = t->old_write_space;
	write_unlock_bh(&sk->sk_callback_lock);
}

/*
 * A user's socket lock may be held over a page fault into this file system; ours never is. Lockdep
 * has to know that they are not the same.
 */
static void wtcp_reclassify(struct socket *sock)
{
	static struct lock_class_key slock_key[2], lock_key[2];
	struct sock *sk = sock->sk;

	if (sk->sk_family == AF_INET6)
		sock_lock_init_class_and_name(sk, "slock-AF_INET6-WEFT", &slock_key[1],
					      "sk_lock-AF_INET6-WEFT", &lock_key[1]);
	else
		sock_lock_init_class_and_name(sk, "slock-AF_INET-WEFT", &slock_key[0],
					      "sk_lock-AF_INET-WEFT", &lock_key[0]);
}

static void wtcp_set_options(struct socket *sock)
{
	struct sock *sk = sock->sk;

	sk->sk_allocation = GFP_NOFS;
	sock_no_task_frag(sk);
	sock_no_linger(sk); /* nothing that is closed has anything left to say */
	tcp_sock_set_nodelay(sk);
	sock_set_keepalive(sk);
	tcp_sock_set_keepidle(sk, KEEPALIVE_IDLE);
	tcp_sock_set_keepintvl(sk, KEEPALIVE_EACH);
	tcp_sock_set_keepcnt(sk, KEEPALIVE_COUNT);
}

static bool wtcp_settled(struct weft_tcp *t)
{
	int state = READ_ONCE(t->sock->sk->sk_state);

	return state != TCP_SYN_SENT && state != TCP_SYN_RECV;
}

/* Connects without blocking in the network, so that the wait can be ended by us. */
static int wtcp_connect(struct weft_tcp *t, const struct sockaddr_storage *addr)
{
	size_t len = addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
						   sizeof(struct sockaddr_in);
	struct weft_link *link = t->base.link;
	struct sockaddr_storage to = *addr;
	struct sock *sk = t->sock->sk;
	int ret;

	ret = kernel_connect(t->sock, (struct sockaddr_unsized *)&to, len, O_NONBLOCK);
	if (ret != -EINPROGRESS)
		return ret;
	wait_event_timeout(*weft_link_wait(link), wtcp_settled(t) || weft_link_stopping(link),
			   CONNECT_TIMEOUT);
	if (READ_ONCE(sk->sk_state) == TCP_ESTABLISHED)
		return 0;
	return sock_error(sk) ?: -ETIMEDOUT;
}

static int wtcp_open(struct weft_link *link, const struct sockaddr_storage *addr,
		    struct weft_xprt **out)
{
	struct weft_tcp *t = kzalloc(sizeof(*t), GFP_NOFS);
	unsigned int nofs;
	int ret;

	if (!t)
		return -ENOMEM;
	weft_xprt_init(&t->base, &weft_tcp_ops, link);
	mutex_init(&t->tx_mutex);
	mutex_init(&t->rx_mutex);
	spin_lock_init(&t->lock);
	INIT_LIST_HEAD(&t->xmit);
	INIT_WORK(&t->tx_work, wtcp_tx_work);
	INIT_WORK(&t->rx_work, wtcp_rx_work);
	t->rx.buf = kvmalloc(RX_BUF, GFP_NOFS);
	if (!t->rx.buf) {
		weft_xprt_put(&t->base);
		return -ENOMEM;
	}
	nofs = memalloc_nofs_save();
	ret = sock_create_kern(weft_link_net(link), addr->ss_family, SOCK_STREAM, IPPROTO_TCP,
			       &t->sock);
	memalloc_nofs_restore(nofs);
	if (ret) {
		weft_xprt_put(&t->base);
		return ret;
	}
	wtcp_reclassify(t->sock);
	wtcp_set_options(t->sock);
	wtcp_set_callbacks(t);
	ret = wtcp_connect(t, addr);
	if (ret) {
		t->base.ops->close(&t->base);
		weft_xprt_put(&t->base);
		return ret;
	}
	*out = &t->base;
	return 0;
}

/*
 * What was sent is not acknowledged, though sent again, and nothing else is heard of that host.
 * An idle one is heard every KEEPALIVE_IDLE, so most of that time is the retransmission's.
 */
static bool wtcp_unacked(const struct sock *sk)
{
	u32 silent = tcp_jiffies32 - READ_ONCE(tcp_sk(sk)->rcv_tstamp);

	return READ_ONCE(inet_csk(sk)->icsk_retransmits) && silent > UNACKED_MAX;
}

/* TCP_USER_TIMEOUT would do, if it did not also run while a server's receive queue is full. */
static void wtcp_probe(struct weft_xprt *x)
{
	struct weft_tcp *t = wtcp_of(x);

	spin_lock(&t->lock);
	if (!t->closed && wtcp_unacked(t->sock->sk)) {
		WRITE_ONCE(t->unacked, true);
		queue_work(weft_io_wq, &t->rx_work);
	}
	spin_unlock(&t->lock);
}

static void wtcp_close(struct weft_xprt *x)
{
	struct weft_tcp *t = wtcp_of(x);
	struct weft_rpc *rpc;

	wtcp_restore_callbacks(t);
	kernel_sock_shutdown(t->sock, SHUT_RDWR);
	spin_lock(&t->lock);
	WRITE_ONCE(t->closed, true);
	spin_unlock(&t->lock);
	cancel_work_sync(&t->tx_work);

	/* Waits for submitters that are just sending; later ones see @closed. */
	mutex_lock(&t->tx_mutex);
	weft_rpc_put(t->tx.rpc);
	t->tx.rpc = NULL;
	while ((rpc = list_first_entry_or_null(&t->xmit, struct weft_rpc, xmit))) {
		list_del_init(&rpc->xmit);
		weft_rpc_put(rpc);
	}
	mutex_unlock(&t->tx_mutex);

	mutex_lock(&t->rx_mutex);
	t->rx.dead = true;
	weft_rpc_put(t->rx.rpc);
	t->rx.rpc = NULL;
	mutex_unlock(&t->rx_mutex);
	cancel_work_sync(&t->rx_work);
	sock_release(t->sock);
	t->sock = NULL;
}

static void wtcp_free(struct weft_xprt *x)
{
	struct weft_tcp *t = wtcp_of(x);

	kvfree(t->rx.buf);
	kfree(t);
}

const struct weft_xprt_ops weft_tcp_ops = {
	.name = "tcp",
	.rail = WEFT_RAIL_TCP,
	.owner = THIS_MODULE,
	.open = wtcp_open,
	.send = wtcp_send,
	.settle = wtcp_settle,
	.detach = wtcp_detach,
	.probe = wtcp_probe,
	.close = wtcp_close,
	.free = wtcp_free,
};
