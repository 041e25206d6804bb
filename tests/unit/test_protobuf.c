// SPDX-License-Identifier: Apache-2.0
// Protobuf: golden bytes worked out from upstream's field numbers, a round trip of
// every type of the schema with generated values, and what may not be believed.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first.
#include <cmocka.h>
#include <string.h>

#include "common/api/decode.h"
#include "common/api/protobuf.h"
#include "common/api/protobuf_internal.h"
#include "common/api/protobuf_wire.h"
#include "common/base/macros.h"

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;

	if (json_parse(arena, text, strlen(text), NULL, &value, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return value;
}

static void assert_json(const struct json *have, const struct json *want, const char *what)
{
	struct strbuf have_text = STRBUF_INIT(1 << 24), want_text = STRBUF_INIT(1 << 24);

	if (json_equal(have, want))
		return;
	json_write(&have_text, have);
	json_write(&want_text, want);
	fail_msg("%s\nwant %s\nhave %s", what, strbuf_text(&want_text), strbuf_text(&have_text));
}

static const struct schema_type *type_of(const char *group, const char *version, const char *name)
{
	const struct schema_type *type = protobuf_find_type(group, version, name);

	assert_non_null(type);
	return type;
}

// --- golden bytes -------------------------------------------------------------------------

static void assert_message(const struct schema_type *type, const char *text, const void *want, size_t length)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(blob_unref) struct blob *blob = NULL;
	struct err err = ERR_INIT;

	if (protobuf_write_message(type, parse(arena, text), &blob, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	for (size_t i = 0; i < length && i < blob->length; i++)
		if (((const char *)want)[i] != blob->data[i])
			fail_msg("%s: byte %zu is %02x", text, i, (uint8_t)blob->data[i]);
	assert_int_equal(blob->length, length);
}

#define MESSAGE(group, version, type, text, want) \
	assert_message(type_of(group, version, type), text, want, sizeof(want) - 1)

static void test_golden_values(void **state)
{
	(void)state;
	// Not pointers: always there. An optional number only when it is set.
	MESSAGE("", "v1", "ContainerPort", "{\"containerPort\":8080,\"protocol\":\"TCP\"}",
	        "\x0a\0\x10\0\x18\x90\x3f\x22\x03TCP\x2a\0");
	MESSAGE("", "v1", "KeyToPath", "{\"key\":\"k\",\"path\":\"p\"}", "\x0a\1k\x12\1p");
	MESSAGE("", "v1", "KeyToPath", "{\"key\":\"k\",\"path\":\"p\",\"mode\":0}", "\x0a\1k\x12\1p\x18\0");
	// Negative numbers take ten bytes.
	MESSAGE("", "v1", "PodAffinityTerm", "{\"topologyKey\":\"\"}", "\x1a\0");
	MESSAGE("", "v1", "PreferredSchedulingTerm", "{\"weight\":-1}",
	        "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\0");
	// IntOrString writes all of its three fields.
	MESSAGE("", "v1", "TCPSocketAction", "{\"port\":\"http\"}", "\x0a\x0a\x08\1\x10\0\x1a\4http\x12\0");
	MESSAGE("", "v1", "TCPSocketAction", "{\"port\":80,\"host\":\"h\"}", "\x0a\6\x08\0\x10\x50\x1a\0\x12\1h");
	// Quantities in maps sorted by key, whatever their order was.
	MESSAGE("", "v1", "ResourceRequirements", "{\"limits\":{\"memory\":\"1Gi\",\"cpu\":\"100m\"}}",
	        "\x0a\x0d\x0a\3cpu\x12\6\x0a\4"
	        "100m"
	        "\x0a\x0f\x0a\6memory\x12\5\x0a\3"
	        "1Gi");
	// A pointer to an empty struct is there; its own text is, too.
	MESSAGE("", "v1", "Volume", "{\"name\":\"v\",\"emptyDir\":{}}", "\x0a\1v\x12\4\x12\2\x0a\0");
	// Byte strings, raw JSON.
	MESSAGE("apps", "v1", "ControllerRevision", "{\"metadata\":null,\"data\":{\"a\":[1]},\"revision\":3}",
	        "\x0a\x10\x0a\0\x12\0\x1a\0\x22\0\x2a\0\x32\0\x38\0\x42\0"
	        "\x12\x0b\x0a\x09{\"a\":[1]}"
	        "\x18\3");
	// Lists of numbers aren't packed.
	MESSAGE("", "v1", "PodSecurityContext", "{\"supplementalGroups\":[1,300]}", "\x20\1\x20\xac\2");
	// Times: seconds and nanoseconds; a zero time is an empty message (ObjectMeta's, number 8).
	MESSAGE("", "v1", "ContainerStateRunning", "{\"startedAt\":\"2023-01-02T03:04:05Z\"}",
	        "\x0a\x08\x08\xa5\x93\xc9\x9d\x06\x10\x00");
	MESSAGE("", "v1", "ContainerStateRunning", "{\"startedAt\":null}", "\x0a\0");
	MESSAGE("coordination.k8s.io", "v1", "LeaseSpec",
	        "{\"holderIdentity\":\"h\",\"renewTime\":\"1970-01-01T00:00:01.000002Z\"}",
	        "\x0a\1h\x22\5\x08\1\x10\xd0\x0f");
	// The whole year range, beyond what nanoseconds in 64 bits could say.
	MESSAGE("", "v1", "ContainerStateRunning", "{\"startedAt\":\"9999-12-31T23:59:59Z\"}",
	        "\x0a\x09\x08\xff\x82\xd1\xff\xaf\x07\x10\x00");
}

static void test_golden_pod(void **state)
{
	static const char text[] =
	        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\","
	        "\"creationTimestamp\":null,\"labels\":{\"b\":\"2\",\"a\":\"1\"}},"
	        "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]},\"status\":{}}";
	static const char want[] = "k8s\0"
	                           "\x0a\x09\x0a\2v1\x12\3Pod" // typeMeta
	                           "\x12\x73"
	                           "\x0a\x22" // metadata
	                           "\x0a\1p\x12\0\x1a\1n\x22\0\x2a\0\x32\0\x38\0\x42\0"
	                           "\x5a\6\x0a\1"
	                           "a\x12\1"
	                           "1"
	                           "\x5a\6\x0a\1"
	                           "b\x12\1"
	                           "2"
	                           "\x12\x38" // spec
	                           "\x12\x1a" // a container
	                           "\x0a\1"
	                           "c\x12\1i\x2a\0\x42\0\x6a\0\x72\0\x80\1\0\x88\1\0\x90\1\0\xa2\1\0"
	                           "\x1a\0\x32\0\x42\0\x4a\0\x52\0\x58\0\x60\0\x68\0\x82\1\0\x8a\1\0\x9a\1\0\xc2\1\0"
	                           "\x1a\x13" // status
	                           "\x0a\0\x1a\0\x22\0\x2a\0\x32\0\x4a\0\x5a\0\x72\0\x88\1\0"
	                           "\x1a\0\x22\0";
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(blob_unref) struct blob *blob = NULL;
	size_t offset, length;
	struct json *pod = parse(arena, text), *back;

	(void)state;
	assert_ptr_equal(protobuf_type_of(pod), type_of("", "v1", "Pod"));
	assert_int_equal(protobuf_write_object(protobuf_type_of(pod), pod, &blob, NULL), 0);
	assert_int_equal(blob->length, sizeof(want) - 1);
	assert_memory_equal(blob->data, want, sizeof(want) - 1);
	protobuf_envelope_message(blob, &offset, &length);
	assert_int_equal(offset + length + PROTOBUF_ENVELOPE_TAIL_BYTES, blob->length);
	assert_int_equal(protobuf_read_object(arena, type_of("", "v1", "Pod"), blob->data, blob->length, &back, NULL),
	                 0);
	assert_string_equal(json_get_text(back, "kind"), "Pod");
	assert_string_equal(json_get_text(back, "apiVersion"), "v1");
}

// --- every type ---------------------------------------------------------------------------------

enum {
	MAKE_MAX_DEPTH = 7,
};

struct maker {
	struct arena *arena;
	uint32_t state; // of a small generator: the same values in every run
	unsigned depth;
	unsigned budget; // of values with values in them
};

static uint32_t next(struct maker *maker, uint32_t bound)
{
	maker->state = maker->state * 1664525 + 1013904223;
	return (maker->state >> 8) % bound;
}

static struct json *make_value(struct maker *maker, const struct schema_type *type);

static struct json *pick(struct maker *maker, const char *const *texts, size_t count)
{
	return json_string(maker->arena, texts[next(maker, (uint32_t)count)]);
}

#define PICK(maker, ...) \
	pick((maker), (const char *const[]){__VA_ARGS__}, ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

static struct json *make_integer(struct maker *maker, bool wide)
{
	static const int64_t values[] = {0, 1, -1, 127, 128, 80, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1LL << 53};

	return json_integer(maker->arena, values[next(maker, wide ? ARRAY_SIZE(values) : 8)]);
}

static struct json *make_list(struct maker *maker, const struct schema_type *type)
{
	struct json *list = json_array(maker->arena);

	for (uint32_t i = 1 + next(maker, 3); i > 0; i--)
		json_append(maker->arena, list, make_value(maker, type->element));
	return list;
}

static struct json *make_map(struct maker *maker, const struct schema_type *type)
{
	static const char *const keys[] = {"z", "a", "key.example.com/x", "\xc3\xa9", ""};
	struct json *map = json_object(maker->arena);

	for (uint32_t i = next(maker, ARRAY_SIZE(keys)) + 1; i > 0; i--)
		json_set(maker->arena, map, keys[i - 1], make_value(maker, type->element));
	return map;
}

static struct json *make_raw(struct maker *maker, const struct schema_type *type)
{
	if (!type->element)
		return parse(maker->arena, next(maker, 2) ? "{\"f:metadata\":{\"f:labels\":{}}}" : "[1,\"x\",true]");
	if (maker->depth < MAKE_MAX_DEPTH && next(maker, 2))
		return make_value(maker, type->element);
	if (protobuf_is_schema_or_bool(type))
		return json_bool(maker->arena, next(maker, 2));
	return parse(maker->arena, protobuf_is_schema_or_texts(type) ? "[\"a\",\"b\"]" : "[{\"type\":\"string\"},{}]");
}

static struct json *make_struct(struct maker *maker, const struct schema_type *type)
{
	struct json *object = json_object(maker->arena);

	for (size_t i = 0; i < type->field_count; i++) {
		const struct schema_field *field = &type->fields[i];
		bool deep = field->type->kind == SCHEMA_STRUCT || field->type->element;

		if (field->flags & SCHEMA_INLINE || !field->proto_number ||
		    (deep && (maker->depth >= MAKE_MAX_DEPTH || !maker->budget)))
			continue;
		maker->budget -= deep;
		if (next(maker, maker->depth < 3 ? 8 : 3) || !deep)
			json_set(maker->arena, object, field->json_name, make_value(maker, field->type));
	}
	return object;
}

static struct json *make_scalar(struct maker *maker, const struct schema_type *type)
{
	switch (type->kind) {
	case SCHEMA_STRING:
		return PICK(maker, "", "a", "web-1", "\xe2\x82\xac \"q\" \n", "always");
	case SCHEMA_INT32:
	case SCHEMA_INT64:
		return make_integer(maker, type->kind == SCHEMA_INT64);
	case SCHEMA_BOOL:
		return json_bool(maker->arena, next(maker, 2));
	case SCHEMA_DOUBLE:
		return parse(maker->arena, next(maker, 2) ? "0.1" : "3");
	case SCHEMA_BYTES:
		return PICK(maker, "AA==", "aGVsbG8=", "/////w==");
	case SCHEMA_QUANTITY:
		return PICK(maker, "0", "100m", "1Gi", "3e6", "-5");
	case SCHEMA_INT_OR_STRING:
		return next(maker, 2) ? make_integer(maker, false) : PICK(maker, "http", "25%");
	case SCHEMA_TIME:
		return PICK(maker, "2024-02-29T23:59:59Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:01Z",
		            "9999-12-31T23:59:59Z");
	case SCHEMA_MICRO_TIME:
		return PICK(maker, "2024-02-29T23:59:59.000001Z", "1969-12-31T23:59:59.999999Z");
	case SCHEMA_DURATION:
		return PICK(maker, "1h0m0s", "0s", "-1.5s", "100ms");
	default:
		return make_raw(maker, type);
	}
}

static struct json *make_value(struct maker *maker, const struct schema_type *type)
{
	struct json *value;

	maker->depth++;
	value = type->kind == SCHEMA_STRUCT ? make_struct(maker, type)
	        : type->kind == SCHEMA_LIST ? make_list(maker, type)
	        : type->kind == SCHEMA_MAP  ? make_map(maker, type)
	                                    : make_scalar(maker, type);
	maker->depth--;
	return value;
}

// As a decoded request has it.
static void settle(struct arena *arena, const struct schema_type *type, struct json *value)
{
	struct err err = ERR_INIT;

	if (schema_normalize(arena, type, value, NULL, &err) < 0)
		fail_msg("%s: %s", type->name, err.message);
	schema_fill_shape(arena, type, value);
}

static void check_round_trip(const struct schema_type *type, uint32_t seed)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(blob_unref) struct blob *first = NULL, *second = NULL;
	struct maker maker = {.arena = arena, .state = seed, .budget = 3000};
	struct json *tree = make_struct(&maker, type), *back = NULL;
	struct err err = ERR_INIT;

	settle(arena, type, tree);
	if (protobuf_write_message(type, tree, &first, &err) < 0 ||
	    protobuf_read_message(arena, type, first->data, first->length, &back, &err) < 0)
		fail_msg("%s: %s", type->name, err.message);
	settle(arena, type, back);
	assert_json(back, tree, type->openapi_name);
	// The same bytes again, from members in another order.
	json_sort_keys(back);
	assert_int_equal(protobuf_write_message(type, back, &second, &err), 0);
	assert_int_equal(first->length, second->length);
	assert_memory_equal(first->data, second->data, first->length);
}

static void test_every_type(void **state)
{
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < schema_type_count; i++) {
		if (!protobuf_serves_type(schema_types[i]))
			continue;
		for (uint32_t seed = 1; seed <= 4; seed++)
			check_round_trip(schema_types[i], seed);
		count++;
	}
	assert_true(count > 500);
}

// Every stored kind and its answers have a protobuf form.
static void test_every_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_resource_count; i++)
		if (schema_resources[i]->storage_prefix)
			assert_true(protobuf_serves_type(schema_resources[i]->type));
	assert_false(protobuf_serves_type(NULL));
	assert_false(protobuf_serves_type(protobuf_find_type("meta.k8s.io", "v1", "Table")));
	assert_true(protobuf_serves_type(protobuf_find_type("meta.k8s.io", "v1", "PartialObjectMetadata")));
	assert_true(protobuf_serves_type(protobuf_find_type("meta.k8s.io", "v1", "ListMeta")));
}

