// SPDX-License-Identifier: Apache-2.0
/* Duplicates, late duplicates, sessions that come and go. */
#include "common/slots.h"

#include <errno.h>

#include "proto/wire.h"
#include "tests/unit/common/unit.h"

static void verdicts(void)
{
	struct weft_slots *t;

	CU_ASSERT_EQUAL_FATAL(weft_slots_create(&t), 0);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 0, 5, 0), WEFT_SLOT_NEW); /* after a restart: any */
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 0, 5, 0), WEFT_SLOT_RUNNING);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 0, 6, 0), WEFT_SLOT_RUNNING);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 0, 4, 0), WEFT_SLOT_OLD);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 1, 1, 0), WEFT_SLOT_NEW);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 2, 0, 1, 0), WEFT_SLOT_NEW);
	weft_slots_end(t, 1, 0, 4); /* not the one that runs */
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 0, 5, 0), WEFT_SLOT_RUNNING);
	weft_slots_end(t, 1, 0, 5);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 0, 5, 0), WEFT_SLOT_AGAIN);
	weft_slots_end(t, 1, 0, 5);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 0, 6, 0), WEFT_SLOT_NEW);
	weft_slots_end(t, 1, 0, 6);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 0, 5, 0), WEFT_SLOT_OLD);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, WEFT_SLOTS_MAX, 1, 0), -EINVAL);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, WEFT_SLOTS_MAX - 1, 1, 0), WEFT_SLOT_NEW);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 3, 0, UINT32_MAX, 0), WEFT_SLOT_NEW);
	weft_slots_end(t, 3, 0, UINT32_MAX);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 3, 0, 1, 0), WEFT_SLOT_NEW); /* it wraps */
	weft_slots_free(t);
}

static void expiry(void)
{
	struct weft_slots *t;
	uint64_t s;

	CU_ASSERT_EQUAL_FATAL(weft_slots_create(&t), 0);
	for (s = 1; s <= 1000; s++) {
		CU_ASSERT_EQUAL(weft_slots_begin(t, s, 0, 1, s), WEFT_SLOT_NEW);
		if (s % 2)
			weft_slots_end(t, s, 0, 1);
	}
	CU_ASSERT_EQUAL(weft_slots_sessions(t), 1000);
	CU_ASSERT_EQUAL(weft_slots_expire(t, 501), 250); /* of 1..500 the odd ones */
	CU_ASSERT_EQUAL(weft_slots_begin(t, 2, 0, 1, 0), WEFT_SLOT_RUNNING);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 1, 0, 1, 0), WEFT_SLOT_NEW);
	weft_slots_drop(t, 2);
	CU_ASSERT_EQUAL(weft_slots_begin(t, 2, 0, 1, 0), WEFT_SLOT_NEW);
	weft_slots_free(t);
}

static void torture(void)
{
	struct weft_slots *t;
	unsigned int n;
	bool failed;
	int ret;

	for (n = 1, failed = true; failed; n++) {
		t = NULL;
		torture_arm(n);
		ret = weft_slots_create(&t);
		if (!ret)
			ret = weft_slots_begin(t, 1, 100, 1, 0);
		failed = torture_disarm();
		CU_ASSERT_EQUAL(ret, failed ? -ENOMEM : WEFT_SLOT_NEW);
		if (t) { /* and it goes on afterwards */
			CU_ASSERT_EQUAL(weft_slots_begin(t, 2, 100, 1, 0), WEFT_SLOT_NEW);
			weft_slots_end(t, 2, 100, 1);
		}
		weft_slots_free(t);
	}
	CU_ASSERT_EQUAL(n, 6);
}

int main(void)
{
	static const struct unit_test tests[] = { { "verdicts", verdicts },
						  { "expiry", expiry },
						  { "allocations fail", torture },
						  { NULL, NULL } };

	return unit_run("common/slots", tests);
}
