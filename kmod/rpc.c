// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a request: made, called or submitted, ended.
 *
 * Normal course: weft_rpc_alloc*() builds the message, weft_rpc_call() launches it (route.c finds
 * the way, link.c sends it), the reply ends it, the caller wakes up.
 *
 * A caller that is killed leaves: a request that was never sent just ends. One that was sent stays
 * behind, detached from the caller's memory: of a modifying one the bulk is copied, because it may
 * have to be sent again until its slot's outcome is known; of others a late reply is thrown away.
 *
 * References: the maker's, that of the run (from launch to end), and short ones of transports.
 * fs->lock protects the state, see net.h.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/mempool.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include "kmod/net.h"
#include "kmod/trace.h"

#define MSG_INLINE 512 /* header, body and tail of nearly all requests */
#define REP_INLINE 640 /* body of all replies */
#define POOL_MIN 64    /* requests that can always be made, for writeback */
#define CONTROL_MIN 32 /* and of those that others wait for */

/* A request with the space that it mostly needs, so that making one is one allocation. */
struct rpc_mem {
	struct weft_rpc rpc;
	u8 msg[MSG_INLINE] __aligned(8);
	u8 rep[REP_INLINE] __aligned(8);
};

static struct kmem_cache *rpc_cache;
static mempool_t *rpc_pool, *control_pool;

int weft_rpc_cache_init(void)
{
	rpc_cache = kmem_cache_create("weft_rpc", sizeof(struct rpc_mem), 0, 0, NULL);
	if (!rpc_cache)
		return -ENOMEM;
	rpc_pool = mempool_create_slab_pool(POOL_MIN, rpc_cache);
	control_pool = mempool_create_slab_pool(CONTROL_MIN, rpc_cache);
	if (!rpc_pool || !control_pool) {
		weft_rpc_cache_exit();
		return -ENOMEM;
	}
	return 0;
}

void weft_rpc_cache_exit(void)
{
	mempool_destroy(control_pool);
	mempool_destroy(rpc_pool);
	kmem_cache_destroy(rpc_cache);
}

static void rpc_done_work(struct work_struct *work)
{
	struct weft_rpc *rpc = container_of(work, struct weft_rpc, done_work);
	struct weft_fs *fs = rpc->fs;

	if (rpc->done) /* submitted, or left behind by a caller that was killed */
		rpc->done(rpc);
	weft_rpc_put(rpc);
	spin_lock(&fs->lock);
	if (!--fs->live)
		wake_up_all(&fs->wait);
	spin_unlock(&fs->lock);
}

/* Requests of connections, maps and sessions do not wait for those that wait for these. */
static mempool_t *pool_of(u16 opcode)
{
	switch (opcode) {
	case WEFT_OP_INIT:
	case WEFT_OP_AUTH:
	case WEFT_OP_PING:
	case WEFT_OP_MAP_GET:
	case WEFT_OP_SESSION_OPEN:
	case WEFT_OP_KEEPALIVE:
	case WEFT_OP_RECLAIM:
	case WEFT_OP_LEASE_ACK:
		return control_pool;
	default:
		return rpc_pool;
	}
}

struct weft_rpc *weft_rpc_alloc(struct weft_fs *fs, u16 opcode, size_t tail_max, gfp_t gfp)
{
	const struct weft_op_info *op = weft_op_info(opcode);
	struct rpc_mem *mem;
	struct weft_rpc *rpc;
	size_t len;