static void test_type_of(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);

	(void)state;
#define TYPE_OF(text) protobuf_type_of(parse(arena, text))
	assert_ptr_equal(TYPE_OF("{\"apiVersion\":\"v1\",\"kind\":\"Status\"}"),
	                 type_of("meta.k8s.io", "v1", "Status"));
	assert_ptr_equal(TYPE_OF("{\"apiVersion\":\"autoscaling/v1\",\"kind\":\"Scale\"}"),
	                 type_of("autoscaling", "v1", "Scale"));
	assert_ptr_equal(TYPE_OF("{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\"}"),
	                 type_of("authentication.k8s.io", "v1", "TokenReview"));
	assert_null(TYPE_OF("{\"apiVersion\":\"meta.k8s.io/v1\",\"kind\":\"Table\"}"));
	assert_null(TYPE_OF("{\"apiVersion\":\"example.com/v1\",\"kind\":\"Thing\"}"));
	assert_null(TYPE_OF("{\"kind\":\"Pod\"}"));
#undef TYPE_OF
}

// --- what comes from outside ----------------------------------------------------------------------

static void read_as(const char *name, const char *bytes, size_t length, const char *want, const char *error)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	int r = protobuf_read_message(arena, type_of("", "v1", name), bytes, length, &value, &err);

	if (want) {
		if (r < 0)
			fail_msg("%s: %s", name, err.message);
		assert_json(value, parse(arena, want), name);
	} else {
		assert_int_equal(r, -ERR_PARSE);
		assert_string_equal(err.message, error);
	}
}

