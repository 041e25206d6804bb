// SPDX-License-Identifier: Apache-2.0
// Query strings into options. What upstream ignores (unknown names) is ignored;
// what it refuses (numbers that aren't, unknown dryRun values) is refused with
// its words.

#include "apiserver/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/encode.h"

enum {
	QUERY_MAX_PAIRS = 200,
};

bool query_unescape(struct arena *arena, const char *text, size_t length, bool plus_is_space, const char **ret_text)
{
	char *out = arena_alloc(arena, length + 1);
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (c == '%') {
			int high = i + 1 < length ? hex_digit(text[i + 1]) : -1;
			int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		out[used++] = c;
	}
	out[used] = '\0';
	*ret_text = out;
	return true;
}

static const struct status *add_pair(struct arena *arena, const char *text, size_t length, struct query *query)
{
	const char *equals = memchr(text, '=', length);
	size_t name_length = equals ? (size_t)(equals - text) : length;
	struct query_pair *pair = &query->pairs[query->count];

	if (!query_unescape(arena, text, name_length, true, &pair->name) ||
	    !query_unescape(arena, equals ? equals + 1 : "", equals ? length - name_length - 1 : 0, true, &pair->value))
		return status_new(arena, ERR_BAD_REQUEST, "invalid URL escape in the query");
	query->count++;
	return NULL;
}

const struct status *query_parse(struct arena *arena, const char *text, struct query *ret_query)
{
	*ret_query = (struct query){0};
	if (!text[0])
		return NULL;
	ret_query->pairs = ARENA_ARRAY(arena, struct query_pair, QUERY_MAX_PAIRS);
	while (text[0]) {
		size_t length = strcspn(text, "&");
		const struct status *status = NULL;

		if (length) {
			if (ret_query->count == QUERY_MAX_PAIRS)
				return status_new(arena, ERR_BAD_REQUEST, "too many query parameters");
			status = add_pair(arena, text, length, ret_query);
		}
		if (status)
			return status;
		text += length + (text[length] == '&');
	}
	return NULL;
}

const char *query_get(const struct query *query, const char *name)
{
	for (size_t i = 0; i < query->count; i++)
		if (!strcmp(query->pairs[i].name, name))
			return query->pairs[i].value;
	return NULL;
}

// As upstream converts booleans of queries: present and not "0" or "false".
bool query_get_bool(const struct query *query, const char *name)
{
	const char *value = query_get(query, name);

	return value && strcmp(value, "0") && strcasecmp(value, "false");
}

static const char *text_or_empty(const struct query *query, const char *name)
{
	const char *value = query_get(query, name);

	return value ? value : "";
}

static const struct status *parse_integer(struct arena *arena, const struct query *query, const char *name,
                                          int64_t *ret_value, bool *ret_present)
{
	const char *text = query_get(query, name);
	char *end;
	long long value;

	*ret_present = false;
	*ret_value = 0;
	if (!text || !text[0])
		return NULL;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (*end || errno)
		return status_new(arena, ERR_BAD_REQUEST, "strconv.ParseInt: parsing \"%.64s\": invalid syntax", text);
	*ret_value = value;
	*ret_present = true;
	return NULL;
}

static const struct status *parse_field_validation(struct arena *arena, const struct query *query,
                                                   enum field_validation *ret_mode)
{
	const char *text = text_or_empty(query, "fieldValidation");

	*ret_mode = FIELD_VALIDATION_WARN;
	if (!text[0] || !strcmp(text, "Warn"))
		return NULL;
	if (!strcmp(text, "Strict"))
		*ret_mode = FIELD_VALIDATION_STRICT;
	else if (!strcmp(text, "Ignore"))
		*ret_mode = FIELD_VALIDATION_IGNORE;
	else
		return status_new(arena, ERR_INVALID,
		                  "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: "
		                  "\"%.64s\": supported values: \"Ignore\", \"Strict\", \"Warn\"",
		                  text);
	return NULL;
}

static const struct status *parse_dry_run(struct arena *arena, const char *text, bool *ret_dry_run)
{
	if (!strcmp(text, "All")) {
		*ret_dry_run = true;
		return NULL;
	}
	return status_new(arena, ERR_INVALID,
	                  "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"%.64s\": supported "
	                  "values: \"All\"",
	                  text);
}

