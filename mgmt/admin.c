// SPDX-License-Identifier: Apache-2.0
/*
 * ADMIN: protobuf requests of servers and tools.
 *
 * A refusal travels inside the reply (errno and a sentence); the status of the message itself tells
 * only of what the tools' library handles: another leader, short memory. A request that cannot be
 * unpacked closes the connection. Mounts (WEFT_ROLE_CLIENT) may ask for status and lists only.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "mgmt/server.h"
#include "proto/map.h"

#define ADMIN_REQUEST_MAX (1u << 20)

static void reply(struct mgmt_server *srv, struct weft_rpc_req *req, const Weft__AdminReply *rep)
{
	size_t len = weft__admin_reply__get_packed_size(rep);
	uint8_t *buf = malloc(len ? len : 1);
	int ret = buf ? 0 : -ENOMEM;

	if (!ret && len > req->bulk_max)
		ret = -EMSGSIZE;
	if (!ret && len)
		ret = weft_sg_alloc(&req->rep_bulk, srv->cfg.pool, len);
	if (!ret && len) {
		weft__admin_reply__pack(rep, buf);
		weft_sg_write(&req->rep_bulk, 0, buf, len);
	}
	free(buf);
	weft_rpc_reply_err(req, ret);
}

__attribute__((format(printf, 4, 5))) static void refuse(struct mgmt_server *srv,
							 struct weft_rpc_req *req, int err,
							 const char *fmt, ...)
{
	Weft__AdminReply rep = WEFT__ADMIN_REPLY__INIT;
	char text[MGMT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	rep.error = -err;
	rep.message = text;
	reply(srv, req, &rep);
}

/* For commands whose success needs no words. */
static void applied(struct mgmt_server *srv, struct weft_rpc_req *req,
		    const struct mgmt_result *res)
{
	Weft__AdminReply rep = WEFT__ADMIN_REPLY__INIT;

	if (res->err)
		refuse(srv, req, res->err, "%s", res->message);
	else
		reply(srv, req, &rep);
}

/* ---- servers */

static void reply_registered(struct mgmt_server *srv, struct weft_rpc_req *req,
			     const Weft__Node *node)
{
	Weft__NodeRegistered done = WEFT__NODE_REGISTERED__INIT;
	Weft__AdminReply rep = WEFT__ADMIN_REPLY__INIT;
	const Weft__Snapshot *st = srv->st.s;
	Weft__Target **targets = calloc(st->n_targets + 1, sizeof(*targets));
	size_t i;

	if (!targets ||
	    mgmt_vitals_heard(&srv->vitals, &srv->st, node->id, weft_env_now(srv->cfg.env))) {
		free(targets);
		weft_rpc_reply_err(req, -ENOMEM);
		return;
	}
	for (i = 0; i < st->n_targets; i++)
		if (st->targets[i]->node == node->id && st->targets[i]->up)
			targets[done.n_targets++] = st->targets[i];
	done.node = node->id;
	done.targets = targets;
	done.lease_ms = srv->cfg.lease_ms;
	done.fsid = st->fsid;
	done.fs_name = st->name;
	rep.op_case = WEFT__ADMIN_REPLY__OP_NODE_REGISTERED;
	rep.node_registered = &done;
	weft_info("node registered", "node=%s id=%u targets=%zu peer=%s", node->name, node->id,
		  done.n_targets, weft_rpc_conn_peer(req->conn));
	reply(srv, req, &rep);
	free(targets);
}

static void node_registered(struct mgmt_server *srv, struct weft_rpc_req *req,
			    const struct mgmt_result *res)
{
	if (res->err)
		refuse(srv, req, res->err, "%s", res->message);
	else
		reply_registered(srv, req, mgmt_state_node(&srv->st, res->id));
}

