// SPDX-License-Identifier: Apache-2.0
#include "ctl/wait_condition.h"

#include <string.h>
#include <strings.h>

#include "common/api/json_path.h"
#include "common/base/strbuf.h"

static const char *after(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);
	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static const char *without_quotes(struct arena *arena, const char *text)
{
	size_t length = strlen(text);
	if (length >= 2 && (text[0] == '"' || text[0] == '\'') && text[length - 1] == text[0])
		return arena_strndup(arena, text + 1, length - 2);
	return text;
}

static void parse_condition(struct arena *arena, const char *text, struct wait_condition *condition)
{
	const char *equals = strchr(text, '=');
	condition->kind = WAIT_CONDITION;
	condition->name = equals ? arena_strndup(arena, text, (size_t)(equals - text)) : arena_strdup(arena, text);
	condition->value = equals ? arena_strdup(arena, equals + 1) : "true";
}

// "{.a.b}" or "{.a.b}=value"; the value may stand in quotes.
static int parse_jsonpath(struct arena *arena, const char *text, struct wait_condition *condition, struct err *err)
{
	text = without_quotes(arena, text);
	const char *brace = strrchr(text, '}');
	const char *equals = strchr(brace ? brace : text, '=');
	condition->kind = WAIT_JSONPATH;
	condition->value = equals ? without_quotes(arena, equals + 1) : NULL;
	if (equals && !condition->value[0])
		return err_set(err, ERR_INVALID, "jsonpath wait has to have a value after equal sign");
	const char *path = equals ? arena_strndup(arena, text, (size_t)(equals - text)) : text;
	path = without_quotes(arena, path);
	if (!path[0])
		return err_set(err, ERR_INVALID, "jsonpath expression cannot be empty");
	return jsonpath_parse_relaxed(arena, path, &condition->path, err);
}

int wait_condition_parse(struct arena *arena, const char *text, struct wait_condition *ret_condition, struct err *err)
{
	*ret_condition = (struct wait_condition){.arena = arena};
	const char *rest;
	if (strcasecmp(text, "delete") == 0) {
		ret_condition->kind = WAIT_DELETE;
		return 0;
	}
	if (strcasecmp(text, "create") == 0) {
		ret_condition->kind = WAIT_CREATE;
		return 0;
	}
	if ((rest = after(text, "condition=")) && rest[0]) {
		parse_condition(arena, rest, ret_condition);
		return 0;
	}
	if ((rest = after(text, "jsonpath=")))
		return parse_jsonpath(arena, rest, ret_condition, err);
	return err_set(err, ERR_INVALID, "unrecognized condition: \"%s\"", text);
}

// A condition that speaks of an older generation says nothing about this one.
static bool is_stale(const struct json *object, const struct json *condition)
{
	int64_t generation = 0, observed = 0;
	if (!json_get_integer(json_get(object, "metadata"), "generation", &generation))
		return false;
	if (!json_get_integer(condition, "observedGeneration", &observed) &&
	    !json_get_integer(json_get(object, "status"), "observedGeneration", &observed))
		return false;
	return observed < generation;
}

static bool has_condition(const struct wait_condition *wanted, const struct json *object)
{
	json_for_each_item (condition, json_path(object, "status", "conditions")) {
		const char *type = json_get_text(condition, "type"), *status = json_get_text(condition, "status");
		if (type && status && strcasecmp(type, wanted->name) == 0)
			return !is_stale(object, condition) && strcasecmp(status, wanted->value) == 0;
	}
	return false;
}

static bool field_holds(const struct wait_condition *wanted, const struct json *object)
{
	size_t count = 0;
	const struct json **values = jsonpath_find(wanted->arena, wanted->path, object, &count);
	if (!wanted->value)
		return count > 0;
	if (count != 1 || json_is(values[0], JSON_OBJECT) || json_is(values[0], JSON_ARRAY))
		return false;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	jsonpath_write_value(&text, values[0]);
	return strcmp(strbuf_text(&text), wanted->value) == 0;
}

bool wait_condition_holds(const struct wait_condition *condition, const struct json *object)
{
	switch (condition->kind) {
	case WAIT_DELETE:
		return !object;
	case WAIT_CREATE:
		return object != NULL;
	case WAIT_JSONPATH:
		return object && field_holds(condition, object);
	default:
		return object && has_condition(condition, object);
	}
}
