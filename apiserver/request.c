// SPDX-License-Identifier: Apache-2.0
// The request object: what the stages share, and the ways to end it.
//
// Threads: a request is used by one thread at a time: its loop, or a worker
// between request_run and its `done`. Storage calls back on the request's loop.

#include "apiserver/request.h"

#include <string.h>
#include <strings.h>

#include "apiserver/audit.h"
#include "apiserver/audit/audit_event.h"
#include "apiserver/audit/auditor.h"
#include "apiserver/custom/custom.h"
#include "apiserver/encoding/encode_protobuf.h"
#include "apiserver/fairness/fairness.h"
#include "apiserver/server.h"
#include "common/api/protobuf.h"
#include "common/api/yaml.h"
#include "common/base/blob.h"
#include "common/base/encode.h"
#include "common/base/memory.h"

enum {
	REQUEST_ARENA_BYTES = 8 << 10,
	READING_ARENA_BYTES = 2 << 10, // a watch keeps it for as long as it lives
	REQUEST_MAX_WARNING_BYTES = 4096,
	REQUEST_MAX_ANSWER_BYTES = 1 << 30,
};

struct request *request_new(struct server *server, struct http_exchange *exchange)
{
	bool reads = !strcmp(http_exchange_request(exchange)->method, "GET");
	struct arena *arena = arena_new(reads ? READING_ARENA_BYTES : REQUEST_ARENA_BYTES);
	struct request *request = ARENA_NEW(arena, struct request);

	request->arena = arena;
	request->server = server;
	request->exchange = http_exchange_ref(exchange);
	request->http = http_exchange_request(exchange);
	request->served = custom_served(server->custom);
	request->loop = http_exchange_loop(exchange);
	request->last_warning = &request->warnings;
	request->started_ns = loop_now_ns(request->loop);
	request->received_realtime_ns = loop_realtime_ns(request->loop);
	request->output = (struct output){.content_type = "application/json"};
	return request;
}

static void request_free(struct request *request)
{
	http_exchange_unref(request->exchange);
	served_unref(request->served);
	arena_free(request->arena);
}

static void run_on_worker(struct work *work)
{
	struct request *request = container_of(work, struct request, work);

	request->stage(request);
}

static void worker_done(struct work *work)
{
	struct request *request = container_of(work, struct request, work);

	request->stage_done(request);
}

void request_run(struct request *request, bool heavy, void (*stage)(struct request *request),
                 void (*done)(struct request *request))
{
	if (!heavy) {
		stage(request);
		done(request);
		return;
	}
	request->stage = stage;
	request->stage_done = done;
	work_pool_submit(request->server->workers, &request->work, request->loop, run_on_worker, worker_done);
}

// The text becomes a quoted string of RFC 7234: quotes and backslashes escaped, one line.
void request_warn(struct request *request, const char *text)
{
	struct request_warning *warning = ARENA_NEW(request->arena, struct request_warning);
	size_t length = strnlen(text, REQUEST_MAX_WARNING_BYTES);
	char *quoted = arena_alloc(request->arena, 2 * length + 16);
	char *out = stpcpy(quoted, "299 - \"");

	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			continue;
		if (text[i] == '"' || text[i] == '\\')
			*out++ = '\\';
		*out++ = text[i];
	}
	*out++ = '"';
	*out = '\0';
	for (const struct request_warning *known = request->warnings; known; known = known->next)
		if (!strcmp(known->text, quoted))
			return;
	warning->text = quoted;
	*request->last_warning = warning;
	request->last_warning = &warning->next;
}

const char *request_audit_id(struct request *request)
{
	const char *sent = http_request_header(request->http, "audit-id");
	char made[37];

	if (request->audit_id)
		return request->audit_id;
	if (sent && sent[0]) {
		request->audit_id = arena_strndup(request->arena, sent, strnlen(sent, 64));
		return request->audit_id;
	}
	uuid_v4(made);
	request->audit_id = arena_strdup(request->arena, made);
	return request->audit_id;
}

