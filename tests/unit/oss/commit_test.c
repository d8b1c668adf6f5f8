// SPDX-License-Identifier: Apache-2.0
/*
 * Crashes: a child runs random changes and dies at some step; what the disk had not been told to
 * keep is lost or torn; the next child must find in each segment exactly the state after some
 * change between the last one that was acknowledged and the last one that was begun. And failures
 * of the commit itself: nothing is lost, nothing of the failed group appears, and the store
 * recovers by itself.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/log.h"
#include "oss/internal.h"
#include "tests/unit/oss/harness.h"

#define INOS 2
#define CHUNK (2u << 20)
#define SEGS (INOS * 2)
#define MAX_OPS 3000
#define MAX_UNDO 16384

struct change {
	enum oss_op_kind kind;
	uint64_t ino;
	uint32_t off;
	uint32_t len;
	uint32_t seed;
	bool acked;
};

/* A block that was written since the last sync, and what it held before. */
struct undo {
	uint64_t off;
	bool written; /* the write is over */
	bool syncing; /* a sync that began after that is running */
	uint8_t old[4096];
};

/* What survives a child. */
static struct shared {
	uint8_t base[INOS][CHUNK];
	struct change ops[MAX_OPS];
	uint32_t nops;
	uint32_t nundo;
	uint32_t checked; /* segments that were in a state after an unacknowledged change */
	struct undo undo[MAX_UNDO];
} *sh;

static uint32_t rnd_state;
static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (uint64_t)(rnd_state >> 4) * n >> 28;
}

/* --- a disk that forgets (in the child) */

static int data_fd;

struct seen {
	void (*done)(struct weft_io *io, ssize_t res);
	void *arg;
	uint32_t first, count;
};

static void sync_over(void)
{
	uint32_t i, n = 0;

	for (i = 0; i < sh->nundo; i++)
		if (!sh->undo[i].syncing)
			sh->undo[n++] = sh->undo[i];
	sh->nundo = n;
}

static void seen_done(struct weft_io *io, ssize_t res)
{
	struct seen s = *(struct seen *)io->arg;
	uint32_t i;

	free(io->arg);
	if (io->op == WEFT_IO_FDATASYNC)
		sync_over();
	for (i = 0; io->op == WEFT_IO_WRITE && i < sh->nundo; i++)
		if (sh->undo[i].off - s.first * 4096ull < s.count * 4096ull)
			sh->undo[i].written = true;
	io->done = s.done;
	io->arg = s.arg;
	io->done(io, res);
}

static void on_submit(struct weft_io *io)
{
	struct seen *s;
	uint32_t i;

	if (io->op == WEFT_IO_READ)
		return;
	s = malloc(sizeof(*s));
	*s = (struct seen){ io->done, io->arg, io->off / 4096, io->len / 4096 };
	io->done = seen_done;
	io->arg = s;
	for (i = 0; io->op == WEFT_IO_FDATASYNC && i < sh->nundo; i++)
		sh->undo[i].syncing = sh->undo[i].written;
	for (i = 0; io->op == WEFT_IO_WRITE && i < s->count; i++) {
		struct undo *u = &sh->undo[sh->nundo];

		u->off = io->off + i * 4096;
		u->written = u->syncing = false;
		if (pread(data_fd, u->old, 4096, u->off) != 4096 || ++sh->nundo == MAX_UNDO)
			_exit(3);
	}
}

/* In the parent: each sector that was not synced is as before, or new, at random. */
static void lose_writes(const char *path)
{
	int fd = open(path, O_RDWR);
	uint32_t i, s;

	while (sh->nundo) {
		struct undo *u = &sh->undo[--sh->nundo];

		i = rnd(3);
		for (s = 0; s < 8; s++)
			if (i == 0 || (i == 1 && rnd(2)))
				if (pwrite(fd, u->old + 512 * s, 512, u->off + 512 * s) != 512)
					CU_FAIL("pwrite");
	}
	fsync(fd);
	close(fd);
}

/* --- the model */

static uint32_t change_end(const struct change *c)
{
	return c->kind == OSS_TRUNCATE ? CHUNK : c->off + c->len;
}

static bool touches(const struct change *c, uint64_t ino, uint32_t seg)
{
	return c->ino == ino && c->kind != OSS_ALLOC && c->off < (seg + 1) * OSS_SEG &&
	       change_end(c) > seg * OSS_SEG;
}

