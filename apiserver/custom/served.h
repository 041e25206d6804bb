// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is served at one moment: the built-in resources that are on and those of all
// custom resource definitions. A snapshot never changes; a new one takes its place
// when a definition does. Every request holds the one that it was routed with until it
// ends, so the tables it points to stay.

#include <stddef.h>

#include "common/api/schema.h"
#include "common/base/macros.h"

struct definition;
struct documents;
struct served;

// References the definitions. `built_in` lives as long as the process.
struct served *served_new(const struct schema_resource *const *built_in, size_t built_in_count,
                          struct definition *const *definitions, size_t definition_count);
struct served *served_ref(struct served *served);
struct served *served_unref(struct served *served);
DEFINE_CLEANUP(struct served *, served_unref)

// Sorted by group, version and plural.
const struct schema_resource *const *served_resources(const struct served *served, size_t *ret_count);
// NULL = not served. Without a snapshot: among the built-in ones.
const struct schema_resource *served_find(const struct served *served, const char *group, const char *version,
                                          const char *plural);
const struct schema_resource *served_find_kind(const struct served *served, const char *group, const char *version,
                                               const char *kind);
// Discovery and OpenAPI of this snapshot.
struct documents *served_documents(const struct served *served);
