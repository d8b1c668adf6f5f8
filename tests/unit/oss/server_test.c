// SPDX-License-Identifier: Apache-2.0
/*
 * Requests over a real connection: every operation, checks of map and body, slots, checksums of
 * bulk, and draining.
 */
#include "oss/server.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/fault.h"
#include "common/rpc/client.h"
#include "proto/data.h"
#include "tests/unit/oss/harness.h"

#define TARGET 1
#define GROUP 1
#define SHIFT 22

/* One node with target 1, that leads group 1 of two; target 2 leads group 2. */
struct small_map {
	struct weft_map_hdr h;
	struct weft_map_node node;
	struct weft_map_rail rail;
	struct weft_map_target targets[2];
	struct weft_map_group groups[2];
	struct weft_map_member members[2];
	struct weft_map_pool pool;
	__le32 pool_groups[2];
	__le32 end;
} __attribute__((aligned(8)));

static struct oss_bed bed;
static struct weft_map *map;
static struct oss_server *os;
static struct weft_rpc_server *srv;
static struct weft_rpc_client *client;
static struct weft_rpc_peer *peer;
static uint64_t refreshed;
static uint32_t seq[4];

static struct weft_map *make_map(uint64_t epoch)
{
	struct small_map m = {
		.h = { .len = cpu_to_le32(offsetof(struct small_map, end)),
		       .version = cpu_to_le16(WEFT_MAP_VERSION),
		       .magic = cpu_to_le32(WEFT_MAP_MAGIC), .epoch = cpu_to_le64(epoch),
		       .nnodes = cpu_to_le32(1), .nrails = cpu_to_le32(1),
		       .ntargets = cpu_to_le32(2), .ngroups = cpu_to_le32(2),
		       .nmembers = cpu_to_le32(2), .npools = cpu_to_le32(1),
		       .npool_groups = cpu_to_le32(2) },
		.node = { .id = cpu_to_le32(1), .nrails = cpu_to_le16(1) },
		.pool = { .id = cpu_to_le32(1), .ngroups = cpu_to_le32(2) },
		.pool_groups = { cpu_to_le32(1), cpu_to_le32(2) },
	};
	struct weft_map *out = NULL;
	u32 i;

	for (i = 0; i < 2; i++) {
		m.targets[i].id = cpu_to_le32(i + 1);
		m.targets[i].node = cpu_to_le32(1);
		m.targets[i].kind = WEFT_OST;
		m.groups[i].id = cpu_to_le32(i + 1);
		m.groups[i].kind = WEFT_OST;
		m.groups[i].first_member = cpu_to_le32(i);
		m.groups[i].nmembers = cpu_to_le16(1);
		m.members[i].target = cpu_to_le32(i + 1);
		m.members[i].state = WEFT_IN_SYNC;
	}
	m.h.crc = cpu_to_le32(~weft_crc32c_raw(~0u, &m, offsetof(struct small_map, end)));
	weft_map_decode(&m, offsetof(struct small_map, end), &out);
	return out;
}

static struct weft_map *present(void *arg)
{
	(void)arg;
	return map ? weft_map_get(map) : NULL;
}

static void refresh(void *arg, uint64_t epoch)
{
	(void)arg;
	refreshed = epoch;
}

static int setup(void)
{
	struct oss_server_cfg scfg = { .map = present, .refresh = refresh };
	struct weft_rpc_server_cfg rcfg = { .node = 1, .boot = 5, .fsid = "fs" };
	struct weft_rpc_client_cfg ccfg = { .role = WEFT_ROLE_TOOL, .session = 77, .fsid = "fs" };
	struct weft_rpc_addr addr = { .host = "127.0.0.1" };
	int port;

	bed_init(&bed, 64 << 20);
	if (bed_open(&bed))
		return -1;
	map = make_map(5);
	scfg.env = rcfg.env = ccfg.env = bed.env;
	scfg.pool = ccfg.pool = bed.pool;
	scfg.store = bed.store;
	if (!map || oss_server_create(&scfg, TARGET, &os) || weft_rpc_server_create(&rcfg, &srv) ||
	    weft_rpc_server_add(srv, oss_server_service(os)))
		return -1;
	port = weft_rpc_server_listen(srv, &(struct weft_rpc_addr){ .host = "127.0.0.1" });
	if (port < 0)
		return -1;
	addr.port = port;
	return weft_rpc_client_create(&ccfg, &client) ||
	       weft_rpc_peer_create(client, TARGET, 2, &addr, 1, NULL, &peer);
}

