// SPDX-License-Identifier: Apache-2.0
/*
 * Every allocation of client and server fails once while calls with bulk run: a call that was begun
 * ends well (what broke is replayed), one that was not begun says -ENOMEM, and nothing is lost.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "proto/map.h"
#include "tests/unit/common/rpc/fixture.h"
#include "tests/unit/common/unit.h"

static char data[10000];

/* Return: whether the call was begun. */
static bool one_call(struct fixture *f, uint16_t opcode)
{
	struct weft_rpc_call c = { .flags = WEFT_CALL_CRC };
	int ret = 0;

	if (opcode == WEFT_OP_OBJ_WRITE)
		ret = weft_sg_add(&c.bulk_out, NULL, data, sizeof(data));
	else if (opcode == WEFT_OP_OBJ_READ)
		c.bulk_max = sizeof(data);
	if (!ret)
		ret = fx_call(f, &c, opcode);
	if (ret) {
		CU_ASSERT_EQUAL(ret, -ENOMEM);
	} else {
		fx_wait(f);
		/* The service's own handler has no other way to say that it lacked memory. */
		CU_ASSERT(!weft_rpc_err(&c) || weft_rpc_err(&c) == -ENOMEM);
	}
	weft_rpc_call_fini(&c);
	return !ret;
}

static void torture(unsigned int kind)
{
	unsigned int n;
	bool failed;

	for (n = 1, failed = true; failed; n++) {
		struct fixture f = { 0 };

		fx_kind = kind;
		fx_start(&f);
		torture_arm(n);
		one_call(&f, WEFT_OP_PING);
		one_call(&f, WEFT_OP_OBJ_WRITE);
		one_call(&f, WEFT_OP_PING);
		failed = torture_disarm();
		CU_ASSERT(one_call(&f, WEFT_OP_OBJ_WRITE));
		CU_ASSERT_EQUAL(f.stored.len, sizeof(data));
		CU_ASSERT(one_call(&f, WEFT_OP_OBJ_READ));
		fx_stop(&f);
	}
	CU_ASSERT(n > 20);
}

static void over_tcp(void)
{
	torture(WEFT_RAIL_TCP);
}

static void over_rdma(void)
{
	torture(WEFT_RAIL_RDMA);
}

int main(void)
{
	static const struct unit_test tests[] = { { "allocations fail over tcp", over_tcp },
						  { "allocations fail over rdma", over_rdma },
						  { NULL, NULL } };

	return unit_run("common/rpc/torture", tests);
}
