/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of ackcheck share: one operation, the model of a directory that operations
 * build (model.c), doing operations and comparing the model with the real tree (tree.c).
 * One writer process owns one directory, one log and one model; nothing is shared.
 */
#ifndef WEFT_TESTS_FS_ACKCHECK_H
#define WEFT_TESTS_FS_ACKCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/fs/lib/util.h"

enum { ACK_NAME = 48, ACK_NAMES = 512, ACK_MAX_SIZE = 160 << 10 };

enum ack_kind {
	ACK_CREATE, ACK_WRITE, ACK_APPEND, ACK_FSYNC, ACK_TRUNCATE, ACK_RENAME, ACK_EXCHANGE,
	ACK_LINK, ACK_SYMLINK, ACK_UNLINK, ACK_MKDIR, ACK_RMDIR, ACK_CHMOD, ACK_XATTR, ACK_KINDS,
};

extern const char *const ack_kind_name[ACK_KINDS];

/** struct ack_op - one operation; b is "-" where there is only one name */
struct ack_op {
	uint64_t n;
	enum ack_kind kind;
	char a[ACK_NAME], b[ACK_NAME];
	off_t off;
	size_t len;
	uint64_t value;
};

enum ack_type { ACK_FILE, ACK_DIR, ACK_LNK };

/** struct ack_inode - what an object must be */
struct ack_inode {
	enum ack_type type;
	unsigned nlink, mode;
	uint64_t xattr;			/* 0: none */
	char target[ACK_NAME];
	char *latest, *synced;		/* contents as written and as of the last fsync */
	size_t size, synced_size;
	bool dirty;			/* written since the last fsync */
	bool doubtful;			/* the last write may or may not have happened */
	uint64_t op;			/* the last operation on it */
};

/** struct ack_name - a name that was used; ino NULL: it must not exist now */
struct ack_name {
	char path[ACK_NAME];
	struct ack_inode *ino;
	uint64_t op;
};

/** struct ack_model - what a directory must hold after the operations so far */
struct ack_model {
	struct ack_name names[ACK_NAMES];
	size_t count;
	uint64_t ops;
};

/* The entry of a path, NULL when it was never used. */
struct ack_name *ack_find(struct ack_model *m, const char *path);
/* Applies an operation that happened. doubtful: perhaps only in part (writes). */
void ack_apply(struct ack_model *m, const struct ack_op *op, bool doubtful);
void ack_model_fini(struct ack_model *m);
/* Does a directory hold no names? */
bool ack_is_empty(struct ack_model *m, const char *dir);
/* The bytes that a write with this value writes. */
void ack_bytes(char *p, size_t len, uint64_t value);
/* Draws the next operation; it must succeed. */
void ack_draw(struct ack_model *m, struct rng *r, struct ack_op *op);

/* Does the operation below root. Return: 0 or -errno. */
int ack_do(int root, const struct ack_op *op);
/*
 * Compares the tree with the model. crashed: what was not synced may be lost. Prints each fault
 * when loud. Return: number of faults.
 */
unsigned ack_verify(int root, const char *name, struct ack_model *m, bool crashed, bool loud);

#endif
