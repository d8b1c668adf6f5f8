/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata server's core: one struct mds is one metadata target. A section per source file.
 *
 * The core does no I/O of its own: clock, timers, work and random numbers come from struct
 * weft_env, the store from common/kv.h, other servers and clients through struct mds_net_ops.
 *
 * Protection: everything belongs to the one thread that runs the env (the owner). Only the commit
 * of a batch runs on a worker, and touches nothing but the sealed batch.
 *
 * How a request runs: it becomes a struct mds_op. One that only reads runs at once against the
 * store. One that changes waits in a queue until no commit is under way; then the whole queue runs,
 * each op against the store plus the batch so far (struct mds_tx gathers what the op changes;
 * a failed op leaves nothing), and the batch is committed with one sync; then all are answered.
 */
#ifndef WEFT_MDS_MDS_H
#define WEFT_MDS_MDS_H

#include "common/env.h"
#include "common/mapview.h"
#include "mds/store.h"
#include "mds/table.h"
#include "proto/meta.h"
#include "proto/ops.h"
#include "proto/txn.h"

struct mds;
struct mds_op;
struct mds_lock;
struct mds_session;
struct mds_txn;

/* Outcomes of a run besides 0, -errno and WEFT_S_*. */
enum mds_run {
	MDS_PARKED = 1, /* waits for a lock: op->blocked; runs again from the beginning */
	MDS_DEFER = 2,	/* runs again when the commit under way is over */
	MDS_ASYNC = 3,	/* somebody holds the op and will submit or finish it */
};

#define MDS_LINK_MAX 65000u
#define MDS_BATCH_OPS 512u
#define MDS_BATCH_BYTES (16u << 20)
#define MDS_INO_BLOCK 1024u

/* --- the world outside */

/**
 * struct mds_call - a request to another server, embedded by its owner
 * @group: group it goes to
 * @opcode: enum weft_op
 * @body: fixed body, copied when the call starts
 * @body_len: its length
 * @tail: tail or NULL, copied
 * @tail_len: its length
 * @bulk: bulk to send or NULL, copied
 * @bulk_len: its length
 * @bulk_max: most bulk that may come back
 * @slot: slot, when @slot_seq is not 0
 * @slot_seq: sequence number in the slot
 * @timeout_ms: 0: waits for ever
 * @done: called when it is over, never from inside the call
 * @arg: for the owner
 * @err: 0, negative errno, or WEFT_S_*
 * @rep: body of the reply, valid during done()
 * @rep_len: its length
 * @data: bulk of the reply, valid during done()
 * @data_len: its length
 * @post: private to the implementation
 */
struct mds_call {
	u32 group;
	u16 opcode;
	const void *body;
	size_t body_len;
	const void *tail;
	size_t tail_len;
	const void *bulk;
	size_t bulk_len;
	u32 bulk_max;
	u32 slot, slot_seq;
	u32 timeout_ms;
	void (*done)(struct mds_call *call);
	void *arg;

	int err;
	const void *rep;
	size_t rep_len;
	const void *data;
	size_t data_len;
	struct weft_post post;
};

/**
 * struct mds_net_ops - what the core asks of the world
 * @call: begin a call (see struct mds_call); retries through map changes by itself
 * @push: one-way message on a client's connection; false when it is gone
 * @root_made: the root directory is durable: tell management
 * @need_map: somebody used a newer map than ours
 * @fatal: this target cannot go on (a commit failed): the daemon ends
 */
struct mds_net_ops {
	void (*call)(void *arg, struct mds_call *call);
	bool (*push)(void *arg, void *conn, u16 opcode, const void *body, size_t len);
	void (*root_made)(void *arg);
	void (*need_map)(void *arg, u64 epoch);
	void (*fatal)(void *arg, int err, const char *why);
};

/* --- batch.c: transactions of one op, the batch, the queue, the commit */

/* An inode that an op or the batch has changed. */
struct mds_node {
	struct mds_link link; /* in mds_batch.nodes, by inode number */
	struct mds_node *next; /* in mds_tx.nodes */
	struct mds_inode i;
	u64 prev_change, prev_data;
	bool dead; /* the inode goes away */
};