	if (WARN_ON_ONCE(!op || op->rep_len > REP_INLINE))
		return NULL;
	len = sizeof(struct weft_hdr) + op->req_len + tail_max;
	if (len > WEFT_MSG_MAX)
		return NULL;
	mem = mempool_alloc(pool_of(opcode), gfp);
	if (!mem)
		return NULL;
	rpc = &mem->rpc;
	memset(rpc, 0, sizeof(*rpc));
	rpc->msg = (struct weft_hdr *)mem->msg;
	rpc->rep = mem->rep;
	if (len > MSG_INLINE) {
		rpc->msg = kmalloc(len, gfp);
		if (!rpc->msg) {
			mempool_free(mem, pool_of(opcode));
			return NULL;
		}
	}
	memset(rpc->msg, 0, sizeof(struct weft_hdr) + op->req_len);
	rpc->body = rpc->msg + 1;
	rpc->msg_max = len;
	rpc->fs = fs;
	rpc->op = op;
	rpc->opcode = opcode;
	refcount_set(&rpc->ref, 1);
	INIT_LIST_HEAD(&rpc->node);
	INIT_LIST_HEAD(&rpc->xmit);
	INIT_LIST_HEAD(&rpc->all_node);
	INIT_DELAYED_WORK(&rpc->retry, weft_route_retry);
	INIT_WORK(&rpc->done_work, rpc_done_work);
	init_completion(&rpc->finished);
	return rpc;
}

/* Capabilities count only in the initial user namespace: ids on the wire are its ids. */
static u32 creds_caps(const struct cred *cred)
{
	static const struct {
		int cap;
		u32 bit;
	} caps[] = {
		{ CAP_DAC_OVERRIDE, WEFT_CAP_DAC_OVERRIDE },
		{ CAP_DAC_READ_SEARCH, WEFT_CAP_DAC_READ_SEARCH },
		{ CAP_FOWNER, WEFT_CAP_FOWNER },
		{ CAP_CHOWN, WEFT_CAP_CHOWN },
		{ CAP_FSETID, WEFT_CAP_FSETID },
		{ CAP_MKNOD, WEFT_CAP_MKNOD },
		{ CAP_SYS_ADMIN, WEFT_CAP_SYS_ADMIN },
	};
	u32 bits = 0;
	size_t i;

	if (cred->user_ns != &init_user_ns)
		return 0;
	for (i = 0; i < ARRAY_SIZE(caps); i++)
		if (cap_raised(cred->cap_effective, caps[i].cap))
			bits |= caps[i].bit;
	return bits;
}

/* Fills in who asks. Return: 0 or -EMSGSIZE; there is room for all groups by construction. */
static int set_creds(struct weft_rpc *rpc, const struct cred *cred)
{
	struct weft_ns_req *ns = rpc->body;
	const struct group_info *groups;
	int i, ret = 0;

	if (!cred) {
		ns->creds.caps = cpu_to_le32(WEFT_CAP_ALL);
		return 0;
	}
	groups = cred->group_info;
	ns->creds.uid = cpu_to_le32(from_kuid(&init_user_ns, cred->fsuid));
	ns->creds.gid = cpu_to_le32(from_kgid(&init_user_ns, cred->fsgid));
	ns->creds.caps = cpu_to_le32(creds_caps(cred));
	ns->creds.ngroups = cpu_to_le32(groups->ngroups);
	for (i = 0; i < groups->ngroups && !ret; i++) {
		__le32 gid = cpu_to_le32(from_kgid(&init_user_ns, groups->gid[i]));

		ret = weft_rpc_add_tail(rpc, &gid, sizeof(gid));
	}
	return ret;
}

struct weft_rpc *weft_rpc_alloc_ns(struct weft_fs *fs, u16 opcode, const struct cred *cred,
				   u64 ino, const struct qstr *name, const struct qstr *name2,
				   gfp_t gfp)
{
	size_t len2_max = opcode == WEFT_OP_CREATE ? WEFT_SYMLINK_MAX : WEFT_NAME_MAX;
	size_t ngroups = cred ? cred->group_info->ngroups : 0;
	size_t len = name ? name->len : 0, len2 = name2 ? name2->len : 0;
	struct weft_ns_req *ns;
	struct weft_rpc *rpc;
	int ret;

	if (len > WEFT_NAME_MAX || len2 > len2_max)
		return ERR_PTR(-ENAMETOOLONG);
	if (ngroups > WEFT_GROUPS_MAX)
		return ERR_PTR(-E2BIG);
	rpc = weft_rpc_alloc(fs, opcode, ngroups * sizeof(__le32) + len + len2, gfp);
	if (!rpc)
		return ERR_PTR(-ENOMEM);
	weft_rpc_to_ino(rpc, ino);
	ns = rpc->body;
	ns->ino = cpu_to_le64(ino);
	ns->name_len = cpu_to_le16(len);
	ns->name2_len = cpu_to_le16(len2);
	ret = set_creds(rpc, cred);
	if (!ret && len)
		ret = weft_rpc_add_tail(rpc, name->name, len);
	if (!ret && len2)
		ret = weft_rpc_add_tail(rpc, name2->name, len2);
	if (ret) {
		weft_rpc_put(rpc);
		return ERR_PTR(ret);
	}
	return rpc;
}

