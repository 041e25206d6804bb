// SPDX-License-Identifier: Apache-2.0
#pragma once
// The maker of tunnels, for the protocol that a connection is upgraded from.

#include "common/base/strbuf.h"
#include "common/io/http_server.h"

struct http_connection;

// Makes the tunnel the connection's protocol; takes over the input that has already arrived.
struct http_tunnel *http_tunnel_new(struct http_connection *connection, struct strbuf *input,
                                    const struct http_tunnel_callbacks *callbacks, void *context);
