// SPDX-License-Identifier: Apache-2.0
/*
 * The simulation of sim.h: events in a queue, timers, a clock that moves when nothing else does.
 *
 * A crash throws the core away and cancels what it had under way: its commit if that is still an
 * event, its messages, its timers. The store stays open: what RocksDB committed is there.
 */
#include "tests/unit/mds/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/log.h"
#include "proto/data.h"

enum kind { EV_POST, EV_WORK, EV_CALL, EV_REPLY };

struct sim_event {
	struct sim_event *next;
	enum kind kind;
	struct weft_post *post;
	struct weft_work *work;
	struct sim_message *msg;
};

/* A call between servers on its way there or back. */
struct sim_message {
	struct sim_message *next, **prev; /* all there are */
	struct sim *s;
	struct mds_call *call;
	u32 from, from_life, group;
	u16 opcode;
	char *body, *tail, *bulk;
	size_t body_len, tail_len, bulk_len;
	u32 bulk_max;
	int err;
	union mds_rep rep;
	struct weft_obj_rep obj;
	const void *rep_ptr;
	size_t rep_len;
	char *data;
	size_t data_len;
	u64 deadline; /* 0: none */
	struct weft_timer timer;
};

void sim_die(const char *what)
{
	fprintf(stderr, "sim: %s\n", what);
	abort();
}

volatile bool sim_exempt;

/* Memory of the simulation itself, which tests of failing allocations leave alone. */
void *sim_take(size_t n)
{
	void *p;

	sim_exempt = true;
	p = calloc(1, n);
	sim_exempt = false;
	if (!p)
		sim_die("no memory");
	return p;
}

static struct sim *env_sim(struct weft_env *env)
{
	return (struct sim *)env;
}

static void event_add(struct sim *s, struct sim_event ev)
{
	struct sim_event *e = sim_take(sizeof(*e));

	*e = ev;
	e->next = NULL;
	*s->etail = e;
	s->etail = &e->next;
}

/* --- the environment */

static uint64_t e_now(struct weft_env *env)
{
	return env_sim(env)->now;
}

static void e_wall(struct weft_env *env, struct timespec *ts)
{
	u64 now = env_sim(env)->now++;

	ts->tv_sec = 1700000000 + now / WEFT_NS_PER_S;
	ts->tv_nsec = now % WEFT_NS_PER_S;
}

static void e_random(struct weft_env *env, void *buf, size_t len)
{
	struct sim *s = env_sim(env);
	u8 *p = buf;

	while (len--) {
		s->rnd = s->rnd * 1103515245 + 12345;
		*p++ = s->rnd >> 16;
	}
}

static void e_timer_stop(struct weft_env *env, struct weft_timer *t)
{
	struct sim *s = env_sim(env);

	if (t->pos < 0)
		return;
	s->timers[t->pos] = s->timers[--s->ntimers];
	s->timers[t->pos]->pos = t->pos;
	t->pos = -1;
}

static void e_timer_start(struct weft_env *env, struct weft_timer *t, uint64_t delay)
{
	struct sim *s = env_sim(env);

	e_timer_stop(env, t);
	if (s->ntimers == sizeof(s->timers) / sizeof(s->timers[0]))
		sim_die("too many timers");
	t->expires = s->now + delay;
	t->pos = s->ntimers;
	s->timers[s->ntimers++] = t;
}

static void e_work(struct weft_env *env, struct weft_work *w)
{
	event_add(env_sim(env), (struct sim_event){ .kind = EV_WORK, .work = w });
}

static void e_post(struct weft_env *env, struct weft_post *p)
{
	event_add(env_sim(env), (struct sim_event){ .kind = EV_POST, .post = p });
}

static const struct weft_env_ops env_ops = {
	.now = e_now,
	.wall = e_wall,
	.random = e_random,
	.timer_start = e_timer_start,
	.timer_stop = e_timer_stop,
	.work = e_work,
	.post = e_post,
};

/* --- messages between servers */

static void msg_free(struct sim_message *msg)
{
	e_timer_stop(&msg->s->env, &msg->timer);
	*msg->prev = msg->next;
	if (msg->next)
		msg->next->prev = msg->prev;
	free(msg->body);
	free(msg->tail);
	free(msg->bulk);
	free(msg->data);
	free(msg);
}

