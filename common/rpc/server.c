// SPDX-License-Identifier: Apache-2.0
/*
 * The listening side of a daemon: negotiates INIT and AUTH on the main loop and hands each
 * connection to the service that INIT named.
 *
 * Happy path: INIT, its reply, with a secret AUTH and its reply; when the last reply is sent the
 * connection leaves this loop. A client sends nothing more before that reply, and nothing is read
 * while it is on its way, so that nothing is half read when the connection leaves.
 *
 * Failures: each has a status of its own in the reply, then the connection is closed; a peer
 * that does not finish in 5 s is disconnected.
 *
 * Belongs to the main loop; the way to a service is a post.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rpc/impl.h"
#include "common/status.h"

#define SERVICES_MAX 64
#define LISTENERS_MAX 16

struct handshake;

struct weft_rpc_server {
	struct weft_rpc_server_cfg cfg;
	void *secret;
	struct weft_rpc_service *services[SERVICES_MAX];
	unsigned int nservices;
	struct weft_xprt_listener *listeners[LISTENERS_MAX];
	unsigned int nlisteners;
	struct handshake *handshakes;
};

/**
 * struct handshake - a connection that is not handed over yet
 * @leave: what the reply that is being sent decides: hand over (1), close (-1), go on (0)
 */
struct handshake {
	struct handshake *next, **link;
	struct weft_rpc_server *srv;
	struct weft_xprt *xprt;
	struct weft_timer timer;
	int leave;
	bool want_auth;
	uint32_t target;
	enum weft_role role;
	uint8_t client_nonce[WEFT_AUTH_NONCE];
	uint8_t nonce[WEFT_AUTH_NONCE];
	char peer[80];
};

static void handshake_unlink(struct handshake *hs)
{
	*hs->link = hs->next;
	if (hs->next)
		hs->next->link = hs->link;
	weft_timer_stop(hs->srv->cfg.env, &hs->timer);
}

static void handshake_close(struct handshake *hs)
{
	struct weft_xprt *x = hs->xprt;

	handshake_unlink(hs);
	hs->leave = 0;
	weft_xprt_close(x);
	free(hs);
}

static struct weft_rpc_service *find_service(struct weft_rpc_server *srv, uint32_t target)
{
	unsigned int i;

	for (i = 0; i < srv->nservices; i++)
		if (rpc_service_target(srv->services[i]) == target)
			return srv->services[i];
	return NULL;
}

static void handshake_hand_over(struct handshake *hs)
{
	struct weft_rpc_service *svc = find_service(hs->srv, hs->target);
	struct rpc_handover *h = calloc(1, sizeof(*h));
	int ret;

	if (!h || !svc) {
		free(h);
		handshake_close(hs);
		return;
	}
	handshake_unlink(hs);
	h->role = hs->role;
	memcpy(h->peer, hs->peer, sizeof(h->peer));
	ret = weft_xprt_detach(hs->xprt, &h->xprt);
	if (!ret) {
		rpc_service_hand_over(svc, h);
	} else {
		weft_warn_peer("connection lost in its handshake", "peer=%s err=%d", hs->peer,
			       -ret);
		free(h);
	}
	free(hs);
}

static void handshake_sent(void *arg, struct weft_msg *m)
{
	struct handshake *hs = arg;

	weft_msg_free(m);
	if (hs->leave > 0)
		handshake_hand_over(hs);
	else if (hs->leave < 0)
		handshake_close(hs);
}

/* Sends a reply; hs may be gone afterwards. */
static void handshake_reply(struct handshake *hs, const struct weft_msg *req, uint32_t status,
			    const void *body, size_t len, int leave)
{
	struct weft_msg *m = weft_msg_alloc(len);

	if (!m) {
		handshake_close(hs);
		return;
	}
	if (status)
		weft_warn_peer("connection refused", "peer=%s status=%u why=%s", hs->peer, status,
			       weft_strstatus(status));
	if (len)
		memcpy(m->text, body, len);
	m->hdr.flags = cpu_to_le16(WEFT_MF_REPLY);
	m->hdr.opcode = req->hdr.opcode;
	m->hdr.body_len = cpu_to_le16(len);
	m->hdr.request_id = req->hdr.request_id;
	m->hdr.status = cpu_to_le32(status);
	hs->leave = status ? -1 : leave;
	/* What the client sends after this reply is for the service, even if it is here first. */
	if (hs->leave)
		weft_xprt_stop_reading(hs->xprt, true);
	weft_xprt_send(hs->xprt, m);
}

