// SPDX-License-Identifier: Apache-2.0
// Ciphers against vectors made by other libraries, round trips, tampering, and the
// mistakes that a configuration can have.

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/encryption/configuration.h"
#include "apiserver/encryption/kms_messages.h"
#include "common/base/macros.h"

#define BOUND_TO "/registry/secrets/ns/name"

static const char plain[] = "k8s\0plain"; // nine bytes

static struct cipher_key counting_key(size_t length)
{
	struct cipher_key key = {.length = length};

	for (size_t i = 0; i < length; i++)
		key.bytes[i] = (uint8_t)i;
	return key;
}

static size_t from_hex(const char *text, uint8_t *out)
{
	size_t count = strlen(text) / 2;

	for (size_t i = 0; i < count; i++) {
		unsigned value = 0;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &value), 1);
		out[i] = (uint8_t)value;
	}
	return count;
}

// Made by Python's cryptography: key 00..1f, nonce 64..6f, IV 32..41, info c8..e7.
static const struct {
	const struct cipher *cipher;
	const char *sealed;
} vectors[] = {
        {&cipher_aesgcm, "6465666768696a6b6c6d6e6f2323ad66098537f750548feea9cb127dae90983d082ad405bc"},
        {&cipher_aescbc, "32333435363738393a3b3c3d3e3f404119e8d7cff87bdffdcd3c4b60bdbee6e7"},
        {&cipher_seeded, "c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e76465666768696a6b6c6d6e6f48c8b"
                         "8eef4724822025fa1438cd0bc17df0881cfbb6cd86769"},
};

static void test_vectors(void **state)
{
	struct cipher_key key = counting_key(32);
	uint8_t sealed[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 10);
		size_t length = from_hex(vectors[i].sealed, sealed);

		assert_int_equal(vectors[i].cipher->open(&key, BOUND_TO, sealed, length, &out, NULL), 0);
		assert_int_equal(out.length, 9);
		assert_memory_equal(out.data, plain, 9);
	}
}

static const struct cipher *const all[] = {&cipher_aescbc, &cipher_aesgcm, &cipher_secretbox, &cipher_seeded};

static void check_round_trip(const struct cipher *cipher, size_t key_length, size_t text_length)
{
	struct cipher_key key = counting_key(key_length), other = key;
	AUTO_STRBUF struct strbuf sealed = STRBUF_INIT(1 << 16);
	AUTO_STRBUF struct strbuf again = STRBUF_INIT(1 << 16);
	AUTO_STRBUF struct strbuf opened = STRBUF_INIT(1 << 16);
	char text[5000];

	memset(text, 'x', text_length);
	assert_int_equal(cipher->seal(&key, BOUND_TO, text, text_length, &sealed, NULL), 0);
	assert_int_equal(cipher->seal(&key, BOUND_TO, text, text_length, &again, NULL), 0);
	assert_true(sealed.length != again.length || memcmp(sealed.data, again.data, sealed.length));
	assert_int_equal(cipher->open(&key, BOUND_TO, (uint8_t *)sealed.data, sealed.length, &opened, NULL), 0);
	assert_int_equal(opened.length, text_length);
	assert_memory_equal(strbuf_text(&opened), text, text_length);
	other.bytes[0] ^= 1;
	strbuf_clear(&opened);
	// CBC knows of a wrong key by the padding alone, which is right once in 256 times.
	if (cipher != &cipher_aescbc)
		assert_true(cipher->open(&other, BOUND_TO, (uint8_t *)sealed.data, sealed.length, &opened, NULL) < 0);
}

static void test_round_trips(void **state)
{
	static const size_t lengths[] = {0, 1, 15, 16, 17, 31, 32, 4999};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (const size_t *key = all[i]->key_lengths; *key; key++)
			for (size_t j = 0; j < ARRAY_SIZE(lengths); j++)
				check_round_trip(all[i], *key, lengths[j]);
}

