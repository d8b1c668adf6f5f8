// SPDX-License-Identifier: Apache-2.0
/* Permissions: every class against every mode bit; capabilities. */
#include <CUnit/Basic.h>
#include <string.h>
#include <sys/stat.h>

#include "mds/mds.h"

/* Group 30, little endian. */
static const char group_list[4] = { 30, 0, 0, 0 };

static struct mds_creds creds(u32 uid, u32 gid, u32 caps, bool groups)
{
	return (struct mds_creds){ .uid = uid, .gid = gid, .caps = caps, .ngroups = groups,
				   .groups = group_list };
}

/* Only the first class that fits counts, also when a later one would allow more. */
static void test_classes(void)
{
	struct mds_creds c[3] = { creds(10, 99, 0, false), creds(11, 20, 0, false),
				  creds(11, 99, 0, false) };
	struct mds_inode i = { .uid = 10, .gid = 20 };
	u32 who, bits, mask;

	for (who = 0; who < 3; who++) {
		for (bits = 0; bits < 0777; bits++) {
			u32 have = bits >> (6 - 3 * who) & 7;

			i.mode = S_IFREG | bits;
			for (mask = 1; mask < 8; mask++)
				CU_ASSERT_EQUAL(mds_permission(&c[who], &i, mask),
						mask & ~have ? -EACCES : 0);
		}
	}
	i.gid = 30;
	c[2] = creds(11, 99, 0, true);
	i.mode = S_IFREG | 0040;
	CU_ASSERT_EQUAL(mds_permission(&c[2], &i, MDS_MAY_READ), 0);
	CU_ASSERT_EQUAL(mds_permission(&c[1], &i, MDS_MAY_READ), -EACCES);
}

static void test_caps(void)
{
	struct mds_creds over = creds(1, 1, WEFT_CAP_DAC_OVERRIDE, false);
	struct mds_creds search = creds(1, 1, WEFT_CAP_DAC_READ_SEARCH, false);
	struct mds_inode i = { .uid = 10, .gid = 20, .mode = S_IFREG };

	CU_ASSERT_EQUAL(mds_permission(&over, &i, MDS_MAY_READ | MDS_MAY_WRITE), 0);
	CU_ASSERT_EQUAL(mds_permission(&over, &i, MDS_MAY_EXEC), -EACCES);
	i.mode |= 0100;
	CU_ASSERT_EQUAL(mds_permission(&over, &i, MDS_MAY_EXEC), 0);
	CU_ASSERT_EQUAL(mds_permission(&search, &i, MDS_MAY_READ), 0);
	CU_ASSERT_EQUAL(mds_permission(&search, &i, MDS_MAY_WRITE), -EACCES);
	i.mode = S_IFDIR;
	CU_ASSERT_EQUAL(mds_permission(&over, &i, 7), 0);
	CU_ASSERT_EQUAL(mds_permission(&search, &i, MDS_MAY_READ | MDS_MAY_EXEC), 0);
	CU_ASSERT_EQUAL(mds_permission(&search, &i, MDS_MAY_WRITE | MDS_MAY_EXEC), -EACCES);
}

static void test_bits(void)
{
	struct mds_creds in = creds(1, 20, 0, false), out = creds(1, 21, 0, false);
	struct mds_creds cap = creds(1, 21, WEFT_CAP_FSETID, false);

	CU_ASSERT_EQUAL(mds_strip_sgid(&in, 02755, 20), 02755);
	CU_ASSERT_EQUAL(mds_strip_sgid(&out, 02755, 20), 0755);
	CU_ASSERT_EQUAL(mds_strip_sgid(&cap, 02755, 20), 02755);
	CU_ASSERT_EQUAL(mds_kill_priv(S_IFREG | 06755), S_IFREG | 0755);
	CU_ASSERT_EQUAL(mds_kill_priv(S_IFREG | 06745), S_IFREG | 02745);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/perm", NULL, NULL);
	CU_add_test(s, "owner, group, others", test_classes);
	CU_add_test(s, "capabilities", test_caps);
	CU_add_test(s, "set-user-id and set-group-id", test_bits);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
