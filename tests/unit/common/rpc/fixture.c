// SPDX-License-Identifier: Apache-2.0
/* See fixture.h. The loop is left by weft_env_stop() from the callback that a test waits for. */
#include "tests/unit/common/rpc/fixture.h"

#include <string.h>

#include "proto/data.h"
#include "proto/map.h"
#include "tests/unit/common/rpc/verbs_fake.h"

unsigned int fx_kind = WEFT_RAIL_TCP;

int fx_on_tcp(void)
{
	fx_kind = WEFT_RAIL_TCP;
	return 0;
}

int fx_on_rdma(void)
{
	fx_kind = WEFT_RAIL_RDMA;
	return 0;
}

static void handle_write(void *arg, struct weft_rpc_req *req)
{
	const struct weft_obj_req *rq = req->body;
	struct weft_obj_rep rep = { .len = rq->len };
	struct fixture *f = arg;

	f->runs++;
	f->replays += !!(req->flags & WEFT_MF_REPLAY);
	weft_sg_fini(&f->stored);
	weft_sg_move(&f->stored, &req->bulk);
	weft_rpc_reply(req, 0, &rep, sizeof(rep), NULL, 0);
}

static void handle_read(void *arg, struct weft_rpc_req *req)
{
	struct weft_obj_rep rep = { 0 };
	struct fixture *f = arg;

	f->reads++;
	CU_ASSERT_EQUAL(weft_sg_slice(&req->rep_bulk, &f->stored, 0, f->stored.len), 0);
	weft_rpc_reply(req, 0, &rep, sizeof(rep), "tail", 4);
}

static void handle_hold(void *arg, struct weft_rpc_req *req)
{
	struct fixture *f = arg;

	req->next = f->held;
	f->held = req;
	weft_env_stop(f->env);
}

static const struct weft_rpc_handler handlers[] = {
	{ WEFT_OP_OBJ_WRITE, handle_write },
	{ WEFT_OP_OBJ_READ, handle_read },
	{ WEFT_OP_GETATTR, handle_hold },
	{ 0, NULL },
};

static void opened(void *arg, struct weft_rpc_conn *conn)
{
	struct fixture *f = arg;

	f->conn = conn;
	CU_ASSERT_FATAL(f->nconns < FX_CONNS);
	f->conns[f->nconns++] = conn;
}

static void closed(void *arg, struct weft_rpc_conn *conn)
{
	struct fixture *f = arg;
	unsigned int i;

	for (i = 0; f->conns[i] != conn; i++)
		;
	f->conns[i] = f->conns[--f->nconns];
}

void fx_server_start(struct fixture *f)
{
	struct weft_rpc_service_cfg sc = { .env = f->env, .pool = f->pool, .target = FX_TARGET,
					   .handlers = handlers, .arg = f, .opened = opened,
					   .closed = closed,
					   .credits = f->credits ? f->credits : 8,
					   .stall_ms = f->stall_ms };
	struct weft_rpc_server_cfg cfg = { .env = f->env, .node = 3, .secret = f->server_secret,
					   .secret_len = f->server_secret
							 ? strlen(f->server_secret) : 0 };
	struct weft_rpc_addr listen = { .host = "127.0.0.1", .kind = fx_kind };
	int port;

	memcpy(cfg.fsid, f->server_fsid, sizeof(cfg.fsid));
	CU_ASSERT_EQUAL_FATAL(weft_rpc_service_create(&sc, &f->svc), 0);
	weft_rpc_service_set_epoch(f->svc, 42);
	CU_ASSERT_EQUAL_FATAL(weft_rpc_server_create(&cfg, &f->srv), 0);
	listen.port = f->port;
	port = weft_rpc_server_listen(f->srv, &listen);
	CU_ASSERT_FATAL(port > 0);
	f->port = port;
	CU_ASSERT_EQUAL(weft_rpc_server_add(f->srv, f->svc), 0);
}

static void flushed(void *arg)
{
	unsigned int *done = arg;

	*done = 1;
}

/* Requests that are held are answered, to nobody. */
void fx_server_stop(struct fixture *f)
{
	unsigned int done = 0;
	struct weft_post p = { .cb = flushed, .arg = &done };
	struct weft_rpc_req *req;

	weft_rpc_server_remove(f->srv, f->svc);
	weft_rpc_server_destroy(f->srv);
	f->srv = NULL;
	/* Connections that are on their way to the service arrive before this post. */
	weft_env_post(f->env, &p);
	weft_env_stop(f->env);
	fx_until(f, &done, 1);
	while (f->nconns)
		weft_rpc_conn_close(f->conns[0]);
	while ((req = f->held)) {
		f->held = req->next;
		weft_rpc_reply_err(req, -EIO);
	}
	weft_rpc_service_destroy(f->svc);
	f->svc = NULL;
}

