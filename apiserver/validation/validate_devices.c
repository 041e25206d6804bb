// SPDX-License-Identifier: Apache-2.0
// resource.k8s.io: claims for devices, their classes, and what nodes offer.
// Selectors are CEL, compiled by whoever has set the compiler (admission_rules.h).

#include <string.h>

#include "apiserver/validation/admission_rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "apiserver/validation/volume_sources.h"
#include "common/api/object.h"

enum {
	DEVICE_LIST_MAX = 32,
	DEVICE_SUBREQUESTS_MAX = 8,
	DEVICE_RESERVED_MAX = 256,
	DEVICE_SLICE_MAX = 128,
	DEVICE_TEXT_MAX = 64,
	DEVICE_NAME_MAX = 32,
	DEVICE_POOL_MAX = 253,
	DEVICE_TAINTS_MAX = 4,
	DEVICE_BYTES_MAX = 10 << 10,
};

typedef void (*device_rule)(struct validation *v, const struct json *item, const struct rule_path *path);

static void each(struct validation *v, const struct json *object, const char *member, size_t maximum, device_rule rule,
                 const struct rule_path *parent)
{
	const struct json *list = json_get(object, member);
	struct rule_path path = FIELD(parent, member);

	rule_for_each_item (item, entry, list, &path)
		rule(v, item, &entry);
	if (length_of(list) > maximum)
		validation_too_many(v, &path, length_of(list), maximum);
}

static void unique(struct validation *v, const struct json *object, const char *member, const char *key,
                   const struct rule_path *parent)
{
	const struct json *list = json_get(object, member);
	struct rule_path path = FIELD(parent, member);

	rule_for_each_item (item, entry, list, &path) {
		struct rule_path own = key ? FIELD(&entry, key) : entry;

		if (text_repeats(list, entry.index, key))
			validation_duplicate(v, &own, key ? json_string(v->arena, text_of(item, key)) : item);
	}
}

// --- parts -----------------------------------------------------------------------------------------

static void validate_selector(struct validation *v, const struct json *selector, const struct rule_path *path)
{
	const char *text = text_of(json_get(selector, "cel"), "expression");
	struct rule_path cel = FIELD(path, "cel"), expression = FIELD(&cel, "expression");

	if (!rule_required(v, selector, "cel", path, ""))
		return;
	if (strlen(text) > DEVICE_BYTES_MAX)
		validation_too_long(v, &expression, DEVICE_BYTES_MAX);
	else
		admission_rules_compile(v, EXPRESSION_DEVICE_SELECTOR, text, &expression);
}

static void validate_pool_name(struct validation *v, const struct json *object, const char *member,
                               const struct rule_path *parent)
{
	const char *name = text_of(object, member);
	struct rule_path path = FIELD(parent, member);

	if (!rule_required_text(v, object, member, parent, NULL))
		return;
	if (strlen(name) > DEVICE_POOL_MAX)
		validation_too_long(v, &path, DEVICE_POOL_MAX);
	for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
		validation_string(v, &path, arena_strndup(v->arena, part, strcspn(part, "/")), check_dns_subdomain);
}

static void validate_driver(struct validation *v, const struct json *object, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "driver");

	validate_csi_driver_name(v, text_of(object, "driver"), &path);
}

static void validate_label(struct validation *v, const struct json *object, const char *member,
                           const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	validation_string(v, &path, text_of(object, member), check_dns_label);
}

static void validate_configuration(struct validation *v, const struct json *config, const struct rule_path *parent)
{
	const struct json *opaque = json_get(config, "opaque"), *parameters = json_get(opaque, "parameters");
	struct rule_path path = FIELD(parent, "opaque"), own = FIELD(&path, "parameters");

	if (!rule_required(v, config, "opaque", parent, ""))
		return;
	validate_driver(v, opaque, &path);
	if (!is_present(parameters))
		validation_required(v, &own, "");
	else if (!json_is(parameters, JSON_OBJECT))
		validation_invalid_text(v, &own, "<value omitted>", "parameters must be a valid JSON object");
}

static void validate_c_name(struct validation *v, const char *name, const struct rule_path *path)
{
	const char *complaint = check_c_identifier(v->arena, name, 0);

	if (strlen(name) > DEVICE_NAME_MAX)
		validation_too_long(v, path, DEVICE_NAME_MAX);
	if (complaint)
		validation_type_invalid_text(v, path, name, complaint);
}

static void validate_device_name(struct validation *v, const char *name, const struct rule_path *path)
{
	const char *slash = strchr(name, '/');

	if (!name[0])
		validation_required(v, path, "name required");
	else if (!slash)
		validate_c_name(v, name, path);
	else if (slash == name)
		validation_required(v, path, "the domain must not be empty");
	else
		validate_csi_driver_name(v, arena_strndup(v->arena, name, (size_t)(slash - name)), path);
	if (slash && !slash[1])
		validation_required(v, path, "the name must not be empty");
	else if (slash)
		validate_c_name(v, slash + 1, path);
}

