// SPDX-License-Identifier: GPL-2.0
/*
 * File handles: the inode number, and for a connected handle that of the directory as well. Numbers
 * are never used again, so that a handle stays good for the life of its inode; afterwards it is
 * -ESTALE. A handle is an input from outside: nothing in it is believed.
 */
#include <linux/exportfs.h>
#include "internal.h"

#define WEFT_FH_WORDS (sizeof(u64) / sizeof(u32))

/* Types of our handles; not used by another file system of the kernel. */
#define WEFT_FILEID 0x57
#define WEFT_FILEID_PARENT 0x58

static void weft_fh_put(__u32 *fh, u64 ino)
{
	memcpy(fh, &ino, sizeof(ino));
}

static u64 weft_fh_get(const __u32 *fh)
{
	u64 ino;

	memcpy(&ino, fh, sizeof(ino));
	return ino;
}

static int weft_encode_fh(struct inode *inode, __u32 *fh, int *max_len, struct inode *parent)
{
	int need = parent ? 2 * WEFT_FH_WORDS : WEFT_FH_WORDS;

	if (*max_len < need) {
		*max_len = need;
		return FILEID_INVALID;
	}
	*max_len = need;
	weft_fh_put(fh, inode->i_ino);
	if (!parent)
		return WEFT_FILEID;
	weft_fh_put(fh + WEFT_FH_WORDS, parent->i_ino);
	return WEFT_FILEID_PARENT;
}

static struct dentry *weft_fh_dentry(struct super_block *sb, u64 ino)
{
	return d_obtain_alias(weft_iget_ino(sb, ino));
}

static struct dentry *weft_fh_to_dentry(struct super_block *sb, struct fid *fid, int len, int type)
{
	if (len < WEFT_FH_WORDS || (type != WEFT_FILEID && type != WEFT_FILEID_PARENT))
		return NULL;
	return weft_fh_dentry(sb, weft_fh_get(fid->raw));
}

static struct dentry *weft_fh_to_parent(struct super_block *sb, struct fid *fid, int len, int type)
{
	if (len < 2 * WEFT_FH_WORDS || type != WEFT_FILEID_PARENT)
		return NULL;
	return weft_fh_dentry(sb, weft_fh_get(fid->raw + WEFT_FH_WORDS));
}

static struct dentry *weft_get_parent(struct dentry *child)
{
	struct inode *inode = d_inode(child);
	int ret;

	if (!weft_attr_valid(inode)) {
		ret = weft_attr_fetch(inode);
		if (ret)
			return ERR_PTR(ret);
	}
	return weft_fh_dentry(inode->i_sb, WEFT_I(inode)->parent);
}

const struct export_operations weft_export_ops = {
	.encode_fh = weft_encode_fh,
	.fh_to_dentry = weft_fh_to_dentry,
	.fh_to_parent = weft_fh_to_parent,
	.get_parent = weft_get_parent,
};
