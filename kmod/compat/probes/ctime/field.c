// SPDX-License-Identifier: GPL-2.0
/* Before 6.6 (and stable updates of older ones) an inode's ctime is a field. */
#include <linux/fs.h>

/* Refused where the kernel has it: stable kernels have the field and the accessors. */
static struct timespec64 inode_get_ctime(const struct inode *inode)
{
	return inode->i_ctime;
}

void probe(struct inode *inode, struct timespec64 ts);

void probe(struct inode *inode, struct timespec64 ts)
{
	ts = inode_get_ctime(inode);
	inode->i_ctime = ts;
}
