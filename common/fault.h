/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault points: named places where a test can make a daemon die, fail, wait or lose a message.
 *
 *   WEFT_FAULTS="mds.txn.prepared=crash,oss.write=error(EIO):2,rpc.send=delay(50):0.1"
 *
 *   name=action[+skip][:count|:probability]
 *   action: crash (as kill -9), error(ERRNO or number), delay(milliseconds), drop
 *   +skip: the first SKIP visits do nothing
 *   :count: fires so many times, then never again; default: always
 *   :probability: a number with a point, such as 0.25
 *
 * With nothing set a fault point costs the test of one variable. Setting and visiting are
 * protected by one lock.
 */
#ifndef WEFT_COMMON_FAULT_H
#define WEFT_COMMON_FAULT_H

#include <stdint.h>

extern int weft_fault_armed;

static inline int weft_fault_is_armed(void)
{
	return __atomic_load_n(&weft_fault_armed, __ATOMIC_RELAXED);
}

#define WEFT_FAULT_DROP 1

/**
 * weft_fault_init() - take the settings of the environment variable WEFT_FAULTS
 *
 * Return: 0 or -EINVAL (logged).
 */
int weft_fault_init(void);

/**
 * weft_fault_set() - replace the setting of the points named in a specification
 * @spec: as in WEFT_FAULTS; "name=off" clears one; "" clears all
 *
 * Return: 0, -EINVAL (nothing is changed) or -ENOMEM.
 * Context: any thread.
 */
int weft_fault_set(const char *spec);

/**
 * weft_fault_visit() - a fault point is reached; use WEFT_FAULT() or weft_fault_async()
 * @name: name of the point
 * @delay_ms: when not NULL a delay is told here, not slept
 *
 * Return: 0, WEFT_FAULT_DROP, or a negative errno that the caller takes as its own failure.
 */
int weft_fault_visit(const char *name, uint32_t *delay_ms);

/**
 * weft_fault_hits() - how often a set point fired
 * @name: name of the point
 *
 * Return: the count.
 */
uint64_t weft_fault_hits(const char *name);

/* A point in code that may block: 0, a negative errno or WEFT_FAULT_DROP. */
#define WEFT_FAULT(name)                                                                           \
	(__builtin_expect(weft_fault_is_armed(), 0) ? weft_fault_visit(name, NULL) : 0)

/* A point on a loop: a delay is told in *ms and the caller waits by a timer. */
#define WEFT_FAULT_ASYNC(name, ms)                                                                 \
	(__builtin_expect(weft_fault_is_armed(), 0) ? weft_fault_visit(name, ms) : 0)

#endif
