// SPDX-License-Identifier: Apache-2.0
// The drivers that pods and PersistentVolumes have in common, and the rows of
// PersistentVolumes. A row's required members are texts; what else a driver wants
// is its function.

#include "apiserver/validation/volume_sources.h"

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/volume_drivers.h"

static void validate_members(struct validation *v, const struct json *source, const struct volume_source *row,
                             const struct volume_context *context, const struct rule_path *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(row->required) && row->required[i]; i++)
		rule_required_text(v, source, row->required[i], path, NULL);
	if (row->validate)
		row->validate(v, source, context, path);
}

void validate_volume_sources(struct validation *v, const struct volume_source *rows,
                             const struct volume_context *context, const struct rule_path *path)
{
	size_t count = 0;

	for (; rows->member; rows++) {
		const struct json *source = json_get(context->holder, rows->member);
		struct rule_path own = FIELD(path, rows->member);
		struct rule_path clash = FIELD(path, rows->clash ? rows->clash : rows->member);

		if (!is_present(source))
			continue;
		if (++count > 1)
			validation_forbidden(v, &clash, "may not specify more than 1 volume type");
		else
			validate_members(v, source, rows, context, &own);
	}
	if (!count)
		validation_required(v, path, "must specify a volume type");
}

// --- drivers -----------------------------------------------------------------------------------------

void volume_partitioned(struct validation *v, const struct json *source, const struct volume_context *context,
                        const struct rule_path *path)
{
	int64_t partition = integer_of(source, "partition", 0);
	struct rule_path own = FIELD(path, "partition");

	(void)context;
	if (partition < 0 || partition > 255)
		validation_invalid_integer(v, &own, partition, "must be between 1 and 255, inclusive");
}

void volume_nfs(struct validation *v, const struct json *source, const struct volume_context *context,
                const struct rule_path *path)
{
	struct rule_path where = FIELD(path, "path");

	(void)context;
	if (text_of(source, "path")[0] != '/')
		validation_invalid_text(v, &where, text_of(source, "path"), "must be an absolute path");
}

void volume_host_path(struct validation *v, const struct json *source, const struct volume_context *context,
                      const struct rule_path *path)
{
	static const char *const types[] = {"",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
	                                    "File", "FileOrCreate", "Socket",     NULL};
	struct rule_path where = FIELD(path, "path");

	(void)context;
	if (text_of(source, "path")[0])
		rule_no_backsteps(v, text_of(source, "path"), &where);
	rule_one_of(v, source, "type", path, false, types);
}

static bool is_hex(const char *text, size_t length)
{
	return strspn(text, "0123456789abcdefABCDEF") == strlen(text) && strlen(text) == length;
}

// iqn.2001-04.com.example:name, eui.02004567A425678D, naa.…
static bool is_iscsi_name(const char *name)
{
	if (!strncmp(name, "eui.", 4))
		return is_hex(name + 4, 16);
	if (!strncmp(name, "naa.", 4))
		return is_hex(name + 4, 16) || is_hex(name + 4, 32);
	if (strncmp(name, "iqn.", 4) || strspn(name + 4, "0123456789") != 4 || name[8] != '-' ||
	    strspn(name + 9, "0123456789") != 2 || name[11] != '.')
		return false;
	return name[12] && !strpbrk(name + 12, " \t\n");
}

static void validate_iscsi_name(struct validation *v, const char *name, const char *detail,
                                const struct rule_path *path)
{
	bool known = !strncmp(name, "iqn", 3) || !strncmp(name, "eui", 3) || !strncmp(name, "naa", 3);

	if (!known)
		validation_invalid_text(v, path, name, detail);
	else if (!is_iscsi_name(name))
		validation_invalid_text(v, path, name, "must be valid format");
}

