// SPDX-License-Identifier: Apache-2.0
/*
 * READDIR: entries in hash order behind a cookie, with attributes of the inodes of this group.
 *
 * The cookie is the name's hash, so that it stays valid whatever is made or removed meanwhile. The
 * iterator sees the store as it was at one moment. Entries of equal hash are sent together; a reply
 * that is full in the middle of such a run is cut back to its beginning.
 */
#include <stdlib.h>
#include <string.h>

#include "mds/names.h"
#include "proto/hash.h"

struct fill {
	struct mds_op *op;
	size_t pos; /* bytes filled */
	size_t run; /* where the entries of the last cookie begin */
	u64 run_cookie;
	u32 count, run_count;
	bool attrs;
	bool full;
};

/* Attributes of an entry's inode. Return: 0, 1 when the entry shall be left out, or an error. */
static int fill_attr(struct fill *f, struct weft_dirent *de, u64 ino, u32 type)
{
	struct mds_inode i;
	int ret;

	de->attr.ino = cpu_to_le64(ino);
	de->attr.mode = cpu_to_le32(type);
	if (!f->attrs || !mds_is_local(f->op->m, ino)) {
		de->flags = cpu_to_le32(WEFT_ENTRY_REMOTE);
		return 0;
	}
	ret = mds_read_inode(&f->op->tx, ino, &i);
	if (ret == MDS_PARKED) {
		/* Its attributes are about to change: the client asks when it wants them. */
		de->flags = cpu_to_le32(WEFT_ENTRY_REMOTE);
		return 0;
	}
	if (ret == -ENOENT && f->op->m->batch.state == MDS_COMMIT)
		return 1; /* removed by the commit under way */
	if (ret)
		return ret == -ENOENT ? -EUCLEAN : ret;
	mds_inode_attr(&i, &de->attr);
	return 0;
}

static int fill_entry(struct fill *f, const char *key, size_t klen, const void *val, size_t vlen)
{
	size_t len = klen - 16, rec = (sizeof(struct weft_dirent) + len + 7) & ~7ull;
	struct weft_dirent de = { .rec_len = cpu_to_le16(rec), .name_len = cpu_to_le16(len) };
	u64 ino, cookie = mds_be64(key + 8);
	u32 type;
	int ret;

	ret = mds_dentry_decode(val, vlen, &ino, &type);
	if (ret)
		return ret;
	if (cookie != f->run_cookie) {
		f->run = f->pos;
		f->run_count = f->count;
		f->run_cookie = cookie;
	}
	if (f->pos + rec > f->op->bulk_max) {
		f->full = true;
		f->pos = f->run;
		f->count = f->run_count;
		return f->pos ? 0 : -EINVAL;
	}
	de.cookie = cpu_to_le64(cookie);
	ret = fill_attr(f, &de, ino, type);
	if (ret)
		return ret < 0 ? ret : 0;
	memcpy(f->op->data + f->pos, &de, sizeof(de));
	memcpy(f->op->data + f->pos + sizeof(de), key + 16, len);
	memset(f->op->data + f->pos + sizeof(de) + len, 0, rec - sizeof(de) - len);
	f->pos += rec;
	f->count++;
	return 0;
}

static int fill_all(struct fill *f, u64 dir, u64 cookie)
{
	struct weft_kv_iter *it;
	char key[16];
	size_t klen, vlen;
	int ret;

	mds_put_be64(key, dir);
	ret = weft_kv_iter_prefix(f->op->m->kv, NULL, MDS_CF_DENTRY, key, 8, &it);
	if (ret)
		return ret;
	mds_put_be64(key + 8, cookie + 1);
	for (weft_kv_iter_seek(it, key, 16); !ret && !f->full && weft_kv_iter_valid(it);
	     weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &klen);
		const void *v = weft_kv_iter_val(it, &vlen);

		if (klen <= 16 || klen > MDS_KEY_MAX)
			ret = -EUCLEAN;
		else
			ret = fill_entry(f, k, klen, v, vlen);
	}
	if (!ret)
		ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return ret;
}

int mds_run_readdir(struct mds_op *op)
{
	const struct weft_readdir_req *req = op->body;
	u32 flags = le32_to_cpu(req->flags);
	struct fill f = { .op = op, .attrs = flags & WEFT_READDIR_ATTRS, .run_cookie = ~0ull };
	u64 cookie = le64_to_cpu(req->cookie);
	struct mds_inode dir;
	int ret;

	if ((flags & ~WEFT_READDIR_ATTRS) || cookie > WEFT_COOKIE_END)
		return -EINVAL;
	ret = mds_get_dir(op, op->ino, &dir);
	if (!ret)
		ret = mds_permission(&op->creds, &dir, MDS_MAY_READ);
	if (ret)
		return ret;
	if (op->bulk_max > WEFT_BULK_MAX)
		op->bulk_max = WEFT_BULK_MAX;
	free(op->data);
	op->data = malloc(op->bulk_max + 1);
	if (!op->data)
		return -ENOMEM;
	ret = fill_all(&f, dir.ino, cookie);
	if (ret)
		return ret;
	op->data_len = f.pos;
	mds_inode_attr(&dir, &op->rep.readdir.dir);
	op->rep.readdir.count = cpu_to_le32(f.count);
	op->rep.readdir.eof = cpu_to_le32(!f.full);
	op->rep_len = sizeof(op->rep.readdir);
	return 0;
}
