/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Every operation with its bodies, and what the table in proto/wire.h says about it. */
#ifndef WEFT_PROTO_OPS_H
#define WEFT_PROTO_OPS_H

#include "proto/data.h"
#include "proto/meta.h"
#include "proto/mgmtops.h"
#include "proto/txn.h"
#include "proto/wire.h"

/**
 * struct weft_op_info - one row of the table of operations
 * @name: as in the table, NULL for numbers that are not operations
 * @req_len: bytes of the request's fixed body
 * @rep_len: bytes of the reply's fixed body (0: none)
 * @flags: WEFT_OC_*, WEFT_OF_*
 */
struct weft_op_info {
	const char *name;
	u16 req_len;
	u16 rep_len;
	u16 flags;
};

/* weft_op_info() - row of an opcode. Return: NULL if there is no such operation. */
const struct weft_op_info *weft_op_info(u32 opcode);

/**
 * weft_hdr_check() - verify a received header before anything else is believed
 * @h: the header, as received
 *
 * Checks magic, version, flags, and that the lengths are consistent and within the limits; for a
 * request that its opcode exists and that the body is long enough (a failed reply may be short).
 *
 * Return: 0, -EPROTONOSUPPORT for another wire version, -EBADMSG for anything else.
 */
int weft_hdr_check(const struct weft_hdr *h);

#endif
