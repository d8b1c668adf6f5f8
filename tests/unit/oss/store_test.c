// SPDX-License-Identifier: Apache-2.0
/*
 * The chunk store does what a model in memory does, over restarts; returns space; refuses damaged
 * and foreign records; and finds damaged blocks.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oss/internal.h"
#include "tests/unit/oss/harness.h"

#define CHUNK (4u << 20)
#define INOS 2
#define CHUNKS 3

static uint8_t model[INOS][CHUNKS][CHUNK];
static uint8_t buf[CHUNK], got[CHUNK];

static uint32_t rnd_state = 1;
static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (uint64_t)(rnd_state >> 4) * n >> 28;
}

/* A range: small and large, aligned or not. */
static void range(uint32_t *off, uint32_t *len)
{
	static const uint32_t max[] = { 100, 5000, 70000, 1 << 20, CHUNK };

	*len = 1 + rnd(max[rnd(5)]);
	*off = rnd(CHUNK - *len + 1);
	if (rnd(3))
		return;
	*off &= ~4095u;
	*len = (*len + 4095) & ~4095u;
	if (*off + *len > CHUNK)
		*len = CHUNK - *off;
}

static void check_read(struct oss_bed *bed, int i, int c, uint32_t off, uint32_t len)
{
	uint32_t sent, end = len;

	CU_ASSERT_EQUAL_FATAL(bed_read(bed, i + 1, c, off, got, len, &sent), 0);
	CU_ASSERT_EQUAL_FATAL(memcmp(got, &model[i][c][off], len), 0);
	while (end && !model[i][c][off + end - 1])
		end--;
	CU_ASSERT_FATAL(sent >= end);
}

static void check_all(struct oss_bed *bed)
{
	int i, c;

	for (i = 0; i < INOS; i++)
		for (c = 0; c < CHUNKS; c++)
			check_read(bed, i, c, 0, CHUNK);
}

static void model_truncate(int i, int c, uint32_t off)
{
	memset(&model[i][c][off], 0, CHUNK - off);
	while (++c < CHUNKS)
		memset(model[i][c], 0, CHUNK);
}

/* The next data that the store names is where the model has its byte, or earlier in its block. */
static void check_seek(struct oss_bed *bed, int i, int c, uint32_t off)
{
	struct oss_op r;
	uint32_t o = off;
	int cc = c;

	while (cc < CHUNKS && (o == CHUNK || !model[i][cc][o])) {
		if (o++ == CHUNK) {
			o = 0;
			cc++;
		}
	}
	CU_ASSERT_EQUAL_FATAL(bed_do(bed, OSS_SEEK_DATA, i + 1, c, off, 0, &r), 0);
	if (cc == CHUNKS)
		return;
	CU_ASSERT_FATAL(r.r_found);
	CU_ASSERT_FATAL(r.r_chunk < (uint64_t)cc || (r.r_chunk == (uint64_t)cc && r.r_off <= o));
	CU_ASSERT_EQUAL_FATAL(bed_do(bed, OSS_SEEK_HOLE, i + 1, c, off, 0, &r), 0);
	CU_ASSERT_FATAL(r.r_found && r.r_chunk == (uint64_t)c && r.r_off >= off);
	if (r.r_off < CHUNK)
		CU_ASSERT_EQUAL(model[i][c][r.r_off], 0);
}

static void one_step(struct oss_bed *bed, uint32_t step)
{
	int i = rnd(INOS), c = rnd(CHUNKS);
	uint32_t off, len;

	range(&off, &len);
	switch (rnd(12)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		fill(buf, len, step);
		CU_ASSERT_EQUAL_FATAL(bed_write(bed, i + 1, c, off, buf, len), 0);
		memcpy(&model[i][c][off], buf, len);
		break;
	case 5:
	case 6:
		CU_ASSERT_EQUAL_FATAL(bed_do(bed, OSS_PUNCH, i + 1, c, off, len, NULL), 0);
		memset(&model[i][c][off], 0, len);
		break;
	case 7:
		CU_ASSERT_EQUAL_FATAL(bed_do(bed, OSS_ALLOC, i + 1, c, off, len, NULL), 0);
		break;
	case 8:
		CU_ASSERT_EQUAL_FATAL(bed_do(bed, OSS_TRUNCATE, i + 1, c, off, 0, NULL), 0);
		model_truncate(i, c, off);
		break;
	case 9:
		check_seek(bed, i, c, off);
		break;
	case 10:
		if (!rnd(8)) {
			bed_reopen(bed);
			check_all(bed);
		}
		break;
	default:
		check_read(bed, i, c, off, len);
	}
}

