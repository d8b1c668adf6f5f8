// SPDX-License-Identifier: Apache-2.0
/*
 * The link to management against two servers, one not there, one that does not lead at first:
 * fetching the map, a push of a newer one, a damaged one; and the router that follows the map.
 */
#include "common/mapclient.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/env_uv.h"
#include "common/router.h"
#include "common/rpc/server.h"
#include "proto/mgmtops.h"
#include "tests/unit/common/unit.h"

/* A node with a rail of each kind, an MDT and an OST, a group each. */
struct test_map {
	struct weft_map_hdr h;
	struct weft_map_node nodes[1];
	struct weft_map_rail rails[2];
	struct weft_map_target targets[2];
	struct weft_map_group groups[2];
	struct weft_map_member members[2];
	__le32 shards[4];
	struct weft_map_pool pools[1];
	__le32 pool_groups[2]; /* the second is padding of this struct */
} __attribute__((aligned(8)));

#define MAP_LEN (offsetof(struct test_map, pool_groups) + sizeof(__le32))

struct world {
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_rpc_server *srv;
	struct weft_rpc_service *svc;
	struct weft_rpc_conn *conn;
	struct weft_rpc_client *rpc;
	struct weft_mapclient *mc;
	struct weft_router *router;
	struct test_map map;
	uint64_t epoch; /* of the last map that changed() told */
	unsigned int gets, subscribed, refuse;
	struct weft_timer watchdog;
	bool stuck;
};

static void make_map(struct world *w, uint64_t epoch, uint16_t port)
{
	static const uint8_t lo[16] = { [10] = 0xff, 0xff, 127, 0, 0, 1 };
	struct test_map *m = &w->map;
	int i;

	memset(m, 0, sizeof(*m));
	m->h = (struct weft_map_hdr){ .len = cpu_to_le32(MAP_LEN),
				      .version = cpu_to_le16(WEFT_MAP_VERSION),
				      .magic = cpu_to_le32(WEFT_MAP_MAGIC), .fsid = "fs",
				      .epoch = cpu_to_le64(epoch), .nnodes = cpu_to_le32(1),
				      .nrails = cpu_to_le32(2), .ntargets = cpu_to_le32(2),
				      .ngroups = cpu_to_le32(2), .nmembers = cpu_to_le32(2),
				      .nshards = cpu_to_le32(4), .npools = cpu_to_le32(1),
				      .npool_groups = cpu_to_le32(1) };
	m->nodes[0].id = cpu_to_le32(1);
	m->nodes[0].nrails = cpu_to_le16(2);
	m->rails[0].kind = WEFT_RAIL_TCP;
	m->rails[0].port = cpu_to_le16(port);
	memcpy(m->rails[0].addr, lo, sizeof(lo));
	m->rails[1] = m->rails[0];
	m->rails[1].kind = WEFT_RAIL_RDMA;
	m->rails[1].port = cpu_to_le16(9);
	for (i = 0; i < 2; i++) {
		m->targets[i].id = cpu_to_le32(i + 1);
		m->targets[i].node = cpu_to_le32(1);
		m->targets[i].kind = i ? WEFT_OST : WEFT_MDT;
		m->groups[i].id = cpu_to_le32(i + 1);
		m->groups[i].first_member = cpu_to_le32(i);
		m->groups[i].nmembers = cpu_to_le16(1);
		m->groups[i].kind = i ? WEFT_OST : WEFT_MDT;
		m->members[i].target = cpu_to_le32(i + 1);
		m->members[i].state = WEFT_IN_SYNC;
	}
	for (i = 0; i < 4; i++)
		m->shards[i] = cpu_to_le32(1);
	m->pools[0].id = cpu_to_le32(1);
	m->pools[0].ngroups = cpu_to_le32(1);
	m->pool_groups[0] = cpu_to_le32(2);
	m->h.crc = cpu_to_le32(weft_crc32c(0, m, MAP_LEN));
}

static void map_get(void *arg, struct weft_rpc_req *req)
{
	const struct weft_map_get_req *q = req->body;
	struct weft_map_get_rep rep = { 0 };
	struct world *w = arg;

	w->gets++;
	weft_env_stop(w->env);
	if (w->refuse) {
		w->refuse--;
		weft_rpc_reply_err(req, WEFT_S_NOT_LEADER);
		return;
	}
	w->subscribed += le32_to_cpu(q->flags) & WEFT_MAP_SUBSCRIBE;
	w->conn = req->conn;
	rep.epoch = w->map.h.epoch;
	rep.map_len = cpu_to_le32(MAP_LEN);
	if (le64_to_cpu(q->have_epoch) < le64_to_cpu(w->map.h.epoch)) {
		CU_ASSERT_EQUAL(weft_sg_alloc(&req->rep_bulk, w->pool, MAP_LEN), 0);
		weft_sg_write(&req->rep_bulk, 0, &w->map, MAP_LEN);
	}
	weft_rpc_reply(req, 0, &rep, sizeof(rep), NULL, 0);
}

