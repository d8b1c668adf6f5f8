// SPDX-License-Identifier: Apache-2.0
/*
 * The rpc layer over RDMA, in real processes on a device of the guest
 * (tests/vm/suites/rdma_user.sh).
 *
 *	rdma_rpc serve ADDR PORT	keeps the last bulk written, gives it back; PORT 0: a free
 *					one, printed; SIGTERM ends it, it says what is left over
 *	rdma_rpc check ADDR PORT	a client: every operation once, each a test
 *	rdma_rpc many ADDR PORT N	N connections at once, calls on each
 *	rdma_rpc hammer ADDR PORT S	calls for S seconds, all must be right
 *
 * The server's service runs on a thread of its own, so that every connection changes its loop.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/env_uv.h"
#include "common/log.h"
#include "common/rpc/client.h"
#include "common/rpc/rdma_stats.h"
#include "common/rpc/server.h"
#include "proto/data.h"
#include "proto/map.h"
#include "proto/mgmtops.h"
#include "proto/ops.h"

#define TARGET 7u
#define POOL (256u << 20)
#define CALL_MS 60000

static void print_stats(void)
{
	char buf[4096];
	size_t n = weft_rdma_stats_json(buf, sizeof(buf));

	printf("%s\n", n ? buf + 1 : "RDMA was not used");
	fflush(stdout);
}

/* --- the server */

struct serve {
	struct weft_env *env;
	struct weft_env_thread *thread;
	struct weft_pool *pool;
	struct weft_rpc_server *srv;
	struct weft_rpc_service *svc;
	struct weft_sg stored;
	struct weft_post end;
};

static void handle_write(void *arg, struct weft_rpc_req *req)
{
	struct weft_obj_rep rep = { .len = cpu_to_le32(req->bulk.len) };
	struct serve *s = arg;

	weft_sg_fini(&s->stored);
	weft_sg_move(&s->stored, &req->bulk);
	weft_rpc_reply(req, 0, &rep, sizeof(rep), NULL, 0);
}

static void handle_read(void *arg, struct weft_rpc_req *req)
{
	const struct weft_obj_req *rq = req->body;
	struct weft_obj_rep rep = { 0 };
	struct serve *s = arg;
	size_t len = le32_to_cpu(rq->len);

	if (le32_to_cpu(rq->off) > s->stored.len || len > req->bulk_max ||
	    len > s->stored.len - le32_to_cpu(rq->off)) {
		weft_rpc_malformed(req, "range");
		return;
	}
	if (weft_sg_slice(&req->rep_bulk, &s->stored, le32_to_cpu(rq->off), len)) {
		weft_rpc_reply_err(req, -ENOMEM);
		return;
	}
	rep.len = rq->len;
	weft_rpc_reply(req, 0, &rep, sizeof(rep), "tail", 4);
}

/* A push before the reply. */
static void handle_sync(void *arg, struct weft_rpc_req *req)
{
	struct weft_map_push body = { .epoch = cpu_to_le64(5) };

	(void)arg;
	weft_rpc_push(req->conn, WEFT_OP_MAP_PUSH, &body, sizeof(body), NULL, 0);
	weft_rpc_reply(req, 0, NULL, 0, NULL, 0);
}

static const struct weft_rpc_handler handlers[] = {
	{ WEFT_OP_OBJ_WRITE, handle_write },
	{ WEFT_OP_OBJ_READ, handle_read },
	{ WEFT_OP_SESSION_CLOSE, handle_sync },
	{ 0, NULL },
};

static void service_end(void *arg)
{
	struct serve *s = arg;

	weft_sg_fini(&s->stored);
	weft_rpc_service_destroy(s->svc);
}

static void terminated(void *arg)
{
	struct serve *s = arg;

	weft_rpc_server_remove(s->srv, s->svc);
	weft_rpc_server_destroy(s->srv);
	s->end.cb = service_end;
	s->end.arg = s;
	weft_env_post(weft_env_thread_env(s->thread), &s->end);
	weft_env_stop(s->env);
}

