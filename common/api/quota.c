// SPDX-License-Identifier: Apache-2.0
// Upstream's evaluators: pods (with what they request and are limited to), services
// (with node ports and load balancers), claims (with their size, and both for each
// storage class), and every other kind by its number.

#include "common/api/quota.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/text.h"

#define CLASS_INFIX ".storageclass.storage.k8s.io/"

static const char *text_of(const struct json *object, const char *key)
{
	return text_or_empty(json_get_text(object, key));
}

static bool is_present(const struct json *value)
{
	return value && !json_is(value, JSON_NULL);
}

static uint32_t length_of(const struct json *value)
{
	return json_is(value, JSON_ARRAY) || json_is(value, JSON_OBJECT) ? value->length : 0;
}

static bool is_one_of(const char *text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(text, names[i]))
			return true;
	return false;
}

// --- kinds --------------------------------------------------------------------------------

enum quota_kind quota_kind_of(const struct schema_resource *resource)
{
	if (resource->group[0])
		return QUOTA_OBJECTS;
	return !strcmp(resource->plural, "pods")                     ? QUOTA_PODS
	       : !strcmp(resource->plural, "services")               ? QUOTA_SERVICES
	       : !strcmp(resource->plural, "persistentvolumeclaims") ? QUOTA_CLAIMS
	                                                             : QUOTA_OBJECTS;
}

bool quota_counts(const struct schema_resource *resource)
{
	return resource->namespaced && resource->storage_prefix && strcmp(resource->plural, "events") != 0;
}

// The kinds that have a name of their own besides "count/…".
static bool has_plain_name(const struct schema_resource *resource)
{
	static const char *const names[] = {
	        "configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets",
	        "services"};

	return !resource->group[0] && is_one_of(resource->plural, names, ARRAY_SIZE(names));
}

static char *count_name(struct arena *arena, const struct schema_resource *resource)
{
	return resource->group[0] ? arena_printf(arena, "count/%s.%s", resource->plural, resource->group)
	                          : arena_printf(arena, "count/%s", resource->plural);
}

// --- usage --------------------------------------------------------------------------------

struct usage {
	struct arena *arena;
	struct resource_amounts *amounts;
};

static void use_number(struct usage *usage, const char *name, int64_t number)
{
	struct quantity quantity = {.nano = (__int128)number * 1000000000, .format = QUANTITY_DECIMAL_SI};

	resource_amounts_set(usage->arena, usage->amounts, name, &quantity);
}

