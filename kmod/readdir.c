// SPDX-License-Identifier: GPL-2.0
/*
 * Reading directories.
 *
 * READDIR brings a bounded batch of entries with their attributes, in the order of the hash of
 * their names; the hash is the cookie, so that a position stays good while the directory changes.
 * The batch is kept with the open directory and served from there. Under the SOLE lease each entry
 * of a fresh batch goes to the dcache with its inode, so that a stat of it needs no request.
 *
 * ctx->pos is 0 and 1 for "." and "..", then the cookie of the last entry given out (2 before the
 * first). Entries of equal cookie are in one batch; if the reader's buffer fills up in between,
 * df->run says how many of them it has got.
 *
 * A batch that is not well formed ends the listing with -EIO.
 *
 * Protection: the VFS holds the directory's i_rwsem (shared) and f_pos_lock, which covers struct
 * weft_dir_file.
 */
#include "internal.h"
#include "proto/hash.h"

#define WEFT_DIR_BATCH (128u << 10)

/**
 * struct weft_dir_file - an open directory
 * @buf: the batch, WEFT_DIR_BATCH bytes, or NULL
 * @len: bytes in @buf
 * @from: cookie that the batch begins behind
 * @to: cookie of its last entry
 * @eof: nothing follows
 * @run: entries of the cookie behind ctx->pos that were given out already
 * @run_pos: ctx->pos that @run is about
 * @whole: the stamp under which all entries from the beginning to @to went to the dcache, or 0
 * @primed_to: last cookie that went to the dcache
 * @prunes: of the directory, when the listing began
 */
struct weft_dir_file {
	void *buf;
	size_t len;
	u64 from;
	u64 to;
	bool eof;
	unsigned int run;
	u64 run_pos;
	u64 whole;
	u64 primed_to;
	unsigned int prunes;
};

