/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a batch waits for company before it is committed. Pure: time and counts come in.
 */
#ifndef WEFT_MDS_GATHER_H
#define WEFT_MDS_GATHER_H

#include <stdint.h>

#define MDS_GATHER_MIN_NS 500000ull   /* a commit that is faster gathers enough while it runs */
#define MDS_GATHER_MAX_NS 15000000ull /* the longest wait */

/**
 * struct mds_gather - what the last batches tell about the next one
 * @avg_ns: average time of a commit, 0: none yet
 * @expect: requests that were under way together at the last commit's end
 * @begun_ns: since when the first request of the next batch waits
 */
struct mds_gather {
	uint64_t avg_ns;
	uint32_t expect;
	uint64_t begun_ns;
};

/**
 * mds_gather_done() - a batch was committed
 * @g: the state
 * @took_ns: how long the commit took
 * @ops: requests of the batch
 * @queued: requests that came meanwhile
 */
void mds_gather_done(struct mds_gather *g, uint64_t took_ns, uint32_t ops, uint32_t queued);

/**
 * mds_gather_wait() - shall the next batch wait for more requests?
 * @g: the state; begun_ns is set
 * @queued: requests that are there
 * @now_ns: the clock
 *
 * The idea is that of jbd2 (jbd2_journal_stop(): a synchronous handle sleeps for the average commit
 * time, 15 ms at most, if the last one to sync was another process, so that others can join the
 * transaction) and of PostgreSQL (commit_delay, only when commit_siblings are active). Here the
 * siblings are counted: whoever waited for the last commit, or queued behind it, is likely to send
 * its next request as soon as it has its reply. The wait ends when as many are there. A client that
 * is alone never waits: its batches have one request and nothing queues behind them.
 *
 * Return: nanoseconds to wait at most, 0: commit now.
 */
uint64_t mds_gather_wait(const struct mds_gather *g, uint32_t queued, uint64_t now_ns);

#endif
