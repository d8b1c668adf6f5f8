/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32c (Castagnoli) of data in memory and in buffer lists: the checksum of bulk on the wire and
 * of blocks on disk.
 */
#ifndef WEFT_COMMON_CRC32C_H
#define WEFT_COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

struct weft_sg;

/**
 * weft_crc32c() - checksum, or its continuation
 * @crc: 0 to begin, or the result so far
 * @data: bytes
 * @len: how many
 *
 * Return: the standard crc32c ("123456789" gives 0xe3069283).
 */
uint32_t weft_crc32c(uint32_t crc, const void *data, size_t len);

/**
 * weft_crc32c_raw() - update without the inversions at both ends, for weft_map_check()
 * @crc: ~0 to begin; the caller inverts the result
 * @data: bytes
 * @len: how many
 *
 * Return: the new state.
 */
uint32_t weft_crc32c_raw(uint32_t crc, const void *data, size_t len);

/* The two ways to do weft_crc32c_raw(), of which that takes the faster one. */
uint32_t weft_crc32c_by_isal(uint32_t crc, const uint8_t *p, size_t len);
uint32_t weft_crc32c_by_tables(uint32_t crc, const uint8_t *p, size_t len);

/**
 * weft_crc32c_sg() - checksum of a buffer list
 * @sg: the list
 *
 * Return: the crc32c of all its bytes.
 */
uint32_t weft_crc32c_sg(const struct weft_sg *sg);

#endif
