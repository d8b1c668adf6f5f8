/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of a daemon's core: clock, timers, random numbers, work off the loop, messages
 * between loops, byte streams and disks.
 *
 * A core (mds, oss, mgmt, the rpc layer) does no I/O of its own: everything it learns about the
 * world comes in through the callbacks of one struct weft_env. common/env_uv.h makes one on a
 * libuv loop; another implementation can run a whole cluster under virtual time, because nothing
 * in this header names a library's type.
 *
 * Protection: an env belongs to the one thread that runs it. Every function is called on that
 * thread and every callback arrives there, except where "Context: any thread" is written.
 * No callback is ever called from inside the function that asked for it.
 */
#ifndef WEFT_COMMON_ENV_H
#define WEFT_COMMON_ENV_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#define WEFT_NS_PER_MS 1000000ULL
#define WEFT_NS_PER_S 1000000000ULL

struct weft_env;

/**
 * struct weft_stream - a byte stream; implementations embed it
 * @env: the environment that serves it
 */
struct weft_stream {
	struct weft_env *env;
};

/**
 * struct weft_listener - a listening socket; implementations embed it
 * @env: the environment that serves it
 */
struct weft_listener {
	struct weft_env *env;
};

/**
 * struct weft_watch - a watched descriptor; implementations embed it
 * @env: the environment that serves it
 */
struct weft_watch {
	struct weft_env *env;
};

/**
 * struct weft_disk - an open file or block device; implementations embed it
 * @env: the environment that serves it
 */
struct weft_disk {
	struct weft_env *env;
};

/**
 * struct weft_timer - a one-shot timer, embedded by its owner
 * @expires: monotonic time in ns at which it fires
 * @pos: -1 when it is not armed
 * @cb: called on the loop when it fires (it may be started again from there)
 * @arg: argument of @cb
 *
 * May be freed as soon as it is stopped or has fired.
 */
struct weft_timer {
	uint64_t expires;
	int pos;
	void (*cb)(void *arg);
	void *arg;
	struct weft_timer *child, *sibling, *prev; /* private */
};

/**
 * struct weft_post - a message to a loop, embedded by its owner
 * @next: link of the queue, private
 * @cb: called once on the receiving loop; the post may be freed or sent again from there
 * @arg: argument of @cb
 */
struct weft_post {
	struct weft_post *next;
	void (*cb)(void *arg);
	void *arg;
};

/**
 * struct weft_work - a piece of blocking work, embedded by its owner
 * @fn: runs on a worker thread
 * @done: runs on the loop after @fn; the work may be freed or queued again from there
 * @arg: argument of both
 * @impl: private to the implementation
 */
struct weft_work {
	void (*fn)(void *arg);
	void (*done)(void *arg);
	void *arg;
	uint64_t impl[24];
};

enum weft_io_op {
	WEFT_IO_READ,
	WEFT_IO_WRITE,
	WEFT_IO_FDATASYNC,
	WEFT_IO_PUNCH, /* give [off, off + len) back to the device; it reads as zeros */
	WEFT_IO_ALLOC, /* reserve [off, off + len), growing the file when needed */
};

/**
 * struct weft_io - one disk request, embedded by its owner
 * @op: what to do
 * @iov: memory of a read or write; the array may be changed by the implementation
 * @niov: entries of @iov, at most WEFT_IO_MAX_IOV
 * @off: byte offset
 * @len: byte count of PUNCH and ALLOC (READ and WRITE take it from @iov)
 * @done: called on the loop with the number of bytes moved or a negative errno. A write is never
 *	short; a read is short only at the end of the file.
 * @arg: for the owner
 */
struct weft_io {
	enum weft_io_op op;
	struct iovec *iov;
	unsigned int niov;
	uint64_t off;
	uint64_t len;
	void (*done)(struct weft_io *io, ssize_t res);
	void *arg;
	/* private */
	struct weft_disk *disk;
	struct weft_io *next;
	size_t moved;
	ssize_t res;
};

#define WEFT_IO_MAX_IOV 1024

#define WEFT_DISK_CREATE 1u /* create the file when it is absent */
#define WEFT_DISK_DIRECT 2u /* O_DIRECT: memory, offset and length are multiples of 4096 */
#define WEFT_DISK_RDONLY 4u
#define WEFT_DISK_EXCL 8u /* with CREATE: refuse an existing file */

#define WEFT_STREAM_IN 1u
#define WEFT_STREAM_OUT 2u

