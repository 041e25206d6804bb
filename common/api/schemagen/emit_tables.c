// SPDX-License-Identifier: Apache-2.0
// Writes schema_tables.c: for each type its field rows and name index, the
// anonymous list and map types that fields need (once each), the resources, and
// the two sorted lists that look-ups search.
//
// Documentation goes into one array in a section of its own, since only the
// documents of the API server ever read it: see schema_set_aside_documentation.

#include "common/api/schemagen/schemagen.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/schema.h"
#include "common/base/hashmap.h"

#define TABLES_MAX_BYTES (64u << 20)

struct emitter {
	struct model *model;
	struct strbuf *out;
	struct strbuf *texts;         // the documentation array's content
	size_t texts_length;          // in bytes of that content
	struct hashmap *text_offsets; // of texts in it already, plus one
	const char **anonymous;       // symbols of list, map and raw types written already
	size_t anonymous_count;
};

static void emit_string(struct strbuf *out, const char *text)
{
	if (text == NULL) {
		strbuf_append_text(out, "NULL");
		return;
	}
	strbuf_append_char(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_append_char(out, '\\');
		strbuf_append_char(out, *text);
	}
	strbuf_append_char(out, '"');
}

static void emit_member(struct strbuf *out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	strbuf_printf(out, ", .%s = ", name);
	emit_string(out, text);
}

// A NULL-terminated list of texts as a compound literal.
static void emit_texts(struct strbuf *out, const char *name, char *const *items, size_t count)
{
	strbuf_printf(out, ", .%s = (const char *const[]){", name);
	for (size_t i = 0; i < count; i++) {
		emit_string(out, items[i]);
		strbuf_append_text(out, ", ");
	}
	strbuf_append_text(out, "NULL}");
}

static size_t text_offset(struct emitter *emitter, const char *text)
{
	size_t known = (size_t)hashmap_get(emitter->text_offsets, text);
	if (known > 0)
		return known - 1;
	size_t offset = emitter->texts_length;
	hashmap_put(emitter->text_offsets, text, (void *)(offset + 1));
	strbuf_append_text(emitter->texts, "\t");
	emit_string(emitter->texts, text);
	strbuf_append_text(emitter->texts, " \"\\0\"\n");
	emitter->texts_length += strlen(text) + 1;
	return offset;
}

static void emit_doc(struct emitter *emitter, const char *text)
{
	if (text == NULL || text[0] == '\0')
		strbuf_append_text(emitter->out, ", .doc = \"\"");
	else
		strbuf_printf(emitter->out, ", .doc = schema_documentation + %zu", text_offset(emitter, text));
}

// --- anonymous types --------------------------------------------------------------

static bool is_new(struct emitter *emitter, const char *symbol)
{
	for (size_t i = 0; i < emitter->anonymous_count; i++)
		if (strcmp(emitter->anonymous[i], symbol) == 0)
			return false;
	MODEL_APPEND(emitter->model, emitter->anonymous, emitter->anonymous_count, symbol);
	return true;
}

static const char *kind_constant(const struct expression *expression)
{
	return expression->kind == EXPRESSION_LIST  ? "SCHEMA_LIST"
	       : expression->kind == EXPRESSION_MAP ? "SCHEMA_MAP"
	                                            : "SCHEMA_RAW";
}

static void emit_anonymous(struct emitter *emitter, const struct expression *expression)
{
	if (expression->element == NULL)
		return;
	emit_anonymous(emitter, expression->element);
	struct arena *arena = emitter->model->arena;
	const char *symbol = table_symbol(arena, expression);
	if (!is_new(emitter, symbol))
		return;
	strbuf_printf(emitter->out,
	              "static const struct schema_type %s = {.name = \"\", .kind = %s, .element = &%s, "
	              ".view_size = sizeof(%s), .doc = \"\"};\n",
	              symbol, kind_constant(expression), table_symbol(arena, expression->element),
	              value_c_type(arena, expression));
}

static void emit_anonymous_of(struct emitter *emitter, const struct type *type)
{
	if (type->alias != NULL && type->alias->element != NULL)
		emit_anonymous(emitter, type->alias->element);
	for (size_t i = 0; i < type->flat_count; i++)
		emit_anonymous(emitter, type->flat[i].expression);
}

// --- types ------------------------------------------------------------------------

static const struct enumeration *enumeration_of(const struct expression *expression)
{
	while (expression->element != NULL)
		expression = expression->element;
	return expression->enumeration;
}

