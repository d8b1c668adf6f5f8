// SPDX-License-Identifier: Apache-2.0
/*
 * The commit log of a store, see kvlog.h.
 *
 * Happy path: the file is made full of zeros, so that its blocks are allocated and written. A
 * record is padded to whole blocks and written behind the one before by one write, which has
 * reached the disk when it returns. When the end is reached the store syncs its own log, and
 * records are written from the front again over the old ones.
 *
 * A log is cleared by a record without changes, which says what the store had then.
 *
 * Reading: from the front, while records are whole (salt, checksum) and each begins with the number
 * that follows the one before. Where this ends, only records of earlier passes may follow: a whole
 * record with a higher number further on means that one before it, which was durable, is damaged.
 *
 * Failures: a torn record at the end was never acknowledged and is ignored. A record that was
 * written but not taken by the store is cancelled by zeros over its head; when that fails too, it
 * may come back after a restart, and the store refuses further commits until then.
 *
 * The salt is random, so that nothing a user stores can look like a record.
 *
 * Protection: one thread at a time.
 */
#include "common/kvlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "proto/types.h"

#define BLOCK 4096u
#define MAGIC 0x676c6b77u /* "wklg" */
#define VERSION 1u

/* The first block. Only its first sector is ever not zero. */
struct head {
	__le32 magic;
	__le32 version;
	__le64 salt;
	__le32 crc; /* of the fields before */
	__le32 zero;
};

/* Opens each record; the data follows. Count 0: a cleared log, the store has all before seq. */
struct record {
	__le64 salt;
	__le64 seq; /* of its first change */
	__le32 count;
	__le32 len;
	__le32 crc; /* of the fields before and the data */
	__le32 zero;
};

_Static_assert(sizeof(struct head) == 24, "on disk");
_Static_assert(sizeof(struct record) == 32, "on disk");

struct weft_kvlog {
	int fd;	 /* for writing, past the page cache */
	int rfd; /* for reading it all */
	uint64_t size; /* of the file */
	uint64_t pos;  /* of the next record */
	uint64_t last; /* of the last one */
	bool stale;    /* rewound: at the front there is still the pass before */
	__le64 salt;
	char *buf; /* aligned */
	size_t cap;
};

static size_t padded(size_t len)
{
	return (sizeof(struct record) + len + BLOCK - 1) & ~(size_t)(BLOCK - 1);
}

