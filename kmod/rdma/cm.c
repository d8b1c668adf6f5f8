// SPDX-License-Identifier: GPL-2.0
/*
 * Connections: opened by the connection manager, closed with everything drained.
 *
 * Normal course: address and route are resolved in the mount's network namespace, which finds the
 * device; protection domain, completion queue (from the device's pool), queue pair, regions and
 * receives are made; CONNECT carries our struct weft_rdma_cm, ACCEPT the peer's.
 *
 * Closing: disconnect, drain the queue pair (from then on the device touches nothing), wait for the
 * works, give back all requests' memory, destroy in reverse order.
 *
 * How it can fail: no device reaches the address (-ENODEV, -ENETUNREACH), its port is down
 * (-ENETDOWN), nobody listens
 * (-ECONNREFUSED), the peer refuses or sends other private data (-EPROTO, -EPROTONOSUPPORT), the
 * device cannot do fast registration (-EOPNOTSUPP), time is up. Later: the peer disconnects, an
 * address changes, the device is removed: the connection manager tells; the port goes down: the
 * device tells, long before its retries have run out. The work reports it to the link, which closes
 * the connection; a device that is being removed waits for that.
 *
 * @error is set once, by anybody; the rest of the state belongs to open() until it returns.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <rdma/ib_cache.h>
#include "kmod/rdma/rdma.h"

#define STEP_MS 3000 /* to resolve an address or a route */
#define CONNECT_TIMEOUT (5 * HZ)
#define ACK_TIMEOUT 18 /* 4.096 us << 18: about 1 s, as the servers have it */
#define RETRIES 6      /* a silent peer is given up after 8 s; rdma_rxe takes 7 for ever */

/**
 * wrdma_fail() - the connection is not to be used any more
 * @c: the connection
 * @err: why, if it is the first to say so
 *
 * Context: any.
 */
void wrdma_fail(struct wrdma *c, int err)
{
	cmpxchg(&c->error, 0, err);
	wake_up_all(weft_link_wait(c->base.link));
	queue_work(wrdma_wq, &c->work);
}

static void cm_advance(struct wrdma *c, enum wrdma_state state)
{
	smp_store_release(&c->state, state);
	wake_up_all(weft_link_wait(c->base.link));
}

/* What the peer says of itself; all of it is checked here. */
static int cm_check(struct wrdma *c, const void *data, size_t len)
{
	struct weft_rdma_cm cm;

	if (!data || len < sizeof(cm))
		return -EPROTO;
	memcpy(&cm, data, sizeof(cm));
	if (cm.magic != cpu_to_le32(WEFT_MAGIC))
		return -EPROTO;
	if (cm.version != cpu_to_le16(WEFT_RDMA_VERSION))
		return -EPROTONOSUPPORT;
	c->peer = cm;
	return 0;
}

/* A peer that does not keep to proto/rdma.h is named. Return: @ret. */
static int cm_complain(const struct wrdma *c, int ret)
{
	if (ret == -EPROTO || ret == -EPROTONOSUPPORT)
		pr_warn_ratelimited("weft_rdma: %pISpc does not connect as a weft server does: error %d\n",
				    &c->id->route.addr.dst_addr, ret);
	return ret;
}

static int cm_accepted(struct wrdma *c, const struct rdma_conn_param *param)
{
	u32 size, depth;
	int ret = cm_check(c, param->private_data, param->private_data_len);

	if (ret)
		return ret;
	size = le32_to_cpu(c->peer.recv_size);
	depth = le16_to_cpu(c->peer.recv_depth);
	if (size < WEFT_RDMA_RECV_SIZE_MIN || size > WEFT_RDMA_RECV_SIZE_MAX ||
	    depth < WEFT_RDMA_RECV_DEPTH_MIN)
		return -EPROTO;
	c->send_size = min_t(u32, size, WRDMA_FRAME_MAX);
	c->peer_depth = depth;
	c->inline_out = min_t(u32, le16_to_cpu(c->peer.inline_max), WEFT_RDMA_INLINE_MAX);
	return 0;
}

