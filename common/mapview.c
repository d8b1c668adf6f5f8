// SPDX-License-Identifier: Apache-2.0
/*
 * Counted copies of checked cluster maps. A map that weft_map_check() refuses is refused here;
 * lookups in an accepted one cannot fail but for absent ids.
 */
#include "common/mapview.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"

int weft_map_decode(const void *buf, size_t len, struct weft_map **out)
{
	struct weft_map *m;
	int ret;

	if (len > WEFT_MAP_LEN_MAX)
		return -EBADMSG;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return -ENOMEM;
	memcpy(m->data, buf, len);
	ret = weft_map_check(&m->view, m->data, len, weft_crc32c_raw);
	if (ret) {
		free(m);
		return ret;
	}
	m->refs = 1;
	m->len = len;
	m->epoch = le64_to_cpu(m->view.hdr->epoch);
	*out = m;
	return 0;
}

struct weft_map *weft_map_get(struct weft_map *m)
{
	__atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
	return m;
}

void weft_map_put(struct weft_map *m)
{
	if (m && !__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL))
		free(m);
}

uint32_t weft_map_group_target(const struct weft_map *m, uint32_t group)
{
	const struct weft_map_group *g = weft_map_group(&m->view, group);

	return g ? weft_map_primary(&m->view, g) : 0;
}

static enum weft_net net;

int weft_net_set(const char *name)
{
	static const char *const names[] = { "tcp", "rdma", "auto" };
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]))
			continue;
		__atomic_store_n(&net, i, __ATOMIC_RELAXED);
		return 0;
	}
	return -EINVAL;
}

/* Appends the rails of one kind. */
static unsigned int node_rails(const struct weft_map *m, const struct weft_map_node *node,
			       unsigned int kind, struct weft_rpc_addr *addrs, unsigned int n)
{
	const struct weft_map_rail *r = &m->view.rails[le32_to_cpu(node->first_rail)];
	unsigned int i;
	bool v4;

	for (i = 0; i < le16_to_cpu(node->nrails) && n < WEFT_RPC_ADDRS_MAX; i++, r++) {
		if (r->kind != kind)
			continue;
		v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)r->addr);
		if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? r->addr + 12 : r->addr,
			       addrs[n].host, sizeof(addrs[n].host)))
			continue;
		addrs[n].kind = kind;
		addrs[n++].port = le16_to_cpu(r->port);
	}
	return n;
}

unsigned int weft_map_target_addrs(const struct weft_map *m, uint32_t target,
				   struct weft_rpc_addr addrs[WEFT_RPC_ADDRS_MAX])
{
	const struct weft_map_target *t = weft_map_target(&m->view, target);
	enum weft_net want = __atomic_load_n(&net, __ATOMIC_RELAXED);
	const struct weft_map_node *node = NULL;
	unsigned int n = 0;

	if (t)
		node = weft_map_node(&m->view, le32_to_cpu(t->node));
	if (!node)
		return 0;
	if (want != WEFT_NET_TCP)
		n = node_rails(m, node, WEFT_RAIL_RDMA, addrs, n);
	if (want != WEFT_NET_RDMA)
		n = node_rails(m, node, WEFT_RAIL_TCP, addrs, n);
	return n;
}

void weft_mapref_init(struct weft_mapref *r)
{
	pthread_mutex_init(&r->lock, NULL);
	r->map = NULL;
}

void weft_mapref_fini(struct weft_mapref *r)
{
	weft_map_put(r->map);
	pthread_mutex_destroy(&r->lock);
}

struct weft_map *weft_mapref_get(struct weft_mapref *r)
{
	struct weft_map *m;

	pthread_mutex_lock(&r->lock);
	m = r->map ? weft_map_get(r->map) : NULL;
	pthread_mutex_unlock(&r->lock);
	return m;
}

bool weft_mapref_set(struct weft_mapref *r, struct weft_map *m)
{
	struct weft_map *old = NULL;

	pthread_mutex_lock(&r->lock);
	if (!r->map || m->epoch > r->map->epoch) {
		old = r->map;
		r->map = weft_map_get(m);
		pthread_mutex_unlock(&r->lock);
		weft_map_put(old);
		return true;
	}
	pthread_mutex_unlock(&r->lock);
	return false;
}
