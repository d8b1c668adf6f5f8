// SPDX-License-Identifier: Apache-2.0
/*
 * read, write, lseek, truncate, O_APPEND, O_DIRECT, O_SYNC, vectors.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/fs/posix/posix.h"

enum { CHUNK = 1 << 20 };

static void write_read_sizes(void)
{
	static const size_t sizes[] = { 1, 511, 512, 4095, 4096, 4097, 16383, 16384, 16385, 65536,
		CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5 };
	char name[32];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd;

		snprintf(name, sizeof(name), "f%zu", i);
		fd = (int)OK(open(name, O_CREAT | O_RDWR, 0600));
		fill(fd, 0, sizes[i], 'a' + (int)i);
		OK(fsync(fd));
		OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		OK(close(fd));
		fd = (int)OK(open(name, O_RDONLY));
		EQ(fst(fd).st_size, (long long)sizes[i]);
		FILLED(fd, 0, sizes[i], 'a' + (int)i);
		EQ(pread(fd, &(char){ 0 }, 1, (off_t)sizes[i]), 0);
		OK(close(fd));
	}
}

static void write_unaligned_across_chunks(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	fill(fd, 0, 3 * CHUNK, 'a');
	OK(fsync(fd));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	fill(fd, CHUNK - 7, CHUNK + 14, 'b');
	OK(fdatasync(fd));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	FILLED(fd, 0, CHUNK - 7, 'a');
	FILLED(fd, CHUNK - 7, CHUNK + 14, 'b');
	FILLED(fd, 2 * CHUNK + 7, CHUNK - 7, 'a');
}

static void write_leaves_holes(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	fill(fd, 5 * CHUNK + 3, 10, 'x');
	EQ(fst(fd).st_size, 5 * CHUNK + 13);
	FILLED(fd, 0, 5 * CHUNK + 3, 0);
	FILLED(fd, 5 * CHUNK + 3, 10, 'x');
	OK(fsync(fd));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	FILLED(fd, 0, 5 * CHUNK + 3, 0);
	YES(fst(fd).st_blocks < 5 * CHUNK / 512);
}

static void write_far_offset(void)
{
	off_t far = 1ll << 40;
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	EQ(pwrite(fd, "end", 3, far), 3);
	EQ(fst(fd).st_size, far + 3);
	FILLED(fd, far - 100, 100, 0);
	FILLED(fd, far, 1, 'e');
	OK(fsync(fd));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	FILLED(fd, far - 100, 100, 0);
	OK(ftruncate(fd, 0));
}

static void write_zero_bytes(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	EQ(write(fd, "", 0), 0);
	EQ(pwrite(fd, "", 0, 100), 0);
	EQ(fst(fd).st_size, 0);
	EQ(read(fd, &(char){ 0 }, 0), 0);
}

static void write_errors(void)
{
	void *volatile bad = (void *)8;
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	fill(fd, 0, 10, 'x');
	ERR(EINVAL, pwrite(fd, "x", 1, -1));
	ERR(EINVAL, pread(fd, &(char){ 0 }, 1, -1));
	ERR(EFAULT, write(fd, bad, 10));
	ERR(EFAULT, pread(fd, bad, 10, 0));
	ERR(EBADF, write(-1, "x", 1));
	EQ(fst(fd).st_size, 10);
}

static void write_over_size_limit(void)
{
	struct rlimit r = { .rlim_cur = 100000, .rlim_max = 100000 };
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	signal(SIGXFSZ, SIG_IGN);
	OK(setrlimit(RLIMIT_FSIZE, &r));
	fill(fd, 0, 99990, 'x');
	EQ(pwrite(fd, "0123456789abcdef", 16, 99990), 10);
	ERR(EFBIG, pwrite(fd, "x", 1, 100000));
	ERR(EFBIG, ftruncate(fd, 100001));
	OK(ftruncate(fd, 100000));
}

static void write_beyond_largest_offset(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	ERR(EINVAL, ftruncate(fd, -1));
	ERR(EINVAL, pwrite(fd, "xy", 2, INT64_MAX));
	EQ(fst(fd).st_size, 0);
	if (pwrite(fd, "x", 1, INT64_MAX - 1) == 1) {
		EQ(fst(fd).st_size, INT64_MAX);
		return;
	}
	EQ(errno, EFBIG);
	EQ(fst(fd).st_size, 0);
}

static void lseek_moves(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	fill(fd, 0, 100, 'x');
	EQ(lseek(fd, 0, SEEK_CUR), 0);
	EQ(lseek(fd, 40, SEEK_SET), 40);
	EQ(lseek(fd, 5, SEEK_CUR), 45);
	EQ(lseek(fd, -10, SEEK_END), 90);
	EQ(lseek(fd, 1000, SEEK_SET), 1000);
	EQ(read(fd, &(char){ 0 }, 1), 0);
	EQ(fst(fd).st_size, 100);
	ERR(EINVAL, lseek(fd, -1, SEEK_SET));
	ERR(EINVAL, lseek(fd, -101, SEEK_END));
	ERR(EINVAL, lseek(fd, 0, 77));
	ERR(EBADF, lseek(-1, 0, SEEK_SET));
	EQ(write(fd, "y", 1), 1);
	EQ(fst(fd).st_size, 1001);
}

static void position_is_shared_by_dup_and_fork(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600)), d = (int)OK(dup(fd));

	EQ(write(fd, "abc", 3), 3);
	EQ(write(d, "def", 3), 3);
	HOLDS("f", "abcdef");
	EQ(lseek(fd, 0, SEEK_CUR), 6);
	d = (int)OK(open("f", O_RDONLY));
	EQ(lseek(d, 0, SEEK_CUR), 0);
}

static void truncate_down_and_up(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	fill(fd, 0, 10000, 'x');
	OK(ftruncate(fd, 5000));
	EQ(fst(fd).st_size, 5000);
	OK(ftruncate(fd, 9000));
	FILLED(fd, 0, 5000, 'x');
	FILLED(fd, 5000, 4000, 0);
	OK(truncate("f", 2 * CHUNK + 100));
	FILLED(fd, 5000, 2 * CHUNK + 100 - 5000, 0);
	OK(truncate("f", 0));
	EQ(fst(fd).st_size, 0);
	EQ(fst(fd).st_blocks, 0);
}

static void truncate_dropped_bytes_never_return(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	for (int i = 0; i < 4; i++) {
		off_t cut = i & 1 ? CHUNK + 123 : 777;

		fill(fd, 0, 2 * CHUNK, 'x');
		if (i & 2) {
			OK(fsync(fd));
			OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		}
		OK(ftruncate(fd, cut));
		OK(ftruncate(fd, 3 * CHUNK));
		FILLED(fd, 0, (size_t)cut, 'x');
		FILLED(fd, cut, (size_t)(3 * CHUNK - cut), 0);
		OK(fsync(fd));
		OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		FILLED(fd, cut, (size_t)(3 * CHUNK - cut), 0);
	}
}

static void truncate_errors(void)
{
	mkfile("f", 0600, "hello");
	OK(mkdir("d", 0700));
	ERR(ENOENT, truncate("none", 0));
	ERR(ENOTDIR, truncate("f/x", 0));
	ERR(EISDIR, truncate("d", 0));
	ERR(EINVAL, truncate("f", -1));
	ERR(EINVAL, ftruncate((int)OK(open("f", O_RDONLY)), 0));
	ERR(EBADF, ftruncate(-1, 0));
	OK(mkfifo("p", 0600));
	ERR(EINVAL, truncate("p", 0));
	HOLDS("f", "hello");
}

static void append_goes_to_the_end(void)
{
	int a, b;

	mkfile("f", 0600, "start");
	a = (int)OK(open("f", O_WRONLY | O_APPEND));
	b = (int)OK(open("f", O_WRONLY | O_APPEND));
	EQ(write(a, "A", 1), 1);
	EQ(write(b, "B", 1), 1);
	OK(lseek(a, 0, SEEK_SET));
	EQ(write(a, "C", 1), 1);
	EQ(lseek(a, 0, SEEK_CUR), 8);
	HOLDS("f", "startABC");
	EQ(pwrite(a, "D", 1, 0), 1);
	HOLDS("f", "startABCD");
	OK(truncate("f", 2));
	EQ(write(b, "E", 1), 1);
	HOLDS("f", "stE");
}

static void append_flag_by_fcntl(void)
{
	int fd;

	mkfile("f", 0600, "start");
	fd = (int)OK(open("f", O_WRONLY));
	OK(fcntl(fd, F_SETFL, O_APPEND));
	EQ(write(fd, "!", 1), 1);
	HOLDS("f", "start!");
	OK(fcntl(fd, F_SETFL, 0));
	EQ(pwrite(fd, "S", 1, 0), 1);
	HOLDS("f", "Start!");
}

static void append_by_many_processes(void)
{
	enum { PROCS = 4, RECORDS = 100, LEN = 16 };
	unsigned char next[PROCS] = { 0 };
	char rec[LEN];
	int fd;

	mkfile("log", 0600, "");
	for (int p = 0; p < PROCS; p++) {
		if (OK(fork()))
			continue;
		fd = (int)OK(open("log", O_WRONLY | O_APPEND));
		for (int i = 0; i < RECORDS; i++) {
			snprintf(rec, sizeof(rec), "%02d:%05d......", p, i);
			rec[LEN - 1] = '\n';
			EQ(write(fd, rec, LEN), LEN);
		}
		_exit(0);
	}
	for (int p = 0; p < PROCS; p++) {
		int status = 0;

		OK(wait(&status));
		EQ(status, 0);
	}
	fd = (int)OK(open("log", O_RDONLY));
	EQ(fst(fd).st_size, PROCS * RECORDS * LEN);
	for (int i = 0; i < PROCS * RECORDS; i++) {
		int p, n;

		EQ(read(fd, rec, LEN), LEN);
		EQ(sscanf(rec, "%2d:%5d", &p, &n), 2);
		YES(p >= 0 && p < PROCS);
		EQ(n, next[p]);
		next[p]++;
	}
}

/* Aligned buffer, offset and length: direct I/O must work, whatever the block size up to 4 KiB. */
static void direct_read_write(void)
{
	size_t len = 4 * CHUNK;
	char *buf;
	int fd, n;

	fd = open("f", O_CREAT | O_RDWR | O_DIRECT, 0600);
	if (fd < 0 && errno == EINVAL && is_tmpfs())
		case_skip("tmpfs before Linux 6.6 has no O_DIRECT");
	OK(fd);
	EQ(posix_memalign((void **)&buf, 4096, len), 0);
	memset(buf, 'd', len);
	EQ(pwrite(fd, buf, len, 0), (long long)len);
	memset(buf, 'e', 8192);
	EQ(pwrite(fd, buf, 8192, CHUNK - 4096), 8192);
	memset(buf, 0, len);
	EQ(pread(fd, buf, len, 0), (long long)len);
	EQ(buf[0], 'd');
	EQ(buf[CHUNK - 4096], 'e');
	EQ(buf[CHUNK + 4095], 'e');
	EQ(buf[CHUNK + 4096], 'd');
	OK(ftruncate(fd, 5000));
	n = (int)OK(pread(fd, buf, 8192, 4096));
	EQ(n, 5000 - 4096);
	EQ(pread(fd, buf, 4096, 8192), 0);
	free(buf);
}

