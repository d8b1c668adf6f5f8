// SPDX-License-Identifier: Apache-2.0
/* The heap of timers against a sorted reference, under random starts and stops. */
#include "common/timerq.h"

#include <stdlib.h>

#include "tests/unit/common/unit.h"

#define N 300

static void random_ops(void)
{
	struct weft_timerq q = { 0 };
	static struct weft_timer t[N];
	struct weft_timer *next;
	unsigned int seed = 1;
	uint64_t last, min;
	int i, op, armed;

	for (i = 0; i < N; i++)
		weft_timer_init(&t[i], NULL, NULL);
	for (op = 0; op < 20000; op++) {
		i = rand_r(&seed) % N;
		if (rand_r(&seed) % 3) {
			weft_timerq_del(&q, &t[i]);
			t[i].expires = rand_r(&seed) % 1000;
			weft_timerq_add(&q, &t[i]);
		} else {
			weft_timerq_del(&q, &t[i]);
		}
		for (i = 0, min = UINT64_MAX, armed = 0; i < N; i++) {
			armed += t[i].pos >= 0;
			if (t[i].pos >= 0 && t[i].expires < min)
				min = t[i].expires;
		}
		CU_ASSERT_EQUAL_FATAL(q.n, armed);
		next = weft_timerq_next(&q);
		CU_ASSERT_EQUAL_FATAL(next ? next->expires : UINT64_MAX, min);
	}
	for (last = 0; (next = weft_timerq_next(&q)); last = next->expires) {
		CU_ASSERT(next->expires >= last);
		weft_timerq_del(&q, next);
	}
	t[0].expires = 1;
	weft_timerq_add(&q, &t[0]);
	weft_timerq_fini(&q);
	CU_ASSERT_EQUAL(t[0].pos, -1);
}

int main(void)
{
	static const struct unit_test tests[] = { { "random starts and stops", random_ops },
						  { NULL, NULL } };

	return unit_run("common/timerq", tests);
}
