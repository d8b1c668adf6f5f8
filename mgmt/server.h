/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The management server: requests in, commands into the log, the map out.
 *
 * Normal operation: a request that changes something becomes a command; it is answered when the
 * command has been applied. Each new epoch is pushed to the connections that subscribed, which then
 * fetch the map. Heartbeats are kept in memory; a node that is silent for too long is set down by
 * a command.
 *
 * Only the leader serves; another one answers WEFT_S_NOT_LEADER, and when leadership is lost the
 * subscribed connections are closed, so that their owners look for the new leader.
 *
 * Protection: one loop owns all of it.
 */
#ifndef WEFT_MGMT_SERVER_H
#define WEFT_MGMT_SERVER_H

#include "common/env.h"
#include "common/rpc/server.h"
#include "mgmt/log.h"
#include "mgmt/state.h"
#include "mgmt/vitals.h"

#define MGMT_LEASE_MS_DEFAULT 15000
#define MGMT_EXPIRY_NS (250 * WEFT_NS_PER_MS)

/**
 * struct mgmt_server_cfg - a server
 * @env: the loop
 * @pool: memory for bulk
 * @fsid: file system id of the target
 * @name: name of the file system
 * @address: where this server can be reached, for `weft status`
 * @lease_ms: lease of a node, 0: MGMT_LEASE_MS_DEFAULT
 * @broken: it cannot go on; a sentence
 * @arg: argument of @broken
 */
struct mgmt_server_cfg {
	struct weft_env *env;
	struct weft_pool *pool;
	uint8_t fsid[16];
	const char *name;
	const char *address;
	uint32_t lease_ms;
	void (*broken)(void *arg, const char *sentence);
	void *arg;
};

/**
 * struct mgmt_sub - a connection that subscribed; its priv pointer leads here
 * @conn: the connection
 * @session: the client that it belongs to, as it says; 0: a server's or a tool's
 * @transport: WEFT_MAP_TRANSPORT flags of the client's last MAP_GET
 * @fallbacks: of the client since its mount
 */
struct mgmt_sub {
	struct mgmt_sub *next, **prev;
	struct weft_rpc_conn *conn;
	uint64_t session;
	uint32_t transport;
	uint32_t fallbacks;
};

/**
 * struct mgmt_server - the server; its sources share it
 * @cfg: configuration
 * @st: the replicated state
 * @vitals: soft state
 * @log: where commands go
 * @leads: this member leads and has applied everything
 * @svc: its rpc service
 * @map: the map, encoded when it was last asked for
 * @map_len: its length
 * @map_epoch: its epoch, 0: none
 * @pushed: epoch that subscribers know of
 * @subs: connections that subscribed
 * @publish: runs after commands were applied
 * @expiry: looks for silent nodes
 * @expiring: a command that sets nodes down is under way
 */
struct mgmt_server {
	struct mgmt_server_cfg cfg;
	struct mgmt_state st;
	struct mgmt_vitals vitals;
	struct mgmt_log *log;
	bool leads;
	struct weft_rpc_service *svc;
	void *map;
	size_t map_len;
	uint64_t map_epoch;
	uint64_t pushed;
	struct mgmt_sub *subs;
	struct weft_timer publish;
	struct weft_timer expiry;
	bool expiring;
};

/* The callbacks for the log; their argument is the server. */
extern const struct mgmt_log_cb mgmt_server_log_cb;

/**
 * mgmt_server_create() - make a server; it serves when its log says that it leads
 * @cfg: configuration, copied; strings are kept
 * @out: the server
 *
 * Return: 0 or -ENOMEM.
 */
int mgmt_server_create(const struct mgmt_server_cfg *cfg, struct mgmt_server **out);

/**
 * mgmt_server_set_log() - commands go here from now on
 * @srv: the server
 * @log: the log
 */
void mgmt_server_set_log(struct mgmt_server *srv, struct mgmt_log *log);

/**
 * mgmt_server_destroy() - free the server
 * @srv: the server or NULL; its log is closed and its service removed from the rpc server
 */
void mgmt_server_destroy(struct mgmt_server *srv);

/**
 * mgmt_server_propose() - put a command into the log for a request
 * @srv: the server
 * @cmd: the command
 * @req: the request; answered here when the log refuses
 * @done: called when the command has been applied
 */
void mgmt_server_propose(struct mgmt_server *srv, const Weft__Command *cmd,
			 struct weft_rpc_req *req,
			 void (*done)(struct mgmt_server *srv, struct weft_rpc_req *req,
				      const struct mgmt_result *res));

/**
 * mgmt_server_map() - the map of the present epoch
 * @srv: the server
 * @len: its length
 *
 * Return: the map, valid until the next command, or NULL when memory is short.
 */
const void *mgmt_server_map(struct mgmt_server *srv, size_t *len);

/**
 * mgmt_server_subscribe() - push new epochs to a connection, note what a client says of itself
 * @srv: the server
 * @req: a MAP_GET
 *
 * Return: 0 or -ENOMEM.
 */
int mgmt_server_subscribe(struct mgmt_server *srv, const struct weft_rpc_req *req);

/* ops.c, admin.c: handlers of the service; arg is the server. */
void mgmt_op_map_get(void *arg, struct weft_rpc_req *req);
void mgmt_op_client_register(void *arg, struct weft_rpc_req *req);
void mgmt_op_statfs(void *arg, struct weft_rpc_req *req);
void mgmt_op_admin(void *arg, struct weft_rpc_req *req);

/**
 * mgmt_admin_serve() - answer an admin request; what a fuzzer can reach without a connection
 * @srv: the server
 * @req: the request, its connection and reply
 * @buf: the packed AdminRequest
 * @len: its length
 */
void mgmt_admin_serve(struct mgmt_server *srv, struct weft_rpc_req *req, const void *buf,
		      size_t len);

#endif
