// SPDX-License-Identifier: Apache-2.0
//
// The strict reader: one pass, no recursion, bounded memory.
//
// The document is copied into the arena once. Strings are unescaped in that
// copy, where they only ever get shorter, and their closing quote becomes the
// terminating NUL; so a string costs no allocation and no second copy. Nodes
// come from slabs. The values of containers that are still open are gathered on
// one stack on the heap (`pending`); when a container closes, its part of the
// stack moves into an exact table in the arena.
//
// Invariants: (1) the copy ends in sixteen NULs, so that a block may be
// loaded anywhere and the end of input looks like a control character;
// (2) a byte that was turned into a terminator has been read before;
// (3) the keys of one object are unique: few are compared with each other, many
// go through a hash table that belongs to the frame of the object.
//
// Error texts are those of Go's encoding/json with the byte offset added.
// Unlike Go, invalid UTF-8 is refused, not replaced; a lone surrogate escape
// becomes U+FFFD as there.
#include <stdio.h>
#include <string.h>

#include "common/api/json.h"
#include "common/api/json_hash.h"
#include "common/api/json_scan.h"
#include "common/api/json_unescape.h"
#include "common/base/memory.h"

enum {
	DEFAULT_MAX_DEPTH = 200,
	DEFAULT_MAX_NODES = 2000000,
	PADDING_BYTES = JSON_SCAN_BYTES,
	SLAB_NODES = 128,
	KEYS_COMPARED = 16, // objects up to this size need no hash table
	EMBEDDED_FRAMES = 32,
	EMBEDDED_PENDING = 64,
	PATH_BYTES = 512,
};

// The keys of one large object that is still open.
struct key_set {
	uint32_t *slots; // member number + 1
	size_t mask;
};

// A container that is still open.
struct frame {
	bool is_object;
	size_t first; // its first entry in `pending`
	struct key_set keys;
	struct json *replaced; // not NULL: the value being read replaces that of member `replaced_member`
	size_t replaced_member;
};

struct parser {
	struct arena *arena;
	char *start;
	char *cursor;
	char *end;
	const struct json_limits *limits;
	unsigned max_depth;
	size_t nodes_left;
	struct json *slab;
	size_t slab_left;
	struct frame *frames;
	size_t frame_capacity;
	size_t depth;
	struct json_member *pending; // values (and keys) of open containers
	size_t pending_count;
	size_t pending_capacity;
	struct err *err;
	struct frame embedded_frames[EMBEDDED_FRAMES];
	struct json_member embedded_pending[EMBEDDED_PENDING];
};

// --- errors ----------------------------------------------------------------------

static size_t offset_of(const struct parser *parser, const char *place)
{
	return (size_t)(place - parser->start);
}

static void quote_character(unsigned char character, char out[16])
{
	static const char letters[] = {['\a'] = 'a', ['\b'] = 'b', ['\t'] = 't',  ['\n'] = 'n', ['\v'] = 'v',
	                               ['\f'] = 'f', ['\r'] = 'r', ['\''] = '\'', ['\\'] = '\\'};
	if (character < sizeof(letters) && letters[character])
		snprintf(out, 16, "'\\%c'", letters[character]);
	else if (character >= 0x20 && character < 0x7f)
		snprintf(out, 16, "'%c'", character);
	else if (character < 0x80)
		snprintf(out, 16, "'\\x%02x'", character);
	else if (character < 0xa0 || character == 0xad)
		snprintf(out, 16, "'\\u%04x'", character);
	else
		snprintf(out, 16, "'%c%c'", 0xc0 | character >> 6, 0x80 | (character & 0x3f));
}

// The character at `place` does not fit; `where` completes Go's sentence.
static int unexpected(struct parser *parser, const char *place, const char *where)
{
	if (place >= parser->end)
		return err_set(parser->err, ERR_PARSE, "unexpected end of JSON input at offset %zu",
		               offset_of(parser, parser->end));
	char quoted[16];
	quote_character((unsigned char)*place, quoted);
	return err_set(parser->err, ERR_PARSE, "invalid character %s %s at offset %zu", quoted, where,
	               offset_of(parser, place));
}

