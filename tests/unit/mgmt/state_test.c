// SPDX-License-Identifier: Apache-2.0
/*
 * The state machine: what each command changes, what it refuses, and that a refused command
 * changes nothing at all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/mgmt/commands.h"

static void bootstrap_once(void)
{
	struct mgmt_state st;

	CU_ASSERT_EQUAL_FATAL(mgmt_state_init(&st), 0);
	CU_ASSERT_EQUAL(cmd_bootstrap(&st), 0);
	CU_ASSERT_EQUAL(st.s->epoch, 1);
	CU_ASSERT_EQUAL(st.s->fsid.len, 16);
	CU_ASSERT_STRING_EQUAL(st.s->name, "test");
	CU_ASSERT_EQUAL(cmd_bootstrap(&st), -EEXIST);
	CU_ASSERT_EQUAL(st.s->epoch, 1);
	mgmt_state_fini(&st);
}

static void register_first(void)
{
	struct cmd_node n = cmd_node("mds1", WEFT_MDT, 1);
	struct mgmt_result res;
	struct mgmt_state st;

	CU_ASSERT_EQUAL_FATAL(mgmt_state_init(&st), 0);
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), -EAGAIN); /* no file system yet */
	CU_ASSERT_EQUAL(cmd_bootstrap(&st), 0);
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT_EQUAL(res.id, 1);
	CU_ASSERT_EQUAL(st.s->epoch, 2);
	CU_ASSERT_EQUAL_FATAL(st.s->n_nodes, 1);
	CU_ASSERT_EQUAL_FATAL(st.s->n_targets, 1);
	CU_ASSERT(st.s->nodes[0]->up && st.s->targets[0]->up);
	CU_ASSERT_EQUAL(st.s->targets[0]->node, 1);
	CU_ASSERT_EQUAL(st.s->nodes[0]->uuid.len, 16);
	mgmt_state_fini(&st);
}

static void register_again(void)
{
	struct cmd_node n = cmd_node("mds1", WEFT_MDT, 1);
	struct mgmt_result res;
	struct mgmt_state st;

	cmd_cluster(&st, 0, 0);
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	n.boot = 77; /* a restart that changes nothing needs no new map */
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT_EQUAL(res.id, 1);
	CU_ASSERT_EQUAL(st.s->epoch, 2);
	CU_ASSERT_EQUAL(st.s->nodes[0]->boot, 77);
	n.port = 9999;
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT_EQUAL(st.s->epoch, 3);
	CU_ASSERT_EQUAL(st.s->nodes[0]->rails[0]->port, 9999);
	n.domain = "row1/rack2";
	n.targets[0].capacity = 5;
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT_EQUAL(st.s->epoch, 4);
	CU_ASSERT_STRING_EQUAL(st.s->nodes[0]->domain, "row1/rack2");
	CU_ASSERT_EQUAL(st.s->targets[0]->capacity, 5);
	n.ntargets = 2;
	n.targets[1] = n.targets[0];
	n.targets[1].uuid[0] = 2;
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT_EQUAL_FATAL(st.s->n_targets, 2);
	n.ntargets = 1; /* the second one could not be opened this time */
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT(st.s->targets[0]->up);
	CU_ASSERT(!st.s->targets[1]->up);
	mgmt_state_fini(&st);
}

/* Applies a registration that must be refused, and compares the state before and after. */
static void refused(struct mgmt_state *st, const struct cmd_node *n, int err)
{
	size_t before_len, after_len;
	char *before = mgmt_state_pack(st, malloc, &before_len), *after;
	struct mgmt_result res;

	CU_ASSERT_EQUAL(cmd_register(st, n, &res), err);
	CU_ASSERT(strlen(res.message) > 10);
	after = mgmt_state_pack(st, malloc, &after_len);
	CU_ASSERT_EQUAL_FATAL(before_len, after_len);
	CU_ASSERT_EQUAL(memcmp(before, after, before_len), 0);
	free(before);
	free(after);
}

