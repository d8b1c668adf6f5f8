// SPDX-License-Identifier: Apache-2.0
/*
 * RocksDB behind common/kv.h: the only file that includes its header.
 *
 * Happy path: changes gather in a WriteBatchWithIndex and reads see the batch before the store. A
 * commit that is to be durable writes the batch to the store's commit log (kvlog.h), which is one
 * write to blocks that are there already; RocksDB then gets it without a sync. When the commit log
 * is full, RocksDB's own log is synced once and the commit log begins again at its front. Opening
 * applies what the commit log has: RocksDB's log may have lost any part of that.
 *
 * Failures: RocksDB tells them as strings; their beginning decides the errno, and the string is
 * logged together with the store's path. Whether a batch whose write failed is in the store shows
 * when it is opened again. Until then RocksDB refuses further writes, unless what failed was a lack
 * of space: then it goes on by itself, some time after there is space again.
 *
 * A batch that the commit log has and RocksDB refused is taken back; when that fails as well, the
 * store refuses commits until it is opened again. Before something bypasses the commit log (a
 * batch that is too large for it or is not to be durable, a deleted range) RocksDB's log is synced
 * and the commit log is cleared, so that nothing old is ever applied over it.
 *
 * Protection: see kv.h; writes are serialised by a lock, since records of the commit log carry
 * RocksDB's sequence numbers; the counters are atomic.
 *
 * Fault points: kv.peek, kv.commit.before, kv.commit.logged (RocksDB does not have it yet),
 * kv.commit.after.
 */
#include "common/kv.h"

#include <errno.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/kvlog.h"
#include "common/log.h"

#define CACHE_MIN (64ull << 20)
#define CACHE_MAX (1ull << 30)
#define MEMTABLE_DEFAULT (16u << 20)
#define MAX_WAL_BYTES (256u << 20)
#define LOG_NAME "commits"
#define LOG_BATCH_MAX (WEFT_KVLOG_MAX / 4)

struct weft_kv {
	char *path;
	rocksdb_t *db;
	rocksdb_options_t *opts;
	rocksdb_options_t *cf_opts[WEFT_KV_MAX_CF];
	rocksdb_column_family_handle_t *cfs[WEFT_KV_MAX_CF];
	unsigned int ncfs;
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *ropts;
	rocksdb_readoptions_t *ropts_mem; /* what is in memory */
	rocksdb_writeoptions_t *wopts;
	rocksdb_writeoptions_t *wopts_sync;
	pthread_mutex_t lock; /* over writes */
	struct weft_kvlog *log; /* NULL: opened for reading */
	bool unlogged; /* RocksDB has changes that are in no log and not synced */
	bool broken;   /* the commit log may hold a batch that failed */
	struct weft_kv_stats stats;
};

struct weft_kv_batch {
	struct weft_kv *kv;
	rocksdb_writebatch_wi_t *wb;
	unsigned int saves;
};

struct weft_kv_iter {
	struct weft_kv *kv;
	rocksdb_iterator_t *it;
	rocksdb_readoptions_t *ropts;
	char *lower;
	size_t llen;
	char *upper;
	size_t ulen;
};

static int err_number(const char *err)
{
	static const struct {
		const char *has;
		int err;
	} table[] = {
		{ "Corruption", EUCLEAN },
		{ "No space left", ENOSPC },
		{ "lock hold by", EBUSY },
		{ "While lock file", EBUSY },
		{ "does not exist (create_if_missing is false)", ENOENT },
		{ "exists (error_if_exists is true)", EEXIST },
		{ "No such file", ENOENT },
		{ "Invalid argument", EINVAL },
		{ "Not implemented", EOPNOTSUPP },
		{ "Permission denied", EACCES },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strstr(err, table[i].has))
			return -table[i].err;
	return -EIO;
}

/* Logs and frees RocksDB's message. Return: its errno, 0 without a message. */
static int kv_error(const struct weft_kv *kv, char *err)
{
	int ret;

	if (!err)
		return 0;
	ret = err_number(err);
	weft_err("store failed", "path=%s errno=%d why=%s", kv->path, -ret, err);
	rocksdb_free(err);
	return ret;
}

