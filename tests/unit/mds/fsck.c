// SPDX-License-Identifier: Apache-2.0
/*
 * The checker of fsck.h: reads all inodes of all stores into one table, lets the entries of all
 * directories count in it, then looks at each inode.
 */
#include "tests/unit/mds/fsck.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mds/table.h"
#include "proto/hash.h"

struct seen {
	struct mds_link link;
	struct mds_inode i;
	unsigned int store;
	u64 names, parent, entries, subdirs;
	bool orphan;
};

struct check {
	struct fsck *f;
	struct mds_table inodes;
	struct weft_kv *kv;
	unsigned int store;
};

static void __attribute__((format(printf, 2, 3))) complain(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!c->f->errors++)
		vsnprintf(c->f->complaint, sizeof(c->f->complaint), fmt, ap);
	va_end(ap);
}

static struct seen *find(struct check *c, u64 ino)
{
	struct mds_link *l;

	for (l = mds_table_find(&c->inodes, mds_mix(ino)); l; l = mds_table_more(l))
		if (((struct seen *)l)->i.ino == ino)
			return (struct seen *)l;
	return NULL;
}

typedef int (*row_fn)(struct check *c, const char *key, size_t klen, const char *val, size_t vlen);

static int each(struct check *c, enum mds_cf cf, const char *prefix, row_fn fn)
{
	struct weft_kv_iter *it;
	size_t klen, vlen;
	int ret;

	ret = weft_kv_iter_prefix(c->kv, NULL, cf, prefix, strlen(prefix), &it);
	if (ret)
		return ret;
	for (weft_kv_iter_first(it); !ret && weft_kv_iter_valid(it); weft_kv_iter_next(it)) {
		const char *k = weft_kv_iter_key(it, &klen);
		const char *v = weft_kv_iter_val(it, &vlen);

		ret = fn(c, k, klen, v, vlen);
	}
	if (!ret)
		ret = weft_kv_iter_error(it);
	weft_kv_iter_free(it);
	return ret;
}

