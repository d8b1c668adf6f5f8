// SPDX-License-Identifier: Apache-2.0
/*
 * Arbitrary bytes as the superblock of a target, as they are and with a right checksum: refused
 * with a sentence, or taken apart into a target that encodes to the same block.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/target.h"

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void decode(const struct weft_target_disk *d)
{
	char err[WEFT_TARGET_ERR_MAX] = "";
	struct weft_target_disk again;
	struct weft_target t;

	if (weft_target_decode(d, "/some/where", &t, err)) {
		require(err[0]);
		return;
	}
	require(t.kind >= WEFT_MDT && t.kind <= WEFT_MGT && t.fd == -1);
	require(!t.fs_name[sizeof(t.fs_name) - 1]);
	weft_target_encode(&t, &again);
	require(!memcmp(again.uuid, d->uuid, 16) && again.data_size == d->data_size);
	require(!weft_target_decode(&again, "/some/where", &t, err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_target_disk d = { 0 };

	memcpy(&d, data, size < sizeof(d) ? size : sizeof(d));
	decode(&d);
	d.magic = cpu_to_le32(WEFT_TARGET_MAGIC);
	d.version = cpu_to_le16(WEFT_TARGET_VERSION);
	d.incompat = 0;
	d.crc = 0;
	d.crc = cpu_to_le32(weft_crc32c(0, &d, sizeof(d)));
	decode(&d);
	return 0;
}