static size_t cache_default(void)
{
	uint64_t some = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 16;

	if (some < CACHE_MIN)
		return CACHE_MIN;
	return some > CACHE_MAX ? CACHE_MAX : some;
}

static rocksdb_options_t *cf_options(struct weft_kv *kv, const struct weft_kv_opts *o,
				     const struct weft_kv_cf *cf)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
	rocksdb_options_t *opts = rocksdb_options_create();

	rocksdb_block_based_options_set_block_cache(t, kv->cache);
	rocksdb_block_based_options_set_filter_policy(
		t, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 0);
	rocksdb_options_set_block_based_table_factory(opts, t);
	rocksdb_block_based_options_destroy(t);
	rocksdb_options_set_write_buffer_size(opts, o->memtable_bytes ? o->memtable_bytes
								      : MEMTABLE_DEFAULT);
	/* Most keys that are looked for in vain, names before they are made, are in no memtable. */
	rocksdb_options_set_memtable_whole_key_filtering(opts, 1);
	rocksdb_options_set_memtable_prefix_bloom_size_ratio(opts, 0.02);
	rocksdb_options_set_compression(opts, rocksdb_no_compression);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(opts, 1);
	if (cf->min_blob) {
		rocksdb_options_set_enable_blob_files(opts, 1);
		rocksdb_options_set_min_blob_size(opts, cf->min_blob);
		rocksdb_options_set_enable_blob_gc(opts, 1);
	}
	return opts;
}

static void db_options(struct weft_kv *kv, const struct weft_kv_opts *o)
{
	kv->opts = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(kv->opts, !!(o->flags & WEFT_KV_CREATE));
	rocksdb_options_set_error_if_exists(kv->opts, !!(o->flags & WEFT_KV_CREATE));
	rocksdb_options_set_create_missing_column_families(kv->opts, 1);
	rocksdb_options_set_paranoid_checks(kv->opts, 1);
	rocksdb_options_increase_parallelism(kv->opts, 2);
	rocksdb_options_set_max_total_wal_size(kv->opts, MAX_WAL_BYTES);
	rocksdb_options_set_keep_log_file_num(kv->opts, 3);
	rocksdb_options_set_max_open_files(kv->opts, 512);
	/*
	 * What a power loss leaves of the unsynced end of RocksDB's log may be anything; the commit
	 * log has it. That nothing more is missing is checked when its records are applied.
	 */
	rocksdb_options_set_wal_recovery_mode(kv->opts, rocksdb_point_in_time_recovery);
	/* The end that the commit log waits for stays short. */
	rocksdb_options_set_wal_bytes_per_sync(kv->opts, 1u << 20);
	/*
	 * RocksDB's own LOG stays silent: Debian's library has its assertions on and aborts when it
	 * logs again after a write of LOG failed, as on a full file system. What goes wrong is told
	 * by the errors of the calls.
	 */
	rocksdb_options_set_info_log_level(kv->opts, 4);

	kv->ropts = rocksdb_readoptions_create();
	kv->ropts_mem = rocksdb_readoptions_create();
	rocksdb_readoptions_set_read_tier(kv->ropts_mem, 1); /* kBlockCacheTier */
	kv->wopts = rocksdb_writeoptions_create();
	kv->wopts_sync = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(kv->wopts_sync, 1);
}

static void db_open(struct weft_kv *kv, const struct weft_kv_opts *o, char **err)
{
	const char *names[WEFT_KV_MAX_CF];
	unsigned int i;

	for (i = 0; i < o->ncfs; i++) {
		names[i] = o->cfs[i].name;
		kv->cf_opts[i] = cf_options(kv, o, &o->cfs[i]);
	}
	if (o->flags & WEFT_KV_RDONLY)
		kv->db = rocksdb_open_for_read_only_column_families(
			kv->opts, o->path, o->ncfs, names,
			(const rocksdb_options_t *const *)kv->cf_opts, kv->cfs, 0, err);
	else
		kv->db = rocksdb_open_column_families(
			kv->opts, o->path, o->ncfs, names,
			(const rocksdb_options_t *const *)kv->cf_opts, kv->cfs, err);
}

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_add_fetch(counter, n, __ATOMIC_RELAXED);
}

