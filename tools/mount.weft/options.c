// SPDX-License-Identifier: Apache-2.0
/*
 * Options of a mount: those of the mount itself, those of the file system, those for others.
 *
 * A secret on the command line is refused, because every user could read it there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "tools/mount.weft/mount.h"

/* Options of the mount point: attribute for fsmount(), flag for a remount. */
static const struct {
	const char *name;
	uint64_t set, clear;
	unsigned long flag, unflag;
} attributes[] = {
	{ "ro", MOUNT_ATTR_RDONLY, 0, MS_RDONLY, 0 },
	{ "rw", 0, MOUNT_ATTR_RDONLY, 0, MS_RDONLY },
	{ "nosuid", MOUNT_ATTR_NOSUID, 0, MS_NOSUID, 0 },
	{ "suid", 0, MOUNT_ATTR_NOSUID, 0, MS_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV, 0, MS_NODEV, 0 },
	{ "dev", 0, MOUNT_ATTR_NODEV, 0, MS_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC, 0, MS_NOEXEC, 0 },
	{ "exec", 0, MOUNT_ATTR_NOEXEC, 0, MS_NOEXEC },
	{ "noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR_STRICTATIME, MS_NOATIME, 0 },
	{ "atime", 0, MOUNT_ATTR_NOATIME, 0, MS_NOATIME },
	{ "strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR_NOATIME, MS_STRICTATIME, 0 },
	{ "relatime", 0, MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME, MS_RELATIME, 0 },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME, 0, MS_NODIRATIME, 0 },
	{ "diratime", 0, MOUNT_ATTR_NODIRATIME, 0, MS_NODIRATIME },
};

/* For mount(8), fstab and the boot scripts only. */
static const char *const foreign[] = { "defaults", "auto",   "noauto", "user",	"nouser",
				       "users",	   "owner",  "group",  "nofail", "_netdev",
				       "norelatime", "nostrictatime", "silent", "loud" };

static bool take_attribute(struct mount_options *o, const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		if (strcmp(attributes[i].name, name))
			continue;
		o->attrs = (o->attrs & ~attributes[i].clear) | attributes[i].set;
		o->flags = (o->flags & ~attributes[i].unflag) | attributes[i].flag;
		return true;
	}
	return false;
}

static bool is_foreign(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (!strcmp(foreign[i], name))
			return true;
	return !strncmp(name, "x-", 2) || !strncmp(name, "X-", 2) || !strcmp(name, "comment");
}

static int add_param(struct mount_options *o, const char *key, const char *value, char *err)
{
	if (o->nparams == MOUNT_PARAMS_MAX) {
		snprintf(err, MOUNT_ERR_MAX, "too many options");
		return -EINVAL;
	}
	o->params[o->nparams].key = key;
	o->params[o->nparams++].value = value;
	return 0;
}

static int take_port(struct mount_options *o, const char *value, char *err)
{
	char *end;
	unsigned long port = value ? strtoul(value, &end, 10) : 0;

	if (!port || port > 65535 || *end) {
		snprintf(err, MOUNT_ERR_MAX, "port=%s: must be 1 to 65535", value ? value : "");
		return -EINVAL;
	}
	o->port = port;
	return 0;
}

static int take_one(struct mount_options *o, char *word, char *err)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = 0;
	if ((!value && take_attribute(o, word)) || is_foreign(word))
		return 0;
	if (!strcmp(word, "remount")) {
		o->remount = true;
		return 0;
	}
	if (!strcmp(word, "secret")) {
		snprintf(err, MOUNT_ERR_MAX, "a secret among the options can be read by everybody; "
					     "use secretfile=FILE");
		return -EINVAL;
	}
	if (!strcmp(word, "secretfile") || !strcmp(word, "config")) {
		if (!value || !*value) {
			snprintf(err, MOUNT_ERR_MAX, "%s= needs the name of a file", word);
			return -EINVAL;
		}
		*(word[0] == 's' ? &o->secretfile : &o->config) = value;
		return 0;
	}
	if (!strcmp(word, "port"))
		return take_port(o, value, err);
	return add_param(o, word, value, err);
}

int mount_options_parse(char *text, struct mount_options *o, char err[MOUNT_ERR_MAX])
{
	char *word;
	int ret = 0;

	while (!ret && (word = strsep(&text, ",")))
		if (*word)
			ret = take_one(o, word, err);
	return ret;
}
