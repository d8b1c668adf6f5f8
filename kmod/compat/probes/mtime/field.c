// SPDX-License-Identifier: GPL-2.0
/* Before 6.7 an inode's atime and mtime are fields. */
#include <linux/fs.h>

/* Refused where the kernel has it. */
static struct timespec64 inode_get_mtime(const struct inode *inode)
{
	return inode->i_mtime;
}

void probe(struct inode *inode, struct timespec64 ts);

void probe(struct inode *inode, struct timespec64 ts)
{
	ts = inode_get_mtime(inode);
	inode->i_atime = ts;
	inode->i_mtime = ts;
}
