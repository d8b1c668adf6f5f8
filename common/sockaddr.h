/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses of numeric hosts. */
#ifndef WEFT_COMMON_SOCKADDR_H
#define WEFT_COMMON_SOCKADDR_H

#include <stdint.h>
#include <sys/socket.h>

/**
 * weft_sockaddr() - make the address of a numeric host, of either family
 * @host: an IPv4 or IPv6 address
 * @port: port in CPU order
 * @ss: filled in, its unused part is zero
 *
 * Return: the address's length, or -EINVAL when @host is not numeric.
 */
int weft_sockaddr(const char *host, uint16_t port, struct sockaddr_storage *ss);

#endif
