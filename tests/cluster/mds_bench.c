// SPDX-License-Identifier: Apache-2.0
/*
 * mds_bench: changes of the namespace through libweft, many at once.
 *
 *     mds_bench [-t THREADS] [-c CLIENTS] [-n FILES] [--shared] [--sample COMMAND] MANAGEMENT
 *
 * THREADS (32) share CLIENTS sessions (as many); each makes FILES (100) files in a directory of its
 * own, or with --shared all in one; then renames them, then unlinks them. Printed for each: changes
 * per second, and with --sample (a command that prints "SYNCS BYTES", such as server-totals) what
 * the servers needed of both for one. A kernel client sends the creates of one directory one after
 * the other, since the VFS holds the directory's lock; this shows what the servers make of many.
 * Ends with status 1 and a sentence when anything fails.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/client/client.h"

struct thread {
	pthread_t id;
	unsigned int nr;
	struct weft_client *client;
	uint64_t dir;
	const struct phase *phase;
	int ret;
};

struct phase {
	const char *name;
	int (*one)(struct thread *t, unsigned int i);
};

static struct {
	unsigned int threads, clients, files;
	bool shared;
	const char *sample, *mgmt;
} opt = { .threads = 32, .files = 100 };

static pthread_barrier_t barrier;

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("mds_bench: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	exit(1);
}

static void name_of(const struct thread *t, unsigned int i, const char *kind, char name[64])
{
	snprintf(name, 64, "%s.%u.%u", kind, t->nr, i);
}

static int create_one(struct thread *t, unsigned int i)
{
	char name[64];

	name_of(t, i, "f", name);
	return weft_client_create(t->client, t->dir, name, S_IFREG | 0644, 0, 0, NULL, NULL);
}

static int rename_one(struct thread *t, unsigned int i)
{
	char from[64], to[64];

	name_of(t, i, "f", from);
	name_of(t, i, "g", to);
	return weft_client_rename(t->client, t->dir, from, t->dir, to, 0);
}

static int unlink_one(struct thread *t, unsigned int i)
{
	char name[64];

	name_of(t, i, "g", name);
	return weft_client_remove(t->client, t->dir, name, false);
}

static const struct phase phases[] = {
	{ "create", create_one }, { "rename", rename_one }, { "unlink", unlink_one },
};

static void *work(void *arg)
{
	struct thread *t = arg;
	unsigned int i;

	pthread_barrier_wait(&barrier);
	for (i = 0; i < opt.files && !t->ret; i++)
		t->ret = t->phase->one(t, i);
	return NULL;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void sample(double out[2])
{
	FILE *f;

	out[0] = out[1] = 0;
	if (!opt.sample)
		return;
	f = popen(opt.sample, "re");
	if (!f || fscanf(f, "%lf %lf", &out[0], &out[1]) != 2 || pclose(f))
		fail("it gave no numbers: %s", opt.sample);
}

static void run_phase(struct thread *threads, const struct phase *p)
{
	double begin, seconds, ops = (double)opt.threads * opt.files, before[2], after[2];
	unsigned int k;

	sample(before);
	pthread_barrier_init(&barrier, NULL, opt.threads + 1);
	for (k = 0; k < opt.threads; k++) {
		threads[k].phase = p;
		if (pthread_create(&threads[k].id, NULL, work, &threads[k]))
			fail("cannot start thread %u", k);
	}
	begin = now();
	pthread_barrier_wait(&barrier);
	for (k = 0; k < opt.threads; k++) {
		pthread_join(threads[k].id, NULL);
		if (threads[k].ret)
			fail("%s, thread %u: %s", p->name, k, strerror(-threads[k].ret));
	}
	seconds = now() - begin;
	sample(after);
	pthread_barrier_destroy(&barrier);
	printf("{\"program\":\"mds_bench\",\"label\":\"libweft\",\"phase\":\"%s\",\"threads\":%u,"
	       "\"clients\":%u,\"shared\":%d,\"ops\":%.0f,\"ops_per_s\":%.1f,"
	       "\"syncs_per_op\":%.3f,\"written_per_op\":%.1f}\n", p->name, opt.threads,
	       opt.clients, opt.shared, ops, ops / seconds, (after[0] - before[0]) / ops,
	       (after[1] - before[1]) / ops);
	fflush(stdout);
}

static void parse(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		bool value = i + 1 < argc;

		if (!strcmp(argv[i], "--shared"))
			opt.shared = true;
		else if (!strcmp(argv[i], "-t") && value)
			opt.threads = atoi(argv[++i]);
		else if (!strcmp(argv[i], "-c") && value)
			opt.clients = atoi(argv[++i]);
		else if (!strcmp(argv[i], "-n") && value)
			opt.files = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--sample") && value)
			opt.sample = argv[++i];
		else if (argv[i][0] != '-' && !opt.mgmt)
			opt.mgmt = argv[i];
		else
			fail("unknown argument '%s'", argv[i]);
	}
	if (!opt.clients || opt.clients > opt.threads)
		opt.clients = opt.threads;
	if (!opt.mgmt || !opt.threads || !opt.files)
		fail("usage: mds_bench [-t THREADS] [-c CLIENTS] [-n FILES] [--shared]\n"
		     "                 [--sample COMMAND] MANAGEMENT");
}

static uint64_t make_dir(struct weft_client *c, uint64_t parent, const char *name)
{
	struct weft_attr a;
	int ret = weft_client_mkdir(c, parent, name, 0755, &a);

	if (ret)
		fail("mkdir %s: %s", name, strerror(-ret));
	return le64_to_cpu(a.ino);
}

int main(int argc, char **argv)
{
	struct weft_client_opts o = { .timeout_ms = 60000 };
	struct weft_client **clients;
	struct thread *threads;
	uint64_t top, dir = 0;
	char name[64], sub[64];
	unsigned int k;
	int ret;

	parse(argc, argv);
	o.mgmt = opt.mgmt;
	clients = calloc(opt.clients, sizeof(*clients));
	threads = calloc(opt.threads, sizeof(*threads));
	if (!clients || !threads)
		fail("no memory");
	for (k = 0; k < opt.clients; k++) {
		ret = weft_client_open(&o, &clients[k]);
		if (ret)
			fail("cannot connect to %s: %s", opt.mgmt, strerror(-ret));
	}
	snprintf(name, sizeof(name), "mds_bench.%d", getpid());
	top = make_dir(clients[0], WEFT_INO_ROOT, name);
	for (k = 0; k < opt.threads; k++) {
		threads[k].nr = k;
		threads[k].client = clients[k % opt.clients];
		snprintf(sub, sizeof(sub), "d%u", k);
		if (!k || !opt.shared)
			dir = make_dir(clients[0], top, sub);
		threads[k].dir = dir;
	}
	for (k = 0; k < sizeof(phases) / sizeof(phases[0]); k++)
		run_phase(threads, &phases[k]);
	for (k = 0; k < (opt.shared ? 1 : opt.threads); k++) {
		snprintf(sub, sizeof(sub), "d%u", k);
		ret = weft_client_remove(clients[0], top, sub, true);
		if (ret)
			fail("rmdir %s: %s", sub, strerror(-ret));
	}
	ret = weft_client_remove(clients[0], WEFT_INO_ROOT, name, true);
	if (ret)
		fail("rmdir %s: %s", name, strerror(-ret));
	for (k = 0; k < opt.clients; k++)
		weft_client_close(clients[k]);
	free(clients);
	free(threads);
	return 0;
}
