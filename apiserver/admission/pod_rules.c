// SPDX-License-Identifier: Apache-2.0
// Small rules about pods that clusters may turn on: images always pulled, no hard
// anti-affinity but between hosts, tolerations for the devices that a pod asks for.

#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/validation/validation.h"
#include "common/api/resource_amounts.h"

static const char *const container_lists[] = {"initContainers", "containers", "ephemeralContainers"};

static bool is_pod(const struct change *change)
{
	return change_is_for(change, "", "pods") &&
	       (!change->subresource[0] || !strcmp(change->subresource, "ephemeralcontainers"));
}

// --- AlwaysPullImages -----------------------------------------------------------------------

static bool changes_images(const struct change *change, const char *list)
{
	json_for_each_item (container, json_path(change->object, "spec", list)) {
		bool held = false;

		json_for_each_item (before, json_path(change->old, "spec", list))
			held |= !strcmp(text_of(before, "image"), text_of(container, "image"));
		if (!held)
			return true;
	}
	return false;
}

// An update that brings no new image is left alone.
static bool is_concerned(const struct change *change, enum admission_operation operation)
{
	if (!is_pod(change))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(container_lists); i++)
		if (operation == ADMISSION_CREATE || changes_images(change, container_lists[i]))
			return true;
	return false;
}

const struct status *admission_always_pull_mutate(struct change *change, enum admission_operation operation)
{
	if (!is_concerned(change, operation))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(container_lists); i++)
		json_for_each_item (container, json_path(change->object, "spec", container_lists[i]))
			json_set_text(change->arena, container, "imagePullPolicy", "Always");
	json_for_each_item (volume, json_path(change->object, "spec", "volumes"))
		if (is_present(json_get(volume, "image")))
			json_set_text(change->arena, json_get(volume, "image"), "pullPolicy", "Always");
	return NULL;
}

const struct status *admission_always_pull_validate(struct change *change, enum admission_operation operation)
{
	if (!is_concerned(change, operation))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(container_lists); i++) {
		uint32_t index = 0;

		json_for_each_item (container, json_path(change->object, "spec", container_lists[i])) {
			if (strcmp(text_of(container, "imagePullPolicy"), "Always"))
				return admission_forbid(change,
				                        "spec.%s[%u].imagePullPolicy: Unsupported value: \"%s\": "
				                        "supported values: \"Always\"",
				                        container_lists[i], index,
				                        text_of(container, "imagePullPolicy"));
			index++;
		}
	}
	return NULL;
}

// --- LimitPodHardAntiAffinityTopology ---------------------------------------------------------

const struct status *admission_hard_anti_affinity(struct change *change, enum admission_operation operation)
{
	static const char key[] = "kubernetes.io/hostname";
	const struct json *affinity;

	(void)operation;
	if (!change_is_for(change, "", "pods") || change->subresource[0])
		return NULL;
	affinity = json_path(change->object, "spec", "affinity", "podAntiAffinity");
	json_for_each_item (term, json_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"))
		if (strcmp(text_of(term, "topologyKey"), key))
			return admission_forbid(change,
			                        "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey %s "
			                        "but only key %s is allowed",
			                        text_of(term, "topologyKey"), key);
	return NULL;
}

// --- ExtendedResourceToleration -----------------------------------------------------------------

enum {
	MAX_EXTENDED_RESOURCES = 64,
};

static size_t collect_extended(const struct json *containers, const char **names, size_t count)
{
	json_for_each_item (container, containers)
		json_for_each_member (request, json_path(container, "resources", "requests")) {
			bool known = !resource_amount_is_extended(request->key);

			for (size_t i = 0; i < count; i++)
				known |= !strcmp(names[i], request->key);
			if (!known && count < MAX_EXTENDED_RESOURCES)
				names[count++] = request->key;
		}
	return count;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_toleration(const struct json *tolerations, const char *key)
{
	json_for_each_item (held, tolerations)
		if (!strcmp(text_of(held, "key"), key) && !strcmp(text_of(held, "operator"), "Exists") &&
		    !text_of(held, "effect")[0])
			return true;
	return false;
}

const struct status *admission_extended_resource_toleration(struct change *change, enum admission_operation operation)
{
	const char *names[MAX_EXTENDED_RESOURCES];
	struct json *spec, *tolerations;
	size_t count;

	(void)operation;
	if (!change_is_for(change, "", "pods") || change->subresource[0])
		return NULL;
	spec = json_ensure_object(change->arena, change->object, "spec");
	count = collect_extended(json_get(spec, "containers"), names, 0);
	count = collect_extended(json_get(spec, "initContainers"), names, count);
	if (!count)
		return NULL;
	qsort(names, count, sizeof(*names), compare_texts);
	tolerations = json_ensure_array(change->arena, spec, "tolerations");
	for (size_t i = 0; i < count; i++) {
		struct json *toleration = json_object(change->arena);

		if (has_toleration(tolerations, names[i]))
			continue;
		json_set_text(change->arena, toleration, "key", names[i]);
		json_set_text(change->arena, toleration, "operator", "Exists");
		json_append(change->arena, tolerations, toleration);
	}
	return NULL;
}
