// SPDX-License-Identifier: Apache-2.0
// Bytes from outside: protobuf bodies, answers of proxied servers, addresses.

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/connect/connect_head.h"
#include "apiserver/services/ip_range.h"
#include "common/api/protobuf.h"

// --- protobuf -----------------------------------------------------------------------------------

static void add(struct strbuf *out, unsigned number, const void *data, size_t length)
{
	strbuf_append_char(out, (char)(number << 3 | 2));
	assert_true(length < 128);
	strbuf_append_char(out, (char)length);
	strbuf_append(out, data, length);
}

static void add_number(struct strbuf *out, unsigned number, unsigned value)
{
	strbuf_append_char(out, (char)(number << 3));
	assert_true(value < 128);
	strbuf_append_char(out, (char)value);
}

static void envelope(struct strbuf *out, const struct strbuf *object)
{
	struct strbuf meta = STRBUF_INIT(1024);

	strbuf_append(out, "k8s\0", 4);
	add(&meta, 1, "v1", 2);
	add(&meta, 2, "Pod", 3);
	add(out, 1, meta.data, meta.length);
	add(out, 2, object->data, object->length);
	strbuf_done(&meta);
}

// A pod with labels, a container with a port and a probe (an inlined message), an int-or-string and zeros.
static void make_pod(struct strbuf *out)
{
	struct strbuf metadata = STRBUF_INIT(1024), label = STRBUF_INIT(1024), spec = STRBUF_INIT(1024),
	              container = STRBUF_INIT(1024), port = STRBUF_INIT(1024), pod = STRBUF_INIT(1024);

	add(&label, 1, "app", 3);
	add(&label, 2, "web", 3);
	add(&metadata, 1, "p", 1);
	add(&metadata, 2, "", 0);
	add_number(&metadata, 7, 0);
	add(&metadata, 8, "", 0);
	add(&metadata, 11, label.data, label.length);
	add(&port, 1, "", 0);
	add_number(&port, 3, 80);
	add(&container, 1, "c", 1);
	add(&container, 2, "i", 1);
	add(&container, 6, port.data, port.length);
	add(&spec, 2, container.data, container.length);
	add_number(&spec, 4, 5);
	add(&pod, 1, metadata.data, metadata.length);
	add(&pod, 2, spec.data, spec.length);
	envelope(out, &pod);
	strbuf_done(&metadata);
	strbuf_done(&label);
	strbuf_done(&spec);
	strbuf_done(&container);
	strbuf_done(&port);
	strbuf_done(&pod);
}

static void test_protobuf_pod(void **state)
{
	const struct schema_type *type = schema_find_resource("", "v1", "pods")->type;
	struct strbuf bytes = STRBUF_INIT(4096), text = STRBUF_INIT(4096);
	struct arena *arena = arena_new(0);
	struct json *pod;

	(void)state;
	make_pod(&bytes);
	assert_int_equal(protobuf_read_object(arena, type, bytes.data, bytes.length, &pod, NULL), 0);
	json_write(&text, pod);
	assert_string_equal(
	        strbuf_text(&text),
	        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"labels\":{\"app\":\"web\"}},"
	        "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"containerPort\":80}]}],"
	        "\"terminationGracePeriodSeconds\":5}}");
	strbuf_done(&bytes);
	strbuf_done(&text);
	arena_free(arena);
}

// Every cut and every flipped bit is read or refused, never followed out of bounds.
static void test_protobuf_damage(void **state)
{
	const struct schema_type *type = schema_find_resource("", "v1", "pods")->type;
	struct strbuf bytes = STRBUF_INIT(4096);

	(void)state;
	make_pod(&bytes);
	for (size_t i = 0; i < bytes.length * 9; i++) {
		struct arena *arena = arena_new(0);
		char *copy = malloc(bytes.length);
		size_t length = i < bytes.length ? i : bytes.length;
		size_t bit = i - length;
		struct json *pod;
		struct err err = ERR_INIT;

		memcpy(copy, bytes.data, bytes.length);
		if (i >= bytes.length)
			copy[bit / 8] ^= (char)(1 << bit % 8);
		copy = realloc(copy, length ? length : 1);
		if (protobuf_read_object(arena, type, copy, length, &pod, &err) == 0)
			assert_true(json_is(pod, JSON_OBJECT));
		else
			assert_true(err.message[0]);
		free(copy);
		arena_free(arena);
	}
	strbuf_done(&bytes);
}

// --- answers ---------------------------------------------------------------------------------------

