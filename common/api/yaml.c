// SPDX-License-Identifier: Apache-2.0
//
// YAML to the JSON tree. libyaml gives events; a recursive reader, whose depth
// is limited, makes nodes of them. Conventions are those of sigs.k8s.io/yaml
// (see yaml_resolve.c), with two strict points: a key that stands twice in a
// mapping is an error unless the caller takes note of it, and keys that a merge
// ("<<") brings never win over explicit ones, wherever they stand.
//
// An alias becomes a copy of its anchor's tree, because trees are edited in
// place. Copies count against the limit of nodes and against upstream's ratio
// rule, so that a small document can't become a huge tree.
//
// A document that begins with '{' is tried as JSON first, as upstream's decoder
// does: it is faster, and its errors are clearer.
#include "common/api/yaml.h"

#include <assert.h>
#include <string.h>

#include "common/api/json_hash.h"
#include "common/api/yaml_reader.h"
#include "common/base/hashmap.h"

enum {
	DEFAULT_MAX_DEPTH = 200,
	DEFAULT_MAX_NODES = 2000000,
	ALIAS_FREE_NODES = 100,
	DOCUMENT_FREE_NODES = 1000,
	RATIO_LOW_NODES = 400000,
	RATIO_HIGH_NODES = 4000000,
	PATH_BYTES = 512,
};

static struct json incomplete_anchor;

static int read_node(struct yaml_reader *reader, const yaml_event_t *event, struct json **ret_value);

// --- errors ------------------------------------------------------------------------

static int parser_error(struct yaml_reader *reader)
{
	yaml_parser_t *parser = &reader->parser;
	const char *problem =
	        parser->problem && *parser->problem ? parser->problem : "unknown problem parsing YAML content";
	size_t line = parser->problem_mark.line;
	if (line && parser->error == YAML_SCANNER_ERROR)
		line++;
	if (!line)
		line = parser->context_mark.line;
	if (!line)
		return err_set(reader->err, ERR_PARSE, YAML_ERROR_PREFIX "%s", problem);
	return err_set(reader->err, ERR_PARSE, YAML_ERROR_PREFIX "line %zu: %s", line, problem);
}

int yaml_node_error(struct yaml_reader *reader, const yaml_event_t *event, const char *problem)
{
	return err_set(reader->err, ERR_PARSE, YAML_ERROR_PREFIX "line %zu: %s", event->start_mark.line + 1, problem);
}

static int next_event(struct yaml_reader *reader, yaml_event_t *event)
{
	return yaml_parser_parse(&reader->parser, event) ? 0 : parser_error(reader);
}

// --- limits ------------------------------------------------------------------------

static double allowed_alias_ratio(size_t nodes)
{
	if (nodes <= RATIO_LOW_NODES)
		return 0.99;
	if (nodes >= RATIO_HIGH_NODES)
		return 0.10;
	return 0.99 - 0.89 * (double)(nodes - RATIO_LOW_NODES) / (RATIO_HIGH_NODES - RATIO_LOW_NODES);
}

static int count_nodes(struct yaml_reader *reader, size_t count, bool by_alias)
{
	reader->nodes += count;
	reader->alias_nodes += by_alias ? count : 0;
	if (reader->nodes > reader->max_nodes)
		return err_set(reader->err, ERR_TOO_LARGE, YAML_ERROR_PREFIX "document has too many values");
	if (reader->alias_nodes > ALIAS_FREE_NODES && reader->nodes > DOCUMENT_FREE_NODES &&
	    (double)reader->alias_nodes / (double)reader->nodes > allowed_alias_ratio(reader->nodes))
		return err_set(reader->err, ERR_PARSE, YAML_ERROR_PREFIX "document contains excessive aliasing");
	return 0;
}

static size_t tree_size(const struct json *value)
{
	size_t size = 1;
	if (value->type == JSON_ARRAY)
		for (uint32_t i = 0; i < value->length; i++)
			size += tree_size(value->items[i]);
	if (value->type == JSON_OBJECT)
		for (uint32_t i = 0; i < value->length; i++)
			size += tree_size(value->members[i].value);
	return size;
}