int weft_rpc_add_tail(struct weft_rpc *rpc, const void *data, size_t len)
{
	size_t at = sizeof(struct weft_hdr) + rpc->op->req_len + rpc->tail_len;

	if (len > rpc->msg_max - at)
		return -EMSGSIZE;
	memcpy((u8 *)rpc->msg + at, data, len);
	rpc->tail_len += len;
	return 0;
}

/**
 * weft_rpc_want_tail() - make room for a tail of the reply
 * @rpc: the request, not launched yet
 * @max: longest tail that is kept
 * @gfp: how to allocate
 *
 * Return: 0 or -ENOMEM.
 */
int weft_rpc_want_tail(struct weft_rpc *rpc, size_t max, gfp_t gfp)
{
	void *rep = kmalloc(rpc->op->rep_len + max, gfp);

	if (!rep)
		return -ENOMEM;
	rpc->rep = rep;
	rpc->rep_tail_max = max;
	return 0;
}

void weft_rpc_get(struct weft_rpc *rpc)
{
	refcount_inc(&rpc->ref);
}
EXPORT_SYMBOL_GPL(weft_rpc_get);

void weft_rpc_put(struct weft_rpc *rpc)
{
	struct rpc_mem *mem;

	if (IS_ERR_OR_NULL(rpc) || !refcount_dec_and_test(&rpc->ref))
		return;
	mem = container_of(rpc, struct rpc_mem, rpc);
	if ((u8 *)rpc->msg != mem->msg)
		kfree(rpc->msg);
	if (rpc->rep != mem->rep)
		kfree(rpc->rep);
	kvfree(rpc->bulk_copy);
	mempool_free(mem, pool_of(rpc->opcode));
}
EXPORT_SYMBOL_GPL(weft_rpc_put);

void weft_rpc_to_ino(struct weft_rpc *rpc, u64 ino)
{
	rpc->route = WEFT_ROUTE_INO;
	rpc->ino = ino;
}

void weft_rpc_to_group(struct weft_rpc *rpc, u32 group)
{
	rpc->route = WEFT_ROUTE_GROUP;
	rpc->group = group;
}

void weft_rpc_to_mgmt(struct weft_rpc *rpc)
{
	rpc->route = WEFT_ROUTE_MGMT;
}

/* OPEN modifies only when it may create or cut. */
static bool rpc_modifies(const struct weft_rpc *rpc)
{
	const struct weft_open_req *req = rpc->body;

	if (rpc->opcode == WEFT_OP_OPEN)
		return req->flags & cpu_to_le32(WEFT_OPEN_CREATE | WEFT_OPEN_TRUNC);
	return rpc->op->flags & WEFT_OF_SLOT;
}

/* Enters the books; the reference of the run is dropped by weft_rpc_end(). fs->lock is held. */
static void rpc_begin(struct weft_rpc *rpc)
{
	struct weft_fs *fs = rpc->fs;

	weft_rpc_get(rpc);
	list_add_tail(&rpc->all_node, &fs->all);
	fs->live++;
}

static void rpc_prepare(struct weft_rpc *rpc)
{
	rpc->id = atomic64_inc_return(&rpc->fs->next_id);
	rpc->pid = current->pid;
	rpc->start = ktime_get();
	if (rpc_modifies(rpc))
		rpc->flags |= WEFT_RPC_F_SLOT;
	if (rpc->fs->checksum && iov_iter_count(&rpc->out))
		rpc->out_crc = weft_crc32c_iter(&rpc->out, iov_iter_count(&rpc->out));
}

