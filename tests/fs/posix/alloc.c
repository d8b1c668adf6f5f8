// SPDX-License-Identifier: Apache-2.0
/*
 * fallocate modes, SEEK_HOLE and SEEK_DATA.
 */
#include <linux/falloc.h>

#include "tests/fs/posix/posix.h"

enum { CHUNK = 1 << 20 };

static int mk(size_t n)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	fill(fd, 0, n, 'x');
	return fd;
}

static void falloc_extends(void)
{
	int fd = mk(100);

	OK(fallocate(fd, 0, 0, 10000));
	EQ(fst(fd).st_size, 10000);
	FILLED(fd, 0, 100, 'x');
	FILLED(fd, 100, 9900, 0);
	OK(fallocate(fd, 0, 20000, 5));
	EQ(fst(fd).st_size, 20005);
	OK(fallocate(fd, 0, 0, 10));
	EQ(fst(fd).st_size, 20005);
	EQ(posix_fallocate(fd, 0, 30000), 0);
	EQ(fst(fd).st_size, 30000);
}

static void falloc_keep_size(void)
{
	int fd = mk(100);

	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
	EQ(fst(fd).st_size, 100);
	FILLED(fd, 0, 100, 'x');
	EQ(pread(fd, &(char){ 0 }, 1, 100), 0);
	fill(fd, 50000, 10, 'y');
	FILLED(fd, 100, 49900, 0);
}

/* Punches [off, off + len) of n bytes of x and checks every byte, cached and not. */
static void punch(size_t n, off_t off, off_t len)
{
	int fd = mk(n);
	size_t end = (size_t)(off + len) < n ? (size_t)(off + len) : n;

	if (n & 1)
		OK(fsync(fd));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len));
	for (int pass = 0; pass < 2; pass++) {
		EQ(fst(fd).st_size, (long long)n);
		FILLED(fd, 0, (size_t)off, 'x');
		FILLED(fd, off, end - (size_t)off, 0);
		FILLED(fd, (off_t)end, n - end, 'x');
		OK(fsync(fd));
		OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	}
	OK(close(fd));
	OK(unlink("f"));
}

static void falloc_punch_hole(void)
{
	punch(5000, 10, 20);
	punch(20000, 4096, 8192);
	punch(20001, 4000, 8300);
	punch(3 * CHUNK + 1, CHUNK, CHUNK);
	punch(3 * CHUNK, CHUNK / 2 + 3, 2 * CHUNK);
	punch(10001, 9000, 100000);
	punch(10000, 0, 10000);
}

static void falloc_punch_frees_space(void)
{
	int fd = mk(4 * CHUNK);
	blkcnt_t before;

	OK(fsync(fd));
	before = fst(fd).st_blocks;
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3 * CHUNK));
	OK(fsync(fd));
	YES(fst(fd).st_blocks <= before - 2 * CHUNK / 512);
}

static void falloc_punch_beyond_end(void)
{
	int fd = mk(1000);

	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 1000));
	EQ(fst(fd).st_size, 1000);
	FILLED(fd, 0, 1000, 'x');
}

static void falloc_zero_range(void)
{
	int fd = mk(3 * CHUNK);

	if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 1000, 2 * CHUNK)) {
		EQ(errno, EOPNOTSUPP);
		if (is_tmpfs())
			case_skip("tmpfs has no FALLOC_FL_ZERO_RANGE");
		case_fail(__FILE__, __LINE__, "FALLOC_FL_ZERO_RANGE: EOPNOTSUPP");
	}
	FILLED(fd, 0, 1000, 'x');
	FILLED(fd, 1000, 2 * CHUNK, 0);
	FILLED(fd, 1000 + 2 * CHUNK, CHUNK - 1000, 'x');
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 3 * CHUNK - 10, 1000));
	EQ(fst(fd).st_size, 3 * CHUNK + 990);
	FILLED(fd, 3 * CHUNK - 10, 1000, 0);
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 9 * CHUNK));
	EQ(fst(fd).st_size, 3 * CHUNK + 990);
	FILLED(fd, 0, 3 * CHUNK + 990, 0);
}