static void drained(void *arg)
{
	*(int *)arg = 1;
	weft_env_stop(bed.env);
}

static int teardown(void)
{
	weft_rpc_peer_destroy(peer);
	weft_rpc_client_destroy(client);
	weft_rpc_server_remove(srv, oss_server_service(os));
	oss_server_destroy(os);
	weft_rpc_server_destroy(srv);
	weft_map_put(map);
	bed_fini(&bed);
	return 0;
}

/* --- calls */

struct call {
	struct weft_rpc_call c;
	int done;
};

static void call_done(struct weft_rpc_call *c)
{
	((struct call *)c)->done = 1;
	weft_env_stop(bed.env);
}

static void start_slot(struct call *c, uint16_t op, struct weft_obj_req *req, uint32_t slot,
		       uint32_t slot_seq)
{
	c->c.opcode = op;
	c->c.flags = WEFT_CALL_SLOT;
	c->c.epoch = c->c.epoch ? c->c.epoch : 5;
	c->c.group = c->c.group ? c->c.group : GROUP;
	c->c.slot = slot;
	c->c.slot_seq = slot_seq;
	c->c.timeout_ms = 10000;
	c->c.done = call_done;
	if (!req->chunk_shift)
		req->chunk_shift = SHIFT;
	CU_ASSERT_EQUAL_FATAL(weft_rpc_call_start(peer, &c->c, req, sizeof(*req), NULL, 0), 0);
}

/* Returns the status; the call keeps the reply until weft_rpc_call_fini(). */
static int finish(struct call *c)
{
	bed_wait(&bed, &c->done);
	return c->c.err ? c->c.err : (int)c->c.status;
}

static int call(struct call *c, uint16_t op, struct weft_obj_req *req)
{
	start_slot(c, op, req, 0, ++seq[0]);
	return finish(c);
}

static void put_bulk(struct call *c, const void *buf, size_t len)
{
	CU_ASSERT_EQUAL_FATAL(weft_sg_alloc(&c->c.bulk_out, bed.pool, len), 0);
	weft_sg_write(&c->c.bulk_out, 0, buf, len);
}

static int write_call(struct call *c, uint64_t ino, uint32_t off, const void *buf, size_t len)
{
	struct weft_obj_req req = { .ino = cpu_to_le64(ino), .off = cpu_to_le32(off),
				    .len = cpu_to_le32(len) };

	put_bulk(c, buf, len);
	return call(c, WEFT_OP_OBJ_WRITE, &req);
}

static int read_call(struct call *c, uint64_t ino, uint32_t off, void *buf, size_t len)
{
	struct weft_obj_req req = { .ino = cpu_to_le64(ino), .off = cpu_to_le32(off),
				    .len = cpu_to_le32(len) };
	int status;

	c->c.bulk_max = len;
	status = call(c, WEFT_OP_OBJ_READ, &req);
	memset(buf, 0, len);
	weft_sg_read(&c->c.bulk_in, 0, buf, c->c.bulk_in.len);
	return status;
}

static const struct weft_obj_rep *reply(const struct call *c)
{
	CU_ASSERT_FATAL(c->c.rep_len >= sizeof(struct weft_obj_rep));
	return c->c.rep;
}

static uint8_t buf[1 << 21], got[1 << 21];

/* --- tests */

