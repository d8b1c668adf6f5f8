// SPDX-License-Identifier: Apache-2.0
/*
 * open, creat, close: flags, what they create, and each errno.
 */
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/fs/posix/posix.h"

static void open_creates(void)
{
	int fd = (int)OK(open("f", O_CREAT | O_RDWR, 0640));
	struct stat st = fst(fd);

	EQ(st.st_mode, S_IFREG | 0640);
	EQ(st.st_size, 0);
	EQ(st.st_nlink, 1);
	EQ(st.st_uid, 0);
	EQ(st.st_gid, 0);
	EQ(lst("f").st_ino, st.st_ino);
}

static void open_umask(void)
{
	umask(027);
	OK(close((int)OK(open("f", O_CREAT | O_RDWR, 0777))));
	EQ(lst("f").st_mode, S_IFREG | 0750);
	umask(0777);
	OK(close((int)OK(open("g", O_CREAT | O_RDWR, 0777))));
	EQ(lst("g").st_mode, S_IFREG);
}

static void open_mode_zero_keeps_fd_usable(void)
{
	int fd;

	be(ALICE, STAFF);
	fd = (int)OK(open("f", O_CREAT | O_RDWR, 0));
	EQ(write(fd, "x", 1), 1);
	ERR(EACCES, open("f", O_RDONLY));
}

static void open_owner_is_creator(void)
{
	be(ALICE, STAFF);
	OK(open("f", O_CREAT | O_RDWR, 0600));
	EQ(lst("f").st_uid, ALICE);
	EQ(lst("f").st_gid, STAFF);
}

static void open_excl(void)
{
	OK(open("f", O_CREAT | O_EXCL | O_RDWR, 0600));
	ERR(EEXIST, open("f", O_CREAT | O_EXCL | O_RDWR, 0600));
	OK(symlink("nowhere", "l"));
	ERR(EEXIST, open("l", O_CREAT | O_EXCL | O_RDWR, 0600));
	OK(mkdir("d", 0700));
	ERR(EEXIST, open("d", O_CREAT | O_EXCL | O_RDWR, 0600));
}

static void open_excl_race(void)
{
	int p[2], wins = 0;
	char c;

	OK(pipe(p));
	for (int i = 0; i < 8; i++) {
		if (!OK(fork())) {
			int n = 0;

			for (int k = 0; k < 20; k++) {
				char name[16];

				snprintf(name, sizeof(name), "r%d", k);
				if (open(name, O_CREAT | O_EXCL | O_WRONLY, 0600) >= 0)
					n++;
				else if (errno != EEXIST)
					_exit(1);
			}
			for (; n; n--)
				if (write(p[1], "w", 1) != 1)
					_exit(1);
			_exit(0);
		}
	}
	OK(close(p[1]));
	while (read(p[0], &c, 1) == 1)
		wins++;
	EQ(wins, 20);
}

static void open_trunc(void)
{
	mkfile("f", 0600, "hello");
	OK(open("f", O_WRONLY | O_TRUNC));
	EQ(lst("f").st_size, 0);
	mkfile("g", 0600, "hello");
	OK(open("g", O_WRONLY | O_CREAT | O_TRUNC, 0600));
	HOLDS("g", "");
	mkfile("h", 0600, "hello");
	OK(open("h", O_WRONLY | O_CREAT, 0777));
	HOLDS("h", "hello");
	EQ(lst("h").st_mode, S_IFREG | 0600);
}

static void open_trunc_needs_write_permission(void)
{
	mkfile("f", 0444, "hello");
	be(ALICE, STAFF);
	ERR(EACCES, open("f", O_RDONLY | O_TRUNC));
	HOLDS("f", "hello");
}

static void open_access_modes(void)
{
	char c = 'x';
	int fd;

	mkfile("f", 0600, "hello");
	fd = (int)OK(open("f", O_RDONLY));
	ERR(EBADF, write(fd, &c, 1));
	fd = (int)OK(open("f", O_WRONLY));
	ERR(EBADF, read(fd, &c, 1));
	EQ(write(fd, "J", 1), 1);
	fd = (int)OK(open("f", O_RDWR));
	EQ(read(fd, &c, 1), 1);
	EQ(c, 'J');
	OK(close(fd));
	ERR(EBADF, close(fd));
	ERR(EBADF, read(fd, &c, 1));
}

