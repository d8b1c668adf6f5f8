// SPDX-License-Identifier: Apache-2.0
/*
 * Requests: the table of operations, what is checked before one runs, and the server's own work.
 *
 * Happy path of a request: its group and session are ours, its body can be taken apart, its inode
 * lies on a shard of ours, its slot is new; then it is submitted (batch.c).
 *
 * Failures: each check has a status of its own that tells the client what to do (fetch the map,
 * open the session, give up). A body that makes no sense is -EBADMSG; the connection is closed for
 * it.
 */
#include <stdlib.h>
#include <string.h>

#include "mds/mds.h"

#define NS MDS_OPF_NS
#define NAME (MDS_OPF_NS | MDS_OPF_NAME)
#define RD MDS_OPF_READ

static const struct mds_op_desc op_table[] = {
	{ WEFT_OP_SESSION_OPEN, MDS_OPF_ANY, mds_run_session_open },
	{ WEFT_OP_SESSION_CLOSE, 0, mds_run_session_close },
	{ WEFT_OP_KEEPALIVE, RD, mds_run_keepalive },
	{ WEFT_OP_RECLAIM, 0, mds_run_reclaim },
	{ WEFT_OP_LEASE_ACK, RD, mds_run_lease_ack },
	{ WEFT_OP_LOOKUP, RD | NS | MDS_OPF_OPTNAME, mds_run_lookup },
	{ WEFT_OP_GETATTR, RD | NS, mds_run_getattr },
	{ WEFT_OP_SETATTR, NS, mds_run_setattr },
	{ WEFT_OP_OPEN, NS | MDS_OPF_OPTNAME, mds_run_open },
	{ WEFT_OP_CLOSE, RD, mds_run_close },
	{ WEFT_OP_CREATE, NAME | MDS_OPF_TARGET, mds_run_create },
	{ WEFT_OP_UNLINK, NAME, mds_run_unlink },
	{ WEFT_OP_RMDIR, NAME, mds_run_rmdir },
	{ WEFT_OP_LINK, NAME, mds_run_link },
	{ WEFT_OP_RENAME, NAME | MDS_OPF_NAME2, mds_run_rename },
	{ WEFT_OP_READDIR, RD | NS, mds_run_readdir },
	{ WEFT_OP_GETXATTR, RD | NAME | MDS_OPF_RAWNAME, mds_run_getxattr },
	{ WEFT_OP_SETXATTR, NAME | MDS_OPF_RAWNAME, mds_run_setxattr },
	{ WEFT_OP_LISTXATTR, RD | NS, mds_run_listxattr },
	{ WEFT_OP_READ_INLINE, RD | NS, mds_run_read_inline },
	{ WEFT_OP_WRITE_INLINE, NS, mds_run_write_inline },
	{ WEFT_OP_COMMIT, NS, mds_run_commit },
	{ WEFT_OP_SPILL, NS, mds_run_spill },
	{ WEFT_OP_TXN_PREPARE, MDS_OPF_SERVER, mds_run_prepare },
	{ WEFT_OP_TXN_COMMIT, MDS_OPF_SERVER, mds_run_decide },
	{ WEFT_OP_TXN_ABORT, MDS_OPF_SERVER, mds_run_decide },
	{ WEFT_OP_TXN_STATUS, RD | MDS_OPF_SERVER, mds_run_txn_status },
	{ WEFT_OP_RENAME_LOCK, MDS_OPF_SERVER, mds_run_rename_lock },
	{ WEFT_OP_RENAME_UNLOCK, MDS_OPF_SERVER, mds_run_rename_unlock },
};

/* OPEN that neither creates nor truncates changes nothing. */
static const struct mds_op_desc open_read = { WEFT_OP_OPEN, RD | NS | MDS_OPF_OPTNAME,
					      mds_run_open };

const struct mds_op_desc *mds_op_desc(u16 opcode)
{
	size_t k;

	for (k = 0; k < sizeof(op_table) / sizeof(op_table[0]); k++)
		if (op_table[k].opcode == opcode)
			return &op_table[k];
	return NULL;
}

void mds_op_init(struct mds_op *op, struct mds *m, const struct mds_op_desc *desc)
{
	memset(op, 0, sizeof(*op));
	op->m = m;
	op->desc = desc;
	op->opcode = desc->opcode;
	weft_timer_init(&op->timer, NULL, NULL);
	weft_timer_init(&op->trim.timer, NULL, NULL);
	mds_tx_init(&op->tx, m, op);
}

static void op_enter(struct mds_op *op)
{
	struct mds *m = op->m;

	op->all_next = m->all_ops;
	if (op->all_next)
		op->all_next->all_prev = &op->all_next;
	op->all_prev = &m->all_ops;
	m->all_ops = op;
	m->ops++;
}

void mds_op_fini(struct mds_op *op)
{
	mds_tx_drop(&op->tx);
	if (op->fini)
		op->fini(op);
	if (op->session)
		mds_session_put(op->session);
	free(op->bulk);
	free(op->data);
	free(op->rep_tail);
	mds_trim_fini(&op->trim);
}

static int check_name(const char *name, u32 len)
{
	if (len > WEFT_NAME_MAX)
		return -ENAMETOOLONG;
	if (memchr(name, '/', len) || memchr(name, 0, len))
		return -EINVAL;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return -EINVAL;
	return 0;
}

