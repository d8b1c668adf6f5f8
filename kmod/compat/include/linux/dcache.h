/* SPDX-License-Identifier: GPL-2.0 */
/*
 * <linux/dcache.h> as the newest kernel has it: d_revalidate() is given the directory.
 *
 * WEFT_WRAP_D_REVALIDATE(f) makes what WEFT_OP_D_REVALIDATE(f) puts into struct dentry_operations;
 * on an older kernel that is a wrapper which finds the directory as the kernel's own users did.
 */
#ifndef WEFT_COMPAT_LINUX_DCACHE_H
#define WEFT_COMPAT_LINUX_DCACHE_H

#include_next <linux/dcache.h>

#ifdef WEFT_COMPAT_D_REVALIDATE_PLAIN
#define WEFT_OP_D_REVALIDATE(f) f##_plain
#define WEFT_WRAP_D_REVALIDATE(f) \
	static int f##_plain(struct dentry *dentry, unsigned int flags) \
	{ \
		struct name_snapshot snap; \
		struct dentry *parent; \
		struct inode *dir; \
		int ret; \
\
		if (flags & LOOKUP_RCU) { \
			dir = d_inode_rcu(READ_ONCE(dentry->d_parent)); \
			return dir ? f(dir, &dentry->d_name, dentry, flags) : -ECHILD; \
		} \
		parent = dget_parent(dentry); \
		take_dentry_name_snapshot(&snap, dentry); \
		ret = f(d_inode(parent), &snap.name, dentry, flags); \
		release_dentry_name_snapshot(&snap); \
		dput(parent); \
		return ret; \
	}
#else
#define WEFT_OP_D_REVALIDATE(f) f
#define WEFT_WRAP_D_REVALIDATE(f)
#endif

#ifdef WEFT_COMPAT_D_OP_FIELD
#define set_default_d_op(sb, ops) ((sb)->s_d_op = (ops))
#endif

#endif
