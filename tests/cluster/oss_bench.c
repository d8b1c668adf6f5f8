// SPDX-License-Identifier: Apache-2.0
/*
 * oss_bench DIR [MiB [no-small]]: what a chunk store does on the disk of DIR, without network:
 * writes and reads of several sizes with several at once, and the syncs that each write cost. Also
 * the time to open a store with many records. Prints a table; ends with status 1 when an
 * operation fails.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/env_uv.h"
#include "common/log.h"
#include "oss/store.h"

#define OBJECTS 16
#define CHUNK (1u << 20)

struct bench {
	struct weft_env *env;
	struct weft_pool *pool;
	struct oss_store *store;
	struct oss_store_cfg cfg;
	char kv[512], data[512];
	enum oss_op_kind kind;
	bool random;
	uint32_t len;
	uint64_t next, total, span;
	unsigned int running;
	struct weft_sg bulk;
};

struct job {
	struct oss_op op;
	struct weft_sg sg;
	struct bench *b;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "oss_bench: %s: %s\n", what, why);
	exit(1);
}

static void next_job(struct bench *b, struct job *j);

static void job_done(struct oss_op *op, int err)
{
	struct job *j = (struct job *)op;
	struct bench *b = j->b;

	if (err)
		die("operation failed", strerror(-err));
	if (b->kind == OSS_READ)
		weft_sg_fini(&j->sg);
	b->running--;
	if (b->next < b->total)
		next_job(b, j);
	else
		free(j);
	if (!b->running)
		weft_env_stop(b->env);
}

/* Operation number n goes to object n mod OBJECTS; each object is written or read in order. */
static void next_job(struct bench *b, struct job *j)
{
	uint64_t n = b->next++, at;

	if (b->random)
		n = (n * 0x9e3779b97f4a7c15ull >> 20) % (b->span / b->len);
	at = n / OBJECTS * b->len;
	j->b = b;
	j->op = (struct oss_op){ .kind = b->kind, .ino = 1 + n % OBJECTS, .chunk = at / CHUNK,
				 .off = at % CHUNK, .len = b->len, .done = job_done,
				 .bulk = b->kind == OSS_READ ? &j->sg : &b->bulk };
	b->running++;
	oss_store_submit(b->store, &j->op);
}

static void run(struct bench *b, const char *name, enum oss_op_kind kind, bool random, uint32_t len,
		unsigned int depth, uint64_t bytes)
{
	const struct oss_store_stats *st = oss_store_stats(b->store);
	uint64_t data = st->data_syncs, commits = st->commits, start;
	unsigned int i;
	double s;

	b->kind = kind;
	b->random = random;
	b->len = len;
	b->span = bytes;
	b->total = bytes / len > 20000 ? 20000 : bytes / len;
	if (depth == 1 && b->total > 2000)
		b->total = 2000;
	b->next = 0;
	weft_sg_fini(&b->bulk);
	if (weft_sg_alloc(&b->bulk, b->pool, len))
		die("buffers", "none");
	start = weft_env_now(b->env);
	for (i = 0; i < depth && b->next < b->total; i++)
		next_job(b, calloc(1, sizeof(struct job)));
	while (b->running)
		weft_env_uv_run(b->env);
	s = (weft_env_now(b->env) - start) / 1e9;
	printf("%-22s %7u %5u %9.0f %9.1f %10.3f %10.3f\n", name, len, depth, b->total / s,
	       b->total * len / s / 1e6, (double)(st->data_syncs - data) / b->total,
	       (double)(st->commits - commits) / b->total);
}

static void reopen(struct bench *b, bool create)
{
	char err[OSS_ERR_MAX];

	oss_store_close(b->store);
	b->store = NULL;
	b->cfg.kv_create = create;
	if (oss_store_open(&b->cfg, &b->store, err))
		die("open", err);
}

int main(int argc, char **argv)
{
	uint64_t size = (argc > 2 ? strtoull(argv[2], NULL, 10) : 512) << 20;
	struct bench b = { 0 };
	int fd;

	if (argc < 2) {
		fprintf(stderr, "usage: oss_bench DIR [MiB [no-small]]\n");
		return 2;
	}
	weft_log_init("oss_bench");
	snprintf(b.kv, sizeof(b.kv), "%s/db", argv[1]);
	snprintf(b.data, sizeof(b.data), "%s/data", argv[1]);
	fd = open(b.data, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, 3 * size))
		die(b.data, "cannot be made");
	close(fd);
	if (weft_env_uv_create(&b.env) || weft_pool_create(256 << 20, &b.pool))
		die("start", "out of memory");
	b.cfg = (struct oss_store_cfg){ .env = b.env, .pool = b.pool, .kv_path = b.kv,
					.data_path = b.data, .data_size = 3 * size,
					.no_small = argc > 3 };
	reopen(&b, true);
	printf("%-22s %7s %5s %9s %9s %10s %10s\n", "", "bytes", "depth", "op/s", "MB/s",
	       "dsync/op", "ksync/op");
	run(&b, "sequential write", OSS_WRITE, false, 1 << 20, 1, size);
	run(&b, "sequential overwrite", OSS_WRITE, false, 1 << 20, 16, size);
	run(&b, "sequential read", OSS_READ, false, 1 << 20, 16, size);
	run(&b, "random overwrite", OSS_WRITE, true, 65536, 16, size);
	run(&b, "random overwrite", OSS_WRITE, true, 114688, 1, size);
	run(&b, "random overwrite", OSS_WRITE, true, 114688, 4, size);
	run(&b, "random overwrite", OSS_WRITE, true, 65536, 1, size);
	run(&b, "random overwrite", OSS_WRITE, true, 4096, 1, size);
	run(&b, "random overwrite", OSS_WRITE, true, 4096, 32, size);
	run(&b, "random overwrite", OSS_WRITE, true, 1000, 32, size);
	run(&b, "random read", OSS_READ, true, 4096, 1, size);
	run(&b, "random read", OSS_READ, true, 4096, 32, size);
	reopen(&b, false);
	weft_sg_fini(&b.bulk);
	oss_store_close(b.store);
	weft_env_uv_destroy(b.env);
	weft_pool_destroy(b.pool);
	return 0;
}
