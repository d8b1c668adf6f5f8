/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output of commands: one set of data, shown as a table for people or as JSON for programs.
 *
 * A command makes its data as JSON (objects with fixed keys, bytes as numbers); columns say how a
 * table shows them. Prints to stdout. No state.
 */
#ifndef WEFT_COMMON_REPORT_H
#define WEFT_COMMON_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weft_report_as { WEFT_AS_TEXT, WEFT_AS_BYTES };

/**
 * struct weft_column - a column of a table, or a line of a single object
 * @key: key of the value
 * @title: how people are told
 * @as: WEFT_AS_BYTES: a number of bytes, shown as 1.5G
 */
struct weft_column {
	const char *key;
	const char *title;
	enum weft_report_as as;
};

/**
 * weft_report_format() - understand the value of --output
 * @name: "table" or "json"
 * @json: out
 *
 * Return: 0 or -EINVAL.
 */
int weft_report_format(const char *name, bool *json);

/**
 * weft_report_rows() - print a list
 * @rows: array of objects
 * @columns: columns, ended by a NULL key
 * @json: as JSON
 *
 * Return: 0 or -EIO.
 */
int weft_report_rows(const json_t *rows, const struct weft_column *columns, bool json);

/**
 * weft_report_object() - print a single object, a line for each column
 * @object: the object
 * @columns: lines, ended by a NULL key; a line whose key is absent is left out
 * @json: as JSON
 *
 * Return: 0 or -EIO.
 */
int weft_report_object(const json_t *object, const struct weft_column *columns, bool json);

/**
 * weft_format_bytes() - a size for people
 * @bytes: the size
 * @buf: filled in, such as "1.5G"
 * @len: size of @buf
 *
 * Return: @buf.
 */
const char *weft_format_bytes(uint64_t bytes, char *buf, size_t len);

#endif
