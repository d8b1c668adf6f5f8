/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration that all tools find: --config FILE, else $WEFT_CONF, else /etc/weft/weft.conf.
 *
 *   [mgmt]
 *   addresses = mgmt1,mgmt2:7420
 *   [auth]
 *   secretfile = /etc/weft/secret
 *
 * A file that was named must exist; /etc/weft/weft.conf may be absent.
 */
#ifndef WEFT_COMMON_CONF_H
#define WEFT_COMMON_CONF_H

#include <stdbool.h>

#include "common/config.h"
#include "common/secret.h"

#define WEFT_CONF_DEFAULT "/etc/weft/weft.conf"

/**
 * struct weft_conf - what the tools need to know
 * @path: the file that was read, "" for none
 * @mgmt: addresses of management, "" when they are not configured
 * @secret: the secret; its length is 0 when there is none
 */
struct weft_conf {
	char path[4096];
	char mgmt[1024];
	struct weft_secret secret;
};

/**
 * weft_conf_load() - find and read the configuration
 * @file: value of --config, or NULL
 * @mgmt: value of --mgmt, which goes before the file's, or NULL
 * @c: filled in
 * @err: a sentence when it fails
 *
 * Return: 0, -ENOENT when a file that was named does not exist, -EINVAL for a wrong content, or
 * another negative errno.
 */
int weft_conf_load(const char *file, const char *mgmt, struct weft_conf *c,
		   char err[WEFT_CONFIG_ERR_MAX]);

#endif
