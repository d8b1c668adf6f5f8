// SPDX-License-Identifier: Apache-2.0
/*
 * Connections are made: the connection manager's events.
 *
 * Accepting: a request with good private data gets a queue pair, is accepted, and is handed to the
 * listener's owner when it is established. Connecting: address, route, queue pair, request, answer.
 * Every connection has an event channel of its own, so that it can change its loop.
 *
 * Failures: a request with wrong private data is refused with a status and a line in the log; one
 * that comes while too many are being made is refused as busy. An established connection hears of
 * its end by DISCONNECTED, or DEVICE_REMOVAL when the device goes.
 *
 * Events are copied and acknowledged before anything is done with them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rpc/rdma.h"
#include "common/sockaddr.h"
#include "common/status.h"

#define RESOLVE_MS 2000
#define BACKLOG 128
#define ACK_TIMEOUT 18 /* 4.096 us << 18: about 1 s, 7 times: a lost peer is noticed in 8 s */
#define RETRIES 6      /* not 7: rdma_rxe takes that for ever */
#define REJ_NOBODY 8 /* IB_CM_REJ_INVALID_SERVICE_ID */
#define REJ_CONSUMER 28 /* IB_CM_REJ_CONSUMER_DEFINED */

struct rdma_listener {
	struct weft_xprt_listener l;
	struct weft_env *env;
	struct rdma_event_channel *chan;
	struct rdma_cm_id *id;
	struct weft_watch *watch;
	struct rdma_conn *embryos;
	unsigned int nembryos;
	weft_xprt_accepted accepted;
	void *arg;
};

/**
 * struct cm_event - what is kept of an event
 * @id: whose it is
 * @reads_in: READs that the peer will have outstanding
 * @reads_out: READs that it answers at a time
 */
struct cm_event {
	enum rdma_cm_event_type type;
	int status;
	struct rdma_cm_id *id;
	unsigned int reads_in, reads_out;
	size_t len;
	char data[sizeof(struct weft_rdma_cm)];
};

/* Return: false when there is none. */
static bool next_event(struct rdma_event_channel *chan, struct cm_event *e)
{
	const struct rdma_conn_param *p;
	struct rdma_cm_event *ev;

	if (rdma_get_cm_event(chan, &ev))
		return false;
	p = &ev->param.conn;
	*e = (struct cm_event){ .type = ev->event, .status = ev->status, .id = ev->id };
	if (ev->event == RDMA_CM_EVENT_CONNECT_REQUEST ||
	    ev->event == RDMA_CM_EVENT_ESTABLISHED || ev->event == RDMA_CM_EVENT_REJECTED) {
		e->reads_in = p->responder_resources;
		e->reads_out = p->initiator_depth;
		e->len = p->private_data_len < sizeof(e->data) ? p->private_data_len
							       : sizeof(e->data);
		if (p->private_data)
			memcpy(e->data, p->private_data, e->len);
	}
	rdma_ack_cm_event(ev);
	return true;
}

void rdma_cm_name(struct rdma_cm_id *id, char *buf, size_t len)
{
	const struct sockaddr *sa = rdma_get_peer_addr(id);
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)sa)->sin6_addr, host,
			  sizeof(host));
	else if (sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)sa)->sin_addr, host,
			  sizeof(host));
	snprintf(buf, len, "rdma://%s:%u", host, ntohs(rdma_get_dst_port(id)));
}

/* What the queue pair is to do on both sides. */
static void conn_params(struct rdma_conn *c, struct weft_rdma_cm *cm, struct rdma_conn_param *p)
{
	uint8_t timeout = ACK_TIMEOUT;

	rdma_cm_fill(cm, &c->own, 0);
	*p = (struct rdma_conn_param){
		.private_data = cm,
		.private_data_len = sizeof(*cm),
		.responder_resources = c->dev->reads_in,
		.initiator_depth = c->dev->reads_out,
		.retry_count = RETRIES,
		.rnr_retry_count = RETRIES,
	};
	/* Not every kernel has it; then the subnet's timeout holds. */
	rdma_set_option(c->id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout,
			sizeof(timeout));
}

/* --- accepting */

static void refuse(struct rdma_cm_id *id, uint32_t status, int err)
{
	static const struct rdma_side nothing;
	struct weft_rdma_cm cm;
	char peer[80];

	rdma_cm_name(id, peer, sizeof(peer));
	WEFT_RDMA_COUNT(refused, 1);
	weft_warn_peer("RDMA connection refused", "peer=%s why=%s err=%d", peer,
		       weft_strstatus(status), -err);
	rdma_cm_fill(&cm, &nothing, status);
	rdma_reject(id, &cm, sizeof(cm));
	rdma_destroy_id(id);
}

void rdma_embryo_end(struct rdma_conn *c)
{
	if (!c->listener)
		return;
	c->listener->nembryos--;
	*c->embryo_link = c->embryo_next;
	if (c->embryo_next)
		c->embryo_next->embryo_link = c->embryo_link;
	c->listener = NULL;
}

