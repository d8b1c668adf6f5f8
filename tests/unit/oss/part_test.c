// SPDX-License-Identifier: Apache-2.0
/*
 * Torture: a script of changes and reads runs again and again, and in run N the Nth disk request or
 * the Nth allocation of memory fails. Whatever fails, the operation says so, leaves its
 * segment as it was (but for a cut, which goes in steps), no space is lost, and everything works
 * afterwards.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "oss/internal.h"
#include "tests/unit/oss/harness.h"

#define SIZE OSS_SEG

static uint8_t model[3][SIZE];
static uint8_t buf[SIZE], got[SIZE];

/* --- failing allocations: see part_test.ldflags */

static unsigned int countdown, alloc_failures;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool fails(void)
{
	if (!countdown || --countdown)
		return false;
	alloc_failures++;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

/* --- the script */

static struct oss_bed bed;
static unsigned int errors;

/* Failed commits are repaired by a timer; what was asked meanwhile is refused. */
static void settle(void)
{
	while (bed.store->commits.failed)
		bed_turn(&bed);
}

static void one_write(uint32_t ino, uint32_t off, uint32_t len, uint32_t seed)
{
	int err;

	fill(buf, len, seed);
	err = bed_write(&bed, ino, 0, off, buf, len);
	if (!err)
		memcpy(&model[ino][off], buf, len);
	errors += err != 0;
	settle();
}

static void one_change(enum oss_op_kind kind, uint32_t ino, uint32_t off, uint32_t len)
{
	int err = bed_do(&bed, kind, ino, 0, off, len, NULL);

	/* A cut goes in steps: when it fails it may be done in part, and is asked for again. */
	while (err && kind == OSS_TRUNCATE) {
		errors++;
		settle();
		err = bed_do(&bed, kind, ino, 0, off, len, NULL);
	}
	if (!err && kind == OSS_TRUNCATE)
		len = SIZE - off;
	if (!err && kind != OSS_ALLOC)
		memset(&model[ino][off], 0, len);
	errors += err != 0;
	settle();
}

static void one_read(uint32_t ino)
{
	int err = bed_read(&bed, ino, 0, 0, got, SIZE, NULL);

	errors += err != 0;
	if (!err)
		CU_ASSERT_EQUAL_FATAL(memcmp(got, model[ino], SIZE), 0);
}

static void script(void)
{
	one_write(1, 100, 50000, 1);
	one_write(1, 40000, 30001, 2);
	one_change(OSS_ALLOC, 2, 0, 300000);
	one_write(2, 4000, 10000, 3);
	one_read(1);
	one_change(OSS_PUNCH, 1, 5000, 20000);
	one_write(1, 6000, 10, 4);
	one_read(2);
	one_change(OSS_TRUNCATE, 1, 12345, 0);
	one_change(OSS_PUNCH, 2, 0, 300000);
	one_write(2, 8192, 8192, 5);
	one_read(1);
	one_read(2);
}

static void verify(uint64_t empty)
{
	uint32_t ino;

	for (ino = 1; ino < 3; ino++) {
		CU_ASSERT_EQUAL_FATAL(bed_read(&bed, ino, 0, 0, got, SIZE, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(memcmp(got, model[ino], SIZE), 0);
	}
	bed_reopen(&bed);
	for (ino = 1; ino < 3; ino++) {
		CU_ASSERT_EQUAL_FATAL(bed_read(&bed, ino, 0, 0, got, SIZE, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(memcmp(got, model[ino], SIZE), 0);
		CU_ASSERT_EQUAL_FATAL(bed_do(&bed, OSS_TRUNCATE, ino, 0, 0, 0, NULL), 0);
	}
	CU_ASSERT_EQUAL_FATAL(bed_free(&bed), empty);
	memset(model, 0, sizeof(model));
}

static void torture_disk(enum weft_io_op op, bool no_small)
{
	unsigned int n, failed = 1, runs = 0;
	uint64_t empty;

	bed_init(&bed, 16 << 20);
	bed.no_small = no_small;
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	empty = bed_free(&bed);
	for (n = 1; failed; n++, runs++) {
		errors = 0;
		bed_fail_disk(op, n, -EIO);
		script();
		failed = bed_fail_disk(op, 0, 0);
		/* With small writes it may be the store's own request that failed. */
		CU_ASSERT(!no_small || errors >= failed);
		verify(empty);
	}
	CU_ASSERT(runs > 3);
	bed_fini(&bed);
}

static void test_reads(void)
{
	torture_disk(WEFT_IO_READ, true);
	torture_disk(WEFT_IO_READ, false);
}

static void test_writes(void)
{
	torture_disk(WEFT_IO_WRITE, true);
	torture_disk(WEFT_IO_WRITE, false);
}

static void test_syncs(void)
{
	torture_disk(WEFT_IO_FDATASYNC, true);
	torture_disk(WEFT_IO_FDATASYNC, false);
}

static void test_space(void)
{
	unsigned int n;
	uint64_t empty, hits = 1;
	char spec[64];

	bed_init(&bed, 16 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	empty = bed_free(&bed);
	for (n = 0; hits; n++) {
		errors = 0;
		snprintf(spec, sizeof(spec), "oss.alloc=error(ENOSPC)+%u:1", n);
		CU_ASSERT_EQUAL(weft_fault_set(spec), 0);
		script();
		hits = weft_fault_hits("oss.alloc");
		CU_ASSERT_EQUAL(errors, hits);
		CU_ASSERT_EQUAL(weft_fault_set(""), 0);
		verify(empty);
	}
	CU_ASSERT(n > 5);
	bed_fini(&bed);
}

static void test_memory(void)
{
	unsigned int n, runs = 0;
	uint64_t empty;

	bed_init(&bed, 16 << 20);
	CU_ASSERT_EQUAL_FATAL(bed_open(&bed), 0);
	empty = bed_free(&bed);
	do {
		errors = 0;
		alloc_failures = 0;
		n = ++runs;
		bed_fail_memory(&countdown, n);
		script();
		bed_fail_memory(&countdown, 0);
		verify(empty);
	} while (alloc_failures && runs < 2000);
	CU_ASSERT(runs > 40 && runs < 2000);
	bed_fini(&bed);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("oss/part", NULL, NULL);
	CU_add_test(s, "reads fail", test_reads);
	CU_add_test(s, "writes fail", test_writes);
	CU_add_test(s, "syncs fail", test_syncs);
	CU_add_test(s, "space fails", test_space);
	CU_add_test(s, "memory fails", test_memory);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
