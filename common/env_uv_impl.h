/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the libuv environment share; nobody else includes this. */
#ifndef WEFT_COMMON_ENV_UV_IMPL_H
#define WEFT_COMMON_ENV_UV_IMPL_H

#include <pthread.h>
#include <uv.h>

#include "common/env_uv.h"
#include "common/timerq.h"

struct env_uv_ring;
struct env_uv_signal;

/**
 * struct env_uv - an environment on a libuv loop
 * @lock: protects @posts, @posts_tail, @stopping, @running and @self; all else belongs to the loop
 */
struct env_uv {
	struct weft_env env;
	uv_loop_t loop;
	uv_async_t async;
	uv_check_t check; /* runs posts of the loop's own thread behind its I/O */
	uv_idle_t idle;	  /* active while there are some: the loop does not sleep */
	uv_timer_t timer;
	struct weft_timerq timers;
	struct env_uv_ring *ring;
	struct env_uv_signal *signals;

	pthread_mutex_t lock;
	struct weft_post *posts;
	struct weft_post **posts_tail;
	bool stopping;
	bool running;	/* by @self */
	pthread_t self;
};

static inline struct env_uv *env_uv(struct weft_env *env)
{
	return (struct env_uv *)env;
}

/* env_uv_net.c */
int env_uv_listen(struct weft_env *env, const char *host, uint16_t port,
		  void (*accepted)(void *arg, int fd), void *arg, struct weft_listener **out);
uint16_t env_uv_listen_port(struct weft_listener *l);
void env_uv_listen_close(struct weft_listener *l);
int env_uv_stream_connect(struct weft_env *env, const char *host, uint16_t port,
			  const struct weft_stream_cb *cb, void *arg, struct weft_stream **out);
int env_uv_stream_attach(struct weft_env *env, int fd, const struct weft_stream_cb *cb, void *arg,
			 struct weft_stream **out);
int env_uv_stream_detach(struct weft_stream *s);
void env_uv_stream_want(struct weft_stream *s, unsigned int events);
ssize_t env_uv_stream_readv(struct weft_stream *s, const struct iovec *iov, int niov);
ssize_t env_uv_stream_writev(struct weft_stream *s, const struct iovec *iov, int niov);
void env_uv_stream_name(struct weft_stream *s, char *buf, size_t len);
void env_uv_stream_close(struct weft_stream *s);

/* env_uv_watch.c */
int env_uv_watch(struct weft_env *env, int fd, void (*ready)(void *arg), void *arg,
		 struct weft_watch **out);
void env_uv_watch_close(struct weft_watch *w);

/* env_uv_disk.c */
int env_uv_disk_open(struct weft_env *env, const char *path, unsigned int flags,
		     struct weft_disk **out);
int env_uv_disk_size(struct weft_disk *d, uint64_t *size);
void env_uv_disk_submit(struct weft_disk *d, struct weft_io *io);
int env_uv_disk_memory(struct weft_disk *d, void *mem, size_t len, bool gone);
void env_uv_disk_close(struct weft_disk *d);
void env_uv_ring_destroy(struct env_uv *e);

#endif
