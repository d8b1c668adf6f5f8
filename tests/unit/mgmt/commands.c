// SPDX-License-Identifier: Apache-2.0
/* Commands for the tests of the management state machine. */
#include "tests/unit/mgmt/commands.h"

#include <stdio.h>
#include <string.h>

const uint8_t cmd_fsid[16] = { 0xf5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static int apply(struct mgmt_state *st, const Weft__Command *cmd, struct mgmt_result *res)
{
	uint8_t buf[4096];
	size_t len = weft__command__get_packed_size(cmd);

	CU_ASSERT_FATAL(len <= sizeof(buf));
	weft__command__pack(cmd, buf);
	CU_ASSERT_EQUAL_FATAL(mgmt_state_apply_packed(st, buf, len, res), 0);
	CU_ASSERT_EQUAL(res->err == 0, res->message[0] == 0);
	return res->err;
}

struct cmd_node cmd_node(const char *name, uint32_t kind, uint8_t id)
{
	struct cmd_node n = { .name = name,
			      .domain = "",
			      .nrails = 1,
			      .port = 7000 + id,
			      .ntargets = 1,
			      .boot = id };

	n.targets[0].uuid[0] = id;
	memcpy(n.targets[0].fsid, cmd_fsid, 16);
	n.targets[0].kind = kind;
	n.targets[0].capacity = 1000;
	return n;
}

size_t cmd_pack_register(const struct cmd_node *n, uint8_t *buf)
{
	Weft__RegisterTarget targets[4], *tp[4];
	Weft__NodeRegister r = WEFT__NODE_REGISTER__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	Weft__Rail rail = WEFT__RAIL__INIT, *rp[16];
	uint8_t addr[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };
	unsigned int i;

	rail.kind = WEFT_RAIL_TCP;
	rail.port = n->port;
	rail.addr.data = addr;
	rail.addr.len = 16;
	for (i = 0; i < n->nrails; i++)
		rp[i] = &rail;
	for (i = 0; i < n->ntargets; i++) {
		weft__register_target__init(&targets[i]);
		targets[i].uuid.data = (uint8_t *)n->targets[i].uuid;
		targets[i].uuid.len = 16;
		targets[i].fsid.data = (uint8_t *)n->targets[i].fsid;
		targets[i].fsid.len = 16;
		targets[i].kind = n->targets[i].kind;
		targets[i].capacity = n->targets[i].capacity;
		tp[i] = &targets[i];
	}
	r.name = (char *)n->name;
	r.domain = (char *)n->domain;
	r.rails = rp;
	r.n_rails = n->nrails;
	r.targets = tp;
	r.n_targets = n->ntargets;
	r.boot = n->boot;
	cmd.op_case = WEFT__COMMAND__OP_NODE_REGISTER;
	cmd.node_register = &r;
	return weft__command__pack(&cmd, buf);
}

int cmd_register(struct mgmt_state *st, const struct cmd_node *n, struct mgmt_result *res)
{
	uint8_t buf[4096];
	size_t len = cmd_pack_register(n, buf);

	CU_ASSERT_EQUAL_FATAL(mgmt_state_apply_packed(st, buf, len, res), 0);
	CU_ASSERT_EQUAL(res->err == 0, res->message[0] == 0);
	return res->err;
}

int cmd_bootstrap(struct mgmt_state *st)
{
	Weft__Bootstrap b = WEFT__BOOTSTRAP__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	struct mgmt_result res;

	b.fsid.data = (uint8_t *)cmd_fsid;
	b.fsid.len = 16;
	b.name = "test";
	cmd.op_case = WEFT__COMMAND__OP_BOOTSTRAP;
	cmd.bootstrap = &b;
	return apply(st, &cmd, &res);
}

int cmd_liveness(struct mgmt_state *st, uint32_t node, bool up)
{
	Weft__SetLiveness l = WEFT__SET_LIVENESS__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	struct mgmt_result res;

	l.nodes = &node;
	l.n_nodes = 1;
	l.up = up;
	cmd.op_case = WEFT__COMMAND__OP_SET_LIVENESS;
	cmd.set_liveness = &l;
	return apply(st, &cmd, &res);
}

int cmd_client(struct mgmt_state *st, uint64_t incarnation, uint64_t *session)
{
	Weft__ClientRegister c = WEFT__CLIENT_REGISTER__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	struct mgmt_result res;
	int ret;

	c.incarnation = incarnation;
	c.host = "host";
	cmd.op_case = WEFT__COMMAND__OP_CLIENT_REGISTER;
	cmd.client_register = &c;
	ret = apply(st, &cmd, &res);
	*session = res.id;
	return ret;
}

int cmd_fs_create(struct mgmt_state *st, uint32_t shards, uint32_t chunk_size, uint32_t replicas)
{
	Weft__FsCreate c = WEFT__FS_CREATE__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	struct mgmt_result res;

	c.shards = shards;
	c.chunk_size = chunk_size;
	c.replicas = replicas;
	cmd.op_case = WEFT__COMMAND__OP_FS_CREATE;
	cmd.fs_create = &c;
	return apply(st, &cmd, &res);
}

int cmd_fs_extend(struct mgmt_state *st)
{
	Weft__FsExtend e = WEFT__FS_EXTEND__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	struct mgmt_result res;

	cmd.op_case = WEFT__COMMAND__OP_FS_EXTEND;
	cmd.fs_extend = &e;
	return apply(st, &cmd, &res);
}

int cmd_root_made(struct mgmt_state *st, uint32_t group)
{
	Weft__Command cmd = WEFT__COMMAND__INIT;
	Weft__RootMade r = WEFT__ROOT_MADE__INIT;
	struct mgmt_result res;

	r.group = group;
	cmd.op_case = WEFT__COMMAND__OP_ROOT_MADE;
	cmd.root_made = &r;
	return apply(st, &cmd, &res);
}

void cmd_cluster(struct mgmt_state *st, unsigned int mdts, unsigned int osts)
{
	struct mgmt_result res;
	struct cmd_node n;
	char name[32];
	unsigned int i;

	CU_ASSERT_EQUAL_FATAL(mgmt_state_init(st), 0);
	CU_ASSERT_EQUAL(cmd_bootstrap(st), 0);
	for (i = 0; i < mdts + osts; i++) {
		snprintf(name, sizeof(name), "%s%u", i < mdts ? "mds" : "oss", i);
		n = cmd_node(name, i < mdts ? WEFT_MDT : WEFT_OST, i + 1);
		CU_ASSERT_EQUAL(cmd_register(st, &n, &res), 0);
	}
}
