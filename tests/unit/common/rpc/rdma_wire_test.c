// SPDX-License-Identifier: Apache-2.0
/* The arithmetic of proto/rdma.h: every limit from both sides, and counters that wrap. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/rdma_wire.h"
#include "proto/data.h"

static void private_data(void)
{
	struct rdma_side own = { .recv_size = 4608, .recv_depth = 32, .inline_max = 4096,
				 .inv = true }, got = { 0 };
	struct weft_rdma_cm cm;

	rdma_cm_fill(&cm, &own, 0);
	CU_ASSERT_EQUAL(rdma_cm_read(&cm, sizeof(cm), &got), 0);
	CU_ASSERT_EQUAL(memcmp(&own, &got, sizeof(own)), 0);
	CU_ASSERT_EQUAL(rdma_cm_read(&cm, sizeof(cm) - 1, &got), WEFT_S_MALFORMED);
	CU_ASSERT_EQUAL(rdma_cm_read(NULL, 0, &got), WEFT_S_MALFORMED);
	cm.recv_size = cpu_to_le32(WEFT_RDMA_RECV_SIZE_MIN - 1);
	CU_ASSERT_EQUAL(rdma_cm_read(&cm, sizeof(cm), &got), WEFT_S_MALFORMED);
	cm.recv_size = cpu_to_le32(WEFT_RDMA_RECV_SIZE_MAX + 1);
	CU_ASSERT_EQUAL(rdma_cm_read(&cm, sizeof(cm), &got), WEFT_S_MALFORMED);
	cm.recv_size = cpu_to_le32(WEFT_RDMA_RECV_SIZE_MIN);
	cm.recv_depth = cpu_to_le16(WEFT_RDMA_RECV_DEPTH_MIN - 1);
	CU_ASSERT_EQUAL(rdma_cm_read(&cm, sizeof(cm), &got), WEFT_S_MALFORMED);
	rdma_cm_fill(&cm, &own, WEFT_S_BUSY);
	CU_ASSERT_EQUAL(rdma_cm_read(&cm, sizeof(cm), &got), WEFT_S_BUSY);
	cm.version = cpu_to_le16(WEFT_RDMA_VERSION + 1);
	CU_ASSERT_EQUAL(rdma_cm_read(&cm, sizeof(cm), &got), WEFT_S_VERSION);
	cm.magic = 0;
	CU_ASSERT_EQUAL(rdma_cm_read(&cm, sizeof(cm), &got), WEFT_S_MALFORMED);
}

struct frame {
	struct weft_rdma_frame f;
	char data[64];
};

/* Sends from @a to @b. Return: what b says. */
static const char *pass(struct rdma_credits *a, struct rdma_credits *b, uint32_t len)
{
	struct frame fr;
	uint32_t payload = ~0u;
	const char *why;

	rdma_frame_sent(a, &fr.f, len);
	why = rdma_frame_got(b, &fr, sizeof(fr.f) + len, &payload);
	CU_ASSERT(why || payload == len);
	return why;
}

static void credits_from(uint32_t start)
{
	struct rdma_credits a = { .own_depth = 16, .peer_depth = 8, .sent = start, .seen = start,
				  .got = start, .posted = start, .told = start };
	struct rdma_credits b = { .own_depth = 8, .peer_depth = 16, .sent = start, .seen = start,
				  .got = start, .posted = start, .told = start };
	struct frame fr;
	uint32_t payload;
	int i;

	for (i = 0; i < 6; i++) {
		CU_ASSERT(rdma_may_send(&a, false));
		CU_ASSERT_PTR_NULL(pass(&a, &b, 1));
	}
	CU_ASSERT_FALSE(rdma_may_send(&a, false));
	CU_ASSERT(rdma_may_send(&a, true));
	/* A peer that sends all the same: the buffers are there, the right is not. */
	CU_ASSERT_PTR_NOT_NULL(pass(&a, &b, 1));
	a.sent--;
	CU_ASSERT_PTR_NULL(pass(&a, &b, 0));
	CU_ASSERT_PTR_NULL(pass(&a, &b, 0));
	CU_ASSERT_FALSE(rdma_may_send(&a, true));
	CU_ASSERT_PTR_NOT_NULL(pass(&a, &b, 0));
	a.sent--;

	b.posted += 3;
	CU_ASSERT_FALSE(rdma_must_tell(&b));
	b.posted++;
	CU_ASSERT(rdma_must_tell(&b));
	CU_ASSERT_PTR_NULL(pass(&b, &a, 0));
	CU_ASSERT_FALSE(rdma_must_tell(&b));
	CU_ASSERT_EQUAL(a.sent - a.seen, 4);
	CU_ASSERT(rdma_may_send(&a, false));

	/* Credits for frames that were never sent, and credits that go back. */
	fr.f.len = 0;
	fr.f.recvs = cpu_to_le32(a.sent + 1);
	CU_ASSERT_PTR_NOT_NULL(rdma_frame_got(&a, &fr, sizeof(fr.f), &payload));
	fr.f.recvs = cpu_to_le32(a.seen - 1);
	CU_ASSERT_PTR_NOT_NULL(rdma_frame_got(&a, &fr, sizeof(fr.f), &payload));
	fr.f.recvs = cpu_to_le32(a.sent);
	CU_ASSERT_PTR_NULL(rdma_frame_got(&a, &fr, sizeof(fr.f), &payload));
	fr.f.len = cpu_to_le32(1);
	CU_ASSERT_PTR_NOT_NULL(rdma_frame_got(&a, &fr, sizeof(fr.f), &payload));
	CU_ASSERT_PTR_NOT_NULL(rdma_frame_got(&a, &fr, sizeof(fr.f) - 1, &payload));
}

