// SPDX-License-Identifier: Apache-2.0
/*
 * mdbench: metadata and small files, in the manner of mdtest.
 *
 *     mdbench [-t THREADS] [-n FILES] [--sizes N,N..] [--shared] [--verify]
 *             [--phases NAME,..] [--drop] [--json] [--label TEXT]
 *             [--stats FILE | --nfs MOUNTPOINT] [--sample COMMAND] DIR
 *
 * Each thread has FILES files (1000), in a directory of its own or with --shared all in one.
 * Phases: create (empty), stat, readdir (one operation per name), stat_listed (stat right after a
 * listing), rename, unlink; then for each size (4k,16k,114k) write_S (create, write, close),
 * read_S (open, read, close; stamps in the content are verified, with --verify all of it),
 * remove_S, fsync_S (create, write, fsync, close, a tenth of the files). With --drop stat,
 * readdir and read_S start without caches. --phases runs only those named (give what they need,
 * too).
 *
 * Prints operations per second, latencies, and with --stats or --nfs the RPCs per operation,
 * with --sample (a command that prints "SYNCS BYTES") the syncs and bytes written of the servers.
 * Ends with status 2 and a sentence when any operation fails.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/lib/bench.h"

enum { MAX_SIZES = 16 };

static struct {
	const char *dir;
	uint64_t files;
	uint64_t sizes[MAX_SIZES];
	unsigned nsizes;
	bool shared, verify;
} opt = { .files = 1000, .sizes = { 4 << 10, 16 << 10, 114 << 10 }, .nsizes = 3 };

static struct bench bench = { .program = "mdbench", .label = "", .threads = 1 };

/* Directory of a thread; the descriptor is opened in each phase, as an application would. */
static int open_dir(const struct bench_thread *t)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "t%u", opt.shared ? 0 : t->id);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void file_name(const struct bench_thread *t, uint64_t i, const char *prefix, char *out)
{
	snprintf(out, 48, "%s.%u.%llu", prefix, t->id, (unsigned long long)i);
}

typedef int (*file_fn)(int dir, const char *name, struct bench_thread *t, uint64_t i);

/* Runs fn on n files of the thread. */
static int each_file(struct bench_thread *t, const char *prefix, uint64_t n, file_fn fn)
{
	int dir = open_dir(t), rc = 0;
	char name[48];

	if (dir < 0)
		return dir;
	for (uint64_t i = 0; i < n && !rc; i++) {
		uint64_t start;

		file_name(t, i, prefix, name);
		start = now_ns();
		rc = fn(dir, name, t, i);
		if (!rc)
			bench_op(t, start, t->arg ? *(uint64_t *)t->arg : 0);
	}
	close(dir);
	return rc;
}

static int create_one(int dir, const char *name, struct bench_thread *t, uint64_t i)
{
	int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	(void)t;
	(void)i;
	if (fd < 0)
		return -errno;
	return close(fd) ? -errno : 0;
}

static int stat_one(int dir, const char *name, struct bench_thread *t, uint64_t i)
{
	struct stat st;

	(void)t;
	(void)i;
	return fstatat(dir, name, &st, 0) ? -errno : 0;
}

static int rename_one(int dir, const char *name, struct bench_thread *t, uint64_t i)
{
	char to[48];

	file_name(t, i, "g", to);
	return renameat(dir, name, dir, to) ? -errno : 0;
}

static int unlink_one(int dir, const char *name, struct bench_thread *t, uint64_t i)
{
	(void)t;
	(void)i;
	return unlinkat(dir, name, 0) ? -errno : 0;
}

/*
 * Buffers of a thread, made once: allocating and filling are no part of what is measured. Every
 * 512 bytes carry a stamp of thread, file and offset; the bytes between are the same in each file.
 */
struct buffers {
	char *want, *got;
};

static __thread struct buffers buffers;

