// SPDX-License-Identifier: Apache-2.0
/*
 * treestress: random operations on a tree, done on the tested file system and on a reference at
 * the same time; every result must be the same, and at the end the whole trees.
 *
 *     treestress [-p N] [--shared N] [--ops N] [--seconds N] [--seed N] [--check-every N]
 *                [--no-OP]... [--keep] [-v] DIR [REFERENCE]
 *     treestress --compare DIR REFERENCE
 *
 * -p processes (1) have a subtree each in DIR and in REFERENCE and compare. --shared processes
 * (0) all work on one more subtree of DIR without a reference, where only errors that no such
 * call may give count, and the consistency of the tree in the end (listing, attributes, link
 * counts). The same seed gives the same streams. --compare only compares two trees that an
 * earlier run with --keep has left, for instance after a remount.
 *
 * Each process and each check of a tree counts as one test: the last line is "N passed,
 * N failed"; exit status 0, 1 or 2 (could not run). Run it as root:
 * some operations are done as a user without rights.
 */
#include "tests/fs/treestress/treestress.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { KNOWN = 256, LOG = 24, USER = 65001 };

static struct {
	const char *dir, *ref;
	uint64_t procs, shared, ops, seconds, seed, check_every;
	bool keep, verbose, compare;
} opt = { .procs = 1, .ops = 2000, .seed = 1 };

struct stress {
	struct ts_side tested, ref;
	bool has_ref;
	struct rng rng;
	uint64_t nr, succeeded;
	char known[KNOWN][TS_PATH];
	unsigned nknown, drawn;	/* drawn: the known path that a path came from, or KNOWN */
	bool user_xattr;
	char log[LOG][2 * TS_PATH + 128];
};

static void describe(const struct ts_act *a, uint64_t nr, char *out, size_t size)
{
	snprintf(out, size, "%llu %s%s '%.300s' '%.300s' mode %o flags %x off %lld len %zu slot %u",
		 (unsigned long long)nr, a->as_user ? "user:" : "", a->op->name, a->a, a->b,
		 a->mode, a->flags, (long long)a->off, a->len, a->slot);
}

static _Noreturn void fail(struct stress *s, const char *what)
{
	uint64_t first = s->nr > LOG ? s->nr - LOG + 1 : 1;

	printf("last operations:\n");
	for (uint64_t n = first; n <= s->nr; n++)
		printf("  %s\n", s->log[n % LOG]);
	printf("FAIL %s: operation %llu: %s\n", s->tested.name, (unsigned long long)s->nr, what);
	fflush(stdout);
	_exit(1);
}

static void add_component(struct rng *r, char *path)
{
	size_t n = strlen(path);

	if (n && path[n - 1] != '/')
		path[n++] = '/';
	switch (rng_below(r, 60)) {
	case 0:
		memset(path + n, 'L', 255);
		path[n + 255] = 0;
		return;
	case 1:
		memset(path + n, 'M', 256);
		path[n + 256] = 0;
		return;
	}
	path[n] = (char)('a' + rng_below(r, 14));
	path[n + 1] = 0;
}

/*
 * A path: a known one, or the child of a known one, or anything. ".." comes once at most and
 * never first, so with targets that hold no ".." nothing leaves the directory above the root.
 */
static void draw_path(struct stress *s, char *path, bool old)
{
	bool known = s->nknown && rng_below(&s->rng, 10) < (old ? 9u : 7u);
	unsigned depth = 1 + (unsigned)rng_below(&s->rng, 3);

	path[0] = 0;
	s->drawn = KNOWN;
	if (known) {
		s->drawn = (unsigned)rng_below(&s->rng, s->nknown);
		strcpy(path, s->known[s->drawn]);
	}
	if (known && (old || strlen(path) > 600))
		return;
	if (known)
		depth = 1;
	while (depth--)
		add_component(&s->rng, path);
	switch (rng_below(&s->rng, 100)) {
	case 0: strcat(path, "/"); break;
	case 1: strcat(path, "/."); break;
	case 2: strcat(path, "/.."); break;
	}
}

