// SPDX-License-Identifier: Apache-2.0
/*
 * Configuration files: libinih takes the lines apart, this file checks each against the table of
 * known keys while the line number is at hand, so that every message names file and line.
 *
 * The first error ends it: the message is in the caller's buffer and nothing is returned. Sections
 * are noted by the line reader, because libinih does not tell of a section without keys.
 *
 * A configuration does not change after it is loaded: any thread may read it.
 */
#include "common/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define SECTION_MAX 48 /* libinih cuts longer ones silently */

struct entry {
	struct entry *next;
	struct section *section;
	const struct weft_config_key *key;
	uint64_t num;
	char *value;
	int line;
};

struct section {
	struct section *next;
	char kind[SECTION_MAX];
	char name[SECTION_MAX];
	int line;
};

struct weft_config {
	const struct weft_config_key *keys;
	struct section *sections, **sections_tail;
	struct entry *entries;
	/* while loading */
	const char *file;
	const char *text;
	int line;
	int ret;
	char *err;
};

static void fail(struct weft_config *c, int ret, int line, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (c->ret)
		return;
	c->ret = ret;
	if (line)
		n = snprintf(c->err, WEFT_CONFIG_ERR_MAX, "%s:%d: ", c->file, line);
	else
		n = snprintf(c->err, WEFT_CONFIG_ERR_MAX, "%s: ", c->file);
	if (n >= WEFT_CONFIG_ERR_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(c->err + n, WEFT_CONFIG_ERR_MAX - n, fmt, ap);
	va_end(ap);
}

static struct section *find_section(const struct weft_config *c, const char *kind,
				    const char *name)
{
	struct section *s;

	for (s = c->sections; s; s = s->next)
		if (!strcmp(s->kind, kind) && !strcmp(s->name, name ? name : ""))
			return s;
	return NULL;
}

static struct entry *find_entry(const struct weft_config *c, const struct section *s,
				const char *key)
{
	struct entry *e;

	for (e = c->entries; e; e = e->next)
		if (e->section == s && !strcmp(e->key->key, key))
			return e;
	return NULL;
}

/* "target mdt1" -> kind and name. */
static void split_section(const char *text, size_t len, char *kind, char *name)
{
	size_t n = 0;

	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	while (len && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	while (n < len && !isspace((unsigned char)text[n]))
		n++;
	snprintf(kind, SECTION_MAX, "%.*s", (int)n, text);
	while (n < len && isspace((unsigned char)text[n]))
		n++;
	snprintf(name, SECTION_MAX, "%.*s", (int)(len - n), text + n);
}

static void add_section(struct weft_config *c, const char *text, size_t len)
{
	const struct weft_config_key *k = c->keys;
	struct section *s;

	if (len >= SECTION_MAX) {
		fail(c, -EINVAL, c->line, "section name is too long");
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		fail(c, -ENOMEM, 0, "no memory");
		return;
	}
	split_section(text, len, s->kind, s->name);
	s->line = c->line;
	while (k->section && strcmp(k->section, s->kind))
		k++;
	if (!k->section)
		fail(c, -EINVAL, c->line, "unknown section [%s]", s->kind);
	else if (!(k->flags & WEFT_CONFIG_NAMED) != !s->name[0])
		fail(c, -EINVAL, c->line, "section [%s] %s", s->kind,
		     s->name[0] ? "has no name" : "needs a name: [KIND NAME]");
	else if (find_section(c, s->kind, s->name))
		fail(c, -EINVAL, c->line, "section [%s%s%s] is given twice", s->kind,
		     s->name[0] ? " " : "", s->name);
	*c->sections_tail = s;
	c->sections_tail = &s->next;
}

/* Gives libinih one line, and looks at it first. */
static char *next_line(char *str, int num, void *stream)
{
	struct weft_config *c = stream;
	size_t len = strcspn(c->text, "\n");
	const char *p, *end;

	if (c->ret || !*c->text)
		return NULL;
	c->line++;
	if (len + 2 > (size_t)num) {
		fail(c, -EINVAL, c->line, "line is longer than %d characters", num - 2);
		return NULL;
	}
	memcpy(str, c->text, len);
	strcpy(str + len, "\n");
	c->text += len + (c->text[len] == '\n');
	for (p = str; isspace((unsigned char)*p); p++)
		;
	end = *p == '[' ? strchr(p, ']') : NULL;
	if (end)
		add_section(c, p + 1, end - p - 1);
	else if (p != str && *p && !strchr(";#[", *p)) /* would continue the line before */
		fail(c, -EINVAL, c->line, "line begins with a blank");
	return c->ret ? NULL : str;
}

static int parse_number(const char *s, uint64_t *num, bool suffix)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	errno = 0;
	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	*num = strtoull(s, &end, 0);
	if (errno)
		return -EINVAL;
	if (suffix && *end && (unit = strchr(units, toupper((unsigned char)*end)))) {
		unsigned int shift = 10 * (unit - units + 1);

		if (*num > UINT64_MAX >> shift)
			return -EINVAL;
		*num <<= shift;
		end++;
	}
	return *end ? -EINVAL : 0;
}

int weft_parse_size(const char *s, uint64_t *size)
{
	return parse_number(s, size, true);
}

static int parse_bool(const char *s, uint64_t *num)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };
	unsigned int i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcasecmp(s, words[i])) {
			*num = i & 1;
			return 0;
		}
	}
	return -EINVAL;
}

