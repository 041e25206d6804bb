// SPDX-License-Identifier: Apache-2.0
// Field sets: sorted levels, so that union, difference and intersection are one
// pass over both sides. Elements are compared by their text, which is canonical:
// keys are written in the order of their names, numbers as they are stored.

#include "common/api/field_set.h"

#include <stdlib.h>
#include <string.h>

enum {
	FIELD_SET_MAX_DEPTH = 200,
	FIELD_SET_MAX_PATH = 64 << 10,
	ELEMENT_MAX_BYTES = 1 << 20,
};

int path_element_compare(const struct path_element *a, const struct path_element *b)
{
	uint32_t shared = a->length < b->length ? a->length : b->length;
	int order;

	if (a->type != b->type)
		return (int)a->type - (int)b->type;
	order = memcmp(a->text, b->text, shared);
	if (order)
		return order;
	return a->length < b->length ? -1 : a->length > b->length;
}

void field_set_append(struct arena *arena, struct field_set *set, const struct path_element *element, bool member,
                      const struct field_set *children)
{
	struct field_set_entry *entry;

	if (set->count == set->capacity) {
		uint32_t capacity = set->capacity ? 2 * set->capacity : 4;

		set->entries = arena_realloc(arena, set->entries, set->capacity * sizeof(*set->entries),
		                             capacity * sizeof(*set->entries));
		set->capacity = capacity;
	}
	entry = &set->entries[set->count++];
	*entry = (struct field_set_entry){.element = *element, .member = member};
	if (children)
		entry->children = *children;
}

static int compare_entries(const void *a, const void *b)
{
	const struct field_set_entry *left = a, *right = b;

	return path_element_compare(&left->element, &right->element);
}

void field_set_sort(struct arena *arena, struct field_set *set)
{
	uint32_t kept = 0;
	bool sorted = true;

	for (uint32_t i = 1; i < set->count && sorted; i++)
		sorted = compare_entries(&set->entries[i - 1], &set->entries[i]) < 0;
	if (sorted)
		return;
	qsort(set->entries, set->count, sizeof(*set->entries), compare_entries);
	for (uint32_t i = 1; i < set->count; i++) {
		struct field_set_entry *last = &set->entries[kept], *entry = &set->entries[i];

		if (compare_entries(last, entry)) {
			set->entries[++kept] = *entry;
			continue;
		}
		last->member |= entry->member;
		last->children = field_set_union(arena, &last->children, &entry->children);
	}
	set->count = kept + 1;
}

bool field_set_is_empty(const struct field_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (set->entries[i].member || !field_set_is_empty(&set->entries[i].children))
			return false;
	return true;
}

size_t field_set_count(const struct field_set *set)
{
	size_t count = 0;

	for (uint32_t i = 0; i < set->count; i++)
		count += set->entries[i].member + field_set_count(&set->entries[i].children);
	return count;
}

bool field_set_equal(const struct field_set *a, const struct field_set *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (compare_entries(&a->entries[i], &b->entries[i]) || a->entries[i].member != b->entries[i].member ||
		    !field_set_equal(&a->entries[i].children, &b->entries[i].children))
			return false;
	return true;
}

