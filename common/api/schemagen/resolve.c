// SPDX-License-Identifier: Apache-2.0
// Turns names into references and checks the model as a whole.
//
// Order: list types of resources are added; every type expression is parsed and
// bound; inlined structs are flattened into their outer types; then the checks
// that need the whole: duplicate names and numbers, list and patch keys that
// exist, by-value recursion; documentation last, so that a mistake which hides
// others comes first. Every finding names the line that caused it.

#include "common/api/schemagen/schemagen.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/schema.h"

// --- look-ups ---------------------------------------------------------------------

static struct package *find_package(const struct model *model, const char *reference, size_t length)
{
	for (size_t i = 0; i < model->package_count; i++) {
		const char *name = model->packages[i]->reference;
		if (strlen(name) == length && memcmp(name, reference, length) == 0)
			return model->packages[i];
	}
	return NULL;
}

// "PodSpec" here, or "core/v1.PodSpec" anywhere; *name is set behind the package.
static struct package *split_reference(const struct model *model, struct package *here, const char **name)
{
	const char *dot = strrchr(*name, '.');
	if (dot == NULL)
		return here;
	struct package *package = find_package(model, *name, (size_t)(dot - *name));
	*name = dot + 1;
	return package;
}

static struct type *type_in(const struct package *package, const char *name)
{
	for (size_t i = 0; i < package->type_count; i++)
		if (strcmp(package->types[i]->name, name) == 0)
			return package->types[i];
	return NULL;
}

static struct enumeration *enum_in(const struct package *package, const char *name)
{
	for (size_t i = 0; i < package->enum_count; i++)
		if (strcmp(package->enums[i]->name, name) == 0)
			return package->enums[i];
	return NULL;
}

static void note_use(struct model *model, struct package *from, struct package *to)
{
	if (from == to)
		return;
	for (size_t i = 0; i < from->use_count; i++)
		if (from->uses[i] == to)
			return;
	MODEL_APPEND(model, from->uses, from->use_count, to);
}

// --- expressions ------------------------------------------------------------------

static struct expression *parse_expression(struct model *model, struct package *here, struct location at,
                                           const char *text);

static struct expression *parse_container(struct model *model, struct package *here, struct location at,
                                          const char *text, const char *open)
{
	static const struct {
		const char *word;
		enum expression_kind kind;
	} containers[] = {{"list", EXPRESSION_LIST}, {"map", EXPRESSION_MAP}, {"raw", EXPRESSION_RAW}};
	size_t length = strlen(text);
	struct expression *expression = ARENA_NEW(model->arena, struct expression);
	for (size_t i = 0; i < ARRAY_SIZE(containers); i++) {
		size_t word = strlen(containers[i].word);
		if (text[length - 1] != '>' || word != (size_t)(open - text) ||
		    memcmp(text, containers[i].word, word) != 0)
			continue;
		char *inner = arena_strndup(model->arena, open + 1, length - word - 2);
		expression->kind = containers[i].kind;
		expression->element = parse_expression(model, here, at, inner);
		return expression->element != NULL ? expression : NULL;
	}
	model_error(model, at, "malformed type \"%s\"", text);
	return NULL;
}

static struct expression *parse_name(struct model *model, struct package *here, struct location at, const char *text)
{
	struct expression *expression = ARENA_NEW(model->arena, struct expression);
	expression->text = text;
	expression->scalar = scalar_find(text);
	if (expression->scalar != NULL)
		return expression;
	const char *name = text;
	struct package *package = split_reference(model, here, &name);
	struct type *type = package != NULL ? type_in(package, name) : NULL;
	if (type != NULL) {
		expression->kind = type->alias_text != NULL ? EXPRESSION_ALIAS : EXPRESSION_STRUCT;
		expression->type = type;
		note_use(model, here, package);
		return expression;
	}
	expression->enumeration = package != NULL ? enum_in(package, name) : NULL;
	if (expression->enumeration == NULL) {
		model_error(model, at, "unknown type \"%s\"", text);
		return NULL;
	}
	expression->enumeration->used = true;
	expression->scalar = scalar_find("string");
	return expression;
}

static struct expression *parse_expression(struct model *model, struct package *here, struct location at,
                                           const char *text)
{
	const char *open = strchr(text, '<');
	struct expression *expression =
	        open != NULL ? parse_container(model, here, at, text, open) : parse_name(model, here, at, text);
	if (expression != NULL)
		expression->text = text;
	return expression;
}

