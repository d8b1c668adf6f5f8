// SPDX-License-Identifier: Apache-2.0
/*
 * Calls over loopback: bulk both ways, more calls than credits, pushes, handshakes that must be
 * refused, and bytes that are no messages.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "proto/data.h"
#include "proto/mgmtops.h"
#include "tests/unit/common/rpc/fixture.h"

static void ping(void)
{
	struct fixture f = { 0 };
	struct weft_rpc_call c = { 0 };

	fx_start(&f);
	CU_ASSERT_EQUAL(fx_call(&f, &c, WEFT_OP_PING), 0);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), 0);
	CU_ASSERT_EQUAL(c.rep_epoch, 42);
	CU_ASSERT(c.boot != 0);
	weft_rpc_call_fini(&c);
	memset(&c, 0, sizeof(c));
	CU_ASSERT_EQUAL(fx_call(&f, &c, WEFT_OP_STATFS), 0); /* no handler */
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), -EOPNOTSUPP);
	weft_rpc_call_fini(&c);
	CU_ASSERT_EQUAL(weft_rpc_service_stats(f.svc, WEFT_OP_STATFS)->errors, 1);
	fx_stop(&f);
}

static void fill(char *p, size_t len, unsigned int seed)
{
	while (len--)
		*p++ = (seed = seed * 1103515245 + 12345) >> 16;
}

/* Writes @len bytes and reads them back into memory of the test, and into the pool's. */
static void bulk_of(size_t len, unsigned int flags)
{
	static char data[WEFT_BULK_MAX], back[WEFT_BULK_MAX];
	struct weft_rpc_call w = { .flags = flags }, r = { .flags = flags }, p = { .flags = flags };
	struct fixture f = { 0 };

	fill(data, len, len);
	fx_start(&f);
	weft_sg_add(&w.bulk_out, NULL, data, len / 3);
	weft_sg_add(&w.bulk_out, NULL, data + len / 3, len - len / 3);
	CU_ASSERT_EQUAL(fx_call(&f, &w, WEFT_OP_OBJ_WRITE), 0);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&w), 0);
	CU_ASSERT_EQUAL(w.rep_len, sizeof(struct weft_obj_rep));
	CU_ASSERT_EQUAL(f.stored.len, len);
	CU_ASSERT_EQUAL((uintptr_t)f.stored.e[0].ptr % WEFT_BUF_ALIGN, 0);
	memset(back, 0, sizeof(back));
	weft_sg_add(&r.bulk_in, NULL, back, len / 2 + 1);
	weft_sg_add(&r.bulk_in, NULL, back + len / 2 + 1, sizeof(back) - len / 2 - 1);
	CU_ASSERT_EQUAL(fx_call(&f, &r, WEFT_OP_OBJ_READ), 0);
	p.bulk_max = WEFT_BULK_MAX;
	CU_ASSERT_EQUAL(fx_call(&f, &p, WEFT_OP_OBJ_READ), 0);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&r), 0);
	CU_ASSERT_EQUAL(r.bulk_in.len, len);
	CU_ASSERT_EQUAL(memcmp(back, data, len), 0);
	CU_ASSERT_EQUAL(r.rep_tail_len, 4);
	CU_ASSERT_EQUAL(p.bulk_in.len, len);
	weft_sg_read(&p.bulk_in, 0, back, len);
	CU_ASSERT_EQUAL(memcmp(back, data, len), 0);
	weft_rpc_call_fini(&w);
	weft_rpc_call_fini(&r);
	weft_rpc_call_fini(&p);
	fx_stop(&f);
}

static void bulk(void)
{
	bulk_of(1, 0);
	bulk_of(4096, WEFT_CALL_CRC);
	bulk_of(1000003, WEFT_CALL_CRC);
	bulk_of(WEFT_BULK_MAX, 0);
}

static void bulk_too_long(void)
{
	struct weft_rpc_call w = { 0 }, r = { 0 };
	struct fixture f = { 0 };
	static char data[5000];

	fx_start(&f);
	weft_sg_add(&w.bulk_out, NULL, data, sizeof(data));
	fx_call(&f, &w, WEFT_OP_OBJ_WRITE);
	fx_wait(&f);
	r.bulk_max = 100;
	fx_call(&f, &r, WEFT_OP_OBJ_READ);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&r), -EIO);
	weft_rpc_call_fini(&w);
	weft_rpc_call_fini(&r);
	fx_stop(&f);
}

