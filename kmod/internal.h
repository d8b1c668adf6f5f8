/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VFS half of the module: what its files share, one section per file.
 *
 * Locks, in the order in which they are taken:
 *	inode->i_rwsem			the VFS's; also our writers, truncate, fallocate, direct I/O
 *	mapping->invalidate_lock	truncate and hole punching against page faults and read-in
 *	folio lock
 *	wi->lock			everything in struct weft_inode that says so, and i_size
 *	wsb->open_lock			lists of open inodes and of registrations to close
 * Nothing waits for the network under the two spinlocks.
 *
 * What is cached is trusted by stamp: weft_stamp() is not 0 only while this mount has the SOLE
 * lease of an inode's metadata group, and changes whenever a lease changes hands. Attributes
 * (wi->stamp) and entries (dentry->d_time) that carry the present stamp of their group need no
 * request; all others are asked for at each use. A stamp is read before the request is sent.
 */
#ifndef WEFT_KMOD_INTERNAL_H
#define WEFT_KMOD_INTERNAL_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mempool.h>
#include <linux/pagemap.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <linux/writeback.h>
#include <linux/xattr.h>
#include "client.h"
#include "rpc.h"

#define WEFT_SUPER_MAGIC 0x57454654

/* Bytes of one readahead window and of one request to a data server at most. */
#define WEFT_READAHEAD (4u << 20)
#define WEFT_IO_MAX WEFT_BULK_MAX

/**
 * struct weft_sb - one mount
 * @fs: the cluster
 * @sb: back pointer
 * @lease_gen: counts leases that came or went
 * @next_open_id: source of registration numbers
 * @async: requests, data in flight and pinned inodes that unmount waits for
 * @atimes: access times on their way
 * @flush_lock: held shared while dirty data of a lost lease is written; protects @dying
 * @dying: unmount has begun: inodes must not be grabbed any more; read without the lock as well
 * @open_lock: protects the lists and counts below
 * @open_inodes: regular files that are open here (weft_inode.open_link)
 * @closes: registrations to take back (struct weft_close)
 * @ncloses: how many
 * @reclaiming: groups that are just being told of open files: no CLOSE must overtake that
 * @close_work: sends them
 * @opts: what was mounted, for /proc/mounts
 */
struct weft_sb {
	struct weft_fs *fs;
	struct super_block *sb;
	atomic64_t lease_gen;
	atomic64_t next_open_id;
	atomic_t async;
	atomic_t atimes;
	struct rw_semaphore flush_lock;
	bool dying;
	spinlock_t open_lock;
	struct list_head open_inodes;
	struct list_head closes;
	unsigned int ncloses;
	unsigned int reclaiming;
	struct delayed_work close_work;
	struct weft_mount_opts *opts;
};

/* Bits of weft_inode.flags; changed atomically. */
enum {
	WEFT_I_COMMITTING, /* a COMMIT is in flight; waited for with wait_on_bit */
	WEFT_I_UNLINKING,  /* the last name is being removed: opens wait */
	WEFT_I_META_DIRTY, /* size or times that the server does not know yet */
	WEFT_I_RESIZING,   /* SETATTR of a size is under way: replies to others leave it alone */
	WEFT_I_SIZE_DIRTY, /* i_size is larger than the server knows */
	WEFT_I_ATIME_DIRTY,
	WEFT_I_DATA_STALE, /* others changed content: drop the page cache at next use */
	WEFT_I_LAYOUT_OLD, /* the server refused inline data: attributes are being fetched */
	WEFT_I_CLOSE_NEXT, /* the next inline data takes the registration back as well */
	WEFT_I_SPILLED,	   /* chunks are used although the server still says inline */
	WEFT_I_NO_CAPS,	   /* has no security.capability */
	WEFT_I_SYNC,	   /* ran out of space: write through until that works */
	WEFT_I_LOST,	   /* gone while the server was away: ESTALE */
};

