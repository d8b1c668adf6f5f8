// SPDX-License-Identifier: Apache-2.0
/*
 * Superblocks: what was formatted opens; everything else is refused with an errno of its own, a
 * sentence that names the path, and nothing changed.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/target.h"
#include "common/uuid.h"

static char top[64];
static const uint8_t fsid[16] = { 1, 2, 3 };
static const uint8_t other_fsid[16] = { 9, 9, 9 };
static char err[WEFT_TARGET_ERR_MAX];

static int setup(void)
{
	strcpy(top, "/tmp/weft-target-XXXXXX");
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
	struct weft_target t = { .kind = kind, .fd = -1 };

	snprintf(t.path, sizeof(t.path), "%s/%s", top, name);
	memcpy(t.fsid, fsid, 16);
	strcpy(t.fs_name, "test");
	if (kind == WEFT_OST)
		t.data_size = 64u << 20;
	return t;
}

static struct weft_target made(const char *name, int kind)
{
	struct weft_target t = spec(name, kind);

	CU_ASSERT_EQUAL_FATAL(weft_target_format(&t, 0, err), 0);
	return t;
}

/* Opening must fail with @want, a sentence that names the target, and no lock left behind. */
static void refused(const char *path, int kind, const uint8_t *id, int want)
{
	struct weft_target t;

	CU_ASSERT_EQUAL(weft_target_open(path, kind, id, &t, err), want);
	CU_ASSERT_EQUAL(t.fd, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, top));
}

static void opens(void)
{
	static const int kinds[] = { WEFT_MGT, WEFT_MDT, WEFT_OST };
	struct weft_target t, o;
	char name[16];
	int i;

	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "open%d", i);
		t = made(name, kinds[i]);
		CU_ASSERT(!weft_uuid_is_zero(t.uuid));
		CU_ASSERT_EQUAL(weft_target_open(t.path, kinds[i], fsid, &o, err), 0);
		CU_ASSERT_EQUAL(o.kind, kinds[i]);
		CU_ASSERT_EQUAL(memcmp(o.uuid, t.uuid, 16), 0);
		CU_ASSERT_EQUAL(memcmp(o.fsid, fsid, 16), 0);
		CU_ASSERT_STRING_EQUAL(o.fs_name, "test");
		CU_ASSERT_STRING_EQUAL(o.data, t.data);
		CU_ASSERT_EQUAL(o.data_size, t.data_size);
		CU_ASSERT_EQUAL(o.created, t.created);
		weft_target_close(&o);
		CU_ASSERT_EQUAL(weft_target_open(t.path, 0, NULL, &o, err), 0);
		weft_target_close(&o);
	}
}

static void locked(void)
{
	struct weft_target t = made("locked", WEFT_MDT), a;

	CU_ASSERT_EQUAL(weft_target_open(t.path, WEFT_MDT, NULL, &a, err), 0);
	refused(t.path, WEFT_MDT, NULL, -EBUSY);
	CU_ASSERT_EQUAL(weft_target_format(&t, WEFT_FORMAT_REFORMAT, err), -EBUSY);
	weft_target_close(&a);
	CU_ASSERT_EQUAL(weft_target_open(t.path, WEFT_MDT, NULL, &a, err), 0);
	weft_target_close(&a);
}

static void wrong_place(void)
{
	struct weft_target t = made("place", WEFT_MDT);
	char path[128];

	refused(t.path, WEFT_OST, fsid, -EMEDIUMTYPE);
	refused(t.path, WEFT_MDT, other_fsid, -EXDEV);
	snprintf(path, sizeof(path), "%s/absent", top);
	refused(path, WEFT_MDT, fsid, -ENODATA);
	refused(top, WEFT_MDT, fsid, -ENODATA);
}

static void patch(const char *file, long at, const void *bytes, size_t len)
{
	FILE *f = fopen(file, "r+");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fseek(f, at, SEEK_SET), 0);
	CU_ASSERT_EQUAL(fwrite(bytes, len, 1, f), 1);
	fclose(f);
}

