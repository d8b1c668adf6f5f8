// SPDX-License-Identifier: Apache-2.0
/*
 * Encoding of deltas. oss_delta_decode() believes nothing: what is not a delta of this data file is
 * -EUCLEAN. Pure functions, no locks.
 */
#include "oss/delta.h"

#include <errno.h>

size_t oss_delta_encode(const struct oss_delta *d, uint8_t *buf)
{
	struct oss_delta_disk h = {
		.ino = cpu_to_le64(d->key.ino),
		.chunk = cpu_to_le64(d->key.chunk),
		.segment = cpu_to_le32(d->key.seg),
		.len = cpu_to_le32(d->len),
		.version = cpu_to_le64(d->version),
		.base = cpu_to_le64(d->base),
		.nblocks = cpu_to_le32(d->n),
	};
	uint8_t *p = buf;
	uint32_t i;

	memcpy(p, &h, sizeof(h));
	p += sizeof(h);
	for (i = 0; i < d->n; i++) {
		struct oss_delta_block_disk b = {
			.block = cpu_to_le64(d->blk[i].block),
			.crc = cpu_to_le32(d->blk[i].crc),
			.index = cpu_to_le32(d->blk[i].index),
		};

		memcpy(p, &b, sizeof(b));
		p += sizeof(b);
	}
	for (i = 0; i < d->n; i++, p += OSS_BLOCK)
		memcpy(p, d->blk[i].bytes, OSS_BLOCK);
	return p - buf;
}

static int decode_block(struct weft_cursor *c, uint64_t nblocks, uint32_t i, struct oss_delta *d)
{
	struct oss_delta_block_disk b;

	if (!weft_cur_copy(c, &b, sizeof(b)))
		return -EUCLEAN;
	d->blk[i].block = le64_to_cpu(b.block);
	d->blk[i].crc = le32_to_cpu(b.crc);
	d->blk[i].index = le32_to_cpu(b.index);
	if (!d->blk[i].block || d->blk[i].block >= nblocks || d->blk[i].index >= OSS_SEG_BLOCKS)
		return -EUCLEAN;
	return i && d->blk[i].index <= d->blk[i - 1].index ? -EUCLEAN : 0;
}

int oss_delta_decode(struct weft_cursor *c, uint64_t nblocks, struct oss_delta *d)
{
	struct oss_delta_disk h;
	uint32_t i;
	int err;

	if (!weft_cur_copy(c, &h, sizeof(h)))
		return -EUCLEAN;
	d->key = (struct oss_key){ le64_to_cpu(h.ino), le64_to_cpu(h.chunk),
				   le32_to_cpu(h.segment) };
	d->len = le32_to_cpu(h.len);
	d->version = le64_to_cpu(h.version);
	d->base = le64_to_cpu(h.base);
	d->n = le32_to_cpu(h.nblocks);
	if (h.reserved || d->len > OSS_SEG || d->base >= d->version || !d->n ||
	    d->n > OSS_DELTA_BLOCKS)
		return -EUCLEAN;
	for (i = 0; i < d->n; i++) {
		err = decode_block(c, nblocks, i, d);
		if (err)
			return err;
	}
	for (i = 0; i < d->n; i++) {
		d->blk[i].bytes = weft_cur_take(c, OSS_BLOCK);
		if (!d->blk[i].bytes)
			return -EUCLEAN;
	}
	return 0;
}
