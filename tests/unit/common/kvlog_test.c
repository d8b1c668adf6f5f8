// SPDX-License-Identifier: Apache-2.0
/* The commit log: what is read back after a crash, and what is called damage. */
#include "common/kvlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/common/unit.h"

#define BLOCK 4096

static char path[300];
static const char *dir;
static struct weft_kvlog *wlog;

static void begin(void)
{
	dir = unit_mkdir();
	snprintf(path, sizeof(path), "%s/commits", dir);
	CU_ASSERT_EQUAL(weft_kvlog_open(path, false, &wlog), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(weft_kvlog_create(path), 0);
	CU_ASSERT_EQUAL_FATAL(weft_kvlog_open(path, false, &wlog), 0);
}

static void end(void)
{
	weft_kvlog_close(wlog);
	unit_rmdir(dir);
}

/* Records have one change each; the data tells its number. */
static int append(uint64_t nr, size_t len)
{
	char *data = malloc(len);
	int ret;

	memset(data, 'a' + nr % 26, len);
	memcpy(data, &nr, sizeof(nr));
	ret = weft_kvlog_append(wlog, nr - 1, 1, data, len);
	free(data);
	return ret;
}

struct seen {
	uint64_t first, last;
	int fail_at, n;
};

static int note(void *arg, uint64_t last, const void *data, size_t len)
{
	struct seen *s = arg;
	uint64_t nr;

	memcpy(&nr, data, sizeof(nr));
	CU_ASSERT_EQUAL(nr, last);
	CU_ASSERT_EQUAL(((const char *)data)[len - 1], 'a' + (int)(nr % 26));
	if (!s->n++)
		s->first = nr;
	else
		CU_ASSERT_EQUAL(nr, s->last + 1);
	s->last = nr;
	return s->n == s->fail_at ? -EIO : 0;
}

/* After a crash: what is read. Return: as weft_kvlog_replay(). */
static int reread(uint64_t have, struct seen *s)
{
	int ret;

	*s = (struct seen){ 0 };
	weft_kvlog_close(wlog);
	wlog = NULL;
	ret = weft_kvlog_open(path, false, &wlog);
	return ret ? ret : weft_kvlog_replay(wlog, have, note, s);
}

static void harm(off_t off, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY);

	CU_ASSERT_EQUAL(pwrite(fd, bytes, len, off), (ssize_t)len);
	close(fd);
}

static void order(void)
{
	struct seen s;

	begin();
	CU_ASSERT(weft_kvlog_empty(wlog));
	CU_ASSERT_EQUAL(reread(0, &s), 0);
	CU_ASSERT_EQUAL(append(5, 100), 0);
	CU_ASSERT_EQUAL(append(6, 3 * BLOCK), 0);
	CU_ASSERT_EQUAL(append(7, BLOCK - 32), 0);
	CU_ASSERT_EQUAL(append(8, BLOCK - 31), 0);
	CU_ASSERT_FALSE(weft_kvlog_empty(wlog));
	CU_ASSERT_EQUAL(reread(4, &s), 4);
	CU_ASSERT(s.first == 5 && s.last == 8);
	/* The store has some of it or all: everything is applied again. */
	CU_ASSERT_EQUAL(reread(6, &s), 4);
	CU_ASSERT_EQUAL(reread(100, &s), 4);
	/* It lacks something from before. */
	CU_ASSERT_EQUAL(reread(3, &s), -EUCLEAN);
	CU_ASSERT_EQUAL(s.n, 0);
	s = (struct seen){ .fail_at = 2 };
	CU_ASSERT_EQUAL(weft_kvlog_replay(wlog, 4, note, &s), -EIO);
	CU_ASSERT_EQUAL(weft_kvlog_clear(wlog, 8), 0);
	CU_ASSERT(weft_kvlog_empty(wlog));
	CU_ASSERT_EQUAL(reread(8, &s), 0);
	CU_ASSERT_EQUAL(reread(7, &s), -EUCLEAN);
	CU_ASSERT_EQUAL(append(9, 100), 0);
	CU_ASSERT_EQUAL(reread(8, &s), 1);
	end();
}

static uint64_t fill(uint64_t nr)
{
	while (weft_kvlog_fits(wlog, 100))
		CU_ASSERT_EQUAL_FATAL(append(nr++, 100), 0);
	return nr;
}