static const struct weft_rpc_handler handlers[] = { { WEFT_OP_MAP_GET, map_get }, { 0, NULL } };

static void changed(void *arg, struct weft_map *m)
{
	struct world *w = arg;

	w->epoch = m->epoch;
	weft_router_set_map(w->router, m);
	weft_env_stop(w->env);
}

static void pushed(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		   size_t len, const void *tail, size_t tail_len)
{
	struct world *w = arg;

	(void)peer;
	(void)tail;
	(void)tail_len;
	CU_ASSERT_EQUAL(opcode, WEFT_OP_MAP_PUSH);
	weft_mapclient_push(w->mc, body, len);
}

static void watchdog(void *arg)
{
	struct world *w = arg;

	w->stuck = true;
	weft_env_stop(w->env);
}

static void until_epoch(struct world *w, uint64_t epoch)
{
	weft_timer_start(w->env, &w->watchdog, 10 * WEFT_NS_PER_S);
	while (w->epoch < epoch && !w->stuck)
		weft_env_uv_run(w->env);
	CU_ASSERT_EQUAL_FATAL(w->stuck, false);
	weft_timer_stop(w->env, &w->watchdog);
}

static void world_start(struct world *w)
{
	struct weft_rpc_service_cfg sc = { .handlers = handlers, .arg = w };
	struct weft_rpc_client_cfg cc = { .role = WEFT_ROLE_SERVER, .push = pushed, .arg = w };
	struct weft_mapclient_cfg mc = { .subscribe = true, .changed = changed, .arg = w };
	struct weft_rpc_server_cfg cfg = { 0 };
	char servers[64];
	int port;

	memset(w, 0, sizeof(*w));
	CU_ASSERT_EQUAL_FATAL(weft_env_uv_create(&w->env), 0);
	CU_ASSERT_EQUAL_FATAL(weft_pool_create(16 << 20, &w->pool), 0);
	cfg.env = sc.env = cc.env = mc.env = w->env;
	sc.pool = cc.pool = w->pool;
	weft_timer_init(&w->watchdog, watchdog, w);
	CU_ASSERT_EQUAL_FATAL(weft_rpc_service_create(&sc, &w->svc), 0);
	CU_ASSERT_EQUAL_FATAL(weft_rpc_server_create(&cfg, &w->srv), 0);
	CU_ASSERT_EQUAL_FATAL(weft_rpc_server_add(w->srv, w->svc), 0);
	port = weft_rpc_server_listen(w->srv, &(struct weft_rpc_addr){ .host = "127.0.0.1" });
	CU_ASSERT_FATAL(port > 0);
	make_map(w, 5, port);
	CU_ASSERT_EQUAL_FATAL(weft_rpc_client_create(&cc, &w->rpc), 0);
	CU_ASSERT_EQUAL_FATAL(weft_router_create(w->rpc, 1, &w->router), 0);
	mc.rpc = w->rpc;
	mc.servers = " ,";
	CU_ASSERT_EQUAL(weft_mapclient_create(&mc, &w->mc), -EINVAL);
	mc.servers = servers;
	snprintf(servers, sizeof(servers), "127.0.0.1:1, 127.0.0.1:%d", port);
	CU_ASSERT_EQUAL_FATAL(weft_mapclient_create(&mc, &w->mc), 0);
}

static void world_stop(struct world *w)
{
	weft_mapclient_destroy(w->mc);
	weft_router_destroy(w->router);
	/* What was cancelled ends by posts. */
	weft_env_stop(w->env);
	weft_env_uv_run(w->env);
	weft_rpc_client_destroy(w->rpc);
	weft_rpc_server_remove(w->srv, w->svc);
	weft_rpc_server_destroy(w->srv);
	weft_env_stop(w->env);
	weft_env_uv_run(w->env);
	weft_rpc_service_destroy(w->svc);
	weft_env_uv_destroy(w->env);
	weft_pool_destroy(w->pool);
}

static void fetching(void)
{
	struct weft_map_push push = { .epoch = cpu_to_le64(6) };
	struct weft_map *m;
	struct world w;

	world_start(&w);
	CU_ASSERT_PTR_NULL(weft_mapclient_map(w.mc));
	w.refuse = 2;
	weft_mapclient_refresh(w.mc, 0);
	until_epoch(&w, 5);
	CU_ASSERT_EQUAL(w.gets, 3);
	CU_ASSERT_EQUAL(w.subscribed, 1);
	make_map(&w, 6, 9);
	CU_ASSERT_EQUAL(weft_rpc_push(w.conn, WEFT_OP_MAP_PUSH, &push, sizeof(push), NULL, 0), 0);
	until_epoch(&w, 6);
	/* Somebody knows of a newer one; the first that comes is damaged. */
	make_map(&w, 7, 9);
	w.map.h.crc ^= 1;
	weft_mapclient_refresh(w.mc, 7);
	w.gets = 0;
	while (!w.gets)
		weft_env_uv_run(w.env);
	CU_ASSERT_EQUAL(w.epoch, 6);
	make_map(&w, 7, 9);
	until_epoch(&w, 7);
	m = weft_mapclient_map(w.mc);
	CU_ASSERT_EQUAL(m->epoch, 7);
	weft_map_put(m);
	world_stop(&w);
}