static void test_answer_heads(void **state)
{
	static const char plain[] =
	        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length:  5 \r\nDate: x\r\n\r\nhello";
	struct arena *arena = arena_new(0);
	struct connect_head head;
	size_t used;

	(void)state;
	assert_int_equal(connect_head_parse(arena, plain, sizeof(plain) - 1, &head, &used), 1);
	assert_int_equal(head.status, 200);
	assert_int_equal(head.content_length, 5);
	assert_int_equal(head.header_count, 1);
	assert_string_equal(head.headers[0].name, "content-type");
	assert_string_equal(plain + used, "hello");
	for (size_t i = 0; i < used; i++)
		assert_int_equal(connect_head_parse(arena, plain, i, &head, &used) == 0 ? 0 : 1, 0);
	assert_int_equal(connect_head_parse(arena, "HTTP/2 200\r\n\r\n", 14, &head, &used), -1);
	assert_int_equal(connect_head_parse(arena, "HTTP/1.1 9x9 A\r\n\r\n", 18, &head, &used), -1);
	assert_int_equal(connect_head_parse(arena, "HTTP/1.1 200 A\r\nnocolon\r\n\r\n", 27, &head, &used), -1);
	arena_free(arena);
}

static void read_chunks(const char *text, size_t step, struct strbuf *out, bool *ret_bad, bool *ret_done)
{
	struct chunk_reader reader = {0};
	size_t length = strlen(text);

	*ret_bad = false;
	for (size_t at = 0; at < length && reader.state != CHUNK_DONE && !*ret_bad;) {
		size_t end = at + step < length ? at + step : length;
		const char *data = NULL;
		size_t data_length = 0;
		ssize_t used = chunk_reader_next(&reader, text + at, end - at, &data, &data_length);

		*ret_bad = used < 0;
		if (used >= 0)
			at += (size_t)used;
		strbuf_append(out, data, data_length);
	}
	*ret_done = reader.state == CHUNK_DONE;
}

static void test_chunks(void **state)
{
	bool bad, done;

	(void)state;
	for (size_t step = 1; step < 40; step++) {
		struct strbuf out = STRBUF_INIT(1024);

		read_chunks("5\r\nhello\r\nA;ext=1\r\n, world...\r\n0\r\nTrailer: x\r\n\r\n", step, &out, &bad, &done);
		assert_false(bad);
		assert_true(done);
		assert_string_equal(strbuf_text(&out), "hello, world...");
		strbuf_done(&out);
	}
	struct strbuf out = STRBUF_INIT(1024);

	read_chunks("zz\r\n", 10, &out, &bad, &done);
	assert_true(bad);
	read_chunks("3\r\nabcX\r\n", 10, &out, &bad, &done);
	assert_true(bad);
	read_chunks("ffffffffffffffff\r\n", 30, &out, &bad, &done);
	assert_true(bad);
	strbuf_done(&out);
}

// --- addresses --------------------------------------------------------------------------------------

static void test_ranges(void **state)
{
	struct ip_range range;
	struct ip ip;
	char text[64];

	(void)state;
	assert_int_equal(ip_range_parse("10.96.7.9/12", &range, NULL), 0);
	ip_range_format(&range, text, sizeof(text));
	assert_string_equal(text, "10.96.0.0/12");
	assert_int_equal(ip_range_usable(&range), (1u << 20) - 2);
	ip_range_at(&range, 1, &ip);
	ip_format(&ip, text);
	assert_string_equal(text, "10.96.0.1");
	ip_range_at(&range, 65536 + 256 + 5, &ip);
	ip_format(&ip, text);
	assert_string_equal(text, "10.97.1.5");
	assert_true(ip_range_contains(&range, &ip));
	assert_true(ip_parse("10.112.0.0", &ip) && !ip_range_contains(&range, &ip));
	assert_int_equal(ip_range_parse("fd00::/108", &range, NULL), 0);
	ip_range_at(&range, 0x1ff, &ip);
	ip_format(&ip, text);
	assert_string_equal(text, "fd00::1ff");
	assert_int_equal(ip_range_usable(&range), 65535);
	static const char *const bad[] = {"10.0.0.0",  "10.0.0.0/33", "10.0.0/8", "x/8",
	                                  "10.0.0.0/", "10.0.0.0/-1", "/8",       ""};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(ip_range_parse(bad[i], &range, NULL) < 0);
	assert_false(ip_parse("010.0.0.1", &ip));
	assert_false(ip_parse("1.2.3", &ip));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_protobuf_pod), cmocka_unit_test(test_protobuf_damage),
	        cmocka_unit_test(test_answer_heads), cmocka_unit_test(test_chunks),
	        cmocka_unit_test(test_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
