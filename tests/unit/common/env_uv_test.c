// SPDX-License-Identifier: Apache-2.0
/* The real environment: timers, posts between threads, work, streams, disks. */
#include "common/env_uv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/common/unit.h"

static struct weft_env *env;

static void stop(void *arg)
{
	(void)arg;
	weft_env_stop(env);
}

/* Runs the loop until it is stopped, at most 10 s. */
static void run(void)
{
	struct weft_timer t;

	weft_timer_init(&t, stop, NULL);
	weft_timer_start(env, &t, 10 * WEFT_NS_PER_S);
	weft_env_uv_run(env);
	CU_ASSERT(t.pos >= 0); /* not by this timer */
	weft_timer_stop(env, &t);
}

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(weft_env_uv_create(&env), 0);
}

static void end(void)
{
	weft_env_uv_destroy(env);
}

static int order[8], fired;

static void note(void *arg)
{
	order[fired++] = (int)(intptr_t)arg;
}

static void timers(void)
{
	struct weft_timer a, b, c, last;
	uint64_t start;

	begin();
	fired = 0;
	weft_timer_init(&a, note, (void *)1);
	weft_timer_init(&b, note, (void *)2);
	weft_timer_init(&c, note, (void *)3);
	weft_timer_init(&last, stop, NULL);
	start = weft_env_now(env);
	weft_timer_start(env, &a, 30 * WEFT_NS_PER_MS);
	weft_timer_start(env, &b, 10 * WEFT_NS_PER_MS);
	weft_timer_start(env, &c, 5 * WEFT_NS_PER_MS);
	weft_timer_start(env, &last, 40 * WEFT_NS_PER_MS);
	weft_timer_stop(env, &c);
	weft_timer_stop(env, &c);
	run();
	CU_ASSERT_EQUAL(fired, 2);
	CU_ASSERT_EQUAL(order[0], 2);
	CU_ASSERT_EQUAL(order[1], 1);
	CU_ASSERT(weft_env_now(env) - start >= 40 * WEFT_NS_PER_MS);
	end();
}

static void work_fn(void *arg)
{
	*(int *)arg += 1;
}

static int works_done;

static void work_done(void *arg)
{
	*(int *)arg += 10;
	works_done++;
	weft_env_stop(env);
}

static void work(void)
{
	int n = 0;
	struct weft_work w = { .fn = work_fn, .done = work_done, .arg = &n };

	begin();
	weft_env_work(env, &w);
	CU_ASSERT_EQUAL(works_done, 0); /* never from inside */
	run();
	CU_ASSERT_EQUAL(n, 11);
	weft_env_work(env, &w);
	run();
	CU_ASSERT_EQUAL(n, 22);
	end();
}

#define HOPS 1000

struct ball {
	struct weft_post post;
	struct weft_env *there;
	int hops;
};

static void hop(void *arg)
{
	struct ball *b = arg;

	if (++b->hops == HOPS)
		weft_env_stop(env);
	else
		weft_env_post(b->hops % 2 ? b->there : env, &b->post);
}

/* A post goes back and forth between two loops. */
static void posts(void)
{
	struct weft_env_thread *t;
	struct ball b = { .hops = 0 };

	begin();
	CU_ASSERT_EQUAL_FATAL(weft_env_thread_start("other", &t), 0);
	b.there = weft_env_thread_env(t);
	b.post.cb = hop;
	b.post.arg = &b;
	weft_env_post(env, &b.post);
	run();
	CU_ASSERT_EQUAL(b.hops, HOPS);
	weft_env_thread_stop(t);
	end();
}

static struct weft_stream *accepted_stream;
static char got[64];
static size_t got_len;
static int connect_err;

static void server_ready(void *arg, unsigned int events)
{
	struct iovec iov = { got + got_len, sizeof(got) - got_len };
	ssize_t n = weft_stream_readv(accepted_stream, &iov, 1);

	(void)arg;
	(void)events;
	if (n > 0)
		got_len += n;
	if (n == 0)
		weft_env_stop(env);
}

