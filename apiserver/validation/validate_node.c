// SPDX-License-Identifier: Apache-2.0
// Nodes. The paths of taints and of amounts are upstream's own, odd as they are.

#include <string.h>

#include "apiserver/services/ip_range.h"
#include "apiserver/validation/resource_names.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

static void validate_taints(struct validation *v, const struct json *taints, const struct rule_path *path)
{
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};

	rule_for_each_item (taint, entry, taints, path) {
		struct rule_path key = FIELD(&entry, "key"), value = FIELD(&entry, "value");

		validation_string(v, &key, text_of(taint, "key"), check_qualified_name);
		rule_joined(v, &value, text_of(taint, "value"), check_label_value);
		rule_one_of(v, taint, "effect", &entry, true, effects);
		for (uint32_t i = 0; i < entry.index; i++)
			if (text_is(taints->items[i], "key", text_of(taint, "key")) &&
			    text_is(taints->items[i], "effect", text_of(taint, "effect"))) {
				validation_duplicate_detail(v, &entry, taint,
				                            "taints must be unique by key and effect pair");
				break;
			}
	}
}

static void validate_amounts(struct validation *v, const char *member)
{
	struct rule_path status = FIELD(NULL, "status"), path = FIELD(&status, member);

	json_for_each_member (amount, json_get(json_get(v->change->object, "status"), member)) {
		struct rule_path entry = FIELD(&path, amount->key);

		validate_resource_amount(v, amount->key, amount->value, &entry);
	}
}

static void validate_pod_ranges(struct validation *v, const struct json *ranges, const struct rule_path *path)
{
	bool of_family[2] = {false, false}, doubled = false;

	rule_for_each_item (text, entry, ranges, path) {
		struct ip_range range;

		rule_cidr(v, json_text(text) ? json_text(text) : "", &entry);
		if (!json_text(text) || ip_range_parse_legacy(json_text(text), &range, NULL) < 0)
			continue;
		doubled |= of_family[range.base.is_v6];
		of_family[range.base.is_v6] = true;
	}
	if (length_of(ranges) > 1 && (doubled || length_of(ranges) > 2))
		validation_invalid(v, path, ranges, "may specify no more than one CIDR for each IP family");
}

static void validate_node_update(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *old = json_get(v->change->old, "spec"), *ranges = json_get(old, "podCIDRs");
	const struct json *addresses = json_path(v->change->object, "status", "addresses");
	struct rule_path status = FIELD(NULL, "status"), list = FIELD(&status, "addresses"),
	                 ranges_path = FIELD(path, "podCIDRs"), provider = FIELD(path, "providerID"),
	                 external = FIELD(path, "externalID");

	rule_for_each_item (address, entry, addresses, &list)
		for (uint32_t i = 0; i < entry.index; i++)
			if (json_equal(addresses->items[i], address)) {
				validation_duplicate(v, &entry, address);
				break;
			}
	if (length_of(ranges) && !rule_equal(ranges, json_get(spec, "podCIDRs")))
		validation_forbidden(v, &ranges_path, "node updates may not change podCIDR except from \"\" to valid");
	if (text_of(old, "providerID")[0] && !text_is(spec, "providerID", text_of(old, "providerID")))
		validation_forbidden(v, &provider, "node updates may not change providerID except from \"\" to valid");
	if (!text_is(spec, "externalID", text_of(old, "externalID")))
		validation_forbidden(v, &external, "may not be updated");
}

void validate_node(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), metadata = FIELD(NULL, "metadata"),
	                 taints = FIELD(&metadata, "taints"), ranges = FIELD(&path, "podCIDRs");

	validate_amounts(v, "capacity");
	validate_amounts(v, "allocatable");
	validate_taints(v, json_get(spec, "taints"), &taints);
	if (v->change->old)
		validate_node_update(v, spec, &path);
	else
		validate_pod_ranges(v, json_get(spec, "podCIDRs"), &ranges);
}
