// SPDX-License-Identifier: Apache-2.0
/*
 * Targets of the daemon: each has a thread with a loop of its own, where its core, service and
 * connections to other servers live. The main thread opens it, offers its service when management
 * has told its id, passes maps on, and drains it at the end.
 *
 * The RocksDB is made at the first start; the file "db.made" tells that this was done, so that a
 * RocksDB that vanished later is an error and not an empty target.
 *
 * Draining: requests that came are answered, calls to others are ended, then core, service and
 * store are closed in this order; whatever still waited is told to ask again (WEFT_S_RECOVERY).
 */
#include "mds/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/log.h"
#include "mds/net.h"
#include "mds/server.h"

#define POOL_BYTES (256ull << 20)

struct mds_target {
	struct mds_target_cfg cfg;
	struct weft_target sb;
	struct weft_pool *pool;
	struct weft_kv *kv;
	struct weft_env_thread *thread;
	struct weft_env *env;
	struct mds_net net;
	struct mds *core;
	struct mds_server *server;

	struct weft_env *main;
	struct weft_post post, drained_post;
	void (*drained)(void *arg);
	void *drained_arg;
};

struct map_post {
	struct weft_post post;
	struct mds_target *t;
	struct weft_map *map;
};

struct db_open {
	struct mds_target *t;
	bool made;
	char path[WEFT_TARGET_PATH_MAX + 16];
	char err[WEFT_KV_ERR_MAX];
};

static int open_db(void *arg)
{
	struct db_open *o = arg;

	return mds_store_open(o->path, o->t->sb.fsid, o->t->sb.uuid, !o->made, o->t->cfg.cache,
			      &o->t->kv, o->err);
}

/* A killed server's lock on the RocksDB may go later than that on its superblock. */
static int open_store(struct mds_target *t, char err[WEFT_TARGET_ERR_MAX])
{
	struct db_open o = { .t = t };
	bool made;
	int ret;

	made = o.made = weft_target_used(&t->sb);
	weft_target_file(&t->sb, "db", o.path, sizeof(o.path));
	ret = weft_target_wait(open_db, &o, WEFT_TARGET_WAIT_MS);
	if (ret) {
		snprintf(err, WEFT_TARGET_ERR_MAX, "%s", o.err);
		return ret;
	}
	ret = made ? 0 : weft_target_set_used(&t->sb);
	if (ret)
		snprintf(err, WEFT_TARGET_ERR_MAX, "%s/" WEFT_TARGET_USED ": %s", t->sb.path,
			 strerror(-ret));
	return ret;
}

int mds_target_start(const struct mds_target_cfg *cfg, const u8 *fsid, struct mds_target **out,
		     char err[WEFT_TARGET_ERR_MAX])
{
	struct mds_target *t = calloc(1, sizeof(*t));
	int ret;

	*out = NULL;
	snprintf(err, WEFT_TARGET_ERR_MAX, "%s: out of memory", cfg->path);
	if (!t)
		return -ENOMEM;
	t->cfg = *cfg;
	t->sb.fd = -1;
	ret = weft_target_open_wait(cfg->path, WEFT_MDT, fsid, &t->sb, err);
	if (ret)
		goto out_free;
	ret = weft_pool_create(POOL_BYTES, &t->pool);
	if (ret)
		goto out_close;
	ret = open_store(t, err);
	if (ret)
		goto out_store;
	ret = weft_env_thread_start(cfg->name, &t->thread);
	if (ret)
		goto out_store;
	t->env = weft_env_thread_env(t->thread);
	*out = t;
	return 0;

out_store:
	weft_kv_close(t->kv);
	weft_pool_destroy(t->pool);
out_close:
	weft_target_close(&t->sb);
out_free:
	free(t);
	return ret;
}

const struct weft_target *mds_target_super(const struct mds_target *t)
{
	return &t->sb;
}

void mds_target_usage(const struct mds_target *t, u64 *total, u64 *used, u64 *inodes)
{
	struct statvfs st;

	*total = *used = *inodes = 0;
	if (!statvfs(t->sb.path, &st)) {
		*total = (u64)st.f_blocks * st.f_frsize;
		*used = (u64)(st.f_blocks - st.f_bavail) * st.f_frsize;
	}
	weft_kv_property(t->kv, MDS_CF_INODE, "rocksdb.estimate-num-keys", inodes);
}

/* --- what the core asks for, on the target's thread */

static void net_call(void *arg, struct mds_call *call)
{
	struct mds_target *t = arg;

	mds_net_call(&t->net, call);
}

static bool net_push(void *arg, void *conn, u16 opcode, const void *body, size_t len)
{
	(void)arg;
	return mds_server_push(conn, opcode, body, len);
}

static void net_root_made(void *arg)
{
	struct mds_target *t = arg;

	t->cfg.root_made(t->cfg.arg);
}