// --- requests --------------------------------------------------------------------------------------

static void validate_exact_request(struct validation *v, const struct json *request, const struct rule_path *path)
{
	static const char *const modes[] = {"All", "ExactCount", NULL};
	struct rule_path mode = FIELD(path, "allocationMode"), count = FIELD(path, "count");
	int64_t number = integer_of(request, "count", 0);

	rule_required_text(v, request, "deviceClassName", path, check_dns_subdomain);
	each(v, request, "selectors", DEVICE_LIST_MAX, validate_selector, path);
	if (!is_one_of(text_of(request, "allocationMode"), modes))
		validation_not_supported(v, &mode, text_of(request, "allocationMode"), modes);
	else if (text_is(request, "allocationMode", "All") && number)
		validation_invalid_integer(v, &count, number, "must not be specified when allocationMode is 'All'");
	else if (text_is(request, "allocationMode", "ExactCount") && number <= 0)
		validation_invalid_integer(v, &count, number, NOT_POSITIVE_DETAIL);
}

static void validate_subrequest(struct validation *v, const struct json *request, const struct rule_path *path)
{
	validate_label(v, request, "name", path);
	validate_exact_request(v, request, path);
}

static void validate_request(struct validation *v, const struct json *request, const struct rule_path *path)
{
	bool choices = length_of(json_get(request, "firstAvailable")),
	     exactly = is_present(json_get(request, "exactly"));
	struct rule_path exactly_path = FIELD(path, "exactly");

	validate_label(v, request, "name", path);
	each(v, request, "firstAvailable", DEVICE_SUBREQUESTS_MAX, validate_subrequest, path);
	unique(v, request, "firstAvailable", "name", path);
	if (exactly)
		validate_exact_request(v, json_get(request, "exactly"), &exactly_path);
	if (!choices && !exactly)
		validation_required(v, path, "exactly one of `exactly` or `firstAvailable` is required");
	else if (choices && exactly)
		validation_invalid(
		        v, path, NULL,
		        "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set");
}

static bool names_request(const struct json *requests, const char *name)
{
	const char *slash = strchr(name, '/');
	size_t length = slash ? (size_t)(slash - name) : strlen(name);

	json_for_each_item (request, requests) {
		if (strlen(text_of(request, "name")) != length || strncmp(text_of(request, "name"), name, length))
			continue;
		if (!slash)
			return true;
		json_for_each_item (choice, json_get(request, "firstAvailable"))
			if (text_is(choice, "name", slash + 1))
				return true;
	}
	return false;
}

static void validate_request_names(struct validation *v, const struct json *holder, const struct json *requests,
                                   const struct rule_path *parent)
{
	static const char *const detail =
	        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
	const struct json *names = json_get(holder, "requests");
	struct rule_path path = FIELD(parent, "requests");

	rule_for_each_item (name, entry, names, &path)
		if (!json_text(name) || !names_request(requests, json_text(name)))
			validation_invalid(v, &entry, name, detail);
	unique(v, holder, "requests", NULL, parent);
	if (length_of(names) > DEVICE_LIST_MAX)
		validation_too_many(v, &path, length_of(names), DEVICE_LIST_MAX);
}

static void validate_claim_spec_devices(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *devices = json_get(spec, "devices"), *requests = json_get(devices, "requests");
	struct rule_path path = FIELD(parent, "devices"), constraints = FIELD(&path, "constraints"),
	                 config = FIELD(&path, "config");

	each(v, devices, "requests", DEVICE_LIST_MAX, validate_request, &path);
	unique(v, devices, "requests", "name", &path);
	rule_for_each_item (constraint, entry, json_get(devices, "constraints"), &constraints) {
		const char *attribute = text_of(constraint, "matchAttribute");
		struct rule_path own = FIELD(&entry, "matchAttribute");

		validate_request_names(v, constraint, requests, &entry);
		if (!rule_required(v, constraint, "matchAttribute", &entry, ""))
			continue;
		validate_device_name(v, attribute, &own);
		if (attribute[0] && !strchr(attribute, '/'))
			validation_invalid_text(v, &own, attribute, "must include a domain");
	}
	rule_max_items(v, devices, "constraints", &path, DEVICE_LIST_MAX);
	rule_for_each_item (item, entry, json_get(devices, "config"), &config) {
		validate_request_names(v, item, requests, &entry);
		validate_configuration(v, item, &entry);
	}
	rule_max_items(v, devices, "config", &path, DEVICE_LIST_MAX);
}

// --- claims ----------------------------------------------------------------------------------------

