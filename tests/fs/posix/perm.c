// SPDX-License-Identifier: Apache-2.0
/*
 * Permission checks by owner, group, further groups, others and root; search permission along a
 * path; inheritance of the group by set-group-id directories; sticky directories.
 */
#include <grp.h>

#include "tests/fs/posix/posix.h"

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* One class has the bits, the two others have all the opposite ones: only the class counts. */
static void check_class(int shift)
{
	for (unsigned bits = 0; bits < 8; bits++) {
		mode_t mode = (mode_t)((07777 & ~(07 << shift) & 0777 & ~(bits * 0111)) |
				       (bits << shift));

		be_root();
		OK(chmod("f", mode));
		if (shift == 6)
			be(ALICE, GUEST);
		else if (shift == 3)
			be(BOB, STAFF);
		else
			be(EVE, GUEST);
		EQ(try_open("f", O_RDONLY), bits & 4 ? 0 : -EACCES);
		EQ(try_open("f", O_WRONLY), bits & 2 ? 0 : -EACCES);
		EQ(try_open("f", O_RDWR), (bits & 6) == 6 ? 0 : -EACCES);
		EQ(faccessat(AT_FDCWD, "f", X_OK, AT_EACCESS), bits & 1 ? 0 : -1);
	}
}

static void perm_classes_of_file(void)
{
	mkfile("f", 0600, "");
	OK(chown("f", ALICE, STAFF));
	check_class(6);
	check_class(3);
	check_class(0);
}

static void perm_further_groups(void)
{
	gid_t more[3] = { 70001, STAFF, 70002 };

	mkfile("f", 0040, "");
	OK(chown("f", ALICE, STAFF));
	OK(setgroups(3, more));
	OK(setegid(GUEST));
	OK(seteuid(BOB));
	EQ(try_open("f", O_RDONLY), 0);
	EQ(try_open("f", O_WRONLY), -EACCES);
	be(BOB, GUEST);
	EQ(try_open("f", O_RDONLY), -EACCES);
}

static void perm_root_overrides(void)
{
	mkfile("f", 0, "");
	OK(chown("f", ALICE, STAFF));
	EQ(try_open("f", O_RDWR), 0);
	ERR(EACCES, access("f", X_OK));
	OK(mkdir("d", 0));
	OK(chown("d", ALICE, STAFF));
	mkfile("d/x", 0600, "");
	OK(access("d", X_OK | W_OK | R_OK));
	OK(unlink("d/x"));
}

static void perm_search_along_path(void)
{
	OK(mkdir("a", 0755));
	OK(mkdir("a/b", 0744));
	OK(mkdir("a/b/c", 0777));
	mkfile("a/b/c/f", 0666, "");
	be(ALICE, STAFF);
	EQ(try_open("a/b/c/f", O_RDONLY), -EACCES);
	EQ(try_open("a/b", O_RDONLY | O_DIRECTORY), 0);
	ERR(EACCES, chdir("a/b"));
	be_root();
	OK(chmod("a/b", 0711));
	be(ALICE, STAFF);
	EQ(try_open("a/b/c/f", O_RDWR), 0);
	EQ(try_open("a/b", O_RDONLY | O_DIRECTORY), -EACCES);
	OK(chdir("a/b/c"));
	mkfile("mine", 0600, "");
}

static void perm_directory_write(void)
{
	OK(mkdir("d", 0755));
	OK(mkdir("nox", 0766));
	be(ALICE, STAFF);
	ERR(EACCES, open("d/f", O_CREAT | O_RDWR, 0600));
	ERR(EACCES, mkdir("d/d", 0700));
	ERR(EACCES, symlink("x", "d/l"));
	ERR(EACCES, mkfifo("d/p", 0600));
	ERR(EACCES, open("nox/f", O_CREAT | O_RDWR, 0600));
	ERR(EACCES, mkdir("nox/d", 0700));
	be_root();
	OK(chown("d", ALICE, STAFF));
	be(ALICE, GUEST);
	OK(mkdir("d/d", 0700));
	be(BOB, STAFF);
	ERR(EACCES, rmdir("d/d"));
	be_root();
	OK(chmod("d", 0775));
	be(BOB, STAFF);
	OK(rmdir("d/d"));
}

static void perm_checked_at_open_only(void)
{
	int fd;

	mkfile("f", 0600, "secret");
	OK(chown("f", ALICE, STAFF));
	be(ALICE, STAFF);
	fd = (int)OK(open("f", O_RDWR));
	OK(chmod("f", 0));
	FILLED(fd, 0, 1, 's');
	fill(fd, 0, 1, 'S');
	OK(ftruncate(fd, 3));
	ERR(EACCES, truncate("f", 1));
	ERR(EACCES, open("f", O_RDONLY));
	be(BOB, STAFF);
	FILLED(fd, 0, 1, 'S');
}

