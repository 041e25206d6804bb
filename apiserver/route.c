// SPDX-License-Identifier: Apache-2.0
// Paths of the API:
//
//   /api/v1[/namespaces/NS]/RESOURCE[/NAME[/SUBRESOURCE[/TAIL]]]
//   /apis/GROUP/VERSION[/namespaces/NS]/RESOURCE[/NAME[/SUBRESOURCE[/TAIL]]]
//   …/watch/… before the namespace or resource: the old form of ?watch=true
//
// Anything else is a non-resource path. Segments are decoded once, one by one:
// an encoded slash stays inside its segment and is refused there, so that no
// spelling of a path reaches another object than the one that was authorized.

#include "apiserver/route.h"

#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/custom/served.h"

enum {
	ROUTE_MAX_SEGMENTS = 64,
};

struct segments {
	const char *text[ROUTE_MAX_SEGMENTS];
	const char *raw_end[ROUTE_MAX_SEGMENTS]; // where the raw segment ends
	size_t count;
};

static const struct status *bad_path(struct arena *arena)
{
	return status_new(arena, ERR_BAD_REQUEST, "the request path is not valid");
}

static bool segment_is_plain(const char *text)
{
	return text[0] && strcmp(text, ".") && strcmp(text, "..") && !strchr(text, '/');
}

static const struct status *split(struct arena *arena, const char *path, struct segments *segments)
{
	while (*path) {
		size_t length;

		if (*path == '/') {
			path++;
			continue;
		}
		length = strcspn(path, "/");
		if (segments->count == ROUTE_MAX_SEGMENTS)
			break; // the tail of a proxied path is passed on as it is
		if (!query_unescape(arena, path, length, false, &segments->text[segments->count]))
			return bad_path(arena);
		path += length;
		segments->raw_end[segments->count++] = path;
	}
	return NULL;
}

// A double slash in a resource path names nothing.
static bool has_empty_segment(const char *path)
{
	return strstr(path, "//") != NULL;
}

static const char *lower(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return copy;
}

static enum operation operation_of(const char *method, const char *name, bool watch)
{
	static const struct {
		const char *method;
		enum operation with_name;
		enum operation without_name;
	} table[] = {
	        {"GET", OPERATION_GET, OPERATION_LIST},       {"HEAD", OPERATION_GET, OPERATION_LIST},
	        {"POST", OPERATION_CREATE, OPERATION_CREATE}, {"PUT", OPERATION_UPDATE, OPERATION_UPDATE},
	        {"PATCH", OPERATION_PATCH, OPERATION_PATCH},  {"DELETE", OPERATION_DELETE, OPERATION_DELETE_COLLECTION},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(method, table[i].method)) {
			if (watch && table[i].with_name == OPERATION_GET)
				return OPERATION_WATCH;
			return name[0] ? table[i].with_name : table[i].without_name;
		}
	return OPERATION_NONE;
}

static const char *verb_of(struct arena *arena, enum operation operation, const char *method)
{
	static const char *const verbs[OPERATION_COUNT_] = {
	        [OPERATION_GET] = "get",       [OPERATION_LIST] = "list",
	        [OPERATION_WATCH] = "watch",   [OPERATION_CREATE] = "create",
	        [OPERATION_UPDATE] = "update", [OPERATION_PATCH] = "patch",
	        [OPERATION_DELETE] = "delete", [OPERATION_DELETE_COLLECTION] = "deletecollection",
	};

	return verbs[operation] ? verbs[operation] : lower(arena, method);
}

// "namespaces/x/status" is the namespace's own subresource, "namespaces/x/pods" a collection within it.
static bool is_namespace_subresource(const char *text)
{
	return !strcmp(text, "status") || !strcmp(text, "finalize");
}

static const char *segment_or_empty(const struct segments *segments, size_t index)
{
	return index < segments->count ? segments->text[index] : "";
}

// What streams is CONNECT, whatever the method: these subresources have no body type.
static void find_resource(const struct served *served, struct route *route)
{
	route->resource = served_find(served, route->group, route->version, route->resource_name);
	if (!route->resource || !route->subresource_name[0])
		return;
	route->subresource = schema_find_subresource(route->resource, route->subresource_name);
	static const char *const streams[] = {"log", "exec", "attach", "portforward", "proxy"};

	for (size_t i = 0; route->subresource && i < ARRAY_SIZE(streams); i++)
		if (!strcmp(route->subresource_name, streams[i]))
			route->operation = OPERATION_CONNECT;
}

// `at`: the first segment after the version.
static void parse_resource(struct route *route, const struct segments *segments, size_t at, bool *watch)
{
	if (!strcmp(segment_or_empty(segments, at), "watch")) {
		*watch = true;
		at++;
	}
	if (!strcmp(segment_or_empty(segments, at), "namespaces") && segments->count > at + 1) {
		route->namespace_name = segments->text[at + 1];
		if (segments->count > at + 2 && !is_namespace_subresource(segments->text[at + 2]))
			at += 2;
	}
	route->resource_name = segment_or_empty(segments, at);
	route->name = segment_or_empty(segments, at + 1);
	route->subresource_name = segment_or_empty(segments, at + 2);
	if (segments->count > at + 2)
		route->tail = segments->raw_end[at + 2];
	route->is_resource = route->resource_name[0] != '\0';
}