/* A key that an op has changed. */
struct mds_write {
	struct mds_write *next;
	u8 cf;
	bool del;
	u16 klen;
	u32 vlen;
	char buf[]; /* key, value */
};

/**
 * struct mds_tx - what one op changes, invisible until mds_tx_apply()
 * @m: the target
 * @owner: whose locks are its own
 * @nodes: changed inodes
 * @writes: changed keys, in order
 * @wtail: where the next one is linked
 * @blocked: with MDS_PARKED: the lock that was met
 * @prepare: part of a transaction that is not decided
 */
struct mds_tx {
	struct mds *m;
	const void *owner;
	struct mds_node *nodes;
	struct mds_write *writes;
	struct mds_write **wtail;
	struct mds_lock *blocked;
	bool prepare; /* only prepared: an inode without names is kept until the commit */
};

enum mds_batch_state { MDS_IDLE, MDS_BUILD, MDS_COMMIT };

struct mds_oplist {
	struct mds_op *head, **tail;
	u32 count;
};

/* Counters of a target. */
struct mds_stats {
	u64 ops_read, ops_write, ops_internal;
	u64 batches, batch_ops, batch_max;
	u64 parked, deferred, replayed;
	u64 txn_started, txn_committed, txn_aborted, txn_busy, txn_prepared;
	u64 purged, purge_backlog, cuts;
	u64 recalls, sessions_expired;
};

struct mds_batch {
	enum mds_batch_state state;
	struct weft_kv_batch *kvb;
	struct mds_table nodes;
	struct mds_oplist queue;    /* changing ops that wait for their batch */
	struct mds_oplist ops;	    /* ran in this batch, wait for its commit */
	struct mds_oplist deferred; /* wait for the end of the commit under way */
	struct weft_post post;
	struct weft_work work;
	bool posted;
	int err;
	size_t bytes;
};

int mds_batch_init(struct mds *m);
void mds_batch_fini(struct mds *m);

/**
 * mds_submit() - run an op, now or with the next batch
 * @op: the op; also one that was parked, deferred or asynchronous before
 */
void mds_submit(struct mds_op *op);

/**
 * mds_finish() - an op is over: store nothing, answer
 * @op: the op
 * @status: 0, -errno or WEFT_S_*
 */
void mds_finish(struct mds_op *op, int status);

/* mds_inflight() - is the inode part of the commit under way? */
bool mds_inflight(struct mds *m, u64 ino);

void mds_oplist_init(struct mds_oplist *l);
void mds_oplist_add(struct mds_oplist *l, struct mds_op *op);
struct mds_op *mds_oplist_pop(struct mds_oplist *l);

void mds_tx_init(struct mds_tx *tx, struct mds *m, const void *owner);
void mds_tx_drop(struct mds_tx *tx);
void mds_tx_apply(struct mds_tx *tx);

/**
 * mds_tx_inode() - take an inode to change it
 * @tx: the transaction
 * @ino: its number
 * @n: the copy that belongs to @tx
 *
 * Return: 0, -ENOENT, MDS_PARKED (locked by another), -ENOMEM or -EIO and the like.
 */
int mds_tx_inode(struct mds_tx *tx, u64 ino, struct mds_node **n);

/* mds_tx_new() - add an inode that does not exist yet. Return: 0 or -ENOMEM. */
int mds_tx_new(struct mds_tx *tx, u64 ino, struct mds_node **n);

int mds_tx_put(struct mds_tx *tx, enum mds_cf cf, const void *key, size_t klen, const void *val,
	       size_t vlen);
int mds_tx_del(struct mds_tx *tx, enum mds_cf cf, const void *key, size_t klen);
/* mds_tx_del_prefix() - delete all keys that begin with @prefix, as they are now */
int mds_tx_del_prefix(struct mds_tx *tx, enum mds_cf cf, const void *prefix, size_t len);

/**
 * mds_read_inode() - read an inode
 * @tx: transaction of the op that reads (its own changes are seen)
 * @ino: its number
 * @i: filled in
 *
 * Return: as mds_tx_inode().
 */
