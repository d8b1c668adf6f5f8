// SPDX-License-Identifier: GPL-2.0
/*
 * Peers and links: connections to targets, kept up for ever.
 *
 * Normal course: a peer's queue gets a request, weft_peer_kick() gives it to the ready link with
 * the fewest bytes under way, the transport sends it. The reply comes through weft_link_message()
 * and weft_link_received(), which ends the request or routes it again.
 *
 * A link's work takes it from DOWN through CONNECTING (open, see handshake.c) to READY. When a
 * connection fails the link is BROKEN; the work closes the transport, routes what was outstanding
 * again (same id, same slot, marked as replay; over another link if there is one), and connects
 * again: at once when the connection had proved itself (an answer, or 5 s of life), else with
 * pauses that grow (rail.c): a peer may take every connection and break it at the first request.
 * Such a connection carries one request at a time until it has proved itself.
 * A host that has gone is found out by the transport, whether anything is outstanding or not
 * (TCP's keepalive; probe() every 5 s). A server that has stopped answering is found out by PING:
 * sent when requests are outstanding and nothing was heard for 5 s; after 30 s of silence the
 * connection is given up.
 *
 * fs->lock protects all of it. A transport is called without it; whoever calls holds references to
 * transport and request, and a closed transport ignores a late call.
 */
#include <linux/delay.h>
#include <linux/slab.h>
#include "kmod/handshake.h"
#include "kmod/net.h"
#include "kmod/trace.h"

#define WATCH (5 * HZ)
#define SILENCE_MAX (30 * HZ)
#define GAP (HZ / 20) /* from a connection to the next one, even if it answered something */
#define CONNECT_ROUNDS 3 /* of all management servers, before a mount is told */

static void link_work(struct work_struct *work);
static void link_watch(struct work_struct *work);

static void peer_kick_work(struct work_struct *work)
{
	weft_peer_kick(container_of(work, struct weft_peer, kick));
}

/**
 * weft_peer_alloc() - make a peer that nothing was sent to yet
 * @fs: the cluster
 * @target: target id, 0: management
 * @kind: enum weft_target_kind, 0: management
 *
 * A target has fs->conns links for each address that it may come to have; management one, to one
 * address at a time.
 *
 * Return: the peer without addresses, or NULL.
 */
struct weft_peer *weft_peer_alloc(struct weft_fs *fs, u32 target, u8 kind)
{
	struct weft_peer *peer = kzalloc(sizeof(*peer), GFP_NOFS);
	unsigned int i;

	if (!peer)
		return NULL;
	peer->nrails = kind ? WEFT_ADDRS_MAX : 1;
	peer->conns = kind ? fs->conns : 1;
	peer->nlinks = peer->nrails * peer->conns;
	peer->links = kcalloc(peer->nlinks, sizeof(*peer->links), GFP_NOFS);
	if (!peer->links) {
		kfree(peer);
		return NULL;
	}
	peer->fs = fs;
	peer->target = target;
	peer->kind = kind;
	INIT_LIST_HEAD(&peer->queue);
	INIT_WORK(&peer->kick, peer_kick_work);
	weft_slots_init(&peer->slots, WEFT_SLOTS_WANTED);
	for (i = 0; i < peer->nrails; i++) {
		peer->rails[i].peer = peer;
		peer->rails[i].index = i;
		peer->rails[i].first = &peer->links[i * peer->conns];
	}
	for (i = 0; i < peer->nlinks; i++) {
		struct weft_link *link = &peer->links[i];

		link->peer = peer;
		link->rail = &peer->rails[i / peer->conns];
		link->index = i;
		INIT_LIST_HEAD(&link->sent);
		INIT_DELAYED_WORK(&link->work, link_work);
		INIT_DELAYED_WORK(&link->watch, link_watch);
		init_waitqueue_head(&link->wait);
	}
	return peer;
}

/**
 * weft_peer_stop() - close all links for good
 * @peer: the peer of a cluster that was aborted and is stopping
 */
void weft_peer_stop(struct weft_peer *peer)
{
	unsigned int i;

	for (i = 0; i < peer->nlinks; i++) {
		struct weft_link *link = &peer->links[i];

		wake_up_all(&link->wait);
		/* Once more, to close what is open; it does not connect any more. */
		mod_delayed_work(weft_link_wq, &link->work, 0);
		flush_delayed_work(&link->work);
		cancel_delayed_work_sync(&link->watch);
	}
	cancel_work_sync(&peer->kick);
}

