// SPDX-License-Identifier: Apache-2.0
/*
 * From the hosts of a source to addresses: the kernel resolves no names.
 *
 * All addresses of a name are used, in the order of the resolver. A name without an address is an
 * error even when others have one: a typing error must not turn into a cluster with one server
 * fewer.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/config.h"
#include "tools/mount.weft/mount.h"

static int append(char *list, size_t len, const char *host, uint16_t port, bool v6)
{
	char one[128];
	size_t used = strlen(list);

	snprintf(one, sizeof(one), v6 ? "[%s]:%u" : "%s:%u", host, port);
	if (used + strlen(one) + 2 > len)
		return -E2BIG;
	snprintf(list + used, len - used, "%s%s", used ? "+" : "", one);
	return 0;
}

static int resolve_one(const char *text, uint16_t port, char *list, size_t len, char *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *all, *ai;
	char host[256], number[NI_MAXHOST];
	int ret;

	if (weft_parse_hostport(text, host, sizeof(host), &port)) {
		snprintf(err, MOUNT_ERR_MAX, "\"%s\" is not host or host:port", text);
		return -EINVAL;
	}
	ret = getaddrinfo(host, NULL, &hints, &all);
	if (ret) {
		snprintf(err, MOUNT_ERR_MAX, "management server %s: %s", host, gai_strerror(ret));
		return -EHOSTUNREACH;
	}
	ret = 0;
	for (ai = all; ai && !ret; ai = ai->ai_next) {
		if ((ai->ai_family != AF_INET && ai->ai_family != AF_INET6) ||
		    getnameinfo(ai->ai_addr, ai->ai_addrlen, number, sizeof(number), NULL, 0,
				NI_NUMERICHOST))
			continue;
		ret = append(list, len, number, port, ai->ai_family == AF_INET6);
	}
	freeaddrinfo(all);
	if (ret)
		snprintf(err, MOUNT_ERR_MAX, "too many management servers");
	return ret;
}

int mount_resolve(const char *source, uint16_t port, char *list, size_t len,
		  char err[MOUNT_ERR_MAX])
{
	const char *end = strstr(source, ":/");
	char hosts[1024], item[300];
	const char *rest = hosts;
	int ret;

	list[0] = 0;
	if (!end || end == source || (size_t)(end - source) >= sizeof(hosts)) {
		snprintf(err, MOUNT_ERR_MAX,
			 "source \"%s\" is not of the form host[:port][,host...]:/[dir]", source);
		return -EINVAL;
	}
	memcpy(hosts, source, end - source);
	hosts[end - source] = 0;
	while ((ret = weft_config_split(&rest, item, sizeof(item))) > 0) {
		ret = resolve_one(item, port, list, len, err);
		if (ret)
			return ret;
	}
	if (!ret && list[0])
		return 0;
	snprintf(err, MOUNT_ERR_MAX, "source \"%s\" names no management server", source);
	return -EINVAL;
}