void *sim_dup(const void *p, size_t len)
{
	void *to = sim_take(len + 1);

	if (len)
		memcpy(to, p, len);
	return to;
}

static void msg_send(void *arg)
{
	struct sim_message *msg = arg;

	event_add(msg->s, (struct sim_event){ .kind = EV_CALL, .msg = msg });
}

static void msg_answer(struct sim_message *msg)
{
	event_add(msg->s, (struct sim_event){ .kind = EV_REPLY, .msg = msg });
}

static void net_call(void *arg, struct mds_call *call)
{
	struct sim_server *sv = arg;
	struct sim *s = env_sim(sv->m->env);
	struct sim_message *msg;

	if (sv->m->closing)
		return;
	msg = sim_take(sizeof(*msg));
	msg->next = s->messages;
	if (msg->next)
		msg->next->prev = &msg->next;
	msg->prev = &s->messages;
	s->messages = msg;
	msg->s = s;
	msg->call = call;
	msg->from = sv - s->servers;
	msg->from_life = sv->life;
	msg->group = call->group;
	msg->opcode = call->opcode;
	msg->body_len = call->body_len;
	msg->body = sim_dup(call->body, call->body_len);
	msg->tail_len = call->tail_len;
	msg->tail = sim_dup(call->tail, call->tail_len);
	msg->bulk_len = call->bulk_len;
	msg->bulk = sim_dup(call->bulk, call->bulk_len);
	msg->bulk_max = call->bulk_max;
	msg->deadline = call->timeout_ms ? s->now + call->timeout_ms * WEFT_NS_PER_MS : 0;
	weft_timer_init(&msg->timer, msg_send, msg);
	msg_send(msg);
}

struct server_op {
	struct mds_op op;
	struct sim_message *msg;
};

static void server_reply(struct mds_op *op)
{
	struct server_op *so = (struct server_op *)op;
	struct sim_message *msg = so->msg;

	msg->err = op->status;
	msg->rep = op->rep;
	msg->rep_ptr = &msg->rep;
	msg->rep_len = op->rep_len;
	msg->data = op->data;
	msg->data_len = op->data_len;
	op->data = NULL;
	op->bulk = NULL;
	mds_op_fini(op);
	free(so);
	msg_answer(msg);
}

static void data_server(struct sim *s, struct sim_message *msg)
{
	const struct weft_obj_req *req = (const void *)msg->body;

	if (msg->group == s->silent_group && (!msg->deadline || s->now < msg->deadline)) {
		e_timer_start(&s->env, &msg->timer, 50 * WEFT_NS_PER_MS);
		return;
	}
	if (msg->group == s->silent_group) {
		msg->err = -ETIMEDOUT;
		msg_answer(msg);
		return;
	}
	s->trims2 += msg->group == SIM_OST2_GROUP;
	s->trims++;
	s->trim_ino = le64_to_cpu(req->ino);
	s->trim_chunk = le64_to_cpu(req->chunk);
	s->trim_off = le32_to_cpu(req->off);
	msg->err = s->trim_err;
	s->trim_err = 0;
	msg->obj.bytes_delta = cpu_to_le64(s->trim_delta);
	msg->rep_ptr = &msg->obj;
	msg->rep_len = sizeof(msg->obj);
	msg_answer(msg);
}

static void msg_deliver(struct sim *s, struct sim_message *msg)
{
	struct server_op *so;
	u32 k;

	if (msg->group == SIM_OST_GROUP || msg->group == SIM_OST2_GROUP) {
		data_server(s, msg);
		return;
	}
	for (k = 0; k < s->nservers && s->servers[k].group != msg->group; k++)
		;
	if (k == s->nservers || !s->servers[k].m) {
		e_timer_start(&s->env, &msg->timer, 50 * WEFT_NS_PER_MS);
		return;
	}
	so = sim_take(sizeof(*so));
	if (!mds_op_desc(msg->opcode))
		sim_die("a call that nobody serves");
	mds_op_init(&so->op, s->servers[k].m, mds_op_desc(msg->opcode));
	so->msg = msg;
	so->op.server = true;
	so->op.group = msg->group;
	so->op.epoch = s->map->epoch;
	so->op.body = msg->body;
	so->op.body_len = msg->body_len;
	so->op.tail = msg->tail;
	so->op.tail_len = msg->tail_len;
	so->op.bulk = msg->bulk;
	so->op.bulk_len = msg->bulk_len;
	so->op.bulk_max = msg->bulk_max;
	so->op.reply = server_reply;
	mds_request(&so->op);
}

