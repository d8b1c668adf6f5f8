// SPDX-License-Identifier: GPL-2.0
/*
 * A mount's client: connected, given up, disconnected.
 *
 * Normal course: weft_fs_connect() registers with management (the same incarnation gets the same id
 * again, so a lost reply does no harm), waits for the map, and is done. weft_fs_disconnect() lets
 * interrupted requests end, closes the sessions, stops everything and frees it.
 *
 * weft_fs_fail() is the one way out for all that waits: it ends every request with an error, those
 * that a transport works on as soon as the transport is closed. umount -f, a failed mount, and the
 * last part of disconnecting use it.
 *
 * Works: weft_io_wq for transports and completions (never blocks long), weft_link_wq for
 * connecting, weft_session_wq for what waits for requests itself. All can make progress without
 * memory.
 */
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include "kmod/net.h"
#include "kmod/trace.h"
#include "proto/vectors.h"

#define CONNECT_TIMEOUT_MS 10000
#define LINGER (5 * HZ) /* for requests whose callers were killed */

struct workqueue_struct *weft_io_wq;
struct workqueue_struct *weft_link_wq;
struct workqueue_struct *weft_session_wq;

static atomic_t fs_count = ATOMIC_INIT(0);

/**
 * weft_fs_fail() - end every request, now and from now on
 * @fs: the cluster
 * @err: with this error
 */
void weft_fs_fail(struct weft_fs *fs, int err)
{
	struct weft_peer *peer;
	unsigned long id;
	unsigned int i;

	spin_lock(&fs->lock);
	if (!fs->aborted)
		WRITE_ONCE(fs->aborted, err);
	/* What waits ends here; what a transport works on, when its link has closed that. */
	weft_route_all(fs);
	xa_for_each(&fs->peers, id, peer)
		for (i = 0; i < peer->nlinks; i++)
			weft_link_break(&peer->links[i], fs->aborted);
	for (i = 0; i < fs->mgmt->nlinks; i++)
		weft_link_break(&fs->mgmt->links[i], fs->aborted);
	wake_up_all(&fs->wait);
	spin_unlock(&fs->lock);
}

void weft_fs_abort(struct weft_fs *fs)
{
	weft_fs_fail(fs, -EIO);
}

bool weft_fs_aborted(const struct weft_fs *fs)
{
	return READ_ONCE(fs->aborted);
}

const u8 *weft_fs_fsid(const struct weft_fs *fs)
{
	return fs->fsid;
}

u64 weft_fs_client_id(const struct weft_fs *fs)
{
	return fs->client_id;
}

struct dentry *weft_fs_debugfs(const struct weft_fs *fs)
{
	return fs->debugfs;
}

static void fs_free(struct weft_fs *fs)
{
	weft_peer_free(fs->mgmt);
	if (fs->rdma)
		weft_xprt_release(fs->rdma);
	if (fs->net)
		put_net(fs->net);
	kfree_sensitive(fs->secret);
	xa_destroy(&fs->peers);
	xa_destroy(&fs->sessions);
	kvfree(fs);
}

/* Which transports there are; TCP is built in. */
static int fs_take_net(struct weft_fs *fs, const struct weft_connect_opts *opts)
{
	fs->mode = opts->mode;
	fs->nsubnets = opts->nsubnets;
	memcpy(fs->subnets, opts->subnets, sizeof(fs->subnets));
	if (opts->mode == WEFT_NET_TCP)
		return 0;
	fs->rdma = weft_xprt_find("rdma");
	if (!fs->rdma && opts->mode == WEFT_NET_RDMA)
		return -EAFNOSUPPORT;
	return 0;
}