static void direct_and_buffered_agree(void)
{
	char *buf;
	int d, b;

	d = open("f", O_CREAT | O_RDWR | O_DIRECT, 0600);
	if (d < 0 && errno == EINVAL && is_tmpfs())
		case_skip("tmpfs before Linux 6.6 has no O_DIRECT");
	OK(d);
	b = (int)OK(open("f", O_RDWR));
	EQ(posix_memalign((void **)&buf, 4096, 65536), 0);
	fill(b, 0, 65536, 'b');
	EQ(pread(d, buf, 65536, 0), 65536);
	EQ(buf[65535], 'b');
	memset(buf, 'd', 65536);
	EQ(pwrite(d, buf, 4096, 4096), 4096);
	FILLED(b, 0, 4096, 'b');
	FILLED(b, 4096, 4096, 'd');
	FILLED(b, 8192, 57344, 'b');
	EQ(pwrite(d, buf, 65536, 65536), 65536);
	FILLED(b, 65536, 65536, 'd');
	EQ(fst(b).st_size, 131072);
	free(buf);
}

static void sync_flags(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_WRONLY | O_SYNC, 0600));

	EQ(write(fd, "synced", 6), 6);
	HOLDS("f", "synced");
	fd = (int)OK(open("f", O_WRONLY | O_DSYNC | O_APPEND));
	EQ(write(fd, "!", 1), 1);
	HOLDS("f", "synced!");
	OK(fsync(fd));
	OK(fdatasync(fd));
	OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
	OK(syncfs(fd));
	ERR(EBADF, fsync(-1));
}

