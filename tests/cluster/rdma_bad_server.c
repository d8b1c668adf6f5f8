// SPDX-License-Identifier: Apache-2.0
/*
 * rdma_bad_server: a server that breaks the rules of proto/rdma.h, towards a client that obeys
 * them.
 *
 *     rdma_bad_server ADDR:PORT MODE [SECONDS]
 *
 * It takes the place of an RDMA listener, takes connections, answers INIT as a server should
 * (unless the mode is about connecting), waits for a request of the kind that the mode needs, does
 * its misdeed once, and ends with 0 when the *client* has ended that connection, or the device
 * refused the misdeed: then nothing of it reached the client's memory. Status 1: it did not happen
 * within SECONDS (30); 3: the misdeed succeeded, which is a hole in the client; 2: usage. One line
 * says what happened. `rdma_bad_server --list` prints the modes. Another one is not among them:
 *
 *     rdma_bad_server ADDR:PORT hang-up SECONDS MOST
 *
 * ends every connection at its first request, for SECONDS. Status 0: the client came again, but at
 * most MOST times; 1: it did not, or came more often.
 *
 * One thread takes connections, one serves each of them; they share only @verdict (atomic).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rdma/rdma_cma.h>

#include "proto/data.h"
#include "proto/rdma.h"

#define DEPTH 64
#define RECV_SIZE 8192u
#define SEND_SIZE 65536u

struct conn {
	struct rdma_cm_id *id;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_mr *recv_mr, *send_mr;
	uint8_t *recv, *send;
	uint32_t received;		/* frames, all posted again */
	struct weft_rdma_cm peer;
	uint8_t msg[WEFT_MSG_MAX + WEFT_RDMA_INLINE_MAX]; /* the one that comes */
	uint8_t request[WEFT_MSG_MAX];			  /* the one that is being answered */
	uint32_t msg_have;
	bool busy;
	atomic_bool gone;		/* the client has disconnected */
	pthread_t thread;
};

/* What a mode wants to see before it does its misdeed. */
enum need { NEED_CONNECT, NEED_ANY, NEED_READ, NEED_WRITE };

struct mode {
	const char *name;
	enum need need;
	/* NEED_CONNECT: spoil what ACCEPT carries. false: refuse the connection. */
	bool (*connect)(struct weft_rdma_cm *cm, struct rdma_conn_param *param);
	/* Otherwise: @hdr is the request. Return: IBV_WC_* of the misdeed. */
	int (*misdeed)(struct conn *c, const struct weft_hdr *hdr);
};

static const struct mode *mode;
static atomic_int verdict = -1;

static void conclude(int status, const char *what)
{
	int open = -1;

	if (atomic_compare_exchange_strong(&verdict, &open, status))
		printf("%s: %s\n", mode->name, what);
}

