// SPDX-License-Identifier: Apache-2.0
// storage.k8s.io: classes, drivers, attachments, capacities.

#include <ctype.h>
#include <string.h>

#include "apiserver/validation/resource_names.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "apiserver/validation/volume_sources.h"

enum {
	PARAMETERS_MAX = 512,
	PARAMETERS_MAX_BYTES = 256 << 10,
	NODE_ID_MAX = 256,
	VOLUME_ERROR_MAX = 1024,
	TOKEN_MIN_SECONDS = 600,
};

static const struct json *spec_of(const struct json *object)
{
	return json_get(object, "spec");
}

static void validate_provisioner(struct validation *v, const char *member)
{
	const char *name = text_of(v->change->object, member);
	struct rule_path path = FIELD(NULL, member);
	char *lower = arena_strdup(v->arena, name);

	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (!name[0])
		validation_required(v, &path, "");
	else
		validation_string(v, &path, lower, check_qualified_name);
}

static void validate_parameters(struct validation *v, bool may_be_empty)
{
	const struct json *parameters = json_get(v->change->object, "parameters");
	struct rule_path path = FIELD(NULL, "parameters");
	size_t bytes = 0;

	if (length_of(parameters) > PARAMETERS_MAX) {
		validation_too_long(v, &path, PARAMETERS_MAX);
		return;
	}
	json_for_each_member (parameter, parameters) {
		if (!parameter->key_length)
			validation_invalid_text(v, &path, "", "field can not be empty.");
		bytes += parameter->key_length + parameter->value->length;
	}
	if (bytes > PARAMETERS_MAX_BYTES)
		validation_too_long(v, &path, PARAMETERS_MAX_BYTES);
	if (!may_be_empty && !length_of(parameters))
		validation_required(v, &path, "must contain at least one key/value pair");
}

static void refuse_updates(struct validation *v, const char *const *members)
{
	for (; v->change->old && *members; members++) {
		struct rule_path path = FIELD(NULL, *members);

		if (!rule_equal(json_get(v->change->object, *members), json_get(v->change->old, *members)))
			validation_forbidden(v, &path,
			                     arena_printf(v->arena, "updates to %s are forbidden.", *members));
	}
}

// --- classes ---------------------------------------------------------------------------------------

static bool same_terms(const struct json *a, const struct json *b)
{
	return rule_equal(json_get(a, "matchLabelExpressions"), json_get(b, "matchLabelExpressions"));
}

static void validate_topologies(struct validation *v)
{
	const struct json *terms = json_get(v->change->object, "allowedTopologies");
	struct rule_path path = FIELD(NULL, "allowedTopologies");

	rule_for_each_item (term, entry, terms, &path) {
		struct rule_path expressions = FIELD(&entry, "matchLabelExpressions");

		validate_topology_term(v, term, &entry);
		for (uint32_t i = 0; i < entry.index; i++)
			if (same_terms(terms->items[i], term))
				validation_duplicate(v, &expressions, json_string(v->arena, ""));
	}
}

void validate_storage_class(struct validation *v)
{
	static const char *const policies[] = {"Delete", "Retain", NULL};
	static const char *const bindings[] = {"Immediate", "WaitForFirstConsumer", NULL};
	static const char *const fixed[] = {"parameters", "provisioner", "reclaimPolicy", NULL};
	const struct json *object = v->change->object;

	validate_provisioner(v, "provisioner");
	validate_parameters(v, true);
	rule_one_of(v, object, "reclaimPolicy", NULL, false, policies);
	rule_one_of(v, object, "volumeBindingMode", NULL, true, bindings);
	validate_topologies(v);
	refuse_updates(v, fixed);
	if (v->change->old)
		rule_immutable(v, object, v->change->old, "volumeBindingMode", NULL);
}

void validate_volume_attributes_class(struct validation *v)
{
	static const char *const fixed[] = {"driverName", "parameters", NULL};

	refuse_updates(v, fixed);
	validate_provisioner(v, "driverName");
	validate_parameters(v, false);
}

