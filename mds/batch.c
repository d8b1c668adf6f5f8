// SPDX-License-Identifier: Apache-2.0
/*
 * The queue of changing ops, the batch that they become, and its commit.
 *
 * Happy path: ops that arrive in one turn of the loop, or while a commit is under way, wait in the
 * queue; where several clients are at work it waits a little for the others (gather.h). A batch
 * then runs them one after another; each leaves its changes in the batch (mds/tx.c).
 * Inodes that were changed are written once per batch, however many ops touched them: a directory
 * in which 500 files are made is one record. The sealed batch is committed with one sync on a
 * worker; meanwhile ops that only read are served from the store, in its old state. Then all
 * ops of the batch are answered, also the failed ones: their failure may have been caused by
 * changes that were not durable before.
 *
 * Failures: an op that fails leaves nothing in the batch. A commit that fails has an unknown
 * outcome: nobody is answered and the target gives up (mds_fail()); after a restart the slots tell
 * the truth.
 *
 * Protection: all on the owner's loop. While the state is MDS_COMMIT the batch and its nodes are
 * not changed; the worker sees only the store's batch.
 */
#include <stdlib.h>
#include <string.h>

#include "mds/mds.h"
#include "mds/warm.h"

void mds_oplist_init(struct mds_oplist *l)
{
	l->head = NULL;
	l->tail = &l->head;
	l->count = 0;
	l->requests = 0;
}

static bool is_request(const struct mds_op *op)
{
	return op->session || op->server;
}

void mds_oplist_add(struct mds_oplist *l, struct mds_op *op)
{
	op->next = NULL;
	*l->tail = op;
	l->tail = &op->next;
	l->count++;
	l->requests += is_request(op);
}

struct mds_op *mds_oplist_pop(struct mds_oplist *l)
{
	struct mds_op *op = l->head;

	if (op) {
		l->head = op->next;
		if (!l->head)
			l->tail = &l->head;
		l->count--;
		l->requests -= is_request(op);
		op->next = NULL;
	}
	return op;
}

bool mds_inflight(struct mds *m, u64 ino)
{
	struct mds_link *l;

	if (m->batch.state != MDS_COMMIT)
		return false;
	for (l = mds_table_find(&m->batch.nodes, mds_mix(ino)); l; l = mds_table_more(l))
		if (((struct mds_node *)l)->i.ino == ino)
			return true;
	return false;
}

static void batch_run(void *arg);

/* Others are likely to come soon: the queue waits for them. */
static bool wait_for_more(struct mds *m)
{
	struct mds_batch *b = &m->batch;
	u64 now = weft_env_now(m->env), ns;

	if (!b->waiting)
		b->gather.begun_ns = now;
	ns = mds_gather_wait(&b->gather, b->queue.requests, now);
	if (ns && !b->waiting) {
		b->waiting = true;
		m->stats.batch_waits++;
		weft_timer_start(m->env, &b->timer, ns);
	}
	return ns != 0;
}

static void batch_kick(struct mds *m)
{
	struct mds_batch *b = &m->batch;

	if (b->state != MDS_IDLE || b->posted || !b->queue.count || m->failed)
		return;
	if (!m->draining && wait_for_more(m))
		return;
	if (b->waiting) {
		b->waiting = false;
		weft_timer_stop(m->env, &b->timer);
	}
	b->posted = true;
	weft_env_post(m->env, &b->post);
}

static void waited_enough(void *arg)
{
	struct mds *m = arg;

	m->batch.waiting = false;
	m->batch.posted = true;
	batch_run(m);
}

static void park(struct mds_op *op)
{
	struct mds_warm *w = op->tx.warm;

	op->m->stats.parked++;
	op->tx.warm = NULL;
	mds_tx_drop(&op->tx);
	if (w)
		mds_warm_start(w, op);
	else
		mds_lock_wait(op->tx.blocked, op);
}