static void credits(void)
{
	credits_from(0);
	credits_from(UINT32_MAX - 3); /* all of them wrap */
	credits_from(0x7ffffffe);
}

static const char *segs(uint32_t bulk, uint32_t max, const struct weft_seg *s, unsigned int n,
			unsigned int *nread)
{
	struct weft_hdr h = { .bulk_len = cpu_to_le32(bulk), .bulk_max = cpu_to_le32(max),
			      .nsegs = cpu_to_le16(n) };
	struct rdma_seg out[WEFT_SEGS_MAX];
	char odd[WEFT_SEGS_MAX * sizeof(*s) + 1];

	memcpy(odd + 1, s, n * sizeof(*s));
	return rdma_segs_check(&h, odd + 1, out, 4096, 4096, nread);
}

static void segments(void)
{
	struct weft_seg s[4] = {
		{ .addr = cpu_to_le64(0x1000), .len = cpu_to_le32(5000) },
		{ .addr = cpu_to_le64(0x8000), .len = cpu_to_le32(3000) },
		{ .addr = cpu_to_le64(0xffffffffffff0000), .len = cpu_to_le32(0xffff) },
		{ .addr = cpu_to_le64(0), .len = cpu_to_le32(1) },
	};
	unsigned int nread;

	CU_ASSERT_PTR_NULL(segs(0, 0, s, 0, &nread));
	CU_ASSERT_PTR_NULL(segs(4096, 4096, s, 0, &nread));
	CU_ASSERT_PTR_NOT_NULL(segs(4097, 0, s, 0, &nread));
	CU_ASSERT_PTR_NOT_NULL(segs(0, 4097, s, 0, &nread));
	CU_ASSERT_PTR_NULL(segs(8000, 0, s, 2, &nread));
	CU_ASSERT_EQUAL(nread, 2);
	CU_ASSERT_PTR_NULL(segs(5000, 3000, s, 2, &nread));
	CU_ASSERT_EQUAL(nread, 1);
	CU_ASSERT_PTR_NULL(segs(0, 8000, s, 2, &nread));
	CU_ASSERT_EQUAL(nread, 0);
	CU_ASSERT_PTR_NOT_NULL(segs(0, 8001, s, 2, &nread));
	CU_ASSERT_PTR_NOT_NULL(segs(7999, 0, s, 2, &nread)); /* a segment of both kinds */
	CU_ASSERT_PTR_NOT_NULL(segs(8001, 0, s, 2, &nread));
	CU_ASSERT_PTR_NOT_NULL(segs(5000, 4097, s, 1, &nread)); /* nothing for the reply */
	CU_ASSERT_PTR_NULL(segs(5000, 4096, s, 1, &nread));
	CU_ASSERT_PTR_NULL(segs(5000, 68535, s, 3, &nread));
	s[2].len = cpu_to_le32(0x10001);
	CU_ASSERT_PTR_NOT_NULL(segs(5000, 68535, s, 3, &nread)); /* beyond the end of memory */
	s[2].len = 0;
	CU_ASSERT_PTR_NOT_NULL(segs(5000, 3000, s, 3, &nread));
	s[2].len = cpu_to_le32(WEFT_BULK_MAX + 1);
	s[2].addr = 0;
	CU_ASSERT_PTR_NOT_NULL(segs(5000, 3000, s, 3, &nread));
}

/* --- messages to frames to messages */

struct sink {
	struct weft_msg *m;
	struct weft_pool *pool;
	unsigned int refusals; /* place() has no memory so many times */
	int delivered;
};

static ssize_t sink_inline(void *arg, const struct weft_hdr *h)
{
	(void)arg;
	return le32_to_cpu(h->bulk_len) <= 4096 ? (ssize_t)le32_to_cpu(h->bulk_len) : -EPROTO;
}

static int sink_place(void *arg, struct weft_msg *m)
{
	struct sink *s = arg;

	if (s->refusals) {
		s->refusals--;
		return -ENOMEM;
	}
	return weft_sg_alloc(&m->bulk, s->pool, le32_to_cpu(m->hdr.bulk_len));
}

static int sink_deliver(void *arg, struct weft_msg *m)
{
	struct sink *s = arg;

	weft_msg_free(s->m);
	s->m = m;
	s->delivered++;
	return 0;
}

static const struct rdma_rx_ops sink_ops = { sink_inline, sink_place, sink_deliver };

