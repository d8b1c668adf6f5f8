// SPDX-License-Identifier: Apache-2.0
/*
 * Clients of the simulation of sim.h: requests with sessions, slots and retries as the real
 * ones make them, and short forms of the operations for tests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/placement.h"
#include "tests/unit/mds/sim.h"

u32 sim_server_of(struct sim *s, u64 ino)
{
	return WEFT_INO_SHARD(ino) % s->nservers;
}

void sim_client(struct sim *s, struct sim_client *c)
{
	u32 k;

	memset(c, 0, sizeof(*c));
	c->id = ++s->nclients;
	s->clients[s->nclients - 1] = c;
	s->me = c;
	sim_root(s);
	for (k = 0; k < s->nservers; k++)
		if (sim_open_session(s, k))
			sim_die("no session");
}

void sim_user(struct sim *s, u32 uid, u32 gid)
{
	s->me->uid = uid;
	s->me->gid = gid;
	s->me->caps = 0;
	s->me->ngroups = 0;
}

void sim_root(struct sim *s)
{
	sim_user(s, 0, 0);
	s->me->caps = WEFT_CAP_ALL;
}

struct client_op {
	struct mds_op op;
	struct sim *s;
	struct sim_client *who;
	char *body, *tail;
};

static void take_reply(struct sim *s, struct mds_op *op)
{
	s->replied = true;
	s->status = op->status == -ESHUTDOWN ? WEFT_S_RECOVERY : op->status;
	s->rep = op->rep;
	free(s->data);
	s->data = op->data;
	s->data_len = op->data_len;
	op->data = NULL;
	s->tail_len = op->rep_tail_len < sizeof(s->tail) ? op->rep_tail_len : sizeof(s->tail);
	if (s->tail_len)
		memcpy(s->tail, op->rep_tail, s->tail_len);
}

/* Only who makes the calls now is told. */
static void client_reply(struct mds_op *op)
{
	struct client_op *co = (struct client_op *)op;

	if (co->who == co->s->me)
		take_reply(co->s, op);
	mds_op_fini(op);
	free(co->body);
	free(co->tail);
	free(co);
}

static char *build_tail(struct sim *s, const struct sim_request *r, u32 n1, u32 n2, size_t *len)
{
	struct sim_client *c = s->me;
	char *tail, *p;
	u32 k;

	*len = r->no_ns ? r->tail_len : c->ngroups * 4 + n1 + n2;
	p = tail = sim_take(*len + 1);
	if (r->no_ns) {
		if (r->tail_len)
			memcpy(tail, r->tail, r->tail_len);
		return tail;
	}
	for (k = 0; k < c->ngroups; k++, p += 4) {
		__le32 g = cpu_to_le32(c->groups[k]);

		memcpy(p, &g, 4);
	}
	if (n1)
		memcpy(p, r->name, n1);
	if (n2)
		memcpy(p + n1, r->name2, n2);
	return tail;
}

static void fill_ns(struct sim *s, const struct sim_request *r, void *body, u32 n1, u32 n2)
{
	struct sim_client *c = s->me;
	struct weft_ns_req ns = {
		.creds = { .uid = cpu_to_le32(c->uid), .gid = cpu_to_le32(c->gid),
			   .caps = cpu_to_le32(c->caps), .ngroups = cpu_to_le32(c->ngroups) },
		.ino = cpu_to_le64(r->ino),
		.name_len = cpu_to_le16(n1),
		.name2_len = cpu_to_le16(n2),
		.flags = cpu_to_le32(r->flags),
		.open_id = cpu_to_le64(r->open_id),
	};

	memcpy(body, &ns, sizeof(ns));
}

static u32 request_server(struct sim *s, const struct sim_request *r)
{
	return r->no_ns ? r->server : sim_server_of(s, r->ino);
}

static void send_once(struct sim *s, const struct sim_request *r, u32 seq)
{
	const struct weft_op_info *info = weft_op_info(r->opcode);
	u32 n1 = r->name && !r->name_len ? strlen(r->name) : r->name_len;
	u32 n2 = r->name2 && !r->name2_len ? strlen(r->name2) : r->name2_len;
	struct sim_server *sv = &s->servers[request_server(s, r)];
	struct client_op *co;

	s->replied = false;
	if (!sv->m) {
		s->replied = true;
		s->status = WEFT_S_RECOVERY;
		return;
	}
	co = sim_take(sizeof(*co));
	co->body = sim_take(r->body_len > info->req_len ? r->body_len : info->req_len);
	if (r->body)
		memcpy(co->body, r->body, r->body_len);
	if (!r->no_ns)
		fill_ns(s, r, co->body, n1, n2);
	mds_op_init(&co->op, sv->m, mds_op_desc(r->opcode));
	co->s = s;
	co->who = s->me;
	co->tail = build_tail(s, r, n1, n2, &co->op.tail_len);
	co->op.body = co->body;
	co->op.body_len = info->req_len;
	co->op.tail = co->tail;
	co->op.session_id = s->me->id;
	co->op.epoch = r->epoch ? r->epoch : s->map->epoch;
	co->op.group = sv->group;
	co->op.slot = 0;
	co->op.slot_seq = seq;
	co->op.bulk_max = r->bulk_max;
	co->op.conn = s->me;
	co->op.reply = client_reply;
	if (r->bulk_len) {
		co->op.bulk = sim_dup(r->bulk, r->bulk_len);
		co->op.bulk_len = r->bulk_len;
	}
	mds_request(&co->op);
}