/* What a change does to a segment that it touches, whose bytes are @state. */
static void apply(const struct change *c, uint32_t seg, uint8_t *state)
{
	static uint8_t bytes[CHUNK];
	uint32_t from = seg * OSS_SEG, to = from + OSS_SEG, end = change_end(c);

	if (from < c->off)
		from = c->off;
	if (to > end)
		to = end;
	if (c->kind == OSS_WRITE) {
		fill(bytes, c->len, c->seed);
		memcpy(state + from % OSS_SEG, bytes + from - c->off, to - from);
	} else {
		memset(state + from % OSS_SEG, 0, to - from);
	}
}

static bool check_segment(uint64_t ino, uint32_t seg, const uint8_t *now)
{
	static uint8_t state[OSS_SEG];
	uint32_t i, must = 0;

	memcpy(state, sh->base[ino - 1] + seg * OSS_SEG, OSS_SEG);
	for (i = 0; i < sh->nops; i++)
		if (touches(&sh->ops[i], ino, seg) && sh->ops[i].acked)
			must = i + 1;
	for (i = 0; i < must; i++)
		if (touches(&sh->ops[i], ino, seg))
			apply(&sh->ops[i], seg, state);
	if (!memcmp(state, now, OSS_SEG))
		return true;
	for (; i < sh->nops; i++) {
		if (!touches(&sh->ops[i], ino, seg))
			continue;
		apply(&sh->ops[i], seg, state);
		if (!memcmp(state, now, OSS_SEG)) {
			sh->checked++;
			return true;
		}
	}
	return false;
}

/* --- the child */

struct job {
	struct oss_op op;
	struct weft_sg sg;
	uint32_t nr;
};

static struct oss_bed bed;
static unsigned int running;

/*
 * Two kinds of load: changes of all sizes, and small ones by one or two at a time, which fill the
 * journal's logs several times. Each point is reached some times before the crash: up to @most.
 */
struct load {
	uint32_t rounds;
	uint32_t nops;
	uint32_t max_len;
	uint32_t depth;
	const struct {
		const char *name;
		uint32_t most;
	} points[10];
	uint32_t npoints;
};

static const struct load mixed = {
	40, 48, CHUNK, 8,
	{ { "oss.write.start", 10 }, { "oss.write.data_done", 10 },
	  { "oss.commit.before_sync", 10 }, { "oss.commit.before_kv", 10 },
	  { "kv.commit.before", 10 }, { "kv.commit.after", 10 }, { "oss.commit.after_kv", 10 },
	  { "oss.journal.written", 3 } }, 8
};

static const struct load small = {
	15, MAX_OPS, 9000, 2, /* with each turn the logs are larger */
	{ { "oss.journal.written", 200 }, { "oss.journal.begun", 2 },
	  { "oss.commit.after_kv", 200 }, { "oss.commit.before_sync", 20 },
	  { "kv.commit.after", 20 } }, 5
};

static const struct load *load;

static void job_done(struct oss_op *op, int err)
{
	struct job *j = (struct job *)op;

	if (err)
		_exit(4);
	sh->ops[j->nr].acked = true;
	weft_sg_fini(&j->sg);
	free(j);
	running--;
	weft_env_stop(bed.env);
}

static void start_job(void)
{
	static const enum oss_op_kind kinds[] = { OSS_PUNCH, OSS_ALLOC, OSS_TRUNCATE };
	static uint8_t bytes[CHUNK];
	struct job *j = calloc(1, sizeof(*j));
	struct change *c = &sh->ops[sh->nops];

	*c = (struct change){ .kind = OSS_WRITE, .ino = 1 + rnd(INOS), .seed = rnd(1 << 28) };
	if (!rnd(load == &small ? 20 : 2))
		c->kind = kinds[rnd(3)];
	c->len = 1 + rnd(rnd(2) && load->max_len > 20000 ? 20000 : load->max_len);
	c->off = rnd(CHUNK - c->len + 1);
	if (rnd(2)) {
		c->off &= ~4095u;
		c->len = (c->len + 4095) & ~4095u;
		if (c->off + c->len > CHUNK)
			c->len = CHUNK - c->off;
	}
	/* A cut finds segments in steps, so only what came before it is surely ordered. */
	while (running && c->kind == OSS_TRUNCATE)
		weft_env_uv_run(bed.env);
	j->nr = sh->nops++;
	j->op = (struct oss_op){ .kind = c->kind, .ino = c->ino, .off = c->off, .len = c->len,
				 .bulk = &j->sg, .done = job_done };
	if (c->kind == OSS_WRITE) {
		fill(bytes, c->len, c->seed);
		if (weft_sg_alloc(&j->sg, bed.pool, c->len))
			_exit(5);
		weft_sg_write(&j->sg, 0, bytes, c->len);
	}
	running++;
	oss_store_submit(bed.store, &j->op);
	while (running && c->kind == OSS_TRUNCATE)
		weft_env_uv_run(bed.env);
}

