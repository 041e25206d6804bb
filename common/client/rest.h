// SPDX-License-Identifier: Apache-2.0
#pragma once
// The Kubernetes REST client: typed paths, JSON bodies, Status errors, watches.
// One client serves a whole daemon over one HTTP/2 connection.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/err.h"
#include "common/client/kubeconfig.h"

struct loop;
struct rest_client;
struct rest_call;

NODISCARD int rest_client_new(struct loop *loop, const struct client_config *config, const char *user_agent,
                              struct rest_client **ret_client, struct err *err);
struct rest_client *rest_client_free(struct rest_client *client); // abandons its calls
struct loop *rest_client_loop(const struct rest_client *client);
const struct client_config *rest_client_config(const struct rest_client *client);

enum rest_body_type {
	REST_JSON,
	REST_JSON_PATCH,
	REST_MERGE_PATCH,
	REST_STRATEGIC_MERGE_PATCH,
	REST_APPLY_PATCH, // YAML or JSON
};

struct rest_request {
	const char *method;                     // "GET", "POST", "PUT", "PATCH", "DELETE"
	const struct schema_resource *resource; // or `path`
	const char *namespace_name;             // NULL: cluster scope or all namespaces
	const char *name;                       // NULL: the collection
	const char *subresource;                // NULL: none
	const char *path;                       // raw path instead of resource ("/version"), with or without query
	const char *query;                      // encoded, without '?', NULL = none
	const char *accept;                     // NULL = application/json
	enum rest_body_type body_type;
	const char *body; // copied
	size_t body_length;
	int64_t timeout_ns;       // 0 = 30 s
	const char *bearer_token; // of this call, for a client without credentials of its own; NULL = none
};

struct rest_response {
	int http_status; // 0: no answer came
	const char *body;
	size_t body_length;
	// Failure in one shape: the code from Status.reason and the Status message;
	// ERR_UNAVAILABLE/ERR_IO when no answer came. err.code is ERR_NONE on success.
	struct err err;
	// The parsed body (object or Status), in an arena that lives for the callback; NULL when not JSON.
	struct arena *arena;
	struct json *object;
	const char *const *warnings; // texts of the Warning headers, NULL-terminated; NULL = none
	int64_t retry_after_ns;      // from details.retryAfterSeconds or Retry-After, else 0
};

// on_done: exactly once, never from inside rest_start. The response is borrowed for the call.
struct rest_call *rest_start(struct rest_client *client, const struct rest_request *request,
                             void (*on_done)(void *context, const struct rest_response *response), void *context);
void rest_cancel(struct rest_call *call); // on_done does not come

// For tools: runs the loop until the answer is there. The response's arena is the caller's `arena`.
NODISCARD int rest_run(struct rest_client *client, struct arena *arena, const struct rest_request *request,
                       struct rest_response *ret_response, struct err *err);

// --- watch and other streams ---------------------------------------------------

enum watch_event_type {
	WATCH_ADDED,
	WATCH_MODIFIED,
	WATCH_DELETED,
	WATCH_BOOKMARK,
	WATCH_ERROR,
};

struct watch_callbacks {
	// `object` is borrowed for the call. An ERROR event comes as on_end's err instead.
	void (*on_event)(void *context, enum watch_event_type type, const struct json *object);
	// Once: the watch ended. err->code ERR_NONE: the server ended it in order; ERR_EXPIRED/ERR_GONE: list again.
	void (*on_end)(void *context, const struct err *err);
};

// `request` names the collection; watch=true and the given resourceVersion are added to its query.
struct rest_call *rest_watch(struct rest_client *client, const struct rest_request *request,
                             const char *resource_version, const struct watch_callbacks *callbacks, void *context);

// Raw streaming (logs -f).
struct rest_call *rest_stream(struct rest_client *client, const struct rest_request *request,
                              void (*on_data)(void *context, const char *data, size_t length),
                              void (*on_done)(void *context, const struct rest_response *response), void *context);

// A TLS context and address for upgrades (exec, attach, port-forward) with the same credentials.
typedef struct ssl_ctx_st SSL_CTX;
struct rest_endpoint {
	const char *host;
	int port;
	SSL_CTX *tls; // borrowed from the client
	const char *base_path;
	const char *authorization; // header value or NULL
};
NODISCARD int rest_client_endpoint(struct rest_client *client, struct rest_endpoint *ret_endpoint, struct err *err);

// The path of a request ("/apis/apps/v1/namespaces/x/deployments/y/scale?…"), on the heap.
char *rest_request_path(const struct rest_request *request);
// Percent-encodes one path segment or query value.
void url_escape(struct strbuf *out, const char *text);
