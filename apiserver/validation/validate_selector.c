// SPDX-License-Identifier: Apache-2.0
// Labels, annotations and the selectors of the API: label selectors, node
// selectors, topology terms.

#include <string.h>

#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

#define SET_DETAIL "must be specified when `operator` is 'In' or 'NotIn'"
#define EXISTS_DETAIL "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"

enum {
	ANNOTATIONS_MAX_BYTES = 262144,
};

void validate_labels(struct validation *v, const struct json *labels, const struct rule_path *path)
{
	json_for_each_member (label, labels) {
		validation_string(v, path, label->key, check_qualified_name);
		if (json_text(label->value))
			validation_string(v, path, json_text(label->value), check_label_value);
	}
}

void validate_annotations(struct validation *v, const struct json *annotations, const struct rule_path *path)
{
	size_t total = 0;

	json_for_each_member (annotation, annotations) {
		const char *complaint;

		for (size_t i = 0; (complaint = check_annotation_key(v->arena, annotation->key, i)); i++)
			validation_invalid_text(v, path, annotation->key, complaint);
		total += annotation->key_length +
		         (json_is(annotation->value, JSON_STRING) ? annotation->value->length : 0);
	}
	if (total > ANNOTATIONS_MAX_BYTES)
		validation_too_long(v, path, ANNOTATIONS_MAX_BYTES);
}

// --- label selectors -------------------------------------------------------------------------------

static void validate_requirement(struct validation *v, const struct json *requirement, const struct rule_path *path)
{
	static const char *const sets[] = {"In", "NotIn", NULL}, *const exist[] = {"Exists", "DoesNotExist", NULL};
	const char *how = text_of(requirement, "operator");
	const struct json *values = json_get(requirement, "values");
	struct rule_path values_path = FIELD(path, "values"), how_path = FIELD(path, "operator"),
	                 key_path = FIELD(path, "key");

	if (is_one_of(how, sets) && !length_of(values))
		validation_required(v, &values_path, SET_DETAIL);
	if (is_one_of(how, exist) && length_of(values))
		validation_forbidden(v, &values_path, EXISTS_DETAIL);
	if (!is_one_of(how, sets) && !is_one_of(how, exist))
		validation_invalid_text(v, &how_path, how, "not a valid selector operator");
	validation_string(v, &key_path, text_of(requirement, "key"), check_qualified_name);
	rule_texts(v, requirement, "values", path, check_label_value);
}

void validate_label_selector(struct validation *v, const struct json *selector, const struct rule_path *path)
{
	struct rule_path labels = FIELD(path, "matchLabels"), expressions = FIELD(path, "matchExpressions");

	validate_labels(v, json_get(selector, "matchLabels"), &labels);
	rule_for_each_item (requirement, entry, json_get(selector, "matchExpressions"), &expressions)
		validate_requirement(v, requirement, &entry);
}

// --- node selectors --------------------------------------------------------------------------------

static void validate_node_expression(struct validation *v, const struct json *expression, bool check_values,
                                     const struct rule_path *path)
{
	static const char *const sets[] = {"In", "NotIn", NULL}, *const exist[] = {"Exists", "DoesNotExist", NULL},
	                         *const compare[] = {"Gt", "Lt", NULL};
	const char *how = text_of(expression, "operator");
	struct rule_path key = FIELD(path, "key"), values = FIELD(path, "values"), how_path = FIELD(path, "operator");
	uint32_t count = length_of(json_get(expression, "values"));

	if (is_one_of(how, sets)) {
		if (!count)
			validation_required(v, &values, SET_DETAIL);
	} else if (is_one_of(how, exist)) {
		if (count)
			validation_forbidden(v, &values, EXISTS_DETAIL);
	} else if (is_one_of(how, compare)) {
		if (count != 1)
			validation_required(v, &values,
			                    "must be specified single value when `operator` is 'Lt' or 'Gt'");
	} else {
		validation_invalid_text(v, &how_path, how, "not a valid selector operator");
	}
	validation_string(v, &key, text_of(expression, "key"), check_qualified_name);
	if (check_values)
		rule_texts(v, expression, "values", path, check_label_value);
}

static void validate_node_field(struct validation *v, const struct json *expression, const struct rule_path *path)
{
	static const char *const sets[] = {"In", "NotIn", NULL};
	struct rule_path key = FIELD(path, "key"), values = FIELD(path, "values"), how = FIELD(path, "operator");

	if (!is_one_of(text_of(expression, "operator"), sets))
		validation_invalid_text(v, &how, text_of(expression, "operator"), "not a valid selector operator");
	else if (length_of(json_get(expression, "values")) != 1)
		validation_required(
		        v, &values,
		        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
	if (!text_is(expression, "key", "metadata.name"))
		validation_invalid_text(v, &key, text_of(expression, "key"), "not a valid field selector key");
	else
		rule_texts(v, expression, "values", path, check_dns_subdomain);
}

void validate_node_term(struct validation *v, const struct json *term, bool check_values, const struct rule_path *path)
{
	struct rule_path expressions = FIELD(path, "matchExpressions"), fields = FIELD(path, "matchFields");

	rule_for_each_item (expression, entry, json_get(term, "matchExpressions"), &expressions)
		validate_node_expression(v, expression, check_values, &entry);
	rule_for_each_item (expression, entry, json_get(term, "matchFields"), &fields)
		validate_node_field(v, expression, &entry);
}

void validate_node_selector(struct validation *v, const struct json *selector, bool check_values,
                            const struct rule_path *path)
{
	struct rule_path terms = FIELD(path, "nodeSelectorTerms");

	if (!length_of(json_get(selector, "nodeSelectorTerms")))
		validation_required(v, &terms, "must have at least one node selector term");
	rule_for_each_item (term, entry, json_get(selector, "nodeSelectorTerms"), &terms)
		validate_node_term(v, term, check_values, &entry);
}

// --- topologies of storage classes -------------------------------------------------------------------

void validate_topology_term(struct validation *v, const struct json *term, const struct rule_path *path)
{
	const struct json *expressions = json_get(term, "matchLabelExpressions");
	struct rule_path list = FIELD(path, "matchLabelExpressions");

	rule_for_each_item (expression, entry, expressions, &list) {
		struct rule_path values = FIELD(&entry, "values"), key = FIELD(&entry, "key");
		const struct json *texts = json_get(expression, "values");

		if (!length_of(texts))
			validation_required(v, &values, "");
		rule_for_each_item (text, item, texts, &values)
			if (text_repeats(texts, item.index, NULL))
				validation_duplicate(v, &item, text);
		validation_string(v, &key, text_of(expression, "key"), check_qualified_name);
		if (text_repeats(expressions, entry.index, "key"))
			validation_duplicate(v, &key, json_get(expression, "key"));
	}
}
