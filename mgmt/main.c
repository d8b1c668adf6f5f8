// SPDX-License-Identifier: Apache-2.0
/*
 * weft-mgmt: the management daemon.
 *
 * Normal operation: read the configuration, open and lock the target, open the log, listen, run the
 * loop; SIGTERM or SIGINT closes the log and ends with status 0. kill -9 loses nothing that was
 * answered: every answer waits for the log.
 *
 * Exit status: 0 ended by a signal; 1 failed while running; 2 wrong command line or configuration;
 * 3 the target was refused (not formatted, damaged, of another type or file system, in use).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/uuid.h"
#include "mgmt/raft.h"
#include "mgmt/server.h"

#define POOL_LIMIT (256u << 20)
#define LEASE_MS_MIN 1000
#define LEASE_MS_MAX 600000

static const struct weft_config_key keys[] = {
	{ "node", "name", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "node", "listen", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "node", "domain", WEFT_CONFIG_STR, 0 },
	{ "mgmt", "addresses", WEFT_CONFIG_STR, 0 },
	{ "mgmt", "id", WEFT_CONFIG_U64, 0 },
	{ "mgmt", "raft", WEFT_CONFIG_STR, 0 },
	{ "mgmt", "lease_ms", WEFT_CONFIG_U64, 0 },
	{ "target", "path", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED | WEFT_CONFIG_NAMED },
	{ "log", "level", WEFT_CONFIG_LEVEL, 0 },
	{ "auth", "secretfile", WEFT_CONFIG_STR, 0 },
	{ NULL, NULL, 0, 0 },
};

struct daemon {
	struct weft_config *config;
	struct weft_secret secret;
	struct weft_target target;
	struct weft_env *env;
	struct weft_pool *pool;
	struct mgmt_server *server;
	struct weft_rpc_server *rpc;
	struct mgmt_raft *raft;
	char members[MGMT_RAFT_MEMBERS_MAX][80];
	unsigned int nmembers;
	bool stopping;
	int status;
};

/* ---- configuration */

static int read_members(struct daemon *d)
{
	const char *list = weft_config_str(d->config, "mgmt", NULL, "raft", "");
	int ret;

	while (d->nmembers < MGMT_RAFT_MEMBERS_MAX) {
		ret = weft_config_split(&list, d->members[d->nmembers], sizeof(d->members[0]));
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		d->nmembers++;
	}
	if (*list)
		return -E2BIG;
	if (!d->nmembers)
		snprintf(d->members[d->nmembers++], sizeof(d->members[0]), "127.0.0.1:1");
	return 0;
}

static int configure(struct daemon *d, const char *path)
{
	uint64_t lease;
	int ret = weft_daemon_config(path, keys, &d->config, &d->secret);

	if (ret)
		return ret;
	if (!weft_config_section(d->config, "target", 0) ||
	    weft_config_section(d->config, "target", 1)) {
		weft_err("configuration refused",
			 "file=%s reason=exactly one [target NAME] is needed", path);
		return WEFT_EXIT_CONFIG;
	}
	if (read_members(d) ||
	    weft_config_u64(d->config, "mgmt", NULL, "id", 1) - 1 >= d->nmembers) {
		weft_err("configuration refused",
			 "file=%s reason=[mgmt] id must be a place in the list [mgmt] raft", path);
		return WEFT_EXIT_CONFIG;
	}
	lease = weft_config_u64(d->config, "mgmt", NULL, "lease_ms", MGMT_LEASE_MS_DEFAULT);
	if (lease < LEASE_MS_MIN || lease > LEASE_MS_MAX) {
		weft_err("configuration refused", "file=%s reason=lease_ms must be %u to %u", path,
			 LEASE_MS_MIN, LEASE_MS_MAX);
		return WEFT_EXIT_CONFIG;
	}
	return 0;
}

static int open_target(struct daemon *d)
{
	const char *name = weft_config_section(d->config, "target", 0);
	const char *path = weft_config_str(d->config, "target", name, "path", "");
	char err[WEFT_TARGET_ERR_MAX], fsid[WEFT_UUID_STR];
	int ret = weft_target_open_wait(path, WEFT_MGT, NULL, &d->target, err);

	if (ret) {
		weft_err("target refused", "reason=%s err=%d", err, -ret);
		return WEFT_EXIT_TARGET;
	}
	weft_info("target opened", "path=%s fs=%s fsid=%s", path, d->target.fs_name,
		  weft_uuid_format(d->target.fsid, fsid));
	return 0;
}

/* ---- running */

static void raft_closed(void *arg)
{
	struct daemon *d = arg;

	d->raft = NULL;
	weft_env_stop(d->env);
}

static void stop(struct daemon *d, int status)
{
	if (d->stopping)
		return;
	d->stopping = true;
	d->status = status;
	weft_rpc_server_remove(d->rpc, d->server->svc);
	mgmt_raft_close(d->raft, raft_closed, d);
}