static void register_refused(void)
{
	struct cmd_node good = cmd_node("oss9", WEFT_OST, 9), n;
	char long_name[80];
	struct mgmt_state st;

	cmd_cluster(&st, 1, 1);
	n = good;
	n.targets[0].fsid[3] ^= 1;
	refused(&st, &n, -EXDEV);
	n = good;
	n.name = "";
	refused(&st, &n, -EINVAL);
	n.name = "two words";
	refused(&st, &n, -EINVAL);
	memset(long_name, 'x', sizeof(long_name));
	long_name[64] = 0;
	n.name = long_name;
	refused(&st, &n, -EINVAL);
	n = good;
	n.domain = "row\n";
	refused(&st, &n, -EINVAL);
	n.domain = long_name;
	refused(&st, &n, -EINVAL);
	n = good;
	n.nrails = 0;
	refused(&st, &n, -EINVAL);
	n.nrails = MGMT_RAILS_MAX + 1;
	refused(&st, &n, -EINVAL);
	n = good;
	n.port = 0;
	refused(&st, &n, -EINVAL);
	n.port = 65536;
	refused(&st, &n, -EINVAL);
	n = good;
	n.ntargets = 0;
	refused(&st, &n, -EINVAL);
	n = good;
	n.targets[0].kind = 3;
	refused(&st, &n, -EINVAL);
	n = good;
	n.ntargets = 2;
	n.targets[1] = n.targets[0];
	refused(&st, &n, -EINVAL);
	n = cmd_node("oss1", WEFT_MDT, 2); /* its target is an OST */
	refused(&st, &n, -EINVAL);
	n = cmd_node("elsewhere", WEFT_OST, 2); /* oss1 has that target and is up */
	refused(&st, &n, -EBUSY);
	n = cmd_node("oss1", WEFT_OST, 9); /* the name of a running server, other targets */
	refused(&st, &n, -EBUSY);
	mgmt_state_fini(&st);
}

static void target_moves(void)
{
	struct cmd_node n = cmd_node("elsewhere", WEFT_OST, 2);
	struct mgmt_result res;
	struct mgmt_state st;

	cmd_cluster(&st, 1, 1);
	CU_ASSERT_EQUAL(cmd_liveness(&st, 2, false), 0);
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT_EQUAL(res.id, 3);
	CU_ASSERT_EQUAL(st.s->n_targets, 2);
	CU_ASSERT_EQUAL(st.s->targets[1]->node, 3);
	CU_ASSERT(st.s->targets[1]->up);
	/* and the name of the one that is down may be taken with other targets */
	n = cmd_node("oss1", WEFT_OST, 9);
	CU_ASSERT_EQUAL(cmd_register(&st, &n, &res), 0);
	CU_ASSERT_EQUAL(res.id, 2);
	mgmt_state_fini(&st);
}

static void liveness(void)
{
	struct mgmt_state st;
	uint64_t epoch;

	cmd_cluster(&st, 1, 2);
	epoch = st.s->epoch;
	CU_ASSERT_EQUAL(cmd_liveness(&st, 2, false), 0);
	CU_ASSERT_EQUAL(st.s->epoch, epoch + 1);
	CU_ASSERT(!st.s->nodes[1]->up && !st.s->targets[1]->up);
	CU_ASSERT(st.s->nodes[0]->up && st.s->targets[0]->up && st.s->targets[2]->up);
	CU_ASSERT_EQUAL(cmd_liveness(&st, 2, false), 0);
	CU_ASSERT_EQUAL(cmd_liveness(&st, 99, false), 0);
	CU_ASSERT_EQUAL(st.s->epoch, epoch + 1);
	CU_ASSERT_EQUAL(cmd_liveness(&st, 2, true), 0);
	CU_ASSERT(st.s->nodes[1]->up && st.s->targets[1]->up);
	CU_ASSERT_EQUAL(st.s->epoch, epoch + 2);
	mgmt_state_fini(&st);
}

