/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of the POSIX conformance suite. Each case is a function that runs in a process of
 * its own, as root, umask 0, in an empty directory of its own which is the current directory.
 * The first expectation that does not hold prints "file:line: expression: expected, got" and
 * ends the case; a case that returns has passed. The frame then removes the directory.
 *
 * Nothing is shared between cases but the mount. Processes and credentials that a case changes
 * vanish with it.
 */
#ifndef WEFT_TESTS_FS_POSIX_H
#define WEFT_TESTS_FS_POSIX_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/** struct posix_case - one test: its name and what to run */
struct posix_case {
	const char *name;
	void (*run)(void);
};

#define CASE(fn) { #fn, fn }

extern const struct posix_case open_cases[], dir_cases[], rename_cases[], link_cases[],
	special_cases[], attr_cases[], perm_cases[], data_cases[], alloc_cases[], map_cases[],
	copy_cases[], xattr_cases[], lock_cases[], time_cases[], name_cases[], rename2_cases[];

/* Ends the case as failed; the message follows "file:line: ". */
void case_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
/* Ends the case as skipped: this machine (not the file system) cannot run it. */
void case_skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* errno's name, for messages */
const char *ename(int err);

/* The expression must not be negative; its value is the value of the macro. */
#define OK(expr) ({ \
	long r_; \
	errno = 0; \
	r_ = (long)(expr); \
	if (r_ < 0) \
		case_fail(__FILE__, __LINE__, "%s: expected success, got %s", #expr, \
			  ename(errno)); \
	r_; })

/* The expression must be -1 with this errno. */
#define ERR(err, expr) do { \
	long r_; \
	errno = 0; \
	r_ = (long)(expr); \
	if (r_ != -1) \
		case_fail(__FILE__, __LINE__, "%s: expected %s, got %ld", #expr, ename(err), r_); \
	if (errno != (err)) \
		case_fail(__FILE__, __LINE__, "%s: expected %s, got %s", #expr, ename(err), \
			  ename(errno)); \
} while (0)

/* Two integers must be equal; errno is left alone, so that EQ(errno, E...) works. */
#define EQ(expr, want) do { \
	long long a_, b_; \
	a_ = (long long)(expr); \
	b_ = (long long)(want); \
	if (a_ != b_) \
		case_fail(__FILE__, __LINE__, "%s: expected %lld (0%llo), got %lld (0%llo)%s%s", \
			  #expr, b_, b_, a_, a_, a_ == -1 ? " " : "", \
			  a_ == -1 ? ename(errno) : ""); \
} while (0)

/* A condition must hold. */
#define YES(cond) do { \
	if (!(cond)) \
		case_fail(__FILE__, __LINE__, "%s: does not hold", #cond); \
} while (0)

/* Helpers; all of them end the case when they fail. */

/* lstat() or fstat() with the result by value */
struct stat lst(const char *path);
struct stat fst(int fd);
/* makes a file with this mode and text */
void mkfile(const char *path, mode_t mode, const char *text);
/* the whole content must be this text */
#define HOLDS(path, text) case_holds(__FILE__, __LINE__, path, text)
void case_holds(const char *file, int line, const char *path, const char *text);
/* the file must be n bytes that are all c from off on */
#define FILLED(fd, off, n, c) case_filled(__FILE__, __LINE__, fd, off, n, c)
void case_filled(const char *file, int line, int fd, off_t off, size_t n, int c);
/* writes n bytes of c at off */
void fill(int fd, off_t off, size_t n, int c);
/* effective user and group with no further groups; be_root() goes back */
void be(uid_t uid, gid_t gid);
void be_root(void);
/* runs fn in a child; its failures are the case's; waits for it */
void in_child(void (*fn)(void *), void *arg);
/* waits until the file system would stamp a time later than every stamp it has given so far */
void tick(void);
/* -1, 0, 1 */
int tcmp(struct timespec a, struct timespec b);
bool is_tmpfs(void);
/* users without any rights of their own */
enum { ALICE = 65001, BOB = 65002, EVE = 65003 };
enum { STAFF = 65011, GUEST = 65012 };

#endif
