// SPDX-License-Identifier: Apache-2.0
/*
 * mkdir, rmdir, readdir, telldir, seekdir: link counts, each errno, and that a listing gives
 * every name exactly once while the directory changes.
 */
#include <dirent.h>
#include <sys/wait.h>

#include "tests/fs/posix/posix.h"

static void mkdir_creates(void)
{
	OK(mkdir("d", 0751));
	EQ(lst("d").st_mode, S_IFDIR | 0751);
	EQ(lst("d").st_uid, 0);
	umask(022);
	OK(mkdir("e", 0777));
	EQ(lst("e").st_mode, S_IFDIR | 0755);
}

static void mkdir_errors(void)
{
	mkfile("f", 0600, "");
	OK(symlink("none", "l"));
	OK(mkdir("d", 0700));
	ERR(EEXIST, mkdir("d", 0700));
	ERR(EEXIST, mkdir("d/", 0700));
	ERR(EEXIST, mkdir("f", 0700));
	ERR(EEXIST, mkdir("l", 0700));
	ERR(EEXIST, mkdir(".", 0700));
	ERR(EEXIST, mkdir("..", 0700));
	ERR(ENOENT, mkdir("none/d", 0700));
	ERR(ENOENT, mkdir("", 0700));
	ERR(ENOTDIR, mkdir("f/d", 0700));
	OK(mkdir("slash/", 0700));
}

static void mkdir_links(void)
{
	nlink_t before = lst(".").st_nlink;

	OK(mkdir("d", 0700));
	EQ(lst("d").st_nlink, 2);
	EQ(lst(".").st_nlink, before + 1);
	OK(mkdir("d/e", 0700));
	EQ(lst("d").st_nlink, 3);
	EQ(lst("d/e/..").st_ino, lst("d").st_ino);
	OK(rmdir("d/e"));
	EQ(lst("d").st_nlink, 2);
	OK(rmdir("d"));
	EQ(lst(".").st_nlink, before);
}

static void rmdir_errors(void)
{
	mkfile("f", 0600, "");
	OK(mkdir("d", 0700));
	mkfile("d/f", 0600, "");
	OK(symlink("d", "l"));
	ERR(ENOTEMPTY, rmdir("d"));
	ERR(ENOTDIR, rmdir("f"));
	ERR(ENOTDIR, rmdir("l"));
	ERR(ENOENT, rmdir("none"));
	ERR(ENOTDIR, rmdir("f/x"));
	ERR(EINVAL, rmdir("d/."));
	ERR(ENOTEMPTY, rmdir("d/.."));
	OK(unlink("d/f"));
	OK(rmdir("d"));
	ERR(ENOENT, rmdir("d"));
}

static void rmdir_of_cwd(void)
{
	OK(mkdir("d", 0700));
	OK(chdir("d"));
	OK(rmdir("../d"));
	ERR(ENOENT, open("f", O_CREAT | O_RDWR, 0600));
	EQ(lst(".").st_nlink, 0);
	OK(chdir(".."));
}

static void rmdir_then_recreate(void)
{
	OK(mkdir("d", 0700));
	mkfile("d/f", 0600, "old");
	OK(unlink("d/f"));
	OK(rmdir("d"));
	OK(mkdir("d", 0755));
	ERR(ENOENT, open("d/f", O_RDONLY));
	EQ(lst("d").st_mode, S_IFDIR | 0755);
}

static unsigned type_of(const struct stat *st)
{
	return IFTODT(st->st_mode);
}

static void readdir_types_and_inodes(void)
{
	unsigned seen = 0;
	struct dirent *e;
	DIR *d;

	mkfile("reg", 0600, "");
	OK(mkdir("dir", 0700));
	OK(symlink("x", "lnk"));
	OK(mkfifo("fifo", 0600));
	OK(mknod("sock", S_IFSOCK | 0600, 0));
	OK(mknod("chr", S_IFCHR | 0600, 0x103));
	OK(mknod("blk", S_IFBLK | 0600, 0x103));
	d = opendir(".");
	YES(d);
	while ((e = readdir(d))) {
		struct stat st = lst(e->d_name);

		seen++;
		if (strcmp(e->d_name, ".."))
			EQ(e->d_ino, st.st_ino);
		if (e->d_type != DT_UNKNOWN)
			EQ(e->d_type, type_of(&st));
	}
	EQ(seen, 9);
	closedir(d);
}

/* Makes n files a%04d. */
static void make_many(int n)
{
	char name[32];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "a%04d", i);
		OK(close((int)OK(open(name, O_CREAT | O_EXCL | O_WRONLY, 0600))));
	}
}

/* Counts each a%04d name that the stream still gives. */
static int count_rest(DIR *d, unsigned char *seen, int n)
{
	struct dirent *e;
	int got = 0, i;

	while ((errno = 0, e = readdir(d))) {
		if (sscanf(e->d_name, "a%d", &i) != 1)
			continue;
		YES(i >= 0 && i < n);
		seen[i]++;
		got++;
	}
	EQ(errno, 0);
	return got;
}

static void readdir_every_name_once(void)
{
	unsigned char seen[500] = { 0 };
	DIR *d;

	make_many(500);
	d = opendir(".");
	YES(d);
	EQ(count_rest(d, seen, 500), 500);
	for (int i = 0; i < 500; i++)
		EQ(seen[i], 1);
	rewinddir(d);
	EQ(count_rest(d, seen, 500), 500);
	closedir(d);
}