static void clients(void)
{
	uint64_t first, again, id, last = 0;
	struct mgmt_state st;
	unsigned int i;

	cmd_cluster(&st, 0, 0);
	CU_ASSERT_EQUAL(cmd_client(&st, 111, &first), 0);
	CU_ASSERT_EQUAL(cmd_client(&st, 222, &id), 0);
	CU_ASSERT_NOT_EQUAL(first, id);
	CU_ASSERT_EQUAL(cmd_client(&st, 111, &again), 0);
	CU_ASSERT_EQUAL(first, again);
	CU_ASSERT_EQUAL(st.s->epoch, 1); /* not in the map */
	for (i = 0; i < MGMT_CLIENTS_KEPT; i++) {
		CU_ASSERT_EQUAL_FATAL(cmd_client(&st, 1000 + i, &id), 0);
		CU_ASSERT_FATAL(id > last);
		last = id;
	}
	CU_ASSERT_EQUAL(st.s->n_clients, MGMT_CLIENTS_KEPT);
	/* forgotten by now: it gets a new id, no old one */
	CU_ASSERT_EQUAL(cmd_client(&st, 111, &again), 0);
	CU_ASSERT(again > last);
	mgmt_state_fini(&st);
}

static void root(void)
{
	struct mgmt_state st;
	uint64_t epoch;

	cmd_cluster(&st, 2, 1);
	CU_ASSERT_EQUAL(cmd_root_made(&st, 1), -EINVAL); /* nothing is laid out */
	CU_ASSERT_EQUAL(cmd_fs_create(&st, 8, 0, 0), 0);
	CU_ASSERT(st.s->flags & WEFT_MAP_F_ROOT_PENDING);
	CU_ASSERT_EQUAL(cmd_root_made(&st, 2), -EINVAL);
	CU_ASSERT(st.s->flags & WEFT_MAP_F_ROOT_PENDING);
	epoch = st.s->epoch;
	CU_ASSERT_EQUAL(cmd_root_made(&st, 1), 0);
	CU_ASSERT_EQUAL(cmd_root_made(&st, 1), 0);
	CU_ASSERT_EQUAL(st.s->flags, WEFT_MAP_F_ACTIVE);
	CU_ASSERT_EQUAL(st.s->epoch, epoch + 1);
	mgmt_state_fini(&st);
}

static void unknown_commands(void)
{
	static const uint8_t garbage[] = { 0xff, 0xff, 0xff, 0xff, 0x07 };
	static const uint8_t later[] = { 0x9a, 0x06, 0x00 }; /* field 99 of a newer version */
	struct mgmt_result res;
	struct mgmt_state st;

	cmd_cluster(&st, 1, 1);
	CU_ASSERT_EQUAL(mgmt_state_apply_packed(&st, garbage, sizeof(garbage), &res), -EPROTO);
	CU_ASSERT_EQUAL(mgmt_state_apply_packed(&st, later, sizeof(later), &res), -EPROTO);
	CU_ASSERT_EQUAL(mgmt_state_apply_packed(&st, NULL, 0, &res), -EPROTO);
	mgmt_state_fini(&st);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mgmt/state", NULL, NULL);
	CU_add_test(s, "a file system is given its identity once", bootstrap_once);
	CU_add_test(s, "the first registration", register_first);
	CU_add_test(s, "registering again bumps the epoch only for changes", register_again);
	CU_add_test(s, "wrong registrations are refused and change nothing", register_refused);
	CU_add_test(s, "a target moves when its node is down", target_moves);
	CU_add_test(s, "nodes go down and up", liveness);
	CU_add_test(s, "client ids are given once", clients);
	CU_add_test(s, "the root directory", root);
	CU_add_test(s, "unknown commands stop the machine", unknown_commands);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
