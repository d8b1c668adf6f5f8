// SPDX-License-Identifier: Apache-2.0
/*
 * Namespace operations of libweft: each fills a body of proto/meta.h, runs it, and takes what it
 * needs from the reply. Runs in the program's threads; op.c does the waiting and retrying.
 *
 * Failures are the server's errno; WEFT_S_LAYOUT is dealt with in file.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/client/impl.h"
#include "common/status.h"

/* Who asks, and the tail. Return: length of the tail or a negative errno. */
static ssize_t fill_ns(struct weft_client *c, struct weft_ns_req *ns, const char *name,
		       const char *name2, char *tail)
{
	size_t n = name ? strlen(name) : 0, n2 = name2 ? strlen(name2) : 0, groups;

	if (n > WEFT_NAME_MAX || n2 > WEFT_SYMLINK_MAX)
		return -ENAMETOOLONG;
	pthread_mutex_lock(&c->lock);
	ns->creds.uid = cpu_to_le32(c->creds.uid);
	ns->creds.gid = cpu_to_le32(c->creds.gid);
	ns->creds.caps = cpu_to_le32(c->creds.caps);
	ns->creds.ngroups = cpu_to_le32(c->creds.ngroups);
	groups = c->creds.ngroups * sizeof(__le32);
	if (groups)
		memcpy(tail, c->creds.groups, groups);
	pthread_mutex_unlock(&c->lock);
	ns->name_len = cpu_to_le16(n);
	ns->name2_len = cpu_to_le16(n2);
	if (n)
		memcpy(tail + groups, name, n);
	if (n2)
		memcpy(tail + groups + n, name2, n2);
	return groups + n + n2;
}

int client_meta(struct weft_client *c, struct client_op *op, struct weft_ns_req *ns, void *body,
		size_t body_len, uint64_t ino, const char *name, const char *name2)
{
	char tail[CLIENT_TAIL_MAX];
	ssize_t len = fill_ns(c, ns, name, name2, tail);

	if (len < 0)
		return len;
	ns->ino = cpu_to_le64(ino);
	op->ino = ino;
	op->body = body;
	op->body_len = body_len;
	op->tail = tail;
	op->tail_len = len;
	client_run(c, op, 1);
	if (op->ret > 0 && op->ret != WEFT_S_LAYOUT)
		op->ret = weft_status_errno(op->ret);
	return op->ret;
}

int weft_client_getattr(struct weft_client *c, uint64_t ino, struct weft_attr *attr)
{
	struct client_op op = { .opcode = WEFT_OP_GETATTR };
	struct weft_ns_req rq = { 0 };
	const struct weft_attr_rep *rep;
	int ret;

	ret = client_meta(c, &op, &rq, &rq, sizeof(rq), ino, NULL, NULL);
	rep = op.call.rep;
	if (!ret)
		*attr = rep->attr;
	client_op_fini(&op);
	return ret;
}

/* Attributes of an entry's inode, asked for elsewhere when they are not in the reply. */
static int entry_attr(struct weft_client *c, const struct weft_entry_rep *rep,
		      struct weft_attr *attr)
{
	if (le32_to_cpu(rep->flags) & WEFT_ENTRY_REMOTE)
		return weft_client_getattr(c, le64_to_cpu(rep->attr.ino), attr);
	*attr = rep->attr;
	return 0;
}

int weft_client_lookup(struct weft_client *c, uint64_t dir, const char *name,
		       struct weft_attr *attr)
{
	struct client_op op = { .opcode = WEFT_OP_LOOKUP };
	struct weft_ns_req rq = { 0 };
	int ret;

	if (!strcmp(name, ".."))
		rq.flags = cpu_to_le32(WEFT_NS_PARENT);
	ret = client_meta(c, &op, &rq, &rq, sizeof(rq), dir, rq.flags ? NULL : name, NULL);
	if (!ret)
		ret = entry_attr(c, op.call.rep, attr);
	client_op_fini(&op);
	return ret;
}

static struct weft_time time_of(const struct timespec *ts)
{
	struct weft_time t = { .sec = cpu_to_le64(ts->tv_sec), .nsec = cpu_to_le32(ts->tv_nsec) };

	return t;
}

