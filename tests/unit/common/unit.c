// SPDX-License-Identifier: Apache-2.0
/* See unit.h. */
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"

int unit_run(const char *suite, const struct unit_test *t)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	weft_log_set_level(WEFT_LOG_ERR);
	s = CU_add_suite(suite, NULL, NULL);
	for (; t->name; t++)
		CU_add_test(s, t->name, t->fn);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}

const char *unit_mkdir(void)
{
	static char dirs[16][128];
	static unsigned int n;
	const char *tmp = getenv("TMPDIR");
	char *dir = dirs[n++ % 16];

	snprintf(dir, sizeof(dirs[0]), "%s/weft-unit-XXXXXX", tmp ? tmp : "/var/tmp");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	return dir;
}

void unit_rmdir(const char *dir)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}
