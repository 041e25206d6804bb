// SPDX-License-Identifier: Apache-2.0
#pragma once
// Keys of signed tokens: from PEM files, from and to JSON web keys.

#include <openssl/evp.h>
#include <stdbool.h>

#include "common/api/json.h"

struct jwt_algorithm;

struct jwt_key {
	char *id;         // "" = none
	EVP_PKEY *key;    // public, or private with its public part
	const char *only; // the algorithm that its owner named, NULL = any that fits
};

struct jwt_keys {
	struct jwt_key *items;
	size_t count;
};

void jwt_keys_done(struct jwt_keys *keys);

// All public keys of a PEM file (also those of certificates and private keys), each with upstream's id: the SHA-256
// of its public form in base64url.
NODISCARD int jwt_keys_load(struct jwt_keys *keys, const char *file, struct err *err);
// One private key, RSA (2048 and more bits) or EC.
NODISCARD int jwt_key_load_private(const char *file, struct jwt_key *ret_key, struct err *err);

// A JWK set: keys for signatures that can't be read are passed over.
NODISCARD int jwt_keys_from_json(struct jwt_keys *keys, const struct json *set, struct err *err);
// One JWK {use, kty, kid, alg, …}; NULL for kinds that have none here.
struct json *jwt_key_to_json(struct arena *arena, const struct jwt_key *key);

// What this key signs with: RS256, ES256, ES384, ES512. NULL: not a key for tokens.
const char *jwt_key_algorithm(EVP_PKEY *key);