int weft_client_setattr(struct weft_client *c, uint64_t ino, const struct weft_client_set *set,
			struct weft_attr *attr)
{
	struct weft_setattr_req rq = {
		.valid = cpu_to_le32(set->valid), .mode = cpu_to_le32(set->mode),
		.uid = cpu_to_le32(set->uid), .gid = cpu_to_le32(set->gid),
		.size = cpu_to_le64(set->size), .atime = time_of(&set->atime),
		.mtime = time_of(&set->mtime),
	};
	struct client_op op = { .opcode = WEFT_OP_SETATTR, .slot = true };
	const struct weft_attr_rep *rep;
	int ret;

	ret = client_meta(c, &op, &rq.ns, &rq, sizeof(rq), ino, NULL, NULL);
	rep = op.call.rep;
	if (!ret && attr)
		*attr = rep->attr;
	client_op_fini(&op);
	return ret;
}

int weft_client_create(struct weft_client *c, uint64_t dir, const char *name, uint32_t mode,
		       uint32_t rdev_major, uint32_t rdev_minor, const char *target,
		       struct weft_attr *attr)
{
	struct weft_create_req rq = { .mode = cpu_to_le32(mode),
				      .rdev_major = cpu_to_le32(rdev_major),
				      .rdev_minor = cpu_to_le32(rdev_minor) };
	struct client_op op = { .opcode = WEFT_OP_CREATE, .slot = true };
	int ret;

	ret = client_meta(c, &op, &rq.ns, &rq, sizeof(rq), dir, name, target);
	if (!ret && attr)
		ret = entry_attr(c, op.call.rep, attr);
	client_op_fini(&op);
	return ret;
}

int weft_client_mkdir(struct weft_client *c, uint64_t dir, const char *name, uint32_t mode,
		      struct weft_attr *attr)
{
	return weft_client_create(c, dir, name, S_IFDIR | (mode & 07777), 0, 0, NULL, attr);
}

int weft_client_remove(struct weft_client *c, uint64_t dir, const char *name, bool isdir)
{
	struct client_op op = { .opcode = isdir ? WEFT_OP_RMDIR : WEFT_OP_UNLINK, .slot = true };
	struct weft_ns_req rq = { 0 };
	int ret;

	ret = client_meta(c, &op, &rq, &rq, sizeof(rq), dir, name, NULL);
	client_op_fini(&op);
	return ret;
}

int weft_client_link(struct weft_client *c, uint64_t ino, uint64_t dir, const char *name)
{
	struct client_op op = { .opcode = WEFT_OP_LINK, .slot = true };
	struct weft_link_req rq = { .target = cpu_to_le64(ino) };
	int ret;

	ret = client_meta(c, &op, &rq.ns, &rq, sizeof(rq), dir, name, NULL);
	client_op_fini(&op);
	return ret;
}

int weft_client_rename(struct weft_client *c, uint64_t dir, const char *name, uint64_t new_dir,
		       const char *new_name, uint32_t flags)
{
	struct weft_rename_req rq = { .new_dir = cpu_to_le64(new_dir),
				      .flags = cpu_to_le32(flags) };
	struct client_op op = { .opcode = WEFT_OP_RENAME, .slot = true };
	int ret;

	if (strlen(new_name) > WEFT_NAME_MAX)
		return -ENAMETOOLONG;
	ret = client_meta(c, &op, &rq.ns, &rq, sizeof(rq), dir, name, new_name);
	client_op_fini(&op);
	return ret;
}

ssize_t weft_client_readlink(struct weft_client *c, uint64_t ino, char *buf, size_t len)
{
	struct client_op op = { .opcode = WEFT_OP_READ_INLINE, .in_max = WEFT_SYMLINK_MAX };
	struct weft_ns_req rq = { 0 };
	const struct weft_attr_rep *rep;
	ssize_t ret;

	ret = client_meta(c, &op, &rq, &rq, sizeof(rq), ino, NULL, NULL);
	rep = op.call.rep;
	if (ret == WEFT_S_LAYOUT || (!ret && !S_ISLNK(le32_to_cpu(rep->attr.mode))))
		ret = -EINVAL;
	if (!ret && op.call.bulk_in.len >= len)
		ret = -ERANGE;
	if (!ret) {
		ret = weft_sg_read(&op.call.bulk_in, 0, buf, len);
		buf[ret] = '\0';
	}
	client_op_fini(&op);
	return ret;
}

