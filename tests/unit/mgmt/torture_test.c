// SPDX-License-Identifier: Apache-2.0
/*
 * Allocation number N fails, for every N, in the middle of a life of the state machine: it says so,
 * nothing crashes or leaks (under a sanitizer), and what may be tried again works when it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/map.h"
#include "mgmt/vitals.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/mgmt/commands.h"

#define SCRIPT_MAX 10

static struct {
	uint8_t buf[1024];
	size_t len;
} script[SCRIPT_MAX];
static unsigned int nscript;

static void put(const Weft__Command *cmd)
{
	CU_ASSERT_FATAL(weft__command__get_packed_size(cmd) <= sizeof(script[0].buf));
	script[nscript].len = weft__command__pack(cmd, script[nscript].buf);
	nscript++;
}

static void put_node(const char *name, uint32_t kind, uint8_t id, const char *domain)
{
	struct cmd_node n = cmd_node(name, kind, id);

	n.domain = domain;
	script[nscript].len = cmd_pack_register(&n, script[nscript].buf);
	nscript++;
}

/* A whole life: identity, three registrations, one of them changed, layout, extension, a client. */
static void write_script(void)
{
	Weft__ClientRegister client = WEFT__CLIENT_REGISTER__INIT;
	Weft__Bootstrap boot = WEFT__BOOTSTRAP__INIT;
	Weft__FsCreate create = WEFT__FS_CREATE__INIT;
	Weft__FsExtend extend = WEFT__FS_EXTEND__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;

	nscript = 0;
	boot.fsid.data = (uint8_t *)cmd_fsid;
	boot.fsid.len = 16;
	boot.name = "torture";
	cmd.op_case = WEFT__COMMAND__OP_BOOTSTRAP;
	cmd.bootstrap = &boot;
	put(&cmd);
	put_node("mds1", WEFT_MDT, 1, "a");
	put_node("oss1", WEFT_OST, 2, "a");
	put_node("oss2", WEFT_OST, 3, "");
	put_node("oss2", WEFT_OST, 3, "b/c");
	cmd.op_case = WEFT__COMMAND__OP_FS_CREATE;
	cmd.fs_create = &create;
	put(&cmd);
	put_node("oss3", WEFT_OST, 4, "d");
	cmd.op_case = WEFT__COMMAND__OP_FS_EXTEND;
	cmd.fs_extend = &extend;
	put(&cmd);
	client.incarnation = 9;
	client.host = "host";
	cmd.op_case = WEFT__COMMAND__OP_CLIENT_REGISTER;
	cmd.client_register = &client;
	put(&cmd);
}

static int play(struct mgmt_state *st)
{
	struct mgmt_result res;
	unsigned int i;
	int ret = mgmt_state_init(st);

	if (ret)
		return ret;
	for (i = 0; i < nscript && !ret; i++) {
		ret = mgmt_state_apply_packed(st, script[i].buf, script[i].len, &res);
		if (!ret)
			CU_ASSERT_EQUAL(res.err, 0);
	}
	return ret;
}

static void commands(void)
{
	struct mgmt_state st;
	unsigned int n;
	bool hit;
	int ret;

	write_script();
	for (n = 1;; n++) {
		torture_arm(n);
		ret = play(&st);
		hit = torture_disarm();
		mgmt_state_fini(&st);
		if (!hit)
			break;
		CU_ASSERT_EQUAL(ret, -ENOMEM);
	}
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT(n > 30);
}

static void around(void)
{
	struct weft_statfs_rep rep;
	struct mgmt_vitals v;
	struct mgmt_state st;
	unsigned int n, failures = 0;
	size_t len;
	void *map;
	bool hit;
	int ret;

	write_script();
	CU_ASSERT_EQUAL_FATAL(play(&st), 0);
	for (n = 1;; n++) {
		mgmt_vitals_init(&v, 1000, 10);
		map = NULL;
		torture_arm(n);
		ret = mgmt_map_encode(&st, &map, &len);
		if (!ret)
			ret = mgmt_vitals_heard(&v, &st, 1, 5);
		hit = torture_disarm();
		CU_ASSERT_EQUAL(ret, hit ? -ENOMEM : 0);
		failures += hit;
		/* trying again works */
		free(map);
		CU_ASSERT_EQUAL_FATAL(mgmt_map_encode(&st, &map, &len), 0);
		CU_ASSERT_EQUAL(mgmt_vitals_heard(&v, &st, 1, 6), 0);
		CU_ASSERT_EQUAL(mgmt_vitals_statfs(&v, &st, 0, 100000, &rep), 0);
		free(map);
		mgmt_vitals_fini(&v);
		if (!hit)
			break;
	}
	CU_ASSERT_EQUAL(failures, 3);
	mgmt_state_fini(&st);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "every allocation of every command", commands },
		{ "the map and the vitals", around },
		{ NULL, NULL },
	};

	return unit_run("mgmt/torture", tests);
}
