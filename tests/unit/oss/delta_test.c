// SPDX-License-Identifier: Apache-2.0
/*
 * Deltas come back as they were encoded, one after the other; nothing else is believed.
 */
#include "oss/delta.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <string.h>

#define NBLOCKS 1000

static uint8_t bytes[OSS_DELTA_BLOCKS][OSS_BLOCK];
static uint8_t buf[2 * (sizeof(struct oss_delta_disk) +
			OSS_DELTA_BLOCKS * (sizeof(struct oss_delta_block_disk) + OSS_BLOCK))];

static void make(struct oss_delta *d, uint32_t n)
{
	uint32_t i;

	*d = (struct oss_delta){ .key = { 1ull << 40, 7, 3 }, .len = 99999, .version = 1ull << 50,
				 .base = 12, .n = n };
	for (i = 0; i < n; i++) {
		memset(bytes[i], 'a' + i, OSS_BLOCK);
		d->blk[i].block = NBLOCKS - 1 - i;
		d->blk[i].index = 250 + i;
		d->blk[i].crc = 0xdeadbeef + i;
		d->blk[i].bytes = bytes[i];
	}
}

static void test_round_trip(void)
{
	struct oss_delta in, out;
	struct weft_cursor c;
	uint32_t i, n;
	size_t len;

	for (n = 1; n <= OSS_DELTA_BLOCKS; n++) {
		make(&in, n);
		len = oss_delta_encode(&in, buf);
		CU_ASSERT_EQUAL_FATAL(len, oss_delta_size(n));
		len += oss_delta_encode(&in, buf + len);
		weft_cur_init(&c, buf, len);
		CU_ASSERT_EQUAL_FATAL(oss_delta_decode(&c, NBLOCKS, &out), 0);
		CU_ASSERT_EQUAL_FATAL(oss_delta_decode(&c, NBLOCKS, &out), 0);
		CU_ASSERT(weft_cur_done(&c));
		CU_ASSERT(oss_key_same(&in.key, &out.key));
		CU_ASSERT(out.len == in.len && out.version == in.version && out.base == in.base);
		CU_ASSERT_EQUAL_FATAL(out.n, n);
		for (i = 0; i < n; i++) {
			CU_ASSERT(out.blk[i].block == in.blk[i].block);
			CU_ASSERT(out.blk[i].index == in.blk[i].index);
			CU_ASSERT(out.blk[i].crc == in.blk[i].crc);
			CU_ASSERT_EQUAL(memcmp(out.blk[i].bytes, bytes[i], OSS_BLOCK), 0);
		}
	}
}

static int decode(size_t len)
{
	struct oss_delta d;
	struct weft_cursor c;

	weft_cur_init(&c, buf, len);
	return oss_delta_decode(&c, NBLOCKS, &d);
}

static void test_nonsense(void)
{
	struct oss_delta d;
	size_t len, i;

	make(&d, 2);
	len = oss_delta_encode(&d, buf);
	for (i = 0; i < len; i += i < 100 ? 1 : 997)
		CU_ASSERT_EQUAL(decode(i), -EUCLEAN);
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		make(&d, 2);                                                                       \
		change;                                                                            \
		CU_ASSERT_EQUAL(decode(oss_delta_encode(&d, buf)), -EUCLEAN);                      \
	} while (0)
	REFUSED(d.len = OSS_SEG + 1);
	REFUSED(d.base = d.version);
	REFUSED(d.n = 0);
	REFUSED(d.blk[0].block = 0);
	REFUSED(d.blk[1].block = NBLOCKS);
	REFUSED(d.blk[1].index = OSS_SEG_BLOCKS);
	REFUSED(d.blk[1].index = d.blk[0].index);
	make(&d, 2);
	len = oss_delta_encode(&d, buf);
	buf[offsetof(struct oss_delta_disk, nblocks)] = OSS_DELTA_BLOCKS + 1;
	CU_ASSERT_EQUAL(decode(sizeof(buf)), -EUCLEAN);
	len = oss_delta_encode(&d, buf);
	buf[offsetof(struct oss_delta_disk, reserved)] = 1;
	CU_ASSERT_EQUAL(decode(len), -EUCLEAN);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("oss/delta", NULL, NULL);
	CU_add_test(s, "round trip", test_round_trip);
	CU_add_test(s, "nonsense", test_nonsense);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