#define READ(name, bytes, want) read_as(name, bytes, sizeof(bytes) - 1, want, NULL)
#define REFUSE(name, bytes, error) read_as(name, bytes, sizeof(bytes) - 1, NULL, error)

static void test_reading(void **state)
{
	(void)state;
	// Unknown numbers of every wire type are skipped; the last scalar wins.
	READ("KeyToPath",
	     "\xf8\x07\5\xf9\x07"
	     "12345678"
	     "\xfa\x07\1x\xfd\x07"
	     "1234"
	     "\x0a\1a\x0a\1b",
	     "{\"key\":\"b\"}");
	// Messages of one field merge; numbers in lists may be packed.
	READ("Pod", "\x0a\3\x0a\1p\x0a\3\x1a\1n", "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"}}");
	READ("PodSecurityContext", "\x22\3\1\xac\2\x20\5", "{\"supplementalGroups\":[1,300,5]}");
	// Map entries: the last of equal keys, whatever their order; a key or value that isn't said is zero.
	READ("LocalObjectReference", "", "{}");
	READ("ConfigMap",
	     "\x12\6\x0a\1z\x12\1"
	     "1\x12\6\x0a\1z\x12\1"
	     "2\x12\3\x0a\1a\x12\3\x12\1v\x12\0",
	     "{\"data\":{\"\":\"\",\"a\":\"\",\"z\":\"2\"}}");
	// Zeros that JSON would leave out, and pointers to zeros.
	READ("PodSpec", "\x1a\0\x20\0\x58\0\xa8\1\0",
	     "{\"terminationGracePeriodSeconds\":0,\"automountServiceAccountToken\":false}");
	REFUSE("KeyToPath", "\x0a\5ab", "proto: unexpected EOF or illegal tag after field \"\"");
	REFUSE("KeyToPath", "\x02\1a", "proto: unexpected EOF or illegal tag after field \"\"");
	REFUSE("KeyToPath", "\x0b", "proto: unexpected EOF or illegal tag after field \"\"");
	REFUSE("KeyToPath", "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1",
	       "proto: unexpected EOF or illegal tag after field \"\"");
	REFUSE("KeyToPath", "\x08\1", "proto: wrong wireType = 0 for field \"key\"");
	REFUSE("KeyToPath", "\x0a\2\xc3\x28", "proto: field \"key\" holds invalid UTF-8");
	REFUSE("TCPSocketAction", "\x0a\6\x08\1\x1a\2\xff\xff", "proto: field \"port\" holds invalid UTF-8");
	REFUSE("TCPSocketAction", "\x0a\2\x08\7", "proto: field \"port\" is neither an integer nor text");
	REFUSE("ContainerStateRunning", "\x0a\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x10\0",
	       "proto: field \"startedAt\" holds a time out of range");
}