static void readdir_rewind_sees_new_names(void)
{
	unsigned char seen[20] = { 0 };
	DIR *d;

	make_many(10);
	d = opendir(".");
	YES(d);
	EQ(count_rest(d, seen, 10), 10);
	mkfile("a0010", 0600, "");
	OK(unlink("a0003"));
	rewinddir(d);
	EQ(count_rest(d, seen, 11), 10);
	EQ(seen[3], 1);
	EQ(seen[10], 1);
	closedir(d);
}

static void readdir_while_unlinking(void)
{
	struct dirent *e;
	int gone = 0;
	DIR *d;

	make_many(200);
	d = opendir(".");
	YES(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] != 'a')
			continue;
		OK(unlink(e->d_name));
		gone++;
	}
	EQ(gone, 200);
	rewinddir(d);
	while ((e = readdir(d)))
		EQ(e->d_name[0], '.');
	closedir(d);
}

static void readdir_while_creating(void)
{
	unsigned char seen[150] = { 0 };
	char name[32];
	struct dirent *e;
	int i, extra = 0;
	DIR *d;

	make_many(150);
	d = opendir(".");
	YES(d);
	while ((e = readdir(d))) {
		if (sscanf(e->d_name, "a%d", &i) == 1) {
			seen[i]++;
			snprintf(name, sizeof(name), "b%04d", extra++);
			mkfile(name, 0600, "");
			YES(extra <= 150);
		}
	}
	for (i = 0; i < 150; i++)
		EQ(seen[i], 1);
	closedir(d);
}

static void readdir_telldir_seekdir(void)
{
	char names[130][256];
	long pos[130];
	struct dirent *e;
	int n = 0;
	DIR *d;

	make_many(120);
	d = opendir(".");
	YES(d);
	for (pos[0] = telldir(d); (e = readdir(d)); pos[++n] = telldir(d))
		snprintf(names[n], sizeof(names[n]), "%s", e->d_name);
	EQ(n, 122);
	for (int i = n - 1; i >= 0; i -= 7) {
		seekdir(d, pos[i]);
		e = readdir(d);
		YES(e);
		YES(!strcmp(e->d_name, names[i]));
	}
	seekdir(d, pos[n]);
	YES(!readdir(d));
	closedir(d);
}

static void readdir_seekdir_after_unlink(void)
{
	unsigned char seen[200] = { 0 };
	struct dirent *e;
	int i, before = 0, got = 0;
	long pos;
	DIR *d;

	make_many(200);
	d = opendir(".");
	YES(d);
	while (before < 50) {
		e = readdir(d);
		YES(e);
		if (sscanf(e->d_name, "a%d", &i) == 1) {
			seen[i]++;
			before++;
		}
	}
	pos = telldir(d);
	for (i = 0; i < 200; i++) {
		char name[32];

		snprintf(name, sizeof(name), "a%04d", i);
		if (seen[i])
			OK(unlink(name));
	}
	seekdir(d, pos);
	got = count_rest(d, seen, 200);
	EQ(got, 150);
	closedir(d);
}

static void readdir_of_removed_directory(void)
{
	struct dirent *e;
	DIR *d;

	OK(mkdir("d", 0700));
	d = opendir("d");
	YES(d);
	OK(rmdir("d"));
	while ((errno = 0, e = readdir(d)))
		EQ(e->d_name[0], '.');
	YES(errno == 0 || errno == ENOENT);
	closedir(d);
}

static void readdir_errors(void)
{
	mkfile("f", 0600, "");
	YES(!opendir("none"));
	EQ(errno, ENOENT);
	YES(!opendir("f"));
	EQ(errno, ENOTDIR);
	OK(mkdir("d", 0300));
	be(ALICE, STAFF);
	YES(!opendir("d"));
	EQ(errno, EACCES);
}

static void dir_deep_tree(void)
{
	for (int i = 0; i < 60; i++) {
		OK(mkdir("d", 0700));
		OK(chdir("d"));
	}
	mkfile("f", 0600, "deep");
	HOLDS("f", "deep");
	for (int i = 0; i < 60; i++)
		OK(chdir(".."));
}

static void dir_concurrent_creates(void)
{
	unsigned char seen[200] = { 0 };
	char name[32];
	DIR *d;

	for (int p = 0; p < 4; p++) {
		if (OK(fork()))
			continue;
		for (int i = p; i < 200; i += 4) {
			snprintf(name, sizeof(name), "a%04d", i);
			if (mknod(name, S_IFREG | 0600, 0))
				_exit(1);
		}
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	d = opendir(".");
	YES(d);
	EQ(count_rest(d, seen, 200), 200);
	closedir(d);
}

const struct posix_case dir_cases[] = {
	CASE(mkdir_creates), CASE(mkdir_errors), CASE(mkdir_links), CASE(rmdir_errors),
	CASE(rmdir_of_cwd), CASE(rmdir_then_recreate), CASE(readdir_types_and_inodes),
	CASE(readdir_every_name_once), CASE(readdir_rewind_sees_new_names),
	CASE(readdir_while_unlinking), CASE(readdir_while_creating), CASE(readdir_telldir_seekdir),
	CASE(readdir_seekdir_after_unlink), CASE(readdir_of_removed_directory),
	CASE(readdir_errors), CASE(dir_deep_tree), CASE(dir_concurrent_creates),
	{ 0 },
};
