// SPDX-License-Identifier: GPL-2.0
/*
 * Open files and their registration at the metadata server.
 *
 * The server keeps an unlinked file as long as a session has it registered as open. With the SOLE
 * lease nothing is registered: this client alone can remove the last name, and then says so
 * (weft_victim_begin() answers with the registration to ask for). Without the lease each open(2)
 * sends OPEN. A registration is taken back by CLOSE, sent in batches some time after the last
 * close, or together with the last data (weft_close_take()).
 *
 * A number is used for one registration only, so that a late CLOSE hits no newer one.
 *
 * Protection: open_count, open_id, registered and open_link of all inodes and the list of closes
 * by wsb->open_lock. While WEFT_I_UNLINKING is set no file of the inode becomes open without
 * knowing how the removal of its last name ended.
 */
#include "internal.h"

#define WEFT_CLOSE_DELAY (HZ / 10)
#define WEFT_CLOSE_BATCH 256
#define WEFT_RECLAIM_SPARE 64

/* struct weft_close - a registration to take back */
struct weft_close {
	struct list_head link;
	u32 group;
	u64 ino;
	u64 open_id;
};

u64 weft_open_id_new(struct weft_sb *wsb)
{
	return atomic64_inc_return(&wsb->next_open_id);
}

/**
 * weft_open_get() - count one more open file
 * @inode: a regular file
 *
 * Return: 0, -ESTALE if its last name has just been removed, -EINTR.
 */
int weft_open_get(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);

	for (;;) {
		spin_lock(&wsb->open_lock);
		if (!test_bit(WEFT_I_UNLINKING, &wi->flags))
			break;
		spin_unlock(&wsb->open_lock);
		if (wait_on_bit(&wi->flags, WEFT_I_UNLINKING, TASK_KILLABLE))
			return -EINTR;
	}
	if (!wi->open_count && !inode->i_nlink && !(inode_state_read_once(inode) & I_LINKABLE)) {
		spin_unlock(&wsb->open_lock);
		return -ESTALE;
	}
	if (!wi->open_count++)
		list_add_tail(&wi->open_link, &wsb->open_inodes);
	spin_unlock(&wsb->open_lock);
	return 0;
}

/* weft_open_put() - count one open file less; the last one takes the registration back */
void weft_open_put(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	u64 close_id = 0;

	spin_lock(&wsb->open_lock);
	if (!--wi->open_count) {
		list_del_init(&wi->open_link);
		/* An unlinked one is taken back when its data has gone, by weft_evict_inode(). */
		if (inode->i_nlink) {
			close_id = wi->registered ? wi->open_id : 0;
			wi->open_id = 0;
			wi->registered = false;
		}
	}
	spin_unlock(&wsb->open_lock);
	if (close_id)
		weft_close_queue(wsb, inode->i_ino, close_id);
}

/* The registration number of an inode, made up now if it has none. */
static u64 weft_open_id(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	u64 id;

	spin_lock(&wsb->open_lock);
	if (!wi->open_id)
		wi->open_id = weft_open_id_new(wsb);
	id = wi->open_id;
	spin_unlock(&wsb->open_lock);
	return id;
}

/**
 * weft_open_registered() - the server has registered an open file
 * @inode: the file, counted by weft_open_get()
 * @open_id: what it was registered as
 */
void weft_open_registered(struct inode *inode, u64 open_id)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	bool second;

	spin_lock(&wsb->open_lock);
	second = wi->open_id && wi->open_id != open_id && wi->registered;
	if (!second) {
		wi->open_id = open_id;
		wi->registered = true;
	}
	spin_unlock(&wsb->open_lock);
	if (second) /* the file has another registration already */
		weft_close_queue(wsb, inode->i_ino, open_id);
}

/**
 * weft_victim_begin() - the last name of a file is about to be removed
 * @inode: the file
 *
 * Return: the registration to ask for (WEFT_NS_VICTIM_OPEN) because it is open here, or 0: then
 * opens wait until weft_victim_end().
 */
