// SPDX-License-Identifier: GPL-2.0
/* Before 6.6 generic_fillattr() takes no mask. */
#include <linux/fs.h>

void probe(struct inode *inode, struct kstat *stat);

void probe(struct inode *inode, struct kstat *stat)
{
	generic_fillattr(NULL, inode, stat);
}
