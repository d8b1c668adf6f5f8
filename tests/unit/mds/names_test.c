// SPDX-License-Identifier: Apache-2.0
/* Operations on names within one metadata server: results, errors, times, counts, permissions. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

static struct sim sim;
static struct sim_client client;

#define ROOT WEFT_INO_ROOT

static int begin(void)
{
	sim_start(&sim, 1);
	sim_client(&sim, &client);
	return 0;
}

static struct weft_attr attr(u64 ino)
{
	struct weft_attr a = { 0 };

	sim_getattr(&sim, ino, &a);
	return a;
}

static u64 when(struct weft_time t)
{
	return le64_to_cpu(t.sec) * WEFT_NS_PER_S + le32_to_cpu(t.nsec);
}

static void test_create(void)
{
	struct weft_attr root, a, b;
	u64 d, f, l;

	begin();
	root = attr(ROOT);
	CU_ASSERT_EQUAL(le32_to_cpu(root.nlink), 2);
	CU_ASSERT_EQUAL(sim_create(&sim, ROOT, "d", S_IFDIR | 0755, &d), 0);
	a = sim.rep.entry.dir;
	CU_ASSERT_EQUAL(le32_to_cpu(a.nlink), 3);
	CU_ASSERT_EQUAL(sim.rep.entry.prev_dir_change, root.change);
	CU_ASSERT(le64_to_cpu(a.change) > le64_to_cpu(root.change));
	CU_ASSERT(when(a.mtime) > when(root.mtime) && when(a.ctime) == when(a.mtime));
	CU_ASSERT_EQUAL(le64_to_cpu(attr(d).parent), ROOT);
	CU_ASSERT_EQUAL(sim_create(&sim, ROOT, "d", S_IFDIR | 0755, NULL), -EEXIST);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "f", S_IFREG | 0640, &f), 0);
	b = attr(f);
	CU_ASSERT_EQUAL(le32_to_cpu(b.mode), S_IFREG | 0640);
	CU_ASSERT_EQUAL(b.layout.flags, WEFT_LAYOUT_INLINE);
	CU_ASSERT_EQUAL(le16_to_cpu(b.layout.width), 1);
	CU_ASSERT(when(b.btime) == when(b.mtime) && when(b.atime) == when(b.mtime));
	CU_ASSERT_EQUAL(sim_create(&sim, f, "x", S_IFREG | 0644, NULL), -ENOTDIR);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "null", S_IFCHR | 0666, &l), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(l).rdev_major), 7);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(l).rdev_minor), 9);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "q", S_IFIFO | 0600, NULL), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "s", S_IFSOCK | 0600, NULL), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "odd", 0070000 | 0600, NULL), -EINVAL);
	CU_ASSERT_EQUAL(sim_symlink(&sim, d, "l", "to/there", &l), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(attr(l).size), 8);
	CU_ASSERT_EQUAL(sim_symlink(&sim, d, "e", "", NULL), -ENOENT);
	CU_ASSERT_EQUAL(sim_lookup(&sim, d, "nothing", NULL), -ENOENT);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.entry.dir.ino), d);
	CU_ASSERT_EQUAL(sim_lookup(&sim, f, "x", NULL), -ENOTDIR);
	CU_ASSERT_EQUAL(sim_lookup(&sim, 12345, "x", NULL), -ESTALE);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_names(void)
{
	static const char *const bad[] = { ".", "..", "a/b", "/" };
	char name[WEFT_NAME_MAX + 2];
	size_t k;

	begin();
	for (k = 0; k < 4; k++)
		CU_ASSERT_EQUAL(sim_create(&sim, ROOT, bad[k], S_IFREG | 0644, NULL), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[WEFT_NAME_MAX + 1] = 0;
	CU_ASSERT_EQUAL(sim_create(&sim, ROOT, name, S_IFREG | 0644, NULL), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(sim_lookup(&sim, ROOT, name, NULL), -ENAMETOOLONG);
	name[WEFT_NAME_MAX] = 0;
	CU_ASSERT_EQUAL(sim_create(&sim, ROOT, name, S_IFREG | 0644, NULL), 0);
	CU_ASSERT_EQUAL(sim_lookup(&sim, ROOT, name, NULL), 0);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_remove(void)
{
	struct weft_attr before;
	u64 d, f;

	begin();
	sim_create(&sim, ROOT, "d", S_IFDIR | 0755, &d);
	sim_create(&sim, d, "f", S_IFREG | 0644, &f);
	CU_ASSERT_EQUAL(sim_rmdir(&sim, ROOT, "d"), -ENOTEMPTY);
	CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, "d"), -EISDIR);
	CU_ASSERT_EQUAL(sim_rmdir(&sim, d, "f"), -ENOTDIR);
	CU_ASSERT_EQUAL(sim_unlink(&sim, d, "g"), -ENOENT);
	CU_ASSERT_EQUAL(sim_link(&sim, f, ROOT, "g"), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.entry.attr.nlink), 2);
	CU_ASSERT_EQUAL(sim_link(&sim, f, ROOT, "g"), -EEXIST);
	CU_ASSERT_EQUAL(sim_link(&sim, d, ROOT, "h"), -EPERM);
	before = attr(f);
	CU_ASSERT_EQUAL(sim_unlink(&sim, d, "f"), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.entry.attr.nlink), 1);
	CU_ASSERT(when(sim.rep.entry.attr.ctime) > when(before.ctime));
	CU_ASSERT_EQUAL(when(sim.rep.entry.attr.mtime), when(before.mtime));
	CU_ASSERT_EQUAL(sim_rmdir(&sim, ROOT, "d"), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.entry.dir.nlink), 2);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "x", S_IFREG | 0644, NULL), -ESTALE);
	CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, "g"), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.entry.attr.nlink), 0);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), -ESTALE);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* Give a file the last name but one that it can have, without making them all. */
