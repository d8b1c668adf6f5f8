/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Test vectors that pin hashes and placement, see proto/vectors.c. */
#ifndef WEFT_PROTO_VECTORS_H
#define WEFT_PROTO_VECTORS_H

/**
 * weft_vectors_check() - compute every vector and compare
 *
 * Return: NULL if all agree, else a word for what differs.
 */
const char *weft_vectors_check(void);

#endif
