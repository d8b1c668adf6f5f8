/* SPDX-License-Identifier: Apache-2.0 */
/* A server with one service and a client on one loop, for the tests of the rpc layer. */
#ifndef WEFT_TESTS_UNIT_RPC_FIXTURE_H
#define WEFT_TESTS_UNIT_RPC_FIXTURE_H

#include <CUnit/Basic.h>

#include "common/env_uv.h"
#include "common/rpc/client.h"
#include "common/rpc/server.h"
#include "proto/ops.h"

#define FX_TARGET 7
#define FX_CONNS 16

/**
 * struct fixture - the pair
 * @held: GETATTR requests, which the service does not answer by itself
 * @runs: OBJ_WRITE requests that the handler saw
 * @reads: OBJ_READ requests that the handler saw
 * @stored: bulk of the last OBJ_WRITE; OBJ_READ gives it back
 * @pushes: MAP_PUSH messages that the client got
 */
struct fixture {
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_rpc_server *srv;
	struct weft_rpc_service *svc;
	struct weft_rpc_client *cl;
	struct weft_rpc_peer *peer;
	struct weft_rpc_conn *conn; /* the newest */
	struct weft_rpc_conn *conns[FX_CONNS];
	unsigned int nconns;
	struct weft_rpc_req *held;
	const char *server_secret, *client_secret;
	uint8_t server_fsid[16], client_fsid[16];
	uint32_t client_target;
	uint16_t port, credits;
	uint32_t stall_ms;
	uint32_t return_ms;
	unsigned int runs, reads, replays, pushes, waiting;
	struct weft_sg stored;
	struct weft_timer watchdog;
	bool stuck;
};

/* enum weft_rail_kind of all pairs that are started; RDMA is that of verbs_fake.h. */
extern unsigned int fx_kind;
/* Suites of the same tests on either. */
int fx_on_tcp(void);
int fx_on_rdma(void);

void fx_start(struct fixture *f);
void fx_server_start(struct fixture *f);
void fx_server_stop(struct fixture *f);
void fx_stop(struct fixture *f);

/* Begins a call whose end fx_wait() waits for. */
int fx_call(struct fixture *f, struct weft_rpc_call *c, uint16_t opcode);
/* Runs the loop until all calls are over, or 10 s have passed (stuck). */
void fx_wait(struct fixture *f);
/* A PING and its reply: what was sent before has arrived. */
void fx_ping(struct fixture *f);
/* Runs the loop until *value reaches @at_least. */
void fx_until(struct fixture *f, const unsigned int *value, unsigned int at_least);

#endif