static bool weft_name_sane(const char *name, size_t len)
{
	if (memchr(name, '/', len) || memchr(name, 0, len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

/* Is the batch well formed? Finds its last cookie. */
static int weft_dir_check(struct weft_dir_file *df, u32 count)
{
	struct weft_dirent de;
	struct weft_cursor c;
	const char *name;
	u64 last = df->from;
	int ret;

	weft_cur_init(&c, df->buf, df->len);
	while ((ret = weft_dirent_next(&c, &de, &name)) == 1) {
		u64 cookie = le64_to_cpu(de.cookie);

		if (cookie < last || cookie <= df->from || cookie < WEFT_COOKIE_FIRST ||
		    cookie >= WEFT_COOKIE_END || !count-- ||
		    !weft_name_sane(name, le16_to_cpu(de.name_len)))
			return -EIO;
		last = cookie;
	}
	if (ret || count || (!df->eof && last == df->from))
		return -EIO;
	df->to = last;
	return 0;
}

/* One entry into the dcache. Return: false if it is not there: it is looked up when it is used. */
static bool weft_prime(struct dentry *parent, const struct weft_dirent *de, const char *name,
		       u64 stamp)
{
	struct qstr q = QSTR_INIT(name, le16_to_cpu(de->name_len));
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(wq);
	bool remote = le32_to_cpu(de->flags) & WEFT_ENTRY_REMOTE;
	struct dentry *dentry, *alias;
	struct inode *inode;
	bool same;

	if (remote && !S_ISDIR(le32_to_cpu(de->attr.mode)))
		return false;
	q.hash = full_name_hash(parent, q.name, q.len);
	dentry = d_lookup(parent, &q);
	if (!dentry) {
		dentry = d_alloc_parallel(parent, &q, &wq);
		if (IS_ERR(dentry))
			return false;
	}
	if (!d_in_lookup(dentry)) {
		inode = d_inode(dentry);
		same = inode && inode->i_ino == le64_to_cpu(de->attr.ino);
		if (same) {
			if (!remote)
				weft_attr_apply(inode, &de->attr,
					le64_to_cpu(de->attr.data_version),
						stamp);
			WRITE_ONCE(dentry->d_time, stamp);
		}
		dput(dentry);
		return same;
	}
	inode = weft_iget(parent->d_sb, &de->attr, stamp);
	alias = IS_ERR(inode) ? NULL : weft_splice(inode, dentry, stamp);
	d_lookup_done(dentry);
	same = !IS_ERR(inode) && !IS_ERR(alias);
	if (!IS_ERR_OR_NULL(alias))
		dput(alias);
	dput(dentry);
	return same;
}

static void weft_prime_batch(struct dentry *parent, struct weft_dir_file *df, u64 stamp)
{
	struct weft_inode *wi = WEFT_I(d_inode(parent));
	struct weft_dirent de;
	struct weft_cursor c;
	const char *name;

	if (!df->from) {
		df->whole = stamp;
		df->prunes = READ_ONCE(wi->prunes);
	} else if (df->from != df->primed_to || df->whole != stamp) {
		df->whole = 0;
	}
	weft_cur_init(&c, df->buf, df->len);
	while (weft_dirent_next(&c, &de, &name) == 1)
		if (!weft_prime(parent, &de, name, stamp))
			df->whole = 0;
	df->primed_to = df->to;
	if (df->eof && df->whole && df->prunes == READ_ONCE(wi->prunes)) {
		WRITE_ONCE(wi->complete, df->whole);
		smp_mb(); /* an entry that is being pruned sees it, or is seen */
		if (df->prunes != READ_ONCE(wi->prunes))
			WRITE_ONCE(wi->complete, 0);
	}
}

/* Get the batch behind @cookie. */
static int weft_dir_fetch(struct file *file, struct weft_dir_file *df, u64 cookie)
{
	struct inode *dir = file_inode(file);
	struct weft_sb *wsb = weft_isb(dir);
	struct kvec kv = { .iov_len = WEFT_DIR_BATCH };
	const struct weft_readdir_rep *rep;
	struct weft_readdir_req *req;
	struct weft_rpc *rpc;
	u64 stamp = weft_stamp(wsb, dir->i_ino);
	int ret;

	if (!df->buf)
		df->buf = kvmalloc(WEFT_DIR_BATCH, GFP_KERNEL);
	if (!df->buf)
		return -ENOMEM;
	df->len = 0;
	rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_READDIR, file->f_cred, dir->i_ino, NULL, NULL,
				GFP_KERNEL);
	if (IS_ERR(rpc))
		return PTR_ERR(rpc);
	req = rpc->body;
	req->cookie = cpu_to_le64(cookie);
	req->flags = cpu_to_le32(WEFT_READDIR_ATTRS);
	kv.iov_base = df->buf;
	iov_iter_kvec(&rpc->in, ITER_DEST, &kv, 1, kv.iov_len);
	ret = weft_rpc_call(rpc);
	if (ret)
		goto out_put;
	rep = weft_rpc_reply(rpc);
	df->len = rpc->in_len;
	df->from = cookie;
	df->eof = rep->eof;
	ret = weft_dir_check(df, le32_to_cpu(rep->count));
	if (ret) {
		pr_warn_ratelimited("weft: listing of directory %lu is not well formed\n",
				    dir->i_ino);
		df->len = 0;
		goto out_put;
	}
	weft_attr_apply(dir, &rep->dir, le64_to_cpu(rep->dir.data_version), stamp);
	if (stamp)
		weft_prime_batch(file->f_path.dentry, df, stamp);
out_put:
	weft_rpc_put(rpc);
	return ret;
}

static unsigned int weft_dirent_type(const struct weft_dirent *de)
{
	return fs_umode_to_dtype(le32_to_cpu(de->attr.mode));
}

/* Give out what the batch has behind ctx->pos. Return: false when the reader has enough. */
static bool weft_dir_emit_batch(struct weft_dir_file *df, struct dir_context *ctx)
{
	u64 pos = ctx->pos == 2 ? 0 : ctx->pos, run_cookie = 0;
	unsigned int nth = 0;
	struct weft_dirent de;
	struct weft_cursor c;
	const char *name;

	weft_cur_init(&c, df->buf, df->len);
	while (weft_dirent_next(&c, &de, &name) == 1) {
		u64 cookie = le64_to_cpu(de.cookie);

		if (cookie <= pos)
			continue;
		if (cookie != run_cookie) {
			/* The run before has been given out whole. */
			if (run_cookie) {
				ctx->pos = run_cookie;
				df->run = 0;
				df->run_pos = run_cookie;
			}
			run_cookie = cookie;
			nth = 0;
		}
		if (nth++ < df->run)
			continue;
		if (!dir_emit(ctx, name, le16_to_cpu(de.name_len), le64_to_cpu(de.attr.ino),
			      weft_dirent_type(&de)))
			return false;
		df->run++;
	}
	if (run_cookie) {
		ctx->pos = run_cookie;
		df->run = 0;
		df->run_pos = run_cookie;
	}
	return true;
}

static int weft_iterate(struct file *file, struct dir_context *ctx)
{
	struct weft_dir_file *df = file->private_data;
	u64 cookie;
	int ret;

	if (ctx->pos == 0) { /* rewound: what is there now counts */
		df->len = 0;
		df->to = 0;
		df->eof = false;
	}
	if (!dir_emit_dots(file, ctx))
		return 0;
	while (ctx->pos != WEFT_COOKIE_END) {
		if (df->run_pos != ctx->pos) {
			df->run = 0;
			df->run_pos = ctx->pos;
		}
		cookie = ctx->pos < WEFT_COOKIE_FIRST ? 0 : ctx->pos;
		if (!df->len || cookie < df->from || cookie >= df->to) {
			if (df->eof && df->to && cookie >= df->to && cookie >= df->from) {
				ctx->pos = WEFT_COOKIE_END;
				return 0;
			}
			ret = weft_dir_fetch(file, df, cookie);
			if (ret)
				return ret;
		}
		if (!weft_dir_emit_batch(df, ctx))
			return 0;
		if (df->eof)
			ctx->pos = WEFT_COOKIE_END;
	}
	return 0;
}

static loff_t weft_dir_llseek(struct file *file, loff_t off, int whence)
{
	return generic_file_llseek_size(file, off, whence, WEFT_COOKIE_END, 0);
}

static int weft_dir_open(struct inode *inode, struct file *file)
{
	file->private_data = kzalloc(sizeof(struct weft_dir_file), GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int weft_dir_release(struct inode *inode, struct file *file)
{
	struct weft_dir_file *df = file->private_data;

	kvfree(df->buf);
	kfree(df);
	return 0;
}

/* Changes of directories are durable when they return. */
static int weft_dir_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return 0;
}

const struct file_operations weft_dir_fops = {
	.open = weft_dir_open,
	.release = weft_dir_release,
	.iterate_shared = weft_iterate,
	.llseek = weft_dir_llseek,
	.read = generic_read_dir,
	.fsync = weft_dir_fsync,
};
