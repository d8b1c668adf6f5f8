// SPDX-License-Identifier: GPL-2.0
/*
 * Sessions at metadata groups: opened at the first request, kept alive, opened again after a loss,
 * and with them the lease.
 *
 *	state		requests	what ends it
 *	CLOSED		gated		open_work sends SESSION_OPEN
 *	OPENING		gated		the reply, after RECLAIM if the server restarted
 *	OPEN		pass		weft_session_lost(): BAD_SESSION, or the server restarted
 *
 * When only a connection broke and the server is the same process, the session stays OPEN and is
 * opened once more behind the back of the requests, because the server's pushes come over the
 * connections that it knows.
 *
 * The lease: KEEPALIVE every third of it. It is believed until the time of *sending* the request
 * that renewed it plus 15/16 of its length, by the boot clock. A recall makes weft_fs_lease()
 * answer NONE at once; lease_work then lets the VFS register its open files and write back, and
 * tells the server. A grant is told to the VFS before it is visible.
 *
 * Locks: fs->lock for the state; s->upcalls (outside it) around everything that calls the VFS,
 * except writing back, whose requests may need the session to be opened again.
 * SESSION_OPEN, RECLAIM and LEASE_ACK are waited for in works; weft_fs_abort() ends these waits.
 */
#include <linux/slab.h>
#include "kmod/net.h"
#include "kmod/trace.h"

#define RETRY (HZ / 4)
#define LEASE_MS_MAX (10 * 60 * 1000)
#define DRAIN_MAX (2 * HZ) /* for requests that were sent into a session that is lost */

static void session_open_work(struct work_struct *work);
static void session_keepalive(struct work_struct *work);
static void session_lease_work(struct work_struct *work);

/**
 * weft_session_alloc() - make a closed session
 * @fs: the cluster
 * @group: metadata group
 *
 * Return: the session or NULL.
 */
struct weft_session *weft_session_alloc(struct weft_fs *fs, u32 group)
{
	struct weft_session *s = kzalloc(sizeof(*s), GFP_NOFS);

	if (!s)
		return NULL;
	s->fs = fs;
	s->group = group;
	s->lease_ms = WEFT_LEASE_MS;
	weft_slots_init(&s->slots, 0);
	INIT_LIST_HEAD(&s->gated);
	mutex_init(&s->upcalls);
	INIT_DELAYED_WORK(&s->open_work, session_open_work);
	INIT_DELAYED_WORK(&s->keepalive, session_keepalive);
	INIT_WORK(&s->lease_work, session_lease_work);
	return s;
}

/* weft_session_stop() - no work of it runs any more; the cluster was aborted */
void weft_session_stop(struct weft_session *s)
{
	cancel_delayed_work_sync(&s->open_work);
	cancel_delayed_work_sync(&s->keepalive);
	cancel_work_sync(&s->lease_work);
}

void weft_session_free(struct weft_session *s)
{
	kfree(s);
}

static bool session_over(const struct weft_fs *fs)
{
	return fs->aborted || fs->closing;
}

static void session_kick_open(struct weft_session *s, unsigned long delay)
{
	if (!session_over(s->fs) && s->wanted)
		queue_delayed_work(weft_session_wq, &s->open_work, delay);
}

/**
 * weft_session_gate() - a request waits for the session
 * @s: a session that is not open
 * @rpc: the request
 *
 * Context: fs->lock is held.
 */
void weft_session_gate(struct weft_session *s, struct weft_rpc *rpc)
{
	rpc->place = WEFT_RPC_GATED;
	list_add_tail(&rpc->node, &s->gated);
	s->wanted = true;
	session_kick_open(s, 0);
}

/* Requests that were let through and are still here have to wait for the session after all. */
static void session_pull_back(struct weft_session *s)
{
	struct weft_peer *peer = xa_load(&s->fs->peers, s->target);
	struct weft_rpc *rpc, *tmp;
	LIST_HEAD(again);

	if (!peer)
		return;
	list_for_each_entry_safe(rpc, tmp, &peer->queue, node)
		if (rpc->session == s)
			list_move_tail(&rpc->node, &again);
	while ((rpc = list_first_entry_or_null(&again, struct weft_rpc, node))) {
		list_del_init(&rpc->node);
		weft_route(rpc);
	}
}

/**
 * weft_session_lost() - the server does not know the session (any more)
 * @s: the session
 *
 * Context: fs->lock is held.
 */
