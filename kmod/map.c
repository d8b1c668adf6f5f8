// SPDX-License-Identifier: GPL-2.0
/*
 * The cluster map of a mount: fetched, checked, put in place.
 *
 * Normal course: management pushes the number of a new epoch, the work fetches the map, checks
 * every reference in it (proto/map.c), makes a peer for each target and a session for each metadata
 * group that are new, replaces fs->map, and routes all waiting requests again. The map is also
 * fetched when a server knew a newer one, when a connection fails, on each new connection to
 * management (that subscribes again), and every 30 s (every second while requests are parked).
 * Each fetch tells management what carries this mount's requests, so there is one as well when
 * that changes (rail.c).
 *
 * A damaged map, or one of another file system, is refused with a message; the old one stays.
 *
 * One work fetches, so there is one fetch at a time. fs->map: RCU; replaced under fs->lock. Peers
 * and sessions are only ever added.
 */
#include <linux/crc32c.h>
#include <linux/in.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include "kmod/net.h"
#include "kmod/trace.h"

#define POLL (30 * HZ)
#define POLL_PARKED HZ
#define RETRY (HZ / 2)
#define FIRST_GUESS (64 << 10)

static u32 map_crc32c(u32 crc, const void *data, size_t len)
{
	return crc32c(crc, data, len);
}

void weft_map_free(struct weft_map *map)
{
	if (map)
		kvfree(map->buf);
	kfree(map);
}

/* weft_map_epoch() - epoch of the present map, 0: none */
u64 weft_map_epoch(struct weft_fs *fs)
{
	struct weft_map *map;
	u64 epoch = 0;

	rcu_read_lock();
	map = rcu_dereference(fs->map);
	if (map)
		epoch = le64_to_cpu(map->view.hdr->epoch);
	rcu_read_unlock();
	return epoch;
}

/* By what a rail is reached; NULL: it may not be, or cannot be used. */
static const struct weft_xprt_ops *map_rail_ops(const struct weft_fs *fs,
						const struct weft_map_rail *rail)
{
	if (!weft_subnets_have(fs, rail->addr))
		return NULL;
	if (rail->kind == WEFT_RAIL_TCP && fs->mode != WEFT_NET_RDMA)
		return &weft_tcp_ops;
	return rail->kind == WEFT_RAIL_RDMA ? fs->rdma : NULL;
}

/* The addresses of a target that this mount can use. */
static unsigned int map_addrs(const struct weft_fs *fs, const struct weft_map_view *v,
			      const struct weft_map_target *t, struct weft_addr *addrs)
{
	const struct weft_map_node *node = weft_map_node(v, le32_to_cpu(t->node));
	u32 i, n = 0, first = le32_to_cpu(node->first_rail);

	memset(addrs, 0, WEFT_ADDRS_MAX * sizeof(*addrs));
	for (i = 0; i < le16_to_cpu(node->nrails) && n < WEFT_ADDRS_MAX; i++) {
		const struct weft_map_rail *rail = &v->rails[first + i];
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addrs[n].addr;
		struct sockaddr_in *in = (struct sockaddr_in *)&addrs[n].addr;

		addrs[n].ops = map_rail_ops(fs, rail);
		if (!addrs[n].ops)
			continue;
		memcpy(&in6->sin6_addr, rail->addr, sizeof(in6->sin6_addr));
		if (ipv6_addr_v4mapped(&in6->sin6_addr)) {
			memset(in6, 0, sizeof(*in6));
			in->sin_family = AF_INET;
			in->sin_port = htons(le16_to_cpu(rail->port));
			memcpy(&in->sin_addr, rail->addr + 12, sizeof(in->sin_addr));
		} else {
			in6->sin6_family = AF_INET6;
			in6->sin6_port = htons(le16_to_cpu(rail->port));
		}
		n++;
	}
	memset(&addrs[n], 0, sizeof(*addrs)); /* of the last one that was looked at */
	return n;
}

static int map_add_peer(struct weft_fs *fs, const struct weft_map_target *t)
{
	u32 id = le32_to_cpu(t->id);
	struct weft_peer *peer;
	int ret;

	if (!id || xa_load(&fs->peers, id))
		return 0;
	peer = weft_peer_alloc(fs, id, t->kind);
	if (!peer)
		return -ENOMEM;
	ret = xa_insert(&fs->peers, id, peer, GFP_NOFS);
	if (ret)
		weft_peer_free(peer);
	return ret;
}

