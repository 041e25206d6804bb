// SPDX-License-Identifier: Apache-2.0
// Reads one schema text into a package of the model.
//
// The language has lines, not brackets. A line that starts at the margin opens a
// block or states a fact of the file (group, package, off, resource, enum, type,
// kind); indented lines belong to the block before them. '#' at the start of a
// line begins a comment, " -- " ends a line with its documentation, which may also
// stand on (or go on over) indented lines of its own that begin with "--". What a
// line may hold stands in tables here: header words, resource facts, field
// attributes. docs/SCHEMA.md describes it for people. A bad line is reported with its place
// and skipped, so that one run shows all mistakes.

#include "common/api/schemagen/schemagen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/schema.h"
#include "common/base/file.h"

#define SCHEMA_FILE_MAX_BYTES (4u << 20)

struct parser {
	struct model *model;
	struct package *package;
	struct location at;
	struct type *type;         // of the open block, or NULL
	struct resource *resource; // of the open block, or NULL
	struct enumeration *enumeration;
	const char *doc;     // of the current line
	const char **doc_of; // what was declared last: lines of documentation go there
};

void model_error(struct model *model, struct location at, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "%s:%d: ", at.file, at.line);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	model->errors++;
}

static char *copy(struct parser *parser, const char *text)
{
	return arena_strdup(parser->model->arena, text);
}

// Strips surrounding quotes.
static char *unquote(struct parser *parser, const char *word)
{
	size_t length = strlen(word);
	if (length >= 2 && word[0] == '"' && word[length - 1] == '"')
		return arena_strndup(parser->model->arena, word + 1, length - 2);
	return copy(parser, word);
}

// Splits at white space outside of double quotes; quotes stay in the words.
static struct words split_words(struct parser *parser, const char *text)
{
	struct words words = {0};
	while (true) {
		text += strspn(text, " \t");
		if (*text == '\0')
			return words;
		const char *end = text;
		for (bool quoted = false; *end != '\0' && (quoted || (*end != ' ' && *end != '\t')); end++)
			if (*end == '"')
				quoted = !quoted;
		char *word = arena_strndup(parser->model->arena, text, (size_t)(end - text));
		MODEL_APPEND(parser->model, words.items, words.count, word);
		text = end;
	}
}

static struct words split_at(struct parser *parser, const char *text, char separator)
{
	struct words words = {0};
	while (*text != '\0') {
		const char *end = strchr(text, separator);
		size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
		char *word = arena_strndup(parser->model->arena, text, length);
		MODEL_APPEND(parser->model, words.items, words.count, word);
		text += length + (end != NULL);
	}
	return words;
}

static struct words words_from(struct words words, size_t first)
{
	if (first >= words.count)
		return (struct words){0};
	return (struct words){words.items + first, words.count - first};
}

// --- file facts -------------------------------------------------------------------

static void on_group(struct parser *parser, struct words words)
{
	if (words.count != 3) {
		model_error(parser->model, parser->at, "expected: group NAME VERSION");
		return;
	}
	struct package *package = parser->package;
	struct arena *arena = parser->model->arena;
	package->group = unquote(parser, words.items[1]);
	package->version = strcmp(words.items[2], "-") == 0 ? "" : words.items[2];
	const char *first = package->group[0] != '\0' ? package->group : "core";
	char *label = arena_strndup(arena, first, strcspn(first, "."));
	package->reference = package->version[0] ? arena_printf(arena, "%s/%s", label, package->version) : label;
	package->short_name = package->version[0] ? arena_printf(arena, "%s_%s", label, package->version) : label;
}

static void on_package(struct parser *parser, struct words words)
{
	if (words.count != 2)
		model_error(parser->model, parser->at, "expected: package NAME");
	else
		parser->package->openapi = words.items[1];
}

static void on_off(struct parser *parser, struct words words)
{
	(void)words;
	parser->package->off = true;
}

// --- enumerations -----------------------------------------------------------------

// Values separated by '|'; "..." at the end leaves the set open.
static void add_values(struct parser *parser, struct words words)
{
	for (size_t i = 0; i < words.count; i++) {
		if (strcmp(words.items[i], "|") == 0)
			continue;
		if (parser->enumeration->open) {
			model_error(parser->model, parser->at, "\"...\" must stand last");
			return;
		}
		if (strcmp(words.items[i], "...") == 0)
			parser->enumeration->open = true;
		else
			MODEL_APPEND(parser->model, parser->enumeration->values, parser->enumeration->count,
			             unquote(parser, words.items[i]));
	}
}

