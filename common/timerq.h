/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of timers: a pairing heap, for implementations of struct weft_env. It allocates nothing:
 * starting a timer cannot fail.
 *
 * Protection: none; belongs to one loop.
 */
#ifndef WEFT_COMMON_TIMERQ_H
#define WEFT_COMMON_TIMERQ_H

#include "common/env.h"

/**
 * struct weft_timerq - the queue, zeroed at first
 * @root: the earliest one
 * @n: timers in it
 */
struct weft_timerq {
	struct weft_timer *root;
	int n;
};

/**
 * weft_timerq_add() - put a timer in, or move it
 * @q: the queue
 * @t: the timer with expires set
 */
void weft_timerq_add(struct weft_timerq *q, struct weft_timer *t);

/**
 * weft_timerq_del() - take a timer out (harmless when it is not in)
 * @q: the queue
 * @t: the timer
 */
void weft_timerq_del(struct weft_timerq *q, struct weft_timer *t);

/**
 * weft_timerq_next() - the earliest one
 * @q: the queue
 *
 * Return: the timer or NULL.
 */
struct weft_timer *weft_timerq_next(const struct weft_timerq *q);

/**
 * weft_timerq_fini() - disarm all timers
 * @q: the queue, empty afterwards
 */
void weft_timerq_fini(struct weft_timerq *q);

#endif
