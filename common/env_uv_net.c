// SPDX-License-Identifier: Apache-2.0
/*
 * The environment's byte streams: non-blocking sockets watched by uv_poll.
 *
 * Happy path: listen, accept, and the owner reads and writes when it is told to. Connecting to a
 * name goes through getaddrinfo() on the thread pool first.
 *
 * Failures: a broken socket is reported as readable, and the read returns the reason; lack of
 * descriptors while accepting pauses accepting for a moment instead of spinning. A peer that
 * vanished without a word is noticed by TCP keepalive or TCP_USER_TIMEOUT.
 *
 * The memory of a stream lives until libuv's close callback; the owner sees it end in close.
 */
#include "common/env_uv_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sockaddr.h"

#define ACCEPT_PAUSE_MS 100
#define ACCEPT_BATCH 16

struct net_listener {
	struct weft_listener l;
	uv_poll_t poll;
	int fd;
	bool closed;
	struct weft_timer pause;
	void (*accepted)(void *arg, int fd);
	void *arg;
};

struct net_stream {
	struct weft_stream s;
	uv_poll_t poll;
	uv_getaddrinfo_t resolve;
	bool polling; /* poll is initialised */
	bool resolving;
	bool connecting;
	bool closed;
	int fd;
	unsigned int want;
	struct weft_stream_cb cb;
	void *arg;
};

/* A socket address of a numeric host ("": any), -EINVAL when it is a name. */
static int addr_numeric(const char *host, uint16_t port, struct sockaddr_storage *ss,
			socklen_t *len)
{
	int ret = weft_sockaddr(*host ? host : "0.0.0.0", port, ss);

	if (ret < 0)
		return ret;
	*len = ret;
	return 0;
}

static void tune_socket(int fd)
{
	int one = 1, idle = 5, intvl = 2, cnt = 3, user_ms = 12000;

	/* Failures only cost speed or later detection; a unix socketpair in tests has none. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &intvl, sizeof(intvl));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &cnt, sizeof(cnt));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof(user_ms));
}

static void listener_ready(uv_poll_t *h, int status, int events);

static void accept_resume(void *arg)
{
	struct net_listener *l = arg;

	uv_poll_start(&l->poll, UV_READABLE, listener_ready);
}

static void listener_ready(uv_poll_t *h, int status, int events)
{
	struct net_listener *l = h->data;
	int fd, i;

	(void)events;
	if (status < 0) {
		weft_err("listening socket broke", "err=%d", -status);
		return;
	}
	for (i = 0; i < ACCEPT_BATCH && !l->closed; i++) {
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			l->accepted(l->arg, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			weft_warn_peer("cannot accept for a moment", "err=%d", errno);
			uv_poll_stop(&l->poll);
			weft_timer_start(l->l.env, &l->pause, ACCEPT_PAUSE_MS * WEFT_NS_PER_MS);
			return;
		}
	}
}

int env_uv_listen(struct weft_env *env, const char *host, uint16_t port,
		  void (*accepted)(void *arg, int fd), void *arg, struct weft_listener **out)
{
	struct net_listener *l = calloc(1, sizeof(*l));
	struct sockaddr_storage ss;
	socklen_t len;
	int one = 1, ret;

	if (!l)
		return -ENOMEM;
	ret = addr_numeric(host, port, &ss, &len);
	if (ret)
		goto out_free;
	l->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0) {
		ret = -errno;
		goto out_free;
	}
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l->fd, (struct sockaddr *)&ss, len) || listen(l->fd, 1024)) {
		ret = -errno;
		goto out_close;
	}
	ret = uv_poll_init(&env_uv(env)->loop, &l->poll, l->fd);
	if (ret)
		goto out_close;
	l->l.env = env;
	l->poll.data = l;
	l->accepted = accepted;
	l->arg = arg;
	weft_timer_init(&l->pause, accept_resume, l);
	accept_resume(l);
	*out = &l->l;
	return 0;

out_close:
	close(l->fd);
out_free:
	free(l);
	return ret;
}

uint16_t env_uv_listen_port(struct weft_listener *wl)
{
	struct net_listener *l = (struct net_listener *)wl;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(l->fd, (struct sockaddr *)&ss, &len))
		return 0;
	if (ss.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
	return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

static void listener_closed(uv_handle_t *h)
{
	free(h->data);
}

void env_uv_listen_close(struct weft_listener *wl)
{
	struct net_listener *l = (struct net_listener *)wl;

	l->closed = true;
	weft_timer_stop(wl->env, &l->pause);
	uv_poll_stop(&l->poll);
	close(l->fd);
	uv_close((uv_handle_t *)&l->poll, listener_closed);
}

static void stream_event(uv_poll_t *h, int status, int events);

static void stream_arm(struct net_stream *s)
{
	int events = 0;

	if (s->connecting)
		events = UV_WRITABLE;
	if (s->want & WEFT_STREAM_IN)
		events |= UV_READABLE;
	if (s->want & WEFT_STREAM_OUT)
		events |= UV_WRITABLE;
	if (events)
		uv_poll_start(&s->poll, events, stream_event);
	else
		uv_poll_stop(&s->poll);
}

static void stream_connected(struct net_stream *s)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	s->connecting = false;
	uv_poll_stop(&s->poll);
	s->cb.connected(s->arg, -err);
}

static void stream_event(uv_poll_t *h, int status, int events)
{
	struct net_stream *s = h->data;
	unsigned int ev = 0;

	if (s->connecting) {
		stream_connected(s);
		return;
	}
	if (status < 0 || (events & UV_READABLE))
		ev |= WEFT_STREAM_IN;
	if (events & UV_WRITABLE)
		ev |= WEFT_STREAM_OUT;
	s->cb.ready(s->arg, ev);
	/* libuv has stopped the poll on an error: the owner must still get to read it. */
	if (status < 0 && !s->closed)
		stream_arm(s);
}