static void validate_iscsi(struct validation *v, const struct json *source, const char *detail,
                           const struct rule_path *path)
{
	struct rule_path iqn = FIELD(path, "iqn"), secret = FIELD(path, "secretRef"),
	                 initiator = FIELD(path, "initiatorname");

	if (text_of(source, "iqn")[0])
		validate_iscsi_name(v, text_of(source, "iqn"), detail, &iqn);
	rule_range(v, source, "lun", path, 0, 255);
	if ((json_get_bool(source, "chapAuthDiscovery", false) || json_get_bool(source, "chapAuthSession", false)) &&
	    !is_present(json_get(source, "secretRef")))
		validation_required(v, &secret, "");
	if (json_text(json_get(source, "initiatorName")))
		validate_iscsi_name(v, text_of(source, "initiatorName"), detail, &initiator);
}

void volume_iscsi(struct validation *v, const struct json *source, const struct volume_context *context,
                  const struct rule_path *path)
{
	struct rule_path volume = FIELD(path->parent, "name");

	validate_iscsi(v, source, "must be valid format starting with iqn, eui, or naa", path);
	if (json_text(json_get(source, "initiatorName")) && context->volume_name &&
	    strlen(context->volume_name) + 1 + strlen(text_of(source, "targetPortal")) > 64)
		validation_invalid_text(v, &volume, context->volume_name,
		                        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 "
		                        "characters if iscsi.initiatorName is specified.");
}

static void persistent_iscsi(struct validation *v, const struct json *source, const struct volume_context *context,
                             const struct rule_path *path)
{
	struct rule_path portal = FIELD(path, "targetportal"), secret = FIELD(path, "secretRef");
	const char *name = text_of(context->metadata, "name");

	if (json_text(json_get(source, "initiatorName")) &&
	    strlen(name) + 1 + strlen(text_of(source, "targetPortal")) > 64)
		validation_invalid_text(v, &portal, text_of(source, "targetPortal"),
		                        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 "
		                        "characters if iscsi.initiatorName is specified.");
	validate_iscsi(v, source, "must be valid format", path);
	if (is_present(json_get(source, "secretRef")))
		rule_required_text(v, json_get(source, "secretRef"), "name", &secret, NULL);
}

void volume_flocker(struct validation *v, const struct json *source, const struct volume_context *context,
                    const struct rule_path *path)
{
	const char *name = text_of(source, "datasetName");
	struct rule_path name_path = FIELD(path, "datasetName");

	(void)context;
	if (!name[0] && !text_of(source, "datasetUUID")[0])
		validation_required(v, path, "one of datasetName and datasetUUID is required");
	if (name[0] && text_of(source, "datasetUUID")[0])
		validation_invalid_text(v, path, "resource",
		                        "datasetName and datasetUUID can not be specified simultaneously");
	if (strchr(name, '/'))
		validation_invalid_text(v, &name_path, name, "must not contain '/'");
}

void volume_fc(struct validation *v, const struct json *source, const struct volume_context *context,
               const struct rule_path *path)
{
	const struct json *names = json_get(source, "targetWWNs"), *ids = json_get(source, "wwids");
	struct rule_path names_path = FIELD(path, "targetWWNs"), lun = FIELD(path, "lun");

	(void)context;
	if (!length_of(names) && !length_of(ids))
		validation_required(v, &names_path, "must specify either targetWWNs or wwids, but not both");
	if (length_of(names) && length_of(ids))
		validation_invalid(v, &names_path, names, "targetWWNs and wwids can not be specified simultaneously");
	if (length_of(names) && !is_present(json_get(source, "lun")))
		validation_required(v, &lun, "lun is required if targetWWNs is specified");
	else if (length_of(names))
		rule_range(v, source, "lun", path, 0, 255);
}

void volume_monitors(struct validation *v, const struct json *source, const struct volume_context *context,
                     const struct rule_path *path)
{
	struct rule_path monitors = FIELD(path, "monitors");

	(void)context;
	if (!length_of(json_get(source, "monitors")))
		validation_required(v, &monitors, "");
}