static size_t version_prefix(const struct segments *segments, struct route *route)
{
	if (segments->count >= 3 && !strcmp(segments->text[0], "api")) {
		route->group = "";
		route->version = segments->text[1];
		return 2;
	}
	if (segments->count >= 4 && !strcmp(segments->text[0], "apis")) {
		route->group = segments->text[1];
		route->version = segments->text[2];
		return 3;
	}
	return 0;
}

static const struct status *check_segments(struct arena *arena, const struct segments *segments, const char *path,
                                           const struct route *route)
{
	bool proxied = route->tail[0] != '\0';

	for (size_t i = 0; i < segments->count; i++)
		if (!segment_is_plain(segments->text[i]) && (!proxied || segments->raw_end[i] <= route->tail))
			return bad_path(arena);
	if (!proxied && has_empty_segment(path))
		return bad_path(arena);
	return NULL;
}

const struct status *route_parse(struct arena *arena, const struct served *served, const char *method, const char *path,
                                 const struct query *query, struct route *ret_route)
{
	struct route route = {.group = "",
	                      .version = "",
	                      .namespace_name = "",
	                      .resource_name = "",
	                      .subresource_name = "",
	                      .name = "",
	                      .tail = ""};
	struct segments segments = {0};
	const struct status *status = split(arena, path, &segments);
	bool watch = query_get_bool(query, "watch");
	size_t prefix;

	if (status)
		return status;
	route.path = path;
	prefix = version_prefix(&segments, &route);
	if (prefix)
		parse_resource(&route, &segments, prefix, &watch);
	if (route.is_resource) {
		status = check_segments(arena, &segments, path, &route);
		if (status)
			return status;
		route.operation = operation_of(method, route.name, watch && !route.subresource_name[0]);
		route.verb = verb_of(arena, route.operation, method);
		find_resource(served, &route);
	} else {
		route.verb = lower(arena, method);
	}
	*ret_route = route;
	return NULL;
}

static uint32_t verb_bit(enum operation operation)
{
	static const uint32_t bits[OPERATION_COUNT_] = {
	        [OPERATION_GET] = VERB_GET,       [OPERATION_LIST] = VERB_LIST,
	        [OPERATION_WATCH] = VERB_WATCH,   [OPERATION_CREATE] = VERB_CREATE,
	        [OPERATION_UPDATE] = VERB_UPDATE, [OPERATION_PATCH] = VERB_PATCH,
	        [OPERATION_DELETE] = VERB_DELETE, [OPERATION_DELETE_COLLECTION] = VERB_DELETE_COLLECTION,
	};

	return bits[operation];
}

// The method as it stands on this path: a name (or none) where the operation needs one.
static bool path_fits(const struct route *route)
{
	const struct schema_resource *resource = route->resource;
	bool all_namespaces = resource->namespaced && !route->namespace_name[0];

	if (route->subresource_name[0])
		return !all_namespaces;
	if (route->operation == OPERATION_CREATE || route->operation == OPERATION_DELETE_COLLECTION)
		return !route->name[0] && !all_namespaces;
	if (route->operation == OPERATION_LIST || route->operation == OPERATION_WATCH)
		return true;
	return route->name[0] && !all_namespaces;
}

// Nothing new while a definition and its objects are being deleted.
static const struct status *check_terminating(struct arena *arena, const struct route *route)
{
	const struct definition_version *version = definition_version_of(route->resource);

	if (!version || !version->definition->terminating || route->operation != OPERATION_CREATE)
		return NULL;
	return status_new_for(arena, ERR_METHOD_NOT_ALLOWED, route->resource, NULL,
	                      "create not allowed while custom resource definition is terminating");
}

const struct status *route_check(struct arena *arena, const struct route *route)
{
	const struct schema_resource *resource = route->resource;

	if (!resource || (route->subresource_name[0] && !route->subresource))
		return status_no_such_path(arena);
	if (!resource->namespaced && route->namespace_name[0] && strcmp(resource->plural, "namespaces"))
		return status_no_such_path(arena);
	if (resource->namespaced && !route->namespace_name[0] && route->name[0])
		return status_no_such_path(arena);
	if (route->tail[0] && strcmp(route->tail, "/") && strcmp(route->subresource_name, "proxy"))
		return status_no_such_path(arena);
	if (route->operation == OPERATION_CONNECT)
		return NULL;
	uint32_t verbs = route->subresource ? route->subresource->verbs : resource->verbs;

	if (!(verb_bit(route->operation) & verbs) || !path_fits(route))
		return status_method_not_allowed(arena);
	return check_terminating(arena, route);
}

bool route_is_long_running(const struct route *route)
{
	return route->operation == OPERATION_WATCH || route->operation == OPERATION_CONNECT;
}
