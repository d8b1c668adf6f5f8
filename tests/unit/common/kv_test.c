// SPDX-License-Identifier: Apache-2.0
/* The store: what a batch sees, what a commit leaves, and what damage is called. */
#include "common/kv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/log.h"
#include "tests/unit/common/unit.h"

static const struct weft_kv_cf cfs[] = { { "default", 0 }, { "blobs", 1024 } };

static int open_kv(const char *dir, unsigned int flags, struct weft_kv **kv)
{
	struct weft_kv_opts o = { .path = dir, .cfs = cfs, .ncfs = 2, .flags = flags };
	char err[WEFT_KV_ERR_MAX] = "";
	int ret = weft_kv_open(&o, kv, err);

	if (ret) /* the sentence names the store */
		CU_ASSERT_PTR_NOT_NULL(strstr(err, dir));
	return ret;
}

static bool has(struct weft_kv *kv, struct weft_kv_batch *b, const char *key, const char *want)
{
	struct weft_kv_val v;
	int ret = b ? weft_kv_batch_get(b, 0, key, strlen(key), &v)
		    : weft_kv_get(kv, 0, key, strlen(key), &v);
	bool same;

	if (ret == -ENOENT)
		return !want;
	CU_ASSERT_EQUAL(ret, 0);
	same = want && v.len == strlen(want) && !memcmp(v.data, want, v.len);
	weft_kv_val_fini(&v);
	return same;
}

static void put(struct weft_kv_batch *b, const char *key, const char *val)
{
	weft_kv_put(b, 0, key, strlen(key), val, strlen(val));
}

/* The keys with a prefix, joined by commas. */
static const char *list(struct weft_kv *kv, struct weft_kv_batch *b, const char *prefix)
{
	static char out[256];
	struct weft_kv_iter *it;
	size_t n = 0, len;

	CU_ASSERT_EQUAL_FATAL(weft_kv_iter_prefix(kv, b, 0, prefix, strlen(prefix), &it), 0);
	for (weft_kv_iter_first(it); weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *key = weft_kv_iter_key(it, &len);

		n += snprintf(out + n, sizeof(out) - n, "%.*s,", (int)len, key);
	}
	CU_ASSERT_EQUAL(weft_kv_iter_error(it), 0);
	weft_kv_iter_free(it);
	out[n] = '\0';
	return out;
}

static void batches(void)
{
	const char *dir = unit_mkdir();
	struct weft_kv_stats st;
	struct weft_kv_batch *b;
	struct weft_kv *kv;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	put(b, "a1", "x");
	put(b, "a2", "");
	put(b, "b1", "z");
	CU_ASSERT(has(kv, b, "a1", "x"));
	CU_ASSERT(has(kv, b, "a2", ""));
	CU_ASSERT(has(kv, NULL, "a1", NULL));
	CU_ASSERT_STRING_EQUAL(list(kv, b, "a"), "a1,a2,");
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), 0);
	weft_kv_batch_clear(b);
	CU_ASSERT_EQUAL(weft_kv_batch_count(b), 0);
	CU_ASSERT(has(kv, NULL, "a2", ""));
	put(b, "a3", "new");
	weft_kv_delete(b, 0, "a1", 2);
	put(b, "a2", "changed");
	CU_ASSERT(has(kv, b, "a1", NULL));
	CU_ASSERT(has(kv, b, "a2", "changed"));
	CU_ASSERT_STRING_EQUAL(list(kv, b, "a"), "a2,a3,");
	CU_ASSERT_STRING_EQUAL(list(kv, NULL, "a"), "a1,a2,");
	CU_ASSERT_STRING_EQUAL(list(kv, b, "c"), "");
	weft_kv_stats(kv, &st);
	CU_ASSERT_EQUAL(st.syncs, 1);
	weft_kv_batch_free(b); /* never committed */
	CU_ASSERT(has(kv, NULL, "a1", "x"));
	weft_kv_close(kv);
	unit_rmdir(dir);
}

