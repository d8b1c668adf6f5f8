/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests of common/ share: running a suite, scratch directory, failing allocations. */
#ifndef WEFT_TESTS_UNIT_COMMON_UNIT_H
#define WEFT_TESTS_UNIT_COMMON_UNIT_H

#include <CUnit/Basic.h>
#include <stdbool.h>

struct unit_test {
	const char *name;
	void (*fn)(void);
};

/* Runs the tests (ended by a NULL name). Return: the program's exit status. */
int unit_run(const char *suite, const struct unit_test *tests);

/* A new directory below $TMPDIR or /var/tmp (a real disk); removed by unit_rmdir(). */
const char *unit_mkdir(void);
void unit_rmdir(const char *dir);

/*
 * With "-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup" in the test's .ldflags:
 * the allocation number @nth from now (counted from 1) fails, once; 0: none.
 */
void torture_arm(unsigned int nth);
/* Ends it. Return: whether an allocation has failed. */
bool torture_disarm(void);

#endif
