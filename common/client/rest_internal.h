// SPDX-License-Identifier: Apache-2.0
#pragma once
// What rest.c (calls) and rest_watch.c (streams) share.

#include "common/base/list.h"
#include "common/base/strbuf.h"
#include "common/client/rest.h"
#include "common/io/http_client.h"
#include "common/io/loop.h"

struct rest_client {
	struct loop *loop;
	struct http_client *http;
	struct arena *arena; // the texts of the configuration
	struct client_config config;
	char *base_url;                     // without a trailing slash
	const char **impersonation_headers; // NULL-terminated
	size_t impersonation_count;
	struct list calls;
	struct list waiting; // ordinary calls that must wait for room, first come first served
	unsigned running_count;
	bool closing;
	SSL_CTX *upgrade_tls; // made on first use
	char *authorization;
};

struct rest_call {
	struct rest_client *client;
	struct list node;
	struct list waiting_node;
	bool running; // counted in the client's running_count
	struct http_call *http;
	struct loop_timer retry_timer;
	struct arena *arena; // the request's texts
	struct http_call_config config;
	const char **headers;
	unsigned attempts;
	// The callbacks of the one kind that the call is of.
	void (*on_done)(void *context, const struct rest_response *response);
	void (*on_data)(void *context, const char *data, size_t length);
	struct watch_callbacks watch;
	void *context;
	// Streams.
	int status;
	struct strbuf buffer;      // a watch's unfinished line, or the body of a refusal
	struct arena *event_arena; // reset for each event
	struct err watch_err;      // why the server ended the watch
	bool dispatching;          // inside a foreign callback: freeing waits for its return
	bool cancelled;
};

// Copies the request; nothing is sent yet. `extra_query` may be NULL.
struct rest_call *rest_call_new(struct rest_client *client, const struct rest_request *request, const char *extra_query,
                                void *context);
void rest_call_free(struct rest_call *call);
// Calls out are framed by these two; rest_call_leave returns false when the call was cancelled inside and is gone.
void rest_call_enter(struct rest_call *call);
bool rest_call_leave(struct rest_call *call);

// Parses a body and judges the status into `response` (arena given by the caller).
void rest_response_fill(const struct rest_call *call, struct arena *arena, int status, const char *body,
                        size_t body_length, const struct err *transport_err, struct rest_response *response);
// A Status object into an error; false when it tells of success or is none.
bool rest_status_error(const struct json *status, int http_status, struct err *err);
