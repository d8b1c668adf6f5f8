/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets on disk: the superblock that mkfs.weft writes and the daemons check.
 *
 * A target is a directory:
 *   superblock   4096 bytes, struct weft_target_disk
 *   raft/        management: log and snapshots
 *   db/          metadata and object targets: the RocksDB
 *   data         object targets: the data file, unless the data is on a device of its own
 * The data file or device of an object target opens with a copy of the superblock; its blocks
 * begin at data_offset.
 *
 * Who opens a target holds an exclusive flock on its superblock as long as it is open.
 * Nothing here keeps state: a struct weft_target belongs to its caller.
 */
#ifndef WEFT_COMMON_TARGET_H
#define WEFT_COMMON_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/map.h"

#define WEFT_MGT 3 /* a management target; MDT and OST are in enum weft_target_kind */

#define WEFT_TARGET_MAGIC 0x74677257u /* "Wrgt" */
#define WEFT_TARGET_VERSION 1
#define WEFT_TARGET_SB_SIZE 4096
#define WEFT_TARGET_DATA_OFFSET (1u << 20)
#define WEFT_TARGET_PATH_MAX 1024
#define WEFT_TARGET_ERR_MAX 2560
#define WEFT_TARGET_WAIT_MS 3000 /* how long a killed process may hold its locks */

/* The superblock on disk. */
struct weft_target_disk {
	__le32 magic;
	__le32 crc; /* crc32c of the whole block with this field 0 */
	__le16 version;
	__le16 kind; /* enum weft_target_kind or WEFT_MGT */
	__le32 incompat; /* features without which it cannot be used; none yet */
	__u8 fsid[16];
	__u8 uuid[16];
	__le64 created; /* seconds since 1970 */
	__le64 data_offset;
	__le64 data_size; /* bytes behind data_offset */
	char fs_name[32]; /* NUL padded */
	char data[WEFT_TARGET_PATH_MAX]; /* device; empty: "data" in the directory */
	__u8 reserved[4096 - 1128];
};
WEFT_ASSERT_SIZE(struct weft_target_disk, WEFT_TARGET_SB_SIZE);

/**
 * struct weft_target - a target that is open or about to be formatted
 * @path: its directory
 * @kind: WEFT_MDT, WEFT_OST or WEFT_MGT
 * @fsid: file system it belongs to
 * @uuid: its own id
 * @fs_name: name of the file system
 * @data: OST: path of its data file or device
 * @data_offset: OST: where its blocks begin in @data
 * @data_size: OST: bytes of blocks
 * @created: seconds since 1970
 * @fd: the locked superblock, -1 when not open
 */
struct weft_target {
	char path[WEFT_TARGET_PATH_MAX];
	int kind;
	uint8_t fsid[16];
	uint8_t uuid[16];
	char fs_name[32];
	char data[WEFT_TARGET_PATH_MAX + 8];
	uint64_t data_offset;
	uint64_t data_size;
	uint64_t created;
	int fd;
};

/**
 * weft_target_kind_name() - "mgmt", "mdt" or "ost"
 * @kind: WEFT_MDT, WEFT_OST or WEFT_MGT
 *
 * Return: the name, "?" for something else.
 */
const char *weft_target_kind_name(int kind);

/**
 * weft_target_parse_kind() - kind of a name
 * @name: "mgmt", "mdt" or "ost"
 *
 * Return: the kind or -EINVAL.
 */
int weft_target_parse_kind(const char *name);

/**
 * weft_target_encode() - make the superblock of a target
 * @t: the target
 * @d: filled in
 */
void weft_target_encode(const struct weft_target *t, struct weft_target_disk *d);

/**
 * weft_target_decode() - check a superblock and take it apart
 * @d: the block as read from disk
 * @path: the target's directory
 * @t: filled in
 * @err: a sentence when it fails
 *
 * Return: 0; -ENODATA when it is no superblock at all; -EUCLEAN when it is damaged;
 * -EPROTONOSUPPORT when it was written by a newer version.
 */
