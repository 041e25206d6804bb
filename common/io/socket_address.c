// SPDX-License-Identifier: Apache-2.0
#include "common/io/socket_address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void socket_host_port_format(const char *host, int port, char out[SOCKET_ADDRESS_TEXT_BYTES])
{
	const char *form = strchr(host, ':') ? "[%s]:%d" : "%s:%d";
	snprintf(out, SOCKET_ADDRESS_TEXT_BYTES, form, host, port);
}

static void format_ipv6(const struct sockaddr_in6 *address, char out[SOCKET_ADDRESS_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN];
	if (IN6_IS_ADDR_V4MAPPED(&address->sin6_addr))
		inet_ntop(AF_INET, &address->sin6_addr.s6_addr[12], host, sizeof(host));
	else
		inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof(host));
	socket_host_port_format(host, ntohs(address->sin6_port), out);
}

void socket_address_format(const struct sockaddr *address, char out[SOCKET_ADDRESS_TEXT_BYTES])
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in ipv4;
		memcpy(&ipv4, address, sizeof(ipv4));
		char host[INET_ADDRSTRLEN];
		inet_ntop(AF_INET, &ipv4.sin_addr, host, sizeof(host));
		socket_host_port_format(host, ntohs(ipv4.sin_port), out);
	} else if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 ipv6;
		memcpy(&ipv6, address, sizeof(ipv6));
		format_ipv6(&ipv6, out);
	} else {
		snprintf(out, SOCKET_ADDRESS_TEXT_BYTES, "@");
	}
}

int err_set_socket(struct err *err, int error_number, const char *format, ...)
{
	char text[96];
	const char *system_text = strerror_r(error_number, text, sizeof(text));
	char what[sizeof(((struct err *)0)->message)];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return err_set(err, ERR_IO, "%s: %c%s", what, tolower((unsigned char)system_text[0]), system_text + 1);
}

void socket_tune(int fd)
{
	// On a unix socket these fail, which is harmless.
	int on = 1, idle_s = 30, interval_s = 15, probes = 5;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}
