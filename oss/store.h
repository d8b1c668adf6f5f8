/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunk store of one object storage target: a data file and the records that say what is where.
 *
 * Operations on (ino, chunk) are given to oss_store_submit() and end with a callback. A change
 * is durable when its callback comes with 0; a change of one segment (1 MiB) is seen whole or not
 * at all, also after a crash.
 *
 * Protection: a store belongs to the loop of its env; oss_store_space() and oss_store_stats()
 * may be called by any thread.
 */
#ifndef WEFT_OSS_STORE_H
#define WEFT_OSS_STORE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/env.h"
#include "common/kv.h"
#include "oss/record.h"

#define OSS_CHUNK_MAX (64u << 20)
#define OSS_ERR_MAX 1024

struct oss_store;

/**
 * struct oss_store_cfg - where a store is
 * @env: its loop
 * @pool: memory for blocks
 * @kv_path: directory of its RocksDB
 * @kv_create: the RocksDB shall be made when it is absent
 * @data_path: data file or device
 * @data_offset: where its blocks begin in there
 * @data_size: bytes of blocks
 * @uuid: the target's id
 * @cache_segs: records kept in memory, 0: 8192
 * @no_small: all bytes go to the data file at once
 * @settle_ns: small writes go to the data file after this time, 0: 300 ms
 */
struct oss_store_cfg {
	struct weft_env *env;
	struct weft_pool *pool;
	const char *kv_path;
	bool kv_create;
	const char *data_path;
	uint64_t data_offset;
	uint64_t data_size;
	uint8_t uuid[16];
	unsigned int cache_segs;
	bool no_small;
	uint64_t settle_ns;
};

/**
 * oss_store_open() - open a store and find out which blocks are in use
 * @cfg: where it is
 * @out: the store
 * @err: a sentence when it fails
 *
 * Return: 0; -EUCLEAN (too many damaged records; of a few only their segments are refused), -EXDEV
 * (records of another target), -ENODATA (the records are gone), -EFBIG (the data file is shorter
 * than it must be), or another negative errno. When it fails, nothing is changed but that small
 * writes of the journal may be where they belong.
 * Context: blocks while it reads all records.
 */
int oss_store_open(const struct oss_store_cfg *cfg, struct oss_store **out, char err[OSS_ERR_MAX]);

/**
 * oss_store_close() - close a store
 * @s: the store or NULL; oss_store_idle()
 */
void oss_store_close(struct oss_store *s);

/**
 * oss_store_idle() - is nothing under way?
 * @s: the store
 *
 * Return: true when it may be closed.
 */
bool oss_store_idle(const struct oss_store *s);

enum oss_op_kind {
	OSS_READ, /* into @bulk, see @r_len */
	OSS_WRITE, /* from @bulk */
	OSS_TRUNCATE, /* all of @ino at (@chunk, @off) and behind */
	OSS_PUNCH, /* make a hole */
	OSS_ALLOC, /* reserve space in holes */
	OSS_SEEK_DATA, /* first data of @ino at (@chunk, @off) or behind, in @chunk or later */
	OSS_SEEK_HOLE, /* first hole at @off or behind, in @chunk only */
	OSS_SETTLE, /* the store's own: small blocks go to the data file */
};

/**
 * struct oss_op - one operation, embedded by its owner
 * @kind: what to do
 * @ino: the object's inode number
 * @chunk: chunk index
 * @off: first byte within the chunk
 * @len: bytes; @off + @len is at most OSS_CHUNK_MAX
 * @bulk: OSS_WRITE: the bytes (kept until @done); OSS_READ: buffers are appended
 * @done: called once with 0 or a negative errno, possibly inside oss_store_submit(); -EAGAIN
 *	when there is no memory for buffers just now
 * @bytes_delta: out: change of allocated bytes
 * @r_found: out, OSS_SEEK_DATA: there is data
 * @r_chunk: out, OSS_SEEK: where
 * @r_off: out, OSS_SEEK: where
 * @r_len: out, OSS_READ: bytes in @bulk; the rest of the range is zeros
 */
struct oss_op {
	enum oss_op_kind kind;
	uint64_t ino;
	uint64_t chunk;
	uint32_t off;
	uint32_t len;
	struct weft_sg *bulk;
	void (*done)(struct oss_op *op, int err);

	int64_t bytes_delta;
	bool r_found;
	uint64_t r_chunk;
	uint32_t r_off;
	uint32_t r_len;

	/* private */
	struct oss_store *store;
	unsigned int pending;
	int err;
	bool more;
	struct oss_key pos;
	struct oss_part *parts;
	struct weft_work work;
	struct oss_op *next;
	uint64_t round;
	void (*settled)(struct oss_op *op, int err);
};

/**
 * oss_store_submit() - begin an operation
 * @s: the store
 * @op: the operation; kept by its owner until done()
 */
void oss_store_submit(struct oss_store *s, struct oss_op *op);

/**
 * oss_store_space() - size of a store
 * @s: the store
 * @total: bytes that users may fill
 * @free: of these, the ones that are free
 *
 * Context: any thread.
 */
void oss_store_space(const struct oss_store *s, uint64_t *total, uint64_t *free);

/**
 * struct oss_store_stats - counters since the store was opened; other threads may read them
 * @ops: operations ended, by kind
 * @bytes_read: bytes given to readers
 * @bytes_written: bytes taken from writers
 * @commits: groups of changes made durable
 * @changes: changes of segments in them
 * @data_syncs: syncs of the data file
 * @journal_syncs: records written to the journal of small writes (a commit has one, or one sync of
 *	the RocksDB, or both)
 * @journal_bytes: bytes in them
 * @crc_errors: blocks whose bytes did not match their checksum
 * @no_space: changes refused with -ENOSPC
 * @failed_commits: groups that failed
 * @edge_reads: blocks read because a change covers them in part
 * @small_blocks: blocks that were committed in the journal, to be written to the data file later
 * @data_bytes: bytes written to the data file
 * @damaged_records: records that the start found damaged and that are still there
 */
struct oss_store_stats {
	_Atomic uint64_t ops[OSS_SETTLE + 1];
	_Atomic uint64_t bytes_read;
	_Atomic uint64_t bytes_written;
	_Atomic uint64_t commits;
	_Atomic uint64_t changes;
	_Atomic uint64_t data_syncs;
	_Atomic uint64_t journal_syncs;
	_Atomic uint64_t journal_bytes;
	_Atomic uint64_t crc_errors;
	_Atomic uint64_t no_space;
	_Atomic uint64_t failed_commits;
	_Atomic uint64_t edge_reads;
	_Atomic uint64_t small_blocks;
	_Atomic uint64_t data_bytes;
	_Atomic uint64_t damaged_records;
};

/**
 * oss_store_stats() - the counters
 * @s: the store
 *
 * Return: the counters.
 */
const struct oss_store_stats *oss_store_stats(const struct oss_store *s);

/**
 * oss_store_kv_stats() - the counters of its RocksDB
 * @s: the store
 * @kv: filled in
 *
 * Context: any thread.
 */
void oss_store_kv_stats(const struct oss_store *s, struct weft_kv_stats *kv);

#endif