struct http_header *request_headers(struct request *request, const char *content_type, size_t extra, size_t *ret_count)
{
	struct http_header *headers;
	size_t count = 0, warnings = 0;

	for (const struct request_warning *warning = request->warnings; warning; warning = warning->next)
		warnings++;
	headers = ARENA_ARRAY(request->arena, struct http_header, 5 + FAIRNESS_HEADERS + warnings + extra);
	headers[count++] = (struct http_header){"audit-id", request_audit_id(request)};
	headers[count++] = (struct http_header){"cache-control", "no-cache, private"};
	if (request->server->config->strict_transport_security)
		headers[count++] = (struct http_header){"strict-transport-security",
		                                        request->server->config->strict_transport_security};
	if (content_type)
		headers[count++] = (struct http_header){"content-type", content_type};
	count += fairness_headers(request, headers + count);
	for (const struct request_warning *warning = request->warnings; warning; warning = warning->next)
		headers[count++] = (struct http_header){"warning", warning->text};
	*ret_count = count;
	return headers;
}

void request_finish_sent(struct request *request, int code)
{
	auditor_completed(request, code);
	audit_request_done(request, code);
	request_free(request);
}

static void respond(struct request *request, int code, const char *content_type, struct blob *body,
                    int retry_after_seconds)
{
	size_t count;
	struct http_header *headers = request_headers(request, content_type, 2, &count);

	// A refusal repeats what the client said: nothing may take it for a page.
	if (code == 403 || code >= 500 || (content_type && !strncmp(content_type, "text/plain", 10)))
		headers[count++] = (struct http_header){"x-content-type-options", "nosniff"};
	if (retry_after_seconds)
		headers[count++] =
		        (struct http_header){"retry-after", arena_printf(request->arena, "%d", retry_after_seconds)};
	http_exchange_respond(request->exchange, code, headers, count, body);
	if (request->audit) {
		request->audit->body = body;
		request->audit->body_type = content_type;
	}
	request_finish_sent(request, code);
}

void request_finish_blob(struct request *request, int code, const char *content_type, struct blob *body)
{
	respond(request, code, content_type, body, 0);
}

// What has no protobuf form is sent as JSON to those who asked for protobuf.
static struct blob *encode_tree(const struct request *request, const struct json *tree, const char **ret_content_type)
{
	struct blob *protobuf = request->output.format == OUTPUT_PROTOBUF ? encode_protobuf_tree(tree) : NULL;
	struct strbuf text = STRBUF_INIT(REQUEST_MAX_ANSWER_BYTES);
	size_t length;
	char *data;

	*ret_content_type = protobuf                                    ? PROTOBUF_MEDIA_TYPE
	                    : request->output.format == OUTPUT_PROTOBUF ? "application/json"
	                                                                : request->output.content_type;
	if (protobuf)
		return protobuf;
	if (request->output.format == OUTPUT_YAML)
		yaml_write(&text, tree);
	else if (request->output.pretty)
		json_write_pretty(&text, tree);
	else
		json_write(&text, tree);
	if (request->output.format != OUTPUT_YAML)
		strbuf_append_char(&text, '\n');
	data = strbuf_take(&text, &length);
	return blob_new_take(data, length);
}

void request_finish_tree(struct request *request, int code, const struct json *tree)
{
	const char *content_type;
	AUTO(blob_unref) struct blob *body = encode_tree(request, tree, &content_type);

	respond(request, code, content_type, body, 0);
}

void request_finish_status(struct request *request, const struct status *status)
{
	const char *content_type;
	AUTO(blob_unref)
	struct blob *body = encode_tree(request, status_to_json(request->arena, status), &content_type);

	if (request->audit)
		request->audit->failure = status;
	respond(request, status->code, content_type, body, status->retry_after_seconds);
}
