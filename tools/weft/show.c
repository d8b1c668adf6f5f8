// SPDX-License-Identifier: Apache-2.0
/*
 * weft status, df and the lists: one request to management, shown as a table or as JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/target.h"
#include "common/uuid.h"
#include "proto/map.h"
#include "proto/mgmtops.h"
#include "tools/weft/weft.h"

static const char *state_name(bool up)
{
	return up ? "up" : "down";
}

static json_t *uuid_json(const ProtobufCBinaryData *b)
{
	char text[WEFT_UUID_STR];

	return b->len == 16 ? json_string(weft_uuid_format(b->data, text)) : json_null();
}

static int print_rows(const struct weft_cmd *cmd, json_t *rows, const struct weft_column *columns)
{
	int ret = weft_report_rows(rows, columns, cmd->json);

	json_decref(rows);
	return ret ? weft_say(WEFT_EXIT_FAILED, "cannot write: %s", strerror(-ret)) : 0;
}

/* One row of a list. Return: its object, or NULL: it is left out. */
typedef json_t *list_row(const Weft__Listing *l, size_t i);

/* struct list - a list command: @count of a listing's things, each a @row, shown in @columns */
struct list {
	const struct weft_column *columns;
	size_t (*count)(const Weft__Listing *l);
	list_row *row;
	bool clients;
};

static int show_list(struct weft_cmd *cmd, int argc, char **argv, const struct list *list)
{
	Weft__AdminReply *rep;
	json_t *rows, *row;
	size_t i, n;
	int status;

	if (!weft_no_arguments(cmd, argc, argv, &status))
		return status;
	status = weft_ask_listing(cmd, list->clients, &rep);
	if (status)
		return status;
	rows = json_array();
	n = list->count(rep->listing);
	for (i = 0; i < n; i++) {
		row = list->row(rep->listing, i);
		if (row)
			json_array_append_new(rows, row);
	}
	weft__admin_reply__free_unpacked(rep, NULL);
	return print_rows(cmd, rows, list->columns);
}

/* ---- nodes */

static json_t *rails_json(const Weft__Node *n)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char host[INET6_ADDRSTRLEN], text[128];
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < n->n_rails; i++) {
		const Weft__Rail *r = n->rails[i];
		const char *kind = r->kind == WEFT_RAIL_RDMA ? "rdma" : "tcp";

		if (r->addr.len != 16)
			continue;
		if (!memcmp(r->addr.data, mapped, sizeof(mapped)))
			snprintf(text, sizeof(text), "%s://%s:%u", kind,
				 inet_ntop(AF_INET, r->addr.data + 12, host, sizeof(host)),
				 r->port);
		else
			snprintf(text, sizeof(text), "%s://[%s]:%u", kind,
				 inet_ntop(AF_INET6, r->addr.data, host, sizeof(host)), r->port);
		json_array_append_new(a, json_string(text));
	}
	return a;
}

static size_t node_count(const Weft__Listing *l)
{
	return l->n_nodes;
}

static json_t *node_row(const Weft__Listing *l, size_t i)
{
	const Weft__Node *n = l->nodes[i];
	json_t *row = json_pack("{s:I, s:s, s:s, s:s, s:o, s:o}", "id", (json_int_t)n->id, "name",
				n->name, "state", state_name(n->up), "domain", n->domain,
				"addresses", rails_json(n), "uuid", uuid_json(&n->uuid));

	if (row && i < l->n_silent_ms)
		json_object_set_new(row, "silent_ms", json_integer(l->silent_ms[i]));
	return row;
}

int weft_cmd_node_list(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct weft_column columns[] = {
		{ "id", "ID", 0 },	   { "name", "NAME", 0 },
		{ "state", "STATE", 0 },   { "addresses", "ADDRESSES", 0 },
		{ "domain", "DOMAIN", 0 }, { "silent_ms", "SILENT-MS", 0 },
		{ NULL, NULL, 0 },
	};
	static const struct list list = { columns, node_count, node_row, false };

	return show_list(cmd, argc, argv, &list);
}

/* ---- targets */

static size_t target_count(const Weft__Listing *l)
{
	return l->n_targets;
}