/**
 * struct weft_stream_cb - what a stream tells its owner
 * @connected: the outcome of weft_stream_connect(): 0 or a negative errno (then close it)
 * @ready: WEFT_STREAM_IN and/or WEFT_STREAM_OUT that were asked for by weft_stream_want().
 *	An error or end of file is reported as WEFT_STREAM_IN: the read returns it.
 */
struct weft_stream_cb {
	void (*connected)(void *arg, int err);
	void (*ready)(void *arg, unsigned int events);
};

/**
 * struct weft_env_ops - what an implementation provides
 *
 * The functions are those of the inline wrappers below, which document them.
 */
struct weft_env_ops {
	uint64_t (*now)(struct weft_env *env);
	void (*wall)(struct weft_env *env, struct timespec *ts);
	void (*random)(struct weft_env *env, void *buf, size_t len);
	void (*timer_start)(struct weft_env *env, struct weft_timer *t, uint64_t delay_ns);
	void (*timer_stop)(struct weft_env *env, struct weft_timer *t);
	void (*work)(struct weft_env *env, struct weft_work *w);
	void (*post)(struct weft_env *env, struct weft_post *p);
	void (*stop)(struct weft_env *env);

	int (*listen)(struct weft_env *env, const char *host, uint16_t port,
		      void (*accepted)(void *arg, int fd), void *arg, struct weft_listener **out);
	uint16_t (*listen_port)(struct weft_listener *l);
	void (*listen_close)(struct weft_listener *l);

	int (*stream_connect)(struct weft_env *env, const char *host, uint16_t port,
			      const struct weft_stream_cb *cb, void *arg,
			      struct weft_stream **out);
	int (*stream_attach)(struct weft_env *env, int fd, const struct weft_stream_cb *cb,
			     void *arg, struct weft_stream **out);
	int (*stream_detach)(struct weft_stream *s);
	void (*stream_want)(struct weft_stream *s, unsigned int events);
	ssize_t (*stream_readv)(struct weft_stream *s, const struct iovec *iov, int niov);
	ssize_t (*stream_writev)(struct weft_stream *s, const struct iovec *iov, int niov);
	void (*stream_name)(struct weft_stream *s, char *buf, size_t len);
	void (*stream_close)(struct weft_stream *s);

	int (*watch)(struct weft_env *env, int fd, void (*ready)(void *arg), void *arg,
		     struct weft_watch **out);
	void (*watch_close)(struct weft_watch *w);

	int (*disk_open)(struct weft_env *env, const char *path, unsigned int flags,
			 struct weft_disk **out);
	int (*disk_size)(struct weft_disk *d, uint64_t *size);
	void (*disk_submit)(struct weft_disk *d, struct weft_io *io);
	int (*disk_memory)(struct weft_disk *d, void *mem, size_t len, bool gone);
	void (*disk_close)(struct weft_disk *d);
};

/**
 * struct weft_env - one environment; implementations embed it
 * @ops: the implementation
 */
struct weft_env {
	const struct weft_env_ops *ops;
};

/**
 * weft_env_now() - monotonic clock
 * @env: the environment
 *
 * Return: nanoseconds since some fixed moment.
 */
static inline uint64_t weft_env_now(struct weft_env *env)
{
	return env->ops->now(env);
}

/**
 * weft_env_wall() - wall clock (CLOCK_REALTIME)
 * @env: the environment
 * @ts: filled in
 */
static inline void weft_env_wall(struct weft_env *env, struct timespec *ts)
{
	env->ops->wall(env, ts);
}

/**
 * weft_env_random() - unpredictable bytes (a seeded sequence under virtual time)
 * @env: the environment
 * @buf: filled in
 * @len: bytes wanted
 */
static inline void weft_env_random(struct weft_env *env, void *buf, size_t len)
{
	env->ops->random(env, buf, len);
}

/**
 * weft_timer_init() - prepare a timer
 * @t: the timer
 * @cb: called when it fires
 * @arg: argument of @cb
 */
static inline void weft_timer_init(struct weft_timer *t, void (*cb)(void *arg), void *arg)
{
	t->pos = -1;
	t->cb = cb;
	t->arg = arg;
}

/**
 * weft_timer_start() - arm a timer, or move one that is armed
 * @env: the environment
 * @t: the timer
 * @delay_ns: fires after this time, never inside this call
 */
static inline void weft_timer_start(struct weft_env *env, struct weft_timer *t, uint64_t delay_ns)
{
	env->ops->timer_start(env, t, delay_ns);
}

