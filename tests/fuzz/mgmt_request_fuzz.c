// SPDX-License-Identifier: Apache-2.0
/*
 * Management under arbitrary admin requests and client registrations: the handlers, the state
 * machine behind them, the map and the snapshot that come out of it.
 *
 * The input is a list of requests: one byte of kind, two of length, the bytes. The rpc layer and
 * the log are stood in for: every request must be answered exactly once; a command is applied at
 * once; afterwards the map must encode and the snapshot must restore to the same state.
 */
#include <stdlib.h>

#include "mgmt/admin.c"
#include "mgmt/map.h"
#include "mgmt/ops.c"

struct weft_rpc_conn {
	enum weft_role role;
};

static unsigned int answers;

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* ---- in the place of the rpc layer */

void weft_rpc_reply(struct weft_rpc_req *req, uint32_t status, const void *body, size_t body_len,
		    const void *tail, size_t tail_len)
{
	(void)status;
	(void)body;
	(void)body_len;
	(void)tail;
	(void)tail_len;
	weft_sg_fini(&req->rep_bulk);
	answers++;
}

void weft_rpc_reply_err(struct weft_rpc_req *req, int err)
{
	weft_rpc_reply(req, err, NULL, 0, NULL, 0);
}

void weft_rpc_malformed(struct weft_rpc_req *req, const char *what)
{
	(void)what;
	weft_rpc_reply(req, WEFT_S_MALFORMED, NULL, 0, NULL, 0);
}

enum weft_role weft_rpc_conn_role(const struct weft_rpc_conn *conn)
{
	return conn->role;
}

const char *weft_rpc_conn_peer(const struct weft_rpc_conn *conn)
{
	(void)conn;
	return "fuzz";
}

/* ---- in the place of the server and the log */

static uint64_t log_index(struct mgmt_log *log)
{
	(void)log;
	return 1;
}

static uint64_t fake_now(struct weft_env *env)
{
	static uint64_t now;

	(void)env;
	return now += WEFT_NS_PER_MS;
}

void mgmt_server_propose(struct mgmt_server *srv, const Weft__Command *cmd,
			 struct weft_rpc_req *req,
			 void (*done)(struct mgmt_server *srv, struct weft_rpc_req *req,
				      const struct mgmt_result *res))
{
	size_t len = weft__command__get_packed_size(cmd);
	uint8_t *buf = malloc(len + 1);
	struct mgmt_result res;

	require(buf);
	weft__command__pack(cmd, buf);
	require(!mgmt_state_apply_packed(&srv->st, buf, len, &res));
	free(buf);
	done(srv, req, &res);
}

int mgmt_server_subscribe(struct mgmt_server *srv, const struct weft_rpc_req *req)
{
	(void)srv;
	(void)req;
	return 0;
}

const void *mgmt_server_map(struct mgmt_server *srv, size_t *len)
{
	free(srv->map);
	srv->map = NULL;
	require(!mgmt_map_encode(&srv->st, &srv->map, len));
	srv->map_len = *len;
	srv->map_epoch = srv->st.s->epoch;
	return srv->map;
}

static void one_request(struct mgmt_server *srv, uint8_t kind, const uint8_t *buf, size_t len)
{
	struct weft_rpc_conn conn = { .role = kind & 1 ? WEFT_ROLE_CLIENT : WEFT_ROLE_SERVER };
	struct weft_client_reg_req reg = { .name_len = cpu_to_le16(len) };
	struct weft_map_get_req get = { 0 };
	struct weft_statfs_req statfs = { .pool = cpu_to_le32(len) };
	struct weft_rpc_req req = { .conn = &conn, .bulk_max = 1u << 20 };
	unsigned int before = answers;

	req.tail = buf;
	req.tail_len = len;
	switch (kind >> 1 & 7) {
	case 0:
		reg.incarnation = kind;
		req.body = &reg;
		mgmt_op_client_register(srv, &req);
		break;
	case 1:
		req.body = &get;
		mgmt_op_map_get(srv, &req);
		break;
	case 2:
		req.body = &statfs;
		mgmt_op_statfs(srv, &req);
		break;
	default:
		mgmt_admin_serve(srv, &req, buf, len);
	}
	require(answers == before + 1);
}

static void check_state(struct mgmt_server *srv)
{
	struct mgmt_state copy;
	size_t len, again;
	void *a, *b;

	mgmt_server_map(srv, &len);
	a = mgmt_state_pack(&srv->st, malloc, &len);
	require(a && !mgmt_state_init(&copy));
	require(!mgmt_state_restore(&copy, a, len));
	b = mgmt_state_pack(&copy, malloc, &again);
	require(b && len == again && !memcmp(a, b, len));
	free(a);
	free(b);
	mgmt_state_fini(&copy);
}

static void bootstrap_state(struct mgmt_server *srv)
{
	Weft__Bootstrap boot = WEFT__BOOTSTRAP__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	uint8_t fsid[16] = { 0 }; /* so that inputs hit it easily */
	struct mgmt_result res;

	boot.fsid.data = fsid;
	boot.fsid.len = 16;
	boot.name = "fuzz";
	cmd.op_case = WEFT__COMMAND__OP_BOOTSTRAP;
	cmd.bootstrap = &boot;
	require(!mgmt_state_apply(&srv->st, &cmd, &res) && !res.err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct weft_env_ops env_ops = { .now = fake_now };
	static const struct mgmt_log_ops log_ops = { .index = log_index };
	struct weft_env env = { .ops = &env_ops };
	struct mgmt_log log = { .ops = &log_ops };
	struct mgmt_server srv = { .leads = true, .log = &log };
	uint8_t kind;
	size_t len;

	weft_log_set_level(WEFT_LOG_ERR);
	srv.cfg.env = &env;
	srv.cfg.address = "here";
	srv.cfg.lease_ms = 15000;
	require(!weft_pool_create(16u << 20, &srv.cfg.pool));
	require(!mgmt_state_init(&srv.st));
	bootstrap_state(&srv);
	mgmt_vitals_init(&srv.vitals, 1, 1);
	while (size >= 3) {
		kind = data[0];
		len = data[1] | data[2] << 8;
		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		one_request(&srv, kind, data, len);
		data += len;
		size -= len;
	}
	check_state(&srv);
	mgmt_vitals_fini(&srv.vitals);
	mgmt_state_fini(&srv.st);
	weft_pool_destroy(srv.cfg.pool);
	free(srv.map);
	return 0;
}
