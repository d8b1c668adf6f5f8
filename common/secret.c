// SPDX-License-Identifier: Apache-2.0
/*
 * Secret files: opened without following a link to a device, checked by fstat of the descriptor
 * that is then read. Fails with a sentence; nothing of the secret is ever in a message.
 */
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int secret_check(const char *path, int fd, char *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		snprintf(err, WEFT_SECRET_ERR_MAX, "secret file %s is not a regular file", path);
		return -EINVAL;
	}
	if (st.st_mode & 077) {
		snprintf(err, WEFT_SECRET_ERR_MAX,
			 "secret file %s can be used by others (mode %03o); chmod 600 it", path,
			 st.st_mode & 0777);
		return -EPERM;
	}
	return 0;
}

static int secret_fill(const char *path, int fd, struct weft_secret *s, char *err)
{
	char buf[WEFT_SECRET_MAX + 64];
	ssize_t n = read(fd, buf, sizeof(buf));
	int ret = 0;

	if (n < 0)
		return -errno;
	while (n && (buf[n - 1] == '\n' || buf[n - 1] == '\r' || buf[n - 1] == ' '))
		n--;
	if (n < WEFT_SECRET_MIN || n > WEFT_SECRET_MAX) {
		snprintf(err, WEFT_SECRET_ERR_MAX, "secret file %s must hold %d to %d bytes", path,
			 WEFT_SECRET_MIN, WEFT_SECRET_MAX);
		ret = -EINVAL;
	} else {
		memcpy(s->data, buf, n);
		s->len = n;
	}
	explicit_bzero(buf, sizeof(buf));
	return ret;
}

int weft_secret_read(const char *path, struct weft_secret *s, char err[WEFT_SECRET_ERR_MAX])
{
	int fd, ret;

	memset(s, 0, sizeof(*s));
	err[0] = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		ret = -errno;
		goto out;
	}
	ret = secret_check(path, fd, err);
	if (!ret)
		ret = secret_fill(path, fd, s, err);
	close(fd);
out:
	if (ret && !err[0])
		snprintf(err, WEFT_SECRET_ERR_MAX, "secret file %s: %s", path, strerror(-ret));
	return ret;
}

void weft_secret_wipe(struct weft_secret *s)
{
	explicit_bzero(s, sizeof(*s));
}
