// SPDX-License-Identifier: Apache-2.0

#include "apiserver/encryption/kms_messages.h"

#include <string.h>

// --- reading: a table of where each field goes ---------------------------------------------------

struct member {
	uint32_t number;
	struct wire_span *bytes;             // or:
	struct kms_annotations *annotations; // repeated
	uint64_t *value;
};

static bool keep_annotation(struct kms_annotations *annotations, struct wire_span entry)
{
	if (annotations->count == KMS_MAX_ANNOTATIONS)
		return false;
	annotations->entries[annotations->count++] = entry;
	return true;
}

static bool put(const struct member *member, const struct wire_value *value)
{
	if (member->value) {
		*member->value = value->number;
		return value->wire_type == WIRE_VARINT;
	}
	if (value->wire_type != WIRE_BYTES)
		return false;
	if (member->annotations)
		return keep_annotation(member->annotations, value->bytes);
	*member->bytes = value->bytes;
	return true;
}

// Unknown fields are passed over.
static bool read_message(struct wire_span bytes, const struct member *members, size_t count)
{
	struct wire_value value;
	uint32_t number;

	while (wire_span_length(bytes)) {
		if (!wire_read_field(&bytes, &number, &value))
			return false;
		for (size_t i = 0; i < count; i++)
			if (members[i].number == number && !put(&members[i], &value))
				return false;
	}
	return true;
}

bool kms_read_envelope(struct wire_span bytes, struct kms_envelope *ret_envelope)
{
	const struct member members[] = {
	        {.number = 1, .bytes = &ret_envelope->data},
	        {.number = 2, .bytes = &ret_envelope->key_id},
	        {.number = 3, .bytes = &ret_envelope->source},
	        {.number = 4, .annotations = &ret_envelope->annotations},
	        {.number = 5, .value = &ret_envelope->source_type},
	};

	*ret_envelope = (struct kms_envelope){0};
	return read_message(bytes, members, sizeof(members) / sizeof(members[0])) &&
	       wire_span_length(ret_envelope->data) && wire_span_length(ret_envelope->key_id) &&
	       wire_span_length(ret_envelope->source) &&
	       wire_span_length(ret_envelope->key_id) <= KMS_MAX_KEY_ID_BYTES &&
	       wire_span_length(ret_envelope->source) <= KMS_MAX_SOURCE_BYTES &&
	       ret_envelope->source_type <= KMS_SOURCE_SEED;
}

bool kms_read_status(struct wire_span bytes, struct kms_status *ret_status)
{
	const struct member members[] = {
	        {.number = 1, .bytes = &ret_status->version},
	        {.number = 2, .bytes = &ret_status->healthz},
	        {.number = 3, .bytes = &ret_status->key_id},
	};

	*ret_status = (struct kms_status){0};
	return read_message(bytes, members, sizeof(members) / sizeof(members[0]));
}

bool kms_read_encrypted(struct wire_span bytes, struct kms_encrypted *ret_encrypted)
{
	const struct member members[] = {
	        {.number = 1, .bytes = &ret_encrypted->ciphertext},
	        {.number = 2, .bytes = &ret_encrypted->key_id},
	        {.number = 3, .annotations = &ret_encrypted->annotations},
	};

	*ret_encrypted = (struct kms_encrypted){0};
	return read_message(bytes, members, sizeof(members) / sizeof(members[0])) &&
	       wire_span_length(ret_encrypted->ciphertext) &&
	       wire_span_length(ret_encrypted->ciphertext) <= KMS_MAX_SOURCE_BYTES &&
	       wire_span_length(ret_encrypted->key_id) &&
	       wire_span_length(ret_encrypted->key_id) <= KMS_MAX_KEY_ID_BYTES;
}

bool kms_read_decrypted(struct wire_span bytes, struct wire_span *ret_plaintext)
{
	const struct member members[] = {{.number = 1, .bytes = ret_plaintext}};

	*ret_plaintext = (struct wire_span){0};
	return read_message(bytes, members, 1) && wire_span_length(*ret_plaintext);
}

// --- writing ----------------------------------------------------------------------------------------

static void write_bytes(struct strbuf *out, uint32_t number, struct wire_span bytes)
{
	if (wire_span_length(bytes))
		wire_append_text(out, number, (const char *)bytes.at, wire_span_length(bytes));
}

static void write_annotations(struct strbuf *out, uint32_t number, const struct kms_annotations *annotations)
{
	for (size_t i = 0; i < annotations->count; i++)
		write_bytes(out, number, annotations->entries[i]);
}

void kms_write_envelope(struct strbuf *out, const struct kms_envelope *envelope)
{
	write_bytes(out, 1, envelope->data);
	write_bytes(out, 2, envelope->key_id);
	write_bytes(out, 3, envelope->source);
	write_annotations(out, 4, &envelope->annotations);
	if (envelope->source_type) {
		wire_append_varint(out, 5 << 3 | WIRE_VARINT);
		wire_append_varint(out, envelope->source_type);
	}
}

void kms_write_encrypt(struct strbuf *out, struct wire_span plaintext, const char *uid)
{
	write_bytes(out, 1, plaintext);
	write_bytes(out, 2, kms_span(uid, strlen(uid)));
}

void kms_write_decrypt(struct strbuf *out, const struct kms_envelope *envelope, const char *uid)
{
	write_bytes(out, 1, envelope->source);
	write_bytes(out, 2, kms_span(uid, strlen(uid)));
	write_bytes(out, 3, envelope->key_id);
	write_annotations(out, 4, &envelope->annotations);
}
