// SPDX-License-Identifier: Apache-2.0
/* See verbs_fake.h. One lock protects everything. */
#include "tests/unit/common/rpc/verbs_fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#undef ibv_reg_mr

#define CQ_MAX 1024
#define RQ_MAX 256

struct fake_verbs fake_verbs = { .max_rd = 4, .reg_fails = -1 };

struct fake_cq {
	struct ibv_cq cq;
	struct ibv_wc wc[CQ_MAX];
	struct fake_qp *of[CQ_MAX]; /* whose send queue gets room when it is polled */
	unsigned int freed[CQ_MAX], reads[CQ_MAX];
	unsigned int head, count;
	bool armed;
};

struct fake_qp {
	struct ibv_qp qp;
	struct fake_qp *next;
	struct fake_cq *cq;
	struct fake_qp *peer;
	struct ibv_recv_wr rq[RQ_MAX];
	struct ibv_sge rsge[RQ_MAX];
	unsigned int rhead, rcount, sq_max, sq_used, sq_run, reads, read_run, max_sge;
	bool dead;
};

struct fake_mr {
	struct ibv_mr mr;
	struct fake_mr *next;
	int access;
};

struct fake_event {
	struct rdma_cm_event ev;
	struct fake_event *next;
	char data[64];
};

struct fake_chan {
	struct rdma_event_channel ch;
	struct fake_event *events;
};

struct fake_id {
	struct rdma_cm_id id;
	struct fake_id *next, *peer;
	bool listening, connected;
	uint16_t port, dst;
	struct rdma_conn_param param;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_mr *mrs;
static struct fake_id *ids;
static struct fake_qp *qps;
static uint32_t next_key = 0x100;
static uint16_t next_port = 30000;

static struct ibv_device device = { .name = "fake0" };

/* Not by the functions that the torture test makes fail: a device needs no memory of ours. */
static void *take(size_t len)
{
	void *p = aligned_alloc(64, (len + 63) / 64 * 64);

	if (!p)
		abort();
	return memset(p, 0, len);
}

static void fault(const char *what)
{
	fprintf(stderr, "verbs_fake: %s\n", what);
	fake_verbs.faults++;
}

static void ring(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		fault("eventfd");
}

/* --- completions */

static void complete(struct fake_qp *qp, const struct ibv_wc *wc, unsigned int freed,
		     unsigned int reads)
{
	struct fake_cq *cq = qp->cq;
	unsigned int at = (cq->head + cq->count) % CQ_MAX;

	if (cq->count == (unsigned int)cq->cq.cqe)
		fault("a completion queue runs over");
	cq->wc[at] = *wc;
	cq->of[at] = qp;
	cq->freed[at] = freed;
	cq->reads[at] = reads;
	cq->count++;
	if (cq->armed) {
		cq->armed = false;
		ring(cq->cq.channel->fd);
	}
}

static int poll_cq(struct ibv_cq *c, int n, struct ibv_wc *wc)
{
	struct fake_cq *cq = (struct fake_cq *)c;
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < n && cq->count; i++) {
		wc[i] = cq->wc[cq->head];
		cq->of[cq->head]->sq_used -= cq->freed[cq->head];
		cq->of[cq->head]->reads -= cq->reads[cq->head];
		cq->head = (cq->head + 1) % CQ_MAX;
		cq->count--;
	}
	pthread_mutex_unlock(&lock);
	return i;
}

/* As a device: an entry that is there already does not ring. */
static int req_notify(struct ibv_cq *c, int solicited)
{
	(void)solicited;
	pthread_mutex_lock(&lock);
	((struct fake_cq *)c)->armed = true;
	pthread_mutex_unlock(&lock);
	return 0;
}

/* --- memory */

static struct fake_mr *find_mr(uint32_t key, uint64_t addr, uint64_t len, int access)
{
	struct fake_mr *m;

	for (m = mrs; m && m->mr.rkey != key; m = m->next)
		;
	if (!m || addr < (uintptr_t)m->mr.addr || addr + len < addr ||
	    addr + len > (uintptr_t)m->mr.addr + m->mr.length || (m->access & access) != access)
		return NULL;
	return m;
}

static bool local_ok(const struct ibv_send_wr *wr, size_t *len)
{
	int i;

	*len = 0;
	for (i = 0; i < wr->num_sge; i++) {
		if (!find_mr(wr->sg_list[i].lkey, wr->sg_list[i].addr, wr->sg_list[i].length,
			     wr->opcode == IBV_WR_RDMA_READ ? IBV_ACCESS_LOCAL_WRITE : 0))
			return false;
		*len += wr->sg_list[i].length;
	}
	return true;
}

