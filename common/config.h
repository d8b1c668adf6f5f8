/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files: INI syntax by libinih, checked against a table of known keys.
 *
 *   [node]
 *   id = 3
 *   [target mdt1]        ; a named section: section "target", name "mdt1"
 *   path = /data/mdt1
 *
 * An unknown section or key, a key given twice, a value of the wrong type and a required key
 * that is absent are errors that name file and line.
 */
#ifndef WEFT_COMMON_CONFIG_H
#define WEFT_COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft_config;

enum weft_config_type {
	WEFT_CONFIG_STR,
	WEFT_CONFIG_U64, /* decimal or 0x... */
	WEFT_CONFIG_SIZE, /* u64 with an optional K, M, G or T (powers of 1024) */
	WEFT_CONFIG_BOOL, /* yes|no|true|false|on|off|1|0 */
	WEFT_CONFIG_LEVEL, /* err|warn|info|debug */
};

#define WEFT_CONFIG_REQUIRED 1u /* in each section of that kind that exists */
#define WEFT_CONFIG_NAMED 2u /* the section has a name: [target NAME] */

/**
 * struct weft_config_key - one known key
 * @section: section it belongs to
 * @key: its name
 * @type: type of its value
 * @flags: WEFT_CONFIG_*
 */
struct weft_config_key {
	const char *section;
	const char *key;
	enum weft_config_type type;
	unsigned int flags;
};

#define WEFT_CONFIG_ERR_MAX 512

/**
 * weft_config_load() - read and check a file
 * @path: the file
 * @keys: known keys, ended by an entry whose section is NULL; kept by the configuration
 * @out: the configuration
 * @err: filled with a sentence that names file and line when it fails
 *
 * Return: 0, -EINVAL for a wrong content, or another negative errno.
 */
int weft_config_load(const char *path, const struct weft_config_key *keys,
		     struct weft_config **out, char err[WEFT_CONFIG_ERR_MAX]);

/**
 * weft_config_parse() - as weft_config_load(), from memory
 * @name: stands for the file name in messages
 * @text: the content, ended by a zero byte
 * @keys: known keys
 * @out: the configuration
 * @err: filled when it fails
 *
 * Return: 0 or a negative errno.
 */
int weft_config_parse(const char *name, const char *text, const struct weft_config_key *keys,
		      struct weft_config **out, char err[WEFT_CONFIG_ERR_MAX]);

/**
 * weft_config_free() - free a configuration
 * @c: the configuration or NULL
 */
void weft_config_free(struct weft_config *c);

/**
 * weft_config_str() - value of a string key
 * @c: the configuration
 * @section: section
 * @name: name of a named section, else NULL
 * @key: key
 * @def: returned when the key is absent
 *
 * Return: the value, which lives as long as @c.
 */
const char *weft_config_str(const struct weft_config *c, const char *section, const char *name,
			    const char *key, const char *def);

/**
 * weft_config_u64() - value of a key of type U64, SIZE, BOOL (0 or 1) or LEVEL
 * @c: the configuration
 * @section: section
 * @name: name of a named section, else NULL
 * @key: key
 * @def: returned when the key is absent
 *
 * Return: the value.
 */
uint64_t weft_config_u64(const struct weft_config *c, const char *section, const char *name,
			 const char *key, uint64_t def);

/**
 * weft_config_section() - names of the sections of a kind, in file order
 * @c: the configuration
 * @section: kind, such as "target"
 * @i: index from 0
 *
 * Return: the name of the i-th one ("" when it has none), NULL after the last.
 */
const char *weft_config_section(const struct weft_config *c, const char *section, unsigned int i);

/**
 * weft_config_split() - next element of a list separated by commas or blanks
 * @list: in and out: the rest of the list
 * @buf: filled with the element
 * @len: size of @buf
 *
 * Return: 1, 0 at the end of the list, -ENAMETOOLONG when an element does not fit.
 */
int weft_config_split(const char **list, char *buf, size_t len);

/**
 * weft_parse_hostport() - split "host:port", "[v6]:port" or "host"
 * @s: the string
 * @host: filled with the host
 * @len: size of @host
 * @port: in: the default; out: the port
 *
 * Return: 0 or -EINVAL.
 */
int weft_parse_hostport(const char *s, char *host, size_t len, uint16_t *port);

/**
 * weft_parse_size() - a number, perhaps with a unit: "4096", "64K", "4G", "1T"
 * @s: the string
 * @size: filled with the number of bytes
 *
 * Return: 0 or -EINVAL.
 */
int weft_parse_size(const char *s, uint64_t *size);

#endif