static void child(uint32_t round)
{
	static uint8_t now[CHUNK];
	char spec[64];
	uint32_t ino, seg, sent;
	int err;

	weft_log_set_level(WEFT_LOG_WARN);
	data_fd = open(bed.data, O_RDONLY);
	bed_make_env(&bed);
	/* The dead child's disk requests may still be running: the data file is busy until then. */
	do
		err = bed_open(&bed);
	while (err == -EBUSY);
	if (err) {
		fprintf(stderr, "round %u: %s\n", round, bed.last_err);
		_exit(6);
	}
	for (ino = 1; ino <= INOS; ino++) {
		if (bed_read(&bed, ino, 0, 0, now, CHUNK, &sent))
			_exit(7);
		for (seg = 0; seg < CHUNK / OSS_SEG; seg++) {
			if (check_segment(ino, seg, now + seg * OSS_SEG))
				continue;
			fprintf(stderr, "round %u: inode %u segment %u is a mix\n", round, ino, seg);
			_exit(8);
		}
		memcpy(sh->base[ino - 1], now, CHUNK);
	}
	sh->nops = 0;
	if (round == load->rounds)
		_exit(0);
	bed_on_submit = on_submit;
	snprintf(spec, sizeof(spec), "%s=crash+%u", load->points[round % load->npoints].name,
		 rnd(load->points[round % load->npoints].most));
	if (weft_fault_set(spec))
		_exit(9);
	while (sh->nops < load->nops) {
		start_job();
		while (running > rnd(load->depth))
			weft_env_uv_run(bed.env);
	}
	_exit(10); /* it was to die before */
}

static void crash(const struct load *l)
{
	uint32_t round;
	int status;

	load = l;
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(sh != MAP_FAILED);
	bed_make_files(&bed, 64 << 20);
	for (round = 0; round <= load->rounds; round++) {
		pid_t pid;

		rnd_state = 1000 + round;
		pid = fork();
		if (!pid)
			child(round);
		CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
		if (round == load->rounds)
			CU_ASSERT_EQUAL_FATAL(status, 0);
		if (round < load->rounds)
			CU_ASSERT_EQUAL_FATAL(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGKILL);
		lose_writes(bed.data);
	}
	/* Some crashes must have come between durable and acknowledged, or this saw nothing. */
	CU_ASSERT(sh->checked > 0);
	bed_remove_files(&bed);
	munmap(sh, sizeof(*sh));
}

static void test_crash(void)
{
	crash(&mixed);
}

static void test_crash_small(void)
{
	crash(&small);
}

/* --- commits that fail */

static uint8_t buf[1 << 20], got[1 << 20];

static void fails_with(const char *fault, int err, bool reopen)
{
	struct oss_bed b;
	uint64_t before;
	int res;

	bed_init(&b, 32 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&b), 0);
	fill(buf, sizeof(buf), 1);
	CU_ASSERT_EQUAL(bed_write(&b, 1, 0, 0, buf, 100000), 0);
	before = bed_free(&b);
	CU_ASSERT_EQUAL(weft_fault_set(fault), 0);
	CU_ASSERT_EQUAL(bed_write(&b, 1, 0, 50000, buf + 7, 100000), err);
	CU_ASSERT_EQUAL(oss_store_stats(b.store)->failed_commits, 1);
	/* Reads go on and see the old bytes; changes are refused for now. */
	CU_ASSERT_EQUAL(bed_read(&b, 1, 0, 0, got, 200000, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf, 100000), 0);
	CU_ASSERT_EQUAL(got[100000], 0);
	CU_ASSERT_EQUAL(bed_write(&b, 2, 0, 0, buf, 10), err);
	CU_ASSERT_EQUAL(weft_fault_set(""), 0);
	while ((res = bed_write(&b, 2, 0, 0, buf, 10)) == err)
		bed_turn(&b);
	CU_ASSERT_EQUAL(res, 0);
	CU_ASSERT_EQUAL(bed_free(&b), before - 4096);
	if (reopen)
		bed_reopen(&b);
	CU_ASSERT_EQUAL(bed_read(&b, 1, 0, 0, got, 200000, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf, 100000), 0);
	CU_ASSERT_EQUAL(got[100000], 0);
	CU_ASSERT_EQUAL(bed_write(&b, 1, 0, 50000, buf + 7, 100000), 0);
	bed_fini(&b);
}

