/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of libweft share; nobody else includes this. */
#ifndef WEFT_COMMON_CLIENT_IMPL_H
#define WEFT_COMMON_CLIENT_IMPL_H

#include <pthread.h>

#include "common/client/client.h"
#include "common/env_uv.h"
#include "common/mapclient.h"
#include "common/router.h"

#define CLIENT_SLOTS 64
#define CLIENT_TAIL_MAX (WEFT_GROUPS_MAX * 4 + WEFT_NAME_MAX + WEFT_SYMLINK_MAX)

struct client_group;
struct client_batch;

/**
 * struct client_op - one request on its way, with all its retries
 * @call: its present attempt; afterwards the reply
 * @opcode: what
 * @ino: names the group of a metadata request
 * @layout: names the group of a data request, together with @chunk; NULL for metadata
 * @slot: it changes something
 * @no_session: it is part of opening the session
 * @body: request body, kept by who makes it
 * @tail: its tail
 * @out: bulk to send
 * @in: where bulk goes; empty with @in_max: memory of the pool
 * @done: called on the loop when it is over
 * @ret: 0, a negative errno, or WEFT_S_* that the maker must deal with
 *
 * The rest belongs to op.c and session.c. A waiting op is in its group's list, one that pauses has
 * @timer armed, one that runs has @running.
 */
struct client_op {
	struct weft_rpc_call call;
	struct weft_client *c;
	uint16_t opcode;
	uint64_t ino;
	const struct weft_layout *layout;
	uint64_t chunk;
	bool slot;
	bool no_session;
	const void *body;
	size_t body_len;
	const void *tail;
	size_t tail_len;
	struct weft_sg out;
	struct weft_sg in;
	uint32_t in_max;
	struct weft_file *file; /* OPEN: registered here when it succeeds */
	void (*done)(struct client_op *op);
	struct client_batch *batch;
	int ret;

	struct client_op *next;
	struct client_group *group;
	int slot_nr; /* -1: none */
	uint32_t slot_seq;
	uint32_t slots_gen;
	uint32_t session_gen;
	unsigned int pauses;
	bool running, waiting, expired;
	struct weft_timer timer;
	struct weft_timer expire;
};

enum client_session { SESSION_CLOSED, SESSION_OPENING, SESSION_OPEN };

/**
 * struct client_group - what the client knows about a group
 * @session: state of the session at a metadata group
 * @session_gen: counts its openings
 * @slots_gen: counts how often the server had forgotten the slots
 * @seq: last sequence number of each slot
 * @busy: slots in use
 * @waiting: ops that wait for the session or for a slot, oldest first
 * @telling: number of the present telling of open files
 * @op: the request that opens or keeps the session
 * @ack: the acknowledgement of a recall
 */
struct client_group {
	struct client_group *next;
	struct weft_client *c;
	uint32_t id;
	bool data;
	enum client_session session;
	uint32_t session_gen;
	uint32_t slots_gen;
	unsigned int nslots;
	uint32_t seq[WEFT_SLOTS_MAX];
	bool busy[WEFT_SLOTS_MAX];
	struct client_op *waiting;
	struct weft_timer timer;
	uint32_t lease_ms;
	struct client_op *op;
	struct client_op *ack;
	uint32_t telling;
};

struct client_creds {
	uint32_t uid, gid, caps, ngroups;
	__le32 *groups;
};

/**
 * struct weft_client - a client
 * @lock: protects @creds, @next_open_id and the end of waiting
 */
struct weft_client {
	struct weft_client_opts opts;
	struct weft_env_thread *thread;
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_rpc_client *rpc;
	struct weft_mapclient *mc;
	struct weft_router *router;
	struct client_group *groups;
	struct weft_file *files;
	uint64_t session;
	uint64_t incarnation;
	uint64_t retries;
	bool closing;
	char host[64];

	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct client_creds creds;
	uint64_t next_open_id;

	/* opening and closing */
	struct weft_mgmt_call reg;
	struct weft_timer limit;
	bool opened;
	int open_err;
	unsigned int closes;
};

/**
 * struct weft_file - an open file
 * @ino: its number, while it is being opened its directory's; atomic, the loop reads it
 * @attr: as last seen
 * @size: with our own writes that are not committed
 * @delta: change of allocated bytes that is not committed
 * @dirty: something is to be committed
 * @told: the telling of open files (client_group.telling) that named it last
 */
struct weft_file {
	struct weft_file *next, **link; /* belong to the loop */
	struct weft_client *c;
	uint64_t open_id, ino;
	struct weft_attr attr;
	uint64_t size;
	int64_t delta;
	bool dirty;
	uint32_t told;
};

/* op.c */

/* Runs ops from a thread of the program and waits until all are over. */
void client_run(struct weft_client *c, struct client_op *ops, unsigned int n);
/* Begins an op on the loop. */
void client_op_start(struct client_op *op);
/* Ends an op that waits in a group. */
void client_op_finish(struct client_op *op, int ret);
/* Frees what a finished op holds. */
void client_op_fini(struct client_op *op);
/* The present group of an op. Return: 0 or a negative errno. */
struct client_group *client_group_get(struct weft_client *c, uint32_t id, bool data);
/* Lets the ops go on that wait for a group. */
void client_group_wake(struct client_group *g);
/* Runs fn on the loop and waits. */
void client_on_loop(struct weft_client *c, void (*fn)(void *arg), void *arg);

/* session.c */

void client_session_open(struct client_group *g);
/* The server does not know the session of this generation. */
void client_session_bad(struct client_group *g, uint32_t gen);
void client_session_push(struct weft_client *c, uint16_t opcode, const void *body, size_t len);
void client_session_timer(void *arg);

/* meta.c */

/**
 * client_meta() - run one metadata request
 * @c: the client
 * @op: zeroed, with opcode, slot, out, in and in_max as wanted
 * @ns: the head of @body: flags and open_id as wanted, the rest is filled in here
 * @body: the whole body
 * @body_len: its length
 * @ino: the inode or directory
 * @name: name or NULL
 * @name2: second name or NULL
 *
 * Return: 0, a negative errno, or WEFT_S_LAYOUT. client_op_fini() in any case.
 */
int client_meta(struct weft_client *c, struct client_op *op, struct weft_ns_req *ns, void *body,
		size_t body_len, uint64_t ino, const char *name, const char *name2);

#endif
