// SPDX-License-Identifier: Apache-2.0
/*
 * The three sub-operations that every change of the namespace consists of (proto/txn.h): set an
 * entry, make an inode, edit an inode. Each checks and changes within one transaction; what happens
 * on one group alone and what a transaction over several groups does is the same code.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mds/mds.h"
#include "proto/hash.h"

void mds_node_result(const struct mds_node *n, struct weft_attr_rep *r)
{
	mds_inode_attr(&n->i, &r->attr);
	r->prev_change = cpu_to_le64(n->prev_change);
	r->prev_data = cpu_to_le64(n->prev_data);
}

int mds_dir_writable(const struct mds_creds *c, const struct mds_inode *dir)
{
	if (!dir->nlink)
		return -ENOENT;
	return mds_permission(c, dir, MDS_MAY_WRITE | MDS_MAY_EXEC);
}

static int entry_write(struct mds_tx *tx, const struct mds_sub *s)
{
	struct mds_dentry_rec rec = { .version = MDS_REC_VERSION, .type = s->mode >> 12,
				      .ino = cpu_to_le64(s->new_ino) };
	char key[MDS_KEY_MAX];
	size_t klen = mds_key_dentry(key, s->ino, s->name, s->name_len);

	if (!s->new_ino)
		return mds_tx_del(tx, MDS_CF_DENTRY, key, klen);
	return mds_tx_put(tx, MDS_CF_DENTRY, key, klen, &rec, sizeof(rec));
}

static int sub_entry(struct mds_tx *tx, const struct mds_creds *creds, struct mds_time now,
		     struct mds_sub *s)
{
	struct mds_node *dir;
	u32 old_type = 0;
	u64 old = 0;
	int ret;

	ret = mds_tx_inode(tx, s->ino, &dir);
	if (ret)
		return ret;
	if (!mds_is_dir(dir->i.mode))
		return -ENOTDIR;
	ret = mds_dir_writable(creds, &dir->i);
	if (ret)
		return ret;
	ret = mds_read_dentry(tx, s->ino, s->name, s->name_len, &old, &old_type);
	if (ret && ret != -ENOENT)
		return ret;
	if (old != s->old_ino)
		return WEFT_S_BUSY;
	ret = entry_write(tx, s);
	if (ret)
		return ret;
	dir->i.size += !!s->new_ino - !!old;
	dir->i.nlink += (s->new_ino && mds_is_dir(s->mode)) - (old && mds_is_dir(old_type));
	dir->i.mtime = dir->i.ctime = now;
	dir->i.change++;
	mds_node_result(dir, &s->result);
	return 0;
}

void mds_new_layout(struct mds *m, const struct mds_inode *dir, struct weft_layout *l)
{
	const struct weft_map_pool *p = mds_pool_newest(m, dir->pool);

	mds_inode_layout(dir, l);
	l->flags = dir->inline_max ? WEFT_LAYOUT_INLINE : 0;
	l->seed = 0;
	if (p)
		l->pool = p->id;
	if (p && (!dir->width || dir->width > le32_to_cpu(p->ngroups)))
		l->width = cpu_to_le16(le32_to_cpu(p->ngroups));
}

static void make_layout(struct mds_inode *i, const struct weft_layout *l)
{
	u64 ino = i->ino;

	i->pool = le32_to_cpu(l->pool);
	i->chunk_shift = l->chunk_shift;
	i->width = le16_to_cpu(l->width);
	i->inline_max = le32_to_cpu(l->inline_max);
	if (!mds_is_reg(i->mode))
		return;
	i->lflags = l->flags;
	i->seed = weft_hash64(0x73656564, &ino, sizeof(ino));
}

static int make_link(struct mds_tx *tx, struct mds_node *n, const struct mds_sub *s)
{
	char key[MDS_KEY_MAX];

	n->i.size = s->target_len;
	n->i.flags |= MDS_INO_DATA;
	return mds_tx_put(tx, MDS_CF_INLINE, key, mds_key_ino(key, n->i.ino), s->target,
			  s->target_len);
}

static int orphan_put(struct mds_tx *tx, u64 ino)
{
	char key[MDS_KEY_MAX];

	return mds_tx_put(tx, MDS_CF_META, key, mds_key_meta(key, 'O', ino), NULL, 0);
}

static int sub_make(struct mds_tx *tx, struct mds_time now, struct mds_sub *s)
{
	struct mds_node *n;
	u64 nr;
	int ret;

	ret = mds_counter_next(tx->m, 'C', s->shard, &nr);
	if (ret)
		return ret;
	s->ino = WEFT_INO_MAKE(s->shard, nr);
	ret = mds_tx_new(tx, s->ino, &n);
	if (ret)
		return ret;
	n->i.mode = s->mode;
	n->i.uid = s->uid;
	n->i.gid = s->gid;
	n->i.rdev_major = s->rdev_major;
	n->i.rdev_minor = s->rdev_minor;
	n->i.change = n->i.data_version = 1;
	n->i.atime = n->i.mtime = n->i.ctime = n->i.btime = now;
	n->i.nlink = mds_is_dir(s->mode) ? 2 : s->nlink;
	if (mds_is_dir(s->mode))
		n->i.parent = s->parent;
	make_layout(&n->i, &s->layout);
	if (s->target_len)
		ret = make_link(tx, n, s);
	if (!ret && !n->i.nlink) {
		n->i.flags |= MDS_INO_LINKABLE;
		ret = orphan_put(tx, s->ino);
	}
	mds_node_result(n, &s->result);
	return ret;
}

int mds_inode_gone(struct mds_tx *tx, struct mds_node *n, bool keep)
{
	char key[MDS_KEY_MAX];
	size_t klen = mds_key_ino(key, n->i.ino);
	int ret = 0;

	if (keep)
		return orphan_put(tx, n->i.ino);
	n->dead = true;
	if (n->i.flags & MDS_INO_DATA)
		ret = mds_tx_del(tx, MDS_CF_INLINE, key, klen);
	if (!ret && (n->i.flags & MDS_INO_XATTR))
		ret = mds_tx_del_prefix(tx, MDS_CF_XATTR, key, klen);
	if (!ret && mds_is_reg(n->i.mode))
		ret = mds_purge_add(tx, &n->i);
	return ret;
}

static int edit_check(const struct mds_creds *creds, const struct mds_sub *s,
		      const struct mds_inode *i)
{
	bool dir = mds_is_dir(i->mode);

	if ((s->flags & WEFT_SUB_STICKY) && creds->uid != s->uid &&
	    !mds_owner_or_capable(creds, i))
		return -EPERM;
	if ((s->flags & WEFT_SUB_MUST_DIR) && !dir)
		return -ENOTDIR;
	if ((s->flags & WEFT_SUB_NOT_DIR) && dir)
		return s->nlink > 0 ? -EPERM : -EISDIR;
	if ((s->flags & WEFT_SUB_MUST_WRITE) && mds_permission(creds, i, MDS_MAY_WRITE))
		return -EACCES;
	if (s->nlink < 0 && dir && i->size)
		return -ENOTEMPTY;
	if (s->nlink > 0 && !i->nlink && !(i->flags & MDS_INO_LINKABLE))
		return -ENOENT;
	if (s->nlink > 0 && i->nlink >= MDS_LINK_MAX)
		return -EMLINK;
	return s->nlink < 0 && !i->nlink ? -EUCLEAN : 0;
}

static int edit_unlink(struct mds_tx *tx, struct mds_node *n, const struct mds_sub *s)
{
	struct mds *m = tx->m;
	struct mds_session *sess = NULL;
	int ret;

	if (mds_is_dir(n->i.mode)) {
		n->i.nlink = 0;
		return mds_inode_gone(tx, n, false);
	}
	if (--n->i.nlink)
		return 0;
	if (s->flags & WEFT_SUB_OPEN)
		sess = mds_session_find(m, s->session);
	if (sess) {
		ret = mds_open_prepare(tx, sess, n->i.ino, s->open_id);
		if (ret)
			return ret;
	}
	return mds_inode_gone(tx, n, sess || tx->prepare || mds_in_grace(m) ||
					     mds_is_open(m, n->i.ino));
}

static int edit_link(struct mds_tx *tx, struct mds_node *n)
{
	char key[MDS_KEY_MAX];

	if (n->i.nlink++)
		return 0;
	n->i.flags &= ~MDS_INO_LINKABLE;
	return mds_tx_del(tx, MDS_CF_META, key, mds_key_meta(key, 'O', n->i.ino));
}

static int sub_edit(struct mds_tx *tx, const struct mds_creds *creds, struct mds_time now,
		    struct mds_sub *s)
{
	struct mds_node *n;
	int ret;

	ret = mds_tx_inode(tx, s->ino, &n);
	if (ret)
		return ret;
	tx->blocked = mds_lock_blocks(tx->m, mds_lock_inode(s->ino), tx->owner, true);
	if (tx->blocked)
		return MDS_PARKED;
	ret = edit_check(creds, s, &n->i);
	if (ret)
		return ret;
	n->i.ctime = now;
	n->i.change++;
	if (s->flags & WEFT_SUB_SET_PARENT)
		n->i.parent = s->parent;
	if (s->nlink > 0)
		ret = edit_link(tx, n);
	else if (s->nlink < 0)
		ret = edit_unlink(tx, n, s);
	mds_node_result(n, &s->result);
	return ret;
}

int mds_sub_run(struct mds_tx *tx, const struct mds_creds *creds, struct mds_time now,
		struct mds_sub *s)
{
	switch (s->kind) {
	case WEFT_SUB_ENTRY:
		return sub_entry(tx, creds, now, s);
	case WEFT_SUB_MAKE:
		return sub_make(tx, now, s);
	case WEFT_SUB_EDIT:
		return sub_edit(tx, creds, now, s);
	}
	return -EPROTO;
}