static void vectors(void)
{
	char a[3], b[5], big[70000];
	struct iovec w[3] = { { "one", 3 }, { "", 0 }, { "three", 5 } };
	struct iovec r[2] = { { a, 3 }, { b, 5 } };
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	EQ(writev(fd, w, 3), 8);
	EQ(preadv(fd, r, 2, 0), 8);
	YES(!memcmp(a, "one", 3) && !memcmp(b, "three", 5));
	memset(big, 'v', sizeof(big));
	w[0] = (struct iovec){ big, 1 };
	w[1] = (struct iovec){ big, 4096 };
	w[2] = (struct iovec){ big, sizeof(big) };
	EQ(pwritev(fd, w, 3, 4095), 1 + 4096 + (long long)sizeof(big));
	FILLED(fd, 8, 4087, 0);
	FILLED(fd, 4095, 1 + 4096 + sizeof(big), 'v');
	EQ(pwritev2(fd, w, 1, -1, RWF_APPEND), 1);
	ERR(EINVAL, syscall(SYS_writev, fd, w, -1));
}

static void small_file_grows_large(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	for (int i = 0; i < 80; i++) {
		fill(fd, i * 1000, 1000, 'a' + i % 26);
		if (i % 8 == 3)
			OK(fsync(fd));
		if (i % 16 == 5)
			OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	}
	OK(close(fd));
	fd = (int)OK(open("f", O_RDONLY));
	for (int i = 0; i < 80; i++)
		FILLED(fd, i * 1000, 1000, 'a' + i % 26);
}

