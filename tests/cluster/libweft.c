// SPDX-License-Identifier: Apache-2.0
/*
 * libweft against a real cluster: every operation of common/client/client.h, what a second client
 * sees, many threads at once. With a second argument, a command that restarts servers with kill -9,
 * writers go on through it, and nothing acknowledged is lost or applied twice.
 *
 * With a third one, a command that adds a data server, old files stay and new ones use it.
 *
 * usage: libweft MANAGEMENT [RESTART-COMMAND [EXTEND-COMMAND]]
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/client/client.h"
#include "common/mapview.h"

static const char *mgmt;
static unsigned int checks, failures;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);                                  \
		if (!(cond)) {                                                                     \
			__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
		}                                                                                  \
	} while (0)

/* A value that must be exactly so; tells what it was. */
#define IS(expr, want)                                                                             \
	do {                                                                                       \
		long long got_ = (expr), want_ = (want);                                           \
		__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);                                  \
		if (got_ != want_) {                                                               \
			__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);                        \
			fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__,       \
				#expr, got_, want_);                                               \
		}                                                                                  \
	} while (0)

static struct weft_client *connect_client(void)
{
	struct weft_client_opts o = { .mgmt = mgmt, .timeout_ms = 60000 };
	struct weft_client *c = NULL;
	int ret = weft_client_open(&o, &c);

	if (ret) {
		fprintf(stderr, "cannot connect to %s: %s\n", mgmt, strerror(-ret));
		exit(1);
	}
	return c;
}

static uint64_t ino(const struct weft_attr *a)
{
	return le64_to_cpu(a->ino);
}

static char *pattern(size_t len, unsigned int seed)
{
	char *p = malloc(len);
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (seed = seed * 1103515245 + 12345) >> 16;
	return p;
}

/* A directory of this run below the root. */
static uint64_t scratch(struct weft_client *c, const char *name)
{
	struct weft_attr a;
	char unique[64];
	static int nr;

	snprintf(unique, sizeof(unique), "%s-%d-%ld-%d", name, getpid(), (long)time(NULL), nr++);
	IS(weft_client_mkdir(c, WEFT_INO_ROOT, unique, 0755, &a), 0);
	return ino(&a);
}

static void names(struct weft_client *c)
{
	uint64_t dir = scratch(c, "names"), sub;
	struct weft_attr a, b;
	char target[100];

	IS(weft_client_mkdir(c, dir, "d", 0750, &a), 0);
	CHECK(S_ISDIR(le32_to_cpu(a.mode)) && (le32_to_cpu(a.mode) & 0777) == 0750);
	IS(le64_to_cpu(a.parent), dir);
	sub = ino(&a);
	IS(weft_client_mkdir(c, dir, "d", 0750, NULL), -EEXIST);
	IS(weft_client_create(c, sub, "fifo", S_IFIFO | 0600, 0, 0, NULL, &a), 0);
	IS(weft_client_create(c, sub, "sym", S_IFLNK | 0777, 0, 0, "fifo", &a), 0);
	IS(weft_client_readlink(c, ino(&a), target, sizeof(target)), 4);
	CHECK(!strcmp(target, "fifo"));
	IS(weft_client_readlink(c, ino(&a), target, 4), -ERANGE);
	IS(weft_client_lookup(c, sub, "..", &b), 0);
	IS(ino(&b), dir);
	IS(weft_client_remove(c, dir, "d", true), -ENOTEMPTY);
	IS(weft_client_remove(c, dir, "d", false), -EISDIR);
	IS(weft_client_rename(c, sub, "fifo", dir, "moved", 0), 0);
	IS(weft_client_lookup(c, sub, "fifo", &a), -ENOENT);
	IS(weft_client_lookup(c, dir, "moved", &a), 0);
	CHECK(S_ISFIFO(le32_to_cpu(a.mode)));
	IS(weft_client_rename(c, dir, "moved", sub, "sym", WEFT_RENAME_NOREPLACE), -EEXIST);
	IS(weft_client_rename(c, dir, "moved", sub, "sym", WEFT_RENAME_EXCHANGE), 0);
	IS(weft_client_lookup(c, dir, "moved", &a), 0);
	CHECK(S_ISLNK(le32_to_cpu(a.mode)));
	IS(weft_client_remove(c, dir, "moved", false), 0);
	IS(weft_client_link(c, ino(&b), dir, "dirlink"), -EPERM);
	IS(weft_client_lookup(c, sub, "sym", &a), 0);
	IS(weft_client_link(c, ino(&a), dir, "hard"), 0);
	IS(weft_client_getattr(c, ino(&a), &a), 0);
	IS(le32_to_cpu(a.nlink), 2);
	IS(weft_client_remove(c, dir, "hard", false), 0);
	IS(weft_client_remove(c, sub, "sym", false), 0);
	IS(weft_client_remove(c, dir, "d", true), 0);
	IS(weft_client_lookup(c, dir, "d", &a), -ENOENT);
	IS(weft_client_lookup(c, dir, "", &a) < 0, true);
	memset(target, 'n', sizeof(target));
	IS(weft_client_getattr(c, dir, &a), 0);
	IS(le32_to_cpu(a.nlink), 2);
}