void weft_session_lost(struct weft_session *s)
{
	s->generation++;
	s->state = WEFT_SESSION_CLOSED;
	s->refresh = false;
	s->recall = false;
	s->grant = false;
	s->recall_seq = 0;
	WRITE_ONCE(s->lease, WEFT_LEASE_NONE);
	trace_weft_session(s, "lost");
	session_pull_back(s);
	session_kick_open(s, 0);
}

/**
 * weft_sessions_peer_up() - a connection to a metadata target is ready
 * @peer: the target
 * @restarted: its server is another process than before
 *
 * Context: fs->lock is held.
 */
void weft_sessions_peer_up(struct weft_peer *peer, bool restarted)
{
	struct weft_session *s;
	unsigned long group;

	xa_for_each(&peer->fs->sessions, group, s) {
		if (s->target != peer->target)
			continue;
		if (restarted)
			weft_session_lost(s);
		else if (s->refresh)
			session_kick_open(s, 0);
	}
}

/* weft_sessions_peer_down() - a connection to a metadata target has gone; fs->lock is held */
void weft_sessions_peer_down(struct weft_peer *peer)
{
	struct weft_session *s;
	unsigned long group;

	xa_for_each(&peer->fs->sessions, group, s)
		if (s->target == peer->target && s->state == WEFT_SESSION_OPEN)
			s->refresh = true;
}

/* --- open files and lease; s->upcalls is held */

static int session_reclaim(struct weft_session *s)
{
	struct weft_reclaim r = { .session = s };
	int ret;

	trace_weft_session(s, "reclaim");
	s->fs->ops->reclaim(s->fs->priv, s->group, &r);
	ret = weft_reclaim_end(&r, true);
	s->fs->ops->reclaimed(s->fs->priv, s->group);
	return ret;
}

static void session_grant(struct weft_session *s, u64 seq, u32 generation)
{
	struct weft_fs *fs = s->fs;

	fs->ops->lease_granted(fs->priv, s->group);
	spin_lock(&fs->lock);
	s->vfs_sole = true;
	if (!s->recall && s->generation == generation) {
		WRITE_ONCE(s->lease_seq, seq);
		WRITE_ONCE(s->lease, WEFT_LEASE_SOLE);
	}
	trace_weft_session(s, "granted");
	spin_unlock(&fs->lock);
}

/*
 * Writing back may need the session to be opened again (the server restarts, or finds that it takes
 * too long), and that needs s->upcalls.
 */
static int session_give_up(struct weft_session *s)
{
	struct weft_reclaim r = { .session = s };
	int ret;

	trace_weft_session(s, "recalled");
	s->fs->ops->lease_lost(s->fs->priv, s->group, &r);
	ret = weft_reclaim_end(&r, false);
	s->fs->ops->reclaimed(s->fs->priv, s->group);
	if (ret)
		return ret;
	s->vfs_sole = false;
	s->flushing = true;
	mutex_unlock(&s->upcalls);
	s->fs->ops->flush(s->fs->priv, s->group);
	mutex_lock(&s->upcalls);
	s->flushing = false;
	return 0;
}

static void session_ack(struct weft_session *s, u64 seq)
{
	struct weft_lease_ack_req *req;
	struct weft_rpc *rpc;

	rpc = weft_rpc_alloc(s->fs, WEFT_OP_LEASE_ACK, 0, GFP_NOFS);
	if (!rpc)
		return; /* the server waits until the lease has run out */
	req = rpc->body;
	req->lease_seq = cpu_to_le64(seq);
	weft_session_call(s, rpc);
	weft_rpc_put(rpc);
}

static void session_lease_work(struct work_struct *work)
{
	struct weft_session *s = container_of(work, struct weft_session, lease_work);
	struct weft_fs *fs = s->fs;
	u64 recall_seq, grant_seq;
	bool recall, grant;
	u32 generation;

	mutex_lock(&s->upcalls);
	spin_lock(&fs->lock);
	recall = s->recall;
	grant = s->grant;
	recall_seq = s->recall_seq;
	grant_seq = s->grant_seq;
	generation = s->generation;
	s->grant = false;
	spin_unlock(&fs->lock);

	/* One of the time before a loss has been answered by that. */
	if (recall && !session_give_up(s) && READ_ONCE(s->generation) == generation)
		session_ack(s, recall_seq);
	spin_lock(&fs->lock);
	if (s->recall_seq == recall_seq)
		s->recall = false;
	spin_unlock(&fs->lock);
	if (grant)
		session_grant(s, grant_seq, generation);
	mutex_unlock(&s->upcalls);
}

