// SPDX-License-Identifier: Apache-2.0
/*
 * Which call changes which time stamp, of the object and of its directory; and which do not.
 * One table: what to prepare, what to do, and whose times must change.
 */
#include <sys/statvfs.h>

#include "tests/fs/posix/posix.h"

enum { M = 1, C = 2 };

struct effect {
	void (*prepare)(void);
	void (*act)(void);
	const char *path;	/* whose times: an object, or a directory */
	unsigned changes;	/* M, C or both; the others must stay */
};

static void expect(const struct effect *e)
{
	struct stat a, b;

	if (e->prepare)
		e->prepare();
	a = lst(e->path);
	tick();
	e->act();
	b = lst(e->path);
	EQ(tcmp(b.st_mtim, a.st_mtim), e->changes & M ? 1 : 0);
	EQ(tcmp(b.st_ctim, a.st_ctim), e->changes & C ? 1 : 0);
}

static void expect_fresh(const char *dir, const struct effect *e)
{
	OK(mkdir(dir, 0755));
	OK(chdir(dir));
	expect(e);
	OK(chdir(".."));
}

static void mk_f(void) { mkfile("f", 0600, "data"); }
static void mk_d(void) { OK(mkdir("d", 0700)); }
static void mk_fg(void) { mkfile("f", 0600, "f"); mkfile("g", 0600, "g"); }
static void mk_linked(void) { mk_f(); OK(link("f", "g")); }
static void mk_dirs(void) { mk_d(); OK(mkdir("e", 0700)); mkfile("d/f", 0600, ""); }

static void do_create(void) { mkfile("new", 0600, ""); }
static void do_open_existing(void) { OK(open("f", O_RDWR | O_CREAT, 0600)); }
static void do_mkdir(void) { OK(mkdir("new", 0700)); }
static void do_mkdir_in_d(void) { OK(mkdir("d/new", 0700)); }
static void do_rmdir(void) { OK(rmdir("d")); }
static void do_unlink(void) { OK(unlink("f")); }
static void do_link(void) { OK(link("f", "new")); }
static void do_symlink(void) { OK(symlink("x", "new")); }
static void do_mkfifo(void) { OK(mkfifo("new", 0600)); }
static void do_rename(void) { OK(rename("f", "new")); }
static void do_rename_over(void) { OK(rename("f", "g")); }
static void do_rename_dirs(void) { OK(rename("d/f", "e/f")); }
static void do_chmod(void) { OK(chmod("f", 0644)); }
static void do_chown(void) { OK(chown("f", ALICE, STAFF)); }
static void do_write(void) { fill((int)OK(open("f", O_WRONLY)), 0, 1, 'x'); }
static void do_write_nothing(void) { EQ(write((int)OK(open("f", O_WRONLY)), "", 0), 0); }
static void do_truncate(void) { OK(truncate("f", 1)); }
static void do_truncate_same(void) { OK(ftruncate((int)OK(open("f", O_WRONLY)), 4)); }
static void do_open_trunc(void) { OK(open("f", O_WRONLY | O_TRUNC)); }
static void do_fallocate(void) { OK(fallocate((int)OK(open("f", O_WRONLY)), 0, 0, 9000)); }
static void do_read(void) { FILLED((int)OK(open("f", O_RDONLY)), 0, 1, 'd'); }
static void do_stat(void) { lst("f"); OK(access("f", R_OK)); }
static void do_write_file(void) { fill((int)OK(open("d/f", O_WRONLY)), 0, 1, 'x'); }
static void do_failed_ops(void)
{
	ERR(EEXIST, mkdir("f", 0700));
	ERR(EEXIST, link("f", "f"));
	ERR(ENOTDIR, rmdir("f"));
	ERR(ENOTDIR, open("f/x", O_CREAT | O_RDWR, 0600));
	ERR(EEXIST, open("f", O_CREAT | O_EXCL | O_RDWR, 0600));
}
static void do_utimens_c(void)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, lst("f").st_mtim };

	OK(utimensat(AT_FDCWD, "f", t, 0));
}

static void times_of_parent(void)
{
	static const struct effect t[] = {
		{ NULL, do_create, ".", M | C }, { NULL, do_mkdir, ".", M | C },
		{ NULL, do_symlink, ".", M | C }, { NULL, do_mkfifo, ".", M | C },
		{ mk_f, do_link, ".", M | C }, { mk_f, do_unlink, ".", M | C },
		{ mk_d, do_rmdir, ".", M | C }, { mk_f, do_rename, ".", M | C },
		{ mk_fg, do_rename_over, ".", M | C }, { mk_dirs, do_rename_dirs, "d", M | C },
		{ mk_dirs, do_rename_dirs, "e", M | C }, { mk_d, do_mkdir_in_d, "d", M | C },
	};
	char dir[16];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		snprintf(dir, sizeof(dir), "t%zu", i);
		expect_fresh(dir, &t[i]);
	}
}

static void times_of_parent_stay(void)
{
	static const struct effect t[] = {
		{ mk_f, do_open_existing, ".", 0 }, { mk_f, do_write, ".", 0 },
		{ mk_f, do_chmod, ".", 0 }, { mk_f, do_chown, ".", 0 },
		{ mk_f, do_truncate, ".", 0 }, { mk_f, do_failed_ops, ".", 0 },
		{ mk_d, do_mkdir_in_d, ".", 0 }, { mk_dirs, do_write_file, "d", 0 },
	};
	char dir[16];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		snprintf(dir, sizeof(dir), "t%zu", i);
		expect_fresh(dir, &t[i]);
	}
}

