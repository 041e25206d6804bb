// SPDX-License-Identifier: Apache-2.0

#include "apiserver/registry/subresources.h"

#include <string.h>

#include "apiserver/admission/posted.h"
#include "apiserver/authentication/service_account.h"

static const struct {
	const char *group;
	const char *plural;
	const char *subresource;
	enum operation operation; // OPERATION_NONE: all
	void (*serve)(struct request *request);
} rows[] = {
        {"", "bindings", "", OPERATION_CREATE, binding_serve},
        {"", "componentstatuses", "", OPERATION_GET, component_status_serve},
        {"", "componentstatuses", "", OPERATION_LIST, component_status_serve},
        {"", "pods", "binding", OPERATION_CREATE, binding_serve},
        {"", "pods", "eviction", OPERATION_CREATE, eviction_serve},
        {"", "serviceaccounts", "token", OPERATION_CREATE, service_account_serve_token},
};

bool subresources_serve(struct request *request)
{
	const struct route *route = &request->route;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(route->resource_name, rows[i].plural) && !strcmp(route->group, rows[i].group) &&
		    !strcmp(route->subresource_name, rows[i].subresource) &&
		    (rows[i].operation == OPERATION_NONE || rows[i].operation == route->operation)) {
			if (rows[i].operation == OPERATION_CREATE)
				admission_posted_start(request, rows[i].serve);
			else
				rows[i].serve(request);
			return true;
		}
	return false;
}
