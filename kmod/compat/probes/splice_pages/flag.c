// SPDX-License-Identifier: GPL-2.0
/* The flag for sendmsg() with pages by reference: since 6.5; 6.1 has it and takes no notice. */
#include <linux/socket.h>

int probe(void);

int probe(void)
{
	return MSG_SPLICE_PAGES;
}
