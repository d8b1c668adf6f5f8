// SPDX-License-Identifier: Apache-2.0
/*
 * ackcheck: is everything that was acknowledged still there after a crash?
 *
 *     ackcheck --write [-p N] [--seconds N | --ops N] [--seed N] [--log-sync] --log LOGDIR DIR
 *     ackcheck --verify [-p N] [--crashed] --log LOGDIR DIR
 *
 * --write: N processes (1), each in DIR/ack.<i>, do random operations that must all succeed, and
 * log each in LOGDIR/ack.<i>.log, which must be on another file system: "B n ..." before, "E n"
 * when it has returned (so it is acknowledged), "X n" when a later look found that it was not
 * done. Started again on the same log it first verifies everything, settles the operation that
 * was in doubt (begun, not returned), and goes on. SIGTERM ends it after the present operation;
 * kill -9 at any moment is part of the test. --log-sync makes the log survive a crash of this
 * machine. A stalled mount only makes an operation long; the longest is printed.
 *
 * --verify: replays the logs and names every object that is lost or wrong. All that returned must
 * be there; with --crashed (the machine of the client died) bytes that were not fsynced may be old.
 *
 * Last line "N passed, N failed", a process each; exit status 0, 1 or 2 (could not run).
 */
#include "tests/fs/ackcheck/ackcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	const char *dir, *log;
	uint64_t procs, seconds, ops, seed;
	bool write, verify, crashed, log_sync;
} opt = { .procs = 1, .ops = 1000, .seed = 1 };

enum { MAX_PROCS = 256 };

static volatile sig_atomic_t stop;
static pid_t children[MAX_PROCS];
static volatile sig_atomic_t nchildren;

struct writer {
	char name[32];
	int root, log;
	struct ack_model model;
	struct ack_op doubt;	/* begun, not ended; kind ACK_KINDS: none */
	uint64_t longest_ns;
};

static void on_term(int sig)
{
	stop = 1;
	for (int i = 0; i < nchildren; i++)
		kill(children[i], sig);
}

static void log_line(struct writer *w, const char *line)
{
	int rc = write_full(w->log, line, strlen(line));

	if (!rc && opt.log_sync && fdatasync(w->log))
		rc = -errno;
	if (rc)
		die("%s: log: %s", w->name, strerror(-rc));
}

static void log_begin(struct writer *w, const struct ack_op *op)
{
	char line[256];

	snprintf(line, sizeof(line), "B %llu %s %s %s %lld %zu %llu\n", (unsigned long long)op->n,
		 ack_kind_name[op->kind], op->a, op->b, (long long)op->off, op->len,
		 (unsigned long long)op->value);
	log_line(w, line);
}

static void log_end(struct writer *w, char what, uint64_t n)
{
	char line[64];

	snprintf(line, sizeof(line), "%c %llu\n", what, (unsigned long long)n);
	log_line(w, line);
}

static bool parse_op(const char *line, struct ack_op *op)
{
	unsigned long long n, value;
	char kind[16];
	long long off;

	if (sscanf(line, "B %llu %15s %47s %47s %lld %zu %llu", &n, kind, op->a, op->b, &off,
		   &op->len, &value) != 7 || off < 0 || (size_t)off + op->len > ACK_MAX_SIZE)
		return false;
	op->n = n;
	op->off = off;
	op->value = value;
	for (op->kind = 0; op->kind < ACK_KINDS; op->kind++)
		if (!strcmp(kind, ack_kind_name[op->kind]))
			return true;
	return false;
}

