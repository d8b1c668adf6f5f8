// SPDX-License-Identifier: Apache-2.0
/*
 * The operations of fsx. Each one draws its range from the random source, does the same to the
 * file and to the model, and compares what comes back. An operation that does not fit the
 * present size (reading an empty file) does nothing. The first error or difference ends the
 * process through fsx_fail().
 */
#include "tests/fs/fsx/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static char touches(const struct fsx_entry *e, off_t at)
{
	off_t len = (off_t)e->len;
	bool hit = at >= e->off && at < e->off + len;

	if (e->off2)
		hit = hit || (at >= e->off2 && at < e->off2 + len);
	return at >= 0 && hit ? '*' : ' ';
}

static void print_log(const struct fsx *f, off_t at)
{
	uint64_t first = f->nr >= FSX_LOG ? f->nr - FSX_LOG + 1 : 1;

	printf("last operations (* touches offset %lld):\n", (long long)at);
	for (uint64_t n = first; n <= f->nr; n++) {
		const struct fsx_entry *e = &f->log[n % FSX_LOG];

		printf("%c %6llu %-10s off %8lld len %8zu", touches(e, at),
		       (unsigned long long)e->nr, e->what, (long long)e->off, e->len);
		if (e->off2)
			printf(" to %8lld", (long long)e->off2);
		printf(" size %zu -> %zu\n", e->size_before, e->size_after);
	}
}

