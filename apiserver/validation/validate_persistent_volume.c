// SPDX-License-Identifier: Apache-2.0
// PersistentVolumes and claims.

#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/validation/resource_names.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "apiserver/validation/volume_sources.h"

#define BETA_CLASS "volume.beta.kubernetes.io/storage-class"
#define INLINE_DETAIL "may not be specified in the context of inline volumes"

static const char *const volume_modes[] = {"Block", "Filesystem", NULL};

static const struct json *spec_of(const struct json *object)
{
	return json_get(object, "spec");
}

static bool is_status(const struct validation *v)
{
	return !strcmp(v->change->subresource, "status");
}

static void validate_access_modes(struct validation *v, const struct json *spec, const char *none_detail,
                                  const struct rule_path *parent)
{
	static const char *const modes[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL};
	const struct json *list = json_get(spec, "accessModes");
	struct rule_path path = FIELD(parent, "accessModes");
	bool once_pod = false, other = false;

	if (!length_of(list))
		validation_required(v, &path, none_detail);
	json_for_each_item (mode, list) {
		const char *text = json_text(mode) ? json_text(mode) : "";

		if (!is_one_of(text, modes))
			validation_not_supported(v, &path, text, modes);
		else if (!strcmp(text, "ReadWriteOncePod"))
			once_pod = true;
		else
			other = true;
	}
	if (once_pod && other)
		validation_forbidden(v, &path, "may not use ReadWriteOncePod with other access modes");
}

// --- volumes ---------------------------------------------------------------------------------------

static void validate_capacity(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const storage[] = {"storage", NULL};
	const struct json *capacity = json_get(spec, "capacity");
	struct rule_path path = FIELD(parent, "capacity");

	if (!length_of(capacity))
		validation_required(v, &path, "");
	if (!json_get(capacity, "storage") || length_of(capacity) > 1)
		validation_not_supported_value(v, &path, capacity, storage);
	json_for_each_member (amount, capacity) {
		struct rule_path entry = FIELD_KEY(&path, amount->key);

		validate_positive_quantity(v, amount->value, &entry);
	}
}

static void validate_reclaim(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const policies[] = {"Delete", "Recycle", "Retain", NULL};
	const char *path = text_of(json_get(spec, "hostPath"), "path");
	struct rule_path own = FIELD(parent, "persistentVolumeReclaimPolicy");

	rule_one_of(v, spec, own.name, parent, false, policies);
	if (path[0] && !path[strspn(path, "/.")] && text_is(spec, own.name, "Recycle") && !has_dot_dot(path))
		validation_forbidden(v, &own, "may not be 'recycle' for a hostPath mount of '/'");
}

static void validate_volume_affinity(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *affinity = json_get(spec, "nodeAffinity"), *required = json_get(affinity, "required");
	struct rule_path path = FIELD(parent, "nodeAffinity"), required_path = FIELD(&path, "required");

	if (is_present(required))
		validate_node_selector(v, required, true, &required_path);
	else if (is_present(affinity))
		validation_required(v, &required_path, "must specify required node constraints");
	else if (is_present(json_get(spec, "local")))
		validation_required(v, &path, "Local volume requires node affinity");
}

void validate_inline_volume(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const struct {
		const char *member, *only;
	} restricted[] = {{"claimRef", NULL}, {"capacity", NULL}, {"nodeAffinity", NULL}, {"storageClassName", NULL}};
	struct volume_context context = {.holder = spec};
	struct rule_path reclaim = FIELD(path, "persistentVolumeReclaimPolicy"), mode = FIELD(path, "volumeMode");

	for (size_t i = 0; i < ARRAY_SIZE(restricted); i++)
		if (!is_unset(json_get(spec, restricted[i].member)))
			rule_forbidden(v, spec, restricted[i].member, path, INLINE_DETAIL);
	rule_required(v, spec, "csi", path, "has to be specified in the context of inline volumes");
	validate_access_modes(v, spec, "", path);
	if (text_of(spec, reclaim.name)[0] && !text_is(spec, reclaim.name, "Retain"))
		validation_forbidden(v, &reclaim, "may only be Retain in the context of inline volumes");
	validate_volume_sources(v, persistent_volume_sources, &context, path);
	if (text_of(spec, "volumeMode")[0] && !text_is(spec, "volumeMode", "Filesystem"))
		validation_forbidden(
		        v, &mode, "may not specify volumeMode other than Filesystem in the context of inline volumes");
}

static struct json *sources_of(struct arena *arena, const struct json *spec)
{
	struct json *sources = json_object(arena);

	for (const struct volume_source *row = persistent_volume_sources; row->member; row++)
		if (is_present(json_get(spec, row->member)))
			json_set(arena, sources, row->member, json_clone(arena, json_get(spec, row->member)));
	return sources;
}

