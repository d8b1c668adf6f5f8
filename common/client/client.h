/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libweft: the file operations of the kernel client from user space, for tools, data movers and
 * tests. Synchronous calls that return 0 (or a count) or a negative errno; the client runs its own
 * loop in a thread. Nothing is cached but the cluster map and the layouts of open files.
 *
 * Every call waits through reconnects and restarts of servers, with replay: a change is applied
 * exactly once. With timeout_ms in the options a call that takes longer returns -ETIMEDOUT (it may
 * be applied or not).
 *
 * Attributes are struct weft_attr as on the wire (little endian fields).
 *
 * Protection: a client may be used by many threads at once; a weft_file by one at a time.
 */
#ifndef WEFT_COMMON_CLIENT_CLIENT_H
#define WEFT_COMMON_CLIENT_CLIENT_H

#include <sys/types.h>
#include <time.h>

#include "proto/meta.h"
#include "proto/mgmtops.h"

struct weft_client;
struct weft_file;

/**
 * struct weft_client_opts - how to connect
 * @mgmt: management servers, "host[:port],..."
 * @secret: shared secret or NULL
 * @secret_len: its length
 * @timeout_ms: limit of one call, 0: none
 * @conns: connections to each target, 0: 2
 */
struct weft_client_opts {
	const char *mgmt;
	const void *secret;
	size_t secret_len;
	uint32_t timeout_ms;
	unsigned int conns;
};

/**
 * weft_client_open() - connect to a cluster: register, fetch the map
 * @o: options
 * @out: the client
 *
 * Return: 0; -ETIMEDOUT or -ENOTCONN when management is not reached; -EPROTONOSUPPORT, -EXDEV,
 * -EKEYREJECTED as weft_status_errno() says; or another negative errno.
 */
int weft_client_open(const struct weft_client_opts *o, struct weft_client **out);

/**
 * weft_client_close() - close the sessions and free the client
 * @c: the client or NULL; its files are closed, nobody uses it any more
 */
void weft_client_close(struct weft_client *c);

/**
 * weft_client_set_creds() - on whose behalf the calls from now on are made
 * @c: the client; at first uid 0, gid 0, all capabilities
 * @uid: user
 * @gid: group
 * @caps: WEFT_CAP_*
 * @groups: supplementary groups
 * @ngroups: how many
 *
 * Return: 0, -EINVAL for too many groups, or -ENOMEM.
 */
int weft_client_set_creds(struct weft_client *c, uint32_t uid, uint32_t gid, uint32_t caps,
			  const uint32_t *groups, uint32_t ngroups);

/**
 * weft_client_session() - the client id
 * @c: the client
 *
 * Return: the id.
 */
uint64_t weft_client_session(struct weft_client *c);

/**
 * struct weft_client_stats - counters over all peers
 * @rpcs: requests answered or sent (without replays)
 * @replays: requests sent again
 * @retries: requests made anew after WEFT_S_STALE_MAP, BUSY and the like
 */
struct weft_client_stats {
	uint64_t rpcs;
	uint64_t replays;
	uint64_t retries;
};

/**
 * weft_client_stats() - read the counters
 * @c: the client
 * @s: filled in
 */
void weft_client_stats(struct weft_client *c, struct weft_client_stats *s);

/**
 * weft_client_statfs() - space and inodes
 * @c: the client
 * @st: filled in
 *
 * Return: 0 or a negative errno.
 */
int weft_client_statfs(struct weft_client *c, struct weft_statfs_rep *st);

/**
 * weft_client_lookup() - find a name
 * @c: the client
 * @dir: directory
 * @name: name, or ".." for the parent of a directory
 * @attr: its attributes
 *
 * Return: 0, -ENOENT or another negative errno.
 */
int weft_client_lookup(struct weft_client *c, uint64_t dir, const char *name,
		       struct weft_attr *attr);

/**
 * weft_client_walk() - find a path from the root
 * @c: the client
 * @path: path; "." and ".." are understood
 * @follow: follow a symbolic link at its end (others are always followed)
 * @attr: the attributes of what is there
 *
 * Return: 0 or a negative errno (-ELOOP after 40 links).
 */
int weft_client_walk(struct weft_client *c, const char *path, bool follow, struct weft_attr *attr);

/**
 * weft_client_walk_parent() - find the directory of a path
 * @c: the client
 * @path: path
 * @dir: its directory
 * @name: its last component, within @path
 *
 * Return: 0 or a negative errno (-EINVAL when the path ends in ".", ".." or is "/").
 */
int weft_client_walk_parent(struct weft_client *c, const char *path, uint64_t *dir,
			    const char **name);

/**
 * weft_client_getattr() - attributes of an inode
 * @c: the client
 * @ino: inode
 * @attr: filled in
 *
 * Return: 0 or a negative errno.
 */
int weft_client_getattr(struct weft_client *c, uint64_t ino, struct weft_attr *attr);

/**
 * struct weft_client_set - what weft_client_setattr() sets
 * @valid: WEFT_SET_*
 */
struct weft_client_set {
	uint32_t valid;
	uint32_t mode, uid, gid;
	uint64_t size;
	struct timespec atime, mtime;
};

/**
 * weft_client_setattr() - change attributes; WEFT_SET_SIZE truncates
 * @c: the client
 * @ino: inode
 * @set: what
 * @attr: filled with the attributes afterwards; or NULL
 *
 * Return: 0 or a negative errno.
 */
int weft_client_setattr(struct weft_client *c, uint64_t ino, const struct weft_client_set *set,
			struct weft_attr *attr);