static void msg_done(struct sim *s, struct sim_message *msg)
{
	struct sim_server *from = &s->servers[msg->from];
	struct mds_call *call = msg->call;

	if (!from->m || from->life != msg->from_life) {
		msg_free(msg);
		return;
	}
	/* As mds/net.c does it. */
	if (msg->err == -ESHUTDOWN || msg->err == WEFT_S_RECOVERY) {
		free(msg->data);
		msg->data = NULL;
		e_timer_start(&s->env, &msg->timer, 50 * WEFT_NS_PER_MS);
		return;
	}
	call->err = msg->err;
	call->rep = msg->rep_ptr;
	call->rep_len = msg->rep_len;
	call->data = msg->data;
	call->data_len = msg->data_len;
	call->done(call);
	msg_free(msg);
}

static bool net_push(void *arg, void *conn, u16 opcode, const void *body, size_t len)
{
	struct sim_client *c = conn;

	(void)arg;
	if (c->npushes < SIM_PUSHES && len == sizeof(c->pushes[0].body)) {
		c->pushes[c->npushes].opcode = opcode;
		memcpy(&c->pushes[c->npushes++].body, body, len);
	}
	return true;
}

static void net_root_made(void *arg)
{
	struct sim_server *sv = arg;
	struct sim *s = env_sim(sv->m->env);

	s->roots++;
}

static void net_need_map(void *arg, u64 epoch)
{
	struct sim_server *sv = arg;

	(void)epoch;
	env_sim(sv->m->env)->need_maps++;
}

static struct sim *fatal_sim;

static void net_fatal(void *arg, int err, const char *why)
{
	(void)arg;
	(void)why;
	fatal_sim->fatal = err;
}

static const struct mds_net_ops net_ops = {
	.call = net_call,
	.push = net_push,
	.root_made = net_root_made,
	.need_map = net_need_map,
	.fatal = net_fatal,
};

/* --- the map */

#define SIM_TARGETS (SIM_SERVERS + 2)

struct sim_map {
	struct weft_map_hdr hdr;
	struct weft_map_node node;
	struct weft_map_target targets[SIM_TARGETS];
	struct weft_map_group groups[SIM_TARGETS];
	struct weft_map_member members[SIM_TARGETS];
	__le32 shards[SIM_SHARDS];
	struct weft_map_pool pools[2];
	__le32 pool_groups[3];
};

/* @npools generations of the default pool: of one data group, of both. */
static struct weft_map *make_map(u32 nservers, u64 epoch, u16 flags, u32 npools)
{
	struct sim_map m = { 0 };
	size_t len, tail = npools * sizeof(m.pools[0]);
	struct weft_map *map;
	u32 k;