/**
 * struct weft_inode - an inode of ours
 * @lock: protects the fields down to @ranges, and i_size
 * @change: newest change counter applied; older replies are ignored
 * @data_version: newest content counter
 * @stamp: see the head of this file
 * @fresh_for: process whose path walk has just brought the attributes, see weft_attr_fresh()
 * @fresh_at: when, in jiffies
 * @parent: directories: number of the directory above
 * @complete: directories: the stamp under which all entries are in the dcache, 0 if not
 * @prunes: directories: entries that left the dcache, to tell whether a listing stayed whole
 * @bytes_used: allocated bytes as the server knows them
 * @btime: time of creation
 * @layout: where data is; the inline flag also depends on WEFT_I_SPILLED
 * @server_size: newest size that the server told
 * @commit_size: end of the bytes that are durable on data servers
 * @bytes_delta: change of allocated bytes not yet told to the metadata server
 * @inflight: writes in flight; waited for with wait_var_event
 * @pinned: a reference is held because of requests in flight, see weft_busy(); by @lock
 * @unpin: gives the last reference back
 * @ranges: killed fallocates that have requests in flight; waited for in the same way
 * @commit_error: how the last COMMIT ended
 * @open_count: open files (struct file)
 * @open_id: registration at the server, 0: none (@registered says if it knows)
 * @flags: WEFT_I_*
 * @outgrown: directories: files made there of late, in a row, that ended up too large for inline
 * @open_link: in wsb->open_inodes while @open_count > 0; protected by wsb->open_lock, as are
 *	@open_count and @open_id and @registered
 */
struct weft_inode {
	spinlock_t lock;
	u64 change;
	u64 data_version;
	u64 stamp;
	struct task_struct *fresh_for;
	unsigned long fresh_at;
	u64 parent;
	u64 complete;
	unsigned int prunes;
	u64 bytes_used;
	struct timespec64 btime;
	struct weft_layout layout;
	u64 server_size;
	u64 commit_size;
	s64 bytes_delta;
	unsigned int inflight;
	bool pinned;
	unsigned int ranges;
	int commit_error;
	struct work_struct unpin;

	unsigned long flags;
	struct list_head open_link;
	unsigned int open_count;
	bool registered;
	u64 open_id;
	u8 outgrown;
	struct inode vfs;
};

static inline struct weft_inode *WEFT_I(const struct inode *inode)
{
	return container_of(inode, struct weft_inode, vfs);
}

static inline struct weft_sb *WEFT_SB(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct weft_sb *weft_isb(const struct inode *inode)
{
	return WEFT_SB(inode->i_sb);
}

/* weft_is_inline() - true while the file's bytes are read from and written to its metadata group */
static inline bool weft_is_inline(const struct weft_inode *wi)
{
	return (READ_ONCE(wi->layout.flags) & WEFT_LAYOUT_INLINE) &&
	       !test_bit(WEFT_I_SPILLED, &wi->flags);
}

/* weft_io_check() - may content of this inode be used? */
static inline int weft_io_check(const struct inode *inode)
{
	if (test_bit(WEFT_I_LOST, &WEFT_I(inode)->flags))
		return -ESTALE;
	return weft_fs_aborted(weft_isb(inode)->fs) ? -EIO : 0;
}

static inline struct timespec64 weft_time_get(const struct weft_time *t)
{
	return (struct timespec64){ .tv_sec = le64_to_cpu(t->sec),
				    .tv_nsec = le32_to_cpu(t->nsec) % NSEC_PER_SEC };
}

static inline void weft_time_put(struct weft_time *t, struct timespec64 ts)
{
	t->sec = cpu_to_le64(ts.tv_sec);
	t->nsec = cpu_to_le32(ts.tv_nsec);
}

/* params.c */

#define WEFT_MGMT_TEXT 512

/* struct weft_mount_opts - the options of one mount; the secret is wiped after connecting */
struct weft_mount_opts {
	struct weft_connect_opts connect;
	char mgmt[WEFT_MGMT_TEXT]; /* as given, for /proc/mounts */
	char *subdir; /* below the root directory, without leading slash; "" for the root */
	u8 *secret;
};

int weft_init_fs_context(struct fs_context *fc);
void weft_opts_free(struct weft_mount_opts *opts);
int weft_show_options(struct seq_file *m, struct dentry *root);
extern const struct fs_parameter_spec weft_params[];

/* super.c */

int weft_get_tree(struct fs_context *fc);
void weft_async_get(struct weft_sb *wsb);
void weft_async_put(struct weft_sb *wsb);

/* lease.c */

extern const struct weft_fs_ops weft_lease_ops;
u64 weft_stamp(struct weft_sb *wsb, u64 ino);
int weft_each_inode(struct weft_sb *wsb, u32 group, bool (*want)(struct inode *),
		    int (*use)(struct inode *));
int weft_flush_group(struct weft_sb *wsb, u32 group);

/* inode.c */

extern const struct inode_operations weft_file_iops;
extern const struct inode_operations weft_special_iops;

struct inode *weft_alloc_inode(struct super_block *sb);
void weft_free_inode(struct inode *inode);
void weft_evict_inode(struct inode *inode);
bool weft_inode_pin(struct inode *inode);
void weft_inode_unpin(struct inode *inode);
void weft_busy(struct inode *inode);
bool weft_idle(struct inode *inode);
int weft_inode_cache_init(void);
void weft_inode_cache_exit(void);

struct inode *weft_iget(struct super_block *sb, const struct weft_attr *attr, u64 stamp);
struct inode *weft_iget_ino(struct super_block *sb, u64 ino);
struct inode *weft_iget_entry(struct super_block *sb, const struct weft_attr *attr, u32 flags,
			      u64 stamp);
void weft_attr_apply(struct inode *inode, const struct weft_attr *attr, u64 prev_data, u64 stamp);
bool weft_attr_valid(const struct inode *inode);
int weft_attr_fetch(struct inode *inode);
void weft_attr_fresh(struct inode *inode);
bool weft_attr_take_fresh(struct inode *inode);
int weft_permission(struct mnt_idmap *idmap, struct inode *inode, int mask);
int weft_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat, u32 mask,
		 unsigned int flags);

