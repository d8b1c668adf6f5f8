/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client sessions (session.c), their request slots (slots.c), open files (open.c) and the lease
 * (lease.c).
 */
#ifndef WEFT_MDS_SESSION_H
#define WEFT_MDS_SESSION_H

#include "mds/batch.h"
#include "mds/table.h"

struct mds;
struct mds_op;
struct mds_redo;

struct mds_slot {
	u32 seq; /* last one begun */
	struct mds_op *running;
	struct mds_redo *redo; /* a cut that was under way at the restart makes the reply of @seq */
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
	u64 former;	 /* may have the SOLE lease from before the restart, 0: none */
	u64 foreign_until; /* env time: a client without a session here changes things */
	u64 foreigner;	   /* that client, 0: several */
	bool granting;
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

/**
 * mds_open_prepare() - an open file that is registered when a change is applied
 * @tx: the change
 * @s: whose
 * @ino: inode
 * @open_id: id of the registration
 *
 * Return: 0 or -ENOMEM.
 */
int mds_open_prepare(struct mds_tx *tx, struct mds_session *s, u64 ino, u64 open_id);
/* mds_open_apply() - register what was prepared */
void mds_open_apply(struct mds_open **list);
/* mds_open_forget() - the change is not made */
void mds_open_forget(struct mds_open **list);
bool mds_open_del(struct mds_session *s, u64 ino, u64 open_id);
bool mds_is_open(struct mds *m, u64 ino);
/* mds_open_elsewhere() - has another session it open, or is that not known yet? */
bool mds_open_elsewhere(const struct mds_session *s, u64 ino);
/* mds_open_drop() - one of a session's registrations, whose inode it was. Return: 0: none left. */
u64 mds_open_drop(struct mds_session *s);

int mds_run_lease_ack(struct mds_op *op);
/*
 * mds_lease_admit() - a session wants in: may it? Else the sole holder is asked to step back, or
 * that of before a restart is waited for; the op is to wait in sessions.waiting.
 */
bool mds_lease_admit(struct mds *m, struct mds_session *s);
/**
 * mds_lease_open() - from run(): a session was let in; is it alone?
 * @op: its SESSION_OPEN, whose batch stores the answer
 * @s: the session
 *
 * Return: 0 or -ENOMEM.
 */
int mds_lease_open(struct mds_op *op, struct mds_session *s);
/* mds_lease_update() - sessions have changed: one that is alone now gets the lease */
void mds_lease_update(struct mds *m);
/*
 * mds_lease_foreign() - a transaction of another group, on behalf of @session, is to change things
 * here: must the sole holder be waited for? It is asked to step back then.
 */
bool mds_lease_foreign(struct mds *m, u64 session);
/* mds_lease_load() - who may have the lease from before the restart? */
int mds_lease_load(struct mds *m);
/* mds_lease_grace_over() - all sessions are known: give the lease, let in who waits */
void mds_lease_grace_over(struct mds *m);
/* mds_lease_lost() - a session's lease is over (acknowledged, run out, closed) */
void mds_lease_lost(struct mds_session *s);
/* mds_lease_tick() - has a recall waited long enough? */
void mds_lease_tick(struct mds *m, u64 now);

enum mds_slot_verdict {
	MDS_SLOT_RUN,
	MDS_SLOT_JOIN,
	MDS_SLOT_REPLAY,
	MDS_SLOT_REFUSE,
	MDS_SLOT_WAIT, /* it was kept, and comes again by mds_dispatch() */
};

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
/* mds_slot_put() - a reply into the batch of @tx. Return: 0 or -ENOMEM. */
int mds_slot_put(struct mds_tx *tx, u64 session, u32 slot, u32 seq, u16 opcode, const void *body,
		 size_t len);
void mds_slot_end(struct mds_op *op);
int mds_slots_load(struct mds_session *s);

#endif
