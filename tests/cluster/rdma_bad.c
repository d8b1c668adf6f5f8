// SPDX-License-Identifier: Apache-2.0
/*
 * A peer over RDMA that breaks the rules, one after the other: the server (`rdma_rpc serve`) must
 * refuse or close that connection, and serve the next one. Verbs by hand, blocking.
 *
 *	rdma_bad ADDR PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/rpc/rdma_wire.h"
#include "proto/data.h"
#include "proto/ops.h"

#define TARGET 7u
#define RECVS 8
#define WAIT_MS 20000

struct peer {
	struct rdma_event_channel *chan;
	struct rdma_cm_id *id;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	struct weft_rdma_cm answer;
	char *mem; /* what is sent; receives; bulk */
};

#define RECV_AT 8192
#define BULK_AT (RECV_AT + RECVS * WEFT_RDMA_RECV_SIZE)
#define MEM_LEN (BULK_AT + 65536)

static struct sockaddr_in server;
static unsigned int passed, failed;

static void test(const char *what, bool ok)
{
	printf("%s %s\n", ok ? "ok     " : "FAILED ", what);
	fflush(stdout);
	passed += ok;
	failed += !ok;
}

/* The next event, or -1 when none comes in time. */
static int next_event(struct peer *p)
{
	struct pollfd fd = { .fd = p->chan->fd, .events = POLLIN };
	struct rdma_cm_event *ev;
	int type;

	if (poll(&fd, 1, WAIT_MS) != 1 || rdma_get_cm_event(p->chan, &ev))
		return -1;
	type = ev->event;
	if ((type == RDMA_CM_EVENT_ESTABLISHED || type == RDMA_CM_EVENT_REJECTED) &&
	    ev->param.conn.private_data_len >= sizeof(p->answer))
		memcpy(&p->answer, ev->param.conn.private_data, sizeof(p->answer));
	rdma_ack_cm_event(ev);
	return type;
}

static void post_recv(struct peer *p, int slot)
{
	struct ibv_sge sge = { (uintptr_t)p->mem + RECV_AT + slot * WEFT_RDMA_RECV_SIZE,
			       WEFT_RDMA_RECV_SIZE, p->mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = slot, .sg_list = &sge, .num_sge = 1 }, *bad;

	ibv_post_recv(p->id->qp, &wr, &bad);
}

static int make_qp(struct peer *p)
{
	struct ibv_qp_init_attr attr = { .qp_type = IBV_QPT_RC,
					 .cap = { .max_send_wr = 64, .max_recv_wr = RECVS,
						  .max_send_sge = 1, .max_recv_sge = 1 } };
	int i;

	p->pd = ibv_alloc_pd(p->id->verbs);
	p->cq = ibv_create_cq(p->id->verbs, 100, NULL, NULL, 0);
	if (!p->pd || !p->cq || posix_memalign((void **)&p->mem, 4096, MEM_LEN))
		return -1;
	p->mr = ibv_reg_mr(p->pd, p->mem, MEM_LEN, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
	attr.send_cq = attr.recv_cq = p->cq;
	if (!p->mr || rdma_create_qp(p->id, p->pd, &attr))
		return -1;
	for (i = 0; i < RECVS; i++)
		post_recv(p, i);
	return 0;
}

/* Return: what became of it, -1: nothing. */
static int open_peer(struct peer *p, const void *data, size_t len)
{
	struct rdma_conn_param param = { .private_data = data, .private_data_len = len,
					 .responder_resources = 4, .initiator_depth = 4,
					 .retry_count = 7, .rnr_retry_count = 0 };

	memset(p, 0, sizeof(*p));
	p->chan = rdma_create_event_channel();
	if (!p->chan || rdma_create_id(p->chan, &p->id, NULL, RDMA_PS_TCP) ||
	    rdma_resolve_addr(p->id, NULL, (struct sockaddr *)&server, 2000) ||
	    next_event(p) != RDMA_CM_EVENT_ADDR_RESOLVED || rdma_resolve_route(p->id, 2000) ||
	    next_event(p) != RDMA_CM_EVENT_ROUTE_RESOLVED || make_qp(p) ||
	    rdma_connect(p->id, &param)) {
		perror("rdma_bad");
		exit(2);
	}
	return next_event(p);
}

static void close_peer(struct peer *p)
{
	rdma_disconnect(p->id);
	rdma_destroy_qp(p->id);
	ibv_dereg_mr(p->mr);
	ibv_destroy_cq(p->cq);
	ibv_dealloc_pd(p->pd);
	rdma_destroy_id(p->id);
	rdma_destroy_event_channel(p->chan);
	free(p->mem);
}

static struct weft_rdma_cm good_cm(void)
{
	struct rdma_side side = { .recv_size = WEFT_RDMA_RECV_SIZE, .recv_depth = RECVS,
				  .inline_max = 4096 };
	struct weft_rdma_cm cm;

	rdma_cm_fill(&cm, &side, 0);
	return cm;
}

/* Sends a frame that says @len and @recvs; does not wait for its completion. */
static void send_frame(struct peer *p, uint32_t len, uint32_t recvs, const void *bytes, size_t n)
{
	struct weft_rdma_frame f = { .len = cpu_to_le32(len), .recvs = cpu_to_le32(recvs) };
	struct ibv_sge sge = { (uintptr_t)p->mem, sizeof(f) + n, p->mr->lkey };
	struct ibv_send_wr wr = { .wr_id = 99, .sg_list = &sge, .num_sge = 1,
				  .opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED }, *bad;

	memcpy(p->mem, &f, sizeof(f));
	memcpy(p->mem + sizeof(f), bytes, n);
	ibv_post_send(p->id->qp, &wr, &bad);
}

/* Waits for a completion. Return: its status, -1: none came. */
static int completion(struct peer *p)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	struct ibv_wc wc;
	int i;

	for (i = 0; i < WAIT_MS; i++) {
		if (ibv_poll_cq(p->cq, 1, &wc) == 1)
			return wc.status;
		nanosleep(&ms, NULL);
	}
	return -1;
}

