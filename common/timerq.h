/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of timers: a binary heap of pointers, for implementations of struct weft_env.
 *
 * Protection: none; belongs to one loop.
 */
#ifndef WEFT_COMMON_TIMERQ_H
#define WEFT_COMMON_TIMERQ_H

#include "common/env.h"

/**
 * struct weft_timerq - the queue, zeroed at first
 * @heap: earliest first
 * @n: timers in it
 * @cap: room
 */
struct weft_timerq {
	struct weft_timer **heap;
	int n;
	int cap;
};

/**
 * weft_timerq_add() - put a timer in, or move it
 * @q: the queue
 * @t: the timer with expires set
 *
 * Memory that is missing here ends the process: a lost timer would be a silent hang.
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
 * weft_timerq_fini() - free the queue's memory
 * @q: the queue; timers that are in it are disarmed
 */
void weft_timerq_fini(struct weft_timerq *q);

#endif
