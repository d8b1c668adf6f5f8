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
 *	listen_rdma = 10.1.0.1:7531	; optional: the same over RDMA
 *	net = tcp			; optional: rails to other servers: tcp, rdma, auto
 *	lease_ms = 15000		; optional: lease of client sessions, 1000 to 600000
 *	session_expire_ms = 300000	; optional: silent sessions are forgotten, 2 leases to 1 day
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

#include "common/daemon.h"
#include "mds/target.h"

enum { EXIT_COMMIT = 4 };

#define LEASE_MS_MIN 1000
#define LEASE_MS_MAX 600000
#define EXPIRE_MS_MAX 86400000

static const struct weft_config_key keys[] = {
	{ "node", "name", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "node", "listen", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "node", "listen_rdma", WEFT_CONFIG_STR, 0 },
	{ "node", "net", WEFT_CONFIG_STR, 0 },
	{ "node", "domain", WEFT_CONFIG_STR, 0 },
	{ "node", "lease_ms", WEFT_CONFIG_U64, 0 },
	{ "node", "session_expire_ms", WEFT_CONFIG_U64, 0 },
	{ "mgmt", "addresses", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "target", "path", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED | WEFT_CONFIG_NAMED },
	{ "target", "cache", WEFT_CONFIG_SIZE, WEFT_CONFIG_NAMED },
	{ "auth", "secretfile", WEFT_CONFIG_STR, 0 },
	{ "log", "level", WEFT_CONFIG_LEVEL, 0 },
	{ NULL, NULL, 0, 0 },
};

static int configure(struct weft_daemon *d)
{
	u64 lease = weft_config_u64(d->config, "node", NULL, "lease_ms", WEFT_LEASE_MS);
	u64 expire = weft_config_u64(d->config, "node", NULL, "session_expire_ms", 2 * lease);

	if (lease < LEASE_MS_MIN || lease > LEASE_MS_MAX)
		return weft_daemon_fail(WEFT_EXIT_CONFIG, "configuration refused",
					"lease_ms must be 1000 to 600000");
	if (expire < 2 * lease || expire > EXPIRE_MS_MAX)
		return weft_daemon_fail(WEFT_EXIT_CONFIG, "configuration refused",
					"session_expire_ms must be two leases to 86400000");
	return 0;
}

/* --- what a target says, on its thread */

static void need_map(void *arg, u64 epoch)
{
	weft_daemon_want_map(arg, epoch);
}

static void root_made(void *arg)
{
	weft_daemon_root_made(arg);
}

static void fatal(void *arg, int err, const char *why)
{
	(void)why;
	weft_daemon_end(arg, err == -ENODATA || err == -ESTALE ? WEFT_EXIT_TARGET : EXIT_COMMIT);
}

/* --- its life */

static int open_target(struct weft_daemon *d, const char *name, const u8 *fsid, void **target,
		       char err[WEFT_TARGET_ERR_MAX])
{
	struct mds_target_cfg cfg = {
		.name = name,
		.path = weft_config_str(d->config, "target", name, "path", ""),
		.secret = d->secret.len ? d->secret.data : NULL,
		.secret_len = d->secret.len,
		.lease_ms = weft_config_u64(d->config, "node", NULL, "lease_ms", 0),
		.expire_ms = weft_config_u64(d->config, "node", NULL, "session_expire_ms", 0),
		.cache = weft_config_u64(d->config, "target", name, "cache", 0),
		.root_made = root_made,
		.need_map = need_map,
		.fatal = fatal,
		.arg = d,
	};
	struct mds_target *t;
	int ret = mds_target_start(&cfg, fsid, &t, err);

	*target = t;
	return ret;
}

static const struct weft_target *target_super(const void *target)
{
	return mds_target_super(target);
}

/* How many inodes fit is a guess: 1 KiB of the store for each. */
static void target_usage(const void *target, struct weft_node_usage *u)
{
	u64 total, used, inodes;

	mds_target_usage(target, &total, &used, &inodes);
	u->bytes_total = total;
	u->bytes_used = used;
	u->inodes_used = inodes;
	u->inodes_total = inodes + (total - used) / 1024;
}

static int serve_target(struct weft_daemon *d, void *target, u32 id)
{
	return mds_target_serve(target, d->server, id);
}

static int set_map(void *target, struct weft_map *map)
{
	return mds_target_set_map(target, map);
}

static void drain_target(void *target, struct weft_rpc_server *srv, struct weft_env *env,
			 void (*drained)(void *arg), void *arg)
{
	mds_target_drain(target, srv, env, drained, arg);
}

static void stop_target(void *target)
{
	mds_target_stop(target);
}

static const struct weft_daemon_ops mds_ops = {
	.program = "weft-mds",
	.kind = WEFT_MDT,
	.keys = keys,
	.configure = configure,
	.open = open_target,
	.super = target_super,
	.usage = target_usage,
	.serve = serve_target,
	.set_map = set_map,
	.drain = drain_target,
	.stop = stop_target,
};

int main(int argc, char **argv)
{
	return weft_daemon_run(&mds_ops, argc, argv);
}
