// SPDX-License-Identifier: GPL-2.0
/* Before 6.5 a socket takes pages by reference one by one. */
#include <linux/net.h>

int probe(struct sock *sk, struct page *page);

int probe(struct sock *sk, struct page *page)
{
	return kernel_sendpage_locked(sk, page, 0, PAGE_SIZE, MSG_DONTWAIT);
}
