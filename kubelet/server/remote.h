// SPDX-License-Identifier: Apache-2.0
#pragma once
// The client's end of an exec or an attach: its standard streams, over the channels of a
// WebSocket or the streams of a SPDY connection. The user of it never knows which.

#include <stdbool.h>
#include <stddef.h>

struct http_exchange;
struct loop;
struct remote;

struct remote_wants {
	bool input;
	bool output;
	bool error;
	bool tty; // then `error` is not asked for
};

enum remote_output {
	REMOTE_STDOUT = 1,
	REMOTE_STDERR = 2,
};

// Never called from inside a function below.
struct remote_handler {
	void (*on_open)(void *context); // every stream stands
	// The sender is told by remote_input_taken that there is room for as many bytes again.
	void (*on_input)(void *context, const void *data, size_t length);
	void (*on_input_end)(void *context);
	void (*on_resize)(void *context, unsigned columns, unsigned rows);
	void (*on_drain)(void *context); // everything written is out
	void (*on_gone)(void *context);  // the client has left; the owner calls remote_free
};

// Upgrades the exchange; or answers with an error and returns NULL.
struct remote *remote_accept(struct loop *loop, struct http_exchange *exchange, const struct remote_wants *wants,
                             const struct remote_handler *handler, void *context);
void remote_write(struct remote *remote, enum remote_output output, const void *data, size_t length);
size_t remote_pending_bytes(const struct remote *remote);
void remote_input_taken(struct remote *remote, size_t length);

// How it went: exit_code 0 or a command's; -1 with a text.
struct remote_outcome {
	int exit_code;
	const char *error_text;
};
// Tells the outcome after everything else, ends the connection, and frees the remote; nothing is called any more.
void remote_finish(struct remote *remote, const struct remote_outcome *outcome);
// Cuts the connection off. Accepts NULL.
void remote_free(struct remote *remote);