static void draw_target(struct stress *s, char *path)
{
	path[0] = 0;
	if (!rng_below(&s->rng, 20)) {
		strcpy(path, rng_below(&s->rng, 2) ? "/nonexistent/weft" : ".");
		return;
	}
	for (unsigned depth = 1 + (unsigned)rng_below(&s->rng, 2); depth; depth--)
		add_component(&s->rng, path);
}

static const struct ts_op *draw_op(struct rng *r)
{
	uint64_t total = 0, x;
	size_t i;

	for (i = 0; i < ts_nops; i++)
		total += ts_ops[i].weight;
	x = rng_below(r, total);
	for (i = 0; x >= ts_ops[i].weight; i++)
		x -= ts_ops[i].weight;
	return &ts_ops[i];
}

static void draw(struct stress *s, struct ts_act *a)
{
	static const unsigned modes[] = { 0644, 0600, 0755, 0777, 0, 01777, 02777, 06755, 0444 };

	memset(a, 0, sizeof(*a));
	a->op = draw_op(&s->rng);
	a->mode = modes[rng_below(&s->rng, sizeof(modes) / sizeof(modes[0]))];
	a->flags = (unsigned)rng_below(&s->rng, 64);
	a->slot = (unsigned)rng_below(&s->rng, 64);
	a->value = rng_next(&s->rng);
	a->off = (off_t)rng_below(&s->rng, rng_below(&s->rng, 4) ? 20000 : 200000);
	a->len = 1 + rng_below(&s->rng, rng_below(&s->rng, 2) ? 100 : 20000);
	a->as_user = !rng_below(&s->rng, 6);
	a->user_xattr = s->user_xattr;
	if (a->op->draws & (TS_A_OLD | TS_A_NEW))
		draw_path(s, a->a, a->op->draws & TS_A_OLD);
	if (!strcmp(a->op->name, "symlink"))
		draw_target(s, a->b);
	else if (a->op->draws & (TS_B_OLD | TS_B_NEW))
		draw_path(s, a->b, a->op->draws & TS_B_OLD);
}

static void learn(struct stress *s, const char *path)
{
	unsigned i = s->nknown < KNOWN ? s->nknown++ : (unsigned)rng_below(&s->rng, KNOWN);

	strcpy(s->known[i], path);
}

static void forget(struct stress *s, unsigned i)
{
	if (i < s->nknown && i != --s->nknown)
		strcpy(s->known[i], s->known[s->nknown]);
}

/* Errors that no operation here may give, whoever else works on the tree. */
static bool never(long rc)
{
	switch (-rc) {
	case EIO: case ESTALE: case ENOSYS: case EBADF: case EFAULT: case ETIMEDOUT:
	case EUCLEAN:
	case ENOTCONN: case EREMOTEIO: case EPROTO: case EOVERFLOW: case ENOMEM: case EAGAIN:
	case EINTR: case ENOSPC: case EDEADLK: case ERESTART:
		return true;
	}
	return rc < -133;
}

static const char *rc_text(long rc, char *buf, size_t n)
{
	const char *name = rc < 0 ? strerrorname_np((int)-rc) : NULL;

	if (name)
		snprintf(buf, n, "%s", name);
	else
		snprintf(buf, n, "%ld", rc);
	return buf;
}

