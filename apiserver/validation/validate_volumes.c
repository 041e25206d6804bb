// SPDX-License-Identifier: Apache-2.0
// Volumes of pods.

#include <string.h>

#include "apiserver/validation/resource_names.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"
#include "apiserver/validation/volume_drivers.h"

#define MODE_DETAIL "must be a number between 0 and 0777 (octal), both inclusive"
#define DOUBLED_DETAIL "conflicting duplicate paths"

enum {
	TOKEN_MIN_SECONDS = 600,
	TOKEN_MAX_PATHS = 4096,
};
#define TOKEN_MAX_SECONDS ((int64_t)1 << 32)

static void validate_mode(struct validation *v, const struct json *object, const char *member,
                          const struct rule_path *parent)
{
	const struct json *mode = json_get(object, member);
	struct rule_path path = FIELD(parent, member);

	if (json_is(mode, JSON_INTEGER) && (mode->integer < 0 || mode->integer > 0777))
		validation_invalid(v, &path, mode, MODE_DETAIL);
}

// --- files -----------------------------------------------------------------------------------------

static void validate_key_path(struct validation *v, const struct json *item, const struct rule_path *path)
{
	struct rule_path where = FIELD(path, "path");

	rule_required_text(v, item, "key", path, NULL);
	rule_required_text(v, item, "path", path, NULL);
	rule_unreserved_path(v, text_of(item, "path"), &where);
	validate_mode(v, item, "mode", path);
}

static void validate_key_paths(struct validation *v, const struct json *source, const struct rule_path *path)
{
	struct rule_path items = FIELD(path, "items");

	rule_for_each_item (item, entry, json_get(source, "items"), &items)
		validate_key_path(v, item, &entry);
}

static void validate_downward_file(struct validation *v, const struct json *file, const struct rule_path *path)
{
	const struct json *field = json_get(file, "fieldRef"), *resource = json_get(file, "resourceFieldRef");
	struct rule_path where = FIELD(path, "path"), field_path = FIELD(path, "fieldRef"),
	                 resource_path = FIELD(path, "resourceFieldRef");

	rule_required_text(v, file, "path", path, NULL);
	rule_unreserved_path(v, text_of(file, "path"), &where);
	if (is_present(field)) {
		validate_field_reference(v, field, true, &field_path);
		if (is_present(resource))
			validation_invalid_text(v, path, "resource",
			                        "fieldRef and resourceFieldRef can not be specified simultaneously");
	} else if (is_present(resource)) {
		validate_resource_reference(v, resource, true, &resource_path);
	} else {
		validation_required(v, path, "one of fieldRef and resourceFieldRef is required");
	}
	validate_mode(v, file, "mode", path);
}

static void pod_secret(struct validation *v, const struct json *source, const struct volume_context *context,
                       const struct rule_path *path)
{
	(void)context;
	validate_mode(v, source, "defaultMode", path);
	validate_key_paths(v, source, path);
}

static void pod_downward(struct validation *v, const struct json *source, const struct volume_context *context,
                         const struct rule_path *path)
{
	(void)context;
	validate_mode(v, source, "defaultMode", path);
	json_for_each_item (file, json_get(source, "items"))
		validate_downward_file(v, file, path);
}

// --- projections -----------------------------------------------------------------------------------

struct projection {
	const char *paths[TOKEN_MAX_PATHS];
	size_t count;
	const struct rule_path *path;
};

// True when another source has put a file there.
static bool path_is_taken(struct projection *projection, const char *path)
{
	for (size_t i = 0; i < projection->count; i++)
		if (!strcmp(projection->paths[i], path))
			return true;
	if (projection->count < TOKEN_MAX_PATHS)
		projection->paths[projection->count++] = path;
	return false;
}

static void project_keys(struct validation *v, struct projection *projection, const struct json *source,
                         const struct rule_path *path)
{
	rule_required_text(v, source, "name", path, NULL);
	validate_key_paths(v, source, path);
	json_for_each_item (item, json_get(source, "items"))
		if (text_of(item, "path")[0] && path_is_taken(projection, text_of(item, "path")))
			validation_invalid_text(v, projection->path, text_of(source, "name"), DOUBLED_DETAIL);
}

static void project_downward(struct validation *v, struct projection *projection, const struct json *source,
                             const struct rule_path *path)
{
	json_for_each_item (file, json_get(source, "items")) {
		validate_downward_file(v, file, path);
		if (text_of(file, "path")[0] && path_is_taken(projection, text_of(file, "path")))
			validation_invalid_text(v, projection->path, text_of(file, "path"), DOUBLED_DETAIL);
	}
}

