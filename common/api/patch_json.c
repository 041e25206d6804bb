// SPDX-License-Identifier: Apache-2.0
//
// JSON patch (RFC 6902). Operations are rows of a table; each finds the parent
// of its path and acts on it. Paths follow RFC 6901 ("~1" is "/", "~0" is "~");
// as upstream's library, array indices may count from the end (-1 is the last)
// and "-" is the place behind it. Error texts follow that library.
//
// A patch may not blow up: the number of operations and the bytes that "copy"
// adds are limited as upstream.
#include "common/api/patch.h"

#include <limits.h>
#include <string.h>

#include "common/api/patch_internal.h"

enum {
	MAXIMUM_OPERATIONS = 10000,
	MAXIMUM_COPIED_BYTES = 3 * 1024 * 1024,
};

struct patcher {
	struct arena *arena;
	struct json **document;
	size_t copied_bytes;
	struct err *err;
};

// Where a path leads: a member or item of `parent`; the document itself when that is NULL.
struct place {
	struct json *parent;
	const char *key; // the unescaped last token
	size_t key_length;
};

struct operation {
	const struct json *row;
	const char *name;
	const char *path;
	size_t path_length;
	const struct json *value; // NULL = none
};

static int fail(struct patcher *patcher, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(struct patcher *patcher, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *text = arena_vprintf(patcher->arena, format, args);
	va_end(args);
	return err_set(patcher->err, ERR_INVALID, "%s", text);
}

// --- paths ---------------------------------------------------------------------------

// Copies the token up to the next slash, unescaped.
static const char *take_token(struct arena *arena, const char **path, const char *end, size_t *ret_length)
{
	const char *slash = memchr(*path, '/', (size_t)(end - *path));
	const char *stop = slash ? slash : end;
	char *token = arena_alloc(arena, (size_t)(stop - *path) + 1);
	size_t length = 0;
	for (const char *in = *path; in < stop; in++) {
		if (in[0] == '~' && in + 1 < stop && (in[1] == '0' || in[1] == '1'))
			token[length++] = *++in == '0' ? '~' : '/';
		else
			token[length++] = *in;
	}
	token[length] = '\0';
	*path = slash ? slash + 1 : end;
	*ret_length = length;
	return token;
}

// A decimal number with an optional minus; false when it is none.
static bool parse_index(const char *text, size_t length, long *ret_index)
{
	bool negative = length && text[0] == '-';
	long value = 0;
	if (length == negative || length > 10)
		return false;
	for (size_t i = negative; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*ret_index = negative ? -value : value;
	return true;
}

// The item or member; NULL when there is none.
static struct json *child(const struct json *parent, const char *key, size_t key_length)
{
	long index;
	if (json_is(parent, JSON_OBJECT))
		return json_get_n(parent, key, key_length);
	if (!json_is(parent, JSON_ARRAY) || !parse_index(key, key_length, &index))
		return NULL;
	index += index < 0 ? (long)parent->length : 0;
	return index >= 0 && index < (long)parent->length ? parent->items[index] : NULL;
}

// False when the path's parent is not there.
static bool find_place(struct patcher *patcher, const char *path, size_t length, struct place *place)
{
	*place = (struct place){0};
	if (!length)
		return true;
	if (*path != '/')
		return false;
	const char *end = path + length;
	path++;
	struct json *parent = *patcher->document;
	for (;;) {
		bool last = memchr(path, '/', (size_t)(end - path)) == NULL;
		place->key = take_token(patcher->arena, &path, end, &place->key_length);
		if (last)
			break;
		parent = child(parent, place->key, place->key_length);
	}
	place->parent = parent;
	return json_is(parent, JSON_OBJECT) || json_is(parent, JSON_ARRAY);
}

static struct json *value_at(struct patcher *patcher, const struct place *place)
{
	return place->key ? child(place->parent, place->key, place->key_length) : *patcher->document;
}

// The index that an array operation means, within [0, limit]; otherwise an error.
static int array_index(struct patcher *patcher, const struct place *place, long limit, size_t *ret_index)
{
	long index;
	if (!parse_index(place->key, place->key_length, &index))
		return fail(patcher, "strconv.Atoi: parsing \"%s\": invalid syntax", place->key);
	long length = (long)place->parent->length;
	if (index < -length || index > limit)
		return fail(patcher, "Unable to access invalid index: %ld: invalid index referenced", index);
	*ret_index = (size_t)(index < 0 ? index + length : index);
	return 0;
}

// --- the two elementary changes --------------------------------------------------------

static int insert_at(struct patcher *patcher, const struct place *place, struct json *value)
{
	size_t index;
	if (!place->key) {
		*patcher->document = value;
		return 0;
	}
	if (place->parent->type == JSON_OBJECT) {
		json_set_n(patcher->arena, place->parent, place->key, place->key_length, value);
		return 0;
	}
	if (strcmp(place->key, "-") == 0) {
		json_append(patcher->arena, place->parent, value);
		return 0;
	}
	int code = array_index(patcher, place, place->parent->length, &index);
	if (!code)
		json_insert(patcher->arena, place->parent, index, value);
	return code;
}

static int remove_at(struct patcher *patcher, const struct place *place)
{
	size_t index;
	if (!place->key)
		return fail(patcher, "Unable to remove nonexistent key: : missing value");
	if (place->parent->type == JSON_OBJECT)
		return json_remove_n(place->parent, place->key, place->key_length)
		               ? 0
		               : fail(patcher, "Unable to remove nonexistent key: %s: missing value", place->key);
	int code = array_index(patcher, place, (long)place->parent->length - 1, &index);
	if (!code)
		json_remove_at(place->parent, index);
	return code;
}

// --- operations --------------------------------------------------------------------------

static int operation_add(struct patcher *patcher, const struct operation *operation)
{
	struct place place;
	if (!find_place(patcher, operation->path, operation->path_length, &place))
		return fail(patcher, "add operation does not apply: doc is missing path: \"%s\": missing value",
		            operation->path);
	int code = insert_at(patcher, &place, json_clone(patcher->arena, operation->value));
	return code ? err_wrap(patcher->err, "error in add for path: '%s'", operation->path) : 0;
}

static int operation_remove(struct patcher *patcher, const struct operation *operation)
{
	struct place place;
	if (!find_place(patcher, operation->path, operation->path_length, &place))
		return fail(patcher, "remove operation does not apply: doc is missing path: \"%s\": missing value",
		            operation->path);
	int code = remove_at(patcher, &place);
	return code ? err_wrap(patcher->err, "error in remove for path: '%s'", operation->path) : 0;
}

static int operation_replace(struct patcher *patcher, const struct operation *operation)
{
	struct place place;
	size_t index;
	if (!find_place(patcher, operation->path, operation->path_length, &place))
		return fail(patcher, "replace operation does not apply: doc is missing path: %s: missing value",
		            operation->path);
	if (!value_at(patcher, &place))
		return fail(patcher, "replace operation does not apply: doc is missing key: %s: missing value",
		            operation->path);
	struct json *value = json_clone(patcher->arena, operation->value);
	if (!place.key || place.parent->type == JSON_OBJECT)
		return insert_at(patcher, &place, value);
	int code = array_index(patcher, &place, (long)place.parent->length - 1, &index);
	if (!code)
		place.parent->items[index] = value;
	return code;
}

// The place that "from" names.
static int find_source(struct patcher *patcher, const struct operation *operation, struct place *place)
{
	const struct json *from = json_get(operation->row, "from");
	if (!json_is(from, JSON_STRING))
		return fail(patcher, "%s operation failed to decode from: missing value", operation->name);
	if (!find_place(patcher, from->text, from->length, place) || !value_at(patcher, place))
		return fail(patcher, "%s operation does not apply: doc is missing from path: %s: missing value",
		            operation->name, from->text);
	return 0;
}

static int operation_move(struct patcher *patcher, const struct operation *operation)
{
	struct place source, target;
	const struct json *from = json_get(operation->row, "from");
	int code = find_source(patcher, operation, &source);
	if (code)
		return code;
	if (operation->path_length > from->length && memcmp(operation->path, from->text, from->length) == 0 &&
	    operation->path[from->length] == '/')
		return fail(patcher, "move operation does not apply: cannot move %s into itself", from->text);
	struct json *value = value_at(patcher, &source);
	code = source.key ? remove_at(patcher, &source) : 0;
	if (code)
		return err_wrap(patcher->err, "error in move for path: '%s'", operation->path);
	if (!find_place(patcher, operation->path, operation->path_length, &target))
		return fail(patcher,
		            "move operation does not apply: doc is missing destination path: %s: missing value",
		            operation->path);
	code = insert_at(patcher, &target, value);
	return code ? err_wrap(patcher->err, "error in move for path: '%s'", operation->path) : 0;
}

// Bytes of the value as text, about.
static size_t text_size(const struct json *value)
{
	size_t size = 8;
	if (value->type == JSON_STRING || value->type == JSON_NUMBER)
		size += value->length;
	for (uint32_t i = 0; value->type == JSON_ARRAY && i < value->length; i++)
		size += text_size(value->items[i]);
	for (uint32_t i = 0; value->type == JSON_OBJECT && i < value->length; i++)
		size += value->members[i].key_length + text_size(value->members[i].value);
	return size;
}

static int operation_copy(struct patcher *patcher, const struct operation *operation)
{
	struct place source, target;
	int code = find_source(patcher, operation, &source);
	if (code)
		return code;
	struct json *value = value_at(patcher, &source);
	patcher->copied_bytes += text_size(value);
	if (patcher->copied_bytes > MAXIMUM_COPIED_BYTES)
		return err_set(
		        patcher->err, ERR_TOO_LARGE,
		        "Unable to complete the copy, the accumulated size increase of copy is %zu, exceeding the "
		        "limit %d",
		        patcher->copied_bytes, MAXIMUM_COPIED_BYTES);
	value = json_clone(patcher->arena, value);
	if (!find_place(patcher, operation->path, operation->path_length, &target))
		return fail(patcher,
		            "copy operation does not apply: doc is missing destination path: %s: missing value",
		            operation->path);
	code = insert_at(patcher, &target, value);
	return code ? err_wrap(patcher->err, "error in copy for path: '%s'", operation->path) : 0;
}

// Equal as JSON: an absent value tests equal to null, and 1 to 1.0.
static bool test_equal(const struct json *a, const struct json *b)
{
	bool a_is_number = json_is(a, JSON_INTEGER) || json_is(a, JSON_NUMBER);
	bool b_is_number = json_is(b, JSON_INTEGER) || json_is(b, JSON_NUMBER);
	if (!a || !b)
		return (!a || a->type == JSON_NULL) && (!b || b->type == JSON_NULL);
	if (a_is_number && b_is_number && (a->type == JSON_NUMBER || b->type == JSON_NUMBER)) {
		double left = a->type == JSON_NUMBER ? strtod(a->text, NULL) : (double)a->integer;
		double right = b->type == JSON_NUMBER ? strtod(b->text, NULL) : (double)b->integer;
		return left == right;
	}
	return json_equal(a, b);
}

static int operation_test(struct patcher *patcher, const struct operation *operation)
{
	struct place place;
	if (!find_place(patcher, operation->path, operation->path_length, &place))
		return fail(patcher, "test operation does not apply: is missing path: %s: missing value",
		            operation->path);
	if (!test_equal(value_at(patcher, &place), operation->value))
		return fail(patcher, "testing value %s failed: test failed", operation->path);
	return 0;
}

static const struct {
	const char *name;
	bool needs_value;
	int (*run)(struct patcher *patcher, const struct operation *operation);
} operations[] = {
        {"add", true, operation_add},        {"copy", false, operation_copy},      {"move", false, operation_move},
        {"remove", false, operation_remove}, {"replace", true, operation_replace}, {"test", false, operation_test},
};

static int run_operation(struct patcher *patcher, const struct json *row)
{
	if (!json_is(row, JSON_OBJECT))
		return err_set(
		        patcher->err, ERR_BAD_REQUEST,
		        "error decoding patch: json: cannot unmarshal %s into Go value of type jsonpatch.Operation",
		        json_is(row, JSON_STRING)  ? "string"
		        : json_is(row, JSON_ARRAY) ? "array"
		                                   : "value");
	const struct json *path = json_get(row, "path");
	const char *name = json_get_text(row, "op");
	for (size_t i = 0; name && i < ARRAY_SIZE(operations); i++) {
		if (strcmp(name, operations[i].name) != 0)
			continue;
		if (!json_is(path, JSON_STRING))
			return fail(patcher, "%s operation failed to decode path: missing value", name);
		struct operation operation = {
		        .row = row,
		        .name = name,
		        .path = path->text,
		        .path_length = path->length,
		        .value = json_get(row, "value"),
		};
		if (operations[i].needs_value && !operation.value)
			operation.value = json_null(patcher->arena);
		return operations[i].run(patcher, &operation);
	}
	return fail(patcher, "Unexpected kind: %s", name ? name : "unknown");
}

int patch_json(struct arena *arena, struct json **document, const struct json *patch, struct err *err)
{
	struct patcher patcher = {.arena = arena, .document = document, .err = err};
	if (!json_is(patch, JSON_ARRAY))
		return err_set(err, ERR_BAD_REQUEST,
		               "error decoding patch: json: cannot unmarshal %s into Go value of type jsonpatch.Patch",
		               json_is(patch, JSON_OBJECT) ? "object" : "value");
	if (patch->length > MAXIMUM_OPERATIONS)
		return err_set(err, ERR_TOO_LARGE, "The allowed maximum operations in a JSON patch is %d, got %u",
		               MAXIMUM_OPERATIONS, patch->length);
	for (uint32_t i = 0; i < patch->length; i++) {
		int code = run_operation(&patcher, patch->items[i]);
		if (code)
			return code;
	}
	return 0;
}