static int row_inode(struct check *c, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct mds_inode i;
	struct seen *s;

	if (klen != 8 || mds_inode_decode(mds_be64(key), val, vlen, &i)) {
		complain(c, "store %u: an inode record is damaged", c->store);
		return 0;
	}
	s = find(c, i.ino);
	if (s) {
		complain(c, "inode %#llx is in store %u and %u", (unsigned long long)i.ino,
			 s->store, c->store);
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->i = i;
	s->store = c->store;
	mds_table_add(&c->inodes, &s->link, mds_mix(i.ino));
	c->f->inodes++;
	return 0;
}

static int row_entry(struct check *c, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct seen *dir, *s;
	u64 ino;
	u32 type;

	if (klen <= 16 || mds_dentry_decode(val, vlen, &ino, &type)) {
		complain(c, "store %u: an entry record is damaged", c->store);
		return 0;
	}
	c->f->entries++;
	dir = find(c, mds_be64(key));
	if (mds_be64(key + 8) != weft_name_hash(key + 16, klen - 16))
		complain(c, "entry %.*s: wrong hash", (int)klen - 16, key + 16);
	if (!dir || !mds_is_dir(dir->i.mode) || dir->store != c->store) {
		complain(c, "entry %.*s lies in %#llx, which is no directory of its store",
			 (int)klen - 16, key + 16, (unsigned long long)mds_be64(key));
		return 0;
	}
	dir->entries++;
	dir->subdirs += mds_is_dir(type);
	s = find(c, ino);
	if (!s || mds_type(s->i.mode) != type) {
		complain(c, "entry %.*s names %#llx of type %o, which %s", (int)klen - 16,
			 key + 16, (unsigned long long)ino, type,
			 s ? "has another type" : "does not exist");
		return 0;
	}
	s->names++;
	s->parent = dir->i.ino;
	return 0;
}

static int row_orphan(struct check *c, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct seen *s = find(c, klen == 9 ? mds_be64(key + 1) : 0);

	(void)val;
	(void)vlen;
	if (!s || s->i.nlink)
		complain(c, "an orphan record names %#llx, which is no orphan",
			 (unsigned long long)mds_be64(key + 1));
	else
		s->orphan = true;
	c->f->orphans++;
	return 0;
}

static int row_pending(struct check *c, const char *key, size_t klen, const char *val, size_t vlen)
{
	(void)val;
	(void)vlen;
	if (!c->f->pending++ && !c->f->errors)
		snprintf(c->f->complaint, sizeof(c->f->complaint),
			 "store %u: a record '%c' (%zu bytes of key) is pending", c->store,
			 klen ? key[0] : '?', klen);
	return 0;
}

static int row_xattr(struct check *c, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct seen *s = find(c, klen > 8 ? mds_be64(key) : 0);

	(void)val;
	(void)vlen;
	if (!s || s->store != c->store || !(s->i.flags & MDS_INO_XATTR))
		complain(c, "an extended attribute belongs to nobody: %#llx",
			 (unsigned long long)mds_be64(key));
	return 0;
}

static int row_data(struct check *c, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct seen *s = find(c, klen == 8 ? mds_be64(key) : 0);

	(void)val;
	if (!s || s->store != c->store || !(s->i.flags & MDS_INO_DATA))
		complain(c, "inline data belongs to nobody: %#llx",
			 (unsigned long long)mds_be64(key));
	else if (!mds_is_lnk(s->i.mode) && !(s->i.lflags & WEFT_LAYOUT_INLINE))
		complain(c, "inode %#llx has inline data and is not inline",
			 (unsigned long long)s->i.ino);
	else if (vlen > s->i.size)
		complain(c, "inode %#llx has %zu inline bytes and size %llu",
			 (unsigned long long)s->i.ino, vlen, (unsigned long long)s->i.size);
	return 0;
}

static void check_reserved(struct check *c, const struct seen *s, struct weft_kv *kv)
{
	struct weft_kv_val val;
	char key[MDS_KEY_MAX];
	__le64 limit = 0;

	if (s->i.ino == WEFT_INO_ROOT)
		return;
	if (!weft_kv_get(kv, MDS_CF_META, key, mds_key_meta(key, 'C', WEFT_INO_SHARD(s->i.ino)),
			 &val)) {
		if (val.len == sizeof(limit))
			memcpy(&limit, val.data, sizeof(limit));
		weft_kv_val_fini(&val);
	}
	if ((s->i.ino & ((1ull << WEFT_INO_SHARD_SHIFT) - 1)) >= le64_to_cpu(limit))
		complain(c, "inode number %#llx is not reserved", (unsigned long long)s->i.ino);
}

static void check_dir(struct check *c, const struct seen *s)
{
	const struct seen *up = s;
	bool root = s->i.ino == WEFT_INO_ROOT;
	unsigned int depth = 0;

	if (s->i.size != s->entries || s->i.nlink != 2 + s->subdirs)
		complain(c, "directory %#llx: %llu entries (says %llu), %llu subdirectories "
			    "(nlink %u)",
			 (unsigned long long)s->i.ino, (unsigned long long)s->entries,
			 (unsigned long long)s->i.size, (unsigned long long)s->subdirs,
			 s->i.nlink);
	if (s->names != !root || s->i.parent != (root ? WEFT_INO_ROOT : s->parent))
		complain(c, "directory %#llx has %llu names, the last in %#llx, says %#llx",
			 (unsigned long long)s->i.ino, (unsigned long long)s->names,
			 (unsigned long long)s->parent, (unsigned long long)s->i.parent);
	while (up && up->i.ino != WEFT_INO_ROOT && depth++ < 100000)
		up = find(c, up->i.parent);
	if (!up || up->i.ino != WEFT_INO_ROOT)
		complain(c, "directory %#llx does not lead to the root",
			 (unsigned long long)s->i.ino);
}

static void check_file(struct check *c, const struct seen *s)
{
	if (s->i.nlink != s->names)
		complain(c, "inode %#llx has %llu names (nlink %u)", (unsigned long long)s->i.ino,
			 (unsigned long long)s->names, s->i.nlink);
	if (!s->i.nlink && !s->orphan)
		complain(c, "inode %#llx has no names and is no orphan",
			 (unsigned long long)s->i.ino);
}

/* A pass over all stores. */
static int pass(struct check *c, struct weft_kv **kvs, unsigned int n, enum mds_cf cf,
		const char *prefix, row_fn fn)
{
	int ret = 0;

	for (c->store = 0; !ret && c->store < n; c->store++) {
		c->kv = kvs[c->store];
		ret = each(c, cf, prefix, fn);
	}
	return ret;
}

static int read_all(struct check *c, struct weft_kv **kvs, unsigned int n)
{
	int ret;

	ret = pass(c, kvs, n, MDS_CF_INODE, "", row_inode);
	if (!ret)
		ret = pass(c, kvs, n, MDS_CF_DENTRY, "", row_entry);
	if (!ret)
		ret = pass(c, kvs, n, MDS_CF_META, "O", row_orphan);
	if (!ret)
		ret = pass(c, kvs, n, MDS_CF_META, "P", row_pending);
	if (!ret)
		ret = pass(c, kvs, n, MDS_CF_META, "U", row_pending);
	if (!ret)
		ret = pass(c, kvs, n, MDS_CF_META, "L", row_pending);
	if (!ret)
		ret = pass(c, kvs, n, MDS_CF_TXN, "", row_pending);
	if (!ret)
		ret = pass(c, kvs, n, MDS_CF_XATTR, "", row_xattr);
	if (!ret)
		ret = pass(c, kvs, n, MDS_CF_INLINE, "", row_data);
	return ret;
}

int fsck_run(struct weft_kv **kvs, unsigned int n, struct fsck *f)
{
	struct check c = { .f = f };
	struct mds_link *l;
	int ret;

	memset(f, 0, sizeof(*f));
	ret = mds_table_init(&c.inodes);
	if (ret)
		return ret;
	ret = read_all(&c, kvs, n);
	if (!find(&c, WEFT_INO_ROOT))
		complain(&c, "there is no root directory");
	for (l = mds_table_each(&c.inodes, NULL); l; l = mds_table_each(&c.inodes, l)) {
		struct seen *s = (struct seen *)l;

		check_reserved(&c, s, kvs[s->store]);
		if (mds_is_dir(s->i.mode))
			check_dir(&c, s);
		else
			check_file(&c, s);
	}
	while ((l = mds_table_each(&c.inodes, NULL))) {
		mds_table_del(&c.inodes, l);
		free(l);
	}
	mds_table_fini(&c.inodes);
	return ret;
}