int mds_read_inode(struct mds_tx *tx, u64 ino, struct mds_inode *i);

/* mds_read_key() - read any key through the batch that is being built */
int mds_read_key(struct mds *m, enum mds_cf cf, const void *key, size_t klen,
		 struct weft_kv_val *val);

/**
 * mds_read_dentry() - read an entry of a directory
 * @tx: transaction of the op that reads
 * @dir: directory
 * @name: name
 * @len: its length
 * @ino: out
 * @type: out: S_IFMT
 *
 * Return: 0, -ENOENT, MDS_PARKED, or another negative errno.
 */
int mds_read_dentry(struct mds_tx *tx, u64 dir, const char *name, size_t len, u64 *ino,
		    u32 *type);

/* --- lock.c: locks that outlive a batch (transactions over groups, truncation) */

enum mds_lock_mode {
	MDS_LOCK_SHARED, /* directory stays, its entries may change */
	MDS_LOCK_EXCL,	 /* nobody else reads or changes it */
};

struct mds_lock_key {
	u64 ino;
	u64 hash; /* 0: the inode; else an entry of directory ino with this name hash */
};

/* One lock held by an owner; embedded in a list of its owner. */
struct mds_hold {
	struct mds_hold *next;
	struct mds_lock *lock;
	enum mds_lock_mode mode;
};

int mds_lock_init(struct mds *m);
void mds_lock_fini(struct mds *m);

struct mds_lock_key mds_lock_inode(u64 ino);
struct mds_lock_key mds_lock_entry(u64 dir, const char *name, size_t len);

/**
 * mds_lock_blocks() - does a lock of somebody else stand in the way?
 * @m: the target
 * @key: what is to be read or changed
 * @owner: who asks
 * @remove: the inode itself shall go or be locked exclusively: shared locks count as well
 *
 * Return: the lock or NULL.
 */
struct mds_lock *mds_lock_blocks(struct mds *m, struct mds_lock_key key, const void *owner,
				 bool remove);

/**
 * mds_lock_take() - lock; mds_lock_blocks() has said that nothing is in the way
 * @m: the target
 * @key: what
 * @owner: for whom
 * @mode: how
 * @holds: list of the owner's locks; a lock that it has already is not taken twice
 *
 * Return: 0 or -ENOMEM.
 */
int mds_lock_take(struct mds *m, struct mds_lock_key key, const void *owner,
		  enum mds_lock_mode mode, struct mds_hold **holds);

/* mds_lock_drop() - release all locks of a list; ops that waited are submitted again */
void mds_lock_drop(struct mds *m, struct mds_hold **holds);

/* mds_lock_wait() - park an op until a lock is released */
void mds_lock_wait(struct mds_lock *l, struct mds_op *op);

/* --- perm.c */

#define MDS_MAY_EXEC 1u
#define MDS_MAY_WRITE 2u
#define MDS_MAY_READ 4u

struct mds_creds {
	u32 uid, gid, caps, ngroups;
	const char *groups; /* ngroups little endian numbers, of any alignment */
};

bool mds_in_group(const struct mds_creds *c, u32 gid);
bool mds_capable(const struct mds_creds *c, u32 cap);

/* mds_permission() - may these credentials do this? Return: 0 or -EACCES. */
int mds_permission(const struct mds_creds *c, const struct mds_inode *i, u32 mask);

/* mds_owner_or_capable() - owner of the inode, or CAP_FOWNER */
bool mds_owner_or_capable(const struct mds_creds *c, const struct mds_inode *i);

/* mds_strip_sgid() - mode of a new file in a set-group-id directory, or after chmod, chown */
u32 mds_strip_sgid(const struct mds_creds *c, u32 mode, u32 gid);

/* mds_kill_priv() - mode after a write or chown */
u32 mds_kill_priv(u32 mode);

/* --- sub.c: the sub-operations that every change of the namespace consists of */

