// SPDX-License-Identifier: Apache-2.0
/*
 * What management knows: asked for in one request, things in its answer found by their ids. It
 * fails when management cannot be asked or answers something else; a message was printed then.
 */
#include <stdio.h>

#include "tools/weft/weft.h"

/* ---- asking */

int weft_ask_status(const struct weft_cmd *cmd, Weft__AdminReply **rep)
{
	Weft__StatusRequest s = WEFT__STATUS_REQUEST__INIT;
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	int status;

	q.op_case = WEFT__ADMIN_REQUEST__OP_STATUS;
	q.status = &s;
	status = weft_ask(cmd, &q, rep);
	if (status || (*rep)->op_case == WEFT__ADMIN_REPLY__OP_STATUS)
		return status;
	weft__admin_reply__free_unpacked(*rep, NULL);
	return weft_say(WEFT_EXIT_FAILED, "management's answer is not a status");
}

int weft_ask_listing(const struct weft_cmd *cmd, bool clients, Weft__AdminReply **rep)
{
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__ListRequest l = WEFT__LIST_REQUEST__INIT;
	int status;

	l.clients = clients;
	q.op_case = WEFT__ADMIN_REQUEST__OP_LIST;
	q.list = &l;
	status = weft_ask(cmd, &q, rep);
	if (status || (*rep)->op_case == WEFT__ADMIN_REPLY__OP_LISTING)
		return status;
	weft__admin_reply__free_unpacked(*rep, NULL);
	return weft_say(WEFT_EXIT_FAILED, "management's answer is not a list");
}

/* ---- finding */

const Weft__Node *weft_node_of(const Weft__Listing *l, uint32_t id)
{
	size_t i;

	for (i = 0; i < l->n_nodes; i++)
		if (l->nodes[i]->id == id)
			return l->nodes[i];
	return NULL;
}

const Weft__Target *weft_target_of(const Weft__Listing *l, uint32_t id)
{
	size_t i;

	for (i = 0; i < l->n_targets; i++)
		if (l->targets[i]->id == id)
			return l->targets[i];
	return NULL;
}

const Weft__TargetUsage *weft_usage_of(const Weft__Listing *l, uint32_t target)
{
	size_t i;

	for (i = 0; i < l->n_usage; i++)
		if (l->usage[i]->target == target)
			return l->usage[i];
	return NULL;
}

uint32_t weft_group_of(const Weft__Listing *l, uint32_t target)
{
	size_t i, j;

	for (i = 0; i < l->n_groups; i++)
		for (j = 0; j < l->groups[i]->n_members; j++)
			if (l->groups[i]->members[j]->target == target)
				return l->groups[i]->id;
	return 0;
}

const char *weft_pool_name(const Weft__Listing *l, uint32_t id)
{
	size_t i;

	for (i = 0; i < l->n_pools; i++)
		if (l->pools[i]->id == id)
			return l->pools[i]->name;
	return "-";
}
