// SPDX-License-Identifier: Apache-2.0
/*
 * RDMA beneath the rpc layer, on verbs inside the process: what is copied and what is not, keys
 * that are gone when the reply is there, cables that are drawn, memory that cannot be
 * registered, peers that break the rules. (The rpc layer's own tests run over RDMA as well, see
 * server_test.c.)
 */
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/rpc/rdma_stats.h"
#include "common/rpc/rdma_wire.h"
#include "proto/data.h"
#include "proto/mgmtops.h"
#include "tests/unit/common/rpc/fixture.h"
#include "tests/unit/common/rpc/verbs_fake.h"

static char data[WEFT_BULK_MAX], back[WEFT_BULK_MAX];

static int write_of(struct fixture *f, size_t len)
{
	struct weft_rpc_call c = { 0 };
	int ret;

	weft_sg_add(&c.bulk_out, NULL, data, len);
	fx_call(f, &c, WEFT_OP_OBJ_WRITE);
	fx_wait(f);
	ret = weft_rpc_err(&c);
	weft_rpc_call_fini(&c);
	return ret;
}

static int read_of(struct fixture *f, size_t len)
{
	struct weft_rpc_call c = { 0 };
	int ret;

	memset(back, 0, len);
	weft_sg_add(&c.bulk_in, NULL, back, len);
	fx_call(f, &c, WEFT_OP_OBJ_READ);
	fx_wait(f);
	ret = weft_rpc_err(&c);
	weft_rpc_call_fini(&c);
	return ret;
}

/* A read of less than is stored does not fit and is answered by EIO: write as much first. */
static void no_copies(void)
{
	struct weft_rdma_stats b;
	struct fixture f = { 0 };
	int mrs;

	memset(data, 0x5a, sizeof(data));
	fx_start(&f);
	CU_ASSERT_EQUAL(write_of(&f, 4097), 0);
	mrs = fake_verbs.mrs;
	b = weft_rdma_stats;
	CU_ASSERT_EQUAL(write_of(&f, sizeof(data)), 0);
	CU_ASSERT_EQUAL(read_of(&f, sizeof(data)), 0);
	CU_ASSERT_EQUAL(memcmp(data, back, sizeof(data)), 0);
	CU_ASSERT_EQUAL(weft_rdma_stats.copied, b.copied);
	CU_ASSERT_EQUAL(weft_rdma_stats.inline_in, b.inline_in);
	CU_ASSERT_EQUAL(weft_rdma_stats.inline_out, b.inline_out);
	CU_ASSERT_EQUAL(weft_rdma_stats.read_bytes - b.read_bytes, sizeof(data));
	CU_ASSERT_EQUAL(weft_rdma_stats.write_bytes - b.write_bytes, sizeof(data));
	/* The requester's registrations are gone; slabs may have come. */
	CU_ASSERT(fake_verbs.mrs - mrs <= 2);
	b = weft_rdma_stats;
	CU_ASSERT_EQUAL(write_of(&f, 4096), 0);
	CU_ASSERT_EQUAL(read_of(&f, 4096), 0);
	CU_ASSERT_EQUAL(weft_rdma_stats.inline_out - b.inline_out, 2 * 4096);
	/* The server's bulk lies in slabs: the device gathers it; the requester's is copied. */
	CU_ASSERT_EQUAL(weft_rdma_stats.inline_copied - b.inline_copied, 4096);
	CU_ASSERT_EQUAL(weft_rdma_stats.reads, b.reads);
	fx_stop(&f);
}

/* Each side is woken by what comes, and only now and then by what it has sent. */
static void few_wakes(void)
{
	struct fixture f = { 0 };
	uint64_t wakes;
	int i;

	fx_start(&f);
	CU_ASSERT_EQUAL(write_of(&f, 100), 0);
	wakes = weft_rdma_stats.wakes;
	for (i = 0; i < 32; i++) {
		CU_ASSERT_EQUAL(write_of(&f, 100), 0);
		CU_ASSERT_EQUAL(read_of(&f, 100), 0);
	}
	wakes = weft_rdma_stats.wakes - wakes;
	CU_ASSERT(wakes >= 64);
	CU_ASSERT(wakes <= 64 * 2 + 64 * 2 / 8 + 4);
	fx_stop(&f);
}

