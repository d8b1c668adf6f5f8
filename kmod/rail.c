// SPDX-License-Identifier: GPL-2.0
/*
 * Rails: which of a target's addresses are used, and what became of each.
 *
 * Normal course: a target's addresses come from the map, as far as net= and rails= allow them. Each
 * is a rail with links of its own (fs->conns); a request goes over the ready link with the fewest
 * bytes under way (link.c), so the rails share the load. With net=auto RDMA rails are preferred:
 * those of TCP stand by while one of RDMA is up or has not been tried yet.
 *
 * How it can fail: a rail whose connection breaks is tried again, by its first link alone, with
 * pauses that grow to 2 s, or to 15 s when another rail serves; what was under way goes over
 * another rail. A rail whose connections are made but break before they have answered anything
 * has failed as well, from the third on. When all RDMA rails of a target have failed and
 * net=auto, its TCP rails take over (fallback): that is counted, and told in the log, also when
 * it ends; their links are closed then, when they are idle.
 *
 * All of it under fs->lock, but for what is said in weft_subnet_local().
 */
#include <linux/inetdevice.h>
#include <linux/random.h>
#include <net/ipv6.h>
#include "kmod/net.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000
#define PROBE_MAX_MS 15000
#define FREE_TRIES 2 /* connections that broke at once, and are made again without a pause */

static bool addr_is_rdma(const struct weft_addr *a)
{
	return a->ops->rail == WEFT_RAIL_RDMA;
}

static bool peer_has(const struct weft_peer *peer, bool rdma)
{
	unsigned int i;

	for (i = 0; i < peer->naddrs; i++)
		if (addr_is_rdma(&peer->addrs[i]) == rdma)
			return true;
	return false;
}

/* weft_rail_addr() - where a rail leads; NULL: nowhere at present */
const struct weft_addr *weft_rail_addr(const struct weft_rail *rail)
{
	const struct weft_peer *peer = rail->peer;

	if (!peer->naddrs)
		return NULL;
	if (!peer->kind) /* management: one rail, to one server after the other */
		return &peer->addrs[peer->next_addr % peer->naddrs];
	return rail->index < peer->naddrs ? &peer->addrs[rail->index] : NULL;
}

/* weft_rail_wanted() - may requests go over it now? */
bool weft_rail_wanted(const struct weft_rail *rail)
{
	const struct weft_addr *addr = weft_rail_addr(rail);
	const struct weft_peer *peer = rail->peer;

	if (!addr)
		return false;
	if (!peer->kind || peer->fs->mode != WEFT_NET_AUTO || addr_is_rdma(addr))
		return true;
	return peer->fallback || !peer_has(peer, true);
}

/* weft_link_wanted() - should it be connected? Of a rail that is down only the first link tries. */
bool weft_link_wanted(const struct weft_link *link)
{
	const struct weft_rail *rail = link->rail;

	return weft_rail_wanted(rail) &&
	       (rail->up || !rail->failures || link == rail->first);
}

/* weft_peer_up() - is any rail of the peer up? */
bool weft_peer_up(const struct weft_peer *peer)
{
	unsigned int i;

	for (i = 0; i < peer->nrails; i++)
		if (peer->rails[i].up)
			return true;
	return false;
}

/*
 * A link to a target has become ready, or is not any more: the first and the last one of a kind
 * change what the mount's transport is, and management is told (with the next MAP_GET).
 */
static void count_up(struct weft_link *link, int change)
{
	struct weft_fs *fs = link->peer->fs;
	unsigned int *up = link->xprt->ops->rail == WEFT_RAIL_RDMA ? &fs->up_rdma : &fs->up_tcp;
	bool had = *up;

	if (!link->peer->kind)
		return;
	*up += change;
	if (had != !!*up)
		weft_map_refresh(fs, 0);
}

