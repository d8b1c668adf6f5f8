// SPDX-License-Identifier: Apache-2.0
/*
 * Calls: from weft_rpc_call_start() to done().
 *
 * Happy path: a call waits in its peer's queue until a connection is up and has credits, is sent,
 * and its reply ends it. A call is in exactly one of: the peer's queue (CALL_QUEUED), a link's list
 * (CALL_SENT), neither (CALL_IDLE, CALL_OVER).
 *
 * Failures: a broken connection puts its calls back at the head of the queue, in their order,
 * marked as replays. A call that ends early (deadline, cancel) while the transport still uses its
 * memory breaks that connection, because half a message cannot be taken back.
 *
 * Belongs to the client's loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/rpc/impl.h"
#include "common/status.h"

void call_list_add(struct call_list *l, struct weft_rpc_call *c)
{
	c->next = NULL;
	c->prev = l->last;
	if (l->last)
		l->last->next = c;
	else
		l->first = c;
	l->last = c;
}

void call_list_del(struct call_list *l, struct weft_rpc_call *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		l->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		l->last = c->prev;
	c->next = c->prev = NULL;
}

int weft_rpc_client_create(const struct weft_rpc_client_cfg *cfg, struct weft_rpc_client **out)
{
	struct weft_rpc_client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	if (cfg->secret) {
		c->secret = malloc(cfg->secret_len ? cfg->secret_len : 1);
		if (!c->secret) {
			free(c);
			return -ENOMEM;
		}
		memcpy(c->secret, cfg->secret, cfg->secret_len);
	}
	*out = c;
	return 0;
}

void weft_rpc_client_destroy(struct weft_rpc_client *c)
{
	if (!c)
		return;
	free(c->secret);
	free(c);
}

void weft_rpc_client_set_session(struct weft_rpc_client *c, uint64_t session)
{
	c->cfg.session = session;
}

void weft_rpc_client_set_fsid(struct weft_rpc_client *c, const uint8_t fsid[16])
{
	memcpy(c->cfg.fsid, fsid, sizeof(c->cfg.fsid));
}

/* How many of the addresses are of the kind that is named first: the others are for need. */
static unsigned int preferred(const struct weft_rpc_addr *addrs, unsigned int naddrs)
{
	unsigned int n = 1;

	while (n < naddrs && addrs[n].kind == addrs[0].kind)
		n++;
	return n;
}

int weft_rpc_peer_create(struct weft_rpc_client *c, uint32_t target, unsigned int nconns,
			 const struct weft_rpc_addr *addrs, unsigned int naddrs, void *arg,
			 struct weft_rpc_peer **out)
{
	struct weft_rpc_peer *p;
	unsigned int i;

	if (!nconns || nconns > 8 || !naddrs || naddrs > WEFT_RPC_ADDRS_MAX)
		return -EINVAL;
	p = calloc(1, sizeof(*p) + nconns * sizeof(p->links[0]));
	if (!p)
		return -ENOMEM;
	p->client = c;
	p->target = target;
	p->arg = arg;
	p->nlinks = nconns;
	p->naddrs = naddrs;
	memcpy(p->addrs, addrs, naddrs * sizeof(*addrs));
	for (i = 0; i < nconns; i++)
		rpc_link_init(p, &p->links[i], i % preferred(addrs, naddrs));
	*out = p;
	return 0;
}

int weft_rpc_peer_set_addrs(struct weft_rpc_peer *p, const struct weft_rpc_addr *addrs,
			    unsigned int naddrs)
{
	unsigned int i;
	bool same;

	if (!naddrs || naddrs > WEFT_RPC_ADDRS_MAX)
		return -EINVAL;
	same = naddrs == p->naddrs;
	for (i = 0; same && i < naddrs; i++)
		same = addrs[i].port == p->addrs[i].port && addrs[i].kind == p->addrs[i].kind &&
		       !strcmp(addrs[i].host, p->addrs[i].host);
	if (same)
		return 0;
	memcpy(p->addrs, addrs, naddrs * sizeof(*addrs));
	p->naddrs = naddrs;
	for (i = 0; i < p->nlinks; i++) {
		p->links[i].addr = p->links[i].home = i % preferred(addrs, naddrs);
		if (p->links[i].xprt)
			rpc_link_break(&p->links[i], "the target has moved", 0);
		if (p->queue.first)
			rpc_link_kick(&p->links[i], true);
	}
	return 0;
}

void *weft_rpc_peer_arg(const struct weft_rpc_peer *p)
{
	return p->arg;
}

