/* SPDX-License-Identifier: GPL-2.0 */
/* <linux/uio.h> as the newest kernel has it: iov_iter directions have names of their own. */
#ifndef WEFT_COMPAT_LINUX_UIO_H
#define WEFT_COMPAT_LINUX_UIO_H

#include_next <linux/uio.h>

#ifdef WEFT_COMPAT_IOV_DIRECTION_READ_WRITE
#define ITER_SOURCE WRITE
#define ITER_DEST READ
#endif

#endif