static void test_model(void)
{
	struct oss_bed bed;
	uint64_t empty, delta = 0;
	uint32_t step, i;
	struct oss_op r;

	memset(model, 0, sizeof(model));
	bed_init(&bed, 128 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	empty = bed_free(&bed);
	for (step = 0; step < 3000; step++)
		one_step(&bed, step);
	bed_reopen(&bed);
	check_all(&bed);
	delta = empty - bed_free(&bed);
	for (i = 1; i <= INOS; i++) {
		CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, i, 0, 0, 0, &r), 0);
		delta += r.bytes_delta;
	}
	CU_ASSERT_EQUAL(delta, 0);
	CU_ASSERT_EQUAL(bed_free(&bed), empty);
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(bed_free(&bed), empty);
	bed_fini(&bed);
}

/* --- many at once */

struct many {
	struct oss_op op;
	struct weft_sg sg;
	struct weft_env *env;
	int *left;
	int *done;
	int err;
};

static void many_done(struct oss_op *op, int err)
{
	struct many *m = (struct many *)op;

	m->err = err;
	if (--*m->left)
		return;
	*m->done = 1;
	weft_env_stop(m->env);
}

/* Writes of neighbouring and overlapping ranges of one segment: the last one submitted wins. */
static void test_concurrent(void)
{
	enum { N = 64 };
	static struct many m[N];
	struct oss_bed bed;
	int left = N, done = 0, i;
	const struct oss_store_stats *st;

	memset(m, 0, sizeof(m));
	memset(model[0][0], 0, CHUNK);
	bed_init(&bed, 64 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	for (i = 0; i < N; i++) {
		uint32_t off = i % 8 * 3000, len = 5000;

		fill(buf, len, i);
		memcpy(&model[0][0][off], buf, len);
		CU_ASSERT_EQUAL_FATAL(weft_sg_alloc(&m[i].sg, bed.pool, len), 0);
		weft_sg_write(&m[i].sg, 0, buf, len);
		m[i].op = (struct oss_op){ .kind = OSS_WRITE, .ino = 1, .off = off, .len = len,
					   .bulk = &m[i].sg, .done = many_done };
		m[i].env = bed.env;
		m[i].left = &left;
		m[i].done = &done;
	}
	for (i = 0; i < N; i++)
		oss_store_submit(bed.store, &m[i].op);
	bed_wait(&bed, &done);
	for (i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(m[i].err, 0);
		weft_sg_fini(&m[i].sg);
	}
	check_read(&bed, 0, 0, 0, CHUNK);
	st = oss_store_stats(bed.store);
	/* How many share a commit is a matter of timing (see test_group()); none gets lost. */
	CU_ASSERT(st->changes >= N);
	bed_reopen(&bed);
	check_read(&bed, 0, 0, 0, CHUNK);
	bed_fini(&bed);
}

static unsigned int open_changes(const struct oss_bed *bed)
{
	const struct oss_part *p;
	unsigned int n = 0;

	for (p = bed->store->commits.open.head; p; p = p->next)
		n++;
	return n;
}

/* What comes while a group is being synced is one group more, with one sync of each kind. */
static void test_group(void)
{
	enum { N = 9 };
	static struct many m[N];
	struct oss_bed bed;
	const struct oss_store_stats *st;
	int left = N, done = 0, i;

	memset(m, 0, sizeof(m));
	bed_init(&bed, 64 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	st = oss_store_stats(bed.store);
	for (i = 0; i < N; i++) {
		fill(buf, OSS_SEG, i);
		CU_ASSERT_EQUAL_FATAL(weft_sg_alloc(&m[i].sg, bed.pool, OSS_SEG), 0);
		weft_sg_write(&m[i].sg, 0, buf, OSS_SEG);
		m[i].op = (struct oss_op){ .kind = OSS_WRITE, .ino = i + 1, .len = OSS_SEG,
					   .bulk = &m[i].sg, .done = many_done };
		m[i].env = bed.env;
		m[i].left = &left;
		m[i].done = &done;
	}
	bed_hold(WEFT_IO_FDATASYNC, true);
	oss_store_submit(bed.store, &m[0].op);
	while (!bed_held())
		bed_turn(&bed);
	for (i = 1; i < N; i++)
		oss_store_submit(bed.store, &m[i].op);
	while (open_changes(&bed) < N - 1)
		bed_turn(&bed);
	CU_ASSERT_EQUAL(left, N);
	CU_ASSERT_EQUAL(st->commits, 0);
	bed_hold(WEFT_IO_FDATASYNC, false);
	bed_wait(&bed, &done);
	CU_ASSERT_EQUAL(st->commits, 2);
	CU_ASSERT_EQUAL(st->data_syncs, 2);
	CU_ASSERT_EQUAL(st->changes, N);
	for (i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(m[i].err, 0);
		weft_sg_fini(&m[i].sg);
	}
	bed_fini(&bed);
}

/*
 * A read that takes long sees the bytes of its beginning, although they are overwritten meanwhile;
 * a write that needs the blocks it pins waits for it.
 */
static void test_long_read(void)
{
	static struct many r, w;
	struct oss_bed bed;
	int rleft = 1, rdone = 0, wleft = 1, wdone = 0;
	uint32_t v;

	bed_init(&bed, 4 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	fill(buf, OSS_SEG, 0);
	memcpy(model[0][0], buf, OSS_SEG);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, OSS_SEG), 0);
	memset(&r, 0, sizeof(r));
	r.op = (struct oss_op){ .kind = OSS_READ, .ino = 1, .len = OSS_SEG, .bulk = &r.sg,
				.done = many_done };
	r.env = w.env = bed.env;
	r.left = &rleft;
	r.done = &rdone;
	bed_hold(WEFT_IO_READ, true);
	oss_store_submit(bed.store, &r.op);
	for (v = 1; v < 3; v++) {
		fill(buf, OSS_SEG, v);
		CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, OSS_SEG), 0);
	}
	memset(&w.op, 0, sizeof(w.op));
	fill(buf, 2 * OSS_SEG, 9);
	CU_ASSERT_EQUAL_FATAL(weft_sg_alloc(&w.sg, bed.pool, 2 * OSS_SEG), 0);
	weft_sg_write(&w.sg, 0, buf, 2 * OSS_SEG);
	w.op = (struct oss_op){ .kind = OSS_WRITE, .ino = 2, .len = 2 * OSS_SEG, .bulk = &w.sg,
				.done = many_done };
	w.left = &wleft;
	w.done = &wdone;
	oss_store_submit(bed.store, &w.op);
	bed_turn(&bed);
	CU_ASSERT_EQUAL(wdone, 0);
	bed_hold(WEFT_IO_READ, false);
	bed_wait(&bed, &rdone);
	CU_ASSERT_EQUAL(r.err, 0);
	CU_ASSERT_EQUAL(weft_sg_read(&r.sg, 0, got, OSS_SEG), OSS_SEG);
	CU_ASSERT_EQUAL(memcmp(got, model[0][0], OSS_SEG), 0);
	bed_wait(&bed, &wdone);
	CU_ASSERT_EQUAL(w.err, 0);
	weft_sg_fini(&r.sg);
	weft_sg_fini(&w.sg);
	CU_ASSERT_EQUAL(bed_read(&bed, 2, 0, 0, got, 2 * OSS_SEG, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf, 2 * OSS_SEG), 0);
	bed_fini(&bed);
}

