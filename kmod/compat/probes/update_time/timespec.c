// SPDX-License-Identifier: GPL-2.0
/* Before 6.6 update_time() is given the time. */
#include <linux/fs.h>

static int probe(struct inode *inode, struct timespec64 *ts, int flags)
{
	return inode->i_nlink == flags;
}

extern const struct inode_operations probe_iops;
const struct inode_operations probe_iops = {
	.update_time = probe,
};