static void two_descriptors_see_each_other(void)
{
	int a = (int)OK(open("f", O_CREAT | O_RDWR, 0600));
	int b = (int)OK(open("f", O_RDWR));

	for (int i = 0; i < 20; i++) {
		fill(a, i * 3000, 3000, 'a' + i);
		FILLED(b, i * 3000, 3000, 'a' + i);
		EQ(fst(b).st_size, (i + 1) * 3000);
	}
	OK(ftruncate(b, 100));
	EQ(fst(a).st_size, 100);
	EQ(pread(a, &(char){ 0 }, 1, 100), 0);
}

const struct posix_case data_cases[] = {
	CASE(write_read_sizes), CASE(write_unaligned_across_chunks), CASE(write_leaves_holes),
	CASE(write_far_offset), CASE(write_zero_bytes), CASE(write_errors),
	CASE(write_over_size_limit), CASE(write_beyond_largest_offset), CASE(lseek_moves),
	CASE(position_is_shared_by_dup_and_fork), CASE(truncate_down_and_up),
	CASE(truncate_dropped_bytes_never_return), CASE(truncate_errors),
	CASE(append_goes_to_the_end), CASE(append_flag_by_fcntl), CASE(append_by_many_processes),
	CASE(direct_read_write), CASE(direct_and_buffered_agree), CASE(sync_flags), CASE(vectors),
	CASE(small_file_grows_large), CASE(two_descriptors_see_each_other),
	{ 0 },
};
