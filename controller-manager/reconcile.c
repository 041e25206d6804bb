// SPDX-License-Identifier: Apache-2.0
//
// The life of one key in work:
//
//   RUNNING   the controller's function looks and starts requests
//   ANSWERS   requests are on their way
//   STORES    all are answered; the local stores have not seen all writes yet
//   finished  done, or again with back-off
//
// Waiting for the stores takes the place of upstream's expectations: an answer to
// a write carries the resourceVersion that it made, and the informer of that
// resource will pass it. Were it never to pass (the server went back to an older
// backup), a timer ends the wait.
//
// A request's answer may start further requests; `holds` counts what keeps the key
// open, the running function included, so the key can't finish under anybody's feet.
#include <stdarg.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "controller-manager/internal.h"
#include "controller-manager/patch_by_update.h"

#define STORE_WAIT_NS (30 * NSEC_PER_SEC)
enum { MAX_BODY_BYTES = 16 * 1024 * 1024 };

struct awaited_revision {
	const struct schema_resource *resource;
	int64_t revision;
};

struct pending_request {
	struct list node;
	struct reconcile *reconcile;
	struct rest_call *call;
	const struct schema_resource *resource;
	bool is_write;
	bool is_create;
	bool is_delete;
	reconcile_answer_fn on_answer;
	void *context;
};

enum { MAX_AWAITED = 8 };

struct kept_object { // in the reconcile's arena
	struct kept_object *next;
	struct api_object *object;
};

struct reconcile {
	struct list node; // of controller->running
	struct controller *controller;
	struct arena *arena;
	char *key;
	unsigned holds;
	struct list requests;
	struct kept_object *kept;
	struct awaited_revision awaited[MAX_AWAITED];
	size_t awaited_count;
	struct loop_timer store_timer;
	bool waits_for_stores;
	bool retry;
	struct err retry_reason;
	int64_t again_after_ns; // -1 = no
};

struct reconcile *reconcile_from_node(struct list *node)
{
	return container_of(node, struct reconcile, node);
}

struct arena *reconcile_arena(struct reconcile *reconcile)
{
	return reconcile->arena;
}

struct controller *reconcile_controller(const struct reconcile *reconcile)
{
	return reconcile->controller;
}

static void reconcile_free(struct reconcile *reconcile)
{
	loop_timer_stop(&reconcile->store_timer);
	list_remove(&reconcile->node);
	for (struct kept_object *kept = reconcile->kept; kept; kept = kept->next)
		api_object_unref(kept->object);
	arena_free(reconcile->arena);
	free(reconcile->key);
	free(reconcile);
}

struct api_object *reconcile_keep(struct reconcile *reconcile, struct api_object *object)
{
	struct kept_object *kept = ARENA_NEW(reconcile->arena, struct kept_object);
	kept->object = api_object_ref(object);
	kept->next = reconcile->kept;
	reconcile->kept = kept;
	return object;
}

static void finish(struct reconcile *reconcile)
{
	struct controller *controller = reconcile->controller;
	AUTO_FREE char *key = TAKE(reconcile->key);
	bool retry = reconcile->retry;
	int64_t again_after_ns = reconcile->again_after_ns;
	if (retry)
		log_v(2, "Key will be reconciled again", kv_str("controller", controller->type->name),
		      kv_str("key", key), kv_err(&reconcile->retry_reason));
	reconcile_free(reconcile);
	work_queue_done(controller->queue, key, retry ? WORK_RETRY : WORK_DONE);
	if (!retry && again_after_ns >= 0)
		work_queue_add_after(controller->queue, key, again_after_ns);
}

static bool has_seen(const struct controller *controller, const struct awaited_revision *awaited)
{
	struct controller_watch *watch;
	list_for_each (watch, &controller->watches, node)
		if (watch->shared->config.resource == awaited->resource &&
		    informer_revision(watch->shared->informer) < awaited->revision)
			return false;
	return true;
}

// Only the controller's own watches count: of others it isn't told when they move.
static bool stores_caught_up(const struct reconcile *reconcile)
{
	for (size_t i = 0; i < reconcile->awaited_count; i++)
		if (!has_seen(reconcile->controller, &reconcile->awaited[i]))
			return false;
	return true;
}

