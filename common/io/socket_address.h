// SPDX-License-Identifier: Apache-2.0
#pragma once
// Socket addresses as text in Go's form, errors in Go's wording ("dial tcp
// 127.0.0.1:1: connect: connection refused"), and the options that every TCP
// socket of ours gets.

#include <sys/socket.h>

#include "common/base/err.h"

enum {
	SOCKET_ADDRESS_TEXT_BYTES = 128,
};

// "192.0.2.1:4711", "[2001:db8::1]:4711"; IPv4 mapped into IPv6 is shown as IPv4; "@" for a unix socket.
void socket_address_format(const struct sockaddr *address, char out[SOCKET_ADDRESS_TEXT_BYTES]);

// "host:port", with brackets around an IPv6 host.
void socket_host_port_format(const char *host, int port, char out[SOCKET_ADDRESS_TEXT_BYTES]);

// Like err_set_errno, with the system's text in lower case as Go prints it.
int err_set_socket(struct err *err, int error_number, const char *format, ...) PRINTF_LIKE(3, 4);

// No delay for small writes; keep-alive probes that notice a vanished host within about two minutes.
void socket_tune(int fd);
