/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: how they are taken apart and dispatched (op.c), and the operations (a file each), which
 * find their group by map.c.
 */
#ifndef WEFT_MDS_OP_H
#define WEFT_MDS_OP_H

#include "common/mapview.h"
#include "mds/objects.h"
#include "mds/session.h"
#include "mds/txn.h"
#include "proto/meta.h"
#include "proto/ops.h"

struct mds;

union mds_rep {
	struct weft_attr_rep attr;
	struct weft_entry_rep entry;
	struct weft_rename_rep rename;
	struct weft_readdir_rep readdir;
	struct weft_xattr_rep xattr;
	struct weft_opens_rep opens;
	struct weft_session_open_rep session;
	struct weft_keepalive_rep keepalive;
	struct weft_txn_rep txn;
	struct weft_txn_prepare_rep prepare;
};

#define MDS_OPF_READ 0x01   /* changes nothing: runs at once */
#define MDS_OPF_NS 0x02	    /* body opens with struct weft_ns_req */
#define MDS_OPF_NAME 0x04   /* needs a name */
#define MDS_OPF_NAME2 0x08  /* needs a second name */
#define MDS_OPF_OPTNAME 0x10 /* may have a name */
#define MDS_OPF_SERVER 0x20 /* only other metadata servers may ask */
#define MDS_OPF_ANY 0x40    /* needs no session */
#define MDS_OPF_RAWNAME 0x80 /* the name is not a file name (attribute) */
#define MDS_OPF_TARGET 0x100 /* name2 is a symbolic link's target */

struct mds_op_desc {
	u16 opcode;
	u16 flags; /* MDS_OPF_* */
	int (*run)(struct mds_op *op);
};

/**
 * struct mds_op - a request, or a piece of the server's own work
 *
 * Filled in by who makes it: m, desc, session_id, group, epoch, slot, body, tail, bulk, conn,
 * server, reply; it lives until reply(), which frees it.
 */
struct mds_op {
	struct mds_op *next;
	struct mds_op *all_next, **all_prev; /* in mds.all_ops */
	struct mds_op *dups; /* the same request again (after a reconnect): same answer */
	struct mds *m;
	const struct mds_op_desc *desc;
	/* the request */
	u16 opcode;
	u64 session_id;
	u64 epoch;
	u32 group;
	u32 slot, slot_seq; /* slot_seq 0: none */
	bool server;	    /* comes from a server */
	const void *body;
	size_t body_len;
	const void *tail;
	size_t tail_len;
	char *bulk;
	size_t bulk_len;
	u32 bulk_max;
	void *conn;
	/* taken apart */
	struct mds_session *session;
	struct mds_creds creds;
	u64 ino;
	u32 flags; /* WEFT_NS_* */
	const char *name, *name2;
	u32 name_len, name2_len;
	/* the answer */
	int status;
	union mds_rep rep;
	size_t rep_len;
	char *data; /* reply's bulk, malloced */
	size_t data_len;
	char *rep_tail; /* malloced */
	size_t rep_tail_len;
	void (*reply)(struct mds_op *op);
	void *origin;
	/* running */
	struct mds_tx tx;
	struct mds_time now;
	void (*after)(struct mds_op *op); /* instead of the answer, when the batch is committed */
	void (*fini)(struct mds_op *op);  /* frees priv when the op is over */
	void *priv;
	struct mds_txn *txn;
	struct mds_hold *holds;
	struct mds_trim trim;
	bool interim;  /* this run is not the last: it has no reply yet */
	bool cut_done;
	struct weft_timer timer;
	u32 tries;
	u32 warmed; /* how often it waited for a key */
};

/* mds_op_init() - make an op ready for its request to be filled in */
void mds_op_init(struct mds_op *op, struct mds *m, const struct mds_op_desc *desc);

/* mds_op_fini() - free what an op holds */
void mds_op_fini(struct mds_op *op);