const struct field_set_entry *field_set_find(const struct field_set *set, const struct path_element *element)
{
	uint32_t low = 0, high = set->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = path_element_compare(element, &set->entries[middle].element);

		if (!order)
			return &set->entries[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

// --- algebra ------------------------------------------------------------------------

struct field_set field_set_union(struct arena *arena, const struct field_set *a, const struct field_set *b)
{
	struct field_set result = FIELD_SET_INIT;
	uint32_t i = 0, j = 0;

	if (!a->count || !b->count)
		return a->count ? *a : *b;
	while (i < a->count || j < b->count) {
		const struct field_set_entry *left = i < a->count ? &a->entries[i] : NULL;
		const struct field_set_entry *right = j < b->count ? &b->entries[j] : NULL;
		int order = !left ? 1 : !right ? -1 : compare_entries(left, right);
		const struct field_set_entry *first = order <= 0 ? left : right;
		struct field_set children = first->children;

		if (!order)
			children = field_set_union(arena, &left->children, &right->children);
		field_set_append(arena, &result, &first->element, first->member || (!order && right->member),
		                 &children);
		i += order <= 0;
		j += order >= 0;
	}
	return result;
}

static void append_unless_empty(struct arena *arena, struct field_set *set, const struct path_element *element,
                                bool member, const struct field_set *children)
{
	if (member || children->count)
		field_set_append(arena, set, element, member, children);
}

struct field_set field_set_difference(struct arena *arena, const struct field_set *a, const struct field_set *b)
{
	struct field_set result = FIELD_SET_INIT;
	uint32_t j = 0;

	if (!b->count)
		return *a;
	for (uint32_t i = 0; i < a->count; i++) {
		const struct field_set_entry *entry = &a->entries[i];
		bool member = entry->member;
		struct field_set children = entry->children;

		while (j < b->count && compare_entries(&b->entries[j], entry) < 0)
			j++;
		if (j < b->count && !compare_entries(&b->entries[j], entry)) {
			member = member && !b->entries[j].member;
			children = field_set_difference(arena, &children, &b->entries[j].children);
		}
		append_unless_empty(arena, &result, &entry->element, member, &children);
	}
	return result;
}

struct field_set field_set_intersection(struct arena *arena, const struct field_set *a, const struct field_set *b)
{
	struct field_set result = FIELD_SET_INIT;
	uint32_t j = 0;

	for (uint32_t i = 0; i < a->count; i++) {
		const struct field_set_entry *entry = &a->entries[i];
		struct field_set children;

		while (j < b->count && compare_entries(&b->entries[j], entry) < 0)
			j++;
		if (j == b->count)
			break;
		if (compare_entries(&b->entries[j], entry))
			continue;
		children = field_set_intersection(arena, &entry->children, &b->entries[j].children);
		append_unless_empty(arena, &result, &entry->element, entry->member && b->entries[j].member, &children);
	}
	return result;
}

bool field_set_overlaps(const struct field_set *a, const struct field_set *b)
{
	uint32_t i = 0, j = 0;

	while (i < a->count && j < b->count) {
		int order = compare_entries(&a->entries[i], &b->entries[j]);

		if (!order && ((a->entries[i].member && b->entries[j].member) ||
		               field_set_overlaps(&a->entries[i].children, &b->entries[j].children)))
			return true;
		i += order <= 0;
		j += order >= 0;
	}
	return false;
}

static bool is_named(const struct field_set_entry *entry, const char *const *names)
{
	for (; *names; names++)
		if (entry->element.type == PATH_FIELD && strlen(*names) == entry->element.length &&
		    !memcmp(*names, entry->element.text, entry->element.length))
			return true;
	return false;
}

struct field_set field_set_restrict(struct arena *arena, const struct field_set *set, const char *const *only,
                                    const char *const *except)
{
	struct field_set result = FIELD_SET_INIT;

	if (!only && !except)
		return *set;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct field_set_entry *entry = &set->entries[i];

		if ((!only || is_named(entry, only)) && !(except && is_named(entry, except)))
			field_set_append(arena, &result, &entry->element, entry->member, &entry->children);
	}
	return result;
}

// --- FieldsV1 ------------------------------------------------------------------------

// Keys in the order of their names, values as JSON: one text for one element.
static int parse_document(struct arena *arena, const struct json_member *member, struct path_element *ret_element,
                          struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(ELEMENT_MAX_BYTES);
	struct json *value;
	struct err parse_err = ERR_INIT;

	if (json_parse(arena, member->key + 2, member->key_length - 2, NULL, &value, &parse_err) < 0)
		return err_set(err, ERR_BAD_REQUEST, "parsing value in path element %.80s: %.100s", member->key,
		               parse_err.message);
	if (ret_element->type == PATH_KEY && (!json_is(value, JSON_OBJECT) || !value->length))
		return err_set(err, ERR_BAD_REQUEST, "associative list keys must be an object: %.80s", member->key);
	json_sort_keys(value);
	json_write(&text, value);
	ret_element->length = (uint32_t)text.length;
	ret_element->text = arena_strndup(arena, strbuf_text(&text), text.length);
	return 0;
}

static int parse_index(const struct json_member *member, struct err *err)
{
	for (uint32_t i = 2; i < member->key_length; i++)
		if (member->key[i] < '0' || member->key[i] > '9')
			return err_set(err, ERR_BAD_REQUEST, "invalid list index in path element %.80s", member->key);
	return 0;
}

static int parse_element(struct arena *arena, const struct json_member *member, struct path_element *ret_element,
                         struct err *err)
{
	static const char letters[] = {[PATH_FIELD] = 'f', [PATH_KEY] = 'k', [PATH_VALUE] = 'v', [PATH_INDEX] = 'i'};

	if (member->key_length < 2 || member->key[1] != ':')
		return err_set(err, ERR_BAD_REQUEST, "missing colon: '%.80s'", member->key);
	for (uint8_t type = 0; type < ARRAY_SIZE(letters); type++) {
		if (letters[type] != member->key[0])
			continue;
		*ret_element = (struct path_element){member->key + 2, member->key_length - 2, type};
		if (type == PATH_KEY || type == PATH_VALUE)
			return parse_document(arena, member, ret_element, err);
		return type == PATH_INDEX ? parse_index(member, err) : 0;
	}
	return err_set(err, ERR_BAD_REQUEST, "unknown path element type in '%.80s'", member->key);
}

static int parse_level(struct arena *arena, const struct json *fields, unsigned depth, struct field_set *set,
                       bool *ret_member, struct err *err)
{
	bool member = false;

	if (!json_is(fields, JSON_OBJECT) || depth > FIELD_SET_MAX_DEPTH)
		return err_set(err, ERR_BAD_REQUEST, "a field set must be an object of objects");
	json_for_each_member (field, fields) {
		struct path_element element = {0};
		struct field_set children = FIELD_SET_INIT;
		bool is_member = false;
		int r;

		if (field->key_length == 1 && field->key[0] == '.') {
			member = true;
			continue;
		}
		r = parse_element(arena, field, &element, err);
		if (!r)
			r = parse_level(arena, field->value, depth + 1, &children, &is_member, err);
		if (r < 0)
			return r;
		field_set_append(arena, set, &element, is_member, &children);
	}
	field_set_sort(arena, set);
	*ret_member = member || !set->count;
	return 0;
}

int field_set_parse(struct arena *arena, const struct json *fields, struct field_set *ret_set, struct err *err)
{
	struct field_set set = FIELD_SET_INIT;
	bool member;
	int r = parse_level(arena, fields, 0, &set, &member, err);

	if (!r)
		*ret_set = set;
	return r;
}

static void add_entry(struct arena *arena, struct json *object, const struct field_set_entry *entry)
{
	static const char letters[] = {[PATH_FIELD] = 'f', [PATH_KEY] = 'k', [PATH_VALUE] = 'v', [PATH_INDEX] = 'i'};
	const struct path_element *element = &entry->element;
	char *key = arena_alloc(arena, element->length + 3);
	struct json *below = field_set_to_json(arena, &entry->children);

	key[0] = letters[element->type];
	key[1] = ':';
	memcpy(key + 2, element->text, element->length);
	key[element->length + 2] = '\0';
	if (entry->member && entry->children.count) {
		struct json *with_self = json_object(arena);

		json_add_n(arena, with_self, ".", 1, json_object(arena));
		json_for_each_member (member, below)
			json_add_n(arena, with_self, member->key, member->key_length, member->value);
		below = with_self;
	}
	json_add_n(arena, object, key, element->length + 2, below);
}

struct json *field_set_to_json(struct arena *arena, const struct field_set *set)
{
	struct json *object = json_object(arena);

	for (uint32_t i = 0; i < set->count; i++)
		add_entry(arena, object, &set->entries[i]);
	return object;
}

// --- paths ---------------------------------------------------------------------------

void path_element_write(struct strbuf *out, const struct path_element *element)
{
	AUTO(arena_free) struct arena *arena = NULL;
	struct json *keys = NULL;
	size_t count = 0;

	if (element->type == PATH_FIELD) {
		strbuf_append_char(out, '.');
		strbuf_append(out, element->text, element->length);
		return;
	}
	strbuf_append_text(out, element->type == PATH_VALUE ? "[=" : "[");
	if (element->type == PATH_KEY) {
		arena = arena_new(0);
		if (json_parse(arena, element->text, element->length, NULL, &keys, NULL) < 0)
			keys = NULL;
		json_for_each_member (key, keys) {
			strbuf_printf(out, "%s%s=", count++ ? "," : "", key->key);
			json_write(out, key->value);
		}
	} else {
		strbuf_append(out, element->text, element->length);
	}
	strbuf_append_char(out, ']');
}

struct visitor {
	struct strbuf path;
	void (*visit)(void *context, const char *path);
	void *context;
};

static void visit_level(struct visitor *visitor, const struct field_set *set, bool members)
{
	for (uint32_t i = 0; i < set->count; i++) {
		const struct field_set_entry *entry = &set->entries[i];
		size_t length = visitor->path.length;

		if (members ? !entry->member : !entry->children.count)
			continue;
		path_element_write(&visitor->path, &entry->element);
		if (members) {
			visitor->visit(visitor->context, strbuf_text(&visitor->path));
		} else {
			visit_level(visitor, &entry->children, true);
			visit_level(visitor, &entry->children, false);
		}
		visitor->path.length = length;
		if (visitor->path.data)
			visitor->path.data[length] = '\0';
	}
}

void field_set_for_each(const struct field_set *set, void (*visit)(void *context, const char *path), void *context)
{
	struct visitor visitor = {.path = STRBUF_INIT(FIELD_SET_MAX_PATH), .visit = visit, .context = context};

	visit_level(&visitor, set, true);
	visit_level(&visitor, set, false);
	strbuf_done(&visitor.path);
}
