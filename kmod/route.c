// SPDX-License-Identifier: GPL-2.0
/*
 * Where a request goes, and what becomes of it when the answer is not the last word.
 *
 * Normal course, each step under fs->lock and without waiting: the map names the group of the
 * request and the group's primary target (else it is PARKED until a map does); the session at a
 * metadata group is open (else GATED); a modifying request gets a slot (else SLOTTED); it is QUEUED
 * at the target's peer, which sends it (link.c). Whatever ends a wait calls weft_route() again from
 * the beginning, so that a request always follows the newest map.
 *
 *	answer				what happens
 *	0, errno			it ends with that result
 *	STALE_MAP, NOT_PRIMARY		the map is fetched; it goes on with a new one or after a bit
 *	BAD_SESSION			the session is opened again; GATED meanwhile
 *	BUSY, RECOVERY			again after a pause that grows, with jitter
 *	CRC				again at once, a few times
 *	NOT_LEADER			the link to management goes to the next server
 *	LAYOUT				the caller's business: WEFT_ELAYOUT
 *	anything else			-EIO, -EPROTO: a disagreement that no other try would heal
 */
#include <linux/random.h>
#include "kmod/net.h"
#include "kmod/trace.h"

#define CRC_TRIES 4
#define DELAY_MIN_MS 2
#define DELAY_MAX_MS 500
#define ERRNO_MAX 133 /* Linux errnos that may come over the wire */

/**
 * weft_route_leave() - take a request out of whatever list it waits in
 * @rpc: the request, not ended
 */
void weft_route_leave(struct weft_rpc *rpc)
{
	if (rpc->place == WEFT_RPC_SENT) {
		rpc->link->nsent--;
		rpc->link->bytes -= iov_iter_count(&rpc->out) + iov_iter_count(&rpc->in);
		rpc->link = NULL;
		/* A lost session waits for this before it is opened again. */
		if (rpc->session && rpc->session->state != WEFT_SESSION_OPEN)
			wake_up_all(&rpc->fs->wait);
	} else if (rpc->place == WEFT_RPC_DELAYED) {
		/* A retry that is running already finds the place changed. */
		if (cancel_delayed_work(&rpc->retry))
			weft_rpc_put(rpc);
	}
	list_del_init(&rpc->node);
	rpc->place = WEFT_RPC_IDLE;
}

static void route_wait(struct weft_rpc *rpc, enum weft_rpc_place place, struct list_head *list)
{
	rpc->place = place;
	list_add_tail(&rpc->node, list);
}

/* It waits for a map; the polling of map.c is faster while something is parked. */
static void route_park(struct weft_rpc *rpc)
{
	route_wait(rpc, WEFT_RPC_PARKED, &rpc->fs->parked);
	weft_map_refresh(rpc->fs, 0);
}

static void route_queue(struct weft_rpc *rpc, struct weft_peer *peer)
{
	rpc->peer = peer;
	rpc->place = WEFT_RPC_QUEUED;
	/* What was sent before is older than what waits. */
	if (rpc->replays || (rpc->flags & WEFT_RPC_F_URGENT))
		list_add(&rpc->node, &peer->queue);
	else
		list_add_tail(&rpc->node, &peer->queue);
}

/* The session's and the slot's gate. Return: true if the request may pass. */
static bool route_admit(struct weft_rpc *rpc, struct weft_peer *peer,
			struct weft_session *session)
{
	struct weft_slots *slots = session ? &session->slots : &peer->slots;

	rpc->session = session;
	if (session) {
		session->target = peer->target;
		if (!(rpc->flags & WEFT_RPC_F_SESSION) && session->state != WEFT_SESSION_OPEN) {
			weft_session_gate(session, rpc);
			return false;
		}
	}
	if ((rpc->flags & WEFT_RPC_F_SLOT) && !weft_slots_take(slots, rpc)) {
		route_wait(rpc, WEFT_RPC_SLOTTED, &slots->waiting);
		return false;
	}
	return true;
}