/* More pieces than a request has segments for. */
static void many_pieces(void)
{
	struct weft_rpc_call w = { 0 }, r = { 0 };
	struct fixture f = { 0 };
	uint64_t copied;
	int i;

	for (i = 0; i < 10000; i++)
		data[i] = i * 11;
	memset(back, 0, 10000);
	fx_start(&f);
	copied = weft_rdma_stats.copied;
	for (i = 0; i < 100; i++) {
		weft_sg_add(&w.bulk_out, NULL, data + i * 100, 100);
		weft_sg_add(&r.bulk_in, NULL, back + i * 100, 100);
	}
	fx_call(&f, &w, WEFT_OP_OBJ_WRITE);
	fx_wait(&f);
	fx_call(&f, &r, WEFT_OP_OBJ_READ);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&w), 0);
	CU_ASSERT_EQUAL(weft_rpc_err(&r), 0);
	CU_ASSERT_EQUAL(memcmp(data, back, 10000), 0);
	CU_ASSERT_EQUAL(weft_rdma_stats.copied - copied, 20000);
	weft_rpc_call_fini(&w);
	weft_rpc_call_fini(&r);
	fx_stop(&f);
}

/* A call that is given up while the server may still write: its keys are gone at once. */
static void given_up(void)
{
	struct weft_rpc_call c = { 0 };
	struct fixture f = { 0 };
	int mrs;

	fx_start(&f);
	CU_ASSERT_EQUAL(write_of(&f, 100), 0);
	mrs = fake_verbs.mrs;
	c.bulk_max = WEFT_BULK_MAX;
	fx_call(&f, &c, WEFT_OP_GETATTR);
	while (!f.held)
		weft_env_uv_run(f.env);
	CU_ASSERT_EQUAL(fake_verbs.mrs, mrs + 1);
	weft_rpc_cancel(&c);
	CU_ASSERT(fake_verbs.mrs <= mrs); /* and those of the connection */
	fx_wait(&f);
	weft_rpc_call_fini(&c);
	CU_ASSERT_EQUAL(write_of(&f, 100), 0);
	fx_stop(&f);
}

static void cables(void)
{
	struct weft_rpc_call c[8] = { 0 };
	struct fixture f = { 0 };
	int i;

	fx_start(&f);
	CU_ASSERT_EQUAL(write_of(&f, 100000), 0);
	for (i = 0; i < 8; i++) {
		weft_sg_add(&c[i].bulk_out, NULL, data, 100000 + i);
		fx_call(&f, &c[i], WEFT_OP_OBJ_WRITE);
	}
	fake_cut();
	fx_wait(&f);
	for (i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(weft_rpc_err(&c[i]), 0);
		weft_rpc_call_fini(&c[i]);
	}
	CU_ASSERT(weft_rpc_peer_stats(f.peer)->breaks > 0);
	CU_ASSERT(weft_rpc_peer_stats(f.peer)->replays > 0);
	fx_stop(&f);
}

/* Registration N fails, for every N until one more makes no difference: all is given back. */
static void no_registration(void)
{
	struct weft_rpc_call c;
	struct fixture f = { 0 };
	int n, ret = -1;

	fx_start(&f);
	for (n = 0; ret && n < 20; n++) {
		memset(&c, 0, sizeof(c));
		c.timeout_ms = 200;
		weft_sg_add(&c.bulk_out, NULL, data, 5000);
		fake_verbs.reg_fails = n;
		fx_call(&f, &c, WEFT_OP_OBJ_WRITE);
		fx_wait(&f);
		ret = weft_rpc_err(&c);
		CU_ASSERT(!ret || ret == -ETIMEDOUT);
		weft_rpc_call_fini(&c);
	}
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT(n > 1);
	fake_verbs.reg_fails = -1;
	fx_stop(&f);
}

