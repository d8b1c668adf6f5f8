// SPDX-License-Identifier: Apache-2.0
/*
 * Targets of the daemon: each has a thread with a loop of its own, where its store and service
 * live. The main thread starts it, waits for the scan of the records, offers its service when
 * management has told its id, and drains it at the end.
 *
 * The RocksDB is made at the first start; the file "db.made" tells that this was done, so that a
 * RocksDB that vanished later is an error and not an empty target.
 */
#include "oss/target.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "oss/admin.h"

#define POOL_DEFAULT (256ull << 20)
#define DATA_WAIT_MS 30000
#define CLOSING_NS (5 * WEFT_NS_PER_MS)

struct oss_target {
	struct oss_target_cfg cfg;
	struct weft_target sb;
	struct weft_pool *pool;
	struct weft_env_thread *thread;
	struct weft_post post;
	sem_t ready;
	sem_t closed;
	struct weft_timer closing;
	int err;
	char msg[OSS_ERR_MAX];
	struct oss_store *store;
	struct oss_server *server;

	struct weft_env *main;
	struct weft_post drained_post;
	struct weft_post end_post;
	void (*drained)(void *arg);
	void *drained_arg;
};

struct data_open {
	struct oss_target *t;
	const struct oss_store_cfg *cfg;
};

static int open_data(void *arg)
{
	struct data_open *o = arg;

	return oss_store_open(o->cfg, &o->t->store, o->t->msg);
}

/*
 * A server that was killed may have disk requests under way for a moment; the kernel keeps its
 * lock on the data file until they are over, and so must we wait: they could hit blocks that we
 * give to somebody else.
 */
static int open_when_free(struct oss_target *t, const struct oss_store_cfg *cfg)
{
	struct data_open o = { t, cfg };

	return weft_target_wait(open_data, &o, DATA_WAIT_MS);
}

/* On the target's thread. */
static void open_store(void *arg)
{
	struct oss_target *t = arg;
	char db[WEFT_TARGET_PATH_MAX + 16];
	struct oss_store_cfg cfg = {
		.env = weft_env_thread_env(t->thread),
		.pool = t->pool,
		.kv_path = weft_target_file(&t->sb, "db", db, sizeof(db)),
		.kv_create = !weft_target_used(&t->sb),
		.data_path = t->sb.data,
		.data_offset = t->sb.data_offset,
		.data_size = t->sb.data_size,
		.cache_segs = t->cfg.cache_segs,
		.no_small = t->cfg.no_small,
	};

	memcpy(cfg.uuid, t->sb.uuid, sizeof(cfg.uuid));
	t->err = open_when_free(t, &cfg);
	if (!t->err && cfg.kv_create) {
		t->err = weft_target_set_used(&t->sb);
		if (t->err)
			snprintf(t->msg, sizeof(t->msg), "%s/" WEFT_TARGET_USED ": %s", t->sb.path,
				 strerror(-t->err));
	}
	sem_post(&t->ready);
}

int oss_target_start(const struct oss_target_cfg *cfg, const uint8_t *fsid,
		     struct oss_target **out, char err[WEFT_TARGET_ERR_MAX])
{
	struct oss_target *t = calloc(1, sizeof(*t));
	int res;

	snprintf(err, WEFT_TARGET_ERR_MAX, "%s: cannot start its thread", cfg->path);
	if (!t)
		return -ENOMEM;
	t->cfg = *cfg;
	t->sb.fd = -1;
	res = weft_target_open_wait(t->cfg.path, WEFT_OST, fsid, &t->sb, err);
	if (res)
		goto out_free;
	res = weft_pool_create(cfg->pool_bytes ? cfg->pool_bytes : POOL_DEFAULT, &t->pool);
	if (res)
		goto out_close;
	res = weft_env_thread_start(cfg->name, &t->thread);
	if (res)
		goto out_pool;
	sem_init(&t->ready, 0, 0);
	sem_init(&t->closed, 0, 0);
	t->post = (struct weft_post){ .cb = open_store, .arg = t };
	weft_env_post(weft_env_thread_env(t->thread), &t->post);
	*out = t;
	return 0;

out_pool:
	weft_pool_destroy(t->pool);
out_close:
	weft_target_close(&t->sb);
out_free:
	free(t);
	return res;
}

