// SPDX-License-Identifier: Apache-2.0
/*
 * The model of ackcheck: names and inodes as the logged operations must have left them, and the
 * choice of the next operation. Pure: no system call here, so a replay of the log gives the same
 * model each time. An operation that does not fit the model is a broken log and ends the program.
 */
#include "tests/fs/ackcheck/ackcheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ack_kind_name[ACK_KINDS] = {
	"create", "write", "append", "fsync", "truncate", "rename", "exchange", "link", "symlink",
	"unlink", "mkdir", "rmdir", "chmod", "xattr",
};

struct ack_name *ack_find(struct ack_model *m, const char *path)
{
	for (size_t i = 0; i < m->count; i++)
		if (!strcmp(m->names[i].path, path))
			return &m->names[i];
	return NULL;
}

static struct ack_name *entry(struct ack_model *m, const char *path)
{
	struct ack_name *e = ack_find(m, path);

	if (e)
		return e;
	if (m->count == ACK_NAMES)
		die("ackcheck: more than %d names", ACK_NAMES);
	e = &m->names[m->count++];
	memset(e, 0, sizeof(*e));
	snprintf(e->path, sizeof(e->path), "%s", path);
	return e;
}

static struct ack_inode *existing(struct ack_model *m, const struct ack_op *op, const char *path)
{
	struct ack_name *e = ack_find(m, path);

	if (!e || !e->ino)
		die("ackcheck: the log does not fit: operation %llu %s: no '%s'",
		    (unsigned long long)op->n, ack_kind_name[op->kind], path);
	return e->ino;
}

static void inode_put(struct ack_inode *i)
{
	if (!i || --i->nlink)
		return;
	free(i->latest);
	free(i->synced);
	free(i);
}

static void set_name(struct ack_model *m, const struct ack_op *op, const char *path,
		     struct ack_inode *i)
{
	struct ack_name *e = entry(m, path);

	inode_put(e->ino);
	e->ino = i;
	e->op = op->n;
	if (i)
		i->op = op->n;
}

static void add_inode(struct ack_model *m, const struct ack_op *op, enum ack_type type)
{
	struct ack_inode *i = calloc(1, sizeof(*i));

	if (!i)
		die("no memory");
	i->type = type;
	i->nlink = 1;
	i->mode = (unsigned)op->value;
	snprintf(i->target, sizeof(i->target), "%s", op->b);
	if (type == ACK_FILE) {
		i->latest = calloc(1, ACK_MAX_SIZE);
		i->synced = calloc(1, ACK_MAX_SIZE);
		if (!i->latest || !i->synced)
			die("no memory");
	}
	set_name(m, op, op->a, i);
}

void ack_bytes(char *p, size_t len, uint64_t value)
{
	struct rng r = { value };

	for (size_t i = 0; i < len; i += 8) {
		uint64_t w = rng_next(&r);

		memcpy(p + i, &w, len - i < 8 ? len - i : 8);
	}
}

static void sync_inode(struct ack_inode *i)
{
	memcpy(i->synced, i->latest, ACK_MAX_SIZE);
	i->synced_size = i->size;
	i->dirty = false;
}

static void apply_data(struct ack_inode *i, const struct ack_op *op, bool doubtful)
{
	if (doubtful)
		sync_inode(i);
	i->dirty = true;
	i->doubtful = doubtful;
	i->op = op->n;
	if (op->kind == ACK_TRUNCATE) {
		if ((size_t)op->off < i->size)
			memset(i->latest + op->off, 0, i->size - (size_t)op->off);
		i->size = (size_t)op->off;
		return;
	}
	ack_bytes(i->latest + op->off, op->len, op->value);
	if ((size_t)op->off + op->len > i->size)
		i->size = (size_t)op->off + op->len;
}

/* Moves the names below a directory along with it. */
static void move_below(struct ack_model *m, const struct ack_op *op)
{
	size_t n = strlen(op->a), count = m->count;
	char to[2 * ACK_NAME];

	for (size_t i = 0; i < count; i++) {
		struct ack_name *e = &m->names[i];
		struct ack_inode *ino = e->ino;

		if (!ino || strncmp(e->path, op->a, n) || e->path[n] != '/')
			continue;
		e->ino = NULL;
		e->op = op->n;
		snprintf(to, sizeof(to), "%s%s", op->b, e->path + n);
		set_name(m, op, to, ino);
	}
}