static void no_inv(void)
{
	struct fixture f = { 0 };

	fx_start(&f);
	CU_ASSERT_EQUAL(write_of(&f, 70000), 0);
	CU_ASSERT_EQUAL(read_of(&f, 70000), 0);
	CU_ASSERT_EQUAL(weft_rdma_stats.invs, 0); /* we do not ask for it ourselves */
	fx_stop(&f);
}

/* --- bad peers: verbs by hand */

struct raw {
	struct rdma_event_channel *chan;
	struct rdma_cm_id *id;
	struct ibv_comp_channel *comp;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	struct weft_rdma_cm peer;
	char mem[16384]; /* 1: what is sent, then receives of 4608 bytes */
	uint32_t sent;
};

#define RAW_RECV 4608u

static enum rdma_cm_event_type raw_event(struct fixture *f, struct raw *r)
{
	enum rdma_cm_event_type type;
	struct rdma_cm_event *ev;
	int i;

	for (i = 0; rdma_get_cm_event(r->chan, &ev); i++) {
		CU_ASSERT_FATAL(i < 50);
		fx_ping(f);
	}
	type = ev->event;
	if (ev->param.conn.private_data)
		memcpy(&r->peer, ev->param.conn.private_data, sizeof(r->peer));
	rdma_ack_cm_event(ev);
	return type;
}

static void raw_recv(struct raw *r, int slot)
{
	struct ibv_sge sge = { (uintptr_t)r->mem + 4096 + slot * 100, RAW_RECV, r->mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = slot, .sg_list = &sge, .num_sge = 1 }, *bad;

	ibv_post_recv(r->id->qp, &wr, &bad);
}

/* Connects with @cm. Return: what became of it. */
static enum rdma_cm_event_type raw_open(struct fixture *f, struct raw *r, struct weft_rdma_cm *cm)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(f->port) };
	struct rdma_conn_param p = { .private_data = cm, .private_data_len = cm ? sizeof(*cm) : 0,
				     .responder_resources = 4, .initiator_depth = 4 };
	struct ibv_qp_init_attr attr = { .cap = { 100, 16, 1, 1, 0 }, .qp_type = IBV_QPT_RC };
	struct ibv_pd *pd;
	int i;

	memset(r, 0, sizeof(*r));
	r->chan = rdma_create_event_channel();
	rdma_create_id(r->chan, &r->id, NULL, RDMA_PS_TCP);
	rdma_resolve_addr(r->id, NULL, (struct sockaddr *)&sa, 1000);
	CU_ASSERT_EQUAL(raw_event(f, r), RDMA_CM_EVENT_ADDR_RESOLVED);
	pd = ibv_alloc_pd(r->id->verbs);
	r->comp = ibv_create_comp_channel(r->id->verbs);
	r->cq = ibv_create_cq(r->id->verbs, 100, NULL, r->comp, 0);
	r->mr = ibv_reg_mr(pd, r->mem, sizeof(r->mem),
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
	attr.send_cq = attr.recv_cq = r->cq;
	rdma_create_qp(r->id, pd, &attr);
	for (i = 0; i < 8; i++)
		raw_recv(r, i);
	rdma_connect(r->id, &p);
	return raw_event(f, r);
}

static void raw_close(struct raw *r)
{
	struct rdma_cm_event *ev;

	rdma_disconnect(r->id);
	rdma_destroy_qp(r->id);
	while (!rdma_get_cm_event(r->chan, &ev))
		rdma_ack_cm_event(ev);
	rdma_destroy_id(r->id);
	rdma_destroy_event_channel(r->chan);
	ibv_destroy_cq(r->cq);
	ibv_destroy_comp_channel(r->comp);
	ibv_dereg_mr(r->mr);
}

static struct weft_rdma_cm good_cm(void)
{
	static const struct rdma_side side = { .recv_size = RAW_RECV, .recv_depth = 8,
					       .inline_max = 4096 };
	struct weft_rdma_cm cm;

	rdma_cm_fill(&cm, &side, 0);
	return cm;
}