static void going(void)
{
	struct world w;

	world_start(&w);
	weft_mapclient_refresh(w.mc, 0); /* the fetch is under way when the link goes */
	world_stop(&w);
}

static void routing(void)
{
	struct weft_rpc_addr addrs[WEFT_RPC_ADDRS_MAX];
	struct weft_rpc_peer *p, *again;
	struct weft_map *m;
	struct world w;

	world_start(&w);
	CU_ASSERT_EQUAL(weft_router_group(w.router, 1, &p), -ENOENT); /* no map yet */
	weft_mapclient_refresh(w.mc, 0);
	until_epoch(&w, 5);
	m = weft_router_map(w.router);
	CU_ASSERT_EQUAL(weft_map_group_target(m, 2), 2);
	CU_ASSERT_EQUAL(weft_map_group_target(m, 3), 0);
	CU_ASSERT_EQUAL(weft_map_target_addrs(m, 1, addrs), 1);
	CU_ASSERT_STRING_EQUAL(addrs[0].host, "127.0.0.1");
	CU_ASSERT_EQUAL(weft_map_target_addrs(m, 9, addrs), 0);
	CU_ASSERT_EQUAL(weft_router_group(w.router, 2, &p), 0);
	CU_ASSERT_EQUAL(weft_rpc_peer_target(p), 2);
	CU_ASSERT_EQUAL(weft_router_target(w.router, 2, &again), 0);
	CU_ASSERT_PTR_EQUAL(p, again);
	CU_ASSERT_EQUAL(weft_router_group(w.router, 3, &p), -ENOENT);
	world_stop(&w);
}

/* Which rails are taken, and which first. */
static void rails(void)
{
	struct weft_rpc_addr a[WEFT_RPC_ADDRS_MAX];
	struct weft_map *m;
	struct world w;

	make_map(&w, 9, 7);
	CU_ASSERT_EQUAL_FATAL(weft_map_decode(&w.map, MAP_LEN, &m), 0);
	CU_ASSERT_EQUAL(weft_net_set("rdma"), 0);
	CU_ASSERT_EQUAL(weft_map_target_addrs(m, 1, a), 1);
	CU_ASSERT(a[0].kind == WEFT_RAIL_RDMA && a[0].port == 9);
	CU_ASSERT_EQUAL(weft_net_set("auto"), 0);
	CU_ASSERT_EQUAL(weft_map_target_addrs(m, 1, a), 2);
	CU_ASSERT(a[0].kind == WEFT_RAIL_RDMA && a[1].kind == WEFT_RAIL_TCP && a[1].port == 7);
	CU_ASSERT_EQUAL(weft_net_set("any"), -EINVAL);
	CU_ASSERT_EQUAL(weft_net_set("tcp"), 0);
	CU_ASSERT_EQUAL(weft_map_target_addrs(m, 1, a), 1);
	CU_ASSERT(a[0].kind == WEFT_RAIL_TCP && a[0].port == 7);
	weft_map_put(m);
}

static void decoding(void)
{
	struct weft_mapref ref;
	struct weft_map *m, *old;
	struct world w;

	make_map(&w, 9, 1);
	CU_ASSERT_EQUAL_FATAL(weft_map_decode(&w.map, MAP_LEN, &m), 0);
	weft_mapref_init(&ref);
	CU_ASSERT_PTR_NULL(weft_mapref_get(&ref));
	CU_ASSERT(weft_mapref_set(&ref, m));
	CU_ASSERT_FALSE(weft_mapref_set(&ref, m)); /* the same epoch */
	weft_map_put(m);
	make_map(&w, 8, 1);
	CU_ASSERT_EQUAL_FATAL(weft_map_decode(&w.map, MAP_LEN, &old), 0);
	CU_ASSERT_FALSE(weft_mapref_set(&ref, old));
	weft_map_put(old);
	m = weft_mapref_get(&ref);
	CU_ASSERT_EQUAL(m->epoch, 9);
	weft_map_put(m);
	weft_mapref_fini(&ref);
	CU_ASSERT_EQUAL(weft_map_decode(&w.map, MAP_LEN - 1, &m), -EBADMSG);
	w.map.pools[0].name[0] ^= 1; /* the checksum knows */
	CU_ASSERT_EQUAL(weft_map_decode(&w.map, MAP_LEN, &m), -EBADMSG);
}

int main(void)
{
	static const struct unit_test tests[] = { { "decoding and holding", decoding },
						  { "fetching", fetching },
						  { "the link goes", going },
						  { "routing", routing },
						  { "rails of two kinds", rails },
						  { NULL, NULL } };

	return unit_run("common/mapclient", tests);
}