static void test_envelopes(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct schema_type *type = type_of("", "v1", "KeyToPath");
	struct json *value;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(protobuf_read_object(arena, type, "{}", 2, &value, &err), -ERR_PARSE);
	assert_non_null(strstr(err.message, "does not appear to be a protobuf message"));
	assert_int_equal(protobuf_read_object(arena, type, "k8s\0", 4, &value, NULL), 0);
	assert_int_equal(value->length, 0);
	err_clear(&err);
	assert_int_equal(protobuf_read_object(arena, type, "k8s\0\x1a\4gzip", 10, &value, &err), -ERR_PARSE);
	assert_string_equal(err.message, "proto: the content encoding of the object is not supported");
	err_clear(&err);
	assert_int_equal(protobuf_read_object(arena, NULL, "k8s\0", 4, &value, &err), -ERR_PARSE);
}

static void test_bad_trees(void **state)
{
	static const char *const bad[] = {
	        "{\"metadata\":[]}",
	        "{\"metadata\":{\"name\":1}}",
	        "{\"metadata\":{\"labels\":{\"a\":{}}}}",
	        "{\"metadata\":{\"generation\":\"1\"}}",
	        "{\"metadata\":{\"creationTimestamp\":\"yesterday\"}}",
	        "{\"spec\":{\"containers\":{}}}",
	        "{\"spec\":{\"hostNetwork\":\"yes\"}}",
	        "{\"spec\":{\"overhead\":{\"cpu\":[]}}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct blob *blob;
		struct err err = ERR_INIT;

		assert_int_equal(protobuf_write_message(type_of("", "v1", "Pod"), parse(arena, bad[i]), &blob, &err),
		                 -ERR_PARSE);
		assert_true(err.message[0]);
	}
}

