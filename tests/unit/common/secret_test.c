// SPDX-License-Identifier: Apache-2.0
/* Secret files: what is taken from them and which are refused; no message holds the secret. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"

static char path[64];
static char err[WEFT_SECRET_ERR_MAX];

static int setup(void)
{
	int fd;

	strcpy(path, "/tmp/weft-secret-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int cleanup(void)
{
	return unlink(path);
}

static int with(const char *text, size_t len, mode_t mode, struct weft_secret *s)
{
	FILE *f;

	CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(text, len, 1, f);
	fclose(f);
	CU_ASSERT_EQUAL(chmod(path, mode), 0);
	return weft_secret_read(path, s, err);
}

static void good(void)
{
	struct weft_secret s;

	CU_ASSERT_EQUAL(with("0123456789abcdef\n", 17, 0600, &s), 0);
	CU_ASSERT_EQUAL(s.len, 16);
	CU_ASSERT_EQUAL(memcmp(s.data, "0123456789abcdef", 16), 0);
	CU_ASSERT_EQUAL(with("0123456789 abcdef \r\n\n", 21, 0400, &s), 0);
	CU_ASSERT_EQUAL(s.len, 17);
	weft_secret_wipe(&s);
	CU_ASSERT_EQUAL(s.len, 0);
	CU_ASSERT_EQUAL(s.data[0], 0);
}

static void bad(void)
{
	char big[WEFT_SECRET_MAX + 1];
	struct weft_secret s;

	memset(big, 'x', sizeof(big));
	CU_ASSERT_EQUAL(with("tooshorttooshor", 15, 0600, &s), -EINVAL);
	CU_ASSERT_PTR_NULL(strstr(err, "tooshort"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, path));
	CU_ASSERT_EQUAL(with("", 0, 0600, &s), -EINVAL);
	CU_ASSERT_EQUAL(with(big, sizeof(big), 0600, &s), -EINVAL);
	CU_ASSERT_EQUAL(with(big, WEFT_SECRET_MAX, 0600, &s), 0);
	CU_ASSERT_EQUAL(with("0123456789abcdef", 16, 0640, &s), -EPERM);
	CU_ASSERT_EQUAL(with("0123456789abcdef", 16, 0604, &s), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "chmod"));
	CU_ASSERT_EQUAL(s.len, 0);
	CU_ASSERT_EQUAL(weft_secret_read("/nonexistent", &s, err), -ENOENT);
	CU_ASSERT_EQUAL(weft_secret_read("/dev/zero", &s, err), -EINVAL);
	CU_ASSERT_EQUAL(weft_secret_read("/tmp", &s, err), -EINVAL);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("common/secret", setup, cleanup);
	CU_add_test(s, "usable files", good);
	CU_add_test(s, "refused files", bad);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
