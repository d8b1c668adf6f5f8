// SPDX-License-Identifier: Apache-2.0
/*
 * Chunk records of any content: the decoder refuses or gives a record within its limits that
 * encodes to the same again. The input is tried as it is and with a right checksum behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "oss/record.h"

#define NBLOCKS 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try(const uint8_t *data, size_t len)
{
	static struct oss_rec a, b;
	uint8_t buf[OSS_REC_MAX];
	uint32_t i, mapped = 0;

	if (oss_rec_decode(data, len, NBLOCKS, &a))
		return;
	for (i = 0; i < OSS_SEG_BLOCKS; i++) {
		mapped += a.blk[i] != 0;
		if (oss_rec_block(&a, i) >= NBLOCKS || (a.blk[i] && !oss_rec_block(&a, i)))
			abort();
	}
	if (mapped != a.mapped || a.len > OSS_SEG)
		abort();
	if (oss_rec_decode(buf, oss_rec_encode(&a, buf), NBLOCKS, &b) || a.len != b.len ||
	    a.mapped != b.mapped || memcmp(a.blk, b.blk, sizeof(a.blk)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t buf[8192];
	struct oss_key k;
	__le32 crc;

	try(data, len);
	oss_key_decode(data, len, &k);
	if (len > sizeof(buf) - 4)
		return 0;
	memcpy(buf, data, len);
	crc = cpu_to_le32(weft_crc32c(0, data, len));
	memcpy(buf + len, &crc, 4);
	try(buf, len + 4);
	return 0;
}
