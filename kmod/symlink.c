// SPDX-License-Identifier: GPL-2.0
/*
 * Symbolic links: the target never changes, so it is kept with the inode (i_link) from the first
 * time that it is known: when the link is made, comes with a lookup, or is first followed (GETATTR
 * with the target in bulk). A target that is too long or contains NUL is refused with -EIO.
 *
 * Protection: i_link is set once, with cmpxchg, and freed with the inode after a grace period.
 */
#include "internal.h"

/**
 * weft_symlink_cache() - remember a target
 * @inode: the link
 * @target: its target, not terminated
 * @len: length of @target
 */
void weft_symlink_cache(struct inode *inode, const char *target, size_t len)
{
	char *copy;

	if (inode->i_link || !len || len > WEFT_SYMLINK_MAX || memchr(target, 0, len))
		return;
	copy = kmemdup_nul(target, len, GFP_KERNEL);
	if (copy && cmpxchg(&inode->i_link, NULL, copy))
		kfree(copy);
}

static int weft_symlink_fetch(struct inode *inode)
{
	struct weft_sb *wsb = weft_isb(inode);
	const struct weft_attr_rep *rep;
	struct weft_ns_req *req;
	struct weft_rpc *rpc;
	struct kvec data = { .iov_len = WEFT_SYMLINK_MAX };
	u64 stamp = weft_stamp(wsb, inode->i_ino);
	int ret = -ENOMEM;

	data.iov_base = kmalloc(WEFT_SYMLINK_MAX, GFP_KERNEL);
	if (!data.iov_base)
		return ret;
	rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_GETATTR, current_cred(), inode->i_ino, NULL, NULL,
				GFP_KERNEL);
	ret = PTR_ERR_OR_ZERO(rpc);
	if (ret)
		goto out_free;
	req = rpc->body;
	req->flags = cpu_to_le32(WEFT_NS_WANT_DATA);
	iov_iter_kvec(&rpc->in, ITER_DEST, &data, 1, data.iov_len);
	ret = weft_rpc_call(rpc);
	if (!ret) {
		rep = weft_rpc_reply(rpc);
		weft_attr_apply(inode, &rep->attr, le64_to_cpu(rep->attr.data_version), stamp);
		weft_symlink_cache(inode, data.iov_base, rpc->in_len);
	}
	weft_rpc_put(rpc);
out_free:
	kfree(data.iov_base);
	return ret == -ENOENT ? -ESTALE : ret;
}

static const char *weft_get_link(struct dentry *dentry, struct inode *inode,
				 struct delayed_call *done)
{
	const char *target = READ_ONCE(inode->i_link);
	int ret;

	if (target)
		return target;
	if (!dentry)
		return ERR_PTR(-ECHILD);
	ret = weft_symlink_fetch(inode);
	if (ret)
		return ERR_PTR(ret);
	target = READ_ONCE(inode->i_link);
	return target ?: ERR_PTR(-EIO);
}

const struct inode_operations weft_symlink_iops = {
	.get_link = weft_get_link,
	.permission = weft_permission,
	.getattr = weft_getattr,
	.setattr = weft_setattr,
	.listxattr = weft_listxattr,
	.update_time = WEFT_OP_UPDATE_TIME(weft_update_time),
};
