// SPDX-License-Identifier: Apache-2.0
#pragma once
// The tables that the schema becomes. common/api/schema/*.schema holds one text
// for each API group and version; common/api/schemagen turns them into
// $(BUILD)/generated/schema_tables.c and the typed views in
// $(BUILD)/generated/api/<group>_<version>.h at build time. A custom resource's
// definition is turned into the same structures at run time: code that walks
// them can't tell the two apart.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_kind {
	SCHEMA_STRING,
	SCHEMA_INT32,
	SCHEMA_INT64,
	SCHEMA_BOOL,
	SCHEMA_DOUBLE,
	SCHEMA_BYTES,    // base64 text in JSON
	SCHEMA_QUANTITY, // text or number
	SCHEMA_INT_OR_STRING,
	SCHEMA_TIME,       // RFC 3339, seconds
	SCHEMA_MICRO_TIME, // RFC 3339, microseconds
	SCHEMA_DURATION,   // Go duration text
	SCHEMA_RAW,        // any JSON, kept as it is
	SCHEMA_STRUCT,
	SCHEMA_LIST,
	SCHEMA_MAP, // keys are strings
	SCHEMA_KIND_COUNT_,
};

enum schema_field_flags {
	SCHEMA_REQUIRED = 1 << 0,
	SCHEMA_OMIT_EMPTY = 1 << 1, // not written when zero (Go's omitempty)
	SCHEMA_POINTER = 1 << 2, // absent differs from zero; the view holds a pointer; every field of a custom resource
	SCHEMA_INLINE = 1 << 3,  // its fields stand in the parent's JSON
	SCHEMA_IMMUTABLE = 1 << 4,
	SCHEMA_PATCH_MERGE = 1 << 5,        // strategic merge: merge by key
	SCHEMA_PATCH_REPLACE_KEYS = 1 << 6, // strategic merge: retainKeys
	SCHEMA_ATOMIC = 1 << 7,             // map or struct owned as a whole
	SCHEMA_DEPRECATED = 1 << 8,
	SCHEMA_NULLABLE = 1 << 9,
	SCHEMA_INLINED =
	        1 << 10, // a copy of a member of the inlined struct, whose own row (SCHEMA_INLINE) stands before it
	SCHEMA_PATCH_REPLACE = 1 << 11, // strategic merge: replaced as a whole, where merging would be the rule
	SCHEMA_GRANULAR = 1 << 12,      // owned by its members, and published as such
	SCHEMA_LIST_TYPE = 1 << 13,     // list_type is published; it is atomic, and isn't, where nothing was said
};

enum schema_list_type {
	SCHEMA_LIST_ATOMIC,
	SCHEMA_LIST_SET,
	SCHEMA_LIST_MAP,
};

struct jsonpath;
struct schema_type;
struct structural;

// An inlined struct appears twice in its outer type's fields: as one row with an
// empty name (SCHEMA_INLINE: a nested message in protobuf, nothing in JSON), and
// flattened as rows of the outer JSON object and view (SCHEMA_INLINED). JSON and
// view code skips the first, protobuf code the second. kind and apiVersion are
// rows without a protobuf number.
struct schema_field {
	const char *json_name; // "" for an inlined struct
	const struct schema_type *type;
	uint32_t flags;
	uint32_t proto_number;          // 0 = not in protobuf
	uint32_t view_offset;           // of the member in the typed view
	uint8_t list_type;              // enum schema_list_type
	const char *const *list_keys;   // NULL-terminated, for SCHEMA_LIST_MAP
	const char *patch_merge_key;    // strategic merge key, NULL = none
	const char *default_json;       // static default as JSON text, NULL = none
	const char *const *enum_values; // NULL-terminated, NULL = open
	const char *feature_gate;       // NULL = always
	const char *doc;                // one line, may be ""
};

struct schema_type {
	const char *name;         // "Pod"
	const char *openapi_name; // "io.k8s.api.core.v1.Pod"
	const char *group;        // "" for core; NULL for anonymous types
	const char *version;
	enum schema_kind kind;
	const struct schema_field *fields; // SCHEMA_STRUCT: in declaration order
	const uint16_t *fields_by_name;    // indices of the rows that have a name, sorted by it
	size_t field_count;
	size_t name_count; // entries of fields_by_name
	const struct schema_type
	        *element;      // SCHEMA_LIST, SCHEMA_MAP; SCHEMA_RAW: NULL, or the type that objects in it have
	size_t view_size;      // of the typed view
	bool preserve_unknown; // custom resources: keep fields that the schema doesn't know
	bool embedded_object;
	bool atomic; // owned as a whole wherever it stands
	const char *doc;
	const struct structural *structural; // of a custom resource's table (structural.h), NULL for built-in types
};

