// SPDX-License-Identifier: Apache-2.0
// Every authenticated user may do everything, and anonymous ones may read health
// and version; main.c says so in the log at start. RBAC takes this place.

#include "apiserver/authorization/authorize.h"

#include <string.h>

static bool is_public(const struct route *route)
{
	static const char *const paths[] = {"/healthz", "/livez", "/readyz", "/version"};

	if (route->is_resource || strcmp(route->verb, "get"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		size_t length = strlen(paths[i]);

		if (!strncmp(route->path, paths[i], length) && (!route->path[length] || route->path[length] == '/'))
			return true;
	}
	return false;
}

static const struct status *forbid_path(const struct request *request)
{
	return status_new(request->arena, ERR_FORBIDDEN, "forbidden: User \"%s\" cannot %s path \"%s\"",
	                  request->user.name, request->route.verb, request->route.path);
}

static const struct status *forbid_resource(struct request *request)
{
	const struct route *route = &request->route;
	const char *resource = route->subresource_name[0] ? arena_printf(request->arena, "%s/%s", route->resource_name,
	                                                                 route->subresource_name)
	                                                  : route->resource_name;
	const char *scope = route->namespace_name[0]
	                            ? arena_printf(request->arena, "in the namespace \"%s\"", route->namespace_name)
	                            : "at the cluster scope";
	struct schema_resource named = {.group = route->group, .plural = route->resource_name};
	const struct schema_resource *copy = memcpy(arena_alloc(request->arena, sizeof(named)), &named, sizeof(named));

	return status_forbidden(request->arena, copy, route->name,
	                        arena_printf(request->arena,
	                                     "User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s",
	                                     request->user.name, route->verb, resource, route->group, scope));
}

const struct status *authorize(struct request *request)
{
	if (!request->user.anonymous || is_public(&request->route))
		return NULL;
	return request->route.is_resource ? forbid_resource(request) : forbid_path(request);
}
