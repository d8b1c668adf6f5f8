// SPDX-License-Identifier: Apache-2.0
/*
 * calls: single system calls for suites that count what they cost, or look at what they see.
 *
 *     calls stat|access|fstat|read N FILE      N times; for read: open, read, close each time
 *     calls fresh A B                          A, B: one directory, as two mounts show it
 *     calls handle FILE                        print a file handle: type and bytes
 *     calls by-handle MOUNT HANDLE             open it, print the first line of the file, or what
 *                                              a directory holds: one name
 *
 * fresh: a change that one mount has made is seen by whatever call on the other begins afterwards,
 * also when an earlier call of the same process has just looked at the same file.
 *
 * Prints the sentence of what failed. Exit status 0, 1 (failed), 2 (could not run); fresh prints
 * "N passed, N failed" last.
 */
#include "tests/fs/lib/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

static int failed(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

/* --- counted calls */

static int read_once(const char *path)
{
	char buf[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (n < 0)
		return failed(path);
	return close(fd) ? failed(path) : 0;
}

static int count(const char *call, int n, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	struct stat st;

	if (fd < 0)
		return failed(path);
	/* What stays open must not be asked for again. */
	if (strcmp(call, "fstat"))
		close(fd);
	while (!ret && n--) {
		if (!strcmp(call, "stat"))
			ret = stat(path, &st);
		else if (!strcmp(call, "access"))
			ret = access(path, R_OK);
		else if (!strcmp(call, "fstat"))
			ret = fstat(fd, &st);
		else
			ret = read_once(path);
	}
	return ret ? failed(call) : 0;
}

/* --- what is seen */

static unsigned int passed, failures;
static int root_a, root_b, fd_a;
static mode_t mode = 0600;

static void expect(bool ok, const char *what)
{
	if (ok)
		passed++;
	else
		failures++;
	printf("%s  %s\n", ok ? "ok    " : "FAILED", what);
}

/* The other mount changes the file's mode; what is it here afterwards? */
static void change(void)
{
	mode ^= 0044;
	if (fchmodat(root_b, "file", mode, 0))
		die("chmod at the other mount: %s", strerror(errno));
}

static bool shown(const struct stat *st)
{
	return (st->st_mode & 07777) == mode;
}

static void look(void)
{
	if (faccessat(root_a, "file", F_OK, 0))
		die("access: %s", strerror(errno));
}

static void fresh_stat(void)
{
	struct stat st;

	change();
	expect(!fstatat(root_a, "file", &st, 0) && shown(&st), "stat");
	change();
	expect(!fstatat(root_a, "file", &st, 0) && shown(&st), "stat after stat");
	look();
	change();
	expect(!fstatat(root_a, "file", &st, 0) && shown(&st), "stat after access");
}

static void fresh_fstat(void)
{
	struct statfs fs;
	struct statx stx;
	struct stat st;

	look();
	change();
	expect(!fstat(fd_a, &st) && shown(&st), "fstat after access");
	look();
	change();
	expect(!fstatat(fd_a, "", &st, AT_EMPTY_PATH) && shown(&st), "fstatat of a descriptor");
	look();
	change();
	expect(!statx(fd_a, "", AT_EMPTY_PATH, STATX_MODE, &stx) && (stx.stx_mode & 07777) == mode,
	       "statx of a descriptor");
	if (fchdir(root_a) || statfs("file", &fs))
		die("statfs: %s", strerror(errno));
	change();
	expect(!fstat(fd_a, &st) && shown(&st), "fstat after statfs");
}

static void fresh_magic(void)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd_a);
	look();
	change();
	expect(!stat(path, &st) && shown(&st), "stat through /proc");
}

static void fresh_access(void)
{
	look();
	change();
	/* Root may all but execute, which needs one x. */
	mode |= 0100;
	if (fchmodat(root_b, "file", mode, 0))
		die("chmod at the other mount: %s", strerror(errno));
	expect(!faccessat(root_a, "file", X_OK, 0), "access after access: may");
	mode &= ~0100;
	if (fchmodat(root_b, "file", mode, 0))
		die("chmod at the other mount: %s", strerror(errno));
	expect(faccessat(root_a, "file", X_OK, 0) && errno == EACCES, "access after access: may not");
}

