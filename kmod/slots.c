// SPDX-License-Identifier: GPL-2.0
/*
 * Request slots: what makes a modifying request run exactly once.
 *
 * A slot carries one request at a time; each new one has the next sequence number. The request
 * keeps its slot over every retry and reconnect until its outcome is known, so that the server can
 * answer a repetition from what it stored, and can refuse a late duplicate. Requests that find no
 * free slot wait in the order of their coming.
 *
 * When a metadata server has forgotten the session (it was silent for very long), a request that
 * had already been sent once and lost may or may not have been carried out; nobody knows any more,
 * so it ends with -EIO rather than risk a second effect or a wrong answer.
 *
 * All functions run under fs->lock.
 */
#include "kmod/net.h"

void weft_slots_init(struct weft_slots *s, u32 count)
{
	s->count = count;
	INIT_LIST_HEAD(&s->waiting);
}

/**
 * weft_slots_take() - give a request a slot
 * @s: the slots
 * @rpc: a modifying request
 *
 * Return: true if it has one of @s now (or had before).
 */
bool weft_slots_take(struct weft_slots *s, struct weft_rpc *rpc)
{
	u32 i;

	if (rpc->slots == s)
		return true;
	weft_slots_release(rpc);
	i = find_first_zero_bit(s->busy, WEFT_SLOTS_MAX);
	if (i >= s->count)
		return false;
	__set_bit(i, s->busy);
	rpc->slots = s;
	rpc->slot = i;
	s->seq[i] = weft_slot_next(s->seq[i]);
	rpc->slot_seq = s->seq[i];
	return true;
}

/**
 * weft_slots_release() - take a request's slot away, if it has one
 * @rpc: the request; its outcome is known, or it was never sent
 *
 * The first waiting request goes on.
 */
void weft_slots_release(struct weft_rpc *rpc)
{
	struct weft_slots *s = rpc->slots;
	struct weft_rpc *next;

	if (!s)
		return;
	rpc->slots = NULL;
	if (!rpc->sent_at)
		s->seq[rpc->slot]--;
	__clear_bit(rpc->slot, s->busy);
	next = list_first_entry_or_null(&s->waiting, struct weft_rpc, node);
	if (!next)
		return;
	weft_route_leave(next);
	weft_route(next);
	if (next->place == WEFT_RPC_QUEUED)
		queue_work(weft_io_wq, &next->peer->kick);
}

/**
 * weft_slots_unknown() - end a request of which nobody knows whether it was carried out
 * @rpc: the request, in no list
 */
void weft_slots_unknown(struct weft_rpc *rpc)
{
	pr_warn_ratelimited("weft: session lost at group %u: outcome of %s is not known\n",
			    rpc->group, rpc->op->name);
	weft_rpc_end(rpc, -EIO);
}

/**
 * weft_slots_forgotten() - the server has no record of the session any more
 * @fs: the cluster
 * @s: the session's slots
 *
 * Slots keep their requests and their numbers go on: any number is new to the server, and a request
 * that is still on its way there does not meet a later one of the same number. One that is with a
 * connection may be answered yet; if that breaks it must not be repeated in the new session.
 */
void weft_slots_forgotten(struct weft_fs *fs, struct weft_slots *s)
{
	struct weft_rpc *rpc, *tmp;

	list_for_each_entry_safe(rpc, tmp, &fs->all, all_node) {
		if (rpc->slots != s)
			continue;
		if (rpc->place == WEFT_RPC_SENT) {
			rpc->forgotten = true;
		} else if (rpc->ambiguous) {
			weft_route_leave(rpc);
			weft_slots_unknown(rpc);
		}
	}
}