/* setattr.c */

int weft_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr);
int weft_set_size(struct inode *inode, loff_t size);
int weft_update_time(struct inode *inode, int flags);
WEFT_WRAP_UPDATE_TIME(weft_update_time)
int weft_atime_send(struct inode *inode);
int weft_atime_sync(struct weft_sb *wsb);

/* nsop.c */

struct weft_nsop;

/**
 * struct weft_nsop_type - what one kind of namespace operation does
 * @issue: make op->rpc from the arguments
 * @success: apply the reply to inodes and dcache; may fail
 * @failed: optional: undo what @issue prepared; may change op->error
 */
struct weft_nsop_type {
	int (*issue)(struct weft_nsop *op);
	int (*success)(struct weft_nsop *op, const void *reply);
	void (*failed)(struct weft_nsop *op);
};

/**
 * struct weft_nsop - one namespace operation under way
 * @type: its kind
 * @dir: directory of @dentry
 * @dentry: entry that is made, removed, moved or looked up
 * @name: its name
 * @dir2: RENAME: new directory
 * @dentry2: RENAME: new entry
 * @inode: CREATE, LOOKUP, OPEN: out: the inode, with a reference; LINK: in: the file
 * @mode: of a new inode
 * @rdev: of a new device
 * @target: of a new symlink
 * @flags: WEFT_OPEN_* or WEFT_RENAME_*
 * @open_id: OPEN, UNLINK, RENAME: registration to make, 0: none
 * @data: LOOKUP, OPEN: buffer for inline data or NULL
 * @reply_flags: out: WEFT_ENTRY_*
 * @stamp: of @dir's group before the request was sent
 * @stamp2: of @dir2's group
 * @stamp_inode: of the group of the inode that is linked, or moved
 * @stamp_victim: of the group of the inode that is replaced
 */
struct weft_nsop {
	const struct weft_nsop_type *type;
	struct inode *dir;
	struct dentry *dentry;
	const struct qstr *name;
	struct inode *dir2;
	struct dentry *dentry2;
	struct inode *inode;
	umode_t mode;
	dev_t rdev;
	const char *target;
	u32 flags;
	u64 open_id;
	struct kvec data;
	u32 reply_flags;
	u64 stamp;
	u64 stamp2;
	u64 stamp_inode;
	u64 stamp_victim;
	struct weft_rpc *rpc;
	int error;
};

int weft_nsop_run(struct weft_nsop *op);
int weft_modify(struct weft_sb *wsb, struct weft_rpc *rpc);

/* dir.c */

extern const struct dentry_operations weft_dentry_ops;
struct dentry *weft_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags);
int weft_atomic_open(struct inode *dir, struct dentry *dentry, struct file *file,
		     unsigned int open_flags, umode_t mode);
int weft_tmpfile(struct mnt_idmap *idmap, struct inode *dir, struct file *file, umode_t mode);
void weft_dir_incomplete(struct inode *dir);
struct dentry *weft_splice(struct inode *inode, struct dentry *dentry, u64 stamp);
int weft_lookup_path(struct super_block *sb, const char *path, struct inode **out);

/* namei.c */

extern const struct inode_operations weft_dir_iops;

/* readdir.c */

extern const struct file_operations weft_dir_fops;

/* symlink.c */

extern const struct inode_operations weft_symlink_iops;
void weft_symlink_cache(struct inode *inode, const char *target, size_t len);

/* xattr.c */

extern const struct xattr_handler *weft_xattr_handlers[];
ssize_t weft_listxattr(struct dentry *dentry, char *list, size_t size);

/* export.c */

extern const struct export_operations weft_export_ops;

/* open.c */