static int fs_take_opts(struct weft_fs *fs, const struct weft_connect_opts *opts)
{
	unsigned int i;

	if (!opts->nmgmt || opts->nmgmt > WEFT_MGMT_MAX || opts->conns > WEFT_CONNS_MAX)
		return -EINVAL;
	fs->conns = opts->conns ?: WEFT_CONNS_DEFAULT;
	fs->checksum = opts->checksum;
	fs->net = get_net(opts->net);
	strscpy(fs->hostname, opts->hostname, sizeof(fs->hostname));
	if (opts->secret_len) {
		fs->secret = kmemdup(opts->secret, opts->secret_len, GFP_KERNEL);
		if (!fs->secret)
			return -ENOMEM;
		fs->secret_len = opts->secret_len;
	}
	fs->mgmt = weft_peer_alloc(fs, 0, 0);
	if (!fs->mgmt)
		return -ENOMEM;
	for (i = 0; i < opts->nmgmt; i++) {
		fs->mgmt->addrs[i].ops = &weft_tcp_ops;
		fs->mgmt->addrs[i].addr = opts->mgmt[i];
	}
	fs->mgmt->naddrs = opts->nmgmt;
	return fs_take_net(fs, opts);
}

static struct weft_fs *fs_alloc(const struct weft_fs_ops *ops, void *priv)
{
	struct weft_fs *fs = kvzalloc(sizeof(*fs), GFP_KERNEL);

	if (!fs)
		return NULL;
	fs->ops = ops;
	fs->priv = priv;
	fs->id = atomic_inc_return(&fs_count);
	fs->connecting = true;
	fs->incarnation = get_random_u64();
	spin_lock_init(&fs->lock);
	xa_init(&fs->peers);
	xa_init(&fs->sessions);
	INIT_LIST_HEAD(&fs->parked);
	INIT_LIST_HEAD(&fs->all);
	init_waitqueue_head(&fs->wait);
	INIT_DELAYED_WORK(&fs->map_work, weft_map_work);
	return fs;
}

/* Waits for something of the mount to come about. Return: 0 or a negative errno. */
static int fs_wait_until(struct weft_fs *fs, bool (*cond)(struct weft_fs *fs),
			 unsigned long *timeout)
{
	long left = wait_event_killable_timeout(fs->wait, cond(fs) || READ_ONCE(fs->aborted),
						*timeout);

	if (left < 0)
		return -EINTR;
	*timeout = left;
	if (READ_ONCE(fs->aborted))
		return fs->aborted;
	return left ? 0 : -ETIMEDOUT;
}

static bool fs_has_map(struct weft_fs *fs)
{
	return rcu_access_pointer(fs->map);
}

static bool fs_is_registered(struct weft_fs *fs)
{
	return READ_ONCE(fs->client_id);
}

static void register_done(struct weft_rpc *rpc)
{
	const struct weft_client_reg_rep *rep = weft_rpc_reply(rpc);
	struct weft_fs *fs = rpc->fs;

	if (!rpc->error && rep->session) {
		WRITE_ONCE(fs->client_id, le64_to_cpu(rep->session));
		wake_up_all(&fs->wait);
	} else {
		weft_fs_fail(fs, rpc->error ?: -EPROTO);
	}
}

static int fs_register(struct weft_fs *fs, unsigned long *timeout)
{
	struct weft_client_reg_req *req;
	struct weft_rpc *rpc;

	rpc = weft_rpc_alloc(fs, WEFT_OP_CLIENT_REGISTER, strlen(fs->hostname), GFP_KERNEL);
	if (!rpc)
		return -ENOMEM;
	req = rpc->body;
	req->incarnation = cpu_to_le64(fs->incarnation);
	req->name_len = cpu_to_le16(strlen(fs->hostname));
	weft_rpc_add_tail(rpc, fs->hostname, strlen(fs->hostname));
	weft_rpc_to_mgmt(rpc);
	rpc->done = register_done;
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
	return fs_wait_until(fs, fs_is_registered, timeout);
}

static bool fs_is_active(struct weft_fs *fs)
{
	struct weft_map *map;
	bool active;

	rcu_read_lock();
	map = rcu_dereference(fs->map);
	active = map && (map->view.hdr->flags & cpu_to_le16(WEFT_MAP_F_ACTIVE));
	rcu_read_unlock();
	return active;
}