// Marks the structs for which array and map structs are needed.
static void mark_containers(struct expression *expression)
{
	for (; expression != NULL && expression->element != NULL; expression = expression->element) {
		struct expression *element = expression->element;
		if (element->kind != EXPRESSION_STRUCT)
			continue;
		element->type->in_list |= expression->kind == EXPRESSION_LIST;
		element->type->in_map |= expression->kind == EXPRESSION_MAP;
	}
}

// --- fields -----------------------------------------------------------------------

// A struct (or scalar with a form of its own) that isn't a pointer is written
// even when empty, whatever its tag says.
static bool always_written(const struct field *field)
{
	const struct expression *expression = field->expression;
	if (field->pointer)
		return false;
	if (expression->kind == EXPRESSION_STRUCT)
		return true;
	if (expression->kind == EXPRESSION_ALIAS)
		return expression->type->alias->kind != EXPRESSION_LIST;
	return expression->kind == EXPRESSION_SCALAR && expression->scalar->always_written;
}

static const struct expression *through_alias(const struct expression *expression)
{
	return expression->kind == EXPRESSION_ALIAS ? expression->type->alias : expression;
}

static void resolve_field(struct model *model, struct type *type, struct field *field)
{
	field->expression = parse_expression(model, type->package, field->at, field->type_text);
	if (field->expression == NULL)
		return;
	mark_containers(field->expression);
	const struct expression *expression = through_alias(field->expression);
	if (field->pointer && (expression->kind == EXPRESSION_LIST || expression->kind == EXPRESSION_MAP))
		model_error(model, field->at, "%s: lists and maps have no pointers", field->json_name);
	// Bytes are a list to Go, and upstream marks some as one.
	bool is_bytes = expression->scalar != NULL && strcmp(expression->scalar->name, "bytes") == 0;
	if (field->list_type != NULL && expression->kind != EXPRESSION_LIST && !is_bytes)
		model_error(model, field->at, "%s: list= on something that is no list", field->json_name);
	if (field->json_name[0] == '\0' && (field->expression->kind != EXPRESSION_STRUCT || field->pointer))
		model_error(model, field->at, "inline needs a struct");
}

static void flatten_into(struct model *model, struct type *outer, const struct type *inner, bool inlined, int depth)
{
	if (depth > 8) {
		model_error(model, outer->at, "type %s inlines itself", outer->name);
		return;
	}
	for (size_t i = 0; i < inner->field_count; i++) {
		struct field field = inner->fields[i];
		if (field.expression == NULL)
			continue;
		field.inlined = inlined;
		field.omit_empty = field.omit_empty && !always_written(&field);
		MODEL_APPEND(model, outer->flat, outer->flat_count, field);
		if (field.json_name[0] == '\0')
			flatten_into(model, outer, field.expression->type, true, depth + 1);
	}
}

// --- checks -----------------------------------------------------------------------

static const struct field *find_flat(const struct type *type, const char *json_name)
{
	for (size_t i = 0; i < type->flat_count; i++)
		if (strcmp(type->flat[i].json_name, json_name) == 0)
			return &type->flat[i];
	return NULL;
}

static void check_duplicates(struct model *model, const struct type *type)
{
	for (size_t i = 0; i < type->flat_count; i++) {
		const struct field *a = &type->flat[i];
		for (size_t j = 0; j < i; j++) {
			const struct field *b = &type->flat[j];
			if (a->json_name[0] != '\0' && strcmp(a->json_name, b->json_name) == 0)
				model_error(model, a->at, "field \"%s\" stands twice in %s", a->json_name, type->name);
			else if (a->json_name[0] != '\0' && b->json_name[0] != '\0' &&
			         strcmp(a->member, b->member) == 0)
				model_error(model, a->at, "fields %s and %s have the same name in C", a->json_name,
				            b->json_name);
			if (!a->inlined && !b->inlined && a->number != 0 && a->number == b->number)
				model_error(model, a->at, "protobuf number %d is taken by \"%s\"", a->number,
				            b->json_name);
		}
	}
}