/* mds_op_desc() - the operation of an opcode, or NULL */
const struct mds_op_desc *mds_op_desc(u16 opcode);

/**
 * mds_request() - serve a request
 * @op: filled in; answered by op->reply()
 *
 * Checks session, map and slot, takes the body apart.
 */
void mds_request(struct mds_op *op);

/* mds_dispatch() - a request that was checked, and kept by its slot: serve it now */
void mds_dispatch(struct mds_op *op);

/**
 * mds_internal() - work of the server itself with the next batch
 * @m: the target
 * @run: what runs in the batch
 * @after: called when it is durable, or failed (op->status); frees nothing
 * @arg: op->priv
 *
 * Return: 0 or -ENOMEM.
 */
int mds_internal(struct mds *m, int (*run)(struct mds_op *op), void (*after)(struct mds_op *op),
		 void *arg);

/* mds_retry() - run an op again after a pause with jitter */
void mds_retry(struct mds_op *op, u32 ms);

void mds_reply_attr(struct mds_op *op, const struct mds_node *n);

/* --- names.c, rename.c, rename_lock.c, attr.c, open.c, inline.c, readdir.c, xattr.c, layout.c */

int mds_run_lookup(struct mds_op *op);
int mds_run_create(struct mds_op *op);
int mds_run_unlink(struct mds_op *op);
int mds_run_rmdir(struct mds_op *op);
int mds_run_link(struct mds_op *op);
int mds_run_rename(struct mds_op *op);
int mds_run_rename_lock(struct mds_op *op);
int mds_run_rename_unlock(struct mds_op *op);
int mds_run_getattr(struct mds_op *op);
int mds_run_setattr(struct mds_op *op);
int mds_run_open(struct mds_op *op);
int mds_run_close(struct mds_op *op);
int mds_run_read_inline(struct mds_op *op);
int mds_run_write_inline(struct mds_op *op);
int mds_run_commit(struct mds_op *op);
int mds_run_spill(struct mds_op *op);
int mds_run_readdir(struct mds_op *op);
int mds_run_getxattr(struct mds_op *op);
int mds_run_setxattr(struct mds_op *op);
int mds_run_listxattr(struct mds_op *op);

/* mds_dir_writable() - may entries of this directory be added and removed? */
int mds_dir_writable(const struct mds_creds *c, const struct mds_inode *dir);

/* mds_prepare_make() - a MAKE sub-operation for a new inode in a directory */
void mds_prepare_make(struct mds_op *op, const struct mds_inode *dir, u32 mode, struct mds_sub *s);

/* mds_fill_data() - put inline data or a link's target into the reply's bulk */
int mds_fill_data(struct mds_op *op, const struct mds_inode *i);

/*
 * mds_truncate_inline() - cut or extend the bytes of an inline file; changes n->i, and makes a
 * spill under way void
 */
int mds_truncate_inline(struct mds_op *op, struct mds_node *n, u64 size);

/* mds_pool_newest() - the generation of a pool that new files get; NULL: no such pool */
const struct weft_map_pool *mds_pool_newest(struct mds *m, u32 id);
int mds_layout_get(struct mds_op *op, const struct mds_inode *i, char *buf, size_t len);
int mds_layout_set(struct mds_op *op, struct mds_inode *i, const char *text, size_t len);


/* --- map.c: routing, the root directory */

/* mds_set_map() - a new map; takes a reference */
void mds_set_map(struct mds *m, struct weft_map *map);
u32 mds_group_of(struct mds *m, u64 ino);
bool mds_is_local(struct mds *m, u64 ino);
/* mds_all_local() - has this group all shards? */
bool mds_all_local(struct mds *m);
/* mds_check_route() - is the request's inode ours? Return: 0 or WEFT_S_*. */
int mds_check_route(struct mds_op *op);
u32 mds_place_dir(struct mds *m, u64 parent, const char *name, size_t len);

#endif
