// SPDX-License-Identifier: Apache-2.0
/*
 * Small writes: one sync each, there after a restart, moved to the data file in time, and right
 * when they meet changes of every other kind.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fault.h"
#include "oss/internal.h"
#include "tests/unit/oss/harness.h"

#define SLOW_NS (3600 * WEFT_NS_PER_S)

static uint8_t buf[OSS_SEG], got[OSS_SEG];

/* Small blocks, and records in the RocksDB. */
static unsigned int small_blocks(struct oss_bed *bed)
{
	const struct oss_seg *seg;
	unsigned int n = 0;

	for (seg = bed->store->smalls.head; seg; seg = seg->small_next)
		n += seg->stable->nsmall;
	return n;
}

static unsigned int records(struct oss_bed *bed)
{
	struct weft_kv_iter *it;
	unsigned int n = 0;

	CU_ASSERT_EQUAL_FATAL(weft_kv_iter_create(bed->store->kv, NULL, OSS_CF_CHUNKS, NULL, 0,
						  NULL, 0, &it), 0);
	for (weft_kv_iter_first(it); weft_kv_iter_valid(it); weft_kv_iter_next(it))
		n++;
	weft_kv_iter_free(it);
	return n;
}

static void same(struct oss_bed *bed, uint64_t ino, uint32_t len)
{
	CU_ASSERT_EQUAL(bed_read(bed, ino, 0, 0, got, len, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, buf, len), 0);
}

static bool in_data_file(struct oss_bed *bed, const void *bytes)
{
	static uint8_t file[4 << 20];
	int fd = open(bed->data, O_RDONLY);
	ssize_t n = read(fd, file, sizeof(file));

	close(fd);
	return n > 0 && memmem(file, n, bytes, OSS_BLOCK);
}

static void test_life(void)
{
	const struct oss_store_stats *st;
	struct oss_bed bed;

	bed_init(&bed, 4 << 20);
	bed.settle_ns = SLOW_NS;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	st = oss_store_stats(bed.store);
	fill(buf, sizeof(buf), 1);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, 16384), 0);
	CU_ASSERT_EQUAL(st->data_syncs, 0);
	CU_ASSERT_EQUAL(st->journal_syncs, 1);
	CU_ASSERT_EQUAL(small_blocks(&bed), 4);
	CU_ASSERT_EQUAL(records(&bed), 0);
	CU_ASSERT_EQUAL(in_data_file(&bed, buf), false);
	same(&bed, 1, 16384);
	/* A part of a small block; the rest of it comes from memory. */
	memset(buf + 5000, 7, 10);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 5000, buf + 5000, 10), 0);
	CU_ASSERT_EQUAL(small_blocks(&bed), 4);
	CU_ASSERT_EQUAL(st->journal_syncs, 2);
	/* A start has it all at its place. */
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(small_blocks(&bed), 0);
	CU_ASSERT_EQUAL(records(&bed), 1);
	CU_ASSERT_EQUAL(in_data_file(&bed, buf), true);
	CU_ASSERT_EQUAL(in_data_file(&bed, buf + 4096), true);
	same(&bed, 1, 16384);
	bed_fini(&bed);
}

/* Without a restart the bytes go to their place after a time. */
static void test_settle(void)
{
	struct oss_bed bed;

	bed_init(&bed, 4 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	fill(buf, sizeof(buf), 6);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, 9000), 0);
	bed_settle(&bed);
	CU_ASSERT_EQUAL(oss_store_stats(bed.store)->data_syncs, 1);
	CU_ASSERT_EQUAL(small_blocks(&bed), 0);
	CU_ASSERT_EQUAL(records(&bed), 1);
	CU_ASSERT_EQUAL(in_data_file(&bed, buf), true);
	same(&bed, 1, 9000);
	bed_reopen(&bed);
	same(&bed, 1, 9000);
	bed_fini(&bed);
}

