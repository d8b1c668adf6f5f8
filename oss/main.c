// SPDX-License-Identifier: Apache-2.0
/*
 * weft-oss: the object storage server.
 *
 *	weft-oss --config FILE
 *
 *	[node]
 *	name = oss1
 *	listen = 127.0.0.1:7431		; numeric, several separated by commas
 *	domain = row1/rack2		; optional
 *	listen_rdma = 10.1.0.1:7531	; optional: the same over RDMA
 *	net = tcp			; optional: rails to other servers: tcp, rdma, auto
 *	[mgmt]
 *	addresses = 127.0.0.1:7420
 *	[target ost1]			; one section for each target
 *	path = /data/ost1
 *	cache_segments = 8192		; optional: records kept in memory, 4 KiB each
 *	memory = 256M			; optional: memory for bulk
 *	small_writes = yes		; optional: commit a few blocks in the journal
 *	[auth]
 *	secretfile = /etc/weft/secret	; optional
 *	[log]
 *	level = info			; optional
 *
 * It opens its targets (each scans its records), listens, registers at management and serves each
 * target when management has told its id. SIGTERM and SIGINT answer what has come, close the
 * stores and end with status 0.
 *
 * Exit status: 0 ended by a signal; 1 failed while starting or running (no address, refused by
 * management); 2 wrong command line or configuration; 3 a target was refused (not formatted,
 * damaged, of another type or file system, in use). A line in the log says why.
 */
#include "common/daemon.h"
#include "oss/target.h"

static const struct weft_config_key keys[] = {
	{ "node", "name", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "node", "listen", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "node", "listen_rdma", WEFT_CONFIG_STR, 0 },
	{ "node", "net", WEFT_CONFIG_STR, 0 },
	{ "node", "domain", WEFT_CONFIG_STR, 0 },
	{ "mgmt", "addresses", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "target", "path", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED | WEFT_CONFIG_NAMED },
	{ "target", "cache_segments", WEFT_CONFIG_U64, WEFT_CONFIG_NAMED },
	{ "target", "memory", WEFT_CONFIG_SIZE, WEFT_CONFIG_NAMED },
	{ "target", "small_writes", WEFT_CONFIG_BOOL, WEFT_CONFIG_NAMED },
	{ "auth", "secretfile", WEFT_CONFIG_STR, 0 },
	{ "log", "level", WEFT_CONFIG_LEVEL, 0 },
	{ NULL, NULL, 0, 0 },
};

/* --- what a target asks for, on its thread */

static struct weft_map *present_map(void *arg)
{
	struct weft_daemon *d = arg;

	return weft_mapclient_map(d->mc);
}

static void newer_map(void *arg, uint64_t epoch)
{
	weft_daemon_want_map(arg, epoch);
}

/* --- its life */

static int open_target(struct weft_daemon *d, const char *name, const uint8_t *fsid, void **target,
		       char err[WEFT_TARGET_ERR_MAX])
{
	struct oss_target_cfg cfg = {
		.name = name,
		.path = weft_config_str(d->config, "target", name, "path", ""),
		.cache_segs = weft_config_u64(d->config, "target", name, "cache_segments", 0),
		.pool_bytes = weft_config_u64(d->config, "target", name, "memory", 0),
		.no_small = !weft_config_u64(d->config, "target", name, "small_writes", 1),
	};
	struct oss_target *t = NULL;
	int ret = oss_target_start(&cfg, fsid, &t, err);

	*target = t;
	return ret;
}

static int target_opened(void *target, char err[WEFT_TARGET_ERR_MAX])
{
	return oss_target_wait(target, err);
}

static const struct weft_target *target_super(const void *target)
{
	return oss_target_super(target);
}

static void target_usage(const void *target, struct weft_node_usage *u)
{
	uint64_t total, avail;

	oss_target_space(target, &total, &avail);
	u->bytes_total = total;
	u->bytes_used = total - avail;
}

static int serve_target(struct weft_daemon *d, void *target, uint32_t id)
{
	return oss_target_serve(target, d->server, id, present_map, newer_map, d);
}

static void drain_target(void *target, struct weft_rpc_server *srv, struct weft_env *env,
			 void (*drained)(void *arg), void *arg)
{
	oss_target_drain(target, srv, env, drained, arg);
}

static void stop_target(void *target)
{
	oss_target_stop(target);
}

static const struct weft_daemon_ops oss_ops = {
	.program = "weft-oss",
	.kind = WEFT_OST,
	.keys = keys,
	.open = open_target,
	.opened = target_opened,
	.super = target_super,
	.usage = target_usage,
	.serve = serve_target,
	.drain = drain_target,
	.stop = stop_target,
};

int main(int argc, char **argv)
{
	return weft_daemon_run(&oss_ops, argc, argv);
}
