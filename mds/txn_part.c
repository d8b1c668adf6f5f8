// SPDX-License-Identifier: Apache-2.0
/*
 * Transactions of other coordinators: this group takes part.
 *
 * Happy path: PREPARE runs the sub-operations, logs what they would write, locks all that it
 * touches, and answers with the results; COMMIT makes the writes and drops the record in one batch.
 *
 *	state			record	locks	ends by
 *	unknown			no	no	PREPARE
 *	prepared		yes	yes	COMMIT or ABORT, or the coordinator's answer to us
 *	deciding (in a batch)	yes	yes	the commit of that batch
 *
 * A lock of somebody else is waited for, but for a moment only; then, and when the SOLE lease of
 * another client must be taken back first, the answer is WEFT_S_BUSY. When the coordinator is
 * silent, and after a restart, it is asked (TXN_STATUS); what it does not know has been aborted.
 *
 * Fault points: mds.part.prepare, mds.part.prepared, mds.part.decide, mds.part.decided.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "mds/mds.h"

#define ASK_AFTER_NS (2 * WEFT_NS_PER_S)
#define WAIT_MS 100u /* about, for a lock */

static void part_ask(void *arg);

static u64 part_hash(u32 group, u64 seq)
{
	return mds_mix(seq ^ mds_mix(group));
}

static struct mds_part *part_find(struct mds *m, u32 group, u64 seq)
{
	struct mds_link *l;

	for (l = mds_table_find(&m->txns.parts, part_hash(group, seq)); l; l = mds_table_more(l)) {
		struct mds_part *p = (struct mds_part *)l;

		if (p->group == group && p->seq == seq)
			return p;
	}
	return NULL;
}

/*
 * A PREPARE that was sent again on another connection may be read from the old one after the
 * decision: run once more it could be committed once more. (The old connections end with us.)
 */
static bool has_ended(const struct mds *m, u32 group, u64 seq)
{
	u32 k;

	for (k = 0; k < MDS_ENDED; k++)
		if (m->txns.ended[k].seq == seq && m->txns.ended[k].group == group)
			return true;
	return false;
}

static void ended(struct mds *m, u32 group, u64 seq)
{
	u32 k = m->txns.nended++ % MDS_ENDED;

	m->txns.ended[k].group = group;
	m->txns.ended[k].seq = seq;
}

static struct mds_part *part_new(struct mds *m, u32 group, u64 seq)
{
	struct mds_part *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->m = m;
	p->group = group;
	p->seq = seq;
	weft_timer_init(&p->timer, part_ask, p);
	mds_table_add(&m->txns.parts, &p->link, part_hash(group, seq));
	return p;
}

static void part_free(struct mds_part *p)
{
	mds_table_del(&p->m->txns.parts, &p->link);
	weft_timer_stop(p->m->env, &p->timer);
	mds_lock_drop(p->m, &p->holds);
	mds_open_forget(&p->opens);
	free(p->log);
	p->log = NULL;
	p->gone = true;
	if (!p->asking)
		free(p);
}

/* Lock all that the writes in @tx touch. Return: 0, MDS_PARKED or -ENOMEM. */
static int part_lock(struct mds_part *p, struct mds_tx *tx)
{
	const struct mds_node *n;
	const struct mds_write *w;
	struct mds_lock_key key;
	int ret = 0;

	for (n = tx->nodes; n && !ret; n = n->next) {
		key = mds_lock_inode(n->i.ino);
		tx->blocked = mds_lock_blocks(p->m, key, p, true);
		if (tx->blocked)
			return MDS_PARKED;
		ret = mds_lock_take(p->m, key, p, MDS_LOCK_EXCL, &p->holds);
	}
	for (w = tx->writes; w && !ret; w = w->next) {
		if (w->cf != MDS_CF_DENTRY || w->klen < 16)
			continue;
		key = (struct mds_lock_key){ .ino = mds_be64(w->buf),
					     .hash = mds_be64(w->buf + 8) };
		tx->blocked = mds_lock_blocks(p->m, key, p, true);
		if (tx->blocked)
			return MDS_PARKED;
		ret = mds_lock_take(p->m, key, p, MDS_LOCK_EXCL, &p->holds);
	}
	return ret;
}

