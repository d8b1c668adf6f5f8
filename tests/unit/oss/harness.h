/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the chunk store share: a store in a directory of its own on a real loop, calls
 * that wait, and disk requests that can be made to fail.
 */
#ifndef WEFT_TESTS_UNIT_OSS_HARNESS_H
#define WEFT_TESTS_UNIT_OSS_HARNESS_H

#include "common/env_uv.h"
#include "oss/store.h"

/**
 * struct oss_bed - a store under test
 * @dir: its directory, removed at the end
 * @size: bytes of the data file
 * @no_small: as in struct oss_store_cfg
 * @settle_ns: as in struct oss_store_cfg
 * @last_err: what opening said
 */
struct oss_bed {
	char dir[64];
	char data[96];
	char kv[96];
	uint64_t size;
	bool no_small;
	uint64_t settle_ns;
	struct weft_env *env;
	struct weft_pool *pool;
	struct oss_store *store;
	char last_err[OSS_ERR_MAX];
};

/* Makes the directory and the data file; the store is not open yet. Ends the program on failure. */
void bed_init(struct oss_bed *bed, uint64_t size);

/* The two halves of bed_init(): for a test whose children run the store. */
void bed_make_files(struct oss_bed *bed, uint64_t size);
void bed_make_env(struct oss_bed *bed);
void bed_remove_files(struct oss_bed *bed);

/* Called for each disk request before it is made, when it is set. */
extern void (*bed_on_submit)(struct weft_io *io);

void bed_fini(struct oss_bed *bed);

/* Returns what oss_store_open() returned. */
int bed_open(struct oss_bed *bed);
void bed_close(struct oss_bed *bed);

/* Wait until small writes are in the data file. */
void bed_settle(struct oss_bed *bed);
void bed_reopen(struct oss_bed *bed);

/*
 * Disk request number @n from now on (1: the next) of kind @op fails with @err; 0: none. Returns
 * how many have failed since the last call.
 */
unsigned int bed_fail_disk(enum weft_io_op op, unsigned int n, int err);

/*
 * While an operation of the store runs (not while the bed works) *@countdown is @n, and what is
 * left of it afterwards is kept for the next operation; NULL or 0: no more.
 */
void bed_fail_memory(unsigned int *countdown, unsigned int n);

/* Disk requests of a kind wait (true), or those that waited go on (false); one kind at a time. */
void bed_hold(enum weft_io_op op, bool hold);

/* How many are waiting. */
unsigned int bed_held(void);

/* Run the loop until *done is not 0. */
void bed_wait(struct oss_bed *bed, const int *done);

/* Let the loop run for a few milliseconds; between attempts at what needs a timer of the store. */
void bed_turn(struct oss_bed *bed);

/* Each waits for the end and returns its error. */
int bed_write(struct oss_bed *bed, uint64_t ino, uint64_t chunk, uint32_t off, const void *buf,
	      uint32_t len);
int bed_read(struct oss_bed *bed, uint64_t ino, uint64_t chunk, uint32_t off, void *buf,
	     uint32_t len, uint32_t *sent);
int bed_do(struct oss_bed *bed, enum oss_op_kind kind, uint64_t ino, uint64_t chunk, uint32_t off,
	   uint32_t len, struct oss_op *result);

uint64_t bed_free(struct oss_bed *bed);

/* A pattern that differs for each seed and place. */
void fill(void *buf, size_t len, uint32_t seed);

#endif
