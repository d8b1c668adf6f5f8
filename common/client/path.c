// SPDX-License-Identifier: Apache-2.0
/*
 * Walking paths: one lookup for each component, symbolic links followed, at most 40 of them.
 *
 * Components that do not exist, files in the middle of a path and loops have the errno of the
 * system call. No state of its own; runs in the program's threads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/client/impl.h"

#define LINKS_MAX 40

static bool is_link(const struct weft_attr *a)
{
	return S_ISLNK(le32_to_cpu(a->mode));
}

static int walk(struct weft_client *c, uint64_t dir, const char *path, bool follow,
		unsigned int links, struct weft_attr *attr);

/* Follows the symbolic link *attr that was found in @dir. */
static int follow_link(struct weft_client *c, uint64_t dir, unsigned int links,
		       struct weft_attr *attr)
{
	char *target;
	ssize_t ret;

	if (links >= LINKS_MAX)
		return -ELOOP;
	target = malloc(WEFT_SYMLINK_MAX + 1);
	if (!target)
		return -ENOMEM;
	ret = weft_client_readlink(c, le64_to_cpu(attr->ino), target, WEFT_SYMLINK_MAX + 1);
	if (ret >= 0)
		ret = walk(c, dir, target, true, links + 1, attr);
	free(target);
	return ret;
}

/* Walks @path from @dir (or the root, when it begins with a slash). */
static int walk(struct weft_client *c, uint64_t dir, const char *path, bool follow,
		unsigned int links, struct weft_attr *attr)
{
	char name[WEFT_NAME_MAX + 1];
	size_t n;
	int ret;

	ret = weft_client_getattr(c, *path == '/' ? WEFT_INO_ROOT : dir, attr);
	while (!ret && *(path += strspn(path, "/"))) {
		n = strcspn(path, "/");
		if (n > WEFT_NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, n);
		name[n] = '\0';
		path += n;
		if (!S_ISDIR(le32_to_cpu(attr->mode)))
			return -ENOTDIR;
		if (!strcmp(name, "."))
			continue;
		dir = le64_to_cpu(attr->ino);
		ret = weft_client_lookup(c, dir, name, attr);
		if (!ret && is_link(attr) && (follow || *path))
			ret = follow_link(c, dir, links, attr);
	}
	return ret;
}

int weft_client_walk(struct weft_client *c, const char *path, bool follow, struct weft_attr *attr)
{
	return walk(c, WEFT_INO_ROOT, path, follow, 0, attr);
}

int weft_client_walk_parent(struct weft_client *c, const char *path, uint64_t *dir,
			    const char **name)
{
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
	struct weft_attr attr;
	char *parent;
	int ret;

	if (!*last || !strcmp(last, ".") || !strcmp(last, ".."))
		return -EINVAL;
	parent = strndup(path, last - path);
	if (!parent)
		return -ENOMEM;
	ret = weft_client_walk(c, parent, true, &attr);
	free(parent);
	if (!ret && !S_ISDIR(le32_to_cpu(attr.mode)))
		ret = -ENOTDIR;
	if (ret)
		return ret;
	*dir = le64_to_cpu(attr.ino);
	*name = last;
	return 0;
}
