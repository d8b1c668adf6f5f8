// SPDX-License-Identifier: Apache-2.0
/*
 * The management server over real connections, with a log that applies at once: nodes register and
 * live, maps are pushed, leases run out, leadership comes and goes, nonsense is refused. The other
 * side is common/mgmt_client and common/mapclient, which are tested along.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/env_uv.h"
#include "common/log.h"
#include "common/mgmt_client.h"
#include "mgmt/server.h"
#include "proto/mgmtops.h"

#define LEASE_MS 1000

struct entry {
	struct entry *next;
	mgmt_log_done *done;
	void *arg;
	size_t len;
	char data[];
};

static struct fx {
	struct weft_env *env;
	struct weft_pool *pool;
	struct mgmt_server *server;
	struct weft_rpc_server *rpc;
	char address[32];
	/* the log */
	struct mgmt_log log;
	struct entry *first, **last;
	struct weft_timer apply;
	uint64_t index;
	/* the other side */
	struct weft_rpc_client *client;
	struct weft_mapclient *mc;
	struct weft_mgmt_node *node;
	uint64_t map_epoch;
	uint8_t node_state; /* of node 1 in the newest map */
	uint16_t map_flags;
	unsigned int registered, failed, stopped, called;
	int fail_err;
	uint32_t node_id, target_id;
	/* waiting */
	struct weft_timer poll;
	uint64_t deadline;
	bool (*cond)(void);
	bool stuck;
} f;

static const uint8_t fsid[16] = { 0xf5 };

/* ---- a log that applies from the loop */

static void apply(void *arg)
{
	struct entry *e = f.first;
	struct mgmt_result res;

	(void)arg;
	f.first = e->next;
	if (!f.first)
		f.last = &f.first;
	else
		weft_timer_start(f.env, &f.apply, 0);
	f.index++;
	CU_ASSERT_EQUAL(mgmt_server_log_cb.apply(f.server, e->data, e->len, &res), 0);
	e->done(e->arg, 0, &res);
	free(e);
}

static int propose(struct mgmt_log *log, const void *cmd, size_t len, mgmt_log_done *done,
		   void *arg)
{
	struct entry *e = malloc(sizeof(*e) + len);

	(void)log;
	*e = (struct entry){ .done = done, .arg = arg, .len = len };
	memcpy(e->data, cmd, len);
	*f.last = e;
	f.last = &e->next;
	weft_timer_start(f.env, &f.apply, 0);
	return 0;
}

static uint64_t last_index(struct mgmt_log *log)
{
	(void)log;
	return f.index;
}

static const struct mgmt_log_ops log_ops = { .propose = propose, .index = last_index };

/* ---- callbacks */

static void broken(void *arg, const char *sentence)
{
	(void)arg;
	(void)sentence;
	CU_FAIL("the server gave up");
}

static void pushed(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		   size_t len, const void *tail, size_t tail_len)
{
	(void)arg;
	(void)peer;
	(void)tail;
	(void)tail_len;
	if (opcode == WEFT_OP_MAP_PUSH)
		weft_mapclient_push(f.mc, body, len);
}

static void changed(void *arg, struct weft_map *m)
{
	const struct weft_map_node *n = weft_map_node(&m->view, 1);

	(void)arg;
	f.map_epoch = m->epoch;
	f.node_state = n ? n->state : 99;
	f.map_flags = le16_to_cpu(m->view.hdr->flags);
}

static void registered(void *arg, uint32_t node, const uint32_t *ids)
{
	(void)arg;
	f.registered++;
	f.node_id = node;
	f.target_id = ids[0];
}

static void failed(void *arg, int err, const char *sentence)
{
	(void)arg;
	CU_ASSERT(strlen(sentence) > 0);
	f.failed++;
	f.fail_err = err;
}

static void usage(void *arg, unsigned int target, struct weft_node_usage *u)
{
	(void)arg;
	(void)target;
	u->bytes_total = 1000;
	u->bytes_used = 400;
	u->inodes_total = 50;
	u->inodes_used = 5;
}

static void stopped(void *arg)
{
	(void)arg;
	f.stopped++;
}

