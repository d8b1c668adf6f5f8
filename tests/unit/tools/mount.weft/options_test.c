// SPDX-License-Identifier: Apache-2.0
/*
 * Options of mount.weft: which are the mount's, which the file system's, which nobody's; and the
 * addresses of a source.
 */
#include <CUnit/Basic.h>
#include <stdlib.h>

#include "tools/mount.weft/options.c"
#include "tools/mount.weft/resolve.c"

static char err[MOUNT_ERR_MAX];

static int parse(const char *text, struct mount_options *o)
{
	static char copy[1024]; /* the options point into it */

	memset(o, 0, sizeof(*o));
	err[0] = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	return mount_options_parse(copy, o, err);
}

static void attributes_of_the_mount(void)
{
	struct mount_options o;

	CU_ASSERT_EQUAL(parse("ro,nosuid,nodev,noexec,noatime", &o), 0);
	CU_ASSERT_EQUAL(o.attrs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					 MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME);
	CU_ASSERT_EQUAL(o.flags, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME);
	CU_ASSERT_EQUAL(o.nparams, 0);
	/* the last one counts */
	CU_ASSERT_EQUAL(parse("ro,noexec,rw,exec,noatime,strictatime", &o), 0);
	CU_ASSERT_EQUAL(o.attrs, MOUNT_ATTR_STRICTATIME);
	CU_ASSERT_EQUAL(parse("noatime,relatime", &o), 0);
	CU_ASSERT_EQUAL(o.attrs, 0);
}

static void options_of_others(void)
{
	struct mount_options o;

	CU_ASSERT_EQUAL(parse("defaults,_netdev,nofail,auto,user,x-systemd.automount,"
			      "x-systemd.device-timeout=10,X-mount.mkdir=0755,comment=abc,,",
			      &o),
			0);
	CU_ASSERT_EQUAL(o.nparams + o.attrs + o.flags, 0);
}

static void options_of_the_file_system(void)
{
	struct mount_options o;

	CU_ASSERT_EQUAL(parse("net=tcp,checksum,conns=4,anything,port=99,secretfile=/a/b,"
			      "config=c,remount,ro=1",
			      &o),
			0);
	CU_ASSERT_EQUAL_FATAL(o.nparams, 5);
	CU_ASSERT_STRING_EQUAL(o.params[0].key, "net");
	CU_ASSERT_STRING_EQUAL(o.params[0].value, "tcp");
	CU_ASSERT_STRING_EQUAL(o.params[1].key, "checksum");
	CU_ASSERT_PTR_NULL(o.params[1].value);
	CU_ASSERT_STRING_EQUAL(o.params[3].key, "anything"); /* the kernel will refuse it */
	CU_ASSERT_STRING_EQUAL(o.params[4].key, "ro"); /* with a value it is no attribute */
	CU_ASSERT_STRING_EQUAL(o.secretfile, "/a/b");
	CU_ASSERT_STRING_EQUAL(o.config, "c");
	CU_ASSERT_EQUAL(o.port, 99);
	CU_ASSERT(o.remount);
}

static void refused(void)
{
	static const char *const bad[] = { "secret=abc", "secret", "secretfile", "secretfile=",
					   "config=", "port", "port=", "port=0", "port=65536",
					   "port=1x" };
	char many[1024] = "";
	struct mount_options o;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(parse(bad[i], &o), -EINVAL);
		CU_ASSERT(strlen(err) > 10);
	}
	CU_ASSERT_EQUAL(parse("secret=abc", &o), -EINVAL);
	CU_ASSERT_PTR_NULL(strstr(err, "abc"));
	for (i = 0; i <= MOUNT_PARAMS_MAX; i++)
		strcat(many, "a=b,");
	CU_ASSERT_EQUAL(parse(many, &o), -EINVAL);
}

static void sources(void)
{
	static const char *const bad[] = { "", ":/", "host", "host:", "host/", ",:/", "1.2.3.4:x:/",
					   "1.2.3.4:99999:/" };
	char list[512], small[16];
	size_t i;

	CU_ASSERT_EQUAL(mount_resolve("10.0.0.1:/", 7420, list, sizeof(list), err), 0);
	CU_ASSERT_STRING_EQUAL(list, "10.0.0.1:7420");
	CU_ASSERT_EQUAL(mount_resolve("10.0.0.1:1,10.0.0.2:/some/dir:/x", 7420, list, sizeof(list),
				      err),
			0);
	CU_ASSERT_STRING_EQUAL(list, "10.0.0.1:1+10.0.0.2:7420");
	CU_ASSERT_EQUAL(mount_resolve("[fd00::1]:5,10.0.0.2:/", 9, list, sizeof(list), err), 0);
	CU_ASSERT_STRING_EQUAL(list, "[fd00::1]:5+10.0.0.2:9");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err[0] = 0;
		CU_ASSERT_EQUAL(mount_resolve(bad[i], 7420, list, sizeof(list), err), -EINVAL);
		CU_ASSERT(strlen(err) > 10);
	}
	CU_ASSERT_EQUAL(mount_resolve("host.invalid:/", 7420, list, sizeof(list), err),
			-EHOSTUNREACH);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "host.invalid"));
	CU_ASSERT_EQUAL(mount_resolve("10.0.0.1,10.0.0.2:/", 7420, small, sizeof(small), err),
			-E2BIG);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("tools/mount.weft/options", NULL, NULL);
	CU_add_test(s, "attributes of the mount", attributes_of_the_mount);
	CU_add_test(s, "options for others are dropped", options_of_others);
	CU_add_test(s, "options of the file system", options_of_the_file_system);
	CU_add_test(s, "wrong options", refused);
	CU_add_test(s, "sources", sources);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
