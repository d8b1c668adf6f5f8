/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commit log of a store: a preallocated file in front of RocksDB's own write-ahead log.
 *
 * RocksDB's log grows, so each sync of it is a journal commit of the file system below. This one
 * overwrites blocks that are there already: a commit is one direct write, durable when it returns
 * (O_DIRECT and O_DSYNC; measured on ext4, in a guest: 4 ms and no journal commit instead of 19 ms
 * and one). RocksDB gets the batch afterwards, without a sync; its log is synced once for each
 * pass through this one.
 *
 * So this log has, in order, all that RocksDB got since its log was last synced. After a crash all
 * of it is applied again: puts and deletes of the same keys in the same order give the same result,
 * whatever part RocksDB had kept. Records carry RocksDB's sequence numbers, by which it shows when
 * something before the first record is missing. Documentation/on-disk.md has the format.
 *
 * Thread use: by one thread at a time.
 */
#ifndef WEFT_COMMON_KVLOG_H
#define WEFT_COMMON_KVLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft_kvlog;

#define WEFT_KVLOG_MIN (1u << 20) /* size of a new one; it doubles while it is in use, up to */
#define WEFT_KVLOG_MAX (16u << 20)

/**
 * weft_kvlog_create() - make a log; durable when it returns
 * @path: its file, which does not exist
 *
 * Return: 0 or a negative errno.
 */
int weft_kvlog_create(const char *path);

/**
 * weft_kvlog_open() - open a log
 * @path: its file
 * @rdonly: only for weft_kvlog_replay()
 * @out: the log; appending goes on at its front
 *
 * Return: 0, -ENOENT, -EUCLEAN, -EPROTONOSUPPORT or another negative errno.
 */
int weft_kvlog_open(const char *path, bool rdonly, struct weft_kvlog **out);

/**
 * weft_kvlog_close() - close a log
 * @log: the log or NULL
 */
void weft_kvlog_close(struct weft_kvlog *log);

/**
 * weft_kvlog_replay() - read the records of the pass that was under way
 * @log: the log
 * @have: sequence number of the last change that the store has
 * @apply: called for each, in order, with the number of its last change
 * @arg: its first argument
 *
 * Return: how many there were; -EUCLEAN when changes are missing between the store and the log, or
 * within the log; or the error of @apply.
 */
int weft_kvlog_replay(struct weft_kvlog *log, uint64_t have,
		      int (*apply)(void *arg, uint64_t end, const void *data, size_t len),
		      void *arg);

/**
 * weft_kvlog_empty() - would nothing be applied after a crash?
 * @log: the log
 *
 * Return: true when so.
 */
bool weft_kvlog_empty(const struct weft_kvlog *log);

/**
 * weft_kvlog_clear() - forget all records, at once
 * @log: the log; all its records are durable in the store
 * @have: sequence number of the last change that the store has
 *
 * Return: 0 or a negative errno: then they may be there after a restart.
 */
int weft_kvlog_clear(struct weft_kvlog *log, uint64_t have);

/**
 * weft_kvlog_fits() - is there room for a record?
 * @log: the log
 * @len: bytes of its data
 *
 * Return: true when it can be appended.
 */
bool weft_kvlog_fits(const struct weft_kvlog *log, size_t len);

/**
 * weft_kvlog_room() - how much there is room for
 * @log: the log
 * @rewound: after weft_kvlog_rewind(), when it does not grow
 *
 * Return: bytes of whole blocks; a record takes its head and data, rounded up to such.
 */
uint64_t weft_kvlog_room(const struct weft_kvlog *log, bool rewound);

/**
 * weft_kvlog_rewind() - begin again at the front, in a larger file while it is small
 * @log: the log; all its records are durable in the store, and nothing else changes it before the
 *	next record: until then the old ones may be applied again
 */
void weft_kvlog_rewind(struct weft_kvlog *log);

/**
 * weft_kvlog_append() - write a record; durable when it returns
 * @log: the log; weft_kvlog_fits()
 * @have: sequence number of the last change before it
 * @count: number of changes in it, at least 1
 * @data: the batch
 * @len: its bytes
 *
 * Return: 0 or a negative errno: then the record may be there or not (weft_kvlog_cancel()).
 */
int weft_kvlog_append(struct weft_kvlog *log, uint64_t have, uint32_t count, const void *data,
		      size_t len);

/**
 * weft_kvlog_cancel() - take back the last record, which the store did not get
 * @log: the log
 *
 * Return: 0 or a negative errno: then it may come back after a restart.
 */
int weft_kvlog_cancel(struct weft_kvlog *log);

#endif
