// SPDX-License-Identifier: GPL-2.0
/*
 * The runner of namespace operations.
 *
 * Each kind of operation is a const struct weft_nsop_type; the caller fills a struct weft_nsop
 * with its arguments and runs it: stamps are read, the request is made and carried out, the
 * reply's attributes go to inodes and dcache. Retries, replay and waiting for servers are below
 * (rpc.h).
 *
 * If the caller is killed while a modifying request is under way, nobody knows yet whether it has
 * been carried out: then everything that is cached becomes worthless by a new generation of
 * leases, at once and again when the request has ended (weft_modify()).
 *
 * Protection: the VFS holds the directories' i_rwsem.
 */
#include "internal.h"

/* A request whose caller was killed has ended. */
static void weft_modify_late(struct weft_rpc *rpc)
{
	struct weft_sb *wsb = rpc->priv;

	atomic64_inc(&wsb->lease_gen);
}

/**
 * weft_modify() - carry out a request that modifies
 * @wsb: the mount
 * @rpc: the request
 *
 * Return: as weft_rpc_call().
 */
int weft_modify(struct weft_sb *wsb, struct weft_rpc *rpc)
{
	int ret;

	rpc->done = weft_modify_late;
	rpc->priv = wsb;
	ret = weft_rpc_call(rpc);
	if (ret == -EINTR)
		atomic64_inc(&wsb->lease_gen);
	return ret;
}

/**
 * weft_nsop_run() - carry out a namespace operation
 * @op: the operation, its arguments filled in
 *
 * Return: 0 or a negative errno, also in op->error. op->inode is the caller's then.
 */
int weft_nsop_run(struct weft_nsop *op)
{
	struct weft_sb *wsb = weft_isb(op->dir);
	const void *reply;

	if (!op->name && op->dentry)
		op->name = &op->dentry->d_name;
	op->stamp = weft_stamp(wsb, op->dir->i_ino);
	if (op->dir2)
		op->stamp2 = weft_stamp(wsb, op->dir2->i_ino);
	op->error = op->type->issue(op);
	if (op->error)
		goto out_failed;
	op->error = weft_modify(wsb, op->rpc);
	reply = weft_rpc_reply(op->rpc);
	if (!op->error)
		op->error = reply ? op->type->success(op, reply) : -EPROTO;
out_failed:
	if (op->error && op->error != -ENOENT) { /* an entry may exist that has no dentry */
		weft_dir_incomplete(op->dir);
		if (op->dir2)
			weft_dir_incomplete(op->dir2);
	}
	if (op->error && op->type->failed)
		op->type->failed(op);
	weft_rpc_put(op->rpc);
	op->rpc = NULL;
	return op->error;
}