static void heartbeat(struct mgmt_server *srv, struct weft_rpc_req *req, const Weft__Heartbeat *q)
{
	const Weft__Node *node = mgmt_state_node(&srv->st, q->node);
	Weft__HeartbeatReply done = WEFT__HEARTBEAT_REPLY__INIT;
	Weft__AdminReply rep = WEFT__ADMIN_REPLY__INIT;
	size_t i;

	if (!node || !node->up || node->boot != q->boot) {
		refuse(srv, req, -ESTALE, "node %u must register %s", q->node,
		       node ? "again" : "first");
		return;
	}
	if (mgmt_vitals_heard(&srv->vitals, &srv->st, node->id, weft_env_now(srv->cfg.env))) {
		weft_rpc_reply_err(req, -ENOMEM);
		return;
	}
	for (i = 0; i < q->n_usage; i++)
		mgmt_vitals_usage(&srv->vitals, &srv->st, node->id, q->usage[i]);
	done.lease_ms = srv->cfg.lease_ms;
	done.epoch = srv->st.s->epoch;
	rep.op_case = WEFT__ADMIN_REPLY__OP_HEARTBEAT;
	rep.heartbeat = &done;
	reply(srv, req, &rep);
}

static void node_leave(struct mgmt_server *srv, struct weft_rpc_req *req, const Weft__NodeLeave *q)
{
	const Weft__Node *node = mgmt_state_node(&srv->st, q->node);
	Weft__SetLiveness down = WEFT__SET_LIVENESS__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	uint32_t id = q->node;

	if (!node || node->boot != q->boot) {
		refuse(srv, req, -ESTALE, "node %u is not registered by this process", q->node);
		return;
	}
	weft_info("node leaves", "node=%s id=%u", node->name, id);
	down.nodes = &id;
	down.n_nodes = 1;
	cmd.op_case = WEFT__COMMAND__OP_SET_LIVENESS;
	cmd.set_liveness = &down;
	mgmt_server_propose(srv, &cmd, req, applied);
}

/* ---- tools */

static void sum_usage(const struct mgmt_server *srv, Weft__Status *s)
{
	struct weft_statfs_rep fs;

	if (mgmt_vitals_statfs(&srv->vitals, &srv->st, 0, srv->vitals.since + srv->vitals.lease_ns,
			       &fs))
		return;
	s->bytes_total = le64_to_cpu(fs.bytes_total);
	s->bytes_used = s->bytes_total - le64_to_cpu(fs.bytes_free);
	s->inodes_total = le64_to_cpu(fs.inodes_total);
	s->inodes_used = s->inodes_total - le64_to_cpu(fs.inodes_free);
}

static void status(struct mgmt_server *srv, struct weft_rpc_req *req)
{
	Weft__AdminReply rep = WEFT__ADMIN_REPLY__INIT;
	const Weft__Snapshot *st = srv->st.s;
	Weft__Status s = WEFT__STATUS__INIT;
	size_t i;

	s.fsid = st->fsid;
	s.name = st->name;
	s.epoch = st->epoch;
	s.active = st->flags & WEFT_MAP_F_ACTIVE;
	s.root_pending = st->flags & WEFT_MAP_F_ROOT_PENDING;
	s.nodes = st->n_nodes;
	for (i = 0; i < st->n_nodes; i++)
		s.nodes_up += !!st->nodes[i]->up;
	s.targets = st->n_targets;
	for (i = 0; i < st->n_targets; i++)
		s.targets_up += !!st->targets[i]->up;
	s.groups = st->n_groups;
	s.pools = st->n_pools;
	s.shards = st->n_shards;
	s.sessions = st->last_session;
	s.lease_ms = srv->cfg.lease_ms;
	s.raft_index = mgmt_log_index(srv->log);
	s.leader = (char *)srv->cfg.address;
	sum_usage(srv, &s);
	rep.op_case = WEFT__ADMIN_REPLY__OP_STATUS;
	rep.status = &s;
	reply(srv, req, &rep);
}

/* What a listing has besides the state's own records. */
struct heard {
	Weft__TargetUsage *usage, **usage_ptrs;
	Weft__ClientState *clients, **client_ptrs;
	uint32_t *shards, *silent;
};

