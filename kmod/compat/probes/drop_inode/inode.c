// SPDX-License-Identifier: GPL-2.0
/* Since 6.18 the usual drop_inode() is inode_generic_drop(). */
#include <linux/fs.h>

extern const struct super_operations probe_sops;
const struct super_operations probe_sops = {
	.drop_inode = inode_generic_drop,
};