static void private_data(void)
{
	struct fixture f = { 0 };
	struct weft_rdma_cm cm;
	struct raw r;

	fx_start(&f);
	CU_ASSERT_EQUAL(raw_open(&f, &r, NULL), RDMA_CM_EVENT_REJECTED);
	raw_close(&r);
	cm = good_cm();
	cm.version = cpu_to_le16(9);
	CU_ASSERT_EQUAL(raw_open(&f, &r, &cm), RDMA_CM_EVENT_REJECTED);
	CU_ASSERT_EQUAL(le32_to_cpu(r.peer.status), WEFT_S_VERSION);
	raw_close(&r);
	cm = good_cm();
	cm.recv_depth = cpu_to_le16(1);
	CU_ASSERT_EQUAL(raw_open(&f, &r, &cm), RDMA_CM_EVENT_REJECTED);
	CU_ASSERT_EQUAL(le32_to_cpu(r.peer.status), WEFT_S_MALFORMED);
	raw_close(&r);
	cm = good_cm();
	CU_ASSERT_EQUAL(raw_open(&f, &r, &cm), RDMA_CM_EVENT_ESTABLISHED);
	CU_ASSERT_EQUAL(le32_to_cpu(r.peer.recv_size), WEFT_RDMA_RECV_SIZE);
	raw_close(&r);
	fx_ping(&f);
	fx_stop(&f);
}

/* Sends a frame that says @len and @recvs, with @n bytes behind them. */
static void raw_frame(struct raw *r, uint32_t len, uint32_t recvs, const void *bytes, size_t n)
{
	struct weft_rdma_frame fr = { .len = cpu_to_le32(len), .recvs = cpu_to_le32(recvs) };
	struct ibv_sge sge = { (uintptr_t)r->mem, sizeof(fr) + n, r->mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND,
				  .send_flags = 0 }, *bad;

	memcpy(r->mem, &fr, sizeof(fr));
	if (n)
		memcpy(r->mem + sizeof(fr), bytes, n);
	ibv_post_send(r->id->qp, &wr, &bad);
}

/* Does the server hang up? */
static bool hangs_up(struct fixture *f, struct raw *r)
{
	struct rdma_cm_event *ev;
	bool gone = false;
	int i;

	for (i = 0; i < 10 && !gone; i++) {
		fx_ping(f);
		while (!gone && !rdma_get_cm_event(r->chan, &ev)) {
			gone = ev->event == RDMA_CM_EVENT_DISCONNECTED;
			rdma_ack_cm_event(ev);
		}
	}
	return gone;
}

static void send_init(struct fixture *f, struct raw *r)
{
	struct {
		struct weft_hdr h;
		struct weft_init_req rq;
	} init = { .h = { .len = cpu_to_le32(sizeof(init)), .version = cpu_to_le16(1),
			  .magic = cpu_to_le32(WEFT_MAGIC), .opcode = cpu_to_le16(WEFT_OP_INIT),
			  .body_len = cpu_to_le16(sizeof(init.rq)) },
		   .rq = { .version_min = cpu_to_le16(1), .version_max = cpu_to_le16(1),
			   .role = cpu_to_le16(1), .target = cpu_to_le32(FX_TARGET) } };
	struct weft_rdma_cm cm = good_cm();
	unsigned int before;
	int i;

	while (weft_rpc_peer_stats(f->peer)->up < 2) /* our own ones first */
		fx_ping(f);
	before = f->nconns;
	CU_ASSERT_EQUAL_FATAL(raw_open(f, r, &cm), RDMA_CM_EVENT_ESTABLISHED);
	fx_ping(f);
	raw_frame(r, sizeof(init), 0, &init, sizeof(init));
	for (i = 0; i < 20 && f->nconns == before; i++)
		fx_ping(f);
	CU_ASSERT_EQUAL_FATAL(f->nconns, before + 1);
}

struct bad_read {
	struct weft_hdr h;
	struct weft_obj_req rq;
	struct weft_seg seg[2];
};

