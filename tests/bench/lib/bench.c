// SPDX-License-Identifier: Apache-2.0
/*
 * Phases of the benchmarks, see bench.h: start all threads behind a barrier, take the time from
 * the barrier to the last end, collect latencies, read the RPC counters before and after.
 */
#include "tests/bench/lib/bench.h"
#include "tests/bench/lib/cpu.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct worker {
	struct bench_thread t;
	pthread_t id;
	pthread_barrier_t *start;
	bench_fn fn;
	int rc;
};

void bench_op(struct bench_thread *t, uint64_t start, uint64_t bytes)
{
	t->ops++;
	t->bytes += bytes;
	if (t->nlat < t->maxlat)
		t->lat_us[t->nlat++] = (uint32_t)((now_ns() - start) / 1000);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(w->start);
	w->rc = w->fn(&w->t);
	return NULL;
}

/* Sum of the counts of "op NAME count N ..." lines. */
static uint64_t read_stats(const char *path)
{
	unsigned long long count, sum = 0;
	char line[512];
	FILE *f = fopen(path, "re");

	if (!f)
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "op %*s count %llu", &count) == 1)
			sum += count;
	fclose(f);
	return sum;
}

/* Sum of the operations of one mount in /proc/self/mountstats ("\tREAD: 12 ..."). */
static uint64_t read_mountstats(const char *mnt)
{
	unsigned long long count, sum = 0;
	bool here = false, per_op = false, found = false;
	char line[1024], at[512];
	FILE *f = fopen("/proc/self/mountstats", "re");

	if (!f)
		die("/proc/self/mountstats: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "device %*s mounted on %511s", at) == 1) {
			here = !strcmp(at, mnt) && strstr(line, "fstype nfs");
			found |= here;
			per_op = false;
		} else if (strstr(line, "per-op statistics")) {
			per_op = true;
		} else if (here && per_op && sscanf(line, " %*[A-Z0-9_]: %llu", &count) == 1) {
			sum += count;
		}
	}
	fclose(f);
	if (!found)
		die("%s is no NFS mount", mnt);
	return sum;
}

static uint64_t rpcs(const struct bench *b)
{
	if (b->stats)
		return read_stats(b->stats);
	return b->nfs ? read_mountstats(b->nfs) : 0;
}

struct sample {
	unsigned long long syncs, bytes;
};

static struct sample sample(const struct bench *b)
{
	struct sample s = { 0 };
	int n, status;
	FILE *f;

