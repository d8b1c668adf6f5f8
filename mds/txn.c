// SPDX-License-Identifier: Apache-2.0
/*
 * Changes over several groups: this group coordinates.
 *
 * Happy path of an op: its run builds a list of sub-operations, some for other groups. They are
 * tried here (and undone), what they touch here is locked, PREPARE goes to the others. When all are
 * prepared the op runs again, builds the same list, and does its own part in one batch with the
 * decision record and the reply; when that is durable the client is answered and COMMIT goes out.
 * When all have confirmed, the record is dropped.
 *
 *	state		record	locks	TXN_STATUS	ends by
 *	PREPARING	no	yes	RUNNING		all prepared; an error: ABORTING
 *	PREPARED	no	yes	RUNNING		the op's batch; its error: ABORTING
 *	COMMITTED	yes	no	COMMITTED	all confirmed
 *	ABORTING	no	no	UNKNOWN		all told, or two seconds
 *
 * Each sub-operation names the client's session: a participant where another client is alone takes
 * the lease back from that one first (lease.c).
 *
 * A participant that answers WEFT_S_BUSY, or not within five seconds, makes the op start over after
 * a pause. After a crash transactions without a record are forgotten (participants ask and hear
 * UNKNOWN); those with one send COMMIT again.
 *
 * Transaction numbers are the target's incarnation (counted at each start) and a count.
 *
 * Fault points: mds.txn.begin, mds.txn.prepared, mds.txn.decided, mds.txn.replied, mds.txn.acked.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "mds/names.h"

#define PREPARE_MS 5000u
#define ABORT_MS 2000u
#define RESEND_NS (100 * WEFT_NS_PER_MS)
#define PAUSE_MAX_MS 500u

static struct mds_txn *txn_find(struct mds *m, u64 seq)
{
	struct mds_link *l;

	for (l = mds_table_find(&m->txns.own, mds_mix(seq)); l; l = mds_table_more(l))
		if (((struct mds_txn *)l)->seq == seq)
			return (struct mds_txn *)l;
	return NULL;
}

enum weft_txn_state mds_txn_state(struct mds *m, u64 seq)
{
	struct mds_txn *t = txn_find(m, seq);
	u32 k;

	for (k = 0; k < m->rename_lock.nheld; k++)
		if (m->rename_lock.held[k] == seq)
			return WEFT_TXN_RUNNING;
	if (!t || t->state == MDS_TXN_ABORTING)
		return WEFT_TXN_UNKNOWN;
	return t->state == MDS_TXN_COMMITTED ? WEFT_TXN_COMMITTED : WEFT_TXN_RUNNING;
}

u64 mds_txn_next(struct mds *m)
{
	return m->txns.next++;
}

static void txn_free(struct mds_txn *t)
{
	mds_table_del(&t->m->txns.own, &t->link);
	weft_timer_stop(t->m->env, &t->timer);
	mds_lock_drop(t->m, &t->holds);
	free(t);
}

static struct mds_txn *txn_new(struct mds *m, u64 seq)
{
	struct mds_txn *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->m = m;
	t->seq = seq;
	weft_timer_init(&t->timer, NULL, NULL);
	mds_table_add(&m->txns.own, &t->link, mds_mix(seq));
	return t;
}

/* --- sub-operations of this group */

static u32 sub_group(struct mds *m, const struct mds_sub *s)
{
	if (s->kind == WEFT_SUB_MAKE)
		return mds_group_of(m, WEFT_INO_MAKE((u64)s->shard, 0));
	return mds_group_of(m, s->ino);
}

/* An entry for an inode of another sub-operation learns its number and type from that one. */
static void fill_entry(struct mds_sub *s, const struct mds_sub *subs, u32 n)
{
	u32 k;

	for (k = 0; k < n; k++) {
		const struct mds_sub *o = &subs[k];

		if (o->kind == WEFT_SUB_MAKE && s->new_ino == MDS_MADE_INO && o->ino)
			s->new_ino = o->ino;
		else if (o->kind == WEFT_SUB_EDIT && o->ino == s->new_ino && !s->mode)
			s->mode = mds_type(le32_to_cpu(o->result.attr.mode));
	}
}

