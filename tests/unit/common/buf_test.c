// SPDX-License-Identifier: Apache-2.0
/* The pool at its limit, changes of load between classes, and lists of pieces. */
#include "common/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/common/unit.h"

static void classes(void)
{
	struct weft_pool *p;
	struct weft_buf *b;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(weft_pool_create(64 << 20, &p), 0);
	for (n = 1; n <= WEFT_BUF_MAX; n = n * 3 + 1) {
		b = weft_buf_get(p, n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b);
		CU_ASSERT(b->size >= n && (b->size == WEFT_BUF_ALIGN || b->size < 2 * n));
		CU_ASSERT_EQUAL((uintptr_t)b->data % WEFT_BUF_ALIGN, 0);
		CU_ASSERT(b->data >= b->slab->base &&
			  b->data + b->size <= b->slab->base + b->slab->len);
		memset(b->data, 1, b->size);
		CU_ASSERT_EQUAL(weft_pool_used(p), b->size);
		weft_buf_put(weft_buf_ref(b));
		CU_ASSERT_EQUAL(weft_pool_used(p), b->size);
		weft_buf_put(b);
		CU_ASSERT_EQUAL(weft_pool_used(p), 0);
	}
	CU_ASSERT_PTR_NULL(weft_buf_get(p, 0));
	CU_ASSERT_PTR_NULL(weft_buf_get(p, WEFT_BUF_MAX + 1));
	weft_pool_destroy(p);
}

/* All memory goes to one class, is put, and goes to another. */
static void limit(void)
{
	struct weft_buf *b[4096];
	struct weft_pool *p;
	int n, i, round;

	CU_ASSERT_EQUAL_FATAL(weft_pool_create(8 << 20, &p), 0);
	for (round = 0; round < 3; round++) {
		size_t size = round == 1 ? WEFT_BUF_MAX : 4096;

		for (n = 0; n < 4096 && (b[n] = weft_buf_get(p, size)); n++)
			;
		CU_ASSERT_EQUAL(n, (8 << 20) / (int)size);
		CU_ASSERT_EQUAL(weft_pool_used(p), 8 << 20);
		for (i = 0; i < n; i++)
			weft_buf_put(b[i]);
	}
	/* One small buffer out: a large one still fits beside it, a second does not. */
	b[0] = weft_buf_get(p, 1);
	b[1] = weft_buf_get(p, WEFT_BUF_MAX);
	CU_ASSERT(b[0] && b[1]);
	CU_ASSERT_PTR_NULL(weft_buf_get(p, WEFT_BUF_MAX));
	weft_buf_put(b[0]);
	weft_buf_put(b[1]);
	weft_pool_destroy(p);
}

static void lists(void)
{
	struct weft_sg a = WEFT_SG_INIT, b = WEFT_SG_INIT, c = WEFT_SG_INIT;
	static char in[10000000], out[sizeof(in)];
	struct weft_pool *p;
	struct iovec iov[4];
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = i * 7 + (i >> 12);
	CU_ASSERT_EQUAL_FATAL(weft_pool_create(16 << 20, &p), 0);
	CU_ASSERT_EQUAL(weft_sg_alloc(&a, p, sizeof(in)), 0);
	CU_ASSERT_EQUAL(a.len, sizeof(in));
	CU_ASSERT_EQUAL(weft_sg_alloc(&b, p, 9 << 20), -ENOMEM); /* over the limit: as before */
	CU_ASSERT_EQUAL(b.len, 0);
	CU_ASSERT_EQUAL(weft_sg_write(&a, 0, in, sizeof(in)), sizeof(in));
	CU_ASSERT_EQUAL(weft_sg_slice(&b, &a, WEFT_BUF_MAX - 10, 30), 0);
	CU_ASSERT_EQUAL(b.n, 2);
	CU_ASSERT_EQUAL(weft_sg_read(&b, 5, out, 100), 25);
	CU_ASSERT_EQUAL(memcmp(out, in + WEFT_BUF_MAX - 5, 25), 0);
	CU_ASSERT_EQUAL(weft_sg_slice(&b, &a, sizeof(in), 1), -EINVAL);
	CU_ASSERT_EQUAL(weft_sg_slice(&b, &a, 2, SIZE_MAX), -EINVAL);
	CU_ASSERT_EQUAL(weft_sg_iov(&a, WEFT_BUF_MAX + 1, iov, 4), 2);
	CU_ASSERT_EQUAL(iov[0].iov_len, WEFT_BUF_MAX - 1);
	CU_ASSERT_EQUAL(weft_sg_iov(&a, sizeof(in), iov, 4), 0);
	weft_sg_move(&c, &a);
	CU_ASSERT_EQUAL(a.n, 0);
	weft_sg_fini(&c);
	CU_ASSERT(weft_pool_used(p) > 0); /* the slice keeps its buffers */
	CU_ASSERT_EQUAL(weft_sg_read(&b, 0, out, 30), 30);
	CU_ASSERT_EQUAL(memcmp(out, in + WEFT_BUF_MAX - 10, 30), 0);
	weft_sg_fini(&b);
	CU_ASSERT_EQUAL(weft_pool_used(p), 0);
	weft_pool_destroy(p);
}

/* Every allocation fails once: an error, and nothing is lost. */
static void torture(void)
{
	unsigned int n;
	bool failed;

	for (n = 1, failed = true; failed; n++) {
		struct weft_sg a = WEFT_SG_INIT, b = WEFT_SG_INIT;
		struct weft_pool *p = NULL;
		int ret;

		torture_arm(n);
		ret = weft_pool_create(32 << 20, &p);
		if (!ret)
			ret = weft_sg_alloc(&a, p, 20 << 20);
		if (!ret)
			ret = weft_sg_slice(&b, &a, 100, 19 << 20);
		failed = torture_disarm();
		CU_ASSERT_EQUAL(ret, failed ? -ENOMEM : 0);
		weft_sg_fini(&a);
		weft_sg_fini(&b);
		if (p)
			CU_ASSERT_EQUAL(weft_pool_used(p), 0);
		weft_pool_destroy(p);
	}
	CU_ASSERT(n > 5);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "size classes", classes },
		{ "the limit", limit },
		{ "lists", lists },
		{ "allocations fail", torture },
		{ NULL, NULL },
	};

	return unit_run("common/buf", tests);
}
