// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kinds that are served in several forms from one stored one: Events (core/v1
// stored, events.k8s.io/v1 beside it), HorizontalPodAutoscalers (v2 stored, v1 beside
// it), resource.k8s.io (v1beta2 stored), and versions that differ in their name alone.
// Every other kind is stored as it is served.

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

// Whether the rules of validation are written for the stored form alone.
bool convert_is_validated_as_stored(const struct schema_resource *resource);
