// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the makers of OpenAPI documents share. A document is built as a tree.

#include "common/api/json.h"
#include "common/api/schema.h"

struct openapi_builder {
	struct arena *arena;
	bool version_3;
	const struct schema_resource *const *resources; // those in the document
	size_t resource_count;
	struct json *definitions;         // by name, in the order of their first use
	const struct schema_type **types; // the same, as types
	size_t type_count;
	size_t type_capacity;
	struct hashmap *known; // names of the types in the list
};

// A reference to a type, which joins the definitions: {"$ref": "…"}.
struct json *openapi_reference(struct openapi_builder *builder, const struct schema_type *type);
// The schema of a type as it stands where it is used: a reference, or the whole of an unnamed one.
struct json *openapi_type(struct openapi_builder *builder, const struct schema_type *type);
// Makes the definitions of all types that were referred to, and of those that they refer to.
void openapi_define_all(struct openapi_builder *builder);
// {"group": …, "kind": …, "version": …}
struct json *openapi_kind(struct arena *arena, const char *group, const char *version, const char *kind);
// A type of apimachinery by its short name ("Status").
const struct schema_type *openapi_meta_type(const char *name);
// The list type of a resource, NULL when the schema has none.
const struct schema_type *openapi_list_type(struct arena *arena, const struct schema_resource *resource);

// Adds the paths of one resource and its subresources to `paths`.
void openapi_add_paths(struct openapi_builder *builder, const struct schema_resource *resource, struct json *paths);

// Takes all resources, sorted by group, version and name.
void openapi_select_resources(struct openapi_builder *builder, const struct schema_resource *const *resources,
                              size_t count);
// The version 2 document as a tree.
struct json *openapi_build_v2(struct openapi_builder *builder);
