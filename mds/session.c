// SPDX-License-Identifier: Apache-2.0
/*
 * Client sessions: who is there, which files each has open, what survives a restart.
 *
 * Happy path: SESSION_OPEN stores a record (with the slots it is all that survives a restart);
 * every request renews the session's lease; SESSION_CLOSE removes it all.
 *
 * A session that is silent for longer than its lease is no longer live: others need not wait for
 * it, its requests are refused with WEFT_S_BAD_SESSION until it opens itself again; its slots and
 * open files are kept, until it has been silent for expire_ms.
 *
 * After a restart open files are unknown until each client has told them (RECLAIM). Until all have,
 * or two leases have passed (the grace), no inode without names is deleted and no SOLE lease given.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "mds/mds.h"

static u64 lease_ns(const struct mds *m)
{
	return m->cfg.lease_ms * WEFT_NS_PER_MS;
}

struct mds_session *mds_session_find(struct mds *m, u64 id)
{
	struct mds_link *l;

	for (l = mds_table_find(&m->sessions.table, mds_mix(id)); l; l = mds_table_more(l))
		if (((struct mds_session *)l)->id == id)
			return (struct mds_session *)l;
	return NULL;
}

struct mds_session *mds_session_get(struct mds_session *s)
{
	s->refs++;
	return s;
}

void mds_session_put(struct mds_session *s)
{
	if (--s->refs)
		return;
	free(s->slots);
	free(s);
}

static void session_bind(struct mds_session *s, void *conn)
{
	int k, empty = -1;

	for (k = 0; conn && k < MDS_SESSION_CONNS; k++) {
		if (s->conns[k] == conn)
			return;
		if (!s->conns[k] && empty < 0)
			empty = k;
	}
	if (conn && empty >= 0)
		s->conns[empty] = conn;
}

void mds_session_touch(struct mds_session *s, void *conn)
{
	s->last_seen = weft_env_now(s->m->env);
	session_bind(s, conn);
}

void mds_session_conn_gone(struct mds *m, void *conn)
{
	struct mds_link *l;
	struct mds_op *op;
	int k;

	/* An op that waits must not bind its session to it later. */
	for (op = m->all_ops; op; op = op->all_next)
		if (op->conn == conn)
			op->conn = NULL;
	for (l = mds_table_each(&m->sessions.table, NULL); l;
	     l = mds_table_each(&m->sessions.table, l))
		for (k = 0; k < MDS_SESSION_CONNS; k++)
			if (((struct mds_session *)l)->conns[k] == conn)
				((struct mds_session *)l)->conns[k] = NULL;
}

bool mds_session_push(struct mds_session *s, u16 opcode, const void *body, size_t len)
{
	struct mds *m = s->m;
	int k;

	for (k = 0; k < MDS_SESSION_CONNS; k++)
		if (s->conns[k] &&
		    m->cfg.net->push(m->cfg.net_arg, s->conns[k], opcode, body, len))
			return true;
	return false;
}

static int session_new(struct mds *m, u64 id, u32 nslots, struct mds_session **out)
{
	struct mds_session *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->slots = calloc(nslots, sizeof(*s->slots));
	if (!s->slots) {
		free(s);
		return -ENOMEM;
	}
	s->m = m;
	s->id = id;
	s->refs = 1;
	s->nslots = nslots;
	s->last_seen = weft_env_now(m->env);
	mds_table_add(&m->sessions.table, &s->link, mds_mix(id));
	*out = s;
	return 0;
}

/* Out of the table; what it had open may be deleted now. */
static void session_forget(struct mds_session *s)
{
	struct mds *m = s->m;
	u64 ino;

	if (s->gone)
		return;
	s->gone = true;
	s->live = false;
	mds_table_del(&m->sessions.table, &s->link);
	while ((ino = mds_open_drop(s)))
		mds_orphan_check(m, ino);
	mds_lease_lost(s);
	mds_session_put(s);
	mds_grace_check(m);
}

