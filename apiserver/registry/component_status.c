// SPDX-License-Identifier: Apache-2.0
// componentstatuses: the health of the control plane, asked when it is read. Nothing
// is stored: the scheduler and the controller manager are looked for where kubeadm
// puts them, on this machine; each etcd endpoint counts as one component.
//
//   read ──► ask both health pages at once ──► the last answer ends the request

#include <string.h>

#include "apiserver/encoding/encode.h"
#include "apiserver/registry/subresources.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/rules.h"
#include "common/api/selector.h"
#include "common/io/http_client.h"

enum {
	PROBE_TIMEOUT_SECONDS = 20,
	PROBE_MAX_BYTES = 10 << 10,
};

struct page {
	const char *name;
	const char *url;
};

static const struct page pages[] = {
        {"controller-manager", "https://127.0.0.1:10257/healthz"},
        {"scheduler", "https://127.0.0.1:10259/healthz"},
};

struct status_op;

struct probe {
	struct status_op *op;
	const struct page *page;
	bool is_healthy;
	const char *message;
};

struct status_op {
	struct request *request;
	struct http_client *client;
	struct label_selector *labels;
	struct field_selector fields;
	struct probe probes[ARRAY_SIZE(pages)];
	size_t pending;
};

// --- objects -----------------------------------------------------------------------------

static struct json *component(struct arena *arena, const char *name, bool is_healthy, const char *message)
{
	struct json *object = json_object(arena), *metadata = json_object(arena), *conditions = json_array(arena),
	            *condition = json_object(arena);

	json_set_text(arena, metadata, "name", name);
	json_set(arena, metadata, "creationTimestamp", json_null(arena));
	json_set_text(arena, condition, "type", "Healthy");
	json_set_text(arena, condition, "status", is_healthy ? "True" : "False");
	json_set_text(arena, condition, "message", message);
	json_append(arena, conditions, condition);
	json_set(arena, object, "metadata", metadata);
	json_set(arena, object, "conditions", conditions);
	return object;
}

static bool is_selected(const struct status_op *op, const char *name)
{
	if (!label_selector_matches_json(op->labels, NULL))
		return false;
	for (size_t i = 0; i < op->fields.count; i++) {
		const struct field_requirement *wanted = &op->fields.requirements[i];

		if (strcmp(wanted->field, "metadata.name") || !strcmp(wanted->value, name) == wanted->negated)
			return false;
	}
	return true;
}

static struct json *all_components(const struct status_op *op)
{
	const struct server *server = op->request->server;
	struct arena *arena = op->request->arena;
	bool is_healthy = storage_etcd_healthy(server->storage);
	struct json *list = json_array(arena);

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		json_append(arena, list,
		            component(arena, pages[i].name, op->probes[i].is_healthy, op->probes[i].message));
	for (size_t i = 0; i < server->config->etcd_servers.count; i++)
		json_append(arena, list,
		            component(arena, arena_printf(arena, "etcd-%zu", i), is_healthy,
		                      is_healthy ? "ok" : "context deadline exceeded"));
	return list;
}

static const char *name_of(const struct json *object)
{
	return text_of(json_get(object, "metadata"), "name");
}

// --- the answer -----------------------------------------------------------------------------

static void finish_one(struct status_op *op)
{
	struct request *request = op->request;
	const struct schema_resource *resource = request_resource(request);

	json_for_each_item (object, all_components(op)) {
		if (strcmp(name_of(object), request->route.name))
			continue;
		json_set_text(request->arena, object, "kind", resource->kind);
		json_set_text(request->arena, object, "apiVersion", "v1");
		encode_finish_tree(request, 200, object);
		return;
	}
	request_finish_status(request, status_not_found(request->arena, resource, request->route.name));
}

static void add_shaped(const struct request *request, struct json *items, struct json *object)
{
	struct arena *arena = request->arena;
	struct json *shaped = encode_shape(arena, request, object, false, request->received_realtime_ns);

	if (request->output.shape != OUTPUT_TABLE) {
		json_append(arena, items, shaped);
		return;
	}
	json_for_each_item (row, json_get(shaped, "rows"))
		json_append(arena, items, row);
}

static void finish_list(struct status_op *op)
{
	struct request *request = op->request;
	struct list_answer none = {.remaining = -1};
	struct json *list = encode_list_head(request, &none), *items = json_array(request->arena);

	json_for_each_item (object, all_components(op))
		if (is_selected(op, name_of(object)))
			add_shaped(request, items, object);
	json_remove(json_get(list, "metadata"), "resourceVersion");
	json_set(request->arena, list, request->output.shape == OUTPUT_TABLE ? "rows" : "items", items);
	request_finish_tree(request, 200, list);
}

static void finish(struct status_op *op)
{
	http_client_free(op->client);
	if (op->request->route.operation == OPERATION_LIST)
		finish_list(op);
	else
		finish_one(op);
}

// --- the probes -------------------------------------------------------------------------------

static void on_answer(void *context, int status, const char *body, size_t length, const struct err *err)
{
	struct probe *probe = context;
	struct arena *arena = probe->op->request->arena;

	probe->is_healthy = !err && status >= 200 && status < 400;
	if (err)
		probe->message = arena_printf(arena, "Get \"%s\": %s", probe->page->url, err->message);
	else if (!probe->is_healthy)
		probe->message = arena_printf(arena, "HTTP probe failed with statuscode: %d", status);
	else
		probe->message = arena_strndup(arena, body, length);
	if (!--probe->op->pending)
		finish(probe->op);
}

static void ask(struct status_op *op)
{
	struct http_client_config config = {.tls.insecure_skip_verify = true, .user_agent = "kube-apiserver"};

	op->client = http_client_new(op->request->loop, &config);
	op->pending = ARRAY_SIZE(pages);
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		struct http_call_config call = {
		        .method = "GET",
		        .url = pages[i].url,
		        .timeout_ns = PROBE_TIMEOUT_SECONDS * NSEC_PER_SEC,
		        .max_response_bytes = PROBE_MAX_BYTES,
		        .on_done = on_answer,
		        .context = &op->probes[i],
		};

		op->probes[i] = (struct probe){.op = op, .page = &pages[i]};
		http_call_start(op->client, &call);
	}
}

static int parse_selectors(struct status_op *op, struct err *err)
{
	const struct request_options *options = &op->request->options;
	struct arena *arena = op->request->arena;
	const char *labels = options->label_selector, *fields = options->field_selector;

	if (label_selector_parse(arena, labels ? labels : "", &op->labels, err) < 0)
		return -1;
	return field_selector_parse(arena, fields ? fields : "", &op->fields, err);
}

void component_status_serve(struct request *request)
{
	struct status_op *op = ARENA_NEW(request->arena, struct status_op);
	struct err err = ERR_INIT;

	op->request = request;
	if (parse_selectors(op, &err) < 0)
		request_finish_status(request, status_new(request->arena, ERR_BAD_REQUEST, "%s", err.message));
	else
		ask(op);
}