static void heard_fini(struct heard *h)
{
	free(h->usage);
	free(h->usage_ptrs);
	free(h->clients);
	free(h->client_ptrs);
	free(h->shards);
	free(h->silent);
}

static int heard_init(struct heard *h, const struct mgmt_server *srv, size_t *n_usage)
{
	const struct mgmt_vitals *v = &srv->vitals;
	const Weft__Snapshot *st = srv->st.s;
	uint64_t now = weft_env_now(srv->cfg.env), ms;
	size_t i, n = 0;

	h->usage = calloc(v->ntargets + 1, sizeof(*h->usage));
	h->usage_ptrs = calloc(v->ntargets + 1, sizeof(*h->usage_ptrs));
	h->shards = calloc(st->n_groups + 1, sizeof(*h->shards));
	h->silent = calloc(st->n_nodes + 1, sizeof(*h->silent));
	if (!h->usage || !h->usage_ptrs || !h->shards || !h->silent)
		return -ENOMEM;
	for (i = 0; i < v->ntargets; i++) {
		if (!v->usage[i].known)
			continue;
		weft__target_usage__init(&h->usage[n]);
		h->usage[n].target = i + 1;
		h->usage[n].bytes_total = v->usage[i].bytes_total;
		h->usage[n].bytes_used = v->usage[i].bytes_used;
		h->usage[n].inodes_total = v->usage[i].inodes_total;
		h->usage[n].inodes_used = v->usage[i].inodes_used;
		h->usage_ptrs[n] = &h->usage[n];
		n++;
	}
	for (i = 0; i < st->n_shards; i++)
		h->shards[st->shards[i] - 1]++;
	for (i = 0; i < st->n_nodes; i++) {
		ms = mgmt_vitals_silence(v, i + 1, now) / WEFT_NS_PER_MS;
		h->silent[i] = ms < UINT32_MAX ? ms : UINT32_MAX;
	}
	*n_usage = n;
	return 0;
}

/* The clients that are connected, with what they said last. */
static int heard_clients(struct heard *h, const struct mgmt_server *srv, size_t *n_clients)
{
	const struct mgmt_sub *sub;
	size_t n = 0;

	for (sub = srv->subs; sub; sub = sub->next)
		n += !!sub->session;
	h->clients = calloc(n + 1, sizeof(*h->clients));
	h->client_ptrs = calloc(n + 1, sizeof(*h->client_ptrs));
	if (!h->clients || !h->client_ptrs)
		return -ENOMEM;
	n = 0;
	for (sub = srv->subs; sub; sub = sub->next) {
		Weft__ClientState *c = &h->clients[n];

		if (!sub->session)
			continue;
		weft__client_state__init(c);
		c->session = sub->session;
		c->transport = sub->transport;
		c->fallbacks = sub->fallbacks;
		c->address = (char *)weft_rpc_conn_peer(sub->conn);
		h->client_ptrs[n++] = c;
	}
	*n_clients = n;
	return 0;
}

/* The state's own tables are lent to the reply. */
static void list(struct mgmt_server *srv, struct weft_rpc_req *req, const Weft__ListRequest *q)
{
	Weft__AdminReply rep = WEFT__ADMIN_REPLY__INIT;
	const Weft__Snapshot *st = srv->st.s;
	Weft__Listing l = WEFT__LISTING__INIT;
	struct heard h = { 0 };

	if (heard_init(&h, srv, &l.n_usage) ||
	    (q->clients && heard_clients(&h, srv, &l.n_client_states))) {
		heard_fini(&h);
		weft_rpc_reply_err(req, -ENOMEM);
		return;
	}
	l.nodes = st->nodes;
	l.n_nodes = st->n_nodes;
	l.targets = st->targets;
	l.n_targets = st->n_targets;
	l.groups = st->groups;
	l.n_groups = st->n_groups;
	l.pools = st->pools;
	l.n_pools = st->n_pools;
	l.usage = h.usage_ptrs;
	l.group_shards = h.shards;
	l.n_group_shards = st->n_groups;
	l.silent_ms = h.silent;
	l.n_silent_ms = st->n_nodes;
	if (q->clients) {
		l.clients = st->clients;
		l.n_clients = st->n_clients;
		l.client_states = h.client_ptrs;
	}
	rep.op_case = WEFT__ADMIN_REPLY__OP_LISTING;
	rep.listing = &l;
	reply(srv, req, &rep);
	heard_fini(&h);
}