/**
 * weft_route() - find the next step for a request
 * @rpc: the request, in no list
 *
 * Afterwards it is in one list and rpc->place says in which, or it has ended. If it is QUEUED the
 * caller sees to it that weft_peer_kick() follows.
 */
void weft_route(struct weft_rpc *rpc)
{
	struct weft_fs *fs = rpc->fs;
	const struct weft_map_group *g;
	struct weft_session *session = NULL;
	struct weft_peer *peer;
	struct weft_map *map;

	rpc->place = WEFT_RPC_IDLE;
	if (fs->aborted) {
		weft_rpc_end(rpc, fs->aborted);
		return;
	}
	if (rpc->route == WEFT_ROUTE_MGMT) {
		route_queue(rpc, fs->mgmt);
		return;
	}
	map = rcu_dereference_protected(fs->map, lockdep_is_held(&fs->lock));
	if (!map) {
		route_park(rpc);
		return;
	}
	rpc->epoch = le64_to_cpu(map->view.hdr->epoch);
	if (rpc->route == WEFT_ROUTE_INO)
		rpc->group = weft_map_shard_group(&map->view, rpc->ino);
	if (!rpc->group) { /* no such shard: an inode number that never was */
		weft_rpc_end(rpc, -ESTALE);
		return;
	}
	g = weft_map_group(&map->view, rpc->group);
	peer = g ? xa_load(&fs->peers, weft_map_primary(&map->view, g)) : NULL;
	if (g && g->kind == WEFT_MDT)
		session = xa_load(&fs->sessions, rpc->group);
	if (!peer || !peer->naddrs || (g->kind == WEFT_MDT && !session)) {
		route_park(rpc);
		return;
	}
	if (route_admit(rpc, peer, session))
		route_queue(rpc, peer);
}

/**
 * weft_route_all() - there is a new map: everything that waits is routed again
 * @fs: the cluster
 */
void weft_route_all(struct weft_fs *fs)
{
	struct weft_rpc *rpc, *tmp;
	struct weft_peer *peer;
	unsigned long i;
	LIST_HEAD(again);

	list_for_each_entry_safe(rpc, tmp, &fs->all, all_node) {
		if (rpc->place == WEFT_RPC_SENT || rpc->route == WEFT_ROUTE_LINK)
			continue;
		if (rpc->place == WEFT_RPC_DELAYED && !rpc->want_epoch && !fs->aborted)
			continue;
		weft_route_leave(rpc);
		list_add_tail(&rpc->node, &again);
	}
	while ((rpc = list_first_entry_or_null(&again, struct weft_rpc, node))) {
		list_del_init(&rpc->node);
		weft_route(rpc);
	}
	xa_for_each(&fs->peers, i, peer)
		if (!list_empty(&peer->queue))
			queue_work(weft_io_wq, &peer->kick);
}

/* weft_route_retry() - the pause of a DELAYED request is over */
void weft_route_retry(struct work_struct *work)
{
	struct weft_rpc *rpc = container_of(work, struct weft_rpc, retry.work);
	struct weft_fs *fs = rpc->fs;
	struct weft_peer *peer = NULL;

	spin_lock(&fs->lock);
	if (rpc->place == WEFT_RPC_DELAYED) {
		list_del_init(&rpc->node);
		weft_route(rpc);
		if (rpc->place == WEFT_RPC_QUEUED)
			peer = rpc->peer;
	}
	spin_unlock(&fs->lock);
	if (peer)
		weft_peer_kick(peer);
	weft_rpc_put(rpc);
}

/* Again after a pause: twice the last one, give or take a quarter. */
static void route_delay(struct weft_rpc *rpc)
{
	u32 ms = clamp_t(u32, rpc->delay_ms * 2, DELAY_MIN_MS, DELAY_MAX_MS);

	rpc->delay_ms = ms;
	ms += get_random_u32() % (ms / 2 + 1) - ms / 4;
	rpc->place = WEFT_RPC_DELAYED;
	weft_rpc_get(rpc);
	queue_delayed_work(weft_io_wq, &rpc->retry, msecs_to_jiffies(ms) + 1);
}