static int run_local(struct mds_op *op, struct mds_sub *subs, u32 n)
{
	u32 k;
	int ret = 0;

	for (k = 0; k < n && !ret; k++) {
		struct mds_sub *s = &subs[k];

		if (s->group != op->m->group)
			continue;
		if (s->kind == WEFT_SUB_ENTRY && s->new_ino)
			fill_entry(s, subs, n);
		ret = mds_sub_run(&op->tx, &op->creds, op->now, s);
	}
	return ret;
}

static struct mds_lock_key sub_key(const struct mds_sub *s)
{
	return s->kind == WEFT_SUB_ENTRY ? mds_lock_entry(s->ino, s->name, s->name_len) :
					   mds_lock_inode(s->ino);
}

/* All or none. Return: 0, MDS_PARKED or -ENOMEM. */
static int lock_local(struct mds_op *op, struct mds_txn *t)
{
	struct mds *m = op->m;
	u32 k;
	int ret = 0;

	for (k = 0; k < t->nsubs; k++) {
		struct mds_sub *s = &t->subs[k];

		if (s->group != m->group)
			continue;
		op->tx.blocked = mds_lock_blocks(m, sub_key(s), op, true);
		if (!op->tx.blocked && s->kind == WEFT_SUB_ENTRY)
			op->tx.blocked = mds_lock_blocks(m, mds_lock_inode(s->ino), op, false);
		if (!op->tx.blocked && s->kind == WEFT_SUB_ENTRY)
			op->tx.blocked = mds_lock_wanted(m, mds_lock_inode(s->ino));
		if (op->tx.blocked)
			return MDS_PARKED;
	}
	for (k = 0; k < t->nsubs && !ret; k++) {
		struct mds_sub *s = &t->subs[k];

		if (s->group != m->group)
			continue;
		ret = mds_lock_take(m, sub_key(s), op, MDS_LOCK_EXCL, &t->holds);
		if (!ret && s->kind == WEFT_SUB_ENTRY)
			ret = mds_lock_take(m, mds_lock_inode(s->ino), op, MDS_LOCK_SHARED,
					    &t->holds);
	}
	return ret;
}

/* --- messages */

static struct weft_txn_id txn_id(const struct mds_txn *t)
{
	return (struct weft_txn_id){ .group = cpu_to_le32(t->m->group),
				     .seq = cpu_to_le64(t->seq) };
}

static void send_txn(struct mds_member *mb, u16 opcode, u32 timeout_ms,
		     void (*done)(struct mds_call *call))
{
	struct mds_txn *t = mb->txn;
	struct weft_txn_req req = { .id = txn_id(t) };

	mb->call = (struct mds_call){ .group = mb->group, .opcode = opcode, .body = &req,
				      .body_len = sizeof(req), .timeout_ms = timeout_ms,
				      .done = done, .arg = mb };
	t->pending++;
	t->m->cfg.net->call(t->m->cfg.net_arg, &mb->call);
}

static size_t encode_sub(const struct mds_sub *s, char *p)
{
	struct weft_txn_sub w = {
		.kind = s->kind,
		.name_len = cpu_to_le16(s->name_len),
		.flags = cpu_to_le32(s->flags),
		.ino = cpu_to_le64(s->ino),
		.old_ino = cpu_to_le64(s->old_ino),
		.new_ino = cpu_to_le64(s->new_ino),
		.parent = cpu_to_le64(s->parent),
		.session = cpu_to_le64(s->session),
		.open_id = cpu_to_le64(s->open_id),
		.shard = cpu_to_le32(s->shard),
		.mode = cpu_to_le32(s->mode),
		.uid = cpu_to_le32(s->uid),
		.gid = cpu_to_le32(s->gid),
		.nlink = cpu_to_le32(s->nlink),
		.layout = s->layout,
	};
	size_t pad = (s->name_len + 7) & ~7u;

	memcpy(p, &w, sizeof(w));
	memset(p + sizeof(w), 0, pad);
	if (s->name_len)
		memcpy(p + sizeof(w), s->name, s->name_len);
	return sizeof(w) + pad;
}

static void prepare_done(struct mds_call *call);

