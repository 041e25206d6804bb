// SPDX-License-Identifier: Apache-2.0
#pragma once
// HTTP client on libcurl's multi interface: HTTP/2 where the server offers it,
// all requests and watches of one client over one connection. When certificate,
// CA or token files change, the next call uses them (certificates on a connection
// of its own; what runs on the old one goes on). Dial by address where the loop
// must not wait: taking back a call whose name is being resolved blocks.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/io/tls.h"

struct loop;
struct http_client;
struct http_call;

struct http_client_config {
	struct tls_client_config tls;  // files are read again when they change
	const char *bearer_token;      // NULL = none
	const char *bearer_token_file; // read again when it changes
	const char *user_agent;
	bool http1_only;
};

struct http_client *http_client_new(struct loop *loop, const struct http_client_config *config);
struct http_client *http_client_free(struct http_client *client); // abandons its calls; safe from their callbacks

struct http_call_config {
	const char *method;
	const char *url;
	const char *const *headers; // "Name: value", NULL-terminated, NULL = none
	const char *body;           // copied
	size_t body_length;
	int64_t timeout_ns;        // whole call; 0 = none (watches)
	size_t max_response_bytes; // 0 = 1 GiB when captured
	// Streaming: the head once, then data as it comes. When on_data is NULL the body is captured.
	void (*on_head)(void *context, int status);
	void (*on_data)(void *context, const char *data, size_t length);
	// Exactly once, never from inside http_call_start. status 0 and err set when
	// no answer came; err is also set when a started answer broke off.
	void (*on_done)(void *context, int status, const char *body, size_t body_length, const struct err *err);
	void *context;
};

// Never fails at once. `config` and what it points at are the caller's again. The
// call is gone once on_done has returned. err speaks as Go's clients do: "dial tcp
// 192.0.2.1:6443: connect: connection refused" (ERR_IO), ERR_TIMEOUT past timeout_ns or
// the 10 s to connect, ERR_TOO_LARGE past max_response_bytes, ERR_BAD_REQUEST for a bad URL.
struct http_call *http_call_start(struct http_client *client, const struct http_call_config *config);
// Ends it; on_done does not come. Safe from inside its own callbacks.
void http_call_cancel(struct http_call *call);
// A response header, within on_head/on_done; NULL = none.
const char *http_call_response_header(const struct http_call *call, const char *name);
// The next one of that name after `previous` (a value that one of these two returned); NULL = no more.
const char *http_call_next_response_header(const struct http_call *call, const char *name, const char *previous);
