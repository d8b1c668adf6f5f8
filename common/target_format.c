// SPDX-License-Identifier: Apache-2.0
/*
 * Formatting targets: look at what is there, refuse or remove it, write data header and superblock.
 *
 * Order of a format: old superblock away, old content away, data header, then the new superblock
 * under a temporary name, synced and renamed. A crash before the rename leaves a directory that
 * is not a target. Only what lies in a directory with a weft superblock is ever removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/target.h"
#include "common/uuid.h"

#define OST_SIZE_MIN (64ull << 20)

__attribute__((format(printf, 3, 4))) static int fail(int ret, char *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, WEFT_TARGET_ERR_MAX, fmt, ap);
	va_end(ap);
	return ret;
}

/* Is something else than a file system's own lost+found in the directory? 1, 0 or -errno. */
static int dir_has_entries(const char *path)
{
	struct dirent *de;
	int found = 0;
	DIR *dir = opendir(path);

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!found && (de = readdir(dir)))
		found = strcmp(de->d_name, ".") && strcmp(de->d_name, "..") &&
			strcmp(de->d_name, "lost+found");
	closedir(dir);
	return found;
}

/* What is in the directory: 0 nothing, 1 a weft target that may be removed, -errno refused. */
static int look_at_dir(const struct weft_target *t, unsigned int flags, char *err)
{
	char text[WEFT_UUID_STR];
	struct weft_target old;
	int ret = dir_has_entries(t->path);

	if (ret < 0)
		return fail(ret, err, "%s: %s", t->path, strerror(-ret));
	if (!ret)
		return 0;
	ret = weft_target_open(t->path, 0, NULL, &old, err);
	if (ret == -EBUSY || ret == -EACCES)
		return ret;
	if (ret == -ENODATA)
		return fail(-ENOTEMPTY, err,
			    "%s: directory is not empty and holds no weft target; empty it first",
			    t->path);
	weft_target_close(&old);
	if (flags & WEFT_FORMAT_REFORMAT)
		return 1;
	if (ret)
		return fail(-EEXIST, err,
			    "%s: holds a weft target that cannot be opened; --reformat destroys it",
			    t->path);
	return fail(-EEXIST, err,
		    "%s: holds %s target %s of file system %s already; --reformat destroys it",
		    t->path, weft_target_kind_name(old.kind), weft_uuid_format(old.uuid, text),
		    old.fs_name);
}

