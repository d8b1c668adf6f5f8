/* SPDX-License-Identifier: GPL-2.0 */
/* <linux/socket.h> as the newest kernel has it: sendmsg() can be asked to take pages. */
#ifndef WEFT_COMPAT_LINUX_SOCKET_H
#define WEFT_COMPAT_LINUX_SOCKET_H

#include_next <linux/socket.h>

#ifdef WEFT_COMPAT_SPLICE_PAGES_NONE
#define MSG_SPLICE_PAGES 0 /* it copies */
#endif

#endif