static int compare_values(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// In alphabetical order, as upstream publishes and explains them.
static void emit_enumeration(struct strbuf *out, const struct enumeration *enumeration)
{
	if (enumeration->count)
		qsort(enumeration->values, enumeration->count, sizeof(*enumeration->values), compare_values);
	strbuf_printf(out, "static const char *const enum_%s_%s[] = {", enumeration->package->short_name,
	              enumeration->name);
	for (size_t i = 0; i < enumeration->count; i++) {
		emit_string(out, enumeration->values[i]);
		strbuf_append_text(out, ", ");
	}
	strbuf_append_text(out, "NULL};\n");
}

static unsigned flags_of(const struct field *field)
{
	unsigned flags = field->flags;
	flags |= field->required ? SCHEMA_REQUIRED : 0;
	flags |= field->omit_empty ? SCHEMA_OMIT_EMPTY : 0;
	flags |= field->pointer ? SCHEMA_POINTER : 0;
	flags |= field->json_name[0] == '\0' ? SCHEMA_INLINE : 0;
	flags |= field->inlined ? SCHEMA_INLINED : 0;
	if (field->expression->kind == EXPRESSION_STRUCT && field->expression->type->atomic &&
	    !(flags & SCHEMA_GRANULAR))
		flags |= SCHEMA_ATOMIC;
	return flags;
}

static const char *list_constant(const struct field *field)
{
	if (field->list_type == NULL || strcmp(field->list_type, "atomic") == 0)
		return "SCHEMA_LIST_ATOMIC";
	return strcmp(field->list_type, "set") == 0 ? "SCHEMA_LIST_SET" : "SCHEMA_LIST_MAP";
}

static void emit_field(struct emitter *emitter, const struct type *type, const struct field *field)
{
	struct strbuf *out = emitter->out;
	strbuf_append_text(out, "\t{");
	emit_string(out, field->json_name);
	strbuf_printf(out, ", &%s, 0x%x, %d, ", table_symbol(emitter->model->arena, field->expression), flags_of(field),
	              field->number);
	if (field->json_name[0] != '\0')
		strbuf_printf(out, "offsetof(struct %s, %s)", type->c_name, field->member);
	else
		strbuf_append_char(out, '0');
	if (field->list_type != NULL)
		strbuf_printf(out, ", .list_type = %s", list_constant(field));
	if (field->list_keys.count > 0)
		emit_texts(out, "list_keys", field->list_keys.items, field->list_keys.count);
	emit_member(out, "patch_merge_key", field->patch_key);
	emit_member(out, "default_json", field->default_json);
	emit_member(out, "feature_gate", field->gate);
	const struct enumeration *enumeration = enumeration_of(field->expression);
	if (enumeration != NULL && !enumeration->open)
		strbuf_printf(out, ", .enum_values = enum_%s_%s", enumeration->package->short_name, enumeration->name);
	emit_doc(emitter, field->doc);
	strbuf_append_text(out, "},\n");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(const struct field *const *)a)->json_name, (*(const struct field *const *)b)->json_name);
}

// Returns the number of named rows.
static size_t emit_name_index(struct emitter *emitter, const struct type *type)
{
	const struct field **named = ARENA_ARRAY(emitter->model->arena, const struct field *, type->flat_count + 1);
	size_t count = 0;
	for (size_t i = 0; i < type->flat_count; i++)
		if (type->flat[i].json_name[0] != '\0')
			named[count++] = &type->flat[i];
	qsort(named, count, sizeof(*named), compare_names);
	if (count == 0)
		return 0;
	strbuf_printf(emitter->out, "static const uint16_t names_%s[] = {", type->c_name);
	for (size_t i = 0; i < count; i++)
		strbuf_printf(emitter->out, "%td, ", named[i] - type->flat);
	strbuf_append_text(emitter->out, "};\n");
	return count;
}

static void emit_type_head(struct emitter *emitter, const struct type *type, const char *kind)
{
	struct strbuf *out = emitter->out;
	strbuf_printf(out, "const struct schema_type schema_type_%s = {.name = ", type->c_name);
	emit_string(out, type->name);
	strbuf_printf(out, ", .openapi_name = \"%s.%s\"", type->package->openapi, type->name);
	emit_member(out, "group", type->package->group);
	emit_member(out, "version", type->package->version);
	strbuf_printf(out, ", .kind = %s", kind);
	emit_doc(emitter, type->doc);
}