void weft_peer_free(struct weft_peer *peer)
{
	if (!peer)
		return;
	kfree(peer->links);
	kfree(peer);
}

/* Urgent requests may use the last of the window. */
static bool link_has_room(const struct weft_link *link, const struct weft_rpc *rpc)
{
	unsigned int reserve = 0;

	if (!(rpc->flags & WEFT_RPC_F_URGENT) && link->window > 2 * WEFT_WINDOW_RESERVE)
		reserve = WEFT_WINDOW_RESERVE;
	return link->nsent + reserve < link->window;
}

/*
 * The ready link with the fewest bytes under way that has room for @rpc. Of equal ones that of the
 * rail whose turn it is: little load would go over the first rail alone otherwise, and a fault of
 * another one be found only when it is needed.
 */
static struct weft_link *peer_pick(struct weft_peer *peer, const struct weft_rpc *rpc)
{
	struct weft_link *best = NULL;
	unsigned int i;

	for (i = 0; i < peer->nlinks; i++) {
		struct weft_link *link =
			&peer->links[(peer->turn * peer->conns + i) % peer->nlinks];

		if (link->state != WEFT_LINK_READY || !link_has_room(link, rpc) ||
		    !weft_rail_wanted(link->rail))
			continue;
		if (!best || link->bytes < best->bytes ||
		    (link->bytes == best->bytes && link->nsent < best->nsent))
			best = link;
	}
	if (best)
		peer->turn = best->rail->index + 1;
	return best;
}

/* Starts what is down; a pause between attempts that is under way is not cut short. */
static void peer_connect(struct weft_peer *peer)
{
	unsigned int i;

	peer->wanted = true;
	if (!peer->naddrs || peer->fs->stopping)
		return;
	for (i = 0; i < peer->nlinks; i++)
		if (peer->links[i].state == WEFT_LINK_DOWN && weft_link_wanted(&peer->links[i]))
			queue_delayed_work(weft_link_wq, &peer->links[i].work, 0);
}

/* A test wants every n-th request to meet a broken connection. */
static bool inject_disconnect(struct weft_fs *fs)
{
	u32 n = READ_ONCE(fs->inject.disconnect);

	return n && (u32)atomic_inc_return(&fs->inject.count) % n == 0;
}

/**
 * weft_peer_kick() - send what is queued, as far as there is room
 * @peer: the peer
 *
 * Context: process, no lock held.
 */
void weft_peer_kick(struct weft_peer *peer)
{
	struct weft_fs *fs = peer->fs;
	struct weft_link *link;
	struct weft_rpc *rpc;
	struct weft_xprt *x;

	spin_lock(&fs->lock);
	while ((rpc = list_first_entry_or_null(&peer->queue, struct weft_rpc, node))) {
		link = peer_pick(peer, rpc);
		if (!peer->wanted || !link)
			peer_connect(peer);
		if (!link)
			break;
		list_del_init(&rpc->node);
		weft_rpc_fill(rpc, link);
		link->rail->requests++;
		link->rail->bytes += iov_iter_count(&rpc->out) + iov_iter_count(&rpc->in);
		x = link->xprt;
		weft_xprt_get(x);
		weft_rpc_get(rpc);
		spin_unlock(&fs->lock);

		if (unlikely(inject_disconnect(fs)))
			weft_link_broken(link, -ECONNABORTED);
		else
			x->ops->send(x, rpc);
		weft_rpc_put(rpc);
		weft_xprt_put(x);
		spin_lock(&fs->lock);
	}
	spin_unlock(&fs->lock);
}

/* The peer does serve this connection. */
static void link_prove(struct weft_link *link)
{
	if (link->proved || link->state != WEFT_LINK_READY)
		return;
	link->proved = true;
	link->tries = 1;
	link->window = link->window_max;
	weft_rail_proved(link);
}

/* A ready link's connection is gone. Its work closes it at once, and connects it when it may. */
static void link_lost(struct weft_link *link, int err)
{
	u32 ms;

	link->state = WEFT_LINK_BROKEN;
	ms = weft_rail_lost(link, err);
	if (ms) {
		link->again = jiffies + msecs_to_jiffies(ms);
		link->peer->next_addr++;
		link->peer->fs->pauses++;
	}
	trace_weft_link_down(link, err);
	mod_delayed_work(weft_link_wq, &link->work, 0);
}

