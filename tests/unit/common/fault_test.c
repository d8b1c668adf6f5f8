// SPDX-License-Identifier: Apache-2.0
/* Specifications of fault points: what is accepted, when a point fires, and that crash kills. */
#include "common/fault.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/common/unit.h"

static void syntax(void)
{
	static const char *const bad[] = { "x", "x=", "=crash", "x=fly", "x=error", "x=error()",
					   "x=error(ENOWHERE)", "x=error(-1)", "x=error(EIO", "x=crash:",
					   "x=crash:-1", "x=crash:1.5", "x=crash:0.5x", "x=crash+",
					   "x=delay(a)", "x=drop;y=drop", "x=drop:1,", "x=crash()",
					   ",", "x=drop+1:2:3" };
	unsigned int i;

	CU_ASSERT_EQUAL(weft_fault_set("keep=error(EIO)"), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (i != 16) /* a comma at the end is harmless */
			CU_ASSERT_EQUAL(weft_fault_set(bad[i]), -EINVAL);
	CU_ASSERT_EQUAL(WEFT_FAULT("keep"), -EIO); /* nothing was changed */
	CU_ASSERT_EQUAL(weft_fault_set("keep=off"), 0);
	CU_ASSERT_EQUAL(weft_fault_armed, 0);
}

static void firing(void)
{
	uint32_t ms = 1;
	int i, n;

	CU_ASSERT_EQUAL(WEFT_FAULT("a"), 0);
	CU_ASSERT_EQUAL(weft_fault_set("a=error(5)+2:3,b=drop,c=delay(7),d=error(ENOSPC):0.5"), 0);
	for (i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(WEFT_FAULT("a"), i >= 2 && i < 5 ? -EIO : 0);
	CU_ASSERT_EQUAL(weft_fault_hits("a"), 3);
	CU_ASSERT_EQUAL(WEFT_FAULT("b"), WEFT_FAULT_DROP);
	CU_ASSERT_EQUAL(WEFT_FAULT("other"), 0);
	CU_ASSERT_EQUAL(WEFT_FAULT_ASYNC("c", &ms), 0);
	CU_ASSERT_EQUAL(ms, 7);
	for (i = n = 0; i < 1000; i++)
		n += WEFT_FAULT("d") == -ENOSPC;
	CU_ASSERT(n > 300 && n < 700);
	CU_ASSERT_EQUAL(weft_fault_set(""), 0);
	CU_ASSERT_EQUAL(WEFT_FAULT("b"), 0);
}

static void crash(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		weft_fault_set("die=crash+1");
		if (WEFT_FAULT("die"))
			_exit(2);
		WEFT_FAULT("die");
		_exit(3);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
	static const struct unit_test tests[] = { { "syntax", syntax },
						  { "firing", firing },
						  { "crash", crash },
						  { NULL, NULL } };

	return unit_run("common/fault", tests);
}