static void emit_alias(struct emitter *emitter, const struct type *type)
{
	struct arena *arena = emitter->model->arena;
	const struct expression *alias = type->alias;
	emit_type_head(emitter, type, alias->element != NULL ? kind_constant(alias) : "SCHEMA_RAW");
	if (alias->element != NULL)
		strbuf_printf(emitter->out, ", .element = &%s", table_symbol(arena, alias->element));
	strbuf_printf(emitter->out, ", .view_size = sizeof(%s)};\n", value_c_type(arena, alias));
}

static void emit_type(struct emitter *emitter, const struct type *type)
{
	if (type->alias != NULL) {
		emit_alias(emitter, type);
		return;
	}
	struct strbuf *out = emitter->out;
	if (type->flat_count > 0) {
		strbuf_printf(out, "static const struct schema_field fields_%s[] = {\n", type->c_name);
		for (size_t i = 0; i < type->flat_count; i++)
			emit_field(emitter, type, &type->flat[i]);
		strbuf_append_text(out, "};\n");
	}
	size_t names = emit_name_index(emitter, type);
	emit_type_head(emitter, type, "SCHEMA_STRUCT");
	if (type->flat_count > 0)
		strbuf_printf(out, ", .fields = fields_%s, .field_count = %zu", type->c_name, type->flat_count);
	if (names > 0)
		strbuf_printf(out, ", .fields_by_name = names_%s, .name_count = %zu", type->c_name, names);
	strbuf_printf(out, ", .view_size = sizeof(struct %s)%s};\n", type->c_name,
	              type->atomic ? ", .atomic = true" : "");
}

// --- resources --------------------------------------------------------------------

static unsigned verb_bits(const struct words *verbs)
{
	static const struct {
		const char *name;
		unsigned bits;
	} table[] = {
	        {"all", 0xff},           {"create", VERB_CREATE},
	        {"delete", VERB_DELETE}, {"deletecollection", VERB_DELETE_COLLECTION},
	        {"get", VERB_GET},       {"list", VERB_LIST},
	        {"patch", VERB_PATCH},   {"update", VERB_UPDATE},
	        {"watch", VERB_WATCH},
	};
	unsigned bits = 0;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (words_contain(verbs, table[i].name))
			bits |= table[i].bits;
	return bits;
}

// "autoscaling/v1.Scale" without its package is the kind.
static const char *bare_name(const char *reference)
{
	const char *dot = strrchr(reference, '.');
	return dot != NULL ? dot + 1 : reference;
}

static void emit_subresources(struct strbuf *out, const struct resource *resource)
{
	if (resource->subresource_count == 0)
		return;
	strbuf_printf(out, "static const struct schema_subresource subresources_%s[] = {\n", resource->c_name);
	for (size_t i = 0; i < resource->subresource_count; i++) {
		const struct subresource *subresource = &resource->subresources[i];
		const struct package *package =
		        subresource->body != NULL ? subresource->body->package : resource->package;
		strbuf_printf(out, "\t{\"%s\", \"%s\", \"%s\", \"%s\", ", subresource->name, package->group,
		              package->version, bare_name(subresource->body_text));
		if (subresource->stream)
			strbuf_append_text(out, "NULL");
		else
			strbuf_printf(out, "&schema_type_%s", subresource->body->c_name);
		strbuf_printf(out, ", 0x%x},\n", verb_bits(&subresource->verbs));
	}
	strbuf_append_text(out, "};\n");
}

static void emit_columns(struct emitter *emitter, const struct resource *resource)
{
	struct strbuf *out = emitter->out;
	if (resource->column_count == 0)
		return;
	strbuf_printf(out, "static const struct schema_column columns_%s[] = {\n", resource->c_name);
	for (size_t i = 0; i < resource->column_count; i++) {
		const struct column *column = &resource->columns[i];
		strbuf_append_text(out, "\t{.name = ");
		emit_string(out, column->name);
		strbuf_printf(out, ", .type = \"%s\", .format = \"%s\", .priority = %d", column->type, column->format,
		              column->wide);
		emit_doc(emitter, column->doc);
		strbuf_append_text(out, "},\n");
	}
	strbuf_append_text(out, "};\n");
}