static void on_enum(struct parser *parser, struct words words)
{
	if (words.count < 4 || strcmp(words.items[2], "=") != 0) {
		model_error(parser->model, parser->at, "expected: enum NAME = VALUE | VALUE …");
		return;
	}
	struct enumeration *enumeration = ARENA_NEW(parser->model->arena, struct enumeration);
	enumeration->at = parser->at;
	enumeration->package = parser->package;
	enumeration->name = words.items[1];
	enumeration->doc = parser->doc;
	parser->doc_of = &enumeration->doc;
	MODEL_APPEND(parser->model, parser->package->enums, parser->package->enum_count, enumeration);
	parser->enumeration = enumeration;
	add_values(parser, words_from(words, 3));
}

// --- types ------------------------------------------------------------------------

static struct field *add_field(struct parser *parser, const char *json_name, int number, const char *type_text)
{
	struct field field = {.at = parser->at, .json_name = json_name, .number = number, .doc = parser->doc};
	field.pointer = type_text[0] == '*';
	field.type_text = type_text + field.pointer;
	field.omit_empty = true;
	field.member = member_name(parser->model->arena, json_name);
	MODEL_APPEND(parser->model, parser->type->fields, parser->type->field_count, field);
	struct field *added = &parser->type->fields[parser->type->field_count - 1];
	parser->doc_of = &added->doc;
	return added;
}

// type NAME [atomic] | type NAME = EXPRESSION | kind NAME [atomic]
static void on_type(struct parser *parser, struct words words)
{
	if (words.count < 2) {
		model_error(parser->model, parser->at, "expected a name");
		return;
	}
	struct type *type = ARENA_NEW(parser->model->arena, struct type);
	*type = (struct type){.at = parser->at, .package = parser->package, .name = words.items[1], .doc = parser->doc};
	type->is_kind = strcmp(words.items[0], "kind") == 0;
	if (words.count == 4 && strcmp(words.items[2], "=") == 0 && !type->is_kind)
		type->alias_text = words.items[3];
	else if (words.count == 3 && strcmp(words.items[2], "atomic") == 0)
		type->atomic = true;
	else if (words.count != 2)
		model_error(parser->model, parser->at, "unexpected text after type %s", type->name);
	MODEL_APPEND(parser->model, parser->package->types, parser->package->type_count, type);
	parser->type = type;
	parser->doc = "";
	if (type->is_kind) {
		add_field(parser, "kind", 0, "string");
		add_field(parser, "apiVersion", 0, "string");
	}
	parser->doc_of = &type->doc;
}

// "merge(name)" to its word and its keys.
static struct words split_keys(struct parser *parser, const char *value, char **ret_word)
{
	const char *open = strchr(value, '(');
	size_t length = strlen(value);
	if (open == NULL || value[length - 1] != ')') {
		*ret_word = copy(parser, value);
		return (struct words){0};
	}
	*ret_word = arena_strndup(parser->model->arena, value, (size_t)(open - value));
	char *keys = arena_strndup(parser->model->arena, open + 1, length - (size_t)(open - value) - 2);
	return split_at(parser, keys, ',');
}

static void set_list(struct parser *parser, struct field *field, const char *value)
{
	char *word = NULL;
	field->list_keys = split_keys(parser, value, &word);
	field->list_type = word;
	field->flags |= SCHEMA_LIST_TYPE;
	if (strcmp(word, "atomic") != 0 && strcmp(word, "set") != 0 && strcmp(word, "map") != 0)
		model_error(parser->model, parser->at, "unknown list type \"%s\": expected atomic, set or map", word);
	else if ((strcmp(word, "map") == 0) != (field->list_keys.count > 0))
		model_error(parser->model, parser->at, "keys belong to list=map(…), and only there");
}

