// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ciphers of values at rest, byte for byte as upstream writes them. Pure: keys
// and texts come in, bytes go out.
//
//   aescbc     IV (16) | AES-CBC with PKCS #7 padding; tells nothing about changes
//   aesgcm     nonce (12) | AES-GCM | tag (16), bound to the etcd key
//   secretbox  nonce (24) | XSalsa20-Poly1305 of NaCl
//   seeded     info (32) | aesgcm by a key of its own: HKDF-Expand(SHA-256, seed, info)

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/strbuf.h"

enum {
	CIPHER_MAX_KEY_BYTES = 32,
	CIPHER_SEED_BYTES = 32,
};

struct cipher_key {
	uint8_t bytes[CIPHER_MAX_KEY_BYTES];
	size_t length;
};

struct cipher {
	const char *name;      // as it stands in configurations and in stored prefixes
	size_t key_lengths[4]; // ended by 0
	// Appends the sealed form of `plain` to `out`; `bound_to` (the etcd key) is authenticated with it where
	// the cipher can. ERR_INTERNAL when the library fails.
	int (*seal)(const struct cipher_key *key, const char *bound_to, const void *plain, size_t length,
	            struct strbuf *out, struct err *err);
	// Appends the plain text; ERR_INTERNAL when the bytes are not what was sealed with this key.
	int (*open)(const struct cipher_key *key, const char *bound_to, const uint8_t *sealed, size_t length,
	            struct strbuf *out, struct err *err);
};

extern const struct cipher cipher_aescbc, cipher_aesgcm, cipher_secretbox, cipher_seeded;

// Random bytes from the system; fails never short of a broken kernel (then the process ends).
void cipher_random(void *bytes, size_t length);
// Overwrites a key that is no longer needed.
void cipher_forget(void *bytes, size_t length);
