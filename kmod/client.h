/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A connected cluster, as the VFS half of the module sees it.
 *
 * struct weft_fs is one client of one cluster: a client id, the map, peers with connections, a
 * session at each metadata group. A super block has exactly one. weft_fs_connect() returns when
 * the map has been fetched and the client id is known; sessions open at the first request.
 *
 * What the lower half tells the VFS comes through struct weft_fs_ops, always in process context on
 * a workqueue that may sleep, never while a lock of the lower half is held. Callbacks of one
 * metadata group never run at the same time as each other, except @flush; those of different
 * groups may.
 *
 * How it can fail: weft_fs_connect() says why (see there). Afterwards nothing fails because of a
 * lost server: requests wait until it is back, until they are killed, or until weft_fs_abort().
 */
#ifndef WEFT_KMOD_CLIENT_H
#define WEFT_KMOD_CLIENT_H

#include <linux/in6.h>
#include <linux/socket.h>
#include <linux/types.h>
#include "proto/map.h"
#include "proto/meta.h"

struct dentry;
struct net;
struct weft_fs;
struct weft_reclaim;

#define WEFT_MGMT_MAX 8
#define WEFT_CONNS_MAX 16
#define WEFT_CONNS_DEFAULT 2

#define WEFT_SUBNETS_MAX 8

/* What carries requests to metadata and data targets; management is always reached by TCP. */
enum weft_net {
	WEFT_NET_AUTO, /* RDMA, and TCP while no RDMA rail of a target works */
	WEFT_NET_TCP,
	WEFT_NET_RDMA,
};

struct weft_subnet {
	struct in6_addr addr; /* IPv4 is mapped */
	unsigned int bits;    /* of those 128 */
};

/**
 * struct weft_connect_opts - how to reach a cluster; copied by weft_fs_connect()
 * @mgmt: addresses of the management servers (AF_INET or AF_INET6, with ports)
 * @nmgmt: how many, 1..WEFT_MGMT_MAX
 * @mode: which rails to use
 * @subnets: rails= : servers' addresses that may be used
 * @nsubnets: how many; 0: all
 * @net: network namespace of the sockets (that of the mounter); a reference is taken
 * @conns: connections over each rail of a target, 1..WEFT_CONNS_MAX; 0: WEFT_CONNS_DEFAULT
 * @secret: shared secret of the cluster or NULL
 * @secret_len: its length
 * @hostname: name of this client for people, NUL terminated
 * @checksum: protect bulk in both directions with crc32c
 * @timeout_ms: how long weft_fs_connect() may try; 0: 10 s
 */
struct weft_connect_opts {
	struct sockaddr_storage mgmt[WEFT_MGMT_MAX];
	unsigned int nmgmt;
	enum weft_net mode;
	struct weft_subnet subnets[WEFT_SUBNETS_MAX];
	unsigned int nsubnets;
	struct net *net;
	unsigned int conns;
	const void *secret;
	size_t secret_len;
	const char *hostname;
	bool checksum;
	unsigned int timeout_ms;
};

/**
 * struct weft_fs_ops - what the VFS is told; all may sleep
 * @lease_lost: the SOLE lease of the group is being taken back. weft_fs_lease() already answers
 *	NONE. Register every open file of the group (weft_reclaim_open() for each), stop trusting
 *	cached names and attributes. Requests work normally meanwhile. Also called when the lease
 *	turned out to be lost at a reconnect.
 * @flush: follows @lease_lost: write back dirty data of the group. When it returns the lease is
 *	given up. It may take long, and other callbacks of the group may run meanwhile.
 * @lease_granted: the SOLE lease of the group was granted. What was cached before it was granted
 *	has to be revalidated once.
 * @reclaim: the server restarted and asks for the open files of the group: call
 *	weft_reclaim_open() for every one. Ordinary requests of the group wait until this
 *	returns, so issue none.
 * @reclaimed: follows @lease_lost and @reclaim: the server has been told of all open files, or that
 *	has failed.
 * @opens_lost: these files of the group were gone when they were reclaimed: access to them is
 *	-ESTALE from now on. Called after @reclaim or @lease_lost has returned, or during them.
 */