static void set_patch(struct parser *parser, struct field *field, const char *value)
{
	char *word = NULL;
	struct words keys = split_keys(parser, value, &word);
	if (keys.count == 1)
		field->patch_key = keys.items[0];
	struct words strategies = split_at(parser, word, ',');
	for (size_t i = 0; i < strategies.count; i++) {
		const char *strategy = strategies.items[i];
		if (strcmp(strategy, "merge") == 0)
			field->flags |= SCHEMA_PATCH_MERGE;
		else if (strcmp(strategy, "retainKeys") == 0)
			field->flags |= SCHEMA_PATCH_REPLACE_KEYS;
		else if (strcmp(strategy, "replace") == 0)
			field->flags |= SCHEMA_PATCH_REPLACE;
		else
			model_error(parser->model, parser->at, "unknown patch strategy \"%s\"", strategy);
	}
}

static void set_default(struct parser *parser, struct field *field, const char *value)
{
	if (value[0] == '\0')
		model_error(parser->model, parser->at, "default= needs a JSON value");
	field->default_json = copy(parser, value);
}

static void set_gate(struct parser *parser, struct field *field, const char *value)
{
	field->gate = copy(parser, value);
}

static const struct value_attribute {
	const char *name; // with its '='
	void (*set)(struct parser *parser, struct field *field, const char *value);
} value_attributes[] = {
        {"default=", set_default},
        {"gate=", set_gate},
        {"list=", set_list},
        {"patch=", set_patch},
};

static const struct flag_attribute {
	const char *name;
	unsigned flags;
} flag_attributes[] = {
        {"atomic", SCHEMA_ATOMIC},       {"deprecated", SCHEMA_DEPRECATED},
        {"granular", SCHEMA_GRANULAR}, // the default for maps and structs, said where it surprises
        {"immutable", SCHEMA_IMMUTABLE}, {"nullable", SCHEMA_NULLABLE},
};

static bool set_presence(struct field *field, const char *word)
{
	if (strcmp(word, "required") == 0) {
		field->required = true;
		field->omit_empty = false;
	} else if (strcmp(word, "always") == 0) {
		field->omit_empty = false;
	} else if (strcmp(word, "omitempty") == 0) {
		field->omit_empty = true;
	} else {
		return false;
	}
	return true;
}

static void set_attribute(struct parser *parser, struct field *field, const char *word)
{
	if (set_presence(field, word))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(flag_attributes); i++) {
		if (strcmp(word, flag_attributes[i].name) == 0) {
			field->flags |= flag_attributes[i].flags;
			return;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(value_attributes); i++) {
		size_t length = strlen(value_attributes[i].name);
		if (strncmp(word, value_attributes[i].name, length) == 0) {
			value_attributes[i].set(parser, field, word + length);
			return;
		}
	}
	model_error(parser->model, parser->at, "unknown attribute \"%s\"", word);
}

// NAME NUMBER TYPE [ATTRIBUTE…]
static void on_field_line(struct parser *parser, struct words words)
{
	if (words.count < 3) {
		model_error(parser->model, parser->at, "expected: NAME NUMBER TYPE [ATTRIBUTE…]");
		return;
	}
	char *end = words.items[1];
	long number = strcmp(end, "-") == 0 ? 0 : strtol(words.items[1], &end, 10);
	if (strcmp(words.items[1], "-") != 0 && (*end != '\0' || number < 1 || number > 536870911)) {
		model_error(parser->model, parser->at, "bad protobuf number \"%s\"", words.items[1]);
		return;
	}
	bool is_inline = strcmp(words.items[0], "inline") == 0;
	struct field *field = add_field(parser, is_inline ? "" : words.items[0], (int)number, words.items[2]);
	for (size_t i = 3; i < words.count; i++)
		set_attribute(parser, field, words.items[i]);
}

// --- resources --------------------------------------------------------------------

// resource PLURAL KIND namespaced|cluster
static void on_resource(struct parser *parser, struct words words)
{
	if (words.count != 4 || (strcmp(words.items[3], "namespaced") != 0 && strcmp(words.items[3], "cluster") != 0)) {
		model_error(parser->model, parser->at, "expected: resource PLURAL KIND namespaced|cluster");
		return;
	}
	struct resource *resource = ARENA_NEW(parser->model->arena, struct resource);
	*resource = (struct resource){.at = parser->at, .package = parser->package, .doc = parser->doc};
	resource->plural = words.items[1];
	resource->kind_name = words.items[2];
	resource->namespaced = strcmp(words.items[3], "namespaced") == 0;
	resource->storage_version = "";
	MODEL_APPEND(parser->model, parser->package->resources, parser->package->resource_count, resource);
	parser->resource = resource;
}

