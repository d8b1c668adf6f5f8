// SPDX-License-Identifier: Apache-2.0
/*
 * Binary heap of timers; each timer knows its place, so that stopping one is O(log n).
 *
 * The only failure is lack of memory while the heap grows: abort(), as there is nobody to tell.
 * No locks: belongs to one loop.
 */
#include "common/timerq.h"

#include <stdlib.h>

static void place(struct weft_timerq *q, int i, struct weft_timer *t)
{
	q->heap[i] = t;
	t->pos = i;
}

static void sift_up(struct weft_timerq *q, int i, struct weft_timer *t)
{
	while (i > 0 && q->heap[(i - 1) / 2]->expires > t->expires) {
		place(q, i, q->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(q, i, t);
}

static void sift_down(struct weft_timerq *q, int i, struct weft_timer *t)
{
	int child;

	while ((child = 2 * i + 1) < q->n) {
		if (child + 1 < q->n && q->heap[child + 1]->expires < q->heap[child]->expires)
			child++;
		if (q->heap[child]->expires >= t->expires)
			break;
		place(q, i, q->heap[child]);
		i = child;
	}
	place(q, i, t);
}

void weft_timerq_add(struct weft_timerq *q, struct weft_timer *t)
{
	weft_timerq_del(q, t);
	if (q->n == q->cap) {
		q->cap = q->cap ? 2 * q->cap : 64;
		q->heap = realloc(q->heap, q->cap * sizeof(*q->heap));
		if (!q->heap)
			abort();
	}
	sift_up(q, q->n++, t);
}

void weft_timerq_del(struct weft_timerq *q, struct weft_timer *t)
{
	struct weft_timer *last;
	int i = t->pos;

	if (i < 0)
		return;
	t->pos = -1;
	last = q->heap[--q->n];
	if (last == t)
		return;
	if (i > 0 && q->heap[(i - 1) / 2]->expires > last->expires)
		sift_up(q, i, last);
	else
		sift_down(q, i, last);
}

struct weft_timer *weft_timerq_next(const struct weft_timerq *q)
{
	return q->n ? q->heap[0] : NULL;
}

void weft_timerq_fini(struct weft_timerq *q)
{
	while (q->n)
		q->heap[--q->n]->pos = -1;
	free(q->heap);
	q->heap = NULL;
	q->cap = 0;
}
