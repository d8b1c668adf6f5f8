// SPDX-License-Identifier: Apache-2.0
/*
 * iobench: bandwidth of large files, in the manner of IOR.
 *
 *     iobench [-t THREADS] [-s SIZE] [-b BLOCK] [--random-ops N] [--shared] [--direct]
 *             [--verify] [--phases NAME,..] [--drop] [--json] [--label TEXT]
 *             [--stats FILE | --nfs MOUNTPOINT] [--sample COMMAND] DIR
 *
 * Each thread has SIZE bytes (64m), in a file of its own or with --shared in its segment of one.
 * Phases: write (sequential, new file), read, rewrite (sequential, existing), randwrite,
 * randread, each in blocks of BLOCK (1m); the random ones do --random-ops blocks (256). Writing
 * phases end with an fsync that counts. Every 512 bytes carry a stamp of thread and offset, which
 * reads verify, so a block from a wrong place or file is found; --verify compares all bytes.
 * --direct uses O_DIRECT. With --drop reading phases start without caches.
 *
 * Ends with status 2 and a sentence when an operation fails or a byte is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/lib/bench.h"

static struct {
	const char *dir;
	uint64_t size, block, random_ops;
	bool shared, direct, verify;
} opt = { .size = 64 << 20, .block = 1 << 20, .random_ops = 256 };

static struct bench bench = { .program = "iobench", .label = "", .threads = 1 };

/* Every 512 bytes start with a stamp; what is between is the same everywhere. */
static uint64_t stamp(unsigned thread, uint64_t off)
{
	return (off + 1) * 0x9e3779b97f4a7c15ull + thread;
}

static void fill_block(uint64_t *buf)
{
	struct rng r = { 1 };

	for (uint64_t i = 0; i < opt.block / 8; i++)
		buf[i] = rng_next(&r);
}

static void stamp_block(uint64_t *buf, unsigned thread, uint64_t off)
{
	for (uint64_t i = 0; i < opt.block; i += 512)
		buf[i / 8] = stamp(thread, off + i);
}

static void check_block(const uint64_t *buf, const uint64_t *pattern, unsigned thread, uint64_t off)
{
	for (uint64_t i = 0; i < opt.block; i += 512)
		if (buf[i / 8] != stamp(thread, off + i))
			die("iobench: thread %u: wrong data at offset %llu", thread,
			    (unsigned long long)(off + i));
	for (uint64_t i = 0; opt.verify && i < opt.block / 8; i++)
		if (i % 64 && buf[i] != pattern[i])
			die("iobench: thread %u: wrong data at offset %llu", thread,
			    (unsigned long long)(off + 8 * i));
}

/* What a phase does with a block. */
struct plan {
	bool write, random, create;
};

static int open_file(const struct bench_thread *t, const struct plan *p)
{
	char name[32];
	int fd, flags = p->write ? O_RDWR : O_RDONLY;

	snprintf(name, sizeof(name), "f%u", opt.shared ? 0 : t->id);
	if (p->create)
		flags |= O_CREAT;
	fd = open(name, flags | O_CLOEXEC | (opt.direct ? O_DIRECT : 0), 0644);
	return fd < 0 ? -errno : fd;
}

static int move_block(int fd, char *buf, bool write, uint64_t off)
{
	uint64_t done = 0;
	ssize_t n;

	while (done < opt.block) {
		if (write)
			n = pwrite(fd, buf + done, opt.block - done, (off_t)(off + done));
		else
			n = pread(fd, buf + done, opt.block - done, (off_t)(off + done));
		if (n < 0)
			return -errno;
		if (!n)
			die("iobench: end of file at offset %llu",
			    (unsigned long long)(off + done));
		done += (uint64_t)n;
	}
	return 0;
}

/* bufs: one block to write from and to compare with, one to read into */
static int one_block(struct bench_thread *t, int fd, char *bufs, const struct plan *p, uint64_t off)
{
	char *buf = p->write ? bufs : bufs + opt.block;
	uint64_t base = opt.shared ? t->id * opt.size : 0, start;
	int rc;

	if (p->write)
		stamp_block((uint64_t *)buf, t->id, off);
	start = now_ns();
	rc = move_block(fd, buf, p->write, base + off);
	if (rc)
		return rc;
	bench_op(t, start, opt.block);
	if (!p->write)
		check_block((uint64_t *)buf, (uint64_t *)bufs, t->id, off);
	return 0;
}

static int run(struct bench_thread *t)
{
	const struct plan *p = t->arg;
	uint64_t blocks = opt.size / opt.block, n = p->random ? opt.random_ops : blocks;
	struct rng r = { t->id + 1 };
	int fd = open_file(t, p), rc = 0;
	void *buf;

	if (fd < 0)
		return fd;
	if (posix_memalign(&buf, 4096, 2 * opt.block))
		die("no memory");
	fill_block(buf);
	for (uint64_t i = 0; i < n && !rc; i++)
		rc = one_block(t, fd, buf, p, opt.block * (p->random ? rng_below(&r, blocks) : i));
	if (!rc && p->write && fsync(fd))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	free(buf);
	return rc;
}

static void phase(const char *name, bool write, bool random, bool create)
{
	struct plan p = { write, random, create };

	if (bench_wants(&bench, name))
		bench_phase(&bench, name, run, &p, random ? opt.random_ops : opt.size / opt.block,
			    !write);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (bench_option(&bench, argc, argv, &i))
			continue;
		if (!strcmp(a, "-s"))
			opt.size = parse_size(bench_value(argc, argv, &i));
		else if (!strcmp(a, "-b"))
			opt.block = parse_size(bench_value(argc, argv, &i));
		else if (!strcmp(a, "--random-ops"))
			opt.random_ops = parse_size(bench_value(argc, argv, &i));
		else if (!strcmp(a, "--shared"))
			opt.shared = true;
		else if (!strcmp(a, "--direct"))
			opt.direct = true;
		else if (!strcmp(a, "--verify"))
			opt.verify = true;
		else if (a[0] == '-' || opt.dir)
			die("iobench: unknown argument '%s'", a);
		else
			opt.dir = a;
	}
	if (!opt.dir)
		die("usage: iobench [-t THREADS] [-s SIZE] [-b BLOCK] [--random-ops N]\n"
		    "               [--shared] [--direct] [--verify] [--phases NAME,..] [--drop]\n"
		    "               [--json] [--label TEXT]\n"
		    "               [--stats FILE | --nfs MOUNTPOINT] [--sample COMMAND] DIR");
	if (!opt.block || opt.block % 512 || opt.size < opt.block)
		die("iobench: -b must be a multiple of 512 and not more than -s");
}

int main(int argc, char **argv)
{
	char top[64];
	int rc;

	parse(argc, argv);
	snprintf(top, sizeof(top), "iobench.%d", (int)getpid());
	if (chdir(opt.dir) || mkdir(top, 0755) || chdir(top))
		die("%s/%s: %s", opt.dir, top, strerror(errno));
	phase("write", true, false, true);
	phase("read", false, false, false);
	phase("rewrite", true, false, false);
	phase("randwrite", true, true, false);
	phase("randread", false, true, false);
	rc = chdir("..") ? -errno : remove_tree(AT_FDCWD, top);
	if (rc)
		die("removing %s: %s", top, strerror(-rc));
	return 0;
}