/**
 * weft_link_break() - give a connection up
 * @link: the link
 * @err: why
 *
 * Context: fs->lock is held.
 */
void weft_link_break(struct weft_link *link, int err)
{
	struct weft_rpc *rpc, *tmp;

	link->error = err;
	if (link->state == WEFT_LINK_READY) {
		link_lost(link, err);
	} else if (link->state == WEFT_LINK_CONNECTING) {
		/* The handshake is waited for by the link's own work. */
		list_for_each_entry_safe(rpc, tmp, &link->sent, node) {
			weft_route_leave(rpc);
			weft_rpc_end(rpc, err);
		}
		wake_up_all(&link->wait);
	}
}

void weft_link_broken(struct weft_link *link, int err)
{
	struct weft_fs *fs = link->peer->fs;

	if (err == -EBADMSG || err == -EPROTO || err == -EPROTONOSUPPORT)
		pr_warn_ratelimited("weft: malformed message from target %u (error %d): connection closed\n",
				    link->peer->target, err);
	spin_lock(&fs->lock);
	weft_link_break(link, err);
	spin_unlock(&fs->lock);
}
EXPORT_SYMBOL_GPL(weft_link_broken);

/* What was outstanding goes on elsewhere or later; oldest first, before what waits. */
static void link_requeue(struct weft_link *link)
{
	struct weft_rpc *rpc;

	while (!list_empty(&link->sent)) {
		rpc = list_last_entry(&link->sent, struct weft_rpc, node);
		weft_route_leave(rpc);
		if (rpc->flags & WEFT_RPC_F_ONCE) {
			weft_rpc_end(rpc, link->error ?: -ECONNRESET);
		} else if (rpc->detached && !(rpc->flags & WEFT_RPC_F_SLOT)) {
			weft_rpc_end(rpc, -EINTR);
		} else if (rpc->forgotten) {
			weft_slots_unknown(rpc);
		} else {
			rpc->ambiguous = true;
			rpc->replays++;
			rpc->fs->replays++;
			weft_route(rpc);
		}
	}
}

/* Closes what is open. Afterwards the link is down. */
static void link_close(struct weft_link *link)
{
	struct weft_fs *fs = link->peer->fs;
	struct weft_xprt *x = link->xprt; /* changed by this work only */

	if (x)
		x->ops->close(x);
	spin_lock(&fs->lock);
	link->xprt = NULL;
	link->state = WEFT_LINK_DOWN;
	if (x && link->peer->kind == WEFT_MDT) {
		weft_sessions_peer_down(link->peer);
		if (weft_peer_up(link->peer))
			weft_sessions_peer_up(link->peer, false); /* over another link */
	}
	link->ping = false;
	link_requeue(link);
	spin_unlock(&fs->lock);
	if (x)
		weft_xprt_put(x);
}

/* Another server process than before has no connections of the old one. */
static void peer_restarted(struct weft_peer *peer, struct weft_link *link)
{
	unsigned int i;

	for (i = 0; i < peer->nlinks; i++)
		if (&peer->links[i] != link && peer->links[i].boot != link->boot)
			weft_link_break(&peer->links[i], -ECONNRESET);
}

/* Return: false if the mount was given up meanwhile. */
static bool link_ready(struct weft_link *link, const struct weft_handshake *hs)
{
	struct weft_peer *peer = link->peer;
	struct weft_fs *fs = peer->fs;
	bool restarted;

	spin_lock(&fs->lock);
	if (fs->aborted || link->error) {
		spin_unlock(&fs->lock);
		return false;
	}
	restarted = peer->boot && peer->boot != hs->boot;
	peer->boot = hs->boot;
	peer->failures = 0;
	link->boot = hs->boot;
	link->window_max = hs->window;
	/* Of many at once none might be answered before it breaks again. */
	link->window = link->tries > 1 ? 1 : hs->window;
	link->features = hs->features;
	link->heard = jiffies;
	if (link->tries)
		fs->reconnects++;
	link->proved = false;
	link->again = jiffies + GAP;
	link->state = WEFT_LINK_READY;
	weft_rail_up(link);
	if (restarted)
		peer_restarted(peer, link);
	if (peer->kind == WEFT_MDT)
		weft_sessions_peer_up(peer, restarted);
	trace_weft_link_up(link, 0);
	spin_unlock(&fs->lock);

	if (!peer->kind)
		weft_map_refresh(fs, 0);
	mod_delayed_work(weft_link_wq, &link->watch, WATCH);
	weft_peer_kick(peer);
	return true;
}