static void open_good(struct peer *p)
{
	struct {
		struct weft_hdr h;
		struct weft_init_req rq;
	} init = { .h = { .len = cpu_to_le32(sizeof(init)), .version = cpu_to_le16(1),
			  .magic = cpu_to_le32(WEFT_MAGIC), .opcode = cpu_to_le16(WEFT_OP_INIT),
			  .body_len = cpu_to_le16(sizeof(init.rq)) },
		   .rq = { .version_min = cpu_to_le16(1), .version_max = cpu_to_le16(1),
			   .role = cpu_to_le16(1), .target = cpu_to_le32(TARGET) } };
	struct weft_rdma_cm cm = good_cm();

	if (open_peer(p, &cm, sizeof(cm)) != RDMA_CM_EVENT_ESTABLISHED) {
		test("a good peer is accepted", false);
		exit(1);
	}
	send_frame(p, sizeof(init), 0, &init, sizeof(init));
	/* What was sent, and the reply. */
	if (completion(p) || completion(p)) {
		test("INIT is answered", false);
		exit(1);
	}
}

static bool hangs_up(struct peer *p)
{
	bool gone = next_event(p) == RDMA_CM_EVENT_DISCONNECTED;

	close_peer(p);
	return gone;
}

static void private_data(void)
{
	struct weft_rdma_cm cm = good_cm();
	struct peer p;
	bool ok;

	ok = open_peer(&p, NULL, 0) == RDMA_CM_EVENT_REJECTED;
	close_peer(&p);
	test("no private data", ok);
	cm.version = cpu_to_le16(9);
	ok = open_peer(&p, &cm, sizeof(cm)) == RDMA_CM_EVENT_REJECTED &&
	     le32_to_cpu(p.answer.status) == WEFT_S_VERSION;
	close_peer(&p);
	test("another version", ok);
	cm = good_cm();
	cm.recv_size = cpu_to_le32(100);
	ok = open_peer(&p, &cm, sizeof(cm)) == RDMA_CM_EVENT_REJECTED &&
	     le32_to_cpu(p.answer.status) == WEFT_S_MALFORMED;
	close_peer(&p);
	test("receives that are too small", ok);
}

static void frames(void)
{
	static char junk[4600];
	struct peer p;
	int i;

	memset(junk, 0xa5, sizeof(junk));
	open_good(&p);
	send_frame(&p, 200, 0, junk, 200);
	test("a frame that is no message", hangs_up(&p));
	open_good(&p);
	send_frame(&p, 100, 0, junk, 200);
	test("a frame whose length is wrong", hangs_up(&p));
	open_good(&p);
	send_frame(&p, 0, 1000, junk, 0);
	test("credits out of range", hangs_up(&p));
	open_good(&p);
	for (i = 0; i < 60; i++)
		send_frame(&p, sizeof(junk), 0, junk, sizeof(junk));
	test("more frames than credits", hangs_up(&p));
	open_good(&p);
	close_peer(&p);
	test("and then a good one is served", true);
}

/* A request of @bulk bytes to be read, or @max to be written, from one segment. */
static bool segment(uint32_t bulk, uint32_t max, uint64_t off, uint32_t len, uint32_t key)
{
	struct {
		struct weft_hdr h;
		struct weft_obj_req rq;
		struct weft_seg seg;
	} m = {
		.h = { .len = cpu_to_le32(sizeof(m)), .version = cpu_to_le16(1),
		       .magic = cpu_to_le32(WEFT_MAGIC), .flags = cpu_to_le16(WEFT_MF_SLOT),
		       .opcode = cpu_to_le16(max ? WEFT_OP_OBJ_READ : WEFT_OP_OBJ_WRITE),
		       .body_len = cpu_to_le16(sizeof(m.rq)), .bulk_len = cpu_to_le32(bulk),
		       .bulk_max = cpu_to_le32(max), .nsegs = cpu_to_le16(1) },
		.rq = { .len = cpu_to_le32(max) },
	};
	struct peer p;

	open_good(&p);
	m.seg.addr = cpu_to_le64((uintptr_t)p.mem + BULK_AT + off);
	m.seg.len = cpu_to_le32(len);
	m.seg.rkey = cpu_to_le32(key ? key : p.mr->rkey);
	send_frame(&p, sizeof(m), 0, &m, sizeof(m));
	if (!key && off + len <= 65536 && bulk == len) { /* a good one */
		bool ok = !completion(&p) && !completion(&p);

		close_peer(&p);
		return ok;
	}
	return hangs_up(&p);
}

int main(int argc, char **argv)
{
	if (argc != 3 || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
		fprintf(stderr, "usage: rdma_bad ADDR PORT\n");
		return 2;
	}
	server.sin_family = AF_INET;
	server.sin_port = htons(atoi(argv[2]));
	private_data();
	frames();
	test("a good segment", segment(65536, 0, 0, 65536, 0));
	test("a wrong key", segment(65536, 0, 0, 65536, 0xdeadbeef));
	test("a segment beyond its registration", segment(65536, 0, 4096, 65536, 0));
	test("segments shorter than the bulk", segment(65536, 0, 0, 65535, 0));
	test("segments longer than the bulk", segment(8000, 0, 0, 65536, 0));
	test("a segment that is too short for the reply", segment(0, 9000, 0, 8999, 0));
	test("a key that may not be written to", segment(0, 65536, 0, 65536, 0));
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
