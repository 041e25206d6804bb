// SPDX-License-Identifier: Apache-2.0
#pragma once
// From method and path to what is asked: upstream's RequestInfo (the attributes
// that authorization, limits, audit and metrics speak of) and the resource and
// operation that answer it.

#include <stdbool.h>

#include "apiserver/query.h"
#include "apiserver/status.h"
#include "common/api/schema.h"

enum operation {
	OPERATION_NONE, // not served: 404 or 405
	OPERATION_GET,
	OPERATION_LIST,
	OPERATION_WATCH,
	OPERATION_CREATE,
	OPERATION_UPDATE,
	OPERATION_PATCH,
	OPERATION_DELETE,
	OPERATION_DELETE_COLLECTION,
	OPERATION_CONNECT, // exec, log, proxy, …
	OPERATION_COUNT_,
};

struct served;

struct route {
	bool is_resource;
	enum operation operation;
	const char *verb;  // "get", "deletecollection", … or the lower-case method
	const char *path;  // decoded
	const char *group; // resources
	const char *version;
	const char *namespace_name;                   // "" = none or all
	const char *resource_name;                    // "pods"
	const char *subresource_name;                 // ""
	const char *name;                             // ""
	const char *tail;                             // what follows a proxy subresource, undecoded, "" or "/…"
	const struct schema_resource *resource;       // NULL: unknown
	const struct schema_subresource *subresource; // NULL: none
};

// Bad paths (escapes, dots, NULs) are an answer of their own.
// `served` NULL: the built-in resources.
const struct status *route_parse(struct arena *arena, const struct served *served, const char *method, const char *path,
                                 const struct query *query, struct route *ret_route);

// After authorization: NULL when the operation is served, else 404 or 405.
const struct status *route_check(struct arena *arena, const struct route *route);

// True for watches and streams: they don't count against the in-flight limit.
bool route_is_long_running(const struct route *route);
