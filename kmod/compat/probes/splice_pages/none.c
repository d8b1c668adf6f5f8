// SPDX-License-Identifier: GPL-2.0
/* Before 6.5 sendmsg() always copies. */
#include <linux/socket.h>

enum { MSG_SPLICE_PAGES }; /* refused where the kernel has the flag */

int probe(void);

int probe(void)
{
	return MSG_SPLICE_PAGES;
}