/* Who looks for data in the stored records finds what only the journal has. */
static void test_seek(void)
{
	struct oss_bed bed;
	struct oss_op r;

	bed_init(&bed, 4 << 20);
	bed.settle_ns = SLOW_NS;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 3, 70000, "x", 1), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 2, 0, 0, "x", 1), 0);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_SEEK_DATA, 1, 0, 0, 0, &r), 0);
	CU_ASSERT(r.r_found && r.r_chunk == 3 && r.r_off == 69632);
	CU_ASSERT_EQUAL(small_blocks(&bed), 0);
	bed_fini(&bed);
}

/*
 * Several turns of both logs: a drained one begins again, and each block is what was written last.
 * Each start begins with empty logs.
 */
static void test_turns(void)
{
	static uint8_t model[8][OSS_SEG];
	const struct oss_store_stats *st;
	struct oss_bed bed;
	uint32_t i, ino, off, turns = 0;

	bed_init(&bed, 64 << 20);
	bed.settle_ns = SLOW_NS;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	memset(model, 0, sizeof(model));
	for (i = 0; i < 3000; i++) {
		st = oss_store_stats(bed.store);
		ino = i * 5 % 8;
		off = i * 7919u % (OSS_SEG - 9000);
		fill(&model[ino][off], 1 + i * 31 % 9000, i);
		CU_ASSERT_EQUAL_FATAL(bed_write(&bed, ino + 1, 0, off, &model[ino][off],
						1 + i * 31 % 9000), 0);
		if (i % 700 == 699) {
			CU_ASSERT(st->journal_syncs > 500);
			turns += bed.store->journal.turn[0] + bed.store->journal.turn[1];
			bed_reopen(&bed);
		}
	}
	CU_ASSERT(turns > 8);
	for (ino = 0; ino < 8; ino++) {
		CU_ASSERT_EQUAL(bed_read(&bed, ino + 1, 0, 0, got, OSS_SEG, NULL), 0);
		CU_ASSERT_EQUAL(memcmp(got, model[ino], OSS_SEG), 0);
	}
	bed_fini(&bed);
}

/* What was deleted does not come back from the journal, whatever else was settled meanwhile. */
static void test_deleted(void)
{
	struct oss_bed bed;
	uint64_t empty;
	uint32_t i;

	bed_init(&bed, 16 << 20);
	bed.settle_ns = SLOW_NS;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	empty = bed_free(&bed);
	for (i = 1; i <= 3; i++)
		CU_ASSERT_EQUAL(bed_write(&bed, i, 0, 0, "old", 3), 0);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 1, 0, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 2, 0, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 2, 0, 1, "new", 3), 0);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_PUNCH, 3, 0, 0, OSS_SEG, NULL), 0);
	CU_ASSERT_EQUAL(records(&bed), 3); /* empty ones, as long as the journal is not */
	bed.settle_ns = WEFT_NS_PER_MS;
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(records(&bed), 1);
	CU_ASSERT_EQUAL(bed_free(&bed), empty - OSS_BLOCK);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 0, got, 4, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, "\0\0\0", 4), 0);
	CU_ASSERT_EQUAL(bed_read(&bed, 2, 0, 0, got, 4, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(got, "\0new", 4), 0);
	/* The empty record goes when both logs have had another turn. */
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, "old", 3), 0);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 1, 0, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(records(&bed), 2);
	for (i = 0; bed.store->journal.turn[0] + bed.store->journal.turn[1] < 5; i++) {
		CU_ASSERT_EQUAL_FATAL(bed_write(&bed, 9, 0, i % 20 * OSS_BLOCK, buf, OSS_BLOCK), 0);
		if (i % 20 == 19)
			bed_settle(&bed);
	}
	CU_ASSERT_EQUAL(bed_write(&bed, 9, 0, 0, buf, OSS_BLOCK), 0);
	CU_ASSERT_EQUAL(records(&bed), 2); /* of inodes 2 and 9 */
	bed_fini(&bed);
}