static void emit_selectables(struct strbuf *out, const struct resource *resource)
{
	if (resource->selectable_count == 0)
		return;
	strbuf_printf(out, "static const struct schema_selectable_field selectable_%s[] = {\n", resource->c_name);
	for (size_t i = 0; i < resource->selectable_count; i++)
		strbuf_printf(out, "\t{\"%s\", \"%s\"},\n", resource->selectables[i].label,
		              resource->selectables[i].path);
	strbuf_append_text(out, "};\n");
}

static bool has_status(const struct resource *resource)
{
	for (size_t i = 0; i < resource->subresource_count; i++)
		if (strcmp(resource->subresources[i].name, "status") == 0)
			return true;
	return false;
}

static void emit_flag(struct strbuf *out, const char *name, bool value)
{
	if (value)
		strbuf_printf(out, ", .%s = true", name);
}

static void emit_resource_names(struct strbuf *out, const struct resource *resource)
{
	size_t names = resource->names.count;
	strbuf_printf(out, ".group = \"%s\", .version = \"%s\", .kind = \"%s\", .plural = \"%s\"",
	              resource->package->group, resource->package->version, resource->kind_name, resource->plural);
	emit_member(out, "list_kind", resource->list_kind);
	emit_member(out, "singular", names > 0 ? resource->names.items[0] : "");
	emit_texts(out, "short_names", names > 0 ? resource->names.items + 1 : NULL, names > 0 ? names - 1 : 0);
	emit_texts(out, "categories", resource->categories.items, resource->categories.count);
}

static void emit_resource(struct emitter *emitter, const struct resource *resource)
{
	struct strbuf *out = emitter->out;
	const char *name = resource->c_name;
	emit_subresources(out, resource);
	emit_columns(emitter, resource);
	emit_selectables(out, resource);
	strbuf_printf(out, "const struct schema_resource schema_resource_%s = {\n\t", name);
	emit_resource_names(out, resource);
	emit_flag(out, "namespaced", resource->namespaced);
	emit_flag(out, "enabled_by_default", !resource->package->off);
	emit_flag(out, "has_status", has_status(resource));
	emit_flag(out, "generation", resource->generation_set);
	emit_flag(out, "generation_on_create", resource->generation_on_create);
	emit_texts(out, "generation_paths", resource->generation.items, resource->generation.count);
	emit_flag(out, "allow_create_on_update", resource->create_on_update);
	emit_flag(out, "allow_unconditional_update", resource->unconditional_update);
	strbuf_printf(out, ",\n\t.verbs = 0x%x, .type = &schema_type_%s", verb_bits(&resource->verbs),
	              resource->type->c_name);
	if (resource->subresource_count > 0)
		strbuf_printf(out, ", .subresources = subresources_%s, .subresource_count = %zu", name,
		              resource->subresource_count);
	if (resource->column_count > 0)
		strbuf_printf(out, ", .columns = columns_%s, .column_count = %zu", name, resource->column_count);
	if (resource->selectable_count > 0)
		strbuf_printf(out, ", .selectable_fields = selectable_%s, .selectable_field_count = %zu", name,
		              resource->selectable_count);
	emit_member(out, "storage_prefix", resource->storage);
	emit_member(out, "storage_group", resource->storage_group);
	emit_member(out, "storage_version", resource->storage_version);
	emit_member(out, "storage_version_hash", resource->storage_hash);
	emit_member(out, "feature_gate", resource->gate);
	emit_member(out, "deprecation_warning", resource->deprecated);
	emit_doc(emitter, resource->type->doc);
	strbuf_append_text(out, "};\n");
}

// --- sorted lists -----------------------------------------------------------------

static int compare_resources(const void *a, const void *b)
{
	const struct resource *left = *(const struct resource *const *)a, *right = *(const struct resource *const *)b;
	int order = strcmp(left->package->group, right->package->group);
	if (order == 0)
		order = strcmp(left->package->version, right->package->version);
	return order != 0 ? order : strcmp(left->plural, right->plural);
}

static void emit_resource_list(struct emitter *emitter)
{
	const struct model *model = emitter->model;
	const struct resource **all = NULL;
	size_t count = 0;
	for (size_t i = 0; i < model->package_count; i++)
		for (size_t j = 0; j < model->packages[i]->resource_count; j++)
			MODEL_APPEND(model, all, count, model->packages[i]->resources[j]);
	if (count)
		qsort(all, count, sizeof(*all), compare_resources);
	strbuf_append_text(emitter->out, "\nconst struct schema_resource *const schema_resources[] = {\n");
	for (size_t i = 0; i < count; i++)
		strbuf_printf(emitter->out, "\t&schema_resource_%s,\n", all[i]->c_name);
	strbuf_printf(emitter->out, "};\nconst size_t schema_resource_count = %zu;\n", count);
}

