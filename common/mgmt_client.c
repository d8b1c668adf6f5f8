// SPDX-License-Identifier: Apache-2.0
/*
 * The node's side of registration and heartbeats.
 *
 * One timer and at most one register or heartbeat request at a time: register until it is accepted,
 * then a heartbeat every second, or five times in a lease when that is shorter. ESTALE as answer to
 * a heartbeat leads back to registering. Whatever may pass (nobody there, a predecessor whose lease
 * still runs) is tried again; what cannot (another file system, a wrong name) is told by failed().
 *
 * A request in flight lives on its own, because it may end after the node is gone.
 */
#include "common/mgmt_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/status.h"
#include "mgmt.pb-c.h"

#define RETRY_NS (500 * WEFT_NS_PER_MS)
#define HEARTBEAT_NS (1000 * WEFT_NS_PER_MS)
#define CALL_MS 5000
#define REPLY_MAX (1u << 20)

struct weft_mgmt_node {
	struct weft_mgmt_node_cfg cfg;
	char *name, *domain;
	struct weft_rpc_addr *rails;
	struct weft_node_target *targets;
	struct weft_timer timer; /* register or send a heartbeat */
	struct weft_timer root_timer;
	struct weft_timer stopped;
	struct op *ops; /* in flight */
	uint32_t id; /* 0: not registered */
	uint32_t ids[WEFT_NODE_TARGETS_MAX];
	uint64_t lease_until;
	uint64_t interval;
	bool stopping;
	void (*stop_done)(void *arg);
	void *stop_arg;
};

/* A request in flight. */
struct op {
	struct weft_mgmt_call mcall;
	struct op *next, **prev;
	struct weft_mgmt_node *node; /* NULL: gone */
	uint8_t *buf;
	uint64_t sent;
	/* @err: 0 or what weft_rpc_err() or the reply says; @rep: unpacked, NULL without one */
	void (*done)(struct weft_mgmt_node *n, struct op *op, int err,
		     const Weft__AdminReply *rep);
};

/* ---- requests */

static Weft__AdminReply *unpack_reply(struct op *op)
{
	size_t len = op->mcall.call.bulk_in.len;
	uint8_t *flat = malloc(len + 1);
	Weft__AdminReply *rep;

	if (!flat)
		return NULL;
	weft_sg_read(&op->mcall.call.bulk_in, 0, flat, len);
	rep = weft__admin_reply__unpack(NULL, len, flat);
	free(flat);
	return rep;
}

static void op_done(struct weft_mgmt_call *mcall)
{
	struct op *op = mcall->arg;
	int err = weft_rpc_err(&mcall->call);
	Weft__AdminReply *rep = NULL;

	if (op->node) {
		*op->prev = op->next;
		if (op->next)
			op->next->prev = op->prev;
	}
	if (op->node && !err) {
		rep = unpack_reply(op);
		err = rep ? -(int)rep->error : -EPROTO;
	}
	if (op->node)
		op->done(op->node, op, err, rep);
	if (rep)
		weft__admin_reply__free_unpacked(rep, NULL);
	weft_rpc_call_fini(&mcall->call);
	free(op->buf);
	free(op);
}

static int op_start(struct weft_mgmt_node *n, const Weft__AdminRequest *q, uint32_t timeout_ms,
		    void (*done)(struct weft_mgmt_node *n, struct op *op, int err,
				 const Weft__AdminReply *rep))
{
	size_t len = weft__admin_request__get_packed_size(q);
	struct weft_admin_req body = { 0 };
	struct op *op = calloc(1, sizeof(*op));
	int ret = -ENOMEM;

	if (!op)
		return ret;
	op->buf = malloc(len);
	if (!op->buf)
		goto out_free;
	weft__admin_request__pack(q, op->buf);
	ret = weft_sg_add(&op->mcall.call.bulk_out, NULL, op->buf, len);
	if (ret)
		goto out_free;
	op->node = n;
	op->done = done;
	op->sent = weft_env_now(n->cfg.env);
	op->mcall.call.opcode = WEFT_OP_ADMIN;
	op->mcall.call.bulk_max = REPLY_MAX;
	op->mcall.call.timeout_ms = timeout_ms;
	op->mcall.done = op_done;
	op->mcall.arg = op;
	ret = weft_mapclient_call(n->cfg.mc, &op->mcall, &body, sizeof(body), NULL, 0);
	if (ret)
		goto out_sg;
	op->prev = &n->ops;
	op->next = n->ops;
	if (op->next)
		op->next->prev = &op->next;
	n->ops = op;
	return 0;
out_sg:
	weft_sg_fini(&op->mcall.call.bulk_out);
out_free:
	free(op->buf);
	free(op);
	return ret;
}

