// SPDX-License-Identifier: Apache-2.0
/*
 * The fixed-layout operations: the map, client ids, space.
 *
 * MAP_GET and STATFS are answered from memory. CLIENT_REGISTER goes through the log, so that an id
 * is never given twice; a client that asks again with the same incarnation gets the same id.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "mgmt/server.h"
#include "proto/map.h"

void mgmt_op_map_get(void *arg, struct weft_rpc_req *req)
{
	const struct weft_map_get_req *q = req->body;
	struct weft_map_get_rep rep = { 0 };
	struct mgmt_server *srv = arg;
	const void *map;
	size_t len;
	int ret = 0;

	if (!srv->leads) {
		weft_rpc_reply_err(req, WEFT_S_NOT_LEADER);
		return;
	}
	map = mgmt_server_map(srv, &len);
	if (!map)
		ret = -ENOMEM;
	if (!ret && le32_to_cpu(q->flags) & WEFT_MAP_SUBSCRIBE)
		ret = mgmt_server_subscribe(srv, req);
	if (!ret && le64_to_cpu(q->have_epoch) < srv->map_epoch && req->bulk_max >= len)
		ret = weft_sg_alloc(&req->rep_bulk, srv->cfg.pool, len);
	if (ret) {
		weft_rpc_reply_err(req, ret);
		return;
	}
	if (req->rep_bulk.len)
		weft_sg_write(&req->rep_bulk, 0, map, len);
	rep.epoch = cpu_to_le64(srv->map_epoch);
	rep.map_len = cpu_to_le32(len);
	weft_rpc_reply(req, 0, &rep, sizeof(rep), NULL, 0);
}

static void client_registered(struct mgmt_server *srv, struct weft_rpc_req *req,
			      const struct mgmt_result *res)
{
	struct weft_client_reg_rep rep = { .session = cpu_to_le64(res->id) };

	(void)srv;
	if (res->err) {
		weft_rpc_reply_err(req, res->err);
		return;
	}
	weft_info("client registered", "session=%llu peer=%s", (unsigned long long)res->id,
		  weft_rpc_conn_peer(req->conn));
	weft_rpc_reply(req, 0, &rep, sizeof(rep), NULL, 0);
}

/* A host name as it may be logged and printed. */
static void clean_host(char *host, const char *from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		host[i] = from[i] > ' ' && from[i] < 0x7f ? from[i] : '?';
	host[len] = 0;
}

void mgmt_op_client_register(void *arg, struct weft_rpc_req *req)
{
	const struct weft_client_reg_req *q = req->body;
	Weft__ClientRegister reg = WEFT__CLIENT_REGISTER__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	size_t len = le16_to_cpu(q->name_len);
	struct mgmt_server *srv = arg;
	char host[256];

	if (!srv->leads) {
		weft_rpc_reply_err(req, WEFT_S_NOT_LEADER);
		return;
	}
	if (len > req->tail_len || len >= sizeof(host)) {
		weft_rpc_malformed(req, "name_len");
		return;
	}
	clean_host(host, req->tail, len);
	reg.incarnation = le64_to_cpu(q->incarnation);
	reg.host = host;
	cmd.op_case = WEFT__COMMAND__OP_CLIENT_REGISTER;
	cmd.client_register = &reg;
	mgmt_server_propose(srv, &cmd, req, client_registered);
}

void mgmt_op_statfs(void *arg, struct weft_rpc_req *req)
{
	const struct weft_statfs_req *q = req->body;
	struct mgmt_server *srv = arg;
	struct weft_statfs_rep rep;
	int ret;

	if (!srv->leads) {
		weft_rpc_reply_err(req, WEFT_S_NOT_LEADER);
		return;
	}
	ret = mgmt_vitals_statfs(&srv->vitals, &srv->st, le32_to_cpu(q->pool),
				 weft_env_now(srv->cfg.env), &rep);
	if (ret)
		weft_rpc_reply_err(req, ret == -EAGAIN ? WEFT_S_BUSY : ret);
	else
		weft_rpc_reply(req, 0, &rep, sizeof(rep), NULL, 0);
}
