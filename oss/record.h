/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunk records: what an object storage target knows about one segment of a chunk.
 *
 * A chunk is cut into segments of 1 MiB, 256 blocks of 4 KiB. Each segment has a record in the
 * store's RocksDB, column family "chunks":
 *
 *   key     be64 ino | be64 chunk | be32 segment
 *   value   struct oss_rec_disk
 *           nextents * struct oss_extent_disk   (ascending, not overlapping)
 *           le32 crc32c of each written block, in the order of the blocks
 *           le32 crc32c of all bytes before
 *
 * A block without extent is a hole and reads as zeros, as does an unwritten one. Bytes of a
 * written block at or behind the record's length are zeros on disk.
 *
 * The bytes of a block that is marked small are not in the data file yet but in the journal of
 * small writes (journal.c), which may also have later changes. A record without extents says only
 * that what the journal has of the segment is no more.
 */
#ifndef WEFT_OSS_RECORD_H
#define WEFT_OSS_RECORD_H

#include "oss/alloc.h"
#include "proto/hash.h"
#include "proto/types.h"

#define OSS_BLOCK_SHIFT 12
#define OSS_BLOCK (1u << OSS_BLOCK_SHIFT)
#define OSS_SEG_SHIFT 20
#define OSS_SEG (1u << OSS_SEG_SHIFT)
#define OSS_SEG_BLOCKS (OSS_SEG / OSS_BLOCK)

#define OSS_REC_FORMAT 1

struct oss_rec_disk {
	__u8 format; /* OSS_REC_FORMAT */
	__u8 reserved;
	__le16 nextents;
	__le32 len; /* end of the last byte that was written, within the segment */
	__le64 version; /* number of the change, of all of the store */
};
WEFT_ASSERT_SIZE(struct oss_rec_disk, 16);

struct oss_extent_disk {
	__le64 block; /* first block in the data file; bit 63: unwritten; bit 62: small */
	__le16 first; /* first block in the segment */
	__le16 count;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct oss_extent_disk, 16);

#define OSS_KEY_LEN 20
#define OSS_REC_MAX \
	(sizeof(struct oss_rec_disk) + OSS_SEG_BLOCKS * (sizeof(struct oss_extent_disk) + 4) + 4)

/* Place of a segment. */
struct oss_key {
	uint64_t ino;
	uint64_t chunk;
	uint32_t seg;
};

static inline bool oss_key_same(const struct oss_key *a, const struct oss_key *b)
{
	return a->ino == b->ino && a->chunk == b->chunk && a->seg == b->seg;
}

/* For hash tables in memory. */
static inline uint32_t oss_key_hash(const struct oss_key *k)
{
	uint64_t h = weft_hash_mix(weft_hash_mix(k->seg, k->ino), k->chunk);

	return h ^ h >> 32;
}

#define OSS_UNWRITTEN (1ull << 63)
#define OSS_SMALL (1ull << 62)
#define OSS_FLAGS (OSS_UNWRITTEN | OSS_SMALL)

struct weft_buf;

/**
 * struct oss_rec - a record in memory; it does not change once it is a segment's state
 * @refs: private to rec_get and rec_put
 * @version: number of the change that made it, of all of the store; ascends in each segment
 * @len: end of the last byte written
 * @mapped: blocks that are not holes
 * @blk: block in the data file, 0: hole; OSS_UNWRITTEN set: reserved only; OSS_SMALL set: its
 *	bytes are in @small and are to be written there later
 * @crc: crc32c of each written block
 * @nsmall: blocks that are small
 * @small: their bytes, one buffer for each; NULL when there is none
 * @next: the record that came after this one; it is held as long as this one is
 * @freed: blocks of this one that @next does not use; given back when this one goes
 */
struct oss_rec {
	unsigned int refs;
	uint64_t version;
	uint32_t len;
	uint32_t mapped;
	uint64_t blk[OSS_SEG_BLOCKS];
	uint32_t crc[OSS_SEG_BLOCKS];
	uint32_t nsmall;
	struct weft_buf **small;
	struct oss_rec *next;
	struct oss_runs freed;
};

/* Has the block bytes? */
static inline bool oss_rec_written(const struct oss_rec *r, uint32_t b)
{
	return r->blk[b] && !(r->blk[b] & OSS_UNWRITTEN);
}

/* Has the block bytes in the data file? */
static inline bool oss_rec_on_disk(const struct oss_rec *r, uint32_t b)
{
	return r->blk[b] && !(r->blk[b] & OSS_FLAGS);
}

static inline uint64_t oss_rec_block(const struct oss_rec *r, uint32_t b)
{
	return r->blk[b] & ~OSS_FLAGS;
}

/**
 * oss_key_encode() - key of a segment
 * @k: the segment
 * @buf: filled in
 */
void oss_key_encode(const struct oss_key *k, uint8_t buf[OSS_KEY_LEN]);

/**
 * oss_key_decode() - segment of a key
 * @buf: the key
 * @len: its length
 * @k: filled in
 *
 * Return: 0 or -EUCLEAN.
 */
int oss_key_decode(const void *buf, size_t len, struct oss_key *k);

/**
 * oss_rec_encode() - value of a record
 * @r: the record
 * @buf: filled in
 *
 * Return: bytes used.
 */
size_t oss_rec_encode(const struct oss_rec *r, uint8_t buf[OSS_REC_MAX]);

/**
 * oss_rec_decode() - check a value and take it apart
 * @buf: the value
 * @len: its length
 * @nblocks: blocks of the data file
 * @r: filled in except for refs
 *
 * The bytes of small blocks are not filled in.
 *
 * Return: 0 or -EUCLEAN.
 */
int oss_rec_decode(const void *buf, size_t len, uint64_t nblocks, struct oss_rec *r);

#endif
