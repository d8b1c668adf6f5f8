// SPDX-License-Identifier: Apache-2.0
/* Output of commands: the same data as a table and as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/report.h"
#include "tests/unit/common/unit.h"

static const struct weft_column columns[] = {
	{ "name", "NAME", WEFT_AS_TEXT },   { "size", "SIZE", WEFT_AS_BYTES },
	{ "up", "UP", WEFT_AS_TEXT },	    { "list", "LIST", WEFT_AS_TEXT },
	{ NULL, NULL, WEFT_AS_TEXT },
};

static char *text;

/* Runs a report with stdout into @text. */
static void capture(int (*report)(const json_t *v, const struct weft_column *c, bool json),
		    const json_t *v, bool json)
{
	FILE *f = tmpfile();
	int keep = dup(1);
	long n;

	CU_ASSERT_FATAL(f && keep >= 0);
	fflush(stdout);
	dup2(fileno(f), 1);
	CU_ASSERT_EQUAL(report(v, columns, json), 0);
	fflush(stdout);
	dup2(keep, 1);
	close(keep);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	free(text);
	text = calloc(1, n + 1);
	CU_ASSERT_EQUAL(fread(text, 1, n, f), (size_t)n);
	fclose(f);
}

static json_t *rows(void)
{
	return json_pack("[{s:s, s:I, s:b, s:[i,i]}, {s:s}]", "name", "a", "size",
			 (json_int_t)1536, "up", 1, "list", 1, 22, "name", "longer");
}

static void table(void)
{
	json_t *v = rows();

	capture(weft_report_rows, v, false);
	CU_ASSERT_STRING_EQUAL(text, "NAME    SIZE  UP   LIST\n"
				     "a       1.5K  yes  1,22\n"
				     "longer  -     -    -\n");
	capture(weft_report_object, json_array_get(v, 0), false);
	CU_ASSERT_STRING_EQUAL(text, "NAME  a\nSIZE  1.5K\nUP    yes\nLIST  1,22\n");
	capture(weft_report_object, json_array_get(v, 1), false);
	CU_ASSERT_STRING_EQUAL(text, "NAME  longer\n");
	json_decref(v);
}

static void as_json(void)
{
	json_t *v = rows(), *back;

	capture(weft_report_rows, v, true);
	back = json_loads(text, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(back);
	CU_ASSERT(json_equal(v, back));
	json_decref(back);
	json_decref(v);
	v = json_array();
	capture(weft_report_rows, v, true);
	CU_ASSERT_STRING_EQUAL(text, "[]\n");
	json_decref(v);
}

static void words(void)
{
	char buf[32];
	bool json = false;

	CU_ASSERT_EQUAL(weft_report_format("json", &json), 0);
	CU_ASSERT(json);
	CU_ASSERT_EQUAL(weft_report_format("table", &json), 0);
	CU_ASSERT(!json);
	CU_ASSERT_EQUAL(weft_report_format("xml", &json), -EINVAL);
	CU_ASSERT_STRING_EQUAL(weft_format_bytes(0, buf, sizeof(buf)), "0B");
	CU_ASSERT_STRING_EQUAL(weft_format_bytes(1023, buf, sizeof(buf)), "1023B");
	CU_ASSERT_STRING_EQUAL(weft_format_bytes(1024, buf, sizeof(buf)), "1.0K");
	CU_ASSERT_STRING_EQUAL(weft_format_bytes(UINT64_MAX, buf, sizeof(buf)), "16.0E");
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "tables", table },
		{ "JSON", as_json },
		{ "words", words },
		{ NULL, NULL },
	};
	int status = unit_run("common/report", tests);

	free(text);
	return status;
}