static void parse_value(struct weft_config *c, struct entry *e)
{
	static const char *const wants[] = {
		[WEFT_CONFIG_U64] = "a number",
		[WEFT_CONFIG_SIZE] = "a size such as 64M",
		[WEFT_CONFIG_BOOL] = "yes or no",
		[WEFT_CONFIG_LEVEL] = "err, warn, info or debug",
	};
	int ret = 0;

	switch (e->key->type) {
	case WEFT_CONFIG_STR:
		break;
	case WEFT_CONFIG_U64:
	case WEFT_CONFIG_SIZE:
		ret = parse_number(e->value, &e->num, e->key->type == WEFT_CONFIG_SIZE);
		break;
	case WEFT_CONFIG_BOOL:
		ret = parse_bool(e->value, &e->num);
		break;
	case WEFT_CONFIG_LEVEL:
		ret = weft_log_parse_level(e->value);
		e->num = ret;
		break;
	}
	if (ret < 0)
		fail(c, -EINVAL, e->line, "%s = %s: %s is wanted", e->key->key, e->value,
		     wants[e->key->type]);
}

/* libinih has found a key. Return: 1 to go on, 0 to stop. */
static int got_key(void *user, const char *section, const char *name, const char *value)
{
	struct weft_config *c = user;
	const struct weft_config_key *k = c->keys;
	char kind[SECTION_MAX], sname[SECTION_MAX];
	struct entry *e;

	split_section(section, strlen(section), kind, sname);
	while (k->section && (strcmp(k->section, kind) || strcmp(k->key, name)))
		k++;
	if (!k->section) {
		fail(c, -EINVAL, c->line, "unknown key \"%s\" in section [%s]", name, kind);
		return 0;
	}
	e = calloc(1, sizeof(*e));
	if (e)
		e->value = strdup(value);
	if (!e || !e->value) {
		free(e);
		fail(c, -ENOMEM, 0, "no memory");
		return 0;
	}
	e->section = find_section(c, kind, sname);
	e->key = k;
	e->line = c->line;
	if (find_entry(c, e->section, name))
		fail(c, -EINVAL, c->line, "\"%s\" is given twice", name);
	parse_value(c, e);
	e->next = c->entries;
	c->entries = e;
	return !c->ret;
}

static void check_required(struct weft_config *c)
{
	const struct weft_config_key *k;
	struct section *s;

	for (s = c->sections; s; s = s->next)
		for (k = c->keys; k->section; k++)
			if (!strcmp(k->section, s->kind) && (k->flags & WEFT_CONFIG_REQUIRED) &&
			    !find_entry(c, s, k->key))
				fail(c, -EINVAL, s->line, "section [%s] lacks \"%s\"", s->kind,
				     k->key);
}

int weft_config_parse(const char *name, const char *text, const struct weft_config_key *keys,
		      struct weft_config **out, char err[WEFT_CONFIG_ERR_MAX])
{
	struct weft_config *c = calloc(1, sizeof(*c));
	int bad, ret;