/* The TCP rails of a peer are not needed any more. */
static void fallback_end(struct weft_peer *peer)
{
	peer->fallback = false;
	peer->fs->fallen--;
	pr_info_ratelimited("weft: target %u: RDMA works again\n", peer->target);
	weft_map_refresh(peer->fs, 0); /* which tells management */
}

/**
 * weft_rail_up() - a link is ready
 * @link: the link
 */
void weft_rail_up(struct weft_link *link)
{
	struct weft_rail *rail = link->rail;
	unsigned int i;

	rail->up++;
	rail->told_down = false;
	count_up(link, 1);
	for (i = 0; rail->up == 1 && i < rail->peer->conns; i++)
		if (rail->first[i].state == WEFT_LINK_DOWN)
			queue_delayed_work(weft_link_wq, &rail->first[i].work, 0);
}

/**
 * weft_rail_proved() - the connection of a ready link does what it is for
 * @link: the link
 */
void weft_rail_proved(struct weft_link *link)
{
	struct weft_rail *rail = link->rail;
	const struct weft_addr *addr = weft_rail_addr(rail);

	rail->failures = 0;
	rail->error = 0;
	rail->told_breaks = false;
	if (rail->peer->fallback && addr && addr_is_rdma(addr))
		fallback_end(rail->peer);
}

/* Has net=auto come to where TCP has to serve? */
static void fallback_begin(struct weft_peer *peer, int err)
{
	unsigned int i;

	if (peer->fallback || peer->fs->mode != WEFT_NET_AUTO || !peer_has(peer, false))
		return;
	for (i = 0; i < peer->naddrs; i++)
		if (addr_is_rdma(&peer->addrs[i]) &&
		    (peer->rails[i].up || !peer->rails[i].failures))
			return;
	peer->fallback = true;
	peer->fs->fallen++;
	peer->fs->fallbacks++;
	pr_warn_ratelimited("weft: target %u: no RDMA rail works (error %d): falling back to TCP\n",
			    peer->target, err);
	queue_work(weft_io_wq, &peer->kick);
	weft_map_refresh(peer->fs, 0);
}

/*
 * A link did not come to serve: @what it was, which is @told once for each time that the rail goes
 * down: silence would look like a hang. Return: milliseconds until the next try.
 */
static u32 rail_failed(struct weft_link *link, int err, const char *what, bool *told)
{
	struct weft_rail *rail = link->rail;
	struct weft_peer *peer = rail->peer;
	const struct weft_addr *addr = weft_rail_addr(rail);
	u32 most = weft_peer_up(peer) ? PROBE_MAX_MS : BACKOFF_MAX_MS;
	u32 ms = min(BACKOFF_MIN_MS << min(link->tries, 9u), most);

	rail->failures++;
	rail->error = err;
	if (!*told && addr && peer->kind && !peer->fs->stopping)
		pr_warn_ratelimited("weft: target %u %s by %s at %pISpc: error %d\n", peer->target,
				    what, addr->ops->name, &addr->addr, err);
	*told = true;
	if (peer->kind && addr && addr_is_rdma(addr))
		fallback_begin(peer, err);
	return ms + get_random_u32() % (ms / 4);
}

/**
 * weft_rail_failed() - a link could not be connected
 * @link: the link
 * @err: why
 *
 * Return: milliseconds until the next try.
 */
u32 weft_rail_failed(struct weft_link *link, int err)
{
	return rail_failed(link, err, "cannot be reached", &link->rail->told_down);
}

/**
 * weft_rail_lost() - a link that was ready has broken
 * @link: the link
 * @err: why
 *
 * Return: milliseconds until the next try, 0: at once.
 */
u32 weft_rail_lost(struct weft_link *link, int err)
{
	link->rail->up--;
	link->rail->lost++;
	link->rail->error = err;
	count_up(link, -1);
	/* -ECONNABORTED: it was a fault of ours, put in by a test. */
	if (link->proved || err == -ECONNABORTED || link->peer->fs->aborted ||
	    ++link->tries <= FREE_TRIES)
		return 0;
	return rail_failed(link, err, "breaks all connections", &link->rail->told_breaks);
}

