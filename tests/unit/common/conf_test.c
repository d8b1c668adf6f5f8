// SPDX-License-Identifier: Apache-2.0
/* The tools' configuration: which file is found, what goes before what, what is refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/conf.h"
#include "tests/unit/common/unit.h"

static const char *dir;
static struct weft_conf c;
static char err[WEFT_CONFIG_ERR_MAX];

static const char *put(const char *name, const char *text)
{
	static char paths[8][256];
	static unsigned int n;
	char *path = paths[n++ % 8];
	FILE *f;

	snprintf(path, 256, "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static void found(void)
{
	const char *a, *b;

	dir = unit_mkdir();
	a = put("a", "[mgmt]\naddresses = aaa\n");
	b = put("b", "[mgmt]\naddresses = bbb:1,ccc\n");
	unsetenv("WEFT_CONF");
	CU_ASSERT_EQUAL(weft_conf_load(a, NULL, &c, err), 0);
	CU_ASSERT_STRING_EQUAL(c.mgmt, "aaa");
	CU_ASSERT_STRING_EQUAL(c.path, a);
	CU_ASSERT_EQUAL(c.secret.len, 0);
	setenv("WEFT_CONF", b, 1);
	CU_ASSERT_EQUAL(weft_conf_load(NULL, NULL, &c, err), 0);
	CU_ASSERT_STRING_EQUAL(c.mgmt, "bbb:1,ccc");
	CU_ASSERT_EQUAL(weft_conf_load(a, NULL, &c, err), 0); /* the option goes before */
	CU_ASSERT_STRING_EQUAL(c.mgmt, "aaa");
	CU_ASSERT_EQUAL(weft_conf_load(a, "ddd", &c, err), 0);
	CU_ASSERT_STRING_EQUAL(c.mgmt, "ddd");
	unsetenv("WEFT_CONF");
	unit_rmdir(dir);
}

static void secret(void)
{
	const char *file, *conf;
	char text[512];

	dir = unit_mkdir();
	file = put("secret", "0123456789abcdef\n");
	snprintf(text, sizeof(text), "[auth]\nsecretfile = %s\n", file);
	conf = put("conf", text);
	CU_ASSERT_EQUAL(chmod(file, 0600), 0);
	CU_ASSERT_EQUAL(weft_conf_load(conf, NULL, &c, err), 0);
	CU_ASSERT_EQUAL(c.secret.len, 16);
	CU_ASSERT_STRING_EQUAL(c.mgmt, "");
	CU_ASSERT_EQUAL(chmod(file, 0644), 0);
	CU_ASSERT_EQUAL(weft_conf_load(conf, NULL, &c, err), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, file));
	unit_rmdir(dir);
}

static void refused(void)
{
	char big[2048], text[2100];

	dir = unit_mkdir();
	CU_ASSERT_EQUAL(weft_conf_load("/nonexistent/conf", NULL, &c, err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "/nonexistent/conf"));
	CU_ASSERT_EQUAL(weft_conf_load(put("x", "[mgmt]\nadress = a\n"), NULL, &c, err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "adress"));
	CU_ASSERT_EQUAL(weft_conf_load(put("x", "[mgmt]\n"), NULL, &c, err), -EINVAL);
	CU_ASSERT_EQUAL(weft_conf_load(put("x", "[auth]\nsecretfile = /nonexistent\n"), NULL, &c,
				       err),
			-ENOENT);
	memset(big, 'a', sizeof(big));
	big[sizeof(c.mgmt)] = 0;
	CU_ASSERT_EQUAL(weft_conf_load(put("x", ""), big, &c, err), -ENAMETOOLONG);
	snprintf(text, sizeof(text), "[mgmt]\naddresses = %s\n", big);
	CU_ASSERT_NOT_EQUAL(weft_conf_load(put("x", text), NULL, &c, err), 0);
	CU_ASSERT(strlen(err) > 0);
	unit_rmdir(dir);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "the file is found", found },
		{ "the secret", secret },
		{ "wrong files", refused },
		{ NULL, NULL },
	};

	return unit_run("common/conf", tests);
}