// --- nodes -------------------------------------------------------------------------

static struct json *take_node(struct parser *parser, enum json_type type)
{
	if (!parser->slab_left) {
		size_t left = (size_t)(parser->end - parser->cursor) / 12 + 2;
		parser->slab_left = left < SLAB_NODES ? left : SLAB_NODES;
		parser->slab = arena_alloc(parser->arena, parser->slab_left * sizeof(struct json));
	}
	parser->slab_left--;
	struct json *node = parser->slab++;
	*node = (struct json){.type = type};
	return node;
}

static struct json_member *push_pending(struct parser *parser)
{
	if (parser->pending_count == parser->pending_capacity) {
		size_t capacity = parser->pending_capacity * 2;
		bool embedded = parser->pending == parser->embedded_pending;
		parser->pending =
		        xreallocarray(embedded ? NULL : parser->pending, capacity, sizeof(struct json_member));
		if (embedded)
			memcpy(parser->pending, parser->embedded_pending, sizeof(parser->embedded_pending));
		parser->pending_capacity = capacity;
	}
	return &parser->pending[parser->pending_count++];
}

static struct frame *push_frame(struct parser *parser, bool is_object)
{
	if (parser->depth == parser->frame_capacity) {
		size_t capacity = parser->frame_capacity * 2;
		bool embedded = parser->frames == parser->embedded_frames;
		parser->frames = xreallocarray(embedded ? NULL : parser->frames, capacity, sizeof(struct frame));
		if (embedded)
			memcpy(parser->frames, parser->embedded_frames, sizeof(parser->embedded_frames));
		parser->frame_capacity = capacity;
	}
	struct frame *frame = &parser->frames[parser->depth++];
	*frame = (struct frame){.is_object = is_object, .first = parser->pending_count};
	return frame;
}

static inline void skip_blanks(struct parser *parser)
{
	const char *cursor = parser->cursor;
	while (*cursor == ' ' || *cursor == '\n' || *cursor == '\t' || *cursor == '\r')
		cursor++;
	parser->cursor = (char *)cursor;
}

// --- strings -------------------------------------------------------------------------

// The rest of a string that is not plain ASCII.
static int parse_string_slow(struct parser *parser, char *place, char **ret_finish)
{
	const char *in = place;
	const char *problem = json_unescape(&in, &place);
	if (problem == json_invalid_utf8)
		return err_set(parser->err, ERR_PARSE, "invalid UTF-8 in string literal at offset %zu",
		               offset_of(parser, in));
	if (problem)
		return unexpected(parser, in, problem);
	parser->cursor = (char *)in + 1;
	*ret_finish = place;
	return 0;
}

// At the opening quote. The text stands in the copy, terminated.
static inline int parse_string(struct parser *parser, const char **ret_text, uint32_t *ret_length)
{
	char *first = parser->cursor + 1;
	char *place = first;
	char *finish;
	uint32_t marks;
	while (!(marks = json_scan_input(place)))
		place += JSON_SCAN_BYTES;
	place += __builtin_ctz(marks);
	if (*place == '"') {
		finish = place;
		parser->cursor = place + 1;
	} else {
		int code = parse_string_slow(parser, place, &finish);
		if (code)
			return code;
	}
	*finish = '\0';
	*ret_text = first;
	*ret_length = (uint32_t)(finish - first);
	return 0;
}

// --- numbers and literals ----------------------------------------------------------

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

// Checks the fraction and exponent behind the integer part; *place moves to the end.
static int scan_fraction(struct parser *parser, const char **place)
{
	const char *cursor = *place;
	if (*cursor == '.') {
		if (!is_digit(*++cursor))
			return unexpected(parser, cursor, "after decimal point in numeric literal");
		while (is_digit(*cursor))
			cursor++;
	}
	if (*cursor == 'e' || *cursor == 'E') {
		cursor++;
		if (*cursor == '+' || *cursor == '-')
			cursor++;
		if (!is_digit(*cursor))
			return unexpected(parser, cursor, "in exponent of numeric literal");
		while (is_digit(*cursor))
			cursor++;
	}
	*place = cursor;
	return 0;
}