/* Builds the model from the log; with_doubt: as if the operation in doubt had happened. */
static void replay(struct writer *w, const char *path, bool with_doubt)
{
	unsigned long long n;
	char line[256], what;
	FILE *f = fopen(path, "re");

	if (!f)
		die("%s: %s", path, strerror(errno));
	ack_model_fini(&w->model);
	w->doubt.kind = ACK_KINDS;
	while (fgets(line, sizeof(line), f) && strchr(line, '\n')) {
		if (line[0] == 'B') {
			if (!parse_op(line, &w->doubt))
				die("%s: cannot read: %s", path, line);
			continue;
		}
		if (sscanf(line, "%c %llu", &what, &n) != 2 || w->doubt.kind == ACK_KINDS ||
		    n != w->doubt.n || (what != 'E' && what != 'X'))
			die("%s: cannot read: %s", path, line);
		if (what == 'E')
			ack_apply(&w->model, &w->doubt, false);
		else
			w->model.ops++;
		w->doubt.kind = ACK_KINDS;
	}
	fclose(f);
	if (with_doubt && w->doubt.kind != ACK_KINDS)
		ack_apply(&w->model, &w->doubt, true);
}

/*
 * Verifies against the log. The operation in doubt may have happened or not; *happened says
 * which. Return: number of faults.
 */
static unsigned check(struct writer *w, const char *path, bool *happened)
{
	unsigned faults;

	*happened = false;
	replay(w, path, false);
	if (w->doubt.kind == ACK_KINDS)
		return ack_verify(w->root, w->name, &w->model, opt.crashed, true);
	if (!ack_verify(w->root, w->name, &w->model, opt.crashed, false))
		return 0;
	replay(w, path, true);
	*happened = true;
	faults = ack_verify(w->root, w->name, &w->model, opt.crashed, true);
	if (faults)
		printf("%s: operation %llu (%s %s %s) was in doubt; the above is with it done\n",
		       w->name, (unsigned long long)w->doubt.n, ack_kind_name[w->doubt.kind],
		       w->doubt.a, w->doubt.b);
	return faults;
}

static void log_path(char *buf, size_t n, unsigned proc)
{
	snprintf(buf, n, "%s/ack.%u.log", opt.log, proc);
}

static void open_root(struct writer *w, unsigned proc, bool make)
{
	char path[512];

	snprintf(w->name, sizeof(w->name), "ack.%u", proc);
	snprintf(path, sizeof(path), "%s/%s", opt.dir, w->name);
	if (make && mkdir(path, 0755) && errno != EEXIST)
		die("%s: %s", path, strerror(errno));
	w->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->root < 0)
		die("%s: %s", path, strerror(errno));
}

/* A torn last line (the log's machine crashed) is cut off, so that the next one stands alone. */
static void trim_log(struct writer *w)
{
	off_t size = lseek(w->log, 0, SEEK_END);
	char c;

	while (size > 0 && pread(w->log, &c, 1, size - 1) == 1 && c != '\n')
		size--;
	if (size < 0 || ftruncate(w->log, size))
		die("%s: log: %s", w->name, strerror(errno));
}

static void settle(struct writer *w, bool happened)
{
	struct ack_op redo = w->doubt;
	bool data = redo.kind == ACK_WRITE || redo.kind == ACK_APPEND || redo.kind == ACK_TRUNCATE;
	int rc = 0;

	if (happened && data) {
		if (redo.kind == ACK_APPEND)
			redo.kind = ACK_WRITE;
		rc = ack_do(w->root, &redo);
	}
	if (rc)
		die("%s: cannot settle operation %llu: %s", w->name, (unsigned long long)redo.n,
		    strerror(-rc));
	log_end(w, happened ? 'E' : 'X', w->doubt.n);
	w->doubt.kind = ACK_KINDS;
}

static void write_one(struct writer *w, struct rng *r)
{
	struct ack_op op = { .n = w->model.ops + 1 };
	uint64_t start;
	int rc;

	ack_draw(&w->model, r, &op);
	log_begin(w, &op);
	start = now_ns();
	rc = ack_do(w->root, &op);
	start = now_ns() - start;
	if (start > w->longest_ns)
		w->longest_ns = start;
	if (rc) {
		printf("FAIL %s: operation %llu %s %s %s: %s\n", w->name, (unsigned long long)op.n,
		       ack_kind_name[op.kind], op.a, op.b, strerror(-rc));
		exit(1);
	}
	log_end(w, 'E', op.n);
	ack_apply(&w->model, &op, false);
}

