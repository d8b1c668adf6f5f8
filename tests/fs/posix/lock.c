// SPDX-License-Identifier: Apache-2.0
/*
 * fcntl record locks, OFD locks, flock.
 */
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "tests/fs/posix/posix.h"

static struct flock range(short type, off_t start, off_t len)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};
}

static int set(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock l = range(type, start, len);

	return fcntl(fd, cmd, &l);
}

static int fd_of_f(void)
{
	return (int)OK(open("f", O_CREAT | O_RDWR, 0600));
}

static void child_conflicts(void *unused)
{
	struct flock l = range(F_WRLCK, 0, 0);
	int fd = fd_of_f();

	(void)unused;
	ERR(EAGAIN, set(fd, F_SETLK, F_WRLCK, 10, 1));
	ERR(EAGAIN, set(fd, F_SETLK, F_RDLCK, 19, 10));
	OK(set(fd, F_SETLK, F_WRLCK, 0, 10));
	OK(set(fd, F_SETLK, F_WRLCK, 20, 10));
	OK(set(fd, F_SETLK, F_RDLCK, 30, 10));
	ERR(EAGAIN, set(fd, F_SETLK, F_WRLCK, 30, 1));
	OK(fcntl(fd, F_GETLK, &l));
	EQ(l.l_type, F_WRLCK);
	EQ(l.l_start, 10);
	EQ(l.l_len, 10);
	EQ(l.l_pid, getppid());
	l = range(F_WRLCK, 100, 1);
	OK(fcntl(fd, F_GETLK, &l));
	EQ(l.l_type, F_UNLCK);
}

static void fcntl_conflicts(void)
{
	int fd = fd_of_f();

	OK(set(fd, F_SETLK, F_WRLCK, 10, 10));
	OK(set(fd, F_SETLK, F_RDLCK, 30, 10));
	in_child(child_conflicts, NULL);
}

static void child_gets_all(void *unused)
{
	(void)unused;
	OK(set(fd_of_f(), F_SETLK, F_WRLCK, 0, 0));
}

static void fcntl_released_by_any_close(void)
{
	int fd = fd_of_f();

	OK(set(fd, F_SETLK, F_WRLCK, 0, 0));
	OK(close(fd_of_f()));
	in_child(child_gets_all, NULL);
}

static void child_takes_and_exits(void *unused)
{
	(void)unused;
	OK(set(fd_of_f(), F_SETLK, F_WRLCK, 0, 0));
}

static void fcntl_released_by_exit(void)
{
	int fd = fd_of_f();

	in_child(child_takes_and_exits, NULL);
	OK(set(fd, F_SETLK, F_WRLCK, 0, 0));
}

static void child_after_split(void *unused)
{
	int fd = fd_of_f();

	(void)unused;
	OK(set(fd, F_SETLK, F_WRLCK, 40, 20));
	ERR(EAGAIN, set(fd, F_SETLK, F_WRLCK, 39, 1));
	ERR(EAGAIN, set(fd, F_SETLK, F_WRLCK, 60, 1));
}

static void fcntl_unlock_splits(void)
{
	int fd = fd_of_f();

	OK(set(fd, F_SETLK, F_WRLCK, 0, 100));
	OK(set(fd, F_SETLK, F_UNLCK, 40, 20));
	in_child(child_after_split, NULL);
}

static void fcntl_waits(void)
{
	int fd = fd_of_f(), p[2], status;
	char c;
	pid_t pid;

	OK(pipe(p));
	OK(set(fd, F_SETLK, F_WRLCK, 0, 0));
	pid = (pid_t)OK(fork());
	if (!pid) {
		int mine = fd_of_f();

		ERR(EAGAIN, set(mine, F_SETLK, F_WRLCK, 0, 0));
		EQ(write(p[1], "w", 1), 1);
		OK(set(mine, F_SETLKW, F_WRLCK, 0, 0));
		HOLDS("f", "before unlock");
		_exit(0);
	}
	EQ(read(p[0], &c, 1), 1);
	fill(fd, 0, 1, 'b');
	EQ(pwrite(fd, "before unlock", 13, 0), 13);
	OK(set(fd, F_SETLK, F_UNLCK, 0, 0));
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, 0);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void child_interrupted(void *unused)
{
	struct sigaction a = { .sa_handler = on_alarm };

	(void)unused;
	OK(sigaction(SIGALRM, &a, NULL));
	alarm(1);
	ERR(EINTR, set(fd_of_f(), F_SETLKW, F_WRLCK, 0, 0));
}

static void fcntl_wait_is_interruptible(void)
{
	OK(set(fd_of_f(), F_SETLK, F_WRLCK, 0, 0));
	in_child(child_interrupted, NULL);
}

/* A holds 0 and waits for 1, B holds 1 and asks for 0: one of them gets EDEADLK. */
static void fcntl_deadlock(void)
{
	int fd = fd_of_f(), p[2], status, mine;
	bool parent_lost;
	pid_t pid;
	char c;

	OK(pipe(p));
	OK(set(fd, F_SETLK, F_WRLCK, 0, 1));
	pid = (pid_t)OK(fork());
	if (!pid) {
		mine = fd_of_f();
		OK(set(mine, F_SETLK, F_WRLCK, 1, 1));
		EQ(write(p[1], "r", 1), 1);
		if (!set(mine, F_SETLKW, F_WRLCK, 0, 1))
			_exit(0);
		_exit(errno == EDEADLK ? 5 : 1);
	}
	EQ(read(p[0], &c, 1), 1);
	parent_lost = set(fd, F_SETLKW, F_WRLCK, 1, 1) < 0;
	if (parent_lost) {
		EQ(errno, EDEADLK);
		OK(set(fd, F_SETLK, F_UNLCK, 0, 1));
	}
	EQ(waitpid(pid, &status, 0), pid);
	EQ(WEXITSTATUS(status), parent_lost ? 0 : 5);
}

