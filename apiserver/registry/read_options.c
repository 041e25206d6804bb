// SPDX-License-Identifier: Apache-2.0
// The matrix of upstream's list and watch options, and the continue token: the
// base64 of {"v":"meta.k8s.io/v1","rv":…,"start":…}, as upstream writes it, so
// that a client may turn to another server in the middle of a list. Its start is
// relative to the listed path and ends in a NUL: the smallest key after the last.

#include "apiserver/registry/read_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/encode.h"

const struct status *read_options_version(struct arena *arena, const char *text, int64_t *ret_revision)
{
	char *end = NULL;
	long long value = 0;

	*ret_revision = 0;
	if (!text[0])
		return NULL;
	errno = 0;
	if (text[0] >= '0' && text[0] <= '9')
		value = strtoll(text, &end, 10);
	if (!end || *end || errno)
		return status_new(arena, ERR_BAD_REQUEST,
		                  "Invalid value: \"%.64s\": strconv.ParseUint: parsing \"%.64s\": invalid syntax",
		                  text, text);
	*ret_revision = value;
	return NULL;
}

const struct status *read_options_get(const struct request *request, struct storage_read *ret_read)
{
	const char *version = request->options.resource_version;
	const struct status *status;
	struct storage_read read = {.resource = request_resource(request),
	                            .namespace_name = request->route.namespace_name,
	                            .name = request->route.name};

	status = read_options_version(request->arena, version, &read.revision);
	if (status)
		return status;
	read.freshness = !version[0] ? STORAGE_CONSISTENT : read.revision ? STORAGE_NOT_OLDER : STORAGE_ANY;
	if (!read.resource->namespaced)
		read.namespace_name = "";
	*ret_read = read;
	return NULL;
}

static const struct status *invalid_option(const struct request *request, const char *field, const char *reason,
                                           const char *message)
{
	const struct status *status = status_new(request->arena, ERR_INVALID,
	                                         "ListOptions.meta.k8s.io \"\" is invalid: %s: %s", field, message);

	return status_with_cause(request->arena, status,
	                         (struct status_cause){.reason = reason, .message = message, .field = field});
}

static const struct status *check_match(const struct request *request)
{
	const struct request_options *options = &request->options;
	const char *match = options->resource_version_match;

	if (options->has_send_initial_events && !options->watch)
		return invalid_option(request, "sendInitialEvents", "FieldValueForbidden",
		                      "Forbidden: sendInitialEvents is forbidden for list");
	if (!match[0])
		return NULL;
	if (options->continue_token[0])
		return invalid_option(request, "resourceVersionMatch", "FieldValueForbidden",
		                      "Forbidden: resourceVersionMatch is forbidden for continue");
	if (!options->resource_version[0])
		return invalid_option(
		        request, "resourceVersionMatch", "FieldValueForbidden",
		        "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
	if (strcmp(match, "Exact") && strcmp(match, "NotOlderThan"))
		return invalid_option(request, "resourceVersionMatch", "FieldValueNotSupported",
		                      arena_printf(request->arena,
		                                   "Unsupported value: \"%.64s\": supported values: \"Exact\", "
		                                   "\"NotOlderThan\", \"\"",
		                                   match));
	if (!strcmp(match, "Exact") && !strcmp(options->resource_version, "0"))
		return invalid_option(
		        request, "resourceVersionMatch", "FieldValueForbidden",
		        "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
	return NULL;
}

static enum storage_freshness list_freshness(const struct request_options *options, int64_t revision)
{
	if (!options->resource_version[0])
		return STORAGE_CONSISTENT;
	if (!revision)
		return STORAGE_ANY;
	if (!strcmp(options->resource_version_match, "Exact"))
		return STORAGE_EXACT;
	// With a limit, an unsaid match means exact: upstream's oldest rule.
	if (!options->resource_version_match[0] && options->limit)
		return STORAGE_EXACT;
	return STORAGE_NOT_OLDER;
}

static const struct status *bad_token(const struct request *request)
{
	return status_new(
	        request->arena, ERR_BAD_REQUEST,
	        "continue key is not valid: the provided continue parameter is not one that this server gave");
}

static const struct status *parse_token(const struct request *request, struct storage_read *read,
                                        struct list_position *position)
{
	const char *text = request->options.continue_token;
	size_t length = strlen(text), data_length;
	struct json *token;
	const struct json *start;
	const char *version, *key;
	uint8_t *data;

	while (length && text[length - 1] == '=')
		length--;
	if (!base64url_decode(request->arena, text, length, &data, &data_length) ||
	    json_parse(request->arena, (const char *)data, data_length, NULL, &token, NULL) < 0)
		return bad_token(request);
	version = json_get_text(token, "v");
	start = json_get(token, "start");
	key = json_text(start);
	if (!version || strcmp(version, "meta.k8s.io/v1") || !key || !key[0] || strstr(key, "..") ||
	    !json_get_integer(token, "rv", &read->revision) || !read->revision || read->revision < -1)
		return bad_token(request);
	while (*key == '/')
		key++;
	if (request->route.namespace_name[0] && read->resource->namespaced)
		key = arena_printf(request->arena, "%s/%s", request->route.namespace_name, key);
	position->inconsistent = read->revision < 0;
	position->continue_key = key;
	read->freshness = position->inconsistent ? STORAGE_CONSISTENT : STORAGE_EXACT;
	if (position->inconsistent)
		read->revision = 0;
	read->continue_key = key;
	return NULL;
}

const struct status *read_options_list(const struct request *request, struct storage_read *ret_read,
                                       struct list_position *ret_position)
{
	const struct request_options *options = &request->options;
	struct storage_read read = {.resource = request_resource(request), .limit = (size_t)options->limit};
	struct list_position position = {0};
	const struct status *status = check_match(request);

	read.namespace_name = read.resource->namespaced ? request->route.namespace_name : "";
	if (!status)
		status = read_options_version(request->arena, options->resource_version, &read.revision);
	if (status)
		return status;
	if (options->continue_token[0]) {
		if (options->resource_version[0] && strcmp(options->resource_version, "0"))
			return status_new(request->arena, ERR_BAD_REQUEST,
			                  "specifying resource version is not allowed when using continue");
		status = parse_token(request, &read, &position);
	} else {
		read.freshness = list_freshness(options, read.revision);
	}
	*ret_read = read;
	*ret_position = position;
	return status;
}

const char *read_options_token(const struct request *request, int64_t revision, const char *key)
{
	struct strbuf text = STRBUF_INIT(4096), token = STRBUF_INIT(8192);
	const char *namespace_name = request->route.namespace_name;
	const char *result;

	// Relative to the listed path.
	if (namespace_name[0] && request_resource(request)->namespaced)
		key += strlen(namespace_name) + 1;
	strbuf_printf(&text, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%lld,\"start\":", (long long)revision);
	json_write_string(&text, key, strlen(key) + 1);
	strbuf_append_char(&text, '}');
	base64url_encode(&token, text.data, text.length);
	result = arena_strdup(request->arena, strbuf_text(&token));
	strbuf_done(&text);
	strbuf_done(&token);
	return result;
}