/**
 * weft_client_create() - make a directory, symbolic link, special file or empty file
 * @c: the client
 * @dir: directory
 * @name: name
 * @mode: type and permissions
 * @rdev_major: of a device
 * @rdev_minor: of a device
 * @target: of a symbolic link, else NULL
 * @attr: filled with the new inode's attributes; or NULL
 *
 * Return: 0 or a negative errno.
 */
int weft_client_create(struct weft_client *c, uint64_t dir, const char *name, uint32_t mode,
		       uint32_t rdev_major, uint32_t rdev_minor, const char *target,
		       struct weft_attr *attr);

/**
 * weft_client_mkdir() - make a directory
 * @c: the client
 * @dir: directory
 * @name: name
 * @mode: permissions
 * @attr: filled in; or NULL
 *
 * Return: 0 or a negative errno.
 */
int weft_client_mkdir(struct weft_client *c, uint64_t dir, const char *name, uint32_t mode,
		      struct weft_attr *attr);

/**
 * weft_client_remove() - remove a name
 * @c: the client
 * @dir: directory
 * @name: name
 * @isdir: rmdir instead of unlink
 *
 * Return: 0 or a negative errno.
 */
int weft_client_remove(struct weft_client *c, uint64_t dir, const char *name, bool isdir);

/**
 * weft_client_link() - one more name for a file
 * @c: the client
 * @ino: the file
 * @dir: directory
 * @name: name
 *
 * Return: 0 or a negative errno.
 */
int weft_client_link(struct weft_client *c, uint64_t ino, uint64_t dir, const char *name);

/**
 * weft_client_rename() - rename
 * @c: the client
 * @dir: directory
 * @name: name
 * @new_dir: directory afterwards
 * @new_name: name afterwards
 * @flags: WEFT_RENAME_*
 *
 * Return: 0 or a negative errno.
 */
int weft_client_rename(struct weft_client *c, uint64_t dir, const char *name, uint64_t new_dir,
		       const char *new_name, uint32_t flags);

/**
 * weft_client_readlink() - target of a symbolic link
 * @c: the client
 * @ino: the link
 * @buf: filled in, with a zero byte behind it
 * @len: size of @buf
 *
 * Return: length of the target, -ERANGE when it does not fit, or another negative errno.
 */
ssize_t weft_client_readlink(struct weft_client *c, uint64_t ino, char *buf, size_t len);

/**
 * weft_client_readdir() - list a directory
 * @c: the client
 * @dir: directory
 * @cookie: in: where to begin (0: the first); out: where to go on
 * @fn: called for each entry with its name (ended by zero) and attributes; not 0 ends the listing
 * @arg: argument of @fn
 *
 * Return: 0 at the end of the directory, what @fn returned, or a negative errno.
 */
int weft_client_readdir(struct weft_client *c, uint64_t dir, uint64_t *cookie,
			int (*fn)(void *arg, const char *name, const struct weft_dirent *de),
			void *arg);

/**
 * weft_client_getxattr() - read an extended attribute
 * @c: the client
 * @ino: inode
 * @name: its name, or NULL for the list of names
 * @buf: filled in
 * @len: size of @buf, 0: only ask for the size
 *
 * Return: its size, -ERANGE when it does not fit, -ENODATA, or another negative errno.
 */
ssize_t weft_client_getxattr(struct weft_client *c, uint64_t ino, const char *name, void *buf,
			     size_t len);

/**
 * weft_client_setxattr() - set or remove an extended attribute
 * @c: the client
 * @ino: inode
 * @name: its name
 * @val: value
 * @len: its length
 * @flags: WEFT_XATTR_*
 *
 * Return: 0 or a negative errno.
 */
int weft_client_setxattr(struct weft_client *c, uint64_t ino, const char *name, const void *val,
			 size_t len, uint32_t flags);

/**
 * weft_file_open() - open a file, or create it
 * @c: the client
 * @dir: directory, or the file itself when @name is ""
 * @name: name
 * @flags: WEFT_OPEN_*
 * @mode: permissions of a new file
 * @out: the file
 *
 * Return: 0, -EISDIR, -ELOOP for a symbolic link, or another negative errno.
 */
int weft_file_open(struct weft_client *c, uint64_t dir, const char *name, uint32_t flags,
		   uint32_t mode, struct weft_file **out);

/**
 * weft_file_close() - close a file; size and times of what was written are committed
 * @f: the file or NULL
 *
 * Return: 0 or a negative errno; the file is gone in any case.
 */
int weft_file_close(struct weft_file *f);

/**
 * weft_file_attr() - attributes as this file last saw them
 * @f: the file
 *
 * Return: the attributes.
 */
const struct weft_attr *weft_file_attr(const struct weft_file *f);

/**
 * weft_file_read() - read
 * @f: the file
 * @buf: filled in
 * @len: bytes wanted
 * @off: where
 *
 * Return: bytes read (fewer only at the end of the file) or a negative errno.
 */
ssize_t weft_file_read(struct weft_file *f, void *buf, size_t len, uint64_t off);

/**
 * weft_file_write() - write; when it returns the bytes are durable
 * @f: the file
 * @buf: bytes
 * @len: how many
 * @off: where
 *
 * The size that others see grows with weft_file_sync() or close when the file is in chunks.
 *
 * Return: @len or a negative errno.
 */
ssize_t weft_file_write(struct weft_file *f, const void *buf, size_t len, uint64_t off);

/**
 * weft_file_sync() - commit size and times of what was written
 * @f: the file
 *
 * Return: 0 or a negative errno.
 */
int weft_file_sync(struct weft_file *f);

/**
 * weft_file_truncate() - set the size
 * @f: the file
 * @size: the size
 *
 * Return: 0 or a negative errno.
 */
int weft_file_truncate(struct weft_file *f, uint64_t size);

#endif
