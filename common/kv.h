/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key-value store: RocksDB behind a small interface. common/kv.c is the only file that includes
 * RocksDB's header.
 *
 * Thread use: weft_kv_get(), iterators without a batch, properties and stats may be used by any
 * thread at any time. A batch belongs to one thread at a time; while weft_kv_commit() runs on a
 * worker nobody else touches that batch, and others may go on reading the store (they see either
 * all or nothing of the batch). Commits of different threads are serialised by RocksDB.
 *
 * Errors: -ENOENT absent key or store, -EUCLEAN corruption (logged with the path), -ENOSPC, -EIO,
 * -EBUSY (opened by another process), -EEXIST, -EINVAL.
 */
#ifndef WEFT_COMMON_KV_H
#define WEFT_COMMON_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct weft_kv;
struct weft_kv_batch;
struct weft_kv_iter;

#define WEFT_KV_MAX_CF 16
#define WEFT_KV_ERR_MAX 512

#define WEFT_KV_CREATE 1u /* make the store; -EEXIST when there is one */
#define WEFT_KV_RDONLY 2u

/**
 * struct weft_kv_cf - one column family; its number is its place in the table
 * @name: its name; the first one is "default"
 * @min_blob: values of at least so many bytes go to blob files, 0: never
 */
struct weft_kv_cf {
	const char *name;
	uint32_t min_blob;
};

/**
 * struct weft_kv_opts - how to open a store
 * @path: its directory
 * @cfs: column families
 * @ncfs: how many, at most WEFT_KV_MAX_CF
 * @flags: WEFT_KV_*
 * @cache_bytes: block cache, 0: a sixteenth of the memory, 64 MiB to 1 GiB (it fills as it is used)
 * @memtable_bytes: write buffer of a column family, 0: 16 MiB
 */
struct weft_kv_opts {
	const char *path;
	const struct weft_kv_cf *cfs;
	unsigned int ncfs;
	unsigned int flags;
	size_t cache_bytes;
	size_t memtable_bytes;
};

/**
 * struct weft_kv_stats - counters since the store was opened
 * @gets: keys looked up
 * @commits: batches written
 * @syncs: of these, the ones that waited for the disk
 * @bytes: bytes of all batches
 * @sync_ns: time spent in synced commits
 */
struct weft_kv_stats {
	uint64_t gets;
	uint64_t commits;
	uint64_t syncs;
	uint64_t bytes;
	uint64_t sync_ns;
};

/**
 * struct weft_kv_val - a value that was read; free it with weft_kv_val_fini()
 * @data: its bytes (allocated by malloc)
 * @len: how many
 */
struct weft_kv_val {
	char *data;
	size_t len;
};

/**
 * weft_kv_open() - open a store
 * @o: options
 * @out: the store
 * @err: filled with a sentence that names the path when it fails
 *
 * Return: 0 or a negative errno.
 */
int weft_kv_open(const struct weft_kv_opts *o, struct weft_kv **out, char err[WEFT_KV_ERR_MAX]);

/**
 * weft_kv_close() - close a store
 * @kv: the store or NULL; no batch, iterator or commit is left
 */
void weft_kv_close(struct weft_kv *kv);

/**
 * weft_kv_get() - read a key
 * @kv: the store
 * @cf: column family number
 * @key: key
 * @klen: its length
 * @val: the value
 *
 * Return: 0, -ENOENT or another negative errno.
 */
int weft_kv_get(struct weft_kv *kv, unsigned int cf, const void *key, size_t klen,
		struct weft_kv_val *val);

/**
 * weft_kv_peek() - read a key if that needs no disk
 * @kv: the store
 * @b: see its changes too, or NULL
 * @cf: column family number
 * @key: key
 * @klen: its length
 * @val: the value
 *
 * Fault point: kv.peek.
 *
 * Return: 0, -ENOENT, -EAGAIN (weft_kv_get() would read the disk), or another negative errno.
 */
