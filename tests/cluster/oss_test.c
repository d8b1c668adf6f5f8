// SPDX-License-Identifier: Apache-2.0
/*
 * A real object storage server is killed at each step of its commit while several requests are
 * under way, and started again: the requests are sent again and end well, and every byte is what
 * was written. Then it is killed at any moment, and at last ended by SIGTERM.
 *
 * The cluster is made by `weft dev up` in a directory of its own and taken down at the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/env_uv.h"
#include "common/log.h"
#include "common/mapclient.h"
#include "common/router.h"
#include "proto/data.h"

#define SLOTS 8
#define SPAN (1u << 20) /* bytes of each slot's object: one segment */
#define SHIFT 20
#define ROUNDS 3

static struct weft_env *env;
static struct weft_pool *pool;
static struct weft_rpc_client *client;
static struct weft_mapclient *mc;
static struct weft_router *router;
static struct weft_map *map;
static uint32_t group;
static char dir[64], weft[512];
static unsigned int passed, failed;

static uint8_t model[SLOTS][SPAN], got[SPAN];

static void check(bool ok, const char *what, unsigned int nr)
{
	if (ok) {
		passed++;
		return;
	}
	failed++;
	printf("FAILED: %s (%u)\n", what, nr);
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	printf("FAILED: %s\n0 passed, 1 failed\n", what);
	exit(1);
}

static int dev(const char *verb, const char *args)
{
	char cmd[1024];

	snprintf(cmd, sizeof(cmd), "%s dev %s --dir %s %s >/dev/null", weft, verb, dir, args);
	return system(cmd);
}

/* Whatever happens, nothing is left running. */
static void cleanup(void)
{
	char cmd[128];

	dev("down", "");
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd))
		perror(cmd);
}

/* --- calls */

struct call {
	struct weft_rpc_call c;
	unsigned int *left;
	uint32_t len;
};

static void call_done(struct weft_rpc_call *c)
{
	struct call *call = (struct call *)c;

	if (!--*call->left)
		weft_env_stop(env);
}

static void start(struct call *call, uint16_t op, const void *body, size_t len)
{
	struct weft_rpc_peer *peer;

	call->c.opcode = op;
	call->c.epoch = map->epoch;
	call->c.group = group;
	call->c.timeout_ms = 60000;
	call->c.done = call_done;
	must(!weft_router_group(router, group, &peer), "no route to the group");
	must(!weft_rpc_call_start(peer, &call->c, body, len, NULL, 0), "call");
}

static void wait_all(unsigned int *left)
{
	while (*left)
		weft_env_uv_run(env);
}

/* One call; a new map is fetched and the call made again when it is stale. */
static int call_once(uint16_t op, const void *body, size_t body_len, const char *bulk,
		     uint32_t bulk_max, struct call *out)
{
	unsigned int left, tries;
	int err = 0;

	for (tries = 0; tries < 50; tries++) {
		*out = (struct call){ .left = &left };
		left = 1;
		out->c.bulk_max = bulk_max;
		if (bulk) {
			must(!weft_sg_alloc(&out->c.bulk_out, pool, strlen(bulk)), "buffers");
			weft_sg_write(&out->c.bulk_out, 0, bulk, strlen(bulk));
		}
		start(out, op, body, body_len);
		wait_all(&left);
		err = weft_rpc_err(&out->c);
		if (err != WEFT_S_STALE_MAP)
			break;
		weft_rpc_call_fini(&out->c);
		weft_mapclient_refresh(mc, map->epoch + 1);
		weft_env_uv_run(env);
	}
	return err;
}

static int admin(const char *line)
{
	struct weft_admin_req req = { 0 };
	struct call c;
	int err = call_once(WEFT_OP_ADMIN, &req, sizeof(req), line, 8192, &c);

	weft_rpc_call_fini(&c.c);
	return err;
}

/* --- the map */

static void changed(void *arg, struct weft_map *m)
{
	uint32_t i;

	(void)arg;
	weft_map_put(map);
	map = weft_map_get(m);
	weft_router_set_map(router, map);
	for (i = 0; i < map->view.ngroups; i++)
		if (map->view.groups[i].kind == WEFT_OST)
			group = le32_to_cpu(map->view.groups[i].id);
	weft_env_stop(env);
}

static void pushed(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		   size_t len, const void *tail, size_t tail_len)
{
	(void)arg;
	(void)peer;
	(void)tail;
	(void)tail_len;
	if (opcode == WEFT_OP_MAP_PUSH)
		weft_mapclient_push(mc, body, len);
}

static void connect_cluster(const char *mgmt)
{
	struct weft_rpc_client_cfg ccfg = { .role = WEFT_ROLE_TOOL, .session = 1ull << 40,
					    .push = pushed };
	struct weft_mapclient_cfg mcfg = { .servers = mgmt, .subscribe = true,
					   .changed = changed };

	must(!weft_env_uv_create(&env) && !weft_pool_create(256 << 20, &pool), "loop");
	ccfg.env = mcfg.env = env;
	ccfg.pool = pool;
	must(!weft_rpc_client_create(&ccfg, &client), "client");
	must(!weft_router_create(client, 2, &router), "router");
	mcfg.rpc = client;
	must(!weft_mapclient_create(&mcfg, &mc), "mapclient");
	weft_mapclient_refresh(mc, 0);
	while (!group)
		weft_env_uv_run(env);
	weft_rpc_client_set_fsid(client, map->view.hdr->fsid);
}