/* struct weft_txn_sub in CPU order. */
struct mds_sub {
	u8 kind;
	u32 flags;
	u64 ino, old_ino, new_ino, parent;
	u64 session, open_id;
	u32 shard, mode, uid, gid;
	u32 rdev_major, rdev_minor; /* local only */
	s32 nlink;
	struct weft_layout layout;
	const char *name;
	u32 name_len;
	const char *target; /* symbolic link, local only */
	u32 target_len;
	u32 group; /* who does it */
	struct weft_attr_rep result;
};

/**
 * mds_sub_run() - check and do a sub-operation within a transaction
 * @tx: the transaction
 * @creds: on whose behalf
 * @now: time of the change
 * @s: what; its result is filled in (MAKE: ino as well)
 *
 * Return: 0, -errno, WEFT_S_BUSY (an entry is not what was expected) or MDS_PARKED.
 */
int mds_sub_run(struct mds_tx *tx, const struct mds_creds *creds, struct mds_time now,
		struct mds_sub *s);

/* mds_node_result() - a changed inode as replies show it */
void mds_node_result(const struct mds_node *n, struct weft_attr_rep *r);

/* mds_inode_gone() - an inode lost its last name: keep it as an orphan, or delete it */
int mds_inode_gone(struct mds_tx *tx, struct mds_node *n, bool keep);

/* mds_new_layout() - layout of a new file in a directory */
void mds_new_layout(struct mds *m, const struct mds_inode *dir, struct weft_layout *l);

/* --- ino.c: inode numbers, never used twice */

struct mds_counter {
	struct mds_link link;
	struct mds_counter *next_dirty;
	u64 next, limit;
	char tag;
	u32 nr;
	bool dirty;
};

struct mds_counters {
	struct mds_table table;
	struct mds_counter *dirty;
};

int mds_counters_init(struct mds *m);
void mds_counters_fini(struct mds *m);

/**
 * mds_counter_next() - take a number; its block is reserved by the batch under construction
 * @m: the target
 * @tag: 'C' (inodes of shard @nr)
 * @nr: shard
 * @out: the number
 *
 * Return: 0, -ENOMEM, -ENOSPC (48 bits used up), or an error of the store.
 */
int mds_counter_next(struct mds *m, char tag, u32 nr, u64 *out);

/* mds_counters_write() - put the reservations that changed into the batch */
void mds_counters_write(struct mds *m);

/* --- txn.c, txn_part.c, txn_log.c: changes over several groups */

enum mds_txn_state { MDS_TXN_PREPARING, MDS_TXN_PREPARED, MDS_TXN_COMMITTED, MDS_TXN_ABORTING };

#define MDS_TXN_GROUPS_MAX 4

/* A group that takes part in a transaction of ours. */
struct mds_member {
	struct mds_txn *txn;
	struct mds_call call;
	u32 group;
	bool done; /* answered the present round */
};

/* A transaction that this target coordinates. */
struct mds_txn {
	struct mds_link link;
	struct mds *m;
	struct mds_op *op; /* NULL once it is answered */
	u64 seq;
	enum mds_txn_state state;
	struct mds_sub subs[WEFT_TXN_SUBS_MAX];
	u32 nsubs;
	struct mds_member members[MDS_TXN_GROUPS_MAX];
	u32 nmembers;
	u32 pending; /* calls without an answer */
	int err;
	struct mds_hold *holds;
	struct weft_timer timer;
	struct mds_time now;
};

/* A transaction of another coordinator that is prepared here. */
struct mds_part {
	struct mds_link link;
	struct mds *m;
	u32 group;
	u64 seq;
	char *log; /* the record in MDS_CF_TXN */
	size_t log_len;
	struct mds_hold *holds;
	struct weft_timer timer; /* asks the coordinator when it stays silent */
	struct mds_call call;
	bool deciding, asking, gone;
};

#define MDS_ENDED 256u

/* @ended: the last transactions of others that were decided here: their PREPARE may come late */
struct mds_txns {
	struct mds_table own;
	struct mds_table parts;
	struct {
		u32 group;
		u64 seq;
	} ended[MDS_ENDED];
	u32 nended;
	u64 next; /* transaction number: incarnation of the target << 32 | count */
};

int mds_txn_init(struct mds *m);
void mds_txn_fini(struct mds *m);

