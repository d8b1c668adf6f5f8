// SPDX-License-Identifier: Apache-2.0
/*
 * What the cases of the conformance suite share (posix.h). Runs in the process of a case; every
 * helper that fails ends that process with a message, so no case needs to look at results.
 */
#include "tests/fs/posix/posix.h"

#include <grp.h>
#include <stdarg.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 77, TMPFS = 0x01021994 };

static void say(const char *what, const char *where, const char *fmt, va_list ap)
{
	char msg[600];

	vsnprintf(msg, sizeof(msg), fmt, ap);
	printf("%s %s: %s%s\n", what, getenv("POSIX_CASE"), where, msg);
	fflush(stdout);
}

void case_fail(const char *file, int line, const char *fmt, ...)
{
	char where[128];
	va_list ap;

	snprintf(where, sizeof(where), "%s:%d: ", file, line);
	va_start(ap, fmt);
	say("FAIL", where, fmt, ap);
	va_end(ap);
	_exit(EXIT_FAILED);
}

void case_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("SKIP", "", fmt, ap);
	va_end(ap);
	_exit(EXIT_SKIPPED);
}

const char *ename(int err)
{
	const char *n = strerrorname_np(err);

	return n ? n : "an unknown errno";
}

struct stat lst(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		case_fail(__FILE__, __LINE__, "lstat(%.100s): %s", path, ename(errno));
	return st;
}

struct stat fst(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		case_fail(__FILE__, __LINE__, "fstat: %s", ename(errno));
	return st;
}

void mkfile(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		case_fail(__FILE__, __LINE__, "create %.100s: %s", path, ename(errno));
	EQ(write(fd, text, strlen(text)), strlen(text));
	OK(fchmod(fd, mode));
	OK(close(fd));
}

void case_holds(const char *file, int line, const char *path, const char *text)
{
	char buf[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		case_fail(file, line, "open %.100s: %s", path, ename(errno));
	n = read(fd, buf, sizeof(buf));
	if (n < 0)
		case_fail(file, line, "read %.100s: %s", path, ename(errno));
	close(fd);
	if ((size_t)n != strlen(text) || memcmp(buf, text, (size_t)n))
		case_fail(file, line, "%.100s: expected content '%.60s', got %zd bytes '%.*s'",
			  path, text, n, n > 60 ? 60 : (int)n, buf);
}

void case_filled(const char *file, int line, int fd, off_t off, size_t n, int c)
{
	unsigned char buf[65536];
	ssize_t k;

	while (n) {
		k = pread(fd, buf, n < sizeof(buf) ? n : sizeof(buf), off);
		if (k <= 0)
			case_fail(file, line, "pread at %lld: expected %zu more bytes, got %zd %s",
				  (long long)off, n, k, k < 0 ? ename(errno) : "");
		for (ssize_t i = 0; i < k; i++)
			if (buf[i] != (unsigned char)c)
				case_fail(file, line, "byte %lld: expected %#x, got %#x",
					  (long long)off + i, c & 0xff, buf[i]);
		off += k;
		n -= (size_t)k;
	}
}

void fill(int fd, off_t off, size_t n, int c)
{
	char buf[65536];
	ssize_t k;

	memset(buf, c, sizeof(buf));
	for (; n; n -= (size_t)k, off += k)
		k = OK(pwrite(fd, buf, n < sizeof(buf) ? n : sizeof(buf), off));
}

void be(uid_t uid, gid_t gid)
{
	be_root();
	OK(setgroups(0, NULL));
	OK(setegid(gid));
	OK(seteuid(uid));
}

void be_root(void)
{
	OK(seteuid(0));
	OK(setegid(0));
	OK(setgroups(0, NULL));
}

void in_child(void (*fn)(void *), void *arg)
{
	int status;
	pid_t pid = (pid_t)OK(fork());

	if (!pid) {
		fn(arg);
		_exit(0);
	}
	EQ(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		case_fail(__FILE__, __LINE__, "child killed by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
}

int tcmp(struct timespec a, struct timespec b)
{
	if (a.tv_sec != b.tv_sec)
		return a.tv_sec < b.tv_sec ? -1 : 1;
	return (a.tv_nsec > b.tv_nsec) - (a.tv_nsec < b.tv_nsec);
}

/* The stamps come from the file system itself: its clock may be another machine's. */
void tick(void)
{
	struct timespec first = { 0 }, pause = { .tv_nsec = 1000000 };
	int fd = (int)OK(open("../tick", O_WRONLY | O_CREAT, 0600));

	do {
		OK(futimens(fd, NULL));
		if (!first.tv_sec)
			first = fst(fd).st_ctim;
		else
			nanosleep(&pause, NULL);
	} while (tcmp(fst(fd).st_ctim, first) <= 0);
	OK(close(fd));
}

bool is_tmpfs(void)
{
	struct statfs s;

	OK(statfs(".", &s));
	return s.f_type == TMPFS;
}
