// SPDX-License-Identifier: Apache-2.0
/*
 * The state machine: dispatch of commands, the small ones, and lookups.
 *
 * A command either changes the state and bumps the epoch, or is refused with a sentence and changes
 * nothing. Only short memory and an unknown command are errors; the caller then ends the process,
 * because the state may be half changed; the log still has everything.
 */
#include "mgmt/state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/internal.h"
#include "proto/map.h"

#define SNAPSHOT_VERSION 1

void mgmt_refuse(struct mgmt_result *res, int err, const char *fmt, ...)
{
	va_list ap;

	res->err = err;
	va_start(ap, fmt);
	vsnprintf(res->message, sizeof(res->message), fmt, ap);
	va_end(ap);
}

int mgmt_grow(void *array, size_t *n, void *elem)
{
	void **old, **p;

	memcpy(&old, array, sizeof(old));
	p = realloc(old, (*n + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	p[(*n)++] = elem;
	memcpy(array, &p, sizeof(p));
	return 0;
}

int mgmt_bytes(ProtobufCBinaryData *field, const void *data, size_t len)
{
	uint8_t *p = malloc(len);

	if (!p)
		return -ENOMEM;
	memcpy(p, data, len);
	free(field->data);
	field->data = p;
	field->len = len;
	return 0;
}

int mgmt_string(char **field, const char *s)
{
	char *p = strdup(s);

	if (!p)
		return -ENOMEM;
	if (*field != protobuf_c_empty_string)
		free(*field);
	*field = p;
	return 0;
}

int mgmt_state_init(struct mgmt_state *st)
{
	st->s = malloc(sizeof(*st->s));
	if (!st->s)
		return -ENOMEM;
	weft__snapshot__init(st->s);
	st->s->version = SNAPSHOT_VERSION;
	return 0;
}

void mgmt_state_fini(struct mgmt_state *st)
{
	if (st->s)
		weft__snapshot__free_unpacked(st->s, NULL);
	st->s = NULL;
}

static int apply_bootstrap(struct mgmt_state *st, const Weft__Bootstrap *req,
			   struct mgmt_result *res)
{
	int ret;

	if (st->s->fsid.len) {
		mgmt_refuse(res, -EEXIST, "file system %s exists already", st->s->name);
		return 0;
	}
	if (req->fsid.len != 16 || strlen(req->name) > 31) {
		mgmt_refuse(res, -EINVAL, "wrong file system id or name");
		return 0;
	}
	ret = mgmt_bytes(&st->s->fsid, req->fsid.data, 16);
	if (!ret)
		ret = mgmt_string(&st->s->name, req->name);
	st->s->epoch++;
	return ret;
}

static int apply_client(struct mgmt_state *st, const Weft__ClientRegister *req,
			struct mgmt_result *res)
{
	Weft__Snapshot *s = st->s;
	Weft__Client *c;

	res->id = mgmt_state_find_client(st, req->incarnation);
	if (res->id)
		return 0;
	if (s->n_clients == MGMT_CLIENTS_KEPT) {
		weft__client__free_unpacked(s->clients[0], NULL);
		memmove(s->clients, s->clients + 1, --s->n_clients * sizeof(*s->clients));
	}
	c = malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	weft__client__init(c);
	c->session = ++s->last_session;
	c->incarnation = req->incarnation;
	res->id = c->session;
	if (mgmt_string(&c->host, req->host) || mgmt_grow(&s->clients, &s->n_clients, c)) {
		weft__client__free_unpacked(c, NULL);
		return -ENOMEM;
	}
	return 0;
}

static int apply_root_made(struct mgmt_state *st, const Weft__RootMade *req,
			   struct mgmt_result *res)
{
	Weft__Snapshot *s = st->s;

	if (!s->n_shards || s->shards[0] != req->group) {
		mgmt_refuse(res, -EINVAL, "group %u does not own the root directory's shard",
			    req->group);
		return 0;
	}
	if (s->flags & WEFT_MAP_F_ROOT_PENDING) {
		s->flags &= ~WEFT_MAP_F_ROOT_PENDING;
		s->epoch++;
	}
	return 0;
}

int mgmt_state_apply(struct mgmt_state *st, const Weft__Command *cmd, struct mgmt_result *res)
{
	memset(res, 0, sizeof(*res));
	switch (cmd->op_case) {
	case WEFT__COMMAND__OP_BOOTSTRAP:
		return apply_bootstrap(st, cmd->bootstrap, res);
	case WEFT__COMMAND__OP_NODE_REGISTER:
		return mgmt_apply_register(st, cmd->node_register, res);
	case WEFT__COMMAND__OP_SET_LIVENESS:
		return mgmt_apply_liveness(st, cmd->set_liveness, res);
	case WEFT__COMMAND__OP_CLIENT_REGISTER:
		return apply_client(st, cmd->client_register, res);
	case WEFT__COMMAND__OP_FS_CREATE:
		return mgmt_apply_fs_create(st, cmd->fs_create, res);
	case WEFT__COMMAND__OP_FS_EXTEND:
		return mgmt_apply_fs_extend(st, res);
	case WEFT__COMMAND__OP_ROOT_MADE:
		return apply_root_made(st, cmd->root_made, res);
	default:
		return -EPROTO;
	}
}

int mgmt_state_apply_packed(struct mgmt_state *st, const void *buf, size_t len,
			    struct mgmt_result *res)
{
	Weft__Command *cmd = weft__command__unpack(NULL, len, buf);
	int ret;

	if (!cmd)
		return -EPROTO;
	ret = mgmt_state_apply(st, cmd, res);
	weft__command__free_unpacked(cmd, NULL);
	return ret;
}

Weft__Node *mgmt_state_node(const struct mgmt_state *st, uint32_t id)
{
	return id && id <= st->s->n_nodes ? st->s->nodes[id - 1] : NULL;
}

Weft__Target *mgmt_state_target(const struct mgmt_state *st, uint32_t id)
{
	return id && id <= st->s->n_targets ? st->s->targets[id - 1] : NULL;
}

Weft__Pool *mgmt_state_pool(const struct mgmt_state *st, uint32_t id)
{
	return id && id <= st->s->n_pools ? st->s->pools[id - 1] : NULL;
}

Weft__Node *mgmt_state_find_node(const struct mgmt_state *st, const char *name)
{
	size_t i;

	for (i = 0; i < st->s->n_nodes; i++)
		if (!strcmp(st->s->nodes[i]->name, name))
			return st->s->nodes[i];
	return NULL;
}

Weft__Target *mgmt_state_find_target(const struct mgmt_state *st, const uint8_t *uuid)
{
	size_t i;

	for (i = 0; i < st->s->n_targets; i++)
		if (!memcmp(st->s->targets[i]->uuid.data, uuid, 16))
			return st->s->targets[i];
	return NULL;
}

uint64_t mgmt_state_find_client(const struct mgmt_state *st, uint64_t incarnation)
{
	size_t i = st->s->n_clients;

	while (i--)
		if (st->s->clients[i]->incarnation == incarnation)
			return st->s->clients[i]->session;
	return 0;
}