static void embryo_add(struct rdma_listener *l, struct rdma_conn *c)
{
	c->listener = l;
	c->embryo_next = l->embryos;
	c->embryo_link = &l->embryos;
	if (c->embryo_next)
		c->embryo_next->embryo_link = &c->embryo_next;
	l->embryos = c;
	l->nembryos++;
}

/* Takes the id of a request over. Return: 0, or an error and the id is still the caller's. */
static int accept_on(struct rdma_listener *l, const struct cm_event *e, struct rdma_conn *c)
{
	struct rdma_conn_param p;
	struct weft_rdma_cm cm;
	int ret;

	c->chan = rdma_create_event_channel();
	if (!c->chan || rdma_migrate_id(e->id, c->chan))
		return -errno;
	c->id = e->id;
	ret = rdma_conn_setup(c);
	if (!ret)
		ret = rdma_conn_watch(c, l->env);
	if (ret)
		return ret;
	conn_params(c, &cm, &p);
	if (p.responder_resources > e->reads_in)
		p.responder_resources = e->reads_in;
	if (p.initiator_depth > e->reads_out)
		p.initiator_depth = e->reads_out;
	return rdma_accept(c->id, &p) ? -errno : 0;
}

static void connect_request(struct rdma_listener *l, const struct cm_event *e)
{
	struct rdma_side peer;
	uint32_t status = rdma_cm_read(e->data, e->len, &peer);
	struct rdma_conn *c = NULL;
	int ret = -ENOMEM;

	if (!status && !e->reads_out)
		status = WEFT_S_MALFORMED; /* nobody could read its bulk */
	if (!status && l->nembryos >= RDMA_EMBRYOS_MAX)
		status = WEFT_S_BUSY;
	if (!status)
		c = rdma_conn_alloc(true);
	if (c)
		ret = accept_on(l, e, c);
	if (!ret) {
		c->peer = peer;
		c->reads_max = e->reads_out;
		embryo_add(l, c);
		return;
	}
	if (c && c->id) {
		c->id = NULL;
		if (e->id->qp) {
			rdma_destroy_qp(e->id);
			WEFT_RDMA_COUNT(qps, -1);
		}
	}
	refuse(e->id, status ? status : WEFT_S_BUSY, status ? 0 : ret);
	if (c)
		rdma_conn_close(c);
}

static void listener_ready(void *arg)
{
	struct rdma_listener *l = arg;
	struct cm_event e;

	while (next_event(l->chan, &e)) {
		if (e.type == RDMA_CM_EVENT_CONNECT_REQUEST)
			connect_request(l, &e);
		else if (e.type == RDMA_CM_EVENT_DEVICE_REMOVAL)
			weft_err("the RDMA device of a rail was removed", "port=%u",
				 rdma_xprt_listen_port(&l->l));
	}
}

static int listen_on(struct rdma_listener *l, const struct sockaddr_storage *ss)
{
	int one = 1;

	l->chan = rdma_create_event_channel();
	if (!l->chan || rdma_create_id(l->chan, &l->id, NULL, RDMA_PS_TCP))
		return -errno;
	/* A server that starts again finds its port in the state of old connections. */
	rdma_set_option(l->id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &one, sizeof(one));
	if (rdma_bind_addr(l->id, (struct sockaddr *)ss) || rdma_listen(l->id, BACKLOG))
		return -errno;
	return weft_env_watch(l->env, l->chan->fd, listener_ready, l, &l->watch);
}

static void listener_free(struct rdma_listener *l)
{
	if (l->id)
		rdma_destroy_id(l->id);
	if (l->chan)
		rdma_destroy_event_channel(l->chan);
	free(l);
}

int rdma_xprt_listen(struct weft_env *env, const char *host, uint16_t port,
		     weft_xprt_accepted accepted, void *arg, struct weft_xprt_listener **out)
{
	struct rdma_listener *l = calloc(1, sizeof(*l));
	struct sockaddr_storage ss;
	int ret = weft_sockaddr(host, port, &ss);

	if (!l)
		return -ENOMEM;
	l->l.ops = &weft_xprt_rdma;
	l->env = env;
	l->accepted = accepted;
	l->arg = arg;
	if (ret >= 0)
		ret = listen_on(l, &ss);
	if (ret) {
		listener_free(l);
		return ret;
	}
	*out = &l->l;
	return 0;
}

uint16_t rdma_xprt_listen_port(struct weft_xprt_listener *l)
{
	return ntohs(rdma_get_src_port(((struct rdma_listener *)l)->id));
}

void rdma_xprt_listen_close(struct weft_xprt_listener *wl)
{
	struct rdma_listener *l = (struct rdma_listener *)wl;

	while (l->embryos)
		rdma_conn_close(l->embryos);
	weft_watch_close(l->watch);
	listener_free(l);
}

