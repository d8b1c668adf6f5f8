/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16 byte identifiers (file systems, targets, nodes) and their text form.
 *
 * Pure functions; weft_uuid_random() asks the kernel and fails only when it has no random numbers.
 */
#ifndef WEFT_COMMON_UUID_H
#define WEFT_COMMON_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT_UUID_STR 37 /* text with its zero byte */

/**
 * weft_uuid_random() - a new identifier (RFC 4122 version 4)
 * @uuid: filled in
 *
 * Return: 0 or a negative errno.
 */
int weft_uuid_random(uint8_t uuid[16]);

/**
 * weft_uuid_format() - text of an identifier
 * @uuid: the identifier
 * @buf: filled with "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
 *
 * Return: @buf.
 */
const char *weft_uuid_format(const uint8_t uuid[16], char buf[WEFT_UUID_STR]);

/**
 * weft_uuid_parse() - identifier of a text
 * @s: the text
 * @uuid: filled in
 *
 * Return: 0 or -EINVAL.
 */
int weft_uuid_parse(const char *s, uint8_t uuid[16]);

/**
 * weft_uuid_is_zero() - not set?
 * @uuid: the identifier
 *
 * Return: true when all bytes are 0.
 */
bool weft_uuid_is_zero(const uint8_t uuid[16]);

#endif
