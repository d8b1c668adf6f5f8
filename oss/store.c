// SPDX-License-Identifier: Apache-2.0
/*
 * Opening and closing a chunk store, and the entry of its operations.
 *
 * Opening finishes what the journal of small writes has (replay.c), then reads every record once
 * and marks its blocks as used: the allocator has no state on disk. A record that is damaged, lies
 * outside the data file, or claims a block of another one is named in the log and refused from then
 * on (damage.c); the others are served. Of two that claim a block the second is refused: each
 * block's checksum tells if the first one's bytes are its own.
 * A key that names no segment, or too many damaged records, stop the opening.
 */
#include "oss/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "oss/internal.h"

#define DEFAULT_CACHE 8192
#define RESERVE_MAX 4096 /* 16 MiB */

#define FORMAT 2

/* Column family "default", key "store": whose records these are. */
static const char store_key[] = "store";

struct store_disk {
	__le32 format;
	__le32 reserved;
	__u8 uuid[16];
};
WEFT_ASSERT_SIZE(struct store_disk, 24);

static const struct weft_kv_cf column_families[] = {
	[OSS_CF_META] = { "default", 0 },
	[OSS_CF_CHUNKS] = { "chunks", 0 },
};

static int write_identity(struct oss_store *s, const struct oss_store_cfg *cfg)
{
	struct store_disk d = { .format = cpu_to_le32(FORMAT) };
	struct weft_kv_batch *b;
	int err;

	memcpy(d.uuid, cfg->uuid, sizeof(d.uuid));
	err = weft_kv_batch_create(s->kv, &b);
	if (err)
		return err;
	weft_kv_put(b, OSS_CF_META, store_key, sizeof(store_key), &d, sizeof(d));
	err = weft_kv_commit(b, true);
	weft_kv_batch_free(b);
	return err;
}

static int check_identity(struct oss_store *s, const struct oss_store_cfg *cfg,
			  char err[OSS_ERR_MAX])
{
	struct weft_kv_val val = { 0 };
	struct store_disk d = { 0 };
	int res;

	res = weft_kv_get(s->kv, OSS_CF_META, store_key, sizeof(store_key), &val);
	if (res == -ENOENT && cfg->kv_create) {
		res = oss_journal_open(s, cfg->kv_path, true, err);
		return res ? res : write_identity(s, cfg);
	}
	if (!res && val.len == sizeof(d))
		memcpy(&d, val.data, sizeof(d));
	weft_kv_val_fini(&val);
	if (res || le32_to_cpu(d.format) != FORMAT) {
		snprintf(err, OSS_ERR_MAX, "%s: no records of an object storage target", cfg->kv_path);
		return res == -ENOENT || !res ? -EUCLEAN : res;
	}
	if (memcmp(d.uuid, cfg->uuid, sizeof(d.uuid))) {
		snprintf(err, OSS_ERR_MAX, "%s: the records belong to another target", cfg->kv_path);
		return -EXDEV;
	}
	return oss_journal_open(s, cfg->kv_path, false, err);
}

static int open_kv(struct oss_store *s, const struct oss_store_cfg *cfg, char err[OSS_ERR_MAX])
{
	struct weft_kv_opts o = {
		.path = cfg->kv_path,
		.cfs = column_families,
		.ncfs = sizeof(column_families) / sizeof(column_families[0]),
		.flags = cfg->kv_create ? WEFT_KV_CREATE : 0,
	};
	char msg[WEFT_KV_ERR_MAX] = "";
	int res;

	res = weft_kv_open(&o, &s->kv, msg);
	if (res == -EEXIST && cfg->kv_create) {
		o.flags = 0;
		res = weft_kv_open(&o, &s->kv, msg);
	}
	if (!res)
		return check_identity(s, cfg, err);
	snprintf(err, OSS_ERR_MAX, "%s", msg);
	return res == -ENOENT ? -ENODATA : res;
}

