/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replicated state of management: what the commands of the raft log make of nothing.
 *
 * The state is kept in the form in which it is stored (the Snapshot of proto/mgmt.proto). Applying
 * the same commands to the same state gives the same result on every member: there is no clock, no
 * random number and no I/O in here. Node and target ids are dense: id n is at index n - 1.
 *
 * Protection: belongs to the loop of the management server.
 */
#ifndef WEFT_MGMT_STATE_H
#define WEFT_MGMT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mgmt.pb-c.h"

#define MGMT_NODES_MAX 4096
#define MGMT_TARGETS_MAX 16384
#define MGMT_RAILS_MAX 8 /* per node */
#define MGMT_CLIENTS_KEPT 4096 /* registrations that are remembered for lost replies */
#define MGMT_MESSAGE_MAX 256

/**
 * struct mgmt_state - the state
 * @s: its content; use the functions below to change it
 */
struct mgmt_state {
	Weft__Snapshot *s;
};

/**
 * struct mgmt_result - what a command came to
 * @err: 0, or the negative errno of a refusal; a refused command changed nothing
 * @message: why it was refused, a sentence
 * @id: id that was given or found: of the node, or of the client's session
 */
struct mgmt_result {
	int err;
	char message[MGMT_MESSAGE_MAX];
	uint64_t id;
};

/**
 * mgmt_state_init() - an empty state
 * @st: the state
 *
 * Return: 0 or -ENOMEM.
 */
int mgmt_state_init(struct mgmt_state *st);

/**
 * mgmt_state_fini() - free a state
 * @st: the state
 */
void mgmt_state_fini(struct mgmt_state *st);

/**
 * mgmt_state_apply() - apply a command
 * @st: the state
 * @cmd: the command
 * @res: what it came to
 *
 * Every change of what the cluster map shows makes the epoch one larger.
 *
 * Return: 0 (look at @res), -EPROTO for a command that this program does not know, -ENOMEM. After
 * an error the state is undefined: the process must end and begin again from the log.
 */
int mgmt_state_apply(struct mgmt_state *st, const Weft__Command *cmd, struct mgmt_result *res);

/**
 * mgmt_state_apply_packed() - as mgmt_state_apply(), for a command as it is in the log
 * @st: the state
 * @buf: the packed command
 * @len: its length
 * @res: what it came to
 *
 * Return: as mgmt_state_apply().
 */
int mgmt_state_apply_packed(struct mgmt_state *st, const void *buf, size_t len,
			    struct mgmt_result *res);

/**
 * mgmt_state_pack() - the snapshot of a state
 * @st: the state
 * @alloc: allocator of the result
 * @len: its length
 *
 * Return: the snapshot, or NULL when memory is short.
 */
void *mgmt_state_pack(const struct mgmt_state *st, void *(*alloc)(size_t size), size_t *len);

/**
 * mgmt_state_restore() - replace the state by a snapshot
 * @st: an initialised state, unchanged on failure
 * @buf: the snapshot
 * @len: its length
 *
 * Return: 0, -EBADMSG for a snapshot that makes no sense, -EPROTONOSUPPORT for a newer version.
 */
int mgmt_state_restore(struct mgmt_state *st, const void *buf, size_t len);

/* The record with an id, or NULL. */
Weft__Node *mgmt_state_node(const struct mgmt_state *st, uint32_t id);
Weft__Target *mgmt_state_target(const struct mgmt_state *st, uint32_t id);
Weft__Pool *mgmt_state_pool(const struct mgmt_state *st, uint32_t id);

/**
 * mgmt_state_find_node() - node of a name
 * @st: the state
 * @name: its name
 *
 * Return: the node or NULL.
 */
Weft__Node *mgmt_state_find_node(const struct mgmt_state *st, const char *name);

/**
 * mgmt_state_find_target() - target of a uuid
 * @st: the state
 * @uuid: its uuid, 16 bytes
 *
 * Return: the target or NULL.
 */
Weft__Target *mgmt_state_find_target(const struct mgmt_state *st, const uint8_t *uuid);

/**
 * mgmt_state_find_client() - a remembered registration
 * @st: the state
 * @incarnation: random number of the client
 *
 * Return: its session, 0 when there is none.
 */
uint64_t mgmt_state_find_client(const struct mgmt_state *st, uint64_t incarnation);

#endif
