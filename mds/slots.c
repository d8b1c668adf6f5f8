// SPDX-License-Identifier: Apache-2.0
/*
 * Request slots: each change is applied once, however often its request arrives.
 *
 * Happy path: a request carries a new sequence number; its reply is stored in the batch that holds
 * its effect. When the connection or the server dies before the reply arrives, the same number
 * comes again: the stored reply is the answer. While the first one still runs, the second joins
 * it.
 *
 * A truncation that was under way at a restart is finished by the server itself, with the reply
 * (cut.c); its request waits for that.
 *
 * A request that failed has changed nothing and stores nothing; when it comes again, it runs again.
 * An older number is a late duplicate and refused. The sequence numbers in memory are loaded with
 * the session; the replies stay in the store.
 */
#include <stdlib.h>
#include <string.h>

#include "mds/mds.h"

int mds_slots_load(struct mds_session *s)
{
	struct weft_kv_iter *it;
	struct mds_slot_rec rec;
	char key[MDS_KEY_MAX];
	size_t len;
	int ret;

	mds_put_be64(key, s->id);
	ret = weft_kv_iter_prefix(s->m->kv, NULL, MDS_CF_SLOTS, key, 8, &it);
	if (ret)
		return ret;
	for (weft_kv_iter_first(it); weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &len);
		const void *v;
		u32 slot;

		slot = len == 12 ? mds_be32(k + 8) : ~0u;
		v = weft_kv_iter_val(it, &len);
		if (slot >= s->nslots || len < sizeof(rec))
			continue;
		memcpy(&rec, v, sizeof(rec));
		s->slots[slot].seq = le32_to_cpu(rec.seq);
	}
	ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return ret;
}

/* The reply told of an open file: it is registered again, and its data is read anew. */
static int replay_open(struct mds_op *op)
{
	const struct weft_ns_req *ns = op->body;
	u64 id = le64_to_cpu(op->rep.entry.open_id);
	u64 ino = le64_to_cpu(op->rep.entry.attr.ino);
	struct mds_inode i;
	int ret;

	if (!id || id != le64_to_cpu(ns->open_id))
		return 0;
	ret = mds_open_add(op->session, ino, id);
	if (ret || !(op->flags & WEFT_NS_WANT_DATA))
		return ret;
	mds_tx_init(&op->tx, op->m, op);
	if (mds_read_inode(&op->tx, ino, &i))
		return 0;
	ret = mds_fill_data(op, &i);
	return ret == MDS_DEFER ? 0 : ret;
}

/* The change closed the file; after a restart the client may have told it as open again. */
static void replay_close(struct mds_op *op)
{
	const struct weft_write_req *req = op->body;

	if ((le32_to_cpu(req->flags) & WEFT_WRITE_CLOSE) &&
	    mds_open_del(op->session, op->ino, le64_to_cpu(req->ns.open_id)))
		mds_orphan_check(op->m, op->ino);
}

/* Return: 0 if the reply of this very request is stored, -ENOENT if not. */
static int load_reply(struct mds_op *op)
{
	struct mds_slot_rec rec;
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	size_t body;
	int ret;

	ret = weft_kv_get(op->m->kv, MDS_CF_SLOTS, key,
			  mds_key_slot(key, op->session_id, op->slot), &val);
	if (ret)
		return ret;
	ret = val.len >= sizeof(rec) ? 0 : -EUCLEAN;
	if (!ret) {
		memcpy(&rec, val.data, sizeof(rec));
		body = le16_to_cpu(rec.body_len);
		if (body > sizeof(op->rep) || val.len != sizeof(rec) + body ||
		    le32_to_cpu(rec.version) != MDS_REC_VERSION)
			ret = -EUCLEAN;
		else if (le32_to_cpu(rec.seq) != op->slot_seq ||
			 le16_to_cpu(rec.opcode) != op->opcode)
			ret = -ENOENT;
	}
	if (!ret) {
		memcpy(&op->rep, val.data + sizeof(rec), body);
		op->rep_len = body;
		if (op->opcode == WEFT_OP_OPEN)
			ret = replay_open(op);
		else if (op->opcode == WEFT_OP_WRITE_INLINE || op->opcode == WEFT_OP_COMMIT ||
			 op->opcode == WEFT_OP_SPILL)
			replay_close(op);
	}
	weft_kv_val_fini(&val);
	return ret;
}

enum mds_slot_verdict mds_slot_begin(struct mds_op *op, struct mds_op **join, int *status)
{
	struct mds_slot *s;

	if (!op->slot_seq || !op->session)
		return MDS_SLOT_RUN;
	*status = -EINVAL;
	if (op->slot >= op->session->nslots)
		return MDS_SLOT_REFUSE;
	s = &op->session->slots[op->slot];
	if (s->redo && op->slot_seq == s->seq) {
		mds_cut_wait(s->redo, op);
		return MDS_SLOT_WAIT;
	}
	if (s->running) {
		*join = s->running;
		*status = weft_slot_older(op->slot_seq, s->seq) ? WEFT_S_SLOT_OLD : WEFT_S_BUSY;
		return op->slot_seq == s->seq && op->opcode == s->running->opcode ? MDS_SLOT_JOIN :
										    MDS_SLOT_REFUSE;
	}
	*status = WEFT_S_SLOT_OLD;
	if (weft_slot_older(op->slot_seq, s->seq))
		return MDS_SLOT_REFUSE;
	if (op->slot_seq == s->seq) {
		*status = load_reply(op);
		if (!*status)
			return MDS_SLOT_REPLAY;
		if (*status != -ENOENT)
			return MDS_SLOT_REFUSE;
	}
	s->seq = op->slot_seq;
	s->running = op;
	return MDS_SLOT_RUN;
}

int mds_slot_put(struct mds_tx *tx, u64 session, u32 slot, u32 seq, u16 opcode, const void *body,
		 size_t len)
{
	struct mds_slot_rec rec = { .version = cpu_to_le32(MDS_REC_VERSION),
				    .seq = cpu_to_le32(seq),
				    .opcode = cpu_to_le16(opcode),
				    .body_len = cpu_to_le16(len) };
	char buf[sizeof(rec) + sizeof(union mds_rep)], key[MDS_KEY_MAX];

	memcpy(buf, &rec, sizeof(rec));
	memcpy(buf + sizeof(rec), body, len);
	return mds_tx_put(tx, MDS_CF_SLOTS, key, mds_key_slot(key, session, slot), buf,
			  sizeof(rec) + len);
}

int mds_slot_store(struct mds_op *op)
{
	if (!op->slot_seq || !op->session)
		return 0;
	return mds_slot_put(&op->tx, op->session_id, op->slot, op->slot_seq, op->opcode, &op->rep,
			    op->rep_len);
}

void mds_slot_end(struct mds_op *op)
{
	struct mds_slot *s;

	if (!op->slot_seq || !op->session || op->slot >= op->session->nslots)
		return;
	s = &op->session->slots[op->slot];
	if (s->running == op)
		s->running = NULL;
}