static int parse_number(struct parser *parser, struct json **ret_value)
{
	const char *first = parser->cursor;
	const char *cursor = first;
	bool negative = *cursor == '-';
	uint64_t magnitude = 0;
	bool fits = true;
	if (negative)
		cursor++;
	if (!is_digit(*cursor))
		return unexpected(parser, cursor, "in numeric literal");
	if (*cursor == '0') {
		cursor++;
	} else {
		for (; is_digit(*cursor); cursor++)
			fits = fits && !__builtin_mul_overflow(magnitude, 10, &magnitude) &&
			       !__builtin_add_overflow(magnitude, (uint64_t)(*cursor - '0'), &magnitude);
	}
	fits = fits && magnitude <= (uint64_t)INT64_MAX + negative && *cursor != '.' && (*cursor | 0x20) != 'e';
	int code = scan_fraction(parser, &cursor);
	if (code)
		return code;
	parser->cursor = (char *)cursor;
	struct json *node = take_node(parser, fits ? JSON_INTEGER : JSON_NUMBER);
	if (fits) {
		node->integer = negative ? (int64_t)-magnitude : (int64_t)magnitude;
	} else {
		node->length = (uint32_t)(cursor - first);
		node->text = arena_strndup(parser->arena, first, node->length);
	}
	*ret_value = node;
	return 0;
}

static int parse_literal(struct parser *parser, const char *word, enum json_type type, struct json **ret_value)
{
	for (size_t i = 1; word[i]; i++) {
		if (parser->cursor[i] != word[i]) {
			char where[64];
			snprintf(where, sizeof(where), "in literal %s (expecting '%c')", word, word[i]);
			return unexpected(parser, parser->cursor + i, where);
		}
	}
	*ret_value = take_node(parser, type);
	(*ret_value)->boolean = *word == 't';
	parser->cursor += strlen(word);
	return 0;
}

// --- keys ------------------------------------------------------------------------------

static void key_set_insert(struct key_set *set, const struct json_member *members, size_t number)
{
	size_t slot = json_key_hash(members[number].key, members[number].key_length) & set->mask;
	while (set->slots[slot])
		slot = (slot + 1) & set->mask;
	set->slots[slot] = (uint32_t)number + 1;
}

// Makes room for one more key, and hashes all keys anew when the table grows.
static void key_set_grow(struct key_set *set, const struct json_member *members, size_t count)
{
	if (set->slots && count * 2 < set->mask)
		return;
	size_t size = set->slots ? (set->mask + 1) * 4 : 64;
	free(set->slots);
	set->slots = xcalloc(size, sizeof(*set->slots));
	set->mask = size - 1;
	for (size_t i = 0; i < count; i++)
		key_set_insert(set, members, i);
}

static inline bool same_key(const struct json_member *member, const char *key, size_t length)
{
	return member->key_length == length && memcmp(member->key, key, length) == 0;
}

// The number of the member of the innermost object that has this key, else SIZE_MAX.
static size_t find_key(struct parser *parser, struct frame *frame, const char *key, size_t length)
{
	const struct json_member *members = parser->pending + frame->first;
	size_t count = parser->pending_count - frame->first;
	if (count < KEYS_COMPARED) {
		for (size_t i = 0; i < count; i++)
			if (same_key(&members[i], key, length))
				return i;
		return SIZE_MAX;
	}
	key_set_grow(&frame->keys, members, count);
	size_t slot = json_key_hash(key, length) & frame->keys.mask;
	for (; frame->keys.slots[slot]; slot = (slot + 1) & frame->keys.mask)
		if (same_key(&members[frame->keys.slots[slot] - 1], key, length))
			return frame->keys.slots[slot] - 1;
	frame->keys.slots[slot] = (uint32_t)count + 1; // where the caller is about to put it
	return SIZE_MAX;
}

