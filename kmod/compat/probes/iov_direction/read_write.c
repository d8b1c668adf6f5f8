// SPDX-License-Identifier: GPL-2.0
/* Before 6.2 iov_iter directions are READ and WRITE. */
#include <linux/uio.h>

enum { ITER_SOURCE, ITER_DEST }; /* refused where the kernel has these names */

void probe(struct iov_iter *iter, struct kvec *kvec);

void probe(struct iov_iter *iter, struct kvec *kvec)
{
	iov_iter_kvec(iter, WRITE, kvec, 1, kvec->iov_len);
	iov_iter_kvec(iter, READ, kvec, 1, kvec->iov_len);
}
