// SPDX-License-Identifier: Apache-2.0
// The encode stage. A list whose items need no change is a head, the cached
// buffers with commas between them, and a tail: nothing is parsed or copied, and
// the length is known before the first byte is sent. Everything else is built
// item by item with a scratch arena on a worker, so that a long Table never
// holds more than one parsed object.

#include "apiserver/encoding/encode.h"

#include <string.h>

#include "apiserver/encoding/answer.h"
#include "apiserver/encoding/convert.h"
#include "apiserver/encoding/encode_protobuf.h"
#include "apiserver/object_io.h"
#include "apiserver/storage/storage.h"
#include "common/api/object.h"
#include "common/api/table.h"
#include "common/api/yaml.h"
#include "common/base/blob.h"
#include "common/base/memory.h"

enum {
	ENCODE_HEAVY_ITEMS = 16,
	ENCODE_MAX_BYTES = 1 << 30,
};

bool encode_is_plain(const struct request *request)
{
	return request->output.format == OUTPUT_JSON && request->output.shape == OUTPUT_OBJECT &&
	       !request->output.pretty && !convert_is_needed(request_resource(request));
}

static struct json *partial_metadata(struct arena *arena, const struct json *object)
{
	struct json *partial = json_object(arena);
	struct json *metadata = json_get(object, "metadata");

	json_set_text(arena, partial, "kind", "PartialObjectMetadata");
	json_set_text(arena, partial, "apiVersion", "meta.k8s.io/v1");
	json_set(arena, partial, "metadata", metadata ? metadata : json_object(arena));
	return partial;
}

static struct json *table_row(struct arena *arena, const struct request *request,
                              const struct schema_resource *resource, struct json *object, int64_t now_realtime_ns)
{
	struct json *row = json_object(arena);
	struct json *conditions = table_row_conditions(arena, resource, object);

	json_set(arena, row, "cells", table_cells(arena, resource, object, now_realtime_ns));
	if (conditions)
		json_set(arena, row, "conditions", conditions);
	if (!strcmp(request->options.include_object, "None"))
		json_set(arena, row, "object", json_null(arena));
	else if (!strcmp(request->options.include_object, "Object"))
		json_set(arena, row, "object", object);
	else
		json_set(arena, row, "object", partial_metadata(arena, object));
	return row;
}

static struct json *table_head(struct arena *arena, const struct schema_resource *resource, bool with_columns)
{
	struct json *table = json_object(arena);

	json_set_text(arena, table, "kind", "Table");
	json_set_text(arena, table, "apiVersion", "meta.k8s.io/v1");
	json_set(arena, table, "metadata", json_object(arena));
	json_set(arena, table, "columnDefinitions",
	         with_columns ? table_column_definitions(arena, resource) : json_null(arena));
	return table;
}

static struct json *shape_as(struct arena *arena, const struct request *request, const struct schema_resource *resource,
                             struct json *object, bool with_columns, int64_t now_realtime_ns)
{
	const char *version = object_resource_version(object);
	struct json *table, *rows;

	if (request->output.shape == OUTPUT_PARTIAL_METADATA)
		return partial_metadata(arena, object);
	if (request->output.shape != OUTPUT_TABLE)
		return object;
	table = table_head(arena, resource, with_columns);
	if (version)
		json_set_text(arena, json_get(table, "metadata"), "resourceVersion", version);
	rows = json_array(arena);
	json_append(arena, rows, table_row(arena, request, resource, object, now_realtime_ns));
	json_set(arena, table, "rows", rows);
	return table;
}

struct json *encode_shape(struct arena *arena, const struct request *request, struct json *object, bool with_columns,
                          int64_t now_realtime_ns)
{
	return shape_as(arena, request, request_resource(request), object, with_columns, now_realtime_ns);
}

void encode_finish_tree_as(struct request *request, int code, const struct schema_resource *resource,
                           struct json *object)
{
	request_finish_tree(request, code,
	                    shape_as(request->arena, request, resource, object, true, request->received_realtime_ns));
}

void encode_finish_tree(struct request *request, int code, struct json *object)
{
	encode_finish_tree_as(request, code, request_resource(request), object);
}

void encode_finish_object(struct request *request, int code, struct stored_object *object)
{
	struct err err = ERR_INIT;
	struct json *tree;

	if (encode_is_plain(request)) {
		answer_send_blob(request, code, "application/json", object->json);
		return;
	}
	if (request->output.format == OUTPUT_PROTOBUF) {
		encode_protobuf_finish_object(request, code, object);
		return;
	}
	tree = object_load_plain(request->arena, request_resource(request), object, &err);
	if (!tree)
		request_finish_status(request, status_internal(request->arena, "%s", err.message));
	else
		encode_finish_tree(request, code, tree);
}

// --- lists --------------------------------------------------------------------------

struct list_encoding {
	struct request *request;
	struct list_answer answer;
	struct strbuf text;
};

static struct json *list_metadata(struct arena *arena, const struct list_answer *answer)
{
	struct json *metadata = json_object(arena);

	json_set_text(arena, metadata, "resourceVersion", arena_printf(arena, "%lld", (long long)answer->revision));
	if (answer->continue_token)
		json_set_text(arena, metadata, "continue", answer->continue_token);
	if (answer->remaining >= 0)
		json_set_integer(arena, metadata, "remainingItemCount", answer->remaining);
	return metadata;
}

static const char *api_version_text(struct arena *arena, const struct schema_resource *resource)
{
	return resource->group[0] ? arena_printf(arena, "%s/%s", resource->group, resource->version)
	                          : resource->version;
}

