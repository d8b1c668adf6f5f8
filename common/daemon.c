// SPDX-License-Identifier: Apache-2.0
/*
 * The daemons' common parts: command line, configuration, listening; and the life of a server with
 * targets.
 *
 * Happy path: configuration, targets opened, listening, registered at management, each target
 * served under the id that management told, maps passed on as they change. A signal drains the
 * targets, says good-bye to management (2 s at most) and ends the loop.
 *
 * Failures: each ends the daemon with a line in the log and an exit status. A target that cannot
 * be opened or offered ends it whole: management must not be told of targets that nobody serves.
 *
 * Belongs to the main loop. Targets speak from their threads by a posted word; one that finds no
 * memory is dropped when it will be said again (maps are polled, the root is told again with
 * the next map), an end is not: the process ends at once, as if it was killed.
 */
#include "common/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/rpc/server.h"
#include "common/rpc/transport.h"

#define MAIN_POOL (16u << 20)
#define LEAVE_MS 2000

/* --- every daemon */

int weft_daemon_fail(int status, const char *what, const char *why)
{
	weft_err(what, "reason=\"%s\"", why);
	return status;
}

int weft_daemon_options(const char *program, int argc, char **argv, const char **path)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*path = NULL;
	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (opt == 'h') {
			printf("usage: %s --config FILE\n", program);
			return 0;
		}
		if (opt != 'c')
			return WEFT_EXIT_CONFIG;
		*path = optarg;
	}
	if (!*path || optind != argc) {
		fprintf(stderr, "usage: %s --config FILE\n", program);
		return WEFT_EXIT_CONFIG;
	}
	weft_log_init(program);
	signal(SIGPIPE, SIG_IGN);
	return weft_fault_init() ? WEFT_EXIT_CONFIG : -1;
}

int weft_daemon_config(const char *path, const struct weft_config_key *keys,
		       struct weft_config **config, struct weft_secret *secret)
{
	char err[WEFT_CONFIG_ERR_MAX], serr[WEFT_SECRET_ERR_MAX];
	const char *file;

	if (weft_config_load(path, keys, config, err))
		return weft_daemon_fail(WEFT_EXIT_CONFIG, "configuration refused", err);
	weft_log_set_level(weft_config_u64(*config, "log", NULL, "level", WEFT_LOG_INFO));
	file = weft_config_str(*config, "auth", NULL, "secretfile", NULL);
	if (file && weft_secret_read(file, secret, serr))
		return weft_daemon_fail(WEFT_EXIT_CONFIG, "secret refused", serr);
	return 0;
}

int weft_daemon_listen(struct weft_rpc_server *srv, enum weft_rail_kind kind, const char *list,
		       uint16_t port, struct weft_rpc_addr *rails, unsigned int *nrails)
{
	char elem[WEFT_RPC_HOST_MAX + 16];
	struct weft_rpc_addr *a;
	int res;

	while ((res = weft_config_split(&list, elem, sizeof(elem))) > 0) {
		if (*nrails == WEFT_RPC_ADDRS_MAX)
			return weft_daemon_fail(WEFT_EXIT_CONFIG, "cannot listen",
						"too many addresses");
		a = &rails[*nrails];
		a->port = port;
		a->kind = kind;
		if (weft_parse_hostport(elem, a->host, sizeof(a->host), &a->port))
			return weft_daemon_fail(WEFT_EXIT_CONFIG, "cannot listen: wrong address",
						elem);
		res = weft_rpc_server_listen(srv, a);
		if (res < 0) {
			weft_err("cannot listen", "kind=%s address=%s reason=\"%s\"",
				 weft_xprt_kind(kind)->name, elem,
				 kind == WEFT_RAIL_RDMA && res == -ENODEV
					 ? "no RDMA device has this address" : strerror(-res));
			return WEFT_EXIT_RUNTIME;
		}
		a->port = res;
		weft_info("listening", "kind=%s host=%s port=%d", weft_xprt_kind(kind)->name,
			  a->host, res);
		(*nrails)++;
	}
	if (res < 0 || !*nrails)
		return weft_daemon_fail(WEFT_EXIT_CONFIG, "cannot listen", "wrong address list");
	return 0;
}

/* --- the end of a server */

static void left(void *arg)
{
	struct weft_daemon *d = arg;

	weft_env_stop(d->env);
}

static void target_drained(void *arg)
{
	struct weft_daemon *d = arg;

	if (--d->draining)
		return;
	if (d->node)
		weft_mgmt_node_stop(d->node, left, d, LEAVE_MS);
	else
		weft_env_stop(d->env);
}

