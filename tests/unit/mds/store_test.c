// SPDX-License-Identifier: Apache-2.0
/* Records and keys; stores that are not what they should be. */
#include <CUnit/Basic.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "mds/store.h"

static char base[64], path[96];
static const u8 fsid[16] = { 1 }, uuid[16] = { 2 }, other[16] = { 3 };

static void begin(void)
{
	strcpy(base, "/tmp/mds_store.XXXXXX");
	if (!mkdtemp(base))
		abort();
	snprintf(path, sizeof(path), "%s/db", base);
}

static void end(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", base);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static int reopen(const u8 *f, const u8 *u, bool create, char *err)
{
	struct weft_kv *kv = NULL;
	int ret = mds_store_open(path, f, u, create, 0, &kv, err);

	weft_kv_close(kv);
	return ret;
}

static void test_open(void)
{
	char err[WEFT_KV_ERR_MAX] = "";

	begin();
	CU_ASSERT_EQUAL(reopen(fsid, uuid, false, err), -ENOENT);
	CU_ASSERT(strstr(err, path) != NULL);
	CU_ASSERT_EQUAL(reopen(fsid, uuid, true, err), 0);
	CU_ASSERT_EQUAL(reopen(fsid, uuid, false, err), 0);
	CU_ASSERT_EQUAL(reopen(other, uuid, false, err), -EXDEV);
	CU_ASSERT(strstr(err, path) && strstr(err, "another"));
	CU_ASSERT_EQUAL(reopen(fsid, other, false, err), -EXDEV);
	end();
}

static void put_super(u32 version, size_t len)
{
	struct mds_super_rec r = { .version = cpu_to_le32(version) };
	struct weft_kv_batch *b;
	char err[WEFT_KV_ERR_MAX], key[MDS_KEY_MAX];
	struct weft_kv *kv;

	memcpy(r.fsid, fsid, 16);
	memcpy(r.uuid, uuid, 16);
	CU_ASSERT_EQUAL_FATAL(mds_store_open(path, fsid, uuid, false, 0, &kv, err), 0);
	CU_ASSERT_EQUAL_FATAL(weft_kv_batch_create(kv, &b), 0);
	weft_kv_put(b, MDS_CF_META, key, mds_key_meta(key, 'V', 0), &r, len);
	CU_ASSERT_EQUAL(weft_kv_commit(b, true), 0);
	weft_kv_batch_free(b);
	weft_kv_close(kv);
}

static void test_versions(void)
{
	char err[WEFT_KV_ERR_MAX] = "";

	begin();
	CU_ASSERT_EQUAL(reopen(fsid, uuid, true, err), 0);
	put_super(MDS_STORE_VERSION + 1, sizeof(struct mds_super_rec));
	CU_ASSERT_EQUAL(reopen(fsid, uuid, false, err), -EPROTONOSUPPORT);
	CU_ASSERT(strstr(err, "format 2") != NULL);
	end();
	begin();
	CU_ASSERT_EQUAL(reopen(fsid, uuid, true, err), 0);
	put_super(MDS_STORE_VERSION, 7);
	CU_ASSERT_EQUAL(reopen(fsid, uuid, false, err), -EUCLEAN);
	CU_ASSERT(strstr(err, "damaged") != NULL);
	end();
}

/* Overwrite the beginning of each file of a kind. */
static unsigned int spoil(const char *prefix)
{
	char file[512];
	struct dirent *de;
	unsigned int n = 0;
	DIR *d = opendir(path);
	int fd;

	while (d && (de = readdir(d))) {
		if (strncmp(de->d_name, prefix, strlen(prefix)))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, de->d_name);
		fd = open(file, O_WRONLY);
		CU_ASSERT_EQUAL(pwrite(fd, "garbage garbage garbage", 23, 0), 23);
		close(fd);
		n++;
	}
	closedir(d);
	return n;
}

