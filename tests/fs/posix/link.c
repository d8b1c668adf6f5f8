// SPDX-License-Identifier: Apache-2.0
/*
 * link, symlink, readlink, unlink, unlink of open files.
 */
#include <limits.h>

#include "tests/fs/posix/posix.h"

static void link_counts(void)
{
	OK(mkdir("d", 0700));
	mkfile("a", 0600, "x");
	OK(link("a", "b"));
	OK(link("b", "d/c"));
	EQ(lst("a").st_nlink, 3);
	EQ(lst("d/c").st_ino, lst("a").st_ino);
	OK(chmod("b", 0644));
	EQ(lst("d/c").st_mode, S_IFREG | 0644);
	OK(unlink("a"));
	EQ(lst("b").st_nlink, 2);
	HOLDS("d/c", "x");
	OK(unlink("b"));
	OK(unlink("d/c"));
}

static void link_shares_data(void)
{
	int fd;

	mkfile("a", 0600, "12345");
	OK(link("a", "b"));
	fd = (int)OK(open("b", O_WRONLY));
	fill(fd, 2, 1, 'X');
	HOLDS("a", "12X45");
	OK(truncate("a", 2));
	EQ(fst(fd).st_size, 2);
	HOLDS("b", "12");
}

static void link_errors(void)
{
	mkfile("a", 0600, "");
	mkfile("b", 0600, "");
	OK(mkdir("d", 0700));
	ERR(EEXIST, link("a", "b"));
	ERR(EEXIST, link("a", "a"));
	ERR(EEXIST, link("a", "d"));
	ERR(EPERM, link("d", "e"));
	ERR(ENOENT, link("none", "e"));
	ERR(ENOENT, link("a", "none/e"));
	ERR(ENOTDIR, link("a/x", "e"));
	ERR(ENOTDIR, link("a", "b/e"));
	ERR(EXDEV, link("/proc/self/status", "e"));
	EQ(lst("a").st_nlink, 1);
}

static void link_to_symlink(void)
{
	mkfile("f", 0600, "x");
	OK(symlink("f", "l"));
	OK(link("l", "m"));
	YES(S_ISLNK(lst("m").st_mode));
	EQ(lst("l").st_nlink, 2);
	OK(linkat(AT_FDCWD, "l", AT_FDCWD, "n", AT_SYMLINK_FOLLOW));
	YES(S_ISREG(lst("n").st_mode));
	EQ(lst("f").st_nlink, 2);
}

static void link_special(void)
{
	OK(mkfifo("p", 0600));
	OK(link("p", "q"));
	EQ(lst("q").st_nlink, 2);
	OK(mknod("c", S_IFCHR | 0600, 0x103));
	OK(link("c", "e"));
	EQ(lst("e").st_rdev, 0x103);
}

static void link_permissions(void)
{
	OK(mkdir("ro", 0755));
	OK(mkdir("rw", 0777));
	mkfile("rw/f", 0666, "");
	OK(mkdir("no", 0700));
	mkfile("no/f", 0666, "");
	be(ALICE, STAFF);
	ERR(EACCES, link("rw/f", "ro/g"));
	ERR(EACCES, link("no/f", "rw/g"));
	OK(link("rw/f", "rw/g"));
}

static void link_of_unlinked_file(void)
{
	char path[64];
	int fd;

	mkfile("f", 0600, "x");
	fd = (int)OK(open("f", O_RDWR));
	OK(unlink("f"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ERR(ENOENT, linkat(AT_FDCWD, path, AT_FDCWD, "g", AT_SYMLINK_FOLLOW));
}

static void link_a_hundred(void)
{
	char name[32];

	mkfile("f", 0600, "x");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		OK(link("f", name));
	}
	EQ(lst("f").st_nlink, 101);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		OK(unlink(name));
	}
	EQ(lst("f").st_nlink, 1);
}

