// SPDX-License-Identifier: Apache-2.0
// LimitRanger. Defaults come in the mutating phase, bounds are judged in the
// validating one, range by range: the first range that is violated refuses, with
// all that violates it. Pods are looked at when they are created or resized; claims
// on update as well.

#include "apiserver/admission/limit_ranger.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/validation/validation.h"
#include "common/api/object.h"
#include "common/api/resource_amounts.h"

#define LIMIT_RANGER_ANNOTATION "kubernetes.io/limit-ranger"

// --- defaults -----------------------------------------------------------------------------

static void collect_defaults(const struct json *range, const char *member, struct arena *arena, struct json *into)
{
	json_for_each_item (limit, json_path(range, "spec", "limits"))
		if (!strcmp(text_of(limit, "type"), "Container"))
			json_for_each_member (value, json_get(limit, member))
				json_set(arena, into, value->key, value->value);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Sets what is missing in the container's "requests" or "limits"; the names that were set, joined. NULL = none.
static const char *fill(struct arena *arena, struct json *container, const char *list, const struct json *defaults)
{
	const char **names = ARENA_ARRAY(arena, const char *, defaults->length + 1);
	const char *joined = NULL;
	size_t count = 0;
	struct json *held;

	if (!defaults->length)
		return NULL;
	held = json_ensure_object(arena, json_ensure_object(arena, container, "resources"), list);
	json_for_each_member (value, defaults)
		if (!json_get(held, value->key)) {
			json_set(arena, held, value->key, json_clone(arena, value->value));
			names[count++] = value->key;
		}
	qsort(names, count, sizeof(*names), compare_texts);
	for (size_t i = 0; i < count; i++)
		joined = joined ? arena_printf(arena, "%s, %s", joined, names[i]) : names[i];
	return joined;
}

static const char *note(struct arena *arena, const char *notes, const char *names, const char *what, const char *prefix,
                        const struct json *container)
{
	const char *text;

	if (!names)
		return notes;
	text = arena_printf(arena, "%s %s for %s %s", names, what, prefix, text_of(container, "name"));
	return notes ? arena_printf(arena, "%s; %s", notes, text) : text;
}

void limit_ranger_default(struct arena *arena, const struct json *range, struct json *pod)
{
	static const char *const lists[][2] = {{"containers", "container"}, {"initContainers", "init container"}};
	struct json *limits = json_object(arena), *requests = json_object(arena);
	const char *notes = NULL;

	collect_defaults(range, "default", arena, limits);
	collect_defaults(range, "defaultRequest", arena, requests);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_path(pod, "spec", lists[i][0])) {
			const char *set_limits = fill(arena, container, "limits", limits);
			const char *set_requests = fill(arena, container, "requests", requests);

			notes = note(arena, notes, set_requests, "request", lists[i][1], container);
			notes = note(arena, notes, set_limits, "limit", lists[i][1], container);
		}
	if (notes)
		json_set_text(arena,
		              json_ensure_object(arena, json_ensure_object(arena, pod, "metadata"), "annotations"),
		              LIMIT_RANGER_ANNOTATION, arena_printf(arena, "LimitRanger plugin set: %s", notes));
}

// --- bounds -------------------------------------------------------------------------------

struct bounds {
	struct arena *arena;
	const char *type; // Container, Pod, PersistentVolumeClaim
	struct resource_amounts requests;
	struct resource_amounts limits;
	const char *complaints; // joined
	size_t complaint_count;
};

static void complain(struct bounds *bounds, const char *text)
{
	bounds->complaints =
	        bounds->complaint_count++ ? arena_printf(bounds->arena, "%s, %s", bounds->complaints, text) : text;
}

static const char *shown(struct bounds *bounds, const struct quantity *quantity)
{
	char text[QUANTITY_TEXT_BYTES];

	quantity_format(quantity, text);
	return arena_strdup(bounds->arena, text);
}

// "minimum cpu usage per Container is 100m" and what is wrong.
static void complain_usage(struct bounds *bounds, const char *bound, const char *name, const struct quantity *enforced,
                           const char *what, const struct quantity *observed)
{
	const char *head = arena_printf(bounds->arena, "%s %s usage per %s is %s", bound, name, bounds->type,
	                                shown(bounds, enforced));

	complain(bounds, observed ? arena_printf(bounds->arena, "%s, but %s is %s", head, what, shown(bounds, observed))
	                          : arena_printf(bounds->arena, "%s.  No %s is specified", head, what));
}

static void check_minimum(struct bounds *bounds, const char *name, const struct quantity *enforced)
{
	const struct quantity *request = resource_amounts_get(&bounds->requests, name);
	const struct quantity *limit = resource_amounts_get(&bounds->limits, name);

	if (!request || quantity_compare(request, enforced) < 0)
		complain_usage(bounds, "minimum", name, enforced, "request", request);
	else if (limit && quantity_compare(limit, enforced) < 0)
		complain_usage(bounds, "minimum", name, enforced, "limit", limit);
}

static void check_maximum(struct bounds *bounds, const char *name, const struct quantity *enforced)
{
	const struct quantity *request = resource_amounts_get(&bounds->requests, name);
	const struct quantity *limit = resource_amounts_get(&bounds->limits, name);

	if (!strcmp(bounds->type, "PersistentVolumeClaim")) {
		if (!request || quantity_compare(request, enforced) > 0)
			complain_usage(bounds, "maximum", name, enforced, "request", request);
		return;
	}
	if (!limit || quantity_compare(limit, enforced) > 0)
		complain_usage(bounds, "maximum", name, enforced, "limit", limit);
	else if (request && quantity_compare(request, enforced) > 0)
		complain_usage(bounds, "maximum", name, enforced, "request", request);
}