static void validate_volume_update(struct validation *v, const struct json *spec)
{
	const struct json *old = spec_of(v->change->old);
	struct json *now = sources_of(v->arena, spec), *before = sources_of(v->arena, old);
	struct rule_path path = FIELD(NULL, "spec"), source = FIELD(&path, "persistentvolumesource"),
	                 affinity = FIELD(NULL, "nodeAffinity");

	if (is_present(json_get(before, "csi")) && !json_path(before, "csi", "controllerExpandSecretRef") &&
	    is_present(json_get(now, "csi")))
		json_remove(json_get(now, "csi"), "controllerExpandSecretRef");
	if (!json_equal(now, before))
		validation_forbidden(v, &source,
		                     arena_printf(v->arena, "spec.persistentvolumesource is immutable after creation%s",
		                                  rule_diff_text(v->arena, before, now, "spec")));
	rule_immutable(v, spec, old, "volumeMode", NULL);
	if (is_present(json_get(old, "nodeAffinity")) &&
	    !rule_equal(json_get(spec, "nodeAffinity"), json_get(old, "nodeAffinity")))
		validation_invalid(v, &affinity, json_get(spec, "nodeAffinity"),
		                   IMMUTABLE_DETAIL ", except for updating from beta label to GA");
	if (!rule_equal(json_get(spec, "volumeAttributesClassName"), json_get(old, "volumeAttributesClassName"))) {
		struct rule_path class = FIELD(&path, "volumeAttributesClassName");

		validation_forbidden(v, &class,
		                     "update is forbidden when the VolumeAttributesClass feature gate is disabled");
	}
}

void validate_persistent_volume(struct validation *v)
{
	const struct json *spec = spec_of(v->change->object);
	struct volume_context context = {.holder = spec, .metadata = json_get(v->change->object, "metadata")};
	struct rule_path path = FIELD(NULL, "spec");

	if (is_status(v))
		return;
	validate_access_modes(v, spec, "", &path);
	validate_capacity(v, spec, &path);
	validate_volume_sources(v, persistent_volume_sources, &context, &path);
	validate_volume_affinity(v, spec, &path);
	validate_reclaim(v, spec, &path);
	rule_text(v, spec, "storageClassName", &path, check_dns_subdomain);
	rule_one_of(v, spec, "volumeMode", &path, false, volume_modes);
	if (v->change->old)
		validate_volume_update(v, spec);
}

// --- claims ----------------------------------------------------------------------------------------

