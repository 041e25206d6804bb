// SPDX-License-Identifier: Apache-2.0
//
// Types: the simple ones, which exist once, and those made in an arena. Two types are
// equal when they look alike; objects and library types when they have the same name.
// A type also carries what its declaration says beyond the language: how long it can be
// in a request and how its lists compare.
#include "common/cel/types.h"

#include <string.h>

#include "common/base/strbuf.h"

#define SIMPLE_TYPE(symbol, kind_, name_, minimum) \
	const struct cel_type symbol = {.kind = (kind_), .name = (name_), .min_size = (minimum)}

SIMPLE_TYPE(cel_type_dyn, CEL_TYPE_DYN, "dyn", 1);
SIMPLE_TYPE(cel_type_null, CEL_TYPE_NULL, "null_type", 4);
SIMPLE_TYPE(cel_type_bool, CEL_TYPE_BOOL, "bool", 4);
SIMPLE_TYPE(cel_type_int, CEL_TYPE_INT, "int", 1);
SIMPLE_TYPE(cel_type_uint, CEL_TYPE_UINT, "uint", 1);
SIMPLE_TYPE(cel_type_double, CEL_TYPE_DOUBLE, "double", 1);
SIMPLE_TYPE(cel_type_string, CEL_TYPE_STRING, "string", 2);
SIMPLE_TYPE(cel_type_bytes, CEL_TYPE_BYTES, "bytes", 2);
SIMPLE_TYPE(cel_type_timestamp, CEL_TYPE_TIMESTAMP, "google.protobuf.Timestamp", 21);
SIMPLE_TYPE(cel_type_duration, CEL_TYPE_DURATION, "google.protobuf.Duration", 3);
SIMPLE_TYPE(cel_type_error, CEL_TYPE_ERROR, "!error!", 0);
SIMPLE_TYPE(cel_type_type, CEL_TYPE_TYPE, "type", 0);

SIMPLE_TYPE(cel_type_url, CEL_TYPE_OPAQUE, "kubernetes.URL", 0);
SIMPLE_TYPE(cel_type_ip, CEL_TYPE_OPAQUE, "net.IP", 0);
SIMPLE_TYPE(cel_type_cidr, CEL_TYPE_OPAQUE, "net.CIDR", 0);
SIMPLE_TYPE(cel_type_quantity, CEL_TYPE_OPAQUE, "kubernetes.Quantity", 0);
SIMPLE_TYPE(cel_type_semver, CEL_TYPE_OPAQUE, "kubernetes.Semver", 0);
SIMPLE_TYPE(cel_type_named_format, CEL_TYPE_OPAQUE, "kubernetes.NamedFormat", 0);
SIMPLE_TYPE(cel_type_authorizer, CEL_TYPE_OPAQUE, "kubernetes.authorization.Authorizer", 0);
SIMPLE_TYPE(cel_type_path_check, CEL_TYPE_OPAQUE, "kubernetes.authorization.PathCheck", 0);
SIMPLE_TYPE(cel_type_group_check, CEL_TYPE_OPAQUE, "kubernetes.authorization.GroupCheck", 0);
SIMPLE_TYPE(cel_type_resource_check, CEL_TYPE_OPAQUE, "kubernetes.authorization.ResourceCheck", 0);
SIMPLE_TYPE(cel_type_decision, CEL_TYPE_OPAQUE, "kubernetes.authorization.Decision", 0);

const struct cel_type cel_type_param_a = {.kind = CEL_TYPE_PARAM, .name = "A", .index = 0};
const struct cel_type cel_type_param_b = {.kind = CEL_TYPE_PARAM, .name = "B", .index = 1};
const struct cel_type cel_type_list_dyn = {
        .kind = CEL_TYPE_LIST, .name = "list", .params = {&cel_type_dyn}, .param_count = 1, .min_size = 2};
const struct cel_type cel_type_map_dyn = {.kind = CEL_TYPE_MAP,
                                          .name = "map",
                                          .params = {&cel_type_string, &cel_type_dyn},
                                          .param_count = 2,
                                          .min_size = 2};
const struct cel_type cel_type_optional_dyn = {
        .kind = CEL_TYPE_OPAQUE, .name = "optional_type", .params = {&cel_type_dyn}, .param_count = 1};

#define PATCH_FIELD(name_, type_)                                                        \
	{                                                                                \
		.name = (name_), .name_length = sizeof(name_) - 1, .json_name = (name_), \
		.json_name_length = sizeof(name_) - 1, .type = (type_)                   \
	}
static struct cel_field json_patch_fields[] = {
        PATCH_FIELD("op", &cel_type_string),
        PATCH_FIELD("path", &cel_type_string),
        PATCH_FIELD("from", &cel_type_string),
        PATCH_FIELD("value", &cel_type_dyn),
};
const struct cel_type cel_type_json_patch = {
        .kind = CEL_TYPE_OBJECT, .name = "JSONPatch", .fields = json_patch_fields, .field_count = 4};