static void test_tampering(void **state)
{
	struct cipher_key key = counting_key(32);

	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(all); i++) { // all but CBC
		AUTO_STRBUF struct strbuf sealed = STRBUF_INIT(1 << 10);

		assert_int_equal(all[i]->seal(&key, BOUND_TO, plain, 9, &sealed, NULL), 0);
		for (size_t at = 0; at < sealed.length; at++) {
			AUTO_STRBUF struct strbuf opened = STRBUF_INIT(1 << 10);

			sealed.data[at] ^= 4;
			assert_true(all[i]->open(&key, BOUND_TO, (uint8_t *)sealed.data, sealed.length, &opened, NULL) <
			            0);
			assert_true(all[i]->open(&key, BOUND_TO, (uint8_t *)sealed.data, at, &opened, NULL) < 0);
			sealed.data[at] ^= 4;
		}
	}
}

static void test_bound_to_its_place(void **state)
{
	static const struct cipher *const bound[] = {&cipher_aesgcm, &cipher_seeded};
	struct cipher_key key = counting_key(32);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bound); i++) {
		AUTO_STRBUF struct strbuf sealed = STRBUF_INIT(1 << 10);
		AUTO_STRBUF struct strbuf opened = STRBUF_INIT(1 << 10);

		assert_int_equal(bound[i]->seal(&key, BOUND_TO, plain, 9, &sealed, NULL), 0);
		assert_true(bound[i]->open(&key, "/registry/secrets/ns/other", (uint8_t *)sealed.data, sealed.length,
		                           &opened, NULL) < 0);
	}
}

// --- configurations ---------------------------------------------------------------------------

#define HEAD "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\n"
#define KEY16 "MDEyMzQ1Njc4OTAxMjM0NQ=="
#define KEY32 "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#define GOOD_PROVIDERS "providers: [{aescbc: {keys: [{name: k, secret: " KEY16 "}]}}, {identity: {}}]"

static const struct {
	const char *text;
	const char *mistake;
} mistakes[] = {
        {"kind: Pod\napiVersion: v1\n", "no kind \"Pod\" is registered for version \"v1\""},
        {HEAD "resources: []\n", "resources: Required value: at least one resources is required"},
        {HEAD "resources: [{resources: [], " GOOD_PROVIDERS "}]",
         "resources[0].resources: Required value: at least one resources[0].resources is required"},
        {HEAD "resources: [{resources: [secrets], providers: []}]",
         "resources[0].providers: Required value: at least one resources[0].providers is required"},
        {HEAD "resources: [{resources: ['*'], " GOOD_PROVIDERS "}]",
         "resources[0].resources[0]: Invalid value: \"*\": use '*.' to encrypt all the resources from core API group "
         "or *.* to encrypt all resources"},
        {HEAD "resources: [{resources: [secrets, '*.'], " GOOD_PROVIDERS "}]", "using overlapping resources"},
        {HEAD "resources: [{resources: [secrets, secrets], " GOOD_PROVIDERS "}]",
         "the same resource cannot be specified multiple times"},
        {HEAD "resources: [{resources: [Secrets], " GOOD_PROVIDERS "}]", "should not contain capital letters"},
        {HEAD "resources: [{resources: ['foo.*'], " GOOD_PROVIDERS "}]",
         "encrypting the same resource across groups is not supported"},
        {HEAD "resources: [{resources: ['events.events.k8s.io'], " GOOD_PROVIDERS "}]", "Use 'events' instead"},
        {HEAD "resources: [{resources: [secrets], providers: [{}]}]", "does not contain any of the expected providers"},
        {HEAD "resources: [{resources: [secrets], providers: [{identity: {}, aesgcm: {keys: [{name: k, secret: " KEY16
              "}]}}]}]",
         "more than one provider specified in a single element"},
        {HEAD "resources: [{resources: [secrets], providers: [{aesgcm: {keys: []}}]}]",
         "resources[0].providers[0].aesgcm.keys: Required value: at least one keys is required"},
        {HEAD "resources: [{resources: [secrets], providers: [{aesgcm: {keys: [{name: k, secret: '%%'}]}}]}]",
         "resources[0].providers[0].aesgcm.keys[0].secret: Invalid value: \"REDACTED\": secrets must be base64 "
         "encoded"},
        {HEAD "resources: [{resources: [secrets], providers: [{secretbox: {keys: [{name: k, secret: " KEY16 "}]}}]}]",
         "secret is not of the expected length, got 16, expected one of [32]"},
        {HEAD "resources: [{resources: [secrets], providers: [{aescbc: {keys: [{secret: " KEY16 "}]}}]}]",
         "keys[0].name: Required value"},
        {HEAD "resources: [{resources: [secrets], providers: [{kms: {apiVersion: v2, name: 'a:b', endpoint: "
              "'unix:///x'}}]}]",
         "must not contain ':'"},
        {HEAD "resources: [{resources: [secrets], providers: [{kms: {apiVersion: v2, name: a, endpoint: "
              "'tcp://x'}}]}]",
         "unsupported scheme \"tcp\" for KMS provider, only unix is supported"},
        {HEAD "resources: [{resources: [secrets], providers: [{kms: {apiVersion: v2, name: a, endpoint: 'unix:///x', "
              "timeout: -1s}}]}]",
         "timeout should be a positive value"},
        {HEAD "resources: [{resources: [secrets], providers: [{kms: {apiVersion: v2, name: a, endpoint: "
              "'unix:///x'}}, {kms: {apiVersion: v2, name: a, endpoint: 'unix:///y'}}]}]",
         "duplicate KMS provider name a, names must be unique"},
};

