// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the API serves, as clients discover it: the bodies of /api, /apis,
// /apis/GROUP, /apis/GROUP/VERSION and of aggregated discovery. Everything is
// made from a list of resources given by the caller, so that custom resources
// join the built-in ones. The order of the list does not matter.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/schema.h"
#include "common/base/strbuf.h"

// /api: the versions of the core group. `server_address` is "host:port".
void discovery_write_core_versions(struct strbuf *out, const char *server_address);

// /apis: the groups in upstream's order, without the core group.
void discovery_write_groups(struct strbuf *out, const struct schema_resource *const *resources, size_t count);

// /apis/GROUP; false (and nothing written) when no resource is in it.
bool discovery_write_group(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                           const char *group);

// /api/v1 and /apis/GROUP/VERSION; false when no resource is in it.
bool discovery_write_resources(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                               const char *group, const char *version);

// Aggregated discovery: of the core group for /api, of all others for /apis.
// `api_version` is "apidiscovery.k8s.io/v2" or "apidiscovery.k8s.io/v2beta1".
void discovery_write_aggregated(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                                bool core, const char *api_version);

// The priorities that upstream's APIService objects give a group and its versions.
int discovery_group_priority(const char *group);
int discovery_version_priority(const char *group, const char *version);