/* mds_txn_recover() - take up what was prepared or decided before the restart */
int mds_txn_recover(struct mds *m);

/**
 * mds_change() - do a list of sub-operations atomically on all groups that they are for
 * @op: the op whose run() calls this
 * @subs: what to do; results are filled in when it returns 0
 * @n: how many
 *
 * When all are for this group they are done in op->tx. Else a transaction begins and MDS_ASYNC is
 * returned; when all groups are prepared op's run() is called again, builds the same list (its keys
 * are locked) and calls this again, which then decides with op's batch.
 *
 * Return: 0, -errno, WEFT_S_*, MDS_PARKED or MDS_ASYNC.
 */
int mds_change(struct mds_op *op, struct mds_sub *subs, u32 n);

/* mds_txn_abandon() - op's run failed although all were prepared: abort */
void mds_txn_abandon(struct mds_op *op);

/* mds_txn_state() - what became of a transaction of ours */
enum weft_txn_state mds_txn_state(struct mds *m, u64 seq);

/* mds_txn_next() - a number for a transaction, never used before */
u64 mds_txn_next(struct mds *m);

void mds_part_fini(struct mds *m);
int mds_part_recover(struct mds *m);
int mds_run_prepare(struct mds_op *op);
int mds_run_decide(struct mds_op *op);
int mds_run_txn_status(struct mds_op *op);

/* txn_log.c: a prepared transaction as a record: results and the writes that COMMIT makes */
int mds_log_encode(const struct mds_tx *tx, const struct mds_sub *subs, u32 n, char **log,
		   size_t *len);
/* mds_log_results() - results in a record. Return: bytes of struct weft_attr_rep, or NULL. */
const char *mds_log_results(const char *log, size_t len, size_t *bytes);
/* mds_log_replay() - the writes of a record into a transaction. Return: 0, -EUCLEAN, -ENOMEM. */
int mds_log_replay(struct mds_tx *tx, const char *log, size_t len);

/* --- session.c, slots.c, lease.c */

struct mds_slot {
	u32 seq; /* last one begun */
	struct mds_op *running;
};

#define MDS_SESSION_CONNS 8

/* An open file, registered by a session. */
struct mds_open {
	struct mds_link link; /* by inode */
	struct mds_open *next; /* of the session */
	struct mds_open **prev;
	struct mds_session *session;
	u64 ino, open_id;
};

struct mds_session {
	struct mds_link link;
	struct mds *m;
	u64 id, incarnation;
	u32 refs; /* the table, and each op */
	u32 nslots;
	struct mds_slot *slots;
	struct mds_open *opens;
	void *conns[MDS_SESSION_CONNS];
	u64 last_seen; /* env time */
	u32 lease;
	u64 lease_seq;
	bool live;	/* opened since the server started and heard of within its lease */
	bool reclaimed; /* told all its open files since the server started */
	bool stored;	/* its record is in the store */
	bool gone;	/* closed, out of the table */
	bool recalling;
	u64 recall_until;
	char name[65];
};

struct mds_sessions {
	struct mds_table table;
	struct mds_table opens;
	struct mds_session *sole;
	struct mds_oplist waiting; /* SESSION_OPENs that wait for the sole holder or the grace */
	struct weft_timer timer;
	u64 lease_seq;
	u64 grace_until; /* env time; 0: over */
	u64 admit_at;	 /* env time: leases from before the restart have run out */
};

int mds_session_init(struct mds *m);
void mds_session_fini(struct mds *m);
int mds_session_load(struct mds *m);
struct mds_session *mds_session_find(struct mds *m, u64 id);
struct mds_session *mds_session_get(struct mds_session *s);
void mds_session_put(struct mds_session *s);
void mds_session_touch(struct mds_session *s, void *conn);
/* mds_session_push() - tell a client something. Return: false when it has no connection. */
bool mds_session_push(struct mds_session *s, u16 opcode, const void *body, size_t len);
void mds_grace_check(struct mds *m);
void mds_session_conn_gone(struct mds *m, void *conn);
bool mds_in_grace(const struct mds *m);
int mds_run_session_open(struct mds_op *op);
int mds_run_session_close(struct mds_op *op);
int mds_run_keepalive(struct mds_op *op);
int mds_run_reclaim(struct mds_op *op);