void fsx_fail(struct fsx *f, off_t at, const char *fmt, ...)
{
	va_list ap;

	f->cur->size_after = f->size;
	print_log(f, at);
	printf("FAIL %s operation %llu (%s): ", f->path, (unsigned long long)f->nr, f->cur->what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

static void fail_errno(struct fsx *f, const char *call)
{
	fsx_fail(f, f->cur->off, "%s: %s", call, strerror(errno));
}

/* Where the file holds something else than the model: first and last wrong byte, examples. */
static void compare(struct fsx *f, const uint8_t *got, off_t off, size_t len, const char *how)
{
	const uint8_t *want = f->want + off;
	size_t first, last;

	if (!memcmp(got, want, len))
		return;
	for (first = 0; got[first] == want[first]; first++)
		;
	for (last = len - 1; got[last] == want[last]; last--)
		;
	fsx_fail(f, off + (off_t)first,
		 "%s at %lld + %zu: wrong from %lld to %lld; first bytes expected "
		 "%02x %02x %02x %02x, got %02x %02x %02x %02x", how, (long long)off, len,
		 (long long)(off + (off_t)first), (long long)(off + (off_t)last),
		 want[first], want[min(first + 1, last)], want[min(first + 2, last)],
		 want[min(first + 3, last)], got[first], got[min(first + 1, last)],
		 got[min(first + 2, last)], got[min(first + 3, last)]);
}

static void check_size(struct fsx *f)
{
	struct stat st;

	if (fstat(f->fd, &st))
		fail_errno(f, "fstat");
	if (st.st_size != (off_t)f->size)
		fsx_fail(f, -1, "size: expected %zu, got %lld", f->size, (long long)st.st_size);
}

static void note(struct fsx *f, off_t off, size_t len)
{
	f->cur->off = off;
	f->cur->len = len;
}

/* A length that is often small, sometimes a page or a chunk boundary, at most max. */
static size_t pick_len(struct fsx *f, size_t max)
{
	size_t n = 1 + rng_below(&f->rng, f->max_io);

	switch (rng_below(&f->rng, 4)) {
	case 0: n = 1 + rng_below(&f->rng, 200); break;
	case 1: n = (n + FSX_ALIGN - 1) & ~(size_t)(FSX_ALIGN - 1); break;
	}
	return min(n, max);
}

static off_t pick_off(struct fsx *f, size_t limit)
{
	off_t off = (off_t)rng_below(&f->rng, limit);

	if (!rng_below(&f->rng, 4))
		off &= ~(off_t)(FSX_ALIGN - 1);
	return off;
}

/* A range inside the file; false when the file is empty. */
static bool pick_inside(struct fsx *f, off_t *off, size_t *len)
{
	if (!f->size)
		return false;
	*off = pick_off(f, f->size);
	*len = pick_len(f, f->size - (size_t)*off);
	note(f, *off, *len);
	return true;
}

/* A range anywhere below the largest size. */
static void pick_any(struct fsx *f, off_t *off, size_t *len)
{
	*off = pick_off(f, f->max);
	*len = pick_len(f, f->max - (size_t)*off);
	note(f, *off, *len);
}

/* New bytes, never zero, that tell which operation wrote them. */
static void make_bytes(struct fsx *f, uint8_t *p, off_t off, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t at = (size_t)off + i;
		uint8_t b = (uint8_t)((at & 1 ? at >> 9 : at >> 1) + f->nr * 37);

		p[i] = b ? b : 0xff;
	}
}

static void model_write(struct fsx *f, const uint8_t *p, off_t off, size_t len)
{
	memcpy(f->want + off, p, len);
	if ((size_t)off + len > f->size)
		f->size = (size_t)off + len;
}

static void model_zero(struct fsx *f, off_t off, size_t len)
{
	if ((size_t)off < f->size)
		memset(f->want + off, 0, min(len, f->size - (size_t)off));
}

static void model_size(struct fsx *f, size_t size)
{
	if (size < f->size)
		memset(f->want + size, 0, f->size - size);
	f->size = size;
}

static void read_check(struct fsx *f, int fd, off_t off, size_t len, const char *how)
{
	size_t left = len, done = 0;
	ssize_t n;

	while (left) {
		n = pread(fd, f->buf + done, left, off + (off_t)done);
		if (n < 0)
			fail_errno(f, how);
		if (!n)
			fsx_fail(f, off + (off_t)done, "%s: end of file at %lld, size is %zu", how,
				 (long long)off + (off_t)done, f->size);
		done += (size_t)n;
		left -= (size_t)n;
	}
	compare(f, f->buf, off, len, how);
}

static void op_read(struct fsx *f)
{
	off_t off;
	size_t len;

	if (pick_inside(f, &off, &len))
		read_check(f, f->fd, off, len, "read");
}

static void write_all(struct fsx *f, int fd, const uint8_t *p, off_t off, size_t len)
{
	ssize_t n;

	for (; len; len -= (size_t)n, off += n, p += n) {
		n = fd == f->fd_append ? write(fd, p, len) : pwrite(fd, p, len, off);
		if (n <= 0)
			fail_errno(f, "write");
	}
}

static void op_write(struct fsx *f)
{
	off_t off;
	size_t len;

	pick_any(f, &off, &len);
	make_bytes(f, f->buf, off, len);
	write_all(f, f->fd, f->buf, off, len);
	model_write(f, f->buf, off, len);
}

static void op_append(struct fsx *f)
{
	size_t len = pick_len(f, f->max - f->size);
	off_t off = (off_t)f->size;

	note(f, off, len);
	make_bytes(f, f->buf, off, len);
	write_all(f, f->fd_append, f->buf, off, len);
	model_write(f, f->buf, off, len);
}

/* Direct I/O: aligned memory, offset and length. */
static void op_dread(struct fsx *f)
{
	off_t off;
	size_t len;
	ssize_t n;

	if (!f->direct_works || !pick_inside(f, &off, &len))
		return;
	off &= ~(off_t)(FSX_ALIGN - 1);
	len = (len + FSX_ALIGN - 1) & ~(size_t)(FSX_ALIGN - 1);
	note(f, off, len);
	n = pread(f->fd_direct, f->buf, len, off);
	if (n < 0)
		fail_errno(f, "direct read");
	if ((size_t)n != min(len, f->size - (size_t)off))
		fsx_fail(f, off + n, "direct read: %zd bytes, size is %zu", n, f->size);
	compare(f, f->buf, off, (size_t)n, "direct read");
}

static void op_dwrite(struct fsx *f)
{
	off_t off;
	size_t len;

	if (!f->direct_works)
		return;
	pick_any(f, &off, &len);
	off &= ~(off_t)(FSX_ALIGN - 1);
	len = (len + FSX_ALIGN - 1) & ~(size_t)(FSX_ALIGN - 1);
	note(f, off, len);
	make_bytes(f, f->buf, off, len);
	write_all(f, f->fd_direct, f->buf, off, len);
	model_write(f, f->buf, off, len);
}

static uint8_t *map_range(struct fsx *f, off_t off, size_t len, int prot, size_t *maplen)
{
	off_t start = off & ~(off_t)(FSX_ALIGN - 1);
	void *p;

	*maplen = len + (size_t)(off - start);
	p = mmap(NULL, *maplen, prot, MAP_SHARED, f->fd, start);
	if (p == MAP_FAILED)
		fail_errno(f, "mmap");
	return p;
}

/* What a mapping shows behind the end of the file, in the last page, must be zero. */
static void check_tail(struct fsx *f, const uint8_t *map, off_t off, size_t maplen)
{
	off_t start = off & ~(off_t)(FSX_ALIGN - 1);
	size_t end = (maplen + FSX_ALIGN - 1) & ~(size_t)(FSX_ALIGN - 1);

	for (size_t i = maplen; i < end; i++)
		if (start + (off_t)i >= (off_t)f->size && map[i])
			fsx_fail(f, start + (off_t)i, "mapped byte %lld beyond the end is %#x",
				 (long long)start + (off_t)i, map[i]);
}

static void op_mapread(struct fsx *f)
{
	size_t len, maplen;
	uint8_t *p;
	off_t off;

	if (!pick_inside(f, &off, &len))
		return;
	p = map_range(f, off, len, PROT_READ, &maplen);
	compare(f, p + (off & (FSX_ALIGN - 1)), off, len, "mapped read");
	check_tail(f, p, off, maplen);
	munmap(p, maplen);
}

static void op_mapwrite(struct fsx *f)
{
	size_t len, maplen;
	uint8_t *p;
	off_t off;
	int how;

	if (!pick_inside(f, &off, &len))
		return;
	p = map_range(f, off, len, PROT_READ | PROT_WRITE, &maplen);
	make_bytes(f, p + (off & (FSX_ALIGN - 1)), off, len);
	make_bytes(f, f->want + off, off, len);
	how = rng_below(&f->rng, 2) ? MS_SYNC : MS_ASYNC;
	if (!rng_below(&f->rng, 2) && msync(p, maplen, how))
		fail_errno(f, "msync");
	check_tail(f, p, off, maplen);
	munmap(p, maplen);
}

static void set_size(struct fsx *f, size_t size)
{
	note(f, (off_t)min(size, f->size), size > f->size ? size - f->size : f->size - size);
	if (ftruncate(f->fd, (off_t)size))
		fail_errno(f, "ftruncate");
	model_size(f, size);
}

static void op_truncate(struct fsx *f)
{
	set_size(f, (size_t)pick_off(f, f->size + 1));
}

static void op_extend(struct fsx *f)
{
	set_size(f, f->size + (size_t)pick_off(f, f->max - f->size + 1));
}

static void op_punch(struct fsx *f)
{
	off_t off;
	size_t len;

	pick_any(f, &off, &len);
	if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, (off_t)len))
		fail_errno(f, "punch hole");
	model_zero(f, off, len);
}