/* Hands out the entries of one reply. Return: as weft_client_readdir(). */
static int give_entries(const char *flat, size_t len, uint64_t *cookie,
			int (*fn)(void *arg, const char *name, const struct weft_dirent *de),
			void *arg)
{
	char name[WEFT_NAME_MAX + 1];
	struct weft_dirent de;
	struct weft_cursor cur;
	const char *p;
	int ret;

	weft_cur_init(&cur, flat, len);
	while ((ret = weft_dirent_next(&cur, &de, &p)) > 0) {
		memcpy(name, p, le16_to_cpu(de.name_len));
		name[le16_to_cpu(de.name_len)] = '\0';
		ret = fn(arg, name, &de);
		if (ret)
			return ret;
		*cookie = le64_to_cpu(de.cookie);
	}
	return ret;
}

/* One request of a listing. Return: 1 when more may come. */
static int readdir_part(struct weft_client *c, uint64_t dir, uint64_t *cookie,
			int (*fn)(void *arg, const char *name, const struct weft_dirent *de),
			void *arg)
{
	struct client_op op = { .opcode = WEFT_OP_READDIR, .in_max = 128u << 10 };
	struct weft_readdir_req rq = { .cookie = cpu_to_le64(*cookie),
				       .flags = cpu_to_le32(WEFT_READDIR_ATTRS) };
	const struct weft_readdir_rep *rep;
	char *flat = NULL;
	size_t len;
	int ret;

	ret = client_meta(c, &op, &rq.ns, &rq, sizeof(rq), dir, NULL, NULL);
	if (ret)
		goto out_op;
	len = op.call.bulk_in.len;
	flat = malloc(len + 1);
	if (!flat) {
		ret = -ENOMEM;
		goto out_op;
	}
	weft_sg_read(&op.call.bulk_in, 0, flat, len);
	ret = give_entries(flat, len, cookie, fn, arg);
	rep = op.call.rep;
	if (!ret && !rep->eof)
		ret = rep->count ? 1 : -EBADMSG;

out_op:
	free(flat);
	client_op_fini(&op);
	return ret;
}

struct stopper {
	int (*fn)(void *arg, const char *name, const struct weft_dirent *de);
	void *arg;
	int ret;
};

/* Keeps what fn returned apart from the outcome of the requests. */
static int stop_at(void *arg, const char *name, const struct weft_dirent *de)
{
	struct stopper *s = arg;

	s->ret = s->fn(s->arg, name, de);
	return s->ret ? -ECANCELED : 0;
}

int weft_client_readdir(struct weft_client *c, uint64_t dir, uint64_t *cookie,
			int (*fn)(void *arg, const char *name, const struct weft_dirent *de),
			void *arg)
{
	struct stopper s = { .fn = fn, .arg = arg };
	int ret;

	do {
		ret = readdir_part(c, dir, cookie, stop_at, &s);
	} while (ret == 1);
	return s.ret ? s.ret : ret;
}

ssize_t weft_client_getxattr(struct weft_client *c, uint64_t ino, const char *name, void *buf,
			     size_t len)
{
	struct client_op op = { .opcode = name ? WEFT_OP_GETXATTR : WEFT_OP_LISTXATTR,
				.in_max = WEFT_XATTR_VALUE_MAX };
	const struct weft_xattr_rep *rep;
	struct weft_xattr_req rq = { 0 };
	ssize_t ret;

	ret = client_meta(c, &op, &rq.ns, &rq, sizeof(rq), ino, name, NULL);
	rep = op.call.rep;
	if (!ret) {
		ret = le32_to_cpu(rep->size);
		if (len && (size_t)ret > len)
			ret = -ERANGE;
		else if (len && op.call.bulk_in.len != (size_t)ret)
			ret = -EBADMSG;
		else if (len)
			weft_sg_read(&op.call.bulk_in, 0, buf, ret);
	}
	client_op_fini(&op);
	return ret;
}

int weft_client_setxattr(struct weft_client *c, uint64_t ino, const char *name, const void *val,
			 size_t len, uint32_t flags)
{
	struct client_op op = { .opcode = WEFT_OP_SETXATTR, .slot = true };
	struct weft_xattr_req rq = { .flags = cpu_to_le32(flags) };
	int ret;

	if (len > WEFT_XATTR_VALUE_MAX)
		return -E2BIG;
	ret = weft_sg_add(&op.out, NULL, (void *)val, len);
	if (!ret)
		ret = client_meta(c, &op, &rq.ns, &rq, sizeof(rq), ino, name, NULL);
	client_op_fini(&op);
	return ret;
}
