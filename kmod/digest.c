// SPDX-License-Identifier: GPL-2.0
/*
 * Checksums of bulk, and the proof of the shared secret. No state; callable from any process
 * context that may allocate without recursion into file systems.
 */
#include <crypto/hash.h>
#include <linux/crc32c.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "kmod/net.h"

#define PIECE 1024 /* copied through the stack for the checksum */

/**
 * weft_crc32c_iter() - standard crc32c of the bytes behind an iterator
 * @iter: of either direction, kvec, bvec or xarray; left as it is
 * @len: how many bytes
 *
 * Return: the checksum.
 */
u32 weft_crc32c_iter(const struct iov_iter *iter, size_t len)
{
	struct iov_iter it = *iter;
	u8 piece[PIECE] __aligned(8);
	u32 crc = ~0u;
	size_t n;

	it.data_source = ITER_SOURCE; /* its memory is only read here */
	while (len) {
		n = min_t(size_t, len, PIECE);
		if (copy_from_iter(piece, n, &it) != n)
			break;
		crc = crc32c(crc, piece, n);
		len -= n;
	}
	return ~crc;
}

/**
 * weft_auth_mac() - HMAC-SHA256(secret, label | nonce1 | nonce2)
 * @fs: the cluster, for its secret
 * @label: who proves
 * @nonce1: WEFT_AUTH_NONCE bytes
 * @nonce2: WEFT_AUTH_NONCE bytes
 * @mac: out: WEFT_AUTH_MAC bytes
 *
 * Return: 0 or a negative errno of the crypto layer.
 */
int weft_auth_mac(const struct weft_fs *fs, const char *label, const u8 *nonce1,
		  const u8 *nonce2, u8 *mac)
{
	u8 text[32 + 2 * WEFT_AUTH_NONCE];
	size_t n = strlen(label);
	struct crypto_shash *tfm;
	unsigned int nofs;
	int ret;

	if (n > 32)
		return -EINVAL;
	memcpy(text, label, n);
	memcpy(text + n, nonce1, WEFT_AUTH_NONCE);
	memcpy(text + n + WEFT_AUTH_NONCE, nonce2, WEFT_AUTH_NONCE);
	nofs = memalloc_nofs_save();
	tfm = crypto_alloc_shash("hmac(sha256)", 0, 0);
	ret = PTR_ERR_OR_ZERO(tfm);
	if (ret)
		goto out_restore;
	ret = crypto_shash_setkey(tfm, fs->secret, fs->secret_len);
	if (!ret)
		ret = crypto_shash_tfm_digest(tfm, text, n + 2 * WEFT_AUTH_NONCE, mac);
	crypto_free_shash(tfm);
out_restore:
	memalloc_nofs_restore(nofs);
	return ret;
}
