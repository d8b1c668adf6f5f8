// SPDX-License-Identifier: Apache-2.0
/*
 * fsx: a random stream of operations on one file per process, checked against a model in memory.
 *
 *     fsx [-p PROCESSES] [--ops N] [--seconds N] [--seed N] [--max-size N] [--max-io N]
 *         [--no-OP]... [--only OP[,OP]...] [--check-every N] [--keep] [-v] DIR
 *
 * The same seed gives the same stream. A difference prints the last operations, with those that
 * touched the wrong byte marked, and what was expected and found. Each process counts as one test:
 * the last line is "N passed, N failed"; a failed file is left in DIR. Exit status 0, 1 (failed)
 * or 2 (could not run).
 */
#include "tests/fs/fsx/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static struct {
	const char *dir;
	uint64_t procs, ops, seconds, seed, max_size, max_io, check_every;
	bool keep, verbose;
} opt = { .procs = 1, .ops = 1000, .seed = 1, .max_size = 4 << 20, .max_io = 256 << 10 };

static struct fsx_op *find_op(const char *name, size_t n)
{
	for (size_t i = 0; i < fsx_nops; i++)
		if (strlen(fsx_ops[i].name) == n && !strncmp(fsx_ops[i].name, name, n))
			return &fsx_ops[i];
	die("unknown operation '%.*s'", (int)n, name);
}

static void keep_only(const char *list)
{
	unsigned weight[64] = { 0 };

	for (size_t n; *list; list += n + (list[n] == ',')) {
		struct fsx_op *op;

		n = strcspn(list, ",");
		op = find_op(list, n);
		weight[op - fsx_ops] = op->weight;
	}
	for (size_t i = 0; i < fsx_nops; i++)
		fsx_ops[i].weight = weight[i];
}

static const struct fsx_op *pick_op(struct rng *r, unsigned total)
{
	uint64_t x = rng_below(r, total);
	size_t i;

	for (i = 0; x >= fsx_ops[i].weight; i++)
		x -= fsx_ops[i].weight;
	return &fsx_ops[i];
}

static struct fsx *make_fsx(unsigned proc)
{
	struct fsx *f = calloc(1, sizeof(*f));

	if (!f)
		die("no memory");
	f->max = (opt.max_size + FSX_ALIGN - 1) & ~(uint64_t)(FSX_ALIGN - 1);
	f->max_io = opt.max_io;
	f->rng.state = opt.seed + proc * 1000003ull;
	f->direct_works = true;
	f->cur = &f->log[0];
	f->cur->what = "start";
	f->want = calloc(1, f->max + FSX_ALIGN);
	if (!f->want || posix_memalign((void **)&f->buf, FSX_ALIGN, f->max + FSX_ALIGN))
		die("no memory");
	snprintf(f->path, sizeof(f->path), "%s/fsx.%llu.%u", opt.dir,
		 (unsigned long long)opt.seed, proc);
	return f;
}

static void step(struct fsx *f, unsigned total)
{
	const struct fsx_op *op = pick_op(&f->rng, total);

	f->cur = &f->log[++f->nr % FSX_LOG];
	*f->cur = (struct fsx_entry){ .nr = f->nr, .what = op->name, .size_before = f->size };
	op->run(f);
	f->cur->size_after = f->size;
	if (opt.verbose)
		printf("%llu %s off %lld len %zu size %zu\n", (unsigned long long)f->nr, op->name,
		       (long long)f->cur->off, f->cur->len, f->size);
	if (opt.check_every && !(f->nr % opt.check_every))
		fsx_check_all(f);
}

static void run(unsigned proc)
{
	uint64_t end = now_ns() + opt.seconds * 1000000000ull;
	struct fsx *f = make_fsx(proc);
	unsigned total = 0;

	for (size_t i = 0; i < fsx_nops; i++)
		total += fsx_ops[i].weight;
	if (!total)
		die("no operation left");
	unlink(f->path);
	fsx_open(f, O_CREAT | O_EXCL);
	while (opt.seconds ? now_ns() < end : f->nr < opt.ops)
		step(f, total);
	fsx_check_all(f);
	fsx_close(f);
	fsx_open(f, 0);
	fsx_check_all(f);
	fsx_close(f);
	printf("ok %s: %llu operations\n", f->path, (unsigned long long)f->nr);
	if (!opt.keep && unlink(f->path))
		fsx_fail(f, -1, "unlink: %s", strerror(errno));
	free(f->want);
	free(f->buf);
	free(f);
}

static const char *value(int argc, char **argv, int *i)
{
	if (++*i >= argc)
		die("%s needs a value", argv[*i - 1]);
	return argv[*i];
}

static bool parse_number(int argc, char **argv, int *i)
{
	static const struct { const char *name; uint64_t *to; } numbers[] = {
		{ "-p", &opt.procs }, { "--ops", &opt.ops }, { "--seconds", &opt.seconds },
		{ "--seed", &opt.seed }, { "--max-size", &opt.max_size },
		{ "--max-io", &opt.max_io }, { "--check-every", &opt.check_every },
	};

	for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
		if (!strcmp(argv[*i], numbers[n].name)) {
			*numbers[n].to = parse_size(value(argc, argv, i));
			return true;
		}
	}
	return false;
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (parse_number(argc, argv, &i))
			continue;
		if (!strcmp(a, "--only"))
			keep_only(value(argc, argv, &i));
		else if (!strncmp(a, "--no-", 5))
			find_op(a + 5, strlen(a + 5))->weight = 0;
		else if (!strcmp(a, "--keep"))
			opt.keep = true;
		else if (!strcmp(a, "-v"))
			opt.verbose = true;
		else if (a[0] == '-' || opt.dir)
			die("fsx: unknown argument '%s'", a);
		else
			opt.dir = a;
	}
	if (!opt.dir)
		die("usage: fsx [-p N] [--ops N] [--seconds N] [--seed N] [--max-size N]\n"
		    "           [--max-io N] [--no-OP]... [--only OP,...] [--check-every N]\n"
		    "           [--keep] [-v] DIR");
	if (!opt.procs || opt.max_size < FSX_ALIGN || !opt.max_io)
		die("fsx: -p, --max-io must be positive, --max-size at least %d", FSX_ALIGN);
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	for (unsigned p = 0; p < opt.procs; p++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run(p);
			exit(0);
		}
	}
	while (wait(&status) > 0) {
		if (WIFSIGNALED(status))
			printf("FAIL a process was killed by signal %d\n", WTERMSIG(status));
		if (status)
			failed++;
		else
			passed++;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