static int take_sub(struct mds *m, struct weft_cursor *c, struct mds_sub *s)
{
	struct weft_txn_sub w;
	u64 ino;

	if (!weft_cur_copy(c, &w, sizeof(w)))
		return -EBADMSG;
	*s = (struct mds_sub){
		.kind = w.kind,
		.flags = le32_to_cpu(w.flags),
		.ino = le64_to_cpu(w.ino),
		.old_ino = le64_to_cpu(w.old_ino),
		.new_ino = le64_to_cpu(w.new_ino),
		.parent = le64_to_cpu(w.parent),
		.session = le64_to_cpu(w.session),
		.open_id = le64_to_cpu(w.open_id),
		.shard = le32_to_cpu(w.shard),
		.mode = le32_to_cpu(w.mode),
		.uid = le32_to_cpu(w.uid),
		.gid = le32_to_cpu(w.gid),
		.nlink = le32_to_cpu(w.nlink),
		.layout = w.layout,
		.name_len = le16_to_cpu(w.name_len),
	};
	s->name = weft_cur_take(c, (s->name_len + 7) & ~7u);
	if (!s->name || (s->flags & ~WEFT_SUB_KNOWN) || s->name_len > WEFT_NAME_MAX ||
	    (s->kind == WEFT_SUB_ENTRY) != !!s->name_len || s->nlink < -1 || s->nlink > 1)
		return -EBADMSG;
	if (s->kind == WEFT_SUB_MAKE && (!mds_is_dir(s->mode) || s->shard > UINT16_MAX))
		return -EBADMSG;
	ino = s->kind == WEFT_SUB_MAKE ? WEFT_INO_MAKE((u64)s->shard, 0) : s->ino;
	return mds_is_local(m, ino) ? 0 : WEFT_S_STALE_MAP;
}

static int take_subs(struct mds_op *op, struct mds_sub *subs, u32 n)
{
	struct weft_cursor c;
	u32 k;
	int ret = 0;

	weft_cur_init(&c, op->bulk, op->bulk_len);
	for (k = 0; k < n && !ret; k++)
		ret = take_sub(op->m, &c, &subs[k]);
	if (!ret && !weft_cur_done(&c))
		ret = -EBADMSG;
	return ret;
}

static int reply_results(struct mds_op *op, const struct mds_part *p)
{
	size_t len;
	const char *results = mds_log_results(p->log, p->log_len, &len);

	if (!results)
		return -EUCLEAN;
	free(op->data);
	op->data_len = 0;
	op->data = malloc(len);
	if (!op->data)
		return -ENOMEM;
	memcpy(op->data, results, len);
	op->data_len = len;
	op->rep.prepare.nresults = cpu_to_le32(len / sizeof(struct weft_attr_rep));
	op->rep.prepare.failed = 0;
	op->rep_len = sizeof(op->rep.prepare);
	return 0;
}

static int run_subs(struct mds_op *op, struct mds_sub *subs, u32 n)
{
	const struct weft_txn_prepare_req *req = op->body;
	struct mds_time now = { .sec = le64_to_cpu(req->now.sec),
				.nsec = le32_to_cpu(req->now.nsec) };
	u32 k;
	int ret = 0;

	op->tx.prepare = true;
	for (k = 0; k < n && !ret; k++)
		ret = mds_sub_run(&op->tx, &op->creds, now, &subs[k]);
	return ret;
}

/* op->tries of a PREPARE that met a lock */
enum { WAITS = 1, WAITED = 2 };

static void waited(void *arg)
{
	struct mds_op *op = arg;

	op->tries = WAITED;
	mds_lock_drop(op->m, &op->holds); /* it waits at one of these, or is in the queue */
}

/*
 * The lock is wanted from now on. The time that it is waited for is a matter of chance: of two
 * transactions that wait for each other one gives up first, and lets the other go on.
 */
static int wait_lock(struct mds_op *op)
{
	u32 jitter;

	if (op->tries == WAITED || mds_lock_want(op->m, op->tx.blocked, &op->holds))
		return WEFT_S_BUSY;
	if (op->tries == WAITS)
		return MDS_PARKED;
	op->tries = WAITS;
	op->timer.cb = waited;
	op->timer.arg = op;
	weft_env_random(op->m->env, &jitter, sizeof(jitter));
	weft_timer_start(op->m->env, &op->timer,
			 (WAIT_MS / 2 + jitter % WAIT_MS) * WEFT_NS_PER_MS);
	return MDS_PARKED;
}

/* Run, log, lock. What the subs wrote goes into the record, not into the batch. */
static int part_prepare(struct mds_op *op, struct mds_part *p, struct mds_sub *subs, u32 n)
{
	char key[MDS_KEY_MAX];
	int ret;

	ret = run_subs(op, subs, n);
	if (!ret)
		ret = part_lock(p, &op->tx);
	if (!ret)
		ret = mds_log_encode(&op->tx, subs, n, &p->log, &p->log_len);
	p->opens = op->tx.opens;
	op->tx.opens = NULL;
	mds_tx_drop(&op->tx);
	if (!ret)
		ret = mds_tx_put(&op->tx, MDS_CF_TXN, key, mds_key_prepared(key, p->group, p->seq),
				 p->log, p->log_len);
	return ret ? ret : reply_results(op, p);
}

