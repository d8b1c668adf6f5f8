// SPDX-License-Identifier: Apache-2.0
/*
 * The real tree of ackcheck: doing one operation, and comparing all that is there with the model.
 * A fault names the object, what it should be and the number of the last operation on it, so that
 * the log shows what was acknowledged and lost.
 */
#include "tests/fs/ackcheck/ackcheck.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char xattr_name[] = "user.ack";

static int do_create(int root, const struct ack_op *op)
{
	int fd = openat(root, op->a, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, (mode_t)op->value);

	if (fd < 0)
		return -errno;
	return close(fd) ? -errno : 0;
}

static int write_file(int fd, const struct ack_op *op)
{
	static char buf[ACK_MAX_SIZE];
	size_t done = 0;
	ssize_t n;

	ack_bytes(buf, op->len, op->value);
	while (done < op->len) {
		if (op->kind == ACK_APPEND)
			n = write(fd, buf + done, op->len - done);
		else
			n = pwrite(fd, buf + done, op->len - done, op->off + (off_t)done);
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* Operations on an open file. Errors of close count: it may write back. */
static int do_file(int root, const struct ack_op *op)
{
	int flags = op->kind == ACK_APPEND ? O_WRONLY | O_APPEND : O_RDWR;
	int fd = openat(root, op->a, flags | O_CLOEXEC | O_NOFOLLOW), rc;

	if (fd < 0)
		return -errno;
	switch (op->kind) {
	case ACK_FSYNC: rc = fsync(fd) ? -errno : 0; break;
	case ACK_TRUNCATE: rc = ftruncate(fd, op->off) ? -errno : 0; break;
	case ACK_CHMOD: rc = fchmod(fd, (mode_t)op->value) ? -errno : 0; break;
	case ACK_XATTR:
		rc = fsetxattr(fd, xattr_name, &op->value, sizeof(op->value), 0) ? -errno : 0;
		break;
	default: rc = write_file(fd, op);
	}
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

int ack_do(int root, const struct ack_op *op)
{
	int rc;

	switch (op->kind) {
	case ACK_CREATE: return do_create(root, op);
	case ACK_RENAME: rc = renameat(root, op->a, root, op->b); break;
	case ACK_EXCHANGE: rc = renameat2(root, op->a, root, op->b, RENAME_EXCHANGE); break;
	case ACK_LINK: rc = linkat(root, op->a, root, op->b, 0); break;
	case ACK_SYMLINK: rc = symlinkat(op->b, root, op->a); break;
	case ACK_UNLINK: rc = unlinkat(root, op->a, 0); break;
	case ACK_MKDIR: rc = mkdirat(root, op->a, (mode_t)op->value); break;
	case ACK_RMDIR: rc = unlinkat(root, op->a, AT_REMOVEDIR); break;
	default: return do_file(root, op);
	}
	return rc ? -errno : 0;
}

struct check {
	int root;
	const char *name;
	struct ack_model *m;
	bool crashed, loud;
	unsigned faults;
};

static void fault(struct check *c, uint64_t op, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void fault(struct check *c, uint64_t op, const char *path, const char *fmt, ...)
{
	va_list ap;

	c->faults++;
	if (!c->loud)
		return;
	printf("LOST OR WRONG %s/%s (last operation %llu): ", c->name, path,
	       (unsigned long long)op);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* Each byte must be the latest one or, where that is allowed, the synced one. */
static void check_bytes(struct check *c, const struct ack_name *e, const char *got, size_t size,
			bool lenient)
{
	const struct ack_inode *i = e->ino;

	for (size_t k = 0; k < size; k++) {
		char latest = k < i->size ? i->latest[k] : 0;
		char synced = k < i->synced_size ? i->synced[k] : 0;

		if (got[k] == latest || (lenient && (got[k] == synced || !got[k])))
			continue;
		fault(c, i->op, e->path, "byte %zu of %zu: expected %#x, got %#x", k, size,
		      (unsigned char)latest, (unsigned char)got[k]);
		return;
	}
}

static void check_content(struct check *c, const struct ack_name *e, size_t size)
{
	static char buf[ACK_MAX_SIZE + 1];
	const struct ack_inode *i = e->ino;
	bool lenient = i->doubtful || (c->crashed && i->dirty);
	size_t low = i->size < i->synced_size ? i->size : i->synced_size;
	size_t high = i->size > i->synced_size ? i->size : i->synced_size;
	size_t done = 0;
	ssize_t n;
	int fd;

	if (lenient ? size < low || size > high : size != i->size) {
		fault(c, i->op, e->path, "size: expected %zu%s, got %zu", i->size,
		      lenient ? " or the size before" : "", size);
		return;
	}
	fd = openat(c->root, e->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		fault(c, i->op, e->path, "open: %s", strerror(errno));
		return;
	}
	while ((n = read(fd, buf + done, sizeof(buf) - done)) > 0)
		done += (size_t)n;
	close(fd);
	if (n < 0 || done != size)
		fault(c, i->op, e->path, "read: %zu of %zu bytes%s%s", done, size, n ? ": " : "",
		      n ? strerror(errno) : "");
	else
		check_bytes(c, e, buf, size, lenient);
}

static void check_xattr(struct check *c, const struct ack_name *e)
{
	int fd = openat(c->root, e->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint64_t got = 0;

	if (fd < 0) {
		fault(c, e->ino->op, e->path, "open: %s", strerror(errno));
		return;
	}
	if (fgetxattr(fd, xattr_name, &got, sizeof(got)) < 0 && errno != ENODATA)
		fault(c, e->ino->op, e->path, "getxattr: %s", strerror(errno));
	else if (got != e->ino->xattr)
		fault(c, e->ino->op, e->path, "xattr: expected %llx, got %llx",
		      (unsigned long long)e->ino->xattr, (unsigned long long)got);
	close(fd);
}

static void check_target(struct check *c, const struct ack_name *e)
{
	char target[ACK_NAME] = "";

	if (readlinkat(c->root, e->path, target, sizeof(target) - 1) < 0 ||
	    strcmp(target, e->ino->target))
		fault(c, e->op, e->path, "target: expected %s, got %s", e->ino->target, target);
}

static void check_name(struct check *c, const struct ack_name *e)
{
	static const mode_t types[] = { S_IFREG, S_IFDIR, S_IFLNK };
	const struct ack_inode *i = e->ino;
	struct stat st;

	if (fstatat(c->root, e->path, &st, AT_SYMLINK_NOFOLLOW)) {
		if (i || errno != ENOENT)
			fault(c, e->op, e->path, "%s", strerror(errno));
		return;
	}
	if (!i) {
		fault(c, e->op, e->path, "exists again");
		return;
	}
	if ((st.st_mode & S_IFMT) != types[i->type]) {
		fault(c, e->op, e->path, "type: expected %o, got %o", types[i->type], st.st_mode);
		return;
	}
	if (i->type == ACK_LNK) {
		check_target(c, e);
		return;
	}
	if ((st.st_mode & 07777) != i->mode)
		fault(c, i->op, e->path, "mode: expected %o, got %o", i->mode, st.st_mode & 07777);
	if (i->type == ACK_DIR)
		return;
	if (st.st_nlink != i->nlink)
		fault(c, i->op, e->path, "links: expected %u, got %lu", i->nlink,
		      (unsigned long)st.st_nlink);
	check_xattr(c, e);
	check_content(c, e, (size_t)st.st_size);
}

/* No name may be listed that the model does not know. */
static void check_listing(struct check *c, const char *dir)
{
	char path[300];
	struct ack_name *e;
	struct dirent *de;
	DIR *d;
	int fd;

	fd = openat(c->root, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		fault(c, c->m->ops, dir, "opendir: %s", strerror(errno));
		return;
	}
	while ((errno = 0, de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", de->d_name);
		e = ack_find(c->m, path);
		if (!e || !e->ino)
			fault(c, e ? e->op : 0, path, "is listed and must not exist");
	}
	if (errno)
		fault(c, c->m->ops, dir, "readdir: %s", strerror(errno));
	closedir(d);
}

unsigned ack_verify(int root, const char *name, struct ack_model *m, bool crashed, bool loud)
{
	struct check c = { root, name, m, crashed, loud, 0 };

	check_listing(&c, "");
	for (size_t i = 0; i < m->count; i++) {
		check_name(&c, &m->names[i]);
		if (m->names[i].ino && m->names[i].ino->type == ACK_DIR)
			check_listing(&c, m->names[i].path);
	}
	return c.faults;
}