static uint64_t last_seq(const struct weft_kv *kv)
{
	return rocksdb_get_latest_sequence_number(kv->db);
}

static int replay_one(void *arg, uint64_t end, const void *data, size_t len)
{
	struct weft_kv *kv = arg;
	rocksdb_writebatch_t *wb;
	char *err = NULL;

	if (len < 12)
		return -EUCLEAN;
	if (!kv->log)
		return end > last_seq(kv) ? -EAGAIN : 0;
	wb = rocksdb_writebatch_create_from(data, len);
	rocksdb_write(kv->db, kv->wopts, wb, &err);
	rocksdb_writebatch_destroy(wb);
	return kv_error(kv, err);
}

static int sync_wal(struct weft_kv *kv)
{
	char *err = NULL;

	rocksdb_flush_wal(kv->db, 1, &err);
	count(&kv->stats.syncs, 1);
	return kv_error(kv, err);
}

/* Makes RocksDB keep by itself all that the commit log has. */
static int settle(struct weft_kv *kv)
{
	int ret;

	if (weft_kvlog_empty(kv->log))
		return 0;
	ret = sync_wal(kv);
	return ret ? ret : weft_kvlog_clear(kv->log, last_seq(kv));
}

/*
 * A store gets its commit log when it is made: none at all means that it was lost, and with it,
 * maybe, changes that were acknowledged. One that is empty was being made, or is the operator's
 * word that these may go.
 */
static int open_log(struct weft_kv *kv, const char *path, unsigned int flags)
{
	bool rdonly = flags & WEFT_KV_RDONLY;
	struct weft_kvlog *log;
	int ret;

	ret = weft_kvlog_open(path, rdonly, &log);
	if (ret == -ENOENT && !(flags & WEFT_KV_CREATE) && access(path, F_OK))
		return -ENODATA;
	if (ret == -ENOENT && rdonly)
		return 0;
	if (ret == -ENOENT) {
		ret = weft_kvlog_create(path);
		if (!ret)
			ret = weft_kvlog_open(path, false, &log);
	}
	if (ret)
		return ret;
	if (!rdonly)
		kv->log = log;
	ret = weft_kvlog_replay(log, last_seq(kv), replay_one, kv);
	if (rdonly)
		weft_kvlog_close(log);
	if (ret <= 0 || rdonly)
		return ret < 0 ? ret : 0;
	weft_info("changes applied again from the commit log", "store=%s batches=%d", kv->path, ret);
	ret = sync_wal(kv);
	return ret ? ret : weft_kvlog_clear(log, last_seq(kv));
}