static void test_write_read(void)
{
	struct call w = { 0 }, r = { 0 };

	fill(buf, sizeof(buf), 1);
	CU_ASSERT_EQUAL(write_call(&w, 1, 12345, buf, 1500000), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(reply(&w)->bytes_delta), 367 * 4096);
	CU_ASSERT_EQUAL(read_call(&r, 1, 12345, got, sizeof(got)), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(reply(&r)->len), 1500000);
	CU_ASSERT_EQUAL(r.c.bulk_in.len, 1500000);
	CU_ASSERT_EQUAL(memcmp(buf, got, 1500000), 0);
	weft_rpc_call_fini(&w.c);
	weft_rpc_call_fini(&r.c);

	w = r = (struct call){ 0 };
	w.c.flags = r.c.flags = WEFT_CALL_CRC;
	CU_ASSERT_EQUAL(write_call(&w, 1, 5, buf, 100), 0);
	CU_ASSERT_EQUAL(read_call(&r, 1, 5, got, 100), 0);
	CU_ASSERT_EQUAL(memcmp(buf, got, 100), 0);
	weft_rpc_call_fini(&w.c);
	weft_rpc_call_fini(&r.c);

	r = (struct call){ 0 };
	CU_ASSERT_EQUAL(read_call(&r, 1000, 0, got, 4096), 0);
	CU_ASSERT_EQUAL(r.c.bulk_in.len, 0);
	weft_rpc_call_fini(&r.c);
}

static void test_zero_seek_truncate(void)
{
	struct weft_obj_req req = { .ino = cpu_to_le64(2), .len = cpu_to_le32(1 << 20) };
	struct call c = { 0 };

	req.flags = cpu_to_le32(WEFT_OBJ_ALLOC);
	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_ZERO, &req), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(reply(&c)->bytes_delta), 1 << 20);
	weft_rpc_call_fini(&c.c);
	c = (struct call){ 0 };
	CU_ASSERT_EQUAL(write_call(&c, 2, 8192, buf, 8192), 0);
	CU_ASSERT_EQUAL(reply(&c)->bytes_delta, 0);
	weft_rpc_call_fini(&c.c);

	req.flags = cpu_to_le32(WEFT_OBJ_DATA);
	c = (struct call){ 0 };
	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_SEEK, &req), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(reply(&c)->flags), WEFT_OBJ_REP_FOUND);
	CU_ASSERT_EQUAL(le32_to_cpu(reply(&c)->off), 8192);
	weft_rpc_call_fini(&c.c);
	req.flags = cpu_to_le32(WEFT_OBJ_HOLE);
	req.off = cpu_to_le32(9000);
	c = (struct call){ 0 };
	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_SEEK, &req), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(reply(&c)->off), 16384);
	weft_rpc_call_fini(&c.c);

	req.flags = cpu_to_le32(WEFT_OBJ_PUNCH);
	req.off = cpu_to_le32(0);
	c = (struct call){ 0 };
	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_ZERO, &req), 0);
	CU_ASSERT_EQUAL((int64_t)le64_to_cpu(reply(&c)->bytes_delta), -(1 << 20));
	weft_rpc_call_fini(&c.c);
	req.flags = 0;
	c = (struct call){ 0 };
	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_ZERO, &req), EOPNOTSUPP);
	weft_rpc_call_fini(&c.c);
	req = (struct weft_obj_req){ .ino = cpu_to_le64(1) };
	c = (struct call){ 0 };
	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_TRUNCATE, &req), 0);
	CU_ASSERT((int64_t)le64_to_cpu(reply(&c)->bytes_delta) < 0);
	weft_rpc_call_fini(&c.c);
}