static uint32_t init_status(struct handshake *hs, const struct weft_init_req *rq)
{
	struct weft_rpc_server *srv = hs->srv;

	if (le16_to_cpu(rq->version_min) > WEFT_WIRE_VERSION ||
	    le16_to_cpu(rq->version_max) < WEFT_WIRE_VERSION_MIN)
		return WEFT_S_VERSION;
	if (!rpc_fsid_unset(srv->cfg.fsid)) {
		/* Only management may be asked by somebody who does not know the file system. */
		if (rpc_fsid_unset(rq->fsid) && hs->target)
			return WEFT_S_FSID;
		if (!rpc_fsid_unset(rq->fsid) &&
		    memcmp(rq->fsid, srv->cfg.fsid, sizeof(rq->fsid)))
			return WEFT_S_FSID;
	}
	if (!find_service(srv, hs->target))
		return WEFT_S_NO_TARGET;
	if (hs->role < WEFT_ROLE_CLIENT || hs->role > WEFT_ROLE_TOOL)
		return WEFT_S_MALFORMED;
	return 0;
}

static void got_init(struct handshake *hs, const struct weft_msg *m)
{
	const struct weft_init_req *rq = (const struct weft_init_req *)m->text;
	struct weft_rpc_server *srv = hs->srv;
	struct weft_init_rep rep = { 0 };
	uint16_t version = le16_to_cpu(rq->version_max);
	uint32_t status;

	hs->target = le32_to_cpu(rq->target);
	hs->role = le16_to_cpu(rq->role);
	memcpy(hs->client_nonce, rq->nonce, sizeof(hs->client_nonce));
	status = init_status(hs, rq);
	if (status) {
		handshake_reply(hs, m, status, NULL, 0, -1);
		return;
	}
	rep.version = cpu_to_le16(version < WEFT_WIRE_VERSION ? version : WEFT_WIRE_VERSION);
	rep.credits = cpu_to_le16(rpc_service_credits(find_service(srv, hs->target)));
	rep.features = cpu_to_le64(le64_to_cpu(rq->features) & WEFT_FEAT_ALL);
	memcpy(rep.fsid, srv->cfg.fsid, sizeof(rep.fsid));
	rep.node = cpu_to_le32(srv->cfg.node);
	rep.boot = cpu_to_le64(srv->cfg.boot);
	if (srv->secret) {
		hs->want_auth = true;
		rep.flags = cpu_to_le16(WEFT_INIT_AUTH);
		weft_env_random(srv->cfg.env, hs->nonce, sizeof(hs->nonce));
		memcpy(rep.nonce, hs->nonce, sizeof(rep.nonce));
		if (rpc_mac(srv->secret, srv->cfg.secret_len, "weft-server", hs->client_nonce,
			    hs->nonce, rep.mac)) {
			handshake_close(hs);
			return;
		}
	}
	handshake_reply(hs, m, 0, &rep, sizeof(rep), hs->want_auth ? 0 : 1);
}

static void got_auth(struct handshake *hs, const struct weft_msg *m)
{
	const struct weft_auth_req *rq = (const struct weft_auth_req *)m->text;
	struct weft_rpc_server *srv = hs->srv;
	uint8_t mac[WEFT_AUTH_MAC];
	uint32_t status = WEFT_S_AUTH;

	if (!rpc_mac(srv->secret, srv->cfg.secret_len, "weft-client", hs->nonce,
		     hs->client_nonce, mac) &&
	    rpc_mac_equal(mac, rq->mac))
		status = 0;
	handshake_reply(hs, m, status, NULL, 0, 1);
}

static void handshake_received(void *arg, struct weft_msg *m)
{
	struct handshake *hs = arg;
	uint16_t op = le16_to_cpu(m->hdr.opcode);

	if (le16_to_cpu(m->hdr.flags) & (WEFT_MF_REPLY | WEFT_MF_PUSH) || hs->leave)
		handshake_close(hs);
	else if (op == WEFT_OP_INIT && !hs->want_auth)
		got_init(hs, m);
	else if (op == WEFT_OP_AUTH && hs->want_auth)
		got_auth(hs, m);
	else
		handshake_reply(hs, m, hs->want_auth ? WEFT_S_AUTH : WEFT_S_MALFORMED, NULL, 0,
				-1);
	weft_msg_free(m);
}

