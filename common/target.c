// SPDX-License-Identifier: Apache-2.0
/*
 * Opening targets: read the superblock, check it, lock it; for object targets check that the data
 * file or device carries the same one.
 *
 * Each failure has an errno of its own and a sentence that names the path. What is read from disk
 * is an input: nothing of it is used before the checksum and the ranges are right.
 */
#include "common/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/uuid.h"

#define WAIT_STEP_MS 20

static const char *const kind_names[] = { "?", "mdt", "ost", "mgmt" };

__attribute__((format(printf, 3, 4))) static int fail(int ret, char *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, WEFT_TARGET_ERR_MAX, fmt, ap);
	va_end(ap);
	return ret;
}

const char *weft_target_kind_name(int kind)
{
	return kind >= WEFT_MDT && kind <= WEFT_MGT ? kind_names[kind] : kind_names[0];
}

int weft_target_parse_kind(const char *name)
{
	int kind;

	for (kind = WEFT_MDT; kind <= WEFT_MGT; kind++)
		if (!strcmp(name, kind_names[kind]))
			return kind;
	return -EINVAL;
}

const char *weft_target_file(const struct weft_target *t, const char *name, char *buf, size_t len)
{
	snprintf(buf, len, "%s/%s", t->path, name);
	return buf;
}

static uint32_t disk_crc(const struct weft_target_disk *d)
{
	const size_t at = offsetof(struct weft_target_disk, crc);
	const char *p = (const char *)d;
	const uint32_t zero = 0;
	uint32_t crc;

	crc = weft_crc32c(0, p, at);
	crc = weft_crc32c(crc, &zero, sizeof(zero));
	return weft_crc32c(crc, p + at + sizeof(zero), sizeof(*d) - at - sizeof(zero));
}

void weft_target_encode(const struct weft_target *t, struct weft_target_disk *d)
{
	char own[WEFT_TARGET_PATH_MAX + 8];

	memset(d, 0, sizeof(*d));
	d->magic = cpu_to_le32(WEFT_TARGET_MAGIC);
	d->version = cpu_to_le16(WEFT_TARGET_VERSION);
	d->kind = cpu_to_le16(t->kind);
	memcpy(d->fsid, t->fsid, sizeof(d->fsid));
	memcpy(d->uuid, t->uuid, sizeof(d->uuid));
	d->created = cpu_to_le64(t->created);
	d->data_offset = cpu_to_le64(t->data_offset);
	d->data_size = cpu_to_le64(t->data_size);
	memcpy(d->fs_name, t->fs_name, strnlen(t->fs_name, sizeof(d->fs_name) - 1));
	/* A data file inside the directory is not named, so that the directory can be moved. */
	if (strcmp(t->data, weft_target_file(t, "data", own, sizeof(own))))
		memcpy(d->data, t->data, strnlen(t->data, sizeof(d->data) - 1));
	d->crc = cpu_to_le32(disk_crc(d));
}

static int decode_check(const struct weft_target_disk *d, const char *path, char *err)
{
	int kind = le16_to_cpu(d->kind);

	if (le32_to_cpu(d->magic) != WEFT_TARGET_MAGIC)
		return fail(-ENODATA, err, "%s: no weft superblock there; mkfs.weft makes one", path);
	if (le32_to_cpu(d->crc) != disk_crc(d))
		return fail(-EUCLEAN, err, "%s: superblock is damaged (checksum does not match)",
			    path);
	if (le16_to_cpu(d->version) != WEFT_TARGET_VERSION || le32_to_cpu(d->incompat))
		return fail(-EPROTONOSUPPORT, err,
			    "%s: superblock has version %u features %#x, this program knows "
			    "version %u only",
			    path, le16_to_cpu(d->version), le32_to_cpu(d->incompat),
			    WEFT_TARGET_VERSION);
	if (kind < WEFT_MDT || kind > WEFT_MGT || d->fs_name[sizeof(d->fs_name) - 1] ||
	    d->data[sizeof(d->data) - 1] || le64_to_cpu(d->data_offset) > INT64_MAX / 2 ||
	    le64_to_cpu(d->data_size) > INT64_MAX / 2)
		return fail(-EUCLEAN, err, "%s: superblock is damaged (impossible values)", path);
	return 0;
}

int weft_target_decode(const struct weft_target_disk *d, const char *path, struct weft_target *t,
		       char err[WEFT_TARGET_ERR_MAX])
{
	int ret = decode_check(d, path, err);

	if (ret)
		return ret;
	if (strlen(path) >= sizeof(t->path))
		return fail(-ENAMETOOLONG, err, "%.64s...: path is too long", path);
	memset(t, 0, sizeof(*t));
	t->fd = -1;
	strcpy(t->path, path);
	t->kind = le16_to_cpu(d->kind);
	memcpy(t->fsid, d->fsid, sizeof(t->fsid));
	memcpy(t->uuid, d->uuid, sizeof(t->uuid));
	memcpy(t->fs_name, d->fs_name, sizeof(t->fs_name));
	t->created = le64_to_cpu(d->created);
	t->data_offset = le64_to_cpu(d->data_offset);
	t->data_size = le64_to_cpu(d->data_size);
	if (t->kind != WEFT_OST)
		return 0;
	if (d->data[0])
		strcpy(t->data, d->data);
	else
		weft_target_file(t, "data", t->data, sizeof(t->data));
	return 0;
}