// --- attachments -----------------------------------------------------------------------------------

static void validate_attachment_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	const struct json *volume = json_get(source, "inlineVolumeSpec"),
	                  *name = json_get(source, "persistentVolumeName");
	struct rule_path inline_path = FIELD(path, "inlineVolumeSpec"), name_path = FIELD(path, "persistentVolumeName"),
	                 dotted = FIELD(NULL, "spec.source.persistentVolumeName");
	const char *both = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";

	if (!is_present(volume) && !is_present(name))
		validation_required(v, path, both);
	else if (is_present(volume) && is_present(name))
		validation_forbidden(v, path, both);
	else if (is_present(volume))
		validate_inline_volume(v, volume, &inline_path);
	else if (!name->length)
		validation_required(v, &name_path, "must specify non empty persistentVolumeName");
	else if (change_is_create(v->change))
		validation_string(v, &dotted, json_text(name), check_dns_subdomain);
}

static void validate_volume_error(struct validation *v, const struct json *status, const char *member,
                                  const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member), message = FIELD(&path, "message");

	if (strlen(text_of(json_get(status, member), "message")) > VOLUME_ERROR_MAX)
		validation_too_long(v, &message, PARAMETERS_MAX_BYTES);
}

void validate_volume_attachment(struct validation *v)
{
	const struct json *spec = spec_of(v->change->object), *status = json_get(v->change->object, "status");
	struct rule_path path = FIELD(NULL, "spec"), source = FIELD(&path, "source"), node = FIELD(&path, "nodeName"),
	                 status_path = FIELD(NULL, "status"), metadata = FIELD(&status_path, "attachmentMetadata"),
	                 dotted = FIELD(NULL, "spec.attacher");
	size_t bytes = 0;

	rule_required_text(v, spec, "attacher", &path, NULL);
	validate_attachment_source(v, json_get(spec, "source"), &source);
	validation_string(v, &node, text_of(spec, "nodeName"), check_dns_subdomain);
	json_for_each_member (member, json_get(status, "attachmentMetadata"))
		bytes += member->key_length + member->value->length;
	if (bytes > PARAMETERS_MAX_BYTES)
		validation_too_long(v, &metadata, PARAMETERS_MAX_BYTES);
	validate_volume_error(v, status, "attachError", &status_path);
	validate_volume_error(v, status, "detachError", &status_path);
	if (change_is_create(v->change))
		validate_csi_driver_name(v, text_of(spec, "attacher"), &dotted);
	else if (!json_equal(spec, spec_of(v->change->old)))
		validation_invalid(v, &path, spec, IMMUTABLE_DETAIL);
}

// --- drivers ---------------------------------------------------------------------------------------

static void validate_token_requests(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *requests = json_get(spec, "tokenRequests");
	struct rule_path path = FIELD(parent, "tokenRequests");

	rule_for_each_item (request, entry, requests, &path) {
		struct rule_path audience = FIELD(&entry, "audience"), seconds = FIELD(&entry, "expirationSeconds");
		const struct json *expiration = json_get(request, "expirationSeconds");

		if (text_repeats(requests, entry.index, "audience")) {
			validation_duplicate(v, &audience, json_string(v->arena, text_of(request, "audience")));
			continue;
		}
		rule_at_least(v, request, "expirationSeconds", &entry, TOKEN_MIN_SECONDS,
		              "may not specify a duration less than 10 minutes");
		if (json_is(expiration, JSON_INTEGER) && expiration->integer > (int64_t)1 << 32)
			validation_invalid(v, &seconds, expiration,
			                   "may not specify a duration larger than 2^32 seconds");
	}
}