	err[0] = '\0';
	if (!c)
		return -ENOMEM;
	c->keys = keys;
	c->sections_tail = &c->sections;
	c->file = name;
	c->text = text;
	c->err = err;
	bad = ini_parse_stream(next_line, c, got_key, c);
	if (bad > 0)
		fail(c, -EINVAL, bad, "not a section, a key = value, or a comment");
	else if (bad)
		fail(c, -ENOMEM, 0, "no memory");
	check_required(c);
	ret = c->ret;
	if (ret)
		weft_config_free(c);
	else
		*out = c;
	return ret;
}

/* Reads a whole file. */
static int slurp(const char *path, char **out)
{
	FILE *f = fopen(path, "re");
	char *text = NULL, *more;
	size_t n = 0, cap = 0;
	int ret = 0;

	if (!f)
		return -errno;
	do {
		if (n + 1 >= cap) {
			cap += 16384;
			more = realloc(text, cap);
			if (!more) {
				ret = -ENOMEM;
				goto out_close;
			}
			text = more;
		}
		n += fread(text + n, 1, cap - n - 1, f);
	} while (!feof(f) && !ferror(f));
	if (ferror(f))
		ret = -EIO;
	else if (memchr(text, '\0', n))
		ret = -EINVAL;
	text[n] = '\0';

out_close:
	fclose(f);
	if (ret)
		free(text);
	else
		*out = text;
	return ret;
}

int weft_config_load(const char *path, const struct weft_config_key *keys,
		     struct weft_config **out, char err[WEFT_CONFIG_ERR_MAX])
{
	char *text = NULL;
	int ret = slurp(path, &text);

	if (ret) {
		snprintf(err, WEFT_CONFIG_ERR_MAX, "%s: cannot be read: %s", path,
			 strerror(-ret));
		return ret;
	}
	ret = weft_config_parse(path, text, keys, out, err);
	free(text);
	return ret;
}

void weft_config_free(struct weft_config *c)
{
	struct section *s;
	struct entry *e;

	if (!c)
		return;
	while ((e = c->entries)) {
		c->entries = e->next;
		free(e->value);
		free(e);
	}
	while ((s = c->sections)) {
		c->sections = s->next;
		free(s);
	}
	free(c);
}

static const struct entry *lookup(const struct weft_config *c, const char *section,
				  const char *name, const char *key)
{
	const struct section *s = find_section(c, section, name);

	return s ? find_entry(c, s, key) : NULL;
}

const char *weft_config_str(const struct weft_config *c, const char *section, const char *name,
			    const char *key, const char *def)
{
	const struct entry *e = lookup(c, section, name, key);

	return e ? e->value : def;
}

uint64_t weft_config_u64(const struct weft_config *c, const char *section, const char *name,
			 const char *key, uint64_t def)
{
	const struct entry *e = lookup(c, section, name, key);

	return e ? e->num : def;
}

const char *weft_config_section(const struct weft_config *c, const char *section, unsigned int i)
{
	struct section *s;

	for (s = c->sections; s; s = s->next)
		if (!strcmp(s->kind, section) && !i--)
			return s->name;
	return NULL;
}

int weft_config_split(const char **list, char *buf, size_t len)
{
	const char *p = *list + strspn(*list, ", \t");
	size_t n = strcspn(p, ", \t");

	if (!n)
		return 0;
	if (n >= len)
		return -ENAMETOOLONG;
	memcpy(buf, p, n);
	buf[n] = '\0';
	*list = p + n;
	return 1;
}

int weft_parse_hostport(const char *s, char *host, size_t len, uint16_t *port)
{
	const char *end, *colon;
	size_t n;
	long num;
	char *tail;

	if (*s == '[') {
		end = strchr(++s, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		n = end - s;
		colon = end[1] ? end + 1 : NULL;
	} else {
		colon = strchr(s, ':');
		if (colon && strchr(colon + 1, ':')) { /* a bare IPv6 address */
			if (s[strspn(s, "0123456789abcdefABCDEF:.%")])
				return -EINVAL;
			colon = NULL;
		}
		n = colon ? (size_t)(colon - s) : strlen(s);
	}
	if (!n || n >= len)
		return -EINVAL;
	memcpy(host, s, n);
	host[n] = '\0';
	if (!colon)
		return 0;
	num = strtol(colon + 1, &tail, 10);
	if (!isdigit((unsigned char)colon[1]) || *tail || num < 0 || num > 65535)
		return -EINVAL;
	*port = num;
	return 0;
}