static void symlink_readlink(void)
{
	char buf[64];

	OK(symlink("some/where", "l"));
	EQ(lst("l").st_mode, S_IFLNK | 0777);
	EQ(lst("l").st_size, 10);
	EQ(readlink("l", buf, sizeof(buf)), 10);
	YES(!memcmp(buf, "some/where", 10));
	EQ(readlink("l", buf, 4), 4);
	ERR(EINVAL, readlink("l", buf, 0));
	mkfile("f", 0600, "");
	ERR(EINVAL, readlink("f", buf, sizeof(buf)));
	ERR(EINVAL, readlink(".", buf, sizeof(buf)));
	ERR(ENOENT, readlink("none", buf, sizeof(buf)));
	ERR(ENOTDIR, readlink("f/x", buf, sizeof(buf)));
}

static void symlink_errors(void)
{
	mkfile("f", 0600, "");
	ERR(EEXIST, symlink("x", "f"));
	OK(symlink("x", "l"));
	ERR(EEXIST, symlink("y", "l"));
	ERR(ENOENT, symlink("", "m"));
	ERR(ENOENT, symlink("x", "none/m"));
	ERR(ENOTDIR, symlink("x", "f/m"));
}

static void symlink_long_targets(void)
{
	static const int lengths[] = { 1, 59, 60, 61, 255, 256, 1000, 4000, 4095 };
	char target[PATH_MAX + 8], got[PATH_MAX + 8], name[32];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int n = lengths[i];

		memset(target, 'a' + (int)i, (size_t)n);
		target[n] = 0;
		snprintf(name, sizeof(name), "l%zu", i);
		OK(symlink(target, name));
		EQ(readlink(name, got, sizeof(got)), n);
		YES(!memcmp(got, target, (size_t)n));
		EQ(lst(name).st_size, n);
	}
	memset(target, 'z', PATH_MAX);
	target[PATH_MAX] = 0;
	ERR(ENAMETOOLONG, symlink(target, "toolong"));
}

static void symlink_loops(void)
{
	struct stat st;

	OK(symlink("a", "b"));
	OK(symlink("b", "a"));
	OK(symlink("self", "self"));
	ERR(ELOOP, stat("a", &st));
	ERR(ELOOP, open("self", O_RDONLY));
	ERR(ELOOP, open("a", O_CREAT | O_RDWR, 0600));
	ERR(ELOOP, mkdir("a/x", 0700));
	ERR(ELOOP, unlink("a/x"));
	ERR(ELOOP, rename("a/x", "y"));
	ERR(ELOOP, chmod("a", 0600));
	ERR(ELOOP, truncate("a", 0));
	OK(rename("a", "c"));
	OK(unlink("c"));
}

static void symlink_chain_of_40(void)
{
	char from[32], to[32];
	struct stat st;

	mkfile("s0", 0600, "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(from, sizeof(from), "s%d", i);
		snprintf(to, sizeof(to), "s%d", i - 1);
		OK(symlink(to, from));
	}
	HOLDS("s40", "end");
	ERR(ELOOP, stat("s41", &st));
}

static void symlink_through_directories(void)
{
	OK(mkdir("d", 0700));
	OK(mkdir("d/e", 0700));
	mkfile("d/f", 0600, "x");
	OK(symlink("../d/e/..", "d/up"));
	HOLDS("d/up/f", "x");
	OK(symlink("d/", "dl"));
	HOLDS("dl/f", "x");
	OK(chdir("dl"));
	HOLDS("f", "x");
	OK(chdir(".."));
	OK(mkdir("dl/new", 0700));
	OK(unlink("dl"));
	OK(rmdir("d/new"));
}

static void symlink_owner(void)
{
	be(ALICE, STAFF);
	OK(symlink("x", "l"));
	EQ(lst("l").st_uid, ALICE);
	be_root();
	OK(lchown("l", BOB, GUEST));
	EQ(lst("l").st_uid, BOB);
	EQ(lst("l").st_gid, GUEST);
}

