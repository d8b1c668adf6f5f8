// SPDX-License-Identifier: Apache-2.0
/*
 * weft: the operators' command. Finds the command that noun and verb name and runs it.
 *
 * Exit status: 0 done; 1 failed or refused; 2 wrong command line or configuration; 4 management not
 * reached. Messages go to stderr, data to stdout.
 */
#include "tools/weft/weft.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

static const struct command {
	const char *noun, *verb;
	int (*run)(struct weft_cmd *cmd, int argc, char **argv);
	const char *what;
	const char *help;
} commands[] = {
	{ "status", NULL, weft_cmd_status, "is the file system well?",
	  "usage: weft status\n\nThe state of the file system in a few lines. Status 1 when "
	  "something is down.\n" },
	{ "df", NULL, weft_cmd_df, "space and inodes of the pools",
	  "usage: weft df\n\nSpace and inodes, by pool, as the servers last told.\n" },
	{ "node", "list", weft_cmd_node_list, "servers, their addresses and states",
	  "usage: weft node list\n" },
	{ "target", "list", weft_cmd_target_list, "metadata and object targets",
	  "usage: weft target list\n" },
	{ "target", "stats", weft_cmd_target_stats, "what targets have done since they started",
	  "usage: weft target stats [ID...]\n\n"
	  "Counters of the targets with these ids, or of all, asked from their servers, since each\n"
	  "started. Of a metadata target: ops_read, ops_write, batches (group commits), kv_syncs\n"
	  "and kv_bytes (synced writes to its RocksDB and the bytes given to it). Of an object\n"
	  "target: ops, commits (group commits), kv_syncs, kv_bytes, journal_syncs and\n"
	  "journal_bytes (of its journal of small writes), and data_syncs and data_bytes of its\n"
	  "data file. What RocksDB writes again when it compacts is not in them. Status 1\n"
	  "when a target did not answer within --timeout; the others are shown.\n" },
	{ "group", "list", weft_cmd_group_list, "groups of targets, and what is on them",
	  "usage: weft group list\n" },
	{ "pool", "list", weft_cmd_pool_list, "pools and their redundancy",
	  "usage: weft pool list\n" },
	{ "client", "list", weft_cmd_client_list, "mounts, and what carries their requests",
	  "usage: weft client list\n\n"
	  "The mounts that registered lately and those that are connected now, with what carries\n"
	  "their requests to metadata and data servers (tcp, rdma), and how often TCP had to take\n"
	  "over from RDMA since they were mounted (net=auto). A client of the library does not say\n"
	  "what it uses.\n" },
	{ "fs", "create", weft_cmd_fs_create, "lay out the file system on the targets that are up",
	  "usage: weft fs create [--shards N] [--chunk-size BYTES] [--replicas N]\n\n"
	  "Makes a group of each target that is up, spreads the virtual shards over the metadata\n"
	  "groups, and makes pool \"default\" of the object groups. Done once.\n\n"
	  "  --shards N          virtual shards, default 4096; fixed for ever\n"
	  "  --chunk-size BYTES  default chunk size, 64K to 64M, default 1M\n"
	  "  --replicas N        copies; this version keeps 1\n" },
	{ "fs", "extend", weft_cmd_fs_extend, "use the object targets that came since",
	  "usage: weft fs extend\n\n"
	  "Makes a group of each object target that is up and in no group, and a generation of pool\n"
	  "\"default\" with them. New files use all its groups; the others stay where they are.\n" },
	{ "layout", "get", weft_cmd_layout_get, "layout of a file, or of new files in a directory",
	  "usage: weft layout get PATH\n\nPATH is inside a mounted weft file system.\n" },
	{ "layout", "set", weft_cmd_layout_set, "change it (directories and empty files)",
	  "usage: weft layout set PATH [--pool NAME] [--chunk-size BYTES] [--width N] "
	  "[--inline BYTES]\n\n"
	  "PATH is a directory or an empty file inside a mounted weft file system. What is not\n"
	  "given stays as it is.\n\n"
	  "  --pool NAME         pool of the data\n"
	  "  --chunk-size BYTES  64K to 64M\n"
	  "  --width N           data groups that one file uses; 0: all\n"
	  "  --inline BYTES      largest file that stays in the metadata; 0: none\n" },
	{ "why", NULL, weft_cmd_why, "what processes and files on this machine wait for",
	  "usage: weft why [PID | PATH] [--debugfs DIR]\n\n"
	  "The requests of the mounts on this machine that are not over: of all, of a process, or\n"
	  "for a file. Needs root (debugfs). Management is asked for the names of the servers, for\n"
	  "a second; it need not answer.\n\n"
	  "  --debugfs DIR  default /sys/kernel/debug/weft\n" },
	{ "dev", "up", weft_cmd_dev_up, "a whole cluster on this machine, for trying and testing",
	  "usage: weft dev up [--dir DIR] [--mds N] [--oss N] [options]\n\n"
	  "Makes a cluster on loopback in DIR, or starts the one that is there, and waits until it\n"
	  "can be mounted. Each daemon is a process of its own with a directory, a configuration,\n"
	  "a log and a pid file in DIR.\n\n"
	  "  --dir DIR         default $WEFT_DEV, else /var/tmp/weft-dev\n"
	  "  --mgmts N         management servers: 1 (default), 3 or 5\n"
	  "  --mds N           metadata servers, default 2\n"
	  "  --oss N           object storage servers, default 3\n"
	  "  --ost-size BYTES  room for data on each, default 4G (the file is sparse)\n"
	  "  --listen IP       IPv4 or IPv6 address of all daemons, default 127.0.0.1\n"
	  "  --rdma IP[,IP..]  servers listen there over RDMA too (addresses of such devices)\n"
	  "  --net KIND        rails that servers take to each other: tcp (default), rdma, auto\n"
	  "  --port-base N     first of the ports; default: free ones\n"
	  "  --lease-ms N      lease of servers and of clients, default 15000\n"
	  "  --secret          make a secret and let everybody use it\n"
	  "  --log-level L     err, warn, info or debug\n"
	  "  --wait SECONDS    how long to wait for the cluster, default 60\n" },
	{ "dev", "down", weft_cmd_dev_down, "stop that cluster",
	  "usage: weft dev down [--dir DIR] [--destroy]\n\nStops every daemon of the cluster in DIR: "
	  "SIGTERM first, SIGKILL after 20 seconds.\n\n  --destroy  remove DIR afterwards\n" },
	{ "dev", "status", weft_cmd_dev_status, "its daemons",
	  "usage: weft dev status [--dir DIR]\n\nStatus 1 when a daemon is not running.\n" },
	{ "dev", "kill", weft_cmd_dev_kill, "kill -9 one daemon of it",
	  "usage: weft dev kill [--dir DIR] NAME...\n\nNAME such as mds1.\n" },
	{ "dev", "restart", weft_cmd_dev_restart, "start one daemon of it again",
	  "usage: weft dev restart [--dir DIR] [--faults SPEC] [--wait SECONDS] NAME...\n\n"
	  "Kills the daemon when it runs, starts it, waits until management has it back.\n\n"
	  "  --faults SPEC   fault points for it, as in $WEFT_FAULTS\n"
	  "  --wait SECONDS  how long to wait, default 60; 0: do not wait\n" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char common_help[] =
	"\nOptions of all commands:\n"
	"  -c, --config FILE     configuration; default $WEFT_CONF, else /etc/weft/weft.conf\n"
	"  -m, --mgmt ADDRESSES  management servers, host[:port],...; default: the configuration's\n"
	"  -o, --output FORMAT   table (default) or json\n"
	"  -T, --timeout MS      how long to wait for management, default 10000\n"
	"  -h, --help            help\n"
	"\nExit status: 0 done, 1 failed or refused, 2 wrong command line or configuration,\n"
	"4 management was not reached.\n";

static void overview(FILE *f)
{
	char name[32];
	size_t i;

	fputs("usage: weft COMMAND [options]\n\n", f);
	for (i = 0; i < N_COMMANDS; i++) {
		snprintf(name, sizeof(name), "%s %s", commands[i].noun,
			 commands[i].verb ? commands[i].verb : "");
		fprintf(f, "  weft %-14s %s\n", name, commands[i].what);
	}
	fputs("\nweft COMMAND --help tells more about one.\n", f);
	fputs(common_help, f);
}

int weft_say(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("weft: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

static int common_option(struct weft_cmd *cmd, int opt, int *status)
{
	uint64_t ms;

	switch (opt) {
	case 'c':
		cmd->config = optarg;
		return 0;
	case 'm':
		cmd->mgmt = optarg;
		return 0;
	case 'o':
		if (!weft_report_format(optarg, &cmd->json))
			return 0;
		*status = weft_say(WEFT_EXIT_USAGE, "--output must be table or json");
		return -2;
	case 'T':
		if (!weft_parse_size(optarg, &ms) && ms && ms <= 3600000) {
			cmd->timeout_ms = ms;
			return 0;
		}
		*status = weft_say(WEFT_EXIT_USAGE, "--timeout is a number of milliseconds");
		return -2;
	case 'h':
		fputs(cmd->help, stdout);
		fputs(common_help, stdout);
		*status = 0;
		return -2;
	default:
		*status = WEFT_EXIT_USAGE;
		return -2;
	}
}

int weft_getopt(struct weft_cmd *cmd, int argc, char **argv, const struct option *options,
		int *status)
{
	int opt, ret;

	for (;;) {
		opt = getopt_long(argc, argv, "c:m:o:T:h", options, NULL);
		if (opt == -1 || opt >= 256)
			return opt;
		ret = common_option(cmd, opt, status);
		if (ret)
			return ret;
	}
}

bool weft_no_arguments(struct weft_cmd *cmd, int argc, char **argv, int *status)
{
	static const struct option options[] = { WEFT_COMMON_OPTIONS, { NULL, 0, NULL, 0 } };

	if (weft_getopt(cmd, argc, argv, options, status) == -2)
		return false;
	if (optind == argc)
		return true;
	*status = weft_say(WEFT_EXIT_USAGE, "what is \"%s\"? --help tells more", argv[optind]);
	return false;
}

int weft_ask(const struct weft_cmd *cmd, const Weft__AdminRequest *q, Weft__AdminReply **rep)
{
	char err[WEFT_ADMIN_ERR_MAX];
	struct weft_admin *admin;
	struct weft_conf conf;
	int ret;

	if (weft_conf_load(cmd->config, cmd->mgmt, &conf, err))
		return weft_say(WEFT_EXIT_USAGE, "%s", err);
	if (!conf.mgmt[0])
		return weft_say(WEFT_EXIT_USAGE,
				"where is management? Give --mgmt, or a configuration (--config, "
				"$WEFT_CONF, " WEFT_CONF_DEFAULT ")");
	ret = weft_admin_open(conf.mgmt, &conf.secret, cmd->timeout_ms, &admin, err);
	weft_secret_wipe(&conf.secret);
	if (ret)
		return weft_say(WEFT_EXIT_USAGE, "%s", err);
	ret = weft_admin_call(admin, q, rep, err);
	weft_admin_close(admin);
	if (!ret)
		return 0;
	return weft_say(ret == -ETIMEDOUT || ret == -ENOTCONN ? WEFT_EXIT_UNREACHED :
								  WEFT_EXIT_FAILED,
			"%s", err);
}

int main(int argc, char **argv)
{
	struct weft_cmd cmd = { .timeout_ms = WEFT_TIMEOUT_MS };
	const struct command *c;
	bool noun = false;

	weft_log_init("weft");
	weft_log_set_level(WEFT_LOG_ERR);
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		overview(argc < 2 ? stderr : stdout);
		return argc < 2 ? WEFT_EXIT_USAGE : 0;
	}
	for (c = commands; c < commands + N_COMMANDS; c++) {
		if (strcmp(argv[1], c->noun))
			continue;
		noun = true;
		cmd.help = c->help;
		if (!c->verb)
			return c->run(&cmd, argc - 1, argv + 1);
		if (argc > 2 && !strcmp(argv[2], c->verb))
			return c->run(&cmd, argc - 2, argv + 2);
	}
	weft_say(0, noun ? "%s what? \"weft --help\" lists the commands" :
			   "no command \"%s\"; \"weft --help\" lists them",
		 argv[1]);
	return WEFT_EXIT_USAGE;
}
