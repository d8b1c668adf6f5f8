// SPDX-License-Identifier: Apache-2.0
/* Extended attributes by name space, and the layout attribute. */
#include <CUnit/Basic.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

#define ROOT WEFT_INO_ROOT

static struct sim sim;
static struct sim_client client;
static u64 file, dir, fifo;
static char buf[65536];

static void begin(void)
{
	sim_start(&sim, 1);
	sim_client(&sim, &client);
	sim_create(&sim, ROOT, "f", S_IFREG | 0644, &file);
	sim_create(&sim, ROOT, "d", S_IFDIR | 0755, &dir);
	sim_create(&sim, ROOT, "p", S_IFIFO | 0666, &fifo);
}

static int get(u64 ino, const char *name)
{
	return sim_getxattr(&sim, ino, name, buf, sizeof(buf));
}

static void test_user(void)
{
	begin();
	CU_ASSERT_EQUAL(get(file, "user.a"), -ENODATA);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "user.a", "one", WEFT_XATTR_REPLACE), -ENODATA);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "user.a", "one", WEFT_XATTR_CREATE), 0);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "user.a", "one", WEFT_XATTR_CREATE), -EEXIST);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "user.a", "three", WEFT_XATTR_REPLACE), 0);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "user.empty", NULL, 0), 0);
	CU_ASSERT_EQUAL(get(file, "user.a"), 5);
	CU_ASSERT_EQUAL(memcmp(buf, "three", 5), 0);
	CU_ASSERT_EQUAL(get(file, "user.empty"), 0);
	CU_ASSERT_EQUAL(sim_getxattr(&sim, file, "user.a", buf, 2), 5); /* asks for the size */
	CU_ASSERT_EQUAL(sim.data_len, 0);
	CU_ASSERT_EQUAL(get(file, NULL), 7 + 11);
	CU_ASSERT_EQUAL(memcmp(buf, "user.a\0user.empty", 18), 0);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, fifo, "user.a", "x", 0), -EPERM);
	CU_ASSERT_EQUAL(get(fifo, "user.a"), -ENODATA);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "system.posix_acl_access", "x", 0), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "odd.a", "x", 0), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "user.", "x", 0), -EOPNOTSUPP);
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(get(file, "user.a"), 5);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "user.b", "x", 0), -EACCES);
	sim_root(&sim);
	sim_chmod(&sim, dir, 01777);
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, dir, "user.b", "x", 0), -EPERM);
	sim_root(&sim);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "user.a", NULL, WEFT_XATTR_REMOVE), 0);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "user.a", NULL, WEFT_XATTR_REMOVE), -ENODATA);
	CU_ASSERT(sim_consistent(&sim));
	sim_open_session(&sim, 0);
	CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, "f"), 0);
	CU_ASSERT(sim_consistent(&sim)); /* none is left behind */
	sim_stop(&sim);
}

static void test_privileged(void)
{
	begin();
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "trusted.t", "x", 0), 0);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "security.s", "y", 0), 0);
	CU_ASSERT_EQUAL(get(file, NULL), 11 + 10);
	sim_user(&sim, 0, 0);
	CU_ASSERT_EQUAL(get(file, "trusted.t"), -ENODATA);
	CU_ASSERT_EQUAL(get(file, "security.s"), 1);
	CU_ASSERT_EQUAL(get(file, NULL), 11);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "trusted.t", "x", 0), -EPERM);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, file, "security.s", "x", 0), -EPERM);
	sim_stop(&sim);
}

static void test_layout(void)
{
	static const char *const wrong[] = { "", "pool=none", "chunk=12345", "chunk=x", "width=2",
					     "inline=65537", "inline=-1", "odd=1", "chunk" };
	struct weft_attr a;
	size_t k;
	u64 f;

	begin();
	for (k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++)
		CU_ASSERT_EQUAL(sim_setxattr(&sim, dir, WEFT_XATTR_LAYOUT, wrong[k], 0), -EINVAL);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, dir, WEFT_XATTR_LAYOUT,
				     "pool=default chunk=4194304 width=1 inline=0", 0),
			0);
	CU_ASSERT_EQUAL(get(dir, WEFT_XATTR_LAYOUT), 43);
	CU_ASSERT_EQUAL(memcmp(buf, "pool=default chunk=4194304 width=1 inline=0", 43), 0);
	CU_ASSERT_EQUAL(get(dir, NULL), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, dir, "f", S_IFREG | 0600, &f), 0);
	sim_getattr(&sim, f, &a);
	CU_ASSERT_EQUAL(a.layout.chunk_shift, 22);
	CU_ASSERT_EQUAL(a.layout.flags, 0);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, f, WEFT_XATTR_LAYOUT, "inline=4096", 0), 0);
	sim_getattr(&sim, f, &a);
	CU_ASSERT_EQUAL(a.layout.flags, WEFT_LAYOUT_INLINE);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 0, "x", 1), 0);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, f, WEFT_XATTR_LAYOUT, "inline=0", 0), -EBUSY);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, dir, WEFT_XATTR_LAYOUT, NULL, WEFT_XATTR_REMOVE),
			-EPERM);
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(sim_setxattr(&sim, dir, WEFT_XATTR_LAYOUT, "inline=0", 0), -EPERM);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* The pool got another generation: for new files, told to nobody who does not know it. */
static void test_extended(void)
{
	struct sim_request r = { .opcode = WEFT_OP_GETATTR, .once = true };
	struct weft_attr a;
	u64 old, new, dir;

	sim_start(&sim, 1);
	sim_client(&sim, &client);
	CU_ASSERT_EQUAL(sim_create(&sim, WEFT_INO_ROOT, "d", S_IFDIR | 0755, &dir), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, dir, "old", S_IFREG | 0644, &old), 0);
	r.ino = old;
	r.epoch = sim.map->epoch;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	sim_extend(&sim);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), WEFT_S_STALE_MAP);
	r.epoch = 0;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(sim_getattr(&sim, old, &a), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(a.layout.pool), 1);
	CU_ASSERT_EQUAL(le16_to_cpu(a.layout.width), 1);
	CU_ASSERT_EQUAL(sim_create(&sim, dir, "new", S_IFREG | 0644, &new), 0);
	CU_ASSERT_EQUAL(sim_getattr(&sim, new, &a), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(a.layout.pool), 2);
	CU_ASSERT_EQUAL(le16_to_cpu(a.layout.width), 2);
	/* By name it is the newest; an empty file may still be moved there. */
	CU_ASSERT_EQUAL(sim_setxattr(&sim, old, "weft.layout", "pool=default width=2", 0), 0);
	CU_ASSERT_EQUAL(sim_getattr(&sim, old, &a), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(a.layout.pool), 2);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/xattr", NULL, NULL);
	CU_add_test(s, "user attributes", test_user);
	CU_add_test(s, "trusted and security", test_privileged);
	CU_add_test(s, "layout", test_layout);
	CU_add_test(s, "layout when the file system was extended", test_extended);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
