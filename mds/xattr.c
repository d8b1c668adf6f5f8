// SPDX-License-Identifier: Apache-2.0
/*
 * Extended attributes: one key each, behind their inode in key order.
 *
 *	user.		regular files and directories; read and write permission decide; in a sticky
 *			directory only its owner writes
 *	trusted.	CAP_SYS_ADMIN; invisible to others
 *	security.	readable by all, written with CAP_SYS_ADMIN
 *	weft.layout	the layout (layout.c), not listed
 *	system.		(access control lists) not supported
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mds/names.h"

enum ns { NS_NONE, NS_USER, NS_TRUSTED, NS_SECURITY, NS_LAYOUT };

static bool begins(const char *name, u32 len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len > n && !memcmp(name, prefix, n);
}

static enum ns name_space(const char *name, u32 len)
{
	if (len == strlen(WEFT_XATTR_LAYOUT) && !memcmp(name, WEFT_XATTR_LAYOUT, len))
		return NS_LAYOUT;
	if (begins(name, len, "user."))
		return NS_USER;
	if (begins(name, len, "trusted."))
		return NS_TRUSTED;
	return begins(name, len, "security.") ? NS_SECURITY : NS_NONE;
}

static int may_read(const struct mds_creds *c, const struct mds_inode *i, enum ns ns)
{
	switch (ns) {
	case NS_USER:
		if (!mds_is_reg(i->mode) && !mds_is_dir(i->mode))
			return -ENODATA;
		return mds_permission(c, i, MDS_MAY_READ);
	case NS_TRUSTED:
		return mds_capable(c, WEFT_CAP_SYS_ADMIN) ? 0 : -ENODATA;
	case NS_SECURITY:
	case NS_LAYOUT:
		return 0;
	case NS_NONE:
		break;
	}
	return -EOPNOTSUPP;
}

static int may_write(const struct mds_creds *c, const struct mds_inode *i, enum ns ns)
{
	switch (ns) {
	case NS_USER:
		if (!mds_is_reg(i->mode) && !mds_is_dir(i->mode))
			return -EPERM;
		if (mds_is_dir(i->mode) && (i->mode & S_ISVTX) && !mds_owner_or_capable(c, i))
			return -EPERM;
		return mds_permission(c, i, MDS_MAY_WRITE);
	case NS_TRUSTED:
	case NS_SECURITY:
		return mds_capable(c, WEFT_CAP_SYS_ADMIN) ? 0 : -EPERM;
	case NS_LAYOUT:
		return mds_owner_or_capable(c, i) ? 0 : -EPERM;
	case NS_NONE:
		break;
	}
	return -EOPNOTSUPP;
}

static int reply_value(struct mds_op *op, const void *val, size_t len)
{
	op->rep.xattr.size = cpu_to_le32(len);
	op->rep.xattr.reserved = 0;
	op->rep_len = sizeof(op->rep.xattr);
	if (!len || len > op->bulk_max)
		return 0;
	free(op->data);
	op->data = malloc(len);
	if (!op->data)
		return -ENOMEM;
	memcpy(op->data, val, len);
	op->data_len = len;
	return 0;
}

static int get_layout(struct mds_op *op, const struct mds_inode *i)
{
	char text[128];
	int len = mds_layout_get(op, i, text, sizeof(text));

	return len < 0 ? len : reply_value(op, text, len);
}

int mds_run_getxattr(struct mds_op *op)
{
	enum ns ns = name_space(op->name, op->name_len);
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	struct mds_inode i;
	int ret;

	ret = mds_read_inode(&op->tx, op->ino, &i);
	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	ret = may_read(&op->creds, &i, ns);
	if (ret)
		return ret;
	if (ns == NS_LAYOUT)
		return get_layout(op, &i);
	ret = mds_read_key(op->m, MDS_CF_XATTR, key,
			   mds_key_name(key, op->ino, op->name, op->name_len), &val);
	if (ret)
		return ret == -ENOENT ? -ENODATA : ret;
	ret = reply_value(op, val.data, val.len);
	weft_kv_val_fini(&val);
	return ret;
}

int mds_run_listxattr(struct mds_op *op)
{
	char list[WEFT_XATTR_LIST_MAX], key[MDS_KEY_MAX];
	struct weft_kv_iter *it;
	struct mds_inode i;
	size_t len = 0, klen;
	int ret;

	if (op->name_len)
		return -EINVAL;
	ret = mds_read_inode(&op->tx, op->ino, &i);
	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	if (!(i.flags & MDS_INO_XATTR))
		return reply_value(op, NULL, 0);
	ret = weft_kv_iter_prefix(op->m->kv, NULL, MDS_CF_XATTR, key, mds_key_ino(key, op->ino),
				  &it);
	if (ret)
		return ret;
	for (weft_kv_iter_first(it); weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &klen);

		klen -= 8;
		if (name_space(k + 8, klen) == NS_TRUSTED &&
		    !mds_capable(&op->creds, WEFT_CAP_SYS_ADMIN))
			continue;
		if (len + klen + 1 > sizeof(list)) {
			ret = -E2BIG;
			break;
		}
		memcpy(list + len, k + 8, klen);
		list[len + klen] = 0;
		len += klen + 1;
	}
	if (!ret)
		ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return ret ? ret : reply_value(op, list, len);
}

static int xattr_write(struct mds_op *op, u32 flags)
{
	char key[MDS_KEY_MAX];
	size_t klen = mds_key_name(key, op->ino, op->name, op->name_len);
	struct weft_kv_val val;
	int ret;

	ret = mds_read_key(op->m, MDS_CF_XATTR, key, klen, &val);
	if (!ret)
		weft_kv_val_fini(&val);
	else if (ret != -ENOENT)
		return ret;
	if (!ret && (flags & WEFT_XATTR_CREATE))
		return -EEXIST;
	if (ret && (flags & (WEFT_XATTR_REPLACE | WEFT_XATTR_REMOVE)))
		return -ENODATA;
	if (flags & WEFT_XATTR_REMOVE)
		return mds_tx_del(&op->tx, MDS_CF_XATTR, key, klen);
	return mds_tx_put(&op->tx, MDS_CF_XATTR, key, klen, op->bulk, op->bulk_len);
}

int mds_run_setxattr(struct mds_op *op)
{
	const struct weft_xattr_req *req = op->body;
	enum ns ns = name_space(op->name, op->name_len);
	u32 flags = le32_to_cpu(req->flags);
	struct mds_node *n;
	int ret;

	if (flags & ~(WEFT_XATTR_CREATE | WEFT_XATTR_REPLACE | WEFT_XATTR_REMOVE))
		return -EINVAL;
	if (op->bulk_len > WEFT_XATTR_VALUE_MAX)
		return -E2BIG;
	ret = mds_tx_inode(&op->tx, op->ino, &n);
	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	ret = may_write(&op->creds, &n->i, ns);
	if (ret)
		return ret;
	if (ns != NS_LAYOUT)
		ret = xattr_write(op, flags);
	else if (flags & WEFT_XATTR_REMOVE)
		ret = -EPERM;
	else
		ret = mds_layout_set(op, &n->i, op->bulk, op->bulk_len);
	if (ret)
		return ret;
	n->i.flags |= MDS_INO_XATTR;
	n->i.ctime = op->now;
	n->i.change++;
	mds_reply_attr(op, n);
	return 0;
}
