// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "adm/init_run.h"

// Adds to a big-endian number of `length` bytes.
static void add_number(unsigned char *bytes, size_t length, unsigned number)
{
	for (size_t i = length; i-- > 0 && number;) {
		number += bytes[i];
		bytes[i] = (unsigned char)number;
		number >>= 8;
	}
}

int subnet_address(struct arena *arena, const char *subnet, unsigned number, const char **ret_address, struct err *err)
{
	char *base = arena_strdup(arena, subnet);
	char *slash = strchr(base, '/');
	if (!slash)
		return err_set(err, ERR_INVALID, "invalid CIDR address: %s", subnet);
	*slash = '\0';
	char *end;
	unsigned long prefix = strtoul(slash + 1, &end, 10);
	unsigned char bytes[sizeof(struct in6_addr)];
	int family = strchr(base, ':') ? AF_INET6 : AF_INET;
	size_t length = family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
	if (inet_pton(family, base, bytes) != 1 || *end || end == slash + 1 || prefix > length * 8)
		return err_set(err, ERR_INVALID, "invalid CIDR address: %s", subnet);
	for (size_t bit = prefix; bit < length * 8; bit++)
		bytes[bit / 8] &= (unsigned char)~(0x80 >> (bit % 8));
	add_number(bytes, length, number);
	char text[INET6_ADDRSTRLEN];
	*ret_address = arena_strdup(arena, inet_ntop(family, bytes, text, sizeof(text)));
	return 0;
}

int default_address(struct arena *arena, const char **ret_address, struct err *err)
{
	// Connecting a datagram socket sends nothing: the kernel only looks up the route. The target is of a
	// documentation range.
	struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(9)};
	inet_pton(AF_INET, "198.51.100.1", &target.sin_addr);
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in own;
	socklen_t length = sizeof(own);
	if (fd < 0 || connect(fd, (struct sockaddr *)&target, sizeof(target)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &length) < 0)
		return err_set(err, ERR_NOT_FOUND,
		               "this machine has no default route to choose an address by (%s); give "
		               "--apiserver-advertise-address",
		               strerrordesc_np(errno));
	char text[INET_ADDRSTRLEN];
	*ret_address = arena_strdup(arena, inet_ntop(AF_INET, &own.sin_addr, text, sizeof(text)));
	return 0;
}
