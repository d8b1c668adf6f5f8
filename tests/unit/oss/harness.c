// SPDX-License-Identifier: Apache-2.0
/*
 * The bed of the chunk store's tests: see harness.h. It aborts the program when the bed itself
 * cannot be made.
 */
#include "tests/unit/oss/harness.h"

#include "oss/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA_OFFSET 4096

static const struct weft_env_ops *real_ops;
static struct weft_env_ops ops;
static enum weft_io_op fail_op;
static unsigned int fail_countdown, failures;
static int fail_err;
static bool holding;
static enum weft_io_op hold_op;
static unsigned int *memory, memory_left;
static struct weft_io *held;

void (*bed_on_submit)(struct weft_io *io);

struct failing {
	struct weft_post post;
	struct weft_io *io;
	int err;
};

static void failed(void *arg)
{
	struct failing *f = arg;
	struct weft_io *io = f->io;
	int err = f->err;

	free(f);
	io->done(io, err);
}

static void submit(struct weft_disk *d, struct weft_io *io)
{
	struct failing *f;

	if (holding && io->op == hold_op) {
		io->disk = d;
		io->next = held;
		held = io;
		return;
	}
	if (bed_on_submit)
		bed_on_submit(io);
	if (fail_countdown && io->op == fail_op && !--fail_countdown) {
		failures++;
		f = calloc(1, sizeof(*f));
		*f = (struct failing){ .post = { .cb = failed, .arg = f }, .io = io,
				       .err = fail_err };
		weft_env_post(d->env, &f->post);
		return;
	}
	real_ops->disk_submit(d, io);
}

unsigned int bed_fail_disk(enum weft_io_op op, unsigned int n, int err)
{
	unsigned int had = failures;

	fail_op = op;
	fail_countdown = n;
	fail_err = err;
	failures = 0;
	return had;
}

void bed_fail_memory(unsigned int *countdown, unsigned int n)
{
	memory = n ? countdown : NULL;
	memory_left = n;
	*countdown = 0;
}

unsigned int bed_held(void)
{
	const struct weft_io *io;
	unsigned int n = 0;

	for (io = held; io; io = io->next)
		n++;
	return n;
}

void bed_hold(enum weft_io_op op, bool hold)
{
	struct weft_io *io = held, *next;

	holding = hold;
	hold_op = op;
	if (hold)
		return;
	held = NULL;
	for (; io; io = next) {
		next = io->next;
		real_ops->disk_submit(io->disk, io);
	}
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

void bed_make_files(struct oss_bed *bed, uint64_t size)
{
	int fd;

	*bed = (struct oss_bed){ .size = size, .settle_ns = WEFT_NS_PER_MS };
	snprintf(bed->dir, sizeof(bed->dir), "%s/weft-oss-XXXXXX",
		 access("/var/tmp", W_OK) ? "." : "/var/tmp");
	must(mkdtemp(bed->dir), bed->dir);
	snprintf(bed->data, sizeof(bed->data), "%s/data", bed->dir);
	snprintf(bed->kv, sizeof(bed->kv), "%s/db", bed->dir);
	fd = open(bed->data, O_RDWR | O_CREAT, 0600);
	must(fd >= 0 && !ftruncate(fd, DATA_OFFSET + size), bed->data);
	close(fd);
}

void bed_make_env(struct oss_bed *bed)
{
	must(!weft_env_uv_create(&bed->env), "loop");
	real_ops = bed->env->ops;
	ops = *real_ops;
	ops.disk_submit = submit;
	bed->env->ops = &ops;
	must(!weft_pool_create(256 << 20, &bed->pool), "pool");
}

void bed_init(struct oss_bed *bed, uint64_t size)
{
	bed_make_files(bed, size);
	bed_make_env(bed);
}

void bed_remove_files(struct oss_bed *bed)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", bed->dir);
	must(!system(cmd), cmd);
}

void bed_fini(struct oss_bed *bed)
{
	bed_close(bed);
	weft_env_uv_destroy(bed->env);
	weft_pool_destroy(bed->pool);
	bed_remove_files(bed);
}

