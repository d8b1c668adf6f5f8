// SPDX-License-Identifier: Apache-2.0
/*
 * The server's own work: applying what the log brings, pushing epochs, watching leases.
 *
 * A command that was applied may have changed the epoch; the push is made from a timer of zero
 * delay, so that a burst of commands makes one push. The map is encoded when it is asked for.
 * What fails here for want of memory is tried again: a push at the next epoch or the client's own
 * poll, an expiry at the next tick.
 */
#include "mgmt/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/uuid.h"
#include "mgmt/map.h"
#include "proto/map.h"
#include "proto/mgmtops.h"

static const struct weft_rpc_handler handlers[] = {
	{ WEFT_OP_MAP_GET, mgmt_op_map_get },
	{ WEFT_OP_CLIENT_REGISTER, mgmt_op_client_register },
	{ WEFT_OP_STATFS, mgmt_op_statfs },
	{ WEFT_OP_ADMIN, mgmt_op_admin },
	{ 0, NULL },
};

/* ---- subscribers */

static int subscribe(struct mgmt_server *srv, struct weft_rpc_conn *conn, struct mgmt_sub **out)
{
	struct mgmt_sub *sub = *weft_rpc_conn_priv(conn);

	*out = sub;
	if (sub)
		return 0;
	*out = sub = calloc(1, sizeof(*sub));
	if (!sub)
		return -ENOMEM;
	sub->conn = conn;
	sub->next = srv->subs;
	sub->prev = &srv->subs;
	if (sub->next)
		sub->next->prev = &sub->next;
	srv->subs = sub;
	*weft_rpc_conn_priv(conn) = sub;
	return 0;
}

int mgmt_server_subscribe(struct mgmt_server *srv, const struct weft_rpc_req *req)
{
	const struct weft_map_get_req *q = req->body;
	struct mgmt_sub *sub;
	int ret = subscribe(srv, req->conn, &sub);

	if (!ret && weft_rpc_conn_role(req->conn) == WEFT_ROLE_CLIENT) {
		sub->session = req->session;
		sub->transport = le32_to_cpu(q->flags) & WEFT_MAP_TRANSPORT;
		sub->fallbacks = le32_to_cpu(q->fallbacks);
	}
	return ret;
}

static void conn_closed(void *arg, struct weft_rpc_conn *conn)
{
	struct mgmt_sub *sub = *weft_rpc_conn_priv(conn);

	(void)arg;
	if (!sub)
		return;
	*weft_rpc_conn_priv(conn) = NULL;
	*sub->prev = sub->next;
	if (sub->next)
		sub->next->prev = sub->prev;
	free(sub);
}

static void publish(void *arg)
{
	struct mgmt_server *srv = arg;
	struct weft_map_push push = { .epoch = cpu_to_le64(srv->st.s->epoch) };
	struct mgmt_sub *sub;

	weft_rpc_service_set_epoch(srv->svc, srv->st.s->epoch);
	if (srv->pushed == srv->st.s->epoch)
		return;
	srv->pushed = srv->st.s->epoch;
	if (!srv->leads)
		return;
	weft_info("new map", "epoch=%llu nodes=%zu targets=%zu groups=%zu",
		  (unsigned long long)srv->pushed, srv->st.s->n_nodes, srv->st.s->n_targets,
		  srv->st.s->n_groups);
	for (sub = srv->subs; sub; sub = sub->next)
		weft_rpc_push(sub->conn, WEFT_OP_MAP_PUSH, &push, sizeof(push), NULL, 0);
}

const void *mgmt_server_map(struct mgmt_server *srv, size_t *len)
{
	void *map;

	if (!srv->map || srv->map_epoch != srv->st.s->epoch) {
		if (mgmt_map_encode(&srv->st, &map, len))
			return NULL;
		free(srv->map);
		srv->map = map;
		srv->map_len = *len;
		srv->map_epoch = srv->st.s->epoch;
	}
	*len = srv->map_len;
	return srv->map;
}

/* ---- what the log brings */