void validate_csi_driver(struct validation *v)
{
	static const char *const groups[] = {"File", "None", "ReadWriteOnceWithFSType", NULL};
	static const char *const lifecycles[] = {"Persistent", "Ephemeral", NULL};
	const struct json *spec = spec_of(v->change->object);
	struct rule_path path = FIELD(NULL, "spec"), attach = FIELD(&path, "attachedRequired"),
	                 modes = FIELD(&path, "volumeLifecycleModes");

	if (!is_present(json_get(spec, "attachRequired")))
		validation_required(v, &attach, "");
	rule_required(v, spec, "podInfoOnMount", &path, "");
	rule_required(v, spec, "storageCapacity", &path, "");
	rule_one_of(v, spec, "fsGroupPolicy", &path, false, groups);
	validate_token_requests(v, spec, &path);
	json_for_each_item (mode, json_get(spec, "volumeLifecycleModes"))
		validation_one_of(v, &modes, mode, false, lifecycles);
	rule_required(v, spec, "seLinuxMount", &path, "");
	rule_at_least(v, spec, "nodeAllocatableUpdatePeriodSeconds", &path, 10,
	              "must be greater than or equal to 10 seconds");
	if (!v->change->old)
		return;
	validation_immutable(v, &attach, json_get(spec, "attachRequired"),
	                     json_get(spec_of(v->change->old), "attachRequired"));
	rule_immutable(v, spec, spec_of(v->change->old), "volumeLifecycleModes", &path);
}

static void validate_node_driver(struct validation *v, const struct json *drivers, uint32_t index,
                                 const struct rule_path *path)
{
	const struct json *driver = drivers->items[index], *keys = json_get(driver, "topologyKeys");
	struct rule_path name = FIELD(path, "name"), node = FIELD(path, "nodeID"),
	                 allocatable = FIELD(path, "allocatable");

	validate_csi_driver_name(v, text_of(driver, "name"), &name);
	if (rule_required_text(v, driver, "nodeID", path, NULL) && strlen(text_of(driver, "nodeID")) > NODE_ID_MAX)
		validation_invalid_text(v, &node, text_of(driver, "nodeID"), "must be 256 characters or less");
	rule_not_negative(v, json_get(driver, "allocatable"), "count", &allocatable);
	if (text_repeats(drivers, index, "name"))
		validation_duplicate(v, &name, json_string(v->arena, text_of(driver, "name")));
	for (uint32_t i = 0; i < length_of(keys); i++) {
		const char *key = json_text(keys->items[i]) ? json_text(keys->items[i]) : "";

		if (!key[0])
			validation_required(v, path, "");
		if (text_repeats(keys, i, NULL))
			validation_duplicate(v, path, keys->items[i]);
		validation_string(v, path, key, check_qualified_name);
	}
}

void validate_csi_node(struct validation *v)
{
	const struct json *drivers = json_get(spec_of(v->change->object), "drivers");
	struct rule_path path = FIELD(NULL, "spec"), list = FIELD(&path, "drivers");

	json_for_each_item (old, v->change->old ? json_get(spec_of(v->change->old), "drivers") : NULL)
		json_for_each_item (driver, drivers)
			if (text_is(driver, "name", text_of(old, "name")) && !json_equal(driver, old))
				validation_invalid(v, &list, driver, IMMUTABLE_DETAIL);
	for (uint32_t i = 0; i < length_of(drivers); i++) {
		struct rule_path entry = FIELD_INDEX(&list, i);

		validate_node_driver(v, drivers, i, &entry);
	}
}

void validate_csi_storage_capacity(struct validation *v)
{
	const struct json *object = v->change->object, *old = v->change->old;
	struct rule_path topology = FIELD(NULL, "nodeTopology"), class = FIELD(NULL, "storageClassName"),
	                 capacity = FIELD(NULL, "capacity");
	struct quantity amount;

	if (old) {
		rule_immutable(v, object, old, "nodeTopology", NULL);
		rule_immutable(v, object, old, "storageClassName", NULL);
		return;
	}
	validate_label_selector(v, json_get(object, "nodeTopology"), &topology);
	validation_string(v, &class, text_of(object, "storageClassName"), check_dns_subdomain);
	if (read_quantity(json_get(object, "capacity"), &amount) && amount.nano < 0)
		invalid_quantity(v, &capacity, &amount, NOT_NEGATIVE_DETAIL);
}