static void run_read(struct mds_op *op)
{
	struct mds *m = op->m;
	int ret;

	m->stats.ops_read++;
	mds_tx_init(&op->tx, m, op);
	op->tx.may_wait = mds_warm_may(op);
	ret = op->desc->run(op);
	if (ret == MDS_PARKED) {
		park(op);
	} else if (ret == MDS_DEFER && m->batch.state == MDS_COMMIT) {
		m->stats.deferred++;
		mds_oplist_add(&m->batch.deferred, op);
	} else if (ret != MDS_ASYNC) {
		mds_finish(op, ret == MDS_DEFER ? -EUCLEAN : ret);
	}
}

void mds_submit(struct mds_op *op)
{
	struct mds_batch *b = &op->m->batch;

	if (!(op->desc->flags & MDS_OPF_READ)) {
		mds_oplist_add(&b->queue, op);
		batch_kick(op->m);
	} else if (b->state == MDS_BUILD) {
		mds_oplist_add(&b->deferred, op);
	} else {
		run_read(op);
	}
}

/* The same request came again while it ran: it gets a copy of the answer. */
static void finish_dups(struct mds_op *op)
{
	struct mds_op *dup;

	while ((dup = op->dups)) {
		op->dups = dup->dups;
		dup->dups = NULL;
		dup->rep = op->rep;
		dup->rep_len = op->rep_len;
		if (op->data_len && op->data_len <= dup->bulk_max) {
			dup->data = malloc(op->data_len);
			if (dup->data) {
				memcpy(dup->data, op->data, op->data_len);
				dup->data_len = op->data_len;
			}
		}
		mds_finish(dup, op->status);
	}
}

void mds_finish(struct mds_op *op, int status)
{
	op->status = status;
	finish_dups(op);
	mds_tx_drop(&op->tx);
	mds_slot_end(op);
	mds_lock_drop(op->m, &op->holds);
	weft_timer_stop(op->m->env, &op->timer);
	*op->all_prev = op->all_next;
	if (op->all_next)
		op->all_next->all_prev = op->all_prev;
	op->m->ops--;
	op->reply(op);
}

/*
 * Its session was closed while it waited: its slot and open files are gone, so it must not change
 * anything any more. One whose objects are cut already has to end.
 */
static bool session_gone(const struct mds_op *op)
{
	return op->session && op->session->gone && !op->cut_done &&
	       !(op->desc->flags & MDS_OPF_ANY);
}

static void run_write(struct mds_op *op)
{
	struct mds *m = op->m;
	int ret;

	m->stats.ops_write++;
	op->now = mds_time(m);
	op->after = NULL;
	op->interim = false;
	mds_tx_init(&op->tx, m, op);
	op->tx.may_wait = mds_warm_may(op);
	ret = session_gone(op) ? WEFT_S_BAD_SESSION : op->desc->run(op);
	if (!ret && !op->interim && (op->tx.nodes || op->tx.writes))
		ret = mds_slot_store(op);
	if (ret == MDS_PARKED) {
		park(op);
		return;
	}
	if (ret == MDS_ASYNC) {
		mds_tx_drop(&op->tx);
		return;
	}
	/* Its objects are cut: it must not end before the size says so. */
	if (ret && op->cut_done) {
		mds_tx_drop(&op->tx);
		mds_retry(op, 50);
		return;
	}
	op->status = ret;
	if (!ret) {
		mds_tx_apply(&op->tx);
	} else {
		mds_tx_drop(&op->tx);
		op->after = NULL;
		mds_txn_abandon(op);
	}
	mds_oplist_add(&m->batch.ops, op);
}

