// SPDX-License-Identifier: Apache-2.0
/*
 * The operations of treestress. Each takes its arguments from the drawn action and does one call
 * (or open, call, close) below the root of a side. The result is a number or -errno; what else
 * was seen (attributes, targets, listings) goes to side->out as text. Both must be the same on
 * the two sides. Never follows a path out of the root: main.c draws no leading "..".
 */
#include "tests/fs/treestress/treestress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static long result(long rc)
{
	return rc < 0 ? -errno : rc;
}

static int open_at(struct ts_side *s, const char *path, int flags, unsigned mode)
{
	return openat(s->root, path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
}

static void describe(struct ts_side *s, const struct stat *st)
{
	bool sized = !S_ISDIR(st->st_mode);

	snprintf(s->out, sizeof(s->out), "mode %o nlink %lu uid %u gid %u size %lld rdev %llx",
		 st->st_mode, (unsigned long)st->st_nlink, st->st_uid, st->st_gid,
		 sized ? (long long)st->st_size : 0, (unsigned long long)st->st_rdev);
}

static long op_create(struct ts_side *s, const struct ts_act *a)
{
	static const int flags[] = { O_EXCL, O_EXCL, 0, O_TRUNC };
	int fd = open_at(s, a->a, O_CREAT | O_WRONLY | flags[a->flags & 3], a->mode);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static long op_mkdir(struct ts_side *s, const struct ts_act *a)
{
	return result(mkdirat(s->root, a->a, a->mode | 0700));
}

static long op_mknod(struct ts_side *s, const struct ts_act *a)
{
	static const mode_t type[] = { S_IFIFO, S_IFSOCK, S_IFCHR, S_IFREG };

	return result(mknodat(s->root, a->a, type[a->flags & 3] | a->mode, makedev(1, 3)));
}

static long op_symlink(struct ts_side *s, const struct ts_act *a)
{
	return result(symlinkat(a->b, s->root, a->a));
}

static long op_link(struct ts_side *s, const struct ts_act *a)
{
	return result(linkat(s->root, a->a, s->root, a->b, a->flags & 1 ? AT_SYMLINK_FOLLOW : 0));
}

static long op_unlink(struct ts_side *s, const struct ts_act *a)
{
	return result(unlinkat(s->root, a->a, 0));
}

static long op_rmdir(struct ts_side *s, const struct ts_act *a)
{
	return result(unlinkat(s->root, a->a, AT_REMOVEDIR));
}

static long op_rename(struct ts_side *s, const struct ts_act *a)
{
	return result(renameat(s->root, a->a, s->root, a->b));
}

static long op_rename2(struct ts_side *s, const struct ts_act *a)
{
	static const unsigned flags[] = { RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE,
		RENAME_NOREPLACE | RENAME_EXCHANGE };

	return result(renameat2(s->root, a->a, s->root, a->b, flags[a->flags & 3]));
}

static long op_chmod(struct ts_side *s, const struct ts_act *a)
{
	return result(fchmodat(s->root, a->a, a->mode, 0));
}

static long op_chown(struct ts_side *s, const struct ts_act *a)
{
	static const unsigned ids[] = { 0, 65001, 65002, (unsigned)-1 };

	return result(fchownat(s->root, a->a, ids[a->flags & 3], ids[(a->flags >> 2) & 3],
			       AT_SYMLINK_NOFOLLOW));
}

static long op_utimens(struct ts_side *s, const struct ts_act *a)
{
	struct timespec t[2] = { { .tv_sec = (time_t)(a->value % 4000000000u), .tv_nsec = 1 },
		{ .tv_sec = (time_t)(a->value >> 33), .tv_nsec = (long)(a->value % 1000000000u) } };
	struct stat st;

	if (utimensat(s->root, a->a, t, AT_SYMLINK_NOFOLLOW) ||
	    fstatat(s->root, a->a, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	snprintf(s->out, sizeof(s->out), "mtime %lld.%09ld", (long long)st.st_mtim.tv_sec,
		 st.st_mtim.tv_nsec);
	return 0;
}

static long op_truncate(struct ts_side *s, const struct ts_act *a)
{
	int fd = open_at(s, a->a, O_WRONLY, 0);
	long rc;

	if (fd < 0)
		return -errno;
	rc = result(ftruncate(fd, a->off));
	close(fd);
	return rc;
}

static void make_data(char *buf, size_t len, uint64_t value)
{
	struct rng r = { value };

	for (size_t i = 0; i < len; i += 8) {
		uint64_t w = rng_next(&r);

		memcpy(buf + i, &w, len - i < 8 ? len - i : 8);
	}
}

static long write_fd(int fd, const struct ts_act *a)
{
	char buf[20000];

	make_data(buf, a->len, a->value);
	return result(pwrite(fd, buf, a->len, a->off));
}

static bool is_regular(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}

static long op_write(struct ts_side *s, const struct ts_act *a)
{
	int fd = open_at(s, a->a, O_WRONLY | (a->flags & 4 ? O_APPEND : 0), 0);
	long rc;

	if (fd < 0)
		return -errno;
	rc = is_regular(fd) ? write_fd(fd, a) : 0;
	close(fd);
	return rc;
}

static long read_fd(struct ts_side *s, int fd)
{
	char buf[65536];
	uint64_t h = 1;
	off_t off = 0;
	ssize_t n;

	while ((n = pread(fd, buf, sizeof(buf), off)) > 0) {
		h = hash_bytes(h, buf, (size_t)n);
		off += n;
	}
	snprintf(s->out, sizeof(s->out), "%lld bytes, hash %llx", (long long)off,
		 (unsigned long long)h);
	return n < 0 ? -errno : 0;
}

static long op_read(struct ts_side *s, const struct ts_act *a)
{
	int fd = open_at(s, a->a, O_RDONLY, 0);
	long rc = 0;

	if (fd < 0)
		return -errno;
	if (is_regular(fd))
		rc = read_fd(s, fd);
	close(fd);
	return rc;
}

static long op_stat(struct ts_side *s, const struct ts_act *a)
{
	struct stat st;

	if (fstatat(s->root, a->a, &st, a->flags & 1 ? 0 : AT_SYMLINK_NOFOLLOW))
		return -errno;
	describe(s, &st);
	return 0;
}

static long op_access(struct ts_side *s, const struct ts_act *a)
{
	return result(faccessat(s->root, a->a, (int)(a->flags & 7), AT_EACCESS));
}

static long op_readlink(struct ts_side *s, const struct ts_act *a)
{
	ssize_t n = readlinkat(s->root, a->a, s->out, sizeof(s->out) - 1);

	if (n >= 0)
		s->out[n] = 0;
	return result(n);
}

/* The listing without order: sum of the hashes of names and types. */
static long op_readdir(struct ts_side *s, const struct ts_act *a)
{
	int fd = open_at(s, a->a, O_RDONLY | O_DIRECTORY, 0);
	unsigned count = 0;
	struct dirent *e;
	uint64_t sum = 0;
	DIR *d;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d)
		die("no memory");
	while ((errno = 0, e = readdir(d))) {
		sum += hash_bytes(e->d_type, e->d_name, strlen(e->d_name));
		count++;
	}
	snprintf(s->out, sizeof(s->out), "%u names, sum %llx", count, (unsigned long long)sum);
	closedir(d);
	return -errno;
}

static const char *xattr_name(const struct ts_act *a, char *buf, size_t n)
{
	snprintf(buf, n, "%s.k%u", a->user_xattr && a->flags & 1 ? "user" : "trusted", a->slot & 3);
	return buf;
}

static long op_setxattr(struct ts_side *s, const struct ts_act *a)
{
	static const int flags[] = { 0, 0, XATTR_CREATE, XATTR_REPLACE };
	char value[64], name[32];
	int fd = open_at(s, a->a, O_RDONLY, 0);
	long rc;

	if (fd < 0)
		return -errno;
	make_data(value, sizeof(value), a->value);
	rc = result(fsetxattr(fd, xattr_name(a, name, sizeof(name)), value, a->len % 64,
			      flags[(a->flags >> 1) & 3]));
	close(fd);
	return rc;
}

static long op_getxattr(struct ts_side *s, const struct ts_act *a)
{
	char value[64] = "", name[32];
	int fd = open_at(s, a->a, O_RDONLY, 0);
	long rc;

	if (fd < 0)
		return -errno;
	rc = result(fgetxattr(fd, xattr_name(a, name, sizeof(name)), value, sizeof(value)));
	if (rc > 0)
		snprintf(s->out, sizeof(s->out), "value hash %llx",
			 (unsigned long long)hash_bytes(1, value, (size_t)rc));
	close(fd);
	return rc;
}

static long op_removexattr(struct ts_side *s, const struct ts_act *a)
{
	int fd = open_at(s, a->a, O_RDONLY, 0);
	char name[32];
	long rc;

	if (fd < 0)
		return -errno;
	rc = result(fremovexattr(fd, xattr_name(a, name, sizeof(name))));
	close(fd);
	return rc;
}

static long op_fsync(struct ts_side *s, const struct ts_act *a)
{
	int fd = open_at(s, a->a, O_RDONLY, 0);
	long rc = 0;

	if (fd < 0)
		return -errno;
	if (is_regular(fd))
		rc = result(fsync(fd));
	close(fd);
	return rc;
}

/* Keeps a regular file open, so that it is used after it was renamed over or unlinked. */
static long op_hold(struct ts_side *s, const struct ts_act *a)
{
	int *fd = &s->held[a->slot % TS_HELD];

	if (*fd >= 0)
		close(*fd);
	*fd = open_at(s, a->a, O_RDWR, 0);
	if (*fd < 0)
		return -errno;
	if (!is_regular(*fd)) {
		close(*fd);
		*fd = -1;
	}
	return 0;
}

static long op_held_write(struct ts_side *s, const struct ts_act *a)
{
	int fd = s->held[a->slot % TS_HELD];

	return fd < 0 ? 0 : write_fd(fd, a);
}

static long op_held_read(struct ts_side *s, const struct ts_act *a)
{
	int fd = s->held[a->slot % TS_HELD];

	return fd < 0 ? 0 : read_fd(s, fd);
}

static long op_held_stat(struct ts_side *s, const struct ts_act *a)
{
	int fd = s->held[a->slot % TS_HELD];
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st))
		return -errno;
	describe(s, &st);
	return 0;
}

static long op_held_truncate(struct ts_side *s, const struct ts_act *a)
{
	int fd = s->held[a->slot % TS_HELD];

	return fd < 0 ? 0 : result(ftruncate(fd, a->off));
}

struct ts_op ts_ops[] = {
	{ "create", 12, TS_A_NEW, op_create },
	{ "mkdir", 10, TS_A_NEW, op_mkdir },
	{ "mknod", 4, TS_A_NEW, op_mknod },
	{ "symlink", 4, TS_A_NEW | TS_B_OLD, op_symlink },
	{ "link", 5, TS_A_OLD | TS_B_NEW, op_link },
	{ "unlink", 6, TS_A_OLD, op_unlink },
	{ "rmdir", 4, TS_A_OLD, op_rmdir },
	{ "rename", 8, TS_A_OLD | TS_B_NEW, op_rename },
	{ "rename_over", 4, TS_A_OLD | TS_B_OLD, op_rename },
	{ "rename2", 4, TS_A_OLD | TS_B_OLD, op_rename2 },
	{ "chmod", 3, TS_A_OLD, op_chmod },
	{ "chown", 2, TS_A_OLD, op_chown },
	{ "utimens", 2, TS_A_OLD, op_utimens },
	{ "truncate", 3, TS_A_OLD, op_truncate },
	{ "write", 6, TS_A_OLD, op_write },
	{ "read", 5, TS_A_OLD, op_read },
	{ "stat", 8, TS_A_OLD, op_stat },
	{ "access", 2, TS_A_OLD, op_access },
	{ "readlink", 2, TS_A_OLD, op_readlink },
	{ "readdir", 3, TS_A_OLD, op_readdir },
	{ "setxattr", 3, TS_A_OLD, op_setxattr },
	{ "getxattr", 2, TS_A_OLD, op_getxattr },
	{ "removexattr", 1, TS_A_OLD, op_removexattr },
	{ "fsync", 1, TS_A_OLD, op_fsync },
	{ "hold", 3, TS_A_OLD, op_hold },
	{ "held_write", 2, 0, op_held_write },
	{ "held_read", 2, 0, op_held_read },
	{ "held_stat", 2, 0, op_held_stat },
	{ "held_truncate", 1, 0, op_held_truncate },
};

const size_t ts_nops = sizeof(ts_ops) / sizeof(ts_ops[0]);
