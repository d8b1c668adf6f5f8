// SPDX-License-Identifier: Apache-2.0
/*
 * Whole trees: comparison of two (names, types, modes, owners, link counts, sizes, devices,
 * targets, contents, extended attributes) and the check of one in itself (listing against
 * attributes against link counts). Every finding is printed with its path; errors of the file
 * system while looking are findings too. Nobody else may change the trees meanwhile.
 */
#include "tests/fs/treestress/treestress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

struct name {
	char *text;
	unsigned type;
	ino_t ino;
};

struct listing {
	struct name *names;
	size_t count;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void listing_add(struct listing *l, const struct dirent *e)
{
	if (!(l->count & (l->count + 1)) || !l->names)
		l->names = realloc(l->names, (2 * l->count + 2) * sizeof(*l->names));
	if (!l->names)
		die("no memory");
	l->names[l->count++] = (struct name){ strdup(e->d_name), e->d_type, e->d_ino };
}

static void listing_fini(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->names[i].text);
	free(l->names);
}

/* Sorted names of a directory, without dots. Takes over fd. */
static int listing_init(struct listing *l, int fd)
{
	struct dirent *e;
	DIR *d;
	int rc;

	*l = (struct listing){ 0 };
	d = fdopendir(fd);
	if (!d)
		die("no memory");
	while ((errno = 0, e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			listing_add(l, e);
	rc = -errno;
	closedir(d);
	if (l->count)
		qsort(l->names, l->count, sizeof(*l->names), by_text);
	return rc;
}

static int open_dir(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static uint64_t hash_file(int fd)
{
	static char buf[1 << 16];
	uint64_t h = 1;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		h = hash_bytes(h, buf, (size_t)n);
	return n < 0 ? 0 : h;
}

/* Sum over user.* and trusted.* attributes, without order. */
static uint64_t hash_xattrs(int fd)
{
	char list[16384], value[4096];
	ssize_t n = flistxattr(fd, list, sizeof(list)), v;
	uint64_t sum = 0;

	for (char *p = list; n > 0 && p < list + n; p += strlen(p) + 1) {
		if (strncmp(p, "user.", 5) && strncmp(p, "trusted.", 8))
			continue;
		v = fgetxattr(fd, p, value, sizeof(value));
		sum += hash_bytes(hash_bytes(2, p, strlen(p)), value, v < 0 ? 0 : (size_t)v);
	}
	return sum;
}

/* One object as text: everything that must be the same on both sides. */
static void object_text(int dir, const char *name, char *out, size_t size)
{
	char target[PATH_MAX] = "";
	struct stat st;
	uint64_t content = 0, xattrs = 0;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
		snprintf(out, size, "%s", strerrorname_np(errno));
		return;
	}
	if (S_ISLNK(st.st_mode) && readlinkat(dir, name, target, sizeof(target) - 1) < 0)
		snprintf(target, sizeof(target), "?%s", strerrorname_np(errno));
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			snprintf(out, size, "open: %s", strerrorname_np(errno));
			return;
		}
		content = S_ISREG(st.st_mode) ? hash_file(fd) : 0;
		xattrs = hash_xattrs(fd);
		close(fd);
	}
	snprintf(out, size, "mode %o nlink %lu owner %u:%u size %lld rdev %llx content %llx "
		 "xattrs %llx %.500s", st.st_mode, (unsigned long)st.st_nlink, st.st_uid, st.st_gid,
		 S_ISDIR(st.st_mode) ? 0 : (long long)st.st_size, (unsigned long long)st.st_rdev,
		 (unsigned long long)content, (unsigned long long)xattrs, target);
}

struct pair {
	int a, b;
	const char *name_a, *name_b;
	unsigned faults;
};

static void compare_dirs(struct pair *p, int a, int b, const char *path);

static void compare_one(struct pair *p, int a, int b, const char *name, const char *path)
{
	char ta[1024], tb[1024];
	struct stat st;
	int da, db;

	object_text(a, name, ta, sizeof(ta));
	object_text(b, name, tb, sizeof(tb));
	if (strcmp(ta, tb)) {
		printf("differs: %s\n    %s: %s\n    %s: %s\n", path, p->name_a, ta, p->name_b, tb);
		p->faults++;
	}
	if (fstatat(a, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode))
		return;
	da = open_dir(a, name);
	db = open_dir(b, name);
	if (da >= 0 && db >= 0)
		compare_dirs(p, da, db, path);
	close(da);
	close(db);
}

static void only_in(struct pair *p, const char *where, const char *path, const char *name)
{
	printf("only in %s: %s/%s\n", where, path, name);
	p->faults++;
}