static int map_add_session(struct weft_fs *fs, const struct weft_map_group *g)
{
	u32 id = le32_to_cpu(g->id);
	struct weft_session *s;
	int ret;

	if (!id || g->kind != WEFT_MDT || xa_load(&fs->sessions, id))
		return 0;
	s = weft_session_alloc(fs, id);
	if (!s)
		return -ENOMEM;
	ret = xa_insert(&fs->sessions, id, s, GFP_NOFS);
	if (ret)
		weft_session_free(s);
	return ret;
}

/* Everything that the map names exists afterwards; what is too much does no harm. */
static int map_add_objects(struct weft_fs *fs, const struct weft_map_view *v)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < v->ntargets && !ret; i++)
		ret = map_add_peer(fs, &v->targets[i]);
	for (i = 0; i < v->ngroups && !ret; i++)
		ret = map_add_session(fs, &v->groups[i]);
	return ret;
}

/* Whoever needs this target waits until a map has an address: that is told, once. */
static void map_tell_unreachable(const struct weft_fs *fs, struct weft_peer *peer, bool unreachable)
{
	static const char *const modes[] = { "auto", "tcp", "rdma" };

	if (unreachable && !peer->unreachable)
		pr_err("weft: net=%s%s: target %u has no address that may be used\n",
		       modes[fs->mode], fs->nsubnets ? " with rails=" : "", peer->target);
	peer->unreachable = unreachable;
}

/* Where each target is now; those that the map does not name are nowhere. */
static void map_move_peers(struct weft_fs *fs, const struct weft_map_view *v)
{
	struct weft_addr *addrs;
	struct weft_peer *peer;
	unsigned long id;
	unsigned int n;

	addrs = kcalloc(WEFT_ADDRS_MAX + 1, sizeof(*addrs), GFP_NOFS | __GFP_NOFAIL);
	xa_for_each(&fs->peers, id, peer) {
		const struct weft_map_target *t = weft_map_target(v, id);

		n = t ? map_addrs(fs, v, t, addrs) : 0;
		map_tell_unreachable(fs, peer, t && !n);
		spin_lock(&fs->lock);
		weft_peer_addrs(peer, addrs, n);
		spin_unlock(&fs->lock);
	}
	kfree(addrs);
}

static void map_free_rcu(struct rcu_head *rcu)
{
	weft_map_free(container_of(rcu, struct weft_map, rcu));
}

/* Puts a checked map in place and lets everybody who waits go on. */
static void map_install(struct weft_fs *fs, struct weft_map *map)
{
	struct weft_map *old;

	map_move_peers(fs, &map->view);
	spin_lock(&fs->lock);
	old = rcu_dereference_protected(fs->map, lockdep_is_held(&fs->lock));
	rcu_assign_pointer(fs->map, map);
	weft_route_all(fs);
	spin_unlock(&fs->lock);
	trace_weft_map(fs, le64_to_cpu(map->view.hdr->epoch));
	wake_up_all(&fs->wait);
	if (old)
		call_rcu(&old->rcu, map_free_rcu);
}

/* Takes over @buf. */
static int map_take(struct weft_fs *fs, void *buf, size_t len)
{
	struct weft_map *map = kzalloc(sizeof(*map), GFP_NOFS);
	int ret;

	if (!map) {
		kvfree(buf);
		return -ENOMEM;
	}
	map->buf = buf;
	ret = weft_map_check(&map->view, buf, len, map_crc32c);
	if (!ret && fs->fsid_known && memcmp(map->view.hdr->fsid, fs->fsid, sizeof(fs->fsid)))
		ret = -EXDEV;
	if (!ret && le64_to_cpu(map->view.hdr->epoch) <= weft_map_epoch(fs)) {
		weft_map_free(map);
		return 0;
	}
	if (!ret)
		ret = map_add_objects(fs, &map->view);
	if (ret) {
		pr_err_ratelimited("weft: the map from management is refused: error %d\n", ret);
		WRITE_ONCE(fs->map_error, ret);
		weft_map_free(map);
		return ret;
	}
	map_install(fs, map);
	return 0;
}