static void send_prepare(struct mds_member *mb)
{
	char bulk[WEFT_TXN_SUBS_MAX * (sizeof(struct weft_txn_sub) + 256)];
	struct mds_txn *t = mb->txn;
	const struct mds_creds *c = &t->op->creds;
	struct weft_txn_prepare_req req = {
		.id = txn_id(t),
		.creds = { .uid = cpu_to_le32(c->uid), .gid = cpu_to_le32(c->gid),
			   .caps = cpu_to_le32(c->caps), .ngroups = cpu_to_le32(c->ngroups) },
		.now = { .sec = cpu_to_le64(t->now.sec), .nsec = cpu_to_le32(t->now.nsec) },
	};
	u32 k, n = 0;
	size_t len = 0;

	for (k = 0; k < t->nsubs; k++) {
		if (t->subs[k].group != mb->group)
			continue;
		len += encode_sub(&t->subs[k], bulk + len);
		n++;
	}
	req.nsubs = cpu_to_le32(n);
	mb->call = (struct mds_call){ .group = mb->group, .opcode = WEFT_OP_TXN_PREPARE,
				      .body = &req, .body_len = sizeof(req), .tail = c->groups,
				      .tail_len = c->ngroups * sizeof(__le32), .bulk = bulk,
				      .bulk_len = len,
				      .bulk_max = n * sizeof(struct weft_attr_rep),
				      .timeout_ms = PREPARE_MS, .done = prepare_done, .arg = mb };
	t->pending++;
	t->m->cfg.net->call(t->m->cfg.net_arg, &mb->call);
}

/* --- abort */

static void abort_done(struct mds_call *call)
{
	struct mds_member *mb = call->arg;
	struct mds_txn *t = mb->txn;

	if (!--t->pending)
		txn_free(t);
}

/* The op goes on without the transaction. */
static void txn_abort(struct mds_txn *t)
{
	u32 k;

	t->m->stats.txn_aborted++;
	t->state = MDS_TXN_ABORTING;
	t->op->txn = NULL;
	t->op = NULL;
	mds_lock_drop(t->m, &t->holds);
	for (k = 0; k < t->nmembers; k++)
		send_txn(&t->members[k], WEFT_OP_TXN_ABORT, ABORT_MS, abort_done);
}

void mds_txn_abandon(struct mds_op *op)
{
	if (op->txn && op->txn->state == MDS_TXN_PREPARED)
		txn_abort(op->txn);
}

static bool worth_again(int err)
{
	return err == WEFT_S_BUSY || err == WEFT_S_STALE_MAP || err == -ETIMEDOUT ||
	       err == -ECANCELED;
}

static void op_again(struct mds_op *op)
{
	u32 ms = op->tries < 7 ? 4u << op->tries : PAUSE_MAX_MS;

	op->tries++;
	op->m->stats.txn_busy++;
	mds_retry(op, ms);
}

/* --- prepare */

static int take_results(struct mds_txn *t, struct mds_member *mb)
{
	const struct mds_call *call = &mb->call;
	size_t pos = 0;
	u32 k;

	for (k = 0; k < t->nsubs; k++) {
		struct mds_sub *s = &t->subs[k];

		if (s->group != mb->group)
			continue;
		if (pos + sizeof(s->result) > call->data_len)
			return -EPROTO;
		memcpy(&s->result, call->data + pos, sizeof(s->result));
		pos += sizeof(s->result);
		if (s->kind == WEFT_SUB_MAKE)
			s->ino = le64_to_cpu(s->result.attr.ino);
		/* What it made must be on the shard that was asked for. */
		if (s->kind == WEFT_SUB_MAKE && WEFT_INO_SHARD(s->ino) != s->shard)
			return -EPROTO;
	}
	return pos == call->data_len ? 0 : -EPROTO;
}

static void prepare_done(struct mds_call *call)
{
	struct mds_member *mb = call->arg;
	struct mds_txn *t = mb->txn;
	struct mds_op *op = t->op;
	int err = call->err;

	t->pending--;
	if (!err)
		err = take_results(t, mb);
	/* A real error counts more than one that another try may cure. */
	if (err && (!t->err || worth_again(t->err)))
		t->err = err;
	if (t->pending)
		return;
	if (!t->err) {
		WEFT_FAULT("mds.txn.prepared");
		t->state = MDS_TXN_PREPARED;
		mds_submit(op);
		return;
	}
	err = t->err;
	txn_abort(t);
	if (worth_again(err))
		op_again(op);
	else
		mds_finish(op, err);
}

