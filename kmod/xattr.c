// SPDX-License-Identifier: GPL-2.0
/*
 * Extended attributes: passed through to the metadata server, name with prefix and value.
 *
 * The one that the kernel itself asks for at each write, security.capability, is remembered to be
 * absent (WEFT_I_NO_CAPS: learned from an ENODATA or from having made the file) as long as nobody
 * else changes the inode; then the VFS's S_NOSEC saves asking at all. POSIX ACLs are not supported
 * (-EOPNOTSUPP from the VFS).
 *
 * Protection: none of our own; the VFS holds i_rwsem for changes.
 */
#include <uapi/linux/xattr.h>
#include "internal.h"

/* GETXATTR or LISTXATTR. Return: size of the value or list, or an error. */
static ssize_t weft_xattr_read(struct inode *inode, u16 opcode, const struct qstr *name,
			       void *buf, size_t size)
{
	struct weft_sb *wsb = weft_isb(inode);
	const struct weft_xattr_rep *rep;
	struct weft_rpc *rpc;
	struct kvec kv = { .iov_len = min_t(size_t, size, WEFT_XATTR_VALUE_MAX) };
	ssize_t ret;

	if (size) {
		kv.iov_base = kvmalloc(kv.iov_len, GFP_KERNEL);
		if (!kv.iov_base)
			return -ENOMEM;
	}
	rpc = weft_rpc_alloc_ns(wsb->fs, opcode, current_cred(), inode->i_ino, name, NULL,
				GFP_KERNEL);
	if (IS_ERR(rpc)) {
		ret = PTR_ERR(rpc);
		goto out_free;
	}
	if (size)
		iov_iter_kvec(&rpc->in, ITER_DEST, &kv, 1, kv.iov_len);
	ret = weft_rpc_call(rpc);
	if (ret)
		goto out_put;
	rep = weft_rpc_reply(rpc);
	ret = le32_to_cpu(rep->size);
	if (ret > WEFT_XATTR_VALUE_MAX)
		ret = -EPROTO;
	else if (size && ret > size)
		ret = -ERANGE;
	else if (size && ret != rpc->in_len)
		ret = -EPROTO;
	else if (size)
		memcpy(buf, kv.iov_base, ret);
out_put:
	weft_rpc_put(rpc);
out_free:
	kvfree(kv.iov_base);
	return ret;
}

static int weft_xattr_write(struct inode *inode, const struct qstr *name, const void *value,
			    size_t size, u32 flags)
{
	struct weft_sb *wsb = weft_isb(inode);
	const struct weft_attr_rep *rep;
	struct weft_xattr_req *req;
	struct weft_rpc *rpc;
	struct kvec kv = { .iov_base = (void *)value, .iov_len = size };
	u64 stamp = weft_stamp(wsb, inode->i_ino);
	int ret;

	rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_SETXATTR, current_cred(), inode->i_ino, name,
				NULL, GFP_KERNEL);
	if (IS_ERR(rpc))
		return PTR_ERR(rpc);
	req = rpc->body;
	req->flags = cpu_to_le32(flags);
	if (size)
		iov_iter_kvec(&rpc->out, ITER_SOURCE, &kv, 1, size);
	ret = weft_modify(wsb, rpc);
	if (!ret) {
		rep = weft_rpc_reply(rpc);
		weft_attr_apply(inode, &rep->attr, le64_to_cpu(rep->prev_data), stamp);
	}
	weft_rpc_put(rpc);
	return ret;
}

static bool weft_is_caps(const char *full)
{
	return !strcmp(full, XATTR_NAME_CAPS);
}

static int weft_xattr_get(const struct xattr_handler *handler, struct dentry *dentry,
			  struct inode *inode, const char *name, void *buf, size_t size)
{
	const char *full = xattr_full_name(handler, name);
	struct qstr q = QSTR_INIT(full, strlen(full));
	struct weft_inode *wi = WEFT_I(inode);
	u64 change = READ_ONCE(wi->change);
	ssize_t ret;

	if (weft_is_caps(full) && test_bit(WEFT_I_NO_CAPS, &wi->flags))
		return -ENODATA;
	ret = weft_xattr_read(inode, WEFT_OP_GETXATTR, &q, buf, size);
	if (ret == -ENODATA && weft_is_caps(full) && READ_ONCE(wi->change) == change)
		set_bit(WEFT_I_NO_CAPS, &wi->flags);
	return ret;
}

static int weft_xattr_set(const struct xattr_handler *handler, struct mnt_idmap *idmap,
			  struct dentry *dentry, struct inode *inode, const char *name,
			  const void *value, size_t size, int flags)
{
	const char *full = xattr_full_name(handler, name);
	struct qstr q = QSTR_INIT(full, strlen(full));
	u32 wflags = 0;

	if (size > WEFT_XATTR_VALUE_MAX)
		return -E2BIG;
	if (weft_is_caps(full)) {
		if (!value && test_bit(WEFT_I_NO_CAPS, &WEFT_I(inode)->flags))
			return -ENODATA;
		clear_bit(WEFT_I_NO_CAPS, &WEFT_I(inode)->flags);
	}
	if (!value)
		wflags |= WEFT_XATTR_REMOVE;
	if (flags & XATTR_CREATE)
		wflags |= WEFT_XATTR_CREATE;
	if (flags & XATTR_REPLACE)
		wflags |= WEFT_XATTR_REPLACE;
	return weft_xattr_write(inode, &q, value, size, wflags);
}

ssize_t weft_listxattr(struct dentry *dentry, char *list, size_t size)
{
	return weft_xattr_read(d_inode(dentry), WEFT_OP_LISTXATTR, NULL, list, size);
}

static const struct xattr_handler weft_xattr_user = {
	.prefix = XATTR_USER_PREFIX,
	.get = weft_xattr_get,
	.set = weft_xattr_set,
};

static const struct xattr_handler weft_xattr_trusted = {
	.prefix = XATTR_TRUSTED_PREFIX,
	.get = weft_xattr_get,
	.set = weft_xattr_set,
};

static const struct xattr_handler weft_xattr_security = {
	.prefix = XATTR_SECURITY_PREFIX,
	.get = weft_xattr_get,
	.set = weft_xattr_set,
};

static const struct xattr_handler weft_xattr_weft = {
	.prefix = "weft.",
	.get = weft_xattr_get,
	.set = weft_xattr_set,
};

const struct xattr_handler *weft_xattr_handlers[] = {
	&weft_xattr_user,
	&weft_xattr_trusted,
	&weft_xattr_security,
	&weft_xattr_weft,
	NULL,
};