static void die(const char *what)
{
	fprintf(stderr, "rdma_bad_server: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- sending and receiving */

static int post_recv(struct conn *c, unsigned int i)
{
	struct ibv_sge sge = { .addr = (uintptr_t)c->recv + i * RECV_SIZE,
			       .length = RECV_SIZE, .lkey = c->recv_mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = i, .sg_list = &sge, .num_sge = 1 }, *bad;

	return ibv_post_recv(c->id->qp, &wr, &bad);
}

static void on_frame(struct conn *c, const uint8_t *frame, uint32_t len);

/*
 * Takes what has come, until a send has completed (@sending) or nothing is left.
 *
 * Return: IBV_WC_*.
 */
static int progress(struct conn *c, bool sending)
{
	unsigned int patience = 50000; /* 10 s and more, once the client has gone */
	struct ibv_wc wc;
	int n;

	for (;;) {
		n = ibv_poll_cq(c->cq, 1, &wc);
		if (!n && !sending)
			return IBV_WC_SUCCESS;
		if (!n) {
			if (atomic_load(&c->gone) && !patience--)
				return IBV_WC_WR_FLUSH_ERR;
			usleep(200);
			continue;
		}
		if (n < 0 || (wc.status && wc.wr_id < DEPTH)) {
			atomic_store(&c->gone, true);
			if (!sending)
				return IBV_WC_WR_FLUSH_ERR;
			continue;
		}
		if (wc.wr_id >= DEPTH)
			return wc.status;
		on_frame(c, c->recv + wc.wr_id * RECV_SIZE, wc.byte_len);
		c->received++;
		post_recv(c, wc.wr_id);
	}
}

static int post(struct conn *c, struct ibv_send_wr *wr, uint32_t len)
{
	struct ibv_sge sge = { .addr = (uintptr_t)c->send,
			       .length = len,
			       .lkey = c->send_mr->lkey };
	struct ibv_send_wr *bad;

	wr->wr_id = DEPTH;
	wr->send_flags = IBV_SEND_SIGNALED;
	wr->sg_list = &sge;
	wr->num_sge = 1;
	return ibv_post_send(c->id->qp, wr, &bad) ? IBV_WC_GENERAL_ERR : progress(c, true);
}

/* Sends @len bytes of c->send as they are. */
static int send_raw(struct conn *c, uint32_t len)
{
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND };

	return post(c, &wr, len);
}

static struct weft_rdma_frame *frame_of(struct conn *c, uint32_t len)
{
	struct weft_rdma_frame *f = (void *)c->send;

	f->len = htole32(len);
	f->recvs = htole32(c->received);
	return f;
}

/* The reply to @req with a body of @body_len bytes, in c->send. Return: the frame's length. */
static uint32_t build_reply(struct conn *c, const struct weft_hdr *req, const void *body,
			    uint32_t body_len)
{
	struct weft_hdr *hdr = (void *)(c->send + sizeof(struct weft_rdma_frame));

	memset(hdr, 0, sizeof(*hdr));
	hdr->len = htole32(sizeof(*hdr) + body_len);
	hdr->version = htole16(WEFT_WIRE_VERSION);
	hdr->flags = htole16(WEFT_MF_REPLY);
	hdr->magic = htole32(WEFT_MAGIC);
	hdr->opcode = req->opcode;
	hdr->body_len = htole16(body_len);
	hdr->request_id = req->request_id;
	hdr->session = req->session;
	hdr->epoch = req->epoch;
	hdr->group = req->group;
	hdr->credits = htole16(1);
	memcpy(hdr + 1, body, body_len);
	frame_of(c, sizeof(*hdr) + body_len);
	return sizeof(struct weft_rdma_frame) + sizeof(*hdr) + body_len;
}

static struct weft_hdr *reply_hdr(struct conn *c)
{
	return (void *)(c->send + sizeof(struct weft_rdma_frame));
}

static int answer_init(struct conn *c, const struct weft_hdr *hdr)
{
	const struct weft_init_req *req = (const void *)(hdr + 1);
	struct weft_init_rep rep = {
		.version = htole16(WEFT_WIRE_VERSION),
		.credits = htole16(32),
		.features = req->features,
		.node = htole32(1),
		.boot = htole64(0x62616400 + getpid()),
	};

	memcpy(rep.fsid, req->fsid, sizeof(rep.fsid));
	return send_raw(c, build_reply(c, hdr, &rep, sizeof(rep)));
}

/* ---- connecting */

static bool cm_none(struct weft_rdma_cm *cm, struct rdma_conn_param *param)
{
	(void)cm;
	param->private_data = NULL;
	param->private_data_len = 0;
	return true;
}

#define SPOIL(name, field, value) \
	static bool name(struct weft_rdma_cm *cm, struct rdma_conn_param *param) \
	{ \
		(void)param; \
		cm->field = value; \
		return true; \
	}
SPOIL(cm_magic, magic, htole32(0x12345678))
SPOIL(cm_version, version, htole16(99))
SPOIL(cm_recv_tiny, recv_size, htole32(16))
SPOIL(cm_recv_huge, recv_size, htole32(0xffffffff))
SPOIL(cm_depth_none, recv_depth, 0)
SPOIL(cm_depth_one, recv_depth, htole16(1))

static bool cm_reject_garbage(struct weft_rdma_cm *cm, struct rdma_conn_param *param)
{
	(void)param;
	memset(cm, 0xa5, sizeof(*cm));
	return false;
}

/* ---- frames and messages */

static int frame_short(struct conn *c, const struct weft_hdr *hdr)
{
	(void)hdr;
	frame_of(c, 0);
	return send_raw(c, 4);
}

static int frame_missing(struct conn *c, const struct weft_hdr *hdr)
{
	(void)hdr;
	frame_of(c, 100);
	return send_raw(c, sizeof(struct weft_rdma_frame) + 8);
}

static int frame_huge(struct conn *c, const struct weft_hdr *hdr)
{
	uint32_t len = build_reply(c, hdr, "", 0);

	frame_of(c, 0xffffffff);
	return send_raw(c, len);
}

static int msg_huge(struct conn *c, const struct weft_hdr *hdr)
{
	uint32_t len = build_reply(c, hdr, "", 0);

	reply_hdr(c)->len = htole32(0x7fffffff);
	return send_raw(c, len);
}

static int msg_small(struct conn *c, const struct weft_hdr *hdr)
{
	uint32_t len = build_reply(c, hdr, "", 0);

	reply_hdr(c)->len = htole32(8);
	return send_raw(c, len);
}

static int msg_body_outside(struct conn *c, const struct weft_hdr *hdr)
{
	uint32_t len = build_reply(c, hdr, "", 0);

	reply_hdr(c)->body_len = htole16(0xfff0);
	return send_raw(c, len);
}

static int msg_magic(struct conn *c, const struct weft_hdr *hdr)
{
	uint32_t len = build_reply(c, hdr, "", 0);

	reply_hdr(c)->magic = htole32(0x21212121);
	return send_raw(c, len);
}

/* A message of two frames whose first one is not full. */
static int msg_split(struct conn *c, const struct weft_hdr *hdr)
{
	static const uint8_t body[200];

	build_reply(c, hdr, body, sizeof(body));
	frame_of(c, sizeof(struct weft_hdr));
	return send_raw(c, sizeof(struct weft_rdma_frame) + sizeof(struct weft_hdr));
}

static int msg_segs(struct conn *c, const struct weft_hdr *hdr)
{
	static const uint8_t body[64];
	uint32_t len = build_reply(c, hdr, body, sizeof(body));

	reply_hdr(c)->body_len = htole16(32);
	reply_hdr(c)->nsegs = htole16(2);
	return send_raw(c, len);
}

/* It claims to have posted again what was never sent to it. */
static int recvs_ahead(struct conn *c, const struct weft_hdr *hdr)
{
	(void)hdr;
	frame_of(c, 0)->recvs = htole32(c->received + 0x40000000);
	return send_raw(c, sizeof(struct weft_rdma_frame));
}

static int recvs_back(struct conn *c, const struct weft_hdr *hdr)
{
	(void)hdr;
	frame_of(c, 0)->recvs = htole32(c->received - 0x1000);
	return send_raw(c, sizeof(struct weft_rdma_frame));
}

/* More bulk than the client asked for, inline and only announced. */
static int bulk_inline_more(struct conn *c, const struct weft_hdr *hdr)
{
	struct weft_obj_rep rep = { .len = htole32(4096) };
	uint32_t len = build_reply(c, hdr, &rep, sizeof(rep));

	memset(c->send + len, 0x55, 4096);
	frame_of(c, sizeof(struct weft_hdr) + sizeof(rep) + 4096);
	reply_hdr(c)->bulk_len = htole32(0x7ffff000);
	return send_raw(c, len + 4096 < RECV_SIZE ? len + 4096 : RECV_SIZE);
}

static int bulk_announced_more(struct conn *c, const struct weft_hdr *hdr)
{
	struct weft_obj_rep rep = { .len = htole32(le32toh(hdr->bulk_max) + 4096) };
	uint32_t len = build_reply(c, hdr, &rep, sizeof(rep));

	reply_hdr(c)->bulk_len = rep.len;
	return send_raw(c, len);
}

/* Frames without end: the client has fewer receives than that. */
static int garbage(struct conn *c, const struct weft_hdr *hdr)
{
	unsigned int i, k;
	int status = IBV_WC_SUCCESS;

	(void)hdr;
	srandom(1);
	for (i = 0; i < 200 && status == IBV_WC_SUCCESS && !atomic_load(&c->gone); i++) {
		uint32_t len = 16 + random() % 1000;

		for (k = 0; k < len; k++)
			c->send[k] = random();
		frame_of(c, len - sizeof(struct weft_rdma_frame));
		status = send_raw(c, len);
	}
	return status;
}

/* ---- the client's memory */

/* The request's segments of one kind. Return: the first one, *n: how many. */
static const struct weft_seg *segments(const struct weft_hdr *hdr, bool to_write, unsigned int *n)
{
	unsigned int all = le16toh(hdr->nsegs), reads = 0;
	const struct weft_seg *seg = (const void *)((const uint8_t *)hdr + le32toh(hdr->len));
	uint32_t bulk = le32toh(hdr->bulk_len);

	seg -= all;
	while (all && reads < all && bulk) {
		uint32_t len = le32toh(seg[reads++].len);

		bulk -= len < bulk ? len : bulk;
	}
	*n = to_write ? all - reads : reads;
	return to_write ? seg + reads : seg;
}

static int rdma(struct conn *c, enum ibv_wr_opcode op, uint64_t addr, uint32_t rkey, uint32_t len)
{
	struct ibv_send_wr wr = { .opcode = op,
				  .wr.rdma = { .remote_addr = addr, .rkey = rkey } };

	memset(c->send, 0xee, len);
	return post(c, &wr, len);
}

static int rkey_write(struct conn *c, const struct weft_hdr *hdr)
{
	unsigned int n;
	const struct weft_seg *seg = segments(hdr, true, &n);

	return rdma(c, IBV_WR_RDMA_WRITE, le64toh(seg->addr), le32toh(seg->rkey) ^ 0x5a00, 4096);
}

static int rkey_read(struct conn *c, const struct weft_hdr *hdr)
{
	unsigned int n;
	const struct weft_seg *seg = segments(hdr, false, &n);

	return rdma(c, IBV_WR_RDMA_READ, le64toh(seg->addr), le32toh(seg->rkey) ^ 0x5a00, 4096);
}

static int write_behind(struct conn *c, const struct weft_hdr *hdr)
{
	unsigned int n;
	const struct weft_seg *seg = segments(hdr, true, &n);

	return rdma(c, IBV_WR_RDMA_WRITE, le64toh(seg->addr) + le32toh(seg->len) - 512,
		    le32toh(seg->rkey), 4096);
}

static int write_before(struct conn *c, const struct weft_hdr *hdr)
{
	unsigned int n;
	const struct weft_seg *seg = segments(hdr, true, &n);

	return rdma(c, IBV_WR_RDMA_WRITE, le64toh(seg->addr) - 512, le32toh(seg->rkey), 1024);
}

static int read_behind(struct conn *c, const struct weft_hdr *hdr)
{
	unsigned int n;
	const struct weft_seg *seg = segments(hdr, false, &n);

	return rdma(c, IBV_WR_RDMA_READ, le64toh(seg->addr) + le32toh(seg->len) - 512,
		    le32toh(seg->rkey), 4096);
}

/* What is offered for reading must not be written, and the other way round. */
static int write_what_is_read(struct conn *c, const struct weft_hdr *hdr)
{
	unsigned int n;
	const struct weft_seg *seg = segments(hdr, false, &n);

	return rdma(c, IBV_WR_RDMA_WRITE, le64toh(seg->addr), le32toh(seg->rkey), 512);
}

static int read_what_is_written(struct conn *c, const struct weft_hdr *hdr)
{
	unsigned int n;
	const struct weft_seg *seg = segments(hdr, true, &n);

	return rdma(c, IBV_WR_RDMA_READ, le64toh(seg->addr), le32toh(seg->rkey), 512);
}

static int inv_foreign(struct conn *c, const struct weft_hdr *hdr)
{
	struct weft_obj_rep rep = { 0 };
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND_WITH_INV, .invalidate_rkey = 0x00abcd11 };
	uint32_t len = build_reply(c, hdr, &rep, sizeof(rep));

	reply_hdr(c)->status = htole32(WEFT_S_BUSY);
	return post(c, &wr, len);
}

