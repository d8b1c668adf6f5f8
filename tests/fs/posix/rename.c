// SPDX-License-Identifier: Apache-2.0
/*
 * rename: every pair of types, what is replaced, link counts, open files, each errno.
 */
#include <sys/wait.h>

#include "tests/fs/posix/posix.h"

static void rename_file(void)
{
	ino_t ino;

	mkfile("a", 0640, "data");
	ino = lst("a").st_ino;
	OK(rename("a", "b"));
	ERR(ENOENT, open("a", O_RDONLY));
	EQ(lst("b").st_ino, ino);
	EQ(lst("b").st_mode, S_IFREG | 0640);
	HOLDS("b", "data");
}

static void rename_over_file(void)
{
	int fd;

	mkfile("a", 0600, "new");
	mkfile("b", 0600, "old");
	fd = (int)OK(open("b", O_RDONLY));
	OK(rename("a", "b"));
	HOLDS("b", "new");
	EQ(fst(fd).st_nlink, 0);
	FILLED(fd, 0, 1, 'o');
}

static void rename_to_other_directory(void)
{
	OK(mkdir("d", 0700));
	OK(mkdir("e", 0700));
	mkfile("d/a", 0600, "x");
	OK(rename("d/a", "e/b"));
	HOLDS("e/b", "x");
	OK(rmdir("d"));
}

static void rename_directory(void)
{
	OK(mkdir("d", 0700));
	mkfile("d/f", 0600, "x");
	OK(mkdir("p", 0700));
	EQ(lst("p").st_nlink, 2);
	OK(rename("d", "p/q"));
	HOLDS("p/q/f", "x");
	EQ(lst("p").st_nlink, 3);
	EQ(lst("p/q/..").st_ino, lst("p").st_ino);
	ERR(ENOENT, rmdir("d"));
	OK(rename("p/q", "d"));
	EQ(lst("p").st_nlink, 2);
	EQ(lst("d/..").st_ino, lst(".").st_ino);
}

static void rename_over_empty_directory(void)
{
	OK(mkdir("a", 0700));
	mkfile("a/f", 0600, "x");
	OK(mkdir("b", 0755));
	EQ(lst(".").st_nlink, 4);
	OK(rename("a", "b"));
	HOLDS("b/f", "x");
	EQ(lst("b").st_mode, S_IFDIR | 0700);
	EQ(lst(".").st_nlink, 3);
}

static void rename_type_errors(void)
{
	mkfile("f", 0600, "f");
	OK(mkdir("d", 0700));
	OK(mkdir("full", 0700));
	mkfile("full/x", 0600, "");
	OK(symlink("f", "l"));
	ERR(EISDIR, rename("f", "d"));
	ERR(ENOTDIR, rename("d", "f"));
	ERR(ENOTDIR, rename("d", "l"));
	ERR(EISDIR, rename("l", "d"));
	ERR(ENOTEMPTY, rename("d", "full"));
	ERR(ENOENT, rename("none", "f"));
	ERR(ENOENT, rename("f", "none/f"));
	ERR(ENOENT, rename("none/f", "f"));
	ERR(ENOTDIR, rename("f/x", "g"));
	ERR(ENOTDIR, rename("d", "f/x"));
	ERR(ENOTDIR, rename("f", "g/"));
	HOLDS("f", "f");
}

static void rename_dot_names(void)
{
	OK(mkdir("d", 0700));
	OK(mkdir("e", 0700));
	ERR(EBUSY, rename("d/.", "e"));
	ERR(EBUSY, rename("d/..", "e"));
	ERR(EBUSY, rename("d", "e/."));
	ERR(EBUSY, rename("d", "e/.."));
}