static int log_apply(void *arg, const void *cmd, size_t len, struct mgmt_result *res)
{
	struct mgmt_server *srv = arg;
	int ret = mgmt_state_apply_packed(&srv->st, cmd, len, res);

	if (!ret)
		weft_timer_start(srv->cfg.env, &srv->publish, 0);
	return ret;
}

static void *log_snapshot(void *arg, void *(*alloc)(size_t size), size_t *len)
{
	struct mgmt_server *srv = arg;

	return mgmt_state_pack(&srv->st, alloc, len);
}

static int log_restore(void *arg, const void *buf, size_t len)
{
	struct mgmt_server *srv = arg;
	int ret = mgmt_state_restore(&srv->st, buf, len);

	if (!ret)
		weft_timer_start(srv->cfg.env, &srv->publish, 0);
	return ret;
}

static void bootstrapped(void *arg, int err, const struct mgmt_result *res)
{
	struct mgmt_server *srv = arg;

	if ((err && err != -EAGAIN) || (res && res->err))
		srv->cfg.broken(srv->cfg.arg, res ? res->message : "the log failed");
	else if (!err)
		weft_info("file system has its identity", "name=%s", srv->cfg.name);
}

/* The first leader ever gives the file system its id and name. */
static void bootstrap(struct mgmt_server *srv)
{
	Weft__Bootstrap b = WEFT__BOOTSTRAP__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	uint8_t buf[256];

	b.fsid.data = srv->cfg.fsid;
	b.fsid.len = sizeof(srv->cfg.fsid);
	b.name = (char *)srv->cfg.name;
	cmd.op_case = WEFT__COMMAND__OP_BOOTSTRAP;
	cmd.bootstrap = &b;
	if (weft__command__get_packed_size(&cmd) > sizeof(buf) ||
	    mgmt_log_propose(srv->log, buf, weft__command__pack(&cmd, buf), bootstrapped, srv))
		srv->cfg.broken(srv->cfg.arg, "the first command cannot be logged");
}

static void close_subscribers(struct mgmt_server *srv)
{
	while (srv->subs)
		weft_rpc_conn_close(srv->subs->conn);
}

static void log_leading(void *arg, bool leads)
{
	struct mgmt_server *srv = arg;
	const Weft__Snapshot *s = srv->st.s;
	char have[WEFT_UUID_STR];

	srv->leads = leads;
	weft_info(leads ? "leading" : "not leading any more", "epoch=%llu",
		  (unsigned long long)s->epoch);
	if (!leads) {
		close_subscribers(srv);
		return;
	}
	mgmt_vitals_reset(&srv->vitals, weft_env_now(srv->cfg.env));
	if (!s->fsid.len)
		bootstrap(srv);
	else if (memcmp(s->fsid.data, srv->cfg.fsid, 16)) {
		weft_err("the log belongs to another file system than the target", "log=%s",
			 weft_uuid_format(s->fsid.data, have));
		srv->cfg.broken(srv->cfg.arg, "log and target do not belong together");
	}
}

static void log_broken(void *arg, const char *sentence)
{
	struct mgmt_server *srv = arg;

	srv->cfg.broken(srv->cfg.arg, sentence);
}

const struct mgmt_log_cb mgmt_server_log_cb = {
	.apply = log_apply,
	.snapshot = log_snapshot,
	.restore = log_restore,
	.leading = log_leading,
	.broken = log_broken,
};

/* ---- proposals of requests */

struct request {
	struct mgmt_server *srv;
	struct weft_rpc_req *req;
	void (*done)(struct mgmt_server *srv, struct weft_rpc_req *req,
		     const struct mgmt_result *res);
};

static void reply_log_error(struct weft_rpc_req *req, int err)
{
	weft_rpc_reply_err(req, err == -EAGAIN ? WEFT_S_NOT_LEADER : err);
}

static void request_applied(void *arg, int err, const struct mgmt_result *res)
{
	struct request *r = arg;

	if (err)
		reply_log_error(r->req, err);
	else
		r->done(r->srv, r->req, res);
	free(r);
}

