// SPDX-License-Identifier: Apache-2.0
/*
 * weft-mds: the metadata server.
 *
 *	weft-mds --config FILE
 *
 *	[node]
 *	name = mds1
 *	listen = 127.0.0.1:7421		; numeric, several separated by commas
 *	domain = row1/rack2		; optional
 *	lease_ms = 15000		; optional: lease of client sessions, 1000 to 600000
 *	[mgmt]
 *	addresses = 127.0.0.1:7420
 *	[target mdt1]			; one section for each target
 *	path = /data/mdt1
 *	[auth]
 *	secretfile = /etc/weft/secret	; optional
 *	[log]
 *	level = info			; optional
 *
 * It opens its targets, listens, registers at management, and serves each target when management
 * has told its id and the cluster map names its group. SIGTERM and SIGINT answer what is under way,
 * close the stores and end with status 0.
 *
 * Exit status: 0 ended by a signal; 1 failed while starting or running (no address, refused by
 * management); 2 wrong command line or configuration; 3 a target was refused (not formatted,
 * damaged, of another type or file system, in use, without the root directory it must have); 4 a
 * commit failed. A line in the log says why.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/env_uv.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/mapclient.h"
#include "common/mgmt_client.h"
#include "common/secret.h"
#include "mds/target.h"

enum { EXIT_RUNTIME = 1, EXIT_CONFIG = 2, EXIT_TARGET = 3, EXIT_COMMIT = 4 };

#define MAIN_POOL (16u << 20)
#define LEAVE_MS 2000
#define LEASE_MS_MIN 1000
#define LEASE_MS_MAX 600000

static const struct weft_config_key keys[] = {
	{ "node", "name", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "node", "listen", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "node", "domain", WEFT_CONFIG_STR, 0 },
	{ "node", "lease_ms", WEFT_CONFIG_U64, 0 },
	{ "mgmt", "addresses", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "target", "path", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED | WEFT_CONFIG_NAMED },
	{ "auth", "secretfile", WEFT_CONFIG_STR, 0 },
	{ "log", "level", WEFT_CONFIG_LEVEL, 0 },
	{ NULL, NULL, 0, 0 },
};

struct daemon {
	struct weft_env *env;
	struct weft_config *config;
	struct weft_secret secret;
	struct weft_pool *pool;
	struct mds_target *targets[WEFT_NODE_TARGETS_MAX];
	unsigned int ntargets;
	struct weft_rpc_addr rails[WEFT_RPC_ADDRS_MAX];
	unsigned int nrails;
	uint64_t boot;
	struct weft_rpc_server *server;
	struct weft_rpc_client *client;
	struct weft_mapclient *mc;
	struct weft_mgmt_node *node;
	bool registered;
	bool stopping;
	unsigned int draining;
	int status;
};

/* A word from a target's thread to the main loop. */
struct word {
	struct weft_post post;
	struct daemon *d;
	uint64_t epoch;
	int err;
};

/* --- the end */

static void left(void *arg)
{
	struct daemon *d = arg;

	weft_env_stop(d->env);
}

static void target_drained(void *arg)
{
	struct daemon *d = arg;

	if (--d->draining)
		return;
	if (d->node)
		weft_mgmt_node_stop(d->node, left, d, LEAVE_MS);
	else
		weft_env_stop(d->env);
}

static void stop(void *arg)
{
	struct daemon *d = arg;
	unsigned int i;

	if (d->stopping)
		return;
	d->stopping = true;
	weft_info("draining", "targets=%u", d->ntargets);
	d->draining = d->ntargets;
	for (i = 0; i < d->ntargets; i++)
		mds_target_drain(d->targets[i], d->server, d->env, target_drained, d);
}

/* --- words from the targets' threads */

static void say(struct daemon *d, void (*cb)(void *arg), uint64_t epoch, int err)
{
	struct word *w = malloc(sizeof(*w));

	if (!w) {
		/* The map is polled, the root is told again with the next map; a failure is not. */
		if (err)
			_exit(EXIT_COMMIT);
		return;
	}
	*w = (struct word){ .post = { .cb = cb, .arg = w }, .d = d, .epoch = epoch, .err = err };
	weft_env_post(d->env, &w->post);
}

