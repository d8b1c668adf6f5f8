/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two halves of fsx share: the file under test with its model (ops.c fills and checks
 * it) and the run around it (main.c). One process owns one struct fsx; nothing is shared.
 */
#ifndef WEFT_TESTS_FS_FSX_H
#define WEFT_TESTS_FS_FSX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/fs/lib/util.h"

enum { FSX_ALIGN = 4096, FSX_LOG = 256 };

/** struct fsx_entry - one line of the operation log */
struct fsx_entry {
	uint64_t nr;
	const char *what;
	off_t off, off2;
	size_t len;
	size_t size_before, size_after;
};

/** struct fsx - one file under test and what it must hold */
struct fsx {
	char path[256];
	int fd, fd_append, fd_direct;
	bool direct_works;
	uint8_t *want;		/* the model: size bytes, zero from there to max */
	uint8_t *buf;		/* aligned, max bytes */
	size_t size, max, max_io;
	struct rng rng;
	uint64_t nr;
	struct fsx_entry log[FSX_LOG];
	struct fsx_entry *cur;
};

/** struct fsx_op - an operation: name (for --no-NAME), relative frequency, code */
struct fsx_op {
	const char *name;
	unsigned weight;
	void (*run)(struct fsx *f);
};

extern struct fsx_op fsx_ops[];
extern const size_t fsx_nops;

/* Opens (or creates, when flags has O_CREAT) the descriptors. Ends the process when it cannot. */
void fsx_open(struct fsx *f, int flags);
/* Closes them. */
void fsx_close(struct fsx *f);
/* Compares the whole file with the model, and its size. */
void fsx_check_all(struct fsx *f);
/* Prints the sentence and the log, ends the process with status 1. */
void fsx_fail(struct fsx *f, off_t at, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

#endif