// The scalar types, for tables made at run time.
extern const struct schema_type schema_type_string, schema_type_int32, schema_type_int64, schema_type_bool,
        schema_type_double, schema_type_bytes, schema_type_quantity, schema_type_int_or_string, schema_type_time,
        schema_type_micro_time, schema_type_duration, schema_type_raw;

enum schema_verb {
	VERB_CREATE = 1 << 0,
	VERB_GET = 1 << 1,
	VERB_LIST = 1 << 2,
	VERB_WATCH = 1 << 3,
	VERB_UPDATE = 1 << 4,
	VERB_PATCH = 1 << 5,
	VERB_DELETE = 1 << 6,
	VERB_DELETE_COLLECTION = 1 << 7,
};

struct schema_subresource {
	const char *name; // "status", "scale", "exec", …
	const char *body_group;
	const char *body_version;
	const char *body_kind;
	const struct schema_type *body_type; // NULL for streams
	uint32_t verbs;
};

struct schema_column {
	const char *name;   // "Ready"
	const char *type;   // "string", "integer", "date"
	const char *format; // "name" or ""
	int priority;       // 0 normal, 1 wide
	const char *doc;
	const char *json_path;              // custom resources; NULL for built-in kinds, whose cells are functions
	const struct jsonpath *parsed_path; // the same, parsed
};

struct schema_selectable_field {
	const char *label;     // "spec.nodeName", "status.phase", "involvedObject.name"
	const char *json_path; // dotted path in the object, "status.podIPs[0].ip"; "" = accepted, always empty
};

struct schema_resource {
	const char *group; // "" for core
	const char *version;
	const char *kind;
	const char *list_kind;
	const char *plural;
	const char *singular;
	const char *const *short_names; // NULL-terminated
	const char *const *categories;  // NULL-terminated
	bool namespaced;
	bool enabled_by_default;
	bool has_status;           // status kept apart by the status subresource
	bool generation;           // metadata.generation counts changes of generation_paths
	bool generation_on_create; // and is 1 from the start
	const char *const
	        *generation_paths; // NULL-terminated: "spec", "metadata.annotations", "*" for all but metadata
	bool allow_create_on_update;
	bool allow_unconditional_update;
	uint32_t verbs; // enum schema_verb
	const struct schema_subresource *subresources;
	size_t subresource_count;
	const struct schema_type *type;
	const char *storage_prefix; // "/registry/pods" (upstream's: minions, services/specs, …); NULL: not stored
	const char *storage_group;  // group and version of the stored object: events.k8s.io keeps its events as core's
	const char *storage_version;
	const char *storage_version_hash;
	const struct schema_column *columns;
	size_t column_count;
	const struct schema_selectable_field *selectable_fields; // besides metadata.name and metadata.namespace
	size_t selectable_field_count;
	const char *feature_gate;
	const char *deprecation_warning; // Warning header on use, NULL = none
	const char *doc;
};

// All built-in resources and types, sorted (group, version, plural) and (openapi_name).
extern const struct schema_resource *const schema_resources[];
extern const size_t schema_resource_count;
extern const struct schema_type *const schema_types[];
extern const size_t schema_type_count;

// The texts that the doc members of the built-in tables point into.
extern const char schema_documentation[];
extern const size_t schema_documentation_length;
// For programs that don't read them: keeps their pages out of memory until somebody does after all.
void schema_set_aside_documentation(void);

// Look-ups; NULL = none. `group` is "" for core.
const struct schema_resource *schema_find_resource(const char *group, const char *version, const char *plural);
const struct schema_resource *schema_find_kind(const char *group, const char *version, const char *kind);
// The preferred version of a group, by upstream's order ("v2" of autoscaling).
const char *schema_preferred_version(const char *group);
// Upstream's order of versions: negative when `a` goes before `b` (v2, v1, v1beta2, v1beta1, v1alpha1, others by name).
int schema_compare_versions(const char *a, const char *b);
const struct schema_subresource *schema_find_subresource(const struct schema_resource *resource, const char *name);
const struct schema_type *schema_find_type(const char *openapi_name);
// By JSON name through inlined structs; NULL = unknown. `ret_offset` (may be NULL): offset from the outer view.
const struct schema_field *schema_find_field(const struct schema_type *type, const char *json_name, size_t length,
                                             size_t *ret_offset);