static void fcntl_errors(void)
{
	int ro, wo;

	mkfile("f", 0600, "");
	ro = (int)OK(open("f", O_RDONLY));
	wo = (int)OK(open("f", O_WRONLY));
	ERR(EBADF, set(ro, F_SETLK, F_WRLCK, 0, 1));
	ERR(EBADF, set(wo, F_SETLK, F_RDLCK, 0, 1));
	ERR(EINVAL, set(ro, F_SETLK, F_RDLCK, -5, 1));
	ERR(EINVAL, set(ro, F_SETLK, 99, 0, 1));
	ERR(EBADF, set(-1, F_SETLK, F_RDLCK, 0, 1));
}

static void ofd_belongs_to_the_description(void)
{
	int a = fd_of_f(), b = fd_of_f(), c = (int)OK(dup(a));

	OK(set(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	ERR(EAGAIN, set(b, F_OFD_SETLK, F_WRLCK, 5, 1));
	ERR(EAGAIN, set(b, F_SETLK, F_WRLCK, 5, 1));
	OK(set(c, F_OFD_SETLK, F_RDLCK, 0, 10));
	OK(set(b, F_OFD_SETLK, F_RDLCK, 0, 10));
	OK(set(b, F_OFD_SETLK, F_UNLCK, 0, 10));
	OK(close(a));
	ERR(EAGAIN, set(b, F_OFD_SETLK, F_WRLCK, 5, 1));
	OK(close(c));
	OK(set(b, F_OFD_SETLK, F_WRLCK, 5, 1));
}

static void flock_modes(void)
{
	int a = fd_of_f(), b = fd_of_f();

	OK(flock(a, LOCK_SH | LOCK_NB));
	OK(flock(b, LOCK_SH | LOCK_NB));
	ERR(EAGAIN, flock(a, LOCK_EX | LOCK_NB));
	OK(flock(b, LOCK_UN));
	OK(flock(a, LOCK_EX | LOCK_NB));
	ERR(EAGAIN, flock(b, LOCK_SH | LOCK_NB));
	OK(close(a));
	OK(flock(b, LOCK_EX | LOCK_NB));
	ERR(EINVAL, flock(b, 0));
}

static void flock_shared_by_fork_and_dup(void)
{
	int a = fd_of_f(), b = fd_of_f(), d = (int)OK(dup(a));

	OK(flock(a, LOCK_EX));
	OK(flock(d, LOCK_EX | LOCK_NB));
	OK(close(a));
	ERR(EAGAIN, flock(b, LOCK_EX | LOCK_NB));
	OK(flock(d, LOCK_UN));
	OK(flock(b, LOCK_EX | LOCK_NB));
}

static void flock_and_fcntl_are_apart(void)
{
	int a = fd_of_f(), b = fd_of_f();

	OK(flock(a, LOCK_EX));
	OK(set(b, F_OFD_SETLK, F_WRLCK, 0, 0));
}

static void flock_on_read_only_and_directory(void)
{
	mkfile("f", 0600, "");
	OK(flock((int)OK(open("f", O_RDONLY)), LOCK_EX | LOCK_NB));
	OK(flock((int)OK(open(".", O_RDONLY)), LOCK_EX | LOCK_NB));
}

static void lock_waits_for_holder_killed(void)
{
	int fd = fd_of_f(), p[2];
	pid_t pid;
	char c;

	OK(pipe(p));
	pid = (pid_t)OK(fork());
	if (!pid) {
		OK(flock(fd_of_f(), LOCK_EX));
		OK(set(fd_of_f(), F_SETLK, F_WRLCK, 0, 0));
		EQ(write(p[1], "h", 1), 1);
		for (;;)
			pause();
	}
	EQ(read(p[0], &c, 1), 1);
	ERR(EAGAIN, flock(fd, LOCK_EX | LOCK_NB));
	OK(kill(pid, SIGKILL));
	OK(flock(fd, LOCK_EX));
	OK(set(fd, F_SETLKW, F_WRLCK, 0, 0));
	EQ(waitpid(pid, NULL, 0), pid);
}

static void leases_or_refuse(void)
{
	int fd;

	mkfile("f", 0600, "");
	fd = (int)OK(open("f", O_RDONLY));
	if (!fcntl(fd, F_SETLEASE, F_RDLCK)) {
		EQ(fcntl(fd, F_GETLEASE), F_RDLCK);
		OK(fcntl(fd, F_SETLEASE, F_UNLCK));
		return;
	}
	YES(errno == EINVAL || errno == EAGAIN || errno == EOPNOTSUPP);
}

const struct posix_case lock_cases[] = {
	CASE(fcntl_conflicts), CASE(fcntl_released_by_any_close), CASE(fcntl_released_by_exit),
	CASE(fcntl_unlock_splits), CASE(fcntl_waits), CASE(fcntl_wait_is_interruptible),
	CASE(fcntl_deadlock), CASE(fcntl_errors), CASE(ofd_belongs_to_the_description),
	CASE(flock_modes), CASE(flock_shared_by_fork_and_dup), CASE(flock_and_fcntl_are_apart),
	CASE(flock_on_read_only_and_directory), CASE(lock_waits_for_holder_killed),
	CASE(leases_or_refuse),
	{ 0 },
};