static int add_member(struct mds_txn *t, u32 group)
{
	u32 k;

	if (group == t->m->group)
		return 0;
	for (k = 0; k < t->nmembers; k++)
		if (t->members[k].group == group)
			return 0;
	if (t->nmembers == MDS_TXN_GROUPS_MAX)
		return -EMLINK;
	t->members[t->nmembers].group = group;
	t->members[t->nmembers].txn = t;
	t->nmembers++;
	return 0;
}

static int txn_begin(struct mds_op *op, struct mds_sub *subs, u32 n)
{
	struct mds *m = op->m;
	struct mds_txn *t;
	u32 k;
	int ret;

	/* What fails here need not bother others; nothing of it is kept. */
	ret = run_local(op, subs, n);
	if (ret)
		return ret;
	t = txn_new(m, mds_txn_next(m));
	if (!t)
		return -ENOMEM;
	memcpy(t->subs, subs, n * sizeof(*subs));
	t->nsubs = n;
	t->now = op->now;
	for (k = 0; k < n && !ret; k++)
		ret = add_member(t, subs[k].group);
	if (!ret)
		ret = lock_local(op, t);
	if (ret) {
		txn_free(t);
		return ret;
	}
	m->stats.txn_started++;
	WEFT_FAULT("mds.txn.begin");
	t->op = op;
	op->txn = t;
	for (k = 0; k < t->nmembers; k++)
		send_prepare(&t->members[k]);
	return MDS_ASYNC;
}

/* --- decision */

static void commit_done(struct mds_call *call);

static void resend(void *arg)
{
	struct mds_txn *t = arg;
	u32 k;

	for (k = 0; k < t->nmembers; k++)
		if (!t->members[k].done)
			send_txn(&t->members[k], WEFT_OP_TXN_COMMIT, 0, commit_done);
}

static int forget_run(struct mds_op *op)
{
	struct mds_txn *t = op->priv;
	char key[MDS_KEY_MAX];

	return mds_tx_del(&op->tx, MDS_CF_TXN, key, mds_key_meta(key, 'D', t->seq));
}

static void forget(void *arg);

static void forgotten(struct mds_op *op)
{
	struct mds_txn *t = op->priv;

	if (op->status == -ESHUTDOWN)
		return;
	if (op->status)
		weft_timer_start(op->m->env, &t->timer, RESEND_NS);
	else
		txn_free(t);
}

static void forget(void *arg)
{
	struct mds_txn *t = arg;

	t->timer.cb = forget;
	t->timer.arg = t;
	if (mds_internal(t->m, forget_run, forgotten, t))
		weft_timer_start(t->m->env, &t->timer, RESEND_NS);
}

static void commit_done(struct mds_call *call)
{
	struct mds_member *mb = call->arg;
	struct mds_txn *t = mb->txn;
	bool all = true;
	u32 k;

	t->pending--;
	mb->done = !call->err;
	if (t->pending || t->m->failed)
		return;
	for (k = 0; k < t->nmembers; k++)
		all = all && t->members[k].done;
	if (all) {
		WEFT_FAULT("mds.txn.acked");
		forget(t);
		return;
	}
	t->timer.cb = resend;
	t->timer.arg = t;
	weft_timer_start(t->m->env, &t->timer, RESEND_NS);
}

static void txn_decided(struct mds_op *op)
{
	struct mds_txn *t = op->txn;

	WEFT_FAULT("mds.txn.decided");
	t->m->stats.txn_committed++;
	t->state = MDS_TXN_COMMITTED;
	t->op = NULL;
	op->txn = NULL;
	mds_lock_drop(t->m, &t->holds);
	mds_finish(op, 0);
	WEFT_FAULT("mds.txn.replied");
	resend(t);
}

static int put_decision(struct mds_op *op, const struct mds_txn *t)
{
	__le32 groups[MDS_TXN_GROUPS_MAX];
	char key[MDS_KEY_MAX];
	u32 k;

	for (k = 0; k < t->nmembers; k++)
		groups[k] = cpu_to_le32(t->members[k].group);
	return mds_tx_put(&op->tx, MDS_CF_TXN, key, mds_key_meta(key, 'D', t->seq), groups,
			  t->nmembers * sizeof(groups[0]));
}

static bool same_sub(const struct mds_sub *a, const struct mds_sub *b)
{
	return a->kind == b->kind && a->group == b->group && a->old_ino == b->old_ino &&
	       (a->kind == WEFT_SUB_MAKE ? a->shard == b->shard : a->ino == b->ino) &&
	       a->nlink == b->nlink && a->name_len == b->name_len;
}

