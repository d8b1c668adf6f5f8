// SPDX-License-Identifier: Apache-2.0
/*
 * Small writes: one sync each, there after a restart, moved to the data file in time, and right
 * when they meet changes of every other kind.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/fault.h"
#include "oss/internal.h"
#include "tests/unit/oss/harness.h"

#define SLOW_NS (3600 * WEFT_NS_PER_S)

static uint8_t buf[OSS_SEG], got[OSS_SEG];

/* Small blocks in the RocksDB. */
static unsigned int stored(struct oss_bed *bed)
{
	struct weft_kv_iter *it;
	unsigned int n = 0;

	CU_ASSERT_EQUAL_FATAL(weft_kv_iter_create(bed->store->kv, NULL, OSS_CF_SMALL, NULL, 0,
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
	CU_ASSERT_EQUAL(stored(&bed), 4);
	CU_ASSERT_EQUAL(in_data_file(&bed, buf), false);
	same(&bed, 1, 16384);
	bed_reopen(&bed);
	CU_ASSERT_EQUAL(stored(&bed), 4);
	same(&bed, 1, 16384);
	/* A part of a small block; the rest of it comes from memory. */
	memset(buf + 5000, 7, 10);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 5000, buf + 5000, 10), 0);
	CU_ASSERT_EQUAL(stored(&bed), 4);
	bed_close(&bed);
	bed.settle_ns = WEFT_NS_PER_MS;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	bed_settle(&bed);
	CU_ASSERT_EQUAL(oss_store_stats(bed.store)->data_syncs, 1);
	CU_ASSERT_EQUAL(stored(&bed), 0);
	CU_ASSERT_EQUAL(in_data_file(&bed, buf + 4096), true);
	same(&bed, 1, 16384);
	bed_reopen(&bed);
	same(&bed, 1, 16384);
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
	CU_ASSERT_EQUAL(stored(&bed), 0);
	same(&bed, 1, 300000);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_PUNCH, 1, 0, 1000, 50000, NULL), 0);
	memset(buf + 1000, 0, 50000);
	CU_ASSERT_EQUAL(stored(&bed), 2);
	same(&bed, 1, 300000);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_ALLOC, 1, 0, 0, 50000, NULL), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 8192, buf + 60000, 4096), 0);
	memcpy(buf + 8192, buf + 60000, 4096);
	CU_ASSERT_EQUAL(stored(&bed), 3);
	same(&bed, 1, 300000);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 1, 0, 8200, 0, NULL), 0);
	memset(buf + 8200, 0, sizeof(buf) - 8200);
	bed_reopen(&bed);
	same(&bed, 1, 300000);
	CU_ASSERT_EQUAL(bed_do(&bed, OSS_TRUNCATE, 1, 0, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(stored(&bed), 0);
	CU_ASSERT_EQUAL(bed_free(&bed), empty);
	bed_fini(&bed);
}

/* A commit that failed after it was durable: the old small bytes are stored again. */
static void test_commit_fails(void)
{
	struct oss_bed bed;
	int err;

	bed_init(&bed, 4 << 20);
	bed.settle_ns = SLOW_NS;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	fill(buf, sizeof(buf), 3);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, 4096), 0);
	CU_ASSERT_EQUAL(weft_fault_set("oss.commit.after_kv=error(EIO):1"), 0);
	CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 100, "other bytes", 11), -EIO);
	same(&bed, 1, 4096);
	while ((err = bed_write(&bed, 2, 0, 0, "x", 1)) == -EIO)
		bed_turn(&bed);
	CU_ASSERT_EQUAL(err, 0);
	bed_reopen(&bed);
	same(&bed, 1, 4096);
	bed_fini(&bed);
}

/* A stored block that is damaged or gone is an error, not zeros. */
static void test_damage(void)
{
	struct oss_key k = { 1, 0, 0 };
	uint8_t key[OSS_SMALL_KEY_LEN];
	struct weft_kv_batch *b;
	struct oss_bed bed;
	int gone;

	for (gone = 0; gone < 2; gone++) {
		bed_init(&bed, 4 << 20);
		bed.settle_ns = SLOW_NS;
		CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
		fill(buf, sizeof(buf), 3);
		CU_ASSERT_EQUAL(bed_write(&bed, 1, 0, 0, buf, 8192), 0);
		oss_key_encode(&k, key);
		key[OSS_KEY_LEN] = 1;
		CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(bed.store->kv, &b), 0);
		if (gone)
			weft_kv_delete(b, OSS_CF_SMALL, key, sizeof(key));
		else
			weft_kv_put(b, OSS_CF_SMALL, key, sizeof(key), buf, OSS_BLOCK);
		CU_ASSERT_EQUAL_FATAL(weft_kv_commit(b, true), 0);
		weft_kv_batch_free(b);
		bed_close(&bed);
		CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
		CU_ASSERT_EQUAL(bed_read(&bed, 1, 0, 0, got, 8192, NULL), -EIO);
		bed_fini(&bed);
	}
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("oss/small", NULL, NULL);
	CU_add_test(s, "life of a small block", test_life);
	CU_add_test(s, "a full segment", test_full);
	CU_add_test(s, "with other changes", test_mixed);
	CU_add_test(s, "a commit fails", test_commit_fails);
	CU_add_test(s, "damage", test_damage);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