static int cm_rejected(struct wrdma *c, struct rdma_cm_event *ev)
{
	const void *data;
	u8 len = 0;
	int ret;

	/* Without data it is the connection manager's: nobody listens, or he that did has died. */
	data = rdma_consumer_reject_data(c->id, ev, &len);
	if (!data || !memchr_inv(data, 0, len))
		return -ECONNREFUSED;
	ret = cm_check(c, data, len);
	if (ret)
		return ret;
	switch (le32_to_cpu(c->peer.status)) {
	case WEFT_S_VERSION:
		return -EPROTONOSUPPORT;
	case WEFT_S_BUSY:
		return -EBUSY;
	default:
		return -EPROTO;
	}
}

/* In the connection manager's work. Return: 0, the id stays ours. */
static int cm_handler(struct rdma_cm_id *id, struct rdma_cm_event *ev)
{
	struct wrdma *c = id->context;
	int ret;

	switch (ev->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		cm_advance(c, WRDMA_ADDR);
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		cm_advance(c, WRDMA_ROUTE);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		ret = cm_complain(c, cm_accepted(c, &ev->param.conn));
		if (ret)
			wrdma_fail(c, ret);
		else
			cm_advance(c, WRDMA_UP);
		break;
	case RDMA_CM_EVENT_REJECTED:
		wrdma_fail(c, cm_complain(c, cm_rejected(c, ev)));
		break;
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
		wrdma_fail(c, ev->status < 0 ? ev->status : -EHOSTUNREACH);
		break;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		atomic64_inc(&wrdma_counters.removals);
		wrdma_fail(c, -ENODEV);
		break;
	case RDMA_CM_EVENT_ADDR_CHANGE:
		wrdma_fail(c, -ENETDOWN);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
		wrdma_fail(c, -ECONNRESET);
		break;
	default:
		break;
	}
	return 0;
}

/* Something has happened to the queue pair that no completion tells. */
static void qp_event(struct ib_event *event, void *context)
{
	struct wrdma *c = context;

	if (event->event == IB_EVENT_QP_FATAL || event->event == IB_EVENT_QP_REQ_ERR ||
	    event->event == IB_EVENT_QP_ACCESS_ERR || event->event == IB_EVENT_DEVICE_FATAL)
		wrdma_fail(c, -ECONNRESET);
}

static void port_event(struct ib_event_handler *handler, struct ib_event *event)
{
	struct wrdma *c = container_of(handler, struct wrdma, port_events);

	if (event->event == IB_EVENT_PORT_ERR && event->element.port_num == c->id->port_num)
		wrdma_fail(c, -ENETDOWN);
}

/* Return: 0 when the state is reached, or a negative errno. */
static int open_wait(struct wrdma *c, enum wrdma_state state)
{
	struct weft_link *link = c->base.link;

	wait_event_timeout(*weft_link_wait(link),
			   smp_load_acquire(&c->state) >= state || READ_ONCE(c->error) ||
				   weft_link_stopping(link),
			   CONNECT_TIMEOUT);
	if (c->error)
		return c->error;
	if (smp_load_acquire(&c->state) >= state)
		return 0;
	return weft_link_stopping(link) ? -ECONNABORTED : -ETIMEDOUT;
}

static int open_resolve(struct wrdma *c, const struct sockaddr_storage *addr)
{
	struct sockaddr_storage to = *addr;
	struct rdma_cm_id *id;
	int ret;

	id = rdma_create_id(weft_link_net(c->base.link), cm_handler, c, RDMA_PS_TCP, IB_QPT_RC);
	if (IS_ERR(id))
		return PTR_ERR(id);
	c->id = id;
	/* Before the route, which is made for it. On iWARP TCP has its own times. */
	ret = rdma_set_ack_timeout(id, ACK_TIMEOUT);
	if (ret)
		return ret;
	ret = rdma_resolve_addr(id, NULL, (struct sockaddr *)&to, STEP_MS);
	if (!ret)
		ret = open_wait(c, WRDMA_ADDR);
	if (!ret)
		ret = rdma_resolve_route(id, STEP_MS);
	return ret ?: open_wait(c, WRDMA_ROUTE);
}

