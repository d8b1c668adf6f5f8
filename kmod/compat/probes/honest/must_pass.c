// SPDX-License-Identifier: GPL-2.0
/* Any kernel compiles this: if not, the probes say nothing. */
#include <linux/fs.h>

struct inode *probe(struct file *file);

struct inode *probe(struct file *file)
{
	return file_inode(file);
}
