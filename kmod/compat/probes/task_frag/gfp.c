// SPDX-License-Identifier: GPL-2.0
/* Before 6.2 only the allocation flags of a socket decide. */

/* Refused where the kernel has it: the member would be there twice. */
#define sk_use_task_frag sk_rcvbuf
#include <net/sock.h>

int probe(struct sock *sk);

int probe(struct sock *sk)
{
	return sk->sk_rcvbuf;
}
