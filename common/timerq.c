// SPDX-License-Identifier: Apache-2.0
/*
 * Pairing heap of timers, linked through the timers themselves: starting is O(1), stopping and
 * firing O(log n) amortised, and nothing can fail.
 *
 * A timer's first child is @child, its next sibling @sibling; @prev is the sibling before it or, of
 * a first child, the parent. No locks: belongs to one loop.
 */
#include "common/timerq.h"

/* Makes the later of two roots the first child of the earlier. Return: the earlier. */
static struct weft_timer *meld(struct weft_timer *a, struct weft_timer *b)
{
	struct weft_timer *first = a->expires <= b->expires ? a : b;
	struct weft_timer *second = first == a ? b : a;

	second->prev = first;
	second->sibling = first->child;
	if (first->child)
		first->child->prev = second;
	first->child = second;
	first->prev = first->sibling = NULL;
	return first;
}

/* Makes one heap of a list of siblings: in pairs from the left, then all pairs. */
static struct weft_timer *meld_list(struct weft_timer *list)
{
	struct weft_timer *pairs = NULL, *a, *b, *root = NULL;

	while ((a = list)) {
		b = a->sibling;
		list = b ? b->sibling : NULL;
		if (b)
			a = meld(a, b);
		a->sibling = pairs;
		pairs = a;
	}
	while ((a = pairs)) {
		pairs = a->sibling;
		a->prev = a->sibling = NULL;
		root = root ? meld(root, a) : a;
	}
	return root;
}

void weft_timerq_add(struct weft_timerq *q, struct weft_timer *t)
{
	weft_timerq_del(q, t);
	t->pos = 0;
	t->child = t->sibling = t->prev = NULL;
	q->root = q->root ? meld(q->root, t) : t;
	q->n++;
}

void weft_timerq_del(struct weft_timerq *q, struct weft_timer *t)
{
	struct weft_timer *rest;

	if (t->pos < 0)
		return;
	t->pos = -1;
	q->n--;
	rest = meld_list(t->child);
	if (t == q->root) {
		q->root = rest;
		return;
	}
	if (t->prev->child == t)
		t->prev->child = t->sibling;
	else
		t->prev->sibling = t->sibling;
	if (t->sibling)
		t->sibling->prev = t->prev;
	if (rest)
		q->root = meld(q->root, rest);
}

struct weft_timer *weft_timerq_next(const struct weft_timerq *q)
{
	return q->root;
}

void weft_timerq_fini(struct weft_timerq *q)
{
	while (q->root)
		weft_timerq_del(q, q->root);
}
