// SPDX-License-Identifier: Apache-2.0
#include "apiserver/registry/own_resources.h"

static const char *const none[] = {NULL};

// Storage asks for the place, the kind and the type; the schema's tables know none of these.
#define OWN_RESOURCE(name_, kind_, plural_, singular_, prefix_) \
	static const struct schema_type type_##name_ = {        \
	        .name = kind_,                                  \
	        .openapi_name = "io.k8s.api.core.v1." kind_,    \
	        .group = "",                                    \
	        .version = "v1",                                \
	        .kind = SCHEMA_STRUCT,                          \
	        .preserve_unknown = true,                       \
	        .doc = "",                                      \
	};                                                      \
	const struct schema_resource own_resource_##name_ = {   \
	        .group = "",                                    \
	        .version = "v1",                                \
	        .kind = kind_,                                  \
	        .list_kind = kind_ "List",                      \
	        .plural = plural_,                              \
	        .singular = singular_,                          \
	        .short_names = none,                            \
	        .categories = none,                             \
	        .type = &type_##name_,                          \
	        .storage_prefix = prefix_,                      \
	        .storage_group = "",                            \
	        .storage_version = "v1",                        \
	        .doc = "",                                      \
	}

OWN_RESOURCE(leases, "Endpoints", "masterleases", "masterlease", "/registry/masterleases");
OWN_RESOURCE(port_ranges, "RangeAllocation", "rangeallocations", "rangeallocation", "/registry/ranges");