/* ---- waiting for a condition */

static void poll(void *arg)
{
	(void)arg;
	f.stuck = weft_env_now(f.env) > f.deadline;
	if (f.stuck || f.cond())
		weft_env_stop(f.env);
	else
		weft_timer_start(f.env, &f.poll, 2 * WEFT_NS_PER_MS);
}

static void until(bool (*cond)(void))
{
	f.cond = cond;
	f.deadline = weft_env_now(f.env) + 10 * WEFT_NS_PER_S;
	weft_timer_start(f.env, &f.poll, 0);
	weft_env_uv_run(f.env);
	CU_ASSERT_FALSE_FATAL(f.stuck);
}

static bool is_registered(void)
{
	return f.registered == 1;
}
static bool is_registered_again(void)
{
	return f.registered == 2;
}
static bool map_has_node(void)
{
	return f.map_epoch == 2 && f.node_state == WEFT_UP;
}
static bool map_is_empty(void)
{
	return f.map_epoch == 1 && f.node_state == 99;
}
static bool node_down(void)
{
	return f.node_state == WEFT_DOWN;
}
static bool node_up(void)
{
	return f.node_state == WEFT_UP;
}
static bool has_failed(void)
{
	return f.failed == 1;
}
static bool has_stopped(void)
{
	return f.stopped == 1;
}
static bool has_called(void)
{
	return f.called == 1;
}
static bool nobody_subscribes(void)
{
	return !f.server->subs;
}

static bool usage_known(void)
{
	return f.server->vitals.ntargets && f.server->vitals.usage[0].known;
}

/* ---- the pair */

static void client_start(enum weft_role role)
{
	struct weft_rpc_client_cfg rc = { .env = f.env, .pool = f.pool, .role = role,
					  .push = pushed };
	struct weft_mapclient_cfg mc = { .env = f.env, .servers = f.address, .subscribe = true,
					 .changed = changed };

	f.map_epoch = 0;
	CU_ASSERT_EQUAL_FATAL(weft_rpc_client_create(&rc, &f.client), 0);
	mc.rpc = f.client;
	CU_ASSERT_EQUAL_FATAL(weft_mapclient_create(&mc, &f.mc), 0);
}

static void client_stop(void)
{
	weft_mapclient_destroy(f.mc);
	weft_rpc_client_destroy(f.client);
	f.mc = NULL;
	f.client = NULL;
}

static void node_start(const uint8_t *id, uint64_t boot)
{
	struct weft_rpc_addr rail = { .host = "127.0.0.1", .port = 7777 };
	struct weft_node_target target = { .kind = WEFT_OST, .uuid = { 1 }, .capacity = 1000 };
	struct weft_mgmt_node_cfg cfg = {
		.env = f.env, .mc = f.mc, .name = "oss1", .rails = &rail, .nrails = 1,
		.targets = &target, .ntargets = 1, .boot = boot, .registered = registered,
		.failed = failed, .usage = usage,
	};

	memcpy(target.fsid, id, 16);
	CU_ASSERT_EQUAL_FATAL(weft_mgmt_node_start(&cfg, &f.node), 0);
}

static void setup(void)
{
	struct mgmt_server_cfg cfg = { .name = "test", .address = "here", .lease_ms = LEASE_MS,
				       .broken = broken };
	struct weft_rpc_server_cfg rc = { 0 };
	int port;

	memset(&f, 0, sizeof(f));
	f.last = &f.first;
	f.log.ops = &log_ops;
	weft_timer_init(&f.apply, apply, NULL);
	weft_timer_init(&f.poll, poll, NULL);
	CU_ASSERT_EQUAL_FATAL(weft_env_uv_create(&f.env), 0);
	CU_ASSERT_EQUAL_FATAL(weft_pool_create(64u << 20, &f.pool), 0);
	cfg.env = f.env;
	cfg.pool = f.pool;
	memcpy(cfg.fsid, fsid, 16);
	CU_ASSERT_EQUAL_FATAL(mgmt_server_create(&cfg, &f.server), 0);
	mgmt_server_set_log(f.server, &f.log);
	rc.env = f.env;
	memcpy(rc.fsid, fsid, 16);
	CU_ASSERT_EQUAL_FATAL(weft_rpc_server_create(&rc, &f.rpc), 0);
	CU_ASSERT_EQUAL_FATAL(weft_rpc_server_add(f.rpc, f.server->svc), 0);
	port = weft_rpc_server_listen(f.rpc, &(struct weft_rpc_addr){ .host = "127.0.0.1" });
	CU_ASSERT_FATAL(port > 0);
	snprintf(f.address, sizeof(f.address), "127.0.0.1:%d", port);
	mgmt_server_log_cb.leading(f.server, true);
	client_start(WEFT_ROLE_SERVER);
}