void mgmt_server_propose(struct mgmt_server *srv, const Weft__Command *cmd,
			 struct weft_rpc_req *req,
			 void (*done)(struct mgmt_server *srv, struct weft_rpc_req *req,
				      const struct mgmt_result *res))
{
	size_t len = weft__command__get_packed_size(cmd);
	struct request *r = malloc(sizeof(*r));
	uint8_t *buf = malloc(len);
	int ret = -ENOMEM;

	if (r && buf) {
		r->srv = srv;
		r->req = req;
		r->done = done;
		weft__command__pack(cmd, buf);
		ret = mgmt_log_propose(srv->log, buf, len, request_applied, r);
	}
	free(buf);
	if (!ret)
		return;
	free(r);
	reply_log_error(req, ret);
}

/* ---- leases of nodes */

static void expired(void *arg, int err, const struct mgmt_result *res)
{
	struct mgmt_server *srv = arg;

	(void)err;
	(void)res;
	srv->expiring = false;
}

static void expire(struct mgmt_server *srv, uint32_t *ids, size_t n)
{
	Weft__SetLiveness down = WEFT__SET_LIVENESS__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	uint8_t buf[1024];
	size_t i;

	for (i = 0; i < n; i++)
		weft_warn("node is silent, its lease has run out", "node=%s id=%u",
			  mgmt_state_node(&srv->st, ids[i])->name, ids[i]);
	down.nodes = ids;
	down.n_nodes = n;
	cmd.op_case = WEFT__COMMAND__OP_SET_LIVENESS;
	cmd.set_liveness = &down;
	srv->expiring = !mgmt_log_propose(srv->log, buf, weft__command__pack(&cmd, buf), expired,
					  srv);
}

static void expiry_tick(void *arg)
{
	struct mgmt_server *srv = arg;
	uint32_t ids[64]; /* the rest comes with the next tick */
	size_t n;

	if (srv->leads && !srv->expiring) {
		n = mgmt_vitals_expired(&srv->vitals, &srv->st, weft_env_now(srv->cfg.env), ids,
					64);
		if (n)
			expire(srv, ids, n);
	}
	weft_timer_start(srv->cfg.env, &srv->expiry, MGMT_EXPIRY_NS);
}

/* ---- beginning and end */

int mgmt_server_create(const struct mgmt_server_cfg *cfg, struct mgmt_server **out)
{
	struct weft_rpc_service_cfg svc = {
		.env = cfg->env,
		.pool = cfg->pool,
		.handlers = handlers,
		.closed = conn_closed,
	};
	struct mgmt_server *srv = calloc(1, sizeof(*srv));
	int ret = -ENOMEM;

	if (!srv)
		return ret;
	srv->cfg = *cfg;
	if (!srv->cfg.lease_ms)
		srv->cfg.lease_ms = MGMT_LEASE_MS_DEFAULT;
	mgmt_vitals_init(&srv->vitals, srv->cfg.lease_ms * WEFT_NS_PER_MS, MGMT_EXPIRY_NS);
	weft_timer_init(&srv->publish, publish, srv);
	weft_timer_init(&srv->expiry, expiry_tick, srv);
	ret = mgmt_state_init(&srv->st);
	if (ret)
		goto out_free;
	svc.arg = srv;
	ret = weft_rpc_service_create(&svc, &srv->svc);
	if (ret)
		goto out_state;
	*out = srv;
	return 0;
out_state:
	mgmt_state_fini(&srv->st);
out_free:
	free(srv);
	return ret;
}

void mgmt_server_set_log(struct mgmt_server *srv, struct mgmt_log *log)
{
	srv->log = log;
	weft_timer_start(srv->cfg.env, &srv->expiry, MGMT_EXPIRY_NS);
}

void mgmt_server_destroy(struct mgmt_server *srv)
{
	if (!srv)
		return;
	weft_timer_stop(srv->cfg.env, &srv->publish);
	weft_timer_stop(srv->cfg.env, &srv->expiry);
	weft_rpc_service_destroy(srv->svc);
	mgmt_vitals_fini(&srv->vitals);
	mgmt_state_fini(&srv->st);
	free(srv->map);
	free(srv);
}
