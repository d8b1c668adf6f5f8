// SPDX-License-Identifier: Apache-2.0
/*
 * The mutual proof of the shared secret: HMAC-SHA256 by OpenSSL. No state.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "common/rpc/impl.h"

int rpc_mac(const void *secret, size_t len, const char *label, const uint8_t *first,
	    const uint8_t *second, uint8_t mac[WEFT_AUTH_MAC])
{
	uint8_t text[32 + 2 * WEFT_AUTH_NONCE];
	size_t n = strlen(label);
	unsigned int out = WEFT_AUTH_MAC;

	memcpy(text, label, n);
	memcpy(text + n, first, WEFT_AUTH_NONCE);
	memcpy(text + n + WEFT_AUTH_NONCE, second, WEFT_AUTH_NONCE);
	n += 2 * WEFT_AUTH_NONCE;
	return HMAC(EVP_sha256(), secret, len, text, n, mac, &out) ? 0 : -ENOMEM;
}

bool rpc_mac_equal(const uint8_t *a, const uint8_t *b)
{
	return !CRYPTO_memcmp(a, b, WEFT_AUTH_MAC);
}

bool rpc_fsid_unset(const uint8_t fsid[16])
{
	static const uint8_t zero[16];

	return !memcmp(fsid, zero, sizeof(zero));
}
