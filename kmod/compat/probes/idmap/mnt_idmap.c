// SPDX-License-Identifier: GPL-2.0
/* Since 6.3 inode operations take the mount's id map. */
#include <linux/fs.h>

static int probe(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat, u32 mask,
		 unsigned int flags)
{
	return idmap == &nop_mnt_idmap;
}

extern const struct inode_operations probe_iops;
const struct inode_operations probe_iops = {
	.getattr = probe,
};
