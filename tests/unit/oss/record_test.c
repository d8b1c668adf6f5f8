// SPDX-License-Identifier: Apache-2.0
/*
 * Records come back as they were encoded, keys sort by place, and nothing damaged is believed.
 */
#include "oss/record.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"

#define NBLOCKS 100000

static uint32_t rnd_state = 3;
static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (uint64_t)(rnd_state >> 4) * n >> 28;
}

static void make(struct oss_rec *r)
{
	uint32_t b;

	memset(r, 0, sizeof(*r));
	r->version = rnd(1 << 28);
	r->len = rnd(OSS_SEG + 1);
	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		if (b && rnd(3))
			r->blk[b] = r->blk[b - 1] ? r->blk[b - 1] + 1 : 0;
		else if (rnd(2))
			r->blk[b] = 1 + rnd(NBLOCKS - 300) +
				    (rnd(4) ? 0 : rnd(2) ? OSS_UNWRITTEN : OSS_SMALL);
		r->mapped += r->blk[b] != 0;
		if (oss_rec_written(r, b))
			r->crc[b] = rnd(1 << 28);
	}
}

static void test_round_trip(void)
{
	static struct oss_rec in, out;
	uint8_t buf[OSS_REC_MAX];
	size_t len;
	uint32_t i, b;

	for (i = 0; i < 500; i++) {
		make(&in);
		len = oss_rec_encode(&in, buf);
		CU_ASSERT_FATAL(len <= sizeof(buf));
		memset(&out, 0xff, sizeof(out));
		CU_ASSERT_EQUAL_FATAL(oss_rec_decode(buf, len, NBLOCKS, &out), 0);
		CU_ASSERT_EQUAL(out.version, in.version);
		CU_ASSERT_EQUAL(out.len, in.len);
		CU_ASSERT_EQUAL(out.mapped, in.mapped);
		CU_ASSERT_EQUAL(memcmp(out.blk, in.blk, sizeof(in.blk)), 0);
		for (b = 0; b < OSS_SEG_BLOCKS; b++)
			if (oss_rec_written(&in, b))
				CU_ASSERT_EQUAL(out.crc[b], in.crc[b]);
	}
}

static void test_damage(void)
{
	static struct oss_rec in, out;
	uint8_t buf[OSS_REC_MAX];
	size_t len, i;

	make(&in);
	len = oss_rec_encode(&in, buf);
	for (i = 0; i < len; i++) {
		buf[i] ^= 1 << rnd(8);
		CU_ASSERT_EQUAL(oss_rec_decode(buf, len, NBLOCKS, &out), -EUCLEAN);
		len = oss_rec_encode(&in, buf);
		CU_ASSERT_EQUAL(oss_rec_decode(buf, i, NBLOCKS, &out), -EUCLEAN);
	}
}

/* Records with a right checksum that make no sense. */
static void test_nonsense(void)
{
	static const struct {
		uint64_t block;
		uint16_t first, count;
		uint32_t reserved;
		int err;
	} cases[] = {
		{ 10 | OSS_UNWRITTEN, 0, 256, 0, 0 },
		{ (NBLOCKS - 256) | OSS_UNWRITTEN, 0, 256, 0, 0 },
		{ (NBLOCKS - 255) | OSS_UNWRITTEN, 0, 256, 0, -EUCLEAN },
		{ 0 | OSS_UNWRITTEN, 0, 1, 0, -EUCLEAN },
		{ 10 | OSS_UNWRITTEN | OSS_SMALL, 0, 1, 0, -EUCLEAN },
		{ NBLOCKS | OSS_UNWRITTEN, 0, 1, 0, -EUCLEAN },
		{ 10 | OSS_UNWRITTEN, 1, 256, 0, -EUCLEAN },
		{ 10 | OSS_UNWRITTEN, 65535, 1, 0, -EUCLEAN },
		{ 10 | OSS_UNWRITTEN, 0, 0, 0, -EUCLEAN },
		{ 10 | OSS_UNWRITTEN, 0, 1, 1, -EUCLEAN },
		{ 10, 0, 1, 0, -EUCLEAN }, /* written, and no checksum follows */
	};
	static struct oss_rec out;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct {
			struct oss_rec_disk h;
			struct oss_extent_disk e;
			__le32 crc;
		} d = {
			.h = { .format = OSS_REC_FORMAT, .nextents = cpu_to_le16(1) },
			.e = { cpu_to_le64(cases[i].block), cpu_to_le16(cases[i].first),
			       cpu_to_le16(cases[i].count), cpu_to_le32(cases[i].reserved) },
		};

		d.crc = cpu_to_le32(weft_crc32c(0, &d, sizeof(d.h) + sizeof(d.e)));
		CU_ASSERT_EQUAL(oss_rec_decode(&d, sizeof(d.h) + sizeof(d.e) + 4, NBLOCKS, &out),
				cases[i].err);
	}
}

static void test_keys(void)
{
	struct oss_key a = { 1, 2, 3 }, b = { 1, 2, 4 }, c = { 1, 256, 0 }, out;
	uint8_t ka[OSS_KEY_LEN], kb[OSS_KEY_LEN], kc[OSS_KEY_LEN];

	oss_key_encode(&a, ka);
	oss_key_encode(&b, kb);
	oss_key_encode(&c, kc);
	CU_ASSERT(memcmp(ka, kb, OSS_KEY_LEN) < 0 && memcmp(kb, kc, OSS_KEY_LEN) < 0);
	CU_ASSERT_EQUAL(oss_key_decode(kc, OSS_KEY_LEN, &out), 0);
	CU_ASSERT(out.ino == 1 && out.chunk == 256 && out.seg == 0);
	CU_ASSERT_EQUAL(oss_key_decode(kc, OSS_KEY_LEN - 1, &out), -EUCLEAN);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("oss/record", NULL, NULL);
	CU_add_test(s, "round trip", test_round_trip);
	CU_add_test(s, "damage", test_damage);
	CU_add_test(s, "nonsense", test_nonsense);
	CU_add_test(s, "keys", test_keys);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
