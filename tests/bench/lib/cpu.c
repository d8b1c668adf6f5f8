// SPDX-License-Identifier: Apache-2.0
/*
 * Processor time from /proc: the first line of /proc/stat, and utime and stime of each process
 * whose name is in a list. Both count ticks; a phase should last for a second or more. A process
 * that goes away while its line is read counts nothing; anything else that cannot be read ends the
 * program.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/lib/cpu.h"
#include "tests/fs/lib/util.h"

/* cpu user nice system idle iowait irq softirq steal ... */
static double ticks_of_all(void)
{
	unsigned long long v[8] = { 0 };
	FILE *f = fopen("/proc/stat", "re");

	if (!f || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3,
			 v + 4, v + 5, v + 6, v + 7) != 8)
		die("/proc/stat: %s", strerror(errno));
	fclose(f);
	return (double)(v[0] + v[1] + v[2] + v[5] + v[6]);
}

static bool listed(const char *names, const char *name, size_t len)
{
	size_t k;

	for (const char *p = names; *p; p += k + (p[k] == ',')) {
		k = strcspn(p, ",");
		if (k == len && !strncmp(p, name, len))
			return true;
	}
	return false;
}

/* PID (NAME) STATE and ten numbers, then utime and stime. */
static double ticks_of(const char *pid, const char *names)
{
	unsigned long long user = 0, kernel = 0;
	char path[300], line[1024] = "", *open, *close;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (!open || !close || !listed(names, open + 1, (size_t)(close - open - 1)) ||
	    sscanf(close + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu", &user,
		   &kernel) != 2)
		return 0;
	return (double)(user + kernel);
}

struct cpu cpu_now(const char *servers)
{
	double tick = (double)sysconf(_SC_CLK_TCK);
	struct cpu c = { .all = ticks_of_all() / tick };
	struct dirent *d;
	DIR *proc;

	if (!servers)
		return c;
	proc = opendir("/proc");
	if (!proc)
		die("/proc: %s", strerror(errno));
	while ((d = readdir(proc)))
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
			c.servers += ticks_of(d->d_name, servers) / tick;
	closedir(proc);
	return c;
}
