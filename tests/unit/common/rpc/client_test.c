// SPDX-License-Identifier: Apache-2.0
/*
 * What a call survives: a restarted server, lost connections, delays; and how it ends early:
 * deadline, cancelling, no server.
 */
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "tests/unit/common/rpc/fixture.h"

static void restart(void)
{
	struct weft_rpc_call c[4] = { 0 };
	struct fixture f = { 0 };
	uint64_t boot;
	int i;

	fx_start(&f);
	for (i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(fx_call(&f, &c[i], WEFT_OP_GETATTR), 0);
	while (!f.held)
		weft_env_uv_run(f.env);
	boot = c[0].boot;
	fx_server_stop(&f);
	fx_server_start(&f);
	fx_call(&f, &c[3], WEFT_OP_PING);
	while (f.waiting > 3 || !f.held || !f.held->next || !f.held->next->next)
		weft_env_uv_run(f.env);
	for (i = 0; i < 3; i++) {
		struct weft_rpc_req *req = f.held;

		CU_ASSERT(req->flags & WEFT_MF_REPLAY);
		f.held = req->next;
		weft_rpc_reply_err(req, -ESTALE);
	}
	fx_wait(&f);
	for (i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(weft_rpc_err(&c[i]), -ESTALE);
		CU_ASSERT(c[i].boot != boot);
		weft_rpc_call_fini(&c[i]);
	}
	CU_ASSERT(weft_rpc_peer_stats(f.peer)->replays >= 3);
	weft_rpc_call_fini(&c[3]);
	fx_stop(&f);
}

static void deadline(void)
{
	struct weft_rpc_call c = { .timeout_ms = 30 }, after = { 0 };
	struct fixture f = { 0 };

	fx_start(&f);
	fx_call(&f, &c, WEFT_OP_GETATTR);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), -ETIMEDOUT);
	weft_rpc_call_fini(&c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.held);
	/* The late reply is dropped and does no harm. */
	f.held->next = NULL;
	weft_rpc_reply_err(f.held, 0);
	f.held = NULL;
	fx_call(&f, &after, WEFT_OP_PING);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&after), 0);
	weft_rpc_call_fini(&after);
	fx_stop(&f);
}

static void cancel(void)
{
	struct weft_rpc_call c = { 0 }, queued = { 0 };
	struct fixture f = { 0 };

	fx_start(&f);
	fx_call(&f, &c, WEFT_OP_GETATTR);
	while (!f.held)
		weft_env_uv_run(f.env);
	fx_call(&f, &queued, WEFT_OP_GETATTR);
	weft_rpc_cancel(&c);
	weft_rpc_cancel(&queued);
	CU_ASSERT_EQUAL(f.waiting, 2); /* not from inside */
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), -ECANCELED);
	CU_ASSERT_EQUAL(weft_rpc_err(&queued), -ECANCELED);
	weft_rpc_call_fini(&c);
	weft_rpc_call_fini(&queued);
	fx_stop(&f);
}

/* A call whose bulk is only partly on the wire ends: its memory is free at once. */
static void cancel_on_the_wire(void)
{
	static char data[WEFT_BULK_MAX];
	struct weft_rpc_call c = { 0 }, ping = { 0 };
	struct fixture f = { 0 };

	fx_start(&f);
	fx_call(&f, &ping, WEFT_OP_PING);
	fx_wait(&f);
	weft_rpc_call_fini(&ping);
	weft_sg_add(&c.bulk_out, NULL, data, sizeof(data));
	fx_call(&f, &c, WEFT_OP_OBJ_WRITE);
	weft_rpc_cancel(&c);
	memset(data, 0xff, sizeof(data));
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), -ECANCELED);
	CU_ASSERT_EQUAL(f.runs, 0);
	weft_rpc_call_fini(&c);
	memset(&ping, 0, sizeof(ping));
	fx_call(&f, &ping, WEFT_OP_PING);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&ping), 0);
	weft_rpc_call_fini(&ping);
	fx_stop(&f);
}

static void no_server(void)
{
	struct weft_rpc_call c = { .flags = WEFT_CALL_NO_WAIT }, d = { .timeout_ms = 100 };
	struct fixture f = { 0 };

	fx_start(&f);
	fx_server_stop(&f);
	fx_call(&f, &c, WEFT_OP_PING);
	fx_call(&f, &d, WEFT_OP_PING);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), -ENOTCONN);
	CU_ASSERT_EQUAL(weft_rpc_err(&d), -ETIMEDOUT);
	weft_rpc_call_fini(&c);
	weft_rpc_call_fini(&d);
	fx_server_start(&f);
	fx_stop(&f);
}