struct json *encode_list_head(struct request *request, const struct list_answer *answer)
{
	const struct schema_resource *resource = request_resource(request);
	struct arena *arena = request->arena;
	struct json *head;

	if (request->output.shape == OUTPUT_TABLE) {
		head = table_head(arena, request_resource(request), true);
	} else {
		bool partial = request->output.shape == OUTPUT_PARTIAL_METADATA;

		head = json_object(arena);
		json_set_text(arena, head, "kind", partial ? "PartialObjectMetadataList" : resource->list_kind);
		json_set_text(arena, head, "apiVersion",
		              partial ? "meta.k8s.io/v1" : api_version_text(arena, resource));
	}
	json_set(arena, head, "metadata", list_metadata(arena, answer));
	return head;
}

// The head's text up to the items, which come last: {…,"items":[
static void write_list_head(struct request *request, const struct list_answer *answer, struct strbuf *text)
{
	json_write(text, encode_list_head(request, answer));
	text->length--; // the closing brace
	strbuf_append_text(text, request->output.shape == OUTPUT_TABLE ? ",\"rows\":[" : ",\"items\":[");
}

static void drop_objects(const struct list_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		stored_object_unref(answer->objects[i]);
	free(answer->objects);
}

static void send_plain_list(struct request *request, const struct list_answer *answer)
{
	struct strbuf head = STRBUF_INIT(1 << 20);
	AUTO(blob_unref) struct blob *comma = blob_new(",", 1);
	AUTO(blob_unref) struct blob *tail = blob_new("]}\n", 3);
	struct answer_body body = ANSWER_BODY_INIT;
	size_t length;

	write_list_head(request, answer, &head);
	char *text = strbuf_take(&head, &length);
	AUTO(blob_unref) struct blob *head_blob = blob_new_take(text, length);

	answer_body_add(&body, head_blob, 0, head_blob->length);
	for (size_t i = 0; i < answer->count; i++) {
		struct blob *json = answer->objects[i]->json;

		if (i)
			answer_body_add(&body, comma, 0, 1);
		answer_body_add(&body, json, 0, json->length);
	}
	answer_body_add(&body, tail, 0, tail->length);
	drop_objects(answer);
	answer_send(request, 200, "application/json", &body);
}

static struct json *list_item(struct arena *arena, const struct request *request, const struct stored_object *object)
{
	struct json *tree = object_load_plain(arena, request_resource(request), object, NULL);

	if (!tree)
		return NULL;
	if (request->output.shape == OUTPUT_TABLE)
		return table_row(arena, request, request_resource(request), tree, request->received_realtime_ns);
	return encode_shape(arena, request, tree, false, request->received_realtime_ns);
}

// The compact form, item by item.
static void build_compact(struct list_encoding *encoding)
{
	struct request *request = encoding->request;
	struct arena *scratch = arena_new(64 << 10);
	bool first = true;

	write_list_head(request, &encoding->answer, &encoding->text);
	for (size_t i = 0; i < encoding->answer.count; i++) {
		struct json *item = list_item(scratch, request, encoding->answer.objects[i]);

		if (item) {
			if (!first)
				strbuf_append_char(&encoding->text, ',');
			json_write(&encoding->text, item);
			first = false;
		}
		arena_reset(scratch);
	}
	strbuf_append_text(&encoding->text, "]}\n");
	arena_free(scratch);
}

// Pretty JSON and YAML need the whole tree.
static void build_whole(struct list_encoding *encoding)
{
	struct request *request = encoding->request;
	struct json *items = json_array(request->arena);
	struct json *list = encode_list_head(request, &encoding->answer);

	for (size_t i = 0; i < encoding->answer.count; i++) {
		struct json *item = list_item(request->arena, request, encoding->answer.objects[i]);

		if (item)
			json_append(request->arena, items, item);
	}
	json_set(request->arena, list, request->output.shape == OUTPUT_TABLE ? "rows" : "items", items);
	if (request->output.format == OUTPUT_YAML)
		yaml_write(&encoding->text, list);
	else
		json_write_pretty(&encoding->text, list);
}

static void build_list(struct request *request)
{
	struct list_encoding *encoding = request->stage_context;

	if (request->output.format == OUTPUT_YAML || request->output.pretty)
		build_whole(encoding);
	else
		build_compact(encoding);
}

static void send_built_list(struct request *request)
{
	struct list_encoding *encoding = request->stage_context;
	size_t length;
	char *data = strbuf_take(&encoding->text, &length);
	AUTO(blob_unref) struct blob *blob = blob_new_take(data, length);
	struct answer_body body = ANSWER_BODY_INIT;

	drop_objects(&encoding->answer);
	answer_body_add(&body, blob, 0, blob->length);
	answer_send(request, 200, request->output.content_type, &body);
}

void encode_finish_list(struct request *request, const struct list_answer *answer)
{
	struct list_encoding *encoding;

	if (encode_is_plain(request)) {
		send_plain_list(request, answer);
		return;
	}
	if (request->output.format == OUTPUT_PROTOBUF) {
		encode_protobuf_finish_list(request, answer);
		return;
	}
	encoding = ARENA_NEW(request->arena, struct list_encoding);
	encoding->request = request;
	encoding->answer = *answer;
	encoding->text = STRBUF_INIT(ENCODE_MAX_BYTES);
	request->stage_context = encoding;
	request_run(request, answer->count > ENCODE_HEAVY_ITEMS, build_list, send_built_list);
}