static bool is_final(int err)
{
	return err == -EXDEV || err == -EINVAL || err == -EPERM || err == WEFT_S_FSID ||
	       err == WEFT_S_AUTH || err == WEFT_S_VERSION;
}

/* ---- registering */

static void fill_rail(const struct weft_rpc_addr *from, Weft__Rail *r, uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	weft__rail__init(r);
	if (inet_pton(AF_INET6, from->host, addr) != 1) {
		memcpy(addr, mapped, sizeof(mapped));
		inet_pton(AF_INET, from->host, addr + 12);
	}
	r->kind = from->kind ? from->kind : WEFT_RAIL_TCP;
	r->port = from->port;
	r->addr.data = addr;
	r->addr.len = 16;
}

static void fill_target(const struct weft_node_target *from, Weft__RegisterTarget *t)
{
	weft__register_target__init(t);
	t->kind = from->kind;
	t->capacity = from->capacity;
	t->uuid.data = (uint8_t *)from->uuid;
	t->uuid.len = 16;
	t->fsid.data = (uint8_t *)from->fsid;
	t->fsid.len = 16;
}

/* Takes the ids of our targets out of the reply. Return: false when one is missing. */
static bool take_ids(struct weft_mgmt_node *n, const Weft__NodeRegistered *r)
{
	unsigned int i;
	size_t j;

	for (i = 0; i < n->cfg.ntargets; i++) {
		for (j = 0; j < r->n_targets; j++)
			if (r->targets[j]->uuid.len == 16 &&
			    !memcmp(r->targets[j]->uuid.data, n->targets[i].uuid, 16))
				break;
		if (j == r->n_targets)
			return false;
		n->ids[i] = r->targets[j]->id;
	}
	return r->node != 0;
}

static void renew(struct weft_mgmt_node *n, const struct op *op, uint32_t lease_ms)
{
	uint64_t until = op->sent + lease_ms * WEFT_NS_PER_MS;

	__atomic_store_n(&n->lease_until, until, __ATOMIC_RELEASE);
	n->interval = lease_ms * WEFT_NS_PER_MS / 5;
	if (n->interval > HEARTBEAT_NS)
		n->interval = HEARTBEAT_NS;
}

static void registered(struct weft_mgmt_node *n, struct op *op, int err,
		       const Weft__AdminReply *rep)
{
	const char *why = rep && rep->message[0] ? rep->message :
						   weft_strstatus(err < 0 ? -err : err);

	if (n->stopping)
		return;
	if (!err && (rep->op_case != WEFT__ADMIN_REPLY__OP_NODE_REGISTERED ||
		     !take_ids(n, rep->node_registered)))
		err = -EPROTO;
	if (err && is_final(err)) {
		n->cfg.failed(n->cfg.arg, err < 0 ? err : weft_status_errno(err), why);
		return;
	}
	if (err) {
		weft_warn_peer("registration at management has to wait", "err=%d reason=%s", err,
			       why);
		weft_timer_start(n->cfg.env, &n->timer, RETRY_NS);
		return;
	}
	n->id = rep->node_registered->node;
	renew(n, op, rep->node_registered->lease_ms);
	weft_info("registered at management", "node=%s id=%u lease_ms=%u", n->name, n->id,
		  rep->node_registered->lease_ms);
	weft_timer_start(n->cfg.env, &n->timer, 0);
	n->cfg.registered(n->cfg.arg, n->id, n->ids);
}

