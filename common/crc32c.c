// SPDX-License-Identifier: Apache-2.0
/*
 * crc32c, by the faster of two ways, which are measured once, when the first checksum is asked for.
 *
 * ISA-L uses the processor's own instruction: 20 GB/s and more. An emulated processor (a virtual
 * machine without hardware support) carries that instruction out bit by bit, and ISA-L is slower
 * than memory by a factor of ten; there 16 tables, for 16 bytes at a time, are several times
 * faster. Both give the same results. Cannot fail; the choice does not change afterwards.
 */
#include "common/crc32c.h"

#include <endian.h>
#include <isa-l/crc.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"

#define POLY 0x82f63b78u /* Castagnoli, bits reversed */
#define SLICES 16
#define TRY_LEN 1024
#define TRIES 8
#define GAIN 2 /* the tables must be so many times faster to be chosen */

static uint32_t table[SLICES][256];
static uint32_t (*update)(uint32_t crc, const uint8_t *p, size_t len);
static pthread_once_t once = PTHREAD_ONCE_INIT, tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	uint32_t c;
	int i, k;

	for (i = 0; i < 256; i++) {
		c = i;
		for (k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLY : c >> 1;
		table[0][i] = c;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < SLICES; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

/* The effect of 8 bytes that @t[0] to @t[7] follow, from the last to the first. */
static inline uint32_t slice8(const uint32_t (*t)[256], uint64_t v)
{
	return t[7][v & 255] ^ t[6][v >> 8 & 255] ^ t[5][v >> 16 & 255] ^ t[4][v >> 24 & 255] ^
	       t[3][v >> 32 & 255] ^ t[2][v >> 40 & 255] ^ t[1][v >> 48 & 255] ^ t[0][v >> 56];
}

uint32_t weft_crc32c_by_tables(uint32_t crc, const uint8_t *p, size_t len)
{
	const uint32_t (*t)[256] = table;
	uint64_t v, w;

	pthread_once(&tables_once, make_tables);
	for (; len >= SLICES; len -= SLICES, p += SLICES) {
		memcpy(&v, p, sizeof(v));
		memcpy(&w, p + sizeof(v), sizeof(w));
		crc = slice8(t + 8, le64toh(v) ^ crc) ^ slice8(t, le64toh(w));
	}
	while (len--)
		crc = crc >> 8 ^ t[0][(crc ^ *p++) & 255];
	return crc;
}

uint32_t weft_crc32c_by_isal(uint32_t crc, const uint8_t *p, size_t len)
{
	size_t n;

	/* ISA-L counts in int. */
	for (; len; len -= n, p += n) {
		n = len < (1u << 30) ? len : 1u << 30;
		crc = crc32_iscsi((unsigned char *)p, n, crc);
	}
	return crc;
}

/* The shortest time in ns that a way took for TRY_LEN bytes. */
static uint64_t measure(uint32_t (*fn)(uint32_t crc, const uint8_t *p, size_t len))
{
	uint8_t data[TRY_LEN] = { 1 };
	uint64_t best = UINT64_MAX, ns;
	struct timespec from, to;
	int i;

	for (i = 0; i < TRIES; i++) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		data[0] ^= fn(~0u, data, sizeof(data));
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns = (to.tv_sec - from.tv_sec) * 1000000000ull + to.tv_nsec - from.tv_nsec;
		best = ns < best ? ns : best;
	}
	return best;
}

static void choose(void)
{
	bool tables;

	tables = GAIN * measure(weft_crc32c_by_tables) < measure(weft_crc32c_by_isal);
	update = tables ? weft_crc32c_by_tables : weft_crc32c_by_isal;
}

uint32_t weft_crc32c_raw(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&once, choose);
	return update(crc, data, len);
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