/* Sizes that the device allows. All bulk of a request has to fit into WEFT_SEGS_MAX regions. */
static int open_limits(struct wrdma *c)
{
	const struct ib_device_attr *attrs = &c->id->device->attrs;
	unsigned int room;

	c->mr_pages = min(WRDMA_MR_PAGES, attrs->max_fast_reg_page_list_len);
	room = max(attrs->max_qp_wr, WRDMA_SENDS_MAX + 16) - WRDMA_SENDS_MAX - 16;
	c->mrs_max = min(WRDMA_MRS_MAX, room / 3);
	if (!(attrs->device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS) || c->mrs_max < 2 ||
	    c->mr_pages * min_t(unsigned int, c->mrs_max, WEFT_SEGS_MAX) <=
		    (WEFT_BULK_MAX >> PAGE_SHIFT)) {
		pr_err_ratelimited("weft_rdma: device %s cannot register enough memory: %u regions of %u pages\n",
				   dev_name(&c->id->device->dev), c->mrs_max, c->mr_pages);
		return -EOPNOTSUPP;
	}
	c->sq_depth = WRDMA_SENDS_MAX + 3 * c->mrs_max + 8;
	c->gather_max = min(attrs->max_send_sge, 1 + WRDMA_GATHER) - 1;
	return 0;
}

/*
 * Listens to the port. One that is down already will not tell, but its state is kept by then: the
 * kernel notes it before it tells of a change. (Asking the driver takes rtnl_lock on RoCE.)
 */
static int open_port(struct wrdma *c)
{
	struct ib_device *dev = c->id->device;
	enum ib_port_state state;
	int ret;

	INIT_IB_EVENT_HANDLER(&c->port_events, dev, port_event);
	ib_register_event_handler(&c->port_events);
	ret = ib_get_cached_port_state(dev, c->id->port_num, &state);
	if (!ret && state != IB_PORT_ACTIVE)
		ret = -ENETDOWN;
	return ret;
}

static int open_queues(struct wrdma *c)
{
	struct ib_device *dev = c->id->device;
	struct ib_qp_init_attr attr = {
		.event_handler = qp_event,
		.qp_context = c,
		.cap.max_send_wr = c->sq_depth + 1, /* and one to drain */
		.cap.max_recv_wr = WRDMA_RECV_DEPTH + 1,
		.cap.max_send_sge = 1 + c->gather_max,
		.cap.max_recv_sge = 1,
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.qp_type = IB_QPT_RC,
	};
	static atomic_t vector = ATOMIC_INIT(0);
	int ret;

	c->pd = ib_alloc_pd(dev, 0);
	if (IS_ERR(c->pd))
		return PTR_ERR(c->pd);
	c->cqes = attr.cap.max_send_wr + attr.cap.max_recv_wr;
	c->cq = ib_cq_pool_get(dev, c->cqes, atomic_inc_return(&vector), IB_POLL_SOFTIRQ);
	if (IS_ERR(c->cq))
		return PTR_ERR(c->cq);
	attr.send_cq = c->cq;
	attr.recv_cq = c->cq;
	ret = rdma_create_qp(c->id, c->pd, &attr);
	if (ret)
		return ret;
	atomic_inc(&wrdma_counters.qps);
	ret = wrdma_mrs_init(c);
	if (!ret)
		ret = wrdma_bufs_init(c, &c->recvs, WRDMA_RECV_DEPTH, WEFT_RDMA_RECV_SIZE,
				      DMA_FROM_DEVICE);
	return ret ?: wrdma_post_recvs(c);
}

static int open_connect(struct wrdma *c)
{
	const struct weft_rdma_cm cm = {
		.magic = cpu_to_le32(WEFT_MAGIC),
		.version = cpu_to_le16(WEFT_RDMA_VERSION),
		.flags = cpu_to_le16(WEFT_RDMA_INV),
		.recv_size = cpu_to_le32(WEFT_RDMA_RECV_SIZE),
		.recv_depth = cpu_to_le16(WRDMA_RECV_DEPTH),
		.inline_max = cpu_to_le16(WEFT_RDMA_INLINE_MAX),
	};
	struct rdma_conn_param param = {
		.private_data = &cm,
		.private_data_len = sizeof(cm),
		.responder_resources = min(c->id->device->attrs.max_qp_rd_atom, U8_MAX),
		.retry_count = RETRIES,
		.rnr_retry_count = 7, /* for ever; credits keep it from happening */
	};
	unsigned int n;
	int ret;

	ret = rdma_connect(c->id, &param);
	if (!ret)
		ret = open_wait(c, WRDMA_UP);
	if (ret)
		return ret;
	n = clamp_t(unsigned int, (256 << 10) / c->send_size, 8, WRDMA_SENDS_MAX);
	return wrdma_bufs_init(c, &c->sends, n, c->send_size, DMA_TO_DEVICE);
}

