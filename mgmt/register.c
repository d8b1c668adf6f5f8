// SPDX-License-Identifier: Apache-2.0
/*
 * Nodes and targets: registration, and being up or down.
 *
 * A node is known by its name, a target by its uuid; both keep their ids for ever. A node that
 * registers brings its rails and targets up to date and is up; what it had before and no longer
 * names is down. A target moves to the node that registers it, unless the node that had it is up.
 * A name is refused while a node that is up has it and shares no target with the newcomer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/uuid.h"
#include "mgmt/internal.h"
#include "proto/hash.h"
#include "proto/map.h"

/* Names and domains go into maps, tables and logs: printable ASCII without blanks. */
static bool text_ok(const char *s, size_t max, const char *more)
{
	size_t i;

	for (i = 0; s[i]; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		      (s[i] >= '0' && s[i] <= '9') || strchr(more, s[i])))
			return false;
	return i <= max;
}

static bool request_ok(const Weft__NodeRegister *req, struct mgmt_result *res)
{
	size_t i;

	if (!req->name[0] || !text_ok(req->name, 63, "._-"))
		mgmt_refuse(res, -EINVAL,
			    "node name must be 1 to 63 letters, digits, '.', '_' or '-'");
	else if (!text_ok(req->domain, 63, "._-/:"))
		mgmt_refuse(res, -EINVAL, "wrong fault domain; it looks like row1/rack2");
	else if (!req->n_rails || req->n_rails > MGMT_RAILS_MAX)
		mgmt_refuse(res, -EINVAL, "a node has 1 to %d addresses", MGMT_RAILS_MAX);
	else if (!req->n_targets)
		mgmt_refuse(res, -EINVAL, "node %s has no targets", req->name);
	for (i = 0; i < req->n_rails && !res->err; i++) {
		const Weft__Rail *r = req->rails[i];

		if (r->addr.len != 16 || !r->port || r->port > 65535 ||
		    (r->kind != WEFT_RAIL_TCP && r->kind != WEFT_RAIL_RDMA))
			mgmt_refuse(res, -EINVAL, "address %zu of node %s is wrong", i + 1,
				    req->name);
	}
	return !res->err;
}

static bool target_ok(const struct mgmt_state *st, const Weft__RegisterTarget *t,
		      const Weft__Node *self, struct mgmt_result *res)
{
	char text[WEFT_UUID_STR], other[WEFT_UUID_STR];
	const Weft__Target *known;
	const Weft__Node *owner;

	if (t->uuid.len != 16 || t->fsid.len != 16 ||
		    (t->kind != WEFT_MDT && t->kind != WEFT_OST)) {
		mgmt_refuse(res, -EINVAL, "a target's id or type is wrong");
		return false;
	}
	weft_uuid_format(t->uuid.data, text);
	if (memcmp(t->fsid.data, st->s->fsid.data, 16)) {
		mgmt_refuse(res, -EXDEV, "target %s belongs to file system %s, this is %s", text,
			    weft_uuid_format(t->fsid.data, other), st->s->name);
		return false;
	}
	known = mgmt_state_find_target(st, t->uuid.data);
	if (!known)
		return true;
	owner = mgmt_state_node(st, known->node);
	if (known->kind != t->kind)
		mgmt_refuse(res, -EINVAL, "target %s has changed its type", text);
	else if (owner != self && owner->up)
		mgmt_refuse(res, -EBUSY, "target %s is served by node %s, which is up", text,
			    owner->name);
	return !res->err;
}

static bool may_register(const struct mgmt_state *st, const Weft__NodeRegister *req,
			 struct mgmt_result *res)
{
	const Weft__Node *self = mgmt_state_find_node(st, req->name);
	const Weft__Target *known;
	bool shared = false;
	size_t i, j;

	if (st->s->fsid.len != 16) {
		mgmt_refuse(res, -EAGAIN, "management has just begun; try again");
		return false;
	}
	for (i = 0; i < req->n_targets; i++) {
		if (!target_ok(st, req->targets[i], self, res))
			return false;
		for (j = 0; j < i; j++)
			if (!memcmp(req->targets[i]->uuid.data, req->targets[j]->uuid.data, 16))
				mgmt_refuse(res, -EINVAL, "a target is named twice");
		known = mgmt_state_find_target(st, req->targets[i]->uuid.data);
		shared |= self && known && known->node == self->id;
	}
	if (!res->err && self && self->up && !shared && self->boot != req->boot)
		mgmt_refuse(res, -EBUSY, "another running server is node %s", req->name);
	if (!self && st->s->n_nodes >= MGMT_NODES_MAX)
		mgmt_refuse(res, -ENOSPC, "there are %d nodes already", MGMT_NODES_MAX);
	if (st->s->n_targets + req->n_targets > MGMT_TARGETS_MAX)
		mgmt_refuse(res, -ENOSPC, "there are %zu targets already", st->s->n_targets);
	return !res->err;
}