static int handshake_place(void *arg, struct weft_msg *m)
{
	(void)arg;
	(void)m;
	return -EPROTO; /* nothing in a handshake has bulk */
}

static void handshake_broken(void *arg, int err)
{
	struct handshake *hs = arg;

	weft_debug("connection ended in its handshake", "peer=%s err=%d", hs->peer, -err);
	handshake_close(hs);
}

static void handshake_timeout(void *arg)
{
	struct handshake *hs = arg;

	weft_warn_peer("handshake took too long", "peer=%s", hs->peer);
	handshake_close(hs);
}

static const struct weft_xprt_cb handshake_cb = {
	.place = handshake_place,
	.received = handshake_received,
	.sent = handshake_sent,
	.broken = handshake_broken,
};

static void accepted(void *arg, const struct weft_xprt_handle *h)
{
	struct weft_rpc_server *srv = arg;
	struct handshake *hs = calloc(1, sizeof(*hs));
	int ret = -ENOMEM;

	if (hs)
		ret = weft_xprt_attach(srv->cfg.env, h, NULL, &handshake_cb, hs, &hs->xprt);
	if (ret) {
		weft_warn_peer("connection refused", "err=%d", -ret);
		weft_xprt_discard(h);
		free(hs);
		return;
	}
	hs->srv = srv;
	weft_xprt_peer(hs->xprt, hs->peer, sizeof(hs->peer));
	hs->next = srv->handshakes;
	hs->link = &srv->handshakes;
	if (hs->next)
		hs->next->link = &hs->next;
	srv->handshakes = hs;
	weft_timer_init(&hs->timer, handshake_timeout, hs);
	weft_timer_start(srv->cfg.env, &hs->timer, RPC_HANDSHAKE_MS * WEFT_NS_PER_MS);
}

int weft_rpc_server_create(const struct weft_rpc_server_cfg *cfg, struct weft_rpc_server **out)
{
	struct weft_rpc_server *srv = calloc(1, sizeof(*srv));

	if (!srv)
		return -ENOMEM;
	srv->cfg = *cfg;
	if (cfg->secret) {
		srv->secret = malloc(cfg->secret_len ? cfg->secret_len : 1);
		if (!srv->secret) {
			free(srv);
			return -ENOMEM;
		}
		memcpy(srv->secret, cfg->secret, cfg->secret_len);
	}
	while (!srv->cfg.boot)
		weft_env_random(cfg->env, &srv->cfg.boot, sizeof(srv->cfg.boot));
	*out = srv;
	return 0;
}

int weft_rpc_server_listen(struct weft_rpc_server *srv, const struct weft_rpc_addr *addr)
{
	const struct weft_xprt_ops *ops = weft_xprt_kind(addr->kind);
	struct weft_xprt_listener *l;
	int ret;

	if (srv->nlisteners == LISTENERS_MAX)
		return -ENOSPC;
	ret = ops->listen(srv->cfg.env, addr->host, addr->port, accepted, srv, &l);
	if (ret)
		return ret;
	srv->listeners[srv->nlisteners++] = l;
	return ops->listen_port(l);
}

void weft_rpc_server_set_fsid(struct weft_rpc_server *srv, const uint8_t fsid[16])
{
	memcpy(srv->cfg.fsid, fsid, sizeof(srv->cfg.fsid));
}

int weft_rpc_server_add(struct weft_rpc_server *srv, struct weft_rpc_service *svc)
{
	if (find_service(srv, rpc_service_target(svc)))
		return -EEXIST;
	if (srv->nservices == SERVICES_MAX)
		return -ENOMEM;
	srv->services[srv->nservices++] = svc;
	return 0;
}

void weft_rpc_server_remove(struct weft_rpc_server *srv, struct weft_rpc_service *svc)
{
	unsigned int i;

	for (i = 0; i < srv->nservices; i++) {
		if (srv->services[i] != svc)
			continue;
		srv->services[i] = srv->services[--srv->nservices];
		return;
	}
}

void weft_rpc_server_destroy(struct weft_rpc_server *srv)
{
	if (!srv)
		return;
	while (srv->nlisteners) {
		struct weft_xprt_listener *l = srv->listeners[--srv->nlisteners];

		l->ops->listen_close(l);
	}
	while (srv->handshakes)
		handshake_close(srv->handshakes);
	free(srv->secret);
	free(srv);
}
