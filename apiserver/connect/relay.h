// SPDX-License-Identifier: Apache-2.0
#pragma once
// A relay between a client's exchange and another server: a kubelet, a pod, an
// aggregated API server.

#include "apiserver/connect/translator.h"
#include "apiserver/request.h"

typedef struct ssl_ctx_st SSL_CTX;

struct relay_target {
	const char *host; // an address or a name
	int port;
	SSL_CTX *tls;            // NULL: plain; the relay takes a reference of its own
	const char *server_name; // by which the certificate is verified; NULL: the host
	int64_t connect_timeout_ns;
	const char *path;                  // request target, with its query
	const struct http_header *headers; // added to the client's own
	size_t header_count;
	// The client's WebSocket subprotocol when the server speaks only SPDY (see translator.h); NULL: bytes as they
	// are.
	const char *translated;
	struct translator_config translation; // `is_tunnel` and which streams there are
};

// Sends the request on and its answer back; ends the request. What `target` points to lives in the
// request's arena or longer. Of the client's headers, those of the connection, of its credentials
// and X-Remote-* stay here.
void relay_start(struct request *request, const struct relay_target *target);