static struct weft_msg *message(size_t text, char *bulk, size_t len)
{
	struct weft_msg *m = weft_msg_alloc(text);
	size_t i;

	for (i = 0; i < text; i++)
		m->text[i] = i * 7 + text;
	for (i = 0; i < len; i++)
		bulk[i] = i * 3 + len;
	weft_sg_add(&m->bulk, NULL, bulk, len / 2);
	weft_sg_add(&m->bulk, NULL, bulk + len / 2, len - len / 2);
	m->hdr.opcode = cpu_to_le16(WEFT_OP_ADMIN);
	m->hdr.body_len = cpu_to_le16(sizeof(struct weft_admin_req));
	m->hdr.bulk_len = cpu_to_le32(len);
	return m;
}

static void round_trip(struct sink *s, size_t text, size_t len, size_t frame_max)
{
	static char bulk[4096], back[4096], data[65536];
	struct rdma_rx rx = { .ops = &sink_ops, .arg = s, .frame_max = frame_max };
	struct weft_msg *m = message(text, bulk, len);
	int before = s->delivered, ret;
	struct rdma_tx tx;
	size_t n, used;

	rdma_tx_init(&tx, m, NULL, 0, true);
	while (tx.off < tx.total) {
		n = rdma_tx_fill(&tx, data, frame_max);
		CU_ASSERT(n == frame_max || tx.off == tx.total);
		used = 0;
		while ((ret = rdma_rx_frame(&rx, data, n, &used)) == -ENOMEM)
			;
		CU_ASSERT_EQUAL(ret, 0);
	}
	CU_ASSERT_EQUAL(s->delivered, before + 1);
	CU_ASSERT_EQUAL(s->m->text_len, text);
	CU_ASSERT_EQUAL(memcmp(s->m->text, m->text, text), 0);
	CU_ASSERT_EQUAL(s->m->bulk.len, len);
	CU_ASSERT_EQUAL(weft_sg_read(&s->m->bulk, 0, back, len), len);
	CU_ASSERT_EQUAL(memcmp(back, bulk, len), 0);
	weft_msg_free(m);
}

static void frames(void)
{
	static const size_t texts[] = { 8, 9, 400, 904, 4504, 4505, WEFT_MSG_MAX - 96 };
	static const size_t bulks[] = { 0, 1, 4000, 4096 };
	static const size_t maxes[] = { 1016, 4600, 65528 };
	struct sink s = { 0 };
	unsigned int i, j, k;

	CU_ASSERT_EQUAL_FATAL(weft_pool_create(8 << 20, &s.pool), 0);
	for (i = 0; i < 7; i++)
		for (j = 0; j < 4; j++)
			for (k = 0; k < 3; k++) {
				s.refusals = j;
				round_trip(&s, texts[i], bulks[j], maxes[k]);
			}
	weft_msg_free(s.m);
	CU_ASSERT_EQUAL(weft_pool_used(s.pool), 0);
	weft_pool_destroy(s.pool);
}

/* One frame of @n bytes of a message of @text bytes of text. Return: what the receiver says. */
static int frame_of(size_t text, size_t n, size_t frame_max, uint32_t bulk_len)
{
	static char bulk[8192], data[65536];
	struct sink s = { 0 };
	struct rdma_rx rx = { .ops = &sink_ops, .arg = &s, .frame_max = frame_max };
	struct weft_msg *m = message(text, bulk, 0);
	struct rdma_tx tx;
	size_t used = 0;
	int ret;

	m->hdr.bulk_len = cpu_to_le32(bulk_len);
	rdma_tx_init(&tx, m, NULL, 0, true);
	rdma_tx_fill(&tx, data, sizeof(data));
	ret = rdma_rx_frame(&rx, data, n, &used);
	CU_ASSERT(ret != -EPROTO || rx.why);
	rdma_rx_fini(&rx);
	weft_msg_free(s.m);
	weft_msg_free(m);
	return ret;
}

static void wrong_frames(void)
{
	CU_ASSERT_EQUAL(frame_of(8, 104, 1016, 0), 0);
	CU_ASSERT_EQUAL(frame_of(8, 95, 1016, 0), -EPROTO); /* half a header */
	CU_ASSERT_EQUAL(frame_of(8, 103, 1016, 0), -EPROTO); /* not full, not the last */
	CU_ASSERT_EQUAL(frame_of(8, 105, 1016, 0), -EPROTO); /* bytes behind */
	CU_ASSERT_EQUAL(frame_of(2000, 1016, 1016, 0), 0); /* to be continued */
	CU_ASSERT_EQUAL(frame_of(2000, 1017, 1016, 0), -EPROTO); /* longer than a receive */
	CU_ASSERT_EQUAL(frame_of(8, 104, 1016, 4097), -EPROTO); /* inline bulk over the limit */
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("common/rpc/rdma_wire", NULL, NULL);
	CU_add_test(s, "private data", private_data);
	CU_add_test(s, "credits", credits);
	CU_add_test(s, "segments", segments);
	CU_add_test(s, "messages in frames", frames);
	CU_add_test(s, "frames that break the rules", wrong_frames);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