static int session_store(struct mds_op *op, const struct mds_session *s)
{
	struct mds_session_rec rec = { .version = cpu_to_le32(MDS_REC_VERSION),
				       .slots = cpu_to_le16(s->nslots),
				       .name_len = cpu_to_le16(strlen(s->name)),
				       .incarnation = cpu_to_le64(s->incarnation) };
	char buf[sizeof(rec) + sizeof(s->name)], key[MDS_KEY_MAX];

	memcpy(buf, &rec, sizeof(rec));
	memcpy(buf + sizeof(rec), s->name, strlen(s->name));
	return mds_tx_put(&op->tx, MDS_CF_META, key, mds_key_meta(key, 'S', s->id), buf,
			  sizeof(rec) + strlen(s->name));
}

static void opened(struct mds_op *op)
{
	struct mds_session *s = op->session;

	if (!s->stored) {
		s->stored = true;
		weft_info("session opened", "session=%llu client=%s",
			  (unsigned long long)s->id, s->name);
	}
	mds_finish(op, 0);
}

static int find_or_make(struct mds_op *op, const struct weft_session_open_req *req)
{
	u32 slots = le16_to_cpu(req->slots), len = le16_to_cpu(req->name_len);
	struct mds_session *s = mds_session_find(op->m, op->session_id);
	int ret;

	if (s) {
		op->session = mds_session_get(s);
		return s->incarnation == le64_to_cpu(req->incarnation) ? 0 : -EPERM;
	}
	if (op->m->sessions.table.count >= op->m->cfg.sessions_max) {
		weft_warn_peer("session refused: there are too many", "session=%llu sessions=%u",
			       (unsigned long long)op->session_id, op->m->sessions.table.count);
		return -EUSERS;
	}
	if (!slots || slots > WEFT_SLOTS_MAX)
		slots = WEFT_SLOTS_MAX;
	ret = session_new(op->m, op->session_id, slots, &s);
	if (ret)
		return ret;
	op->session = mds_session_get(s);
	s->incarnation = le64_to_cpu(req->incarnation);
	s->reclaimed = true;
	if (len >= sizeof(s->name))
		len = sizeof(s->name) - 1;
	memcpy(s->name, op->tail, len);
	return 0;
}

int mds_run_session_open(struct mds_op *op)
{
	const struct weft_session_open_req *req = op->body;
	struct weft_session_open_rep *rep = &op->rep.session;
	struct mds *m = op->m;
	struct mds_session *s;
	int ret = 0;

	if (le16_to_cpu(req->name_len) != op->tail_len)
		return -EBADMSG;
	if (!op->session_id || op->server || (op->session_id & WEFT_SESSION_SERVER))
		return -EINVAL;
	if (!op->session || op->session->gone) {
		if (op->session)
			mds_session_put(op->session);
		op->session = NULL;
		ret = find_or_make(op, req);
	}
	if (ret)
		return ret;
	s = op->session;
	mds_session_touch(s, op->conn);
	if (!mds_lease_admit(m, s)) {
		mds_oplist_add(&m->sessions.waiting, op);
		return MDS_ASYNC;
	}
	s->live = true;
	ret = mds_lease_open(op, s);
	if (ret)
		return ret;
	rep->slots = cpu_to_le16(s->nslots);
	rep->lease_ms = cpu_to_le32(m->cfg.lease_ms);
	rep->flags = cpu_to_le32((s->reclaimed ? 0 : WEFT_SESSION_RECLAIM) |
				 (s->stored ? 0 : WEFT_SESSION_NEW));
	rep->lease = cpu_to_le32(s->recalling ? WEFT_LEASE_NONE : s->lease);
	rep->lease_seq = cpu_to_le64(s->lease_seq);
	op->rep_len = sizeof(*rep);
	op->after = opened;
	return s->stored ? 0 : session_store(op, s);
}

static int close_run(struct mds_op *op, struct mds_session *s)
{
	char key[MDS_KEY_MAX];
	int ret;

	ret = mds_tx_del(&op->tx, MDS_CF_META, key, mds_key_meta(key, 'S', s->id));
	if (!ret) {
		mds_put_be64(key, s->id);
		ret = mds_tx_del_prefix(&op->tx, MDS_CF_SLOTS, key, 8);
	}
	return ret;
}