static int serve(const struct weft_rpc_addr *addr)
{
	struct serve s = { 0 };
	struct weft_rpc_service_cfg sc = { .target = TARGET, .handlers = handlers, .arg = &s };
	struct weft_rpc_server_cfg cfg = { .node = 1 };
	int port;

	if (weft_env_uv_create(&s.env) || weft_env_thread_start("service", &s.thread) ||
	    weft_pool_create(POOL, &s.pool))
		return 1;
	sc.env = weft_env_thread_env(s.thread);
	sc.pool = s.pool;
	cfg.env = s.env;
	if (weft_rpc_service_create(&sc, &s.svc) || weft_rpc_server_create(&cfg, &s.srv))
		return 1;
	port = weft_rpc_server_listen(s.srv, addr);
	if (port < 0) {
		fprintf(stderr, "listen: %s\n", strerror(-port));
		return 1;
	}
	if (weft_rpc_server_add(s.srv, s.svc) || weft_env_uv_signal(s.env, SIGTERM, terminated, &s))
		return 1;
	printf("port %d\n", port);
	fflush(stdout);
	weft_env_uv_run(s.env);
	weft_env_thread_stop(s.thread);
	weft_env_uv_destroy(s.env);
	print_stats();
	if (weft_pool_used(s.pool))
		printf("LEAK pool %zu\n", weft_pool_used(s.pool));
	weft_pool_destroy(s.pool);
	if (weft_rdma_stats.qps || weft_rdma_stats.mrs || weft_rdma_stats.mr_bytes)
		printf("LEAK qps %llu mrs %llu\n", (unsigned long long)weft_rdma_stats.qps,
		       (unsigned long long)weft_rdma_stats.mrs);
	printf("ended\n");
	return 0;
}

/* --- the client */

struct client {
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_rpc_client *cl;
	struct weft_rpc_addr addr;
	struct weft_rpc_peer *peer;
	unsigned int waiting, pushes;
};

static unsigned int passed, failed;

static void test(const char *what, bool ok)
{
	printf("%s %s\n", ok ? "ok     " : "FAILED ", what);
	fflush(stdout);
	passed += ok;
	failed += !ok;
}

static void got_push(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		     size_t len, const void *tail, size_t tail_len)
{
	struct client *c = arg;

	(void)peer;
	(void)body;
	(void)tail;
	(void)tail_len;
	c->pushes += opcode == WEFT_OP_MAP_PUSH && len == sizeof(struct weft_map_push);
}

static int client_start(struct client *c, const struct weft_rpc_addr *addr, unsigned int nconns)
{
	struct weft_rpc_client_cfg cfg = { .role = WEFT_ROLE_CLIENT, .session = 99,
					   .push = got_push, .arg = c };

	*c = (struct client){ .addr = *addr };
	if (weft_env_uv_create(&c->env) || weft_pool_create(POOL, &c->pool))
		return -ENOMEM;
	cfg.env = c->env;
	cfg.pool = c->pool;
	if (weft_rpc_client_create(&cfg, &c->cl))
		return -ENOMEM;
	return nconns ? weft_rpc_peer_create(c->cl, TARGET, nconns, addr, 1, NULL, &c->peer) : 0;
}

static void client_stop(struct client *c)
{
	weft_rpc_peer_destroy(c->peer);
	weft_rpc_client_destroy(c->cl);
	weft_env_uv_destroy(c->env);
	test("no pool memory is left over", !weft_pool_used(c->pool));
	weft_pool_destroy(c->pool);
	test("no queue pair and no registration is left over",
	     !weft_rdma_stats.qps && !weft_rdma_stats.mrs && !weft_rdma_stats.mr_bytes);
}

static void done(struct weft_rpc_call *call)
{
	struct client *c = call->arg;

	c->waiting--;
	weft_env_stop(c->env);
}

static int start(struct client *c, struct weft_rpc_call *call, struct weft_rpc_peer *peer,
		 uint16_t opcode, uint32_t off, uint32_t len)
{
	struct weft_obj_req rq = { .off = cpu_to_le32(off), .len = cpu_to_le32(len) };
	char body[512] = "";
	int ret;

	memcpy(body, &rq, sizeof(rq));
	call->opcode = opcode;
	call->done = done;
	call->arg = c;
	call->timeout_ms = CALL_MS;
	if (weft_op_info(opcode)->flags & WEFT_OF_SLOT) {
		call->flags |= WEFT_CALL_SLOT;
		call->slot_seq = 1;
	}
	ret = weft_rpc_call_start(peer, call, body, weft_op_info(opcode)->req_len, NULL, 0);
	if (!ret)
		c->waiting++;
	return ret;
}

static void wait_all(struct client *c)
{
	while (c->waiting)
		weft_env_uv_run(c->env);
}

static int one(struct client *c, struct weft_rpc_call *call, uint16_t opcode, uint32_t off,
	       uint32_t len)
{
	int ret = start(c, call, c->peer, opcode, off, len);

	if (ret)
		return ret;
	wait_all(c);
	return weft_rpc_err(call);
}

