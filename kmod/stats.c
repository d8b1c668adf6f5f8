// SPDX-License-Identifier: GPL-2.0
/*
 * What a mount tells of itself, in debugfs: weft/<mount>/
 *
 *	stats		one line for each operation that was used, and counters of the mount
 *	outstanding	requests that are not over: what is waited for, where, since when, by whom
 *	servers		peers and links with their states
 *	rails		addresses of the targets: what goes over each, what failed
 *	abort		written to: as umount -f, also for a mount that an umount waits for already
 *	inject_*	faults for tests: disconnect (at each n-th request), delay_ms (of replies),
 *			drop_n (so many replies are lost with their connection)
 *
 * <mount> is the number that tracepoints call fs. All is read under fs->lock, in one go.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "kmod/net.h"
#include "proto/data.h"

static struct dentry *debugfs_root;

/**
 * weft_stats_count() - a request is over
 * @rpc: the request
 *
 * Context: fs->lock is held.
 */
void weft_stats_count(struct weft_rpc *rpc)
{
	struct weft_op_stats *st = &rpc->fs->stats[rpc->opcode];

	st->count++;
	st->errors += rpc->error != 0;
	st->bytes_out += iov_iter_count(&rpc->out);
	st->bytes_in += rpc->in_len;
	st->ns += ktime_to_ns(ktime_sub(ktime_get(), rpc->start));
}

static u32 sessions_open(struct weft_fs *fs)
{
	struct weft_session *s;
	unsigned long group;
	u32 n = 0;

	xa_for_each(&fs->sessions, group, s)
		n += s->state == WEFT_SESSION_OPEN;
	return n;
}

