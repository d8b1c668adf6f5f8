// SPDX-License-Identifier: GPL-2.0
/* Since 6.6 update_time() is not given the time. */
#include <linux/fs.h>

static int probe(struct inode *inode, int flags)
{
	return inode->i_nlink == flags;
}

extern const struct inode_operations probe_iops;
const struct inode_operations probe_iops = {
	.update_time = probe,
};