static int txn_decide(struct mds_op *op, struct mds_sub *subs, u32 n)
{
	struct mds_txn *t = op->txn;
	u32 k;
	int ret;

	if (n != t->nsubs)
		return WEFT_S_BUSY;
	for (k = 0; k < n; k++) {
		if (!same_sub(&subs[k], &t->subs[k]))
			return WEFT_S_BUSY;
		if (subs[k].group != op->m->group) {
			subs[k].ino = t->subs[k].ino;
			subs[k].result = t->subs[k].result;
		}
	}
	op->now = t->now;
	ret = run_local(op, subs, n);
	if (!ret)
		ret = put_decision(op, t);
	if (!ret)
		op->after = txn_decided;
	return ret;
}

int mds_change(struct mds_op *op, struct mds_sub *subs, u32 n)
{
	bool remote = false;
	u32 k;

	for (k = 0; k < n; k++) {
		subs[k].session = op->session_id;
		subs[k].group = sub_group(op->m, &subs[k]);
		if (!subs[k].group)
			return -ESTALE;
		remote = remote || subs[k].group != op->m->group;
	}
	if (op->txn)
		return txn_decide(op, subs, n);
	return remote ? txn_begin(op, subs, n) : run_local(op, subs, n);
}

/* --- start and end */

static int next_incarnation(struct mds *m)
{
	struct weft_kv_batch *b;
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	size_t klen = mds_key_meta(key, 'T', 0);
	__le64 v = 0;
	int ret;

	ret = weft_kv_get(m->kv, MDS_CF_META, key, klen, &val);
	if (!ret) {
		if (val.len == sizeof(v))
			memcpy(&v, val.data, sizeof(v));
		else
			ret = -EUCLEAN;
		weft_kv_val_fini(&val);
	}
	if (ret && ret != -ENOENT)
		return ret;
	v = cpu_to_le64(le64_to_cpu(v) + 1);
	m->txns.next = le64_to_cpu(v) << 32 | 1;
	ret = weft_kv_batch_create(m->kv, &b);
	if (ret)
		return ret;
	weft_kv_put(b, MDS_CF_META, key, klen, &v, sizeof(v));
	ret = weft_kv_commit(b, true);
	weft_kv_batch_free(b);
	return ret;
}

int mds_txn_init(struct mds *m)
{
	int ret = mds_table_init(&m->txns.own);

	if (!ret)
		ret = mds_table_init(&m->txns.parts);
	return ret ? ret : next_incarnation(m);
}

static int decision_load(struct mds *m, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct mds_txn *t;
	__le32 group;
	size_t k;
	int ret = 0;

	if (klen != 9 || vlen % sizeof(group) || !vlen)
		return -EUCLEAN;
	t = txn_new(m, mds_be64(key + 1));
	if (!t)
		return -ENOMEM;
	t->state = MDS_TXN_COMMITTED;
	for (k = 0; k < vlen && !ret; k += sizeof(group)) {
		memcpy(&group, val + k, sizeof(group));
		ret = add_member(t, le32_to_cpu(group));
	}
	if (ret)
		return -EUCLEAN;
	weft_info("a committed transaction is finished", "seq=%#llx",
		  (unsigned long long)t->seq);
	t->timer.cb = resend;
	t->timer.arg = t;
	weft_timer_start(m->env, &t->timer, 0);
	return 0;
}

int mds_txn_recover(struct mds *m)
{
	struct weft_kv_iter *it;
	size_t klen, vlen;
	int ret;

	ret = weft_kv_iter_prefix(m->kv, NULL, MDS_CF_TXN, "D", 1, &it);
	if (ret)
		return ret;
	for (weft_kv_iter_first(it); !ret && weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &klen);
		const char *v = weft_kv_iter_val(it, &vlen);

		ret = decision_load(m, k, klen, v, vlen);
	}
	if (!ret)
		ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return ret ? ret : mds_part_recover(m);
}

void mds_txn_fini(struct mds *m)
{
	struct mds_link *l;

	mds_part_fini(m);
	while (m->txns.own.buckets && (l = mds_table_each(&m->txns.own, NULL)))
		txn_free((struct mds_txn *)l);
	mds_table_fini(&m->txns.own);
}