static void hear_map(void *arg)
{
	struct word *w = arg;

	if (!w->d->stopping)
		weft_mapclient_refresh(w->d->mc, w->epoch);
	free(w);
}

static void hear_root(void *arg)
{
	struct word *w = arg;

	if (w->d->node && !w->d->stopping)
		weft_mgmt_node_root_made(w->d->node);
	free(w);
}

static void hear_fatal(void *arg)
{
	struct word *w = arg;

	w->d->status = w->err == -ENODATA || w->err == -ESTALE ? EXIT_TARGET : EXIT_COMMIT;
	stop(w->d);
	free(w);
}

static void need_map(void *arg, u64 epoch)
{
	say(arg, hear_map, epoch, 0);
}

static void root_made(void *arg)
{
	say(arg, hear_root, 0, 0);
}

static void fatal(void *arg, int err, const char *why)
{
	(void)why;
	say(arg, hear_fatal, 0, err);
}

/* --- management */

static void pass_map(struct daemon *d, struct weft_map *map)
{
	unsigned int i;

	for (i = 0; map && d->registered && i < d->ntargets; i++)
		if (mds_target_set_map(d->targets[i], map))
			weft_warn("a map was not passed on: no memory", "target=%u", i);
}

static void map_changed(void *arg, struct weft_map *map)
{
	struct daemon *d = arg;

	if (!d->stopping)
		pass_map(d, map);
}

static void registered(void *arg, uint32_t node, const uint32_t *ids)
{
	struct daemon *d = arg;
	struct weft_map *map;
	unsigned int i;
	int err;

	if (d->stopping)
		return;
	for (i = 0; i < d->ntargets; i++) {
		err = mds_target_serve(d->targets[i], d->server, ids[i]);
		weft_info("target offered", "node=%u target=%u path=%s err=%d", node, ids[i],
			  mds_target_super(d->targets[i])->path, err);
		if (err) {
			d->status = EXIT_TARGET;
			stop(d);
			return;
		}
	}
	d->registered = true;
	map = weft_mapclient_map(d->mc);
	pass_map(d, map);
	weft_map_put(map);
}

static void refused(void *arg, int err, const char *sentence)
{
	struct daemon *d = arg;

	weft_err("management refuses this node", "reason=\"%s\" err=%d", sentence, err);
	d->status = EXIT_RUNTIME;
	stop(d);
}

/* How many inodes fit is a guess: 1 KiB of the store for each. */
static void usage(void *arg, unsigned int i, struct weft_node_usage *u)
{
	struct daemon *d = arg;
	u64 total, used, inodes;

	*u = (struct weft_node_usage){ 0 };
	if (d->stopping)
		return;
	mds_target_usage(d->targets[i], &total, &used, &inodes);
	u->bytes_total = total;
	u->bytes_used = used;
	u->inodes_used = inodes;
	u->inodes_total = inodes + (total - used) / 1024;
}

static void pushed(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		   size_t len, const void *tail, size_t tail_len)
{
	struct daemon *d = arg;

	(void)peer;
	(void)tail;
	(void)tail_len;
	if (opcode == WEFT_OP_MAP_PUSH)
		weft_mapclient_push(d->mc, body, len);
}

/* --- the beginning */

static int fail(int status, const char *what, const char *why)
{
	weft_err(what, "reason=\"%s\"", why);
	return status;
}