static void project_token(struct validation *v, struct projection *projection, const struct json *source,
                          const struct rule_path *path)
{
	struct rule_path seconds = FIELD(path, "expirationSeconds"), where = FIELD(projection->path, "path");
	int64_t expiration = integer_of(source, "expirationSeconds", 0);

	if (expiration < TOKEN_MIN_SECONDS)
		validation_invalid_integer(v, &seconds, expiration, "may not specify a duration less than 10 minutes");
	if (expiration > TOKEN_MAX_SECONDS)
		validation_invalid_integer(v, &seconds, expiration,
		                           "may not specify a duration larger than 2^32 seconds");
	if (!text_of(source, "path")[0])
		validation_required(v, &where, "");
	else
		rule_unreserved_path(v, text_of(source, "path"), &where);
}

static const struct {
	const char *member;
	void (*validate)(struct validation *v, struct projection *projection, const struct json *source,
	                 const struct rule_path *path);
} projected[] = {{"secret", project_keys},
                 {"configMap", project_keys},
                 {"downwardAPI", project_downward},
                 {"serviceAccountToken", project_token}};

static void pod_projected(struct validation *v, const struct json *source, const struct volume_context *context,
                          const struct rule_path *path)
{
	struct projection *projection = ARENA_NEW(v->arena, struct projection);
	struct rule_path sources = FIELD(path, "sources");

	(void)context;
	projection->path = path;
	validate_mode(v, source, "defaultMode", path);
	rule_for_each_item (part, entry, json_get(source, "sources"), &sources) {
		size_t count = 0;

		for (size_t i = 0; i < ARRAY_SIZE(projected); i++) {
			struct rule_path own = FIELD(&entry, projected[i].member);

			if (!is_present(json_get(part, projected[i].member)))
				continue;
			projected[i].validate(v, projection, json_get(part, projected[i].member), &own);
			count++;
		}
		if (count > 1)
			validation_forbidden(v, &entry, "may not specify more than 1 volume type per source");
	}
}

// --- the other sources -----------------------------------------------------------------------------

static void pod_empty_dir(struct validation *v, const struct json *source, const struct volume_context *context,
                          const struct rule_path *path)
{
	struct rule_path limit = FIELD(path, "sizeLimit");
	struct quantity size;

	(void)context;
	if (read_quantity(json_get(source, "sizeLimit"), &size) && size.nano < 0)
		validation_forbidden(v, &limit, "SizeLimit field must be a valid resource quantity");
}

static void pod_git(struct validation *v, const struct json *source, const struct volume_context *context,
                    const struct rule_path *path)
{
	struct rule_path directory = FIELD(path, "directory");

	(void)context;
	rule_descending_path(v, text_of(source, "directory"), &directory);
}

static void pod_csi(struct validation *v, const struct json *source, const struct volume_context *context,
                    const struct rule_path *path)
{
	const struct json *secret = json_get(source, "nodePublishSecretRef");
	struct rule_path driver = FIELD(path, "driver"), own = FIELD(path, "nodePublishSecretRef"),
	                 name = FIELD(path, "name");

	(void)context;
	validate_csi_driver_name(v, text_of(source, "driver"), &driver);
	if (!is_present(secret))
		return;
	if (rule_required_text(v, secret, "name", &own, NULL))
		validation_string(v, &name, text_of(secret, "name"), check_dns_subdomain);
}

static void pod_ephemeral(struct validation *v, const struct json *source, const struct volume_context *context,
                          const struct rule_path *path)
{
	const struct json *template = json_get(source, "volumeClaimTemplate");
	struct rule_path own = FIELD(path, "volumeClaimTemplate"), spec = FIELD(&own, "spec"),
	                 volume = FIELD(path->parent, "name");
	const char *pod = text_of(context->metadata, "name"), *complaint, *claim;

	if (!is_present(template)) {
		validation_required(v, &own, "");
	} else {
		validate_template_metadata(v, json_get(template, "metadata"), &own);
		validate_claim_spec(v, json_get(template, "spec"), &spec);
	}
	if (context->is_template || !pod[0] || !context->volume_name[0])
		return;
	claim = arena_printf(v->arena, "%s-%s", pod, context->volume_name);
	for (size_t i = 0; (complaint = check_dns_subdomain(v->arena, claim, i)); i++)
		validation_invalid_text(v, &volume, context->volume_name,
		                        arena_printf(v->arena, "PVC name \"%s\": %s", claim, complaint));
}