static void check_keys(struct model *model, const struct field *field)
{
	const struct expression *expression = through_alias(field->expression);
	const struct type *element = expression->element != NULL && expression->element->kind == EXPRESSION_STRUCT
	                                     ? expression->element->type
	                                     : NULL;
	for (size_t i = 0; i < field->list_keys.count; i++)
		if (element == NULL || find_flat(element, field->list_keys.items[i]) == NULL)
			model_error(model, field->at, "%s: its items have no field \"%s\"", field->json_name,
			            field->list_keys.items[i]);
	if (field->patch_key != NULL && (element == NULL || find_flat(element, field->patch_key) == NULL))
		model_error(model, field->at, "%s: its items have no field \"%s\"", field->json_name, field->patch_key);
}

static void check_by_value(struct model *model, struct type *type)
{
	if (type->order_state == 2)
		return;
	if (type->order_state == 1) {
		model_error(model, type->at, "type %s contains itself by value", type->name);
		return;
	}
	type->order_state = 1;
	for (size_t i = 0; i < type->flat_count; i++) {
		const struct field *field = &type->flat[i];
		if (!field->pointer && field->expression->kind == EXPRESSION_STRUCT)
			check_by_value(model, field->expression->type);
	}
	type->order_state = 2;
}

static void check_types(struct model *model, struct package *package)
{
	for (size_t i = 0; i < package->type_count; i++) {
		struct type *type = package->types[i];
		for (size_t j = 0; j < i; j++)
			if (strcmp(package->types[j]->name, type->name) == 0)
				model_error(model, type->at, "type %s is declared twice", type->name);
		if (enum_in(package, type->name) != NULL)
			model_error(model, type->at, "%s is an enum already", type->name);
		check_duplicates(model, type);
		for (size_t j = 0; j < type->flat_count; j++)
			check_keys(model, &type->flat[j]);
		check_by_value(model, type);
	}
}

static void check_enums(struct model *model, struct package *package)
{
	for (size_t i = 0; i < package->enum_count; i++) {
		const struct enumeration *enumeration = package->enums[i];
		for (size_t j = 0; j < i; j++)
			if (strcmp(package->enums[j]->name, enumeration->name) == 0)
				model_error(model, enumeration->at, "enum %s is declared twice", enumeration->name);
		if (!enumeration->used)
			model_error(model, enumeration->at, "enum %s is used nowhere", enumeration->name);
	}
}

// --- resources --------------------------------------------------------------------

