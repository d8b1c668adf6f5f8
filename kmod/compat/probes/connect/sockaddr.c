// SPDX-License-Identifier: GPL-2.0
/* Before 6.19 addresses of any family are struct sockaddr. */
#include <linux/net.h>

int probe(struct socket *sock, struct sockaddr *to, int len);

int probe(struct socket *sock, struct sockaddr *to, int len)
{
	return kernel_connect(sock, to, len, 0);
}
