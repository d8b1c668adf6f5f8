// SPDX-License-Identifier: Apache-2.0
/*
 * mmap: shared and private, msync, coherence with read and write, truncate under a mapping.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "tests/fs/posix/posix.h"

enum { PAGE = 4096 };

static sigjmp_buf on_bus;

static void bus(int sig)
{
	(void)sig;
	siglongjmp(on_bus, 1);
}

static char *map(int fd, size_t len, int prot, int flags)
{
	char *p = mmap(NULL, len, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		case_fail(__FILE__, __LINE__, "mmap: %s", ename(errno));
	return p;
}

static int mk(size_t n)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	fill(fd, 0, n, 'a');
	return fd;
}

static void mmap_shared_reads_and_writes(void)
{
	int fd = mk(3 * PAGE);
	char *p = map(fd, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	EQ(p[0], 'a');
	EQ(p[3 * PAGE - 1], 'a');
	memset(p + PAGE, 'm', PAGE);
	FILLED(fd, PAGE, PAGE, 'm');
	fill(fd, 0, 10, 'w');
	EQ(p[9], 'w');
	OK(msync(p, 3 * PAGE, MS_SYNC));
	OK(munmap(p, 3 * PAGE));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	FILLED(fd, 0, 10, 'w');
	FILLED(fd, PAGE, PAGE, 'm');
}

static void mmap_shared_without_msync(void)
{
	int fd = mk(PAGE + 100);
	char *p = map(fd, PAGE + 100, PROT_READ | PROT_WRITE, MAP_SHARED);

	memset(p, 'n', PAGE + 100);
	OK(munmap(p, PAGE + 100));
	OK(close(fd));
	fd = (int)OK(open("f", O_RDWR));
	OK(fsync(fd));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	FILLED(fd, 0, PAGE + 100, 'n');
	EQ(fst(fd).st_size, PAGE + 100);
}

static void mmap_outlives_close_and_unlink(void)
{
	int fd = mk(2 * PAGE);
	char *p = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	OK(close(fd));
	OK(unlink("f"));
	EQ(p[PAGE], 'a');
	memset(p, 'z', 2 * PAGE);
	OK(msync(p, 2 * PAGE, MS_SYNC));
	OK(madvise(p, 2 * PAGE, MADV_DONTNEED));
	EQ(p[2 * PAGE - 1], 'z');
}

static void mmap_private_copies(void)
{
	int fd = mk(2 * PAGE);
	char *p = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	memset(p, 'p', 2 * PAGE);
	OK(msync(p, 2 * PAGE, MS_SYNC));
	FILLED(fd, 0, 2 * PAGE, 'a');
	fill(fd, 0, 10, 'w');
	EQ(p[0], 'p');
}

static void mmap_private_of_read_only_file(void)
{
	char *p;
	int fd;

	mkfile("f", 0444, "text");
	fd = (int)OK(open("f", O_RDONLY));
	p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	p[0] = 'T';
	EQ(p[1], 'e');
	HOLDS("f", "text");
}

static void map_fails(int err, int fd, int prot, off_t off)
{
	YES(mmap(NULL, PAGE, prot, MAP_SHARED, fd, off) == MAP_FAILED);
	EQ(errno, err);
}

static void mmap_errors(void)
{
	int fd = mk(PAGE);

	map_fails(EACCES, (int)OK(open("f", O_RDONLY)), PROT_READ | PROT_WRITE, 0);
	map_fails(EACCES, (int)OK(open("f", O_WRONLY)), PROT_READ, 0);
	map_fails(EINVAL, fd, PROT_READ, 100);
	map_fails(ENODEV, (int)OK(open(".", O_RDONLY)), PROT_READ, 0);
}

static void mmap_tail_is_zero_and_not_written(void)
{
	int fd = mk(100);
	char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	EQ(p[100], 0);
	EQ(p[PAGE - 1], 0);
	p[50] = 'b';
	p[200] = 'c';
	OK(msync(p, PAGE, MS_SYNC));
	EQ(fst(fd).st_size, 100);
	OK(ftruncate(fd, PAGE));
	FILLED(fd, 100, PAGE - 100, 0);
	EQ(p[50], 'b');
}

static void mmap_beyond_end_is_sigbus(void)
{
	int fd = mk(100), hit = 0;
	volatile char *p = map(fd, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	signal(SIGBUS, bus);
	if (!sigsetjmp(on_bus, 1))
		(void)p[PAGE];
	else
		hit = 1;
	EQ(hit, 1);
	OK(ftruncate(fd, 3 * PAGE));
	EQ(p[2 * PAGE], 0);
	p[2 * PAGE] = 'x';
	FILLED(fd, 2 * PAGE, 1, 'x');
}

static void mmap_truncated_under_it(void)
{
	int fd = mk(4 * PAGE), hit = 0;
	volatile char *p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	EQ(p[3 * PAGE], 'a');
	OK(ftruncate(fd, PAGE + 10));
	EQ(p[PAGE + 9], 'a');
	EQ(p[PAGE + 10], 0);
	signal(SIGBUS, bus);
	if (!sigsetjmp(on_bus, 1))
		(void)p[3 * PAGE];
	else
		hit = 1;
	EQ(hit, 1);
	OK(ftruncate(fd, 4 * PAGE));
	EQ(p[3 * PAGE], 0);
}

static void mmap_hole_then_write(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));
	char *p;

	OK(ftruncate(fd, 64 * PAGE));
	p = map(fd, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (int i = 0; i < 64; i += 7)
		EQ(p[i * PAGE + 5], 0);
	for (int i = 0; i < 64; i += 3)
		p[i * PAGE] = (char)('A' + i % 26);
	OK(msync(p, 64 * PAGE, MS_SYNC));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	for (int i = 0; i < 64; i++)
		FILLED(fd, i * PAGE, 1, i % 3 ? 0 : 'A' + i % 26);
}

static void writer_child(void *arg)
{
	char *p = arg;

	memset(p, 'c', PAGE);
}

static void mmap_shared_by_processes(void)
{
	int fd = mk(PAGE);
	char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	in_child(writer_child, p);
	EQ(p[0], 'c');
	EQ(p[PAGE - 1], 'c');
	FILLED(fd, 0, PAGE, 'c');
}

static void mmap_copies_from_itself(void)
{
	int fd = mk(8 * PAGE);
	char *p = map(fd, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	memset(p, 's', PAGE);
	EQ(pwrite(fd, p, PAGE, 4 * PAGE + 11), PAGE);
	FILLED(fd, 4 * PAGE + 11, PAGE, 's');
	EQ(pread(fd, p + 6 * PAGE, PAGE, 0), PAGE);
	EQ(p[7 * PAGE - 1], 's');
}

static void mmap_updates_mtime(void)
{
	int fd = mk(PAGE);
	char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	struct stat a, b;

	OK(fsync(fd));
	a = fst(fd);
	tick();
	p[0] = 'x';
	OK(msync(p, PAGE, MS_SYNC));
	b = fst(fd);
	EQ(tcmp(b.st_mtim, a.st_mtim), 1);
	EQ(tcmp(b.st_ctim, a.st_ctim), 1);
}

const struct posix_case map_cases[] = {
	CASE(mmap_shared_reads_and_writes), CASE(mmap_shared_without_msync),
	CASE(mmap_outlives_close_and_unlink), CASE(mmap_private_copies),
	CASE(mmap_private_of_read_only_file), CASE(mmap_errors),
	CASE(mmap_tail_is_zero_and_not_written), CASE(mmap_beyond_end_is_sigbus),
	CASE(mmap_truncated_under_it), CASE(mmap_hole_then_write), CASE(mmap_shared_by_processes),
	CASE(mmap_copies_from_itself), CASE(mmap_updates_mtime),
	{ 0 },
};