static int open_data(struct oss_store *s, const struct oss_store_cfg *cfg, char err[OSS_ERR_MAX])
{
	uint64_t nblocks = cfg->data_size >> OSS_BLOCK_SHIFT, size, reserve;
	int res;

	res = weft_disk_open(s->env, cfg->data_path, WEFT_DISK_DIRECT, &s->disk);
	if (!res)
		res = weft_disk_size(s->disk, &size);
	if (res) {
		snprintf(err, OSS_ERR_MAX, "%s: %s", cfg->data_path, strerror(-res));
		return res;
	}
	if (cfg->data_offset % OSS_BLOCK || nblocks < 2 || size < cfg->data_offset ||
	    size - cfg->data_offset < cfg->data_size) {
		snprintf(err, OSS_ERR_MAX, "%s: has %llu bytes, must have %llu behind offset %llu",
			 cfg->data_path, (unsigned long long)size,
			 (unsigned long long)cfg->data_size,
			 (unsigned long long)cfg->data_offset);
		return -EFBIG;
	}
	s->data_offset = cfg->data_offset;
	reserve = nblocks / 64;
	return oss_alloc_init(&s->alloc, nblocks, reserve < RESERVE_MAX ? reserve : RESERVE_MAX);
}

static int mark_record(struct oss_store *s, const struct oss_rec *r)
{
	uint32_t b, n;
	int err;

	for (b = 0; b < OSS_SEG_BLOCKS; b += n) {
		n = 1;
		if (!r->blk[b])
			continue;
		while (b + n < OSS_SEG_BLOCKS && r->blk[b + n] == r->blk[b] + n)
			n++;
		err = oss_alloc_mark(&s->alloc, oss_rec_block(r, b), n);
		if (err)
			return err;
	}
	return 0;
}

/* A record without blocks was of use to the journal only: it goes to @batch. */
static int scan_one(struct oss_store *s, struct weft_kv_iter *it, struct oss_rec *rec,
		    struct weft_kv_batch *batch, const char *path, char err[OSS_ERR_MAX])
{
	struct oss_key key = { 0 };
	size_t klen, vlen;
	const void *k = weft_kv_iter_key(it, &klen);
	const void *v = weft_kv_iter_val(it, &vlen);
	const char *what = "it is damaged";
	int res;

	res = oss_key_decode(k, klen, &key);
	if (res) {
		snprintf(err, OSS_ERR_MAX, "%s: a key of %zu bytes", path, klen);
		return res;
	}
	res = oss_rec_decode(v, vlen, s->alloc.nblocks, rec);
	if (!res && !rec->mapped)
		weft_kv_delete(batch, OSS_CF_CHUNKS, k, klen);
	if (!res) {
		if (rec->version > s->version)
			s->version = rec->version;
		res = mark_record(s, rec);
		what = "it claims blocks of another record";
	}
	if (!res && rec->nsmall) {
		res = -EUCLEAN;
		what = "bytes of small writes are missing";
	}
	if (!res)
		return 0;
	res = oss_damage_add(s, &key, what);
	if (res == -EUCLEAN)
		snprintf(err, OSS_ERR_MAX,
			 "%s: too many damaged records; that of inode %llx chunk %llu segment %u: %s",
			 path, (unsigned long long)key.ino, (unsigned long long)key.chunk, key.seg,
			 what);
	return res;
}

static int scan(struct oss_store *s, const char *path, char err[OSS_ERR_MAX])
{
	uint64_t n = 0, start = weft_env_now(s->env);
	struct weft_kv_batch *batch;
	struct weft_kv_iter *it;
	struct oss_rec *rec;
	int res;

	rec = oss_rec_alloc(NULL);
	if (!rec)
		return -ENOMEM;
	res = weft_kv_batch_create(s->kv, &batch);
	if (res)
		goto out_rec;
	res = weft_kv_iter_create(s->kv, NULL, OSS_CF_CHUNKS, NULL, 0, NULL, 0, &it);
	if (res)
		goto out_batch;
	for (weft_kv_iter_first(it); !res && weft_kv_iter_valid(it); weft_kv_iter_next(it), n++)
		res = scan_one(s, it, rec, batch, path, err);
	if (!res) {
		res = weft_kv_iter_error(it);
		if (res)
			snprintf(err, OSS_ERR_MAX, "%s: cannot be read: %s", path, strerror(-res));
	}
	weft_kv_iter_free(it);
	if (!res && weft_kv_batch_count(batch))
		res = weft_kv_commit(batch, true);
	if (!res)
		weft_info("records scanned",
			  "records=%llu damaged=%zu free_blocks=%llu blocks=%llu ms=%llu",
			  (unsigned long long)n, s->ndamaged, (unsigned long long)s->alloc.free,
			  (unsigned long long)s->alloc.nblocks,
			  (unsigned long long)((weft_env_now(s->env) - start) / WEFT_NS_PER_MS));
out_batch:
	weft_kv_batch_free(batch);
out_rec:
	free(rec);
	return res;
}

