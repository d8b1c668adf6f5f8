// SPDX-License-Identifier: Apache-2.0
/* Allocations that fail on demand; linked only into tests that wrap the allocator. See unit.h. */
#include <stddef.h>

#include "tests/unit/common/unit.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

static int countdown;
static int failed;

void torture_arm(unsigned int nth)
{
	__atomic_store_n(&failed, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&countdown, (int)nth, __ATOMIC_SEQ_CST);
}

bool torture_disarm(void)
{
	__atomic_store_n(&countdown, 0, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&failed, __ATOMIC_SEQ_CST);
}

static bool fails(void)
{
	if (__atomic_load_n(&countdown, __ATOMIC_SEQ_CST) <= 0 ||
	    __atomic_sub_fetch(&countdown, 1, __ATOMIC_SEQ_CST))
		return false;
	__atomic_store_n(&failed, 1, __ATOMIC_SEQ_CST);
	return true;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
	return fails() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}
