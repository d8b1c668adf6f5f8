// SPDX-License-Identifier: GPL-2.0
/* Since 6.5 sendmsg() takes the pages of an iterator (6.1 has the flag and takes no notice). */
#include <linux/net.h>
#include <linux/socket.h>

/* Refused where the kernel has it. */
static int kernel_sendpage(struct socket *sock, struct msghdr *msg)
{
	return sock_sendmsg(sock, msg);
}

int probe(struct socket *sock, struct msghdr *msg);

int probe(struct socket *sock, struct msghdr *msg)
{
	msg->msg_flags = MSG_SPLICE_PAGES;
	return kernel_sendpage(sock, msg);
}
