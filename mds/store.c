// SPDX-License-Identifier: Apache-2.0
/*
 * Records and keys of a metadata target, see store.h.
 *
 * Opening makes an absent store and marks it with the file system and target it belongs to, so
 * that a store that was moved under another target is refused. Everything read back is checked;
 * a record that makes no sense is -EUCLEAN, never a crash.
 */
#include "mds/store.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "proto/hash.h"

static const struct weft_kv_cf store_cfs[MDS_NCF] = {
	[MDS_CF_META] = { "default", 0 },     [MDS_CF_INODE] = { "inode", 0 },
	[MDS_CF_DENTRY] = { "dentry", 0 },    [MDS_CF_XATTR] = { "xattr", 4096 },
	[MDS_CF_INLINE] = { "inline", 1024 }, [MDS_CF_SLOTS] = { "slots", 0 },
	[MDS_CF_TXN] = { "txn", 0 },
};

static int super_write(struct weft_kv *kv, const u8 fsid[16], const u8 uuid[16])
{
	struct mds_super_rec r = { .version = cpu_to_le32(MDS_STORE_VERSION) };
	struct weft_kv_batch *b;
	char key[MDS_KEY_MAX];
	int ret;

	memcpy(r.fsid, fsid, 16);
	memcpy(r.uuid, uuid, 16);
	ret = weft_kv_batch_create(kv, &b);
	if (ret)
		return ret;
	weft_kv_put(b, MDS_CF_META, key, mds_key_meta(key, 'V', 0), &r, sizeof(r));
	ret = weft_kv_commit(b, true);
	weft_kv_batch_free(b);
	return ret;
}

static int super_check(struct weft_kv *kv, const u8 fsid[16], const u8 uuid[16], bool create,
		       char *err)
{
	struct mds_super_rec r;
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	int ret;

	ret = weft_kv_get(kv, MDS_CF_META, key, mds_key_meta(key, 'V', 0), &val);
	if (ret == -ENOENT && create)
		return super_write(kv, fsid, uuid);
	/* It was there once: what is lost besides nobody knows. */
	if (ret == -ENOENT)
		ret = -EUCLEAN;
	if (ret) {
		snprintf(err, WEFT_KV_ERR_MAX, "%s: cannot read its first record: %s",
			 weft_kv_path(kv), strerror(-ret));
		return ret;
	}
	ret = val.len == sizeof(r) ? 0 : -EUCLEAN;
	if (!ret)
		memcpy(&r, val.data, sizeof(r));
	weft_kv_val_fini(&val);
	if (ret)
		snprintf(err, WEFT_KV_ERR_MAX, "%s: its first record is damaged", weft_kv_path(kv));
	else if (le32_to_cpu(r.version) != MDS_STORE_VERSION)
		ret = -EPROTONOSUPPORT;
	else if (memcmp(r.fsid, fsid, 16) || memcmp(r.uuid, uuid, 16))
		ret = -EXDEV;
	if (ret == -EPROTONOSUPPORT)
		snprintf(err, WEFT_KV_ERR_MAX, "%s: format %u is not known (this is %u)",
			 weft_kv_path(kv), le32_to_cpu(r.version), MDS_STORE_VERSION);
	if (ret == -EXDEV)
		snprintf(err, WEFT_KV_ERR_MAX, "%s: this store belongs to another target",
			 weft_kv_path(kv));
	return ret;
}

int mds_store_open(const char *path, const u8 fsid[16], const u8 uuid[16], bool create,
		   size_t cache, struct weft_kv **out, char err[WEFT_KV_ERR_MAX])
{
	struct weft_kv_opts o = { .path = path, .cfs = store_cfs, .ncfs = MDS_NCF,
				  .cache_bytes = cache };
	int ret;

	ret = weft_kv_open(&o, out, err);
	if (ret == -ENOENT && create) {
		o.flags = WEFT_KV_CREATE;
		ret = weft_kv_open(&o, out, err);
	}
	if (ret)
		return ret;
	ret = super_check(*out, fsid, uuid, create, err);
	if (ret) {
		weft_kv_close(*out);
		*out = NULL;
	}
	return ret;
}

int mds_store_read(const char *path, struct weft_kv **out, char err[WEFT_KV_ERR_MAX])
{
	struct weft_kv_opts o = { .path = path, .cfs = store_cfs, .ncfs = MDS_NCF,
				  .flags = WEFT_KV_RDONLY };

	return weft_kv_open(&o, out, err);
}