static void paths(struct weft_client *c)
{
	const char *last;
	struct weft_attr a;
	char path[200];
	uint64_t dir, d;

	snprintf(path, sizeof(path), "paths-%d-%ld", getpid(), (long)time(NULL));
	IS(weft_client_mkdir(c, WEFT_INO_ROOT, path, 0755, &a), 0);
	dir = ino(&a);
	strcat(path, "/a");
	IS(weft_client_mkdir(c, dir, "a", 0755, &a), 0);
	d = ino(&a);
	IS(weft_client_mkdir(c, d, "b", 0755, NULL), 0);
	IS(weft_client_create(c, d, "up", S_IFLNK | 0777, 0, 0, "../a/b", NULL), 0);
	IS(weft_client_create(c, d, "loop", S_IFLNK | 0777, 0, 0, "loop", NULL), 0);
	IS(weft_client_walk(c, path, true, &a), 0);
	IS(ino(&a), d);
	strcat(path, "/./../a//up");
	IS(weft_client_walk(c, path, false, &a), 0);
	CHECK(S_ISLNK(le32_to_cpu(a.mode)));
	IS(weft_client_walk(c, path, true, &a), 0);
	CHECK(S_ISDIR(le32_to_cpu(a.mode)));
	strcpy(strrchr(path, 'u'), "loop");
	IS(weft_client_walk(c, path, false, &a), 0);
	IS(weft_client_walk(c, path, true, &a), -ELOOP);
	IS(weft_client_walk_parent(c, path, &d, &last), 0);
	CHECK(!strcmp(last, "loop"));
	IS(weft_client_walk_parent(c, "/", &d, &last), -EINVAL);
	IS(weft_client_walk(c, "/no/such", true, &a), -ENOENT);
}

static void attributes(struct weft_client *c)
{
	uint64_t dir = scratch(c, "attr");
	struct weft_client_set set = { .valid = WEFT_SET_MODE | WEFT_SET_UID | WEFT_SET_MTIME,
				       .mode = 0640, .uid = 1000,
				       .mtime = { .tv_sec = 12345, .tv_nsec = 678 } };
	struct weft_attr a;
	char buf[100];

	IS(weft_client_create(c, dir, "f", S_IFREG | 0600, 0, 0, NULL, &a), 0);
	IS(weft_client_setattr(c, ino(&a), &set, &a), 0);
	IS(le32_to_cpu(a.mode), S_IFREG | 0640);
	IS(le32_to_cpu(a.uid), 1000);
	IS(le64_to_cpu(a.mtime.sec), 12345);
	IS(le32_to_cpu(a.mtime.nsec), 678);
	IS(weft_client_setxattr(c, ino(&a), "user.k", "value", 5, 0), 0);
	IS(weft_client_setxattr(c, ino(&a), "user.k", "v", 1, WEFT_XATTR_CREATE), -EEXIST);
	IS(weft_client_getxattr(c, ino(&a), "user.k", NULL, 0), 5);
	IS(weft_client_getxattr(c, ino(&a), "user.k", buf, 3), -ERANGE);
	IS(weft_client_getxattr(c, ino(&a), "user.k", buf, sizeof(buf)), 5);
	CHECK(!memcmp(buf, "value", 5));
	IS(weft_client_getxattr(c, ino(&a), NULL, buf, sizeof(buf)), 7);
	CHECK(!memcmp(buf, "user.k", 7));
	IS(weft_client_setxattr(c, ino(&a), "user.k", NULL, 0, WEFT_XATTR_REMOVE), 0);
	IS(weft_client_getxattr(c, ino(&a), "user.k", buf, sizeof(buf)), -ENODATA);
	IS(weft_client_set_creds(c, 2000, 2000, 0, NULL, 0), 0);
	IS(weft_client_setattr(c, ino(&a), &set, NULL), -EPERM);
	IS(weft_client_mkdir(c, dir, "no", 0755, NULL), -EACCES);
	IS(weft_client_set_creds(c, 0, 0, WEFT_CAP_ALL, NULL, 0), 0);
}

