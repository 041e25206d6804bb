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
	struct hashmap *known;          // names of the types in the list
	struct json *shared_parameters; // version 2: parameters that paths refer to
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

// Custom resources: the definition of one, as it was declared, and the type of their lists.
struct json *openapi_custom_schema(struct openapi_builder *builder, const struct schema_type *type);
const struct schema_type *openapi_custom_list_type(struct arena *arena, const struct schema_resource *resource);

// x-kubernetes-unions, for the types that have a discriminator.
void openapi_add_unions(struct arena *arena, const struct schema_type *type, struct json *schema);
// A kind in every group and version that there ever was: [{"group": …}, …].
struct json *openapi_kinds_everywhere(struct arena *arena, const char *kind);

// The parameters that operations have, by set.
enum openapi_parameters {
	OPENAPI_PARAMETERS_LIST = 1 << 0,
	OPENAPI_PARAMETERS_WATCH = 1 << 1,
	OPENAPI_PARAMETERS_WRITE = 1 << 2, // dryRun, fieldManager, fieldValidation
	OPENAPI_PARAMETERS_APPLY = 1 << 3, // these and force
	OPENAPI_PARAMETERS_DELETE = 1 << 4,
	OPENAPI_PARAMETERS_PRETTY = 1 << 5,
	OPENAPI_PARAMETERS_NAME = 1 << 6, // of the path
	OPENAPI_PARAMETERS_NAMESPACE = 1 << 7,
	OPENAPI_PARAMETERS_TAIL = 1 << 8,
};
void openapi_add_parameters(struct openapi_builder *builder, struct json *parameters, unsigned sets);
// Those of a stream, by the fields of its options' type.
void openapi_add_option_parameters(struct openapi_builder *builder, struct json *parameters,
                                   const struct schema_type *options);
// Moves what all operations of a path have to the path itself; in version 2 leaves references.
void openapi_hoist_parameters(struct openapi_builder *builder, struct json *item);

// The names of a group: "Apps", "RbacAuthorization", "Core".
const char *openapi_group_title(struct arena *arena, const char *group);
const char *openapi_group_tag(struct arena *arena, const char *group); // with a small letter
// {"type": TEXT}
struct json *openapi_plain(struct arena *arena, const char *type);
struct json *openapi_text_list(struct arena *arena, const char *const *texts);
// One answer of an operation, in the form of the version; a NULL schema has no content.
void openapi_add_answer(struct openapi_builder *builder, struct json *operation, const char *code,
                        const char *description, const char *const *types, struct json *schema);

// The paths that aren't resources: discovery, /version and the like. Version 3
// has a document for each ("api", "apis/apps", …); NULL = all of them.
void openapi_add_fixed_paths(struct openapi_builder *builder, const char *document, struct json *paths);
// Calls `visit` with the name of each such document.
typedef void openapi_document_visitor(void *context, const char *document);
void openapi_each_fixed_document(struct openapi_builder *builder, openapi_document_visitor *visit, void *context);
// The path that lists the resources of a group and version: that of `resource`.
void openapi_add_group_version(struct openapi_builder *builder, const struct schema_resource *resource,
                               struct json *paths);

// Adds the paths of one resource and its subresources to `paths`.
void openapi_add_paths(struct openapi_builder *builder, const struct schema_resource *resource, struct json *paths);

// Takes all resources, sorted by group, version and name.
void openapi_select_resources(struct openapi_builder *builder, const struct schema_resource *const *resources,
                              size_t count);
// The version 2 document as a tree.
struct json *openapi_build_v2(struct openapi_builder *builder);