/* --- queue pairs */

static void kill_qp(struct fake_qp *qp)
{
	struct ibv_wc wc = { .status = IBV_WC_WR_FLUSH_ERR };

	if (!qp || qp->dead)
		return;
	qp->dead = true;
	for (; qp->rcount; qp->rcount--) {
		wc.wr_id = qp->rq[qp->rhead].wr_id;
		qp->rhead = (qp->rhead + 1) % RQ_MAX;
		complete(qp, &wc, 0, 0);
	}
}

void fake_cut(void)
{
	struct fake_qp *qp;

	pthread_mutex_lock(&lock);
	for (qp = qps; qp; qp = qp->next)
		kill_qp(qp);
	pthread_mutex_unlock(&lock);
}

static void gather(const struct ibv_send_wr *wr, char *mem, bool out)
{
	int i;

	for (i = 0; i < wr->num_sge; mem += wr->sg_list[i++].length)
		memcpy(out ? (void *)(uintptr_t)wr->sg_list[i].addr : mem,
		       out ? mem : (void *)(uintptr_t)wr->sg_list[i].addr, wr->sg_list[i].length);
}

static enum ibv_wc_status do_send(struct fake_qp *qp, struct ibv_send_wr *wr, size_t len)
{
	struct fake_qp *p = qp->peer;
	struct ibv_wc wc = { .opcode = IBV_WC_RECV, .byte_len = len };
	struct ibv_sge *sge;

	if (!p->rcount)
		return IBV_WC_RNR_RETRY_EXC_ERR;
	sge = &p->rsge[p->rhead];
	if (sge->length < len || !find_mr(sge->lkey, sge->addr, len, IBV_ACCESS_LOCAL_WRITE))
		return IBV_WC_REM_INV_REQ_ERR;
	gather(wr, (char *)(uintptr_t)sge->addr, false);
	wc.wr_id = p->rq[p->rhead].wr_id;
	p->rhead = (p->rhead + 1) % RQ_MAX;
	p->rcount--;
	if (wr->opcode == IBV_WR_SEND_WITH_INV) {
		wc.wc_flags = IBV_WC_WITH_INV;
		wc.invalidated_rkey = wr->invalidate_rkey;
	}
	complete(p, &wc, 0, 0);
	return IBV_WC_SUCCESS;
}

static enum ibv_wc_status do_wr(struct fake_qp *qp, struct ibv_send_wr *wr)
{
	bool read = wr->opcode == IBV_WR_RDMA_READ;
	size_t len;

	if (!qp->peer || qp->dead)
		return IBV_WC_WR_FLUSH_ERR;
	if (qp->peer->dead)
		return IBV_WC_RETRY_EXC_ERR;
	if (!local_ok(wr, &len)) {
		fault("a local key or range is wrong");
		return IBV_WC_LOC_PROT_ERR;
	}
	if (wr->opcode == IBV_WR_SEND || wr->opcode == IBV_WR_SEND_WITH_INV)
		return do_send(qp, wr, len);
	if (len && !find_mr(wr->wr.rdma.rkey, wr->wr.rdma.remote_addr, len,
			    read ? IBV_ACCESS_REMOTE_READ : IBV_ACCESS_REMOTE_WRITE))
		return IBV_WC_REM_ACCESS_ERR;
	gather(wr, (char *)(uintptr_t)wr->wr.rdma.remote_addr, read);
	return IBV_WC_SUCCESS;
}

static int post_one(struct fake_qp *qp, struct ibv_send_wr *wr)
{
	struct ibv_wc wc = { .wr_id = wr->wr_id };

	if (qp->sq_used == qp->sq_max || wr->num_sge > (int)qp->max_sge) {
		fault("a send queue runs over, or has a request that is too long");
		return ENOMEM;
	}
	qp->sq_used++;
	qp->sq_run++;
	if (wr->opcode == IBV_WR_RDMA_READ) {
		qp->reads++;
		qp->read_run++;
		if (qp->reads > (unsigned int)fake_verbs.max_rd)
			fault("more READs than the peer answers");
	}
	wc.status = do_wr(qp, wr);
	if (wc.status || (wr->send_flags & IBV_SEND_SIGNALED)) {
		complete(qp, &wc, qp->sq_run, qp->read_run);
		qp->sq_run = 0;
		qp->read_run = 0;
	}
	if (wc.status) {
		kill_qp(qp);
		if (wc.status != IBV_WC_WR_FLUSH_ERR)
			kill_qp(qp->peer);
	}
	return 0;
}

