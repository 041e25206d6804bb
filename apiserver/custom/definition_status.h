// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the apiserver says of a definition: which names it goes by, and its conditions.
// Pure: a tree goes in, a tree comes out.

#include <stdbool.h>
#include <stdint.h>

#include "common/api/json.h"

struct hashmap;

// Keeps a definition until its objects have gone.
#define DEFINITION_CLEANUP_FINALIZER "customresourcecleanup.apiextensions.k8s.io"

// The names that are taken in a group by others: plurals, singulars and short names in one, kinds in the other.
struct taken_names {
	struct hashmap *resources;
	struct hashmap *kinds;
};

// Adds the names of another definition (status.acceptedNames).
void taken_names_add(struct taken_names *taken, const struct json *names);

// Brings acceptedNames, NamesAccepted, Established and KubernetesAPIApprovalPolicyConformant up to date, in place.
// `served`: requests are answered already. True when something changed.
bool definition_status_update(struct arena *arena, struct json *definition, const struct taken_names *taken,
                              bool served, int64_t now_realtime_ns);
// Whether others have a name that it asks for.
bool definition_status_has_conflict(struct arena *arena, const struct json *definition,
                                    const struct taken_names *taken);

// Definitions in the community's own groups (k8s.io, kubernetes.io) say who approved them.
#define DEFINITION_APPROVAL_ANNOTATION "api-approved.kubernetes.io"
enum definition_approval {
	DEFINITION_APPROVAL_MISSING,
	DEFINITION_APPROVAL_INVALID,
	DEFINITION_UNAPPROVED, // and says why
	DEFINITION_APPROVED,
};
bool definition_needs_approval(const struct json *definition);
enum definition_approval definition_approval_of(struct arena *arena, const struct json *definition,
                                                const char **ret_reason);

// The names that it goes by: what it accepted, else what it asks for.
const struct json *definition_names(const struct json *definition);

// The condition's status is "True".
bool definition_has_condition(const struct json *definition, const char *type);
// Sets a condition; its time changes with its status. True when something changed.
bool definition_set_condition(struct arena *arena, struct json *definition, const char *type, const char *status,
                              const char *reason, const char *message, int64_t now_realtime_ns);