static void closed(struct mds_op *op)
{
	weft_info("session closed", "session=%llu client=%s",
		  (unsigned long long)op->session->id, op->session->name);
	session_forget(op->session);
	mds_finish(op, 0);
}

int mds_run_session_close(struct mds_op *op)
{
	op->after = closed;
	return close_run(op, op->session);
}

static int expire_run(struct mds_op *op)
{
	struct mds_session *s = op->priv;

	/* It may have come back while this waited for its batch. */
	return s->live || s->gone ? -EBUSY : close_run(op, s);
}

static void expired(struct mds_op *op)
{
	struct mds_session *s = op->priv;

	if (!op->status) {
		weft_warn("session expired: its client was silent", "session=%llu client=%s",
			  (unsigned long long)s->id, s->name);
		s->m->stats.sessions_expired++;
		session_forget(s);
	}
	mds_session_put(s);
}

static void session_check(struct mds_session *s, u64 now)
{
	u64 silent = now - s->last_seen;

	if (s->live && silent > lease_ns(s->m)) {
		weft_warn("session lost its lease: its client is silent", "session=%llu client=%s",
			  (unsigned long long)s->id, s->name);
		s->live = false;
		mds_lease_lost(s);
	}
	if (!s->live && silent > s->m->cfg.expire_ms * WEFT_NS_PER_MS &&
	    mds_internal(s->m, expire_run, expired, mds_session_get(s)))
		mds_session_put(s);
}

static void session_tick(void *arg)
{
	struct mds *m = arg;
	u64 now = weft_env_now(m->env);
	struct mds_link *l;

	for (l = mds_table_each(&m->sessions.table, NULL); l;
	     l = mds_table_each(&m->sessions.table, l))
		session_check((struct mds_session *)l, now);
	mds_lease_tick(m, now);
	mds_grace_check(m);
	mds_lease_update(m);
	weft_timer_start(m->env, &m->sessions.timer, lease_ns(m) / 10);
}

int mds_run_keepalive(struct mds_op *op)
{
	struct weft_keepalive_rep *rep = &op->rep.keepalive;

	rep->lease = cpu_to_le32(op->session->recalling ? WEFT_LEASE_NONE : op->session->lease);
	rep->lease_ms = cpu_to_le32(op->m->cfg.lease_ms);
	rep->lease_seq = cpu_to_le64(op->session->lease_seq);
	op->rep_len = sizeof(*rep);
	return 0;
}

bool mds_in_grace(const struct mds *m)
{
	return m->sessions.grace_until;
}

void mds_grace_check(struct mds *m)
{
	struct mds_link *l;
	bool wait = false;

	if (!m->sessions.grace_until)
		return;
	for (l = mds_table_each(&m->sessions.table, NULL); l;
	     l = mds_table_each(&m->sessions.table, l))
		if (!((struct mds_session *)l)->reclaimed)
			wait = true;
	if (wait && weft_env_now(m->env) < m->sessions.grace_until)
		return;
	weft_info("all sessions have told their open files, or had the time to",
		  "sessions=%u", m->sessions.table.count);
	m->sessions.grace_until = 0;
	mds_orphan_scan(m);
	mds_lease_grace_over(m);
}

/* Return: 1 if the file is registered, 0 if it does not exist any more. */
static int reclaim_one(struct mds_op *op, const struct weft_open_pair *p)
{
	struct mds_inode i;
	int ret;

	if (!p->open_id || !mds_is_local(op->m, le64_to_cpu(p->ino)))
		return 0;
	ret = mds_read_inode(&op->tx, le64_to_cpu(p->ino), &i);
	if (ret == MDS_PARKED)
		return ret + 1;
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = mds_open_add(op->session, i.ino, le64_to_cpu(p->open_id));
	return ret ? ret : 1;
}