int mds_open_add(struct mds_session *s, u64 ino, u64 open_id);
bool mds_open_del(struct mds_session *s, u64 ino, u64 open_id);
bool mds_is_open(struct mds *m, u64 ino);
/* mds_open_elsewhere() - has another session it open, or is that not known yet? */
bool mds_open_elsewhere(const struct mds_session *s, u64 ino);
/* mds_open_drop() - one of a session's registrations, whose inode it was. Return: 0: none left. */
u64 mds_open_drop(struct mds_session *s);

int mds_run_lease_ack(struct mds_op *op);
/*
 * mds_lease_admit() - a session wants in: may it? Else the sole holder is asked to step back, or a
 * restart is too recent; the op is to wait in sessions.waiting.
 */
bool mds_lease_admit(struct mds *m, struct mds_session *s);
/* mds_lease_update() - sessions have changed; @quiet learns of its lease by a reply */
void mds_lease_update(struct mds *m, struct mds_session *quiet);
/* mds_lease_grace_over() - all sessions are known: give the lease, let in who waits */
void mds_lease_grace_over(struct mds *m);
/* mds_lease_lost() - a session's lease is over (acknowledged, run out, closed) */
void mds_lease_lost(struct mds_session *s);
/* mds_lease_tick() - has a recall waited long enough? */
void mds_lease_tick(struct mds *m, u64 now);

enum mds_slot_verdict { MDS_SLOT_RUN, MDS_SLOT_JOIN, MDS_SLOT_REPLAY, MDS_SLOT_REFUSE };

/**
 * mds_slot_begin() - what shall be done with a request that carries a slot?
 * @op: the request
 * @join: MDS_SLOT_JOIN: the op that runs already; the new request gets its answer
 * @status: MDS_SLOT_REFUSE: why
 *
 * MDS_SLOT_REPLAY: the stored reply was put into @op.
 */
enum mds_slot_verdict mds_slot_begin(struct mds_op *op, struct mds_op **join, int *status);
int mds_slot_store(struct mds_op *op);
void mds_slot_end(struct mds_op *op);
int mds_slots_load(struct mds_session *s);

/* --- cut.c, purge.c: objects on the data servers */

enum mds_cut_kind { MDS_CUT_TRUNCATE = 1, MDS_CUT_OPEN_TRUNC = 2, MDS_CUT_SPILL = 3 };

/* Cutting the objects of one inode in all its groups. */
struct mds_trim {
	struct mds *m;
	u64 ino;
	struct weft_layout layout;
	u64 size;
	u32 pending, ngroups;
	s64 bytes_delta;
	int err;
	struct weft_timer timer;
	void (*done)(struct mds_trim *t);
	void *arg;
	struct mds_trim_call *calls;
};

/**
 * mds_trim_start() - drop all bytes of an inode's objects at @size and behind
 * @t: filled in: m, ino, layout, size, done, arg
 *
 * It is tried until it succeeds; done() gets the change of allocated bytes.
 *
 * Return: 0 or -ENOMEM.
 */
int mds_trim_start(struct mds_trim *t);
/* mds_trim_fini() - free what a trim holds; no call is under way */
void mds_trim_fini(struct mds_trim *t);

/**
 * mds_cut() - from run(): cut the objects of an inode before going on
 * @op: the op
 * @n: the inode in op->tx
 * @kind: why
 * @size: new size
 *
 * The objects are cut at the smaller of the old and the new size, for a spill at 0.
 *
 * First call: logs the intent, locks the inode, returns 0; after the commit the objects are cut
 * and the op runs again. Second call: drops the intent, returns MDS_CUT_DONE.
 */
#define MDS_CUT_DONE 4
int mds_cut(struct mds_op *op, struct mds_node *n, enum mds_cut_kind kind, u64 size);
int mds_cut_recover(struct mds *m);
void mds_cut_fini(struct mds *m);