static int send_register(struct weft_mgmt_node *n)
{
	Weft__RegisterTarget targets[WEFT_NODE_TARGETS_MAX], *tp[WEFT_NODE_TARGETS_MAX];
	Weft__Rail rails[WEFT_RPC_ADDRS_MAX], *rp[WEFT_RPC_ADDRS_MAX];
	uint8_t addrs[WEFT_RPC_ADDRS_MAX][16];
	Weft__NodeRegister r = WEFT__NODE_REGISTER__INIT;
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	unsigned int i;

	for (i = 0; i < n->cfg.nrails; i++) {
		fill_rail(&n->rails[i], &rails[i], addrs[i]);
		rp[i] = &rails[i];
	}
	for (i = 0; i < n->cfg.ntargets; i++) {
		fill_target(&n->targets[i], &targets[i]);
		tp[i] = &targets[i];
	}
	r.name = n->name;
	r.domain = n->domain;
	r.rails = rp;
	r.n_rails = n->cfg.nrails;
	r.targets = tp;
	r.n_targets = n->cfg.ntargets;
	r.boot = n->cfg.boot;
	q.op_case = WEFT__ADMIN_REQUEST__OP_NODE_REGISTER;
	q.node_register = &r;
	return op_start(n, &q, CALL_MS, registered);
}

/* ---- heartbeats */

static void heard(struct weft_mgmt_node *n, struct op *op, int err, const Weft__AdminReply *rep)
{
	uint64_t delay = n->interval;

	if (n->stopping)
		return;
	if (!err && rep->op_case == WEFT__ADMIN_REPLY__OP_HEARTBEAT) {
		renew(n, op, rep->heartbeat->lease_ms);
	} else if (err == -ESTALE) {
		weft_warn("management wants a new registration", "node=%s", n->name);
		n->id = 0;
		delay = 0;
	} else {
		weft_warn_peer("heartbeat failed", "err=%d", err);
		delay /= 2;
	}
	weft_timer_start(n->cfg.env, &n->timer, delay);
}

static int send_heartbeat(struct weft_mgmt_node *n)
{
	Weft__TargetUsage usage[WEFT_NODE_TARGETS_MAX], *up[WEFT_NODE_TARGETS_MAX];
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__Heartbeat h = WEFT__HEARTBEAT__INIT;
	struct weft_node_usage u;
	unsigned int i;

	for (i = 0; i < n->cfg.ntargets; i++) {
		memset(&u, 0, sizeof(u));
		n->cfg.usage(n->cfg.arg, i, &u);
		weft__target_usage__init(&usage[i]);
		usage[i].target = n->ids[i];
		usage[i].bytes_total = u.bytes_total;
		usage[i].bytes_used = u.bytes_used;
		usage[i].inodes_total = u.inodes_total;
		usage[i].inodes_used = u.inodes_used;
		up[i] = &usage[i];
	}
	h.node = n->id;
	h.boot = n->cfg.boot;
	h.usage = up;
	h.n_usage = n->cfg.ntargets;
	q.op_case = WEFT__ADMIN_REQUEST__OP_HEARTBEAT;
	q.heartbeat = &h;
	return op_start(n, &q, CALL_MS, heard);
}

static void timer_fired(void *arg)
{
	struct weft_mgmt_node *n = arg;

	if (n->id ? send_heartbeat(n) : send_register(n))
		weft_timer_start(n->cfg.env, &n->timer, RETRY_NS);
}

/* ---- the root directory */

static void root_told(struct weft_mgmt_node *n, struct op *op, int err,
		      const Weft__AdminReply *rep)
{
	(void)op;
	(void)rep;
	if (!err || n->stopping)
		return;
	weft_warn_peer("management did not take note of the root directory", "err=%d", err);
	weft_timer_start(n->cfg.env, &n->root_timer, RETRY_NS);
}

static void root_fired(void *arg)
{
	struct weft_mgmt_node *n = arg;
	struct weft_map *m = weft_mapclient_map(n->cfg.mc);
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__RootMade r = WEFT__ROOT_MADE__INIT;

	if (m && m->view.nshards)
		r.group = le32_to_cpu(m->view.shards[0]);
	weft_map_put(m);
	q.op_case = WEFT__ADMIN_REQUEST__OP_ROOT_MADE;
	q.root_made = &r;
	if (!r.group || op_start(n, &q, CALL_MS, root_told))
		weft_timer_start(n->cfg.env, &n->root_timer, RETRY_NS);
}