static void many(void)
{
	static struct weft_rpc_call calls[1000];
	struct fixture f = { 0 };
	static char data[8192];
	int i;

	memset(calls, 0, sizeof(calls));
	fx_start(&f);
	for (i = 0; i < 1000; i++) {
		weft_sg_add(&calls[i].bulk_out, NULL, data, i * 8 + 1);
		CU_ASSERT_EQUAL(fx_call(&f, &calls[i], WEFT_OP_OBJ_WRITE), 0);
	}
	CU_ASSERT_EQUAL(weft_rpc_peer_stats(f.peer)->outstanding, 1000);
	fx_wait(&f);
	CU_ASSERT_EQUAL(f.runs, 1000);
	CU_ASSERT_EQUAL(weft_rpc_peer_stats(f.peer)->outstanding, 0);
	for (i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(weft_rpc_err(&calls[i]), 0);
		weft_rpc_call_fini(&calls[i]);
	}
	fx_stop(&f);
}

static void push(void)
{
	struct weft_map_push body = { .epoch = cpu_to_le64(5) };
	struct weft_rpc_call c = { 0 };
	struct fixture f = { 0 };

	fx_start(&f);
	fx_call(&f, &c, WEFT_OP_PING);
	fx_wait(&f);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.conn);
	CU_ASSERT_EQUAL(weft_rpc_push(f.conn, WEFT_OP_MAP_PUSH, &body, sizeof(body), NULL, 0), 0);
	fx_until(&f, &f.pushes, 1);
	CU_ASSERT_EQUAL(f.pushes, 1);
	weft_rpc_call_fini(&c);
	fx_stop(&f);
}

static int handshake(struct fixture *f)
{
	struct weft_rpc_call c = { .flags = WEFT_CALL_NO_WAIT };
	int ret;

	fx_start(f);
	fx_call(f, &c, WEFT_OP_PING);
	fx_wait(f);
	ret = weft_rpc_err(&c);
	weft_rpc_call_fini(&c);
	fx_stop(f);
	return ret;
}

static void secrets(void)
{
	struct fixture good = { .server_secret = "s3", .client_secret = "s3" };
	struct fixture wrong = { .server_secret = "s3", .client_secret = "s4" };
	struct fixture none = { .server_secret = "s3" };
	struct fixture impostor = { .client_secret = "s3" };

	CU_ASSERT_EQUAL(handshake(&good), 0);
	CU_ASSERT_EQUAL(handshake(&wrong), WEFT_S_AUTH);
	CU_ASSERT_EQUAL(handshake(&none), WEFT_S_AUTH);
	CU_ASSERT_EQUAL(handshake(&impostor), WEFT_S_AUTH);
}

static void file_systems(void)
{
	struct fixture same = { .server_fsid = "abc", .client_fsid = "abc" };
	struct fixture other = { .server_fsid = "abc", .client_fsid = "abd" };
	struct fixture unknown = { .server_fsid = "abc" };

	CU_ASSERT_EQUAL(handshake(&same), 0);
	CU_ASSERT_EQUAL(handshake(&other), WEFT_S_FSID);
	CU_ASSERT_EQUAL(handshake(&unknown), WEFT_S_FSID);
}

static void no_target(void)
{
	struct fixture f = { .client_target = FX_TARGET + 1 };

	CU_ASSERT_EQUAL(handshake(&f), WEFT_S_NO_TARGET);
}