u64 weft_victim_begin(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	u64 id = 0;

	if (!S_ISREG(inode->i_mode))
		return 0;
	spin_lock(&wsb->open_lock);
	if (wi->open_count) {
		if (!wi->open_id)
			wi->open_id = weft_open_id_new(wsb);
		id = wi->open_id;
	} else {
		set_bit(WEFT_I_UNLINKING, &wi->flags);
	}
	spin_unlock(&wsb->open_lock);
	return id;
}

/**
 * weft_victim_end() - how the removal ended
 * @inode: the file
 * @open_id: what weft_victim_begin() answered
 * @removed: the server has carried it out (and registered @open_id)
 */
void weft_victim_end(struct inode *inode, u64 open_id, bool removed)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	bool closed = false;

	if (!S_ISREG(inode->i_mode))
		return;
	if (!open_id) {
		clear_and_wake_up_bit(WEFT_I_UNLINKING, &wi->flags);
		return;
	}
	if (!removed)
		return;
	spin_lock(&wsb->open_lock);
	if (wi->open_id == open_id)
		wi->registered = true;
	else
		closed = true;
	spin_unlock(&wsb->open_lock);
	if (closed)
		weft_close_queue(wsb, inode->i_ino, open_id);
}

/**
 * weft_close_take() - take over a registration that a request is going to close
 * @inode: the file
 *
 * Return: its number; the inode has none any more. 0 if there is none, or another file was opened
 * meanwhile that goes on using it, or the server is just being told of it.
 */
u64 weft_close_take(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_sb *wsb = weft_isb(inode);
	u64 id = 0;

	spin_lock(&wsb->open_lock);
	if (wi->open_count <= 1 && !(wi->open_count && wsb->reclaiming)) {
		id = wi->registered ? wi->open_id : 0;
		wi->open_id = 0;
		wi->registered = false;
	}
	spin_unlock(&wsb->open_lock);
	return id;
}

/* --- CLOSE */

static void weft_close_done(struct weft_rpc *rpc)
{
	/* Whatever became of it: a server that lost the session has lost the registration, too. */
	weft_async_put(rpc->priv);
}

/* One request for all registrations of the first one's group in @list. */
static void weft_close_send(struct weft_sb *wsb, struct list_head *list)
{
	u32 group = list_first_entry(list, struct weft_close, link)->group;
	struct weft_close *c, *next;
	struct weft_open_pair pair;
	struct weft_opens_req *req;
	struct weft_rpc *rpc;
	unsigned int count = 0;
	bool routed = false;

	rpc = weft_rpc_alloc(wsb->fs, WEFT_OP_CLOSE, WEFT_CLOSE_BATCH * sizeof(pair), GFP_NOFS);
	list_for_each_entry_safe(c, next, list, link) {
		if (c->group != group || count == WEFT_CLOSE_BATCH)
			continue;
		pair.ino = cpu_to_le64(c->ino);
		pair.open_id = cpu_to_le64(c->open_id);
		if (rpc && weft_rpc_add_tail(rpc, &pair, sizeof(pair)))
			break;
		if (rpc && !routed)
			weft_rpc_to_ino(rpc, c->ino);
		routed = true;
		count++;
		list_del(&c->link);
		kfree(c);
	}
	if (!rpc)
		return; /* the server takes them back when the session ends */
	req = rpc->body;
	req->count = cpu_to_le32(count);
	rpc->done = weft_close_done;
	rpc->priv = wsb;
	weft_async_get(wsb);
	weft_rpc_submit(rpc);
	weft_rpc_put(rpc);
}

/* weft_close_flush() - send every CLOSE that is waiting */
void weft_close_flush(struct weft_sb *wsb)
{
	LIST_HEAD(list);

	spin_lock(&wsb->open_lock);
	list_splice_init(&wsb->closes, &list);
	wsb->ncloses = 0;
	spin_unlock(&wsb->open_lock);
	while (!list_empty(&list))
		weft_close_send(wsb, &list);
}

void weft_close_work(struct work_struct *work)
{
	struct weft_sb *wsb = container_of(work, struct weft_sb, close_work.work);

	/* weft_reclaim_over() begins again. */
	if (!READ_ONCE(wsb->reclaiming))
		weft_close_flush(wsb);
}

/**
 * weft_close_queue() - have a registration taken back soon
 * @wsb: the mount
 * @ino: the file
 * @open_id: its registration
 */
