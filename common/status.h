/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statuses of replies in words and as return values.
 */
#ifndef WEFT_COMMON_STATUS_H
#define WEFT_COMMON_STATUS_H

#include <stdint.h>

/**
 * weft_strstatus() - a status in words
 * @status: 0, an errno, or WEFT_S_* of proto/wire.h
 *
 * Return: a sentence that lives for ever.
 */
const char *weft_strstatus(uint32_t status);

/**
 * weft_status_errno() - the errno that a program is given for a status
 * @status: 0, an errno or WEFT_S_*
 *
 * Return: 0 or a negative errno; each WEFT_S_* has one of its own.
 */
int weft_status_errno(uint32_t status);

/**
 * weft_op_name() - name of an opcode for messages
 * @opcode: any number
 *
 * Return: its name in proto/wire.h or "?".
 */
const char *weft_op_name(uint32_t opcode);

#endif