int weft_target_decode(const struct weft_target_disk *d, const char *path, struct weft_target *t,
		       char err[WEFT_TARGET_ERR_MAX]);

/**
 * weft_target_open() - open a target for use by a daemon
 * @path: its directory
 * @kind: the kind that is expected, 0: any
 * @fsid: the file system that is expected, NULL: any
 * @t: filled in; closed by weft_target_close()
 * @err: a sentence that names the target, when it fails
 *
 * For an object target the superblock on its data file or device is checked as well.
 *
 * Return: 0; -ENODATA (not formatted), -EUCLEAN (damaged superblock), -EMEDIUMTYPE (a target of
 * another kind), -EXDEV (a target of another file system), -EPROTONOSUPPORT (newer version),
 * -EBUSY (in use by another process), or another negative errno.
 */
int weft_target_open(const char *path, int kind, const uint8_t *fsid, struct weft_target *t,
		     char err[WEFT_TARGET_ERR_MAX]);

/**
 * weft_target_open_wait() - open a target whose last owner may be dying
 * @path: its directory
 * @kind: the kind that is expected, 0: any
 * @fsid: the file system that is expected, NULL: any
 * @t: filled in; closed by weft_target_close()
 * @err: a sentence that names the target, when it fails
 *
 * The lock of a process that was killed goes when the kernel has ended it: that is waited for, for
 * WEFT_TARGET_WAIT_MS.
 *
 * Return: as weft_target_open().
 * Context: may sleep.
 */
int weft_target_open_wait(const char *path, int kind, const uint8_t *fsid, struct weft_target *t,
			  char err[WEFT_TARGET_ERR_MAX]);

/**
 * weft_target_wait() - try something again as long as it is in use by another process
 * @open: what to try; it leaves nothing behind when it fails
 * @arg: its argument
 * @ms: for how long
 *
 * Return: what @open returned at last, -EBUSY when the time is over.
 * Context: may sleep.
 */
int weft_target_wait(int (*open)(void *arg), void *arg, unsigned int ms);

/**
 * weft_target_close() - give up a target
 * @t: the target; harmless when it is not open
 */
void weft_target_close(struct weft_target *t);

/**
 * weft_target_file() - path of something inside a target
 * @t: the target
 * @name: such as "db"
 * @buf: filled in
 * @len: size of @buf
 *
 * Return: @buf.
 */
const char *weft_target_file(const struct weft_target *t, const char *name, char *buf, size_t len);

#define WEFT_TARGET_USED "db.made" /* a file: its RocksDB exists since the first start */

/* weft_target_used() - was its RocksDB made? Then one that is missing has vanished. */
bool weft_target_used(const struct weft_target *t);

/**
 * weft_target_set_used() - its RocksDB exists from now on; durable before anything is stored there
 * @t: the target
 *
 * Return: 0 or a negative errno.
 */
int weft_target_set_used(const struct weft_target *t);

#define WEFT_FORMAT_REFORMAT 1u /* an old weft target is removed first */
#define WEFT_FORMAT_DRY_RUN 2u /* check everything, change nothing */

/**
 * weft_target_format() - make a target
 * @t: path, kind, fsid and fs_name filled in; OST: @data (empty: a file in the directory)
 *	and @data_size (0: the device, or nine tenths of what is free); a zero uuid is chosen
 *	here. The rest is filled in.
 * @flags: WEFT_FORMAT_*
 * @err: a sentence that names the target, when it fails
 *
 * The directory is made when it is absent. The superblock is written last, so that an
 * interrupted format leaves no target.
 *
 * Return: 0; -EEXIST (a weft target is there already), -ENOTEMPTY (other data is there),
 * -EBUSY (in use), -ENOSPC (too small), or another negative errno.
 */
int weft_target_format(struct weft_target *t, unsigned int flags, char err[WEFT_TARGET_ERR_MAX]);

#endif