static void fill(char *p, size_t len, unsigned int seed)
{
	while (len--)
		*p++ = (seed = seed * 1103515245 + 12345) >> 16;
}

static char data[WEFT_BULK_MAX], back[WEFT_BULK_MAX];

/* Writes @len bytes out of @pieces pieces and reads them back into as many, or into the pool. */
static bool both_ways(struct client *c, size_t len, unsigned int pieces, unsigned int flags)
{
	struct weft_rpc_call w = { .flags = flags }, r = { .flags = flags }, p = { .flags = flags };
	size_t n, off;
	bool ok;

	fill(data, len, len + pieces);
	memset(back, 0, len);
	for (off = 0; off < len; off += n) {
		n = len / pieces ? len / pieces : 1;
		if (n > len - off || w.bulk_out.n == pieces - 1)
			n = len - off;
		weft_sg_add(&w.bulk_out, NULL, data + off, n);
		weft_sg_add(&r.bulk_in, NULL, back + off, n);
	}
	p.bulk_max = len;
	ok = !one(c, &w, WEFT_OP_OBJ_WRITE, 0, len) && w.rep_len == sizeof(struct weft_obj_rep) &&
	     !one(c, &r, WEFT_OP_OBJ_READ, 0, len) && r.bulk_in.len == len &&
	     !memcmp(back, data, len) && r.rep_tail_len == 4;
	memset(back, 0, len);
	ok = ok && !one(c, &p, WEFT_OP_OBJ_READ, 0, len) && p.bulk_in.len == len &&
	     weft_sg_read(&p.bulk_in, 0, back, len) == len && !memcmp(back, data, len);
	weft_rpc_call_fini(&w);
	weft_rpc_call_fini(&r);
	weft_rpc_call_fini(&p);
	return ok;
}

static void check_sizes(struct client *c)
{
	static const size_t sizes[] = { 1, 100, 4095, 4096, 4097, 8192, 65536, 65537, 1000003,
					1 << 20, WEFT_BULK_MAX };
	static const unsigned int pieces[] = { 1, 3, 31, 100 };
	char what[80];
	unsigned int i, j;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		bool ok = true;

		for (j = 0; j < 4; j++)
			ok = ok && both_ways(c, sizes[i], pieces[j], j & 1 ? WEFT_CALL_CRC : 0);
		snprintf(what, sizeof(what), "%zu bytes written and read, in 1 to 100 pieces",
			 sizes[i]);
		test(what, ok);
	}
}

/* More calls at once than credits, of all sizes, each read at its own place. */
static void check_together(struct client *c)
{
	static struct weft_rpc_call calls[300];
	uint64_t copied;
	bool ok = true;
	unsigned int i;

	fill(data, sizeof(data), 1);
	memset(calls, 0, sizeof(calls));
	weft_sg_add(&calls[0].bulk_out, NULL, data, sizeof(data));
	ok = !one(c, &calls[0], WEFT_OP_OBJ_WRITE, 0, sizeof(data));
	copied = weft_rdma_stats.copied;
	for (i = 1; i < 300; i++) {
		calls[i].bulk_max = i * 1000;
		ok = ok && !start(c, &calls[i], c->peer, WEFT_OP_OBJ_READ, i * 4001, i * 1000);
	}
	wait_all(c);
	for (i = 1; i < 300; i++) {
		size_t len = i * 1000;

		ok = ok && !weft_rpc_err(&calls[i]) && calls[i].bulk_in.len == len &&
		     weft_sg_read(&calls[i].bulk_in, 0, back, len) == len &&
		     !memcmp(back, data + i * 4001, len);
		weft_rpc_call_fini(&calls[i]);
	}
	weft_rpc_call_fini(&calls[0]);
	test("300 reads at once", ok);
	test("bulk by segments is not copied", copied == weft_rdma_stats.copied);
}

