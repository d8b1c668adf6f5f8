// SPDX-License-Identifier: Apache-2.0
/* Identifiers: text and back, and what is no identifier. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <string.h>

#include "common/uuid.h"

static void text(void)
{
	static const char good[] = "01234567-89ab-cdef-0123-456789abcdef";
	static const char *const bad[] = {
		"", "0", "01234567-89ab-cdef-0123-456789abcde", "01234567-89ab-cdef-0123-456789abcdef0",
		"0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdeg",
		"01234567_89ab-cdef-0123-456789abcdef", " 1234567-89ab-cdef-0123-456789abcdef",
	};
	uint8_t uuid[16], copy[16];
	char buf[WEFT_UUID_STR];
	size_t i;

	CU_ASSERT_EQUAL(weft_uuid_parse(good, uuid), 0);
	CU_ASSERT_EQUAL(uuid[0], 0x01);
	CU_ASSERT_EQUAL(uuid[15], 0xef);
	CU_ASSERT_STRING_EQUAL(weft_uuid_format(uuid, buf), good);
	CU_ASSERT_EQUAL(weft_uuid_parse("01234567-89AB-CDEF-0123-456789ABCDEF", copy), 0);
	CU_ASSERT_EQUAL(memcmp(uuid, copy, 16), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(weft_uuid_parse(bad[i], copy), -EINVAL);
		CU_ASSERT_EQUAL(memcmp(uuid, copy, 16), 0);
	}
}

static void fresh(void)
{
	uint8_t a[16] = { 0 }, b[16];

	CU_ASSERT(weft_uuid_is_zero(a));
	CU_ASSERT_EQUAL(weft_uuid_random(a), 0);
	CU_ASSERT_EQUAL(weft_uuid_random(b), 0);
	CU_ASSERT(!weft_uuid_is_zero(a));
	CU_ASSERT_NOT_EQUAL(memcmp(a, b, 16), 0);
	CU_ASSERT_EQUAL(a[6] >> 4, 4);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("common/uuid", NULL, NULL);
	CU_add_test(s, "text", text);
	CU_add_test(s, "new ones", fresh);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