/* The server takes the lease back, or says that it has done so; fs->lock is held. */
static void session_recalled(struct weft_session *s, u64 seq)
{
	WRITE_ONCE(s->lease, WEFT_LEASE_NONE);
	s->recall = true;
	s->recall_seq = seq;
	s->grant = false;
	queue_work(weft_session_wq, &s->lease_work);
}

static void session_granted(struct weft_session *s, u64 seq)
{
	s->grant = true;
	s->grant_seq = seq;
	queue_work(weft_session_wq, &s->lease_work);
}

/**
 * weft_session_push() - the server says something about a lease
 * @fs: the cluster
 * @opcode: WEFT_OP_LEASE_RECALL or WEFT_OP_LEASE_GRANT
 * @push: its body
 */
void weft_session_push(struct weft_fs *fs, u16 opcode, const struct weft_lease_push *push)
{
	struct weft_session *s = xa_load(&fs->sessions, le32_to_cpu(push->group));
	u64 seq = le64_to_cpu(push->lease_seq);

	if (!s)
		return;
	spin_lock(&fs->lock);
	if (session_over(fs) || !s->wanted)
		;
	else if (opcode == WEFT_OP_LEASE_RECALL)
		session_recalled(s, seq);
	else if (s->state != WEFT_SESSION_CLOSED)
		session_granted(s, seq);
	spin_unlock(&fs->lock);
}

enum weft_lease weft_fs_lease(struct weft_fs *fs, u64 ino)
{
	enum weft_lease lease = WEFT_LEASE_NONE;
	struct weft_session *s;
	struct weft_map *map;

	rcu_read_lock();
	map = rcu_dereference(fs->map);
	s = map ? xa_load(&fs->sessions, weft_map_shard_group(&map->view, ino)) : NULL;
	if (s && READ_ONCE(s->lease) == WEFT_LEASE_SOLE &&
	    ktime_get_coarse_boottime_ns() < READ_ONCE(s->lease_until))
		lease = WEFT_LEASE_SOLE; /* a tick late at most, and the sixteenth is in hand */
	rcu_read_unlock();
	return lease;
}

/* The lease was renewed by a request that was sent at @sent. */
static void session_renewed(struct weft_session *s, u64 sent, u32 lease_ms)
{
	u64 until;

	s->lease_ms = clamp_t(u32, lease_ms, 1000, LEASE_MS_MAX);
	until = sent + (u64)s->lease_ms * (NSEC_PER_MSEC / 16 * 15);
	if (until > s->lease_until)
		WRITE_ONCE(s->lease_until, until);
}

/* A push may have got lost with its connection: what the server thinks is carried out as well. */
static void session_compare(struct weft_session *s, u32 lease, u64 seq)
{
	u64 known = s->lease == WEFT_LEASE_SOLE ? s->lease_seq : 0;

	if (session_over(s->fs) || seq <= max(known, s->recall_seq))
		return;
	if (lease == WEFT_LEASE_NONE)
		session_recalled(s, seq);
	else if (s->lease == WEFT_LEASE_NONE)
		session_granted(s, seq);
}

static void keepalive_done(struct weft_rpc *rpc)
{
	const struct weft_keepalive_rep *rep = weft_rpc_reply(rpc);
	struct weft_session *s = rpc->priv;
	struct weft_fs *fs = rpc->fs;

	spin_lock(&fs->lock);
	s->keepalive_out = false;
	if (!rpc->error && s->state == WEFT_SESSION_OPEN && rpc->generation == s->generation) {
		session_renewed(s, rpc->sent_at, le32_to_cpu(rep->lease_ms));
		session_compare(s, le32_to_cpu(rep->lease), le64_to_cpu(rep->lease_seq));
	}
	spin_unlock(&fs->lock);
}

static void session_keepalive(struct work_struct *work)
{
	struct weft_session *s = container_of(work, struct weft_session, keepalive.work);
	struct weft_fs *fs = s->fs;
	struct weft_rpc *rpc;
	bool send;

	spin_lock(&fs->lock);
	send = s->state == WEFT_SESSION_OPEN && !session_over(fs);
	if (send) {
		queue_delayed_work(weft_session_wq, &s->keepalive,
				   msecs_to_jiffies(s->lease_ms / 3));
		send = !s->keepalive_out;
		s->keepalive_out = true;
	}
	spin_unlock(&fs->lock);
	if (!send)
		return;
	rpc = weft_rpc_alloc(fs, WEFT_OP_KEEPALIVE, 0, GFP_NOFS);
	weft_rpc_to_group(rpc, s->group);
	rpc->flags |= WEFT_RPC_F_SESSION | WEFT_RPC_F_URGENT;
	rpc->done = keepalive_done;
	rpc->priv = s;
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
}