/* The device of an object target: unused, and either blank, ours, or to be reformatted. */
static int look_at_device(const struct weft_target *t, unsigned int flags, char *err)
{
	static char block[65536];
	struct weft_target old;
	ssize_t n, i;
	int fd, ret = 0;

	fd = open(t->data, O_RDWR | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		return fail(-errno, err, "%s: %s", t->data,
			    errno == EBUSY ? "device is in use (mounted?)" : strerror(errno));
	n = pread(fd, block, sizeof(block), 0);
	if (n < 0)
		ret = fail(-errno, err, "%s: %s", t->data, strerror(errno));
	for (i = 0; i < n && !block[i]; i++)
		;
	close(fd);
	if (ret || i == n)
		return ret;
	if (n >= (ssize_t)sizeof(struct weft_target_disk) &&
	    weft_target_decode((void *)block, t->data, &old, err) != -ENODATA)
		return flags & WEFT_FORMAT_REFORMAT ? 0 :
			fail(-EEXIST, err,
			     "%s: holds a weft target already; --reformat destroys it", t->data);
	return fail(-ENOTEMPTY, err,
		    "%s: holds data that is not weft's; wipe it first (wipefs, blkdiscard)", t->data);
}

static int device_size(const char *path, uint64_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		ret = -errno;
	else if (S_ISREG(st.st_mode))
		*size = st.st_size;
	else if (!S_ISBLK(st.st_mode))
		ret = -ENOTBLK;
	else if (ioctl(fd, BLKGETSIZE64, size))
		ret = -errno;
	close(fd);
	return ret;
}

/* Free bytes of the file system that shall hold a directory which may not exist yet. */
static int free_bytes(const char *path, uint64_t *bytes)
{
	char up[WEFT_TARGET_PATH_MAX];
	struct statvfs sv;
	char *slash;

	snprintf(up, sizeof(up), "%s", path);
	while (statvfs(up, &sv)) {
		if (errno != ENOENT)
			return -errno;
		slash = strrchr(up, '/');
		if (!slash)
			strcpy(up, ".");
		else if (slash == up)
			strcpy(up, "/");
		else
			*slash = 0;
	}
	*bytes = (uint64_t)sv.f_bavail * sv.f_frsize;
	return 0;
}

static int choose_size(struct weft_target *t, bool device, char *err)
{
	uint64_t room = 0;
	int ret;

	t->data_offset = WEFT_TARGET_DATA_OFFSET;
	ret = device ? device_size(t->data, &room) : free_bytes(t->path, &room);
	if (ret)
		return fail(ret, err, "%s: %s", device ? t->data : t->path, strerror(-ret));
	if (device && room < t->data_offset + t->data_size)
		return fail(-ENOSPC, err, "%s: has %llu bytes, fewer than asked for", t->data,
			    (unsigned long long)room);
	if (!t->data_size)
		t->data_size = device && room > t->data_offset ? room - t->data_offset :
								 room / 10 * 9;
	t->data_size &= ~((1ull << 20) - 1);
	if (t->data_size < OST_SIZE_MIN)
		return fail(-ENOSPC, err, "%s: %llu MiB for data; an object target needs %llu MiB",
			    t->path, (unsigned long long)t->data_size >> 20, OST_SIZE_MIN >> 20);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	if (!ftw->level || (ftw->level == 1 && !strcmp(path + ftw->base, "lost+found")))
		return 0;
	return remove(path) ? -errno : 0;
}

static int remove_old(const struct weft_target *t, char *err)
{
	char file[WEFT_TARGET_PATH_MAX + 16];
	int ret;

	weft_target_file(t, "superblock", file, sizeof(file));
	if (unlink(file))
		return fail(-errno, err, "%s: %s", file, strerror(errno));
	ret = nftw(t->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (ret)
		return fail(ret < 0 ? ret : -EIO, err, "%s: cannot remove the old target: %s",
			    t->path, strerror(ret < 0 ? -ret : EIO));
	return 0;
}

/* Writes a block at the start of a file and syncs it; @size grows the file, 0 leaves it. */
static int write_block(const char *file, const struct weft_target_disk *d, uint64_t size,
		       bool create)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0600);
	int ret = 0;

	if (fd < 0)
		return -errno;
	errno = 0;
	if ((size && ftruncate(fd, size)) || pwrite(fd, d, sizeof(*d), 0) != sizeof(*d) ||
	    fsync(fd))
		ret = errno ? -errno : -EIO;
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

static int sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}

static int write_target(const struct weft_target *t, bool device, char *err)
{
	char tmp[WEFT_TARGET_PATH_MAX + 16], file[WEFT_TARGET_PATH_MAX + 16];
	struct weft_target_disk d;
	int ret = 0;

	weft_target_encode(t, &d);
	if (t->kind == WEFT_OST)
		ret = write_block(t->data, &d, device ? 0 : t->data_offset + t->data_size, !device);
	if (ret)
		return fail(ret, err, "%s: %s", t->data, strerror(-ret));
	weft_target_file(t, "superblock.new", tmp, sizeof(tmp));
	weft_target_file(t, "superblock", file, sizeof(file));
	ret = write_block(tmp, &d, 0, true);
	if (!ret && rename(tmp, file))
		ret = -errno;
	if (!ret)
		ret = sync_dir(t->path);
	return ret ? fail(ret, err, "%s: %s", file, strerror(-ret)) : 0;
}

/* Makes the directory and those above it. */
static int make_dir(const char *path)
{
	char part[WEFT_TARGET_PATH_MAX];
	size_t i;

	for (i = 1; path[i - 1]; i++) {
		if (path[i] && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = 0;
		if (mkdir(part, 0700) && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int weft_target_format(struct weft_target *t, unsigned int flags, char err[WEFT_TARGET_ERR_MAX])
{
	bool device = t->kind == WEFT_OST && t->data[0];
	int old, ret;

	err[0] = 0;
	t->fd = -1;
	old = look_at_dir(t, flags, err);
	if (old < 0)
		return old;
	ret = device ? look_at_device(t, flags, err) : 0;
	if (ret)
		return ret;
	if (t->kind == WEFT_OST && !device)
		weft_target_file(t, "data", t->data, sizeof(t->data));
	ret = t->kind == WEFT_OST ? choose_size(t, device, err) : 0;
	if (!ret && weft_uuid_is_zero(t->uuid))
		ret = weft_uuid_random(t->uuid);
	t->created = time(NULL);
	if (ret || flags & WEFT_FORMAT_DRY_RUN)
		return ret;
	if (old)
		ret = remove_old(t, err);
	if (ret)
		return ret;
	ret = make_dir(t->path);
	if (ret)
		return fail(ret, err, "%s: %s", t->path, strerror(-ret));
	return write_target(t, device, err);
}