#define ENTRIES 300

static int count_entry(void *arg, const char *name, const struct weft_dirent *de)
{
	unsigned int *seen = arg, i;

	if (sscanf(name, "entry%u", &i) != 1 || i >= ENTRIES)
		return -EBADMSG;
	CHECK(le64_to_cpu(de->attr.ino) != 0);
	seen[i]++;
	return i == ENTRIES / 2 ? 77 : 0;
}

static void listing(struct weft_client *c)
{
	uint64_t dir = scratch(c, "list"), cookie = 0;
	static unsigned int seen[ENTRIES];
	char name[32];
	int i, ret, stops = 0;

	for (i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "entry%d", i);
		IS(weft_client_create(c, dir, name, (i % 50 ? S_IFREG : S_IFDIR) | 0600, 0, 0,
				      NULL, NULL), 0);
	}
	while ((ret = weft_client_readdir(c, dir, &cookie, count_entry, seen)) == 77 &&
	       stops++ < 1) /* it is given again, because its cookie was not taken */
		;
	IS(ret, 77);
	IS(seen[ENTRIES / 2], 2);
	cookie = 0;
	memset(seen, 0, sizeof(seen));
	IS(weft_client_remove(c, dir, "entry150", true), 0);
	IS(weft_client_readdir(c, dir, &cookie, count_entry, seen), 0);
	for (i = 0; i < ENTRIES; i++)
		IS(seen[i], i != ENTRIES / 2);
}

/* Writes, and reads back by another client after close. */
static void data(struct weft_client *c, struct weft_client *other, size_t len)
{
	uint64_t dir = scratch(c, "data");
	char *want = pattern(len + 1, len), *got = malloc(len + 100);
	struct weft_file *f = NULL;
	size_t at, n;

	IS(weft_file_open(c, dir, "f", WEFT_OPEN_READ | WEFT_OPEN_WRITE | WEFT_OPEN_CREATE, 0600,
			  &f), 0);
	if (!f)
		goto out_free;
	for (at = 0; at < len; at += n) {
		n = len - at < 700001 ? len - at : 700001;
		IS(weft_file_write(f, want + at, n, at), n);
	}
	IS(weft_file_read(f, got, len + 100, 0), len);
	CHECK(!memcmp(got, want, len));
	IS(weft_file_close(f), 0);
	IS(weft_file_open(other, dir, "f", WEFT_OPEN_READ | WEFT_OPEN_WRITE, 0, &f), 0);
	IS(le64_to_cpu(weft_file_attr(f)->size), len);
	memset(got, 0, len);
	IS(weft_file_read(f, got, len + 100, 0), len);
	CHECK(!memcmp(got, want, len));
	IS(weft_file_read(f, got, 10, len), 0);
	IS(weft_file_truncate(f, len / 2), 0);
	IS(weft_file_truncate(f, len), 0);
	IS(weft_file_read(f, got, len, 0), len);
	CHECK(!memcmp(got, want, len / 2));
	for (at = len / 2; at < len && !got[at]; at++)
		;
	IS(at, len);
	IS(weft_file_write(f, "end", 3, len + 5000000), 3); /* a hole */
	IS(weft_file_read(f, got, 100, len), 100);
	for (at = 0; at < 100 && !got[at]; at++)
		;
	IS(at, 100);
	IS(weft_file_sync(f), 0);
	IS(weft_client_remove(c, dir, "f", false), 0);
	IS(weft_file_read(f, got, 3, len + 5000000), 3); /* unlinked while open */
	CHECK(!memcmp(got, "end", 3));
	IS(weft_file_close(f), 0);

out_free:
	free(want);
	free(got);
}

static void open_errors(struct weft_client *c)
{
	uint64_t dir = scratch(c, "open");
	struct weft_file *f = NULL;
	uint32_t create = WEFT_OPEN_WRITE | WEFT_OPEN_CREATE;

	IS(weft_file_open(c, dir, "none", WEFT_OPEN_READ, 0, &f), -ENOENT);
	IS(weft_file_open(c, dir, "f", create | WEFT_OPEN_EXCL, 0600, &f), 0);
	IS(weft_file_write(f, "abc", 3, 0), 3);
	IS(weft_file_close(f), 0);
	IS(weft_file_open(c, dir, "f", create | WEFT_OPEN_EXCL, 0600, &f), -EEXIST);
	IS(weft_file_open(c, dir, "f", create | WEFT_OPEN_TRUNC, 0600, &f), 0);
	IS(le64_to_cpu(weft_file_attr(f)->size), 0);
	IS(weft_file_close(f), 0);
	IS(weft_client_mkdir(c, dir, "d", 0755, NULL), 0);
	IS(weft_file_open(c, dir, "d", WEFT_OPEN_READ, 0, &f), -EISDIR);
	IS(weft_client_create(c, dir, "s", S_IFLNK | 0777, 0, 0, "f", NULL), 0);
	IS(weft_file_open(c, dir, "s", WEFT_OPEN_READ, 0, &f), -ELOOP);
}