static void apply_rename(struct ack_model *m, const struct ack_op *op)
{
	struct ack_inode *i = existing(m, op, op->a);
	struct ack_name *e = ack_find(m, op->a);

	e->ino = NULL;
	e->op = op->n;
	set_name(m, op, op->b, i);
	if (i->type == ACK_DIR)
		move_below(m, op);
}

static void apply_exchange(struct ack_model *m, const struct ack_op *op)
{
	struct ack_inode *a = existing(m, op, op->a), *b = existing(m, op, op->b);

	ack_find(m, op->a)->ino = NULL;
	ack_find(m, op->b)->ino = NULL;
	set_name(m, op, op->a, b);
	set_name(m, op, op->b, a);
}

void ack_apply(struct ack_model *m, const struct ack_op *op, bool doubtful)
{
	struct ack_inode *i;

	m->ops++;
	switch (op->kind) {
	case ACK_CREATE: add_inode(m, op, ACK_FILE); return;
	case ACK_MKDIR: add_inode(m, op, ACK_DIR); return;
	case ACK_SYMLINK: add_inode(m, op, ACK_LNK); return;
	case ACK_RENAME: apply_rename(m, op); return;
	case ACK_EXCHANGE: apply_exchange(m, op); return;
	default: break;
	}
	i = existing(m, op, op->a);
	i->op = op->n;
	switch (op->kind) {
	case ACK_WRITE: case ACK_APPEND: case ACK_TRUNCATE: apply_data(i, op, doubtful); break;
	case ACK_FSYNC: sync_inode(i); break;
	case ACK_UNLINK: case ACK_RMDIR: set_name(m, op, op->a, NULL); break;
	case ACK_CHMOD: i->mode = (unsigned)op->value; break;
	case ACK_XATTR: i->xattr = op->value; break;
	case ACK_LINK:
		i->nlink++;
		set_name(m, op, op->b, i);
		break;
	default: die("ackcheck: unknown operation");
	}
}

void ack_model_fini(struct ack_model *m)
{
	for (size_t i = 0; i < m->count; i++)
		inode_put(m->names[i].ino);
	m->count = 0;
	m->ops = 0;
}

bool ack_is_empty(struct ack_model *m, const char *dir)
{
	size_t n = strlen(dir);

	for (size_t i = 0; i < m->count; i++)
		if (m->names[i].ino && !strncmp(m->names[i].path, dir, n) &&
		    m->names[i].path[n] == '/')
			return false;
	return true;
}

/* An existing name of this type, NULL when there is none (after some tries). */
static struct ack_name *draw_old(struct ack_model *m, struct rng *r, enum ack_type type)
{
	for (int tries = 0; m->count && tries < 40; tries++) {
		struct ack_name *e = &m->names[rng_below(r, m->count)];

		if (e->ino && e->ino->type == type)
			return e;
	}
	return NULL;
}

/* A file name that is free, at the top or in an existing directory. */
static bool draw_free(struct ack_model *m, struct rng *r, char *out)
{
	struct ack_name *d = rng_below(r, 3) ? draw_old(m, r, ACK_DIR) : NULL, *e;
	char name[2 * ACK_NAME];

	snprintf(name, sizeof(name), "%s%sf%u", d ? d->path : "", d ? "/" : "",
		 (unsigned)rng_below(r, 12));
	e = ack_find(m, name);
	if (e && e->ino)
		return false;
	snprintf(out, ACK_NAME, "%.47s", name);
	return true;
}

static bool draw_free_dir(struct ack_model *m, struct rng *r, char *out)
{
	const struct ack_name *e;

	snprintf(out, ACK_NAME, "d%u", (unsigned)rng_below(r, 30));
	e = ack_find(m, out);
	return !e || !e->ino;
}

