// SPDX-License-Identifier: Apache-2.0
// What decoding does to a custom resource: metadata is read as every object's, unknown
// fields fall out, nulls that nobody asked for fall out, defaults come in.
//
// Unlike built-in kinds, wrong types are no decoding errors: validation reports them
// all at once. Unknown fields are noted in upstream's order: the object's own
// metadata, then the pruned fields by path, then the metadata of embedded objects.

#include "common/api/structural.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/field_path.h"

#define OBJECT_META "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
#define PATH_MAX_BYTES 4096

struct pruner {
	struct arena *arena;          // NULL: nothing is noted
	struct decode_issues *issues; // NULL: nothing is noted
};

struct coercer {
	struct arena *arena;
	struct decode_issues *issues;
	bool drop_invalid;
	struct err *err;
};

static bool is_object_field(const char *name)
{
	return !strcmp(name, "apiVersion") || !strcmp(name, "kind") || !strcmp(name, "metadata");
}

// --- pruning ---------------------------------------------------------------------------

static void note(const struct pruner *pruner, const struct field_path *path, const char *key)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(PATH_MAX_BYTES);

	if (!pruner->issues)
		return;
	field_path_write(&text, path, key);
	decode_issues_add(pruner->arena, pruner->issues, "unknown field", strbuf_text(&text));
}

static void prune(const struct pruner *pruner, const struct structural *node, bool keep, struct json *value,
                  const struct field_path *path);

static void prune_items(const struct pruner *pruner, const struct structural *node, bool keep, struct json *value,
                        const struct field_path *path)
{
	for (uint32_t i = 0; i < value->length; i++) {
		struct field_path here = FIELD_PATH_INDEX(path, i);

		prune(pruner, node ? node->items : NULL, keep, value->items[i], &here);
	}
}

// Whether the member stays.
static bool prune_member(const struct pruner *pruner, const struct structural *node, bool keep,
                         const struct json_member *member, const struct field_path *path)
{
	const struct structural *below;
	struct field_path here = FIELD_PATH_KEY(path, member->key);

	if (node && (node->embedded || node->root) && is_object_field(member->key))
		return true;
	below = node ? structural_property(node, member->key, member->key_length) : NULL;
	if (!below && (!node || !node->additional)) {
		if (!keep && (path || !is_object_field(member->key)))
			note(pruner, path, member->key);
		return keep;
	}
	prune(pruner, below ? below : node->element, false, member->value, &here);
	return true;
}

// `keep`: unknown fields of this value stay, as an ancestor list says.
static void prune(const struct pruner *pruner, const struct structural *node, bool keep, struct json *value,
                  const struct field_path *path)
{
	uint32_t kept = 0;

	keep = keep || (node && node->preserve_unknown);
	if (keep && !node)
		return;
	if (value->type == JSON_ARRAY) {
		prune_items(pruner, node, keep, value, path);
		return;
	}
	if (value->type != JSON_OBJECT)
		return;
	for (uint32_t i = 0; i < value->length; i++)
		if (prune_member(pruner, node, keep, &value->members[i], path))
			value->members[kept++] = value->members[i];
	value->length = kept;
}

void structural_prune(const struct structural *root, struct json *value)
{
	prune(&(struct pruner){0}, root, false, value, NULL);
}

// --- metadata ----------------------------------------------------------------------------

// Reads {"metadata": …} by the type of metadata, so that paths begin with it.
static int read_metadata(struct arena *arena, struct json *holder, struct decode_issues *issues, struct err *err)
{
	static const uint16_t by_name[] = {0};
	const struct schema_field field = {
	        .json_name = "metadata", .type = schema_find_type(OBJECT_META), .flags = SCHEMA_POINTER, .doc = ""};
	const struct schema_type type = {.name = "ObjectMeta",
	                                 .kind = SCHEMA_STRUCT,
	                                 .fields = &field,
	                                 .fields_by_name = by_name,
	                                 .field_count = 1,
	                                 .name_count = 1,
	                                 .doc = ""};

	return schema_normalize(arena, &type, holder, issues, err);
}

static void note_prefixed(const struct coercer *coercer, const struct decode_issues *found,
                          const struct field_path *path)
{
	static const char head[] = "unknown field \"";
	AUTO_STRBUF struct strbuf prefix = STRBUF_INIT(PATH_MAX_BYTES);

	if (!coercer->issues)
		return;
	field_path_write(&prefix, path, NULL);
	for (size_t i = 0; i < found->count; i++) {
		const char *rest = found->texts[i] + sizeof(head) - 1;

		decode_issues_add(coercer->arena, coercer->issues, "unknown field",
		                  arena_printf(coercer->arena, "%s%s%.*s", strbuf_text(&prefix),
		                               prefix.length ? "." : "", (int)strlen(rest) - 1, rest));
	}
}