/* The reply promises that the server has finished with the memory; then it writes there. */
static int write_late(struct conn *c, const struct weft_hdr *hdr)
{
	unsigned int n;
	const struct weft_seg *seg = segments(hdr, true, &n);
	uint64_t addr = le64toh(seg->addr);
	uint32_t rkey = le32toh(seg->rkey);
	struct weft_obj_rep rep = { 0 };
	uint32_t len = build_reply(c, hdr, &rep, sizeof(rep));
	int status;

	/* A reply without an error would be believed: that nothing is stored there. */
	reply_hdr(c)->status = htole32(WEFT_S_BUSY);
	status = send_raw(c, len);
	if (status)
		return status;
	sleep(1);
	return rdma(c, IBV_WR_RDMA_WRITE, addr, rkey, 4096);
}

static atomic_uint hung_up;

static int hang_up(struct conn *c, const struct weft_hdr *hdr)
{
	(void)hdr;
	atomic_fetch_add(&hung_up, 1);
	return rdma_disconnect(c->id);
}

static const struct mode hanging_up = { "hang-up", NEED_ANY, NULL, hang_up };

static const struct mode modes[] = {
	{ "cm-none", NEED_CONNECT, cm_none, NULL },
	{ "cm-magic", NEED_CONNECT, cm_magic, NULL },
	{ "cm-version", NEED_CONNECT, cm_version, NULL },
	{ "cm-recv-tiny", NEED_CONNECT, cm_recv_tiny, NULL },
	{ "cm-recv-huge", NEED_CONNECT, cm_recv_huge, NULL },
	{ "cm-depth-none", NEED_CONNECT, cm_depth_none, NULL },
	{ "cm-depth-one", NEED_CONNECT, cm_depth_one, NULL },
	{ "cm-reject-garbage", NEED_CONNECT, cm_reject_garbage, NULL },
	{ "frame-short", NEED_ANY, NULL, frame_short },
	{ "frame-missing", NEED_ANY, NULL, frame_missing },
	{ "frame-huge", NEED_ANY, NULL, frame_huge },
	{ "msg-huge", NEED_ANY, NULL, msg_huge },
	{ "msg-small", NEED_ANY, NULL, msg_small },
	{ "msg-body-outside", NEED_ANY, NULL, msg_body_outside },
	{ "msg-magic", NEED_ANY, NULL, msg_magic },
	{ "msg-split", NEED_ANY, NULL, msg_split },
	{ "msg-segs", NEED_ANY, NULL, msg_segs },
	{ "recvs-ahead", NEED_ANY, NULL, recvs_ahead },
	{ "recvs-back", NEED_ANY, NULL, recvs_back },
	{ "garbage", NEED_ANY, NULL, garbage },
	{ "bulk-inline-more", NEED_READ, NULL, bulk_inline_more },
	{ "bulk-announced-more", NEED_READ, NULL, bulk_announced_more },
	{ "rkey-write", NEED_READ, NULL, rkey_write },
	{ "write-behind", NEED_READ, NULL, write_behind },
	{ "write-before", NEED_READ, NULL, write_before },
	{ "read-what-is-written", NEED_READ, NULL, read_what_is_written },
	{ "inv-foreign", NEED_READ, NULL, inv_foreign },
	{ "write-late", NEED_READ, NULL, write_late },
	{ "rkey-read", NEED_WRITE, NULL, rkey_read },
	{ "read-behind", NEED_WRITE, NULL, read_behind },
	{ "write-what-is-read", NEED_WRITE, NULL, write_what_is_read },
};

