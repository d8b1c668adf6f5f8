/* SPDX-License-Identifier: GPL-2.0 */
/*
 * <linux/fs.h> as the newest kernel has it, on older ones.
 *
 * The module's sources call the newest interfaces; here they are mapped to what the probes found.
 * Nothing can fail at run time: a mapping that does not fit fails to compile.
 */
#ifndef WEFT_COMPAT_LINUX_FS_H
#define WEFT_COMPAT_LINUX_FS_H

#include_next <linux/fs.h>

#ifdef WEFT_COMPAT_IDMAP_USER_NAMESPACE
#include <linux/mount.h>
#include <linux/user_namespace.h>
/* Same places in the same prototypes: the id map of a mount was its user namespace. */
#define mnt_idmap user_namespace
#define nop_mnt_idmap init_user_ns
#define file_mnt_idmap(file) file_mnt_user_ns(file)
#endif

/* The newest kernel and some of the stable ones pass an error of lookup() on, others store it. */
static inline int weft_compat_finish_no_open(struct file *file, struct dentry *dentry)
{
	return IS_ERR(dentry) ? PTR_ERR(dentry) : finish_no_open(file, dentry);
}
#define finish_no_open(file, dentry) weft_compat_finish_no_open(file, dentry)

#ifdef WEFT_COMPAT_FILLATTR_PLAIN
#define generic_fillattr(idmap, mask, inode, stat) generic_fillattr(idmap, inode, stat)
#endif

#ifdef WEFT_COMPAT_CTIME_FIELD
static inline struct timespec64 inode_get_ctime(const struct inode *inode)
{
	return inode->i_ctime;
}

static inline struct timespec64 inode_set_ctime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_ctime = ts;
	return ts;
}

static inline struct timespec64 inode_set_ctime_current(struct inode *inode)
{
	return inode_set_ctime_to_ts(inode, current_time(inode));
}
#endif

#ifdef WEFT_COMPAT_MTIME_FIELD
static inline struct timespec64 inode_get_atime(const struct inode *inode)
{
	return inode->i_atime;
}

static inline struct timespec64 inode_set_atime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_atime = ts;
	return ts;
}

static inline struct timespec64 inode_get_mtime(const struct inode *inode)
{
	return inode->i_mtime;
}

static inline struct timespec64 inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_mtime = ts;
	return ts;
}
#endif

#ifdef WEFT_COMPAT_INODE_STATE_FIELD
#define inode_state_read_once(inode) READ_ONCE((inode)->i_state)
#endif

#ifdef WEFT_COMPAT_DROP_INODE_GENERIC
#define inode_generic_drop generic_drop_inode
#endif

#ifdef WEFT_COMPAT_SPLICE_READ_GENERIC
#define filemap_splice_read generic_file_splice_read
#endif

/*
 * Operations whose prototype changed: WEFT_WRAP_x(f) makes what WEFT_OP_x(f) puts into the table,
 * on older kernels a wrapper around f.
 */
#ifdef WEFT_COMPAT_UPDATE_TIME_TIMESPEC
#define WEFT_OP_UPDATE_TIME(f) f##_timespec
#define WEFT_WRAP_UPDATE_TIME(f) \
	static inline int f##_timespec(struct inode *inode, struct timespec64 *now, int flags) \
	{ \
		return f(inode, flags); \
	}
#elif defined(WEFT_COMPAT_UPDATE_TIME_TYPE)
#define WEFT_OP_UPDATE_TIME(f) f##_type
#define WEFT_WRAP_UPDATE_TIME(f) \
	static inline int f##_type(struct inode *inode, enum fs_update_time type, \
				   unsigned int flags) \
	{ \
		return f(inode, type == FS_UPD_ATIME ? S_ATIME : S_MTIME | S_CTIME); \
	}
#else
#define WEFT_OP_UPDATE_TIME(f) f
#define WEFT_WRAP_UPDATE_TIME(f)
#endif

#ifdef WEFT_COMPAT_MKDIR_STATUS
#define WEFT_OP_MKDIR(f) f##_status
#define WEFT_WRAP_MKDIR(f) \
	static int f##_status(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, \
			      umode_t mode) \
	{ \
		struct dentry *res = f(idmap, dir, dentry, mode); \
\
		if (IS_ERR(res)) \
			return PTR_ERR(res); \
		dput(res); \
		return 0; \
	}
#else
#define WEFT_OP_MKDIR(f) f
#define WEFT_WRAP_MKDIR(f)
#endif

#endif
