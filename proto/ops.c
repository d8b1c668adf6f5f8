// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The table of operations and the check of headers. Compiled into the module and libweft. */
#include "proto/ops.h"

/* sizeof(struct weft_none) stands for no body at all. */
#define BODY_LEN(type) (__builtin_types_compatible_p(type, struct weft_none) ? 0 : sizeof(type))

#define OP_ROW(op, nr, req, rep, fl) [nr] = { #op, BODY_LEN(req), BODY_LEN(rep), (fl) },
static const struct weft_op_info ops[WEFT_OP_LIMIT] = { WEFT_OPS(OP_ROW) };
#undef OP_ROW

const struct weft_op_info *weft_op_info(u32 opcode)
{
	return opcode < WEFT_OP_LIMIT && ops[opcode].name ? &ops[opcode] : NULL;
}

int weft_hdr_check(const struct weft_hdr *h)
{
	u32 len = le32_to_cpu(h->len), body = le16_to_cpu(h->body_len);
	u32 flags = le16_to_cpu(h->flags), nsegs = le16_to_cpu(h->nsegs);
	const struct weft_op_info *op = weft_op_info(le16_to_cpu(h->opcode));

	if (le32_to_cpu(h->magic) != WEFT_MAGIC)
		return -EBADMSG;
	if (le16_to_cpu(h->version) < WEFT_WIRE_VERSION_MIN ||
	    (le16_to_cpu(h->version) > WEFT_WIRE_VERSION &&
	     le16_to_cpu(h->opcode) != WEFT_OP_INIT))
		return -EPROTONOSUPPORT;
	if (len < sizeof(*h) || len > WEFT_MSG_MAX || (flags & ~WEFT_MF_KNOWN))
		return -EBADMSG;
	if (nsegs > WEFT_SEGS_MAX || sizeof(*h) + body + nsegs * sizeof(struct weft_seg) > len)
		return -EBADMSG;
	if (le32_to_cpu(h->bulk_len) > WEFT_BULK_MAX || le32_to_cpu(h->bulk_max) > WEFT_BULK_MAX)
		return -EBADMSG;
	if (!op)
		return -EBADMSG;
	if (flags & WEFT_MF_REPLY)
		return le32_to_cpu(h->status) || body >= op->rep_len ? 0 : -EBADMSG;
	return body >= op->req_len ? 0 : -EBADMSG;
}
