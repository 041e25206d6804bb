// SPDX-License-Identifier: Apache-2.0
// A selection is parsed once for a request and then judged on each object from
// the labels and field values that the watch cache holds beside the bytes.

#include "apiserver/registry/selection.h"

#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/encoding/convert.h"
#include "apiserver/storage/storage.h"

static const struct status *unknown_field(struct arena *arena, const struct schema_resource *resource,
                                          const char *field)
{
	if (resource->selectable_field_count || definition_version_of(resource))
		return status_new(arena, ERR_BAD_REQUEST, "field label not supported: %s", field);
	return status_new(arena, ERR_BAD_REQUEST,
	                  "\"%s\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
	                  field);
}

static bool find_field(const struct schema_resource *resource, const char *label, size_t *ret_index)
{
	for (size_t i = 0; i < resource->selectable_field_count; i++)
		if (!strcmp(resource->selectable_fields[i].label, label)) {
			*ret_index = i;
			return true;
		}
	return false;
}

// "spec.host" is an old name of a pod's node.
static const char *canonical_label(const struct schema_resource *resource, const char *label)
{
	if (!strcmp(label, "spec.host") && !strcmp(resource->plural, "pods") && !resource->group[0])
		return "spec.nodeName";
	return label;
}

static const struct status *add_term(struct arena *arena, const struct schema_resource *resource,
                                     const struct field_requirement *requirement, struct selection *selection)
{
	const struct schema_resource *stored = convert_storage_resource(resource);
	const char *label = canonical_label(resource, requirement->field);
	struct field_term *term = &selection->terms[selection->term_count];
	size_t index;

	*term = (struct field_term){.value = requirement->value, .negated = requirement->negated};
	if (!strcmp(label, "metadata.name")) {
		term->source = FIELD_TERM_NAME;
		if (!term->negated)
			selection->name = term->value;
	} else if (!strcmp(label, "metadata.namespace")) {
		term->source = FIELD_TERM_NAMESPACE;
	} else if (find_field(resource, label, &index)) {
		const char *stored_label = convert_field_label(resource, label);

		term->source = FIELD_TERM_SELECTABLE;
		if (!find_field(stored, stored_label, &term->index))
			return unknown_field(arena, resource, requirement->field);
		// Of what is converted first, storage can't know the fields.
		if (!term->negated && !selection->field_label && !definition_asks_webhook(resource)) {
			selection->field_label = stored_label;
			selection->field_value = term->value;
		}
	} else {
		return unknown_field(arena, resource, requirement->field);
	}
	selection->term_count++;
	return NULL;
}

const struct status *selection_parse(struct arena *arena, const struct schema_resource *resource,
                                     const char *label_selector, const char *field_selector,
                                     struct selection *ret_selection)
{
	struct selection selection = {0};
	struct field_selector fields = {0};
	struct label_selector *labels = NULL;
	struct err err = ERR_INIT;

	if (label_selector[0] && label_selector_parse(arena, label_selector, &labels, &err) < 0)
		return status_new(arena, ERR_BAD_REQUEST, "%s", err.message);
	if (labels && !label_selector_is_everything(labels))
		selection.labels = labels;
	if (field_selector[0] && field_selector_parse(arena, field_selector, &fields, &err) < 0)
		return status_new(arena, ERR_BAD_REQUEST, "%s", err.message);
	selection.terms = ARENA_ARRAY(arena, struct field_term, fields.count + 1);
	for (size_t i = 0; i < fields.count; i++) {
		const struct status *status = add_term(arena, resource, &fields.requirements[i], &selection);

		if (status)
			return status;
	}
	*ret_selection = selection;
	return NULL;
}

bool selection_is_everything(const struct selection *selection)
{
	return !selection->labels && !selection->term_count;
}

// Booleans and counters that an object leaves out read as their zero.
static bool value_equals(const char *held, const char *wanted)
{
	return !strcmp(held, wanted) || (!held[0] && (!strcmp(wanted, "false") || !strcmp(wanted, "0")));
}

static bool term_matches(const struct field_term *term, const struct stored_object *object)
{
	const char *held = term->source == FIELD_TERM_NAME        ? object->name
	                   : term->source == FIELD_TERM_NAMESPACE ? object->namespace_name
	                                                          : object->fields[term->index];

	return value_equals(held ? held : "", term->value) != term->negated;
}

// The cache's label list has the layout of a string_map's entries.
static struct string_map labels_of(const struct stored_object *object)
{
	struct string_map map = {.entries = (struct string_map_entry *)(uintptr_t)object->labels};

	_Static_assert(sizeof(struct string_map_entry) == 2 * sizeof(const char *), "pairs of texts");
	while (object->labels && object->labels[2 * map.count])
		map.count++;
	return map;
}

bool selection_matches(const struct selection *selection, const struct stored_object *object)
{
	for (size_t i = 0; i < selection->term_count; i++)
		if (!term_matches(&selection->terms[i], object))
			return false;
	if (!selection->labels)
		return true;
	struct string_map labels = labels_of(object);

	return label_selector_matches(selection->labels, &labels);
}
