// SPDX-License-Identifier: Apache-2.0
// Bodies are in the event from the level Request on, as JSON whatever the client
// sent: a created object, a patch, delete options; the answer at RequestResponse.
// What can't be read is left out.

#include "apiserver/audit/audit_event.h"

#include <string.h>

#include "apiserver/body.h"
#include "apiserver/request.h"
#include "common/api/object.h"
#include "common/api/protobuf.h"
#include "common/api/yaml.h"

enum {
	EVENT_MAX_REFERENCE_BYTES = 64 << 10, // a larger body isn't read for its name alone
};

// --- bodies -----------------------------------------------------------------------------------

static struct json *read_document(struct arena *arena, const char *type, const struct schema_type *schema,
                                  const char *data, size_t length)
{
	struct yaml_document *documents;
	struct json *document = NULL;
	size_t count;

	if (type && strstr(type, "protobuf"))
		return schema && protobuf_read_object(arena, schema, data, length, &document, NULL) == 0 ? document
		                                                                                         : NULL;
	if (type && strstr(type, "yaml"))
		return yaml_parse(arena, data, length, NULL, &documents, &count, NULL) == 0 && count == 1
		               ? documents[0].value
		               : NULL;
	return json_parse(arena, data, length, NULL, &document, NULL) == 0 ? document : NULL;
}

static struct json *request_object(struct request *request)
{
	const struct http_request *http = request->http;
	const struct schema_type *type;

	if (!http->body_length || !request->route.is_resource || !request->route.resource)
		return NULL;
	type = request->route.operation == OPERATION_DELETE || request->route.operation == OPERATION_DELETE_COLLECTION
	               ? schema_find_type("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
	               : body_kind_of_route(&request->route).type;
	return read_document(request->arena, http_request_header(http, "content-type"), type, http->body,
	                     http->body_length);
}

static void drop_managed_fields(struct json *object)
{
	json_remove(json_get(object, "metadata"), "managedFields");
	json_for_each_item (item, json_get(object, "items"))
		json_remove(json_get(item, "metadata"), "managedFields");
}

static struct json *response_object(struct request *request, const struct audit_record *record)
{
	const struct schema_type *type = request->route.resource ? body_kind_of_route(&request->route).type : NULL;

	if (record->failure)
		return status_to_json(request->arena, record->failure);
	if (!record->body || !request->route.is_resource)
		return NULL;
	return read_document(request->arena, record->body_type, type, record->body->data, record->body->length);
}

// --- parts ------------------------------------------------------------------------------------

static void add_text(struct arena *arena, struct json *object, const char *key, const char *text)
{
	if (text && text[0])
		json_set_text(arena, object, key, text);
}

static struct json *reference(struct request *request, const struct json *object)
{
	struct arena *arena = request->arena;
	const struct route *route = &request->route;
	struct json *result = json_object(arena);
	const char *name = route->name[0] ? route->name : object ? object_name(object) : NULL;

	add_text(arena, result, "resource", route->resource_name);
	add_text(arena, result, "namespace", route->namespace_name);
	add_text(arena, result, "name", name);
	if (object) {
		add_text(arena, result, "uid", object_uid(object));
		add_text(arena, result, "resourceVersion", object_resource_version(object));
	}
	add_text(arena, result, "apiGroup", route->group);
	add_text(arena, result, "apiVersion", route->version);
	add_text(arena, result, "subresource", route->subresource_name);
	return result;
}

static struct json *response_status(struct request *request, const struct audit_record *record, int code)
{
	struct json *status;

