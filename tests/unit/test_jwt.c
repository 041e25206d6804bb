// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/client/jwt.h"

static struct jwt_key new_key(const char *type)
{
	EVP_PKEY *key = strcmp(type, "RSA") ? EVP_EC_gen(type) : EVP_RSA_gen(2048);

	assert_non_null(key);
	return (struct jwt_key){.id = xstrdup("k1"), .key = key};
}

static struct json *claims_of(struct arena *arena)
{
	struct json *claims = json_object(arena);

	json_set_text(arena, claims, "iss", "me");
	json_set_integer(arena, claims, "exp", 1234567890);
	return claims;
}

static void test_signing_and_verifying(void **state)
{
	static const struct {
		const char *type;
		const char *algorithm;
	} rows[] = {{"RSA", "RS256"}, {"P-256", "ES256"}, {"P-384", "ES384"}, {"P-521", "ES512"}};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct jwt_key key = new_key(rows[i].type), other = new_key(rows[i].type);
		struct jwt_keys keys = {.items = &key, .count = 1}, others = {.items = &other, .count = 1};
		char *token = jwt_sign(arena, claims_of(arena), &key);
		struct jwt jwt;
		int64_t end;
		bool bad;

		assert_non_null(token);
		assert_int_equal(jwt_parse(arena, token, strlen(token), &jwt, NULL), 0);
		assert_string_equal(jwt.algorithm, rows[i].algorithm);
		assert_string_equal(jwt.key_id, "k1");
		assert_true(jwt_verify(&jwt, &keys));
		assert_false(jwt_verify(&jwt, &others));
		assert_true(jwt_claim_time(jwt.claims, "exp", &end, &bad));
		assert_int_equal(end, 1234567890);
		((uint8_t *)jwt.signature)[3] ^= 1;
		assert_false(jwt_verify(&jwt, &keys));
		EVP_PKEY_free(key.key);
		EVP_PKEY_free(other.key);
		free(key.id);
		free(other.id);
	}
}

static void test_malformed_tokens(void **state)
{
	static const char *const header_ok = "{\"alg\":\"RS256\"}";
	static const struct {
		const char *header;
		const char *claims;
		const char *signature; // as it stands
	} rows[] = {
	        {"{\"alg\":\"none\"}", "{}", ""},
	        {"{\"alg\":\"none\"}", "{}", "AAAA"},
	        {"{\"alg\":\"HS256\"}", "{}", "AAAA"},
	        {"{\"alg\":\"RS256\",\"crit\":[\"x\"]}", "{}", "AAAA"},
	        {"{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}", "AAAA"},
	        {"{\"alg\":\"RS256\",\"kid\":1}", "{}", "AAAA"},
	        {"{}", "{}", "AAAA"},
	        {"[]", "{}", "AAAA"},
	        {NULL, "[]", "AAAA"},
	        {NULL, "{} ", "AAAA="},
	        {NULL, "{", "AAAA"},
	        {NULL, "{}", "AA\nAA"},
	        {NULL, "{}", "AAAA.AAAA"},
	        {NULL, "{}", ""},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		AUTO_STRBUF struct strbuf token = STRBUF_INIT(4096);
		const char *header = rows[i].header ? rows[i].header : header_ok;
		struct jwt jwt;

		base64url_encode(&token, header, strlen(header));
		strbuf_append_char(&token, '.');
		base64url_encode(&token, rows[i].claims, strlen(rows[i].claims));
		strbuf_printf(&token, ".%s", rows[i].signature);
		if (jwt_parse(arena, token.data, token.length, &jwt, NULL) == 0)
			fail_msg("row %zu was taken", i);
	}
}

static void test_keys_as_json(void **state)
{
	static const char *const types[] = {"RSA", "P-256", "P-384", "P-521"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct jwt_key key = new_key(types[i]);
		struct jwt_keys read = {0};
		struct json *set = json_object(arena), *list = json_array(arena);
		char *token = jwt_sign(arena, claims_of(arena), &key);
		struct jwt jwt;

		json_append(arena, list, jwt_key_to_json(arena, &key));
		json_set(arena, set, "keys", list);
		assert_int_equal(jwt_keys_from_json(&read, set, NULL), 0);
		assert_int_equal(read.count, 1);
		assert_int_equal(jwt_parse(arena, token, strlen(token), &jwt, NULL), 0);
		assert_true(jwt_verify(&jwt, &read));
		jwt_keys_done(&read);
		EVP_PKEY_free(key.key);
		free(key.id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_signing_and_verifying),
	        cmocka_unit_test(test_malformed_tokens),
	        cmocka_unit_test(test_keys_as_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