static void prepared(struct mds_op *op)
{
	WEFT_FAULT("mds.part.prepared");
	op->m->stats.txn_prepared++;
	mds_finish(op, 0);
}

int mds_run_prepare(struct mds_op *op)
{
	const struct weft_txn_prepare_req *req = op->body;
	u32 group = le32_to_cpu(req->id.group), n = le32_to_cpu(req->nsubs);
	u32 ngroups = le32_to_cpu(req->creds.ngroups);
	u64 seq = le64_to_cpu(req->id.seq);
	struct mds_sub subs[WEFT_TXN_SUBS_MAX];
	struct mds_part *p = part_find(op->m, group, seq);
	int ret;

	if (!group || group == op->m->group || !n || n > WEFT_TXN_SUBS_MAX ||
	    ngroups > WEFT_GROUPS_MAX || op->tail_len != ngroups * sizeof(__le32))
		return -EBADMSG;
	WEFT_FAULT("mds.part.prepare");
	if (p)
		return reply_results(op, p);
	if (has_ended(op->m, group, seq))
		return WEFT_S_BUSY;
	op->creds = (struct mds_creds){ .uid = le32_to_cpu(req->creds.uid),
					.gid = le32_to_cpu(req->creds.gid),
					.caps = le32_to_cpu(req->creds.caps),
					.ngroups = ngroups, .groups = op->tail };
	ret = take_subs(op, subs, n);
	if (ret)
		return ret;
	if (mds_lease_foreign(op->m, subs[0].session))
		return WEFT_S_BUSY;
	p = part_new(op->m, group, seq);
	if (!p)
		return -ENOMEM;
	ret = part_prepare(op, p, subs, n);
	if (ret) {
		part_free(p);
		return ret == MDS_PARKED ? wait_lock(op) : ret;
	}
	weft_timer_start(op->m->env, &p->timer, ASK_AFTER_NS);
	op->after = prepared;
	return 0;
}

/* --- the decision */

/* Inodes that lost their last name are kept by PREPARE; now they may go. */
static void check_orphans(struct mds *m, const char *log, size_t len)
{
	struct mds_node *n;
	struct mds_tx tx;

	mds_tx_init(&tx, m, NULL);
	if (!mds_log_replay(&tx, log, len))
		for (n = tx.nodes; n; n = n->next)
			if (!n->dead && !n->i.nlink)
				mds_orphan_check(m, n->i.ino);
	mds_tx_drop(&tx);
}

static int part_decide(struct mds_op *op, struct mds_part *p, bool commit)
{
	char key[MDS_KEY_MAX];
	int ret;

	/* Decided by an op before this one in the same batch: its end is ours. */
	if (p->deciding)
		return 0;
	WEFT_FAULT("mds.part.decide");
	op->tx.owner = p;
	ret = commit ? mds_log_replay(&op->tx, p->log, p->log_len) : 0;
	if (!ret)
		ret = mds_tx_del(&op->tx, MDS_CF_TXN, key,
				 mds_key_prepared(key, p->group, p->seq));
	if (!ret)
		p->deciding = true;
	return ret;
}

static void part_end(struct mds *m, u32 group, u64 seq, bool commit)
{
	struct mds_part *p = part_find(m, group, seq);
	size_t len;
	char *log;

	WEFT_FAULT("mds.part.decided");
	if (!p)
		return;
	ended(m, group, seq);
	log = p->log;
	len = p->log_len;
	p->log = NULL;
	if (commit)
		mds_open_apply(&p->opens);
	part_free(p);
	if (commit)
		check_orphans(m, log, len);
	free(log);
}

static void decided(struct mds_op *op)
{
	const struct weft_txn_req *req = op->body;

	part_end(op->m, le32_to_cpu(req->id.group), le64_to_cpu(req->id.seq),
		 op->opcode == WEFT_OP_TXN_COMMIT);
	mds_finish(op, 0);
}

int mds_run_decide(struct mds_op *op)
{
	const struct weft_txn_req *req = op->body;
	struct mds_part *p;

	p = part_find(op->m, le32_to_cpu(req->id.group), le64_to_cpu(req->id.seq));
	op->rep.txn = (struct weft_txn_rep){ 0 };
	op->rep_len = sizeof(op->rep.txn);
	if (!p) { /* done before, or an ABORT that came before its PREPARE */
		if (op->opcode == WEFT_OP_TXN_ABORT)
			ended(op->m, le32_to_cpu(req->id.group), le64_to_cpu(req->id.seq));
		return 0;
	}
	op->after = decided;
	return part_decide(op, p, op->opcode == WEFT_OP_TXN_COMMIT);
}

