// SPDX-License-Identifier: Apache-2.0
/*
 * Watches of the environment: descriptors of libraries, readable or not, by uv_poll.
 *
 * A descriptor that broke is reported as readable: its library says what is wrong with it. The
 * memory lives until libuv's close callback; the owner sees the watch end in close.
 */
#include "common/env_uv_impl.h"

#include <errno.h>
#include <stdlib.h>

struct uv_watch {
	struct weft_watch w;
	uv_poll_t poll;
	bool closed;
	void (*ready)(void *arg);
	void *arg;
};

static void watch_event(uv_poll_t *h, int status, int events)
{
	struct uv_watch *w = h->data;

	(void)events;
	w->ready(w->arg);
	/* libuv has stopped the poll on an error. */
	if (status < 0 && !w->closed)
		uv_poll_start(&w->poll, UV_READABLE, watch_event);
}

int env_uv_watch(struct weft_env *env, int fd, void (*ready)(void *arg), void *arg,
		 struct weft_watch **out)
{
	struct uv_watch *w = calloc(1, sizeof(*w));
	int ret;

	if (!w)
		return -ENOMEM;
	ret = uv_poll_init(&env_uv(env)->loop, &w->poll, fd);
	if (ret) {
		free(w);
		return ret;
	}
	w->w.env = env;
	w->poll.data = w;
	w->ready = ready;
	w->arg = arg;
	uv_poll_start(&w->poll, UV_READABLE, watch_event);
	*out = &w->w;
	return 0;
}

static void watch_closed(uv_handle_t *h)
{
	free(h->data);
}

void env_uv_watch_close(struct weft_watch *ww)
{
	struct uv_watch *w = (struct uv_watch *)ww;

	w->closed = true;
	uv_poll_stop(&w->poll);
	uv_close((uv_handle_t *)&w->poll, watch_closed);
}
