// SPDX-License-Identifier: Apache-2.0
//
// resourcequota-controller: counts what the objects of a namespace use of its quotas.
//
// The apiserver charges a quota before it writes an object. This controller gives
// back: it counts again when objects go or come to their end, when a quota's limits
// change, and every five minutes. Keys are those of quotas.
//
// Counting down races with creates that are charged and not yet seen here. So a
// lower number is written only when the quota's status has been quiet for a moment,
// and by an update that fails when the quota has changed meanwhile; a quota that is
// never quiet is counted down all the same after a while.
#include <string.h>

#include "api/core_v1.h"
#include "common/api/object.h"
#include "common/api/quota.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "controller-manager/controllers.h"
#include "controller-manager/kinds.h"

#define RESYNC_NS (300 * NSEC_PER_SEC)
#define QUIET_NS (300 * NSEC_PER_MSEC)
#define PATIENCE_NS (3 * NSEC_PER_SEC)
#define INDEX "namespace"

enum {
	MAX_KINDS = 200,
	MAX_BODY_BYTES = 3 << 20,
};

struct counted_kind {
	const struct schema_resource *resource;
	struct informer *informer;
};

struct resource_quota {
	struct informer *quotas;
	struct counted_kind kinds[MAX_KINDS];
	size_t kind_count;
	struct hashmap *waiting; // key → struct count_down
};

// A lower number that waits for a quiet moment.
struct count_down {
	char *resource_version; // of the quota when it was last looked at
	int64_t quiet_since_ns;
	int64_t first_ns;
};

static void count_down_free(void *value)
{
	struct count_down *waiting = value;
	free(waiting->resource_version);
	free(waiting);
}

// --- events -------------------------------------------------------------------------------

static void enqueue_namespace(struct controller *controller, const char *namespace_name)
{
	struct resource_quota *state = controller_state(controller);
	size_t count;
	struct api_object *const *quotas = informer_by_index(state->quotas, INDEX, namespace_name, &count);
	for (size_t i = 0; i < count; i++)
		controller_enqueue(controller, quotas[i]->key);
}

static bool same_limits(const struct api_object *a, const struct api_object *b)
{
	const struct core_v1_resource_quota *x = a->view, *y = b->view;
	return string_map_equal(&x->spec.hard, &y->spec.hard) && string_map_equal(&x->status.hard, &y->status.hard);
}

static void on_quota(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	struct resource_quota *state = controller_state(controller);
	if (!new_object)
		hashmap_remove(state->waiting, old_object->key);
	else if (!old_object || !same_limits(old_object, new_object))
		controller_enqueue(controller, new_object->key);
	// A quota counts among the quotas of its namespace.
	if (!new_object)
		enqueue_namespace(controller, old_object->namespace_name);
}

static void on_object(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	if (!new_object)
		enqueue_namespace(controller, old_object->namespace_name);
}

