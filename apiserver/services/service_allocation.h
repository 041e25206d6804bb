// SPDX-License-Identifier: Apache-2.0
#pragma once
// The addresses and node ports of a Service. Taken before the Service is
// written, given back when it wasn't, or when it no longer uses them. The design
// stands in service_allocation.c.

#include <stdbool.h>

#include "apiserver/registry/change.h"

struct service_allocation;

// True when this create or update of a Service takes or frees anything.
bool service_allocation_concerns(const struct change *change);

// Fills the object's clusterIPs and node ports. `done` comes exactly once, never
// from inside the call; on failure everything taken has been given back and
// `allocation` is NULL.
void service_allocate(struct change *change,
                      void (*done)(void *context, struct service_allocation *allocation, const struct status *failure),
                      void *context);

// The Service was written: frees what it no longer uses; or it wasn't: frees
// what it had taken. Frees the allocation; NULL is fine. In the background.
void service_allocation_settle(struct service_allocation *allocation, bool written);
// Forgets it, freeing nothing; the repair loop finds out. Returns NULL.
struct service_allocation *service_allocation_abandon(struct service_allocation *allocation);

// A deleted Service's addresses and ports, in the background.
void service_allocation_release(struct server *server, struct loop *loop, const struct json *service);

// Fills in addresses and ports without taking them, for dry runs.
void service_allocation_preview(struct change *change);
