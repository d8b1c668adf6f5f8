// SPDX-License-Identifier: Apache-2.0
/*
 * renameat2: RENAME_NOREPLACE and RENAME_EXCHANGE, unknown flags.
 */
#include "tests/fs/posix/posix.h"

static int rename2(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void rename2_noreplace(void)
{
	mkfile("a", 0600, "a");
	mkfile("b", 0600, "b");
	OK(mkdir("d", 0700));
	ERR(EEXIST, rename2("a", "b", RENAME_NOREPLACE));
	ERR(EEXIST, rename2("a", "d", RENAME_NOREPLACE));
	ERR(EEXIST, rename2("d", "a", RENAME_NOREPLACE));
	ERR(EEXIST, rename2("a", "a", RENAME_NOREPLACE));
	OK(symlink("none", "l"));
	ERR(EEXIST, rename2("a", "l", RENAME_NOREPLACE));
	HOLDS("b", "b");
	OK(rename2("a", "c", RENAME_NOREPLACE));
	HOLDS("c", "a");
	OK(rename2("d", "e", RENAME_NOREPLACE));
	ERR(ENOENT, rename2("none", "x", RENAME_NOREPLACE));
}

static void rename2_noreplace_hard_link(void)
{
	mkfile("a", 0600, "a");
	OK(link("a", "b"));
	ERR(EEXIST, rename2("a", "b", RENAME_NOREPLACE));
}

static void rename2_exchange_files(void)
{
	ino_t a, b;

	mkfile("a", 0600, "aa");
	mkfile("b", 0644, "bb");
	a = lst("a").st_ino;
	b = lst("b").st_ino;
	OK(rename2("a", "b", RENAME_EXCHANGE));
	EQ(lst("a").st_ino, b);
	EQ(lst("b").st_ino, a);
	HOLDS("a", "bb");
	HOLDS("b", "aa");
}

static void rename2_exchange_file_and_directory(void)
{
	OK(mkdir("p", 0700));
	OK(mkdir("q", 0700));
	mkfile("p/f", 0600, "file");
	OK(mkdir("q/d", 0700));
	mkfile("q/d/x", 0600, "in d");
	EQ(lst("q").st_nlink, 3);
	OK(rename2("p/f", "q/d", RENAME_EXCHANGE));
	HOLDS("q/d", "file");
	HOLDS("p/f/x", "in d");
	EQ(lst("p").st_nlink, 3);
	EQ(lst("q").st_nlink, 2);
	EQ(lst("p/f/..").st_ino, lst("p").st_ino);
}

static void rename2_exchange_directories(void)
{
	OK(mkdir("a", 0700));
	OK(mkdir("b", 0700));
	OK(mkdir("a/in", 0700));
	mkfile("b/f", 0600, "b");
	OK(rename2("a", "b", RENAME_EXCHANGE));
	HOLDS("a/f", "b");
	EQ(lst("b").st_nlink, 3);
	EQ(lst("a").st_nlink, 2);
}

static void rename2_exchange_errors(void)
{
	OK(mkdir("d", 0700));
	OK(mkdir("d/e", 0700));
	mkfile("f", 0600, "f");
	ERR(ENOENT, rename2("f", "none", RENAME_EXCHANGE));
	ERR(ENOENT, rename2("none", "f", RENAME_EXCHANGE));
	ERR(EINVAL, rename2("d", "d/e", RENAME_EXCHANGE));
	ERR(EINVAL, rename2("d/e", "d", RENAME_EXCHANGE));
	ERR(EINVAL, rename2("f", "d", RENAME_EXCHANGE | RENAME_NOREPLACE));
	ERR(EINVAL, rename2("f", "d", 0x8000));
	OK(rename2("f", "f", RENAME_EXCHANGE));
	HOLDS("f", "f");
}

static void rename2_exchange_permissions(void)
{
	OK(mkdir("ro", 0755));
	OK(mkdir("rw", 0777));
	mkfile("ro/f", 0666, "1");
	mkfile("rw/f", 0666, "2");
	be(ALICE, STAFF);
	ERR(EACCES, rename2("ro/f", "rw/f", RENAME_EXCHANGE));
	ERR(EACCES, rename2("rw/f", "ro/f", RENAME_EXCHANGE));
	HOLDS("ro/f", "1");
}

const struct posix_case rename2_cases[] = {
	CASE(rename2_noreplace), CASE(rename2_noreplace_hard_link), CASE(rename2_exchange_files),
	CASE(rename2_exchange_file_and_directory), CASE(rename2_exchange_directories),
	CASE(rename2_exchange_errors), CASE(rename2_exchange_permissions),
	{ 0 },
};
