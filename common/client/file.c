// SPDX-License-Identifier: Apache-2.0
/*
 * Open files of libweft: data inline in the metadata group, or in chunks on the data groups.
 *
 * Happy path: a small file is read and written by one metadata request. A file that grows beyond
 * its layout's limit is spilled: BEGIN, its bytes go to chunk objects, DONE (ABORT if it fails; if
 * somebody changed the bytes meanwhile it begins again). Chunks are read and
 * written in pieces of at most 1 MiB, all at once; sizes and times are committed by sync, truncate,
 * close.
 *
 * Failures: WEFT_S_LAYOUT says that somebody else spilled the file: attributes are fetched and the
 * request is made anew. An error of one piece is the error of the whole; what other pieces wrote
 * stays.
 *
 * A file is used by one thread at a time; the list of open files belongs to the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/client/impl.h"
#include "common/status.h"
#include "proto/data.h"

#define PIECE_MAX (1u << 20)
#define LAYOUT_TRIES 8

static void file_link(void *arg)
{
	struct weft_file *f = arg;

	f->next = f->c->files;
	f->link = &f->c->files;
	if (f->next)
		f->next->link = &f->next;
	f->c->files = f;
}

static void file_unlink(void *arg)
{
	struct weft_file *f = arg;

	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
}

static uint64_t file_ino(const struct weft_file *f)
{
	return f->ino;
}

static bool is_inline(const struct weft_file *f)
{
	return f->attr.layout.flags & WEFT_LAYOUT_INLINE;
}

/* Takes attributes over; our own uncommitted size stays. */
static void take_attr(struct weft_file *f, const struct weft_attr *attr)
{
	uint64_t size = le64_to_cpu(attr->size);

	f->attr = *attr;
	__atomic_store_n(&f->ino, le64_to_cpu(attr->ino), __ATOMIC_RELAXED);
	if (!f->dirty || size > f->size)
		f->size = size;
}

static int refresh(struct weft_file *f)
{
	struct weft_attr attr;
	int ret = weft_client_getattr(f->c, file_ino(f), &attr);

	if (!ret)
		take_attr(f, &attr);
	return ret;
}

/* One OPEN. Return: 0, or 1 when the file lives elsewhere (its number is in f->attr). */
static int open_once(struct weft_file *f, uint64_t dir, const char *name, uint32_t flags,
		     uint32_t mode)
{
	struct weft_open_req rq = { .ns.open_id = cpu_to_le64(f->open_id),
				    .flags = cpu_to_le32(flags), .mode = cpu_to_le32(mode) };
	struct client_op op = { .opcode = WEFT_OP_OPEN,
				.slot = flags & (WEFT_OPEN_CREATE | WEFT_OPEN_TRUNC) };
	const struct weft_entry_rep *rep;
	int ret;

	ret = client_meta(f->c, &op, &rq.ns, &rq, sizeof(rq), dir, name, NULL);
	rep = op.call.rep;
	if (!ret) {
		take_attr(f, &rep->attr);
		ret = !!(le32_to_cpu(rep->flags) & WEFT_ENTRY_REMOTE);
	}
	client_op_fini(&op);
	return ret;
}

static int type_errno(const struct weft_attr *attr)
{
	switch (le32_to_cpu(attr->mode) & S_IFMT) {
	case S_IFREG:
		return 0;
	case S_IFDIR:
		return -EISDIR;
	case S_IFLNK:
		return -ELOOP;
	default:
		return -ENXIO;
	}
}

