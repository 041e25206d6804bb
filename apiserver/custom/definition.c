// SPDX-License-Identifier: Apache-2.0
// From a definition's JSON to tables. The tree is only borrowed: texts are copied into
// the definition's own arena, so that a definition costs what its tables cost. The
// JSON itself stays where it is anyway, in the watch cache's buffer.

#include "apiserver/custom/definition.h"

#include <openssl/sha.h>
#include <stdatomic.h>
#include <string.h>

#include "apiserver/custom/conversion.h"
#include "apiserver/custom/definition_rules.h"
#include "apiserver/storage/storage.h"
#include "common/api/json_path.h"
#include "common/api/object.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/cel/regex.h"

enum {
	DEFINITION_ARENA_BYTES = 16 << 10,
	DEFINITION_MAX_BYTES = 16 << 20,
	STORAGE_HASH_BYTES = 8,
};

#define ALL_VERBS                                                                                   \
	(VERB_CREATE | VERB_GET | VERB_LIST | VERB_WATCH | VERB_UPDATE | VERB_PATCH | VERB_DELETE | \
	 VERB_DELETE_COLLECTION)

// --- patterns -----------------------------------------------------------------------------

static const void *compile_pattern(struct arena *arena, const char *text, struct err *err)
{
	const struct cel_regex *regex = NULL;

	return cel_regex_compile(arena, text, strlen(text), &regex, err) == 0 ? regex : NULL;
}

static bool match_pattern(const void *pattern, const char *text, size_t length)
{
	return cel_regex_matches(pattern, text, length);
}

const struct structural_patterns definition_patterns = {compile_pattern, match_pattern};

// --- fingerprints ------------------------------------------------------------------------

uint64_t definition_fingerprint(const struct json *tree, const struct json *accepted)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(DEFINITION_MAX_BYTES);

	json_write(&text, json_get(tree, "spec"));
	if (accepted)
		json_write(&text, accepted);
	strbuf_append_text(&text, object_is_being_deleted(tree) ? "-" : "+");
	return fnv64a(strbuf_text(&text), text.length);
}

// --- names and columns -------------------------------------------------------------------

static const char *copy_text(struct arena *arena, const struct json *object, const char *key)
{
	const char *text = json_get_text(object, key);

	return arena_strdup(arena, text ? text : "");
}

static const char *const *copy_texts(struct arena *arena, const struct json *list)
{
	uint32_t count = json_is(list, JSON_ARRAY) ? list->length : 0;
	const char **texts = ARENA_ARRAY(arena, const char *, count + 1);
	size_t kept = 0;

	json_for_each_item (item, list)
		if (json_text(item))
			texts[kept++] = arena_strdup(arena, json_text(item));
	return texts;
}

static struct schema_column read_column(struct arena *arena, const struct json *column)
{
	struct schema_column result = {.name = copy_text(arena, column, "name"),
	                               .type = copy_text(arena, column, "type"),
	                               .format = copy_text(arena, column, "format"),
	                               .doc = copy_text(arena, column, "description"),
	                               .json_path = copy_text(arena, column, "jsonPath")};
	struct jsonpath *path = NULL;
	int64_t priority = 0;

	if (json_get_integer(column, "priority", &priority))
		result.priority = (int)priority;
	if (jsonpath_parse(arena, arena_printf(arena, "{%s}", result.json_path), &path, NULL) == 0)
		result.parsed_path = path;
	return result;
}

static void read_columns(struct arena *arena, const struct json *version, struct schema_resource *resource)
{
	static const char age[] = "{.metadata.creationTimestamp}";
	const struct json *columns = json_get(version, "additionalPrinterColumns");
	uint32_t count = json_is(columns, JSON_ARRAY) ? columns->length : 0;
	struct schema_column *all = ARENA_ARRAY(arena, struct schema_column, count + 2);
	struct jsonpath *path = NULL;
	size_t kept = 0;

	all[kept++] = (struct schema_column){
	        .name = "Name", .type = "string", .format = "name", .doc = "The name of the object."};
	json_for_each_item (column, columns)
		all[kept++] = read_column(arena, column);
	if (!count) {
		(void)!jsonpath_parse(arena, age, &path, NULL);
		all[kept++] = (struct schema_column){.name = "Age",
		                                     .type = "date",
		                                     .format = "",
		                                     .doc = "When the object was created.",
		                                     .json_path = ".metadata.creationTimestamp",
		                                     .parsed_path = path};
	}
	resource->columns = all;
	resource->column_count = kept;
}