void weft_close_queue(struct weft_sb *wsb, u64 ino, u64 open_id)
{
	struct weft_close *c = kmalloc(sizeof(*c), GFP_NOFS | __GFP_NOFAIL);
	unsigned int n;

	c->ino = ino;
	c->open_id = open_id;
	c->group = weft_fs_group(wsb->fs, ino);
	spin_lock(&wsb->open_lock);
	list_add_tail(&c->link, &wsb->closes);
	n = ++wsb->ncloses;
	spin_unlock(&wsb->open_lock);
	if (n == 1)
		queue_delayed_work(system_unbound_wq, &wsb->close_work, WEFT_CLOSE_DELAY);
	else if (n == WEFT_CLOSE_BATCH)
		mod_delayed_work(system_unbound_wq, &wsb->close_work, 0);
}

/* --- RECLAIM */

/* Open files of the group. Return: how many there are, the first @room of which are in @pairs. */
static size_t weft_reclaim_collect(struct weft_sb *wsb, u32 group, struct weft_open_pair *pairs,
				   size_t room)
{
	struct weft_inode *wi;
	size_t n = 0;

	spin_lock(&wsb->open_lock);
	list_for_each_entry(wi, &wsb->open_inodes, open_link) {
		if (weft_fs_group(wsb->fs, wi->vfs.i_ino) != group)
			continue;
		if (n++ >= room)
			continue;
		if (!wi->open_id)
			wi->open_id = weft_open_id_new(wsb);
		wi->registered = true;
		pairs[n - 1].ino = cpu_to_le64(wi->vfs.i_ino);
		pairs[n - 1].open_id = cpu_to_le64(wi->open_id);
	}
	spin_unlock(&wsb->open_lock);
	return n;
}

/**
 * weft_reclaim_all() - name all open files of a group
 * @wsb: the mount
 * @group: metadata group
 * @r: the callback's handle
 *
 * Files opened meanwhile register by themselves; a file named twice does no harm. Other groups may
 * be at it at the same time.
 *
 * weft_reclaim_over() follows, whatever this returns. Until then no CLOSE is sent: it could arrive
 * before the file is named, which nobody would take back any more.
 *
 * Return: 0 or what weft_reclaim_open() failed with.
 */
int weft_reclaim_all(struct weft_sb *wsb, u32 group, struct weft_reclaim *r)
{
	struct weft_open_pair *pairs = NULL;
	size_t room = 0, n, i;
	int ret = 0;

	spin_lock(&wsb->open_lock);
	wsb->reclaiming++;
	spin_unlock(&wsb->open_lock);
	while ((n = weft_reclaim_collect(wsb, group, pairs, room)) > room) {
		kvfree(pairs);
		room = n + WEFT_RECLAIM_SPARE;
		pairs = kvmalloc_array(room, sizeof(*pairs), GFP_NOFS);
		if (!pairs)
			return -ENOMEM;
	}
	for (i = 0; !ret && i < n; i++)
		ret = weft_reclaim_open(r, le64_to_cpu(pairs[i].ino),
					le64_to_cpu(pairs[i].open_id));
	kvfree(pairs);
	return ret;
}

/* weft_reclaim_over() - what weft_reclaim_all() has named is known to the server */
void weft_reclaim_over(struct weft_sb *wsb)
{
	bool kick;

	spin_lock(&wsb->open_lock);
	kick = !--wsb->reclaiming && wsb->ncloses;
	spin_unlock(&wsb->open_lock);
	if (kick)
		mod_delayed_work(system_unbound_wq, &wsb->close_work, 0);
}

/* --- open(2) of a file that has a dentry already */

u32 weft_open_flags(unsigned int f_flags)
{
	u32 flags = 0;

	if ((f_flags & O_ACCMODE) != O_WRONLY)
		flags |= WEFT_OPEN_READ;
	if ((f_flags & O_ACCMODE) != O_RDONLY)
		flags |= WEFT_OPEN_WRITE;
	if (f_flags & __FMODE_EXEC)
		flags = (flags & ~WEFT_OPEN_READ) | WEFT_OPEN_EXEC;
	return flags;
}

