// SPDX-License-Identifier: GPL-2.0
/* Before 6.3 the pages of an iterator are got, with references. */
#include <linux/uio.h>

/* Refused where the kernel has it. */
static ssize_t iov_iter_extract_pages(struct iov_iter *iter, struct page **pages, size_t *off)
{
	return iov_iter_get_pages2(iter, pages, 1, 1, off);
}

ssize_t probe(struct iov_iter *iter, struct page **pages, size_t *off);

ssize_t probe(struct iov_iter *iter, struct page **pages, size_t *off)
{
	return iov_iter_extract_pages(iter, pages, off);
}
