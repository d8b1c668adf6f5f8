/* SPDX-License-Identifier: GPL-2.0 */
/* <linux/uio.h> as the newest kernel has it: iov_iter directions have names of their own. */
#ifndef WEFT_COMPAT_LINUX_UIO_H
#define WEFT_COMPAT_LINUX_UIO_H

#include_next <linux/uio.h>

#ifdef WEFT_COMPAT_IOV_DIRECTION_READ_WRITE
#define ITER_SOURCE WRITE
#define ITER_DEST READ
#endif

#ifdef WEFT_COMPAT_COPY_FOLIO_PAGE
/* Within one page of the folio, which is all that is asked for. */
#define copy_folio_from_iter_atomic(folio, offset, bytes, iter) \
	copy_page_from_iter_atomic(folio_page(folio, (offset) / PAGE_SIZE), (offset) % PAGE_SIZE, \
				   bytes, iter)
#endif

#ifdef WEFT_COMPAT_EXTRACT_GET
/* Pages come with an ordinary reference each: whoever extracted them puts them. */
#define iov_iter_extract_will_pin(iter) true
#define unpin_user_page(page) put_page(page)
#define iov_iter_extract_pages(iter, pages, maxsize, maxpages, flags, offset) \
	iov_iter_get_pages2(iter, *(pages), maxsize, maxpages, offset)
#endif

#endif