static void run_write(unsigned proc)
{
	uint64_t end = now_ns() + opt.seconds * 1000000000ull, first;
	struct writer w = { 0 };
	struct rng r;
	char path[512];
	bool happened;

	open_root(&w, proc, true);
	log_path(path, sizeof(path), proc);
	w.log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (w.log < 0)
		die("%s: %s", path, strerror(errno));
	trim_log(&w);
	if (check(&w, path, &happened)) {
		printf("FAIL %s: not as logged, not started again\n", w.name);
		exit(1);
	}
	if (w.doubt.kind != ACK_KINDS) {
		settle(&w, happened);
		replay(&w, path, false);
	}
	first = w.model.ops;
	r.state = opt.seed + proc * 1000003ull + first * 7919;
	while (!stop && (opt.seconds ? now_ns() < end : w.model.ops - first < opt.ops))
		write_one(&w, &r);
	printf("ok %s: %llu operations, longest %.1f ms\n", w.name,
	       (unsigned long long)(w.model.ops - first), (double)w.longest_ns / 1e6);
	ack_model_fini(&w.model);
}

static void run_verify(unsigned proc)
{
	struct writer w = { 0 };
	char path[512];
	bool happened;

	open_root(&w, proc, false);
	log_path(path, sizeof(path), proc);
	if (check(&w, path, &happened)) {
		printf("FAIL %s\n", w.name);
		exit(1);
	}
	printf("ok %s: %llu operations verified\n", w.name, (unsigned long long)w.model.ops);
	ack_model_fini(&w.model);
}

static const char *value(int argc, char **argv, int *i)
{
	if (++*i >= argc)
		die("%s needs a value", argv[*i - 1]);
	return argv[*i];
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--write"))
			opt.write = true;
		else if (!strcmp(a, "--verify"))
			opt.verify = true;
		else if (!strcmp(a, "--crashed"))
			opt.crashed = true;
		else if (!strcmp(a, "--log-sync"))
			opt.log_sync = true;
		else if (!strcmp(a, "-p"))
			opt.procs = parse_size(value(argc, argv, &i));
		else if (!strcmp(a, "--seconds"))
			opt.seconds = parse_size(value(argc, argv, &i));
		else if (!strcmp(a, "--ops"))
			opt.ops = parse_size(value(argc, argv, &i));
		else if (!strcmp(a, "--seed"))
			opt.seed = parse_size(value(argc, argv, &i));
		else if (!strcmp(a, "--log"))
			opt.log = value(argc, argv, &i);
		else if (a[0] == '-' || opt.dir)
			die("ackcheck: unknown argument '%s'", a);
		else
			opt.dir = a;
	}
	if (!opt.dir || !opt.log || opt.write == opt.verify)
		die("usage: ackcheck --write [-p N] [--seconds N | --ops N] [--seed N]\n"
		    "                [--log-sync] --log LOGDIR DIR\n"
		    "       ackcheck --verify [-p N] [--crashed] --log LOGDIR DIR");
	if (opt.write && opt.crashed)
		die("ackcheck: --crashed goes with --verify; after a crash start on a new log");
	if (!opt.procs || opt.procs > MAX_PROCS)
		die("ackcheck: -p must be 1 to %d", MAX_PROCS);
}

static void start(unsigned proc)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid) {
		children[nchildren++] = pid;
		return;
	}
	nchildren = 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (opt.write)
		run_write(proc);
	else
		run_verify(proc);
	exit(0);
}

int main(int argc, char **argv)
{
	struct sigaction term = { .sa_handler = on_term, .sa_flags = SA_RESTART };
	unsigned passed = 0, failed = 0;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(0);
	parse(argc, argv);
	sigaction(SIGTERM, &term, NULL);
	for (unsigned p = 0; p < opt.procs; p++)
		start(p);
	for (;;) {
		if (wait(&status) < 0) {
			if (errno != EINTR)
				break;
			continue;
		}
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
