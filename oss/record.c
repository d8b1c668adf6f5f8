// SPDX-License-Identifier: Apache-2.0
/*
 * Encoding of chunk records.
 *
 * oss_rec_decode() believes nothing: lengths, order of the extents, blocks inside the data file
 * and the record's own checksum are verified, so that a damaged record is -EUCLEAN and never
 * wrong data. Pure functions, no locks.
 */
#include "oss/record.h"

#include <errno.h>

#include "common/crc32c.h"
#include "proto/cursor.h"

void oss_key_encode(const struct oss_key *k, uint8_t buf[OSS_KEY_LEN])
{
	uint64_t ino = htobe64(k->ino), chunk = htobe64(k->chunk);
	uint32_t seg = htobe32(k->seg);

	memcpy(buf, &ino, 8);
	memcpy(buf + 8, &chunk, 8);
	memcpy(buf + 16, &seg, 4);
}

int oss_key_decode(const void *buf, size_t len, struct oss_key *k)
{
	const uint8_t *p = buf;

	if (len != OSS_KEY_LEN)
		return -EUCLEAN;
	memcpy(&k->ino, p, 8);
	memcpy(&k->chunk, p + 8, 8);
	memcpy(&k->seg, p + 16, 4);
	k->ino = be64toh(k->ino);
	k->chunk = be64toh(k->chunk);
	k->seg = be32toh(k->seg);
	return 0;
}

/* Blocks from @b on that one extent can describe. */
static uint32_t extent_len(const struct oss_rec *r, uint32_t b)
{
	uint32_t n = 1;

	while (b + n < OSS_SEG_BLOCKS && r->blk[b + n] == r->blk[b] + n)
		n++;
	return n;
}

size_t oss_rec_encode(const struct oss_rec *r, uint8_t buf[OSS_REC_MAX])
{
	struct oss_rec_disk h = {
		.format = OSS_REC_FORMAT,
		.len = cpu_to_le32(r->len),
		.version = cpu_to_le64(r->version),
	};
	uint8_t *p = buf + sizeof(h);
	uint32_t b, n, nextents = 0;
	__le32 crc;

	for (b = 0; b < OSS_SEG_BLOCKS; b += n) {
		struct oss_extent_disk e = { 0 };

		n = 1;
		if (!r->blk[b])
			continue;
		n = extent_len(r, b);
		e.block = cpu_to_le64(r->blk[b]);
		e.first = cpu_to_le16(b);
		e.count = cpu_to_le16(n);
		memcpy(p, &e, sizeof(e));
		p += sizeof(e);
		nextents++;
	}
	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		if (!oss_rec_written(r, b))
			continue;
		crc = cpu_to_le32(r->crc[b]);
		memcpy(p, &crc, 4);
		p += 4;
	}
	h.nextents = cpu_to_le16(nextents);
	memcpy(buf, &h, sizeof(h));
	crc = cpu_to_le32(weft_crc32c(0, buf, p - buf));
	memcpy(p, &crc, 4);
	return p + 4 - buf;
}

static int decode_extent(struct weft_cursor *c, uint64_t nblocks, uint32_t *pos, struct oss_rec *r)
{
	struct oss_extent_disk e;
	uint64_t block, flag;
	uint32_t first, count, i;

	if (!weft_cur_copy(c, &e, sizeof(e)))
		return -EUCLEAN;
	block = le64_to_cpu(e.block);
	flag = block & OSS_FLAGS;
	block &= ~OSS_FLAGS;
	first = le16_to_cpu(e.first);
	count = le16_to_cpu(e.count);
	if (flag == OSS_FLAGS || e.reserved)
		return -EUCLEAN;
	if (first < *pos || !count || first + count > OSS_SEG_BLOCKS)
		return -EUCLEAN;
	if (!block || block >= nblocks || count > nblocks - block)
		return -EUCLEAN;
	for (i = 0; i < count; i++)
		r->blk[first + i] = (block + i) | flag;
	r->mapped += count;
	if (flag & OSS_SMALL)
		r->nsmall += count;
	*pos = first + count;
	return 0;
}

int oss_rec_decode(const void *buf, size_t len, uint64_t nblocks, struct oss_rec *r)
{
	struct oss_rec_disk h;
	struct weft_cursor c;
	uint32_t i, pos = 0;
	__le32 crc;
	int err;

	memset(r->blk, 0, sizeof(r->blk));
	r->mapped = 0;
	r->nsmall = 0;
	r->small = NULL;
	if (len < sizeof(h) + 4)
		return -EUCLEAN;
	memcpy(&crc, (const uint8_t *)buf + len - 4, 4);
	if (weft_crc32c(0, buf, len - 4) != le32_to_cpu(crc))
		return -EUCLEAN;
	weft_cur_init(&c, buf, len - 4);
	weft_cur_copy(&c, &h, sizeof(h));
	r->len = le32_to_cpu(h.len);
	r->version = le64_to_cpu(h.version);
	if (h.format != OSS_REC_FORMAT || h.reserved || r->len > OSS_SEG)
		return -EUCLEAN;
	for (i = 0; i < le16_to_cpu(h.nextents); i++) {
		err = decode_extent(&c, nblocks, &pos, r);
		if (err)
			return err;
	}
	for (i = 0; i < OSS_SEG_BLOCKS; i++) {
		if (!oss_rec_written(r, i))
			continue;
		if (!weft_cur_copy(&c, &crc, 4))
			return -EUCLEAN;
		r->crc[i] = le32_to_cpu(crc);
	}
	return weft_cur_done(&c) ? 0 : -EUCLEAN;
}