/* --- opening */

static struct weft_rpc *session_open_rpc(struct weft_session *s)
{
	struct weft_fs *fs = s->fs;
	size_t len = strlen(fs->hostname);
	struct weft_session_open_req *req;
	struct weft_rpc *rpc;

	rpc = weft_rpc_alloc(fs, WEFT_OP_SESSION_OPEN, len, GFP_NOFS);
	if (!rpc)
		return NULL;
	req = rpc->body;
	req->incarnation = cpu_to_le64(fs->incarnation);
	req->slots = cpu_to_le16(WEFT_SLOTS_WANTED);
	req->name_len = cpu_to_le16(len);
	weft_rpc_add_tail(rpc, fs->hostname, len);
	return rpc;
}

/* Requests may pass. Return: false if the session was lost again meanwhile. */
static bool session_pass(struct weft_session *s, u32 generation)
{
	struct weft_fs *fs = s->fs;
	struct weft_rpc *rpc;
	bool ours;

	spin_lock(&fs->lock);
	ours = s->generation == generation;
	if (ours) {
		s->state = WEFT_SESSION_OPEN;
		s->opened_once = true;
		while ((rpc = list_first_entry_or_null(&s->gated, struct weft_rpc, node))) {
			weft_route_leave(rpc);
			weft_route(rpc);
			if (rpc->place == WEFT_RPC_QUEUED)
				queue_work(weft_io_wq, &rpc->peer->kick);
		}
		mod_delayed_work(weft_session_wq, &s->keepalive,
				 msecs_to_jiffies(s->lease_ms / 3));
	}
	trace_weft_session(s, ours ? "open" : "overtaken");
	spin_unlock(&fs->lock);
	return ours;
}

/* What the reply says about slots. Return: true if the open files have to be told. */
static bool session_take_reply(struct weft_session *s, const struct weft_session_open_rep *rep,
			       u64 sent)
{
	u32 slots = clamp_t(u32, le16_to_cpu(rep->slots), 1, WEFT_SLOTS_MAX);
	u32 flags = le32_to_cpu(rep->flags);
	struct weft_fs *fs = s->fs;
	bool forgotten;

	spin_lock(&fs->lock);
	forgotten = (flags & WEFT_SESSION_NEW) && s->opened_once;
	if (forgotten)
		weft_slots_forgotten(fs, &s->slots);
	s->slots.count = slots;
	session_renewed(s, sent, le32_to_cpu(rep->lease_ms));
	spin_unlock(&fs->lock);
	return forgotten || (flags & WEFT_SESSION_RECLAIM);
}

/* Another client is there, or the server is just taking the lease back from us and waits. */
static void session_not_sole(struct weft_session *s, u64 seq)
{
	struct weft_fs *fs = s->fs;

	if (s->vfs_sole || s->flushing) {
		spin_lock(&fs->lock);
		session_recalled(s, seq);
		spin_unlock(&fs->lock);
		return;
	}
	session_ack(s, seq);
	spin_lock(&fs->lock);
	s->recall_seq = max(s->recall_seq, seq);
	spin_unlock(&fs->lock);
}

static int session_opened(struct weft_session *s, struct weft_rpc *rpc, u32 generation)
{
	const struct weft_session_open_rep *rep = weft_rpc_reply(rpc);
	u64 seq = le64_to_cpu(rep->lease_seq);
	bool sole = le32_to_cpu(rep->lease) == WEFT_LEASE_SOLE;
	int ret = 0;

	mutex_lock(&s->upcalls);
	if (session_take_reply(s, rep, rpc->sent_at))
		ret = session_reclaim(s);
	if (ret || !session_pass(s, generation))
		goto out;
	if (!sole)
		session_not_sole(s, seq);
	else if (READ_ONCE(s->lease) != WEFT_LEASE_SOLE || seq != s->lease_seq)
		session_grant(s, seq, generation);
out:
	mutex_unlock(&s->upcalls);
	return ret;
}

