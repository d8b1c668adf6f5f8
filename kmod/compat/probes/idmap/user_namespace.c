// SPDX-License-Identifier: GPL-2.0
/* From 5.12 to 6.2 inode operations take the mount's user namespace. */
#include <linux/fs.h>
#include <linux/user_namespace.h>

static int probe(struct user_namespace *ns, const struct path *path, struct kstat *stat, u32 mask,
		 unsigned int flags)
{
	return ns == &init_user_ns;
}

extern const struct inode_operations probe_iops;
const struct inode_operations probe_iops = {
	.getattr = probe,
};