static void validate_data_source(struct validation *v, const struct json *spec, const char *member,
                                 const struct rule_path *parent)
{
	const struct json *source = json_get(spec, member);
	struct rule_path path = FIELD(parent, member);

	if (!is_present(source))
		return;
	rule_required_text(v, source, "name", &path, NULL);
	rule_required_text(v, source, "kind", &path, NULL);
	if (!text_of(source, "apiGroup")[0] && !text_is(source, "kind", "PersistentVolumeClaim"))
		validation_invalid_text(v, &path, text_of(source, "kind"),
		                        "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
	rule_text(v, source, "apiGroup", &path, check_dns_subdomain);
	rule_text(v, source, "namespace", &path, check_dns_label);
}

static void compare_data_sources(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const members[] = {"apiGroup", "kind", "name"};
	const struct json *source = json_get(spec, "dataSource"), *reference = json_get(spec, "dataSourceRef");
	struct rule_path shown = FIELD(path, "dataSource");
	const char *value = rule_path_text(v->arena, &shown);

	if (!is_present(source) || !is_present(reference))
		return;
	if (text_of(reference, "namespace")[0]) {
		validation_invalid_rendered(v, path, value,
		                            "may not be specified when dataSourceRef.namespace is specified");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (!text_is(source, members[i], text_of(reference, members[i]))) {
			validation_invalid_rendered(v, path, value, "must match dataSourceRef");
			return;
		}
}

void validate_claim_spec(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *size = json_path(spec, "resources", "requests", "storage");
	struct rule_path resources = FIELD(path, "resources"), storage = FIELD_KEY(&resources, "storage"),
	                 selector = FIELD(path, "selector");

	validate_access_modes(v, spec, "at least 1 access mode is required", path);
	validate_label_selector(v, json_get(spec, "selector"), &selector);
	if (!is_present(size))
		validation_required(v, &storage, "");
	else
		validate_positive_quantity(v, size, &storage);
	rule_text(v, spec, "storageClassName", path, check_dns_subdomain);
	rule_one_of(v, spec, "volumeMode", path, false, volume_modes);
	validate_data_source(v, spec, "dataSource", path);
	validate_data_source(v, spec, "dataSourceRef", path);
	compare_data_sources(v, spec, path);
}

static void put_back(struct arena *arena, struct json *object, const struct json *old, const char *member)
{
	struct json *value = json_get(old, member);

	if (value)
		json_set(arena, object, member, value);
	else
		json_remove(object, member);
}

// The class once stood in an annotation; moving it to the field is no change.
static bool class_moves_to_field(const struct change *change, const struct json *spec, const struct json *old)
{
	const char *before = metadata_annotation(change->old, BETA_CLASS),
	           *now = metadata_annotation(change->object, BETA_CLASS);
	const char *class = json_get_text(spec, "storageClassName");

	return before && class && !is_present(json_get(old, "storageClassName")) && !strcmp(before, class) &&
	       (!now || !strcmp(now, before));
}

static void neutralize_class(struct validation *v, struct json *spec, const struct json *old)
{
	const char *before = metadata_annotation(v->change->old, BETA_CLASS),
	           *now = metadata_annotation(v->change->object, BETA_CLASS);
	struct rule_path metadata = FIELD(NULL, "metadata"), annotations = FIELD(&metadata, "annotations"),
	                 path = FIELD(&annotations, BETA_CLASS);

	if (class_moves_to_field(v->change, spec, old)) {
		put_back(v->arena, spec, old, "storageClassName");
		return;
	}
	if (strcmp(now ? now : "", before ? before : ""))
		validation_invalid_text(v, &path, now ? now : "", IMMUTABLE_DETAIL);
	if (!before && !is_present(json_get(old, "storageClassName")) && is_present(json_get(spec, "storageClassName")))
		put_back(v->arena, spec, old, "storageClassName");
}

static void validate_claim_size(struct validation *v, const struct rule_path *path)
{
	const struct json *now = json_path(v->change->object, "spec", "resources", "requests", "storage");
	const struct json *old = json_path(v->change->old, "spec", "resources", "requests", "storage");
	struct rule_path resources = FIELD(path, "resources"), requests = FIELD(&resources, "requests"),
	                 storage = FIELD(&requests, "storage");
	struct quantity size, before, held = {0};

	if (!read_quantity(now, &size) || !read_quantity(old, &before) || quantity_compare(&size, &before) >= 0)
		return;
	(void)read_quantity(json_path(v->change->old, "status", "capacity", "storage"), &held);
	if (quantity_compare(&size, &held) <= 0)
		validation_forbidden(v, &storage, "field can not be less than status.capacity");
}

static void validate_claim_update(struct validation *v, const struct rule_path *path)
{
	const struct json *old = spec_of(v->change->old);
	struct json *spec = json_clone(v->arena, spec_of(v->change->object)), *before = json_clone(v->arena, old);
	struct json *requests = json_path(spec, "resources", "requests");

	if (!text_of(old, "volumeName")[0])
		put_back(v->arena, before, spec, "volumeName");
	neutralize_class(v, spec, old);
	if (text_is(json_get(v->change->object, "status"), "phase", "Bound")) {
		if (requests)
			put_back(v->arena, requests, json_path(before, "resources", "requests"), "storage");
		if (is_present(json_get(spec, "volumeAttributesClassName")))
			put_back(v->arena, spec, before, "volumeAttributesClassName");
	}
	if (!json_equal(spec, before))
		validation_forbidden(v, path,
		                     arena_printf(v->arena,
		                                  "spec is immutable after creation except resources.requests and "
		                                  "volumeAttributesClassName for bound claims%s",
		                                  rule_diff_text(v->arena, before, spec, "spec")));
	validate_claim_size(v, path);
	rule_immutable(v, spec_of(v->change->object), old, "volumeMode", NULL);
	if (!rule_equal(json_get(spec_of(v->change->object), "volumeAttributesClassName"),
	                json_get(old, "volumeAttributesClassName"))) {
		struct rule_path class = FIELD(path, "volumeAttributesClassName");

		validation_forbidden(v, &class,
		                     "update is forbidden when the VolumeAttributesClass feature gate is disabled");
	}
}

static void validate_status_amounts(struct validation *v, const struct json *status, const char *member,
                                    bool only_storage, const struct rule_path *parent)
{
	static const char *const storage[] = {"storage", NULL};
	struct rule_path path = FIELD(parent, member);

	json_for_each_member (amount, json_get(status, member)) {
		struct rule_path entry = FIELD_KEY(&path, amount->key);
		struct quantity quantity;

		if (only_storage && resource_is_native(amount->key) && strcmp(amount->key, "storage"))
			validation_not_supported(v, &path, amount->key, storage);
		else if (read_quantity(amount->value, &quantity) && quantity.nano < 0)
			validation_invalid_integer(v, &entry, quantity_value(&quantity),
			                           "must be a valid resource quantity");
	}
}

static void validate_claim_status(struct validation *v)
{
	static const char *const steps[] = {"ControllerResizeInProgress", "ControllerResizeInfeasible",
	                                    "NodeResizeInProgress",       "NodeResizeInfeasible",
	                                    "NodeResizePending",          NULL};
	const struct json *status = json_get(v->change->object, "status");
	struct rule_path path = FIELD(NULL, "status"), resizes = FIELD(&path, "allocatedResourceStatus");

	validate_status_amounts(v, status, "capacity", false, &path);
	json_for_each_member (step, json_get(status, "allocatedResourceStatuses"))
		if (!json_text(step->value) || !is_one_of(json_text(step->value), steps))
			validation_not_supported(v, &resizes, step->key, steps);
	validate_status_amounts(v, status, "allocatedResources", true, &path);
}

void validate_persistent_volume_claim(struct validation *v)
{
	struct rule_path path = FIELD(NULL, "spec");

	if (is_status(v)) {
		validate_claim_status(v);
		return;
	}
	validate_claim_spec(v, spec_of(v->change->object), &path);
	if (v->change->old)
		validate_claim_update(v, &path);
}