static const struct status *parse_propagation(struct arena *arena, const char *text,
                                              enum delete_propagation *ret_propagation)
{
	static const char *const names[] = {"", "Orphan", "Background", "Foreground"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i])) {
			*ret_propagation = (enum delete_propagation)i;
			return NULL;
		}
	return status_new(arena, ERR_INVALID,
	                  "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"%.64s\": "
	                  "supported values: \"Background\", \"Foreground\", \"Orphan\", \"nil\"",
	                  text);
}

static void parse_texts(const struct query *query, struct request_options *options)
{
	options->pretty = query_get_bool(query, "pretty");
	options->watch = query_get_bool(query, "watch");
	options->allow_watch_bookmarks = query_get_bool(query, "allowWatchBookmarks");
	options->send_initial_events = query_get_bool(query, "sendInitialEvents");
	options->has_send_initial_events = query_get(query, "sendInitialEvents") != NULL;
	options->force = query_get_bool(query, "force");
	options->field_manager = text_or_empty(query, "fieldManager");
	options->label_selector = text_or_empty(query, "labelSelector");
	options->field_selector = text_or_empty(query, "fieldSelector");
	options->resource_version = text_or_empty(query, "resourceVersion");
	options->resource_version_match = text_or_empty(query, "resourceVersionMatch");
	options->continue_token = text_or_empty(query, "continue");
	options->include_object = text_or_empty(query, "includeObject");
	options->has_orphan_dependents = query_get(query, "orphanDependents") != NULL;
	options->orphan_dependents = query_get_bool(query, "orphanDependents");
}

static const struct status *parse_numbers(struct arena *arena, const struct query *query,
                                          struct request_options *options)
{
	const struct status *status;
	bool present;

	status = parse_integer(arena, query, "limit", &options->limit, &present);
	if (!status)
		status = parse_integer(arena, query, "timeoutSeconds", &options->timeout_seconds, &present);
	if (!status)
		status = parse_integer(arena, query, "gracePeriodSeconds", &options->grace_period_seconds,
		                       &options->has_grace_period);
	if (!status && options->limit < 0)
		options->limit = 0;
	return status;
}

const struct status *request_options_parse(struct arena *arena, const struct query *query,
                                           struct request_options *ret_options)
{
	struct request_options options = {0};
	const struct status *status;

	parse_texts(query, &options);
	status = parse_numbers(arena, query, &options);
	for (size_t i = 0; !status && i < query->count; i++)
		if (!strcmp(query->pairs[i].name, "dryRun") && query->pairs[i].value[0])
			status = parse_dry_run(arena, query->pairs[i].value, &options.dry_run);
	if (!status)
		status = parse_field_validation(arena, query, &options.field_validation);
	if (!status)
		status = parse_propagation(arena, text_or_empty(query, "propagationPolicy"), &options.propagation);
	if (!status)
		*ret_options = options;
	return status;
}

static const struct status *add_preconditions(const struct json *body, struct request_options *options)
{
	const struct json *preconditions = json_get(body, "preconditions");
	const char *text = json_get_text(preconditions, "uid");

	if (text)
		options->precondition_uid = text;
	text = json_get_text(preconditions, "resourceVersion");
	if (text)
		options->precondition_resource_version = text;
	return NULL;
}

const struct status *request_options_add_delete(struct arena *arena, const struct json *body,
                                                struct request_options *options)
{
	const struct status *status = NULL;
	const char *policy = json_get_text(body, "propagationPolicy");

	if (!json_is(body, JSON_OBJECT))
		return status_new(arena, ERR_BAD_REQUEST, "the body of a delete must be a DeleteOptions object");
	if (json_get_integer(body, "gracePeriodSeconds", &options->grace_period_seconds))
		options->has_grace_period = true;
	if (json_is(json_get(body, "orphanDependents"), JSON_BOOL)) {
		options->has_orphan_dependents = true;
		options->orphan_dependents = json_get_bool(body, "orphanDependents", false);
	}
	if (policy)
		status = parse_propagation(arena, policy, &options->propagation);
	json_for_each_item (item, json_get(body, "dryRun"))
		if (!status && json_text(item))
			status = parse_dry_run(arena, json_text(item), &options->dry_run);
	if (!status && policy && options->has_orphan_dependents)
		status = status_new(arena, ERR_INVALID,
		                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: "
		                    "\"%.64s\": orphanDependents and deletionPropagation cannot be both set",
		                    policy);
	return status ? status : add_preconditions(body, options);
}