int weft_file_open(struct weft_client *c, uint64_t dir, const char *name, uint32_t flags,
		   uint32_t mode, struct weft_file **out)
{
	struct weft_file *f = calloc(1, sizeof(*f));
	int ret;

	if (!f)
		return -ENOMEM;
	f->c = c;
	pthread_mutex_lock(&c->lock);
	f->open_id = ++c->next_open_id;
	pthread_mutex_unlock(&c->lock);
	/* Known to the loop before the server knows it: a restart in between loses nothing. */
	f->ino = dir;
	client_on_loop(c, file_link, f);
	ret = open_once(f, dir, name, flags, mode);
	if (!ret || ret == 1) {
		int type = type_errno(&f->attr);

		if (type)
			ret = type;
		else if (ret == 1)
			ret = open_once(f, file_ino(f), NULL,
					flags & ~(WEFT_OPEN_CREATE | WEFT_OPEN_EXCL), mode);
	}
	if (ret) {
		client_on_loop(c, file_unlink, f);
		free(f);
		return ret > 0 ? -EREMOTEIO : ret;
	}
	*out = f;
	return 0;
}

const struct weft_attr *weft_file_attr(const struct weft_file *f)
{
	return &f->attr;
}

static int write_meta(struct weft_file *f, uint16_t opcode, uint32_t flags, uint64_t off,
		      const void *data, size_t len)
{
	struct weft_write_req rq = { .ns.open_id = cpu_to_le64(f->open_id),
				     .offset = cpu_to_le64(off), .size = cpu_to_le64(f->size),
				     .bytes_delta = cpu_to_le64(f->delta),
				     .flags = cpu_to_le32(flags) };
	struct client_op op = { .opcode = opcode, .slot = true };
	const struct weft_attr_rep *rep;
	int ret;

	ret = weft_sg_add(&op.out, NULL, (void *)data, len);
	if (!ret)
		ret = client_meta(f->c, &op, &rq.ns, &rq, sizeof(rq), file_ino(f), NULL, NULL);
	rep = op.call.rep;
	if (!ret)
		take_attr(f, &rep->attr);
	client_op_fini(&op);
	return ret;
}

static int commit(struct weft_file *f, uint32_t flags)
{
	int ret = write_meta(f, WEFT_OP_COMMIT, flags, 0, NULL, 0);

	if (!ret) {
		f->dirty = false;
		f->delta = 0;
	}
	return ret;
}

int weft_file_sync(struct weft_file *f)
{
	return f->dirty ? commit(f, 0) : 0;
}

static int close_pair(struct weft_file *f)
{
	struct weft_open_pair pair = { cpu_to_le64(f->ino), cpu_to_le64(f->open_id) };
	struct weft_opens_req rq = { .count = cpu_to_le32(1) };
	struct client_op op = { .opcode = WEFT_OP_CLOSE, .ino = file_ino(f), .body = &rq,
				.body_len = sizeof(rq), .tail = &pair, .tail_len = sizeof(pair) };
	int ret;

	client_run(f->c, &op, 1);
	ret = op.ret > 0 ? weft_status_errno(op.ret) : op.ret;
	client_op_fini(&op);
	return ret;
}

int weft_file_close(struct weft_file *f)
{
	int ret;

	if (!f)
		return 0;
	ret = f->dirty ? commit(f, WEFT_WRITE_CLOSE) : close_pair(f);
	client_on_loop(f->c, file_unlink, f);
	free(f);
	return ret;
}

int weft_file_truncate(struct weft_file *f, uint64_t size)
{
	struct weft_setattr_req rq = { .ns.flags = cpu_to_le32(WEFT_NS_BY_HANDLE),
				       .valid = cpu_to_le32(WEFT_SET_SIZE),
				       .size = cpu_to_le64(size) };
	struct client_op op = { .opcode = WEFT_OP_SETATTR, .slot = true };
	const struct weft_attr_rep *rep;
	int ret;

	ret = weft_file_sync(f);
	if (ret)
		return ret;
	rq.ns.open_id = cpu_to_le64(f->open_id);
	ret = client_meta(f->c, &op, &rq.ns, &rq, sizeof(rq), file_ino(f), NULL, NULL);
	rep = op.call.rep;
	if (!ret)
		take_attr(f, &rep->attr);
	client_op_fini(&op);
	return ret;
}