static bool has_selectable(const struct schema_selectable_field *fields, size_t count, const char *label)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(fields[i].label, label))
			return true;
	return false;
}

// Adds to what is there. ".spec.host" is selected by as "spec.host".
static void read_selectable(struct arena *arena, const struct json *version, struct schema_resource *resource)
{
	const struct json *list = json_get(version, "selectableFields");
	uint32_t count = json_is(list, JSON_ARRAY) ? list->length : 0;
	struct schema_selectable_field *all =
	        ARENA_ARRAY(arena, struct schema_selectable_field, resource->selectable_field_count + count + 1);
	size_t kept = resource->selectable_field_count;

	if (kept)
		memcpy(all, resource->selectable_fields, kept * sizeof(*all));
	json_for_each_item (item, list) {
		const char *path = json_get_text(item, "jsonPath");

		if (!path)
			continue;
		path = arena_strdup(arena, *path == '.' ? path + 1 : path);
		if (!has_selectable(all, kept, path))
			all[kept++] = (struct schema_selectable_field){.label = path, .json_path = path};
	}
	resource->selectable_fields = all;
	resource->selectable_field_count = kept;
}

// --- subresources ------------------------------------------------------------------------

static const char *dotted(struct arena *arena, const struct json *scale, const char *key)
{
	const char *path = json_get_text(scale, key);

	if (!path || !path[0])
		return NULL;
	return arena_strdup(arena, *path == '.' ? path + 1 : path);
}

static const struct definition_scale *read_scale(struct arena *arena, const struct json *scale)
{
	struct definition_scale *result = ARENA_NEW(arena, struct definition_scale);

	*result = (struct definition_scale){dotted(arena, scale, "specReplicasPath"),
	                                    dotted(arena, scale, "statusReplicasPath"),
	                                    dotted(arena, scale, "labelSelectorPath")};
	return result->spec_replicas && result->status_replicas ? result : NULL;
}

static void read_subresources(struct arena *arena, const struct json *version, struct definition_version *result)
{
	const struct json *scale = json_path(version, "subresources", "scale");
	struct schema_resource *resource = &result->resource;
	struct schema_subresource *all = ARENA_ARRAY(arena, struct schema_subresource, 2);
	const uint32_t verbs = VERB_GET | VERB_UPDATE | VERB_PATCH;

	resource->subresources = all;
	if (json_is(json_path(version, "subresources", "status"), JSON_OBJECT)) {
		resource->has_status = true;
		all[resource->subresource_count++] = (struct schema_subresource){
		        "status", resource->group, resource->version, resource->kind, resource->type, verbs};
	}
	result->scale = json_is(scale, JSON_OBJECT) ? read_scale(arena, scale) : NULL;
	if (result->scale)
		all[resource->subresource_count++] = (struct schema_subresource){
		        "scale", "autoscaling", "v1", "Scale", schema_find_type("io.k8s.api.autoscaling.v1.Scale"),
		        verbs};
}

// --- deprecation -------------------------------------------------------------------------

static const char *replacement(const struct json *versions, const char *deprecated)
{
	const char *best = NULL;

	json_for_each_item (version, versions) {
		const char *name = json_get_text(version, "name");

		if (!name || !json_get_bool(version, "served", false) || json_get_bool(version, "deprecated", false) ||
		    schema_compare_versions(name, deprecated) >= 0)
			continue;
		if (!best || schema_compare_versions(name, best) < 0)
			best = name;
	}
	return best;
}

static const char *deprecation(struct arena *arena, const struct json *versions, const struct json *version,
                               const struct schema_resource *resource)
{
	const char *text = json_get_text(version, "deprecationWarning"), *better;

	if (!json_get_bool(version, "deprecated", false))
		return NULL;
	if (text)
		return arena_strdup(arena, text);
	text = arena_printf(arena, "%s/%s %s is deprecated", resource->group, resource->version, resource->kind);
	better = replacement(versions, resource->version);
	return better ? arena_printf(arena, "%s; use %s/%s %s", text, resource->group, better, resource->kind) : text;
}

// --- versions ----------------------------------------------------------------------------

static const char *storage_hash(struct arena *arena, const char *group, const char *version, const char *kind)
{
	const char *name = arena_printf(arena, "%s/%s/%s", group, version, kind);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64);
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)name, strlen(name), hash);
	base64_encode(&text, hash, STORAGE_HASH_BYTES);
	return arena_strdup(arena, strbuf_text(&text));
}