static void route_stale(struct weft_rpc *rpc, u64 epoch)
{
	rpc->want_epoch = max(epoch, rpc->epoch + 1);
	weft_map_refresh(rpc->fs, rpc->want_epoch);
	route_delay(rpc);
}

static void route_bad_session(struct weft_rpc *rpc)
{
	struct weft_session *s = rpc->session;

	if (!s) {
		weft_rpc_end(rpc, -EPROTO);
		return;
	}
	/* Unless it was opened again since the request was sent. */
	if (rpc->generation == s->generation && rpc->opcode != WEFT_OP_SESSION_OPEN)
		weft_session_lost(s);
	if (rpc->flags & WEFT_RPC_F_SESSION)
		weft_rpc_end(rpc, -EBADR);
	else if (rpc->forgotten && rpc->ambiguous) /* refused now, but before? */
		weft_slots_unknown(rpc);
	else
		weft_route(rpc);
}

static void route_damaged(struct weft_rpc *rpc)
{
	pr_warn_ratelimited("weft: bulk of %s damaged between here and target %u\n",
			    rpc->op->name, rpc->peer ? rpc->peer->target : 0);
	if (++rpc->crc_tries > CRC_TRIES)
		weft_rpc_end(rpc, -EIO);
	else
		weft_route(rpc);
}

/* An errno of the server as the caller gets it. */
static int route_errno(const struct weft_rpc *rpc, u32 status)
{
	if (status <= ERRNO_MAX)
		return -(int)status;
	switch (status) {
	case WEFT_S_LAYOUT:
		return -WEFT_ELAYOUT;
	case WEFT_S_MALFORMED:
		pr_err_ratelimited("weft: target %u could not decode our %s\n",
				   rpc->peer ? rpc->peer->target : 0, rpc->op->name);
		return -EPROTO;
	case WEFT_S_VERSION:
		return -EPROTONOSUPPORT;
	case WEFT_S_FSID:
		return -EXDEV;
	case WEFT_S_NO_TARGET:
		return -ENODEV;
	case WEFT_S_AUTH:
		return -EKEYREJECTED;
	default:
		pr_err_ratelimited("weft: status %u from target %u for %s\n", status,
				   rpc->peer ? rpc->peer->target : 0, rpc->op->name);
		return -EIO;
	}
}

/**
 * weft_route_answered() - a reply has come: end the request or try again
 * @rpc: the request, taken off its link
 * @hdr: the reply's header
 * @damaged: its bulk did not match its checksum
 */
void weft_route_answered(struct weft_rpc *rpc, const struct weft_hdr *hdr, bool damaged)
{
	u32 status = le32_to_cpu(hdr->status);

	rpc->status = status;
	if (damaged || status == WEFT_S_CRC) {
		route_damaged(rpc);
		return;
	}
	if (rpc->detached && !(rpc->flags & WEFT_RPC_F_SLOT)) {
		weft_rpc_end(rpc, -EINTR);
		return;
	}
	if (rpc->route == WEFT_ROUTE_LINK) {
		weft_rpc_end(rpc, route_errno(rpc, status));
		return;
	}
	switch (status) {
	case WEFT_S_STALE_MAP:
	case WEFT_S_NOT_PRIMARY:
		route_stale(rpc, le64_to_cpu(hdr->epoch));
		break;
	case WEFT_S_BAD_SESSION:
		route_bad_session(rpc);
		break;
	case WEFT_S_NOT_LEADER:
	case WEFT_S_BUSY:
	case WEFT_S_RECOVERY:
		route_delay(rpc);
		break;
	default:
		weft_rpc_end(rpc, route_errno(rpc, status));
	}
}
