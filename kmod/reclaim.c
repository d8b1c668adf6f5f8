// SPDX-License-Identifier: GPL-2.0
/*
 * Open files for the books of a metadata server: after its restart, and when a lease is given back.
 *
 * A callback of the VFS names them one by one (weft_reclaim_open()); they go out in RECLAIM
 * messages of up to 512, the last one marked. Files that the server does not have any more come
 * back and are told to the VFS. An error sticks: the rest is not sent, and the whole is repeated
 * after the reconnect. s->upcalls is held around all of it.
 */
#include <linux/slab.h>
#include "kmod/net.h"

#define RECLAIM_BATCH 512 /* pairs in one message */

/**
 * weft_session_call() - a request of the session's own, which need not be open
 * @s: the session
 * @rpc: the request
 *
 * Return: its result; -EBADR: the session was lost.
 */
int weft_session_call(struct weft_session *s, struct weft_rpc *rpc)
{
	weft_rpc_to_group(rpc, s->group);
	rpc->flags |= WEFT_RPC_F_SESSION | WEFT_RPC_F_URGENT;
	weft_rpc_submit(rpc);
	return weft_rpc_wait(rpc);
}

static void reclaim_lost(struct weft_session *s, struct weft_rpc *rpc)
{
	const struct weft_opens_rep *rep = weft_rpc_reply(rpc);
	size_t i, len, n;
	const u8 *tail = weft_rpc_reply_tail(rpc, &len);
	__le64 ino;
	u64 *inos;

	n = min_t(size_t, le32_to_cpu(rep->lost), len / sizeof(ino));
	if (!n)
		return;
	inos = kmalloc_array(n, sizeof(*inos), GFP_NOFS | __GFP_NOFAIL);
	for (i = 0; i < n; i++) {
		memcpy(&ino, tail + i * sizeof(ino), sizeof(ino));
		inos[i] = le64_to_cpu(ino);
	}
	s->fs->ops->opens_lost(s->fs->priv, s->group, inos, n);
	kfree(inos);
}

/* Sends what was gathered. */
static int reclaim_send(struct weft_reclaim *r, bool last)
{
	struct weft_opens_req *req;
	struct weft_rpc *rpc = r->rpc;

	r->rpc = NULL;
	if (!rpc)
		return -ENOMEM;
	req = rpc->body;
	req->count = cpu_to_le32(r->count);
	req->flags = cpu_to_le32(last ? WEFT_RECLAIM_DONE : 0);
	r->count = 0;
	r->error = weft_session_call(r->session, rpc);
	if (!r->error)
		reclaim_lost(r->session, rpc);
	weft_rpc_put(rpc);
	return r->error;
}

/* A message with room for a batch. */
static int reclaim_begin(struct weft_reclaim *r)
{
	struct weft_fs *fs = r->session->fs;
	int ret;

	if (r->rpc)
		return 0;
	r->rpc = weft_rpc_alloc(fs, WEFT_OP_RECLAIM,
				RECLAIM_BATCH * sizeof(struct weft_open_pair), GFP_NOFS);
	if (!r->rpc)
		return -ENOMEM;
	ret = weft_rpc_want_tail(r->rpc, RECLAIM_BATCH * sizeof(__le64), GFP_NOFS);
	if (ret) {
		weft_rpc_put(r->rpc);
		r->rpc = NULL;
	}
	return ret;
}

int weft_reclaim_open(struct weft_reclaim *r, u64 ino, u64 open_id)
{
	struct weft_open_pair pair = {
		.ino = cpu_to_le64(ino),
		.open_id = cpu_to_le64(open_id),
	};

	if (!r->error)
		r->error = reclaim_begin(r);
	if (!r->error)
		r->error = weft_rpc_add_tail(r->rpc, &pair, sizeof(pair));
	if (!r->error && ++r->count == RECLAIM_BATCH)
		reclaim_send(r, false);
	return r->error;
}

/**
 * weft_reclaim_end() - send the rest
 * @r: what was gathered
 * @always: the server waits for the end, even if there is nothing left
 *
 * Return: 0 or why the server was not told of all.
 */
int weft_reclaim_end(struct weft_reclaim *r, bool always)
{
	if (!r->error && always)
		r->error = reclaim_begin(r);
	if (!r->error && r->rpc)
		reclaim_send(r, true);
	weft_rpc_put(r->rpc);
	return r->error;
}
