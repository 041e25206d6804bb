// SPDX-License-Identifier: Apache-2.0
//
// Signed tokens and key sets on any bytes: what is read has an algorithm of the
// table and objects for header and claims, and no signature is ever right for a
// key that nobody gave.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -o fuzz_jwt
//       tests/fuzz/fuzz_jwt.c common/client/jwt{,_key}.c common/api/json*.c
//       common/base/{arena,blob,clock,encode,err,file,hashmap,memory,strbuf}.c common/io/tls.c -lssl -lcrypto
//   ./fuzz_jwt tests/fuzz/corpus/jwt
#include <stdlib.h>
#include <string.h>

#include "common/client/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_token(struct arena *arena, const char *text, size_t size)
{
	struct jwt_keys none = {0};
	struct jwt jwt;
	struct err err = ERR_INIT;
	int64_t seconds;
	size_t count;
	bool bad;
	if (jwt_parse(arena, text, size, &jwt, &err) < 0) {
		if (err.code == ERR_NONE)
			abort();
		return;
	}
	if (!jwt.algorithm || strcmp(jwt.algorithm, "none") == 0 || jwt.algorithm[0] == 'H' || !jwt.key_id ||
	    !json_is(jwt.header, JSON_OBJECT) || !json_is(jwt.claims, JSON_OBJECT) || jwt.signed_length >= size ||
	    !jwt.signature_length || jwt_verify(&jwt, &none))
		abort();
	if (jwt_claim_time(jwt.claims, "exp", &seconds, &bad) && bad)
		abort();
	(void)jwt_claim_audiences(arena, jwt.claims, &count);
}

static void try_keys(struct arena *arena, const char *text, size_t size)
{
	struct jwt_keys keys = {0};
	struct json *set;
	if (json_parse(arena, text, size, NULL, &set, NULL) < 0)
		return;
	(void)!jwt_keys_from_json(&keys, set, NULL);
	for (size_t i = 0; i < keys.count; i++)
		if (!keys.items[i].key || !keys.items[i].id)
			abort();
	jwt_keys_done(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	try_token(arena, (const char *)data, size);
	try_keys(arena, (const char *)data, size);
	arena_free(arena);
	return 0;
}