static void reclaim(struct sim *s, u32 server)
{
	struct sim_client *c = s->me;
	struct weft_open_pair files[32];
	struct weft_opens_req req = { .flags = cpu_to_le32(WEFT_RECLAIM_DONE) };
	struct sim_request r = { .opcode = WEFT_OP_RECLAIM, .no_ns = true, .server = server,
				 .body = &req, .body_len = sizeof(req), .tail = files,
				 .once = true };
	u32 k, n = 0;

	for (k = 0; k < c->nfiles; k++)
		if (sim_server_of(s, le64_to_cpu(c->files[k].ino)) == server)
			files[n++] = c->files[k];
	req.count = cpu_to_le32(n);
	r.tail_len = n * sizeof(files[0]);
	sim_request(s, &r);
}

int sim_open_session(struct sim *s, u32 server)
{
	struct sim_client *c = s->me;
	struct weft_session_open_req req = { .incarnation = cpu_to_le64(c->id * 77),
					     .slots = cpu_to_le16(4),
					     .name_len = cpu_to_le16(3) };
	struct sim_request r = { .opcode = WEFT_OP_SESSION_OPEN, .no_ns = true, .server = server,
				 .body = &req, .body_len = sizeof(req), .tail = "sim",
				 .tail_len = 3, .once = true };
	int ret;

	ret = sim_request(s, &r);
	if (ret)
		return ret;
	c->session_flags = le32_to_cpu(s->rep.session.flags);
	c->lease[server] = le32_to_cpu(s->rep.session.lease);
	c->lease_seq[server] = le64_to_cpu(s->rep.session.lease_seq);
	if (c->session_flags & WEFT_SESSION_NEW)
		c->seq[server] = 0;
	c->opened[server] = true;
	if (c->session_flags & WEFT_SESSION_RECLAIM)
		reclaim(s, server);
	return 0;
}

/* Recalls are acknowledged by whoever got them. */
static void answer_pushes(struct sim *s)
{
	struct sim_client *me = s->me;
	u32 k, p;

	for (k = 0; k < s->nclients; k++) {
		struct sim_client *c = s->clients[k];
		u32 n = c->npushes;

		for (p = 0; p < n && !c->no_ack; p++) {
			struct weft_lease_ack_req ack = {
				.lease_seq = c->pushes[p].body.lease_seq,
			};
			u32 server = le32_to_cpu(c->pushes[p].body.group) - 1;
			struct sim_request r = { .opcode = WEFT_OP_LEASE_ACK, .no_ns = true,
						 .server = server, .body = &ack,
						 .body_len = sizeof(ack), .once = true };

			c->lease[server] = le32_to_cpu(c->pushes[p].body.lease);
			if (c->pushes[p].opcode != WEFT_OP_LEASE_RECALL)
				continue;
			s->me = c;
			send_once(s, &r, 0);
		}
		if (!c->no_ack)
			c->npushes = 0;
	}
	s->me = me;
}

static bool wait_reply(struct sim *s)
{
	u64 until = s->now + 30 * WEFT_NS_PER_S;

	while (!s->replied) {
		bool was;

		was = s->replied;
		answer_pushes(s);
		s->replied = was;
		if (!sim_step_until(s, until))
			return s->replied;
	}
	return true;
}

void sim_begin(struct sim *s, const struct sim_request *r)
{
	bool slot = weft_op_info(r->opcode)->flags & WEFT_OF_SLOT;
	u32 seq = r->seq ? r->seq : slot ? ++s->me->seq[request_server(s, r)] : 0;

	send_once(s, r, seq);
}