/* ---- dispatch */

static bool may_ask(const struct weft_rpc_req *req, int op)
{
	return op == WEFT__ADMIN_REQUEST__OP_STATUS || op == WEFT__ADMIN_REQUEST__OP_LIST ||
	       weft_rpc_conn_role(req->conn) != WEFT_ROLE_CLIENT;
}

static void dispatch(struct mgmt_server *srv, struct weft_rpc_req *req, Weft__AdminRequest *q)
{
	Weft__Command cmd = WEFT__COMMAND__INIT;

	switch (q->op_case) {
	case WEFT__ADMIN_REQUEST__OP_NODE_REGISTER:
		cmd.op_case = WEFT__COMMAND__OP_NODE_REGISTER;
		cmd.node_register = q->node_register;
		mgmt_server_propose(srv, &cmd, req, node_registered);
		return;
	case WEFT__ADMIN_REQUEST__OP_HEARTBEAT:
		heartbeat(srv, req, q->heartbeat);
		return;
	case WEFT__ADMIN_REQUEST__OP_NODE_LEAVE:
		node_leave(srv, req, q->node_leave);
		return;
	case WEFT__ADMIN_REQUEST__OP_ROOT_MADE:
		cmd.op_case = WEFT__COMMAND__OP_ROOT_MADE;
		cmd.root_made = q->root_made;
		mgmt_server_propose(srv, &cmd, req, applied);
		return;
	case WEFT__ADMIN_REQUEST__OP_FS_EXTEND:
		cmd.op_case = WEFT__COMMAND__OP_FS_EXTEND;
		cmd.fs_extend = q->fs_extend;
		mgmt_server_propose(srv, &cmd, req, applied);
		return;
	case WEFT__ADMIN_REQUEST__OP_FS_CREATE:
		cmd.op_case = WEFT__COMMAND__OP_FS_CREATE;
		cmd.fs_create = q->fs_create;
		mgmt_server_propose(srv, &cmd, req, applied);
		return;
	case WEFT__ADMIN_REQUEST__OP_STATUS:
		status(srv, req);
		return;
	case WEFT__ADMIN_REQUEST__OP_LIST:
		list(srv, req, q->list);
		return;
	default:
		refuse(srv, req, -EOPNOTSUPP, "this version of management does not know the request");
	}
}

void mgmt_admin_serve(struct mgmt_server *srv, struct weft_rpc_req *req, const void *buf,
		      size_t len)
{
	Weft__AdminRequest *q = weft__admin_request__unpack(NULL, len, buf);

	if (!q)
		weft_rpc_malformed(req, "admin request");
	else if (!may_ask(req, q->op_case))
		refuse(srv, req, -EPERM, "a mount may not ask for this");
	else
		dispatch(srv, req, q);
	if (q)
		weft__admin_request__free_unpacked(q, NULL);
}

void mgmt_op_admin(void *arg, struct weft_rpc_req *req)
{
	struct mgmt_server *srv = arg;
	size_t len = req->bulk.len;
	void *buf;

	if (!srv->leads) {
		weft_rpc_reply_err(req, WEFT_S_NOT_LEADER);
		return;
	}
	if (len > ADMIN_REQUEST_MAX) {
		weft_rpc_malformed(req, "length of an admin request");
		return;
	}
	buf = malloc(len ? len : 1);
	if (!buf) {
		weft_rpc_reply_err(req, -ENOMEM);
		return;
	}
	weft_sg_read(&req->bulk, 0, buf, len);
	mgmt_admin_serve(srv, req, buf, len);
	free(buf);
}