/* The connection that was being accepted is there. */
static void embryo_up(struct rdma_conn *c)
{
	struct rdma_listener *l = c->listener;
	struct weft_xprt_handle h = { .ops = &weft_xprt_rdma };

	rdma_conn_up(c, &c->peer, c->reads_max);
	h.conn = rdma_conn_move(c);
	if (!h.conn)
		return;
	WEFT_RDMA_COUNT(accepted, 1);
	l->accepted(l->arg, &h);
}

/* --- connecting */

static void connect_failed(struct rdma_conn *c, int err)
{
	if (c->told)
		return;
	c->told = true;
	c->state = RDMA_BROKEN;
	c->cb.connected(c->arg, err);
}

static void route_resolved(struct rdma_conn *c)
{
	struct rdma_conn_param p;
	struct weft_rdma_cm cm;
	int ret = rdma_conn_setup(c);

	if (!ret)
		ret = rdma_conn_watch(c, c->env);
	if (!ret) {
		conn_params(c, &cm, &p);
		ret = rdma_connect(c->id, &p) ? -errno : 0;
	}
	if (ret)
		connect_failed(c, ret);
}

static void client_up(struct rdma_conn *c, const struct cm_event *e)
{
	struct rdma_side peer;
	uint32_t status = rdma_cm_read(e->data, e->len, &peer);

	if (status) {
		rdma_cm_name(c->id, c->peer_name, sizeof(c->peer_name));
		weft_warn_peer("RDMA: the server's private data is wrong", "peer=%s why=%s",
			       c->peer_name, weft_strstatus(status));
		connect_failed(c, -EPROTO);
		return;
	}
	rdma_conn_up(c, &peer, e->reads_out);
	WEFT_RDMA_COUNT(connected, 1);
	weft_timer_start(c->env, &c->alive, RDMA_ALIVE_MS * WEFT_NS_PER_MS);
	c->cb.connected(c->arg, 0);
	if (!c->closed)
		rdma_run(c);
}

static int reject_errno(const struct cm_event *e)
{
	struct rdma_side peer;

	if (e->status == REJ_CONSUMER && rdma_cm_read(e->data, e->len, &peer) == WEFT_S_VERSION)
		return -EPROTONOSUPPORT;
	return e->status == REJ_CONSUMER ? -ECONNREFUSED
					 : e->status == REJ_NOBODY ? -ECONNREFUSED : -ECONNABORTED;
}

int rdma_xprt_connect(struct weft_env *env, const char *host, uint16_t port,
		      struct weft_pool *pool, const struct weft_xprt_cb *cb, void *arg,
		      struct weft_xprt **out)
{
	struct sockaddr_storage ss;
	struct rdma_conn *c;
	int ret = 0;

	if (weft_sockaddr(host, port, &ss) < 0)
		return -EINVAL;
	c = rdma_conn_alloc(false);
	if (!c)
		return -ENOMEM;
	c->pool = pool;
	c->cb = *cb;
	c->arg = arg;
	snprintf(c->peer_name, sizeof(c->peer_name), "rdma://%s:%u", host, port);
	c->chan = rdma_create_event_channel();
	if (!c->chan || rdma_create_id(c->chan, &c->id, NULL, RDMA_PS_TCP) ||
	    rdma_resolve_addr(c->id, NULL, (struct sockaddr *)&ss, RESOLVE_MS))
		ret = -errno;
	if (!ret)
		ret = rdma_conn_watch(c, env);
	if (ret) {
		rdma_conn_close(c);
		return ret;
	}
	*out = &c->x;
	return 0;
}

/* --- events of a connection */

static void conn_event(struct rdma_conn *c, const struct cm_event *e)
{
	switch (e->type) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		if (rdma_resolve_route(c->id, RESOLVE_MS))
			connect_failed(c, -errno);
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		route_resolved(c);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		if (c->listener)
			embryo_up(c);
		else if (c->state == RDMA_CONNECTING)
			client_up(c, e);
		break;
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
	case RDMA_CM_EVENT_ADDR_CHANGE:
		break;
	default:
		if (c->listener)
			rdma_conn_close(c);
		else if (e->type == RDMA_CM_EVENT_REJECTED)
			connect_failed(c, reject_errno(e));
		else if (c->state == RDMA_CONNECTING)
			connect_failed(c, e->status < 0 ? e->status : -EHOSTUNREACH);
		else
			rdma_conn_fail(c, e->type == RDMA_CM_EVENT_DEVICE_REMOVAL ? -ENODEV
										  : -EPIPE);
	}
}

void rdma_cm_ready(void *arg)
{
	struct rdma_conn *c = arg;
	struct cm_event e;

	rdma_enter(c);
	while (!c->closed && next_event(c->chan, &e))
		conn_event(c, &e);
	/* What had come before the end is handed up before it is told. */
	if (!c->closed && c->err)
		rdma_run(c);
	rdma_leave(c);
}