/* A segment that is full of small blocks is settled at once, so the next ones are small again. */
static void test_full(void)
{
	const struct oss_store_stats *st;
	struct oss_bed bed;
	unsigned int i;

	bed_init(&bed, 4 << 20);
	bed.settle_ns = SLOW_NS;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	st = oss_store_stats(bed.store);
	fill(buf, sizeof(buf), 5);
	for (i = 0; i < OSS_SEG_BLOCKS; i++)
		CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, i * OSS_BLOCK, buf + i * OSS_BLOCK,
					  OSS_BLOCK), 0);
	/* One sync of the data file for 32 of them, and what comes while that goes on. */
	CU_ASSERT(st->data_syncs >= 1);
	CU_ASSERT(st->data_syncs <= OSS_SEG_BLOCKS / 8);
	same(&bed, 1, OSS_SEG);
	bed_reopen(&bed);
	same(&bed, 1, OSS_SEG);
	bed_fini(&bed);
}

/* Large writes, holes and cuts over small blocks; no stored block is left behind. */
static void test_mixed(void)
{
	struct oss_bed bed;
	uint64_t empty;

	bed_init(&bed, 4 << 20);
	bed.settle_ns = SLOW_NS;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	empty = bed_free(&bed);
	fill(buf, sizeof(buf), 2);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf + 9, 12000), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, 300000), 0);
	CU_ASSERT_EQUAL(small_blocks(&bed), 0);
	same(&bed, 1, 300000);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_PUNCH, 1, 0, 1000, 50000, NULL), 0);
	memset(buf + 1000, 0, 50000);
	same(&bed, 1, 300000);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_ALLOC, 1, 0, 0, 50000, NULL), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 8192, buf + 60000, 4096), 0);
	memcpy(buf + 8192, buf + 60000, 4096);
	CU_ASSERT_EQUAL(small_blocks(&bed), 1);
	same(&bed, 1, 300000);
	bed_reopen(&bed);
	same(&bed, 1, 300000);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 8192, buf + 8192, 4096), 0);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 1, 0, 8200, 0, NULL), 0);
	memset(buf + 8200, 0, sizeof(buf) - 8200);
	bed_reopen(&bed);
	same(&bed, 1, 300000);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 1, 0, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(bed_free(&bed), empty);
	bed_fini(&bed);
}

/* A commit that failed after it was durable is taken back, at once or later. */
static void fails_with(const char *fault)
{
	struct oss_bed bed;
	int err;

	bed_init(&bed, 4 << 20);
	bed.settle_ns = SLOW_NS;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	fill(buf, sizeof(buf), 3);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, 4096), 0);
	CU_ASSERT_EQUAL(weft_fault_set(fault), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 100, "other bytes", 11), -EIO);
	same(&bed, 1, 4096);
	while ((err = bed_write(&bed, 2, 0, 0, "x", 1)) == -EIO)
		bed_turn(&bed);
	CU_ASSERT_EQUAL(err, 0);
	same(&bed, 1, 4096);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 50, buf + 9, 300), 0);
	memmove(buf + 50, buf + 9, 300);
	bed_reopen(&bed);
	same(&bed, 1, 4096);
	bed_fini(&bed);
}

static void test_commit_fails(void)
{
	fails_with("oss.commit.after_kv=error(EIO):1");
	fails_with("oss.journal.written=error(EIO):1");
	fails_with("oss.journal.written=error(EIO):1,oss.journal.cancel=error(EIO):3");
}

