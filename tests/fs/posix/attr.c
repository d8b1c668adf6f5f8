// SPDX-License-Identifier: Apache-2.0
/*
 * stat, access, chmod, chown (with clearing of set-id bits), utimensat.
 */
#include <grp.h>
#include <sys/syscall.h>

#include "tests/fs/posix/posix.h"

static void stat_fields(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0600));
	struct stat st;

	fill(fd, 0, 100000, 'x');
	OK(fsync(fd));
	st = fst(fd);
	EQ(st.st_size, 100000);
	YES(st.st_blocks >= 100000 / 512);
	YES(st.st_blocks <= 2 * 1024 * 1024 / 512);
	YES(st.st_blksize >= 512);
	EQ(st.st_dev, lst(".").st_dev);
	YES(st.st_ino != lst(".").st_ino);
}

static void stat_errors(void)
{
	struct stat st;

	mkfile("f", 0600, "");
	OK(symlink("none", "l"));
	OK(mkdir("no", 0600));
	mkfile("no/f", 0666, "");
	ERR(ENOENT, stat("none", &st));
	ERR(ENOENT, stat("l", &st));
	ERR(ENOENT, stat("", &st));
	ERR(ENOTDIR, stat("f/x", &st));
	ERR(ENOTDIR, stat("f/", &st));
	ERR(EBADF, fstat(-1, &st));
	ERR(EFAULT, syscall(SYS_newfstatat, AT_FDCWD, (void *)8, &st, 0));
	be(ALICE, STAFF);
	ERR(EACCES, stat("no/f", &st));
}

static void stat_statx(void)
{
	struct statx x;

	mkfile("f", 0640, "12345");
	OK(statx(AT_FDCWD, "f", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x));
	EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	EQ(x.stx_size, 5);
	EQ(x.stx_mode, S_IFREG | 0640);
	EQ(x.stx_ino, lst("f").st_ino);
	OK(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_SIZE, &x));
	EQ(x.stx_size, 5);
	OK(statx(AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_SIZE, &x));
	ERR(EINVAL, statx(AT_FDCWD, "f", AT_STATX_SYNC_TYPE, STATX_SIZE, &x));
}