/* These touch the client's memory: the device has to refuse them. */
static bool must_fail(void)
{
	return mode->misdeed == rkey_write || mode->misdeed == rkey_read ||
	       mode->misdeed == write_behind || mode->misdeed == write_before ||
	       mode->misdeed == read_behind || mode->misdeed == write_what_is_read ||
	       mode->misdeed == read_what_is_written || mode->misdeed == write_late;
}

/* ---- a connection's life */

static bool wanted(const struct weft_hdr *hdr)
{
	unsigned int n;

	switch (mode->need) {
	case NEED_ANY:
		return true;
	case NEED_READ:
		segments(hdr, true, &n);
		return le16toh(hdr->opcode) == WEFT_OP_OBJ_READ && n;
	case NEED_WRITE:
		segments(hdr, false, &n);
		return le16toh(hdr->opcode) == WEFT_OP_OBJ_WRITE && n;
	default:
		return false;
	}
}

static void on_message(struct conn *c, const struct weft_hdr *hdr)
{
	static atomic_flag done = ATOMIC_FLAG_INIT;
	char text[100];
	int status, i;

	if (le16toh(hdr->opcode) == WEFT_OP_INIT) {
		answer_init(c, hdr);
		return;
	}
	if (mode == &hanging_up)
		hang_up(c, hdr);
	if (mode == &hanging_up || !wanted(hdr) || atomic_flag_test_and_set(&done))
		return;
	status = mode->misdeed(c, hdr);
	if (must_fail()) {
		snprintf(text, sizeof(text), "%s", status ? ibv_wc_status_str(status) : "SUCCEEDED");
		conclude(status ? 0 : 3, text);
	}
	for (i = 0; i < 300 && !atomic_load(&c->gone); i++) {
		progress(c, false);
		usleep(100000);
	}
	if (atomic_load(&c->gone))
		conclude(0, "the client ended the connection");
	else
		conclude(1, "the client kept the connection");
}

