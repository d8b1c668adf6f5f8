// SPDX-License-Identifier: Apache-2.0
/*
 * Cutting and deleting the objects of one inode on all data groups that its layout uses.
 *
 * Happy path: one OBJ_TRUNCATE to each group, all at once; the sum of the bytes that were freed
 * comes back. A group that does not answer is waited for (the call is repeated through restarts and
 * map changes); a group that answers with an error is asked again after a pause: bytes that were
 * truncated must never come back. So is a pool or group that our map does not have waited for.
 * When all our slots are in use the rest waits for one.
 *
 * With a time-out (purges) nobody is waited for longer: silent groups are left out, and whoever
 * asked tries again.
 */
#include <stdlib.h>

#include "common/log.h"
#include "mds/mds.h"
#include "proto/data.h"

#define TRIM_SLOTS 256u
#define TRIM_RETRY_MS 500u

struct mds_trim_call {
	struct mds_call call;
	struct mds_trim *t;
	u32 group, slot;
	bool running, ok, left;
};

static bool slot_take(struct mds *m, u32 *slot)
{
	for (*slot = 0; *slot < TRIM_SLOTS; ++*slot) {
		if (!(m->trim_busy[*slot / 64] & 1ull << *slot % 64)) {
			m->trim_busy[*slot / 64] |= 1ull << *slot % 64;
			return true;
		}
	}
	return false;
}

static void slot_put(struct mds *m, u32 slot)
{
	m->trim_busy[slot / 64] &= ~(1ull << slot % 64);
}

static void trim_go(struct mds_trim *t);

static void trim_finish(void *arg)
{
	struct mds_trim *t = arg;

	t->done(t);
}

static void trim_later(void *arg)
{
	trim_go(arg);
}

static void trim_done(struct mds_call *call)
{
	struct mds_trim_call *c = call->arg;
	const struct weft_obj_rep *rep = call->rep;
	struct mds_trim *t = c->t;
	struct mds *m = t->m;

	slot_put(m, c->slot);
	c->running = false;
	t->pending--;
	if (t->heard && (!call->err || call->err == -ETIMEDOUT))
		t->heard(t, c->group, call->err);
	if (!call->err) {
		c->ok = true;
		t->bytes_delta += (s64)le64_to_cpu(rep->bytes_delta);
	} else if (t->timeout_ms && call->err == -ETIMEDOUT) {
		c->left = true;
		t->left++;
	} else {
		weft_warn_peer("a data server did not cut an object; trying again",
			       "ino=%#llx group=%u err=%d", (unsigned long long)t->ino, c->group,
			       call->err);
		t->err = call->err;
	}
	if (!t->pending && !m->failed) {
		u32 ms = t->err ? TRIM_RETRY_MS : 0;

		weft_timer_start(m->env, &t->timer, ms * WEFT_NS_PER_MS);
	}
}

static void trim_send(struct mds_trim *t, struct mds_trim_call *c)
{
	struct mds *m = t->m;
	struct weft_obj_req req = {
		.ino = cpu_to_le64(t->ino),
		.chunk = cpu_to_le64(t->size >> t->layout.chunk_shift),
		.off = cpu_to_le32(t->size & ((1ull << t->layout.chunk_shift) - 1)),
		.chunk_shift = t->layout.chunk_shift,
	};

	m->trim_seq[c->slot] = weft_slot_next(m->trim_seq[c->slot]);
	c->call = (struct mds_call){ .group = c->group, .opcode = WEFT_OP_OBJ_TRUNCATE,
				     .body = &req, .body_len = sizeof(req), .slot = c->slot,
				     .slot_seq = m->trim_seq[c->slot],
				     .timeout_ms = t->timeout_ms, .done = trim_done, .arg = c };
	c->running = true;
	t->pending++;
	m->cfg.net->call(m->cfg.net_arg, &c->call);
}

/* The groups that may hold chunks. Return: 0, -ENOMEM, -EAGAIN: our map does not have them. */
static int trim_groups(struct mds_trim *t)
{
	struct mds *m = t->m;
	const struct weft_map_pool *p = weft_map_pool(&m->map->view, le32_to_cpu(t->layout.pool));
	u32 k, j, group, width = le16_to_cpu(t->layout.width), n = p ? le32_to_cpu(p->ngroups) : 0;

	if (!n) {
		weft_warn_peer("the cluster map does not have a file's pool; trying again",
			       "ino=%#llx pool=%u", (unsigned long long)t->ino,
			       le32_to_cpu(t->layout.pool));
		return -EAGAIN;
	}
	if (!width || width > n)
		width = n;
	t->calls = calloc(width, sizeof(*t->calls));
	if (!t->calls)
		return -ENOMEM;
	for (k = 0; k < width; k++) {
		group = weft_map_chunk_group(&m->map->view, &t->layout, k);
		for (j = 0; j < t->ngroups && t->calls[j].group != group; j++)
			;
		if (j < t->ngroups)
			continue;
		t->calls[j].group = group;
		t->calls[j].t = t;
		t->ngroups++;
	}
	return 0;
}

/* Send what has not been done; when all is done, tell. */
static void trim_go(struct mds_trim *t)
{
	bool all = true;
	u32 k;

	if (!t->calls && trim_groups(t)) {
		weft_timer_start(t->m->env, &t->timer, TRIM_RETRY_MS * WEFT_NS_PER_MS);
		return;
	}
	t->err = 0;
	for (k = 0; k < t->ngroups; k++) {
		struct mds_trim_call *c = &t->calls[k];

		if (c->ok || c->running || c->left)
			continue;
		if (t->skip && t->skip(t, c->group)) {
			c->left = true;
			t->left++;
			continue;
		}
		all = false;
		if (!slot_take(t->m, &c->slot))
			break;
		trim_send(t, c);
	}
	if (all) {
		trim_finish(t);
	} else if (!t->pending) {
		weft_timer_start(t->m->env, &t->timer, 10 * WEFT_NS_PER_MS);
	}
}

void mds_trim_start(struct mds_trim *t)
{
	free(t->calls);
	t->calls = NULL;
	t->ngroups = t->pending = t->left = 0;
	t->bytes_delta = 0;
	t->timer.cb = trim_later;
	t->timer.arg = t;
	weft_timer_start(t->m->env, &t->timer, 0);
}

void mds_trim_fini(struct mds_trim *t)
{
	if (t->m)
		weft_timer_stop(t->m->env, &t->timer);
	free(t->calls);
	t->calls = NULL;
}
