/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deltas: what one small write did to a segment, as the journal of small writes (journal.c) has it.
 *
 *   struct oss_delta_disk
 *   n * struct oss_delta_block_disk	(ascending)
 *   n * 4096 bytes			of the same blocks
 *
 * A record of the journal is a row of deltas; its checksum is the log's (common/kvlog.c).
 */
#ifndef WEFT_OSS_DELTA_H
#define WEFT_OSS_DELTA_H

#include "oss/record.h"
#include "proto/cursor.h"

#define OSS_DELTA_BLOCKS 5 /* 16 KiB of any alignment */

struct oss_delta_disk {
	__le64 ino;
	__le64 chunk;
	__le32 segment;
	__le32 len; /* of the segment, as in its record */
	__le64 version; /* number of the change */
	__le64 base; /* that of the change before it; 0: the segment was empty */
	__le32 nblocks;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct oss_delta_disk, 48);

struct oss_delta_block_disk {
	__le64 block; /* its place in the data file */
	__le32 crc; /* crc32c of its bytes */
	__le32 index; /* block in the segment */
};
WEFT_ASSERT_SIZE(struct oss_delta_block_disk, 16);

/* Bytes of a delta of so many blocks. */
static inline size_t oss_delta_size(unsigned int n)
{
	return sizeof(struct oss_delta_disk) +
	       n * (sizeof(struct oss_delta_block_disk) + OSS_BLOCK);
}

/**
 * struct oss_delta - a delta in memory
 * @key: the segment
 * @len: end of its last byte afterwards
 * @version: number of the change
 * @base: number of the change it was made on; 0: the segment was empty
 * @n: blocks that were written
 * @blk: each of them: its place in the data file, block in the segment, checksum, and bytes
 */
struct oss_delta {
	struct oss_key key;
	uint32_t len;
	uint64_t version;
	uint64_t base;
	uint32_t n;
	struct {
		uint64_t block;
		uint32_t index;
		uint32_t crc;
		const void *bytes;
	} blk[OSS_DELTA_BLOCKS];
};

/**
 * oss_delta_encode() - a delta as it is stored
 * @d: the delta
 * @buf: filled in; oss_delta_size()
 *
 * Return: bytes used.
 */
size_t oss_delta_encode(const struct oss_delta *d, uint8_t *buf);

/**
 * oss_delta_decode() - take the next delta off a record
 * @c: the record; @d's bytes point into it
 * @nblocks: blocks of the data file
 * @d: filled in
 *
 * Return: 0 or -EUCLEAN.
 */
int oss_delta_decode(struct weft_cursor *c, uint64_t nblocks, struct oss_delta *d);

#endif