static void open_directory(void)
{
	char c;
	int fd;

	OK(mkdir("d", 0700));
	mkfile("f", 0600, "");
	ERR(EISDIR, open("d", O_WRONLY));
	ERR(EISDIR, open("d", O_RDWR));
	ERR(EISDIR, open("d", O_RDONLY | O_CREAT, 0600));
	ERR(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
	fd = (int)OK(open("d", O_RDONLY | O_DIRECTORY));
	ERR(EISDIR, read(fd, &c, 1));
	ERR(EBADF, write(fd, &c, 1));
}

static void open_missing(void)
{
	mkfile("f", 0600, "");
	ERR(ENOENT, open("none", O_RDONLY));
	ERR(ENOENT, open("none/f", O_CREAT | O_RDWR, 0600));
	ERR(ENOENT, open("", O_RDONLY));
	ERR(ENOTDIR, open("f/g", O_RDONLY));
	ERR(ENOTDIR, open("f/g", O_CREAT | O_RDWR, 0600));
	ERR(ENOTDIR, open("f/", O_RDONLY));
	ERR(EISDIR, open("new/", O_CREAT | O_RDWR, 0600));
	ERR(ENOENT, lstat("new", &(struct stat){ 0 }));
}

static void open_after_negative_lookup(void)
{
	struct stat st;

	ERR(ENOENT, stat("f", &st));
	mkfile("f", 0600, "x");
	OK(stat("f", &st));
	OK(unlink("f"));
	ERR(ENOENT, stat("f", &st));
	ERR(ENOENT, open("f", O_RDONLY));
}

static void open_nofollow(void)
{
	mkfile("f", 0600, "x");
	OK(symlink("f", "l"));
	ERR(ELOOP, open("l", O_RDONLY | O_NOFOLLOW));
	OK(open("l", O_RDONLY));
	OK(open("l", O_PATH | O_NOFOLLOW));
}

static void open_creates_through_symlink(void)
{
	OK(symlink("target", "l"));
	OK(open("l", O_CREAT | O_RDWR, 0600));
	EQ(lst("target").st_mode, S_IFREG | 0600);
	OK(symlink("none/target", "m"));
	ERR(ENOENT, open("m", O_CREAT | O_RDWR, 0600));
}

static void open_fifo_nonblock(void)
{
	OK(mkfifo("p", 0600));
	ERR(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
	OK(open("p", O_RDONLY | O_NONBLOCK));
	OK(open("p", O_WRONLY | O_NONBLOCK));
}

static void open_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "s" };
	int s = (int)OK(socket(AF_UNIX, SOCK_STREAM, 0));

	OK(bind(s, (struct sockaddr *)&a, sizeof(a)));
	ERR(ENXIO, open("s", O_RDONLY));
	ERR(ENXIO, open("s", O_WRONLY));
}

static void open_tmpfile(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	char path[64];

	if (fd < 0) {
		EQ(errno, EOPNOTSUPP);
		return;
	}
	EQ(fst(fd).st_nlink, 0);
	EQ(write(fd, "tmp", 3), 3);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "f", AT_SYMLINK_FOLLOW));
	EQ(fst(fd).st_nlink, 1);
	HOLDS("f", "tmp");
}

static void open_creat_call(void)
{
	mkfile("f", 0600, "hello");
	OK(creat("f", 0777));
	EQ(lst("f").st_size, 0);
	EQ(lst("f").st_mode, S_IFREG | 0600);
}

static void open_setuid_bits_kept(void)
{
	OK(open("f", O_CREAT | O_RDWR, 06755));
	EQ(lst("f").st_mode, S_IFREG | 06755);
	OK(open("g", O_CREAT | O_RDWR, 01644));
	EQ(lst("g").st_mode & 01000, 01000);
}

static void open_at(void)
{
	int d;

	OK(mkdir("d", 0700));
	d = (int)OK(open("d", O_RDONLY | O_DIRECTORY));
	OK(openat(d, "f", O_CREAT | O_RDWR, 0600));
	EQ(lst("d/f").st_mode, S_IFREG | 0600);
	OK(rename("d", "e"));
	OK(openat(d, "g", O_CREAT | O_RDWR, 0600));
	EQ(lst("e/g").st_mode, S_IFREG | 0600);
	ERR(EBADF, openat(-5, "f", O_RDONLY));
	ERR(ENOTDIR, openat((int)OK(open("e/f", O_RDONLY)), "x", O_RDONLY));
}

static void open_in_removed_directory(void)
{
	int d;

	OK(mkdir("d", 0700));
	d = (int)OK(open("d", O_RDONLY | O_DIRECTORY));
	OK(rmdir("d"));
	ERR(ENOENT, openat(d, "f", O_CREAT | O_RDWR, 0600));
	ERR(ENOENT, mkdirat(d, "f", 0600));
	ERR(ENOENT, symlinkat("x", d, "f"));
	ERR(ENOENT, mknodat(d, "f", S_IFIFO | 0600, 0));
	EQ(fst(d).st_nlink, 0);
}

static void run_prog(void *want)
{
	int out = (int)OK(open("/dev/null", O_WRONLY));

	OK(dup2(out, 1));
	execl("./prog", "posix", "-l", NULL);
	_exit(errno == (int)(intptr_t)want ? 0 : 1);
}

/* A program runs from the file system, and not while it is open for writing. */
static void open_exec_and_text_busy(void)
{
	char self[PATH_MAX] = "", buf[65536];
	ssize_t n;
	int in, out;

	OK(readlink("/proc/self/exe", self, sizeof(self) - 1));
	in = (int)OK(open(self, O_RDONLY));
	out = (int)OK(open("prog", O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
	while ((n = OK(read(in, buf, sizeof(buf)))) > 0)
		EQ(write(out, buf, (size_t)n), n);
	in_child(run_prog, (void *)(intptr_t)ETXTBSY);
	OK(close(out));
	in_child(run_prog, NULL);
	OK(chmod("prog", 0644));
	in_child(run_prog, (void *)(intptr_t)EACCES);
}

const struct posix_case open_cases[] = {
	CASE(open_creates), CASE(open_umask), CASE(open_mode_zero_keeps_fd_usable),
	CASE(open_owner_is_creator), CASE(open_excl), CASE(open_excl_race), CASE(open_trunc),
	CASE(open_trunc_needs_write_permission), CASE(open_access_modes), CASE(open_directory),
	CASE(open_missing), CASE(open_after_negative_lookup), CASE(open_nofollow),
	CASE(open_creates_through_symlink), CASE(open_fifo_nonblock), CASE(open_socket),
	CASE(open_tmpfile), CASE(open_creat_call), CASE(open_setuid_bits_kept), CASE(open_at),
	CASE(open_in_removed_directory), CASE(open_exec_and_text_busy),
	{ 0 },
};
