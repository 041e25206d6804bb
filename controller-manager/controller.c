// SPDX-License-Identifier: Apache-2.0
// The queue starts paused and is resumed when every store that the controller
// watches is complete: a reconcile never looks at half a list. A resource that the
// server doesn't have holds only those controllers back that can't do without it
// (spares_absent). Informers are the manager's and shared; a watch is one handler.

#include "controller-manager/controller.h"

#include <string.h>

#include "api/core_v1.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "controller-manager/internal.h"

enum { DEFAULT_CONCURRENT_KEYS = 5 };

const struct controller_settings *controller_settings(const struct controller *controller)
{
	return &controller->manager->config.settings;
}

struct loop *controller_loop(const struct controller *controller)
{
	return controller->manager->loop;
}

struct event_recorder *controller_events(const struct controller *controller)
{
	return controller->manager->events;
}

struct rest_client *controller_client(const struct controller *controller)
{
	return controller->credential ? credentials_client(controller->manager->credentials)
	                              : controller->manager->config.client;
}

void controller_set_state(struct controller *controller, void *state)
{
	controller->state = state;
}

void *controller_state(const struct controller *controller)
{
	return controller->state;
}

static void process_key(void *context, const char *key)
{
	reconcile_start(context, key);
}

int controller_init(struct controller *controller, const struct controller_type *type,
                    struct controller_manager *manager, struct err *err)
{
	controller->type = type;
	controller->manager = manager;
	list_init(&controller->watches);
	list_init(&controller->running);
	struct work_queue_config config = {
	        .name = type->name,
	        .max_in_progress = type->concurrent_keys ? type->concurrent_keys : DEFAULT_CONCURRENT_KEYS,
	        .process = process_key,
	        .context = controller,
	};
	controller->queue = work_queue_new(manager->loop, &config);
	work_queue_pause(controller->queue);
	if (manager->credentials)
		controller->credential = credentials_of(manager->credentials, type->name);
	return type->start(controller, err);
}

void controller_done(struct controller *controller)
{
	while (!list_is_empty(&controller->running))
		reconcile_abandon(reconcile_from_node(controller->running.next));
	struct controller_watch *watch;
	list_for_each (watch, &controller->watches, node) {
		informer_remove_handler(watch->shared->informer, &watch->handler);
		list_remove(&watch->node);
		free(watch);
	}
	if (controller->type->stop)
		controller->type->stop(controller);
	controller->queue = work_queue_free(controller->queue);
}

// --- watching ----------------------------------------------------------------------

static void on_changed(struct informer_handler *handler, struct api_object *old_object, struct api_object *new_object)
{
	struct controller_watch *watch = container_of(handler, struct controller_watch, handler);
	if (watch->on_event)
		watch->on_event(watch->controller, old_object, new_object);
}

static bool has_stores(const struct controller *controller)
{
	struct controller_watch *watch;
	list_for_each (watch, &controller->watches, node) {
		bool is_spared = controller->type->spares_absent && informer_is_absent(watch->shared->informer);
		if (!is_spared && !informer_has_synced(watch->shared->informer))
			return false;
	}
	return true;
}

// Work begins when all stores of the controller are complete and it has its credential.
void controller_start_if_ready(struct controller *controller)
{
	bool has_token = !controller->credential || credential_token(controller->credential);
	if (controller->is_started || !has_token || !has_stores(controller))
		return;
	controller->is_started = true;
	log_info("Started controller", kv_str("controller", controller->type->name));
	work_queue_resume(controller->queue);
}

static void on_synced(struct informer_handler *handler)
{
	controller_start_if_ready(container_of(handler, struct controller_watch, handler)->controller);
}

static void on_progressed(struct informer_handler *handler)
{
	reconcile_check_waiting(container_of(handler, struct controller_watch, handler)->controller);
}

struct informer *controller_watch(struct controller *controller, const struct schema_resource *resource,
                                  controller_event_fn on_event)
{
	const struct informer_config config = {.resource = resource};
	return controller_watch_with(controller, &config, on_event);
}

struct informer *controller_watch_with(struct controller *controller, const struct informer_config *config,
                                       controller_event_fn on_event)
{
	struct controller_watch *watch = NEW(struct controller_watch);
	watch->controller = controller;
	watch->on_event = on_event;
	watch->shared = controller_manager_informer(controller->manager, config);
	watch->handler = (struct informer_handler){
	        .changed = on_changed,
	        .synced = on_synced,
	        .progressed = on_progressed,
	        .absent = on_synced,
	};
	list_append(&controller->watches, &watch->node);
	informer_add_handler(watch->shared->informer, &watch->handler);
	return watch->shared->informer;
}

void controller_enqueue_object(struct controller *controller, struct api_object *old_object,
                               struct api_object *new_object)
{
	controller_enqueue(controller, new_object ? new_object->key : old_object->key);
}

void controller_enqueue(struct controller *controller, const char *key)
{
	work_queue_add(controller->queue, key);
}

void controller_enqueue_after(struct controller *controller, const char *key, int64_t delay_ns)
{
	work_queue_add_after(controller->queue, key, delay_ns);
}

// --- owners ------------------------------------------------------------------------

const struct meta_v1_owner_reference *controller_owner_of(const struct meta_v1_object_meta *metadata)
{
	for (size_t i = 0; i < metadata->owner_references.count; i++) {
		const struct meta_v1_owner_reference *reference = &metadata->owner_references.items[i];
		if (reference->controller && *reference->controller)
			return reference;
	}
	return NULL;
}

struct api_object *controller_find_owner(const struct informer *owners, const struct schema_resource *resource,
                                         const struct api_object *object)
{
	const struct meta_v1_owner_reference *reference = controller_owner_of(api_object_metadata(object));
	if (!reference || !reference->kind || strcmp(reference->kind, resource->kind) != 0)
		return NULL;
	struct api_object *owner =
	        informer_get(owners, resource->namespaced ? object->namespace_name : NULL, reference->name);
	return owner && reference->uid && strcmp(owner->uid, reference->uid) == 0 ? owner : NULL;
}