static int attach_log(struct weft_kv *kv, const struct weft_kv_opts *o, char *err)
{
	const char *why;
	char path[WEFT_KV_ERR_MAX - 110];
	int ret;

	if (snprintf(path, sizeof(path), "%s/" LOG_NAME, o->path) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	ret = open_log(kv, path, o->flags);
	if (!ret)
		return 0;
	why = strerror(-ret);
	if (ret == -ENODATA)
		why = "missing, and acknowledged changes may be only there: put it back, "
		      "or an empty file to go on without them";
	if (ret == -EUCLEAN)
		why = "damaged, or changes between it and RocksDB's files are missing";
	if (ret == -EAGAIN)
		why = "it has changes that are not applied: start the server once";
	snprintf(err, WEFT_KV_ERR_MAX, "%s: %s", path, why);
	return ret == -ENODATA ? -EUCLEAN : ret;
}

/* RocksDB makes a directory and a lock file even where it then finds no store. */
static int check_exists(const struct weft_kv_opts *o)
{
	char current[4096];
	struct stat st;

	if (o->flags & WEFT_KV_CREATE)
		return 0;
	if (snprintf(current, sizeof(current), "%s/CURRENT", o->path) >= (int)sizeof(current))
		return -ENAMETOOLONG;
	return stat(current, &st) ? -errno : 0;
}

int weft_kv_open(const struct weft_kv_opts *o, struct weft_kv **out, char err[WEFT_KV_ERR_MAX])
{
	struct weft_kv *kv;
	char *why = NULL;
	int ret;

	if (!o->ncfs || o->ncfs > WEFT_KV_MAX_CF)
		return -EINVAL;
	ret = check_exists(o);
	if (ret) {
		snprintf(err, WEFT_KV_ERR_MAX, "%s: no store there: %s", o->path, strerror(-ret));
		return ret;
	}
	kv = calloc(1, sizeof(*kv));
	if (!kv)
		return -ENOMEM;
	kv->path = strdup(o->path);
	if (!kv->path) {
		free(kv);
		return -ENOMEM;
	}
	kv->ncfs = o->ncfs;
	pthread_mutex_init(&kv->lock, NULL);
	kv->cache = rocksdb_cache_create_lru(o->cache_bytes ? o->cache_bytes : cache_default());
	db_options(kv, o);
	db_open(kv, o, &why);
	if (why) {
		ret = err_number(why);
		snprintf(err, WEFT_KV_ERR_MAX, "%s: %s", o->path, why);
		rocksdb_free(why);
		weft_kv_close(kv);
		return ret;
	}
	ret = attach_log(kv, o, err);
	if (ret) {
		weft_kv_close(kv);
		return ret;
	}
	*out = kv;
	return 0;
}

void weft_kv_close(struct weft_kv *kv)
{
	unsigned int i;

	if (!kv)
		return;
	/* Without it the next start applies what the commit log has once more. */
	if (kv->log && !kv->broken)
		settle(kv);
	for (i = 0; i < kv->ncfs && kv->db; i++)
		rocksdb_column_family_handle_destroy(kv->cfs[i]);
	if (kv->db)
		rocksdb_close(kv->db);
	for (i = 0; i < kv->ncfs; i++)
		rocksdb_options_destroy(kv->cf_opts[i]);
	rocksdb_options_destroy(kv->opts);
	rocksdb_readoptions_destroy(kv->ropts);
	rocksdb_readoptions_destroy(kv->ropts_mem);
	rocksdb_writeoptions_destroy(kv->wopts);
	rocksdb_writeoptions_destroy(kv->wopts_sync);
	rocksdb_cache_destroy(kv->cache);
	weft_kvlog_close(kv->log);
	pthread_mutex_destroy(&kv->lock);
	free(kv->path);
	free(kv);
}

/* RocksDB counts each comparison of keys for its perf context, which nobody here reads. */
static void count_nothing(void)
{
	static __thread bool done;

	if (!done)
		rocksdb_set_perf_level(rocksdb_disable);
	done = true;
}

int weft_kv_get(struct weft_kv *kv, unsigned int cf, const void *key, size_t klen,
		struct weft_kv_val *val)
{
	char *err = NULL;

	count_nothing();
	count(&kv->stats.gets, 1);
	val->data = rocksdb_get_cf(kv->db, kv->ropts, kv->cfs[cf], key, klen, &val->len, &err);
	if (err)
		return kv_error(kv, err);
	return val->data ? 0 : -ENOENT;
}

int weft_kv_peek(struct weft_kv *kv, struct weft_kv_batch *b, unsigned int cf, const void *key,
		 size_t klen, struct weft_kv_val *val)
{
	char *err = NULL;
	int ret;

	ret = WEFT_FAULT("kv.peek");
	if (ret < 0)
		return ret;
	count_nothing();
	count(&kv->stats.gets, 1);
	if (b)
		val->data = rocksdb_writebatch_wi_get_from_batch_and_db_cf(
			b->wb, kv->db, kv->ropts_mem, kv->cfs[cf], key, klen, &val->len, &err);
	else
		val->data = rocksdb_get_cf(kv->db, kv->ropts_mem, kv->cfs[cf], key, klen,
					   &val->len, &err);
	if (err && strstr(err, "Result incomplete")) {
		rocksdb_free(err);
		return -EAGAIN;
	}
	if (err)
		return kv_error(kv, err);
	return val->data ? 0 : -ENOENT;
}

void weft_kv_val_fini(struct weft_kv_val *val)
{
	rocksdb_free(val->data);
	val->data = NULL;
	val->len = 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void count_write(struct weft_kv *kv, bool sync, size_t bytes, uint64_t start)
{
	count(&kv->stats.commits, 1);
	count(&kv->stats.bytes, bytes);
	if (sync) {
		count(&kv->stats.syncs, 1);
		count(&kv->stats.sync_ns, now_ns() - start);
	}
}

int weft_kv_delete_range(struct weft_kv *kv, unsigned int cf, const void *from, size_t flen,
			 const void *to, size_t tlen, bool sync)
{
	uint64_t start = now_ns();
	char *err = NULL;
	int ret;

	pthread_mutex_lock(&kv->lock);
	ret = kv->broken ? -EIO : settle(kv);
	if (!ret) {
		rocksdb_delete_range_cf(kv->db, sync ? kv->wopts_sync : kv->wopts, kv->cfs[cf],
					from, flen, to, tlen, &err);
		kv->unlogged = !sync;
	}
	pthread_mutex_unlock(&kv->lock);
	count_write(kv, sync, flen + tlen, start);
	return ret ? ret : kv_error(kv, err);
}

int weft_kv_batch_create(struct weft_kv *kv, struct weft_kv_batch **out)
{
	struct weft_kv_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->kv = kv;
	b->wb = rocksdb_writebatch_wi_create(0, 1);
	*out = b;
	return 0;
}

void weft_kv_batch_free(struct weft_kv_batch *b)
{
	if (!b)
		return;
	rocksdb_writebatch_wi_destroy(b->wb);
	free(b);
}

void weft_kv_batch_clear(struct weft_kv_batch *b)
{
	rocksdb_writebatch_wi_clear(b->wb);
	b->saves = 0;
}

unsigned int weft_kv_batch_count(const struct weft_kv_batch *b)
{
	return rocksdb_writebatch_wi_count(b->wb);
}

void weft_kv_put(struct weft_kv_batch *b, unsigned int cf, const void *key, size_t klen,
		 const void *val, size_t vlen)
{
	rocksdb_writebatch_wi_put_cf(b->wb, b->kv->cfs[cf], key, klen, val, vlen);
}

void weft_kv_delete(struct weft_kv_batch *b, unsigned int cf, const void *key, size_t klen)
{
	rocksdb_writebatch_wi_delete_cf(b->wb, b->kv->cfs[cf], key, klen);
}

static char *copy(const void *p, size_t len)
{
	char *c = malloc(len ? len : 1);

	if (c && len)
		memcpy(c, p, len);
	return c;
}

/* Remembers a key. Return: 0 or -ENOMEM. */
static int keys_add(struct weft_kv_val **keys, size_t n, const void *key, size_t len)
{
	struct weft_kv_val *more = *keys;

	if (!(n & (n - 1))) { /* room for 1, 2, 4, ... */
		more = realloc(more, (n ? 2 * n : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		*keys = more;
	}
	more[n].len = len;
	more[n].data = copy(key, len);
	return more[n].data ? 0 : -ENOMEM;
}

ssize_t weft_kv_delete_prefix(struct weft_kv_batch *b, unsigned int cf, const void *prefix,
			      size_t plen, size_t max)
{
	struct weft_kv_val *keys = NULL;
	struct weft_kv_iter *it;
	size_t n = 0, i, len;
	const void *key;
	ssize_t ret;

	ret = weft_kv_iter_prefix(b->kv, b, cf, prefix, plen, &it);
	if (ret)
		return ret;
	/* The batch must not change under the iterator: collect first. */
	for (weft_kv_iter_first(it); n < max && weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		key = weft_kv_iter_key(it, &len);
		ret = keys_add(&keys, n, key, len);
		if (ret)
			goto out;
		n++;
	}
	ret = weft_kv_iter_error(it);
	if (ret)
		goto out;
	for (i = 0; i < n; i++)
		weft_kv_delete(b, cf, keys[i].data, keys[i].len);
	ret = n;

out:
	weft_kv_iter_free(it);
	while (n-- > 0)
		free(keys[n].data);
	free(keys);
	return ret;
}

int weft_kv_batch_get(struct weft_kv_batch *b, unsigned int cf, const void *key, size_t klen,
		      struct weft_kv_val *val)
{
	struct weft_kv *kv = b->kv;
	char *err = NULL;

	count_nothing();
	count(&kv->stats.gets, 1);
	val->data = rocksdb_writebatch_wi_get_from_batch_and_db_cf(
		b->wb, kv->db, kv->ropts, kv->cfs[cf], key, klen, &val->len, &err);
	if (err)
		return kv_error(kv, err);
	return val->data ? 0 : -ENOENT;
}

void weft_kv_batch_save(struct weft_kv_batch *b)
{
	rocksdb_writebatch_wi_set_save_point(b->wb);
	b->saves++;
}

int weft_kv_batch_rollback(struct weft_kv_batch *b)
{
	char *err = NULL;

	if (!b->saves)
		return -ENOENT;
	b->saves--;
	rocksdb_writebatch_wi_rollback_to_save_point(b->wb, &err);
	return kv_error(b->kv, err);
}

/* Return: 1: the batch is in the commit log, 0: RocksDB has to sync it, or a negative errno. */
static int log_batch(struct weft_kv_batch *b, const char *data, size_t len)
{
	unsigned int n = weft_kv_batch_count(b);
	struct weft_kv *kv = b->kv;
	int ret;

	if (!n || kv->unlogged || len > LOG_BATCH_MAX)
		return 0;
	if (!weft_kvlog_fits(kv->log, len)) {
		ret = sync_wal(kv);
		if (ret)
			return ret;
		weft_kvlog_rewind(kv->log);
		if (!weft_kvlog_fits(kv->log, len))
			return 0;
	}
	ret = weft_kvlog_append(kv->log, last_seq(kv), n, data, len);
	if (!ret)
		return 1;
	weft_err("the commit log cannot be written", "store=%s err=%d", kv->path, ret);
	kv->broken = weft_kvlog_cancel(kv->log) != 0;
	return ret;
}

static int commit_locked(struct weft_kv_batch *b, bool sync, size_t *bytes)
{
	struct weft_kv *kv = b->kv;
	const char *data = rocksdb_writebatch_wi_data(b->wb, bytes);
	int logged = 0, ret;
	char *err = NULL;

	if (kv->broken)
		return -EIO;
	if (sync)
		logged = log_batch(b, data, *bytes);
	if (logged < 0)
		return logged;
	ret = logged ? WEFT_FAULT("kv.commit.logged") : settle(kv);
	if (ret < 0) {
		kv->broken = logged;
		return ret;
	}
	rocksdb_write_writebatch_wi(kv->db, sync && !logged ? kv->wopts_sync : kv->wopts, b->wb,
				    &err);
	if (err && logged)
		kv->broken = weft_kvlog_cancel(kv->log) != 0;
	if (!err && !logged)
		kv->unlogged = !sync;
	return kv_error(kv, err);
}

int weft_kv_commit(struct weft_kv_batch *b, bool sync)
{
	struct weft_kv *kv = b->kv;
	uint64_t start = now_ns();
	size_t bytes = 0;
	int ret;

	count_nothing();
	ret = WEFT_FAULT("kv.commit.before");
	if (ret < 0)
		return ret;
	pthread_mutex_lock(&kv->lock);
	ret = commit_locked(b, sync, &bytes);
	pthread_mutex_unlock(&kv->lock);
	count_write(kv, sync, bytes, start);
	if (ret)
		return ret;
	ret = WEFT_FAULT("kv.commit.after");
	return ret < 0 ? ret : 0;
}

int weft_kv_iter_create(struct weft_kv *kv, struct weft_kv_batch *b, unsigned int cf,
			const void *lower, size_t llen, const void *upper, size_t ulen,
			struct weft_kv_iter **out)
{
	struct weft_kv_iter *it = calloc(1, sizeof(*it));

	if (!it)
		return -ENOMEM;
	it->kv = kv;
	it->llen = llen;
	it->ulen = ulen;
	it->lower = copy(lower, llen);
	it->upper = copy(upper, ulen);
	if (!it->lower || !it->upper) {
		free(it->lower);
		free(it->upper);
		free(it);
		return -ENOMEM;
	}
	it->ropts = rocksdb_readoptions_create();
	if (ulen)
		rocksdb_readoptions_set_iterate_upper_bound(it->ropts, it->upper, ulen);
	it->it = rocksdb_create_iterator_cf(kv->db, it->ropts, kv->cfs[cf]);
	if (b) /* takes the base iterator over */
		it->it = rocksdb_writebatch_wi_create_iterator_with_base_cf(b->wb, it->it,
									    kv->cfs[cf]);
	*out = it;
	return 0;
}

int weft_kv_iter_prefix(struct weft_kv *kv, struct weft_kv_batch *b, unsigned int cf,
			const void *prefix, size_t plen, struct weft_kv_iter **out)
{
	unsigned char *end = (unsigned char *)copy(prefix, plen);
	size_t n = plen;
	int ret;

	if (!end)
		return -ENOMEM;
	/* The first key behind all with the prefix: without trailing 0xff, the last byte plus 1. */
	while (n && end[n - 1] == 0xff)
		n--;
	if (n)
		end[n - 1]++;
	ret = weft_kv_iter_create(kv, b, cf, prefix, plen, end, n, out);
	free(end);
	return ret;
}

static int compare(const char *a, size_t alen, const char *b, size_t blen)
{
	int c = memcmp(a, b, alen < blen ? alen : blen);

	return c ? c : (alen > blen) - (alen < blen);
}

void weft_kv_iter_first(struct weft_kv_iter *it)
{
	if (it->llen)
		rocksdb_iter_seek(it->it, it->lower, it->llen);
	else
		rocksdb_iter_seek_to_first(it->it);
}

void weft_kv_iter_seek(struct weft_kv_iter *it, const void *key, size_t klen)
{
	if (compare(key, klen, it->lower, it->llen) < 0)
		weft_kv_iter_first(it);
	else
		rocksdb_iter_seek(it->it, key, klen);
}

void weft_kv_iter_next(struct weft_kv_iter *it)
{
	rocksdb_iter_next(it->it);
}

/* The batch's side of the iterator knows no bounds: the upper one is checked here. */
bool weft_kv_iter_valid(struct weft_kv_iter *it)
{
	const char *key;
	size_t len;

	if (!rocksdb_iter_valid(it->it))
		return false;
	if (!it->ulen)
		return true;
	key = rocksdb_iter_key(it->it, &len);
	return compare(key, len, it->upper, it->ulen) < 0;
}

int weft_kv_iter_error(struct weft_kv_iter *it)
{
	char *err = NULL;

	rocksdb_iter_get_error(it->it, &err);
	return kv_error(it->kv, err);
}

const void *weft_kv_iter_key(struct weft_kv_iter *it, size_t *len)
{
	return rocksdb_iter_key(it->it, len);
}

const void *weft_kv_iter_val(struct weft_kv_iter *it, size_t *len)
{
	return rocksdb_iter_value(it->it, len);
}

void weft_kv_iter_free(struct weft_kv_iter *it)
{
	if (!it)
		return;
	rocksdb_iter_destroy(it->it);
	rocksdb_readoptions_destroy(it->ropts);
	free(it->lower);
	free(it->upper);
	free(it);
}

int weft_kv_property(struct weft_kv *kv, unsigned int cf, const char *name, uint64_t *val)
{
	return rocksdb_property_int_cf(kv->db, kv->cfs[cf], name, val) ? -ENOENT : 0;
}

void weft_kv_stats(struct weft_kv *kv, struct weft_kv_stats *s)
{
	s->gets = __atomic_load_n(&kv->stats.gets, __ATOMIC_RELAXED);
	s->commits = __atomic_load_n(&kv->stats.commits, __ATOMIC_RELAXED);
	s->syncs = __atomic_load_n(&kv->stats.syncs, __ATOMIC_RELAXED);
	s->bytes = __atomic_load_n(&kv->stats.bytes, __ATOMIC_RELAXED);
	s->sync_ns = __atomic_load_n(&kv->stats.sync_ns, __ATOMIC_RELAXED);
}

const char *weft_kv_path(const struct weft_kv *kv)
{
	return kv->path;
}