/* --- full */

static void test_full(void)
{
	struct oss_bed bed;
	uint64_t chunk, n;
	int err = 0;

	bed_init(&bed, 16 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	for (n = 0; !err; n++) {
		fill(buf, 1 << 20, n);
		err = bed_write(&bed, 9, n, 0, buf, 1 << 20);
	}
	CU_ASSERT_EQUAL(err, -ENOSPC);
	for (; !bed_write(&bed, 9, n, 0, buf, 4096); n++)
		;
	CU_ASSERT_EQUAL(bed_free(&bed), 0);
	/* On a full target blocks can be overwritten, cut and punched, and the space comes back. */
	fill(buf, 50000, 777);
	for (chunk = 0; chunk < 8; chunk++)
		CU_ASSERT_EQUAL(bed_write(&bed, 9, chunk, 100, buf, 50000), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 9, 3, 100, got, 50000, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(buf, got, 50000), 0);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 9, 12, 777, 0, NULL), 0);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_PUNCH, 9, 2, 1, 500000, NULL), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 9, 20, 0, buf, 50000), 0);
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(bed_read(&bed, 9, 20, 0, got, 50000, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(buf, got, 50000), 0);
	bed_fini(&bed);
}

/* --- damage */

static uint64_t find_in_file(const char *path, const void *what, size_t len)
{
	static uint8_t file[8 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, file, sizeof(file));
	uint8_t *p;

	close(fd);
	CU_ASSERT_FATAL(n > 0);
	p = memmem(file, n, what, len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	return p - file;
}

/* Writes 20000 bytes of inode 1 and damages the second block of them. */
static void damage(struct oss_bed *bed)
{
	uint64_t pos;
	int fd;

	fill(buf, 20000, 5);
	CU_ASSERT_EQUAL(bed_write(bed, 1, 0, 0, buf, 20000), 0);
	bed_settle(bed);
	pos = find_in_file(bed->data, buf + 4096, 4096);
	fd = open(bed->data, O_WRONLY);
	CU_ASSERT_EQUAL(pwrite(fd, "x\0", 2, pos + 100), 2);
	fsync(fd);
	close(fd);
}

static void test_damaged_block(void)
{
	struct oss_bed bed;

	bed_init(&bed, 4 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	damage(&bed);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 0, got, 20000, NULL), -EIO);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 4096, got, 1, NULL), -EIO);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 8192, got, 4096, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf + 8192, 4096), 0);
	/* A partial overwrite must not give the bad bytes a good checksum; a whole one heals. */
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 5000, buf, 10), -EIO);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_PUNCH, 1, 0, 5000, 10, NULL), -EIO);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 4096, buf, 4096), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 0, got, 20000, NULL), 0);
	CU_ASSERT_EQUAL(oss_store_stats(bed.store)->crc_errors, 4);
	bed_fini(&bed);
}

