// SPDX-License-Identifier: Apache-2.0
/*
 * The environment's disks: io_uring, one ring per loop, completions announced by an eventfd.
 *
 * Memory that was registered (the slabs of a pool) is used without pinning its pages at each
 * request.
 *
 * Happy path: weft_disk_submit() prepares an entry; all entries of one round of the loop are
 * submitted by one system call, just before the loop sleeps. When the ring is full, requests wait
 * in a list. A read or write that moved only part is continued until it is whole or at the end
 * of the file.
 *
 * Failures: errors of the device come through done(). A kernel without io_uring makes
 * weft_disk_open() fail with the kernel's error, logged; there is no second way.
 *
 * Belongs to the loop; no locks. An open disk holds a flock, so that two servers cannot have it.
 */
#include "common/env_uv_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define SUBMIT_RETRY_MS 2
#define RING_ENTRIES 256
#define FIXED_MAX 256

/* Memory whose pages the ring has pinned: its number is its place in the table. */
struct fixed {
	struct uv_disk *disk; /* NULL: a free place */
	char *mem;
	size_t len;
};

struct uv_disk {
	struct weft_disk d;
	struct env_uv_ring *ring;
	int fd;
	bool blkdev;
};

/**
 * struct env_uv_ring - the ring of a loop
 * @running: requests given to the kernel; at most RING_ENTRIES, so that completions fit
 * @unsent: prepared and not yet submitted
 * @waiting: requests that found the ring full
 * @fixed: registered memory, the first @nfixed places of the table; NULL: none was registered yet
 * @no_fixed: the kernel cannot, or will not pin more
 */
struct env_uv_ring {
	struct io_uring ring;
	int efd;
	uv_poll_t poll;
	uv_prepare_t prepare;
	uv_timer_t again; /* submits once more */
	int handles;
	unsigned int running;
	unsigned int unsent;
	struct weft_io *waiting;
	struct weft_io **waiting_tail;
	struct fixed *fixed;
	unsigned int nfixed;
	bool no_fixed;
};

static size_t io_bytes(const struct weft_io *io)
{
	size_t n = 0;
	unsigned int i;

	for (i = 0; i < io->niov; i++)
		n += io->iov[i].iov_len;
	return n;
}

/* Takes the first n bytes off the vector. */
static void io_advance(struct weft_io *io, size_t n)
{
	io->moved += n;
	while (n && n >= io->iov->iov_len) {
		n -= io->iov->iov_len;
		io->iov++;
		io->niov--;
	}
	if (n) {
		io->iov->iov_base = (char *)io->iov->iov_base + n;
		io->iov->iov_len -= n;
	}
}

/* Place of registered memory in which a request lies as one piece, or -1. */
static int io_fixed(const struct env_uv_ring *r, const struct weft_io *io)
{
	const char *p = io->iov->iov_base;
	unsigned int i;

	for (i = 0; io->niov == 1 && i < r->nfixed; i++) {
		const struct fixed *f = &r->fixed[i];

		if (f->disk && p >= f->mem && p + io->iov->iov_len <= f->mem + f->len)
			return i;
	}
	return -1;
}

static void rw_prepare(struct io_uring_sqe *sqe, struct weft_io *io, int fd, uint64_t off)
{
	unsigned int niov = io->niov < WEFT_IO_MAX_IOV ? io->niov : WEFT_IO_MAX_IOV;
	int fixed = io_fixed(((struct uv_disk *)io->disk)->ring, io);
	bool read = io->op == WEFT_IO_READ;

	if (fixed >= 0 && read)
		io_uring_prep_read_fixed(sqe, fd, io->iov->iov_base, io->iov->iov_len, off, fixed);
	else if (fixed >= 0)
		io_uring_prep_write_fixed(sqe, fd, io->iov->iov_base, io->iov->iov_len, off,
					  fixed);
	else if (read)
		io_uring_prep_readv(sqe, fd, io->iov, niov, off);
	else
		io_uring_prep_writev(sqe, fd, io->iov, niov, off);
}

static void io_prepare(struct io_uring_sqe *sqe, struct weft_io *io)
{
	struct uv_disk *d = (struct uv_disk *)io->disk;

	switch (io->op) {
	case WEFT_IO_READ:
	case WEFT_IO_WRITE:
		rw_prepare(sqe, io, d->fd, io->off + io->moved);
		break;
	case WEFT_IO_FDATASYNC:
		io_uring_prep_fsync(sqe, d->fd, IORING_FSYNC_DATASYNC);
		break;
	case WEFT_IO_PUNCH:
		io_uring_prep_fallocate(sqe, d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					io->off, io->len);
		break;
	case WEFT_IO_ALLOC:
		io_uring_prep_fallocate(sqe, d->fd, 0, io->off, io->len);
		break;
	}
	io_uring_sqe_set_data(sqe, io);
}

