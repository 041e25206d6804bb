// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which resource a word means: "pods", "po", "deployment.apps", "deployments.v1.apps",
// a kind, a category. Built-in resources are found in the schema's tables at once;
// only words that these don't know make the tool ask the server.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/schema.h"

struct ctl;

// NULL = no such resource: reported as `the server doesn't have a resource type "x"`, or a
// server that can't be asked.
const struct schema_resource *resource_find(struct ctl *ctl, const char *word);

// The same, unreported when there is none.
const struct schema_resource *resource_find_quietly(struct ctl *ctl, const char *word);

// For an object's apiVersion and kind; NULL = unknown to tables and server, unreported.
const struct schema_resource *resource_of_kind(struct ctl *ctl, const char *api_version, const char *kind);

// The resources of a category ("all") in the arena; *ret_count 0 = no such category.
const struct schema_resource **resources_in_category(struct ctl *ctl, const char *word, size_t *ret_count);

// "pods" or "deployments.apps"; "pod" or "deployment.apps"; "v1" or "apps/v1".
const char *resource_plural_name(struct ctl *ctl, const struct schema_resource *resource);
const char *resource_singular_name(struct ctl *ctl, const struct schema_resource *resource);
const char *resource_api_version(struct ctl *ctl, const struct schema_resource *resource);