/* Closes whatever open() came to make. */
static void wrdma_teardown(struct wrdma *c)
{
	spin_lock(&c->lock);
	WRITE_ONCE(c->closed, true);
	spin_unlock(&c->lock);
	mutex_lock(&c->rx_mutex);
	c->reported = true;
	mutex_unlock(&c->rx_mutex);
	wrdma_tx_drop(c);
	cancel_work_sync(&c->grow);
	if (c->port_events.device)
		ib_unregister_event_handler(&c->port_events);
	if (c->id && c->id->qp) {
		rdma_disconnect(c->id);
		ib_drain_qp(c->id->qp);
	}
	cancel_work_sync(&c->work);
	wrdma_rx_drop(c);
	if (c->id && c->id->qp) {
		rdma_destroy_qp(c->id);
		atomic_dec(&wrdma_counters.qps);
	}
	wrdma_mrs_fini(c);
	if (c->id) {
		wrdma_bufs_fini(c, &c->sends);
		wrdma_bufs_fini(c, &c->recvs);
	}
	if (!IS_ERR_OR_NULL(c->cq))
		ib_cq_pool_put(c->cq, c->cqes);
	if (!IS_ERR_OR_NULL(c->pd))
		ib_dealloc_pd(c->pd);
	if (c->id)
		rdma_destroy_id(c->id);
	/* The connection manager may have had something to say until now. */
	cancel_work_sync(&c->work);
	c->id = NULL;
}

static struct wrdma *wrdma_alloc(struct weft_link *link)
{
	struct wrdma *c = kvzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return NULL;
	c->rx.text = kvmalloc(WEFT_MSG_MAX, GFP_KERNEL);
	if (!c->rx.text) {
		kvfree(c);
		return NULL;
	}
	weft_xprt_init(&c->base, &wrdma_ops, link);
	init_llist_head(&c->events);
	INIT_WORK(&c->work, wrdma_work);
	init_waitqueue_head(&c->wait);
	mutex_init(&c->tx_mutex);
	mutex_init(&c->rx_mutex);
	spin_lock_init(&c->lock);
	INIT_LIST_HEAD(&c->xmit);
	INIT_LIST_HEAD(&c->mr_wait);
	wrdma_mrs_prepare(c);
	wrdma_event_init(c, &c->alive_ev, WRDMA_EV_ALIVE);
	atomic_inc(&wrdma_counters.connections);
	return c;
}

static int wrdma_open(struct weft_link *link, const struct sockaddr_storage *addr,
		      struct weft_xprt **out)
{
	unsigned int nofs = memalloc_nofs_save();
	struct wrdma *c = wrdma_alloc(link);
	int ret = -ENOMEM;

	if (!c)
		goto out_restore;
	ret = open_resolve(c, addr);
	if (!ret)
		ret = open_limits(c);
	if (!ret)
		ret = open_port(c);
	if (!ret)
		ret = open_queues(c);
	if (!ret)
		ret = open_connect(c);
	if (ret) {
		wrdma_teardown(c);
		weft_xprt_put(&c->base);
		goto out_restore;
	}
	atomic64_inc(&wrdma_counters.opened);
	WRITE_ONCE(c->opened, true);
	queue_work(wrdma_wq, &c->work); /* what has come meanwhile */
	*out = &c->base;
out_restore:
	memalloc_nofs_restore(nofs);
	return ret;
}

static void wrdma_close(struct weft_xprt *x)
{
	unsigned int nofs = memalloc_nofs_save();

	wrdma_teardown(container_of(x, struct wrdma, base));
	memalloc_nofs_restore(nofs);
}

static void wrdma_free(struct weft_xprt *x)
{
	struct wrdma *c = container_of(x, struct wrdma, base);

	atomic_dec(&wrdma_counters.connections);
	kvfree(c->rx.text);
	kvfree(c);
}

const struct weft_xprt_ops wrdma_ops = {
	.name = "rdma",
	.rail = WEFT_RAIL_RDMA,
	.owner = THIS_MODULE,
	.open = wrdma_open,
	.send = wrdma_send,
	.settle = wrdma_settle,
	.detach = wrdma_detach,
	.probe = wrdma_probe,
	.close = wrdma_close,
	.free = wrdma_free,
};