// What all versions have in common.
static struct schema_resource common_resource(struct definition *definition, const struct json *spec,
                                              const struct json *names)
{
	struct arena *arena = definition->arena;

	return (struct schema_resource){
	        .group = definition->group,
	        .kind = copy_text(arena, names, "kind"),
	        .list_kind = copy_text(arena, names, "listKind"),
	        .plural = definition->plural,
	        .singular = copy_text(arena, names, "singular"),
	        .short_names = copy_texts(arena, json_get(names, "shortNames")),
	        .categories = copy_texts(arena, json_get(names, "categories")),
	        .namespaced = !strcmp(copy_text(arena, spec, "scope"), "Namespaced"),
	        .enabled_by_default = true,
	        .generation = true,
	        .generation_on_create = true,
	        .verbs = ALL_VERBS,
	        .storage_prefix = arena_printf(arena, "/registry/%s/%s", definition->group, definition->plural),
	        .storage_group = definition->group,
	        .doc = "",
	};
}

static void name_type(struct arena *arena, struct schema_type *type, const struct schema_resource *resource)
{
	const char *parts = "", *rest = resource->group;

	// "stable.example.com" → "com.example.stable"
	while (*rest) {
		size_t length = strcspn(rest, ".");

		parts = arena_printf(arena, "%.*s%s%s", (int)length, rest, parts[0] ? "." : "", parts);
		rest += length + (rest[length] == '.');
	}
	type->name = resource->kind;
	type->group = resource->group;
	type->version = resource->version;
	type->openapi_name = arena_printf(arena, "%s.%s.%s", parts, resource->version, resource->kind);
}

// The declared schema, read again from the definition's own text.
static const struct json *load_schema(const struct structural_source *source, struct arena *arena)
{
	const struct definition_version *version = container_of(source, struct definition_version, source);
	const struct blob *text = version->definition->source->json;
	struct json *tree = NULL;

	if (json_parse(arena, text->data, text->length, NULL, &tree, NULL) < 0)
		return NULL;
	json_for_each_item (candidate, json_path(tree, "spec", "versions"))
		if (!strcmp(version->resource.version, copy_text(arena, candidate, "name")))
			return json_path(candidate, "schema", "openAPIV3Schema");
	return NULL;
}

static void read_version(struct definition *definition, const struct json *spec, const struct json *version,
                         const struct schema_resource *common, struct definition_version *result)
{
	struct arena *arena = definition->arena;
	const struct json *schema = json_path(version, "schema", "openAPIV3Schema");
	struct schema_resource *resource = &result->resource;

	*result = (struct definition_version){
	        .definition = definition, .resource = *common, .served = json_get_bool(version, "served", false)};
	resource->version = copy_text(arena, version, "name");
	result->schema = structural_build(arena, schema, &definition_patterns);
	// As definitions that are older than schemas: everything may be there.
	if (!schema || json_get_bool(spec, "preserveUnknownFields", false))
		result->schema->preserve_unknown = result->schema->type.preserve_unknown = true;
	result->source.load = load_schema;
	result->schema->source = &result->source;
	name_type(arena, &result->schema->type, resource);
	resource->type = &result->schema->type;
	resource->deprecation_warning = deprecation(arena, json_get(spec, "versions"), version, resource);
	read_columns(arena, version, resource);
	read_selectable(arena, version, resource);
	read_subresources(arena, version, result);
	if (schema)
		result->rules = definition_rules_new(arena, result->schema, schema);
}

// The storage version is known now; what storage keeps is it with every version's fields.
static void settle_storage(struct definition *definition, const struct json *versions)
{
	struct arena *arena = definition->arena;
	size_t i = 0;

	definition->stored = *definition->storage;
	json_for_each_item (version, versions) {
		read_selectable(arena, version, &definition->stored.resource);
		definition->versions[i].resource.storage_version = definition->storage->resource.version;
		definition->versions[i].resource.storage_version_hash =
		        storage_hash(arena, definition->group, definition->storage->resource.version,
		                     definition->storage->resource.kind);
		i++;
	}
	definition->stored.resource.storage_version = definition->storage->resource.version;
}

static void read_versions(struct definition *definition, const struct json *spec, const struct json *accepted)
{
	const struct json *versions = json_get(spec, "versions");
	struct schema_resource common = common_resource(definition, spec, accepted);

	definition->versions = ARENA_ARRAY(definition->arena, struct definition_version,
	                                   json_is(versions, JSON_ARRAY) ? versions->length + 1 : 1);
	json_for_each_item (version, versions) {
		struct definition_version *result = &definition->versions[definition->version_count++];

		read_version(definition, spec, version, &common, result);
		if (json_get_bool(version, "storage", false))
			definition->storage = result;
	}
	if (definition->storage)
		settle_storage(definition, versions);
}

