// SPDX-License-Identifier: GPL-2.0
/* Since 6.7 an inode's atime and mtime are reached by functions only. */
#include <linux/fs.h>

void probe(struct inode *inode, struct timespec64 ts);

void probe(struct inode *inode, struct timespec64 ts)
{
	ts = inode_get_mtime(inode);
	inode_set_mtime_to_ts(inode, ts);
	ts = inode_get_atime(inode);
	inode_set_atime_to_ts(inode, ts);
}