static const struct weft_stream_cb server_cb = { .ready = server_ready };

static void accepted(void *arg, int fd)
{
	(void)arg;
	CU_ASSERT_EQUAL(weft_stream_attach(env, fd, &server_cb, NULL, &accepted_stream), 0);
	weft_stream_want(accepted_stream, WEFT_STREAM_IN);
}

static void connected(void *arg, int err)
{
	struct weft_stream **s = arg;
	struct iovec iov[2] = { { "hello ", 6 }, { "world", 5 } };

	connect_err = err;
	if (err) {
		weft_env_stop(env);
		return;
	}
	CU_ASSERT_EQUAL(weft_stream_writev(*s, iov, 2), 11);
	weft_stream_close(*s);
}

static void never_ready(void *arg, unsigned int events)
{
	(void)arg;
	(void)events;
	CU_FAIL("ready() without weft_stream_want()");
}

static void connect_to(const char *host, uint16_t port)
{
	static const struct weft_stream_cb cb = { .connected = connected, .ready = never_ready };
	struct weft_stream *s;

	CU_ASSERT_EQUAL_FATAL(weft_stream_connect(env, host, port, &cb, &s, &s), 0);
	run();
	if (connect_err)
		weft_stream_close(s);
}

static void streams(void)
{
	struct weft_listener *l;
	uint16_t port;
	int i;

	begin();
	CU_ASSERT_EQUAL_FATAL(weft_env_listen(env, "127.0.0.1", 0, accepted, NULL, &l), 0);
	port = weft_listen_port(l);
	for (i = 0; i < 2; i++) { /* by address, by name */
		got_len = 0;
		connect_to(i ? "localhost" : "127.0.0.1", port);
		CU_ASSERT_EQUAL(connect_err, 0);
		CU_ASSERT_EQUAL(got_len, 11);
		CU_ASSERT_EQUAL(memcmp(got, "hello world", 11), 0);
		weft_stream_close(accepted_stream);
	}
	weft_listen_close(l);
	connect_to("127.0.0.1", port);
	CU_ASSERT_EQUAL(connect_err, -ECONNREFUSED);
	end();
}

static int ios;
static ssize_t results[512];

static void io_done(struct weft_io *io, ssize_t res)
{
	results[(uintptr_t)io->arg] = res;
	if (!--ios)
		weft_env_stop(env);
}

static ssize_t one_io(struct weft_disk *d, enum weft_io_op op, void *mem, size_t len, uint64_t off)
{
	struct iovec iov = { mem, len };
	struct weft_io io = { .op = op, .iov = &iov, .niov = mem ? 1 : 0, .off = off, .len = len,
			      .done = io_done };

	ios = 1;
	weft_disk_submit(d, &io);
	run();
	return results[0];
}

/* More requests at once than the ring has room for. */
/* Submissions that the kernel refuses, with nothing in flight. */
static int refusals;
int __real_io_uring_submit(void *ring);
int __wrap_io_uring_submit(void *ring);

int __wrap_io_uring_submit(void *ring)
{
	if (refusals && refusals--)
		return -EAGAIN;
	return __real_io_uring_submit(ring);
}

static void many_ios(struct weft_disk *d, char *mem)
{
	static struct weft_io io[400];
	static struct iovec iov[400];
	int i;

	ios = 400;
	for (i = 0; i < 400; i++) {
		iov[i] = (struct iovec){ mem, 4096 };
		io[i] = (struct weft_io){ .op = i % 2 ? WEFT_IO_WRITE : WEFT_IO_READ,
					  .iov = &iov[i], .niov = 1, .off = i * 4096,
					  .done = io_done, .arg = (void *)(uintptr_t)i };
		weft_disk_submit(d, &io[i]);
	}
	run();
	CU_ASSERT_EQUAL(ios, 0);
	for (i = 1; i < 400; i += 2)
		CU_ASSERT_EQUAL(results[i], 4096);
}

