/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared secret of a cluster, read from a file that only its owner may read.
 *
 * The content of the file without blanks and line ends at its end is the secret; at least
 * WEFT_SECRET_MIN bytes. A file that its group or others may read or write is refused.
 */
#ifndef WEFT_COMMON_SECRET_H
#define WEFT_COMMON_SECRET_H

#include <stddef.h>
#include <stdint.h>

#define WEFT_SECRET_MIN 16
#define WEFT_SECRET_MAX 256
#define WEFT_SECRET_ERR_MAX 512

/**
 * struct weft_secret - a secret
 * @data: its bytes
 * @len: how many
 */
struct weft_secret {
	uint8_t data[WEFT_SECRET_MAX];
	size_t len;
};

/**
 * weft_secret_read() - read a secret file
 * @path: the file
 * @s: filled in
 * @err: a sentence that names the file, when it fails
 *
 * Return: 0, -EPERM when others may read it, -EINVAL for a wrong length, or another negative errno.
 */
int weft_secret_read(const char *path, struct weft_secret *s, char err[WEFT_SECRET_ERR_MAX]);

/**
 * weft_secret_wipe() - forget a secret
 * @s: the secret
 */
void weft_secret_wipe(struct weft_secret *s);

#endif