static bool has_ended(const struct api_object *object)
{
	const struct core_v1_pod *pod = object->view;
	const char *phase = pod->status.phase ? pod->status.phase : "";
	return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

static void on_pod(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	on_object(controller, old_object, new_object);
	if (old_object && new_object && has_ended(new_object) && !has_ended(old_object))
		enqueue_namespace(controller, new_object->namespace_name);
}

// What an update takes away: node ports, the size of a claim that was never reached.
static void on_changed(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	on_object(controller, old_object, new_object);
	if (old_object && new_object)
		enqueue_namespace(controller, new_object->namespace_name);
}

// --- start and stop -------------------------------------------------------------------------

static struct informer *watch_kind(struct controller *controller, const struct schema_resource *resource)
{
	const struct informer_config lean = {.resource = resource, .metadata_only = true};
	switch (quota_kind_of(resource)) {
	case QUOTA_PODS:
		return controller_watch(controller, resource, on_pod);
	case QUOTA_SERVICES:
	case QUOTA_CLAIMS:
		return controller_watch(controller, resource, on_changed);
	case QUOTA_OBJECTS:
		break;
	}
	return controller_watch_with(controller, &lean, on_object);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct resource_quota *state = NEW(struct resource_quota);
	const struct schema_resource *resource;
	size_t cursor = 0;
	controller_set_state(controller, state);
	state->waiting = hashmap_new(count_down_free);
	state->quotas = controller_watch(controller, &schema_resource_core_v1_resourcequotas, on_quota);
	informer_add_index(state->quotas, INDEX, informer_index_by_namespace);
	while ((resource = kinds_next(&cursor)) && state->kind_count < MAX_KINDS) {
		struct counted_kind *kind = &state->kinds[state->kind_count];
		if (!quota_counts(resource))
			continue;
		kind->resource = resource;
		kind->informer = resource == &schema_resource_core_v1_resourcequotas ? state->quotas
		                                                                     : watch_kind(controller, resource);
		informer_add_index(kind->informer, INDEX, informer_index_by_namespace);
		state->kind_count++;
	}
	return 0;
}

static void stop(struct controller *controller)
{
	struct resource_quota *state = controller_state(controller);
	hashmap_free(state->waiting);
	free(state);
}

// --- counting -------------------------------------------------------------------------------

struct count {
	struct arena *arena;
	struct arena *scratch; // of one object
	const struct core_v1_resource_quota *quota;
	const struct json *spec;
	struct resource_amounts used;
};

static bool is_counted(const struct count *count, const char *name)
{
	return string_map_get(&count->quota->spec.hard, name) != NULL;
}

static bool concerns(const struct count *count, const struct schema_resource *resource)
{
	for (size_t i = 0; i < count->quota->spec.hard.count; i++)
		if (quota_name_concerns(resource, count->quota->spec.hard.entries[i].key))
			return true;
	return false;
}

static void count_object(struct count *count, const struct schema_resource *resource, const struct api_object *object)
{
	bool whole = quota_kind_of(resource) != QUOTA_OBJECTS;
	struct json *tree =
	        whole ? view_to_json(count->scratch, resource->type, object->view) : json_object(count->scratch);
	struct resource_amounts usage;
	if (!quota_scopes_match(resource, count->spec, tree)) {
		arena_reset(count->scratch);
		return;
	}
	quota_usage(count->scratch, resource, tree, clock_realtime_ns(&clock_system), &usage);
	for (size_t i = 0; i < usage.count; i++)
		if (is_counted(count, usage.items[i].name))
			resource_amounts_add(count->arena, &count->used,
			                     arena_strdup(count->arena, usage.items[i].name), &usage.items[i].amount);
	arena_reset(count->scratch);
}

static void count_all(struct count *count, struct resource_quota *state, const char *namespace_name)
{
	for (size_t i = 0; i < count->quota->spec.hard.count; i++) {
		struct quantity zero = {.format = QUANTITY_DECIMAL_SI};
		resource_amounts_set(count->arena, &count->used, count->quota->spec.hard.entries[i].key, &zero);
	}
	for (size_t i = 0; i < state->kind_count; i++) {
		size_t objects;
		struct api_object *const *items;
		if (!concerns(count, state->kinds[i].resource))
			continue;
		items = informer_by_index(state->kinds[i].informer, INDEX, namespace_name, &objects);
		for (size_t j = 0; j < objects; j++)
			count_object(count, state->kinds[i].resource, items[j]);
	}
}

// --- the status -----------------------------------------------------------------------------

static bool is_lower(const struct count *count)
{
	for (size_t i = 0; i < count->used.count; i++) {
		const char *text = string_map_get(&count->quota->status.used, count->used.items[i].name);
		struct quantity held;
		if (text && quantity_parse(text, &held, NULL) == 0 &&
		    quantity_compare(&count->used.items[i].amount, &held) < 0)
			return true;
	}
	return false;
}

static bool is_current(const struct count *count)
{
	const struct core_v1_resource_quota *quota = count->quota;
	if (!string_map_equal(&quota->spec.hard, &quota->status.hard) || quota->status.used.count != count->used.count)
		return false;
	for (size_t i = 0; i < count->used.count; i++) {
		const char *text = string_map_get(&quota->status.used, count->used.items[i].name);
		struct quantity held;
		if (!text || quantity_parse(text, &held, NULL) < 0 ||
		    quantity_compare(&count->used.items[i].amount, &held) != 0)
			return false;
	}
	return true;
}

// How long a lower number has still to wait; 0 = it may be written.
static int64_t remaining_wait_ns(struct controller *controller, const struct api_object *quota)
{
	struct resource_quota *state = controller_state(controller);
	int64_t now_ns = loop_now_ns(controller_loop(controller));
	struct count_down *waiting = hashmap_get(state->waiting, quota->key);
	if (!waiting) {
		waiting = NEW(struct count_down);
		waiting->first_ns = now_ns;
		hashmap_put(state->waiting, quota->key, waiting);
	}
	if (!waiting->resource_version || strcmp(waiting->resource_version, quota->resource_version) != 0) {
		free(waiting->resource_version);
		waiting->resource_version = xstrdup(quota->resource_version);
		waiting->quiet_since_ns = now_ns;
	}
	if (now_ns - waiting->quiet_since_ns >= QUIET_NS || now_ns - waiting->first_ns >= PATIENCE_NS) {
		hashmap_remove(state->waiting, quota->key);
		return 0;
	}
	return waiting->quiet_since_ns + QUIET_NS - now_ns;
}

// The controller's role lets it update the status and neither read one quota nor patch: the object goes
// back as the store has it, guarded by its version.
static void write_status(struct reconcile *reconcile, const struct api_object *object, const struct count *count)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct json *tree = view_to_json(arena, object->resource->type, object->view);
	struct json *status = json_object(arena), *hard = json_ensure_object(arena, status, "hard"),
	            *used = json_ensure_object(arena, status, "used");
	const struct core_v1_resource_quota *quota = count->quota;
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(MAX_BODY_BYTES);
	struct rest_request request = {
	        .method = "PUT",
	        .resource = object->resource,
	        .namespace_name = object->namespace_name,
	        .name = object->name,
	        .subresource = "status",
	};
	for (size_t i = 0; i < quota->spec.hard.count; i++)
		json_set_text(arena, hard, quota->spec.hard.entries[i].key, quota->spec.hard.entries[i].value);
	for (size_t i = 0; i < count->used.count; i++) {
		char text[QUANTITY_TEXT_BYTES];
		quantity_format(&count->used.items[i].amount, text);
		json_set_text(arena, used, count->used.items[i].name, text);
	}
	json_set_text(arena, tree, "apiVersion", "v1");
	json_set_text(arena, tree, "kind", "ResourceQuota");
	json_set_text(arena, json_ensure_object(arena, tree, "metadata"), "resourceVersion", object->resource_version);
	json_set(arena, tree, "status", status);
	json_write(&body, tree);
	request.body = strbuf_text(&body);
	request.body_length = body.length;
	reconcile_request(reconcile, &request, NULL, NULL);
}

static void reconcile_quota(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct resource_quota *state = controller_state(controller);
	struct arena *arena = reconcile_arena(reconcile);
	struct api_object *object = informer_get_key(state->quotas, key);
	AUTO(arena_free) struct arena *scratch = arena_new(0);
	struct count count = {.arena = arena, .scratch = scratch};
	int64_t wait_ns;
	if (!object)
		return;
	count.quota = object->view;
	count.spec = json_get(view_to_json(arena, object->resource->type, object->view), "spec");
	count_all(&count, state, object->namespace_name);
	reconcile_again_after(reconcile, RESYNC_NS);
	if (is_current(&count)) {
		hashmap_remove(state->waiting, key);
		return;
	}
	wait_ns = is_lower(&count) ? remaining_wait_ns(controller, object) : 0;
	if (wait_ns)
		reconcile_again_after(reconcile, wait_ns);
	else
		write_status(reconcile, object, &count);
}

const struct controller_type resource_quota_controller = {
        .name = "resourcequota-controller",
        .starts_last = true,
        .spares_absent = true,
        .start = start,
        .reconcile = reconcile_quota,
        .stop = stop,
};
