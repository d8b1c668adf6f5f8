// SPDX-License-Identifier: Apache-2.0
/*
 * crc32c by ISA-L, which picks the fastest code for the processor. Cannot fail, no state.
 */
#include "common/crc32c.h"

#include <isa-l/crc.h>

#include "common/buf.h"

uint32_t weft_crc32c_raw(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t n;

	/* ISA-L counts in int. */
	for (; len; len -= n, p += n) {
		n = len < (1u << 30) ? len : 1u << 30;
		crc = crc32_iscsi((unsigned char *)p, n, crc);
	}
	return crc;
}

uint32_t weft_crc32c(uint32_t crc, const void *data, size_t len)
{
	return ~weft_crc32c_raw(~crc, data, len);
}

uint32_t weft_crc32c_sg(const struct weft_sg *sg)
{
	uint32_t crc = ~0u;
	unsigned int i;

	for (i = 0; i < sg->n; i++)
		crc = weft_crc32c_raw(crc, sg->e[i].ptr, sg->e[i].len);
	return ~crc;
}