/* Sends a write of @bulk bytes that lie in segments. Return: does the server hang up? */
static bool bad_write(struct fixture *f, uint32_t bulk, uint32_t max, const struct weft_seg *seg,
		      unsigned int n)
{
	struct bad_read m = {
		.h = { .len = cpu_to_le32(sizeof(m) - (2 - n) * sizeof(*seg)),
		       .version = cpu_to_le16(1), .magic = cpu_to_le32(WEFT_MAGIC),
		       .flags = cpu_to_le16(WEFT_MF_SLOT),
		       .opcode = cpu_to_le16(max ? WEFT_OP_OBJ_READ : WEFT_OP_OBJ_WRITE),
		       .body_len = cpu_to_le16(sizeof(m.rq)), .bulk_len = cpu_to_le32(bulk),
		       .bulk_max = cpu_to_le32(max), .nsegs = cpu_to_le16(n) },
	};
	struct raw r;
	bool gone;

	send_init(f, &r);
	memcpy(m.seg, seg, n * sizeof(*seg));
	if (n && !m.seg[0].rkey) {
		m.seg[0].rkey = cpu_to_le32(r.mr->rkey);
		m.seg[0].addr = cpu_to_le64((uintptr_t)r.mem + le64_to_cpu(m.seg[0].addr));
	}
	raw_frame(&r, le32_to_cpu(m.h.len), 0, &m, le32_to_cpu(m.h.len));
	gone = hangs_up(f, &r);
	raw_close(&r);
	fx_ping(f);
	return gone;
}

static void bad_segments(void)
{
	struct weft_seg good = { .len = cpu_to_le32(8000) };
	struct weft_seg key = { .len = cpu_to_le32(8000), .rkey = cpu_to_le32(0xdead) };
	struct weft_seg range = { .addr = cpu_to_le64(16000), .len = cpu_to_le32(8000) };
	struct weft_seg none = { .len = 0 };
	struct fixture f = { 0 };
	uint64_t bad;

	fx_start(&f);
	CU_ASSERT_EQUAL(write_of(&f, 100), 0);
	bad = weft_rdma_stats.bad_peers;
	CU_ASSERT_FALSE(bad_write(&f, 8000, 0, &good, 1));
	CU_ASSERT_EQUAL(weft_rdma_stats.bad_peers, bad);
	CU_ASSERT(bad_write(&f, 8000, 0, &key, 1)); /* the device refuses */
	CU_ASSERT(bad_write(&f, 8000, 0, &range, 1));
	CU_ASSERT(bad_write(&f, 8001, 0, &good, 1)); /* we refuse */
	CU_ASSERT(bad_write(&f, 7999, 0, &good, 1));
	CU_ASSERT(bad_write(&f, 8000, 0, &none, 1));
	CU_ASSERT(bad_write(&f, 8000, 0, &good, 0));
	CU_ASSERT(bad_write(&f, 0, 9000, &good, 1));
	CU_ASSERT_EQUAL(weft_rdma_stats.bad_peers, bad + 7);
	/* A key that may be read only: the reply cannot be written. */
	CU_ASSERT_EQUAL(write_of(&f, 8000), 0);
	CU_ASSERT(bad_write(&f, 0, 8000, &good, 1));
	CU_ASSERT_EQUAL(weft_rdma_stats.bad_peers, bad + 8);
	fx_stop(&f);
}

static void bad_frames(void)
{
	struct fixture f = { 0 };
	struct raw r;
	char junk[200];

	fx_start(&f);
	memset(junk, 0xa5, sizeof(junk));
	send_init(&f, &r);
	raw_frame(&r, sizeof(junk), 0, junk, sizeof(junk)); /* no message */
	CU_ASSERT(hangs_up(&f, &r));
	raw_close(&r);
	send_init(&f, &r);
	raw_frame(&r, 5, 0, junk, sizeof(junk)); /* lengths differ */
	CU_ASSERT(hangs_up(&f, &r));
	raw_close(&r);
	send_init(&f, &r);
	raw_frame(&r, 0, 1000, junk, 0); /* credits out of range */
	CU_ASSERT(hangs_up(&f, &r));
	raw_close(&r);
	send_init(&f, &r);
	raw_frame(&r, 0, 1, junk, 0); /* the one that the INIT's reply took */
	CU_ASSERT_FALSE(hangs_up(&f, &r));
	raw_close(&r);
	fx_stop(&f);
}

