// SPDX-License-Identifier: GPL-2.0
/* Before 6.18 the usual drop_inode() is generic_drop_inode(). */
#include <linux/fs.h>

extern const struct super_operations probe_sops;
const struct super_operations probe_sops = {
	.drop_inode = generic_drop_inode,
};
