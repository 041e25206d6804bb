// SPDX-License-Identifier: Apache-2.0
//
// A stored object is two pieces of memory: its JSON text, a blob that sockets
// share, and one block with the public struct, the arrays of labels and selectable
// fields, and their texts.
//
// etcd's value carries no resourceVersion (it is the key's mod revision). It is
// spliced in as the first member of metadata, found by a scan of the text that the
// parser has accepted before: strings and brackets are all it needs to know. The
// place is remembered, so that the state of a deletion is made by another splice.
// A value that does carry one, or has no metadata, is written anew from its tree.
//
// The tree lives in an arena of the thread and is gone when the function returns.
#include "apiserver/storage/storage_object.h"
#include "apiserver/encryption/encryption.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "apiserver/encoding/encoding_cache.h"
#include "common/api/json.h"
#include "common/base/memory.h"

#define OBJECT_MAX_PLAIN_BYTES ((size_t)64 << 20)

struct object {
	struct stored_object public;
	atomic_uint references;
	uint32_t revision_offset; // of the digits in json
	uint32_t revision_length;
	uint32_t size_bytes;
	const char *key;
	struct encoding_slot protobuf;
	// labels[], fields[], texts follow
};

// --- the thread's arena ---------------------------------------------------------------

static pthread_key_t arena_key;
static pthread_once_t arena_once = PTHREAD_ONCE_INIT;

static void free_arena(void *arena)
{
	arena_free(arena);
}

static void make_arena_key(void)
{
	if (pthread_key_create(&arena_key, free_arena))
		abort();
}

static struct arena *thread_arena(void)
{
	pthread_once(&arena_once, make_arena_key);
	struct arena *arena = pthread_getspecific(arena_key);
	if (!arena) {
		arena = arena_new(64 * 1024);
		pthread_setspecific(arena_key, arena);
	}
	return arena;
}

// --- splicing ---------------------------------------------------------------------------

static size_t skip_string(const char *text, size_t at)
{
	for (at++; text[at] != '"'; at++)
		if (text[at] == '\\')
			at++;
	return at + 1;
}

