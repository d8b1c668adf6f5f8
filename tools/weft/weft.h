/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of `weft` share: options, access to management, how they end.
 */
#ifndef WEFT_TOOLS_WEFT_H
#define WEFT_TOOLS_WEFT_H

#include <getopt.h>
#include <stdbool.h>

#include "common/mgmt_client_admin.h"
#include "common/report.h"

/* Exit status of every command. */
enum {
	WEFT_EXIT_OK = 0,
	WEFT_EXIT_FAILED = 1, /* refused or failed; a sentence says why */
	WEFT_EXIT_USAGE = 2, /* wrong command line or configuration */
	WEFT_EXIT_UNREACHED = 4, /* management was not reached */
};

#define WEFT_TIMEOUT_MS 10000

/**
 * struct weft_cmd - a command under way
 * @config: --config, or NULL
 * @mgmt: --mgmt, or NULL
 * @json: --output json
 * @timeout_ms: --timeout
 * @help: the command's own help
 */
struct weft_cmd {
	const char *config;
	const char *mgmt;
	bool json;
	uint32_t timeout_ms;
	const char *help;
};

/* Options that every command has; a command's table begins with them. */
#define WEFT_COMMON_OPTIONS                                                                        \
	{ "config", required_argument, NULL, 'c' }, { "mgmt", required_argument, NULL, 'm' },      \
	{ "output", required_argument, NULL, 'o' }, { "timeout", required_argument, NULL, 'T' },   \
	{ "help", no_argument, NULL, 'h' }

/**
 * weft_getopt() - next option of the command's own; the common ones are taken care of
 * @cmd: the command
 * @argc: as of main
 * @argv: as of main
 * @options: its table
 * @status: set to the exit status when -2 is returned
 *
 * Return: the option's character with its value in optarg; -1 after the last; -2: end now.
 */
int weft_getopt(struct weft_cmd *cmd, int argc, char **argv, const struct option *options,
		int *status);

/* weft_no_arguments() - for commands without. Return: true to go on, false to end with @status. */
bool weft_no_arguments(struct weft_cmd *cmd, int argc, char **argv, int *status);

/**
 * weft_say() - an error message, with the program's name in front
 * @status: exit status
 * @fmt: the sentence
 *
 * Return: @status.
 */
int weft_say(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * weft_ask() - one request to the configured management
 * @cmd: the command
 * @q: the request
 * @rep: the answer
 *
 * Return: 0 or an exit status, after the message was printed.
 */
int weft_ask(const struct weft_cmd *cmd, const Weft__AdminRequest *q, Weft__AdminReply **rep);

/* weft_ask_status(), weft_ask_listing() - the same for these requests. Return: as weft_ask(). */
int weft_ask_status(const struct weft_cmd *cmd, Weft__AdminReply **rep);
int weft_ask_listing(const struct weft_cmd *cmd, bool clients, Weft__AdminReply **rep);

/* Things in a listing by their ids, or NULL; ids are searched, not trusted. */
const Weft__Node *weft_node_of(const Weft__Listing *l, uint32_t id);
const Weft__Target *weft_target_of(const Weft__Listing *l, uint32_t id);
const Weft__TargetUsage *weft_usage_of(const Weft__Listing *l, uint32_t target);

/* weft_group_of() - the group of a target, 0: none */
uint32_t weft_group_of(const Weft__Listing *l, uint32_t target);

/* weft_pool_name() - name of a pool, "-": none */
const char *weft_pool_name(const Weft__Listing *l, uint32_t id);

/* The commands. */
int weft_cmd_status(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_node_list(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_target_list(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_target_stats(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_group_list(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_pool_list(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_client_list(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_df(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_fs_create(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_fs_extend(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_layout_get(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_layout_set(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_why(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_dev_up(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_dev_down(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_dev_status(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_dev_kill(struct weft_cmd *cmd, int argc, char **argv);
int weft_cmd_dev_restart(struct weft_cmd *cmd, int argc, char **argv);

#endif