int weft_fs_connect(const struct weft_connect_opts *opts, const struct weft_fs_ops *ops,
		    void *priv, struct weft_fs **out)
{
	unsigned long timeout = msecs_to_jiffies(opts->timeout_ms ?: CONNECT_TIMEOUT_MS);
	struct weft_fs *fs = fs_alloc(ops, priv);
	int ret;

	if (!fs)
		return -ENOMEM;
	ret = fs_take_opts(fs, opts);
	if (ret) {
		fs_free(fs);
		return ret;
	}
	ret = fs_register(fs, &timeout);
	if (!ret) {
		weft_map_refresh(fs, 0);
		ret = fs_wait_until(fs, fs_has_map, &timeout);
	}
	if (ret == -ETIMEDOUT)
		ret = fs->mgmt->links[0].error ?: fs->map_error ?: ret;
	if (!ret && !fs_is_active(fs))
		ret = -ENODEV;
	if (!ret)
		ret = weft_map_reachable(fs);
	if (ret) {
		weft_fs_disconnect(fs);
		return ret;
	}
	WRITE_ONCE(fs->connecting, false);
	weft_debugfs_add(fs);
	*out = fs;
	return 0;
}

static bool fs_nobody_left(struct weft_fs *fs)
{
	struct weft_rpc *rpc;
	bool none = true;

	spin_lock(&fs->lock);
	list_for_each_entry(rpc, &fs->all, all_node)
		none = none && !rpc->detached;
	spin_unlock(&fs->lock);
	return none || fs->aborted;
}

static void fs_stop(struct weft_fs *fs)
{
	struct weft_session *s;
	struct weft_peer *peer;
	unsigned long id;

	WRITE_ONCE(fs->stopping, true);
	weft_fs_fail(fs, -EIO);
	cancel_delayed_work_sync(&fs->map_work);
	xa_for_each(&fs->sessions, id, s)
		weft_session_stop(s);
	xa_for_each(&fs->peers, id, peer)
		weft_peer_stop(peer);
	weft_peer_stop(fs->mgmt);
	wait_event(fs->wait, !READ_ONCE(fs->live));
	/* Completions may be on their way out of fs->lock, a link may have asked for a map. */
	flush_workqueue(weft_io_wq);
	cancel_delayed_work_sync(&fs->map_work);
}

void weft_fs_disconnect(struct weft_fs *fs)
{
	struct weft_session *s;
	struct weft_peer *peer;
	unsigned long id;

	if (!fs)
		return;
	weft_debugfs_remove(fs);
	wait_event_timeout(fs->wait, fs_nobody_left(fs), LINGER);
	WRITE_ONCE(fs->closing, true);
	weft_sessions_close(fs);
	fs_stop(fs);
	xa_for_each(&fs->sessions, id, s)
		weft_session_free(s);
	xa_for_each(&fs->peers, id, peer)
		weft_peer_free(peer);
	weft_map_free(rcu_dereference_protected(fs->map, true));
	fs_free(fs);
}

static void wqs_destroy(void)
{
	if (weft_session_wq)
		destroy_workqueue(weft_session_wq);
	if (weft_link_wq)
		destroy_workqueue(weft_link_wq);
	if (weft_io_wq)
		destroy_workqueue(weft_io_wq);
}

int weft_client_init(void)
{
	const char *wrong = weft_vectors_check();
	int ret;

	if (wrong) {
		pr_err("weft: this build computes %s differently from the servers\n", wrong);
		return -EINVAL;
	}
	ret = weft_rpc_cache_init();
	if (ret)
		return ret;
	weft_io_wq = alloc_workqueue("weft_io", WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	weft_link_wq = alloc_workqueue("weft_link", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	weft_session_wq = alloc_workqueue("weft_session", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!weft_io_wq || !weft_link_wq || !weft_session_wq) {
		wqs_destroy();
		weft_rpc_cache_exit();
		return -ENOMEM;
	}
	weft_debugfs_init();
	return 0;
}

void weft_client_exit(void)
{
	weft_debugfs_exit();
	wqs_destroy();
	rcu_barrier(); /* maps */
	weft_rpc_cache_exit();
}
