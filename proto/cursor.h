/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bounded cursor: the only way in which tails and bulk of a peer are taken apart.
 *
 * weft_cur_take() hands out pointers into the buffer or NULL; after the first NULL the cursor
 * stays failed, so that a decoder may check once at its end.
 */
#ifndef WEFT_PROTO_CURSOR_H
#define WEFT_PROTO_CURSOR_H

#include "proto/types.h"

struct weft_cursor {
	const u8 *pos;
	size_t left;
	bool failed;
};

static inline void weft_cur_init(struct weft_cursor *c, const void *buf, size_t len)
{
	c->pos = buf;
	c->left = len;
	c->failed = false;
}

/**
 * weft_cur_take() - take the next bytes
 * @c: cursor
 * @len: how many bytes
 *
 * Return: pointer to @len bytes inside the buffer (of any alignment), or NULL if fewer are left.
 */
static inline const void *weft_cur_take(struct weft_cursor *c, size_t len)
{
	const void *p = c->pos;

	if (c->failed || len > c->left) {
		c->failed = true;
		return NULL;
	}
	c->pos += len;
	c->left -= len;
	return p;
}

/* weft_cur_copy() - copy the next @len bytes to @dst. Return: false if fewer are left. */
static inline bool weft_cur_copy(struct weft_cursor *c, void *dst, size_t len)
{
	const void *p = weft_cur_take(c, len);

	if (p)
		memcpy(dst, p, len);
	return p != NULL;
}

/* weft_cur_done() - true if nothing failed and nothing is left over */
static inline bool weft_cur_done(const struct weft_cursor *c)
{
	return !c->failed && c->left == 0;
}

#endif