static int post_send(struct ibv_qp *q, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	int ret = 0;

	pthread_mutex_lock(&lock);
	for (; wr && !ret; wr = wr->next) {
		*bad = wr;
		ret = post_one((struct fake_qp *)q, wr);
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

static int post_recv(struct ibv_qp *q, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct fake_qp *qp = (struct fake_qp *)q;
	struct ibv_wc wc = { .wr_id = wr->wr_id, .status = IBV_WC_WR_FLUSH_ERR };
	unsigned int at = (qp->rhead + qp->rcount) % RQ_MAX;

	(void)bad;
	pthread_mutex_lock(&lock);
	if (qp->dead) {
		complete(qp, &wc, 0, 0);
	} else {
		qp->rq[at] = *wr;
		qp->rsge[at] = *wr->sg_list;
		qp->rcount++;
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

static struct ibv_context context = {
	.device = &device,
	.ops = { .poll_cq = poll_cq, .req_notify_cq = req_notify, .post_send = post_send,
		 .post_recv = post_recv },
	.num_comp_vectors = 1,
};

/* --- verbs */

int ibv_query_device(struct ibv_context *c, struct ibv_device_attr *a)
{
	(void)c;
	*a = (struct ibv_device_attr){
		.max_qp_wr = 256, .max_cqe = CQ_MAX, .max_sge = 4, .max_sge_rd = 2,
		.max_qp_rd_atom = fake_verbs.max_rd, .max_qp_init_rd_atom = fake_verbs.max_rd,
		.device_cap_flags = fake_verbs.no_inv ? 0 : IBV_DEVICE_MEM_MGT_EXTENSIONS,
	};
	return 0;
}

const char *ibv_get_device_name(struct ibv_device *d)
{
	return d->name;
}

const char *ibv_wc_status_str(enum ibv_wc_status status)
{
	return status == IBV_WC_REM_ACCESS_ERR ? "remote access error" : "error";
}

struct ibv_pd *ibv_alloc_pd(struct ibv_context *c)
{
	static struct ibv_pd pd;

	pd.context = c;
	return &pd;
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *addr, size_t len, uint64_t iova,
				unsigned int access)
{
	struct fake_mr *m = take(sizeof(*m));

	(void)iova;
	pthread_mutex_lock(&lock);
	if (!m || !fake_verbs.reg_fails) {
		pthread_mutex_unlock(&lock);
		free(m);
		errno = ENOMEM;
		return NULL;
	}
	if (fake_verbs.reg_fails > 0)
		fake_verbs.reg_fails--;
	m->mr.pd = pd;
	m->mr.addr = addr;
	m->mr.length = len;
	m->mr.lkey = m->mr.rkey = next_key++;
	m->access = access;
	m->next = mrs;
	mrs = m;
	fake_verbs.mrs++;
	pthread_mutex_unlock(&lock);
	return &m->mr;
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	return ibv_reg_mr_iova2(pd, addr, len, (uintptr_t)addr, access);
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	struct fake_mr **at = &mrs;

	pthread_mutex_lock(&lock);
	while (&(*at)->mr != mr)
		at = &(*at)->next;
	*at = (*at)->next;
	fake_verbs.mrs--;
	pthread_mutex_unlock(&lock);
	free(mr);
	return 0;
}

struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *c)
{
	struct ibv_comp_channel *ch = take(sizeof(*ch));

	ch->context = c;
	ch->fd = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
	return ch;
}

int ibv_destroy_comp_channel(struct ibv_comp_channel *ch)
{
	close(ch->fd);
	free(ch);
	return 0;
}

struct ibv_cq *ibv_create_cq(struct ibv_context *c, int cqe, void *ctx, struct ibv_comp_channel *ch,
			     int vector)
{
	struct fake_cq *cq = take(sizeof(*cq));

	(void)vector;
	cq->cq.context = c;
	cq->cq.channel = ch;
	cq->cq.cq_context = ctx;
	cq->cq.cqe = cqe;
	/* The fake's channel serves one queue. */
	ch->refcnt = 1;
	return &cq->cq;
}

int ibv_destroy_cq(struct ibv_cq *cq)
{
	free(cq);
	return 0;
}

int ibv_get_cq_event(struct ibv_comp_channel *ch, struct ibv_cq **cq, void **ctx)
{
	uint64_t one;

	*cq = NULL;
	*ctx = NULL;
	return read(ch->fd, &one, sizeof(one)) == sizeof(one) ? 0 : -1;
}

void ibv_ack_cq_events(struct ibv_cq *cq, unsigned int n)
{
	(void)cq;
	(void)n;
}

/* --- the connection manager */

struct rdma_event_channel *rdma_create_event_channel(void)
{
	struct fake_chan *c = take(sizeof(*c));

	c->ch.fd = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
	return &c->ch;
}

void rdma_destroy_event_channel(struct rdma_event_channel *ch)
{
	struct fake_chan *c = (struct fake_chan *)ch;

	if (c->events)
		fault("an event channel goes with events in it");
	close(ch->fd);
	free(c);
}

static void queue_event(struct fake_id *id, enum rdma_cm_event_type type, int status,
			struct fake_id *listener, const struct rdma_conn_param *p)
{
	struct fake_chan *c = (struct fake_chan *)(listener ? listener : id)->id.channel;
	struct fake_event *e = take(sizeof(*e)), **at = &c->events;

	e->ev.id = &id->id;
	e->ev.listen_id = listener ? &listener->id : NULL;
	e->ev.event = type;
	e->ev.status = status;
	if (p) {
		e->ev.param.conn = *p;
		/* What one side starts, the other answers. */
		e->ev.param.conn.responder_resources = p->initiator_depth;
		e->ev.param.conn.initiator_depth = p->responder_resources;
		if (p->private_data_len)
			memcpy(e->data, p->private_data, p->private_data_len);
		e->ev.param.conn.private_data = e->data;
		e->ev.param.conn.private_data_len = 56;
	}
	while (*at)
		at = &(*at)->next;
	*at = e;
	ring(c->ch.fd);
}

int rdma_get_cm_event(struct rdma_event_channel *ch, struct rdma_cm_event **out)
{
	struct fake_chan *c = (struct fake_chan *)ch;
	struct fake_event *e;
	uint64_t one;

	if (read(ch->fd, &one, sizeof(one)) != sizeof(one))
		return -1;
	pthread_mutex_lock(&lock);
	e = c->events;
	if (e)
		c->events = e->next;
	pthread_mutex_unlock(&lock);
	errno = EAGAIN;
	if (!e)
		return -1;
	*out = &e->ev;
	return 0;
}

int rdma_ack_cm_event(struct rdma_cm_event *ev)
{
	free(ev);
	return 0;
}

static struct fake_id *id_new(struct rdma_event_channel *ch, void *ctx)
{
	struct fake_id *id = take(sizeof(*id));

	id->id.channel = ch;
	id->id.context = ctx;
	id->id.verbs = &context;
	id->id.route.addr.dst_addr.sa_family = AF_INET;
	id->next = ids;
	ids = id;
	fake_verbs.ids++;
	return id;
}

int rdma_create_id(struct rdma_event_channel *ch, struct rdma_cm_id **id, void *ctx,
		   enum rdma_port_space ps)
{
	(void)ps;
	pthread_mutex_lock(&lock);
	*id = &id_new(ch, ctx)->id;
	pthread_mutex_unlock(&lock);
	return 0;
}

static void drop_events(struct fake_id *id)
{
	struct fake_chan *c = (struct fake_chan *)id->id.channel;
	struct fake_event **at = &c->events, *e;

	while ((e = *at)) {
		if (e->ev.id != &id->id) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		free(e);
	}
}

static void part(struct fake_id *id)
{
	struct fake_id *p = id->peer;

	kill_qp((struct fake_qp *)id->id.qp);
	if (!p)
		return;
	if (id->connected && p->connected) {
		kill_qp((struct fake_qp *)p->id.qp);
		queue_event(p, RDMA_CM_EVENT_DISCONNECTED, 0, NULL, NULL);
		p->connected = false;
	} else if (!id->connected && p->peer == id && !p->listening) {
		queue_event(p, RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT, NULL, NULL);
	}
	id->connected = false;
	p->peer = NULL;
	id->peer = NULL;
}

int rdma_destroy_id(struct rdma_cm_id *cid)
{
	struct fake_id *id = (struct fake_id *)cid, **at = &ids;

	pthread_mutex_lock(&lock);
	if (cid->qp)
		fault("an id goes with its queue pair");
	part(id);
	drop_events(id);
	while (*at != id)
		at = &(*at)->next;
	*at = id->next;
	fake_verbs.ids--;
	pthread_mutex_unlock(&lock);
	free(id);
	return 0;
}

int rdma_migrate_id(struct rdma_cm_id *id, struct rdma_event_channel *ch)
{
	id->channel = ch;
	return 0;
}

int rdma_set_option(struct rdma_cm_id *id, int level, int name, void *val, size_t len)
{
	(void)id;
	(void)level;
	(void)name;
	(void)val;
	(void)len;
	return 0;
}

int rdma_bind_addr(struct rdma_cm_id *cid, struct sockaddr *sa)
{
	struct fake_id *id = (struct fake_id *)cid;

	id->port = ntohs(((struct sockaddr_in *)sa)->sin_port);
	if (!id->port)
		id->port = ++next_port;
	return 0;
}

int rdma_listen(struct rdma_cm_id *cid, int backlog)
{
	(void)backlog;
	((struct fake_id *)cid)->listening = true;
	return 0;
}

uint16_t rdma_get_src_port(struct rdma_cm_id *id)
{
	return htons(((struct fake_id *)id)->port);
}

uint16_t rdma_get_dst_port(struct rdma_cm_id *id)
{
	return htons(((struct fake_id *)id)->dst);
}

int rdma_resolve_addr(struct rdma_cm_id *cid, struct sockaddr *src, struct sockaddr *dst, int ms)
{
	struct fake_id *id = (struct fake_id *)cid;

	(void)src;
	(void)ms;
	pthread_mutex_lock(&lock);
	id->dst = ntohs(((struct sockaddr_in *)dst)->sin_port);
	queue_event(id, RDMA_CM_EVENT_ADDR_RESOLVED, 0, NULL, NULL);
	pthread_mutex_unlock(&lock);
	return 0;
}

int rdma_resolve_route(struct rdma_cm_id *id, int ms)
{
	(void)ms;
	pthread_mutex_lock(&lock);
	queue_event((struct fake_id *)id, RDMA_CM_EVENT_ROUTE_RESOLVED, 0, NULL, NULL);
	pthread_mutex_unlock(&lock);
	return 0;
}

int rdma_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	struct fake_qp *qp = take(sizeof(*qp));

	(void)pd;
	qp->qp.context = &context;
	qp->cq = (struct fake_cq *)attr->send_cq;
	qp->sq_max = attr->cap.max_send_wr;
	qp->max_sge = attr->cap.max_send_sge;
	pthread_mutex_lock(&lock);
	qp->next = qps;
	qps = qp;
	fake_verbs.qps++;
	pthread_mutex_unlock(&lock);
	id->qp = &qp->qp;
	return 0;
}

void rdma_destroy_qp(struct rdma_cm_id *id)
{
	struct fake_qp *qp = (struct fake_qp *)id->qp, **at = &qps;

	pthread_mutex_lock(&lock);
	while (*at != qp)
		at = &(*at)->next;
	*at = qp->next;
	if (qp->peer)
		qp->peer->peer = NULL;
	fake_verbs.qps--;
	pthread_mutex_unlock(&lock);
	free(qp);
	id->qp = NULL;
}

int rdma_connect(struct rdma_cm_id *cid, struct rdma_conn_param *p)
{
	struct fake_id *id = (struct fake_id *)cid, *l, *n;

	pthread_mutex_lock(&lock);
	for (l = ids; l && !(l->listening && l->port == id->dst); l = l->next)
		;
	if (l) {
		n = id_new(l->id.channel, NULL);
		n->peer = id;
		id->peer = n;
		queue_event(n, RDMA_CM_EVENT_CONNECT_REQUEST, 0, l, p);
	} else {
		queue_event(id, RDMA_CM_EVENT_REJECTED, 8, NULL, NULL);
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

int rdma_accept(struct rdma_cm_id *cid, struct rdma_conn_param *p)
{
	struct fake_id *id = (struct fake_id *)cid;

	pthread_mutex_lock(&lock);
	if (id->peer && id->peer->id.qp) {
		struct fake_qp *a = (struct fake_qp *)id->id.qp;
		struct fake_qp *b = (struct fake_qp *)id->peer->id.qp;

		a->peer = b;
		b->peer = a;
		id->connected = id->peer->connected = true;
		queue_event(id, RDMA_CM_EVENT_ESTABLISHED, 0, NULL, NULL);
		queue_event(id->peer, RDMA_CM_EVENT_ESTABLISHED, 0, NULL, p);
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

int rdma_reject(struct rdma_cm_id *cid, const void *data, uint8_t len)
{
	struct rdma_conn_param p = { .private_data = data, .private_data_len = len };
	struct fake_id *id = (struct fake_id *)cid;

	pthread_mutex_lock(&lock);
	if (id->peer) {
		queue_event(id->peer, RDMA_CM_EVENT_REJECTED, 28, NULL, &p);
		id->peer->peer = NULL;
		id->peer = NULL;
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

int rdma_disconnect(struct rdma_cm_id *id)
{
	pthread_mutex_lock(&lock);
	part((struct fake_id *)id);
	pthread_mutex_unlock(&lock);
	return 0;
}
