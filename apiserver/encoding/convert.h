// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kinds that are served in two forms from one stored one: Events (core/v1
// stored, events.k8s.io/v1 beside it) and HorizontalPodAutoscalers (v2 stored,
// v1 beside it). Every other kind is stored as it is served.

#include <stdbool.h>

#include "common/api/json.h"
#include "common/api/schema.h"

// True when this resource's objects differ from the stored form.
bool convert_is_needed(const struct schema_resource *resource);

// In place, from the stored form to the resource's and back.
void convert_from_storage(struct arena *arena, const struct schema_resource *resource, struct json *object);
void convert_to_storage(struct arena *arena, const struct schema_resource *resource, struct json *object);

// The name of a selectable field in the stored form ("regarding.name" → "involvedObject.name").
const char *convert_field_label(const struct schema_resource *resource, const char *label);

// The resource in whose form the objects are stored (itself for most).
const struct schema_resource *convert_storage_resource(const struct schema_resource *resource);