static void rename_into_own_subtree(void)
{
	OK(mkdir("d", 0700));
	OK(mkdir("d/e", 0700));
	OK(mkdir("d/e/f", 0700));
	ERR(EINVAL, rename("d", "d/x"));
	ERR(EINVAL, rename("d", "d/e/f/x"));
	ERR(ENOTEMPTY, rename("d/e/f", "d"));
	ERR(ENOTEMPTY, rename("d/e/f", "d/e"));
	OK(rename("d", "d"));
	EQ(lst("d/e/f").st_nlink, 2);
}

static void rename_same_inode_does_nothing(void)
{
	mkfile("a", 0600, "x");
	OK(link("a", "b"));
	OK(rename("a", "b"));
	EQ(lst("a").st_nlink, 2);
	EQ(lst("b").st_ino, lst("a").st_ino);
	OK(rename("a", "a"));
	HOLDS("a", "x");
}

static void rename_over_hard_link_of_other(void)
{
	mkfile("a", 0600, "a");
	mkfile("b", 0600, "b");
	OK(link("b", "c"));
	OK(rename("a", "b"));
	EQ(lst("c").st_nlink, 1);
	HOLDS("c", "b");
	HOLDS("b", "a");
}

static void rename_symlink_itself(void)
{
	mkfile("f", 0600, "x");
	OK(symlink("f", "l"));
	OK(rename("l", "m"));
	YES(S_ISLNK(lst("m").st_mode));
	HOLDS("m", "x");
	mkfile("g", 0600, "g");
	OK(rename("g", "m"));
	YES(S_ISREG(lst("m").st_mode));
	HOLDS("f", "x");
}

static void rename_special_files(void)
{
	OK(mkfifo("p", 0600));
	OK(mknod("s", S_IFSOCK | 0600, 0));
	OK(mknod("c", S_IFCHR | 0600, 0x103));
	OK(rename("p", "s"));
	YES(S_ISFIFO(lst("s").st_mode));
	OK(rename("c", "s"));
	YES(S_ISCHR(lst("s").st_mode));
	EQ(lst("s").st_rdev, 0x103);
}

static void rename_open_file(void)
{
	int fd;

	mkfile("a", 0600, "one");
	fd = (int)OK(open("a", O_RDWR | O_APPEND));
	OK(rename("a", "b"));
	EQ(write(fd, "two", 3), 3);
	HOLDS("b", "onetwo");
	mkfile("c", 0600, "c");
	OK(rename("c", "b"));
	EQ(write(fd, "!", 1), 1);
	EQ(fst(fd).st_size, 7);
	HOLDS("b", "c");
}

static void rename_permissions(void)
{
	OK(mkdir("ro", 0755));
	mkfile("ro/f", 0666, "");
	OK(mkdir("rw", 0777));
	mkfile("rw/f", 0600, "");
	be(ALICE, STAFF);
	ERR(EACCES, rename("ro/f", "rw/g"));
	ERR(EACCES, rename("rw/f", "ro/g"));
	ERR(EACCES, rename("ro/f", "ro/g"));
	OK(rename("rw/f", "rw/g"));
}

/* Moving a directory to another parent changes its "..": it must be writable. */
static void rename_directory_needs_write_on_it(void)
{
	OK(mkdir("a", 0777));
	OK(mkdir("b", 0777));
	OK(mkdir("a/d", 0755));
	be(ALICE, STAFF);
	ERR(EACCES, rename("a/d", "b/d"));
	OK(rename("a/d", "a/e"));
}

static void rename_sticky(void)
{
	OK(mkdir("t", 01777));
	OK(mkdir("w", 0777));
	mkfile("t/bobs", 0666, "");
	OK(chown("t/bobs", BOB, STAFF));
	be(ALICE, STAFF);
	ERR(EPERM, rename("t/bobs", "t/x"));
	ERR(EPERM, rename("t/bobs", "w/x"));
	mkfile("w/mine", 0600, "");
	ERR(EPERM, rename("w/mine", "t/bobs"));
	OK(rename("w/mine", "t/mine"));
	OK(rename("t/mine", "t/mine2"));
	be(BOB, STAFF);
	OK(rename("t/bobs", "t/x"));
}