	m.hdr.version = cpu_to_le16(WEFT_MAP_VERSION);
	m.hdr.flags = cpu_to_le16(flags | WEFT_MAP_F_ACTIVE);
	m.hdr.magic = cpu_to_le32(WEFT_MAP_MAGIC);
	m.hdr.epoch = cpu_to_le64(epoch);
	m.hdr.nnodes = cpu_to_le32(1);
	m.hdr.ntargets = m.hdr.ngroups = m.hdr.nmembers = cpu_to_le32(SIM_TARGETS);
	m.hdr.nshards = cpu_to_le32(SIM_SHARDS);
	m.node.id = cpu_to_le32(1);
	for (k = 0; k < SIM_TARGETS; k++) {
		bool ost = k >= SIM_SERVERS;

		m.targets[k].id = cpu_to_le32(k + 1);
		m.targets[k].node = cpu_to_le32(1);
		m.targets[k].kind = m.groups[k].kind = ost ? WEFT_OST : WEFT_MDT;
		m.groups[k].id = cpu_to_le32(ost ? SIM_OST_GROUP + k - SIM_SERVERS : k + 1);
		m.groups[k].first_member = cpu_to_le32(k);
		m.groups[k].nmembers = cpu_to_le16(1);
		m.members[k].target = cpu_to_le32(k + 1);
		m.members[k].state = WEFT_IN_SYNC;
	}
	for (k = 0; k < SIM_SHARDS; k++)
		m.shards[k] = cpu_to_le32(1 + k % nservers);
	for (k = 0; k < npools; k++) {
		m.pools[k].id = cpu_to_le32(k + 1);
		m.pools[k].first_group = cpu_to_le32(k);
		m.pools[k].ngroups = cpu_to_le32(k + 1);
		m.pools[k].redundancy = WEFT_REPLICA;
		m.pools[k].k = 1;
		m.pools[k].chunk_shift = 16;
		strcpy((char *)m.pools[k].name, "default");
	}
	for (k = 0; k < 3; k++)
		m.pool_groups[k] = cpu_to_le32(k < 2 ? SIM_OST_GROUP : SIM_OST2_GROUP);
	/* The tables follow each other without gaps. */
	memmove((char *)m.pools + tail, m.pool_groups, sizeof(m.pool_groups));
	len = offsetof(struct sim_map, pools) + tail + (2 * npools - 1) * sizeof(__le32);
	m.hdr.npools = cpu_to_le32(npools);
	m.hdr.npool_groups = cpu_to_le32(2 * npools - 1);
	m.hdr.len = cpu_to_le32(len);
	m.hdr.crc = cpu_to_le32(~weft_crc32c_raw(~0u, &m, len));
	if (weft_map_decode(&m, len, &map))
		sim_die("the map is refused");
	return map;
}

/* --- servers */

static const u8 sim_uuid[16] = { 1 };

static void boot(struct sim *s, u32 k)
{
	struct sim_server *sv = &s->servers[k];
	struct mds_cfg cfg = { .env = &s->env, .kv = sv->kv, .target = k + 1, .net = &net_ops,
			       .net_arg = sv, .lease_ms = 1000 };

	fatal_sim = s;
	sv->life++;
	if (mds_create(&cfg, &sv->m))
		sim_die("a server does not start");
	mds_set_map(sv->m, s->map);
}

/* Events and timers of a core that is gone. */
static void forget_core(struct sim *s, struct mds *m)
{
	struct sim_event **p = &s->events, *e;

	while ((e = *p)) {
		if ((e->kind == EV_WORK && e->work == &m->batch.work) ||
		    (e->kind == EV_POST && e->post == &m->batch.post)) {
			*p = e->next;
			free(e);
		} else {
			p = &e->next;
		}
	}
	s->etail = p;
}

void sim_crash(struct sim *s, u32 k)
{
	struct mds *m = s->servers[k].m;
	struct sim_message *msg;

	if (!m)
		return;
	m->closing = m->failed = true;
	forget_core(s, m);
	/* As mds/net.c ends its calls before the core goes; nothing comes of it any more. */
	for (msg = s->messages; msg; msg = msg->next) {
		if (msg->from != k || msg->from_life != s->servers[k].life)
			continue;
		msg->from_life = 0;
		msg->call->err = -ECANCELED;
		msg->call->rep_len = msg->call->data_len = 0;
		msg->call->done(msg->call);
	}
	mds_destroy(m);
	s->servers[k].m = NULL;
}

void sim_restart(struct sim *s, u32 k)
{
	if (!s->servers[k].m)
		boot(s, k);
}

static void open_stores(struct sim *s)
{
	char err[WEFT_KV_ERR_MAX];
	u32 k;

	for (k = 0; k < s->nservers; k++) {
		struct sim_server *sv = &s->servers[k];

		snprintf(sv->dir, sizeof(sv->dir), "%s/%u", s->base, k);
		sv->group = k + 1;
		if (mds_store_open(sv->dir, sim_uuid, sim_uuid, true, 0, &sv->kv, err))
			sim_die(err);
	}
}