/* One MAP_GET into @buf. Return: bytes that came, or a negative errno; @need: the whole length. */
static int map_get(struct weft_fs *fs, void *buf, size_t size, u32 *need)
{
	const struct weft_map_get_rep *rep;
	struct weft_map_get_req *req;
	struct weft_rpc *rpc;
	struct kvec vec = { .iov_base = buf, .iov_len = size };
	int ret;

	rpc = weft_rpc_alloc(fs, WEFT_OP_MAP_GET, 0, GFP_NOFS);
	if (!rpc)
		return -ENOMEM;
	req = rpc->body;
	req->have_epoch = cpu_to_le64(weft_map_epoch(fs));
	req->flags = cpu_to_le32(WEFT_MAP_SUBSCRIBE | weft_fs_transport_flags(fs));
	req->fallbacks = cpu_to_le32(READ_ONCE(fs->fallbacks));
	iov_iter_kvec(&rpc->in, ITER_DEST, &vec, 1, size);
	weft_rpc_to_mgmt(rpc);
	weft_rpc_submit(rpc);
	ret = weft_rpc_wait(rpc);
	if (!ret) {
		rep = weft_rpc_reply(rpc);
		*need = le32_to_cpu(rep->map_len);
		ret = rpc->in_len;
	}
	weft_rpc_put(rpc);
	return ret;
}

/* Fetches the map if there is a newer one, and puts it in place. Return: 0 or a negative errno. */
static int map_fetch(struct weft_fs *fs)
{
	u32 need = FIRST_GUESS;
	size_t size;
	void *buf;
	int ret;

	for (;;) {
		size = PAGE_ALIGN(need);
		buf = kvmalloc(size, GFP_NOFS);
		ret = buf ? map_get(fs, buf, size, &need) : -ENOMEM;
		if (ret > 0) {
			ret = map_take(fs, buf, ret);
			break;
		}
		kvfree(buf);
		if (ret || need <= size)
			break;
		ret = -EBADMSG;
		if (need > WEFT_MAP_LEN_MAX)
			break;
	}
	return ret;
}

/**
 * weft_map_refresh() - see to it that the map is fetched soon
 * @fs: the cluster
 * @epoch: a map of at least this epoch exists; 0: not known, but there may be a newer one
 *
 * Context: any process context, locks may be held.
 */
void weft_map_refresh(struct weft_fs *fs, u64 epoch)
{
	if (READ_ONCE(fs->stopping) || READ_ONCE(fs->aborted))
		return;
	if (epoch && epoch <= weft_map_epoch(fs))
		return;
	mod_delayed_work(weft_session_wq, &fs->map_work, 0);
}

void weft_map_work(struct work_struct *work)
{
	struct weft_fs *fs = container_of(work, struct weft_fs, map_work.work);
	unsigned long pause = POLL;
	int ret;

	if (READ_ONCE(fs->stopping) || READ_ONCE(fs->aborted))
		return;
	ret = map_fetch(fs);
	if (ret)
		pause = RETRY;
	else if (!list_empty_careful(&fs->parked))
		pause = POLL_PARKED;
	spin_lock(&fs->lock);
	if (!fs->stopping && !fs->aborted)
		queue_delayed_work(weft_session_wq, &fs->map_work, pause);
	spin_unlock(&fs->lock);
}

/**
 * weft_map_reachable() - has every group's primary a rail that this mount may use?
 * @fs: the cluster, which has a map
 *
 * Return: 0, or -EADDRNOTAVAIL; the log has the target's name since the map came.
 */
int weft_map_reachable(struct weft_fs *fs)
{
	const struct weft_map_view *v;
	struct weft_peer *peer;
	int ret = 0;
	u32 i;

	spin_lock(&fs->lock);
	v = &rcu_dereference_protected(fs->map, lockdep_is_held(&fs->lock))->view;
	for (i = 0; i < v->ngroups; i++) {
		peer = xa_load(&fs->peers, weft_map_primary(v, &v->groups[i]));
		if (peer && !peer->naddrs)
			ret = -EADDRNOTAVAIL;
	}
	spin_unlock(&fs->lock);
	return ret;
}

/* --- what the VFS half asks of the map */

u32 weft_fs_group(struct weft_fs *fs, u64 ino)
{
	struct weft_map *map;
	u32 group = 0;

	rcu_read_lock();
	map = rcu_dereference(fs->map);
	if (map)
		group = weft_map_shard_group(&map->view, ino);
	rcu_read_unlock();
	return group;
}

u32 weft_fs_chunk_group(struct weft_fs *fs, const struct weft_layout *layout, u64 chunk)
{
	struct weft_map *map;
	u32 group = 0;

	rcu_read_lock();
	map = rcu_dereference(fs->map);
	if (map)
		group = weft_map_chunk_group(&map->view, layout, chunk);
	rcu_read_unlock();
	return group;
}