static int read_block(int fd, struct weft_target_disk *d)
{
	ssize_t n = pread(fd, d, sizeof(*d), 0);

	if (n < 0)
		return -errno;
	/* A short block cannot have a right checksum; an empty file has no magic. */
	memset((char *)d + n, 0, sizeof(*d) - n);
	return 0;
}

static int open_superblock(const char *path, struct weft_target *t, char *err)
{
	char file[WEFT_TARGET_PATH_MAX + 16];
	struct weft_target_disk d;
	int fd, ret;

	snprintf(file, sizeof(file), "%s/superblock", path);
	fd = open(file, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return fail(-ENODATA, err, "%s: not a weft target; mkfs.weft makes one", path);
	if (fd < 0)
		return fail(-errno, err, "%s: %s", file, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		ret = errno == EWOULDBLOCK ?
			fail(-EBUSY, err, "%s: target is in use by another process", path) :
			fail(-errno, err, "%s: cannot lock: %s", file, strerror(errno));
		goto out_close;
	}
	ret = read_block(fd, &d);
	if (ret) {
		fail(ret, err, "%s: %s", file, strerror(-ret));
		goto out_close;
	}
	ret = weft_target_decode(&d, path, t, err);
	if (ret)
		goto out_close;
	t->fd = fd;
	return 0;
out_close:
	close(fd);
	return ret;
}

/* The data file or device must carry the superblock of this very target. */
static int check_data(const struct weft_target *t, char *err)
{
	struct weft_target_disk d;
	struct weft_target other;
	int fd, ret;

	fd = open(t->data, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(-errno, err, "%s: data of target %s: %s", t->data, t->path,
			    strerror(errno));
	ret = read_block(fd, &d);
	close(fd);
	if (ret)
		return fail(ret, err, "%s: %s", t->data, strerror(-ret));
	ret = weft_target_decode(&d, t->data, &other, err);
	if (ret)
		return ret == -ENODATA ? -EUCLEAN : ret;
	if (memcmp(other.uuid, t->uuid, 16) || memcmp(other.fsid, t->fsid, 16))
		return fail(-EUCLEAN, err, "%s: holds the data of another target than %s", t->data,
			    t->path);
	return 0;
}

static int check_expected(const struct weft_target *t, int kind, const uint8_t *fsid, char *err)
{
	char have[WEFT_UUID_STR], want[WEFT_UUID_STR];

	if (kind && t->kind != kind)
		return fail(-EMEDIUMTYPE, err, "%s: is a target of type %s, type %s is needed",
			    t->path, weft_target_kind_name(t->kind), weft_target_kind_name(kind));
	if (fsid && memcmp(t->fsid, fsid, 16))
		return fail(-EXDEV, err, "%s: belongs to file system %s (%s), not to %s", t->path,
			    weft_uuid_format(t->fsid, have), t->fs_name,
			    weft_uuid_format(fsid, want));
	return t->kind == WEFT_OST ? check_data(t, err) : 0;
}

int weft_target_open(const char *path, int kind, const uint8_t *fsid, struct weft_target *t,
		     char err[WEFT_TARGET_ERR_MAX])
{
	int ret;

	err[0] = 0;
	memset(t, 0, sizeof(*t));
	t->fd = -1;
	if (strlen(path) >= WEFT_TARGET_PATH_MAX)
		return fail(-ENAMETOOLONG, err, "%.64s...: path is too long", path);
	ret = open_superblock(path, t, err);
	if (ret)
		return ret;
	ret = check_expected(t, kind, fsid, err);
	if (ret)
		weft_target_close(t);
	return ret;
}

int weft_target_wait(int (*open)(void *arg), void *arg, unsigned int ms)
{
	static const struct timespec pause = { 0, WAIT_STEP_MS * 1000000 };
	unsigned int waited;
	int ret;

	for (waited = 0;; waited += WAIT_STEP_MS) {
		ret = open(arg);
		if (ret != -EBUSY || waited >= ms)
			return ret;
		nanosleep(&pause, NULL);
	}
}

struct open_args {
	const char *path;
	int kind;
	const uint8_t *fsid;
	struct weft_target *t;
	char *err;
};

static int open_again(void *arg)
{
	struct open_args *a = arg;

	return weft_target_open(a->path, a->kind, a->fsid, a->t, a->err);
}

int weft_target_open_wait(const char *path, int kind, const uint8_t *fsid, struct weft_target *t,
			  char err[WEFT_TARGET_ERR_MAX])
{
	struct open_args a = { path, kind, fsid, t, err };

	return weft_target_wait(open_again, &a, WEFT_TARGET_WAIT_MS);
}

void weft_target_close(struct weft_target *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

bool weft_target_used(const struct weft_target *t)
{
	char path[WEFT_TARGET_PATH_MAX + 16];

	return !access(weft_target_file(t, WEFT_TARGET_USED, path, sizeof(path)), F_OK);
}

int weft_target_set_used(const struct weft_target *t)
{
	char path[WEFT_TARGET_PATH_MAX + 16];
	int fd, dir, ret = 0;

	fd = open(weft_target_file(t, WEFT_TARGET_USED, path, sizeof(path)),
		  O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	dir = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fsync(fd) || dir < 0 || fsync(dir))
		ret = -errno;
	if (dir >= 0)
		close(dir);
	close(fd);
	return ret;
}