int sim_request(struct sim *s, const struct sim_request *r)
{
	bool slot = weft_op_info(r->opcode)->flags & WEFT_OF_SLOT;
	u32 server = request_server(s, r);
	u32 seq = r->seq ? r->seq : slot ? ++s->me->seq[server] : 0;

	for (s->tries = 1; s->tries < 200; s->tries++) {
		send_once(s, r, seq);
		if (!wait_reply(s))
			return -ETIMEDOUT;
		if (r->once || (s->status != WEFT_S_RECOVERY && s->status != WEFT_S_BUSY &&
				s->status != WEFT_S_BAD_SESSION))
			return s->status;
		if (s->status == WEFT_S_BAD_SESSION) {
			sim_open_session(s, server);
			if ((s->me->session_flags & WEFT_SESSION_NEW) && seq && !r->seq)
				seq = ++s->me->seq[server];
		} else {
			sim_run(s, 20);
		}
	}
	return -ELOOP;
}

/* --- operations */

static int entry_call(struct sim *s, const struct sim_request *r, u64 *ino)
{
	int ret = sim_request(s, r);

	if (!ret && ino)
		*ino = le64_to_cpu(s->rep.entry.attr.ino);
	return ret;
}

int sim_getattr(struct sim *s, u64 ino, struct weft_attr *a)
{
	struct sim_request r = { .opcode = WEFT_OP_GETATTR, .ino = ino };
	int ret = sim_request(s, &r);

	if (!ret && a)
		*a = s->rep.attr.attr;
	return ret;
}

int sim_lookup(struct sim *s, u64 dir, const char *name, struct weft_attr *a)
{
	struct sim_request r = { .opcode = WEFT_OP_LOOKUP, .ino = dir, .name = name };
	struct weft_attr here;
	int ret = sim_request(s, &r);

	if (ret)
		return ret;
	here = s->rep.entry.attr;
	if (s->rep.entry.flags & cpu_to_le32(WEFT_ENTRY_REMOTE))
		return sim_getattr(s, le64_to_cpu(here.ino), a);
	if (a)
		*a = here;
	return 0;
}

int sim_create(struct sim *s, u64 dir, const char *name, u32 mode, u64 *ino)
{
	struct weft_create_req req = { .mode = cpu_to_le32(mode), .rdev_major = cpu_to_le32(7),
				       .rdev_minor = cpu_to_le32(9) };
	struct sim_request r = { .opcode = WEFT_OP_CREATE, .ino = dir, .name = name, .body = &req,
				 .body_len = sizeof(req) };

	return entry_call(s, &r, ino);
}

int sim_symlink(struct sim *s, u64 dir, const char *name, const char *target, u64 *ino)
{
	struct weft_create_req req = { .mode = cpu_to_le32(S_IFLNK | 0777) };
	struct sim_request r = { .opcode = WEFT_OP_CREATE, .ino = dir, .name = name,
				 .name2 = target, .body = &req, .body_len = sizeof(req) };

	return entry_call(s, &r, ino);
}

int sim_unlink(struct sim *s, u64 dir, const char *name)
{
	struct sim_request r = { .opcode = WEFT_OP_UNLINK, .ino = dir, .name = name };

	return sim_request(s, &r);
}

int sim_rmdir(struct sim *s, u64 dir, const char *name)
{
	struct sim_request r = { .opcode = WEFT_OP_RMDIR, .ino = dir, .name = name };

	return sim_request(s, &r);
}

int sim_link(struct sim *s, u64 ino, u64 dir, const char *name)
{
	struct weft_link_req req = { .target = cpu_to_le64(ino) };
	struct sim_request r = { .opcode = WEFT_OP_LINK, .ino = dir, .name = name, .body = &req,
				 .body_len = sizeof(req) };

	return sim_request(s, &r);
}

int sim_rename(struct sim *s, u64 dir, const char *name, u64 new_dir, const char *new_name,
	       u32 flags)
{
	struct weft_rename_req req = { .new_dir = cpu_to_le64(new_dir),
				       .flags = cpu_to_le32(flags) };
	struct sim_request r = { .opcode = WEFT_OP_RENAME, .ino = dir, .name = name,
				 .name2 = new_name, .body = &req, .body_len = sizeof(req) };

	return sim_request(s, &r);
}

int sim_setattr(struct sim *s, u64 ino, struct weft_setattr_req *req)
{
	struct sim_request r = { .opcode = WEFT_OP_SETATTR, .ino = ino, .body = req,
				 .body_len = sizeof(*req),
				 .flags = le32_to_cpu(req->ns.flags) };

	return sim_request(s, &r);
}

int sim_chmod(struct sim *s, u64 ino, u32 mode)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(WEFT_SET_MODE),
					.mode = cpu_to_le32(mode) };

	return sim_setattr(s, ino, &req);
}

