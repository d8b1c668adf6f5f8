// SPDX-License-Identifier: Apache-2.0
/*
 * Extended attributes: user, trusted, security; flags, sizes, permissions, listing.
 */
#include <sys/xattr.h>

#include "tests/fs/posix/posix.h"

static void xattr_set_get_remove(void)
{
	char buf[64];

	mkfile("f", 0600, "");
	ERR(ENODATA, getxattr("f", "user.a", buf, sizeof(buf)));
	OK(setxattr("f", "user.a", "value", 5, 0));
	EQ(getxattr("f", "user.a", buf, sizeof(buf)), 5);
	YES(!memcmp(buf, "value", 5));
	OK(setxattr("f", "user.a", "other value", 11, 0));
	EQ(getxattr("f", "user.a", NULL, 0), 11);
	OK(setxattr("f", "user.empty", "", 0, 0));
	EQ(getxattr("f", "user.empty", buf, sizeof(buf)), 0);
	OK(setxattr("f", "user.bin", "\0\1\2\0", 4, 0));
	EQ(getxattr("f", "user.bin", buf, sizeof(buf)), 4);
	YES(!memcmp(buf, "\0\1\2\0", 4));
	OK(removexattr("f", "user.a"));
	ERR(ENODATA, removexattr("f", "user.a"));
	ERR(ENODATA, getxattr("f", "user.a", buf, sizeof(buf)));
}

static void xattr_flags(void)
{
	mkfile("f", 0600, "");
	ERR(ENODATA, setxattr("f", "user.a", "1", 1, XATTR_REPLACE));
	OK(setxattr("f", "user.a", "1", 1, XATTR_CREATE));
	ERR(EEXIST, setxattr("f", "user.a", "2", 1, XATTR_CREATE));
	OK(setxattr("f", "user.a", "22", 2, XATTR_REPLACE));
	EQ(getxattr("f", "user.a", NULL, 0), 2);
	ERR(EINVAL, setxattr("f", "user.a", "1", 1, 8));
}

static void xattr_sizes(void)
{
	static char big[65537];
	char buf[4], name[300] = "user.";

	mkfile("f", 0600, "");
	OK(setxattr("f", "user.a", "12345", 5, 0));
	ERR(ERANGE, getxattr("f", "user.a", buf, sizeof(buf)));
	ERR(ERANGE, listxattr("f", buf, 3));
	ERR(E2BIG, setxattr("f", "user.big", big, sizeof(big), 0));
	memset(name + 5, 'n', 250);
	OK(setxattr("f", name, "v", 1, 0));
	EQ(getxattr("f", name, buf, sizeof(buf)), 1);
	name[255] = 'n';
	ERR(ERANGE, setxattr("f", name, "v", 1, 0));
	ERR(ERANGE, setxattr("f", "", "v", 1, 0));
	memset(big, 'q', 3000);
	OK(setxattr("f", "user.k3", big, 3000, 0));
	EQ(getxattr("f", "user.k3", big, sizeof(big)), 3000);
	EQ(big[2999], 'q');
	EQ(getxattr("f", "user.a", NULL, 0), 5);
}

static void xattr_names(void)
{
	mkfile("f", 0600, "");
	ERR(EOPNOTSUPP, setxattr("f", "noprefix", "v", 1, 0));
	ERR(EOPNOTSUPP, setxattr("f", "unknown.a", "v", 1, 0));
	ERR(EINVAL, setxattr("f", "user.", "v", 1, 0));
	OK(setxattr("f", "trusted.t", "v", 1, 0));
	EQ(getxattr("f", "trusted.t", NULL, 0), 1);
	OK(setxattr("f", "security.weft_test", "v", 1, 0));
	EQ(getxattr("f", "security.weft_test", NULL, 0), 1);
	OK(removexattr("f", "security.weft_test"));
	OK(removexattr("f", "trusted.t"));
	ERR(ENOENT, setxattr("none", "user.a", "v", 1, 0));
	ERR(ENOENT, getxattr("none", "user.a", NULL, 0));
	ERR(ENOENT, listxattr("none", NULL, 0));
}

/* The list must hold name, each exactly once; returns the number of names of our kinds. */
static int in_list(const char *path, const char *name)
{
	char list[4096];
	int n = (int)OK(llistxattr(path, list, sizeof(list))), hits = 0;

	EQ(llistxattr(path, NULL, 0), n);
	for (char *p = list; p < list + n; p += strlen(p) + 1)
		hits += !strcmp(p, name);
	return hits;
}

static void xattr_list(void)
{
	mkfile("f", 0600, "");
	EQ(in_list("f", "user.a"), 0);
	OK(setxattr("f", "user.a", "1", 1, 0));
	OK(setxattr("f", "user.b", "2", 1, 0));
	OK(setxattr("f", "trusted.c", "3", 1, 0));
	EQ(in_list("f", "user.a"), 1);
	EQ(in_list("f", "user.b"), 1);
	EQ(in_list("f", "trusted.c"), 1);
	OK(removexattr("f", "user.a"));
	EQ(in_list("f", "user.a"), 0);
	OK(chmod("f", 0666));
	be(ALICE, STAFF);
	EQ(in_list("f", "user.b"), 1);
	EQ(in_list("f", "trusted.c"), 0);
}

