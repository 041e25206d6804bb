// SPDX-License-Identifier: Apache-2.0
// Resource names and amounts, and the requirements of containers.

#include "apiserver/validation/resource_names.h"

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

#define HUGEPAGES "hugepages-"
#define REQUESTS "requests."
#define NANO_PER_UNIT 1000000000

static const char *const container_names[] = {"cpu", "memory", "ephemeral-storage", NULL};
static const char *const counted_names[] = {
        "pods",       "resourcequotas",         "services",           "replicationcontrollers", "secrets",
        "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers", NULL};
static const char *const measured_names[] = {
        "requests.cpu",  "requests.memory",          "requests.ephemeral-storage", "limits.cpu",
        "limits.memory", "limits.ephemeral-storage", "requests.storage",           NULL};

bool resource_is_hugepages(const char *name)
{
	return !strncmp(name, HUGEPAGES, strlen(HUGEPAGES));
}

bool resource_is_native(const char *name)
{
	return !strchr(name, '/') || strstr(name, "kubernetes.io/");
}

bool is_extended_resource_name(const char *name)
{
	AUTO(arena_free) struct arena *arena = NULL;

	if (resource_is_native(name) || !strncmp(name, REQUESTS, strlen(REQUESTS)))
		return false;
	arena = arena_new(0);
	return is_qualified_name(arena_printf(arena, REQUESTS "%s", name));
}

bool resource_is_integer(const char *name)
{
	return is_one_of(name, counted_names) || is_extended_resource_name(name);
}

bool resource_may_overcommit(const char *name)
{
	return resource_is_native(name) && !resource_is_hugepages(name);
}

static bool is_quota_hugepages(const char *name)
{
	return resource_is_hugepages(name) || !strncmp(name, REQUESTS HUGEPAGES, strlen(REQUESTS HUGEPAGES));
}

static bool is_quota_name(const char *name)
{
	return is_one_of(name, container_names) || is_one_of(name, counted_names) || is_one_of(name, measured_names) ||
	       is_quota_hugepages(name);
}

// --- names -----------------------------------------------------------------------------------------

static bool is_complete_name(struct validation *v, const char *name, bool standard, const struct rule_path *path)
{
	size_t before = v->count;

	validation_string(v, path, name, check_qualified_name);
	if (before == v->count && !strchr(name, '/') && !standard)
		validation_invalid_text(v, path, name, "must be a standard resource type or fully qualified");
	return before == v->count;
}

static bool is_standard(const char *name)
{
	return is_quota_name(name) || !strcmp(name, "storage");
}

void validate_resource_name(struct validation *v, const char *name, const struct rule_path *path)
{
	(void)is_complete_name(v, name, is_standard(name), path);
}

void validate_quota_resource_name(struct validation *v, const char *name, const struct rule_path *path)
{
	(void)is_complete_name(v, name, is_standard(name), path);
	if (!strchr(name, '/') && !is_quota_name(name))
		validation_invalid_text(v, path, name, "must be a standard resource for quota");
}

void validate_container_resource_name(struct validation *v, const char *name, const struct rule_path *path)
{
	(void)is_complete_name(v, name, is_standard(name), path);
	if (!strchr(name, '/')) {
		if (!is_one_of(name, container_names) && !resource_is_hugepages(name))
			validation_invalid_text(v, path, name, "must be a standard resource for containers");
	} else if (!resource_is_native(name) && !is_extended_resource_name(name)) {
		validation_invalid_text(v, path, name, "doesn't follow extended resource name standard");
	}
}

// --- amounts ---------------------------------------------------------------------------------------

bool read_quantity(const struct json *value, struct quantity *ret_quantity)
{
	return json_text(value) && quantity_parse(json_text(value), ret_quantity, NULL) == 0;
}

const char *quantity_text(struct arena *arena, const struct quantity *quantity)
{
	char text[QUANTITY_TEXT_BYTES];

	quantity_format(quantity, text);
	return arena_strdup(arena, text);
}

void invalid_quantity(struct validation *v, const struct rule_path *path, const struct quantity *quantity,
                      const char *detail)
{
	validation_invalid_text(v, path, quantity_text(v->arena, quantity), detail);
}

void validate_resource_amount(struct validation *v, const char *name, const struct json *amount,
                              const struct rule_path *path)
{
	struct quantity quantity;

	if (!read_quantity(amount, &quantity))
		return;
	if (quantity.nano < 0)
		invalid_quantity(v, path, &quantity, NOT_NEGATIVE_DETAIL);
	if (resource_is_integer(name) && quantity.nano % NANO_PER_UNIT)
		validation_invalid_rendered(v, path, quantity_text(v->arena, &quantity), "must be an integer");
}

