// SPDX-License-Identifier: Apache-2.0
/*
 * Records of the journal of small writes, of any content: the decoder refuses, or gives deltas
 * within their limits that encode to the same bytes again. The input is followed by zeros, so that
 * short ones can be whole deltas.
 */
#include <stdlib.h>
#include <string.h>

#include "oss/delta.h"

#define NBLOCKS 5000
#define MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct oss_delta *d, const uint8_t *from, size_t len)
{
	static uint8_t buf[sizeof(struct oss_delta_disk) +
			   OSS_DELTA_BLOCKS * (sizeof(struct oss_delta_block_disk) + OSS_BLOCK)];
	uint32_t i;

	if (!d->n || d->n > OSS_DELTA_BLOCKS || d->len > OSS_SEG || d->base >= d->version)
		abort();
	for (i = 0; i < d->n; i++)
		if (!d->blk[i].block || d->blk[i].block >= NBLOCKS ||
		    d->blk[i].index >= OSS_SEG_BLOCKS)
			abort();
	if (oss_delta_encode(d, buf) != len || memcmp(buf, from, len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t buf[MAX + OSS_DELTA_BLOCKS * OSS_BLOCK];
	struct weft_cursor c;
	struct oss_delta d;

	if (len > MAX)
		len = MAX;
	memset(buf, 0, sizeof(buf));
	memcpy(buf, data, len);
	weft_cur_init(&c, buf, sizeof(buf));
	while (c.left) {
		const uint8_t *from = c.pos;

		if (oss_delta_decode(&c, NBLOCKS, &d))
			break;
		check(&d, from, c.pos - from);
	}
	return 0;
}