static json_t *target_row(const Weft__Listing *l, size_t i)
{
	const Weft__Target *t = l->targets[i];
	const Weft__TargetUsage *u = weft_usage_of(l, t->id);
	const Weft__Node *n = weft_node_of(l, t->node);
	uint32_t group = weft_group_of(l, t->id);
	json_t *row;

	row = json_pack("{s:I, s:s, s:s, s:s, s:I, s:o}", "id", (json_int_t)t->id, "type",
			weft_target_kind_name(t->kind), "state", state_name(t->up), "node",
			n ? n->name : "-", "capacity", (json_int_t)t->capacity, "uuid",
			uuid_json(&t->uuid));
	if (row && t->pool)
		json_object_set_new(row, "pool", json_string(weft_pool_name(l, t->pool)));
	if (row && group)
		json_object_set_new(row, "group", json_integer(group));
	if (row && u) {
		json_object_set_new(row, "used", json_integer(u->bytes_used));
		if (t->kind == WEFT_MDT)
			json_object_set_new(row, "inodes", json_integer(u->inodes_used));
	}
	return row;
}

int weft_cmd_target_list(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct weft_column columns[] = {
		{ "id", "ID", 0 },
		{ "type", "TYPE", 0 },
		{ "state", "STATE", 0 },
		{ "node", "NODE", 0 },
		{ "group", "GROUP", 0 },
		{ "pool", "POOL", 0 },
		{ "capacity", "CAPACITY", WEFT_AS_BYTES },
		{ "used", "USED", WEFT_AS_BYTES },
		{ "inodes", "INODES", 0 },
		{ "uuid", "UUID", 0 },
		{ NULL, NULL, 0 },
	};
	static const struct list list = { columns, target_count, target_row, false };

	return show_list(cmd, argc, argv, &list);
}

/* ---- groups */

static const char *member_state(uint32_t state)
{
	static const char *const names[] = { "offline", "in-sync", "syncing", "last" };

	return state < 4 ? names[state] : "?";
}

/* Members as "target:state@node". */
static json_t *members_json(const Weft__Listing *l, const Weft__Group *g)
{
	json_t *a = json_array();
	char text[160];
	size_t i;

	for (i = 0; i < g->n_members; i++) {
		const Weft__Target *t = weft_target_of(l, g->members[i]->target);
		const Weft__Node *n = t ? weft_node_of(l, t->node) : NULL;

		snprintf(text, sizeof(text), "%u:%s@%s", g->members[i]->target,
			 member_state(g->members[i]->state), n ? n->name : "?");
		json_array_append_new(a, json_string(text));
	}
	return a;
}

static size_t group_count(const Weft__Listing *l)
{
	return l->n_groups;
}

static json_t *group_row(const Weft__Listing *l, size_t i)
{
	const Weft__Group *g = l->groups[i];
	json_t *row = json_pack("{s:I, s:s, s:I, s:o}", "id", (json_int_t)g->id, "type",
				weft_target_kind_name(g->kind), "epoch", (json_int_t)g->epoch,
				"members", members_json(l, g));

	if (row && g->kind == WEFT_MDT && i < l->n_group_shards)
		json_object_set_new(row, "shards", json_integer(l->group_shards[i]));
	return row;
}

int weft_cmd_group_list(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct weft_column columns[] = {
		{ "id", "ID", 0 },	   { "type", "TYPE", 0 },
		{ "epoch", "EPOCH", 0 },   { "members", "MEMBERS", 0 },
		{ "shards", "SHARDS", 0 }, { NULL, NULL, 0 },
	};
	static const struct list list = { columns, group_count, group_row, false };

	return show_list(cmd, argc, argv, &list);
}

/* ---- pools */

static size_t pool_count(const Weft__Listing *l)
{
	return l->n_pools;
}

static json_t *pool_row(const Weft__Listing *l, size_t i)
{
	const Weft__Pool *p = l->pools[i];
	json_t *groups = json_array();
	char redundancy[32];
	size_t j;

	for (j = 0; j < p->n_groups; j++)
		json_array_append_new(groups, json_integer(p->groups[j]));
	if (p->redundancy == WEFT_EC)
		snprintf(redundancy, sizeof(redundancy), "ec %u+%u", p->k, p->m);
	else
		snprintf(redundancy, sizeof(redundancy), "replica %u", p->k);
	return json_pack("{s:I, s:s, s:s, s:I, s:o}", "id", (json_int_t)p->id, "name", p->name,
			 "redundancy", redundancy, "chunk_size",
			 (json_int_t)1 << (p->chunk_shift & 31), "groups", groups);
}

