/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects of the lower half and what its files offer each other; the VFS half does not include it.
 *
 *	weft_fs -> weft_map		epoch, groups, targets (map.c)
 *		-> weft_peer		a target, or management: queue of requests (link.c)
 *			-> weft_rail	one of its addresses (rail.c)
 *			-> weft_link	one connection: handshake, outstanding requests (link.c)
 *				-> weft_xprt	tcp or rdma (transport.h)
 *		-> weft_session		one per metadata group: slots, lease (session.c)
 *		-> weft_rpc		requests, wherever they are (rpc.c, route.c)
 *
 * Locking: fs->lock (a spinlock, process context only) protects the state of all requests, queues,
 * slots, links, and sessions of the mount; sections under it are short, allocate nothing and call
 * nobody. Peers, links and sessions are made when a map names their target or group and live until
 * the mount ends, so pointers to them need no reference. Maps are replaced under RCU. Transports
 * have locks of their own, which nest outside fs->lock (fs->lock is taken inside upcalls).
 */
#ifndef WEFT_KMOD_NET_H
#define WEFT_KMOD_NET_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include "kmod/client.h"
#include "kmod/rpc.h"
#include "kmod/transport.h"

#define WEFT_ADDRS_MAX WEFT_MGMT_MAX
#define WEFT_SLOTS_WANTED 64
#define WEFT_WINDOW_MAX 256
#define WEFT_WINDOW_RESERVE 2 /* of the window, for urgent requests */

/**
 * struct weft_slots - request slots of one session at one group, or at one object storage target
 * @count: slots in use by both sides, 0: not known yet
 * @busy: which are taken
 * @seq: last sequence number of each
 * @waiting: requests without a slot, first come first served
 */
struct weft_slots {
	u32 count;
	DECLARE_BITMAP(busy, WEFT_SLOTS_MAX);
	u32 seq[WEFT_SLOTS_MAX];
	struct list_head waiting;
};

struct weft_map {
	struct weft_map_view view;
	struct rcu_head rcu;
	void *buf;
};

enum weft_link_state {
	WEFT_LINK_DOWN,	      /* nothing open; the work may be pending */
	WEFT_LINK_CONNECTING, /* the work is connecting or shaking hands */
	WEFT_LINK_READY,
	WEFT_LINK_BROKEN, /* the work will close it and begin again */
};

/**
 * struct weft_link - one connection to a peer, kept up
 * @sent: requests given to @xprt, in the order of sending
 * @nsent: their number
 * @bytes: their bulk bytes, to choose the least busy link
 * @window: how many may be outstanding, as the last reply granted; @window_max: as INIT did
 * @heard: jiffies when the peer was last heard of
 * @ping: a PING is outstanding
 * @proved: the connection has answered a request, or lasted for some seconds
 * @tries: attempts to connect, and connections that broke before they proved themselves, since one
 *	did; 0: there was none yet
 * @again: jiffies before which it is not connected again
 */
struct weft_link {
	struct weft_peer *peer;
	struct weft_rail *rail;
	unsigned int index;
	enum weft_link_state state;
	struct weft_xprt *xprt;
	struct list_head sent;
	unsigned int nsent, window, window_max;
	u64 bytes, boot, features;
	unsigned long heard, again;
	bool ping, proved;
	int error;
	unsigned int tries;
	struct delayed_work work, watch;
	wait_queue_head_t wait;
};

/* Where a server listens, and by what it is reached there. */
struct weft_addr {
	const struct weft_xprt_ops *ops;
	struct sockaddr_storage addr;
};

/**
 * struct weft_rail - an address of a peer: the one with its index
 * @first: its links: peer->conns of them
 * @up: how many are ready
 * @failures: attempts that failed, or broke at once, since a connection proved itself
 * @requests, @bytes: given to its links, with their bulk in both directions
 * @lost: connections that broke
 * @error: why the last one did, or could not be made; 0 when one has proved itself again
 * @told_down, @told_breaks: the log says so already
 */
struct weft_rail {
	struct weft_peer *peer;
	struct weft_link *first;
	unsigned int index, up, failures;
	bool told_down, told_breaks;
	int error;
	u64 requests, bytes, lost;
};

/**
 * struct weft_peer - a target that requests are sent to; target 0: management
 * @wanted: something was sent to it: its links keep themselves connected
 * @boot: number of the server process that was last shaken hands with
 * @slots: object storage: request slots (metadata has them in its sessions)
 * @failures: handshakes failed since the last good one
 * @conns: links of each rail
 * @links: of all rails, rail by rail
 * @turn: rail that gets the next request when all are equally loaded
 * @fallback: net=auto: no RDMA rail works, those of TCP are used
 * @unreachable: the map has no address of it that this mount may use; this was told
 */
