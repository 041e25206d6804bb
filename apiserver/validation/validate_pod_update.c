// SPDX-License-Identifier: Apache-2.0
// What each write may change of a pod that is there. An update is judged by
// taking out of the new spec what may change; what is left must be equal.

#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/registry/strategies.h"
#include "apiserver/services/ip_range.h"
#include "apiserver/validation/resource_names.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

#define MIRROR "kubernetes.io/config.mirror"

static const struct json *spec_of(const struct json *pod)
{
	return json_get(pod, "spec");
}

static void put_back(struct arena *arena, struct json *object, const struct json *old, const char *member)
{
	struct json *value = json_get(old, member);

	if (value)
		json_set(arena, object, member, value);
	else
		json_remove(object, member);
}

// --- updates of the spec -----------------------------------------------------------------------------

// False when the lists can't be compared.
static bool validate_images(struct validation *v, const char *member, const struct rule_path *parent)
{
	const struct json *now = json_get(spec_of(v->change->object), member);
	struct rule_path path = FIELD(parent, member);

	if (length_of(now) == length_of(json_get(spec_of(v->change->old), member)))
		return true;
	validation_forbidden(v, &path, "pod updates may not add or remove containers");
	return false;
}

static bool validate_deadline(struct validation *v, const struct rule_path *parent)
{
	const struct json *now = json_get(spec_of(v->change->object), "activeDeadlineSeconds");
	const struct json *old = json_get(spec_of(v->change->old), "activeDeadlineSeconds");
	struct rule_path path = FIELD(parent, "activeDeadlineSeconds");

	if (!json_is(now, JSON_INTEGER)) {
		if (is_present(old))
			validation_invalid(v, &path, now, "must not update from a positive integer to nil value");
		return true;
	}
	if (now->integer < 0 || now->integer > INT32_MAX)
		validation_invalid(v, &path, now, "must be between 0 and 2147483647, inclusive");
	else if (json_is(old, JSON_INTEGER) && old->integer < now->integer)
		validation_invalid(v, &path, now, "must be less than or equal to previous value");
	else
		return true;
	return false;
}

static bool same_toleration(const struct json *a, const struct json *b)
{
	static const char *const members[] = {"key", "operator", "value", "effect"};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (!text_is(a, members[i], text_of(b, members[i])))
			return false;
	return true;
}

static void validate_added_tolerations(struct validation *v, const struct rule_path *parent)
{
	const struct json *now = json_get(spec_of(v->change->object), "tolerations");
	struct rule_path path = FIELD(parent, "tolerations");

	json_for_each_item (old, json_get(spec_of(v->change->old), "tolerations")) {
		bool found = false;

		json_for_each_item (item, now)
			found |= same_toleration(item, old);
		if (!found) {
			validation_forbidden(v, &path,
			                     "existing toleration can not be modified except its tolerationSeconds");
			return;
		}
	}
}

static void validate_removed_gates(struct validation *v, const struct rule_path *parent)
{
	const struct json *old = json_get(spec_of(v->change->old), "schedulingGates");
	struct rule_path path = FIELD(parent, "schedulingGates");

	rule_for_each_item (gate, entry, json_get(spec_of(v->change->object), "schedulingGates"), &path) {
		struct rule_path name = FIELD(&entry, "name");
		bool held = false;

		json_for_each_item (before, old)
			held |= text_is(before, "name", text_of(gate, "name"));
		if (!held)
			validation_forbidden(
			        v, &name,
			        arena_printf(v->arena, "only deletion is allowed, but found new scheduling gate '%s'",
			                     text_of(gate, "name")));
	}
}

// --- gated pods ---------------------------------------------------------------------------------------