static void test_map(void)
{
	struct weft_obj_req req = { .ino = cpu_to_le64(3) };
	struct call c = { .c.epoch = 4 };
	struct weft_map *m = map;

	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_TRUNCATE, &req), WEFT_S_STALE_MAP);
	CU_ASSERT_EQUAL(c.c.rep_epoch, 5);
	weft_rpc_call_fini(&c.c);
	c = (struct call){ .c.group = 2 };
	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_TRUNCATE, &req), WEFT_S_NOT_PRIMARY);
	weft_rpc_call_fini(&c.c);
	c = (struct call){ .c.epoch = 6 };
	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_TRUNCATE, &req), 0);
	CU_ASSERT_EQUAL(refreshed, 6);
	weft_rpc_call_fini(&c.c);
	map = NULL;
	c = (struct call){ 0 };
	CU_ASSERT_EQUAL(call(&c, WEFT_OP_OBJ_TRUNCATE, &req), WEFT_S_RECOVERY);
	weft_rpc_call_fini(&c.c);
	map = m;
}

static void bad(uint16_t op, struct weft_obj_req *req, size_t bulk)
{
	struct call c = { 0 };

	if (bulk)
		put_bulk(&c, buf, bulk);
	start_slot(&c, op, req, 0, ++seq[0]);
	CU_ASSERT_EQUAL(finish(&c), EINVAL);
	weft_rpc_call_fini(&c.c);
}

static void test_bodies(void)
{
	struct weft_obj_req good = { .ino = cpu_to_le64(3), .len = cpu_to_le32(100),
				     .chunk_shift = SHIFT };
	struct weft_obj_req req = good;
	struct call c = { 0 };

	req.ino = 0;
	bad(WEFT_OP_OBJ_WRITE, &req, 100);
	req = good;
	req.chunk_shift = 40;
	bad(WEFT_OP_OBJ_WRITE, &req, 100);
	req = good;
	req.off = cpu_to_le32((1 << SHIFT) - 99);
	bad(WEFT_OP_OBJ_WRITE, &req, 100);
	req.off = cpu_to_le32(~0u);
	bad(WEFT_OP_OBJ_WRITE, &req, 100);
	req = good;
	bad(WEFT_OP_OBJ_WRITE, &req, 99);
	bad(WEFT_OP_OBJ_READ, &req, 0);
	CU_ASSERT_EQUAL(write_call(&c, 3, (1 << SHIFT) - 100, buf, 100), 0);
	weft_rpc_call_fini(&c.c);
}

/* Both of a slot's requests while one is running, and a late one. */
static void test_slots(void)
{
	struct weft_obj_req req = { .ino = cpu_to_le64(4), .len = cpu_to_le32(4096) };
	struct call a = { 0 }, b = { 0 }, late = { 0 };

	put_bulk(&a, buf, 4096);
	put_bulk(&b, buf + 4096, 4096);
	put_bulk(&late, buf, 4096);
	start_slot(&a, WEFT_OP_OBJ_WRITE, &req, 1, 1);
	start_slot(&b, WEFT_OP_OBJ_WRITE, &req, 1, 2);
	CU_ASSERT_EQUAL(finish(&a), 0);
	CU_ASSERT_EQUAL(finish(&b), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(reply(&a)->bytes_delta), 4096);
	CU_ASSERT_EQUAL(reply(&b)->bytes_delta, 0);
	start_slot(&late, WEFT_OP_OBJ_WRITE, &req, 1, 1);
	CU_ASSERT_EQUAL(finish(&late), WEFT_S_SLOT_OLD);
	weft_rpc_call_fini(&a.c);
	weft_rpc_call_fini(&b.c);
	weft_rpc_call_fini(&late.c);
	a = (struct call){ 0 };
	CU_ASSERT_EQUAL(read_call(&a, 4, 0, got, 4096), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf + 4096, 4096), 0);
	weft_rpc_call_fini(&a.c);
	/* The same request again: the same outcome, and it does not undo what came after it. */
	req.off = cpu_to_le32(1 << 20);
	for (int i = 0; i < 2; i++) {
		b = (struct call){ 0 };
		put_bulk(&b, buf, 4096);
		start_slot(&b, WEFT_OP_OBJ_WRITE, &req, 1, 3);
		CU_ASSERT_EQUAL(finish(&b), 0);
		CU_ASSERT_EQUAL(le64_to_cpu(reply(&b)->bytes_delta), 4096);
		weft_rpc_call_fini(&b.c);
		b = (struct call){ 0 };
		CU_ASSERT_EQUAL(i ? 0 : write_call(&b, 4, 1 << 20, buf + 9000, 4096), 0);
		weft_rpc_call_fini(&b.c);
	}
	b = (struct call){ 0 };
	CU_ASSERT_EQUAL(read_call(&b, 4, 1 << 20, got, 4096), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf + 9000, 4096), 0);
	weft_rpc_call_fini(&b.c);
	/* One that failed runs again. */
	req.off = cpu_to_le32(2 << 20);
	CU_ASSERT_EQUAL(weft_fault_set("oss.alloc=error(ENOSPC):1"), 0);
	for (int i = 0; i < 2; i++) {
		b = (struct call){ 0 };
		put_bulk(&b, buf, 4096);
		start_slot(&b, WEFT_OP_OBJ_WRITE, &req, 1, 4);
		CU_ASSERT_EQUAL(finish(&b), i ? 0 : ENOSPC);
		weft_rpc_call_fini(&b.c);
	}
}

