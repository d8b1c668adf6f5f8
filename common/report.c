// SPDX-License-Identifier: Apache-2.0
/*
 * Tables and JSON on stdout. It can fail only when stdout does.
 */
#include "common/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CELL_MAX 1024

int weft_report_format(const char *name, bool *json)
{
	if (strcmp(name, "json") && strcmp(name, "table"))
		return -EINVAL;
	*json = !strcmp(name, "json");
	return 0;
}

const char *weft_format_bytes(uint64_t bytes, char *buf, size_t len)
{
	static const char units[] = "KMGTPE";
	double x = bytes;
	int unit = -1;

	while (x >= 1024 && units[unit + 1]) {
		x /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(buf, len, "%lluB", (unsigned long long)bytes);
	else
		snprintf(buf, len, "%.1f%c", x, units[unit]);
	return buf;
}

/* A value as text, in @buf. */
static const char *cell(const json_t *v, enum weft_report_as as, char buf[CELL_MAX])
{
	size_t i, n, at = 0;

	buf[0] = 0;
	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_STRING:
		snprintf(buf, CELL_MAX, "%s", json_string_value(v));
		break;
	case JSON_INTEGER:
		if (as == WEFT_AS_BYTES)
			weft_format_bytes(json_integer_value(v), buf, CELL_MAX);
		else
			snprintf(buf, CELL_MAX, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_TRUE:
		return "yes";
	case JSON_FALSE:
		return "no";
	case JSON_ARRAY:
		n = json_array_size(v);
		for (i = 0; i < n && at < CELL_MAX - 64; i++) {
			char one[CELL_MAX];

			at += snprintf(buf + at, CELL_MAX - at, "%s%.60s", i ? "," : "",
				       cell(json_array_get(v, i), as, one));
		}
		if (i < n)
			snprintf(buf + at, CELL_MAX - at, ",...");
		break;
	default:
		break;
	}
	return buf[0] ? buf : "-";
}

static int print_json(const json_t *v)
{
	if (json_dumpf(v, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) || putchar('\n') == EOF)
		return -EIO;
	return fflush(stdout) ? -EIO : 0;
}

static size_t width_of(const json_t *rows, const struct weft_column *c)
{
	size_t width = strlen(c->title), i, w;
	char buf[CELL_MAX];

	for (i = 0; i < json_array_size(rows); i++) {
		w = strlen(cell(json_object_get(json_array_get(rows, i), c->key), c->as, buf));
		if (w > width)
			width = w;
	}
	return width;
}

static void print_line(const json_t *row, const struct weft_column *columns, const size_t *width)
{
	const struct weft_column *c;
	const json_t *v;
	char buf[CELL_MAX];
	const char *text;
	bool right;

	for (c = columns; c->key; c++, width++) {
		v = row ? json_object_get(row, c->key) : NULL;
		right = json_is_integer(v);
		text = row ? cell(v, c->as, buf) : c->title;
		if (c != columns)
			fputs("  ", stdout);
		if (right)
			printf("%*s", (int)*width, text);
		else if (c[1].key)
			printf("%-*s", (int)*width, text);
		else
			fputs(text, stdout);
	}
	putchar('\n');
}

int weft_report_rows(const json_t *rows, const struct weft_column *columns, bool json)
{
	size_t width[32], n, i;

	if (json)
		return print_json(rows);
	for (n = 0; columns[n].key && n < 32; n++)
		width[n] = width_of(rows, &columns[n]);
	print_line(NULL, columns, width);
	for (i = 0; i < json_array_size(rows); i++)
		print_line(json_array_get(rows, i), columns, width);
	return fflush(stdout) ? -EIO : 0;
}

int weft_report_object(const json_t *object, const struct weft_column *columns, bool json)
{
	const struct weft_column *c;
	char buf[CELL_MAX];
	int width = 0, w;
	json_t *v;

	if (json)
		return print_json(object);
	for (c = columns; c->key; c++) {
		w = strlen(c->title);
		if (w > width)
			width = w;
	}
	for (c = columns; c->key; c++) {
		v = json_object_get(object, c->key);
		if (v)
			printf("%-*s  %s\n", width, c->title, cell(v, c->as, buf));
	}
	return fflush(stdout) ? -EIO : 0;
}
