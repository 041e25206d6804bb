// SPDX-License-Identifier: Apache-2.0
#pragma once
// Creating many pods for one owner.

#include <stddef.h>

struct api_object;
struct core_v1_pod;
struct err;
struct reconcile;

// Creates the pods in batches that double while they succeed (1, 2, 4, …), so that a template that the server refuses
// costs few calls. Failures bring the key back. Records SuccessfulCreate and FailedCreate events about the owner,
// which is kept, with all that the pods borrow from it. `pods` lives in the reconcile's arena; the same pod may stand
// in it many times. `on_failed` (may be NULL) is called with the error of the batch that ended it.
void pods_create(struct reconcile *reconcile, struct api_object *owner, const struct core_v1_pod *const *pods,
                 size_t count,
                 void (*on_failed)(struct reconcile *reconcile, struct api_object *owner, const struct err *err));

// Deletes one, with its SuccessfulDelete event.
void pod_delete(struct reconcile *reconcile, const struct api_object *owner, const struct api_object *pod);
