// SPDX-License-Identifier: Apache-2.0
/* READDIR: every entry once, in any size of reply, while others come and go. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "proto/hash.h"
#include "tests/unit/mds/sim.h"

#define COUNT 300u

static struct sim sim;
static struct sim_client client;
static u64 dir;
static u32 seen[COUNT];

static void begin(u32 nservers)
{
	char name[32];
	u32 k;

	sim_start(&sim, nservers);
	sim_client(&sim, &client);
	dir = sim_dir_on(&sim, WEFT_INO_ROOT, 0, name);
	for (k = 0; k < COUNT; k++) {
		sprintf(name, "n%u", k);
		CU_ASSERT_EQUAL(sim_create(&sim, dir, name, S_IFREG | 0600, NULL), 0);
	}
	memset(seen, 0, sizeof(seen));
}

static int readdir_once(u64 *cookie, u32 flags, u32 max, u32 *eof)
{
	struct weft_readdir_req req = { .cookie = cpu_to_le64(*cookie),
					.flags = cpu_to_le32(flags) };
	struct sim_request r = { .opcode = WEFT_OP_READDIR, .ino = dir, .body = &req,
				 .body_len = sizeof(req), .bulk_max = max };
	struct weft_dirent de;
	struct weft_cursor c;
	const char *name;
	u32 k, n = 0;
	int ret;

	ret = sim_request(&sim, &r);
	if (ret)
		return ret;
	weft_cur_init(&c, sim.data, sim.data_len);
	while ((ret = weft_dirent_next(&c, &de, &name)) > 0) {
		u32 len = le16_to_cpu(de.name_len);

		CU_ASSERT(le64_to_cpu(de.cookie) > *cookie);
		CU_ASSERT_EQUAL(le64_to_cpu(de.cookie), weft_name_hash(name, len));
		*cookie = le64_to_cpu(de.cookie);
		k = name[0] == 'n' ? strtoul(name + 1, NULL, 10) : COUNT;
		if (k < COUNT)
			seen[k]++;
		if ((flags & WEFT_READDIR_ATTRS) && !de.flags)
			CU_ASSERT_EQUAL(le32_to_cpu(de.attr.nlink), 1 + (name[0] == 'd'));
		n++;
	}
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT_EQUAL(n, le32_to_cpu(sim.rep.readdir.count));
	*eof = le32_to_cpu(sim.rep.readdir.eof);
	return 0;
}

static void test_sizes(void)
{
	static const u32 sizes[] = { 176, 177, 500, 4096, 65536, 1 << 20 };
	u32 k, j, eof;
	u64 cookie;

	begin(1);
	for (k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		memset(seen, 0, sizeof(seen));
		cookie = 0;
		do {
			CU_ASSERT_EQUAL_FATAL(readdir_once(&cookie, WEFT_READDIR_ATTRS, sizes[k],
							   &eof),
					      0);
		} while (!eof);
		for (j = 0; j < COUNT; j++)
			CU_ASSERT_EQUAL(seen[j], 1);
	}
	cookie = 0;
	CU_ASSERT_EQUAL(readdir_once(&cookie, 0, 100, &eof), -EINVAL); /* not even one fits */
	cookie = ~0ull;
	CU_ASSERT_EQUAL(readdir_once(&cookie, 0, 4096, &eof), -EINVAL);
	cookie = 0;
	CU_ASSERT_EQUAL(readdir_once(&cookie, 0x80, 4096, &eof), -EINVAL);
	sim_user(&sim, 10, 10);
	sim_root(&sim);
	sim_chmod(&sim, dir, 0700);
	sim_user(&sim, 10, 10);
	cookie = 0;
	CU_ASSERT_EQUAL(readdir_once(&cookie, 0, 4096, &eof), -EACCES);
	sim_stop(&sim);
}

/* What stays is seen once, whatever is removed and made meanwhile. */
static void test_change(void)
{
	char name[32];
	u32 k, eof, step = 0;
	u64 cookie = 0;

	begin(1);
	do {
		CU_ASSERT_EQUAL_FATAL(readdir_once(&cookie, WEFT_READDIR_ATTRS, 2000, &eof), 0);
		for (k = 0; k < 3; k++, step++) {
			sprintf(name, "n%u", step * 2);
			if (step * 2 < COUNT)
				CU_ASSERT_EQUAL(sim_unlink(&sim, dir, name), 0);
			sprintf(name, "x%u", step);
			CU_ASSERT_EQUAL(sim_create(&sim, dir, name, S_IFREG | 0600, NULL), 0);
		}
	} while (!eof);
	for (k = 1; k < COUNT; k += 2)
		CU_ASSERT_EQUAL(seen[k], 1);
	for (k = 0; k < COUNT; k += 2)
		CU_ASSERT(seen[k] <= 1);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_remote(void)
{
	char name[32];
	u32 eof, k, far = 0;
	u64 cookie = 0;
	struct weft_cursor c;
	struct weft_dirent de;
	const char *n;

	begin(2);
	for (k = 0; k < 4; k++)
		sim_dir_on(&sim, dir, k % 2, name);
	do {
		CU_ASSERT_EQUAL_FATAL(readdir_once(&cookie, WEFT_READDIR_ATTRS, 1 << 20, &eof), 0);
		weft_cur_init(&c, sim.data, sim.data_len);
		while (weft_dirent_next(&c, &de, &n) > 0)
			far += le32_to_cpu(de.flags) == WEFT_ENTRY_REMOTE;
	} while (!eof);
	CU_ASSERT_EQUAL(far, 2);
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/readdir", NULL, NULL);
	CU_add_test(s, "replies of all sizes", test_sizes);
	CU_add_test(s, "entries come and go", test_change);
	CU_add_test(s, "entries of another server", test_remote);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
