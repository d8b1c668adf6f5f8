// SPDX-License-Identifier: GPL-2.0
/* Since 6.19 addresses of any family are struct sockaddr_unsized. */
#include <linux/net.h>

int probe(struct socket *sock, struct sockaddr_unsized *to, int len);

int probe(struct socket *sock, struct sockaddr_unsized *to, int len)
{
	return kernel_connect(sock, to, len, 0);
}
