// SPDX-License-Identifier: Apache-2.0
#pragma once
// Between a client that speaks WebSocket and a kubelet that speaks SPDY/3.1 alone:
//
//   exec, attach   the v5.channel.k8s.io channels ◀▶ a SPDY stream each
//   port-forward   SPDY tunnelled in messages     ◀▶ SPDY as it is
//
// Bytes in, bytes out; whoever owns it owns both connections.

#include <stdbool.h>
#include <stddef.h>

struct http_request;
struct translator;

struct translator_config {
	bool is_tunnel; // port-forward; else which streams there are:
	bool input, output, error, terminal;
	void (*to_client)(void *context, const void *data, size_t length);
	void (*to_kubelet)(void *context, const void *data, size_t length);
	void *context;
};

// What the client asks for that must be translated: its WebSocket subprotocol; NULL: nothing.
const char *translator_protocol(const struct http_request *request, bool forwards);
// What is asked of the kubelet for it, in X-Stream-Protocol-Version.
const char *translator_kubelet_protocol(bool is_tunnel);

// Both sides have been upgraded: opens the streams.
struct translator *translator_new(const struct translator_config *config);
struct translator *translator_free(struct translator *translator);

void translator_from_client(struct translator *translator, const void *data, size_t length);
void translator_from_kubelet(struct translator *translator, const void *data, size_t length);
// The kubelet has closed its connection: the client is told the end.
void translator_kubelet_ended(struct translator *translator);
// Everything has been said: both connections are to be closed after what is pending. Ask after each of the above.
bool translator_is_over(const struct translator *translator);