static void step(struct stress *s)
{
	char msg[2 * TS_OUT + 200], t1[32], t2[32];
	long got, want = 0;
	struct ts_act a;

	draw(s, &a);
	s->nr++;
	describe(&a, s->nr, s->log[s->nr % LOG], sizeof(s->log[0]));
	if (opt.verbose)
		printf("%s\n", s->log[s->nr % LOG]);
	if (a.as_user && seteuid(USER))
		die("seteuid: %s", strerror(errno));
	s->tested.out[0] = s->ref.out[0] = 0;
	got = a.op->run(&s->tested, &a);
	if (s->has_ref)
		want = a.op->run(&s->ref, &a);
	if (seteuid(0))
		die("seteuid: %s", strerror(errno));
	if (s->has_ref && (got != want || strcmp(s->tested.out, s->ref.out))) {
		snprintf(msg, sizeof(msg), "expected %s [%s], got %s [%s]",
			 rc_text(want, t1, sizeof(t1)), s->ref.out,
			 rc_text(got, t2, sizeof(t2)), s->tested.out);
		fail(s, msg);
	}
	if (!s->has_ref && never(got)) {
		snprintf(msg, sizeof(msg), "no such call may give %s",
			 rc_text(got, t1, sizeof(t1)));
		fail(s, msg);
	}
	s->succeeded += got >= 0;
	if (got == -ENOENT || got == -ENOTDIR)
		forget(s, s->drawn);
	if (got >= 0 && a.op->draws & (TS_A_NEW | TS_B_NEW))
		learn(s, a.op->draws & TS_B_NEW ? a.b : a.a);
}

/* Makes dir/name/r and gives the descriptor of r; several processes may do so at once. */
static int make_root(const char *dir, const char *name)
{
	int d = open(dir, O_RDONLY | O_DIRECTORY), top, root;

	if (d < 0 || (mkdirat(d, name, 0777) && errno != EEXIST))
		die("%s/%s: %s", dir, name, strerror(errno));
	top = openat(d, name, O_RDONLY | O_DIRECTORY);
	if (top < 0 || (mkdirat(top, "r", 0777) && errno != EEXIST))
		die("%s/%s/r: %s", dir, name, strerror(errno));
	root = openat(top, "r", O_RDONLY | O_DIRECTORY);
	if (root < 0)
		die("%s/%s/r: %s", dir, name, strerror(errno));
	close(top);
	close(d);
	return root;
}

static void side_init(struct ts_side *s, const char *dir, const char *name)
{
	s->name = dir;
	s->root = make_root(dir, name);
	for (int i = 0; i < TS_HELD; i++)
		s->held[i] = -1;
}

static bool has_user_xattr(int root)
{
	return !fsetxattr(root, "user.k0", "", 0, 0) && !fremovexattr(root, "user.k0");
}

static void check_both(struct stress *s)
{
	if (ts_check(s->tested.root, s->tested.name))
		fail(s, "the tree is inconsistent in itself");
	if (s->has_ref && ts_compare(s->tested.root, s->ref.root, s->tested.name, s->ref.name))
		fail(s, "the trees differ");
}

static void run(const char *name, unsigned proc, bool has_ref)
{
	uint64_t end = now_ns() + opt.seconds * 1000000000ull;
	struct stress *s = calloc(1, sizeof(*s));

	if (!s)
		die("no memory");
	s->has_ref = has_ref;
	s->rng.state = opt.seed * 7919 + proc;
	side_init(&s->tested, opt.dir, name);
	if (has_ref)
		side_init(&s->ref, opt.ref, name);
	s->user_xattr = has_user_xattr(has_ref ? s->ref.root : s->tested.root);
	if (!s->user_xattr && !proc)
		printf("note: the reference has no user.* attributes, only trusted.* is used\n");
	while (opt.seconds ? now_ns() < end : s->nr < opt.ops) {
		step(s);
		if (has_ref && opt.check_every && !(s->nr % opt.check_every))
			check_both(s);
	}
	for (int i = 0; i < TS_HELD; i++) {
		close(s->tested.held[i]);
		close(s->ref.held[i]);
	}
	if (has_ref)
		check_both(s);
	printf("ok %s/%s process %u: %llu operations, %llu succeeded\n", opt.dir, name, proc,
	       (unsigned long long)s->nr, (unsigned long long)s->succeeded);
	free(s);
}

static void start(const char *name, unsigned proc, bool has_ref)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(name, proc, has_ref);
	exit(0);
}

static void tree_name(char *buf, size_t n, unsigned proc)
{
	snprintf(buf, n, "treestress.%llu.%u", (unsigned long long)opt.seed, proc);
}

