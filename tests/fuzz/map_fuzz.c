// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as a cluster map: after weft_map_check() has accepted them, no lookup leaves them. The
 * checksum is left out here, or no mutation would get through.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mapview.h"
#include "proto/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct weft_map_view *v)
{
	struct weft_layout layout = { .pool = cpu_to_le32(1), .chunk_shift = 20 };
	u32 i, sum = 0;

	for (i = 0; i <= v->ngroups && i < 100; i++) {
		const struct weft_map_group *g = weft_map_group(v, i);

		if (g)
			sum += weft_map_primary(v, g);
	}
	for (i = 0; i <= v->ntargets && i < 100; i++)
		sum += weft_map_target(v, i) != NULL;
	for (i = 0; i < 70000; i += 777)
		sum += weft_map_shard_group(v, WEFT_INO_MAKE((u64)i, 1));
	for (i = 0; i < 8; i++) {
		layout.pool = cpu_to_le32(i);
		layout.seed = cpu_to_le32(i * 77);
		sum += weft_map_chunk_group(v, &layout, i * 1000003ull);
	}
	if (sum == 0x12345678)
		abort(); /* keeps the sum alive */
}

static void use_map(struct weft_map *m)
{
	struct weft_rpc_addr addrs[WEFT_RPC_ADDRS_MAX];
	uint32_t i;

	for (i = 0; i < 16; i++) {
		weft_map_target_addrs(m, i, addrs);
		weft_map_group_target(m, i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_map_view v;
	struct weft_map *m;
	void *copy = malloc(size + 1);

	memcpy(copy, data, size); /* at the end of its memory, and aligned */
	if (!weft_map_check(&v, copy, size, NULL)) {
		use(&v);
		m = malloc(sizeof(*m) + size);
		memcpy(m->data, data, size);
		if (weft_map_check(&m->view, m->data, size, NULL))
			abort();
		use_map(m);
		free(m);
	}
	if (!weft_map_decode(copy, size, &m))
		weft_map_put(m);
	free(copy);
	return 0;
}