/* A message is complete with the bulk behind its text, which comes inline without segments. */
static bool complete(const struct conn *c)
{
	const struct weft_hdr *hdr = (const void *)c->msg;
	uint32_t bulk;

	if (c->msg_have < sizeof(*hdr))
		return false;
	bulk = hdr->nsegs ? 0 : le32toh(hdr->bulk_len);
	return c->msg_have >= le32toh(hdr->len) + bulk;
}

/* Frames to messages; this server trusts its client. */
static void on_frame(struct conn *c, const uint8_t *frame, uint32_t len)
{
	const struct weft_rdma_frame *f = (const void *)frame;
	uint32_t n = le32toh(f->len);

	if (!n || len < sizeof(*f) + n || c->msg_have + n > sizeof(c->msg))
		return;
	memcpy(c->msg + c->msg_have, frame + sizeof(*f), n);
	c->msg_have += n;
	if (!complete(c))
		return;
	c->msg_have = 0;
	if (c->busy)
		return;
	c->busy = true;
	memcpy(c->request, c->msg, sizeof(c->request));
	on_message(c, (const void *)c->request);
	c->busy = false;
}

static void *serve(void *arg)
{
	struct conn *c = arg;

	while (!atomic_load(&c->gone)) {
		progress(c, false);
		usleep(500);
	}
	return NULL;
}