struct cel_type *cel_type_make(struct arena *arena, enum cel_type_kind kind, const char *name,
                               const struct cel_type *first, const struct cel_type *second)
{
	struct cel_type *type = ARENA_NEW(arena, struct cel_type);
	type->kind = kind;
	type->name = name;
	type->params[0] = first;
	type->params[1] = second;
	type->param_count = (first != NULL) + (second != NULL);
	type->min_size = kind == CEL_TYPE_LIST || kind == CEL_TYPE_MAP || kind == CEL_TYPE_OBJECT ? 2 : 0;
	return type;
}

const struct cel_type *cel_type_make_list(struct arena *arena, const struct cel_type *element)
{
	return cel_type_make(arena, CEL_TYPE_LIST, "list", element, NULL);
}

const struct cel_type *cel_type_make_map(struct arena *arena, const struct cel_type *key, const struct cel_type *value)
{
	return cel_type_make(arena, CEL_TYPE_MAP, "map", key, value);
}

const struct cel_type *cel_type_make_optional(struct arena *arena, const struct cel_type *value)
{
	return cel_type_make(arena, CEL_TYPE_OPAQUE, "optional_type", value, NULL);
}

const struct cel_type *cel_type_make_type(struct arena *arena, const struct cel_type *of)
{
	return cel_type_make(arena, CEL_TYPE_TYPE, "type", of, NULL);
}

bool cel_type_is_optional(const struct cel_type *type)
{
	return type->kind == CEL_TYPE_OPAQUE && type->param_count == 1;
}

const struct cel_type *cel_type_unwrap(const struct cel_type *type)
{
	return cel_type_is_optional(type) ? type->params[0] : type;
}

const struct cel_field *cel_type_find_field(const struct cel_type *object, const char *name, size_t length)
{
	for (size_t i = object->field_count; i-- > 0;)
		if (object->fields[i].name_length == length && memcmp(object->fields[i].name, name, length) == 0)
			return &object->fields[i];
	return NULL;
}

bool cel_type_equal(const struct cel_type *a, const struct cel_type *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind || a->param_count != b->param_count)
		return false;
	if (a->kind == CEL_TYPE_PARAM)
		return a->index == b->index;
	if ((a->kind == CEL_TYPE_OBJECT || a->kind == CEL_TYPE_OPAQUE) && strcmp(a->name, b->name) != 0)
		return false;
	for (unsigned i = 0; i < a->param_count; i++)
		if (!cel_type_equal(a->params[i], b->params[i]))
			return false;
	return true;
}

static void format_type(struct strbuf *out, const struct cel_type *type)
{
	switch (type->kind) {
	case CEL_TYPE_NULL:
		strbuf_append_text(out, "null");
		return;
	case CEL_TYPE_TIMESTAMP:
		strbuf_append_text(out, "timestamp");
		return;
	case CEL_TYPE_DURATION:
		strbuf_append_text(out, "duration");
		return;
	default:
		strbuf_append_text(out, type->name);
	}
	if (type->param_count == 0)
		return;
	strbuf_append_char(out, '(');
	for (unsigned i = 0; i < type->param_count; i++) {
		if (i)
			strbuf_append_text(out, ", ");
		format_type(out, type->params[i]);
	}
	strbuf_append_char(out, ')');
}

char *cel_type_format(struct arena *arena, const struct cel_type *type)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(64 * 1024);
	format_type(&out, type);
	return arena_strdup(arena, strbuf_text(&out));
}

uint64_t cel_type_max_cardinality(const struct cel_type *type)
{
	return (uint64_t)(CEL_MAX_REQUEST_BYTES / (type->min_size + 1)); // a comma between any two
}

// --- names as identifiers --------------------------------------------------------

static const char *const reserved_words[] = {
        "true", "false",  "null", "in",   "as",      "break",     "const",  "continue", "else", "for",   "function",
        "if",   "import", "let",  "loop", "package", "namespace", "return", "var",      "void", "while",
};

static bool is_reserved(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved_words); i++)
		if (strlen(reserved_words[i]) == length && memcmp(reserved_words[i], name, length) == 0)
			return true;
	return false;
}

static const char *escape_of(const char *name, size_t length, size_t *ret_taken)
{
	*ret_taken = 1;
	switch (name[0]) {
	case '.':
		return "__dot__";
	case '-':
		return "__dash__";
	case '/':
		return "__slash__";
	case '_':
		if (length > 1 && name[1] == '_') {
			*ret_taken = 2;
			return "__underscores__";
		}
		return "_";
	default:
		return NULL;
	}
}

static bool is_plain(char character)
{
	return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
	       (character >= '0' && character <= '9');
}

char *cel_escape(struct arena *arena, const char *name, size_t length)
{
	if (length == 0 || (name[0] >= '0' && name[0] <= '9'))
		return NULL;
	if (is_reserved(name, length))
		return arena_printf(arena, "__%.*s__", (int)length, name);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(SIZE_MAX / 2);
	for (size_t i = 0, taken; i < length; i += taken) {
		const char *escape = escape_of(name + i, length - i, &taken);
		if (escape)
			strbuf_append_text(&out, escape);
		else if (is_plain(name[i]))
			strbuf_append_char(&out, name[i]);
		else
			return NULL;
	}
	return arena_strndup(arena, strbuf_text(&out), out.length);
}
