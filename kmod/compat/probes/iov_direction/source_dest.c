// SPDX-License-Identifier: GPL-2.0
/* Since 6.2 iov_iter directions have names of their own. */
#include <linux/uio.h>

void probe(struct iov_iter *iter, struct kvec *kvec);

void probe(struct iov_iter *iter, struct kvec *kvec)
{
	iov_iter_kvec(iter, ITER_SOURCE, kvec, 1, kvec->iov_len);
	iov_iter_kvec(iter, ITER_DEST, kvec, 1, kvec->iov_len);
}