/* Frames that have come to a raw peer; says of the newest what its header says. */
static unsigned int raw_got(struct raw *r, struct weft_rdma_frame *last)
{
	struct ibv_wc wc;
	unsigned int n = 0;

	while (ibv_poll_cq(r->cq, 1, &wc) > 0) {
		if (wc.status || !wc.byte_len)
			continue;
		memcpy(last, r->mem + 4096 + wc.wr_id * 100, sizeof(*last));
		n++;
	}
	return n;
}

/* Answers wait for the credits of a peer that gives none, and all come when it does. */
static void credits_used_up(void)
{
	struct weft_hdr ping = { .len = cpu_to_le32(sizeof(ping)), .version = cpu_to_le16(1),
				 .magic = cpu_to_le32(WEFT_MAGIC),
				 .opcode = cpu_to_le16(WEFT_OP_PING) };
	uint64_t waits, controls, calls;
	unsigned int got, i, j;
	struct weft_rdma_frame fr;
	struct fixture f = { 0 };
	struct raw r;

	fx_start(&f);
	send_init(&f, &r);
	got = raw_got(&r, &fr);
	waits = weft_rdma_stats.wait_credit;
	controls = weft_rdma_stats.control_out;
	for (i = 0; i < 22; i++) {
		raw_frame(&r, sizeof(ping), 0, &ping, sizeof(ping));
		calls = weft_rpc_service_stats(f.svc, WEFT_OP_PING)->calls;
		while (weft_rpc_service_stats(f.svc, WEFT_OP_PING)->calls < calls + 2)
			fx_ping(&f); /* its own and ours */
	}
	got += raw_got(&r, &fr);
	CU_ASSERT_EQUAL(got, 7); /* INIT's, 5 answers, and one that says only credits */
	CU_ASSERT_EQUAL(fr.len, 0);
	CU_ASSERT_EQUAL(le32_to_cpu(fr.recvs), 22);
	CU_ASSERT(weft_rdma_stats.wait_credit > waits);
	CU_ASSERT_EQUAL(weft_rdma_stats.control_out, controls + 1);
	for (i = 0; i < 20 && got < 24; i++) {
		for (j = 0; j < 6; j++)
			raw_recv(&r, j);
		raw_frame(&r, 0, got, NULL, 0);
		fx_ping(&f);
		got += raw_got(&r, &fr);
	}
	CU_ASSERT_EQUAL(got, 24);
	raw_close(&r);
	fx_stop(&f);
}

/* A call without bulk, while others wait. */
static void pass_by(struct fixture *f)
{
	unsigned int before = f->waiting;
	struct weft_rpc_call c = { 0 };

	fx_call(f, &c, WEFT_OP_PING);
	while (f->waiting > before)
		weft_env_uv_run(f->env);
	CU_ASSERT_EQUAL(weft_rpc_err(&c), 0);
	weft_rpc_call_fini(&c);
}

