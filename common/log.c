// SPDX-License-Identifier: Apache-2.0
/*
 * Log lines. A line is built in a buffer on the stack and written by one write(2); what does not
 * fit is cut with "..." at the end. Nothing here allocates or fails: a line that cannot be
 * written is lost.
 *
 * weft_log_level is read without a lock: a change is seen soon. The rate limit of a place in the
 * code is protected by one lock for all.
 */
#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 2048
#define LIMIT_SECONDS 5
#define LIMIT_LINES 10

enum weft_log_level weft_log_level = WEFT_LOG_INFO;

static const char *log_daemon = "weft";
static __thread char log_target[64];
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const level_names[] = { "err", "warn", "info", "debug" };

void weft_log_init(const char *daemon)
{
	log_daemon = daemon;
}

void weft_log_target(const char *target)
{
	snprintf(log_target, sizeof(log_target), "%s", target);
}

void weft_log_set_level(enum weft_log_level level)
{
	weft_log_level = level;
}

int weft_log_parse_level(const char *name)
{
	int i;

	for (i = 0; i <= WEFT_LOG_DEBUG; i++)
		if (!strcmp(name, level_names[i]))
			return i;
	return -EINVAL;
}

/* Appends fields with control characters as \xNN. Return: the new length. */
static size_t append_escaped(char *line, size_t at, size_t max, const char *s)
{
	for (; *s && at + 4 < max; s++) {
		if ((unsigned char)*s >= 0x20 && *s != 0x7f)
			line[at++] = *s;
		else
			at += snprintf(line + at, max - at, "\\x%02x", (unsigned char)*s);
	}
	return at;
}

void weft_log_write(enum weft_log_level level, const char *msg, const char *fmt, ...)
{
	char line[LINE_MAX_LEN], fields[LINE_MAX_LEN];
	struct timespec ts;
	struct tm tm;
	va_list ap;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	n += snprintf(line + n, sizeof(line) - n, ".%06ldZ %s %s %s%s\"%s\" ",
		      ts.tv_nsec / 1000, level_names[level], log_daemon, log_target,
		      log_target[0] ? " " : "", msg);
	va_start(ap, fmt);
	vsnprintf(fields, sizeof(fields), fmt, ap);
	va_end(ap);
	n = append_escaped(line, n, sizeof(line) - 8, fields);
	if (n + 4 >= sizeof(line) - 8) {
		memcpy(line + n, "...", 3);
		n += 3;
	}
	while (line[n - 1] == ' ')
		n--;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody is left to tell */
}

bool weft_log_allow(struct weft_log_limit *l)
{
	uint32_t dropped = 0;
	struct timespec ts;
	bool allow;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	pthread_mutex_lock(&limit_lock);
	if (!l->lines || ts.tv_sec - l->start >= LIMIT_SECONDS) {
		dropped = l->dropped;
		l->start = ts.tv_sec;
		l->lines = 0;
		l->dropped = 0;
	}
	allow = l->lines < LIMIT_LINES;
	if (allow)
		l->lines++;
	else
		l->dropped++;
	pthread_mutex_unlock(&limit_lock);
	if (dropped)
		weft_log_write(WEFT_LOG_WARN, "lines were suppressed", "count=%u", dropped);
	return allow;
}