static void pod_image(struct validation *v, const struct json *source, const struct volume_context *context,
                      const struct rule_path *path)
{
	static const char *const pulls[] = {"Always", "IfNotPresent", "Never", NULL};

	if (!context->is_template)
		rule_required_text(v, source, "reference", path, NULL);
	rule_one_of(v, source, "pullPolicy", path, true, pulls);
}

const struct volume_source pod_volume_sources[] = {
        {"emptyDir", NULL, {NULL}, pod_empty_dir},
        {"hostPath", NULL, {"path"}, volume_host_path},
        {"gitRepo", NULL, {"repository"}, pod_git},
        {"gcePersistentDisk", NULL, {"pdName"}, volume_partitioned},
        {"awsElasticBlockStore", NULL, {"volumeID"}, volume_partitioned},
        {"secret", NULL, {"secretName"}, pod_secret},
        {"nfs", NULL, {"server", "path"}, volume_nfs},
        {"iscsi", NULL, {"targetPortal", "iqn"}, volume_iscsi},
        {"glusterfs", NULL, {"endpoints", "path"}, NULL},
        {"flocker", NULL, {NULL}, volume_flocker},
        {"persistentVolumeClaim", NULL, {"claimName"}, NULL},
        {"rbd", NULL, {"image"}, volume_monitors},
        {"cinder", NULL, {"volumeID"}, volume_named_secret},
        {"cephfs", "cephFS", {NULL}, volume_monitors},
        {"quobyte", NULL, {NULL}, volume_quobyte},
        {"downwardAPI", "downwarAPI", {NULL}, pod_downward},
        {"fc", NULL, {NULL}, volume_fc},
        {"flexVolume", NULL, {"driver"}, volume_flex},
        {"configMap", NULL, {"name"}, pod_secret},
        {"azureFile", NULL, {"secretName", "shareName"}, NULL},
        {"vsphereVolume", NULL, {"volumePath"}, NULL},
        {"photonPersistentDisk", NULL, {"pdID"}, NULL},
        {"portworxVolume", NULL, {"volumeID"}, NULL},
        {"azureDisk", NULL, {"diskName", "diskURI"}, volume_azure_disk},
        {"storageos", NULL, {"volumeName"}, volume_named_secret},
        {"projected", NULL, {NULL}, pod_projected},
        {"scaleIO", NULL, {"gateway", "system", "volumeName"}, NULL},
        {"csi", NULL, {NULL}, pod_csi},
        {"ephemeral", NULL, {NULL}, pod_ephemeral},
        {"image", NULL, {NULL}, pod_image},
        {NULL, NULL, {NULL}, NULL},
};

// --- the list --------------------------------------------------------------------------------------

// The claim that an ephemeral volume of this pod will have.
static bool is_own_claim(struct validation *v, const struct json *volumes, const char *pod, const char *claim)
{
	json_for_each_item (volume, volumes)
		if (is_present(json_get(volume, "ephemeral")) &&
		    !strcmp(arena_printf(v->arena, "%s-%s", pod, text_of(volume, "name")), claim))
			return true;
	return false;
}

void validate_volumes(struct validation *v, const struct json *volumes, const struct json *metadata, bool is_template,
                      const struct rule_path *path)
{
	bool *faultless = ARENA_ARRAY(v->arena, bool, length_of(volumes) + 1);
	const char *pod = text_of(metadata, "name");

	rule_for_each_item (volume, entry, volumes, path) {
		struct volume_context context = {volume, metadata, text_of(volume, "name"), is_template};
		const char *claim = text_of(json_get(volume, "persistentVolumeClaim"), "claimName");
		struct rule_path name = FIELD(&entry, "name"), source = FIELD(&entry, "persistentVolumeClaim"),
		                 claim_path = FIELD(&source, "claimName");
		size_t errors = v->count;

		validate_volume_sources(v, pod_volume_sources, &context, &entry);
		rule_required_text(v, volume, "name", &entry, check_dns_label);
		for (uint32_t i = 0; i < entry.index; i++)
			if (faultless[i] && text_is(volumes->items[i], "name", text_of(volume, "name"))) {
				validation_duplicate(v, &name, json_get(volume, "name"));
				break;
			}
		// A faulty volume's name may be used again: one complaint for each is enough.
		faultless[entry.index] = v->count == errors;
		if (claim[0] && !is_template && is_own_claim(v, volumes, pod, claim))
			validation_invalid_text(v, &claim_path, claim,
			                        "must not reference a PVC that gets created for an ephemeral volume");
	}
}
