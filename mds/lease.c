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
 * Leases are not stored. A client that had SOLE before a restart may still cache until it comes
 * back or its lease has run out. So during the grace nobody gets SOLE, and a session that the store
 * does not know waits until all that it knows have come back, or for one lease.
 */
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

/* May sessions that were there before the restart still cache? */
static bool all_back(struct mds *m)
{
	return !mds_in_grace(m) || weft_env_now(m->env) >= m->sessions.admit_at;
}

bool mds_lease_admit(struct mds *m, struct mds_session *s)
{
	if (!s->stored && !all_back(m))
		return false;
	if (!m->sessions.sole || m->sessions.sole == s)
		return true;
	recall(m, m->sessions.sole);
	return false;
}

static void admit_waiting(struct mds *m)
{
	struct mds_oplist list = m->sessions.waiting;
	struct mds_op *op;

	mds_oplist_init(&m->sessions.waiting);
	while (list.count && (op = mds_oplist_pop(&list)))
		mds_submit(op);
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
	mds_lease_update(m, NULL);
	admit_waiting(m);
}

void mds_lease_update(struct mds *m, struct mds_session *quiet)
{
	struct mds_session *one = NULL;
	struct weft_lease_push push;
	struct mds_link *l;

	if (m->sessions.sole || mds_in_grace(m) || m->sessions.waiting.count)
		return;
	for (l = mds_table_each(&m->sessions.table, NULL); l;
	     l = mds_table_each(&m->sessions.table, l)) {
		struct mds_session *s = (struct mds_session *)l;

		if (s->live && one)
			return;
		if (s->live)
			one = s;
	}
	if (!one)
		return;
	m->sessions.sole = one;
	one->lease = WEFT_LEASE_SOLE;
	one->lease_seq = ++m->sessions.lease_seq;
	push = (struct weft_lease_push){ .lease = cpu_to_le32(WEFT_LEASE_SOLE),
					 .group = cpu_to_le32(m->group),
					 .lease_seq = cpu_to_le64(one->lease_seq) };
	if (one != quiet)
		mds_session_push(one, WEFT_OP_LEASE_GRANT, &push, sizeof(push));
}

void mds_lease_tick(struct mds *m, u64 now)
{
	struct mds_session *s = m->sessions.sole;

	if (!s && m->sessions.waiting.count && all_back(m))
		admit_waiting(m);
	if (!s || !s->recalling || now < s->recall_until)
		return;
	weft_warn("session evicted: it did not give its lease back", "session=%llu client=%s",
		  (unsigned long long)s->id, s->name);
	s->live = false;
	mds_lease_lost(s);
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
