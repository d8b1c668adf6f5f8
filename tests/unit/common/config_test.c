// SPDX-License-Identifier: Apache-2.0
/* Configuration files: good ones, and each mistake with its line. */
#include "common/config.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "tests/unit/common/unit.h"

static const struct weft_config_key keys[] = {
	{ "node", "id", WEFT_CONFIG_U64, WEFT_CONFIG_REQUIRED },
	{ "node", "listen", WEFT_CONFIG_STR, 0 },
	{ "node", "auth", WEFT_CONFIG_BOOL, 0 },
	{ "log", "level", WEFT_CONFIG_LEVEL, 0 },
	{ "target", "path", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED | WEFT_CONFIG_NAMED },
	{ "target", "cache", WEFT_CONFIG_SIZE, WEFT_CONFIG_NAMED },
	{ NULL, NULL, 0, 0 },
};

static const char good[] = "; a comment\n"
			   "[node]\n"
			   "id = 0x10\n"
			   "listen = 127.0.0.1:7420, [::1]:7421\n"
			   "auth = Yes\n"
			   "\n"
			   "[target mdt1]\n"
			   "path = /data/mdt1\n"
			   "cache = 64M ; inline comment\n"
			   "[target mdt2]\n"
			   "path=/data/with blank\n"
			   "[log]\n"
			   "level = debug\n";

static void accepted(void)
{
	struct weft_config *c;
	char err[WEFT_CONFIG_ERR_MAX], item[64];
	const char *list;

	CU_ASSERT_EQUAL_FATAL(weft_config_parse("f", good, keys, &c, err), 0);
	CU_ASSERT_EQUAL(weft_config_u64(c, "node", NULL, "id", 0), 16);
	CU_ASSERT_EQUAL(weft_config_u64(c, "node", NULL, "auth", 0), 1);
	CU_ASSERT_EQUAL(weft_config_u64(c, "target", "mdt1", "cache", 7), 64 << 20);
	CU_ASSERT_EQUAL(weft_config_u64(c, "target", "mdt2", "cache", 7), 7);
	CU_ASSERT_EQUAL(weft_config_u64(c, "log", NULL, "level", 0), WEFT_LOG_DEBUG);
	CU_ASSERT_STRING_EQUAL(weft_config_str(c, "target", "mdt2", "path", ""),
			       "/data/with blank");
	CU_ASSERT_STRING_EQUAL(weft_config_section(c, "target", 0), "mdt1");
	CU_ASSERT_STRING_EQUAL(weft_config_section(c, "target", 1), "mdt2");
	CU_ASSERT_PTR_NULL(weft_config_section(c, "target", 2));
	list = weft_config_str(c, "node", NULL, "listen", "");
	CU_ASSERT_EQUAL(weft_config_split(&list, item, sizeof(item)), 1);
	CU_ASSERT_STRING_EQUAL(item, "127.0.0.1:7420");
	CU_ASSERT_EQUAL(weft_config_split(&list, item, 4), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(weft_config_split(&list, item, sizeof(item)), 1);
	CU_ASSERT_STRING_EQUAL(item, "[::1]:7421");
	CU_ASSERT_EQUAL(weft_config_split(&list, item, sizeof(item)), 0);
	weft_config_free(c);
}

static void refused(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "[node]\nid = 1\nidd = 2\n", "f:3: unknown key \"idd\"" },
		{ "[nodes]\nid = 1\n", "f:1: unknown section [nodes]" },
		{ "[node]\nid = 1\nid = 2\n", "f:3: \"id\" is given twice" },
		{ "[node]\nid = 1\n[node]\nid = 2\n", "f:3: section [node] is given twice" },
		{ "[node]\nid = one\n", "f:2: id = one: a number is wanted" },
		{ "[node]\nid = 99999999999999999999\n", "f:2: id = 9999" },
		{ "[node]\nid = 1\nauth = maybe\n", "f:3: auth = maybe: yes or no" },
		{ "[node]\nlisten = x\n", "f:1: section [node] lacks \"id\"" },
		{ "\n[target a]\n", "f:2: section [target] lacks \"path\"" },
		{ "[target]\npath = x\n", "f:1: section [target] needs a name" },
		{ "[node x]\nid = 1\n", "f:1: section [node] has no name" },
		{ "[target a]\npath = x\ncache = 20000000T\n", "f:3: cache = 20000000T: a size" },
		{ "[log]\nlevel = loud\n", "f:2: level = loud: err, warn" },
		{ "id = 1\n", "f:1: unknown key" },
		{ "[node]\nid = 1\njust words\n", "f:3: not a section" },
		{ "[node]\nid = 1\n continued\n", "f:3: line begins with a blank" },
	};
	char err[WEFT_CONFIG_ERR_MAX], longline[400];
	struct weft_config *c = NULL;
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(weft_config_parse("f", bad[i].text, keys, &c, err), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(err, bad[i].says));
	}
	memset(longline, 'x', sizeof(longline) - 1);
	longline[sizeof(longline) - 1] = '\0';
	CU_ASSERT_EQUAL(weft_config_parse("f", longline, keys, &c, err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "f:1: line is longer"));
	CU_ASSERT_EQUAL(weft_config_load("/nonexistent/f", keys, &c, err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "/nonexistent/f"));
}

static void hostports(void)
{
	static const char *const bad[] = { "", ":1", "a:", "a:x", "a:65536", "a:-1", "[::1", "[::1]x",
					   "[]:1", "a:1 ", "a:list:of" };
	uint16_t port = 7420;
	char host[64];
	unsigned int i;

	CU_ASSERT_EQUAL(weft_parse_hostport("mgmt1", host, sizeof(host), &port), 0);
	CU_ASSERT(!strcmp(host, "mgmt1") && port == 7420);
	CU_ASSERT_EQUAL(weft_parse_hostport("10.0.0.1:9", host, sizeof(host), &port), 0);
	CU_ASSERT(!strcmp(host, "10.0.0.1") && port == 9);
	CU_ASSERT_EQUAL(weft_parse_hostport("[fe80::1]:8", host, sizeof(host), &port), 0);
	CU_ASSERT(!strcmp(host, "fe80::1") && port == 8);
	CU_ASSERT_EQUAL(weft_parse_hostport("fe80::2", host, sizeof(host), &port), 0);
	CU_ASSERT(!strcmp(host, "fe80::2") && port == 8);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(weft_parse_hostport(bad[i], host, sizeof(host), &port), -EINVAL);
	CU_ASSERT_EQUAL(weft_parse_hostport("long", host, 4, &port), -EINVAL);
}

static void torture(void)
{
	char err[WEFT_CONFIG_ERR_MAX];
	struct weft_config *c;
	unsigned int n;
	bool failed;
	int ret;

	for (n = 1, failed = true; failed; n++) {
		c = NULL;
		torture_arm(n);
		ret = weft_config_parse("f", good, keys, &c, err);
		failed = torture_disarm();
		CU_ASSERT_EQUAL(ret, failed ? -ENOMEM : 0);
		weft_config_free(c);
	}
	CU_ASSERT(n > 10);
}

int main(void)
{
	static const struct unit_test tests[] = { { "accepted", accepted },
						  { "refused", refused },
						  { "host:port", hostports },
						  { "allocations fail", torture },
						  { NULL, NULL } };

	return unit_run("common/config", tests);
}
