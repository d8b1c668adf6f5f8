// SPDX-License-Identifier: Apache-2.0
/*
 * Arbitrary bytes as a snapshot: refused, or a state whose map encodes, that packs and restores,
 * and that commands can be applied to.
 */
#include <stdlib.h>

#include "mgmt/map.h"
#include "mgmt/state.h"

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void use(struct mgmt_state *st)
{
	Weft__SetLiveness down = WEFT__SET_LIVENESS__INIT;
	Weft__FsCreate create = WEFT__FS_CREATE__INIT;
	Weft__Command cmd = WEFT__COMMAND__INIT;
	struct mgmt_result res;
	uint32_t id = 1;

	down.nodes = &id;
	down.n_nodes = 1;
	cmd.op_case = WEFT__COMMAND__OP_SET_LIVENESS;
	cmd.set_liveness = &down;
	require(!mgmt_state_apply(st, &cmd, &res));
	cmd.op_case = WEFT__COMMAND__OP_FS_CREATE;
	cmd.fs_create = &create;
	require(!mgmt_state_apply(st, &cmd, &res));
}

static void encode(const struct mgmt_state *st)
{
	size_t len;
	void *map;

	require(!mgmt_map_encode(st, &map, &len));
	free(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mgmt_state st;
	size_t len;
	void *buf;

	require(!mgmt_state_init(&st));
	if (!mgmt_state_restore(&st, data, size)) {
		encode(&st);
		use(&st);
		encode(&st);
		buf = mgmt_state_pack(&st, malloc, &len);
		require(buf && !mgmt_state_restore(&st, buf, len));
		free(buf);
	}
	mgmt_state_fini(&st);
	return 0;
}