static void falloc_errors(void)
{
	int fd = mk(1000), p[2];

	ERR(EINVAL, fallocate(fd, 0, 0, 0));
	ERR(EINVAL, fallocate(fd, 0, -1, 10));
	ERR(EINVAL, fallocate(fd, 0, 10, -1));
	ERR(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	ERR(EOPNOTSUPP, fallocate(fd, 0x4000, 0, 10));
	ERR(EFBIG, fallocate(fd, 0, INT64_MAX - 10, 100));
	ERR(EBADF, fallocate((int)OK(open("f", O_RDONLY)), 0, 0, 10));
	ERR(EBADF, fallocate(-1, 0, 0, 10));
	OK(pipe(p));
	ERR(ESPIPE, fallocate(p[1], 0, 0, 10));
	EQ(fst(fd).st_size, 1000);
}

static void seek_plain_file(void)
{
	int fd = mk(10000);

	EQ(lseek(fd, 0, SEEK_DATA), 0);
	EQ(lseek(fd, 5000, SEEK_DATA), 5000);
	EQ(lseek(fd, 0, SEEK_HOLE), 10000);
	EQ(lseek(fd, 9999, SEEK_HOLE), 10000);
	ERR(ENXIO, lseek(fd, 10000, SEEK_DATA));
	ERR(ENXIO, lseek(fd, 10000, SEEK_HOLE));
	ERR(ENXIO, lseek(fd, -1, SEEK_DATA));
	fd = (int)OK(open("empty", O_CREAT | O_RDWR, 0600));
	ERR(ENXIO, lseek(fd, 0, SEEK_DATA));
	ERR(ENXIO, lseek(fd, 0, SEEK_HOLE));
}

/* Whatever the granularity, data must never be reported as a hole, and holes must be zero. */
static void seek_finds_all_data(void)
{
	static const off_t at[] = { 3 * CHUNK, 8 * CHUNK + 4096, 20 * CHUNK };
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));
	off_t pos = 0, data, hole;
	unsigned found = 0;

	for (size_t i = 0; i < 3; i++)
		fill(fd, at[i], 8192, 'd');
	OK(ftruncate(fd, 30 * CHUNK));
	for (;;) {
		data = lseek(fd, pos, SEEK_DATA);
		if (data < 0)
			break;
		YES(data >= pos);
		FILLED(fd, pos, (size_t)(data - pos), 0);
		hole = OK(lseek(fd, data, SEEK_HOLE));
		YES(hole > data);
		for (size_t i = 0; i < 3; i++)
			if (at[i] >= data && at[i] + 8192 <= hole)
				found |= 1u << i;
		pos = hole;
	}
	EQ(errno, ENXIO);
	EQ(found, 7);
}

static void seek_whole_hole(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	OK(ftruncate(fd, 2 * CHUNK));
	ERR(ENXIO, lseek(fd, 0, SEEK_DATA));
	EQ(lseek(fd, 0, SEEK_HOLE), 0);
	EQ(lseek(fd, CHUNK, SEEK_HOLE), CHUNK);
}

static void seek_after_punch(void)
{
	int fd = mk(8 * CHUNK);

	OK(fsync(fd));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * CHUNK, 4 * CHUNK));
	OK(fsync(fd));
	EQ(lseek(fd, 0, SEEK_HOLE), 2 * CHUNK);
	EQ(lseek(fd, 2 * CHUNK, SEEK_DATA), 6 * CHUNK);
	EQ(lseek(fd, 6 * CHUNK, SEEK_HOLE), 8 * CHUNK);
}

const struct posix_case alloc_cases[] = {
	CASE(falloc_extends), CASE(falloc_keep_size), CASE(falloc_punch_hole),
	CASE(falloc_punch_frees_space), CASE(falloc_punch_beyond_end), CASE(falloc_zero_range),
	CASE(falloc_errors), CASE(seek_plain_file), CASE(seek_finds_all_data),
	CASE(seek_whole_hole), CASE(seek_after_punch),
	{ 0 },
};
