// SPDX-License-Identifier: Apache-2.0
#pragma once
// Signed tokens in the compact form (RFC 7515, 7519), read strictly: three parts
// of unpadded base64url, JSON objects without duplicate keys, an asymmetric
// algorithm out of a fixed table, no critical extensions. Pure; any thread.

#include "common/client/jwt_key.h"

enum {
	JWT_MAX_BYTES = 64 << 10,
};

struct jwt {
	const char *algorithm;
	const char *key_id; // "" = none
	const struct json *header;
	const struct json *claims; // not to be believed before jwt_verify
	const char *signed_text;   // the first two parts as they came, borrowed
	size_t signed_length;
	const uint8_t *signature;
	size_t signature_length;
};

// The token's parts in the arena. -ERR_PARSE for anything that isn't such a token.
NODISCARD int jwt_parse(struct arena *arena, const char *token, size_t length, struct jwt *ret_jwt, struct err *err);

// True when one of the keys made the signature. A key id restricts the choice to keys of that id, unless there are
// none (tokens of keys that were known by another id).
bool jwt_verify(const struct jwt *jwt, const struct jwt_keys *keys);

// The compact form of these claims, signed; NULL when the key can't sign.
char *jwt_sign(struct arena *arena, const struct json *claims, const struct jwt_key *key);

// --- claims ----------------------------------------------------------------------
// A time in seconds; false when absent. *ret_bad when it is there and no number.
bool jwt_claim_time(const struct json *claims, const char *name, int64_t *ret_seconds, bool *ret_bad);
// "aud" is a text or a list of them.
const char *const *jwt_claim_audiences(struct arena *arena, const struct json *claims, size_t *ret_count);
