// SPDX-License-Identifier: Apache-2.0
/*
 * One connection of a peer: connecting, INIT and AUTH, replies and pushes, breaking.
 *
 * Happy path: DOWN -> CONNECTING -> INIT -> (AUTH) -> UP. Each state has a limit of 5 s.
 *
 * Failures: whatever goes wrong leads to rpc_link_break(): the calls go back to the peer's queue,
 * and while there is work the next address is tried after a pause that doubles from 50 ms to 2 s
 * (jittered). A handshake that the server refuses for good ends the waiting calls with its
 * status. A server that cannot prove the secret is refused here (WEFT_S_AUTH).
 *
 * Addresses of another kind than the first one's are for need (RDMA, then TCP). A link that came
 * to one tries every 15 s, with a connection that is for nothing else, whether its first address
 * can be connected again; if so it takes no more requests, and goes there when all are answered.
 *
 * Belongs to the client's loop. A transport's connection is closed before the next is opened.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/log.h"
#include "common/rpc/impl.h"
#include "common/status.h"
#include "proto/ops.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000
#define RETURN_MS 15000
#define SETTLE_MS 50 /* calls may end without a reply: looked at so often */

static struct weft_env *link_env(struct weft_rpc_link *l)
{
	return l->peer->client->cfg.env;
}

static bool link_fallen(const struct weft_rpc_link *l)
{
	return l->peer->addrs[l->addr].kind != l->peer->addrs[0].kind;
}

static void probe_close(struct weft_rpc_link *l)
{
	struct weft_xprt *x = l->probe;

	l->probe = NULL;
	if (x)
		weft_xprt_close(x);
}

static void link_close(struct weft_rpc_link *l)
{
	struct weft_xprt *x = l->xprt;

	probe_close(l);
	l->leaving = false;
	if (l->state == LINK_UP)
		l->peer->stats.up--;
	l->state = LINK_DOWN;
	l->xprt = NULL;
	weft_timer_stop(link_env(l), &l->timer);
	if (x)
		weft_xprt_close(x);
}

void rpc_link_fini(struct weft_rpc_link *l)
{
	link_close(l);
	rpc_peer_requeue(l);
}

static void link_backoff(struct weft_rpc_link *l)
{
	uint32_t ms = BACKOFF_MIN_MS << (l->fails < 6 ? l->fails : 6), jitter;

	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	weft_env_random(link_env(l), &jitter, sizeof(jitter));
	ms = ms / 2 + jitter % (ms / 2 + 1);
	weft_timer_start(link_env(l), &l->timer, ms * WEFT_NS_PER_MS);
}

void rpc_link_break(struct weft_rpc_link *l, const char *why, int err)
{
	struct weft_rpc_peer *p = l->peer;
	bool was_up = l->state == LINK_UP;

	if (was_up) {
		p->stats.breaks++;
		weft_warn_peer("connection lost", "target=%u addr=%s:%u err=%d why=%s", p->target,
			       p->addrs[l->addr].host, p->addrs[l->addr].port, -err, why);
	}
	link_close(l);
	rpc_peer_requeue(l);
	/* An address of the kind for need is left when there is a reason to connect anew. */
	if (link_fallen(l))
		l->addr = l->home;
	if (p->queue.first)
		link_backoff(l);
	/* Until a reply comes pauses grow: a server may close at the sight of a request. */
	l->fails++;
}

/* An attempt to connect came to nothing; @status: what the server answered, or 0. */
static void link_failed(struct weft_rpc_link *l, const char *why, int err, uint32_t status)
{
	struct weft_rpc_peer *p = l->peer;
	bool final = status == WEFT_S_VERSION || status == WEFT_S_FSID || status == WEFT_S_AUTH;

	weft_warn_peer("cannot connect", "target=%u addr=%s:%u err=%d why=%s", p->target,
		       p->addrs[l->addr].host, p->addrs[l->addr].port, -err,
		       status ? weft_strstatus(status) : why);
	l->fails++;
	link_close(l);
	l->addr = (l->addr + 1) % p->naddrs;
	if (final || (l->fails >= p->naddrs && !p->stats.up))
		rpc_peer_fail(p, final, status ? 0 : -ENOTCONN, status);
	if (p->queue.first)
		link_backoff(l);
}