/* Memory is used up: who needs some waits, who needs none passes. */
static void pool_used_up(void)
{
	struct weft_rpc_call w = { 0 }, r = { 0 }, i = { 0 };
	struct weft_buf *all[512], *b;
	struct fixture f = { 0 };
	unsigned int n = 0;
	uint64_t waits;

	fx_start(&f);
	CU_ASSERT_EQUAL(write_of(&f, 50000), 0);
	waits = weft_rdma_stats.wait_buf;
	while ((b = weft_buf_get(f.pool, WEFT_BUF_MAX)))
		all[n++] = b;
	while ((b = weft_buf_get(f.pool, 65536))) /* what the slab of the first write has */
		all[n++] = b;
	weft_sg_add(&w.bulk_out, NULL, data, 60000);
	fx_call(&f, &w, WEFT_OP_OBJ_WRITE); /* waits at the server */
	while (weft_rdma_stats.wait_buf == waits)
		pass_by(&f);
	CU_ASSERT_EQUAL(f.runs, 1);
	r.bulk_max = 60000;
	fx_call(&f, &r, WEFT_OP_OBJ_READ); /* here */
	weft_sg_add(&i.bulk_out, NULL, data, 100);
	fx_call(&f, &i, WEFT_OP_OBJ_WRITE); /* inline: the frames behind it wait as well */
	CU_ASSERT_EQUAL(f.runs, 1);
	while (n)
		weft_buf_put(all[--n]);
	fx_wait(&f);
	CU_ASSERT_EQUAL(weft_rpc_err(&w), 0);
	CU_ASSERT_EQUAL(weft_rpc_err(&i), 0);
	CU_ASSERT_EQUAL(weft_rpc_err(&r), 0);
	CU_ASSERT_EQUAL(f.runs, 3);
	weft_rpc_call_fini(&w);
	weft_rpc_call_fini(&r);
	weft_rpc_call_fini(&i);
	fx_stop(&f);
}

/*
 * An RDMA address where nobody is, and a TCP one: used while need be, counted; when somebody
 * listens at the RDMA address calls go there again, and none is lost or held up by that.
 */
static void falls_back(void)
{
	struct weft_rpc_addr a[2] = { { .host = "127.0.0.1", .port = 1, .kind = WEFT_RAIL_RDMA },
				      { .host = "127.0.0.1", .kind = WEFT_RAIL_TCP } };
	struct fixture f = { .return_ms = 50 };
	const struct weft_rpc_peer_stats *st;
	uint64_t reads;
	int i;

	fx_kind = WEFT_RAIL_TCP;
	fx_start(&f);
	fx_kind = WEFT_RAIL_RDMA;
	st = weft_rpc_peer_stats(f.peer);
	a[1].port = f.port;
	CU_ASSERT_EQUAL(weft_rpc_peer_set_addrs(f.peer, a, 2), 0);
	CU_ASSERT_EQUAL(write_of(&f, 50000), 0);
	CU_ASSERT(st->fallbacks > 0);
	usleep(120 * 1000); /* probes that find nobody */
	for (i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(write_of(&f, 50000), 0);
	CU_ASSERT_EQUAL(st->returns, 0);
	CU_ASSERT_EQUAL(weft_rpc_server_listen(f.srv, &a[0]), 1);
	reads = weft_rdma_stats.reads;
	for (i = 0; i < 100000 && (!st->returns || weft_rdma_stats.reads == reads); i++)
		CU_ASSERT_EQUAL(write_of(&f, 50000), 0);
	CU_ASSERT(st->returns > 0);
	CU_ASSERT(weft_rdma_stats.reads > reads);
	CU_ASSERT_EQUAL(st->replays, 0);
	CU_ASSERT_EQUAL(st->breaks, 0);
	fx_stop(&f);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	weft_log_set_level(WEFT_LOG_ERR);
	s = CU_add_suite("common/rpc/rdma", fx_on_rdma, NULL);
	CU_add_test(s, "bulk by segments is not copied", no_copies);
	CU_add_test(s, "wakes by completions", few_wakes);
	CU_add_test(s, "more pieces than segments", many_pieces);
	CU_add_test(s, "a call given up while its memory is offered", given_up);
	CU_add_test(s, "drawn cables", cables);
	CU_add_test(s, "registration fails", no_registration);
	CU_add_test(s, "keys are not invalidated for who does not ask", no_inv);
	CU_add_test(s, "private data that is wrong", private_data);
	CU_add_test(s, "segments that are wrong", bad_segments);
	CU_add_test(s, "frames that are wrong", bad_frames);
	CU_add_test(s, "credits that are used up", credits_used_up);
	CU_add_test(s, "memory that is used up", pool_used_up);
	CU_add_test(s, "falling back to tcp", falls_back);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
