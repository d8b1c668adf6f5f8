/* SPDX-License-Identifier: Apache-2.0 */
/* Processor time of this machine and of servers on it, for the benchmarks. Protected by nothing. */
#ifndef WEFT_TESTS_BENCH_CPU_H
#define WEFT_TESTS_BENCH_CPU_H

/**
 * struct cpu - seconds of processor time so far
 * @all: of the whole machine: programs, kernel, interrupts
 * @servers: of the processes and kernel threads that were asked for
 */
struct cpu {
	double all, servers;
};

/**
 * cpu_now() - read them from /proc
 * @servers: names (as /proc/PID/comm has them) with commas, or NULL
 *
 * A process that ends between two calls takes its time with it. Ends the program when /proc cannot
 * be read.
 *
 * Return: the times.
 */
struct cpu cpu_now(const char *servers);

#endif
