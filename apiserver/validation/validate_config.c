// SPDX-License-Identifier: Apache-2.0
// ConfigMaps, Secrets and namespaces.

#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "common/api/object.h"
#include "common/base/encode.h"

enum {
	CONFIG_MAX_BYTES = 1 << 20,
};

static size_t decoded_length(const struct json *value)
{
	size_t padding = 0;

	if (!json_is(value, JSON_STRING) || value->length < 4)
		return 0;
	padding += value->text[value->length - 1] == '=';
	padding += value->text[value->length - 2] == '=';
	return value->length / 4 * 3 - padding;
}

static void validate_keys(struct validation *v, const struct json *values, const struct rule_path *path)
{
	json_for_each_member (value, values) {
		struct rule_path entry = FIELD_KEY(path, value->key);

		validation_string(v, &entry, value->key, check_config_key);
	}
}

static void immutable_when_set(struct validation *v, const char *const *members)
{
	static const char *const detail = "field is immutable when `immutable` is set";
	const struct json *object = v->change->object, *old = v->change->old;

	if (!old || !json_get_bool(old, "immutable", false))
		return;
	if (!json_get_bool(object, "immutable", false)) {
		struct rule_path path = FIELD(NULL, "immutable");

		validation_forbidden(v, &path, detail);
	}
	for (; *members; members++) {
		struct rule_path path = FIELD(NULL, *members);

		if (!rule_equal(json_get(object, *members), json_get(old, *members)))
			validation_forbidden(v, &path, detail);
	}
}

void validate_config_map(struct validation *v)
{
	static const char *const members[] = {"data", "binaryData", NULL};
	const struct json *data = json_get(v->change->object, "data"),
	                  *binary = json_get(v->change->object, "binaryData");
	struct rule_path data_path = FIELD(NULL, "data"), binary_path = FIELD(NULL, "binaryData"),
	                 root = FIELD(NULL, "");
	size_t total = 0;

	immutable_when_set(v, members);
	validate_keys(v, data, &data_path);
	json_for_each_member (value, data) {
		struct rule_path entry = FIELD_KEY(&data_path, value->key);

		if (json_get(binary, value->key))
			validation_invalid_text(v, &entry, value->key, "duplicate of key present in binaryData");
		total += value->value->length;
	}
	validate_keys(v, binary, &binary_path);
	json_for_each_member (value, binary)
		total += decoded_length(value->value);
	if (total > CONFIG_MAX_BYTES)
		validation_too_long(v, &root, CONFIG_MAX_BYTES);
}

// --- secrets ---------------------------------------------------------------------------------------

static const struct json *data_of(const struct validation *v)
{
	return json_get(v->change->object, "data");
}

static bool require_key(struct validation *v, const char *key)
{
	struct rule_path data = FIELD(NULL, "data"), path = FIELD_KEY(&data, key);

	if (json_get(data_of(v), key))
		return true;
	validation_required(v, &path, "");
	return false;
}

static void require_object(struct validation *v, const char *key)
{
	struct rule_path data = FIELD(NULL, "data"), path = FIELD_KEY(&data, key);
	const char *text = json_get_text(data_of(v), key);
	struct json *content = NULL;
	struct err err = ERR_INIT;
	uint8_t *bytes;
	size_t length;

	if (!require_key(v, key) || !text || !base64_decode(v->arena, text, strlen(text), &bytes, &length))
		return;
	if (json_parse(v->arena, (const char *)bytes, length, NULL, &content, &err) < 0)
		validation_invalid_text(v, &path, "<secret contents redacted>",
		                        length ? err.message : "unexpected end of JSON input");
	else if (!json_is(content, JSON_OBJECT) && !json_is(content, JSON_NULL))
		validation_invalid_text(v, &path, "<secret contents redacted>",
		                        "json: cannot unmarshal into Go value of type map[string]interface {}");
}

static void token_secret(struct validation *v)
{
	static const char *const key = "kubernetes.io/service-account.name";
	struct rule_path metadata = FIELD(NULL, "metadata"), annotations = FIELD(&metadata, "annotations"),
	                 path = FIELD_KEY(&annotations, key);
	const char *name = metadata_annotation(v->change->object, key);

	if (!name || !name[0])
		validation_required(v, &path, "");
}

static void docker_secret(struct validation *v)
{
	require_object(v, ".dockercfg");
}

static void docker_json_secret(struct validation *v)
{
	require_object(v, ".dockerconfigjson");
}

static void basic_secret(struct validation *v)
{
	if (json_get(data_of(v), "username") || json_get(data_of(v), "password"))
		return;
	(void)require_key(v, "username");
	(void)require_key(v, "password");
}

static void ssh_secret(struct validation *v)
{
	struct rule_path data = FIELD(NULL, "data"), path = FIELD_KEY(&data, "ssh-privatekey");

	if (is_unset(json_get(data_of(v), "ssh-privatekey")))
		validation_required(v, &path, "");
}

static void tls_secret(struct validation *v)
{
	(void)require_key(v, "tls.crt");
	(void)require_key(v, "tls.key");
}

static const struct {
	const char *type;
	void (*validate)(struct validation *v);
} secret_types[] = {
        {"kubernetes.io/basic-auth", basic_secret},
        {"kubernetes.io/dockercfg", docker_secret},
        {"kubernetes.io/dockerconfigjson", docker_json_secret},
        {"kubernetes.io/service-account-token", token_secret},
        {"kubernetes.io/ssh-auth", ssh_secret},
        {"kubernetes.io/tls", tls_secret},
};

void validate_secret(struct validation *v)
{
	static const char *const members[] = {"data", NULL};
	struct rule_path data = FIELD(NULL, "data");
	size_t total = 0;

	if (v->change->old)
		rule_immutable(v, v->change->object, v->change->old, "type", NULL);
	immutable_when_set(v, members);
	validate_keys(v, data_of(v), &data);
	json_for_each_member (value, data_of(v))
		total += decoded_length(value->value);
	if (total > CONFIG_MAX_BYTES)
		validation_too_long(v, &data, CONFIG_MAX_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(secret_types); i++)
		if (text_is(v->change->object, "type", secret_types[i].type))
			secret_types[i].validate(v);
}

// --- namespaces ------------------------------------------------------------------------------------

static void validate_phase(struct validation *v)
{
	bool ending = object_is_being_deleted(v->change->object);
	const char *phase = text_of(json_get(v->change->object, "status"), "phase");
	struct rule_path status = FIELD(NULL, "status"), path = FIELD(&status, "Phase");

	if (!ending && strcmp(phase, "Active"))
		validation_invalid_text(v, &path, phase, "may only be 'Active' if `deletionTimestamp` is empty");
	else if (ending && strcmp(phase, "Terminating"))
		validation_invalid_text(v, &path, phase,
		                        "may only be 'Terminating' if `deletionTimestamp` is not empty");
}

void validate_namespace(struct validation *v)
{
	struct rule_path spec = FIELD(NULL, "spec"), path = FIELD(&spec, "finalizers");

	if (!strcmp(v->change->subresource, "status"))
		validate_phase(v);
	if (!change_is_create(v->change) && strcmp(v->change->subresource, "finalize"))
		return;
	rule_for_each_item (finalizer, entry, json_path(v->change->object, "spec", "finalizers"), &path)
		validate_finalizer_name(v, json_text(finalizer) ? json_text(finalizer) : "", &entry);
}