static void teardown(void)
{
	client_stop();
	weft_mgmt_node_destroy(f.node);
	f.node = NULL;
	weft_rpc_server_remove(f.rpc, f.server->svc);
	mgmt_server_destroy(f.server);
	weft_rpc_server_destroy(f.rpc);
	weft_env_uv_destroy(f.env);
	weft_pool_destroy(f.pool);
}

/* ---- tests */

static void lives_and_dies(void)
{
	uint64_t t0;

	setup();
	weft_mapclient_refresh(f.mc, 0);
	until(map_is_empty);
	CU_ASSERT_EQUAL(f.server->st.s->fsid.len, 16); /* the first leader gave it its identity */
	node_start(fsid, 5);
	until(is_registered);
	CU_ASSERT_EQUAL(f.node_id, 1);
	CU_ASSERT_EQUAL(f.target_id, 1);
	CU_ASSERT(weft_mgmt_node_lease_until(f.node) > weft_env_now(f.env));
	CU_ASSERT(weft_mgmt_node_lease_until(f.node) <=
		  weft_env_now(f.env) + LEASE_MS * WEFT_NS_PER_MS);
	until(map_has_node); /* pushed, not polled: the poll is every 10 s */
	until(usage_known);
	CU_ASSERT_EQUAL(f.server->vitals.usage[0].bytes_used, 400);
	/* it falls silent without a word */
	t0 = weft_env_now(f.env);
	weft_mgmt_node_destroy(f.node);
	f.node = NULL;
	until(node_down);
	CU_ASSERT(weft_env_now(f.env) - t0 > 800 * WEFT_NS_PER_MS);
	CU_ASSERT(weft_env_now(f.env) - t0 < 3000 * WEFT_NS_PER_MS);
	/* a new process of it comes back with the same ids */
	f.registered = 0;
	node_start(fsid, 6);
	until(is_registered);
	CU_ASSERT_EQUAL(f.node_id, 1);
	CU_ASSERT_EQUAL(f.target_id, 1);
	until(node_up);
	weft_mgmt_node_stop(f.node, stopped, NULL, 1000);
	until(has_stopped);
	until(node_down);
	teardown();
}

static void taken_for_dead(void)
{
	setup();
	weft_mapclient_refresh(f.mc, 0);
	node_start(fsid, 5);
	until(is_registered);
	until(map_has_node);
	/* somebody set it down: its next heartbeat is refused, it registers again by itself */
	mgmt_state_node(&f.server->st, 1)->up = false;
	until(is_registered_again);
	CU_ASSERT(f.server->st.s->nodes[0]->up);
	teardown();
}

static void stranger(void)
{
	uint8_t other[16] = { 1 };

	setup();
	node_start(other, 5);
	until(has_failed);
	CU_ASSERT_EQUAL(f.fail_err, -EXDEV);
	CU_ASSERT_EQUAL(f.registered, 0);
	CU_ASSERT_EQUAL(f.server->st.s->n_nodes, 0);
	teardown();
}

static void leadership(void)
{
	setup();
	weft_mapclient_refresh(f.mc, 0);
	until(map_is_empty);
	CU_ASSERT_PTR_NOT_NULL(f.server->subs);
	mgmt_server_log_cb.leading(f.server, false);
	CU_ASSERT_PTR_NULL(f.server->subs);
	node_start(fsid, 5);
	mgmt_server_log_cb.leading(f.server, true);
	until(is_registered);
	weft_mapclient_refresh(f.mc, 0);
	until(map_has_node);
	teardown();
}

