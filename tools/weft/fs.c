// SPDX-License-Identifier: Apache-2.0
/*
 * weft fs create, weft fs extend: asks management to lay the file system out, or to use the object
 * targets that came since. Management refuses with a sentence.
 */
#include <errno.h>
#include <stdio.h>

#include "tools/weft/weft.h"

enum { OPT_SHARDS = 256, OPT_CHUNK, OPT_REPLICAS };

static int take_number(const char *what, uint64_t max, uint32_t *out)
{
	uint64_t n;

	if (weft_parse_size(optarg, &n) || !n || n > max)
		return weft_say(WEFT_EXIT_USAGE, "%s %s is not a usable number", what, optarg);
	*out = n;
	return 0;
}

int weft_cmd_fs_create(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		WEFT_COMMON_OPTIONS,
		{ "shards", required_argument, NULL, OPT_SHARDS },
		{ "chunk-size", required_argument, NULL, OPT_CHUNK },
		{ "replicas", required_argument, NULL, OPT_REPLICAS },
		{ NULL, 0, NULL, 0 },
	};
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__FsCreate create = WEFT__FS_CREATE__INIT;
	Weft__AdminReply *rep;
	int opt, status = 0;

	while (!status && (opt = weft_getopt(cmd, argc, argv, options, &status)) != -1) {
		if (opt == -2)
			return status;
		if (opt == OPT_SHARDS)
			status = take_number("--shards", 65536, &create.shards);
		else if (opt == OPT_CHUNK)
			status = take_number("--chunk-size", 1u << 31, &create.chunk_size);
		else
			status = take_number("--replicas", 16, &create.replicas);
	}
	if (!status && optind < argc)
		status = weft_say(WEFT_EXIT_USAGE, "what is \"%s\"? --help tells more",
				  argv[optind]);
	if (status)
		return status;
	q.op_case = WEFT__ADMIN_REQUEST__OP_FS_CREATE;
	q.fs_create = &create;
	status = weft_ask(cmd, &q, &rep);
	if (status)
		return status;
	weft__admin_reply__free_unpacked(rep, NULL);
	printf(cmd->json ? "{}\n" : "The file system is laid out.\n");
	return 0;
}

int weft_cmd_fs_extend(struct weft_cmd *cmd, int argc, char **argv)
{
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__FsExtend extend = WEFT__FS_EXTEND__INIT;
	Weft__AdminReply *rep;
	int status;

	if (!weft_no_arguments(cmd, argc, argv, &status))
		return status;
	q.op_case = WEFT__ADMIN_REQUEST__OP_FS_EXTEND;
	q.fs_extend = &extend;
	status = weft_ask(cmd, &q, &rep);
	if (status)
		return status;
	weft__admin_reply__free_unpacked(rep, NULL);
	printf(cmd->json ? "{}\n" : "New files use the new object targets as well.\n");
	return 0;
}