static void link_send(struct weft_rpc_link *l, uint16_t opcode, const void *body, size_t len)
{
	struct weft_msg *m = weft_msg_alloc(len);

	if (!m) {
		link_failed(l, "no memory", -ENOMEM, 0);
		return;
	}
	memcpy(m->text, body, len);
	m->hdr.opcode = cpu_to_le16(opcode);
	m->hdr.body_len = cpu_to_le16(len);
	weft_xprt_send(l->xprt, m);
}

static void send_init(struct weft_rpc_link *l)
{
	struct weft_rpc_client *c = l->peer->client;
	struct weft_init_req rq = {
		.version_min = cpu_to_le16(WEFT_WIRE_VERSION_MIN),
		.version_max = cpu_to_le16(WEFT_WIRE_VERSION),
		.role = cpu_to_le16(c->cfg.role),
		.features = cpu_to_le64(WEFT_FEAT_ALL),
		.target = cpu_to_le32(l->peer->target),
	};

	memcpy(rq.fsid, c->cfg.fsid, sizeof(rq.fsid));
	weft_env_random(c->cfg.env, l->nonce, sizeof(l->nonce));
	memcpy(rq.nonce, l->nonce, sizeof(rq.nonce));
	l->state = LINK_INIT;
	link_send(l, WEFT_OP_INIT, &rq, sizeof(rq));
}

static void link_connected(void *arg, int err)
{
	struct weft_rpc_link *l = arg;

	if (err)
		link_failed(l, strerror(-err), err, 0);
	else
		send_init(l);
}

/* After a fallback: when to try the kind that is preferred. */
static void return_later(struct weft_rpc_link *l)
{
	uint32_t ms = l->peer->client->cfg.return_ms, jitter;

	ms = ms ? ms : RETURN_MS;
	weft_env_random(link_env(l), &jitter, sizeof(jitter));
	ms += jitter % (ms / 4 + 1);
	weft_timer_start(link_env(l), &l->timer, ms * WEFT_NS_PER_MS);
}

static void link_up(struct weft_rpc_link *l)
{
	const struct weft_rpc_addr *a = &l->peer->addrs[l->addr];

	weft_timer_stop(link_env(l), &l->timer);
	if (link_fallen(l)) {
		return_later(l);
		l->peer->stats.fallbacks++;
		weft_warn_peer("fell back to another kind of rail", "target=%u addr=%s:%u kind=%s",
			       l->peer->target, a->host, a->port, weft_xprt_kind(a->kind)->name);
	}
	l->state = LINK_UP;
	l->peer->stats.up++;
	l->peer->stats.connects++;
	rpc_peer_pump(l->peer);
}

/* The server's proof, and ours in return. */
static void link_auth(struct weft_rpc_link *l, const struct weft_init_rep *rep)
{
	struct weft_rpc_client *c = l->peer->client;
	struct weft_auth_req rq;
	uint8_t mac[WEFT_AUTH_MAC];

	if (!c->secret ||
	    rpc_mac(c->secret, c->cfg.secret_len, "weft-server", l->nonce, rep->nonce, mac) ||
	    !rpc_mac_equal(mac, rep->mac) ||
	    rpc_mac(c->secret, c->cfg.secret_len, "weft-client", rep->nonce, l->nonce, rq.mac)) {
		link_failed(l, "authentication", -EKEYREJECTED, WEFT_S_AUTH);
		return;
	}
	l->state = LINK_AUTH;
	link_send(l, WEFT_OP_AUTH, &rq, sizeof(rq));
}

static void got_init(struct weft_rpc_link *l, const struct weft_init_rep *rep)
{
	struct weft_rpc_client *c = l->peer->client;
	bool auth = le16_to_cpu(rep->flags) & WEFT_INIT_AUTH;

	if (le16_to_cpu(rep->version) < WEFT_WIRE_VERSION_MIN ||
	    le16_to_cpu(rep->version) > WEFT_WIRE_VERSION) {
		link_failed(l, "version", -EPROTONOSUPPORT, WEFT_S_VERSION);
		return;
	}
	if (!rpc_fsid_unset(c->cfg.fsid) && !rpc_fsid_unset(rep->fsid) &&
	    memcmp(c->cfg.fsid, rep->fsid, sizeof(rep->fsid))) {
		link_failed(l, "file system", -EXDEV, WEFT_S_FSID);
		return;
	}
	l->max_limit = le16_to_cpu(rep->credits);
	if (!l->max_limit)
		l->max_limit = 1;
	l->limit = l->max_limit;
	l->boot = le64_to_cpu(rep->boot);
	if (auth)
		link_auth(l, rep);
	else if (c->secret) /* we know a secret and it does not: an impostor, or misconfigured */
		link_failed(l, "authentication", -EKEYREJECTED, WEFT_S_AUTH);
	else
		link_up(l);
}