uint32_t weft_rpc_peer_target(const struct weft_rpc_peer *p)
{
	return p->target;
}

const struct weft_rpc_peer_stats *weft_rpc_peer_stats(const struct weft_rpc_peer *p)
{
	return &p->stats;
}

/* Takes a call out of wherever it is. Its connection may be broken by this. */
static void call_detach(struct weft_rpc_call *c)
{
	struct weft_rpc_link *l = c->link;

	if (l && (c->out->owner || l->rx_call == c))
		rpc_link_break(l, "a call ended while it was on the wire", 0);
	if (c->state == CALL_SENT) {
		c->link->outstanding--;
		call_list_del(&c->link->sent, c);
	} else if (c->state == CALL_QUEUED) {
		call_list_del(&c->peer->queue, c);
	}
	c->link = NULL;
	if (c->state != CALL_OVER)
		c->peer->stats.outstanding--;
	c->state = CALL_OVER;
	weft_timer_stop(c->peer->client->cfg.env, &c->timer);
	weft_msg_free(c->out);
	c->out = NULL;
}

static void call_over(void *arg)
{
	struct weft_rpc_call *c = arg;

	c->done(c);
}

/* Ends a call outside of its owner's function. */
static void call_end_later(struct weft_rpc_call *c, int err, uint32_t status)
{
	struct weft_env *env = c->peer->client->cfg.env;

	call_detach(c);
	c->err = err;
	c->status = status;
	c->peer = NULL;
	c->post.cb = call_over;
	c->post.arg = c;
	weft_env_post(env, &c->post);
}

static void call_timeout(void *arg)
{
	struct weft_rpc_call *c = arg;

	call_detach(c);
	c->err = -ETIMEDOUT;
	c->done(c);
}

void weft_rpc_cancel(struct weft_rpc_call *c)
{
	if (c->state == CALL_QUEUED || c->state == CALL_SENT)
		call_end_later(c, -ECANCELED, 0);
}

void weft_rpc_peer_destroy(struct weft_rpc_peer *p)
{
	unsigned int i;

	if (!p)
		return;
	for (i = 0; i < p->nlinks; i++)
		rpc_link_fini(&p->links[i]);
	while (p->queue.first)
		call_end_later(p->queue.first, -ECANCELED, 0);
	free(p);
}

void rpc_peer_fail(struct weft_rpc_peer *p, bool all, int err, uint32_t status)
{
	struct weft_rpc_call *c, *next;

	for (c = p->queue.first; c; c = next) {
		next = c->next;
		if (all || (c->flags & WEFT_CALL_NO_WAIT))
			call_end_later(c, err, status);
	}
}

void rpc_peer_requeue(struct weft_rpc_link *l)
{
	struct weft_rpc_peer *p = l->peer;
	struct call_list all = l->sent;
	struct weft_rpc_call *c;

	for (c = all.first; c; c = c->next) {
		c->state = CALL_QUEUED;
		c->link = NULL;
		c->out->hdr.flags |= cpu_to_le16(WEFT_MF_REPLAY);
	}
	if (all.last) {
		all.last->next = p->queue.first;
		if (p->queue.first)
			p->queue.first->prev = all.last;
		else
			p->queue.last = all.last;
		p->queue.first = all.first;
	}
	memset(&l->sent, 0, sizeof(l->sent));
	l->outstanding = 0;
	l->rx_call = NULL;
}

static struct weft_rpc_link *best_link(struct weft_rpc_peer *p)
{
	struct weft_rpc_link *best = NULL, *l;

	for (l = p->links; l < p->links + p->nlinks; l++)
		if (l->state == LINK_UP && !l->leaving && l->outstanding < l->limit &&
		    (!best || l->outstanding < best->outstanding))
			best = l;
	return best;
}

void rpc_peer_pump(struct weft_rpc_peer *p)
{
	struct weft_rpc_link *l;
	struct weft_rpc_call *c;

	while ((c = p->queue.first) && (l = best_link(p))) {
		call_list_del(&p->queue, c);
		call_list_add(&l->sent, c);
		l->outstanding++;
		c->state = CALL_SENT;
		c->link = l;
		c->boot = l->boot;
		c->out->owner = c;
		if (c->out->hdr.flags & cpu_to_le16(WEFT_MF_REPLAY))
			p->stats.replays++;
		weft_xprt_send(l->xprt, c->out);
	}
}