#define THREADS 8
#define FILES 100

struct worker {
	pthread_t thread;
	struct weft_client *c;
	uint64_t dir;
	int nr;
	bool *stop;
	unsigned int done;
};

/* Makes, writes, renames and checks files of its own until it is told to stop. */
static void *worker_main(void *arg)
{
	struct worker *w = arg;
	char name[64], final[64], buf[64], *big = pattern(100000, w->nr), *back = malloc(100000);
	struct weft_file *f;
	unsigned int i;

	for (i = 0; w->stop ? !__atomic_load_n(w->stop, __ATOMIC_SEQ_CST) : i < FILES; i++) {
		bool large = i % 10 == 0;

		snprintf(name, sizeof(name), "t%d-%u.tmp", w->nr, i);
		snprintf(final, sizeof(final), "t%d-%u", w->nr, i);
		/* EXCL: a retry that was applied twice would show here. */
		IS(weft_file_open(w->c, w->dir, name, WEFT_OPEN_WRITE | WEFT_OPEN_CREATE |
				  WEFT_OPEN_EXCL, 0600, &f), 0);
		if (large)
			IS(weft_file_write(f, big, 100000, 0), 100000);
		else
			IS(weft_file_write(f, final, strlen(final), 0), strlen(final));
		IS(weft_file_close(f), 0);
		IS(weft_client_rename(w->c, w->dir, name, w->dir, final, 0), 0);
		IS(weft_file_open(w->c, w->dir, final, WEFT_OPEN_READ, 0, &f), 0);
		if (large) {
			IS(weft_file_read(f, back, 100000, 0), 100000);
			CHECK(!memcmp(back, big, 100000));
		} else {
			IS(weft_file_read(f, buf, sizeof(buf), 0), strlen(final));
			CHECK(!memcmp(buf, final, strlen(final)));
		}
		IS(weft_file_close(f), 0);
		if (i % 7 == 0)
			IS(weft_client_mkdir(w->c, w->dir, name, 0755, NULL), 0);
		if (i % 14 == 0)
			IS(weft_client_remove(w->c, w->dir, name, true), 0);
	}
	w->done = i;
	free(big);
	free(back);
	return NULL;
}

static int count_all(void *arg, const char *name, const struct weft_dirent *de)
{
	(void)name;
	(void)de;
	++*(unsigned int *)arg;
	return 0;
}

/* Several threads in one directory; with a command, servers are killed meanwhile. */
static void load(struct weft_client *c, struct weft_client *other, const char *command)
{
	uint64_t dir = scratch(c, "load"), cookie = 0;
	struct worker w[THREADS] = { 0 };
	unsigned int entries = 0, want = 0;
	bool stop = false;
	struct weft_client_stats st;
	int i;

	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .c = i % 2 ? c : other, .dir = dir, .nr = i,
					.stop = command ? &stop : NULL };
		pthread_create(&w[i].thread, NULL, worker_main, &w[i]);
	}
	if (command)
		IS(system(command), 0);
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		want += w[i].done + (w[i].done + 6) / 7 - (w[i].done + 13) / 14;
	}
	IS(weft_client_readdir(c, dir, &cookie, count_all, &entries), 0);
	IS(entries, want);
	weft_client_stats(c, &st);
	printf("load: %u entries, client 1: %llu rpcs, %llu replays, %llu retries\n", entries,
	       (unsigned long long)st.rpcs, (unsigned long long)st.replays,
	       (unsigned long long)st.retries);
	if (command)
		CHECK(st.replays + st.retries > 0);
}

#define EXTENDED_LEN 20000000

static struct weft_file *written(struct weft_client *c, uint64_t dir, const char *name,
				 const char *want)
{
	struct weft_file *f = NULL;

	IS(weft_file_open(c, dir, name, WEFT_OPEN_READ | WEFT_OPEN_WRITE | WEFT_OPEN_CREATE, 0600,
			  &f), 0);
	if (f) {
		IS(weft_file_write(f, want, EXTENDED_LEN, 0), EXTENDED_LEN);
		IS(weft_file_sync(f), 0);
	}
	return f;
}