// "spec.containers[0].name": the open containers' places and the key.
static void write_path(const struct parser *parser, const char *key, char out[PATH_BYTES])
{
	struct strbuf path = STRBUF_INIT(PATH_BYTES - 1);
	for (size_t i = 0; i + 1 < parser->depth; i++) {
		const struct frame *frame = &parser->frames[i];
		size_t next = parser->frames[i + 1].first;
		if (!frame->is_object)
			strbuf_printf(&path, "[%zu]", next - frame->first);
		else
			strbuf_printf(
			        &path, "%s%s", path.length ? "." : "",
			        parser->pending[frame->replaced ? frame->first + frame->replaced_member : next - 1]
			                .key);
	}
	strbuf_printf(&path, "%s%s", path.length ? "." : "", key);
	snprintf(out, PATH_BYTES, "%s", strbuf_text(&path));
	strbuf_done(&path);
}

// A key that the object has already: noted, or an error.
static int on_duplicate(struct parser *parser, struct frame *frame, const char *key, size_t member)
{
	char path[PATH_BYTES];
	write_path(parser, key, path);
	if (!parser->limits || !parser->limits->on_duplicate)
		return err_set(parser->err, ERR_PARSE, "duplicate field \"%s\" at offset %zu", path,
		               offset_of(parser, key));
	parser->limits->on_duplicate(parser->limits->context, path);
	frame->replaced_member = member;
	frame->replaced = parser->pending[frame->first + member].value;
	return 0;
}

// Reads `"key" :` and leaves a pending entry for the value.
static int parse_key(struct parser *parser)
{
	if (*parser->cursor != '"')
		return unexpected(parser, parser->cursor, "looking for beginning of object key string");
	const char *key;
	uint32_t length;
	int code = parse_string(parser, &key, &length);
	if (code)
		return code;
	skip_blanks(parser);
	if (*parser->cursor != ':')
		return unexpected(parser, parser->cursor, "after object key");
	parser->cursor++;
	struct frame *frame = &parser->frames[parser->depth - 1];
	size_t earlier = find_key(parser, frame, key, length);
	frame->replaced = NULL;
	if (earlier != SIZE_MAX)
		return on_duplicate(parser, frame, key, earlier);
	*push_pending(parser) = (struct json_member){.key = key, .key_length = length};
	return 0;
}

// --- containers ----------------------------------------------------------------------

// Stores a finished value where the innermost open container expects it.
static inline void deliver(struct parser *parser, struct json *value)
{
	struct frame *frame = &parser->frames[parser->depth - 1];
	if (!frame->is_object)
		push_pending(parser)->value = value;
	else if (frame->replaced)
		parser->pending[frame->first + frame->replaced_member].value = value;
	else
		parser->pending[parser->pending_count - 1].value = value;
}

static struct json *close_container(struct parser *parser)
{
	struct frame *frame = &parser->frames[--parser->depth];
	size_t count = parser->pending_count - frame->first;
	const struct json_member *entries = parser->pending + frame->first;
	struct json *node = take_node(parser, frame->is_object ? JSON_OBJECT : JSON_ARRAY);
	node->length = node->capacity = (uint32_t)count;
	if (frame->is_object && count) {
		node->members = arena_alloc(parser->arena, count * sizeof(*entries));
		memcpy(node->members, entries, count * sizeof(*entries));
	} else if (count) {
		node->items = arena_alloc(parser->arena, count * sizeof(*node->items));
		for (size_t i = 0; i < count; i++)
			node->items[i] = entries[i].value;
	}
	free(frame->keys.slots);
	parser->pending_count = frame->first;
	return node;
}

// At '{' or '['. *ret_value stays NULL when the container holds something.
static int open_container(struct parser *parser, bool is_object, struct json **ret_value)
{
	if (parser->depth >= parser->max_depth)
		return err_set(parser->err, ERR_PARSE, "exceeded max depth at offset %zu",
		               offset_of(parser, parser->cursor));
	parser->cursor++;
	push_frame(parser, is_object);
	skip_blanks(parser);
	if (*parser->cursor == (is_object ? '}' : ']')) {
		parser->cursor++;
		*ret_value = close_container(parser);
		return 0;
	}
	return is_object ? parse_key(parser) : 0;
}