static void times_of_file(void)
{
	static const struct effect t[] = {
		{ mk_f, do_write, "f", M | C }, { mk_f, do_truncate, "f", M | C },
		{ mk_f, do_truncate_same, "f", M | C }, { mk_f, do_open_trunc, "f", M | C },
		{ mk_f, do_fallocate, "f", M | C }, { mk_f, do_chmod, "f", C },
		{ mk_f, do_chown, "f", C }, { mk_f, do_link, "f", C },
		{ mk_linked, do_unlink, "g", C }, { mk_f, do_utimens_c, "f", C },
	};
	char dir[16];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		snprintf(dir, sizeof(dir), "t%zu", i);
		expect_fresh(dir, &t[i]);
	}
}

static void times_of_file_stay(void)
{
	static const struct effect t[] = {
		{ mk_f, do_read, "f", 0 }, { mk_f, do_stat, "f", 0 },
		{ mk_f, do_write_nothing, "f", 0 }, { mk_f, do_open_existing, "f", 0 },
		{ mk_f, do_failed_ops, "f", 0 },
	};
	char dir[16];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		snprintf(dir, sizeof(dir), "t%zu", i);
		expect_fresh(dir, &t[i]);
	}
}

static void times_rename_of_file_changes_ctime(void)
{
	struct stat a, b;

	mk_fg();
	a = lst("f");
	tick();
	OK(rename("f", "h"));
	b = lst("h");
	EQ(tcmp(b.st_mtim, a.st_mtim), 0);
	EQ(tcmp(b.st_ctim, a.st_ctim), 1);
}

static void times_of_replaced_file(void)
{
	struct stat a;
	int fd;

	mk_fg();
	fd = (int)OK(open("g", O_RDONLY));
	a = fst(fd);
	tick();
	OK(rename("f", "g"));
	EQ(tcmp(fst(fd).st_ctim, a.st_ctim), 1);
	EQ(tcmp(fst(fd).st_mtim, a.st_mtim), 0);
}

static void times_of_unlinked_open_file(void)
{
	struct stat a;
	int fd;

	mk_f();
	fd = (int)OK(open("f", O_RDWR));
	a = fst(fd);
	tick();
	OK(unlink("f"));
	EQ(tcmp(fst(fd).st_ctim, a.st_ctim), 1);
	EQ(tcmp(fst(fd).st_mtim, a.st_mtim), 0);
}

static void times_new_object_has_now(void)
{
	struct stat d, f;

	tick();
	mkfile("f", 0600, "");
	f = lst("f");
	EQ(tcmp(f.st_mtim, f.st_ctim) <= 0, 1);
	OK(mkdir("d", 0700));
	d = lst("d");
	YES(tcmp(d.st_mtim, f.st_mtim) >= 0);
	YES(tcmp(d.st_atim, f.st_atim) >= 0);
	OK(symlink("x", "l"));
	YES(tcmp(lst("l").st_mtim, d.st_mtim) >= 0);
}

static void times_survive_close_and_sync(void)
{
	struct timespec t[2] = { { 12345, 6 }, { 23456, 7 } };
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));

	fill(fd, 0, 5000, 'x');
	OK(futimens(fd, t));
	OK(close(fd));
	YES(!tcmp(lst("f").st_mtim, t[1]));
	fd = (int)OK(open("f", O_RDWR));
	OK(fsync(fd));
	OK(close(fd));
	YES(!tcmp(lst("f").st_mtim, t[1]));
	YES(!tcmp(lst("f").st_atim, t[0]));
}

/* relatime: a read moves atime when it is not later than mtime; noatime mounts leave it. */
static void times_atime_follows_mount_option(void)
{
	struct timespec t[2] = { { 1000, 0 }, { 2000, 0 } };
	struct statvfs v;
	struct stat a;

	OK(statvfs(".", &v));
	mk_f();
	OK(utimensat(AT_FDCWD, "f", t, 0));
	tick();
	do_read();
	a = lst("f");
	if (v.f_flag & ST_NOATIME) {
		EQ(tcmp(a.st_atim, t[0]), 0);
		return;
	}
	EQ(tcmp(a.st_atim, t[1]), 1);
	EQ(a.st_mtim.tv_sec, 2000);
	if (!(v.f_flag & ST_RELATIME))
		return;
	tick();
	do_read();
	EQ(tcmp(lst("f").st_atim, a.st_atim), 0);
}

static void times_o_noatime(void)
{
	struct timespec t[2] = { { 1000, 0 }, { 2000, 0 } };
	int fd;

	mk_f();
	OK(utimensat(AT_FDCWD, "f", t, 0));
	fd = (int)OK(open("f", O_RDONLY | O_NOATIME));
	FILLED(fd, 0, 1, 'd');
	EQ(tcmp(lst("f").st_atim, t[0]), 0);
	OK(chmod("f", 0644));
	be(ALICE, STAFF);
	ERR(EPERM, open("f", O_RDONLY | O_NOATIME));
}

const struct posix_case time_cases[] = {
	CASE(times_of_parent), CASE(times_of_parent_stay), CASE(times_of_file),
	CASE(times_of_file_stay), CASE(times_rename_of_file_changes_ctime),
	CASE(times_of_replaced_file), CASE(times_of_unlinked_open_file),
	CASE(times_new_object_has_now), CASE(times_survive_close_and_sync),
	CASE(times_atime_follows_mount_option), CASE(times_o_noatime),
	{ 0 },
};
