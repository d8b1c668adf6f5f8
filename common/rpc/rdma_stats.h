/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the RDMA transport of this process has done and holds.
 *
 * Counted by atomic additions on any thread. After the last connection is closed qps, mrs but
 * those of slabs, and held are 0.
 */
#ifndef WEFT_COMMON_RPC_RDMA_STATS_H
#define WEFT_COMMON_RPC_RDMA_STATS_H

#include <stddef.h>
#include <stdint.h>

/* X(name): counters; of the first ones the present number, of the others the sum */
#define WEFT_RDMA_STATS(X) \
	X(qps)		/* queue pairs now */ \
	X(mrs)		/* registered pieces of memory now, slabs included */ \
	X(mr_bytes)	/* bytes of them */ \
	X(slabs)	/* slabs registered now */ \
	X(accepted)	/* connections accepted */ \
	X(connected)	/* connections made */ \
	X(refused)	/* connections refused */ \
	X(wakes)	/* times that completions woke a loop */ \
	X(frames_in) \
	X(frames_out) \
	X(control_in)	/* of these without a message */ \
	X(control_out) \
	X(reads)	/* RDMA READs posted */ \
	X(read_bytes) \
	X(writes)	/* RDMA WRITEs posted */ \
	X(write_bytes) \
	X(inline_in)	/* bulk bytes that came inline: copied once */ \
	X(inline_out)	/* bulk bytes that went inline */ \
	X(inline_copied) /* of these copied into a frame; others the device gathered */ \
	X(copied)	/* bulk bytes copied although they went by segments */ \
	X(invs)		/* replies that invalidated the first key */ \
	X(wait_buf)	/* requests that waited for pool memory */ \
	X(wait_read)	/* times that READ slots or the send queue were used up */ \
	X(wait_credit)	/* times that a message waited for the peer's credits */ \
	X(wait_slot)	/* times that it waited for a send slot or the send queue */ \
	X(bad_peers)	/* connections ended because the peer broke a rule */ \
	X(broken)	/* connections that broke */

struct weft_rdma_stats {
#define WEFT_RDMA_STAT_FIELD(name) uint64_t name;
	WEFT_RDMA_STATS(WEFT_RDMA_STAT_FIELD)
#undef WEFT_RDMA_STAT_FIELD
};

extern struct weft_rdma_stats weft_rdma_stats;

#define WEFT_RDMA_COUNT(name, n) \
	__atomic_add_fetch(&weft_rdma_stats.name, (uint64_t)(n), __ATOMIC_RELAXED)

/**
 * weft_rdma_stats_json() - the counters as a member of a JSON object: ,"rdma":{"NAME":VALUE,...}
 * @buf: filled in, cut when it is too small
 * @len: its size
 *
 * Return: length of the whole text, as snprintf(); 0 when this process never used RDMA.
 */
size_t weft_rdma_stats_json(char *buf, size_t len);

#endif
