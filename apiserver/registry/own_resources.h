// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the apiserver keeps in storage for itself and serves to nobody, where and
// as upstream keeps it.

#include "common/api/schema.h"

extern const struct schema_resource own_resource_leases;      // see endpoint_lease.c
extern const struct schema_resource own_resource_port_ranges; // see port_allocator.c