/*
 * Makes @name until it is in a newer pool than @pool: each metadata server gets the map in its own
 * time, and it is the one that owns this name that must have it.
 */
static void until_newer(struct weft_client *c, uint64_t dir, const char *name, uint32_t pool)
{
	time_t end = time(NULL) + 30;
	struct weft_attr a = { 0 };

	do {
		IS(weft_client_create(c, dir, name, S_IFREG | 0600, 0, 0, NULL, &a), 0);
		if (le32_to_cpu(a.layout.pool) > pool)
			return;
		IS(weft_client_remove(c, dir, name, false), 0);
	} while (time(NULL) < end);
}

static void same(struct weft_file *f, const char *want)
{
	char *got = malloc(EXTENDED_LEN);

	IS(weft_file_read(f, got, EXTENDED_LEN, 0), EXTENDED_LEN);
	CHECK(!memcmp(got, want, EXTENDED_LEN));
	free(got);
}

/*
 * New data servers: files that were there stay where they are, new ones use all; a client that has
 * not heard of them gets the new map before it gets such a file.
 */
static void extended(struct weft_client *c, struct weft_client *other, const char *command)
{
	char *first = pattern(EXTENDED_LEN, 1), *second = pattern(EXTENDED_LEN, 2);
	uint64_t dir = scratch(c, "extended");
	struct weft_file *old, *new, *theirs = NULL;
	uint32_t pool, width;

	old = written(c, dir, "old", first);
	IS(system(command), 0);
	if (old)
		until_newer(c, dir, "new", le32_to_cpu(weft_file_attr(old)->layout.pool));
	new = written(c, dir, "new", second);
	if (old && new) {
		pool = le32_to_cpu(weft_file_attr(old)->layout.pool);
		width = le16_to_cpu(weft_file_attr(old)->layout.width);
		IS(le32_to_cpu(weft_file_attr(new)->layout.pool), pool + 1);
		IS(le16_to_cpu(weft_file_attr(new)->layout.width), width + 1);
		same(old, first);
		same(new, second);
		IS(weft_file_write(old, second, EXTENDED_LEN, 0), EXTENDED_LEN);
		same(old, second);
	}
	IS(weft_file_open(other, dir, "new", WEFT_OPEN_READ, 0, &theirs), 0);
	if (theirs) {
		same(theirs, second);
		IS(weft_file_close(theirs), 0);
	}
	if (old)
		IS(weft_file_close(old), 0);
	if (new)
		IS(weft_file_close(new), 0);
	IS(weft_client_remove(c, dir, "old", false), 0);
	free(first);
	free(second);
}

static void refused(void)
{
	struct weft_client_opts o = { .mgmt = "127.0.0.1:1", .timeout_ms = 300 };
	struct weft_client *c;
	int ret = weft_client_open(&o, &c);

	CHECK(ret == -ENOTCONN || ret == -ETIMEDOUT);
	o.mgmt = "not a:list:of";
	IS(weft_client_open(&o, &c), -EINVAL);
	o.mgmt = mgmt;
	o.secret = "a secret that the cluster does not have";
	o.secret_len = strlen(o.secret);
	o.timeout_ms = 5000;
	IS(weft_client_open(&o, &c), -EKEYREJECTED);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 1, 5000, 16384, 16385, 1000000, 1048576, 9000001 };
	struct weft_client *c, *other;
	struct weft_statfs_rep st;
	unsigned int i;

	if (argc < 2) {
		fprintf(stderr, "usage: libweft MANAGEMENT [RESTART-COMMAND [EXTEND-COMMAND]]\n");
		return 2;
	}
	if (getenv("WEFT_NET") && weft_net_set(getenv("WEFT_NET"))) {
		fprintf(stderr, "WEFT_NET is tcp, rdma or auto\n");
		return 2;
	}
	mgmt = argv[1];
	refused();
	c = connect_client();
	names(c);
	paths(c);
	attributes(c);
	listing(c);
	open_errors(c);
	other = connect_client();
	CHECK(weft_client_session(c) != weft_client_session(other));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		data(c, other, sizes[i]);
	IS(weft_client_statfs(c, &st), 0);
	CHECK(le64_to_cpu(st.bytes_total) > 0);
	load(c, other, NULL);
	if (argc > 2)
		load(c, other, argv[2]);
	if (argc > 3)
		extended(c, other, argv[3]);
	weft_client_close(other);
	weft_client_close(c);
	printf("libweft: %u checks, %u failures\n", checks, failures);
	return failures ? 1 : 0;
}
