// SPDX-License-Identifier: GPL-2.0
/*
 * INIT and AUTH on a fresh connection.
 *
 * Normal course: INIT says which versions we speak, which file system and target we want; the
 * reply agrees on a version and says who the server is. With a secret both sides prove that they
 * know it: the server in its reply (a MAC over both nonces), we in AUTH. A client that was given a
 * secret does not talk to a server that does not ask for it.
 *
 * The very first contact with management does not know the file system id; it is learned there and
 * holds for the life of the mount. Nothing here is shared: it runs in the link's own work.
 */
#include <crypto/algapi.h>
#include <linux/random.h>
#include "kmod/handshake.h"
#include "kmod/net.h"

#define HANDSHAKE_TIMEOUT (10 * HZ)

/* Sends and waits. Return: 0 or a negative errno; the request may still be with the link then. */
static int handshake_call(struct weft_link *link, struct weft_rpc *rpc)
{
	rpc->flags |= WEFT_RPC_F_URGENT;
	weft_rpc_submit_on(rpc, link);
	if (!wait_for_completion_timeout(&rpc->finished, HANDSHAKE_TIMEOUT))
		return -ETIMEDOUT;
	return rpc->error;
}

/* Which file system is it? Management tells, the others have to agree. */
static int check_fsid(struct weft_link *link, const struct weft_init_rep *rep)
{
	struct weft_fs *fs = link->peer->fs;
	int ret = 0;

	spin_lock(&fs->lock);
	if (!fs->fsid_known && !link->peer->kind && memchr_inv(rep->fsid, 0, sizeof(rep->fsid))) {
		memcpy(fs->fsid, rep->fsid, sizeof(fs->fsid));
		fs->fsid_known = true;
	}
	if (fs->fsid_known && memcmp(fs->fsid, rep->fsid, sizeof(fs->fsid)))
		ret = -EXDEV;
	spin_unlock(&fs->lock);
	return ret;
}

static int handshake_auth(struct weft_link *link, const u8 *nonce, const struct weft_init_rep *rep)
{
	struct weft_fs *fs = link->peer->fs;
	struct weft_auth_req *req;
	struct weft_rpc *rpc;
	u8 mac[WEFT_AUTH_MAC];
	int ret;

	if (!(rep->flags & cpu_to_le16(WEFT_INIT_AUTH))) {
		if (!fs->secret_len)
			return 0;
		pr_err_ratelimited("weft: target %u knows no secret, but this mount has one\n",
				   link->peer->target);
		return -EKEYREJECTED;
	}
	if (!fs->secret_len)
		return -EKEYREJECTED;
	ret = weft_auth_mac(fs, "weft-server", nonce, rep->nonce, mac);
	if (ret)
		return ret;
	if (crypto_memneq(mac, rep->mac, sizeof(mac)))
		return -EKEYREJECTED;
	rpc = weft_rpc_alloc(fs, WEFT_OP_AUTH, 0, GFP_NOFS);
	if (!rpc)
		return -ENOMEM;
	req = rpc->body;
	ret = weft_auth_mac(fs, "weft-client", rep->nonce, nonce, req->mac);
	if (!ret)
		ret = handshake_call(link, rpc);
	weft_rpc_put(rpc);
	return ret;
}

int weft_handshake(struct weft_link *link, struct weft_handshake *hs)
{
	struct weft_fs *fs = link->peer->fs;
	const struct weft_init_rep *rep;
	u8 nonce[WEFT_AUTH_NONCE];
	struct weft_init_req *req;
	struct weft_rpc *rpc;
	int ret;

	rpc = weft_rpc_alloc(fs, WEFT_OP_INIT, 0, GFP_NOFS);
	if (!rpc)
		return -ENOMEM;
	get_random_bytes(nonce, sizeof(nonce));
	req = rpc->body;
	req->version_min = cpu_to_le16(WEFT_WIRE_VERSION_MIN);
	req->version_max = cpu_to_le16(WEFT_WIRE_VERSION);
	req->role = cpu_to_le16(WEFT_ROLE_CLIENT);
	req->features = cpu_to_le64(WEFT_FEAT_ALL);
	memcpy(req->fsid, fs->fsid, sizeof(req->fsid));
	req->target = cpu_to_le32(link->peer->target);
	memcpy(req->nonce, nonce, sizeof(req->nonce));
	ret = handshake_call(link, rpc);
	if (ret)
		goto out_put;
	rep = weft_rpc_reply(rpc);
	if (!rep || le16_to_cpu(rep->version) < WEFT_WIRE_VERSION_MIN ||
	    le16_to_cpu(rep->version) > WEFT_WIRE_VERSION) {
		ret = -EPROTONOSUPPORT;
		goto out_put;
	}
	ret = check_fsid(link, rep);
	if (!ret)
		ret = handshake_auth(link, nonce, rep);
	hs->boot = le64_to_cpu(rep->boot);
	hs->features = le64_to_cpu(rep->features) & WEFT_FEAT_ALL;
	hs->window = clamp_t(unsigned int, le16_to_cpu(rep->credits), 1, WEFT_WINDOW_MAX);
out_put:
	weft_rpc_put(rpc);
	return ret;
}