void mds_put_be64(void *p, u64 v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

u64 mds_be64(const void *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

u32 mds_be32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

size_t mds_key_meta(char *buf, char tag, u64 nr)
{
	buf[0] = tag;
	mds_put_be64(buf + 1, nr);
	return 9;
}

size_t mds_key_ino(char *buf, u64 ino)
{
	mds_put_be64(buf, ino);
	return 8;
}

size_t mds_key_name(char *buf, u64 ino, const char *name, size_t len)
{
	mds_put_be64(buf, ino);
	memcpy(buf + 8, name, len);
	return 8 + len;
}

size_t mds_key_dentry(char *buf, u64 dir, const char *name, size_t len)
{
	mds_put_be64(buf, dir);
	mds_put_be64(buf + 8, weft_name_hash(name, len));
	memcpy(buf + 16, name, len);
	return 16 + len;
}

size_t mds_key_slot(char *buf, u64 session, u32 slot)
{
	u32 v = htobe32(slot);

	mds_put_be64(buf, session);
	memcpy(buf + 8, &v, sizeof(v));
	return 12;
}

size_t mds_key_prepared(char *buf, u32 group, u64 seq)
{
	u32 v = htobe32(group);

	buf[0] = 'P';
	memcpy(buf + 1, &v, sizeof(v));
	mds_put_be64(buf + 5, seq);
	return 13;
}

static struct weft_time time_out(struct mds_time t)
{
	return (struct weft_time){ .sec = cpu_to_le64(t.sec), .nsec = cpu_to_le32(t.nsec) };
}

static struct mds_time time_in(struct weft_time t)
{
	return (struct mds_time){ .sec = le64_to_cpu(t.sec), .nsec = le32_to_cpu(t.nsec) };
}

void mds_inode_layout(const struct mds_inode *i, struct weft_layout *l)
{
	l->pool = cpu_to_le32(i->pool);
	l->chunk_shift = i->chunk_shift;
	l->flags = i->lflags;
	l->width = cpu_to_le16(i->width);
	l->seed = cpu_to_le32(i->seed);
	l->inline_max = cpu_to_le32(i->inline_max);
}

void mds_inode_attr(const struct mds_inode *i, struct weft_attr *a)
{
	a->ino = cpu_to_le64(i->ino);
	a->size = cpu_to_le64(i->size);
	a->bytes_used = cpu_to_le64(i->bytes_used);
	a->change = cpu_to_le64(i->change);
	a->data_version = cpu_to_le64(i->data_version);
	a->parent = cpu_to_le64(i->parent);
	a->atime = time_out(i->atime);
	a->mtime = time_out(i->mtime);
	a->ctime = time_out(i->ctime);
	a->btime = time_out(i->btime);
	a->mode = cpu_to_le32(i->mode);
	a->uid = cpu_to_le32(i->uid);
	a->gid = cpu_to_le32(i->gid);
	a->nlink = cpu_to_le32(i->nlink);
	a->rdev_major = cpu_to_le32(i->rdev_major);
	a->rdev_minor = cpu_to_le32(i->rdev_minor);
	mds_inode_layout(i, &a->layout);
}

void mds_inode_encode(const struct mds_inode *i, struct mds_inode_rec *r)
{
	r->version = cpu_to_le32(MDS_REC_VERSION);
	r->flags = cpu_to_le32(i->flags);
	r->spill_session = cpu_to_le64(i->spill_session);
	mds_inode_attr(i, &r->attr);
}

int mds_inode_decode(u64 ino, const void *buf, size_t len, struct mds_inode *i)
{
	struct mds_inode_rec r;
	const struct weft_attr *a = &r.attr;

	if (len != sizeof(r))
		return -EUCLEAN;
	memcpy(&r, buf, sizeof(r));
	if (le32_to_cpu(r.version) != MDS_REC_VERSION || le64_to_cpu(a->ino) != ino ||
	    (le32_to_cpu(r.flags) & ~MDS_INO_KNOWN))
		return -EUCLEAN;
	*i = (struct mds_inode){
		.ino = ino,
		.size = le64_to_cpu(a->size),
		.bytes_used = le64_to_cpu(a->bytes_used),
		.change = le64_to_cpu(a->change),
		.data_version = le64_to_cpu(a->data_version),
		.parent = le64_to_cpu(a->parent),
		.atime = time_in(a->atime),
		.mtime = time_in(a->mtime),
		.ctime = time_in(a->ctime),
		.btime = time_in(a->btime),
		.mode = le32_to_cpu(a->mode),
		.uid = le32_to_cpu(a->uid),
		.gid = le32_to_cpu(a->gid),
		.nlink = le32_to_cpu(a->nlink),
		.rdev_major = le32_to_cpu(a->rdev_major),
		.rdev_minor = le32_to_cpu(a->rdev_minor),
		.pool = le32_to_cpu(a->layout.pool),
		.chunk_shift = a->layout.chunk_shift,
		.lflags = a->layout.flags,
		.width = le16_to_cpu(a->layout.width),
		.seed = le32_to_cpu(a->layout.seed),
		.inline_max = le32_to_cpu(a->layout.inline_max),
		.flags = le32_to_cpu(r.flags),
		.spill_session = le64_to_cpu(r.spill_session),
	};
	return 0;
}

int mds_dentry_decode(const void *buf, size_t len, u64 *ino, u32 *type)
{
	struct mds_dentry_rec r;

	if (len != sizeof(r))
		return -EUCLEAN;
	memcpy(&r, buf, sizeof(r));
	if (r.version != MDS_REC_VERSION || !r.ino)
		return -EUCLEAN;
	*ino = le64_to_cpu(r.ino);
	*type = (u32)r.type << 12;
	return 0;
}