int weft_open_get(struct inode *inode);
void weft_open_put(struct inode *inode);
int weft_open(struct inode *inode, struct file *file);
int weft_open_known(struct inode *inode, struct file *file);
int weft_release(struct inode *inode, struct file *file);
u32 weft_open_flags(unsigned int f_flags);
u64 weft_open_id_new(struct weft_sb *wsb);
void weft_open_registered(struct inode *inode, u64 open_id);
u64 weft_victim_begin(struct inode *inode);
void weft_victim_end(struct inode *inode, u64 open_id, bool removed);
u64 weft_close_take(struct inode *inode);
void weft_close_queue(struct weft_sb *wsb, u64 ino, u64 open_id);
void weft_close_flush(struct weft_sb *wsb);
void weft_close_work(struct work_struct *work);
int weft_reclaim_all(struct weft_sb *wsb, u32 group, struct weft_reclaim *r);
void weft_reclaim_over(struct weft_sb *wsb);

/* file.c */

extern const struct file_operations weft_file_fops;
int weft_data_revalidate(struct inode *inode);
bool weft_outgrown(const struct inode *dir);
void weft_outgrown_note(struct inode *inode, struct file *file);

/* write.c */

ssize_t weft_buffered_write(struct kiocb *iocb, struct iov_iter *from);
void weft_zero_tail(struct inode *inode, loff_t size);
void weft_size_grow(struct inode *inode, loff_t size);

/* io.c */

/**
 * struct weft_io - a contiguous piece of a file going to or coming from servers
 * @inode: the file; whoever makes the weft_io keeps it
 * @pos: first byte
 * @len: bytes
 * @opcode: WEFT_OP_OBJ_READ, OBJ_WRITE or WRITE_INLINE
 * @iter: memory for @len bytes, as in struct weft_rpc
 * @done: called when all requests have ended, process context; owns the weft_io from then on
 * @priv: for the caller
 * @pending: requests not ended, and one for the submitter
 * @error: first error
 * @delta: OBJ_WRITE: change of allocated bytes
 * @close_id: WRITE_INLINE: registration that the request takes back as well
 * @stamp: WRITE_INLINE: weft_stamp() before it was sent
 * @span: page cache: bytes of the folios that the piece is in
 */
struct weft_io {
	struct inode *inode;
	loff_t pos;
	size_t len;
	u16 opcode;
	struct iov_iter iter;
	void (*done)(struct weft_io *io);
	void *priv;
	atomic_t pending;
	int error;
	atomic64_t delta;
	u64 close_id;
	u64 stamp;
	size_t span;
};

extern struct workqueue_struct *weft_dio_wq;

int weft_io_init(void);
void weft_io_exit(void);
struct weft_io *weft_io_alloc(struct inode *inode, u16 opcode, loff_t pos, gfp_t gfp);
void weft_io_free(struct weft_io *io);
void weft_io_submit(struct weft_io *io);

/* aops.c */

extern const struct address_space_operations weft_aops;
int weft_read_locked(struct inode *inode, struct folio *folio);
void weft_inline_fill(struct inode *inode, const void *data, size_t len, u64 size,
		      u64 data_version);
int weft_inline_fetch(struct inode *inode, struct kvec *data);

/* writeback.c */

int weft_writepages(struct address_space *mapping, struct writeback_control *wbc);
int weft_write_inode(struct inode *inode, struct writeback_control *wbc);
void weft_write_started(struct inode *inode);
void weft_now_idle(struct inode *inode, bool untold);
void weft_write_ended(struct inode *inode, loff_t end, s64 delta, int error, bool tell);
void weft_writeback_error(struct inode *inode, int error);
int weft_wait_writes(struct inode *inode);
bool weft_needs_flush(struct inode *inode);
int weft_wait_folios(struct inode *inode, loff_t start, loff_t end);
int weft_invalidate_lock(struct inode *inode, loff_t start, loff_t end);
int weft_drop_folios(struct inode *inode, loff_t start, loff_t end);
int weft_write_range(struct inode *inode, loff_t start, loff_t end);
int weft_flush_inode(struct inode *inode);

/* commit.c */

bool weft_commit_claim(struct inode *inode);
void weft_commit_send(struct inode *inode);
void weft_commit_start(struct inode *inode);
int weft_commit_wait(struct inode *inode);
int weft_commit_wait_inflight(struct inode *inode);

/* spill.c */

int weft_spill(struct inode *inode);

/* dio.c */

ssize_t weft_direct_read(struct kiocb *iocb, struct iov_iter *to);
ssize_t weft_direct_write(struct kiocb *iocb, struct iov_iter *from);
int weft_direct_wait(struct inode *inode);

/* falloc.c */

int weft_ranges_wait(struct inode *inode);
long weft_fallocate(struct file *file, int mode, loff_t pos, loff_t len);

/* seek.c */

loff_t weft_llseek(struct file *file, loff_t off, int whence);

#endif
