// SPDX-License-Identifier: Apache-2.0
// Volumes of pods.

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

static void require(struct validation *v, const struct json *source, const char *member, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	if (!text_of(source, member)[0])
		validation_required(v, &path, "");
}

static void validate_mode(struct validation *v, const struct json *object, const char *member,
                          const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);
	const struct json *mode = json_get(object, member);

	if (json_is(mode, JSON_INTEGER) && (mode->integer < 0 || mode->integer > 0777))
		validation_invalid(v, &path, mode, "must be a number between 0 and 0777 (octal), both inclusive");
}

static void validate_items(struct validation *v, const struct json *source, const struct rule_path *parent, bool keyed)
{
	struct rule_path items = FIELD(parent, "items");
	uint32_t index = 0;

	json_for_each_item (item, json_get(source, "items")) {
		struct rule_path entry = FIELD_INDEX(&items, index++), path = FIELD(&entry, "path");
		const char *text = text_of(item, "path");

		if (keyed)
			require(v, item, "key", &entry);
		require(v, item, "path", &entry);
		if (text[0] == '/')
			validation_invalid_text(v, &path, text, "must be a relative path");
		if (!strncmp(text, "..", 2) || has_dot_dot(text))
			validation_invalid_text(v, &path, text, "must not contain '..'");
		validate_mode(v, item, "mode", &entry);
	}
}

static void validate_secret_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	require(v, source, "secretName", path);
	validate_mode(v, source, "defaultMode", path);
	validate_items(v, source, path, true);
}

static void validate_config_map_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	require(v, source, "name", path);
	validate_mode(v, source, "defaultMode", path);
	validate_items(v, source, path, true);
}

static void validate_downward_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	validate_mode(v, source, "defaultMode", path);
	validate_items(v, source, path, false);
}

static void validate_host_path(struct validation *v, const struct json *source, const struct rule_path *path)
{
	static const char *const types[] = {
	        "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice", NULL};
	struct rule_path where = FIELD(path, "path"), type = FIELD(path, "type");

	require(v, source, "path", path);
	if (has_dot_dot(text_of(source, "path")))
		validation_invalid_text(v, &where, text_of(source, "path"), "must not contain '..'");
	validation_one_of(v, &type, json_get(source, "type"), false, types);
}

static void validate_claim_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	require(v, source, "claimName", path);
}

static void validate_projected(struct validation *v, const struct json *source, const struct rule_path *path)
{
	static const char *const members[] = {"secret", "configMap", "downwardAPI", "serviceAccountToken",
	                                      "clusterTrustBundle"};
	struct rule_path sources = FIELD(path, "sources");
	uint32_t index = 0;

	validate_mode(v, source, "defaultMode", path);
	json_for_each_item (entry, json_get(source, "sources")) {
		struct rule_path item = FIELD_INDEX(&sources, index++);
		size_t count = 0;

		for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
			struct rule_path member = FIELD(&item, members[i]);

			if (is_present(json_get(entry, members[i])) && ++count > 1)
				validation_forbidden(v, &member, "may not specify more than 1 volume type");
		}
		if (!count)
			validation_required(v, &item, "must specify a volume type");
		if (is_present(json_get(entry, "serviceAccountToken"))) {
			struct rule_path token = FIELD(&item, "serviceAccountToken");

			require(v, json_get(entry, "serviceAccountToken"), "path", &token);
		}
	}
}

static void validate_nothing(struct validation *v, const struct json *source, const struct rule_path *path)
{
	(void)v;
	(void)source;
	(void)path;
}

static void validate_csi_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	require(v, source, "driver", path);
}

static void validate_nfs_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	require(v, source, "server", path);
	require(v, source, "path", path);
}

static void validate_ephemeral_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	struct rule_path template = FIELD(path, "volumeClaimTemplate");

	if (!is_present(json_get(source, "volumeClaimTemplate")))
		validation_required(v, &template, "");
}

static const struct {
	const char *member;
	void (*validate)(struct validation *v, const struct json *source, const struct rule_path *path);
} sources[] = {
        {"awsElasticBlockStore", validate_nothing},
        {"azureDisk", validate_nothing},
        {"azureFile", validate_nothing},
        {"cephfs", validate_nothing},
        {"cinder", validate_nothing},
        {"configMap", validate_config_map_source},
        {"csi", validate_csi_source},
        {"downwardAPI", validate_downward_source},
        {"emptyDir", validate_nothing},
        {"ephemeral", validate_ephemeral_source},
        {"fc", validate_nothing},
        {"flexVolume", validate_nothing},
        {"flocker", validate_nothing},
        {"gcePersistentDisk", validate_nothing},
        {"gitRepo", validate_nothing},
        {"glusterfs", validate_nothing},
        {"hostPath", validate_host_path},
        {"image", validate_nothing},
        {"iscsi", validate_nothing},
        {"nfs", validate_nfs_source},
        {"persistentVolumeClaim", validate_claim_source},
        {"photonPersistentDisk", validate_nothing},
        {"portworxVolume", validate_nothing},
        {"projected", validate_projected},
        {"quobyte", validate_nothing},
        {"rbd", validate_nothing},
        {"scaleIO", validate_nothing},
        {"secret", validate_secret_source},
        {"storageos", validate_nothing},
        {"vsphereVolume", validate_nothing},
};

static void validate_source(struct validation *v, const struct json *volume, const struct rule_path *path)
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		const struct json *source = json_get(volume, sources[i].member);
		struct rule_path own = FIELD(path, sources[i].member);

		if (!is_present(source))
			continue;
		if (++count > 1)
			validation_forbidden(v, &own, "may not specify more than 1 volume type");
		else
			sources[i].validate(v, source, &own);
	}
	if (!count)
		validation_required(v, path, "must specify a volume type");
}

void validate_volumes(struct validation *v, const struct json *volumes, const struct rule_path *path)
{
	bool *faultless = ARENA_ARRAY(v->arena, bool, length_of(volumes) + 1);
	uint32_t index = 0;

	json_for_each_item (volume, volumes) {
		struct rule_path item = FIELD_INDEX(path, index++), name = FIELD(&item, "name");
		size_t errors = v->count;

		validate_source(v, volume, &item);
		if (!text_of(volume, "name")[0])
			validation_required(v, &name, "");
		else
			validation_string(v, &name, text_of(volume, "name"), check_dns_label);
		for (uint32_t before = 0; before + 1 < index; before++)
			if (faultless[before] && text_of(volume, "name")[0] &&
			    !strcmp(text_of(volumes->items[before], "name"), text_of(volume, "name"))) {
				validation_duplicate(v, &name, json_get(volume, "name"));
				break;
			}
		// A faulty volume's name may be used again: one complaint for each is enough.
		faultless[index - 1] = v->count == errors;
	}
}