/* Every message may be lost with its connection: all calls end well all the same. */
static void disconnects(void)
{
	static struct weft_rpc_call c[300];
	static char data[20000];
	struct fixture f = { 0 };
	int i;

	memset(c, 0, sizeof(c));
	fx_start(&f);
	CU_ASSERT_EQUAL(weft_fault_set("rpc.send=error(ECONNRESET):0.03,rpc.recv=error(EIO):0.03"),
			0);
	for (i = 0; i < 300; i++) {
		weft_sg_add(&c[i].bulk_out, NULL, data, sizeof(data) - i);
		fx_call(&f, &c[i], WEFT_OP_OBJ_WRITE);
	}
	fx_wait(&f);
	for (i = 0; i < 300; i++) {
		CU_ASSERT_EQUAL(weft_rpc_err(&c[i]), 0);
		weft_rpc_call_fini(&c[i]);
	}
	CU_ASSERT(weft_fault_hits("rpc.send") > 0);
	CU_ASSERT(weft_rpc_peer_stats(f.peer)->replays > 0);
	CU_ASSERT(f.runs >= 300);
	weft_fault_set("");
	fx_stop(&f);
}

/* A server that takes every connection and hangs up at the first request is not hammered. */
static void hangs_up(void)
{
	struct weft_rpc_call c = { 0 };
	struct weft_rpc_req *req;
	struct fixture f = { 0 };
	uint64_t start;
	int i;

	fx_start(&f);
	start = weft_env_now(f.env);
	fx_call(&f, &c, WEFT_OP_GETATTR);
	for (i = 0; i < 6; i++) {
		while (!f.held && !f.stuck)
			weft_env_uv_run(f.env);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f.held);
		req = f.held;
		f.held = req->next;
		weft_rpc_conn_close(req->conn);
		weft_rpc_reply_err(req, -EIO); /* to nobody */
	}
	/* Two links at most: three connections of one have pauses of 25 and of 50 ms between. */
	CU_ASSERT(weft_env_now(f.env) - start >= 75 * WEFT_NS_PER_MS);
	while (!f.held && !f.stuck)
		weft_env_uv_run(f.env);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.held);
	req = f.held;
	f.held = req->next;
	weft_rpc_reply_err(req, -ESTALE);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), -ESTALE);
	CU_ASSERT_EQUAL(weft_rpc_peer_stats(f.peer)->replays, 6);
	weft_rpc_call_fini(&c);
	fx_stop(&f);
}

static void delays(void)
{
	struct weft_rpc_call c = { 0 };
	struct fixture f = { 0 };
	uint64_t start;

	fx_start(&f);
	CU_ASSERT_EQUAL(weft_fault_set("rpc.send=delay(20)"), 0);
	start = weft_env_now(f.env);
	fx_call(&f, &c, WEFT_OP_PING);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), 0);
	CU_ASSERT(weft_env_now(f.env) - start >= 60 * WEFT_NS_PER_MS); /* INIT, its reply, ... */
	weft_rpc_call_fini(&c);
	CU_ASSERT_EQUAL(weft_fault_set("rpc.send=drop"), 0);
	memset(&c, 0, sizeof(c));
	c.timeout_ms = 30;
	fx_call(&f, &c, WEFT_OP_PING);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), -ETIMEDOUT);
	weft_rpc_call_fini(&c);
	weft_fault_set("");
	fx_stop(&f);
}

static void moved(void)
{
	struct weft_rpc_addr addr = { .host = "127.0.0.1", .kind = fx_kind };
	struct weft_rpc_call c = { 0 };
	struct fixture f = { 0 };

	fx_start(&f);
	fx_server_stop(&f);
	fx_call(&f, &c, WEFT_OP_PING);
	f.port = 0;
	fx_server_start(&f);
	addr.port = f.port;
	CU_ASSERT_EQUAL(weft_rpc_peer_set_addrs(f.peer, &addr, 1), 0);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), 0);
	weft_rpc_call_fini(&c);
	fx_stop(&f);
}

static void peer_goes(void)
{
	struct weft_rpc_call c = { 0 };
	struct fixture f = { 0 };

	fx_start(&f);
	fx_call(&f, &c, WEFT_OP_GETATTR);
	while (!f.held)
		weft_env_uv_run(f.env);
	weft_rpc_peer_destroy(f.peer);
	f.peer = NULL;
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), -ECANCELED);
	weft_rpc_call_fini(&c);
	fx_stop(&f);
}

static void add_suite(const char *name, int (*init)(void))
{
	CU_pSuite s = CU_add_suite(name, init, NULL);

	CU_add_test(s, "server restarts", restart);
	CU_add_test(s, "deadline", deadline);
	CU_add_test(s, "cancel", cancel);
	CU_add_test(s, "cancel while on the wire", cancel_on_the_wire);
	CU_add_test(s, "no server", no_server);
	CU_add_test(s, "connections break all the time", disconnects);
	CU_add_test(s, "a server hangs up at every request", hangs_up);
	CU_add_test(s, "delays and losses", delays);
	CU_add_test(s, "the target moves", moved);
	CU_add_test(s, "the peer is destroyed", peer_goes);
}

int main(void)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	weft_log_set_level(WEFT_LOG_ERR);
	add_suite("common/rpc/client over tcp", fx_on_tcp);
	add_suite("common/rpc/client over rdma", fx_on_rdma);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