static void test_commit_fails(void)
{
	fails_with("oss.commit.before_kv=error(ENOSPC)", -ENOSPC, true);
	fails_with("oss.commit.before_sync=error(EIO)", -EIO, true);
	/* The batch is durable and the store does not know. */
	fails_with("oss.commit.after_kv=error(EIO)", -EIO, false);
	fails_with("oss.commit.after_kv=error(EIO)", -EIO, true);
	fails_with("kv.commit.before=error(ENOSPC)", -ENOSPC, true);
}

static void test_sync_fails(void)
{
	struct oss_bed b;

	bed_init(&b, 32 << 20);
	b.no_small = true;
	CU_ASSERT_EQUAL_FATAL(bed_open(&b), 0);
	CU_ASSERT_EQUAL(bed_write(&b, 1, 0, 0, "old", 3), 0);
	bed_fail_disk(WEFT_IO_FDATASYNC, 1, -EIO);
	CU_ASSERT_EQUAL(bed_write(&b, 1, 0, 0, "new", 3), -EIO);
	CU_ASSERT_EQUAL(bed_fail_disk(WEFT_IO_FDATASYNC, 0, 0), 1);
	while (bed_write(&b, 1, 0, 1, "x", 1) == -EIO)
		bed_turn(&b);
	bed_reopen(&b);
	CU_ASSERT_EQUAL(bed_read(&b, 1, 0, 0, got, 3, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, "oxd", 3), 0);
	bed_fini(&b);
}

/* --- the file system of the RocksDB is full (in a child with a mount of its own) */

#define DB_FS "size=48m"

static int use_up(const char *path)
{
	static char zeros[1 << 16];
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	if (fd < 0)
		return -1;
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	while (write(fd, zeros, 1) > 0)
		;
	close(fd);
	return 0;
}

/* Records of many extents; each change writes some 2 KiB to the log of the RocksDB. */
static int change(struct oss_bed *b, uint32_t i)
{
	return bed_do(b, i % 2 ? OSS_ALLOC : OSS_PUNCH, 1, 0, i / 2 % 120 * 8192, 4096, NULL);
}

#define NEED(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "line %d: %s\n", __LINE__, #cond);                         \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static void full_child(void)
{
	struct oss_bed b;
	char ballast[128];
	uint32_t i;
	int err = 0;

	NEED(!unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)));
	bed_make_files(&b, 16 << 20);
	snprintf(b.kv, sizeof(b.kv), "%s/fs", b.dir);
	NEED(!mkdir(b.kv, 0700));
	NEED(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	NEED(!mount("weft", b.kv, "tmpfs", 0, DB_FS));
	snprintf(ballast, sizeof(ballast), "%s/ballast", b.kv);
	strcat(b.kv, "/db");
	bed_make_env(&b);
	NEED(!bed_open(&b));
	fill(buf, sizeof(buf), 1);
	NEED(!bed_write(&b, 2, 0, 0, buf, 100000));
	for (i = 0; i < 240; i += 2)
		NEED(!change(&b, i + 1));
	NEED(!use_up(ballast));
	for (i = 0; i < 60000 && !err; i++)
		err = change(&b, i);
	NEED(err == -ENOSPC);
	NEED(!bed_read(&b, 2, 0, 0, got, 100000, NULL));
	NEED(!memcmp(buf, got, 100000));
	NEED(bed_write(&b, 2, 0, 0, "x", 1) == -ENOSPC);
	NEED(!unlink(ballast));
	for (i = 0; i < 4000 && err; i++) {
		bed_turn(&b);
		err = change(&b, 0);
	}
	NEED(!err);
	NEED(!bed_write(&b, 2, 0, 50, buf, 100));
	memmove(buf + 50, buf, 100);
	bed_reopen(&b);
	NEED(!bed_read(&b, 2, 0, 0, got, 100000, NULL));
	NEED(!memcmp(buf, got, 100000));
	bed_close(&b);
	*strrchr(b.kv, '/') = 0;
	NEED(!umount2(b.kv, MNT_DETACH));
	bed_remove_files(&b);
	_exit(0);
}

static void test_db_full(void)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		full_child();
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("oss/commit", NULL, NULL);
	CU_add_test(s, "crash at each step", test_crash);
	CU_add_test(s, "crash in small writes", test_crash_small);
	/* Both fork, so they come before this process has threads of RocksDB. */
	CU_add_test(s, "the RocksDB has no space", test_db_full);
	CU_add_test(s, "a commit fails", test_commit_fails);
	CU_add_test(s, "a sync of the data file fails", test_sync_fails);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