static void xattr_permissions(void)
{
	mkfile("f", 0644, "");
	OK(setxattr("f", "user.a", "1", 1, 0));
	OK(setxattr("f", "trusted.t", "1", 1, 0));
	OK(setxattr("f", "security.weft_test", "1", 1, 0));
	be(ALICE, STAFF);
	EQ(getxattr("f", "user.a", NULL, 0), 1);
	ERR(EACCES, setxattr("f", "user.a", "2", 1, 0));
	ERR(EACCES, removexattr("f", "user.a"));
	ERR(EPERM, setxattr("f", "trusted.t", "2", 1, 0));
	ERR(ENODATA, getxattr("f", "trusted.t", NULL, 0));
	EQ(getxattr("f", "security.weft_test", NULL, 0), 1);
	be_root();
	OK(chmod("f", 0600));
	be(ALICE, STAFF);
	ERR(EACCES, getxattr("f", "user.a", NULL, 0));
	EQ(in_list("f", "user.a"), 1);
}

static void xattr_user_on_other_types(void)
{
	OK(mkdir("d", 0700));
	OK(setxattr("d", "user.a", "1", 1, 0));
	EQ(getxattr("d", "user.a", NULL, 0), 1);
	OK(symlink("d", "l"));
	ERR(EPERM, lsetxattr("l", "user.a", "1", 1, 0));
	EQ(getxattr("l", "user.a", NULL, 0), 1);
	OK(lsetxattr("l", "trusted.a", "1", 1, 0));
	EQ(lgetxattr("l", "trusted.a", NULL, 0), 1);
	ERR(ENODATA, getxattr("l", "trusted.a", NULL, 0));
	OK(mkfifo("p", 0600));
	ERR(EPERM, setxattr("p", "user.a", "1", 1, 0));
	OK(setxattr("p", "trusted.a", "1", 1, 0));
}

static void xattr_sticky_directory(void)
{
	OK(mkdir("t", 01777));
	be(ALICE, STAFF);
	ERR(EPERM, setxattr("t", "user.a", "1", 1, 0));
	be_root();
	OK(setxattr("t", "user.a", "1", 1, 0));
}

static void xattr_by_descriptor(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));
	char buf[16];

	OK(fsetxattr(fd, "user.a", "fd", 2, 0));
	EQ(fgetxattr(fd, "user.a", buf, sizeof(buf)), 2);
	EQ(flistxattr(fd, NULL, 0) >= 7, 1);
	OK(unlink("f"));
	EQ(fgetxattr(fd, "user.a", buf, sizeof(buf)), 2);
	OK(fsetxattr(fd, "user.b", "x", 1, 0));
	OK(fremovexattr(fd, "user.a"));
	ERR(ENODATA, fgetxattr(fd, "user.a", buf, sizeof(buf)));
	ERR(EBADF, fgetxattr(-1, "user.a", buf, sizeof(buf)));
}

static void xattr_follow_the_inode(void)
{
	mkfile("f", 0600, "");
	OK(setxattr("f", "user.a", "1", 1, 0));
	OK(link("f", "g"));
	OK(setxattr("g", "user.b", "2", 1, 0));
	EQ(getxattr("f", "user.b", NULL, 0), 1);
	OK(rename("f", "h"));
	EQ(getxattr("h", "user.a", NULL, 0), 1);
	OK(unlink("h"));
	EQ(getxattr("g", "user.a", NULL, 0), 1);
	mkfile("f", 0600, "");
	ERR(ENODATA, getxattr("f", "user.a", NULL, 0));
}

static void xattr_many(void)
{
	char name[32], value[32];

	mkfile("f", 0600, "");
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "user.n%02d", i);
		OK(setxattr("f", name, name, strlen(name), 0));
	}
	for (int i = 0; i < 40; i += 2) {
		snprintf(name, sizeof(name), "user.n%02d", i);
		OK(removexattr("f", name));
	}
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "user.n%02d", i);
		EQ(in_list("f", name), i & 1);
		if (i & 1)
			EQ(getxattr("f", name, value, sizeof(value)), (long)strlen(name));
	}
}

static void xattr_changes_ctime(void)
{
	struct stat a, b;

	mkfile("f", 0600, "");
	a = lst("f");
	tick();
	OK(setxattr("f", "user.a", "1", 1, 0));
	b = lst("f");
	EQ(tcmp(b.st_ctim, a.st_ctim), 1);
	EQ(tcmp(b.st_mtim, a.st_mtim), 0);
	tick();
	OK(removexattr("f", "user.a"));
	EQ(tcmp(lst("f").st_ctim, b.st_ctim), 1);
}

const struct posix_case xattr_cases[] = {
	CASE(xattr_set_get_remove), CASE(xattr_flags), CASE(xattr_sizes), CASE(xattr_names),
	CASE(xattr_list), CASE(xattr_permissions), CASE(xattr_user_on_other_types),
	CASE(xattr_sticky_directory), CASE(xattr_by_descriptor), CASE(xattr_follow_the_inode),
	CASE(xattr_many), CASE(xattr_changes_ctime),
	{ 0 },
};
