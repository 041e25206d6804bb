// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/kinds.h"

#include <string.h>

static bool is_managed(const struct schema_resource *resource)
{
	const uint32_t needed = VERB_LIST | VERB_WATCH | VERB_DELETE;
	return (resource->verbs & needed) == needed && resource->enabled_by_default &&
	       strcmp(resource->group, "events.k8s.io") != 0 &&
	       strcmp(resource->version, schema_preferred_version(resource->group)) == 0;
}

const struct schema_resource *kinds_next(size_t *cursor)
{
	while (*cursor < schema_resource_count) {
		const struct schema_resource *resource = schema_resources[(*cursor)++];
		if (is_managed(resource))
			return resource;
	}
	return NULL;
}