static int load_config(struct daemon *d, const char *path)
{
	char err[WEFT_CONFIG_ERR_MAX], serr[WEFT_SECRET_ERR_MAX];
	const char *secret;
	u64 lease;

	if (weft_config_load(path, keys, &d->config, err))
		return fail(EXIT_CONFIG, "configuration refused", err);
	weft_log_set_level(weft_config_u64(d->config, "log", NULL, "level", WEFT_LOG_INFO));
	lease = weft_config_u64(d->config, "node", NULL, "lease_ms", WEFT_LEASE_MS);
	if (lease < LEASE_MS_MIN || lease > LEASE_MS_MAX)
		return fail(EXIT_CONFIG, "configuration refused",
			    "lease_ms must be 1000 to 600000");
	secret = weft_config_str(d->config, "auth", NULL, "secretfile", NULL);
	if (secret && weft_secret_read(secret, &d->secret, serr))
		return fail(EXIT_CONFIG, "secret refused", serr);
	return 0;
}

static int start_targets(struct daemon *d)
{
	char err[WEFT_TARGET_ERR_MAX];
	const u8 *fsid = NULL;
	const char *name;
	unsigned int i;

	for (i = 0; (name = weft_config_section(d->config, "target", i)); i++) {
		struct mds_target_cfg cfg = {
			.name = name,
			.path = weft_config_str(d->config, "target", name, "path", ""),
			.secret = d->secret.len ? d->secret.data : NULL,
			.secret_len = d->secret.len,
			.lease_ms = weft_config_u64(d->config, "node", NULL, "lease_ms", 0),
			.root_made = root_made,
			.need_map = need_map,
			.fatal = fatal,
			.arg = d,
		};

		if (i == WEFT_NODE_TARGETS_MAX)
			return fail(EXIT_CONFIG, "configuration refused", "too many targets");
		if (mds_target_start(&cfg, fsid, &d->targets[i], err))
			return fail(EXIT_TARGET, "target cannot be opened", err);
		d->ntargets = i + 1;
		fsid = mds_target_super(d->targets[0])->fsid;
	}
	return i ? 0 : fail(EXIT_CONFIG, "configuration refused", "no section [target NAME]");
}

static int listen_rails(struct daemon *d)
{
	const char *list = weft_config_str(d->config, "node", NULL, "listen", "");
	struct weft_rpc_server_cfg cfg = {
		.env = d->env,
		.secret = d->secret.len ? d->secret.data : NULL,
		.secret_len = d->secret.len,
		.boot = d->boot,
	};
	char elem[WEFT_RPC_HOST_MAX + 16];
	int res;

	memcpy(cfg.fsid, mds_target_super(d->targets[0])->fsid, sizeof(cfg.fsid));
	if (weft_rpc_server_create(&cfg, &d->server))
		return fail(EXIT_RUNTIME, "cannot listen", "out of memory");
	while ((res = weft_config_split(&list, elem, sizeof(elem))) > 0) {
		struct weft_rpc_addr *a = &d->rails[d->nrails];

		if (d->nrails == WEFT_RPC_ADDRS_MAX)
			return fail(EXIT_CONFIG, "cannot listen", "too many addresses");
		a->port = 0;
		if (weft_parse_hostport(elem, a->host, sizeof(a->host), &a->port))
			return fail(EXIT_CONFIG, "cannot listen: wrong address", elem);
		res = weft_rpc_server_listen(d->server, a->host, a->port);
		if (res < 0) {
			weft_err("cannot listen", "address=%s reason=\"%s\"", elem,
				 strerror(-res));
			return EXIT_RUNTIME;
		}
		a->port = res;
		d->nrails++;
	}
	if (res < 0 || !d->nrails)
		return fail(EXIT_CONFIG, "cannot listen", "wrong address list");
	return 0;
}