int weft_kv_peek(struct weft_kv *kv, struct weft_kv_batch *b, unsigned int cf, const void *key,
		 size_t klen, struct weft_kv_val *val);

/**
 * weft_kv_val_fini() - free a value
 * @val: the value
 */
void weft_kv_val_fini(struct weft_kv_val *val);

/**
 * weft_kv_delete_range() - delete all keys in [from, to) at once, without a batch
 * @kv: the store
 * @cf: column family number
 * @from: first key
 * @flen: its length
 * @to: first key that is kept
 * @tlen: its length
 * @sync: wait for the disk
 *
 * Return: 0 or a negative errno.
 */
int weft_kv_delete_range(struct weft_kv *kv, unsigned int cf, const void *from, size_t flen,
			 const void *to, size_t tlen, bool sync);

/**
 * weft_kv_batch_create() - make an empty batch
 * @kv: the store
 * @out: the batch
 *
 * Return: 0 or -ENOMEM.
 */
int weft_kv_batch_create(struct weft_kv *kv, struct weft_kv_batch **out);

/**
 * weft_kv_batch_free() - forget a batch
 * @b: the batch or NULL
 */
void weft_kv_batch_free(struct weft_kv_batch *b);

/**
 * weft_kv_batch_clear() - make a batch empty
 * @b: the batch
 */
void weft_kv_batch_clear(struct weft_kv_batch *b);

/**
 * weft_kv_batch_count() - number of changes in a batch
 * @b: the batch
 *
 * Return: the count.
 */
unsigned int weft_kv_batch_count(const struct weft_kv_batch *b);

/**
 * weft_kv_put() - set a key
 * @b: the batch
 * @cf: column family number
 * @key: key
 * @klen: its length
 * @val: value
 * @vlen: its length
 */
void weft_kv_put(struct weft_kv_batch *b, unsigned int cf, const void *key, size_t klen,
		 const void *val, size_t vlen);

/**
 * weft_kv_delete() - delete a key (absent ones too)
 * @b: the batch
 * @cf: column family number
 * @key: key
 * @klen: its length
 */
void weft_kv_delete(struct weft_kv_batch *b, unsigned int cf, const void *key, size_t klen);

/**
 * weft_kv_delete_prefix() - delete keys with a prefix as seen through the batch
 * @b: the batch
 * @cf: column family number
 * @prefix: prefix
 * @plen: its length
 * @max: delete at most so many
 *
 * Return: how many were deleted (less than @max: none is left) or a negative errno.
 */
ssize_t weft_kv_delete_prefix(struct weft_kv_batch *b, unsigned int cf, const void *prefix,
			      size_t plen, size_t max);

/**
 * weft_kv_batch_get() - read a key as it will be when the batch is committed
 * @b: the batch
 * @cf: column family number
 * @key: key
 * @klen: its length
 * @val: the value
 *
 * Return: 0, -ENOENT or another negative errno.
 */
int weft_kv_batch_get(struct weft_kv_batch *b, unsigned int cf, const void *key, size_t klen,
		      struct weft_kv_val *val);

/**
 * weft_kv_batch_save() - remember the present content of a batch
 * @b: the batch
 *
 * Save points nest; each is ended by weft_kv_batch_rollback() or weft_kv_batch_clear().
 */
void weft_kv_batch_save(struct weft_kv_batch *b);

/**
 * weft_kv_batch_rollback() - undo all changes since the last save point and drop it
 * @b: the batch
 *
 * Return: 0, or -ENOENT when there is no save point.
 */
int weft_kv_batch_rollback(struct weft_kv_batch *b);

/**
 * weft_kv_commit() - write a batch atomically
 * @b: the batch; it keeps its content: clear or free it afterwards
 * @sync: wait until it is on the disk
 *
 * Fault points: kv.commit.before, kv.commit.after.
 *
 * Return: 0 or a negative errno. After an error it is unknown whether the batch will be there
 * after a restart; the caller must not go on as if it were absent.
 * Context: may block on the disk; run it by weft_env_work().
 */