static void test_corrupt(void)
{
	char err[WEFT_KV_ERR_MAX] = "";

	begin();
	CU_ASSERT_EQUAL(reopen(fsid, uuid, true, err), 0);
	CU_ASSERT(spoil("MANIFEST") > 0);
	CU_ASSERT_EQUAL(reopen(fsid, uuid, false, err), -EUCLEAN);
	CU_ASSERT(strstr(err, path) != NULL);
	CU_ASSERT_EQUAL(reopen(fsid, uuid, true, err), -EUCLEAN);
	end();
}

static void test_records(void)
{
	struct mds_inode i = { .ino = 5, .size = 6, .mode = S_IFREG | 0600, .nlink = 1,
			       .atime = { -7, 8 }, .flags = MDS_INO_XATTR, .lflags = 1,
			       .spill_session = 9, .width = 3, .inline_max = 10 };
	struct mds_dentry_rec d = { .version = MDS_REC_VERSION, .type = 4 };
	struct mds_inode_rec r;
	struct mds_inode got;
	u32 type;
	u64 ino;

	mds_inode_encode(&i, &r);
	CU_ASSERT_EQUAL(mds_inode_decode(5, &r, sizeof(r), &got), 0);
	CU_ASSERT_EQUAL(got.size, 6);
	CU_ASSERT_EQUAL(got.atime.sec, -7);
	CU_ASSERT_EQUAL(got.atime.nsec, 8);
	CU_ASSERT_EQUAL(got.spill_session, 9);
	CU_ASSERT_EQUAL(got.width, 3);
	CU_ASSERT_EQUAL(mds_inode_decode(6, &r, sizeof(r), &got), -EUCLEAN);
	CU_ASSERT_EQUAL(mds_inode_decode(5, &r, sizeof(r) - 1, &got), -EUCLEAN);
	r.flags = cpu_to_le32(0x80000000);
	CU_ASSERT_EQUAL(mds_inode_decode(5, &r, sizeof(r), &got), -EUCLEAN);
	mds_inode_encode(&i, &r);
	r.version = cpu_to_le32(2);
	CU_ASSERT_EQUAL(mds_inode_decode(5, &r, sizeof(r), &got), -EUCLEAN);
	CU_ASSERT_EQUAL(mds_dentry_decode(&d, sizeof(d), &ino, &type), -EUCLEAN);
	d.ino = cpu_to_le64(5);
	CU_ASSERT_EQUAL(mds_dentry_decode(&d, sizeof(d), &ino, &type), 0);
	CU_ASSERT(ino == 5 && type == S_IFDIR);
	CU_ASSERT_EQUAL(mds_dentry_decode(&d, 3, &ino, &type), -EUCLEAN);
}

static void test_keys(void)
{
	char a[MDS_KEY_MAX], b[MDS_KEY_MAX];

	/* the order of keys is the order of numbers */
	CU_ASSERT_EQUAL(mds_key_ino(a, 0xff), 8);
	mds_key_ino(b, 0x100);
	CU_ASSERT(memcmp(a, b, 8) < 0);
	CU_ASSERT_EQUAL(mds_key_dentry(a, 7, "name", 4), 20);
	CU_ASSERT_EQUAL(mds_be64(a), 7);
	CU_ASSERT_EQUAL(memcmp(a + 16, "name", 4), 0);
	CU_ASSERT_EQUAL(mds_key_slot(a, 1, 2), 12);
	CU_ASSERT_EQUAL(mds_be32(a + 8), 2);
	CU_ASSERT_EQUAL(mds_key_prepared(a, 3, 4), 13);
	CU_ASSERT(a[0] == 'P' && mds_be32(a + 1) == 3 && mds_be64(a + 5) == 4);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/store", NULL, NULL);
	CU_add_test(s, "open", test_open);
	CU_add_test(s, "versions", test_versions);
	CU_add_test(s, "a corrupt RocksDB", test_corrupt);
	CU_add_test(s, "records", test_records);
	CU_add_test(s, "keys", test_keys);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