/**
 * weft_peer_addrs() - say where a peer is
 * @peer: the peer
 * @addrs: addresses, zeroed but for what is used
 * @n: how many; 0: nowhere at present
 *
 * Connections to where it was are broken; they come up at the new place.
 */
void weft_peer_addrs(struct weft_peer *peer, const struct weft_addr *addrs, unsigned int n)
{
	unsigned int i, old = peer->naddrs;

	n = min_t(unsigned int, n, WEFT_ADDRS_MAX);
	peer->naddrs = n;
	for (i = 0; i < peer->nrails; i++) {
		struct weft_rail *rail = &peer->rails[i];
		unsigned int k;

		if (i < n && i < old && !memcmp(&peer->addrs[i], &addrs[i], sizeof(*addrs)))
			continue;
		if (i < n)
			peer->addrs[i] = addrs[i];
		for (k = 0; (i < n || i < old) && k < peer->conns; k++) {
			weft_link_break(&rail->first[k], -EHOSTUNREACH);
			rail->first[k].again = jiffies; /* pauses were for another place */
			if (peer->wanted && rail->first[k].state == WEFT_LINK_DOWN)
				mod_delayed_work(weft_link_wq, &rail->first[k].work, 0);
		}
		rail->failures = 0;
		rail->error = 0;
		rail->told_down = rail->told_breaks = false;
	}
	if (peer->fallback && !peer_has(peer, true))
		fallback_end(peer);
}

/**
 * weft_fs_transport() - what carries this mount's requests to metadata and data targets now
 * @fs: the cluster
 *
 * Return: "none", "tcp", "rdma" or "tcp+rdma".
 */
const char *weft_fs_transport(struct weft_fs *fs)
{
	static const char *const names[] = { "none", "tcp", "rdma", "tcp+rdma" };

	return names[!!READ_ONCE(fs->up_tcp) + 2 * !!READ_ONCE(fs->up_rdma)];
}

/* weft_fs_transport_flags() - the same for management: WEFT_MAP_BY_*, WEFT_MAP_FALLEN_BACK */
u32 weft_fs_transport_flags(struct weft_fs *fs)
{
	return (READ_ONCE(fs->up_tcp) ? WEFT_MAP_BY_TCP : 0) |
	       (READ_ONCE(fs->up_rdma) ? WEFT_MAP_BY_RDMA : 0) |
	       (READ_ONCE(fs->fallen) ? WEFT_MAP_FALLEN_BACK : 0);
}

/* weft_subnets_have() - is an address (IPv6, or IPv4-mapped) one of those that rails= allows? */
bool weft_subnets_have(const struct weft_fs *fs, const u8 *addr)
{
	struct in6_addr a;
	unsigned int i;

	memcpy(&a, addr, sizeof(a));
	for (i = 0; i < fs->nsubnets; i++)
		if (ipv6_prefix_equal(&a, &fs->subnets[i].addr, fs->subnets[i].bits))
			return true;
	return !fs->nsubnets;
}

/**
 * weft_subnet_local() - the subnet of an address of this host
 * @net: network namespace
 * @addr: IPv4 address
 *
 * Return: bits of the prefix, or 32 when no interface has this address.
 * Context: any.
 */
unsigned int weft_subnet_local(struct net *net, __be32 addr)
{
	const struct in_ifaddr *ifa;
	struct in_device *in_dev;
	struct net_device *dev;
	unsigned int bits = 32;

	rcu_read_lock();
	dev = __ip_dev_find(net, addr, false);
	in_dev = dev ? __in_dev_get_rcu(dev) : NULL;
	if (in_dev)
		in_dev_for_each_ifa_rcu(ifa, in_dev)
			if (ifa->ifa_local == addr)
				bits = ifa->ifa_prefixlen;
	rcu_read_unlock();
	return bits;
}
