// SPDX-License-Identifier: GPL-2.0
/*
 * Super blocks: mounting, statfs, unmounting, and the module itself.
 *
 * Each mount is a client of its own with a super block of its own. Mounting connects to
 * management (the sentence of what went wrong goes to the fs_context's log), then looks up the
 * root directory, or the directory that the source names. Unmounting writes everything back,
 * waits for what was sent without waiting, takes back registrations, and closes the sessions;
 * umount -f first makes every outstanding request fail, so that nothing of this can hang. So does
 * killing an umount that waits for a server: by then umount -f does not find the mount any more.
 *
 * wsb->async counts what unmount waits for; it is only ever waited for to become 0.
 */
#include <linux/crc32.h>
#include <linux/module.h>
#include <linux/statfs.h>
#include "internal.h"

void weft_async_get(struct weft_sb *wsb)
{
	atomic_inc(&wsb->async);
}

void weft_async_put(struct weft_sb *wsb)
{
	if (atomic_dec_and_test(&wsb->async))
		wake_up_var(&wsb->async);
}

/*
 * The VFS calls this before and after its own waiting for pages, which cannot be killed. Everything
 * is waited for here before, so that who kills syncfs(2) ends it; afterwards, what the end of the
 * pages has set off, and access times.
 */
static int weft_sync_fs(struct super_block *sb, int wait)
{
	struct weft_sb *wsb = WEFT_SB(sb);
	int ret = weft_flush_group(wsb, 0);

	return ret || !wait ? ret : weft_atime_sync(wsb);
}

static int weft_statfs(struct dentry *dentry, struct kstatfs *st)
{
	struct weft_sb *wsb = WEFT_SB(dentry->d_sb);
	const u8 *fsid = weft_fs_fsid(wsb->fs);
	const struct weft_statfs_rep *rep;
	struct weft_rpc *rpc;
	int ret;

	rpc = weft_rpc_alloc(wsb->fs, WEFT_OP_STATFS, 0, GFP_KERNEL);
	if (!rpc)
		return -ENOMEM;
	weft_rpc_to_mgmt(rpc);
	ret = weft_rpc_call(rpc);
	if (!ret) {
		rep = weft_rpc_reply(rpc);
		st->f_type = WEFT_SUPER_MAGIC;
		st->f_bsize = PAGE_SIZE;
		st->f_frsize = PAGE_SIZE;
		st->f_namelen = WEFT_NAME_MAX;
		st->f_blocks = le64_to_cpu(rep->bytes_total) / PAGE_SIZE;
		st->f_bfree = le64_to_cpu(rep->bytes_free) / PAGE_SIZE;
		st->f_bavail = st->f_bfree;
		st->f_files = le64_to_cpu(rep->inodes_total);
		st->f_ffree = le64_to_cpu(rep->inodes_free);
		st->f_fsid.val[0] = crc32_le(~0, fsid, 8);
		st->f_fsid.val[1] = crc32_le(~0, fsid + 8, 8);
	}
	weft_rpc_put(rpc);
	return ret;
}

static void weft_umount_begin(struct super_block *sb)
{
	weft_fs_abort(WEFT_SB(sb)->fs);
}

static const struct super_operations weft_super_ops = {
	.alloc_inode = weft_alloc_inode,
	.free_inode = weft_free_inode,
	.evict_inode = weft_evict_inode,
	.write_inode = weft_write_inode,
	.drop_inode = inode_generic_drop,
	.sync_fs = weft_sync_fs,
	.statfs = weft_statfs,
	.umount_begin = weft_umount_begin,
	.show_options = weft_show_options,
};

static void weft_sb_free(struct weft_sb *wsb)
{
	weft_fs_disconnect(wsb->fs);
	weft_opts_free(wsb->opts);
	kfree(wsb);
}

static struct weft_sb *weft_sb_alloc(struct weft_mount_opts *opts)
{
	struct weft_sb *wsb = kzalloc(sizeof(*wsb), GFP_KERNEL);

	if (!wsb)
		return NULL;
	atomic64_set(&wsb->lease_gen, 1);
	atomic64_set(&wsb->next_open_id, 1);
	init_rwsem(&wsb->flush_lock);
	spin_lock_init(&wsb->open_lock);
	INIT_LIST_HEAD(&wsb->open_inodes);
	INIT_LIST_HEAD(&wsb->closes);
	INIT_DELAYED_WORK(&wsb->close_work, weft_close_work);
	wsb->opts = opts;
	return wsb;
}

/* Why it could not be mounted, in a sentence. */
static int weft_connect_error(struct fs_context *fc, const struct weft_mount_opts *opts, int err)
{
	switch (err) {
	case -ETIMEDOUT:
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		errorfc(fc, "no management server of %s can be reached", opts->mgmt);
		break;
	case -EPROTONOSUPPORT:
		errorfc(fc, "the cluster at %s and this client have no protocol version in common",
		       opts->mgmt);
		break;
	case -EKEYREJECTED:
		errorfc(fc, "the cluster at %s refuses this client: secret missing or wrong",
		       opts->mgmt);
		break;
	case -ENODEV:
		errorfc(fc, "the file system at %s is not active yet (weft fs create)", opts->mgmt);
		break;
	case -EAFNOSUPPORT:
		errorfc(fc, "net=rdma: module weft_rdma cannot be loaded (modprobe weft_rdma)");
		break;
	case -EADDRNOTAVAIL:
		errorfc(fc, "some target has no address that net= and rails= allow (see the kernel log)");
		break;
	case -EBADMSG:
		errorfc(fc, "management server at %s sent a damaged cluster map", opts->mgmt);
		break;
	case -EXDEV:
		errorfc(fc, "a server of the cluster at %s belongs to another file system",
			opts->mgmt);
		break;
	default:
		errorfc(fc, "connecting to %s failed with error %d", opts->mgmt, -err);
	}
	return err;
}

