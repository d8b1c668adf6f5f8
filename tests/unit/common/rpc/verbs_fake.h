/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device of RDMA and its connection manager inside one process, for tests without either: the
 * functions of libibverbs and librdmacm that the transport uses, with the checks that a device
 * makes (keys, ranges, access, lengths, room in queues). Work is done when it is posted; its
 * completion waits in the queue until it is polled.
 */
#ifndef TESTS_UNIT_RPC_VERBS_FAKE_H
#define TESTS_UNIT_RPC_VERBS_FAKE_H

#include <rdma/rdma_cma.h>
#include <stdbool.h>

/**
 * struct fake_verbs - what a test may set and read
 * @max_rd: READs that a queue pair may have outstanding
 * @no_inv: the device has no SEND_WITH_INV
 * @reg_fails: so many registrations succeed, then all fail; -1: all succeed
 * @qps: queue pairs now
 * @mrs: registrations now
 * @ids: ids now
 * @faults: errors of use that a device would not survive or notice (each is printed)
 */
struct fake_verbs {
	int max_rd;
	bool no_inv;
	int reg_fails;
	int qps, mrs, ids;
	int faults;
};

extern struct fake_verbs fake_verbs;

/* fake_cut() - every connection breaks, as by a drawn cable: flushes, no event of the manager */
void fake_cut(void);

#endif