/* What is read from the disk and written to it lies in slabs; if it works without, it works. */
static void slab_mapped(void *disk, void *mem, size_t len, bool gone)
{
	weft_disk_memory(disk, mem, len, gone);
}

int oss_store_open(const struct oss_store_cfg *cfg, struct oss_store **out, char err[OSS_ERR_MAX])
{
	struct oss_store *s = calloc(1, sizeof(*s));
	int res;

	snprintf(err, OSS_ERR_MAX, "%s: out of memory", cfg->kv_path);
	if (!s)
		return -ENOMEM;
	s->env = cfg->env;
	s->pool = cfg->pool;
	oss_list_init(&s->space_waiters);
	oss_small_init(s, cfg->no_small, cfg->settle_ns);
	res = open_data(s, cfg, err);
	if (res)
		goto out_data;
	res = open_kv(s, cfg, err);
	if (res)
		goto out_kv;
	res = oss_journal_replay(s, cfg->data_path, err);
	if (res)
		goto out_kv;
	res = scan(s, cfg->kv_path, err);
	if (res)
		goto out_kv;
	res = oss_segs_init(s, cfg->cache_segs ? cfg->cache_segs : DEFAULT_CACHE);
	if (res)
		goto out_kv;
	res = oss_commits_init(s);
	if (res)
		goto out_segs;
	weft_pool_watch(s->pool, slab_mapped, s->disk);
	*out = s;
	return 0;

out_segs:
	oss_segs_fini(s);
out_kv:
	oss_damage_fini(s);
	oss_small_fini(s);
	oss_journal_fini(s);
	weft_kv_close(s->kv);
	oss_alloc_fini(&s->alloc);
out_data:
	if (s->disk)
		weft_disk_close(s->disk);
	free(s);
	return res;
}

bool oss_store_idle(const struct oss_store *s)
{
	return !s->nops && oss_commits_idle(s);
}

void oss_store_close(struct oss_store *s)
{
	if (!s)
		return;
	weft_pool_watch(s->pool, NULL, NULL);
	oss_commits_fini(s);
	oss_damage_fini(s);
	oss_small_fini(s);
	oss_journal_fini(s);
	oss_segs_fini(s);
	weft_kv_close(s->kv);
	oss_alloc_fini(&s->alloc);
	weft_disk_close(s->disk);
	free(s);
}

void oss_store_submit(struct oss_store *s, struct oss_op *op)
{
	switch (op->kind) {
	case OSS_READ:
		oss_read_submit(s, op);
		break;
	case OSS_TRUNCATE:
		oss_truncate_submit(s, op);
		break;
	case OSS_SEEK_DATA:
	case OSS_SEEK_HOLE:
		oss_seek_submit(s, op);
		break;
	default:
		oss_change_submit(s, op);
	}
}

void oss_store_space(const struct oss_store *s, uint64_t *total, uint64_t *free)
{
	uint64_t n = s->alloc.free;

	*total = (s->alloc.nblocks - 1 - s->alloc.reserve) << OSS_BLOCK_SHIFT;
	*free = n > s->alloc.reserve ? (n - s->alloc.reserve) << OSS_BLOCK_SHIFT : 0;
}

const struct oss_store_stats *oss_store_stats(const struct oss_store *s)
{
	return &s->stats;
}

void oss_store_kv_stats(const struct oss_store *s, struct weft_kv_stats *kv)
{
	weft_kv_stats(s->kv, kv);
}