static void on_names(struct parser *parser, struct words words)
{
	parser->resource->names = words_from(words, 1);
}

static void on_categories(struct parser *parser, struct words words)
{
	parser->resource->categories = words_from(words, 1);
}

static void on_verbs(struct parser *parser, struct words words)
{
	parser->resource->verbs = words_from(words, 1);
}

static void on_list_kind(struct parser *parser, struct words words)
{
	parser->resource->list_kind = words.items[1];
}

// storage PREFIX [as GROUP/VERSION] [hash HASH]
static void on_storage(struct parser *parser, struct words words)
{
	parser->resource->storage = words.items[1];
	for (size_t i = 2; i + 1 < words.count; i += 2) {
		if (strcmp(words.items[i], "as") == 0)
			parser->resource->storage_as = words.items[i + 1];
		else if (strcmp(words.items[i], "hash") == 0)
			parser->resource->storage_hash = words.items[i + 1];
		else
			model_error(parser->model, parser->at, "unknown word \"%s\"", words.items[i]);
	}
}

static void on_strategy(struct parser *parser, struct words words)
{
	for (size_t i = 1; i < words.count; i++) {
		if (strcmp(words.items[i], "create-on-update") == 0)
			parser->resource->create_on_update = true;
		else if (strcmp(words.items[i], "unconditional-update") == 0)
			parser->resource->unconditional_update = true;
		else
			model_error(parser->model, parser->at, "unknown strategy \"%s\"", words.items[i]);
	}
}

// generation PATH… [update-only] | generation none
static void on_generation(struct parser *parser, struct words words)
{
	struct resource *resource = parser->resource;
	resource->generation_set = true;
	resource->generation_on_create = true;
	for (size_t i = 1; i < words.count; i++) {
		if (strcmp(words.items[i], "update-only") == 0)
			resource->generation_on_create = false;
		else if (strcmp(words.items[i], "none") != 0)
			MODEL_APPEND(parser->model, resource->generation.items, resource->generation.count,
			             words.items[i]);
	}
}

static void on_deprecated(struct parser *parser, struct words words)
{
	parser->resource->deprecated = unquote(parser, words.items[1]);
}

static void on_resource_gate(struct parser *parser, struct words words)
{
	parser->resource->gate = words.items[1];
}

// subresource NAME BODY VERB… [stream]
static void on_subresource(struct parser *parser, struct words words)
{
	if (words.count < 4) {
		model_error(parser->model, parser->at, "expected: subresource NAME BODY VERB… [stream]");
		return;
	}
	struct subresource subresource = {.at = parser->at, .name = words.items[1], .body_text = words.items[2]};
	subresource.stream = strcmp(words.items[words.count - 1], "stream") == 0;
	words.count -= subresource.stream;
	subresource.verbs = words_from(words, 3);
	MODEL_APPEND(parser->model, parser->resource->subresources, parser->resource->subresource_count, subresource);
}

// selectable LABEL [PATH|none]
static void on_selectable(struct parser *parser, struct words words)
{
	struct selectable selectable = {.label = words.items[1], .path = words.items[words.count - 1]};
	if (strcmp(selectable.path, "none") == 0)
		selectable.path = "";
	MODEL_APPEND(parser->model, parser->resource->selectables, parser->resource->selectable_count, selectable);
}

// column NAME TYPE[:FORMAT] [wide]
static void on_column(struct parser *parser, struct words words)
{
	if (words.count < 3 || words.count > 4 || (words.count == 4 && strcmp(words.items[3], "wide") != 0)) {
		model_error(parser->model, parser->at, "expected: column NAME TYPE[:FORMAT] [wide]");
		return;
	}
	struct words type = split_at(parser, words.items[2], ':');
	struct column column = {.at = parser->at, .type = type.items[0], .doc = parser->doc};
	column.name = unquote(parser, words.items[1]);
	column.format = type.count > 1 ? type.items[1] : "";
	column.wide = words.count == 4;
	MODEL_APPEND(parser->model, parser->resource->columns, parser->resource->column_count, column);
	parser->doc_of = &parser->resource->columns[parser->resource->column_count - 1].doc;
}