static void validate_consumer(struct validation *v, const struct json *consumer, const struct rule_path *path)
{
	rule_required_text(v, consumer, "resource", path, NULL);
	rule_required_text(v, consumer, "name", path, NULL);
	rule_required_text(v, consumer, "uid", path, NULL);
}

static bool holds(const struct json *list, const struct json *wanted)
{
	json_for_each_item (item, list)
		if (json_equal(item, wanted))
			return true;
	return false;
}

static void validate_result(struct validation *v, const struct json *result, const struct rule_path *path)
{
	const struct json *requests = json_path(v->change->object, "spec", "devices", "requests");
	struct rule_path request = FIELD(path, "request");

	if (!names_request(requests, text_of(result, "request")))
		validation_invalid_text(v, &request, text_of(result, "request"),
		                        "must be the name of a request in the claim or the name of a request and a "
		                        "subrequest separated by '/'");
	validate_driver(v, result, path);
	validate_pool_name(v, result, "pool", path);
	validate_label(v, result, "device", path);
}

static void validate_allocation(struct validation *v, const struct json *status, const struct rule_path *parent)
{
	const struct json *allocation = json_get(status, "allocation"),
	                  *selector = json_get(allocation, "nodeSelector");
	struct rule_path path = FIELD(parent, "allocation"), devices = FIELD(&path, "devices"),
	                 selector_path = FIELD(&path, "nodeSelector");

	if (!is_present(allocation))
		return;
	each(v, json_get(allocation, "devices"), "results", DEVICE_LIST_MAX, validate_result, &devices);
	if (is_present(selector))
		validate_node_selector(v, selector, false, &selector_path);
}

static void validate_claim_status(struct validation *v)
{
	const struct json *status = json_get(v->change->object, "status"), *old = json_get(v->change->old, "status");
	const struct json *reserved = json_get(status, "reservedFor");
	struct rule_path path = FIELD(NULL, "status"), reserved_path = FIELD(&path, "reservedFor");
	bool allocated = is_present(json_get(status, "allocation"));

	each(v, status, "reservedFor", DEVICE_RESERVED_MAX, validate_consumer, &path);
	unique(v, status, "reservedFor", "uid", &path);
	if (length_of(reserved) && !allocated)
		validation_forbidden(v, &reserved_path, "may not be specified when `allocated` is not set");
	json_for_each_item (consumer, allocated && object_is_being_deleted(v->change->object) ? reserved : NULL)
		if (!holds(json_get(old, "reservedFor"), consumer)) {
			validation_forbidden(v, &reserved_path,
			                     "new entries may not be added while `deallocationRequested` or "
			                     "`deletionTimestamp` are set");
			break;
		}
	if (allocated && is_present(json_get(old, "allocation")))
		rule_immutable(v, status, old, "allocation", &path);
	else
		validate_allocation(v, status, &path);
}

void validate_resource_claim(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec");

	if (!strcmp(v->change->subresource, "status")) {
		validate_claim_status(v);
		return;
	}
	if (v->change->old)
		validation_immutable(v, &path, spec, json_get(v->change->old, "spec"));
	validate_claim_spec_devices(v, spec, &path);
}

void validate_resource_claim_template(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), inner = FIELD(&path, "spec");

	if (v->change->old)
		validation_immutable(v, &path, spec, json_get(v->change->old, "spec"));
	validate_template_metadata(v, json_get(spec, "metadata"), &path);
	validate_claim_spec_devices(v, json_get(spec, "spec"), &inner);
}

void validate_device_class(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec");

	each(v, spec, "selectors", DEVICE_LIST_MAX, validate_selector, &path);
	each(v, spec, "config", DEVICE_LIST_MAX, validate_configuration, &path);
}

// --- slices ----------------------------------------------------------------------------------------

static bool is_version_number(const char **at)
{
	size_t length = strspn(*at, "0123456789");
	bool valid = length && ((*at)[0] != '0' || length == 1);

	*at += length;
	return valid;
}

static bool is_semantic_version(const char *text)
{
	static const char *const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.";

	for (int i = 0; i < 3; i++)
		if (!is_version_number(&text) || (i < 2 && *text++ != '.'))
			return false;
	if (*text == '-' && text[1] && text[1] != '.')
		text += 1 + strspn(text + 1, letters);
	if (*text == '+' && text[1] && text[1] != '.')
		text += 1 + strspn(text + 1, letters);
	return !*text;
}

static void validate_attribute(struct validation *v, const struct json *attribute, const struct rule_path *path)
{
	static const char *const kinds[] = {"bool", "int", "string", "version"};
	static const char *const texts[] = {"string", "version"};
	struct rule_path version = FIELD(path, "version");
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		count += is_present(json_get(attribute, kinds[i]));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct rule_path own = FIELD(path, texts[i]);

		if (strlen(text_of(attribute, texts[i])) > DEVICE_TEXT_MAX)
			validation_too_long(v, &own, DEVICE_TEXT_MAX);
	}
	if (json_text(json_get(attribute, "version")) && !is_semantic_version(text_of(attribute, "version")))
		validation_invalid_text(v, &version, text_of(attribute, "version"),
		                        "must be a string compatible with semver.org spec 2.0.0");
	if (!count)
		validation_required(v, path, "exactly one value must be specified");
	else if (count > 1)
		validation_invalid(v, path, attribute, "exactly one value must be specified");
}