static void op_zero(struct fsx *f)
{
	bool keep = rng_below(&f->rng, 2);
	off_t off;
	size_t len;

	pick_any(f, &off, &len);
	if (fallocate(f->fd, FALLOC_FL_ZERO_RANGE | (keep ? FALLOC_FL_KEEP_SIZE : 0), off,
		      (off_t)len))
		fail_errno(f, "zero range");
	if (!keep && (size_t)off + len > f->size)
		model_size(f, (size_t)off + len);
	model_zero(f, off, len);
}

static void op_falloc(struct fsx *f)
{
	bool keep = rng_below(&f->rng, 2);
	off_t off;
	size_t len;

	pick_any(f, &off, &len);
	if (fallocate(f->fd, keep ? FALLOC_FL_KEEP_SIZE : 0, off, (off_t)len))
		fail_errno(f, "fallocate");
	if (!keep && (size_t)off + len > f->size)
		model_size(f, (size_t)off + len);
}

/* Within the file, ranges that do not overlap; what was copied is taken from the model. */
static void op_copy(struct fsx *f)
{
	off_t from, in, out, to;
	size_t len;
	ssize_t n;

	if (!pick_inside(f, &from, &len))
		return;
	to = pick_off(f, f->max - len + 1);
	if (to < from + (off_t)len && from < to + (off_t)len)
		return;
	f->cur->off2 = to;
	for (in = from, out = to; in < from + (off_t)len;) {
		n = copy_file_range(f->fd, &in, f->fd, &out, (size_t)(from + (off_t)len - in), 0);
		if (n <= 0)
			fail_errno(f, "copy_file_range");
	}
	memcpy(f->buf, f->want + from, len);
	model_write(f, f->buf, to, len);
}