struct weft_peer {
	struct weft_fs *fs;
	u32 target;
	u8 kind; /* enum weft_target_kind, 0: management */
	bool wanted;
	u64 boot;
	struct weft_addr addrs[WEFT_ADDRS_MAX];
	unsigned int naddrs, next_addr, failures;
	bool fallback, unreachable;
	struct list_head queue;
	struct weft_slots slots;
	struct work_struct kick; /* weft_peer_kick() for those who hold fs->lock */
	unsigned int nrails, conns, nlinks, turn;
	struct weft_rail rails[WEFT_ADDRS_MAX];
	struct weft_link *links;
};

enum weft_session_state {
	WEFT_SESSION_CLOSED,  /* requests are gated, the work will open it */
	WEFT_SESSION_OPENING, /* the same, under way */
	WEFT_SESSION_OPEN,
};

/**
 * struct weft_session - this client at one metadata group
 * @target: where it was opened, or is being opened
 * @wanted: a request has asked for it
 * @refresh: a connection broke: open it again when it is back, without gating requests
 * @opened_once: a later opening that finds it unknown has lost something
 * @keepalive_out: a KEEPALIVE is under way
 * @generation: counts losses, so that an opening that was overtaken by one is not believed
 * @lease: enum weft_lease as granted and told to the VFS, valid until @lease_until (boot time, ns)
 * @lease_seq: number of the lease
 * @vfs_sole: the VFS was last told that it has the lease
 * @flushing: the VFS is writing back what it changed under a lease that is gone
 * @recall, @grant: pushes that are still to be carried out, with their numbers
 * @upcalls: callbacks to the VFS about this group come one at a time
 */
struct weft_session {
	struct weft_fs *fs;
	u32 group, target;
	enum weft_session_state state;
	bool wanted, refresh, opened_once, keepalive_out;
	u32 generation;
	u32 lease_ms;
	u32 lease;
	u64 lease_until, lease_seq;
	bool vfs_sole, flushing, recall, grant;
	u64 recall_seq, grant_seq;
	struct weft_slots slots;
	struct list_head gated;
	struct mutex upcalls;
	struct delayed_work open_work, keepalive;
	struct work_struct lease_work;
};

struct weft_op_stats {
	u64 count, errors, bytes_out, bytes_in, ns;
};

/* Faults that tests put into a mount by debugfs. */
struct weft_inject {
	u32 disconnect;	 /* break the connection at each n-th request */
	u32 delay_ms;	 /* hold each reply for so long */
	atomic_t drop_n; /* lose so many replies, with their connection */
	atomic_t count;
};

struct weft_fs {
	const struct weft_fs_ops *ops;
	void *priv;
	const struct weft_xprt_ops *rdma; /* NULL: not allowed, or there is none */
	enum weft_net mode;
	struct weft_subnet subnets[WEFT_SUBNETS_MAX];
	unsigned int nsubnets;
	struct net *net;
	u8 *secret;
	size_t secret_len;
	char hostname[65];
	unsigned int conns;
	bool checksum;
	u64 client_id, incarnation;
	u8 fsid[16];
	bool fsid_known;
	u32 id; /* of this mount in debugfs and traces */

	spinlock_t lock;
	int aborted; /* 0, or the error that every request ends with */
	bool closing;  /* disconnect has begun: sessions and map are not kept up any more */
	bool stopping; /* links do not come back */
	bool connecting;
	int map_error; /* why the last map that was refused was */
	struct weft_map __rcu *map;
	struct weft_peer *mgmt;
	struct xarray peers;	/* by target */
	struct xarray sessions; /* by metadata group */
	struct list_head parked;
	struct list_head all;
	unsigned int live, sessions_closing;
	wait_queue_head_t wait; /* @live has become 0, a map has come */
	atomic64_t next_id;

	struct delayed_work map_work;

	u64 reconnects, pauses, replays, fallbacks;
	unsigned int fallen; /* peers that are in fallback now */
	unsigned int up_tcp, up_rdma; /* links to targets that are ready */
	struct weft_op_stats stats[WEFT_OP_LIMIT];
	struct weft_inject inject;
	struct dentry *debugfs;
};

