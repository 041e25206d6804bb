// SPDX-License-Identifier: Apache-2.0
// Every kind, type, field, enumeration and column must be described: `kubectl
// explain` and the headings of tables show nothing else. What means the same
// everywhere (kind, apiVersion, metadata, the items of lists made here, the
// columns Name and Age) gets its text from this file; whatever is then without
// one is a mistake of the schema.

#include "common/api/schemagen/schemagen.h"

#include <string.h>

struct standard_text {
	const char *name;
	const char *type; // of the field or column; NULL = any
	const char *text;
};

static const struct standard_text standard_fields[] = {
        {"metadata", "ListMeta", "State of the storage that the list shows, and how to get the rest of it."},
        {"metadata", "ObjectMeta", "Name, labels and whatever else every object has."},
};

// Only fields without a protobuf number that the generator adds to kinds.
static const struct standard_text kind_fields[] = {
        {"apiVersion", NULL, "Group and version of the kind, as \"apps/v1\"; the version alone for the core group."},
        {"kind", NULL, "Kind of the object, in CamelCase; the server knows it from the path when it is left out."},
};

static const struct standard_text standard_columns[] = {
        {"Age", "string", "Time since it was created."},
        {"Created At", "date", "When it was created."},
        {"Name", "string", "Name of the object, unique in its namespace."},
};

static bool is_empty(const char *text)
{
	return text == NULL || text[0] == '\0';
}

static const char *find_text(const struct standard_text *texts, size_t count, const char *name, const char *type)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(texts[i].name, name) == 0 && (texts[i].type == NULL || strcmp(texts[i].type, type) == 0))
			return texts[i].text;
	return "";
}

// "meta/v1.ObjectMeta" without its package.
static const char *bare_type(const char *text)
{
	const char *dot = strrchr(text, '.');
	return dot != NULL ? dot + 1 : text;
}

static void supply_fields(struct type *type)
{
	for (size_t i = 0; i < type->field_count; i++) {
		struct field *field = &type->fields[i];
		if (!is_empty(field->doc))
			continue;
		field->doc = type->is_kind && i < ARRAY_SIZE(kind_fields)
		                     ? find_text(kind_fields, ARRAY_SIZE(kind_fields), field->json_name, "")
		                     : find_text(standard_fields, ARRAY_SIZE(standard_fields), field->json_name,
		                                 bare_type(field->type_text));
	}
}

void documentation_supply(struct model *model, struct package *package)
{
	(void)model;
	for (size_t i = 0; i < package->type_count; i++)
		supply_fields(package->types[i]);
	for (size_t i = 0; i < package->resource_count; i++) {
		struct resource *resource = package->resources[i];
		for (size_t j = 0; j < resource->column_count; j++) {
			struct column *column = &resource->columns[j];
			if (is_empty(column->doc))
				column->doc = find_text(standard_columns, ARRAY_SIZE(standard_columns), column->name,
				                        column->type);
		}
	}
}

static void check_type(struct model *model, const struct type *type)
{
	if (is_empty(type->doc))
		model_error(model, type->at, "%s %s has no documentation", type->is_kind ? "kind" : "type", type->name);
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *field = &type->fields[i];
		// An inlined struct shows nothing but its fields, which are described where they stand.
		if (is_empty(field->doc) && field->json_name[0] != '\0')
			model_error(model, field->at, "field \"%s\" of %s has no documentation", field->json_name,
			            type->name);
	}
}

void documentation_check(struct model *model, struct package *package)
{
	for (size_t i = 0; i < package->enum_count; i++)
		if (is_empty(package->enums[i]->doc))
			model_error(model, package->enums[i]->at, "enum %s has no documentation",
			            package->enums[i]->name);
	for (size_t i = 0; i < package->type_count; i++)
		check_type(model, package->types[i]);
	for (size_t i = 0; i < package->resource_count; i++) {
		const struct resource *resource = package->resources[i];
		for (size_t j = 0; j < resource->column_count; j++)
			if (is_empty(resource->columns[j].doc))
				model_error(model, resource->columns[j].at, "column \"%s\" of %s has no documentation",
				            resource->columns[j].name, resource->plural);
	}
}