/* A log's turn that fails to begin is tried again. */
static void test_begin_fails(void)
{
	struct oss_bed bed;
	uint32_t i, failed = 0;
	int err;

	bed_init(&bed, 16 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	fill(buf, sizeof(buf), 4);
	CU_ASSERT_EQUAL(weft_fault_set("oss.journal.begun=error(EIO):2"), 0);
	for (i = 0; i < 1000; i++) {
		uint32_t off = i % OSS_SEG_BLOCKS * OSS_BLOCK;

		while ((err = bed_write(&bed, 1, 0, off, buf + off, OSS_BLOCK)) == -EIO) {
			failed++;
			bed_turn(&bed);
		}
		CU_ASSERT_EQUAL_FATAL(err, 0);
	}
	CU_ASSERT(failed >= 2);
	same(&bed, 1, OSS_SEG);
	bed_reopen(&bed);
	same(&bed, 1, OSS_SEG);
	bed_fini(&bed);
}

/* A journal that is damaged or gone is refused, with its name; an empty file accepts the loss. */
static void test_damage(void)
{
	static const char zeros[4096];
	struct oss_bed bed;
	char path[128];
	int fd, kind;

	for (kind = 0; kind < 4; kind++) {
		bed_init(&bed, 4 << 20);
		bed.settle_ns = SLOW_NS;
		CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
		fill(buf, sizeof(buf), 3);
		CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, 8192), 0);
		CU_ASSERT_EQUAL(bed_write(&bed, 2, 0, 0, buf, 8192), 0);
		snprintf(path, sizeof(path), "%s/small-0", bed.kv);
		bed_close(&bed);
		fd = open(path, O_WRONLY);
		if (kind == 0) /* in a record */
			CU_ASSERT_EQUAL(pwrite(fd, zeros, 1, 4096 + 200), 1);
		if (kind == 1) /* a whole block */
			CU_ASSERT_EQUAL(pwrite(fd, zeros, 4096, 4096), 4096);
		if (kind == 2)
			CU_ASSERT_EQUAL(unlink(path), 0);
		if (kind == 3)
			CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
		close(fd);
		CU_ASSERT_EQUAL(bed_open(&bed), kind == 3 ? 0 : -EUCLEAN);
		if (kind == 3) {
			CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, 8192), 0);
			bed_reopen(&bed);
			same(&bed, 1, 8192);
		} else {
			CU_ASSERT_PTR_NOT_NULL(strstr(bed.last_err, "small-"));
		}
		bed_fini(&bed);
	}
}

/* A record that says small of a block of which the journal has no bytes. */
static void test_bytes_missing(void)
{
	static struct oss_rec rec;
	struct oss_key k = { 1, 0, 0 };
	uint8_t key[OSS_KEY_LEN], val[OSS_REC_MAX];
	struct weft_kv_batch *b;
	struct oss_bed bed;

	bed_init(&bed, 4 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	rec.blk[3] = 7 | OSS_SMALL;
	rec.mapped = 1;
	rec.len = 4 * OSS_BLOCK;
	oss_key_encode(&k, key);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(bed.store->kv, &b), 0);
	weft_kv_put(b, OSS_CF_CHUNKS, key, sizeof(key), val, oss_rec_encode(&rec, val));
	CU_ASSERT_EQUAL_FATAL(weft_kv_commit(b, true), 0);
	weft_kv_batch_free(b);
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 0, got, 16384, NULL), -EIO);
	CU_ASSERT_EQUAL(bed_write(&bed, 2, 0, 0, "x", 1), 0);
	bed_fini(&bed);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("oss/small", NULL, NULL);
	CU_add_test(s, "life of a small block", test_life);
	CU_add_test(s, "moved after a time", test_settle);
	CU_add_test(s, "seen by seek", test_seek);
	CU_add_test(s, "logs take turns", test_turns);
	CU_add_test(s, "deleted", test_deleted);
	CU_add_test(s, "a full segment", test_full);
	CU_add_test(s, "with other changes", test_mixed);
	CU_add_test(s, "a commit fails", test_commit_fails);
	CU_add_test(s, "a turn fails to begin", test_begin_fails);
	CU_add_test(s, "damage", test_damage);
	CU_add_test(s, "bytes are missing", test_bytes_missing);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
