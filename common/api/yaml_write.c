// SPDX-License-Identifier: Apache-2.0
//
// The tree as `kubectl -o yaml` prints it, by libyaml's emitter: block style,
// two blanks, sequences not indented under their keys, lines folded at 80, texts
// of several lines as literals, and quotes where a plain text would be read as
// something else. Keys are in go-yaml's order, where numbers within keys count
// by their value (a2 before a10) and letters come after everything else.
#include "common/api/yaml.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "common/api/yaml_resolve.h"
#include "common/base/memory.h"

// --- the order of keys ---------------------------------------------------------------

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

// Letters of all scripts; bytes above ASCII are taken for such.
static bool is_letter(char character)
{
	return ((character | 0x20) >= 'a' && (character | 0x20) <= 'z') || (unsigned char)character >= 0x80;
}

// The number that begins at `i`, and where it ends.
static uint64_t number_at(const struct json_member *member, size_t i, uint64_t value, size_t *ret_end)
{
	for (; i < member->key_length && is_digit(member->key[i]); i++)
		value = value * 10 + (uint64_t)(member->key[i] - '0');
	*ret_end = i;
	return value;
}

// Whether the digits right before `i` hold one that is not zero.
static bool within_number(const struct json_member *member, size_t i)
{
	while (i > 0 && is_digit(member->key[i - 1]))
		if (member->key[--i] != '0')
			return true;
	return false;
}

static int compare_keys(const void *left, const void *right)
{
	const struct json_member *a = left, *b = right;
	size_t shorter = a->key_length < b->key_length ? a->key_length : b->key_length;
	size_t i = 0;
	while (i < shorter && a->key[i] == b->key[i])
		i++;
	if (i == shorter)
		return (a->key_length > b->key_length) - (a->key_length < b->key_length);
	unsigned char ca = (unsigned char)a->key[i], cb = (unsigned char)b->key[i];
	bool letter_a = is_letter(a->key[i]), letter_b = is_letter(b->key[i]);
	if (letter_a && letter_b)
		return ca - cb;
	if (letter_a || letter_b)
		return letter_a ? 1 : -1;
	uint64_t start = (ca == '0' || cb == '0') && within_number(a, i);
	size_t end_a, end_b;
	uint64_t number_a = number_at(a, i, start, &end_a);
	uint64_t number_b = number_at(b, i, start, &end_b);
	if (number_a != number_b)
		return number_a < number_b ? -1 : 1;
	if (end_a != end_b)
		return end_a < end_b ? -1 : 1;
	return ca - cb;
}

// --- events ----------------------------------------------------------------------------

// Out of memory is the emitter's only way to fail here.
static void emit(yaml_emitter_t *emitter, yaml_event_t *event, int initialized)
{
	if (!initialized || !yaml_emitter_emit(emitter, event))
		abort();
}

static void emit_scalar(yaml_emitter_t *emitter, const char *text, size_t length, yaml_scalar_style_t style)
{
	yaml_event_t event;
	int done =
	        yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)length, 1, 1, style);
	if (!done) {
		// Not UTF-8, which only a tree that no reader made can hold: show its ASCII.
		AUTO_FREE char *ascii = xmemdup(text, length);
		for (size_t i = 0; i < length; i++)
			ascii[i] = (unsigned char)ascii[i] < 0x80 ? ascii[i] : '?';
		done = yaml_scalar_event_initialize(&event, NULL, NULL, (yaml_char_t *)ascii, (int)length, 1, 1, style);
	}
	emit(emitter, &event, done);
}

static void emit_string(yaml_emitter_t *emitter, const char *text, size_t length)
{
	if (memchr(text, '\n', length)) {
		emit_scalar(emitter, text, length, YAML_LITERAL_SCALAR_STYLE);
		return;
	}
	bool plain = yaml_resolve(text, length).kind == YAML_TEXT && !yaml_is_base60(text, length) &&
	             !(length == 2 && memcmp(text, "<<", 2) == 0);
	emit_scalar(emitter, text, length, plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

static void emit_value(yaml_emitter_t *emitter, const struct json *value);

static void emit_mapping(yaml_emitter_t *emitter, const struct json *value)
{
	yaml_event_t event;
	AUTO_FREE struct json_member *sorted = xreallocarray(NULL, value->length + 1, sizeof(*sorted));
	if (value->length) {
		memcpy(sorted, value->members, value->length * sizeof(*sorted));
		qsort(sorted, value->length, sizeof(*sorted), compare_keys);
	}
	yaml_mapping_style_t style = value->length ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE;
	emit(emitter, &event, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style));
	for (uint32_t i = 0; i < value->length; i++) {
		emit_string(emitter, sorted[i].key, sorted[i].key_length);
		emit_value(emitter, sorted[i].value);
	}
	emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static void emit_sequence(yaml_emitter_t *emitter, const struct json *value)
{
	yaml_event_t event;
	yaml_sequence_style_t style = value->length ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE;
	emit(emitter, &event, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style));
	json_for_each_item (item, value)
		emit_value(emitter, item);
	emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_plain(yaml_emitter_t *emitter, const char *text)
{
	emit_scalar(emitter, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
}

static void emit_value(yaml_emitter_t *emitter, const struct json *value)
{
	char number[24];
	switch ((enum json_type)value->type) {
	case JSON_NULL:
		emit_plain(emitter, "null");
		break;
	case JSON_BOOL:
		emit_plain(emitter, value->boolean ? "true" : "false");
		break;
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%lld", (long long)value->integer);
		emit_plain(emitter, number);
		break;
	case JSON_NUMBER:
		emit_plain(emitter, value->text);
		break;
	case JSON_STRING:
		emit_string(emitter, value->text, value->length);
		break;
	case JSON_ARRAY:
		emit_sequence(emitter, value);
		break;
	case JSON_OBJECT:
		emit_mapping(emitter, value);
		break;
	}
}

static int append_output(void *context, unsigned char *data, size_t length)
{
	strbuf_append(context, data, length);
	return 1;
}

void yaml_write(struct strbuf *out, const struct json *value)
{
	yaml_emitter_t emitter;
	yaml_event_t event;
	if (!yaml_emitter_initialize(&emitter))
		abort();
	yaml_emitter_set_output(&emitter, append_output, out);
	yaml_emitter_set_unicode(&emitter, 1);
	emit(&emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	emit(&emitter, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
	emit_value(&emitter, value);
	emit(&emitter, &event, yaml_document_end_event_initialize(&event, 1));
	emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
	yaml_emitter_delete(&emitter);
}