static void passes(void)
{
	uint64_t nr = fill(1);
	struct stat st;
	struct seen s;
	int k;

	CU_ASSERT_EQUAL(nr, WEFT_KVLOG_MIN / BLOCK);
	CU_ASSERT_EQUAL(reread(0, &s), (int)nr - 1);
	fill(nr); /* after a crash it goes on at the front: what was there is in the store */
	weft_kvlog_rewind(wlog);
	CU_ASSERT_FALSE(weft_kvlog_empty(wlog)); /* the pass before may still be applied */
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_size, 2 * WEFT_KVLOG_MIN);
	nr = 1000;
	CU_ASSERT_EQUAL(append(nr, 100), 0);
	CU_ASSERT_EQUAL(append(nr + 1, 100), 0);
	CU_ASSERT_EQUAL(reread(nr - 1, &s), 2);
	CU_ASSERT(s.first == nr && s.last == nr + 1);
	for (k = 0; k < 10; k++)
		weft_kvlog_rewind(wlog);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_size, WEFT_KVLOG_MAX);
	CU_ASSERT_FALSE(weft_kvlog_fits(wlog, WEFT_KVLOG_MAX - BLOCK));
	CU_ASSERT(weft_kvlog_fits(wlog, WEFT_KVLOG_MAX - BLOCK - 32));
	CU_ASSERT_EQUAL(append(nr + 2, WEFT_KVLOG_MAX - BLOCK - 32), 0);
	CU_ASSERT_FALSE(weft_kvlog_fits(wlog, 1));
	CU_ASSERT_EQUAL(reread(nr + 1, &s), 1);
}

static void pass_over(void)
{
	begin();
	passes();
	end();
}

static void damaged(void)
{
	struct seen s;
	char zeros[BLOCK] = "";

	begin();
	for (uint64_t nr = 1; nr <= 4; nr++)
		CU_ASSERT_EQUAL(append(nr, 100), 0);
	/* The last one is torn: it was never acknowledged. */
	harm(4 * BLOCK + 50, "x", 1);
	CU_ASSERT_EQUAL(reread(0, &s), 3);
	/* One before it is damaged: what follows proves that it was durable. */
	harm(2 * BLOCK + 50, "x", 1);
	CU_ASSERT_EQUAL(reread(0, &s), -EUCLEAN);
	harm(2 * BLOCK, zeros, BLOCK);
	CU_ASSERT_EQUAL(reread(0, &s), -EUCLEAN);
	harm(3 * BLOCK, zeros, BLOCK);
	CU_ASSERT_EQUAL(reread(0, &s), 1);
	/* Lengths that lead out of the file */
	harm(BLOCK + 20, "\xff\xff\xff\xff", 4);
	CU_ASSERT_EQUAL(reread(0, &s), 0);
	harm(2, "x", 1);
	CU_ASSERT_EQUAL(reread(0, &s), -EUCLEAN);
	CU_ASSERT_PTR_NULL(wlog);
	/* Without a head it was never finished. */
	harm(0, zeros, BLOCK);
	CU_ASSERT_EQUAL(weft_kvlog_open(path, true, &wlog), -ENOENT);
	CU_ASSERT_EQUAL(truncate(path, 100), 0);
	CU_ASSERT_EQUAL(weft_kvlog_open(path, true, &wlog), -ENOENT);
	CU_ASSERT_EQUAL(weft_kvlog_create(path), 0);
	CU_ASSERT_EQUAL(reread(0, &s), 0);
	end();
}

/* Records of another log, or what a user made up, are none. */
static void foreign(void)
{
	char block[BLOCK];
	struct seen s;
	int fd;

	begin();
	CU_ASSERT_EQUAL(append(1, 100), 0);
	fd = open(path, O_RDONLY);
	CU_ASSERT_EQUAL(pread(fd, block, BLOCK, BLOCK), BLOCK);
	close(fd);
	CU_ASSERT_EQUAL(weft_kvlog_create(path), 0);
	harm(BLOCK, block, BLOCK);
	CU_ASSERT_EQUAL(reread(0, &s), 0);
	end();
}

static void cancelled(void)
{
	struct seen s;

	begin();
	CU_ASSERT_EQUAL(append(1, 100), 0);
	CU_ASSERT_EQUAL(append(2, 2 * BLOCK), 0);
	CU_ASSERT_EQUAL(weft_kvlog_cancel(wlog), 0);
	CU_ASSERT_EQUAL(append(2, 50), 0);
	CU_ASSERT_EQUAL(append(3, 50), 0);
	CU_ASSERT_EQUAL(weft_kvlog_cancel(wlog), 0);
	CU_ASSERT_EQUAL(reread(0, &s), 2);
	end();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "in order, from where the store is", order },
		{ "pass after pass", pass_over },
		{ "damage", damaged },
		{ "foreign records", foreign },
		{ "cancelled records", cancelled },
		{ NULL, NULL },
	};

	return unit_run("common/kvlog", tests);
}
