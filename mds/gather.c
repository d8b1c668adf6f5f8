// SPDX-License-Identifier: Apache-2.0
/*
 * Waiting for company, see gather.h.
 *
 * Without it N clients that each wait for their reply fall into two groups that take turns: the
 * replies of one batch go out when the next has already begun with whoever came during the commit,
 * often one alone. Every second batch is then nearly empty.
 */
#include "mds/gather.h"

void mds_gather_done(struct mds_gather *g, uint64_t took_ns, uint32_t ops, uint32_t queued)
{
	/* The weights of jbd2's j_average_commit_time. */
	g->avg_ns = g->avg_ns ? (took_ns + 3 * g->avg_ns) / 4 : took_ns;
	g->expect = ops + queued;
}

uint64_t mds_gather_wait(const struct mds_gather *g, uint32_t queued, uint64_t now_ns)
{
	uint64_t most = g->avg_ns < MDS_GATHER_MAX_NS ? g->avg_ns : MDS_GATHER_MAX_NS;
	uint64_t waited = now_ns - g->begun_ns;

	if (g->expect < 2 || queued >= g->expect || most < MDS_GATHER_MIN_NS || waited >= most)
		return 0;
	return most - waited;
}
