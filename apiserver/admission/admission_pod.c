// SPDX-License-Identifier: Apache-2.0
// The plug-ins that complete a pod: its priority, and the tolerations that keep it
// for a while on a node that went away.

#include <string.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/base/memory.h"

static bool is_new_pod(const struct change *change)
{
	return change_is_for(change, "", "pods") && !change->subresource[0];
}

// --- priority ------------------------------------------------------------------------------

struct priority {
	const char *class_name;
	int64_t value;
	const char *preemption_policy;
};

static struct json *load_class(struct change *change, struct stored_object *stored)
{
	return object_load(change->arena, schema_find_resource("scheduling.k8s.io", "v1", "priorityclasses"), stored,
	                   NULL);
}

static void read_class(const struct json *class, struct priority *priority)
{
	priority->class_name = text_of(json_get(class, "metadata"), "name");
	priority->value = integer_of(class, "value", 0);
	priority->preemption_policy = text_of(class, "preemptionPolicy");
}

// Without a parse for the common case; a class that only speaks of it somewhere is parsed in vain.
static bool says_default(const struct stored_object *class)
{
	static const char member[] = "\"globalDefault\":true";

	return memmem(class->json->data, class->json->length, member, sizeof(member) - 1) != NULL;
}

// The global default with the lowest value, if there is any.
static void find_default(struct change *change, struct priority *priority)
{
	const struct schema_resource *classes = schema_find_resource("scheduling.k8s.io", "v1", "priorityclasses");
	struct stored_object **all;
	size_t count = storage_peek_all(change->server->storage, classes, "", &all);
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		struct json *class = says_default(all[i]) ? load_class(change, all[i]) : NULL;

		if (json_get_bool(class, "globalDefault", false) &&
		    (!found || integer_of(class, "value", 0) < priority->value)) {
			read_class(class, priority);
			found = true;
		}
		stored_object_unref(all[i]);
	}
	free(all);
}

static const struct status *resolve(struct change *change, const struct json *spec, struct priority *priority)
{
	const struct schema_resource *classes = schema_find_resource("scheduling.k8s.io", "v1", "priorityclasses");
	const char *name = text_of(spec, "priorityClassName");
	struct stored_object *stored;

	*priority = (struct priority){.class_name = "", .preemption_policy = "PreemptLowerPriority"};
	if (!name[0]) {
		find_default(change, priority);
		return NULL;
	}
	stored = storage_peek(change->server->storage, classes, "", name);
	if (!stored)
		return status_forbidden(change->arena, change->resource, change->name,
		                        arena_printf(change->arena, "no PriorityClass with name %s was found", name));
	read_class(load_class(change, stored), priority);
	stored_object_unref(stored);
	return NULL;
}

static const struct status *apply_priority(struct change *change, struct json *spec, const struct priority *priority)
{
	const struct json *sent = json_get(spec, "priority");
	const char *policy = text_of(spec, "preemptionPolicy");

	if (json_is(sent, JSON_INTEGER) && sent->integer != priority->value)
		return status_forbidden(change->arena, change->resource, change->name,
		                        arena_printf(change->arena,
		                                     "the integer value of priority (%lld) must not be provided in pod "
		                                     "spec; priority admission controller computed %lld from the given "
		                                     "PriorityClass name",
		                                     (long long)sent->integer, (long long)priority->value));
	if (policy[0] && priority->preemption_policy[0] && strcmp(policy, priority->preemption_policy))
		return status_forbidden(
		        change->arena, change->resource, change->name,
		        arena_printf(change->arena,
		                     "the string value of PreemptionPolicy (%s) must not be provided in "
		                     "pod spec; priority admission controller computed %s from the given "
		                     "PriorityClass name",
		                     policy, priority->preemption_policy));
	if (priority->class_name[0])
		json_set_text(change->arena, spec, "priorityClassName", priority->class_name);
	json_set_integer(change->arena, spec, "priority", priority->value);
	json_set_text(change->arena, spec, "preemptionPolicy",
	              priority->preemption_policy[0] ? priority->preemption_policy : "PreemptLowerPriority");
	return NULL;
}

// Only one class may be the default of all.
static const struct status *check_class(struct change *change)
{
	const struct schema_resource *classes = change->resource;
	const char *other = NULL;
	struct stored_object **all;
	size_t count;

	if (!json_get_bool(change->object, "globalDefault", false))
		return NULL;
	count = storage_peek_all(change->server->storage, classes, "", &all);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(all[i]->name, change->name ? change->name : "") &&
		    json_get_bool(load_class(change, all[i]), "globalDefault", false))
			other = arena_strdup(change->arena, all[i]->name);
		stored_object_unref(all[i]);
	}
	free(all);
	if (!other)
		return NULL;
	return status_forbidden(
	        change->arena, change->resource, change->name,
	        arena_printf(change->arena, "PriorityClass %s is already marked as default. Only one default can exist",
	                     other));
}

const struct status *admission_priority(struct change *change, enum admission_operation operation)
{
	struct priority priority;
	const struct status *status;
	struct json *spec;

	if (change_is_for(change, "scheduling.k8s.io", "priorityclasses"))
		return check_class(change);
	if (operation != ADMISSION_CREATE || !is_new_pod(change))
		return NULL;
	spec = json_ensure_object(change->arena, change->object, "spec");
	status = resolve(change, spec, &priority);
	return status ? status : apply_priority(change, spec, &priority);
}

// --- tolerations ----------------------------------------------------------------------------

static bool tolerates(const struct json *tolerations, const char *key)
{
	json_for_each_item (toleration, tolerations) {
		const char *held = text_of(toleration, "key"), *effect = text_of(toleration, "effect");

		if ((!held[0] || !strcmp(held, key)) && (!effect[0] || !strcmp(effect, "NoExecute")))
			return true;
	}
	return false;
}

static void add_toleration(struct arena *arena, struct json *tolerations, const char *key, int64_t seconds)
{
	struct json *toleration = json_object(arena);

	json_set_text(arena, toleration, "key", key);
	json_set_text(arena, toleration, "operator", "Exists");
	json_set_text(arena, toleration, "effect", "NoExecute");
	json_set_integer(arena, toleration, "tolerationSeconds", seconds);
	json_append(arena, tolerations, toleration);
}

const struct status *admission_default_tolerations(struct change *change, enum admission_operation operation)
{
	const struct server_config *config = change->server->config;
	struct json *tolerations;
	bool not_ready, unreachable;

	(void)operation;
	if (!is_new_pod(change))
		return NULL;
	tolerations = json_ensure_array(change->arena, json_ensure_object(change->arena, change->object, "spec"),
	                                "tolerations");
	not_ready = tolerates(tolerations, "node.kubernetes.io/not-ready");
	unreachable = tolerates(tolerations, "node.kubernetes.io/unreachable");
	if (!not_ready)
		add_toleration(change->arena, tolerations, "node.kubernetes.io/not-ready",
		               config->default_not_ready_toleration_seconds);
	if (!unreachable)
		add_toleration(change->arena, tolerations, "node.kubernetes.io/unreachable",
		               config->default_unreachable_toleration_seconds);
	return NULL;
}