static struct weft_msg *call_msg(struct weft_rpc_client *cl, struct weft_rpc_call *c,
				 const void *body, size_t body_len, const void *tail,
				 size_t tail_len)
{
	struct weft_msg *m = weft_msg_alloc(body_len + tail_len);
	uint16_t flags = (c->flags & WEFT_CALL_SLOT) ? WEFT_MF_SLOT : 0;

	if (!m)
		return NULL;
	if (body_len)
		memcpy(m->text, body, body_len);
	if (tail_len)
		memcpy(m->text + body_len, tail, tail_len);
	if (c->bulk_in.len && weft_sg_slice(&m->in, &c->bulk_in, 0, c->bulk_in.len)) {
		weft_msg_free(m);
		return NULL;
	}
	weft_sg_move(&m->bulk, &c->bulk_out);
	if (c->flags & WEFT_CALL_CRC) {
		flags |= WEFT_MF_BULK_CRC;
		m->hdr.bulk_crc = cpu_to_le32(weft_crc32c_sg(&m->bulk));
	}
	m->hdr.flags = cpu_to_le16(flags);
	m->hdr.opcode = cpu_to_le16(c->opcode);
	m->hdr.body_len = cpu_to_le16(body_len);
	m->hdr.request_id = cpu_to_le64(c->id);
	m->hdr.session = cpu_to_le64(cl->cfg.session);
	m->hdr.epoch = cpu_to_le64(c->epoch);
	m->hdr.group = cpu_to_le32(c->group);
	m->hdr.slot = cpu_to_le32(c->slot);
	m->hdr.slot_seq = cpu_to_le32(c->slot_seq);
	m->hdr.bulk_len = cpu_to_le32(m->bulk.len);
	m->hdr.bulk_max = cpu_to_le32(c->bulk_max);
	return m;
}

int weft_rpc_call_start(struct weft_rpc_peer *p, struct weft_rpc_call *c, const void *body,
			size_t body_len, const void *tail, size_t tail_len)
{
	struct weft_rpc_client *cl = p->client;
	struct weft_rpc_link *l;

	if (sizeof(struct weft_hdr) + body_len + tail_len > WEFT_MSG_MAX ||
	    c->bulk_out.len > WEFT_BULK_MAX || c->bulk_in.len > WEFT_BULK_MAX)
		return -EMSGSIZE;
	if (!c->bulk_max || (c->bulk_in.len && c->bulk_max > c->bulk_in.len))
		c->bulk_max = c->bulk_in.len;
	c->id = ++cl->next_id;
	c->out = call_msg(cl, c, body, body_len, tail, tail_len);
	if (!c->out)
		return -ENOMEM;
	c->peer = p;
	c->state = CALL_QUEUED;
	call_list_add(&p->queue, c);
	p->stats.calls++;
	p->stats.outstanding++;
	weft_timer_init(&c->timer, call_timeout, c);
	if (c->timeout_ms)
		weft_timer_start(cl->cfg.env, &c->timer, c->timeout_ms * WEFT_NS_PER_MS);
	rpc_peer_pump(p);
	for (l = p->links; l < p->links + p->nlinks; l++)
		rpc_link_kick(l, !!(c->flags & WEFT_CALL_NO_WAIT));
	return 0;
}

void rpc_call_replied(struct weft_rpc_link *l, struct weft_rpc_call *c, struct weft_msg *m)
{
	size_t body_len = le16_to_cpu(m->hdr.body_len);
	uint32_t grant = l->outstanding - 1 + le16_to_cpu(m->hdr.credits);

	l->limit = grant < 1 ? 1 : grant;
	if (l->limit > l->max_limit)
		l->limit = l->max_limit;
	l->rx_call = NULL;
	l->fails = 0;
	call_detach(c);
	c->in = m;
	c->err = 0;
	c->status = le32_to_cpu(m->hdr.status);
	c->rep_epoch = le64_to_cpu(m->hdr.epoch);
	c->rep = m->text;
	c->rep_len = body_len;
	c->rep_tail = m->text + body_len;
	c->rep_tail_len = m->text_len - body_len;
	weft_sg_fini(&c->bulk_in);
	weft_sg_move(&c->bulk_in, &m->bulk);
	rpc_link_settle(l);
	rpc_peer_pump(l->peer);
	c->done(c);
}

void weft_rpc_call_fini(struct weft_rpc_call *c)
{
	weft_sg_fini(&c->bulk_out);
	weft_sg_fini(&c->bulk_in);
	weft_msg_free(c->in);
	c->in = NULL;
	c->rep = NULL;
	c->rep_tail = NULL;
}

int weft_rpc_err(const struct weft_rpc_call *c)
{
	if (c->err)
		return c->err;
	return c->status < WEFT_S_STALE_MAP ? -(int)c->status : (int)c->status;
}
