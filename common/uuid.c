// SPDX-License-Identifier: Apache-2.0
/*
 * Identifiers: getrandom(2) makes them, the text form is that of RFC 4122. No state, no locks.
 */
#include "common/uuid.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int weft_uuid_random(uint8_t uuid[16])
{
	ssize_t n = getrandom(uuid, 16, 0);

	if (n < 0)
		return -errno;
	if (n != 16)
		return -EIO;
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return 0;
}

const char *weft_uuid_format(const uint8_t u[16], char buf[WEFT_UUID_STR])
{
	snprintf(buf, WEFT_UUID_STR,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		 u[15]);
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int weft_uuid_parse(const char *s, uint8_t uuid[16])
{
	uint8_t out[16];
	int i, hi, lo;

	for (i = 0; i < 16; i++) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *s++ != '-')
			return -EINVAL;
		hi = hex_digit(s[0]);
		lo = hi < 0 ? -1 : hex_digit(s[1]);
		if (lo < 0)
			return -EINVAL;
		out[i] = hi << 4 | lo;
		s += 2;
	}
	if (*s)
		return -EINVAL;
	memcpy(uuid, out, 16);
	return 0;
}

bool weft_uuid_is_zero(const uint8_t uuid[16])
{
	static const uint8_t zero[16];

	return !memcmp(uuid, zero, 16);
}