static int stats_show(struct seq_file *m, void *v)
{
	struct weft_fs *fs = m->private;
	u32 op;

	spin_lock(&fs->lock);
	for (op = 0; op < WEFT_OP_LIMIT; op++) {
		const struct weft_op_stats *st = &fs->stats[op];

		if (!st->count)
			continue;
		seq_printf(m, "op %s count %llu errors %llu bytes_out %llu bytes_in %llu ns %llu\n",
			   weft_op_info(op)->name, st->count, st->errors, st->bytes_out,
			   st->bytes_in, st->ns);
	}
	seq_printf(m, "reconnects %llu\npauses %llu\nreplays %llu\nsessions %u\nmap_epoch %llu\n",
		   fs->reconnects, fs->pauses, fs->replays, sessions_open(fs), weft_map_epoch(fs));
	seq_printf(m, "fallbacks %llu\nfallen_back %u\n", fs->fallbacks, fs->fallen);
	seq_printf(m, "outstanding %u\nclient_id %llu\nfsid %pUb\n", fs->live, fs->client_id,
		   fs->fsid);
	spin_unlock(&fs->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static const char *const place_names[] = {
	[WEFT_RPC_IDLE] = "idle",	  [WEFT_RPC_PARKED] = "map",
	[WEFT_RPC_DELAYED] = "busy",	  [WEFT_RPC_GATED] = "session",
	[WEFT_RPC_SLOTTED] = "slot",	  [WEFT_RPC_QUEUED] = "connection",
	[WEFT_RPC_SENT] = "reply",	  [WEFT_RPC_DONE] = "done",
};

/* The inode that a request is about; requests to data servers say it in their body. */
static u64 about_ino(const struct weft_rpc *rpc)
{
	const struct weft_obj_req *obj = rpc->body;

	return rpc->op->flags & WEFT_OC_OSS ? le64_to_cpu(obj->ino) : rpc->ino;
}

/* Columns: operation, inode, group, target, what it waits for, age, process, replays. */
static int outstanding_show(struct seq_file *m, void *v)
{
	struct weft_fs *fs = m->private;
	struct weft_rpc *rpc;
	u32 target;

	spin_lock(&fs->lock);
	list_for_each_entry(rpc, &fs->all, all_node) {
		target = rpc->link ? rpc->link->peer->target : rpc->peer ? rpc->peer->target : 0;
		seq_printf(m, "%s ino %llx group %u target %u waits %s ms %lld pid %d replays %u%s\n",
			   rpc->op->name, about_ino(rpc), rpc->group, target,
			   place_names[rpc->place], ktime_ms_delta(ktime_get(), rpc->start),
			   rpc->pid, rpc->replays, rpc->detached ? " killed" : "");
	}
	spin_unlock(&fs->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(outstanding);

static void show_peer(struct seq_file *m, const struct weft_peer *peer)
{
	static const char *const states[] = { "down", "connecting", "ready", "broken" };
	const char *kind = peer->kind == WEFT_MDT ? "mdt" : peer->kind == WEFT_OST ? "ost" : "mgmt";
	unsigned int i;

	if (!peer->wanted)
		return;
	for (i = 0; i < peer->nlinks; i++) {
		const struct weft_link *link = &peer->links[i];
		const struct weft_addr *addr = weft_rail_addr(link->rail);

		if (!addr)
			continue;
		seq_printf(m, "target %u %s link %u via %s addr %pISpc %s outstanding %u window %u error %d\n",
			   peer->target, kind, i, addr->ops->name, &addr->addr,
			   states[link->state], link->nsent, link->window, link->error);
	}
}

static int servers_show(struct seq_file *m, void *v)
{
	struct weft_fs *fs = m->private;
	struct weft_session *s;
	struct weft_peer *peer;
	unsigned long id;

	spin_lock(&fs->lock);
	show_peer(m, fs->mgmt);
	xa_for_each(&fs->peers, id, peer)
		show_peer(m, peer);
	xa_for_each(&fs->sessions, id, s)
		if (s->wanted)
			seq_printf(m, "session group %u target %u %s lease %u seq %llu slots %u\n",
				   s->group, s->target,
				   s->state == WEFT_SESSION_OPEN ? "open" : "closed", s->lease,
				   s->lease_seq, s->slots.count);
	spin_unlock(&fs->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(servers);

static void show_rail(struct seq_file *m, const struct weft_rail *rail)
{
	const struct weft_addr *addr = weft_rail_addr(rail);
	const struct weft_peer *peer = rail->peer;
	u64 under_way = 0;
	unsigned int i;

	if (!addr)
		return;
	for (i = 0; i < peer->conns; i++)
		under_way += rail->first[i].bytes;
	seq_printf(m, "target %u %s %pISpc %s up %u under_way %llu requests %llu bytes %llu lost %llu failures %u error %d\n",
		   peer->target, addr->ops->name, &addr->addr,
		   weft_rail_wanted(rail) ? "used" : "spare", rail->up, under_way, rail->requests,
		   rail->bytes, rail->lost, rail->failures, rail->error);
}

static int rails_show(struct seq_file *m, void *v)
{
	struct weft_fs *fs = m->private;
	struct weft_peer *peer;
	unsigned long id;
	unsigned int i;

	spin_lock(&fs->lock);
	xa_for_each(&fs->peers, id, peer)
		for (i = 0; i < peer->nrails; i++)
			show_rail(m, &peer->rails[i]);
	spin_unlock(&fs->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(rails);

static int abort_set(void *data, u64 val)
{
	weft_fs_abort(data);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(abort_fops, NULL, abort_set, "%llu\n");

/**
 * weft_debugfs_add() - make the folder of a mount
 * @fs: the cluster
 *
 * Failing does no harm: there is nothing to be seen then.
 */
void weft_debugfs_add(struct weft_fs *fs)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", fs->id);
	fs->debugfs = debugfs_create_dir(name, debugfs_root);
	debugfs_create_file("stats", 0444, fs->debugfs, fs, &stats_fops);
	debugfs_create_file("outstanding", 0444, fs->debugfs, fs, &outstanding_fops);
	debugfs_create_file("servers", 0444, fs->debugfs, fs, &servers_fops);
	debugfs_create_file("rails", 0444, fs->debugfs, fs, &rails_fops);
	debugfs_create_file("abort", 0200, fs->debugfs, fs, &abort_fops);
	debugfs_create_u32("inject_disconnect", 0600, fs->debugfs, &fs->inject.disconnect);
	debugfs_create_u32("inject_delay_ms", 0600, fs->debugfs, &fs->inject.delay_ms);
	debugfs_create_atomic_t("inject_drop_n", 0600, fs->debugfs, &fs->inject.drop_n);
}

void weft_debugfs_remove(struct weft_fs *fs)
{
	debugfs_remove_recursive(fs->debugfs);
	fs->debugfs = NULL;
}

void weft_debugfs_init(void)
{
	debugfs_root = debugfs_create_dir("weft", NULL);
}

void weft_debugfs_exit(void)
{
	debugfs_remove_recursive(debugfs_root);
}