static void ring_queue(struct env_uv_ring *r, struct weft_io *io)
{
	struct io_uring_sqe *sqe = NULL;

	if (r->running < RING_ENTRIES && !r->waiting)
		sqe = io_uring_get_sqe(&r->ring);
	if (!sqe) {
		io->next = NULL;
		*r->waiting_tail = io;
		r->waiting_tail = &io->next;
		return;
	}
	io_prepare(sqe, io);
	r->running++;
	r->unsent++;
}

static void ring_refill(struct env_uv_ring *r)
{
	struct weft_io *io = r->waiting;

	r->waiting = NULL;
	r->waiting_tail = &r->waiting;
	while (io) {
		struct weft_io *next = io->next;

		ring_queue(r, io);
		io = next;
	}
}

static void ring_again(uv_timer_t *h);

static void ring_send(struct env_uv_ring *r)
{
	int n;

	while (r->unsent) {
		n = io_uring_submit(&r->ring);
		if (n == -EINTR)
			continue;
		if (n <= 0) {
			/* The kernel is short of something; nothing else may wake the loop. */
			weft_warn_peer("io_uring submission delayed", "err=%d", -n);
			uv_timer_start(&r->again, ring_again, SUBMIT_RETRY_MS, 0);
			return;
		}
		r->unsent -= n;
	}
}

static void ring_again(uv_timer_t *h)
{
	ring_send(h->data);
}

static void ring_submit(uv_prepare_t *h)
{
	ring_send(h->data);
}

/* Return: true when the request is over. */
static bool io_complete(struct weft_io *io, int res)
{
	bool rw = io->op == WEFT_IO_READ || io->op == WEFT_IO_WRITE;

	if (res == -EINTR || res == -EAGAIN)
		return false;
	if (res < 0 || !rw) {
		io->res = res;
		return true;
	}
	io_advance(io, res);
	if (res && io_bytes(io))
		return false;
	io->res = io->moved;
	if (!res && io->op == WEFT_IO_WRITE && io_bytes(io))
		io->res = -EIO;
	return true;
}

