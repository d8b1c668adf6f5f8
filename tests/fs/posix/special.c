// SPDX-License-Identifier: Apache-2.0
/*
 * mknod, mkfifo, sockets, statfs, and descriptors of directories.
 */
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>

#include "tests/fs/posix/posix.h"

static void mknod_each_type(void)
{
	static const struct { const char *name; mode_t mode; dev_t dev; } t[] = {
		{ "reg", S_IFREG | 0640, 0 }, { "plain", 0600, 0 }, { "fifo", S_IFIFO | 0622, 0 },
		{ "sock", S_IFSOCK | 0755, 0 }, { "chr", S_IFCHR | 0600, 0 },
		{ "blk", S_IFBLK | 0660, 0 },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		mode_t want = t[i].mode & S_IFMT ? t[i].mode : t[i].mode | S_IFREG;
		dev_t dev = S_ISCHR(want) || S_ISBLK(want) ? makedev(1, 3) : 0;

		OK(mknod(t[i].name, t[i].mode, dev));
		EQ(lst(t[i].name).st_mode, want);
		EQ(lst(t[i].name).st_rdev, dev);
		EQ(lst(t[i].name).st_nlink, 1);
		EQ(lst(t[i].name).st_size, 0);
	}
}

static void mknod_large_device_numbers(void)
{
	OK(mknod("a", S_IFBLK | 0600, makedev(4095, 1048575)));
	EQ(lst("a").st_rdev, makedev(4095, 1048575));
	OK(mknod("b", S_IFCHR | 0600, makedev(300, 5)));
	EQ(major(lst("b").st_rdev), 300);
	EQ(minor(lst("b").st_rdev), 5);
	OK(mknod("c", S_IFCHR | 0600, makedev(5, 300)));
	EQ(minor(lst("c").st_rdev), 300);
}

static void mknod_device_works(void)
{
	struct statfs fs;
	int fd;

	OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	OK(statfs(".", &fs));
	if (fs.f_flags & ST_NODEV) {
		ERR(EACCES, open("null", O_WRONLY));
		return;
	}
	fd = (int)OK(open("null", O_RDWR));
	EQ(write(fd, "x", 1), 1);
	EQ(read(fd, &(char){ 0 }, 1), 0);
	EQ(fst(fd).st_rdev, makedev(1, 3));
}

static void mknod_errors(void)
{
	mkfile("f", 0600, "");
	ERR(EEXIST, mknod("f", S_IFIFO | 0600, 0));
	ERR(EEXIST, mknod("f", S_IFREG | 0600, 0));
	ERR(ENOENT, mknod("none/f", S_IFIFO | 0600, 0));
	ERR(ENOTDIR, mknod("f/x", S_IFIFO | 0600, 0));
	ERR(EPERM, mknod("d", S_IFDIR | 0700, 0));
	ERR(EINVAL, mknod("l", S_IFLNK | 0700, 0));
	OK(chmod(".", 0777));
	be(ALICE, STAFF);
	ERR(EPERM, mknod("dev", S_IFCHR | 0600, makedev(1, 3)));
	ERR(EPERM, mknod("dev", S_IFBLK | 0600, makedev(1, 3)));
	OK(mknod("fifo", S_IFIFO | 0600, 0));
	EQ(lst("fifo").st_uid, ALICE);
	OK(mknod("sock", S_IFSOCK | 0600, 0));
}

static void fifo_write(void *unused)
{
	int fd;

	(void)unused;
	fd = (int)OK(open("p", O_WRONLY));
	EQ(write(fd, "through", 7), 7);
	OK(close(fd));
}

static void mkfifo_carries_data(void)
{
	char buf[16];
	int fd;

	umask(022);
	OK(mkfifo("p", 0666));
	EQ(lst("p").st_mode, S_IFIFO | 0644);
	ERR(EEXIST, mkfifo("p", 0600));
	fd = (int)OK(open("p", O_RDONLY | O_NONBLOCK));
	in_child(fifo_write, NULL);
	EQ(read(fd, buf, sizeof(buf)), 7);
	YES(!memcmp(buf, "through", 7));
	EQ(read(fd, buf, sizeof(buf)), 0);
	ERR(ESPIPE, lseek(fd, 0, SEEK_SET));
	EQ(lst("p").st_size, 0);
}

static void socket_bind_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "s" };
	int s = (int)OK(socket(AF_UNIX, SOCK_STREAM, 0)), c;
	char buf[4];

	OK(bind(s, (struct sockaddr *)&a, sizeof(a)));
	YES(S_ISSOCK(lst("s").st_mode));
	OK(listen(s, 1));
	c = (int)OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(connect(c, (struct sockaddr *)&a, sizeof(a)));
	EQ(write(c, "hey", 3), 3);
	EQ(read((int)OK(accept(s, NULL, NULL)), buf, 4), 3);
	ERR(EADDRINUSE, bind((int)OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a,
			     sizeof(a)));
	OK(rename("s", "t"));
	strcpy(a.sun_path, "t");
	OK(connect((int)OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, sizeof(a)));
	OK(unlink("t"));
	ERR(ENOENT, connect((int)OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a,
			    sizeof(a)));
}

static void statfs_is_plausible(void)
{
	struct statfs a, b;
	int fd;

	OK(statfs(".", &a));
	YES(a.f_bsize >= 512);
	YES(a.f_blocks > 0);
	YES(a.f_bfree <= a.f_blocks);
	YES(a.f_bavail <= a.f_bfree);
	YES(a.f_ffree <= a.f_files);
	YES(a.f_namelen >= 255);
	mkfile("f", 0600, "");
	fd = (int)OK(open("f", O_RDONLY));
	OK(fstatfs(fd, &b));
	EQ(b.f_type, a.f_type);
	EQ(b.f_blocks, a.f_blocks);
	ERR(ENOENT, statfs("none", &a));
	ERR(ENOTDIR, statfs("f/x", &a));
	ERR(EBADF, fstatfs(-1, &a));
}

static void statvfs_agrees(void)
{
	struct statfs a;
	struct statvfs v;

	OK(statfs(".", &a));
	OK(statvfs(".", &v));
	EQ(v.f_blocks, a.f_blocks);
	EQ(v.f_namemax, a.f_namelen);
	EQ(v.f_fsid != 0 || a.f_fsid.__val[0] == 0, 1);
}

static void directory_descriptor_calls(void)
{
	int d = (int)OK(open(".", O_RDONLY | O_DIRECTORY));

	OK(fsync(d));
	OK(fchdir(d));
	OK(fchmod(d, 0750));
	EQ(lst(".").st_mode, S_IFDIR | 0750);
	OK(fchown(d, ALICE, STAFF));
	EQ(lst(".").st_uid, ALICE);
	ERR(EINVAL, ftruncate(d, 0));
	ERR(EISDIR, truncate(".", 0));
	mkfile("f", 0600, "");
	ERR(ENOTDIR, fchdir((int)OK(open("f", O_RDONLY))));
}

const struct posix_case special_cases[] = {
	CASE(mknod_each_type), CASE(mknod_large_device_numbers), CASE(mknod_device_works),
	CASE(mknod_errors), CASE(mkfifo_carries_data), CASE(socket_bind_connect),
	CASE(statfs_is_plausible), CASE(statvfs_agrees), CASE(directory_descriptor_calls),
	{ 0 },
};