// Keeps the members that can be read one by one.
static struct json *salvage(const struct coercer *coercer, const struct json *metadata)
{
	struct json *kept = json_object(coercer->arena);

	json_for_each_member (member, metadata) {
		struct json *holder = json_object(coercer->arena);
		struct json *single = json_ensure_object(coercer->arena, holder, "metadata");

		json_set_n(coercer->arena, single, member->key, member->key_length,
		           json_clone(coercer->arena, member->value));
		if (read_metadata(coercer->arena, holder, NULL, NULL) == 0 && single->length)
			json_set_n(coercer->arena, kept, member->key, member->key_length, single->members[0].value);
	}
	return kept;
}

static int coerce_metadata(const struct coercer *coercer, struct json *object, const struct field_path *path)
{
	struct json *metadata = json_get(object, "metadata"), *holder;
	struct decode_issues found = {0};
	struct err err = ERR_INIT;

	if (!metadata)
		return 0;
	holder = json_object(coercer->arena);
	json_set(coercer->arena, holder, "metadata", json_clone(coercer->arena, metadata));
	if (read_metadata(coercer->arena, holder, &found, &err) == 0) {
		struct json *clean = json_get(holder, "metadata");

		note_prefixed(coercer, &found, path);
		json_set(coercer->arena, object, "metadata", clean ? clean : json_object(coercer->arena));
		return 0;
	}
	if (!coercer->drop_invalid) {
		AUTO_STRBUF struct strbuf text = STRBUF_INIT(PATH_MAX_BYTES);

		field_path_write(&text, path, "metadata");
		return err_set(coercer->err, ERR_PARSE, "%s: %s", strbuf_text(&text), err.message);
	}
	json_set(coercer->arena, object, "metadata", salvage(coercer, metadata));
	return 0;
}

// kind and apiVersion are texts.
static int coerce_identity(const struct coercer *coercer, struct json *object, const struct field_path *path)
{
	static const char *const names[] = {"apiVersion", "kind"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct json *value = json_get(object, names[i]);
		AUTO_STRBUF struct strbuf text = STRBUF_INIT(PATH_MAX_BYTES);

		if (!value || json_is(value, JSON_STRING))
			continue;
		if (coercer->drop_invalid) {
			json_remove(object, names[i]);
			continue;
		}
		field_path_write(&text, path, names[i]);
		return err_set(coercer->err, ERR_PARSE, "%s: must be a string", strbuf_text(&text));
	}
	return 0;
}

static int coerce(const struct coercer *coercer, const struct structural *node, struct json *value,
                  const struct field_path *path)
{
	int result = 0;

	if (!node)
		return 0;
	if (node->embedded && !node->root && value->type == JSON_OBJECT) {
		result = coerce_identity(coercer, value, path);
		if (result == 0)
			result = coerce_metadata(coercer, value, path);
	}
	for (uint32_t i = 0; result == 0 && value->type == JSON_ARRAY && i < value->length; i++) {
		struct field_path here = FIELD_PATH_INDEX(path, i);

		result = coerce(coercer, node->items, value->items[i], &here);
	}
	for (uint32_t i = 0; result == 0 && value->type == JSON_OBJECT && i < value->length; i++) {
		const struct json_member *member = &value->members[i];
		struct field_path here = FIELD_PATH_KEY(path, member->key);

		result =
		        coerce(coercer, structural_member(node, member->key, member->key_length), member->value, &here);
	}
	return result;
}

// --- all of it -----------------------------------------------------------------------------

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void append_sorted(struct arena *arena, struct decode_issues *issues, const struct decode_issues *more)
{
	static const char head[] = "unknown field \"";

	if (more->count > 1)
		qsort(more->texts, more->count, sizeof(*more->texts), compare_texts);
	for (size_t i = 0; i < more->count; i++) {
		const char *rest = more->texts[i] + sizeof(head) - 1;

		decode_issues_add(arena, issues, "unknown field", arena_strndup(arena, rest, strlen(rest) - 1));
	}
}

int structural_normalize(struct arena *arena, const struct structural *root, struct json *value, bool drop_invalid,
                         struct decode_issues *issues, struct err *err)
{
	struct decode_issues pruned = {0}, embedded = {0};
	struct coercer coercer = {arena, issues, drop_invalid, err};
	struct pruner pruner = {arena, issues ? &pruned : NULL};
	int result;

