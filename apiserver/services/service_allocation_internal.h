// SPDX-License-Identifier: Apache-2.0
#pragma once
// What service_plan.c decides and service_allocation.c takes.

#include "apiserver/services/ip_range.h"
#include "apiserver/services/service_allocation.h"
#include "common/io/loop.h"

enum {
	ALLOCATE_MAX_ADDRESSES = 2,
	ALLOCATE_MAX_PORTS = 1024,
};

struct wanted_address {
	const struct ip_range *range;
	bool requested; // `ip` was asked for
	bool kept;      // held already
	bool taken;     // by us, just now
	struct ip ip;
	unsigned tries;
	uint32_t scan_offset;
};

struct service_allocation {
	struct server *server;
	struct loop *loop;
	struct arena *arena;   // ours: outlives the request
	struct change *change; // until done
	void (*done)(void *context, struct service_allocation *allocation, const struct status *failure);
	void *context;
	const char *namespace_name;
	const char *name;
	struct wanted_address addresses[ALLOCATE_MAX_ADDRESSES];
	size_t address_count;
	size_t next_address;
	int wanted_ports[ALLOCATE_MAX_PORTS];
	size_t wanted_port_count;
	struct json *dynamic_ports[ALLOCATE_MAX_PORTS]; // the port entries to fill
	size_t dynamic_port_count;
	int taken_ports[2 * ALLOCATE_MAX_PORTS];
	size_t taken_port_count;
	const char *freed_addresses[ALLOCATE_MAX_ADDRESSES]; // once the Service is written
	size_t freed_address_count;
	int freed_ports[ALLOCATE_MAX_PORTS];
	size_t freed_port_count;
	const struct status *failure;
	struct loop_task task;
};

// What the object needs, keeps and lets go. The refusal, NULL when it can be tried.
const struct status *service_plan(struct service_allocation *allocation, struct change *change);

// The refusals that taking may meet.
const struct status *service_plan_invalid(struct change *change, const char *member, const char *value,
                                          const char *detail);
const struct status *service_plan_invalid_port(struct change *change, int port, const char *detail);