static void unlink_errors(void)
{
	OK(mkdir("d", 0700));
	mkfile("f", 0600, "");
	ERR(EISDIR, unlink("d"));
	ERR(ENOENT, unlink("none"));
	ERR(ENOTDIR, unlink("f/x"));
	ERR(ENOTDIR, unlink("f/"));
	ERR(ENOTDIR, unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
	ERR(EINVAL, unlinkat(AT_FDCWD, "f", 0x40000));
	OK(unlink("f"));
	ERR(ENOENT, unlink("f"));
}

static void unlink_permissions(void)
{
	OK(mkdir("ro", 0755));
	mkfile("ro/f", 0666, "");
	OK(mkdir("rw", 0777));
	mkfile("rw/f", 0, "");
	OK(mkdir("noexec", 0666));
	mkfile("noexec/f", 0666, "");
	be(ALICE, STAFF);
	ERR(EACCES, unlink("ro/f"));
	ERR(EACCES, unlink("noexec/f"));
	OK(unlink("rw/f"));
}

static void unlink_sticky(void)
{
	OK(mkdir("t", 01777));
	mkfile("t/bobs", 0666, "");
	OK(chown("t/bobs", BOB, STAFF));
	OK(mkdir("t/bobdir", 0777));
	OK(chown("t/bobdir", BOB, STAFF));
	OK(mkdir("mine", 01777));
	OK(chown("mine", ALICE, STAFF));
	mkfile("mine/bobs", 0666, "");
	OK(chown("mine/bobs", BOB, STAFF));
	be(ALICE, STAFF);
	ERR(EPERM, unlink("t/bobs"));
	ERR(EPERM, rmdir("t/bobdir"));
	OK(unlink("mine/bobs"));
	be(BOB, STAFF);
	OK(unlink("t/bobs"));
	OK(rmdir("t/bobdir"));
}

static void unlink_while_open(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	fill(fd, 0, 200000, 'a');
	OK(unlink("f"));
	EQ(fst(fd).st_nlink, 0);
	FILLED(fd, 0, 200000, 'a');
	fill(fd, 200000, 100000, 'b');
	OK(fsync(fd));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	FILLED(fd, 0, 200000, 'a');
	FILLED(fd, 200000, 100000, 'b');
	EQ(fst(fd).st_size, 300000);
	OK(ftruncate(fd, 10));
	EQ(fst(fd).st_size, 10);
	OK(fchmod(fd, 0640));
	EQ(fst(fd).st_mode, S_IFREG | 0640);
	mkfile("f", 0600, "other");
	HOLDS("f", "other");
	FILLED(fd, 0, 10, 'a');
	OK(close(fd));
}

static void unlink_open_small_file(void)
{
	int fd;

	mkfile("f", 0600, "small");
	fd = (int)OK(open("f", O_RDONLY));
	OK(unlink("f"));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	FILLED(fd, 0, 1, 's');
	EQ(fst(fd).st_size, 5);
}

static void unlink_one_of_two_open_files(void)
{
	int a, b;

	mkfile("f", 0600, "x");
	a = (int)OK(open("f", O_RDWR));
	b = (int)OK(open("f", O_RDWR));
	OK(unlink("f"));
	fill(a, 0, 4, 'y');
	OK(close(a));
	FILLED(b, 0, 4, 'y');
	fill(b, 4, 4, 'z');
	FILLED(b, 4, 4, 'z');
}

const struct posix_case link_cases[] = {
	CASE(link_counts), CASE(link_shares_data), CASE(link_errors), CASE(link_to_symlink),
	CASE(link_special), CASE(link_permissions), CASE(link_of_unlinked_file),
	CASE(link_a_hundred), CASE(symlink_readlink), CASE(symlink_errors),
	CASE(symlink_long_targets), CASE(symlink_loops), CASE(symlink_chain_of_40),
	CASE(symlink_through_directories), CASE(symlink_owner), CASE(unlink_errors),
	CASE(unlink_permissions), CASE(unlink_sticky), CASE(unlink_while_open),
	CASE(unlink_open_small_file), CASE(unlink_one_of_two_open_files),
	{ 0 },
};