static void validate_grown_selector(struct validation *v, const struct rule_path *parent)
{
	const struct json *now = json_get(spec_of(v->change->object), "nodeSelector");
	struct rule_path path = FIELD(parent, "nodeSelector");

	json_for_each_member (label, json_get(spec_of(v->change->old), "nodeSelector"))
		if (!json_get(now, label->key) || !json_equal(json_get(now, label->key), label->value)) {
			validation_invalid(
			        v, &path, now,
			        "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
			return;
		}
}

static bool begins_with(const struct json *list, const struct json *old)
{
	if (length_of(list) < length_of(old))
		return false;
	for (uint32_t i = 0; i < length_of(old); i++)
		if (!json_equal(list->items[i], old->items[i]))
			return false;
	return true;
}

// More requirements in a term mean fewer nodes; in a term that had none they mean other nodes.
static bool term_only_grows(const struct json *now, const struct json *old)
{
	const struct json *expressions = json_get(old, "matchExpressions"), *fields = json_get(old, "matchFields");

	if (!length_of(expressions) && !length_of(fields))
		return !length_of(json_get(now, "matchExpressions")) && !length_of(json_get(now, "matchFields"));
	return begins_with(json_get(now, "matchExpressions"), expressions) &&
	       begins_with(json_get(now, "matchFields"), fields);
}

static const struct json *required_terms(const struct json *pod)
{
	return json_path(pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution",
	                 "nodeSelectorTerms");
}

static void validate_grown_affinity(struct validation *v, const struct rule_path *parent)
{
	const struct json *now = required_terms(v->change->object), *old = required_terms(v->change->old);
	struct rule_path affinity = FIELD(parent, "affinity"), node = FIELD(&affinity, "nodeAffinity"),
	                 required = FIELD(&node, "requiredDuringSchedulingIgnoredDuringExecution"),
	                 terms = FIELD(&required, "nodeSelectorTerms");

	if (!length_of(old))
		return;
	if (length_of(now) != length_of(old)) {
		validation_invalid(v, &terms, now,
		                   "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
		return;
	}
	rule_for_each_item (term, entry, now, &terms)
		if (!term_only_grows(term, old->items[entry.index]))
			validation_invalid(v, &entry, term, "only additions are allowed (no mutations or deletions)");
}

static void neutralize_gated(struct validation *v, struct json *spec, const struct json *old,
                             const struct rule_path *path)
{
	struct json *affinity = json_get(spec, "affinity"), *old_affinity = json_get(old, "affinity");

	validate_grown_selector(v, path);
	put_back(v->arena, spec, old, "nodeSelector");
	if (rule_equal(json_get(affinity, "nodeAffinity"), json_get(old_affinity, "nodeAffinity")))
		return;
	validate_grown_affinity(v, path);
	if (is_present(affinity))
		put_back(v->arena, affinity, old_affinity, "nodeAffinity");
	else
		put_back(v->arena, spec, old, "affinity");
	if (!length_of(affinity) && !is_present(old_affinity))
		json_remove(spec, "affinity");
}

static void neutralize_images(struct arena *arena, struct json *spec, const struct json *old, const char *member)
{
	const struct json *now = json_get(spec, member), *before = json_get(old, member);

	for (uint32_t i = 0; i < length_of(now); i++)
		put_back(arena, now->items[i], before->items[i], "image");
}

static bool all_images(struct validation *v, const struct rule_path *path)
{
	return validate_images(v, "containers", path) && validate_images(v, "initContainers", path);
}

void validate_pod_update(struct validation *v)
{
	static const char *const changeable[] = {"activeDeadlineSeconds", "schedulingGates", "tolerations"};
	const struct json *old = spec_of(v->change->old);
	struct json *spec = json_clone(v->arena, spec_of(v->change->object));
	struct rule_path path = FIELD(NULL, "spec");

	validate_whole_pod(v);
	validate_pod_annotation_update(v);
	if (!all_images(v, &path) || !validate_deadline(v, &path))
		return;
	validate_added_tolerations(v, &path);
	validate_removed_gates(v, &path);
	neutralize_images(v->arena, spec, old, "containers");
	neutralize_images(v->arena, spec, old, "initContainers");
	for (size_t i = 0; i < ARRAY_SIZE(changeable); i++)
		put_back(v->arena, spec, old, changeable[i]);
	if (integer_of(old, "terminationGracePeriodSeconds", 0) < 0 &&
	    integer_of(spec, "terminationGracePeriodSeconds", 0) == 1)
		put_back(v->arena, spec, old, "terminationGracePeriodSeconds");
	if (length_of(json_get(old, "schedulingGates")))
		neutralize_gated(v, spec, old, &path);
	if (!json_equal(spec, old))
		validation_forbidden(
		        v, &path,
		        arena_printf(
		                v->arena,
		                "pod updates may not change fields other than "
		                "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`"
		                ",`spec.tolerations` (only additions to existing tolerations),"
		                "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
		                "negative)%s",
		                rule_diff_text(v->arena, old, spec, "spec")));
}

// --- ephemeral containers ------------------------------------------------------------------------------

static const struct json *named(const struct json *list, const char *name)
{
	json_for_each_item (item, list)
		if (text_is(item, "name", name))
			return item;
	return NULL;
}

// Only this error: the rest would be about a pod that can't be changed anyway.
static void refuse_wholly(struct validation *v, const char *why)
{
	struct rule_path root = FIELD(NULL, "");

	validation_clear(v);
	validation_forbidden(v, &root, why);
}

void validate_pod_ephemeral_update(struct validation *v)
{
	const struct json *now = json_get(spec_of(v->change->object), "ephemeralContainers");
	struct rule_path spec = FIELD(NULL, "spec"), path = FIELD(&spec, "ephemeralContainers");

	if (metadata_annotation(v->change->old, MIRROR)) {
		refuse_wholly(v, "static pods do not support ephemeral containers");
		return;
	}
	validate_whole_pod(v);
	validate_pod_annotation_update(v);
	json_for_each_item (old, json_get(spec_of(v->change->old), "ephemeralContainers")) {
		const struct json *kept = named(now, text_of(old, "name"));

		if (!kept)
			validation_forbidden(v, &path,
			                     arena_printf(v->arena,
			                                  "existing ephemeral containers \"%s\" may not be removed\n",
			                                  text_of(old, "name")));
		else if (!json_equal(kept, old))
			validation_forbidden(v, &path,
			                     arena_printf(v->arena,
			                                  "existing ephemeral containers \"%s\" may not be changed%s",
			                                  text_of(old, "name"),
			                                  rule_diff_text(v->arena, old, kept, text_of(old, "name"))));
	}
}

// --- resizing --------------------------------------------------------------------------------------------

static bool validate_same_containers(struct validation *v, const char *member, const struct rule_path *parent)
{
	const struct json *now = json_get(spec_of(v->change->object), member);
	const struct json *old = json_get(spec_of(v->change->old), member);
	struct rule_path path = FIELD(parent, member);
	size_t before = v->count;

	if (length_of(now) != length_of(old)) {
		validation_forbidden(v, &path,
		                     arena_printf(v->arena, "%s may not be added or removed on resize", member));
		return false;
	}
	rule_for_each_item (container, entry, now, &path) {
		struct rule_path name = FIELD(&entry, "name");

		if (!text_is(container, "name", text_of(old->items[entry.index], "name")))
			validation_forbidden(
			        v, &name,
			        arena_printf(v->arena, "%s may not be renamed or reordered on resize", member));
	}
	return v->count == before;
}

static bool removes_any(const struct json *now, const struct json *old)
{
	json_for_each_member (amount, old)
		if (!json_get(now, amount->key))
			return true;
	return false;
}

static bool may_shrink_memory(const struct json *container)
{
	json_for_each_item (policy, json_get(container, "resizePolicy"))
		if (text_is(policy, "resourceName", "memory"))
			return text_is(policy, "restartPolicy", "RestartContainer");
	return false;
}

static void validate_memory_limit(struct validation *v, const struct json *now, const struct json *old,
                                  const struct rule_path *limits)
{
	struct rule_path path = FIELD_KEY(limits, "memory");
	struct quantity limit, before;

	if (!read_quantity(json_get(json_get(now, "limits"), "memory"), &limit))
		return;
	if (!read_quantity(json_get(json_get(old, "limits"), "memory"), &before))
		validation_forbidden(v, &path, "memory limits cannot be added unless resizePolicy is RestartContainer");
	else if (quantity_compare(&limit, &before) < 0)
		validation_forbidden(v, &path,
		                     "memory limits cannot be decreased unless resizePolicy is RestartContainer");
}

static void validate_resized(struct validation *v, const struct json *container, const struct json *before,
                             const struct rule_path *parent)
{
	const struct json *now = json_get(container, "resources"), *old = json_get(before, "resources");
	struct rule_path path = FIELD(parent, "resources"), requests = FIELD(&path, "requests"),
	                 limits = FIELD(&path, "limits");

	if (removes_any(json_get(now, "requests"), json_get(old, "requests")))
		validation_forbidden(v, &requests, "resource requests cannot be removed");
	if (removes_any(json_get(now, "limits"), json_get(old, "limits")))
		validation_forbidden(v, &limits, "resource limits cannot be removed");
	if (!may_shrink_memory(container))
		validate_memory_limit(v, now, old, &limits);
}

static void neutralize_amounts(struct arena *arena, struct json *container, const struct json *old, const char *member)
{
	const struct json *before = json_get(json_get(old, "resources"), member);
	struct json *resources = json_ensure_object(arena, container, "resources"), *now;

	if (!length_of(before)) {
		json_remove(resources, member);
		return;
	}
	now = json_ensure_object(arena, resources, member);
	put_back(arena, now, before, "cpu");
	put_back(arena, now, before, "memory");
}

static bool is_sidecar(const struct json *container)
{
	return text_is(container, "restartPolicy", "Always");
}

static void validate_resized_list(struct validation *v, const char *member, struct json *spec,
                                  const struct rule_path *root)
{
	const struct json *old = json_get(spec_of(v->change->old), member);
	struct json *now = json_get(spec, member);
	bool init = !strcmp(member, "initContainers");
	struct rule_path path = FIELD(root, member);

	for (uint32_t i = 0; i < length_of(now); i++) {
		struct rule_path entry = FIELD_INDEX(&path, i);
		struct json *container = now->items[i];
		const struct json *before = old->items[i];
		bool resizable = !init || is_sidecar(container);

		if (resizable)
			validate_resized(v, container, before, &entry);
		container = json_clone(v->arena, container);
		now->items[i] = container;
		if (resizable) {
			neutralize_amounts(v->arena, container, before, "limits");
			neutralize_amounts(v->arena, container, before, "requests");
		}
		if (!rule_equal(container, before))
			validation_forbidden(
			        v, root,
			        !init       ? "only cpu and memory resources are mutable"
			        : resizable ? "only cpu and memory resources for sidecar containers are mutable"
			                    : "resources for non-sidecar init containers are immutable");
	}
}

static bool node_can_resize(const struct json *pod)
{
	json_for_each_item (status, json_path(pod, "status", "containerStatuses"))
		if (is_present(json_path(status, "state", "running")))
			return is_present(json_get(status, "resources"));
	return true;
}

void validate_pod_resize(struct validation *v)
{
	const struct json *old = v->change->old;
	struct json *spec = json_clone(v->arena, spec_of(v->change->object));
	struct rule_path path = FIELD(NULL, "spec");
	const char *class = text_of(json_get(old, "status"), "qosClass");
	size_t before;
	bool same;

	if (metadata_annotation(old, MIRROR)) {
		refuse_wholly(v, "static pods cannot be resized");
		return;
	}
	if (text_is(json_get(spec_of(old), "os"), "name", "windows")) {
		refuse_wholly(v, "windows pods cannot be resized");
		return;
	}
	validate_whole_pod(v);
	if (class[0] && strcmp(class, pod_quality_of_service(v->change->object)))
		validation_invalid_text(v, &path, class, "Pod QOS Class may not change as a result of resizing");
	if (!node_can_resize(old))
		validation_forbidden(v, &path, "Pod running on node without support for resize");
	same = validate_same_containers(v, "containers", &path);
	same &= validate_same_containers(v, "initContainers", &path); // both tell what they find
	if (!same)
		return;
	before = v->count;
	validate_resized_list(v, "initContainers", spec, &path);
	validate_resized_list(v, "containers", spec, &path);
	if (before == v->count && !rule_equal(spec, spec_of(old)))
		validation_forbidden(v, &path, "only cpu and memory resources are mutable");
}

// --- status ----------------------------------------------------------------------------------------------

static void validate_pod_conditions(struct validation *v, const struct json *status, const struct rule_path *parent)
{
	static const char *const own[] = {"PodScheduled", "Ready", "Initialized", NULL};
	struct rule_path path = FIELD(parent, "conditions");

	rule_for_each_item (condition, entry, json_get(status, "conditions"), &path) {
		struct rule_path type = FIELD(&entry, "Type");

		rule_at_least(v, condition, "observedGeneration", &entry, 0, "must be a non-negative integer");
		if (!is_one_of(text_of(condition, "type"), own))
			validation_string(v, &type, text_of(condition, "type"), check_qualified_name);
	}
}

static const struct json *container_named(const struct json *spec, const char *member, const char *name)
{
	return named(json_get(spec, member), name);
}

// Whether a container that ended may run again.
static bool may_restart(const struct json *spec, const char *list, const struct json *status)
{
	const char *policy = text_of(spec, "restartPolicy");
	const struct json *terminated = json_path(status, "state", "terminated");

	if (!strcmp(list, "ephemeralContainerStatuses"))
		return false;
	if (!strcmp(list, "initContainerStatuses")) {
		const struct json *container = container_named(spec, "initContainers", text_of(status, "name"));

		if (container && is_sidecar(container))
			return true;
		return integer_of(terminated, "exitCode", 0) && strcmp(policy, "Never");
	}
	return !strcmp(policy, "Always") || (integer_of(terminated, "exitCode", 0) && !strcmp(policy, "OnFailure"));
}

static void validate_transitions(struct validation *v, const char *member, const struct rule_path *parent)
{
	const struct json *now = json_get(json_get(v->change->object, "status"), member);
	const struct json *old = json_get(json_get(v->change->old, "status"), member);
	struct rule_path path = FIELD(parent, member);

	if (!strcmp(member, "initContainerStatuses") && text_is(spec_of(v->change->old), "restartPolicy", "Always"))
		return;
	rule_for_each_item (before, entry, old, &path) {
		const struct json *status = named(now, text_of(before, "name"));
		struct rule_path state = FIELD(&entry, "state");

		if (is_present(json_path(before, "state", "terminated")) &&
		    !may_restart(spec_of(v->change->old), member, before) && status &&
		    !is_present(json_path(status, "state", "terminated")))
			validation_forbidden(v, &state, "may not be transitioned to non-terminated state");
	}
}

static void validate_address_list(struct validation *v, const char *member, const struct rule_path *parent)
{
	const struct json *status = json_get(v->change->object, "status"), *list = json_get(status, member);
	struct rule_path path = FIELD(parent, member);
	bool of_family[2] = {false, false}, doubled = false;

	rule_for_each_item (item, entry, list, &path) {
		struct rule_path ip_path = FIELD(&entry, "ip");
		struct ip ip;

		rule_ip(v, text_of(item, "ip"), strcmp(member, "hostIPs") ? &entry : &ip_path);
		if (!ip_parse_legacy(text_of(item, "ip"), &ip))
			continue;
		doubled |= of_family[ip.is_v6];
		of_family[ip.is_v6] = true;
	}
	if (length_of(list) > 1 && (length_of(list) > 2 || doubled))
		validation_invalid(v, &path, list, "may specify no more than one IP for each IP family");
}

static void validate_host_address(struct validation *v, const struct rule_path *parent)
{
	const struct json *status = json_get(v->change->object, "status"), *list = json_get(status, "hostIPs");
	struct rule_path path = FIELD(parent, "hostIPs"), first = FIELD_INDEX(&path, 0), ip = FIELD(&first, "ip");

	if (length_of(list) && !text_is(list->items[0], "ip", text_of(status, "hostIP")))
		validation_invalid_text(v, &ip, text_of(list->items[0], "ip"), "must be equal to `hostIP`");
}

static void validate_claim_statuses(struct validation *v, const struct rule_path *parent)
{
	const struct json *claims = json_get(spec_of(v->change->object), "resourceClaims");
	const struct json *statuses = json_get(json_get(v->change->object, "status"), "resourceClaimStatuses");
	struct rule_path path = FIELD(parent, "resourceClaimStatuses");

	rule_for_each_item (status, entry, statuses, &path) {
		struct rule_path name = FIELD(&entry, "name");

		if (!named(claims, text_of(status, "name")))
			validation_invalid_text(v, &name, text_of(status, "name"),
			                        "must match the name of an entry in `spec.resourceClaims`");
		if (text_repeats(statuses, entry.index, "name"))
			validation_duplicate(v, &name, json_get(status, "name"));
		if (text_of(status, "resourceClaimName")[0])
			validation_string(v, &name, text_of(status, "resourceClaimName"), check_dns_subdomain);
	}
}

void validate_pod_status_update(struct validation *v)
{
	static const char *const lists[] = {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"};
	const struct json *status = json_get(v->change->object, "status"), *old = json_get(v->change->old, "status");
	struct rule_path path = FIELD(NULL, "status"), nominated = FIELD(&path, "nominatedNodeName");

	validate_pod_annotation_update(v);
	validate_pod_conditions(v, status, &path);
	if (text_of(status, "nominatedNodeName")[0] &&
	    !text_is(old, "nominatedNodeName", text_of(status, "nominatedNodeName")))
		validation_string(v, &nominated, text_of(status, "nominatedNodeName"), check_dns_subdomain);
	rule_at_least(v, status, "observedGeneration", &path, 0, "must be a non-negative integer");
	rule_immutable(v, status, old, "qosClass", &path);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		validate_transitions(v, lists[i], &path);
	validate_claim_statuses(v, &path);
	validate_address_list(v, "podIPs", &path);
	validate_host_address(v, &path);
	validate_address_list(v, "hostIPs", &path);
}