// The list type of a kind: metadata and items.
static void add_list_type(struct model *model, struct resource *resource)
{
	struct package *package = resource->package;
	if (type_in(package, resource->list_kind) != NULL)
		return;
	struct type *type = ARENA_NEW(model->arena, struct type);
	*type = (struct type){.at = resource->at, .package = package, .name = resource->list_kind, .is_kind = true};
	type->doc = arena_printf(model->arena, "A list of %s objects.", resource->kind_name);
	char *items = arena_printf(model->arena, "list<%s>", resource->kind_name);
	const struct field fields[] = {
	        {.json_name = "kind", .type_text = "string", .omit_empty = true},
	        {.json_name = "apiVersion", .type_text = "string", .omit_empty = true},
	        {.json_name = "metadata", .number = 1, .type_text = "meta/v1.ListMeta", .omit_empty = true},
	        {.json_name = "items", .number = 2, .type_text = items, .required = true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		struct field field = fields[i];
		field.at = resource->at;
		field.member = member_name(model->arena, field.json_name);
		field.doc = strcmp(field.json_name, "items") == 0 ? "The objects." : "";
		MODEL_APPEND(model, type->fields, type->field_count, field);
	}
	MODEL_APPEND(model, package->types, package->type_count, type);
}

static void check_verbs(struct model *model, struct location at, const struct words *verbs)
{
	static char *known[] = {"all",   "create", "delete", "deletecollection", "get", "list",
	                        "patch", "update", "watch"};
	const struct words all = {known, ARRAY_SIZE(known)};
	for (size_t i = 0; i < verbs->count; i++)
		if (!words_contain(&all, verbs->items[i]))
			model_error(model, at, "unknown verb \"%s\"", verbs->items[i]);
}

static void resolve_subresource(struct model *model, struct resource *resource, struct subresource *subresource)
{
	const char *name = subresource->body_text;
	struct package *package = split_reference(model, resource->package, &name);
	subresource->body = package != NULL ? type_in(package, name) : NULL;
	if (subresource->body == NULL && !subresource->stream)
		model_error(model, subresource->at, "unknown kind \"%s\"", subresource->body_text);
	else if (subresource->body != NULL && !subresource->body->is_kind)
		model_error(model, subresource->at, "\"%s\" is no kind", subresource->body_text);
	check_verbs(model, subresource->at, &subresource->verbs);
}

static void resolve_storage(struct model *model, struct resource *resource)
{
	struct package *package = resource->package;
	if (resource->storage_as != NULL)
		package = find_package(model, resource->storage_as, strlen(resource->storage_as));
	if (package == NULL) {
		model_error(model, resource->at, "unknown storage version \"%s\"", resource->storage_as);
		return;
	}
	resource->storage_group = package->group;
	resource->storage_version = package->version;
}

static void resolve_resource(struct model *model, struct resource *resource)
{
	struct package *package = resource->package;
	resource->c_name =
	        arena_printf(model->arena, "%s_%s", package->short_name, snake_case(model->arena, resource->plural));
	resource->type = type_in(package, resource->kind_name);
	if (resource->type == NULL || !resource->type->is_kind)
		model_error(model, resource->at, "\"%s\" is no kind of this file", resource->kind_name);
	for (size_t i = 0; i < package->resource_count && package->resources[i] != resource; i++)
		if (strcmp(package->resources[i]->plural, resource->plural) == 0)
			model_error(model, resource->at, "resource %s is declared twice", resource->plural);
	check_verbs(model, resource->at, &resource->verbs);
	resolve_storage(model, resource);
	for (size_t i = 0; i < resource->subresource_count; i++)
		resolve_subresource(model, resource, &resource->subresources[i]);
}

// --- the whole --------------------------------------------------------------------

static void bind_aliases(struct model *model, struct package *package)
{
	for (size_t i = 0; i < package->type_count; i++) {
		struct type *type = package->types[i];
		type->c_name =
		        arena_printf(model->arena, "%s_%s", package->short_name, snake_case(model->arena, type->name));
		if (type->alias_text == NULL)
			continue;
		type->alias = parse_expression(model, package, type->at, type->alias_text);
		mark_containers(type->alias);
		if (type->alias == NULL || type->alias->kind == EXPRESSION_STRUCT ||
		    type->alias->kind == EXPRESSION_ALIAS || type->field_count > 0)
			model_error(model, type->at, "%s: expected a list, map or raw type", type->name);
	}
}

static void for_each_package(struct model *model, void (*step)(struct model *model, struct package *package))
{
	for (size_t i = 0; i < model->package_count; i++)
		step(model, model->packages[i]);
}

static void add_list_types(struct model *model, struct package *package)
{
	for (size_t i = 0; i < package->resource_count; i++)
		if (package->resources[i]->list_kind != NULL)
			add_list_type(model, package->resources[i]);
}

static void resolve_fields(struct model *model, struct package *package)
{
	for (size_t i = 0; i < package->type_count; i++)
		for (size_t j = 0; j < package->types[i]->field_count; j++)
			resolve_field(model, package->types[i], &package->types[i]->fields[j]);
}

static void flatten(struct model *model, struct package *package)
{
	for (size_t i = 0; i < package->type_count; i++)
		flatten_into(model, package->types[i], package->types[i], false, 0);
}

static void resolve_resources(struct model *model, struct package *package)
{
	for (size_t i = 0; i < package->resource_count; i++)
		resolve_resource(model, package->resources[i]);
}

// Headers include each other as packages use each other: that must not turn in a circle.
static bool reaches(const struct package *from, const struct package *wanted, size_t depth)
{
	for (size_t i = 0; i < from->use_count; i++)
		if (from->uses[i] == wanted || (depth > 0 && reaches(from->uses[i], wanted, depth - 1)))
			return true;
	return false;
}

static void check_circles(struct model *model, struct package *package)
{
	const struct location at = {package->file, 1};
	if (reaches(package, package, 8))
		model_error(model, at, "packages use each other in a circle through %s", package->reference);
}

void resolve(struct model *model)
{
	for_each_package(model, add_list_types);
	for_each_package(model, bind_aliases);
	if (model->errors > 0)
		return;
	for_each_package(model, resolve_fields);
	for_each_package(model, check_circles);
	if (model->errors > 0)
		return;
	for_each_package(model, documentation_supply);
	for_each_package(model, flatten);
	for_each_package(model, check_types);
	for_each_package(model, check_enums);
	for_each_package(model, resolve_resources);
	if (model->errors == 0)
		for_each_package(model, documentation_check);
}
