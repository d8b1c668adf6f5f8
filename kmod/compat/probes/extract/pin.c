// SPDX-License-Identifier: GPL-2.0
/* Since 6.3 pages are extracted from an iterator, and pinned if they are a user's. */
#include <linux/uio.h>

ssize_t probe(struct iov_iter *iter, struct page **pages, size_t *off);

ssize_t probe(struct iov_iter *iter, struct page **pages, size_t *off)
{
	return iov_iter_extract_will_pin(iter) +
	       iov_iter_extract_pages(iter, &pages, 1, 1, 0, off);
}
