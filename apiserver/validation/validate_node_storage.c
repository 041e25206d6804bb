// SPDX-License-Identifier: Apache-2.0
// Nodes and the storage kinds.

#include <string.h>

#include "apiserver/services/ip_range.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "common/api/quantity.h"

static const struct json *spec_of(const struct validation *v)
{
	return json_get(v->change->object, "spec");
}

// --- nodes ------------------------------------------------------------------------------------

static void validate_taints(struct validation *v, const struct json *taints, const struct rule_path *path)
{
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
	uint32_t index = 0;

	json_for_each_item (taint, taints) {
		struct rule_path item = FIELD_INDEX(path, index++), key = FIELD(&item, "key"),
		                 value = FIELD(&item, "value"), effect = FIELD(&item, "effect");

		validation_string(v, &key, text_of(taint, "key"), check_qualified_name);
		validation_string(v, &value, text_of(taint, "value"), check_label_value);
		validation_one_of(v, &effect, json_get(taint, "effect"), true, effects);
		for (uint32_t before = 0; before + 1 < index; before++)
			if (!strcmp(text_of(taints->items[before], "key"), text_of(taint, "key")) &&
			    !strcmp(text_of(taints->items[before], "effect"), text_of(taint, "effect")))
				validation_duplicate(v, &item, taint);
	}
}

static void validate_pod_ranges(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "podCIDRs");
	uint32_t index = 0;

	json_for_each_item (cidr, json_get(spec, "podCIDRs")) {
		struct rule_path item = FIELD_INDEX(&path, index++);
		struct ip_range range;

		if (!json_text(cidr) || ip_range_parse(json_text(cidr), &range, NULL) < 0)
			validation_invalid(v, &item, cidr,
			                   "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
	}
}

void validate_node(struct validation *v)
{
	const struct json *spec = spec_of(v), *old = v->change->old ? json_get(v->change->old, "spec") : NULL;
	struct rule_path path = FIELD(NULL, "spec"), taints = FIELD(&path, "taints"), range = FIELD(&path, "podCIDR"),
	                 provider = FIELD(&path, "providerID");

	if (!strcmp(v->change->subresource, "status"))
		return;
	validate_taints(v, json_get(spec, "taints"), &taints);
	validate_pod_ranges(v, spec, &path);
	if (!old)
		return;
	if (text_of(old, "podCIDR")[0] && strcmp(text_of(old, "podCIDR"), text_of(spec, "podCIDR")))
		validation_forbidden(v, &range, "node updates may not change podCIDR except from \"\" to valid");
	if (text_of(old, "providerID")[0] && strcmp(text_of(old, "providerID"), text_of(spec, "providerID")))
		validation_forbidden(v, &provider, "node updates may not change providerID except from \"\" to valid");
}

// --- volumes and claims ----------------------------------------------------------------------------

static void validate_access_modes(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const modes[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL};
	struct rule_path path = FIELD(parent, "accessModes");
	const struct json *list = json_get(spec, "accessModes");

	if (!length_of(list))
		validation_required(v, &path, "at least 1 access mode is required");
	json_for_each_item (mode, list)
		validation_one_of(v, &path, mode, true, modes);
	json_for_each_item (mode, list)
		if (list->length > 1 && json_text(mode) && !strcmp(json_text(mode), "ReadWriteOncePod"))
			validation_forbidden(v, &path, "may not use ReadWriteOncePod with other access modes");
}

static bool is_positive(const struct json *value)
{
	struct quantity quantity;

	return json_text(value) && quantity_parse(json_text(value), &quantity, NULL) == 0 && quantity.nano > 0;
}

static const char *const volume_sources[] = {"awsElasticBlockStore",
                                             "azureDisk",
                                             "azureFile",
                                             "cephfs",
                                             "cinder",
                                             "csi",
                                             "fc",
                                             "flexVolume",
                                             "flocker",
                                             "gcePersistentDisk",
                                             "glusterfs",
                                             "hostPath",
                                             "iscsi",
                                             "local",
                                             "nfs",
                                             "photonPersistentDisk",
                                             "portworxVolume",
                                             "quobyte",
                                             "rbd",
                                             "scaleIO",
                                             "storageos",
                                             "vsphereVolume"};

static void validate_volume_source(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(volume_sources); i++) {
		struct rule_path source = FIELD(path, volume_sources[i]);

		if (is_present(json_get(spec, volume_sources[i])) && ++count > 1)
			validation_forbidden(v, &source, "may not specify more than 1 volume type");
	}
	if (!count)
		validation_required(v, path, "must specify a volume type");
}

static void validate_volume_update(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *old = json_get(v->change->old, "spec");
	struct rule_path source = FIELD(path, "persistentvolumesource"), mode = FIELD(path, "volumeMode");

	for (size_t i = 0; i < ARRAY_SIZE(volume_sources); i++) {
		const struct json *now = json_get(spec, volume_sources[i]), *before = json_get(old, volume_sources[i]);

		if (is_present(now) != is_present(before) || (is_present(now) && !json_equal(now, before))) {
			validation_forbidden(v, &source, "spec.persistentvolumesource is immutable after creation");
			break;
		}
	}
	validation_immutable(v, &mode, json_get(spec, "volumeMode"), json_get(old, "volumeMode"));
}