static int stream_start(struct net_stream *s, int fd)
{
	int ret = uv_poll_init(&env_uv(s->s.env)->loop, &s->poll, fd);

	if (ret)
		return ret;
	s->fd = fd;
	s->poll.data = s;
	s->polling = true;
	tune_socket(fd);
	return 0;
}

static int connect_to(struct net_stream *s, const struct sockaddr *sa, socklen_t len)
{
	int fd, ret;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, sa, len) && errno != EINPROGRESS) {
		ret = -errno;
		goto out_close;
	}
	ret = stream_start(s, fd);
	if (ret)
		goto out_close;
	s->connecting = true;
	stream_arm(s);
	return 0;

out_close:
	close(fd);
	return ret;
}

static void stream_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
	struct net_stream *s = req->data;
	int ret = status ? -EHOSTUNREACH : 0;

	s->resolving = false;
	if (s->closed) {
		uv_freeaddrinfo(res);
		free(s);
		return;
	}
	if (!ret)
		ret = connect_to(s, res->ai_addr, res->ai_addrlen);
	uv_freeaddrinfo(res);
	if (ret)
		s->cb.connected(s->arg, ret);
}

static struct net_stream *stream_alloc(struct weft_env *env, const struct weft_stream_cb *cb,
				       void *arg)
{
	struct net_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->s.env = env;
	s->fd = -1;
	s->cb = *cb;
	s->arg = arg;
	return s;
}

int env_uv_stream_connect(struct weft_env *env, const char *host, uint16_t port,
			  const struct weft_stream_cb *cb, void *arg, struct weft_stream **out)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct net_stream *s = stream_alloc(env, cb, arg);
	struct sockaddr_storage ss;
	char service[8];
	socklen_t len;
	int ret;

	if (!s)
		return -ENOMEM;
	if (!addr_numeric(host, port, &ss, &len)) {
		ret = connect_to(s, (struct sockaddr *)&ss, len);
	} else {
		snprintf(service, sizeof(service), "%u", port);
		s->resolve.data = s;
		ret = uv_getaddrinfo(&env_uv(env)->loop, &s->resolve, stream_resolved, host,
				     service, &hints);
		s->resolving = !ret;
	}
	if (ret) {
		free(s);
		return ret;
	}
	*out = &s->s;
	return 0;
}

int env_uv_stream_attach(struct weft_env *env, int fd, const struct weft_stream_cb *cb, void *arg,
			 struct weft_stream **out)
{
	struct net_stream *s = stream_alloc(env, cb, arg);
	int ret;

	if (!s)
		return -ENOMEM;
	ret = stream_start(s, fd);
	if (ret) {
		free(s);
		return ret;
	}
	*out = &s->s;
	return 0;
}

void env_uv_stream_want(struct weft_stream *ws, unsigned int events)
{
	struct net_stream *s = (struct net_stream *)ws;

	if (s->want == events)
		return;
	s->want = events;
	stream_arm(s);
}

ssize_t env_uv_stream_readv(struct weft_stream *ws, const struct iovec *iov, int niov)
{
	struct net_stream *s = (struct net_stream *)ws;
	ssize_t n;

	do {
		n = readv(s->fd, iov, niov);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t env_uv_stream_writev(struct weft_stream *ws, const struct iovec *iov, int niov)
{
	struct net_stream *s = (struct net_stream *)ws;
	struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = niov };
	ssize_t n;

	do {
		n = sendmsg(s->fd, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void env_uv_stream_name(struct weft_stream *ws, char *buf, size_t len)
{
	struct net_stream *s = (struct net_stream *)ws;
	char host[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_storage ss = { 0 };
	socklen_t slen = sizeof(ss);
	uint16_t port = 0;

	if (!getpeername(s->fd, (struct sockaddr *)&ss, &slen) && ss.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&ss)->sin6_addr, host, sizeof(host));
		port = ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
	} else if (ss.ss_family == AF_INET) {
		inet_ntop(AF_INET, &((struct sockaddr_in *)&ss)->sin_addr, host, sizeof(host));
		port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
	}
	snprintf(buf, len, "%s:%u", host, port);
}

static void stream_closed(uv_handle_t *h)
{
	free(h->data);
}

int env_uv_stream_detach(struct weft_stream *ws)
{
	struct net_stream *s = (struct net_stream *)ws;
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0), ret = fd < 0 ? -errno : fd;

	env_uv_stream_close(ws);
	return ret;
}

void env_uv_stream_close(struct weft_stream *ws)
{
	struct net_stream *s = (struct net_stream *)ws;

	s->closed = true;
	if (s->resolving) {
		uv_cancel((uv_req_t *)&s->resolve);
		return;
	}
	if (!s->polling) {
		free(s);
		return;
	}
	uv_poll_stop(&s->poll);
	close(s->fd);
	uv_close((uv_handle_t *)&s->poll, stream_closed);
}
