// SPDX-License-Identifier: Apache-2.0
// A binding names the pod's uid, and so does the condition's patch: neither can hit
// a pod that was made again under the same name.

#include "scheduler/pod_writer.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/json.h"
#include "common/api/object.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/client/rest.h"
#include "common/io/loop.h"

struct pod_writer {
	struct rest_client *client;
	struct loop *loop;
	const struct schema_resource *pods;
	pod_bound_function *on_bound;
	void *context;
	struct list operations;
	size_t binding_count;
};

struct operation {
	struct list node;
	struct pod_writer *writer;
	struct rest_call *call;
	struct pod_info *info;
	char *node_name; // of a binding
	int64_t started_ns;
};

struct pod_writer *pod_writer_new(struct rest_client *client, pod_bound_function *on_bound, void *context)
{
	struct pod_writer *writer = NEW(struct pod_writer);
	writer->client = client;
	writer->loop = rest_client_loop(client);
	writer->pods = schema_find_resource("", "v1", "pods");
	writer->on_bound = on_bound;
	writer->context = context;
	list_init(&writer->operations);
	return writer;
}

static void free_operation(struct operation *operation)
{
	list_remove(&operation->node);
	pod_info_unref(operation->info);
	free(operation->node_name);
	free(operation);
}

struct pod_writer *pod_writer_free(struct pod_writer *writer)
{
	if (!writer)
		return NULL;
	struct operation *operation;
	list_for_each (operation, &writer->operations, node) {
		rest_cancel(operation->call);
		free_operation(operation);
	}
	free(writer);
	return NULL;
}

static void start(struct pod_writer *writer, struct pod_info *info, const char *node_name, struct rest_request *request,
                  const struct json *body, void (*on_done)(void *context, const struct rest_response *response))
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	struct operation *operation = NEW(struct operation);
	json_write(&text, body);
	request->resource = writer->pods;
	request->namespace_name = info->object->namespace_name;
	request->name = info->object->name;
	request->body = strbuf_text(&text);
	request->body_length = text.length;
	operation->writer = writer;
	operation->info = pod_info_ref(info);
	operation->node_name = xstrdup(node_name);
	operation->started_ns = loop_now_ns(writer->loop);
	list_append(&writer->operations, &operation->node);
	operation->call = rest_start(writer->client, request, on_done, operation);
}

// --- binding ---------------------------------------------------------------------------

static void on_bind_done(void *context, const struct rest_response *response)
{
	struct operation *operation = context;
	struct pod_writer *writer = operation->writer;
	writer->binding_count--;
	writer->on_bound(writer->context, operation->info, operation->node_name,
	                 loop_now_ns(writer->loop) - operation->started_ns, &response->err);
	free_operation(operation);
}

void pod_writer_bind(struct pod_writer *writer, struct pod_info *info, const char *node_name)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *binding = json_object(arena);
	json_set_text(arena, binding, "apiVersion", "v1");
	json_set_text(arena, binding, "kind", "Binding");
	struct json *metadata = json_ensure_object(arena, binding, "metadata");
	json_set_text(arena, metadata, "name", info->object->name);
	json_set_text(arena, metadata, "namespace", info->object->namespace_name);
	json_set_text(arena, metadata, "uid", info->object->uid);
	struct json *target = json_ensure_object(arena, binding, "target");
	json_set_text(arena, target, "apiVersion", "v1");
	json_set_text(arena, target, "kind", "Node");
	json_set_text(arena, target, "name", node_name);
	struct rest_request request = {.method = "POST", .subresource = "binding"};
	writer->binding_count++;
	start(writer, info, node_name, &request, binding, on_bind_done);
}

size_t pod_writer_binding_count(const struct pod_writer *writer)
{
	return writer->binding_count;
}

// --- the condition ------------------------------------------------------------------------

static const struct core_v1_pod_condition *find_condition(const struct pod_info *info)
{
	const struct core_v1_pod_condition_array *conditions = &info->pod->status.conditions;
	for (size_t i = 0; i < conditions->count; i++)
		if (conditions->items[i].type && strcmp(conditions->items[i].type, "PodScheduled") == 0)
			return &conditions->items[i];
	return NULL;
}

static void on_condition_done(void *context, const struct rest_response *response)
{
	struct operation *operation = context;
	const struct api_object *pod = operation->info->object;
	// A pod that is gone needs no condition.
	if (response->err.code != ERR_NONE && response->err.code != ERR_NOT_FOUND && response->err.code != ERR_CONFLICT)
		log_error("Error updating pod condition", kv_obj("pod", pod->namespace_name, pod->name),
		          kv_err(&response->err));
	free_operation(operation);
}

void pod_writer_mark_unschedulable(struct pod_writer *writer, struct pod_info *info, const char *message)
{
	const struct core_v1_pod_condition *present = find_condition(info);
	bool was_false = present && text_equal(present->status, "False");
	if (was_false && text_equal(present->reason, "Unschedulable") && text_equal(present->message, message))
		return;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *patch = json_object(arena);
	json_set_text(arena, json_ensure_object(arena, patch, "metadata"), "uid", info->object->uid);
	struct json *status = json_ensure_object(arena, patch, "status");
	struct json *condition = json_object(arena);
	json_append(arena, json_ensure_array(arena, status, "conditions"), condition);
	json_set_text(arena, condition, "type", "PodScheduled");
	json_set_text(arena, condition, "status", "False");
	json_set_text(arena, condition, "reason", "Unschedulable");
	json_set_text(arena, condition, "message", message);
	json_set(arena, condition, "lastProbeTime", json_null(arena));
	if (!was_false) {
		char now[API_TIME_BYTES];
		api_time_format(loop_realtime_ns(writer->loop), now);
		json_set_text(arena, condition, "lastTransitionTime", now);
	}
	struct rest_request request = {
	        .method = "PATCH", .subresource = "status", .body_type = REST_STRATEGIC_MERGE_PATCH};
	start(writer, info, NULL, &request, patch, on_condition_done);
}
