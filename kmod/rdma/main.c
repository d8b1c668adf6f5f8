// SPDX-License-Identifier: GPL-2.0
/*
 * weft_rdma.ko: the RDMA transport of weft.ko, in a module of its own so that hosts without RDMA
 * need no ib_core.
 *
 * Loading it offers the transport; mounts that may use it (net=rdma, net=auto) hold it. debugfs has
 * weft_rdma/stats: what is in use (all 0 when no mount uses RDMA: the check for leaks), and
 * counters.
 *
 * How it can fail: two modules of the same transport (-EEXIST).
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include "kmod/rdma/rdma.h"

struct wrdma_counters wrdma_counters;
struct workqueue_struct *wrdma_wq;
static struct dentry *wrdma_debugfs;

/*
 * In softirq, for every completion: the rest is done by the connection's work. That a SEND has
 * completed is of no interest until something else has happened, or somebody waits for it.
 */
static void wrdma_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct wrdma_event *ev = container_of(wc->wr_cqe, struct wrdma_event, cqe);
	struct wrdma *c = ev->conn;

	ev->status = wc->status;
	ev->byte_len = wc->byte_len;
	ev->inv = wc->status == IB_WC_SUCCESS && (wc->wc_flags & IB_WC_WITH_INVALIDATE);
	ev->inv_rkey = ev->inv ? wc->ex.invalidate_rkey : 0;
	llist_add(&ev->node, &c->events); /* a full barrier */
	if (wc->status == IB_WC_SUCCESS && READ_ONCE(ev->lazy) && !READ_ONCE(c->tx_full))
		return;
	queue_work(wrdma_wq, &c->work);
}

/* wrdma_event_init() - prepare an event for the completions of one work request at a time */
void wrdma_event_init(struct wrdma *c, struct wrdma_event *ev, enum wrdma_event_kind kind)
{
	ev->cqe.done = wrdma_done;
	ev->conn = c;
	ev->kind = kind;
}

static int stats_show(struct seq_file *m, void *v)
{
	struct wrdma_counters *n = &wrdma_counters;

	seq_printf(m, "connections %d\nqps %d\nmrs %d\nmrs_used %d\npages %ld\nbufs %d\n",
		   atomic_read(&n->connections), atomic_read(&n->qps), atomic_read(&n->mrs),
		   atomic_read(&n->mrs_used), atomic_long_read(&n->pages), atomic_read(&n->bufs));
	seq_printf(m, "opened %lld\nbroken %lld\nremovals %lld\n", atomic64_read(&n->opened),
		   atomic64_read(&n->broken), atomic64_read(&n->removals));
	seq_printf(m, "frames_sent %lld\nframes_received %lld\ncredit_frames %lld\n",
		   atomic64_read(&n->frames_sent), atomic64_read(&n->frames_received),
		   atomic64_read(&n->credit_frames));
	seq_printf(m, "read_bytes %lld\nwrite_bytes %lld\ninline_bytes %lld\ngathered_bytes %lld\n",
		   atomic64_read(&n->read_bytes), atomic64_read(&n->write_bytes),
		   atomic64_read(&n->inline_bytes), atomic64_read(&n->gathered_bytes));
	seq_printf(m, "remote_invs %lld\nlocal_invs %lld\nmr_waits %lld\ndetaches %lld\n",
		   atomic64_read(&n->remote_invs), atomic64_read(&n->local_invs),
		   atomic64_read(&n->mr_waits), atomic64_read(&n->detaches));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int __init wrdma_init(void)
{
	int ret;

	wrdma_wq = alloc_workqueue("weft_rdma", WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	if (!wrdma_wq)
		return -ENOMEM;
	ret = weft_xprt_register(&wrdma_ops);
	if (ret) {
		destroy_workqueue(wrdma_wq);
		return ret;
	}
	wrdma_debugfs = debugfs_create_dir("weft_rdma", NULL);
	debugfs_create_file("stats", 0444, wrdma_debugfs, NULL, &stats_fops);
	return 0;
}

static void __exit wrdma_exit(void)
{
	debugfs_remove_recursive(wrdma_debugfs);
	weft_xprt_unregister(&wrdma_ops);
	destroy_workqueue(wrdma_wq);
}

module_init(wrdma_init);
module_exit(wrdma_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("RDMA transport of the weft file system");
