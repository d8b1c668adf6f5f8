// SPDX-License-Identifier: GPL-2.0
/* Before 6.19 an inode's state is a field. */
#include <linux/fs.h>

/* Refused where the kernel has it. */
static unsigned long inode_state_read_once(struct inode *inode)
{
	return READ_ONCE(inode->i_state);
}

bool probe(struct inode *inode);

bool probe(struct inode *inode)
{
	return inode_state_read_once(inode) & I_NEW;
}
