// SPDX-License-Identifier: Apache-2.0
/*
 * mkfs.weft: format one target.
 *
 * Normal operation: understand the command line, learn which file system the target is for (given,
 * new, or asked from management), format, tell what was made. Whatever it refuses it refuses before
 * anything was changed, with a sentence and a status of its own.
 *
 * Exit status: 0 done; 1 failed; 2 wrong command line or configuration; 3 there is data already;
 * 4 management not reached, or it has another file system.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/mgmt_client_admin.h"
#include "common/report.h"
#include "common/target.h"
#include "common/uuid.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_DATA = 3, EXIT_MGMT = 4 };

#define MGMT_TIMEOUT_MS 5000

static const char help[] =
	"usage: mkfs.weft --type mgmt|mdt|ost [options] DIRECTORY\n"
	"\n"
	"Makes DIRECTORY a target of a weft file system: of the management service (mgmt), a metadata\n"
	"target (mdt) or an object storage target (ost). The directory is made when it is absent.\n"
	"\n"
	"  -t, --type TYPE      mgmt, mdt or ost\n"
	"  -f, --fsid UUID      id of the file system; mgmt: default a new one; mdt and ost: default\n"
	"                       asked from the management service that the configuration names\n"
	"  -n, --fs-name NAME   name of the file system; mgmt: default \"weft\"; mdt and ost: refuse\n"
	"                       when management has another one\n"
	"  -d, --device DEV     ost: block device (or existing file) for the data; default: a file in\n"
	"                       DIRECTORY\n"
	"  -s, --size BYTES     ost: room for data, with K, M, G or T; default: the whole device, or\n"
	"                       nine tenths of what is free\n"
	"      --reformat       destroy the weft target that is there\n"
	"      --dry-run        check everything, change nothing\n"
	"  -m, --mgmt ADDRESSES management servers, host[:port],...; default: from the configuration\n"
	"  -c, --config FILE    configuration; default: $WEFT_CONF or /etc/weft/weft.conf\n"
	"  -o, --output FORMAT  table or json\n"
	"  -h, --help           this text\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 wrong command line, 3 there is data already,\n"
	"4 management not reached or of another file system.\n";

struct args {
	struct weft_target target;
	bool fsid_given;
	const char *fs_name;
	const char *config;
	const char *mgmt;
	unsigned int flags;
	bool json;
};

static int complain(int status, const char *sentence)
{
	fprintf(stderr, "mkfs.weft: %s\n", sentence);
	return status;
}

/*
 * Devices are remembered by the name that was given, made absolute: what a link such as
 * /dev/disk/by-id/... points to changes from one start of the machine to the next.
 */
static int take_device(const char *name, char data[PATH_MAX])
{
	char cwd[PATH_MAX] = "";
	int len;

	if (access(name, F_OK) || (*name != '/' && !getcwd(cwd, sizeof(cwd))))
		return -errno;
	len = snprintf(data, PATH_MAX, "%s%s%s", cwd, *cwd && strcmp(cwd, "/") ? "/" : "", name);
	return len < WEFT_TARGET_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int take_option(struct args *a, int opt, const char *value)
{
	char path[PATH_MAX];
	int ret = 0;

	switch (opt) {
	case 't':
		ret = a->target.kind = weft_target_parse_kind(value);
		return ret < 0 ? complain(EXIT_USAGE, "--type must be mgmt, mdt or ost") : 0;
	case 'f':
		a->fsid_given = true;
		ret = weft_uuid_parse(value, a->target.fsid);
		return ret ? complain(EXIT_USAGE, "--fsid is not a UUID") : 0;
	case 'n':
		a->fs_name = value;
		return *value && strlen(value) < sizeof(a->target.fs_name) ?
			0 :
			complain(EXIT_USAGE, "--fs-name must have 1 to 31 characters");
	case 'd':
		ret = take_device(value, path);
		if (ret) {
			fprintf(stderr, "mkfs.weft: %s: %s\n", value, strerror(-ret));
			return EXIT_USAGE;
		}
		strcpy(a->target.data, path);
		return 0;
	case 's':
		ret = weft_parse_size(value, &a->target.data_size);
		return ret || !a->target.data_size ? complain(EXIT_USAGE, "--size is not a size such as 100G") : 0;
	case 'R':
		a->flags |= WEFT_FORMAT_REFORMAT;
		return 0;
	case 'D':
		a->flags |= WEFT_FORMAT_DRY_RUN;
		return 0;
	case 'm':
		a->mgmt = value;
		return 0;
	case 'c':
		a->config = value;
		return 0;
	case 'o':
		ret = weft_report_format(value, &a->json);
		return ret ? complain(EXIT_USAGE, "--output must be table or json") : 0;
	default:
		return complain(EXIT_USAGE, "mkfs.weft --help tells how it is used");
	}
}

static int parse(struct args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "type", required_argument, NULL, 't' },
		{ "fsid", required_argument, NULL, 'f' },
		{ "fs-name", required_argument, NULL, 'n' },
		{ "device", required_argument, NULL, 'd' },
		{ "size", required_argument, NULL, 's' },
		{ "reformat", no_argument, NULL, 'R' },
		{ "dry-run", no_argument, NULL, 'D' },
		{ "mgmt", required_argument, NULL, 'm' },
		{ "config", required_argument, NULL, 'c' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "t:f:n:d:s:m:c:o:h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		ret = take_option(a, opt, optarg);
		if (ret)
			return ret;
	}
	if (!a->target.kind)
		return complain(EXIT_USAGE, "--type is missing; mkfs.weft --help tells more");
	if (optind != argc - 1)
		return complain(EXIT_USAGE, "one directory is needed; mkfs.weft --help tells more");
	if (a->target.kind != WEFT_OST && (a->target.data[0] || a->target.data_size))
		return complain(EXIT_USAGE, "--device and --size are for object targets");
	if (!*argv[optind] || strlen(argv[optind]) >= sizeof(a->target.path))
		return complain(EXIT_USAGE, "wrong directory name");
	strcpy(a->target.path, argv[optind]);
	return 0;
}