void validate_positive_quantity(struct validation *v, const struct json *amount, const struct rule_path *path)
{
	struct quantity quantity;

	if (read_quantity(amount, &quantity) && quantity.nano <= 0)
		invalid_quantity(v, path, &quantity, NOT_POSITIVE_DETAIL);
}

// A number of whole pages, whose size is in the name.
static void validate_hugepages(struct validation *v, const char *name, const struct quantity *quantity,
                               const struct rule_path *path)
{
	struct quantity page;
	const char *why = NULL;

	if (!resource_is_hugepages(name))
		return;
	if (quantity_parse(name + strlen(HUGEPAGES), &page, NULL) < 0 || page.nano <= 0 || page.nano % NANO_PER_UNIT ||
	    quantity->nano % page.nano)
		why = arena_printf(v->arena, "%s is not positive integer multiple of %s",
		                   quantity_text(v->arena, quantity), name);
	if (why)
		invalid_quantity(v, path, quantity, why);
}

// --- requirements ----------------------------------------------------------------------------------

static void validate_amounts(struct validation *v, const struct json *amounts, const struct rule_path *path)
{
	json_for_each_member (amount, amounts) {
		struct rule_path entry = FIELD_KEY(path, amount->key);
		struct quantity quantity;

		validate_container_resource_name(v, amount->key, &entry);
		validate_resource_amount(v, amount->key, amount->value, &entry);
		if (read_quantity(amount->value, &quantity))
			validate_hugepages(v, amount->key, &quantity, &entry);
	}
}

static void compare(struct validation *v, const char *name, const struct quantity *request,
                    const struct quantity *limit, const struct rule_path *path)
{
	int order = quantity_compare(request, limit);

	if (order && !resource_may_overcommit(name))
		invalid_quantity(v, path, request,
		                 arena_printf(v->arena, "must be equal to %s limit of %s", name,
		                              quantity_text(v->arena, limit)));
	else if (order > 0)
		invalid_quantity(v, path, request,
		                 arena_printf(v->arena, "must be less than or equal to %s limit of %s", name,
		                              quantity_text(v->arena, limit)));
}

static void compare_all(struct validation *v, const struct json *resources, const struct rule_path *parent)
{
	const struct json *limits = json_get(resources, "limits");
	struct rule_path requests = FIELD(parent, "requests"), limits_path = FIELD(parent, "limits");

	json_for_each_member (amount, json_get(resources, "requests")) {
		struct quantity request, limit;

		if (!read_quantity(amount->value, &request))
			continue;
		if (read_quantity(json_get(limits, amount->key), &limit))
			compare(v, amount->key, &request, &limit, &requests);
		else if (!resource_may_overcommit(amount->key))
			validation_required(v, &limits_path, "Limit must be set for non overcommitable resources");
	}
}

static bool names_any(const struct json *resources, bool (*matches)(const char *name))
{
	json_for_each_member (amount, json_get(resources, "limits"))
		if (matches(amount->key))
			return true;
	json_for_each_member (amount, json_get(resources, "requests"))
		if (matches(amount->key))
			return true;
	return false;
}

static bool is_compute(const char *name)
{
	return !strcmp(name, "cpu") || !strcmp(name, "memory");
}

static void validate_claims(struct validation *v, const struct json *claims, const struct json *spec,
                            const struct rule_path *path)
{
	rule_for_each_item (claim, entry, claims, path) {
		const char *name = text_of(claim, "name");
		bool known = false;

		json_for_each_item (held, json_get(spec, "resourceClaims"))
			known |= text_is(held, "name", name);
		if (!name[0])
			validation_required(v, &entry, "");
		else if (!known)
			validation_not_found(v, &entry, name);
		rule_text(v, claim, "request", &entry, check_dns_label);
		for (uint32_t i = 0; name[0] && i < entry.index; i++) {
			const char *before = text_of(claims->items[i], "request"), *request = text_of(claim, "request");

			if (text_is(claims->items[i], "name", name) &&
			    (!before[0] || !request[0] || !strcmp(before, request))) {
				validation_duplicate(v, &entry, json_get(claim, "name"));
				break;
			}
		}
	}
}

void validate_resource_requirements(struct validation *v, const struct json *resources, const struct json *spec,
                                    const struct rule_path *path)
{
	struct rule_path limits = FIELD(path, "limits"), requests = FIELD(path, "requests"),
	                 claims = FIELD(path, "claims");

	validate_amounts(v, json_get(resources, "limits"), &limits);
	validate_amounts(v, json_get(resources, "requests"), &requests);
	compare_all(v, resources, path);
	if (names_any(resources, resource_is_hugepages) && !names_any(resources, is_compute))
		validation_forbidden(v, path, "HugePages require cpu or memory");
	validate_claims(v, json_get(resources, "claims"), spec, &claims);
}