int bed_open(struct oss_bed *bed)
{
	struct oss_store_cfg cfg = {
		.env = bed->env,
		.pool = bed->pool,
		.kv_path = bed->kv,
		.kv_create = access(bed->kv, F_OK) != 0,
		.data_path = bed->data,
		.data_offset = DATA_OFFSET,
		.data_size = bed->size,
		.uuid = "0123456789abcde",
		.cache_segs = 4,
		.no_small = bed->no_small,
		.settle_ns = bed->settle_ns,
	};

	return oss_store_open(&cfg, &bed->store, bed->last_err);
}

void bed_close(struct oss_bed *bed)
{
	if (!bed->store)
		return;
	while (!oss_store_idle(bed->store))
		bed_turn(bed);
	oss_store_close(bed->store);
	bed->store = NULL;
}

void bed_reopen(struct oss_bed *bed)
{
	bed_close(bed);
	must(!bed_open(bed), bed->last_err);
}

void bed_wait(struct oss_bed *bed, const int *done)
{
	while (!*done)
		weft_env_uv_run(bed->env);
}

static void turned(void *arg)
{
	weft_env_stop(arg);
}

void bed_turn(struct oss_bed *bed)
{
	struct weft_timer t;

	weft_timer_init(&t, turned, bed->env);
	weft_timer_start(bed->env, &t, 5 * WEFT_NS_PER_MS);
	while (t.pos >= 0)
		weft_env_uv_run(bed->env);
}

void bed_settle(struct oss_bed *bed)
{
	while (bed->store->smalls.head || bed->store->smalls.busy)
		bed_turn(bed);
}

struct wait {
	struct oss_op op;
	struct weft_env *env;
	int done;
	int err;
};

static void waited(struct oss_op *op, int err)
{
	struct wait *w = (struct wait *)op;

	w->done = 1;
	w->err = err;
	weft_env_stop(w->env);
}

static int run(struct oss_bed *bed, struct wait *w)
{
	w->env = bed->env;
	w->op.done = waited;
	if (memory)
		*memory = memory_left;
	oss_store_submit(bed->store, &w->op);
	bed_wait(bed, &w->done);
	if (memory) {
		memory_left = *memory;
		*memory = 0;
	}
	return w->err;
}

int bed_do(struct oss_bed *bed, enum oss_op_kind kind, uint64_t ino, uint64_t chunk, uint32_t off,
	   uint32_t len, struct oss_op *result)
{
	struct wait w = {
		.op = { .kind = kind, .ino = ino, .chunk = chunk, .off = off, .len = len },
	};
	int err = run(bed, &w);

	if (result)
		*result = w.op;
	return err;
}

int bed_write(struct oss_bed *bed, uint64_t ino, uint64_t chunk, uint32_t off, const void *buf,
	      uint32_t len)
{
	struct weft_sg sg = WEFT_SG_INIT;
	struct wait w = {
		.op = { .kind = OSS_WRITE, .ino = ino, .chunk = chunk, .off = off, .len = len,
			.bulk = &sg },
	};
	int err;

	must(!weft_sg_alloc(&sg, bed->pool, len), "bulk");
	weft_sg_write(&sg, 0, buf, len);
	err = run(bed, &w);
	weft_sg_fini(&sg);
	return err;
}

int bed_read(struct oss_bed *bed, uint64_t ino, uint64_t chunk, uint32_t off, void *buf,
	     uint32_t len, uint32_t *sent)
{
	struct weft_sg sg = WEFT_SG_INIT;
	struct wait w = {
		.op = { .kind = OSS_READ, .ino = ino, .chunk = chunk, .off = off, .len = len,
			.bulk = &sg },
	};
	int err = run(bed, &w);

	memset(buf, 0, len);
	if (!err && sg.len != w.op.r_len)
		err = -EPROTO;
	if (!err)
		weft_sg_read(&sg, 0, buf, sg.len);
	if (sent)
		*sent = sg.len;
	weft_sg_fini(&sg);
	return err;
}

uint64_t bed_free(struct oss_bed *bed)
{
	uint64_t total, avail;

	oss_store_space(bed->store, &total, &avail);
	return avail;
}

void fill(void *buf, size_t len, uint32_t seed)
{
	uint8_t *p = buf;
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
	size_t i;

	for (i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x >> 32 | 1;
	}
}