/*
 * A mount that is just connecting does not wait for what will not change, nor for servers that
 * refused several times.
 */
static bool connect_hopeless(struct weft_peer *peer, int err)
{
	if (err == -EPROTONOSUPPORT || err == -EKEYREJECTED || err == -EXDEV)
		return true;
	return peer->failures >= CONNECT_ROUNDS * peer->naddrs;
}

static void link_failed(struct weft_link *link, int err)
{
	struct weft_peer *peer = link->peer;
	struct weft_fs *fs = peer->fs;
	bool give_up, alone;
	u32 ms;

	spin_lock(&fs->lock);
	peer->failures++;
	peer->next_addr++;
	link->tries++;
	give_up = fs->connecting && connect_hopeless(peer, err);
	ms = weft_rail_failed(link, err);
	link->again = jiffies + msecs_to_jiffies(ms);
	alone = !weft_peer_up(peer);
	if (!fs->stopping && !fs->aborted && weft_link_wanted(link))
		queue_delayed_work(weft_link_wq, &link->work, msecs_to_jiffies(ms));
	spin_unlock(&fs->lock);
	trace_weft_link_failed(link, err);
	if (give_up)
		weft_fs_fail(fs, err);
	else if (peer->kind && alone)
		weft_map_refresh(fs, 0); /* perhaps it has moved */
	if (err == -EPROTONOSUPPORT || err == -EKEYREJECTED || err == -EXDEV)
		pr_err_ratelimited("weft: target %u refuses this client: error %d\n", peer->target,
				   err);
}

/* Takes the link to where it should be: closed, or connected. One instance runs at a time. */
static void link_work(struct work_struct *work)
{
	struct weft_link *link = container_of(work, struct weft_link, work.work);
	struct weft_peer *peer = link->peer;
	struct weft_fs *fs = peer->fs;
	struct weft_handshake hs;
	struct weft_addr addr;
	struct weft_xprt *x;
	bool go;
	int err;

	if (link->state == WEFT_LINK_READY && !fs->aborted)
		return;
	link_close(link);
	spin_lock(&fs->lock);
	go = !fs->stopping && !fs->aborted && peer->wanted && weft_link_wanted(link);
	if (go && time_before(jiffies, link->again)) {
		queue_delayed_work(weft_link_wq, &link->work, link->again - jiffies);
		go = false;
	}
	if (go) {
		addr = *weft_rail_addr(link->rail);
		link->state = WEFT_LINK_CONNECTING;
		link->error = 0;
		link->features = 0;
	}
	spin_unlock(&fs->lock);
	weft_peer_kick(peer); /* what this link had goes over another one, if there is one */
	if (!go)
		return;

	err = addr.ops->open(link, &addr.addr, &x);
	if (!err) {
		spin_lock(&fs->lock);
		link->xprt = x;
		spin_unlock(&fs->lock);
		err = weft_handshake(link, &hs);
	}
	if (!err && link_ready(link, &hs))
		return;
	link_close(link);
	link_failed(link, err ?: link->error);
}

static void ping_done(struct weft_rpc *rpc)
{
	struct weft_link *link = rpc->priv;
	struct weft_fs *fs = rpc->fs;

	spin_lock(&fs->lock);
	link->ping = false;
	spin_unlock(&fs->lock);
}

static void link_ping(struct weft_link *link)
{
	struct weft_rpc *rpc = weft_rpc_alloc(link->peer->fs, WEFT_OP_PING, 0, GFP_NOFS);

	if (!rpc)
		return;
	rpc->done = ping_done;
	rpc->priv = link;
	rpc->flags |= WEFT_RPC_F_ASYNC | WEFT_RPC_F_URGENT;
	link->ping = true;
	weft_rpc_submit_on(rpc, link);
	weft_rpc_put(rpc);
}

