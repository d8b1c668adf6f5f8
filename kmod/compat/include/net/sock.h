/* SPDX-License-Identifier: GPL-2.0 */
/*
 * <net/sock.h> as the newest kernel has it, and sock_no_task_frag(): a socket that is used while
 * the caller may be inside a send of its own (a page fault in its data) keeps off the task's page
 * fragment. Older kernels see that by the socket's allocation flags (no __GFP_FS).
 */
#ifndef WEFT_COMPAT_NET_SOCK_H
#define WEFT_COMPAT_NET_SOCK_H

#include_next <net/sock.h>

static inline void sock_no_task_frag(struct sock *sk)
{
#ifdef WEFT_COMPAT_TASK_FRAG_FLAG
	sk->sk_use_task_frag = false;
#endif
}

#endif
