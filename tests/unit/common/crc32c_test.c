// SPDX-License-Identifier: Apache-2.0
/* The known value, continuation, lists; and that statuses have words and errnos of their own. */
#include "common/crc32c.h"

#include <errno.h>
#include <string.h>

#include "common/buf.h"
#include "common/status.h"
#include "proto/wire.h"
#include "tests/unit/common/unit.h"

static void crc(void)
{
	static char data[] = "123456789";
	struct weft_sg sg = WEFT_SG_INIT;
	size_t i;

	CU_ASSERT_EQUAL(weft_crc32c(0, data, 9), 0xe3069283);
	CU_ASSERT_EQUAL(weft_crc32c(0, data, 0), 0);
	CU_ASSERT_EQUAL(~weft_crc32c_raw(~0u, data, 9), 0xe3069283);
	for (i = 0; i <= 9; i++) {
		CU_ASSERT_EQUAL(weft_crc32c(weft_crc32c(0, data, i), data + i, 9 - i),
				0xe3069283);
		weft_sg_add(&sg, NULL, data, i);
		weft_sg_add(&sg, NULL, data + i, 9 - i);
		CU_ASSERT_EQUAL(weft_crc32c_sg(&sg), 0xe3069283);
		weft_sg_fini(&sg);
	}
}

/* Both ways, for all lengths and alignments around the tables' 16 bytes. */
static void ways(void)
{
	uint8_t data[300];
	size_t off, len;
	uint32_t seed = 1;

	for (len = 0; len < sizeof(data); len++) {
		seed = seed * 1664525 + 1013904223;
		data[len] = seed >> 24;
	}
	for (off = 0; off < 16; off++)
		for (len = 0; len <= sizeof(data) - 16; len++)
			CU_ASSERT_EQUAL(weft_crc32c_by_tables(seed, data + off, len),
					weft_crc32c_by_isal(seed, data + off, len));
}

static void statuses(void)
{
	int seen[200] = { 0 };
	uint32_t s;

	for (s = WEFT_S_STALE_MAP; s <= WEFT_S_NOT_LEADER; s++) {
		int err = -weft_status_errno(s);

		CU_ASSERT_FATAL(err > 0 && err < 200);
		CU_ASSERT_EQUAL(seen[err]++, 0);
		CU_ASSERT_STRING_NOT_EQUAL(weft_strstatus(s), "unknown status");
	}
	CU_ASSERT_EQUAL(weft_status_errno(0), 0);
	CU_ASSERT_EQUAL(weft_status_errno(ENOENT), -ENOENT);
	CU_ASSERT_EQUAL(weft_status_errno(5000), -EREMOTEIO);
	CU_ASSERT_STRING_EQUAL(weft_strstatus(5000), "unknown status");
	CU_ASSERT_STRING_EQUAL(weft_op_name(WEFT_OP_LOOKUP), "LOOKUP");
	CU_ASSERT_STRING_EQUAL(weft_op_name(9999), "?");
}

int main(void)
{
	static const struct unit_test tests[] = { { "crc32c", crc },
						  { "ways", ways },
						  { "statuses", statuses },
						  { NULL, NULL } };

	return unit_run("common/crc32c", tests);
}