static void access_modes(void)
{
	mkfile("f", 0640, "");
	OK(chown("f", ALICE, STAFF));
	OK(access("f", F_OK | R_OK | W_OK));
	ERR(EACCES, access("f", X_OK));
	ERR(ENOENT, access("none", F_OK));
	ERR(ENOTDIR, access("f/x", F_OK));
	ERR(EINVAL, access("f", 8));
	be(ALICE, EVE);
	OK(faccessat(AT_FDCWD, "f", R_OK | W_OK, AT_EACCESS));
	ERR(EACCES, faccessat(AT_FDCWD, "f", X_OK, AT_EACCESS));
	be(BOB, STAFF);
	OK(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
	ERR(EACCES, faccessat(AT_FDCWD, "f", W_OK, AT_EACCESS));
	be(EVE, GUEST);
	ERR(EACCES, faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
	OK(faccessat(AT_FDCWD, "f", F_OK, AT_EACCESS));
	OK(access("f", R_OK | W_OK));
}

static void chmod_all_bits(void)
{
	mkfile("f", 0600, "");
	OK(mkdir("d", 0700));
	for (unsigned m = 0; m <= 07777; m += 73) {
		OK(chmod("f", m));
		EQ(lst("f").st_mode, S_IFREG | m);
		OK(chmod("d", m));
		EQ(lst("d").st_mode, S_IFDIR | m);
	}
	OK(chmod("f", 0600));
	OK(chmod("f", S_IFDIR | 0644));
	EQ(lst("f").st_mode, S_IFREG | 0644);
}

static void chmod_follows_symlink(void)
{
	mkfile("f", 0600, "");
	OK(symlink("f", "l"));
	OK(chmod("l", 0644));
	EQ(lst("f").st_mode, S_IFREG | 0644);
	EQ(lst("l").st_mode, S_IFLNK | 0777);
}

static void chmod_errors(void)
{
	mkfile("f", 0600, "");
	OK(chmod(".", 0777));
	ERR(ENOENT, chmod("none", 0600));
	ERR(ENOTDIR, chmod("f/x", 0600));
	ERR(EBADF, fchmod(-1, 0600));
	OK(chown("f", BOB, STAFF));
	OK(chmod("f", 0666));
	be(ALICE, STAFF);
	ERR(EPERM, chmod("f", 0600));
	ERR(EPERM, fchmod((int)OK(open("f", O_RDWR)), 0600));
	be(BOB, GUEST);
	OK(chmod("f", 0640));
	EQ(lst("f").st_mode, S_IFREG | 0640);
}

/* The owner who is not in the file's group loses the set-group-id bit silently. */
static void chmod_setgid_of_foreign_group(void)
{
	mkfile("f", 0600, "");
	OK(chown("f", ALICE, GUEST));
	be(ALICE, STAFF);
	OK(chmod("f", 02755));
	EQ(lst("f").st_mode, S_IFREG | 0755);
	be(ALICE, GUEST);
	OK(chmod("f", 02755));
	EQ(lst("f").st_mode, S_IFREG | 02755);
	OK(chmod("f", 04755));
	EQ(lst("f").st_mode, S_IFREG | 04755);
}

static void chown_root(void)
{
	mkfile("f", 0600, "");
	OK(chown("f", ALICE, STAFF));
	EQ(lst("f").st_uid, ALICE);
	EQ(lst("f").st_gid, STAFF);
	OK(chown("f", (uid_t)-1, GUEST));
	EQ(lst("f").st_uid, ALICE);
	EQ(lst("f").st_gid, GUEST);
	OK(chown("f", BOB, (gid_t)-1));
	EQ(lst("f").st_uid, BOB);
	EQ(lst("f").st_gid, GUEST);
	OK(chown("f", 4000000000u, 4000000001u));
	EQ(lst("f").st_uid, 4000000000u);
	EQ(lst("f").st_gid, 4000000001u);
	OK(fchown((int)OK(open("f", O_RDONLY)), 1, 2));
	EQ(lst("f").st_uid, 1);
}

static void chown_errors(void)
{
	gid_t more[1] = { GUEST };

	mkfile("f", 0600, "");
	OK(chown("f", ALICE, STAFF));
	ERR(ENOENT, chown("none", 1, 1));
	ERR(ENOTDIR, chown("f/x", 1, 1));
	ERR(EBADF, fchown(-1, 1, 1));
	be(ALICE, STAFF);
	ERR(EPERM, chown("f", BOB, (gid_t)-1));
	ERR(EPERM, chown("f", (uid_t)-1, GUEST));
	OK(chown("f", ALICE, STAFF));
	be_root();
	OK(setgroups(1, more));
	OK(setegid(STAFF));
	OK(seteuid(ALICE));
	OK(chown("f", (uid_t)-1, GUEST));
	EQ(lst("f").st_gid, GUEST);
	be(BOB, STAFF);
	ERR(EPERM, chown("f", (uid_t)-1, STAFF));
	ERR(EPERM, chown("f", BOB, (gid_t)-1));
}

static void chown_symlink(void)
{
	mkfile("f", 0600, "");
	OK(symlink("f", "l"));
	OK(chown("l", ALICE, STAFF));
	EQ(lst("f").st_uid, ALICE);
	EQ(lst("l").st_uid, 0);
	OK(lchown("l", BOB, STAFF));
	EQ(lst("f").st_uid, ALICE);
	EQ(lst("l").st_uid, BOB);
}

static void chown_clears_setid(void)
{
	mkfile("f", 06755, "");
	OK(chown("f", ALICE, STAFF));
	EQ(lst("f").st_mode, S_IFREG | 0755);
	OK(chmod("f", 06755));
	OK(chown("f", (uid_t)-1, GUEST));
	EQ(lst("f").st_mode, S_IFREG | 0755);
	/* set-group-id without group execute is no set-id bit: root's chown leaves it */
	OK(chmod("f", 02644));
	OK(chown("f", BOB, STAFF));
	EQ(lst("f").st_mode, S_IFREG | 02644);
	OK(mkdir("d", 06755));
	OK(chmod("d", 06755));
	OK(chown("d", ALICE, STAFF));
	EQ(lst("d").st_mode, S_IFDIR | 06755);
}

static void chown_by_owner_clears_setid(void)
{
	mkfile("f", 0600, "");
	OK(chown("f", ALICE, STAFF));
	OK(chmod("f", 06755));
	be(ALICE, STAFF);
	OK(chown("f", (uid_t)-1, STAFF));
	EQ(lst("f").st_mode, S_IFREG | 0755);
}

static void write_clears_setid(void)
{
	int fd;

	mkfile("f", 0600, "12345");
	OK(chown("f", ALICE, STAFF));
	OK(chmod("f", 06777));
	be(ALICE, STAFF);
	fd = (int)OK(open("f", O_WRONLY));
	EQ(write(fd, "x", 1), 1);
	EQ(lst("f").st_mode, S_IFREG | 0777);
	OK(chmod("f", 06777));
	OK(ftruncate(fd, 2));
	EQ(lst("f").st_mode, S_IFREG | 0777);
	OK(chmod("f", 06777));
	OK(truncate("f", 1));
	EQ(lst("f").st_mode, S_IFREG | 0777);
	OK(chmod("f", 06777));
	OK(open("f", O_WRONLY | O_TRUNC));
	EQ(lst("f").st_mode, S_IFREG | 0777);
}

/* The right to write is enough for it, on any way that a write takes. */
static void write_by_other_clears_setid(void)
{
	int fd;

	mkfile("f", 0600, "12345");
	OK(chmod("f", 06777));
	mkfile("g", 0600, "12345");
	OK(chmod("g", 06777));
	be(ALICE, STAFF);
	fd = (int)OK(open("f", O_WRONLY));
	EQ(pwrite(fd, "x", 1, 100000), 1);
	EQ(lst("f").st_mode, S_IFREG | 0777);
	OK(truncate("g", 1));
	EQ(lst("g").st_mode, S_IFREG | 0777);
}

static void write_by_root_keeps_setid(void)
{
	int fd;

	mkfile("f", 06755, "12345");
	fd = (int)OK(open("f", O_WRONLY));
	EQ(write(fd, "x", 1), 1);
	EQ(lst("f").st_mode, S_IFREG | 06755);
}

static struct timespec ts(long long s, long ns)
{
	return (struct timespec){ .tv_sec = s, .tv_nsec = ns };
}

static void utimens_sets_nanoseconds(void)
{
	struct timespec t[2] = { ts(1000000001, 123456789), ts(2000000002, 987654321) };
	struct stat st;
	int fd;

	mkfile("f", 0600, "");
	OK(utimensat(AT_FDCWD, "f", t, 0));
	st = lst("f");
	YES(!tcmp(st.st_atim, t[0]));
	YES(!tcmp(st.st_mtim, t[1]));
	fd = (int)OK(open("f", O_RDONLY));
	t[0] = ts(5, 1);
	t[1] = ts(6, 999999999);
	OK(futimens(fd, t));
	st = lst("f");
	YES(!tcmp(st.st_atim, t[0]));
	YES(!tcmp(st.st_mtim, t[1]));
	OK(mkdir("d", 0700));
	OK(utimensat(AT_FDCWD, "d", t, 0));
	YES(!tcmp(lst("d").st_mtim, t[1]));
}

static void utimens_now_and_omit(void)
{
	struct timespec old[2] = { ts(1000, 1), ts(2000, 2) }, t[2];
	struct stat st, ref;

	mkfile("f", 0600, "");
	OK(utimensat(AT_FDCWD, "f", old, 0));
	t[0] = ts(0, UTIME_OMIT);
	t[1] = ts(3000, 3);
	OK(utimensat(AT_FDCWD, "f", t, 0));
	st = lst("f");
	YES(!tcmp(st.st_atim, old[0]));
	YES(!tcmp(st.st_mtim, t[1]));
	t[1] = ts(0, UTIME_OMIT);
	t[0] = ts(4000, 4);
	OK(utimensat(AT_FDCWD, "f", t, 0));
	st = lst("f");
	YES(!tcmp(st.st_atim, t[0]));
	EQ(st.st_mtim.tv_sec, 3000);
	mkfile("ref", 0600, "");
	ref = lst("ref");
	t[0] = ts(0, UTIME_NOW);
	t[1] = ts(0, UTIME_OMIT);
	OK(utimensat(AT_FDCWD, "f", t, 0));
	st = lst("f");
	YES(st.st_atim.tv_sec >= ref.st_mtim.tv_sec - 1);
	EQ(st.st_mtim.tv_sec, 3000);
	OK(utimensat(AT_FDCWD, "f", NULL, 0));
	st = lst("f");
	YES(st.st_mtim.tv_sec >= ref.st_mtim.tv_sec - 1);
	YES(!tcmp(st.st_mtim, st.st_atim));
	t[0] = t[1] = ts(0, UTIME_OMIT);
	OK(utimensat(AT_FDCWD, "f", t, 0));
	YES(!tcmp(lst("f").st_mtim, st.st_mtim));
}

static void utimens_symlink(void)
{
	struct timespec t[2] = { ts(100, 5), ts(200, 6) };

	mkfile("f", 0600, "");
	OK(symlink("f", "l"));
	OK(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
	EQ(lst("l").st_mtim.tv_sec, 200);
	EQ(lst("l").st_mtim.tv_nsec, 6);
	YES(lst("f").st_mtim.tv_sec != 200);
	OK(utimensat(AT_FDCWD, "l", t, 0));
	EQ(lst("f").st_mtim.tv_sec, 200);
}

static void utimens_range(void)
{
	static const long long sec[] = { 0, -1, -86400, 1, 2147483647, 2147483648ll, 4294967296ll };
	struct timespec t[2];

	mkfile("f", 0600, "");
	for (size_t i = 0; i < sizeof(sec) / sizeof(sec[0]); i++) {
		t[0] = t[1] = ts(sec[i], 7);
		OK(utimensat(AT_FDCWD, "f", t, 0));
		EQ(lst("f").st_mtim.tv_sec, sec[i]);
		EQ(lst("f").st_atim.tv_sec, sec[i]);
		EQ(lst("f").st_mtim.tv_nsec, 7);
	}
}

static void utimens_errors(void)
{
	struct timespec bad[2] = { ts(0, 1000000000), ts(0, 0) };
	struct timespec now[2] = { ts(0, UTIME_NOW), ts(0, UTIME_NOW) };
	struct timespec t[2] = { ts(1, 1), ts(2, 2) };

	mkfile("f", 0644, "");
	OK(chown("f", BOB, STAFF));
	ERR(EINVAL, utimensat(AT_FDCWD, "f", bad, 0));
	ERR(ENOENT, utimensat(AT_FDCWD, "none", t, 0));
	ERR(ENOTDIR, utimensat(AT_FDCWD, "f/x", t, 0));
	be(ALICE, STAFF);
	ERR(EPERM, utimensat(AT_FDCWD, "f", t, 0));
	ERR(EACCES, utimensat(AT_FDCWD, "f", NULL, 0));
	be_root();
	OK(chmod("f", 0666));
	be(ALICE, STAFF);
	ERR(EPERM, utimensat(AT_FDCWD, "f", t, 0));
	OK(utimensat(AT_FDCWD, "f", NULL, 0));
	OK(utimensat(AT_FDCWD, "f", now, 0));
	now[1] = ts(0, UTIME_OMIT);
	ERR(EPERM, utimensat(AT_FDCWD, "f", now, 0));
	be(BOB, GUEST);
	OK(utimensat(AT_FDCWD, "f", t, 0));
}

const struct posix_case attr_cases[] = {
	CASE(stat_fields), CASE(stat_errors), CASE(stat_statx), CASE(access_modes),
	CASE(chmod_all_bits), CASE(chmod_follows_symlink), CASE(chmod_errors),
	CASE(chmod_setgid_of_foreign_group), CASE(chown_root), CASE(chown_errors),
	CASE(chown_symlink), CASE(chown_clears_setid), CASE(chown_by_owner_clears_setid),
	CASE(write_clears_setid), CASE(write_by_root_keeps_setid), CASE(utimens_sets_nanoseconds),
	CASE(write_by_other_clears_setid),
	CASE(utimens_now_and_omit), CASE(utimens_symlink), CASE(utimens_range),
	CASE(utimens_errors),
	{ 0 },
};
