/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admin requests of tools: one synchronous call at a time, on a loop that runs inside the call.
 *
 * Protection: an object belongs to one thread.
 */
#ifndef WEFT_COMMON_MGMT_CLIENT_ADMIN_H
#define WEFT_COMMON_MGMT_CLIENT_ADMIN_H

#include "common/conf.h"
#include "mgmt.pb-c.h"

struct weft_admin;

#define WEFT_ADMIN_ERR_MAX 1536

/**
 * weft_admin_open() - prepare to talk to management
 * @mgmt: its addresses, "host[:port],..."
 * @secret: the secret, or NULL
 * @timeout_ms: limit of one call
 * @out: the object
 * @err: a sentence when it fails
 *
 * Return: 0, -EINVAL for a wrong list, or -ENOMEM. Nothing has been sent yet.
 */
int weft_admin_open(const char *mgmt, const struct weft_secret *secret, uint32_t timeout_ms,
		    struct weft_admin **out, char err[WEFT_ADMIN_ERR_MAX]);

/**
 * weft_admin_call() - ask
 * @a: the object
 * @q: the request
 * @rep: the answer, for weft__admin_reply__free_unpacked()
 * @err: a sentence when it fails: what management said, or why it was not reached
 *
 * Return: 0; -ETIMEDOUT or -ENOTCONN when no management server is reached; -EPROTONOSUPPORT,
 * -EXDEV, -EKEYREJECTED when the handshake is refused; the errno of a refusal; or another
 * negative errno.
 */
int weft_admin_call(struct weft_admin *a, const Weft__AdminRequest *q, Weft__AdminReply **rep,
		    char err[WEFT_ADMIN_ERR_MAX]);

/**
 * weft_admin_close() - free the object
 * @a: the object or NULL
 */
void weft_admin_close(struct weft_admin *a);

#endif