int weft_cmd_pool_list(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct weft_column columns[] = {
		{ "id", "ID", 0 },
		{ "name", "NAME", 0 },
		{ "redundancy", "REDUNDANCY", 0 },
		{ "chunk_size", "CHUNK", WEFT_AS_BYTES },
		{ "groups", "GROUPS", 0 },
		{ NULL, NULL, 0 },
	};
	static const struct list list = { columns, pool_count, pool_row, false };

	return show_list(cmd, argc, argv, &list);
}

/* ---- clients */

/* Those that registered lately, then those that are connected: old ones have no registration. */
static size_t client_count(const Weft__Listing *l)
{
	return l->n_clients + l->n_client_states;
}

static const char *client_host(const Weft__Listing *l, uint64_t session)
{
	size_t i;

	for (i = 0; i < l->n_clients; i++)
		if (l->clients[i]->session == session)
			return l->clients[i]->host;
	return NULL;
}

static const Weft__ClientState *client_state(const Weft__Listing *l, uint64_t session)
{
	size_t i;

	for (i = 0; i < l->n_client_states; i++)
		if (l->client_states[i]->session == session)
			return l->client_states[i];
	return NULL;
}

/* By the flags of its last MAP_GET; "-": it is connected to no server of data or metadata. */
static const char *transport_name(uint32_t flags)
{
	static const char *const names[] = { "-", "tcp", "rdma", "tcp+rdma" };

	if (flags & WEFT_MAP_FALLEN_BACK)
		return flags & WEFT_MAP_BY_RDMA ? "rdma, tcp (fallback)" : "tcp (fallback)";
	return names[!!(flags & WEFT_MAP_BY_TCP) + 2 * !!(flags & WEFT_MAP_BY_RDMA)];
}

static json_t *client_row(const Weft__Listing *l, size_t i)
{
	const Weft__ClientState *s;
	const char *host = NULL;
	uint64_t session;

	if (i < l->n_clients) {
		session = l->clients[i]->session;
		host = l->clients[i]->host;
		s = client_state(l, session);
	} else {
		s = l->client_states[i - l->n_clients];
		session = s->session;
		if (client_host(l, session))
			return NULL;
	}
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:b}", "session", (json_int_t)session,
			 "host", host ? host : "-", "state", s ? "connected" : "gone", "address",
			 s ? s->address : "-", "transport", s ? transport_name(s->transport) : "-",
			 "fallbacks", (json_int_t)(s ? s->fallbacks : 0), "fallen_back",
			 s && s->transport & WEFT_MAP_FALLEN_BACK);
}

int weft_cmd_client_list(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct weft_column columns[] = {
		{ "session", "SESSION", 0 },
		{ "host", "HOST", 0 },
		{ "state", "STATE", 0 },
		{ "address", "ADDRESS", 0 },
		{ "transport", "TRANSPORT", 0 },
		{ "fallbacks", "FALLBACKS", 0 },
		{ NULL, NULL, 0 },
	};
	static const struct list list = { columns, client_count, client_row, true };

	return show_list(cmd, argc, argv, &list);
}

/* ---- space */

static size_t df_count(const Weft__Listing *l)
{
	return l->n_pools + 1;
}

/* Of pools of one name the last one is for new files; it has all groups. */
static bool newest(const Weft__Listing *l, size_t i)
{
	size_t j;

	for (j = i + 1; j < l->n_pools; j++)
		if (!strcmp(l->pools[i]->name, l->pools[j]->name))
			return false;
	return true;
}