static int write_all(int fd, const char *p, size_t len, uint64_t off)
{
	ssize_t n;

	while (len) {
		n = pwrite(fd, p, len, off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		len -= n;
		off += n;
	}
	return 0;
}

static int read_all(int fd, char *p, size_t len, uint64_t off)
{
	ssize_t n;

	while (len) {
		n = pread(fd, p, len, off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EUCLEAN;
		p += n;
		len -= n;
		off += n;
	}
	return 0;
}

/* Allocated and written blocks, so that writing over them changes no metadata. */
static int write_zeros(int fd, uint64_t from, uint64_t to)
{
	size_t piece = 1u << 20;
	void *zeros;
	int ret;

	ret = -posix_memalign(&zeros, BLOCK, piece);
	if (ret)
		return ret;
	memset(zeros, 0, piece);
	for (; !ret && from < to; from += piece) {
		if (piece > to - from)
			piece = to - from;
		ret = write_all(fd, zeros, piece, from);
	}
	free(zeros);
	return !ret && fsync(fd) ? -errno : ret;
}

static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash - path + 1) : strdup(".");
	int fd, ret = 0;

	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (fd < 0 || fsync(fd))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Its head is written last: a file without one was being made, and is made again. */
int weft_kvlog_create(const char *path)
{
	struct head h = { .magic = cpu_to_le32(MAGIC), .version = cpu_to_le32(VERSION) };
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	int ret;

	if (fd < 0)
		return -errno;
	ret = getrandom(&h.salt, sizeof(h.salt), 0) == sizeof(h.salt) ? 0 : -EIO;
	h.crc = cpu_to_le32(weft_crc32c(0, &h, offsetof(struct head, crc)));
	if (!ret)
		ret = write_zeros(fd, 0, WEFT_KVLOG_MIN);
	if (!ret)
		ret = write_all(fd, (char *)&h, sizeof(h), 0);
	if (!ret && fsync(fd))
		ret = -errno;
	close(fd);
	return ret ? ret : sync_parent(path);
}

static int read_head(struct weft_kvlog *log)
{
	static const struct head none;
	struct head h;
	int ret = read_all(log->rfd, log->buf, BLOCK, 0);

	if (ret)
		return ret == -EUCLEAN ? -ENOENT : ret; /* shorter than a block: not made yet */
	memcpy(&h, log->buf, sizeof(h));
	if (!memcmp(&h, &none, sizeof(h)))
		return -ENOENT;
	if (le32_to_cpu(h.magic) != MAGIC ||
	    le32_to_cpu(h.crc) != weft_crc32c(0, &h, offsetof(struct head, crc)))
		return -EUCLEAN;
	log->salt = h.salt;
	return le32_to_cpu(h.version) == VERSION ? 0 : -EPROTONOSUPPORT;
}

static int reserve(struct weft_kvlog *log, size_t len)
{
	char *buf;

	if (len <= log->cap)
		return 0;
	len = (len + 65535) & ~(size_t)65535;
	if (posix_memalign((void **)&buf, BLOCK, len))
		return -ENOMEM;
	free(log->buf);
	log->buf = buf;
	log->cap = len;
	return 0;
}

/* Some file systems know no direct I/O (tmpfs); what a write promises is the same. */
static int open_direct(struct weft_kvlog *log, const char *path)
{
	int flags = O_WRONLY | O_DSYNC | O_CLOEXEC;

	log->fd = open(path, flags | O_DIRECT);
	if (log->fd < 0 && errno == EINVAL)
		log->fd = open(path, flags);
	return log->fd < 0 ? -errno : 0;
}

int weft_kvlog_open(const char *path, bool rdonly, struct weft_kvlog **out)
{
	struct weft_kvlog *log = calloc(1, sizeof(*log));
	struct stat st;
	int ret = 0;

	if (!log)
		return -ENOMEM;
	log->fd = -1;
	log->rfd = open(path, O_RDONLY | O_CLOEXEC);
	if (log->rfd < 0 || fstat(log->rfd, &st))
		ret = -errno;
	if (!ret && !rdonly)
		ret = open_direct(log, path);
	if (!ret)
		ret = reserve(log, BLOCK);
	if (!ret)
		ret = read_head(log);
	if (ret) {
		weft_kvlog_close(log);
		return ret;
	}
	log->size = st.st_size & ~(uint64_t)(BLOCK - 1);
	log->pos = log->last = BLOCK;
	*out = log;
	return 0;
}

void weft_kvlog_close(struct weft_kvlog *log)
{
	if (!log)
		return;
	if (log->fd >= 0)
		close(log->fd);
	if (log->rfd >= 0)
		close(log->rfd);
	free(log->buf);
	free(log);
}

static uint32_t record_crc(const struct record *r, const void *data, size_t len)
{
	return weft_crc32c(weft_crc32c(0, r, offsetof(struct record, crc)), data, len);
}

/* Reads the record at @pos into the buffer. Return: 1, 0: there is none, or a negative errno. */
static int read_record(struct weft_kvlog *log, uint64_t pos, struct record *r)
{
	size_t len;
	int ret;

	if (pos >= log->size)
		return 0;
	ret = read_all(log->rfd, log->buf, BLOCK, pos);
	if (ret)
		return ret;
	memcpy(r, log->buf, sizeof(*r));
	len = le32_to_cpu(r->len);
	if (r->salt != log->salt || len > log->size || padded(len) > log->size - pos)
		return 0;
	ret = reserve(log, padded(len));
	if (!ret)
		ret = read_all(log->rfd, log->buf, padded(len), pos);
	if (ret)
		return ret;
	return record_crc(r, log->buf + sizeof(*r), len) == le32_to_cpu(r->crc);
}

/* Behind the last record: nothing newer may be there. */
static int check_rest(struct weft_kvlog *log, uint64_t pos, uint64_t last)
{
	struct record r;
	int ret;

	for (; pos < log->size; pos += BLOCK) {
		ret = read_record(log, pos, &r);
		if (ret < 0)
			return ret;
		if (ret && le64_to_cpu(r.seq) > last)
			return -EUCLEAN;
	}
	return 0;
}

int weft_kvlog_replay(struct weft_kvlog *log, uint64_t have,
		      int (*apply)(void *arg, uint64_t end, const void *data, size_t len),
		      void *arg)
{
	uint64_t pos = BLOCK, end = 0;
	struct record r;
	int ret, n = 0;

	while ((ret = read_record(log, pos, &r)) > 0) {
		if (n && le64_to_cpu(r.seq) != end + 1)
			break; /* of an earlier pass */
		if (!n && le64_to_cpu(r.seq) > have + 1)
			return -EUCLEAN;
		if (!r.count)
			break;
		end = le64_to_cpu(r.seq) + le32_to_cpu(r.count) - 1;
		ret = apply(arg, end, log->buf + sizeof(r), le32_to_cpu(r.len));
		if (ret)
			return ret;
		n++;
		pos += padded(le32_to_cpu(r.len));
	}
	if (ret >= 0)
		ret = check_rest(log, pos + BLOCK, n ? end : have);
	return ret ? ret : n;
}

bool weft_kvlog_empty(const struct weft_kvlog *log)
{
	return log->pos == BLOCK && !log->stale;
}

/* Writes a block at the position of the next record. */
static int write_block(struct weft_kvlog *log, const struct record *r)
{
	memset(log->buf, 0, BLOCK);
	memcpy(log->buf, r, sizeof(*r));
	return write_all(log->fd, log->buf, BLOCK, log->pos);
}

int weft_kvlog_clear(struct weft_kvlog *log, uint64_t have)
{
	struct record r = { .salt = log->salt, .seq = cpu_to_le64(have + 1) };
	int ret;

	r.crc = cpu_to_le32(record_crc(&r, NULL, 0));
	log->pos = log->last = BLOCK;
	ret = write_block(log, &r);
	log->stale = ret != 0;
	return ret;
}

bool weft_kvlog_fits(const struct weft_kvlog *log, size_t len)
{
	return len < WEFT_KVLOG_MAX && padded(len) <= log->size - log->pos;
}

uint64_t weft_kvlog_room(const struct weft_kvlog *log, bool rewound)
{
	return log->size - (rewound ? BLOCK : log->pos);
}

void weft_kvlog_rewind(struct weft_kvlog *log)
{
	uint64_t size = 2 * log->size;

	log->pos = log->last = BLOCK;
	log->stale = true;
	/* When it cannot grow it stays as it is. */
	if (log->size < WEFT_KVLOG_MAX && !write_zeros(log->fd, log->size, size))
		log->size = size;
}

int weft_kvlog_append(struct weft_kvlog *log, uint64_t have, uint32_t count, const void *data,
		      size_t len)
{
	struct record r = { .salt = log->salt, .seq = cpu_to_le64(have + 1),
			    .count = cpu_to_le32(count), .len = cpu_to_le32(len) };
	size_t total = padded(len);
	int ret = reserve(log, total);

	log->last = log->pos;
	if (ret)
		return ret;
	r.crc = cpu_to_le32(record_crc(&r, data, len));
	memcpy(log->buf, &r, sizeof(r));
	if (len)
		memcpy(log->buf + sizeof(r), data, len);
	memset(log->buf + sizeof(r) + len, 0, total - sizeof(r) - len);
	ret = write_all(log->fd, log->buf, total, log->pos);
	if (ret)
		return ret;
	log->pos += total;
	log->stale = false;
	return 0;
}

int weft_kvlog_cancel(struct weft_kvlog *log)
{
	static const struct record none;

	log->pos = log->last;
	return write_block(log, &none);
}
