// SPDX-License-Identifier: Apache-2.0
#pragma once
// ControllerRevisions: the history of a DaemonSet's or StatefulSet's template.

#include <stdint.h>

#include "controller-manager/controller.h"

struct string_map;

struct revision_sync {
	struct reconcile *reconcile;
	struct informer *revisions; // with the index "controller"
	struct api_object *owner;
	struct json *data;               // what the revision says, in the reconcile's arena
	const struct string_map *labels; // of a new one, besides the hash
	const char *hash_label;
	const int32_t *collisions; // the owner's status.collisionCount, NULL = 0
};

// The revision of the present template, the newest of the owner's; NULL while it is being made or moved to the top:
// the key comes again then.
struct api_object *revision_current(struct revision_sync *sync);

// Deletes the oldest beyond `limit` among those that `is_live` denies.
void revisions_trim(struct revision_sync *sync, size_t limit,
                    bool (*is_live)(void *context, const struct api_object *revision), void *context);

// {"spec":{"template":…,"$patch":"replace"}}
struct core_v1_pod_template_spec;
struct json *revision_data(struct arena *arena, const struct core_v1_pod_template_spec *template);
// The owner's revisions, oldest first.
struct api_object **revisions_of(struct arena *arena, const struct informer *revisions, const struct api_object *owner,
                                 size_t *ret_count);