void volume_quobyte(struct validation *v, const struct json *source, const struct volume_context *context,
                    const struct rule_path *path)
{
	static const char *const detail = "must be a host:port pair or multiple pairs separated by commas";
	struct rule_path registry = FIELD(path, "registry"), tenant = FIELD(path, "tenant");
	const char *text = text_of(source, "registry");

	(void)context;
	if (!text[0])
		validation_required(v, &registry, detail);
	else if (strlen(text_of(source, "tenant")) >= 65)
		validation_required(v, &tenant, "must be a UUID and may not exceed a length of 64 characters");
	else
		for (const char *pair = text; pair; pair = strchr(pair, ',') ? strchr(pair, ',') + 1 : NULL) {
			const char *colon = memchr(pair, ':', strcspn(pair, ","));

			if (!colon)
				validation_invalid_text(v, &registry, text, detail);
		}
	rule_required_text(v, source, "volume", path, NULL);
}

static bool ends_with(const char *text, const char *tail)
{
	size_t length = strlen(text), tail_length = strlen(tail);

	return length >= tail_length && !strcmp(text + length - tail_length, tail);
}

void volume_flex(struct validation *v, const struct json *source, const struct volume_context *context,
                 const struct rule_path *path)
{
	struct rule_path options = FIELD(path, "options");

	(void)context;
	json_for_each_member (option, json_get(source, "options")) {
		struct rule_path entry = FIELD_KEY(&options, option->key);
		const char *domain = arena_strndup(v->arena, option->key, strcspn(option->key, "/"));

		if (ends_with(arena_printf(v->arena, ".%s", domain), ".kubernetes.io") ||
		    ends_with(arena_printf(v->arena, ".%s", domain), ".k8s.io"))
			validation_invalid_text(v, &entry, option->key,
			                        "kubernetes.io and k8s.io namespaces are reserved");
	}
}

void volume_azure_disk(struct validation *v, const struct json *source, const struct volume_context *context,
                       const struct rule_path *path)
{
	static const char *const caching[] = {"None", "ReadOnly", "ReadWrite", NULL};
	static const char *const kinds[] = {"Dedicated", "Managed", "Shared", NULL};
	static const char *const managed[] = {"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/"
	                                      "microsoft.compute/disks/{disk-id}",
	                                      NULL};
	static const char *const blob[] = {
	        "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd", NULL};
	const char *uri = text_of(source, "diskURI"), *kind = text_of(source, "kind");
	struct rule_path uri_path = FIELD(path, "diskURI");

	(void)context;
	rule_one_of(v, source, "cachingMode", path, false, caching);
	rule_one_of(v, source, "kind", path, false, kinds);
	if (!strcmp(kind, "Managed") && strncmp(uri, "/subscriptions/", 15))
		validation_not_supported(v, &uri_path, uri, managed);
	if (kind[0] && strcmp(kind, "Managed") && strncmp(uri, "https://", 8))
		validation_not_supported(v, &uri_path, uri, blob);
}

static void validate_secret(struct validation *v, const struct json *source, bool with_namespace,
                            const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "secretRef");

	if (!is_present(json_get(source, "secretRef")))
		return;
	rule_required_text(v, json_get(source, "secretRef"), "name", &path, NULL);
	if (with_namespace)
		rule_required_text(v, json_get(source, "secretRef"), "namespace", &path, NULL);
}

void volume_named_secret(struct validation *v, const struct json *source, const struct volume_context *context,
                         const struct rule_path *path)
{
	(void)context;
	validate_secret(v, source, false, path);
}

void validate_csi_driver_name(struct validation *v, const char *name, const struct rule_path *path)
{
	char *lower = arena_strdup(v->arena, name);
	const char *complaint;

	if (!name[0])
		validation_required(v, path, "");
	if (strlen(name) > 63)
		validation_too_long(v, path, 63);
	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	for (size_t i = 0; (complaint = check_dns_subdomain(v->arena, lower, i)); i++)
		validation_invalid_text(v, path, name, complaint);
}

// --- PersistentVolumes -------------------------------------------------------------------------------

static void persistent_secret(struct validation *v, const struct json *source, const struct volume_context *context,
                              const struct rule_path *path)
{
	(void)context;
	validate_secret(v, source, true, path);
}