/**
 * weft_timer_stop() - disarm a timer (harmless when it is not armed)
 * @env: the environment
 * @t: the timer
 */
static inline void weft_timer_stop(struct weft_env *env, struct weft_timer *t)
{
	env->ops->timer_stop(env, t);
}

/**
 * weft_env_work() - run blocking work on a worker thread
 * @env: the environment
 * @w: the work, with fn, done and arg filled in; the caller keeps it until done
 */
static inline void weft_env_work(struct weft_env *env, struct weft_work *w)
{
	env->ops->work(env, w);
}

/**
 * weft_env_post() - run a callback on this loop
 * @env: the loop that shall run it
 * @p: the message with cb and arg filled in; the caller keeps it until cb runs
 *
 * Posts run in the order in which they were made. A post made before the loop ends is run.
 * Context: any thread.
 */
static inline void weft_env_post(struct weft_env *env, struct weft_post *p)
{
	env->ops->post(env, p);
}

/**
 * weft_env_stop() - make the loop's run function return soon
 * @env: the environment
 *
 * Context: any thread.
 */
static inline void weft_env_stop(struct weft_env *env)
{
	env->ops->stop(env);
}

/**
 * weft_env_listen() - accept connections
 * @env: the environment
 * @host: address to bind, "" or "0.0.0.0" for any
 * @port: port, 0 for a free one (see weft_listen_port())
 * @accepted: called for each new connection with a descriptor that the callee then owns
 *	(give it to weft_stream_attach() of any environment, or close it)
 * @arg: argument of @accepted
 * @out: the listener
 *
 * Return: 0 or a negative errno.
 */
static inline int weft_env_listen(struct weft_env *env, const char *host, uint16_t port,
				  void (*accepted)(void *arg, int fd), void *arg,
				  struct weft_listener **out)
{
	return env->ops->listen(env, host, port, accepted, arg, out);
}

/**
 * weft_stream_connect() - begin to connect
 * @env: the environment
 * @host: numeric address or name
 * @port: port
 * @cb: callbacks; connected() tells the outcome
 * @arg: argument of the callbacks
 * @out: the stream; it exists until weft_stream_close(), also when connecting fails
 *
 * Return: 0 or a negative errno (then there is no stream and no callback).
 */
static inline int weft_stream_connect(struct weft_env *env, const char *host, uint16_t port,
				      const struct weft_stream_cb *cb, void *arg,
				      struct weft_stream **out)
{
	return env->ops->stream_connect(env, host, port, cb, arg, out);
}

/**
 * weft_stream_attach() - make a stream of a connected descriptor
 * @env: the environment that shall serve it
 * @fd: from an accepted() callback or weft_stream_detach(); owned by the stream on success
 * @cb: callbacks
 * @arg: argument of the callbacks
 * @out: the stream
 *
 * Return: 0 or a negative errno.
 */
static inline int weft_stream_attach(struct weft_env *env, int fd, const struct weft_stream_cb *cb,
				     void *arg, struct weft_stream **out)
{
	return env->ops->stream_attach(env, fd, cb, arg, out);
}

/**
 * weft_listen_port() - the port a listener got
 * @l: the listener
 *
 * Return: port in host order.
 */
static inline uint16_t weft_listen_port(struct weft_listener *l)
{
	return l->env->ops->listen_port(l);
}

/**
 * weft_listen_close() - stop accepting and free the listener
 * @l: the listener
 */
static inline void weft_listen_close(struct weft_listener *l)
{
	l->env->ops->listen_close(l);
}

/**
 * weft_stream_detach() - take the descriptor out of a stream to attach it to another loop
 * @s: the stream; it is freed
 *
 * Return: the descriptor or a negative errno (the stream is freed all the same).
 */
static inline int weft_stream_detach(struct weft_stream *s)
{
	return s->env->ops->stream_detach(s);
}

/**
 * weft_stream_want() - say which readiness the owner waits for
 * @s: the stream
 * @events: WEFT_STREAM_IN | WEFT_STREAM_OUT; replaces what was asked for before; ready() is
 *	called again and again until it is asked for no longer
 */
static inline void weft_stream_want(struct weft_stream *s, unsigned int events)
{
	s->env->ops->stream_want(s, events);
}

