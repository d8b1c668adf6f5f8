/* SPDX-License-Identifier: GPL-2.0 */
/*
 * <net/sock.h> as the newest kernel has it, and sock_no_task_frag(): a socket that is used while
 * the caller may be inside a send of its own (a page fault in its data) keeps off the task's page
 * fragment. Older kernels see that by the socket's allocation flags (no __GFP_FS).
 *
 * sock_sendmsg() with MSG_SPLICE_PAGES takes the pages of an iterator by reference. Older kernels
 * take one page at a time; the socket is locked for a batch of them, and acknowledgements are taken
 * in between. What is sent and what fails is as with the original: a number of bytes, or an error
 * if there was none.
 */
#ifndef WEFT_COMPAT_NET_SOCK_H
#define WEFT_COMPAT_NET_SOCK_H

#include_next <net/sock.h>

static inline void sock_no_task_frag(struct sock *sk)
{
#ifdef WEFT_COMPAT_TASK_FRAG_FLAG
	sk->sk_use_task_frag = false;
#endif
}

#ifdef WEFT_COMPAT_SPLICE_PAGES_SENDPAGE
#include <linux/mm.h>
#include <linux/socket.h>
#include <linux/uio.h>

#ifndef MSG_SPLICE_PAGES
#define MSG_SPLICE_PAGES 0x8000000
#endif

#define WEFT_COMPAT_BATCH 16

/* Sends pages of the iterator, which move on. Return: bytes sent, -EAGAIN or another error. */
static inline int weft_compat_send_batch(struct socket *sock, struct iov_iter *iter, int flags)
{
	struct page *pages[WEFT_COMPAT_BATCH];
	ssize_t got, left;
	int i, n, ret = 0, sent = 0;
	size_t off, len;

	got = iov_iter_get_pages2(iter, pages, iov_iter_count(iter), WEFT_COMPAT_BATCH, &off);
	if (got <= 0)
		return got ?: -EFAULT;
	n = DIV_ROUND_UP(off + got, PAGE_SIZE);
	left = got;
	lock_sock(sock->sk);
	for (i = 0; i < n; i++, off = 0) {
		bool last = i == n - 1 && !iov_iter_count(iter);

		len = min_t(size_t, left, PAGE_SIZE - off);
		if (ret >= 0 && left == got - sent) {
			ret = kernel_sendpage_locked(sock->sk, pages[i], off, len,
						     flags | (last ? 0 : MSG_MORE |
								     MSG_SENDPAGE_NOTLAST));
			sent += max(ret, 0);
		}
		left -= len;
		put_page(pages[i]);
	}
	release_sock(sock->sk);
	iov_iter_revert(iter, got - sent);
	return sent ?: ret;
}

static inline int weft_compat_send_pages(struct socket *sock, struct msghdr *msg)
{
	int flags = msg->msg_flags & ~MSG_SPLICE_PAGES, ret = 0, sent = 0;

	while (iov_iter_count(&msg->msg_iter)) {
		ret = weft_compat_send_batch(sock, &msg->msg_iter, flags);
		if (ret <= 0)
			break;
		sent += ret;
	}
	return sent ?: ret;
}

static inline int weft_compat_sendmsg(struct socket *sock, struct msghdr *msg)
{
	if (msg->msg_flags & MSG_SPLICE_PAGES)
		return weft_compat_send_pages(sock, msg);
	return sock_sendmsg(sock, msg);
}
#define sock_sendmsg(sock, msg) weft_compat_sendmsg(sock, msg)
#endif

#endif
