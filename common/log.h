/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured log lines on stderr: one line each, with time, level, daemon, target and
 * key=value fields:
 *
 *   2026-11-20T10:31:02.123456Z warn weft-mds mdt1 "message refused" peer=10.0.0.1:999 err=71
 *
 * Control characters that come with a value are escaped, so that a peer cannot forge lines.
 * A line is written by one write(2), so that lines of threads do not mix.
 */
#ifndef WEFT_COMMON_LOG_H
#define WEFT_COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum weft_log_level {
	WEFT_LOG_ERR,
	WEFT_LOG_WARN,
	WEFT_LOG_INFO,
	WEFT_LOG_DEBUG,
};

extern enum weft_log_level weft_log_level;

/**
 * struct weft_log_limit - state of a rate-limited place in the code
 * @start: when the present interval began, in seconds
 * @lines: lines written in it
 * @dropped: lines not written
 */
struct weft_log_limit {
	int64_t start;
	uint32_t lines;
	uint32_t dropped;
};

/**
 * weft_log_init() - name the program in every line
 * @daemon: such as "weft-mds"; the string is kept
 */
void weft_log_init(const char *daemon);

/**
 * weft_log_target() - name the target that the calling thread serves
 * @target: such as "mdt1"; copied; "" for none
 */
void weft_log_target(const char *target);

/**
 * weft_log_set_level() - change what is written
 * @level: the least important level that is still written
 *
 * Context: any thread, any time.
 */
void weft_log_set_level(enum weft_log_level level);

/**
 * weft_log_parse_level() - level of a name
 * @name: "err", "warn", "info" or "debug"
 *
 * Return: the level or -EINVAL.
 */
int weft_log_parse_level(const char *name);

/**
 * weft_log_write() - write one line; use the macros below
 * @level: its level
 * @msg: a constant sentence without values
 * @fmt: the fields, printf style: "path=%s size=%u"; "" for none
 */
void weft_log_write(enum weft_log_level level, const char *msg, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * weft_log_allow() - may a rate-limited place write now?
 * @l: its state
 *
 * At most 10 lines in 5 seconds; what was suppressed is told by a line when writing goes on.
 *
 * Return: true when the line shall be written.
 */
bool weft_log_allow(struct weft_log_limit *l);

#define weft_log(level, msg, ...)                                                                  \
	do {                                                                                       \
		if ((level) <= weft_log_level)                                                     \
			weft_log_write(level, msg, __VA_ARGS__);                                   \
	} while (0)

#define weft_err(msg, ...) weft_log(WEFT_LOG_ERR, msg, __VA_ARGS__)
#define weft_warn(msg, ...) weft_log(WEFT_LOG_WARN, msg, __VA_ARGS__)
#define weft_info(msg, ...) weft_log(WEFT_LOG_INFO, msg, __VA_ARGS__)
#define weft_debug(msg, ...) weft_log(WEFT_LOG_DEBUG, msg, __VA_ARGS__)

/* A warning that a peer can cause at will: rate limited for each place in the code. */
#define weft_warn_peer(msg, ...)                                                                   \
	do {                                                                                       \
		static struct weft_log_limit limit_;                                               \
		if (weft_log_level >= WEFT_LOG_WARN && weft_log_allow(&limit_))                    \
			weft_log_write(WEFT_LOG_WARN, msg, __VA_ARGS__);                           \
	} while (0)

#endif
