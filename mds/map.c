// SPDX-License-Identifier: Apache-2.0
/*
 * The cluster map as this target sees it: which group it leads, which inodes are its own, where a
 * new directory goes; and the root directory, which the group of shard 0 makes once.
 *
 * Happy path: the first map that names this target as the first in-sync member of a group starts
 * service. A map with ROOT_PENDING makes the group of shard 0 write inode 1 and tell management; it
 * repeats that until a map comes without the flag.
 *
 * Failures: without ROOT_PENDING the root must be there; if it is not, the store is not the one
 * that the map means, and the target refuses to serve.
 */
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mds/mds.h"
#include "proto/placement.h"

u32 mds_group_of(struct mds *m, u64 ino)
{
	return m->map ? weft_map_shard_group(&m->map->view, ino) : 0;
}

bool mds_is_local(struct mds *m, u64 ino)
{
	return mds_group_of(m, ino) == m->group && m->group;
}

bool mds_all_local(struct mds *m)
{
	return m->local_shards == m->map->view.nshards;
}

u32 mds_place_dir(struct mds *m, u64 parent, const char *name, size_t len)
{
	return weft_place_dir(m->map->view.nshards, parent, name, len);
}

int mds_check_route(struct mds_op *op)
{
	struct mds *m = op->m;

	/* The reply may have the layout of a file in a pool that its map does not have. */
	if (op->epoch < m->pools_epoch)
		return WEFT_S_STALE_MAP;
	if (mds_is_local(m, op->ino))
		return 0;
	if (op->epoch > m->map->epoch) {
		m->cfg.net->need_map(m->cfg.net_arg, op->epoch);
		return WEFT_S_BUSY;
	}
	return op->epoch < m->map->epoch ? WEFT_S_STALE_MAP : WEFT_S_NOT_PRIMARY;
}

/* The group that this target leads, 0: none. */
static u32 led_group(const struct mds *m, const struct weft_map_view *v)
{
	u32 k;

	for (k = 0; k < v->ngroups; k++)
		if (v->groups[k].kind == WEFT_MDT &&
		    weft_map_primary(v, &v->groups[k]) == m->cfg.target)
			return le32_to_cpu(v->groups[k].id);
	return 0;
}

static int root_run(struct mds_op *op)
{
	const struct weft_map_view *v = &op->m->map->view;
	const struct weft_map_pool *p = weft_map_pool(v, 1);
	struct mds_node *n;
	struct mds_inode i;
	int ret;

	ret = mds_read_inode(&op->tx, WEFT_INO_ROOT, &i);
	if (ret != -ENOENT)
		return ret;
	ret = mds_tx_new(&op->tx, WEFT_INO_ROOT, &n);
	if (ret)
		return ret;
	n->i.mode = S_IFDIR | 0755;
	n->i.nlink = 2;
	n->i.parent = WEFT_INO_ROOT;
	n->i.change = n->i.data_version = 1;
	n->i.atime = n->i.mtime = n->i.ctime = n->i.btime = op->now;
	n->i.pool = 1;
	n->i.chunk_shift = p ? p->chunk_shift : WEFT_CHUNK_SHIFT_DEFAULT;
	n->i.inline_max = WEFT_INLINE_DEFAULT;
	return 0;
}

static void root_made(struct mds_op *op)
{
	struct mds *m = op->m;

	m->root_making = false;
	if (op->status) {
		weft_warn("the root directory could not be made", "err=%d", op->status);
		return;
	}
	m->root_there = true;
	weft_info("the root directory is there", "group=%u", m->group);
	m->cfg.net->root_made(m->cfg.net_arg);
}

static void check_root(struct mds *m)
{
	bool pending = le16_to_cpu(m->map->view.hdr->flags) & WEFT_MAP_F_ROOT_PENDING;
	struct mds_inode i;
	struct mds_tx tx;
	int ret;

	if (!mds_is_local(m, WEFT_INO_ROOT) || m->root_making)
		return;
	if (m->root_there && !pending)
		return;
	mds_tx_init(&tx, m, NULL);
	ret = mds_read_inode(&tx, WEFT_INO_ROOT, &i);
	if (pending && (!ret || ret == -ENOENT)) {
		m->root_making = !mds_internal(m, root_run, root_made, NULL);
	} else if (ret == -ENOENT) {
		mds_fail(m, -ENODATA, "the root directory is missing: this is not the store that "
				      "the cluster map means");
	} else if (!ret || ret == MDS_PARKED) {
		m->root_there = true;
	} else {
		mds_fail(m, ret, "the root directory cannot be read");
	}
}

static void begin_service(struct mds *m)
{
	int ret;

	if (m->serving || !m->group)
		return;
	ret = mds_txn_recover(m);
	if (!ret)
		ret = mds_cut_recover(m);
	if (ret) {
		mds_fail(m, ret, "what was under way before the restart cannot be taken up");
		return;
	}
	m->serving = true;
	weft_info("serving", "target=%u group=%u shards=%u epoch=%llu", m->cfg.target, m->group,
		  m->local_shards, (unsigned long long)m->map->epoch);
	if (!mds_in_grace(m))
		mds_orphan_scan(m);
	mds_purge_kick(m);
}

void mds_set_map(struct mds *m, struct weft_map *map)
{
	const struct weft_map_view *v = &map->view;
	u32 group = led_group(m, v), k;

	if (m->failed || (m->map && m->map->epoch >= map->epoch))
		return;
	if (m->group && group != m->group) {
		mds_fail(m, -ESTALE, "the cluster map gives this target another group");
		return;
	}
	if (!m->map || m->map->view.npools != v->npools)
		m->pools_epoch = v->npools > 1 ? map->epoch : 0;
	weft_map_put(m->map);
	m->map = weft_map_get(map);
	m->group = group;
	m->local_shards = 0;
	for (k = 0; group && k < v->nshards; k++)
		m->local_shards += le32_to_cpu(v->shards[k]) == group;
	begin_service(m);
	if (m->serving && !m->failed)
		check_root(m);
}
