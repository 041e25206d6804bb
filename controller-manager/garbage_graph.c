// SPDX-License-Identifier: Apache-2.0
// The graph of owners isn't stored: it is asked of the informers' indexes each time
// (dependents by owner's uid, an owner by kind and name, taken only when the uid is
// the same). So it can't disagree with the local copies, and needs no repair.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/meta_v1.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "controller-manager/garbage_collector.h"

bool gc_has_finalizer(const struct api_object *object, const char *name)
{
	return string_array_contains(&api_object_metadata(object)->finalizers, name);
}

bool gc_is_being_deleted(const struct api_object *object)
{
	return api_object_metadata(object)->deletion_timestamp != NULL;
}

bool gc_deletes_dependents(const struct api_object *object)
{
	return gc_is_being_deleted(object) && gc_has_finalizer(object, FOREGROUND_FINALIZER);
}

const struct gc_monitor *gc_monitor_of(const struct garbage_collector *collector,
                                       const struct schema_resource *resource)
{
	for (size_t i = 0; i < collector->monitor_count; i++)
		if (collector->monitors[i].resource == resource)
			return &collector->monitors[i];
	return NULL;
}

// The version may be an older one of the same kind: only the group counts.
const struct gc_monitor *gc_monitor_of_reference(const struct garbage_collector *collector,
                                                 const struct meta_v1_owner_reference *reference)
{
	const char *slash = reference->api_version ? strchr(reference->api_version, '/') : NULL;
	size_t group_length = slash ? (size_t)(slash - reference->api_version) : 0;
	for (size_t i = 0; i < collector->monitor_count; i++) {
		const struct schema_resource *resource = collector->monitors[i].resource;
		if (reference->kind && strcmp(resource->kind, reference->kind) == 0 &&
		    strlen(resource->group) == group_length &&
		    (!group_length || memcmp(resource->group, reference->api_version, group_length) == 0))
			return &collector->monitors[i];
	}
	return NULL;
}

struct api_object *gc_find_owner(const struct garbage_collector *collector, const struct api_object *dependent,
                                 const struct meta_v1_owner_reference *reference)
{
	const struct gc_monitor *monitor = gc_monitor_of_reference(collector, reference);
	if (!monitor || !reference->name || !reference->uid)
		return NULL;
	struct api_object *owner = informer_get(
	        monitor->informer, monitor->resource->namespaced ? dependent->namespace_name : NULL, reference->name);
	return owner && strcmp(owner->uid, reference->uid) == 0 ? owner : NULL;
}

enum owner_state gc_owner_state(const struct garbage_collector *collector, const struct api_object *dependent,
                                const struct meta_v1_owner_reference *reference)
{
	const struct gc_monitor *monitor = gc_monitor_of_reference(collector, reference);
	// An object of the whole cluster can't be owned from within a namespace.
	if (!monitor || !reference->name || !reference->uid ||
	    (monitor->resource->namespaced && !*dependent->namespace_name))
		return OWNER_UNKNOWABLE;
	struct api_object *owner = gc_find_owner(collector, dependent, reference);
	if (!owner)
		return hashmap_get(collector->absent, reference->uid) ? OWNER_ABSENT : OWNER_NOT_SEEN;
	return gc_deletes_dependents(owner) ? OWNER_WAITING : OWNER_SOLID;
}

void gc_index_by_owner(const struct api_object *object, struct informer_index_values *values)
{
	const struct meta_v1_object_meta *metadata = api_object_metadata(object);
	for (size_t i = 0; i < metadata->owner_references.count && values->count < values->capacity; i++)
		if (metadata->owner_references.items[i].uid)
			values->items[values->count++] = metadata->owner_references.items[i].uid;
}

static const struct meta_v1_owner_reference *reference_to(const struct api_object *dependent, const char *uid)
{
	const struct meta_v1_object_meta *metadata = api_object_metadata(dependent);
	for (size_t i = 0; i < metadata->owner_references.count; i++)
		if (metadata->owner_references.items[i].uid &&
		    strcmp(metadata->owner_references.items[i].uid, uid) == 0)
			return &metadata->owner_references.items[i];
	return NULL;
}

void gc_each_dependent(const struct garbage_collector *collector, const struct api_object *owner,
                       void (*function)(void *context, struct api_object *dependent,
                                        const struct meta_v1_owner_reference *reference),
                       void *context)
{
	for (size_t i = 0; i < collector->monitor_count; i++) {
		size_t count;
		struct api_object *const *objects =
		        informer_by_index(collector->monitors[i].informer, GC_OWNER_INDEX, owner->uid, &count);
		for (size_t d = 0; d < count; d++) {
			const struct meta_v1_owner_reference *reference = reference_to(objects[d], owner->uid);
			bool in_reach = !*owner->namespace_name ||
			                strcmp(owner->namespace_name, objects[d]->namespace_name) == 0;
			if (reference && in_reach)
				function(context, objects[d], reference);
		}
	}
}

void gc_enqueue(struct controller *controller, const struct api_object *object)
{
	struct garbage_collector *collector = controller_state(controller);
	const struct gc_monitor *monitor = gc_monitor_of(collector, object->resource);
	if (!monitor)
		return;
	AUTO_FREE char *key = xasprintf("%td:%s", monitor - collector->monitors, object->key);
	controller_enqueue(controller, key);
}

const struct gc_monitor *gc_parse_key(const struct garbage_collector *collector, const char *key,
                                      const char **ret_object_key)
{
	char *end;
	unsigned long place = strtoul(key, &end, 10);
	if (*end != ':' || place >= collector->monitor_count)
		return NULL;
	*ret_object_key = end + 1;
	return &collector->monitors[place];
}