static void buffers_init(size_t size)
{
	struct rng r = { 1 };

	buffers.want = malloc(size + 8);
	buffers.got = malloc(size + 8);
	if (!buffers.want || !buffers.got)
		die("no memory");
	for (size_t k = 0; k < size; k += 8) {
		uint64_t w = rng_next(&r);

		memcpy(buffers.want + k, &w, 8);
	}
}

static void buffers_fini(void)
{
	free(buffers.want);
	free(buffers.got);
}

static uint64_t stamp(const struct bench_thread *t, uint64_t i, size_t off)
{
	return ((uint64_t)t->id << 48) + (i << 20) + off;
}

static int write_file(int dir, const char *name, struct bench_thread *t, uint64_t i, bool sync)
{
	size_t size = *(uint64_t *)t->arg;
	int fd, rc;

	for (size_t k = 0; k + 8 <= size; k += 512) {
		uint64_t w = stamp(t, i, k);

		memcpy(buffers.want + k, &w, 8);
	}
	fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	rc = fd < 0 ? -errno : write_full(fd, buffers.want, size);
	if (!rc && sync && fsync(fd))
		rc = -errno;
	if (fd >= 0 && close(fd) && !rc)
		rc = -errno;
	return rc;
}

static int write_one(int dir, const char *name, struct bench_thread *t, uint64_t i)
{
	return write_file(dir, name, t, i, false);
}

static int fsync_one(int dir, const char *name, struct bench_thread *t, uint64_t i)
{
	return write_file(dir, name, t, i, true);
}

static void check_content(const char *name, const struct bench_thread *t, uint64_t i, size_t n)
{
	size_t size = *(uint64_t *)t->arg;
	uint64_t w;

	if (n != size)
		die("mdbench: %s: %zu of %zu bytes", name, n, size);
	for (size_t k = 0; k + 8 <= size; k += 512) {
		memcpy(&w, buffers.got + k, 8);
		if (w != stamp(t, i, k))
			die("mdbench: %s: wrong content at %zu", name, k);
		memcpy(buffers.want + k, &w, 8);
	}
	if (opt.verify && memcmp(buffers.want, buffers.got, size))
		die("mdbench: %s: wrong content", name);
}

static int read_one(int dir, const char *name, struct bench_thread *t, uint64_t i)
{
	size_t size = *(uint64_t *)t->arg, done = 0;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	for (; n > 0 && done < size; done += n > 0 ? (size_t)n : 0)
		n = read(fd, buffers.got + done, size - done);
	if (n < 0 || close(fd))
		return -errno;
	check_content(name, t, i, done);
	return 0;
}

/* Phases that move data: with the buffers around. */
static int with_buffers(struct bench_thread *t, const char *prefix, uint64_t n, file_fn fn)
{
	int rc;

	buffers_init(*(uint64_t *)t->arg);
	rc = each_file(t, prefix, n, fn);
	buffers_fini();
	return rc;
}

static int p_create(struct bench_thread *t) { return each_file(t, "f", opt.files, create_one); }
static int p_stat(struct bench_thread *t) { return each_file(t, "f", opt.files, stat_one); }
static int p_rename(struct bench_thread *t) { return each_file(t, "f", opt.files, rename_one); }
static int p_unlink(struct bench_thread *t) { return each_file(t, "g", opt.files, unlink_one); }
static int p_write(struct bench_thread *t) { return with_buffers(t, "w", opt.files, write_one); }
static int p_read(struct bench_thread *t) { return with_buffers(t, "w", opt.files, read_one); }
static int p_remove(struct bench_thread *t) { return each_file(t, "w", opt.files, unlink_one); }

static uint64_t synced_files(void)
{
	return (opt.files + 9) / 10;
}

static int p_fsync(struct bench_thread *t)
{
	return with_buffers(t, "y", synced_files(), fsync_one);
}

static int p_unsync(struct bench_thread *t)
{
	return each_file(t, "y", synced_files(), unlink_one);
}