/* Ask for the bytes of a small file that is going to be read and is not cached. */
static void weft_open_want(struct inode *inode, struct file *file, struct weft_rpc *rpc,
			   struct kvec *data)
{
	struct weft_open_req *req = rpc->body;
	loff_t size = i_size_read(inode);

	if (!(file->f_mode & FMODE_READ) || (file->f_flags & (O_TRUNC | O_DIRECT)) || !size ||
	    size > WEFT_INLINE_DEFAULT || !weft_is_inline(WEFT_I(inode)))
		return;
	if (inode->i_mapping->nrpages && !test_bit(WEFT_I_DATA_STALE, &WEFT_I(inode)->flags))
		return;
	data->iov_base = kvmalloc(WEFT_INLINE_DEFAULT, GFP_KERNEL);
	if (!data->iov_base)
		return; /* read(2) asks */
	data->iov_len = WEFT_INLINE_DEFAULT;
	iov_iter_kvec(&rpc->in, ITER_DEST, data, 1, data->iov_len);
	req->ns.flags |= cpu_to_le32(WEFT_NS_WANT_DATA);
}

static void weft_open_reply(struct inode *inode, struct weft_rpc *rpc, const struct kvec *data,
			    u64 stamp)
{
	const struct weft_entry_rep *rep = weft_rpc_reply(rpc);

	weft_attr_apply(inode, &rep->attr, le64_to_cpu(rep->prev_data), stamp);
	if (rpc->in_len && (rep->attr.layout.flags & WEFT_LAYOUT_INLINE) &&
	    rpc->in_len <= le64_to_cpu(rep->attr.size))
		weft_inline_fill(inode, data->iov_base, rpc->in_len, le64_to_cpu(rep->attr.size),
				 le64_to_cpu(rep->attr.data_version));
}

static int weft_open_send(struct inode *inode, struct file *file)
{
	struct weft_sb *wsb = weft_isb(inode);
	struct kvec data = {};
	struct weft_open_req *req;
	struct weft_rpc *rpc;
	u64 stamp = weft_stamp(wsb, inode->i_ino);
	u64 id = weft_open_id(inode);
	int ret;

	rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_OPEN, file->f_cred, inode->i_ino, NULL, NULL,
				GFP_KERNEL);
	if (IS_ERR(rpc))
		return PTR_ERR(rpc);
	req = rpc->body;
	req->ns.open_id = cpu_to_le64(id);
	/* Who has just made the file may use it whatever its mode says. */
	if (!(file->f_mode & FMODE_CREATED))
		req->flags = cpu_to_le32(weft_open_flags(file->f_flags));
	weft_open_want(inode, file, rpc, &data);
	ret = weft_rpc_call(rpc);
	if (!ret) {
		weft_open_registered(inode, id);
		weft_open_reply(inode, rpc, &data, stamp);
	}
	weft_rpc_put(rpc);
	kvfree(data.iov_base);
	return ret == -ENOENT ? -ESTALE : ret;
}

/**
 * weft_open_known() - open(2) of a file whose attributes have just been asked for
 * @inode: the file
 * @file: the open file
 *
 * The second half of atomic_open(), which has counted the file. It has registered it as well unless
 * it had the lease; when the lease was lost meanwhile nobody else may have done so.
 */
int weft_open_known(struct inode *inode, struct file *file)
{
	int ret = generic_file_open(inode, file);

	if (!ret && !READ_ONCE(WEFT_I(inode)->registered) && !weft_attr_valid(inode))
		ret = weft_open_send(inode, file);
	file->f_mode |= FMODE_CAN_ODIRECT;
	return ret ?: weft_data_revalidate(inode);
}

int weft_open(struct inode *inode, struct file *file)
{
	int ret;

	ret = weft_open_get(inode);
	if (ret)
		return ret == -ESTALE ? -EOPENSTALE : ret; /* the name is looked up again */
	if (!weft_attr_valid(inode))
		ret = weft_open_send(inode, file);
	if (!ret)
		ret = weft_open_known(inode, file);
	if (ret)
		weft_open_put(inode);
	return ret;
}

int weft_release(struct inode *inode, struct file *file)
{
	weft_outgrown_note(inode, file);
	weft_open_put(inode);
	return 0;
}