static void got_handshake(struct weft_rpc_link *l, const struct weft_msg *m)
{
	uint32_t status = le32_to_cpu(m->hdr.status);
	uint16_t op = le16_to_cpu(m->hdr.opcode);

	if (!(le16_to_cpu(m->hdr.flags) & WEFT_MF_REPLY) ||
	    op != (l->state == LINK_INIT ? WEFT_OP_INIT : WEFT_OP_AUTH))
		link_failed(l, "unexpected message", -EPROTO, 0);
	else if (status)
		link_failed(l, "refused", -ECONNREFUSED, status);
	else if (op == WEFT_OP_INIT)
		got_init(l, (const struct weft_init_rep *)m->text);
	else
		link_up(l);
}

static struct weft_rpc_call *find_call(struct weft_rpc_link *l, const struct weft_hdr *h)
{
	struct weft_rpc_call *c;

	for (c = l->sent.first; c && c->id != le64_to_cpu(h->request_id); c = c->next)
		;
	return c;
}

static bool reply_crc_wrong(const struct weft_msg *m)
{
	return (le16_to_cpu(m->hdr.flags) & WEFT_MF_BULK_CRC) && m->bulk.len &&
	       weft_crc32c_sg(&m->bulk) != le32_to_cpu(m->hdr.bulk_crc);
}

static void got_reply(struct weft_rpc_link *l, struct weft_msg *m)
{
	struct weft_rpc_call *c = find_call(l, &m->hdr);

	if (!c) { /* of a call that ended early */
		weft_msg_free(m);
	} else if (le16_to_cpu(m->hdr.opcode) != c->opcode || c->out->owner) {
		weft_msg_free(m);
		rpc_link_break(l, "reply does not match its request", -EPROTO);
	} else if (reply_crc_wrong(m)) {
		weft_msg_free(m);
		rpc_link_break(l, "bulk was damaged on the way", -EBADMSG);
	} else {
		rpc_call_replied(l, c, m);
	}
}

static void got_push(struct weft_rpc_link *l, const struct weft_msg *m)
{
	struct weft_rpc_client *c = l->peer->client;
	const struct weft_op_info *op = weft_op_info(le16_to_cpu(m->hdr.opcode));
	size_t len = le16_to_cpu(m->hdr.body_len);

	if (c->cfg.push && (op->flags & WEFT_OF_PUSH))
		c->cfg.push(c->cfg.arg, l->peer, le16_to_cpu(m->hdr.opcode), m->text, len,
			    m->text + len, m->text_len - len);
}

static void link_received(void *arg, struct weft_msg *m)
{
	struct weft_rpc_link *l = arg;
	uint16_t flags = le16_to_cpu(m->hdr.flags);

	if (l->state != LINK_UP) {
		got_handshake(l, m);
		weft_msg_free(m);
	} else if (flags & WEFT_MF_REPLY) {
		got_reply(l, m);
	} else if (flags & WEFT_MF_PUSH) {
		got_push(l, m);
		weft_msg_free(m);
	} else {
		weft_msg_free(m);
		rpc_link_break(l, "a request from a server", -EPROTO);
	}
}

static int link_place(void *arg, struct weft_msg *m)
{
	struct weft_rpc_link *l = arg;
	uint32_t len = le32_to_cpu(m->hdr.bulk_len);
	struct weft_rpc_call *c;

	if (l->state != LINK_UP || !(le16_to_cpu(m->hdr.flags) & WEFT_MF_REPLY))
		return -EPROTO;
	c = find_call(l, &m->hdr);
	if (!c) /* nobody wants it any more */
		return weft_sg_alloc(&m->bulk, l->peer->client->cfg.pool, len);
	if (len > c->bulk_max || (c->bulk_in.len && len > c->bulk_in.len))
		return -EPROTO;
	l->rx_call = c;
	if (c->bulk_in.len)
		return weft_sg_slice(&m->bulk, &c->bulk_in, 0, len);
	return weft_sg_alloc(&m->bulk, l->peer->client->cfg.pool, len);
}

