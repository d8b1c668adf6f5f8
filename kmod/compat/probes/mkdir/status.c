// SPDX-License-Identifier: GPL-2.0
/* Before 6.15 mkdir() returns a status. */
#include <linux/fs.h>

struct probe_ops {
	const struct inode_operations ops;
};

int probe(const struct inode_operations *ops, struct inode *dir, struct dentry *dentry);

int probe(const struct inode_operations *ops, struct inode *dir, struct dentry *dentry)
{
	return 1 / ops->mkdir(NULL, dir, dentry, 0); /* no arithmetic on pointers */
}