/* The batch is durable (or was empty): tell everybody, then go on. */
static void batch_complete(struct mds *m)
{
	struct mds_batch *b = &m->batch;
	struct mds_oplist ops = b->ops, deferred = b->deferred;
	struct mds_link *l;
	struct mds_op *op;

	while ((l = mds_table_each(&b->nodes, NULL))) {
		struct mds_node *n = (struct mds_node *)l;

		if (n->dead)
			mds_cache_drop(&m->cache, n->i.ino);
		else
			mds_cache_put(&m->cache, &n->i);
		mds_table_del(&b->nodes, l);
		free(n);
	}
	weft_kv_batch_clear(b->kvb);
	b->bytes = 0;
	b->state = MDS_IDLE;
	mds_oplist_init(&b->ops);
	mds_oplist_init(&b->deferred);
	while (ops.count && (op = mds_oplist_pop(&ops))) {
		void (*after)(struct mds_op *op) = op->after;

		op->after = NULL;
		if (after)
			after(op);
		else
			mds_finish(op, op->status);
	}
	while (deferred.count && (op = mds_oplist_pop(&deferred)))
		mds_submit(op);
	mds_purge_kick(m);
	batch_kick(m);
}

static void commit_work(void *arg)
{
	struct mds *m = arg;

	m->batch.err = weft_kv_commit(m->batch.kvb, true);
}

static void commit_done(void *arg)
{
	struct mds *m = arg;

	if (!m->batch.err) {
		mds_gather_done(&m->batch.gather, weft_env_now(m->env) - m->batch.commit_ns,
				m->batch.ops.requests, m->batch.queue.requests);
		batch_complete(m);
		return;
	}
	m->batch.state = MDS_IDLE;
	mds_fail(m, m->batch.err, "a commit failed; its outcome is not known");
}

/* Each inode that the ops changed becomes one write. */
static void batch_seal(struct mds *m)
{
	struct mds_batch *b = &m->batch;
	struct mds_inode_rec rec;
	char key[MDS_KEY_MAX];
	struct mds_link *l;

	for (l = mds_table_each(&b->nodes, NULL); l; l = mds_table_each(&b->nodes, l)) {
		struct mds_node *n = (struct mds_node *)l;
		size_t klen = mds_key_ino(key, n->i.ino);

		if (n->dead) {
			weft_kv_delete(b->kvb, MDS_CF_INODE, key, klen);
		} else {
			mds_inode_encode(&n->i, &rec);
			weft_kv_put(b->kvb, MDS_CF_INODE, key, klen, &rec, sizeof(rec));
		}
	}
	mds_counters_write(m);
}

static void batch_run(void *arg)
{
	struct mds *m = arg;
	struct mds_batch *b = &m->batch;
	u32 n = 0;

	b->posted = false;
	if (b->state != MDS_IDLE || !b->queue.count || m->failed)
		return;
	b->state = MDS_BUILD;
	while (b->queue.count && n++ < MDS_BATCH_OPS && b->bytes < MDS_BATCH_BYTES)
		run_write(mds_oplist_pop(&b->queue));
	batch_seal(m);
	if (!weft_kv_batch_count(b->kvb)) {
		batch_complete(m);
		return;
	}
	m->stats.batches++;
	m->stats.batch_ops += b->ops.count;
	if (b->ops.count > m->stats.batch_max)
		m->stats.batch_max = b->ops.count;
	b->state = MDS_COMMIT;
	b->commit_ns = weft_env_now(m->env);
	weft_env_work(m->env, &b->work);
}

int mds_batch_init(struct mds *m)
{
	struct mds_batch *b = &m->batch;
	int ret;

	mds_oplist_init(&b->queue);
	mds_oplist_init(&b->ops);
	mds_oplist_init(&b->deferred);
	b->post.cb = batch_run;
	b->post.arg = m;
	weft_timer_init(&b->timer, waited_enough, m);
	b->work.fn = commit_work;
	b->work.done = commit_done;
	b->work.arg = m;
	ret = mds_table_init(&b->nodes);
	if (!ret)
		ret = weft_kv_batch_create(m->kv, &b->kvb);
	return ret;
}

void mds_batch_fini(struct mds *m)
{
	struct mds_batch *b = &m->batch;
	struct mds_link *l;

	if (!b->nodes.buckets)
		return;
	weft_timer_stop(m->env, &b->timer);
	while ((l = mds_table_each(&b->nodes, NULL))) {
		mds_table_del(&b->nodes, l);
		free(l);
	}
	mds_table_fini(&b->nodes);
	weft_kv_batch_free(b->kvb);
}