static void ring_event(uv_poll_t *h, int status, int events)
{
	struct env_uv_ring *r = h->data;
	struct io_uring_cqe *cqe;
	struct weft_io *io;
	uint64_t count;
	bool over;

	(void)status;
	(void)events;
	if (read(r->efd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		weft_err("eventfd of io_uring broke", "err=%d", errno);
	while (!io_uring_peek_cqe(&r->ring, &cqe)) {
		io = io_uring_cqe_get_data(cqe);
		over = io_complete(io, cqe->res);
		io_uring_cqe_seen(&r->ring, cqe);
		r->running--;
		if (over)
			io->done(io, io->res);
		else
			ring_queue(r, io);
	}
	if (r->waiting)
		ring_refill(r);
}

static void ring_closed(uv_handle_t *h)
{
	struct env_uv_ring *r = h->data;

	if (--r->handles)
		return;
	io_uring_queue_exit(&r->ring);
	close(r->efd);
	free(r->fixed);
	free(r);
}

void env_uv_ring_destroy(struct env_uv *e)
{
	struct env_uv_ring *r = e->ring;

	if (!r)
		return;
	e->ring = NULL;
	uv_close((uv_handle_t *)&r->prepare, ring_closed);
	uv_close((uv_handle_t *)&r->poll, ring_closed);
	uv_close((uv_handle_t *)&r->again, ring_closed);
}

static int ring_create(struct env_uv *e)
{
	struct env_uv_ring *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return -ENOMEM;
	ret = io_uring_queue_init(RING_ENTRIES, &r->ring, 0);
	if (ret) {
		weft_err("io_uring is not available here", "err=%d", -ret);
		goto out_free;
	}
	r->efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->efd < 0) {
		ret = -errno;
		goto out_ring;
	}
	ret = io_uring_register_eventfd(&r->ring, r->efd);
	if (ret)
		goto out_efd;
	ret = uv_poll_init(&e->loop, &r->poll, r->efd);
	if (ret)
		goto out_efd;
	uv_prepare_init(&e->loop, &r->prepare);
	uv_timer_init(&e->loop, &r->again);
	r->again.data = r;
	r->poll.data = r;
	r->prepare.data = r;
	r->handles = 3;
	r->waiting_tail = &r->waiting;
	uv_poll_start(&r->poll, UV_READABLE, ring_event);
	uv_prepare_start(&r->prepare, ring_submit);
	e->ring = r;
	return 0;

out_efd:
	close(r->efd);
out_ring:
	io_uring_queue_exit(&r->ring);
out_free:
	free(r);
	return ret;
}

static int disk_flags(unsigned int flags)
{
	int o = O_CLOEXEC | ((flags & WEFT_DISK_RDONLY) ? O_RDONLY : O_RDWR);

	if (flags & WEFT_DISK_CREATE)
		o |= O_CREAT;
	if (flags & WEFT_DISK_EXCL)
		o |= O_EXCL;
	if (flags & WEFT_DISK_DIRECT)
		o |= O_DIRECT;
	return o;
}

int env_uv_disk_open(struct weft_env *env, const char *path, unsigned int flags,
		     struct weft_disk **out)
{
	struct env_uv *e = env_uv(env);
	struct uv_disk *d;
	struct stat st;
	int ret = 0;

	if (!e->ring)
		ret = ring_create(e);
	if (ret)
		return ret;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->fd = open(path, disk_flags(flags), 0600);
	if (d->fd < 0) {
		ret = -errno;
		goto out_free;
	}
	if (flock(d->fd, ((flags & WEFT_DISK_RDONLY) ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
		ret = errno == EWOULDBLOCK ? -EBUSY : -errno;
		goto out_close;
	}
	if (fstat(d->fd, &st)) {
		ret = -errno;
		goto out_close;
	}
	d->blkdev = S_ISBLK(st.st_mode);
	d->ring = e->ring;
	d->d.env = env;
	*out = &d->d;
	return 0;

out_close:
	close(d->fd);
out_free:
	free(d);
	return ret;
}

int env_uv_disk_size(struct weft_disk *wd, uint64_t *size)
{
	struct uv_disk *d = (struct uv_disk *)wd;
	struct stat st;

	if (d->blkdev)
		return ioctl(d->fd, BLKGETSIZE64, size) ? -errno : 0;
	if (fstat(d->fd, &st))
		return -errno;
	*size = st.st_size;
	return 0;
}

void env_uv_disk_submit(struct weft_disk *wd, struct weft_io *io)
{
	struct uv_disk *d = (struct uv_disk *)wd;

	io->disk = wd;
	io->moved = 0;
	io->res = 0;
	ring_queue(d->ring, io);
}

/* Puts memory, or nothing, at a place of the kernel's table. */
static int fixed_update(struct env_uv_ring *r, unsigned int place, void *mem, size_t len)
{
	struct iovec iov = { .iov_base = mem, .iov_len = len };
	__u64 tag = 0;
	int ret = io_uring_register_buffers_update_tag(&r->ring, place, &iov, &tag, 1);

	return ret < 0 ? ret : 0;
}

static int fixed_table(struct env_uv_ring *r)
{
	int ret;

	if (r->fixed)
		return 0;
	ret = io_uring_register_buffers_sparse(&r->ring, FIXED_MAX);
	if (ret)
		return ret;
	r->fixed = calloc(FIXED_MAX, sizeof(*r->fixed));
	if (r->fixed)
		return 0;
	io_uring_unregister_buffers(&r->ring);
	return -ENOMEM;
}

static int fixed_add(struct uv_disk *d, void *mem, size_t len)
{
	struct env_uv_ring *r = d->ring;
	unsigned int i;
	int ret = r->no_fixed ? -EOPNOTSUPP : fixed_table(r);

	if (ret)
		return ret;
	for (i = 0; i < r->nfixed && r->fixed[i].disk; i++)
		;
	if (i == FIXED_MAX)
		return -ENOSPC;
	ret = fixed_update(r, i, mem, len);
	if (ret)
		return ret;
	r->fixed[i] = (struct fixed){ .disk = d, .mem = mem, .len = len };
	if (i == r->nfixed)
		r->nfixed++;
	return 0;
}

/* Forgets @mem, or with NULL all of a disk. */
static void fixed_forget(struct uv_disk *d, const void *mem)
{
	struct env_uv_ring *r = d->ring;
	unsigned int i;
	int ret;

	for (i = 0; i < r->nfixed; i++) {
		struct fixed *f = &r->fixed[i];

		if (f->disk != d || (mem && f->mem != mem))
			continue;
		f->disk = NULL;
		ret = fixed_update(r, i, NULL, 0);
		if (ret)
			weft_err("io_uring keeps memory", "err=%d", -ret);
	}
}

int env_uv_disk_memory(struct weft_disk *wd, void *mem, size_t len, bool gone)
{
	struct uv_disk *d = (struct uv_disk *)wd;
	int ret = 0;

	if (gone)
		fixed_forget(d, mem);
	else
		ret = fixed_add(d, mem, len);
	if (!ret || d->ring->no_fixed)
		return ret;
	d->ring->no_fixed = true;
	weft_warn("memory is not registered with io_uring: pages are pinned at each request",
		  "err=%d hint=\"%s\"", -ret,
		  ret == -ENOMEM ? "raise LimitMEMLOCK= of the service or 'ulimit -l'" : "");
	return ret;
}

void env_uv_disk_close(struct weft_disk *wd)
{
	struct uv_disk *d = (struct uv_disk *)wd;

	fixed_forget(d, NULL);
	close(d->fd);
	free(d);
}
