// SPDX-License-Identifier: GPL-2.0
/* Since 6.15 mkdir() returns a dentry. */
#include <linux/fs.h>

static struct dentry *probe(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			    umode_t mode)
{
	return NULL;
}

extern const struct inode_operations probe_iops;
const struct inode_operations probe_iops = {
	.mkdir = probe,
};