static bool has_ended(const struct json *pod, int64_t now_ns)
{
	const char *phase = text_of(json_get(pod, "status"), "phase");
	const struct json *metadata = json_get(pod, "metadata");
	int64_t deleted_ns, grace;

	if (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"))
		return true;
	return json_get_integer(metadata, "deletionGracePeriodSeconds", &grace) &&
	       api_time_parse(json_get_text(metadata, "deletionTimestamp"), &deleted_ns) &&
	       now_ns > deleted_ns + grace * 1000000000;
}

static bool is_basic(const char *name)
{
	return !strcmp(name, "cpu") || !strcmp(name, "memory") || !strcmp(name, "ephemeral-storage");
}

static void use_pod(struct usage *usage, const struct json *pod)
{
	struct resource_amounts requests, limits;

	pod_resources(usage->arena, pod, POD_REQUESTS, POD_WITH_OVERHEAD | POD_WITH_STATUS, &requests);
	pod_resources(usage->arena, pod, POD_LIMITS, POD_WITH_OVERHEAD | POD_WITH_STATUS, &limits);
	use_number(usage, "pods", 1);
	for (size_t i = 0; i < requests.count; i++) {
		const struct resource_amount *request = &requests.items[i];
		bool huge = !strncmp(request->name, "hugepages-", 10);

		if (is_basic(request->name) || huge)
			resource_amounts_set(usage->arena, usage->amounts, request->name, &request->amount);
		if (is_basic(request->name) || huge || resource_amount_is_extended(request->name))
			resource_amounts_set(usage->arena, usage->amounts,
			                     arena_printf(usage->arena, "requests.%s", request->name),
			                     &request->amount);
	}
	for (size_t i = 0; i < limits.count; i++)
		if (is_basic(limits.items[i].name))
			resource_amounts_set(usage->arena, usage->amounts,
			                     arena_printf(usage->arena, "limits.%s", limits.items[i].name),
			                     &limits.items[i].amount);
}

static void use_service(struct usage *usage, const struct json *service)
{
	const struct json *spec = json_get(service, "spec"), *ports = json_get(spec, "ports");
	const char *type = text_of(spec, "type");
	int64_t node_ports = 0, balancers = !strcmp(type, "LoadBalancer");

	if (!strcmp(type, "NodePort") || (balancers && json_get_bool(spec, "allocateLoadBalancerNodePorts", true)))
		node_ports = length_of(ports);
	else if (balancers)
		json_for_each_item (port, ports) {
			int64_t number = 0;

			node_ports += json_get_integer(port, "nodePort", &number) && number;
		}
	use_number(usage, "services.nodeports", node_ports);
	use_number(usage, "services.loadbalancers", balancers);
}

static const char *claim_class(const struct json *claim)
{
	const char *annotation =
	        json_get_text(json_path(claim, "metadata", "annotations"), "volume.beta.kubernetes.io/storage-class");

	return annotation ? annotation : text_of(json_get(claim, "spec"), "storageClassName");
}

static void use_claim(struct usage *usage, const struct json *claim)
{
	const char *class = claim_class(claim);
	struct resource_amounts size = {0}, allocated = {0};
	struct quantity *storage, *held;

	resource_amounts_read(usage->arena, &size, json_path(claim, "spec", "resources", "requests"));
	resource_amounts_read(usage->arena, &allocated, json_path(claim, "status", "allocatedResources"));
	storage = resource_amounts_get(&size, "storage");
	held = resource_amounts_get(&allocated, "storage");
	if (storage && held && quantity_compare(held, storage) > 0)
		storage = held;
	if (class[0])
		use_number(usage, arena_printf(usage->arena, "%s" CLASS_INFIX "persistentvolumeclaims", class), 1);
	if (!storage)
		return;
	resource_amounts_set(usage->arena, usage->amounts, "requests.storage", storage);
	if (class[0])
		resource_amounts_set(usage->arena, usage->amounts,
		                     arena_printf(usage->arena, "%s" CLASS_INFIX "requests.storage", class), storage);
}

void quota_usage(struct arena *arena, const struct schema_resource *resource, const struct json *object,
                 int64_t now_realtime_ns, struct resource_amounts *ret_usage)
{
	enum quota_kind kind = quota_kind_of(resource);
	struct usage usage = {arena, ret_usage};

	*ret_usage = (struct resource_amounts){0};
	use_number(&usage, count_name(arena, resource), 1);
	if (kind == QUOTA_PODS) {
		if (!has_ended(object, now_realtime_ns))
			use_pod(&usage, object);
		return;
	}
	if (has_plain_name(resource))
		use_number(&usage, resource->plural, 1);
	if (kind == QUOTA_SERVICES)
		use_service(&usage, object);
	else if (kind == QUOTA_CLAIMS)
		use_claim(&usage, object);
}

// --- which names ----------------------------------------------------------------------------

static bool ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), size = strlen(suffix);

	return length >= size && !strcmp(text + length - size, suffix);
}

static bool concerns_pods(const char *name)
{
	static const char *const names[] = {"pods",
	                                    "cpu",
	                                    "memory",
	                                    "ephemeral-storage",
	                                    "requests.cpu",
	                                    "requests.memory",
	                                    "requests.ephemeral-storage",
	                                    "limits.cpu",
	                                    "limits.memory",
	                                    "limits.ephemeral-storage"};

	return is_one_of(name, names, ARRAY_SIZE(names)) || !strncmp(name, "hugepages-", 10) ||
	       !strncmp(name, "requests.hugepages-", 19) ||
	       (!strncmp(name, "requests.", 9) && resource_amount_is_extended(name + 9));
}

bool quota_name_concerns(const struct schema_resource *resource, const char *name)
{
	if (!strncmp(name, "count/", 6)) {
		size_t length = strlen(resource->plural);

		if (strncmp(name + 6, resource->plural, length))
			return false;
		return resource->group[0] ? name[6 + length] == '.' && !strcmp(name + 7 + length, resource->group)
		                          : !name[6 + length];
	}
	if (has_plain_name(resource) && !strcmp(name, resource->plural))
		return true;
	switch (quota_kind_of(resource)) {
	case QUOTA_PODS:
		return concerns_pods(name);
	case QUOTA_SERVICES:
		return !strcmp(name, "services.nodeports") || !strcmp(name, "services.loadbalancers");
	case QUOTA_CLAIMS:
		return !strcmp(name, "requests.storage") || ends_with(name, CLASS_INFIX "persistentvolumeclaims") ||
		       ends_with(name, CLASS_INFIX "requests.storage");
	case QUOTA_OBJECTS:
		break;
	}
	return false;
}

// --- scopes -------------------------------------------------------------------------------

static bool is_best_effort(const struct json *pod)
{
	static const char *const lists[] = {"containers", "initContainers"}, *const members[] = {"requests", "limits"};
	static const char *const names[] = {"cpu", "memory"};
	const char *class = json_get_text(json_get(pod, "status"), "qosClass");

	if (class)
		return !strcmp(class, "BestEffort");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_path(pod, "spec", lists[i]))
			for (size_t j = 0; j < ARRAY_SIZE(members); j++)
				for (size_t k = 0; k < ARRAY_SIZE(names); k++)
					if (quantity_text_milli_value(json_get_text(
					            json_path(container, "resources", members[j]), names[k])) > 0)
						return false;
	return true;
}

