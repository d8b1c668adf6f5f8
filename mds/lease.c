// SPDX-License-Identifier: Apache-2.0
/*
 * The lease of this version: SOLE, the promise that no other client is at this group.
 *
 *	live sessions	sole holder	what happens
 *	0 -> 1		none		the one gets SOLE (by its SESSION_OPEN reply or LEASE_GRANT)
 *	1 -> 2		the first	the second's SESSION_OPEN waits; the first gets LEASE_RECALL
 *	 "		 "		it acknowledges, or does not within a lease: then it is evicted
 *	2		none		both ask at each use
 *	2 -> 1		none		the one left gets SOLE
 *
 * Who has the lease is stored before it is told ('E'), so that a server that comes back knows who
 * may still cache: nobody else is let in until that one has come back (it has dropped its cache
 * before it asks for its session), or for one lease. During the grace nobody gets SOLE.
 *
 * A client without a session here can change things here by transactions that another group
 * coordinates: the holder is asked to step back then too, and nobody is alone for the length of a
 * lease.
 */
#include <string.h>

#include "common/log.h"
#include "mds/mds.h"

static void recall(struct mds *m, struct mds_session *s)
{
	struct weft_lease_push push;

	if (s->recalling)
		return;
	s->recalling = true;
	s->recall_until = weft_env_now(m->env) + m->cfg.lease_ms * WEFT_NS_PER_MS;
	s->lease_seq = ++m->sessions.lease_seq;
	push = (struct weft_lease_push){ .lease = cpu_to_le32(WEFT_LEASE_NONE),
					 .group = cpu_to_le32(m->group),
					 .lease_seq = cpu_to_le64(s->lease_seq) };
	m->stats.recalls++;
	/* Without a connection it must come back and be told by its keepalive, or be evicted. */
	mds_session_push(s, WEFT_OP_LEASE_RECALL, &push, sizeof(push));
}

static void admit_waiting(struct mds *m)
{
	struct mds_oplist list = m->sessions.waiting;
	struct mds_op *op;

	mds_oplist_init(&m->sessions.waiting);
	while (list.count && (op = mds_oplist_pop(&list)))
		mds_submit(op);
}

/* Must @id wait for the holder of before the restart? */
static bool former_caches(struct mds *m, u64 id)
{
	if (weft_env_now(m->env) >= m->sessions.admit_at)
		m->sessions.former = 0;
	return m->sessions.former && m->sessions.former != id;
}

bool mds_lease_admit(struct mds *m, struct mds_session *s)
{
	if (former_caches(m, s->id))
		return false;
	if (m->sessions.former) { /* it has come back */
		m->sessions.former = 0;
		admit_waiting(m);
	}
	if (!m->sessions.sole || m->sessions.sole == s)
		return true;
	recall(m, m->sessions.sole);
	return false;
}

void mds_lease_lost(struct mds_session *s)
{
	struct mds *m = s->m;

	s->lease = WEFT_LEASE_NONE;
	s->recalling = false;
	if (m->sessions.sole != s)
		return;
	m->sessions.sole = NULL;
	admit_waiting(m);
}

void mds_lease_grace_over(struct mds *m)
{
	mds_lease_update(m);
	admit_waiting(m);
}

/* The only live session, if it may have the lease. */
static struct mds_session *only_one(struct mds *m)
{
	struct mds_session *one = NULL;
	struct mds_link *l;
	bool foreign = weft_env_now(m->env) < m->sessions.foreign_until;

	if (m->sessions.sole || mds_in_grace(m))
		return NULL;
	for (l = mds_table_each(&m->sessions.table, NULL); l;
	     l = mds_table_each(&m->sessions.table, l)) {
		struct mds_session *s = (struct mds_session *)l;

		if (s->live && one)
			return NULL;
		if (s->live)
			one = s;
	}
	/* Who changed this group through another, and then came here himself, is no foreigner. */
	return one && foreign && one->id != m->sessions.foreigner ? NULL : one;
}