static void on_signal(void *arg)
{
	weft_info("asked to end", "%s", "");
	stop(arg, 0);
}

static void on_broken(void *arg, const char *sentence)
{
	weft_err("management cannot go on", "reason=%s", sentence);
	stop(arg, WEFT_EXIT_RUNTIME);
}

static int start_rpc(struct daemon *d)
{
	struct weft_rpc_server_cfg rpc = {
		.env = d->env,
		.secret = d->secret.len ? d->secret.data : NULL,
		.secret_len = d->secret.len,
	};
	int ret;

	memcpy(rpc.fsid, d->target.fsid, sizeof(rpc.fsid));
	ret = weft_rpc_server_create(&rpc, &d->rpc);
	if (!ret)
		ret = weft_rpc_server_add(d->rpc, d->server->svc);
	if (ret) {
		weft_err("cannot start", "err=%d (%s)", -ret, strerror(-ret));
		return WEFT_EXIT_RUNTIME;
	}
	return 0;
}

static int start_log(struct daemon *d)
{
	char dir[WEFT_TARGET_PATH_MAX + 16], err[MGMT_RAFT_ERR_MAX];
	struct mgmt_raft_cfg cfg = {
		.env = d->env,
		.loop = weft_env_uv_loop(d->env),
		.dir = weft_target_file(&d->target, "raft", dir, sizeof(dir)),
		.id = weft_config_u64(d->config, "mgmt", NULL, "id", 1),
		.nmembers = d->nmembers,
		.cb = &mgmt_server_log_cb,
		.arg = d->server,
	};
	unsigned int i;
	int ret;

	for (i = 0; i < d->nmembers; i++)
		cfg.members[i] = d->members[i];
	ret = mgmt_raft_start(&cfg, &d->raft, err);
	if (ret) {
		weft_err("the log cannot be opened", "reason=%s", err);
		return ret == -EUCLEAN ? WEFT_EXIT_TARGET : WEFT_EXIT_RUNTIME;
	}
	mgmt_server_set_log(d->server, mgmt_raft_log(d->raft));
	return 0;
}

static int start_server(struct daemon *d)
{
	struct mgmt_server_cfg cfg = {
		.name = d->target.fs_name,
		.address = weft_config_str(d->config, "node", NULL, "listen", ""),
		.lease_ms = weft_config_u64(d->config, "mgmt", NULL, "lease_ms", 0),
		.broken = on_broken,
		.arg = d,
	};
	int ret = weft_env_uv_create(&d->env);

	if (!ret)
		ret = weft_pool_create(POOL_LIMIT, &d->pool);
	cfg.env = d->env;
	cfg.pool = d->pool;
	memcpy(cfg.fsid, d->target.fsid, sizeof(cfg.fsid));
	if (!ret)
		ret = mgmt_server_create(&cfg, &d->server);
	if (!ret)
		ret = weft_env_uv_signal(d->env, SIGTERM, on_signal, d);
	if (!ret)
		ret = weft_env_uv_signal(d->env, SIGINT, on_signal, d);
	if (!ret)
		return 0;
	weft_err("cannot start", "err=%d (%s)", -ret, strerror(-ret));
	return WEFT_EXIT_RUNTIME;
}

static int run(struct daemon *d, const char *config)
{
	struct weft_rpc_addr rails[WEFT_RPC_ADDRS_MAX];
	unsigned int nrails = 0;
	int ret = configure(d, config);

	if (!ret)
		ret = open_target(d);
	if (!ret)
		ret = start_server(d);
	if (!ret)
		ret = start_rpc(d);
	if (!ret)
		ret = start_log(d);
	if (ret)
		return ret;
	ret = weft_daemon_listen(d->rpc, WEFT_RAIL_TCP,
				 weft_config_str(d->config, "node", NULL, "listen", ""),
				 WEFT_DEFAULT_PORT, rails, &nrails);
	if (ret)
		stop(d, ret);
	else
		weft_info("ready", "name=%s", weft_config_str(d->config, "node", NULL, "name", ""));
	weft_env_uv_run(d->env);
	return d->status;
}

static void fini(struct daemon *d)
{
	weft_rpc_server_destroy(d->rpc);
	mgmt_server_destroy(d->server);
	if (d->env)
		weft_env_uv_destroy(d->env);
	weft_pool_destroy(d->pool);
	weft_target_close(&d->target);
	weft_secret_wipe(&d->secret);
	weft_config_free(d->config);
}

int main(int argc, char **argv)
{
	struct daemon d = { .target.fd = -1 };
	const char *config;
	int status = weft_daemon_options("weft-mgmt", argc, argv, &config);

	if (status >= 0)
		return status;
	status = run(&d, config);
	fini(&d);
	weft_info("ended", "status=%d", status);
	return status;
}
