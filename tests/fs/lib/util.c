// SPDX-License-Identifier: Apache-2.0
/*
 * Helpers of the file system tests, see util.h. They end the program (die) only where the test
 * itself cannot go on; failures of the file system under test are returned to the caller.
 */
#include "tests/fs/lib/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t hash_bytes(uint64_t seed, const void *p, size_t n)
{
	const unsigned char *b = p;
	uint64_t h = seed ^ 0xcbf29ce484222325ull, w;

	for (; n >= 8; n -= 8, b += 8) {
		memcpy(&w, b, 8);
		h = (h ^ w) * 0x100000001b3ull;
		h ^= h >> 29;
	}
	for (; n; n--, b++)
		h = (h ^ *b) * 0x100000001b3ull;
	return h ^ (h >> 32);
}

uint64_t parse_size(const char *s)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || end == s)
		die("'%s' is not a number", s);
	switch (*end) {
	case 'g': case 'G':
		v <<= 10;
		/* fallthrough */
	case 'm': case 'M':
		v <<= 10;
		/* fallthrough */
	case 'k': case 'K':
		v <<= 10;
		end++;
	}
	if (*end)
		die("'%s': unknown suffix (k, m, g)", s);
	return v;
}

static int remove_children(int dirfd, const char *name)
{
	struct dirent *e;
	int fd, rc = 0;
	DIR *d;

	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while (!rc && (errno = 0, e = readdir(d))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = remove_tree(fd, e->d_name);
	}
	if (!rc && errno)
		rc = -errno;
	closedir(d);
	return rc;
}

int remove_tree(int dirfd, const char *name)
{
	struct stat st;
	int rc;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode))
		return unlinkat(dirfd, name, 0) ? -errno : 0;
	rc = remove_children(dirfd, name);
	if (!rc && unlinkat(dirfd, name, AT_REMOVEDIR))
		rc = -errno;
	return rc;
}

int drop_caches(void)
{
	int fd, rc = 0;

	sync();
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, "3\n", 2) != 2)
		rc = -errno;
	close(fd);
	return rc;
}

int write_full(int fd, const void *p, size_t n)
{
	const char *b = p;
	ssize_t k;

	for (; n; n -= (size_t)k, b += k) {
		k = write(fd, b, n);
		if (k < 0 && errno == EINTR)
			k = 0;
		else if (k < 0)
			return -errno;
	}
	return 0;
}
