// SPDX-License-Identifier: Apache-2.0
#pragma once
// A container's environment: services, envFrom and env, in upstream's order and with
// its rules for what wins.

#include "kubelet/pod/field_values.h"
#include "kubelet/pod/object_cache.h"

struct environment {
	struct arena *arena;
	struct string_map variables; // in the order in which they were first set
};

// The services whose variables the pod gets.
struct environment_services {
	const struct core_v1_service *const *items;
	size_t count;
};

// Adds to the bundle what the container's environment refers to.
void environment_references(const struct core_v1_container *container, struct object_bundle *bundle);

NODISCARD int environment_build(struct arena *arena, const struct core_v1_pod *pod,
                                const struct core_v1_container *container, const struct field_facts *facts,
                                const struct environment_services *services, const struct object_bundle *bundle,
                                struct environment *ret_environment, struct err *err);

// $(VAR) by this environment.
const char *environment_expand(const struct environment *environment, struct arena *arena, const char *text);
// "NAME=value", NULL-terminated.
const char *const *environment_list(const struct environment *environment, struct arena *arena);
