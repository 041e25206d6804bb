// SPDX-License-Identifier: Apache-2.0
// What annotations of a namespace ask of its pods: a node selector
// (PodNodeSelector), default tolerations and a list of those that are allowed
// (PodTolerationRestriction). A namespace without the annotation gets the cluster's
// default from the plug-in's configuration.

#include <string.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/validation/validation.h"

static struct json *namespace_of(const struct change *change)
{
	return admission_peek(change, schema_find_resource("", "v1", "namespaces"), "", change->namespace_name);
}

static bool is_new_pod(const struct change *change)
{
	return change_is_for(change, "", "pods") && !change->subresource[0];
}

// --- PodNodeSelector --------------------------------------------------------------------------

#define NODE_SELECTOR_ANNOTATION "scheduler.alpha.kubernetes.io/node-selector"

// "a=b,c=d" into an object; false when malformed.
static bool parse_pairs(struct arena *arena, const char *text, struct json **ret_pairs)
{
	char *rest = arena_strdup(arena, text), *pair;

	*ret_pairs = json_object(arena);
	while ((pair = strsep(&rest, ","))) {
		char *equals = strchr(pair, '=');

		pair += strspn(pair, " ");
		if (!*pair)
			continue;
		if (!equals)
			return false;
		*equals = '\0';
		json_set_text(arena, *ret_pairs, pair, equals + 1);
	}
	return true;
}

static const char *configured_selector(const struct change *change, const char *name)
{
	const struct json *plugin =
	        json_get(admission_configuration(change->server, "PodNodeSelector"), "podNodeSelectorPluginConfig");

	return text_of(plugin, name);
}

static const struct status *namespace_selector(const struct change *change, struct json **ret_selector)
{
	const struct json *namespace_object = namespace_of(change);
	const char *text = metadata_annotation(namespace_object, NODE_SELECTOR_ANNOTATION);

	if (!text)
		text = configured_selector(change, "clusterDefaultNodeSelector");
	if (!parse_pairs(change->arena, text, ret_selector))
		return admission_forbid(change, "invalid node selector \"%s\"", text);
	return NULL;
}

static bool conflicts(const struct json *ours, const struct json *theirs)
{
	json_for_each_member (wanted, theirs) {
		const struct json *held = json_get(ours, wanted->key);

		if (held && !json_equal(held, wanted->value))
			return true;
	}
	return false;
}

const struct status *admission_pod_node_selector_mutate(struct change *change, enum admission_operation operation)
{
	struct json *wanted, *spec;
	const struct status *status;

	(void)operation;
	if (!is_new_pod(change))
		return NULL;
	status = namespace_selector(change, &wanted);
	if (status || !wanted->length)
		return status;
	spec = json_ensure_object(change->arena, change->object, "spec");
	if (conflicts(json_get(spec, "nodeSelector"), wanted))
		return admission_forbid(change,
		                        "pod node label selector conflicts with its namespace node label selector");
	json_for_each_member (label, wanted)
		json_set(change->arena, json_ensure_object(change->arena, spec, "nodeSelector"), label->key,
		         label->value);
	return NULL;
}

const struct status *admission_pod_node_selector_validate(struct change *change, enum admission_operation operation)
{
	struct json *wanted, *allowed;
	const struct json *selector;
	const struct status *status;

	(void)operation;
	if (!is_new_pod(change))
		return NULL;
	status = namespace_selector(change, &wanted);
	if (status)
		return status;
	selector = json_path(change->object, "spec", "nodeSelector");
	if (conflicts(selector, wanted))
		return admission_forbid(change,
		                        "pod node label selector conflicts with its namespace node label selector");
	if (!parse_pairs(change->arena, configured_selector(change, change->namespace_name), &allowed) ||
	    !allowed->length)
		return NULL;
	json_for_each_member (label, selector)
		if (!json_get(allowed, label->key) || !json_equal(json_get(allowed, label->key), label->value))
			return admission_forbid(change,
			                        "pod node label selector labels conflict with its namespace whitelist");
	return NULL;
}

// --- PodTolerationRestriction -------------------------------------------------------------------

#define DEFAULT_TOLERATIONS_ANNOTATION "scheduler.alpha.kubernetes.io/defaultTolerations"
#define ALLOWED_TOLERATIONS_ANNOTATION "scheduler.alpha.kubernetes.io/tolerationsWhitelist"

// The list of the annotation, else that of the configuration. NULL = neither.
static const struct status *tolerations_of(const struct change *change, const char *annotation, const char *configured,
                                           struct json **ret_list)
{
	const char *text = metadata_annotation(namespace_of(change), annotation);
	struct err err = ERR_INIT;