void weft_mgmt_node_root_made(struct weft_mgmt_node *n)
{
	weft_timer_start(n->cfg.env, &n->root_timer, 0);
}

/* ---- beginning and end */

uint64_t weft_mgmt_node_lease_until(const struct weft_mgmt_node *n)
{
	return __atomic_load_n(&n->lease_until, __ATOMIC_ACQUIRE);
}

static void stopped_fired(void *arg)
{
	struct weft_mgmt_node *n = arg;

	n->stop_done(n->stop_arg);
}

static void left(struct weft_mgmt_node *n, struct op *op, int err, const Weft__AdminReply *rep)
{
	(void)op;
	(void)rep;
	if (err)
		weft_warn("management did not take note that the node leaves", "err=%d", err);
	weft_timer_start(n->cfg.env, &n->stopped, 0);
}

void weft_mgmt_node_stop(struct weft_mgmt_node *n, void (*done)(void *arg), void *arg,
			 uint32_t timeout_ms)
{
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__NodeLeave leave = WEFT__NODE_LEAVE__INIT;

	n->stopping = true;
	n->stop_done = done;
	n->stop_arg = arg;
	weft_timer_stop(n->cfg.env, &n->timer);
	weft_timer_stop(n->cfg.env, &n->root_timer);
	leave.node = n->id;
	leave.boot = n->cfg.boot;
	q.op_case = WEFT__ADMIN_REQUEST__OP_NODE_LEAVE;
	q.node_leave = &leave;
	if (!n->id || op_start(n, &q, timeout_ms, left))
		weft_timer_start(n->cfg.env, &n->stopped, 0);
}

static bool rails_ok(const struct weft_mgmt_node_cfg *cfg)
{
	uint8_t addr[16];
	unsigned int i;

	for (i = 0; i < cfg->nrails; i++)
		if (!cfg->rails[i].port || (inet_pton(AF_INET6, cfg->rails[i].host, addr) != 1 &&
					    inet_pton(AF_INET, cfg->rails[i].host, addr) != 1))
			return false;
	return cfg->nrails && cfg->nrails <= WEFT_RPC_ADDRS_MAX;
}

int weft_mgmt_node_start(const struct weft_mgmt_node_cfg *cfg, struct weft_mgmt_node **out)
{
	const char *domain = cfg->domain ? cfg->domain : "";
	struct weft_mgmt_node *n;

	if (!cfg->name[0] || strlen(cfg->name) > 63 || strlen(domain) > 63 || !rails_ok(cfg) ||
	    !cfg->ntargets || cfg->ntargets > WEFT_NODE_TARGETS_MAX || !cfg->boot)
		return -EINVAL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->cfg = *cfg;
	n->name = strdup(cfg->name);
	n->domain = strdup(domain);
	n->rails = malloc(cfg->nrails * sizeof(*n->rails));
	n->targets = malloc(cfg->ntargets * sizeof(*n->targets));
	weft_timer_init(&n->timer, timer_fired, n);
	weft_timer_init(&n->root_timer, root_fired, n);
	weft_timer_init(&n->stopped, stopped_fired, n);
	if (!n->name || !n->domain || !n->rails || !n->targets) {
		weft_mgmt_node_destroy(n);
		return -ENOMEM;
	}
	memcpy(n->rails, cfg->rails, cfg->nrails * sizeof(*n->rails));
	memcpy(n->targets, cfg->targets, cfg->ntargets * sizeof(*n->targets));
	n->interval = HEARTBEAT_NS;
	weft_timer_start(cfg->env, &n->timer, 0);
	*out = n;
	return 0;
}

void weft_mgmt_node_destroy(struct weft_mgmt_node *n)
{
	struct op *op;

	if (!n)
		return;
	for (op = n->ops; op; op = op->next)
		op->node = NULL;
	weft_timer_stop(n->cfg.env, &n->timer);
	weft_timer_stop(n->cfg.env, &n->root_timer);
	weft_timer_stop(n->cfg.env, &n->stopped);
	free(n->name);
	free(n->domain);
	free(n->rails);
	free(n->targets);
	free(n);
}