static void on_store_timer(struct loop_timer *timer)
{
	struct reconcile *reconcile = container_of(timer, struct reconcile, store_timer);
	log_warning("Local copies did not catch up with own writes in time",
	            kv_str("controller", reconcile->controller->type->name), kv_str("key", reconcile->key));
	finish(reconcile);
}

static void release(struct reconcile *reconcile)
{
	if (--reconcile->holds > 0)
		return;
	if (stores_caught_up(reconcile)) {
		finish(reconcile);
		return;
	}
	reconcile->waits_for_stores = true;
	loop_timer_start(reconcile->controller->manager->loop, &reconcile->store_timer, STORE_WAIT_NS, on_store_timer);
}

void reconcile_check_waiting(struct controller *controller)
{
	struct list *node = controller->running.next;
	while (node != &controller->running) {
		struct reconcile *reconcile = reconcile_from_node(node);
		node = node->next;
		if (reconcile->waits_for_stores && stores_caught_up(reconcile))
			finish(reconcile);
	}
}

void reconcile_start(struct controller *controller, const char *key)
{
	struct reconcile *reconcile = NEW(struct reconcile);
	reconcile->controller = controller;
	reconcile->arena = arena_new(0);
	reconcile->key = xstrdup(key);
	reconcile->holds = 1;
	reconcile->again_after_ns = -1;
	list_init(&reconcile->requests);
	list_append(&controller->running, &reconcile->node);
	controller->type->reconcile(controller, reconcile, reconcile->key);
	release(reconcile);
}

void reconcile_abandon(struct reconcile *reconcile)
{
	struct pending_request *request;
	list_for_each (request, &reconcile->requests, node) {
		rest_cancel(request->call);
		free(request);
	}
	reconcile_free(reconcile);
}

void reconcile_retry(struct reconcile *reconcile, const struct err *reason)
{
	if (!reconcile->retry)
		reconcile->retry_reason = *reason;
	reconcile->retry = true;
}

void reconcile_again_after(struct reconcile *reconcile, int64_t delay_ns)
{
	if (reconcile->again_after_ns < 0 || delay_ns < reconcile->again_after_ns)
		reconcile->again_after_ns = delay_ns;
}

// --- requests ----------------------------------------------------------------------

static void await_revision(struct reconcile *reconcile, const struct schema_resource *resource, int64_t revision)
{
	for (size_t i = 0; i < reconcile->awaited_count; i++) {
		if (reconcile->awaited[i].resource != resource)
			continue;
		if (reconcile->awaited[i].revision < revision)
			reconcile->awaited[i].revision = revision;
		return;
	}
	if (reconcile->awaited_count < MAX_AWAITED)
		reconcile->awaited[reconcile->awaited_count++] =
		        (struct awaited_revision){.resource = resource, .revision = revision};
}

static void note_write(struct reconcile *reconcile, const struct pending_request *request,
                       const struct rest_response *response)
{
	const char *version = request->is_write && request->resource ? object_resource_version(response->object) : NULL;
	if (version)
		await_revision(reconcile, request->resource, strtoll(version, NULL, 10));
}

static bool is_harmless(const struct pending_request *request, enum err_code code)
{
	return (request->is_delete && code == ERR_NOT_FOUND) || (request->is_create && code == ERR_ALREADY_EXISTS);
}

static void on_answer(void *context, const struct rest_response *response)
{
	struct pending_request *request = context;
	struct reconcile *reconcile = request->reconcile;
	list_remove(&request->node);
	if (response->err.code == ERR_UNAUTHORIZED && reconcile->controller->credential)
		credential_renew(reconcile->controller->credential);
	if (response->err.code == ERR_NONE)
		note_write(reconcile, request, response);
	if (request->on_answer)
		request->on_answer(reconcile, request->context, response);
	else if (response->err.code != ERR_NONE && !is_harmless(request, response->err.code))
		reconcile_retry(reconcile, &response->err);
	free(request);
	release(reconcile);
}

void reconcile_request(struct reconcile *reconcile, const struct rest_request *request, reconcile_answer_fn answer,
                       void *context)
{
	struct pending_request *pending = NEW(struct pending_request);
	pending->reconcile = reconcile;
	pending->resource = request->resource;
	pending->is_create = strcmp(request->method, "POST") == 0;
	pending->is_delete = strcmp(request->method, "DELETE") == 0;
	pending->is_write = strcmp(request->method, "GET") != 0;
	pending->on_answer = answer;
	pending->context = context;
	reconcile->holds++;
	list_append(&reconcile->requests, &pending->node);
	struct rest_request signed_request = *request;
	if (reconcile->controller->credential)
		signed_request.bearer_token = credential_token(reconcile->controller->credential);
	pending->call = rest_start(controller_client(reconcile->controller), &signed_request, on_answer, pending);
}