/* Messages of calls belong to the calls, those of the handshake to nobody. */
static void link_sent(void *arg, struct weft_msg *m)
{
	(void)arg;
	if (m->owner)
		m->owner = NULL;
	else
		weft_msg_free(m);
}

static void link_broken(void *arg, int err)
{
	struct weft_rpc_link *l = arg;

	if (l->state == LINK_UP)
		rpc_link_break(l, strerror(-err), err);
	else
		link_failed(l, strerror(-err), err, 0);
}

static const struct weft_xprt_cb link_cb = {
	.connected = link_connected,
	.place = link_place,
	.received = link_received,
	.sent = link_sent,
	.broken = link_broken,
};

static void link_connect(struct weft_rpc_link *l)
{
	struct weft_rpc_peer *p = l->peer;
	const struct weft_rpc_addr *a = &p->addrs[l->addr];
	int ret;

	l->state = LINK_CONNECTING;
	weft_timer_start(link_env(l), &l->timer, RPC_HANDSHAKE_MS * WEFT_NS_PER_MS);
	ret = weft_xprt_kind(a->kind)->connect(link_env(l), a->host, a->port,
					       p->client->cfg.pool, &link_cb, l, &l->xprt);
	if (ret)
		link_failed(l, strerror(-ret), ret, 0);
}

/* ---- back to the kind of rail that is preferred */

void rpc_link_settle(struct weft_rpc_link *l)
{
	struct weft_rpc_peer *p = l->peer;

	if (!l->leaving || l->outstanding)
		return;
	weft_info("back to the preferred kind of rail", "target=%u addr=%s:%u", p->target,
		  p->addrs[l->home].host, p->addrs[l->home].port);
	p->stats.returns++;
	link_close(l);
	l->addr = l->home;
	link_connect(l);
}

/* Its link is not touched here but by the last step: the probe was all that called back. */
static void probe_connected(void *arg, int err)
{
	struct weft_rpc_link *l = arg;

	probe_close(l);
	if (err) {
		return_later(l);
		return;
	}
	l->leaving = true;
	weft_timer_start(link_env(l), &l->timer, SETTLE_MS * WEFT_NS_PER_MS);
	rpc_link_settle(l);
}

/* Neither is asked for: the server has nothing to say before INIT. */
static int probe_place(void *arg, struct weft_msg *m)
{
	(void)arg;
	(void)m;
	return -EPROTO;
}

static void probe_received(void *arg, struct weft_msg *m)
{
	(void)arg;
	weft_msg_free(m);
}

static const struct weft_xprt_cb probe_cb = {
	.connected = probe_connected,
	.place = probe_place,
	.received = probe_received,
	.sent = link_sent,
	.broken = probe_connected,
};

static void probe_start(struct weft_rpc_link *l)
{
	struct weft_rpc_peer *p = l->peer;
	const struct weft_rpc_addr *a = &p->addrs[l->home];

	if (weft_xprt_kind(a->kind)->connect(link_env(l), a->host, a->port, p->client->cfg.pool,
					     &probe_cb, l, &l->probe))
		return_later(l);
	else
		weft_timer_start(link_env(l), &l->timer, RPC_HANDSHAKE_MS * WEFT_NS_PER_MS);
}

static void return_timer(struct weft_rpc_link *l)
{
	if (l->leaving) {
		weft_timer_start(link_env(l), &l->timer, SETTLE_MS * WEFT_NS_PER_MS);
		rpc_link_settle(l);
	} else if (l->probe) {
		probe_close(l);
		return_later(l);
	} else {
		probe_start(l);
	}
}

static void link_timer(void *arg)
{
	struct weft_rpc_link *l = arg;

	if (l->state == LINK_UP)
		return_timer(l);
	else if (l->state != LINK_DOWN)
		link_failed(l, "no answer", -ETIMEDOUT, 0);
	else if (l->peer->queue.first)
		link_connect(l);
}

void rpc_link_kick(struct weft_rpc_link *l, bool now)
{
	if (l->state == LINK_DOWN && (now || l->timer.pos < 0))
		link_connect(l);
}

void rpc_link_init(struct weft_rpc_peer *p, struct weft_rpc_link *l, unsigned int addr)
{
	l->peer = p;
	l->addr = l->home = addr;
	weft_timer_init(&l->timer, link_timer, l);
}