static void damaged(void)
{
	struct weft_target t = made("damaged", WEFT_MGT);
	struct weft_target_disk d, broken;
	char file[WEFT_TARGET_PATH_MAX + 16];
	uint8_t byte;
	long at;

	snprintf(file, sizeof(file), "%s/superblock", t.path);
	weft_target_encode(&t, &d);
	for (at = 0; at < WEFT_TARGET_SB_SIZE; at += at < 160 ? 1 : 97) {
		byte = ((uint8_t *)&d)[at] ^ 0x40;
		patch(file, at, &byte, 1);
		refused(t.path, WEFT_MGT, fsid, at < 4 ? -ENODATA : -EUCLEAN);
		byte ^= 0x40;
		patch(file, at, &byte, 1);
	}
	/* damage with a right checksum: a newer version, unknown features, an impossible kind */
	broken = d;
	broken.version = cpu_to_le16(2);
	broken.crc = 0;
	broken.crc = cpu_to_le32(weft_crc32c(0, &broken, sizeof(broken)));
	patch(file, 0, &broken, sizeof(broken));
	refused(t.path, WEFT_MGT, fsid, -EPROTONOSUPPORT);
	broken = d;
	broken.incompat = cpu_to_le32(4);
	broken.crc = 0;
	broken.crc = cpu_to_le32(weft_crc32c(0, &broken, sizeof(broken)));
	patch(file, 0, &broken, sizeof(broken));
	refused(t.path, WEFT_MGT, fsid, -EPROTONOSUPPORT);
	broken = d;
	broken.kind = cpu_to_le16(4);
	broken.crc = 0;
	broken.crc = cpu_to_le32(weft_crc32c(0, &broken, sizeof(broken)));
	patch(file, 0, &broken, sizeof(broken));
	refused(t.path, 0, fsid, -EUCLEAN);
	CU_ASSERT_EQUAL(truncate(file, 100), 0);
	refused(t.path, WEFT_MGT, fsid, -EUCLEAN);
	CU_ASSERT_EQUAL(truncate(file, 0), 0);
	refused(t.path, WEFT_MGT, fsid, -ENODATA);
}

static void data_file(void)
{
	struct weft_target a = made("data1", WEFT_OST), b = made("data2", WEFT_OST), o;
	char keep[160];

	snprintf(keep, sizeof(keep), "%s/kept", top);
	CU_ASSERT_EQUAL(rename(a.data, keep), 0);
	refused(a.path, WEFT_OST, fsid, -ENOENT);
	CU_ASSERT_EQUAL(rename(b.data, a.data), 0);
	refused(a.path, WEFT_OST, fsid, -EUCLEAN); /* that is the data of another target */
	CU_ASSERT_EQUAL(truncate(a.data, 0), 0);
	refused(a.path, WEFT_OST, fsid, -EUCLEAN);
	CU_ASSERT_EQUAL(rename(keep, a.data), 0);
	CU_ASSERT_EQUAL(weft_target_open(a.path, WEFT_OST, fsid, &o, err), 0);
	weft_target_close(&o);
}

struct attempts {
	int busy; /* answers -EBUSY so often */
	int then;
	int made;
};

static int attempt(void *arg)
{
	struct attempts *a = arg;

	return a->made++ < a->busy ? -EBUSY : a->then;
}

static void waits(void)
{
	struct attempts a = { .busy = 3, .then = 0 }, b = { .busy = 0, .then = -EUCLEAN },
			c = { .busy = 1000 };
	struct weft_target t = made("wait", WEFT_MDT), o;
	int fds[2], status;
	pid_t pid;
	char x;

	CU_ASSERT_EQUAL(weft_target_wait(attempt, &a, 3000), 0);
	CU_ASSERT_EQUAL(a.made, 4);
	CU_ASSERT_EQUAL(weft_target_wait(attempt, &b, 3000), -EUCLEAN);
	CU_ASSERT_EQUAL(b.made, 1);
	CU_ASSERT_EQUAL(weft_target_wait(attempt, &c, 60), -EBUSY);
	CU_ASSERT_EQUAL(c.made, 4);
	CU_ASSERT_EQUAL(weft_target_open_wait(t.path, WEFT_OST, fsid, &o, err), -EMEDIUMTYPE);
	/* Its owner is killed just now. */
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		if (!weft_target_open(t.path, WEFT_MDT, fsid, &o, err) && write(fds[1], "x", 1) == 1)
			raise(SIGKILL);
		_exit(1);
	}
	CU_ASSERT_EQUAL(read(fds[0], &x, 1), 1);
	CU_ASSERT_EQUAL(weft_target_open_wait(t.path, WEFT_MDT, fsid, &o, err), 0);
	weft_target_close(&o);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFSIGNALED(status));
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("common/target", setup, cleanup);
	CU_add_test(s, "a formatted target opens", opens);
	CU_add_test(s, "two cannot have it at once", locked);
	CU_add_test(s, "a lock that goes soon is waited for", waits);
	CU_add_test(s, "another type, another file system, nothing", wrong_place);
	CU_add_test(s, "every kind of damage", damaged);
	CU_add_test(s, "the data file belongs to its target", data_file);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