static void check_ratio(struct bounds *bounds, const char *name, const struct quantity *enforced)
{
	const struct quantity *request = resource_amounts_get(&bounds->requests, name);
	const struct quantity *limit = resource_amounts_get(&bounds->limits, name);
	const char *head = arena_printf(bounds->arena, "%s max limit to request ratio per %s is %s", name, bounds->type,
	                                shown(bounds, enforced));

	if (!request || !request->nano) {
		complain(bounds, arena_printf(bounds->arena, "%s, but no request is specified or request is 0", head));
	} else if (!limit || !limit->nano) {
		complain(bounds, arena_printf(bounds->arena, "%s, but no limit is specified or limit is 0", head));
	} else {
		double ratio = (double)limit->nano / (double)request->nano;

		if (ratio > (double)enforced->nano / 1e9)
			complain(bounds, arena_printf(bounds->arena, "%s, but provided ratio is %f", head, ratio));
	}
}

static void check_each(struct bounds *bounds, const struct json *list,
                       void (*check)(struct bounds *bounds, const char *name, const struct quantity *enforced))
{
	struct resource_amounts enforced = {0};

	resource_amounts_read(bounds->arena, &enforced, list);
	for (size_t i = 0; i < enforced.count; i++)
		check(bounds, enforced.items[i].name, &enforced.items[i].amount);
}

static void check_limit(struct bounds *bounds, const struct json *limit)
{
	check_each(bounds, json_get(limit, "min"), check_minimum);
	check_each(bounds, json_get(limit, "max"), check_maximum);
	if (strcmp(bounds->type, "PersistentVolumeClaim"))
		check_each(bounds, json_get(limit, "maxLimitRequestRatio"), check_ratio);
}

static const char *conclude(const struct bounds *bounds)
{
	return bounds->complaint_count > 1 ? arena_printf(bounds->arena, "[%s]", bounds->complaints)
	                                   : bounds->complaints;
}

static void check_containers(struct bounds *bounds, const struct json *limit, const struct json *containers)
{
	json_for_each_item (container, containers) {
		bounds->requests = bounds->limits = (struct resource_amounts){0};
		resource_amounts_read(bounds->arena, &bounds->requests, json_path(container, "resources", "requests"));
		resource_amounts_read(bounds->arena, &bounds->limits, json_path(container, "resources", "limits"));
		check_limit(bounds, limit);
	}
}

static void check_pod_as_a_whole(struct bounds *bounds, const struct json *limit, const struct json *pod)
{
	pod_resources(bounds->arena, pod, POD_REQUESTS, 0, &bounds->requests);
	pod_resources(bounds->arena, pod, POD_LIMITS, 0, &bounds->limits);
	check_limit(bounds, limit);
}

const char *limit_ranger_check_pod(struct arena *arena, const struct json *range, const struct json *pod)
{
	struct bounds bounds = {.arena = arena};

	json_for_each_item (limit, json_path(range, "spec", "limits")) {
		bounds.type = text_of(limit, "type");
		if (!strcmp(bounds.type, "Container")) {
			check_containers(&bounds, limit, json_path(pod, "spec", "containers"));
			check_containers(&bounds, limit, json_path(pod, "spec", "initContainers"));
		} else if (!strcmp(bounds.type, "Pod")) {
			check_pod_as_a_whole(&bounds, limit, pod);
		}
	}
	return conclude(&bounds);
}

const char *limit_ranger_check_claim(struct arena *arena, const struct json *range, const struct json *claim)
{
	struct bounds bounds = {.arena = arena};

	resource_amounts_read(arena, &bounds.requests, json_path(claim, "spec", "resources", "requests"));
	json_for_each_item (limit, json_path(range, "spec", "limits")) {
		bounds.type = text_of(limit, "type");
		if (!strcmp(bounds.type, "PersistentVolumeClaim"))
			check_limit(&bounds, limit);
	}
	return conclude(&bounds);
}

// --- the plug-in --------------------------------------------------------------------------

static const struct schema_resource *ranges(void)
{
	return schema_find_resource("", "v1", "limitranges");
}

static bool is_pod(const struct change *change, enum admission_operation operation)
{
	if (!change_is_for(change, "", "pods"))
		return false;
	return operation == ADMISSION_CREATE ? !change->subresource[0] : !strcmp(change->subresource, "resize");
}

static bool is_claim(const struct change *change)
{
	return change_is_for(change, "", "persistentvolumeclaims") && !change->subresource[0];
}

const struct status *admission_limit_ranger_mutate(struct change *change, enum admission_operation operation)
{
	struct json **all;
	size_t count;

	if (!is_pod(change, operation))
		return NULL;
	all = admission_peek_all(change, ranges(), change->namespace_name, &count);
	for (size_t i = 0; i < count; i++)
		limit_ranger_default(change->arena, all[i], change->object);
	return NULL;
}

const struct status *admission_limit_ranger_validate(struct change *change, enum admission_operation operation)
{
	bool pod = is_pod(change, operation);
	const char *why = NULL;
	struct json **all;
	size_t count;

	if (!pod && !is_claim(change))
		return NULL;
	if (operation == ADMISSION_UPDATE && object_is_being_deleted(change->object))
		return NULL;
	all = admission_peek_all(change, ranges(), change->namespace_name, &count);
	for (size_t i = 0; i < count && !why; i++)
		why = pod ? limit_ranger_check_pod(change->arena, all[i], change->object)
		          : limit_ranger_check_claim(change->arena, all[i], change->object);
	return why ? admission_forbid(change, "%s", why) : NULL;
}
