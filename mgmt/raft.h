/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log on the C raft library, with its libuv I/O: segments and snapshots in one directory.
 *
 * Only main.c includes this; the server knows mgmt/log.h.
 */
#ifndef WEFT_MGMT_RAFT_H
#define WEFT_MGMT_RAFT_H

#include "common/env.h"
#include "mgmt/log.h"

#define MGMT_RAFT_MEMBERS_MAX 9
#define MGMT_RAFT_ERR_MAX 512

struct mgmt_raft;
struct uv_loop_s;

/**
 * struct mgmt_raft_cfg - a member
 * @env: the loop
 * @loop: the same, for the library
 * @dir: directory of the log, made when it is absent
 * @id: which member this is, from 1
 * @members: addresses "IP:port" of all members in the order of their ids
 * @nmembers: how many; one alone listens nowhere
 * @cb: callbacks
 * @arg: their first argument
 */
struct mgmt_raft_cfg {
	struct weft_env *env;
	struct uv_loop_s *loop;
	const char *dir;
	unsigned int id;
	const char *members[MGMT_RAFT_MEMBERS_MAX];
	unsigned int nmembers;
	const struct mgmt_log_cb *cb;
	void *arg;
};

/**
 * mgmt_raft_start() - open the log, restore the snapshot, take part
 * @cfg: the member
 * @out: the log
 * @err: a sentence when it fails
 *
 * A directory without a log is bootstrapped with @members as voters. @restore and @apply are
 * called from inside for what the log holds.
 *
 * Return: 0, -EUCLEAN when the log is damaged, or another negative errno.
 */
int mgmt_raft_start(const struct mgmt_raft_cfg *cfg, struct mgmt_raft **out,
		    char err[MGMT_RAFT_ERR_MAX]);

/**
 * mgmt_raft_log() - the log for the server
 * @r: the member
 *
 * Return: the log.
 */
struct mgmt_log *mgmt_raft_log(struct mgmt_raft *r);

/**
 * mgmt_raft_close() - take part no longer
 * @r: the member; freed before @done is called
 * @done: called when it is over; proposals under way have had their outcome before
 * @arg: argument of @done
 */
void mgmt_raft_close(struct mgmt_raft *r, void (*done)(void *arg), void *arg);

#endif