static int start_management(struct daemon *d)
{
	struct weft_rpc_client_cfg client = {
		.env = d->env,
		.pool = d->pool,
		.role = WEFT_ROLE_SERVER,
		.secret = d->secret.len ? d->secret.data : NULL,
		.secret_len = d->secret.len,
		.session = WEFT_SESSION_SERVER,
		.push = pushed,
		.arg = d,
	};
	struct weft_mapclient_cfg mc = {
		.env = d->env,
		.servers = weft_config_str(d->config, "mgmt", NULL, "addresses", ""),
		.subscribe = true,
		.changed = map_changed,
		.arg = d,
	};
	struct weft_node_target targets[WEFT_NODE_TARGETS_MAX];
	struct weft_mgmt_node_cfg node = {
		.env = d->env,
		.name = weft_config_str(d->config, "node", NULL, "name", ""),
		.domain = weft_config_str(d->config, "node", NULL, "domain", NULL),
		.rails = d->rails,
		.nrails = d->nrails,
		.targets = targets,
		.ntargets = d->ntargets,
		.boot = d->boot,
		.registered = registered,
		.failed = refused,
		.usage = usage,
		.arg = d,
	};
	u64 used, inodes, total;
	unsigned int i;

	memcpy(client.fsid, mds_target_super(d->targets[0])->fsid, sizeof(client.fsid));
	for (i = 0; i < d->ntargets; i++) {
		const struct weft_target *sb = mds_target_super(d->targets[i]);

		targets[i].kind = WEFT_MDT;
		memcpy(targets[i].uuid, sb->uuid, sizeof(sb->uuid));
		memcpy(targets[i].fsid, sb->fsid, sizeof(sb->fsid));
		mds_target_usage(d->targets[i], &total, &used, &inodes);
		targets[i].capacity = total;
	}
	if (weft_rpc_client_create(&client, &d->client))
		return fail(EXIT_RUNTIME, "cannot reach management", "out of memory");
	mc.rpc = d->client;
	if (weft_mapclient_create(&mc, &d->mc))
		return fail(EXIT_CONFIG, "configuration refused", "[mgmt] addresses");
	weft_mapclient_refresh(d->mc, 0);
	node.mc = d->mc;
	if (weft_mgmt_node_start(&node, &d->node))
		return fail(EXIT_CONFIG, "configuration refused", "[node] name, domain or listen");
	return 0;
}

/* Returns 0 or the exit status. */
static int start(struct daemon *d, const char *path)
{
	int err;

	if (weft_env_uv_create(&d->env))
		return fail(EXIT_RUNTIME, "cannot start", "no event loop");
	weft_env_random(d->env, &d->boot, sizeof(d->boot));
	d->boot |= 1;
	if (weft_pool_create(MAIN_POOL, &d->pool))
		return fail(EXIT_RUNTIME, "cannot start", "out of memory");
	err = load_config(d, path);
	if (!err)
		err = start_targets(d);
	if (!err)
		err = listen_rails(d);
	if (!err)
		err = start_management(d);
	if (err)
		return err;
	if (weft_env_uv_signal(d->env, SIGTERM, stop, d) ||
	    weft_env_uv_signal(d->env, SIGINT, stop, d))
		return fail(EXIT_RUNTIME, "cannot start", "signals");
	return 0;
}

static void cleanup(struct daemon *d)
{
	unsigned int i;

	weft_mapclient_destroy(d->mc);
	weft_mgmt_node_destroy(d->node);
	weft_rpc_client_destroy(d->client);
	for (i = 0; i < d->ntargets; i++)
		mds_target_stop(d->targets[i]);
	weft_rpc_server_destroy(d->server);
	if (d->env)
		weft_env_uv_destroy(d->env);
	weft_pool_destroy(d->pool);
	weft_config_free(d->config);
	weft_secret_wipe(&d->secret);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = NULL;
	struct daemon d = { 0 };
	int opt;

	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (opt == 'h') {
			printf("usage: weft-mds --config FILE\n");
			return 0;
		}
		if (opt != 'c')
			return EXIT_CONFIG;
		path = optarg;
	}
	if (!path || optind != argc) {
		fprintf(stderr, "usage: weft-mds --config FILE\n");
		return EXIT_CONFIG;
	}
	weft_log_init("weft-mds");
	signal(SIGPIPE, SIG_IGN);
	if (weft_fault_init())
		return EXIT_CONFIG;
	d.status = start(&d, path);
	if (!d.status) {
		weft_info("running", "targets=%u", d.ntargets);
		weft_env_uv_run(d.env);
	}
	cleanup(&d);
	return d.status;
}
