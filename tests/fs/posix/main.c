// SPDX-License-Identifier: Apache-2.0
/*
 * posix: POSIX conformance suite for a mounted file system.
 *
 *     posix [-l] [-v] [-r PATTERN]... [-x PATTERN[=REASON]]... [-X FILE] [-t SECONDS] DIR
 *
 * Makes a directory of its own in DIR and runs every case (posix.h) in it, one after the other.
 * A pattern is a shell pattern or a part of a name. Prints one line per failed or skipped case,
 * and at the end "N passed, N failed". Exit status 0 when nothing failed, 1 when something did,
 * 2 when the suite could not run. A case that takes longer than -t (60 s) is killed and failed:
 * no hang of the file system under test hangs the suite, provided that its waits are killable.
 */
#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/fs/lib/util.h"
#include "tests/fs/posix/posix.h"

static const struct posix_case *const groups[] = {
	open_cases, dir_cases, rename_cases, rename2_cases, link_cases, special_cases, attr_cases,
	perm_cases, data_cases, alloc_cases, map_cases, copy_cases, xattr_cases, lock_cases,
	time_cases, name_cases,
};

enum { MAX_PATTERNS = 256, EXIT_SKIPPED = 77 };

struct pattern {
	char *glob;
	char *reason;
};

static struct {
	struct pattern only[MAX_PATTERNS], not[MAX_PATTERNS];
	int nonly, nnot, timeout_s;
	bool list, verbose;
	unsigned passed, failed, skipped;
} opt = { .timeout_s = 60 };

static bool matches(const struct pattern *p, const char *name)
{
	return !fnmatch(p->glob, name, 0) || strstr(name, p->glob);
}

static const struct pattern *find(const struct pattern *p, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (matches(&p[i], name))
			return &p[i];
	return NULL;
}

static void add_exclude(const char *text)
{
	struct pattern *p = &opt.not[opt.nnot];
	char *eq;

	if (opt.nnot++ == MAX_PATTERNS)
		die("more than %d patterns", MAX_PATTERNS);
	p->glob = strdup(text);
	eq = strpbrk(p->glob, "= \t");
	if (eq)
		*eq++ = 0;
	p->reason = eq ? eq + strspn(eq, " \t") : "excluded on the command line";
}

static void read_excludes(const char *path)
{
	char line[512];
	FILE *f = fopen(path, "re");

	if (!f)
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] && line[0] != '#')
			add_exclude(line);
	}
	fclose(f);
}

static void run_child(const struct posix_case *c, const char *dir)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	umask(0);
	if (chdir(dir))
		die("%s: %s", dir, strerror(errno));
	c->run();
	/* No exit handlers: LeakSanitizer cannot look into a process that has changed its user. */
	fflush(NULL);
	_exit(0);
}

/* Waits for the child or kills its process group when the time is over. */
static int wait_child(pid_t pid, bool *timed_out)
{
	uint64_t end = now_ns() + (uint64_t)opt.timeout_s * 1000000000ull;
	int status, wait_ms = 1;
	sigset_t chld;

	*timed_out = false;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		struct timespec t = { .tv_nsec = wait_ms * 1000000L };

		if (!*timed_out && now_ns() > end) {
			*timed_out = true;
			kill(-pid, SIGKILL);
		}
		sigtimedwait(&chld, NULL, &t);
		wait_ms = wait_ms < 100 ? wait_ms * 2 : 100;
	}
	kill(-pid, SIGKILL);
	return status;
}

static void count(bool good, const char *name, const char *why)
{
	if (good) {
		opt.passed++;
		if (opt.verbose)
			printf("ok   %s\n", name);
		return;
	}
	opt.failed++;
	if (why)
		printf("FAIL %s: %s\n", name, why);
}

static void run_case(const struct posix_case *c, int n)
{
	bool timed_out;
	char dir[32], why[96];
	int status, rc;
	pid_t pid;

	snprintf(dir, sizeof(dir), "c%03d", n);
	if (mkdir(dir, 0777)) {
		snprintf(why, sizeof(why), "mkdir of its directory: %s", ename(errno));
		count(false, c->name, why);
		return;
	}
	fflush(stdout);
	setenv("POSIX_CASE", c->name, 1);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid)
		run_child(c, dir);
	status = wait_child(pid, &timed_out);
	rc = remove_tree(AT_FDCWD, dir);
	if (timed_out) {
		snprintf(why, sizeof(why), "took longer than %d s", opt.timeout_s);
		count(false, c->name, why);
	} else if (WIFSIGNALED(status)) {
		snprintf(why, sizeof(why), "killed by signal %d", WTERMSIG(status));
		count(false, c->name, why);
	} else if (WEXITSTATUS(status) == EXIT_SKIPPED) {
		opt.skipped++;
	} else if (WEXITSTATUS(status)) {
		count(false, c->name, NULL);
	} else if (rc) {
		snprintf(why, sizeof(why), "removing what it left: %s", ename(-rc));
		count(false, c->name, why);
	} else {
		count(true, c->name, NULL);
	}
}

static void consider(const struct posix_case *c, int n)
{
	const struct pattern *p;

	if (opt.nonly && !find(opt.only, opt.nonly, c->name))
		return;
	p = find(opt.not, opt.nnot, c->name);
	if (opt.list) {
		printf("%s%s%s\n", c->name, p ? "  # excluded: " : "", p ? p->reason : "");
	} else if (p) {
		printf("SKIP %s: %s\n", c->name, p->reason);
		opt.skipped++;
	} else {
		run_case(c, n);
	}
}

static void run_all(void)
{
	int n = 0;

	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
		for (const struct posix_case *c = groups[g]; c->name; c++)
			consider(c, n++);
}

static void usage(void)
{
	die("usage: posix [-l] [-v] [-r PATTERN]... [-x PATTERN[=REASON]]... [-X FILE]\n"
	    "             [-t SECONDS] DIR");
}

static void parse(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "lvr:x:X:t:")) != -1) {
		switch (o) {
		case 'l': opt.list = true; break;
		case 'v': opt.verbose = true; break;
		case 'x': add_exclude(optarg); break;
		case 'X': read_excludes(optarg); break;
		case 't': opt.timeout_s = (int)parse_size(optarg); break;
		case 'r':
			if (opt.nonly == MAX_PATTERNS)
				die("more than %d patterns", MAX_PATTERNS);
			opt.only[opt.nonly++].glob = optarg;
			break;
		default: usage();
		}
	}
}

int main(int argc, char **argv)
{
	char top[64];
	sigset_t chld;
	int rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	if (opt.list) {
		run_all();
		return 0;
	}
	if (argc - optind != 1)
		usage();
	if (geteuid())
		die("posix must run as root: it changes owners and credentials");
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	umask(0);
	snprintf(top, sizeof(top), "posix.%d", (int)getpid());
	if (chdir(argv[optind]) || mkdir(top, 0755) || chdir(top))
		die("%s: %s", argv[optind], strerror(errno));
	run_all();
	if (chdir("..") || (rc = remove_tree(AT_FDCWD, top)))
		printf("note: %s/%s could not be removed\n", argv[optind], top);
	if (opt.skipped)
		printf("%u skipped\n", opt.skipped);
	if (!opt.passed && !opt.failed && !opt.skipped)
		die("no case matches");
	printf("%u passed, %u failed\n", opt.passed, opt.failed);
	return opt.failed ? 1 : 0;
}
