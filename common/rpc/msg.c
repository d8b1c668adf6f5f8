// SPDX-License-Identifier: Apache-2.0
/*
 * Messages in memory. Allocation may fail with NULL; nothing is shared between threads.
 */
#include <stdlib.h>
#include <string.h>

#include "common/rpc/transport.h"

_Static_assert(sizeof(struct weft_msg) ==
		       offsetof(struct weft_msg, hdr) + sizeof(struct weft_hdr),
	       "text must follow the header");

struct weft_msg *weft_msg_alloc(size_t text_len)
{
	struct weft_msg *m = malloc(sizeof(*m) + text_len);

	if (!m)
		return NULL;
	memset(m, 0, sizeof(*m));
	m->text_len = text_len;
	m->text = (char *)(m + 1);
	m->hdr.magic = cpu_to_le32(WEFT_MAGIC);
	m->hdr.version = cpu_to_le16(WEFT_WIRE_VERSION);
	m->hdr.len = cpu_to_le32(sizeof(m->hdr) + text_len);
	return m;
}

void weft_msg_free(struct weft_msg *m)
{
	if (!m)
		return;
	weft_sg_fini(&m->bulk);
	weft_sg_fini(&m->in);
	free(m->xreq);
	free(m);
}

void weft_msg_answers(struct weft_msg *m, struct weft_msg *req)
{
	m->xreq = req->xreq;
	req->xreq = NULL;
}
