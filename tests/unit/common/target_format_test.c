// SPDX-License-Identifier: Apache-2.0
/*
 * Formatting: what is there already is refused and stays, --reformat removes a weft target and
 * nothing else, a dry run changes nothing.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/target.h"

static char top[64];
static char err[WEFT_TARGET_ERR_MAX];

static int setup(void)
{
	strcpy(top, "/tmp/weft-format-XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static int cleanup(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd);
}

static struct weft_target spec(const char *name, int kind)
{
	struct weft_target t = { .kind = kind, .fsid = { 7 }, .fs_name = "test", .fd = -1 };

	snprintf(t.path, sizeof(t.path), "%s/%s", top, name);
	if (kind == WEFT_OST)
		t.data_size = 64u << 20;
	return t;
}

static const char *in_top(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_top(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void makes_the_path(void)
{
	struct weft_target t = spec("deep/er/mdt", WEFT_MDT), o;

	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), 0);
	CU_ASSERT_EQUAL(weft_target_open(t.path, WEFT_MDT, NULL, &o, err), 0);
	weft_target_close(&o);
}

static void refuses_data(void)
{
	struct weft_target t = spec("full", WEFT_MDT);

	CU_ASSERT_EQUAL(mkdir(in_top("full"), 0755), 0);
	put("full/precious", "x");
	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), -ENOTEMPTY);
	CU_ASSERT_EQUAL(weft_target_format(&t, WEFT_FORMAT_REFORMAT, err), -ENOTEMPTY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "full"));
	CU_ASSERT_EQUAL(access(in_top("full/precious"), F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(in_top("full/superblock"), F_OK), 0);
}

static void lost_and_found(void)
{
	struct weft_target t = spec("ext4", WEFT_MDT);

	CU_ASSERT_EQUAL(mkdir(in_top("ext4"), 0755), 0);
	CU_ASSERT_EQUAL(mkdir(in_top("ext4/lost+found"), 0700), 0);
	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), 0);
	CU_ASSERT_EQUAL(weft_target_format(&t, WEFT_FORMAT_REFORMAT, err), 0);
	CU_ASSERT_EQUAL(access(in_top("ext4/lost+found"), F_OK), 0);
}

static void reformats(void)
{
	struct weft_target t = spec("again", WEFT_OST), n, o;

	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), 0);
	CU_ASSERT_EQUAL(mkdir(in_top("again/db"), 0755), 0);
	put("again/db/000001.log", "old");
	n = spec("again", WEFT_MDT);
	CU_ASSERT_EQUAL(weft_target_format(&n, 0, err), -EEXIST);
	CU_ASSERT_EQUAL(access(in_top("again/db/000001.log"), F_OK), 0);
	n = spec("again", WEFT_MDT);
	CU_ASSERT_EQUAL(weft_target_format(&n, WEFT_FORMAT_REFORMAT, err), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(n.uuid, t.uuid, 16), 0);
	CU_ASSERT_NOT_EQUAL(access(in_top("again/db"), F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(in_top("again/data"), F_OK), 0);
	CU_ASSERT_EQUAL(weft_target_open(n.path, WEFT_MDT, NULL, &o, err), 0);
	weft_target_close(&o);
}

static void dry_run(void)
{
	struct weft_target t = spec("dry", WEFT_OST), o;

	CU_ASSERT_EQUAL(weft_target_format(&t, WEFT_FORMAT_DRY_RUN, err), 0);
	CU_ASSERT_NOT_EQUAL(access(in_top("dry"), F_OK), 0);
	t = spec("dry", WEFT_OST);
	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), 0);
	o = spec("dry", WEFT_OST);
	CU_ASSERT_EQUAL(weft_target_format(&o, WEFT_FORMAT_DRY_RUN | WEFT_FORMAT_REFORMAT, err),
			0);
	CU_ASSERT_EQUAL(weft_target_open(t.path, WEFT_OST, NULL, &o, err), 0);
	CU_ASSERT_EQUAL(memcmp(o.uuid, t.uuid, 16), 0);
	weft_target_close(&o);
}

static void sizes(void)
{
	struct weft_target t = spec("small", WEFT_OST);
	struct stat st;

	t.data_size = 1u << 20;
	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), -ENOSPC);
	CU_ASSERT_NOT_EQUAL(access(in_top("small"), F_OK), 0);
	t = spec("odd", WEFT_OST);
	t.data_size = (100u << 20) + 12345;
	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), 0);
	CU_ASSERT_EQUAL(t.data_size, 100u << 20);
	CU_ASSERT_EQUAL(stat(t.data, &st), 0);
	CU_ASSERT_EQUAL((uint64_t)st.st_size, t.data_offset + t.data_size);
	t = spec("default", WEFT_OST);
	t.data_size = 0;
	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), 0);
	CU_ASSERT(t.data_size >= 64u << 20);
}

/* A regular file stands for a device: it is used as it is, whole. */
static void device(void)
{
	struct weft_target t = spec("dev", WEFT_OST), o;
	char text[WEFT_TARGET_ERR_MAX];

	put("disk", "");
	strcpy(t.data, in_top("disk"));
	t.data_size = 0;
	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), -ENOSPC);
	CU_ASSERT_EQUAL(truncate(in_top("disk"), 200u << 20), 0);
	t = spec("dev", WEFT_OST);
	strcpy(t.data, in_top("disk"));
	t.data_size = 0;
	CU_ASSERT_EQUAL(weft_target_format(&t, 0, err), 0);
	CU_ASSERT_EQUAL(t.data_size, 199u << 20);
	CU_ASSERT_EQUAL(weft_target_open(t.path, WEFT_OST, NULL, &o, err), 0);
	CU_ASSERT_STRING_EQUAL(o.data, in_top("disk"));
	weft_target_close(&o);
	/* a second target must not take it */
	o = spec("dev2", WEFT_OST);
	strcpy(o.data, in_top("disk"));
	o.data_size = 0;
	CU_ASSERT_EQUAL(weft_target_format(&o, 0, text), -EEXIST);
	CU_ASSERT_EQUAL(weft_target_open(t.path, WEFT_OST, NULL, &o, err), 0);
	weft_target_close(&o);
	/* nor must one be made of somebody's data */
	put("disk2", "#!/bin/sh\n");
	CU_ASSERT_EQUAL(truncate(in_top("disk2"), 200u << 20), 0);
	o = spec("dev3", WEFT_OST);
	strcpy(o.data, in_top("disk2"));
	o.data_size = 0;
	CU_ASSERT_EQUAL(weft_target_format(&o, WEFT_FORMAT_REFORMAT, text), -ENOTEMPTY);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("common/target_format", setup, cleanup);
	CU_add_test(s, "the directory is made when it is absent", makes_the_path);
	CU_add_test(s, "data that is not weft's is never touched", refuses_data);
	CU_add_test(s, "lost+found is no data and stays", lost_and_found);
	CU_add_test(s, "an old target only goes with --reformat", reformats);
	CU_add_test(s, "a dry run changes nothing", dry_run);
	CU_add_test(s, "sizes", sizes);
	CU_add_test(s, "devices", device);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