static void save_points(void)
{
	const char *dir = unit_mkdir();
	struct weft_kv_batch *b;
	struct weft_kv *kv;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	put(b, "k", "1");
	weft_kv_batch_save(b);
	put(b, "k", "2");
	put(b, "l", "2");
	weft_kv_delete(b, 0, "m", 1);
	CU_ASSERT_EQUAL(weft_kv_batch_rollback(b), 0);
	CU_ASSERT(has(kv, b, "k", "1"));
	CU_ASSERT(has(kv, b, "l", NULL));
	CU_ASSERT_STRING_EQUAL(list(kv, b, ""), "k,");
	CU_ASSERT_EQUAL(weft_kv_batch_rollback(b), -ENOENT);
	CU_ASSERT_EQUAL(weft_kv_commit(b, false), 0);
	CU_ASSERT(has(kv, NULL, "k", "1"));
	CU_ASSERT(has(kv, NULL, "l", NULL));
	weft_kv_batch_free(b);
	weft_kv_close(kv);
	unit_rmdir(dir);
}

static void ranges(void)
{
	const char *dir = unit_mkdir();
	struct weft_kv_batch *b;
	struct weft_kv_iter *it;
	struct weft_kv *kv;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	put(b, "p\xff", "1");
	put(b, "p\xff\xff", "2");
	put(b, "q", "3");
	CU_ASSERT_EQUAL(weft_kv_commit(b, false), 0);
	weft_kv_batch_clear(b);
	put(b, "p\xff" "b", "4");
	CU_ASSERT_STRING_EQUAL(list(kv, b, "p\xff"), "p\xff,p\xff" "b,p\xff\xff,");
	CU_ASSERT_STRING_EQUAL(list(kv, NULL, ""), "p\xff,p\xff\xff,q,");
	CU_ASSERT_EQUAL(weft_kv_delete_prefix(b, 0, "p\xff", 2, 2), 2);
	CU_ASSERT_STRING_EQUAL(list(kv, b, ""), "p\xff\xff,q,");
	CU_ASSERT_EQUAL(weft_kv_delete_prefix(b, 0, "p\xff", 2, SIZE_MAX), 1);
	CU_ASSERT_EQUAL(weft_kv_iter_create(kv, b, 0, "a", 1, "q", 1, &it), 0);
	weft_kv_iter_first(it);
	CU_ASSERT_FALSE(weft_kv_iter_valid(it));
	weft_kv_iter_seek(it, "A", 1); /* below the lower bound */
	CU_ASSERT_FALSE(weft_kv_iter_valid(it));
	weft_kv_iter_free(it);
	CU_ASSERT_EQUAL(weft_kv_iter_create(kv, NULL, 0, "p\xff\xff", 3, NULL, 0, &it), 0);
	weft_kv_iter_seek(it, "A", 1);
	CU_ASSERT(weft_kv_iter_valid(it));
	weft_kv_iter_key(it, &len);
	CU_ASSERT_EQUAL(len, 3);
	weft_kv_iter_free(it);
	CU_ASSERT_EQUAL(weft_kv_delete_range(kv, 0, "p", 1, "q", 1, true), 0);
	CU_ASSERT_STRING_EQUAL(list(kv, NULL, ""), "q,");
	weft_kv_batch_free(b);
	weft_kv_close(kv);
	unit_rmdir(dir);
}

static void reopen(void)
{
	const char *dir = unit_mkdir();
	struct weft_kv *kv, *second;
	struct weft_kv_batch *b;
	struct weft_kv_val v;
	static char big[5000];

	memset(big, 'B', sizeof(big));
	CU_ASSERT_EQUAL(open_kv(dir, 0, &kv), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	CU_ASSERT_EQUAL(open_kv(dir, 0, &second), -EBUSY);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	weft_kv_put(b, 1, "big", 3, big, sizeof(big));
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), 0);
	weft_kv_batch_free(b);
	weft_kv_close(kv);
	CU_ASSERT_EQUAL(open_kv(dir, WEFT_KV_CREATE, &kv), -EEXIST);
	CU_ASSERT_EQUAL_FATAL(open_kv(dir, 0, &kv), 0);
	CU_ASSERT_EQUAL(weft_kv_get(kv, 1, "big", 3, &v), 0);
	CU_ASSERT_EQUAL(v.len, sizeof(big));
	CU_ASSERT_EQUAL(memcmp(v.data, big, sizeof(big)), 0);
	weft_kv_val_fini(&v);
	weft_kv_close(kv);
	unit_rmdir(dir);
}