static bool crosses_namespaces(const struct json *term)
{
	return length_of(json_get(term, "namespaces")) || is_present(json_get(term, "namespaceSelector"));
}

static bool has_cross_namespace_affinity(const struct json *pod)
{
	static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *affinity = json_path(pod, "spec", "affinity", kinds[i]);

		json_for_each_item (term, json_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"))
			if (crosses_namespaces(term))
				return true;
		json_for_each_item (weighted, json_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"))
			if (crosses_namespaces(json_get(weighted, "podAffinityTerm")))
				return true;
	}
	return false;
}

static bool priority_matches(const struct json *requirement, const struct json *pod)
{
	const char *class = text_of(json_get(pod, "spec"), "priorityClassName");
	const char *operator= text_of(requirement, "operator");
	bool listed = false;

	json_for_each_item (value, json_get(requirement, "values"))
		listed |= json_text(value) && !strcmp(json_text(value), class);
	if (!strcmp(operator, "In"))
		return class[0] && listed;
	if (!strcmp(operator, "NotIn"))
		return !class[0] || !listed;
	if (!strcmp(operator, "DoesNotExist"))
		return !class[0];
	return class[0] != 0;
}

bool quota_scope_matches(const struct json *requirement, const struct json *pod)
{
	const char *scope = text_of(requirement, "scopeName");
	const struct json *deadline = json_path(pod, "spec", "activeDeadlineSeconds");
	bool terminating = json_is(deadline, JSON_INTEGER) && deadline->integer >= 0;

	if (!strcmp(scope, "Terminating"))
		return terminating;
	if (!strcmp(scope, "NotTerminating"))
		return !terminating;
	if (!strcmp(scope, "BestEffort"))
		return is_best_effort(pod);
	if (!strcmp(scope, "NotBestEffort"))
		return !is_best_effort(pod);
	if (!strcmp(scope, "PriorityClass"))
		return priority_matches(requirement, pod);
	if (!strcmp(scope, "CrossNamespacePodAffinity"))
		return has_cross_namespace_affinity(pod);
	return false;
}

bool quota_scopes_match(const struct schema_resource *resource, const struct json *quota_spec,
                        const struct json *object)
{
	const struct json *scopes = json_get(quota_spec, "scopes");
	const struct json *expressions = json_path(quota_spec, "scopeSelector", "matchExpressions");

	if (quota_kind_of(resource) != QUOTA_PODS)
		return !length_of(scopes) && !length_of(expressions);
	json_for_each_item (scope, scopes) {
		struct json name = *scope;
		struct json_member member = {"scopeName", 9, &name};
		struct json requirement = {.type = JSON_OBJECT, .length = 1, .capacity = 1, .members = &member};

		if (!quota_scope_matches(&requirement, object))
			return false;
	}
	json_for_each_item (expression, expressions)
		if (!quota_scope_matches(expression, object))
			return false;
	return true;
}

// --- what must be said ------------------------------------------------------------------------

static bool says(const struct json *container, const char *name)
{
	bool limit = !strncmp(name, "limits.", 7);
	const char *plain = limit ? name + 7 : !strncmp(name, "requests.", 9) ? name + 9 : name;

	return is_present(json_get(json_path(container, "resources", limit ? "limits" : "requests"), plain));
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The containers that don't say it, by name, joined with commas; NULL = all do.
static const char *silent_containers(struct arena *arena, const struct json *pod, const char *name)
{
	const struct json *lists[] = {json_path(pod, "spec", "containers"), json_path(pod, "spec", "initContainers")};
	const char **names = ARENA_ARRAY(arena, const char *, length_of(lists[0]) + length_of(lists[1]) + 1);
	const char *joined = NULL;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, lists[i])
			if (!says(container, name))
				names[count++] = text_of(container, "name");
	qsort(names, count, sizeof(*names), compare_texts);
	for (size_t i = 0; i < count; i++)
		joined = joined ? arena_printf(arena, "%s,%s", joined, names[i]) : names[i];
	return joined;
}

const char *quota_missing(struct arena *arena, const struct json *hard, const struct json *pod)
{
	static const char *const checked[] = {"cpu",    "limits.cpu",   "limits.memory",
	                                      "memory", "requests.cpu", "requests.memory"};
	const char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(checked); i++) {
		const char *silent = json_get(hard, checked[i]) ? silent_containers(arena, pod, checked[i]) : NULL;

		if (silent)
			text = arena_printf(arena, "%s%s for: %s",
			                    text ? arena_printf(arena, "%s; ", text) : "must specify ", checked[i],
			                    silent);
	}
	return text;
}