static void rename_trailing_slash(void)
{
	OK(mkdir("d", 0700));
	OK(rename("d/", "e"));
	OK(rename("e", "f/"));
	EQ(lst("f").st_mode, S_IFDIR | 0700);
}

static void rename_at_calls(void)
{
	int d, e;

	OK(mkdir("d", 0700));
	OK(mkdir("e", 0700));
	mkfile("d/f", 0600, "x");
	d = (int)OK(open("d", O_RDONLY));
	e = (int)OK(open("e", O_RDONLY));
	OK(renameat(d, "f", e, "g"));
	HOLDS("e/g", "x");
	ERR(EBADF, renameat(-5, "f", e, "g"));
}

static void rename_across_mounts(void)
{
	mkfile("f", 0600, "");
	ERR(EXDEV, rename("f", "/proc/self/f"));
}

/* While one process replaces a name all the time, it is never seen missing. */
static void rename_is_atomic(void)
{
	char buf[4];
	int status, fd;
	pid_t pid;

	mkfile("f", 0600, "AAA");
	pid = (pid_t)OK(fork());
	if (!pid) {
		for (int i = 0; i < 200; i++) {
			mkfile("t", 0600, i & 1 ? "AAA" : "BBB");
			OK(rename("t", "f"));
		}
		_exit(0);
	}
	while (!waitpid(pid, &status, WNOHANG)) {
		fd = (int)OK(open("f", O_RDONLY));
		EQ(read(fd, buf, 4), 3);
		YES(!memcmp(buf, "AAA", 3) || !memcmp(buf, "BBB", 3));
		OK(close(fd));
	}
	EQ(status, 0);
}

static void rename_many_in_a_row(void)
{
	char a[32] = "n0", b[32];

	mkfile(a, 0600, "same");
	for (int i = 1; i <= 200; i++) {
		snprintf(b, sizeof(b), "n%d", i);
		OK(rename(a, b));
		memcpy(a, b, sizeof(a));
	}
	HOLDS("n200", "same");
	ERR(ENOENT, open("n199", O_RDONLY));
}

/* Two processes move directories into each other: no loop may come out of it. */
static void rename_makes_no_loop(void)
{
	OK(mkdir("a", 0700));
	OK(mkdir("b", 0700));
	for (int p = 0; p < 2; p++) {
		if (OK(fork()))
			continue;
		for (int i = 0; i < 50; i++) {
			const char *from = p ? "a" : "b", *to = p ? "b/a" : "a/b";

			if (!rename(from, to) && rename(to, from))
				_exit(1);
			if (errno && errno != ENOENT && errno != EINVAL && errno != ENOTEMPTY)
				_exit(2);
		}
		_exit(0);
	}
	for (int p = 0; p < 2; p++) {
		int status = 0;

		OK(wait(&status));
		EQ(status, 0);
	}
	EQ(lst("a").st_nlink, 2);
	EQ(lst("b").st_nlink, 2);
	EQ(lst(".").st_nlink, 4);
}

const struct posix_case rename_cases[] = {
	CASE(rename_file), CASE(rename_over_file), CASE(rename_to_other_directory),
	CASE(rename_directory), CASE(rename_over_empty_directory), CASE(rename_type_errors),
	CASE(rename_dot_names), CASE(rename_into_own_subtree),
	CASE(rename_same_inode_does_nothing), CASE(rename_over_hard_link_of_other),
	CASE(rename_symlink_itself), CASE(rename_special_files), CASE(rename_open_file),
	CASE(rename_permissions), CASE(rename_directory_needs_write_on_it), CASE(rename_sticky),
	CASE(rename_trailing_slash), CASE(rename_at_calls), CASE(rename_across_mounts),
	CASE(rename_is_atomic), CASE(rename_many_in_a_row), CASE(rename_makes_no_loop),
	{ 0 },
};