/* Overwrites the middle of the files whose names end so. Return: how many. */
static int damage(const char *dir, const char *suffix)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];
	int n = 0, fd;
	off_t size;

	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name), slen = strlen(suffix);

		if (len < slen || strcmp(e->d_name + len - slen, suffix))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		fd = open(path, O_RDWR);
		size = lseek(fd, 0, SEEK_END);
		CU_ASSERT_EQUAL(pwrite(fd, "garbage garbage garbage", 23, size / 2), 23);
		close(fd);
		n++;
	}
	closedir(d);
	return n;
}

static void corruption(void)
{
	const char *dir = unit_mkdir();
	struct weft_kv_batch *b;
	struct weft_kv *kv;
	char key[16];
	int i;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	for (i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		put(b, key, "some value that takes room in the file");
	}
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), 0);
	weft_kv_batch_free(b);
	weft_kv_close(kv);
	i = damage(dir, ".log") + damage(dir, ".sst");
	CU_ASSERT(i > 0);
	i = open_kv(dir, 0, &kv);
	if (!i) { /* it is noticed at the latest when it is read */
		struct weft_kv_val v = { NULL, 0 };

		weft_log_set_level(WEFT_LOG_ERR);
		i = weft_kv_get(kv, 0, "key500", 6, &v);
		weft_kv_val_fini(&v);
		weft_kv_close(kv);
	}
	CU_ASSERT_EQUAL(i, -EUCLEAN);
	CU_ASSERT(damage(dir, "CURRENT") == 1);
	CU_ASSERT(open_kv(dir, 0, &kv) < 0);
	unit_rmdir(dir);
}

static void faults(void)
{
	const char *dir = unit_mkdir();
	struct weft_kv_batch *b;
	struct weft_kv *kv;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	put(b, "k", "v");
	weft_fault_set("kv.commit.before=error(EIO):1");
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), -EIO);
	CU_ASSERT(has(kv, NULL, "k", NULL));
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), 0);
	CU_ASSERT(has(kv, NULL, "k", "v"));
	weft_fault_set("");
	weft_kv_batch_free(b);
	weft_kv_close(kv);
	unit_rmdir(dir);
}

/* A copy of the files as they are now, as kill -9 would leave them. Return: its directory. */
static const char *snapshot(const char *dir, const char *name)
{
	static char to[4][300];
	static int turn;
	char *out = to[turn++ % 4];
	char cmd[700];

	snprintf(out, 300, "%s.%s", dir, name);
	snprintf(cmd, sizeof(cmd), "rm -rf %s && cp -r %s %s", out, dir, out);
	CU_ASSERT_EQUAL_FATAL(system(cmd), 0);
	return out;
}

static void shell(const char *fmt, const char *a, const char *b)
{
	char cmd[700];

	snprintf(cmd, sizeof(cmd), fmt, a, b);
	CU_ASSERT_EQUAL_FATAL(system(cmd), 0);
}

static void commit_one(struct weft_kv *kv, const char *key, const char *val, bool sync)
{
	struct weft_kv_batch *b;

	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	put(b, key, val);
	CU_ASSERT_EQUAL(weft_kv_commit(b, sync), 0);
	weft_kv_batch_free(b);
}

static void expect(const char *dir, const char *key, const char *want)
{
	struct weft_kv *kv;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, 0, &kv), 0);
	CU_ASSERT(has(kv, NULL, key, want));
	weft_kv_close(kv);
}

/* What was durable is there although RocksDB's log lost it, and whatever lies at that log's end. */
static void power_loss(void)
{
	const char *dir = unit_mkdir(), *old, *early;
	struct weft_kv_stats before, after;
	struct weft_kv *kv;
	char key[32];
	int i;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	early = snapshot(dir, "early");
	commit_one(kv, "a", "1", true);
	weft_kv_stats(kv, &before);
	old = snapshot(dir, "old");
	for (i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		commit_one(kv, key, "v", true);
	}
	commit_one(kv, "a", "2", true);
	weft_kv_stats(kv, &after);
	CU_ASSERT_EQUAL(after.syncs - before.syncs, 21);
	shell("cp %s/commits %s/commits", dir, old);
	shell("cp %s/commits %s/commits", dir, early);
	shell("for f in %s/*.log; do head -c 3000 /dev/urandom >>$f; done; : %s", old, "");
	expect(old, "a", "2");
	expect(old, "k7", "v");
	expect(old, "k19", "v");
	expect(early, "a", "2");
	/* The commit log begins anew in between. */
	for (i = 0; i < 300; i++)
		commit_one(kv, "b", "w", true);
	expect(snapshot(dir, "now"), "k19", "v");
	weft_kv_close(kv);
	expect(dir, "a", "2");
	shell("rm -rf %s.*; : %s", dir, "");
	unit_rmdir(dir);
}

