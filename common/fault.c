// SPDX-License-Identifier: Apache-2.0
/*
 * Fault points. The set points are a short list under one lock; weft_fault_armed tells the points
 * themselves, without the lock, whether there is any.
 *
 * A specification is parsed whole before anything is changed; a wrong one changes nothing.
 */
#include "common/fault.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

enum action { ACT_OFF, ACT_CRASH, ACT_ERROR, ACT_DELAY, ACT_DROP };

struct point {
	struct point *next;
	char name[64];
	enum action action;
	int value; /* errno or milliseconds */
	uint64_t skip;
	int64_t left; /* -1: without end */
	double probability;
	uint64_t hits;
};

int weft_fault_armed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct point *points;
static unsigned int seed = 1;

static int parse_errno(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);
	int i;

	if (end != s && !*end)
		return n > 0 && n < 4096 ? (int)n : -EINVAL;
	for (i = 1; i < 134; i++)
		if (strerrorname_np(i) && !strcmp(strerrorname_np(i), s))
			return i;
	return -EINVAL;
}

/* "error(EIO)" -> action and value; *s is left behind it. */
static int parse_action(const char **s, struct point *p)
{
	static const struct {
		const char *word;
		enum action action;
		bool arg;
	} words[] = { { "crash", ACT_CRASH, false }, { "error", ACT_ERROR, true },
		      { "delay", ACT_DELAY, true }, { "drop", ACT_DROP, false },
		      { "off", ACT_OFF, false } };
	size_t n = strcspn(*s, "(+:,"), i, len;
	char arg[32];

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].word) == n && !strncmp(*s, words[i].word, n))
			break;
	if (i == sizeof(words) / sizeof(words[0]))
		return -EINVAL;
	p->action = words[i].action;
	*s += n;
	if (!words[i].arg)
		return 0;
	if (**s != '(')
		return -EINVAL;
	len = strcspn(++*s, ")");
	if (len >= sizeof(arg) || (*s)[len] != ')')
		return -EINVAL;
	memcpy(arg, *s, len);
	arg[len] = '\0';
	*s += len + 1;
	if (p->action == ACT_ERROR)
		p->value = parse_errno(arg);
	else
		p->value = len && strspn(arg, "0123456789") == len && len < 7 ? atoi(arg) : -EINVAL;
	return p->value < 0 ? -EINVAL : 0;
}

static int parse_number(const char **s, uint64_t *n)
{
	char *end;

	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	*n = strtoull(*s, &end, 10);
	*s = end;
	return 0;
}

static int parse_point(const char **s, struct point *p)
{
	size_t n = strcspn(*s, "=,");
	uint64_t num;
	char *end;

	if (!n || n >= sizeof(p->name) || (*s)[n] != '=')
		return -EINVAL;
	memcpy(p->name, *s, n);
	*s += n + 1;
	p->left = -1;
	p->probability = 1;
	if (parse_action(s, p))
		return -EINVAL;
	if (**s == '+') {
		++*s;
		if (parse_number(s, &p->skip))
			return -EINVAL;
	}
	if (**s == ':') {
		n = strcspn(++*s, ",");
		if (memchr(*s, '.', n)) {
			p->probability = strtod(*s, &end);
			if (!(p->probability >= 0 && p->probability <= 1))
				return -EINVAL;
			*s = end;
		} else {
			if (parse_number(s, &num) || num > INT64_MAX)
				return -EINVAL;
			p->left = num;
		}
	}
	if (**s && **s != ',')
		return -EINVAL;
	if (**s)
		++*s;
	return 0;
}

static void points_free(struct point *list)
{
	struct point *p;

	while ((p = list)) {
		list = p->next;
		free(p);
	}
}

static int parse(const char *spec, struct point **out)
{
	struct point *list = NULL, *p;
	int ret;

	while (*spec) {
		p = calloc(1, sizeof(*p));
		ret = p ? parse_point(&spec, p) : -ENOMEM;
		if (ret) {
			free(p);
			points_free(list);
			return ret;
		}
		p->next = list;
		list = p;
	}
	*out = list;
	return 0;
}

/* Takes a point of that name out of the list. */
static void forget(const char *name)
{
	struct point **at = &points, *p;

	while ((p = *at)) {
		if (!strcmp(p->name, name)) {
			*at = p->next;
			free(p);
		} else {
			at = &p->next;
		}
	}
}

int weft_fault_set(const char *spec)
{
	struct point *list = NULL, *p;
	int ret = parse(spec, &list);

	if (ret)
		return ret;
	pthread_mutex_lock(&lock);
	if (!*spec) {
		points_free(points);
		points = NULL;
	}
	while ((p = list)) {
		list = p->next;
		forget(p->name);
		if (p->action == ACT_OFF) {
			free(p);
		} else {
			p->next = points;
			points = p;
		}
	}
	__atomic_store_n(&weft_fault_armed, points != NULL, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
	return 0;
}

int weft_fault_init(void)
{
	const char *spec = getenv("WEFT_FAULTS");
	int ret;

	seed = getpid();
	if (!spec)
		return 0;
	ret = weft_fault_set(spec);
	if (ret)
		weft_err("WEFT_FAULTS is wrong", "spec=%s", spec);
	return ret;
}

static struct point *find(const char *name)
{
	struct point *p;

	for (p = points; p && strcmp(p->name, name); p = p->next)
		;
	return p;
}

/* Return: whether the point fires at this visit. */
static bool fires(struct point *p)
{
	if (p->skip) {
		p->skip--;
		return false;
	}
	if (!p->left)
		return false;
	if (p->probability < 1 && rand_r(&seed) >= p->probability * RAND_MAX)
		return false;
	if (p->left > 0)
		p->left--;
	p->hits++;
	return true;
}

int weft_fault_visit(const char *name, uint32_t *delay_ms)
{
	enum action action = ACT_OFF;
	struct timespec ts;
	struct point *p;
	int value = 0;

	if (delay_ms)
		*delay_ms = 0;
	pthread_mutex_lock(&lock);
	p = find(name);
	if (p && fires(p)) {
		action = p->action;
		value = p->value;
	}
	pthread_mutex_unlock(&lock);
	switch (action) {
	case ACT_CRASH:
		weft_warn("fault point kills this process", "point=%s", name);
		for (;;)
			kill(getpid(), SIGKILL);
	case ACT_ERROR:
		return -value;
	case ACT_DELAY:
		if (delay_ms) {
			*delay_ms = value;
			return 0;
		}
		ts.tv_sec = value / 1000;
		ts.tv_nsec = value % 1000 * 1000000L;
		nanosleep(&ts, NULL);
		return 0;
	case ACT_DROP:
		return WEFT_FAULT_DROP;
	case ACT_OFF:
		break;
	}
	return 0;
}

uint64_t weft_fault_hits(const char *name)
{
	struct point *p;
	uint64_t n;

	pthread_mutex_lock(&lock);
	p = find(name);
	n = p ? p->hits : 0;
	pthread_mutex_unlock(&lock);
	return n;
}
