/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the rpc layer share; nobody else includes this. */
#ifndef WEFT_COMMON_RPC_IMPL_H
#define WEFT_COMMON_RPC_IMPL_H

#include "common/rpc/client.h"
#include "common/rpc/server.h"
#include "common/rpc/transport.h"

#define RPC_HANDSHAKE_MS 5000
#define RPC_CREDITS_DEFAULT 64

/* auth.c */

/**
 * rpc_mac() - prove knowledge of the secret over both nonces
 * @secret: the secret
 * @len: its length
 * @label: who proves: "weft-server" or "weft-client"
 * @first: nonce of the other side
 * @second: own nonce
 * @mac: the proof
 *
 * Return: 0 or -ENOMEM.
 */
int rpc_mac(const void *secret, size_t len, const char *label, const uint8_t *first,
	    const uint8_t *second, uint8_t mac[WEFT_AUTH_MAC]);

/* Compares two proofs in constant time. */
bool rpc_mac_equal(const uint8_t *a, const uint8_t *b);

/* True when all bytes of a file system id are zero. */
bool rpc_fsid_unset(const uint8_t fsid[16]);

/* service.c */

/**
 * struct rpc_handover - a connection on its way to a service's loop
 * @xprt: the connection
 * @role: what the peer said it is
 * @peer: its address
 */
struct rpc_handover {
	struct weft_post post;
	struct weft_rpc_service *svc;
	struct weft_xprt_handle xprt;
	enum weft_role role;
	char peer[80];
};

/* Takes a connection over; frees @h. Context: any thread. */
void rpc_service_hand_over(struct weft_rpc_service *svc, struct rpc_handover *h);

uint32_t rpc_service_target(const struct weft_rpc_service *svc);
uint16_t rpc_service_credits(const struct weft_rpc_service *svc);

/* client.c and link.c */

enum call_state { CALL_IDLE, CALL_QUEUED, CALL_SENT, CALL_OVER };
enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_INIT, LINK_AUTH, LINK_UP };

struct call_list {
	struct weft_rpc_call *first, *last;
};

struct weft_rpc_client {
	struct weft_rpc_client_cfg cfg;
	void *secret;
	uint64_t next_id;
};

/**
 * struct weft_rpc_link - one connection of a peer
 * @timer: handshake timeout, or the pause before the next attempt; of a link that fell back to
 *	another kind of rail: the pause before, and the limit of, a probe
 * @addr: index of the address tried next
 * @home: the one of the kind that is preferred which this link begins with
 * @probe: after a fallback: tries whether @home can be connected; nothing is sent there
 * @leaving: it can: no more requests are sent, and when all are answered it goes there
 * @fails: attempts that failed and connections that broke since the last reply
 * @limit: requests that may be outstanding
 * @sent: calls whose reply is awaited, oldest first
 * @rx_call: bulk is being received for this call
 */
struct weft_rpc_link {
	struct weft_rpc_peer *peer;
	struct weft_xprt *xprt;
	enum link_state state;
	struct weft_timer timer;
	unsigned int addr, home;
	struct weft_xprt *probe;
	bool leaving;
	unsigned int fails;
	uint32_t limit, max_limit;
	uint32_t outstanding;
	uint64_t boot;
	uint8_t nonce[WEFT_AUTH_NONCE];
	uint8_t server_nonce[WEFT_AUTH_NONCE];
	struct call_list sent;
	struct weft_rpc_call *rx_call;
};

struct weft_rpc_peer {
	struct weft_rpc_client *client;
	uint32_t target;
	void *arg;
	struct weft_rpc_addr addrs[WEFT_RPC_ADDRS_MAX];
	unsigned int naddrs;
	struct call_list queue;
	struct weft_rpc_peer_stats stats;
	unsigned int nlinks;
	struct weft_rpc_link links[];
};

void call_list_add(struct call_list *l, struct weft_rpc_call *c);
void call_list_del(struct call_list *l, struct weft_rpc_call *c);

/* Sends queued calls on the links that are up, as far as credits allow. */
void rpc_peer_pump(struct weft_rpc_peer *p);
/* The calls of a broken link go back to the queue, to be replayed. */
void rpc_peer_requeue(struct weft_rpc_link *l);
/* Ends the waiting calls that an unsuccessful attempt ends: NO_WAIT ones, or all. */
void rpc_peer_fail(struct weft_rpc_peer *p, bool all, int err, uint32_t status);
/* A reply has come for a call of this link. */
void rpc_call_replied(struct weft_rpc_link *l, struct weft_rpc_call *c, struct weft_msg *m);

void rpc_link_init(struct weft_rpc_peer *p, struct weft_rpc_link *l, unsigned int addr);
/* Begins to connect when it is down. */
void rpc_link_kick(struct weft_rpc_link *l, bool now);
/* A reply has come: if it was the last one that a link which is leaving waited for, it goes. */
void rpc_link_settle(struct weft_rpc_link *l);
/* Closes the connection; its calls are requeued; connects again when there is work. */
void rpc_link_break(struct weft_rpc_link *l, const char *why, int err);
/* Closes the connection for good; its calls go back to the queue. */
void rpc_link_fini(struct weft_rpc_link *l);

#endif
