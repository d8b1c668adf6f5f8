/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemons have in common.
 *
 * All of them: the command line, the configuration with its secret, listening on the node's rails.
 *
 * The servers with targets (weft-mds, weft-oss), weft_daemon_run(): targets are opened, the node
 * listens and registers at management, each target is served when management has told its id;
 * SIGTERM and SIGINT drain the targets and end with status 0. What a target is they say by a
 * struct weft_daemon_ops.
 *
 * The fields of struct weft_daemon belong to the main loop; the functions marked "any thread" are
 * the way there from the targets' threads.
 */
#ifndef WEFT_COMMON_DAEMON_H
#define WEFT_COMMON_DAEMON_H

#include "common/config.h"
#include "common/env_uv.h"
#include "common/mgmt_client.h"
#include "common/secret.h"
#include "common/target.h"

/* Exit statuses; those of a daemon of its own follow. */
enum { WEFT_EXIT_RUNTIME = 1, WEFT_EXIT_CONFIG = 2, WEFT_EXIT_TARGET = 3 };

struct weft_daemon;
struct weft_rpc_server;

/**
 * struct weft_daemon_ops - what a server with targets is
 * @program: its name, "weft-mds"
 * @kind: what its targets are, WEFT_MDT or WEFT_OST
 * @keys: what its configuration may have
 * @configure: checks of the configuration of its own, returns 0 or the exit status; or NULL
 * @open: open or begin to open the target of section [target @name]; @fsid: of the other targets,
 *	NULL for the first; returns 0 or a negative errno with a sentence
 * @opened: wait until the target is open, called after all were begun; or NULL
 * @super: the target's superblock
 * @usage: what the target holds
 * @serve: management has told the target's id: offer it at @d->server
 * @set_map: the cluster map has changed, only after @serve; or NULL
 * @drain: answer what has come, close the target, then post @drained(@arg) to @env
 * @stop: free it; drained, or never served
 */
struct weft_daemon_ops {
	const char *program;
	int kind;
	const struct weft_config_key *keys;
	int (*configure)(struct weft_daemon *d);
	int (*open)(struct weft_daemon *d, const char *name, const uint8_t *fsid, void **target,
		    char err[WEFT_TARGET_ERR_MAX]);
	int (*opened)(void *target, char err[WEFT_TARGET_ERR_MAX]);
	const struct weft_target *(*super)(const void *target);
	void (*usage)(const void *target, struct weft_node_usage *u);
	int (*serve)(struct weft_daemon *d, void *target, uint32_t id);
	int (*set_map)(void *target, struct weft_map *map);
	void (*drain)(void *target, struct weft_rpc_server *srv, struct weft_env *env,
		      void (*drained)(void *arg), void *arg);
	void (*stop)(void *target);
};

/**
 * struct weft_daemon - a running server with targets
 * @ops: what it is
 * @env: the main loop
 * @config: its configuration
 * @secret: of the cluster, len 0: none
 * @server: where it listens
 * @mc: the cluster map, as it is now
 */
struct weft_daemon {
	const struct weft_daemon_ops *ops;
	struct weft_env *env;
	struct weft_config *config;
	struct weft_secret secret;
	struct weft_rpc_server *server;
	struct weft_mapclient *mc;
	/* private */
	struct weft_pool *pool;
	void *targets[WEFT_NODE_TARGETS_MAX];
	unsigned int ntargets;
	struct weft_rpc_addr rails[WEFT_RPC_ADDRS_MAX];
	unsigned int nrails;
	uint64_t boot;
	struct weft_rpc_client *client;
	struct weft_mgmt_node *node;
	bool registered;
	bool stopping;
	unsigned int draining;
	int status;
};

/**
 * weft_daemon_options() - read "--config FILE" or "--help" of a daemon
 * @program: its name
 * @argc: of main()
 * @argv: of main()
 * @path: the configuration file
 *
 * Return: -1 to go on, or the exit status.
 */
int weft_daemon_options(const char *program, int argc, char **argv, const char **path);

/**
 * weft_daemon_config() - read a daemon's configuration: the level of its log, its secret
 * @path: the file
 * @keys: what it may have
 * @config: the configuration
 * @secret: the secret of [auth] secretfile, len 0: none
 *
 * Return: 0, or the exit status after a line in the log.
 */
int weft_daemon_config(const char *path, const struct weft_config_key *keys,
		       struct weft_config **config, struct weft_secret *secret);

/**
 * weft_daemon_listen() - listen on rails of the node
 * @srv: who listens
 * @kind: enum weft_rail_kind
 * @list: [node] listen, or listen_rdma
 * @port: of an address that names none, 0: a free one
 * @rails: where it listens, WEFT_RPC_ADDRS_MAX of them; the new ones are appended
 * @nrails: how many there are, changed
 *
 * Return: 0, or the exit status after a line in the log.
 */
int weft_daemon_listen(struct weft_rpc_server *srv, enum weft_rail_kind kind, const char *list,
		       uint16_t port, struct weft_rpc_addr *rails, unsigned int *nrails);

/**
 * weft_daemon_fail() - a line in the log
 * @status: exit status
 * @what: what does not work
 * @why: the reason
 *
 * Return: @status.
 */
int weft_daemon_fail(int status, const char *what, const char *why);

/**
 * weft_daemon_run() - main() of a server with targets
 * @ops: what it is
 * @argc: of main()
 * @argv: of main()
 *
 * Return: the exit status.
 */
int weft_daemon_run(const struct weft_daemon_ops *ops, int argc, char **argv);

/**
 * weft_daemon_want_map() - somebody knows a newer map
 * @d: the daemon
 * @epoch: its epoch
 *
 * Context: any thread.
 */
void weft_daemon_want_map(struct weft_daemon *d, uint64_t epoch);

/**
 * weft_daemon_root_made() - the root directory is there; told to management
 * @d: the daemon
 *
 * Context: any thread.
 */
void weft_daemon_root_made(struct weft_daemon *d);

/**
 * weft_daemon_end() - the daemon cannot go on: drain its targets and end
 * @d: the daemon
 * @status: exit status
 *
 * Context: any thread.
 */
void weft_daemon_end(struct weft_daemon *d, int status);

#endif