/* ---- single requests */

static struct weft_mgmt_call call;

static void call_done(struct weft_mgmt_call *c)
{
	(void)c;
	f.called++;
}

/* Sends bytes as an ADMIN request; the outcome is in call. */
static void ask(const void *buf, size_t len, uint32_t timeout_ms)
{
	struct weft_admin_req body = { 0 };

	memset(&call, 0, sizeof(call));
	f.called = 0;
	call.call.opcode = WEFT_OP_ADMIN;
	call.call.bulk_max = 1u << 20;
	call.call.timeout_ms = timeout_ms;
	call.done = call_done;
	CU_ASSERT_EQUAL(weft_sg_add(&call.call.bulk_out, NULL, (void *)buf, len), 0);
	CU_ASSERT_EQUAL_FATAL(weft_mapclient_call(f.mc, &call, &body, sizeof(body), NULL, 0), 0);
	until(has_called);
}

/* The reply in call. */
static Weft__AdminReply *answered(void)
{
	Weft__AdminReply *rep;
	uint8_t flat[4096];
	size_t n;

	CU_ASSERT_EQUAL_FATAL(weft_rpc_err(&call.call), 0);
	n = weft_sg_read(&call.call.bulk_in, 0, flat, sizeof(flat));
	rep = weft__admin_reply__unpack(NULL, n, flat);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rep);
	CU_ASSERT_EQUAL(!rep->error, !rep->message[0]);
	weft_rpc_call_fini(&call.call);
	return rep;
}

/* The errno that it carries. */
static uint32_t answer(void)
{
	Weft__AdminReply *rep = answered();
	uint32_t error = rep->error;

	weft__admin_reply__free_unpacked(rep, NULL);
	return error;
}

static size_t pack_op(uint8_t *buf, int op)
{
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__StatusRequest status = WEFT__STATUS_REQUEST__INIT;
	Weft__FsCreate create = WEFT__FS_CREATE__INIT;
	Weft__Heartbeat beat = WEFT__HEARTBEAT__INIT;
	Weft__ListRequest list = WEFT__LIST_REQUEST__INIT;
	Weft__NodeLeave leave = WEFT__NODE_LEAVE__INIT;

	q.op_case = op;
	leave.node = beat.node = 9;
	switch (op) {
	case WEFT__ADMIN_REQUEST__OP_STATUS:
		q.status = &status;
		break;
	case WEFT__ADMIN_REQUEST__OP_FS_CREATE:
		q.fs_create = &create;
		break;
	case WEFT__ADMIN_REQUEST__OP_HEARTBEAT:
		q.heartbeat = &beat;
		break;
	case WEFT__ADMIN_REQUEST__OP_LIST:
		list.clients = true;
		q.list = &list;
		break;
	case WEFT__ADMIN_REQUEST__OP_NODE_LEAVE:
		q.node_leave = &leave;
		break;
	}
	return weft__admin_request__pack(&q, buf);
}

static uint32_t ask_op(int op)
{
	uint8_t buf[64];

	ask(buf, pack_op(buf, op), 5000);
	return answer();
}

static void tell_transport(uint32_t flags, uint32_t fallbacks)
{
	struct weft_map_get_req q = { .flags = cpu_to_le32(WEFT_MAP_SUBSCRIBE | flags),
				      .fallbacks = cpu_to_le32(fallbacks) };

	memset(&call, 0, sizeof(call));
	f.called = 0;
	call.call.opcode = WEFT_OP_MAP_GET;
	call.done = call_done;
	CU_ASSERT_EQUAL_FATAL(weft_mapclient_call(f.mc, &call, &q, sizeof(q), NULL, 0), 0);
	until(has_called);
	CU_ASSERT_EQUAL(weft_rpc_err(&call.call), 0);
	weft_rpc_call_fini(&call.call);
}

