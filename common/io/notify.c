// SPDX-License-Identifier: Apache-2.0
// The protocol is one datagram of text to the unix socket whose name is in
// $NOTIFY_SOCKET; a leading '@' stands for the abstract namespace. sd_notify(3)
// promises that it stays so and suggests an implementation of one's own: libsystemd
// for these few lines would bring seven more libraries, a megabyte, into each daemon.
#include "common/io/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/memory.h"

void notify_manager(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = path ? strlen(path) : 0;
	if (!length || length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0';
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	socklen_t address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
	             address_length);
}