static void rpc_launch(struct weft_rpc *rpc)
{
	struct weft_fs *fs = rpc->fs;
	struct weft_peer *peer;

	rpc_prepare(rpc);
	spin_lock(&fs->lock);
	rpc_begin(rpc);
	if (iov_iter_count(&rpc->out) > WEFT_BULK_MAX || iov_iter_count(&rpc->in) > WEFT_BULK_MAX)
		weft_rpc_end(rpc, -EMSGSIZE);
	else
		weft_route(rpc);
	peer = rpc->place == WEFT_RPC_QUEUED ? rpc->peer : NULL;
	spin_unlock(&fs->lock);
	if (peer)
		weft_peer_kick(peer);
}

/**
 * weft_rpc_submit_on() - send a request on this very connection, past all queues
 * @rpc: the request, WEFT_ROUTE_LINK; without bulk
 * @link: the connection, which has a transport
 */
void weft_rpc_submit_on(struct weft_rpc *rpc, struct weft_link *link)
{
	struct weft_fs *fs = rpc->fs;
	struct weft_xprt *x;

	rpc_prepare(rpc);
	rpc->route = WEFT_ROUTE_LINK;
	rpc->flags |= WEFT_RPC_F_ONCE;
	spin_lock(&fs->lock);
	rpc_begin(rpc);
	x = link->xprt;
	if (fs->aborted || !x || link->error) { /* nobody would notice that it gets no reply */
		weft_rpc_end(rpc, fs->aborted ?: link->error ?: -ENOTCONN);
		spin_unlock(&fs->lock);
		return;
	}
	weft_rpc_fill(rpc, link);
	weft_xprt_get(x);
	weft_rpc_get(rpc);
	spin_unlock(&fs->lock);
	x->ops->send(x, rpc);
	weft_rpc_put(rpc);
	weft_xprt_put(x);
}

/**
 * weft_rpc_fill() - write the header and put the request on a link
 * @rpc: the request, in no list
 * @link: the link that will send it; no transport reads the message at this time
 *
 * Context: fs->lock is held.
 */
void weft_rpc_fill(struct weft_rpc *rpc, struct weft_link *link)
{
	size_t bulk = iov_iter_count(&rpc->out);
	struct weft_hdr *h = rpc->msg;
	u16 flags = 0;

	memset(h, 0, sizeof(*h));
	if (rpc->slots) {
		flags |= WEFT_MF_SLOT;
		h->slot = cpu_to_le32(rpc->slot);
		h->slot_seq = cpu_to_le32(rpc->slot_seq);
	}
	if (rpc->replays)
		flags |= WEFT_MF_REPLAY;
	if (rpc->fs->checksum && (link->features & WEFT_FEAT_BULK_CRC) &&
	    (rpc->op->flags & (WEFT_OF_BULK_IN | WEFT_OF_BULK_OUT))) {
		flags |= WEFT_MF_BULK_CRC;
		h->bulk_crc = cpu_to_le32(rpc->out_crc);
	}
	h->len = cpu_to_le32(sizeof(*h) + rpc->op->req_len + rpc->tail_len);
	h->version = cpu_to_le16(WEFT_WIRE_VERSION);
	h->flags = cpu_to_le16(flags);
	h->magic = cpu_to_le32(WEFT_MAGIC);
	h->opcode = cpu_to_le16(rpc->opcode);
	h->body_len = cpu_to_le16(rpc->op->req_len);
	h->request_id = cpu_to_le64(rpc->id);
	h->session = cpu_to_le64(rpc->fs->client_id);
	h->epoch = cpu_to_le64(rpc->epoch);
	h->group = cpu_to_le32(rpc->group);
	h->bulk_len = cpu_to_le32(bulk);
	if (!rpc->detached)
		h->bulk_max = cpu_to_le32(iov_iter_count(&rpc->in));

	rpc->place = WEFT_RPC_SENT;
	rpc->sent_all = false;
	rpc->forgotten = false;
	rpc->link = link;
	rpc->generation = rpc->session ? rpc->session->generation : 0;
	if (!rpc->sent_at)
		rpc->sent_at = ktime_get_boottime_ns();
	list_add_tail(&rpc->node, &link->sent);
	link->nsent++;
	link->bytes += bulk + iov_iter_count(&rpc->in);
	trace_weft_rpc_send(rpc);
}