/* Is client 77 listed, with these flags and fallbacks? */
static bool listed(uint32_t flags, uint32_t fallbacks)
{
	Weft__AdminReply *rep;
	const Weft__Listing *l;
	uint8_t buf[64];
	bool is;

	ask(buf, pack_op(buf, WEFT__ADMIN_REQUEST__OP_LIST), 5000);
	rep = answered();
	l = rep->listing;
	is = l->n_client_states == 1 && l->client_states[0]->session == 77 &&
	     l->client_states[0]->transport == flags &&
	     l->client_states[0]->fallbacks == fallbacks &&
	     !strncmp(l->client_states[0]->address, "127.0.0.1", 9);
	weft__admin_reply__free_unpacked(rep, NULL);
	return is;
}

/* A client says what carries its requests; what it said last is shown while it is connected. */
static void clients(void)
{
	setup();
	tell_transport(WEFT_MAP_BY_RDMA, 0); /* no client */
	CU_ASSERT_FALSE(listed(WEFT_MAP_BY_RDMA, 0));
	client_stop();
	client_start(WEFT_ROLE_CLIENT);
	weft_rpc_client_set_session(f.client, 77);
	tell_transport(WEFT_MAP_BY_RDMA, 0);
	CU_ASSERT(listed(WEFT_MAP_BY_RDMA, 0));
	tell_transport(WEFT_MAP_BY_TCP | WEFT_MAP_FALLEN_BACK | 0x8000, 3);
	CU_ASSERT(listed(WEFT_MAP_BY_TCP | WEFT_MAP_FALLEN_BACK, 3));
	client_stop();
	client_start(WEFT_ROLE_SERVER);
	until(nobody_subscribes);
	CU_ASSERT_FALSE(listed(WEFT_MAP_BY_TCP | WEFT_MAP_FALLEN_BACK, 3));
	teardown();
}

static void refusals(void)
{
	static const uint8_t later[] = { 0x9a, 0x06, 0x00 };

	setup();
	CU_ASSERT_EQUAL(ask_op(WEFT__ADMIN_REQUEST__OP_STATUS), 0);
	CU_ASSERT_EQUAL(ask_op(WEFT__ADMIN_REQUEST__OP_LIST), 0);
	CU_ASSERT_EQUAL(ask_op(WEFT__ADMIN_REQUEST__OP_FS_CREATE), ENODEV);
	CU_ASSERT_EQUAL(ask_op(WEFT__ADMIN_REQUEST__OP_HEARTBEAT), ESTALE);
	CU_ASSERT_EQUAL(ask_op(WEFT__ADMIN_REQUEST__OP_NODE_LEAVE), ESTALE);
	ask(later, sizeof(later), 5000);
	CU_ASSERT_EQUAL(answer(), EOPNOTSUPP);
	client_stop();
	client_start(WEFT_ROLE_CLIENT);
	CU_ASSERT_EQUAL(ask_op(WEFT__ADMIN_REQUEST__OP_STATUS), 0);
	CU_ASSERT_EQUAL(ask_op(WEFT__ADMIN_REQUEST__OP_FS_CREATE), EPERM);
	CU_ASSERT_EQUAL(ask_op(WEFT__ADMIN_REQUEST__OP_HEARTBEAT), EPERM);
	teardown();
}

static void nonsense(void)
{
	static const uint8_t garbage[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 };

	setup();
	ask(garbage, sizeof(garbage), 300); /* the connection is closed, and again at each replay */
	CU_ASSERT(weft_rpc_err(&call.call) != 0);
	weft_rpc_call_fini(&call.call);
	CU_ASSERT_EQUAL(ask_op(WEFT__ADMIN_REQUEST__OP_STATUS), 0);
	teardown();
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	weft_log_set_level(WEFT_LOG_ERR);
	s = CU_add_suite("mgmt/server", NULL, NULL);
	CU_add_test(s, "a node lives, falls silent, comes back, leaves", lives_and_dies);
	CU_add_test(s, "a node that was taken for dead registers again", taken_for_dead);
	CU_add_test(s, "a target of another file system", stranger);
	CU_add_test(s, "leadership is lost and won", leadership);
	CU_add_test(s, "clients say what carries their requests", clients);
	CU_add_test(s, "requests that are refused", refusals);
	CU_add_test(s, "requests that are none", nonsense);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