int mds_run_reclaim(struct mds_op *op)
{
	const struct weft_opens_req *req = op->body;
	u32 k, lost = 0, count = le32_to_cpu(req->count);
	struct weft_open_pair p;
	__le64 *inos;
	int ret;

	if (op->tail_len != (u64)count * sizeof(p) ||
	    (le32_to_cpu(req->flags) & ~WEFT_RECLAIM_DONE))
		return -EBADMSG;
	free(op->rep_tail);
	inos = calloc(count + 1, sizeof(*inos));
	op->rep_tail = (char *)inos;
	if (!inos)
		return -ENOMEM;
	for (k = 0; k < count; k++) {
		memcpy(&p, (const char *)op->tail + k * sizeof(p), sizeof(p));
		ret = reclaim_one(op, &p);
		if (ret == MDS_PARKED + 1)
			return MDS_PARKED;
		if (ret < 0)
			return ret;
		if (!ret)
			inos[lost++] = p.ino;
	}
	op->rep_tail_len = lost * sizeof(*inos);
	op->rep.opens.lost = cpu_to_le32(lost);
	op->rep_len = sizeof(op->rep.opens);
	if (le32_to_cpu(req->flags) & WEFT_RECLAIM_DONE) {
		op->session->reclaimed = true;
		mds_grace_check(op->m);
	}
	return 0;
}

static int load_one(struct mds *m, u64 id, const char *val, size_t len)
{
	struct mds_session_rec rec;
	struct mds_session *s;
	size_t name;
	int ret;

	if (len < sizeof(rec))
		return -EUCLEAN;
	memcpy(&rec, val, sizeof(rec));
	name = le16_to_cpu(rec.name_len);
	if (le32_to_cpu(rec.version) != MDS_REC_VERSION || len != sizeof(rec) + name ||
	    name >= sizeof(s->name) || !rec.slots || le16_to_cpu(rec.slots) > WEFT_SLOTS_MAX)
		return -EUCLEAN;
	ret = session_new(m, id, le16_to_cpu(rec.slots), &s);
	if (ret)
		return ret;
	s->incarnation = le64_to_cpu(rec.incarnation);
	s->stored = true;
	memcpy(s->name, val + sizeof(rec), name);
	return mds_slots_load(s);
}

int mds_session_load(struct mds *m)
{
	struct weft_kv_iter *it;
	size_t klen, vlen;
	int ret;

	ret = weft_kv_iter_prefix(m->kv, NULL, MDS_CF_META, "S", 1, &it);
	if (ret)
		return ret;
	for (weft_kv_iter_first(it); !ret && weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &klen);
		const char *v = weft_kv_iter_val(it, &vlen);

		ret = klen == 9 ? load_one(m, mds_be64(k + 1), v, vlen) : -EUCLEAN;
	}
	if (!ret)
		ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	if (!ret)
		ret = mds_lease_load(m);
	if (!ret && m->sessions.table.count) {
		m->sessions.admit_at = weft_env_now(m->env) + lease_ns(m);
		m->sessions.grace_until = weft_env_now(m->env) + 2 * lease_ns(m);
	}
	weft_timer_start(m->env, &m->sessions.timer, lease_ns(m) / 10);
	return ret;
}

int mds_session_init(struct mds *m)
{
	struct mds_time now = mds_time(m);
	int ret;

	mds_oplist_init(&m->sessions.waiting);
	weft_timer_init(&m->sessions.timer, session_tick, m);
	/* Larger than any number that was given before a restart. */
	m->sessions.lease_seq = (u64)now.sec * 1000000 + now.nsec / 1000;
	ret = mds_table_init(&m->sessions.table);
	return ret ? ret : mds_table_init(&m->sessions.opens);
}

void mds_session_fini(struct mds *m)
{
	struct mds_link *l;

	weft_timer_stop(m->env, &m->sessions.timer);
	while (m->sessions.table.buckets && (l = mds_table_each(&m->sessions.table, NULL))) {
		struct mds_session *s = (struct mds_session *)l;

		mds_table_del(&m->sessions.table, l);
		while (mds_open_drop(s))
			;
		mds_session_put(s);
	}
	mds_table_fini(&m->sessions.table);
	mds_table_fini(&m->sessions.opens);
}
