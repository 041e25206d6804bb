// SPDX-License-Identifier: Apache-2.0
// Kinds without a describer of their own: all fields, sorted, with names made of
// words ("creationTimestamp" becomes "Creation Timestamp").

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/api/object.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"

static const char *const acronyms[] = {"API", "GUID", "ID", "IP", "OSB", "UID", "URI", "URL"};

static void write_word(struct strbuf *out, const char *word, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(acronyms); i++) {
		if (strlen(acronyms[i]) == length && strncasecmp(acronyms[i], word, length) == 0) {
			strbuf_append_text(out, acronyms[i]);
			return;
		}
	}
	strbuf_append_char(out, (char)toupper((unsigned char)word[0]));
	strbuf_append(out, word + 1, length - 1);
}

static bool ends_word(const char *name, size_t i)
{
	bool lower_to_upper = isupper((unsigned char)name[i]) && !isupper((unsigned char)name[i - 1]);
	bool last_of_acronym = isupper((unsigned char)name[i]) && isupper((unsigned char)name[i - 1]) &&
	                       islower((unsigned char)name[i + 1]);
	return !name[i] || lower_to_upper || last_of_acronym;
}

static const char *label_of(struct describer *describer, const char *name)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	size_t start = 0;
	for (const char *cursor = name; *cursor; cursor++)
		if (!isalnum((unsigned char)*cursor))
			return name; // no camel case: a key
	for (size_t i = 1; name[0] && start < strlen(name); i++) {
		if (!ends_word(name, i))
			continue;
		if (text.length)
			strbuf_append_char(&text, ' ');
		write_word(&text, name + start, i - start);
		start = i;
	}
	return arena_strdup(describer->ctl->arena, strbuf_text(&text));
}

static void fields(struct describer *describer, int level, const struct json *object, bool is_metadata);

static void list(struct describer *describer, int level, const struct json *items)
{
	json_for_each_item (item, items) {
		if (json_is(item, JSON_OBJECT))
			fields(describer, level, item, false);
		else
			describe_line(describer, level, "%s", scalar_text(describer, item));
	}
}

static bool is_told_already(const char *key, bool is_metadata, int level)
{
	static const char *const of_metadata[] = {"name", "namespace", "labels", "annotations", "managedFields"};
	static const char *const of_object[] = {"apiVersion", "kind"};
	for (size_t i = 0; is_metadata && i < ARRAY_SIZE(of_metadata); i++)
		if (strcmp(of_metadata[i], key) == 0)
			return true;
	for (size_t i = 0; level == 0 && i < ARRAY_SIZE(of_object); i++)
		if (strcmp(of_object[i], key) == 0)
			return true;
	return false;
}

static void fields(struct describer *describer, int level, const struct json *object, bool is_metadata)
{
	struct json *sorted = json_clone(describer->ctl->arena, object);
	json_sort_keys(sorted);
	json_for_each_member (member, sorted) {
		const char *label = label_of(describer, member->key);
		if (is_told_already(member->key, is_metadata, level))
			continue;
		if (json_is(member->value, JSON_OBJECT)) {
			describe_line(describer, level, "%s:", label);
			fields(describer, level + 1, member->value, level == 0 && strcmp(member->key, "metadata") == 0);
		} else if (json_is(member->value, JSON_ARRAY)) {
			describe_line(describer, level, "%s:", label);
			list(describer, level + 1, member->value);
		} else {
			describe_line(describer, level, "%s:\t%s", label,
			              json_is(member->value, JSON_NULL) ? "<nil>"
			                                                : scalar_text(describer, member->value));
		}
	}
}

void describe_generic(struct describer *describer, const struct json *object)
{
	const struct json *metadata = json_get(object, "metadata");
	const char *namespace_name = object_namespace(object);
	describe_line(describer, 0, "Name:\t%s", object_name(object));
	describe_line(describer, 0, "Namespace:\t%s", namespace_name ? namespace_name : "");
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
	describe_line(describer, 0, "API Version:\t%s", object_api_version(object) ? object_api_version(object) : "");
	describe_line(describer, 0, "Kind:\t%s", object_kind(object) ? object_kind(object) : "");
	fields(describer, 0, object, false);
	describe_events(describer, object);
}