/* Which file system is there? */
static int ask_management(struct args *a)
{
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__StatusRequest s = WEFT__STATUS_REQUEST__INIT;
	char err[WEFT_ADMIN_ERR_MAX];
	struct weft_admin *admin;
	Weft__AdminReply *rep;
	struct weft_conf conf;
	int ret;

	ret = weft_conf_load(a->config, a->mgmt, &conf, err);
	if (ret)
		return complain(EXIT_USAGE, err);
	if (!conf.mgmt[0])
		return complain(EXIT_USAGE, "which file system? Give --fsid, or --mgmt or a "
					    "configuration to ask management");
	ret = weft_admin_open(conf.mgmt, &conf.secret, MGMT_TIMEOUT_MS, &admin, err);
	if (ret)
		return complain(EXIT_USAGE, err);
	q.op_case = WEFT__ADMIN_REQUEST__OP_STATUS;
	q.status = &s;
	ret = weft_admin_call(admin, &q, &rep, err);
	weft_admin_close(admin);
	if (ret)
		return complain(EXIT_MGMT, err);
	if (rep->op_case != WEFT__ADMIN_REPLY__OP_STATUS || rep->status->fsid.len != 16 ||
	    strlen(rep->status->name) >= sizeof(a->target.fs_name)) {
		ret = complain(EXIT_MGMT, "management does not know its file system yet");
	} else if (a->fs_name && strcmp(a->fs_name, rep->status->name)) {
		fprintf(stderr, "mkfs.weft: management has file system \"%s\", not \"%s\"\n",
			rep->status->name, a->fs_name);
		ret = EXIT_MGMT;
	} else {
		memcpy(a->target.fsid, rep->status->fsid.data, 16);
		strcpy(a->target.fs_name, rep->status->name);
	}
	weft__admin_reply__free_unpacked(rep, NULL);
	return ret;
}

static int find_fs(struct args *a)
{
	if (!a->fsid_given && a->target.kind != WEFT_MGT)
		return ask_management(a);
	strcpy(a->target.fs_name, a->fs_name ? a->fs_name : "weft");
	if (!a->fsid_given && weft_uuid_random(a->target.fsid))
		return complain(EXIT_FAILED, "the system has no random numbers");
	return 0;
}

static int report(const struct args *a)
{
	static const struct weft_column lines[] = {
		{ "path", "target", WEFT_AS_TEXT },
		{ "type", "type", WEFT_AS_TEXT },
		{ "fs_name", "file system", WEFT_AS_TEXT },
		{ "fsid", "file system id", WEFT_AS_TEXT },
		{ "uuid", "target id", WEFT_AS_TEXT },
		{ "data", "data", WEFT_AS_TEXT },
		{ "data_size", "room for data", WEFT_AS_BYTES },
		{ "dry_run", "dry run", WEFT_AS_TEXT },
		{ NULL, NULL, 0 },
	};
	const struct weft_target *t = &a->target;
	char fsid[WEFT_UUID_STR], uuid[WEFT_UUID_STR];
	json_t *o;
	int ret;

	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "path", t->path, "type",
		      weft_target_kind_name(t->kind), "fs_name", t->fs_name, "fsid",
		      weft_uuid_format(t->fsid, fsid), "uuid", weft_uuid_format(t->uuid, uuid),
		      "dry_run", !!(a->flags & WEFT_FORMAT_DRY_RUN));
	if (o && t->kind == WEFT_OST) {
		json_object_set_new(o, "data", json_string(t->data));
		json_object_set_new(o, "data_size", json_integer(t->data_size));
	}
	ret = o ? weft_report_object(o, lines, a->json) : -ENOMEM;
	json_decref(o);
	return ret ? EXIT_FAILED : 0;
}

int main(int argc, char **argv)
{
	struct args a = { .target.fd = -1 };
	char err[WEFT_TARGET_ERR_MAX];
	int ret;

	ret = parse(&a, argc, argv);
	if (!ret)
		ret = find_fs(&a);
	if (ret)
		return ret;
	ret = weft_target_format(&a.target, a.flags, err);
	if (ret) {
		complain(0, err[0] ? err : strerror(-ret));
		return ret == -EEXIST || ret == -ENOTEMPTY || ret == -EBUSY ? EXIT_DATA :
									      EXIT_FAILED;
	}
	return report(&a);
}