/* Removes what a process (or the shared tree, the one after the last) left; true: all gone. */
static bool clean(unsigned proc, bool has_ref)
{
	char name[64];
	int rc = 0, d;

	tree_name(name, sizeof(name), proc);
	d = open(opt.dir, O_RDONLY | O_DIRECTORY);
	rc = remove_tree(d, name);
	if (rc)
		printf("FAIL removing %s/%s: %s\n", opt.dir, name, strerror(-rc));
	close(d);
	if (has_ref) {
		d = open(opt.ref, O_RDONLY | O_DIRECTORY);
		(void)remove_tree(d, name);
		close(d);
	}
	return !rc;
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
		{ "-p", &opt.procs }, { "--shared", &opt.shared }, { "--ops", &opt.ops },
		{ "--seconds", &opt.seconds }, { "--seed", &opt.seed },
		{ "--check-every", &opt.check_every },
	};

	for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
		if (!strcmp(argv[*i], numbers[n].name)) {
			*numbers[n].to = parse_size(value(argc, argv, i));
			return true;
		}
	}
	return false;
}

static void leave_out(const char *name)
{
	for (size_t i = 0; i < ts_nops; i++) {
		if (!strcmp(ts_ops[i].name, name)) {
			ts_ops[i].weight = 0;
			return;
		}
	}
	die("unknown operation '%s'", name);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (parse_number(argc, argv, &i))
			continue;
		if (!strcmp(a, "--keep"))
			opt.keep = true;
		else if (!strcmp(a, "--compare"))
			opt.compare = true;
		else if (!strcmp(a, "-v"))
			opt.verbose = true;
		else if (!strncmp(a, "--no-", 5))
			leave_out(a + 5);
		else if (a[0] == '-' || opt.ref)
			die("treestress: unknown argument '%s'", a);
		else if (opt.dir)
			opt.ref = a;
		else
			opt.dir = a;
	}
	if (!opt.dir || (opt.procs && !opt.ref))
		die("usage: treestress [-p N] [--shared N] [--ops N] [--seconds N] [--seed N]\n"
		    "                  [--check-every N] [--no-OP]... [--keep] [-v] DIR REFERENCE\n"
		    "       treestress --compare DIR REFERENCE");
}

static int compare_only(void)
{
	int a = open(opt.dir, O_RDONLY | O_DIRECTORY), b = open(opt.ref, O_RDONLY | O_DIRECTORY);
	unsigned faults;

	if (a < 0 || b < 0)
		die("%s: %s", a < 0 ? opt.dir : opt.ref, strerror(errno));
	faults = ts_check(a, opt.dir) + ts_compare(a, b, opt.dir, opt.ref);
	printf("%u passed, %u failed\n", !faults, !!faults);
	return faults ? 1 : 0;
}

static unsigned check_shared(void)
{
	char name[64];
	int root;

	tree_name(name, sizeof(name), (unsigned)opt.procs);
	root = make_root(opt.dir, name);
	return ts_check(root, name) ? 1 : 0;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0, shared_tree;
	char name[64];
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(0);
	parse(argc, argv);
	if (geteuid())
		die("treestress must run as root: it changes owners and credentials");
	if (opt.compare)
		return compare_only();
	shared_tree = (unsigned)opt.procs;
	for (unsigned p = 0; p <= shared_tree; p++)
		clean(p, opt.ref);
	for (unsigned p = 0; p < opt.procs + opt.shared; p++) {
		tree_name(name, sizeof(name), p < opt.procs ? p : shared_tree);
		start(name, p, p < opt.procs);
	}
	while (wait(&status) > 0) {
		if (WIFSIGNALED(status))
			printf("FAIL a process was killed by signal %d\n", WTERMSIG(status));
		if (status)
			failed++;
		else
			passed++;
	}
	if (opt.shared) {
		unsigned bad = check_shared();

		failed += bad;
		passed += !bad;
	}
	if (!opt.keep && !failed) {
		for (unsigned p = 0; p < opt.procs + !!opt.shared; p++)
			if (!clean(p, p < opt.procs))
				failed++;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