/**
 * weft_stream_readv() - read what is there, without waiting
 * @s: the stream
 * @iov: memory to fill
 * @niov: entries of @iov, at most WEFT_IO_MAX_IOV
 *
 * Return: bytes read, 0 at the end of the stream, -EAGAIN when there is nothing, another negative
 * errno when the stream is broken.
 */
static inline ssize_t weft_stream_readv(struct weft_stream *s, const struct iovec *iov, int niov)
{
	return s->env->ops->stream_readv(s, iov, niov);
}

/**
 * weft_stream_writev() - write what fits, without waiting
 * @s: the stream
 * @iov: memory to send
 * @niov: entries of @iov, at most WEFT_IO_MAX_IOV
 *
 * Return: bytes taken (possibly fewer than given), -EAGAIN when nothing fits, another negative
 * errno when the stream is broken.
 */
static inline ssize_t weft_stream_writev(struct weft_stream *s, const struct iovec *iov, int niov)
{
	return s->env->ops->stream_writev(s, iov, niov);
}

/**
 * weft_stream_name() - the peer's address for messages
 * @s: the stream
 * @buf: filled with "host:port"
 * @len: size of @buf
 */
static inline void weft_stream_name(struct weft_stream *s, char *buf, size_t len)
{
	s->env->ops->stream_name(s, buf, len);
}

/**
 * weft_stream_close() - close and free a stream; no callback comes after this
 * @s: the stream
 */
static inline void weft_stream_close(struct weft_stream *s)
{
	s->env->ops->stream_close(s);
}

/**
 * weft_env_watch() - be told when a descriptor of a library is readable
 * @env: the environment
 * @fd: the descriptor; made non-blocking, stays the caller's, closed after weft_watch_close()
 * @ready: called again and again as long as there is something to read
 * @arg: argument of @ready
 * @out: the watch
 *
 * For devices that no environment of virtual time has (the completion channels of RDMA).
 *
 * Return: 0, -EOPNOTSUPP when this environment has no descriptors, or another negative errno.
 */
static inline int weft_env_watch(struct weft_env *env, int fd, void (*ready)(void *arg), void *arg,
				 struct weft_watch **out)
{
	return env->ops->watch ? env->ops->watch(env, fd, ready, arg, out) : -EOPNOTSUPP;
}

/**
 * weft_watch_close() - end a watch; no callback comes after this
 * @w: the watch
 */
static inline void weft_watch_close(struct weft_watch *w)
{
	w->env->ops->watch_close(w);
}

/**
 * weft_disk_open() - open a data file or block device
 * @env: the environment that shall serve its requests
 * @path: path
 * @flags: WEFT_DISK_*
 * @out: the disk
 *
 * Return: 0 or a negative errno (-EBUSY when another process has it open through us).
 */
static inline int weft_disk_open(struct weft_env *env, const char *path, unsigned int flags,
				 struct weft_disk **out)
{
	return env->ops->disk_open(env, path, flags, out);
}

/**
 * weft_disk_size() - size of the file or device
 * @d: the disk
 * @size: bytes
 *
 * Return: 0 or a negative errno.
 */
static inline int weft_disk_size(struct weft_disk *d, uint64_t *size)
{
	return d->env->ops->disk_size(d, size);
}

/**
 * weft_disk_submit() - begin a disk request
 * @d: the disk
 * @io: the request; the caller keeps it and its memory until done() is called
 *
 * Requests run in any order and at once; order them by waiting for done(). It never fails here:
 * errors come through done().
 */
static inline void weft_disk_submit(struct weft_disk *d, struct weft_io *io)
{
	d->env->ops->disk_submit(d, io);
}

/**
 * weft_disk_memory() - register memory for requests of a disk, or forget it
 * @d: the disk
 * @mem: memory that requests will often use, pages that stay
 * @len: its length
 * @gone: forget it; before it is unmapped, and no request uses it any more
 *
 * A request whose memory is one piece of such memory costs the kernel less: its pages are pinned
 * already. Closing the disk forgets all.
 *
 * Return: 0, -EOPNOTSUPP or another negative errno: requests work all the same.
 */
static inline int weft_disk_memory(struct weft_disk *d, void *mem, size_t len, bool gone)
{
	return d->env->ops->disk_memory ? d->env->ops->disk_memory(d, mem, len, gone)
					: -EOPNOTSUPP;
}

/**
 * weft_disk_close() - close and free a disk; the caller has no request under way
 * @d: the disk
 */
static inline void weft_disk_close(struct weft_disk *d)
{
	d->env->ops->disk_close(d);
}

#endif
