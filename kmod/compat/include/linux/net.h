/* SPDX-License-Identifier: GPL-2.0 */
/*
 * <linux/net.h> as the newest kernel has it: kernel_connect() takes a struct sockaddr_unsized.
 */
#ifndef WEFT_COMPAT_LINUX_NET_H
#define WEFT_COMPAT_LINUX_NET_H

#include_next <linux/net.h>

#ifdef WEFT_COMPAT_CONNECT_SOCKADDR
#define sockaddr_unsized sockaddr
#endif

#endif