	if (!b->sample)
		return s;
	f = popen(b->sample, "re");
	if (!f)
		die("%s: %s", b->sample, strerror(errno));
	n = fscanf(f, "%llu %llu", &s.syncs, &s.bytes);
	status = pclose(f);
	if (n != 2 || status)
		die("%s: status %d, %d numbers instead of 2", b->sample, status, n < 0 ? 0 : n);
	return s;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

struct summary {
	uint64_t ops, bytes, nlat;
	uint32_t *lat;
	double seconds, rpcs_per_op, syncs_per_op, written_per_op;
	struct cpu cpu;
};

static uint32_t percentile(const struct summary *s, unsigned p)
{
	return s->nlat ? s->lat[(s->nlat - 1) * p / 100] : 0;
}

static void print_json(const struct bench *b, const char *name, const struct summary *s)
{
	printf("{\"program\":\"%s\",\"label\":\"%s\",\"phase\":\"%s\",\"threads\":%u,\"ops\":%llu,"
	       "\"seconds\":%.6f,\"ops_per_s\":%.1f,\"mib_per_s\":%.2f,\"p50_us\":%u,"
	       "\"p99_us\":%u", b->program, b->label, name, b->threads,
	       (unsigned long long)s->ops, s->seconds, (double)s->ops / s->seconds,
	       (double)s->bytes / 1048576 / s->seconds, percentile(s, 50), percentile(s, 99));
	printf(",\"cpu_s\":%.3f", s->cpu.all);
	if (b->servers)
		printf(",\"server_cpu_s\":%.3f", s->cpu.servers);
	if (b->stats || b->nfs)
		printf(",\"rpcs_per_op\":%.3f", s->rpcs_per_op);
	if (b->sample)
		printf(",\"syncs_per_op\":%.3f,\"written_per_op\":%.1f", s->syncs_per_op,
		       s->written_per_op);
	printf("}\n");
}

static void print_line(struct bench *b, const char *name, const struct summary *s)
{
	if (!b->header_done)
		printf("%-20s %9s %9s %11s %9s %8s %8s%s%s\n", "phase", "ops", "seconds", "ops/s",
		       "MiB/s", "p50 us", "p99 us", b->stats || b->nfs ? " rpcs/op" : "",
		       b->sample ? " syncs/op written/op" : "");
	b->header_done = true;
	printf("%-20s %9llu %9.3f %11.1f %9.2f %8u %8u", name, (unsigned long long)s->ops,
	       s->seconds, (double)s->ops / s->seconds, (double)s->bytes / 1048576 / s->seconds,
	       percentile(s, 50), percentile(s, 99));
	if (b->stats || b->nfs)
		printf(" %7.3f", s->rpcs_per_op);
	if (b->sample)
		printf(" %8.3f %10.1f", s->syncs_per_op, s->written_per_op);
	printf("\n");
}

static void collect(struct bench *b, struct worker *w, const char *name, struct summary *s)
{
	for (unsigned i = 0; i < b->threads; i++) {
		if (w[i].rc)
			die("%s: phase %s, thread %u, after %llu operations: %s", b->program, name,
			    i, (unsigned long long)w[i].t.ops, strerror(-w[i].rc));
		memcpy(s->lat + s->nlat, w[i].t.lat_us, w[i].t.nlat * sizeof(*s->lat));
		s->nlat += w[i].t.nlat;
		s->ops += w[i].t.ops;
		s->bytes += w[i].t.bytes;
		free(w[i].t.lat_us);
	}
	if (s->nlat)
		qsort(s->lat, s->nlat, sizeof(*s->lat), by_value);
}

static void start(struct bench *b, struct worker *w, unsigned id, uint64_t max_ops)
{
	w->t.b = b;
	w->t.id = id;
	w->t.maxlat = max_ops;
	w->t.lat_us = calloc(max_ops + 1, sizeof(*w->t.lat_us));
	if (!w->t.lat_us || pthread_create(&w->id, NULL, work, w))
		die("cannot start thread %u", id);
}

static void settle(const struct bench *b, bool cold)
{
	int rc = 0;

	if (b->drop && cold)
		rc = drop_caches();
	else if (b->drop)
		sync();
	if (rc)
		die("dropping caches: %s", strerror(-rc));
}

void bench_phase(struct bench *b, const char *name, bench_fn fn, void *arg, uint64_t max_ops,
		 bool cold)
{
	struct worker *w = calloc(b->threads, sizeof(*w));
	struct summary s = { 0 };
	pthread_barrier_t barrier;
	struct sample first, last;
	uint64_t begin, before;
	struct cpu cpu;

	s.lat = calloc(b->threads * max_ops + 1, sizeof(*s.lat));
	if (!w || !s.lat)
		die("no memory");
	settle(b, cold);
	pthread_barrier_init(&barrier, NULL, b->threads + 1);
	for (unsigned i = 0; i < b->threads; i++) {
		w[i].start = &barrier;
		w[i].fn = fn;
		w[i].t.arg = arg;
		start(b, &w[i], i, max_ops);
	}
	first = sample(b);
	before = rpcs(b);
	s.cpu = cpu_now(b->servers);
	begin = now_ns();
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < b->threads; i++)
		pthread_join(w[i].id, NULL);
	s.seconds = (double)(now_ns() - begin + 1) / 1e9;
	cpu = cpu_now(b->servers);
	s.cpu.all = cpu.all - s.cpu.all;
	s.cpu.servers = cpu.servers - s.cpu.servers;
	collect(b, w, name, &s);
	s.rpcs_per_op = s.ops ? (double)(rpcs(b) - before) / (double)s.ops : 0;
	if (b->sample && s.ops) {
		sync();
		last = sample(b);
		s.syncs_per_op = (double)(last.syncs - first.syncs) / (double)s.ops;
		s.written_per_op = (double)(last.bytes - first.bytes) / (double)s.ops;
	}
	if (b->json)
		print_json(b, name, &s);
	else
		print_line(b, name, &s);
	fflush(stdout);
	pthread_barrier_destroy(&barrier);
	free(s.lat);
	free(w);
}

bool bench_wants(const struct bench *b, const char *name)
{
	size_t n = strlen(name), k;

	for (const char *p = b->phases; p && *p; p += k + (p[k] == ',')) {
		k = strcspn(p, ",");
		if (k == n && !strncmp(p, name, n))
			return true;
	}
	return !b->phases;
}

const char *bench_value(int argc, char **argv, int *i)
{
	if (++*i >= argc)
		die("%s needs a value", argv[*i - 1]);
	return argv[*i];
}

bool bench_option(struct bench *b, int argc, char **argv, int *i)
{
	const char *a = argv[*i];

	if (!strcmp(a, "--json"))
		b->json = true;
	else if (!strcmp(a, "--drop"))
		b->drop = true;
	else if (!strcmp(a, "-t"))
		b->threads = (unsigned)parse_size(bench_value(argc, argv, i));
	else if (!strcmp(a, "--label"))
		b->label = bench_value(argc, argv, i);
	else if (!strcmp(a, "--phases"))
		b->phases = bench_value(argc, argv, i);
	else if (!strcmp(a, "--stats"))
		b->stats = bench_value(argc, argv, i);
	else if (!strcmp(a, "--nfs"))
		b->nfs = bench_value(argc, argv, i);
	else if (!strcmp(a, "--servers"))
		b->servers = bench_value(argc, argv, i);
	else if (!strcmp(a, "--sample"))
		b->sample = bench_value(argc, argv, i);
	else
		return false;
	if (!b->threads)
		die("-t must be at least 1");
	return true;
}
