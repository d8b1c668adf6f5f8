// SPDX-License-Identifier: Apache-2.0
/*
 * powerloss DIR: the ext4 or XFS file system that holds DIR stops at once, and forgets all that is
 * not on its disk yet, as when the power goes: neither its journal nor its files' pages are
 * written any more. It has to be unmounted and mounted again. Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tests/fs/lib/util.h"

/* The same number and flags for both. */
#define FS_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define NO_LOG_FLUSH 2u

int main(int argc, char **argv)
{
	uint32_t flags = NO_LOG_FLUSH;
	int fd;

	if (argc != 2)
		die("usage: powerloss DIR");
	fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, FS_IOC_SHUTDOWN, &flags))
		die("powerloss: %s: %s", argv[1], strerror(errno));
	return 0;
}