void validate_persistent_volume(struct validation *v)
{
	static const char *const policies[] = {"Delete", "Recycle", "Retain", NULL};
	const struct json *spec = spec_of(v), *capacity = json_get(spec, "capacity");
	struct rule_path path = FIELD(NULL, "spec"), capacity_path = FIELD(&path, "capacity"),
	                 storage = FIELD_KEY(&capacity_path, "storage"),
	                 policy = FIELD(&path, "persistentVolumeReclaimPolicy"),
	                 class = FIELD(&path, "storageClassName"), local = FIELD(&path, "nodeAffinity");

	if (!strcmp(v->change->subresource, "status"))
		return;
	validate_access_modes(v, spec, &path);
	if (!length_of(capacity))
		validation_required(v, &capacity_path, "");
	else if (!is_positive(json_get(capacity, "storage")))
		validation_invalid(v, &storage, json_get(capacity, "storage"), "must be greater than zero");
	validation_one_of(v, &policy, json_get(spec, "persistentVolumeReclaimPolicy"), false, policies);
	validate_volume_source(v, spec, &path);
	if (is_present(json_get(spec, "local")) && !is_present(json_get(spec, "nodeAffinity")))
		validation_required(v, &local, "Local volume requires node affinity");
	if (text_of(spec, "storageClassName")[0])
		validation_string(v, &class, text_of(spec, "storageClassName"), check_dns_subdomain);
	if (v->change->old)
		validate_volume_update(v, spec, &path);
}

static bool claim_spec_differs(struct validation *v)
{
	struct json *now = json_clone(v->arena, spec_of(v));
	struct json *before = json_clone(v->arena, json_get(v->change->old, "spec"));

	if (!text_of(before, "volumeName")[0]) {
		json_remove(now, "volumeName");
		json_remove(before, "volumeName");
	}
	if (!is_present(json_get(before, "storageClassName"))) {
		json_remove(now, "storageClassName");
		json_remove(before, "storageClassName");
	}
	if (!strcmp(text_of(json_get(v->change->old, "status"), "phase"), "Bound")) {
		json_remove(json_get(now, "resources"), "requests");
		json_remove(json_get(before, "resources"), "requests");
		json_remove(now, "volumeAttributesClassName");
		json_remove(before, "volumeAttributesClassName");
	}
	return !json_equal(now, before);
}

void validate_persistent_volume_claim(struct validation *v)
{
	const struct json *spec = spec_of(v), *size = json_path(spec, "resources", "requests", "storage");
	struct rule_path path = FIELD(NULL, "spec"), resources = FIELD(&path, "resources"),
	                 storage = FIELD_KEY(&resources, "storage"), class = FIELD(&path, "storageClassName");

	if (!strcmp(v->change->subresource, "status"))
		return;
	validate_access_modes(v, spec, &path);
	if (!is_present(size))
		validation_required(v, &storage, "");
	else if (!is_positive(size))
		validation_invalid(v, &storage, size, "must be greater than zero");
	if (text_of(spec, "storageClassName")[0])
		validation_string(v, &class, text_of(spec, "storageClassName"), check_dns_subdomain);
	if (v->change->old && claim_spec_differs(v))
		validation_forbidden(v, &path,
		                     "spec is immutable after creation except resources.requests and "
		                     "volumeAttributesClassName for bound claims");
}

void validate_storage_class(struct validation *v)
{
	static const char *const policies[] = {"Delete", "Retain", NULL};
	static const char *const bindings[] = {"Immediate", "WaitForFirstConsumer", NULL};
	static const char *const fixed[] = {"parameters", "provisioner", "reclaimPolicy"};
	const struct json *object = v->change->object;
	struct rule_path provisioner = FIELD(NULL, "provisioner"), policy = FIELD(NULL, "reclaimPolicy"),
	                 binding = FIELD(NULL, "volumeBindingMode");

	if (!text_of(object, "provisioner")[0])
		validation_required(v, &provisioner, "");
	else
		validation_string(v, &provisioner, text_of(object, "provisioner"), check_qualified_name);
	validation_one_of(v, &policy, json_get(object, "reclaimPolicy"), false, policies);
	validation_one_of(v, &binding, json_get(object, "volumeBindingMode"), true, bindings);
	if (!v->change->old)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		const struct json *now = json_get(object, fixed[i]), *before = json_get(v->change->old, fixed[i]);
		struct rule_path member = FIELD(NULL, fixed[i]);

		if (is_present(now) != is_present(before) || (is_present(now) && !json_equal(now, before)))
			validation_forbidden(v, &member,
			                     arena_printf(v->arena, "updates to %s are forbidden.", fixed[i]));
	}
	validation_immutable(v, &binding, json_get(object, "volumeBindingMode"),
	                     json_get(v->change->old, "volumeBindingMode"));
}

// --- CSI ------------------------------------------------------------------------------------------------

void validate_csi_kind(struct validation *v)
{
	const struct json *spec = spec_of(v);
	struct rule_path path = FIELD(NULL, "spec"), drivers = FIELD(&path, "drivers");
	const struct json *list = json_get(spec, "drivers");
	uint32_t index = 0;

	json_for_each_item (driver, list) {
		struct rule_path item = FIELD_INDEX(&drivers, index++), name = FIELD(&item, "name"),
		                 node = FIELD(&item, "nodeID");

		if (!text_of(driver, "name")[0])
			validation_required(v, &name, "");
		if (!text_of(driver, "nodeID")[0])
			validation_required(v, &node, "");
		for (uint32_t before = 0; before + 1 < index; before++)
			if (!strcmp(text_of(list->items[before], "name"), text_of(driver, "name")))
				validation_duplicate(v, &name, json_get(driver, "name"));
	}
	// An attachment says once what is attached where.
	if (v->change->old && !strcmp(v->change->resource->plural, "volumeattachments") && !v->change->subresource[0])
		validation_immutable(v, &path, spec, json_get(v->change->old, "spec"));
}