// One value. A container that is not empty is only opened, and *ret_value left NULL.
static inline int parse_value(struct parser *parser, struct json **ret_value)
{
	if (!parser->nodes_left--)
		return err_set(parser->err, ERR_TOO_LARGE, "JSON document has too many values at offset %zu",
		               offset_of(parser, parser->cursor));
	switch (*parser->cursor) {
	case '"': {
		struct json *node = take_node(parser, JSON_STRING);
		*ret_value = node;
		return parse_string(parser, &node->text, &node->length);
	}
	case '{':
		return open_container(parser, true, ret_value);
	case '[':
		return open_container(parser, false, ret_value);
	case 't':
		return parse_literal(parser, "true", JSON_BOOL, ret_value);
	case 'f':
		return parse_literal(parser, "false", JSON_BOOL, ret_value);
	case 'n':
		return parse_literal(parser, "null", JSON_NULL, ret_value);
	case '-':
	case '0' ... '9':
		return parse_number(parser, ret_value);
	default:
		return unexpected(parser, parser->cursor, "looking for beginning of value");
	}
}

// Behind a value: a comma and the next key, or the end of the container (and
// then what is behind that). *value becomes the outermost one, or NULL when
// another value is to be read.
static int parse_behind(struct parser *parser, struct json **value)
{
	while (parser->depth) {
		deliver(parser, *value);
		skip_blanks(parser);
		bool is_object = parser->frames[parser->depth - 1].is_object;
		if (*parser->cursor == ',') {
			parser->cursor++;
			*value = NULL;
			if (!is_object)
				return 0;
			skip_blanks(parser);
			return parse_key(parser);
		}
		if (*parser->cursor != (is_object ? '}' : ']'))
			return unexpected(parser, parser->cursor,
			                  is_object ? "after object key:value pair" : "after array element");
		parser->cursor++;
		*value = close_container(parser);
	}
	return 0;
}

static int parse_document(struct parser *parser, struct json **ret_value)
{
	struct json *value = NULL;
	while (!value) {
		skip_blanks(parser);
		int code = parse_value(parser, &value);
		if (!code && value)
			code = parse_behind(parser, &value);
		if (code)
			return code;
	}
	skip_blanks(parser);
	if (parser->cursor < parser->end)
		return unexpected(parser, parser->cursor, "after top-level value");
	*ret_value = value;
	return 0;
}

int json_parse(struct arena *arena, const char *text, size_t length, const struct json_limits *limits,
               struct json **ret_value, struct err *err)
{
	if (length > UINT32_MAX / 2)
		return err_set(err, ERR_TOO_LARGE, "JSON document of %zu bytes is too large", length);
	struct parser parser;
	memset(&parser, 0, offsetof(struct parser, embedded_frames));
	parser.arena = arena;
	parser.limits = limits;
	parser.err = err;
	parser.start = parser.cursor = arena_alloc(arena, length + PADDING_BYTES);
	parser.end = parser.start + length;
	if (length)
		memcpy(parser.start, text, length);
	memset(parser.end, 0, PADDING_BYTES);
	parser.max_depth = limits && limits->max_depth ? limits->max_depth : DEFAULT_MAX_DEPTH;
	parser.nodes_left = limits && limits->max_nodes ? limits->max_nodes : DEFAULT_MAX_NODES;
	parser.frames = parser.embedded_frames;
	parser.frame_capacity = EMBEDDED_FRAMES;
	parser.pending = parser.embedded_pending;
	parser.pending_capacity = EMBEDDED_PENDING;
	int code = parse_document(&parser, ret_value);
	while (parser.depth)
		free(parser.frames[--parser.depth].keys.slots);
	if (parser.frames != parser.embedded_frames)
		free(parser.frames);
	if (parser.pending != parser.embedded_pending)
		free(parser.pending);
	return code;
}