static void take(struct rdma_cm_id *id)
{
	struct ibv_qp_init_attr attr = { .qp_type = IBV_QPT_RC,
					 .cap = { .max_send_wr = 16, .max_recv_wr = DEPTH,
						  .max_send_sge = 1, .max_recv_sge = 1 } };
	struct weft_rdma_cm cm = { .magic = htole32(WEFT_MAGIC),
				   .version = htole16(WEFT_RDMA_VERSION),
				   .recv_size = htole32(RECV_SIZE),
				   .recv_depth = htole16(DEPTH),
				   .inline_max = htole16(4096) };
	struct rdma_conn_param param = { .private_data = &cm, .private_data_len = sizeof(cm),
					 .responder_resources = 4, .initiator_depth = 4,
					 .rnr_retry_count = 3, .retry_count = 3 };
	struct conn *c = calloc(1, sizeof(*c));
	unsigned int i;

	if (mode->connect && !mode->connect(&cm, &param)) {
		rdma_reject(id, &cm, sizeof(cm));
		conclude(0, "refused");
		free(c);
		return;
	}
	c->id = id;
	id->context = c;
	c->pd = ibv_alloc_pd(id->verbs);
	c->cq = ibv_create_cq(id->verbs, 4 * DEPTH, NULL, NULL, 0);
	c->recv = aligned_alloc(4096, DEPTH * RECV_SIZE);
	c->send = aligned_alloc(4096, SEND_SIZE);
	c->recv_mr = ibv_reg_mr(c->pd, c->recv, DEPTH * RECV_SIZE, IBV_ACCESS_LOCAL_WRITE);
	c->send_mr = ibv_reg_mr(c->pd, c->send, SEND_SIZE, IBV_ACCESS_LOCAL_WRITE);
	attr.send_cq = attr.recv_cq = c->cq;
	if (!c->recv_mr || !c->send_mr || rdma_create_qp(id, c->pd, &attr))
		die("queue pair");
	for (i = 0; i < DEPTH; i++)
		post_recv(c, i);
	if (rdma_accept(id, &param))
		die("accept");
	pthread_create(&c->thread, NULL, serve, c);
}

