// SPDX-License-Identifier: Apache-2.0
/*
 * The environment on libuv: clock, timers, posts, work, signals, threads.
 *
 * One uv_timer follows the earliest of our own timers, so that these need no close callback and
 * may be freed when stopped. Posts are queued under a lock; those of other threads are announced by
 * one uv_async, those of the loop's own thread need no system call: they run behind the I/O of the
 * round. Work goes to libuv's thread pool, which all loops of the process share; it is sized
 * for several targets that wait for their disks at the same time.
 *
 * Failures: only creation can fail (descriptors, memory); random numbers come from getrandom(),
 * which cannot fail after boot for these sizes (abort() if it does).
 */
#include "common/env_uv_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"

#define WORK_THREADS "16"

struct env_uv_signal {
	struct env_uv_signal *next;
	uv_signal_t sig;
	void (*cb)(void *arg);
	void *arg;
};

struct weft_env_thread {
	struct weft_env *env;
	pthread_t thread;
	char name[64];
};

_Static_assert(sizeof(uv_work_t) <= sizeof(((struct weft_work *)0)->impl), "uv_work_t has grown");

static uint64_t env_now(struct weft_env *env)
{
	(void)env;
	return uv_hrtime();
}

static void env_wall(struct weft_env *env, struct timespec *ts)
{
	(void)env;
	clock_gettime(CLOCK_REALTIME, ts);
}

static void env_random(struct weft_env *env, void *buf, size_t len)
{
	char *p = buf;
	ssize_t n;

	(void)env;
	while (len) {
		n = getrandom(p, len, 0);
		if (n < 0 && errno != EINTR)
			abort();
		if (n > 0) {
			p += n;
			len -= n;
		}
	}
}

static void timer_fired(uv_timer_t *h);

/* Follows the earliest timer; rounds up, so that a timer never fires early. */
static void timer_rearm(struct env_uv *e)
{
	struct weft_timer *t = weft_timerq_next(&e->timers);
	uint64_t now = uv_hrtime(), ms = 0;

	if (!t) {
		uv_timer_stop(&e->timer);
		return;
	}
	if (t->expires > now)
		ms = (t->expires - now + WEFT_NS_PER_MS - 1) / WEFT_NS_PER_MS;
	uv_update_time(&e->loop);
	uv_timer_start(&e->timer, timer_fired, ms, 0);
}

static void timer_fired(uv_timer_t *h)
{
	struct env_uv *e = h->data;
	uint64_t now = uv_hrtime();
	struct weft_timer *t;

	/* Timers that are started by a callback expire after "now" and wait for the next round. */
	while ((t = weft_timerq_next(&e->timers)) && t->expires <= now) {
		weft_timerq_del(&e->timers, t);
		t->cb(t->arg);
	}
	timer_rearm(e);
}

static void env_timer_start(struct weft_env *env, struct weft_timer *t, uint64_t delay_ns)
{
	struct env_uv *e = env_uv(env);
	struct weft_timer *first = weft_timerq_next(&e->timers);

	weft_timerq_del(&e->timers, t);
	t->expires = uv_hrtime() + (delay_ns ? delay_ns : 1);
	weft_timerq_add(&e->timers, t);
	if (t == weft_timerq_next(&e->timers) || t == first)
		timer_rearm(e);
}

static void env_timer_stop(struct weft_env *env, struct weft_timer *t)
{
	weft_timerq_del(&env_uv(env)->timers, t);
}

static void work_run(uv_work_t *w)
{
	struct weft_work *work = w->data;

	work->fn(work->arg);
}

static void work_done(uv_work_t *w, int status)
{
	struct weft_work *work = w->data;

	(void)status; /* never cancelled */
	work->done(work->arg);
}

static void env_work(struct weft_env *env, struct weft_work *work)
{
	uv_work_t *w = (uv_work_t *)work->impl;

	w->data = work;
	if (uv_queue_work(&env_uv(env)->loop, w, work_run, work_done))
		abort(); /* only for a NULL callback */
}

static void no_sleep(uv_idle_t *h)
{
	(void)h;
}

static void env_post(struct weft_env *env, struct weft_post *p)
{
	struct env_uv *e = env_uv(env);

	p->next = NULL;
	pthread_mutex_lock(&e->lock);
	*e->posts_tail = p;
	e->posts_tail = &p->next;
	if (e->running && pthread_equal(e->self, pthread_self()))
		uv_idle_start(&e->idle, no_sleep);
	else
		uv_async_send(&e->async);
	pthread_mutex_unlock(&e->lock);
}

static void env_stop(struct weft_env *env)
{
	struct env_uv *e = env_uv(env);

	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	uv_async_send(&e->async);
	pthread_mutex_unlock(&e->lock);
}

/* Posts that callbacks make are left for the next round, so that I/O gets its turn. */
static void run_posts(struct env_uv *e)
{
	struct weft_post *p, *next;
	bool stop;

	uv_idle_stop(&e->idle);
	pthread_mutex_lock(&e->lock);
	p = e->posts;
	e->posts = NULL;
	e->posts_tail = &e->posts;
	stop = e->stopping;
	pthread_mutex_unlock(&e->lock);
	for (; p; p = next) {
		next = p->next;
		p->cb(p->arg);
	}
	if (stop)
		uv_stop(&e->loop);
}

static void async_fired(uv_async_t *h)
{
	run_posts(h->data);
}

static void check_fired(uv_check_t *h)
{
	if (uv_is_active((uv_handle_t *)&((struct env_uv *)h->data)->idle))
		run_posts(h->data);
}

