// SPDX-License-Identifier: Apache-2.0
// Pods: the status that a new pod has, its QoS class, and what each of its
// subresources may change.

#include <string.h>

#include "apiserver/registry/strategies.h"
#include "apiserver/validation/validation.h"
#include "common/api/object.h"
#include "common/api/quantity.h"

// --- the QoS class ------------------------------------------------------------------------

static const char *const qos_resources[] = {"cpu", "memory"};

struct qos_sums {
	__int128 requests[2];
	__int128 limits[2];
	bool requested[2];
	bool limited[2];
	bool all_limited; // every container has both limits
};

static bool positive_quantity(const struct json *list, const char *name, __int128 *ret_nano)
{
	const char *text = json_get_text(list, name);
	struct quantity quantity;

	if (!text || quantity_parse(text, &quantity, NULL) < 0 || quantity.nano <= 0)
		return false;
	*ret_nano = quantity.nano;
	return true;
}

static void add_container(struct qos_sums *sums, const struct json *container)
{
	const struct json *requests = json_path(container, "resources", "requests");
	const struct json *limits = json_path(container, "resources", "limits");

	for (size_t i = 0; i < ARRAY_SIZE(qos_resources); i++) {
		__int128 nano;

		if (positive_quantity(requests, qos_resources[i], &nano)) {
			sums->requests[i] += nano;
			sums->requested[i] = true;
		}
		if (positive_quantity(limits, qos_resources[i], &nano)) {
			sums->limits[i] += nano;
			sums->limited[i] = true;
		} else {
			sums->all_limited = false;
		}
	}
}

const char *pod_quality_of_service(const struct json *pod)
{
	const struct json *spec = json_get(pod, "spec");
	struct qos_sums sums = {.all_limited = true};
	bool any = false, equal = true;

	json_for_each_item (container, json_get(spec, "containers"))
		add_container(&sums, container);
	json_for_each_item (container, json_get(spec, "initContainers"))
		add_container(&sums, container);
	for (size_t i = 0; i < ARRAY_SIZE(qos_resources); i++) {
		any |= sums.requested[i] || sums.limited[i];
		if (sums.requested[i] != sums.limited[i] || sums.requests[i] != sums.limits[i])
			equal = false;
	}
	if (!any)
		return "BestEffort";
	return sums.all_limited && equal ? "Guaranteed" : "Burstable";
}

// --- create -------------------------------------------------------------------------------

static void add_gated_condition(struct arena *arena, struct json *status)
{
	struct json *condition = json_object(arena), *conditions = json_array(arena);

	json_set_text(arena, condition, "type", "PodScheduled");
	json_set_text(arena, condition, "status", "False");
	json_set(arena, condition, "lastProbeTime", json_null(arena));
	json_set(arena, condition, "lastTransitionTime", json_null(arena));
	json_set_text(arena, condition, "reason", "SchedulingGated");
	json_set_text(arena, condition, "message", "Scheduling is blocked due to non-empty scheduling gates");
	json_append(arena, conditions, condition);
	json_set(arena, status, "conditions", conditions);
}

// Both spellings of the service account are always there and equal.
static void mirror_service_account(struct arena *arena, struct json *spec)
{
	const char *name = text_of(spec, "serviceAccountName"), *old_name = text_of(spec, "serviceAccount");

	if (name[0])
		json_set_text(arena, spec, "serviceAccount", name);
	else if (old_name[0])
		json_set_text(arena, spec, "serviceAccountName", old_name);
}

void strategy_pod_create(struct change *change)
{
	struct json *spec = json_ensure_object(change->arena, change->object, "spec");
	struct json *status = json_object(change->arena);

	mirror_service_account(change->arena, spec);
	json_set_text(change->arena, status, "phase", "Pending");
	json_set_text(change->arena, status, "qosClass", pod_quality_of_service(change->object));
	if (length_of(json_get(spec, "schedulingGates")))
		add_gated_condition(change->arena, status);
	json_set(change->arena, change->object, "status", status);
}

// --- update -------------------------------------------------------------------------------

// The class was fixed at creation.
static void keep_qos_class(struct change *change)
{
	const char *held = json_get_text(json_get(change->old, "status"), "qosClass");
	struct json *status = json_ensure_object(change->arena, change->object, "status");

	if (held)
		json_set_text(change->arena, status, "qosClass", held);
}

void strategy_pod_update(struct change *change)
{
	struct json *spec = json_ensure_object(change->arena, change->object, "spec");
	struct json *period = json_get(spec, "terminationGracePeriodSeconds");

	mirror_service_account(change->arena, spec);
	keep_qos_class(change);
	if (json_is(period, JSON_INTEGER) && period->integer < 0)
		json_set_integer(change->arena, spec, "terminationGracePeriodSeconds", 1);
}

void strategy_pod_ephemeral_containers(struct change *change)
{
	struct json *containers = json_path(change->object, "spec", "ephemeralContainers");

	change->object = json_clone(change->arena, change->old);
	if (containers)
		json_set(change->arena, json_ensure_object(change->arena, change->object, "spec"),
		         "ephemeralContainers", containers);
}

static void take_resources(struct change *change, const struct json *sent, const char *list)
{
	struct json *mine = json_path(change->object, "spec", list);

	json_for_each_item (container, mine) {
		const char *name = text_of(container, "name");

		json_for_each_item (other, json_path(sent, "spec", list))
			if (!strcmp(text_of(other, "name"), name)) {
				if (json_get(other, "resources"))
					json_set(change->arena, container, "resources", json_get(other, "resources"));
				if (json_get(other, "resizePolicy"))
					json_set(change->arena, container, "resizePolicy",
					         json_get(other, "resizePolicy"));
			}
	}
}

void strategy_pod_resize(struct change *change)
{
	struct json *sent = change->object;

	change->object = json_clone(change->arena, change->old);
	take_resources(change, sent, "containers");
	take_resources(change, sent, "initContainers");
}