struct definition *definition_new(struct stored_object *source, const struct json *tree, const struct json *accepted,
                                  struct err *err)
{
	const struct json *spec = json_get(tree, "spec"), *conversion = json_get(spec, "conversion");
	const char *strategy = json_get_text(conversion, "strategy");
	struct arena *arena = arena_new(DEFINITION_ARENA_BYTES);
	struct definition *definition = ARENA_NEW(arena, struct definition);

	atomic_init(&definition->references, 1);
	definition->arena = arena;
	definition->source = stored_object_ref(source);
	definition->name = arena_strdup(arena, object_name(tree) ? object_name(tree) : "");
	definition->group = copy_text(arena, spec, "group");
	definition->plural = copy_text(arena, json_get(spec, "names"), "plural");
	definition->terminating = object_is_being_deleted(tree);
	definition->fingerprint = definition_fingerprint(tree, accepted);
	if (strategy && !strcmp(strategy, "Webhook") && json_is(json_get(conversion, "webhook"), JSON_OBJECT))
		definition->webhook = json_clone(arena, json_get(conversion, "webhook"));
	read_versions(definition, spec, accepted);
	for (size_t i = 0; definition->webhook && i < definition->version_count; i++)
		definition->versions[i].converted = conversion_cache_new(&definition->versions[i].resource);
	if (definition->storage)
		return definition;
	err_set(err, ERR_INVALID, "no version is marked as the storage version");
	return definition_unref(definition);
}

struct definition *definition_ref(struct definition *definition)
{
	if (definition)
		atomic_fetch_add(&definition->references, 1);
	return definition;
}

struct definition *definition_unref(struct definition *definition)
{
	if (!definition || atomic_fetch_sub(&definition->references, 1) > 1)
		return NULL;
	for (size_t i = 0; i < definition->version_count; i++) {
		definition_rules_free(definition->versions[i].rules);
		conversion_cache_free(definition->versions[i].converted);
	}
	stored_object_unref(definition->source);
	arena_free(definition->arena);
	return NULL;
}

const struct definition_version *definition_find_version(const struct definition *definition, const char *name)
{
	for (size_t i = 0; name && i < definition->version_count; i++)
		if (!strcmp(definition->versions[i].resource.version, name))
			return &definition->versions[i];
	return NULL;
}

// --- between versions ----------------------------------------------------------------------

bool definition_asks_webhook(const struct schema_resource *resource)
{
	const struct definition_version *version = definition_version_of(resource);

	return version && version->definition->webhook;
}

bool definition_must_convert(const struct schema_resource *resource)
{
	const struct definition_version *version = definition_version_of(resource);

	return version && !version->definition->webhook &&
	       strcmp(resource->version, version->definition->storage->resource.version);
}

bool definition_is_read_as_written(const struct schema_resource *resource)
{
	return !definition_must_convert(resource) && !definition_asks_webhook(resource);
}

void definition_convert(struct arena *arena, const struct definition_version *target, struct json *object)
{
	json_set_text(arena, object, "apiVersion",
	              arena_printf(arena, "%s/%s", target->resource.group, target->resource.version));
	if (!structural_is_settled(target->schema, object))
		structural_prune(target->schema, object);
}

// The version that the object says it is of; of one that is gone, the storage version's rules apply.
static const struct definition_version *version_of_object(const struct definition *definition,
                                                          const struct json *object)
{
	const char *api_version = object_api_version(object);
	const char *slash = api_version ? strchr(api_version, '/') : NULL;
	const struct definition_version *version = definition_find_version(definition, slash ? slash + 1 : NULL);

	return version ? version : definition->storage;
}

bool definition_read_stored(const struct definition *definition, struct arena *arena, struct json *object)
{
	const struct definition_version *written = version_of_object(definition, object);
	struct json *metadata;
	bool changed = false;

	if (!structural_is_settled(written->schema, object)) {
		(void)!structural_normalize(arena, written->schema, object, true, NULL, NULL);
		structural_default(arena, written->schema, object);
		changed = true;
	}
	metadata = json_get(object, "metadata");
	if (json_is(metadata, JSON_OBJECT) && !json_get(metadata, "generation")) {
		json_set_integer(arena, metadata, "generation", 1);
		changed = true;
	}
	if (definition->webhook || written == definition->storage)
		return changed;
	definition_convert(arena, definition->storage, object);
	return true;
}