static int raw_connect(struct fixture *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(f->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Sends bytes; Return: whether the server hung up. */
static bool hangs_up(struct fixture *f, int fd, const void *bytes, size_t len)
{
	struct weft_rpc_call c = { 0 };
	char b[256];
	ssize_t n;
	int i;

	CU_ASSERT_EQUAL(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	for (i = 0; i < 20; i++) { /* calls turn the loop */
		memset(&c, 0, sizeof(c));
		fx_call(f, &c, WEFT_OP_PING);
		fx_wait(f);
		CU_ASSERT_EQUAL(weft_rpc_err(&c), 0);
		weft_rpc_call_fini(&c);
		do {
			n = recv(fd, b, sizeof(b), MSG_DONTWAIT);
		} while (n > 0);
		if (n == 0 || errno != EAGAIN)
			return true;
	}
	return false;
}

static void malformed(void)
{
	struct {
		struct weft_hdr h;
		struct weft_init_req rq;
	} init = { .h = { .len = cpu_to_le32(sizeof(init)), .version = cpu_to_le16(1),
			  .magic = cpu_to_le32(WEFT_MAGIC), .opcode = cpu_to_le16(WEFT_OP_INIT),
			  .body_len = cpu_to_le16(sizeof(init.rq)) },
		   .rq = { .version_min = cpu_to_le16(1), .version_max = cpu_to_le16(1),
			   .role = cpu_to_le16(1), .target = cpu_to_le32(FX_TARGET) } };
	struct weft_hdr noslot = { .len = cpu_to_le32(sizeof(noslot)), .version = cpu_to_le16(1),
				   .magic = cpu_to_le32(WEFT_MAGIC),
				   .opcode = cpu_to_le16(WEFT_OP_SESSION_CLOSE),
				   .bulk_len = cpu_to_le32(4096) };
	struct fixture f = { 0 };
	char junk[300];
	int fd;

	fx_start(&f);
	memset(junk, 0xa5, sizeof(junk));
	fd = raw_connect(&f);
	CU_ASSERT(hangs_up(&f, fd, junk, sizeof(junk)));
	close(fd);
	fd = raw_connect(&f); /* a good beginning, then junk */
	CU_ASSERT_FALSE(hangs_up(&f, fd, &init, sizeof(init)));
	CU_ASSERT(hangs_up(&f, fd, junk, sizeof(junk)));
	close(fd);
	fd = raw_connect(&f); /* bulk with an operation that has none */
	CU_ASSERT_FALSE(hangs_up(&f, fd, &init, sizeof(init)));
	CU_ASSERT(hangs_up(&f, fd, &noslot, sizeof(noslot)));
	close(fd);
	fd = raw_connect(&f); /* INIT twice */
	CU_ASSERT_FALSE(hangs_up(&f, fd, &init, sizeof(init)));
	CU_ASSERT(hangs_up(&f, fd, &init, sizeof(init)));
	close(fd);
	init.rq.version_min = cpu_to_le16(9);
	init.rq.version_max = cpu_to_le16(10);
	fd = raw_connect(&f);
	CU_ASSERT(hangs_up(&f, fd, &init, sizeof(init)));
	close(fd);
	fx_stop(&f);
}

#define SLOW_READS 64

/* Connects, and asks for as many times @len bytes as a client may. */
static int ask_for_bulk(struct fixture *f, uint32_t len)
{
	struct {
		struct weft_hdr h;
		struct weft_init_req rq;
	} init = { .h = { .len = cpu_to_le32(sizeof(init)), .version = cpu_to_le16(1),
			  .magic = cpu_to_le32(WEFT_MAGIC), .opcode = cpu_to_le16(WEFT_OP_INIT),
			  .body_len = cpu_to_le16(sizeof(init.rq)) },
		   .rq = { .version_min = cpu_to_le16(1), .version_max = cpu_to_le16(1),
			   .role = cpu_to_le16(1), .target = cpu_to_le32(FX_TARGET) } };
	struct {
		struct weft_hdr h;
		struct weft_obj_req rq;
	} read = { .h = { .len = cpu_to_le32(sizeof(read)), .version = cpu_to_le16(1),
			  .magic = cpu_to_le32(WEFT_MAGIC),
			  .opcode = cpu_to_le16(WEFT_OP_OBJ_READ),
			  .body_len = cpu_to_le16(sizeof(read.rq)),
			  .bulk_max = cpu_to_le32(len) } };
	char rep[sizeof(struct weft_hdr) + sizeof(struct weft_init_rep)];
	unsigned int before = f->nconns;
	int fd = raw_connect(f), i;

	CU_ASSERT_EQUAL(send(fd, &init, sizeof(init), MSG_NOSIGNAL), sizeof(init));
	while (f->nconns == before)
		fx_ping(f);
	CU_ASSERT_EQUAL(recv(fd, rep, sizeof(rep), MSG_WAITALL), sizeof(rep));
	for (i = 0; i < SLOW_READS; i++) {
		read.h.request_id = cpu_to_le64(i + 1);
		CU_ASSERT_EQUAL(send(fd, &read, sizeof(read), MSG_NOSIGNAL), sizeof(read));
	}
	return fd;
}

/* Turns the loop, and takes a few bytes in each turn. Return: did the server hang up? */
static bool trickle(struct fixture *f, int fd, int turns)
{
	unsigned int before = f->nconns;
	char b[16];

	while (turns-- && f->nconns == before) {
		fx_ping(f);
		CU_ASSERT(recv(fd, b, sizeof(b), MSG_DONTWAIT) > 0 || f->nconns < before);
	}
	return f->nconns < before;
}

/* A peer that reads its replies slowly gets no more memory than its share, and then its end. */
static void slow_reader(void)
{
	static char data[WEFT_BULK_MAX];
	struct fixture f = { .credits = SLOW_READS, .stall_ms = 600 };
	struct weft_rpc_call w = { 0 };
	uint64_t start;
	int fd;

	fx_start(&f);
	weft_sg_add(&w.bulk_out, NULL, data, sizeof(data));
	fx_call(&f, &w, WEFT_OP_OBJ_WRITE);
	fx_wait(&f);
	weft_rpc_call_fini(&w);
	fd = ask_for_bulk(&f, sizeof(data));
	CU_ASSERT_FALSE(trickle(&f, fd, 50));
	/* Four are 16 MiB; the kernel's buffers may have taken some. */
	CU_ASSERT(f.reads >= 4);
	CU_ASSERT(f.reads < SLOW_READS / 4);
	start = weft_env_now(f.env);
	CU_ASSERT(trickle(&f, fd, 1000000));
	CU_ASSERT(weft_env_now(f.env) - start < 2 * 600 * WEFT_NS_PER_MS);
	CU_ASSERT(f.reads < SLOW_READS / 4);
	close(fd);
	fx_stop(&f);
}

/*
 * One that reads gets all, and keeps its connection, though it takes longer than a stall, and
 * though the server does not run for a while.
 */
static void steady_reader(void)
{
	static char data[WEFT_BULK_MAX];
	struct fixture f = { .credits = SLOW_READS, .stall_ms = 600 };
	struct weft_rpc_call w = { 0 };
	size_t got = 0, all;
	int pauses = 3; /* the first check only begins to wait */
	ssize_t n;
	int fd;

	fx_start(&f);
	weft_sg_add(&w.bulk_out, NULL, data, sizeof(data));
	fx_call(&f, &w, WEFT_OP_OBJ_WRITE);
	fx_wait(&f);
	weft_rpc_call_fini(&w);
	fd = ask_for_bulk(&f, sizeof(data));
	all = SLOW_READS *
	      (sizeof(data) + sizeof(struct weft_hdr) + sizeof(struct weft_obj_rep) + 4);
	while (got < all) {
		fx_ping(&f);
		while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
			got += n;
		CU_ASSERT_FATAL(n < 0 && errno == EAGAIN);
		if (got > all / 2 && pauses-- > 0)
			usleep(500 * 1000);
	}
	CU_ASSERT_EQUAL(got, all);
	CU_ASSERT_EQUAL(f.reads, SLOW_READS);
	close(fd);
	fx_stop(&f);
}

static CU_pSuite add_suite(const char *name, int (*init)(void))
{
	CU_pSuite s = CU_add_suite(name, init, NULL);

	CU_add_test(s, "ping, and an operation without handler", ping);
	CU_add_test(s, "bulk both ways", bulk);
	CU_add_test(s, "a reply longer than allowed", bulk_too_long);
	CU_add_test(s, "more calls than credits", many);
	CU_add_test(s, "push", push);
	CU_add_test(s, "secrets", secrets);
	CU_add_test(s, "file system ids", file_systems);
	CU_add_test(s, "unknown target", no_target);
	return s;
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	weft_log_set_level(WEFT_LOG_ERR);
	add_suite("common/rpc/server over rdma", fx_on_rdma);
	s = add_suite("common/rpc/server over tcp", fx_on_tcp);
	CU_add_test(s, "bytes that are no messages", malformed);
	CU_add_test(s, "a peer that reads slowly", slow_reader);
	CU_add_test(s, "a peer that reads all", steady_reader);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