static int put_holder(struct mds_tx *tx, u64 id)
{
	__le64 v = cpu_to_le64(id);
	char key[MDS_KEY_MAX];

	return mds_tx_put(tx, MDS_CF_META, key, mds_key_meta(key, 'E', 0), &v, sizeof(v));
}

static void grant(struct mds *m, struct mds_session *s)
{
	m->sessions.sole = s;
	s->lease = WEFT_LEASE_SOLE;
	s->lease_seq = ++m->sessions.lease_seq;
}

int mds_lease_open(struct mds_op *op, struct mds_session *s)
{
	struct mds *m = op->m;

	if (only_one(m) == s && !m->sessions.waiting.count)
		grant(m, s);
	return put_holder(&op->tx, m->sessions.sole == s ? s->id : 0);
}

static int grant_run(struct mds_op *op)
{
	const struct mds_session *s = op->priv;

	return only_one(op->m) == s ? put_holder(&op->tx, s->id) : -EBUSY;
}

static void granted(struct mds_op *op)
{
	struct mds_session *s = op->priv;
	struct weft_lease_push push;
	struct mds *m = op->m;

	m->sessions.granting = false;
	/* Others may have come while this was stored. */
	if (!op->status && !m->closing && only_one(m) == s && !m->sessions.waiting.count) {
		grant(m, s);
		push = (struct weft_lease_push){ .lease = cpu_to_le32(WEFT_LEASE_SOLE),
						 .group = cpu_to_le32(m->group),
						 .lease_seq = cpu_to_le64(s->lease_seq) };
		mds_session_push(s, WEFT_OP_LEASE_GRANT, &push, sizeof(push));
	}
	mds_session_put(s);
}

void mds_lease_update(struct mds *m)
{
	struct mds_session *s = only_one(m);

	if (!s || m->sessions.waiting.count || m->sessions.granting || m->failed)
		return;
	m->sessions.granting = true;
	if (mds_internal(m, grant_run, granted, mds_session_get(s))) {
		m->sessions.granting = false;
		mds_session_put(s);
	}
}

bool mds_lease_foreign(struct mds *m, u64 session)
{
	struct mds_session *s = mds_session_find(m, session), *sole = m->sessions.sole;
	uint64_t now = weft_env_now(m->env);
	bool several;

	if ((!s || !s->live) && session != m->sessions.former) {
		several = now < m->sessions.foreign_until && m->sessions.foreigner != session;
		m->sessions.foreigner = several ? 0 : session;
		m->sessions.foreign_until = now + m->cfg.lease_ms * WEFT_NS_PER_MS;
	}
	if (former_caches(m, session))
		return true;
	if (!sole || sole == s)
		return false;
	recall(m, sole);
	return true;
}

void mds_lease_tick(struct mds *m, u64 now)
{
	struct mds_session *s = m->sessions.sole;

	if (!s && m->sessions.waiting.count)
		admit_waiting(m);
	if (!s || !s->recalling || now < s->recall_until)
		return;
	weft_warn("session evicted: it did not give its lease back", "session=%llu client=%s",
		  (unsigned long long)s->id, s->name);
	s->live = false;
	mds_lease_lost(s);
}

int mds_lease_load(struct mds *m)
{
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	__le64 v;
	int ret;

	ret = weft_kv_get(m->kv, MDS_CF_META, key, mds_key_meta(key, 'E', 0), &val);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	if (val.len == sizeof(v)) {
		memcpy(&v, val.data, sizeof(v));
		/* One that closed, or has expired, caches nothing. */
		if (mds_session_find(m, le64_to_cpu(v)))
			m->sessions.former = le64_to_cpu(v);
	} else {
		ret = -EUCLEAN;
	}
	weft_kv_val_fini(&val);
	return ret;
}

int mds_run_lease_ack(struct mds_op *op)
{
	const struct weft_lease_ack_req *req = op->body;
	struct mds_session *s = op->session;

	/* An acknowledgement of an older lease says nothing about the present one. */
	if (s->recalling && le64_to_cpu(req->lease_seq) == s->lease_seq)
		mds_lease_lost(s);
	return 0;
}