struct named_symbol {
	const char *openapi_name;
	const char *symbol;
};

static int compare_symbols(const void *a, const void *b)
{
	return strcmp(((const struct named_symbol *)a)->openapi_name, ((const struct named_symbol *)b)->openapi_name);
}

// The scalars that stand in OpenAPI as types of their own.
static const struct named_symbol named_scalars[] = {
        {"io.k8s.apimachinery.pkg.api.resource.Quantity", "quantity"},
        {"io.k8s.apimachinery.pkg.apis.meta.v1.Duration", "duration"},
        {"io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", "micro_time"},
        {"io.k8s.apimachinery.pkg.apis.meta.v1.Time", "time"},
        {"io.k8s.apimachinery.pkg.util.intstr.IntOrString", "int_or_string"},
};

static void emit_type_list(struct emitter *emitter)
{
	const struct model *model = emitter->model;
	struct named_symbol *all = NULL;
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(named_scalars); i++)
		MODEL_APPEND(model, all, count, named_scalars[i]);
	for (size_t i = 0; i < model->package_count; i++) {
		for (size_t j = 0; j < model->packages[i]->type_count; j++) {
			const struct type *type = model->packages[i]->types[j];
			struct named_symbol symbol = {
			        arena_printf(model->arena, "%s.%s", type->package->openapi, type->name), type->c_name};
			MODEL_APPEND(model, all, count, symbol);
		}
	}
	qsort(all, count, sizeof(*all), compare_symbols);
	strbuf_append_text(emitter->out, "\nconst struct schema_type *const schema_types[] = {\n");
	for (size_t i = 0; i < count; i++)
		strbuf_printf(emitter->out, "\t&schema_type_%s,\n", all[i].symbol);
	strbuf_printf(emitter->out, "};\nconst size_t schema_type_count = %zu;\n", count);
}

static void emit_package(struct emitter *emitter, const struct package *package)
{
	strbuf_printf(emitter->out, "\n// --- %s\n", package->file);
	for (size_t i = 0; i < package->type_count; i++)
		emit_anonymous_of(emitter, package->types[i]);
	for (size_t i = 0; i < package->type_count; i++)
		emit_type(emitter, package->types[i]);
	for (size_t i = 0; i < package->resource_count; i++)
		emit_resource(emitter, package->resources[i]);
}

static void emit_bodies(struct emitter *emitter)
{
	const struct model *model = emitter->model;
	for (size_t i = 0; i < model->package_count; i++)
		for (size_t j = 0; j < model->packages[i]->enum_count; j++)
			if (!model->packages[i]->enums[j]->open)
				emit_enumeration(emitter->out, model->packages[i]->enums[j]);
	for (size_t i = 0; i < model->package_count; i++)
		emit_package(emitter, model->packages[i]);
	emit_resource_list(emitter);
	emit_type_list(emitter);
}

void emit_tables(struct model *model, struct strbuf *out)
{
	AUTO_STRBUF struct strbuf bodies = STRBUF_INIT(TABLES_MAX_BYTES), texts = STRBUF_INIT(TABLES_MAX_BYTES);
	AUTO(hashmap_free) struct hashmap *offsets = hashmap_new(NULL);
	struct emitter emitter = {.model = model, .out = &bodies, .texts = &texts, .text_offsets = offsets};
	emit_bodies(&emitter);
	strbuf_append_text(out, "// SPDX-License-Identifier: Apache-2.0\n"
	                        "// Generated from common/api/schema/: the tables that schema.h describes.\n\n"
	                        "#include \"common/api/schema.h\"\n");
	for (size_t i = 0; i < model->package_count; i++)
		strbuf_printf(out, "#include \"api/%s.h\"\n", model->packages[i]->short_name);
	strbuf_append_text(out, "\n__attribute__((section(\".documentation\"), aligned(4096)))\n"
	                        "const char schema_documentation[] =\n\t\"\"\n");
	strbuf_append(out, texts.data, texts.length);
	strbuf_append_text(out, "\t;\nconst size_t schema_documentation_length = sizeof(schema_documentation);\n\n");
	strbuf_append(out, bodies.data, bodies.length);
}