/* --- asking the coordinator */

struct answer {
	struct mds *m;
	u32 group;
	u64 seq;
	bool commit;
};

static int answer_run(struct mds_op *op)
{
	struct answer *a = op->priv;
	struct mds_part *p = part_find(op->m, a->group, a->seq);

	return p ? part_decide(op, p, a->commit) : 0;
}

static void answer_after(struct mds_op *op)
{
	struct answer *a = op->priv;
	struct mds_part *p = part_find(op->m, a->group, a->seq);

	if (!op->status)
		part_end(op->m, a->group, a->seq, a->commit);
	else if (p && op->status != -ESHUTDOWN)
		weft_timer_start(op->m->env, &p->timer, ASK_AFTER_NS);
	free(a);
}

static void answered(struct mds_call *call)
{
	struct mds_part *p = call->arg;
	const struct weft_txn_rep *rep = call->rep;
	u32 state = call->err ? WEFT_TXN_RUNNING : le32_to_cpu(rep->state);
	struct answer *a;

	p->asking = false;
	if (p->gone) {
		free(p);
		return;
	}
	if (p->m->failed)
		return;
	a = state == WEFT_TXN_RUNNING ? NULL : malloc(sizeof(*a));
	if (a) {
		*a = (struct answer){ .m = p->m, .group = p->group, .seq = p->seq,
				      .commit = state == WEFT_TXN_COMMITTED };
		if (!mds_internal(p->m, answer_run, answer_after, a))
			return;
		free(a);
	}
	weft_timer_start(p->m->env, &p->timer, ASK_AFTER_NS);
}

static void part_ask(void *arg)
{
	struct mds_part *p = arg;
	struct mds *m = p->m;
	struct weft_txn_req req = { .id = { .group = cpu_to_le32(p->group),
					    .seq = cpu_to_le64(p->seq) } };

	if (p->deciding || p->asking)
		return;
	p->asking = true;
	p->call = (struct mds_call){ .group = p->group, .opcode = WEFT_OP_TXN_STATUS, .body = &req,
				     .body_len = sizeof(req), .done = answered, .arg = p };
	m->cfg.net->call(m->cfg.net_arg, &p->call);
}

int mds_run_txn_status(struct mds_op *op)
{
	const struct weft_txn_req *req = op->body;
	enum weft_txn_state state = WEFT_TXN_UNKNOWN;

	if (le32_to_cpu(req->id.group) == op->m->group)
		state = mds_txn_state(op->m, le64_to_cpu(req->id.seq));
	op->rep.txn = (struct weft_txn_rep){ .state = cpu_to_le32(state) };
	op->rep_len = sizeof(op->rep.txn);
	return 0;
}

static int part_load(struct mds *m, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct mds_part *p;
	struct mds_tx tx;
	int ret;

	if (klen != 13)
		return -EUCLEAN;
	p = part_new(m, mds_be32(key + 1), mds_be64(key + 5));
	if (!p)
		return -ENOMEM;
	p->log = malloc(vlen);
	if (!p->log)
		return -ENOMEM;
	memcpy(p->log, val, vlen);
	p->log_len = vlen;
	mds_tx_init(&tx, m, p);
	ret = mds_log_replay(&tx, p->log, p->log_len);
	if (!ret)
		ret = part_lock(p, &tx);
	mds_tx_drop(&tx);
	if (ret)
		return ret == MDS_PARKED ? -EUCLEAN : ret;
	weft_info("a prepared transaction waits for its coordinator", "group=%u seq=%#llx",
		  p->group, (unsigned long long)p->seq);
	weft_timer_start(m->env, &p->timer, 0);
	return 0;
}

int mds_part_recover(struct mds *m)
{
	struct weft_kv_iter *it;
	size_t klen, vlen;
	int ret;

	ret = weft_kv_iter_prefix(m->kv, NULL, MDS_CF_TXN, "P", 1, &it);
	if (ret)
		return ret;
	for (weft_kv_iter_first(it); !ret && weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &klen);
		const char *v = weft_kv_iter_val(it, &vlen);

		ret = part_load(m, k, klen, v, vlen);
	}
	if (!ret)
		ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return ret;
}

void mds_part_fini(struct mds *m)
{
	struct mds_link *l;

	while (m->txns.parts.buckets && (l = mds_table_each(&m->txns.parts, NULL)))
		part_free((struct mds_part *)l);
	mds_table_fini(&m->txns.parts);
}