static Weft__Node *add_node(struct mgmt_state *st, const char *name)
{
	Weft__Node *n = malloc(sizeof(*n));
	uint64_t id[2], fsid[2];

	if (!n)
		return NULL;
	weft__node__init(n);
	memcpy(fsid, st->s->fsid.data, sizeof(fsid));
	id[0] = weft_hash64(le64_to_cpu(fsid[0]), name, strlen(name));
	id[1] = weft_hash64(le64_to_cpu(fsid[1]), name, strlen(name));
	n->id = st->s->n_nodes + 1;
	if (mgmt_bytes(&n->uuid, id, sizeof(id)) || mgmt_string(&n->name, name) ||
	    mgmt_grow(&st->s->nodes, &st->s->n_nodes, n)) {
		weft__node__free_unpacked(n, NULL);
		return NULL;
	}
	return n;
}

static Weft__Target *add_target(struct mgmt_state *st, const Weft__RegisterTarget *req)
{
	Weft__Target *t = malloc(sizeof(*t));

	if (!t)
		return NULL;
	weft__target__init(t);
	t->id = st->s->n_targets + 1;
	t->kind = req->kind;
	if (mgmt_bytes(&t->uuid, req->uuid.data, 16) ||
	    mgmt_grow(&st->s->targets, &st->s->n_targets, t)) {
		weft__target__free_unpacked(t, NULL);
		return NULL;
	}
	return t;
}

static bool rails_equal(const Weft__Node *n, const Weft__NodeRegister *req)
{
	size_t i;

	if (n->n_rails != req->n_rails)
		return false;
	for (i = 0; i < n->n_rails; i++)
		if (n->rails[i]->kind != req->rails[i]->kind ||
		    n->rails[i]->port != req->rails[i]->port ||
		    memcmp(n->rails[i]->addr.data, req->rails[i]->addr.data, 16))
			return false;
	return true;
}

static int set_rails(Weft__Node *n, const Weft__NodeRegister *req)
{
	size_t i;

	for (i = 0; i < n->n_rails; i++)
		weft__rail__free_unpacked(n->rails[i], NULL);
	n->n_rails = 0;
	for (i = 0; i < req->n_rails; i++) {
		Weft__Rail *r = malloc(sizeof(*r));

		if (!r)
			return -ENOMEM;
		weft__rail__init(r);
		r->kind = req->rails[i]->kind;
		r->port = req->rails[i]->port;
		if (mgmt_bytes(&r->addr, req->rails[i]->addr.data, 16) ||
		    mgmt_grow(&n->rails, &n->n_rails, r)) {
			weft__rail__free_unpacked(r, NULL);
			return -ENOMEM;
		}
	}
	return 0;
}

static int set_node(Weft__Node *n, const Weft__NodeRegister *req, bool *changed)
{
	int ret = 0;

	if (!rails_equal(n, req)) {
		ret = set_rails(n, req);
		*changed = true;
	}
	if (!ret && strcmp(n->domain, req->domain)) {
		ret = mgmt_string(&n->domain, req->domain);
		*changed = true;
	}
	*changed |= !n->up;
	n->up = true;
	n->boot = req->boot;
	return ret;
}

static int set_targets(struct mgmt_state *st, const Weft__Node *n, const Weft__NodeRegister *req,
		       bool *changed)
{
	Weft__Target *t;
	size_t i, j;

	for (i = 0; i < req->n_targets; i++) {
		t = mgmt_state_find_target(st, req->targets[i]->uuid.data);
		if (!t)
			t = add_target(st, req->targets[i]);
		if (!t)
			return -ENOMEM;
		*changed |= t->node != n->id || !t->up || t->capacity != req->targets[i]->capacity;
		t->node = n->id;
		t->up = true;
		t->capacity = req->targets[i]->capacity;
	}
	for (i = 0; i < st->s->n_targets; i++) {
		t = st->s->targets[i];
		if (t->node != n->id || !t->up)
			continue;
		for (j = 0; j < req->n_targets; j++)
			if (!memcmp(t->uuid.data, req->targets[j]->uuid.data, 16))
				break;
		if (j < req->n_targets)
			continue;
		t->up = false;
		*changed = true;
	}
	return 0;
}

int mgmt_apply_register(struct mgmt_state *st, const Weft__NodeRegister *req,
			struct mgmt_result *res)
{
	bool changed = false;
	Weft__Node *n;
	int ret;

	if (!request_ok(req, res) || !may_register(st, req, res))
		return 0;
	n = mgmt_state_find_node(st, req->name);
	if (!n)
		n = add_node(st, req->name);
	if (!n)
		return -ENOMEM;
	res->id = n->id;
	ret = set_node(n, req, &changed);
	if (!ret)
		ret = set_targets(st, n, req, &changed);
	if (changed)
		st->s->epoch++;
	return ret;
}

int mgmt_apply_liveness(struct mgmt_state *st, const Weft__SetLiveness *req,
			struct mgmt_result *res)
{
	bool changed = false;
	Weft__Node *n;
	size_t i, j;

	(void)res;
	for (i = 0; i < req->n_nodes; i++) {
		n = mgmt_state_node(st, req->nodes[i]);
		if (!n || !!n->up == !!req->up)
			continue;
		changed = true;
		n->up = req->up;
		for (j = 0; j < st->s->n_targets; j++)
			if (st->s->targets[j]->node == n->id)
				st->s->targets[j]->up = req->up;
	}
	if (changed)
		st->s->epoch++;
	return 0;
}
