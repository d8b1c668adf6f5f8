/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Base types, byte order and assertions for the wire formats.
 *
 * Everything under proto/ compiles unchanged in the kernel and in user space. This header is the
 * only one that knows which of the two it is in; it maps the kernel's names (u32, le32_to_cpu,
 * ...) to the C library's in user space.
 */
#ifndef WEFT_PROTO_TYPES_H
#define WEFT_PROTO_TYPES_H

#ifdef __KERNEL__

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>

#else /* user space */

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define le16_to_cpu(x) le16toh(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)
#define cpu_to_le16(x) htole16(x)
#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)

#endif

/* Sizes and offsets of everything that crosses the wire are asserted at compile time. */
#define WEFT_ASSERT_SIZE(type, size) \
	_Static_assert(sizeof(type) == (size), "wire size of " #type " changed")
#define WEFT_ASSERT_OFFSET(type, field, off) \
	_Static_assert(offsetof(type, field) == (off), "wire offset of " #type "." #field " changed")

#endif