static void on_event(struct rdma_cm_event *event)
{
	struct rdma_cm_id *id = event->id;
	struct conn *c = id->context;
	enum rdma_cm_event_type type = event->event;

	rdma_ack_cm_event(event);
	switch (type) {
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		take(id);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_REJECTED:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
		if (!c)
			break;
		atomic_store(&c->gone, true);
		if (mode->connect)
			conclude(0, "the client ended the connection");
		break;
	default:
		break;
	}
}

static struct rdma_event_channel *listen_at(char *where)
{
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct sockaddr_in sin = { .sin_family = AF_INET };
	char *port = strrchr(where, ':');
	struct rdma_cm_id *id;

	if (!port)
		return NULL;
	*port = 0;
	sin.sin_port = htons(atoi(port + 1));
	if (inet_pton(AF_INET, where, &sin.sin_addr) != 1)
		return NULL;
	if (!channel || rdma_create_id(channel, &id, NULL, RDMA_PS_TCP) ||
	    rdma_bind_addr(id, (struct sockaddr *)&sin) || rdma_listen(id, 64))
		die("listen");
	return channel;
}

static void *take_connections(void *channel)
{
	struct rdma_cm_event *event;

	while (!rdma_get_cm_event(channel, &event))
		on_event(event);
	return NULL;
}

static void conclude_hang_up(unsigned int most)
{
	unsigned int n = atomic_load(&hung_up);
	char text[80];

	snprintf(text, sizeof(text), "%u connections, allowed are 2 to %u", n, most);
	conclude(n < 2 || n > most, text);
}

int main(int argc, char **argv)
{
	struct rdma_event_channel *channel;
	unsigned int i, tenths;
	pthread_t thread;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (argc == 2 && !strcmp(argv[1], "--list"))
			puts(modes[i].name);
		else if (argc > 2 && !strcmp(argv[2], modes[i].name))
			mode = &modes[i];
	}
	if (argc == 2 && !strcmp(argv[1], "--list"))
		return 0;
	if (argc == 5 && !strcmp(argv[2], hanging_up.name))
		mode = &hanging_up;
	channel = mode ? listen_at(argv[1]) : NULL;
	if (!channel) {
		fprintf(stderr, "usage: rdma_bad_server ADDR:PORT MODE [SECONDS] | ADDR:PORT hang-up SECONDS MOST | --list\n");
		return 2;
	}
	tenths = 10 * (argc > 3 ? atoi(argv[3]) : 30);
	pthread_create(&thread, NULL, take_connections, channel);
	while (atomic_load(&verdict) < 0 && tenths--)
		usleep(100000);
	if (mode == &hanging_up)
		conclude_hang_up(atoi(argv[4]));
	conclude(1, "no client came, or it asked for nothing");
	fflush(stdout);
	_exit(atomic_load(&verdict));
}