/* A truncate is repeated until it works: a damaged block must not stop it, nor come back. */
static void test_damaged_cut(void)
{
	struct oss_bed bed;

	bed_init(&bed, 4 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	damage(&bed);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 1, 0, 5000, 0, NULL), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 0, got, 4096, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf, 4096), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 0, got, 20000, NULL), -EIO);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 8192, buf, 4096), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 4096, got, 4096, NULL), -EIO);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 1, 0, 4096, 0, NULL), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 8192, buf, 4096), 0);
	memset(buf, 0, 4096);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 4096, got, 4096, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf, 4096), 0);
	bed_fini(&bed);
}

/* Puts a record behind the store's back. */
static void put_raw(struct oss_bed *bed, uint64_t ino, const void *val, size_t len)
{
	struct oss_key k = { ino, 0, 0 };
	struct weft_kv_batch *b;
	uint8_t key[OSS_KEY_LEN];

	oss_key_encode(&k, key);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(bed->store->kv, &b), 0);
	weft_kv_put(b, OSS_CF_CHUNKS, key, sizeof(key), val, len);
	CU_ASSERT_EQUAL_FATAL(weft_kv_commit(b, false), 0);
	weft_kv_batch_free(b);
}

static uint64_t damaged_records(struct oss_bed *bed)
{
	return oss_store_stats(bed->store)->damaged_records;
}

/* A record that cannot be decoded: its object is refused, the others are served. */
static void test_damaged_record(void)
{
	struct oss_bed bed;

	bed_init(&bed, 4 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, "abc", 3), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 7, 1, 0, "def", 3), 0);
	put_raw(&bed, 7, "garbage", 7);
	CU_ASSERT_EQUAL(damaged_records(&bed), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 7, 0, 0, got, 100, NULL), -EIO);
	CU_ASSERT_EQUAL(bed_write(&bed, 7, 0, 0, "x", 1), -EIO);
	CU_ASSERT_EQUAL(damaged_records(&bed), 1);
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(damaged_records(&bed), 1);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 0, got, 3, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, "abc", 3), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 3, "abc", 3), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 7, 1, 0, got, 3, NULL), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 7, 0, 0, got, 100, NULL), -EIO);
	/* A truncate that cuts through it must end; it stays damaged, what is behind it goes. */
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 7, 0, 100, 0, NULL), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 7, 0, 0, got, 100, NULL), -EIO);
	memset(got, 1, 3);
	CU_ASSERT_EQUAL(bed_read(&bed, 7, 1, 0, got, 3, NULL), 0);
	CU_ASSERT_EQUAL(got[0], 0);
	/* It can be deleted, and its place used again. */
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 7, 0, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(damaged_records(&bed), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 7, 0, 0, got, 100, NULL), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 7, 0, 0, "ghi", 3), 0);
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(damaged_records(&bed), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 7, 0, 0, got, 3, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, "ghi", 3), 0);
	bed_fini(&bed);
}

