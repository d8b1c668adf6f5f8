// SPDX-License-Identifier: Apache-2.0
/*
 * Permissions as a local file system checks them: owner, group, others, capabilities, sticky
 * directories, set-group-id inheritance. Pure functions.
 */
#include <string.h>
#include <sys/stat.h>

#include "mds/mds.h"

bool mds_in_group(const struct mds_creds *c, u32 gid)
{
	__le32 g;
	u32 k;

	if (c->gid == gid)
		return true;
	for (k = 0; k < c->ngroups; k++) {
		memcpy(&g, c->groups + k * sizeof(g), sizeof(g));
		if (le32_to_cpu(g) == gid)
			return true;
	}
	return false;
}

bool mds_capable(const struct mds_creds *c, u32 cap)
{
	return c->caps & cap;
}

int mds_permission(const struct mds_creds *c, const struct mds_inode *i, u32 mask)
{
	u32 mode = i->mode;

	if (c->uid == i->uid)
		mode >>= 6;
	else if (mds_in_group(c, i->gid))
		mode >>= 3;
	if (!(mask & ~mode & 7))
		return 0;
	if (mds_is_dir(i->mode)) {
		if (mds_capable(c, WEFT_CAP_DAC_OVERRIDE))
			return 0;
		return !(mask & MDS_MAY_WRITE) && mds_capable(c, WEFT_CAP_DAC_READ_SEARCH) ?
			       0 :
			       -EACCES;
	}
	if (mask == MDS_MAY_READ && mds_capable(c, WEFT_CAP_DAC_READ_SEARCH))
		return 0;
	if ((!(mask & MDS_MAY_EXEC) || (i->mode & 0111)) && mds_capable(c, WEFT_CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

bool mds_owner_or_capable(const struct mds_creds *c, const struct mds_inode *i)
{
	return c->uid == i->uid || mds_capable(c, WEFT_CAP_FOWNER);
}

u32 mds_strip_sgid(const struct mds_creds *c, u32 mode, u32 gid)
{
	if (!mds_in_group(c, gid) && !mds_capable(c, WEFT_CAP_FSETID))
		mode &= ~S_ISGID;
	return mode;
}

u32 mds_kill_priv(u32 mode)
{
	mode &= ~S_ISUID;
	if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		mode &= ~S_ISGID;
	return mode;
}