static const struct keyword {
	const char *name;
	void (*handle)(struct parser *parser, struct words words);
} file_keywords[] =
        {
                {"enum", on_enum},       {"group", on_group},       {"kind", on_type}, {"off", on_off},
                {"package", on_package}, {"resource", on_resource}, {"type", on_type},
},
  resource_keywords[] = {
          {"categories", on_categories}, {"column", on_column},           {"deprecated", on_deprecated},
          {"gate", on_resource_gate},    {"generation", on_generation},   {"list", on_list_kind},
          {"names", on_names},           {"selectable", on_selectable},   {"storage", on_storage},
          {"strategy", on_strategy},     {"subresource", on_subresource}, {"verbs", on_verbs},
};

static void dispatch(struct parser *parser, const struct keyword *keywords, size_t count, struct words words)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keywords[i].name, words.items[0]) == 0) {
			keywords[i].handle(parser, words);
			return;
		}
	}
	model_error(parser->model, parser->at, "unknown word \"%s\"", words.items[0]);
}

// "-- text" on a line of its own: joined with what stands there already.
static void on_documentation_line(struct parser *parser, const char *text)
{
	if (parser->doc_of == NULL) {
		model_error(parser->model, parser->at, "documentation of nothing");
		return;
	}
	const char *before = *parser->doc_of;
	*parser->doc_of =
	        before[0] == '\0' ? copy(parser, text) : arena_printf(parser->model->arena, "%s %s", before, text);
}

static void on_indented_line(struct parser *parser, struct words words)
{
	if (parser->enumeration != NULL) {
		add_values(parser, words);
	} else if (parser->type != NULL) {
		on_field_line(parser, words);
	} else if (parser->resource != NULL && words.count < 2) {
		model_error(parser->model, parser->at, "\"%s\" needs a value", words.items[0]);
	} else if (parser->resource != NULL) {
		dispatch(parser, resource_keywords, ARRAY_SIZE(resource_keywords), words);
	} else {
		model_error(parser->model, parser->at, "an indented line outside of a block");
	}
}

static void on_line(struct parser *parser, char *line)
{
	bool indented = line[0] == ' ' || line[0] == '\t';
	char *first = line + strspn(line, " \t");
	if (indented && strncmp(first, "-- ", 3) == 0) {
		on_documentation_line(parser, first + 3 + strspn(first + 3, " \t"));
		return;
	}
	char *doc = strstr(line, " -- ");
	parser->doc = "";
	if (doc != NULL) {
		*doc = '\0';
		parser->doc = copy(parser, doc + 4 + strspn(doc + 4, " \t"));
	}
	struct words words = split_words(parser, line);
	if (words.count == 0 || words.items[0][0] == '#')
		return;
	for (size_t i = 0; i < words.count; i++)
		if (words.items[i][0] == '#')
			words.count = i;
	if (indented) {
		on_indented_line(parser, words);
		return;
	}
	parser->type = NULL;
	parser->resource = NULL;
	parser->enumeration = NULL;
	parser->doc_of = NULL;
	if (parser->package->group == NULL && strcmp(words.items[0], "group") != 0)
		model_error(parser->model, parser->at, "a file starts with its group line");
	else
		dispatch(parser, file_keywords, ARRAY_SIZE(file_keywords), words);
}

int parse_file(struct model *model, const char *path, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(SCHEMA_FILE_MAX_BYTES);
	int result = file_read(path, &text, err);
	if (result < 0)
		return result;
	struct package *package = ARENA_NEW(model->arena, struct package);
	package->file = arena_strdup(model->arena, path);
	struct parser parser = {.model = model, .package = package, .at = {package->file, 0}};
	char *rest = arena_strdup(model->arena, strbuf_text(&text));
	while (rest != NULL) {
		char *line = strsep(&rest, "\n");
		parser.at.line++;
		on_line(&parser, line);
	}
	if (package->group == NULL || package->openapi == NULL) {
		model_error(model, parser.at, "the file names no group or no package");
		return 0;
	}
	MODEL_APPEND(model, model->packages, model->package_count, package);
	return 0;
}