static int many_links(struct mds_op *op)
{
	struct mds_node *n;
	int ret = mds_tx_inode(&op->tx, (u64)(uintptr_t)op->priv, &n);

	if (!ret)
		n->i.nlink = MDS_LINK_MAX - 1;
	return ret;
}

static void test_link_limit(void)
{
	u64 f;

	begin();
	sim_create(&sim, ROOT, "f", S_IFREG | 0644, &f);
	CU_ASSERT_EQUAL(mds_internal(sim.servers[0].m, many_links, NULL, (void *)(uintptr_t)f), 0);
	sim_run(&sim, 10);
	CU_ASSERT_EQUAL(sim_link(&sim, f, ROOT, "g"), 0);
	CU_ASSERT_EQUAL(sim_link(&sim, f, ROOT, "h"), -EMLINK);
	CU_ASSERT_EQUAL(sim_lookup(&sim, ROOT, "h", NULL), -ENOENT);
	sim_stop(&sim);
}

static void test_permissions(void)
{
	u64 d, f, s;

	begin();
	sim_create(&sim, ROOT, "d", S_IFDIR | 0755, &d);
	sim_create(&sim, d, "f", S_IFREG | 0644, &f);
	sim_user(&sim, 10, 20);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "x", S_IFREG | 0644, NULL), -EACCES);
	CU_ASSERT_EQUAL(sim_unlink(&sim, d, "f"), -EACCES);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "f", S_IFREG | 0644, NULL), -EEXIST);
	sim_root(&sim);
	sim_chown(&sim, d, WEFT_SET_GID, 0, 20);
	sim_chmod(&sim, d, 0770);
	sim_user(&sim, 10, 21);
	CU_ASSERT_EQUAL(sim_lookup(&sim, d, "f", NULL), -EACCES);
	client.ngroups = 1;
	client.groups[0] = 20;
	CU_ASSERT_EQUAL(sim_lookup(&sim, d, "f", NULL), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "mine", S_IFREG | 0644, NULL), 0);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "dev", S_IFBLK | 0644, NULL), -EPERM);
	/* sticky: others' files stay */
	sim_root(&sim);
	sim_chmod(&sim, d, 01777);
	sim_user(&sim, 11, 11);
	CU_ASSERT_EQUAL(sim_unlink(&sim, d, "mine"), -EPERM);
	CU_ASSERT_EQUAL(sim_rename(&sim, d, "mine", d, "x", 0), -EPERM);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "own", S_IFREG | 0644, NULL), 0);
	CU_ASSERT_EQUAL(sim_rename(&sim, d, "own", d, "mine", 0), -EPERM);
	CU_ASSERT_EQUAL(sim_unlink(&sim, d, "own"), 0);
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(sim_unlink(&sim, d, "mine"), 0);
	/* set-group-id is inherited by directories, and taken from files of strangers */
	sim_root(&sim);
	sim_chown(&sim, d, WEFT_SET_GID, 0, 99);
	sim_chmod(&sim, d, 02777);
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "s", S_IFDIR | 0755, &s), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(s).mode), S_IFDIR | 02755);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(s).gid), 99);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "p", S_IFREG | 02755, &s), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(s).mode), S_IFREG | 0755);
	CU_ASSERT_EQUAL(sim_create(&sim, d, "r", S_IFREG | 02745, &s), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(s).mode), S_IFREG | 02745);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_rename(void)
{
	u64 a, b, da, db, e;
	struct weft_attr x;

	begin();
	sim_create(&sim, ROOT, "da", S_IFDIR | 0755, &da);
	sim_create(&sim, ROOT, "db", S_IFDIR | 0755, &db);
	sim_create(&sim, da, "a", S_IFREG | 0644, &a);
	sim_create(&sim, db, "b", S_IFREG | 0644, &b);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "none", db, "x", 0), -ENOENT);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "a", db, "b", WEFT_RENAME_NOREPLACE), -EEXIST);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "a", db, "x", WEFT_RENAME_EXCHANGE), -ENOENT);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "a", db, "b", 3), -EINVAL);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "a", db, "b", WEFT_RENAME_EXCHANGE), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.rename.victim.ino), b);
	CU_ASSERT_EQUAL(sim_lookup(&sim, da, "a", &x), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(x.ino), b);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "a", db, "b", 0), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.rename.victim.ino), a);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.rename.victim.nlink), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.rename.old_dir.size), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.rename.new_dir.size), 1);
	/* two names of one file: nothing happens */
	CU_ASSERT_EQUAL(sim_link(&sim, b, da, "b2"), 0);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "b2", db, "b", 0), 0);
	CU_ASSERT_EQUAL(sim_lookup(&sim, da, "b2", NULL), 0);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "b2", da, "b2", 0), 0);
	/* directories */
	CU_ASSERT_EQUAL(sim_rename(&sim, ROOT, "db", da, "b2", 0), -ENOTDIR);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "b2", ROOT, "db", 0), -EISDIR);
	CU_ASSERT_EQUAL(sim_rename(&sim, ROOT, "da", ROOT, "db", 0), -ENOTEMPTY);
	CU_ASSERT_EQUAL(sim_rename(&sim, ROOT, "da", da, "x", 0), -EINVAL);
	sim_create(&sim, da, "e", S_IFDIR | 0755, &e);
	CU_ASSERT_EQUAL(sim_rename(&sim, ROOT, "da", e, "x", 0), -EINVAL);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "e", ROOT, "da", WEFT_RENAME_EXCHANGE), -EINVAL);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "e", ROOT, "da", 0), -ENOTEMPTY);
	CU_ASSERT_EQUAL(sim_rename(&sim, da, "e", db, "e", 0), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(attr(e).parent), db);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(da).nlink), 2);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(db).nlink), 3);
	/* a directory that one may not write does not move */
	sim_chmod(&sim, da, 0777);
	sim_chmod(&sim, db, 0777);
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(sim_rename(&sim, db, "e", da, "e", 0), -EACCES);
	CU_ASSERT_EQUAL(sim_rename(&sim, db, "e", db, "e2", 0), 0);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_parent(void)
{
	struct sim_request r = { .opcode = WEFT_OP_LOOKUP, .flags = WEFT_NS_PARENT };
	u64 d;

	begin();
	sim_create(&sim, ROOT, "d", S_IFDIR | 0755, &d);
	r.ino = d;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.entry.attr.ino), ROOT);
	r.flags = 0;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), -EINVAL);
	r.flags = 0x8000;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), -EINVAL);
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/names", NULL, NULL);
	CU_add_test(s, "create and look up", test_create);
	CU_add_test(s, "names", test_names);
	CU_add_test(s, "unlink, rmdir, link", test_remove);
	CU_add_test(s, "limit of links", test_link_limit);
	CU_add_test(s, "permissions", test_permissions);
	CU_add_test(s, "rename", test_rename);
	CU_add_test(s, "parent", test_parent);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