	if (record->failure) {
		status = status_to_json(request->arena, record->failure);
		json_remove(status, "kind");
		json_remove(status, "apiVersion");
		return status;
	}
	status = json_object(request->arena);
	json_set(request->arena, status, "metadata", json_object(request->arena));
	json_set_integer(request->arena, status, "code", code);
	return status;
}

static const char *address_of(struct arena *arena, const char *peer)
{
	const char *colon = peer ? strrchr(peer, ':') : NULL;

	if (!peer || !peer[0])
		return NULL;
	if (peer[0] == '[')
		return arena_strndup(arena, peer + 1, strcspn(peer + 1, "]"));
	return colon && strchr(peer, ':') == colon ? arena_strndup(arena, peer, (size_t)(colon - peer)) : peer;
}

static const char *uri_of(struct request *request)
{
	const struct http_request *http = request->http;

	return http->query && http->query[0] ? arena_printf(request->arena, "%s?%s", http->path, http->query)
	                                     : http->path;
}

static void add_head(struct request *request, enum audit_stage stage, struct json *event)
{
	struct arena *arena = request->arena;
	struct json *sources = json_array(arena);
	const char *address = address_of(arena, request->http->remote_address);

	json_set_text(arena, event, "kind", "Event");
	json_set_text(arena, event, "apiVersion", "audit.k8s.io/v1");
	json_set_text(arena, event, "level", audit_level_name(request->audit->verdict.level));
	json_set_text(arena, event, "auditID", request_audit_id(request));
	json_set_text(arena, event, "stage", audit_stage_name(stage));
	json_set_text(arena, event, "requestURI", uri_of(request));
	json_set_text(arena, event, "verb", request->route.verb);
	json_set(arena, event, "user",
	         user_to_json(arena, request->impersonator ? request->impersonator : &request->user));
	if (request->impersonator)
		json_set(arena, event, "impersonatedUser", user_to_json(arena, &request->user));
	if (address)
		json_append(arena, sources, json_string(arena, address));
	json_set(arena, event, "sourceIPs", sources);
	add_text(arena, event, "userAgent", http_request_header(request->http, "user-agent"));
}

static void add_times(struct request *request, struct json *event)
{
	char received[API_TIME_BYTES], now[API_TIME_BYTES];

	api_micro_time_format(request->received_realtime_ns, received);
	api_micro_time_format(loop_realtime_ns(request->loop), now);
	json_set_text(request->arena, event, "requestReceivedTimestamp", received);
	json_set_text(request->arena, event, "stageTimestamp", now);
}

static void add_bodies(struct request *request, enum audit_stage stage, struct json *sent, struct json *event)
{
	const struct audit_verdict *verdict = &request->audit->verdict;
	struct json *answer;

	if (verdict->omits_managed_fields && sent)
		drop_managed_fields(sent);
	if (verdict->level >= AUDIT_REQUEST && sent)
		json_set(request->arena, event, "requestObject", sent);
	if (verdict->level < AUDIT_REQUEST_RESPONSE || stage != AUDIT_RESPONSE_COMPLETE)
		return;
	answer = response_object(request, request->audit);
	if (!answer)
		return;
	if (verdict->omits_managed_fields)
		drop_managed_fields(answer);
	json_set(request->arena, event, "responseObject", answer);
}

void audit_event_write(struct request *request, enum audit_stage stage, int code, struct strbuf *out)
{
	const struct audit_record *record = request->audit;
	struct json *event = json_object(request->arena), *sent = NULL;
	bool needs_body = record->verdict.level >= AUDIT_REQUEST || request->route.operation == OPERATION_CREATE;

	if (stage != AUDIT_REQUEST_RECEIVED && needs_body &&
	    (record->verdict.level >= AUDIT_REQUEST || request->http->body_length <= EVENT_MAX_REFERENCE_BYTES))
		sent = request_object(request);
	add_head(request, stage, event);
	if (request->route.is_resource)
		json_set(request->arena, event, "objectRef",
		         reference(request, request->route.operation == OPERATION_PATCH ? NULL : sent));
	if (stage != AUDIT_REQUEST_RECEIVED)
		json_set(request->arena, event, "responseStatus", response_status(request, record, code));
	add_bodies(request, stage, sent, event);
	add_times(request, event);
	if (stage != AUDIT_REQUEST_RECEIVED && request->audit_annotations)
		json_set(request->arena, event, "annotations", request->audit_annotations);
	json_write(out, event);
}