static void stop(void *arg)
{
	struct weft_daemon *d = arg;
	unsigned int i;

	if (d->stopping)
		return;
	d->stopping = true;
	weft_info("draining", "targets=%u", d->ntargets);
	d->draining = d->ntargets;
	for (i = 0; i < d->ntargets; i++)
		d->ops->drain(d->targets[i], d->server, d->env, target_drained, d);
}

static void stop_with(struct weft_daemon *d, int status)
{
	if (!d->stopping)
		d->status = status;
	stop(d);
}

/* --- words from the targets' threads */

struct word {
	struct weft_post post;
	struct weft_daemon *d;
	uint64_t epoch;
	int status;
};

static void say(struct weft_daemon *d, void (*cb)(void *arg), uint64_t epoch, int status)
{
	struct word *w = malloc(sizeof(*w));

	if (!w) {
		if (status)
			_exit(status);
		return;
	}
	*w = (struct word){ .post = { .cb = cb, .arg = w }, .d = d, .epoch = epoch,
			    .status = status };
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

static void hear_end(void *arg)
{
	struct word *w = arg;

	stop_with(w->d, w->status);
	free(w);
}

void weft_daemon_want_map(struct weft_daemon *d, uint64_t epoch)
{
	say(d, hear_map, epoch, 0);
}

void weft_daemon_root_made(struct weft_daemon *d)
{
	say(d, hear_root, 0, 0);
}

void weft_daemon_end(struct weft_daemon *d, int status)
{
	say(d, hear_end, 0, status);
}

/* --- management */

static void pass_map(struct weft_daemon *d, struct weft_map *map)
{
	unsigned int i;

	for (i = 0; map && d->registered && i < d->ntargets; i++)
		if (d->ops->set_map(d->targets[i], map))
			weft_warn("a map was not passed on: no memory", "target=%u", i);
}

static void map_changed(void *arg, struct weft_map *map)
{
	struct weft_daemon *d = arg;

	if (!d->stopping && d->ops->set_map)
		pass_map(d, map);
}

static void registered(void *arg, uint32_t node, const uint32_t *ids)
{
	struct weft_daemon *d = arg;
	struct weft_map *map;
	unsigned int i;
	int err;

	if (d->stopping)
		return;
	for (i = 0; i < d->ntargets; i++) {
		err = d->ops->serve(d, d->targets[i], ids[i]);
		weft_info("target offered", "node=%u target=%u path=%s err=%d", node, ids[i],
			  d->ops->super(d->targets[i])->path, err);
		if (err) {
			stop_with(d, WEFT_EXIT_TARGET);
			return;
		}
	}
	d->registered = true;
	map = weft_mapclient_map(d->mc);
	map_changed(d, map);
	weft_map_put(map);
}

static void refused(void *arg, int err, const char *sentence)
{
	weft_err("management refuses this node", "reason=\"%s\" err=%d", sentence, err);
	stop_with(arg, WEFT_EXIT_RUNTIME);
}

static void usage(void *arg, unsigned int i, struct weft_node_usage *u)
{
	struct weft_daemon *d = arg;

	*u = (struct weft_node_usage){ 0 };
	if (!d->stopping)
		d->ops->usage(d->targets[i], u);
}

static void pushed(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		   size_t len, const void *tail, size_t tail_len)
{
	struct weft_daemon *d = arg;

	(void)peer;
	(void)tail;
	(void)tail_len;
	if (opcode == WEFT_OP_MAP_PUSH)
		weft_mapclient_push(d->mc, body, len);
}

/* --- the beginning of a server */

static int open_targets(struct weft_daemon *d)
{
	char err[WEFT_TARGET_ERR_MAX];
	const uint8_t *fsid = NULL;
	const char *name;
	unsigned int i;

	for (i = 0; (name = weft_config_section(d->config, "target", i)); i++) {
		if (i == WEFT_NODE_TARGETS_MAX)
			return weft_daemon_fail(WEFT_EXIT_CONFIG, "configuration refused",
						"too many targets");
		if (d->ops->open(d, name, fsid, &d->targets[i], err))
			return weft_daemon_fail(WEFT_EXIT_TARGET, "target cannot be opened", err);
		d->ntargets = i + 1;
		fsid = d->ops->super(d->targets[0])->fsid;
	}
	if (!i)
		return weft_daemon_fail(WEFT_EXIT_CONFIG, "configuration refused",
					"no section [target NAME]");
	for (i = 0; d->ops->opened && i < d->ntargets; i++)
		if (d->ops->opened(d->targets[i], err))
			return weft_daemon_fail(WEFT_EXIT_TARGET, "target cannot be opened", err);
	return 0;
}

static int listen_rails(struct weft_daemon *d)
{
	const char *rdma = weft_config_str(d->config, "node", NULL, "listen_rdma", NULL);
	const char *net = weft_config_str(d->config, "node", NULL, "net", "tcp");
	int ret;
	struct weft_rpc_server_cfg cfg = {
		.env = d->env,
		.secret = d->secret.len ? d->secret.data : NULL,
		.secret_len = d->secret.len,
		.boot = d->boot,
	};

	memcpy(cfg.fsid, d->ops->super(d->targets[0])->fsid, sizeof(cfg.fsid));
	if (weft_rpc_server_create(&cfg, &d->server))
		return weft_daemon_fail(WEFT_EXIT_RUNTIME, "cannot listen", "out of memory");
	if (weft_net_set(net))
		return weft_daemon_fail(WEFT_EXIT_CONFIG, "configuration refused: [node] net", net);
	ret = weft_daemon_listen(d->server, WEFT_RAIL_TCP,
				 weft_config_str(d->config, "node", NULL, "listen", ""), 0,
				 d->rails, &d->nrails);
	if (!ret && rdma)
		ret = weft_daemon_listen(d->server, WEFT_RAIL_RDMA, rdma, 0, d->rails, &d->nrails);
	return ret;
}

static int start_maps(struct weft_daemon *d)
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

	memcpy(client.fsid, d->ops->super(d->targets[0])->fsid, sizeof(client.fsid));
	if (weft_rpc_client_create(&client, &d->client))
		return weft_daemon_fail(WEFT_EXIT_RUNTIME, "cannot reach management",
					"out of memory");
	mc.rpc = d->client;
	if (weft_mapclient_create(&mc, &d->mc))
		return weft_daemon_fail(WEFT_EXIT_CONFIG, "configuration refused",
					"[mgmt] addresses");
	weft_mapclient_refresh(d->mc, 0);
	return 0;
}