int oss_target_wait(struct oss_target *t, char err[WEFT_TARGET_ERR_MAX])
{
	while (sem_wait(&t->ready))
		;
	if (t->err)
		snprintf(err, WEFT_TARGET_ERR_MAX, "%s", t->msg);
	return t->err;
}

const struct weft_target *oss_target_super(const struct oss_target *t)
{
	return &t->sb;
}

void oss_target_space(const struct oss_target *t, uint64_t *total, uint64_t *free)
{
	oss_store_space(t->store, total, free);
}

int oss_target_serve(struct oss_target *t, struct weft_rpc_server *srv, uint32_t id,
		     struct weft_map *(*map)(void *arg),
		     void (*refresh)(void *arg, uint64_t epoch), void *arg)
{
	struct oss_server_cfg cfg = {
		.env = weft_env_thread_env(t->thread),
		.pool = t->pool,
		.store = t->store,
		.map = map,
		.refresh = refresh,
		.arg = arg,
	};
	int err;

	if (t->server)
		return 0;
	err = oss_server_create(&cfg, id, &t->server);
	if (err)
		return err;
	err = weft_rpc_server_add(srv, oss_server_service(t->server));
	if (err) {
		oss_server_destroy(t->server);
		t->server = NULL;
	}
	return err;
}

/* On the target's thread, and not inside a callback of its store. */
static void finish(void *arg)
{
	struct oss_target *t = arg;
	char text[2048];

	if (t->store && !oss_store_idle(t->store)) {
		/* It is busy with something of its own, such as moving small writes. */
		weft_timer_init(&t->closing, finish, t);
		weft_timer_start(weft_env_thread_env(t->thread), &t->closing, CLOSING_NS);
		return;
	}
	if (t->store) {
		oss_stats_text(t->store, t->server ? oss_server_service(t->server) : NULL, text,
			       sizeof(text));
		weft_info("target closed", "stats=%s", text);
	}
	oss_server_destroy(t->server);
	oss_store_close(t->store);
	t->server = NULL;
	t->store = NULL;
	if (t->main)
		weft_env_post(t->main, &t->drained_post);
	else
		sem_post(&t->closed);
}

static void server_drained(void *arg)
{
	struct oss_target *t = arg;

	t->post.cb = finish;
	weft_env_post(weft_env_thread_env(t->thread), &t->post);
}

static void drain(void *arg)
{
	struct oss_target *t = arg;

	oss_server_drain(t->server, server_drained, t);
}

void oss_target_drain(struct oss_target *t, struct weft_rpc_server *srv, struct weft_env *env,
		      void (*drained)(void *arg), void *arg)
{
	t->main = env;
	t->drained_post = (struct weft_post){ .cb = drained, .arg = arg };
	if (t->server)
		weft_rpc_server_remove(srv, oss_server_service(t->server));
	t->post = (struct weft_post){ .cb = t->server ? drain : finish, .arg = t };
	weft_env_post(weft_env_thread_env(t->thread), &t->post);
}

void oss_target_stop(struct oss_target *t)
{
	if (!t)
		return;
	t->main = NULL;
	t->end_post = (struct weft_post){ .cb = finish, .arg = t };
	weft_env_post(weft_env_thread_env(t->thread), &t->end_post);
	while (sem_wait(&t->closed))
		;
	weft_env_thread_stop(t->thread);
	weft_pool_destroy(t->pool);
	weft_target_close(&t->sb);
	sem_destroy(&t->closed);
	sem_destroy(&t->ready);
	free(t);
}