static void fresh_dir(void)
{
	struct stat st;

	if (fchdir(root_a) || mkdirat(root_a, "sub", 0755) ||
	    faccessat(root_a, "sub", F_OK, 0) || mkdirat(root_b, "sub/below", 0755))
		die("mkdir: %s", strerror(errno));
	expect(!chdir("sub") && !stat(".", &st) && st.st_nlink == 3, "stat of .");
	if (access("../sub", F_OK) || unlinkat(root_b, "sub/below", AT_REMOVEDIR))
		die("rmdir: %s", strerror(errno));
	expect(!stat(".", &st) && st.st_nlink == 2, "stat of . after access");
	if (access("../sub", F_OK) || mkdirat(root_b, "sub/below", 0755))
		die("mkdir: %s", strerror(errno));
	expect(!stat("below/..", &st) && st.st_nlink == 3, "stat of ..");
	expect(!unlinkat(root_b, "sub/below", AT_REMOVEDIR) && !fchdir(root_a) &&
	       !unlinkat(root_b, "sub", AT_REMOVEDIR) && access("sub", F_OK) && errno == ENOENT,
	       "access of what was removed");
}

static void put(const char *text)
{
	int fd = openat(root_b, "file", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write_full(fd, text, strlen(text)) || close(fd))
		die("writing at the other mount: %s", strerror(errno));
}

static void fresh_content(void)
{
	static const char *const texts[] = { "one", "three", "seventeen", "two" };
	char buf[64];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int fd;
		ssize_t n;

		put(texts[i]);
		fd = openat(root_a, "file", O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
		expect(n == (ssize_t)strlen(texts[i]) && !memcmp(buf, texts[i], (size_t)n),
		       "open and read after a write");
		close(fd);
	}
}

static int fresh(const char *a, const char *b)
{
	root_a = open(a, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	root_b = open(b, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd_a = root_a < 0 ? -1 : openat(root_a, "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd_a < 0 || root_b < 0)
		die("%s, %s: %s", a, b, strerror(errno));
	fresh_stat();
	fresh_fstat();
	fresh_magic();
	fresh_access();
	fresh_dir();
	fresh_content();
	close(fd_a);
	if (unlinkat(root_a, "file", 0))
		die("unlink: %s", strerror(errno));
	printf("%u passed, %u failed\n", passed, failures);
	return failures != 0;
}

/* --- handles */

static int handle(const char *path)
{
	struct file_handle *fh = calloc(1, sizeof(*fh) + MAX_HANDLE_SZ);
	int mount;

	if (!fh)
		die("no memory");
	fh->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, path, fh, &mount, 0))
		return failed(path);
	printf("%d:", fh->handle_type);
	for (unsigned int i = 0; i < fh->handle_bytes; i++)
		printf("%02x", fh->f_handle[i]);
	printf("\n");
	free(fh);
	return 0;
}

static int show_dir(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *de;

	if (!dir)
		return failed("fdopendir");
	while ((de = readdir(dir)) && de->d_name[0] == '.')
		;
	printf("%s\n", de ? de->d_name : "");
	closedir(dir);
	return 0;
}

static int by_handle(const char *mount, const char *text)
{
	struct file_handle *fh = calloc(1, sizeof(*fh) + MAX_HANDLE_SZ);
	int root = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	const char *p = strchr(text, ':');
	struct stat st;
	char buf[256];
	ssize_t n;

	if (!fh || root < 0 || !p || strlen(p + 1) > 2 * MAX_HANDLE_SZ)
		die("%s: not a mount, or %s not a handle", mount, text);
	fh->handle_type = atoi(text);
	for (p++; p[0] && p[1]; p += 2) {
		char two[3] = { p[0], p[1], 0 };

		fh->f_handle[fh->handle_bytes++] = (unsigned char)strtoul(two, NULL, 16);
	}
	fd = open_by_handle_at(root, fh, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return failed("open_by_handle_at");
	if (S_ISDIR(st.st_mode))
		return show_dir(fd);
	n = read(fd, buf, sizeof(buf) - 1);
	if (n < 0)
		return failed("read");
	buf[n] = 0;
	printf("%.*s\n", (int)strcspn(buf, "\n"), buf);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "fresh"))
		return fresh(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "handle"))
		return handle(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "by-handle"))
		return by_handle(argv[2], argv[3]);
	if (argc == 4 && strspn(argv[2], "0123456789"))
		return count(argv[1], atoi(argv[2]), argv[3]);
	die("usage: see the head of tests/fs/calls/main.c");
}