// A nesting bomb, many values, and many unsorted keys: an answer soon, in bounded memory.
static void test_bombs(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct strbuf bytes = STRBUF_INIT(64 << 20), outer = STRBUF_INIT(64 << 20);
	const struct schema_type *props = type_of("apiextensions.k8s.io", "v1", "JSONSchemaProps");
	struct json *value;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 400; i++) { // not: {not: {…
		strbuf_clear(&outer);
		wire_append_text(&outer, 28, strbuf_text(&bytes), bytes.length);
		struct strbuf swapped = bytes;
		bytes = outer;
		outer = swapped;
	}
	assert_int_equal(protobuf_read_message(arena, props, bytes.data, bytes.length, &value, &err), -ERR_PARSE);
	assert_string_equal(err.message, "proto: the message is nested too deeply");
	strbuf_clear(&bytes);
	for (int i = 0; i < 1500000; i++)
		strbuf_append(&bytes, "\x12\0", 2);
	err_clear(&err);
	assert_int_equal(
	        protobuf_read_message(arena, type_of("", "v1", "PodSpec"), bytes.data, bytes.length, &value, &err),
	        -ERR_PARSE);
	assert_string_equal(err.message, "proto: the message holds too many values");
	strbuf_clear(&bytes);
	for (int i = 200000; i > 0; i--) { // each in a message of its own, to be merged
		char entry[] = {0x12,
		                8,
		                0x0a,
		                6,
		                (char)('0' + i / 100000),
		                (char)('0' + i / 10000 % 10),
		                (char)('0' + i / 1000 % 10),
		                (char)('0' + i / 100 % 10),
		                (char)('0' + i / 10 % 10),
		                (char)('0' + i % 10)};
		strbuf_append(&bytes, entry, sizeof(entry));
	}
	assert_int_equal(
	        protobuf_read_message(arena, type_of("", "v1", "ConfigMap"), bytes.data, bytes.length, &value, NULL),
	        0);
	assert_int_equal(json_get(value, "data")->length, 200000);
	strbuf_done(&bytes);
	strbuf_done(&outer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_golden_values), cmocka_unit_test(test_golden_pod),
	        cmocka_unit_test(test_every_type),    cmocka_unit_test(test_every_kind),
	        cmocka_unit_test(test_type_of),       cmocka_unit_test(test_reading),
	        cmocka_unit_test(test_envelopes),     cmocka_unit_test(test_bad_trees),
	        cmocka_unit_test(test_bombs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