/* --- chunks */

struct piece {
	struct weft_obj_req rq;
	char *mem;
	size_t len;
};

static size_t piece_count(const struct weft_file *f, uint64_t off, size_t len)
{
	uint64_t unit = 1ull << f->attr.layout.chunk_shift;

	if (unit > PIECE_MAX)
		unit = PIECE_MAX;
	return len ? (off + len - 1) / unit - off / unit + 1 : 0;
}

/* Cuts a range into requests; every piece ends at a multiple of its unit. */
static int fill_pieces(struct weft_file *f, struct client_op *ops, struct piece *p, char *mem,
		       size_t len, uint64_t off, bool write)
{
	unsigned int shift = f->attr.layout.chunk_shift;
	uint64_t chunk = 1ull << shift, unit = chunk < PIECE_MAX ? chunk : PIECE_MAX;
	int ret = 0;

	for (; len && !ret; ops++, p++) {
		p->mem = mem;
		p->len = unit - off % unit < len ? unit - off % unit : len;
		p->rq.ino = cpu_to_le64(f->ino);
		p->rq.chunk = cpu_to_le64(off >> shift);
		p->rq.off = cpu_to_le32(off & (chunk - 1));
		p->rq.len = cpu_to_le32(p->len);
		p->rq.chunk_shift = shift;
		ops->opcode = write ? WEFT_OP_OBJ_WRITE : WEFT_OP_OBJ_READ;
		ops->slot = write;
		ops->layout = &f->attr.layout;
		ops->chunk = off >> shift;
		ops->body = &p->rq;
		ops->body_len = sizeof(p->rq);
		ops->in_max = write ? 0 : p->len;
		ret = weft_sg_add(write ? &ops->out : &ops->in, NULL, mem, p->len);
		mem += p->len;
		off += p->len;
		len -= p->len;
	}
	return ret;
}

/* Return: 0 or a negative errno of one finished piece. */
static int take_piece(struct weft_file *f, const struct client_op *op, struct piece *p, bool write)
{
	const struct weft_obj_rep *rep = op->call.rep;
	size_t got;

	if (op->ret)
		return op->ret > 0 ? weft_status_errno(op->ret) : op->ret;
	if (write) {
		f->delta += (int64_t)le64_to_cpu(rep->bytes_delta);
		return 0;
	}
	got = op->call.bulk_in.len;
	if (got > p->len)
		return -EBADMSG;
	memset(p->mem + got, 0, p->len - got);
	return 0;
}

static int chunk_io(struct weft_file *f, void *mem, size_t len, uint64_t off, bool write)
{
	size_t n = piece_count(f, off, len), i;
	struct client_op *ops = calloc(n + 1, sizeof(*ops));
	struct piece *p = calloc(n + 1, sizeof(*p));
	int ret = -ENOMEM, one;

	if (ops && p)
		ret = fill_pieces(f, ops, p, mem, len, off, write);
	if (!ret) {
		client_run(f->c, ops, n);
		for (i = 0; i < n; i++) {
			one = take_piece(f, &ops[i], &p[i], write);
			ret = ret ? ret : one;
		}
	}
	for (i = 0; ops && i < n; i++)
		client_op_fini(&ops[i]);
	free(ops);
	free(p);
	return ret;
}

/* --- inline data */

/* Reads the whole inline data into @buf (WEFT_INLINE_MAX bytes). Return: length, WEFT_S_LAYOUT. */
static int read_inline(struct weft_file *f, char *buf, size_t *len)
{
	struct client_op op = { .opcode = WEFT_OP_READ_INLINE, .in_max = WEFT_INLINE_MAX };
	struct weft_ns_req rq = { 0 };
	const struct weft_attr_rep *rep;
	int ret;

	rq.open_id = cpu_to_le64(f->open_id);
	ret = client_meta(f->c, &op, &rq, &rq, sizeof(rq), file_ino(f), NULL, NULL);
	rep = op.call.rep;
	if (!ret) {
		take_attr(f, &rep->attr);
		*len = weft_sg_read(&op.call.bulk_in, 0, buf, WEFT_INLINE_MAX);
	}
	client_op_fini(&op);
	return ret;
}

