// SPDX-License-Identifier: Apache-2.0
/*
 * The tools' configuration: found, read, checked; every failure has a sentence with the file's
 * name.
 */
#include "common/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct weft_config_key keys[] = {
	{ "mgmt", "addresses", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ "auth", "secretfile", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED },
	{ NULL, NULL, 0, 0 },
};

static int copy(char *to, size_t size, const char *from, const char *what, char *err)
{
	if (strlen(from) >= size) {
		snprintf(err, WEFT_CONFIG_ERR_MAX, "%s is too long", what);
		return -ENAMETOOLONG;
	}
	strcpy(to, from);
	return 0;
}

static int load_file(struct weft_conf *c, const char *mgmt, char *err)
{
	struct weft_config *config;
	const char *secretfile;
	int ret = weft_config_load(c->path, keys, &config, err);

	if (ret)
		return ret;
	ret = copy(c->mgmt, sizeof(c->mgmt),
		   mgmt ? mgmt : weft_config_str(config, "mgmt", NULL, "addresses", ""),
		   "list of management addresses", err);
	secretfile = weft_config_str(config, "auth", NULL, "secretfile", NULL);
	if (!ret && secretfile)
		ret = weft_secret_read(secretfile, &c->secret, err);
	weft_config_free(config);
	return ret;
}

int weft_conf_load(const char *file, const char *mgmt, struct weft_conf *c,
		   char err[WEFT_CONFIG_ERR_MAX])
{
	const char *env = getenv("WEFT_CONF");
	const char *path = file ? file : env && *env ? env : NULL;
	int ret;

	memset(c, 0, sizeof(*c));
	err[0] = 0;
	if (path && access(path, R_OK)) {
		ret = -errno;
		snprintf(err, WEFT_CONFIG_ERR_MAX, "%s: %s", path, strerror(-ret));
		return ret;
	}
	if (!path && access(WEFT_CONF_DEFAULT, R_OK))
		return mgmt ? copy(c->mgmt, sizeof(c->mgmt), mgmt, "--mgmt", err) : 0;
	ret = copy(c->path, sizeof(c->path), path ? path : WEFT_CONF_DEFAULT, "file name", err);
	return ret ? ret : load_file(c, mgmt, err);
}