static void perm_change_is_seen_at_once(void)
{
	mkfile("f", 0644, "");
	OK(mkdir("d", 0755));
	mkfile("d/f", 0644, "");
	for (int i = 0; i < 5; i++) {
		be(ALICE, STAFF);
		EQ(try_open("f", O_RDONLY), 0);
		EQ(try_open("d/f", O_RDONLY), 0);
		be_root();
		OK(chmod("f", 0600));
		OK(chmod("d", 0700));
		be(ALICE, STAFF);
		EQ(try_open("f", O_RDONLY), -EACCES);
		EQ(try_open("d/f", O_RDONLY), -EACCES);
		be_root();
		OK(chmod("f", 0644));
		OK(chmod("d", 0755));
	}
}

static void perm_truncate_needs_write(void)
{
	mkfile("f", 0644, "data");
	be(ALICE, STAFF);
	ERR(EACCES, truncate("f", 0));
	HOLDS("f", "data");
}

static void setgid_directory_gives_group(void)
{
	OK(mkdir("d", 0777));
	OK(chown("d", BOB, STAFF));
	OK(chmod("d", 02777));
	be(ALICE, GUEST);
	mkfile("d/f", 0644, "");
	EQ(lst("d/f").st_gid, STAFF);
	EQ(lst("d/f").st_uid, ALICE);
	OK(mkdir("d/sub", 0755));
	EQ(lst("d/sub").st_gid, STAFF);
	EQ(lst("d/sub").st_mode, S_IFDIR | 02755);
	OK(symlink("x", "d/l"));
	EQ(lst("d/l").st_gid, STAFF);
	OK(mkfifo("d/p", 0600));
	EQ(lst("d/p").st_gid, STAFF);
	OK(mkdir("d/sub/sub", 0700));
	EQ(lst("d/sub/sub").st_mode, S_IFDIR | 02700);
	be_root();
	OK(mkdir("plain", 0777));
	OK(chown("plain", BOB, STAFF));
	be(ALICE, GUEST);
	OK(mkdir("plain/d", 0700));
	EQ(lst("plain/d").st_gid, GUEST);
}

/* A file with set-group-id and group execute in such a directory: only for group members. */
static void setgid_directory_strips_foreign_setgid(void)
{
	int fd;

	OK(mkdir("d", 0777));
	OK(chown("d", BOB, STAFF));
	OK(chmod("d", 02777));
	be(ALICE, GUEST);
	fd = (int)OK(open("d/f", O_CREAT | O_RDWR, 02755));
	EQ(fst(fd).st_mode, S_IFREG | 0755);
	be(ALICE, STAFF);
	fd = (int)OK(open("d/g", O_CREAT | O_RDWR, 02755));
	EQ(fst(fd).st_mode, S_IFREG | 02755);
}

static void sticky_rmdir_and_owner(void)
{
	OK(mkdir("t", 01777));
	OK(mkdir("t/d", 0777));
	OK(chown("t/d", ALICE, STAFF));
	be(BOB, STAFF);
	ERR(EPERM, rmdir("t/d"));
	ERR(EPERM, rename("t/d", "t/e"));
	be_root();
	OK(chown("t", BOB, STAFF));
	be(BOB, STAFF);
	OK(rmdir("t/d"));
}

/* A user may give the directory of its own files the sticky bit; others then cannot remove. */
static void sticky_set_by_owner(void)
{
	OK(mkdir("d", 0777));
	OK(chown("d", ALICE, STAFF));
	be(ALICE, STAFF);
	OK(chmod("d", 01777));
	EQ(lst("d").st_mode, S_IFDIR | 01777);
	mkfile("d/f", 0666, "");
	be(BOB, STAFF);
	ERR(EPERM, unlink("d/f"));
	be(ALICE, STAFF);
	OK(chmod("d", 0777));
	be(BOB, STAFF);
	OK(unlink("d/f"));
}

static void perm_chdir_and_dot(void)
{
	OK(mkdir("d", 0711));
	mkfile("d/f", 0644, "x");
	be(ALICE, STAFF);
	OK(chdir("d"));
	HOLDS("f", "x");
	ERR(EACCES, open(".", O_RDONLY));
	be_root();
	OK(chmod(".", 0));
	be(ALICE, STAFF);
	ERR(EACCES, open("f", O_RDONLY));
}

const struct posix_case perm_cases[] = {
	CASE(perm_classes_of_file), CASE(perm_further_groups), CASE(perm_root_overrides),
	CASE(perm_search_along_path), CASE(perm_directory_write), CASE(perm_checked_at_open_only),
	CASE(perm_change_is_seen_at_once), CASE(perm_truncate_needs_write),
	CASE(setgid_directory_gives_group), CASE(setgid_directory_strips_foreign_setgid),
	CASE(sticky_rmdir_and_owner), CASE(sticky_set_by_owner), CASE(perm_chdir_and_dot),
	{ 0 },
};