/**
 * weft_rpc_end() - a request is over
 * @rpc: the request, in no list but fs->all; no transport uses its memory any more
 * @error: the result
 *
 * Context: fs->lock is held.
 */
void weft_rpc_end(struct weft_rpc *rpc, int error)
{
	struct weft_fs *fs = rpc->fs;

	rpc->place = WEFT_RPC_DONE;
	rpc->error = error;
	list_del_init(&rpc->all_node);
	weft_slots_release(rpc);
	weft_stats_count(rpc);
	trace_weft_rpc_end(rpc);
	complete_all(&rpc->finished);
	/* The work calls done(); it also frees what must not be freed under a spinlock. */
	if ((rpc->flags & WEFT_RPC_F_ASYNC) || rpc->detached) {
		queue_work(weft_io_wq, &rpc->done_work);
		return;
	}
	if (!--fs->live)
		wake_up_all(&fs->wait);
	weft_rpc_put(rpc);
}

/* A copy of the bulk that a request may have to send after its caller has left. */
static void *rpc_copy_out(struct weft_rpc *rpc)
{
	struct iov_iter iter = rpc->out;
	size_t len = iov_iter_count(&iter);
	void *copy = kvmalloc(len, GFP_NOFS | __GFP_NOWARN);

	if (copy && copy_from_iter(copy, len, &iter) != len) {
		kvfree(copy);
		copy = NULL;
	}
	return copy;
}

/*
 * The caller was killed. Return: false if the request cannot be left now (no memory for a copy of
 * its bulk): the caller has to wait on.
 */
static bool rpc_leave(struct weft_rpc *rpc)
{
	struct weft_fs *fs = rpc->fs;
	void *copy = NULL;
	bool sent;

	if (iov_iter_count(&rpc->out)) {
		copy = rpc_copy_out(rpc);
		if (!copy)
			return false;
	}
	spin_lock(&fs->lock);
	sent = rpc->place == WEFT_RPC_SENT || (rpc->ambiguous && (rpc->flags & WEFT_RPC_F_SLOT));
	if (rpc->place == WEFT_RPC_DONE || !sent) {
		if (rpc->place != WEFT_RPC_DONE) {
			weft_route_leave(rpc);
			weft_rpc_end(rpc, -EINTR);
		}
		spin_unlock(&fs->lock);
		kvfree(copy);
		return true;
	}
	rpc->detached = true;
	rpc->bulk_copy = copy;
	spin_unlock(&fs->lock);
	weft_link_detach(rpc, copy);
	return true;
}

int weft_rpc_call(struct weft_rpc *rpc)
{
	might_sleep();
	rpc_launch(rpc);
	if (!wait_for_completion_killable(&rpc->finished))
		return rpc->error;
	while (!rpc_leave(rpc))
		if (wait_for_completion_timeout(&rpc->finished, HZ))
			return rpc->error;
	return rpc->detached ? -EINTR : rpc->error;
}

void weft_rpc_submit(struct weft_rpc *rpc)
{
	rpc->flags |= WEFT_RPC_F_ASYNC;
	rpc_launch(rpc);
}

int weft_rpc_wait(struct weft_rpc *rpc)
{
	/* A server may be away for hours: no reason to call the waiting worker hung. */
	while (!wait_for_completion_timeout(&rpc->finished, 60 * HZ))
		;
	return rpc->error;
}

const void *weft_rpc_reply(const struct weft_rpc *rpc)
{
	if (rpc->detached || rpc->rep_len < rpc->op->rep_len || !rpc->op->rep_len)
		return NULL;
	return rpc->rep;
}

const void *weft_rpc_reply_tail(const struct weft_rpc *rpc, size_t *len)
{
	*len = rpc->detached ? 0 : rpc->rep_tail_len;
	return rpc->rep + rpc->op->rep_len;
}
