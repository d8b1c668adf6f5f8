// SPDX-License-Identifier: Apache-2.0
/*
 * Devices of RDMA and memory registered with them; the counters.
 *
 * Happy path: a device is looked at once, when its first connection is made, and gets one
 * protection domain for the whole process. A pool's slab is registered with it when its first
 * buffer is moved by it, for local access only: no key of a slab ever gives a peer anything. The
 * registration stays until the pool unmaps the slab.
 *
 * Failures: a device that is too small for us is refused. Registration fails mostly because of
 * RLIMIT_MEMLOCK: the line in the log says so, and the connection that wanted it ends.
 *
 * One lock protects the table of devices and the making of registrations; a registration that is
 * there is read without it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/log.h"
#include "common/rpc/rdma.h"

#define DEVS_MAX 16

struct slab_regs {
	struct ibv_mr *mr[DEVS_MAX];
};

struct weft_rdma_stats weft_rdma_stats;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rdma_dev devs[DEVS_MAX];
static unsigned int ndevs;

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static int dev_open(struct rdma_dev *d, struct ibv_context *verbs, unsigned int index)
{
	struct ibv_device_attr attr;
	int ret = -ibv_query_device(verbs, &attr);

	if (ret)
		return ret;
	*d = (struct rdma_dev){
		.verbs = verbs,
		.index = index,
		.max_sge = least(attr.max_sge, RDMA_SGE_MAX),
		.max_sge_rd = least(attr.max_sge_rd ? attr.max_sge_rd : 1, RDMA_SGE_MAX),
		.reads_out = least(attr.max_qp_init_rd_atom, RDMA_READS_MAX),
		.reads_in = least(attr.max_qp_rd_atom, RDMA_READS_MAX),
		.can_inv = attr.device_cap_flags & IBV_DEVICE_MEM_MGT_EXTENSIONS,
	};
	if (attr.max_qp_wr < (int)RDMA_SQ_DEPTH || !d->max_sge || !d->reads_out ||
	    attr.max_cqe < (int)(RDMA_SQ_DEPTH + RDMA_RECV_DEPTH)) {
		weft_err("RDMA device refused: its queues are too small",
			 "device=%s max_qp_wr=%d max_cqe=%d", ibv_get_device_name(verbs->device),
			 attr.max_qp_wr, attr.max_cqe);
		return -EOPNOTSUPP;
	}
	d->pd = ibv_alloc_pd(verbs);
	if (!d->pd)
		return -errno;
	weft_info("RDMA device", "device=%s max_sge=%u reads_out=%u reads_in=%u inv=%d",
		  ibv_get_device_name(verbs->device), d->max_sge, d->reads_out, d->reads_in,
		  d->can_inv);
	return 0;
}

int rdma_dev_find(struct ibv_context *verbs, struct rdma_dev **out)
{
	unsigned int i;
	int ret = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i < ndevs && devs[i].verbs != verbs; i++)
		;
	if (i == DEVS_MAX)
		ret = -ENOSPC;
	else if (i == ndevs)
		ret = dev_open(&devs[i], verbs, i);
	if (!ret && i == ndevs)
		ndevs++;
	pthread_mutex_unlock(&lock);
	if (!ret)
		*out = &devs[i];
	return ret;
}

struct ibv_mr *rdma_reg(struct rdma_dev *dev, void *mem, size_t len, int access, const char *what)
{
	struct ibv_mr *mr = ibv_reg_mr(dev->pd, mem, len, access);
	struct rlimit rl = { 0 };
	int err = errno;

	if (mr) {
		WEFT_RDMA_COUNT(mrs, 1);
		WEFT_RDMA_COUNT(mr_bytes, len);
		return mr;
	}
	getrlimit(RLIMIT_MEMLOCK, &rl);
	weft_warn_peer("cannot register memory with the RDMA device",
		       "what=%s bytes=%zu err=%d RLIMIT_MEMLOCK=%llu hint=\"%s\"", what, len, err,
		       (unsigned long long)rl.rlim_cur,
		       err == ENOMEM || err == EPERM
			       ? "raise LimitMEMLOCK= of the service or 'ulimit -l'" : "");
	errno = err;
	return NULL;
}

void rdma_unreg(struct ibv_mr *mr)
{
	size_t len = mr->length;
	int ret = ibv_dereg_mr(mr);

	if (ret) {
		weft_err("cannot give memory back from the RDMA device", "err=%d", ret);
		return;
	}
	WEFT_RDMA_COUNT(mrs, -1);
	WEFT_RDMA_COUNT(mr_bytes, -len);
}

static void slab_unreg(struct weft_slab *slab)
{
	struct slab_regs *regs = slab->priv;
	unsigned int i;

	for (i = 0; i < DEVS_MAX; i++) {
		if (!regs->mr[i])
			continue;
		rdma_unreg(regs->mr[i]);
		WEFT_RDMA_COUNT(slabs, -1);
	}
	free(regs);
	slab->priv = NULL;
}

static struct ibv_mr *slab_reg(struct rdma_dev *dev, struct weft_slab *slab)
{
	struct slab_regs *regs = slab->priv;
	struct ibv_mr *mr;

	if (!regs) {
		regs = calloc(1, sizeof(*regs));
		if (!regs)
			return NULL;
		slab->priv_free = slab_unreg;
		__atomic_store_n(&slab->priv, regs, __ATOMIC_RELEASE);
	}
	mr = regs->mr[dev->index];
	if (mr)
		return mr;
	/*
	 * rdma_rxe (6.1) keeps pages in tables of 256 and looks behind the last table when a copy
	 * ends with its last page. The page behind the slab makes a table that is never full.
	 */
	mr = rdma_reg(dev, slab->base, slab->len + WEFT_SLAB_TAIL, IBV_ACCESS_LOCAL_WRITE, "slab");
	if (!mr)
		return NULL;
	WEFT_RDMA_COUNT(slabs, 1);
	__atomic_store_n(&regs->mr[dev->index], mr, __ATOMIC_RELEASE);
	return mr;
}

int rdma_slab_lkey(struct rdma_dev *dev, struct weft_slab *slab, uint32_t *lkey)
{
	struct slab_regs *regs = __atomic_load_n(&slab->priv, __ATOMIC_ACQUIRE);
	struct ibv_mr *mr = NULL;

	if (regs)
		mr = __atomic_load_n(&regs->mr[dev->index], __ATOMIC_ACQUIRE);
	if (!mr) {
		pthread_mutex_lock(&lock);
		mr = slab_reg(dev, slab);
		pthread_mutex_unlock(&lock);
	}
	if (!mr)
		return -ENOMEM;
	*lkey = mr->lkey;
	return 0;
}

size_t weft_rdma_stats_json(char *buf, size_t len)
{
	static const struct {
		const char *name;
		const uint64_t *value;
	} rows[] = {
#define ROW(name) { #name, &weft_rdma_stats.name },
		WEFT_RDMA_STATS(ROW)
#undef ROW
	};
	size_t n = 0, i;

	if (!__atomic_load_n(&ndevs, __ATOMIC_RELAXED))
		return 0;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		n += snprintf(buf + n, n < len ? len - n : 0, "%s\"%s\":%llu",
			      i ? "," : ",\"rdma\":{", rows[i].name,
			      (unsigned long long)__atomic_load_n(rows[i].value, __ATOMIC_RELAXED));
	n += snprintf(buf + n, n < len ? len - n : 0, "}");
	return n;
}