static void net_need_map(void *arg, u64 epoch)
{
	struct mds_target *t = arg;

	t->cfg.need_map(t->cfg.arg, epoch);
}

static void net_fatal(void *arg, int err, const char *why)
{
	struct mds_target *t = arg;

	t->cfg.fatal(t->cfg.arg, err, why);
}

static const struct mds_net_ops net_ops = {
	.call = net_call,
	.push = net_push,
	.root_made = net_root_made,
	.need_map = net_need_map,
	.fatal = net_fatal,
};

/* --- serving */

static int open_core(struct mds_target *t, u32 id)
{
	struct mds_cfg cfg = { .env = t->env, .kv = t->kv, .target = id, .net = &net_ops,
			       .net_arg = t, .lease_ms = t->cfg.lease_ms,
			       .expire_ms = t->cfg.expire_ms };
	int ret;

	t->net = (struct mds_net){ .env = t->env, .pool = t->pool, .need_map = net_need_map,
				   .arg = t };
	ret = mds_net_open(&t->net, t->sb.fsid, id, t->cfg.secret, t->cfg.secret_len);
	if (ret)
		return ret;
	ret = mds_create(&cfg, &t->core);
	return ret ? ret : mds_server_create(t->env, t->pool, t->core, id, &t->server);
}

/* The core's timers and maps belong to its thread: it is made there, while main waits. */
struct serve {
	struct weft_post post;
	struct mds_target *t;
	u32 id;
	int ret;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void serve_here(void *arg)
{
	struct serve *s = arg;

	s->ret = open_core(s->t, s->id);
	pthread_mutex_lock(&s->lock);
	s->done = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

int mds_target_serve(struct mds_target *t, struct weft_rpc_server *srv, u32 id)
{
	struct serve s = { .post = { .cb = serve_here, .arg = &s }, .t = t, .id = id };

	if (t->server)
		return 0;
	pthread_mutex_init(&s.lock, NULL);
	pthread_cond_init(&s.cond, NULL);
	weft_env_post(t->env, &s.post);
	pthread_mutex_lock(&s.lock);
	while (!s.done)
		pthread_cond_wait(&s.cond, &s.lock);
	pthread_mutex_unlock(&s.lock);
	pthread_mutex_destroy(&s.lock);
	pthread_cond_destroy(&s.cond);
	return s.ret ? s.ret : weft_rpc_server_add(srv, mds_server_service(t->server));
}

static void set_map(void *arg)
{
	struct map_post *p = arg;

	if (p->t->core && !p->t->net.closing) {
		mds_net_set_map(&p->t->net, p->map);
		mds_set_map(p->t->core, p->map);
		weft_rpc_service_set_epoch(mds_server_service(p->t->server), p->map->epoch);
	}
	weft_map_put(p->map);
	free(p);
}

int mds_target_set_map(struct mds_target *t, struct weft_map *map)
{
	struct map_post *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct map_post){ .post = { .cb = set_map, .arg = p }, .t = t,
				.map = weft_map_get(map) };
	weft_env_post(t->env, &p->post);
	return 0;
}

/* --- the end, on the target's thread */

static void close_all(void *arg)
{
	struct mds_target *t = arg;
	size_t len;
	char *text;

	if (t->core) {
		text = mds_stats_text(t->core, &len);
		weft_info("target closed", "stats=%s", text ? text : "");
		free(text);
	}
	mds_destroy(t->core);
	mds_server_destroy(t->server);
	weft_rpc_client_destroy(t->net.rpc);
	t->core = NULL;
	t->server = NULL;
	t->net.rpc = NULL;
	if (t->main)
		weft_env_post(t->main, &t->drained_post);
}

static void calls_ended(void *arg)
{
	struct mds_target *t = arg;

	/* Not from inside a callback of the rpc client. */
	t->post = (struct weft_post){ .cb = close_all, .arg = t };
	weft_env_post(t->env, &t->post);
}

static void core_drained(void *arg)
{
	struct mds_target *t = arg;

	mds_net_close(&t->net, calls_ended, t);
}

static void drain(void *arg)
{
	struct mds_target *t = arg;

	if (t->core)
		mds_drain(t->core, core_drained, t);
	else
		close_all(t);
}

void mds_target_drain(struct mds_target *t, struct weft_rpc_server *srv, struct weft_env *env,
		      void (*drained)(void *arg), void *arg)
{
	t->main = env;
	t->drained_post = (struct weft_post){ .cb = drained, .arg = arg };
	if (t->server)
		weft_rpc_server_remove(srv, mds_server_service(t->server));
	t->post = (struct weft_post){ .cb = drain, .arg = t };
	weft_env_post(t->env, &t->post);
}

void mds_target_stop(struct mds_target *t)
{
	if (!t)
		return;
	weft_env_thread_stop(t->thread);
	weft_kv_close(t->kv);
	weft_pool_destroy(t->pool);
	weft_target_close(&t->sb);
	free(t);
}
