// SPDX-License-Identifier: Apache-2.0
/*
 * Names and paths: length limits, any byte, case, dots, slashes; many entries.
 */
#include <limits.h>

#include "tests/fs/posix/posix.h"

/* Each call that takes a name, applied to this path; all must fail with err. */
static void all_calls_fail(int err, const char *path)
{
	struct stat st;
	char buf[16];

	mkfile("src", 0600, "");
	ERR(err, open(path, O_RDONLY));
	ERR(err, open(path, O_CREAT | O_RDWR, 0600));
	ERR(err, stat(path, &st));
	ERR(err, lstat(path, &st));
	ERR(err, faccessat(AT_FDCWD, path, F_OK, AT_EACCESS));
	ERR(err, mkdir(path, 0700));
	ERR(err, rmdir(path));
	ERR(err, unlink(path));
	ERR(err, rename(path, "x"));
	ERR(err, rename("src", path));
	ERR(err, link("src", path));
	ERR(err, link(path, "x"));
	ERR(err, symlink("x", path));
	ERR(err, readlink(path, buf, sizeof(buf)));
	ERR(err, mknod(path, S_IFIFO | 0600, 0));
	ERR(err, chmod(path, 0600));
	ERR(err, chown(path, 0, 0));
	ERR(err, truncate(path, 0));
	ERR(err, utimensat(AT_FDCWD, path, NULL, 0));
	ERR(err, chdir(path));
}

static void name_of_255_bytes(void)
{
	char name[256], other[256];

	memset(name, 'n', 255);
	name[255] = 0;
	memcpy(other, name, 256);
	other[254] = 'm';
	mkfile(name, 0600, "long");
	HOLDS(name, "long");
	OK(link(name, other));
	OK(unlink(name));
	OK(rename(other, name));
	HOLDS(name, "long");
	OK(unlink(name));
	OK(mkdir(name, 0700));
	OK(symlink(name, other));
	OK(rmdir(name));
}

static void name_of_256_bytes(void)
{
	char name[257];

	memset(name, 'n', 256);
	name[256] = 0;
	all_calls_fail(ENAMETOOLONG, name);
}

static void path_longer_than_path_max(void)
{
	char path[PATH_MAX + 1];

	for (int i = 0; i < PATH_MAX; i += 2)
		memcpy(path + i, "./", 2);
	path[PATH_MAX] = 0;
	all_calls_fail(ENAMETOOLONG, path);
}

static void path_of_path_max(void)
{
	char path[PATH_MAX];

	mkfile("f", 0600, "x");
	for (int i = 0; i < PATH_MAX - 2; i += 2)
		memcpy(path + i, "./", 2);
	path[PATH_MAX - 2] = 'f';
	path[PATH_MAX - 1] = 0;
	HOLDS(path, "x");
}

static void path_through_file(void)
{
	mkfile("file", 0600, "");
	all_calls_fail(ENOTDIR, "file/x");
}

static void path_through_missing(void)
{
	all_calls_fail(ENOENT, "none/x");
}

static void path_through_loop(void)
{
	OK(symlink("loop", "loop"));
	all_calls_fail(ELOOP, "loop/x");
}

static void path_not_searchable(void)
{
	OK(chmod(".", 0777));
	OK(mkdir("no", 0600));
	mkfile("no/x", 0666, "");
	be(ALICE, STAFF);
	all_calls_fail(EACCES, "no/x");
}

static void name_any_byte(void)
{
	char name[4] = "a?b";

	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		name[1] = (char)c;
		mkfile(name, 0600, "");
	}
	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		name[1] = (char)c;
		OK(unlink(name));
	}
	ERR(ENOENT, lstat("aXb", &(struct stat){ 0 }));
}

static void name_case_and_unicode(void)
{
	mkfile("Name", 0600, "1");
	mkfile("name", 0600, "2");
	mkfile("\xc3\xa9", 0600, "composed");
	mkfile("e\xcc\x81", 0600, "decomposed");
	HOLDS("Name", "1");
	HOLDS("\xc3\xa9", "composed");
	HOLDS("e\xcc\x81", "decomposed");
	mkfile("...", 0600, "dots");
	mkfile("..x", 0600, "dots");
	mkfile(" ", 0600, "space");
	HOLDS("...", "dots");
	HOLDS(" ", "space");
}

static void path_slashes_and_dots(void)
{
	OK(mkdir("d", 0700));
	mkfile("d/f", 0600, "x");
	HOLDS("d//f", "x");
	HOLDS("./d/./f", "x");
	HOLDS("d/../d/f", "x");
	OK(mkdir("d/sub///", 0700));
	OK(rmdir("d/sub/"));
	OK(chdir("d/"));
	EQ(lst("..").st_nlink, 3);
}

static void directory_of_many_entries(void)
{
	enum { MANY = 800 };
	struct stat st;
	char name[64];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "entry-number-%06d", i);
		OK(mknod(name, S_IFREG | 0600, 0));
	}
	for (int i = 0; i < MANY; i += 37) {
		snprintf(name, sizeof(name), "entry-number-%06d", i);
		OK(stat(name, &st));
	}
	ERR(ENOENT, stat("entry-number-xxxxxx", &st));
	for (int i = MANY - 1; i >= 0; i--) {
		snprintf(name, sizeof(name), "entry-number-%06d", i);
		OK(unlink(name));
	}
}

static void directories_of_many_subdirectories(void)
{
	nlink_t before = lst(".").st_nlink;
	char name[32];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		OK(mkdir(name, 0700));
	}
	EQ(lst(".").st_nlink, before + 100);
	for (int i = 0; i < 100; i += 2) {
		snprintf(name, sizeof(name), "d%d", i);
		OK(rmdir(name));
	}
	EQ(lst(".").st_nlink, before + 50);
}

static void inode_numbers_are_unique(void)
{
	enum { N = 200 };
	static ino_t ino[N];
	char name[32];

	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "i%d", i);
		if (i & 1)
			OK(mkdir(name, 0700));
		else
			mkfile(name, 0600, "");
		ino[i] = lst(name).st_ino;
		YES(ino[i]);
		for (int k = 0; k < i; k++)
			YES(ino[k] != ino[i]);
	}
}

const struct posix_case name_cases[] = {
	CASE(name_of_255_bytes), CASE(name_of_256_bytes), CASE(path_longer_than_path_max),
	CASE(path_of_path_max), CASE(path_through_file), CASE(path_through_missing),
	CASE(path_through_loop), CASE(path_not_searchable), CASE(name_any_byte),
	CASE(name_case_and_unicode), CASE(path_slashes_and_dots), CASE(directory_of_many_entries),
	CASE(directories_of_many_subdirectories), CASE(inode_numbers_are_unique),
	{ 0 },
};