static int check_names(struct mds_op *op)
{
	u16 f = op->desc->flags;
	int ret = 0;

	if (op->name_len) {
		if (!(f & (MDS_OPF_NAME | MDS_OPF_OPTNAME)))
			return -EBADMSG;
		if (!(f & MDS_OPF_RAWNAME))
			ret = check_name(op->name, op->name_len);
		else if (op->name_len > WEFT_NAME_MAX || memchr(op->name, 0, op->name_len))
			ret = -ERANGE;
	} else if (f & MDS_OPF_NAME) {
		return -EINVAL;
	}
	if (ret)
		return ret;
	if (f & MDS_OPF_TARGET)
		return op->name2_len > WEFT_SYMLINK_MAX ? -ENAMETOOLONG : 0;
	if (f & MDS_OPF_NAME2)
		return op->name2_len ? check_name(op->name2, op->name2_len) : -EINVAL;
	return op->name2_len ? -EBADMSG : 0;
}

/* Take the head of a metadata request apart. */
static int take_ns(struct mds_op *op)
{
	const struct weft_ns_req *ns = op->body;
	const void *groups;
	int ret;

	ret = weft_ns_tail(ns, op->tail, op->tail_len, &groups, &op->name, &op->name2);
	if (ret)
		return ret;
	op->creds.uid = le32_to_cpu(ns->creds.uid);
	op->creds.gid = le32_to_cpu(ns->creds.gid);
	op->creds.caps = le32_to_cpu(ns->creds.caps) & WEFT_CAP_ALL;
	op->creds.ngroups = le32_to_cpu(ns->creds.ngroups);
	op->creds.groups = groups;
	op->ino = le64_to_cpu(ns->ino);
	op->flags = le32_to_cpu(ns->flags);
	op->name_len = le16_to_cpu(ns->name_len);
	op->name2_len = le16_to_cpu(ns->name2_len);
	if (op->flags & ~WEFT_NS_KNOWN)
		return -EINVAL;
	return check_names(op);
}

static int check_session(struct mds_op *op)
{
	struct mds_session *s;

	if (op->server || (op->desc->flags & (MDS_OPF_ANY | MDS_OPF_SERVER)))
		return 0;
	s = mds_session_find(op->m, op->session_id);
	if (!s || !s->live)
		return WEFT_S_BAD_SESSION;
	op->session = mds_session_get(s);
	mds_session_touch(s, op->conn);
	return 0;
}

static int check_request(struct mds_op *op)
{
	const struct weft_op_info *info = weft_op_info(op->opcode);
	struct mds *m = op->m;
	int ret;

	if (m->failed || m->draining || !m->serving)
		return WEFT_S_RECOVERY;
	if (op->group != m->group)
		return WEFT_S_NOT_PRIMARY;
	if ((op->desc->flags & MDS_OPF_SERVER) && !op->server)
		return -EPERM;
	if (op->server && !(op->desc->flags & MDS_OPF_SERVER) && op->opcode != WEFT_OP_LOOKUP &&
	    op->opcode != WEFT_OP_GETATTR)
		return -EPERM;
	if (!info || op->body_len < info->req_len)
		return -EBADMSG;
	ret = check_session(op);
	if (ret || !(op->desc->flags & MDS_OPF_NS))
		return ret;
	ret = take_ns(op);
	return ret ? ret : mds_check_route(op);
}

static void choose_open(struct mds_op *op)
{
	const struct weft_open_req *req = op->body;

	if (op->opcode == WEFT_OP_OPEN && op->body_len >= sizeof(*req) &&
	    !(le32_to_cpu(req->flags) & (WEFT_OPEN_CREATE | WEFT_OPEN_TRUNC)))
		op->desc = &open_read;
}

void mds_dispatch(struct mds_op *op)
{
	struct mds_op *join;
	int ret;

	switch (mds_slot_begin(op, &join, &ret)) {
	case MDS_SLOT_RUN:
		mds_submit(op);
		break;
	case MDS_SLOT_JOIN:
		op->dups = join->dups;
		join->dups = op;
		break;
	case MDS_SLOT_REPLAY:
		op->m->stats.replayed++;
		mds_finish(op, 0);
		break;
	case MDS_SLOT_REFUSE:
		mds_finish(op, ret);
		break;
	case MDS_SLOT_WAIT:
		break;
	}
}

void mds_request(struct mds_op *op)
{
	int ret;

	op_enter(op);
	choose_open(op);
	ret = check_request(op);
	if (ret)
		mds_finish(op, ret);
	else
		mds_dispatch(op);
}

struct internal {
	struct mds_op op;
	struct mds_op_desc desc;
	void (*after)(struct mds_op *op);
};

static void internal_reply(struct mds_op *op)
{
	struct internal *in = (struct internal *)op;

	if (in->after)
		in->after(op);
	mds_op_fini(op);
	free(in);
}

int mds_internal(struct mds *m, int (*run)(struct mds_op *op), void (*after)(struct mds_op *op),
		 void *arg)
{
	struct internal *in = malloc(sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->desc = (struct mds_op_desc){ .run = run };
	mds_op_init(&in->op, m, &in->desc);
	in->after = after;
	in->op.reply = internal_reply;
	in->op.priv = arg;
	op_enter(&in->op);
	m->stats.ops_internal++;
	mds_submit(&in->op);
	return 0;
}

static void retry_now(void *arg)
{
	mds_submit(arg);
}

void mds_retry(struct mds_op *op, u32 ms)
{
	u32 jitter;

	weft_env_random(op->m->env, &jitter, sizeof(jitter));
	op->timer.cb = retry_now;
	op->timer.arg = op;
	weft_timer_start(op->m->env, &op->timer, (ms / 2 + jitter % (ms + 1)) * WEFT_NS_PER_MS);
}
