// SPDX-License-Identifier: Apache-2.0
#include "ctl/last_applied.h"

#include "common/base/strbuf.h"
#include "ctl/ctl.h"

enum { TEXT_MAX_BYTES = 64 << 20 };

// As Go's encoder writes it: sorted keys, and what HTML could mistake escaped.
static const char *canonical_text(struct ctl *ctl, struct json *object)
{
	AUTO_STRBUF struct strbuf plain = STRBUF_INIT(TEXT_MAX_BYTES), escaped = STRBUF_INIT(TEXT_MAX_BYTES);
	json_sort_keys(object);
	json_write(&plain, object);
	for (size_t i = 0; i < plain.length; i++) {
		char letter = plain.data[i];
		if (letter == '<' || letter == '>' || letter == '&') // stands in texts only
			strbuf_printf(&escaped, "\\u%04x", letter);
		else
			strbuf_append_char(&escaped, letter);
	}
	strbuf_append_char(&escaped, '\n');
	return arena_strndup(ctl->arena, strbuf_text(&escaped), escaped.length);
}

void last_applied_set(struct ctl *ctl, struct json *object)
{
	struct json *copy = json_clone(ctl->arena, object);
	struct json *copied =
	        json_ensure_object(ctl->arena, json_ensure_object(ctl->arena, copy, "metadata"), "annotations");
	json_remove(copied, LAST_APPLIED_ANNOTATION);
	struct json *annotations =
	        json_ensure_object(ctl->arena, json_ensure_object(ctl->arena, object, "metadata"), "annotations");
	json_set_text(ctl->arena, annotations, LAST_APPLIED_ANNOTATION, canonical_text(ctl, copy));
}

struct json *last_applied_get(struct ctl *ctl, const struct json *object)
{
	struct json *value = json_path(object, "metadata", "annotations", LAST_APPLIED_ANNOTATION), *parsed;
	if (!json_is(value, JSON_STRING) || json_parse(ctl->arena, value->text, value->length, NULL, &parsed, NULL) < 0)
		return NULL;
	return parsed;
}
