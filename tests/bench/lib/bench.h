/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of the benchmarks: phases that N threads run at the same time, each operation timed,
 * the result printed as a line of a table or of JSON, with the number of RPCs that the mount
 * sent meanwhile. With --drop what was written is synced before each phase, and the caches are
 * dropped before those that are to be cold.
 *
 * With --sample a shell command tells, before and after each phase, how often the servers have
 * synced so far and how many bytes they have written: what a phase needed of both is printed, for
 * each operation. What clients still hold is synced before the second time (when the phase's time
 * and RPCs are taken already), so it counts; what servers do later by themselves does not.
 *
 * JSON has the processor time of the phase as well: cpu_s of the whole machine and, with --servers,
 * server_cpu_s of the processes of those names.
 *
 * Threads share nothing but the start barrier; a thread that fails ends the program with a
 * sentence, because a benchmark of failing operations is worth nothing.
 */
#ifndef WEFT_TESTS_BENCH_H
#define WEFT_TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/fs/lib/util.h"

/** struct bench - options common to the benchmarks */
struct bench {
	const char *program;
	const char *label;	/* named in every result, e.g. weft or nfs */
	unsigned threads;
	bool json, drop;
	const char *phases;	/* names with commas, NULL: all */
	const char *stats;	/* file with "op NAME count N ..." lines, or NULL */
	const char *nfs;	/* NFS mount point to look up in /proc/self/mountstats, or NULL */
	const char *servers;	/* names of the servers' processes, with commas, or NULL */
	const char *sample;	/* command that prints "SYNCS BYTES" of the servers so far, or NULL */
	bool header_done;
};

/** struct bench_thread - what a thread of a phase sees */
struct bench_thread {
	const struct bench *b;
	unsigned id;
	uint64_t ops, bytes;
	void *arg;
	uint32_t *lat_us;	/* one per operation */
	uint64_t nlat, maxlat;
};

/* The work of one thread in a phase. Return: 0 or -errno. */
typedef int (*bench_fn)(struct bench_thread *t);

/**
 * bench_phase() - run a phase and print its result
 * @b: the benchmark
 * @name: of the phase
 * @fn: what each thread does; ends with bench_op() after each operation
 * @arg: for fn
 * @max_ops: the most operations a thread may do
 * @cold: with --drop: start without caches. The other phases start with what was written synced.
 *
 * Ends the program when a thread fails.
 */
void bench_phase(struct bench *b, const char *name, bench_fn fn, void *arg, uint64_t max_ops,
		 bool cold);

/**
 * bench_op() - count an operation
 * @t: the thread
 * @start: now_ns() before it
 * @bytes: moved by it
 */
void bench_op(struct bench_thread *t, uint64_t start, uint64_t bytes);

/**
 * bench_option() - handle an option common to the benchmarks
 * @b: the benchmark
 * @argc: of main
 * @argv: of main
 * @i: index of the argument, moved on when a value follows
 *
 * -t THREADS, --label TEXT, --phases NAME,NAME, --json, --drop, --stats FILE, --nfs MOUNTPOINT,
 * --servers NAME,NAME, --sample COMMAND
 *
 * Return: true when it was one.
 */
bool bench_option(struct bench *b, int argc, char **argv, int *i);

/**
 * bench_wants() - is a phase to be run?
 * @b: the benchmark
 * @name: of the phase
 *
 * Return: true when no --phases was given, or it is among them.
 */
bool bench_wants(const struct bench *b, const char *name);

/**
 * bench_value() - the value that follows an option
 * @argc: of main
 * @argv: of main
 * @i: index of the option, moved on
 *
 * Return: the value; ends the program when there is none.
 */
const char *bench_value(int argc, char **argv, int *i);

#endif