static void read_mgmt_address(char *buf, size_t len)
{
	char path[128], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/weft.conf", dir);
	f = fopen(path, "r");
	must(f != NULL, path);
	buf[0] = 0;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "addresses", 9) && strchr(line, '='))
			snprintf(buf, len, "%s", strtok(strchr(line, '=') + 1, " \n"));
	fclose(f);
	must(buf[0], "no address in weft.conf");
}

/* --- the test */

static uint32_t rnd_state = 1;
static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (uint64_t)(rnd_state >> 4) * n >> 28;
}

static void start_write(struct call *c, uint32_t slot, uint32_t seq, unsigned int *left)
{
	uint32_t len = 1 + rnd(rnd(2) ? 20000 : SPAN), off = rnd(SPAN - len + 1), i;
	struct weft_obj_req req = { .ino = cpu_to_le64(100 + slot), .off = cpu_to_le32(off),
				    .len = cpu_to_le32(len), .chunk_shift = SHIFT };

	for (i = 0; i < len; i++)
		model[slot][off + i] = rnd(256);
	*c = (struct call){ .left = left };
	c->c.flags = WEFT_CALL_SLOT | WEFT_CALL_CRC;
	c->c.slot = slot;
	c->c.slot_seq = seq;
	must(!weft_sg_alloc(&c->c.bulk_out, pool, len), "buffers");
	weft_sg_write(&c->c.bulk_out, 0, &model[slot][off], len);
	start(c, WEFT_OP_OBJ_WRITE, &req, sizeof(req));
}

static void verify(unsigned int nr)
{
	uint32_t slot;

	for (slot = 0; slot < SLOTS; slot++) {
		struct weft_obj_req req = { .ino = cpu_to_le64(100 + slot),
					    .len = cpu_to_le32(SPAN), .chunk_shift = SHIFT };
		struct call c;
		int err = call_once(WEFT_OP_OBJ_READ, &req, sizeof(req), NULL, SPAN, &c);

		check(!err, "read", nr);
		memset(got, 0, SPAN);
		weft_sg_read(&c.c.bulk_in, 0, got, SPAN);
		check(!memcmp(got, model[slot], SPAN), "bytes after the crash", nr);
		weft_rpc_call_fini(&c.c);
	}
}

/* Writes in all slots; the server dies meanwhile, is started again, and all end well. */
static void round_of_writes(const char *fault, uint32_t seq)
{
	struct call calls[SLOTS];
	unsigned int left = SLOTS;
	uint32_t slot;

	if (fault)
		check(!admin(fault), fault, seq);
	for (slot = 0; slot < SLOTS; slot++)
		start_write(&calls[slot], slot, seq, &left);
	if (!fault)
		must(!dev("kill", "oss1"), "kill");
	must(!dev("restart", "oss1"), "restart");
	wait_all(&left);
	for (slot = 0; slot < SLOTS; slot++) {
		int err = weft_rpc_err(&calls[slot].c);

		/* A new map may have come; then it is a new request of the slot. */
		weft_rpc_call_fini(&calls[slot].c);
		check(!err || err == WEFT_S_STALE_MAP, "write", err);
		if (err == WEFT_S_STALE_MAP)
			left++;
	}
	must(!left, "stale map while writing: lease too short");
	verify(seq);
}

int main(void)
{
	static const char *const faults[] = {
		"oss.write.start", "oss.write.data_done", "oss.commit.before_sync",
		"oss.commit.before_kv", "kv.commit.before", "kv.commit.after",
		"oss.commit.after_kv", NULL,
	};
	char mgmt[128], spec[128];
	uint32_t i, seq = 1;

	snprintf(dir, sizeof(dir), "/var/tmp/weft-oss-cluster-XXXXXX");
	must(mkdtemp(dir) != NULL, dir);
	snprintf(weft, sizeof(weft), "%s/bin/weft", getenv("WEFT_BUILD") ?: "build");
	atexit(cleanup);
	weft_log_init("oss_test");
	weft_log_set_level(WEFT_LOG_ERR);
	must(!dev("up", "--mds 1 --oss 1 --ost-size 256M"), "weft dev up");
	read_mgmt_address(mgmt, sizeof(mgmt));
	connect_cluster(mgmt);
	for (i = 0; i < ROUNDS * sizeof(faults) / sizeof(faults[0]); i++) {
		const char *name = faults[i % (sizeof(faults) / sizeof(faults[0]))];

		snprintf(spec, sizeof(spec), "fault %s=crash+%u", name ? name : "", i % 3);
		round_of_writes(name ? spec : NULL, seq++);
	}
	check(!dev("down", ""), "weft dev down", 0);
	snprintf(spec, sizeof(spec), "grep -q 'target closed' %s/oss1.log", dir);
	check(!system(spec), "the server drained", 0);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