static void op_fsync(struct fsx *f)
{
	if (rng_below(&f->rng, 2) ? fsync(f->fd) : fdatasync(f->fd))
		fail_errno(f, "fsync");
}

static void op_reopen(struct fsx *f)
{
	fsx_close(f);
	fsx_open(f, 0);
}

static void op_drop(struct fsx *f)
{
	if (rng_below(&f->rng, 2) && fdatasync(f->fd))
		fail_errno(f, "fdatasync");
	errno = posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (errno)
		fail_errno(f, "posix_fadvise");
}

static void must_be_zero(struct fsx *f, off_t from, off_t to)
{
	for (off_t i = from; i < to; i++)
		if (f->want[i])
			fsx_fail(f, i, "byte %lld holds data, said to be a hole from %lld to %lld",
				 (long long)i, (long long)from, (long long)to);
}

/* A hole reported must hold no data; data may be reported where there are only zeros. */
static void op_seek(struct fsx *f)
{
	off_t off, data, hole, end = (off_t)f->size;
	size_t len;

	if (!pick_inside(f, &off, &len))
		return;
	data = lseek(f->fd, off, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		fail_errno(f, "SEEK_DATA");
	must_be_zero(f, off, data < 0 ? end : data);
	hole = lseek(f->fd, off, SEEK_HOLE);
	if (hole < 0)
		fail_errno(f, "SEEK_HOLE");
	if (hole < off || hole > end || (data < 0 && hole != off))
		fsx_fail(f, off, "SEEK_HOLE from %lld gives %lld, SEEK_DATA %lld, size %zu",
			 (long long)off, (long long)hole, (long long)data, f->size);
	if (hole == end)
		return;
	data = lseek(f->fd, hole, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		fail_errno(f, "SEEK_DATA");
	if (data == hole)
		fsx_fail(f, hole, "%lld is both hole and data", (long long)hole);
	must_be_zero(f, hole, data < 0 ? end : data);
}

void fsx_check_all(struct fsx *f)
{
	note(f, 0, f->size);
	check_size(f);
	read_check(f, f->fd, 0, f->size, "whole file");
	if (pread(f->fd, f->buf, 1, (off_t)f->size))
		fsx_fail(f, (off_t)f->size, "read at the end of the file is not empty");
}

static void op_check(struct fsx *f)
{
	fsx_check_all(f);
}

static int open_or_die(struct fsx *f, int flags)
{
	int fd = open(f->path, O_RDWR | O_CLOEXEC | flags, 0600);

	if (fd < 0)
		fail_errno(f, "open");
	return fd;
}

void fsx_open(struct fsx *f, int flags)
{
	f->fd = open_or_die(f, flags);
	f->fd_append = open_or_die(f, O_APPEND);
	f->fd_direct = -1;
	if (f->direct_works)
		f->fd_direct = open(f->path, O_RDWR | O_CLOEXEC | O_DIRECT);
	if (f->direct_works && f->fd_direct < 0 && errno != EINVAL)
		fail_errno(f, "open for direct I/O");
	if (f->direct_works && f->fd_direct < 0) {
		printf("note: no O_DIRECT here, direct reads and writes are left out\n");
		f->direct_works = false;
	}
}

void fsx_close(struct fsx *f)
{
	if (close(f->fd) || close(f->fd_append) || (f->fd_direct >= 0 && close(f->fd_direct)))
		fail_errno(f, "close");
}

struct fsx_op fsx_ops[] = {
	{ "read", 20, op_read },	{ "write", 20, op_write },
	{ "append", 4, op_append },	{ "dread", 8, op_dread },
	{ "dwrite", 8, op_dwrite },	{ "mapread", 10, op_mapread },
	{ "mapwrite", 10, op_mapwrite },	{ "truncate", 6, op_truncate },
	{ "extend", 4, op_extend },	{ "punch", 6, op_punch },
	{ "zero", 4, op_zero },		{ "falloc", 4, op_falloc },
	{ "copy", 5, op_copy },		{ "fsync", 3, op_fsync },
	{ "reopen", 2, op_reopen },	{ "drop", 4, op_drop },
	{ "seek", 5, op_seek },		{ "check", 1, op_check },
};

const size_t fsx_nops = sizeof(fsx_ops) / sizeof(fsx_ops[0]);
