// SPDX-License-Identifier: Apache-2.0
/*
 * The cluster's rename lock, kept by the group of shard 0: who moves a directory to another parent
 * holds it, so that two moves cannot make a loop together.
 *
 * Happy path: RENAME_LOCK stores the holder (a transaction number of a group), RENAME_UNLOCK frees
 * it; others wait in a queue. The holder survives a restart of either side: when somebody waits and
 * the holder is silent, its group is asked what became of that number (TXN_STATUS); a number that
 * is not running any more frees the lock.
 *
 * Fault points: mds.rename.granted.
 */
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "mds/mds.h"

#define ASK_NS (500 * WEFT_NS_PER_MS)

static int store_holder(struct mds_op *op, u32 group, u64 seq)
{
	struct weft_txn_id id = { .group = cpu_to_le32(group), .seq = cpu_to_le64(seq) };
	char key[MDS_KEY_MAX];
	size_t klen = mds_key_meta(key, 'L', 0);

	return group ? mds_tx_put(&op->tx, MDS_CF_META, key, klen, &id, sizeof(id)) :
		       mds_tx_del(&op->tx, MDS_CF_META, key, klen);
}

static void granted(struct mds_op *op)
{
	WEFT_FAULT("mds.rename.granted");
	mds_finish(op, 0);
}

int mds_run_rename_lock(struct mds_op *op)
{
	const struct weft_rename_lock_req *req = op->body;
	struct mds_rename_lock *rl = &op->m->rename_lock;
	u32 group = le32_to_cpu(req->id.group);
	u64 seq = le64_to_cpu(req->id.seq);
	int ret;

	if (!group)
		return -EINVAL;
	if (rl->group == group && rl->seq == seq)
		return 0;
	if (rl->group) {
		mds_oplist_add(&rl->waiting, op);
		return MDS_ASYNC;
	}
	ret = store_holder(op, group, seq);
	if (ret)
		return ret;
	rl->group = group;
	rl->seq = seq;
	weft_timer_start(op->m->env, &rl->timer, ASK_NS);
	op->after = granted;
	return 0;
}

/* The lock is free; the next of those who wait gets it. */
static int release(struct mds_op *op, u32 group, u64 seq)
{
	struct mds_rename_lock *rl = &op->m->rename_lock;
	struct mds_op *next;
	int ret;

	if (rl->group != group || rl->seq != seq)
		return 0;
	ret = store_holder(op, 0, 0);
	if (ret)
		return ret;
	rl->group = 0;
	weft_timer_stop(op->m->env, &rl->timer);
	while ((next = mds_oplist_pop(&rl->waiting)))
		mds_submit(next);
	return 0;
}

int mds_run_rename_unlock(struct mds_op *op)
{
	const struct weft_rename_lock_req *req = op->body;

	return release(op, le32_to_cpu(req->id.group), le64_to_cpu(req->id.seq));
}

static int free_run(struct mds_op *op)
{
	struct mds_rename_lock *rl = op->priv;

	weft_info("the rename lock's holder is gone", "group=%u seq=%#llx", rl->asked_group,
		  (unsigned long long)rl->asked_seq);
	return release(op, rl->asked_group, rl->asked_seq);
}

/* Only now the next holder may be asked about: free_run() goes by asked_group and asked_seq. */
static void freed(struct mds_op *op)
{
	struct mds_rename_lock *rl = op->priv;

	rl->asking = false;
	if (rl->group && op->status != -ESHUTDOWN)
		weft_timer_start(op->m->env, &rl->timer, ASK_NS);
}

static void ask_done(struct mds_call *call)
{
	struct mds *m = call->arg;
	struct mds_rename_lock *rl = &m->rename_lock;
	const struct weft_txn_rep *rep = call->rep;

	if (m->failed)
		return;
	if (!call->err && le32_to_cpu(rep->state) != WEFT_TXN_RUNNING &&
	    rl->asked_seq == rl->seq && rl->asked_group == rl->group &&
	    !mds_internal(m, free_run, freed, rl))
		return;
	rl->asking = false;
	if (rl->group)
		weft_timer_start(m->env, &rl->timer, ASK_NS);
}

static void ask(void *arg)
{
	struct mds *m = arg;
	struct mds_rename_lock *rl = &m->rename_lock;
	struct weft_txn_req req = { .id = { .group = cpu_to_le32(rl->group),
					    .seq = cpu_to_le64(rl->seq) } };

	if (rl->asking || !rl->group)
		return;
	if (!m->serving) {
		weft_timer_start(m->env, &rl->timer, ASK_NS);
		return;
	}
	rl->asking = true;
	rl->asked_group = rl->group;
	rl->asked_seq = rl->seq;
	rl->call = (struct mds_call){ .group = rl->group, .opcode = WEFT_OP_TXN_STATUS,
				      .body = &req, .body_len = sizeof(req), .done = ask_done,
				      .arg = m };
	m->cfg.net->call(m->cfg.net_arg, &rl->call);
}

void mds_rename_lock_init(struct mds *m)
{
	mds_oplist_init(&m->rename_lock.waiting);
	weft_timer_init(&m->rename_lock.timer, ask, m);
}

int mds_rename_lock_load(struct mds *m)
{
	struct weft_txn_id id;
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	int ret;

	ret = weft_kv_get(m->kv, MDS_CF_META, key, mds_key_meta(key, 'L', 0), &val);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = val.len == sizeof(id) ? 0 : -EUCLEAN;
	if (!ret) {
		memcpy(&id, val.data, sizeof(id));
		m->rename_lock.group = le32_to_cpu(id.group);
		m->rename_lock.seq = le64_to_cpu(id.seq);
		weft_timer_start(m->env, &m->rename_lock.timer, ASK_NS);
	}
	weft_kv_val_fini(&val);
	return ret;
}

void mds_rename_lock_fini(struct mds *m)
{
	weft_timer_stop(m->env, &m->rename_lock.timer);
}
