// SPDX-License-Identifier: Apache-2.0
#pragma once
// One CustomResourceDefinition as it is served: for each version the resource that
// routes, storage and documents speak of, with its schema as tables. Immutable once
// made and shared by count; what it needs it holds itself, the definition's own JSON
// among it.

#include <stdbool.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/api/structural.h"

struct conversion_cache;
struct definition;
struct stored_object;

// RE2's, for structural_build.
extern const struct structural_patterns definition_patterns;

struct definition_scale {
	const char *spec_replicas; // dotted, "spec.replicas"
	const char *status_replicas;
	const char *selector; // NULL = none
};

struct definition_version {
	const struct definition *definition;
	struct schema_resource resource;
	struct structural *schema;
	struct definition_rules *rules; // x-kubernetes-validations, NULL = none
	const struct definition_scale *scale;
	bool served;
	struct structural_source source;    // the schema as it was declared
	struct conversion_cache *converted; // where a webhook converts
};

struct definition {
	_Atomic unsigned references;
	struct arena *arena;
	const char *name; // "foos.example.com"
	const char *group;
	const char *plural;
	struct stored_object *source;
	uint64_t fingerprint; // of everything below
	struct definition_version *versions;
	size_t version_count;
	const struct definition_version *storage;
	// What storage keeps: the storage version, selectable by the fields of all versions.
	struct definition_version stored;
	const struct json *webhook; // spec.conversion.webhook when the strategy is Webhook, else NULL
	bool terminating;           // nothing is created any more
};

// From the definition's tree; `accepted` are the names that it goes by (spec.names or
// status.acceptedNames). `source` is referenced. Rules that no longer compile are left
// out. NULL with err when there is nothing to serve.
struct definition *definition_new(struct stored_object *source, const struct json *tree, const struct json *accepted,
                                  struct err *err);
struct definition *definition_ref(struct definition *definition);
struct definition *definition_unref(struct definition *definition);
DEFINE_CLEANUP(struct definition *, definition_unref)

// What definition_new would give as fingerprint.
uint64_t definition_fingerprint(const struct json *tree, const struct json *accepted);

// The version behind a resource; NULL: a built-in one.
static inline const struct definition_version *definition_version_of(const struct schema_resource *resource)
{
	return resource->type && resource->type->structural
	               ? container_of(resource, struct definition_version, resource)
	               : NULL;
}

// By name; NULL = none.
const struct definition_version *definition_find_version(const struct definition *definition, const char *name);

// True when this version's objects may have to be asked of the conversion webhook.
bool definition_asks_webhook(const struct schema_resource *resource);

// False when reading what is written through this version may give more: another version's defaults.
bool definition_is_read_as_written(const struct schema_resource *resource);

// --- between versions, without a webhook -------------------------------------------

// True when the stored form isn't the resource's.
bool definition_must_convert(const struct schema_resource *resource);
// In place: apiVersion, and what the target's schema doesn't know falls out.
void definition_convert(struct arena *arena, const struct definition_version *target, struct json *object);

// A tree as etcd has it: unknown fields out, defaults in, in the storage version unless a
// webhook would have to be asked. True when something changed. Safe on any thread.
bool definition_read_stored(const struct definition *definition, struct arena *arena, struct json *object);
