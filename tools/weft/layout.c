// SPDX-License-Identifier: Apache-2.0
/*
 * weft layout: the extended attribute weft.layout of a path in a mount, which the metadata server
 * reads and sets: "pool=NAME chunk=BYTES width=N inline=BYTES".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "proto/meta.h"
#include "tools/weft/weft.h"

#define TEXT_MAX 1024

enum { OPT_POOL = 256, OPT_CHUNK, OPT_WIDTH, OPT_INLINE };

struct layout {
	char pool[64];
	unsigned long long chunk, width, inline_max;
};

static int read_layout(const char *path, struct layout *l)
{
	char text[TEXT_MAX], *word, *rest;
	ssize_t n = getxattr(path, WEFT_XATTR_LAYOUT, text, sizeof(text) - 1);

	if (n < 0 && (errno == EOPNOTSUPP || errno == ENODATA))
		return weft_say(WEFT_EXIT_FAILED, "%s: not in a weft file system", path);
	if (n < 0)
		return weft_say(WEFT_EXIT_FAILED, "%s: %s", path, strerror(errno));
	text[n] = 0;
	memset(l, 0, sizeof(*l));
	for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		if (!strncmp(word, "pool=", 5))
			snprintf(l->pool, sizeof(l->pool), "%s", word + 5);
		else if (!strncmp(word, "chunk=", 6))
			l->chunk = strtoull(word + 6, NULL, 10);
		else if (!strncmp(word, "width=", 6))
			l->width = strtoull(word + 6, NULL, 10);
		else if (!strncmp(word, "inline=", 7))
			l->inline_max = strtoull(word + 7, NULL, 10);
	}
	return 0;
}

static int print_layout(const struct weft_cmd *cmd, const char *path, const struct layout *l)
{
	static const struct weft_column lines[] = {
		{ "path", "path", WEFT_AS_TEXT },
		{ "pool", "pool", WEFT_AS_TEXT },
		{ "chunk_size", "chunk size", WEFT_AS_BYTES },
		{ "width", "width", WEFT_AS_TEXT },
		{ "inline_max", "inline up to", WEFT_AS_BYTES },
		{ NULL, NULL, 0 },
	};
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I}", "path", path, "pool", l->pool,
			      "chunk_size", (json_int_t)l->chunk, "width", (json_int_t)l->width,
			      "inline_max", (json_int_t)l->inline_max);
	int ret = o ? weft_report_object(o, lines, cmd->json) : -EINVAL;

	json_decref(o);
	return ret ? weft_say(WEFT_EXIT_FAILED, "%s: layout cannot be shown", path) : 0;
}

int weft_cmd_layout_get(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = { WEFT_COMMON_OPTIONS, { NULL, 0, NULL, 0 } };
	struct layout l;
	int status;

	if (weft_getopt(cmd, argc, argv, options, &status) == -2)
		return status;
	if (optind != argc - 1)
		return weft_say(WEFT_EXIT_USAGE, "one path is needed");
	status = read_layout(argv[optind], &l);
	return status ? status : print_layout(cmd, argv[optind], &l);
}

/* Values given on the command line. */
struct changes {
	const char *pool;
	bool chunk_set, width_set, inline_set;
	uint64_t chunk, width, inline_max;
};

static int take_change(struct changes *c, int opt)
{
	switch (opt) {
	case OPT_POOL:
		c->pool = optarg;
		return 0;
	case OPT_CHUNK:
		c->chunk_set = true;
		return weft_parse_size(optarg, &c->chunk);
	case OPT_WIDTH:
		c->width_set = true;
		return weft_parse_size(optarg, &c->width);
	default:
		c->inline_set = true;
		return weft_parse_size(optarg, &c->inline_max);
	}
}

static int change_layout(const struct weft_cmd *cmd, const char *path, const struct changes *c)
{
	char text[TEXT_MAX];
	struct layout l;
	int status = read_layout(path, &l);

	if (status)
		return status;
	snprintf(text, sizeof(text), "pool=%.63s chunk=%llu width=%llu inline=%llu",
		 c->pool ? c->pool : l.pool, c->chunk_set ? (unsigned long long)c->chunk : l.chunk,
		 c->width_set ? (unsigned long long)c->width : l.width,
		 c->inline_set ? (unsigned long long)c->inline_max : l.inline_max);
	if (setxattr(path, WEFT_XATTR_LAYOUT, text, strlen(text), 0))
		return weft_say(WEFT_EXIT_FAILED, "%s: layout \"%s\" refused: %s", path, text,
				strerror(errno));
	status = read_layout(path, &l);
	return status ? status : print_layout(cmd, path, &l);
}

int weft_cmd_layout_set(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		WEFT_COMMON_OPTIONS,
		{ "pool", required_argument, NULL, OPT_POOL },
		{ "chunk-size", required_argument, NULL, OPT_CHUNK },
		{ "width", required_argument, NULL, OPT_WIDTH },
		{ "inline", required_argument, NULL, OPT_INLINE },
		{ NULL, 0, NULL, 0 },
	};
	struct changes c = { 0 };
	int opt, status;

	while ((opt = weft_getopt(cmd, argc, argv, options, &status)) != -1) {
		if (opt == -2)
			return status;
		if (take_change(&c, opt))
			return weft_say(WEFT_EXIT_USAGE, "\"%s\" is not a number", optarg);
	}
	if (optind != argc - 1)
		return weft_say(WEFT_EXIT_USAGE, "one path is needed");
	return change_layout(cmd, argv[optind], &c);
}
