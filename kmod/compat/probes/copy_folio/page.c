// SPDX-License-Identifier: GPL-2.0
/* Before 6.6 iterators copy into pages. */
#include <linux/uio.h>

/* Refused where the kernel has it. */
static size_t copy_folio_from_iter_atomic(struct page *page, struct iov_iter *iter)
{
	return copy_page_from_iter_atomic(page, 0, 1, iter);
}

size_t probe(struct page *page, struct iov_iter *iter);

size_t probe(struct page *page, struct iov_iter *iter)
{
	return copy_folio_from_iter_atomic(page, iter);
}