static const struct weft_env_ops env_uv_ops = {
	.now = env_now,
	.wall = env_wall,
	.random = env_random,
	.timer_start = env_timer_start,
	.timer_stop = env_timer_stop,
	.work = env_work,
	.post = env_post,
	.stop = env_stop,
	.listen = env_uv_listen,
	.listen_port = env_uv_listen_port,
	.listen_close = env_uv_listen_close,
	.stream_connect = env_uv_stream_connect,
	.stream_attach = env_uv_stream_attach,
	.stream_detach = env_uv_stream_detach,
	.stream_want = env_uv_stream_want,
	.stream_readv = env_uv_stream_readv,
	.stream_writev = env_uv_stream_writev,
	.stream_name = env_uv_stream_name,
	.stream_close = env_uv_stream_close,
	.watch = env_uv_watch,
	.watch_close = env_uv_watch_close,
	.disk_open = env_uv_disk_open,
	.disk_size = env_uv_disk_size,
	.disk_submit = env_uv_disk_submit,
	.disk_memory = env_uv_disk_memory,
	.disk_close = env_uv_disk_close,
};

/* Before libuv makes its pool; an operator's own setting wins. */
static void pool_size_once(void)
{
	setenv("UV_THREADPOOL_SIZE", WORK_THREADS, 0);
}

int weft_env_uv_create(struct weft_env **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct env_uv *e;
	int ret;

	pthread_once(&once, pool_size_once);
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->env.ops = &env_uv_ops;
	e->posts_tail = &e->posts;
	pthread_mutex_init(&e->lock, NULL);
	ret = uv_loop_init(&e->loop);
	if (ret)
		goto out_free;
	ret = uv_async_init(&e->loop, &e->async, async_fired);
	if (ret)
		goto out_loop;
	e->async.data = e;
	uv_timer_init(&e->loop, &e->timer);
	e->timer.data = e;
	uv_idle_init(&e->loop, &e->idle);
	uv_check_init(&e->loop, &e->check);
	e->check.data = e;
	uv_check_start(&e->check, check_fired);
	uv_unref((uv_handle_t *)&e->check);
	*out = &e->env;
	return 0;

out_loop:
	uv_loop_close(&e->loop);
out_free:
	pthread_mutex_destroy(&e->lock);
	free(e);
	return ret;
}

void weft_env_uv_run(struct weft_env *env)
{
	struct env_uv *e = env_uv(env);

	pthread_mutex_lock(&e->lock);
	e->self = pthread_self();
	e->running = true;
	pthread_mutex_unlock(&e->lock);
	uv_run(&e->loop, UV_RUN_DEFAULT);
	pthread_mutex_lock(&e->lock);
	e->running = e->stopping = false;
	pthread_mutex_unlock(&e->lock);
}

static void signals_free(struct env_uv *e)
{
	struct env_uv_signal *s;

	while ((s = e->signals)) {
		e->signals = s->next;
		free(s);
	}
}

void weft_env_uv_destroy(struct weft_env *env)
{
	struct env_uv *e = env_uv(env);
	struct env_uv_signal *s;
	bool more;

	do {
		run_posts(e);
		pthread_mutex_lock(&e->lock);
		more = e->posts != NULL;
		pthread_mutex_unlock(&e->lock);
	} while (more);
	weft_timerq_fini(&e->timers);
	env_uv_ring_destroy(e);
	for (s = e->signals; s; s = s->next)
		uv_close((uv_handle_t *)&s->sig, NULL);
	uv_close((uv_handle_t *)&e->timer, NULL);
	uv_close((uv_handle_t *)&e->check, NULL);
	uv_close((uv_handle_t *)&e->idle, NULL);
	uv_close((uv_handle_t *)&e->async, NULL);
	while (uv_loop_close(&e->loop) == UV_EBUSY)
		uv_run(&e->loop, UV_RUN_ONCE);
	signals_free(e);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

struct uv_loop_s *weft_env_uv_loop(struct weft_env *env)
{
	return &env_uv(env)->loop;
}

static void signal_fired(uv_signal_t *h, int signo)
{
	struct env_uv_signal *s = h->data;

	(void)signo;
	s->cb(s->arg);
}

int weft_env_uv_signal(struct weft_env *env, int signo, void (*cb)(void *arg), void *arg)
{
	struct env_uv *e = env_uv(env);
	struct env_uv_signal *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->cb = cb;
	s->arg = arg;
	uv_signal_init(&e->loop, &s->sig);
	s->sig.data = s;
	s->next = e->signals;
	e->signals = s;
	ret = uv_signal_start(&s->sig, signal_fired, signo);
	uv_unref((uv_handle_t *)&s->sig);
	return ret;
}

static void *thread_main(void *arg)
{
	struct weft_env_thread *t = arg;

	weft_log_target(t->name);
	weft_env_uv_run(t->env);
	return NULL;
}

int weft_env_thread_start(const char *name, struct weft_env_thread **out)
{
	struct weft_env_thread *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return -ENOMEM;
	strncpy(t->name, name, sizeof(t->name) - 1);
	ret = weft_env_uv_create(&t->env);
	if (ret)
		goto out_free;
	ret = -pthread_create(&t->thread, NULL, thread_main, t);
	if (ret)
		goto out_env;
	*out = t;
	return 0;

out_env:
	weft_env_uv_destroy(t->env);
out_free:
	free(t);
	return ret;
}

struct weft_env *weft_env_thread_env(struct weft_env_thread *t)
{
	return t->env;
}

void weft_env_thread_stop(struct weft_env_thread *t)
{
	weft_env_stop(t->env);
	pthread_join(t->thread, NULL);
	weft_env_uv_destroy(t->env);
	free(t);
}