static int check(const struct weft_rpc_addr *addr)
{
	struct weft_rpc_call ping = { 0 }, bad = { 0 }, again = { 0 }, sync = { 0 }, late = { 0 };
	struct weft_obj_req rq = { 0 };
	struct client c;

	if (client_start(&c, addr, 2))
		return 1;
	test("ping", !one(&c, &ping, WEFT_OP_PING, 0, 0) && ping.boot);
	test("a push", !one(&c, &sync, WEFT_OP_SESSION_CLOSE, 0, 0) && c.pushes == 1);
	check_sizes(&c);
	check_together(&c);
	bad.bulk_max = WEFT_BULK_MAX;
	test("a request without sense is refused and its refusal arrives",
	     one(&c, &bad, WEFT_OP_OBJ_READ, 5000000, 1) == WEFT_S_MALFORMED);
	test("after that the connection is made again", !one(&c, &again, WEFT_OP_PING, 0, 0));
	late.opcode = WEFT_OP_OBJ_READ;
	late.done = done;
	late.arg = &c;
	late.bulk_max = WEFT_BULK_MAX;
	rq.len = cpu_to_le32(WEFT_BULK_MAX);
	c.waiting++;
	if (weft_rpc_call_start(c.peer, &late, &rq, sizeof(rq), NULL, 0))
		c.waiting--;
	weft_rpc_cancel(&late);
	wait_all(&c);
	test("a call that is given up while its memory is offered", weft_rpc_err(&late) == -ECANCELED);
	weft_rpc_call_fini(&late);
	memset(&again, 0, sizeof(again));
	test("and the next one", !one(&c, &again, WEFT_OP_PING, 0, 0));
	print_stats();
	client_stop(&c);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}

static int many(const struct weft_rpc_addr *addr, unsigned int n)
{
	struct weft_rpc_peer **peers = calloc(n, sizeof(*peers));
	struct weft_rpc_call *calls = calloc(n * 2, sizeof(*calls));
	struct client c;
	bool ok = true;
	unsigned int i;

	if (!peers || !calls || client_start(&c, addr, 0))
		return 1;
	for (i = 0; i < n; i++) {
		ok = ok && !weft_rpc_peer_create(c.cl, TARGET, 1, addr, 1, NULL, &peers[i]) &&
		     !start(&c, &calls[2 * i], peers[i], WEFT_OP_PING, 0, 0);
		weft_sg_add(&calls[2 * i + 1].bulk_out, NULL, data, 65536);
		ok = ok && !start(&c, &calls[2 * i + 1], peers[i], WEFT_OP_OBJ_WRITE, 0, 65536);
	}
	wait_all(&c);
	for (i = 0; i < 2 * n; i++) {
		ok = ok && !weft_rpc_err(&calls[i]);
		weft_rpc_call_fini(&calls[i]);
	}
	test("all connections answer", ok);
	print_stats();
	for (i = 0; i < n; i++)
		weft_rpc_peer_destroy(peers[i]);
	free(peers);
	free(calls);
	client_stop(&c);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}

/* Servers may die and come back meanwhile: calls are replayed, and none may give wrong bytes. */
static int hammer(const struct weft_rpc_addr *addr, unsigned int seconds)
{
	uint64_t rounds = 0, until;
	struct client c;
	bool ok = true;
	size_t len;

	if (client_start(&c, addr, 2))
		return 1;
	until = weft_env_now(c.env) + seconds * WEFT_NS_PER_S;
	while (ok && weft_env_now(c.env) < until) {
		struct weft_rpc_call w = { 0 };

		len = 1 + (rounds * 123457) % (WEFT_BULK_MAX / 4);
		fill(data, len, rounds);
		weft_sg_add(&w.bulk_out, NULL, data, len);
		ok = !one(&c, &w, WEFT_OP_OBJ_WRITE, 0, len);
		weft_rpc_call_fini(&w);
		rounds++;
	}
	test("every call was answered", ok);
	printf("rounds %llu connects %llu breaks %llu replays %llu\n", (unsigned long long)rounds,
	       (unsigned long long)weft_rpc_peer_stats(c.peer)->connects,
	       (unsigned long long)weft_rpc_peer_stats(c.peer)->breaks,
	       (unsigned long long)weft_rpc_peer_stats(c.peer)->replays);
	client_stop(&c);
	return failed != 0;
}

int main(int argc, char **argv)
{
	struct weft_rpc_addr addr = { .kind = WEFT_RAIL_RDMA };

	signal(SIGPIPE, SIG_IGN);
	if (argc < 4) {
		fprintf(stderr, "usage: rdma_rpc serve|check|many|hammer ADDR PORT [N]\n");
		return 2;
	}
	weft_log_init("rdma_rpc");
	snprintf(addr.host, sizeof(addr.host), "%s", argv[2]);
	addr.port = atoi(argv[3]);
	if (!strcmp(argv[1], "serve"))
		return serve(&addr);
	if (!strcmp(argv[1], "check"))
		return check(&addr);
	if (!strcmp(argv[1], "many") && argc > 4)
		return many(&addr, atoi(argv[4]));
	if (!strcmp(argv[1], "hammer") && argc > 4)
		return hammer(&addr, atoi(argv[4]));
	return 2;
}
