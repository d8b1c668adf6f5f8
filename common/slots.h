/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request slots in memory: (session, slot) -> the last sequence number that was begun, whether it
 * is still running, and what came of it if that was kept. An object storage server uses it so that
 * a late duplicate of a write cannot run after a newer request of the same slot; its operations are
 * idempotent, so that nothing needs to survive a restart.
 *
 * A session that has not been used for a while may be dropped by weft_slots_expire().
 *
 * Protection: none; a table belongs to one loop.
 */
#ifndef WEFT_COMMON_SLOTS_H
#define WEFT_COMMON_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft_slots;

enum weft_slot_verdict {
	WEFT_SLOT_NEW, /* run it, then call weft_slots_end() */
	WEFT_SLOT_AGAIN, /* the same one, finished: run it again unless weft_slots_kept() */
	WEFT_SLOT_RUNNING, /* the same or an older one is running: wait for its end */
	WEFT_SLOT_OLD, /* older than the slot's last: answer WEFT_S_SLOT_OLD */
};

/**
 * weft_slots_create() - make an empty table
 * @out: the table
 *
 * Return: 0 or -ENOMEM.
 */
int weft_slots_create(struct weft_slots **out);

/**
 * weft_slots_free() - free a table
 * @t: the table or NULL
 */
void weft_slots_free(struct weft_slots *t);

/**
 * weft_slots_begin() - a request came: what shall be done with it?
 * @t: the table
 * @session: its session
 * @slot: its slot, below WEFT_SLOTS_MAX
 * @seq: its sequence number
 * @now: monotonic time in ns
 *
 * WEFT_SLOT_NEW and WEFT_SLOT_AGAIN mark the slot as running.
 *
 * Return: enum weft_slot_verdict, -EINVAL for a slot out of range, or -ENOMEM.
 */
int weft_slots_begin(struct weft_slots *t, uint64_t session, uint32_t slot, uint32_t seq,
		     uint64_t now);

/**
 * weft_slots_end() - the running request of a slot is over
 * @t: the table
 * @session: its session
 * @slot: its slot
 * @seq: its sequence number
 */
void weft_slots_end(struct weft_slots *t, uint64_t session, uint32_t slot, uint32_t seq);

/**
 * weft_slots_keep() - remember the outcome of the running request of a slot
 * @t: the table
 * @session: its session
 * @slot: its slot
 * @result: what its reply said
 *
 * It is forgotten when the next request of the slot begins.
 */
void weft_slots_keep(struct weft_slots *t, uint64_t session, uint32_t slot, uint64_t result);

/**
 * weft_slots_kept() - was the outcome of this request remembered?
 * @t: the table
 * @session: its session
 * @slot: its slot, whose verdict was WEFT_SLOT_AGAIN
 * @result: out: the outcome
 *
 * Return: true: it need not run again.
 */
bool weft_slots_kept(struct weft_slots *t, uint64_t session, uint32_t slot, uint64_t *result);

/**
 * weft_slots_drop() - forget a session
 * @t: the table
 * @session: the session
 */
void weft_slots_drop(struct weft_slots *t, uint64_t session);

/**
 * weft_slots_expire() - forget sessions without a request since a moment and none running
 * @t: the table
 * @before: monotonic time in ns
 *
 * Return: how many were forgotten.
 */
unsigned int weft_slots_expire(struct weft_slots *t, uint64_t before);

/**
 * weft_slots_sessions() - number of sessions known
 * @t: the table
 *
 * Return: the count.
 */
unsigned int weft_slots_sessions(const struct weft_slots *t);

#endif