extern struct workqueue_struct *weft_io_wq;	 /* transports, completions: never blocks long */
extern struct workqueue_struct *weft_link_wq;	 /* connecting */
extern struct workqueue_struct *weft_session_wq; /* sessions, map: may wait for requests */

/* client.c */
void weft_fs_fail(struct weft_fs *fs, int err);

/* rpc.c */
int weft_rpc_cache_init(void);
void weft_rpc_cache_exit(void);
int weft_rpc_want_tail(struct weft_rpc *rpc, size_t max, gfp_t gfp);
void weft_rpc_fill(struct weft_rpc *rpc, struct weft_link *link);
void weft_rpc_end(struct weft_rpc *rpc, int error);
void weft_rpc_submit_on(struct weft_rpc *rpc, struct weft_link *link);

/* route.c, all with fs->lock held */
void weft_route(struct weft_rpc *rpc);
void weft_route_all(struct weft_fs *fs);
void weft_route_leave(struct weft_rpc *rpc);
void weft_route_answered(struct weft_rpc *rpc, const struct weft_hdr *hdr, bool damaged);
void weft_route_retry(struct work_struct *work);

/* slots.c, all with fs->lock held */
void weft_slots_init(struct weft_slots *s, u32 count);
bool weft_slots_take(struct weft_slots *s, struct weft_rpc *rpc);
void weft_slots_release(struct weft_rpc *rpc);
void weft_slots_unknown(struct weft_rpc *rpc);
void weft_slots_forgotten(struct weft_fs *fs, struct weft_slots *s);

/* rail.c, with fs->lock held */
const struct weft_addr *weft_rail_addr(const struct weft_rail *rail);
bool weft_rail_wanted(const struct weft_rail *rail);
bool weft_link_wanted(const struct weft_link *link);
bool weft_peer_up(const struct weft_peer *peer);
void weft_rail_up(struct weft_link *link);
void weft_rail_proved(struct weft_link *link);
u32 weft_rail_lost(struct weft_link *link, int err);
u32 weft_rail_failed(struct weft_link *link, int err);
u32 weft_fs_transport_flags(struct weft_fs *fs);
void weft_peer_addrs(struct weft_peer *peer, const struct weft_addr *addrs, unsigned int n);
bool weft_subnets_have(const struct weft_fs *fs, const u8 *addr);

/* link.c */
struct weft_peer *weft_peer_alloc(struct weft_fs *fs, u32 target, u8 kind);
void weft_peer_stop(struct weft_peer *peer);
void weft_peer_free(struct weft_peer *peer);
void weft_peer_kick(struct weft_peer *peer);
void weft_link_break(struct weft_link *link, int err);
void weft_link_forget(struct weft_rpc *rpc);
void weft_link_detach(struct weft_rpc *rpc, const void *copy);

/* session.c */
struct weft_session *weft_session_alloc(struct weft_fs *fs, u32 group);
void weft_session_stop(struct weft_session *s);
void weft_session_free(struct weft_session *s);
void weft_session_gate(struct weft_session *s, struct weft_rpc *rpc);
void weft_session_lost(struct weft_session *s);
void weft_sessions_peer_up(struct weft_peer *peer, bool restarted);
void weft_sessions_peer_down(struct weft_peer *peer);
void weft_session_push(struct weft_fs *fs, u16 opcode, const struct weft_lease_push *push);
void weft_sessions_close(struct weft_fs *fs);

/* reclaim.c */
/* One callback's worth of open files, on their way to the server. */
struct weft_reclaim {
	struct weft_session *session;
	struct weft_rpc *rpc;
	u32 count;
	int error;
};

int weft_session_call(struct weft_session *s, struct weft_rpc *rpc);
int weft_reclaim_end(struct weft_reclaim *r, bool always);

/* map.c */
void weft_map_work(struct work_struct *work);
void weft_map_refresh(struct weft_fs *fs, u64 epoch);
u64 weft_map_epoch(struct weft_fs *fs);
int weft_map_reachable(struct weft_fs *fs);
void weft_map_free(struct weft_map *map);

/* digest.c */
struct iov_iter;
u32 weft_crc32c_iter(const struct iov_iter *iter, size_t len);
int weft_auth_mac(const struct weft_fs *fs, const char *label, const u8 *nonce1,
		  const u8 *nonce2, u8 *mac);

/* stats.c */
void weft_stats_count(struct weft_rpc *rpc);
void weft_debugfs_add(struct weft_fs *fs);
void weft_debugfs_remove(struct weft_fs *fs);
void weft_debugfs_init(void);
void weft_debugfs_exit(void);

#endif