void reconcile_create(struct reconcile *reconcile, const struct schema_resource *resource, const char *namespace_name,
                      const void *view, reconcile_answer_fn answer, void *context)
{
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(MAX_BODY_BYTES);
	view_write(&body, resource->type, view);
	struct rest_request request = {
	        .method = "POST",
	        .resource = resource,
	        .namespace_name = namespace_name,
	        .body = strbuf_text(&body),
	        .body_length = body.length,
	};
	reconcile_request(reconcile, &request, answer, context);
}

void reconcile_delete(struct reconcile *reconcile, const struct api_object *object, reconcile_answer_fn answer,
                      void *context)
{
	reconcile_delete_with(reconcile, object, &(struct deletion_options){0}, answer, context);
}

static struct json *deletion_body(struct arena *arena, const struct api_object *object,
                                  const struct deletion_options *options)
{
	struct json *body = json_object(arena);
	json_set_text(arena, body, "apiVersion", "v1");
	json_set_text(arena, body, "kind", "DeleteOptions");
	struct json *preconditions = json_ensure_object(arena, body, "preconditions");
	json_set_text(arena, preconditions, "uid", object->uid);
	if (options->guard)
		json_set_text(arena, preconditions, "resourceVersion", object->resource_version);
	if (options->now)
		json_set_integer(arena, body, "gracePeriodSeconds", 0);
	if (options->propagation)
		json_set_text(arena, body, "propagationPolicy", options->propagation);
	return body;
}

void reconcile_delete_with(struct reconcile *reconcile, const struct api_object *object,
                           const struct deletion_options *options, reconcile_answer_fn answer, void *context)
{
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(MAX_BODY_BYTES);
	json_write(&body, deletion_body(reconcile->arena, object, options));
	struct rest_request request = {
	        .method = "DELETE",
	        .resource = object->resource,
	        .namespace_name = object->namespace_name,
	        .name = object->name,
	        .body = strbuf_text(&body),
	        .body_length = body.length,
	};
	reconcile_request(reconcile, &request, answer, context);
}

void reconcile_patch(struct reconcile *reconcile, const struct api_object *object, const char *subresource,
                     enum rest_body_type type, struct json *patch, bool guard, reconcile_answer_fn answer,
                     void *context)
{
	if (guard) {
		struct json *metadata = json_ensure_object(reconcile->arena, patch, "metadata");
		json_set_text(reconcile->arena, metadata, "uid", object->uid);
		json_set_text(reconcile->arena, metadata, "resourceVersion", object->resource_version);
	}
	if (!patch_is_granted(reconcile->controller, object->resource, subresource)) {
		reconcile_patch_by_update(reconcile, object, subresource, type, patch, answer, context);
		return;
	}
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(MAX_BODY_BYTES);
	json_write(&body, patch);
	struct rest_request request = {
	        .method = "PATCH",
	        .resource = object->resource,
	        .namespace_name = object->namespace_name,
	        .name = object->name,
	        .subresource = subresource,
	        .body_type = type,
	        .body = strbuf_text(&body),
	        .body_length = body.length,
	};
	reconcile_request(reconcile, &request, answer, context);
}

void reconcile_event(struct reconcile *reconcile, const struct api_object *about, const char *type, const char *reason,
                     const char *format, ...)
{
	va_list args;
	va_start(args, format);
	AUTO_FREE char *message = xvasprintf(format, args);
	va_end(args);
	const struct schema_resource *resource = about->resource;
	AUTO_FREE char *api_version =
	        *resource->group ? xasprintf("%s/%s", resource->group, resource->version) : xstrdup(resource->version);
	struct event_target target = {
	        .api_version = api_version,
	        .kind = resource->kind,
	        .namespace_name = about->namespace_name,
	        .name = about->name,
	        .uid = about->uid,
	        .resource_version = about->resource_version,
	};
	event_record(controller_events(reconcile->controller), &target, type, reason, "%s", message);
}