int sim_chown(struct sim *s, u64 ino, u32 valid, u32 uid, u32 gid)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(valid), .uid = cpu_to_le32(uid),
					.gid = cpu_to_le32(gid) };

	return sim_setattr(s, ino, &req);
}

int sim_truncate(struct sim *s, u64 ino, u64 size)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(WEFT_SET_SIZE),
					.size = cpu_to_le64(size) };

	return sim_setattr(s, ino, &req);
}

int sim_open(struct sim *s, u64 dir, const char *name, u32 flags, u32 mode, u64 *ino, u64 *id)
{
	struct weft_open_req req = { .flags = cpu_to_le32(flags), .mode = cpu_to_le32(mode) };
	struct sim_request r = { .opcode = WEFT_OP_OPEN, .ino = dir, .name = name, .body = &req,
				 .body_len = sizeof(req), .bulk_max = 65536,
				 .flags = WEFT_NS_WANT_DATA };
	struct sim_client *c = s->me;
	u64 got;
	int ret;

	r.open_id = ++c->next_open;
	ret = entry_call(s, &r, &got);
	if (!ret && ino)
		*ino = got;
	if (!ret && id)
		*id = le64_to_cpu(s->rep.entry.open_id);
	if (!ret && s->rep.entry.open_id && c->nfiles < 32)
		c->files[c->nfiles++] = (struct weft_open_pair){ cpu_to_le64(got),
								 s->rep.entry.open_id };
	return ret;
}

int sim_close(struct sim *s, u64 ino, u64 id)
{
	struct weft_open_pair p = { cpu_to_le64(ino), cpu_to_le64(id) };
	struct weft_opens_req req = { .count = cpu_to_le32(1) };
	struct sim_request r = { .opcode = WEFT_OP_CLOSE, .no_ns = true,
				 .server = sim_server_of(s, ino), .body = &req,
				 .body_len = sizeof(req), .tail = &p, .tail_len = sizeof(p) };
	struct sim_client *c = s->me;
	u32 k;

	for (k = 0; k < c->nfiles; k++)
		if (c->files[k].open_id == p.open_id)
			c->files[k--] = c->files[--c->nfiles];
	return sim_request(s, &r);
}

static int write_call(struct sim *s, u16 opcode, u64 ino, struct weft_write_req *req,
		      const void *data, size_t len)
{
	struct sim_request r = { .opcode = opcode, .ino = ino, .body = req,
				 .body_len = sizeof(*req), .bulk = data, .bulk_len = len };

	return sim_request(s, &r);
}

int sim_write(struct sim *s, u64 ino, u64 off, const void *data, size_t len)
{
	struct weft_write_req req = { .offset = cpu_to_le64(off) };

	return write_call(s, WEFT_OP_WRITE_INLINE, ino, &req, data, len);
}

int sim_commit(struct sim *s, u64 ino, u64 size, s64 delta)
{
	struct weft_write_req req = { .size = cpu_to_le64(size),
				      .bytes_delta = cpu_to_le64(delta) };

	return write_call(s, WEFT_OP_COMMIT, ino, &req, NULL, 0);
}

int sim_spill(struct sim *s, u64 ino, u32 phase, u64 size)
{
	struct weft_write_req req = { .size = cpu_to_le64(size), .flags = cpu_to_le32(phase) };

	return write_call(s, WEFT_OP_SPILL, ino, &req, NULL, 0);
}

int sim_setxattr(struct sim *s, u64 ino, const char *name, const char *val, u32 flags)
{
	struct weft_xattr_req req = { .flags = cpu_to_le32(flags) };
	struct sim_request r = { .opcode = WEFT_OP_SETXATTR, .ino = ino, .name = name,
				 .body = &req, .body_len = sizeof(req), .bulk = val,
				 .bulk_len = val ? strlen(val) : 0 };

	return sim_request(s, &r);
}

int sim_getxattr(struct sim *s, u64 ino, const char *name, char *buf, size_t len)
{
	struct sim_request r = { .opcode = name ? WEFT_OP_GETXATTR : WEFT_OP_LISTXATTR, .ino = ino,
				 .name = name, .bulk_max = len };
	int ret = sim_request(s, &r);

	if (ret)
		return ret;
	if (s->data_len)
		memcpy(buf, s->data, s->data_len);
	return le32_to_cpu(s->rep.xattr.size);
}

u64 sim_dir_on(struct sim *s, u64 parent, u32 server, char *name)
{
	static u32 serial;
	u64 ino;

	do {
		sprintf(name, "d%u", ++serial);
	} while (weft_place_dir(SIM_SHARDS, parent, name, strlen(name)) % s->nservers != server);
	if (sim_create(s, parent, name, S_IFDIR | 0755, &ino))
		sim_die("no directory");
	return ino;
}