static int weft_set_super(struct super_block *sb)
{
	sb->s_magic = WEFT_SUPER_MAGIC;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_flags |= SB_NOSEC;
	sb->s_op = &weft_super_ops;
	sb->s_xattr = weft_xattr_handlers;
	sb->s_export_op = &weft_export_ops;
	set_default_d_op(sb, &weft_dentry_ops);
	return super_setup_bdi(sb);
}

static int weft_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct weft_sb *wsb = sb->s_fs_info;
	struct inode *root;
	int ret;

	wsb->sb = sb;
	ret = weft_set_super(sb);
	if (ret)
		return ret;
	sb->s_bdi->ra_pages = WEFT_READAHEAD / PAGE_SIZE;
	sb->s_bdi->io_pages = WEFT_READAHEAD / PAGE_SIZE;
	if (wsb->opts->connect.checksum)
		sb->s_iflags |= SB_I_STABLE_WRITES;

	ret = weft_fs_connect(&wsb->opts->connect, &weft_lease_ops, wsb, &wsb->fs);
	kfree_sensitive(wsb->opts->secret);
	wsb->opts->secret = NULL;
	wsb->opts->connect.secret = NULL;
	if (ret)
		return weft_connect_error(fc, wsb->opts, ret);

	ret = weft_lookup_path(sb, wsb->opts->subdir, &root);
	if (ret) {
		errorfc(fc, "directory /%s of the file system: error %d", wsb->opts->subdir, -ret);
		return ret;
	}
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

int weft_get_tree(struct fs_context *fc)
{
	struct weft_sb *wsb = weft_sb_alloc(fc->s_fs_info);
	struct super_block *sb;
	int ret;

	if (!wsb)
		return -ENOMEM;
	fc->s_fs_info = wsb;
	sb = sget_fc(fc, NULL, set_anon_super_fc);
	if (IS_ERR(sb)) {
		fc->s_fs_info = NULL;
		weft_sb_free(wsb);
		return PTR_ERR(sb);
	}
	ret = weft_fill_super(sb, fc);
	if (ret) {
		deactivate_locked_super(sb);
		return ret;
	}
	sb->s_flags |= SB_ACTIVE;
	fc->root = dget(sb->s_root);
	return 0;
}

/* Wait for what nobody waits for. Who kills the umount gives the mount up. */
static void weft_umount_wait(struct weft_sb *wsb)
{
	if (wait_var_event_killable(&wsb->async, !atomic_read(&wsb->async))) {
		weft_fs_abort(wsb->fs);
		wait_var_event(&wsb->async, !atomic_read(&wsb->async));
	}
}

/*
 * Everything is written and told here, where it can be killed: what follows (the VFS's own
 * sync, evicting inodes) cannot, and then finds nothing to wait for.
 */
static void weft_umount_sync(struct weft_sb *wsb)
{
	if (weft_flush_group(wsb, 0))
		weft_fs_abort(wsb->fs);
	sync_filesystem(wsb->sb);
	weft_umount_wait(wsb);
}

/* From here on nobody writes inodes back for a lease, or pins them. */
static void weft_umount_dying(struct weft_sb *wsb)
{
	/* It is held by those only who wait for requests: there is a cluster then. */
	if (down_write_killable(&wsb->flush_lock)) {
		weft_fs_abort(wsb->fs);
		down_write(&wsb->flush_lock);
	}
	WRITE_ONCE(wsb->dying, true);
	up_write(&wsb->flush_lock);
	smp_mb(); /* see weft_inode_pin() */
}

static void weft_kill_sb(struct super_block *sb)
{
	struct weft_sb *wsb = WEFT_SB(sb);

	if (wsb->fs && sb->s_root)
		weft_umount_sync(wsb);
	weft_umount_dying(wsb);
	if (wsb->fs)
		weft_umount_wait(wsb); /* for inodes that were pinned before */
	kill_anon_super(sb);
	if (wsb->fs)
		weft_close_flush(wsb);
	cancel_delayed_work_sync(&wsb->close_work); /* nothing is left that would queue it */
	if (wsb->fs)
		weft_umount_wait(wsb);
	synchronize_rcu(); /* path walks without references look at the lease */
	weft_sb_free(wsb);
}

static struct file_system_type weft_fs_type = {
	.owner = THIS_MODULE,
	.name = "weft",
	.init_fs_context = weft_init_fs_context,
	.parameters = weft_params,
	.kill_sb = weft_kill_sb,
};
MODULE_ALIAS_FS("weft");

static int __init weft_init(void)
{
	int ret;

	ret = weft_inode_cache_init();
	if (ret)
		return ret;
	ret = weft_io_init();
	if (ret)
		goto out_inodes;
	ret = weft_client_init();
	if (ret)
		goto out_io;
	ret = register_filesystem(&weft_fs_type);
	if (ret)
		goto out_client;
	return 0;

out_client:
	weft_client_exit();
out_io:
	weft_io_exit();
out_inodes:
	weft_inode_cache_exit();
	return ret;
}

static void __exit weft_exit(void)
{
	unregister_filesystem(&weft_fs_type);
	weft_client_exit();
	weft_io_exit();
	weft_inode_cache_exit();
}

module_init(weft_init);
module_exit(weft_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("weft distributed parallel file system");