/* Sums up the targets of a pool, last of all those of metadata (pool 0). */
static json_t *df_row(const Weft__Listing *l, size_t at)
{
	uint32_t pool = at < l->n_pools ? l->pools[at]->id : 0;
	const char *name = pool ? l->pools[at]->name : "(metadata)";
	uint64_t total = 0, used = 0, inodes = 0, inodes_used = 0;
	unsigned int silent = 0;
	size_t i;
	json_t *row;

	if (pool && !newest(l, at))
		return NULL;
	for (i = 0; i < l->n_targets; i++) {
		const Weft__Target *t = l->targets[i];
		const Weft__TargetUsage *u = weft_usage_of(l, t->id);

		if (pool ? t->pool != pool : t->kind != WEFT_MDT || !weft_group_of(l, t->id))
			continue;
		silent += !u;
		if (!u)
			continue;
		total += u->bytes_total;
		used += u->bytes_used;
		inodes += u->inodes_total;
		inodes_used += u->inodes_used;
	}
	row = json_pack("{s:s, s:I, s:I, s:I, s:I}", "pool", name, "size", (json_int_t)total,
			"used", (json_int_t)used, "available",
			(json_int_t)(total > used ? total - used : 0), "not_reported",
			(json_int_t)silent);
	if (row && !pool) {
		json_object_set_new(row, "inodes", json_integer(inodes));
		json_object_set_new(row, "inodes_used", json_integer(inodes_used));
	}
	return row;
}

int weft_cmd_df(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct weft_column columns[] = {
		{ "pool", "POOL", 0 },
		{ "size", "SIZE", WEFT_AS_BYTES },
		{ "used", "USED", WEFT_AS_BYTES },
		{ "available", "AVAILABLE", WEFT_AS_BYTES },
		{ "inodes", "INODES", 0 },
		{ "inodes_used", "INODES-USED", 0 },
		{ "not_reported", "NOT-REPORTED", 0 },
		{ NULL, NULL, 0 },
	};
	static const struct list list = { columns, df_count, df_row, false };

	return show_list(cmd, argc, argv, &list);
}

/* ---- status */

static const char *health(const Weft__Status *s)
{
	if (!s->active)
		return "not laid out yet (weft fs create)";
	if (s->root_pending)
		return "waiting for the metadata server to make the root directory";
	if (s->nodes_up < s->nodes || s->targets_up < s->targets)
		return "degraded: servers are down";
	return "ok";
}

int weft_cmd_status(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct weft_column lines[] = {
		{ "name", "file system", 0 },
		{ "fsid", "id", 0 },
		{ "health", "health", 0 },
		{ "epoch", "map epoch", 0 },
		{ "leader", "management", 0 },
		{ "nodes_up", "servers up", 0 },
		{ "nodes", "servers", 0 },
		{ "targets_up", "targets up", 0 },
		{ "targets", "targets", 0 },
		{ "groups", "groups", 0 },
		{ "shards", "virtual shards", 0 },
		{ "sessions", "mounts so far", 0 },
		{ "bytes_total", "size", WEFT_AS_BYTES },
		{ "bytes_used", "used", WEFT_AS_BYTES },
		{ "inodes_used", "inodes", 0 },
		{ NULL, NULL, 0 },
	};
	Weft__AdminReply *rep;
	const Weft__Status *s;
	json_t *o;
	bool ok;
	int status;

	if (!weft_no_arguments(cmd, argc, argv, &status))
		return status;
	status = weft_ask_status(cmd, &rep);
	if (status)
		return status;
	s = rep->status;
	ok = !strcmp(health(s), "ok");
	o = json_pack("{s:s, s:o, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I, "
		      "s:I, s:I, s:I, s:I, s:I}",
		      "name", s->name, "fsid", uuid_json(&s->fsid), "health", health(s), "epoch",
		      (json_int_t)s->epoch, "leader", s->leader, "nodes", (json_int_t)s->nodes,
		      "nodes_up", (json_int_t)s->nodes_up, "targets", (json_int_t)s->targets,
		      "targets_up", (json_int_t)s->targets_up, "groups", (json_int_t)s->groups,
		      "shards", (json_int_t)s->shards, "sessions", (json_int_t)s->sessions,
		      "active", s->active, "root_pending", s->root_pending, "lease_ms",
		      (json_int_t)s->lease_ms, "raft_index", (json_int_t)s->raft_index,
		      "bytes_total", (json_int_t)s->bytes_total, "bytes_used",
		      (json_int_t)s->bytes_used, "inodes_total", (json_int_t)s->inodes_total,
		      "inodes_used", (json_int_t)s->inodes_used);
	weft__admin_reply__free_unpacked(rep, NULL);
	status = o && !weft_report_object(o, lines, cmd->json) ?
		0 :
		weft_say(WEFT_EXIT_FAILED, "status cannot be shown");
	json_decref(o);
	return status ? status : ok ? WEFT_EXIT_OK : WEFT_EXIT_FAILED;
}