	if (value->type != JSON_OBJECT)
		return field_path_type_error(NULL, &root->type, value, err);
	result = coerce_metadata(&coercer, value, NULL);
	if (result < 0)
		return result;
	prune(&pruner, root, false, value, NULL);
	coercer.issues = issues ? &embedded : NULL;
	result = coerce(&coercer, root, value, NULL);
	if (result < 0 || !issues)
		return result;
	append_sorted(arena, issues, &pruned);
	append_sorted(arena, issues, &embedded);
	return 0;
}

// --- defaults ------------------------------------------------------------------------------

static bool is_unwanted_null(const struct json *value, const struct structural *node)
{
	return value->type == JSON_NULL && node && !node->nullable;
}

// Metadata of whole objects is no part of the schema.
static const struct structural *schema_of(const struct structural *node, const struct json_member *member)
{
	return node ? structural_member(node, member->key, member->key_length) : NULL;
}

static void drop_nulls(const struct structural *node, struct json *value)
{
	uint32_t kept = 0;

	if (!node)
		return;
	if (value->type == JSON_ARRAY) {
		for (uint32_t i = 0; i < value->length; i++)
			drop_nulls(node->items, value->items[i]);
		return;
	}
	if (value->type != JSON_OBJECT)
		return;
	for (uint32_t i = 0; i < value->length; i++) {
		const struct json_member *member = &value->members[i];
		const struct structural *below = schema_of(node, member);

		if (is_unwanted_null(member->value, below) && !below->default_value)
			continue;
		drop_nulls(below, member->value);
		value->members[kept++] = *member;
	}
	value->length = kept;
}

static void set_default(struct arena *arena, const struct structural *node, struct json *value)
{
	if (is_unwanted_null(value, node) && node->default_value)
		json_assign(value, json_clone(arena, node->default_value));
}

static void add_defaults(struct arena *arena, const struct structural *node, struct json *value)
{
	if (!node || !node->has_defaults)
		return;
	if (value->type == JSON_ARRAY) {
		for (uint32_t i = 0; node->items && i < value->length; i++) {
			set_default(arena, node->items, value->items[i]);
			add_defaults(arena, node->items, value->items[i]);
		}
		return;
	}
	if (value->type != JSON_OBJECT)
		return;
	for (uint32_t i = 0; i < node->property_count; i++) {
		const struct structural_property *property = &node->properties[i];

		if (property->node->default_value && !json_get_n(value, property->name, property->length))
			json_add_n(arena, value, property->name, property->length,
			           json_clone(arena, property->node->default_value));
	}
	for (uint32_t i = 0; i < value->length; i++) {
		const struct structural *below = schema_of(node, &value->members[i]);

		if (below)
			set_default(arena, below, value->members[i].value);
		add_defaults(arena, below, value->members[i].value);
	}
}

void structural_default(struct arena *arena, const struct structural *root, struct json *value)
{
	drop_nulls(root, value);
	add_defaults(arena, root, value);
}

// --- looking --------------------------------------------------------------------------------

static bool is_settled(const struct structural *node, bool keep, const struct json *value);

static bool is_settled_member(const struct structural *node, bool keep, const struct json_member *member)
{
	const struct structural *below = node ? structural_property(node, member->key, member->key_length) : NULL;

	if (node && (node->embedded || node->root) && is_object_field(member->key))
		return true;
	if (!below && (!node || !node->additional))
		return keep;
	below = below ? below : node->element;
	return !is_unwanted_null(member->value, below) && is_settled(below, false, member->value);
}

static bool is_settled(const struct structural *node, bool keep, const struct json *value)
{
	keep = keep || (node && node->preserve_unknown);
	if (keep && !node)
		return true;
	for (uint32_t i = 0; value->type == JSON_ARRAY && i < value->length; i++)
		if ((node && is_unwanted_null(value->items[i], node->items) && node->items->default_value) ||
		    !is_settled(node ? node->items : NULL, keep, value->items[i]))
			return false;
	if (value->type != JSON_OBJECT)
		return true;
	for (uint32_t i = 0; i < value->length; i++)
		if (!is_settled_member(node, keep, &value->members[i]))
			return false;
	for (uint32_t i = 0; node && node->has_defaults && i < node->property_count; i++)
		if (node->properties[i].node->default_value &&
		    !json_get_n(value, node->properties[i].name, node->properties[i].length))
			return false;
	return true;
}

bool structural_is_settled(const struct structural *root, const struct json *value)
{
	return is_settled(root, false, value);
}