struct weft_fs_ops {
	void (*lease_lost)(void *priv, u32 group, struct weft_reclaim *r);
	void (*flush)(void *priv, u32 group);
	void (*lease_granted)(void *priv, u32 group);
	void (*reclaim)(void *priv, u32 group, struct weft_reclaim *r);
	void (*reclaimed)(void *priv, u32 group);
	void (*opens_lost)(void *priv, u32 group, const u64 *inos, unsigned int count);
};

/**
 * weft_fs_connect() - become a client of a cluster
 * @opts: how to reach it
 * @ops: what to call; kept, not copied
 * @priv: first argument of the calls
 * @out: the connected cluster
 *
 * Return: 0; -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH, ... no management server could be reached;
 * -EPROTONOSUPPORT no common wire version or unknown map version; -EAFNOSUPPORT WEFT_NET_RDMA, but
 * there is no weft_rdma module; -EADDRNOTAVAIL a target has no rail that may be used (named in the
 * log);
 * -EKEYREJECTED the secret is missing or wrong; -ENODEV the file system is not active yet (no
 * groups); -EBADMSG management sent a damaged map; -EINTR killed; -ENOMEM.
 * Context: process, may sleep; killable.
 */
int weft_fs_connect(const struct weft_connect_opts *opts, const struct weft_fs_ops *ops,
		    void *priv, struct weft_fs **out);

/**
 * weft_fs_disconnect() - close the sessions and free everything
 * @fs: the cluster or NULL; nothing of the VFS uses it any more, no request is outstanding except
 *	such as were interrupted (these are given a few seconds, then aborted)
 *
 * Context: process, may sleep. No callback runs after it.
 */
void weft_fs_disconnect(struct weft_fs *fs);

/**
 * weft_fs_abort() - give up: every outstanding and every later request fails with -EIO at once
 * @fs: the cluster; weft_fs_disconnect() still has to follow
 *
 * Context: process; does not wait for the network.
 */
void weft_fs_abort(struct weft_fs *fs);

/* weft_fs_aborted() - true after weft_fs_abort() */
bool weft_fs_aborted(const struct weft_fs *fs);

/**
 * weft_fs_lease() - what lease this client has now for the group of an inode
 * @fs: the cluster
 * @ino: inode number
 *
 * The answer is conservative: SOLE only while the keepalive is fresh by the client's own clock,
 * counted from the sending of the request that renewed it.
 *
 * Return: WEFT_LEASE_SOLE or WEFT_LEASE_NONE.
 * Context: any but hard interrupt; lockless.
 */
enum weft_lease weft_fs_lease(struct weft_fs *fs, u64 ino);

/* weft_fs_group() - metadata group of an inode; 0: none in the present map */
u32 weft_fs_group(struct weft_fs *fs, u64 ino);

/* weft_fs_chunk_group() - data group of a chunk of a file; 0: none in the present map */
u32 weft_fs_chunk_group(struct weft_fs *fs, const struct weft_layout *layout, u64 chunk);

/* weft_fs_fsid() - the 16 bytes of the file system id */
const u8 *weft_fs_fsid(const struct weft_fs *fs);

/* weft_fs_client_id() - the id that management gave this mount */
u64 weft_fs_client_id(const struct weft_fs *fs);

/* weft_fs_debugfs() - folder of this mount in debugfs, for files of the VFS half (may be NULL) */
struct dentry *weft_fs_debugfs(const struct weft_fs *fs);

/**
 * weft_reclaim_open() - tell the server of one open file
 * @r: as given to the callback; only valid inside it
 * @ino: the file
 * @open_id: its registration, not 0; the VFS keeps it and sends CLOSE when the file is closed
 *
 * Sends full batches at once and the rest after the callback.
 *
 * Return: 0, -ENOMEM, or why the RECLAIM request failed (then the others need not be told; the
 * whole procedure begins again after the reconnect).
 * Context: process, may sleep.
 */
int weft_reclaim_open(struct weft_reclaim *r, u64 ino, u64 open_id);

const char *weft_fs_transport(struct weft_fs *fs);
unsigned int weft_subnet_local(struct net *net, __be32 addr);

/* Module life: weft_client_init() before register_filesystem(), weft_client_exit() after
 * unregister_filesystem() (it waits for all that is still being freed). */
int weft_client_init(void);
void weft_client_exit(void);

#endif