static int read_from_inline(struct weft_file *f, void *mem, size_t len, uint64_t off)
{
	char *buf = malloc(WEFT_INLINE_MAX);
	size_t have, n = 0;
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = read_inline(f, buf, &have);
	if (!ret) {
		if (off < have)
			n = have - off < len ? have - off : len;
		memcpy(mem, buf + off, n);
		memset((char *)mem + n, 0, len - n);
	}
	free(buf);
	return ret;
}

/* Moves the data of a small file to chunks. */
static int spill(struct weft_file *f)
{
	char *buf = malloc(WEFT_INLINE_MAX);
	size_t have = 0;
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = write_meta(f, WEFT_OP_SPILL, WEFT_WRITE_SPILL_BEGIN, 0, NULL, 0);
	if (ret)
		goto out_free;
	ret = read_inline(f, buf, &have);
	if (!ret && have)
		ret = chunk_io(f, buf, have, 0, true);
	if (!ret)
		ret = write_meta(f, WEFT_OP_SPILL, WEFT_WRITE_SPILL_DONE, 0, NULL, 0);
	f->delta = 0; /* told, or cut by whoever begins next */
	/* Others need not wait for the end of this session; if it is refused, nobody would. */
	if (ret)
		write_meta(f, WEFT_OP_SPILL, WEFT_WRITE_SPILL_ABORT, 0, NULL, 0);
out_free:
	free(buf);
	return ret;
}

ssize_t weft_file_read(struct weft_file *f, void *mem, size_t len, uint64_t off)
{
	int ret = 0, tries;

	if (off + len > f->size || off + len < off)
		ret = refresh(f);
	if (ret)
		return ret;
	if (off >= f->size)
		return 0;
	if (len > f->size - off)
		len = f->size - off;
	for (tries = 0; tries < LAYOUT_TRIES; tries++) {
		if (!is_inline(f)) {
			ret = chunk_io(f, mem, len, off, false);
			return ret ? ret : (ssize_t)len;
		}
		ret = read_from_inline(f, mem, len, off);
		if (ret != WEFT_S_LAYOUT)
			return ret ? ret : (ssize_t)len;
		ret = refresh(f);
		if (ret)
			return ret;
	}
	return weft_status_errno(WEFT_S_LAYOUT);
}

static int write_chunks(struct weft_file *f, const void *mem, size_t len, uint64_t off)
{
	int ret = chunk_io(f, (void *)mem, len, off, true);

	if (!ret) {
		f->dirty = true;
		if (off + len > f->size)
			f->size = off + len;
	}
	return ret;
}

ssize_t weft_file_write(struct weft_file *f, const void *mem, size_t len, uint64_t off)
{
	int ret, tries;

	if (!len)
		return 0;
	if (off + len < off || off + len > WEFT_FILE_SIZE_MAX)
		return -EFBIG;
	for (tries = 0; tries < LAYOUT_TRIES; tries++) {
		if (!is_inline(f)) {
			ret = write_chunks(f, mem, len, off);
			return ret ? ret : (ssize_t)len;
		}
		if (off + len <= le32_to_cpu(f->attr.layout.inline_max)) {
			ret = write_meta(f, WEFT_OP_WRITE_INLINE, 0, off, mem, len);
			if (!ret)
				return len;
		} else {
			ret = spill(f);
		}
		if (ret && ret != WEFT_S_LAYOUT)
			return ret;
		ret = ret ? refresh(f) : 0;
		if (ret)
			return ret;
	}
	return weft_status_errno(WEFT_S_LAYOUT);
}
