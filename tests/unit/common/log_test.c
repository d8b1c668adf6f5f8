// SPDX-License-Identifier: Apache-2.0
/* The form of a line, escaping, levels, the rate limit. */
#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/common/unit.h"

static char out[65536];

/* Runs fn with stderr in a file; its text is in out. */
static void capture(void (*fn)(void))
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	dup2(fileno(f), STDERR_FILENO);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = '\0';
	fclose(f);
}

static int lines(void)
{
	int n = 0;
	char *p;

	for (p = out; (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

static void some_lines(void)
{
	weft_log_set_level(WEFT_LOG_INFO);
	weft_info("target opened", "path=%s size=%d", "/a\nerr forged", 7);
	weft_debug("not written", "x=%d", 1);
	weft_log_target("");
	weft_err("no fields", "%s", "");
	weft_log_set_level(WEFT_LOG_ERR);
	weft_info("not written", "x=%d", 2);
}

static void form(void)
{
	weft_log_init("weft-test");
	weft_log_target("mdt1");
	capture(some_lines);
	CU_ASSERT_EQUAL(lines(), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "Z info weft-test mdt1 \"target opened\" "
					   "path=/a\\x0aerr forged size=7\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "Z err weft-test \"no fields\"\n"));
	CU_ASSERT_PTR_NULL(strstr(out, "not written"));
}

static void long_line(void)
{
	static char text[5000];

	memset(text, 'y', sizeof(text) - 1);
	weft_err("long", "text=%s", text);
}

static void flood(void)
{
	int i;

	weft_log_set_level(WEFT_LOG_WARN);
	for (i = 0; i < 1000; i++)
		weft_warn_peer("a peer is at it", "i=%d", i);
	weft_log_set_level(WEFT_LOG_ERR);
}

static void limits(void)
{
	capture(long_line);
	CU_ASSERT_EQUAL(lines(), 1);
	CU_ASSERT(strlen(out) < 2100);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "yyy...\n"));
	capture(flood);
	CU_ASSERT(lines() >= 10 && lines() <= 21); /* 10 in 5 s; the clock may just turn */
}

static void names(void)
{
	CU_ASSERT_EQUAL(weft_log_parse_level("warn"), WEFT_LOG_WARN);
	CU_ASSERT_EQUAL(weft_log_parse_level("WARN"), -EINVAL);
}

int main(void)
{
	static const struct unit_test tests[] = { { "form", form },
						  { "limits", limits },
						  { "names of levels", names },
						  { NULL, NULL } };

	return unit_run("common/log", tests);
}