	*ret_list = json_get(admission_configuration(change->server, "PodTolerationRestriction"), configured);
	if (!text || !text[0])
		return NULL;
	if (json_parse(change->arena, text, strlen(text), NULL, ret_list, &err) < 0 || !json_is(*ret_list, JSON_ARRAY))
		return status_internal(change->arena, "%s", err.code ? err.message : "tolerations are not a list");
	return NULL;
}

static bool same_toleration(const struct json *a, const struct json *b)
{
	const struct json *seconds_a = json_get(a, "tolerationSeconds"), *seconds_b = json_get(b, "tolerationSeconds");

	return !strcmp(text_of(a, "key"), text_of(b, "key")) && !strcmp(text_of(a, "value"), text_of(b, "value")) &&
	       !strcmp(text_of(a, "effect"), text_of(b, "effect")) &&
	       !strcmp(text_of(a, "operator"), text_of(b, "operator")) &&
	       is_present(seconds_a) == is_present(seconds_b) &&
	       (!is_present(seconds_a) || json_equal(seconds_a, seconds_b));
}

// Everything that `narrow` tolerates is tolerated by `wide`.
static bool covers(const struct json *wide, const struct json *narrow)
{
	bool wide_exists = !strcmp(text_of(wide, "operator"), "Exists");
	const struct json *seconds = json_get(wide, "tolerationSeconds");

	if (same_toleration(wide, narrow))
		return true;
	if (text_of(wide, "key")[0] ? strcmp(text_of(wide, "key"), text_of(narrow, "key")) != 0 : !wide_exists)
		return false;
	if (text_of(wide, "effect")[0] && strcmp(text_of(wide, "effect"), text_of(narrow, "effect")))
		return false;
	if (is_present(seconds) && (!is_present(json_get(narrow, "tolerationSeconds")) ||
	                            integer_of(narrow, "tolerationSeconds", 0) > seconds->integer))
		return false;
	return wide_exists || (strcmp(text_of(narrow, "operator"), "Exists") &&
	                       !strcmp(text_of(wide, "value"), text_of(narrow, "value")));
}

static bool is_best_effort(const struct json *pod)
{
	static const char *const lists[] = {"containers", "initContainers"};
	static const char *const members[] = {"requests", "limits"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_path(pod, "spec", lists[i]))
			for (size_t j = 0; j < ARRAY_SIZE(members); j++) {
				const struct json *list = json_path(container, "resources", members[j]);

				if (json_get(list, "cpu") || json_get(list, "memory"))
					return false;
			}
	return true;
}

static void add_toleration(struct arena *arena, struct json *tolerations, struct json *toleration)
{
	json_for_each_item (held, tolerations)
		if (same_toleration(held, toleration))
			return;
	json_append(arena, tolerations, json_clone(arena, toleration));
}

const struct status *admission_pod_toleration_mutate(struct change *change, enum admission_operation operation)
{
	struct json *defaults, *tolerations;
	const struct status *status;

	if (!is_new_pod(change) || operation != ADMISSION_CREATE)
		return NULL;
	status = tolerations_of(change, DEFAULT_TOLERATIONS_ANNOTATION, "default", &defaults);
	if (status)
		return status;
	tolerations = json_ensure_array(change->arena, json_ensure_object(change->arena, change->object, "spec"),
	                                "tolerations");
	json_for_each_item (toleration, defaults)
		add_toleration(change->arena, tolerations, toleration);
	if (!is_best_effort(change->object)) {
		struct json *pressure = json_object(change->arena);

		json_set_text(change->arena, pressure, "key", "node.kubernetes.io/memory-pressure");
		json_set_text(change->arena, pressure, "operator", "Exists");
		json_set_text(change->arena, pressure, "effect", "NoSchedule");
		add_toleration(change->arena, tolerations, pressure);
	}
	return NULL;
}

const struct status *admission_pod_toleration_validate(struct change *change, enum admission_operation operation)
{
	const struct status *status;
	struct json *allowed;

	(void)operation;
	if (!is_new_pod(change))
		return NULL;
	status = tolerations_of(change, ALLOWED_TOLERATIONS_ANNOTATION, "whitelist", &allowed);
	if (status || !length_of(allowed))
		return status;
	json_for_each_item (toleration, json_path(change->object, "spec", "tolerations")) {
		bool covered = false;

		json_for_each_item (wide, allowed)
			covered |= covers(wide, toleration);
		if (!covered)
			return admission_forbid(change, "pod tolerations (possibly merged with namespace default "
			                                "tolerations) conflict with its namespace whitelist");
	}
	return NULL;
}