void sim_start(struct sim *s, u32 nservers)
{
	u32 k;

	memset(s, 0, sizeof(*s));
	s->env.ops = &env_ops;
	s->etail = &s->events;
	s->now = WEFT_NS_PER_S;
	s->rnd = 1;
	s->nservers = nservers;
	strcpy(s->base, "/tmp/mds_sim.XXXXXX");
	if (!mkdtemp(s->base))
		sim_die("no directory");
	open_stores(s);
	s->map = make_map(nservers, 1, WEFT_MAP_F_ROOT_PENDING, 1);
	for (k = 0; k < nservers; k++)
		boot(s, k);
	sim_run(s, 10);
	weft_map_put(s->map);
	s->map = make_map(nservers, 2, 0, 1);
	for (k = 0; k < nservers; k++)
		mds_set_map(s->servers[k].m, s->map);
}

void sim_extend(struct sim *s)
{
	u32 k;

	weft_map_put(s->map);
	s->map = make_map(s->nservers, 3, 0, 2);
	for (k = 0; k < s->nservers; k++)
		mds_set_map(s->servers[k].m, s->map);
}

static void drop_events(struct sim *s)
{
	struct sim_event *e;

	while ((e = s->events)) {
		s->events = e->next;
		if (e->msg)
			msg_free(e->msg);
		free(e);
	}
	s->etail = &s->events;
	while (s->ntimers) {
		struct weft_timer *t = s->timers[0];

		e_timer_stop(&s->env, t);
		if (t->cb == msg_send)
			msg_free(t->arg);
	}
}

void sim_stop(struct sim *s)
{
	char cmd[128];
	u32 k;

	s->crash_at = 0;
	for (k = 0; k < s->nservers; k++)
		sim_crash(s, k);
	drop_events(s);
	for (k = 0; k < s->nservers; k++)
		weft_kv_close(s->servers[k].kv);
	weft_map_put(s->map);
	free(s->data);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", s->base);
	if (system(cmd))
		sim_die("cannot remove the stores");
}

/* --- time */

static void event_run(struct sim *s, struct sim_event *e)
{
	switch (e->kind) {
	case EV_POST:
		e->post->cb(e->post->arg);
		break;
	case EV_WORK:
		e->work->fn(e->work->arg);
		s->now += s->commit_ns;
		e->work->done(e->work->arg);
		break;
	case EV_CALL:
		msg_deliver(s, e->msg);
		break;
	case EV_REPLY:
		msg_done(s, e->msg);
		break;
	}
}

static void count_step(struct sim *s)
{
	if (++s->steps == s->crash_at) {
		sim_crash(s, s->crash_who);
		sim_restart(s, s->crash_who);
	}
}

bool sim_step_until(struct sim *s, u64 until)
{
	struct sim_event *e;
	struct weft_timer *t;
	u32 k, first = 0;

	if (s->events)
		count_step(s);
	e = s->events;
	if (e) {
		s->events = e->next;
		if (!s->events)
			s->etail = &s->events;
		event_run(s, e);
		free(e);
		return true;
	}
	for (k = 1; k < s->ntimers; k++)
		if (s->timers[k]->expires < s->timers[first]->expires)
			first = k;
	if (!s->ntimers || s->timers[first]->expires > until)
		return false;
	t = s->timers[first];
	if (t->expires > s->now)
		s->now = t->expires;
	e_timer_stop(&s->env, t);
	t->cb(t->arg);
	return true;
}

bool sim_step(struct sim *s)
{
	return sim_step_until(s, s->now);
}

void sim_run(struct sim *s, u32 ms)
{
	u64 until = s->now + ms * WEFT_NS_PER_MS;

	while (sim_step_until(s, until))
		;
	if (s->now < until)
		s->now = until;
}

bool sim_consistent(struct sim *s)
{
	struct weft_kv *kvs[SIM_SERVERS];
	struct fsck f;
	u32 k;

	sim_run(s, 5000);
	for (k = 0; k < s->nservers; k++)
		kvs[k] = s->servers[k].kv;
	if (fsck_run(kvs, s->nservers, &f) || f.errors || f.pending) {
		fprintf(stderr, "sim: %lu errors, %lu pending: %s\n", f.errors, f.pending,
			f.complaint);
		return false;
	}
	return true;
}