static void validate_taint(struct validation *v, const struct json *taint, const struct rule_path *path)
{
	static const char *const effects[] = {"NoExecute", "NoSchedule", NULL};
	struct rule_path key = FIELD(path, "key"), value = FIELD(path, "value");

	validation_string(v, &key, text_of(taint, "key"), check_qualified_name);
	validation_string(v, &value, text_of(taint, "value"), check_label_value);
	rule_one_of(v, taint, "effect", path, true, effects);
}

static void validate_device(struct validation *v, const struct json *device, const struct rule_path *path)
{
	size_t count = length_of(json_get(device, "attributes")) + length_of(json_get(device, "capacity"));
	struct rule_path attributes = FIELD(path, "attributes"), capacity = FIELD(path, "capacity");

	validate_label(v, device, "name", path);
	if (count > DEVICE_LIST_MAX)
		validation_invalid_integer(v, path, (int64_t)count,
		                           "the total number of attributes and capacities must not exceed 32");
	json_for_each_member (attribute, json_get(device, "attributes")) {
		struct rule_path entry = FIELD_KEY(&attributes, attribute->key);

		validate_device_name(v, attribute->key, &entry);
		validate_attribute(v, attribute->value, &entry);
	}
	json_for_each_member (amount, json_get(device, "capacity")) {
		struct rule_path entry = FIELD_KEY(&capacity, amount->key);

		validate_device_name(v, amount->key, &entry);
	}
	each(v, device, "taints", DEVICE_TAINTS_MAX, validate_taint, path);
}

static void validate_slice_nodes(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const flags[] = {"allNodes", "perDeviceNodeSelection"};
	const struct json *name = json_get(spec, "nodeName"), *selector = json_get(spec, "nodeSelector");
	struct rule_path name_path = FIELD(path, "nodeName"), selector_path = FIELD(path, "nodeSelector"),
	                 terms = FIELD(&selector_path, "nodeSelectorTerms");
	const char *set = "";
	size_t count = 0;

	if (json_text(name) && name->length) {
		set = "`nodeName`";
		count++;
		validation_string(v, &name_path, json_text(name), check_dns_subdomain);
	}
	if (is_present(selector)) {
		set = arena_printf(v->arena, "%s%s`nodeSelector`", set, count++ ? ", " : "");
		validate_node_selector(v, selector, false, &selector_path);
		if (length_of(json_get(selector, "nodeSelectorTerms")) != 1)
			validation_invalid(v, &terms, json_get(selector, "nodeSelectorTerms"),
			                   "must have exactly one node selector term");
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct rule_path own = FIELD(path, flags[i]);

		if (json_get_bool(spec, flags[i], false))
			set = arena_printf(v->arena, "%s%s`%s`", set, count++ ? ", " : "", flags[i]);
		else if (is_present(json_get(spec, flags[i])))
			validation_invalid(v, &own, json_get(spec, flags[i]), "must be either unset or set to true");
	}
	if (!count)
		validation_required(
		        v, path,
		        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is "
		        "required");
	else if (count > 1)
		validation_invalid_text(v, path, arena_printf(v->arena, "{%s}", set),
		                        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, "
		                        "`perDeviceNodeSelection` is required, but multiple fields are set");
}

void validate_resource_slice(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec"), *pool = json_get(spec, "pool");
	const struct json *old = json_get(v->change->old, "spec");
	struct rule_path path = FIELD(NULL, "spec"), pool_path = FIELD(&path, "pool"),
	                 count = FIELD(&pool_path, "resourceSliceCount");

	validate_driver(v, spec, &path);
	validate_pool_name(v, pool, "name", &pool_path);
	if (integer_of(pool, "resourceSliceCount", 0) <= 0)
		validation_invalid_integer(v, &count, integer_of(pool, "resourceSliceCount", 0), NOT_POSITIVE_DETAIL);
	rule_at_least(v, pool, "generation", &pool_path, 0, "must be greater than or equal to zero");
	if (old) {
		rule_immutable(v, pool, json_get(old, "pool"), "name", &pool_path);
		rule_immutable(v, spec, old, "driver", &path);
		rule_immutable(v, spec, old, "nodeName", &path);
	}
	validate_slice_nodes(v, spec, &path);
	each(v, spec, "devices", DEVICE_SLICE_MAX, validate_device, &path);
	unique(v, spec, "devices", "name", &path);
}