/* Is the peer still there? Asked only while something is expected of it. */
static void link_watch(struct work_struct *work)
{
	struct weft_link *link = container_of(work, struct weft_link, watch.work);
	struct weft_fs *fs = link->peer->fs;
	struct weft_xprt *probe = NULL;
	unsigned long silent;
	bool ping = false, more;

	spin_lock(&fs->lock);
	if (link->state != WEFT_LINK_READY || fs->aborted) {
		spin_unlock(&fs->lock);
		return;
	}
	if (!link->nsent)
		link->heard = jiffies;
	silent = jiffies - link->heard;
	if (silent < WATCH - HZ)
		link_prove(link);
	if (silent > SILENCE_MAX)
		weft_link_break(link, -ETIMEDOUT);
	else if (!link->nsent && !weft_rail_wanted(link->rail))
		weft_link_break(link, -ESHUTDOWN); /* stood in for a rail that works again */
	else
		ping = silent >= WATCH - HZ && !link->ping;
	if (link->state == WEFT_LINK_READY && link->xprt->ops->probe) {
		probe = link->xprt;
		weft_xprt_get(probe);
	}
	more = !list_empty(&link->peer->queue);
	spin_unlock(&fs->lock);
	if (more)
		weft_peer_kick(link->peer);
	if (probe) {
		probe->ops->probe(probe);
		weft_xprt_put(probe);
	}
	if (ping)
		link_ping(link);
	queue_delayed_work(weft_link_wq, &link->watch, WATCH);
}

struct net *weft_link_net(struct weft_link *link)
{
	return link->peer->fs->net;
}
EXPORT_SYMBOL_GPL(weft_link_net);

bool weft_link_stopping(struct weft_link *link)
{
	struct weft_fs *fs = link->peer->fs;

	return READ_ONCE(fs->stopping) || READ_ONCE(fs->aborted) || READ_ONCE(link->error);
}
EXPORT_SYMBOL_GPL(weft_link_stopping);

wait_queue_head_t *weft_link_wait(struct weft_link *link)
{
	return &link->wait;
}
EXPORT_SYMBOL_GPL(weft_link_wait);

void weft_link_alive(struct weft_link *link)
{
	WRITE_ONCE(link->heard, jiffies);
}
EXPORT_SYMBOL_GPL(weft_link_alive);

/* Fixed bodies of pushes are as long as the table says: weft_hdr_check() saw to it. */
static int link_push(struct weft_link *link, const struct weft_hdr *hdr)
{
	struct weft_fs *fs = link->peer->fs;
	const struct weft_map_push *map = (const void *)(hdr + 1);

	switch (le16_to_cpu(hdr->opcode)) {
	case WEFT_OP_MAP_PUSH:
		weft_map_refresh(fs, le64_to_cpu(map->epoch));
		return 0;
	case WEFT_OP_LEASE_RECALL:
	case WEFT_OP_LEASE_GRANT:
		weft_session_push(fs, le16_to_cpu(hdr->opcode), (const void *)(hdr + 1));
		return 0;
	default:
		return -EBADMSG;
	}
}

/* The request with this id on this link. Replies come nearly in order, so the list is short. */
static struct weft_rpc *link_find(struct weft_link *link, u64 id)
{
	struct weft_rpc *rpc;

	list_for_each_entry(rpc, &link->sent, node)
		if (rpc->id == id)
			return rpc;
	return NULL;
}

/* Keeps body and tail of the reply, as much as we know of them. */
static int link_keep_reply(struct weft_rpc *rpc, const struct weft_hdr *hdr)
{
	u32 body = le16_to_cpu(hdr->body_len), text = le32_to_cpu(hdr->len) - sizeof(*hdr);
	const u8 *p = (const u8 *)(hdr + 1);

	if (le16_to_cpu(hdr->opcode) != rpc->opcode || hdr->nsegs)
		return -EBADMSG;
	if (le32_to_cpu(hdr->bulk_len) > iov_iter_count(&rpc->in) && !rpc->detached)
		return -EBADMSG;
	rpc->rep_len = min_t(u32, body, rpc->op->rep_len);
	rpc->rep_tail_len = min(text - body, rpc->rep_tail_max);
	memcpy(rpc->rep, p, rpc->rep_len);
	memcpy(rpc->rep + rpc->op->rep_len, p + body, rpc->rep_tail_len);
	return 0;
}

struct weft_rpc *weft_link_message(struct weft_link *link, const struct weft_hdr *hdr)
{
	struct weft_fs *fs = link->peer->fs;
	u32 flags = le16_to_cpu(hdr->flags);
	struct weft_rpc *rpc;
	int err = 0;

