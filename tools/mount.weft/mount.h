/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount.weft: what options.c makes of the command line, and main.c mounts.
 */
#ifndef WEFT_TOOLS_MOUNT_WEFT_MOUNT_H
#define WEFT_TOOLS_MOUNT_WEFT_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOUNT_PARAMS_MAX 64
#define MOUNT_ERR_MAX 1024

/* For the file system: a flag when value is NULL. */
struct mount_param {
	const char *key;
	const char *value;
};

/**
 * struct mount_options - sorted options
 * @flags: MS_* of a remount
 * @attrs: MOUNT_ATTR_* of the mount
 * @params: for the file system, in their order
 * @nparams: how many
 * @secretfile: file with the secret, or NULL
 * @config: configuration to take the secret from, or NULL
 * @port: port of servers without one
 * @remount: change a mount
 */
struct mount_options {
	unsigned long flags;
	uint64_t attrs;
	struct mount_param params[MOUNT_PARAMS_MAX];
	unsigned int nparams;
	const char *secretfile;
	const char *config;
	uint16_t port;
	bool remount;
};

/**
 * mount_options_parse() - sort the options of -o
 * @text: the options separated by commas; cut up, and kept by @o
 * @o: added to
 * @err: a sentence when it fails
 *
 * Options that only mount(8) and the boot scripts care about (_netdev, x-*, user, ...) are dropped;
 * what is not known here goes to the kernel, which refuses what it does not know.
 *
 * Return: 0 or -EINVAL.
 */
int mount_options_parse(char *text, struct mount_options *o, char err[MOUNT_ERR_MAX]);

/**
 * mount_resolve() - addresses of the management servers of a source
 * @source: "host[:port][,host...]:/[dir]"
 * @port: port of servers without one
 * @list: filled with "ADDR:PORT+[ADDR]:PORT..."
 * @len: size of @list
 * @err: a sentence when it fails
 *
 * Return: 0, -EINVAL for a malformed source, -EHOSTUNREACH when a name has no address, or -E2BIG.
 */
int mount_resolve(const char *source, uint16_t port, char *list, size_t len,
		  char err[MOUNT_ERR_MAX]);

#endif