static size_t skip_space(const char *text, size_t at)
{
	while (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')
		at++;
	return at;
}

// The offset just past the '{' of the outermost "metadata", or 0. `text` is valid JSON and an object.
static size_t find_metadata(const char *text, size_t length)
{
	unsigned depth = 0;
	bool expects_key = false;
	for (size_t at = 0; at < length;) {
		char character = text[at];
		if (character == '"') {
			size_t end = skip_string(text, at);
			if (depth == 1 && expects_key && end - at == 10 && memcmp(text + at, "\"metadata\"", 10) == 0) {
				at = skip_space(text, end);
				at = skip_space(text, at + 1);
				return text[at] == '{' ? at + 1 : 0;
			}
			expects_key = false;
			at = end;
			continue;
		}
		if (character == '{' || character == '[') {
			depth++;
			expects_key = depth == 1;
		} else if (character == '}' || character == ']') {
			depth--;
		} else if (character == ',' && depth == 1) {
			expects_key = true;
		}
		at++;
	}
	return 0;
}

struct text {
	char *data;
	size_t length;
	size_t revision_offset;
	size_t revision_length;
};

// head + `"resourceVersion":"N"` [+ ','] + tail
static struct text splice(const char *json, size_t length, size_t offset, int64_t revision)
{
	static const char name[] = "\"resourceVersion\":\"";
	char digits[24];
	int digit_count = snprintf(digits, sizeof(digits), "%" PRId64, revision);
	bool alone = json[skip_space(json, offset)] == '}';
	struct text text = {.data = xmalloc(length + sizeof(name) + (size_t)digit_count + 3)};
	char *at = mempcpy(text.data, json, offset);
	at = mempcpy(at, name, sizeof(name) - 1);
	text.revision_offset = (size_t)(at - text.data);
	text.revision_length = (size_t)digit_count;
	at = mempcpy(at, digits, (size_t)digit_count);
	*at++ = '"';
	if (!alone)
		*at++ = ',';
	at = mempcpy(at, json + offset, length - offset);
	*at = '\0';
	text.length = (size_t)(at - text.data);
	return text;
}

// Written anew, for a value that has a resourceVersion of its own or no metadata.
static struct text splice_tree(struct arena *arena, struct json *tree, int64_t revision)
{
	struct strbuf out = STRBUF_INIT(SIZE_MAX / 2);
	(void)json_remove(json_ensure_object(arena, tree, "metadata"), "resourceVersion");
	json_write(&out, tree);
	struct text text = splice(out.data, out.length, find_metadata(out.data, out.length), revision);
	strbuf_done(&out);
	return text;
}

static struct text splice_value(struct arena *arena, struct json *tree, struct etcd_bytes value, int64_t revision)
{
	const struct json *metadata = json_get(tree, "metadata");
	size_t offset = json_is(metadata, JSON_OBJECT) && !json_get(metadata, "resourceVersion")
	                        ? find_metadata(value.data, value.length)
	                        : 0;
	return offset ? splice(value.data, value.length, offset, revision) : splice_tree(arena, tree, revision);
}

// --- making -----------------------------------------------------------------------------

static int compare_members(const void *a, const void *b)
{
	const struct json_member *const *left = a, *const *right = b;
	return strcmp((*left)->key, (*right)->key);
}

// The labels that are strings, sorted by key.
static const struct json_member **sorted_labels(struct arena *arena, const struct json *metadata, size_t *ret_count)
{
	const struct json *labels = json_get(metadata, "labels");
	size_t count = 0;
	const struct json_member **sorted =
	        ARENA_ARRAY(arena, const struct json_member *, json_is(labels, JSON_OBJECT) ? labels->length + 1 : 1);
	json_for_each_member (member, labels)
		if (json_is(member->value, JSON_STRING))
			sorted[count++] = member;
	qsort(sorted, count, sizeof(*sorted), compare_members);
	*ret_count = count;
	return sorted;
}

static const char *field_text(struct arena *arena, const struct json *tree, char *const *path, const char *absent)
{
	const struct json *value = tree;
	for (; value && *path; path++)
		value = json_get(value, *path);
	if (!value || value->type == JSON_NULL)
		return absent;
	if (value->type == JSON_INTEGER)
		return arena_printf(arena, "%" PRId64, value->integer);
	if (value->type == JSON_BOOL)
		return value->boolean ? "true" : "false";
	return value->type == JSON_STRING || value->type == JSON_NUMBER ? value->text : absent;
}

struct parts {
	const struct json_member **labels;
	size_t label_count;
	const char **fields;
	size_t field_count;
	const char *namespace_name;
	const char *name;
	const char *uid;
	struct etcd_bytes key;
};

static const char *put_text(char **at, const char *text, size_t length)
{
	char *place = *at;
	memcpy(place, text, length);
	place[length] = '\0';
	*at += length + 1;
	return place;
}

static struct stored_object *build(const struct parts *parts, struct text text, int64_t revision)
{
	size_t texts = strlen(parts->namespace_name) + strlen(parts->name) + strlen(parts->uid) + parts->key.length + 4;
	for (size_t i = 0; i < parts->label_count; i++)
		texts += parts->labels[i]->key_length + strlen(parts->labels[i]->value->text) + 2;
	for (size_t i = 0; i < parts->field_count; i++)
		texts += strlen(parts->fields[i]) + 1;
	size_t pointers = 2 * parts->label_count + 1 + parts->field_count;
	size_t size = sizeof(struct object) + pointers * sizeof(char *) + texts;
	struct object *object = xmalloc(size);
	const char **labels = (const char **)(object + 1);
	const char **fields = labels + 2 * parts->label_count + 1;
	char *at = (char *)(fields + parts->field_count);
	*object = (struct object){
	        .public = {.json = blob_new_take(text.data, text.length),
	                   .revision = revision,
	                   .labels = labels,
	                   .fields = fields},
	        .revision_offset = (uint32_t)text.revision_offset,
	        .revision_length = (uint32_t)text.revision_length,
	        .size_bytes = (uint32_t)(size + text.length),
	};
	atomic_init(&object->references, 1);
	object->public.namespace_name = put_text(&at, parts->namespace_name, strlen(parts->namespace_name));
	object->public.name = put_text(&at, parts->name, strlen(parts->name));
	object->public.uid = put_text(&at, parts->uid, strlen(parts->uid));
	object->key = put_text(&at, parts->key.data, parts->key.length);
	for (size_t i = 0; i < parts->label_count; i++) {
		const struct json_member *label = parts->labels[i];
		labels[2 * i] = put_text(&at, label->key, label->key_length);
		labels[2 * i + 1] = put_text(&at, label->value->text, strlen(label->value->text));
	}
	labels[2 * parts->label_count] = NULL;
	for (size_t i = 0; i < parts->field_count; i++)
		fields[i] = put_text(&at, parts->fields[i], strlen(parts->fields[i]));
	return &object->public;
}

static const char *text_or(const struct json *object, const char *key, const char *fallback)
{
	const char *text = json_get_text(object, key);
	return text ? text : fallback;
}

static struct parts parts_of(struct arena *arena, const struct storage_object_format *format, struct etcd_bytes key,
                             const struct json *tree)
{
	const struct json *metadata = json_get(tree, "metadata");
	const char *slash = memchr(key.data, '/', key.length);
	size_t skipped = slash ? (size_t)(slash - key.data) + 1 : 0;
	struct parts parts = {
	        .namespace_name =
	                text_or(metadata, "namespace", slash ? arena_strndup(arena, key.data, skipped - 1) : ""),
	        .name = text_or(metadata, "name", arena_strndup(arena, key.data + skipped, key.length - skipped)),
	        .uid = text_or(metadata, "uid", ""),
	        .key = key,
	        .fields = ARENA_ARRAY(arena, const char *, format->field_count + 1),
	        .field_count = format->field_count,
	};
	parts.labels = sorted_labels(arena, metadata, &parts.label_count);
	for (size_t i = 0; i < format->field_count; i++)
		parts.fields[i] = field_text(arena, tree, format->paths[i], format->absent[i]);
	return parts;
}

static int parse_with(struct arena *arena, const struct storage_object_format *format, struct etcd_bytes key,
                      struct etcd_bytes value, int64_t revision, struct stored_object **ret_object, struct err *err)
{
	struct json *tree = NULL;
	bool rewritten;
	int outcome = storage_decode(arena, &format->form, key, value, &tree, &rewritten, err);
	if (outcome)
		return outcome;
	struct parts parts = parts_of(arena, format, key, tree);
	// Last: a rewritten value changes the tree.
	*ret_object = build(&parts,
	                    rewritten ? splice_tree(arena, tree, revision) : splice_value(arena, tree, value, revision),
	                    revision);
	return 0;
}

// The value as it was before it was sealed, which may be as it is.
static int open_value(struct arena *arena, const struct storage_object_format *format, struct etcd_bytes key,
                      struct etcd_bytes *value, struct strbuf *plain, uint32_t *ret_seal, struct err *err)
{
	const struct storage_sealing *sealing = &format->sealing;
	if (!sealing->encryption)
		return 0;
	const char *etcd_key = arena_printf(arena, "%s/%.*s", sealing->prefix, (int)key.length, key.data);
	int outcome = encryption_open(sealing->encryption, sealing->group, sealing->plural, etcd_key, value->data,
	                              value->length, plain, ret_seal, err);
	if (!outcome && encryption_is_sealed(value->data, value->length))
		*value = (struct etcd_bytes){strbuf_text(plain), plain->length};
	return outcome;
}

int storage_object_parse(const struct storage_object_format *format, struct etcd_bytes key, struct etcd_bytes value,
                         int64_t revision, struct stored_object **ret_object, struct err *err)
{
	AUTO_STRBUF struct strbuf plain = STRBUF_INIT(OBJECT_MAX_PLAIN_BYTES);
	struct arena *arena = thread_arena();
	uint32_t seal = 0;
	int outcome = open_value(arena, format, key, &value, &plain, &seal, err);
	if (!outcome)
		outcome = parse_with(arena, format, key, value, revision, ret_object, err);
	if (!outcome)
		(*ret_object)->seal = seal;
	arena_reset(arena);
	return outcome;
}

struct stored_object *storage_object_of_tree(const struct storage_object_format *format, struct etcd_bytes key,
                                             const struct json *tree, struct etcd_bytes value, int64_t revision)
{
	struct arena *arena = thread_arena();
	size_t offset = find_metadata(value.data, value.length);
	if (!offset || json_get(json_get(tree, "metadata"), "resourceVersion"))
		return NULL;
	struct parts parts = parts_of(arena, format, key, tree);
	struct stored_object *object = build(&parts, splice(value.data, value.length, offset, revision), revision);
	arena_reset(arena);
	return object;
}

struct stored_object *storage_object_with_revision(const struct stored_object *stored, int64_t revision)
{
	const struct object *old = container_of(stored, struct object, public);
	const struct blob *json = stored->json;
	size_t block = old->size_bytes - json->length;
	char digits[24];
	int digit_count = snprintf(digits, sizeof(digits), "%" PRId64, revision);
	size_t tail = old->revision_offset + old->revision_length;
	size_t length = json->length - old->revision_length + (size_t)digit_count;
	char *data = xmalloc(length + 1);
	char *at = mempcpy(data, json->data, old->revision_offset);
	at = mempcpy(at, digits, (size_t)digit_count);
	at = mempcpy(at, json->data + tail, json->length - tail);
	*at = '\0';

	// What follows the struct is copied whole; what points into it moves along.
	struct object *object = xmalloc(block);
	memcpy(object + 1, old + 1, block - sizeof(*object));
	*object = (struct object){
	        .public = old->public,
	        .revision_offset = old->revision_offset,
	        .revision_length = (uint32_t)digit_count,
	        .size_bytes = (uint32_t)(block + length),
	        .key = old->key,
	};
	object->public.json = blob_new_take(data, length);
	object->public.revision = revision;
	atomic_init(&object->references, 1);
	ptrdiff_t shift = (char *)object - (const char *)old;
#define SHIFT(member) (member) = (__typeof__(member))((const char *)(member) + shift)
	SHIFT(object->public.namespace_name);
	SHIFT(object->public.name);
	SHIFT(object->public.uid);
	SHIFT(object->public.labels);
	SHIFT(object->public.fields);
	SHIFT(object->key);
	const char **end = (const char **)object->public.namespace_name;
	for (const char **text = (const char **)(object + 1); text < end; text++)
		if (*text)
			SHIFT(*text);
#undef SHIFT
	return &object->public;
}

struct stored_object *stored_object_ref(struct stored_object *stored)
{
	if (stored)
		atomic_fetch_add_explicit(&container_of(stored, struct object, public)->references, 1,
		                          memory_order_relaxed);
	return stored;
}

struct stored_object *stored_object_unref(struct stored_object *stored)
{
	if (!stored)
		return NULL;
	struct object *object = container_of(stored, struct object, public);
	if (atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) == 1) {
		encoding_slot_done(&object->protobuf);
		blob_unref(stored->json);
		free(object);
	}
	return NULL;
}

struct encoding_slot *stored_object_protobuf(struct stored_object *stored)
{
	return &container_of(stored, struct object, public)->protobuf;
}

const char *storage_object_key(const struct stored_object *object)
{
	return container_of(object, struct object, public)->key;
}

size_t storage_object_size_bytes(const struct stored_object *object)
{
	return container_of(object, struct object, public)->size_bytes;
}