/* A sound record that names a block of another one: the block stays the other one's. */
static void test_claimed_block(void)
{
	static struct oss_rec rec;
	uint8_t val[OSS_REC_MAX];
	struct oss_bed bed;
	uint64_t before;
	uint32_t b;

	bed_init(&bed, 4 << 20);
	bed.no_small = true;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	fill(buf, 4096, 5);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, 4096), 0);
	before = bed_free(&bed);
	memset(&rec, 0, sizeof(rec));
	for (b = 1; b < 4; b++) /* block 1 is that of inode 1 */
		rec.blk[b] = 4 - b;
	rec.mapped = 3;
	rec.len = 4 * 4096;
	put_raw(&bed, 7, val, oss_rec_encode(&rec, val));
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(damaged_records(&bed), 1);
	CU_ASSERT_EQUAL(bed_read(&bed, 7, 0, 0, got, 4096, NULL), -EIO);
	CU_ASSERT_EQUAL(bed_write(&bed, 7, 0, 0, got, 4096), -EIO);
	/* Deleting it gives no block away that the other one has. */
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 7, 0, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(damaged_records(&bed), 0);
	memset(got, 0, 4096);
	CU_ASSERT_EQUAL(bed_write(&bed, 8, 0, 0, got, 4096), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 0, got, 4096, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf, 4096), 0);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 8, 0, 0, 0, NULL), 0);
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(bed_free(&bed), before);
	bed_fini(&bed);
}

/* A store in which nothing is right is not opened. */
static void test_all_damaged(void)
{
	struct oss_bed bed;
	uint64_t ino;

	bed_init(&bed, 4 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	for (ino = 1; ino <= 1025; ino++)
		put_raw(&bed, ino, "garbage", 7);
	bed_close(&bed);
	CU_ASSERT_EQUAL(bed_open(&bed), -EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(strstr(bed.last_err, "inode 401"));
	bed_fini(&bed);
}

static void test_foreign(void)
{
	struct oss_bed bed;
	char cmd[256];

	bed_init(&bed, 4 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	bed_close(&bed);
	CU_ASSERT_EQUAL(truncate(bed.data, 1 << 20), 0);
	CU_ASSERT_EQUAL(bed_open(&bed), -EFBIG);
	CU_ASSERT_EQUAL(truncate(bed.data, 5 << 20), 0);
	{
		struct oss_store_cfg cfg = {
			.env = bed.env, .pool = bed.pool, .kv_path = bed.kv,
			.data_path = bed.data, .data_offset = 4096, .data_size = bed.size,
			.uuid = "another target",
		};

		CU_ASSERT_EQUAL(oss_store_open(&cfg, &bed.store, bed.last_err), -EXDEV);
		snprintf(cmd, sizeof(cmd), "rm -rf %s", bed.kv);
		CU_ASSERT_EQUAL(system(cmd), 0);
		CU_ASSERT_EQUAL(oss_store_open(&cfg, &bed.store, bed.last_err), -ENODATA);
	}
	bed.store = NULL;
	bed_fini(&bed);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("oss/store", NULL, NULL);
	CU_add_test(s, "model", test_model);
	CU_add_test(s, "concurrent writes", test_concurrent);
	CU_add_test(s, "group commit", test_group);
	CU_add_test(s, "long read", test_long_read);
	CU_add_test(s, "full target", test_full);
	CU_add_test(s, "damaged block", test_damaged_block);
	CU_add_test(s, "damaged block that is cut", test_damaged_cut);
	CU_add_test(s, "damaged record", test_damaged_record);
	CU_add_test(s, "a record that claims a block of another", test_claimed_block);
	CU_add_test(s, "too many damaged records", test_all_damaged);
	CU_add_test(s, "foreign or missing parts", test_foreign);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
