// SPDX-License-Identifier: Apache-2.0
/*
 * One metadata target: made from its store, fed with maps and requests, drained and freed.
 *
 * mds_create() loads what must be in memory (sessions, counters come on demand, the purge queue's
 * ends, the rename lock's holder). Service begins with the first map that names the target (map.c).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/rpc/rdma_stats.h"
#include "mds/mds.h"
#include "mds/warm.h"

#define SESSIONS_MAX 65536

struct mds_time mds_time(struct mds *m)
{
	struct timespec ts;

	weft_env_wall(m->env, &ts);
	return (struct mds_time){ .sec = ts.tv_sec, .nsec = ts.tv_nsec };
}

void mds_fail(struct mds *m, int err, const char *why)
{
	if (m->failed)
		return;
	m->failed = true;
	weft_err(why, "store=%s err=%d", weft_kv_path(m->kv), err);
	m->cfg.net->fatal(m->cfg.net_arg, err, why);
}

static void drain_check(void *arg)
{
	struct mds *m = arg;

	/* A worker may still have the batch, or read keys. */
	if (m->batch.state == MDS_IDLE && !m->warms && (m->failed || !m->batch.queue.count)) {
		m->failed = true;
		m->drained(m->drained_arg);
		return;
	}
	weft_timer_start(m->env, &m->drain_timer, 5 * WEFT_NS_PER_MS);
}

int mds_create(const struct mds_cfg *cfg, struct mds **out)
{
	struct mds *m = calloc(1, sizeof(*m));
	int ret;

	*out = NULL;
	if (!m)
		return -ENOMEM;
	m->cfg = *cfg;
	m->env = cfg->env;
	m->kv = cfg->kv;
	weft_timer_init(&m->drain_timer, drain_check, m);
	mds_purge_init(m);
	mds_rename_lock_init(m);
	weft_timer_init(&m->sessions.timer, NULL, NULL);
	if (!m->cfg.lease_ms)
		m->cfg.lease_ms = WEFT_LEASE_MS;
	if (!m->cfg.expire_ms)
		m->cfg.expire_ms = 20 * m->cfg.lease_ms;
	if (!m->cfg.sessions_max)
		m->cfg.sessions_max = SESSIONS_MAX;
	ret = mds_batch_init(m);
	if (!ret)
		ret = mds_cache_init(&m->cache, MDS_CACHE_INODES);
	if (!ret)
		ret = mds_lock_init(m);
	if (!ret)
		ret = mds_counters_init(m);
	if (!ret)
		ret = mds_txn_init(m);
	if (!ret)
		ret = mds_session_init(m);
	if (!ret)
		ret = mds_session_load(m);
	if (!ret)
		ret = mds_purge_load(m);
	if (!ret)
		ret = mds_rename_lock_load(m);
	if (ret)
		mds_destroy(m);
	else
		*out = m;
	return ret;
}

void mds_drain(struct mds *m, void (*drained)(void *arg), void *arg)
{
	m->draining = true;
	m->drained = drained;
	m->drained_arg = arg;
	weft_timer_start(m->env, &m->drain_timer, 0);
}

void mds_destroy(struct mds *m)
{
	if (!m)
		return;
	m->failed = m->closing = true;
	weft_timer_stop(m->env, &m->drain_timer);
	while (m->all_ops)
		mds_finish(m->all_ops, -ESHUTDOWN);
	mds_warm_fini(m);
	mds_cut_fini(m);
	mds_purge_fini(m);
	mds_rename_lock_fini(m);
	mds_txn_fini(m);
	mds_session_fini(m);
	mds_batch_fini(m);
	mds_cache_fini(&m->cache);
	mds_lock_fini(m);
	mds_counters_fini(m);
	weft_map_put(m->map);
	free(m);
}

struct text {
	char *buf;
	size_t len, cap;
};

static void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < t->cap - t->len)
		t->len += n;
}

char *mds_stats_text(struct mds *m, size_t *len)
{
	const struct mds_stats *s = &m->stats;
	struct text t = { .cap = 4096 };
	struct weft_kv_stats kv;
	size_t n;

	t.buf = malloc(t.cap);
	if (!t.buf)
		return NULL;
	weft_kv_stats(m->kv, &kv);
	text_add(&t, "{\"kind\":\"mdt\"");
#define ROW(name, val) text_add(&t, ",\"%s\":%llu", name, (unsigned long long)(val))
	ROW("target", m->cfg.target);
	ROW("group", m->group);
	ROW("epoch", m->map ? m->map->epoch : 0);
	ROW("ops_read", s->ops_read);
	ROW("ops_write", s->ops_write);
	ROW("ops_internal", s->ops_internal);
	ROW("ops_now", m->ops);
	ROW("batches", s->batches);
	ROW("batch_ops", s->batch_ops);
	ROW("batch_max", s->batch_max);
	ROW("batch_waits", s->batch_waits);
	ROW("parked", s->parked);
	ROW("deferred", s->deferred);
	ROW("replayed", s->replayed);
	ROW("inode_hits", m->cache.hits);
	ROW("cold_keys", s->cold);
	ROW("inode_misses", m->cache.misses);
	ROW("kv_gets", kv.gets);
	ROW("kv_commits", kv.commits);
	ROW("kv_syncs", kv.syncs);
	ROW("kv_bytes", kv.bytes);
	ROW("kv_sync_ns", kv.sync_ns);
	ROW("txn_started", s->txn_started);
	ROW("txn_committed", s->txn_committed);
	ROW("txn_aborted", s->txn_aborted);
	ROW("txn_busy", s->txn_busy);
	ROW("txn_prepared", s->txn_prepared);
	ROW("txn_unconfirmed", m->txns.own.count);
	ROW("locks", m->locks.count);
	ROW("purged", s->purged);
	ROW("purge_backlog", m->purge.next_nr - m->purge.high_nr + m->purge.deferred +
	    m->purge.running + m->purge.cut);
	ROW("purge_deferred", m->purge.deferred);
	ROW("cuts", s->cuts);
	ROW("sessions", m->sessions.table.count);
	ROW("sole", m->sessions.sole ? m->sessions.sole->id : 0);
	ROW("recalls", s->recalls);
	ROW("sessions_expired", s->sessions_expired);
	ROW("open_files", m->sessions.opens.count);
	ROW("grace", mds_in_grace(m));
#undef ROW
	n = weft_rdma_stats_json(t.buf + t.len, t.cap - t.len);
	if (n < t.cap - t.len)
		t.len += n;
	text_add(&t, "}");
	*len = t.len;
	return t.buf;
}