static void disks(void)
{
	const char *dir = unit_mkdir();
	struct weft_disk *d, *second;
	char path[256];
	uint64_t size;
	char *mem = NULL;

	begin();
	CU_ASSERT_EQUAL_FATAL(posix_memalign((void **)&mem, 4096, 65536), 0);
	snprintf(path, sizeof(path), "%s/disk", dir);
	CU_ASSERT_EQUAL(weft_disk_open(env, path, 0, &d), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(weft_disk_open(env, path, WEFT_DISK_CREATE | WEFT_DISK_DIRECT, &d),
			      0);
	CU_ASSERT_EQUAL(weft_disk_open(env, path, 0, &second), -EBUSY);
	memset(mem, 'x', 65536);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_WRITE, mem, 65536, 8192), 65536);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_FDATASYNC, NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(weft_disk_size(d, &size), 0);
	CU_ASSERT_EQUAL(size, 8192 + 65536);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_READ, mem, 65536, 4096), 65536);
	CU_ASSERT(mem[0] == 0 && mem[4095] == 0 && mem[4096] == 'x');
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_READ, mem, 65536, 65536), 8192); /* the end */
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_PUNCH, NULL, 4096, 8192), 0);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_READ, mem, 8192, 8192), 8192);
	CU_ASSERT(mem[0] == 0 && mem[4096] == 'x');
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_ALLOC, NULL, 1 << 20, 0), 0);
	CU_ASSERT_EQUAL(weft_disk_size(d, &size), 0);
	CU_ASSERT_EQUAL(size, 1 << 20);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_WRITE, mem + 1, 4096, 0), -EINVAL); /* not aligned */
	many_ios(d, mem);
	refusals = 3;
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_READ, mem, 4096, 0), 4096);
	CU_ASSERT_EQUAL(refusals, 0);
	weft_disk_close(d);
	free(mem);
	end();
	unit_rmdir(dir);
}

static char *map_at(void *at, char fill)
{
	char *mem = mmap(at, 65536, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(mem, MAP_FAILED);
	memset(mem, fill, 65536);
	return mem;
}

/* Registered pages are used though nothing is mapped there any more; forgotten ones are not. */
static void registered_memory(void)
{
	char *a = map_at(NULL, 'a'), *b = map_at(NULL, 'b');
	const char *dir = unit_mkdir();
	struct weft_disk *d;
	char path[256];

	begin();
	snprintf(path, sizeof(path), "%s/disk", dir);
	CU_ASSERT_EQUAL_FATAL(weft_disk_open(env, path, WEFT_DISK_CREATE | WEFT_DISK_DIRECT, &d),
			      0);
	CU_ASSERT_EQUAL(weft_disk_memory(d, a, 65536, false), 0);
	munmap(a, 65536);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_WRITE, a + 4096, 8192, 0), 8192);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_WRITE, a + 57344, 16384, 0), -EFAULT); /* its end */
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_READ, b, 4096, 4096), 4096);
	CU_ASSERT(b[0] == 'a' && b[4095] == 'a');
	CU_ASSERT_EQUAL(weft_disk_memory(d, a, 65536, true), 0);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_WRITE, a, 4096, 0), -EFAULT);
	map_at(a, 'c');
	CU_ASSERT_EQUAL(weft_disk_memory(d, b, 65536, false), 0);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_WRITE, a, 4096, 0), 4096);
	CU_ASSERT_EQUAL(one_io(d, WEFT_IO_READ, b, 4096, 0), 4096);
	CU_ASSERT(b[0] == 'c' && b[4095] == 'c');
	weft_disk_close(d);
	munmap(a, 65536);
	munmap(b, 65536);
	end();
	unit_rmdir(dir);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "timers", timers },
		{ "work", work },
		{ "posts between loops", posts },
		{ "streams", streams },
		{ "disks", disks },
		{ "registered memory", registered_memory },
		{ NULL, NULL },
	};

	return unit_run("common/env_uv", tests);
}