static void got_push(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		     size_t body_len, const void *tail, size_t tail_len)
{
	struct fixture *f = arg;

	(void)body;
	(void)tail;
	(void)tail_len;
	CU_ASSERT_PTR_EQUAL(peer, f->peer);
	CU_ASSERT_EQUAL(opcode, WEFT_OP_MAP_PUSH);
	CU_ASSERT_EQUAL(body_len, 8);
	f->pushes++;
	weft_env_stop(f->env);
}

static void watchdog(void *arg)
{
	struct fixture *f = arg;

	f->stuck = true;
	weft_env_stop(f->env);
}

void fx_start(struct fixture *f)
{
	struct weft_rpc_client_cfg cc = { .role = WEFT_ROLE_CLIENT, .session = 99,
					  .return_ms = f->return_ms,
					  .push = got_push, .arg = f, .secret = f->client_secret,
					  .secret_len = f->client_secret
							? strlen(f->client_secret) : 0 };
	struct weft_rpc_addr addr = { .host = "127.0.0.1", .kind = fx_kind };

	CU_ASSERT_EQUAL_FATAL(weft_env_uv_create(&f->env), 0);
	CU_ASSERT_EQUAL_FATAL(weft_pool_create(64 << 20, &f->pool), 0);
	weft_timer_init(&f->watchdog, watchdog, f);
	fx_server_start(f);
	cc.env = f->env;
	cc.pool = f->pool;
	memcpy(cc.fsid, f->client_fsid, sizeof(cc.fsid));
	CU_ASSERT_EQUAL_FATAL(weft_rpc_client_create(&cc, &f->cl), 0);
	addr.port = f->port;
	CU_ASSERT_EQUAL_FATAL(weft_rpc_peer_create(f->cl, f->client_target ? f->client_target
									   : FX_TARGET,
						   2, &addr, 1, NULL, &f->peer), 0);
}

void fx_stop(struct fixture *f)
{
	weft_rpc_peer_destroy(f->peer);
	fx_wait(f);
	weft_rpc_client_destroy(f->cl);
	fx_server_stop(f);
	weft_sg_fini(&f->stored);
	weft_timer_stop(f->env, &f->watchdog);
	weft_env_uv_destroy(f->env);
	CU_ASSERT_EQUAL(weft_pool_used(f->pool), 0);
	weft_pool_destroy(f->pool);
	CU_ASSERT_EQUAL(fake_verbs.qps, 0);
	CU_ASSERT_EQUAL(fake_verbs.ids, 0);
	CU_ASSERT_EQUAL(fake_verbs.mrs, 0);
	CU_ASSERT_EQUAL(fake_verbs.faults, 0);
}

static void call_done(struct weft_rpc_call *c)
{
	struct fixture *f = c->arg;

	f->waiting--;
	weft_env_stop(f->env);
}

int fx_call(struct fixture *f, struct weft_rpc_call *c, uint16_t opcode)
{
	static const char body[512];
	int ret;

	c->opcode = opcode;
	c->done = call_done;
	c->arg = f;
	if (weft_op_info(opcode)->flags & WEFT_OF_SLOT) {
		c->flags |= WEFT_CALL_SLOT;
		c->slot_seq = 1;
	}
	ret = weft_rpc_call_start(f->peer, c, body, weft_op_info(opcode)->req_len, NULL, 0);
	if (!ret)
		f->waiting++;
	return ret;
}

static void start_watch(struct fixture *f)
{
	f->stuck = false;
	weft_timer_start(f->env, &f->watchdog, 10 * WEFT_NS_PER_S);
}

void fx_wait(struct fixture *f)
{
	start_watch(f);
	while (f->waiting && !f->stuck)
		weft_env_uv_run(f->env);
	CU_ASSERT_FALSE(f->stuck);
}

void fx_ping(struct fixture *f)
{
	struct weft_rpc_call c = { 0 };

	fx_call(f, &c, WEFT_OP_PING);
	fx_wait(f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), 0);
	weft_rpc_call_fini(&c);
}

void fx_until(struct fixture *f, const unsigned int *value, unsigned int at_least)
{
	start_watch(f);
	while (*value < at_least && !f->stuck)
		weft_env_uv_run(f->env);
	CU_ASSERT_FALSE(f->stuck);
}
