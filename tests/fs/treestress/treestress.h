/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of treestress share: the two sides (the tested tree and the reference), one
 * drawn action, the table of operations (ops.c), and the checks of whole trees (tree.c).
 */
#ifndef WEFT_TESTS_FS_TREESTRESS_H
#define WEFT_TESTS_FS_TREESTRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/fs/lib/util.h"

enum { TS_PATH = 1200, TS_HELD = 8, TS_OUT = 256 };

/** struct ts_side - one of the two trees */
struct ts_side {
	const char *name;	/* for messages */
	int root;		/* descriptor of the directory that all paths start from */
	int held[TS_HELD];	/* open files, -1: none */
	char out[TS_OUT];	/* what the last operation saw, compared between the sides */
};

/** struct ts_act - one operation with its arguments, the same for both sides */
struct ts_act {
	const struct ts_op *op;
	char a[TS_PATH], b[TS_PATH];
	unsigned mode, flags, slot;
	uint64_t value;
	off_t off;
	size_t len;
	bool as_user;
	bool user_xattr;	/* the reference has user.* attributes */
};

enum ts_draws {
	TS_A_OLD = 1,	/* path a: preferably one that exists */
	TS_A_NEW = 2,	/* path a: preferably one that does not */
	TS_B_OLD = 4,
	TS_B_NEW = 8,
};

/** struct ts_op - an operation: run() gives its result or -errno and fills side->out */
struct ts_op {
	const char *name;
	unsigned weight, draws;
	long (*run)(struct ts_side *s, const struct ts_act *a);
};

extern struct ts_op ts_ops[];
extern const size_t ts_nops;

/* Compares two trees; prints each difference; returns how many there are. */
unsigned ts_compare(int a, int b, const char *name_a, const char *name_b);
/*
 * Checks one tree in itself: each listed name has attributes, types and inode numbers agree,
 * link counts are right. Prints each fault; returns how many there are.
 */
unsigned ts_check(int root, const char *name);

#endif
