/* SPDX-License-Identifier: Apache-2.0 */
/* Commands for the tests of the management state machine, each packed and applied in one call. */
#ifndef WEFT_TESTS_UNIT_MGMT_COMMANDS_H
#define WEFT_TESTS_UNIT_MGMT_COMMANDS_H

#include <CUnit/Basic.h>

#include "mgmt/state.h"
#include "proto/map.h"

extern const uint8_t cmd_fsid[16];

/* What a registration says; cmd_node() fills it with one rail and one target. */
struct cmd_target {
	uint8_t uuid[16];
	uint8_t fsid[16];
	uint32_t kind;
	uint64_t capacity;
};

struct cmd_node {
	const char *name, *domain;
	unsigned int nrails;
	uint32_t port;
	unsigned int ntargets;
	struct cmd_target targets[4];
	uint64_t boot;
};

/* A node @name with one target of @kind whose uuid begins with @id. */
struct cmd_node cmd_node(const char *name, uint32_t kind, uint8_t id);

/* Packs a registration into @buf. Return: its length. */
size_t cmd_pack_register(const struct cmd_node *n, uint8_t *buf);

/* Each returns res.err; a failed assertion when the command could not be applied at all. */
int cmd_bootstrap(struct mgmt_state *st);
int cmd_register(struct mgmt_state *st, const struct cmd_node *n, struct mgmt_result *res);
int cmd_liveness(struct mgmt_state *st, uint32_t node, bool up);
int cmd_client(struct mgmt_state *st, uint64_t incarnation, uint64_t *session);
int cmd_fs_extend(struct mgmt_state *st);
int cmd_fs_create(struct mgmt_state *st, uint32_t shards, uint32_t chunk_size,
		  uint32_t replicas);
int cmd_root_made(struct mgmt_state *st, uint32_t group);

/* A bootstrapped state with @mdts and @osts nodes of one target each, all up. */
void cmd_cluster(struct mgmt_state *st, unsigned int mdts, unsigned int osts);

#endif