static void test_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct encryption_configuration *configuration = NULL;
		struct err err = ERR_INIT;

		assert_true(encryption_configuration_parse(mistakes[i].text, strlen(mistakes[i].text), &configuration,
		                                           &err) < 0);
		if (!strstr(err.message, mistakes[i].mistake))
			fail_msg("row %zu: %s", i, err.message);
		assert_null(configuration);
	}
}

static void test_which_rule(void **state)
{
	static const char text[] =
	        HEAD "resources:\n"
	             "- {resources: [secrets, widgets.example.com], providers: [{secretbox: {keys: [{name: one, "
	             "secret: " KEY32 "}]}}]}\n"
	             "- {resources: ['*.apps'], providers: [{aesgcm: {keys: [{name: two, secret: " KEY16 "}]}}]}\n"
	             "- {resources: ['*.'], providers: [{identity: {}}]}\n";
	static const struct {
		const char *group, *plural;
		int rule; // < 0: none
	} rows[] = {{"", "secrets", 0},       {"example.com", "widgets", 0},  {"apps", "deployments", 1},
	            {"", "configmaps", 2},    {"example.com", "secrets", -1}, {"", "widgets", 2},
	            {"batch", "cronjobs", -1}};
	struct encryption_configuration *configuration = NULL;
	struct err err = ERR_INIT;

	(void)state;
	if (encryption_configuration_parse(text, strlen(text), &configuration, &err) < 0)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct encryption_rule *rule =
		        encryption_configuration_find(configuration, rows[i].group, rows[i].plural);

		assert_ptr_equal(rule, rows[i].rule < 0 ? NULL : &configuration->rules[rows[i].rule]);
	}
	encryption_configuration_free(configuration);
}

// --- envelopes ------------------------------------------------------------------------------------

static void test_envelope(void **state)
{
	static const char annotation[] = "\n\3k.x\22\1v";
	struct kms_envelope envelope = {
	        .data = kms_span("data", 4),
	        .key_id = kms_span("key", 3),
	        .source = kms_span("source", 6),
	        .annotations = {.entries = {kms_span(annotation, sizeof(annotation) - 1)}, .count = 1},
	        .source_type = KMS_SOURCE_SEED,
	};
	struct kms_envelope read;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 10);

	(void)state;
	kms_write_envelope(&text, &envelope);
	assert_true(kms_read_envelope(kms_span(text.data, text.length), &read));
	assert_int_equal(wire_span_length(read.source), 6);
	assert_memory_equal(read.key_id.at, "key", 3);
	assert_int_equal(read.annotations.count, 1);
	assert_memory_equal(read.annotations.entries[0].at, annotation, sizeof(annotation) - 1);
	assert_int_equal(read.source_type, KMS_SOURCE_SEED);
	for (size_t cut = 1; cut < text.length; cut++)
		(void)kms_read_envelope(kms_span(text.data, text.length - cut), &read);
	assert_false(kms_read_envelope(kms_span("\12\2ab", 4), &read)); // no key, no source
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_vectors),   cmocka_unit_test(test_round_trips),
	        cmocka_unit_test(test_tampering), cmocka_unit_test(test_bound_to_its_place),
	        cmocka_unit_test(test_mistakes),  cmocka_unit_test(test_which_rule),
	        cmocka_unit_test(test_envelope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