static bool draw_data(struct ack_model *m, struct rng *r, struct ack_op *op)
{
	struct ack_name *e = draw_old(m, r, ACK_FILE);
	size_t room;

	if (!e)
		return false;
	snprintf(op->a, sizeof(op->a), "%s", e->path);
	op->len = 1 + rng_below(r, rng_below(r, 3) ? 3000 : 60000);
	op->off = (off_t)rng_below(r, e->ino->size + 5000);
	if (op->kind == ACK_APPEND)
		op->off = (off_t)e->ino->size;
	if (op->kind == ACK_TRUNCATE)
		op->len = 0;
	/* at most one write per file is not synced: the next operation on it is an fsync */
	if (op->kind == ACK_FSYNC || e->ino->dirty) {
		op->kind = ACK_FSYNC;
		op->len = 0;
		op->off = 0;
		return true;
	}
	if ((size_t)op->off >= ACK_MAX_SIZE)
		return false;
	room = ACK_MAX_SIZE - (size_t)op->off;
	op->len = op->len < room ? op->len : room;
	return true;
}

static bool draw_rename(struct ack_model *m, struct rng *r, struct ack_op *op)
{
	enum ack_type type = rng_below(r, 4) ? ACK_FILE : rng_below(r, 2) ? ACK_DIR : ACK_LNK;
	struct ack_name *a = draw_old(m, r, type), *b;

	if (!a)
		return false;
	snprintf(op->a, sizeof(op->a), "%s", a->path);
	if (op->kind == ACK_RENAME && (type == ACK_DIR || rng_below(r, 2)))
		return type == ACK_DIR ? draw_free_dir(m, r, op->b) : draw_free(m, r, op->b);
	if (type == ACK_DIR)
		return false;
	b = draw_old(m, r, ACK_FILE);
	if (!b || b->ino == a->ino)
		return false;
	snprintf(op->b, sizeof(op->b), "%s", b->path);
	return true;
}

static bool draw_args(struct ack_model *m, struct rng *r, struct ack_op *op)
{
	struct ack_name *e;

	switch (op->kind) {
	case ACK_WRITE: case ACK_APPEND: case ACK_FSYNC: case ACK_TRUNCATE:
		return draw_data(m, r, op);
	case ACK_RENAME: case ACK_EXCHANGE:
		return draw_rename(m, r, op);
	case ACK_CREATE:
		op->value = 0600 | (op->value & 0177);
		return draw_free(m, r, op->a);
	case ACK_SYMLINK:
		snprintf(op->b, sizeof(op->b), "to-%llu", (unsigned long long)op->value % 1000);
		return draw_free(m, r, op->a);
	case ACK_MKDIR:
		op->value = 0700 | (op->value & 077);
		return draw_free_dir(m, r, op->a);
	case ACK_RMDIR:
		e = draw_old(m, r, ACK_DIR);
		if (!e || !ack_is_empty(m, e->path))
			return false;
		break;
	case ACK_UNLINK:
		e = draw_old(m, r, rng_below(r, 4) ? ACK_FILE : ACK_LNK);
		break;
	case ACK_CHMOD:
		op->value = 0600 | (op->value & 0177);
		e = draw_old(m, r, ACK_FILE);
		break;
	default:
		e = draw_old(m, r, ACK_FILE);
		if (op->kind == ACK_LINK && !draw_free(m, r, op->b))
			return false;
	}
	if (e)
		snprintf(op->a, sizeof(op->a), "%s", e->path);
	return e;
}

void ack_draw(struct ack_model *m, struct rng *r, struct ack_op *op)
{
	static const enum ack_kind often[] = { ACK_CREATE, ACK_CREATE, ACK_WRITE, ACK_WRITE,
		ACK_APPEND, ACK_APPEND, ACK_RENAME, ACK_RENAME, ACK_UNLINK, ACK_MKDIR, ACK_MKDIR,
		ACK_RMDIR, ACK_RMDIR, ACK_FSYNC };
	uint64_t n = op->n;
	uint64_t x;

	do {
		x = rng_below(r, ACK_KINDS + sizeof(often) / sizeof(often[0]));
		memset(op, 0, sizeof(*op));
		op->n = n;
		op->kind = x < ACK_KINDS ? (enum ack_kind)x : often[x - ACK_KINDS];
		op->value = rng_next(r) | 1;
		strcpy(op->b, "-");
	} while (!draw_args(m, r, op));
}
