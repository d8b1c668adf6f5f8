// SPDX-License-Identifier: Apache-2.0
/*
 * The processes of a cluster: each daemon in a session of its own, its log appended to a file, its
 * process id in another.
 *
 * A process id is believed only while /proc says that the process was started with the member's
 * configuration: ids are reused.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/weft/dev.h"
#include "tools/weft/weft.h"

static const char *const programs[] = { "weft-mgmt", "weft-mds", "weft-oss" };

/* Was the process started with this configuration, and is it not a zombie? */
static bool runs_with(pid_t pid, const char *config)
{
	char path[64], text[4096];
	size_t n, at, len = strlen(config);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	for (at = 0; at < n; at += strlen(text + at) + 1)
		if (strlen(text + at) == len && !strcmp(text + at, config))
			return true;
	return false;
}

pid_t dev_pid(const struct dev_cluster *c, const struct dev_member *m)
{
	char path[DEV_PATH_MAX];
	FILE *f = fopen(dev_path(c, m->name, ".pid", path), "re");
	int pid = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid > 0 && runs_with(pid, dev_path(c, m->name, ".conf", path)) ? pid : 0;
}

/* The daemon's program: beside this one, or where the shell would find it. */
static void find_program(const char *name, char path[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = 0;
		snprintf(path, PATH_MAX, "%.2048s/%s", dirname(self), name);
		if (!access(path, X_OK))
			return;
		snprintf(path, PATH_MAX, "%.2048s/../sbin/%s", dirname(self), name);
		if (!access(path, X_OK))
			return;
	}
	snprintf(path, PATH_MAX, "%s", name);
}

/* In the child: never returns; a failure to start is written to @report. */
static void become(const char *program, const char *config, const char *log, const char *faults,
		   int report)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int err;

	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		goto out_report;
	if (faults && setenv("WEFT_FAULTS", faults, 1))
		goto out_report;
	setsid();
	execlp(program, program, "--config", config, NULL);
out_report:
	err = errno;
	while (write(report, &err, sizeof(err)) < 0 && errno == EINTR)
		;
	_exit(127);
}

static int write_pid(const struct dev_cluster *c, const struct dev_member *m, pid_t pid)
{
	char path[DEV_PATH_MAX];
	FILE *f = fopen(dev_path(c, m->name, ".pid", path), "we");

	if (!f)
		return -errno;
	fprintf(f, "%d\n", pid);
	return fclose(f) ? -errno : 0;
}

int dev_start(const struct dev_cluster *c, const struct dev_member *m, const char *faults)
{
	char program[PATH_MAX], config[DEV_PATH_MAX], log[DEV_PATH_MAX];
	int pipefd[2], err = 0, ret;
	pid_t pid;

	if (dev_pid(c, m))
		return 0;
	find_program(programs[m->kind], program);
	dev_path(c, m->name, ".conf", config);
	dev_path(c, m->name, ".log", log);
	if (pipe2(pipefd, O_CLOEXEC))
		return weft_say(WEFT_EXIT_FAILED, "%s", strerror(errno));
	pid = fork();
	if (!pid)
		become(program, config, log, faults, pipefd[1]);
	ret = pid < 0 ? -errno : 0;
	close(pipefd[1]);
	/* The pipe closes when the program has begun, or brings its errno. */
	if (!ret && read(pipefd[0], &err, sizeof(err)) == sizeof(err))
		ret = -err;
	close(pipefd[0]);
	if (!ret)
		ret = write_pid(c, m, pid);
	if (ret)
		return weft_say(WEFT_EXIT_FAILED, "%s: cannot start %s: %s", m->name, program,
				strerror(-ret));
	return 0;
}

/* Waits for the end of a process. Return: 0, -ETIMEDOUT or another negative errno. */
static int wait_end(int pidfd, int timeout_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int n = poll(&p, 1, timeout_ms);

	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

int dev_stop(const struct dev_cluster *c, const struct dev_member *m, int signo, int timeout_ms)
{
	char path[DEV_PATH_MAX];
	pid_t pid = dev_pid(c, m);
	int fd, ret = 0;

	if (!pid)
		return 0;
	fd = pidfd_open(pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	/* The descriptor holds the process we looked at: look once more before the signal. */
	if (dev_pid(c, m) == pid && pidfd_send_signal(fd, signo, NULL, 0) && errno != ESRCH)
		ret = -errno;
	if (!ret)
		ret = wait_end(fd, timeout_ms);
	close(fd);
	if (ret)
		return ret;
	waitpid(pid, NULL, WNOHANG); /* when it was started by this very command */
	unlink(dev_path(c, m->name, ".pid", path));
	return 0;
}

void dev_show_log(const struct dev_cluster *c, const struct dev_member *m)
{
	char path[DEV_PATH_MAX], line[1024], last[10][1024] = { "" };
	unsigned int n = 0, i;
	FILE *f = fopen(dev_path(c, m->name, ".log", path), "re");

	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		memcpy(last[n++ % 10], line, sizeof(line));
	fclose(f);
	fprintf(stderr, "--- %s\n", path);
	for (i = n > 10 ? n - 10 : 0; i < n; i++)
		fputs(last[i % 10], stderr);
}
