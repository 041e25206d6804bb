// SPDX-License-Identifier: Apache-2.0
// What a container mounts: volumes as directories and as devices.

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

static const struct json *find_volume(const struct pod_scope *scope, const char *name)
{
	json_for_each_item (volume, json_get(scope->spec, "volumes"))
		if (text_is(volume, "name", name))
			return volume;
	return NULL;
}

static bool any_has(const struct json *list, const char *member, const char *text)
{
	json_for_each_item (item, list)
		if (text[0] && text_is(item, member, text))
			return true;
	return false;
}

static void validate_propagation(struct validation *v, const struct json *mount, const struct json *container,
                                 const struct rule_path *parent)
{
	static const char *const modes[] = {"Bidirectional", "HostToContainer", "None", NULL};
	struct rule_path path = FIELD(parent, "mountPropagation");
	bool privileged = json_get_bool(json_get(container, "securityContext"), "privileged", false);

	rule_one_of(v, mount, "mountPropagation", parent, false, modes);
	if (text_is(mount, "mountPropagation", "Bidirectional") && !privileged)
		validation_forbidden(v, &path,
		                     "Bidirectional mount propagation is available only to privileged containers");
}

static void validate_recursive(struct validation *v, const struct json *mount, const struct rule_path *parent)
{
	static const char *const modes[] = {"Disabled", "Enabled", "IfPossible", NULL};
	const char *mode = text_of(mount, "recursiveReadOnly"), *propagation = text_of(mount, "mountPropagation");
	struct rule_path path = FIELD(parent, "recursiveReadOnly");

	rule_one_of(v, mount, "recursiveReadOnly", parent, false, modes);
	if (strcmp(mode, "Enabled") && strcmp(mode, "IfPossible"))
		return;
	if (!json_get_bool(mount, "readOnly", false))
		validation_forbidden(v, &path, "may only be specified when readOnly is true");
	if (propagation[0] && strcmp(propagation, "None"))
		validation_forbidden(v, &path, "may only be specified when mountPropagation is None or not specified");
}

static void validate_sub_paths(struct validation *v, const struct json *mount, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "subPath"), expression = FIELD(parent, "subPathExpr");

	if (text_of(mount, "subPath")[0])
		rule_descending_path(v, text_of(mount, "subPath"), &path);
	if (!text_of(mount, "subPathExpr")[0])
		return;
	if (text_of(mount, "subPath")[0])
		validation_invalid_text(v, &expression, text_of(mount, "subPathExpr"),
		                        "subPathExpr and subPath are mutually exclusive");
	rule_descending_path(v, text_of(mount, "subPathExpr"), &expression);
}

static void validate_mount(struct validation *v, const struct json *container, const struct pod_scope *scope,
                           uint32_t index, const struct rule_path *path)
{
	const struct json *mounts = json_get(container, "volumeMounts"), *mount = mounts->items[index];
	const struct json *devices = json_get(container, "volumeDevices");
	const char *where = text_of(mount, "mountPath"), *volume = text_of(mount, "name");
	struct rule_path name = FIELD(path, "name"), where_path = FIELD(path, "mountPath");

	if (rule_required_text(v, mount, "name", path, NULL) && !find_volume(scope, volume))
		validation_not_found(v, &name, volume);
	if (rule_required_text(v, mount, "mountPath", path, NULL) && text_repeats(mounts, index, "mountPath"))
		validation_invalid_text(v, &where_path, where, "must be unique");
	if (any_has(devices, "name", volume))
		validation_invalid_text(v, &name, volume, "must not already exist in volumeDevices");
	if (any_has(devices, "devicePath", where))
		validation_invalid_text(v, &where_path, where, "must not already exist as a path in volumeDevices");
	validate_sub_paths(v, mount, path);
	validate_propagation(v, mount, container, path);
	validate_recursive(v, mount, path);
}

static void validate_device(struct validation *v, const struct json *container, const struct pod_scope *scope,
                            uint32_t index, const struct rule_path *path)
{
	const struct json *devices = json_get(container, "volumeDevices"), *device = devices->items[index];
	const struct json *mounts = json_get(container, "volumeMounts");
	const char *where = text_of(device, "devicePath"), *name = text_of(device, "name");
	const struct json *volume = find_volume(scope, name);
	struct rule_path name_path = FIELD(path, "name"), where_path = FIELD(path, "devicePath");

	if (rule_required_text(v, device, "name", path, NULL) && text_repeats(devices, index, "name"))
		validation_invalid_text(v, &name_path, name, "must be unique");
	if (volume && !is_present(json_get(volume, "persistentVolumeClaim")) &&
	    !is_present(json_get(volume, "ephemeral")))
		validation_invalid_text(v, &name_path, name,
		                        "can only use volume source type of PersistentVolumeClaim or Ephemeral for "
		                        "block mode");
	if (!volume)
		validation_not_found(v, &name_path, name);
	if (rule_required_text(v, device, "devicePath", path, NULL) && text_repeats(devices, index, "devicePath"))
		validation_invalid_text(v, &where_path, where, "must be unique");
	if (has_dot_dot(where))
		validation_invalid_text(v, &where_path, where, "can not contain backsteps ('..')");
	if (any_has(mounts, "name", name))
		validation_invalid_text(v, &name_path, name, "must not already exist in volumeMounts");
	if (any_has(mounts, "mountPath", where))
		validation_invalid_text(v, &where_path, where, "must not already exist as a path in volumeMounts");
}

void validate_container_mounts(struct validation *v, const struct json *container, const struct pod_scope *scope,
                               const struct rule_path *path)
{
	struct rule_path mounts = FIELD(path, "volumeMounts"), devices = FIELD(path, "volumeDevices");

	for (uint32_t i = 0; i < length_of(json_get(container, "volumeMounts")); i++) {
		struct rule_path entry = FIELD_INDEX(&mounts, i);

		validate_mount(v, container, scope, i, &entry);
	}
	for (uint32_t i = 0; i < length_of(json_get(container, "volumeDevices")); i++) {
		struct rule_path entry = FIELD_INDEX(&devices, i);

		validate_device(v, container, scope, i, &entry);
	}
}
