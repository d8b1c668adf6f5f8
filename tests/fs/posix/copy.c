// SPDX-License-Identifier: Apache-2.0
/*
 * copy_file_range, sendfile, splice, reflink and dedupe requests.
 */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

#include "tests/fs/posix/posix.h"

static int mk(const char *name, size_t n, int c)
{
	int fd = (int)OK(open(name, O_CREAT | O_RDWR, 0600));

	fill(fd, 0, n, c);
	return fd;
}

static void cfr_copies(void)
{
	int a = mk("a", 300000, 'a'), b = mk("b", 10, 'b');
	off_t in = 1000, out = 5;

	for (size_t left = 200000; left;) {
		long n = OK(copy_file_range(a, &in, b, &out, left, 0));

		YES(n > 0);
		left -= (size_t)n;
	}
	EQ(in, 201000);
	EQ(out, 200005);
	EQ(fst(b).st_size, 200005);
	FILLED(b, 0, 5, 'b');
	FILLED(b, 5, 200000, 'a');
}

static void cfr_end_of_file(void)
{
	int a = mk("a", 100, 'a'), b = mk("b", 0, 0);
	off_t in = 60, out = 0;

	EQ(copy_file_range(a, &in, b, &out, 1000, 0), 40);
	EQ(copy_file_range(a, &in, b, &out, 1000, 0), 0);
	EQ(fst(b).st_size, 40);
}

static void cfr_same_file(void)
{
	int a = mk("a", 10000, 'a');
	off_t in = 0, out = 20000;

	fill(a, 0, 5000, 'f');
	EQ(copy_file_range(a, &in, a, &out, 5000, 0), 5000);
	FILLED(a, 20000, 5000, 'f');
	FILLED(a, 10000, 10000, 0);
	in = 0;
	out = 100;
	ERR(EINVAL, copy_file_range(a, &in, a, &out, 5000, 0));
}

static void cfr_errors(void)
{
	int a = mk("a", 100, 'a'), b = mk("b", 100, 'b'), d = (int)OK(open(".", O_RDONLY));
	int ro = (int)OK(open("b", O_RDONLY)), app = (int)OK(open("b", O_WRONLY | O_APPEND));
	int wo = (int)OK(open("a", O_WRONLY));

	ERR(EBADF, copy_file_range(a, NULL, ro, NULL, 10, 0));
	ERR(EBADF, copy_file_range(wo, NULL, b, NULL, 10, 0));
	ERR(EBADF, copy_file_range(a, NULL, app, NULL, 10, 0));
	ERR(EISDIR, copy_file_range(d, NULL, b, NULL, 10, 0));
	ERR(EINVAL, copy_file_range(a, NULL, b, NULL, 10, 99));
	ERR(EBADF, copy_file_range(-1, NULL, b, NULL, 10, 0));
}

static void cfr_from_dirty_pages(void)
{
	int a = mk("a", 1 << 20, 'a'), b = mk("b", 0, 0);
	off_t in = 0, out = 0;

	fill(a, 4000, 200, 'n');
	while (in < 1 << 20)
		YES(OK(copy_file_range(a, &in, b, &out, (size_t)((1 << 20) - in), 0)) > 0);
	FILLED(b, 0, 4000, 'a');
	FILLED(b, 4000, 200, 'n');
	FILLED(b, 4200, (1 << 20) - 4200, 'a');
}

static void sendfile_to_file(void)
{
	int a = mk("a", 200000, 'a'), b = mk("b", 0, 0);
	off_t off = 50;

	while (off < 200000)
		YES(OK(sendfile(b, a, &off, (size_t)(200000 - off))) > 0);
	EQ(fst(b).st_size, 199950);
	FILLED(b, 0, 199950, 'a');
	EQ(sendfile(b, a, &off, 10), 0);
}

static void splice_through_pipe(void)
{
	int a = mk("a", 100000, 'a'), b = mk("b", 0, 0), p[2];
	off_t in = 0, out = 0;

	fill(a, 30000, 1000, 'm');
	OK(pipe(p));
	while (in < 100000) {
		long n = OK(splice(a, &in, p[1], NULL, (size_t)(100000 - in), SPLICE_F_MOVE));

		YES(n > 0);
		while (n)
			n -= OK(splice(p[0], NULL, b, &out, (size_t)n, SPLICE_F_MOVE));
	}
	EQ(out, 100000);
	FILLED(b, 0, 30000, 'a');
	FILLED(b, 30000, 1000, 'm');
	FILLED(b, 31000, 69000, 'a');
	EQ(splice(a, &in, p[1], NULL, 10, 0), 0);
	ERR(EINVAL, splice(a, NULL, b, NULL, 10, 0));
}

static void splice_from_pipe_to_file(void)
{
	int b = mk("b", 0, 0), p[2];
	off_t out = 0;
	char c;

	OK(pipe(p));
	EQ(write(p[1], "piped", 5), 5);
	EQ(splice(p[0], NULL, b, &out, 100, 0), 5);
	HOLDS("b", "piped");
	EQ(tee(p[0], p[1], 1, 0) == -1 && errno == EINVAL, 1);
	OK(lseek(b, 0, SEEK_SET));
	EQ(splice(b, NULL, p[1], NULL, 1, 0), 1);
	EQ(read(p[0], &c, 1), 1);
	EQ(c, 'p');
}

/* Either a real clone or an honest refusal. */
static void clone_or_refuse(void)
{
	int a = mk("a", 10000, 'a'), b = mk("b", 0, 0);

	if (!ioctl(b, FICLONE, a)) {
		FILLED(b, 0, 10000, 'a');
		return;
	}
	YES(errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL);
	EQ(fst(b).st_size, 0);
}

static void ioctl_unknown(void)
{
	int a = mk("a", 10, 'a');

	ERR(ENOTTY, ioctl(a, 0x12345678, 0));
	ERR(ENOTTY, ioctl((int)OK(open(".", O_RDONLY)), 0x12345678, 0));
}

const struct posix_case copy_cases[] = {
	CASE(cfr_copies), CASE(cfr_end_of_file), CASE(cfr_same_file), CASE(cfr_errors),
	CASE(cfr_from_dirty_pages), CASE(sendfile_to_file), CASE(splice_through_pipe),
	CASE(splice_from_pipe_to_file), CASE(clone_or_refuse), CASE(ioctl_unknown),
	{ 0 },
};
