// SPDX-License-Identifier: Apache-2.0
/*
 * Any frames from a peer: private data, credits, frames that become messages, segments. The first
 * byte chooses the size of receives, the second what has been sent; then come frames, each with two
 * bytes of length before it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/rdma_wire.h"
#include "proto/ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weft_pool *pool;

static void expect(bool yes)
{
	if (!yes)
		abort();
}

static ssize_t fz_inline(void *arg, const struct weft_hdr *h)
{
	uint32_t len = le32_to_cpu(h->bulk_len);

	(void)arg;
	if (h->nsegs)
		return 0;
	return len <= 4096 ? (ssize_t)len : -EPROTO;
}

static int fz_place(void *arg, struct weft_msg *m)
{
	unsigned int *tries = arg;

	if (++*tries % 3 == 0)
		return -ENOMEM;
	return weft_sg_alloc(&m->bulk, pool, le32_to_cpu(m->hdr.bulk_len));
}

static int fz_deliver(void *arg, struct weft_msg *m)
{
	unsigned int n = le16_to_cpu(m->hdr.nsegs), nread, i;
	struct rdma_seg segs[WEFT_SEGS_MAX];
	uint64_t reads = 0;

	(void)arg;
	expect(!weft_hdr_check(&m->hdr));
	expect(m->bulk.len == (n ? 0 : le32_to_cpu(m->hdr.bulk_len)));
	if (!rdma_segs_check(&m->hdr, m->text + m->text_len - n * sizeof(struct weft_seg), segs,
			     4096, 4096, &nread)) {
		expect(nread <= n);
		for (i = 0; i < nread; i++)
			reads += segs[i].len;
		expect(!n || reads == le32_to_cpu(m->hdr.bulk_len));
	}
	weft_msg_free(m);
	return 0;
}

static const struct rdma_rx_ops ops = { fz_inline, fz_place, fz_deliver };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rdma_credits c = { .own_depth = 32, .peer_depth = 32 };
	unsigned int tries = 0;
	struct rdma_rx rx = { .ops = &ops, .arg = &tries };
	struct rdma_side side;
	uint32_t payload;
	size_t n, used;
	char *frame;
	int ret = 0;

	if (!pool && weft_pool_create(8 << 20, &pool))
		abort();
	if (!rdma_cm_read(data, size, &side))
		expect(side.recv_size <= WEFT_RDMA_RECV_SIZE_MAX && side.recv_depth >= 8);
	if (size < 2)
		return 0;
	rx.frame_max = 1016 + data[0] * 16;
	c.sent = data[1];
	data += 2;
	size -= 2;
	while (size > 2 && !ret) {
		n = data[0] | data[1] << 8;
		data += 2;
		size -= 2;
		if (n > size)
			n = size;
		frame = malloc(n ? n : 1); /* exactly as long: reading behind it is seen */
		memcpy(frame, data, n);
		data += n;
		size -= n;
		if (rdma_frame_got(&c, frame, n, &payload)) {
			free(frame);
			break;
		}
		expect(c.sent - c.seen <= c.sent);
		used = 0;
		do {
			ret = payload ? rdma_rx_frame(&rx, frame + sizeof(struct weft_rdma_frame),
						      payload, &used) : 0;
			expect(used <= payload);
		} while (ret == -ENOMEM);
		expect(!ret || (ret == -EPROTO && rx.why));
		c.posted++;
		c.told = c.posted;
		free(frame);
	}
	rdma_rx_fini(&rx);
	expect(!weft_pool_used(pool));
	return 0;
}
