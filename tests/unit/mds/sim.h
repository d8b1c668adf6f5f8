/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata servers in one process under virtual time, for unit tests and fuzzing: real cores on
 * real stores; the loop, the network between them, the data servers and the clients are simulated.
 *
 * Everything that happens is a step (a message arrives, a commit is made, a timer fires); a server
 * can be made to crash before any step and comes back from its store.
 */
#ifndef WEFT_TESTS_MDS_SIM_H
#define WEFT_TESTS_MDS_SIM_H

#include "mds/mds.h"
#include "tests/unit/mds/fsck.h"

#define SIM_SERVERS 3
#define SIM_SHARDS 64
#define SIM_OST_GROUP 9
#define SIM_OST2_GROUP 10 /* in the second generation of the pool */
#define SIM_PUSHES 16

struct sim_event;
struct sim_message;

/* Set while the simulation takes memory for itself. */
extern volatile bool sim_exempt;

struct sim_server {
	u32 group;
	char dir[96];
	struct weft_kv *kv;
	struct mds *m; /* NULL: crashed */
	u32 life;      /* counts its starts */
};

/* A client with a session at each server. */
struct sim_client {
	u64 id;
	u32 seq[SIM_SERVERS];
	bool opened[SIM_SERVERS];
	u64 next_open;
	u32 uid, gid, caps, ngroups;
	u32 groups[8];
	u32 npushes;
	struct {
		u16 opcode;
		struct weft_lease_push body;
	} pushes[SIM_PUSHES];
	u32 lease[SIM_SERVERS];
	u64 lease_seq[SIM_SERVERS];
	u32 session_flags;
	/* open files, told again after a restart */
	struct weft_open_pair files[32];
	u32 nfiles;
	bool no_ack; /* does not answer recalls */
};

struct sim {
	struct weft_env env;
	u64 now, steps;
	u64 crash_at; /* before this step, 0: never */
	u64 commit_ns; /* so long takes a commit */
	u32 crash_who;
	u32 rnd;
	u32 nservers;
	struct sim_server servers[SIM_SERVERS];
	struct sim_client *clients[8];
	u32 nclients;
	struct sim_client *me; /* who makes the calls */
	struct weft_map *map;
	struct sim_event *events, **etail;
	struct sim_message *messages;
	struct weft_timer *timers[256];
	u32 ntimers;
	u32 roots, need_maps, trims, trims2; /* trims2: those of the second data group */
	u32 silent_group; /* a data group that does not answer */
	u64 trim_ino, trim_chunk;
	u32 trim_off;
	int trim_err;	/* data servers answer so, once */
	s64 trim_delta;
	int fatal;
	char base[64];
	/* the reply of the last call */
	union mds_rep rep;
	char *data;
	size_t data_len;
	char tail[256];
	size_t tail_len;
	bool replied;
	int status;
	u32 tries; /* that the last call took */
};

/* For sim_client.c: memory that is there, a copy, the end of the program, steps until a time. */
void *sim_take(size_t n);
void *sim_dup(const void *p, size_t len);
void sim_die(const char *what);
bool sim_step_until(struct sim *s, u64 until);

/* Ends the program when it cannot be made. */
void sim_start(struct sim *s, u32 nservers);
void sim_stop(struct sim *s);

/* Let everything happen that happens without waiting longer than @ms. */
void sim_run(struct sim *s, u32 ms);

/* One event, or one timer that is due. Return: false when there is none. */
bool sim_step(struct sim *s);
/* Management extends the file system: a second generation of the pool, in a map that all get. */
void sim_extend(struct sim *s);
void sim_crash(struct sim *s, u32 server);
void sim_restart(struct sim *s, u32 server);

/* fsck_run() on all stores once nothing moves; says to stderr what is wrong, returns false then. */
bool sim_consistent(struct sim *s);

/* A client with root's credentials; becomes s->me. */
void sim_client(struct sim *s, struct sim_client *c);
void sim_user(struct sim *s, u32 uid, u32 gid);
void sim_root(struct sim *s);

u32 sim_server_of(struct sim *s, u64 ino);

/* A request with everything spelled out; retried as clients do. Return: 0, -errno or WEFT_S_*. */
struct sim_request {
	u16 opcode;
	u64 ino;
	u32 server; /* with no_ns */
	bool no_ns;
	bool once; /* no retry */
	u64 epoch; /* of the client's map, 0: the newest */
	u32 seq;   /* slot sequence number, 0: the next one when the operation wants one */
	const void *body;
	size_t body_len;
	const char *name, *name2;
	u32 name_len, name2_len; /* 0: strlen */
	const void *tail; /* with no_ns */
	size_t tail_len;
	const void *bulk;
	size_t bulk_len;
	u32 bulk_max;
	u32 flags;
	u64 open_id;
};
int sim_request(struct sim *s, const struct sim_request *r);

/* Begin a request and do not wait: s->replied tells when it is over. */
void sim_begin(struct sim *s, const struct sim_request *r);
int sim_open_session(struct sim *s, u32 server);

/* Operations; inode numbers come back through pointers that may be NULL. */
int sim_lookup(struct sim *s, u64 dir, const char *name, struct weft_attr *a);
int sim_getattr(struct sim *s, u64 ino, struct weft_attr *a);
int sim_create(struct sim *s, u64 dir, const char *name, u32 mode, u64 *ino);
int sim_symlink(struct sim *s, u64 dir, const char *name, const char *target, u64 *ino);
int sim_unlink(struct sim *s, u64 dir, const char *name);
int sim_rmdir(struct sim *s, u64 dir, const char *name);
int sim_link(struct sim *s, u64 ino, u64 dir, const char *name);
int sim_rename(struct sim *s, u64 dir, const char *name, u64 new_dir, const char *new_name,
	       u32 flags);
int sim_setattr(struct sim *s, u64 ino, struct weft_setattr_req *req);
int sim_chmod(struct sim *s, u64 ino, u32 mode);
int sim_chown(struct sim *s, u64 ino, u32 valid, u32 uid, u32 gid);
int sim_truncate(struct sim *s, u64 ino, u64 size);
int sim_open(struct sim *s, u64 dir, const char *name, u32 flags, u32 mode, u64 *ino, u64 *id);
int sim_close(struct sim *s, u64 ino, u64 id);
int sim_write(struct sim *s, u64 ino, u64 off, const void *data, size_t len);
int sim_commit(struct sim *s, u64 ino, u64 size, s64 delta);
int sim_spill(struct sim *s, u64 ino, u32 step, u64 size);
int sim_setxattr(struct sim *s, u64 ino, const char *name, const char *val, u32 flags);
int sim_getxattr(struct sim *s, u64 ino, const char *name, char *buf, size_t len);

/* A directory of root's on a server. */
u64 sim_dir_on(struct sim *s, u64 parent, u32 server, char *name);

#endif