static int start_node(struct weft_daemon *d)
{
	struct weft_node_target targets[WEFT_NODE_TARGETS_MAX];
	struct weft_mgmt_node_cfg node = {
		.env = d->env,
		.mc = d->mc,
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
	struct weft_node_usage u;
	unsigned int i;

	for (i = 0; i < d->ntargets; i++) {
		const struct weft_target *sb = d->ops->super(d->targets[i]);

		targets[i].kind = d->ops->kind;
		memcpy(targets[i].uuid, sb->uuid, sizeof(sb->uuid));
		memcpy(targets[i].fsid, sb->fsid, sizeof(sb->fsid));
		usage(d, i, &u);
		targets[i].capacity = u.bytes_total;
	}
	if (weft_mgmt_node_start(&node, &d->node))
		return weft_daemon_fail(WEFT_EXIT_CONFIG, "configuration refused",
					"[node] name, domain or listen");
	return 0;
}

/* Returns 0 or the exit status. */
static int start(struct weft_daemon *d, const char *path)
{
	int err;

	if (weft_env_uv_create(&d->env))
		return weft_daemon_fail(WEFT_EXIT_RUNTIME, "cannot start", "no event loop");
	weft_env_random(d->env, &d->boot, sizeof(d->boot));
	d->boot |= 1;
	if (weft_pool_create(MAIN_POOL, &d->pool))
		return weft_daemon_fail(WEFT_EXIT_RUNTIME, "cannot start", "out of memory");
	err = weft_daemon_config(path, d->ops->keys, &d->config, &d->secret);
	if (!err && d->ops->configure)
		err = d->ops->configure(d);
	if (!err)
		err = open_targets(d);
	if (!err)
		err = listen_rails(d);
	if (!err)
		err = start_maps(d);
	if (!err)
		err = start_node(d);
	if (err)
		return err;
	if (weft_env_uv_signal(d->env, SIGTERM, stop, d) ||
	    weft_env_uv_signal(d->env, SIGINT, stop, d))
		return weft_daemon_fail(WEFT_EXIT_RUNTIME, "cannot start", "signals");
	return 0;
}

static void cleanup(struct weft_daemon *d)
{
	unsigned int i;

	weft_mapclient_destroy(d->mc);
	weft_mgmt_node_destroy(d->node);
	weft_rpc_client_destroy(d->client);
	for (i = 0; i < d->ntargets; i++)
		d->ops->stop(d->targets[i]);
	weft_rpc_server_destroy(d->server);
	if (d->env)
		weft_env_uv_destroy(d->env);
	weft_pool_destroy(d->pool);
	weft_config_free(d->config);
	weft_secret_wipe(&d->secret);
}

int weft_daemon_run(const struct weft_daemon_ops *ops, int argc, char **argv)
{
	struct weft_daemon d = { .ops = ops };
	const char *path;
	int ret = weft_daemon_options(ops->program, argc, argv, &path);

	if (ret >= 0)
		return ret;
	d.status = start(&d, path);
	if (!d.status) {
		weft_info("running", "targets=%u", d.ntargets);
		weft_env_uv_run(d.env);
	}
	cleanup(&d);
	return d.status;
}
