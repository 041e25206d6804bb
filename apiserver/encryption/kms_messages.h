// SPDX-License-Identifier: Apache-2.0
#pragma once
// The messages of KMS v2 (k8s.io/kms/apis/v2) and the envelope in which a sealed
// value is stored. Annotations stay as they came: encoded map entries.

#include <stdbool.h>

#include "common/api/protobuf_wire.h"
#include "common/base/strbuf.h"

enum {
	KMS_MAX_ANNOTATIONS = 64,
	KMS_MAX_KEY_ID_BYTES = 1 << 10,
	KMS_MAX_SOURCE_BYTES = 1 << 10,
};

struct kms_annotations {
	struct wire_span entries[KMS_MAX_ANNOTATIONS];
	size_t count;
};

enum kms_source_type {
	KMS_SOURCE_KEY = 0,  // the plain text of the source is the key of AES-GCM
	KMS_SOURCE_SEED = 1, // it is the seed of the seeded cipher
};

// What is stored. Spans are borrowed from the bytes they were read from.
struct kms_envelope {
	struct wire_span data;
	struct wire_span key_id;
	struct wire_span source; // encrypted by the service
	struct kms_annotations annotations;
	uint64_t source_type; // enum kms_source_type
};

bool kms_read_envelope(struct wire_span bytes, struct kms_envelope *ret_envelope);
void kms_write_envelope(struct strbuf *out, const struct kms_envelope *envelope);

struct kms_status {
	struct wire_span version;
	struct wire_span healthz;
	struct wire_span key_id;
};
bool kms_read_status(struct wire_span bytes, struct kms_status *ret_status);

struct kms_encrypted {
	struct wire_span ciphertext;
	struct wire_span key_id;
	struct kms_annotations annotations;
};
bool kms_read_encrypted(struct wire_span bytes, struct kms_encrypted *ret_encrypted);
void kms_write_encrypt(struct strbuf *out, struct wire_span plaintext, const char *uid);

bool kms_read_decrypted(struct wire_span bytes, struct wire_span *ret_plaintext);
void kms_write_decrypt(struct strbuf *out, const struct kms_envelope *envelope, const char *uid);

static inline struct wire_span kms_span(const void *data, size_t length)
{
	return (struct wire_span){data, (const uint8_t *)data + length};
}