static void compare_dirs(struct pair *p, int a, int b, const char *path)
{
	struct listing la, lb;
	char below[PATH_MAX];
	size_t i = 0, k = 0;
	int ra, rb, order;

	ra = listing_init(&la, open_dir(a, "."));
	rb = listing_init(&lb, open_dir(b, "."));
	if (ra || rb) {
		printf("readdir of %s: %s: %s, %s: %s\n", path, p->name_a, strerror(-ra), p->name_b,
		       strerror(-rb));
		p->faults++;
	}
	while (i < la.count || k < lb.count) {
		order = i == la.count ? 1 : k == lb.count ? -1 :
			strcmp(la.names[i].text, lb.names[k].text);
		if (order < 0) {
			only_in(p, p->name_a, path, la.names[i++].text);
		} else if (order > 0) {
			only_in(p, p->name_b, path, lb.names[k++].text);
		} else {
			snprintf(below, sizeof(below), "%s/%s", path, la.names[i].text);
			compare_one(p, a, b, la.names[i].text, below);
			i++;
			k++;
		}
	}
	listing_fini(&la);
	listing_fini(&lb);
}

unsigned ts_compare(int a, int b, const char *name_a, const char *name_b)
{
	struct pair p = { a, b, name_a, name_b, 0 };

	compare_dirs(&p, a, b, ".");
	return p.faults;
}

/* Names seen per inode that has more than one link, or says so. */
struct links {
	ino_t *ino;
	unsigned *seen, *says;
	size_t count;
};

static void links_see(struct links *l, const struct stat *st)
{
	size_t i;

	for (i = 0; i < l->count && l->ino[i] != st->st_ino; i++)
		;
	if (i == l->count) {
		l->count++;
		l->ino = realloc(l->ino, l->count * sizeof(*l->ino));
		l->seen = realloc(l->seen, l->count * sizeof(*l->seen));
		l->says = realloc(l->says, l->count * sizeof(*l->says));
		if (!l->ino || !l->seen || !l->says)
			die("no memory");
		l->ino[i] = st->st_ino;
		l->seen[i] = 0;
	}
	l->seen[i]++;
	l->says[i] = (unsigned)st->st_nlink;
}

static unsigned check_dir(int dir, const char *path, struct links *links);

static unsigned check_name(int dir, const struct name *n, const char *path, struct links *links,
			   unsigned *subdirs)
{
	char below[PATH_MAX];
	unsigned faults = 0;
	struct stat st;
	int fd;

	snprintf(below, sizeof(below), "%s/%s", path, n->text);
	if (fstatat(dir, n->text, &st, AT_SYMLINK_NOFOLLOW)) {
		printf("%s is listed, stat says %s\n", below, strerror(errno));
		return 1;
	}
	if (n->ino != st.st_ino || (n->type != DT_UNKNOWN && n->type != IFTODT(st.st_mode))) {
		printf("%s: listed as inode %llu type %u, stat says %llu type %u\n", below,
		       (unsigned long long)n->ino, n->type, (unsigned long long)st.st_ino,
		       IFTODT(st.st_mode));
		faults++;
	}
	if (!S_ISDIR(st.st_mode)) {
		if (st.st_nlink != 1)
			links_see(links, &st);
		return faults;
	}
	++*subdirs;
	fd = open_dir(dir, n->text);
	if (fd < 0) {
		printf("%s: open: %s\n", below, strerror(errno));
		return faults + 1;
	}
	faults += check_dir(fd, below, links);
	close(fd);
	return faults;
}

static unsigned check_dir(int dir, const char *path, struct links *links)
{
	unsigned faults = 0, subdirs = 0;
	struct listing l;
	struct stat st;
	int rc;

	rc = listing_init(&l, open_dir(dir, "."));
	if (rc) {
		printf("readdir of %s: %s\n", path, strerror(-rc));
		faults++;
	}
	for (size_t i = 0; i < l.count; i++) {
		if (i && !strcmp(l.names[i].text, l.names[i - 1].text)) {
			printf("%s/%s is listed twice\n", path, l.names[i].text);
			faults++;
		}
		faults += check_name(dir, &l.names[i], path, links, &subdirs);
	}
	if (fstat(dir, &st) || st.st_nlink != 2 + subdirs) {
		printf("%s has %u subdirectories, its link count is %lu\n", path, subdirs,
		       (unsigned long)st.st_nlink);
		faults++;
	}
	listing_fini(&l);
	return faults;
}

unsigned ts_check(int root, const char *name)
{
	struct links links = { 0 };
	unsigned faults = check_dir(root, name, &links);

	for (size_t i = 0; i < links.count; i++) {
		if (links.seen[i] == links.says[i])
			continue;
		printf("%s: inode %llu has %u names, its link count is %u\n", name,
		       (unsigned long long)links.ino[i], links.seen[i], links.says[i]);
		faults++;
	}
	free(links.ino);
	free(links.seen);
	free(links.says);
	return faults;
}
