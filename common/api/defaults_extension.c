// SPDX-License-Identifier: Apache-2.0
// Computed defaults of the groups around the core: autoscaling, networking, RBAC,
// custom resource definitions, dynamic resources.

#include "common/api/defaults.h"

#include <ctype.h>
#include <string.h>

#include "api/apiextensions_v1.h"
#include "api/autoscaling_v1.h"
#include "api/autoscaling_v2.h"
#include "api/networking_v1.h"
#include "api/rbac_v1.h"
#include "api/resource_v1alpha3.h"
#include "api/resource_v1beta1.h"
#include "api/resource_v1beta2.h"
#include "common/api/decode_forms.h"
#include "common/api/object.h"
#include "common/base/clock.h"

// --- autoscaling --------------------------------------------------------------------

// In v1 other metrics travel in an annotation; without them the target is 80 % of the CPU.
static void default_autoscaler_v1(struct arena *arena, struct json *autoscaler)
{
	const struct json *annotations = json_path(autoscaler, "metadata", "annotations");
	if (json_get(annotations, "autoscaling.alpha.kubernetes.io/metrics") == NULL)
		default_integer(arena, json_get(autoscaler, "spec"), "targetCPUUtilizationPercentage", 80);
}

static void default_scaling(struct arena *arena, struct json *behavior)
{
	struct json *up = json_ensure_object(arena, behavior, "scaleUp");
	default_integer(arena, up, "stabilizationWindowSeconds", 0);
	default_absent_text(arena, up, "selectPolicy", "Max");
	default_document(arena, up, "policies",
	                 "[{\"type\":\"Pods\",\"value\":4,\"periodSeconds\":15},"
	                 "{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]");
	struct json *down = json_ensure_object(arena, behavior, "scaleDown");
	default_absent_text(arena, down, "selectPolicy", "Max");
	default_document(arena, down, "policies", "[{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]");
}

static void default_autoscaler_spec(struct arena *arena, struct json *spec)
{
	if (!default_has_items(spec, "metrics")) {
		json_remove(spec, "metrics");
		default_document(arena, spec, "metrics",
		                 "[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\","
		                 "\"target\":{\"type\":\"Utilization\",\"averageUtilization\":80}}}]");
	}
}

// --- networking and access ------------------------------------------------------------

static void default_network_policy_spec(struct arena *arena, struct json *spec)
{
	if (default_has_items(spec, "policyTypes"))
		return;
	struct json *types = json_array(arena);
	json_append(arena, types, json_string(arena, "Ingress"));
	if (default_has_items(spec, "egress"))
		json_append(arena, types, json_string(arena, "Egress"));
	json_set(arena, spec, "policyTypes", types);
}

static void default_subject(struct arena *arena, struct json *subject)
{
	const char *kind = default_get_text(subject, "kind");
	if (strcmp(kind, "User") == 0 || strcmp(kind, "Group") == 0)
		default_text(arena, subject, "apiGroup", "rbac.authorization.k8s.io");
}

// --- custom resource definitions --------------------------------------------------------

static void default_definition_names(struct arena *arena, struct json *names)
{
	const char *kind = default_get_text(names, "kind");
	if (kind[0] == '\0')
		return;
	char *singular = arena_strdup(arena, kind);
	for (char *character = singular; *character != '\0'; character++)
		*character = (char)tolower((unsigned char)*character);
	default_text(arena, names, "singular", singular);
	default_text(arena, names, "listKind", arena_printf(arena, "%sList", kind));
}

static void default_definition(struct arena *arena, struct json *definition)
{
	struct json *spec = json_get(definition, "spec");
	struct json *status = json_ensure_object(arena, definition, "status");
	struct json *names = json_get(spec, "names");
	if (json_is(names, JSON_OBJECT))
		default_definition_names(arena, names);
	if (default_has_items(status, "storedVersions"))
		return;
	json_for_each_item (version, json_get(spec, "versions")) {
		if (!json_get_bool(version, "storage", false))
			continue;
		json_remove(status, "storedVersions");
		json_append(arena, json_ensure_array(arena, status, "storedVersions"),
		            json_string(arena, default_get_text(version, "name")));
		return;
	}
}

// --- dynamic resources --------------------------------------------------------------------

static void default_device_request(struct arena *arena, struct json *request)
{
	if (strcmp(default_get_text(request, "allocationMode"), "ExactCount") == 0 &&
	    decode_is_zero(json_get(request, "count")))
		json_set_integer(arena, request, "count", 1);
}

// In older versions the one way to meet a request stands in the request itself.
static void default_old_device_request(struct arena *arena, struct json *request)
{
	if (default_has_items(request, "firstAvailable"))
		return;
	default_text(arena, request, "allocationMode", "ExactCount");
	default_device_request(arena, request);
}

static void default_device_taint(struct arena *arena, struct json *taint)
{
	char now[API_TIME_BYTES];
	if (!default_is_absent(taint, "timeAdded"))
		return;
	api_time_format(clock_realtime_ns(&clock_system), now);
	json_set_text(arena, taint, "timeAdded", now);
}

const struct default_hook defaults_extension_hooks[] = {
        {&schema_type_apiextensions_v1_custom_resource_definition, default_definition},
        {&schema_type_autoscaling_v1_horizontal_pod_autoscaler, default_autoscaler_v1},
        {&schema_type_autoscaling_v2_horizontal_pod_autoscaler_behavior, default_scaling},
        {&schema_type_autoscaling_v2_horizontal_pod_autoscaler_spec, default_autoscaler_spec},
        {&schema_type_networking_v1_network_policy_spec, default_network_policy_spec},
        {&schema_type_rbac_v1_subject, default_subject},
        {&schema_type_resource_v1alpha3_device_request, default_old_device_request},
        {&schema_type_resource_v1alpha3_device_sub_request, default_device_request},
        {&schema_type_resource_v1alpha3_device_taint, default_device_taint},
        {&schema_type_resource_v1beta1_device_request, default_old_device_request},
        {&schema_type_resource_v1beta1_device_sub_request, default_device_request},
        {&schema_type_resource_v1beta1_device_taint, default_device_taint},
        {&schema_type_resource_v1beta2_device_sub_request, default_device_request},
        {&schema_type_resource_v1beta2_device_taint, default_device_taint},
        {&schema_type_resource_v1beta2_exact_device_request, default_device_request},
        {NULL, NULL},
};