struct mds_purge {
	struct mds_purge_run *runs;
	u64 next_nr;  /* number of the next record */
	u64 scan_nr;  /* where to look for the next one to begin */
	u32 running;
	struct weft_timer timer;
};

void mds_purge_init(struct mds *m);
void mds_purge_fini(struct mds *m);
int mds_purge_load(struct mds *m);
int mds_purge_add(struct mds_tx *tx, const struct mds_inode *i);
void mds_purge_kick(struct mds *m);
/* mds_orphan_check() - an inode was closed or its grace is over: delete it if nobody has it */
void mds_orphan_check(struct mds *m, u64 ino);
void mds_orphan_scan(struct mds *m);

/* --- op.c: requests, dispatch */

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

int mds_layout_get(struct mds_op *op, const struct mds_inode *i, char *buf, size_t len);
int mds_layout_set(struct mds_op *op, struct mds_inode *i, const char *text, size_t len);

/* rename_lock.c: one lock for the cluster, at the group of shard 0 */
struct mds_rename_lock {
	u32 group; /* holder: 0: free */
	u64 seq;
	struct mds_oplist waiting;
	struct weft_timer timer;
	struct mds_call call;
	bool asking;
	u32 asked_group; /* numbers of different groups may be equal */
	u64 asked_seq;
	u64 held[64]; /* numbers by which renames of ours hold it or wait for it */
	u32 nheld;
};

void mds_rename_lock_init(struct mds *m);
void mds_rename_lock_fini(struct mds *m);
int mds_rename_lock_load(struct mds *m);

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

/* --- mds.c */

/**
 * struct mds_cfg - a metadata target
 * @env: its loop
 * @kv: its store, from mds_store_open()
 * @target: its target id
 * @net: the world outside
 * @net_arg: first argument of @net
 * @lease_ms: lease of a session, 0: WEFT_LEASE_MS
 * @expire_ms: a session that was silent for so long is forgotten, 0: 20 leases
 */
struct mds_cfg {
	struct weft_env *env;
	struct weft_kv *kv;
	u32 target;
	const struct mds_net_ops *net;
	void *net_arg;
	u32 lease_ms;
	u32 expire_ms;
};

struct mds {
	struct mds_cfg cfg;
	struct weft_env *env;
	struct weft_kv *kv;
	struct weft_map *map;
	u32 group; /* 0: not in the map yet */
	u32 local_shards;
	bool root_there, root_making, serving, failed, draining, closing;
	struct mds_batch batch;
	struct mds_table locks;
	struct mds_counters counters;
	struct mds_txns txns;
	struct mds_sessions sessions;
	struct mds_purge purge;
	struct mds_rename_lock rename_lock;
	struct mds_stats stats;
	u32 trim_seq[256]; /* slots of our requests to data servers */
	u64 trim_busy[4];
	struct mds_op *all_ops; /* that are not answered */
	u32 ops;
	struct mds_redo *redos; /* truncations taken up after a restart */
	void (*drained)(void *arg);
	void *drained_arg;
	struct weft_timer drain_timer;
};

/**
 * mds_create() - make a target and load what must be in memory
 * @cfg: its configuration, copied
 * @out: the target; it answers WEFT_S_RECOVERY until it has a map that names it
 *
 * Return: 0, -ENOMEM, -EUCLEAN, -EIO.
 */
int mds_create(const struct mds_cfg *cfg, struct mds **out);

/**
 * mds_drain() - answer what is under way, begin nothing new
 * @m: the target
 * @drained: called when all is answered
 * @arg: its argument
 */
void mds_drain(struct mds *m, void (*drained)(void *arg), void *arg);

/**
 * mds_destroy() - free a target
 * @m: the target or NULL; drained, or its ops are gone with the process
 */
void mds_destroy(struct mds *m);

/**
 * mds_fail() - this target cannot go on
 * @m: the target
 * @err: negative errno
 * @why: a sentence
 */
void mds_fail(struct mds *m, int err, const char *why);

/* mds_time() - the wall clock */
struct mds_time mds_time(struct mds *m);

/* mds_stats_text() - counters as JSON. Return: malloced text or NULL. */
char *mds_stats_text(struct mds *m, size_t *len);

#endif