/* Damage that the commit log cannot make good is refused. */
static void log_missing(void)
{
	const char *dir = unit_mkdir(), *early;
	struct weft_kv *kv;
	int i;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	early = snapshot(dir, "early");
	for (i = 0; i < 300; i++)
		commit_one(kv, "b", "w", true);
	shell("cp %s/commits %s/commits", dir, early);
	weft_kv_close(kv);
	CU_ASSERT_EQUAL(open_kv(early, 0, &kv), -EUCLEAN);
	shell("rm -rf %s.*; : %s", dir, "");
	unit_rmdir(dir);
}

/* Without its commit log a store is not opened, until the operator accepts the loss. */
static void log_lost(void)
{
	const char *dir = unit_mkdir();
	struct weft_kv *kv;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	commit_one(kv, "a", "1", true);
	weft_kv_close(kv);
	shell("rm %s/commits; : %s", dir, "");
	CU_ASSERT_EQUAL(open_kv(dir, 0, &kv), -EUCLEAN);
	CU_ASSERT_EQUAL(open_kv(dir, WEFT_KV_RDONLY, &kv), -EUCLEAN);
	shell(": >%s/commits; : %s", dir, "");
	expect(dir, "a", "1");
	unit_rmdir(dir);
}

/* Killed before RocksDB had it: it is applied at the next start. */
static void logged_only(void)
{
	const char *dir = unit_mkdir();
	struct weft_kv_batch *b;
	struct weft_kv *kv, *ro;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	commit_one(kv, "a", "1", true);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	put(b, "a", "2");
	weft_fault_set("kv.commit.logged=error(EIO):1");
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), -EIO);
	weft_fault_set("");
	CU_ASSERT(has(kv, NULL, "a", "1"));
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), -EIO); /* until it is opened again */
	weft_kv_batch_free(b);
	weft_kv_close(kv);
	CU_ASSERT_EQUAL(open_kv(dir, WEFT_KV_RDONLY, &ro), -EAGAIN);
	expect(dir, "a", "2");
	CU_ASSERT_EQUAL(open_kv(dir, WEFT_KV_RDONLY, &ro), 0);
	weft_kv_close(ro);
	unit_rmdir(dir);
}

/* What went past the commit log is not undone by what is in it. */
static void bypass(void)
{
	const char *dir = unit_mkdir();
	static char big[6 << 20];
	struct weft_kv_batch *b;
	struct weft_kv *kv;

	CU_ASSERT_EQUAL_FATAL(open_kv(dir, WEFT_KV_CREATE, &kv), 0);
	commit_one(kv, "a", "1", true);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	put(b, "a", "2");
	weft_kv_put(b, 1, "big", 3, big, sizeof(big));
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), 0);
	weft_kv_batch_free(b);
	expect(snapshot(dir, "s"), "a", "2");
	commit_one(kv, "a", "3", true);
	commit_one(kv, "a", "4", false);
	expect(snapshot(dir, "s"), "a", "4");
	commit_one(kv, "a", "5", true);
	commit_one(kv, "a", "6", true);
	expect(snapshot(dir, "s"), "a", "6");
	CU_ASSERT_EQUAL(weft_kv_delete_range(kv, 0, "a", 1, "b", 1, true), 0);
	expect(snapshot(dir, "s"), "a", NULL);
	weft_kv_close(kv);
	shell("rm -rf %s.*; : %s", dir, "");
	unit_rmdir(dir);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "batches", batches },
		{ "save points", save_points },
		{ "ranges and prefixes", ranges },
		{ "open and close", reopen },
		{ "damaged files", corruption },
		{ "fault points", faults },
		{ "power loss", power_loss },
		{ "a gap before the commit log", log_missing },
		{ "no commit log", log_lost },
		{ "in the commit log only", logged_only },
		{ "past the commit log", bypass },
		{ NULL, NULL },
	};

	return unit_run("common/kv", tests);
}