/* Is the request with a connection, on behalf of a session that was lost since? */
static bool session_waits_for(const struct weft_session *s, const struct weft_rpc *rpc)
{
	return rpc->session == s && rpc->place == WEFT_RPC_SENT &&
	       !(rpc->flags & WEFT_RPC_F_SESSION);
}

/* True if no request of the lost session is with a connection any more. */
static bool session_drained(struct weft_session *s)
{
	struct weft_fs *fs = s->fs;
	struct weft_rpc *rpc;
	bool drained = true;

	spin_lock(&fs->lock);
	list_for_each_entry(rpc, &fs->all, all_node)
		if (session_waits_for(s, rpc))
			drained = false;
	drained = drained || fs->aborted;
	spin_unlock(&fs->lock);
	return drained;
}

/*
 * A server that works refuses them within a round trip, and then they have not been carried out. A
 * connection that is silent would take half a minute to be given up, while the whole group waits.
 */
static void session_drain(struct weft_session *s)
{
	struct weft_fs *fs = s->fs;
	struct weft_rpc *rpc;

	if (wait_event_timeout(fs->wait, session_drained(s), DRAIN_MAX))
		return;
	spin_lock(&fs->lock);
	list_for_each_entry(rpc, &fs->all, all_node)
		if (session_waits_for(s, rpc))
			weft_link_break(rpc->link, -ETIMEDOUT);
	spin_unlock(&fs->lock);
	wait_event(fs->wait, session_drained(s));
}

static void session_open_work(struct work_struct *work)
{
	struct weft_session *s = container_of(work, struct weft_session, open_work.work);
	struct weft_fs *fs = s->fs;
	struct weft_rpc *rpc;
	u32 generation;
	bool gated;
	int ret;

	spin_lock(&fs->lock);
	if (session_over(fs) || (s->state == WEFT_SESSION_OPEN && !s->refresh)) {
		spin_unlock(&fs->lock);
		return;
	}
	if (s->state == WEFT_SESSION_CLOSED)
		s->state = WEFT_SESSION_OPENING;
	s->refresh = false;
	generation = s->generation;
	gated = s->state != WEFT_SESSION_OPEN;
	spin_unlock(&fs->lock);

	/* What is still on its way is refused, and must not arrive in the session that comes. */
	if (gated)
		session_drain(s);
	rpc = session_open_rpc(s);
	ret = rpc ? weft_session_call(s, rpc) : -ENOMEM;
	if (!ret)
		ret = session_opened(s, rpc, generation);
	weft_rpc_put(rpc);
	if (!ret)
		return;
	pr_warn_ratelimited("weft: session at group %u could not be opened: error %d\n", s->group,
			    ret);
	spin_lock(&fs->lock);
	if (s->state == WEFT_SESSION_OPENING)
		s->state = WEFT_SESSION_CLOSED;
	else
		s->refresh = true;
	session_kick_open(s, RETRY);
	spin_unlock(&fs->lock);
}

/* --- leaving */

static void close_done(struct weft_rpc *rpc)
{
	struct weft_fs *fs = rpc->fs;

	spin_lock(&fs->lock);
	fs->sessions_closing--;
	wake_up_all(&fs->wait);
	spin_unlock(&fs->lock);
}

static void session_close(struct weft_session *s)
{
	struct weft_fs *fs = s->fs;
	struct weft_rpc *rpc;
	bool open;

	spin_lock(&fs->lock);
	open = s->state == WEFT_SESSION_OPEN && !fs->aborted;
	if (open)
		fs->sessions_closing++;
	spin_unlock(&fs->lock);
	if (!open)
		return;
	rpc = weft_rpc_alloc(fs, WEFT_OP_SESSION_CLOSE, 0, GFP_KERNEL | __GFP_NOFAIL);
	weft_rpc_to_group(rpc, s->group);
	rpc->flags |= WEFT_RPC_F_SESSION | WEFT_RPC_F_URGENT;
	rpc->done = close_done;
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
}

/**
 * weft_sessions_close() - tell the servers that this client leaves
 * @fs: the cluster, closing
 *
 * Waits a few seconds at most: a server that does not answer forgets the session by itself.
 */
void weft_sessions_close(struct weft_fs *fs)
{
	struct weft_session *s;
	unsigned long group;

	xa_for_each(&fs->sessions, group, s)
		session_close(s);
	wait_event_timeout(fs->wait, !READ_ONCE(fs->sessions_closing), 5 * HZ);
}