	weft_link_alive(link);
	if (flags & WEFT_MF_PUSH)
		return ERR_PTR(link_push(link, hdr));
	if (!(flags & WEFT_MF_REPLY))
		return ERR_PTR(-EBADMSG);
	spin_lock(&fs->lock);
	rpc = link_find(link, le64_to_cpu(hdr->request_id));
	if (rpc)
		weft_rpc_get(rpc);
	spin_unlock(&fs->lock);
	if (!rpc)
		return NULL;

	/* Nobody answers what it has not received; if the send is just returning, let it. */
	if (!smp_load_acquire(&rpc->sent_all))
		link->xprt->ops->settle(link->xprt, rpc);
	if (!smp_load_acquire(&rpc->sent_all))
		err = -EPROTO;
	spin_lock(&fs->lock);
	if (!err)
		err = link_keep_reply(rpc, hdr);
	spin_unlock(&fs->lock);
	if (err) {
		weft_rpc_put(rpc);
		return ERR_PTR(err);
	}
	return rpc;
}
EXPORT_SYMBOL_GPL(weft_link_message);

static bool reply_damaged(struct weft_rpc *rpc, const struct weft_hdr *hdr)
{
	u32 len = le32_to_cpu(hdr->bulk_len);

	if (!(le16_to_cpu(hdr->flags) & WEFT_MF_BULK_CRC) || !len || READ_ONCE(rpc->detached))
		return false;
	return weft_crc32c_iter(&rpc->in, len) != le32_to_cpu(hdr->bulk_crc);
}

int weft_link_received(struct weft_link *link, struct weft_rpc *rpc, const struct weft_hdr *hdr)
{
	struct weft_fs *fs = link->peer->fs;
	bool damaged, more, ours;

	if (unlikely(READ_ONCE(fs->inject.delay_ms)))
		msleep(READ_ONCE(fs->inject.delay_ms));
	if (unlikely(atomic_read(&fs->inject.drop_n) > 0) &&
	    atomic_dec_if_positive(&fs->inject.drop_n) >= 0) {
		weft_rpc_put(rpc);
		return -ECONNABORTED;
	}
	damaged = reply_damaged(rpc, hdr);
	spin_lock(&fs->lock);
	ours = rpc->place == WEFT_RPC_SENT && rpc->link == link;
	if (ours) {
		rpc->in_len = le32_to_cpu(hdr->bulk_len);
		link_prove(link);
		weft_route_leave(rpc);
		link->window = clamp_t(unsigned int, link->nsent + le16_to_cpu(hdr->credits), 1,
				       link->window_max);
		weft_route_answered(rpc, hdr, damaged);
		if (hdr->status == cpu_to_le32(WEFT_S_NOT_LEADER)) {
			link->peer->next_addr++;
			weft_link_break(link, -EAGAIN);
		}
	}
	more = !list_empty(&link->peer->queue);
	spin_unlock(&fs->lock);
	weft_rpc_put(rpc);
	if (more)
		weft_peer_kick(link->peer);
	return 0;
}
EXPORT_SYMBOL_GPL(weft_link_received);

/**
 * weft_link_detach() - free a request from its caller's bulk memory
 * @rpc: the request, marked as detached
 * @copy: what to send from instead of rpc->out, or NULL if that is empty
 *
 * After the return neither rpc->in nor the old rpc->out is touched any more.
 * Context: process; waits for a transfer step that is just going on, not for the network.
 */
void weft_link_detach(struct weft_rpc *rpc, const void *copy)
{
	size_t len = iov_iter_count(&rpc->out);
	struct weft_fs *fs = rpc->fs;
	struct weft_xprt *x, *old = NULL;

	spin_lock(&fs->lock);
	for (;;) {
		x = rpc->place == WEFT_RPC_SENT ? rpc->link->xprt : NULL;
		if (!x || x == old)
			break;
		weft_xprt_get(x);
		spin_unlock(&fs->lock);
		if (old)
			weft_xprt_put(old);
		old = x;
		x->ops->detach(x, rpc, copy);
		spin_lock(&fs->lock);
	}
	if (copy) {
		rpc->copy_vec.iov_base = (void *)copy;
		rpc->copy_vec.iov_len = len;
		iov_iter_kvec(&rpc->out, ITER_SOURCE, &rpc->copy_vec, 1, len);
	}
	spin_unlock(&fs->lock);
	if (old)
		weft_xprt_put(old);
}
