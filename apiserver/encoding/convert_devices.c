// SPDX-License-Identifier: Apache-2.0
// What v1beta2 of resource.k8s.io moved:
//   - a device's facts stand in the device itself, no longer in "basic";
//   - a request with one way to meet it has that in "exactly";
//   - a capacity is an object with a value (v1alpha3: the amount itself).
// Everything else is the same in all versions.

#include "apiserver/encoding/convert_devices.h"

#include <string.h>

#include "common/base/macros.h"

static void move_member(struct arena *arena, struct json *from, struct json *to, const char *key)
{
	struct json *value = json_get(from, key);

	if (!value)
		return;
	json_remove(from, key);
	json_set(arena, to, key, value);
}

// --- devices -----------------------------------------------------------------------

static const char *const facts[] = {"attributes",   "capacity", "consumesCounters", "nodeName", "allNodes",
                                    "nodeSelector", "taints"};

static void wrap_capacity(struct arena *arena, struct json *facts_holder, bool wrap)
{
	struct json *capacity = json_get(facts_holder, "capacity");
	struct json *other;

	if (!json_is(capacity, JSON_OBJECT))
		return;
	other = json_object(arena);
	json_for_each_member (member, capacity) {
		struct json *value = member->value;

		if (wrap) {
			value = json_object(arena);
			json_set(arena, value, "value", member->value);
		} else if (json_is(value, JSON_OBJECT) && json_get(value, "value")) {
			value = json_get(value, "value");
		}
		json_set(arena, other, member->key, value);
	}
	json_set(arena, facts_holder, "capacity", other);
}

static void convert_device(struct arena *arena, struct json *device, const char *version, bool to_storage)
{
	bool plain_capacity = !strcmp(version, "v1alpha3");
	struct json *basic = to_storage ? json_get(device, "basic") : json_object(arena);

	if (!json_is(basic, JSON_OBJECT))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		move_member(arena, to_storage ? basic : device, to_storage ? device : basic, facts[i]);
	if (plain_capacity)
		wrap_capacity(arena, to_storage ? device : basic, to_storage);
	if (to_storage)
		json_remove(device, "basic");
	else
		json_set(arena, device, "basic", basic);
}

// --- requests ----------------------------------------------------------------------

static const char *const request_members[] = {"deviceClassName", "selectors",   "allocationMode",
                                              "count",           "adminAccess", "tolerations"};

static void convert_request(struct arena *arena, struct json *request, bool to_storage)
{
	struct json *exactly = to_storage ? json_object(arena) : json_get(request, "exactly");
	const struct json *alternatives = json_get(request, "firstAvailable");

	for (size_t i = 0; exactly && i < ARRAY_SIZE(request_members); i++)
		move_member(arena, to_storage ? request : exactly, to_storage ? exactly : request, request_members[i]);
	if (!to_storage) {
		json_remove(request, "exactly");
		if (!json_get(request, "deviceClassName"))
			json_set_text(arena, request, "deviceClassName", "");
		return;
	}
	// With alternatives the other members say nothing.
	if (!json_is(alternatives, JSON_ARRAY) || !alternatives->length)
		json_set(arena, request, "exactly", exactly);
}

void convert_devices(struct arena *arena, struct json *object, const char *version, bool to_storage)
{
	struct json *spec = json_get(object, "spec");
	struct json *claim = json_path(spec, "spec", "devices");
	struct json *devices = json_get(spec, "devices");

	// A slice has a list of devices, a claim an object; a template has the claim in its own spec.
	if (json_is(devices, JSON_ARRAY)) {
		json_for_each_item (device, devices)
			convert_device(arena, device, version, to_storage);
		return;
	}
	json_for_each_item (request, json_get(claim ? claim : devices, "requests"))
		convert_request(arena, request, to_storage);
}
