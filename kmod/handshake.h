/* SPDX-License-Identifier: GPL-2.0 */
/* INIT and AUTH on a fresh connection. */
#ifndef WEFT_KMOD_HANDSHAKE_H
#define WEFT_KMOD_HANDSHAKE_H

#include <linux/types.h>

struct weft_link;

/**
 * struct weft_handshake - what was agreed upon
 * @boot: number of the server process
 * @features: WEFT_FEAT_* that both sides have
 * @window: requests that may be outstanding
 */
struct weft_handshake {
	u64 boot;
	u64 features;
	unsigned int window;
};

/**
 * weft_handshake() - introduce ourselves to a peer and check who it is
 * @link: the link, with an open transport
 * @hs: out: the result
 *
 * Return: 0; -EPROTONOSUPPORT no common version; -EXDEV the peer belongs to another file system;
 * -EKEYREJECTED one side does not know the secret; -ENODEV the target is not (yet) there;
 * -ETIMEDOUT; or why the connection broke.
 */
int weft_handshake(struct weft_link *link, struct weft_handshake *hs);

#endif