static int p_readdir(struct bench_thread *t)
{
	uint64_t start = now_ns(), names = 0;
	int fd = open_dir(t), rc;
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d)
		return -ENOMEM;
	while ((errno = 0, e = readdir(d))) {
		names++;
		bench_op(t, start, 0);
		start = now_ns();
	}
	rc = -errno;
	closedir(d);
	if (!rc && names != (opt.shared ? bench.threads : 1) * opt.files + 2)
		die("mdbench: readdir gave %llu names", (unsigned long long)names);
	return rc;
}

static void phase(const char *name, bench_fn fn, void *arg, bool cold)
{
	uint64_t names = opt.files * (opt.shared ? bench.threads : 1) + 2;

	if (bench_wants(&bench, name))
		bench_phase(&bench, name, fn, arg, names, cold);
}

static void empty_files(void)
{
	phase("create", p_create, NULL, false);
	phase("stat", p_stat, NULL, true);
	phase("readdir", p_readdir, NULL, true);
	phase("stat_listed", p_stat, NULL, false);
	phase("rename", p_rename, NULL, false);
	phase("unlink", p_unlink, NULL, false);
}

static void small_files(uint64_t *size)
{
	char name[48];

	snprintf(name, sizeof(name), "write_%lluk", (unsigned long long)*size >> 10);
	phase(name, p_write, size, false);
	snprintf(name, sizeof(name), "read_%lluk", (unsigned long long)*size >> 10);
	phase(name, p_read, size, true);
	snprintf(name, sizeof(name), "remove_%lluk", (unsigned long long)*size >> 10);
	phase(name, p_remove, NULL, false);
	snprintf(name, sizeof(name), "fsync_%lluk", (unsigned long long)*size >> 10);
	if (bench_wants(&bench, name)) {
		phase(name, p_fsync, size, false);
		for (unsigned i = 0; i < bench.threads; i++) {
			struct bench_thread t = { .b = &bench, .id = i };
			int rc = p_unsync(&t);

			if (rc)
				die("mdbench: unlink: %s", strerror(-rc));
		}
	}
}

static void parse_sizes(const char *list)
{
	char *copy = strdup(list), *save = NULL;

	opt.nsizes = 0;
	for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		if (opt.nsizes == MAX_SIZES)
			die("more than %d sizes", MAX_SIZES);
		opt.sizes[opt.nsizes++] = parse_size(s);
	}
	free(copy);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (bench_option(&bench, argc, argv, &i))
			continue;
		if (!strcmp(a, "-n"))
			opt.files = parse_size(bench_value(argc, argv, &i));
		else if (!strcmp(a, "--sizes"))
			parse_sizes(bench_value(argc, argv, &i));
		else if (!strcmp(a, "--shared"))
			opt.shared = true;
		else if (!strcmp(a, "--verify"))
			opt.verify = true;
		else if (a[0] == '-' || opt.dir)
			die("mdbench: unknown argument '%s'", a);
		else
			opt.dir = a;
	}
	if (!opt.dir || !opt.files)
		die("usage: mdbench [-t THREADS] [-n FILES] [--sizes N,..] [--shared] [--verify]\n"
		    "               [--phases NAME,..] [--drop] [--json] [--label TEXT]\n"
		    "               [--stats FILE | --nfs MOUNTPOINT] [--sample COMMAND] DIR");
}

int main(int argc, char **argv)
{
	char top[64], name[32];
	int rc;

	parse(argc, argv);
	snprintf(top, sizeof(top), "mdbench.%d", (int)getpid());
	if (chdir(opt.dir) || mkdir(top, 0755) || chdir(top))
		die("%s/%s: %s", opt.dir, top, strerror(errno));
	for (unsigned i = 0; i < (opt.shared ? 1 : bench.threads); i++) {
		snprintf(name, sizeof(name), "t%u", i);
		if (mkdir(name, 0755))
			die("%s: %s", name, strerror(errno));
	}
	empty_files();
	for (unsigned i = 0; i < opt.nsizes; i++)
		small_files(&opt.sizes[i]);
	rc = chdir("..") ? -errno : remove_tree(AT_FDCWD, top);
	if (rc)
		die("removing %s: %s", top, strerror(-rc));
	return 0;
}