static int admin(const char *line, char *out, size_t len)
{
	struct weft_admin_req req = { 0 };
	struct call c = { .c = { .opcode = WEFT_OP_ADMIN, .timeout_ms = 10000, .bulk_max = 8192,
				 .done = call_done } };
	int status;

	put_bulk(&c, line, strlen(line));
	CU_ASSERT_EQUAL_FATAL(weft_rpc_call_start(peer, &c.c, &req, sizeof(req), NULL, 0), 0);
	status = finish(&c);
	memset(out, 0, len);
	weft_sg_read(&c.c.bulk_in, 0, out, len - 1);
	weft_rpc_call_fini(&c.c);
	return status;
}

static void test_admin(void)
{
	char text[8192];
	struct call c = { 0 };

	CU_ASSERT_EQUAL(admin("stats", text, sizeof(text)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"OBJ_WRITE\":{\"calls\":"));
	CU_ASSERT_EQUAL(text[strlen(text) - 1], '}');
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"data_bytes\":"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"kv_bytes\":"));
	CU_ASSERT_PTR_NULL(strstr(text, "\"kv_syncs\":0,"));
	CU_ASSERT_PTR_NULL(strstr(text, "\"kv_bytes\":0,"));
	CU_ASSERT_EQUAL(admin("nonsense", text, sizeof(text)), EINVAL);
	CU_ASSERT_EQUAL(admin("fault oss.alloc=error(ENOSPC):1", text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(write_call(&c, 5, 0, buf, 4096), ENOSPC);
	weft_rpc_call_fini(&c.c);
	CU_ASSERT_EQUAL(admin("fault oss.alloc=off", text, sizeof(text)), 0);
}

static void test_drain(void)
{
	struct weft_obj_req req = { .ino = cpu_to_le64(6), .len = cpu_to_le32(4096) };
	struct call c = { 0 };
	int done = 0;

	put_bulk(&c, buf, 4096);
	start_slot(&c, WEFT_OP_OBJ_WRITE, &req, 2, 1);
	CU_ASSERT_EQUAL(finish(&c), 0);
	weft_rpc_call_fini(&c.c);
	oss_server_drain(os, drained, &done);
	bed_wait(&bed, &done);
	CU_ASSERT_EQUAL(oss_store_idle(bed.store), true);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("oss/server", setup, teardown);
	CU_add_test(s, "write and read", test_write_read);
	CU_add_test(s, "zero, seek, truncate", test_zero_seek_truncate);
	CU_add_test(s, "map", test_map);
	CU_add_test(s, "bodies", test_bodies);
	CU_add_test(s, "slots", test_slots);
	CU_add_test(s, "admin", test_admin);
	CU_add_test(s, "drain", test_drain);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