static unsigned tree_depth(const struct json *value)
{
	unsigned deepest = 0;
	if (value->type != JSON_ARRAY && value->type != JSON_OBJECT)
		return 0;
	for (uint32_t i = 0; i < value->length; i++) {
		unsigned depth = tree_depth(value->type == JSON_ARRAY ? value->items[i] : value->members[i].value);
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

// --- anchors -----------------------------------------------------------------------

static void begin_anchor(struct yaml_reader *reader, const yaml_char_t *anchor)
{
	if (anchor)
		hashmap_put(reader->anchors, (const char *)anchor, &incomplete_anchor);
}

static void finish_anchor(struct yaml_reader *reader, const yaml_char_t *anchor, struct json *value)
{
	if (anchor)
		hashmap_put(reader->anchors, (const char *)anchor, value);
}

static int read_alias(struct yaml_reader *reader, const yaml_event_t *event, struct json **ret_value)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct json *value = hashmap_get(reader->anchors, name);
	if (!value)
		return err_set(reader->err, ERR_PARSE, YAML_ERROR_PREFIX "unknown anchor '%s' referenced", name);
	if (value == &incomplete_anchor)
		return err_set(reader->err, ERR_PARSE, YAML_ERROR_PREFIX "anchor '%s' value contains itself", name);
	if (reader->depth + tree_depth(value) > reader->max_depth)
		return yaml_node_error(reader, event, "exceeded max depth");
	int code = count_nodes(reader, tree_size(value), true);
	if (code)
		return code;
	*ret_value = json_clone(reader->arena, value);
	return 0;
}

// --- mappings ----------------------------------------------------------------------

// What a mapping gathers until it ends.
struct mapping {
	struct json *object;
	struct hashmap *seen; // explicit keys, once there are many
	struct json *merged;  // an array of mappings that "<<" named, NULL = none
};

static bool is_merge_key(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 2 &&
	       memcmp(event->data.scalar.value, "<<", 2) == 0 && event->data.scalar.plain_implicit;
}

// The JSON key for the node that stands as one.
static int key_text(struct yaml_reader *reader, const yaml_event_t *event, struct json **ret_key)
{
	struct json *node = NULL;
	int code = read_node(reader, event, &node);
	if (code)
		return code;
	switch ((enum json_type)node->type) {
	case JSON_STRING:
		*ret_key = node;
		return 0;
	case JSON_BOOL:
		*ret_key = json_string(reader->arena, node->boolean ? "true" : "false");
		return 0;
	case JSON_INTEGER:
		*ret_key = json_string(reader->arena, arena_printf(reader->arena, "%lld", (long long)node->integer));
		return 0;
	case JSON_NUMBER:
		*ret_key = json_string_n(reader->arena, node->text, node->length);
		return 0;
	default:
		return yaml_node_error(reader, event,
		                       node->type == JSON_NULL ? "unsupported map key of type: null"
		                                               : "invalid map key: not a scalar");
	}
}

// Whether the mapping has the key already. Keys with NULs, which the hash map
// can't tell from shorter ones, are searched for.
static bool note_key(struct mapping *mapping, const struct json *key)
{
	enum { FEW_KEYS = 24 };
	struct json *object = mapping->object;
	if (object->length < FEW_KEYS || memchr(key->text, '\0', key->length))
		return json_get_n(object, key->text, key->length) != NULL;
	if (!mapping->seen) {
		mapping->seen = hashmap_new(NULL);
		json_for_each_member (member, object)
			if (!memchr(member->key, '\0', member->key_length))
				hashmap_put(mapping->seen, member->key, object);
	}
	return !hashmap_put(mapping->seen, key->text, object);
}

static int add_member(struct yaml_reader *reader, const yaml_event_t *event, struct mapping *mapping,
                      const struct json *key, struct json *value)
{
	struct json *object = mapping->object;
	if (!note_key(mapping, key)) {
		json_add_n(reader->arena, object, key->text, key->length, value);
		return 0;
	}
	if (!reader->limits || !reader->limits->on_duplicate)
		return err_set(reader->err, ERR_PARSE,
		               YAML_ERROR_PREFIX "unmarshal errors:\n  line %zu: key \"%s\" already set in map",
		               event->start_mark.line + 1, key->text);
	reader->limits->on_duplicate(reader->limits->context, strbuf_text(&reader->path));
	json_set_n(reader->arena, object, key->text, key->length, value);
	return 0;
}

static int add_merge(struct yaml_reader *reader, const yaml_event_t *event, struct mapping *mapping, struct json *value)
{
	static const char problem[] = "map merge requires map or sequence of maps as the value";
	if (!mapping->merged)
		mapping->merged = json_array(reader->arena);
	if (json_is(value, JSON_OBJECT)) {
		json_append(reader->arena, mapping->merged, value);
		return 0;
	}
	if (!json_is(value, JSON_ARRAY))
		return yaml_node_error(reader, event, problem);
	json_for_each_item (item, value) {
		if (!json_is(item, JSON_OBJECT))
			return yaml_node_error(reader, event, problem);
		json_append(reader->arena, mapping->merged, item);
	}
	return 0;
}

// Adds what the merged mappings have and the mapping itself has not; the first of them wins.
static void apply_merges(struct yaml_reader *reader, struct mapping *mapping)
{
	json_for_each_item (source, mapping->merged) {
		struct json_index index;
		uint32_t length = mapping->object->length;
		json_index_init(&index, mapping->object);
		struct json *added = json_object(reader->arena);
		json_for_each_member (member, source)
			if (!json_index_get(&index, member->key, member->key_length))
				json_add_n(reader->arena, added, member->key, member->key_length, member->value);
		json_index_done(&index);
		assert(mapping->object->length == length);
		json_for_each_member (member, added)
			json_add_n(reader->arena, mapping->object, member->key, member->key_length, member->value);
	}
}

static int read_member(struct yaml_reader *reader, const yaml_event_t *key_event, struct mapping *mapping)
{
	struct json *key = NULL;
	struct json *value = NULL;
	bool merge = is_merge_key(key_event);
	int code = merge ? 0 : key_text(reader, key_event, &key);
	if (code)
		return code;
	size_t path_length = reader->path.length;
	if (key)
		strbuf_printf(&reader->path, "%s%s", path_length ? "." : "", key->text);
	yaml_event_t event;
	code = next_event(reader, &event);
	if (code)
		return code;
	code = read_node(reader, &event, &value);
	if (!code)
		code = merge ? add_merge(reader, &event, mapping, value)
		             : add_member(reader, key_event, mapping, key, value);
	yaml_event_delete(&event);
	reader->path.length = path_length;
	reader->path.overflowed = false;
	if (reader->path.data)
		reader->path.data[path_length] = '\0';
	return code;
}

static int read_members(struct yaml_reader *reader, struct mapping *mapping)
{
	for (;;) {
		yaml_event_t event;
		int code = next_event(reader, &event);
		if (code)
			return code;
		bool last = event.type == YAML_MAPPING_END_EVENT;
		if (!last)
			code = read_member(reader, &event, mapping);
		yaml_event_delete(&event);
		if (last || code)
			return code;
	}
}

static int read_mapping(struct yaml_reader *reader, struct json **ret_value)
{
	struct mapping mapping = {.object = json_object(reader->arena)};
	int code = read_members(reader, &mapping);
	hashmap_free(mapping.seen);
	if (code)
		return code;
	apply_merges(reader, &mapping);
	*ret_value = mapping.object;
	return 0;
}

static int read_sequence(struct yaml_reader *reader, struct json **ret_value)
{
	struct json *array = json_array(reader->arena);
	for (;;) {
		yaml_event_t event;
		int code = next_event(reader, &event);
		if (code)
			return code;
		bool last = event.type == YAML_SEQUENCE_END_EVENT;
		struct json *item = NULL;
		size_t path_length = reader->path.length;
		strbuf_printf(&reader->path, "[%u]", array->length);
		if (!last)
			code = read_node(reader, &event, &item);
		yaml_event_delete(&event);
		reader->path.length = path_length;
		reader->path.overflowed = false;
		if (reader->path.data)
			reader->path.data[path_length] = '\0';
		if (code)
			return code;
		if (last)
			break;
		json_append(reader->arena, array, item);
	}
	*ret_value = array;
	return 0;
}

static int read_container(struct yaml_reader *reader, const yaml_event_t *event, struct json **ret_value)
{
	if (reader->depth >= reader->max_depth)
		return yaml_node_error(reader, event, "exceeded max depth");
	reader->depth++;
	int code = event->type == YAML_MAPPING_START_EVENT ? read_mapping(reader, ret_value)
	                                                   : read_sequence(reader, ret_value);
	reader->depth--;
	return code;
}

static int read_node(struct yaml_reader *reader, const yaml_event_t *event, struct json **ret_value)
{
	if (event->type == YAML_ALIAS_EVENT)
		return read_alias(reader, event, ret_value);
	int code = count_nodes(reader, 1, false);
	if (code)
		return code;
	const yaml_char_t *anchor = event->type == YAML_SCALAR_EVENT          ? event->data.scalar.anchor
	                            : event->type == YAML_MAPPING_START_EVENT ? event->data.mapping_start.anchor
	                                                                      : event->data.sequence_start.anchor;
	begin_anchor(reader, anchor);
	code = event->type == YAML_SCALAR_EVENT ? yaml_read_scalar(reader, event, ret_value)
	                                        : read_container(reader, event, ret_value);
	if (!code)
		finish_anchor(reader, anchor, *ret_value);
	return code;
}

// --- documents ---------------------------------------------------------------------

struct documents {
	struct yaml_document *items;
	size_t count;
	size_t capacity;
};

static void add_document(struct arena *arena, struct documents *documents, struct json *value, size_t line)
{
	if (documents->count == documents->capacity) {
		size_t capacity = documents->capacity ? documents->capacity * 2 : 4;
		documents->items =
		        arena_realloc(arena, documents->items, documents->capacity * sizeof(*documents->items),
		                      capacity * sizeof(*documents->items));
		documents->capacity = capacity;
	}
	documents->items[documents->count++] = (struct yaml_document){.value = value, .line = line};
}

// Behind a document's start: its root and its end.
static int read_document(struct yaml_reader *reader, struct documents *documents)
{
	yaml_event_t event;
	struct json *value = NULL;
	int code = next_event(reader, &event);
	if (code)
		return code;
	hashmap_clear(reader->anchors);
	bool empty = event.type == YAML_SCALAR_EVENT && event.data.scalar.plain_implicit && !event.data.scalar.length;
	size_t line = event.start_mark.line + 1;
	code = read_node(reader, &event, &value);
	yaml_event_delete(&event);
	if (code)
		return code;
	if (!empty)
		add_document(reader->arena, documents, value, line);
	code = next_event(reader, &event);
	if (!code)
		yaml_event_delete(&event);
	return code;
}

static int read_stream(struct yaml_reader *reader, struct documents *documents)
{
	for (;;) {
		yaml_event_t event;
		int code = next_event(reader, &event);
		if (code)
			return code;
		yaml_event_type_t type = event.type;
		yaml_event_delete(&event);
		if (type == YAML_STREAM_END_EVENT)
			return 0;
		if (type == YAML_DOCUMENT_START_EVENT)
			code = read_document(reader, documents);
		if (code)
			return code;
	}
}

static int parse_stream(struct arena *arena, const char *text, size_t length, const struct json_limits *limits,
                        struct documents *documents, struct err *err)
{
	struct yaml_reader reader = {
	        .arena = arena,
	        .limits = limits,
	        .max_depth = limits && limits->max_depth ? limits->max_depth : DEFAULT_MAX_DEPTH,
	        .max_nodes = limits && limits->max_nodes ? limits->max_nodes : DEFAULT_MAX_NODES,
	        .path = STRBUF_INIT(PATH_BYTES),
	        .err = err,
	};
	if (!yaml_parser_initialize(&reader.parser))
		return err_set(err, ERR_INTERNAL, "cannot start the YAML parser: out of memory");
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
	reader.anchors = hashmap_new(NULL);
	int code = read_stream(&reader, documents);
	hashmap_free(reader.anchors);
	strbuf_done(&reader.path);
	yaml_parser_delete(&reader.parser);
	return code;
}

static bool begins_like_json(const char *text, size_t length)
{
	size_t i = 0;
	while (i < length && strchr(" \t\r\n", text[i]) && text[i])
		i++;
	return i < length && text[i] == '{';
}

int yaml_parse(struct arena *arena, const char *text, size_t length, const struct json_limits *limits,
               struct yaml_document **ret_documents, size_t *ret_count, struct err *err)
{
	struct documents documents = {0};
	struct err json_err = ERR_INIT;
	bool maybe_json = begins_like_json(text, length);
	struct json *value = NULL;
	if (maybe_json && json_parse(arena, text, length, limits, &value, &json_err) == 0) {
		add_document(arena, &documents, value, 1);
	} else {
		struct err yaml_err = ERR_INIT;
		int code = parse_stream(arena, text, length, limits, &documents, &yaml_err);
		if (code)
			return err_copy(err, maybe_json ? &json_err : &yaml_err);
	}
	*ret_documents = documents.items;
	*ret_count = documents.count;
	return 0;
}