static void persistent_rbd(struct validation *v, const struct json *source, const struct volume_context *context,
                           const struct rule_path *path)
{
	volume_monitors(v, source, context, path);
}

static void persistent_gluster(struct validation *v, const struct json *source, const struct volume_context *context,
                               const struct rule_path *path)
{
	const struct json *namespace_name = json_get(source, "endpointsNamespace");
	struct rule_path own = FIELD(path, "endpointsNamespace");

	(void)context;
	if (!json_text(namespace_name))
		return;
	if (!namespace_name->length)
		validation_invalid(v, &own, namespace_name,
		                   "if the endpointnamespace is set, it must be a valid namespace name");
	else
		validation_string(v, &own, json_text(namespace_name), check_dns_label);
}

static void persistent_azure_file(struct validation *v, const struct json *source, const struct volume_context *context,
                                  const struct rule_path *path)
{
	struct rule_path own = FIELD(path, "secretNamespace");

	(void)context;
	if (json_text(json_get(source, "secretNamespace")) && !text_of(source, "secretNamespace")[0])
		validation_required(v, &own, "");
}

static void persistent_csi(struct validation *v, const struct json *source, const struct volume_context *context,
                           const struct rule_path *path)
{
	static const char *const secrets[] = {"controllerPublishSecretRef", "nodePublishSecretRef",
	                                      "controllerExpandSecretRef", "nodeExpandSecretRef"};
	struct rule_path driver = FIELD(path, "driver");

	(void)context;
	validate_csi_driver_name(v, text_of(source, "driver"), &driver);
	rule_required_text(v, source, "volumeHandle", path, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		const struct json *secret = json_get(source, secrets[i]);
		struct rule_path own = FIELD(path, secrets[i]);

		if (!is_present(secret))
			continue;
		rule_required_text(v, secret, "name", &own, check_dns_subdomain);
		rule_required_text(v, secret, "namespace", &own, check_dns_label);
	}
}

static void persistent_local(struct validation *v, const struct json *source, const struct volume_context *context,
                             const struct rule_path *path)
{
	struct rule_path own = FIELD(path, "path");

	(void)context;
	if (rule_required_text(v, source, "path", path, NULL))
		rule_no_backsteps(v, text_of(source, "path"), &own);
}

const struct volume_source persistent_volume_sources[] = {
        {"hostPath", NULL, {"path"}, volume_host_path},
        {"gcePersistentDisk", NULL, {"pdName"}, volume_partitioned},
        {"awsElasticBlockStore", NULL, {"volumeID"}, volume_partitioned},
        {"glusterfs", NULL, {"endpoints", "path"}, persistent_gluster},
        {"flocker", NULL, {NULL}, volume_flocker},
        {"nfs", NULL, {"server", "path"}, volume_nfs},
        {"rbd", NULL, {"image"}, persistent_rbd},
        {"quobyte", NULL, {NULL}, volume_quobyte},
        {"cephfs", "cephFS", {NULL}, volume_monitors},
        {"iscsi", NULL, {"targetPortal", "iqn"}, persistent_iscsi},
        {"cinder", NULL, {"volumeID"}, persistent_secret},
        {"fc", NULL, {NULL}, volume_fc},
        {"flexVolume", NULL, {"driver"}, volume_flex},
        {"azureFile", NULL, {"secretName", "shareName"}, persistent_azure_file},
        {"vsphereVolume", NULL, {"volumePath"}, NULL},
        {"photonPersistentDisk", NULL, {"pdID"}, NULL},
        {"portworxVolume", NULL, {"volumeID"}, NULL},
        {"azureDisk", NULL, {"diskName", "diskURI"}, volume_azure_disk},
        {"scaleIO", NULL, {"gateway", "system", "volumeName"}, NULL},
        {"local", NULL, {NULL}, persistent_local},
        {"storageos", NULL, {"volumeName"}, persistent_secret},
        {"csi", NULL, {NULL}, persistent_csi},
        {NULL, NULL, {NULL}, NULL},
};