int weft_kv_commit(struct weft_kv_batch *b, bool sync);

/**
 * weft_kv_iter_create() - iterate over keys in order
 * @kv: the store
 * @b: see its changes too, or NULL
 * @cf: column family number
 * @lower: first key wanted (length 0: the very first)
 * @llen: its length
 * @upper: first key that is not wanted (length 0: no bound)
 * @ulen: its length
 * @out: the iterator, not yet positioned
 *
 * With @b, the batch must not be changed while the iterator is in use.
 *
 * Return: 0 or -ENOMEM.
 */
int weft_kv_iter_create(struct weft_kv *kv, struct weft_kv_batch *b, unsigned int cf,
			const void *lower, size_t llen, const void *upper, size_t ulen,
			struct weft_kv_iter **out);

/**
 * weft_kv_iter_prefix() - iterate over the keys with a prefix
 * @kv: the store
 * @b: see its changes too, or NULL
 * @cf: column family number
 * @prefix: prefix
 * @plen: its length
 * @out: the iterator, not yet positioned
 *
 * Return: 0 or -ENOMEM.
 */
int weft_kv_iter_prefix(struct weft_kv *kv, struct weft_kv_batch *b, unsigned int cf,
			const void *prefix, size_t plen, struct weft_kv_iter **out);

/**
 * weft_kv_iter_first() - go to the first key within the bounds
 * @it: the iterator
 */
void weft_kv_iter_first(struct weft_kv_iter *it);

/**
 * weft_kv_iter_seek() - go to the first key that is not less than one given
 * @it: the iterator
 * @key: key
 * @klen: its length
 */
void weft_kv_iter_seek(struct weft_kv_iter *it, const void *key, size_t klen);

/**
 * weft_kv_iter_next() - go to the next key; only when weft_kv_iter_valid()
 * @it: the iterator
 */
void weft_kv_iter_next(struct weft_kv_iter *it);

/**
 * weft_kv_iter_valid() - does it stand on a key within the bounds?
 * @it: the iterator
 *
 * Return: true when it does; else weft_kv_iter_error() tells the end from an error.
 */
bool weft_kv_iter_valid(struct weft_kv_iter *it);

/**
 * weft_kv_iter_error() - why did it stop?
 * @it: the iterator
 *
 * Return: 0 at the end, or a negative errno.
 */
int weft_kv_iter_error(struct weft_kv_iter *it);

/**
 * weft_kv_iter_key() - key it stands on, valid until it moves
 * @it: the iterator
 * @len: its length
 *
 * Return: the key.
 */
const void *weft_kv_iter_key(struct weft_kv_iter *it, size_t *len);

/**
 * weft_kv_iter_val() - value it stands on, valid until it moves
 * @it: the iterator
 * @len: its length
 *
 * Return: the value.
 */
const void *weft_kv_iter_val(struct weft_kv_iter *it, size_t *len);

/**
 * weft_kv_iter_free() - free an iterator
 * @it: the iterator or NULL
 */
void weft_kv_iter_free(struct weft_kv_iter *it);

/**
 * weft_kv_property() - a number that RocksDB knows about a column family
 * @kv: the store
 * @cf: column family number
 * @name: such as "rocksdb.estimate-num-keys"
 * @val: the number
 *
 * Return: 0 or -ENOENT.
 */
int weft_kv_property(struct weft_kv *kv, unsigned int cf, const char *name, uint64_t *val);

/**
 * weft_kv_stats() - read the counters
 * @kv: the store
 * @s: filled in
 */
void weft_kv_stats(struct weft_kv *kv, struct weft_kv_stats *s);

/**
 * weft_kv_path() - the store's directory
 * @kv: the store
 *
 * Return: the path.
 */
const char *weft_kv_path(const struct weft_kv *kv);

#endif
