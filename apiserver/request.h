// SPDX-License-Identifier: Apache-2.0
#pragma once
// One request on its way through the stages. It belongs to its exchange's loop
// and owns one arena, in which everything that the stages make lives. Exactly
// one request_finish_* ends it, answers, counts, logs and frees it; nothing may
// touch it afterwards.

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/authentication/user.h"
#include "apiserver/encoding/negotiate.h"
#include "apiserver/query.h"
#include "apiserver/route.h"
#include "apiserver/status.h"
#include "common/io/http_server.h"
#include "common/io/loop.h"

struct fairness_ticket;
struct audit_record;
struct served;
struct server;
struct stored_object;

struct request_warning {
	struct request_warning *next;
	const char *text;
};

struct request {
	struct server *server;
	struct http_exchange *exchange;
	const struct http_request *http;
	struct loop *loop;
	struct arena *arena;
	struct user user;
	struct user *impersonator; // who asked to be `user`; NULL = nobody
	struct query query;
	struct request_options options;
	struct served *served; // what was there when it came
	struct route route;
	struct output output;
	struct request_warning *warnings;
	struct request_warning **last_warning;
	const char *audit_id;           // NULL until it is asked for
	struct json *admitted_body;     // what admission made of a posted body; NULL for what is stored
	struct audit_record *audit;     // NULL: no events are written of it
	struct json *audit_annotations; // what authorization and admission note for the audit log; NULL = nothing
	int64_t started_ns;
	int64_t received_realtime_ns;
	bool counted; // against the in-flight limits
	bool counted_mutating;
	bool counted_long_running;
	struct fairness_ticket *ticket; // the seats that it holds or waits for
	const char *flow_schema_uid;    // NULL: not classified
	const char *priority_level_uid;
	size_t next_stage; // of the line in serve.c
	struct work work;  // see request_run
	void (*stage)(struct request *request);
	void (*stage_done)(struct request *request);
	void *stage_context; // of the running stage
};

struct request *request_new(struct server *server, struct http_exchange *exchange);

// A stage of the line that had to wait has passed (NULL) or refused. On the request's loop.
void request_next(struct request *request, const struct status *failure);
// Runs `stage`, then `done`: on a worker when `heavy`, else right here. `done` is on the request's loop.
void request_run(struct request *request, bool heavy, void (*stage)(struct request *request),
                 void (*done)(struct request *request));

// The client's Audit-ID, or one of our own.
const char *request_audit_id(struct request *request);

// Adds a "Warning: 299" header to the answer; copies.
void request_warn(struct request *request, const char *text);

// The request's resource as the watch cache knows it.
static inline const struct schema_resource *request_resource(const struct request *request)
{
	return request->route.resource;
}

// The head fields that every answer carries, for answers that stream.
struct http_header *request_headers(struct request *request, const char *content_type, size_t extra, size_t *ret_count);

// --- the end ---------------------------------------------------------------------
void request_finish_status(struct request *request, const struct status *status);
// The body is borrowed: its reference is taken.
void request_finish_blob(struct request *request, int code, const char *content_type, struct blob *body);
// Encoded as the client asked: JSON or YAML, pretty or not; shapes are encode.h's matter.
void request_finish_tree(struct request *request, int code, const struct json *tree);
// Counts, logs and frees a request that was answered by the exchange's own functions.
void request_finish_sent(struct request *request, int code);
