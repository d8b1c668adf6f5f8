// SPDX-License-Identifier: GPL-2.0
/* Before 6.5 splice reads the page cache by generic_file_splice_read(). */
#include <linux/fs.h>

extern const struct file_operations probe_fops;
const struct file_operations probe_fops = {
	.splice_read = generic_file_splice_read,
};
